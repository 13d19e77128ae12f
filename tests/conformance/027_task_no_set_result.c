/* A task is a future (what asks a future takes it), but set_result and
 * set_exception are refused. */
#include "conformance.h"

struct c { ASYNC_RETURNS(int); };
static ASYNC(c)
{
    ASYNC_BEGIN(c);
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(c) t;
    int n;
    async_object none; /* zeroed, it is no coroutine */
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->t, c);
    puts(async_strerror(async_future_set_result(&self->t.task->future)));
    puts(async_strerror(
        async_future_set_exception(&self->t.task->future, E_VALUE)));
    AWAIT_TASK_INTO(self->n, self->t);
    printf("%d %s %s\n", self->n,
           boolean(async_future_done(&self->t.task->future)),
           boolean(async_task_get_coro(self->t.task) != NULL));
    async_task_release(self->t.task);
    if (async_create_task(self->none) == NULL &&
        async_last_error() == ASYNC_EINVAL)
        puts("TypeError");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
