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

typedef const char *text;
typedef ASYNC_FUTURE(text) text_future;

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(w) ts[3], c;
    async_waited items[3];
    struct async_as_completed ends;
    async_future *next;
    text_future f;
    text result;
    int i, n;
};
static ASYNC(program)
{
    static const int first[] = { 3, 1, 2 }, second[] = { 1, 5, 6 };
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_SPAWN(self->ts[self->i], w, first[self->i]);
        self->items[self->i].future = &self->ts[self->i].task->future;
    }
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 3, ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        ASYNC_TRY {
            self->c.task = (async_task *)(void *)self->next;
            AWAIT_TASK_INTO(self->n, self->c);
            printf("%d\n", self->n);
        } ASYNC_EXCEPT(E_VALUE) {
            puts("ValueError 2");
        } ASYNC_END_TRY
    } ASYNC_END_FOR
    for (self->i = 0; self->i < 3; self->i++) {
        async_task_release(self->ts[self->i].task);
        ASYNC_SPAWN(self->ts[self->i], w, second[self->i]);
        self->items[self->i].future = &self->ts[self->i].task->future;
    }
    self->ends = ASYNC_GENERATOR(async_as_completed, self->items, 3, 3 * U);
    ASYNC_TRY {
        ASYNC_FOR(self->next, &self->ends) {
            self->c.task = (async_task *)(void *)self->next;
            AWAIT_TASK_INTO(self->n, self->c);
            printf("%d\n", self->n);
        } ASYNC_END_FOR
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        /* Once for all, where Python's plain loop has one for each. */
        for (self->i = 0; self->i < 3; self->i++)
            if (!self->items[self->i].done) puts("TimeoutError");
    } ASYNC_END_TRY
    printf("[%s, %s, %s]\n", boolean(async_task_done(self->ts[0].task)),
           boolean(async_task_done(self->ts[1].task)),
           boolean(async_task_done(self->ts[2].task)));
    async_future_init(&self->f.future, async_loop_of(co));
    ASYNC_SET_RESULT(&self->f, "already");
    self->items[0].future = &self->f.future;
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 1, ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        AWAIT_FUTURE_INTO(self->result, (text_future *)(void *)self->next);
        puts(self->result);
    } ASYNC_END_FOR
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 0, ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        puts("never");
    } ASYNC_END_FOR
    for (self->i = 0; self->i < 3; self->i++) {
        async_task_cancel(self->ts[self->i].task);
        async_task_release(self->ts[self->i].task);
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
