/* gcc: assignment to 'struct answer *' from incompatible pointer type 'struct work *' */
/* clang: assigning to 'struct answer *' from 'struct work *' */

/* A member of a group in a handle that was declared for another coroutine. */
#include <async/group.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);

struct wrong { ASYNC_FRAME; async_task_group group; ASYNC_TASK_OF(answer) task; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TASK_GROUP(&self->group) {
        ASYNC_GROUP_SPAWN(self->task, &self->group, work, 1);
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}
