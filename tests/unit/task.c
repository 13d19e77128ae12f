/* Tasks: their start, results, shares, reports, names, stacks, tracebacks. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

static async_virtual_loop loop;

/* What goes to the exception handler is part of the story. */
static int report(async_loop *of, const async_exception_context *context,
                  void *argument)
{
    (void)of, (void)argument;
    say("[%s: %s]", context->message, async_error_name(context->error));
    return 0;
}

static void open_loop(const async_allocator *allocator)
{
    async_virtual_loop_init(&loop, allocator);
    async_loop_set_exception_handler(&loop.base, report, NULL);
}

/* Runs what is left until nothing can happen any more: no task may remain. */
static void close_loop(void)
{
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    assert_null(async_all_tasks(&loop.base, NULL));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static int run(async_object main)
{
    int result;
    open_loop(NULL);
    result = async_loop_run_until_complete(&loop.base, main);
    close_loop();
    return result;
}
#define RUN(...) run(CO(__VA_ARGS__))

/* Says its name, suspends `naps` times, and returns `result`, or raises it
 * when it is negative. */
struct work { ASYNC_RETURNS(int); const char *name; int naps, result; };
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    say("%s", self->name);
    while (self->naps-- > 0) ASYNC_SUSPEND;
    if (self->result < 0) ASYNC_RAISE(self->result);
    ASYNC_RETURN(self->result);
    ASYNC_END;
}

struct quiet { ASYNC_RETURNS(int); int seconds, result; };
static ASYNC(quiet)
{
    ASYNC_BEGIN(quiet);
    if (self->seconds) AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    if (self->result < 0) ASYNC_RAISE(self->result);
    ASYNC_RETURN(self->result);
    ASYNC_END;
}

/* --- starting ------------------------------------------------------------ */

struct creator { ASYNC_FRAME; };
static ASYNC(creator)
{
    ASYNC_BEGIN(creator);
    async_task_release(async_create_task(CO(work, "task")));
    say("created");
    ASYNC_SUSPEND;
    say("next");
    ASYNC_END;
}

static void creating_a_task_runs_nothing_before_the_next_iteration(void **s)
{
    (void)s;
    assert_int_equal(RUN(creator), 0);
    assert_said("created task next");
}

struct nested_creator { ASYNC_FRAME; };
static ASYNC(nested_creator)
{
    ASYNC_BEGIN(nested_creator);
    say("b");
    async_task_release(async_create_task(CO(work, "b1")));
    async_task_release(async_create_task(CO(work, "b2")));
    ASYNC_END;
}
struct creators { ASYNC_FRAME; };
static ASYNC(creators)
{
    ASYNC_BEGIN(creators);
    async_task_release(async_create_task(CO(work, "a")));
    async_task_release(async_create_task(CO(nested_creator)));
    async_task_release(async_create_task(CO(work, "c")));
    ASYNC_SUSPEND;
    say("main");
    ASYNC_END;
}

static void tasks_start_in_the_order_of_creation_behind_what_is_ready(void **s)
{
    (void)s;
    assert_int_equal(RUN(creators), 0);
    assert_said("a b c main b1 b2");
}

static void a_loop_that_does_not_run_takes_tasks_for_its_next_run(void **s)
{
    async_task *task;
    (void)s;
    open_loop(NULL);
    task = async_loop_create_task(&loop.base, CO(work, "task", .result = 3));
    assert_said("");
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, async_task_object(task)), 0);
    assert_said("task");
    async_task_release(task);
    close_loop();
}

/* --- results ------------------------------------------------------------- */

struct results { ASYNC_FRAME; ASYNC_TASK_OF(work) a, b; int n; };
static ASYNC(results)
{
    ASYNC_BEGIN(results);
    ASYNC_SPAWN(self->a, work, "a", .result = 1);
    ASYNC_SPAWN(self->b, work, "b", .naps = 2, .result = 20);
    AWAIT_TASK_INTO(self->n, self->a);
    say("%d", self->n);
    AWAIT_JOIN_INTO(self->n, self->b);
    say("%d", self->n);
    AWAIT_TASK_INTO(self->n, self->a); /* a result can be had again */
    say("%d %d", self->n, ASYNC_TASK_RESULT(self->a));
    async_task_release(self->a.task);
    self->a.task = async_create_task(CO(work, .name = "c", .result = 300));
    AWAIT_JOIN_INTO(self->n, self->a);
    say("%d", self->n);
    ASYNC_END;
}

static void a_typed_handle_gives_the_result(void **s)
{
    (void)s;
    assert_int_equal(RUN(results), 0);
    assert_said("a b 1 20 1 1 c 300");
}

typedef struct wide {
    double v[9];
} wide;
struct give_wide { ASYNC_RETURNS(wide); int later; };
static ASYNC(give_wide)
{
    ASYNC_BEGIN(give_wide);
    if (self->later) AWAIT(async_sleep, 1);
    self->frame.result.v[8] = 8.5;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

struct aligned {
    ASYNC_RETURNS(int);
    __attribute__((aligned(64))) char line[64];
};
static ASYNC(aligned)
{
    ASYNC_BEGIN(aligned);
    AWAIT(async_sleep, 1);
    ASYNC_RETURN((uintptr_t)self->line % 64 == 0);
    ASYNC_END;
}

struct take_wide {
    ASYNC_FRAME;
    wide w;
    int n;
    ASYNC_TASK_OF(give_wide) t;
    ASYNC_TASK_OF(aligned) u;
};
static ASYNC(take_wide)
{
    ASYNC_BEGIN(take_wide);
    ASYNC_SPAWN(self->t, give_wide);
    AWAIT_JOIN_INTO(self->w, self->t);
    assert_true(self->w.v[8] == 8.5);
    ASYNC_SPAWN(self->t, give_wide, .later = 1);
    AWAIT_JOIN_INTO(self->w, self->t);
    assert_true(self->w.v[8] == 8.5);
    ASYNC_SPAWN(self->u, aligned);
    AWAIT_JOIN_INTO(self->n, self->u);
    assert_int_equal(self->n, 1);
    ASYNC_END;
}

static void wide_results_and_aligned_frames_work_in_tasks(void **s)
{
    (void)s;
    assert_int_equal(RUN(take_wide), 0);
}

struct awaiter { ASYNC_FRAME; const char *name; async_task *task; int error; };
static ASYNC(awaiter)
{
    ASYNC_BEGIN(awaiter);
    ASYNC_TRY {
        AWAIT_TASK(self->task);
        say("%s:ok", self->name);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s:%s", self->name, async_error_name(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct many_awaiters { ASYNC_FRAME; int result; async_task *task; };
static ASYNC(many_awaiters)
{
    ASYNC_BEGIN(many_awaiters);
    self->task = async_create_task(CO(work, "work", 2, self->result));
    async_task_release(async_create_task(CO(awaiter, "a", self->task)));
    async_task_release(async_create_task(CO(awaiter, "b", self->task)));
    AWAIT(awaiter, "main", self->task);
    AWAIT(awaiter, "again", self->task); /* done: does not suspend */
    async_task_release(self->task);
    ASYNC_END;
}

static void
all_who_await_a_task_resume_in_the_order_in_which_they_came(void **s)
{
    (void)s;
    assert_int_equal(RUN(many_awaiters, 0), 0);
    assert_said("work main:ok again:ok a:ok b:ok");
}

static void all_who_await_a_task_get_its_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(many_awaiters, EKEY), 0);
    assert_said("work main:EKEY again:EKEY a:EKEY b:EKEY");
}

struct ticks { ASYNC_FRAME; int n, i; };
static ASYNC(ticks)
{
    ASYNC_BEGIN(ticks);
    for (self->i = 1; self->i <= self->n; self->i++) {
        say("%d", self->i);
        ASYNC_SUSPEND;
    }
    ASYNC_END;
}
struct links { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(links)
{
    ASYNC_BEGIN(links);
    async_task_release(async_create_task(CO(ticks, 4)));
    self->a = async_create_task(CO(work, "a"));
    self->b = async_create_task(CO(awaiter, "b", self->a));
    AWAIT(awaiter, "c", self->b);
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}

static void each_task_that_is_awaited_costs_one_iteration(void **s)
{
    (void)s;
    assert_int_equal(RUN(links), 0);
    assert_said("1 a b:ok 2 c:ok 3 4");
}

/* --- shares -------------------------------------------------------------- */

static size_t count(void)
{
    return async_loop_count_tasks(&loop.base);
}

struct shares { ASYNC_FRAME; ASYNC_TASK_OF(quiet) t; int n; };
static ASYNC(shares)
{
    ASYNC_BEGIN(shares);
    assert_int_equal(count(), 1); /* this one */
    ASYNC_SPAWN(self->t, quiet, .result = 5);
    assert_int_equal(count(), 2);
    AWAIT_TASK_INTO(self->n, self->t);
    AWAIT_TASK_INTO(self->n, self->t);
    assert_int_equal(count(), 2);
    assert_int_equal(ASYNC_TASK_RESULT(self->t), 5);
    async_task_release(self->t.task);
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void awaiting_does_not_spend_the_share_and_releasing_does(void **s)
{
    (void)s;
    assert_int_equal(RUN(shares), 0);
}

struct retained { ASYNC_FRAME; ASYNC_TASK_OF(quiet) t; int n; };
static ASYNC(retained)
{
    ASYNC_BEGIN(retained);
    ASYNC_SPAWN(self->t, quiet, .result = 5);
    assert_ptr_equal(async_task_retain(self->t.task), self->t.task);
    AWAIT_JOIN_INTO(self->n, self->t);
    assert_int_equal(count(), 2); /* one share is left */
    assert_int_equal(ASYNC_TASK_RESULT(self->t), 5);
    async_task_release(self->t.task);
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void retaining_gives_a_further_share(void **s)
{
    (void)s;
    assert_int_equal(RUN(retained), 0);
}

struct joins { ASYNC_FRAME; async_task *task; int error; };
static ASYNC(joins)
{
    ASYNC_BEGIN(joins);
    self->task = async_create_task(CO(quiet));
    AWAIT_JOIN(self->task);
    assert_int_equal(count(), 1);
    self->task = async_create_task(CO(quiet, 1, EKEY));
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(EKEY) {
        say("key");
    } ASYNC_END_TRY
    assert_int_equal(count(), 1);
    self->task = async_create_task(CO(quiet, 1));
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled");
    } ASYNC_END_TRY
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void a_join_releases_the_share_however_the_task_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(joins), 0);
    assert_said("key cancelled");
}

static void releasing_null_does_nothing(void **s)
{
    (void)s;
    async_task_release(NULL);
}

struct forget { ASYNC_FRAME; };
static ASYNC(forget)
{
    ASYNC_BEGIN(forget);
    async_task_release(async_create_task(CO(work, "forgotten", 3)));
    assert_int_equal(count(), 2); /* the loop holds it */
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void a_task_released_at_once_runs_to_its_end(void **s)
{
    (void)s;
    assert_int_equal(RUN(forget), 0);
    assert_said("forgotten");
}

struct releaser { ASYNC_FRAME; async_task *task; };
static ASYNC(releaser)
{
    ASYNC_BEGIN(releaser);
    async_task_release(self->task);
    ASYNC_END;
}
struct awaits_released { ASYNC_FRAME; ASYNC_TASK_OF(quiet) t; int n; };
static ASYNC(awaits_released)
{
    ASYNC_BEGIN(awaits_released);
    ASYNC_SPAWN(self->t, quiet, 1, 7);
    async_task_release(async_create_task(CO(releaser, self->t.task)));
    AWAIT_TASK_INTO(self->n, self->t);
    assert_int_equal(self->n, 7);
    assert_int_equal(count(), 1);
    ASYNC_END;
}

static void awaiting_holds_a_task_whose_handle_is_released_meanwhile(void **s)
{
    (void)s;
    assert_int_equal(RUN(awaits_released), 0);
}

/* --- reports ------------------------------------------------------------- */

#define NEVER "[Task exception was never retrieved: EKEY]"

struct drops { ASYNC_FRAME; async_task *task; };
static ASYNC(drops)
{
    ASYNC_BEGIN(drops);
    self->task = async_create_task(CO(quiet, 0, EKEY));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("ended");
    async_task_release(self->task);
    say("released");
    ASYNC_END;
}

static void an_error_nobody_took_is_reported_when_the_last_share_goes(void **s)
{
    (void)s;
    assert_int_equal(RUN(drops), 0);
    assert_said("ended " NEVER " released");
}

struct forgets_failure { ASYNC_FRAME; };
static ASYNC(forgets_failure)
{
    ASYNC_BEGIN(forgets_failure);
    async_task_release(async_create_task(CO(work, "fails", 0, EKEY)));
    ASYNC_SUSPEND;
    say("after");
    ASYNC_END;
}

static void an_error_of_a_forgotten_task_is_reported_when_it_ends(void **s)
{
    (void)s;
    assert_int_equal(RUN(forgets_failure), 0);
    assert_said("fails " NEVER " after");
}

struct takes { ASYNC_FRAME; async_task *task; async_gathering all; };
static ASYNC(takes)
{
    ASYNC_BEGIN(takes);
    self->task = async_create_task(CO(quiet, 0, EKEY)); /* awaited */
    AWAIT(awaiter, "awaited", self->task);
    async_task_release(self->task);
    self->task = async_create_task(CO(quiet, 0, EKEY)); /* asked */
    ASYNC_SUSPEND;
    say("asked:%s", async_error_name(async_task_result(self->task)));
    async_task_release(self->task);
    self->task = async_create_task(CO(quiet, 0, EKEY)); /* gathered */
    async_gather_return_exceptions(&self->all);
    AWAIT_GATHER(&self->all, async_task_object(self->task));
    say("gathered:%s", async_error_name(async_gather_error(&self->all, 0)));
    async_gather_clear(&self->all);
    async_task_release(self->task);
    self->task =
        async_create_task(CO(quiet, 0, EKEY)); /* cancelled too late */
    ASYNC_SUSPEND;
    say("%d", async_task_cancel(self->task));
    async_task_release(self->task);
    ASYNC_END;
}

static void
an_error_that_was_awaited_asked_for_or_gathered_is_not_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(takes), 0);
    assert_said("awaited:EKEY asked:EKEY gathered:EKEY 0");
}

struct drops_cancelled { ASYNC_FRAME; async_task *task; };
static ASYNC(drops_cancelled)
{
    ASYNC_BEGIN(drops_cancelled);
    self->task = async_create_task(CO(quiet, 5));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    ASYNC_SUSPEND;
    assert_true(async_task_cancelled(self->task));
    async_task_release(self->task);
    ASYNC_END;
}

static void a_cancelled_task_that_nobody_asked_is_not_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(drops_cancelled), 0);
    assert_said("");
}

static int say_the_name(async_loop *of, const async_exception_context *context,
                        void *argument)
{
    const async_task *task = (const async_task *)(void *)context->future;
    (void)of, (void)argument;
    say("%s of %s", async_error_name(context->error),
        async_task_get_name(task));
    return 0;
}
struct named_failure { ASYNC_FRAME; async_task *task; };
static ASYNC(named_failure)
{
    ASYNC_BEGIN(named_failure);
    async_loop_set_exception_handler(&loop.base, say_the_name, NULL);
    self->task = async_create_task(CO(quiet, 0, EKEY));
    async_task_set_name(self->task, "fetcher");
    async_task_release(self->task);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void the_report_has_the_task_for_its_name(void **s)
{
    (void)s;
    assert_int_equal(RUN(named_failure), 0);
    assert_said("EKEY of fetcher");
}

/* --- state --------------------------------------------------------------- */

struct states { ASYNC_FRAME; async_task *task; };
static ASYNC(states)
{
    ASYNC_BEGIN(states);
    self->task = async_create_task(CO(quiet));
    assert_false(async_task_done(self->task));
    assert_int_equal(async_task_result(self->task), ASYNC_ENOTREADY);
    ASYNC_SUSPEND;
    assert_true(async_task_done(self->task));
    assert_false(async_task_cancelled(self->task));
    assert_int_equal(async_task_result(self->task), 0);
    async_task_release(self->task);

    self->task = async_create_task(CO(quiet, 0, EKEY));
    ASYNC_SUSPEND;
    assert_true(async_task_done(self->task));
    assert_false(async_task_cancelled(self->task));
    assert_int_equal(async_task_result(self->task), EKEY);
    async_task_release(self->task);

    self->task = async_create_task(CO(quiet, 0, ASYNC_ECANCELED));
    ASYNC_SUSPEND;
    assert_true(async_task_done(self->task));
    assert_true(async_task_cancelled(self->task));
    assert_int_equal(async_task_result(self->task), ASYNC_ECANCELED);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_task_is_pending_and_then_finished_failed_or_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(states), 0);
}

struct sets_result { ASYNC_FRAME; async_task *task; };
static ASYNC(sets_result)
{
    ASYNC_BEGIN(sets_result);
    self->task = async_create_task(CO(quiet));
    assert_int_equal(async_future_set_result(&self->task->future),
                     ASYNC_ETASKRESULT);
    assert_int_equal(async_future_set_exception(&self->task->future, EKEY),
                     ASYNC_ETASKEXCEPTION);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void nobody_can_set_the_result_of_a_task(void **s)
{
    (void)s;
    assert_int_equal(RUN(sets_result), 0);
}

static int say_done(async_future *future, void *name)
{
    say("%s:%d", (const char *)name, async_future_result(future));
    return 0;
}
struct done_callbacks {
    ASYNC_FRAME;
    async_task *task;
    async_done_callback a, b, c;
};
static ASYNC(done_callbacks)
{
    ASYNC_BEGIN(done_callbacks);
    self->task = async_create_task(CO(work, "work"));
    async_future_add_done_callback(&self->task->future, &self->a, say_done,
                                   "a");
    async_future_add_done_callback(&self->task->future, &self->b, say_done,
                                   "b");
    async_future_add_done_callback(&self->task->future, &self->c, say_done,
                                   "c");
    assert_int_equal(
        async_future_remove_done_callback(&self->task->future, &self->b), 1);
    AWAIT_TASK(self->task);
    say("main");
    async_task_release(self->task);
    ASYNC_END;
}

static void a_task_has_done_callbacks_as_a_future_has(void **s)
{
    (void)s;
    assert_int_equal(RUN(done_callbacks), 0);
    assert_said("work a:0 c:0 main");
}

/* --- misuse -------------------------------------------------------------- */

struct self_await { ASYNC_FRAME; };
static ASYNC(self_await)
{
    ASYNC_BEGIN(self_await);
    AWAIT_TASK(async_current_task());
    ASYNC_END;
}

static void a_task_cannot_await_itself(void **s)
{
    (void)s;
    assert_int_equal(RUN(self_await), ASYNC_ESELFAWAIT);
}

/* The order is asyncio's: it learns of it in the next iteration. */
struct awaits_itself { ASYNC_FRAME; int cancels, error; };
static ASYNC(awaits_itself)
{
    ASYNC_BEGIN(awaits_itself);
    if (self->cancels) async_task_cancel(async_current_task());
    ASYNC_TRY {
        AWAIT_TASK(async_current_task());
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", async_error_name(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct itself_and_others { ASYNC_FRAME; int cancels; async_task *a, *b; };
static ASYNC(itself_and_others)
{
    ASYNC_BEGIN(itself_and_others);
    self->a = async_create_task(CO(awaits_itself, self->cancels));
    self->b = async_create_task(CO(work, "b"));
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    ASYNC_END;
}

static void a_task_that_awaits_itself_learns_it_in_the_next_iteration(void **s)
{
    (void)s;
    assert_int_equal(RUN(itself_and_others), 0);
    assert_said("b ASYNC_ESELFAWAIT");
}

static void cancelled_before_that_it_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(itself_and_others, .cancels = 1), 0);
    assert_said("b ASYNC_ECANCELED");
}

struct foreign { ASYNC_FRAME; async_task *task; };
static ASYNC(foreign)
{
    ASYNC_BEGIN(foreign);
    AWAIT_TASK(self->task);
    ASYNC_END;
}

static void a_pending_task_of_another_loop_cannot_be_awaited(void **s)
{
    async_virtual_loop other;
    async_task *task;
    (void)s;
    async_virtual_loop_init(&other, NULL);
    task = async_loop_create_task(&other.base, CO(quiet));
    assert_int_equal(RUN(foreign, task), ASYNC_EOTHERLOOP);
    assert_int_equal(
        async_loop_run_until_complete(&other.base, async_task_object(task)),
        0);
    async_task_release(task);
    assert_int_equal(async_loop_count_tasks(&other.base), 0);
    async_loop_close(&other.base);
}

static void creating_a_task_needs_a_running_loop(void **s)
{
    (void)s;
    assert_null(async_create_task(CO(quiet)));
    assert_int_equal(async_last_error(), ASYNC_ENOLOOP);
}

static void a_closed_loop_takes_no_task(void **s)
{
    (void)s;
    open_loop(NULL);
    async_loop_close(&loop.base);
    assert_null(async_loop_create_task(&loop.base, CO(quiet)));
    assert_int_equal(async_last_error(), ASYNC_ELOOPCLOSED);
    assert_said("[a coroutine was never awaited: ASYNC_ELOOPCLOSED]");
}

struct spawns_by_hand { ASYNC_FRAME; ASYNC_TASK_OF(quiet) t; };
static ASYNC(spawns_by_hand)
{
    ASYNC_BEGIN(spawns_by_hand);
    ASYNC_SPAWN(self->t, quiet);
    ASYNC_END;
}

static void a_coroutine_driven_by_hand_has_no_loop_to_spawn_on(void **s)
{
    async co;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(spawns_by_hand)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOLOOP);
    async_close(&co);
}

static void only_a_coroutine_can_become_a_task(void **s)
{
    async_future future;
    (void)s;
    open_loop(NULL);
    async_future_init(&future, &loop.base);
    assert_null(
        async_loop_create_task(&loop.base, async_future_object(&future)));
    assert_int_equal(async_last_error(), ASYNC_EINVAL);
    unit_begin(NULL); /* the report's words are not the point */
    close_loop();
}

/* --- memory -------------------------------------------------------------- */

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
static const async_allocator counting = { counting_allocate, counting_release,
                                          NULL };

struct spawns { ASYNC_FRAME; ASYNC_TASK_OF(quiet) a, b; int n; };
static ASYNC(spawns)
{
    ASYNC_BEGIN(spawns);
    ASYNC_TRY {
        ASYNC_SPAWN(self->a, quiet, 1, 3);
        ASYNC_SPAWN(self->b, quiet, 2, 4);
        AWAIT_TASK_INTO(self->n, self->a);
        AWAIT_TASK_INTO(self->n, self->b);
    } ASYNC_FINALLY {
        async_task_release(self->a.task);
        async_task_release(self->b.task);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void
each_failing_allocation_is_raised_as_enomem_and_leaks_nothing(void **s)
{
    int result = ASYNC_ENOMEM;
    (void)s;
    for (refuse_at = 0; result != 0; refuse_at++) {
        allocations = live = 0;
        open_loop(&counting);
        result = async_loop_run_until_complete(&loop.base, CO(spawns));
        if (result != 0) assert_int_equal(result, ASYNC_ENOMEM);
        close_loop();
        assert_int_equal(live, 0);
    }
    assert_true(refuse_at > 2);
}

struct fails_to_spawn { ASYNC_FRAME; ASYNC_TASK_OF(give_wide) t; };
static ASYNC(fails_to_spawn)
{
    ASYNC_BEGIN(fails_to_spawn);
    refuse_at = 0;
    ASYNC_SPAWN(self->t, give_wide);
    ASYNC_END;
}

static void a_coroutine_without_memory_is_reported_as_never_awaited(void **s)
{
    (void)s;
    allocations = live = 0;
    refuse_at = -1;
    open_loop(&counting);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(fails_to_spawn)),
        ASYNC_ENOMEM);
    assert_said("[a coroutine was never awaited: ASYNC_ENOMEM]");
    close_loop();
    assert_int_equal(live, 0);
}

/* --- names, current task, all tasks -------------------------------------- */

struct default_names { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(default_names)
{
    ASYNC_BEGIN(default_names);
    self->a = async_create_task(CO(quiet));
    self->b = async_create_task(CO(quiet));
    say("%s", async_task_get_name(async_current_task()));
    say("%s", async_task_get_name(self->a));
    say("%s", async_task_get_name(self->b));
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    self->c = async_create_task(CO(quiet)); /* not the name of one that went */
    say("%s", async_task_get_name(self->c));
    AWAIT_JOIN(self->c);
    ASYNC_END;
}

static void a_task_is_named_by_its_number_in_the_loop(void **s)
{
    (void)s;
    assert_int_equal(RUN(default_names), 0);
    assert_said("Task-1 Task-2 Task-3 Task-4");
}

struct set_names { ASYNC_FRAME; char names[8]; };
static ASYNC(set_names)
{
    ASYNC_BEGIN(set_names);
    strcpy(self->names, "abcdef");
    async_task_set_name(async_current_task(), self->names);
    say("%s", async_task_get_name(async_current_task()));
    async_task_set_name(async_current_task(), self->names + 1);
    say("%s", async_task_get_name(async_current_task()));
    strcpy(self->names, "uvwxyz"); /* not copied */
    say("%s", async_task_get_name(async_current_task()));
    ASYNC_END;
}

static void a_name_that_is_set_may_stand_at_any_address(void **s)
{
    (void)s;
    assert_int_equal(RUN(set_names), 0);
    assert_said("abcdef bcdef vwxyz");
}

struct four_names {
    ASYNC_FRAME;
    async_task *t[3];
    const char *names[4];
    int i;
};
static ASYNC(four_names)
{
    ASYNC_BEGIN(four_names);
    for (self->i = 0; self->i < 3; self->i++)
        self->t[self->i] = async_create_task(CO(quiet));
    self->names[0] = async_task_get_name(async_current_task());
    for (self->i = 0; self->i < 3; self->i++)
        self->names[self->i + 1] = async_task_get_name(self->t[self->i]);
    for (self->i = 0; self->i < 4; self->i++) say("%s", self->names[self->i]);
    for (self->i = 0; self->i < 3; self->i++) AWAIT_JOIN(self->t[self->i]);
    ASYNC_END;
}

static void four_names_are_valid_at_a_time(void **s)
{
    (void)s;
    assert_int_equal(RUN(four_names), 0);
    assert_said("Task-1 Task-2 Task-3 Task-4");
}

static int say_current(void *where)
{
    async_task *task = async_current_task();
    say("%s:%s", (const char *)where, task ? async_task_get_name(task) : "-");
    return 0;
}
static int say_current_when_done(async_future *future, void *where)
{
    (void)future;
    return say_current(where);
}
struct deep_current { ASYNC_FRAME; };
static ASYNC(deep_current)
{
    ASYNC_BEGIN(deep_current);
    AWAIT(async_sleep, ASYNC_SECONDS(3));
    say_current("inner");
    ASYNC_END;
}
struct current {
    ASYNC_FRAME;
    async_done_callback done;
    async_task *task, *awaits;
};
static ASYNC(current)
{
    ASYNC_BEGIN(current);
    say_current("main");
    /* Each callback runs behind a task in the same iteration. */
    self->task = async_create_task(CO(quiet, 2));
    self->awaits = async_create_task(CO(foreign, self->task));
    async_loop_call_soon(&loop.base, NULL, say_current, "soon");
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), say_current,
                          "later");
    ASYNC_SUSPEND;
    async_future_add_done_callback(&self->task->future, &self->done,
                                   say_current_when_done, "done");
    AWAIT(deep_current);
    say_current("main");
    AWAIT_JOIN(self->task);
    AWAIT_JOIN(self->awaits);
    ASYNC_END;
}

static void the_current_task_is_null_in_callbacks_and_outside(void **s)
{
    (void)s;
    say_current("before");
    assert_int_equal(RUN(current), 0);
    say_current("after");
    assert_said("before:- main:Task-1 soon:- later:- done:- inner:Task-1 "
                "main:Task-1 after:-");
}

static void say_all(void)
{
    async_task *task = NULL;
    while ((task = async_all_tasks(&loop.base, task)) != NULL)
        say("%s", async_task_get_name(task));
    say("|");
}
struct walks { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(walks)
{
    ASYNC_BEGIN(walks);
    say_all();
    self->a = async_create_task(CO(quiet, 2));
    self->b = async_create_task(CO(quiet, 1));
    say_all();
    AWAIT_JOIN(self->b);
    say_all();
    self->b = async_create_task(CO(quiet));
    say_all();
    AWAIT_TASK(self->a);
    AWAIT_TASK(self->b);
    say_all(); /* not those whose handles are held */
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}

static void all_tasks_are_those_not_ended_in_order_of_creation(void **s)
{
    (void)s;
    assert_int_equal(RUN(walks), 0);
    assert_said("Task-1 | Task-1 Task-2 Task-3 | Task-1 Task-2 | "
                "Task-1 Task-2 Task-4 | Task-1 |");
}

/* --- static tasks -------------------------------------------------------- */

struct blink { ASYNC_RETURNS(int); int pin, times, i; };
static ASYNC(blink)
{
    ASYNC_BEGIN(blink);
    for (; self->i < self->times; self->i++) {
        say("%d", self->pin);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    }
    ASYNC_RETURN(self->pin * 10);
    ASYNC_END;
}
ASYNC_STATIC_TASK(blinker, ASYNC_FRAMES(blink, async_sleep));

static int run_blinker(void)
{
    return async_loop_run_until_complete(&loop.base,
                                         async_task_object(&blinker.task));
}

static void a_static_task_needs_no_memory_but_its_own(void **s)
{
    ASYNC_TASK_OF(blink) handle;
    (void)s;
    allocations = refuse_at = 0;
    open_loop(&counting);
    assert_int_equal(async_task_start(&blinker, &loop.base, CO(blink, 13, 2)),
                     0);
    assert_said("");
    assert_int_equal(run_blinker(), 0);
    assert_said("13 13");
    handle.task = &blinker.task;
    assert_int_equal(ASYNC_TASK_RESULT(handle), 130);
    assert_int_equal(async_task_stack_high_water(&blinker.task),
                     ASYNC_FRAMES(blink, async_sleep));
    close_loop();
    assert_int_equal(allocations, 0);
}

static void a_static_task_can_be_started_again_when_it_has_ended(void **s)
{
    (void)s;
    open_loop(NULL);
    assert_int_equal(async_task_start(&blinker, &loop.base, CO(blink, 1, 1)),
                     0);
    assert_int_equal(async_task_start(&blinker, &loop.base, CO(blink, 2, 1)),
                     ASYNC_EBUSY);
    assert_int_equal(run_blinker(), 0);
    assert_int_equal(async_task_start(&blinker, &loop.base, CO(blink, 3, 1)),
                     0);
    assert_string_equal(async_task_get_name(&blinker.task), "Task-2");
    assert_int_equal(run_blinker(), 0);
    assert_said("1 3");
    close_loop();
}

static void a_static_task_that_was_cancelled_can_be_started_again(void **s)
{
    (void)s;
    open_loop(NULL);
    async_task_start(&blinker, &loop.base, CO(blink, 1, 1));
    assert_int_equal(async_task_cancel(&blinker.task), 1);
    assert_int_equal(run_blinker(), ASYNC_ECANCELED);
    assert_int_equal(async_task_start(&blinker, &loop.base, CO(blink, 2, 1)),
                     0);
    assert_int_equal(async_task_cancelling(&blinker.task), 0);
    assert_int_equal(run_blinker(), 0);
    assert_said("2");
    close_loop();
}

static void a_static_task_is_not_started_on_a_closed_loop(void **s)
{
    (void)s;
    open_loop(NULL);
    async_loop_close(&loop.base);
    assert_int_equal(async_task_start(&blinker, &loop.base, CO(blink)),
                     ASYNC_ELOOPCLOSED);
}

static void a_first_frame_that_does_not_fit_is_enomem_at_the_start(void **s)
{
    ASYNC_TASK_STORAGE(sizeof(struct blink) - 8) storage;
    (void)s;
    memset(&storage, 0, sizeof storage);
    open_loop(NULL);
    assert_int_equal(async_task_start(&storage, &loop.base, CO(blink)),
                     ASYNC_ENOMEM);
    /* and what fits can be started in it all the same */
    assert_int_equal(async_task_start(&storage, &loop.base, CO(async_sleep)),
                     0);
    close_loop();
}

struct too_deep { ASYNC_FRAME; };
static ASYNC(too_deep)
{
    ASYNC_BEGIN(too_deep);
    ASYNC_TRY {
        AWAIT(blink, 1, 1);
    } ASYNC_EXCEPT(ASYNC_ENOMEM) {
        say("too deep");
        AWAIT(async_sleep, 1); /* this fits */
        say("fits");
    } ASYNC_END_TRY
    ASYNC_END;
}
ASYNC_STATIC_TASK(shallow, ASYNC_FRAMES(too_deep, async_sleep));

static void a_later_await_that_does_not_fit_raises_enomem_in_the_task(void **s)
{
    (void)s;
    open_loop(NULL);
    assert_int_equal(async_task_start(&shallow, &loop.base, CO(too_deep)), 0);
    close_loop();
    assert_said("too deep fits");
}

ASYNC_STATIC_TASK(failing, ASYNC_FRAMES(quiet, async_sleep));

static void
an_error_of_a_static_task_is_reported_when_it_starts_again(void **s)
{
    (void)s;
    open_loop(NULL);
    async_task_start(&failing, &loop.base, CO(quiet, 1, EKEY));
    assert_int_equal(async_loop_run_until_complete(
                         &loop.base, CO(awaiter, "main", &failing.task)),
                     0);
    assert_said("main:EKEY");
    async_task_start(&failing, &loop.base, CO(quiet, 1, EKEY));
    assert_said(""); /* the first one was taken by main */
    async_loop_run_until_complete(&loop.base, CO(quiet, 3, 0));
    async_task_start(&failing, &loop.base, CO(quiet, 1, 0));
    assert_said(NEVER);
    close_loop();
}

/* --- stacks -------------------------------------------------------------- */

struct down { ASYNC_RETURNS(int); int depth, n; };
static ASYNC(down)
{
    ASYNC_BEGIN(down);
    if (self->depth == 0) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        ASYNC_RETURN(0);
    }
    AWAIT_INTO(self->n, down, self->depth - 1);
    ASYNC_RETURN(self->n + 1);
    ASYNC_END;
}

struct measures {
    ASYNC_FRAME;
    ASYNC_TASK_OF(down) t;
    int depth, n;
    size_t frames;
};
static ASYNC(measures)
{
    ASYNC_BEGIN(measures);
    self->frames = (size_t)(self->depth + 1) * sizeof(struct down) +
                   sizeof(struct async_sleep);
    ASYNC_SPAWN(self->t, down, self->depth);
    assert_int_equal(async_task_stack_used(self->t.task), sizeof(struct down));
    ASYNC_SUSPEND;
    assert_in_range(async_task_stack_used(self->t.task), self->frames,
                    self->frames + self->frames / 4);
    AWAIT_TASK_INTO(self->n, self->t);
    assert_int_equal(self->n, self->depth);
    assert_in_range(async_task_stack_high_water(self->t.task), self->frames,
                    self->frames + self->frames / 4);
    async_task_release(self->t.task);
    ASYNC_END;
}

static void a_task_may_await_to_a_depth_of_10000(void **s)
{
    (void)s;
    assert_int_equal(RUN(measures, .depth = 10000), 0);
}

static void stack_used_and_high_water_count_every_frame_of_a_task(void **s)
{
    int depth;
    (void)s;
    for (depth = 0; depth < 20; depth++)
        assert_int_equal(RUN(measures, .depth = depth), 0);
}

struct recycles { ASYNC_FRAME; ASYNC_TASK_OF(down) t; int n; };
static ASYNC(recycles)
{
    ASYNC_BEGIN(recycles);
    ASYNC_SPAWN(self->t, down, 1);
    AWAIT_JOIN_INTO(self->n, self->t);
    ASYNC_SPAWN(self->t, down, 0); /* in the memory of the one before */
    assert_int_equal(async_task_stack_high_water(self->t.task),
                     sizeof(struct down));
    AWAIT_TASK_INTO(self->n, self->t);
    assert_int_equal(async_task_stack_high_water(self->t.task),
                     sizeof(struct down) + sizeof(struct async_sleep));
    async_task_release(self->t.task);
    ASYNC_END;
}

static void the_high_water_mark_is_not_that_of_an_earlier_task(void **s)
{
    (void)s;
    assert_int_equal(RUN(recycles), 0);
}

struct climbs { ASYNC_FRAME; int i, n; };
static ASYNC(climbs)
{
    ASYNC_BEGIN(climbs);
    for (self->i = 0; self->i < 50; self->i++)
        AWAIT_INTO(self->n, down, self->i);
    ASYNC_END;
}

static void a_grown_stack_is_given_back_when_the_task_has_ended(void **s)
{
    (void)s;
    live = 0;
    refuse_at = -1;
    open_loop(&counting);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(climbs)), 0);
    close_loop();
    assert_int_equal(live, 0);
}

/* --- introspection ------------------------------------------------------- */

static int line_of_level1, line_of_level2;
struct level2 { ASYNC_FRAME; async_future *future; };
static ASYNC(level2)
{
    ASYNC_BEGIN(level2);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    line_of_level2 = __LINE__ + 1;
    AWAIT_FUTURE(self->future);
    ASYNC_END;
}
struct level1 { ASYNC_FRAME; async_future *future; };
static ASYNC(level1)
{
    ASYNC_BEGIN(level1);
    line_of_level1 = __LINE__ + 1;
    AWAIT(level2, self->future);
    ASYNC_END;
}
static void say_frames(const async_task *task)
{
    const async_frame *frame =
        async_frame_innermost(async_task_get_coro(task));
    for (; frame != NULL; frame = async_frame_caller(frame))
        say("%s", async_frame_name(frame));
    say("|");
}
struct looks { ASYNC_FRAME; async_task *task; async_future future; };
static ASYNC(looks)
{
    const async_frame *frame;
    ASYNC_BEGIN(looks);
    async_future_init(&self->future, &loop.base);
    self->task = async_create_task(CO(level1, &self->future));
    say_frames(self->task);
    ASYNC_SUSPEND;
    say_frames(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    say_frames(self->task);
    frame = async_frame_innermost(async_task_get_coro(self->task));
    assert_non_null(strstr(async_frame_file(frame), "task.c"));
    assert_int_equal(async_frame_line(frame), line_of_level2);
    frame = async_frame_caller(frame);
    assert_int_equal(async_frame_line(frame), line_of_level1);
    async_future_set_result(&self->future);
    AWAIT_TASK(self->task);
    say_frames(self->task);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_suspended_task_shows_its_frames_innermost_first(void **s)
{
    (void)s;
    assert_int_equal(RUN(looks), 0);
    assert_said("| async_sleep level2 level1 | level2 level1 | |");
}

/* --- tracebacks ---------------------------------------------------------- */

static void say_traceback(const async_traceback *traceback)
{
    size_t i;
    say("%s:", async_error_name(traceback->error));
    for (i = 0; i < traceback->count; i++)
        say("%s", traceback->entries[i].name);
}

struct breaks { ASYNC_FRAME; };
static ASYNC(breaks)
{
    ASYNC_BEGIN(breaks);
    AWAIT(async_sleep, 1);
    ASYNC_RAISE(EKEY);
    ASYNC_END;
}
struct inner { ASYNC_FRAME; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    AWAIT(breaks);
    ASYNC_END;
}
static int line_of_outer;
struct outer { ASYNC_FRAME; async_task *task; };
static ASYNC(outer)
{
    ASYNC_BEGIN(outer);
    self->task = async_create_task(CO(inner));
    line_of_outer = __LINE__ + 1;
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
struct traces { ASYNC_FRAME; async_task *task; async_traceback traceback; };
static ASYNC(traces)
{
    ASYNC_BEGIN(traces);
    self->task = async_create_task(CO(outer));
    AWAIT(awaiter, "main", self->task);
    async_traceback_of(async_task_get_coro(self->task), &self->traceback);
    say_traceback(&self->traceback);
    assert_int_equal(self->traceback.entries[2].line, line_of_outer);
    async_traceback_of(co, &self->traceback); /* this one awaited both */
    say_traceback(&self->traceback);
    async_task_release(self->task);
    ASYNC_END;
}

static void a_traceback_goes_through_the_tasks_that_were_awaited(void **s)
{
    (void)s;
    assert_int_equal(RUN(traces), 0);
    assert_said("main:EKEY EKEY: breaks inner outer "
                "EKEY: breaks inner outer awaiter");
}

struct handles { ASYNC_FRAME; async_task *task; };
static ASYNC(handles)
{
    ASYNC_BEGIN(handles);
    self->task = async_create_task(CO(inner));
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(EKEY) {
        AWAIT(async_sleep, 1);
        ASYNC_RAISE(EVALUE);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cleans_badly { ASYNC_FRAME; };
static ASYNC(cleans_badly)
{
    ASYNC_BEGIN(cleans_badly);
    ASYNC_TRY {
        AWAIT(handles);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, 1);
        ASYNC_RAISE(ASYNC_EBUSY);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct contexts { ASYNC_FRAME; async_task *task; async_traceback traceback; };
static ASYNC(contexts)
{
    ASYNC_BEGIN(contexts);
    self->task = async_create_task(CO(cleans_badly));
    AWAIT(awaiter, "main", self->task);
    async_traceback_of(async_task_get_coro(self->task), &self->traceback);
    do say_traceback(&self->traceback);
    while (async_traceback_context(&self->traceback));
    async_task_release(self->task);
    ASYNC_END;
}

static void an_error_knows_the_one_that_was_being_handled(void **s)
{
    (void)s;
    assert_int_equal(RUN(contexts), 0);
    assert_said("main:ASYNC_EBUSY ASYNC_EBUSY: cleans_badly "
                "EVALUE: handles cleans_badly EKEY: breaks inner handles");
}

static int start_blinker_again(async_future *future, void *result)
{
    (void)future;
    *(int *)result = async_task_start(&blinker, &loop.base, CO(blink, 2, 1));
    return 0;
}

static void a_static_task_is_busy_until_its_awaiters_have_gone_on(void **s)
{
    static async_done_callback node;
    int result = 0;
    (void)s;
    open_loop(NULL);
    async_task_start(&blinker, &loop.base, CO(blink, 1, 1));
    /* Called when it has ended, before the awaiter behind it runs. */
    async_future_add_done_callback(&blinker.task.future, &node,
                                   start_blinker_again, &result);
    assert_int_equal(async_loop_run_until_complete(
                         &loop.base, CO(awaiter, "main", &blinker.task)),
                     0);
    assert_int_equal(result, ASYNC_EBUSY);
    assert_said("1 main:ok");
    close_loop();
}

UNIT_MAIN(
    TEST(creating_a_task_runs_nothing_before_the_next_iteration),
    TEST(tasks_start_in_the_order_of_creation_behind_what_is_ready),
    TEST(a_loop_that_does_not_run_takes_tasks_for_its_next_run),
    TEST(a_typed_handle_gives_the_result),
    TEST(wide_results_and_aligned_frames_work_in_tasks),
    TEST(all_who_await_a_task_resume_in_the_order_in_which_they_came),
    TEST(all_who_await_a_task_get_its_error),
    TEST(each_task_that_is_awaited_costs_one_iteration),
    TEST(awaiting_does_not_spend_the_share_and_releasing_does),
    TEST(retaining_gives_a_further_share),
    TEST(a_join_releases_the_share_however_the_task_ended),
    TEST(releasing_null_does_nothing),
    TEST(a_task_released_at_once_runs_to_its_end),
    TEST(awaiting_holds_a_task_whose_handle_is_released_meanwhile),
    TEST(an_error_nobody_took_is_reported_when_the_last_share_goes),
    TEST(an_error_of_a_forgotten_task_is_reported_when_it_ends),
    TEST(an_error_that_was_awaited_asked_for_or_gathered_is_not_reported),
    TEST(a_cancelled_task_that_nobody_asked_is_not_reported),
    TEST(the_report_has_the_task_for_its_name),
    TEST(a_task_is_pending_and_then_finished_failed_or_cancelled),
    TEST(nobody_can_set_the_result_of_a_task),
    TEST(a_task_has_done_callbacks_as_a_future_has),
    TEST(a_task_cannot_await_itself),
    TEST(a_task_that_awaits_itself_learns_it_in_the_next_iteration),
    TEST(cancelled_before_that_it_is_cancelled),
    TEST(a_pending_task_of_another_loop_cannot_be_awaited),
    TEST(creating_a_task_needs_a_running_loop),
    TEST(a_closed_loop_takes_no_task),
    TEST(a_coroutine_driven_by_hand_has_no_loop_to_spawn_on),
    TEST(only_a_coroutine_can_become_a_task),
    TEST(each_failing_allocation_is_raised_as_enomem_and_leaks_nothing),
    TEST(a_coroutine_without_memory_is_reported_as_never_awaited),
    TEST(a_task_is_named_by_its_number_in_the_loop),
    TEST(a_name_that_is_set_may_stand_at_any_address),
    TEST(four_names_are_valid_at_a_time),
    TEST(the_current_task_is_null_in_callbacks_and_outside),
    TEST(all_tasks_are_those_not_ended_in_order_of_creation),
    TEST(a_static_task_needs_no_memory_but_its_own),
    TEST(a_static_task_can_be_started_again_when_it_has_ended),
    TEST(a_static_task_that_was_cancelled_can_be_started_again),
    TEST(a_static_task_is_not_started_on_a_closed_loop),
    TEST(a_first_frame_that_does_not_fit_is_enomem_at_the_start),
    TEST(a_later_await_that_does_not_fit_raises_enomem_in_the_task),
    TEST(an_error_of_a_static_task_is_reported_when_it_starts_again),
    TEST(a_task_may_await_to_a_depth_of_10000),
    TEST(stack_used_and_high_water_count_every_frame_of_a_task),
    TEST(the_high_water_mark_is_not_that_of_an_earlier_task),
    TEST(a_grown_stack_is_given_back_when_the_task_has_ended),
    TEST(a_suspended_task_shows_its_frames_innermost_first),
    TEST(a_traceback_goes_through_the_tasks_that_were_awaited),
    TEST(an_error_knows_the_one_that_was_being_handled),
    TEST(a_static_task_is_busy_until_its_awaiters_have_gone_on))
