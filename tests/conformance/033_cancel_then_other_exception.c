#include "conformance.h"

struct body { ASYNC_FRAME; };
static ASYNC(body)
{
    ASYNC_BEGIN(body);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        ASYNC_RAISE(E_VALUE);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* What the error that was caught was raised while handling. */
static int context_of(const async *co)
{
    async_traceback e;
    async_traceback_of(co, &e);
    return async_traceback_context(&e) ? e.error : 0;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(body));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->t);
    ASYNC_TRY {
        AWAIT_TASK(self->t);
    } ASYNC_EXCEPT(E_VALUE) {
        printf("ValueError %s\n", exception_name(context_of(co)));
    } ASYNC_END_TRY
    printf("%s %s\n", boolean(async_task_cancelled(self->t)),
           exception_name(async_task_result(self->t)));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
