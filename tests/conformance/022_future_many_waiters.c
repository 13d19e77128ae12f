#include "conformance.h"

typedef ASYNC_FUTURE(int) int_future;

struct w { ASYNC_FRAME; int n; int_future *f; int result; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT_FUTURE_INTO(self->result, self->f);
        printf("%d got %d\n", self->n, self->result);
    } ASYNC_EXCEPT(E_VALUE) {
        printf("%d exc v\n", self->n);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int_future f; async_gathering ts; int i, round; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->round = 0; self->round < 2; self->round++) {
        async_future_init(&self->f.future, async_loop_of(co));
        for (self->i = 0; self->i < 3; self->i++)
            async_gather_add(&self->ts, CO(w, self->i, &self->f));
        AWAIT(async_sleep, 0);
        if (self->round == 0)
            ASYNC_SET_RESULT(&self->f, 42);
        else
            async_future_set_exception(&self->f.future, E_VALUE);
        AWAIT(async_gather, &self->ts);
        async_gather_clear(&self->ts);
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
