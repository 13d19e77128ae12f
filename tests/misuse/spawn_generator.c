/* error: this is a generator: iterate it with ASYNC_FOR */

/* A generator cannot be a task. */
#include <task.h>

struct count { ASYNC_YIELDS(int); int to; };
ASYNC(count);

struct wrong { ASYNC_FRAME; ASYNC_TASK_OF(count) task; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_SPAWN(self->task, count, 3);
    ASYNC_END;
}
