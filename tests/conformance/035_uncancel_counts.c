#include "conformance.h"

typedef const char *text;

struct body { ASYNC_RETURNS(text); int i; };
static ASYNC(body)
{
    ASYNC_BEGIN(body);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("count %d\n", async_task_cancelling(async_current_task()));
        for (self->i = 0; self->i < 3; self->i++)
            printf("uncancel %d\n", async_task_uncancel(async_current_task()));
    } ASYNC_END_TRY
    AWAIT(async_sleep, U);
    printf("count %d\n", async_task_cancelling(async_current_task()));
    ASYNC_RETURN("v");
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(body) t; text v; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->t, body);
    AWAIT(async_sleep, 0);
    printf("%s ", boolean(async_task_cancel(self->t.task)));
    printf("%s ", boolean(async_task_cancel(self->t.task)));
    printf("%d\n", async_task_cancelling(self->t.task));
    AWAIT_JOIN_INTO(self->v, self->t);
    puts(self->v);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
