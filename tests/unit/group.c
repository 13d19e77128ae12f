/* Task groups. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async/group.h"
#include "../../async/test/virtual.h"

#include <stdlib.h>

#include "unit.h"

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

/* Runs a coroutine, and then what it left behind, until nothing can happen
 * any more: no task may remain. */
static int run(async_object main)
{
    int result;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    result = async_loop_run_until_complete(&loop.base, main);
    assert_null(async_all_tasks(&loop.base, NULL));
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    return result;
}
#define RUN(...) run(CO(__VA_ARGS__))

static int seconds(void)
{
    return (int)(async_loop_time(&loop.base) / ASYNC_SECONDS(1));
}

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

/* How a block ended, and with which errors. */
static void say_end(int error, const async_task_group *group)
{
    size_t i;
    say("%s@%d", error ? async_error_name(error) : "ok", seconds());
    for (i = 0; i < async_group_error_count(group); i++) {
        const char *name = async_group_error_name(group, i);
        say("%s:%s", name != NULL ? name : "body",
            async_error_name(async_group_error(group, i)));
    }
    if (async_task_cancelling(async_current_task()))
        say("cancelling:%d", async_task_cancelling(async_current_task()));
}

/* A group of up to three, whose body takes `seconds` and then raises `error`
 * if it is one. */
struct groups {
    ASYNC_FRAME;
    struct work a, b, c;
    int seconds, raises, error;
    async_task_group group;
};
static void spawn(async_task_group *group, const struct work *w)
{
    if (w->name == NULL) return;
    async_task_set_name(
        async_group_spawn(group, CO(work, w->name, w->seconds, w->result,
                                    w->cleanup, w->cancelled)),
        w->name);
}
static ASYNC(groups)
{
    ASYNC_BEGIN(groups);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            spawn(&self->group, &self->a);
            spawn(&self->group, &self->b);
            spawn(&self->group, &self->c);
            if (self->seconds) AWAIT(work, "body", self->seconds);
            if (self->raises) ASYNC_RAISE(self->raises);
            say("end");
        } ASYNC_END_TASK_GROUP
        say("behind");
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say_end(self->error, &self->group);
    if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(ASYNC_ECANCELED);
    ASYNC_END;
}
#define MEMBER(...)                                                           \
    {                                                                         \
        .frame = { .is = { .kind = { 0 } } }, __VA_ARGS__                     \
    }

/* --- waiting for all ----------------------------------------------------- */

static void it_is_left_when_all_have_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(groups, .a = MEMBER("a", 2), .b = MEMBER("b", 1)), 0);
    assert_said("end b@1 a@2 behind ok@2");
    assert_int_equal(RUN(groups, .a = MEMBER("a", 1), .seconds = 3), 0);
    assert_said("a@1 body@3 end behind ok@3");
}

struct lonely { ASYNC_FRAME; async_task_group group; };
static ASYNC(lonely)
{
    ASYNC_BEGIN(lonely);
    async_loop_stop(&loop.base); /* ends the run if it suspends */
    ASYNC_TASK_GROUP(&self->group) {
        say("body");
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}

static void without_members_it_does_not_suspend(void **s)
{
    (void)s;
    assert_int_equal(RUN(lonely), 0);
    assert_said("body");
}

struct breeds { ASYNC_FRAME; async_task_group *group; int n; };
static ASYNC(breeds)
{
    ASYNC_BEGIN(breeds);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    if (self->n > 0)
        async_group_spawn(self->group, CO(breeds, self->group, self->n - 1));
    say("%d@%d", self->n, seconds());
    ASYNC_END;
}
struct dynasty { ASYNC_FRAME; async_task_group group; };
static ASYNC(dynasty)
{
    ASYNC_BEGIN(dynasty);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(breeds, &self->group, 3));
    } ASYNC_END_TASK_GROUP
    say("behind");
    ASYNC_END;
}

static void members_may_spawn_members_while_it_waits(void **s)
{
    (void)s;
    assert_int_equal(RUN(dynasty), 0);
    assert_said("3@1 2@2 1@3 0@4 behind");
}

struct large { ASYNC_RETURNS(double); int n; char room[3000]; };
static ASYNC(large)
{
    ASYNC_BEGIN(large);
    memset(self->room, 'x', sizeof self->room);
    AWAIT(async_sleep, ASYNC_SECONDS(self->n));
    ASYNC_RETURN(self->n / 2.0);
    ASYNC_END;
}
struct aligned {
    ASYNC_RETURNS(int);
    __attribute__((aligned(64))) char line[65];
};
static ASYNC(aligned)
{
    ASYNC_BEGIN(aligned);
    memset(self->line, 'x', sizeof self->line);
    ASYNC_SUSPEND;
    ASYNC_RETURN((uintptr_t)self->line % 64 == 0);
    ASYNC_END;
}
struct typed {
    ASYNC_FRAME;
    ASYNC_TASK_OF(large) large;
    ASYNC_TASK_OF(aligned) aligned;
    async_task_group group;
};
static ASYNC(typed)
{
    ASYNC_BEGIN(typed);
    ASYNC_TASK_GROUP(&self->group) {
        ASYNC_GROUP_SPAWN(self->large, &self->group, large, 3);
        ASYNC_GROUP_SPAWN(self->aligned, &self->group, aligned);
    } ASYNC_END_TASK_GROUP
    say("%g %d", ASYNC_TASK_RESULT(self->large),
        ASYNC_TASK_RESULT(self->aligned));
    async_task_release(self->large.task);
    async_task_release(self->aligned.task);
    ASYNC_END;
}

static void typed_handles_have_the_results_behind_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(typed), 0);
    assert_said("1.5 1");
}

struct many { ASYNC_FRAME; int i; async_task_group group; };
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    ASYNC_TASK_GROUP(&self->group) {
        for (self->i = 0; self->i < 10000; self->i++)
            async_group_spawn(&self->group, CO(async_sleep, self->i % 7));
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}

static void ten_thousand_members_leave_nothing_behind(void **s)
{
    (void)s;
    assert_int_equal(RUN(many), 0);
}

/* --- failures ------------------------------------------------------------ */

static void a_failure_cancels_the_others_and_the_body(void **s)
{
    (void)s;
    assert_int_equal(RUN(groups, .a = MEMBER("a", 9),
                         .b = MEMBER("b", 1, EKEY), .seconds = 9),
                     0);
    assert_said("b@1 a:cancelled@1 body:cancelled@1 ASYNC_EGROUP@1 b:EKEY");
}

static void a_failure_while_it_waits_cancels_the_others(void **s)
{
    (void)s;
    assert_int_equal(
        RUN(groups, .a = MEMBER("a", 9, 0, 2), .b = MEMBER("b", 1, EKEY)), 0);
    assert_said("end b@1 a:cancelled@1 ASYNC_EGROUP@3 b:EKEY");
}

static void errors_are_listed_in_the_order_in_which_they_came(void **s)
{
    (void)s;
    assert_int_equal(RUN(groups, .a = MEMBER("a", 9, 0, 2, EVALUE),
                         .b = MEMBER("b", 1, EKEY),
                         .c = MEMBER("c", 9, 0, 1, EKEY)),
                     0);
    assert_said("end b@1 a:cancelled@1 c:cancelled@1 "
                "ASYNC_EGROUP@3 b:EKEY c:EKEY a:EVALUE");
}

static void an_error_of_the_body_cancels_members_and_is_listed_last(void **s)
{
    (void)s;
    assert_int_equal(RUN(groups, .a = MEMBER("a", 9, 0, 1, EVALUE),
                         .seconds = 1, .raises = EKEY),
                     0);
    assert_said("body@1 a:cancelled@1 ASYNC_EGROUP@2 a:EVALUE body:EKEY");
}

static void members_that_swallow_the_cancellation_are_waited_for(void **s)
{
    (void)s;
    assert_int_equal(
        RUN(groups, .a = MEMBER("a", 9, 0, 3, 1), .b = MEMBER("b", 1, EKEY)),
        0);
    assert_said("end b@1 a:cancelled@1 a@4 ASYNC_EGROUP@4 b:EKEY");
}

static void an_interrupt_is_raised_as_it_is(void **s)
{
    (void)s;
    assert_int_equal(
        RUN(groups, .a = MEMBER("a", 9), .b = MEMBER("b", 1, ASYNC_EINTR)), 0);
    assert_said("end b@1 a:cancelled@1 ASYNC_EINTR@1 b:ASYNC_EINTR "
                "cancelling:1");
}

struct crowd { ASYNC_FRAME; int i; async_task_group group; };
static ASYNC(crowd)
{
    ASYNC_BEGIN(crowd);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            for (self->i = 0; self->i < ASYNC_GROUP_ERRORS + 2; self->i++)
                async_group_spawn(&self->group, CO(work, "x", 1, EKEY));
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        say("%d", (int)async_group_error_count(&self->group));
        assert_int_equal(async_group_error(&self->group, 7), EKEY);
        assert_int_equal(async_group_error(&self->group, 8), 0);
        assert_null(async_group_error_name(&self->group, 8));
        say("%s", async_group_error_name(&self->group, 0));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void errors_for_which_there_is_no_room_are_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(crowd), 0);
    assert_said("x@1 x@1 x@1 x@1 x@1 x@1 x@1 x@1 x@1 x@1 "
                "[Task exception was never retrieved: EKEY] "
                "[Task exception was never retrieved: EKEY] 10 Task-2");
}

struct traced { ASYNC_FRAME; async_task_group group; };
static ASYNC(traced)
{
    async_traceback traceback;
    ASYNC_BEGIN(traced);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group, CO(work, "a", 1, EKEY));
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        async_traceback_of(co, &traceback);
        say("%s in %s", async_error_name(traceback.error),
            traceback.entries[0].name);
        assert_true(async_traceback_context(&traceback));
        say("%s in %s", async_error_name(traceback.error),
            traceback.entries[0].name);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void the_traceback_has_the_first_failure_as_its_context(void **s)
{
    (void)s;
    assert_int_equal(RUN(traced), 0);
    assert_said("a@1 ASYNC_EGROUP in traced EKEY in work");
}

/* --- other ways out ------------------------------------------------------ */

struct leaves { ASYNC_RETURNS(int); int how, i; async_task_group group; };
static ASYNC(leaves)
{
    ASYNC_BEGIN(leaves);
    for (self->i = 0; self->i < 2; self->i++) {
        async_group_clear(&self->group);
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group,
                              CO(work, "a", 1, self->how == 4 ? EKEY : 0));
            if (self->how == 1) break;
            if (self->how == 2) continue;
            if (self->how >= 3) ASYNC_RETURN(7);
        } ASYNC_END_TASK_GROUP
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
    ASYNC_END;
}

static void every_way_out_waits_first(void **s)
{
    (void)s;
    assert_int_equal(RUN(leaving, 0), 0);
    assert_said("a@1 end a@2 end 2 ok@2");
    assert_int_equal(RUN(leaving, 1), 0);
    assert_said("a@1 0 ok@1");
    assert_int_equal(RUN(leaving, 2), 0);
    assert_said("a@1 a@2 2 ok@2");
    assert_int_equal(RUN(leaving, 3), 0);
    assert_said("a@1 7 ok@1");
    assert_int_equal(RUN(leaving, 4), 0);
    assert_said("a@1 0 ASYNC_EGROUP@1");
}

struct in_finally { ASYNC_FRAME; async_task_group group; };
static ASYNC(in_finally)
{
    ASYNC_BEGIN(in_finally);
    ASYNC_TRY {
        ASYNC_RAISE(EKEY);
    } ASYNC_FINALLY {
        ASYNC_TRY {
            say("inner");
        } ASYNC_FINALLY {
            ASYNC_TASK_GROUP(&self->group) {
                async_group_spawn(&self->group, CO(work, "a", 1));
            } ASYNC_END_TASK_GROUP
        } ASYNC_END_TRY
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_finally_may_have_a_group_and_goes_on_behind_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(in_finally), EKEY);
    assert_said("inner a@1");
}

/* --- cancellation -------------------------------------------------------- */

static int cancel(void *task)
{
    async_task_cancel((async_task *)task);
    return 0;
}

struct cancels { ASYNC_FRAME; int error; async_task *task; async_waited one; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task = async_create_task(CO(
        groups, .a = MEMBER("a", 9, 0, 2, self->error), .b = MEMBER("b", 9)));
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), cancel,
                          self->task);
    self->one.future = &self->task->future;
    AWAIT(async_wait, &self->one, 1, ASYNC_FOREVER);
    say("%s", async_task_cancelled(self->task) ? "cancelled" : "ended");
    async_task_release(self->task);
    ASYNC_END;
}

static void cancelled_it_cancels_members_and_waits_for_them(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("end a:cancelled@1 b:cancelled@1 ASYNC_ECANCELED@3 "
                "cancelling:1 cancelled");
}

static void a_failure_then_wins_but_the_cancellation_is_not_lost(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, EKEY), 0);
    assert_said("end a:cancelled@1 b:cancelled@1 ASYNC_EGROUP@3 a:EKEY "
                "cancelling:1 cancelled");
}

struct one_by_itself { ASYNC_FRAME; async_task_group group; };
static ASYNC(one_by_itself)
{
    ASYNC_BEGIN(one_by_itself);
    ASYNC_TASK_GROUP(&self->group) {
        async_task_cancel(async_group_spawn(&self->group, CO(work, "a", 1)));
        async_group_spawn(&self->group, CO(work, "b", 2));
    } ASYNC_END_TASK_GROUP
    say_end(0, &self->group);
    ASYNC_END;
}

static void a_member_that_is_cancelled_by_itself_is_no_failure(void **s)
{
    (void)s;
    assert_int_equal(RUN(one_by_itself), 0);
    assert_said("b@2 ok@2");
}

struct ends_early { ASYNC_FRAME; int fails, before; async_task_group group; };
static ASYNC(ends_early)
{
    ASYNC_BEGIN(ends_early);
    if (self->before) async_group_cancel(&self->group);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(work, "a", 9, 0, 2, self->fails));
        AWAIT(work, "body", 1);
        async_group_cancel(&self->group);
        async_group_cancel(&self->group);
        AWAIT(work, "body", 9);
    } ASYNC_END_TASK_GROUP
    async_group_cancel(&self->group);
    say_end(0, &self->group);
    ASYNC_END;
}

static void a_group_may_be_ended_early_and_that_is_no_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(ends_early), 0);
    assert_said("body@1 a:cancelled@1 body:cancelled@1 ok@3");
    assert_int_equal(RUN(ends_early, .fails = EKEY), ASYNC_EGROUP);
    assert_said("body@1 a:cancelled@1 body:cancelled@1");
    assert_int_equal(RUN(ends_early, .before = 1), 0);
    assert_said("[a coroutine was never awaited: ASYNC_EGROUPABORT] "
                "body:cancelled@0 ok@0");
}

struct times_out { ASYNC_FRAME; async_timeout limit; async_task_group group; };
static ASYNC(times_out)
{
    ASYNC_BEGIN(times_out);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(2)) {
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group, CO(work, "a", 9));
            async_group_spawn(&self->group, CO(work, "b", 9));
        } ASYNC_END_TASK_GROUP
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}

static void a_limit_around_it_cancels_the_members_and_times_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(times_out), ASYNC_ETIMEDOUT);
    assert_said("a:cancelled@2 b:cancelled@2");
}

/* A generator that is closed while its group runs. */
struct ticks { ASYNC_YIELDS(int); async_task_group group; };
static ASYNC(ticks)
{
    ASYNC_BEGIN(ticks);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(work, "a", 9, 0, 1));
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        ASYNC_YIELD(1);
        say("never");
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}
struct ticking { ASYNC_FRAME; struct ticks ticks; int n; };
static ASYNC(ticking)
{
    ASYNC_BEGIN(ticking);
    self->ticks = ASYNC_GENERATOR(ticks);
    ASYNC_FOR(self->n, &self->ticks) {
        break;
    } ASYNC_END_FOR
    say("behind@%d", seconds());
    ASYNC_END;
}

static void a_generator_that_is_closed_takes_its_group_with_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(ticking), 0);
    assert_said("a:cancelled@1 behind@2");
}

/* --- misuse, and too little memory --------------------------------------- */

struct misuses { ASYNC_FRAME; ASYNC_TASK_OF(work) t; async_task_group group; };
static ASYNC(misuses)
{
    ASYNC_BEGIN(misuses);
    assert_null(async_group_spawn(&self->group, CO(work, "a")));
    say("%s", async_error_name(async_last_error()));
    ASYNC_TASK_GROUP(&self->group) {
        assert_int_equal(async_group_clear(&self->group), ASYNC_EBUSY);
        assert_null(async_group_spawn(
            &self->group, async_task_object(async_current_task())));
        say("%s", async_error_name(async_last_error()));
    } ASYNC_END_TASK_GROUP
    ASYNC_TRY {
        ASYNC_GROUP_SPAWN(self->t, &self->group, work, "a");
    } ASYNC_EXCEPT(ASYNC_EGROUPOVER) {
        say("over");
    } ASYNC_END_TRY
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            say("never");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUPUSED) {
        say("used");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void what_cannot_be_is_an_error_and_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(misuses), 0);
    assert_said("[a coroutine was never awaited: ASYNC_EGROUPNEW] "
                "ASYNC_EGROUPNEW "
                "[a coroutine was never awaited: ASYNC_EINVAL] ASYNC_EINVAL "
                "[a coroutine was never awaited: ASYNC_EGROUPOVER] over used");
}

static void it_needs_a_task(void **s)
{
    async co;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(lonely)), 0);
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_send(&co), ASYNC_EGROUPTASK);
    async_close(&co);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* Memory that fails from the n-th time on. */
static int may_allocate, held;
static void *allocate(void *context, size_t size)
{
    void *memory;
    (void)context;
    if (may_allocate-- <= 0) return NULL;
    memory = malloc(size);
    if (memory != NULL) held++;
    return memory;
}
static void release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    held--;
    free(memory);
}

struct poor { ASYNC_FRAME; async_task_group group; int i, failed; };
static ASYNC(poor)
{
    ASYNC_BEGIN(poor);
    ASYNC_TASK_GROUP(&self->group) {
        for (self->i = 0; self->i < 100; self->i++)
            if (async_group_spawn(&self->group, CO(large)) == NULL) {
                assert_int_equal(async_last_error(), ASYNC_ENOMEM);
                self->failed++;
            }
    } ASYNC_END_TASK_GROUP
    if (self->failed) ASYNC_RAISE(ASYNC_ENOMEM);
    ASYNC_END;
}
static int silent(async_loop *of, const async_exception_context *context,
                  void *argument)
{
    (void)of, (void)context, (void)argument;
    return 0;
}

static void without_memory_spawning_fails_and_the_others_go_on(void **s)
{
    static const async_allocator allocator = { allocate, release, NULL };
    int n, error = ASYNC_ENOMEM;
    (void)s;
    for (n = 0; error == ASYNC_ENOMEM && n < 1000; n++) {
        may_allocate = n;
        async_virtual_loop_init(&loop, &allocator);
        async_loop_set_exception_handler(&loop.base, silent, NULL);
        error = async_loop_run_until_complete(&loop.base, CO(poor));
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
        assert_int_equal(held, 0);
    }
    assert_int_equal(error, 0);
    assert_true(n > 3);
}

static void a_loop_may_be_closed_while_a_group_waits(void **s)
{
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    async_task_release(async_loop_create_task(
        &loop.base, CO(groups, .a = MEMBER("a", 9), .b = MEMBER("b", 9))));
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    async_loop_set_exception_handler(&loop.base, silent, NULL);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("end a:cancelled@0 b:cancelled@0 ASYNC_ECANCELED@0 "
                "cancelling:1");
}

UNIT_MAIN(TEST(it_is_left_when_all_have_ended),
          TEST(without_members_it_does_not_suspend),
          TEST(members_may_spawn_members_while_it_waits),
          TEST(typed_handles_have_the_results_behind_it),
          TEST(ten_thousand_members_leave_nothing_behind),
          TEST(a_failure_cancels_the_others_and_the_body),
          TEST(a_failure_while_it_waits_cancels_the_others),
          TEST(errors_are_listed_in_the_order_in_which_they_came),
          TEST(an_error_of_the_body_cancels_members_and_is_listed_last),
          TEST(members_that_swallow_the_cancellation_are_waited_for),
          TEST(an_interrupt_is_raised_as_it_is),
          TEST(errors_for_which_there_is_no_room_are_reported),
          TEST(the_traceback_has_the_first_failure_as_its_context),
          TEST(every_way_out_waits_first),
          TEST(a_finally_may_have_a_group_and_goes_on_behind_it),
          TEST(cancelled_it_cancels_members_and_waits_for_them),
          TEST(a_failure_then_wins_but_the_cancellation_is_not_lost),
          TEST(a_member_that_is_cancelled_by_itself_is_no_failure),
          TEST(a_group_may_be_ended_early_and_that_is_no_error),
          TEST(a_limit_around_it_cancels_the_members_and_times_out),
          TEST(a_generator_that_is_closed_takes_its_group_with_it),
          TEST(what_cannot_be_is_an_error_and_reported), TEST(it_needs_a_task),
          TEST(without_memory_spawning_fails_and_the_others_go_on),
          TEST(a_loop_may_be_closed_while_a_group_waits))
