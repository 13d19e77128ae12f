/* trap: an AWAIT stands inside a switch */

/* An await in a switch over 64 bits: the labels fit, so that the compiler does
 * not see it. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct nap { ASYNC_FRAME; };
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    ASYNC_SUSPEND;
    ASYNC_END;
}

struct wrong { ASYNC_FRAME; long long n; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    switch (self->n) {
    case 0:
        AWAIT(nap);
        break;
    }
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
