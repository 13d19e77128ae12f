/* task.h - tasks: coroutines that a loop runs side by side
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A task is a coroutine and the future of its result.  Names are asyncio's:
 * asyncio.wait_for is async_wait_for.
 *
 *   TASKS              create, await, release, static tasks
 *   TASK FACTORY       a hook for what is made; eager tasks
 *   STATE AND NAMES    done, result, names, current and all tasks
 *   CANCELLATION       cancel, uncancel, cancelling
 *   SLEEP              async_sleep
 *   GATHER             several at once
 *   WAIT FOR, SHIELD   a limit in time; protection from cancellation
 *   TIMEOUT            the limit as a block
 *   WAIT               for some of several, without cancelling the others
 *   RUNNING            run_until_complete; what async_run is made of
 *   RUNNER             several runs on one loop
 *   PRIVATE
 *
 * Threads: all of it belongs to the loop's thread.
 */
#ifndef CAESURA_TASK_H
#define CAESURA_TASK_H

#include "future.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * TASKS
 *
 * Handles are counted.  The loop holds a task until it ends; creating one
 * gives the caller a share as well, to be released once:
 *
 *     ASYNC_SPAWN(self->a, fetch, .url = "/a");     a share
 *     AWAIT_TASK_INTO(self->n, self->a);            does not spend it
 *     async_task_release(self->a.task);             does
 *
 * AWAIT_JOIN and AWAIT_JOIN_INTO await and release in one; releasing at once
 * is fire and forget.  The memory goes when nobody holds the task any more;
 * if it ended with an error that nobody had taken, that is reported then.
 *
 * Creating runs nothing: the first step is in the next iteration.
 * ------------------------------------------------------------------------ */
typedef struct async_task async_task;

#ifndef ASYNC_STATIC_ONLY
/* Makes a task on the heap (the loop's pool).
 *
 * object   CO(...); its arguments are copied
 * Returns  the task, with a share for the caller; NULL when there is no
 *          running loop (ASYNC_ENOLOOP), no memory (ASYNC_ENOMEM) or the loop
 *          is closed (ASYNC_ELOOPCLOSED): async_last_error() tells which, and
 *          the coroutine is reported as never awaited.
 * Counterparts: asyncio.create_task(), loop.create_task(). */
static inline async_task *async_create_task(async_object object);
static inline async_task *async_loop_create_task(async_loop *loop,
                                                 async_object object);

/* Why the last call in this thread that returned NULL did so. */
int async_last_error(void);
#endif

/* One share more, or less.  Releasing NULL does nothing. */
static inline async_task *async_task_retain(async_task *task);
static inline void async_task_release(async_task *task);

/* A handle that knows the coroutine's type: ASYNC_TASK_OF(fetch) t; has the
 * task in t.task. */
#define ASYNC_TASK_OF(name)                                                   \
    union {                                                                   \
        async_task *task;                                                     \
        struct name *frame_type;                                              \
    }

/* In a coroutine: ASYNC_SPAWN(handle, name, arguments...) makes a task on the
 * same loop; raises what async_create_task() gives as the reason. */
#ifndef ASYNC_STATIC_ONLY
#define ASYNC_SPAWN(handle, ...) ASYNC__SPAWN(handle, __VA_ARGS__, )
#endif

/* Awaits; each an await, with its rules.
 *
 * AWAIT_TASK(task)                an async_task *
 * AWAIT_TASK_INTO(place, handle)  an ASYNC_TASK_OF(name): place = its result
 * AWAIT_JOIN(task)                the same, and releases the caller's share
 * AWAIT_JOIN_INTO(place, handle)  when it has ended, however that was
 *
 * Errors   the task's; ASYNC_ESELFAWAIT, ASYNC_EOTHERLOOP
 * Cancel   cancels the task that is awaited, and stays until that has ended;
 *          shield it when it must not be.
 * Counterpart: await task. */
#define ASYNC_AWAIT_TASK(task) ASYNC__AWAIT_TASK(task)
#define ASYNC_AWAIT_TASK_INTO(place, handle)                                  \
    ASYNC__AWAIT_TASK_INTO(place, handle)
#define ASYNC_AWAIT_JOIN(task) ASYNC__AWAIT_JOIN(task)
#define ASYNC_AWAIT_JOIN_INTO(place, handle)                                  \
    ASYNC__AWAIT_JOIN_INTO(place, handle)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_TASK(task) ASYNC__AWAIT_TASK(task)
#define AWAIT_TASK_INTO(place, handle) ASYNC__AWAIT_TASK_INTO(place, handle)
#define AWAIT_JOIN(task) ASYNC__AWAIT_JOIN(task)
#define AWAIT_JOIN_INTO(place, handle) ASYNC__AWAIT_JOIN_INTO(place, handle)
#endif

/* A task in the place of a coroutine object, for what takes either. */
static inline async_object async_task_object(async_task *task);

/* A task in memory of one's own, which never allocates.
 *
 *     ASYNC_STATIC_TASK(blinker, ASYNC_FRAMES(blink, async_sleep));
 *     async_task_start(&blinker, loop, CO(blink, .pin = 13));
 *     ... &blinker.task ...                 (C++: CO(blink, 13), by position)
 *
 * ASYNC_TASK_STORAGE(bytes)  the type, with `bytes` of frame stack
 * ASYNC_FRAMES(a, b, ...)    the bytes of a chain of up to eight awaits:
 *                            struct a awaiting struct b awaiting ...
 * ASYNC_LARGER(x, y)         the larger of two such, for what awaits now one
 *                            chain and now another: ASYNC_FRAMES(serve) +
 *                            ASYNC_LARGER(ASYNC_FRAMES(get, async_sleep),
 *                            ASYNC_FRAMES(put)); a constant, also in C++
 * async_task_start()         starts it, again if it has ended; needs no share
 *                            and gives none.  An error that nobody has taken
 *                            is reported when it starts again; with
 *                            ASYNC_STATIC_ONLY when the task ends, unless
 *                            somebody awaits it then, has a done callback at
 *                            it or holds it (async_task_retain).  The handler
 *                            may start it again.
 * Errors   ASYNC_EBUSY while it runs, or somebody who awaited it has not yet
 *          gone on; ASYNC_ENOMEM when its first frame does not fit;
 *          ASYNC_ELOOPCLOSED.  A later await that does not fit raises
 *          ASYNC_ENOMEM in the task. */
#define ASYNC_TASK_STORAGE(bytes) ASYNC__TASK_STORAGE(bytes)
#define ASYNC_STATIC_TASK(name, bytes) static ASYNC_TASK_STORAGE(bytes) name
#define ASYNC_FRAMES(...)                                                     \
    ASYNC__CAT(ASYNC__FRAMES_, ASYNC__COUNT(__VA_ARGS__))(__VA_ARGS__)
#define ASYNC_LARGER(x, y) ((x) > (y) ? (x) : (y))
#define async_task_start(storage, loop, object)                               \
    async__task_start(&(storage)->task, ASYNC__CO_OF(storage),                \
                      &(storage)->stack, sizeof (storage)->stack, (loop),     \
                      (object))

/* The same, smaller and checked further: ASYNC_TASK_START(storage, loop, name,
 * arguments...) builds the first frame in the storage, and does not compile
 * when that is too small for it. */
#define ASYNC_TASK_START(storage, loop, ...)                                  \
    ASYNC__TASK_START(storage, loop, __VA_ARGS__, )

#ifndef ASYNC_STATIC_ONLY
/* ------------------------------------------------------------------------
 * TASK FACTORY
 *
 * A function that is called with every task of a loop when it has been made,
 * be it by async_create_task(), ASYNC_SPAWN, a gather, a group or as static
 * storage: to count or name tasks, and to start them eagerly.
 *
 * An eager task runs its first step where it is made, inside that call.  If it
 * never waits it is done when the call returns, and has not been near the
 * loop.  Only while the loop runs: before, and on another loop, it starts in
 * the next iteration as always.
 * ------------------------------------------------------------------------ */

/* task      must neither be awaited, released nor cancelled here
 * Returns   ASYNC_START_LATER, or ASYNC_START_EAGERLY */
typedef int async_task_factory(async_loop *loop, async_task *task,
                               void *argument);
enum { ASYNC_START_LATER, ASYNC_START_EAGERLY };

/* NULL takes it away.
 * Counterparts: loop.set_task_factory(), loop.get_task_factory(). */
static inline void async_loop_set_task_factory(async_loop *loop,
                                               async_task_factory *factory,
                                               void *argument);
static inline async_task_factory *
async_loop_get_task_factory(const async_loop *loop);

/* The factory that starts every task eagerly.
 * Counterpart: asyncio.eager_task_factory, of Python 3.12. */
int async_eager_task_factory(async_loop *loop, async_task *task,
                             void *argument);

/* A single eager task; as async_create_task() else.
 * Counterpart: asyncio.create_task(eager_start=True), of Python 3.14. */
async_task *async_create_eager_task(async_object object);
#endif

/* ------------------------------------------------------------------------
 * STATE AND NAMES
 * ------------------------------------------------------------------------ */

/* As for a future: a task is one, &task->future.  async_task_result() is how
 * it ended: 0, its error, ASYNC_ECANCELED, ASYNC_ENOTREADY.  The value is
 * ASYNC_TASK_RESULT(handle), good after 0 and until the release.
 * Counterparts: Task.done(), cancelled(), result(), exception(). */
static inline int async_task_done(const async_task *task);
static inline int async_task_cancelled(const async_task *task);
static inline int async_task_result(async_task *task);
#define ASYNC_TASK_RESULT(handle)                                             \
    (((__typeof__((handle).frame_type))(handle).task->co->top)->frame.result)

/* The name: "Task-N" until it is set.  A name that is set is not copied; the
 * result is valid until the fourth call from now in this thread.
 * Counterparts: Task.get_name(), Task.set_name(). */
#if !defined(ASYNC_STATIC_ONLY) || !defined(ASYNC_NO_NAMES)
const char *async_task_get_name(const async_task *task);
void async_task_set_name(async_task *task, const char *name);
#endif

/* The task that runs, NULL in a plain callback or outside a loop.
 * Counterpart: asyncio.current_task(). */
async_task *async_current_task(void);

/* Walks the tasks that have not ended, in the order of their creation: pass
 * NULL to begin, NULL is the end.  No task may end between two steps.
 * Counterpart: asyncio.all_tasks(). */
async_task *async_all_tasks(const async_loop *loop, const async_task *previous);

/* Its coroutine, for async_frame_innermost() and so on. */
static inline const async *async_task_get_coro(const async_task *task);

/* Bytes of its frames, in use and at most; see async_stack_used(). */
size_t async_task_stack_used(const async_task *task);
size_t async_task_stack_high_water(const async_task *task);

#ifndef ASYNC_NO_CANCEL
/* ------------------------------------------------------------------------
 * CANCELLATION
 *
 * A request that is raised as ASYNC_ECANCELED at the await where the task is
 * suspended; that may be caught, and FINALLY arms may await.  It goes to what
 * the task waits for first: a task that it awaits is cancelled, and the error
 * arrives when that has ended.  One not yet started never runs.  A circle of
 * tasks that await each other, which could never end, is broken at this one.
 * ------------------------------------------------------------------------ */

/* Returns 1, or 0 when it had ended already.  Counterpart: Task.cancel(). */
static inline int async_task_cancel(async_task *task);

/* How often cancellation was requested and not taken back.
 * Counterpart: Task.cancelling(). */
static inline int async_task_cancelling(const async_task *task);

/* Takes a request back; the last one, if it has not been passed to what the
 * task waits for nor raised, is withdrawn.  Returns what is left.
 * Counterpart: Task.uncancel(). */
int async_task_uncancel(async_task *task);
#endif

/* ------------------------------------------------------------------------
 * SLEEP
 * ------------------------------------------------------------------------ */

/* AWAIT(async_sleep, delay): goes on when `delay` has passed; 0 or less gives
 * up the processor for one iteration.
 * Errors   ASYNC_ENOTASK for a positive delay outside a task
 * Cancel   ends the sleep at once
 * Counterpart: asyncio.sleep(). */
struct async_sleep { ASYNC_FRAME; async_duration delay; };
ASYNC(async_sleep);

#ifndef ASYNC_STATIC_ONLY
/* ------------------------------------------------------------------------
 * GATHER
 *
 * Awaits several at once; their results stand in the order of the arguments.
 *
 *     async_gathering all;                         in the frame, zeroed
 *     AWAIT_GATHER(&self->all, CO(fetch, "/a"), CO(fetch, "/b"));
 *     n = GATHERED(&self->all, 0, fetch) + GATHERED(&self->all, 1, fetch);
 *     async_gather_clear(&self->all);
 *
 * or, for any number:
 *
 *     for (...) async_gather_add(&self->all, CO(fetch, urls[i]));
 *     AWAIT(async_gather, &self->all);
 *
 * The first error is raised at once; the others go on, and what becomes of
 * them is not reported.  With async_gather_return_exceptions() all are waited
 * for and nothing is raised: ask async_gather_error().
 *
 * Cancel   cancels every child, in order.  The awaiter goes on when the first
 *          has ended cancelled, or, returning exceptions, when all have.
 * Memory   40 bytes a child from the loop's pool, and the children's tasks.
 *          After an error of a child all is released; after success, and when
 *          the await itself found no memory, that is left to
 *          async_gather_clear().
 * Counterpart: asyncio.gather().
 * ------------------------------------------------------------------------ */
typedef struct async_gathering async_gathering;

/* Adds a child: a coroutine becomes a task, which can run from the next
 * iteration on; a task or future (async_task_object, async_future_object) is
 * held until the clear.  The same one twice is waited for once.  To one that
 * has been awaited: begins anew.
 * Returns  0; ASYNC_ENOMEM, ASYNC_ENOLOOP, ASYNC_EOTHERLOOP (a task or future
 *          of another loop than the first), and then awaiting it cancels what
 *          there is and raises that; ASYNC_EBUSY while it is awaited. */
static inline int async_gather_add(async_gathering *gathering,
                                   async_object object);

/* Instead of raising, wait for all.  Before it is awaited; one that has been
 * begins anew. */
void async_gather_return_exceptions(async_gathering *gathering);

/* AWAIT(async_gather, gathering): awaits all that was added; with nothing
 * added it does not suspend. */
struct async_gather { ASYNC_FRAME; async_gathering *gathering; };
ASYNC(async_gather);

/* AWAIT_GATHER(gathering, objects...): adds up to 16 and awaits them.
 * Errors   those of async_gather_add(), too */
#define ASYNC_AWAIT_GATHER(gathering, ...)                                    \
    ASYNC__AWAIT_GATHER(gathering, __VA_ARGS__)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_GATHER(gathering, ...)                                          \
    ASYNC__AWAIT_GATHER(gathering, __VA_ARGS__)
#endif

/* GATHERED(gathering, index, name): the result of child `index`, which must be
 * a coroutine (or task) of `name`: anything else traps. */
#ifndef ASYNC_NO_SHORT_NAMES
#define GATHERED(gathering, index, name)                                      \
    ASYNC_GATHERED(gathering, index, name)
#endif
#define ASYNC_GATHERED(gathering, index, name)                                \
    (((struct name *)async__gathered((gathering), (index), name))             \
         ->frame.result)

/* How child `index` ended: 0, its error, ASYNC_ECANCELED. */
int async_gather_error(const async_gathering *gathering, size_t index);
size_t async_gather_count(const async_gathering *gathering);

/* Releases the children.  Those that still run go on; who awaits a gathering
 * that was started gets ASYNC_EDESTROYED.  An error of one that was started,
 * but that nobody awaited, is reported. */
void async_gather_clear(async_gathering *gathering);

/* Starts without awaiting, as asyncio.gather() itself does: the future can be
 * awaited, gathered or given to a callback.  It belongs to the gathering. */
async_future *async_gather_start(async_gathering *gathering);
#endif

#ifndef ASYNC_NO_CANCEL
/* ------------------------------------------------------------------------
 * WAIT FOR, SHIELD
 * ------------------------------------------------------------------------ */

/* AWAIT(async_wait_for, object, timeout): awaits a coroutine (inside this
 * task), a task or a future for at most `timeout`; 0 or less does not start a
 * coroutine, and takes only what is done.
 *
 * AWAIT_WAIT_FOR(timeout, name, arguments...)
 * AWAIT_WAIT_FOR_INTO(place, timeout, name, arguments...)   typed
 *
 * When the time is over, what is awaited is cancelled, and this goes on when
 * it has ended.  ASYNC_FOREVER sets no limit.
 * Errors   ASYNC_ETIMEDOUT, or what is awaited raises
 * Cancel   cancels what is awaited
 * Counterpart: asyncio.wait_for(), as of Python 3.12. */
#define ASYNC_AWAIT_WAIT_FOR(timeout, ...)                                    \
    ASYNC__AWAIT_WAIT_FOR(timeout, __VA_ARGS__)
#define ASYNC_AWAIT_WAIT_FOR_INTO(place, timeout, ...)                        \
    ASYNC__AWAIT_WAIT_FOR_INTO(place, timeout, __VA_ARGS__, )
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_WAIT_FOR(timeout, ...)                                          \
    ASYNC__AWAIT_WAIT_FOR(timeout, __VA_ARGS__)
#define AWAIT_WAIT_FOR_INTO(place, timeout, ...)                              \
    ASYNC__AWAIT_WAIT_FOR_INTO(place, timeout, __VA_ARGS__, )
#endif

/* AWAIT(async_shield, object): awaits a task or future, or a coroutine which
 * becomes a task, without cancelling it when this task is cancelled: it goes
 * on.  (The result: ASYNC_TASK_RESULT() of the task, or the typed future's.)
 * Cancel   is raised here at once
 * Counterpart: asyncio.shield(). */

/* ------------------------------------------------------------------------
 * TIMEOUT
 *
 * A limit in time for a block of code:
 *
 *     async_timeout deadline;                     in the frame, zeroed
 *     ASYNC_TIMEOUT(&self->deadline, ASYNC_MS(500)) {
 *         AWAIT(connect, self->peer);
 *         AWAIT(fetch, self->peer);
 *     } ASYNC_END_TIMEOUT
 *
 * Syntax   ASYNC_TIMEOUT(timeout, delay) { body } ASYNC_END_TIMEOUT
 *          ASYNC_TIMEOUT_AT(timeout, when) { body } ASYNC_END_TIMEOUT
 *          No semicolon after it.  `timeout` is an async_timeout *, evaluated
 *          more than once; `delay` a duration, `when` a point in time, past
 *          or 0 meaning the next iteration, ASYNC_FOREVER none.
 * Resume   at the deadline the task is cancelled, where it stands.  When that
 *          cancellation comes out of the body (which may have cleaned up, and
 *          awaited), it becomes ASYNC_ETIMEDOUT.  No other does: cancelled
 *          from outside too, it stays ASYNC_ECANCELED; of blocks inside each
 *          other that have all expired, the outermost times out.  A body that
 *          swallows the cancellation goes on, and is not interrupted again.
 * Leaving  by its end, return, break, continue or error disarms the timer.
 *          The struct may then be used for another block.
 * Errors   ASYNC_ETIMEDOUT behind the block; before it ASYNC_ETIMEOUTTASK in a
 *          coroutine driven by hand, which for ASYNC_TIMEOUT without a running
 *          loop is ASYNC_ENOLOOP; ASYNC_ETIMEOUTUSED inside a block that uses
 *          the same struct.
 * Misuse   a struct that is not zeroed may look as if it were in use.
 * Costs    no memory but the struct.
 * Counterparts: asyncio.timeout(), asyncio.timeout_at().
 * ------------------------------------------------------------------------ */
typedef struct async_timeout async_timeout;
#define ASYNC_TIMEOUT(timeout, delay)                                         \
    ASYNC__TIMEOUT(timeout, async__timeout_enter, delay)
#define ASYNC_TIMEOUT_AT(timeout, when)                                       \
    ASYNC__TIMEOUT(timeout, async__timeout_enter_at, when)
#define ASYNC_END_TIMEOUT ASYNC__END_BLOCK(TIMEOUT)

/* Moves the deadline of a block that runs, from anywhere on its loop;
 * ASYNC_FOREVER takes it away.
 * Returns  0; ASYNC_ETIMEOUTNEW before the block, ASYNC_ETIMEOUTEXPIRING when
 *          the deadline has passed and ASYNC_ETIMEOUTEXPIRED behind the block,
 *          then; ASYNC_ETIMEOUTOVER behind one that ended in time
 * Counterpart: Timeout.reschedule(). */
int async_timeout_reschedule(async_timeout *timeout, async_time when);

/* The deadline, ASYNC_FOREVER when there is none; 0 before the block.
 * Counterpart: Timeout.when(). */
static inline async_time async_timeout_when(const async_timeout *timeout);

/* Whether the deadline passed while the block ran, whatever came of it.
 * Counterpart: Timeout.expired(). */
static inline int async_timeout_expired(const async_timeout *timeout);
#endif

/* ------------------------------------------------------------------------
 * WAIT
 *
 * Waits for some of several futures or tasks (&task->future), and touches none
 * of them: it neither cancels nor raises what they raise.
 *
 *     async_waited two[2];                        in the frame, zeroed
 *     self->two[0].future = &self->a.task->future;
 *     self->two[1].future = &self->b.task->future;
 *     AWAIT(async_wait, self->two, 2, ASYNC_FOREVER, ASYNC_FIRST_COMPLETED);
 *     if (self->two[0].done) ...
 *
 * The array is the caller's.  It must stay while it is waited for, and is in
 * one wait at a time; then it may be used again.  The same future may be there
 * twice.  A share of each is held meanwhile: a plain future must not be
 * destroyed.
 * ------------------------------------------------------------------------ */
typedef struct async_waited async_waited;

/* AWAIT_INTO(n, async_wait, items, count, timeout, return_when): n, a size_t,
 * is how many are done, and each item's `done` tells whether it is.
 *
 * timeout      ASYNC_FOREVER for none; 0 or less looks once, and lets others
 *              run meanwhile
 * return_when  ASYNC_ALL_COMPLETED, and so if it is left out;
 *              ASYNC_FIRST_COMPLETED: by itself, cancelled or with an error;
 *              ASYNC_FIRST_EXCEPTION: with an error (a cancellation is none),
 *              or all
 * Errors       ASYNC_ENOFUTURES for no items; ASYNC_ERETURNWHEN for another
 *              `return_when`; ASYNC_EINVAL for an item without a future;
 *              ASYNC_EOTHERLOOP; ASYNC_ENOTASK.  When the time is over, none.
 * Cancel       is raised here; the futures are left alone
 * Counterpart: asyncio.wait(). */
enum { ASYNC_ALL_COMPLETED, ASYNC_FIRST_COMPLETED, ASYNC_FIRST_EXCEPTION };
struct async_wait;
ASYNC(async_wait);

/* A generator of the futures, in the order in which they end:
 *
 *     self->ends = ASYNC_GENERATOR(async_as_completed, self->two, 2,
 *                                  ASYNC_SECONDS(3));
 *     ASYNC_FOR(self->future, &self->ends) {
 *         AWAIT_FUTURE(self->future);              does not suspend
 *     } ASYNC_END_FOR
 *
 * The time counts from the first step.  A future that is there twice is yielded
 * once.
 * Errors   ASYNC_ETIMEDOUT when the time is over and those that ended before
 *          have been yielded: once, and that is the end; the items' `done`
 *          tells which are left.  (asyncio's plain `for` raises it for each of
 *          these.)  Those of async_wait; but no items are the end, not an
 *          error.
 * Cancel   is raised, and ends it; the futures are left alone
 * Counterpart: asyncio.as_completed(), iterated by `async for`. */
struct async_as_completed;
ASYNC(async_as_completed);

#ifndef ASYNC_STATIC_ONLY
/* ------------------------------------------------------------------------
 * RUNNING
 * ------------------------------------------------------------------------ */

/* Runs the loop until `object` (a coroutine, which becomes a task, or a task
 * or future) has ended.  Other tasks are left where they stand.
 * Returns  0 or its error; the errors of async_loop_run_forever();
 *          ASYNC_ELOOPSTOPPED when the loop was stopped before;
 *          ASYNC_ENOMEM when there is no memory for the task;
 *          ASYNC_EOTHERLOOP when the task or future is another loop's.
 * Counterpart: loop.run_until_complete(). */
int async_loop_run_until_complete(async_loop *loop, async_object object);

/* The same, with the coroutine's result in `place`, which is untouched after
 * an error: ASYNC_RUN_UNTIL_COMPLETE_INTO(place, loop, name, arguments...)
 * has the value of the plain form. */
#define ASYNC_RUN_UNTIL_COMPLETE_INTO(place, loop, ...)                       \
    ASYNC__RUN_INTO(async__run_task_into, place, loop, __VA_ARGS__, )

/* What async_run(CO(main)) of a backend does with a new loop of its own: runs
 * the main coroutine; cancels what is left and waits for it; reports what
 * fails in that.  An error of the main coroutine is printed to stderr, with
 * the await traceback.  The loop is left open.
 * Returns  as async_loop_run_until_complete()
 * Counterpart: asyncio.run(). */
int async_run_on(async_loop *loop, async_object main);
#define ASYNC_RUN_ON_INTO(place, loop, ...)                                   \
    ASYNC__RUN_INTO(async__run_on_into, place, loop, __VA_ARGS__, )

/* ------------------------------------------------------------------------
 * RUNNER
 *
 * Several runs, one after the other, on one loop and in one context: what is
 * connected, started or set (async/context.h) in one is there in the next.
 *
 *     async_runner runner;
 *     async_uv_loop_init(&loop, NULL, NULL);
 *     async_runner_init(&runner, &loop.base);
 *     error = async_runner_run(&runner, CO(connect, &session));
 *     if (!error) error = async_runner_run(&runner, CO(transfer, &session));
 *     async_runner_close(&runner);
 *
 * Between two runs the tasks that are left stand still.
 * Counterpart: asyncio.Runner.
 * ------------------------------------------------------------------------ */
typedef struct async_runner async_runner;

/* loop   the runner's from then on, which closes it */
void async_runner_init(async_runner *runner, async_loop *loop);

/* Runs a coroutine to its end.  As async_run(), Ctrl-C cancels it, where the
 * backend has that; its error is returned, and not printed.
 * Returns  0 or its error; ASYNC_EINTR after Ctrl-C; ASYNC_ERUNNERCLOSED;
 *          ASYNC_EINVAL for a task or future; ASYNC_ENESTEDRUN inside a loop
 *          that runs; the errors of async_loop_run_until_complete()
 * Counterpart: Runner.run(). */
int async_runner_run(async_runner *runner, async_object main);
#define ASYNC_RUNNER_RUN_INTO(place, runner, ...)                             \
    ASYNC__RUN_INTO(async__runner_run_into, place, runner, __VA_ARGS__, )

/* The loop; NULL when it is closed.  Counterpart: Runner.get_loop(). */
static inline async_loop *async_runner_get_loop(const async_runner *runner);

/* Cancels what is left and waits for it, and closes the loop.
 * Returns  0, also when it was closed before; ASYNC_ECLOSERUNNING; an error of
 *          the backend
 * Counterpart: Runner.close(). */
int async_runner_close(async_runner *runner);
#endif

/* ========================================================================
 * PRIVATE
 *
 * A task on the heap is two blocks.  What a switch touches, the coroutine and
 * its first frame, lies together; what it does not, the future and the list
 * of all tasks, lies elsewhere, with room for the frames of further awaits.
 * Ten thousand tasks that switch then touch a third of their memory.
 * ======================================================================== */

#ifdef ASYNC_STATIC_ONLY
struct async_task {
    async_future future; /* must be first */
    async co[1];         /* and behind it this, see async__owner() */
    async_link all;      /* in loop->tasks */
#ifndef ASYNC_NO_NAMES
    const char *name;
#endif
#ifndef ASYNC_NO_CANCEL
    uint8_t requests; /* cancelling() */
#endif
};
#define ASYNC__TASK_STORAGE(bytes)                                            \
    struct {                                                                  \
        async_task task;                                                      \
        union {                                                               \
            void *align;                                                      \
            char bytes_[bytes];                                               \
        } stack;                                                              \
    }
#define ASYNC__CO_OF(storage) (storage)->task.co
#define ASYNC__TASK_START(storage, loop, name, ...)                           \
    __extension__({                                                           \
        int async__error = async__task_place(                                 \
            &(storage)->task, sizeof (storage)->stack, (loop),                \
            sizeof(struct name));                                             \
        ASYNC__TASK_CHECK(storage, name);                                     \
        if (!async__error) {                                                  \
            ASYNC__BUILD_STARTING((struct name *)(void *)&(storage)->stack,   \
                                  name, __VA_ARGS__);                         \
        }                                                                     \
        async__error;                                                         \
    })
int async__task_place(async_task *task, size_t size, async_loop *loop,
                      size_t frame);
ASYNC__NOINLINE async_status async__sleep_here(async *co, async_frame *frame,
                                               async__state state,
                                               async_duration delay);
#define ASYNC__IN_PLACE_async_sleep ~, IN_PLACE
#define async_sleep__in_place(co, frame, state, arguments)                    \
    async__sleep_here((co), (frame), (state), (arguments).delay)
#else
struct async_task {
    async_future future; /* must be first */
    async *co;
    async_link all;      /* in loop->tasks; when it has gone, in loop->gone */
    uintptr_t name;      /* a number, or a string */
    uint32_t first : 24; /* heap: the size of the block of co */
    uint32_t heap : 8;   /* ASYNC__STATIC .. */
    uint16_t requests;   /* cancelling() */
    unsigned char named; /* the name is a string */
    unsigned char special; /* ASYNC__IS_DEPARTING .. */
    union {
        async_context own;    /* ASYNC__HAS_CONTEXT; else empty */
        async_context *given; /* ASYNC__GIVEN_CONTEXT */
    } context;
};
#define ASYNC__TASK_STORAGE(bytes)                                            \
    struct {                                                                  \
        async_task task;                                                      \
        async co;                                                             \
        union {                                                               \
            void *align;                                                      \
            char bytes_[bytes];                                               \
        } stack;                                                              \
        async_task *behind_stack;                                             \
    }
#define ASYNC__CO_OF(storage) &(storage)->co
#define ASYNC__TASK_START(storage, loop, name, ...)                           \
    __extension__({                                                           \
        ASYNC__TASK_CHECK(storage, name);                                     \
        async_task_start(storage, loop, ASYNC__CO(name, __VA_ARGS__));        \
    })
enum {
    ASYNC__IS_DEPARTING = 1, /* async_run waits for its end */
    ASYNC__HAS_CONTEXT = 2,
    ASYNC__GIVEN_CONTEXT = 4
};

enum {
    ASYNC__TASK_STACK = ASYNC__TASK_BLOCK - sizeof(async_task),
    /* What to do with its blocks when it has gone. */
    ASYNC__STATIC = 0, /* they are the caller's */
    ASYNC__FREE = 1,
    ASYNC__KEEP = 2 /* this, and more by the class of its size: for reuse */
};

#endif

#define ASYNC__TASK_CHECK(storage, name)                                      \
    ASYNC__ASSERT(sizeof(struct name) <= sizeof (storage)->stack,             \
                  "the storage has no room for this coroutine's frame");      \
    ASYNC__ASSERT(ASYNC__KIND(name) < 3,                                      \
                  "this is a generator: iterate it with ASYNC_FOR")
int async__task_start(async_task *task, async *co, void *stack, size_t size,
                      async_loop *loop, async_object object);
#ifndef ASYNC_STATIC_ONLY
void async__task_begin(async_task *task, async *co, async_loop *loop);
async_task *async__task_make_slow(async_loop *loop, async_function *start,
                                  size_t size, size_t alignment,
                                  async_frame **first);
ASYNC__COLD void async__never_awaited(async_loop *loop, async_function *start,
                                      int why);
ASYNC__COLD void async__spawn_failed(async *co);
async_task *async__create(async_loop *loop, async_object object,
                          async_context *context, int eagerly);
ASYNC__COLD void async__task_made(async_task *task);
#endif

static inline async_task *async__task_of_link(async_link *link)
{
    return (async_task *)(void *)((char *)link - offsetof(async_task, all));
}

#ifndef ASYNC_STATIC_ONLY
/* A task with room for its first frame.  Where size and alignment are
 * constants, as in ASYNC_SPAWN, it is a few instructions: the blocks of a task
 * that has gone are kept together, for the next one of that size. */
static inline async_task *async__task_make(async_loop *loop,
                                           async_function *start, size_t size,
                                           size_t alignment,
                                           async_frame **first)
{
    if (ASYNC__LIKELY(alignment <= ASYNC__ALIGNMENT && loop != NULL &&
                      sizeof(async) + size <= ASYNC__POOL_LIMIT)) {
        async_link **gone =
            &loop->gone[ASYNC__POOL_CLASS(sizeof(async) + size)];
        if (ASYNC__LIKELY(*gone != NULL)) {
            async_task *task = async__task_of_link(*gone);
            *gone = (*gone)->next;
            *first = (async_frame *)(void *)(task->co + 1);
            async__task_begin(task, task->co, loop);
            return task;
        }
    }
    return async__task_make_slow(loop, start, size, alignment, first);
}

/* Behind the making of a task, when its first frame is whole.  With a factory
 * it has not been put in the ready queue. */
static inline void async__made(async_task *task)
{
    if (ASYNC__UNLIKELY(task->future.loop->factory != NULL))
        async__task_made(task);
}

/* A task's first frame is the object's.  Of a small one whose size is known
 * each field is copied for itself, so that the compiler sees what was written
 * there: then the frame from which is copied is never made. */
static ASYNC__INLINE void async__copy_frame(async_frame *first,
                                            const async_object *object)
{
    char *to = (char *)first;
    const char *from = (const char *)object->frame;
    const size_t size = object->size;
#define ASYNC__COPY_WORD(n)                                                   \
    if (size >= 8 * (n) + 8) memcpy(to + 8 * (n), from + 8 * (n), 8)
    if (__builtin_constant_p(size) && size <= 80 && size % 8 == 0) {
        ASYNC__COPY_WORD(0);
        ASYNC__COPY_WORD(1);
        ASYNC__COPY_WORD(2);
        ASYNC__COPY_WORD(3);
        ASYNC__COPY_WORD(4);
        ASYNC__COPY_WORD(5);
        ASYNC__COPY_WORD(6);
        ASYNC__COPY_WORD(7);
        ASYNC__COPY_WORD(8);
        ASYNC__COPY_WORD(9);
    } else {
        memcpy(to, from, size);
    }
#undef ASYNC__COPY_WORD
    first->resume = object->start;
}

/* In place: then the coroutine object and its frame are never made, but what
 * stands in them is written where the task has it. */
static ASYNC__INLINE async_task *
async__create_task(async_loop *loop, const async_object *object)
{
    async_frame *first;
    async_task *task;
    ASYNC__PLACE_NEXT(object->file, object->line);
    async__object_taken(object);
    task = async__task_make(loop, object->start, object->size,
                            object->alignment, &first);
    if (ASYNC__UNLIKELY(task == NULL)) return NULL;
    async__copy_frame(first, object);
    async__made(task);
    async__kick(loop);
    return task;
}
static ASYNC__INLINE async_task *async_loop_create_task(async_loop *loop,
                                                        async_object object)
{
    return async__create_task(loop, &object);
}
static ASYNC__INLINE async_task *async_create_task(async_object object)
{
    return async__create_task(async_get_running_loop(), &object);
}
static inline void async_loop_set_task_factory(async_loop *loop,
                                               async_task_factory *factory,
                                               void *argument)
{
    loop->factory = factory;
    loop->factory_argument = argument;
}
static inline async_task_factory *
async_loop_get_task_factory(const async_loop *loop)
{
    return loop->factory;
}
#endif
static inline async_task *async_task_retain(async_task *task)
{
    task->future.shares++;
    return task;
}
static inline void async_task_release(async_task *task)
{
    if (task != NULL) async__unshare(&task->future);
}
static inline ASYNC__MUST_USE async_object async_task_object(async_task *task)
{
    return async_future_object(&task->future);
}
static inline int async_task_done(const async_task *task)
{
    return async_future_done(&task->future);
}
static inline int async_task_cancelled(const async_task *task)
{
    return async_future_cancelled(&task->future);
}
static inline int async_task_result(async_task *task)
{
    return async_future_result(&task->future);
}
static inline const async *async_task_get_coro(const async_task *task)
{
    return task->co;
}
#ifndef ASYNC_NO_CANCEL
static inline int async_task_cancel(async_task *task)
{
    return async__task_cancel(&task->future);
}
static inline int async_task_cancelling(const async_task *task)
{
    return task->requests;
}
#endif
#ifndef ASYNC_STATIC_ONLY
#define ASYNC__SPAWN(handle, ...)                                             \
    ASYNC__SPAWN_BY(async__task_make, async_loop_of(co), handle, __VA_ARGS__)
/* `make` makes the task for `whom`, which is a loop or a group. */
#define ASYNC__SPAWN_BY(make, whom, handle, name, ...)                        \
    do {                                                                      \
        async_frame *async__first;                                            \
        (void)AWAIT_needs_ASYNC_BEGIN_before_it;                              \
        ASYNC__ASSERT(ASYNC__KIND(name) < 3,                                  \
                      "this is a generator: iterate it with ASYNC_FOR");      \
        (void)sizeof((handle).frame_type = (struct name *)0); /* type check */ \
        ASYNC__PLACE_NEXT(__FILE__, __LINE__);                                \
        (handle).task = make((whom), name, sizeof(struct name),               \
                             __alignof__(struct name), &async__first);        \
        if (ASYNC__UNLIKELY((handle).task == NULL)) {                         \
            async__spawn_failed(co);                                          \
            ASYNC__FAIL;                                                      \
        }                                                                     \
        ASYNC__BUILD_STARTING((struct name *)(void *)async__first, name,      \
                              __VA_ARGS__);                                   \
        async__made((handle).task);                                           \
    } while (0)

#endif

#define ASYNC__AWAIT_TASK(task_)                                              \
    ASYNC__AWAIT_FUTURE(&(task_)->future)
#define ASYNC__TASK_VALUE(handle)                                             \
    (((__typeof__((handle).frame_type))((async_task *)co->wait.future)        \
          ->co->top)->frame.result)
#define ASYNC__AWAIT_TASK_INTO(place, handle)                                 \
    do {                                                                      \
        ASYNC__WAIT_FOR(&(handle).task->future)                               \
        ASYNC__AWAITED(async__drop_task,                                      \
                       (place) = ASYNC__TASK_VALUE(handle););                 \
    } while (0)
/* The await has the caller's share, which goes with it. */
#define ASYNC__AWAIT_JOIN(task_)                                              \
    do {                                                                      \
        ASYNC__WAIT_WITH(&(task_)->future, 0)                                 \
        ASYNC__AWAITED(async__drop_task, ASYNC__NOTHING);                     \
    } while (0)
#define ASYNC__AWAIT_JOIN_INTO(place, handle)                                 \
    do {                                                                      \
        ASYNC__WAIT_WITH(&(handle).task->future, 0)                           \
        ASYNC__AWAITED(async__drop_task,                                      \
                       (place) = ASYNC__TASK_VALUE(handle););                 \
    } while (0)
static inline void async__drop_task(async *co)
{
    async_future *future = (async_future *)co->wait.future;
    co->wait.future = NULL;
    if (--future->shares == 0) async__task_unshared(future);
}

/* The bytes that a frame takes on a stack. */
#define ASYNC__FRAMES_1(a)                                                    \
    (async__round_constant(sizeof(struct a), ASYNC__ALIGNMENT) +              \
     (__alignof__(struct a) > ASYNC__ALIGNMENT ? __alignof__(struct a) : 0))
#define ASYNC__FRAMES_2(a, b) (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_1(b))
#define ASYNC__FRAMES_3(a, ...)                                              \
    (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_2(__VA_ARGS__))
#define ASYNC__FRAMES_4(a, ...)                                              \
    (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_3(__VA_ARGS__))
#define ASYNC__FRAMES_5(a, ...)                                              \
    (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_4(__VA_ARGS__))
#define ASYNC__FRAMES_6(a, ...)                                              \
    (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_5(__VA_ARGS__))
#define ASYNC__FRAMES_7(a, ...)                                              \
    (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_6(__VA_ARGS__))
#define ASYNC__FRAMES_8(a, ...)                                              \
    (ASYNC__FRAMES_1(a) + ASYNC__FRAMES_7(__VA_ARGS__))

#ifndef ASYNC_STATIC_ONLY
/* --- gather -------------------------------------------------------------- */

typedef struct async__member {
    async_node node;
    async_future *future;
    async_gathering *gathering;
} async__member;
enum { ASYNC__FOUR = 4 };

struct async_gathering {
    async_operation outer; /* must be first */
    async__member **children; /* by fours, which stay where they are */
    uint32_t count, room, different, finished;
    int error; /* of async_gather_add() */
    unsigned char started, returns_errors, cancel_requested;
    unsigned char given;    /* a child is not a task made for this */
    unsigned char in_order; /* see async__gather_counts() */
};

void *async__gathered(const async_gathering *gathering, size_t index,
                      async_function *name);
/* What is not so for most children: that it begins anew, or begins at all, that
 * there is no room, or that the child is a future.  Returns 0, or why the child
 * cannot be added. */
int async__gather_prepare(async_gathering *gathering, async_future *future,
                          async_function *start);
static inline async__member *async__child_of(const async_gathering *gathering,
                                             size_t index)
{
    return &gathering->children[index / ASYNC__FOUR][index % ASYNC__FOUR];
}
static ASYNC__INLINE int async_gather_add(async_gathering *gathering,
                                          async_object object)
{
    async_future *future = (async_future *)object.future;
    async__member *child;
    int error;
    if (ASYNC__UNLIKELY(gathering->count == gathering->room ||
                        gathering->started || future != NULL)) {
        error = async__gather_prepare(gathering, future, object.start);
        if (error) return error;
    }
    if (future != NULL) {
        future->shares++;
        gathering->given = 1;
    } else {
        async_loop *loop = gathering->outer.future.loop;
        async_task *task = async__create_task(loop, &object);
        if (ASYNC__UNLIKELY(task == NULL))
            return gathering->error = async_last_error();
        future = &task->future;
        /* A child that starts eagerly may have added others. */
        if (ASYNC__UNLIKELY(loop->factory != NULL)) {
            error = async__gather_prepare(gathering, future, object.start);
            if (error) {
                async_task_release(task);
                return error;
            }
        }
    }
    child = async__child_of(gathering, gathering->count++);
    child->node.link.prev = NULL;
    child->future = future;
    child->gathering = gathering;
    return 0;
}
int async__gather_each(async_gathering *gathering, int count, ...);

#define ASYNC__AWAIT_GATHER(gathering_, ...)                                  \
    do {                                                                      \
        if (async__gather_each((gathering_), ASYNC__COUNT(__VA_ARGS__),       \
                               __VA_ARGS__) == ASYNC_EBUSY)                   \
            ASYNC__RAISE(ASYNC_EBUSY);                                        \
        ASYNC__AWAIT(async_gather, (gathering_), );                           \
    } while (0)

#endif

#ifndef ASYNC_NO_CANCEL
/* --- limits -------------------------------------------------------------- */

/* Cancels the task at a deadline, and turns exactly that cancellation into a
 * timeout. */
struct async_timeout {
    async__timer timer; /* must be first; its deadline holds if unarmed, too */
    async_task *task;
    uint16_t requests;   /* the task's, on entry */
    unsigned char state; /* ASYNC__CREATED .. */
    unsigned char place; /* of the timer: NOWHERE, IN_READY, IN_TIMERS */
};
enum {
    ASYNC__CREATED,
    ASYNC__ENTERED,
    ASYNC__EXPIRING,
    ASYNC__EXPIRED,
    ASYNC__EXITED
};

/* Enters a block: 0, or raised. */
int async__timeout_enter(async_timeout *timeout, async *co,
                         async_duration delay);
int async__timeout_enter_at(async_timeout *timeout, async *co,
                            async_time when);
/* Leaves it; whether `error`, on its way out, is a timeout. */
int async__timeout_leave(async_timeout *timeout, int error);

static inline async_time async_timeout_when(const async_timeout *timeout)
{
    return timeout->timer.deadline;
}
static inline int async_timeout_expired(const async_timeout *timeout)
{
    return timeout->state == ASYNC__EXPIRING ||
           timeout->state == ASYNC__EXPIRED;
}

/* Label 1 is the way in and, with an error or a pseudo-error, the way out; 3
 * stands behind. */
#define ASYNC__TIMEOUT(timeout_, enter, until)                                \
    {                                                                         \
        ASYNC__BLOCK(TIMEOUT)                                                 \
        ASYNC__ONE_A_LINE                                                     \
        if (enter((timeout_), co, (until))) ASYNC__FAIL;                      \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            if (async__timeout_leave((timeout_), co->error)) {                \
                async__raised_while(co, ASYNC_ETIMEDOUT, 1);                  \
                ASYNC__FAIL;                                                  \
            }                                                                 \
            ASYNC__BLOCK_BODY

struct async_wait_for {
    ASYNC_RETURNS(void *); /* the frame, or the future, of what was awaited */
    async_object object;
    async_duration timeout;
    int error, late;
    async_task *made;
    async_timeout limit;
};
ASYNC(async_wait_for);

#define ASYNC__AWAIT_WAIT_FOR(timeout_, ...)                                  \
    ASYNC__AWAIT(async_wait_for, ASYNC_CO(__VA_ARGS__), (timeout_), )
#define ASYNC__AWAIT_WAIT_FOR_INTO(place, timeout_, name, ...)                \
    do {                                                                      \
        ASYNC__ASSERT(ASYNC__KIND(name) == 2,                                 \
                      "this coroutine returns nothing: declare its frame "    \
                      "with ASYNC_RETURNS(type)");                            \
        ASYNC__CALL_WITH_ROOM(ASYNC__FRAMES_1(name), async_wait_for,          \
                              ASYNC__CO(name, __VA_ARGS__), (timeout_), )     \
        ASYNC__CHECK;                                                         \
        (place) = ((struct name *)((struct async_wait_for *)co->sp)           \
                       ->frame.result)->frame.result;                         \
    } while (0)

struct async_shield {
    ASYNC_FRAME;
    async_object object;
    async_task *made;
    async_future outer;
    async_node inner_done;
};
ASYNC(async_shield);

/* Waits until a future is done, whatever it comes to, and leaves it alone when
 * cancelled. */
struct async__until_done {
    ASYNC_FRAME;
    async_future *future;
    async_future waiter;
    async_node done;
};
ASYNC(async__until_done);
#endif

/* --- wait ---------------------------------------------------------------- */

struct async_waited {
    async_future *future;
    int done;
    async_node node; /* the rest is private */
    void *owner;     /* who waits: struct async_wait, async_as_completed */
};

struct async_wait {
    ASYNC_RETURNS(size_t);
    async_waited *items;
    size_t count;
    async_duration timeout;
    int return_when;
    int error;
    size_t left;
    async_future waiter;
    async__timer timer;
};

struct async_as_completed {
    ASYNC_YIELDS(async_future *);
    async_waited *items;
    size_t count;
    async_duration timeout;
    size_t left;      /* to be yielded */
    async_link ended; /* items by their nodes, not yet yielded */
    async_future waiter;
    async__timer timer;
    int error;
};

#ifndef ASYNC_STATIC_ONLY
/* --- running ------------------------------------------------------------- */

int async__run_task_into(async_loop *loop, async_object object, void *result,
                         size_t offset, size_t size);
int async__run_on_into(async_loop *loop, async_object object, void *result,
                       size_t offset, size_t size);
int async__runner_run_into(async_runner *runner, async_object object,
                           void *result, size_t offset, size_t size);
struct async_runner {
    async_loop *loop;
    async_context context;
};
static inline async_loop *async_runner_get_loop(const async_runner *runner)
{
    return runner->loop;
}
#define ASYNC__RUN_INTO(function, place, loop, name, ...)                     \
    function((loop), ASYNC__CO(name, __VA_ARGS__),                            \
             ASYNC__PLACE(place, name),                                       \
             offsetof(struct name, frame.result), sizeof(place))
#endif

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_TASK_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_TASK_IMPLEMENTED)
#define CAESURA_TASK_IMPLEMENTED

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

#ifndef ASYNC_STATIC_ONLY
#if ASYNC_HOSTED
static __thread int async__error_of_last_call;
#else
static int async__error_of_last_call;
#endif

int async_last_error(void)
{
    return async__error_of_last_call;
}
#endif

/* --- life of a task ------------------------------------------------------ */

static async_task *async__task_of(const async *co)
{
    return (async_task *)async__owner(co);
}

#ifdef ASYNC_STATIC_ONLY
/* The storage's own share is there until it is used again. */
async_link *async__task_ended(async *co, int alone)
{
    async_task *task = async__task_of(co);
    int error = co->error, unheard;
    (void)alone;
    async__unlink(&task->all);
#ifndef ASYNC_NO_CANCEL
    if (async__deliver_cancel != NULL && co->flags & ASYNC__MUST_CANCEL &&
        error == 0)
        error = ASYNC_ECANCELED;
#endif
    task->future.shares--;
    unheard = async__list_empty(&task->future.waiters);
    async__finish(&task->future,
                  error == ASYNC_ECANCELED ? ASYNC__CANCELLED
                                           : ASYNC__FINISHED,
                  error);
    if (task->future.shares == 1 && unheard)
        ASYNC__CALL_HOOK(async__report_task, &task->future);
    return NULL;
}

const char *async__task_stack(const async *co)
{
    return (const char *)(async__task_of(co) + 1);
}

const async *async__task_coroutine(const async_future *future)
{
    return ((const async_task *)(const void *)future)->co;
}

const char *async__task_name(const async_future *future, char *buffer,
                             size_t size)
{
    (void)buffer, (void)size;
#ifdef ASYNC_NO_NAMES
    (void)future;
    return "";
#else
    return async_task_get_name((const async_task *)(const void *)future);
#endif
}

/* All but the frame itself, which stands first on the stack.  An error that
 * nobody has taken is told when the storage is used again. */
int async__task_place(async_task *task, size_t size, async_loop *loop,
                      size_t frame)
{
    async *co = task->co;
    char *stack = (char *)(task + 1);
    async_future *future = &task->future;
    ASYNC__CHECK_LOOP(loop, "async_task_start");
    if (future->loop != NULL) {
        if (future->state == ASYNC__PENDING || future->shares > 1)
            return ASYNC_EBUSY;
        ASYNC__CALL_HOOK(async__report_task, future);
    }
    memset(task, 0, sizeof *task);
    async__paint(stack, size);
    co->node.run = async__step;
    co->top = (async_frame *)(void *)stack;
    co->sp = stack + async__round(frame, ASYNC__ALIGNMENT);
    co->end = stack + size / ASYNC__ALIGNMENT * ASYNC__ALIGNMENT;
    co->flags = ASYNC__IS_TASK;
    future->loop = loop;
    future->kind = ASYNC__TASK;
    future->shares = 2; /* one is the storage's */
    async__list_append(&loop->tasks, &task->all);
    async__ready(loop, &co->node);
    return 0;
}

int async__task_start(async_task *task, async *co, void *stack, size_t size,
                      async_loop *loop, async_object object)
{
    int error;
    (void)co;
    if (object.start == NULL) return ASYNC_EINVAL;
    if (object.size > size) return ASYNC_ENOMEM;
    error = async__task_place(task, size, loop, object.size);
    if (error) return error;
    memcpy(stack, object.frame, object.size);
    ((async_frame *)stack)->resume = object.start;
    return 0;
}

#else
/* async_run waits for the tasks that it has cancelled; see below. */
typedef struct async__departure {
    async_link ended;
    uint32_t left;
    async_handle handle;
} async__departure;
static void async__departed(async_loop *loop, async_task *task);

static int async__gather_counts(async_link *waiter);
static void async__gather_waits(async_future *future);

/* Ends with an error, or cancelled in its last step, or awaited by async_run,
 * or with values of context variables. */
static ASYNC__COLD void async__task_failed(async_task *task)
{
    async *co = task->co;
    int error = co->error;
    if (co->flags & ASYNC__MUST_CANCEL) {
        /* Asked for in its last step: too late for an error, but what it
         * returned is lost. */
        co->flags &= ~ASYNC__MUST_CANCEL;
        co->node.run = async__step;
        if (error == 0) error = ASYNC_ECANCELED;
    }
    if (task->special & ASYNC__IS_DEPARTING)
        async__departed(task->future.loop, task);
    if (task->special & ASYNC__HAS_CONTEXT)
        async__bindings_release(task->context.own.bindings);
    task->special = 0;
    async__gather_waits(&task->future);
    async__finish(&task->future,
                  error == ASYNC_ECANCELED ? ASYNC__CANCELLED
                                           : ASYNC__FINISHED,
                  error);
    async__unshare(&task->future);
}

/* Returns what this has woken, if `alone` and it is one thing: it then stands
 * in no queue, for the loop to run it next. */
async_link *async__task_ended(async *co, int alone)
{
    async_task *task = async__task_of(co);
    async_link *woken = NULL, *waiter;
    task->all.next->prev = task->all.prev;
    task->all.prev->next = task->all.next;
    if (ASYNC__UNLIKELY((co->error | (co->flags & ASYNC__MUST_CANCEL) |
                         task->special) != 0)) {
        async__task_failed(task);
        return NULL;
    }
    task->future.state = ASYNC__FINISHED;
    waiter = task->future.waiters.next;
    if (waiter != NULL && waiter != &task->future.waiters) {
        if (waiter != task->future.waiters.prev) {
            async__gather_waits(&task->future);
            async__wake(task->future.loop, &task->future);
        } else if (alone) {
            woken = waiter;
            woken->next = NULL;
        } else if (!async__gather_counts(waiter)) {
            async__wake(task->future.loop, &task->future);
        }
    }
    async__unshare(&task->future);
    return woken;
}

static void *async__task_block(async_loop *loop)
{
#ifndef ASYNC_NO_POOL
    return async__pool_take(loop, ASYNC__POOL_TASKS);
#else
    return async__allocate_large(loop, ASYNC__TASK_BLOCK);
#endif
}
static void async__task_block_release(async_loop *loop, void *memory)
{
#ifndef ASYNC_NO_POOL
    async__pool_give(loop, ASYNC__POOL_TASKS, memory);
#else
    async__release_large(loop, memory, ASYNC__TASK_BLOCK);
#endif
}

/* Keeps its blocks for the next task of that size. */
static inline void async__task_keep(async_task *task)
{
    async_link **gone = &task->future.loop->gone[task->heap - ASYNC__KEEP];
    uint16_t first;
    task->future.loop->tasks_gone++;
    task->all.next = *gone;
    *gone = &task->all;
    /* Paint for the next one, if this one has left traces. */
    memcpy(&first, task + 1, sizeof first);
    if (first != ASYNC__PAINT * 0x101u)
        async__paint(task + 1, ASYNC__TASK_STACK);
}

static ASYNC__COLD void async__task_unkept(async_task *task)
{
    async_future *future = &task->future;
    async_loop *loop = future->loop;
    if (future->error != 0 && future->state == ASYNC__FINISHED &&
        !(future->kind & ASYNC__RETRIEVED)) {
        future->kind |= ASYNC__RETRIEVED;
        future->shares = 1; /* the handler may look at it */
        async__report(loop, "Task exception was never retrieved",
                      future->error, future, NULL);
        async__unshare(future);
    } else if (task->heap >= ASYNC__KEEP) {
        async__task_keep(task);
    } else if (task->heap != ASYNC__STATIC) {
        loop->tasks_gone++;
        async__release(loop, task->co, task->first);
        async__task_block_release(loop, task);
    }
}

void async__task_unshared(async_future *future)
{
    async_task *task = (async_task *)(void *)future;
    if (ASYNC__LIKELY(future->error == 0 && task->heap >= ASYNC__KEEP))
        async__task_keep(task);
    else
        async__task_unkept(task);
}

size_t async_loop_count_tasks(const async_loop *loop)
{
    return loop->tasks_made - loop->tasks_gone;
}

const char *async__task_stack_start(const async *co)
{
    if (co->flags & ASYNC__IS_HEAP)
        return (const char *)(async__task_of(co) + 1);
    return (const char *)(co + 1); /* ASYNC_TASK_STORAGE */
}

const async *async__task_coroutine(const async_future *future)
{
    return ((const async_task *)(const void *)future)->co;
}

const char *async__task_name(const async_future *future, char *buffer,
                             size_t size)
{
    const async_task *task = (const async_task *)(const void *)future;
    if (task->named) return (const char *)task->name;
#if ASYNC_HOSTED
    snprintf(buffer, size, "Task-%u", (unsigned)task->name);
#else
    if (size > 0) *buffer = '\0';
#endif
    return buffer;
}

static ASYNC__COLD void async__task_inherit(async_task *task)
{
    async__binding *bindings = async__bindings_now(task->future.loop);
    if (bindings == NULL) return;
    task->context.own.bindings = bindings;
    task->special |= ASYNC__HAS_CONTEXT;
}

async_context *async__task_context(async *co)
{
    async_task *task = async__task_of(co);
    if (task->special & ASYNC__GIVEN_CONTEXT) return task->context.given;
    if (!(task->special & ASYNC__HAS_CONTEXT)) {
        task->special |= ASYNC__HAS_CONTEXT;
        task->context.own.bindings = NULL;
    }
    return &task->context.own;
}

/* What heap and static tasks have in common. */
static inline void async__task_enter(async_task *task, async *co,
                                     async_loop *loop, uint32_t shares)
{
    task->future.waiters.next = NULL;
    task->future.error = 0;
    task->future.state = ASYNC__PENDING;
    task->future.kind = ASYNC__TASK;
    task->future.shares = shares;
    task->name = ++loop->tasks_made;
    task->named = 0;
    task->requests = 0;
    task->special = 0;
    async__list_join(&loop->tasks, loop->tasks.prev, &task->all);
    if (ASYNC__UNLIKELY(loop->contexts)) async__task_inherit(task);
#ifdef ASYNC_DEBUG
    if (loop->onlooker != NULL) loop->onlooker->made(loop, task);
#endif
    if (ASYNC__LIKELY(loop->factory == NULL)) async__ready(loop, &co->node);
}

/* A task on the heap, in blocks that were another's, which has left co->top
 * and its node as they must be; or in new ones, where they have been set. */
void async__task_begin(async_task *task, async *co, async_loop *loop)
{
    co->sp = (char *)(task + 1);
    co->error = 0;
    co->flags = ASYNC__IS_TASK | ASYNC__IS_HEAP;
    co->peak = 0;
    async__task_enter(task, co, loop, 2);
}

void async__never_awaited(async_loop *loop, async_function *start, int why)
{
    async_exception_context context;
    async__error_of_last_call = why;
    memset(&context, 0, sizeof context);
    context.message = "a coroutine was never awaited";
    context.error = why;
    if (start != NULL) context.name = async__name_of(start);
#ifdef ASYNC_DEBUG
    context.file = async__made_at.file;
    context.line = async__made_at.line;
#endif
    if (loop != NULL)
        async_loop_call_exception_handler(loop, &context);
    else
        async_loop_default_exception_handler(NULL, &context, NULL);
}

async_task *async__task_make_slow(async_loop *loop, async_function *start,
                                  size_t size, size_t alignment,
                                  async_frame **first)
{
    async_task *task = NULL;
    async *co = NULL;
    size_t block = sizeof(async) + size;
    int why = ASYNC_ENOLOOP;
    if (loop != NULL) {
        why = loop->closed ? (int)ASYNC_ELOOPCLOSED
              : size == 0  ? (int)ASYNC_EINVAL
                           : (int)ASYNC_ENOMEM;
        if (alignment > ASYNC__ALIGNMENT) block += alignment;
        if (why == ASYNC_ENOMEM)
            task = (async_task *)async__task_block(loop);
        if (task != NULL) {
            co = (async *)async__allocate(loop, block);
            if (co == NULL) async__task_block_release(loop, task);
        }
    }
    if (co == NULL) {
        async__never_awaited(loop, start, why);
        return NULL;
    }
    task->co = co;
    task->first = (uint32_t)block;
    task->heap = ASYNC__FREE;
#ifndef ASYNC_NO_POOL
    if (alignment <= ASYNC__ALIGNMENT && block <= ASYNC__POOL_LIMIT)
        task->heap = ASYNC__KEEP + ASYNC__POOL_CLASS(block);
#endif
    co->end = (char *)task + ASYNC__TASK_BLOCK;
    co->wait.future = NULL;
    task->future.loop = loop;
    async__paint(task + 1, ASYNC__TASK_STACK);
    *first = (async_frame *)async__round((uintptr_t)(co + 1), alignment);
    co->top = *first;
    co->node.run = async__step;
    async__task_begin(task, co, loop);
    return task;
}

/* Runs the first step where the task is made. */
static void async__start_eagerly(async_loop *loop, async *co)
{
    async *current = loop->current;
    async_context *context = loop->context;
    loop->current = co;
    loop->context = NULL;
    async__settle(co, async__resume(co));
    loop->current = current;
    loop->context = context;
}

/* Asks the factory, and starts it or puts it in the ready queue. */
static void async__task_begin_made(async_task *task, int eagerly)
{
    async_loop *loop = task->future.loop;
    if (loop->factory != NULL &&
        loop->factory(loop, task, loop->factory_argument) ==
            ASYNC_START_EAGERLY)
        eagerly = 1;
    if (eagerly && async__running == loop)
        async__start_eagerly(loop, task->co);
    else
        async__ready(loop, &task->co->node);
}

void async__task_made(async_task *task)
{
    async__task_begin_made(task, 0);
}

int async_eager_task_factory(async_loop *loop, async_task *task,
                             void *argument)
{
    (void)loop, (void)task, (void)argument;
    return ASYNC_START_EAGERLY;
}

/* With a context, and eagerly, if that is asked for. */
async_task *async__create(async_loop *loop, async_object object,
                          async_context *context, int eagerly)
{
    int (*factory)(async_loop *, async_task *, void *);
    async_frame *first;
    async_task *task;
    ASYNC__PLACE_NEXT(object.file, object.line);
    async__object_taken(&object);
    if (loop == NULL) {
        async__never_awaited(NULL, object.start, ASYNC_ENOLOOP);
        return NULL;
    }
    factory = loop->factory;
    loop->factory = async_eager_task_factory; /* so that it is not queued */
    task = async__task_make(loop, object.start, object.size, object.alignment,
                            &first);
    loop->factory = factory;
    if (task == NULL) return NULL;
    async__copy_frame(first, &object);
    if (context != NULL) {
        if (task->special & ASYNC__HAS_CONTEXT)
            async__bindings_release(task->context.own.bindings);
        task->special = ASYNC__GIVEN_CONTEXT;
        task->context.given = context;
        loop->contexts = 1;
    }
    async__task_begin_made(task, eagerly);
    async__kick(loop);
    return task;
}

async_task *async_create_eager_task(async_object object)
{
    return async__create(async__running, object, NULL, 1);
}

int async__task_start(async_task *task, async *co, void *stack, size_t size,
                      async_loop *loop, async_object object)
{
    int error;
    if (task->co != NULL &&
        (task->future.state == ASYNC__PENDING || task->future.shares > 1))
        return ASYNC_EBUSY;
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    if (task->co != NULL) {
        task->future.loop = loop; /* that of its last run may be gone */
        async__unshare(&task->future);
        task->co = NULL;
    }
    error = async__lay(co, stack, size, object);
    if (error) return error;
    co->node.run = async__step;
    co->flags = ASYNC__IS_TASK;
    memcpy(co->end, &task, sizeof task); /* see async__owner() */
    co->wait.future = NULL;
    task->co = co;
    task->heap = ASYNC__STATIC;
    task->first = 0;
    task->future.loop = loop;
    loop->tasks_gone++;
    async__task_enter(task, co, loop, 2); /* one is the storage's */
    async__made(task);
    async__kick(loop);
    return 0;
}

void async__spawn_failed(async *co)
{
    async__raised(co, async__error_of_last_call);
}

static int async__is_gather(const async_future *future);
static void async__gather_let_go(async_gathering *gathering);

/* Whether it stands for something outside, which uses its memory: not one that
 * could be cancelled at once, nor a gather, unless one of its children does. */
static int async__in_flight(const async_future *future)
{
    const async_operation *operation =
        (const async_operation *)(const void *)future;
    const async_gathering *gathering =
        (const async_gathering *)(const void *)future;
    uint32_t i;
    if ((future->kind & ASYNC__KIND_MASK) != ASYNC__OPERATION ||
        future->state != ASYNC__PENDING || future->kind & ASYNC__INSIDE ||
        operation->cancel == async_operation_cancelled)
        return 0;
    if (!async__is_gather(future)) return 1;
    for (i = 0; i < gathering->count; i++)
        if (async__in_flight(async__child_of(gathering, i)->future)) return 1;
    return 0;
}

/* Whether some task waits for what goes on outside. */
static int async__operations_in_flight(const async_loop *loop)
{
    async_task *task = NULL;
    while ((task = async_all_tasks(loop, task)) != NULL) {
        const async_future *future =
            (const async_future *)task->co->wait.future;
        if (!(task->co->flags & ASYNC__IS_SLEEPING) && future != NULL &&
            async__in_flight(future))
            return 1;
    }
    return 0;
}

/* Ends a task that will not end by itself: what it had still to clean up is
 * lost.  Its frames stay: others may be linked with what is in them. */
static void async__abandon(async_task *task)
{
    async *co = task->co;
    async_future *future = (async_future *)co->wait.future;
    if (co->flags & ASYNC__IS_SLEEPING) {
        co->flags &= ~ASYNC__IS_SLEEPING;
        co->wait.future = NULL;
        async__unlink(&co->node.link);
    } else if (future != NULL) {
        int selects = future->kind & ASYNC__SELECTS;
        if (future->state == ASYNC__PENDING) async__unlink(&co->node.link);
        async__drop(co);
        if (async__is_gather(future))
            async__gather_let_go((async_gathering *)(void *)future);
        else if (selects)
            async__gather_let_go((async_gathering *)(void *)future - 1);
    }
    co->top = NULL;
    co->error = ASYNC_ECANCELED;
    async__task_ended(co, 0);
}

void async__tasks_close(async_loop *loop)
{
    async_task *task = NULL;
    while ((task = async_all_tasks(loop, task)) != NULL) {
        async__report(loop, "Task was destroyed but it is pending!", 0,
                      &task->future, NULL);
        async_task_cancel(task);
    }
    while (!async__list_empty(&loop->tasks)) {
        async_time deadline = ASYNC_NO_WAIT;
        if (loop->tail == &loop->ready) {
            if (!async__operations_in_flight(loop)) break;
            deadline = ASYNC_FOREVER;
        }
        if (loop->backend->poll(loop, deadline) != 0) break;
        async__turn(loop, 1);
    }
}

/* Ends those that are left, and empties the loop. */
void async__tasks_drop(async_loop *loop)
{
    async_link dropped;
    async_task *task;
    async__list_init(&dropped);
    while ((task = async_all_tasks(loop, NULL)) != NULL) {
        task->future.shares++;
        async__abandon(task);
        async__list_append(&dropped, &task->all);
    }
    async__discard(loop);
    while (!async__list_empty(&dropped)) {
        task = async__task_of_link(dropped.next);
        async__unlink(&task->all);
#ifndef ASYNC_NO_HEAP
        while (task->co->flags & ASYNC__IN_CHUNK) async__close_chunk(task->co);
#endif
        async__unshare(&task->future);
    }
}
#endif

/* --- state and names ----------------------------------------------------- */

#ifdef ASYNC_STATIC_ONLY
#ifndef ASYNC_NO_NAMES
const char *async_task_get_name(const async_task *task)
{
    return task->name != NULL ? task->name : "";
}

void async_task_set_name(async_task *task, const char *name)
{
    task->name = name;
}
#endif
#else
const char *async_task_get_name(const async_task *task)
{
#if ASYNC_HOSTED
    static __thread char names[4][24];
    static __thread unsigned turn;
    return async__task_name(&task->future, names[turn++ % 4],
                            sizeof names[0]);
#else
    return task->named ? (const char *)task->name : "";
#endif
}

void async_task_set_name(async_task *task, const char *name)
{
    task->name = (uintptr_t)name;
    task->named = 1;
}
#endif

async_task *async_current_task(void)
{
    if (async__running == NULL || async__running->current == NULL) return NULL;
    return async__task_of(async__running->current);
}

async_task *async_all_tasks(const async_loop *loop, const async_task *previous)
{
    const async_link *link =
        previous != NULL ? previous->all.next : loop->tasks.next;
    if (link == &loop->tasks) return NULL;
    return async__task_of_link((async_link *)(uintptr_t)link);
}

/* The first frame of a task on the heap lies outside its stack. */
static size_t async__first_frame(const async_task *task)
{
#ifdef ASYNC_STATIC_ONLY
    (void)task;
    return 0;
#else
    return task->heap ? task->first - sizeof(async) : 0;
#endif
}

size_t async_task_stack_used(const async_task *task)
{
    return async_stack_used(task->co) + async__first_frame(task);
}

size_t async_task_stack_high_water(const async_task *task)
{
    return async_stack_high_water(task->co) + async__first_frame(task);
}

#ifndef ASYNC_NO_CANCEL
/* --- cancellation -------------------------------------------------------- */

#ifdef ASYNC_STATIC_ONLY
/* A task that cancelled itself has suspended since. */
static void async__cancel_suspended(async *co)
{
    if (!async__cancel_wait(co)) return;
    co->flags &= (uint8_t)~ASYNC__MUST_CANCEL;
    co->node.run = async__step;
}
#endif

int async__task_cancel(async_future *future)
{
    async_task *task = (async_task *)(void *)future;
    async *co = task->co;
#ifndef ASYNC_STATIC_ONLY
    int taken;
#endif
    ASYNC__CHECK_LOOP(future->loop, "async_task_cancel");
    if (future->state != ASYNC__PENDING) {
        future->kind |= ASYNC__RETRIEVED;
        return 0;
    }
#ifndef ASYNC_STATIC_ONLY
    if (co->flags & ASYNC__IS_CANCELLING) {
        /* What it waits for waits for itself: the circle is broken here, or
         * nobody in it would ever run. */
        async_future *wait = (async_future *)co->wait.future;
        if (wait->state == ASYNC__PENDING) async__unlink(&co->node.link);
        async__unshare(wait);
        co->wait.future = NULL;
        async__throw_soon(co, ASYNC_ECANCELED);
        return 1;
    }
    task->requests++;
    co->flags |= ASYNC__IS_CANCELLING;
    taken = async__cancel_wait(co);
    co->flags &= (uint8_t)~ASYNC__IS_CANCELLING;
    if (taken) return 1;
#else
    task->requests++;
    if (async__cancel_wait(co)) return 1;
#endif
    /* It runs, or stands in the queue, or what it waits for is done: raised
     * when it runs next. */
    async__must_cancel(co);
#ifdef ASYNC_STATIC_ONLY
    ASYNC__SET_HOOK(async__deliver_cancel, async__cancel_suspended);
#endif
    return 1;
}

int async_task_uncancel(async_task *task)
{
    if (task->requests > 0 && --task->requests == 0)
        task->co->flags &= ~ASYNC__MUST_CANCEL;
    return task->requests;
}
#endif

/* --- sleep --------------------------------------------------------------- */

#ifdef ASYNC_STATIC_ONLY
/* `frame`, of the coroutine that sleeps, goes on at `state`. */
async_status async__sleep_here(async *co, async_frame *frame,
                               async__state state, async_duration delay)
{
    frame->state = state;
    co->top = frame;
    if (delay <= 0) return async__status(ASYNC__PAUSED);
    if (!(co->flags & ASYNC__IS_TASK)) {
        async__raised(co, ASYNC_ENOTASK);
        return async__status(ASYNC__ENDED);
    }
    co->flags |= ASYNC__IS_SLEEPING;
    if (delay == ASYNC_FOREVER) {
        async__list_init(&co->node.link); /* a list by itself */
    } else {
        async_loop *loop = async__loop_of_task(co);
        async__arm(loop, (async__timer *)(void *)&co->node,
                   async__now(loop) + (async_time)delay);
    }
    return async__status(ASYNC__WAITING);
}

ASYNC(async_sleep)
{
    struct async_sleep *const self =
        (struct async_sleep *)async__frame_of_async_sleep;
    async_frame *const frame = &self->frame.is.head;
#ifndef ASYNC_NO_NAMES
    static const async_info info = ASYNC__INFO(async_sleep);
    if (frame->state == ASYNC__WHO) return async__elsewhere(co, frame, &info);
#endif
    if (frame->state != 0) return async__status(ASYNC__ENDED);
    return async__sleep_here(co, frame, ASYNC__AT(0), self->delay);
}
#else
ASYNC(async_sleep)
{
    ASYNC_BEGIN(async_sleep);
    if (self->delay <= 0) {
        ASYNC_SUSPEND;
    } else {
        if (!(co->flags & ASYNC__IS_TASK)) ASYNC_RAISE(ASYNC_ENOTASK);
        async__sleep(co, self->delay);
        ASYNC__SUSPEND(ASYNC__WAITING);
    }
    ASYNC_END;
}
#endif

#ifndef ASYNC_STATIC_ONLY
/* --- gather -------------------------------------------------------------- */

static int async__gather_cancel(async_operation *operation)
{
    async_gathering *gathering = (async_gathering *)(void *)operation;
    uint32_t i;
    int taken = 0;
    for (i = 0; i < gathering->count; i++)
        if (async_future_cancel(async__child_of(gathering, i)->future))
            taken = 1;
    if (taken) gathering->cancel_requested = 1;
    return taken;
}

static void async__gather_fail(async_gathering *gathering, int error)
{
    async__finish(&gathering->outer.future, ASYNC__FINISHED, error);
}

static void async__child_done(async_node *node)
{
    async__member *child = (async__member *)(void *)node;
    async_gathering *gathering = child->gathering;
    async_future *future = child->future, *outer = &gathering->outer.future;
    node->link.prev = NULL;
    gathering->finished++;
    if (outer->state != ASYNC__PENDING) return;
    if (future->error != 0 && !gathering->returns_errors) {
        if ((future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
            gathering->outer.from = async__task_coroutine(future);
        async__gather_fail(gathering, future->error);
    } else if (gathering->finished == gathering->different) {
        async__gather_fail(gathering, gathering->cancel_requested
                                          ? (int)ASYNC_ECANCELED
                                          : 0);
    }
}

/* Whether a child that has ended need not tell so by a callback.  What can be
 * seen of the callbacks is when the last one runs, and those of errors.  So a
 * child made for the gathering is counted where it ends, unless it is the last,
 * or the callback of another one is queued. */
static int async__gather_counts(async_link *waiter)
{
    async__member *child = (async__member *)(void *)waiter;
    async_gathering *gathering;
    if (child->node.run != async__child_done) return 0;
    gathering = child->gathering;
    if (!gathering->in_order ||
        gathering->finished + 1 == gathering->different)
        return 0;
    child->node.link.prev = NULL;
    gathering->finished++;
    return 1;
}

/* This future's waiters are going to be queued. */
static ASYNC__COLD void async__gather_waits(async_future *future)
{
    async_link *link = future->waiters.next;
    for (; link != NULL && link != &future->waiters; link = link->next) {
        async__member *child = (async__member *)(void *)link;
        if (child->node.run == async__child_done)
            child->gathering->in_order = 0;
    }
}

static int async__is_gather(const async_future *future)
{
    return (future->kind & ASYNC__KIND_MASK) == ASYNC__OPERATION &&
           ((const async_operation *)(const void *)future)->cancel ==
               async__gather_cancel;
}

/* How many fours the table has a place for, when it has so many. */
static uint32_t async__gather_places(uint32_t fours)
{
    uint32_t places = 4;
    while (places < fours) places *= 2;
    return places;
}

/* Lets go of the children, wherever they stand. */
static void async__gather_let_go(async_gathering *gathering)
{
    async_loop *loop = gathering->outer.future.loop;
    uint32_t i, fours = gathering->room / ASYNC__FOUR;
    for (i = 0; i < gathering->count; i++) {
        async__member *child = async__child_of(gathering, i);
        async_future *future = child->future;
        if (child->node.link.prev != NULL) {
            if (future->state == ASYNC__PENDING)
                async__unlink(&child->node.link);
            else
                async__unready(loop, &child->node);
        }
        /* asyncio's gather takes the errors, also of those that end later;
         * one that returns errors does when all have ended. */
        if (gathering->started &&
            (!gathering->returns_errors || future->state == ASYNC__PENDING ||
             gathering->outer.future.state != ASYNC__PENDING))
            future->kind |= ASYNC__RETRIEVED;
        async__unshare(future);
    }
    for (i = 0; i < fours; i++)
        async__release(loop, gathering->children[i],
                       ASYNC__FOUR * sizeof(async__member));
    if (fours > 0)
        async__release(loop, gathering->children,
                       async__gather_places(fours) *
                           sizeof *gathering->children);
    gathering->children = NULL;
    gathering->count = gathering->room = 0;
}

void async_gather_clear(async_gathering *gathering)
{
    async__gather_let_go(gathering);
    /* Who still waits for it is told; so is an error that nobody took. */
    if (gathering->started && (gathering->outer.future.shares == 0 ||
                               !async_future_done(&gathering->outer.future)))
        async_future_destroy(&gathering->outer.future);
    memset(gathering, 0, sizeof *gathering);
}

/* Room for four more.  The table of them is doubled when it is full. */
static int async__gather_grow(async_gathering *gathering, async_loop *loop)
{
    uint32_t fours = gathering->room / ASYNC__FOUR;
    async__member *four = (async__member *)async__allocate(
        loop, ASYNC__FOUR * sizeof(async__member));
    if (four == NULL) return 0;
    if (fours == 0 || (fours >= 4 && (fours & (fours - 1)) == 0)) {
        size_t size = fours * sizeof(async__member *);
        async__member **table = (async__member **)async__allocate(
            loop, fours == 0 ? 4 * sizeof(async__member *) : 2 * size);
        if (table == NULL) {
            async__release(loop, four, ASYNC__FOUR * sizeof(async__member));
            return 0;
        }
        if (fours > 0) {
            memcpy(table, gathering->children, size);
            async__release(loop, gathering->children, size);
        }
        gathering->children = table;
    }
    gathering->children[fours] = four;
    gathering->room += ASYNC__FOUR;
    return 1;
}

int async__gather_prepare(async_gathering *gathering, async_future *future,
                          async_function *start)
{
    async_future *outer = &gathering->outer.future;
    if (gathering->started) {
        if (outer->state == ASYNC__PENDING) return ASYNC_EBUSY;
        async_gather_clear(gathering);
    }
    if (outer->loop == NULL) {
        async_loop *loop = future != NULL ? future->loop : async__running;
        if (loop == NULL) {
            async__never_awaited(NULL, start, ASYNC_ENOLOOP);
            return gathering->error = ASYNC_ENOLOOP;
        }
        async_operation_init(&gathering->outer, loop, async__gather_cancel);
    }
    if (future != NULL && future->loop != outer->loop)
        return gathering->error = ASYNC_EOTHERLOOP;
    if (gathering->count == gathering->room &&
        !async__gather_grow(gathering, outer->loop)) {
        if (future == NULL)
            async__never_awaited(outer->loop, start, ASYNC_ENOMEM);
        return gathering->error = ASYNC_ENOMEM;
    }
    return 0;
}

int async__gather_each(async_gathering *gathering, int count, ...)
{
    va_list objects;
    int error = 0;
    va_start(objects, count);
    while (count-- > 0 && !error)
        error = async_gather_add(gathering, va_arg(objects, async_object));
    va_end(objects);
    return error;
}

void async_gather_return_exceptions(async_gathering *gathering)
{
    /* Adding would begin anew, and forget it. */
    if (gathering->started && gathering->outer.future.state != ASYNC__PENDING)
        async_gather_clear(gathering);
    gathering->returns_errors = 1;
}

async_future *async_gather_start(async_gathering *gathering)
{
    async_future *outer = &gathering->outer.future;
    uint32_t i;
    int done = 0;
    if (gathering->started) return outer;
    if (outer->loop == NULL)
        async_operation_init(&gathering->outer, async__running,
                             async__gather_cancel);
    gathering->started = 1;
    if (gathering->error) {
        async__gather_cancel(&gathering->outer);
        async__gather_fail(gathering, gathering->error);
        return outer;
    }
    if (gathering->count == 0) {
        async__gather_fail(gathering, 0);
        return outer;
    }
    /* A future that is there twice is waited for once. */
    for (i = 0; i < gathering->count; i++) {
        async__member *child = async__child_of(gathering, i);
        if (gathering->given) {
            if (child->future->kind & ASYNC__MARKED) continue;
            child->future->kind |= ASYNC__MARKED;
        }
        gathering->different++;
        child->node.run = async__child_done;
        if (child->future->state == ASYNC__PENDING) {
            async__list_append(&child->future->waiters, &child->node.link);
        } else {
            child->node.link.prev = &child->node.link; /* see below */
            done = 1;
        }
    }
    gathering->in_order = !done && !gathering->given;
    for (i = 0; !gathering->in_order && i < gathering->count; i++) {
        async__member *child = async__child_of(gathering, i);
        child->future->kind &= (unsigned char)~ASYNC__MARKED;
        if (child->node.link.prev == &child->node.link)
            async__child_done(&child->node);
    }
    return outer;
}

ASYNC(async_gather)
{
    ASYNC_BEGIN(async_gather);
    ASYNC__WAIT_FOR(async_gather_start(self->gathering));
    (void)async__awaited(co);
    async__drop(co);
    self->gathering->outer.future.kind |= ASYNC__RETRIEVED;
    /* The last who awaited it has nobody behind it who would ask. */
    if (co->error && self->gathering->outer.future.shares == 0)
        async_gather_clear(self->gathering);
    ASYNC__CHECK;
    ASYNC_END;
}

int async_gather_error(const async_gathering *gathering, size_t index)
{
    if (index >= gathering->count) return ASYNC_EINVAL;
    if (async__child_of(gathering, index)->future->state == ASYNC__PENDING)
        return ASYNC_ENOTREADY;
    return async__child_of(gathering, index)->future->error;
}

size_t async_gather_count(const async_gathering *gathering)
{
    return gathering->count;
}

void *async__gathered(const async_gathering *gathering, size_t index,
                      async_function *name)
{
    const char *wrong = "there is no child of that index";
    if (index < gathering->count) {
        async_future *future = async__child_of(gathering, index)->future;
        async_task *task = (async_task *)(void *)future;
        wrong = "that child is no coroutine: it has its value itself";
        if ((future->kind & ASYNC__KIND_MASK) == ASYNC__TASK) {
            wrong = "that child has no result: ask async_gather_error() first";
            if (future->state == ASYNC__FINISHED && future->error == 0) {
                async_frame *frame = task->co->top;
                if (frame->resume == name) return frame;
                wrong = "that child is another coroutine";
            }
        }
    }
    async__trap(wrong, "GATHERED", "task.h", __LINE__);
}
#endif

/* --- waiting for several -------------------------------------------------- */

/* Takes a node out of where it waits for `future`, if it still does. */
static void async__forget(async_future *future, async_node *node)
{
    if (node->link.prev == NULL) return;
    if (future->state == ASYNC__PENDING)
        async__unlink(&node->link);
    else
        async__unready(future->loop, node);
}

#ifndef ASYNC_NO_CANCEL
/* --- wait for ------------------------------------------------------------ */

static void async__timeout_expired(async_node *node)
{
    async_timeout *timeout = (async_timeout *)(void *)node;
    timeout->state = ASYNC__EXPIRING;
    timeout->place = ASYNC__NOWHERE;
    async_task_cancel(timeout->task);
}

/* As asyncio does it: what is due already needs no timer. */
static inline void async__timeout_arm(async_timeout *timeout, async_time when,
                                      async_time now)
{
    async_loop *loop = timeout->task->future.loop;
    timeout->timer.deadline = when;
    timeout->place = ASYNC__NOWHERE;
    if (when == ASYNC_FOREVER) return;
    timeout->timer.node.run = async__timeout_expired;
    if (!async_time_before(now, when)) {
        timeout->place = ASYNC__IN_READY;
        async__ready_callback(loop, &timeout->timer.node);
        async__kick(loop);
    } else {
        timeout->place = ASYNC__IN_TIMERS;
        async__arm_here(loop, &timeout->timer, when);
    }
}

static void async__timeout_disarm(async_timeout *timeout)
{
    if (timeout->place == ASYNC__IN_TIMERS)
        async__unlink(&timeout->timer.node.link);
    else if (timeout->place == ASYNC__IN_READY)
        async__unready(timeout->task->future.loop, &timeout->timer.node);
    timeout->place = ASYNC__NOWHERE;
}

static ASYNC__COLD int async__timeout_misused(async_timeout *timeout,
                                              async *co, int needs_loop)
{
    int error = ASYNC_ETIMEOUTTASK;
    if (timeout->state == ASYNC__ENTERED || timeout->state == ASYNC__EXPIRING)
        error = ASYNC_ETIMEOUTUSED;
    if (needs_loop && !(co->flags & ASYNC__IS_TASK) && async__running == NULL)
        error = ASYNC_ENOLOOP;
    async__raised(co, error);
    return -1;
}

static inline int async__timeout_begin(async_timeout *timeout, async *co,
                                       int needs_loop)
{
    async_task *task;
    if (ASYNC__UNLIKELY(!(co->flags & ASYNC__IS_TASK) ||
                        timeout->state == ASYNC__ENTERED ||
                        timeout->state == ASYNC__EXPIRING))
        return async__timeout_misused(timeout, co, needs_loop);
    timeout->task = task = async__task_of(co);
    timeout->requests = task->requests;
    timeout->state = ASYNC__ENTERED;
    return 0;
}

int async__timeout_enter(async_timeout *timeout, async *co,
                         async_duration delay)
{
    async_time now;
    if (async__timeout_begin(timeout, co, 1)) return -1;
    now = async__now(timeout->task->future.loop);
    async__timeout_arm(timeout, async__later(now, delay), now);
    return 0;
}

int async__timeout_enter_at(async_timeout *timeout, async *co, async_time when)
{
    if (async__timeout_begin(timeout, co, 0)) return -1;
    async__timeout_arm(timeout, when, async__now(timeout->task->future.loop));
    return 0;
}

int async__timeout_leave(async_timeout *timeout, int error)
{
    if (timeout->state == ASYNC__ENTERED) {
        timeout->state = ASYNC__EXITED;
        async__timeout_disarm(timeout);
    } else if (timeout->state == ASYNC__EXPIRING) {
        timeout->state = ASYNC__EXPIRED;
        /* Others may have asked for cancellation too: theirs goes on. */
        if (async_task_uncancel(timeout->task) <= (int)timeout->requests &&
            error == ASYNC_ECANCELED)
            return 1;
    }
    return 0;
}

int async_timeout_reschedule(async_timeout *timeout, async_time when)
{
    switch (timeout->state) {
    case ASYNC__CREATED: return ASYNC_ETIMEOUTNEW;
    case ASYNC__EXPIRING: return ASYNC_ETIMEOUTEXPIRING;
    case ASYNC__EXPIRED: return ASYNC_ETIMEOUTEXPIRED;
    case ASYNC__EXITED: return ASYNC_ETIMEOUTOVER;
    }
    async__timeout_disarm(timeout);
    async__timeout_arm(timeout, when, async__now(timeout->task->future.loop));
    return 0;
}

static void async__until_done_wake(async_node *node)
{
    struct async__until_done *self =
        (struct async__until_done *)(void *)((char *)node -
                                             offsetof(struct async__until_done,
                                                      done));
    node->link.prev = NULL;
    async_future_set_result(&self->waiter);
}

ASYNC(async__until_done)
{
    ASYNC_BEGIN(async__until_done);
    async_future_init(&self->waiter, self->future->loop);
    self->done.run = async__until_done_wake;
    if (async_future_done(self->future))
        async__ready_callback(self->future->loop, &self->done);
    else
        async__list_append(&self->future->waiters, &self->done.link);
    ASYNC__WAIT_FOR(&self->waiter);
    (void)async__awaited(co);
    async__drop(co);
    async__forget(self->future, &self->done);
    ASYNC__CHECK;
    ASYNC_END;
}

/* For what makes a task of an object that is a coroutine: 0, or raised. */
static int async__ensure_future(async *co, async_object *object,
                                async_task **made)
{
    if (object->future != NULL) return 0;
#ifdef ASYNC_STATIC_ONLY
    *made = NULL;
    async__raised(co, ASYNC_ENOMEM); /* there is nowhere to make a task */
    return -1;
#else
    *made = async_loop_create_task(async_loop_of(co), *object);
    if (*made == NULL) {
        async__spawn_failed(co);
        return -1;
    }
    object->future = &(*made)->future;
    return 0;
#endif
}

#ifndef ASYNC_STATIC_ONLY
/* Where the frame of a callee would be, if there is room for it. */
static void *async__room_above(const async *co, const async_object *object)
{
    char *place = (char *)async__round((uintptr_t)co->sp, object->alignment);
    if (place > co->end || (size_t)(co->end - place) < object->size)
        return NULL;
    return place;
}
#endif

ASYNC(async_wait_for)
{
    ASYNC_BEGIN(async_wait_for);
    if (!(co->flags & ASYNC__IS_TASK)) ASYNC_RAISE(ASYNC_ENOTASK);
    if (self->timeout > 0) {
        if (async__timeout_enter(&self->limit, co, self->timeout)) ASYNC__FAIL;
        ASYNC_TRY {
            if (self->object.future != NULL) {
                ASYNC_AWAIT_FUTURE((async_future *)self->object.future);
                self->frame.result = self->object.future;
            } else {
                ASYNC_AWAIT_CO(self->object);
                self->frame.result = co->sp;
            }
        } ASYNC_EXCEPT_ALL(self->error) {
        } ASYNC_END_TRY
        self->late = async__timeout_leave(&self->limit, self->error);
    } else {
        /* As asyncio does it: a task that is cancelled before it starts. */
        if (async__ensure_future(co, &self->object, &self->made)) ASYNC__FAIL;
        self->frame.result = self->object.future;
#ifndef ASYNC_STATIC_ONLY
        /* Now: what is awaited below may open a chunk, which goes with us. */
        if (self->made != NULL)
            self->frame.result = async__room_above(co, &self->object);
#endif
        ASYNC_TRY {
            if (!async_future_done((async_future *)self->object.future)) {
                async_future_cancel((async_future *)self->object.future);
                ASYNC_AWAIT(async__until_done,
                            (async_future *)self->object.future);
                self->late = 1;
            }
            ASYNC_AWAIT_FUTURE((async_future *)self->object.future);
        } ASYNC_EXCEPT_ALL(self->error) {
            self->late = self->late && self->error == ASYNC_ECANCELED;
        } ASYNC_END_TRY
#ifndef ASYNC_STATIC_ONLY
        /* An eager one may have returned something, and goes with its frame. */
        if (self->made != NULL && !self->error && self->frame.result != NULL)
            memcpy(self->frame.result, self->made->co->top, self->object.size);
#endif
        async_task_release(self->made);
    }
    if (self->error && self->late) {
        async__raised_while(co, ASYNC_ETIMEDOUT, 1); /* raise ... from it */
        ASYNC__FAIL;
    }
    co->error = self->error; /* on its way again, and noted already */
    if (co->error) ASYNC__UNWIND;
    ASYNC_END;
}

/* --- shield -------------------------------------------------------------- */

static void async__shield_inner_done(async_node *node)
{
    struct async_shield *self =
        (struct async_shield *)(void *)((char *)node -
                                        offsetof(struct async_shield,
                                                 inner_done));
    async_future *inner = (async_future *)self->object.future;
    node->link.prev = NULL;
    if (self->outer.state != ASYNC__PENDING) {
        /* Too late to tell anybody. */
        inner->kind |= ASYNC__RETRIEVED;
        return;
    }
    if (inner->state == ASYNC__CANCELLED)
        async_future_cancel(&self->outer);
    else
        async_future_set_result(&self->outer);
}

ASYNC(async_shield)
{
    ASYNC_BEGIN(async_shield);
    if (!(co->flags & ASYNC__IS_TASK)) ASYNC_RAISE(ASYNC_ENOTASK);
    if (async__ensure_future(co, &self->object, &self->made)) ASYNC__FAIL;
    ((async_future *)self->object.future)->shares++;
    if (!async_future_done((async_future *)self->object.future)) {
        async_future_init(&self->outer, async_loop_of(co));
        self->inner_done.run = async__shield_inner_done;
        async__list_append(&((async_future *)self->object.future)->waiters,
                           &self->inner_done.link);
        ASYNC__WAIT_FOR(&self->outer);
        (void)async__awaited(co);
        async__drop(co);
        async__forget((async_future *)self->object.future, &self->inner_done);
        /* One that has ended by now has told so, if too late. */
        if (async_future_done((async_future *)self->object.future))
            ((async_future *)self->object.future)->kind |= ASYNC__RETRIEVED;
    }
    if (!co->error && ((async_future *)self->object.future)->error)
        async__take_error(co, (async_future *)self->object.future);
    async__unshare((async_future *)self->object.future);
    async_task_release(self->made);
    ASYNC__CHECK;
    ASYNC_END;
}
#endif

/* --- wait ---------------------------------------------------------------- */

static async_waited *async__waited_of(async_node *node)
{
    return (async_waited *)(void *)((char *)node -
                                    offsetof(async_waited, node));
}

static void async__wake_waiter(async_future *waiter)
{
    if (waiter->state == ASYNC__PENDING) async_future_set_result(waiter);
}

/* Whether there is something wrong with them: 0, or an error. */
static int async__waited_check(const async_waited *items, size_t count,
                               const async *co)
{
    size_t i;
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    for (i = 0; i < count; i++) {
        if (items[i].future == NULL) return ASYNC_EINVAL;
        if (items[i].future->loop != async_loop_of(co))
            return ASYNC_EOTHERLOOP;
    }
    return 0;
}

/* One that is there twice is waited for once.  Returns how many differ. */
static size_t async__waited_begin(async_waited *items, size_t count,
                                  void *owner, void (*done)(async_node *node))
{
    size_t i, different = 0;
    for (i = 0; i < count; i++) {
        async_future *future = items[i].future;
        items[i].done = 0;
        items[i].owner = owner;
        items[i].node.run = done;
        items[i].node.link.prev = NULL;
        future->shares++;
        if (future->kind & ASYNC__MARKED) continue;
        future->kind |= ASYNC__MARKED;
        different++;
        if (async_future_done(future))
            async__ready_callback(future->loop, &items[i].node);
        else
            async__list_append(&future->waiters, &items[i].node.link);
    }
    for (i = 0; i < count; i++)
        items[i].future->kind &= (unsigned char)~ASYNC__MARKED;
    return different;
}

static void async__waited_arm(async_loop *loop, async__timer *timer,
                              async_duration timeout,
                              void (*late)(async_node *node))
{
    timer->node.link.prev = NULL;
    if (timeout == ASYNC_FOREVER) return;
    timer->node.run = late;
    async__arm(loop, timer, async__after(loop, timeout));
}

static size_t async__waited_end(async_waited *items, size_t count,
                                async__timer *timer)
{
    size_t i, n = 0;
    if (timer->node.link.prev != NULL) async__unlink(&timer->node.link);
    for (i = 0; i < count; i++) {
        async_future *future = items[i].future;
        if (!items[i].done) async__forget(future, &items[i].node);
        items[i].done = async_future_done(future);
        n += (size_t)items[i].done;
    }
    for (i = 0; i < count; i++) async__unshare(items[i].future);
    return n;
}

static void async__wait_late(async_node *node)
{
    struct async_wait *self =
        (struct async_wait *)(void *)((char *)node -
                                      offsetof(struct async_wait, timer));
    node->link.prev = NULL;
    async__wake_waiter(&self->waiter);
}

static void async__wait_done(async_node *node)
{
    async_waited *item = async__waited_of(node);
    struct async_wait *self = (struct async_wait *)item->owner;
    node->link.prev = NULL;
    item->done = 1;
    self->left--;
    if (self->left == 0 || self->return_when == ASYNC_FIRST_COMPLETED ||
        (self->return_when == ASYNC_FIRST_EXCEPTION &&
         item->future->state == ASYNC__FINISHED && item->future->error != 0))
        async__wake_waiter(&self->waiter);
}

ASYNC(async_wait)
{
    ASYNC_BEGIN(async_wait);
    if (self->count == 0) ASYNC_RAISE(ASYNC_ENOFUTURES);
    if (self->return_when < ASYNC_ALL_COMPLETED ||
        self->return_when > ASYNC_FIRST_EXCEPTION)
        ASYNC_RAISE(ASYNC_ERETURNWHEN);
    self->error = async__waited_check(self->items, self->count, co);
    if (self->error) ASYNC_RAISE(self->error);
    async_future_init(&self->waiter, async_loop_of(co));
    async__waited_arm(async_loop_of(co), &self->timer, self->timeout,
                      async__wait_late);
    self->left =
        async__waited_begin(self->items, self->count, self, async__wait_done);
    ASYNC__WAIT_FOR(&self->waiter);
    (void)async__awaited(co);
    async__drop(co);
    self->frame.result =
        async__waited_end(self->items, self->count, &self->timer);
    ASYNC__CHECK;
    ASYNC_END;
}

static void async__as_completed_late(async_node *node)
{
    struct async_as_completed *self =
        (struct async_as_completed *)(void *)((char *)node -
            offsetof(struct async_as_completed, timer));
    size_t i;
    node->link.prev = NULL;
    self->error = ASYNC_ETIMEDOUT;
    for (i = 0; i < self->count; i++)
        if (!self->items[i].done) {
            async__forget(self->items[i].future, &self->items[i].node);
            self->items[i].node.link.prev = NULL;
        }
    async__wake_waiter(&self->waiter);
}

static void async__as_completed_done(async_node *node)
{
    async_waited *item = async__waited_of(node);
    struct async_as_completed *self = (struct async_as_completed *)item->owner;
    item->done = 1;
    async__list_append(&self->ended, &node->link);
    async__wake_waiter(&self->waiter);
}

ASYNC(async_as_completed)
{
    ASYNC_BEGIN(async_as_completed);
    self->error = async__waited_check(self->items, self->count, co);
    if (self->error) ASYNC_RAISE(self->error);
    if (self->count == 0) ASYNC_RETURN();
    async__list_init(&self->ended);
    async_future_init(&self->waiter, async_loop_of(co));
    async__waited_arm(async_loop_of(co), &self->timer, self->timeout,
                      async__as_completed_late);
    self->left = async__waited_begin(self->items, self->count, self,
                                     async__as_completed_done);
    ASYNC_TRY {
        for (; self->left > 0; self->left--) {
            if (async__list_empty(&self->ended)) {
                if (self->error) ASYNC_RAISE(self->error);
                async_future_init(&self->waiter, async_loop_of(co));
                ASYNC_AWAIT_FUTURE(&self->waiter);
                if (async__list_empty(&self->ended)) ASYNC_RAISE(self->error);
            }
            {
                async_node *node =
                    (async_node *)(void *)self->ended.next;
                async__unlink(&node->link);
                self->frame.value = async__waited_of(node)->future;
            }
            ASYNC_YIELD(self->frame.value);
        }
    } ASYNC_FINALLY {
        (void)async__waited_end(self->items, self->count, &self->timer);
    } ASYNC_END_TRY
    ASYNC_END;
}

#ifndef ASYNC_STATIC_ONLY
/* --- running ------------------------------------------------------------- */

static int async__stop_loop(async_future *future, void *loop)
{
    (void)future;
    async_loop_stop((async_loop *)loop);
    return 0;
}

/* run_until_complete, which leaves the task made, if any, in *made.
 * context  NULL: none */
static int async__run_object(async_loop *loop, async_object object,
                             async_context *context, async_task **made)
{
    async_future *future = (async_future *)object.future;
    async_done_callback node;
    int error;
    *made = NULL;
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    if (loop->running) return ASYNC_ELOOPRUNNING;
    if (async__running != NULL) return ASYNC_EOTHERRUNNING;
    if (future != NULL && future->loop != loop) return ASYNC_EOTHERLOOP;
    if (future == NULL) {
        *made = async__create(loop, object, context, 0);
        if (*made == NULL) return async_last_error();
        future = &(*made)->future;
    }
    loop->main = *made;
    memset(&node, 0, sizeof node);
    async_future_add_done_callback(future, &node, async__stop_loop, loop);
    error = async_loop_run_forever(loop);
    async_done_callback_cancel(&node);
    loop->main = NULL;
    if (error) return error;
    if (future->state == ASYNC__PENDING) return ASYNC_ELOOPSTOPPED;
    return async_future_result(future);
}

int async__run_task_into(async_loop *loop, async_object object, void *result,
                         size_t offset, size_t size)
{
    async_task *made;
    int error = async__run_object(loop, object, NULL, &made);
    if (!error && result != NULL)
        memcpy(result, (char *)made->co->top + offset, size);
    async_task_release(made);
    return error;
}

int async_loop_run_until_complete(async_loop *loop, async_object object)
{
    return async__run_task_into(loop, object, NULL, 0, 0);
}

/* When the last of the cancelled tasks has ended, gathering them would take
 * asyncio two iterations more. */
static int async__departure_over(void *loop)
{
    async_loop_stop((async_loop *)loop);
    return 0;
}
static int async__departure_gathered(void *context)
{
    async_loop *loop = (async_loop *)context;
    return async_loop_call_soon(loop, &loop->departure->handle,
                                async__departure_over, loop);
}
static void async__departed(async_loop *loop, async_task *task)
{
    async__departure *departure = loop->departure;
    async__list_append(&departure->ended, &task->all);
    if (--departure->left == 0)
        async_loop_call_soon(loop, &departure->handle,
                             async__departure_gathered, loop);
}

/* Cancels all tasks and waits for them.  Counterpart: the end of
 * asyncio.run(). */
static int async__cancel_all_tasks(async_loop *loop)
{
    async__departure departure;
    async_task *task = NULL;
    int error = 0;
    memset(&departure, 0, sizeof departure);
    async__list_init(&departure.ended);
    while ((task = async_all_tasks(loop, task)) != NULL) {
        task->special |= ASYNC__IS_DEPARTING;
        task->future.shares++;
        departure.left++;
    }
    if (departure.left == 0) return 0;
    loop->departure = &departure;
    while ((task = async_all_tasks(loop, task)) != NULL)
        async_task_cancel(task);
    error = async_loop_run_forever(loop);
    async_handle_cancel(&departure.handle);
    /* Some may refuse to end, if the loop was stopped before. */
    while ((task = async_all_tasks(loop, task)) != NULL)
        if (task->special & ASYNC__IS_DEPARTING) {
            task->special &= (unsigned char)~ASYNC__IS_DEPARTING;
            task->future.shares--;
        }
    loop->departure = NULL;
    while (!async__list_empty(&departure.ended)) {
        task = async__task_of_link(departure.ended.next);
        async__unlink(&task->all);
        if (task->future.state == ASYNC__FINISHED && task->future.error != 0) {
            task->future.kind |= ASYNC__RETRIEVED;
            async__report(loop,
                          "unhandled exception during asyncio.run() shutdown",
                          task->future.error, &task->future, NULL);
        }
        async__unshare(&task->future);
    }
    return error;
}

void async_loop_interrupt(async_loop *loop)
{
    if (loop->interrupts++ == 0 && loop->main != NULL)
        async_task_cancel(loop->main);
    else
        async_loop_stop(loop);
}

static void async__take_interrupts(async_loop *loop, int on)
{
    if (loop->backend->interrupts != NULL && !loop->closed)
        loop->backend->interrupts(loop, on);
}

/* A run that Ctrl-C may end; it takes interrupts from then on. */
static int async__run_main(async_loop *loop, async_object object,
                           async_context *context, async_task **made)
{
    int error;
    loop->interrupts = 0;
    async__take_interrupts(loop, 1);
    error = async__run_object(loop, object, context, made);
    if (loop->interrupts > 0 && *made != NULL &&
        (error == ASYNC_ELOOPSTOPPED ||
         (error == ASYNC_ECANCELED && async_task_uncancel(*made) == 0)))
        error = ASYNC_EINTR;
    return error;
}

int async__run_on_into(async_loop *loop, async_object object, void *result,
                       size_t offset, size_t size)
{
    async_task *made;
    int error, left;
#ifndef ASYNC_NO_TRACEBACK
    async_traceback traceback;
#endif
    if (async__running != NULL) return ASYNC_ENESTEDRUN;
    error = async__run_main(loop, object, NULL, &made);
#ifndef ASYNC_NO_TRACEBACK
    if (error) {
        traceback.count = 0;
        traceback.who = NULL;
        if (made != NULL) async_traceback_of(made->co, &traceback);
        traceback.error = error;
    }
#endif
    if (!error && result != NULL)
        memcpy(result, (char *)made->co->top + offset, size);
    async_task_release(made);
    left = async__cancel_all_tasks(loop);
    async__take_interrupts(loop, 0);
#ifndef ASYNC_NO_TRACEBACK
    if (error && error != ASYNC_EINTR)
        async_traceback_print(&traceback,
                              "caesura: an error left the main coroutine");
#elif ASYNC_HOSTED
    if (error && error != ASYNC_EINTR)
        async__print_error("caesura: an error left the main coroutine", error);
#endif
    return error ? error : left;
}

int async_run_on(async_loop *loop, async_object object)
{
    return async__run_on_into(loop, object, NULL, 0, 0);
}

/* --- runner -------------------------------------------------------------- */

void async_runner_init(async_runner *runner, async_loop *loop)
{
    runner->loop = loop;
    runner->context.bindings = NULL;
}

int async__runner_run_into(async_runner *runner, async_object object,
                           void *result, size_t offset, size_t size)
{
    async_task *made;
    int error;
    if (runner->loop == NULL) return ASYNC_ERUNNERCLOSED;
    if (async__running != NULL) return ASYNC_ENESTEDRUN;
    if (object.future != NULL) return ASYNC_EINVAL;
    error = async__run_main(runner->loop, object, &runner->context, &made);
    async__take_interrupts(runner->loop, 0);
    if (!error && result != NULL)
        memcpy(result, (char *)made->co->top + offset, size);
    /* Its error is the caller's, as that of an await. */
    if (made != NULL && error) made->future.kind |= ASYNC__RETRIEVED;
    async_task_release(made);
    return error;
}

int async_runner_run(async_runner *runner, async_object object)
{
    return async__runner_run_into(runner, object, NULL, 0, 0);
}

int async_runner_close(async_runner *runner)
{
    async_loop *loop = runner->loop;
    int error;
    if (loop == NULL) return 0;
    if (async__running != NULL) return ASYNC_ECLOSERUNNING;
    error = loop->closed ? 0 : async__cancel_all_tasks(loop);
    /* Tasks that would not end have their part of it. */
    async_loop_close(loop);
    async__uncapture(&runner->context.bindings);
    runner->loop = NULL;
    return error;
}

#endif

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#if defined(ASYNC_DEBUG) && !defined(CAESURA_WATCH_H)
#include "async/debug/debug.h"
#endif

#endif /* ASYNC_IMPLEMENTATION */
