#include "conformance.h"

static any_loop loop;

static int handler(async_loop *l, const async_exception_context *context,
                   void *name)
{
    (void)l;
    printf("handler: %s %s %s\n", exception_name(context->error),
           context->message, *(const char **)name);
    return 0;
}

static int bad(void *arg)
{
    (void)arg;
    return E_VALUE;
}
static int divide(async_future *f, void *arg)
{
    (void)f, (void)arg;
    return E_ZERO_DIVISION;
}
static int second(async_future *f, void *arg)
{
    (void)f, (void)arg;
    puts("second done cb");
    return 0;
}

int main(void)
{
    /* The callback's name, which asyncio's message has, is the program's to
     * know in C. */
    const char *name = "bad";
    async_future f;
    async_done_callback first_callback = { 0 }, second_callback = { 0 };
    any_loop_init(&loop);
    async_loop_set_exception_handler(&loop.base, handler, &name);
    async_loop_call_soon(&loop.base, NULL, bad, NULL);
    async_loop_call_soon(&loop.base, NULL, print_line, "next cb");
    async_loop_call_soon(&loop.base, NULL, stop_loop, &loop.base);
    async_loop_run_forever(&loop.base);
    name = "<lambda>";
    async_future_init(&f, &loop.base);
    async_future_add_done_callback(&f, &first_callback, divide, NULL);
    async_future_add_done_callback(&f, &second_callback, second, NULL);
    async_future_set_result(&f);
    async_loop_call_soon(&loop.base, NULL, stop_loop, &loop.base);
    async_loop_run_forever(&loop.base);
    puts(boolean(async_loop_get_exception_handler(&loop.base) == handler));
    async_loop_set_exception_handler(&loop.base, NULL, NULL);
    puts(async_loop_get_exception_handler(&loop.base) == NULL ? "None" : "?");
    return async_loop_close(&loop.base);
}
