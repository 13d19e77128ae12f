/* poll.h - waiting for descriptors that are not streams
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_poll_readable, fd);
 *     n = read(fd, buffer, sizeof buffer);
 *
 * For what other libraries have opened, and what stream.h has no names for: to
 * read and write is left to the program.  Any descriptor that can be waited
 * for will do: sockets, pipes, terminals, eventfd ... (not files, which are
 * always ready); on Windows, sockets.  It is made nonblocking.
 *
 * What is watched must be let go before its descriptor is closed: a callback
 * removed, an await over or cancelled.
 *
 * Memory   one block per descriptor while it is watched, from the loop's
 *          allocator; more of them at once need a larger table as well
 */
#ifndef CAESURA_UV_POLL_H
#define CAESURA_UV_POLL_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Calls back in every iteration in which the descriptor can be read from, or
 * written to, without blocking: also at the end of the input, and after an
 * error, which read() or write() then tells.  It goes on doing so until it is
 * removed, so a callback that does not read keeps the loop busy.  As after
 * call_soon, it runs among what is ready, in the context of where it was added;
 * an error of its goes to the exception handler.  Adding replaces.
 *
 * On the loop's own thread, inside a run or not.  On a borrowed loop a callback
 * keeps uv_run() from returning.
 * Returns  0; ASYNC_EBUSY when a task awaits the same; ASYNC_ENOMEM; -EPERM
 *          for a file, -EBADF; -EEXIST while a stream waits for it;
 *          ASYNC_ELOOPCLOSED; ASYNC_EINVAL on a loop that is not libuv's, or
 *          for no callback
 * Counterparts: loop.add_reader(), loop.add_writer(), uv_poll_start(). */
int async_loop_add_reader(async_loop *loop, uv_os_sock_t fd,
                          async_callback *callback, void *argument);
int async_loop_add_writer(async_loop *loop, uv_os_sock_t fd,
                          async_callback *callback, void *argument);

/* Removes the callback, which will not run any more, not even if it was about
 * to in this iteration.  Its descriptor may be closed at once.
 * Returns  whether there was one
 * Counterparts: loop.remove_reader(), loop.remove_writer(). */
int async_loop_remove_reader(async_loop *loop, uv_os_sock_t fd);
int async_loop_remove_writer(async_loop *loop, uv_os_sock_t fd);

/* AWAIT(async_poll_readable, fd), AWAIT(async_poll_writable, fd): waits until
 * reading, or writing, would not block: also at the end, and after an error.
 * One task may wait for the one while another waits for the other.  Try first
 * and wait on EAGAIN, for each wait costs some system calls.
 * Errors   ASYNC_EBUSY when another task waits for the same (one that was
 *          cancelled does until it has run), or there is a callback for it;
 *          ASYNC_ECLOSED when the loop is closed;
 *          ASYNC_ENOMEM; -EPERM, -EBADF, -EEXIST, ASYNC_EINVAL as above
 * Cancel   at once; nothing is left behind
 * Counterparts: loop.sock_recv(), loop.sock_sendall(), loop.sock_accept(),
 *          loop.sock_connect(), without what they do then. */
typedef struct async__poll_wait {
    async_operation operation;
    struct async__poll *poll;
    int which;
} async__poll_wait;

struct async_poll_readable {
    ASYNC_FRAME;
    uv_os_sock_t fd;
    async__poll_wait wait;
};
ASYNC(async_poll_readable);

struct async_poll_writable {
    ASYNC_FRAME;
    uv_os_sock_t fd;
    async__poll_wait wait;
};
ASYNC(async_poll_writable);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_POLL_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * A descriptor that is watched has one uv_poll_t for both directions, made for
 * the first of them and closed with the last.  It is not kept any longer: the
 * descriptor may be closed, and its number mean something else.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_POLL_IMPLEMENTED)
#define CAESURA_UV_POLL_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

enum { ASYNC__READER, ASYNC__WRITER };

/* One direction: a callback, or a task that waits, or nothing. */
typedef struct async__poll_side {
    async_node node; /* in the ready queue, if it is queued */
    struct async__poll *poll;
    async_callback *callback;
    void *argument;
    async__binding *bindings; /* of where it was added */
    async__poll_wait *waiter;
    unsigned char queued;
    unsigned char lent; /* the bindings are with the callback, which runs */
} async__poll_side;

typedef struct async__poll {
    uv_poll_t handle;
    async_node resource; /* among those that are closed with the loop */
    struct async__poll *next; /* in its bucket */
    async_loop *loop;
    const async_allocator *allocator;
    uv_os_sock_t fd;
    int events; /* that libuv watches */
    async__poll_side sides[2];
} async__poll;

/* --- the table ----------------------------------------------------------- */

static async__poll **async__poll_bucket(async_uv_loop *loop, uv_os_sock_t fd)
{
    return &loop->polls[(size_t)fd & (loop->poll_buckets - 1)];
}

static async__poll *async__poll_find(async_loop *loop, uv_os_sock_t fd)
{
    async__poll *poll = *async__poll_bucket(async__uv(loop), fd);
    while (poll != NULL && poll->fd != fd) poll = poll->next;
    return poll;
}

/* Moves all to another table, of a power of two. */
static void async__poll_rehash(async_uv_loop *loop, async__poll **table,
                               size_t buckets)
{
    async__poll **old = loop->polls, *poll, *next;
    size_t old_buckets = loop->poll_buckets, i;
    memset(table, 0, buckets * sizeof *table);
    loop->polls = table;
    loop->poll_buckets = buckets;
    for (i = 0; i < old_buckets; i++)
        for (poll = old[i]; poll != NULL; poll = next) {
            async__poll **bucket = async__poll_bucket(loop, poll->fd);
            next = poll->next;
            poll->next = *bucket;
            *bucket = poll;
        }
    if (old != loop->few_polls)
        async__release_large(&loop->base, old, old_buckets * sizeof *old);
}

static void async__poll_enter(async_uv_loop *loop, async__poll *poll)
{
    async__poll **bucket;
    size_t buckets = loop->poll_buckets * 4;
    if (loop->poll_count++ >= loop->poll_buckets) {
        async__poll **table = (async__poll **)async__allocate_large(
            &loop->base, buckets * sizeof *table);
        /* Without it, to find one takes longer. */
        if (table != NULL) async__poll_rehash(loop, table, buckets);
    }
    bucket = async__poll_bucket(loop, poll->fd);
    poll->next = *bucket;
    *bucket = poll;
}

static void async__poll_leave(async_uv_loop *loop, async__poll *poll)
{
    async__poll **bucket = async__poll_bucket(loop, poll->fd);
    while (*bucket != poll) bucket = &(*bucket)->next;
    *bucket = poll->next;
    if (--loop->poll_count == 0 && loop->polls != loop->few_polls)
        async__poll_rehash(loop, loop->few_polls,
                           sizeof loop->few_polls / sizeof loop->few_polls[0]);
}

/* --- opening and closing ------------------------------------------------- */

static void async__poll_clear(async__poll_side *side)
{
    if (side->queued) async__unready(side->poll->loop, &side->node);
    side->queued = 0;
    side->callback = NULL;
    side->lent = 0;
    async__uncapture(&side->bindings);
}

/* Lets go of who waits, and wakes it unless it was cancelled. */
static void async__poll_finish(async__poll_side *side, int error)
{
    async__poll_wait *waiter = side->waiter;
    if (waiter == NULL) return;
    side->waiter = NULL;
    waiter->poll = NULL;
    if (!async_future_done(&waiter->operation.future))
        async__finish(&waiter->operation.future, ASYNC__FINISHED, error);
}

/* The loop may be gone by now. */
static void async__poll_on_close(uv_handle_t *handle)
{
    async__poll *poll = (async__poll *)handle->data;
    if (poll->resource.link.prev != NULL) async__unlink(&poll->resource.link);
    poll->allocator->release(poll->allocator->context, poll, sizeof *poll);
}

static void async__poll_close(async__poll *poll)
{
    int which;
    if (uv_is_closing((uv_handle_t *)&poll->handle)) return;
    for (which = 0; which < 2; which++) {
        async__poll_clear(&poll->sides[which]);
        async__poll_finish(&poll->sides[which], ASYNC_ECLOSED);
    }
    async__poll_leave(async__uv(poll->loop), poll);
    uv_close((uv_handle_t *)&poll->handle, async__poll_on_close);
}

static void async__poll_close_resource(async_node *node)
{
    async__poll_close((async__poll *)(void *)((char *)node -
                                              offsetof(async__poll, resource)));
}

static void async__poll_run(async_node *node);

/* The one of a descriptor, or a new one; NULL with *error. */
static async__poll *async__poll_of(async_loop *loop, uv_os_sock_t fd,
                                   int *error)
{
    async__poll *poll;
    int which;
    *error = ASYNC_ELOOPCLOSED;
    if (async_loop_is_closed(loop)) return NULL;
    *error = ASYNC_EINVAL;
    if (loop->backend->poll != async__uv_poll) return NULL;
    *error = 0;
    poll = async__poll_find(loop, fd);
    if (poll != NULL) return poll;
    *error = ASYNC_ENOMEM;
    poll = (async__poll *)async__allocate_large(loop, sizeof *poll);
    if (poll == NULL) return NULL;
    memset(poll, 0, sizeof *poll);
    *error = async__uv_carries(loop, fd)
                 ? (int)UV_EEXIST
                 : uv_poll_init_socket(async_uv_loop_of(loop), &poll->handle,
                                       fd);
    if (*error) {
        async__release_large(loop, poll, sizeof *poll);
        return NULL;
    }
    poll->handle.data = poll;
    poll->loop = loop;
    poll->allocator = loop->allocator;
    poll->fd = fd;
    for (which = 0; which < 2; which++) {
        poll->sides[which].node.run = async__poll_run;
        poll->sides[which].poll = poll;
    }
    poll->resource.run = async__poll_close_resource;
    async__uv_opened(loop, &poll->resource);
    async__poll_enter(async__uv(loop), poll);
    return poll;
}

/* --- watching ------------------------------------------------------------ */

static void async__poll_on_ready(uv_poll_t *handle, int status, int events);

/* Has libuv watch what is wanted; lets go of it when that is nothing. */
static int async__poll_update(async__poll *poll)
{
    static const int event_of[2] = { UV_READABLE, UV_WRITABLE };
    int which, error = 0, events = 0;
    for (which = 0; which < 2; which++)
        if (poll->sides[which].callback != NULL ||
            poll->sides[which].waiter != NULL)
            events |= event_of[which];
    if (events == 0) {
        async__poll_close(poll);
    } else if (events != poll->events) {
        error = uv_poll_start(&poll->handle, events, async__poll_on_ready);
        poll->events = error ? 0 : events;
    }
    return error;
}

/* After an error, which libuv tells by a status and stops, both directions are
 * ready, as they are for poll(): what it is, read() or write() tells. */
static void async__poll_on_ready(uv_poll_t *handle, int status, int events)
{
    async__poll *poll = (async__poll *)handle->data;
    int which;
    if (status < 0) {
        events = UV_READABLE | UV_WRITABLE;
        poll->events = 0;
    }
    for (which = 0; which < 2; which++) {
        async__poll_side *side = &poll->sides[which];
        if (!(events & (which == ASYNC__READER ? UV_READABLE : UV_WRITABLE)))
            continue;
        async__poll_finish(side, 0);
        if (side->callback != NULL && !side->queued) {
            side->queued = 1;
            async__ready_callback(poll->loop, &side->node);
            async__kick(poll->loop);
        }
    }
    (void)async__poll_update(poll);
}

/* --- callbacks ----------------------------------------------------------- */

/* What the callback sets in its context, it finds there the next time; it may
 * remove or replace itself. */
static void async__poll_run(async_node *node)
{
    async__poll_side *side = (async__poll_side *)(void *)node;
    async_loop *loop = side->poll->loop;
    async_context context, *outer = loop->context;
    int error;
    context.bindings = side->bindings;
    side->bindings = NULL;
    side->queued = 0;
    side->lent = 1;
    loop->current = NULL;
    loop->context = &context;
    error = side->callback(side->argument);
    loop->context = outer;
    if (side->lent)
        side->bindings = context.bindings;
    else
        async__uncapture(&context.bindings);
    side->lent = 0;
    if (error < 0)
        async__report(loop, "Exception in callback", error, NULL, NULL);
}

static int async__poll_add(async_loop *loop, uv_os_sock_t fd, int which,
                           async_callback *callback, void *argument)
{
    int error = ASYNC_EINVAL;
    async__poll *poll;
    async__poll_side *side;
    if (callback == NULL) return error;
    poll = async__poll_of(loop, fd, &error);
    if (poll == NULL) return error;
    side = &poll->sides[which];
    if (side->waiter != NULL) return ASYNC_EBUSY;
    async__poll_clear(side);
    side->callback = callback;
    side->argument = argument;
    side->bindings = async__capture(loop);
    error = async__poll_update(poll);
    if (error) {
        async__poll_clear(side);
        (void)async__poll_update(poll);
    }
    return error;
}

static int async__poll_remove(async_loop *loop, uv_os_sock_t fd, int which)
{
    async__poll *poll;
    if (async_loop_is_closed(loop) || loop->backend->poll != async__uv_poll)
        return 0;
    poll = async__poll_find(loop, fd);
    if (poll == NULL || poll->sides[which].callback == NULL) return 0;
    async__poll_clear(&poll->sides[which]);
    (void)async__poll_update(poll);
    return 1;
}

int async_loop_add_reader(async_loop *loop, uv_os_sock_t fd,
                          async_callback *callback, void *argument)
{
    return async__poll_add(loop, fd, ASYNC__READER, callback, argument);
}
int async_loop_add_writer(async_loop *loop, uv_os_sock_t fd,
                          async_callback *callback, void *argument)
{
    return async__poll_add(loop, fd, ASYNC__WRITER, callback, argument);
}
int async_loop_remove_reader(async_loop *loop, uv_os_sock_t fd)
{
    return async__poll_remove(loop, fd, ASYNC__READER);
}
int async_loop_remove_writer(async_loop *loop, uv_os_sock_t fd)
{
    return async__poll_remove(loop, fd, ASYNC__WRITER);
}

/* --- awaiting ------------------------------------------------------------ */

static int async__poll_begin(async__poll_wait *wait, const async *co,
                             uv_os_sock_t fd, int which)
{
    int error = async__uv_check(co);
    async__poll *poll;
    if (error) return error;
    poll = async__poll_of(async_loop_of(co), fd, &error);
    if (poll == NULL) return error;
    if (poll->sides[which].waiter != NULL ||
        poll->sides[which].callback != NULL)
        return ASYNC_EBUSY;
    /* It can be given up at any time: libuv keeps nothing of it. */
    async_operation_init(&wait->operation, poll->loop,
                         async_operation_cancelled);
    wait->poll = poll;
    wait->which = which;
    poll->sides[which].waiter = wait;
    error = async__poll_update(poll);
    if (error) {
        poll->sides[which].waiter = NULL;
        (void)async__poll_update(poll);
    }
    return error;
}

/* The task has resumed.  One that was cancelled still stands there. */
static void async__poll_over(async__poll_wait *wait)
{
    if (wait->poll == NULL) return;
    wait->poll->sides[wait->which].waiter = NULL;
    (void)async__poll_update(wait->poll);
}

/* Both, with an `int error`. */
#define ASYNC__POLL_FOR(side)                                                 \
    do {                                                                      \
        error = async__poll_begin(&self->wait, co, self->fd, (side));         \
        if (error) ASYNC_RAISE(error);                                        \
        ASYNC__WAIT_FOR(&self->wait.operation.future);                        \
        async__poll_over(&self->wait);                                        \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        ASYNC__CHECK;                                                         \
    } while (0)

ASYNC(async_poll_readable)
{
    int error;
    ASYNC_BEGIN(async_poll_readable);
    ASYNC__POLL_FOR(ASYNC__READER);
    ASYNC_END;
}

ASYNC(async_poll_writable)
{
    int error;
    ASYNC_BEGIN(async_poll_writable);
    ASYNC__POLL_FOR(ASYNC__WRITER);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
