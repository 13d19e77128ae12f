/* A runner keeps one loop and one context over several runs; use after close.
 * (What is no coroutine does not compile in C; a future is refused instead.) */
#include "conformance.h"

#include "../../async/context.h"

static ASYNC_CONTEXTVAR(int) v = ASYNC_CONTEXTVAR_INIT("v", 0);

struct setv { ASYNC_RETURNS(async_loop *); int x; };
static ASYNC(setv)
{
    ASYNC_BEGIN(setv);
    ASYNC_CONTEXTVAR_SET(&v, self->x);
    ASYNC_RETURN(async_get_running_loop());
    ASYNC_END;
}

struct getv { ASYNC_RETURNS(int); };
static ASYNC(getv)
{
    ASYNC_BEGIN(getv);
    ASYNC_RETURN(ASYNC_CONTEXTVAR_GET(&v));
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    async_runner r;
    async_loop *l1 = NULL;
    async_future future;
    int value = 0, error;
    any_loop_init(&loop);
    async_runner_init(&r, &loop.base);
    ASYNC_RUNNER_RUN_INTO(l1, &r, setv, 5);
    ASYNC_RUNNER_RUN_INTO(value, &r, getv);
    printf("ctx kept %d\n", value);
    printf("outer ctx %d\n", ASYNC_CONTEXTVAR_GET(&v));
    printf("same loop %s\n", boolean(l1 == async_runner_get_loop(&r)));
    async_future_init(&future, l1);
    if (async_runner_run(&r, async_future_object(&future)) == ASYNC_EINVAL)
        puts("bad arg");
    async_runner_close(&r);
    printf("closed %s\n", boolean(async_loop_is_closed(l1)));
    error = async_runner_run(&r, CO(getv));
    puts(async_strerror(error));
    if (async_runner_close(&r) == 0) puts("close twice ok");
    return 0;
}
