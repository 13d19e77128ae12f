/* gather_many - twenty sleepers in the time of one. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

static int started, ended;

struct sleeper { ASYNC_FRAME; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    started++;
    AWAIT(async_sleep, ASYNC_MS(200));
    ended++;
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_gathering all; async_time start; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->start = async_loop_time(async_loop_of(co));
    for (self->i = 0; self->i < 20; self->i++)
        async_gather_add(&self->all, CO(sleeper));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    printf("%d started, %d ended, in the time of %d\n", started, ended,
           (int)((async_loop_time(async_loop_of(co)) - self->start) /
                 ASYNC_MS(200)));
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
