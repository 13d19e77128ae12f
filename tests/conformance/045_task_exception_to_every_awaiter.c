#include "conformance.h"

struct bad { ASYNC_FRAME; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    AWAIT(async_sleep, 0);
    ASYNC_RAISE(E_VALUE);
    ASYNC_END;
}

/* In C an error is its code: the same object is the same code. */
struct w { ASYNC_RETURNS(int); int n; async_task *t; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT_TASK(self->t);
    } ASYNC_EXCEPT(E_VALUE) {
        printf("%d v\n", self->n);
        ASYNC_RETURN(E_VALUE);
    } ASYNC_END_TRY
    ASYNC_RETURN(0);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *t; async_gathering all; int a, b, again; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(bad));
    AWAIT_GATHER(&self->all, CO(w, 1, self->t), CO(w, 2, self->t));
    self->a = GATHERED(&self->all, 0, w);
    self->b = GATHERED(&self->all, 1, w);
    async_gather_clear(&self->all);
    printf("%s %s\n", boolean(self->a == self->b),
           boolean(self->a == async_task_result(self->t)));
    puts(boolean(async_task_result(self->t) == self->a));
    ASYNC_TRY {
        AWAIT_JOIN(self->t);
    } ASYNC_EXCEPT_ANY(self->again) {
        puts(boolean(self->again == self->a));
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
