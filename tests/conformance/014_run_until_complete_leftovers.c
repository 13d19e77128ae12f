#include "conformance.h"

struct bg { ASYNC_FRAME; int i; };
static ASYNC(bg)
{
    ASYNC_BEGIN(bg);
    for (self->i = 0; self->i < 4; self->i++) {
        printf("bg %d\n", self->i);
        AWAIT(async_sleep, 0);
    }
    puts("bg end");
    ASYNC_END;
}

struct program { ASYNC_RETURNS(int); int n, i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < self->n; self->i++) AWAIT(async_sleep, 0);
    printf("main end %d\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    async_task *t;
    int result;
    any_loop_init(&loop);
    t = async_loop_create_task(&loop.base, CO(bg));
    ASYNC_RUN_UNTIL_COMPLETE_INTO(result, &loop.base, program, 1);
    printf("%d\n", result);
    printf("bg done? %s\n", boolean(async_task_done(t)));
    ASYNC_RUN_UNTIL_COMPLETE_INTO(result, &loop.base, program, 0);
    printf("%d\n", result);
    printf("bg done? %s\n", boolean(async_task_done(t)));
    async_loop_run_until_complete(&loop.base, async_task_object(t));
    printf("bg done? %s\n", boolean(async_task_done(t)));
    /* an already done future is fine */
    if (async_loop_run_until_complete(&loop.base, async_task_object(t)) == 0)
        puts("None");
    async_task_release(t);
    return async_loop_close(&loop.base);
}
