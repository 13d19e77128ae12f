#include "conformance.h"

struct c3 { ASYNC_FRAME; };
static ASYNC(c3)
{
    ASYNC_BEGIN(c3);
    printf("c3 %s\n", async_task_get_name(async_current_task()));
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        puts("f3");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct c2 { ASYNC_FRAME; };
static ASYNC(c2)
{
    ASYNC_BEGIN(c2);
    ASYNC_TRY {
        AWAIT(c3);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("e2");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_FINALLY {
        puts("f2");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct c1 { ASYNC_FRAME; };
static ASYNC(c1)
{
    ASYNC_BEGIN(c1);
    ASYNC_TRY {
        AWAIT(c2);
    } ASYNC_FINALLY {
        puts("f1");
    } ASYNC_END_TRY
    ASYNC_END;
}

static int count_tasks(const async_loop *loop)
{
    async_task *task = NULL;
    int n = 0;
    while ((task = async_all_tasks(loop, task)) != NULL) n++;
    return n;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(c1));
    async_task_set_name(self->t, "T");
    AWAIT(async_sleep, 0);
    printf("tasks %d\n", count_tasks(async_loop_of(co)));
    async_task_cancel(self->t);
    AWAIT(until_ended, self->t);
    puts(boolean(async_task_cancelled(self->t)));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
