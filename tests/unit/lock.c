/* The lock. */
#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

static async_lock lock;

/* Holds the lock for some seconds. */
struct user { ASYNC_FRAME; const char *name; int seconds; };
static ASYNC(user)
{
    ASYNC_BEGIN(user);
    ASYNC_WITH(async_lock, &lock) {
        say("%s@%d", self->name, seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    } ASYNC_END_WITH
    ASYNC_END;
}

/* Takes the lock and keeps it. */
struct taker { ASYNC_FRAME; const char *name; int error; };
static ASYNC(taker)
{
    ASYNC_BEGIN(taker);
    ASYNC_TRY {
        AWAIT(async_lock_acquire, &lock);
        assert_true(async_lock_locked(&lock));
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

/* --- taking turns -------------------------------------------------------- */

struct users { ASYNC_FRAME; async_gathering all; };
static ASYNC(users)
{
    ASYNC_BEGIN(users);
    async_lock_init(&lock);
    AWAIT_GATHER(&self->all, CO(user, "a", 2), CO(user, "b", 1),
                 CO(user, "c", 3));
    async_gather_clear(&self->all);
    assert_false(async_lock_locked(&lock));
    ASYNC_END;
}

static void one_at_a_time_has_it_in_order_of_arrival(void **s)
{
    (void)s;
    assert_int_equal(RUN(users), 0);
    assert_said("a@0 b@2 c@3");
}

struct free_one { ASYNC_FRAME; };
static ASYNC(free_one)
{
    ASYNC_BEGIN(free_one);
    async_lock_init(&lock);
    async_task_release(take("other"));
    assert_false(async_lock_locked(&lock));
    AWAIT(async_lock_acquire, &lock);
    say("main");
    assert_true(async_lock_locked(&lock));
    ASYNC_SUSPEND;
    assert_int_equal(async_lock_release(&lock), 0);
    ASYNC_END;
}

static void a_free_one_is_taken_without_suspending(void **s)
{
    (void)s;
    assert_int_equal(RUN(free_one), 0);
    assert_said("main other");
}

struct zeroed { ASYNC_FRAME; async_lock lock; };
static ASYNC(zeroed)
{
    ASYNC_BEGIN(zeroed);
    AWAIT(async_lock_acquire, &self->lock);
    assert_int_equal(async_lock_release(&self->lock), 0);
    AWAIT(async_lock_acquire, &self->lock);
    AWAIT(async_wait_for, CO(async_lock_acquire, &self->lock),
          ASYNC_SECONDS(1));
    ASYNC_END;
}

static void zeroed_memory_is_a_free_one(void **s)
{
    (void)s;
    assert_int_equal(RUN(zeroed), ASYNC_ETIMEDOUT);
}

static void releasing_a_free_one_is_an_error(void **s)
{
    (void)s;
    async_lock_init(&lock);
    assert_int_equal(async_lock_release(&lock), ASYNC_ENOTACQUIRED);
    assert_string_equal(async_strerror(ASYNC_ENOTACQUIRED),
                        "Lock is not acquired.");
    assert_false(async_lock_locked(&lock));
    assert_int_equal(RUN(taker, "a"), 0);
    assert_int_equal(async_lock_release(&lock), 0); /* any task may */
    assert_int_equal(async_lock_release(&lock), ASYNC_ENOTACQUIRED);
    assert_said("a");
}

/* --- whose it is --------------------------------------------------------- */

struct barges { ASYNC_FRAME; };
static ASYNC(barges)
{
    ASYNC_BEGIN(barges);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    async_task_release(take("a"));
    async_task_release(take("b"));
    ASYNC_SUSPEND;
    async_lock_release(&lock);
    say("released"); /* nobody runs inside the call */
    assert_false(async_lock_locked(&lock));
    async_task_release(take("newcomer"));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("|");
    async_lock_release(&lock);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("|");
    async_lock_release(&lock);
    ASYNC_END;
}

static void a_newcomer_does_not_overtake_those_who_wait(void **s)
{
    (void)s;
    assert_int_equal(RUN(barges), 0);
    assert_said("released a | b | newcomer");
}

struct wants_it_back { ASYNC_FRAME; async_task *task; };
static ASYNC(wants_it_back)
{
    ASYNC_BEGIN(wants_it_back);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    self->task = async_create_task(CO(user, "waiter", 1));
    ASYNC_SUSPEND;
    async_lock_release(&lock);
    AWAIT(async_lock_acquire, &lock);
    say("main@%d", seconds());
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void
who_releases_it_and_wants_it_back_stands_behind_the_others(void **s)
{
    (void)s;
    assert_int_equal(RUN(wants_it_back), 0);
    assert_said("waiter@0 main@1");
}

struct twice { ASYNC_FRAME; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_lock_acquire, &lock);
    ASYNC_END;
}

static void who_holds_it_and_acquires_it_waits_for_itself(void **s)
{
    (void)s;
    assert_int_equal(RUN(twice), ASYNC_ETIMEDOUT);
    assert_true(async_lock_locked(&lock));
    assert_int_equal(async_lock_release(&lock), 0);
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    self->a = take("a");
    self->b = take("b");
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    async_lock_release(&lock); /* the first has yet to run, and passes it on */
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    assert_true(async_lock_locked(&lock));
    ASYNC_END;
}

static void one_that_is_cancelled_does_not_take_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("a:ASYNC_ECANCELED b");
}

struct cancels_woken { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(cancels_woken)
{
    ASYNC_BEGIN(cancels_woken);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    self->a = take("a");
    self->b = take("b");
    self->c = take("c");
    ASYNC_SUSPEND;
    async_lock_release(&lock); /* it is a's turn */
    async_task_cancel(self->a);
    async_task_cancel(self->b);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT_JOIN(self->c);
    ASYNC_END;
}

static void one_that_is_cancelled_in_its_turn_passes_it_on(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_woken), 0);
    assert_said("a:ASYNC_ECANCELED b:ASYNC_ECANCELED c");
}

struct cancels_only { ASYNC_FRAME; async_task *a; };
static ASYNC(cancels_only)
{
    ASYNC_BEGIN(cancels_only);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    self->a = take("a");
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    async_lock_release(&lock);
    AWAIT(async_lock_acquire, &lock);
    say("main");
    AWAIT_JOIN(self->a);
    assert_true(async_lock_locked(&lock));
    ASYNC_END;
}

static void nobody_queues_behind_those_that_are_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_only), 0);
    assert_said("main a:ASYNC_ECANCELED");
}

struct cancels_while_held { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels_while_held)
{
    ASYNC_BEGIN(cancels_while_held);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    self->a = take("a");
    self->b = take("b");
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    AWAIT_JOIN(self->a);
    ASYNC_SUSPEND;
    say("held");
    assert_true(async_lock_locked(&lock));
    async_lock_release(&lock);
    AWAIT_JOIN(self->b);
    ASYNC_END;
}

static void cancelling_one_who_waits_wakes_nobody_while_it_is_held(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_while_held), 0);
    assert_said("a:ASYNC_ECANCELED held b");
}

/* --- with ---------------------------------------------------------------- */

struct leaves { ASYNC_RETURNS(int); char how; int i; };
static ASYNC(leaves)
{
    ASYNC_BEGIN(leaves);
    for (self->i = 0; self->i < 2; self->i++) {
        ASYNC_WITH(async_lock, &lock) {
            assert_true(async_lock_locked(&lock));
            say("in%d", self->i);
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            assert_true(async_lock_locked(&lock));
            if (self->how == 'b') break;
            if (self->how == 'c') continue;
            if (self->how == 'r') ASYNC_RETURN(7);
            if (self->how == 'e') ASYNC_RAISE(EKEY);
            if (self->how == 'u') async_lock_release(&lock);
            if (self->how == 'U') {
                async_lock_release(&lock);
                ASYNC_RAISE(EKEY);
            }
        } ASYNC_END_WITH
        assert_false(async_lock_locked(&lock));
        say("end%d", self->i);
    }
    ASYNC_RETURN(self->i);
    ASYNC_END;
}
struct leaving { ASYNC_FRAME; char how; int n; };
static ASYNC(leaving)
{
    ASYNC_BEGIN(leaving);
    AWAIT_INTO(self->n, leaves, self->how);
    say("%d", self->n);
    ASYNC_END;
}

static void with_releases_it_on_every_way_out(void **s)
{
    (void)s;
    async_lock_init(&lock);
    assert_int_equal(RUN(leaving, 0), 0);
    assert_said("in0 end0 in1 end1 2");
    assert_int_equal(RUN(leaving, 'b'), 0);
    assert_said("in0 0");
    assert_int_equal(RUN(leaving, 'c'), 0);
    assert_said("in0 in1 2");
    assert_int_equal(RUN(leaving, 'r'), 0);
    assert_said("in0 7");
    assert_int_equal(RUN(leaving, 'e'), EKEY);
    assert_said("in0");
    assert_false(async_lock_locked(&lock));
}

static void with_raises_the_error_of_releasing_it(void **s)
{
    (void)s;
    async_lock_init(&lock);
    assert_int_equal(RUN(leaving, 'u'), ASYNC_ENOTACQUIRED);
    assert_said("in0");
    /* It takes the place of the one that was on its way. */
    assert_int_equal(RUN(leaving, 'U'), ASYNC_ENOTACQUIRED);
    assert_said("in0");
}

struct catches { ASYNC_FRAME; int error; };
static ASYNC(catches)
{
    ASYNC_BEGIN(catches);
    ASYNC_TRY {
        ASYNC_WITH(async_lock, &lock) {
            async_lock_release(&lock);
        } ASYNC_END_WITH
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s", async_error_name(self->error));
    } ASYNC_FINALLY {
        say("finally");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void the_error_of_releasing_it_can_be_caught_around_the_with(void **s)
{
    (void)s;
    async_lock_init(&lock);
    assert_int_equal(RUN(catches), 0);
    assert_said("ASYNC_ENOTACQUIRED finally");
}

struct cancels_user { ASYNC_FRAME; int held; async_task *task; };
static ASYNC(cancels_user)
{
    ASYNC_BEGIN(cancels_user);
    async_lock_init(&lock);
    if (self->held) AWAIT(async_lock_acquire, &lock);
    self->task = async_create_task(CO(user, "user", 100));
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT(joined, self->task);
    say("%d", async_lock_locked(&lock));
    ASYNC_END;
}

static void with_releases_it_when_it_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_user, .held = 0), 0);
    assert_said("user@0 0");
}

static void with_releases_nothing_when_acquiring_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_user, .held = 1), 0);
    assert_said("1");
}

/* --- elsewhere ----------------------------------------------------------- */

struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    ASYNC_BEGIN(by_hand);
    AWAIT(async_lock_acquire, &lock);
    say("acquired");
    AWAIT(async_lock_acquire, &lock);
    say("not reached");
    ASYNC_END;
}

static void driven_by_hand_it_may_acquire_but_not_wait(void **s)
{
    async co;
    (void)s;
    async_lock_init(&lock);
    assert_int_equal(async_new(&co, NULL, CO(by_hand)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    assert_int_equal(async_close(&co), 0);
    assert_said("acquired");
    assert_int_equal(async_lock_release(&lock), 0); /* nobody stands in line */
    assert_int_equal(RUN(taker, "next"), 0);
    assert_said("next");
}

ASYNC_STATIC_TASK(still, ASYNC_FRAMES(taker, async_lock_acquire));

struct waits_in_static_memory { ASYNC_FRAME; };
static ASYNC(waits_in_static_memory)
{
    ASYNC_BEGIN(waits_in_static_memory);
    async_lock_init(&lock);
    AWAIT(async_lock_acquire, &lock);
    assert_int_equal(
        async_task_start(&still, async_loop_of(co), CO(taker, "static")), 0);
    ASYNC_SUSPEND;
    async_lock_release(&lock);
    AWAIT_TASK(&still.task);
    ASYNC_END;
}

static void a_task_in_static_memory_waits_in_its_own_frame(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits_in_static_memory), 0);
    assert_said("static");
}

/* --- stress -------------------------------------------------------------- */

enum { WORKERS = 12, TURNS = 15 };
static int inside, turns;

/* Takes the lock again and again, whatever it is cancelled by. */
struct worker { ASYNC_FRAME; int i; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    for (self->i = 0; self->i < TURNS; self->i++) {
        ASYNC_TRY {
            ASYNC_WITH(async_lock, &lock) {
                assert_int_equal(inside++, 0);
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

static void it_is_never_lost_nor_held_twice_by_random_cancellations(void **s)
{
    uint32_t round;
    (void)s;
    for (round = 1; round <= 60; round++) {
        seed = round * 2654435761u;
        inside = turns = 0;
        async_lock_init(&lock);
        run_by_chance(round, CO(chaos));
        assert_int_equal(inside, 0);
        assert_in_range(turns, WORKERS, WORKERS * TURNS);
        assert_false(async_lock_locked(&lock));
        assert_int_equal(RUN(taker, "last"), 0);
        assert_said("last");
    }
}

UNIT_MAIN(TEST(one_at_a_time_has_it_in_order_of_arrival),
          TEST(a_free_one_is_taken_without_suspending),
          TEST(zeroed_memory_is_a_free_one),
          TEST(releasing_a_free_one_is_an_error),
          TEST(a_newcomer_does_not_overtake_those_who_wait),
          TEST(who_releases_it_and_wants_it_back_stands_behind_the_others),
          TEST(who_holds_it_and_acquires_it_waits_for_itself),
          TEST(one_that_is_cancelled_does_not_take_it),
          TEST(one_that_is_cancelled_in_its_turn_passes_it_on),
          TEST(nobody_queues_behind_those_that_are_cancelled),
          TEST(cancelling_one_who_waits_wakes_nobody_while_it_is_held),
          TEST(with_releases_it_on_every_way_out),
          TEST(with_raises_the_error_of_releasing_it),
          TEST(the_error_of_releasing_it_can_be_caught_around_the_with),
          TEST(with_releases_it_when_it_is_cancelled),
          TEST(with_releases_nothing_when_acquiring_is_cancelled),
          TEST(driven_by_hand_it_may_acquire_but_not_wait),
          TEST(a_task_in_static_memory_waits_in_its_own_frame),
          TEST(it_is_never_lost_nor_held_twice_by_random_cancellations))
