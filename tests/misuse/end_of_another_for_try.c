/* error: ASYNC_END_TIMEOUT ends another block than ASYNC_TIMEOUT */

/* A TRY with another block's END. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TRY {
        AWAIT(work, 1);
    } ASYNC_FINALLY {
        AWAIT(work, 2);
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}
