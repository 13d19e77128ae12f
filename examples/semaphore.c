/* semaphore - five jobs of 1, 2, 3, 2 and 3 units, at most three at once:
 * five units in all. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"
#include "../async/sync.h"

#include <stdio.h>

#define UNIT ASYNC_MS(100)

struct job { ASYNC_FRAME; async_semaphore *limit; int id, units; };
static ASYNC(job)
{
    ASYNC_BEGIN(job);
    ASYNC_WITH(async_semaphore, self->limit) { /* released on every way out */
        printf("job %d starts, %d units\n", self->id, self->units);
        AWAIT(async_sleep, self->units * UNIT);
        printf("job %d ends\n", self->id);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_semaphore limit;
    async_gathering jobs;
    async_time start;
    int i;
};
static ASYNC(program)
{
    static const int units[] = { 1, 2, 3, 2, 3 };
    ASYNC_BEGIN(program);
    self->start = async_loop_time(async_loop_of(co));
    async_semaphore_init(&self->limit, 3);
    for (self->i = 0; self->i < 5; self->i++)
        async_gather_add(&self->jobs,
                         CO(job, &self->limit, self->i + 1, units[self->i]));
    AWAIT(async_gather, &self->jobs);
    async_gather_clear(&self->jobs);
    printf("took %d units\n",
           (int)((async_loop_time(async_loop_of(co)) - self->start) / UNIT));
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
