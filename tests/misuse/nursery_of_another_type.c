/* gcc: from incompatible pointer type */
/* clang: to parameter of type 'async_nursery *' */

/* A task group in the place of a nursery. */
#include <async/nursery.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_task_group nursery; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_NURSERY(&self->nursery) {
        AWAIT(work, 1);
    } ASYNC_END_NURSERY
    ASYNC_END;
}
