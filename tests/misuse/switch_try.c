/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* A TRY whose FINALLY awaits nothing has labels all the same. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->n) {
    case 1:
        ASYNC_TRY {
            self->n = 2;
        } ASYNC_FINALLY {
            self->n = 3;
        } ASYNC_END_TRY
        break;
    default:
        break;
    }
    ASYNC_END;
}
