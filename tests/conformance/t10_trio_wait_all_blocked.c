#include "conformance.h"

#include "../../async/dump.h"
#include "../../async/nursery.h"
#include "../../async/sync.h"

/* trio.testing.Sequencer: who has number n runs when n have had their turn. */
static async_event turns[5];

/* trio.testing.wait_all_tasks_blocked(), as long as nobody waits for I/O. */
struct wait_all_tasks_blocked { ASYNC_FRAME; int ready; };
static ASYNC(wait_all_tasks_blocked)
{
    ASYNC_BEGIN(wait_all_tasks_blocked);
    do {
        AWAIT(async_sleep, 0);
        {
            async_task *task = NULL;
            self->ready = 0;
            while ((task = async_all_tasks(async_loop_of(co), task)) != NULL)
                self->ready += async_task_state(task) == ASYNC_TASK_READY;
        }
    } while (self->ready > 0);
    ASYNC_END;
}

static struct {
    const char *n;
    int slot;
} out[4];
static int outs;
struct w { ASYNC_FRAME; const char *n; int slots[2]; int i; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    for (; self->i < 2; self->i++) {
        AWAIT(async_event_wait, &turns[self->slots[self->i]]);
        out[outs].n = self->n;
        out[outs++].slot = self->slots[self->i];
        async_event_set(&turns[self->slots[self->i] + 1]);
    }
    ASYNC_END;
}

static async_time t0;
struct sleeper { ASYNC_FRAME; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    AWAIT(async_sleep, 10 * U);
    printf("slept %d\n", units_since(async_loop_of(co), t0));
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_nursery nursery; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_event_set(&turns[0]);
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(w, "A", { 0, 3 }));
        async_nursery_spawn(&self->nursery, CO(w, "B", { 1, 2 }));
    }
    ASYNC_END_NURSERY
    for (outs = 0; outs < 4; outs++)
        printf("%s('%s', %d)%s", outs == 0 ? "[" : "", out[outs].n,
               out[outs].slot, outs < 3 ? ", " : "]\n");
    async_nursery_clear(&self->nursery);
    t0 = async_loop_time(async_loop_of(co));
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(sleeper));
        AWAIT(wait_all_tasks_blocked);
        printf("blocked at %d\n", units_since(async_loop_of(co), t0));
        block((any_loop *)(void *)async_loop_of(co), 10 * U);
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
