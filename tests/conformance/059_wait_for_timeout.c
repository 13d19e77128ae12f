#include "conformance.h"

typedef const char *text;

struct slow { ASYNC_FRAME; };
static ASYNC(slow)
{
    ASYNC_BEGIN(slow);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        puts("cleanup");
        AWAIT(async_sleep, 2 * U);
        puts("cleaned");
    } ASYNC_END_TRY
    ASYNC_END;
}

/* asyncio.sleep(delay, result) */
struct sleep_then { ASYNC_RETURNS(text); async_duration delay; text result; };
static ASYNC(sleep_then)
{
    ASYNC_BEGIN(sleep_then);
    AWAIT(async_sleep, self->delay);
    ASYNC_RETURN(self->result);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_time t0; text said; async_task *t; };
static ASYNC(program)
{
    static async_traceback cause;
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    ASYNC_TRY {
        AWAIT_WAIT_FOR(U, slow);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        async_traceback_of(co, &cause);
        async_traceback_context(&cause);
        printf("TimeoutError %d %s\n",
               units_since(async_loop_of(co), self->t0),
               exception_name(cause.error));
    } ASYNC_END_TRY
    AWAIT_WAIT_FOR_INTO(self->said, 3 * U, sleep_then, U, "in time");
    puts(self->said);
    AWAIT_WAIT_FOR_INTO(self->said, ASYNC_FOREVER, sleep_then, U, "no limit");
    puts(self->said);
    self->t = async_create_task(CO(slow));
    ASYNC_TRY {
        AWAIT(async_wait_for, async_task_object(self->t), U);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("TimeoutError %s\n", boolean(async_task_cancelled(self->t)));
    } ASYNC_END_TRY
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
