/* gcc: assignment to 'const char *' from 'int' */
/* clang: assigning to 'const char *' from 'int' */

/* The value of a typed future does not fit the place. */
#include <future.h>

typedef ASYNC_FUTURE(int) number;

struct wrong { ASYNC_FRAME; number *future; const char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_FUTURE_INTO(self->text, self->future);
    ASYNC_END;
}
