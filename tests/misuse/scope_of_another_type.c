/* gcc: from incompatible pointer type */
/* clang: to parameter of type 'async_scope *' */

/* A scope that is none. */
#include <async/scope.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_timeout scope; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT(work, 1);
    } ASYNC_END_SCOPE
    ASYNC_END;
}
