/* error: only a generator can yield: declare its frame with ASYNC_YIELDS(type) */

/* ASYNC_YIELD in what was not declared to be a generator. */
#include <async.h>

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_YIELD(1);
    ASYNC_END;
}
