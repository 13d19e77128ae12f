#include "conformance.h"

struct body { ASYNC_FRAME; };
static ASYNC(body)
{
    ASYNC_BEGIN(body);
    puts("never");
    ASYNC_TRY {
        AWAIT(async_sleep, 0);
    } ASYNC_FINALLY {
        puts("never finally");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(body));
    printf("%s ", boolean(async_task_cancel(self->t)));
    printf("%s %s %d\n", boolean(async_task_cancelled(self->t)),
           boolean(async_task_done(self->t)), async_task_cancelling(self->t));
    ASYNC_TRY {
        AWAIT_TASK(self->t);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("CancelledError");
    } ASYNC_END_TRY
    printf("%s %s\n", boolean(async_task_cancelled(self->t)),
           boolean(async_task_done(self->t)));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
