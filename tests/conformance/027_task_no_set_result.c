#include "conformance.h"

struct c { ASYNC_RETURNS(int); };
static ASYNC(c)
{
    ASYNC_BEGIN(c);
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(c) t; int n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->t, c);
    puts(async_strerror(async_future_set_result(&self->t.task->future)));
    puts(async_strerror(
        async_future_set_exception(&self->t.task->future, E_VALUE)));
    AWAIT_TASK_INTO(self->n, self->t);
    /* A task begins with its future, and has a coroutine. */
    printf("%d %s %s\n", self->n,
           boolean(&self->t.task->future == (void *)self->t.task),
           boolean(async_task_get_coro(self->t.task) != NULL));
    async_task_release(self->t.task);
    {
        /* 42 does not compile; an empty object does. */
        async_object no_coroutine;
        memset(&no_coroutine, 0, sizeof no_coroutine);
        if (async_create_task(no_coroutine) == NULL &&
            async_last_error() == ASYNC_EINVAL)
            puts("TypeError");
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
