/* Gathering: several awaitables at once. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
/* A trap comes back to the test that expects it. */
static void trapped(const char *message);
#define ASYNC_TRAP(message) trapped(message)
#include "virtual.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

/* Takes some seconds, and returns `result` or raises it when it is negative;
 * cancelled, it takes `cleanup` seconds, and returns all the same if it is to
 * swallow that. */
struct work {
    ASYNC_RETURNS(int);
    const char *name;
    int seconds, result, cleanup, swallow;
};
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("%s:cancelled", self->name);
        AWAIT(async_sleep, ASYNC_SECONDS(self->cleanup));
        say("%s:cleaned", self->name);
        if (!self->swallow) ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    say("%s@%d", self->name, seconds());
    if (self->result < 0) ASYNC_RAISE(self->result);
    ASYNC_RETURN(self->result);
    ASYNC_END;
}

struct half { ASYNC_RETURNS(double); int n; };
static ASYNC(half)
{
    ASYNC_BEGIN(half);
    ASYNC_RETURN(self->n / 2.0);
    ASYNC_END;
}

struct nothing { ASYNC_FRAME; };
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
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

static size_t count(void)
{
    return async_loop_count_tasks(&loop.base);
}

/* --- results ------------------------------------------------------------- */

struct fixed { ASYNC_FRAME; async_gathering all; };
static ASYNC(fixed)
{
    ASYNC_BEGIN(fixed);
    AWAIT_GATHER(&self->all, CO(work, "a", 3, 30), CO(work, "b", 1, 10),
                 CO(half, 5));
    say("%d %d %g", GATHERED(&self->all, 0, work),
        GATHERED(&self->all, 1, work), GATHERED(&self->all, 2, half));
    assert_int_equal(count(), 4);
    async_gather_clear(&self->all);
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void results_stand_in_the_order_of_the_arguments(void **s)
{
    (void)s;
    assert_int_equal(RUN(fixed), 0);
    assert_said("b@1 a@3 30 10 2.5");
}

struct sixteen { ASYNC_FRAME; async_gathering all; int i, sum; };
static ASYNC(sixteen)
{
    ASYNC_BEGIN(sixteen);
    AWAIT_GATHER(&self->all, CO(half, 0), CO(half, 2), CO(half, 4),
                 CO(half, 6), CO(half, 8), CO(half, 10), CO(half, 12),
                 CO(half, 14), CO(half, 16), CO(half, 18), CO(half, 20),
                 CO(half, 22), CO(half, 24), CO(half, 26), CO(half, 28),
                 CO(half, 30));
    for (self->i = 0; self->i < 16; self->i++)
        assert_true(GATHERED(&self->all, self->i, half) == self->i);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void up_to_16_can_be_gathered_in_one_line(void **s)
{
    (void)s;
    assert_int_equal(RUN(sixteen), 0);
}

struct any { ASYNC_FRAME; async_gathering all; int n, i; };
static ASYNC(any)
{
    ASYNC_BEGIN(any);
    for (self->i = 0; self->i < self->n; self->i++)
        assert_int_equal(async_gather_add(&self->all, CO(half, self->i)), 0);
    assert_int_equal(async_gather_count(&self->all), self->n);
    AWAIT(async_gather, &self->all);
    for (self->i = 0; self->i < self->n; self->i++)
        assert_true(GATHERED(&self->all, self->i, half) == self->i / 2.0);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void any_number_can_be_added_one_by_one(void **s)
{
    (void)s;
    assert_int_equal(RUN(any, .n = 1), 0);
    assert_int_equal(RUN(any, .n = 5), 0);
    assert_int_equal(RUN(any, .n = 1000), 0);
}

static int set_seven(void *future)
{
    ASYNC_FUTURE(int) *typed = future;
    return ASYNC_SET_RESULT(typed, 7);
}
struct mixed {
    ASYNC_FRAME;
    async_gathering all;
    async_task *task;
    ASYNC_FUTURE(int) future;
};
static ASYNC(mixed)
{
    ASYNC_BEGIN(mixed);
    async_future_init(&self->future.future, &loop.base);
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(2), set_seven,
                          &self->future);
    self->task = async_create_task(CO(work, "task", 1, 1));
    AWAIT_GATHER(&self->all, CO(work, "coroutine", 1, 2),
                 async_task_object(self->task),
                 async_future_object(&self->future.future));
    say("%d %d %d", GATHERED(&self->all, 0, work),
        GATHERED(&self->all, 1, work), ASYNC_FUTURE_VALUE(&self->future));
    async_gather_clear(&self->all);
    assert_int_equal(count(), 2); /* the task's handle is ours */
    async_task_release(self->task);
    ASYNC_END;
}

static void coroutines_tasks_and_futures_can_be_gathered_together(void **s)
{
    (void)s;
    assert_int_equal(RUN(mixed), 0);
    assert_said("task@1 coroutine@1 2 1 7");
}

struct held { ASYNC_FRAME; async_gathering all; async_task *task; };
static ASYNC(held)
{
    ASYNC_BEGIN(held);
    self->task = async_create_task(CO(half, 3));
    async_gather_add(&self->all, async_task_object(self->task));
    async_task_release(self->task);
    AWAIT(async_gather, &self->all);
    assert_true(GATHERED(&self->all, 0, half) == 1.5);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void a_task_that_is_gathered_is_held_until_the_clear(void **s)
{
    (void)s;
    assert_int_equal(RUN(held), 0);
}

struct twice { ASYNC_FRAME; async_gathering all; async_task *task; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    self->task = async_create_task(CO(work, "once", 1, 4));
    AWAIT_GATHER(&self->all, async_task_object(self->task),
                 CO(work, "other", 2, 5), async_task_object(self->task));
    say("%d %d %d", GATHERED(&self->all, 0, work),
        GATHERED(&self->all, 1, work), GATHERED(&self->all, 2, work));
    assert_int_equal(async_gather_count(&self->all), 3);
    async_gather_clear(&self->all);
    async_task_release(self->task);
    ASYNC_END;
}

static void one_that_is_there_twice_is_waited_for_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(twice), 0);
    assert_said("once@1 other@2 4 5 4");
}

struct again { ASYNC_FRAME; async_gathering all; };
static ASYNC(again)
{
    ASYNC_BEGIN(again);
    AWAIT_GATHER(&self->all, CO(work, "a", 1, 1));
    async_loop_stop(&loop.base); /* ends the run if that one suspends */
    AWAIT(async_gather, &self->all);
    say("%d", GATHERED(&self->all, 0, work));
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void awaited_a_second_time_the_results_are_there(void **s)
{
    (void)s;
    assert_int_equal(RUN(again), 0);
    assert_said("a@1 1");
}

/* --- the wrong result ---------------------------------------------------- */

static jmp_buf trap;
static void trapped(const char *message)
{
    say("%s", strstr(message, "GATHERED"));
    longjmp(trap, 1);
}
static async_gathering shared;
struct gathers_shared { ASYNC_FRAME; async_future future; };
static ASYNC(gathers_shared)
{
    ASYNC_BEGIN(gathers_shared);
    async_future_init(&self->future, &loop.base);
    async_future_set_result(&self->future);
    async_gather_return_exceptions(&shared);
    AWAIT_GATHER(&shared, CO(half, 1), CO(work, "fails", 0, EKEY), CO(nothing),
                 async_future_object(&self->future));
    if (setjmp(trap) == 0) GATHERED(&shared, 0, work) = 0;
    if (setjmp(trap) == 0) GATHERED(&shared, 1, work) = 0;
    if (setjmp(trap) == 0) GATHERED(&shared, 2, half) = 0;
    if (setjmp(trap) == 0) GATHERED(&shared, 3, work) = 0;
    if (setjmp(trap) == 0) GATHERED(&shared, 4, work) = 0;
    async_gather_clear(&shared);
    ASYNC_END;
}

static void asking_for_a_result_that_is_not_there_traps(void **s)
{
    (void)s;
    assert_int_equal(RUN(gathers_shared), 0);
    assert_said("fails@0 GATHERED: that child is another coroutine "
                "GATHERED: that child has no result: ask "
                "async_gather_error() first "
                "GATHERED: that child is another coroutine "
                "GATHERED: that child is no coroutine: it has its value "
                "itself "
                "GATHERED: there is no child of that index");
}

/* --- without waiting ----------------------------------------------------- */

struct says { ASYNC_FRAME; };
static ASYNC(says)
{
    ASYNC_BEGIN(says);
    say("other");
    ASYNC_END;
}
struct empty { ASYNC_FRAME; async_gathering none; };
static ASYNC(empty)
{
    ASYNC_BEGIN(empty);
    async_task_release(async_create_task(CO(says)));
    AWAIT(async_gather, &self->none);
    say("gathered %d", (int)async_gather_count(&self->none));
    async_gather_clear(&self->none);
    ASYNC_END;
}

static void nothing_is_gathered_without_suspending(void **s)
{
    (void)s;
    assert_int_equal(RUN(empty), 0);
    assert_said("gathered 0 other");
}

struct done_already {
    ASYNC_FRAME;
    int error;
    async_gathering all;
    async_task *task;
};
static ASYNC(done_already)
{
    ASYNC_BEGIN(done_already);
    self->task = async_create_task(CO(work, "a", 0, 1));
    AWAIT_TASK(self->task);
    async_task_release(async_create_task(CO(says)));
    AWAIT_GATHER(&self->all, async_task_object(self->task),
                 async_task_object(self->task));
    say("%d", GATHERED(&self->all, 1, work));
    async_gather_clear(&self->all);
    async_task_release(self->task);
    ASYNC_END;
}

static void what_is_done_already_is_gathered_without_suspending(void **s)
{
    (void)s;
    assert_int_equal(RUN(done_already), 0);
    assert_said("a@0 1 other");
}

struct ticker { ASYNC_FRAME; int n, i; };
static ASYNC(ticker)
{
    ASYNC_BEGIN(ticker);
    for (self->i = 1; self->i <= self->n; self->i++) {
        say("%d", self->i);
        ASYNC_SUSPEND;
    }
    ASYNC_END;
}
struct iterations { ASYNC_FRAME; async_gathering all; };
static ASYNC(iterations)
{
    ASYNC_BEGIN(iterations);
    async_task_release(async_create_task(CO(ticker, 4)));
    AWAIT_GATHER(&self->all, CO(says));
    say("gathered");
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void the_awaiter_resumes_two_iterations_after_the_last_child(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterations), 0);
    assert_said("1 other 2 3 gathered 4");
}

/* The callback of one child stands in the ready queue before "first", that of
 * the other behind it. */
static async_handle first_handle, second_handle;
static int second_call(void *argument)
{
    (void)argument;
    say("second");
    return 0;
}
static int first_call(void *argument)
{
    say("first");
    async_loop_call_soon((async_loop *)argument, &second_handle, second_call,
                         NULL);
    return 0;
}
struct ends { ASYNC_FRAME; int error, calls; };
static ASYNC(ends)
{
    ASYNC_BEGIN(ends);
    if (self->calls)
        async_loop_call_soon(async_loop_of(co), &first_handle, first_call,
                             async_loop_of(co));
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct ending_order { ASYNC_FRAME; int error; async_gathering all; };
static ASYNC(ending_order)
{
    ASYNC_BEGIN(ending_order);
    async_gather_return_exceptions(&self->all);
    AWAIT_GATHER(&self->all, CO(ends, self->error), CO(ends, 0, 1));
    say("gathered");
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void it_ends_in_the_callback_of_the_child_that_ended_last(void **s)
{
    (void)s;
    assert_int_equal(RUN(ending_order), 0);
    assert_said("first second gathered");
    assert_int_equal(RUN(ending_order, .error = EKEY), 0);
    assert_said("first second gathered");
}

/* The first child lets another task wait for it. */
struct awaits { ASYNC_FRAME; async_task *task; };
static ASYNC(awaits)
{
    ASYNC_BEGIN(awaits);
    AWAIT_TASK(self->task);
    say("told");
    ASYNC_END;
}
struct awaited { ASYNC_FRAME; async_task *task; };
static ASYNC(awaited)
{
    ASYNC_BEGIN(awaited);
    async_task_release(async_create_task(CO(awaits, async_current_task())));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}
struct sleeps_and_ends { ASYNC_FRAME; };
static ASYNC(sleeps_and_ends)
{
    ASYNC_BEGIN(sleeps_and_ends);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(ends, 0, 1);
    ASYNC_END;
}
struct shared_child { ASYNC_FRAME; async_gathering all; };
static ASYNC(shared_child)
{
    ASYNC_BEGIN(shared_child);
    AWAIT_GATHER(&self->all, CO(awaited), CO(sleeps_and_ends));
    say("gathered");
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void also_when_another_task_waits_for_a_child(void **s)
{
    (void)s;
    assert_int_equal(RUN(shared_child), 0);
    assert_said("told first second gathered");
}

/* --- errors -------------------------------------------------------------- */

struct first_error { ASYNC_FRAME; async_gathering all; };
static ASYNC(first_error)
{
    ASYNC_BEGIN(first_error);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(work, "a", 1, 1), CO(work, "b", 2, EKEY),
                     CO(work, "c", 4, EVALUE), CO(work, "d", 3, 4));
    } ASYNC_EXCEPT(EKEY) {
        say("key@%d", seconds());
    } ASYNC_END_TRY
    assert_int_equal(async_gather_count(&self->all), 0); /* all is released */
    assert_int_equal(count(), 3);
    AWAIT(async_sleep, ASYNC_SECONDS(5));
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void
the_first_error_is_raised_at_once_and_the_others_go_on_unreported(void **s)
{
    (void)s;
    assert_int_equal(RUN(first_error), 0);
    assert_said("a@1 b@2 key@2 d@3 c@4");
}

struct returned { ASYNC_FRAME; async_gathering all; };
static ASYNC(returned)
{
    ASYNC_BEGIN(returned);
    async_gather_return_exceptions(&self->all);
    AWAIT_GATHER(&self->all, CO(work, "a", 3, 1), CO(work, "b", 1, EKEY),
                 CO(work, "c", 0, ASYNC_ECANCELED), CO(work, "d", 2, EVALUE));
    say("%d", async_gather_error(&self->all, 0));
    say("%s", async_error_name(async_gather_error(&self->all, 1)));
    say("%s", async_error_name(async_gather_error(&self->all, 2)));
    say("%s", async_error_name(async_gather_error(&self->all, 3)));
    say("%d", GATHERED(&self->all, 0, work));
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void
returning_exceptions_all_are_waited_for_and_nothing_is_raised(void **s)
{
    (void)s;
    assert_int_equal(RUN(returned), 0);
    assert_said("c@0 b@1 d@2 a@3 0 EKEY ASYNC_ECANCELED EVALUE 1");
}

struct asks { ASYNC_FRAME; async_gathering all; async_future *future; };
static ASYNC(asks)
{
    ASYNC_BEGIN(asks);
    assert_int_equal(async_gather_count(&self->all), 0);
    assert_int_equal(async_gather_error(&self->all, 0), ASYNC_EINVAL);
    async_gather_add(&self->all, CO(half, 1));
    async_gather_add(&self->all, CO(work, "late", 1, EKEY));
    assert_int_equal(async_gather_count(&self->all), 2);
    assert_int_equal(async_gather_error(&self->all, 0), ASYNC_ENOTREADY);
    ASYNC_SUSPEND;
    assert_int_equal(async_gather_error(&self->all, 0), 0);
    assert_int_equal(async_gather_error(&self->all, 1), ASYNC_ENOTREADY);
    assert_int_equal(async_gather_error(&self->all, 2), ASYNC_EINVAL);
    self->future = async_gather_start(&self->all);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    assert_int_equal(async_gather_error(&self->all, 1), EKEY);
    assert_int_equal(async_future_result(self->future), EKEY);
    async_gather_clear(&self->all);
    assert_int_equal(async_gather_count(&self->all), 0);
    ASYNC_END;
}

static void each_child_can_be_asked_how_it_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(asks), 0);
}

static int cancel(void *task)
{
    async_task_cancel(task);
    return 0;
}
struct child_cancelled { ASYNC_FRAME; async_gathering all; async_task *task; };
static ASYNC(child_cancelled)
{
    ASYNC_BEGIN(child_cancelled);
    self->task = async_create_task(CO(work, "a", 9));
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), cancel,
                          self->task);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, async_task_object(self->task),
                     CO(work, "b", 2));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("gather:cancelled@%d", seconds());
    } ASYNC_END_TRY
    say("%d", async_task_cancelling(async_current_task()));
    async_task_release(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(5));
    ASYNC_END;
}

static void a_child_that_is_cancelled_is_an_error_like_others(void **s)
{
    (void)s;
    assert_int_equal(RUN(child_cancelled), 0);
    assert_said("a:cancelled a:cleaned gather:cancelled@1 0 b@2");
}

struct raises { ASYNC_FRAME; };
static ASYNC(raises)
{
    ASYNC_BEGIN(raises);
    AWAIT(work, "a", 0, EKEY);
    ASYNC_END;
}
struct traces { ASYNC_FRAME; async_gathering all; async_traceback traceback; };
static ASYNC(traces)
{
    ASYNC_BEGIN(traces);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(nothing), CO(raises));
    } ASYNC_EXCEPT(EKEY) {
        async_traceback_of(co, &self->traceback);
    } ASYNC_END_TRY
    assert_int_equal(self->traceback.count, 4);
    say("%s", self->traceback.entries[0].name);
    say("%s", self->traceback.entries[1].name);
    say("%s", self->traceback.entries[2].name);
    say("%s", self->traceback.entries[3].name);
    ASYNC_END;
}

static void a_traceback_goes_through_the_gathering_into_the_child(void **s)
{
    (void)s;
    assert_int_equal(RUN(traces), 0);
    assert_said("a@0 work raises async_gather traces");
}

/* --- cancelling ---------------------------------------------------------- */

struct gathers_three {
    ASYNC_FRAME;
    int returns;
    int swallow;
    async_gathering all;
};
static ASYNC(gathers_three)
{
    ASYNC_BEGIN(gathers_three);
    ASYNC_TRY {
        if (self->returns) async_gather_return_exceptions(&self->all);
        AWAIT_GATHER(&self->all, CO(work, "a", 100, 1, 3, self->swallow),
                     CO(work, "b", 100, 2, 2, self->swallow),
                     CO(work, "c", 100, 3, 1, self->swallow));
        say("not reached");
    } ASYNC_FINALLY {
        say("left@%d", seconds());
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels { ASYNC_FRAME; int returns, swallow; async_task *task; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task =
        async_create_task(CO(gathers_three, self->returns, self->swallow));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT(ending, "task", self->task);
    async_task_release(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(9));
    ASYNC_END;
}

static void cancelling_cancels_every_child_and_leaves_with_the_first(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("a:cancelled b:cancelled c:cancelled c:cleaned left@2 "
                "task:ASYNC_ECANCELED@2 b:cleaned a:cleaned");
}

static void cancelled_while_it_returns_exceptions_it_waits_for_all(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .returns = 1), 0);
    assert_said("a:cancelled b:cancelled c:cancelled c:cleaned b:cleaned "
                "a:cleaned left@4 task:ASYNC_ECANCELED@4");
}

static void children_that_swallow_it_do_not_save_the_awaiter(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .swallow = 1), 0);
    assert_said("a:cancelled b:cancelled c:cancelled c:cleaned c@2 b:cleaned "
                "b@3 a:cleaned a@4 left@4 task:ASYNC_ECANCELED@4");
    assert_int_equal(RUN(cancels, .returns = 1, .swallow = 1), 0);
    assert_said("a:cancelled b:cancelled c:cancelled c:cleaned c@2 b:cleaned "
                "b@3 a:cleaned a@4 left@4 task:ASYNC_ECANCELED@4");
}

struct cancels_before { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_before)
{
    ASYNC_BEGIN(cancels_before);
    self->task = async_create_task(CO(gathers_three));
    ASYNC_SUSPEND; /* it has made its children, which have not begun */
    async_task_cancel(self->task);
    AWAIT(ending, "task", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void children_that_have_not_begun_never_run_when_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_before), 0);
    assert_said("left@0 task:ASYNC_ECANCELED@0");
}

struct cancels_duplicate {
    ASYNC_FRAME;
    async_gathering all;
    async_task *task;
};
static ASYNC(cancels_duplicate)
{
    ASYNC_BEGIN(cancels_duplicate);
    self->task = async_create_task(CO(work, "a", 100));
    async_gather_add(&self->all, async_task_object(self->task));
    async_gather_add(&self->all, async_task_object(self->task));
    ASYNC_SUSPEND;
    assert_int_equal(async_future_cancel(async_gather_start(&self->all)), 1);
    say("%d", async_task_cancelling(self->task)); /* once each, as asyncio */
    AWAIT(ending, "a", self->task);
    ASYNC_SUSPEND;
    say("%s",
        async_error_name(async_future_result(async_gather_start(&self->all))));
    async_gather_clear(&self->all);
    async_task_release(self->task);
    ASYNC_END;
}

static void one_that_is_there_twice_is_asked_twice_to_cancel(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_duplicate), 0);
    assert_said("2 a:cancelled a:cleaned a:ASYNC_ECANCELED@0 ASYNC_ECANCELED");
}

struct too_late { ASYNC_FRAME; async_gathering all; async_future *future; };
static ASYNC(too_late)
{
    ASYNC_BEGIN(too_late);
    async_gather_add(&self->all, CO(work, "a", 1, EKEY));
    async_gather_add(&self->all, CO(work, "b", 3));
    self->future = async_gather_start(&self->all);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    say("%d", async_future_cancel(self->future));
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    async_gather_clear(&self->all);
    ASYNC_END;
}

/* Not even silence it, as cancelling a future or task that is done does: in
 * asyncio too the future of a gathering is an exception. */
static void after_the_first_error_cancelling_does_nothing(void **s)
{
    (void)s;
    assert_int_equal(RUN(too_late), 0);
    assert_said("a@1 0 b@3 [Future exception was never retrieved: EKEY]");
}

struct gathers_done { ASYNC_FRAME; async_future *a; async_gathering all; };
static ASYNC(gathers_done)
{
    ASYNC_BEGIN(gathers_done);
    AWAIT_GATHER(&self->all, async_future_object(self->a));
    async_gather_clear(&self->all);
    ASYNC_END;
}
struct cancels_finishing {
    ASYNC_FRAME;
    int error;
    async_task *task;
    async_future a;
};
static ASYNC(cancels_finishing)
{
    ASYNC_BEGIN(cancels_finishing);
    async_future_init(&self->a, &loop.base);
    self->task = async_create_task(CO(gathers_done, &self->a));
    ASYNC_SUSPEND;
    if (self->error)
        async_future_set_exception(&self->a, self->error);
    else
        async_future_set_result(&self->a);
    async_task_cancel(self->task); /* no child is left to be cancelled */
    AWAIT(ending, "task", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void
cancelled_when_all_children_are_done_it_is_raised_all_the_same(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_finishing, 0), 0);
    assert_said("task:ASYNC_ECANCELED@0");
    assert_int_equal(RUN(cancels_finishing, EKEY), 0);
    assert_said("task:ASYNC_ECANCELED@0"); /* nor is the error reported */
}

/* --- gatherings in gatherings -------------------------------------------- */

struct pair { ASYNC_RETURNS(int); int n; async_gathering all; };
static ASYNC(pair)
{
    ASYNC_BEGIN(pair);
    AWAIT_GATHER(&self->all, CO(work, "x", self->n, self->n),
                 CO(work, "y", self->n, self->n));
    self->n = GATHERED(&self->all, 0, work) + GATHERED(&self->all, 1, work);
    async_gather_clear(&self->all);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}
struct pairs { ASYNC_FRAME; async_gathering all; };
static ASYNC(pairs)
{
    ASYNC_BEGIN(pairs);
    AWAIT_GATHER(&self->all, CO(pair, 2), CO(pair, 1));
    say("%d %d", GATHERED(&self->all, 0, pair), GATHERED(&self->all, 1, pair));
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void children_may_gather_in_turn(void **s)
{
    (void)s;
    assert_int_equal(RUN(pairs), 0);
    assert_said("x@1 y@1 x@2 y@2 4 2");
}

struct nested { ASYNC_FRAME; int error; async_gathering outer, inner; };
static ASYNC(nested)
{
    ASYNC_BEGIN(nested);
    async_gather_add(&self->inner, CO(work, "a", 1, 1));
    async_gather_add(&self->inner, CO(work, "b", 2, self->error));
    ASYNC_TRY {
        AWAIT_GATHER(&self->outer, CO(work, "c", 1, 3),
                     async_future_object(async_gather_start(&self->inner)));
        say("%d %d", GATHERED(&self->inner, 1, work),
            GATHERED(&self->outer, 0, work));
    } ASYNC_EXCEPT(EKEY) {
        say("key");
    } ASYNC_FINALLY {
        async_gather_clear(&self->outer);
        async_gather_clear(&self->inner);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_gathering_can_be_gathered(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested, 2), 0);
    assert_said("a@1 c@1 b@2 2 3");
    assert_int_equal(RUN(nested, EKEY), 0);
    assert_said("a@1 c@1 b@2 key");
}

struct cancels_nested { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_nested)
{
    ASYNC_BEGIN(cancels_nested);
    self->task = async_create_task(CO(nested));
    AWAIT(async_sleep, ASYNC_MS(500));
    async_task_cancel(self->task);
    AWAIT(ending, "task", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelling_reaches_the_children_of_an_inner_gathering(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_nested), 0);
    assert_said("c:cancelled a:cancelled b:cancelled c:cleaned a:cleaned "
                "b:cleaned task:ASYNC_ECANCELED@0");
}

/* --- started, not awaited ------------------------------------------------ */

static int say_done(async_future *future, void *unused)
{
    (void)unused;
    say("done:%d", async_future_result(future));
    return 0;
}
struct starts {
    ASYNC_FRAME;
    async_gathering all;
    async_future *future;
    async_done_callback done;
};
static ASYNC(starts)
{
    ASYNC_BEGIN(starts);
    async_gather_add(&self->all, CO(work, "a", 1));
    async_gather_add(&self->all, CO(work, "b", 2));
    self->future = async_gather_start(&self->all);
    assert_ptr_equal(async_gather_start(&self->all), self->future);
    async_future_add_done_callback(self->future, &self->done, say_done, NULL);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_false(async_future_done(self->future));
    AWAIT_FUTURE(self->future);
    say("awaited@%d", seconds());
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void a_started_gathering_is_a_future(void **s)
{
    (void)s;
    assert_int_equal(RUN(starts), 0);
    assert_said("a@1 b@2 done:0 awaited@2");
}

struct awaits_future { ASYNC_FRAME; const char *name; async_future *future; };
static ASYNC(awaits_future)
{
    ASYNC_BEGIN(awaits_future);
    AWAIT_FUTURE(self->future);
    say("%s", self->name);
    ASYNC_END;
}
struct shares {
    ASYNC_FRAME;
    async_gathering all, both;
    async_future *future;
};
static ASYNC(shares)
{
    ASYNC_BEGIN(shares);
    async_gather_add(&self->all, CO(work, "a", 1));
    self->future = async_gather_start(&self->all);
    AWAIT_GATHER(&self->both, CO(awaits_future, "x", self->future),
                 CO(awaits_future, "y", self->future));
    async_gather_clear(&self->both);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void several_tasks_may_await_one_gathering(void **s)
{
    (void)s;
    assert_int_equal(RUN(shares), 0);
    assert_said("a@1 x y");
}

struct awaits_gathering {
    ASYNC_FRAME;
    const char *name;
    async_gathering *all;
};
static ASYNC(awaits_gathering)
{
    ASYNC_BEGIN(awaits_gathering);
    ASYNC_TRY {
        AWAIT(async_gather, self->all);
    } ASYNC_EXCEPT(EKEY) {
        say("%s:key", self->name);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct shares_error { ASYNC_FRAME; async_gathering all, both; };
static ASYNC(shares_error)
{
    ASYNC_BEGIN(shares_error);
    async_gather_add(&self->all, CO(work, "a", 1, EKEY));
    async_gather_add(&self->all, CO(work, "b", 2));
    AWAIT_GATHER(&self->both, CO(awaits_gathering, "x", &self->all),
                 CO(awaits_gathering, "y", &self->all));
    async_gather_clear(&self->both);
    assert_int_equal(async_gather_count(&self->all), 0);
    ASYNC_END;
}

static void each_who_awaits_a_gathering_gets_its_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(shares_error), 0);
    assert_said("a@1 x:key y:key b@2");
}

struct nobody_awaits { ASYNC_FRAME; async_gathering all; };
static ASYNC(nobody_awaits)
{
    ASYNC_BEGIN(nobody_awaits);
    async_gather_add(&self->all, CO(work, "a", 1, EKEY));
    async_gather_start(&self->all);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void
an_error_of_one_that_nobody_awaited_is_reported_at_the_clear(void **s)
{
    (void)s;
    assert_int_equal(RUN(nobody_awaits), 0);
    assert_said("a@1 [Future exception was never retrieved: EKEY]");
}

struct awaits_started { ASYNC_FRAME; async_gathering *all; };
static ASYNC(awaits_started)
{
    ASYNC_BEGIN(awaits_started);
    AWAIT_FUTURE(async_gather_start(self->all));
    ASYNC_END;
}
struct both_cancelled {
    ASYNC_FRAME;
    async_future future;
    async_gathering a, b;
    async_task *x, *y;
};
static ASYNC(both_cancelled)
{
    ASYNC_BEGIN(both_cancelled);
    async_future_init(&self->future, &loop.base);
    async_gather_add(&self->a, async_future_object(&self->future));
    async_gather_add(&self->b, async_future_object(&self->future));
    self->x = async_create_task(CO(awaits_started, &self->a));
    self->y = async_create_task(CO(awaits_started, &self->b));
    ASYNC_SUSPEND;
    async_task_cancel(self->x); /* and the future with it: */
    async_task_cancel(self->y); /* this finds nothing to cancel */
    AWAIT(ending, "x", self->x);
    AWAIT(ending, "y", self->y);
    async_task_release(self->x);
    async_task_release(self->y);
    async_gather_clear(&self->a);
    async_gather_clear(&self->b);
    ASYNC_END;
}

/* The cancellation of a task beats the error that wakes it, which has been
 * looked at all the same, as in asyncio. */
static void
an_error_that_came_too_late_for_its_awaiter_is_not_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(both_cancelled), 0);
    assert_said("x:ASYNC_ECANCELED@0 y:ASYNC_ECANCELED@0");
}

struct left_to_wait { ASYNC_FRAME; async_gathering all; };
static ASYNC(left_to_wait)
{
    ASYNC_BEGIN(left_to_wait);
    async_gather_return_exceptions(&self->all);
    async_gather_add(&self->all, CO(work, "a", 1, EKEY));
    async_gather_add(&self->all, CO(work, "b", 3, EVALUE));
    async_gather_start(&self->all);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    async_gather_clear(&self->all);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    ASYNC_END;
}

/* It would have looked at them when all had ended; a child that ends when
 * nobody gathers it is not reported. */
static void
returning_exceptions_nobody_has_seen_them_before_all_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(left_to_wait), 0);
    assert_said("a@1 [Task exception was never retrieved: EKEY] b@3");
}

struct cancelled_state {
    ASYNC_FRAME;
    async_gathering all;
    async_future *future;
};
static ASYNC(cancelled_state)
{
    ASYNC_BEGIN(cancelled_state);
    async_gather_add(&self->all, CO(work, "a", 100));
    self->future = async_gather_start(&self->all);
    ASYNC_SUSPEND;
    assert_int_equal(async_future_cancel(self->future), 1);
    assert_false(
        async_future_done(self->future)); /* the child has not ended */
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_future_result(self->future), ASYNC_ECANCELED);
    assert_false(async_future_cancelled(self->future)); /* as in asyncio */
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void a_cancelled_gathering_is_done_when_its_children_are(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancelled_state), 0);
    assert_said("a:cancelled a:cleaned");
}

/* --- again, and clearing ------------------------------------------------- */

struct reuses { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(reuses)
{
    ASYNC_BEGIN(reuses);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT_GATHER(&self->all, CO(work, "a", 1, self->i));
        assert_int_equal(count(), 2); /* those of before have been released */
        say("%d", GATHERED(&self->all, 0, work));
    }
    async_gather_clear(&self->all);
    AWAIT_GATHER(&self->all, CO(work, "b", 1, 5), CO(work, "c", 1, 6));
    say("%d", GATHERED(&self->all, 1, work));
    async_gather_clear(&self->all);
    async_gather_clear(&self->all); /* twice is once */
    ASYNC_END;
}

static void one_that_was_awaited_begins_anew_when_something_is_added(void **s)
{
    (void)s;
    assert_int_equal(RUN(reuses), 0);
    assert_said("a@1 0 a@2 1 a@3 2 b@4 c@4 6");
}

struct reuses_returning { ASYNC_FRAME; async_gathering all; };
static ASYNC(reuses_returning)
{
    ASYNC_BEGIN(reuses_returning);
    AWAIT_GATHER(&self->all, CO(work, "a"));
    async_gather_return_exceptions(&self->all);
    AWAIT_GATHER(&self->all, CO(work, "b", 0, EKEY));
    say("%s", async_error_name(async_gather_error(&self->all, 0)));
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(work, "c", 0, EKEY)); /* not for ever */
    } ASYNC_EXCEPT(EKEY) {
        say("raised");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void one_that_begins_anew_can_return_exceptions_then(void **s)
{
    (void)s;
    assert_int_equal(RUN(reuses_returning), 0);
    assert_said("a@0 b@0 EKEY c@0 raised");
}

struct busy { ASYNC_FRAME; async_gathering all; int error; };
static ASYNC(busy)
{
    ASYNC_BEGIN(busy);
    async_gather_add(&self->all, CO(work, "a", 1, 1));
    async_gather_start(&self->all);
    assert_int_equal(async_gather_add(&self->all, CO(work, "b")), ASYNC_EBUSY);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(work, "c"));
    } ASYNC_EXCEPT(ASYNC_EBUSY) {
        say("busy");
    } ASYNC_END_TRY
    AWAIT(async_gather, &self->all); /* the first one goes on undisturbed */
    assert_int_equal(async_gather_count(&self->all), 1);
    say("%d", GATHERED(&self->all, 0, work));
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void nothing_can_be_added_while_it_is_awaited(void **s)
{
    (void)s;
    assert_int_equal(RUN(busy), 0);
    assert_said("busy a@1 1");
}

struct clears { ASYNC_FRAME; async_gathering all; };
static ASYNC(clears)
{
    ASYNC_BEGIN(clears);
    async_gather_add(&self->all, CO(work, "a", 1));
    async_gather_add(&self->all, CO(work, "b", 2, EKEY));
    async_gather_add(&self->all, CO(work, "c", 3, EVALUE));
    async_gather_start(&self->all);
    AWAIT(async_sleep, ASYNC_MS(1500)); /* a has ended, b and c sleep */
    async_gather_clear(&self->all);
    say("cleared");
    assert_int_equal(count(), 3);
    AWAIT(async_sleep, ASYNC_SECONDS(3));
    assert_int_equal(count(), 1); /* and their errors are not reported */
    ASYNC_END;
}

static void children_that_still_run_go_on_after_a_clear(void **s)
{
    (void)s;
    assert_int_equal(RUN(clears), 0);
    assert_said("a@1 cleared b@2 c@3");
}

struct clears_awaited { ASYNC_FRAME; async_gathering all; async_task *task; };
static ASYNC(clears_awaited)
{
    ASYNC_BEGIN(clears_awaited);
    async_gather_add(&self->all, CO(work, "a", 1));
    self->task = async_create_task(
        CO(awaits_future, "x", async_gather_start(&self->all)));
    ASYNC_SUSPEND;
    async_gather_clear(&self->all);
    AWAIT(ending, "x", self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void one_who_awaits_what_is_cleared_gets_edestroyed(void **s)
{
    (void)s;
    assert_int_equal(RUN(clears_awaited), 0);
    assert_said("x:ASYNC_EDESTROYED@0 a@1");
}

struct never_awaited { ASYNC_FRAME; async_gathering all; };
static ASYNC(never_awaited)
{
    ASYNC_BEGIN(never_awaited);
    async_gather_add(&self->all, CO(work, "a", 1, EKEY));
    async_gather_clear(&self->all);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    ASYNC_END;
}

static void
an_error_in_a_gathering_that_was_never_started_is_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(never_awaited), 0);
    assert_said("a@1 [Task exception was never retrieved: EKEY]");
}

/* --- no loop, no memory -------------------------------------------------- */

static void without_a_running_loop_a_coroutine_cannot_be_added(void **s)
{
    async_gathering all;
    (void)s;
    memset(&all, 0, sizeof all);
    assert_int_equal(async_gather_add(&all, CO(nothing)), ASYNC_ENOLOOP);
    assert_int_equal(async_gather_count(&all), 0);
}

/* Counts what is allocated, and can refuse. */
static long allocations, live, refuse_at;
static void *counting_allocate(void *context, size_t size)
{
    (void)context;
    if (refuse_at >= 0 && allocations >= refuse_at) return NULL;
    allocations++;
    live++;
    return malloc(size);
}
static void counting_release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    live--;
    free(memory);
}

struct gathers_many { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(gathers_many)
{
    ASYNC_BEGIN(gathers_many);
    for (self->i = 0; self->i < 9; self->i++)
        (void)async_gather_add(&self->all, CO(half, self->i));
    AWAIT(async_gather, &self->all);
    for (self->i = 0; self->i < 9; self->i++)
        assert_true(GATHERED(&self->all, self->i, half) == self->i / 2.0);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void
each_failing_allocation_is_raised_as_enomem_and_leaks_nothing(void **s)
{
    const async_allocator counting = { counting_allocate, counting_release,
                                       NULL };
    int result = ASYNC_ENOMEM;
    (void)s;
    for (refuse_at = 0; result != 0; refuse_at++) {
        allocations = live = 0;
        async_virtual_loop_init(&loop, &counting);
        async_loop_set_exception_handler(&loop.base, report, NULL);
        result = async_loop_run_until_complete(&loop.base, CO(gathers_many));
        if (result != 0) assert_int_equal(result, ASYNC_ENOMEM);
        assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        async_loop_close(&loop.base);
        assert_int_equal(live, 0);
    }
    assert_true(refuse_at > 2);
}

struct mixed_loops { ASYNC_FRAME; async_gathering all; async_future *future; };
static ASYNC(mixed_loops)
{
    ASYNC_BEGIN(mixed_loops);
    async_gather_add(&self->all, CO(half, 1));
    assert_int_equal(
        async_gather_add(&self->all, async_future_object(self->future)),
        ASYNC_EOTHERLOOP);
    AWAIT(async_gather, &self->all);
    ASYNC_END;
}

static void a_future_of_another_loop_cannot_be_gathered(void **s)
{
    async_virtual_loop other;
    async_future future;
    (void)s;
    async_virtual_loop_init(&other, NULL);
    async_future_init(&future, &other.base);
    assert_int_equal(RUN(mixed_loops, .future = &future), ASYNC_EOTHERLOOP);
    async_loop_close(&other.base);
}

UNIT_MAIN(
    TEST(results_stand_in_the_order_of_the_arguments),
    TEST(up_to_16_can_be_gathered_in_one_line),
    TEST(any_number_can_be_added_one_by_one),
    TEST(coroutines_tasks_and_futures_can_be_gathered_together),
    TEST(a_task_that_is_gathered_is_held_until_the_clear),
    TEST(one_that_is_there_twice_is_waited_for_once),
    TEST(awaited_a_second_time_the_results_are_there),
    TEST(asking_for_a_result_that_is_not_there_traps),
    TEST(nothing_is_gathered_without_suspending),
    TEST(what_is_done_already_is_gathered_without_suspending),
    TEST(the_awaiter_resumes_two_iterations_after_the_last_child),
    TEST(it_ends_in_the_callback_of_the_child_that_ended_last),
    TEST(also_when_another_task_waits_for_a_child),
    TEST(the_first_error_is_raised_at_once_and_the_others_go_on_unreported),
    TEST(returning_exceptions_all_are_waited_for_and_nothing_is_raised),
    TEST(each_child_can_be_asked_how_it_ended),
    TEST(a_child_that_is_cancelled_is_an_error_like_others),
    TEST(a_traceback_goes_through_the_gathering_into_the_child),
    TEST(cancelling_cancels_every_child_and_leaves_with_the_first),
    TEST(cancelled_while_it_returns_exceptions_it_waits_for_all),
    TEST(children_that_swallow_it_do_not_save_the_awaiter),
    TEST(children_that_have_not_begun_never_run_when_cancelled),
    TEST(one_that_is_there_twice_is_asked_twice_to_cancel),
    TEST(after_the_first_error_cancelling_does_nothing),
    TEST(cancelled_when_all_children_are_done_it_is_raised_all_the_same),
    TEST(children_may_gather_in_turn), TEST(a_gathering_can_be_gathered),
    TEST(cancelling_reaches_the_children_of_an_inner_gathering),
    TEST(a_started_gathering_is_a_future),
    TEST(several_tasks_may_await_one_gathering),
    TEST(each_who_awaits_a_gathering_gets_its_error),
    TEST(an_error_of_one_that_nobody_awaited_is_reported_at_the_clear),
    TEST(an_error_that_came_too_late_for_its_awaiter_is_not_reported),
    TEST(returning_exceptions_nobody_has_seen_them_before_all_ended),
    TEST(a_cancelled_gathering_is_done_when_its_children_are),
    TEST(one_that_was_awaited_begins_anew_when_something_is_added),
    TEST(one_that_begins_anew_can_return_exceptions_then),
    TEST(nothing_can_be_added_while_it_is_awaited),
    TEST(children_that_still_run_go_on_after_a_clear),
    TEST(one_who_awaits_what_is_cleared_gets_edestroyed),
    TEST(an_error_in_a_gathering_that_was_never_started_is_reported),
    TEST(without_a_running_loop_a_coroutine_cannot_be_added),
    TEST(each_failing_allocation_is_raised_as_enomem_and_leaks_nothing),
    TEST(a_future_of_another_loop_cannot_be_gathered))
