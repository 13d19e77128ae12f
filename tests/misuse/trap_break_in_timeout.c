/* trap: break or continue outside a loop */

/* A break in an ASYNC_TIMEOUT leaves the loop around that; here is none. */
#define ASYNC_IMPLEMENTATION
#include <task.h>
#include <async/test/virtual.h>

struct wrong { ASYNC_FRAME; async_timeout limit; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT(async_sleep, 0);
        break;
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
