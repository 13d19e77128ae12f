/* trap: a future was destroyed before those who awaited it had run */

/* A future is destroyed when its waiter has been woken, but has not run: it
 * lives in the frame of a coroutine that ends too early. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct waiter { ASYNC_FRAME; async_future *future; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    AWAIT_FUTURE(self->future);
    ASYNC_END;
}

struct wrong {
    ASYNC_FRAME;
    ASYNC_TASK_OF(waiter) task;
    async_future future;
};
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    async_future_init(&self->future, async_loop_of(co));
    ASYNC_SPAWN(self->task, waiter, &self->future);
    ASYNC_SUSPEND;
    async_future_set_result(&self->future);
    async_future_destroy(&self->future);
    AWAIT_JOIN(self->task.task);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
