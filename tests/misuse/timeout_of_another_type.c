/* gcc: from incompatible pointer type */
/* clang: to parameter of type 'async_timeout *' */

/* A timeout's struct that is none: the duration alone is not enough. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_duration limit; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT(work, 1);
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}
