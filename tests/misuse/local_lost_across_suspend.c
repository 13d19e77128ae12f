/* gcc: 'n' may be used uninitialized */
/* clang: variable 'n' is uninitialized when used here */

/* ASYNC_SUSPEND is an await too. */
#include <async.h>

void use(int n);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    int n;
    ASYNC_BEGIN(wrong);
    n = self->n + 1;
    ASYNC_SUSPEND;
    use(n);
    ASYNC_END;
}
