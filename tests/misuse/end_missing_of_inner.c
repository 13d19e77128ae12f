/* error: a block before ASYNC_END has no END of its own */

/* The inner one of two blocks without its END. */
#include <async/sync.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_lock lock; async_timeout limit; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_WITH(async_lock, &self->lock) {
        ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
            AWAIT(work, 1);
        }
    } ASYNC_END_WITH
    ASYNC_END;
}
