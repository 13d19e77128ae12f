#include "conformance.h"

struct body { ASYNC_FRAME; };
static ASYNC(body)
{
    ASYNC_BEGIN(body);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        puts("cleanup start");
        ASYNC_TRY {
            AWAIT(async_sleep, ASYNC_SECONDS(100));
            puts("never");
        } ASYNC_FINALLY {
            printf("inner finally %d\n",
                   async_task_cancelling(async_current_task()));
        } ASYNC_END_TRY
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(body));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->t);
    AWAIT(async_sleep, U);
    printf("second %s\n", boolean(async_task_cancel(self->t)));
    AWAIT(until_ended, self->t);
    printf("%s %d\n", boolean(async_task_cancelled(self->t)),
           async_task_cancelling(self->t));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
