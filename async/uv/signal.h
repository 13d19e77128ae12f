/* signal.h - signals: a callback for each, or a coroutine that waits
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     async_loop_add_signal_handler(loop, SIGTERM, stop, &server);
 *
 * or
 *
 *     async_signal hangup;                         in the frame, zeroed
 *     AWAIT(async_signal_open, &self->hangup, SIGHUP);
 *     for (;;) {
 *         AWAIT(async_signal_wait, &self->hangup);
 *         AWAIT(read_configuration);
 *     }                                            close it in a FINALLY
 *
 * Both are told by the loop, between two tasks and not inside the system's
 * signal handler: they may do what any callback or coroutine may.  The system
 * counts a signal that comes several times before it is delivered as one.
 *
 * A program that handles SIGINT, in one way or the other, takes it from
 * async_run(): Ctrl-C no longer cancels the main coroutine, until the handler
 * is removed or the async_signal is closed.
 *
 * Threads: all of it belongs to the loop's thread.  Several loops may have the
 * same signal; each is told.
 */
#ifndef CAESURA_UV_SIGNAL_H
#define CAESURA_UV_SIGNAL_H

#include "handle.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Has the loop call `callback` once for each signal `number`, in place of what
 * the signal did, or of the handler before.  (One that has come, and for which
 * nobody has been called, is then the new one's.)  It is removed when the loop
 * is closed.
 *
 * callback  returns 0, or an error for the exception handler
 * Returns   0; -EINVAL for a number that is no signal, or one that cannot be
 *           caught (SIGKILL, SIGSTOP), and for a loop that is not libuv's;
 *           ASYNC_ENOMEM; ASYNC_ELOOPCLOSED.  After an error all is as before.
 * Memory    a struct from the loop's allocator
 * On a borrowed loop it does not keep uv_run() from returning.
 * Counterpart: loop.add_signal_handler(). */
int async_loop_add_signal_handler(async_loop *loop, int number,
                                  async_callback *callback, void *argument);

/* Removes it: the callback runs no more, not even for a signal that has come.
 * (In asyncio it then still runs.)  If nobody else in the program handles the
 * signal through libuv, it does what it does by default; SIGINT in a run of
 * async_run() cancels the main coroutine again.
 * Returns  1; 0 when there was none
 * Counterpart: loop.remove_signal_handler(). */
int async_loop_remove_signal_handler(async_loop *loop, int number);

/* A signal that can be waited for.  A struct of the caller's, zeroed; from its
 * opening on it must neither move nor go until it has been closed. */
typedef struct async_signal async_signal;

/* AWAIT(async_signal_open, signal, number): from now on it counts those that
 * come.
 * Errors   -EINVAL for what is no signal, or cannot be caught; ASYNC_EBUSY
 *          when it is open; ASYNC_EINVAL on a loop that is not libuv's.  After
 *          an error it is closed.
 * Cancel   does not wait, but after an error
 * Counterpart: uv_signal_start(). */
struct async_signal_open {
    ASYNC_FRAME;
    async_signal *signal;
    int number;
    int error;
    async__closer closer;
};
ASYNC(async_signal_open);

/* AWAIT_INTO(times, async_signal_wait, signal): waits until it comes, and goes
 * on at once if it has come since the last wait ended.
 * Result   how many times (unsigned), at least 1
 * Errors   ASYNC_EBUSY when another task waits (one that was cancelled does
 *          until it has run); ASYNC_ECLOSED; ASYNC_EOTHERLOOP, ASYNC_ENOTASK
 * Cancel   at once; no signal is lost: the next wait gets it */
struct async_signal_wait {
    ASYNC_RETURNS(unsigned);
    async_signal *signal;
    async_operation arrival;
};
ASYNC(async_signal_wait);

/* AWAIT(async_signal_close, signal): goes on when libuv has let go of its
 * memory.  Who waits gets ASYNC_ECLOSED; the signal does again what it does by
 * default, if nobody else handles it.  One that is not open: nothing.
 * Cancel   raised when it is closed all the same
 * Counterpart: uv_close(). */
struct async_signal_close {
    ASYNC_FRAME;
    async_signal *signal;
    async__closer closer;
};
ASYNC(async_signal_close);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_signal {
    async__resource resource; /* must be first */
    uv_signal_t handle;
    async_operation *waiter;
    unsigned came;
};

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_SIGNAL_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_SIGNAL_IMPLEMENTED)
#define CAESURA_UV_SIGNAL_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* Ctrl-C is the program's, or again async_run()'s. */
static void async__signal_takes(async_loop *loop, int number, int change)
{
    if (number == SIGINT)
        async__uv(loop)->interrupt_takers =
            (unsigned)((int)async__uv(loop)->interrupt_takers + change);
}

/* --- handlers ------------------------------------------------------------ */

typedef struct async__signal_handler {
    async__resource resource; /* must be first */
    uv_signal_t handle;
    async_handle call;
    async_callback *callback;
    void *argument;
    async__binding *bindings; /* of where it was added */
    const async_allocator *allocator;
    unsigned came; /* for which it has not been called */
    int number;
} async__signal_handler;

static int async__signal_handler_call(void *argument)
{
    async__signal_handler *handler = (async__signal_handler *)argument;
    if (--handler->came > 0)
        (void)async_loop_call_soon(handler->resource.loop, &handler->call,
                                   async__signal_handler_call, handler);
    return handler->callback(handler->argument);
}

static void async__signal_handler_on_signal(uv_signal_t *handle, int number)
{
    async__signal_handler *handler = (async__signal_handler *)handle->data;
    (void)number;
    if (handler->resource.state != ASYNC__IS_OPEN || handler->came++ > 0)
        return;
    if (async_loop_call_soon(handler->resource.loop, &handler->call,
                             async__signal_handler_call, handler) != 0)
        return;
    /* It runs in the context in which it was added. */
    async__uncapture(&handler->call.bindings);
    handler->call.bindings = handler->bindings;
    if (handler->bindings != NULL) handler->bindings->shares++;
}

/* The loop may be gone by now, if it was borrowed. */
static void async__signal_handler_on_close(uv_handle_t *handle)
{
    async__signal_handler *handler = (async__signal_handler *)handle->data;
    if (handler->resource.node.link.prev != NULL)
        async__unlink(&handler->resource.node.link);
    handler->allocator->release(handler->allocator->context, handler,
                                sizeof *handler);
}

static void async__signal_handler_close(async_node *node)
{
    async__signal_handler *handler = (async__signal_handler *)(void *)node;
    if (handler->resource.state != ASYNC__IS_OPEN) return;
    handler->resource.state = ASYNC__IS_CLOSING;
    if (handler->came > 0) async_handle_cancel(&handler->call);
    async__uncapture(&handler->bindings);
    async__signal_takes(handler->resource.loop, handler->number, -1);
    uv_close((uv_handle_t *)&handler->handle, async__signal_handler_on_close);
}

static async__signal_handler *async__signal_handler_of(async_loop *loop,
                                                       int number)
{
    async_link *all = &async__uv(loop)->resources, *link;
    for (link = all->next; link != all; link = link->next) {
        async__signal_handler *handler = (async__signal_handler *)(void *)link;
        if (handler->resource.node.run == async__signal_handler_close &&
            handler->resource.state == ASYNC__IS_OPEN &&
            handler->number == number)
            return handler;
    }
    return NULL;
}

int async_loop_add_signal_handler(async_loop *loop, int number,
                                  async_callback *callback, void *argument)
{
    async__signal_handler *handler;
    int error;
    if (loop->backend->poll != async__uv_poll) return ASYNC_EINVAL;
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    handler = async__signal_handler_of(loop, number);
    if (handler == NULL) {
        if (loop->allocator == NULL) return ASYNC_ENOMEM;
        handler = (async__signal_handler *)loop->allocator->allocate(
            loop->allocator->context, sizeof *handler);
        if (handler == NULL) return ASYNC_ENOMEM;
        memset(handler, 0, sizeof *handler);
        handler->allocator = loop->allocator;
        handler->number = number;
        error = uv_signal_init(async_uv_loop_of(loop), &handler->handle);
        if (error) {
            loop->allocator->release(loop->allocator->context, handler,
                                     sizeof *handler);
            return error;
        }
        async__resource_opened(&handler->resource, loop,
                               (uv_handle_t *)&handler->handle,
                               async__signal_handler_close);
        async__signal_takes(loop, number, 1);
        uv_unref((uv_handle_t *)&handler->handle);
        error = uv_signal_start(&handler->handle,
                                async__signal_handler_on_signal, number);
        if (error) {
            async__signal_handler_close(&handler->resource.node);
            return error;
        }
    }
    handler->callback = callback;
    handler->argument = argument;
    async__uncapture(&handler->bindings);
    handler->bindings = async__capture(loop);
    return 0;
}

int async_loop_remove_signal_handler(async_loop *loop, int number)
{
    async__signal_handler *handler;
    if (loop->backend->poll != async__uv_poll || loop->closed) return 0;
    handler = async__signal_handler_of(loop, number);
    if (handler == NULL) return 0;
    async__signal_handler_close(&handler->resource.node);
    return 1;
}

/* --- waiting ------------------------------------------------------------- */

static void async__signal_on_signal(uv_signal_t *handle, int number)
{
    async_signal *signal = (async_signal *)handle->data;
    (void)number;
    if (signal->resource.state != ASYNC__IS_OPEN) return;
    signal->came++;
    async__arrived(signal->waiter, 0);
}

static void async__signal_close(async_node *node)
{
    async_signal *signal = (async_signal *)(void *)node;
    if (signal->resource.state != ASYNC__IS_OPEN) return;
    async__signal_takes(signal->resource.loop, signal->handle.signum, -1);
    async__arrived(signal->waiter, ASYNC_ECLOSED);
    signal->waiter = NULL;
    async__resource_close(&signal->resource);
}

/* After an error, closing what there is of it has begun. */
static int async__signal_begin(async_signal *signal, async_loop *loop,
                               int number)
{
    int error = uv_signal_init(async_uv_loop_of(loop), &signal->handle);
    if (error) return error;
    signal->waiter = NULL;
    signal->came = 0;
    async__resource_opened(&signal->resource, loop,
                           (uv_handle_t *)&signal->handle,
                           async__signal_close);
    error = uv_signal_start(&signal->handle, async__signal_on_signal, number);
    if (error) async__resource_close(&signal->resource);
    else async__signal_takes(loop, number, 1);
    return error;
}

ASYNC(async_signal_open)
{
    ASYNC_BEGIN(async_signal_open);
    self->error = async__uv_check(co);
    if (!self->error && self->signal->resource.state != ASYNC__IS_SHUT)
        self->error = ASYNC_EBUSY;
    if (self->error) ASYNC_RAISE(self->error);
    self->error =
        async__signal_begin(self->signal, async_loop_of(co), self->number);
    if (self->error) {
        ASYNC__AWAIT_CLOSED(&self->signal->resource, &self->closer);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

ASYNC(async_signal_wait)
{
    int error;
    ASYNC_BEGIN(async_signal_wait);
    error = async__resource_check(&self->signal->resource, co);
    if (error) ASYNC_RAISE(error);
    if (self->signal->waiter != NULL) ASYNC_RAISE(ASYNC_EBUSY);
    if (self->signal->came == 0)
        ASYNC__AWAIT_ARRIVAL(&self->signal->waiter, &self->arrival,
                             self->signal->resource.loop);
    self->frame.result = self->signal->came;
    self->signal->came = 0;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

ASYNC(async_signal_close)
{
    int error;
    ASYNC_BEGIN(async_signal_close);
    if (self->signal->resource.state == ASYNC__IS_SHUT) ASYNC_RETURN();
    error = async__resource_check_task(&self->signal->resource, co);
    if (error) ASYNC_RAISE(error);
    async__signal_close(&self->signal->resource.node);
    ASYNC__AWAIT_CLOSED(&self->signal->resource, &self->closer);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
