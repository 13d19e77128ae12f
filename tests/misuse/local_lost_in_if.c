/* gcc: 'n' may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* The await is on one of two ways to where the local is read. */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    int n;
    ASYNC_BEGIN(wrong);
    n = self->n + 1;
    if (self->n > 0) AWAIT(work, n);
    use(n);
    ASYNC_END;
}
