/* flags: -DBOARD_SENSOR_HOOK */
/* A sensor that is asked four times a second, without drift; another task makes
 * averages of what it says.  A sensor that does not answer costs a line in the
 * log and no more; a task that gets stuck costs a reset: the watchdog is fed
 * when both have told that they are alive, not because the loop goes round.
 *
 * To see that, hold the button: the averager waits for its release, without a
 * limit.  After two seconds of that the board begins anew. */
#include <stdint.h>

/* Who has been alive since the watchdog was fed. */
enum { SAMPLER = 1, AVERAGER = 2, EVERYBODY = 3 };
static uint8_t alive;
static void feed_watchdog(void);

#define ASYNC_BARE_WATCHDOG() feed_watchdog() /* in each iteration */
#define ASYNC_STATIC_ONLY 1
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"
#include "async/queue.h"

#include "examples/firmware/board.h"
#include "examples/firmware/text.h"

#define IN_AVERAGE 4
#define NO_SAMPLE 0xffffu
#define PERIOD ASYNC_MS(250)
#define PATIENCE ASYNC_MS(50)

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

static ASYNC_QUEUE(uint16_t, 4) samples;

static void feed_watchdog(void)
{
    if (alive != EVERYBODY) return;
    alive = 0;
    board_watchdog_feed();
}

static uint32_t began;

/* "1.25 s: " and a text, without the end of the line */
static void log_time(const char *text)
{
    uint32_t hundredths = (board_ticks() - began) / 10;
    print_number(hundredths / 100);
    board_print(hundredths % 100 < 10 ? ".0" : ".");
    print_number(hundredths % 100);
    board_print(" s: ");
    board_print(text);
}

/* --- the sensor ---------------------------------------------------------- */

static volatile uint16_t measured; /* written before the flag goes up */
static async_flag answered;

void board_measured(uint16_t value)
{
    measured = value;
    async_flag_set(&answered, &loop);
}

/* However this ends, the sensor stops. */
struct measure { ASYNC_RETURNS(uint16_t); };
static ASYNC(measure)
{
    ASYNC_BEGIN(measure);
    answered.up = 0; /* an answer to an earlier question may have come late */
    ASYNC_TRY {
        board_sensor_start();
        AWAIT(async_flag_wait, &answered);
    } ASYNC_FINALLY {
        board_sensor_stop();
    } ASYNC_END_TRY
    ASYNC_RETURN(measured);
    ASYNC_END;
}

/* --- the tasks ----------------------------------------------------------- */

struct sampler {
    ASYNC_FRAME;
    async_ticker ticker;
    async_timeout limit;
    uint16_t missed, sample;
    uint8_t full, was_full;
};
static ASYNC(sampler)
{
    ASYNC_BEGIN(sampler);
    async_ticker_start(&self->ticker, &loop.base, PERIOD);
    for (;;) {
        AWAIT_INTO(self->missed, async_ticker_wait, &self->ticker);
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit, PATIENCE) {
                AWAIT_INTO(self->sample, measure);
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            log_time("the sensor does not answer\n");
            self->sample = NO_SAMPLE;
        } ASYNC_END_TRY
        /* When the averager is stuck this does not wait for it. */
        self->was_full = self->full;
        self->full = ASYNC_QUEUE_PUT_NOWAIT(&samples, self->sample) != 0;
        if (self->full && !self->was_full)
            log_time("nobody takes the samples\n");
        alive |= SAMPLER;
    }
    ASYNC_END;
}

static int button_is_up(void *nothing)
{
    (void)nothing;
    return !board_button();
}

struct averager { ASYNC_FRAME; uint16_t sample, sum; uint8_t i, count; };
static ASYNC(averager)
{
    ASYNC_BEGIN(averager);
    for (;;) {
        self->sum = 0;
        self->count = 0;
        for (self->i = 0; self->i < IN_AVERAGE; self->i++) {
            AWAIT_QUEUE_GET_INTO(self->sample, &samples);
            alive |= AVERAGER;
            if (self->sample == NO_SAMPLE) continue;
            self->sum = (uint16_t)(self->sum + self->sample);
            self->count++;
        }
        log_time("");
        if (self->count > 0) {
            print_number(self->sum / self->count);
            board_print("\n");
        } else {
            board_print("no samples\n");
        }
        AWAIT(async_wait_until, button_is_up, NULL); /* the mistake */
    }
    ASYNC_END;
}

ASYNC_STATIC_TASK(sampler_task, ASYNC_FRAMES(sampler, measure, async_flag_wait,
                                             async_wait_until));
ASYNC_STATIC_TASK(averager_task, ASYNC_FRAMES(averager, async_wait_until));

void program_start(void)
{
    uint8_t bitten = board_watchdog_start();
    board_init();
    if (bitten) board_print("reset by the watchdog\n");
    began = board_ticks();
    ASYNC_QUEUE_INIT(&samples);
    ASYNC_TASK_START(&sampler_task, &loop.base, sampler);
    ASYNC_TASK_START(&averager_task, &loop.base, averager);
}

#ifdef ARDUINO /* its main() calls the sketch's setup() and loop() */
void program_turn(void)
{
    (void)async_bare_turn(&loop);
}
#else
int main(void)
{
    program_start();
    async_bare_run(&loop);
    return 0;
}
#endif
