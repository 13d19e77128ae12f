/* A loop is closed over a task that has not ended, over a handle that has not
 * been released, and asyncio.run() over tasks that fail when cancelled. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct sleeper { ASYNC_FRAME; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    AWAIT(async_sleep, ASYNC_SECONDS(60));
    ASYNC_END;
}

struct stubborn { ASYNC_FRAME; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(60));
    } ASYNC_FINALLY {
        ASYNC_RAISE(ASYNC_EINVAL);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct leaves { ASYNC_FRAME; ASYNC_TASK_OF(stubborn) task; };
static ASYNC(leaves)
{
    ASYNC_BEGIN(leaves);
    ASYNC_SPAWN(self->task, stubborn);
    async_task_release(self->task.task);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}

int main(void)
{
    async_virtual_loop loop;
    async_task *task;
    async_virtual_loop_init(&loop, NULL);
    task = async_loop_create_task(&loop.base, CO(sleeper));
    async_loop_run_until_complete(&loop.base, CO(async_sleep, ASYNC_MS(1)));
    async_task_set_name(task, "sleeper");
    async_loop_close(&loop.base);
    return async_virtual_run(CO(leaves));
}
