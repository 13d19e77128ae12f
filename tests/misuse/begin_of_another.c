/* error: async__frame_of_work */

/* ASYNC_BEGIN names another coroutine, as a copy of one is apt to do. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(work);
    AWAIT(work, 1);
    ASYNC_END;
}
