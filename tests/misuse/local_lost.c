/* gcc: 'n' may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* A local is set before an await and read after it: put it in the struct. */
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
    AWAIT(work, n);
    use(n);
    ASYNC_END;
}
