/* gcc: 'return' with no value, in function returning non-void */
/* clang: non-void function 'wrong' should return a value */

/* C's return in the place of ASYNC_RETURN. */
#include <async.h>

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    if (self->n == 0) return;
    ASYNC_SUSPEND;
    ASYNC_END;
}
