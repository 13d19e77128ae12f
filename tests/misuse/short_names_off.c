/* error: implicit declaration of function */
/* flags: -DASYNC_NO_SHORT_NAMES -Werror */

/* Without short names AWAIT is nothing that is known. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_AWAIT(work, 1);
    AWAIT(work, 1);
    ASYNC_END;
}
