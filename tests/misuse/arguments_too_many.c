/* gcc: excess elements in struct initializer */
/* clang: excess elements in struct initializer */
/* flags: -Werror */

/* More arguments than the struct has members.  Clang makes it an error by
 * itself; gcc warns, always, but lets no header turn that into an error. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(work, 1, 2);
    ASYNC_END;
}
