/* gcc: 'struct wrok' */
/* clang: 'struct wrok' */

/* A name with a slip of the pen. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(wrok, 1);
    ASYNC_END;
}
