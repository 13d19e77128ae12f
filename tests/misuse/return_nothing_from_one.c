/* error: this coroutine returns a value: ASYNC_RETURN(value) */

/* No result from a coroutine that was declared to have one. */
#include <async.h>

struct wrong { ASYNC_RETURNS(int); };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_RETURN();
    ASYNC_END;
}
