/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* A block in a switch has labels, even if it awaits nothing itself. */
#include <async/nursery.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_nursery nursery; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->n) {
    case 1:
        ASYNC_NURSERY(&self->nursery) {
            self->n = 2;
        } ASYNC_END_NURSERY
        break;
    default:
        break;
    }
    ASYNC_END;
}
