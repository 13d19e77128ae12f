/* trap: an error code must be negative */

/* ASYNC_RAISE of an errno as it is, not negated. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct wrong { ASYNC_FRAME; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_RAISE(EINVAL);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
