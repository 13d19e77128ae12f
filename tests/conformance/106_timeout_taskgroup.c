#include "conformance.h"

#include "../../async/group.h"

struct child { ASYNC_FRAME; int n; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        AWAIT(async_sleep, self->n * U);
        printf("child out %d\n", self->n);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct limited { ASYNC_FRAME; async_timeout cm; };
static ASYNC(limited)
{
    ASYNC_BEGIN(limited);
    ASYNC_TIMEOUT(&self->cm, U) {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_timeout cm; async_task_group tg; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->cm, U) {
            ASYNC_TASK_GROUP(&self->tg) {
                async_group_spawn(&self->tg, CO(child, 1));
                async_group_spawn(&self->tg, CO(child, 2));
            } ASYNC_END_TASK_GROUP
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("TimeoutError");
    } ASYNC_END_TRY
    async_group_clear(&self->tg);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->tg) {
            async_group_spawn(&self->tg, CO(child, 3));
            async_group_spawn(&self->tg, CO(limited));
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        printf("['%s']\n", exception_name(async_group_error(&self->tg, 0)));
    } ASYNC_END_TRY
    printf("%d\n", async_task_cancelling(async_current_task()));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
