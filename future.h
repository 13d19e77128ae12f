/* future.h - futures, and the event loop as an interface
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A future is a result that is not there yet; a loop runs what has become
 * ready, in the order in which it did.  A loop gets its clock, its I/O and its
 * sleep from a backend of four functions: async/uv/loop.h (libuv),
 * async/test/virtual.h (time that jumps).
 *
 *   TIME               units
 *   THE LOOP           running, stopping, closing
 *   CALLBACKS          call_soon, call_later, call_at, call_soon_threadsafe
 *   EXCEPTION HANDLER  where errors go that nobody takes
 *   FUTURES            set, cancel, ask, done callbacks
 *   AWAITING           AWAIT_FUTURE
 *   OPERATIONS         for those who write awaitables
 *   BACKENDS           for those who write loops
 *   PRIVATE
 *
 * Threads.  A loop belongs to the thread that runs it; nothing here may be
 * called from another one but async_loop_call_soon_threadsafe().
 *
 * Cancellation.  Nothing here waits, so nothing here can be cancelled, but
 * for AWAIT_FUTURE.
 */
#ifndef CAESURA_FUTURE_H
#define CAESURA_FUTURE_H

#include "async.h"

#if !ASYNC_COROUTINES
#error "Caesura's coroutines need gcc or clang; this compiler has ASYNC_PT_*"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * TIME
 *
 * async_time is a point on the loop's monotonic clock, async_duration a span:
 * both count nanoseconds.  The macros take integers and fractions, so
 * ASYNC_SECONDS(0.5) is half a second.
 *
 * With ASYNC_TIME_BITS 32, as on firmware, both count ticks of the clock that
 * the loop is given, which may wrap; a span is at most 2,147,483,646 of them
 * (24 days of milliseconds), and a smaller one than a tick is 0.
 *
 * With ASYNC_TIME_BITS 16 a span is at most 32,766 ticks (32 seconds of
 * milliseconds; hours are many sleeps in a loop), and a timer must be looked
 * at within as many ticks of its time.  In C an integer constant that is
 * longer is a warning of the compiler's (-Woverflow, -Wconstant-conversion).
 * ------------------------------------------------------------------------ */
#if ASYNC_TIME_BITS == 64
#define ASYNC_NS(n) ((async_duration)(n))
#define ASYNC_US(n) ((async_duration)((n) * 1000LL))
#define ASYNC_MS(n) ((async_duration)((n) * 1000000LL))
#define ASYNC_SECONDS(n) ((async_duration)((n) * 1000000000LL))
#define ASYNC_FOREVER ((async_time)INT64_MAX)
#elif ASYNC_TIME_BITS == 32 || ASYNC_TIME_BITS == 16
#ifndef ASYNC_TICKS_PER_SECOND
#define ASYNC_TICKS_PER_SECOND 1000
#endif
/* Of a constant these are constants, whatever the width in between. */
#define ASYNC_NS(n) ASYNC__TICKS((n) * 1LL, 1000000000)
#define ASYNC_US(n) ASYNC__TICKS((n) * 1LL, 1000000)
#define ASYNC_MS(n) ASYNC__TICKS((n) * 1LL, 1000)
#define ASYNC_SECONDS(n) ASYNC__TICKS((n) * 1LL, 1)
#define ASYNC__TICKS(n, parts)                                                \
    ASYNC__AS_SPAN((n) * ASYNC_TICKS_PER_SECOND / (parts))
#if ASYNC_TIME_BITS == 16 && !defined(ASYNC_STATIC_ONLY)
#error "ASYNC_TIME_BITS 16 needs ASYNC_STATIC_ONLY"
#endif
#if ASYNC_TIME_BITS == 16 && !defined(__cplusplus)
/* The compiler sees what does not fit; gcc, if it does not fit an unsigned one
 * either. */
#define ASYNC__AS_SPAN(n)                                                     \
    ((n) + (__builtin_constant_p(n) && (n) > ASYNC_FOREVER ? 65536 : 0))
#else
#define ASYNC__AS_SPAN(n) ((async_duration)(n))
#endif
#if ASYNC_TIME_BITS == 32
#define ASYNC_FOREVER 0x7fffffff
#else
#define ASYNC_FOREVER 0x7fff
#endif
#else
#error "ASYNC_TIME_BITS is 64, 32 or 16"
#endif

typedef struct async_loop async_loop;
typedef struct async_future async_future;
typedef struct async_handle async_handle;

/* ------------------------------------------------------------------------
 * THE LOOP
 *
 * Made by a backend (async_uv_loop_init, async_virtual_loop_init); a loop
 * that a program does not make itself is made by async_run().
 *
 * One iteration: poll the backend, waiting until something is ready or the
 * next timer is due; then run, in this order, what was ready before, what the
 * poll found, and the timers that are due.  What they make ready runs in the
 * next iteration.  A busy loop looks at its timers in every iteration, and
 * polls at least every 100 microseconds or so.
 * ------------------------------------------------------------------------ */

/* The loop that runs in this thread, or NULL.
 * Counterpart: asyncio.get_running_loop(). */
async_loop *async_get_running_loop(void);

/* The loop's clock.  Counterpart: loop.time(). */
async_time async_loop_time(async_loop *loop);

/* Runs until async_loop_stop().
 * Returns  0; ASYNC_ELOOPRUNNING, ASYNC_EOTHERRUNNING (another loop runs in
 *          this thread), ASYNC_ELOOPCLOSED; or an error of the backend.
 * Counterpart: loop.run_forever(). */
int async_loop_run_forever(async_loop *loop);

/* Ends the run with the current iteration; what that makes ready stays for
 * the next run.  Before a run: that run has one iteration.
 * Counterpart: loop.stop(). */
void async_loop_stop(async_loop *loop);

#ifndef ASYNC_STATIC_ONLY
/* How many tasks on the heap have not been freed: those that run, and those
 * whose handle somebody holds.  For tests, and for finding leaks. */
size_t async_loop_count_tasks(const async_loop *loop);
#endif

/* Counterparts: loop.is_running(), loop.is_closed(). */
int async_loop_is_running(const async_loop *loop);
int async_loop_is_closed(const async_loop *loop);

#ifndef ASYNC_STATIC_ONLY
/* Closes the loop and gives back its memory.  A task that is still pending is
 * reported ("Task was destroyed but it is pending!") and cancelled; it may wait
 * for operations to end (a connection that it closes), but not for time or for
 * others: then it is dropped.  Release every task handle before.
 * Returns  0, also when it was closed before; ASYNC_ECLOSERUNNING.
 * Counterpart: loop.close(). */
int async_loop_close(async_loop *loop);
#endif

/* ------------------------------------------------------------------------
 * CALLBACKS
 *
 * A handle is the caller's: a struct anywhere, zeroed before its first use,
 * that must stay until it has run or been cancelled.  Scheduling allocates
 * nothing.  With NULL in its place the loop makes one and frees it; then the
 * callback cannot be cancelled, and scheduling may fail with ASYNC_ENOMEM.
 *
 * A callback returns 0, or an error that goes to the exception handler: it
 * stops neither the loop nor what comes after it.  It may schedule its own
 * handle again, and free it.
 *
 * Errors, of all that schedule: ASYNC_ELOOPCLOSED; ASYNC_EBUSY when the handle
 * is scheduled already; ASYNC_ENOMEM.
 * ------------------------------------------------------------------------ */
typedef int async_callback(void *argument);

/* Runs it in the next iteration, behind what is ready now.
 * Counterpart: loop.call_soon(). */
int async_loop_call_soon(async_loop *loop, async_handle *handle,
                         async_callback *callback, void *argument);

/* Runs it when `delay` has passed: at the earliest in the next iteration, and
 * then behind all that was ready.  Equal deadlines run in the order in which
 * they were scheduled.  Counterpart: loop.call_later(). */
int async_loop_call_later(async_loop *loop, async_handle *handle,
                          async_duration delay, async_callback *callback,
                          void *argument);

/* The same at a point in time, which may be past.
 * Counterpart: loop.call_at(). */
int async_loop_call_at(async_loop *loop, async_handle *handle, async_time when,
                       async_callback *callback, void *argument);

/* call_soon from any thread; wakes the loop.  The loop must stay open until
 * the call has returned and the callback has run.  A handle scheduled so must
 * stay until it has run, even if it is cancelled; for NULL, the loop's
 * allocator is called from that thread.  From the loop's own thread it is
 * call_soon.
 * Freestanding: from any interrupt, and from tasks of any loop; it is not
 * call_soon to the loop itself, which an interrupt cannot be told from.
 * Counterpart: loop.call_soon_threadsafe(). */
int async_loop_call_soon_threadsafe(async_loop *loop, async_handle *handle,
                                    async_callback *callback, void *argument);

/* Withdraws it: it will not run, and the handle is the caller's again.  One
 * that has run, or was never scheduled, is only marked.
 * Counterparts: Handle.cancel(), Handle.cancelled(), TimerHandle.when(). */
void async_handle_cancel(async_handle *handle);
int async_handle_cancelled(const async_handle *handle);
async_time async_handle_when(const async_handle *handle);

/* ------------------------------------------------------------------------
 * EXCEPTION HANDLER
 * ------------------------------------------------------------------------ */

/* What happened; pointers are valid during the call, NULL if they do not
 * apply. */
typedef struct async_exception_context {
    const char *message;  /* asyncio's words: "Task exception was never ..." */
    int error;            /* 0 if there is none */
    async_future *future; /* the future or task, for its name */
    async_handle *handle; /* the callback's, if the caller gave one */
    const char *name;     /* the coroutine's, if it is about one */
    const char *file;     /* where that, or the task, was made, and the line: */
    int line;             /* in debug mode, async/debug/debug.h */
} async_exception_context;

/* Returns 0, or an error of its own, which is written to stderr. */
typedef int async_exception_handler(async_loop *loop,
                                    const async_exception_context *context,
                                    void *argument);

/* NULL restores the default, which writes a line to stderr and, if one is
 * known, the await traceback.  (Freestanding: it does nothing.)
 * Counterparts: loop.set_exception_handler() and so on. */
void async_loop_set_exception_handler(async_loop *loop,
                                      async_exception_handler *handler,
                                      void *argument);
async_exception_handler *async_loop_get_exception_handler(async_loop *loop);
int async_loop_default_exception_handler(
    async_loop *loop, const async_exception_context *context, void *argument);
void async_loop_call_exception_handler(async_loop *loop,
                                       const async_exception_context *context);

/* ------------------------------------------------------------------------
 * FUTURES
 *
 * A future is a struct of the caller's, anywhere.  It is pending until it gets
 * a result or an error or is cancelled, once.  A typed one has its value
 * beside it:
 *
 *     ASYNC_FUTURE(int) answer;
 *     async_future_init(&answer.future, loop);
 *     ASYNC_SET_RESULT(&answer, 42);
 *     AWAIT_FUTURE_INTO(self->n, &answer);
 *
 * It must stay until those who await it have resumed; async_future_destroy()
 * tells them when it cannot.
 * ------------------------------------------------------------------------ */
#define ASYNC_FUTURE(T)                                                       \
    struct {                                                                  \
        async_future future;                                                  \
        T value;                                                              \
    }

/* Makes it pending.  Zeroed memory with a loop is the same.
 * Counterpart: loop.create_future(). */
static inline void async_future_init(async_future *future, async_loop *loop);

/* Ends its life.  While it is pending, it fails with ASYNC_EDESTROYED: done
 * callbacks are called inside this call, tasks that wait run in the next
 * iteration.  An error that nobody has taken is reported ("Future exception
 * was never retrieved").  Traps when somebody who awaited it has been woken
 * but has not run: destroy it an iteration later; and when a gather, a shield
 * or a wait holds it: end that first. */
void async_future_destroy(async_future *future);

/* Finishes it; whoever waits is made ready, in the order in which they came,
 * and runs in the next iteration, never inside this call.
 *
 * ASYNC_SET_RESULT(typed, value)   checks the value's type
 * error     a negative error code
 * Returns   0; ASYNC_EINVALSTATE when it is done already; ASYNC_ETASKRESULT,
 *           ASYNC_ETASKEXCEPTION for a task; ASYNC_EINVAL for what is no error;
 *           ASYNC_ESTOPFUTURE for ASYNC_ESTOPITERATION, which no await raises
 * Counterparts: Future.set_result(), Future.set_exception(). */
int async_future_set_result(async_future *future);
int async_future_set_exception(async_future *future, int error);
#define ASYNC_SET_RESULT(typed, v)                                            \
    (async__can_set(&(typed)->future)                                         \
         ? ((typed)->value = (v), async_future_set_result(&(typed)->future))  \
         : async_future_set_result(&(typed)->future))

/* Cancels it.  A task is asked to cancel instead, as by async_task_cancel(),
 * and an operation to end.
 * Returns  1, or 0 when it was done already, or is an operation that cannot be
 *          hurried.
 * Counterpart: Future.cancel(). */
int async_future_cancel(async_future *future);

/* Counterparts: Future.done(), Future.cancelled(), Future.get_loop(). */
static inline int async_future_done(const async_future *future);
static inline int async_future_cancelled(const async_future *future);
static inline async_loop *async_future_get_loop(const async_future *future);

/* How it ended: 0, its error, ASYNC_ECANCELED, or ASYNC_ENOTREADY while it is
 * pending.  The error then counts as taken.  The value of a typed one is
 * ASYNC_FUTURE_VALUE(typed), good only after 0.
 * Counterparts: Future.result(), Future.exception(), which are one in C. */
int async_future_result(async_future *future);
#define ASYNC_FUTURE_VALUE(typed) ((typed)->value)

/* Calls back when it is done, through the ready queue; at once (in the next
 * iteration) when it is done already.  In the order in which they were added,
 * among those who await it.
 *
 * node      the caller's, zeroed; must stay until it has run or is cancelled
 * callback  returns 0, or an error for the exception handler
 * Returns   0; ASYNC_EBUSY when the node is in use
 * Counterpart: Future.add_done_callback(). */
typedef int async_future_callback(async_future *future, void *argument);
typedef struct async_done_callback async_done_callback;
int async_future_add_done_callback(async_future *future,
                                   async_done_callback *node,
                                   async_future_callback *callback,
                                   void *argument);

/* Withdraws it while the future is pending.  Once that is done it is too
 * late, as in asyncio: it will run.
 * Returns  1 when it was withdrawn, 0 when it was not there or it is too late.
 * Counterpart: Future.remove_done_callback(). */
int async_future_remove_done_callback(async_future *future,
                                      async_done_callback *node);

/* Withdraws it in any case: it will not run, and the node is the caller's. */
void async_done_callback_cancel(async_done_callback *node);

/* ------------------------------------------------------------------------
 * AWAITING
 *
 * AWAIT_FUTURE(future)             an async_future *; one already done does
 *                                  not suspend
 * AWAIT_FUTURE_INTO(place, typed)  a pointer to an ASYNC_FUTURE(T)
 *
 * From a task.  The future is evaluated once.
 * Errors   the future's; ASYNC_ENOTASK when a coroutine driven by hand would
 *          have to wait; ASYNC_EOTHERLOOP; ASYNC_ESELFAWAIT
 * Cancel   cancels the future, as asyncio does: shield it, or give each
 *          waiter its own, if others wait too.
 * Counterpart: await future. */
#define ASYNC_AWAIT_FUTURE(future) ASYNC__AWAIT_FUTURE(future)
#define ASYNC_AWAIT_FUTURE_INTO(place, typed)                                 \
    ASYNC__AWAIT_FUTURE_INTO(place, typed)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_FUTURE(future) ASYNC__AWAIT_FUTURE(future)
#define AWAIT_FUTURE_INTO(place, typed) ASYNC__AWAIT_FUTURE_INTO(place, typed)
#endif

/* A future in the place of a coroutine object, for what takes either:
 * async_gather_add, async_wait_for, async_loop_run_until_complete. */
static inline async_object async_future_object(async_future *future);

/* ------------------------------------------------------------------------
 * OPERATIONS
 *
 * For those who write awaitables.  An operation is a future that stands for
 * something outside: a request to the system, a thread's work.  It embeds in
 * the awaitable's frame; the callback from outside finishes it.
 *
 * `cancel` is called when the task that waits is cancelled.  It either ends
 * the operation now (finish the future, or async_operation_cancelled()), or
 * asks for its end: then the task stays suspended until the future is finished,
 * so the frame outlives what the system still uses.
 * Returns  1 when the cancellation has been taken up, and the future's end
 *          tells what came of it; 0 when it is to be raised in the task when
 *          that runs again by itself. */
typedef struct async_operation async_operation;
typedef int async_operation_cancel(async_operation *operation);
static inline void async_operation_init(async_operation *operation,
                                        async_loop *loop,
                                        async_operation_cancel *cancel);

/* Ends an operation as cancelled, and returns 1: for its cancel function. */
static inline int async_operation_cancelled(async_operation *operation);

/* The loop of the task that runs `co`; NULL for one driven by hand. */
static inline async_loop *async_loop_of(const async *co);

/* ------------------------------------------------------------------------
 * BACKENDS
 * ------------------------------------------------------------------------ */
typedef struct async_backend {
    /* The clock, in nanoseconds; monotonic. */
    async_time (*now)(async_loop *loop);
    /* Handles what has happened outside; waits for it until `deadline`, or
     * not at all for ASYNC_NO_WAIT, or without end for ASYNC_FOREVER.  Must
     * return when wake() was called.  An error ends the run. */
    int (*poll)(async_loop *loop, async_time deadline);
    /* From any thread: makes poll() return. */
    void (*wake)(async_loop *loop);
#ifndef ASYNC_STATIC_ONLY
    /* The loop is being closed. */
    void (*close)(async_loop *loop);
    /* Ctrl-C shall now call async_loop_interrupt(), or no more.  NULL where
     * there is no such thing. */
    void (*interrupts)(async_loop *loop, int on);
#endif
} async_backend;
#if ASYNC_TIME_BITS == 64
#define ASYNC_NO_WAIT ((async_time)INT64_MIN)
#elif ASYNC_TIME_BITS == 32
#define ASYNC_NO_WAIT 0x80000000u
#else
#define ASYNC_NO_WAIT 0x8000u
#endif

/* Whether a point in time lies before another: clocks of 32 and 16 bits
 * wrap. */
static inline int async_time_before(async_time a, async_time b);

/* Makes a loop; its first member is `struct async_loop`.
 * allocator  where the loop gets memory; NULL: the default one
 * flags      ASYNC_POLL_ALWAYS: poll in every iteration, busy or not */
void async_loop_init(async_loop *loop, const async_backend *backend,
                     const async_allocator *allocator, unsigned flags);
enum { ASYNC_POLL_ALWAYS = 1 };

/* What Ctrl-C does in a run: cancels the main coroutine, the second time stops
 * the loop.  From the loop's thread. */
void async_loop_interrupt(async_loop *loop);

/* ========================================================================
 * PRIVATE
 *
 * The ready queue is a list of nodes through link.next.  A coroutine's node
 * has no valid link.prev there: it never leaves the queue but by running.  A
 * callback's node has, and can be taken out.  It stays O(1): whoever stands
 * before it in the queue runs before it, and then it is the head, which the
 * loop knows.
 *
 * A coroutine has one node, and waits for one thing at a time: its node is in
 * the ready queue, or among a future's waiters, or it is a timer.  Finishing a
 * future moves the whole list of waiters to the ready queue at once.
 *
 * Timers are in a hierarchical wheel (digits of ASYNC__WHEEL_BITS bits, the
 * lowest counting ASYNC__WHEEL_SHIFT bits of nanoseconds).  Arming and
 * cancelling are O(1) and touch two neighbours; a timer moves down at most
 * once a level.  The slot that is due next is sorted by deadline, stably, so
 * the order is exact to the nanosecond, and equal deadlines run as armed.
 * ======================================================================== */

typedef struct async__timer {
    async_node node;
    async_time deadline;
} async__timer;

/* Values of context variables, async/context.h: an immutable list, shared by
 * the contexts that begin with it.  NULL is the empty one. */
typedef struct async__binding async__binding;
typedef struct async_context {
    async__binding *bindings;
} async_context;

struct async_handle {
    async__timer timer;
    async_loop *loop;
    async_callback *callback;
    void *argument;
#ifndef ASYNC_STATIC_ONLY
    async__binding *bindings; /* of where it was scheduled */
#endif
    unsigned char place; /* ASYNC__IN_* */
    unsigned char cancelled, owned;
};
enum { ASYNC__NOWHERE, ASYNC__IN_READY, ASYNC__IN_TIMERS, ASYNC__IN_REMOTE,
       ASYNC__IN_WAITERS };

struct async_done_callback {
    async_node node;
    async_future *future;
    async_future_callback *callback;
    void *argument;
#ifndef ASYNC_STATIC_ONLY
    async__binding *bindings; /* of where it was added */
#endif
    unsigned char place;
};

struct async_future {
    async_link waiters; /* circular; or zero, when there never was one */
    async_loop *loop;
    int16_t error;
    unsigned char state; /* ASYNC__PENDING .. */
    unsigned char kind;  /* ASYNC__PLAIN .., and ASYNC__RETRIEVED */
    async__count shares; /* who holds it: handles, the loop, those awaiting */
};
enum { ASYNC__PENDING, ASYNC__FINISHED, ASYNC__CANCELLED };
enum { ASYNC__PLAIN = 0, ASYNC__TASK = 1, ASYNC__OPERATION = 2,
       ASYNC__KIND_MASK = 3, ASYNC__RETRIEVED = 4, ASYNC__MARKED = 8,
       /* Who waits has taken up its cancellation: a scope (async/scope.h) does
        * not tell it again. */
       ASYNC__UNHURRIED = 16,
       /* An operation that is the work of other tasks: closing the loop does
        * not wait for it, and a scope tells those tasks. */
       ASYNC__INSIDE = 32,
       /* It stands behind a gathering, for those who select from that. */
       ASYNC__SELECTS = 64 };

struct async_operation {
    async_future future;
    async_operation_cancel *cancel;
    const async *from; /* where its error was raised, for the traceback */
};

#ifdef ASYNC_STATIC_ONLY
/* A task: its future, and the coroutine behind it. */
static inline void *async__owner(const async *co)
{
    return (char *)(uintptr_t)co - async__round_constant(sizeof(async_future),
                                                   __alignof__(async));
}
#endif

/* What must be done between two iterations, but for polling now and then. */
enum { ASYNC__POLL = 1, ASYNC__WATCH = 2 /* the clock, for the timers */ };
#define ASYNC__UNKNOWN ASYNC_NO_WAIT

/* Interrupts off, and then again what they were: inside an interrupt, or inside
 * another such block, they stay off.  Both are statements of one block, so that
 * what they were can stand between them. */
#if defined(ASYNC_CRITICAL_ENTER)
#elif defined(__AVR__)
#define ASYNC_CRITICAL_ENTER                                                  \
    {                                                                         \
        uint8_t async__were_on;                                               \
        __asm__ volatile("in %0, 0x3f\n\tcli" : "=r"(async__were_on)::"memory");
#define ASYNC_CRITICAL_EXIT                                                   \
        __asm__ volatile("out 0x3f, %0" ::"r"(async__were_on) : "memory");    \
    }
#elif defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'
#define ASYNC_CRITICAL_ENTER                                                  \
    {                                                                         \
        uint32_t async__were_off;                                             \
        __asm__ volatile("mrs %0, primask\n\tcpsid i"                         \
                         : "=r"(async__were_off)::"memory");
#define ASYNC_CRITICAL_EXIT                                                   \
        __asm__ volatile("msr primask, %0" ::"r"(async__were_off)             \
                         : "memory");                                         \
    }
#elif defined(__riscv) && !ASYNC_HOSTED
#define ASYNC_CRITICAL_ENTER                                                  \
    {                                                                         \
        uintptr_t async__were_on;                                             \
        __asm__ volatile("csrrci %0, mstatus, 8"                              \
                         : "=r"(async__were_on)::"memory");
#define ASYNC_CRITICAL_EXIT                                                   \
        __asm__ volatile("csrs mstatus, %0" ::"r"(async__were_on & 8)         \
                         : "memory");                                         \
    }
#elif ASYNC_HOSTED || __GCC_ATOMIC_POINTER_LOCK_FREE == 2
#define ASYNC_CRITICAL_ENTER ((void)0)
#define ASYNC_CRITICAL_EXIT ((void)0)
#else
#error "this part has no atomic exchange of pointers: define \
ASYNC_CRITICAL_ENTER and ASYNC_CRITICAL_EXIT, which turn interrupts off and \
make them what they were before"
#endif

/* What stands before it in memory is told before what stands behind: to
 * interrupts of the same processor, which only the compiler can deceive. */
#define ASYNC__FENCE() __asm__ volatile("" ::: "memory")

/* Of task.h, which the implementation includes. */
async_link *async__task_ended(async *co, int alone);
void async__task_unshared(async_future *future); /* nobody holds it now */
int async__task_cancel(async_future *future);
void async__tasks_close(async_loop *loop);
void async__tasks_drop(async_loop *loop);
const char *async__task_name(const async_future *future, char *buffer,
                             size_t size);
const async *async__task_coroutine(const async_future *future);
const char *async__task_stack_start(const async *co);
#ifndef ASYNC_STATIC_ONLY
async_context *async__task_context(async *co);
#endif

#if ASYNC_TIME_BITS == 64
enum {
    ASYNC__WHEEL_SHIFT = 18,
    ASYNC__WHEEL_BITS = 7,
    ASYNC__WHEEL_SLOTS = 1 << ASYNC__WHEEL_BITS,
    ASYNC__WHEEL_LEVELS = 7
};
typedef struct async__wheel {
    uint64_t current; /* the slot that is due next */
    uint64_t recent;  /* the slot of the last timer, and its list; */
    async_link *list; /* ASYNC__NO_SLOT when that may lie elsewhere by now */
    uint64_t fetched; /* slots before this one have been, from memory */
    async_link soon;  /* the timers of that slot and before, sorted */
    int unsorted;     /* but not yet */
    async_link never; /* the timers without a deadline */
    uint64_t used[ASYNC__WHEEL_LEVELS][ASYNC__WHEEL_SLOTS / 64];
    async_link slots[ASYNC__WHEEL_LEVELS][ASYNC__WHEEL_SLOTS];
} async__wheel;
#endif

#ifndef ASYNC_STATIC_ONLY
enum { ASYNC__POOL_STEP = 8, ASYNC__POOL_CLASSES = 64,
       ASYNC__POOL_LIMIT = ASYNC__POOL_STEP * ASYNC__POOL_CLASSES,
       /* Tasks have a class of their own.  What lies between two coroutines
        * in memory is what the processor fetches in vain when it guesses that
        * the next one follows. */
       ASYNC__POOL_TASKS = ASYNC__POOL_CLASSES,
       /* What connections read into comes and goes with what is sent: some of
        * it is kept, or the system would be asked for it again each time. */
       ASYNC__SPARE_SIZE = 4096, ASYNC__SPARES = 128 };
#define ASYNC__POOL_CLASS(size) (((size_t)(size)-1) / ASYNC__POOL_STEP)
typedef struct async__pool {
    struct {
        void *free; /* a list through the first word */
        char *fresh, *fresh_end;
        size_t slab; /* the size of the next one */
    } classes[ASYNC__POOL_CLASSES + 1];
    void *slabs;
    void *spare; /* a list of ASYNC__SPARE_SIZE, and how many they are */
    unsigned spares;
} async__pool;
#endif

#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY)
/* Who looks on (async/debug/watch.h) runs the loop's turns in our place, one
 * node after the other.  So who is not looked at pays for it once a turn, and
 * nothing in between. */
struct async_task;
typedef struct async__onlooker {
    void (*turn)(async_loop *loop, int waited);
    void (*touched)(async_loop *loop); /* between turns, by libuv's callbacks */
    void (*made)(async_loop *loop, struct async_task *task);
    /* Where a task was made, or NULL, and since when it does what it does, or
     * ASYNC_NO_WAIT. */
    const char *(*place)(const async_loop *loop, const async_future *task,
                         int *line, async_time *since);
    void (*close)(async_loop *loop);
} async__onlooker;
/* What the nodes of who waits for several things at once finish: a list to
 * which a header adds its own, for async_dump_tree(). */
typedef struct async__awaits {
    void (*run)(async_node *node);
    const async_future *(*waiter)(const async_node *node);
    struct async__awaits *next;
} async__awaits;
extern async__awaits *async__all_awaits;
#define ASYNC__AWAITS(name, run_, waiter_)                                    \
    __attribute__((constructor)) static void name(void)                       \
    {                                                                         \
        static async__awaits awaits;                                          \
        awaits.run = (run_);                                                  \
        awaits.waiter = (waiter_);                                            \
        awaits.next = async__all_awaits;                                      \
        async__all_awaits = &awaits;                                          \
    }
/* Told of every new loop; set by async/debug/debug.h. */
extern void (*async__loop_made)(async_loop *loop);
#endif

#ifdef ASYNC_STATIC_ONLY
struct async_loop {
    async_link ready;
    async_link end;       /* in it, behind what belongs to this iteration */
    async_link timers;    /* in the order of their deadlines */
    async_link tasks;     /* all pending, in the order of their creation */
    async *current;       /* the task's coroutine that runs, or NULL */
    async_exception_handler *handler;
    void *handler_argument;
    async_node *remote;   /* from interrupts, newest first; atomic */
    unsigned char state;  /* ASYNC__STOPPING, ASYNC__RUNNING, or both */
};
enum { ASYNC__STOPPING = 1, ASYNC__RUNNING = 2 };

/* The backend, without a table: a program has one, async/bare/loop.h. */
async_time async__bare_now(async_loop *loop);
void async__bare_poll(async_loop *loop, int wait); /* whether to sleep */
void async__bare_wake(async_loop *loop);
#define ASYNC__NOW(loop) async__bare_now(loop)
#define ASYNC__WAKE_BACKEND(loop) async__bare_wake(loop)
#else
struct async_loop {
    async_link ready;     /* .next is the first, unless tail is &ready */
    async_link *tail;     /* of the ready queue */
    async_link *batch;    /* what is left of this iteration */
    async *current;       /* the task's coroutine that runs, or NULL */
    unsigned char attend; /* before the next iteration: ASYNC__POLL .. */
    unsigned char reload; /* the head of the batch was taken out, or somebody
                           * is ASYNC__MUST_CANCEL */
    unsigned char running, stopping, closed, always;
    unsigned char contexts; /* there may be one that is not empty */
    async_link due;       /* timers of this iteration */
    async_time now;       /* as last read */
    async_time soonest;   /* no timer is due before; or ASYNC__UNKNOWN */
    async_time polled;    /* when it last polled */
    long interval;        /* how many may run before the next poll */
    void (*kick)(async_loop *loop); /* tells a host loop that there is work */
    void (*host)(async_loop *loop); /* that, while the loop runs by itself */
    const async_backend *backend;
    const async_allocator *allocator;
    async_allocator pooled;
    async_link tasks;     /* all pending, in the order of their creation */
    uint32_t tasks_made;
    uint32_t tasks_gone;  /* of these, and the static ones */
    struct async_task *main; /* of async_run, to be interrupted */
    struct async__departure *departure;
    unsigned interrupts;
    async_exception_handler *handler;
    void *handler_argument;
    async_context *context; /* of the callback that runs, or NULL */
    int (*factory)(async_loop *loop, struct async_task *task, void *argument);
    void *factory_argument;
    async_node *remote;   /* from other threads, newest first; atomic */
#if ASYNC_HOSTED
    const struct async__onlooker *onlooker; /* or NULL */
#endif
    async__pool pool;
    async_link *gone[ASYNC__POOL_CLASSES]; /* tasks that have, by size */
#if ASYNC_TIME_BITS != 64
    async_link timers;    /* in the order of their deadlines */
#else
    async__wheel wheel;
#endif
};
#define ASYNC__NOW(loop) ((loop)->now = (loop)->backend->now(loop))
#define ASYNC__WAKE_BACKEND(loop) (loop)->backend->wake(loop)
#endif

/* A loop of static memory alone has nothing that closing would give back. */
#ifdef ASYNC_STATIC_ONLY
#define ASYNC__IS_CLOSED(loop) ((void)(loop), 0)
#else
#define ASYNC__IS_CLOSED(loop) ((loop)->closed)
#endif

/* --- lists --------------------------------------------------------------- */

static inline void async__list_init(async_link *list)
{
    list->next = list->prev = list;
}
static inline int async__list_empty(const async_link *list)
{
    return list->next == list || list->next == NULL;
}
/* Appends to a list whose last is known. */
static inline void async__list_join(async_link *list, async_link *last,
                                    async_link *link)
{
    link->next = list;
    link->prev = last;
    last->next = link;
    list->prev = link;
}
static inline void async__list_append_here(async_link *list, async_link *link)
{
    async__list_join(list, list->next != NULL ? list->prev : list, link);
}
static inline void async__unlink_here(async_link *link)
{
    link->next->prev = link->prev;
    link->prev->next = link->next;
    link->prev = NULL;
}
#ifdef ASYNC_STATIC_ONLY
/* Code is dearer than time. */
ASYNC__NOINLINE void async__list_append(async_link *list, async_link *link);
ASYNC__NOINLINE void async__unlink(async_link *link);
#else
#define async__list_append(list, link) async__list_append_here((list), (link))
#define async__unlink(link) async__unlink_here(link)
#endif

/* --- the ready queue ----------------------------------------------------- */

#ifdef ASYNC_STATIC_ONLY
/* A list as any other: smaller code, and a few instructions more. */
static inline void async__ready(async_loop *loop, async_node *node)
{
    async__list_append(&loop->ready, &node->link);
}
static inline void async__ready_callback(async_loop *loop, async_node *node)
{
    async__ready(loop, node);
}
static inline void async__kick(async_loop *loop)
{
    (void)loop;
}
static inline void async__wake(async_loop *loop, async_future *future)
{
    while (!async__list_empty(&future->waiters)) {
        async_link *link = future->waiters.next;
        async__unlink(link);
        async__list_append(&loop->ready, link);
    }
}
#else
/* For a coroutine; `prev` is left as it is. */
static inline void async__ready(async_loop *loop, async_node *node)
{
    loop->tail->next = &node->link;
    loop->tail = &node->link;
}
/* For what may be taken out again by async__unready(). */
static inline void async__ready_callback(async_loop *loop, async_node *node)
{
    node->link.prev = loop->tail;
    async__ready(loop, node);
}

/* Tells a host loop, between its turns, that something has become ready. */
static inline void async__kick(async_loop *loop)
{
    if (ASYNC__UNLIKELY(loop->kick != NULL)) loop->kick(loop);
}

/* Makes the waiters of a finished future ready; nobody looks at its list from
 * then on.  While the loop runs, nobody need be told. */
static inline void async__wake(async_loop *loop, async_future *future)
{
    if (!async__list_empty(&future->waiters)) {
        async_link *first = future->waiters.next, *last = future->waiters.prev;
        first->prev = loop->tail;
        loop->tail->next = first;
        loop->tail = last;
    }
}
#endif
static inline void async__finish(async_future *future, int state, int error)
{
    future->state = (unsigned char)state;
    future->error = (int16_t)error;
    async__wake(future->loop, future);
    async__kick(future->loop);
}

/* --- inline parts of the interface --------------------------------------- */

static inline int async_time_before(async_time a, async_time b)
{
#if ASYNC_TIME_BITS == 64
    return a < b;
#else
    return (async_duration)(a - b) < 0;
#endif
}

static inline int async_future_done(const async_future *future)
{
    return future->state != ASYNC__PENDING;
}
static inline int async_future_cancelled(const async_future *future)
{
    return future->state == ASYNC__CANCELLED;
}
static inline async_loop *async_future_get_loop(const async_future *future)
{
    return future->loop;
}
static inline int async__can_set(const async_future *future)
{
    return future->state == ASYNC__PENDING &&
           (future->kind & ASYNC__KIND_MASK) != ASYNC__TASK;
}
static inline void async_future_init(async_future *future, async_loop *loop)
{
    future->waiters.next = future->waiters.prev = NULL;
    future->loop = loop;
    future->error = 0;
    future->state = ASYNC__PENDING;
    future->kind = ASYNC__PLAIN;
    future->shares = 0;
}
static inline void async_operation_init(async_operation *operation,
                                        async_loop *loop,
                                        async_operation_cancel *cancel)
{
    async_future_init(&operation->future, loop);
    operation->future.kind = ASYNC__OPERATION;
    operation->cancel = cancel;
    operation->from = NULL;
}
static inline int async_operation_cancelled(async_operation *operation)
{
    async__finish(&operation->future, ASYNC__CANCELLED, ASYNC_ECANCELED);
    return 1;
}
static inline async_loop *async_loop_of(const async *co)
{
    /* A task begins with its future. */
    return co->flags & ASYNC__IS_TASK ? ((async_future *)async__owner(co))->loop
                                      : NULL;
}
static inline ASYNC__MUST_USE async_object
async_future_object(async_future *future)
{
    async_object object;
    memset(&object, 0, sizeof object);
    object.future = future;
    return object;
}

/* --- memory -------------------------------------------------------------- */

#ifndef ASYNC_STATIC_ONLY
/* The sanitizers see more when each block is its own. */
#if defined(__SANITIZE_ADDRESS__)
#define ASYNC_NO_POOL
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define ASYNC_NO_POOL
#endif
#endif

void *async__pool_carve(async_loop *loop, size_t which);
void *async__allocate_large(async_loop *loop, size_t size);
void async__release_large(async_loop *loop, void *memory, size_t size);

#ifndef ASYNC_NO_POOL
static inline void *async__pool_take(async_loop *loop, size_t which)
{
    void **block = (void **)loop->pool.classes[which].free;
    if (ASYNC__UNLIKELY(block == NULL)) return async__pool_carve(loop, which);
    loop->pool.classes[which].free = *block;
    return block;
}
static inline void async__pool_give(async_loop *loop, size_t which,
                                    void *memory)
{
    *(void **)memory = loop->pool.classes[which].free;
    loop->pool.classes[which].free = memory;
}
#endif
static inline void *async__allocate(async_loop *loop, size_t size)
{
#ifndef ASYNC_NO_POOL
    if (ASYNC__LIKELY(size <= ASYNC__POOL_LIMIT))
        return async__pool_take(loop, ASYNC__POOL_CLASS(size));
#endif
    return async__allocate_large(loop, size);
}
static inline void async__release(async_loop *loop, void *memory, size_t size)
{
#ifndef ASYNC_NO_POOL
    if (ASYNC__LIKELY(size <= ASYNC__POOL_LIMIT)) {
        async__pool_give(loop, ASYNC__POOL_CLASS(size), memory);
        return;
    }
#endif
    async__release_large(loop, memory, size);
}
#endif

/* --- contexts ------------------------------------------------------------ */

#ifdef ASYNC_STATIC_ONLY
#define async__capture(loop) NULL
#define async__uncapture(bindings) ((void)0)
#else

async__binding *async__bindings_now(async_loop *loop);
void async__bindings_release(async__binding *bindings);

/* What is scheduled now will see the values of now: a share of them. */
static inline async__binding *async__capture(async_loop *loop)
{
    return ASYNC__UNLIKELY(loop->contexts) ? async__bindings_now(loop) : NULL;
}
static inline void async__uncapture(async__binding **bindings)
{
    if (ASYNC__UNLIKELY(*bindings != NULL)) {
        async__bindings_release(*bindings);
        *bindings = NULL;
    }
}
#endif

/* --- coroutines on a loop ------------------------------------------------ */

void async__step(async_node *node);
/* For one that was to be cancelled while it ran or stood in the queue.  One
 * that has not started never runs, not even its FINALLY. */
void async__step_cancelled(async_node *node);
#ifdef ASYNC_STATIC_ONLY
static inline async_loop *async__loop_of_task(const async *co)
{
    return ((async_future *)async__owner(co))->loop;
}
#endif
int async__cancel_wait(async *co);
/* It is cancelled when it runs next; or, if it runs, when it waits next. */
static inline void async__must_cancel(async *co)
{
    co->flags |= ASYNC__MUST_CANCEL;
    if (co->node.run == async__step) co->node.run = async__step_cancelled;
#ifndef ASYNC_STATIC_ONLY
    async_loop_of(co)->reload = 1;
#endif
}
void async__throw_soon(async *co, int error);
#ifndef ASYNC_STATIC_ONLY
void async__sleep(async *co, async_duration delay);
#endif
void async__arm(async_loop *loop, async__timer *timer, async_time deadline);
void async__unready(async_loop *loop, async_node *node);
ASYNC__COLD int async__await_misused(async *co, int error);
ASYNC__COLD void async__take_error(async *co, async_future *future);

/* The clock, read anew. */
static inline async_time async__now(async_loop *loop)
{
    return ASYNC__NOW(loop);
}
/* A point in time that is so far from `now`. */
static inline async_time async__later(async_time now, async_duration delay)
{
#if ASYNC_TIME_BITS == 64
    if (delay > 0 && now > ASYNC_FOREVER - delay) return ASYNC_FOREVER;
    return now + delay;
#else
    async_time when = (async_time)(now + (async_time)delay);
    if (delay == ASYNC_FOREVER) return ASYNC_FOREVER;
    /* Two points have another meaning: a tick or two later. */
    return when == ASYNC_FOREVER || when == ASYNC_NO_WAIT ? ASYNC_NO_WAIT + 1
                                                          : when;
#endif
}
static inline async_time async__after(async_loop *loop, async_duration delay)
{
    return async__later(async__now(loop), delay);
}

/* Begins to wait, with a share of the future's, or with the caller's own.
 * Returns 1 when the coroutine must suspend, else co->error or the result is
 * there.  co->wait.future is the future until async__drop(); NULL after
 * misuse. */
static inline int async__await(async *co, async_future *future, int share)
{
    co->wait.future = future;
    if (share) future->shares++;
    if (future->state != ASYNC__PENDING) return 0;
    if (ASYNC__UNLIKELY(!(co->flags & ASYNC__IS_TASK)))
        return async__await_misused(co, ASYNC_ENOTASK);
    if (ASYNC__UNLIKELY(async__owner(co) == (void *)future))
        return async__await_misused(co, ASYNC_ESELFAWAIT);
    if (ASYNC__UNLIKELY(async_loop_of(co) != future->loop))
        return async__await_misused(co, ASYNC_EOTHERLOOP);
    async__list_append(&future->waiters, &co->node.link);
    return 1;
}

/* Behind the await: the future's error becomes the coroutine's, unless
 * something else was thrown in.  Returns whether there is a result. */
static inline int async__awaited(async *co)
{
    async_future *future = (async_future *)co->wait.future;
    if (ASYNC__UNLIKELY(co->error != 0)) return 0;
    if (ASYNC__LIKELY(future->error == 0)) return 1;
    async__take_error(co, future);
    return 0;
}
static inline void async__unshare(async_future *future)
{
#ifdef ASYNC_STATIC_ONLY
    future->shares--;
#else
    if (--future->shares == 0 &&
        (future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
        async__task_unshared(future);
#endif
}
static inline void async__drop(async *co)
{
    async_future *future = (async_future *)co->wait.future;
    co->wait.future = NULL;
    if (future != NULL) async__unshare(future);
}

#define ASYNC__WAIT_FOR(future) ASYNC__WAIT_WITH(future, 1)
#define ASYNC__WAIT_WITH(future, share)                                       \
    ASYNC__ONE_A_LINE                                                         \
    if (async__await(co, (future), (share))) {                                \
        ASYNC__PARK(ASYNC__WAITING);                                          \
    }
#define ASYNC__AWAIT_FUTURE(future)                                           \
    do {                                                                      \
        ASYNC__WAIT_FOR(future)                                               \
        ASYNC__AWAITED(async__drop, ASYNC__NOTHING);                          \
    } while (0)
#define ASYNC__AWAIT_FUTURE_INTO(place, typed)                                \
    do {                                                                      \
        ASYNC__WAIT_FOR(&(typed)->future)                                     \
        ASYNC__AWAITED(async__drop, (place) =                                 \
            ((__typeof__(typed))co->wait.future)->value;);                    \
    } while (0)
/* Behind the await: takes the value, if there is one, and lets go. */
#define ASYNC__AWAITED(drop, take)                                            \
    if (ASYNC__LIKELY(async__awaited(co))) {                                  \
        take                                                                  \
        drop(co);                                                             \
    } else {                                                                  \
        async__drop(co);                                                      \
        ASYNC__FAIL;                                                          \
    }

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_FUTURE_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_FUTURE_IMPLEMENTED)
#define CAESURA_FUTURE_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* The loop that runs in this thread.  Without threads interrupts may run loops
 * as well, inside each other: each leaves here what it found when it came, so
 * nobody that was interrupted sees a change, not even between the two halves of
 * the pointer. */
#if ASYNC_HOSTED
static __thread async_loop *async__running;
#define ASYNC__IS_NESTED() ((void)0)
#define ASYNC__CHECK_LOOP(loop, who) ((void)0)
#else
static async_loop *async__running;

/* A loop's turn has been inside that of another.  From then on it traps when
 * one of them changes what is the other's, which may be in the midst of doing
 * so itself.  (Who has one loop has no such variable, if the compiler sees it
 * all.) */
static unsigned char async__nested;
#define ASYNC__IS_NESTED() (async__nested = 1)
#define ASYNC__CHECK_LOOP(loop, who)                                          \
    do {                                                                      \
        if (async__nested) async__check_loop((loop), (who));                  \
    } while (0)
static ASYNC__NOINLINE void async__check_loop(const async_loop *loop,
                                              const char *who)
{
    (void)who;
    if (async__running != NULL && async__running != loop)
        async__trap("this belongs to another loop: set a flag, or use "
                    "async_loop_call_soon_threadsafe()",
                    who, "future.h", __LINE__);
}
#endif

/* --- memory -------------------------------------------------------------- */

#ifndef ASYNC_STATIC_ONLY
typedef struct async__slab {
    struct async__slab *next;
    size_t size;
} async__slab;

enum { ASYNC__FIRST_SLAB = 1024,
       ASYNC__LARGEST_SLAB = sizeof(void *) == 2 ? 16384 : 65536 };

#ifndef ASYNC_NO_POOL
/* Takes a block from the class's slab, or a new slab. */
void *async__pool_carve(async_loop *loop, size_t which)
{
    size_t block = which == ASYNC__POOL_TASKS ? (size_t)ASYNC__TASK_BLOCK
                                              : (which + 1) * ASYNC__POOL_STEP;
    char *memory = loop->pool.classes[which].fresh;
    /* Thousands of tasks at a distance of exactly 128 bytes are a third slower
     * than at 136. */
    if (block % 128 == 0) block += ASYNC__POOL_STEP;
    if (memory == NULL ||
        (size_t)(loop->pool.classes[which].fresh_end - memory) < block) {
        size_t bytes = loop->pool.classes[which].slab;
        async__slab *slab;
        if (loop->allocator == NULL || loop->closed) return NULL;
        if (bytes < ASYNC__FIRST_SLAB) bytes = ASYNC__FIRST_SLAB;
        slab = (async__slab *)loop->allocator->allocate(
            loop->allocator->context, bytes);
        if (slab == NULL) return NULL;
        slab->next = (async__slab *)loop->pool.slabs;
        slab->size = bytes;
        loop->pool.slabs = slab;
        loop->pool.classes[which].slab =
            bytes < ASYNC__LARGEST_SLAB ? bytes * 2 : bytes;
        memory = (char *)(slab + 1);
        loop->pool.classes[which].fresh_end = (char *)slab + bytes;
    }
    loop->pool.classes[which].fresh = memory + block;
    return memory;
}
#endif

void *async__allocate_large(async_loop *loop, size_t size)
{
    if (loop->allocator == NULL || loop->closed) return NULL;
#ifndef ASYNC_NO_POOL
    if (size == ASYNC__SPARE_SIZE && loop->pool.spare != NULL) {
        void **spare = (void **)loop->pool.spare;
        loop->pool.spare = *spare;
        loop->pool.spares--;
        return spare;
    }
#endif
    return loop->allocator->allocate(loop->allocator->context, size);
}

void async__release_large(async_loop *loop, void *memory, size_t size)
{
#ifndef ASYNC_NO_POOL
    if (size == ASYNC__SPARE_SIZE && loop->pool.spares < ASYNC__SPARES &&
        !loop->closed) {
        *(void **)memory = loop->pool.spare;
        loop->pool.spare = memory;
        loop->pool.spares++;
        return;
    }
#endif
    loop->allocator->release(loop->allocator->context, memory, size);
}

static void async__pool_close(async_loop *loop)
{
    async__slab *slab = (async__slab *)loop->pool.slabs;
    while (slab != NULL) {
        async__slab *next = slab->next;
        loop->allocator->release(loop->allocator->context, slab, slab->size);
        slab = next;
    }
    while (loop->pool.spare != NULL) {
        void *next = *(void **)loop->pool.spare;
        loop->allocator->release(loop->allocator->context, loop->pool.spare,
                                 ASYNC__SPARE_SIZE);
        loop->pool.spare = next;
    }
    memset(&loop->pool, 0, sizeof loop->pool);
    memset(loop->gone, 0, sizeof loop->gone);
}

/* The pool as an allocator, for what grows. */
static void *async__pooled_allocate(void *context, size_t size)
{
    return async__allocate((async_loop *)context, size);
}
static void async__pooled_release(void *context, void *memory, size_t size)
{
    async__release((async_loop *)context, memory, size);
}

static const async_allocator *async__pool_of_task(const async *co)
{
    if (!(co->flags & ASYNC__IS_HEAP)) return NULL;
    return &async_loop_of(co)->pooled;
}
#endif

/* --- timers -------------------------------------------------------------- */

static async__timer *async__timer_of(async_link *link)
{
    return (async__timer *)(void *)link;
}

#ifdef ASYNC_STATIC_ONLY
void async__list_append(async_link *list, async_link *link)
{
    async__list_append_here(list, link);
}
void async__unlink(async_link *link)
{
    async__unlink_here(link);
}
#endif

#if ASYNC_TIME_BITS != 64
#define async__arm_here(loop, timer, deadline)                                \
    async__arm((loop), (timer), (deadline))
/* A list: arming is O(n), but for what is due last. */
void async__arm(async_loop *loop, async__timer *timer, async_time deadline)
{
    async_link *before = &loop->timers;
    timer->deadline = deadline;
    do before = before->prev;
    while (before != &loop->timers &&
           async_time_before(timer->deadline,
                             async__timer_of(before)->deadline));
    async__list_append(before->next, &timer->node.link);
#ifndef ASYNC_STATIC_ONLY
    if (loop->soonest != ASYNC__UNKNOWN &&
        (loop->soonest == ASYNC_FOREVER ||
         async_time_before(deadline, loop->soonest)))
        loop->soonest = deadline;
    loop->attend |= ASYNC__WATCH;
    async__kick(loop);
#endif
}

#ifdef ASYNC_STATIC_ONLY
/* Makes ready what is due. */
static void async__expire(async_loop *loop)
{
    async_link *link;
    async_time now = async__now(loop);
    while ((link = loop->timers.next) != &loop->timers &&
           !async_time_before(now, async__timer_of(link)->deadline)) {
        async__unlink(link);
        async__list_append(&loop->ready, link);
    }
}
#else
static void async__expire(async_loop *loop)
{
    async_link *link;
    while ((link = loop->timers.next) != &loop->timers &&
           !async_time_before(loop->now, async__timer_of(link)->deadline)) {
        async__unlink(link);
        async__list_append(&loop->due, link);
    }
}

static async_time async__next_deadline(async_loop *loop)
{
    async_time next;
    if (async__list_empty(&loop->timers)) return ASYNC_FOREVER;
    next = async__timer_of(loop->timers.next)->deadline;
    /* Two points have another meaning: a tick or two later. */
    return next == ASYNC_FOREVER || next == ASYNC_NO_WAIT ? ASYNC_NO_WAIT + 1
                                                          : next;
}
#endif
#else
static uint64_t async__slot_of(async_time deadline)
{
    return deadline <= 0 ? 0 : (uint64_t)deadline >> ASYNC__WHEEL_SHIFT;
}

#define ASYNC__NO_SLOT UINT64_MAX

/* The number of its digit in which a slot differs from another: x / 7, of a
 * bit's number. */
ASYNC__ASSERT(ASYNC__WHEEL_BITS == 7, "another factor than 37 / 256, then");
static int async__wheel_level(uint64_t differ)
{
    return (63 - __builtin_clzll(differ)) * 37 >> 8;
}

static ASYNC__NOINLINE void async__wheel_find(async__wheel *wheel,
                                              async__timer *timer,
                                              uint64_t slot)
{
    if (slot <= wheel->current) {
        /* Near the end of the sorted list, or else anywhere, to be sorted
         * when it is looked at. */
        async_link *after = wheel->soon.prev;
        int steps = 8;
        if (!wheel->unsorted) {
            while (after != &wheel->soon &&
                   async__timer_of(after)->deadline > timer->deadline &&
                   steps-- > 0)
                after = after->prev;
            if (after != &wheel->soon &&
                async__timer_of(after)->deadline > timer->deadline) {
                wheel->unsorted = 1;
                after = wheel->soon.prev;
            }
        }
        async__list_append(after->next, &timer->node.link);
    } else {
        /* At the highest digit in which it differs from the present. */
        int level = async__wheel_level(slot ^ wheel->current);
        unsigned digit =
            (unsigned)(slot >> (level * ASYNC__WHEEL_BITS)) &
            (ASYNC__WHEEL_SLOTS - 1);
        async_link *list = &wheel->slots[level][digit];
        async_link *last = list;
        uint64_t *used = &wheel->used[level][digit / 64];
        uint64_t bit = (uint64_t)1 << (digit % 64);
        wheel->recent = slot;
        wheel->list = list;
        if (*used & bit)
            last = list->prev;
        else
            *used |= bit;
        async__list_join(list, last, &timer->node.link);
    }
}

/* Limits in time are often the same: then the last one's list is known, and the
 * way to it is saved. */
static inline void async__wheel_place(async__wheel *wheel, async__timer *timer)
{
    uint64_t slot = async__slot_of(timer->deadline);
    if (slot == wheel->recent) {
        async_link *list = wheel->list;
        async__list_join(list, list->prev, &timer->node.link);
    } else {
        async__wheel_find(wheel, timer, slot);
    }
}

static inline void async__arm_here(async_loop *loop, async__timer *timer,
                                   async_time deadline)
{
    timer->deadline = deadline;
    if (deadline == ASYNC_FOREVER) {
        async__list_append(&loop->wheel.never, &timer->node.link);
        return;
    }
    async__wheel_place(&loop->wheel, timer);
    if (deadline < loop->soonest) loop->soonest = deadline;
    loop->attend |= ASYNC__WATCH;
    async__kick(loop);
}
void async__arm(async_loop *loop, async__timer *timer, async_time deadline)
{
    async__arm_here(loop, timer, deadline);
}

/* The first slot in use: its level, digit and number.  Cancelling leaves a
 * slot's bit behind, which goes here. */
static int async__wheel_first(async__wheel *wheel, unsigned *digit,
                              uint64_t *slot)
{
    int level, word;
    for (level = 0; level < ASYNC__WHEEL_LEVELS; level++)
        for (word = 0; word < ASYNC__WHEEL_SLOTS / 64; word++)
            while (wheel->used[level][word] != 0) {
                int bit = __builtin_ctzll(wheel->used[level][word]);
                int shift = level * ASYNC__WHEEL_BITS;
                *digit = (unsigned)(word * 64 + bit);
                if (async__list_empty(&wheel->slots[level][*digit])) {
                    wheel->used[level][word] &= ~((uint64_t)1 << bit);
                    wheel->recent = ASYNC__NO_SLOT;
                    continue;
                }
                *slot = wheel->current >> (shift + ASYNC__WHEEL_BITS)
                                              << (shift + ASYNC__WHEEL_BITS);
                *slot |= (uint64_t)*digit << shift;
                return level;
            }
    return -1;
}

/* Merges two sorted lists (NULL-terminated, through next), stably. */
static async_link *async__merge(async_link *a, async_link *b)
{
    async_link head, *tail = &head;
    while (a != NULL && b != NULL)
        if (async__timer_of(b)->deadline < async__timer_of(a)->deadline) {
            tail = tail->next = b;
            b = b->next;
        } else {
            tail = tail->next = a;
            a = a->next;
        }
    tail->next = a != NULL ? a : b;
    return head.next;
}

/* Sorts a circular list by deadline, stably, in O(n log n) and in place:
 * runs of 1, 2, 4 ... entries are merged like the digits of a counter. */
static void async__sort(async_link *list)
{
    async_link *runs[64], *link, *sorted = NULL;
    int top = 0, i;
    list->prev->next = NULL;
    for (link = list->next; link != NULL;) {
        async_link *run = link;
        link = link->next;
        run->next = NULL;
        for (i = 0; i < top && runs[i] != NULL; i++) {
            run = async__merge(runs[i], run);
            runs[i] = NULL;
        }
        if (i == top) top++;
        runs[i] = run;
    }
    for (i = 0; i < top; i++)
        if (runs[i] != NULL) sorted = async__merge(runs[i], sorted);
    list->next = sorted;
    list->prev = list;
    for (link = list; link->next != NULL; link = link->next)
        link->next->prev = link;
    link->next = list;
    list->prev = link;
}

static void async__sort_near(async__wheel *wheel)
{
    if (wheel->unsorted) {
        if (!async__list_empty(&wheel->soon)) async__sort(&wheel->soon);
        wheel->unsorted = 0;
    }
}

/* Timers lie anywhere, and each is found through the one before it.  So the
 * lists of some slots are walked side by side and from both ends before the
 * first of them is sorted: then the processor waits for many places of memory
 * at a time. */
#if ASYNC_HOSTED
enum { ASYNC__FETCHED_SLOTS = 8, ASYNC__FEW = 4 };
static void async__wheel_fetch(async__wheel *wheel, unsigned digit)
{
    async_link *heads[ASYNC__FETCHED_SLOTS], *tails[ASYNC__FETCHED_SLOTS];
    async_link *list = &wheel->slots[0][digit], *link = list->next;
    unsigned count = 0, end = digit + ASYNC__FETCHED_SLOTS, i;
    if (wheel->current < wheel->fetched) return;
    for (i = 1; i < ASYNC__FEW; i++)
        if ((link = link->next) == list) return;
    if (end > ASYNC__WHEEL_SLOTS) end = ASYNC__WHEEL_SLOTS;
    wheel->fetched = wheel->current + (end - digit);
    heads[count] = list->next;
    tails[count++] = list->prev;
    while (++digit < end) {
        list = &wheel->slots[0][digit];
        if (!(wheel->used[0][digit / 64] >> (digit % 64) & 1)) continue;
        if (async__list_empty(list)) continue;
        heads[count] = list->next;
        tails[count++] = list->prev;
    }
    while (count > 0)
        for (i = 0; i < count; i++) {
            async_link *next = heads[i]->next;
            ASYNC__FETCH(&async__timer_of(heads[i])->deadline);
            ASYNC__FETCH(&async__timer_of(tails[i])->deadline);
            if (heads[i] == tails[i] || next == tails[i]) {
                heads[i] = heads[--count];
                tails[i] = tails[count];
            } else {
                heads[i] = next;
                tails[i] = tails[i]->prev;
            }
        }
}
#else
#define async__wheel_fetch(wheel, digit) ((void)0) /* nothing to wait for */
#endif

/* Moves what is due to loop->due, in order. */
static void async__expire(async_loop *loop)
{
    async__wheel *wheel = &loop->wheel;
    uint64_t present = async__slot_of(loop->now);
    for (;;) {
        async_link *link, *first, *list;
        unsigned digit;
        uint64_t slot;
        int level;
        async__sort_near(wheel);
        first = link = wheel->soon.next;
        while (link != &wheel->soon &&
               async__timer_of(link)->deadline <= loop->now)
            link = link->next;
        if (link != first) {
            async_link *last = link->prev;
            wheel->soon.next = link;
            link->prev = &wheel->soon;
            first->prev = loop->due.prev;
            loop->due.prev->next = first;
            last->next = &loop->due;
            loop->due.prev = last;
        }
        if (link != &wheel->soon) return;
        level = async__wheel_first(wheel, &digit, &slot);
        if (level < 0 || slot > present) break;
        wheel->current = slot;
        wheel->recent = ASYNC__NO_SLOT;
        wheel->used[level][digit / 64] &= ~((uint64_t)1 << (digit % 64));
        list = &wheel->slots[level][digit];
        if (level == 0) {
            async__wheel_fetch(wheel, digit);
            /* It takes the place of the near ones, of which none are left. */
            wheel->soon = *list;
            wheel->soon.next->prev = wheel->soon.prev->next = &wheel->soon;
            wheel->unsorted = 1;
            continue;
        }
        for (link = list->next; link != list; link = first) {
            first = link->next;
            async__wheel_place(wheel, async__timer_of(link));
        }
    }
    if (present > wheel->current) {
        wheel->current = present;
        wheel->recent = ASYNC__NO_SLOT;
    }
}

/* When the loop must look at its timers again: never too late. */
static async_time async__next_deadline(async_loop *loop)
{
    async__wheel *wheel = &loop->wheel;
    unsigned digit;
    uint64_t slot;
    async__sort_near(wheel);
    if (!async__list_empty(&wheel->soon))
        return async__timer_of(wheel->soon.next)->deadline;
    if (async__wheel_first(wheel, &digit, &slot) < 0) return ASYNC_FOREVER;
    return (async_time)(slot << ASYNC__WHEEL_SHIFT);
}
#endif

/* --- the ready queue ----------------------------------------------------- */

#ifdef ASYNC_STATIC_ONLY
void async__unready(async_loop *loop, async_node *node)
{
    (void)loop;
    async__unlink(&node->link);
}
#else
void async__unready(async_loop *loop, async_node *node)
{
    async_link *link = &node->link;
    if (loop->batch == link) {
        loop->batch = link->next;
        loop->reload = 1;
    } else {
        link->prev->next = link->next;
    }
    if (loop->tail == link)
        loop->tail = link->prev;
    else if (link->next != NULL)
        link->next->prev = link->prev;
    link->prev = NULL;
}
#endif

/* --- hooks --------------------------------------------------------------- */

/* What a program has no use for it does not carry: a hook is set by who needs
 * it first.  (A variable that nobody sets is a constant to who sees the whole
 * program.)  That may be an interrupt, or a loop that runs in one, and a
 * pointer may be two bytes: one that has been seen is read again, whole. */
#define ASYNC__SET_HOOK(hook, function)                                       \
    do {                                                                      \
        ASYNC_CRITICAL_ENTER;                                                 \
        (hook) = (function);                                                  \
        ASYNC_CRITICAL_EXIT;                                                  \
    } while (0)
#define ASYNC__CALL_HOOK(hook, ...)                                           \
    do {                                                                      \
        if ((hook) != NULL) {                                                 \
            __typeof__(hook) async__hook;                                     \
            ASYNC_CRITICAL_ENTER;                                             \
            async__hook = (hook);                                             \
            ASYNC_CRITICAL_EXIT;                                              \
            async__hook(__VA_ARGS__);                                         \
        }                                                                     \
    } while (0)

/* --- coroutines on a loop ------------------------------------------------ */

/* loop->current is only looked at by what users call: it is set where a
 * coroutine is entered, and cleared where a callback is. */
#ifdef ASYNC_STATIC_ONLY
#ifndef ASYNC_NO_CANCEL
static void (*async__deliver_cancel)(async *co);
#endif

static void async__settle(async *co, int code)
{
    if (code == ASYNC__ENDED) {
        async__task_ended(co, 0);
    } else if (code == ASYNC__PAUSED) {
        async__list_append(&async__loop_of_task(co)->ready, &co->node.link);
    } else {
#ifndef ASYNC_NO_CANCEL
        if (async__deliver_cancel != NULL && co->flags & ASYNC__MUST_CANCEL)
            ASYNC__CALL_HOOK(async__deliver_cancel, co);
#endif
    }
}

/* For a task whose turn it is, and for one whose time has come: as in asyncio,
 * a sleeper's timer wakes it, and it runs an iteration later. */
void async__step(async_node *node)
{
    async *co = (async *)(void *)node;
    int code = ASYNC__PAUSED;
    if (co->flags & ASYNC__IS_SLEEPING) {
        co->flags &= (uint8_t)~ASYNC__IS_SLEEPING;
        co->wait.future = NULL;
    } else {
        async__loop_of_task(co)->current = co;
        code = async__resume(co);
    }
    async__settle(co, code);
}

#ifndef ASYNC_NO_CANCEL
void async__step_cancelled(async_node *node)
{
    async *co = (async *)(void *)node;
    node->run = async__step;
    if (co->flags & ASYNC__MUST_CANCEL) {
        co->flags &= (uint8_t)~ASYNC__MUST_CANCEL;
        async__raised(co, ASYNC_ECANCELED);
        if (co->top->state == 0) {
            async__task_ended(co, 0);
            return;
        }
    }
    async__step(node);
}
#endif
#else
/* What the loop does when a coroutine has given back control. */
static void async__settle(async *co, int code)
{
    if (ASYNC__LIKELY(code == ASYNC__ENDED)) {
        async__task_ended(co, 0);
    } else if (code == ASYNC__PAUSED) {
        async__ready(async_loop_of(co), &co->node);
    } else if (ASYNC__UNLIKELY(co->flags & ASYNC__MUST_CANCEL) &&
               async__cancel_wait(co)) {
        co->flags &= (unsigned char)~ASYNC__MUST_CANCEL;
        co->node.run = async__step;
    }
}

void async__step(async_node *node)
{
    async *co = (async *)(void *)node;
    async_loop_of(co)->current = co;
    async__settle(co, async__resume(co));
}

void async__step_cancelled(async_node *node)
{
    async *co = (async *)(void *)node;
    node->run = async__step;
    if (co->flags & ASYNC__MUST_CANCEL) {
        async_future *future = (async_future *)co->wait.future;
        co->flags &= ~ASYNC__MUST_CANCEL;
        async__raised(co, ASYNC_ECANCELED);
        /* asyncio looks at what woke it before it raises this instead. */
        if (future != NULL) future->kind |= ASYNC__RETRIEVED;
        if (co->top->state == 0) {
            async__settle(co, ASYNC__ENDED);
            return;
        }
    }
    async__step(node);
}
#endif

/* Resumes a suspended coroutine, whose node is nowhere, with an error. */
void async__throw_soon(async *co, int error)
{
    async_loop *loop = async_loop_of(co);
    async__raised(co, error);
    async__ready(loop, &co->node);
    async__kick(loop);
}

#ifndef ASYNC_NO_CANCEL
/* Cancels what a suspended coroutine waits for.  Returns 0 when there is no
 * such thing, or it is over already. */
int async__cancel_wait(async *co)
{
    if (co->flags & ASYNC__IS_SLEEPING) {
        co->flags &= (uint8_t)~ASYNC__IS_SLEEPING;
        co->wait.future = NULL;
        co->node.run = async__step;
        async__unlink(&co->node.link);
        async__throw_soon(co, ASYNC_ECANCELED);
        return 1;
    }
    if (co->wait.future == NULL) return 0;
    return async_future_cancel((async_future *)co->wait.future);
}
#endif

#ifndef ASYNC_STATIC_ONLY
/* As in asyncio, a sleeper's timer wakes it, and it runs an iteration later. */
static inline void async__sleeper_woken(async_loop *loop, async *co)
{
    co->flags &= ~ASYNC__IS_SLEEPING;
    co->wait.future = NULL;
    co->node.run = async__step;
    async__ready(loop, &co->node);
}
static void async__sleep_over(async_node *node)
{
    async *co = (async *)(void *)node;
    async__sleeper_woken(async_loop_of(co), co);
}

void async__sleep(async *co, async_duration delay)
{
    async_loop *loop = async_loop_of(co);
    co->flags |= ASYNC__IS_SLEEPING;
    co->node.run = async__sleep_over;
#if ASYNC_TIME_BITS != 64
    if (delay == ASYNC_FOREVER) {
        async__list_init(&co->node.link); /* a list by itself */
        return;
    }
#endif
    async__arm(loop, (async__timer *)(void *)&co->node,
               async__after(loop, delay));
}
#endif

/* As in asyncio, a task learns in the next iteration what it must not await. */
int async__await_misused(async *co, int error)
{
    async__unshare((async_future *)co->wait.future);
    co->wait.future = NULL;
    if (!(co->flags & ASYNC__IS_TASK)) {
        async__raised(co, error);
        return 0;
    }
    async__throw_soon(co, error);
    return 1;
}

void async__take_error(async *co, async_future *future)
{
    const async *from = NULL;
    future->kind |= ASYNC__RETRIEVED;
    if ((future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
        from = async__task_coroutine(future);
    else if ((future->kind & ASYNC__KIND_MASK) == ASYNC__OPERATION)
        from = ((async_operation *)(void *)future)->from;
    async__raised_from(co, future->error, from);
    (void)from;
}

/* --- reports ------------------------------------------------------------- */

#ifdef ASYNC_STATIC_ONLY
typedef void async__reporter(async_loop *loop, const char *message, int error,
                             async_future *future, async_handle *handle);
static async__reporter *async__report_to;
#define async__report(loop, ...)                                              \
    ASYNC__CALL_HOOK(async__report_to, (loop), __VA_ARGS__)
#else
#define async__report_now async__report
#endif
static ASYNC__COLD void async__report_now(async_loop *loop,
                                          const char *message, int error,
                                          async_future *future,
                                          async_handle *handle)
{
    async_exception_context context;
#if !ASYNC_HOSTED
    if (loop->handler == NULL) return; /* the default does nothing */
#endif
    memset(&context, 0, sizeof context);
    context.message = message;
    context.error = error;
    context.future = future;
    context.handle = handle;
    async_loop_call_exception_handler(loop, &context);
}

#ifdef ASYNC_STATIC_ONLY
/* Tells of the error of a task that has ended, if nobody has taken it; once. */
static void (*async__report_task)(async_future *future);
static ASYNC__COLD void async__report_task_now(async_future *future)
{
    if (future->error == 0 || future->state != ASYNC__FINISHED ||
        future->kind & ASYNC__RETRIEVED)
        return;
    future->kind |= ASYNC__RETRIEVED;
    async__report_now(future->loop, "Task exception was never retrieved",
                      future->error, future, NULL);
}
#endif

/* --- running ------------------------------------------------------------- */

async_loop *async_get_running_loop(void)
{
    return async__running;
}

async_time async_loop_time(async_loop *loop)
{
    return async__now(loop);
}

/* What comes from other threads, or interrupts: a list, newest first.  A part
 * that has no such instruction turns its interrupts off for a moment. */
#if __GCC_ATOMIC_POINTER_LOCK_FREE == 2
static int async__push_remote(async_loop *loop, async_node *node)
{
    async_node *newest = __atomic_load_n(&loop->remote, __ATOMIC_RELAXED);
    do node->link.next = (async_link *)(void *)newest;
    while (!__atomic_compare_exchange_n(&loop->remote, &newest, node, 1,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return newest == NULL;
}
static async_node *async__pop_remote(async_loop *loop)
{
    if (__atomic_load_n(&loop->remote, __ATOMIC_RELAXED) == NULL) return NULL;
    return __atomic_exchange_n(&loop->remote, NULL, __ATOMIC_ACQUIRE);
}
#else
static int async__push_remote(async_loop *loop, async_node *node)
{
    async_node *newest;
    ASYNC_CRITICAL_ENTER;
    newest = loop->remote;
    node->link.next = (async_link *)(void *)newest;
    loop->remote = node;
    ASYNC_CRITICAL_EXIT;
    return newest == NULL;
}
static async_node *async__pop_remote(async_loop *loop)
{
    async_node *newest;
    if (*(async_node *volatile *)&loop->remote == NULL) return NULL;
    ASYNC_CRITICAL_ENTER;
    newest = loop->remote;
    loop->remote = NULL;
    ASYNC_CRITICAL_EXIT;
    return newest;
}
#endif

/* Takes over what other threads have scheduled, oldest first. */
static void async__take_remote(async_loop *loop)
{
    async_link *link = (async_link *)(void *)async__pop_remote(loop);
    async_link *oldest = NULL;
    while (link != NULL) {
        async_link *next = link->next;
        link->next = oldest;
        oldest = link;
        link = next;
    }
    while (oldest != NULL) {
        async_link *next = oldest->next;
        async_handle *handle = (async_handle *)(void *)oldest;
        handle->place = ASYNC__IN_READY;
        async__ready_callback(loop, &handle->timer.node);
        oldest = next;
    }
}

#ifdef ASYNC_STATIC_ONLY
/* Somebody stops a loop: else what follows a run is never reached,
 * and who sees the whole program leaves it away. */
static unsigned char async__stops;
#define ASYNC__IS_STOPPING(loop)                                              \
    (async__stops && (loop)->state & ASYNC__STOPPING)
#define ASYNC__IS_RUNNING(loop) (((loop)->state & ASYNC__RUNNING) != 0)

/* Of what is called from interrupts. */
static void (*async__take_calls)(async_loop *loop);

/* A poll costs little here, so there is one in every iteration. */
static void async__iterate(async_loop *loop)
{
    async_link *link;
    async__bare_poll(loop, async__list_empty(&loop->ready) &&
                              !ASYNC__IS_STOPPING(loop));
    ASYNC__CALL_HOOK(async__take_calls, loop);
    async__expire(loop);
    /* Most ticks wake nobody, and the sooner it sleeps again. */
    if (async__list_empty(&loop->ready)) return;
    async__list_append(&loop->ready, &loop->end);
    while (async__unlink(link = loop->ready.next), link != &loop->end)
        ((async_node *)(void *)link)->run((async_node *)(void *)link);
    loop->current = NULL;
}
#else
#define ASYNC__IS_STOPPING(loop) ((loop)->stopping)
#define ASYNC__IS_RUNNING(loop) ((loop)->running)

/* Takes all that is ready, as a list that ends with NULL; or NULL. */
static inline async_link *async__take_ready(async_loop *loop)
{
    loop->tail->next = NULL; /* of an empty queue that is ready.next itself */
    loop->tail = &loop->ready;
    return loop->ready.next;
}

#if ASYNC_HOSTED
/* What a task that goes on will touch: its first frame and, if it has one, its
 * own block. */
static inline void async__task_fetch(const async *co)
{
    enum { LINE = 64 };
    const char *end = co->end;
    ASYNC__FETCH((const char *)co + LINE);
    ASYNC__FETCH((const char *)(co + 1) + LINE / 2);
    ASYNC__FETCH(end - ASYNC__TASK_BLOCK);
    ASYNC__FETCH(end - ASYNC__TASK_BLOCK + LINE);
    ASYNC__FETCH(end - 1);
}
#endif

static void async__run_due(async_loop *loop)
{
    while (loop->due.next != &loop->due) {
        async_node *node = (async_node *)(void *)loop->due.next;
        async__unlink(&node->link);
#if ASYNC_HOSTED
        /* Of who has slept nothing else is looked at until it runs, and that
         * may be far from what was in use. */
        if (ASYNC__LIKELY(node->run == async__sleep_over)) {
            async *co = (async *)(void *)node;
            async__sleeper_woken(loop, co);
            async__task_fetch(co);
            continue;
        }
#endif
        node->run(node);
    }
    loop->current = NULL;
}

/* Until when the backend may wait. */
static async_time async__poll_deadline(async_loop *loop)
{
    if (loop->tail != &loop->ready || loop->stopping) return ASYNC_NO_WAIT;
    return async__next_deadline(loop);
}

enum {
    ASYNC__SHORT_INTERVAL = 16,
    ASYNC__LONG_INTERVAL = 8192,
    ASYNC__OFTEN = ASYNC_US(50), /* between the polls of a busy loop */
    ASYNC__SELDOM = ASYNC_US(200)
};

/* Looks at the clock, the timers and the other threads. */
static void async__after_poll(async_loop *loop, int waited)
{
    async_duration passed = async__now(loop) - loop->polled;
    loop->polled = loop->now;
    if (!waited && !loop->always) {
        if (passed < ASYNC__OFTEN && loop->interval < ASYNC__LONG_INTERVAL)
            loop->interval *= 2;
        if (passed > ASYNC__SELDOM && loop->interval > ASYNC__SHORT_INTERVAL)
            loop->interval /= 2;
    }
    async__take_remote(loop);
    async__expire(loop);
}

/* Whether to poll before the next iteration: because a timer may be due, for
 * instance.  That is looked at in every iteration, for they are part of it;
 * without timers it costs nothing. */
static ASYNC__COLD int async__must_poll(async_loop *loop, long budget)
{
    if (budget <= 0 || loop->attend & ASYNC__POLL) return 1;
    if (loop->soonest == ASYNC__UNKNOWN)
        loop->soonest = async__next_deadline(loop);
    if (loop->soonest == ASYNC_FOREVER) {
        loop->attend = 0;
        return 0;
    }
    return !async_time_before(async__now(loop), loop->soonest);
}

/* Runs an iteration, and then further ones until there is a reason to poll.
 * Returns with the queue as the last of them left it. */
static void async__run_ready(async_loop *loop, long budget)
{
    while (loop->tail != &loop->ready) {
        async_link *link = async__take_ready(loop), *next;
        do {
            async_node *node = (async_node *)(void *)link;
            async *co = (async *)(void *)node;
            async_status status;
            loop->batch = next = link->next;
            budget--;
            if (ASYNC__UNLIKELY(node->run != async__step)) {
                node->run(node);
            } else {
                loop->current = co;
                status = co->top->resume(co, co->top);
                /* Alone in the world, a task that only pauses is the whole of
                 * the next iteration. */
                if (ASYNC__UNLIKELY(next == NULL))
                    while (status.code == ASYNC__PAUSED &&
                           loop->tail == &loop->ready && --budget > 0 &&
                           node->run == async__step && !loop->attend)
                        status = co->top->resume(co, co->top);
                if (ASYNC__LIKELY(status.code == ASYNC__PAUSED)) {
                    async__ready(loop, node);
                } else if (ASYNC__LIKELY(status.code == ASYNC__WAITING)) {
                    /* Who was cancelled while it ran has said so, too. */
                    if (ASYNC__LIKELY(!loop->reload)) {
                        link = next;
                        continue;
                    }
                    async__settle(co, ASYNC__WAITING);
                } else {
                    int code = async__continue(co, status);
                    if (ASYNC__LIKELY(code == ASYNC__ENDED)) {
                        link = async__task_ended(
                            co, next == NULL && budget > 0 && !loop->attend &&
                                    loop->tail == &loop->ready);
                        if (link != NULL) continue;
                    } else {
                        async__settle(co, code);
                    }
                }
            }
            if (ASYNC__UNLIKELY(loop->reload)) {
                loop->reload = 0;
                next = loop->batch;
            }
            link = next;
        } while (link != NULL);
        if (ASYNC__UNLIKELY(budget <= 0 || loop->attend) &&
            async__must_poll(loop, budget))
            break;
    }
    loop->current = NULL;
}

/* What follows a poll. */
static void async__turn(async_loop *loop, int waited)
{
    /* Stopped before the run or in the poll: this iteration and no other. */
    loop->attend = ASYNC__WATCH |
                   (loop->always | loop->stopping ? ASYNC__POLL : 0);
    loop->soonest = ASYNC__UNKNOWN;
    async__after_poll(loop, waited);
#if ASYNC_HOSTED
    if (ASYNC__UNLIKELY(loop->onlooker != NULL)) {
        loop->onlooker->turn(loop, waited);
        return;
    }
#endif
    if (ASYNC__UNLIKELY(!async__list_empty(&loop->due))) {
        /* Timers belong to this iteration: no further one before them. */
        loop->attend = ASYNC__POLL;
        async__run_ready(loop, 0);
        async__run_due(loop);
    } else {
        async__run_ready(loop, loop->interval);
    }
}

static int async__iterate(async_loop *loop)
{
    async_time deadline = async__poll_deadline(loop);
    int error = loop->backend->poll(loop, deadline);
    if (!error) async__turn(loop, deadline != ASYNC_NO_WAIT);
    return error;
}

/* Marks the loop as the one that runs in this thread. */
static void async__enter(async_loop *loop)
{
    loop->host = loop->kick;
    loop->kick = NULL;
    loop->running = 1;
    async__running = loop;
}
static void async__leave_loop(async_loop *loop)
{
    loop->running = 0;
    loop->stopping = 0;
    async__running = NULL;
    loop->kick = loop->host;
    async__kick(loop); /* a host loop has not seen what is ready by now */
}
#endif

#ifdef ASYNC_STATIC_ONLY
int async_loop_run_forever(async_loop *loop)
{
    if (async__running != NULL)
        return async__running == loop ? ASYNC_ELOOPRUNNING
                                      : ASYNC_EOTHERRUNNING;
    async__running = loop;
    loop->state |= ASYNC__RUNNING;
    ASYNC__HIDE(loop);
    do async__iterate(loop);
    while (!ASYNC__IS_STOPPING(loop));
    loop->state = 0;
    async__running = NULL;
    return 0;
}
#else
int async_loop_run_forever(async_loop *loop)
{
    int error = 0;
    if (ASYNC__IS_CLOSED(loop)) return ASYNC_ELOOPCLOSED;
    if (loop->running) return ASYNC_ELOOPRUNNING;
    if (async__running != NULL) return ASYNC_EOTHERRUNNING;
    async__enter(loop);
    do error = async__iterate(loop);
    while (!error && !loop->stopping);
    async__leave_loop(loop);
    return error;
}
#endif

int async_loop_is_running(const async_loop *loop)
{
    return ASYNC__IS_RUNNING(loop);
}

void async_loop_stop(async_loop *loop)
{
#ifdef ASYNC_STATIC_ONLY
    async__stops = 1;
    loop->state |= ASYNC__STOPPING;
#else
    loop->stopping = 1;
    loop->attend = ASYNC__POLL;
#endif
    async__kick(loop);
}

int async_loop_is_closed(const async_loop *loop)
{
    return ASYNC__IS_CLOSED(loop);
}

#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY)
void (*async__loop_made)(async_loop *loop);
async__awaits *async__all_awaits;
#endif

void async_loop_init(async_loop *loop, const async_backend *backend,
                     const async_allocator *allocator, unsigned flags)
{
    memset(loop, 0, sizeof *loop);
    async__list_init(&loop->tasks);
#if ASYNC_TIME_BITS != 64
    async__list_init(&loop->timers);
#else
    async__list_init(&loop->wheel.soon);
    async__list_init(&loop->wheel.never);
    loop->wheel.recent = ASYNC__NO_SLOT;
#endif
#ifdef ASYNC_STATIC_ONLY
    (void)backend, (void)allocator, (void)flags;
    async__list_init(&loop->ready);
#else
    loop->backend = backend;
    loop->tail = &loop->ready;
    async__list_init(&loop->due);
#ifndef ASYNC_NO_HEAP
    if (allocator == NULL) allocator = &async_default_allocator;
#endif
    loop->allocator = allocator;
    loop->pooled.allocate = async__pooled_allocate;
    loop->pooled.release = async__pooled_release;
    loop->pooled.context = loop;
    loop->interval = ASYNC__SHORT_INTERVAL;
    loop->always = (flags & ASYNC_POLL_ALWAYS) != 0;
#if ASYNC_HOSTED /* other threads store the same */
    __atomic_store_n(&async__task_allocator, &async__pool_of_task,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&async__task_stack, &async__task_stack_start,
                     __ATOMIC_RELAXED);
#else
    async__task_allocator = async__pool_of_task;
    async__task_stack = async__task_stack_start;
#endif
#if ASYNC_HOSTED
    if (async__loop_made != NULL) async__loop_made(loop);
#endif
#endif
}

#ifndef ASYNC_STATIC_ONLY
int async_loop_close(async_loop *loop)
{
    async_loop *outer = async__running;
    int dropped;
    if (loop->running) return ASYNC_ECLOSERUNNING;
    if (loop->closed) return 0;
    if (!async__list_empty(&loop->tasks)) {
        async__enter(loop);
        async__tasks_close(loop);
        async__leave_loop(loop);
        async__running = outer;
    }
    /* What tasks have with the backend is in their frames: first that. */
    loop->backend->close(loop);
    dropped = !async__list_empty(&loop->tasks);
    async__tasks_drop(loop);
    /* One that was dropped may have held handles, which are nobody's fault. */
    if (!dropped && async_loop_count_tasks(loop) > 0)
        async__report(loop, "the loop was closed before all task handles were "
                      "released", 0, NULL, NULL);
#if ASYNC_HOSTED
    if (loop->onlooker != NULL) loop->onlooker->close(loop);
#endif
    loop->closed = 1;
    async__pool_close(loop);
    return 0;
}
#endif

/* --- contexts ------------------------------------------------------------ */

#ifndef ASYNC_STATIC_ONLY
struct async__binding {
    async__binding *next;
    const void *variable;
    const async_allocator *allocator;
    uint32_t shares;
    uint32_t size;
    union {
        void *pointer;
        int64_t integer;
        double number;
        char bytes[1];
    } value; /* as large as it is */
};
#define ASYNC__BINDING_SIZE(size) (offsetof(async__binding, value) + (size))

/* The context of what runs on a loop: a callback's, or a task's; NULL where
 * nothing does. */
static async_context *async__context_now(async_loop *loop)
{
    if (loop->context != NULL) return loop->context;
    return loop->current != NULL ? async__task_context(loop->current) : NULL;
}

/* What goes to another loop begins with none: the counts of shares belong to
 * this one's thread. */
async__binding *async__bindings_now(async_loop *loop)
{
    async_context *context =
        async__running == loop ? async__context_now(loop) : NULL;
    if (context == NULL || context->bindings == NULL) return NULL;
    context->bindings->shares++;
    return context->bindings;
}

void async__bindings_release(async__binding *binding)
{
    while (binding != NULL && --binding->shares == 0) {
        async__binding *next = binding->next;
        binding->allocator->release(binding->allocator->context, binding,
                                    ASYNC__BINDING_SIZE(binding->size));
        binding = next;
    }
}
#endif

/* --- callbacks ----------------------------------------------------------- */

/* Who frees a handle when it has run. */
enum { ASYNC__CALLERS, ASYNC__POOLED, ASYNC__ALLOCATED };

#ifdef ASYNC_STATIC_ONLY
static void async__run_handle(async_node *node)
{
    async_handle *handle = (async_handle *)(void *)node;
    async_loop *loop = handle->loop;
    async_callback *callback = handle->callback;
    void *argument = handle->argument;
    int error, cancelled = handle->cancelled;
    loop->current = NULL;
    ASYNC__FENCE(); /* an interrupt may schedule it again */
    handle->place = ASYNC__NOWHERE;
    if (cancelled) return;
    error = callback(argument);
    if (error < 0)
        async__report(loop, "Exception in callback", error, NULL, handle);
}
#else
static void async__free_handle(async_loop *loop, async_handle *handle)
{
    if (handle->owned == ASYNC__POOLED)
        async__release(loop, handle, sizeof *handle);
    else
        loop->allocator->release(loop->allocator->context, handle,
                                 sizeof *handle);
}

static void async__run_handle(async_node *node)
{
    async_handle *handle = (async_handle *)(void *)node;
    async_loop *loop = handle->loop;
    async_callback *callback = handle->callback;
    void *argument = handle->argument;
    async_context context, *outer = loop->context;
    int error, cancelled = handle->cancelled;
    context.bindings = handle->bindings;
    loop->current = NULL;
    ASYNC__FENCE(); /* an interrupt may schedule it again */
    handle->place = ASYNC__NOWHERE;
    if (handle->owned != ASYNC__CALLERS) {
        async__free_handle(loop, handle);
        handle = NULL;
    }
    if (cancelled) return;
    loop->context = &context;
    error = callback(argument);
    loop->context = outer;
    async__uncapture(&context.bindings);
    if (error < 0)
        async__report(loop, "Exception in callback", error, NULL, handle);
}
#endif

static void async__fill(async_handle *handle, async_loop *loop,
                        async_callback *callback, void *argument, int owned)
{
    handle->timer.node.run = async__run_handle;
    handle->timer.deadline = 0;
    handle->loop = loop;
    handle->callback = callback;
    handle->argument = argument;
    handle->cancelled = 0;
    handle->owned = (unsigned char)owned;
#ifndef ASYNC_STATIC_ONLY
    handle->bindings = NULL;
#endif
}

/* Fills in a handle, or a new one; NULL with *error when that cannot be. */
static async_handle *async__prepare(async_loop *loop, async_handle *handle,
                                    async_callback *callback, void *argument,
                                    int *error)
{
    int owned = ASYNC__CALLERS;
    *error = ASYNC_ELOOPCLOSED;
    if (ASYNC__IS_CLOSED(loop)) return NULL;
    if (handle == NULL) {
        *error = ASYNC_ENOMEM;
#ifndef ASYNC_STATIC_ONLY
        handle = (async_handle *)async__allocate(loop, sizeof *handle);
#endif
        if (handle == NULL) return NULL;
        handle->place = ASYNC__NOWHERE;
        owned = ASYNC__POOLED;
    }
    *error = ASYNC_EBUSY;
    if (handle->place != ASYNC__NOWHERE) return NULL;
    async__fill(handle, loop, callback, argument, owned);
#ifndef ASYNC_STATIC_ONLY
    handle->bindings = async__capture(loop);
#endif
    *error = 0;
    return handle;
}

int async_loop_call_soon(async_loop *loop, async_handle *handle,
                         async_callback *callback, void *argument)
{
    int error;
    handle = async__prepare(loop, handle, callback, argument, &error);
    if (handle == NULL) return error;
    handle->place = ASYNC__IN_READY;
    async__ready_callback(loop, &handle->timer.node);
    async__kick(loop);
    return 0;
}

int async_loop_call_at(async_loop *loop, async_handle *handle, async_time when,
                       async_callback *callback, void *argument)
{
    int error;
    handle = async__prepare(loop, handle, callback, argument, &error);
    if (handle == NULL) return error;
    handle->place = ASYNC__IN_TIMERS;
#if ASYNC_TIME_BITS != 64
    if (when == ASYNC_FOREVER) {
        handle->timer.deadline = when;
        async__list_init(&handle->timer.node.link); /* a list by itself */
        return 0;
    }
#endif
    async__arm(loop, &handle->timer, when);
    return 0;
}

int async_loop_call_later(async_loop *loop, async_handle *handle,
                          async_duration delay, async_callback *callback,
                          void *argument)
{
    if (ASYNC__IS_CLOSED(loop)) return ASYNC_ELOOPCLOSED;
    return async_loop_call_at(loop, handle, async__after(loop, delay),
                              callback, argument);
}

int async_loop_call_soon_threadsafe(async_loop *loop, async_handle *handle,
                                    async_callback *callback, void *argument)
{
    int owned = ASYNC__CALLERS;
#if ASYNC_HOSTED
    if (async__running == loop)
        return async_loop_call_soon(loop, handle, callback, argument);
#endif
    if (ASYNC__IS_CLOSED(loop)) return ASYNC_ELOOPCLOSED;
    if (handle == NULL) {
#ifndef ASYNC_STATIC_ONLY
        if (loop->allocator != NULL)
            handle = (async_handle *)loop->allocator->allocate(
                loop->allocator->context, sizeof *handle);
#endif
        if (handle == NULL) return ASYNC_ENOMEM;
        handle->place = ASYNC__NOWHERE;
        owned = ASYNC__ALLOCATED;
    }
    if (handle->place != ASYNC__NOWHERE) return ASYNC_EBUSY;
    async__fill(handle, loop, callback, argument, owned);
    handle->place = ASYNC__IN_REMOTE;
#ifdef ASYNC_STATIC_ONLY
    ASYNC__SET_HOOK(async__take_calls, async__take_remote);
#endif
    if (async__push_remote(loop, &handle->timer.node))
        ASYNC__WAKE_BACKEND(loop);
    return 0;
}

void async_handle_cancel(async_handle *handle)
{
    handle->cancelled = 1;
    switch (handle->place) {
    case ASYNC__IN_READY:
        async__unready(handle->loop, &handle->timer.node);
        break;
    case ASYNC__IN_TIMERS:
        async__unlink(&handle->timer.node.link);
        break;
    default: /* from another thread: it will find that it is cancelled */
        return;
    }
    async__uncapture(&handle->bindings);
    handle->place = ASYNC__NOWHERE;
}

int async_handle_cancelled(const async_handle *handle)
{
    return handle->cancelled;
}

async_time async_handle_when(const async_handle *handle)
{
    return handle->timer.deadline;
}

/* --- exception handler --------------------------------------------------- */

void async_loop_set_exception_handler(async_loop *loop,
                                      async_exception_handler *handler,
                                      void *argument)
{
    loop->handler = handler;
    loop->handler_argument = argument;
#ifdef ASYNC_STATIC_ONLY
    ASYNC__SET_HOOK(async__report_to, async__report_now);
    ASYNC__SET_HOOK(async__report_task, async__report_task_now);
#endif
}

async_exception_handler *async_loop_get_exception_handler(async_loop *loop)
{
    return loop->handler;
}

int async_loop_default_exception_handler(
    async_loop *loop, const async_exception_context *context, void *argument)
{
#if ASYNC_HOSTED
    char what[512], name[64], line[16];
    const char *of = context->name;
    (void)argument;
    (void)loop;
    if (of == NULL && context->future != NULL &&
        (context->future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
        of = async__task_name(context->future, name, sizeof name);
    snprintf(line, sizeof line, ":%d)", context->line);
    snprintf(what, sizeof what, "caesura: %s%s%s%s%s%s", context->message,
             of != NULL ? ": " : "", of != NULL ? of : "",
             context->file != NULL ? " (made at " : "",
             context->file != NULL ? context->file : "",
             context->file != NULL ? line : "");
    if (context->error == 0) {
        fprintf(stderr, "%s\n", what);
    } else {
#ifndef ASYNC_NO_TRACEBACK
        async_traceback traceback;
        traceback.count = 0;
        traceback.who = NULL;
        if (context->future != NULL &&
            (context->future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
            async_traceback_of(async__task_coroutine(context->future),
                               &traceback);
        if (traceback.count > 0 && traceback.error != context->error)
            traceback.count = 0; /* overwritten since */
        traceback.error = context->error;
        async_traceback_print(&traceback, what);
#else
        async__print_error(what, context->error);
#endif
    }
#else
    (void)loop, (void)context, (void)argument;
#endif
    return 0;
}

void async_loop_call_exception_handler(async_loop *loop,
                                       const async_exception_context *context)
{
    int error;
#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY)
    async_exception_context placed;
    if (loop->onlooker != NULL && context->future != NULL &&
        context->file == NULL) {
        placed = *context;
        placed.file = loop->onlooker->place(loop, context->future,
                                            &placed.line, NULL);
        context = &placed;
    }
#endif
    if (loop->handler == NULL) {
        async_loop_default_exception_handler(loop, context, NULL);
        return;
    }
    error = loop->handler(loop, context, loop->handler_argument);
    if (error < 0) {
        async_exception_context broken;
        memset(&broken, 0, sizeof broken);
        broken.message = "Unhandled error in exception handler";
        broken.error = error;
        async_loop_default_exception_handler(loop, &broken, NULL);
    }
}

/* --- futures ------------------------------------------------------------- */

int async_future_set_result(async_future *future)
{
    ASYNC__CHECK_LOOP(future->loop, "async_future_set_result");
    if ((future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
        return ASYNC_ETASKRESULT;
    if (future->state != ASYNC__PENDING) return ASYNC_EINVALSTATE;
    async__finish(future, ASYNC__FINISHED, 0);
    return 0;
}

int async_future_set_exception(async_future *future, int error)
{
    ASYNC__CHECK_LOOP(future->loop, "async_future_set_exception");
    if ((future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
        return ASYNC_ETASKEXCEPTION;
    if (future->state != ASYNC__PENDING) return ASYNC_EINVALSTATE;
    if (!ASYNC__IS_CODE(error)) return ASYNC_EINVAL;
    if (error == ASYNC_ESTOPITERATION) return ASYNC_ESTOPFUTURE;
    async__finish(future, ASYNC__FINISHED, error);
    return 0;
}

int async_future_cancel(async_future *future)
{
    switch (future->kind & ASYNC__KIND_MASK) {
#ifndef ASYNC_NO_CANCEL
    case ASYNC__TASK:
        return async__task_cancel(future);
#endif
    case ASYNC__OPERATION:
        /* That of a gather keeps its error to be reported, as in asyncio. */
        if (future->state != ASYNC__PENDING) return 0;
        return ((async_operation *)(void *)future)
            ->cancel((async_operation *)(void *)future);
    }
    ASYNC__CHECK_LOOP(future->loop, "async_future_cancel");
    future->kind |= ASYNC__RETRIEVED;
    if (future->state != ASYNC__PENDING) return 0;
    async__finish(future, ASYNC__CANCELLED, ASYNC_ECANCELED);
    return 1;
}

int async_future_result(async_future *future)
{
    if (future->state == ASYNC__PENDING) return ASYNC_ENOTREADY;
    future->kind |= ASYNC__RETRIEVED;
    return future->error;
}

static void async__run_done_callback(async_node *node)
{
    async_done_callback *done = (async_done_callback *)(void *)node;
    async_loop *loop = done->future->loop;
    int error;
#ifndef ASYNC_STATIC_ONLY
    async_context context, *outer = loop->context;
    context.bindings = done->bindings;
    loop->context = &context;
#endif
    loop->current = NULL;
    done->place = ASYNC__NOWHERE;
    error = done->callback(done->future, done->argument);
#ifndef ASYNC_STATIC_ONLY
    loop->context = outer;
    async__uncapture(&context.bindings);
#endif
    if (error < 0)
        async__report(loop, "Exception in callback", error, NULL, NULL);
}

int async_future_add_done_callback(async_future *future,
                                   async_done_callback *node,
                                   async_future_callback *callback,
                                   void *argument)
{
    if (node->place != ASYNC__NOWHERE) return ASYNC_EBUSY;
    node->node.run = async__run_done_callback;
    node->future = future;
    node->callback = callback;
    node->argument = argument;
#ifndef ASYNC_STATIC_ONLY
    node->bindings = async__capture(future->loop);
#endif
    if (future->state == ASYNC__PENDING) {
        node->place = ASYNC__IN_WAITERS;
        async__list_append(&future->waiters, &node->node.link);
    } else {
        node->place = ASYNC__IN_READY;
        async__ready_callback(future->loop, &node->node);
        async__kick(future->loop);
    }
    return 0;
}

int async_future_remove_done_callback(async_future *future,
                                      async_done_callback *node)
{
    if (node->place != ASYNC__IN_WAITERS || node->future != future ||
        future->state != ASYNC__PENDING)
        return 0;
    async_done_callback_cancel(node);
    return 1;
}

void async_done_callback_cancel(async_done_callback *node)
{
    if (node->place == ASYNC__NOWHERE) return;
    if (node->place == ASYNC__IN_WAITERS &&
        node->future->state == ASYNC__PENDING)
        async__unlink(&node->node.link);
    else
        async__unready(node->future->loop, &node->node);
    async__uncapture(&node->bindings);
    node->place = ASYNC__NOWHERE;
}

static int async__is_step(const async_node *node)
{
#ifndef ASYNC_NO_CANCEL
    if (node->run == async__step_cancelled) return 1;
#endif
    return node->run == async__step;
}

void async_future_destroy(async_future *future)
{
    if (future->state == ASYNC__PENDING) {
        future->state = ASYNC__FINISHED;
        future->error = ASYNC_EDESTROYED;
        future->kind |= ASYNC__RETRIEVED;
        while (!async__list_empty(&future->waiters)) {
            async_node *node = (async_node *)(void *)future->waiters.next;
            async__unlink(&node->link);
            if (async__is_step(node)) {
                async *co = (async *)(void *)node;
                co->wait.future = NULL;
                future->shares--;
                async__throw_soon(co, ASYNC_EDESTROYED);
            } else {
                async *current = future->loop->current;
                node->run(node);
                future->loop->current = current;
            }
        }
        if (future->shares > 0)
            async__trap("a future was destroyed that a gather, a shield or "
                        "a wait still holds",
                        "async_future_destroy", "future.h", __LINE__);
        return;
    }
    if (future->shares > 0)
        async__trap("a future was destroyed before those who awaited it had "
                    "run: keep it until the next iteration",
                    "async_future_destroy", "future.h", __LINE__);
    if (future->state == ASYNC__FINISHED && future->error != 0 &&
        !(future->kind & ASYNC__RETRIEVED)) {
        future->kind |= ASYNC__RETRIEVED;
        async__report(future->loop, "Future exception was never retrieved",
                      future->error, future, NULL);
    }
}

#ifndef ASYNC_STATIC_ONLY
/* --- what is left at close ----------------------------------------------- */

/* For a list of what will not run: frees what is the loop's, and marks what is
 * the caller's as nowhere. */
static void async__discard_list(async_loop *loop, async_link *link,
                                const async_link *end)
{
    while (link != end) {
        async_node *node = (async_node *)(void *)link;
        link = link->next;
        if (node->run == async__run_handle) {
            async_handle *handle = (async_handle *)(void *)node;
            handle->place = ASYNC__NOWHERE;
            async__uncapture(&handle->bindings);
            if (handle->owned != ASYNC__CALLERS)
                async__free_handle(loop, handle);
        } else if (node->run == async__run_done_callback) {
            async_done_callback *done = (async_done_callback *)(void *)node;
            done->place = ASYNC__NOWHERE;
            async__uncapture(&done->bindings);
        }
    }
}

/* Empties the ready queue and the timers, for good. */
static void async__discard(async_loop *loop)
{
#if ASYNC_TIME_BITS != 64
    async__take_remote(loop);
    async__discard_list(loop, async__take_ready(loop), NULL);
    async__discard_list(loop, loop->timers.next, &loop->timers);
    async__list_init(&loop->timers);
#else
    async__wheel *wheel = &loop->wheel;
    unsigned digit;
    uint64_t slot;
    int level;
    async__take_remote(loop);
    async__discard_list(loop, async__take_ready(loop), NULL);
    async__discard_list(loop, wheel->soon.next, &wheel->soon);
    async__list_init(&wheel->soon);
    async__discard_list(loop, wheel->never.next, &wheel->never);
    async__list_init(&wheel->never);
    while ((level = async__wheel_first(wheel, &digit, &slot)) >= 0) {
        async_link *list = &wheel->slots[level][digit];
        async__discard_list(loop, list->next, list);
        async__list_init(list);
    }
#endif
}
#endif

#ifdef __cplusplus
}
#endif

/* A loop runs tasks: its implementation is not whole without theirs. */
#ifndef CAESURA_TASK_H
#include "task.h"
#endif

#endif /* ASYNC_IMPLEMENTATION */
