#include "conformance.h"

static any_loop loop;

struct sleeper { ASYNC_FRAME; int n; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    AWAIT(async_sleep, self->n * U);
    printf("woke %d\n", self->n);
    ASYNC_END;
}

struct hog { ASYNC_FRAME; };
static ASYNC(hog)
{
    ASYNC_BEGIN(hog);
    AWAIT(async_sleep, 0);
    puts("hog start");
    block(&loop, 4 * U);
    puts("hog end");
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_gathering all; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT_GATHER(&self->all, CO(sleeper, 3), CO(sleeper, 1), CO(sleeper, 2),
                 CO(hog));
    async_gather_clear(&self->all);
    ASYNC_END;
}

int main(void)
{
    int error;
    any_loop_init(&loop);
    error = async_run_on(&loop.base, CO(program));
    async_loop_close(&loop.base);
    return error;
}
