/* gcc: may be used uninitialized */
/* clang: variable 'sum' may be uninitialized when used here */

/* A local gathers what a loop of awaits comes to. */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    int sum = 0;
    for (; self->n > 0; self->n--) {
        AWAIT(work, self->n);
        sum += self->n;
    }
    use(sum);
    ASYNC_END;
}
