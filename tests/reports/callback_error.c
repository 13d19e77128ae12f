/* Errors of callbacks: the loop goes on.  And those of a handler that was to
 * hear of them. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

static int callback(void *error)
{
    return *(const int *)error;
}

static int done(async_future *future, void *error)
{
    (void)future;
    return *(const int *)error;
}

static int handler(async_loop *loop, const async_exception_context *context,
                   void *argument)
{
    (void)loop, (void)argument;
    fprintf(stderr, "handler: %s, %s\n", context->message,
            async_error_name(context->error));
    return ASYNC_EINVAL;
}

struct program { ASYNC_FRAME; async_future future; async_done_callback node; };
static ASYNC(program)
{
    static int busy = ASYNC_EBUSY, no_entry = -2, unknown = -9999;
    ASYNC_BEGIN(program);
    async_loop_call_soon(async_loop_of(co), NULL, callback, &busy);
    async_loop_call_soon(async_loop_of(co), NULL, callback, &no_entry);
    async_loop_call_later(async_loop_of(co), NULL, 1, callback, &unknown);
    AWAIT(async_sleep, ASYNC_MS(1));
    async_future_init(&self->future, async_loop_of(co));
    async_future_add_done_callback(&self->future, &self->node, done, &busy);
    async_future_set_result(&self->future);
    AWAIT(async_sleep, ASYNC_MS(1));
    async_loop_set_exception_handler(async_loop_of(co), handler, NULL);
    async_loop_call_soon(async_loop_of(co), NULL, callback, &busy);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(program));
}
