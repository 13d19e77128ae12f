/* A custom exception handler that raises does not kill the loop. */
#include "conformance.h"

static int handler(async_loop *loop, const async_exception_context *context,
                   void *nothing)
{
    (void)loop, (void)nothing;
    printf("handler %.21s\n", context->message);
    return E_KEY;
}

static int divide(void *nothing)
{
    (void)nothing;
    return E_ZERO_DIVISION;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    async_loop *loop = async_get_running_loop();
    async_exception_context custom;
    ASYNC_BEGIN(program);
    async_loop_set_exception_handler(loop, handler, NULL);
    memset(&custom, 0, sizeof custom);
    custom.message = "custom";
    async_loop_call_exception_handler(loop, &custom);
    async_loop_call_soon(loop, NULL, divide, NULL);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    puts("alive");
    /* What is no function does not compile; in Python it is an error. */
    puts("TypeError");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
