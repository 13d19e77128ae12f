/* micro.c - the workloads as coroutines on Caesura
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * The loop is the one of async/uv/loop.h, run as async_run() runs it: what a
 * program has, with its polls.
 */
#include "../bench.h"

#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include "../../async/queue.h"
#include "../../async/uv/cores.h"
#include "../../async/uv/threads.h"

/* --- running ------------------------------------------------------------- */

#ifdef BENCH_COUNTED
/* For bench/instructions.  How often a loop polls depends on how fast it is, and
 * so on who else is there.  Here the clock goes by how often it is asked. */
static async_time counted_now(async_loop *loop)
{
    static async_time now;
    (void)loop;
    if (now == 0) now = (async_time)uv_hrtime();
    return now += ASYNC_US(1);
}
#endif

/* As async_run() does. */
static int run_on(async_uv_loop *loop, async_object main)
{
    int error;
#ifdef BENCH_COUNTED
    async_backend counted = *loop->base.backend;
    counted.now = counted_now;
    loop->base.backend = &counted;
#endif
    error = async_run_on(&loop->base, main);
    async_loop_close(&loop->base);
    return error;
}
static int run(async_object main)
{
    async_uv_loop loop;
    int error = async_uv_loop_init(&loop, NULL, NULL);
    return error ? error : run_on(&loop, main);
}

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
    return error ? error : run_on(&loop, CO(bench_sleep));
}

/* --- timers -------------------------------------------------------------- */

struct napper { ASYNC_FRAME; async_duration delay; async_future *last; };
static ASYNC(napper)
{
    ASYNC_BEGIN(napper);
    AWAIT(async_sleep, self->delay);
    if (--asleep == 0) async_future_set_result(self->last);
    ASYNC_END;
}

struct bench_timers {
    ASYNC_FRAME;
    ASYNC_TASK_OF(napper) task;
    async_future last;
    long i;
};
static ASYNC(bench_timers)
{
    ASYNC_BEGIN(bench_timers);
    async_future_init(&self->last, async_loop_of(co));
    asleep = bench_job.n;
    bench_begin();
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        ASYNC_SPAWN(self->task, napper, ASYNC_MS(bench_milliseconds()),
                    &self->last);
        async_task_release(self->task.task);
    }
    AWAIT_FUTURE(&self->last);
    bench_end(bench_job.n, asleep, 0);
    ASYNC_END;
}

struct bench_timeout {
    ASYNC_FRAME;
    async_timeout limit;
    int result;
    long i, sum;
};
static ASYNC(bench_timeout)
{
    ASYNC_BEGIN(bench_timeout);
    bench_begin();
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(10)) {
            AWAIT_INTO(self->result, child, self->i);
        } ASYNC_END_TIMEOUT
        self->sum += self->result;
    }
    bench_end(bench_job.n, self->sum, bench_sum(bench_job.n));
    ASYNC_END;
}

static int never(void *argument)
{
    (void)argument;
    asleep++;
    return 0;
}

/* Callbacks, as in the other programs: no tasks. */
struct bench_bulk { ASYNC_FRAME; };
static ASYNC(bench_bulk)
{
    async_handle *handles;
    long i;
    ASYNC_BEGIN(bench_bulk);
    handles = bench_memory((size_t)bench_job.n * sizeof *handles);
    bench_begin();
    for (i = 0; i < bench_job.n; i++)
        async_loop_call_later(async_loop_of(co), &handles[i],
                              ASYNC_MS(10000 + bench_milliseconds()), never,
                              NULL);
    for (i = 0; i < bench_job.n; i++) async_handle_cancel(&handles[i]);
    bench_end(bench_job.n, asleep, 0);
    free(handles);
    ASYNC_END;
}

/* --- queues -------------------------------------------------------------- */

typedef ASYNC_QUEUE(long, 1) narrow_queue;
typedef ASYNC_QUEUE(long, 64) wide_queue;
static narrow_queue there, back;
static wide_queue wide;

struct narrow_producer { ASYNC_FRAME; long i; };
static ASYNC(narrow_producer)
{
    ASYNC_BEGIN(narrow_producer);
    for (self->i = 0; self->i < bench_job.n; self->i++)
        AWAIT_QUEUE_PUT(&there, self->i);
    ASYNC_END;
}
struct narrow_consumer { ASYNC_RETURNS(long); long i, item, sum; };
static ASYNC(narrow_consumer)
{
    ASYNC_BEGIN(narrow_consumer);
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        AWAIT_QUEUE_GET_INTO(self->item, &there);
        self->sum += self->item;
    }
    ASYNC_RETURN(self->sum);
    ASYNC_END;
}
struct wide_producer { ASYNC_FRAME; long i; };
static ASYNC(wide_producer)
{
    ASYNC_BEGIN(wide_producer);
    for (self->i = 0; self->i < bench_job.n; self->i++)
        AWAIT_QUEUE_PUT(&wide, self->i);
    ASYNC_END;
}
struct wide_consumer { ASYNC_RETURNS(long); long i, item, sum; };
static ASYNC(wide_consumer)
{
    ASYNC_BEGIN(wide_consumer);
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        AWAIT_QUEUE_GET_INTO(self->item, &wide);
        self->sum += self->item;
    }
    ASYNC_RETURN(self->sum);
    ASYNC_END;
}

struct bench_queue {
    ASYNC_FRAME;
    async_task *producer;
    ASYNC_TASK_OF(narrow_consumer) narrow;
    ASYNC_TASK_OF(wide_consumer) wide;
    long sum;
};
static ASYNC(bench_queue)
{
    ASYNC_BEGIN(bench_queue);
    ASYNC_QUEUE_INIT(&there);
    ASYNC_QUEUE_INIT(&wide);
    bench_begin();
    if (bench_job.capacity == 1) {
        self->producer = async_create_task(CO(narrow_producer));
        ASYNC_SPAWN(self->narrow, narrow_consumer);
        AWAIT_JOIN_INTO(self->sum, self->narrow);
    } else {
        self->producer = async_create_task(CO(wide_producer));
        ASYNC_SPAWN(self->wide, wide_consumer);
        AWAIT_JOIN_INTO(self->sum, self->wide);
    }
    AWAIT_JOIN(self->producer);
    bench_end(bench_job.n, self->sum, bench_sum_to(bench_job.n));
    ASYNC_END;
}

struct ponger { ASYNC_FRAME; long n, i, item; };
static ASYNC(ponger)
{
    ASYNC_BEGIN(ponger);
    for (self->i = 0; self->i < self->n; self->i++) {
        AWAIT_QUEUE_GET_INTO(self->item, &there);
        AWAIT_QUEUE_PUT(&back, self->item);
    }
    ASYNC_END;
}
struct bench_pingpong {
    ASYNC_FRAME;
    async_task *ponger;
    long n, i, item, sum;
};
static ASYNC(bench_pingpong)
{
    ASYNC_BEGIN(bench_pingpong);
    ASYNC_QUEUE_INIT(&there);
    ASYNC_QUEUE_INIT(&back);
    self->n = bench_job.n / 2;
    self->ponger = async_create_task(CO(ponger, self->n));
    bench_begin();
    for (self->i = 0; self->i < self->n; self->i++) {
        AWAIT_QUEUE_PUT(&there, self->i);
        AWAIT_QUEUE_GET_INTO(self->item, &back);
        self->sum += self->item;
    }
    bench_end(2 * self->n, self->sum, bench_sum_to(self->n));
    AWAIT_JOIN(self->ponger);
    ASYNC_END;
}

/* --- gather -------------------------------------------------------------- */

struct bench_gather { ASYNC_FRAME; async_gathering all; long rounds, i, sum; };
static ASYNC(bench_gather)
{
    long i;
    ASYNC_BEGIN(bench_gather);
    self->rounds = bench_job.n / BENCH_MANY;
    bench_begin();
    for (self->i = 0; self->i < self->rounds; self->i++) {
        for (i = 0; i < BENCH_MANY; i++)
            async_gather_add(&self->all, CO(child, i));
        AWAIT(async_gather, &self->all);
        for (i = 0; i < BENCH_MANY; i++)
            self->sum += GATHERED(&self->all, (size_t)i, child);
        async_gather_clear(&self->all);
    }
    bench_end(self->rounds * BENCH_MANY, self->sum,
              self->rounds * bench_sum(BENCH_MANY));
    ASYNC_END;
}

/* --- another thread ------------------------------------------------------ */

static struct {
    async_loop *loop;
    async_future ended;
    async_handle end;
    long sum;
} other;

static int other_ended(void *argument)
{
    (void)argument;
    async_future_set_result(&other.ended);
    return 0;
}

static void other_thread(void *argument)
{
    typedef ASYNC_CONCURRENT_FUTURE(int) answer;
    answer *answers = malloc(BENCH_BATCH * sizeof *answers);
    long i, j;
    (void)argument;
    for (i = 0; i < bench_job.n; i += BENCH_BATCH) {
        for (j = 0; j < BENCH_BATCH; j++)
            if (ASYNC_RUN_COROUTINE_THREADSAFE(&answers[j], other.loop, child,
                                               i + j) != 0)
                exit(1);
        for (j = 0; j < BENCH_BATCH; j++) {
            if (async_concurrent_future_result(&answers[j].future,
                                               ASYNC_FOREVER) != 0)
                exit(1);
            other.sum += answers[j].value;
            async_concurrent_future_destroy(&answers[j].future);
        }
    }
    free(answers);
    async_loop_call_soon_threadsafe(other.loop, &other.end, other_ended, NULL);
}

struct bench_threads { ASYNC_FRAME; uv_thread_t thread; };
static ASYNC(bench_threads)
{
    ASYNC_BEGIN(bench_threads);
    bench_job.n -= bench_job.n % BENCH_BATCH;
    other.loop = async_loop_of(co);
    async_future_init(&other.ended, other.loop);
    bench_begin();
    if (uv_thread_create(&self->thread, other_thread, NULL) != 0)
        ASYNC_RAISE(ASYNC_ENOMEM);
    AWAIT_FUTURE(&other.ended);
    uv_thread_join(&self->thread);
    bench_end(bench_job.n, other.sum, bench_sum(bench_job.n));
    ASYNC_END;
}

/* --- cores --------------------------------------------------------------- */

static long cores_sums[2];

/* Each core makes tasks and waits for them. */
struct bench_core {
    ASYNC_FRAME;
    ASYNC_TASK_OF(child) task;
    int result;
    long i, sum;
};
static ASYNC(bench_core)
{
    ASYNC_BEGIN(bench_core);
    for (self->i = 0; self->i < bench_job.n; self->i++) {
        ASYNC_SPAWN(self->task, child, self->i);
        AWAIT_JOIN_INTO(self->result, self->task);
        self->sum += self->result;
    }
    cores_sums[async_core_index()] = self->sum;
    ASYNC_END;
}

static int run_cores(void)
{
    unsigned count = bench_is("cores2") ? 2 : 1;
    double started = bench_wall();
    int error = async_run_cores(count, CO(bench_core));
    if (error) return error;
    bench_print(bench_wall() - started, (long)count * bench_job.n,
                cores_sums[0] + cores_sums[1],
                (long)count * bench_sum(bench_job.n));
    return 0;
}

int main(int argc, char **argv)
{
    int error = 0;
    bench_arguments(argc, argv);
    if (bench_is("switch")) error = run(CO(bench_switch));
    if (bench_is("depth")) error = run(CO(bench_depth));
    if (bench_is("spawn")) error = run(CO(bench_spawn));
    if (bench_is("call")) error = run(CO(bench_call));
    if (bench_is("sleep")) error = run_sleep();
    if (bench_is("timers")) error = run(CO(bench_timers));
    if (bench_is("queue")) error = run(CO(bench_queue));
    if (bench_is("pingpong")) error = run(CO(bench_pingpong));
    if (bench_is("gather")) error = run(CO(bench_gather));
    if (bench_is("timeout")) error = run(CO(bench_timeout));
    if (bench_is("bulk")) error = run(CO(bench_bulk));
    if (bench_is("threads")) error = run(CO(bench_threads));
    if (bench_is("cores")) error = run_cores();
    return error != 0;
}
