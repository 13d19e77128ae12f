/* trap: an AWAIT stands inside a switch */
/* flags: -DASYNC_NO_SWITCH_CHECK */

/* An await in a switch over an int, with the check turned off. */
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
