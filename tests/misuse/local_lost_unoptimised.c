/* gcc: switch jumps over variable initialization */
/* clang: variable 'n' may be uninitialized when used here */
/* flags: -O0 */
/* include: -I */

/* Without optimisation gcc looks for locals that are declared in the body, and
 * not at all when it takes these headers for the system's (-isystem). */
#include <async.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    int n = self->n + 1;
    AWAIT(work, n);
    use(n);
    ASYNC_END;
}
