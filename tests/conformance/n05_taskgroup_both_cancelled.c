#include "conformance.h"

#include "../../async/group.h"

struct bad { ASYNC_FRAME; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    ASYNC_RAISE(E_VALUE);
    ASYNC_END;
}

struct work { ASYNC_FRAME; async_task_group tg; };
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->tg) {
            async_group_spawn(&self->tg, CO(bad));
            async_task_cancel(async_current_task()); /* "outside" cancel */
            AWAIT(async_sleep, 0);
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        printf("group %d\n", async_task_cancelling(async_current_task()));
    } ASYNC_END_TRY
    ASYNC_TRY {
        AWAIT(async_sleep, 0);
        puts("cancel lost");
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("CancelledError at next await");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_task *t;
    async_waited one[1];
    async_task_group outer, inner;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(work));
    self->one[0].future = &self->t->future;
    AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
    puts(boolean(async_task_cancelled(self->t)));
    async_task_release(self->t);
    /* nested groups, both fail in the same tick */
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->outer) {
            ASYNC_TRY {
                ASYNC_TASK_GROUP(&self->inner) {
                    async_group_spawn(&self->inner, CO(bad));
                    async_group_spawn(&self->outer, CO(bad));
                } ASYNC_END_TASK_GROUP
            } ASYNC_EXCEPT(ASYNC_EGROUP) {
                puts("inner group");
            } ASYNC_END_TRY
            AWAIT(async_sleep, 0);
            puts("never");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        printf("outer group %d\n",
               async_task_cancelling(async_current_task()));
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
