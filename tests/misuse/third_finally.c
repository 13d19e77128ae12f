/* error: make the inner one a coroutine of its own */

/* A FINALLY in a FINALLY has a place to keep what it interrupted; a third has
 * none. */
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
        ASYNC_TRY {
            AWAIT(work, 2);
        } ASYNC_FINALLY {
            ASYNC_TRY {
                AWAIT(work, 3);
            } ASYNC_FINALLY {
                AWAIT(work, 4);
            } ASYNC_END_TRY
        } ASYNC_END_TRY
    } ASYNC_END_TRY
    ASYNC_END;
}
