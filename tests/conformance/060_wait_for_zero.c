#include "conformance.h"

typedef const char *text;

struct never { ASYNC_FRAME; };
static ASYNC(never)
{
    ASYNC_BEGIN(never);
    puts("never");
    ASYNC_END;
}

struct body { ASYNC_FRAME; };
static ASYNC(body)
{
    ASYNC_BEGIN(body);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("cancelled");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int d; ASYNC_FUTURE(text) f; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->d = 0; self->d >= -1; self->d--) {
        ASYNC_TRY {
            AWAIT_WAIT_FOR(self->d, never);
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            printf("TimeoutError %d\n", self->d);
        } ASYNC_END_TRY
    }
    async_future_init(&self->f.future, async_loop_of(co));
    ASYNC_SET_RESULT(&self->f, "done");
    AWAIT(async_wait_for, async_future_object(&self->f.future), 0);
    puts(ASYNC_FUTURE_VALUE(&self->f));
    self->t = async_create_task(CO(body));
    AWAIT(async_sleep, 0);
    ASYNC_TRY {
        AWAIT(async_wait_for, async_task_object(self->t), 0);
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
