#include "conformance.h"

typedef const char *text;

struct w { ASYNC_RETURNS(text); text v; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, U);
    if (strcmp(self->v, "bad") == 0) ASYNC_RAISE(E_VALUE);
    ASYNC_RETURN(self->v);
    ASYNC_END;
}

static int cancel_task(void *task)
{
    async_task_cancel((async_task *)task);
    return 0;
}

static int note(void *flag)
{
    *(int *)flag = 1;
    return 0;
}

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(w) t;
    async_task *s;
    async_future f;
    text result;
    async_handle handle;
    int ran;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->t, w, "x");
    /* what asyncio gives a future, is a task here */
    self->s =
        async_create_task(CO(async_shield, async_task_object(self->t.task)));
    ASYNC_SUSPEND;
    async_loop_call_soon(async_loop_of(co), NULL, cancel_task, self->t.task);
    ASYNC_TRY {
        AWAIT_TASK(self->s);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("CancelledError %s %s %d\n",
               boolean(async_task_cancelled(self->s)),
               boolean(async_task_cancelled(self->t.task)),
               async_task_cancelling(async_current_task()));
    } ASYNC_END_TRY
    async_task_release(self->s);
    async_task_release(self->t.task);
    ASYNC_SPAWN(self->t, w, "ok");
    AWAIT(async_shield, async_task_object(self->t.task));
    puts(ASYNC_TASK_RESULT(self->t));
    async_task_release(self->t.task);
    ASYNC_TRY {
        AWAIT(async_shield, CO(w, "bad"));
    } ASYNC_EXCEPT(E_VALUE) {
        puts("ValueError");
    } ASYNC_END_TRY
    /* A shielded future that is done is as good as the future itself: awaiting
     * it does not suspend. */
    async_future_init(&self->f, async_loop_of(co));
    async_future_set_result(&self->f);
    async_loop_call_soon(async_loop_of(co), &self->handle, note, &self->ran);
    AWAIT(async_shield, async_future_object(&self->f));
    puts(boolean(!self->ran));
    async_handle_cancel(&self->handle);
    /* the classic: shield + wait_for keeps the job alive */
    ASYNC_SPAWN(self->t, w, "alive");
    ASYNC_TRY {
        AWAIT_WAIT_FOR(U / 5, async_shield, async_task_object(self->t.task));
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("TimeoutError %s\n", boolean(async_task_done(self->t.task)));
    } ASYNC_END_TRY
    AWAIT_JOIN_INTO(self->result, self->t);
    puts(self->result);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
