/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* The same over an enum. */
#include <async.h>

enum colour { RED, GREEN };
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; enum colour colour; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->colour) {
    case RED:
        AWAIT(work, 1);
        break;
    case GREEN:
        break;
    }
    ASYNC_END;
}
