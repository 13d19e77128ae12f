#include "conformance.h"

struct child { ASYNC_FRAME; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        puts("child cleanup");
        AWAIT(async_sleep, U);
        puts("child end");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct parent { ASYNC_FRAME; async_task *c; };
static ASYNC(parent)
{
    ASYNC_BEGIN(parent);
    ASYNC_TRY {
        AWAIT_TASK(self->c);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("parent cancelled");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *c, *p; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->c = async_create_task(CO(child));
    self->p = async_create_task(CO(parent, self->c));
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    async_task_cancel(self->p);
    AWAIT(until_ended, self->p);
    printf("%s %s %d %d\n", boolean(async_task_cancelled(self->c)),
           boolean(async_task_cancelled(self->p)),
           async_task_cancelling(self->c), async_task_cancelling(self->p));
    async_task_release(self->c);
    async_task_release(self->p);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
