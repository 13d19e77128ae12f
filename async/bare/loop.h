/* loop.h - the loop for firmware: a tick, and a way to sleep
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     #define ASYNC_STATIC_ONLY
 *     #define ASYNC_IMPLEMENTATION
 *     #include "async/bare/loop.h"
 *
 *     static async_bare_loop loop = ASYNC_BARE_LOOP(loop, ticks, sleep_until);
 *     ASYNC_STATIC_TASK(heartbeat, ASYNC_FRAMES(blink, async_sleep));
 *     int main(void)
 *     {
 *         ASYNC_TASK_START(&heartbeat, &loop.base, blink, .pin = 13);
 *         async_bare_run(&loop);
 *     }
 *
 * (.pin is C; in C++ arguments go by position: blink, 13.)
 *
 * It needs two functions of the board:
 *
 *     uint32_t ticks(void)               counts up, and wraps at 2^32
 *     void sleep_until(uint32_t when)    see async_bare_sleep
 *
 * (With ASYNC_TIME_BITS 16 it is uint16_t, and wraps at 2^16.)
 *
 * One iteration: sleep, if nothing is ready, until an interrupt; then run what
 * was ready, and the timers that are due, in asyncio's order.
 *
 *   THE LOOP           its making and running
 *   INTERRUPTS         waking it
 *   PRIORITIES         loops that interrupt each other
 *   WATCHDOG           a hook in each iteration
 *   COUNTERS           how busy it is, and how late
 *   PRIVATE
 *
 * async/bare/interrupt.h has what interrupts tell tasks: flags, bytes, edges.
 */
#ifndef CAESURA_BARE_LOOP_H
#define CAESURA_BARE_LOOP_H

#include "../../task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * THE LOOP
 * ------------------------------------------------------------------------ */
typedef struct async_bare_loop async_bare_loop;

/* The board's clock.  Of several loops each calls it, also from interrupts, if
 * one runs there: what is not read at once needs a critical section.  It may
 * tick at any rate, ASYNC_TICKS_PER_SECOND, and wrap at 2^32; one of 16 bits
 * must be extended, or is enough with ASYNC_TIME_BITS 16.  (With 64 it has
 * nanoseconds, and does not wrap.)  Called often. */
typedef async_time async_bare_ticks(void);

/* Sleeps until an interrupt.  Called with interrupts off, when nothing is
 * ready: it must turn them on and sleep so that one which is pending, or comes
 * in between, ends the sleep at once (AVR: sei, sleep; Cortex-M and RISC-V:
 * wfi, which wakes with them off).  Interrupts may be on or off when it
 * returns.  Returning early, or at once, costs time and is no error.
 *
 * when   the tick by which it must have returned, for a board that sets an
 *        alarm; ASYNC_FOREVER: only for an interrupt.  A board whose clock
 *        interrupts at every tick need not look at it. */
typedef void async_bare_sleep(async_time when);

/* With ASYNC_STATIC_ONLY: the initialiser of a loop called `name`, in static
 * memory, which costs no code. */
#ifdef ASYNC_STATIC_ONLY
#define ASYNC_BARE_LOOP(name, ticks, sleep_until)                             \
    ASYNC__BARE_LOOP(name, ticks, sleep_until)
#endif

/* The same at run time, for a loop anywhere. */
void async_bare_loop_init(async_bare_loop *loop, async_bare_ticks *ticks,
                          async_bare_sleep *sleep_until);

/* Runs the loop until async_loop_stop(): on firmware, for ever.  Inside another
 * loop's task or turn, that is the running loop again behind it; inside its own
 * it returns at once.
 * Counterpart: loop.run_forever(). */
void async_bare_run(async_bare_loop *loop);

/* Runs one iteration without sleeping, for a program that has a loop of its
 * own (Arduino's loop(), say, or another bare loop's task), or in an interrupt:
 * see PRIORITIES.  Inside a turn or a run of the same loop, which an interrupt
 * may find, it runs nothing: the loop is woken, and runs it when it goes on.
 * Returns  the tick at which it must be called again; ASYNC_NO_WAIT: at once,
 *          or, inside itself, that it is left to the turn outside;
 *          ASYNC_FOREVER: after an interrupt */
async_time async_bare_turn(async_bare_loop *loop);

/* ------------------------------------------------------------------------
 * INTERRUPTS
 * ------------------------------------------------------------------------ */

/* The loop does not sleep before it has run an iteration.  From any interrupt:
 * it stores one byte. */
static inline void async_bare_wake(async_bare_loop *loop);

/* ------------------------------------------------------------------------
 * PRIORITIES
 *
 * Optional: a second loop, whose turns run in an interrupt, and so in the midst
 * of the tasks of the one that main() runs.  While one of those computes, the
 * tasks of the other are not late.  What runs the turn is an interrupt of
 * software, below those of hardware, which ask for it:
 *
 *     static async_bare_loop low = ..., high = ...;
 *     void SysTick_Handler(void)
 *     {
 *         ticks++;
 *         SCB->ICSR = SCB_ICSR_PENDSVSET_Msk;        PendSV: the lowest
 *     }
 *     void PendSV_Handler(void)
 *     {
 *         while (async_bare_turn(&high) == ASYNC_NO_WAIT) {}
 *     }
 *     int main(void)
 *     {
 *         start the tasks of both, and then the clock
 *         async_bare_run(&low);
 *     }
 *
 * RISC-V has the machine's software interrupt for it, whose handler lets those
 * of hardware through; AVR a change of a pin that is an output, in which sei()
 * does the same, and a flag keeps it from beginning twice.  Such handlers are
 * in examples/firmware/boards.  There may be more loops, each at one priority.
 *
 * Time       A tick ends the sleep of `low` as well.  A board that has none but
 *            an alarm sets one for what the turn returns, too.
 * Between    From tasks, callbacks and interrupts of any priority, for a loop
 * them       of any: async_bare_wake(), async_flag_set(), async_ring_put() and
 *            async_loop_call_soon_threadsafe() with a handle.  What was stored
 *            before is seen by who is told.  They ask for no interrupt: if the
 *            next tick is too late, do so behind.  One end of a ring is used at
 *            one priority; those who wait for a flag are of one loop.
 * Not        All else belongs to the loop's own tasks and callbacks, and to
 *            main() while there are no interrupts yet: tasks, futures, timers,
 *            locks, queues.  To start or cancel a task or to finish a future of
 *            another loop than that which runs traps, from the first turn
 *            inside another loop on.  What else is done wrong is not seen.
 * Data       that both read and write, and that is wider than the processor,
 *            stands between ASYNC_CRITICAL_ENTER and ASYNC_CRITICAL_EXIT.
 * Memory     A turn has its stack on top of that of what it interrupts.  Loops
 *            with a heap must not share an allocator, unless that turns
 *            interrupts off.
 * Errors     go to the handler of the task's loop, at its priority.
 * Counters   of a loop contain what has interrupted it.
 *
 * All of this is about one processor; a second core is another matter.
 * ------------------------------------------------------------------------ */

/* ------------------------------------------------------------------------
 * WATCHDOG
 *
 * A macro of the program, defined before this header where ASYNC_IMPLEMENTATION
 * is: the loop calls it once in each iteration, when it has slept and before it
 * runs anything, with interrupts as they were.  A task that never gives back
 * control starves it.
 *
 *     void feed(void);
 *     #define ASYNC_BARE_WATCHDOG() feed()
 *
 * The loop iterates although a task waits for what will never come.  To find
 * that too, feed only when all have checked in since the last time; nothing of
 * this is touched by interrupts:
 *
 *     static uint8_t missing = 3;              task n: missing &= ~(1 << n);
 *     void feed(void)
 *     {
 *         if (missing) return;
 *         missing = 3;
 *         wdt_reset();
 *     }
 *
 * The board must end each sleep, and each task check in, before the watchdog's
 * time is over.  Of several loops each calls it: async_get_running_loop() says
 * which one does.
 * ------------------------------------------------------------------------ */
#ifndef ASYNC_BARE_WATCHDOG
#define ASYNC_BARE_WATCHDOG() ((void)0)
#endif

/* ------------------------------------------------------------------------
 * COUNTERS
 *
 * With ASYNC_BARE_COUNTERS defined for the whole program each loop counts, in
 * ticks of its clock.  What takes less than a tick each time is not seen: a
 * finer clock sees more.  All of them wrap at 2^32.
 * ------------------------------------------------------------------------ */
#ifdef ASYNC_BARE_COUNTERS
typedef struct async_bare_counters {
    async_time total;    /* since the reset, or since tick 0 */
    async_time asleep;   /* of those, in sleep_until() */
    async_time longest;  /* iteration, from the end of its sleep */
    async_time latest;   /* timer: from its deadline until the loop saw it */
    uint32_t overruns;   /* timers later than ASYNC_BARE_LATE */
    uint32_t iterations;
} async_bare_counters;

/* How many ticks late a timer may be seen and be no overrun. */
#ifndef ASYNC_BARE_LATE
#define ASYNC_BARE_LATE 1
#endif

/* Fills in what has been counted, up to the iteration before this one.  From
 * tasks and callbacks of that loop, or outside it; not from interrupts. */
void async_bare_get_counters(async_bare_loop *loop,
                             async_bare_counters *counters);

/* Begins anew, with the next iteration. */
void async_bare_reset_counters(async_bare_loop *loop);
#endif

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_bare_loop {
    async_loop base;
    async_bare_ticks *ticks;
    async_bare_sleep *sleep_until;
    async_link watchers;    /* nodes to run in each iteration */
    volatile uint8_t woken; /* by an interrupt */
#ifdef ASYNC_BARE_COUNTERS
    async_bare_counters counted; /* .total: the tick of the reset */
    async_time began;            /* the iteration */
#endif
};

#define ASYNC__BARE_LIST(list) { &(list), &(list) }
#define ASYNC__BARE_LOOP(name, ticks_, sleep_until_)                          \
    {                                                                         \
        { ASYNC__BARE_LIST((name).base.ready), { 0, 0 },                      \
          ASYNC__BARE_LIST((name).base.timers),                               \
          ASYNC__BARE_LIST((name).base.tasks), 0, 0, 0, 0, 0 },               \
        ticks_, sleep_until_, ASYNC__BARE_LIST((name).watchers),              \
        0 ASYNC__BARE_NOTHING_COUNTED                                         \
    }
#ifdef ASYNC_BARE_COUNTERS
#if ASYNC_TIME_BITS != 32
#error "ASYNC_BARE_COUNTERS counts ticks: it needs ASYNC_TIME_BITS 32"
#endif
#define ASYNC__BARE_NOTHING_COUNTED , { 0, 0, 0, 0, 0, 0 }, 0
#else
#define ASYNC__BARE_NOTHING_COUNTED
#endif

static inline void async_bare_wake(async_bare_loop *loop)
{
    ASYNC__FENCE();
    loop->woken = 1;
}

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_BARE_LOOP_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_BARE_LOOP_IMPLEMENTED)
#define CAESURA_BARE_LOOP_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* Asks the watchers: set when there is a first one. */
static void (*async__run_watchers)(async_bare_loop *loop);

#ifdef ASYNC_BARE_COUNTERS
#define ASYNC__BARE_POLLED(loop) (loop)->ticks()
/* A poll that began at that tick is over: the timers that are due now will run
 * in this iteration. */
static void async__bare_count_poll(async_bare_loop *loop, async_time polled,
                                   int slept)
{
    async_bare_counters *counted = &loop->counted;
    async_time now = loop->ticks();
    async_link *link = loop->base.timers.next;
    if (slept) counted->asleep += now - polled;
    while (link != &loop->base.timers &&
           !async_time_before(now, async__timer_of(link)->deadline)) {
        async_time late = now - async__timer_of(link)->deadline;
        if (late > counted->latest) counted->latest = late;
        if (late > ASYNC_BARE_LATE) counted->overruns++;
        link = link->next;
    }
    loop->began = now;
    counted->iterations++;
}

/* One that has reset the counters is not counted. */
static void async__bare_count_iteration(async_bare_loop *loop)
{
    async_time length = loop->ticks() - loop->began;
    if (loop->counted.iterations > 0 && length > loop->counted.longest)
        loop->counted.longest = length;
}

void async_bare_get_counters(async_bare_loop *loop,
                             async_bare_counters *counters)
{
    *counters = loop->counted;
    counters->total = loop->ticks() - loop->counted.total;
}

void async_bare_reset_counters(async_bare_loop *loop)
{
    memset(&loop->counted, 0, sizeof loop->counted);
    loop->counted.total = loop->ticks();
}
#else
#define ASYNC__BARE_POLLED(loop) 0
#endif

/* Behind the sleep. */
static void async__bare_look(async_bare_loop *loop, async_time polled,
                             int slept)
{
#ifdef ASYNC_BARE_COUNTERS
    async__bare_count_poll(loop, polled, slept);
#else
    (void)polled, (void)slept;
#endif
    ASYNC_BARE_WATCHDOG();
    loop->woken = 0; /* before the looking: what comes from here on counts */
    ASYNC__FENCE();
    ASYNC__CALL_HOOK(async__run_watchers, loop);
}

/* Whether to sleep is decided with interrupts off: what comes from then on
 * ends the sleep. */
#ifdef ASYNC_STATIC_ONLY
void async__bare_poll(async_loop *base, int wait)
{
    async_bare_loop *loop = (async_bare_loop *)(void *)base;
    async_time polled = ASYNC__BARE_POLLED(loop);
    if (wait) {
        ASYNC_CRITICAL_ENTER;
        if (!loop->woken) {
            async_link *first = base->timers.next;
            if (first == &base->timers) {
                loop->sleep_until(ASYNC_FOREVER);
            } else {
                async_time when = async__timer_of(first)->deadline;
                if (async_time_before(loop->ticks(), when))
                    loop->sleep_until(when - (when == ASYNC_FOREVER));
            }
        }
        ASYNC_CRITICAL_EXIT;
    }
    async__bare_look(loop, polled, wait);
}

async_time async__bare_now(async_loop *loop)
{
    return ((async_bare_loop *)(void *)loop)->ticks();
}

void async__bare_wake(async_loop *loop)
{
    async_bare_wake((async_bare_loop *)(void *)loop);
}

/* When there is something to do. */
static async_time async__poll_deadline(async_loop *loop)
{
    if (!async__list_empty(&loop->ready)) return ASYNC_NO_WAIT;
    if (async__list_empty(&loop->timers)) return ASYNC_FOREVER;
    return async__later(async__timer_of(loop->timers.next)->deadline, 0);
}
#define ASYNC__BARE_BACKEND NULL
#else
static int async__bare_poll(async_loop *base, async_time deadline)
{
    async_bare_loop *loop = (async_bare_loop *)(void *)base;
    async_time polled = ASYNC__BARE_POLLED(loop);
    if (deadline != ASYNC_NO_WAIT) {
        ASYNC_CRITICAL_ENTER;
        if (!loop->woken &&
            (deadline == ASYNC_FOREVER ||
             async_time_before(loop->ticks(), deadline)))
            loop->sleep_until(deadline);
        ASYNC_CRITICAL_EXIT;
    }
    async__bare_look(loop, polled, deadline != ASYNC_NO_WAIT);
    return 0;
}

static async_time async__bare_now(async_loop *loop)
{
    return ((async_bare_loop *)(void *)loop)->ticks();
}

static void async__bare_wake(async_loop *loop)
{
    async_bare_wake((async_bare_loop *)(void *)loop);
}

static void async__bare_close(async_loop *loop)
{
    (void)loop;
}
static const async_backend async__bare_backend = {
    async__bare_now, async__bare_poll, async__bare_wake, async__bare_close, NULL
};
#define ASYNC__BARE_BACKEND &async__bare_backend
#endif

void async_bare_loop_init(async_bare_loop *loop, async_bare_ticks *ticks,
                          async_bare_sleep *sleep_until)
{
    /* Always: looking for what interrupts have told costs next to nothing. */
    async_loop_init(&loop->base, ASYNC__BARE_BACKEND, NULL, ASYNC_POLL_ALWAYS);
    loop->ticks = ticks;
    loop->sleep_until = sleep_until;
    async__list_init(&loop->watchers);
    loop->woken = 0;
#ifdef ASYNC_BARE_COUNTERS
    memset(&loop->counted, 0, sizeof loop->counted);
    loop->began = 0;
#endif
}

static void async__bare_iterate(async_bare_loop *loop)
{
    (void)async__iterate(&loop->base);
#ifdef ASYNC_BARE_COUNTERS
    async__bare_count_iteration(loop);
#endif
}

/* A stop is spent by the run that it ends, not by a turn. */
#ifdef ASYNC_STATIC_ONLY
#define ASYNC__BARE_ENTER(loop) ((loop)->base.state |= ASYNC__RUNNING)
#define ASYNC__BARE_LEAVE_TURN(loop) ((loop)->base.state &= ASYNC__STOPPING)
#define ASYNC__BARE_LEAVE(loop) ((loop)->base.state = 0)
#else
#define ASYNC__BARE_ENTER(loop) ((loop)->base.running = 1)
#define ASYNC__BARE_LEAVE_TURN(loop) ((loop)->base.running = 0)
#define ASYNC__BARE_LEAVE(loop)                                               \
    ((loop)->base.stopping = (loop)->base.running = 0)
#endif

/* An interrupt that comes between two stores of this, or before the first, runs
 * its turn and is over: it leaves both as they were. */
async_time async_bare_turn(async_bare_loop *loop)
{
    async_loop *outer = async__running;
    async_time deadline;
    loop->woken = 1; /* the poll does not sleep */
    if (ASYNC__IS_RUNNING(&loop->base)) return ASYNC_NO_WAIT;
    ASYNC__BARE_ENTER(loop);
    async__running = &loop->base;
    if (outer != NULL) ASYNC__IS_NESTED();
    ASYNC__FENCE();
    async__bare_iterate(loop);
    deadline = async__poll_deadline(&loop->base);
    ASYNC__FENCE();
    async__running = outer;
    ASYNC__BARE_LEAVE_TURN(loop);
    ASYNC__FENCE(); /* who came before this has woken it, at least */
    return loop->woken ? ASYNC_NO_WAIT : deadline;
}

void async_bare_run(async_bare_loop *loop)
{
    async_loop *outer = async__running;
    ASYNC__HIDE(loop);
    if (ASYNC__IS_RUNNING(&loop->base)) return;
    ASYNC__BARE_ENTER(loop);
    async__running = &loop->base;
    ASYNC__FENCE();
    do async__bare_iterate(loop);
    while (!ASYNC__IS_STOPPING(&loop->base));
    ASYNC__FENCE();
    async__running = outer;
    ASYNC__BARE_LEAVE(loop);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
