/* error: a block before ASYNC_END has no END of its own */

/* An ASYNC_NURSERY without ASYNC_END_NURSERY. */
#include <async/nursery.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_nursery nursery; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(work, 1));
    }
    ASYNC_END;
}
