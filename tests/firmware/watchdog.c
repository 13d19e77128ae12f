/* flags: -DBOARD_UART_HOOK */
/* The watchdog's hook: fed when both tasks have checked in since the last time.
 * A command makes one of them compute for ever, another one wait for ever: each
 * ends in a reset, and behind that all goes on. */
#include <stdint.h>

enum { WORKER = 1, READER = 2, EVERYBODY = 3 };
static uint8_t missing = EVERYBODY;
static uint32_t fed;
static void feed_watchdog(void);

#define ASYNC_BARE_WATCHDOG() feed_watchdog()
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"

#include "examples/firmware/board.h"
#include "examples/firmware/text.h"

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

static void feed_watchdog(void)
{
    if (missing) return;
    missing = EVERYBODY;
    fed++;
    board_watchdog_feed();
}

static ASYNC_RING(8) received;

void board_received(uint8_t byte)
{
    async_ring_put(&received.ring, byte, &loop);
}

static async_flag never;
static uint8_t stuck;

/* Four times a second it shows that it lives. */
struct worker { ASYNC_FRAME; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    for (;;) {
        AWAIT(async_sleep, 250);
        if (stuck == 'c')
            for (;;) board_delay(1);
        if (stuck == 'w') AWAIT(async_flag_wait, &never);
        missing &= (uint8_t)~WORKER;
    }
    ASYNC_END;
}

static int told(void *nothing)
{
    (void)nothing;
    return async_ring_count(&received.ring) > 0;
}

/* What it is told, and every half a second that it lives. */
struct reader { ASYNC_FRAME; async_timeout limit; uint8_t byte; };
static ASYNC(reader)
{
    ASYNC_BEGIN(reader);
    for (;;) {
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit, 500) {
                AWAIT(async_wait_until, told, NULL);
            } ASYNC_END_TIMEOUT
            AWAIT_INTO(self->byte, async_ring_get, &received.ring);
            board_print(self->byte == 'c'   ? "one computes for ever\n"
                        : self->byte == 'w' ? "one waits for ever\n"
                        : fed >= 4          ? "fed all the time\n"
                                            : "not fed\n");
            stuck = self->byte;
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {}
        ASYNC_END_TRY
        missing &= (uint8_t)~READER;
    }
    ASYNC_END;
}
ASYNC_STATIC_TASK(worker_task,
                  ASYNC_FRAMES(worker, async_flag_wait, async_wait_until));
ASYNC_STATIC_TASK(reader_task,
                  ASYNC_FRAMES(reader, async_ring_get, async_wait_until));

int main(void)
{
    uint8_t bitten = board_watchdog_start();
    ASYNC_RING_INIT(&received);
    board_init();
    board_print(bitten ? "reset by the watchdog\n" : "power on\n");
    ASYNC_TASK_START(&worker_task, &loop.base, worker);
    ASYNC_TASK_START(&reader_task, &loop.base, reader);
    async_bare_run(&loop);
    return 0;
}
