/* error: AWAIT_needs_ASYNC_BEGIN_before_it */

/* An await above ASYNC_BEGIN. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    AWAIT(work, 1);
    ASYNC_BEGIN(wrong);
    ASYNC_END;
}
