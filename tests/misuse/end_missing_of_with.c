/* error: a block before ASYNC_END has no END of its own */

/* An ASYNC_WITH without ASYNC_END_WITH. */
#include <async/sync.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_lock lock; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_WITH(async_lock, &self->lock) {
        AWAIT(work, 1);
    }
    ASYNC_END;
}
