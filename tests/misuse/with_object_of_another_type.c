/* gcc: 'async_semaphore *' from incompatible pointer type 'async_lock *' */
/* clang: incompatible pointer types initializing 'async_semaphore *' */

/* An object of another type than is said. */
#include <async/sync.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_lock lock; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_WITH(async_semaphore, &self->lock) {
        AWAIT(work, 1);
    } ASYNC_END_WITH
    ASYNC_END;
}
