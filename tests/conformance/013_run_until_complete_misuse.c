#include "conformance.h"

static any_loop loop;

struct inner { ASYNC_RETURNS(int); };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    static any_loop other;
    ASYNC_BEGIN(program);
    printf("nested: %s\n", async_strerror(async_loop_run_until_complete(
                               async_loop_of(co), CO(inner))));
    any_loop_init(&other);
    printf("other: %s\n", async_strerror(async_loop_run_until_complete(
                              &other.base, CO(inner))));
    async_loop_close(&other.base);
    printf("close: %s\n", async_strerror(async_loop_close(async_loop_of(co))));
    ASYNC_END;
}

int main(void)
{
    async_future f;
    any_loop_init(&loop);
    async_loop_run_until_complete(&loop.base, CO(program));
    async_future_init(&f, &loop.base);
    async_loop_call_soon(&loop.base, NULL, stop_loop, &loop.base);
    printf("stopped: %s\n", async_strerror(async_loop_run_until_complete(
                                &loop.base, async_future_object(&f))));
    async_future_cancel(&f);
    printf("closed %s\n", boolean(async_loop_is_closed(&loop.base)));
    async_loop_close(&loop.base);
    async_loop_close(&loop.base);
    printf("closed %s\n", boolean(async_loop_is_closed(&loop.base)));
    printf("closed: %s\n", async_strerror(async_loop_run_until_complete(
                               &loop.base, CO(inner))));
    printf("call_soon: %s\n", async_strerror(async_loop_call_soon(
                                  &loop.base, NULL, print_line, "1")));
    printf("call_later: %s\n",
           async_strerror(async_loop_call_later(
               &loop.base, NULL, ASYNC_SECONDS(1), print_line, "1")));
    return 0;
}
