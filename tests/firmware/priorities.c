/* flags: -DBOARD_TICK_HOOK -DBOARD_SOFTWARE_HOOK */
/* Two loops: the turn of one runs in an interrupt of software, for which the
 * interrupt of the clock asks, and interrupts the tasks of the other.  One of
 * those computes ten times as long as a blink takes, which is not late. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"

#include "examples/firmware/board.h"

/* Some machines do little in a tick: a unit is long beside it. */
#define U 10
#define LATE 2 /* ticks */

static async_bare_loop low, high;

/* At each millisecond.  The loop that runs in main() is woken by it anyway. */
void board_tick(void)
{
    board_software_interrupt();
}

void board_preempt(void)
{
    while (async_bare_turn(&high) == ASYNC_NO_WAIT) {}
}

/* --- what happened, to be printed at the end ----------------------------- */

static struct {
    uint8_t when;
    const char *what;
} story[60];
static uint8_t told, hidden;
static uint32_t begun;

/* From both loops; inside such a block of the caller's, interrupts stay off. */
static void tell(const char *what)
{
    ASYNC_CRITICAL_ENTER;
    if (told < sizeof story / sizeof story[0]) {
        story[told].when = (uint8_t)((board_ticks() - begun) / U);
        story[told++].what = what;
    } else {
        hidden++;
    }
    ASYNC_CRITICAL_EXIT;
}

static void print_story(void)
{
    char digits[4];
    uint8_t i;
    for (i = 0; i < told; i++) {
        digits[0] = (char)('0' + story[i].when / 100);
        digits[1] = (char)('0' + story[i].when / 10 % 10);
        digits[2] = (char)('0' + story[i].when % 10);
        digits[3] = '\0';
        board_print(digits);
        board_print(story[i].what);
        board_print("\n");
    }
}

/* --- between the loops --------------------------------------------------- */

static async_flag question;
static ASYNC_RING(4) answers;
static ASYNC_RING(4) numbers;
static volatile uint8_t computing;

static int said_soon(void *what)
{
    tell((const char *)what);
    return 0;
}
static async_handle handle;

/* --- the high one -------------------------------------------------------- */

struct blinks {
    ASYNC_FRAME;
    async_ticker each;
    uint32_t late;
    uint16_t missed;
    uint8_t n;
};
static ASYNC(blinks)
{
    ASYNC_BEGIN(blinks);
    async_ticker_start(&self->each, async_loop_of(co), 5 * U);
    for (self->n = 0; self->n < 24; self->n++) {
        AWAIT_INTO(self->missed, async_ticker_wait, &self->each);
        board_led(0, self->n & 1);
        self->late = board_ticks() + 5 * U - self->each.next;
        tell(self->missed > 0 || self->late > LATE ? " blink, too late"
             : computing ? " blink, while the other computes"
                         : " blink");
    }
    ASYNC_END;
}

/* In the midst of a task of the low loop: neither loop can be entered again. */
struct enters { ASYNC_FRAME; };
static ASYNC(enters)
{
    ASYNC_BEGIN(enters);
    AWAIT(async_sleep, 33 * U);
    if (async_bare_turn(&low) == ASYNC_NO_WAIT &&
        async_bare_turn(&high) == ASYNC_NO_WAIT)
        tell(" no turn inside its own");
    if (async_get_running_loop() == &high.base) tell(" the high loop runs");
    ASYNC_END;
}

struct answers_it { ASYNC_FRAME; uint8_t number; };
static ASYNC(answers_it)
{
    ASYNC_BEGIN(answers_it);
    AWAIT(async_flag_wait, &question);
    tell(" asked");
    async_ring_put(&answers.ring, 42, &low);
    async_loop_call_soon_threadsafe(&low.base, &handle, said_soon,
                                    (void *)(uintptr_t) " called, too");
    for (;;) {
        AWAIT_INTO(self->number, async_ring_get, &numbers.ring);
        tell(self->number == 1 ? " one" : " two");
    }
    ASYNC_END;
}

/* --- the low one --------------------------------------------------------- */

struct computes { ASYNC_FRAME; };
static ASYNC(computes)
{
    ASYNC_BEGIN(computes);
    AWAIT(async_sleep, 12 * U);
    tell(" computes");
    computing = 1;
    board_delay(50 * U);
    computing = 0;
    tell(" has computed");
    if (async_get_running_loop() == &low.base) tell(" the low loop runs");
    ASYNC_END;
}

struct ticks_slowly { ASYNC_FRAME; async_ticker each; uint16_t missed; };
static ASYNC(ticks_slowly)
{
    ASYNC_BEGIN(ticks_slowly);
    async_ticker_start(&self->each, async_loop_of(co), 9 * U);
    for (;;) {
        AWAIT_INTO(self->missed, async_ticker_wait, &self->each);
        tell(self->missed == 0   ? " tick"
             : self->missed == 3 ? " tick, three are missed"
                                 : " tick, wrong");
    }
    ASYNC_END;
}

struct program { ASYNC_FRAME; uint8_t answer; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(async_sleep, 83 * U);
    tell(" asks");
    async_flag_set(&question, &high);
    board_software_interrupt();
    AWAIT_INTO(self->answer, async_ring_get, &answers.ring);
    tell(self->answer == 42 ? " answered" : " answered wrongly");
    AWAIT(async_sleep, 5 * U); /* the next interrupt is that of the tick */
    async_ring_put(&numbers.ring, 1, &high);
    async_ring_put(&numbers.ring, 2, &high);
    AWAIT(async_sleep, 33 * U);
    async_loop_stop(&low.base);
    ASYNC_END;
}

ASYNC_STATIC_TASK(blinker,
                  ASYNC_FRAMES(blinks, async_ticker_wait, async_sleep));
ASYNC_STATIC_TASK(enterer, ASYNC_FRAMES(enters, async_sleep));
ASYNC_STATIC_TASK(answerer, ASYNC_FRAMES(answers_it) +
                                ASYNC_LARGER(ASYNC_FRAMES(async_flag_wait,
                                                          async_wait_until),
                                             ASYNC_FRAMES(async_ring_get,
                                                          async_wait_until)));
ASYNC_STATIC_TASK(computer, ASYNC_FRAMES(computes, async_sleep));
ASYNC_STATIC_TASK(slow,
                  ASYNC_FRAMES(ticks_slowly, async_ticker_wait, async_sleep));
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program) +
                                 ASYNC_LARGER(ASYNC_FRAMES(async_sleep),
                                              ASYNC_FRAMES(async_ring_get,
                                                           async_wait_until)));

static int on_error(async_loop *of, const async_exception_context *context,
                    void *argument)
{
    (void)of, (void)context, (void)argument;
    tell(" an error that nobody took");
    return 0;
}

int main(void)
{
    async_bare_loop_init(&low, board_ticks, board_sleep_until);
    async_bare_loop_init(&high, board_ticks, board_sleep_until);
    ASYNC_RING_INIT(&answers);
    ASYNC_RING_INIT(&numbers);
    async_loop_set_exception_handler(&low.base, on_error, NULL);
    async_loop_set_exception_handler(&high.base, on_error, NULL);
    ASYNC_TASK_START(&blinker, &high.base, blinks);
    ASYNC_TASK_START(&enterer, &high.base, enters);
    ASYNC_TASK_START(&answerer, &high.base, answers_it);
    ASYNC_TASK_START(&computer, &low.base, computes);
    ASYNC_TASK_START(&slow, &low.base, ticks_slowly);
    ASYNC_TASK_START(&main_task, &low.base, program);
    board_init(); /* from here on there are interrupts */
    begun = board_ticks();
    board_software_interrupt();
    async_bare_run(&low);
    print_story();
    if (hidden) board_print("there was more\n");
    board_exit(0);
    return 0;
}
