/* error: this coroutine returns nothing: declare its frame with ASYNC_RETURNS(type) */

/* A result from a coroutine that was declared to have none. */
#include <async.h>

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_RETURN(1);
    ASYNC_END;
}
