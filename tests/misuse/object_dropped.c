/* gcc: ignoring return value of 'async__object' */
/* clang: ignoring return value */
/* include: -I */
/* flags: -Werror=unused-result */

/* A coroutine object that nobody takes: Python's "never awaited".  It is a
 * warning by default.  (With -isystem clang warns too, and gcc does not.) */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

void plain(void);
void plain(void)
{
    CO(work, 1);
}
