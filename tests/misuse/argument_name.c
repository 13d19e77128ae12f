/* gcc: 'struct work' has no member named 'm' */
/* clang: field designator 'm' does not refer to any field in type 'struct work' */

/* An argument by a name that the coroutine does not have. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(work, .m = 1);
    ASYNC_END;
}
