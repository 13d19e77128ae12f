#include "conformance.h"

static any_loop loop;

struct program { ASYNC_FRAME; async_timeout o, i; int error; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->o, 2 * U) {
            ASYNC_TRY {
                ASYNC_TIMEOUT(&self->i, 1 * U) {
                    block(&loop, 4 * U);
                    AWAIT(async_sleep, 0);
                    AWAIT(async_sleep, 0);
                    puts("never");
                } ASYNC_END_TIMEOUT
            } ASYNC_EXCEPT_ALL(self->error) {
                printf("inner %s\n", exception_name(self->error));
                ASYNC_RAISE(self->error);
            } ASYNC_END_TRY
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("outer TimeoutError");
    } ASYNC_END_TRY
    printf("%s %s %d\n", boolean(async_timeout_expired(&self->o)),
           boolean(async_timeout_expired(&self->i)),
           async_task_cancelling(async_current_task()));
    ASYNC_END;
}

int main(void)
{
    int error;
    any_loop_init(&loop);
    error = async_run_on(&loop.base, CO(program));
    async_loop_close(&loop.base);
    return error;
}
