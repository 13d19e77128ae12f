/* caesura.c - the workloads of bench/core as coroutines on Caesura
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * The loop is the one of async/uv/loop.h, run as async_run() runs it: what a
 * program has, with its polls.
 */
#include "bench.h"

#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

/* --- switch -------------------------------------------------------------- */

struct looper { ASYNC_RETURNS(long); long n, i; };
static BENCH_NOINLINE ASYNC(looper)
{
    ASYNC_BEGIN(looper);
    for (self->i = 0; self->i < self->n; self->i++) ASYNC_SUSPEND;
    ASYNC_RETURN(self->i);
    ASYNC_END;
}

typedef ASYNC_TASK_OF(looper) looper_task;

struct bench_switch {
    ASYNC_FRAME;
    looper_task *tasks;
    long i, each, looped, sum;
};
static ASYNC(bench_switch)
{
    ASYNC_BEGIN(bench_switch);
    self->each = bench_job.n / bench_job.many;
    self->tasks = calloc((size_t)bench_job.many, sizeof *self->tasks);
    if (self->tasks == NULL) ASYNC_RAISE(ASYNC_ENOMEM);
    for (self->i = 0; self->i < bench_job.many; self->i++)
        ASYNC_SPAWN(self->tasks[self->i], looper, self->each);
    bench_begin();
    for (self->i = 0; self->i < bench_job.many; self->i++) {
        AWAIT_JOIN_INTO(self->looped, self->tasks[self->i]);
        self->sum += self->looped;
    }
    bench_end(self->each * bench_job.many, self->sum,
              self->each * bench_job.many);
    free(self->tasks);
    ASYNC_END;
}

/* --- depth --------------------------------------------------------------- */

struct level { ASYNC_RETURNS(long); int depth; long n, i; };
static BENCH_NOINLINE ASYNC(level)
{
    ASYNC_BEGIN(level);
    if (self->depth > 0) {
        AWAIT_INTO(self->i, level, self->depth - 1, self->n);
    } else {
        for (self->i = 0; self->i < self->n; self->i++) ASYNC_SUSPEND;
    }
    ASYNC_RETURN(self->i);
    ASYNC_END;
}

struct bench_depth { ASYNC_FRAME; ASYNC_TASK_OF(level) task; long looped; };
static ASYNC(bench_depth)
{
    ASYNC_BEGIN(bench_depth);
    ASYNC_SPAWN(self->task, level, bench_job.depth, bench_job.n);
    bench_begin();
    AWAIT_JOIN_INTO(self->looped, self->task);
    bench_end(bench_job.n, self->looped, bench_job.n);
    ASYNC_END;
}

/* --- spawn and join, call ------------------------------------------------ */

struct child { ASYNC_RETURNS(int); long argument; };
static BENCH_NOINLINE ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_RETURN(bench_value(self->argument));
    ASYNC_END;
}

struct bench_spawn {
    ASYNC_FRAME;
    ASYNC_TASK_OF(child) task;
    int result;
    long i, sum;
};
static ASYNC(bench_spawn)
{
    ASYNC_BEGIN(bench_spawn);
    bench_begin();
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        ASYNC_SPAWN(self->task, child, self->i);
        AWAIT_JOIN_INTO(self->result, self->task);
        self->sum += self->result;
    }
    bench_end(bench_job.n, self->sum, bench_sum(bench_job.n));
    ASYNC_END;
}

struct bench_call { ASYNC_FRAME; int result; long i, sum; };
static ASYNC(bench_call)
{
    ASYNC_BEGIN(bench_call);
    bench_begin();
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        AWAIT_INTO(self->result, child, self->i);
        self->sum += self->result;
    }
    bench_end(bench_job.n, self->sum, bench_sum(bench_job.n));
    ASYNC_END;
}

/* --- sleep --------------------------------------------------------------- */

static long asleep, asked;

/* An allocator that counts, for a loop that is made with it. */
static void *counted_allocate(void *context, size_t size)
{
    (void)context;
    asked += (long)size;
    return malloc(size);
}
static void counted_release(void *context, void *memory, size_t size)
{
    (void)context;
    asked -= (long)size;
    free(memory);
}

struct sleeper { ASYNC_FRAME; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    asleep++;
    AWAIT(async_sleep, ASYNC_SECONDS(3600));
    asleep--; /* not within an hour */
    ASYNC_END;
}

/* Nobody waits for the sleepers: they are cancelled when this has ended. */
struct bench_sleep { ASYNC_FRAME; ASYNC_TASK_OF(sleeper) task; long i; };
static ASYNC(bench_sleep)
{
    ASYNC_BEGIN(bench_sleep);
    bench_sleep_begin(asked);
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        ASYNC_SPAWN(self->task, sleeper);
        async_task_release(self->task.task);
    }
    ASYNC_SUSPEND; /* they begin to sleep */
    bench_sleep_end(bench_job.n, asleep, asked);
    ASYNC_END;
}

static int run_sleep(void)
{
    static const async_allocator counted = { counted_allocate, counted_release,
                                             NULL };
    async_uv_loop loop;
    int error = async_uv_loop_init(&loop, NULL, &counted);
    if (error) return error;
    error = async_run_on(&loop.base, CO(bench_sleep));
    async_loop_close(&loop.base);
    return error;
}

int main(int argc, char **argv)
{
    int error = 0;
    bench_arguments(argc, argv);
    if (bench_is("switch")) error = async_run(CO(bench_switch));
    if (bench_is("depth")) error = async_run(CO(bench_depth));
    if (bench_is("spawn")) error = async_run(CO(bench_spawn));
    if (bench_is("call")) error = async_run(CO(bench_call));
    if (bench_is("sleep")) error = run_sleep();
    return error != 0;
}
