/* micro.c - the workloads as callbacks on libuv
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * What a program without coroutines does: to give up the processor is to be
 * called again in the next turn of the loop (an idle handle), to spawn is to
 * make a handle that is called once and closed.  There is no await.
 */
#include "../bench.h"

#include <uv.h>

static uv_loop_t *loop;
static long counted, sum;

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) exit(1);
    return memory;
}
static void close_and_free(uv_handle_t *handle)
{
    free(handle);
}

/* --- switch -------------------------------------------------------------- */

static void switched(uv_idle_t *idle)
{
    (void)idle;
    if (++counted == bench_job.n) uv_stop(loop);
}

static void bench_switch(void)
{
    uv_idle_t *idles = allocate((size_t)bench_job.many * sizeof *idles);
    long i;
    for (i = 0; i < bench_job.many; i++) {
        uv_idle_init(loop, &idles[i]);
        uv_idle_start(&idles[i], switched);
    }
    bench_job.n -= bench_job.n % bench_job.many;
    bench_begin();
    uv_run(loop, UV_RUN_DEFAULT);
    bench_end(bench_job.n, counted, bench_job.n);
}

/* --- spawn, gather ------------------------------------------------------- */

struct child { uv_idle_t idle; long argument; };

static void spawn(uv_idle_cb run, long argument)
{
    struct child *made = allocate(sizeof *made);
    made->argument = argument;
    uv_idle_init(loop, &made->idle);
    uv_idle_start(&made->idle, run);
}

static void child_closed(uv_handle_t *handle);
static void child_runs(uv_idle_t *idle)
{
    sum += bench_value(((struct child *)(void *)idle)->argument);
    uv_close((uv_handle_t *)idle, child_closed);
}
static void child_closed(uv_handle_t *handle)
{
    free(handle);
    if (++counted < bench_job.n) spawn(child_runs, counted);
}

static void bench_spawn(void)
{
    bench_begin();
    spawn(child_runs, 0);
    uv_run(loop, UV_RUN_DEFAULT);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

static void gathered(uv_idle_t *idle)
{
    sum += bench_value(((struct child *)(void *)idle)->argument);
    uv_close((uv_handle_t *)idle, close_and_free);
}

static void bench_gather(void)
{
    long rounds = bench_job.n / BENCH_MANY, round, i;
    bench_begin();
    for (round = 0; round < rounds; round++) {
        for (i = 0; i < BENCH_MANY; i++) spawn(gathered, i);
        uv_run(loop, UV_RUN_DEFAULT); /* until all are closed */
    }
    bench_end(rounds * BENCH_MANY, sum, rounds * bench_sum(BENCH_MANY));
}

/* --- timers -------------------------------------------------------------- */

static void timer_ended(uv_timer_t *timer)
{
    (void)timer;
    counted++;
}

static void bench_sleep(void)
{
    long i;
    bench_sleep_begin(0);
    for (i = 0; i < bench_job.n; i++) {
        uv_timer_t *timer = allocate(sizeof *timer);
        uv_timer_init(loop, timer);
        uv_timer_start(timer, timer_ended, 3600000, 0);
    }
    uv_run(loop, UV_RUN_NOWAIT);
    bench_sleep_end(bench_job.n, bench_job.n - counted,
                    bench_job.n * (long)sizeof(uv_timer_t));
}

static void bench_timers(void)
{
    uv_timer_t *timers = allocate((size_t)bench_job.n * sizeof *timers);
    long i;
    bench_begin();
    for (i = 0; i < bench_job.n; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], timer_ended, bench_milliseconds(), 0);
    }
    uv_run(loop, UV_RUN_DEFAULT);
    bench_end(bench_job.n, counted, bench_job.n);
}

static BENCH_NOINLINE int called(long argument)
{
    return bench_value(argument);
}
static int (*volatile call)(long argument) = called;

static void bench_timeout(void)
{
    uv_timer_t timer;
    long i;
    uv_timer_init(loop, &timer);
    bench_begin();
    for (i = 0; i < bench_job.n; i++) {
        uv_timer_start(&timer, timer_ended, 10000, 0);
        sum += call(i);
        uv_timer_stop(&timer);
    }
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

static void bench_bulk(void)
{
    uv_timer_t *timers = bench_memory((size_t)bench_job.n * sizeof *timers);
    long i;
    bench_begin();
    for (i = 0; i < bench_job.n; i++) {
        uv_timer_init(loop, &timers[i]);
        uv_timer_start(&timers[i], timer_ended, 10000 + bench_milliseconds(),
                       0);
    }
    for (i = 0; i < bench_job.n; i++) uv_timer_stop(&timers[i]);
    bench_end(bench_job.n, counted, 0);
}

/* --- another thread ------------------------------------------------------ */

struct posted { struct posted *next; long argument; int result, done; };
static struct {
    uv_mutex_t mutex;
    uv_cond_t done;
    uv_async_t wakeup;
    struct posted *first, **last;
} post;

static void poster(void *argument)
{
    struct posted *batch = allocate(BENCH_BATCH * sizeof *batch);
    long i, j;
    (void)argument;
    for (i = 0; i < bench_job.n; i += BENCH_BATCH) {
        for (j = 0; j < BENCH_BATCH; j++) {
            batch[j].next = NULL;
            batch[j].argument = i + j;
            batch[j].done = 0;
            uv_mutex_lock(&post.mutex);
            *post.last = &batch[j];
            post.last = &batch[j].next;
            uv_mutex_unlock(&post.mutex);
            uv_async_send(&post.wakeup);
        }
        for (j = 0; j < BENCH_BATCH; j++) {
            uv_mutex_lock(&post.mutex);
            while (!batch[j].done) uv_cond_wait(&post.done, &post.mutex);
            uv_mutex_unlock(&post.mutex);
            sum += batch[j].result;
        }
    }
    free(batch);
}

static void woken(uv_async_t *wakeup)
{
    struct posted *next;
    uv_mutex_lock(&post.mutex);
    next = post.first;
    post.first = NULL;
    post.last = &post.first;
    for (; next != NULL; next = next->next) {
        next->result = bench_value(next->argument);
        next->done = 1;
        counted++;
    }
    uv_cond_signal(&post.done);
    uv_mutex_unlock(&post.mutex);
    if (counted == bench_job.n) uv_close((uv_handle_t *)wakeup, NULL);
}

static void bench_threads(void)
{
    uv_thread_t thread;
    bench_job.n -= bench_job.n % BENCH_BATCH;
    uv_mutex_init(&post.mutex);
    uv_cond_init(&post.done);
    post.last = &post.first;
    uv_async_init(loop, &post.wakeup, woken);
    bench_begin();
    if (uv_thread_create(&thread, poster, NULL) != 0) exit(1);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_thread_join(&thread);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

int main(int argc, char **argv)
{
    bench_arguments(argc, argv);
    loop = uv_default_loop();
    if (bench_is("switch"))
        bench_switch();
    else if (bench_is("spawn"))
        bench_spawn();
    else if (bench_is("gather"))
        bench_gather();
    else if (bench_is("sleep"))
        bench_sleep();
    else if (bench_is("timers"))
        bench_timers();
    else if (bench_is("timeout"))
        bench_timeout();
    else if (bench_is("bulk"))
        bench_bulk();
    else if (bench_is("threads"))
        bench_threads();
    else
        bench_missing();
    return 0;
}
