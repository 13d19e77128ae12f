/* interrupt.h - what interrupts tell tasks: flags, bytes, edges; and a ticker
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * An interrupt stores a byte or two and wakes the loop (async/bare/loop.h); a
 * task that waits looks at that in the next iteration.  No interrupt is turned
 * off for it, none calls into the loop, and what comes while nobody waits is
 * not lost.
 *
 *   CONDITIONS         wait until something is true
 *   FLAGS              something has happened
 *   RINGS              bytes, from a UART say
 *   TICKER             periods without drift
 *   INPUTS             a level that has settled: a button
 *   PRIVATE
 *
 * Each of these is awaited by tasks of a bare loop, and only by those; each
 * wait ends at once when its task is cancelled, and loses nothing then.
 */
#ifndef CAESURA_BARE_INTERRUPT_H
#define CAESURA_BARE_INTERRUPT_H

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * CONDITIONS
 *
 * AWAIT(async_wait_until, condition, argument): goes on when the condition is
 * true; at once if it is so now.  It is asked in every iteration, so it must be
 * quick; who makes it true, an interrupt or a task, calls async_bare_wake()
 * behind.  What it reads an interrupt must store at once: a byte, say.
 *
 * Errors   ASYNC_ENOTASK
 * Counterpart: PT_WAIT_UNTIL of protothreads.
 * ------------------------------------------------------------------------ */
typedef int async_condition_met(void *argument);
struct async_wait_until;
ASYNC(async_wait_until);

/* ------------------------------------------------------------------------
 * FLAGS
 *
 * Something has happened, once or more.  Zeroed memory is one that is down.
 * Who waits takes it down.
 * ------------------------------------------------------------------------ */
typedef struct async_flag {
    volatile uint8_t up;
} async_flag;

/* From any interrupt, or from tasks of any loop: two stores of a byte.  What
 * was stored before is seen by who takes it down. */
static inline void async_flag_set(async_flag *flag, async_bare_loop *loop);

/* AWAIT(async_flag_wait, flag): waits until it is up, and takes it down.  Of
 * several who wait, all on one loop, one goes on each time. */
struct async_flag_wait;
ASYNC(async_flag_wait);

/* ------------------------------------------------------------------------
 * RINGS
 *
 * Bytes from one interrupt, or the tasks of one loop, to the tasks of a loop
 * that may be another one, in a static buffer:
 *
 *     static ASYNC_RING(32) received;                  holds 31
 *     ISR: async_ring_put(&received.ring, byte, &loop);
 *     task: AWAIT_INTO(self->byte, async_ring_get, &received.ring);
 *
 * What comes when the ring is full is lost, and so is what follows until that
 * has been told.  It is told at its place in the stream: the bytes before it
 * first, then ASYNC_EOVERRUN, then those after.
 * ------------------------------------------------------------------------ */
typedef struct async_ring async_ring;

/* n   the size, 2 to 255; a ring is zeroed, and static or as long-lived */
#define ASYNC_RING(n)                                                         \
    struct {                                                                  \
        async_ring ring;                                                      \
        uint8_t bytes[n];                                                     \
    }
#define ASYNC_RING_INIT(r) async__ring_init(&(r)->ring, sizeof (r)->bytes)

/* From one interrupt (or from several that do not interrupt each other).
 * Returns  0, or ASYNC_EOVERRUN: the byte is lost */
static inline int async_ring_put(async_ring *ring, uint8_t byte,
                                 async_bare_loop *loop);

/* AWAIT_INTO(byte, async_ring_get, ring): the next byte, a uint8_t.
 * Errors   ASYNC_EOVERRUN, once, where bytes are missing; ASYNC_ENOTASK */
struct async_ring_get;
ASYNC(async_ring_get);

/* How many bytes there are to get. */
static inline uint8_t async_ring_count(const async_ring *ring);

/* ------------------------------------------------------------------------
 * TICKER
 *
 * Periods that do not drift, however long the work in each takes:
 *
 *     async_ticker each_second;                        in the frame
 *     async_ticker_start(&self->each_second, async_loop_of(co), 1000);
 *     for (;;) {
 *         AWAIT_INTO(self->missed, async_ticker_wait, &self->each_second);
 *
 * The result, a uint16_t, is how many periods were over before anybody waited
 * for them: 0 when all is well.
 * ------------------------------------------------------------------------ */
typedef struct async_ticker {
    async_time next;
    async_duration period;
} async_ticker;

/* The first period begins now.  `period` is positive. */
static inline void async_ticker_start(async_ticker *ticker, async_loop *loop,
                                      async_duration period);
struct async_ticker_wait;
ASYNC(async_ticker_wait);

#ifndef ASYNC_NO_CANCEL
/* ------------------------------------------------------------------------
 * INPUTS
 *
 * AWAIT_INTO(level, async_settled, read, argument, from, during): waits until
 * the input is another than `from` and has stayed so for `during`; `level`, an
 * int, is what it then is.  An input that bounces back begins anew.
 *
 * read   the input now: a pin.  Asked in every iteration; wake the loop from
 *        the interrupt of its edges, or let that of the tick do it.
 * ------------------------------------------------------------------------ */
struct async_settled;
ASYNC(async_settled);
#endif

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_wait_until {
    ASYNC_FRAME;
    async_condition_met *condition;
    void *argument;
    async_future met;
    async_node watcher; /* in loop->watchers */
};

static inline void async_flag_set(async_flag *flag, async_bare_loop *loop)
{
    ASYNC__FENCE();
    flag->up = 1;
    async_bare_wake(loop);
}
struct async_flag_wait { ASYNC_FRAME; async_flag *flag; };

/* `in` belongs to the interrupt, `out` to the tasks; each is one byte, so that
 * the other side reads it whole.  `lost` is set by the interrupt and cleared by
 * a task that has taken all before. */
struct async_ring {
    volatile uint8_t in, out, lost;
    uint8_t size;
};
static inline void async__ring_init(async_ring *ring, size_t size)
{
    ring->in = 0;
    ring->out = 0;
    ring->lost = 0;
    ring->size = (uint8_t)size;
}
static inline int async_ring_put(async_ring *ring, uint8_t byte,
                                 async_bare_loop *loop)
{
    uint8_t in = ring->in, next = (uint8_t)(in + 1);
    int error = 0;
    if (next == ring->size) next = 0;
    if (ring->lost || next == ring->out) {
        ring->lost = 1;
        error = ASYNC_EOVERRUN;
    } else {
        ((volatile uint8_t *)(ring + 1))[in] = byte;
        ASYNC__FENCE();
        ring->in = next;
    }
    async_bare_wake(loop); /* behind: its turn may come in between */
    return error;
}
static inline uint8_t async_ring_count(const async_ring *ring)
{
    uint8_t in = ring->in, out = ring->out;
    return (uint8_t)(in >= out ? in - out : ring->size - out + in);
}
struct async_ring_get { ASYNC_RETURNS(uint8_t); async_ring *ring; };

static inline void async_ticker_start(async_ticker *ticker, async_loop *loop,
                                      async_duration period)
{
    ticker->period = period;
    ticker->next = async_loop_time(loop) + (async_time)period;
}
struct async_ticker_wait {
    ASYNC_RETURNS(uint16_t);
    async_ticker *ticker;
};

#ifndef ASYNC_NO_CANCEL
struct async_settled {
    ASYNC_RETURNS(int);
    int (*read)(void *argument);
    void *argument;
    int from;
    async_duration during;
    int level;
    async_timeout limit;
};
#endif

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_BARE_INTERRUPT_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) &&                                          \
    !defined(CAESURA_BARE_INTERRUPT_IMPLEMENTED)
#define CAESURA_BARE_INTERRUPT_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

static void async__watch(async_node *node)
{
    struct async_wait_until *self =
        (struct async_wait_until *)(void *)((char *)node -
                                            offsetof(struct async_wait_until,
                                                     watcher));
    if (self->met.state == ASYNC__PENDING && self->condition(self->argument))
        async_future_set_result(&self->met);
}

static void async__look_at_each(async_bare_loop *loop)
{
    async_link *link;
    for (link = loop->watchers.next; link != &loop->watchers;
         link = link->next)
        ((async_node *)(void *)link)->run((async_node *)(void *)link);
}

ASYNC(async_wait_until)
{
    async_bare_loop *loop = (async_bare_loop *)(void *)async_loop_of(co);
    ASYNC_BEGIN(async_wait_until);
    if (self->condition(self->argument)) ASYNC_RETURN();
    if (loop == NULL) ASYNC_RAISE(ASYNC_ENOTASK);
    async_future_init(&self->met, &loop->base);
    self->watcher.run = async__watch;
    ASYNC__SET_HOOK(async__run_watchers, async__look_at_each);
    async__list_append(&loop->watchers, &self->watcher.link);
    ASYNC__WAIT_FOR(&self->met);
    (void)async__awaited(co);
    async__drop(co);
    async__unlink(&self->watcher.link);
    ASYNC__CHECK;
    ASYNC_END;
}

/* --- flags --------------------------------------------------------------- */

static int async__flag_is_up(void *flag)
{
    return ((async_flag *)flag)->up;
}

ASYNC(async_flag_wait)
{
    ASYNC_BEGIN(async_flag_wait);
    /* Another may have taken it down before this runs. */
    while (!self->flag->up)
        ASYNC_AWAIT(async_wait_until, async__flag_is_up, self->flag);
    self->flag->up = 0;
    ASYNC__FENCE();
    ASYNC_END;
}

/* --- rings --------------------------------------------------------------- */

static int async__ring_has_news(void *argument)
{
    const async_ring *ring = (const async_ring *)argument;
    return ring->in != ring->out || ring->lost;
}

ASYNC(async_ring_get)
{
    uint8_t out;
    ASYNC_BEGIN(async_ring_get);
    while (!async__ring_has_news(self->ring))
        ASYNC_AWAIT(async_wait_until, async__ring_has_news, self->ring);
    out = self->ring->out;
    if (out == self->ring->in) {
        self->ring->lost = 0;
        ASYNC_RAISE(ASYNC_EOVERRUN);
    }
    self->frame.result = ((volatile uint8_t *)(self->ring + 1))[out];
    ASYNC__FENCE();
    out++;
    self->ring->out = out == self->ring->size ? 0 : out;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

/* --- ticker -------------------------------------------------------------- */

ASYNC(async_ticker_wait)
{
    async_time now;
    ASYNC_BEGIN(async_ticker_wait);
    now = async_loop_time(async_loop_of(co));
    self->frame.result = 0;
    while (!async_time_before(now, self->ticker->next +
                                       (async_time)self->ticker->period)) {
        self->ticker->next += (async_time)self->ticker->period;
        self->frame.result++;
    }
    if (async_time_before(now, self->ticker->next))
        ASYNC_AWAIT(async_sleep, (async_duration)(self->ticker->next - now));
    self->ticker->next += (async_time)self->ticker->period;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

#ifndef ASYNC_NO_CANCEL
/* --- inputs -------------------------------------------------------------- */

static int async__input_changed(void *argument)
{
    struct async_settled *self = (struct async_settled *)argument;
    return self->read(self->argument) != self->level;
}

ASYNC(async_settled)
{
    ASYNC_BEGIN(async_settled);
    self->level = self->from;
    for (;;) {
        if (self->level == self->from) {
            ASYNC_AWAIT(async_wait_until, async__input_changed, self);
        } else {
            ASYNC_TRY {
                ASYNC_TIMEOUT(&self->limit, self->during) {
                    ASYNC_AWAIT(async_wait_until, async__input_changed, self);
                } ASYNC_END_TIMEOUT
            } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
                ASYNC_RETURN(self->level);
            } ASYNC_END_TRY
        }
        self->level = self->read(self->argument);
    }
    ASYNC_END;
}
#endif

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
