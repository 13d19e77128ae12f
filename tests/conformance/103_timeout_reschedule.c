#include "conformance.h"

struct program { ASYNC_FRAME; async_time t0; async_timeout cm, fresh; };
static ASYNC(program)
{
    async_loop *loop;
    ASYNC_BEGIN(program);
    loop = async_loop_of(co);
    self->t0 = async_loop_time(loop);
    ASYNC_TIMEOUT(&self->cm, 1 * U) {
        loop = async_loop_of(co);
        async_timeout_reschedule(&self->cm, async_loop_time(loop) + 5 * U);
        AWAIT(async_sleep, 2 * U);
        puts("survived first deadline");
        async_timeout_reschedule(&self->cm, ASYNC_FOREVER);
        AWAIT(async_sleep, 4 * U);
        printf("survived %s %s\n",
               async_timeout_when(&self->cm) == ASYNC_FOREVER ? "None" : "?",
               boolean(async_timeout_expired(&self->cm)));
    } ASYNC_END_TIMEOUT
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->cm, ASYNC_FOREVER) {
            loop = async_loop_of(co);
            async_timeout_reschedule(&self->cm, async_loop_time(loop) + U);
            AWAIT(async_sleep, ASYNC_SECONDS(100));
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("TimeoutError %d\n", units_since(async_loop_of(co), self->t0));
    } ASYNC_END_TRY
    puts(async_strerror(async_timeout_reschedule(&self->cm, ASYNC_FOREVER)));
    puts(
        async_strerror(async_timeout_reschedule(&self->fresh, ASYNC_FOREVER)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
