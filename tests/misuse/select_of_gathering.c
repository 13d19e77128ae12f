/* gcc: incompatible pointer type */
/* clang: incompatible pointer types */

/* A gathering in the place of a selection. */
#include <async/select.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_gathering all; size_t who; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_SELECT_INTO(self->who, &self->all, CO(work, 1), CO(work, 2));
    ASYNC_END;
}
