/* flags: -DASYNC_NO_TRACEBACK */

/* Without tracebacks the reports are lines without frames. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct fail { ASYNC_FRAME; };
static ASYNC(fail)
{
    ASYNC_BEGIN(fail);
    ASYNC_SUSPEND;
    ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(fail) task; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->task, fail);
    async_task_release(self->task.task);
    AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(fail);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(program));
}
