/* trap: a future was destroyed that a gather, a shield or a wait still holds */

/* The shield will look at the future when its task runs next. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct waiter { ASYNC_FRAME; async_future *future; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    AWAIT(async_shield, async_future_object(self->future));
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
    async_future_destroy(&self->future);
    AWAIT_JOIN(self->task.task);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
