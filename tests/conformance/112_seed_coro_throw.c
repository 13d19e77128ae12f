#include "conformance.h"

struct f { ASYNC_RETURNS(int); };
static ASYNC(f)
{
    ASYNC_BEGIN(f);
    ASYNC_TRY {
        for (;;) AWAIT(async_sleep, 0);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("cancel");
    } ASYNC_ELSE {
        ASYNC_RETURN(111);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct g { ASYNC_FRAME; };
static ASYNC(g)
{
    ASYNC_BEGIN(g);
    ASYNC_TRY {
        AWAIT(async_sleep, 0);
    } ASYNC_FINALLY {
        puts("finally g");
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    async coro;
    async_new(&coro, NULL, CO(f));
    async_send(&coro);
    if (async_throw(&coro, ASYNC_ECANCELED) == 0) puts("StopIteration None");
    async_close(&coro);

    async_new(&coro, NULL, CO(g));
    async_send(&coro);
    if (async_throw(&coro, ASYNC_ECANCELED) == ASYNC_ECANCELED)
        puts("CancelledError out");
    async_close(&coro);
    async_new(&coro, NULL, CO(g));
    async_send(&coro);
    async_close(&coro);
    async_new(&coro, NULL, CO(g));
    async_close(&coro);
    puts("closed unstarted: no finally");
    async_new(&coro, NULL, CO(g));
    if (async_throw(&coro, E_KEY) == E_KEY)
        puts("thrown into unstarted: no finally");
    async_close(&coro);
    return 0;
}
