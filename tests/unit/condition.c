/* The condition. */
#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

static async_condition condition;

/* Waits once, whatever comes of it, and says whether it holds the lock then. */
struct waiter { ASYNC_FRAME; const char *name; int error; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    ASYNC_WITH(async_condition, &condition) {
        ASYNC_TRY {
            AWAIT(async_condition_wait, &condition);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
        say("%s%s%s", self->name, self->error ? ":" : "",
            self->error ? async_error_name(self->error) : "");
        assert_true(async_condition_locked(&condition));
        AWAIT(async_sleep, ASYNC_MS(1)); /* nobody comes in meanwhile */
        say("%s.", self->name);
    } ASYNC_END_WITH
    ASYNC_END;
}

static async_task *wait(const char *name)
{
    return async_create_task(CO(waiter, name));
}

/* Notifies, holding the lock. */
struct notify { ASYNC_FRAME; int n; };
static ASYNC(notify)
{
    ASYNC_BEGIN(notify);
    ASYNC_WITH(async_condition, &condition) {
        if (self->n < 0)
            assert_int_equal(async_condition_notify_all(&condition), 0);
        else
            assert_int_equal(
                async_condition_notify(&condition, (size_t)self->n), 0);
        say("notified");
    } ASYNC_END_WITH
    ASYNC_END;
}

/* --- notifying ----------------------------------------------------------- */

struct three { ASYNC_FRAME; int first, second; async_gathering all; };
static ASYNC(three)
{
    ASYNC_BEGIN(three);
    async_condition_init(&condition, NULL);
    async_gather_add(&self->all, CO(waiter, "a"));
    async_gather_add(&self->all, CO(waiter, "b"));
    async_gather_add(&self->all, CO(waiter, "c"));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(notify, self->first);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(notify, self->second);
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    assert_false(async_condition_locked(&condition));
    ASYNC_END;
}

static void notify_wakes_so_many_in_order_and_one_after_the_other(void **s)
{
    (void)s;
    assert_int_equal(RUN(three, 1, 2), 0);
    assert_said("notified a a. notified b b. c c.");
    assert_int_equal(RUN(three, 2, 5), 0);
    assert_said("notified a a. b b. notified c c.");
    assert_int_equal(RUN(three, 0, 3), 0);
    assert_said("notified notified a a. b b. c c.");
}

static void notify_all_wakes_all(void **s)
{
    (void)s;
    assert_int_equal(RUN(three, -1, -1), 0);
    assert_said("notified a a. b b. c c. notified");
}

struct notifies_early { ASYNC_FRAME; async_task *task; };
static ASYNC(notifies_early)
{
    ASYNC_BEGIN(notifies_early);
    async_condition_init(&condition, NULL);
    AWAIT(notify, 1);
    self->task = wait("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("|");
    AWAIT(notify, 1);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void a_notification_with_nobody_waiting_is_not_remembered(void **s)
{
    (void)s;
    assert_int_equal(RUN(notifies_early), 0);
    assert_said("notified | notified a a.");
}

struct holds_on { ASYNC_FRAME; async_task *task; };
static ASYNC(holds_on)
{
    ASYNC_BEGIN(holds_on);
    async_condition_init(&condition, NULL);
    self->task = wait("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_condition, &condition) {
        async_condition_notify(&condition, 1);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("released@%d", seconds());
    } ASYNC_END_WITH
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void one_that_is_notified_waits_for_the_lock(void **s)
{
    (void)s;
    assert_int_equal(RUN(holds_on), 0);
    assert_said("released@2 a a.");
}

/* --- the lock ------------------------------------------------------------ */

struct unlocked { ASYNC_FRAME; int error; };
static ASYNC(unlocked)
{
    ASYNC_BEGIN(unlocked);
    async_condition_init(&condition, NULL);
    say("%s", async_strerror(async_condition_notify(&condition, 1)));
    say("%s", async_strerror(async_condition_notify_all(&condition)));
    AWAIT_CATCH(self->error, async_condition_wait, &condition);
    say("%s", async_strerror(self->error));
    say("%s", async_strerror(async_condition_release(&condition)));
    assert_int_equal(self->error, ASYNC_EWAITUNLOCKED);
    assert_false(async_condition_locked(&condition));
    ASYNC_END;
}

static void
without_the_lock_one_may_neither_wait_nor_notify_nor_release(void **s)
{
    (void)s;
    assert_int_equal(RUN(unlocked), 0);
    assert_said("cannot notify on un-acquired lock "
                "cannot notify on un-acquired lock "
                "cannot wait on un-acquired lock Lock is not acquired.");
}

struct shares {
    ASYNC_FRAME;
    async_lock lock;
    async_condition other;
    async_task *task;
};
static ASYNC(shares)
{
    ASYNC_BEGIN(shares);
    async_lock_init(&self->lock);
    async_condition_init(&condition, &self->lock);
    async_condition_init(&self->other, &self->lock);
    self->task = wait("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_lock, &self->lock) {
        assert_true(async_condition_locked(&condition));
        assert_int_equal(async_condition_notify(&self->other, 1), 0);
        AWAIT(async_sleep, 0);
    } ASYNC_END_WITH
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("|"); /* that was the other's */
    ASYNC_WITH(async_condition, &self->other) {
        assert_int_equal(async_condition_notify(&condition, 1), 0);
    } ASYNC_END_WITH
    AWAIT_JOIN(self->task);
    assert_false(async_lock_locked(&self->lock));
    ASYNC_END;
}

static void several_may_share_a_lock(void **s)
{
    (void)s;
    assert_int_equal(RUN(shares), 0);
    assert_said("| a a.");
}

struct zeroed { ASYNC_FRAME; async_condition condition; };
static ASYNC(zeroed)
{
    ASYNC_BEGIN(zeroed);
    assert_false(async_condition_locked(&self->condition));
    ASYNC_WITH(async_condition, &self->condition) {
        assert_int_equal(async_condition_notify_all(&self->condition), 0);
        AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_condition_wait,
                       &self->condition);
    } ASYNC_END_WITH
    ASYNC_END;
}

static void zeroed_memory_is_one_with_a_lock_of_its_own(void **s)
{
    (void)s;
    assert_int_equal(RUN(zeroed), ASYNC_ETIMEDOUT);
}

/* --- wait_for ------------------------------------------------------------ */

static int count;
static int enough(void *wanted)
{
    assert_true(async_condition_locked(&condition));
    say("?%d", count);
    return count >= *(const int *)wanted ? count : 0;
}

struct consumer { ASYNC_FRAME; int wanted, got; };
static ASYNC(consumer)
{
    ASYNC_BEGIN(consumer);
    ASYNC_WITH(async_condition, &condition) {
        AWAIT_INTO(self->got, async_condition_wait_for, &condition, enough,
                   &self->wanted);
        say("got%d", self->got);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct produces { ASYNC_FRAME; async_task *task; };
static ASYNC(produces)
{
    ASYNC_BEGIN(produces);
    async_condition_init(&condition, NULL);
    count = 0;
    self->task = async_create_task(CO(consumer, 3));
    for (; count < 4; count += 2) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        AWAIT(notify, 1);
    }
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(notify, 1);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void wait_for_asks_at_first_and_after_each_notification(void **s)
{
    (void)s;
    assert_int_equal(RUN(produces), 0);
    /* It asks when it has the lock, and that is when the count has grown. */
    assert_said("?0 notified ?2 notified ?4 got4 notified");
}

struct holds_already { ASYNC_FRAME; };
static ASYNC(holds_already)
{
    ASYNC_BEGIN(holds_already);
    async_condition_init(&condition, NULL);
    count = 7;
    AWAIT(consumer, 5);
    ASYNC_END;
}

static void wait_for_does_not_wait_for_what_is_so(void **s)
{
    (void)s;
    assert_int_equal(RUN(holds_already), 0);
    assert_said("?7 got7");
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; int times; async_task *task; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    async_condition_init(&condition, NULL);
    self->task = wait("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_condition, &condition) {
        for (; self->times > 0; self->times--) {
            async_task_cancel(self->task);
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            say("held");
        }
    } ASYNC_END_WITH
    AWAIT(joined, self->task);
    assert_false(async_condition_locked(&condition));
    ASYNC_END;
}

static void one_that_is_cancelled_has_the_lock_when_it_learns_of_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, 1), 0);
    assert_said("held a:ASYNC_ECANCELED a.");
}

static void however_often_it_is_cancelled_meanwhile(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, 3), 0);
    assert_said("held held held a:ASYNC_ECANCELED a.");
}

struct cancels_notified { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels_notified)
{
    ASYNC_BEGIN(cancels_notified);
    async_condition_init(&condition, NULL);
    self->a = wait("a");
    self->b = wait("b");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_condition, &condition) {
        async_condition_notify(&condition, 1);
        async_task_cancel(self->a);
        ASYNC_SUSPEND;
    } ASYNC_END_WITH
    AWAIT(joined, self->a);
    AWAIT(joined, self->b);
    ASYNC_END;
}

static void one_that_is_cancelled_when_notified_notifies_the_next(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_notified), 0);
    assert_said("a:ASYNC_ECANCELED a. b b.");
}

struct cancels_reacquiring { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels_reacquiring)
{
    ASYNC_BEGIN(cancels_reacquiring);
    async_condition_init(&condition, NULL);
    self->a = wait("a");
    self->b = wait("b");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_condition, &condition) {
        async_condition_notify(&condition, 1);
        AWAIT(async_sleep, ASYNC_SECONDS(1)); /* a waits for the lock */
        async_task_cancel(self->a);
    } ASYNC_END_WITH
    AWAIT(joined, self->a);
    AWAIT(joined, self->b);
    ASYNC_END;
}

static void and_so_does_one_that_waits_for_the_lock_by_then(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_reacquiring), 0);
    assert_said("a:ASYNC_ECANCELED a. b b.");
}

struct waits_briefly { ASYNC_FRAME; int error; };
static ASYNC(waits_briefly)
{
    ASYNC_BEGIN(waits_briefly);
    async_condition_init(&condition, NULL);
    ASYNC_WITH(async_condition, &condition) {
        AWAIT_CATCH(self->error, async_wait_for,
                    CO(async_condition_wait, &condition), ASYNC_SECONDS(1));
        say("%s@%d", async_error_name(self->error), seconds());
        assert_true(async_condition_locked(&condition));
    } ASYNC_END_WITH
    ASYNC_END;
}

static void a_limit_in_time_leaves_with_the_lock(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits_briefly), 0);
    assert_said("ASYNC_ETIMEDOUT@1");
}

struct cancels_waiting_for_one { ASYNC_FRAME; async_task *task; };
static ASYNC(cancels_waiting_for_one)
{
    ASYNC_BEGIN(cancels_waiting_for_one);
    async_condition_init(&condition, NULL);
    count = 0;
    self->task = async_create_task(CO(consumer, 3));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->task);
    AWAIT(joined, self->task);
    assert_false(async_condition_locked(&condition));
    say("left");
    ASYNC_END;
}

static void
with_around_a_wait_that_is_cancelled_releases_the_lock_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_waiting_for_one), 0);
    assert_said("?0 left");
}

/* --- with ---------------------------------------------------------------- */

struct leaves { ASYNC_RETURNS(int); char how; int i; };
static ASYNC(leaves)
{
    ASYNC_BEGIN(leaves);
    for (self->i = 0; self->i < 2; self->i++) {
        ASYNC_WITH(async_condition, &condition) {
            assert_true(async_condition_locked(&condition));
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            if (self->how == 'b') break;
            if (self->how == 'c') continue;
            if (self->how == 'r') ASYNC_RETURN(7);
            if (self->how == 'e') ASYNC_RAISE(EKEY);
        } ASYNC_END_WITH
        assert_false(async_condition_locked(&condition));
        say("end%d", self->i);
    }
    ASYNC_RETURN(self->i);
    ASYNC_END;
}

static void with_releases_the_lock_on_every_way_out(void **s)
{
    static const struct {
        char how;
        int result;
        const char *story;
    } ways[] = { { 0, 0, "end0 end1" },
                 { 'b', 0, "" },
                 { 'c', 0, "" },
                 { 'r', 0, "" },
                 { 'e', EKEY, "" } };
    size_t i;
    (void)s;
    async_condition_init(&condition, NULL);
    for (i = 0; i < sizeof ways / sizeof *ways; i++) {
        assert_int_equal(RUN(leaves, ways[i].how), ways[i].result);
        assert_said(ways[i].story);
        assert_false(async_condition_locked(&condition));
    }
}

/* --- elsewhere ----------------------------------------------------------- */

static void driven_by_hand_one_may_not_wait_and_keeps_the_lock(void **s)
{
    async co;
    void *memory[100];
    (void)s;
    async_condition_init(&condition, NULL);
    assert_int_equal(async_init(&co, memory, sizeof memory,
                                CO(async_condition_acquire, &condition)),
                     0);
    assert_int_equal(async_send(&co), 0);
    assert_int_equal(async_init(&co, memory, sizeof memory,
                                CO(async_condition_wait, &condition)),
                     0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    assert_true(async_condition_locked(&condition));
    assert_int_equal(async_condition_notify(&condition, 1), 0);
}

struct drives_one { ASYNC_FRAME; async_task *task; };
static ASYNC(drives_one)
{
    ASYNC_BEGIN(drives_one);
    async_condition_init(&condition, NULL);
    AWAIT(async_condition_acquire, &condition);
    self->task = async_create_task(CO(notify, 1));
    ASYNC_SUSPEND; /* it stands in line for the lock */
    {
        async by_hand;
        void *memory[100];
        assert_int_equal(async_init(&by_hand, memory, sizeof memory,
                                    CO(async_condition_wait, &condition)),
                         0);
        assert_int_equal(async_send(&by_hand), ASYNC_ENOTASK);
        assert_true(async_condition_locked(&condition));
    }
    ASYNC_SUSPEND;
    say("released");
    async_condition_release(&condition);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void nor_does_it_give_up_the_lock_to_who_waits_for_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(drives_one), 0);
    assert_said("released notified");
}

ASYNC_STATIC_TASK(still, ASYNC_FRAMES(waiter, async_condition_acquire,
                                      async_lock_acquire));

struct waits_in_static_memory { ASYNC_FRAME; };
static ASYNC(waits_in_static_memory)
{
    ASYNC_BEGIN(waits_in_static_memory);
    async_condition_init(&condition, NULL);
    assert_int_equal(
        async_task_start(&still, async_loop_of(co), CO(waiter, "static")), 0);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_condition, &condition) {
        async_condition_notify(&condition, 1);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_END_WITH
    AWAIT_TASK(&still.task);
    ASYNC_END;
}

static void it_takes_the_lock_again_without_further_memory(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits_in_static_memory), 0);
    assert_said("static static.");
}

/* --- stress -------------------------------------------------------------- */

enum { WORKERS = 10, ITEMS = 40 };
static int items, taken;

static int has_items(void *argument)
{
    (void)argument;
    return items;
}

/* Takes items until it is cancelled for good. */
struct taker { ASYNC_FRAME; int *finished; };
static ASYNC(taker)
{
    ASYNC_BEGIN(taker);
    while (!*self->finished) {
        ASYNC_TRY {
            ASYNC_WITH(async_condition, &condition) {
                AWAIT(async_condition_wait_for, &condition, has_items);
                assert_true(async_condition_locked(&condition));
                items--;
                taken++;
            } ASYNC_END_WITH
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
    }
    ASYNC_END;
}
struct chaos {
    ASYNC_FRAME;
    async_task *takers[WORKERS];
    int i, made, finished;
};
static ASYNC(chaos)
{
    ASYNC_BEGIN(chaos);
    for (self->i = 0; self->i < WORKERS; self->i++)
        self->takers[self->i] = async_create_task(CO(taker, &self->finished));
    for (self->made = 0; self->made < ITEMS; self->made++) {
        ASYNC_WITH(async_condition, &condition) {
            items++;
            async_condition_notify(&condition, 1);
            AWAIT(async_sleep, chance(3));
        } ASYNC_END_WITH
        for (self->i = 0; self->i < WORKERS; self->i++)
            if (chance(5) == 0) async_task_cancel(self->takers[self->i]);
        AWAIT(async_sleep, chance(3));
    }
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    /* None was left lying while somebody waited. */
    assert_int_equal(items, 0);
    self->finished = 1;
    for (self->i = 0; self->i < WORKERS; self->i++) {
        async_task_cancel(self->takers[self->i]);
        AWAIT(joined, self->takers[self->i]); /* it may never have begun */
    }
    ASYNC_END;
}

static void no_notification_is_lost_by_random_cancellations(void **s)
{
    uint32_t round;
    (void)s;
    for (round = 1; round <= 60; round++) {
        seed = round * 2654435761u;
        items = taken = 0;
        async_condition_init(&condition, NULL);
        run_by_chance(round, CO(chaos));
        assert_int_equal(taken, ITEMS);
        assert_false(async_condition_locked(&condition));
    }
}

UNIT_MAIN(TEST(notify_wakes_so_many_in_order_and_one_after_the_other),
          TEST(notify_all_wakes_all),
          TEST(a_notification_with_nobody_waiting_is_not_remembered),
          TEST(one_that_is_notified_waits_for_the_lock),
          TEST(without_the_lock_one_may_neither_wait_nor_notify_nor_release),
          TEST(several_may_share_a_lock),
          TEST(zeroed_memory_is_one_with_a_lock_of_its_own),
          TEST(wait_for_asks_at_first_and_after_each_notification),
          TEST(wait_for_does_not_wait_for_what_is_so),
          TEST(one_that_is_cancelled_has_the_lock_when_it_learns_of_it),
          TEST(however_often_it_is_cancelled_meanwhile),
          TEST(one_that_is_cancelled_when_notified_notifies_the_next),
          TEST(and_so_does_one_that_waits_for_the_lock_by_then),
          TEST(a_limit_in_time_leaves_with_the_lock),
          TEST(with_around_a_wait_that_is_cancelled_releases_the_lock_once),
          TEST(with_releases_the_lock_on_every_way_out),
          TEST(driven_by_hand_one_may_not_wait_and_keeps_the_lock),
          TEST(nor_does_it_give_up_the_lock_to_who_waits_for_it),
          TEST(it_takes_the_lock_again_without_further_memory),
          TEST(no_notification_is_lost_by_random_cancellations))
