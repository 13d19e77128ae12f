/* gcc: may be used uninitialized */
/* clang: variable 'i' may be uninitialized when used here */

/* The same, declared in the loop. */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    for (int i = 0; i < self->n; i++) AWAIT(work, i);
    ASYNC_END;
}
