/* trap: break or continue outside a loop */

/* A continue in a body, outside of any loop. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct nap { ASYNC_FRAME; };
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    ASYNC_SUSPEND;
    ASYNC_END;
}

struct wrong { ASYNC_FRAME; int n; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(nap);
    if (self->n == 0) continue;
    AWAIT(nap);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
