#include "conformance.h"

typedef const char *text;

struct body { ASYNC_RETURNS(text); };
static ASYNC(body)
{
    ASYNC_BEGIN(body);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("swallow");
    } ASYNC_END_TRY
    AWAIT(async_sleep, U);
    puts("continued");
    ASYNC_RETURN("v");
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(body) t; text v; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->t, body);
    AWAIT(async_sleep, 0);
    puts(boolean(async_task_cancel(self->t.task)));
    AWAIT_TASK_INTO(self->v, self->t);
    printf("%s %s %d\n", self->v, boolean(async_task_cancelled(self->t.task)),
           async_task_cancelling(self->t.task));
    printf("cancel done: %s ", boolean(async_task_cancel(self->t.task)));
    printf("%d\n", async_task_cancelling(self->t.task));
    async_task_release(self->t.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
