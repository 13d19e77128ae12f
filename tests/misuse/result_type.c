/* gcc: assignment to 'const char *' from 'int' */
/* clang: assigning to 'const char *' from 'int' */

/* The result does not fit the place. */
#include <async.h>

struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);

struct wrong { ASYNC_FRAME; const char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_INTO(self->text, answer, 1);
    ASYNC_END;
}
