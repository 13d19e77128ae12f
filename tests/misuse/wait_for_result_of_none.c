/* error: this coroutine returns nothing: declare its frame with ASYNC_RETURNS(type) */

/* A result, with a limit in time, of a coroutine that returns nothing. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(1), work, 1);
    ASYNC_END;
}
