/* gcc: expected expression */
/* clang: expected expression */

/* An await as an expression: it is a statement. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    if (AWAIT(work, 1)) ASYNC_RETURN();
    ASYNC_END;
}
