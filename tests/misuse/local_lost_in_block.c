/* gcc: may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* The same, in a block around the await. */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    {
        int n = self->n + 1;
        AWAIT(work, n);
        use(n);
    }
    ASYNC_END;
}
