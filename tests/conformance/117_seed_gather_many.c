#include "conformance.h"

static int count[2];

struct my_coroutine { ASYNC_FRAME; };
static ASYNC(my_coroutine)
{
    ASYNC_BEGIN(my_coroutine);
    count[0]++;
    AWAIT(async_sleep, 1 * U);
    count[1]++;
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 20; self->i++)
        async_gather_add(&self->all, CO(my_coroutine));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    async_time t;
    any_loop_init(&loop);
    t = async_loop_time(&loop.base);
    async_loop_run_until_complete(&loop.base, CO(program));
    printf("[%d, %d] processing time: %d.00\n", count[0], count[1],
           units_since(&loop.base, t));
    return async_loop_close(&loop.base);
}
