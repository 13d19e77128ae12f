#include "conformance.h"

static any_loop loop;

struct use { ASYNC_FRAME; async_timeout cm; };
static ASYNC(use)
{
    ASYNC_BEGIN(use);
    ASYNC_TIMEOUT(&self->cm, ASYNC_SECONDS(1)) {}
    ASYNC_END_TIMEOUT
    ASYNC_END;
}

/* Drives it by hand, as c.send(None) does. */
static void drive(void)
{
    async c;
    int error;
    async_new(&c, NULL, CO(use));
    error = async_send(&c);
    puts(error ? async_strerror(error) : "no error");
    async_close(&c);
}

static int cb(void *argument)
{
    (void)argument;
    drive();
    async_loop_stop(&loop.base);
    return 0;
}

int main(void)
{
    any_loop_init(&loop);
    async_loop_call_soon(&loop.base, NULL, cb, NULL);
    async_loop_run_forever(&loop.base);
    async_loop_close(&loop.base);
    drive();
    return 0;
}
