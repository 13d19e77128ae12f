/* Errors that nobody has taken: of a task whose last handle is released, and
 * of a future that is destroyed.  One that is asked for is not reported. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct fail { ASYNC_FRAME; int error; };
static ASYNC(fail)
{
    ASYNC_BEGIN(fail);
    ASYNC_SUSPEND;
    ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(fail) task; async_future future; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    /* fire and forget */
    ASYNC_SPAWN(self->task, fail, ASYNC_EINVAL);
    async_task_release(self->task.task);
    ASYNC_SPAWN(self->task, fail, ASYNC_EBUSY);
    async_task_set_name(self->task.task, "background");
    AWAIT(async_sleep, ASYNC_MS(1));
    async_task_release(self->task.task);
    /* asked for */
    ASYNC_SPAWN(self->task, fail, ASYNC_EBUSY);
    AWAIT(async_sleep, ASYNC_MS(1));
    (void)async_task_result(self->task.task);
    async_task_release(self->task.task);

    async_future_init(&self->future, async_loop_of(co));
    async_future_set_exception(&self->future, ASYNC_ETIMEDOUT);
    async_future_destroy(&self->future);
    async_future_init(&self->future, async_loop_of(co));
    async_future_set_exception(&self->future, ASYNC_ETIMEDOUT);
    (void)async_future_result(&self->future);
    async_future_destroy(&self->future);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(program));
}
