#include "conformance.h"

struct limits { ASYNC_FRAME; int outer, inner; async_timeout o, i; };
static ASYNC(limits)
{
    ASYNC_BEGIN(limits);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->o, self->outer * U) {
            ASYNC_TRY {
                ASYNC_TIMEOUT(&self->i, self->inner * U) {
                    AWAIT(async_sleep, ASYNC_SECONDS(100));
                } ASYNC_END_TIMEOUT
            } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
                puts("inner TimeoutError");
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                puts("inner sees CancelledError");
                ASYNC_RAISE(ASYNC_ECANCELED);
            } ASYNC_END_TRY
            AWAIT(async_sleep, U);
            puts("after inner");
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("outer TimeoutError");
    } ASYNC_END_TRY
    printf("%s %s %d\n", boolean(async_timeout_expired(&self->o)),
           boolean(async_timeout_expired(&self->i)),
           async_task_cancelling(async_current_task()));
    ASYNC_END;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(limits, 4, 1);
    AWAIT(limits, 1, 4);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
