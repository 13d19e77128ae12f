#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_barrier *b; char n; int i; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT_INTO(self->i, async_barrier_wait, self->b);
    printf("round1 %c %d\n", self->n, self->i);
    AWAIT_INTO(self->i, async_barrier_wait, self->b);
    printf("round2 %c %d\n", self->n, self->i);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_barrier b, alone;
    async_gathering ts;
    async_task *t;
    int pos;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_barrier_init(&self->b, 3);
    async_gather_add(&self->ts, CO(w, &self->b, 'A'));
    async_gather_add(&self->ts, CO(w, &self->b, 'B'));
    async_gather_add(&self->ts, CO(w, &self->b, 'C'));
    AWAIT(async_sleep, 0);
    printf("parties %d %d %s\n", async_barrier_parties(&self->b),
           async_barrier_n_waiting(&self->b),
           boolean(async_barrier_broken(&self->b)));
    AWAIT(async_gather, &self->ts);
    async_gather_clear(&self->ts);
    self->t = async_create_task(CO(w, &self->b, 'D'));
    AWAIT(async_sleep, 0);
    printf("waiting %d\n", async_barrier_n_waiting(&self->b));
    async_task_cancel(self->t);
    AWAIT(until_ended, self->t);
    async_task_release(self->t);
    printf("cancelled %d %s\n", async_barrier_n_waiting(&self->b),
           boolean(async_barrier_broken(&self->b)));
    async_barrier_init(&self->alone, 1);
    AWAIT_INTO(self->pos, async_barrier_wait, &self->alone);
    printf("with %d\n", self->pos);
    if (async_barrier_init(&self->alone, 0) == ASYNC_EPARTIES)
        puts("ValueError");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
