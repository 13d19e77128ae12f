/* error: ASYNC_FRAME must be the first member of the struct */

/* The arguments stand before ASYNC_FRAME. */
#include <async.h>

struct wrong { int n; ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_SUSPEND;
    ASYNC_END;
}
