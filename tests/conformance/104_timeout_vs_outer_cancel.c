#include "conformance.h"

struct w { ASYNC_FRAME; int cleanup; async_timeout cm; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->cm, 2 * U) {
            ASYNC_TRY {
                AWAIT(async_sleep, ASYNC_SECONDS(100));
            } ASYNC_FINALLY {
                if (self->cleanup) {
                    ASYNC_TRY {
                        /* second cancel arrives here */
                        AWAIT(async_sleep, ASYNC_SECONDS(100));
                    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                        puts("cleanup hit");
                        ASYNC_RAISE(ASYNC_ECANCELED);
                    } ASYNC_END_TRY
                }
            } ASYNC_END_TRY
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("TimeoutError %d\n",
               async_task_cancelling(async_current_task()));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("CancelledError %d\n",
               async_task_cancelling(async_current_task()));
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int cancel(void *task)
{
    async_task_cancel((async_task *)task);
    return 0;
}

struct program { ASYNC_FRAME; int i; async_task *t; async_waited one[1]; };
static ASYNC(program)
{
    static const int cleanup[] = { 0, 1, 1 }, at[] = { 1, 1, 3 };
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 3; self->i++) {
        self->t = async_create_task(CO(w, cleanup[self->i]));
        async_loop_call_later(async_loop_of(co), NULL, at[self->i] * U, cancel,
                              self->t);
        self->one[0].future = &self->t->future;
        AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
        puts(boolean(async_task_cancelled(self->t)));
        async_task_release(self->t);
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
