/* gcc: may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* A local that is set before and read after an await in a block. */
#include <async/nursery.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_nursery nursery; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_NURSERY(&self->nursery) {
        int n = self->n + 1;
        AWAIT(work, n);
        use(n);
    } ASYNC_END_NURSERY
    ASYNC_END;
}
