#include "conformance.h"

#include "../../async/limiter.h"
#include "../../async/nursery.h"

/* trio's Lock knows its owner; asyncio's does not: a limiter of one token does.
 * What need not wait does not suspend, as in asyncio: a checkpoint stands
 * behind it. */
static ASYNC_LIMITER(1) lock;
static async_event ev;

/* Counts iterations, for assert_checkpoints(). */
static int iterations;
struct ticks { ASYNC_FRAME; };
static ASYNC(ticks)
{
    ASYNC_BEGIN(ticks);
    for (;;) {
        iterations++;
        AWAIT(async_sleep, 0);
    }
    ASYNC_END;
}
static void assert_checkpoints(int before)
{
    if (iterations == before) puts("no checkpoint");
}
static void assert_no_checkpoints(int before)
{
    if (iterations != before) puts("a checkpoint");
}

struct other { ASYNC_FRAME; };
static ASYNC(other)
{
    ASYNC_BEGIN(other);
    if (async_limiter_release(&lock.limiter) == ASYNC_ENOTBORROWED)
        puts("RuntimeError not owner");
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_nursery n;
    async_scope scope;
    async_task *ticks;
    int before;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->ticks = async_create_task(CO(ticks));
    ASYNC_LIMITER_INIT(&lock, 1);
    async_event_set(&ev);
    self->before = iterations;
    AWAIT(async_event_wait, &ev);
    AWAIT(async_checkpoint);
    assert_checkpoints(self->before);
    self->before = iterations;
    AWAIT(async_limiter_acquire, &lock.limiter);
    AWAIT(async_checkpoint);
    assert_checkpoints(self->before);
    async_limiter_release(&lock.limiter);
    self->before = iterations;
    async_limiter_acquire_nowait(&lock.limiter);
    assert_no_checkpoints(self->before);
    if (async_limiter_acquire_nowait(&lock.limiter) == ASYNC_EBORROWED)
        puts("RuntimeError");
    ASYNC_NURSERY(&self->n) {
        async_nursery_spawn(&self->n, CO(other));
    }
    ASYNC_END_NURSERY
    ASYNC_SCOPE(&self->scope) {
        async_scope_cancel(&self->scope);
        AWAIT(async_checkpoint);
        puts("never");
    }
    ASYNC_END_SCOPE
    printf("cancelled %s\n",
           boolean(async_scope_cancelled_caught(&self->scope)));
    async_task_cancel(self->ticks);
    async_task_release(self->ticks);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
