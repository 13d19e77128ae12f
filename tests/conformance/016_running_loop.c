#include "conformance.h"

static async_loop *seen;
static int was_running, is_closed;

struct nothing { ASYNC_FRAME; };
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
    ASYNC_END;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    seen = async_get_running_loop();
    printf("inside %s %s\n", boolean(async_loop_is_running(seen)),
           boolean(seen == async_loop_of(co)));
    printf("nested: %s\n", async_strerror(run(CO(nothing))));
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    async_object no_coroutine;
    memset(&no_coroutine, 0, sizeof no_coroutine);
    if (async_get_running_loop() == NULL)
        printf("outside: %s\n", async_strerror(ASYNC_ENOLOOP));
    /* asyncio.run(), with a loop that can be asked afterwards */
    any_loop_init(&loop);
    async_run_on(&loop.base, CO(program));
    was_running = async_loop_is_running(&loop.base);
    async_loop_close(&loop.base);
    is_closed = async_loop_is_closed(&loop.base);
    printf("after %s %s\n", boolean(was_running), boolean(is_closed));
    if (run(no_coroutine) == ASYNC_EINVAL) puts("bad arg");
    if (async_create_task(CO(nothing)) == NULL)
        printf("create_task: %s\n", async_strerror(async_last_error()));
    return 0;
}
