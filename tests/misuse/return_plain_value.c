/* gcc: incompatible types when returning type 'int' but 'async_status' was expected */
/* clang: returning 'int' from a function with incompatible result type 'async_status' */

/* C's return in the place of ASYNC_RETURN. */
#include <async.h>

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    return 0;
    ASYNC_END;
}
