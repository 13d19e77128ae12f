/* timeouts - a limit in time, cleaning up when it is over, and cancelling. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

struct answer { ASYNC_RETURNS(int); async_duration after; };
static ASYNC(answer)
{
    ASYNC_BEGIN(answer);
    ASYNC_TRY {
        AWAIT(async_sleep, self->after);
        ASYNC_RETURN(42);
    } ASYNC_FINALLY { /* on every way out, and it may await */
        puts("  putting things away");
        AWAIT(async_sleep, ASYNC_MS(10));
    } ASYNC_END_TRY
    ASYNC_RETURN(0);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int n; async_task *task; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);

    puts("in time:");
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(1), answer, ASYNC_MS(20));
    printf("  the answer is %d\n", self->n);

    puts("too late:");
    ASYNC_TRY {
        AWAIT_WAIT_FOR_INTO(self->n, ASYNC_MS(20), answer, ASYNC_SECONDS(60));
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("  timed out");
    } ASYNC_END_TRY

    puts("cancelled by hand:");
    self->task = async_create_task(CO(answer, ASYNC_SECONDS(60)));
    AWAIT(async_sleep, ASYNC_MS(20));
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("  cancelled");
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
