/* An error that comes from a task to those who await it: the frames of each
 * task on its way. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct fail { ASYNC_FRAME; };
static ASYNC(fail)
{
    ASYNC_BEGIN(fail);
    ASYNC_SUSPEND;
    ASYNC_RAISE(ASYNC_ETIMEDOUT);
    ASYNC_END;
}

struct download { ASYNC_FRAME; };
static ASYNC(download)
{
    ASYNC_BEGIN(download);
    AWAIT(fail);
    ASYNC_END;
}

struct middle { ASYNC_FRAME; ASYNC_TASK_OF(download) task; };
static ASYNC(middle)
{
    ASYNC_BEGIN(middle);
    ASYNC_SPAWN(self->task, download);
    AWAIT_JOIN(self->task.task);
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(middle) task; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->task, middle);
    AWAIT_JOIN(self->task.task);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(program));
}
