/* gcc: has no member named 'result' */
/* clang: no member named 'result' */

/* The result of a task that has none. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; ASYNC_TASK_OF(work) task; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_SPAWN(self->task, work, 1);
    AWAIT_JOIN_INTO(self->n, self->task);
    ASYNC_END;
}
