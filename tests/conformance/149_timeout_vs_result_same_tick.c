#include "conformance.h"

static any_loop loop;
typedef const char *text;
typedef ASYNC_FUTURE(text) text_future;

static int handler(async_loop *of, const async_exception_context *context,
                   void *argument)
{
    (void)of, (void)argument;
    printf("handler %s\n", exception_name(context->error));
    return 0;
}

static int set(void *future)
{
    return ASYNC_SET_RESULT((text_future *)future, "result");
}
static int sleep_for(void *span)
{
    block(&loop, *(async_duration *)span);
    return 0;
}

struct program {
    ASYNC_FRAME;
    int i;
    async_duration span;
    text_future f;
    text result;
    async_handle timer;
    async_timeout cm;
};
static ASYNC(program)
{
    static const async_duration d[] = { 1 * U, 3 * U, 1 * U };
    static const async_duration block_for[] = { 5 * U, 5 * U, 3 * U / 2 };
    ASYNC_BEGIN(program);
    async_loop_set_exception_handler(&loop.base, handler, NULL);
    for (self->i = 0; self->i < 3; self->i++) {
        async_future_init(&self->f.future, &loop.base);
        async_loop_call_later(&loop.base, &self->timer, d[self->i], set,
                              &self->f);
        self->span = block_for[self->i];
        async_loop_call_soon(&loop.base, NULL, sleep_for, &self->span);
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->cm, 2 * U) {
                AWAIT_FUTURE_INTO(self->result, &self->f);
                puts(self->result);
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            printf("TimeoutError %s\n",
                   boolean(async_future_cancelled(&self->f.future)));
        } ASYNC_END_TRY
        AWAIT(async_sleep, 2 * U);
        if (!async_future_done(&self->f.future))
            async_future_cancel(&self->f.future);
    }
    ASYNC_END;
}

int main(void)
{
    int error;
    any_loop_init(&loop);
    error = async_run_on(&loop.base, CO(program));
    async_loop_close(&loop.base);
    return error;
}
