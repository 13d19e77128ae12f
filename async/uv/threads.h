/* threads.h - coroutines that other threads start and wait for
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A loop belongs to one thread.  Another one gives it a coroutine to run, and
 * blocks until that has ended:
 *
 *     ASYNC_CONCURRENT_FUTURE(int) answer;             on its stack
 *     error = ASYNC_RUN_COROUTINE_THREADSAFE(&answer, loop, fetch, .url = u);
 *     if (!error) {
 *         error = async_concurrent_future_result(&answer.future,
 *                                                ASYNC_FOREVER);
 *         if (!error) use(answer.value);
 *         async_concurrent_future_destroy(&answer.future);
 *     }
 *
 * Any loop will do whose backend can be woken from other threads; the waiting
 * is libuv's mutex and condition.  The loop must go on running until the
 * coroutine has ended.
 *
 * A task on a loop of that thread waits without blocking it:
 *
 *     AWAIT(async_wrap_future, &self->answer.future);
 */
#ifndef CAESURA_UV_THREADS_H
#define CAESURA_UV_THREADS_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* The result of a coroutine that runs on another thread's loop.  A struct of
 * the caller's, which must stay until it is destroyed.
 * Counterpart: concurrent.futures.Future. */
typedef struct async_concurrent_future async_concurrent_future;
#define ASYNC_CONCURRENT_FUTURE(T)                                            \
    struct {                                                                  \
        async_concurrent_future future;                                       \
        T value;                                                              \
    }

/* Starts a coroutine on a loop, from any thread.
 *
 * object   CO(...), whose arguments are copied; what they point to must be
 *          there as long as the coroutine uses it
 * Returns  0; ASYNC_ELOOPCLOSED; ASYNC_ENOMEM; ASYNC_EINVAL for a task or
 *          future; an error of libuv's.  After an error there is nothing to
 *          destroy.
 * Memory   a copy of the arguments from the loop's allocator, called in this
 *          thread; and the task, on the loop
 * Counterpart: asyncio.run_coroutine_threadsafe(). */
int async_run_coroutine_threadsafe(async_loop *loop, async_object object,
                                   async_concurrent_future *future);

/* The same, typed: ASYNC_RUN_COROUTINE_THREADSAFE(typed, loop, name,
 * arguments...) with a pointer to an ASYNC_CONCURRENT_FUTURE(T); after result 0
 * typed->value is what it returned. */
#define ASYNC_RUN_COROUTINE_THREADSAFE(typed, loop, ...)                      \
    ASYNC__RUN_COROUTINE_THREADSAFE(typed, loop, __VA_ARGS__, )

/* Blocks until the coroutine has ended, or `timeout` is over: 0 or less looks
 * once, ASYNC_FOREVER sets no limit.
 * Returns  0 or the coroutine's error, as often as it is asked;
 *          ASYNC_ETIMEDOUT when the time is over (and done() is false);
 *          ASYNC_EDEADLOCK in the loop's own thread, which it would block
 * Counterparts: Future.result(), Future.exception(). */
int async_concurrent_future_result(async_concurrent_future *future,
                                   async_duration timeout);

/* Whether it has ended.  Any thread.  Counterpart: Future.done(). */
int async_concurrent_future_done(async_concurrent_future *future);

/* Asks the coroutine to end, as async_task_cancel() does; from any thread.
 * Unlike Python's, the result is how it then ended, and comes when it has:
 * ASYNC_ECANCELED, unless it caught the cancellation.
 * Returns  1, or 0 when it had ended already
 * Counterpart: Future.cancel(). */
int async_concurrent_future_cancel(async_concurrent_future *future);

/* AWAIT(async_wrap_future, future): waits, in a task on another loop of
 * async/uv/loop.h, until it has ended.
 * Errors   the coroutine's; ASYNC_EBUSY when another task waits for it;
 *          ASYNC_EDEADLOCK on the loop that runs it: await a task there;
 *          ASYNC_ENOTASK; ASYNC_EINVAL on a loop that is not libuv's
 * Cancel   cancels the coroutine, as above, and waits until it has ended
 * Counterpart: asyncio.wrap_future(). */
struct async_wrap_future;
ASYNC(async_wrap_future);

/* Gives back what it has of the system's, once, from the thread that started
 * it; blocks until the coroutine has ended: cancel it before, if it would not.
 * Traps in the loop's own thread while it runs. */
void async_concurrent_future_destroy(async_concurrent_future *future);

/* ========================================================================
 * PRIVATE
 *
 * Both callbacks, and the end of the task, come in the loop's thread; the
 * mutex guards what the other thread looks at.  It is done when the loop will
 * touch it no more: a cancellation that is under way has arrived by then.
 * ======================================================================== */
struct async_concurrent_future {
    uv_mutex_t mutex;
    uv_cond_t changed;
    async_loop *loop;
    async_object object; /* its frame is a copy */
    void *place;         /* where the result goes, or NULL */
    size_t offset, size; /* where it is in the frame */
    async_handle start, cancel;
    async_task *task; /* while it runs */
    async_done_callback ended;
    struct async_wrap_future *waiter; /* of another loop */
    int error;
    unsigned char done, over, started, cancelling, cancel_under_way;
};

struct async_wrap_future {
    ASYNC_FRAME;
    async_concurrent_future *future;
    int error;
    async_operation operation;
    async_handle handle;
};

int async__run_coroutine_threadsafe(async_loop *loop, async_object object,
                                    async_concurrent_future *future,
                                    void *place, size_t offset, size_t size);

#define ASYNC__RUN_COROUTINE_THREADSAFE(typed, loop, name, ...)               \
    async__run_coroutine_threadsafe(                                          \
        (loop), ASYNC__CO(name, __VA_ARGS__), &(typed)->future,               \
        ASYNC__PLACE((typed)->value, name),                                   \
        offsetof(struct name, frame.result), sizeof (typed)->value)

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_THREADS_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_THREADS_IMPLEMENTED)
#define CAESURA_UV_THREADS_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

static void async__concurrent_forget_frame(async_concurrent_future *future)
{
    const async_allocator *allocator = future->loop->allocator;
    allocator->release(allocator->context,
                       (void *)(uintptr_t)future->object.frame,
                       future->object.size);
}

static int async__wrapped_ended(void *argument);

/* Tells those who wait; the mutex is held. */
static void async__concurrent_done(async_concurrent_future *future)
{
    struct async_wrap_future *waiter = future->waiter;
    future->done = 1;
    uv_cond_broadcast(&future->changed);
    if (waiter != NULL)
        async__uv_post(waiter->operation.future.loop, &waiter->handle,
                       async__wrapped_ended, waiter);
}

/* The last that the loop does with it, unless a cancellation is under way. */
static void async__concurrent_over(async_concurrent_future *future, int error)
{
    uv_mutex_lock(&future->mutex);
    future->error = error;
    future->over = 1;
    future->task = NULL;
    if (!future->cancel_under_way) async__concurrent_done(future);
    uv_mutex_unlock(&future->mutex);
}

static int async__concurrent_ended(async_future *inner, void *argument)
{
    async_concurrent_future *future = (async_concurrent_future *)argument;
    async_task *task = future->task;
    int error = async_future_result(inner);
    if (!error && future->place != NULL)
        memcpy(future->place, (char *)task->co->top + future->offset,
               future->size);
    async_task_release(task);
    async__concurrent_over(future, error);
    return 0;
}

static int async__concurrent_start(void *argument)
{
    async_concurrent_future *future = (async_concurrent_future *)argument;
    async_task *task = NULL;
    int cancelled;
    uv_mutex_lock(&future->mutex);
    future->started = 1;
    cancelled = future->cancelling;
    uv_mutex_unlock(&future->mutex);
    if (!cancelled)
        task = async_loop_create_task(future->loop, future->object);
    async__concurrent_forget_frame(future);
    if (task == NULL) {
        async__concurrent_over(future, cancelled ? (int)ASYNC_ECANCELED
                                                 : async_last_error());
        return 0;
    }
    future->task = task;
    return async_future_add_done_callback(&task->future, &future->ended,
                                          async__concurrent_ended, future);
}

static int async__concurrent_cancel(void *argument)
{
    async_concurrent_future *future = (async_concurrent_future *)argument;
    if (future->task != NULL) async_task_cancel(future->task);
    uv_mutex_lock(&future->mutex);
    future->cancel_under_way = 0;
    if (future->over) async__concurrent_done(future);
    uv_mutex_unlock(&future->mutex);
    return 0;
}

int async__run_coroutine_threadsafe(async_loop *loop, async_object object,
                                    async_concurrent_future *future,
                                    void *place, size_t offset, size_t size)
{
    void *copy;
    int error;
    memset(future, 0, sizeof *future);
    async__object_taken(&object);
    if (object.start == NULL) return ASYNC_EINVAL;
    if (loop->allocator == NULL) return ASYNC_ENOMEM;
    copy = loop->allocator->allocate(loop->allocator->context, object.size);
    if (copy == NULL) return ASYNC_ENOMEM;
    memcpy(copy, object.frame, object.size);
    future->loop = loop;
    future->object = object;
    future->object.frame = copy;
    future->place = place;
    future->offset = offset;
    future->size = size;
    error = uv_mutex_init(&future->mutex);
    if (!error) {
        error = uv_cond_init(&future->changed);
        if (!error) {
            error = async_loop_call_soon_threadsafe(
                loop, &future->start, async__concurrent_start, future);
            if (!error) return 0;
            uv_cond_destroy(&future->changed);
        }
        uv_mutex_destroy(&future->mutex);
    }
    async__concurrent_forget_frame(future);
    return error;
}

int async_run_coroutine_threadsafe(async_loop *loop, async_object object,
                                   async_concurrent_future *future)
{
    return async__run_coroutine_threadsafe(loop, object, future, NULL, 0, 0);
}

int async_concurrent_future_done(async_concurrent_future *future)
{
    int done;
    uv_mutex_lock(&future->mutex);
    done = future->done;
    uv_mutex_unlock(&future->mutex);
    return done;
}

int async_concurrent_future_result(async_concurrent_future *future,
                                   async_duration timeout)
{
    uint64_t began = uv_hrtime(), passed;
    int result;
    uv_mutex_lock(&future->mutex);
    while (!future->done) {
        passed = uv_hrtime() - began;
        result = async__running == future->loop ? (int)ASYNC_EDEADLOCK
                                                : (int)ASYNC_ETIMEDOUT;
        if (result == ASYNC_EDEADLOCK || timeout <= 0 ||
            passed >= (uint64_t)timeout) {
            uv_mutex_unlock(&future->mutex);
            return result;
        }
        if (timeout == ASYNC_FOREVER)
            uv_cond_wait(&future->changed, &future->mutex);
        else
            (void)uv_cond_timedwait(&future->changed, &future->mutex,
                                    (uint64_t)timeout - passed);
    }
    result = future->error;
    uv_mutex_unlock(&future->mutex);
    return result;
}

int async_concurrent_future_cancel(async_concurrent_future *future)
{
    int open;
    uv_mutex_lock(&future->mutex);
    open = !future->over;
    if (open && !future->cancelling) {
        future->cancelling = 1;
        /* What has not been started will see that it need not be. */
        if (future->started)
            future->cancel_under_way =
                async_loop_call_soon_threadsafe(future->loop, &future->cancel,
                                                async__concurrent_cancel,
                                                future) == 0;
    }
    uv_mutex_unlock(&future->mutex);
    return open;
}

void async_concurrent_future_destroy(async_concurrent_future *future)
{
    if (async_concurrent_future_result(future, ASYNC_FOREVER) ==
            ASYNC_EDEADLOCK &&
        !async_concurrent_future_done(future))
        async__trap("a concurrent future was destroyed in the thread of its "
                    "loop while its coroutine ran",
                    "async_concurrent_future_destroy", "threads.h", __LINE__);
    uv_cond_destroy(&future->changed);
    uv_mutex_destroy(&future->mutex);
}

/* --- waiting on another loop ---------------------------------------------- */

static int async__wrapped_ended(void *argument)
{
    struct async_wrap_future *self = (struct async_wrap_future *)argument;
    async_concurrent_future *future = self->future;
    uv_mutex_lock(&future->mutex); /* who has posted this has let go of it */
    self->error = future->error;
    uv_mutex_unlock(&future->mutex);
    async__uv_let_go(self->operation.future.loop);
    async__finish(&self->operation.future, ASYNC__FINISHED, self->error);
    return 0;
}

/* The end comes, and tells what came of it. */
static int async__wrapped_cancel(async_operation *operation)
{
    struct async_wrap_future *self =
        (struct async_wrap_future *)(void *)((char *)operation -
            offsetof(struct async_wrap_future, operation));
    return async_concurrent_future_cancel(self->future);
}

/* Returns 1 when there is something to wait for, else how it ended is in
 * self->error. */
static int async__wrap_begin(struct async_wrap_future *self, async *co)
{
    async_concurrent_future *future = self->future;
    int waits = 0;
    self->error = async__uv_check(co);
    if (self->error) return 0;
    uv_mutex_lock(&future->mutex);
    if (future->done) self->error = future->error;
    else if (future->loop == async_loop_of(co)) self->error = ASYNC_EDEADLOCK;
    else if (future->waiter != NULL) self->error = ASYNC_EBUSY;
    else {
        waits = 1;
        async_operation_init(&self->operation, async_loop_of(co),
                             async__wrapped_cancel);
        async__uv_hold(async_loop_of(co));
        future->waiter = self;
    }
    uv_mutex_unlock(&future->mutex);
    return waits;
}

ASYNC(async_wrap_future)
{
    ASYNC_BEGIN(async_wrap_future);
    if (async__wrap_begin(self, co)) ASYNC__AWAIT_REQUEST(&self->operation);
    else if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
