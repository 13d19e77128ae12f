/* trap: break or continue outside a loop */

/* A break in an ASYNC_WITH leaves the loop around that; here is none. */
#define ASYNC_IMPLEMENTATION
#include <async/sync.h>
#include <async/test/virtual.h>

struct wrong { ASYNC_FRAME; async_lock lock; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_WITH(async_lock, &self->lock) {
        AWAIT(async_sleep, 0);
        break;
    } ASYNC_END_WITH
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
