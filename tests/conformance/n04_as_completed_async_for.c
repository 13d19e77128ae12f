#include "conformance.h"

struct w { ASYNC_RETURNS(int); int n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, self->n * U);
    if (self->n == 2) ASYNC_RAISE(E_VALUE);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(w) ts[3], t;
    async_waited items[3];
    struct async_as_completed ends;
    async_future *next;
    int i, n;
};
static ASYNC(program)
{
    static const int n[] = { 3, 1, 2 };
    static const char *const names[] = { "T3", "T1", "T2" };
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_SPAWN(self->ts[self->i], w, n[self->i]);
        async_task_set_name(self->ts[self->i].task, names[self->i]);
        self->items[self->i].future = &self->ts[self->i].task->future;
    }
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 3, ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        async_task *t = (async_task *)(void *)self->next;
        int i, error, found = 0;
        for (i = 0; i < 3; i++) found |= t == self->ts[i].task;
        printf("%s %s %s ", async_task_get_name(t), boolean(found),
               boolean(async_task_done(t)));
        error = async_task_result(t);
        puts(error ? exception_name(error) : "None");
    } ASYNC_END_FOR
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->ts[self->i].task);
    ASYNC_SPAWN(self->ts[0], w, 1);
    ASYNC_SPAWN(self->ts[1], w, 9);
    for (self->i = 0; self->i < 2; self->i++)
        self->items[self->i].future = &self->ts[self->i].task->future;
    self->ends = ASYNC_GENERATOR(async_as_completed, self->items, 2, 3 * U);
    ASYNC_TRY {
        ASYNC_FOR(self->next, &self->ends) {
            self->t.task = (async_task *)(void *)self->next;
            AWAIT_TASK_INTO(self->n, self->t);
            printf("%d\n", self->n);
        } ASYNC_END_FOR
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("TimeoutError");
    } ASYNC_END_TRY
    async_task_release(self->ts[0].task);
    async_task_release(self->ts[1].task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
