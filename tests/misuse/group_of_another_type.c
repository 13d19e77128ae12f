/* gcc: from incompatible pointer type */
/* clang: to parameter of type 'async_task_group *' */

/* A group that is none. */
#include <async/group.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_timeout group; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TASK_GROUP(&self->group) {
        AWAIT(work, 1);
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}
