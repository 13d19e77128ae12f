/* Task factories, and tasks that start where they are made. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EVALUE, -10001, "bad value")
#include "../../async/group.h"

#include "virtual.h"

struct steps { ASYNC_RETURNS(int); const char *name; int count; int i; };
static ASYNC(steps)
{
    ASYNC_BEGIN(steps);
    for (self->i = 0; self->i < self->count; self->i++) {
        say("%s%d", self->name, self->i);
        AWAIT(async_sleep, 0);
    }
    say("%s.", self->name);
    ASYNC_RETURN(self->count);
    ASYNC_END;
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_RAISE(EVALUE);
    ASYNC_END;
}

/* --- eager tasks ----------------------------------------------------------- */

struct makes_eager { ASYNC_FRAME; int count; async_task *task; };
static ASYNC(makes_eager)
{
    ASYNC_BEGIN(makes_eager);
    self->task = async_create_eager_task(CO(steps, "e", self->count));
    say("made %s", async_task_done(self->task) ? "done" : "pending");
    assert_ptr_equal(async_current_task() == self->task, 0);
    AWAIT_JOIN(self->task);
    say("joined");
    ASYNC_END;
}

static void an_eager_task_runs_to_its_first_wait_where_it_is_made(void **s)
{
    (void)s;
    assert_int_equal(RUN(makes_eager, 1), 0);
    assert_said("e0 made pending e. joined");
}

static void one_that_never_waits_is_done_when_it_is_made(void **s)
{
    (void)s;
    assert_int_equal(RUN(makes_eager, 0), 0);
    assert_said("e. made done joined");
}

struct makes_failing { ASYNC_FRAME; async_task *task; };
static ASYNC(makes_failing)
{
    ASYNC_BEGIN(makes_failing);
    self->task = async_create_eager_task(CO(fails));
    say("made %s", async_error_name(async_task_result(self->task)));
    async_task_release(self->task);
    async_task_release(async_create_eager_task(CO(fails)));
    ASYNC_END;
}

static void an_error_in_the_first_step_is_the_tasks_not_the_makers(void **s)
{
    (void)s;
    assert_int_equal(RUN(makes_failing), 0);
    assert_said("made EVALUE [Task exception was never retrieved: EVALUE]");
}

static void before_the_loop_runs_an_eager_task_waits_for_it(void **s)
{
    async_task *task;
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    make_tasks_eager(&loop.base);
    task = async_loop_create_task(&loop.base, CO(steps, "e", 1));
    say("made");
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, async_task_object(task)), 0);
    async_task_release(task);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("made e0 e.");
}

static void without_a_running_loop_there_is_no_eager_task(void **s)
{
    (void)s;
    assert_null(async_create_eager_task(CO(fails)));
    assert_int_equal(async_last_error(), ASYNC_ENOLOOP);
}

struct cancels_itself { ASYNC_FRAME; };
static ASYNC(cancels_itself)
{
    ASYNC_BEGIN(cancels_itself);
    async_task_cancel(async_current_task());
    say("asked");
    AWAIT(async_sleep, 0);
    say("never");
    ASYNC_END;
}
struct makes_one_that_cancels_itself { ASYNC_FRAME; async_task *task; };
static ASYNC(makes_one_that_cancels_itself)
{
    ASYNC_BEGIN(makes_one_that_cancels_itself);
    self->task = async_create_eager_task(CO(cancels_itself));
    say("made");
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    say("%s", async_task_cancelled(self->task) ? "cancelled" : "not");
    async_task_release(self->task);
    ASYNC_END;
}

static void an_eager_task_can_cancel_itself_in_its_first_step(void **s)
{
    (void)s;
    assert_int_equal(RUN(makes_one_that_cancels_itself), 0);
    assert_said("asked made cancelled");
}

struct nests { ASYNC_FRAME; int depth; async_task *inner; };
static ASYNC(nests)
{
    ASYNC_BEGIN(nests);
    say("in%d", self->depth);
    if (self->depth > 0) {
        self->inner = async_create_eager_task(CO(nests, self->depth - 1));
        AWAIT_JOIN(self->inner);
    }
    say("out%d", self->depth);
    ASYNC_END;
}

static void eager_tasks_nest(void **s)
{
    (void)s;
    assert_int_equal(RUN(nests, 2), 0);
    assert_said("in2 in1 in0 out0 out1 out2");
}

static int make_in_callback(void *nothing)
{
    (void)nothing;
    async_task_release(async_create_eager_task(CO(steps, "e", 0)));
    assert_null(async_current_task());
    say("callback");
    return 0;
}

struct schedules { ASYNC_FRAME; };
static ASYNC(schedules)
{
    ASYNC_BEGIN(schedules);
    async_loop_call_soon(async_loop_of(co), NULL, make_in_callback, NULL);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void a_callback_may_make_an_eager_task(void **s)
{
    (void)s;
    assert_int_equal(RUN(schedules), 0);
    assert_said("e. callback");
}

/* Swallows its cancellation, and returns n all the same. */
struct stubborn { ASYNC_RETURNS(int); int n; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("swallowed");
    } ASYNC_END_TRY
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct without_time { ASYNC_FRAME; int n; };
static ASYNC(without_time)
{
    ASYNC_BEGIN(without_time);
    make_tasks_eager(async_loop_of(co));
    AWAIT_WAIT_FOR_INTO(self->n, 0, steps, "e");
    say("%d", self->n);
    AWAIT_WAIT_FOR_INTO(self->n, 0, stubborn, 7);
    say("%d", self->n);
    AWAIT(async_wait_for, CO(stubborn, 8), 0);
    ASYNC_END;
}

/* It starts in any case, and so may be done, or end, with a result. */
static void without_time_an_eager_coroutine_may_have_a_result(void **s)
{
    (void)s;
    assert_int_equal(RUN(without_time), 0);
    assert_said("e. 0 swallowed 7 swallowed");
}

/* --- groups --------------------------------------------------------------- */

struct group_of_eager {
    ASYNC_FRAME;
    async_task_group group;
    ASYNC_TASK_OF(steps) task;
    async_task *untyped;
    int i;
};
static ASYNC(group_of_eager)
{
    ASYNC_BEGIN(group_of_eager);
    make_tasks_eager(async_loop_of(co));
    ASYNC_TASK_GROUP(&self->group) {
        for (self->i = 0; self->i < 3; self->i++) {
            self->untyped =
                async_group_spawn(&self->group, CO(steps, "g", self->i % 2));
            say("%d", async_task_done(self->untyped));
        }
        ASYNC_GROUP_SPAWN(self->task, &self->group, steps, "h", 0);
    } ASYNC_END_TASK_GROUP
    say("left %d", ASYNC_TASK_RESULT(self->task));
    async_task_release(self->task.task);
    ASYNC_END;
}

static void a_group_takes_eager_members_that_are_done_or_not(void **s)
{
    (void)s;
    assert_int_equal(RUN(group_of_eager), 0);
    assert_said("g. 1 g0 0 g. 1 h. g. left 0");
}

struct group_of_failing { ASYNC_FRAME; async_task_group group; };
static ASYNC(group_of_failing)
{
    ASYNC_BEGIN(group_of_failing);
    make_tasks_eager(async_loop_of(co));
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group, CO(fails));
            say("body");
            AWAIT(async_sleep, 0);
            say("never");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        say("%s", async_error_name(async_group_error(&self->group, 0)));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void an_eager_member_that_fails_cancels_the_group_later(void **s)
{
    (void)s;
    assert_int_equal(RUN(group_of_failing), 0);
    assert_said("body EVALUE");
}

/* --- gatherings ----------------------------------------------------------- */

struct adds { ASYNC_FRAME; async_gathering *all; int more; };
static ASYNC(adds)
{
    ASYNC_BEGIN(adds);
    for (; self->more > 0; self->more--)
        assert_int_equal(async_gather_add(self->all, CO(steps, "g")), 0);
    ASYNC_END;
}
struct gathers_eager { ASYNC_FRAME; int before, i; async_gathering all; };
static ASYNC(gathers_eager)
{
    ASYNC_BEGIN(gathers_eager);
    make_tasks_eager(async_loop_of(co));
    for (self->i = 0; self->i < self->before; self->i++)
        async_gather_add(&self->all, CO(steps, "b"));
    async_gather_add(&self->all, CO(adds, &self->all, 5));
    AWAIT(async_gather, &self->all);
    assert_int_equal(async_gather_count(&self->all), self->before + 6);
    for (self->i = 0; self->i < self->before + 5; self->i++)
        assert_int_equal(GATHERED(&self->all, (size_t)self->i, steps), 0);
    async_gather_clear(&self->all);
    ASYNC_END;
}

/* Its own place comes behind theirs: it is taken when it has been made. */
static void an_eager_child_may_add_to_its_own_gathering(void **s)
{
    (void)s;
    for (int before = 0; before < 5; before++)
        assert_int_equal(RUN(gathers_eager, before), 0);
}

struct starts_it { ASYNC_FRAME; async_gathering *all; };
static ASYNC(starts_it)
{
    ASYNC_BEGIN(starts_it);
    async_gather_add(self->all, CO(async_sleep, 1));
    (void)async_gather_start(self->all);
    ASYNC_END;
}
struct finds_it_started { ASYNC_FRAME; async_gathering all; };
static ASYNC(finds_it_started)
{
    ASYNC_BEGIN(finds_it_started);
    make_tasks_eager(async_loop_of(co));
    assert_int_equal(async_gather_add(&self->all, CO(starts_it, &self->all)),
                     ASYNC_EBUSY);
    AWAIT(async_gather, &self->all);
    assert_int_equal(async_gather_count(&self->all), 1);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void an_eager_child_that_awaits_its_gathering_is_not_in_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(finds_it_started), 0);
}

/* --- factories ------------------------------------------------------------- */

static int count_each(async_loop *of, async_task *task, void *argument)
{
    (void)of;
    say("+%s", async_coro_name(async_task_get_coro(task)));
    ++*(int *)argument;
    return ASYNC_START_LATER;
}

ASYNC_STATIC_TASK(in_storage, ASYNC_FRAMES(steps, async_sleep));

struct makes_all_kinds {
    ASYNC_FRAME;
    int made;
    async_task *task;
    async_gathering both;
    ASYNC_TASK_OF(steps) typed;
};
static ASYNC(makes_all_kinds)
{
    ASYNC_BEGIN(makes_all_kinds);
    async_loop_set_task_factory(async_loop_of(co), count_each, &self->made);
    assert_true(async_loop_get_task_factory(async_loop_of(co)) == count_each);
    self->task = async_create_task(CO(steps, "a"));
    ASYNC_SPAWN(self->typed, steps, "b");
    async_task_start(&in_storage, async_loop_of(co), CO(steps, "c"));
    AWAIT_GATHER(&self->both, async_task_object(self->task), CO(steps, "d"));
    async_gather_clear(&self->both);
    AWAIT_JOIN(self->task);
    AWAIT_JOIN(self->typed.task);
    AWAIT_TASK(&in_storage.task);
    async_loop_set_task_factory(async_loop_of(co), NULL, NULL);
    async_task_release(async_create_task(CO(steps, "e")));
    assert_int_equal(self->made, 4);
    ASYNC_END;
}

static void a_factory_is_called_with_every_task_that_is_made(void **s)
{
    (void)s;
    assert_int_equal(RUN(makes_all_kinds), 0);
    assert_said("+steps +steps +steps +steps a. b. c. d. e.");
}

UNIT_MAIN(TEST(an_eager_task_runs_to_its_first_wait_where_it_is_made),
          TEST(one_that_never_waits_is_done_when_it_is_made),
          TEST(an_error_in_the_first_step_is_the_tasks_not_the_makers),
          TEST(before_the_loop_runs_an_eager_task_waits_for_it),
          TEST(without_a_running_loop_there_is_no_eager_task),
          TEST(an_eager_task_can_cancel_itself_in_its_first_step),
          TEST(eager_tasks_nest), TEST(a_callback_may_make_an_eager_task),
          TEST(a_group_takes_eager_members_that_are_done_or_not),
          TEST(an_eager_member_that_fails_cancels_the_group_later),
          TEST(without_time_an_eager_coroutine_may_have_a_result),
          TEST(an_eager_child_may_add_to_its_own_gathering),
          TEST(an_eager_child_that_awaits_its_gathering_is_not_in_it),
          TEST(a_factory_is_called_with_every_task_that_is_made))
