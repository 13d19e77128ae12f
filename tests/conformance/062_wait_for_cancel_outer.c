#include "conformance.h"

struct inner { ASYNC_FRAME; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        puts("inner cleanup");
        AWAIT(async_sleep, U);
        puts("inner end");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct outer { ASYNC_FRAME; };
static ASYNC(outer)
{
    ASYNC_BEGIN(outer);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(50), inner);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("outer CancelledError");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(outer));
    AWAIT(async_sleep, U);
    async_task_cancel(self->t);
    ASYNC_TRY {
        AWAIT_TASK(self->t);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
    } ASYNC_END_TRY
    puts(boolean(async_task_cancelled(self->t)));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
