/* The loop for firmware on a clock of 16 bits. */
#define ASYNC_STATIC_ONLY
#define ASYNC_TIME_BITS 16
#define ASYNC_IMPLEMENTATION
#include "../../async/bare/interrupt.h"

#include "unit.h"

static uint16_t now;
static uint32_t passed; /* what the clock cannot count */
static async_bare_loop *looping;

static uint16_t ticks(void)
{
    return now;
}

/* Time jumps; at least by a tick, for a loop that was woken early. */
static void sleep_until(uint16_t when)
{
    uint16_t span = (uint16_t)(when - now);
    if (when == ASYNC_FOREVER) {
        async_loop_stop(&looping->base);
        return;
    }
    if (span == 0) span = 1;
    now = (uint16_t)(now + span);
    passed += span;
}

static void begin(async_bare_loop *loop, uint16_t at)
{
    now = at;
    passed = 0;
    looping = loop;
    async_bare_loop_init(loop, ticks, sleep_until);
}

static ASYNC_TASK_STORAGE(256) a, b;

struct naps { ASYNC_FRAME; const char *name; int16_t period, count; };
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    while (self->count-- > 0) {
        AWAIT(async_sleep, self->period);
        say("%s%u", self->name, (unsigned)passed);
    }
    ASYNC_END;
}

static uint32_t ended;
struct naps_once { ASYNC_FRAME; int16_t period; };
static ASYNC(naps_once)
{
    ASYNC_BEGIN(naps_once);
    AWAIT(async_sleep, self->period);
    ended = passed;
    ASYNC_END;
}

static void units_of_time_are_constants_that_fit(void **s)
{
    static const async_duration spans[] = { ASYNC_MS(500), ASYNC_SECONDS(30),
                                            ASYNC_SECONDS(0.5),
                                            ASYNC_US(2500) };
    (void)s;
    assert_int_equal(sizeof spans[0], 2);
    assert_int_equal(spans[0], 500);
    assert_int_equal(spans[1], 30000);
    assert_int_equal(spans[2], 500);
    assert_int_equal(spans[3], 2);
}

static void the_longest_sleep_ends_at_its_tick(void **s)
{
    static const uint16_t starts[] = { 0,     1,     100,   32766,
                                       32767, 32768, 40000, 65535 };
    async_bare_loop loop;
    size_t i;
    (void)s;
    for (i = 0; i < sizeof starts / sizeof *starts; i++) {
        begin(&loop, starts[i]);
        assert_int_equal(ASYNC_TASK_START(&a, &loop.base, naps, "", 32766, 3),
                         0);
        async_bare_run(&loop);
        assert_said("32766 65532 98298");
    }
}

static void timers_keep_their_order_across_the_wrap(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin(&loop, 65500);
    ASYNC_TASK_START(&a, &loop.base, naps, "a", 100, 3);
    ASYNC_TASK_START(&b, &loop.base, naps, "b", 20, 6);
    async_bare_run(&loop);
    assert_said("b20 b40 b60 b80 a100 b100 b120 a200 a300");
}

static void a_sleep_may_end_at_any_tick(void **s)
{
    async_bare_loop loop;
    unsigned start;
    (void)s;
    for (start = 0; start < 65536; start++) {
        begin(&loop, (uint16_t)start);
        ASYNC_TASK_START(&a, &loop.base, naps_once, 100);
        async_bare_run(&loop);
        assert_int_equal(ended, 100);
    }
}

struct limited { ASYNC_FRAME; async_timeout limit; };
static ASYNC(limited)
{
    ASYNC_BEGIN(limited);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, 100) {
            AWAIT(async_sleep, ASYNC_FOREVER);
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        ended = passed;
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Two points mean "for ever" and "not at all": a limit there is a tick or two
 * longer. */
static void a_limit_in_time_ends_at_its_tick_or_two_later(void **s)
{
    async_bare_loop loop;
    unsigned start;
    (void)s;
    for (start = 0; start < 65536; start++) {
        begin(&loop, (uint16_t)start);
        ASYNC_TASK_START(&a, &loop.base, limited);
        async_bare_run(&loop);
        assert_int_equal(ended, start == 32667   ? 102
                                : start == 32668 ? 101
                                                 : 100);
    }
}

static void what_sleeps_for_ever_is_only_cancelled(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin(&loop, 65000);
    ASYNC_TASK_START(&a, &loop.base, naps, "a", ASYNC_FOREVER, 1);
    ASYNC_TASK_START(&b, &loop.base, naps, "b", 30000, 3);
    async_bare_run(&loop);
    assert_said("b30000 b60000 b90000");
    assert_false(async_task_done(&a.task));
    async_task_cancel(&a.task);
    async_bare_run(&loop);
    assert_true(async_task_cancelled(&a.task));
}

struct each { ASYNC_FRAME; async_ticker ticker; uint16_t missed; uint8_t i; };
static ASYNC(each)
{
    ASYNC_BEGIN(each);
    async_ticker_start(&self->ticker, async_loop_of(co), 10000);
    for (self->i = 0; self->i < 8; self->i++) {
        AWAIT_INTO(self->missed, async_ticker_wait, &self->ticker);
        say("%u", (unsigned)passed);
        AWAIT(async_sleep, 7000); /* the work */
    }
    ASYNC_END;
}

static void a_ticker_does_not_drift_across_the_wrap(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin(&loop, 60000);
    ASYNC_TASK_START(&a, &loop.base, each);
    async_bare_run(&loop);
    assert_said("10000 20000 30000 40000 50000 60000 70000 80000");
}

UNIT_MAIN(TEST(units_of_time_are_constants_that_fit),
          TEST(the_longest_sleep_ends_at_its_tick),
          TEST(timers_keep_their_order_across_the_wrap),
          TEST(a_sleep_may_end_at_any_tick),
          TEST(a_limit_in_time_ends_at_its_tick_or_two_later),
          TEST(what_sleeps_for_ever_is_only_cancelled),
          TEST(a_ticker_does_not_drift_across_the_wrap))
