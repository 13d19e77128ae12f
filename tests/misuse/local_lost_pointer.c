/* gcc: 'p' may be used uninitialized */
/* clang: variable 'p' may be uninitialized when used here */

/* A pointer is lost like a number.  (What clang does not see: a pointer to
 * const that is passed straight to a function, a struct, an array.) */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    int *p;
    ASYNC_BEGIN(wrong);
    p = &self->n;
    AWAIT(work, 1);
    use(*p);
    ASYNC_END;
}
