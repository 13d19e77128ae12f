/* Waiting for some of several. */
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

/* Waits for three tasks, says which are done and when, and then lets them end.
 */
struct waits {
    ASYNC_FRAME;
    int when, seconds[3], result[3], timeout;
    ASYNC_TASK_OF(work) t[3];
    async_waited items[3];
    size_t done;
    int i, error;
};
static const char *const names[] = { "a", "b", "c" };
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_SPAWN(self->t[self->i], work, names[self->i],
                    self->seconds[self->i], self->result[self->i]);
        self->items[self->i].future = &self->t[self->i].task->future;
    }
    ASYNC_TRY {
        AWAIT_INTO(self->done, async_wait, self->items, 3,
                   self->timeout ? ASYNC_SECONDS(self->timeout)
                                 : ASYNC_FOREVER,
                   self->when);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", async_error_name(self->error));
    } ASYNC_END_TRY
    say("%d:%d%d%d@%d", (int)self->done, self->items[0].done,
        self->items[1].done, self->items[2].done, seconds());
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->t[self->i].task);
    ASYNC_END;
}

/* --- when it returns ----------------------------------------------------- */

static void all_of_them_is_what_it_waits_for_by_default(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits, .seconds = { 3, 1, 2 }), 0);
    assert_said("b@1 c@2 a@3 3:111@3");
}

static void the_first_that_ends_may_be_enough(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits, ASYNC_FIRST_COMPLETED, .seconds = { 3, 1, 2 }),
                     0);
    assert_said("b@1 1:010@1 c@2 a@3");
}

static void or_the_first_error_which_it_does_not_raise(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits, ASYNC_FIRST_EXCEPTION, .seconds = { 3, 1, 2 },
                         .result = { 0, 0, EKEY }),
                     0);
    assert_said("b@1 c@2 2:011@2 [Task exception was never retrieved: EKEY] "
                "a@3");
    assert_int_equal(RUN(waits, ASYNC_FIRST_EXCEPTION, .seconds = { 3, 1, 2 }),
                     0);
    assert_said("b@1 c@2 a@3 3:111@3");
}

static void what_ends_in_the_same_iteration_is_done_as_well(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits, ASYNC_FIRST_COMPLETED, .seconds = { 1, 1, 2 }),
                     0);
    assert_said("a@1 b@1 2:110@1 c@2");
}

static void when_the_time_is_over_it_neither_raises_nor_cancels(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits, .seconds = { 3, 1, 5 }, .timeout = 2), 0);
    assert_said("b@1 1:010@2 a@3 c@5");
    assert_int_equal(RUN(waits, .seconds = { 3, 1, 5 }, .timeout = -1), 0);
    assert_said("0:000@0 b@1 a@3 c@5");
}

static void in_time_it_leaves_no_timer(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits, .seconds = { 1, 1, 1 }, .timeout = 100), 0);
    assert_said("a@1 b@1 c@1 3:111@1");
    assert_int_equal(seconds(), 1);
}

/* --- futures, and what is done already ----------------------------------- */

struct mixed {
    ASYNC_FRAME;
    async_future done, pending;
    async_waited items[3];
    size_t n;
};
static ASYNC(mixed)
{
    ASYNC_BEGIN(mixed);
    async_future_init(&self->done, &loop.base);
    async_future_init(&self->pending, &loop.base);
    async_future_set_result(&self->done);
    self->items[0].future = &self->pending;
    self->items[1].future = self->items[2].future = &self->done;
    AWAIT_INTO(self->n, async_wait, self->items, 3, ASYNC_FOREVER,
               ASYNC_FIRST_COMPLETED);
    say("%d:%d%d%d", (int)self->n, self->items[0].done, self->items[1].done,
        self->items[2].done);
    AWAIT_INTO(self->n, async_wait, self->items, 3, 0);
    say("%d:%d%d%d", (int)self->n, self->items[0].done, self->items[1].done,
        self->items[2].done);
    async_future_cancel(&self->pending);
    AWAIT_INTO(self->n, async_wait, self->items, 3, ASYNC_FOREVER);
    say("%d", (int)self->n);
    /* Nobody holds them any more. */
    async_future_destroy(&self->pending);
    async_future_destroy(&self->done);
    ASYNC_END;
}

static void futures_may_be_waited_for_done_or_not_and_twice(void **s)
{
    (void)s;
    assert_int_equal(RUN(mixed), 0);
    assert_said("2:011 2:011 3");
}

/* --- cancellation, and misuse -------------------------------------------- */

struct cancels { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task = async_create_task(CO(waits, .seconds = { 3, 4, 5 }));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void cancelled_it_leaves_them_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("ASYNC_ECANCELED 0:000@1 a@3 b@4 c@5");
}

struct misuses { ASYNC_FRAME; async_waited items[2]; async_future f; int e; };
static ASYNC(misuses)
{
    static async_virtual_loop other;
    ASYNC_BEGIN(misuses);
    AWAIT_CATCH(self->e, async_wait, self->items, 0, ASYNC_FOREVER);
    say("%s", async_error_name(self->e));
    AWAIT_CATCH(self->e, async_wait, self->items, 1, ASYNC_FOREVER);
    say("%s", async_error_name(self->e));
    async_future_init(&self->f, &loop.base);
    self->items[0].future = &self->f;
    AWAIT_CATCH(self->e, async_wait, self->items, 1, ASYNC_FOREVER, 7);
    say("%s", async_error_name(self->e));
    async_virtual_loop_init(&other, NULL);
    async_future_init(&self->f, &other.base);
    AWAIT_CATCH(self->e, async_wait, self->items, 1, ASYNC_FOREVER);
    say("%s", async_error_name(self->e));
    async_loop_close(&other.base);
    ASYNC_END;
}

static void what_cannot_be_waited_for_is_an_error(void **s)
{
    async_waited item;
    async co;
    (void)s;
    assert_int_equal(RUN(misuses), 0);
    assert_said(
        "ASYNC_ENOFUTURES ASYNC_EINVAL ASYNC_ERETURNWHEN ASYNC_EOTHERLOOP");
    assert_int_equal(async_new(&co, NULL, CO(async_wait, &item, 1, 0)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    async_close(&co);
}

UNIT_MAIN(TEST(all_of_them_is_what_it_waits_for_by_default),
          TEST(the_first_that_ends_may_be_enough),
          TEST(or_the_first_error_which_it_does_not_raise),
          TEST(what_ends_in_the_same_iteration_is_done_as_well),
          TEST(when_the_time_is_over_it_neither_raises_nor_cancels),
          TEST(in_time_it_leaves_no_timer),
          TEST(futures_may_be_waited_for_done_or_not_and_twice),
          TEST(cancelled_it_leaves_them_alone),
          TEST(what_cannot_be_waited_for_is_an_error))
