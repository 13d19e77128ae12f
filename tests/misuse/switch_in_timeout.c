/* gcc: changes value from */
/* clang: AWAIT_cannot_stand_in_a_switch */

/* An await in a switch of one's own, in a block. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_timeout limit; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        switch (self->n) {
        case 1:
            AWAIT(work, 1);
            break;
        default:
            break;
        }
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}
