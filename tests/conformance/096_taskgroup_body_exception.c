#include "conformance.h"

#include "../../async/group.h"

typedef const char *text;

struct child { ASYNC_RETURNS(text); int n; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        AWAIT(async_sleep, self->n * U);
        printf("child cancelled %d\n", self->n);
        if (self->n == 2) ASYNC_RETURN("swallowed");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int cancel(void *task)
{
    async_task_cancel((async_task *)task);
    return 0;
}

struct program {
    ASYNC_FRAME;
    async_task_group tg;
    ASYNC_TASK_OF(child) a, b;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->tg) {
            ASYNC_GROUP_SPAWN(self->a, &self->tg, child, 1);
            ASYNC_GROUP_SPAWN(self->b, &self->tg, child, 2);
            AWAIT(async_sleep, U);
            ASYNC_RAISE(E_KEY);
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        size_t i;
        printf("[");
        for (i = 0; i < async_group_error_count(&self->tg); i++)
            printf("%s'%s'", i ? ", " : "",
                   exception_name(async_group_error(&self->tg, i)));
        puts("]");
    } ASYNC_END_TRY
    printf("%s %s\n", boolean(async_task_cancelled(self->a.task)),
           ASYNC_TASK_RESULT(self->b));
    async_task_release(self->a.task);
    async_task_release(self->b.task);
    async_group_clear(&self->tg);
    ASYNC_TASK_GROUP(&self->tg) {
        ASYNC_GROUP_SPAWN(self->a, &self->tg, child, 3);
        async_loop_call_later(async_loop_of(co), NULL, U, cancel,
                              self->a.task);
        AWAIT(async_sleep, 2 * U);
        puts("body not disturbed");
    } ASYNC_END_TASK_GROUP
    puts(boolean(async_task_cancelled(self->a.task)));
    async_task_release(self->a.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
