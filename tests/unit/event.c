/* The event. */
#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

static async_event event;

struct waiter { ASYNC_FRAME; const char *name; int error; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    ASYNC_TRY {
        AWAIT(async_event_wait, &event);
        say("%s", self->name);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, async_error_name(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_task *wait(const char *name)
{
    return async_create_task(CO(waiter, name));
}

/* --- setting and clearing ------------------------------------------------ */

struct sets { ASYNC_FRAME; };
static ASYNC(sets)
{
    ASYNC_BEGIN(sets);
    async_event_init(&event);
    assert_false(async_event_is_set(&event));
    async_task_release(wait("a"));
    async_task_release(wait("b"));
    async_task_release(wait("c"));
    ASYNC_SUSPEND;
    async_event_set(&event);
    assert_true(async_event_is_set(&event));
    say("set"); /* nobody runs inside the call */
    ASYNC_SUSPEND;
    say("next");
    ASYNC_END;
}

static void setting_it_wakes_all_in_the_order_in_which_they_came(void **s)
{
    (void)s;
    assert_int_equal(RUN(sets), 0);
    assert_said("set a b c next");
}

struct is_set { ASYNC_FRAME; };
static ASYNC(is_set)
{
    ASYNC_BEGIN(is_set);
    async_event_init(&event);
    async_event_set(&event);
    async_task_release(wait("other"));
    AWAIT(async_event_wait, &event);
    AWAIT(async_event_wait, &event);
    say("main");
    ASYNC_END;
}

static void while_it_is_set_nobody_suspends(void **s)
{
    (void)s;
    assert_int_equal(RUN(is_set), 0);
    assert_said("main other");
}

struct sets_and_clears { ASYNC_FRAME; async_task *late; };
static ASYNC(sets_and_clears)
{
    ASYNC_BEGIN(sets_and_clears);
    async_event_init(&event);
    async_task_release(wait("a"));
    ASYNC_SUSPEND;
    async_event_set(&event);
    async_event_clear(&event);
    assert_false(async_event_is_set(&event));
    self->late = wait("late");
    ASYNC_SUSPEND;
    say("|");
    async_event_set(&event);
    async_event_set(&event); /* once more changes nothing */
    AWAIT_JOIN(self->late);
    ASYNC_END;
}

static void clearing_it_does_not_take_back_that_they_were_woken(void **s)
{
    (void)s;
    assert_int_equal(RUN(sets_and_clears), 0);
    assert_said("a | late");
}

struct sets_again { ASYNC_FRAME; async_task *a; };
static ASYNC(sets_again)
{
    ASYNC_BEGIN(sets_again);
    async_event_init(&event);
    self->a = wait("a");
    ASYNC_SUSPEND;
    async_event_set(&event);
    async_event_clear(&event);
    async_event_set(&event); /* a has been woken, but has not run */
    async_event_clear(&event);
    AWAIT_JOIN(self->a);
    ASYNC_END;
}

static void one_that_has_been_woken_is_not_woken_twice(void **s)
{
    (void)s;
    assert_int_equal(RUN(sets_again), 0);
    assert_said("a");
}

struct zeroed { ASYNC_FRAME; async_event event; };
static ASYNC(zeroed)
{
    ASYNC_BEGIN(zeroed);
    async_event_set(&self->event);
    AWAIT(async_event_wait, &self->event);
    async_event_clear(&self->event);
    AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_event_wait, &self->event);
    ASYNC_END;
}

static void zeroed_memory_is_one_that_is_not_set(void **s)
{
    (void)s;
    assert_int_equal(RUN(zeroed), ASYNC_ETIMEDOUT);
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; int first; async_task *a, *b; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    async_event_init(&event);
    self->a = wait("a");
    self->b = wait("b");
    ASYNC_SUSPEND;
    if (self->first) async_task_cancel(self->a);
    async_event_set(&event);
    async_event_clear(&event);
    if (!self->first) async_task_cancel(self->a);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    async_event_set(&event); /* nobody is left in the queue */
    ASYNC_END;
}

static void one_that_is_cancelled_leaves_the_others_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .first = 1), 0);
    assert_said("a:ASYNC_ECANCELED b");
}

static void cancellation_wins_over_having_been_woken(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, .first = 0), 0);
    assert_said("a:ASYNC_ECANCELED b");
}

/* --- elsewhere ----------------------------------------------------------- */

struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    ASYNC_BEGIN(by_hand);
    async_event_set(&event);
    AWAIT(async_event_wait, &event);
    say("set");
    async_event_clear(&event);
    AWAIT(async_event_wait, &event);
    say("not reached");
    ASYNC_END;
}

static void driven_by_hand_one_may_not_wait(void **s)
{
    async co;
    void *memory[64];
    (void)s;
    async_event_init(&event);
    assert_int_equal(async_init(&co, memory, sizeof memory, CO(by_hand)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    async_event_set(&event); /* nobody is in the queue */
    assert_said("set");
}

static int set_event(void *argument)
{
    async_event_set((async_event *)argument);
    return 0;
}

struct waits_for_callback { ASYNC_FRAME; async_handle handle; };
static ASYNC(waits_for_callback)
{
    ASYNC_BEGIN(waits_for_callback);
    async_event_init(&event);
    async_loop_call_later(async_loop_of(co), &self->handle, ASYNC_SECONDS(3),
                          set_event, &event);
    AWAIT(async_event_wait, &event);
    say("@%d", seconds());
    ASYNC_END;
}

static void a_callback_may_set_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits_for_callback), 0);
    assert_said("@3");
}

UNIT_MAIN(TEST(setting_it_wakes_all_in_the_order_in_which_they_came),
          TEST(while_it_is_set_nobody_suspends),
          TEST(clearing_it_does_not_take_back_that_they_were_woken),
          TEST(one_that_has_been_woken_is_not_woken_twice),
          TEST(zeroed_memory_is_one_that_is_not_set),
          TEST(one_that_is_cancelled_leaves_the_others_alone),
          TEST(cancellation_wins_over_having_been_woken),
          TEST(driven_by_hand_one_may_not_wait), TEST(a_callback_may_set_it))
