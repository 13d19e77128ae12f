/* Two blinkers as tasks: straight-line code, and a loop that sleeps until the
 * next of them is due. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/loop.h"

#include "../board.h"

struct blink_a { ASYNC_FRAME; };
static ASYNC(blink_a)
{
    ASYNC_BEGIN(blink_a);
    for (;;) {
        board_led(0, 1);
        AWAIT(async_sleep, 500);
        board_led(0, 0);
        AWAIT(async_sleep, 500);
    }
    ASYNC_END;
}

struct blink_b { ASYNC_FRAME; };
static ASYNC(blink_b)
{
    ASYNC_BEGIN(blink_b);
    for (;;) {
        board_led(1, 1);
        AWAIT(async_sleep, 100);
        board_led(1, 0);
        AWAIT(async_sleep, 233);
    }
    ASYNC_END;
}

ASYNC_STATIC_TASK(a, ASYNC_FRAMES(blink_a));
ASYNC_STATIC_TASK(b, ASYNC_FRAMES(blink_b));
static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

int main(void)
{
    board_init();
    ASYNC_TASK_START(&a, &loop.base, blink_a);
    ASYNC_TASK_START(&b, &loop.base, blink_b);
    async_bare_run(&loop);
    return 0;
}
