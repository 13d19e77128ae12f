#include "conformance.h"

#include "../../async/group.h"

/* An error is a number; these stand for ValueError(1) and ValueError(2). */
enum { VALUE_1 = -11001, VALUE_2 = -11002 };

struct bad { ASYNC_FRAME; int error, d; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    AWAIT(async_sleep, self->d * U);
    ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct ok { ASYNC_FRAME; const char *n; };
static ASYNC(ok)
{
    ASYNC_BEGIN(ok);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("cancelled %s\n", self->n);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* The errors of a group; one of them may be those of the group inside. */
static void shape(const async_task_group *group, const async_task_group *inner)
{
    size_t i;
    printf("[");
    for (i = 0; i < async_group_error_count(group); i++) {
        int error = async_group_error(group, i);
        if (i) printf(", ");
        if (error == ASYNC_EGROUP)
            shape(inner, NULL);
        else
            printf("'ValueError%d'", error == VALUE_1 ? 1 : 2);
    }
    printf("]");
}

struct program { ASYNC_FRAME; async_task_group outer, inner; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->outer) {
            async_group_spawn(&self->outer, CO(ok, "outer child"));
            ASYNC_TASK_GROUP(&self->inner) {
                async_group_spawn(&self->inner, CO(ok, "inner child"));
                async_group_spawn(&self->inner, CO(bad, VALUE_1, 1));
            } ASYNC_END_TASK_GROUP
            puts("never");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        shape(&self->outer, &self->inner);
        puts("");
    } ASYNC_END_TRY
    /* the outer fails while the body sits in the inner group */
    async_group_clear(&self->outer);
    async_group_clear(&self->inner);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->outer) {
            async_group_spawn(&self->outer, CO(bad, VALUE_2, 1));
            ASYNC_TASK_GROUP(&self->inner) {
                async_group_spawn(&self->inner, CO(ok, "inner child 2"));
            } ASYNC_END_TASK_GROUP
            puts("never");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        shape(&self->outer, &self->inner);
        puts("");
    } ASYNC_END_TRY
    printf("%d\n", async_task_cancelling(async_current_task()));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
