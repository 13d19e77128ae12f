/* error: a block before ASYNC_END has no END of its own */

/* A TRY without ASYNC_END_TRY. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int error; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TRY {
        AWAIT(work, 1);
    } ASYNC_EXCEPT_ANY(self->error) {
        AWAIT(work, 2);
    }
    ASYNC_END;
}
