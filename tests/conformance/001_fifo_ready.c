#include "conformance.h"

static any_loop loop;

static int a2(void *arg)
{
    (void)arg;
    puts("a2");
    return async_loop_call_soon(&loop.base, NULL, stop_loop, &loop.base);
}
static int a(void *arg)
{
    (void)arg;
    puts("a");
    return async_loop_call_soon(&loop.base, NULL, a2, NULL);
}
static int b2(void *arg)
{
    (void)arg;
    puts("b2");
    return 0;
}
static int b(void *arg)
{
    (void)arg;
    puts("b");
    return async_loop_call_soon(&loop.base, NULL, b2, NULL);
}

int main(void)
{
    any_loop_init(&loop);
    async_loop_call_soon(&loop.base, NULL, a, NULL);
    async_loop_call_soon(&loop.base, NULL, b, NULL);
    async_loop_call_soon(&loop.base, NULL, print_line, "c 1 2");
    async_loop_run_forever(&loop.base);
    return async_loop_close(&loop.base);
}
