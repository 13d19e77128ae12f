/* gcc: initialization of 'int' from 'char *' */
/* clang: initializing 'int' with an expression of type 'char[4]' */

/* A string where the coroutine takes an int. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(work, "one");
    ASYNC_END;
}
