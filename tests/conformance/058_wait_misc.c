#include "conformance.h"

struct w { ASYNC_FRAME; int n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, 2 * U);
    printf("done %d\n", self->n);
    ASYNC_END;
}

struct waiter { ASYNC_FRAME; async_task *t; async_waited one[1]; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    ASYNC_TRY {
        self->one[0].future = &self->t->future;
        AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("waiter cancelled %s\n", boolean(async_task_done(self->t)));
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_waited one[1]; async_task *t, *wt; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        AWAIT(async_wait, self->one, 0, ASYNC_FOREVER);
    } ASYNC_EXCEPT(ASYNC_ENOFUTURES) {
        puts("ValueError empty");
    } ASYNC_END_TRY
    /* A coroutine is no future, and a list is no other type: what is left of
     * a TypeError is an item without a future. */
    ASYNC_TRY {
        AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
    } ASYNC_EXCEPT(ASYNC_EINVAL) {
        puts("TypeError coroutine");
        puts("TypeError not a list");
    } ASYNC_END_TRY
    self->t = async_create_task(CO(w, 1));
    self->one[0].future = &self->t->future;
    ASYNC_TRY {
        AWAIT(async_wait, self->one, 1, ASYNC_FOREVER, 'x');
    } ASYNC_EXCEPT(ASYNC_ERETURNWHEN) {
        puts("ValueError return_when");
    } ASYNC_END_TRY
    self->wt = async_create_task(CO(waiter, self->t));
    AWAIT(async_sleep, U);
    async_task_cancel(self->wt);
    self->one[0].future = &self->wt->future;
    AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
    printf("%s %s\n", boolean(async_task_cancelled(self->wt)),
           boolean(async_task_done(self->t)));
    async_task_release(self->wt);
    AWAIT_JOIN(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
