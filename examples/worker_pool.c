/* worker_pool - counts primes in threads, while the loop goes on.
 *
 * Which thread is done first nobody knows; what is printed does not depend on
 * it.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/executor.h"

#include <stdio.h>

enum { PARTS = 8, EACH = 125000, WORKERS = 4 };

static async_executor pool;

/* Runs in a thread of the pool, with arguments and a result of its own. */
struct count_primes { ASYNC_JOB_RETURNS(int); int from, to; };
static ASYNC_JOB(count_primes)
{
    int n, divisor, primes = 0;
    for (n = self->from; n < self->to; n++) {
        for (divisor = 2; divisor * divisor <= n; divisor++)
            if (n % divisor == 0) break;
        if (n >= 2 && divisor * divisor > n) primes++;
    }
    ASYNC_JOB_RETURN(primes);
}

/* Beside them the loop has time for others. */
static int ticks;
struct ticker { ASYNC_FRAME; };
static ASYNC(ticker)
{
    ASYNC_BEGIN(ticker);
    for (;;) {
        ticks++;
        AWAIT(async_sleep, ASYNC_MS(1));
    }
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    ASYNC_TASK_OF(count_primes) parts[PARTS];
    async_waited ends[PARTS];
    struct async_as_completed completed;
    async_future *end;
    async_task *ticker;
    int i, done, primes;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->ticker = async_create_task(CO(ticker));
    for (self->i = 0; self->i < PARTS; self->i++) {
        ASYNC_SPAWN(self->parts[self->i], count_primes, &pool, self->i * EACH,
                    (self->i + 1) * EACH);
        self->ends[self->i].future = &self->parts[self->i].task->future;
    }
    self->completed =
        ASYNC_GENERATOR(async_as_completed, self->ends, PARTS, ASYNC_FOREVER);
    ASYNC_FOR(self->end, &self->completed) {
        AWAIT_FUTURE(self->end); /* done: raises its error, if it has one */
        printf("%d of %d parts are done\n", ++self->done, PARTS);
    } ASYNC_END_FOR
    for (self->i = 0; self->i < PARTS; self->i++) {
        self->primes += ASYNC_TASK_RESULT(self->parts[self->i]);
        async_task_release(self->parts[self->i].task);
    }
    printf("%d primes below %d\n", self->primes, PARTS * EACH);
    printf("the loop %s meanwhile\n", ticks > 1 ? "went on" : "stood still");
    async_task_cancel(self->ticker);
    async_task_release(self->ticker);
    ASYNC_END;
}

int main(void)
{
    int error = async_executor_init(&pool, WORKERS, NULL);
    if (error) return 1;
    error = async_run(CO(program));
    async_executor_destroy(&pool);
    return error != 0;
}
