/* gcc: may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* The head of ASYNC_WITH waits: a local that is set before is lost in its
 * body. */
#include <async/sync.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_lock lock; int n; };
ASYNC(wrong)
{
    int n;
    ASYNC_BEGIN(wrong);
    n = self->n + 1;
    ASYNC_WITH(async_lock, &self->lock) {
        use(n);
    } ASYNC_END_WITH
    ASYNC_END;
}
