/* A blinker that is interrupted, cleans up and starts again: a limit in time,
 * and cancellation. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/loop.h"

#include "../board.h"

struct blink { ASYNC_FRAME; uint8_t led; int16_t on, off; };
static ASYNC(blink)
{
    ASYNC_BEGIN(blink);
    ASYNC_TRY {
        for (;;) {
            board_led(self->led, 1);
            AWAIT(async_sleep, self->on);
            board_led(self->led, 0);
            AWAIT(async_sleep, self->off);
        }
    } ASYNC_FINALLY {
        board_led(self->led, 0); /* it never stays on */
    } ASYNC_END_TRY
    ASYNC_END;
}

ASYNC_STATIC_TASK(background, ASYNC_FRAMES(blink, async_sleep));
static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

/* Three seconds of fast blinking, beside a slow one that stops meanwhile. */
struct alternate { ASYNC_FRAME; async_timeout limit; int error; };
static ASYNC(alternate)
{
    ASYNC_BEGIN(alternate);
    for (;;) {
        ASYNC_TASK_START(&background, &loop.base, blink, 0, 500, 500);
        AWAIT(async_sleep, ASYNC_SECONDS(5));
        async_task_cancel(&background.task);
        ASYNC_TRY {
            AWAIT_TASK(&background.task);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(3)) {
                AWAIT(blink, 1, 50, 50);
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {}
        ASYNC_END_TRY
    }
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(alternate, blink, async_sleep));

int main(void)
{
    board_init();
    ASYNC_TASK_START(&main_task, &loop.base, alternate);
    async_bare_run(&loop);
    return 0;
}
