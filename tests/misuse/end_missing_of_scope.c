/* error: a block before ASYNC_END has no END of its own */

/* An ASYNC_MOVE_ON_AFTER without ASYNC_END_SCOPE. */
#include <async/scope.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_scope scope; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT(work, 1);
    }
    ASYNC_END;
}
