/* flags: -DASYNC_BARE_COUNTERS */
/* What the loop counts, as far as it is the same on every machine: how much of a
 * sleep it slept, the longest iteration, and a timer that is late for it. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/loop.h"

#include "examples/firmware/board.h"
#include "examples/firmware/text.h"

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);
static async_bare_counters counted;

/* What was counted, when it lies within these bounds. */
static void say(const char *what, uint32_t n, uint32_t least, uint32_t most)
{
    board_print(what);
    if (n >= least && n <= most) {
        board_print(": as it should be\n");
        return;
    }
    board_print(": FAILED, ");
    print_number(n);
    board_print("\n");
    board_exit(1);
}

struct sleeps { ASYNC_FRAME; };
static ASYNC(sleeps)
{
    ASYNC_BEGIN(sleeps);
    AWAIT(async_sleep, 30);
    ASYNC_END;
}
ASYNC_STATIC_TASK(sleeper, ASYNC_FRAMES(sleeps, async_sleep));

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_bare_reset_counters(&loop);
    AWAIT(async_sleep, 500);
    async_bare_get_counters(&loop, &counted);
    say("500 ticks in all", counted.total, 500, 503);
    say("asleep for nearly all of them", counted.asleep, 490, 503);
    say("iterations", counted.iterations, 2, 600);
    say("none of them long", counted.longest, 0, 2);
    say("no timer is late", counted.overruns, 0, 0);

    /* While this computes, the sleeper's time comes. */
    async_bare_reset_counters(&loop);
    ASYNC_TASK_START(&sleeper, &loop.base, sleeps);
    AWAIT(async_sleep, 10);
    board_delay(60);
    AWAIT_TASK(&sleeper.task);
    async_bare_get_counters(&loop, &counted);
    say("the longest iteration computes for 60", counted.longest, 60, 63);
    say("a timer is late", counted.overruns, 1, 1);
    say("by 40", counted.latest, 39, 43);

    async_bare_reset_counters(&loop);
    AWAIT(async_sleep, 50);
    async_bare_get_counters(&loop, &counted);
    say("all is forgotten", counted.overruns + counted.longest, 0, 2);
    async_loop_stop(&loop.base);
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program, async_sleep));

int main(void)
{
    board_init();
    ASYNC_TASK_START(&main_task, &loop.base, program);
    async_bare_run(&loop);
    board_exit(async_task_result(&main_task.task) != 0);
    return 0;
}
