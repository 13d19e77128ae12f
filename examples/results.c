/* results - coroutines that return a value: from tasks, and gathered. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

/* ASYNC_RETURNS(type) in the place of ASYNC_FRAME: the result is typed. */
struct square { ASYNC_RETURNS(long); int n; };
static ASYNC(square)
{
    ASYNC_BEGIN(square);
    AWAIT(async_sleep, ASYNC_MS(20) * self->n);
    ASYNC_RETURN((long)self->n * self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(square) a, b;
    async_gathering squares;
    long result, sum;
    int i;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);

    AWAIT_INTO(self->result, square, 2); /* awaited: no task */
    printf("square of 2: %ld\n", self->result);

    ASYNC_SPAWN(self->a, square, 4); /* two tasks, side by side */
    ASYNC_SPAWN(self->b, square, 3);
    AWAIT_JOIN_INTO(self->result, self->a);
    self->sum = self->result;
    AWAIT_JOIN_INTO(self->result, self->b);
    self->sum += self->result;
    printf("4*4 + 3*3 = %ld\n", self->sum);

    /* Any number, gathered: results in the order of the arguments, not in
     * that of completion. */
    for (self->i = 5; self->i > 0; self->i--)
        async_gather_add(&self->squares, CO(square, self->i));
    AWAIT(async_gather, &self->squares);
    for (self->i = 0; self->i < 5; self->i++)
        printf("%ld ", GATHERED(&self->squares, self->i, square));
    puts("gathered");
    async_gather_clear(&self->squares);
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
