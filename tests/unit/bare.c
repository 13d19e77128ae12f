/* The loop for firmware on a clock of the test's: sleeping is jumping to the
 * deadline, and what computes moves the clock on by hand. */
#define ASYNC_STATIC_ONLY
#define ASYNC_BARE_COUNTERS
#define ASYNC_IMPLEMENTATION
static void watchdog(void);
#define ASYNC_BARE_WATCHDOG() watchdog()
/* A trap comes back to the test that expects it. */
static void trapped(const char *message);
#define ASYNC_TRAP(message) trapped(message)
#include "../../async/bare/interrupt.h"

#include "unit.h"

static uint32_t now;
static async_bare_loop *looping; /* that which sleeps: an interrupt stops it */
static async_bare_loop
    *preempting; /* its turn is in the interrupt of a tick */
static int fed;

/* So many ticks pass, each with its interrupt. */
static void pass(uint32_t ticks)
{
    while (ticks-- > 0) {
        now++;
        if (preempting != NULL)
            while (async_bare_turn(preempting) == ASYNC_NO_WAIT) {}
    }
}

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
    if (preempting != NULL)
        pass(1);
    else
        now = when;
}
static void watchdog(void)
{
    fed++;
}

static ASYNC_TASK_STORAGE(256) a, b;

/* A loop at that tick, with counters from there on; no task runs. */
static void begin(async_bare_loop *loop, uint32_t at)
{
    now = at;
    looping = loop;
    preempting = NULL;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
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

/* --- priorities ---------------------------------------------------------- */

static async_bare_loop high, low;

static void begin_both(void)
{
    begin(&high, 0);
    begin(&low, 0);
    preempting = &high;
}

struct blinks { ASYNC_FRAME; int32_t period; int count; };
static ASYNC(blinks)
{
    ASYNC_BEGIN(blinks);
    while (self->count-- > 0) {
        AWAIT(async_sleep, self->period);
        say("%u", (unsigned)now);
    }
    ASYNC_END;
}

struct works { ASYNC_FRAME; int32_t first; uint32_t ticks; };
static ASYNC(works)
{
    ASYNC_BEGIN(works);
    AWAIT(async_sleep, self->first);
    say("works");
    pass(self->ticks);
    say("done@%u", (unsigned)now);
    ASYNC_END;
}

static void a_loop_in_an_interrupt_runs_while_a_task_computes(void **s)
{
    (void)s;
    begin_both();
    ASYNC_TASK_START(&a, &high.base, blinks, 5, 6);
    ASYNC_TASK_START(&b, &low.base, works, 7, 20);
    async_bare_run(&low);
    assert_said("6 works 11 16 21 26 done@27"); /* it begins at a tick */
}

static void a_loop_in_an_interrupt_runs_while_the_other_sleeps(void **s)
{
    (void)s;
    begin_both();
    ASYNC_TASK_START(&a, &high.base, blinks, 5, 3);
    ASYNC_TASK_START(&b, &low.base, naps, 20, 1);
    async_bare_run(&low);
    assert_said("6 11 16");
}

static const char *running(void)
{
    async_loop *loop = async_get_running_loop();
    return loop == &low.base ? "low" : loop == &high.base ? "high" : "none";
}

struct asks_what_runs { ASYNC_FRAME; };
static ASYNC(asks_what_runs)
{
    ASYNC_BEGIN(asks_what_runs);
    say("%s", running());
    assert_true(async_loop_is_running(async_get_running_loop()));
    if (async_loop_of(co) == &low.base) {
        pass(1);
        say("%s", running());
        assert_ptr_equal(async_current_task(), &b.task);
    } else {
        assert_true(async_loop_is_running(&low.base));
        assert_ptr_equal(async_current_task(), &a.task);
    }
    ASYNC_END;
}

static void behind_an_interrupt_the_loop_that_it_interrupted_runs(void **s)
{
    (void)s;
    begin_both();
    ASYNC_TASK_START(&a, &high.base, asks_what_runs);
    ASYNC_TASK_START(&b, &low.base, asks_what_runs);
    async_bare_turn(&low);
    assert_said("low high low");
    assert_null(async_get_running_loop());
    assert_false(async_loop_is_running(&low.base));
}

struct runs { ASYNC_FRAME; async_bare_loop *loop; };
static ASYNC(runs)
{
    ASYNC_BEGIN(runs);
    looping = self->loop;
    async_bare_run(self->loop);
    looping = &low;
    say("%s", running());
    ASYNC_END;
}

static void a_run_inside_a_task_leaves_that_tasks_loop_running(void **s)
{
    (void)s;
    begin_both();
    preempting = NULL;
    ASYNC_TASK_START(&a, &high.base, blinks, 5, 2);
    ASYNC_TASK_START(&b, &low.base, runs, &high);
    async_bare_run(&low);
    assert_said("5 10 low");
    assert_null(async_get_running_loop());
}

static void a_run_of_a_loop_inside_itself_returns_at_once(void **s)
{
    (void)s;
    begin_both();
    ASYNC_TASK_START(&a, &low.base, blinks, 5, 1);
    ASYNC_TASK_START(&b, &low.base, runs, &low);
    async_bare_run(&low);
    assert_said("low 5");
}

struct enters_itself { ASYNC_FRAME; };
static ASYNC(enters_itself)
{
    ASYNC_BEGIN(enters_itself);
    say("before");
    assert_int_equal(async_bare_turn(&low), ASYNC_NO_WAIT);
    say("behind");
    ASYNC_END;
}

static void
a_turn_of_a_loop_inside_its_turn_runs_nothing_and_wakes_it(void **s)
{
    (void)s;
    begin_both();
    ASYNC_TASK_START(&a, &low.base, enters_itself);
    ASYNC_TASK_START(&b, &low.base, blinks, 0, 1);
    assert_int_equal(async_bare_turn(&low), ASYNC_NO_WAIT);
    assert_said("before behind");
    assert_int_equal(async_bare_turn(&low), ASYNC_FOREVER);
    assert_said("0");
    assert_int_equal(async_bare_turn(&low), ASYNC_FOREVER);
}

static void a_wake_that_came_inside_the_turn_is_one_turn_more(void **s)
{
    (void)s;
    begin_both();
    ASYNC_TASK_START(&a, &low.base, enters_itself);
    assert_int_equal(async_bare_turn(&low), ASYNC_NO_WAIT);
    assert_int_equal(async_bare_turn(&low), ASYNC_FOREVER);
}

static void a_turn_leaves_a_stop_to_the_run(void **s)
{
    (void)s;
    begin_both();
    async_loop_stop(&low.base);
    async_bare_turn(&low);
    assert_false(async_loop_is_running(&low.base));
    ASYNC_TASK_START(&a, &low.base, blinks, 0, 2);
    async_bare_run(&low); /* one iteration */
    assert_said("");
    async_bare_run(&low);
    assert_said("0 0");
}

static async_flag asked;
static ASYNC_RING(4) numbers;
struct is_told { ASYNC_FRAME; uint8_t byte; };
static ASYNC(is_told)
{
    ASYNC_BEGIN(is_told);
    AWAIT(async_flag_wait, &asked);
    say("flag:%s", running());
    AWAIT_INTO(self->byte, async_ring_get, &numbers.ring);
    say("byte:%s", running());
    ASYNC_END;
}
struct tells { ASYNC_FRAME; async_bare_loop *whom; int ticks; };
static ASYNC(tells)
{
    ASYNC_BEGIN(tells);
    AWAIT(async_sleep, 3);
    async_flag_set(&asked, self->whom);
    pass((uint32_t)self->ticks);
    AWAIT(async_sleep, 3);
    async_ring_put(&numbers.ring, 1, self->whom);
    pass((uint32_t)self->ticks);
    say("told");
    ASYNC_END;
}

static void flags_and_rings_go_to_a_loop_of_higher_priority(void **s)
{
    (void)s;
    begin_both();
    ASYNC_RING_INIT(&numbers);
    ASYNC_TASK_START(&a, &high.base, is_told);
    ASYNC_TASK_START(&b, &low.base, tells, &high, 1);
    async_bare_run(&low);
    assert_said("flag:high byte:high told");
}

static void flags_and_rings_go_to_a_loop_of_lower_priority(void **s)
{
    (void)s;
    begin_both();
    ASYNC_RING_INIT(&numbers);
    ASYNC_TASK_START(&a, &high.base, tells, &low, 0);
    ASYNC_TASK_START(&b, &low.base, is_told);
    while (now < 10) {
        async_bare_turn(&low);
        pass(1);
    }
    assert_said("flag:low told byte:low");
}

static int say_it(void *word)
{
    say("%s:%s", (const char *)word, running());
    return 0;
}
struct calls { ASYNC_FRAME; async_handle *handles; };
static ASYNC(calls)
{
    ASYNC_BEGIN(calls);
    /* The first might be an interrupt's, in the midst of the second. */
    async_loop_call_soon_threadsafe(&low.base, &self->handles[0], say_it,
                                    (void *)"from outside");
    async_loop_call_soon(&low.base, &self->handles[1], say_it, (void *)"soon");
    async_loop_call_soon_threadsafe(&high.base, &self->handles[2], say_it,
                                    (void *)"above");
    pass(1);
    ASYNC_END;
}

static void a_call_from_an_interrupt_is_not_put_where_the_loop_may_be(void **s)
{
    async_handle handles[3];
    (void)s;
    memset(handles, 0, sizeof handles);
    begin_both();
    ASYNC_TASK_START(&a, &low.base, calls, handles);
    async_bare_run(&low);
    assert_said("above:high soon:low from outside:low");
}

static jmp_buf trap;
static void trapped(const char *message)
{
    assert_non_null(strstr(message, "another loop"));
    say("trap");
    longjmp(trap, 1);
}
static async_future plain;
static ASYNC_TASK_STORAGE(128) fresh;
struct meddles { ASYNC_FRAME; };
static ASYNC(meddles)
{
    ASYNC_BEGIN(meddles);
    pass(1); /* from here on they are nested */
    if (setjmp(trap) == 0) ASYNC_TASK_START(&fresh, &high.base, naps, 1, 1);
    if (setjmp(trap) == 0) async_task_cancel(&a.task);
    if (setjmp(trap) == 0) async_future_set_result(&plain);
    if (setjmp(trap) == 0) async_future_set_exception(&plain, ASYNC_EINVAL);
    if (setjmp(trap) == 0) async_future_cancel(&plain);
    ASYNC_END;
}

static void to_change_what_is_another_loops_traps(void **s)
{
    (void)s;
    begin_both();
    async_future_init(&plain, &high.base);
    ASYNC_TASK_START(&a, &high.base, naps, 100, 1);
    ASYNC_TASK_START(&b, &low.base, meddles);
    async_bare_run(&low);
    assert_said("trap trap trap trap trap");
    assert_null(async_task_get_coro(&fresh.task)->top);
    assert_false(async_future_done(&plain));
    assert_false(async_task_done(&a.task));
    assert_true(async_task_cancel(&a.task)); /* outside of both */
    pass(2);
    assert_true(async_task_cancelled(&a.task));
}

/* --- errors that nobody takes -------------------------------------------- */

struct fails { ASYNC_FRAME; int32_t first; int error; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    AWAIT(async_sleep, self->first);
    ASYNC_RAISE(self->error);
    ASYNC_END;
}

static int starts_again;
static int report(async_loop *loop, const async_exception_context *context,
                  void *argument)
{
    (void)argument;
    say("%s:%s@%u", context->message,
        context->future == &a.task.future ? "a" : "?", (unsigned)now);
    if (starts_again-- > 0)
        ASYNC_TASK_START(&a, loop, fails, 10, context->error);
    return 0;
}
static void begin_reporting(async_bare_loop *loop)
{
    begin(loop, 0);
    starts_again = 0;
    async_loop_set_exception_handler(&loop->base, report, NULL);
}

static void an_error_that_nobody_awaits_is_reported_at_the_end_once(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin_reporting(&loop);
    ASYNC_TASK_START(&a, &loop.base, fails, 5, ASYNC_EINVAL);
    async_bare_run(&loop);
    assert_said("Task exception was never retrieved:a@5");
    assert_int_equal(async_task_result(&a.task), ASYNC_EINVAL);
    ASYNC_TASK_START(&a, &loop.base, naps, 5, 1);
    async_bare_run(&loop);
    assert_said("");
}

static void the_handler_may_start_the_task_that_failed_again(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin_reporting(&loop);
    starts_again = 1;
    ASYNC_TASK_START(&a, &loop.base, fails, 5, ASYNC_EINVAL);
    async_bare_run(&loop);
    assert_said("Task exception was never retrieved:a@5 "
                "Task exception was never retrieved:a@15");
}

struct awaits_a { ASYNC_FRAME; };
static ASYNC(awaits_a)
{
    ASYNC_BEGIN(awaits_a);
    ASYNC_TRY {
        AWAIT_TASK(&a.task);
    } ASYNC_EXCEPT(ASYNC_EINVAL) {
        say("taken");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void an_error_that_somebody_awaits_is_not_reported(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin_reporting(&loop);
    ASYNC_TASK_START(&a, &loop.base, fails, 5, ASYNC_EINVAL);
    ASYNC_TASK_START(&b, &loop.base, awaits_a);
    async_bare_run(&loop);
    assert_said("taken");
}

static void the_error_of_a_task_that_is_held_is_not_reported(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin_reporting(&loop);
    ASYNC_TASK_START(&a, &loop.base, fails, 5, ASYNC_EINVAL);
    async_task_retain(&a.task);
    async_bare_run(&loop);
    assert_said("");
    assert_int_equal(async_task_result(&a.task), ASYNC_EINVAL);
    async_task_release(&a.task);
}

static int takes_it(async_future *future, void *argument)
{
    (void)argument;
    say("%d", async_future_result(future) == ASYNC_EINVAL);
    return 0;
}

static void the_error_of_a_task_with_a_done_callback_is_not_reported(void **s)
{
    async_bare_loop loop;
    async_done_callback done;
    (void)s;
    memset(&done, 0, sizeof done);
    begin_reporting(&loop);
    ASYNC_TASK_START(&a, &loop.base, fails, 5, ASYNC_EINVAL);
    async_future_add_done_callback(&a.task.future, &done, takes_it, NULL);
    async_bare_run(&loop);
    assert_said("1");
}

static void a_task_that_was_cancelled_is_not_reported(void **s)
{
    async_bare_loop loop;
    (void)s;
    begin_reporting(&loop);
    ASYNC_TASK_START(&a, &loop.base, naps, 5, 1);
    async_bare_turn(&loop);
    async_task_cancel(&a.task);
    async_bare_run(&loop);
    assert_true(async_task_cancelled(&a.task));
    assert_said("");
}

/* --- storage ------------------------------------------------------------- */

struct one { ASYNC_FRAME; char bytes[100]; };
struct other { ASYNC_FRAME; char bytes[20]; };

static void the_larger_of_two_chains_is_a_constant(void **s)
{
    static char sizes[ASYNC_LARGER(ASYNC_FRAMES(one), ASYNC_FRAMES(other))];
    (void)s;
    assert_int_equal(sizeof sizes, ASYNC_FRAMES(one));
    assert_int_equal(
        ASYNC_LARGER(ASYNC_FRAMES(other, other), ASYNC_FRAMES(one)),
        ASYNC_FRAMES(one));
    assert_int_equal(ASYNC_FRAMES(other) + ASYNC_LARGER(1, 2) * 3,
                     ASYNC_FRAMES(other) + 6);
}

UNIT_MAIN(TEST(a_loop_in_an_interrupt_runs_while_a_task_computes),
          TEST(a_loop_in_an_interrupt_runs_while_the_other_sleeps),
          TEST(behind_an_interrupt_the_loop_that_it_interrupted_runs),
          TEST(a_run_inside_a_task_leaves_that_tasks_loop_running),
          TEST(a_run_of_a_loop_inside_itself_returns_at_once),
          TEST(a_turn_of_a_loop_inside_its_turn_runs_nothing_and_wakes_it),
          TEST(a_wake_that_came_inside_the_turn_is_one_turn_more),
          TEST(a_turn_leaves_a_stop_to_the_run),
          TEST(flags_and_rings_go_to_a_loop_of_higher_priority),
          TEST(flags_and_rings_go_to_a_loop_of_lower_priority),
          TEST(a_call_from_an_interrupt_is_not_put_where_the_loop_may_be),
          TEST(to_change_what_is_another_loops_traps),
          TEST(an_error_that_nobody_awaits_is_reported_at_the_end_once),
          TEST(the_handler_may_start_the_task_that_failed_again),
          TEST(an_error_that_somebody_awaits_is_not_reported),
          TEST(the_error_of_a_task_that_is_held_is_not_reported),
          TEST(the_error_of_a_task_with_a_done_callback_is_not_reported),
          TEST(a_task_that_was_cancelled_is_not_reported),
          TEST(the_larger_of_two_chains_is_a_constant),
          TEST(the_watchdog_hook_is_called_once_in_each_iteration),
          TEST(the_watchdog_is_fed_before_anything_runs),
          TEST(time_asleep_and_in_all_is_counted),
          TEST(time_is_counted_across_the_wrap_of_the_clock),
          TEST(the_longest_iteration_is_counted_without_its_sleep),
          TEST(what_passes_between_two_turns_is_no_iteration),
          TEST(a_timer_that_is_seen_late_is_an_overrun),
          TEST(a_timer_within_the_tolerance_is_no_overrun),
          TEST(a_reset_forgets_all_and_the_iteration_in_which_it_is))
