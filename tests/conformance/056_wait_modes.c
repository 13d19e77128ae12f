#include "conformance.h"

struct w { ASYNC_FRAME; int d, exc; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, self->d * U);
    if (self->exc) ASYNC_RAISE(E_VALUE);
    ASYNC_END;
}

/* The names of those that are done, or are not, in order. */
static void print_names(const async_waited *items, size_t count, int done)
{
    const char *comma = "";
    size_t i;
    printf("[");
    for (i = 0; i < count; i++) {
        if (items[i].done != done) continue;
        printf("%s'%s'", comma,
               async_task_get_name((async_task *)(void *)items[i].future));
        comma = ", ";
    }
    printf("]");
}
static void print_sets(const char *what, const async_waited *items,
                       size_t count, const char *end)
{
    printf("%s", what);
    print_names(items, count, 1);
    printf(" ");
    print_names(items, count, 0);
    printf("%s", end);
}

static void add(async_waited *item, async_task *task, const char *name)
{
    async_task_set_name(task, name);
    item->future = &task->future;
}
/* Takes their exceptions, and lets go of them. */
static void drop(async_waited *items, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) {
        async_task *task = (async_task *)(void *)items[i].future;
        (void)async_task_result(task);
        async_task_release(task);
    }
}

static int cancel(void *task)
{
    async_task_cancel((async_task *)task);
    return 0;
}

struct program { ASYNC_FRAME; int i; async_waited ts[3]; };
static ASYNC(program)
{
    static const struct {
        int when;
        const char *name;
    } modes[] = { { ASYNC_FIRST_COMPLETED, "FIRST_COMPLETED " },
                  { ASYNC_FIRST_EXCEPTION, "FIRST_EXCEPTION " },
                  { ASYNC_ALL_COMPLETED, "ALL_COMPLETED " } };
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 3; self->i++) {
        add(&self->ts[0], async_create_task(CO(w, 3)), "a");
        add(&self->ts[1], async_create_task(CO(w, 1)), "b");
        add(&self->ts[2], async_create_task(CO(w, 2, 1)), "c");
        AWAIT(async_wait, self->ts, 3, ASYNC_FOREVER, modes[self->i].when);
        print_sets(modes[self->i].name, self->ts, 3, "\n");
        AWAIT(async_wait, self->ts, 3, ASYNC_FOREVER);
        print_sets(" then ", self->ts, 3, "\n");
        drop(self->ts, 3);
    }
    /* FIRST_EXCEPTION ignores a cancelled task */
    add(&self->ts[0], async_create_task(CO(w, 2)), "a");
    add(&self->ts[1], async_create_task(CO(w, 9)), "b");
    async_loop_call_later(async_loop_of(co), NULL, U, cancel,
                          self->ts[1].future);
    AWAIT(async_wait, self->ts, 2, ASYNC_FOREVER, ASYNC_FIRST_EXCEPTION);
    print_sets("", self->ts, 2, " ");
    puts(boolean(async_future_cancelled(self->ts[1].future)));
    drop(self->ts, 2);
    /* FIRST_COMPLETED counts a cancelled one */
    add(&self->ts[0], async_create_task(CO(w, 2)), "a");
    add(&self->ts[1], async_create_task(CO(w, 9)), "b");
    async_loop_call_later(async_loop_of(co), NULL, U, cancel,
                          self->ts[1].future);
    AWAIT(async_wait, self->ts, 2, ASYNC_FOREVER, ASYNC_FIRST_COMPLETED);
    print_sets("", self->ts, 2, "\n");
    AWAIT(async_wait, self->ts, 2, ASYNC_FOREVER);
    drop(self->ts, 2);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
