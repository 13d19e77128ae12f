/* What probe.c watches: a task that an interrupt wakes, or the clock, over and
 * over.  It writes where it is to GPIOR1.  AVR only.
 *
 *   WITH_DEADLINE   another task sleeps beside it, so that the loop has a deadline
 *   BY_CLOCK        the task sleeps itself
 *   LATE_SLEEP      the board is wrong: an interrupt may come between its turning
 *                   them on and its sleep.  (Several instructions: simavr serves
 *                   one two instructions after the sei, a real part after one.)
 */
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#include "examples/firmware/board.h"

enum { WAITS = 1, GOES_ON = 2 };

static async_flag flag;

#ifdef LATE_SLEEP
static void sleep_until(uint32_t when)
{
    (void)when;
    sei();
    __asm__ volatile("nop\n\tnop\n\tnop\n\tnop");
    sleep_cpu();
}
#else
#define sleep_until board_sleep_until
#endif

#ifdef ASYNC_STATIC_ONLY
static async_bare_loop loop = ASYNC_BARE_LOOP(loop, board_ticks, sleep_until);
#else
static async_bare_loop loop;
#endif

ISR(INT0_vect)
{
    async_flag_set(&flag, &loop);
}
EMPTY_INTERRUPT(INT1_vect) /* one that concerns nobody */

struct waits { ASYNC_FRAME; };
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    for (;;) {
        GPIOR1 = WAITS;
#ifdef BY_CLOCK
        AWAIT(async_sleep, 7);
#else
        AWAIT(async_flag_wait, &flag);
#endif
        GPIOR1 = GOES_ON;
    }
    ASYNC_END;
}
static ASYNC_TASK_STORAGE(ASYNC_FRAMES(waits, async_flag_wait,
                                       async_wait_until)) task;

#ifdef WITH_DEADLINE
struct beside { ASYNC_FRAME; };
static ASYNC(beside)
{
    ASYNC_BEGIN(beside);
    AWAIT(async_sleep, ASYNC_SECONDS(3600));
    ASYNC_END;
}
static ASYNC_TASK_STORAGE(ASYNC_FRAMES(beside, async_sleep)) other;
#endif

int main(void)
{
    board_init();
#ifndef BY_CLOCK
    TIMSK0 = 0; /* no tick mends what a wake has lost */
    EICRA = _BV(ISC11) | _BV(ISC10) | _BV(ISC01) | _BV(ISC00);
    EIMSK = _BV(INT1) | _BV(INT0);
#endif
#ifndef ASYNC_STATIC_ONLY
    async_bare_loop_init(&loop, board_ticks, sleep_until);
#endif
#ifdef WITH_DEADLINE
    async_task_start(&other, &loop.base, CO(beside));
#endif
    async_task_start(&task, &loop.base, CO(waits));
    async_bare_run(&loop);
    return 0;
}
