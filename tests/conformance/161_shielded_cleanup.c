#include "conformance.h"

struct cleanup { ASYNC_FRAME; };
static ASYNC(cleanup)
{
    ASYNC_BEGIN(cleanup);
    puts("cleanup start");
    AWAIT(async_sleep, 3 * U);
    puts("cleanup end");
    ASYNC_END;
}

struct w { ASYNC_FRAME; async_task *c; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        self->c = async_create_task(CO(cleanup));
        while (!async_task_done(self->c)) {
            ASYNC_TRY {
                AWAIT(async_shield, async_task_object(self->c));
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                puts("interrupted again");
            } ASYNC_END_TRY
        }
        async_task_release(self->c);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(w));
    AWAIT(async_sleep, U);
    async_task_cancel(self->t);
    AWAIT(async_sleep, U);
    async_task_cancel(self->t);
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
