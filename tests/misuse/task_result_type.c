/* gcc: assignment to 'const char *' from 'int' */
/* clang: assigning to 'const char *' from 'int' */

/* The result of a task does not fit the place. */
#include <task.h>

struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);

struct wrong { ASYNC_FRAME; ASYNC_TASK_OF(answer) task; const char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_SPAWN(self->task, answer, 1);
    AWAIT_JOIN_INTO(self->text, self->task);
    ASYNC_END;
}
