/* Futures in the order in which they end. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
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

static void say_next(async_task *task)
{
    int error = async_task_result(task);
    say("%s=%s@%d", async_task_get_name(task),
        error ? async_error_name(error) : "ok", seconds());
}

/* Iterates over three tasks as they end, and stops after `stop` of them. */
struct iterates {
    ASYNC_FRAME;
    int seconds[3], result[3], timeout, stop, slow;
    ASYNC_TASK_OF(work) t[3];
    async_waited items[3];
    struct async_as_completed ends;
    async_future *next;
    int i, error;
};
static const char *const names[] = { "a", "b", "c" };
static ASYNC(iterates)
{
    ASYNC_BEGIN(iterates);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_SPAWN(self->t[self->i], work, names[self->i],
                    self->seconds[self->i], self->result[self->i]);
        async_task_set_name(self->t[self->i].task, names[self->i]);
        self->items[self->i].future = &self->t[self->i].task->future;
    }
    self->ends = ASYNC_GENERATOR(async_as_completed, self->items, 3,
                                 self->timeout ? ASYNC_SECONDS(self->timeout)
                                               : ASYNC_FOREVER);
    ASYNC_TRY {
        ASYNC_FOR(self->next, &self->ends) {
            say_next((async_task *)(void *)self->next);
            if (--self->stop == 0) break;
            if (self->slow) AWAIT(async_sleep, ASYNC_SECONDS(self->slow));
        } ASYNC_END_FOR
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%d%d%d", async_error_name(self->error), self->items[0].done,
            self->items[1].done, self->items[2].done);
    } ASYNC_END_TRY
    say("behind@%d", seconds());
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->t[self->i].task);
    ASYNC_END;
}

/* --- the order ----------------------------------------------------------- */

static void they_come_in_the_order_in_which_they_end(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterates, { 3, 1, 2 }, { 0, EKEY, 0 }), 0);
    assert_said("b@1 b=EKEY@1 c@2 c=ok@2 a@3 a=ok@3 behind@3");
}

static void what_ends_meanwhile_is_kept_in_order(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterates, { 3, 1, 2 }, .slow = 5), 0);
    assert_said("b@1 b=ok@1 c@2 a@3 c=ok@6 a=ok@11 behind@16");
}

static void left_early_it_leaves_the_others_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterates, { 3, 1, 2 }, .stop = 1), 0);
    assert_said("b@1 b=ok@1 behind@1 c@2 a@3");
    assert_int_equal(RUN(iterates, { 3, 1, 2 }, .stop = 1, .timeout = 9), 0);
    assert_said("b@1 b=ok@1 behind@1 c@2 a@3");
    assert_int_equal(seconds(), 3); /* and no timer */
}

/* --- too late ------------------------------------------------------------ */

static void too_late_it_times_out_and_cancels_nothing(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterates, { 3, 1, 4 }, .timeout = 2), 0);
    assert_said("b@1 b=ok@1 ASYNC_ETIMEDOUT:010 behind@2 a@3 c@4");
}

static void what_ended_in_time_is_yielded_before_that(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterates, { 2, 1, 4 }, .timeout = 3, .slow = 5), 0);
    assert_said("b@1 b=ok@1 a@2 c@4 a=ok@6 ASYNC_ETIMEDOUT:111 behind@11");
    assert_int_equal(RUN(iterates, { 2, 1, 2 }, .timeout = 3, .slow = 5), 0);
    assert_said("b@1 b=ok@1 a@2 c@2 a=ok@6 c=ok@11 behind@16");
}

/* --- the rest ------------------------------------------------------------ */

struct cancels { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task = async_create_task(CO(iterates, { 3, 4, 5 }));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void cancelled_it_leaves_them_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("ASYNC_ECANCELED:000 behind@1 a@3 b@4 c@5");
}

struct twice {
    ASYNC_FRAME;
    ASYNC_TASK_OF(work) t[2];
    async_waited items[4];
    struct async_as_completed ends;
    async_future *next;
    int i;
};
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    for (self->i = 0; self->i < 4; self->i++) {
        if (self->i < 2) {
            ASYNC_SPAWN(self->t[self->i], work, names[self->i], self->i);
            async_task_set_name(self->t[self->i].task, names[self->i]);
        }
        self->items[self->i].future = &self->t[self->i % 2].task->future;
    }
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 4, ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        say_next((async_task *)(void *)self->next);
    } ASYNC_END_FOR
    assert_int_equal(self->items[3].done, 1);
    async_task_release(self->t[0].task);
    async_task_release(self->t[1].task);
    ASYNC_END;
}

static void one_that_is_there_twice_comes_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(twice), 0);
    assert_said("a@0 a=ok@0 b@1 b=ok@1");
}

struct nothing {
    ASYNC_FRAME;
    size_t count;
    async_waited items[1];
    struct async_as_completed ends;
    async_future *next;
};
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
    self->ends = ASYNC_GENERATOR(async_as_completed, self->items, self->count,
                                 ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        say("never");
    } ASYNC_END_FOR
    ASYNC_END;
}

static void of_nothing_there_is_nothing_and_no_future_is_an_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(nothing, 0), 0);
    assert_int_equal(RUN(nothing, 1), ASYNC_EINVAL);
    assert_said("");
}

UNIT_MAIN(TEST(they_come_in_the_order_in_which_they_end),
          TEST(what_ends_meanwhile_is_kept_in_order),
          TEST(left_early_it_leaves_the_others_alone),
          TEST(too_late_it_times_out_and_cancels_nothing),
          TEST(what_ended_in_time_is_yielded_before_that),
          TEST(cancelled_it_leaves_them_alone),
          TEST(one_that_is_there_twice_comes_once),
          TEST(of_nothing_there_is_nothing_and_no_future_is_an_error))
