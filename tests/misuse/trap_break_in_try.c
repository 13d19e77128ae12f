/* trap: break or continue outside a loop */

/* A break in an arm of a TRY leaves the loop around that; here is none. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct nap { ASYNC_FRAME; };
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    ASYNC_SUSPEND;
    ASYNC_END;
}

struct wrong { ASYNC_FRAME; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TRY {
        AWAIT(nap);
        break;
    } ASYNC_FINALLY {
        AWAIT(nap);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
