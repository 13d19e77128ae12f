#include "conformance.h"

struct left { ASYNC_FRAME; };
static ASYNC(left)
{
    ASYNC_BEGIN(left);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("left cancelled");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_task_release(async_create_task(CO(left)));
    AWAIT(async_sleep, 0);
    ASYNC_RAISE(E_KEY);
    ASYNC_END;
}

struct program2 { ASYNC_FRAME; };
static ASYNC(program2)
{
    ASYNC_BEGIN(program2);
    async_task_cancel(async_current_task());
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    if (run(CO(program)) == E_KEY) puts("KeyError k");
    if (run(CO(program2)) == ASYNC_ECANCELED) puts("CancelledError out of run");
    return 0;
}
