#include "conformance.h"

struct inner { ASYNC_RETURNS(int); int n; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    AWAIT(async_sleep, 2 * U);
    printf("inner %d\n", self->n);
    if (self->n == 2) ASYNC_RAISE(E_VALUE);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct outer { ASYNC_FRAME; async_task *t; };
static ASYNC(outer)
{
    ASYNC_BEGIN(outer);
    ASYNC_TRY {
        AWAIT(async_shield, async_task_object(self->t));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("outer cancelled %s\n", boolean(async_task_done(self->t)));
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int handler(async_loop *loop, const async_exception_context *context,
                   void *argument)
{
    (void)loop, (void)argument;
    printf("handler: %s\n", context->message);
    return 0;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(inner) t; async_task *o; int n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_set_exception_handler(async_loop_of(co), handler, NULL);
    for (self->n = 1; self->n <= 2; self->n++) {
        ASYNC_SPAWN(self->t, inner, self->n);
        self->o = async_create_task(CO(outer, self->t.task));
        AWAIT(async_sleep, U);
        async_task_cancel(self->o);
        ASYNC_TRY {
            AWAIT_TASK(self->o);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
        if (self->n == 2) break;
        printf("%s %s\n", boolean(async_task_cancelled(self->o)),
               boolean(async_task_cancelled(self->t.task)));
        async_task_release(self->o);
        AWAIT_JOIN_INTO(self->n, self->t);
        printf("%d\n", self->n);
    }
    AWAIT(async_sleep, 2 * U);
    printf("done %s\n", boolean(async_task_done(self->t.task)));
    async_task_release(self->t.task);
    async_task_release(self->o);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
