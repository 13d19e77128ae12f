/* gcc: assignment to 'const char *' from 'int' */
/* clang: assigning to 'const char *' from 'int' */

/* The place of a loop is of another type than the generator yields. */
#include <async.h>

struct count { ASYNC_YIELDS(int); int to; };
ASYNC(count);

struct wrong { ASYNC_FRAME; struct count numbers; const char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    self->numbers = ASYNC_GENERATOR(count, 3);
    ASYNC_FOR(self->text, &self->numbers) {
    } ASYNC_END_FOR
    ASYNC_END;
}
