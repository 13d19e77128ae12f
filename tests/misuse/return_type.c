/* gcc: assignment to 'int' from 'char *' */
/* clang: assigning to 'int' from 'char[4]' */

/* A result of another type than was declared. */
#include <async.h>

struct wrong { ASYNC_RETURNS(int); };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_RETURN("one");
    ASYNC_END;
}
