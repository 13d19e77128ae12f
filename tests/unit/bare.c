/* The loop for firmware on a clock of the test's: sleeping is jumping to the
 * deadline, and what computes moves the clock on by hand. */
#define ASYNC_STATIC_ONLY
#define ASYNC_BARE_COUNTERS
#define ASYNC_IMPLEMENTATION
static void watchdog(void);
#define ASYNC_BARE_WATCHDOG() watchdog()
#include "../../async/bare/loop.h"

#include "unit.h"

static uint32_t now;
static async_bare_loop *looping; /* that which sleeps: an interrupt stops it */
static int fed;

static uint32_t ticks(void)
{
    return now;
}
static void sleep_until(uint32_t when)
{
    if (when == ASYNC_FOREVER) {
        async_loop_stop(&looping->base);
        return;
    }
    now = when;
}
static void watchdog(void)
{
    fed++;
}

/* A loop at that tick, with counters from there on. */
static void begin(async_bare_loop *loop, uint32_t at)
{
    now = at;
    looping = loop;
    fed = 0;
    async_bare_loop_init(loop, ticks, sleep_until);
    async_bare_reset_counters(loop);
}

struct naps { ASYNC_FRAME; int32_t period; int count; };
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    while (self->count-- > 0) AWAIT(async_sleep, self->period);
    ASYNC_END;
}

struct computes { ASYNC_FRAME; int32_t first, ticks; };
static ASYNC(computes)
{
    ASYNC_BEGIN(computes);
    AWAIT(async_sleep, self->first);
    now += (uint32_t)self->ticks;
    ASYNC_END;
}

static ASYNC_TASK_STORAGE(128) a, b;

/* --- watchdog ------------------------------------------------------------ */

static void the_watchdog_hook_is_called_once_in_each_iteration(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin(&loop, 0);
    assert_int_equal(async_bare_turn(&loop), ASYNC_FOREVER);
    assert_int_equal(fed, 1);
    async_bare_turn(&loop);
    assert_int_equal(fed, 2);
}

static int fed_when_it_ran;
struct looks { ASYNC_FRAME; };
static ASYNC(looks)
{
    ASYNC_BEGIN(looks);
    fed_when_it_ran = fed;
    ASYNC_END;
}

static void the_watchdog_is_fed_before_anything_runs(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin(&loop, 0);
    ASYNC_TASK_START(&a, &loop.base, looks);
    async_bare_turn(&loop);
    assert_int_equal(fed_when_it_ran, 1);
}

/* --- counters ------------------------------------------------------------ */

static void time_asleep_and_in_all_is_counted(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 1000);
    ASYNC_TASK_START(&a, &loop.base, naps, 100, 3);
    ASYNC_TASK_START(&b, &loop.base, computes, 40, 7);
    async_bare_run(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.total, 300);
    assert_int_equal(counters.asleep, 293);
}

static void time_is_counted_across_the_wrap_of_the_clock(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 0u - 150);
    ASYNC_TASK_START(&a, &loop.base, naps, 100, 3);
    async_bare_run(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.total, 300);
    assert_int_equal(counters.asleep, 300);
    assert_int_equal(counters.overruns, 0);
}

static void the_longest_iteration_is_counted_without_its_sleep(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 0);
    ASYNC_TASK_START(&a, &loop.base, computes, 100, 9);
    ASYNC_TASK_START(&b, &loop.base, computes, 300, 4);
    async_bare_run(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.longest, 9);
}

static void what_passes_between_two_turns_is_no_iteration(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 0);
    async_bare_turn(&loop);
    now += 50;
    async_bare_turn(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.longest, 0);
    assert_int_equal(counters.iterations, 2);
}

static void a_timer_that_is_seen_late_is_an_overrun(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 0);
    ASYNC_TASK_START(&a, &loop.base, naps, 10, 1);
    ASYNC_TASK_START(&b, &loop.base, computes, 5, 20); /* until 25 */
    async_bare_run(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.overruns, 1);
    assert_int_equal(counters.latest, 15);
}

static void a_timer_within_the_tolerance_is_no_overrun(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 0);
    ASYNC_TASK_START(&a, &loop.base, naps, 10, 1);
    ASYNC_TASK_START(&b, &loop.base, computes, 5, 5 + ASYNC_BARE_LATE);
    async_bare_run(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.overruns, 0);
    assert_int_equal(counters.latest, ASYNC_BARE_LATE);
}

struct resets { ASYNC_FRAME; async_bare_loop *loop; };
static ASYNC(resets)
{
    ASYNC_BEGIN(resets);
    AWAIT(async_sleep, 10);
    now += 30;
    async_bare_reset_counters(self->loop);
    ASYNC_END;
}

static void a_reset_forgets_all_and_the_iteration_in_which_it_is(void **s)
{
    async_bare_loop loop;
    async_bare_counters counters;
    (void)s;
    begin(&loop, 0);
    ASYNC_TASK_START(&a, &loop.base, naps, 50, 1);
    ASYNC_TASK_START(&b, &loop.base, resets, &loop);
    async_bare_run(&loop);
    async_bare_get_counters(&loop, &counters);
    assert_int_equal(counters.total, 10);
    assert_int_equal(counters.asleep, 10);
    assert_int_equal(counters.longest, 0);
    assert_int_equal(counters.latest, 0);
    assert_int_equal(counters.overruns, 0);
}

UNIT_MAIN(TEST(the_watchdog_hook_is_called_once_in_each_iteration),
          TEST(the_watchdog_is_fed_before_anything_runs),
          TEST(time_asleep_and_in_all_is_counted),
          TEST(time_is_counted_across_the_wrap_of_the_clock),
          TEST(the_longest_iteration_is_counted_without_its_sleep),
          TEST(what_passes_between_two_turns_is_no_iteration),
          TEST(a_timer_that_is_seen_late_is_an_overrun),
          TEST(a_timer_within_the_tolerance_is_no_overrun),
          TEST(a_reset_forgets_all_and_the_iteration_in_which_it_is))
