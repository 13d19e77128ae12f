/* The semaphore, and ASYNC_WITH. */
#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

static async_semaphore semaphore;

/* Takes a permit for some seconds. */
struct user { ASYNC_FRAME; const char *name; int seconds; };
static ASYNC(user)
{
    ASYNC_BEGIN(user);
    ASYNC_WITH(async_semaphore, &semaphore) {
        say("%s@%d", self->name, seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    } ASYNC_END_WITH
    ASYNC_END;
}

/* Takes a permit and keeps it. */
struct taker { ASYNC_FRAME; const char *name; int error; };
static ASYNC(taker)
{
    ASYNC_BEGIN(taker);
    ASYNC_TRY {
        AWAIT(async_semaphore_acquire, &semaphore);
        say("%s", self->name);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, async_error_name(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_task *take(const char *name)
{
    return async_create_task(CO(taker, name));
}

/* How many permits can be had at once. */
static long free_permits(void)
{
    return async_semaphore_locked(&semaphore) ? 0 : semaphore.value;
}

/* --- taking turns -------------------------------------------------------- */

struct users { ASYNC_FRAME; async_gathering all; };
static ASYNC(users)
{
    ASYNC_BEGIN(users);
    async_semaphore_init(&semaphore, 2);
    AWAIT_GATHER(&self->all, CO(user, "a", 1), CO(user, "b", 3),
                 CO(user, "c", 1), CO(user, "d", 2), CO(user, "e", 1));
    async_gather_clear(&self->all);
    say("%ld", free_permits());
    ASYNC_END;
}

static void
as_many_as_there_are_permits_have_them_in_order_of_arrival(void **s)
{
    (void)s;
    assert_int_equal(RUN(users), 0);
    assert_said("a@0 b@0 c@1 d@2 e@3 2");
}

struct free_one { ASYNC_FRAME; };
static ASYNC(free_one)
{
    ASYNC_BEGIN(free_one);
    async_semaphore_init(&semaphore, 1);
    async_task_release(take("other"));
    AWAIT(async_semaphore_acquire, &semaphore);
    say("main");
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore);
    ASYNC_END;
}

static void a_free_permit_is_taken_without_suspending(void **s)
{
    (void)s;
    assert_int_equal(RUN(free_one), 0);
    assert_said("main other");
}

static void locked_tells_whether_acquiring_would_have_to_wait(void **s)
{
    (void)s;
    assert_int_equal(async_semaphore_init(&semaphore, 2), 0);
    assert_false(async_semaphore_locked(&semaphore));
    assert_int_equal(RUN(taker, "a"), 0);
    assert_false(async_semaphore_locked(&semaphore));
    assert_int_equal(RUN(taker, "b"), 0);
    assert_true(async_semaphore_locked(&semaphore));
    async_semaphore_release(&semaphore);
    assert_false(async_semaphore_locked(&semaphore));
    assert_said("a b");
}

static void it_cannot_begin_with_less_than_no_permit(void **s)
{
    (void)s;
    assert_int_equal(async_semaphore_init(&semaphore, -1),
                     ASYNC_ESEMAPHOREVALUE);
    assert_true(async_semaphore_locked(&semaphore));
    async_semaphore_release(&semaphore); /* but it can be used */
    assert_false(async_semaphore_locked(&semaphore));
    assert_int_equal(async_semaphore_init(&semaphore, 0), 0);
    assert_true(async_semaphore_locked(&semaphore));
}

static void releasing_more_than_was_acquired_adds_permits(void **s)
{
    (void)s;
    async_semaphore_init(&semaphore, 0);
    async_semaphore_release(&semaphore);
    async_semaphore_release(&semaphore);
    assert_int_equal(RUN(taker, "a"), 0);
    assert_int_equal(RUN(taker, "b"), 0);
    assert_true(async_semaphore_locked(&semaphore));
    assert_said("a b");
}

/* --- whose a permit is --------------------------------------------------- */

struct order { ASYNC_FRAME; };
static ASYNC(order)
{
    ASYNC_BEGIN(order);
    async_semaphore_init(&semaphore, 0);
    async_task_release(take("a"));
    async_task_release(take("b"));
    async_task_release(take("c"));
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore);
    async_semaphore_release(&semaphore);
    say("released"); /* nobody runs inside the call */
    ASYNC_SUSPEND;
    say("next");
    async_semaphore_release(&semaphore);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void
permits_go_to_those_who_wait_in_the_order_in_which_they_came(void **s)
{
    (void)s;
    assert_int_equal(RUN(order), 0);
    assert_said("released a b next c");
}

struct barges { ASYNC_FRAME; };
static ASYNC(barges)
{
    ASYNC_BEGIN(barges);
    async_semaphore_init(&semaphore, 0);
    async_task_release(take("waiter"));
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore);
    /* The waiter has not run, but the permit is its own. */
    assert_true(async_semaphore_locked(&semaphore));
    async_task_release(take("newcomer"));
    ASYNC_SUSPEND;
    say("|");
    async_semaphore_release(&semaphore);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void
a_newcomer_does_not_overtake_one_who_has_been_given_a_permit(void **s)
{
    (void)s;
    assert_int_equal(RUN(barges), 0);
    assert_said("waiter | newcomer");
}

struct releases_and_acquires { ASYNC_FRAME; };
static ASYNC(releases_and_acquires)
{
    ASYNC_BEGIN(releases_and_acquires);
    async_semaphore_init(&semaphore, 1);
    AWAIT(async_semaphore_acquire, &semaphore);
    async_task_release(take("waiter"));
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore);
    async_semaphore_release(&semaphore); /* a second one, which is free */
    assert_true(async_semaphore_locked(&semaphore));
    AWAIT(async_semaphore_acquire, &semaphore);
    say("main");
    assert_int_equal(free_permits(), 0);
    ASYNC_END;
}

static void who_releases_stands_behind_the_others_even_if_one_is_left(void **s)
{
    (void)s;
    assert_int_equal(RUN(releases_and_acquires), 0);
    assert_said("waiter main");
}

struct two_at_once { ASYNC_FRAME; };
static ASYNC(two_at_once)
{
    ASYNC_BEGIN(two_at_once);
    async_semaphore_init(&semaphore, 0);
    async_task_release(take("a"));
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore); /* a's */
    async_semaphore_release(&semaphore);
    async_semaphore_release(&semaphore);
    async_task_release(take("b")); /* queue behind a, though two are free */
    async_task_release(take("c"));
    async_task_release(take("d"));
    ASYNC_SUSPEND;
    say("|");
    ASYNC_SUSPEND;
    assert_true(async_semaphore_locked(&semaphore));
    say("|");
    async_semaphore_release(&semaphore);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void all_permits_that_became_free_meanwhile_are_given_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(two_at_once), 0);
    assert_said("a b c | | d");
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    async_semaphore_init(&semaphore, 0);
    self->a = take("a");
    self->b = take("b");
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    async_semaphore_release(&semaphore); /* not to a, which has yet to run */
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    assert_int_equal(free_permits(), 0);
    async_semaphore_release(&semaphore);
    assert_int_equal(free_permits(), 1);
    ASYNC_END;
}

static void a_waiter_that_is_cancelled_takes_nothing(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("a:ASYNC_ECANCELED b");
}

struct cancels_only { ASYNC_FRAME; async_task *a; };
static ASYNC(cancels_only)
{
    ASYNC_BEGIN(cancels_only);
    async_semaphore_init(&semaphore, 0);
    self->a = take("a");
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    async_semaphore_release(&semaphore);
    assert_int_equal(free_permits(), 1); /* though a has yet to run */
    AWAIT(async_semaphore_acquire, &semaphore);
    say("main");
    AWAIT_JOIN(self->a);
    assert_int_equal(free_permits(), 0);
    ASYNC_END;
}

static void nobody_queues_behind_waiters_that_are_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_only), 0);
    assert_said("main a:ASYNC_ECANCELED");
}

struct cancels_given { ASYNC_FRAME; int others; async_task *a, *b; };
static ASYNC(cancels_given)
{
    ASYNC_BEGIN(cancels_given);
    async_semaphore_init(&semaphore, 0);
    self->a = take("a");
    if (self->others) self->b = take("b");
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore);
    async_task_cancel(self->a);
    AWAIT_JOIN(self->a);
    if (self->others) AWAIT_JOIN(self->b);
    say("%ld", free_permits());
    ASYNC_END;
}

static void one_that_is_cancelled_with_a_permit_passes_it_on(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_given, .others = 1), 0);
    assert_said("a:ASYNC_ECANCELED b 0");
    assert_int_equal(RUN(cancels_given, .others = 0), 0);
    assert_said("a:ASYNC_ECANCELED 1");
}

struct cancels_both { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(cancels_both)
{
    ASYNC_BEGIN(cancels_both);
    async_semaphore_init(&semaphore, 0);
    self->a = take("a");
    self->b = take("b");
    self->c = take("c");
    ASYNC_SUSPEND;
    async_semaphore_release(&semaphore);
    async_task_cancel(self->b);
    async_task_cancel(self->a);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT_JOIN(self->c);
    ASYNC_END;
}

static void a_permit_passed_on_skips_those_that_are_cancelled_too(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_both), 0);
    assert_said("a:ASYNC_ECANCELED b:ASYNC_ECANCELED c");
}

struct waits_briefly { ASYNC_FRAME; int error; };
static ASYNC(waits_briefly)
{
    ASYNC_BEGIN(waits_briefly);
    async_semaphore_init(&semaphore, 0);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_semaphore_acquire, &semaphore), ASYNC_SECONDS(1));
    say("%s", async_error_name(self->error));
    async_semaphore_release(&semaphore);
    say("%ld", free_permits());
    ASYNC_END;
}

static void a_limit_in_time_leaves_no_trace(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits_briefly), 0);
    assert_said("ASYNC_ETIMEDOUT 1");
}

/* --- with ---------------------------------------------------------------- */

struct leaves { ASYNC_RETURNS(int); char how; int i; };
static ASYNC(leaves)
{
    ASYNC_BEGIN(leaves);
    for (self->i = 0; self->i < 2; self->i++) {
        ASYNC_WITH(async_semaphore, &semaphore) {
            assert_int_equal(semaphore.value, 0);
            say("in%d", self->i);
            if (self->how == 'b') break;
            if (self->how == 'c') continue;
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            assert_int_equal(semaphore.value, 0);
            if (self->how == 'B') break;
            if (self->how == 'C') continue;
            if (self->how == 'r') ASYNC_RETURN(7);
            if (self->how == 'e') ASYNC_RAISE(EKEY);
        } ASYNC_END_WITH
        assert_int_equal(semaphore.value, 1);
        say("end%d", self->i);
    }
    say("left");
    ASYNC_RETURN(self->i);
    ASYNC_END;
}
struct leaving { ASYNC_FRAME; char how; int n; };
static ASYNC(leaving)
{
    ASYNC_BEGIN(leaving);
    async_semaphore_init(&semaphore, 1);
    AWAIT_INTO(self->n, leaves, self->how);
    say("%d", self->n);
    ASYNC_END;
}

static void with_releases_at_its_end_and_at_break_and_continue(void **s)
{
    (void)s;
    assert_int_equal(RUN(leaving, 0), 0);
    assert_said("in0 end0 in1 end1 left 2");
    assert_int_equal(RUN(leaving, 'b'), 0);
    assert_said("in0 left 0");
    assert_int_equal(RUN(leaving, 'c'), 0);
    assert_said("in0 in1 left 2");
    assert_int_equal(RUN(leaving, 'B'), 0);
    assert_said("in0 left 0");
    assert_int_equal(RUN(leaving, 'C'), 0);
    assert_said("in0 in1 left 2");
    assert_int_equal(semaphore.value, 1);
}

static void with_releases_at_return(void **s)
{
    (void)s;
    assert_int_equal(RUN(leaving, 'r'), 0);
    assert_said("in0 7");
    assert_int_equal(semaphore.value, 1);
}

static void with_releases_at_an_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(leaving, 'e'), EKEY);
    assert_said("in0");
    assert_int_equal(semaphore.value, 1);
}

struct cancels_user { ASYNC_FRAME; int has_one; async_task *task; int error; };
static ASYNC(cancels_user)
{
    ASYNC_BEGIN(cancels_user);
    async_semaphore_init(&semaphore, self->has_one);
    self->task = async_create_task(CO(user, "user", 100));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled %ld", semaphore.value);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void with_releases_when_it_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_user, .has_one = 1), 0);
    assert_said("user@0 cancelled 1");
}

static void with_releases_nothing_when_acquiring_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_user, .has_one = 0), 0);
    assert_said("cancelled 0");
}

struct nested { ASYNC_RETURNS(int); char how; async_semaphore a, b; };
static ASYNC(nested)
{
    ASYNC_BEGIN(nested);
    async_semaphore_init(&self->a, 1);
    async_semaphore_init(&self->b, 1);
    ASYNC_TRY {
        ASYNC_WITH(async_semaphore, &self->a) {
            ASYNC_WITH(async_semaphore, &self->b) {
                say("%ld%ld", self->a.value, self->b.value);
                AWAIT(async_sleep, ASYNC_SECONDS(1));
                if (self->how == 'e') ASYNC_RAISE(EKEY);
                if (self->how == 'r') ASYNC_RETURN(5);
            } ASYNC_END_WITH
            say("%ld%ld", self->a.value, self->b.value);
            AWAIT(async_sleep, ASYNC_SECONDS(1));
        } ASYNC_END_WITH
    } ASYNC_FINALLY {
        say("%ld%ld", self->a.value, self->b.value);
    } ASYNC_END_TRY
    ASYNC_RETURN(6);
    ASYNC_END;
}

static void one_with_may_stand_in_another(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested), 0);
    assert_said("00 01 11");
    assert_int_equal(RUN(nested, 'e'), EKEY);
    assert_said("00 11");
    assert_int_equal(RUN(nested, 'r'), 0);
    assert_said("00 11");
}

struct in_finally { ASYNC_FRAME; };
static ASYNC(in_finally)
{
    ASYNC_BEGIN(in_finally);
    ASYNC_TRY {
        ASYNC_RAISE(EKEY);
    } ASYNC_FINALLY {
        ASYNC_WITH(async_semaphore, &semaphore) {
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            say("in");
        } ASYNC_END_WITH
        say("%ld", semaphore.value);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_with_in_a_finally_keeps_the_error_on_its_way(void **s)
{
    (void)s;
    async_semaphore_init(&semaphore, 1);
    assert_int_equal(RUN(in_finally), EKEY);
    assert_said("in 1");
}

/* --- by hand ------------------------------------------------------------- */

struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    ASYNC_BEGIN(by_hand);
    AWAIT(async_semaphore_acquire, &semaphore);
    say("acquired");
    AWAIT(async_semaphore_acquire, &semaphore);
    say("not reached");
    ASYNC_END;
}

static void driven_by_hand_it_may_acquire_but_not_wait(void **s)
{
    async co;
    (void)s;
    async_semaphore_init(&semaphore, 1);
    assert_int_equal(async_new(&co, NULL, CO(by_hand)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    assert_in_range(async_stack_high_water(&co), sizeof(struct by_hand), 1000);
    assert_int_equal(async_close(&co), 0); /* and its memory is given back */
    assert_said("acquired");
    async_semaphore_release(&semaphore); /* nobody stands in the queue */
    assert_int_equal(free_permits(), 1);
}

/* --- bounded ------------------------------------------------------------- */

static async_bounded_semaphore bounded;

struct bounded_user { ASYNC_FRAME; const char *name; char how; };
static ASYNC(bounded_user)
{
    ASYNC_BEGIN(bounded_user);
    ASYNC_WITH(async_bounded_semaphore, &bounded) {
        say("%s@%d", self->name, seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        if (self->how == 'e') ASYNC_RAISE(EKEY);
        if (self->how == 'u') async_bounded_semaphore_release(&bounded);
        if (self->how == 'r') ASYNC_RETURN();
    } ASYNC_END_WITH
    say("%s.", self->name);
    ASYNC_END;
}

struct bounded_users { ASYNC_FRAME; async_gathering all; };
static ASYNC(bounded_users)
{
    ASYNC_BEGIN(bounded_users);
    AWAIT_GATHER(&self->all, CO(bounded_user, "a"), CO(bounded_user, "b"),
                 CO(bounded_user, "c"));
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void a_bounded_one_lets_in_as_many_too(void **s)
{
    (void)s;
    assert_int_equal(async_bounded_semaphore_init(&bounded, 2), 0);
    assert_int_equal(RUN(bounded_users), 0);
    assert_said("a@0 b@0 a. b. c@1 c.");
    assert_false(async_bounded_semaphore_locked(&bounded));
}

static void a_bounded_one_cannot_be_released_more_often_than_acquired(void **s)
{
    (void)s;
    assert_int_equal(async_bounded_semaphore_init(&bounded, 1), 0);
    assert_int_equal(async_bounded_semaphore_release(&bounded),
                     ASYNC_EOVERRELEASED);
    assert_string_equal(async_strerror(ASYNC_EOVERRELEASED),
                        "BoundedSemaphore released too many times");
    assert_int_equal(RUN(async_bounded_semaphore_acquire, &bounded), 0);
    assert_true(async_bounded_semaphore_locked(&bounded));
    assert_int_equal(async_bounded_semaphore_release(&bounded), 0);
    assert_false(async_bounded_semaphore_locked(&bounded));
    assert_int_equal(async_bounded_semaphore_release(&bounded),
                     ASYNC_EOVERRELEASED);
}

static void a_bounded_one_cannot_begin_with_less_than_no_permit(void **s)
{
    (void)s;
    assert_int_equal(async_bounded_semaphore_init(&bounded, -1),
                     ASYNC_ESEMAPHOREVALUE);
    assert_int_equal(async_bounded_semaphore_release(&bounded),
                     ASYNC_EOVERRELEASED);
    assert_true(async_bounded_semaphore_locked(&bounded));
}

static void with_releases_a_bounded_one_on_every_way_out(void **s)
{
    (void)s;
    assert_int_equal(async_bounded_semaphore_init(&bounded, 1), 0);
    assert_int_equal(RUN(bounded_user, "a", 'e'), EKEY);
    assert_false(async_bounded_semaphore_locked(&bounded));
    assert_int_equal(RUN(bounded_user, "b", 'r'), 0);
    assert_false(async_bounded_semaphore_locked(&bounded));
    /* The body has given back the permit of the with. */
    assert_int_equal(RUN(bounded_user, "c", 'u'), ASYNC_EOVERRELEASED);
    assert_false(async_bounded_semaphore_locked(&bounded));
    assert_said("a@0 b@0 c@0");
}

/* --- stress -------------------------------------------------------------- */

enum { PERMITS = 3, WORKERS = 20, TURNS = 15 };
static int inside, most, turns;

/* Takes a permit again and again, whatever it is cancelled by. */
struct worker { ASYNC_FRAME; int i; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    for (self->i = 0; self->i < TURNS; self->i++) {
        ASYNC_TRY {
            ASYNC_WITH(async_semaphore, &semaphore) {
                if (++inside > most) most = inside;
                turns++;
                ASYNC_TRY {
                    AWAIT(async_sleep, chance(4));
                } ASYNC_FINALLY {
                    inside--;
                } ASYNC_END_TRY
            } ASYNC_END_WITH
            AWAIT(async_sleep, chance(3));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
    }
    ASYNC_END;
}
struct chaos { ASYNC_FRAME; async_task *workers[WORKERS]; int i, left; };
static ASYNC(chaos)
{
    ASYNC_BEGIN(chaos);
    for (self->i = 0; self->i < WORKERS; self->i++)
        self->workers[self->i] = async_create_task(CO(worker));
    do {
        AWAIT(async_sleep, chance(2));
        self->left = 0;
        for (self->i = 0; self->i < WORKERS; self->i++) {
            if (!async_task_done(self->workers[self->i])) self->left++;
            if (chance(8) == 0) async_task_cancel(self->workers[self->i]);
        }
    } while (self->left > 0);
    for (self->i = 0; self->i < WORKERS; self->i++)
        async_task_release(self->workers[self->i]);
    ASYNC_END;
}

static void no_permit_is_lost_or_made_by_random_cancellations(void **s)
{
    uint32_t round;
    (void)s;
    for (round = 1; round <= 60; round++) {
        seed = round * 2654435761u;
        inside = most = turns = 0;
        async_semaphore_init(&semaphore, PERMITS);
        run_by_chance(round, CO(chaos));
        assert_int_equal(inside, 0);
        assert_int_equal(most, PERMITS);
        assert_in_range(turns, WORKERS, WORKERS * TURNS);
        assert_int_equal(free_permits(), PERMITS);
    }
}

UNIT_MAIN(TEST(as_many_as_there_are_permits_have_them_in_order_of_arrival),
          TEST(a_free_permit_is_taken_without_suspending),
          TEST(locked_tells_whether_acquiring_would_have_to_wait),
          TEST(it_cannot_begin_with_less_than_no_permit),
          TEST(releasing_more_than_was_acquired_adds_permits),
          TEST(permits_go_to_those_who_wait_in_the_order_in_which_they_came),
          TEST(a_newcomer_does_not_overtake_one_who_has_been_given_a_permit),
          TEST(who_releases_stands_behind_the_others_even_if_one_is_left),
          TEST(all_permits_that_became_free_meanwhile_are_given_out),
          TEST(a_waiter_that_is_cancelled_takes_nothing),
          TEST(nobody_queues_behind_waiters_that_are_cancelled),
          TEST(one_that_is_cancelled_with_a_permit_passes_it_on),
          TEST(a_permit_passed_on_skips_those_that_are_cancelled_too),
          TEST(a_limit_in_time_leaves_no_trace),
          TEST(with_releases_at_its_end_and_at_break_and_continue),
          TEST(with_releases_at_return), TEST(with_releases_at_an_error),
          TEST(with_releases_when_it_is_cancelled),
          TEST(with_releases_nothing_when_acquiring_is_cancelled),
          TEST(one_with_may_stand_in_another),
          TEST(a_with_in_a_finally_keeps_the_error_on_its_way),
          TEST(driven_by_hand_it_may_acquire_but_not_wait),
          TEST(a_bounded_one_lets_in_as_many_too),
          TEST(a_bounded_one_cannot_be_released_more_often_than_acquired),
          TEST(a_bounded_one_cannot_begin_with_less_than_no_permit),
          TEST(with_releases_a_bounded_one_on_every_way_out),
          TEST(no_permit_is_lost_or_made_by_random_cancellations))
