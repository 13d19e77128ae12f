/* gcc: may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* A local that is set before and read after an await in a block. */
#include <async/scope.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_scope scope; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        int n = self->n + 1;
        AWAIT(work, n);
        use(n);
    } ASYNC_END_SCOPE
    ASYNC_END;
}
