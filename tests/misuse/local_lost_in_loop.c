/* gcc: 'i' may be used uninitialized */
/* clang: variable 'i' may be uninitialized when used here */

/* A local counts the turns of a loop that awaits. */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    int i;
    ASYNC_BEGIN(wrong);
    for (i = 0; i < self->n; i++) AWAIT(work, i);
    ASYNC_END;
}
