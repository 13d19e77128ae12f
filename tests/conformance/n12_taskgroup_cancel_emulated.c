#include "conformance.h"

#include "../../async/group.h"

struct child { ASYNC_FRAME; int n, err; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("child cancelled %d\n", self->n);
        if (self->err) ASYNC_RAISE(E_VALUE);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task_group first, tg, third; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TASK_GROUP(&self->first) {
        async_group_spawn(&self->first, CO(child, 1));
        AWAIT(async_sleep, U);
        async_group_cancel(&self->first);
        async_group_cancel(&self->first);
        puts("cancel called");
        AWAIT(async_sleep, 0);
        puts("never");
    } ASYNC_END_TASK_GROUP
    printf("after %d\n", async_task_cancelling(async_current_task()));
    async_group_cancel(&self->first);
    async_group_cancel(&self->tg);
    ASYNC_TASK_GROUP(&self->tg) {
        puts("body until first await");
        AWAIT(async_sleep, 0);
        puts("never");
    } ASYNC_END_TASK_GROUP
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->third) {
            async_group_spawn(&self->third, CO(child, 2, 1));
            AWAIT(async_sleep, U);
            async_group_cancel(&self->third);
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        puts("group");
    } ASYNC_END_TRY
    printf("%d\n", async_task_cancelling(async_current_task()));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
