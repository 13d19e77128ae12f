/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* The same over a char. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; char c; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->c) {
    case 'a':
        AWAIT(work, 1);
        break;
    default:
        break;
    }
    ASYNC_END;
}
