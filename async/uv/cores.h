/* cores.h - a loop for each core
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A loop is one thread.  A program that needs more of the machine runs several,
 * each with a main coroutine of its own:
 *
 *     int main(void) { return async_run_cores(0, CO(serve, &address)); }
 *
 * where `serve` asks async_core_index() which of them it is, and listens with
 * ASYNC_TCP_REUSEPORT (tcp.h), so that the system divides the connections among
 * them.  What the cores have in common is the program's to guard: nothing of
 * Caesura's is shared between loops.
 *
 * For work that computes and does not wait, see executor.h.
 */
#ifndef CAESURA_UV_CORES_H
#define CAESURA_UV_CORES_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Runs a coroutine on each of `count` loops: one in this thread, and the others
 * in threads of their own, as async_run() does: what is left when it ends is
 * cancelled and waited for, and its error is printed.  Blocks until all of them
 * have ended.
 *
 * When one ends with an error, those of the others are cancelled; so they are
 * by async_stop_cores().  Who then ends cancelled has no error.  Ctrl-C cancels
 * that of core 0, as in async_run(), as long as it runs.
 *
 * count    0: as many as async_available_cores() says
 * main     CO(...), copied for each; what its arguments point to is shared
 * Returns  0, or the error that came first: a coroutine's (ASYNC_EINTR after
 *          Ctrl-C), libuv's when a loop or thread cannot be made (UV_EMFILE,
 *          UV_EAGAIN), and then the others are cancelled too; ASYNC_ENOMEM;
 *          ASYNC_ENESTEDRUN in a running loop; ASYNC_EINVAL for what is no
 *          coroutine
 * Memory   some bytes a core from the default allocator */
int async_run_cores(unsigned count, async_object main);

/* Which of them this thread is, from 0 on, and how many there are: -1 and 0 in
 * other threads.  Core 0 is the thread that called async_run_cores(). */
int async_core_index(void);
unsigned async_core_count(void);

/* Cancels the main coroutines of all cores, also this one's.  From one of their
 * threads; elsewhere it does nothing. */
void async_stop_cores(void);

/* How many threads can run at once. */
unsigned async_available_cores(void);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_CORES_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_CORES_IMPLEMENTED)
#define CAESURA_UV_CORES_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

typedef struct async__cores async__cores;
typedef struct async__core {
    async__cores *all;
    unsigned index;
    int error;
    async_loop *loop; /* while others may tell it to stop */
    async_handle stop;
    uv_thread_t thread;
} async__core;

/* The mutex guards what the cores look at of each other. */
struct async__cores {
    uv_mutex_t mutex;
    async_object main;
    async__core *cores, *failed; /* the first that did */
    unsigned count;
    int stopping;
};

static __thread async__core *async__this_core;

/* In the core's own thread. */
static int async__core_cancel(void *argument)
{
    async__core *core = (async__core *)argument;
    if (core->loop->main != NULL) async_task_cancel(core->loop->main);
    return 0;
}

/* The mutex is held, which the loop of a core takes before it is closed. */
static void async__cores_stop(async__cores *all, const async__core *except)
{
    unsigned i;
    if (all->stopping) return;
    all->stopping = 1;
    for (i = 0; i < all->count; i++)
        if (all->cores[i].loop != NULL && &all->cores[i] != except)
            (void)async_loop_call_soon_threadsafe(
                all->cores[i].loop, &all->cores[i].stop, async__core_cancel,
                &all->cores[i]);
}

static void async__core_failed(async__core *core)
{
    uv_mutex_lock(&core->all->mutex);
    if (core->all->failed == NULL) core->all->failed = core;
    async__cores_stop(core->all, core);
    uv_mutex_unlock(&core->all->mutex);
}

/* Whether an error of the main coroutine is the end that it was asked for.
 * If not, the others are told before it is raised. */
static int async__core_was_stopped(async__core *core, int error)
{
    int stopping;
    if (error >= 0) return 0;
    uv_mutex_lock(&core->all->mutex);
    stopping = core->all->stopping;
    uv_mutex_unlock(&core->all->mutex);
    if (stopping && error == ASYNC_ECANCELED) return 1;
    async__core_failed(core);
    return 0;
}

/* Returns 0 when it need not begin any more. */
static int async__core_begin(async__core *core, async_loop *loop)
{
    int begins;
    uv_mutex_lock(&core->all->mutex);
    begins = !core->all->stopping;
    if (begins) core->loop = loop;
    uv_mutex_unlock(&core->all->mutex);
    return begins;
}

struct async__core_main { ASYNC_FRAME; async__core *core; };
static ASYNC(async__core_main)
{
    ASYNC_BEGIN(async__core_main);
    if (!async__core_begin(self->core, async_loop_of(co))) ASYNC_RETURN();
    ASYNC_TRY {
        ASYNC_AWAIT_CO(self->core->all->main);
    } ASYNC__EXCEPT(async__core_was_stopped(self->core, co->error)) {}
    ASYNC_END_TRY
    ASYNC_END;
}

static void async__core_run(void *argument)
{
    async__core *core = (async__core *)argument;
    async_uv_loop loop;
    async_backend deaf;
    async__this_core = core;
    core->error = async_uv_loop_init(&loop, NULL, NULL);
    if (!core->error) {
        /* Ctrl-C is for one of them, which tells the others. */
        deaf = *loop.base.backend;
        deaf.interrupts = NULL;
        if (core->index > 0) loop.base.backend = &deaf;
        core->error =
            async_run_on(&loop.base, ASYNC_CO(async__core_main, core));
        uv_mutex_lock(&core->all->mutex);
        core->loop = NULL;
        uv_mutex_unlock(&core->all->mutex);
        async_loop_close(&loop.base);
    }
    /* That which came before the main coroutine, too. */
    if (core->error) async__core_failed(core);
    async__this_core = NULL;
}

/* Runs all of them, and returns the first error. */
static int async__cores_run(async__cores *all)
{
    unsigned started;
    int error = 0;
    for (started = 1; started < all->count; started++) {
        error = uv_thread_create(&all->cores[started].thread, async__core_run,
                                 &all->cores[started]);
        if (error) break;
    }
    if (error) {
        all->cores[0].error = error;
        async__core_failed(&all->cores[0]);
    } else {
        async__core_run(&all->cores[0]);
    }
    while (--started > 0) uv_thread_join(&all->cores[started].thread);
    return all->failed != NULL ? all->failed->error : 0;
}

int async_run_cores(unsigned count, async_object main)
{
    const async_allocator *allocator = NULL;
    async__cores all;
    unsigned i;
    int error = ASYNC_ENOMEM;
    if (async__running != NULL) return ASYNC_ENESTEDRUN;
    if (main.start == NULL) return ASYNC_EINVAL;
    memset(&all, 0, sizeof all);
    all.main = main;
    all.count = count > 0 ? count : async_available_cores();
#ifndef ASYNC_NO_HEAP
    allocator = &async_default_allocator;
#endif
    if (allocator != NULL)
        all.cores = (async__core *)allocator->allocate(
            allocator->context, all.count * sizeof *all.cores);
    if (all.cores == NULL) return ASYNC_ENOMEM;
    memset(all.cores, 0, all.count * sizeof *all.cores);
    for (i = 0; i < all.count; i++) {
        all.cores[i].all = &all;
        all.cores[i].index = i;
    }
    error = uv_mutex_init(&all.mutex);
    if (!error) {
        error = async__cores_run(&all);
        uv_mutex_destroy(&all.mutex);
    }
    allocator->release(allocator->context, all.cores,
                       all.count * sizeof *all.cores);
    return error;
}

int async_core_index(void)
{
    return async__this_core != NULL ? (int)async__this_core->index : -1;
}

unsigned async_core_count(void)
{
    return async__this_core != NULL ? async__this_core->all->count : 0;
}

void async_stop_cores(void)
{
    async__cores *all;
    if (async__this_core == NULL) return;
    all = async__this_core->all;
    uv_mutex_lock(&all->mutex);
    async__cores_stop(all, NULL);
    uv_mutex_unlock(&all->mutex);
}

unsigned async_available_cores(void)
{
    return async__uv_parallelism();
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
