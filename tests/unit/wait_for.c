/* A limit in time, and a shield from cancellation. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

/* Takes some seconds, and returns `result` or raises it when it is negative;
 * cancelled, it takes `cleanup` seconds, and then does what `cancelled` says:
 * 0 goes on being cancelled, 1 returns all the same, less is raised. */
struct work {
    ASYNC_RETURNS(int);
    const char *name;
    int seconds, result, cleanup, cancelled;
};
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        say("%s", self->name);
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("%s:cancelled@%d", self->name, seconds());
        if (self->cleanup) AWAIT(async_sleep, ASYNC_SECONDS(self->cleanup));
        if (self->cancelled == 0) ASYNC_RAISE(ASYNC_ECANCELED);
        if (self->cancelled < 0) ASYNC_RAISE(self->cancelled);
    } ASYNC_END_TRY
    say("%s@%d", self->name, seconds());
    if (self->result < 0) ASYNC_RAISE(self->result);
    ASYNC_RETURN(self->result);
    ASYNC_END;
}

/* Says how what it tries has ended, and when. */
static void say_end(int error)
{
    say("%s@%d", error ? async_error_name(error) : "ok", seconds());
}

/* Awaits anything with a limit, and says how that ended. */
struct limits {
    ASYNC_FRAME;
    async_object object;
    async_duration timeout;
    int error;
};
static ASYNC(limits)
{
    ASYNC_BEGIN(limits);
    ASYNC_TRY {
        AWAIT(async_wait_for, self->object, self->timeout);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error);
    /* Its own cancellation must have been taken back. */
    say("%d", async_task_cancelling(async_current_task()));
    ASYNC_END;
}
#define LIMIT(object, timeout) RUN(limits, (object), (timeout))

/* Awaits a task, and says how it ended and when. */
struct ending { ASYNC_FRAME; async_task *task; int error; };
static ASYNC(ending)
{
    ASYNC_BEGIN(ending);
    ASYNC_TRY {
        AWAIT_TASK(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error);
    ASYNC_END;
}

struct nothing { ASYNC_FRAME; };
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
    ASYNC_END;
}

static int cancel(void *task)
{
    say("cancel:%d", async_task_cancel(task));
    return 0;
}
static int finish(void *future)
{
    say("set:%d", async_future_set_result(future));
    return 0;
}

/* --- in time, and too late ----------------------------------------------- */

static void what_ends_in_time_has_no_limit(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a", 1), ASYNC_SECONDS(2)), 0);
    assert_said("a a@1 ok@1 0");
    assert_int_equal(seconds(), 1); /* and no timer is left */
}

static void what_fails_in_time_raises_its_error(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a", 1, EKEY), ASYNC_SECONDS(2)), 0);
    assert_said("a a@1 EKEY@1 0");
    assert_int_equal(seconds(), 1);
}

static void what_does_not_suspend_needs_no_time(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(nothing), 1), 0);
    assert_said("ok@0 0");
}

static void
too_late_it_times_out_when_what_was_awaited_has_cleaned_up(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a", 9, 0, 2), ASYNC_SECONDS(1)), 0);
    assert_said("a a:cancelled@1 ASYNC_ETIMEDOUT@3 0");
}

struct forever { ASYNC_FRAME; int n; };
static ASYNC(forever)
{
    ASYNC_BEGIN(forever);
    AWAIT_WAIT_FOR(ASYNC_FOREVER, work, "a", 1000000);
    AWAIT_WAIT_FOR(ASYNC_FOREVER - 1, work, "b", 1000000);
    ASYNC_END;
}

static void forever_sets_no_limit_and_a_huge_one_is_none_either(void **s)
{
    (void)s;
    assert_int_equal(RUN(forever), 0);
    assert_said("a a@1000000 b b@2000000");
    assert_int_equal(seconds(), 2000000);
}

struct says_task { ASYNC_FRAME; };
static ASYNC(says_task)
{
    ASYNC_BEGIN(says_task);
    say("%s", async_task_get_name(async_current_task()));
    AWAIT(async_sleep, 1);
    ASYNC_END;
}

static void a_coroutine_runs_inside_the_task_that_waits(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(says_task), ASYNC_SECONDS(1)), 0);
    assert_said("Task-1 ok@0 0");
}

/* --- typed --------------------------------------------------------------- */

struct large { ASYNC_RETURNS(int); int n; char room[3000]; };
static ASYNC(large)
{
    ASYNC_BEGIN(large);
    AWAIT(async_sleep, ASYNC_SECONDS(self->n));
    memset(self->room, 'x', sizeof self->room);
    ASYNC_RETURN(self->n * 10);
    ASYNC_END;
}
struct aligned {
    ASYNC_RETURNS(double);
    __attribute__((aligned(64))) char line[128];
};
static ASYNC(aligned)
{
    ASYNC_BEGIN(aligned);
    ASYNC_RETURN((uintptr_t)self->line % 64 == 0 ? 0.5 : -1);
    ASYNC_END;
}
struct typed { ASYNC_FRAME; int n; double d; };
static ASYNC(typed)
{
    ASYNC_BEGIN(typed);
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(2), work, .name = "a",
                        .seconds = 1, .result = 7);
    say("%d", self->n);
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(4), large, 3);
    say("%d", self->n);
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_FOREVER, large, 0);
    say("%d", self->n);
    AWAIT_WAIT_FOR_INTO(self->d, ASYNC_SECONDS(1), aligned);
    say("%g", self->d);
    ASYNC_END;
}

static void a_result_is_typed_however_large_the_frame_was(void **s)
{
    (void)s;
    assert_int_equal(RUN(typed), 0);
    assert_said("a a@1 7 30 0 0.5");
}

struct untouched { ASYNC_FRAME; int n, swallowed; };
static ASYNC(untouched)
{
    ASYNC_BEGIN(untouched);
    self->n = 5;
    ASYNC_TRY {
        AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(1), work, "a", 9, 7);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("%d", self->n);
    } ASYNC_END_TRY
    ASYNC_TRY {
        AWAIT_WAIT_FOR_INTO(self->n, 0, work, "b", 9, 7);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("%d", self->n);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void after_an_error_the_place_is_untouched(void **s)
{
    (void)s;
    assert_int_equal(RUN(untouched), 0);
    assert_said("a a:cancelled@1 5 5");
}

/* --- no time at all ------------------------------------------------------ */

static void without_time_a_coroutine_is_never_started(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a"), 0), 0);
    assert_said("ASYNC_ETIMEDOUT@0 0");
    assert_int_equal(LIMIT(CO(work, "a"), -1), 0);
    assert_said("ASYNC_ETIMEDOUT@0 0");
    assert_int_equal(LIMIT(CO(nothing), 0), 0);
    assert_said("ASYNC_ETIMEDOUT@0 0");
}

struct without_time { ASYNC_FRAME; async_task *task; async_future future; };
static ASYNC(without_time)
{
    ASYNC_BEGIN(without_time);
    self->task = async_create_task(CO(work, "a", 0, EKEY));
    ASYNC_SUSPEND;
    ASYNC_SUSPEND;
    async_loop_stop(&loop.base); /* ends the run if one of these suspends */
    AWAIT(limits, async_task_object(self->task), 0);
    async_future_init(&self->future, &loop.base);
    async_future_set_result(&self->future);
    AWAIT(limits, async_future_object(&self->future), 0);
    AWAIT(limits, async_future_object(&self->future), -ASYNC_SECONDS(5));
    async_task_release(self->task);
    ASYNC_END;
}

static void without_time_what_is_done_is_taken_without_suspending(void **s)
{
    (void)s;
    assert_int_equal(RUN(without_time), 0);
    assert_said("a a@0 EKEY@0 0 ok@0 0 ok@0 0");
}

struct pending_future { ASYNC_FRAME; async_future future; };
static ASYNC(pending_future)
{
    ASYNC_BEGIN(pending_future);
    async_future_init(&self->future, &loop.base);
    AWAIT(limits, async_future_object(&self->future), 0);
    assert_true(async_future_cancelled(&self->future));
    ASYNC_END;
}

static void without_time_a_pending_future_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(pending_future), 0);
    assert_said("ASYNC_ETIMEDOUT@0 0");
}

struct pending_gathering { ASYNC_FRAME; async_gathering all; };
static ASYNC(pending_gathering)
{
    ASYNC_BEGIN(pending_gathering);
    async_gather_add(&self->all, CO(work, "never", 1));
    AWAIT(limits, async_future_object(async_gather_start(&self->all)), 0);
    async_gather_clear(&self->all);
    ASYNC_END;
}

/* Its future fails with the cancellation, and is not itself cancelled. */
static void without_time_a_pending_gathering_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(pending_gathering), 0);
    assert_said("ASYNC_ETIMEDOUT@0 0");
}

struct pending_task { ASYNC_FRAME; int begun, cancelled; async_task *task; };
static ASYNC(pending_task)
{
    ASYNC_BEGIN(pending_task);
    self->task = async_create_task(CO(work, "a", 9, 7, 2, self->cancelled));
    if (self->begun) ASYNC_SUSPEND;
    AWAIT(limits, async_task_object(self->task), 0);
    assert_true(async_task_done(self->task));
    async_task_release(self->task);
    ASYNC_END;
}

static void without_time_a_pending_task_is_cancelled_and_waited_for(void **s)
{
    (void)s;
    assert_int_equal(RUN(pending_task, .begun = 0), 0);
    assert_said("ASYNC_ETIMEDOUT@0 0");
    assert_int_equal(RUN(pending_task, .begun = 1), 0);
    assert_said("a a:cancelled@0 ASYNC_ETIMEDOUT@2 0");
    /* what it does instead of being cancelled is what it comes to */
    assert_int_equal(RUN(pending_task, .begun = 1, .cancelled = 1), 0);
    assert_said("a a:cancelled@0 a@2 ok@2 0");
    assert_int_equal(RUN(pending_task, .begun = 1, .cancelled = EKEY), 0);
    assert_said("a a:cancelled@0 EKEY@2 0");
}

struct cancels_waiting { ASYNC_FRAME; async_task *task, *waits; };
static ASYNC(cancels_waiting)
{
    ASYNC_BEGIN(cancels_waiting);
    self->task = async_create_task(CO(work, "a", 9, 7, 2));
    ASYNC_SUSPEND;
    self->waits =
        async_create_task(CO(limits, async_task_object(self->task), 0));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->waits); /* the task is not cancelled again */
    AWAIT(ending, self->waits);
    AWAIT(ending, self->task);
    async_task_release(self->task);
    async_task_release(self->waits);
    ASYNC_END;
}

static void
cancelled_while_it_waits_for_the_cleanup_it_leaves_at_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_waiting), 0);
    assert_said("a a:cancelled@0 ASYNC_ECANCELED@1 1 ok@1 ASYNC_ECANCELED@2");
}

/* --- tasks and futures --------------------------------------------------- */

struct limits_task { ASYNC_FRAME; ASYNC_TASK_OF(work) t; };
static ASYNC(limits_task)
{
    ASYNC_BEGIN(limits_task);
    ASYNC_SPAWN(self->t, work, "a", 1, 7);
    AWAIT(limits, async_task_object(self->t.task), ASYNC_SECONDS(2));
    say("%d", ASYNC_TASK_RESULT(self->t));
    async_task_release(self->t.task);
    ASYNC_SPAWN(self->t, work, "b", 9, 7, 2);
    AWAIT(limits, async_task_object(self->t.task), ASYNC_SECONDS(2));
    assert_true(async_task_cancelled(self->t.task));
    async_task_release(self->t.task);
    ASYNC_END;
}

static void a_task_is_cancelled_when_the_time_is_over(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits_task), 0);
    assert_said("a a@1 ok@1 0 7 b b:cancelled@3 ASYNC_ETIMEDOUT@5 0");
}

struct limits_future { ASYNC_FRAME; async_future future; };
static ASYNC(limits_future)
{
    ASYNC_BEGIN(limits_future);
    async_future_init(&self->future, &loop.base);
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), finish,
                          &self->future);
    AWAIT(limits, async_future_object(&self->future), ASYNC_SECONDS(2));
    async_future_init(&self->future, &loop.base);
    AWAIT(limits, async_future_object(&self->future), ASYNC_SECONDS(2));
    assert_true(async_future_cancelled(&self->future));
    ASYNC_END;
}

static void a_future_is_cancelled_when_the_time_is_over(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits_future), 0);
    assert_said("set:0 ok@1 0 ASYNC_ETIMEDOUT@3 0");
}

struct cancelled_inside { ASYNC_FRAME; async_task *task; };
static ASYNC(cancelled_inside)
{
    ASYNC_BEGIN(cancelled_inside);
    self->task = async_create_task(CO(work, "a", 9));
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), cancel,
                          self->task);
    AWAIT(limits, async_task_object(self->task), ASYNC_SECONDS(2));
    async_task_release(self->task);
    ASYNC_END;
}

static void a_task_that_somebody_else_cancels_has_not_timed_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancelled_inside), 0);
    assert_said("a cancel:1 a:cancelled@1 ASYNC_ECANCELED@1 0");
}

/* --- what it makes of the cancellation ----------------------------------- */

static void one_that_swallows_the_cancellation_returns_its_value(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a", 9, 7, 2, 1), ASYNC_SECONDS(1)), 0);
    assert_said("a a:cancelled@1 a@3 ok@3 0");
}

static void
one_that_raises_another_error_while_it_cleans_up_raises_that(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a", 9, 7, 2, EKEY), ASYNC_SECONDS(1)), 0);
    assert_said("a a:cancelled@1 EKEY@3 0");
}

/* --- cancellation from outside ------------------------------------------- */

struct limits_work { ASYNC_FRAME; int cleanup; };
static ASYNC(limits_work)
{
    ASYNC_BEGIN(limits_work);
    AWAIT(limits, CO(work, "a", 9, 0, self->cleanup), ASYNC_SECONDS(3));
    ASYNC_END;
}
struct cancels { ASYNC_FRAME; int at, cleanup, before; async_task *task; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task = async_create_task(CO(limits_work, self->cleanup));
    if (!self->before) ASYNC_SUSPEND; /* so that it arms its limit first */
    async_loop_call_at(&loop.base, NULL, ASYNC_SECONDS(self->at), cancel,
                       self->task);
    AWAIT(ending, self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void cancellation_from_outside_passes_through(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .at = 1, .cleanup = 1), 0);
    assert_said("a cancel:1 a:cancelled@1 ASYNC_ECANCELED@2 1 ok@2");
    assert_int_equal(seconds(), 2);
}

static void cancellation_in_the_iteration_of_the_timeout_wins(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .at = 3, .cleanup = 1, .before = 0), 0);
    assert_said("a cancel:1 a:cancelled@3 ASYNC_ECANCELED@4 1 ok@4");
    assert_int_equal(RUN(cancels, .at = 3, .cleanup = 1, .before = 1), 0);
    assert_said("a cancel:1 a:cancelled@3 ASYNC_ECANCELED@4 1 ok@4");
}

static void
a_limit_that_expires_while_it_is_cancelled_interrupts_the_cleanup(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .at = 1, .cleanup = 5), 0);
    assert_said("a cancel:1 a:cancelled@1 ASYNC_ECANCELED@3 1 ok@3");
}

static void cancelled_while_it_times_out_it_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .at = 4, .cleanup = 5), 0);
    assert_said("a a:cancelled@3 cancel:1 ASYNC_ECANCELED@4 1 ok@4");
}

struct survivor { ASYNC_FRAME; };
static ASYNC(survivor)
{
    ASYNC_BEGIN(survivor);
    async_task_cancel(async_current_task());
    ASYNC_TRY {
        ASYNC_SUSPEND;
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("survived");
    } ASYNC_END_TRY
    AWAIT(limits, CO(work, "a", 9), ASYNC_SECONDS(1));
    ASYNC_END;
}

static void
a_request_that_was_there_before_does_not_spoil_the_timeout(void **s)
{
    (void)s;
    assert_int_equal(RUN(survivor), 0);
    assert_said("survived a a:cancelled@1 ASYNC_ETIMEDOUT@1 1");
}

/* --- at the same instant ------------------------------------------------- */

static void what_takes_exactly_as_long_as_the_limit_is_too_late(void **s)
{
    (void)s;
    assert_int_equal(LIMIT(CO(work, "a", 1), ASYNC_SECONDS(1)), 0);
    assert_said("a a:cancelled@1 ASYNC_ETIMEDOUT@1 0");
}

struct instant {
    ASYNC_FRAME;
    int before;
    async_task *task;
    async_future future;
};
static ASYNC(instant)
{
    ASYNC_BEGIN(instant);
    async_future_init(&self->future, &loop.base);
    self->task = async_create_task(
        CO(limits, async_future_object(&self->future), ASYNC_SECONDS(1)));
    if (!self->before) ASYNC_SUSPEND;
    async_loop_call_at(&loop.base, NULL, ASYNC_SECONDS(1), finish,
                       &self->future);
    AWAIT(ending, self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_result_set_at_the_instant_of_the_timeout_is_too_late(void **s)
{
    (void)s;
    /* The future is cancelled already: */
    assert_int_equal(RUN(instant, .before = 0), 0);
    assert_said("set:-5003 ASYNC_ETIMEDOUT@1 0 ok@1");
    /* The result is there, but was not delivered yet: */
    assert_int_equal(RUN(instant, .before = 1), 0);
    assert_said("set:0 ASYNC_ETIMEDOUT@1 0 ok@1");
}

/* --- nested, and many ---------------------------------------------------- */

struct nested { ASYNC_FRAME; int outer, inner; };
static ASYNC(nested)
{
    ASYNC_BEGIN(nested);
    AWAIT(limits, CO(limits, CO(work, "a", 9), ASYNC_SECONDS(self->inner)),
          ASYNC_SECONDS(self->outer));
    ASYNC_END;
}

static void
when_the_inner_limit_expires_first_the_outer_sees_what_it_becomes(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested, .outer = 3, .inner = 1), 0);
    assert_said("a a:cancelled@1 ASYNC_ETIMEDOUT@1 0 ok@1 0");
}

static void when_the_outer_limit_expires_first_the_inner_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested, .outer = 1, .inner = 3), 0);
    assert_said("a a:cancelled@1 ASYNC_ECANCELED@1 1 ok@1 0");
}

struct nested_plain { ASYNC_FRAME; int outer, inner; };
static ASYNC(nested_plain)
{
    ASYNC_BEGIN(nested_plain);
    AWAIT(limits,
          CO(async_wait_for, CO(work, "a", 9), ASYNC_SECONDS(self->inner)),
          ASYNC_SECONDS(self->outer));
    ASYNC_END;
}

static void whichever_limit_expires_the_outermost_is_timed_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested_plain, .outer = 3, .inner = 1), 0);
    assert_said("a a:cancelled@1 ASYNC_ETIMEDOUT@1 0");
    assert_int_equal(RUN(nested_plain, .outer = 1, .inner = 3), 0);
    assert_said("a a:cancelled@1 ASYNC_ETIMEDOUT@1 0");
    assert_int_equal(RUN(nested_plain, .outer = 1, .inner = 1), 0);
    assert_said("a a:cancelled@1 ASYNC_ETIMEDOUT@1 0");
    assert_int_equal(seconds(), 1); /* neither timer is left */
}

struct each { ASYNC_FRAME; int seconds; int *late, *ok; int error; };
static ASYNC(each)
{
    ASYNC_BEGIN(each);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_sleep, ASYNC_SECONDS(self->seconds)),
                ASYNC_MS(500500));
    if (self->error == ASYNC_ETIMEDOUT)
        ++*self->late;
    else
        ++*self->ok;
    ASYNC_END;
}
struct many { ASYNC_FRAME; async_gathering all; int i, late, ok; };
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    for (self->i = 0; self->i < 1000; self->i++)
        async_gather_add(&self->all,
                         CO(each, self->i, &self->late, &self->ok));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    say("%d in time, %d late @%d", self->ok, self->late, seconds());
    ASYNC_END;
}

static void a_thousand_limits_each_hold_for_their_own_task(void **s)
{
    (void)s;
    assert_int_equal(RUN(many), 0);
    assert_said("501 in time, 499 late @500");
}

struct sequence { ASYNC_FRAME; int i, error, late; };
static ASYNC(sequence)
{
    ASYNC_BEGIN(sequence);
    for (self->i = 0; self->i < 100; self->i++) {
        AWAIT_CATCH(self->error, async_wait_for,
                    CO(async_sleep, ASYNC_SECONDS(self->i)), ASYNC_MS(49500));
        if (self->error == ASYNC_ETIMEDOUT) self->late++;
    }
    say("%d late, %d", self->late,
        async_task_cancelling(async_current_task()));
    ASYNC_END;
}

static void one_task_may_time_out_again_and_again(void **s)
{
    (void)s;
    assert_int_equal(RUN(sequence), 0);
    assert_said("50 late, 0");
}

/* --- misuse, and the end of the loop ------------------------------------- */

static void a_limit_needs_a_task(void **s)
{
    async co;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(async_wait_for, CO(nothing), 1)),
                     0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    async_close(&co);
}

struct breaks { ASYNC_FRAME; };
static ASYNC(breaks)
{
    ASYNC_BEGIN(breaks);
    AWAIT(work, "a", 1, EKEY);
    ASYNC_END;
}
struct traces { ASYNC_FRAME; async_traceback traceback; };
static ASYNC(traces)
{
    ASYNC_BEGIN(traces);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(2), breaks);
    } ASYNC_EXCEPT(EKEY) {
        async_traceback_of(co, &self->traceback);
    } ASYNC_END_TRY
    say("%s", self->traceback.entries[0].name);
    say("%s", self->traceback.entries[1].name);
    say("%s", self->traceback.entries[self->traceback.count - 1].name);
    ASYNC_END;
}

static void a_traceback_goes_through_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(traces), 0);
    assert_said("a a@1 work breaks traces");
}

/* Refuses to end when the loop is closed, so that it is dropped. */
struct stubborn { ASYNC_FRAME; int limited; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        if (self->limited)
            AWAIT_WAIT_FOR(ASYNC_SECONDS(5), async_sleep, ASYNC_SECONDS(5));
        else
            AWAIT(async_sleep, ASYNC_SECONDS(5));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_loop_may_be_closed_while_limits_are_armed(void **s)
{
    int i;
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    for (i = 0; i < 4; i++)
        async_task_release(
            async_loop_create_task(&loop.base, CO(stubborn, i % 2 == 0)));
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(nothing)),
                     0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 4);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
}

/* --- shield -------------------------------------------------------------- */

/* Awaits anything behind a shield, and says how that ended. */
struct shields { ASYNC_FRAME; async_object object; int error; };
static ASYNC(shields)
{
    ASYNC_BEGIN(shields);
    ASYNC_TRY {
        AWAIT(async_shield, self->object);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error);
    if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct shielded {
    ASYNC_FRAME;
    int result;
    ASYNC_TASK_OF(work) t;
    async_task *awaiter;
};
static ASYNC(shielded)
{
    ASYNC_BEGIN(shielded);
    ASYNC_SPAWN(self->t, work, "a", 3, self->result);
    self->awaiter =
        async_create_task(CO(shields, async_task_object(self->t.task)));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->awaiter);
    AWAIT(ending, self->awaiter);
    assert_false(async_task_done(self->t.task));
    assert_int_equal(async_task_cancelling(self->t.task), 0);
    AWAIT(ending, self->t.task);
    if (self->result > 0) say("%d", ASYNC_TASK_RESULT(self->t));
    async_task_release(self->t.task);
    async_task_release(self->awaiter);
    ASYNC_END;
}

static void cancelling_the_awaiter_leaves_what_is_shielded_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(shielded, .result = 7), 0);
    assert_said("a ASYNC_ECANCELED@1 ASYNC_ECANCELED@1 a@3 ok@3 7");
}

static void a_shield_is_transparent_otherwise(void **s)
{
    (void)s;
    assert_int_equal(RUN(shields, CO(work, "a", 1)), 0);
    assert_said("a a@1 ok@1");
    assert_int_equal(RUN(shields, CO(work, "a", 1, EKEY)), 0);
    assert_said("a a@1 EKEY@1");
}

struct shields_future {
    ASYNC_FRAME;
    int how;
    async_future future;
    async_task *task;
};
static ASYNC(shields_future)
{
    ASYNC_BEGIN(shields_future);
    async_future_init(&self->future, &loop.base);
    self->task =
        async_create_task(CO(shields, async_future_object(&self->future)));
    ASYNC_SUSPEND;
    if (self->how == 'c')
        async_task_cancel(self->task);
    else if (self->how == 'f')
        async_future_cancel(&self->future);
    else if (self->how == 'e')
        async_future_set_exception(&self->future, EKEY);
    else
        async_future_set_result(&self->future);
    AWAIT(ending, self->task);
    say("%d%d", async_future_cancelled(&self->future),
        async_task_cancelling(self->task));
    async_task_release(self->task);
    ASYNC_END;
}

static void a_future_can_be_shielded(void **s)
{
    (void)s;
    assert_int_equal(RUN(shields_future, 's'), 0);
    assert_said("ok@0 ok@0 00");
    assert_int_equal(RUN(shields_future, 'e'), 0);
    assert_said("EKEY@0 ok@0 00");
    assert_int_equal(RUN(shields_future, 'c'), 0);
    assert_said("ASYNC_ECANCELED@0 ASYNC_ECANCELED@0 01");
}

static void when_what_is_shielded_is_cancelled_so_is_the_awaiter(void **s)
{
    (void)s;
    assert_int_equal(RUN(shields_future, 'f'), 0);
    assert_said("ASYNC_ECANCELED@0 ASYNC_ECANCELED@0 10");
}

struct says { ASYNC_FRAME; };
static ASYNC(says)
{
    ASYNC_BEGIN(says);
    say("other");
    ASYNC_END;
}
struct shields_done { ASYNC_FRAME; async_task *task; };
static ASYNC(shields_done)
{
    ASYNC_BEGIN(shields_done);
    self->task = async_create_task(CO(work, "a"));
    AWAIT_TASK(self->task);
    async_task_release(async_create_task(CO(says)));
    AWAIT(shields, async_task_object(self->task));
    async_task_release(self->task);
    self->task = async_create_task(CO(work, "b", 0, EKEY));
    ASYNC_SUSPEND;
    ASYNC_SUSPEND;
    AWAIT(shields, async_task_object(self->task));
    async_task_release(self->task);
    ASYNC_END;
}

static void what_is_done_already_is_taken_without_suspending(void **s)
{
    (void)s;
    assert_int_equal(RUN(shields_done), 0);
    assert_said("a a@0 ok@0 other b b@0 EKEY@0");
}

struct shields_work { ASYNC_FRAME; int result; };
static ASYNC(shields_work)
{
    ASYNC_BEGIN(shields_work);
    AWAIT(shields, CO(work, "a", 2, self->result));
    ASYNC_END;
}
struct cancels_shield { ASYNC_FRAME; int result; async_task *task; };
static ASYNC(cancels_shield)
{
    ASYNC_BEGIN(cancels_shield);
    self->task = async_create_task(CO(shields_work, self->result));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT(ending, self->task);
    async_task_release(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(5));
    assert_int_equal(async_loop_count_tasks(&loop.base), 1);
    ASYNC_END;
}

static void a_shielded_coroutine_goes_on_as_a_task_of_its_own(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_shield, 7), 0);
    assert_said("a ASYNC_ECANCELED@1 ASYNC_ECANCELED@1 a@2");
}

static void
an_error_of_it_after_the_awaiter_was_cancelled_is_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_shield, EKEY), 0);
    assert_said("a ASYNC_ECANCELED@1 ASYNC_ECANCELED@1 a@2 "
                "[Task exception was never retrieved: EKEY]");
}

struct fails_and_cancels { ASYNC_FRAME; async_task *whom; };
static ASYNC(fails_and_cancels)
{
    ASYNC_BEGIN(fails_and_cancels);
    async_task_cancel(self->whom);
    ASYNC_RAISE(EKEY);
    ASYNC_END;
}
struct shields_one_that_cancels { ASYNC_FRAME; int error; };
static ASYNC(shields_one_that_cancels)
{
    ASYNC_BEGIN(shields_one_that_cancels);
    ASYNC_TRY {
        AWAIT(async_shield, CO(fails_and_cancels, async_current_task()));
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error);
    ASYNC_END;
}

/* As in asyncio: the shield has been told. */
static void an_error_of_it_in_the_same_iteration_counts_as_taken(void **s)
{
    (void)s;
    assert_int_equal(RUN(shields_one_that_cancels), 0);
    assert_said("ASYNC_ECANCELED@0");
}

struct limits_shield { ASYNC_FRAME; ASYNC_TASK_OF(work) t; int n; };
static ASYNC(limits_shield)
{
    ASYNC_BEGIN(limits_shield);
    ASYNC_SPAWN(self->t, work, "a", 3, 7);
    AWAIT(limits, CO(async_shield, async_task_object(self->t.task)),
          ASYNC_SECONDS(1));
    AWAIT_JOIN_INTO(self->n, self->t);
    say("%d@%d", self->n, seconds());
    ASYNC_END;
}

static void with_a_shield_a_limit_gives_up_without_cancelling(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits_shield), 0);
    assert_said("a ASYNC_ETIMEDOUT@1 0 a@3 7@3");
}

struct cleans_shielded { ASYNC_FRAME; };
static ASYNC(cleans_shielded)
{
    ASYNC_BEGIN(cleans_shielded);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        AWAIT(async_shield, CO(work, "cleanup", 3));
        say("not reached");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels_cleanup { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_cleanup)
{
    ASYNC_BEGIN(cancels_cleanup);
    self->task = async_create_task(CO(cleans_shielded));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT(ending, self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_shielded_cleanup_ends_even_if_cancelled_again(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_cleanup), 0);
    assert_said("cleanup ASYNC_ECANCELED@1 cleanup@3");
}

struct two_shields { ASYNC_FRAME; async_task *task, *a, *b; };
static ASYNC(two_shields)
{
    ASYNC_BEGIN(two_shields);
    self->task = async_create_task(CO(work, "a", 2));
    self->a = async_create_task(CO(shields, async_task_object(self->task)));
    self->b = async_create_task(CO(shields, async_task_object(self->task)));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->a);
    AWAIT(ending, self->a);
    AWAIT(ending, self->b);
    async_task_release(self->task);
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}

static void each_who_awaits_it_may_have_a_shield_of_its_own(void **s)
{
    (void)s;
    assert_int_equal(RUN(two_shields), 0);
    assert_said("a ASYNC_ECANCELED@1 ASYNC_ECANCELED@1 a@2 ok@2 ok@2");
}

/* The shielded future is set, and in the same iteration the awaiter is
 * cancelled, before it has heard of that. */
struct late_cancel {
    ASYNC_FRAME;
    int iterations;
    async_future future;
    async_task *task;
};
static ASYNC(late_cancel)
{
    ASYNC_BEGIN(late_cancel);
    async_future_init(&self->future, &loop.base);
    self->task =
        async_create_task(CO(shields, async_future_object(&self->future)));
    ASYNC_SUSPEND;
    async_future_set_result(&self->future);
    while (self->iterations-- > 0) ASYNC_SUSPEND;
    say("%d", async_task_cancel(self->task));
    AWAIT(ending, self->task);
    assert_int_equal(async_future_result(&self->future), 0);
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelling_beats_a_shielded_result_that_was_not_delivered(void **s)
{
    (void)s;
    assert_int_equal(RUN(late_cancel, .iterations = 0), 0);
    assert_said("1 ASYNC_ECANCELED@0 ASYNC_ECANCELED@0");
    assert_int_equal(RUN(late_cancel, .iterations = 1), 0);
    assert_said("1 ASYNC_ECANCELED@0 ASYNC_ECANCELED@0");
    assert_int_equal(RUN(late_cancel, .iterations = 2), 0);
    assert_said("ok@0 0 ok@0");
}

static void a_shield_needs_a_task(void **s)
{
    async co;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(async_shield, CO(nothing))), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    async_close(&co);
}

UNIT_MAIN(
    TEST(what_ends_in_time_has_no_limit),
    TEST(what_fails_in_time_raises_its_error),
    TEST(what_does_not_suspend_needs_no_time),
    TEST(too_late_it_times_out_when_what_was_awaited_has_cleaned_up),
    TEST(forever_sets_no_limit_and_a_huge_one_is_none_either),
    TEST(a_coroutine_runs_inside_the_task_that_waits),
    TEST(a_result_is_typed_however_large_the_frame_was),
    TEST(after_an_error_the_place_is_untouched),
    TEST(without_time_a_coroutine_is_never_started),
    TEST(without_time_what_is_done_is_taken_without_suspending),
    TEST(without_time_a_pending_future_is_cancelled),
    TEST(without_time_a_pending_gathering_is_cancelled),
    TEST(without_time_a_pending_task_is_cancelled_and_waited_for),
    TEST(cancelled_while_it_waits_for_the_cleanup_it_leaves_at_once),
    TEST(a_task_is_cancelled_when_the_time_is_over),
    TEST(a_future_is_cancelled_when_the_time_is_over),
    TEST(a_task_that_somebody_else_cancels_has_not_timed_out),
    TEST(one_that_swallows_the_cancellation_returns_its_value),
    TEST(one_that_raises_another_error_while_it_cleans_up_raises_that),
    TEST(cancellation_from_outside_passes_through),
    TEST(cancellation_in_the_iteration_of_the_timeout_wins),
    TEST(a_limit_that_expires_while_it_is_cancelled_interrupts_the_cleanup),
    TEST(cancelled_while_it_times_out_it_is_cancelled),
    TEST(a_request_that_was_there_before_does_not_spoil_the_timeout),
    TEST(what_takes_exactly_as_long_as_the_limit_is_too_late),
    TEST(a_result_set_at_the_instant_of_the_timeout_is_too_late),
    TEST(when_the_inner_limit_expires_first_the_outer_sees_what_it_becomes),
    TEST(when_the_outer_limit_expires_first_the_inner_is_cancelled),
    TEST(whichever_limit_expires_the_outermost_is_timed_out),
    TEST(a_thousand_limits_each_hold_for_their_own_task),
    TEST(one_task_may_time_out_again_and_again), TEST(a_limit_needs_a_task),
    TEST(a_traceback_goes_through_it),
    TEST(a_loop_may_be_closed_while_limits_are_armed),
    TEST(cancelling_the_awaiter_leaves_what_is_shielded_alone),
    TEST(a_shield_is_transparent_otherwise), TEST(a_future_can_be_shielded),
    TEST(when_what_is_shielded_is_cancelled_so_is_the_awaiter),
    TEST(what_is_done_already_is_taken_without_suspending),
    TEST(a_shielded_coroutine_goes_on_as_a_task_of_its_own),
    TEST(an_error_of_it_after_the_awaiter_was_cancelled_is_reported),
    TEST(an_error_of_it_in_the_same_iteration_counts_as_taken),
    TEST(with_a_shield_a_limit_gives_up_without_cancelling),
    TEST(a_shielded_cleanup_ends_even_if_cancelled_again),
    TEST(each_who_awaits_it_may_have_a_shield_of_its_own),
    TEST(cancelling_beats_a_shielded_result_that_was_not_delivered),
    TEST(a_shield_needs_a_task))
