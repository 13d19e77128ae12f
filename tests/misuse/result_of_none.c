/* error: this coroutine returns nothing: declare its frame with ASYNC_RETURNS(type) */

/* AWAIT_INTO of a coroutine that returns nothing. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_INTO(self->n, work, 1);
    ASYNC_END;
}
