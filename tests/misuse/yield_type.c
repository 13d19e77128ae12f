/* gcc: assignment to 'int' from 'char *' */
/* clang: assigning to 'int' from 'char[4]' */

/* A value of another type than the generator yields. */
#include <async.h>

struct wrong { ASYNC_YIELDS(int); };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_YIELD("one");
    ASYNC_END;
}
