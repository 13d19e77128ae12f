/* error: this is a generator: iterate it with ASYNC_FOR */

/* A generator is iterated, not awaited. */
#include <async.h>

struct count { ASYNC_YIELDS(int); int to; };
ASYNC(count);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(count, 3);
    ASYNC_END;
}
