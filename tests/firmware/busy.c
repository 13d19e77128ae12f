/* flags: -UASYNC_STATIC_ONLY -DASYNC_FREESTANDING */
/* What an interrupt tells is heard in the next iteration, however busy the loop
 * is: also by the loop that has a heap. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"

#include "examples/firmware/board.h"

static async_bare_loop loop;
static async_flag flag;
static uint16_t turns, heard;

struct busy { ASYNC_FRAME; };
static ASYNC(busy)
{
    ASYNC_BEGIN(busy);
    for (turns = 0; turns < 2000; turns++) {
        if (turns == 1000) async_flag_set(&flag, &loop);
        AWAIT(async_sleep, 0);
    }
    async_loop_stop(&loop.base);
    ASYNC_END;
}

struct listens { ASYNC_FRAME; };
static ASYNC(listens)
{
    ASYNC_BEGIN(listens);
    AWAIT(async_flag_wait, &flag);
    heard = turns;
    ASYNC_END;
}

static ASYNC_TASK_STORAGE(ASYNC_FRAMES(busy, async_sleep)) first;
static ASYNC_TASK_STORAGE(ASYNC_FRAMES(listens, async_flag_wait,
                                       async_wait_until)) second;

int main(void)
{
    board_init();
    async_bare_loop_init(&loop, board_ticks, board_sleep_until);
    async_task_start(&second, &loop.base, CO(listens));
    async_task_start(&first, &loop.base, CO(busy));
    async_bare_run(&loop);
    board_print(heard >= 1000 && heard < 1004 ? "heard\n" : "not heard\n");
    board_exit(0);
    return 0;
}
