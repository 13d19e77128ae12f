/* gcc: 'n' may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* The await is in the body of a TRY, the local is read in its FINALLY. */
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
    ASYNC_TRY {
        AWAIT(work, 1);
    } ASYNC_FINALLY {
        use(n);
    } ASYNC_END_TRY
    ASYNC_END;
}
