/* error: a block before ASYNC_END has no END of its own */

/* An ASYNC_TASK_GROUP without ASYNC_END_TASK_GROUP. */
#include <async/group.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_task_group group; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(work, 1));
    }
    ASYNC_END;
}
