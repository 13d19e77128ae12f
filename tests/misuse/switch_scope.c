/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* A block in a switch has labels, even if it awaits nothing itself. */
#include <async/scope.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_scope scope; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->n) {
    case 1:
        ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
            self->n = 2;
        } ASYNC_END_SCOPE
        break;
    default:
        break;
    }
    ASYNC_END;
}
