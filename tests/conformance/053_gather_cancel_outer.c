#include "conformance.h"

struct w { ASYNC_FRAME; int n, d; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("cancel %d\n", self->n);
        AWAIT(async_sleep, self->d * U);
        printf("cleaned %d\n", self->n);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct gathers { ASYNC_FRAME; int flag; async_gathering all; };
static ASYNC(gathers)
{
    ASYNC_BEGIN(gathers);
    ASYNC_TRY {
        if (self->flag) async_gather_return_exceptions(&self->all);
        AWAIT_GATHER(&self->all, CO(w, 1, 2), CO(w, 2, 1), CO(w, 3, 0));
        puts("result");
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("outer cancelled");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_FINALLY {
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int flag; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->flag = 0; self->flag <= 1; self->flag++) {
        puts(boolean(self->flag));
        self->t = async_create_task(CO(gathers, self->flag));
        AWAIT(async_sleep, 0);
        AWAIT(async_sleep, 0);
        async_task_cancel(self->t);
        ASYNC_TRY {
            AWAIT_TASK(self->t);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        } ASYNC_END_TRY
        puts(boolean(async_task_cancelled(self->t)));
        async_task_release(self->t);
        AWAIT(async_sleep, 3 * U);
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
