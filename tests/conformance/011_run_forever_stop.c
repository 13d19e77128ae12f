#include "conformance.h"

static any_loop loop;

static int a(void *arg)
{
    (void)arg;
    puts("a");
    async_loop_stop(&loop.base);
    return async_loop_call_soon(&loop.base, NULL, print_line, "next run");
}

int main(void)
{
    any_loop_init(&loop);
    async_loop_call_soon(&loop.base, NULL, a, NULL);
    async_loop_call_soon(&loop.base, NULL, print_line, "b same iteration");
    async_loop_run_forever(&loop.base);
    printf("returned %s\n", boolean(async_loop_is_running(&loop.base)));
    async_loop_call_soon(&loop.base, NULL, stop_loop, &loop.base);
    async_loop_run_forever(&loop.base);
    puts("returned2");
    return async_loop_close(&loop.base);
}
