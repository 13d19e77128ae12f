#include "conformance.h"

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_task_cancel(async_current_task());
    printf("uncancel %d\n", async_task_uncancel(async_current_task()));
    ASYNC_TRY {
        AWAIT(async_sleep, 0);
        puts("not delivered");
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("delivered");
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
