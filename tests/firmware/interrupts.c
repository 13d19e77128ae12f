/* flags: -DBOARD_TICK_HOOK */
/* What an interrupt tells tasks: flags, bytes (and that some are lost), the
 * edges of a button that bounces; and a ticker beside work that takes too long.
 * The interrupt is that of the clock. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"

#include "examples/firmware/board.h"

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

#define U 50u /* milliseconds */

/* --- what the interrupt does ------------------------------------------------ */

static async_flag flag;
static ASYNC_RING(8) received;
static volatile uint8_t pin;
static uint32_t tick;

void board_tick(void)
{
    uint8_t i;
    tick++;
    if (tick == 4 * U || tick == 5 * U) async_flag_set(&flag, &loop);
    if (tick == 8 * U)
        for (i = 0; i < 3; i++)
            async_ring_put(&received.ring, (uint8_t)('a' + i), &loop);
    if (tick == 9 * U) /* three more than there is room for */
        for (i = 0; i < 10; i++)
            async_ring_put(&received.ring, (uint8_t)('A' + i), &loop);
    if (tick == 11 * U) async_ring_put(&received.ring, 'z', &loop);
    /* Pressed at 14 and released at 18, each time bouncing for 5 ms. */
    if (tick >= 14 * U && tick < 14 * U + 5) pin = tick & 1;
    if (tick == 14 * U + 5) pin = 1;
    if (tick == 16 * U || tick == 16 * U + 2) pin = !pin; /* a spike */
    if (tick >= 18 * U && tick < 18 * U + 5) pin = tick & 1;
    if (tick == 18 * U + 5) pin = 0;
}

static int read_pin(void *nothing)
{
    (void)nothing;
    return pin;
}

/* --- what tasks make of it -------------------------------------------------- */

static void say(const char *word)
{
    uint32_t units = board_ticks() / U;
    char text[4];
    text[0] = (char)('0' + units / 10);
    text[1] = (char)('0' + units % 10);
    text[2] = ' ';
    text[3] = '\0';
    board_print(text);
    board_print(word);
    board_print("\n");
}

struct waits_for_flag { ASYNC_FRAME; };
static ASYNC(waits_for_flag)
{
    ASYNC_BEGIN(waits_for_flag);
    AWAIT(async_flag_wait, &flag);
    say("flag");
    AWAIT(async_sleep, 2 * U); /* it goes up meanwhile */
    AWAIT(async_flag_wait, &flag);
    say("flag, and it had not been lost");
    ASYNC_END;
}

struct reads { ASYNC_FRAME; uint8_t i, byte; char text[2]; };
static ASYNC(reads)
{
    ASYNC_BEGIN(reads);
    for (self->i = 0; self->i < 12; self->i++) {
        ASYNC_TRY {
            AWAIT_INTO(self->byte, async_ring_get, &received.ring);
            self->text[0] = (char)self->byte;
            self->text[1] = '\0';
            say(self->text);
        } ASYNC_EXCEPT(ASYNC_EOVERRUN) {
            say("bytes were lost");
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

struct presses { ASYNC_FRAME; int level; };
static ASYNC(presses)
{
    ASYNC_BEGIN(presses);
    AWAIT_INTO(self->level, async_settled, read_pin, NULL, 0, 20);
    say("pressed");
    AWAIT_INTO(self->level, async_settled, read_pin, NULL, 1, 20);
    say("released");
    ASYNC_END;
}

struct ticks_on {
    ASYNC_FRAME;
    async_ticker ticker;
    uint16_t missed;
    uint8_t i;
};
static ASYNC(ticks_on)
{
    ASYNC_BEGIN(ticks_on);
    async_ticker_start(&self->ticker, async_loop_of(co), 2 * U);
    for (self->i = 0; self->i < 5; self->i++) {
        AWAIT_INTO(self->missed, async_ticker_wait, &self->ticker);
        say(self->missed == 0   ? "tick"
            : self->missed == 2 ? "tick, two are missed"
                                : "tick, wrong");
        /* The third turn takes two periods and a half. */
        AWAIT(async_sleep, self->i == 2 ? 7 * U : U / 2);
    }
    ASYNC_END;
}

struct is_cancelled { ASYNC_FRAME; };
static ASYNC(is_cancelled)
{
    ASYNC_BEGIN(is_cancelled);
    ASYNC_TRY {
        AWAIT(async_flag_wait, &flag);
    } ASYNC_FINALLY {
        say("cancelled in its wait");
    } ASYNC_END_TRY
    ASYNC_END;
}

ASYNC_STATIC_TASK(flags, ASYNC_FRAMES(waits_for_flag, async_flag_wait,
                                      async_wait_until));
ASYNC_STATIC_TASK(reader,
                  ASYNC_FRAMES(reads, async_ring_get, async_wait_until));
ASYNC_STATIC_TASK(button,
                  ASYNC_FRAMES(presses, async_settled, async_wait_until));
ASYNC_STATIC_TASK(ticker,
                  ASYNC_FRAMES(ticks_on, async_ticker_wait, async_sleep));

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TASK_START(&flags, &loop.base, is_cancelled);
    AWAIT(async_sleep, U);
    async_task_cancel(&flags.task);
    ASYNC_TRY {
        AWAIT_TASK(&flags.task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("start");
    } ASYNC_END_TRY
    ASYNC_TASK_START(&flags, &loop.base, waits_for_flag);
    AWAIT_TASK(&flags.task);
    ASYNC_TASK_START(&reader, &loop.base, reads);
    AWAIT_TASK(&reader.task);
    ASYNC_TASK_START(&button, &loop.base, presses);
    AWAIT_TASK(&button.task);
    ASYNC_TASK_START(&ticker, &loop.base, ticks_on);
    AWAIT_TASK(&ticker.task);
    async_loop_stop(&loop.base);
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program, async_sleep));

static int on_error(async_loop *of, const async_exception_context *context,
                    void *argument)
{
    (void)of, (void)context, (void)argument;
    board_print("an error that nobody took\n");
    board_exit(1);
    return 0;
}

int main(void)
{
    ASYNC_RING_INIT(&received);
    board_init();
    async_loop_set_exception_handler(&loop.base, on_error, NULL);
    ASYNC_TASK_START(&main_task, &loop.base, program);
    async_bare_run(&loop);
    board_exit(0);
    return 0;
}
