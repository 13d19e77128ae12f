#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_condition *c; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_WITH(async_condition, self->c) {
        ASYNC_TRY {
            AWAIT(async_condition_wait, self->c);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            printf("cancelled, holds lock: %s\n",
                   boolean(async_condition_locked(self->c)));
            ASYNC_RAISE(ASYNC_ECANCELED);
        } ASYNC_END_TRY
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_condition c; async_task *t; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_condition_init(&self->c, NULL);
    self->t = async_create_task(CO(w, &self->c));
    AWAIT(async_sleep, 0);
    AWAIT(async_condition_acquire, &self->c);
    async_task_cancel(self->t);
    for (self->i = 0; self->i < 3; self->i++) AWAIT(async_sleep, 0);
    printf("waiting for lock %s\n", boolean(async_task_done(self->t)));
    async_condition_release(&self->c);
    puts("released");
    AWAIT(until_ended, self->t);
    printf("%s %s\n", boolean(async_task_cancelled(self->t)),
           boolean(async_condition_locked(&self->c)));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
