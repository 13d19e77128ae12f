#include "conformance.h"

typedef struct text {
    char s[16];
} text;

struct say_after { ASYNC_RETURNS(text); int delay; const char *what; };
static ASYNC(say_after)
{
    text result;
    ASYNC_BEGIN(say_after);
    AWAIT(async_sleep, self->delay * U);
    snprintf(result.s, sizeof result.s, "%s - %d", self->what, self->delay);
    ASYNC_RETURN(result);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_time t0;
    ASYNC_TASK_OF(say_after) task1, task2;
    async_gathering all;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    ASYNC_SPAWN(self->task1, say_after, 1, "hello");
    ASYNC_SPAWN(self->task2, say_after, 2, "world");
    AWAIT_GATHER(&self->all, async_task_object(self->task1.task),
                 async_task_object(self->task2.task));
    printf("['%s', '%s']\n", ASYNC_TASK_RESULT(self->task1).s,
           ASYNC_TASK_RESULT(self->task2).s);
    async_task_release(self->task1.task);
    async_task_release(self->task2.task);
    printf("finished at %d\n", units_since(async_loop_of(co), self->t0));
    self->t0 = async_loop_time(async_loop_of(co));
    async_gather_clear(&self->all);
    AWAIT_GATHER(&self->all, CO(say_after, 1, "hello"),
                 CO(say_after, 2, "world"));
    printf("['%s', '%s']\n", GATHERED(&self->all, 0, say_after).s,
           GATHERED(&self->all, 1, say_after).s);
    async_gather_clear(&self->all);
    printf("finished at %d\n", units_since(async_loop_of(co), self->t0));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
