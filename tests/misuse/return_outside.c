/* error: AWAIT_needs_ASYNC_BEGIN_before_it */

/* ASYNC_RETURN in a plain function. */
#include <async.h>

void plain(void);
void plain(void)
{
    ASYNC_RETURN();
}
