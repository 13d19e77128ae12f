/* Cancellation: where it arrives, what may stop it, and how it is counted. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

/* Sleeps, and says what becomes of it; takes `cleanup` seconds to clean up. */
struct sleeper { ASYNC_RETURNS(int); const char *name; int seconds, cleanup; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    ASYNC_TRY {
        say("%s", self->name);
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
        say("%s:woke", self->name);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("%s:cancelled", self->name);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_FINALLY {
        if (self->cleanup) AWAIT(async_sleep, ASYNC_SECONDS(self->cleanup));
        say("%s:finally", self->name);
    } ASYNC_END_TRY
    ASYNC_RETURN(self->seconds);
    ASYNC_END;
}

/* Awaits a task, and says how it ended and when. */
struct ending { ASYNC_FRAME; const char *name; async_task *task; int error; };
static ASYNC(ending)
{
    ASYNC_BEGIN(ending);
    ASYNC_TRY {
        AWAIT_TASK(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("%s:%s@%d", self->name,
        self->error ? async_error_name(self->error) : "ok", seconds());
    ASYNC_END;
}

/* Awaits a task as its caller would. */
struct follower { ASYNC_FRAME; const char *name; async_task *task; };
static ASYNC(follower)
{
    ASYNC_BEGIN(follower);
    ASYNC_TRY {
        AWAIT_TASK(self->task);
        say("%s:ok", self->name);
    } ASYNC_FINALLY {
        say("%s:finally", self->name);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- where it arrives ---------------------------------------------------- */

struct before { ASYNC_FRAME; async_task *task; };
static ASYNC(before)
{
    ASYNC_BEGIN(before);
    self->task = async_create_task(CO(sleeper, "a", 1));
    assert_int_equal(async_task_cancel(self->task), 1);
    assert_false(async_task_done(self->task)); /* but an iteration later */
    AWAIT(ending, "a", self->task);
    assert_true(async_task_cancelled(self->task));
    assert_int_equal(async_task_cancelling(self->task), 1);
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelled_before_its_first_step_a_body_never_runs(void **s)
{
    (void)s;
    assert_int_equal(RUN(before), 0);
    assert_said("a:ASYNC_ECANCELED@0"); /* not even its FINALLY */
}

struct asleep { ASYNC_FRAME; async_task *task; };
static ASYNC(asleep)
{
    ASYNC_BEGIN(asleep);
    self->task = async_create_task(CO(sleeper, "a", 100));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_task_cancel(self->task), 1);
    say("asked"); /* nothing is raised inside the call */
    AWAIT(ending, "a", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelling_ends_a_sleep_at_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(asleep), 0);
    assert_said("a asked a:cancelled a:finally a:ASYNC_ECANCELED@1");
    assert_int_equal(seconds(), 1); /* and no timer is left */
}

struct paused { ASYNC_FRAME; };
static ASYNC(paused)
{
    ASYNC_BEGIN(paused);
    ASYNC_TRY {
        for (;;) ASYNC_SUSPEND;
    } ASYNC_FINALLY {
        say("finally");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels_paused { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_paused)
{
    ASYNC_BEGIN(cancels_paused);
    self->task = async_create_task(CO(paused));
    ASYNC_SUSPEND;
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT(ending, "a", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void
cancelling_arrives_where_a_task_only_gave_up_the_processor(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_paused), 0);
    assert_said("finally a:ASYNC_ECANCELED@0");
}

struct on_future { ASYNC_FRAME; async_future *future; };
static ASYNC(on_future)
{
    ASYNC_BEGIN(on_future);
    AWAIT_FUTURE(self->future);
    ASYNC_END;
}
struct cancels_future { ASYNC_FRAME; async_task *a, *b; async_future future; };
static ASYNC(cancels_future)
{
    ASYNC_BEGIN(cancels_future);
    async_future_init(&self->future, &loop.base);
    self->a = async_create_task(CO(on_future, &self->future));
    self->b = async_create_task(CO(on_future, &self->future));
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    assert_true(async_future_cancelled(&self->future));
    AWAIT(ending, "a", self->a);
    AWAIT(ending, "b", self->b); /* who shared it is cancelled too */
    say("%d%d", async_task_cancelling(self->a),
        async_task_cancelling(self->b));
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}

static void cancelling_goes_to_the_future_that_is_awaited(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_future), 0);
    assert_said("a:ASYNC_ECANCELED@0 b:ASYNC_ECANCELED@0 10");
}

struct chain { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(chain)
{
    ASYNC_BEGIN(chain);
    self->a = async_create_task(CO(sleeper, "a", 100, .cleanup = 2));
    self->b = async_create_task(CO(follower, "b", self->a));
    self->c = async_create_task(CO(follower, "c", self->b));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->c);
    say("%d%d%d", async_task_cancelling(self->a),
        async_task_cancelling(self->b), async_task_cancelling(self->c));
    AWAIT(ending, "c", self->c);
    assert_true(async_task_cancelled(self->a));
    assert_true(async_task_cancelled(self->b));
    async_task_release(self->a);
    async_task_release(self->b);
    async_task_release(self->c);
    ASYNC_END;
}

static void
cancelling_goes_to_the_innermost_task_and_returns_when_it_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(chain), 0);
    assert_said("a 111 a:cancelled a:finally b:finally c:finally "
                "c:ASYNC_ECANCELED@3");
}

struct two_follow { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(two_follow)
{
    ASYNC_BEGIN(two_follow);
    self->a = async_create_task(CO(sleeper, "a", 100));
    self->b = async_create_task(CO(follower, "b", self->a));
    self->c = async_create_task(CO(follower, "c", self->a));
    ASYNC_SUSPEND;
    async_task_cancel(self->b);
    AWAIT(ending, "b", self->b);
    AWAIT(ending, "c", self->c);
    say("%d%d", async_task_cancelling(self->b),
        async_task_cancelling(self->c));
    async_task_release(self->a);
    async_task_release(self->b);
    async_task_release(self->c);
    ASYNC_END;
}

static void cancelling_one_of_two_who_await_a_task_ends_it_for_both(void **s)
{
    (void)s;
    assert_int_equal(RUN(two_follow), 0);
    assert_said("a a:cancelled a:finally b:finally c:finally "
                "b:ASYNC_ECANCELED@0 c:ASYNC_ECANCELED@0 10");
}

struct levels { ASYNC_FRAME; int depth; };
static ASYNC(levels)
{
    ASYNC_BEGIN(levels);
    ASYNC_TRY {
        if (self->depth > 0)
            AWAIT(levels, self->depth - 1);
        else
            AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("%d", self->depth);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels_levels { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_levels)
{
    ASYNC_BEGIN(cancels_levels);
    self->task = async_create_task(CO(levels, 9));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT(ending, "task", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_deep_chain_of_awaits_unwinds_frame_by_frame(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_levels), 0);
    assert_said("0 1 2 3 4 5 6 7 8 9 task:ASYNC_ECANCELED@10");
}

/* --- operations ---------------------------------------------------------- */

static int say_stop(async_operation *operation)
{
    (void)operation;
    say("stop!");
    return 1; /* it will end later */
}
static int say_no(async_operation *operation)
{
    (void)operation;
    say("no");
    return 0;
}
static int operation_over(void *operation)
{
    say("over");
    async_future_set_result(&((async_operation *)operation)->future);
    return 0;
}
struct operates {
    ASYNC_FRAME;
    async_operation_cancel *cancel;
    async_operation operation;
};
static ASYNC(operates)
{
    ASYNC_BEGIN(operates);
    async_operation_init(&self->operation, &loop.base, self->cancel);
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(5), operation_over,
                          &self->operation);
    AWAIT_FUTURE(&self->operation.future);
    say("went on");
    AWAIT(async_sleep, 0);
    say("and on");
    ASYNC_END;
}
struct cancels_operation {
    ASYNC_FRAME;
    async_operation_cancel *cancel;
    async_task *task;
};
static ASYNC(cancels_operation)
{
    ASYNC_BEGIN(cancels_operation);
    self->task = async_create_task(CO(operates, self->cancel));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT(ending, "task", self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(9));
    async_task_release(self->task);
    ASYNC_END;
}

static void
an_operation_that_takes_up_the_cancellation_decides_the_outcome(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_operation, say_stop), 0);
    assert_said("stop! over went on and on task:ok@5");
}

static void cancellation_refused_by_an_operation_waits_for_its_end(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_operation, say_no), 0);
    assert_said("no over task:ASYNC_ECANCELED@5");
}

/* --- who stops it -------------------------------------------------------- */

struct catches { ASYNC_RETURNS(int); };
static ASYNC(catches)
{
    ASYNC_BEGIN(catches);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("caught");
    } ASYNC_END_TRY
    AWAIT(async_sleep, ASYNC_SECONDS(1)); /* it is raised only once */
    ASYNC_RETURN(7);
    ASYNC_END;
}
struct cancels_catcher { ASYNC_FRAME; ASYNC_TASK_OF(catches) t; int n; };
static ASYNC(cancels_catcher)
{
    ASYNC_BEGIN(cancels_catcher);
    ASYNC_SPAWN(self->t, catches);
    ASYNC_SUSPEND;
    async_task_cancel(self->t.task);
    AWAIT_TASK_INTO(self->n, self->t);
    say("%d@%d", self->n, seconds());
    assert_false(async_task_cancelled(self->t.task));
    assert_int_equal(async_task_cancelling(self->t.task), 1);
    async_task_release(self->t.task);
    ASYNC_END;
}

static void a_caught_cancellation_leaves_the_task_running(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_catcher), 0);
    assert_said("caught 7@1");
}

struct cancels_parent { ASYNC_FRAME; async_task *child, *parent; };
static ASYNC(cancels_parent)
{
    ASYNC_BEGIN(cancels_parent);
    self->child = async_create_task(CO(catches));
    self->parent = async_create_task(CO(follower, "parent", self->child));
    ASYNC_SUSPEND;
    async_task_cancel(self->parent);
    AWAIT(ending, "parent", self->parent);
    assert_int_equal(async_task_cancelling(self->parent), 1);
    async_task_release(self->child);
    async_task_release(self->parent);
    ASYNC_END;
}

static void a_child_that_catches_it_keeps_it_from_its_parent(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_parent), 0);
    assert_said("caught parent:ok parent:finally parent:ok@1");
}

struct fails_instead { ASYNC_FRAME; };
static ASYNC(fails_instead)
{
    ASYNC_BEGIN(fails_instead);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        ASYNC_RAISE(EKEY);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels_failer { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_failer)
{
    ASYNC_BEGIN(cancels_failer);
    self->task = async_create_task(CO(fails_instead));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT(ending, "task", self->task);
    assert_false(async_task_cancelled(self->task));
    async_task_release(self->task);
    ASYNC_END;
}

static void another_error_raised_in_cleanup_replaces_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_failer), 0);
    assert_said("task:EKEY@0");
}

struct returns_instead { ASYNC_RETURNS(int); };
static ASYNC(returns_instead)
{
    ASYNC_BEGIN(returns_instead);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        ASYNC_RETURN(9);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels_returner {
    ASYNC_FRAME;
    ASYNC_TASK_OF(returns_instead) t;
    int n;
};
static ASYNC(cancels_returner)
{
    ASYNC_BEGIN(cancels_returner);
    ASYNC_SPAWN(self->t, returns_instead);
    ASYNC_SUSPEND;
    async_task_cancel(self->t.task);
    AWAIT_JOIN_INTO(self->n, self->t);
    say("%d", self->n);
    ASYNC_END;
}

static void a_return_in_finally_eats_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_returner), 0);
    assert_said("9");
}

/* --- twice, and too late ------------------------------------------------- */

struct cancels_twice { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_twice)
{
    ASYNC_BEGIN(cancels_twice);
    self->task = async_create_task(CO(sleeper, "a", 100, .cleanup = 50));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_task_cancel(self->task), 1);
    AWAIT(ending, "a", self->task); /* its "a:finally" is never reached */
    assert_int_equal(async_task_cancelling(self->task), 2);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_second_cancellation_interrupts_the_cleanup(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_twice), 0);
    assert_said("a a:cancelled a:ASYNC_ECANCELED@2");
}

struct cancels_twice_at_once { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_twice_at_once)
{
    ASYNC_BEGIN(cancels_twice_at_once);
    self->task = async_create_task(CO(sleeper, "a", 100, .cleanup = 2));
    ASYNC_SUSPEND;
    assert_int_equal(async_task_cancel(self->task), 1);
    assert_int_equal(async_task_cancel(self->task), 1);
    AWAIT(ending, "a", self->task);
    assert_int_equal(async_task_cancelling(self->task), 2);
    async_task_release(self->task);
    ASYNC_END;
}

static void two_requests_before_it_runs_are_raised_as_one(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_twice_at_once), 0);
    assert_said("a a:cancelled a:finally a:ASYNC_ECANCELED@2");
}

struct cancels_done { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_done)
{
    ASYNC_BEGIN(cancels_done);
    self->task = async_create_task(CO(async_sleep));
    AWAIT_TASK(self->task);
    assert_int_equal(async_task_cancel(self->task), 0);
    assert_int_equal(async_task_cancelling(self->task), 0);
    assert_int_equal(async_task_result(self->task), 0);
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelling_a_task_that_has_ended_does_nothing(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_done), 0);
}

/* --- a task that cancels itself ------------------------------------------ */

struct nothing { ASYNC_FRAME; };
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
    ASYNC_END;
}

struct cancels_itself { ASYNC_RETURNS(int); char how; async_future done; };
static ASYNC(cancels_itself)
{
    ASYNC_BEGIN(cancels_itself);
    async_future_init(&self->done, &loop.base);
    async_future_set_result(&self->done);
    say("%d", async_task_cancel(async_current_task()));
    AWAIT_FUTURE(&self->done);
    AWAIT(nothing);
    say("went on");
    if (self->how == 'r') ASYNC_RETURN(1);
    if (self->how == 'e') ASYNC_RAISE(EKEY);
    if (self->how == 'u') async_task_uncancel(async_current_task());
    if (self->how == '0')
        AWAIT(async_sleep, 0);
    else
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("uncancelled");
    ASYNC_END;
}
struct watches { ASYNC_FRAME; char how; async_task *task; };
static ASYNC(watches)
{
    ASYNC_BEGIN(watches);
    self->task = async_create_task(CO(cancels_itself, self->how));
    AWAIT(ending, "task", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_task_that_cancels_itself_goes_on_to_its_next_suspension(void **s)
{
    (void)s;
    assert_int_equal(RUN(watches, 's'), 0);
    assert_said("1 went on task:ASYNC_ECANCELED@0");
    assert_int_equal(RUN(watches, '0'), 0);
    assert_said("1 went on task:ASYNC_ECANCELED@0");
}

static void a_task_that_cancels_itself_and_returns_loses_its_result(void **s)
{
    (void)s;
    assert_int_equal(RUN(watches, 'r'), 0);
    assert_said("1 went on task:ASYNC_ECANCELED@0");
}

static void a_task_that_cancels_itself_and_raises_has_failed(void **s)
{
    (void)s;
    assert_int_equal(RUN(watches, 'e'), 0);
    assert_said("1 went on task:EKEY@0");
}

static void a_task_may_withdraw_its_own_cancellation(void **s)
{
    (void)s;
    assert_int_equal(RUN(watches, 'u'), 0);
    assert_said("1 went on uncancelled task:ok@1");
}

/* The request must survive the chunk of stack in which it was made... */
struct asks_deep { ASYNC_FRAME; char room[2000]; };
static ASYNC(asks_deep)
{
    ASYNC_BEGIN(asks_deep);
    async_task_cancel(async_current_task());
    ASYNC_END;
}
struct goes_deep { ASYNC_FRAME; };
static ASYNC(goes_deep)
{
    ASYNC_BEGIN(goes_deep);
    AWAIT(asks_deep);
    ASYNC_END;
}
struct asks { ASYNC_FRAME; };
static ASYNC(asks)
{
    ASYNC_BEGIN(asks);
    AWAIT(goes_deep);
    say("asked");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("not reached");
    ASYNC_END;
}

static void a_request_made_in_a_frame_that_grew_the_stack_is_kept(void **s)
{
    (void)s;
    assert_int_equal(RUN(asks), ASYNC_ECANCELED);
    assert_said("asked");
}

/* ... and must not come back with the chunk that was there before. */
struct sleeps_deep { ASYNC_FRAME; char room[2000]; };
static ASYNC(sleeps_deep)
{
    ASYNC_BEGIN(sleeps_deep);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}
struct catches_deep { ASYNC_FRAME; };
static ASYNC(catches_deep)
{
    ASYNC_BEGIN(catches_deep);
    async_task_cancel(async_current_task());
    ASYNC_TRY {
        AWAIT(sleeps_deep);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("caught");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct goes_on { ASYNC_FRAME; };
static ASYNC(goes_on)
{
    ASYNC_BEGIN(goes_on);
    AWAIT(catches_deep);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("went on");
    ASYNC_END;
}

static void a_request_raised_in_a_frame_that_grew_the_stack_is_over(void **s)
{
    (void)s;
    assert_int_equal(RUN(goes_on), 0);
    assert_said("caught went on");
}

/* --- in the same iteration ----------------------------------------------- */

struct late { ASYNC_FRAME; async_task *task; async_future future; };
static ASYNC(late)
{
    ASYNC_BEGIN(late);
    async_future_init(&self->future, &loop.base);
    self->task = async_create_task(CO(on_future, &self->future));
    ASYNC_SUSPEND;
    async_future_set_result(&self->future);
    assert_int_equal(async_task_cancel(self->task), 1);
    AWAIT(ending, "task", self->task);
    assert_int_equal(async_future_result(&self->future), 0); /* not lost */
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelling_beats_a_result_that_was_set_but_not_delivered(void **s)
{
    (void)s;
    assert_int_equal(RUN(late), 0);
    assert_said("task:ASYNC_ECANCELED@0");
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("fails");
    ASYNC_RAISE(EKEY);
    ASYNC_END;
}
static int cancel(void *task)
{
    say("cancel:%d", async_task_cancel(task));
    return 0;
}
static int cancel_soon(void *task)
{
    return async_loop_call_soon(&loop.base, NULL, cancel, task);
}
struct late_child { ASYNC_FRAME; async_task *child, *parent; };
static ASYNC(late_child)
{
    ASYNC_BEGIN(late_child);
    self->child = async_create_task(CO(fails));
    self->parent = async_create_task(CO(follower, "parent", self->child));
    ASYNC_SUSPEND; /* the child sleeps, to fail in the iteration after this: */
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), cancel_soon,
                          self->parent);
    AWAIT(ending, "parent", self->parent);
    async_task_release(self->child); /* nor is the error reported */
    async_task_release(self->parent);
    ASYNC_END;
}

static void
cancelling_beats_an_error_of_a_child_that_was_not_delivered(void **s)
{
    (void)s;
    assert_int_equal(RUN(late_child), 0);
    assert_said("fails cancel:1 parent:finally parent:ASYNC_ECANCELED@1");
}

struct instant {
    ASYNC_FRAME;
    int cancel_first;
    async_task *task;
    async_handle handle;
};
static ASYNC(instant)
{
    ASYNC_BEGIN(instant);
    self->task = async_create_task(CO(sleeper, "a", 1));
    if (self->cancel_first)
        async_loop_call_at(&loop.base, &self->handle, ASYNC_SECONDS(1), cancel,
                           self->task);
    ASYNC_SUSPEND;
    if (!self->cancel_first)
        async_loop_call_at(&loop.base, &self->handle, ASYNC_SECONDS(1), cancel,
                           self->task);
    AWAIT(ending, "a", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_timer_that_cancels_at_the_instant_a_sleep_ends_wins(void **s)
{
    (void)s;
    assert_int_equal(RUN(instant, .cancel_first = 1), 0);
    assert_said("a cancel:1 a:cancelled a:finally a:ASYNC_ECANCELED@1");
    assert_int_equal(RUN(instant, .cancel_first = 0), 0);
    assert_said("a cancel:1 a:cancelled a:finally a:ASYNC_ECANCELED@1");
}

static int finish(void *future)
{
    say("set:%d", async_future_set_result(future));
    return 0;
}
struct instant_future {
    ASYNC_FRAME;
    int cancel_first;
    async_task *task;
    async_future future;
};
static ASYNC(instant_future)
{
    ASYNC_BEGIN(instant_future);
    async_future_init(&self->future, &loop.base);
    self->task = async_create_task(CO(on_future, &self->future));
    if (self->cancel_first)
        async_loop_call_at(&loop.base, NULL, 1, cancel, self->task);
    async_loop_call_at(&loop.base, NULL, 1, finish, &self->future);
    if (!self->cancel_first)
        async_loop_call_at(&loop.base, NULL, 1, cancel, self->task);
    AWAIT(ending, "a", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_timer_that_cancels_at_the_instant_a_future_is_set_wins(void **s)
{
    (void)s;
    assert_int_equal(RUN(instant_future, .cancel_first = 1), 0);
    assert_said("cancel:1 set:-5003 a:ASYNC_ECANCELED@0");
    assert_int_equal(RUN(instant_future, .cancel_first = 0), 0);
    assert_said("set:0 cancel:1 a:ASYNC_ECANCELED@0");
}

/* Both wake in one iteration, and then the order in it decides. */
struct canceller { ASYNC_FRAME; async_task **task; };
static ASYNC(canceller)
{
    ASYNC_BEGIN(canceller);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    cancel(*self->task);
    ASYNC_END;
}
struct same_iteration { ASYNC_FRAME; int cancel_first; async_task *a, *b; };
static ASYNC(same_iteration)
{
    ASYNC_BEGIN(same_iteration);
    if (self->cancel_first)
        self->b = async_create_task(CO(canceller, &self->a));
    self->a = async_create_task(CO(sleeper, "a", 1));
    if (!self->cancel_first)
        self->b = async_create_task(CO(canceller, &self->a));
    AWAIT(ending, "a", self->a);
    AWAIT_JOIN(self->b);
    async_task_release(self->a);
    ASYNC_END;
}

static void a_task_that_ends_before_the_one_that_cancels_it_has_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(same_iteration, .cancel_first = 0), 0);
    assert_said("a a:woke a:finally cancel:0 a:ok@1");
}

static void a_task_cancelled_before_its_last_step_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(same_iteration, .cancel_first = 1), 0);
    assert_said("a cancel:1 a:cancelled a:finally a:ASYNC_ECANCELED@1");
}

struct hum { ASYNC_FRAME; const char *name; };
static ASYNC(hum)
{
    ASYNC_BEGIN(hum);
    ASYNC_TRY {
        ASYNC_SUSPEND;
        say("%s", self->name);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("%s:cancelled", self->name);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct queued { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(queued)
{
    ASYNC_BEGIN(queued);
    self->a = async_create_task(CO(hum, "a"));
    self->b = async_create_task(CO(hum, "b"));
    self->c = async_create_task(CO(hum, "c"));
    ASYNC_SUSPEND;
    async_task_cancel(self->b);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT_JOIN(self->c);
    ASYNC_END;
}

static void
a_runnable_task_keeps_its_place_in_the_queue_when_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(queued), 0);
    assert_said("a b:cancelled c");
}

struct orders { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(orders)
{
    ASYNC_BEGIN(orders);
    self->a = async_create_task(CO(sleeper, "a", 100));
    self->b = async_create_task(CO(sleeper, "b", 100));
    self->c = async_create_task(CO(sleeper, "c", 100));
    ASYNC_SUSPEND;
    async_task_cancel(self->c);
    async_task_cancel(self->a);
    async_task_cancel(self->b);
    async_task_release(self->a);
    async_task_release(self->b);
    async_task_release(self->c);
    ASYNC_END;
}

static void
sleepers_are_woken_in_the_order_in_which_they_were_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(orders), 0);
    assert_said("a b c c:cancelled c:finally a:cancelled a:finally "
                "b:cancelled b:finally");
}

/* --- counting ------------------------------------------------------------ */

struct counts { ASYNC_FRAME; async_task *task; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    self->task = async_create_task(CO(catches));
    ASYNC_SUSPEND;
    say("%d", async_task_cancelling(self->task));
    say("%d", async_task_uncancel(self->task)); /* never below zero */
    async_task_cancel(self->task);
    async_task_cancel(self->task);
    say("%d", async_task_cancelling(self->task));
    say("%d", async_task_uncancel(self->task));
    say("%d", async_task_uncancel(self->task));
    say("%d", async_task_cancelling(self->task));
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void requests_are_counted_and_uncancel_takes_one_back(void **s)
{
    (void)s;
    assert_int_equal(RUN(counts), 0);
    assert_said("0 0 2 1 0 0 caught");
}

struct withdraws { ASYNC_FRAME; int again; async_task *task; };
static ASYNC(withdraws)
{
    ASYNC_BEGIN(withdraws);
    self->task = async_create_task(CO(sleeper, "a", 1));
    async_task_cancel(self->task);
    async_task_cancel(self->task);
    async_task_uncancel(self->task);
    async_task_uncancel(self->task);
    if (self->again) async_task_cancel(self->task);
    AWAIT(ending, "a", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void taking_back_all_requests_withdraws_one_not_yet_raised(void **s)
{
    (void)s;
    assert_int_equal(RUN(withdraws), 0);
    assert_said("a a:woke a:finally a:ok@1");
    assert_int_equal(RUN(withdraws, .again = 1), 0);
    assert_said("a:ASYNC_ECANCELED@0");
}

struct withdraws_some { ASYNC_FRAME; async_task *task; };
static ASYNC(withdraws_some)
{
    ASYNC_BEGIN(withdraws_some);
    self->task = async_create_task(CO(sleeper, "a", 1));
    async_task_cancel(self->task);
    async_task_cancel(self->task);
    async_task_uncancel(self->task);
    AWAIT(ending, "a", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void as_long_as_one_request_is_left_it_is_raised(void **s)
{
    (void)s;
    assert_int_equal(RUN(withdraws_some), 0);
    assert_said("a:ASYNC_ECANCELED@0");
}

struct withdraws_late { ASYNC_FRAME; async_task *task; };
static ASYNC(withdraws_late)
{
    ASYNC_BEGIN(withdraws_late);
    self->task = async_create_task(CO(sleeper, "a", 100));
    ASYNC_SUSPEND;
    async_task_cancel(self->task); /* this ends the sleep itself */
    async_task_uncancel(self->task);
    AWAIT(ending, "a", self->task);
    assert_int_equal(async_task_cancelling(self->task), 0);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_sleep_that_was_cancelled_cannot_be_taken_back(void **s)
{
    (void)s;
    assert_int_equal(RUN(withdraws_late), 0);
    assert_said("a a:cancelled a:finally a:ASYNC_ECANCELED@0");
}

/* --- without a request --------------------------------------------------- */

struct raises { ASYNC_FRAME; };
static ASYNC(raises)
{
    ASYNC_BEGIN(raises);
    ASYNC_RAISE(ASYNC_ECANCELED);
    ASYNC_END;
}
struct unasked {
    ASYNC_FRAME;
    async_task *raises, *follows, *waits;
    async_future future;
};
static ASYNC(unasked)
{
    ASYNC_BEGIN(unasked);
    async_future_init(&self->future, &loop.base);
    self->raises = async_create_task(CO(raises));
    self->follows = async_create_task(CO(follower, "follows", self->raises));
    self->waits = async_create_task(CO(on_future, &self->future));
    ASYNC_SUSPEND;
    async_future_cancel(&self->future);
    AWAIT(ending, "follows", self->follows);
    AWAIT(ending, "waits", self->waits);
    assert_true(async_task_cancelled(self->raises));
    assert_true(async_task_cancelled(self->follows));
    assert_true(async_task_cancelled(self->waits));
    assert_int_equal(async_task_cancelling(self->raises), 0);
    assert_int_equal(async_task_cancelling(self->follows), 0);
    assert_int_equal(async_task_cancelling(self->waits), 0);
    async_task_release(self->raises);
    async_task_release(self->follows);
    async_task_release(self->waits);
    ASYNC_END;
}

static void
a_task_that_raises_it_or_awaits_what_was_cancelled_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(unasked), 0);
    assert_said("follows:finally follows:ASYNC_ECANCELED@0 "
                "waits:ASYNC_ECANCELED@0");
}

/* --- circles --------------------------------------------------------------- */

/* Each of the tasks awaits the next one. */
static async_task *ring[3];
struct link_of_ring { ASYNC_FRAME; int i, seconds; };
static ASYNC(link_of_ring)
{
    ASYNC_BEGIN(link_of_ring);
    ASYNC_TRY {
        AWAIT_TASK(ring[(self->i + 1) % 3]);
    } ASYNC_FINALLY {
        say("%d:finally", self->i);
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct circle { ASYNC_FRAME; int i, error; };
static ASYNC(circle)
{
    ASYNC_BEGIN(circle);
    for (self->i = 0; self->i < 3; self->i++)
        ring[self->i] = async_create_task(CO(link_of_ring, self->i));
    AWAIT(async_sleep, 0);
    assert_int_equal(async_task_cancel(ring[1]), 1);
    assert_int_equal(async_task_cancelling(ring[1]), 1);
    ASYNC_TRY {
        AWAIT_TASK(ring[1]);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    for (self->i = 0; self->i < 3; self->i++) {
        assert_true(async_task_cancelled(ring[self->i]) || self->i != 1);
        async_task_release(ring[self->i]);
    }
    assert_int_equal(self->error, ASYNC_ECANCELED);
    ASYNC_END;
}

static void a_circle_of_tasks_is_broken_where_the_cancellation_began(void **s)
{
    (void)s;
    assert_int_equal(RUN(circle), 0);
    assert_said("1:finally 0:finally 2:finally");
}

struct leaves_circle { ASYNC_FRAME; int i; };
static ASYNC(leaves_circle)
{
    ASYNC_BEGIN(leaves_circle);
    for (self->i = 0; self->i < 3; self->i++) {
        ring[self->i] = async_create_task(CO(link_of_ring, self->i));
        async_task_release(ring[self->i]);
    }
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void a_circle_of_tasks_does_not_hold_up_the_end_of_a_run(void **s)
{
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_run_on(&loop.base, CO(leaves_circle)), 0);
    assert_said("0:finally 2:finally 1:finally");
    assert_int_equal(async_loop_close(&loop.base), 0);
}

UNIT_MAIN(
    TEST(cancelled_before_its_first_step_a_body_never_runs),
    TEST(cancelling_ends_a_sleep_at_once),
    TEST(cancelling_arrives_where_a_task_only_gave_up_the_processor),
    TEST(cancelling_goes_to_the_future_that_is_awaited),
    TEST(cancelling_goes_to_the_innermost_task_and_returns_when_it_ended),
    TEST(cancelling_one_of_two_who_await_a_task_ends_it_for_both),
    TEST(a_deep_chain_of_awaits_unwinds_frame_by_frame),
    TEST(an_operation_that_takes_up_the_cancellation_decides_the_outcome),
    TEST(cancellation_refused_by_an_operation_waits_for_its_end),
    TEST(a_caught_cancellation_leaves_the_task_running),
    TEST(a_child_that_catches_it_keeps_it_from_its_parent),
    TEST(another_error_raised_in_cleanup_replaces_it),
    TEST(a_return_in_finally_eats_it),
    TEST(a_second_cancellation_interrupts_the_cleanup),
    TEST(two_requests_before_it_runs_are_raised_as_one),
    TEST(cancelling_a_task_that_has_ended_does_nothing),
    TEST(a_task_that_cancels_itself_goes_on_to_its_next_suspension),
    TEST(a_task_that_cancels_itself_and_returns_loses_its_result),
    TEST(a_task_that_cancels_itself_and_raises_has_failed),
    TEST(a_task_may_withdraw_its_own_cancellation),
    TEST(a_request_made_in_a_frame_that_grew_the_stack_is_kept),
    TEST(a_request_raised_in_a_frame_that_grew_the_stack_is_over),
    TEST(cancelling_beats_a_result_that_was_set_but_not_delivered),
    TEST(cancelling_beats_an_error_of_a_child_that_was_not_delivered),
    TEST(a_timer_that_cancels_at_the_instant_a_sleep_ends_wins),
    TEST(a_timer_that_cancels_at_the_instant_a_future_is_set_wins),
    TEST(a_task_that_ends_before_the_one_that_cancels_it_has_ended),
    TEST(a_task_cancelled_before_its_last_step_is_cancelled),
    TEST(a_runnable_task_keeps_its_place_in_the_queue_when_cancelled),
    TEST(sleepers_are_woken_in_the_order_in_which_they_were_cancelled),
    TEST(requests_are_counted_and_uncancel_takes_one_back),
    TEST(taking_back_all_requests_withdraws_one_not_yet_raised),
    TEST(as_long_as_one_request_is_left_it_is_raised),
    TEST(a_sleep_that_was_cancelled_cannot_be_taken_back),
    TEST(a_task_that_raises_it_or_awaits_what_was_cancelled_is_cancelled),
    TEST(a_circle_of_tasks_is_broken_where_the_cancellation_began),
    TEST(a_circle_of_tasks_does_not_hold_up_the_end_of_a_run))
