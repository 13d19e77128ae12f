/* gcc: assignment to 'struct answer *' from incompatible pointer type 'struct work *' */
/* clang: assigning to 'struct answer *' from 'struct work *' */

/* A member of a group in a handle that was declared for another coroutine. */
#include <async/nursery.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);

struct wrong { ASYNC_FRAME; async_nursery nursery; ASYNC_TASK_OF(answer) task; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_NURSERY(&self->nursery) {
        ASYNC_NURSERY_SPAWN(self->task, &self->nursery, work, 1);
    } ASYNC_END_NURSERY
    ASYNC_END;
}
