/* A limit in time as a block. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

/* Takes some seconds; cancelled, it takes `cleanup` seconds, and then does
 * what `cancelled` says: 0 goes on being cancelled, 1 returns all the same,
 * less is raised. */
struct work { ASYNC_FRAME; int seconds, cleanup, cancelled; };
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled@%d", seconds());
        if (self->cleanup) AWAIT(async_sleep, ASYNC_SECONDS(self->cleanup));
        if (self->cancelled == 0) ASYNC_RAISE(ASYNC_ECANCELED);
        if (self->cancelled < 0) ASYNC_RAISE(self->cancelled);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* How a block ended, when, and what is left of the request to cancel. */
static void say_end(int error, const async_timeout *limit)
{
    say("%s@%d", error ? async_error_name(error) : "ok", seconds());
    say("%s%d", async_timeout_expired(limit) ? "expired" : "",
        async_task_cancelling(async_current_task()));
}

struct limits {
    ASYNC_FRAME;
    async_duration delay;
    int seconds, cleanup, cancelled, error;
    async_timeout limit;
};
static ASYNC(limits)
{
    ASYNC_BEGIN(limits);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, self->delay) {
            AWAIT(work, self->seconds, self->cleanup, self->cancelled);
            say("body@%d", seconds());
        } ASYNC_END_TIMEOUT
        say("behind");
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error, &self->limit);
    ASYNC_END;
}

static int cancel(void *task)
{
    async_task_cancel((async_task *)task);
    return 0;
}

/* --- in time, and too late ----------------------------------------------- */

static void a_body_that_ends_in_time_leaves_no_timer(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, ASYNC_SECONDS(2), 1), 0);
    assert_said("body@1 behind ok@1 0");
    assert_int_equal(seconds(), 1);
}

static void too_late_it_is_interrupted_and_times_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, ASYNC_SECONDS(2), 9), 0);
    assert_said("cancelled@2 ASYNC_ETIMEDOUT@2 expired0");
}

static void it_times_out_when_the_body_has_cleaned_up(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, ASYNC_SECONDS(2), 9, 3), 0);
    assert_said("cancelled@2 ASYNC_ETIMEDOUT@5 expired0");
}

static void a_body_that_swallows_the_cancellation_goes_on(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, ASYNC_SECONDS(2), 9, 3, 1), 0);
    assert_said("cancelled@2 body@5 behind ok@5 expired0");
}

static void another_error_of_the_body_stays_what_it_is(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, ASYNC_SECONDS(2), 9, 0, EKEY), 0);
    assert_said("cancelled@2 EKEY@2 expired0");
}

static void forever_and_what_is_as_good_as_that_set_no_limit(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, ASYNC_FOREVER, 1000000), 0);
    assert_said("body@1000000 behind ok@1000000 0");
    assert_int_equal(RUN(limits, ASYNC_FOREVER - 1, 1000000), 0);
    assert_said("body@1000000 behind ok@1000000 0");
}

static void without_time_the_body_runs_to_its_first_await(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, 0, 9), 0);
    assert_said("cancelled@0 ASYNC_ETIMEDOUT@0 expired0");
    assert_int_equal(RUN(limits, -ASYNC_SECONDS(5), 9), 0);
    assert_said("cancelled@0 ASYNC_ETIMEDOUT@0 expired0");
}

struct at_once { ASYNC_FRAME; async_timeout limit; };
static ASYNC(at_once)
{
    ASYNC_BEGIN(at_once);
    ASYNC_TIMEOUT(&self->limit, 0) {
        say("body");
    } ASYNC_END_TIMEOUT
    ASYNC_SUSPEND;
    say_end(0, &self->limit);
    ASYNC_END;
}

static void without_time_a_body_that_does_not_await_is_not_disturbed(void **s)
{
    (void)s;
    assert_int_equal(RUN(at_once), 0);
    assert_said("body ok@0 0");
}

struct until { ASYNC_FRAME; async_time when; async_timeout limit; };
static ASYNC(until)
{
    ASYNC_BEGIN(until);
    AWAIT(async_sleep, ASYNC_SECONDS(3));
    ASYNC_TRY {
        ASYNC_TIMEOUT_AT(&self->limit, self->when) {
            AWAIT(work, 9);
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say_end(ASYNC_ETIMEDOUT, &self->limit);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_point_in_time_may_be_the_limit_even_one_that_is_past(void **s)
{
    (void)s;
    assert_int_equal(RUN(until, ASYNC_SECONDS(5)), 0);
    assert_said("cancelled@5 ASYNC_ETIMEDOUT@5 expired0");
    assert_int_equal(RUN(until, ASYNC_SECONDS(1)), 0);
    assert_said("cancelled@3 ASYNC_ETIMEDOUT@3 expired0");
}

/* --- every way out ------------------------------------------------------- */

struct leaves { ASYNC_RETURNS(int); int how, i; async_timeout limit; };
static ASYNC(leaves)
{
    ASYNC_BEGIN(leaves);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(5)) {
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            if (self->how == 1) break;
            if (self->how == 2) continue;
            if (self->how == 3) ASYNC_RETURN(7);
            if (self->how == 4) ASYNC_RAISE(EKEY);
        } ASYNC_END_TIMEOUT
        say("end");
    }
    ASYNC_RETURN(self->i);
    ASYNC_END;
}
struct leaving { ASYNC_FRAME; int how, n, error; };
static ASYNC(leaving)
{
    ASYNC_BEGIN(leaving);
    AWAIT_CATCH_INTO(self->error, self->n, leaves, self->how);
    say("%d %s@%d", self->n,
        self->error ? async_error_name(self->error) : "ok", seconds());
    /* A timer that was left would cancel this. */
    AWAIT(async_sleep, ASYNC_SECONDS(10));
    ASYNC_END;
}

static void every_way_out_disarms_it_and_it_can_be_used_again(void **s)
{
    (void)s;
    assert_int_equal(RUN(leaving, 0), 0);
    assert_said("end end end 3 ok@3");
    assert_int_equal(RUN(leaving, 1), 0);
    assert_said("0 ok@1");
    assert_int_equal(RUN(leaving, 2), 0);
    assert_said("3 ok@3");
    assert_int_equal(RUN(leaving, 3), 0);
    assert_said("7 ok@1");
    assert_int_equal(RUN(leaving, 4), 0);
    assert_said("0 EKEY@1");
}

/* --- others who cancel --------------------------------------------------- */

struct cancels { ASYNC_FRAME; int at, cleanup; async_task *task; int error; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task =
        async_create_task(CO(limits, ASYNC_SECONDS(2), 9, self->cleanup));
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(self->at), cancel,
                          self->task);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void a_cancellation_from_outside_stays_one(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, 1), 0);
    assert_said("cancelled@1 ASYNC_ECANCELED@1 1");
}

static void cancelled_before_the_limit_and_interrupted_by_it_too(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, 1, 5), 0);
    assert_said("cancelled@1 ASYNC_ECANCELED@2 expired1");
}

static void cancelled_while_it_times_out_it_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, 3, 5), 0);
    assert_said("cancelled@2 ASYNC_ECANCELED@3 expired1");
}

struct both { ASYNC_FRAME; int outer, inner, error; async_timeout o, i; };
static ASYNC(both)
{
    ASYNC_BEGIN(both);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->o, ASYNC_SECONDS(self->outer)) {
            ASYNC_TRY {
                ASYNC_TIMEOUT(&self->i, ASYNC_SECONDS(self->inner)) {
                    AWAIT(work, 9);
                } ASYNC_END_TIMEOUT
            } ASYNC_EXCEPT_ALL(self->error) {
                say_end(self->error, &self->i);
                ASYNC_RAISE(self->error);
            } ASYNC_END_TRY
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error, &self->o);
    ASYNC_END;
}

static void of_two_limits_the_one_that_has_passed_times_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(both, 5, 2), 0);
    assert_said("cancelled@2 ASYNC_ETIMEDOUT@2 expired0 ASYNC_ETIMEDOUT@2 0");
    assert_int_equal(RUN(both, 2, 5), 0);
    assert_said("cancelled@2 ASYNC_ECANCELED@2 1 ASYNC_ETIMEDOUT@2 expired0");
}

static void of_two_that_pass_at_once_the_outer_one_times_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(both, 2, 2), 0);
    assert_said("cancelled@2 ASYNC_ECANCELED@2 expired1 "
                "ASYNC_ETIMEDOUT@2 expired0");
}

struct in_finally { ASYNC_FRAME; async_timeout limit; };
static ASYNC(in_finally)
{
    ASYNC_BEGIN(in_finally);
    ASYNC_TRY {
        ASYNC_RAISE(EKEY);
    } ASYNC_FINALLY {
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
                AWAIT(work, 9);
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            say("gave up");
        } ASYNC_END_TRY
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_finally_may_have_a_limit(void **s)
{
    (void)s;
    assert_int_equal(RUN(in_finally), EKEY);
    assert_said("cancelled@1 gave up");
}

/* --- rescheduling -------------------------------------------------------- */

struct moves {
    ASYNC_FRAME;
    async_time first, second;
    int error;
    async_timeout limit;
};
static ASYNC(moves)
{
    ASYNC_BEGIN(moves);
    ASYNC_TRY {
        ASYNC_TIMEOUT_AT(&self->limit, self->first) {
            assert_true(async_timeout_when(&self->limit) == self->first);
            assert_int_equal(
                async_timeout_reschedule(&self->limit, self->second), 0);
            assert_true(async_timeout_when(&self->limit) == self->second);
            AWAIT(async_sleep, ASYNC_SECONDS(9));
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error, &self->limit);
    ASYNC_END;
}

static void the_deadline_can_be_moved_set_and_taken_away(void **s)
{
    (void)s;
    assert_int_equal(RUN(moves, ASYNC_SECONDS(2), ASYNC_SECONDS(4)), 0);
    assert_said("ASYNC_ETIMEDOUT@4 expired0");
    assert_int_equal(RUN(moves, ASYNC_SECONDS(4), ASYNC_SECONDS(2)), 0);
    assert_said("ASYNC_ETIMEDOUT@2 expired0");
    assert_int_equal(RUN(moves, ASYNC_FOREVER, ASYNC_SECONDS(2)), 0);
    assert_said("ASYNC_ETIMEDOUT@2 expired0");
    assert_int_equal(RUN(moves, ASYNC_SECONDS(2), ASYNC_FOREVER), 0);
    assert_said("ok@9 0");
    assert_int_equal(RUN(moves, 0, ASYNC_SECONDS(2)), 0);
    assert_said("ASYNC_ETIMEDOUT@2 expired0");
    assert_int_equal(RUN(moves, ASYNC_SECONDS(2), 0), 0);
    assert_said("ASYNC_ETIMEDOUT@0 expired0");
}

struct states { ASYNC_FRAME; async_timeout limit; };
static ASYNC(states)
{
    ASYNC_BEGIN(states);
    say("%s", async_error_name(async_timeout_reschedule(&self->limit, 1)));
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {}
    ASYNC_END_TIMEOUT
    say("%s", async_error_name(async_timeout_reschedule(&self->limit, 1)));
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
            ASYNC_TRY {
                AWAIT(work, 9);
            } ASYNC_FINALLY {
                say("%s", async_error_name(
                              async_timeout_reschedule(&self->limit, 1)));
            } ASYNC_END_TRY
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("%s", async_error_name(async_timeout_reschedule(&self->limit, 1)));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void only_while_it_runs_can_it_be_moved(void **s)
{
    (void)s;
    assert_int_equal(RUN(states), 0);
    assert_said("ASYNC_ETIMEOUTNEW ASYNC_ETIMEOUTOVER cancelled@1 "
                "ASYNC_ETIMEOUTEXPIRING ASYNC_ETIMEOUTEXPIRED");
}

/* --- misuse, and what else goes through ---------------------------------- */

struct twice { ASYNC_FRAME; async_timeout limit; int error; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(2)) {
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
                say("never");
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT_ANY(self->error) {
            say("%s", async_error_name(self->error));
        } ASYNC_END_TRY
        AWAIT(work, 9);
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}

static void a_struct_that_is_in_use_cannot_be_used_again(void **s)
{
    (void)s;
    assert_int_equal(RUN(twice), ASYNC_ETIMEDOUT);
    assert_said("ASYNC_ETIMEOUTUSED cancelled@2");
}

struct passes { ASYNC_FRAME; async_timeout limit; };
static ASYNC(passes)
{
    ASYNC_BEGIN(passes);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT(work, 9);
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}
static void it_needs_a_task(void **s)
{
    async co;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(passes)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOLOOP);
    async_close(&co);
}

struct traced { ASYNC_FRAME; };
static ASYNC(traced)
{
    async_traceback traceback;
    ASYNC_BEGIN(traced);
    ASYNC_TRY {
        AWAIT(passes);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        async_traceback_of(co, &traceback);
        say("%s:", async_error_name(traceback.error));
        while (traceback.count > 0)
            say("%s", traceback.entries[--traceback.count].name);
        assert_true(async_traceback_context(&traceback));
        say("%s:", async_error_name(traceback.error));
        while (traceback.count > 0)
            say("%s", traceback.entries[--traceback.count].name);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void the_traceback_tells_where_it_was_interrupted(void **s)
{
    (void)s;
    assert_int_equal(RUN(traced), 0);
    assert_said("cancelled@1 ASYNC_ETIMEDOUT: traced passes "
                "ASYNC_ECANCELED: passes work");
}

static void a_loop_may_be_closed_while_limits_are_armed(void **s)
{
    async_task *task;
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, NULL, NULL);
    task = async_loop_create_task(&loop.base, CO(passes));
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    async_task_cancel(task);
    async_task_release(task);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("cancelled@0");
}

UNIT_MAIN(TEST(a_body_that_ends_in_time_leaves_no_timer),
          TEST(too_late_it_is_interrupted_and_times_out),
          TEST(it_times_out_when_the_body_has_cleaned_up),
          TEST(a_body_that_swallows_the_cancellation_goes_on),
          TEST(another_error_of_the_body_stays_what_it_is),
          TEST(forever_and_what_is_as_good_as_that_set_no_limit),
          TEST(without_time_the_body_runs_to_its_first_await),
          TEST(without_time_a_body_that_does_not_await_is_not_disturbed),
          TEST(a_point_in_time_may_be_the_limit_even_one_that_is_past),
          TEST(every_way_out_disarms_it_and_it_can_be_used_again),
          TEST(a_cancellation_from_outside_stays_one),
          TEST(cancelled_before_the_limit_and_interrupted_by_it_too),
          TEST(cancelled_while_it_times_out_it_is_cancelled),
          TEST(of_two_limits_the_one_that_has_passed_times_out),
          TEST(of_two_that_pass_at_once_the_outer_one_times_out),
          TEST(a_finally_may_have_a_limit),
          TEST(the_deadline_can_be_moved_set_and_taken_away),
          TEST(only_while_it_runs_can_it_be_moved),
          TEST(a_struct_that_is_in_use_cannot_be_used_again),
          TEST(it_needs_a_task),
          TEST(the_traceback_tells_where_it_was_interrupted),
          TEST(a_loop_may_be_closed_while_limits_are_armed))
