/* error: a block before ASYNC_END has no END of its own */

/* An ASYNC_FOR without ASYNC_END_FOR. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct numbers { ASYNC_YIELDS(int); };
ASYNC(numbers);

struct wrong { ASYNC_FRAME; struct numbers some; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_FOR(self->n, &self->some) {
        AWAIT(work, self->n);
    }
    ASYNC_END;
}
