/* error: ASYNC_END_WITH ends another block than ASYNC_WITH */

/* A block with another one's END. */
#include <async/sync.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_timeout limit; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT(work, 1);
    } ASYNC_END_WITH
    ASYNC_END;
}
