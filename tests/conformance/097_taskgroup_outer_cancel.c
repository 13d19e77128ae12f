#include "conformance.h"

#include "../../async/group.h"

struct child { ASYNC_FRAME; int n, err; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        AWAIT(async_sleep, self->n * U);
        printf("child cleaned %d\n", self->n);
        if (self->err) ASYNC_RAISE(E_VALUE);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct work { ASYNC_FRAME; int err; async_task_group tg; };
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->tg) {
            async_group_spawn(&self->tg, CO(child, 1));
            async_group_spawn(&self->tg, CO(child, 2, self->err));
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        printf("group ['%s'] %d\n",
               exception_name(async_group_error(&self->tg, 0)),
               async_task_cancelling(async_current_task()));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("plain CancelledError %d\n",
               async_task_cancelling(async_current_task()));
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int err; async_task *t; async_waited one[1]; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->err = 0; self->err < 2; self->err++) {
        self->t = async_create_task(CO(work, self->err));
        AWAIT(async_sleep, U);
        async_task_cancel(self->t);
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
