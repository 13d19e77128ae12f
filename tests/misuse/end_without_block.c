/* error: ASYNC_END_WITH ends another block than ASYNC_WITH */

/* An END of no block at all. */
#include <async/sync.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(work, 1);
    ASYNC_END_WITH
    ASYNC_END;
}
