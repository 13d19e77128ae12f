/* loop.h - the event loop on libuv
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     #define ASYNC_IMPLEMENTATION
 *     #include "async/uv/loop.h"
 *     ...
 *     int main(void) { return async_run(CO(program)); }
 *
 * A loop of this kind has a uv_loop_t of its own, and then Caesura runs it; or
 * it borrows the program's, and then the program's uv_run() runs Caesura's
 * tasks among its own handles.
 *
 * Needs libuv 1.x, linked by the program (pkg-config libuv).
 */
#ifndef CAESURA_UV_LOOP_H
#define CAESURA_UV_LOOP_H

/* uv.h needs POSIX, which strict C99 and C11 hide. */
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE) &&                  \
    !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include <signal.h>
#include <time.h>
#if defined(__GLIBC__) && !defined(__USE_XOPEN2K)
#error "uv.h needs POSIX: include async/uv/loop.h before other headers, or \
compile with -std=gnu99 or -D_POSIX_C_SOURCE=200809L"
#endif
#include <uv.h>

#include "../../task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async_uv_loop async_uv_loop;

/* Private: its handles.  Those on a borrowed loop have memory of their own,
 * for libuv lets go of a handle only when it runs, and a borrowed loop may be
 * closed where it cannot be run. */
typedef struct async__uv_handles {
    uv_async_t wakeup;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_signal_t interrupt; /* in a run that SIGINT may end, and behind it */
    async_uv_loop *loop;
    const async_allocator *allocator; /* NULL: not from there */
    int open;
} async__uv_handles;

struct async_uv_loop {
    async_loop base;
    uv_loop_t *uv; /* its own, or the borrowed one */
    /* The rest is private. */
    uv_loop_t own;
    async__uv_handles *handles, own_handles;
    async_link resources; /* what is closed with the loop: open streams */
    struct async_executor *executor; /* the default one; NULL: libuv's */
    size_t held;          /* tasks that wait for another thread */
    int posting;          /* threads that tell it something now; atomic */
    unsigned interrupt_takers; /* of the program's, for SIGINT: signal.h */
    char *read_buffer;    /* for transports, when the first of them reads */
    size_t clients;       /* of servers, whose memory is the loop's */
    const struct async__carrier *carrier; /* NULL: libuv carries all bytes */
    struct async__ring *ring;             /* that one's; NULL at first */
    unsigned arrivals;    /* in this poll, since what they woke has run */
    unsigned char owns, closing;
    /* What poll.h watches, by descriptor: a hash table, and its first size. */
    struct async__poll **polls, *few_polls[8];
    size_t poll_buckets, poll_count;
};

/* Makes a loop in the caller's storage, which must not move until it is
 * closed: async_loop_close(&loop->base).
 *
 * uv         NULL: a uv_loop_t of its own.  Otherwise one that the program
 *            runs by itself, with uv_run(); tasks and callbacks then run in
 *            its check phase, one or more iterations a turn, and a task that
 *            is ready or sleeps keeps uv_run() from returning (one that
 *            waits for another thread does not).
 *            async_loop_run_forever() and so on work too, but not from a
 *            callback of libuv: they run it.
 * allocator  NULL: the default one
 * Returns    0, or libuv's error
 *
 * SIGPIPE and SIGXFSZ are ignored from then on, unless the program has set what
 * they do.
 *
 * Closing a loop that has its own also closes every handle that is left in
 * it.  A borrowed one goes on without Caesura, whose streams and handles are
 * closed: call its uv_run() once more, as always, before uv_loop_close().  (So
 * close this before a uv_walk() that closes whatever it finds.)  It may be
 * closed from a callback of libuv when no task is pending; for tasks that are,
 * or clients of a server, closing runs it. */
int async_uv_loop_init(async_uv_loop *loop, uv_loop_t *uv,
                       const async_allocator *allocator);

/* How many handles a loop's uv_loop_t has beside Caesura's own: streams that
 * have not been closed, and the program's.  For tests, and for finding
 * leaks. */
size_t async_uv_loop_count_handles(async_loop *loop);

/* The uv_loop_t of a loop of this kind. */
static inline uv_loop_t *async_uv_loop_of(async_loop *loop)
{
    return ((async_uv_loop *)(void *)loop)->uv;
}

/* asyncio.run() on a new loop of this kind: runs `main`, cancels what is left
 * and waits for it, closes the loop.  An error of the main coroutine is
 * printed to stderr with the await traceback.
 *
 * SIGINT, if the program has not set what it does, cancels the main
 * coroutine, which may clean up; if that then ends cancelled, the result is
 * ASYNC_EINTR.  A second one stops the loop where it stands: all that is left
 * is cancelled and waited for, until a third.
 *
 * Returns  0, or the error; from main() an exit status other than 0
 * Counterpart: asyncio.run(). */
int async_run(async_object main);

/* The same with the result of the coroutine in `place`:
 * ASYNC_RUN_INTO(place, name, arguments...). */
#define ASYNC_RUN_INTO(place, ...) ASYNC__UV_RUN_INTO(place, __VA_ARGS__, )

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
int async__uv_run_into(async_object main, void *result, size_t offset,
                       size_t size);

/* So many reads, in one poll, before those that they woke run: the data is then
 * still near, and not yet behind that of a thousand others.  A ring, whose
 * callbacks go on, does so by itself, between them. */
enum { ASYNC__UV_ARRIVALS = 32 };
void async__uv_run_woken(async_loop *base);

/* For the end of a callback in which data has come: nothing is touched behind
 * it. */
static inline void async__uv_arrived(async_loop *base)
{
    async_uv_loop *loop = (async_uv_loop *)(void *)base;
    if (++loop->arrivals >= ASYNC__UV_ARRIVALS && loop->ring == NULL)
        async__uv_run_woken(base);
}

/* Adds to what is closed with the loop: run() begins to.  Take it out, with
 * async__unlink() unless link.prev is NULL, when it is closed. */
void async__uv_opened(async_loop *loop, async_node *resource);

/* What carries the bytes of sockets in libuv's place, if a loop that has its
 * own uv_loop_t is to have that: async/uring/loop.h.  Its functions do what
 * libuv's of these names do, and call back as those; `socket` is what `join`
 * has made of a stream. */
struct async_stream;
struct async__socket;
typedef struct async__carrier {
    int (*poll)(async_uv_loop *loop, async_time deadline);
    void (*close)(async_uv_loop *loop); /* all sockets are closing */
    int (*carries)(const async_uv_loop *loop, int fd);
    /* When a stream is first used.  Returns 0, with stream->socket or without
     * for what is left to libuv; or an error. */
    int (*join)(struct async_stream *stream);
    int (*read_start)(struct async__socket *socket, uv_alloc_cb allocate,
                      uv_read_cb read);
    void (*read_stop)(struct async__socket *socket);
    int (*try_write)(struct async__socket *socket, const uv_buf_t *buffers,
                     unsigned count);
    /* `room`: how much memory there is, for more_to_write */
    int (*write)(struct async__socket *socket, uv_write_t *request,
                 uv_buf_t buffer, size_t room, uv_write_cb written);
    /* Where so much more can be put behind the last write of this callback,
     * which goes out with it; NULL: nowhere. */
    char *(*more_to_write)(struct async__socket *socket, size_t size,
                           uv_write_cb written);
    /* Tries at once what has not been tried yet, and calls back for it. */
    void (*settle)(struct async__socket *socket);
    int (*shutdown)(struct async__socket *socket, uv_shutdown_t *request,
                    uv_shutdown_cb done);
    int (*listen)(struct async__socket *socket, int backlog,
                  uv_connection_cb connected);
    void (*accept_more)(struct async__socket *socket);
    int (*accept)(struct async__socket *socket, struct async_stream *client);
    /* Calls uv_close() when the system has let go. */
    void (*end)(struct async__socket *socket, uv_close_cb closed);
} async__carrier;

/* That of loops that are made from now on; NULL at first. */
void async__uv_set_carrier(const async__carrier *carrier);

/* Whether a stream has this descriptor of which libuv does not know. */
static inline int async__uv_carries(const async_loop *base, int fd)
{
    const async_uv_loop *loop = (const async_uv_loop *)(const void *)base;
    return loop->carrier != NULL && loop->carrier->carries(loop, fd);
}

/* A buffer of ASYNC__UV_READ_BUFFER bytes for what is copied from it at once;
 * NULL without memory. */
enum { ASYNC__UV_READ_BUFFER = 65536 };
char *async__uv_read_buffer(async_loop *loop);

#define ASYNC__UV_RUN_INTO(place, name, ...)                                  \
    async__uv_run_into(                                                       \
        ASYNC__CO(name, __VA_ARGS__),                                         \
        ASYNC__PLACE(place, name),                                            \
        offsetof(struct name, frame.result), sizeof(place))

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_UV_LOOP_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * libuv's callbacks never run code of the user's: they finish futures, and
 * what that makes ready runs in one place, after the poll, whatever the order
 * of phases of this version of libuv; where very many connections have data,
 * in between, too, at the end of a callback that has nothing more to do.  All
 * timers are the loop's own; of libuv's there is one, for the next of them.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_LOOP_IMPLEMENTED)
#define CAESURA_UV_LOOP_IMPLEMENTED

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where async.h writes out libuv's numbers, for want of an errno. */
ASYNC__ASSERT((int)ASYNC_ENOMEM == (int)UV_ENOMEM &&
                  (int)ASYNC_EINVAL == (int)UV_EINVAL &&
                  (int)ASYNC_EBUSY == (int)UV_EBUSY &&
                  (int)ASYNC_ETIMEDOUT == (int)UV_ETIMEDOUT &&
                  (int)ASYNC_ECANCELED == (int)UV_ECANCELED &&
                  (int)ASYNC_EINTR == (int)UV_EINTR,
              "an error has another number than libuv's");

static async_uv_loop *async__uv(async_loop *loop)
{
    return (async_uv_loop *)(void *)loop;
}

/* The loop that one of its handles belongs to. */
static async_uv_loop *async__uv_of(void *data)
{
    return ((async__uv_handles *)data)->loop;
}

/* The clock is libuv's.  Where that is known to be another's, it is asked
 * itself. */
static async_time async__uv_now(async_loop *loop)
{
#if defined(__linux__) && defined(CLOCK_MONOTONIC)
    struct timespec now;
    (void)loop;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (async_time)now.tv_sec * 1000000000 + now.tv_nsec;
#else
    (void)loop;
    return (async_time)uv_hrtime();
#endif
}

/* libuv runs timers before it waits as well as after: what has become due
 * since its deadline was looked at must not be followed by a wait. */
static void async__uv_on_timer(uv_timer_t *timer)
{
    async__kick(&async__uv_of(timer->data)->base);
}
static void async__uv_on_wakeup(uv_async_t *wakeup)
{
    (void)wakeup; /* it has ended the poll */
}
static void async__uv_on_idle(uv_idle_t *idle)
{
    (void)idle;
}

/* Lets libuv wait until the deadline, in its milliseconds: rounded up, and
 * from its own idea of the present, which may be old. */
static void async__uv_arm(async_uv_loop *loop, async_time deadline)
{
    uint64_t due, now = uv_now(loop->uv);
    if (deadline == ASYNC_FOREVER) {
        uv_timer_stop(&loop->handles->timer);
        return;
    }
    due = deadline <= 0 ? 0 : ((uint64_t)deadline + 999999) / 1000000;
    uv_timer_start(&loop->handles->timer, async__uv_on_timer,
                   due > now ? due - now : 0, 0);
}

/* Something has become ready in a callback of libuv: if it has not waited yet,
 * it must not. */
static void async__uv_do_not_wait(async_loop *base)
{
    uv_stop(async__uv(base)->uv);
    if (base->onlooker != NULL) base->onlooker->touched(base);
}

static const async__carrier *async__uv_carrier; /* atomic */

void async__uv_set_carrier(const async__carrier *carrier)
{
    __atomic_store_n(&async__uv_carrier, carrier, __ATOMIC_RELEASE);
}

/* A loop that Caesura runs. */
static int async__uv_poll(async_loop *base, async_time deadline)
{
    async_uv_loop *loop = async__uv(base);
    int waits;
    loop->arrivals = 0;
    if (loop->ring != NULL) return loop->carrier->poll(loop, deadline);
    waits = deadline != ASYNC_NO_WAIT && deadline > base->backend->now(base);
    if (waits) async__uv_arm(loop, deadline);
    if (!loop->owns) {
        /* A borrowed loop may have nothing else that keeps it alive, and what
         * kept it from waiting for us does so no more. */
        uv_idle_stop(&loop->handles->idle);
        uv_ref((uv_handle_t *)&loop->handles->wakeup);
    }
    base->kick = async__uv_do_not_wait;
    uv_run(loop->uv, waits ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    base->kick = NULL;
    if (!loop->owns && loop->held == 0)
        uv_unref((uv_handle_t *)&loop->handles->wakeup);
    return 0;
}

/* One iteration, in the poll.  Order stays what it is: who was woken first runs
 * first, and timers come behind all data. */
void async__uv_run_woken(async_loop *base)
{
    void (*kick)(async_loop *loop) = base->kick;
    async__uv(base)->arrivals = 0;
    if (!base->running || base->stopping || base->onlooker != NULL) return;
    base->kick = NULL;
    async__run_ready(base, 0);
    base->kick = kick;
}

static void async__uv_wake(async_loop *loop)
{
    uv_async_send(&async__uv(loop)->handles->wakeup);
}

/* --- a loop that the program runs ---------------------------------------- */

static void async__uv_kick(async_loop *base)
{
    uv_idle_start(&async__uv(base)->handles->idle, async__uv_on_idle);
    if (base->onlooker != NULL) base->onlooker->touched(base);
}

/* What keeps uv_run() from waiting, or from returning. */
static void async__uv_arrange(async_uv_loop *loop)
{
    async_time deadline = async__poll_deadline(&loop->base);
    if (deadline == ASYNC_NO_WAIT) {
        uv_idle_start(&loop->handles->idle, async__uv_on_idle);
    } else {
        uv_idle_stop(&loop->handles->idle);
        async__uv_arm(loop, deadline);
    }
}

static void async__uv_on_prepare(uv_prepare_t *prepare)
{
    async_uv_loop *loop = async__uv_of(prepare->data);
    if (!loop->base.running) async__uv_arrange(loop);
}

static void async__uv_on_check(uv_check_t *check)
{
    async_uv_loop *loop = async__uv_of(check->data);
    async_loop *base = &loop->base, *outer = async__running;
    if (base->running) return;
    base->kick = NULL;
    base->running = 1;
    async__running = base;
    async__turn(base, 0);
    async__running = outer;
    base->running = 0;
    if (base->stopping) {
        base->stopping = 0;
        uv_stop(loop->uv);
    }
    base->kick = async__uv_kick;
    async__uv_arrange(loop);
}

/* --- Ctrl-C -------------------------------------------------------------- */

static void async__uv_on_interrupt(uv_signal_t *handle, int number)
{
    async_uv_loop *loop = async__uv_of(handle->data);
    (void)number;
    if (loop->interrupt_takers == 0) async_loop_interrupt(&loop->base);
}

/* Whether Ctrl-C still does what it does by default. */
static int async__uv_may_interrupt(void)
{
#ifdef _WIN32
    return 1;
#else
    struct sigaction now;
    return sigaction(SIGINT, NULL, &now) == 0 && now.sa_handler == SIG_DFL;
#endif
}

static void async__uv_interrupts(async_loop *base, int on)
{
    async_uv_loop *loop = async__uv(base);
    uv_signal_t *handle = &loop->handles->interrupt;
    if (on && (async__uv_may_interrupt() || loop->interrupt_takers > 0)) {
        if (handle->data == NULL) {
            if (uv_signal_init(loop->uv, handle) != 0) return;
            handle->data = loop->handles;
            loop->handles->open++;
            uv_unref((uv_handle_t *)handle);
        }
        uv_signal_start(handle, async__uv_on_interrupt, SIGINT);
    } else if (!on && handle->data != NULL) {
        uv_signal_stop(handle);
    }
}

/* --- opening and closing ------------------------------------------------- */

void async__uv_opened(async_loop *loop, async_node *resource)
{
    async__list_append(&async__uv(loop)->resources, &resource->link);
}

char *async__uv_read_buffer(async_loop *base)
{
    async_uv_loop *loop = async__uv(base);
    if (loop->read_buffer == NULL)
        loop->read_buffer =
            (char *)async__allocate_large(base, ASYNC__UV_READ_BUFFER);
    return loop->read_buffer;
}

static void async__uv_closed(uv_handle_t *handle)
{
    async__uv_handles *handles = (async__uv_handles *)handle->data;
    if (--handles->open == 0 && handles->allocator != NULL)
        handles->allocator->release(handles->allocator->context, handles,
                                    sizeof *handles);
}

static void async__uv_close_any(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static void async__uv_close(async_loop *base)
{
    async_uv_loop *loop = async__uv(base);
    async__uv_handles *handles = loop->handles;
    async_link *link;
    base->kick = NULL;
    /* Who has just ended what a task waited for may not have returned yet. */
    while (__atomic_load_n(&loop->posting, __ATOMIC_ACQUIRE) > 0) uv_sleep(0);
    loop->closing = 1;
    if (loop->read_buffer != NULL)
        async__release_large(base, loop->read_buffer, ASYNC__UV_READ_BUFFER);
    loop->read_buffer = NULL;
    uv_close((uv_handle_t *)&handles->wakeup, async__uv_closed);
    uv_close((uv_handle_t *)&handles->timer, async__uv_closed);
    uv_close((uv_handle_t *)&handles->prepare, async__uv_closed);
    uv_close((uv_handle_t *)&handles->check, async__uv_closed);
    uv_close((uv_handle_t *)&handles->idle, async__uv_closed);
    if (handles->interrupt.data != NULL)
        uv_close((uv_handle_t *)&handles->interrupt, async__uv_closed);
    for (link = loop->resources.next; link != &loop->resources;
         link = link->next)
        ((async_node *)(void *)link)->run((async_node *)(void *)link);
    if (loop->ring != NULL) loop->carrier->close(loop);
    if (loop->owns) {
        while (uv_loop_close(loop->uv) == UV_EBUSY) {
            uv_walk(loop->uv, async__uv_close_any, NULL);
            uv_run(loop->uv, UV_RUN_ONCE);
        }
        return;
    }
    /* Tasks that are about to be dropped may have streams in their frames, and
     * servers have their clients in the loop's memory; others keep theirs until
     * libuv, which the program runs, has let go. */
    if (!async__list_empty(&base->tasks) || loop->clients > 0)
        while (!async__list_empty(&loop->resources))
            uv_run(loop->uv, UV_RUN_ONCE);
    while (!async__list_empty(&loop->resources))
        async__unlink(loop->resources.next);
}

/* A peer that has gone, a file that has become too large, are errors of the
 * write, not the end of the program.  Python does the same when it starts. */
#ifndef _WIN32
static void async__uv_ignore(int number)
{
    struct sigaction now;
    if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        sigaction(number, &now, NULL);
    }
}
#endif

int async_uv_loop_init(async_uv_loop *loop, uv_loop_t *uv,
                       const async_allocator *allocator)
{
    static const async_backend backend = { async__uv_now, async__uv_poll,
                                           async__uv_wake, async__uv_close,
                                           async__uv_interrupts };
    async__uv_handles *handles = NULL;
    int error = 0;
#ifndef _WIN32
    async__uv_ignore(SIGPIPE);
#ifdef SIGXFSZ
    async__uv_ignore(SIGXFSZ);
#endif
#endif
    async_loop_init(&loop->base, &backend, allocator, 0);
    loop->base.closed = 1;
    allocator = loop->base.allocator;
    async__list_init(&loop->resources);
    loop->executor = NULL;
    loop->held = 0;
    loop->posting = 0;
    loop->interrupt_takers = 0;
    memset(loop->few_polls, 0, sizeof loop->few_polls);
    loop->polls = loop->few_polls;
    loop->poll_buckets = sizeof loop->few_polls / sizeof loop->few_polls[0];
    loop->poll_count = 0;
    loop->owns = uv == NULL;
    loop->clients = 0;
    loop->arrivals = 0;
    loop->carrier = loop->owns ? __atomic_load_n(&async__uv_carrier,
                                                 __ATOMIC_ACQUIRE)
                               : NULL;
    loop->ring = NULL;
    loop->closing = 0;
    loop->read_buffer = NULL;
    loop->uv = loop->owns ? &loop->own : uv;
    if (loop->owns) {
        handles = &loop->own_handles;
        error = uv_loop_init(&loop->own);
    } else {
        if (allocator != NULL)
            handles = (async__uv_handles *)allocator->allocate(
                allocator->context, sizeof *handles);
        if (handles == NULL) return ASYNC_ENOMEM;
    }
    if (!error) {
        /* Of the handles only this one can fail. */
        error = uv_async_init(loop->uv, &handles->wakeup, async__uv_on_wakeup);
        if (error && loop->owns) uv_loop_close(&loop->own);
    }
    if (error) {
        if (!loop->owns)
            allocator->release(allocator->context, handles, sizeof *handles);
        return error;
    }
    loop->handles = handles;
    handles->loop = loop;
    handles->allocator = loop->owns ? NULL : allocator;
    uv_timer_init(loop->uv, &handles->timer);
    uv_prepare_init(loop->uv, &handles->prepare);
    uv_check_init(loop->uv, &handles->check);
    uv_idle_init(loop->uv, &handles->idle);
    handles->wakeup.data = handles->timer.data = handles->prepare.data =
        handles->check.data = handles->idle.data = handles;
    handles->interrupt.data = NULL;
    handles->open = 5;
    if (!loop->owns) {
        uv_unref((uv_handle_t *)&handles->wakeup);
        uv_prepare_start(&handles->prepare, async__uv_on_prepare);
        uv_unref((uv_handle_t *)&handles->prepare);
        uv_check_start(&handles->check, async__uv_on_check);
        uv_unref((uv_handle_t *)&handles->check);
        loop->base.kick = async__uv_kick;
    }
    loop->base.closed = 0;
    return 0;
}

typedef struct async__uv_counting {
    const async__uv_handles *own;
    size_t count;
} async__uv_counting;

static void async__uv_count(uv_handle_t *handle, void *argument)
{
    async__uv_counting *counting = (async__uv_counting *)argument;
    uintptr_t own = (uintptr_t)counting->own;
    if ((uintptr_t)handle - own >= sizeof *counting->own &&
        !uv_is_closing(handle))
        counting->count++;
}

size_t async_uv_loop_count_handles(async_loop *loop)
{
    async__uv_counting counting;
    counting.own = async__uv(loop)->handles;
    counting.count = 0;
    uv_walk(async__uv(loop)->uv, async__uv_count, &counting);
    return counting.count;
}

/* --- running ------------------------------------------------------------- */

int async__uv_run_into(async_object main, void *result, size_t offset,
                       size_t size)
{
    async_uv_loop loop;
    int error;
    if (async__running != NULL) return ASYNC_ENESTEDRUN;
    error = async_uv_loop_init(&loop, NULL, NULL);
    if (error) return error;
    error = async__run_on_into(&loop.base, main, result, offset, size);
    async_loop_close(&loop.base);
    return error;
}

int async_run(async_object main)
{
    return async__uv_run_into(main, NULL, 0, 0);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
