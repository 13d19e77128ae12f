#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_barrier *b; char n; int i; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT_INTO(self->i, async_barrier_wait, self->b);
        printf("%c %d\n", self->n, self->i);
    } ASYNC_EXCEPT(ASYNC_EBROKENBARRIER) {
        printf("%c broken\n", self->n);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_barrier b; async_gathering ts; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_barrier_init(&self->b, 3);
    async_gather_add(&self->ts, CO(w, &self->b, 'A'));
    async_gather_add(&self->ts, CO(w, &self->b, 'B'));
    AWAIT(async_sleep, 0);
    AWAIT(async_barrier_reset, &self->b);
    AWAIT(async_gather, &self->ts);
    printf("%s %d\n", boolean(async_barrier_broken(&self->b)),
           async_barrier_n_waiting(&self->b));
    async_gather_clear(&self->ts);
    async_gather_add(&self->ts, CO(w, &self->b, 'C'));
    async_gather_add(&self->ts, CO(w, &self->b, 'D'));
    AWAIT(async_sleep, 0);
    AWAIT(async_barrier_abort, &self->b);
    AWAIT(async_gather, &self->ts);
    async_gather_clear(&self->ts);
    puts(boolean(async_barrier_broken(&self->b)));
    AWAIT(w, &self->b, 'E');
    AWAIT(async_barrier_reset, &self->b);
    puts(boolean(async_barrier_broken(&self->b)));
    AWAIT_GATHER(&self->ts, CO(w, &self->b, 'F'), CO(w, &self->b, 'G'),
                 CO(w, &self->b, 'H'));
    async_gather_clear(&self->ts);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
