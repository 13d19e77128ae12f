/* error: AWAIT_needs_ASYNC_BEGIN_before_it */

/* An await in a plain function. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

void plain(void);
void plain(void)
{
    AWAIT(work, 1);
}
