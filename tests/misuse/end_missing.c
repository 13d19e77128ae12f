/* error: ASYNC_END_is_missing */

/* A body without ASYNC_END.  (One that never awaits is told only of the
 * brace that is missing.) */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(work, 1);
}
