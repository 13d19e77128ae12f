/* executor.h - work that blocks, in threads
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A task hands a call that blocks or computes for long to a thread, and waits
 * for it as for anything else, while its loop goes on.
 *
 *     struct count_primes { ASYNC_JOB_RETURNS(long); long from, to; };
 *     static ASYNC_JOB(count_primes)                runs in a thread
 *     {
 *         long n, primes = 0;
 *         for (n = self->from; n < self->to; n++) primes += is_prime(n);
 *         ASYNC_JOB_RETURN(primes);
 *     }
 *     ...
 *     AWAIT_INTO(self->n, count_primes, NULL, 2, 1000000);
 *
 *     AWAIT(async_to_thread, load, &self->file);    any int load(void *)
 *
 *   FUNCTIONS          async_to_thread, async_run_in_executor
 *   JOBS               a function with typed arguments and a typed result
 *   EXECUTORS          threads of one's own
 *   DEFAULT EXECUTOR   where work goes that names none
 *   PRIVATE
 *
 * From tasks on a loop of async/uv/loop.h.  Nothing is allocated for a job: it
 * lies in the frame of the task that waits.
 *
 * In the thread a job may use its arguments, what is its alone, and what is
 * made for several threads.  Of Caesura: a loop of its own (async_run());
 * async_loop_call_soon_threadsafe(), and threads.h, which runs a coroutine on
 * the loop and waits for it; and reading context variables.
 *
 * Cancellation.  A job that no thread has taken yet is taken back at once.  One
 * that runs cannot be stopped, and the await goes on until it has ended, since
 * its memory is in the frame; then the cancellation is raised, and the result
 * is lost.  (asyncio's await ends, and leaves the thread alone.)  So does the
 * end of the loop: async_loop_close() waits for jobs that run.  Give a long job
 * a flag to look at.
 */
#ifndef CAESURA_UV_EXECUTOR_H
#define CAESURA_UV_EXECUTOR_H

#include "request.h" /* first, for it asks for POSIX */

#include "../context.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

typedef struct async_executor async_executor;
typedef struct async__job async__job;

/* ------------------------------------------------------------------------
 * FUNCTIONS
 * ------------------------------------------------------------------------ */

/* What is called in a thread.  Returns what it likes from 0 on, or a negative
 * error, which the await raises (ASYNC_EINVAL for what is no error code).
 * Arguments and results of other types go by a struct that `argument` points
 * to, best in the frame of the coroutine that waits: it stays until then. */
typedef int async_job(void *argument);

/* AWAIT_INTO(n, async_to_thread, function, argument), or AWAIT: calls it in a
 * thread of the default executor, with the context variables of this task.
 * Result   what the function returned
 * Errors   the function's; ASYNC_ENOTASK; ASYNC_EINVAL on a loop that is not
 *          libuv's; ASYNC_ECLOSED and ASYNC_ECANCELED as below
 * Cancel   see above
 * Counterpart: asyncio.to_thread(), uv_queue_work(). */
struct async_to_thread;
ASYNC(async_to_thread);

/* AWAIT_INTO(n, async_run_in_executor, executor, function, argument): the same
 * in an executor of one's own, or in the default one for NULL.  As in asyncio,
 * context variables have their initial values there.
 * Errors   also ASYNC_ECLOSED when the executor has been shut down, and
 *          ASYNC_ECANCELED when it was so with `cancel`, before a thread took
 *          the job
 * Counterpart: loop.run_in_executor(), executor.submit(). */
struct async_run_in_executor;
ASYNC(async_run_in_executor);

/* ------------------------------------------------------------------------
 * JOBS
 *
 * A job is a coroutine whose body runs in a thread, from its beginning to its
 * end.  It is awaited, spawned and gathered as any other, and its first
 * argument is the executor: AWAIT_INTO(place, name, executor, arguments...),
 * CO(name, &pool, ...); NULL is the default one.
 *
 * ASYNC_JOB_FRAME       first in its struct, in the place of ASYNC_FRAME
 * ASYNC_JOB_RETURNS(T)  the same for one that returns a T
 * ASYNC_JOB(name)       heads its function: an ordinary one, with `self`, that
 *                       returns 0, or a negative error for the await to raise.
 *                       Nothing can be awaited in it.  Say `static` before it,
 *                       or, to use it elsewhere too, ASYNC(name); in a header.
 * ASYNC_JOB_RETURN(v)   returns a result from it
 *
 * Context variables are those of the task.  Result, errors, cancellation: as
 * above.
 * ------------------------------------------------------------------------ */
#define ASYNC_JOB_FRAME ASYNC__JOB_FRAME(1, ASYNC__NOTHING)
#define ASYNC_JOB_RETURNS(T) ASYNC__JOB_FRAME(2, T result;)
#define ASYNC_JOB(name) ASYNC__JOB(name)
#define ASYNC_JOB_RETURN(v)                                                   \
    do {                                                                      \
        self->frame.result = (v);                                             \
        return 0;                                                             \
    } while (0)

/* ------------------------------------------------------------------------
 * EXECUTORS
 *
 * An executor is a struct of the program's that neither moves nor goes before
 * async_executor_destroy().  Tasks of several loops may use one.  Jobs begin in
 * the order in which they were handed over.
 * ------------------------------------------------------------------------ */

/* Makes it, and starts its threads, which wait for work.
 *
 * max_workers  how many; 0: as in Python, 4 more than can run at once, but at
 *              most 32
 * allocator    for a few bytes a thread, until it is destroyed; NULL: the
 *              default one
 * Returns  0; ASYNC_ENOMEM; libuv's error (UV_EAGAIN: the system has no more
 *          threads), and then there is nothing to destroy
 * Counterpart: ThreadPoolExecutor(max_workers). */
int async_executor_init(async_executor *executor, unsigned max_workers,
                        const async_allocator *allocator);

/* Takes no more jobs.  From any thread, as often as one likes.
 *
 * wait     blocks until all that it has taken are done.  A loop in whose
 *          thread this is called stands still: see async_executor_close.
 * cancel   not 0: those that no thread has begun are not done; their awaits
 *          raise ASYNC_ECANCELED
 * Returns  0; ASYNC_EDEADLOCK when one of its own jobs would wait for itself
 *          (it has been shut down then)
 * Counterpart: executor.shutdown(wait, cancel_futures=cancel). */
int async_executor_shutdown(async_executor *executor, int wait, int cancel);

/* Shuts it down, waits as above, and gives back its threads and memory.  Once;
 * from the thread of the loop that uses it, or when no task waits for a job of
 * its.  Traps in one of its own threads.
 * Counterpart: the end of `with ThreadPoolExecutor()`. */
void async_executor_destroy(async_executor *executor);

/* AWAIT(async_executor_close, executor, cancel): the same without blocking the
 * loop: one of libuv's threads waits.
 * Errors   ASYNC_ENOTASK; ASYNC_EINVAL on a loop that is not libuv's; then it
 *          is still there
 * Cancel   raised when it is destroyed all the same
 * Counterpart: loop.shutdown_default_executor(). */
struct async_executor_close;
ASYNC(async_executor_close);

/* ------------------------------------------------------------------------
 * DEFAULT EXECUTOR
 *
 * Without a call of this it is libuv's own thread pool, of which a process has
 * one: 4 threads, or as many as the environment variable UV_THREADPOOL_SIZE
 * says.  Files and names wait for the same threads.  libuv starts them at their
 * first use, and ends the process when it cannot.
 * ------------------------------------------------------------------------ */

/* Where work goes that names no executor, on this loop; NULL: libuv's threads.
 * The executor must stay as long; it is not shut down with the loop.
 * Returns  0; ASYNC_EINVAL for a loop that is not libuv's
 * Counterpart: loop.set_default_executor(). */
int async_loop_set_default_executor(async_loop *loop, async_executor *executor);

/* ========================================================================
 * PRIVATE
 *
 * The executor's mutex guards its queue.  A job's state changes with it held;
 * but one that has been posted to its loop is the loop's alone, for by then the
 * executor may be gone.
 * ======================================================================== */
struct async_executor {
    uv_mutex_t mutex;
    uv_cond_t work;  /* there is some, or it has been shut down */
    uv_cond_t ended; /* no thread runs any more */
    async_link queue;
    uv_thread_t *threads;
    const async_allocator *allocator;
    unsigned count, running; /* threads */
    unsigned char ending;
};

enum { ASYNC__JOB_QUEUED, ASYNC__JOB_TAKEN, ASYNC__JOB_POSTED };

struct async__job {
    async__work work; /* must be first */
    async_job *function;
    void *argument;
    async_executor *executor; /* NULL: libuv's threads */
    async_context context;
    int result;
    unsigned char state; /* ASYNC__JOB_QUEUED ..; atomic */
    unsigned char cancelled;
    union {
        struct {
            async_link link; /* in the executor's queue */
            async_handle ended;
        } own;
        uv_work_t request;
    } by;
};

struct async_to_thread {
    ASYNC_RETURNS(int);
    async_job *function;
    void *argument;
    async__job job;
};

struct async_run_in_executor {
    ASYNC_RETURNS(int);
    async_executor *executor;
    async_job *function;
    void *argument;
    async__job job;
};

struct async_executor_close {
    ASYNC_FRAME;
    async_executor *executor;
    int cancel;
    async__job job;
};

/* Hands it over.  Returns 0 when there is nothing to wait for: then
 * job->result is an error. */
int async__job_begin(async__job *job, async *co, async_executor *executor,
                     async_job *function, void *argument, int inherits);

#define ASYNC__AWAIT_JOB(job_, executor, function, argument, inherits)        \
    if (!async__job_begin((job_), co, (executor), (function), (argument),     \
                          (inherits)))                                        \
        ASYNC_RAISE((job_)->result);                                          \
    ASYNC__AWAIT_REQUEST(&(job_)->work.operation)

#define ASYNC__JOB_FRAME(kind, result)                                        \
    ASYNC__FRAME_OF(kind,                                                     \
                    result async__job ASYNC_JOB_needs_ASYNC_JOB_FRAME;);      \
    async_executor *executor

#define ASYNC__JOB(name)                                                      \
    async_status name(async *co, void *async__frame_of_##name);               \
    static int async__job_##name(struct name *self);                          \
    static int async__run_##name(void *self)                                  \
    {                                                                         \
        return async__job_##name((struct name *)self);                        \
    }                                                                         \
    ASYNC__FUNCTION(name)                                                     \
    {                                                                         \
        ASYNC_BEGIN(name);                                                    \
        ASYNC__AWAIT_JOB(&self->frame.ASYNC_JOB_needs_ASYNC_JOB_FRAME,        \
                         self->executor, async__run_##name, self, 1);         \
        ASYNC_END;                                                            \
    }                                                                         \
    static int async__job_##name(struct name *self ASYNC__UNUSED)

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_EXECUTOR_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_EXECUTOR_IMPLEMENTED)
#define CAESURA_UV_EXECUTOR_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- a job --------------------------------------------------------------- */

/* In the thread. */
static void async__job_run(async__job *job)
{
    async__context_of_job = &job->context;
    job->result = job->function(job->argument);
    async__context_of_job = NULL;
}

/* In the loop's thread, whatever has become of it. */
static void async__job_over(async__job *job, int cancelled)
{
    int error = job->result;
    async__uncapture(&job->context.bindings);
    if (cancelled) {
        (void)async_operation_cancelled(&job->work.operation);
        return;
    }
    if (error == ASYNC_ESTOPITERATION) error = ASYNC_ESTOPFUTURE;
    else if (error < 0 && !ASYNC__IS_CODE(error)) error = ASYNC_EINVAL;
    async__finish(&job->work.operation.future, ASYNC__FINISHED,
                  error < 0 ? error : 0);
}

static void async__request_run(uv_work_t *request)
{
    async__job_run((async__job *)request->data);
}
static void async__request_over(uv_work_t *request, int status)
{
    async__job_over((async__job *)request->data, status == UV_ECANCELED);
}

static int async__job_ended(void *argument)
{
    async__job *job = (async__job *)argument;
    async__uv_let_go(job->work.operation.future.loop);
    async__job_over(job, job->cancelled);
    return 0;
}

/* The executor's mutex is held. */
static void async__job_post(async__job *job)
{
    /* The last that is known of it here: its frame may go at once. */
    __atomic_store_n(&job->state, (unsigned char)ASYNC__JOB_POSTED,
                     __ATOMIC_RELEASE);
    async__uv_post(job->work.operation.future.loop, &job->by.own.ended,
                   async__job_ended, job);
}

static async__job *async__job_of(async_link *link)
{
    return (async__job *)(void *)((char *)link -
                                  offsetof(async__job, by.own.link));
}

static int async__job_cancel(async_operation *operation)
{
    async__job *job = (async__job *)(void *)operation;
    int queued;
    if (__atomic_load_n(&job->state, __ATOMIC_ACQUIRE) != ASYNC__JOB_QUEUED)
        return 0;
    uv_mutex_lock(&job->executor->mutex);
    queued = job->state == ASYNC__JOB_QUEUED;
    if (queued) async__unlink(&job->by.own.link);
    uv_mutex_unlock(&job->executor->mutex);
    if (!queued) return 0;
    async__uv_let_go(operation->future.loop);
    async__job_over(job, 1);
    return 1;
}

static int async__job_submit(async__job *job, async_executor *executor)
{
    int error = 0;
    uv_mutex_lock(&executor->mutex);
    if (executor->ending) {
        error = ASYNC_ECLOSED;
    } else {
        async__list_append(&executor->queue, &job->by.own.link);
        async__uv_hold(job->work.operation.future.loop);
        uv_cond_signal(&executor->work);
    }
    uv_mutex_unlock(&executor->mutex);
    return error;
}

int async__job_begin(async__job *job, async *co, async_executor *executor,
                     async_job *function, void *argument, int inherits)
{
    async_loop *loop;
    int error = async__uv_check(co);
    if (!error) {
        loop = async_loop_of(co);
        if (executor == NULL) executor = async__uv(loop)->executor;
        job->function = function;
        job->argument = argument;
        job->executor = executor;
        job->context.bindings = inherits ? async__capture(loop) : NULL;
        if (executor == NULL) {
            async__work_begin(&job->work, loop, &job->by.request);
            error = uv_queue_work(async_uv_loop_of(loop), &job->by.request,
                                  async__request_run, async__request_over);
        } else {
            async_operation_init(&job->work.operation, loop,
                                 async__job_cancel);
            error = async__job_submit(job, executor);
        }
        if (error) async__uncapture(&job->context.bindings);
    }
    if (error) job->result = error;
    return error == 0;
}

ASYNC(async_to_thread)
{
    ASYNC_BEGIN(async_to_thread);
    ASYNC__AWAIT_JOB(&self->job, NULL, self->function, self->argument, 1);
    ASYNC_RETURN(self->job.result);
    ASYNC_END;
}

ASYNC(async_run_in_executor)
{
    ASYNC_BEGIN(async_run_in_executor);
    ASYNC__AWAIT_JOB(&self->job, self->executor, self->function,
                     self->argument, 0);
    ASYNC_RETURN(self->job.result);
    ASYNC_END;
}

/* --- an executor --------------------------------------------------------- */

static void async__executor_thread(void *argument)
{
    async_executor *executor = (async_executor *)argument;
    async__job *job;
    uv_mutex_lock(&executor->mutex);
    for (;;) {
        while (async__list_empty(&executor->queue) && !executor->ending)
            uv_cond_wait(&executor->work, &executor->mutex);
        if (async__list_empty(&executor->queue)) break;
        job = async__job_of(executor->queue.next);
        async__unlink(&job->by.own.link);
        __atomic_store_n(&job->state, (unsigned char)ASYNC__JOB_TAKEN,
                         __ATOMIC_RELEASE);
        uv_mutex_unlock(&executor->mutex);
        async__job_run(job);
        uv_mutex_lock(&executor->mutex);
        async__job_post(job);
    }
    if (--executor->running == 0) uv_cond_broadcast(&executor->ended);
    uv_mutex_unlock(&executor->mutex);
}

/* Whether this is one of its threads.  `running` is guarded by the mutex. */
static int async__executor_is_here(const async_executor *executor)
{
    uv_thread_t here = uv_thread_self();
    unsigned i;
    for (i = 0; i < executor->count; i++)
        if (uv_thread_equal(&executor->threads[i], &here)) return 1;
    return 0;
}

static void async__executor_free(async_executor *executor)
{
    unsigned i;
    for (i = 0; i < executor->count; i++)
        uv_thread_join(&executor->threads[i]);
    uv_cond_destroy(&executor->ended);
    uv_cond_destroy(&executor->work);
    uv_mutex_destroy(&executor->mutex);
}

static void async__executor_release(async_executor *executor, unsigned count)
{
    executor->allocator->release(executor->allocator->context,
                                 executor->threads,
                                 count * sizeof *executor->threads);
}

static int async__executor_open(async_executor *executor)
{
    int error = uv_mutex_init(&executor->mutex);
    if (error) return error;
    error = uv_cond_init(&executor->work);
    if (!error) {
        error = uv_cond_init(&executor->ended);
        if (!error) return 0;
        uv_cond_destroy(&executor->work);
    }
    uv_mutex_destroy(&executor->mutex);
    return error;
}

int async_executor_init(async_executor *executor, unsigned max_workers,
                        const async_allocator *allocator)
{
    int error;
    memset(executor, 0, sizeof *executor);
    async__list_init(&executor->queue);
    if (max_workers == 0) {
        max_workers = async__uv_parallelism() + 4;
        if (max_workers > 32) max_workers = 32;
    }
#ifndef ASYNC_NO_HEAP
    if (allocator == NULL) allocator = &async_default_allocator;
#endif
    if (allocator == NULL) return ASYNC_ENOMEM;
    executor->allocator = allocator;
    executor->threads = (uv_thread_t *)allocator->allocate(
        allocator->context, max_workers * sizeof *executor->threads);
    if (executor->threads == NULL) return ASYNC_ENOMEM;
    error = async__executor_open(executor);
    if (error) {
        async__executor_release(executor, max_workers);
        return error;
    }
    /* They look at what is changed here only when they have the mutex. */
    uv_mutex_lock(&executor->mutex);
    while (!error && executor->count < max_workers) {
        error = uv_thread_create(&executor->threads[executor->count],
                                 async__executor_thread, executor);
        if (!error) executor->count++;
    }
    executor->running = executor->count;
    executor->ending = error != 0;
    uv_mutex_unlock(&executor->mutex);
    if (error) {
        async__executor_free(executor);
        async__executor_release(executor, max_workers);
    }
    return error;
}

int async_executor_shutdown(async_executor *executor, int wait, int cancel)
{
    int error = 0;
    uv_mutex_lock(&executor->mutex);
    executor->ending = 1;
    while (cancel && !async__list_empty(&executor->queue)) {
        async__job *job = async__job_of(executor->queue.next);
        async__unlink(&job->by.own.link);
        job->cancelled = 1;
        async__job_post(job);
    }
    uv_cond_broadcast(&executor->work);
    if (wait && async__executor_is_here(executor))
        error = ASYNC_EDEADLOCK;
    else if (wait)
        while (executor->running > 0)
            uv_cond_wait(&executor->ended, &executor->mutex);
    uv_mutex_unlock(&executor->mutex);
    return error;
}

void async_executor_destroy(async_executor *executor)
{
    if (async_executor_shutdown(executor, 1, 0) != 0)
        async__trap("an executor was destroyed by one of its own jobs",
                    "async_executor_destroy", "executor.h", __LINE__);
    async__executor_free(executor);
    async__executor_release(executor, executor->count);
}

static int async__executor_wait(void *argument)
{
    struct async_executor_close *self = (struct async_executor_close *)argument;
    return async_executor_shutdown(self->executor, 1, self->cancel);
}

/* Nothing can hurry or stop this; who is cancelled learns it afterwards. */
static int async__executor_close_goes_on(async_operation *operation)
{
    (void)operation;
    return 0;
}

/* By libuv's threads: the executor itself may be the default one. */
static int async__executor_close_begin(struct async_executor_close *self,
                                       async *co)
{
    struct async_executor *outer;
    int begun;
    self->job.result = async__uv_check(co);
    if (self->job.result) return 0;
    outer = async__uv(async_loop_of(co))->executor;
    async__uv(async_loop_of(co))->executor = NULL;
    begun = async__job_begin(&self->job, co, NULL, async__executor_wait, self,
                             0);
    async__uv(async_loop_of(co))->executor =
        outer == self->executor ? NULL : outer;
    self->job.work.operation.cancel = async__executor_close_goes_on;
    return begun;
}

ASYNC(async_executor_close)
{
    ASYNC_BEGIN(async_executor_close);
    if (!async__executor_close_begin(self, co)) ASYNC_RAISE(self->job.result);
    ASYNC__WAIT_FOR(&self->job.work.operation.future);
    async_executor_destroy(self->executor);
    (void)async__awaited(co);
    async__drop(co);
    ASYNC__CHECK;
    ASYNC_END;
}

/* --- the default one ----------------------------------------------------- */

int async_loop_set_default_executor(async_loop *loop, async_executor *executor)
{
    if (loop->backend->poll != async__uv_poll) return ASYNC_EINVAL;
    async__uv(loop)->executor = executor;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
