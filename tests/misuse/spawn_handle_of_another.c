/* gcc: assignment to 'struct answer *' from incompatible pointer type 'struct work *' */
/* clang: assigning to 'struct answer *' from 'struct work *' */

/* A task in a handle that was declared for another coroutine. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);
struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);

struct wrong { ASYNC_FRAME; ASYNC_TASK_OF(answer) task; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_SPAWN(self->task, work, 1);
    ASYNC_END;
}
