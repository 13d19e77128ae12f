/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* An await inside a switch of the user's: resuming cannot enter that. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->n) {
    case 1:
        AWAIT(work, 1);
        break;
    default:
        AWAIT(work, 2);
    }
    ASYNC_END;
}
