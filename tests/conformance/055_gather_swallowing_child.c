#include "conformance.h"

struct w { ASYNC_RETURNS(int); int n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("swallow %d\n", self->n);
        ASYNC_RETURN(self->n);
    } ASYNC_END_TRY
    ASYNC_RETURN(0);
    ASYNC_END;
}

struct gathers { ASYNC_FRAME; int flag; async_gathering all; };
static ASYNC(gathers)
{
    ASYNC_BEGIN(gathers);
    if (self->flag) async_gather_return_exceptions(&self->all);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(w, 1), CO(w, 2));
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
        self->t = async_create_task(CO(gathers, self->flag));
        AWAIT(async_sleep, 0);
        AWAIT(async_sleep, 0);
        async_task_cancel(self->t);
        ASYNC_TRY {
            AWAIT_TASK(self->t);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        } ASYNC_END_TRY
        printf("%s %s %s\n", boolean(self->flag),
               boolean(async_task_cancelled(self->t)),
               async_task_cancelled(self->t) ? "None" : "[1, 2]");
        async_task_release(self->t);
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
