/* trap: break or continue outside a loop */

/* A break in a scope leaves the loop around that; here is none. */
#define ASYNC_IMPLEMENTATION
#include <async/scope.h>
#include <async/test/virtual.h>

struct wrong { ASYNC_FRAME; async_scope scope; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT(async_sleep, 0);
        break;
    } ASYNC_END_SCOPE
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
