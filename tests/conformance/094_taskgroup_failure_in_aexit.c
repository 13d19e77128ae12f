#include "conformance.h"

#include "../../async/group.h"

struct bad { ASYNC_FRAME; int d; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    AWAIT(async_sleep, self->d * U);
    ASYNC_RAISE(E_VALUE);
    ASYNC_END;
}

struct ok { ASYNC_FRAME; int d; };
static ASYNC(ok)
{
    ASYNC_BEGIN(ok);
    ASYNC_TRY {
        AWAIT(async_sleep, self->d * U);
        printf("ok %d\n", self->d);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("cancelled %d\n", self->d);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task_group tg; async_task *ts[3]; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->tg) {
            self->ts[0] = async_group_spawn(&self->tg, CO(ok, 1));
            self->ts[1] = async_group_spawn(&self->tg, CO(bad, 3));
            self->ts[2] = async_group_spawn(&self->tg, CO(ok, 20));
            for (self->i = 0; self->i < 3; self->i++)
                async_task_retain(self->ts[self->i]);
            puts("body done");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        printf("eg %d\n", (int)async_group_error_count(&self->tg));
    } ASYNC_END_TRY
    printf("[%s, %s, %s] %d\n", boolean(async_task_cancelled(self->ts[0])),
           boolean(async_task_cancelled(self->ts[1])),
           boolean(async_task_cancelled(self->ts[2])),
           async_task_cancelling(async_current_task()));
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->ts[self->i]);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
