/* gcc: 'n' may be used uninitialized */
/* clang: variable 'n' is uninitialized when used here */

/* A generator keeps its locals no more than a coroutine does. */
#include <async.h>

void use(int n);

struct wrong { ASYNC_YIELDS(int); int n; };
ASYNC(wrong)
{
    int n;
    ASYNC_BEGIN(wrong);
    n = self->n + 1;
    ASYNC_YIELD(n);
    use(n);
    ASYNC_END;
}
