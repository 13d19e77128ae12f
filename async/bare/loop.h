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
 * It needs two functions of the board:
 *
 *     uint32_t ticks(void)               counts up, and wraps at 2^32
 *     void sleep_until(uint32_t when)    see async_bare_sleep
 *
 * One iteration: sleep, if nothing is ready, until an interrupt; then run what
 * was ready, and the timers that are due, in asyncio's order.
 *
 *   THE LOOP           its making and running
 *   INTERRUPTS         waking it
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

/* The board's clock.  It may tick at any rate, ASYNC_TICKS_PER_SECOND, and wrap
 * at 2^32; one of 16 bits must be extended.  (With ASYNC_TIME_BITS 64 it has
 * nanoseconds, and does not wrap.)  Called often, from the loop. */
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

/* Runs the loop until async_loop_stop(): on firmware, for ever.
 * Counterpart: loop.run_forever(). */
void async_bare_run(async_bare_loop *loop);

/* Runs one iteration without sleeping, for a program that has a loop of its
 * own (Arduino's loop(), say, or another bare loop's task).
 * Returns  the tick at which it must be called again; ASYNC_NO_WAIT: at once;
 *          ASYNC_FOREVER: after an interrupt */
async_time async_bare_turn(async_bare_loop *loop);

/* ------------------------------------------------------------------------
 * INTERRUPTS
 * ------------------------------------------------------------------------ */

/* The loop does not sleep before it has run an iteration.  From any interrupt:
 * it stores one byte. */
static inline void async_bare_wake(async_bare_loop *loop);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_bare_loop {
    async_loop base;
    async_bare_ticks *ticks;
    async_bare_sleep *sleep_until;
    async_link watchers;    /* nodes to run in each iteration */
    volatile uint8_t woken; /* by an interrupt */
};

extern const async_backend async__bare_backend;

#define ASYNC__BARE_LIST(list) { &(list), &(list) }
#define ASYNC__BARE_LOOP(name, ticks_, sleep_until_)                          \
    {                                                                         \
        { ASYNC__BARE_LIST((name).base.ready),                                \
          ASYNC__BARE_LIST((name).base.batch),                                \
          ASYNC__BARE_LIST((name).base.timers),                               \
          ASYNC__BARE_LIST((name).base.tasks), 0, &async__bare_backend, 0, 0, \
          0, 0, 0, 0, 0 },                                                    \
        ticks_, sleep_until_, ASYNC__BARE_LIST((name).watchers), 0            \
    }

static inline void async_bare_wake(async_bare_loop *loop)
{
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

static async_time async__bare_now(async_loop *loop)
{
    return ((async_bare_loop *)(void *)loop)->ticks();
}

/* Whether to sleep is decided with interrupts off: what comes from then on
 * ends the sleep. */
static int async__bare_poll(async_loop *base, async_time deadline)
{
    async_bare_loop *loop = (async_bare_loop *)(void *)base;
    async_link *link;
    if (deadline != ASYNC_NO_WAIT) {
        ASYNC_CRITICAL_ENTER;
        if (!loop->woken &&
            (deadline == ASYNC_FOREVER ||
             async_time_before(loop->ticks(), deadline)))
            loop->sleep_until(deadline);
        ASYNC_CRITICAL_EXIT;
    }
    loop->woken = 0; /* before the looking: what comes from here on counts */
    for (link = loop->watchers.next; link != &loop->watchers;
         link = link->next)
        ((async_node *)(void *)link)->run((async_node *)(void *)link);
    return 0;
}

static void async__bare_wake(async_loop *loop)
{
    async_bare_wake((async_bare_loop *)(void *)loop);
}

#ifdef ASYNC_STATIC_ONLY
const async_backend async__bare_backend = { async__bare_now, async__bare_poll,
                                            async__bare_wake };
#else
static void async__bare_close(async_loop *loop)
{
    (void)loop;
}
const async_backend async__bare_backend = { async__bare_now, async__bare_poll,
                                            async__bare_wake,
                                            async__bare_close, NULL };
#endif

void async_bare_loop_init(async_bare_loop *loop, async_bare_ticks *ticks,
                          async_bare_sleep *sleep_until)
{
    /* Always: looking for what interrupts have told costs next to nothing. */
    async_loop_init(&loop->base, &async__bare_backend, NULL,
                    ASYNC_POLL_ALWAYS);
    loop->ticks = ticks;
    loop->sleep_until = sleep_until;
    async__list_init(&loop->watchers);
    loop->woken = 0;
}

async_time async_bare_turn(async_bare_loop *loop)
{
    async_loop *outer = async__running;
    async_time deadline;
    loop->woken = 1; /* the poll does not sleep */
    async__running = &loop->base;
    loop->base.running = 1;
    (void)async__iterate(&loop->base);
    loop->base.running = 0;
    async__running = outer;
    deadline = async__poll_deadline(&loop->base);
    return loop->woken ? ASYNC_NO_WAIT : deadline;
}

void async_bare_run(async_bare_loop *loop)
{
    async__running = &loop->base;
    loop->base.running = 1;
    do (void)async__iterate(&loop->base);
    while (!loop->base.stopping);
    loop->base.running = loop->base.stopping = 0;
    async__running = NULL;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
