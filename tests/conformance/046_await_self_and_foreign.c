#include "conformance.h"

typedef const char *text;

struct selfish { ASYNC_RETURNS(int); async_task **box; int error; };
static ASYNC(selfish)
{
    ASYNC_BEGIN(selfish);
    ASYNC_TRY {
        AWAIT_TASK(*self->box);
    } ASYNC_EXCEPT_ANY(self->error) {
        printf("RuntimeError %s\n", boolean(self->error == ASYNC_ESELFAWAIT));
    } ASYNC_END_TRY
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct once { ASYNC_RETURNS(text); };
static ASYNC(once)
{
    ASYNC_BEGIN(once);
    ASYNC_RETURN("once");
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(selfish) box;
    int n, error;
    async_future f;
    async_object five;
};
static ASYNC(program)
{
    static any_loop other;
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->box, selfish, &self->box.task);
    AWAIT_JOIN_INTO(self->n, self->box);
    printf("%d\n", self->n);
    any_loop_init(&other);
    async_future_init(&self->f, &other.base);
    ASYNC_TRY {
        AWAIT_FUTURE(&self->f);
    } ASYNC_EXCEPT_ANY(self->error) {
        printf("RuntimeError %s\n", boolean(self->error == ASYNC_EOTHERLOOP));
    } ASYNC_END_TRY
    async_loop_close(&other.base);
    {
        /* A coroutine object that keeps its state is an async in C. */
        async c;
        async_new(&c, NULL, CO(once));
        if (async_send(&c) == 0) puts(ASYNC_RESULT(&c, once));
        puts(async_strerror(async_send(&c)));
        async_close(&c);
    }
    /* What is no coroutine at all does not compile; an empty object does. */
    memset(&self->five, 0, sizeof self->five);
    ASYNC_TRY {
        AWAIT_CO(self->five);
    } ASYNC_EXCEPT(ASYNC_EINVAL) {
        puts("TypeError not awaitable");
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
