/* error: a block before ASYNC_END has no END of its own */

/* An ASYNC_TIMEOUT without ASYNC_END_TIMEOUT. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_timeout limit; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT(work, 1);
    }
    ASYNC_END;
}
