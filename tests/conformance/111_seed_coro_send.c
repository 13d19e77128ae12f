#include "conformance.h"

struct func { ASYNC_RETURNS(int); };
static ASYNC(func)
{
    ASYNC_BEGIN(func);
    ASYNC_RETURN(1);
    ASYNC_END;
}

int main(void)
{
    async coro;
    async_new(&coro, NULL, CO(func));
    puts("coroutine");
    if (async_send(&coro) == 0) printf("%d\n", ASYNC_RESULT(&coro, func));
    puts(async_strerror(async_send(&coro)));
    return async_close(&coro);
}
