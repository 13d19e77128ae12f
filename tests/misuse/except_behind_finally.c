/* gcc: 'else' without a previous 'if' */
/* clang: expected expression */

/* The arms of a TRY stand in the wrong order. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TRY {
        AWAIT(work, 1);
    } ASYNC_FINALLY {
        AWAIT(work, 2);
    } ASYNC_EXCEPT(ASYNC_EINVAL) {
        AWAIT(work, 3);
    } ASYNC_END_TRY
    ASYNC_END;
}
