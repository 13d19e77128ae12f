#include "conformance.h"

#include "../../async/limiter.h"
#include "../../async/nursery.h"

typedef ASYNC_LIMITER(3) limiter;
static async_time t0;

struct w { ASYNC_FRAME; async_limiter *lim; int n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, self->n * U / 100);
    ASYNC_WITH(async_limiter, self->lim) {
        printf("in %d %d\n", self->n, units_since(async_loop_of(co), t0));
        AWAIT(async_sleep, 2 * U);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program { ASYNC_FRAME; limiter lim; async_nursery nursery; int n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    t0 = async_loop_time(async_loop_of(co));
    ASYNC_LIMITER_INIT(&self->lim, 2);
    ASYNC_NURSERY(&self->nursery) {
        for (self->n = 0; self->n < 4; self->n++)
            async_nursery_spawn(&self->nursery,
                                CO(w, &self->lim.limiter, self->n));
        AWAIT(async_sleep, 1 * U);
        printf("borrowed %ld %ld %ld\n",
               async_limiter_borrowed_tokens(&self->lim.limiter),
               async_limiter_available_tokens(&self->lim.limiter),
               async_limiter_tasks_waiting(&self->lim.limiter));
        async_limiter_set_total_tokens(&self->lim.limiter, 3);
    }
    ASYNC_END_NURSERY
    ASYNC_WITH(async_limiter, &self->lim.limiter) {
        ASYNC_TRY {
            AWAIT(async_limiter_acquire, &self->lim.limiter);
        } ASYNC_EXCEPT(ASYNC_EBORROWED) {
            puts("RuntimeError twice");
        } ASYNC_END_TRY
    } ASYNC_END_WITH
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
