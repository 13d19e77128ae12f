/* The barrier. */
#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

static async_barrier barrier;

/* Comes after some seconds, and waits at the barrier so many times. */
struct party {
    ASYNC_FRAME;
    const char *name;
    int seconds, rounds;
    int i, error;
};
static ASYNC(party)
{
    ASYNC_BEGIN(party);
    AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    ASYNC_TRY {
        do {
            AWAIT_INTO(self->i, async_barrier_wait, &barrier);
            say("%s%d@%d", self->name, self->i, seconds());
        } while (--self->rounds > 0);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, async_error_name(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_task *come(const char *name)
{
    return async_create_task(CO(party, name));
}

/* --- waiting ------------------------------------------------------------- */

struct three { ASYNC_FRAME; int rounds; async_gathering all; };
static ASYNC(three)
{
    ASYNC_BEGIN(three);
    assert_int_equal(async_barrier_init(&barrier, 3), 0);
    AWAIT_GATHER(&self->all, CO(party, "a", 1, self->rounds),
                 CO(party, "b", 3, self->rounds),
                 CO(party, "c", 2, self->rounds));
    async_gather_clear(&self->all);
    assert_int_equal(async_barrier_n_waiting(&barrier), 0);
    assert_false(async_barrier_broken(&barrier));
    ASYNC_END;
}

static void all_go_on_when_the_last_has_come_who_does_so_first(void **s)
{
    (void)s;
    assert_int_equal(RUN(three, 1), 0);
    assert_said("b2@3 a0@3 c1@3");
}

static void it_can_be_used_again_at_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(three, 3), 0);
    /* Who comes back waits until the others have left. */
    assert_said("b2@3 a0@3 c1@3 a2@3 c0@3 b1@3 c2@3 b0@3 a1@3");
}

struct counts { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    assert_int_equal(async_barrier_init(&barrier, 3), 0);
    assert_int_equal(async_barrier_parties(&barrier), 3);
    assert_int_equal(async_barrier_n_waiting(&barrier), 0);
    self->a = come("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_barrier_n_waiting(&barrier), 1);
    self->b = come("b");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_barrier_n_waiting(&barrier), 2);
    AWAIT(async_barrier_wait, &barrier);
    assert_int_equal(async_barrier_n_waiting(&barrier), 0); /* it drains */
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    assert_int_equal(async_barrier_parties(&barrier), 3);
    ASYNC_END;
}

static void n_waiting_counts_those_who_wait_for_more_to_come(void **s)
{
    (void)s;
    assert_int_equal(RUN(counts), 0);
    assert_said("a0@2 b1@2");
}

struct alone { ASYNC_FRAME; int index; };
static ASYNC(alone)
{
    ASYNC_BEGIN(alone);
    self->index = -1;
    AWAIT_INTO(self->index, async_barrier_wait, &barrier);
    assert_int_equal(self->index, 0);
    AWAIT(async_barrier_wait, &barrier);
    ASYNC_END;
}

static void for_one_nobody_waits_not_even_driven_by_hand(void **s)
{
    async co;
    void *memory[100];
    (void)s;
    assert_int_equal(async_barrier_init(&barrier, 1), 0);
    assert_int_equal(RUN(alone), 0);
    assert_int_equal(async_init(&co, memory, sizeof memory, CO(alone)), 0);
    assert_int_equal(async_send(&co), 0);
}

static void it_takes_at_least_one(void **s)
{
    (void)s;
    assert_int_equal(async_barrier_init(&barrier, 0), ASYNC_EPARTIES);
    assert_int_equal(async_barrier_init(&barrier, -3), ASYNC_EPARTIES);
    assert_int_equal(async_barrier_parties(&barrier), 1); /* but can be used */
    assert_int_equal(RUN(alone), 0);
}

static void driven_by_hand_one_may_not_wait(void **s)
{
    async co;
    void *memory[100];
    (void)s;
    assert_int_equal(async_barrier_init(&barrier, 2), 0);
    assert_int_equal(async_init(&co, memory, sizeof memory, CO(alone)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    assert_int_equal(async_barrier_n_waiting(&barrier), 0);
}

/* --- breaking ------------------------------------------------------------ */

struct resets { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(resets)
{
    ASYNC_BEGIN(resets);
    assert_int_equal(async_barrier_init(&barrier, 3), 0);
    self->a = come("a");
    self->b = come("b");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(async_barrier_reset, &barrier);
    assert_int_equal(async_barrier_n_waiting(&barrier), 0);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    assert_false(async_barrier_broken(&barrier));
    AWAIT(three, 1); /* as good as new */
    ASYNC_END;
}

static void reset_sends_away_those_who_wait(void **s)
{
    (void)s;
    assert_int_equal(RUN(resets), 0);
    assert_said("a:ASYNC_EBROKENBARRIER b:ASYNC_EBROKENBARRIER "
                "b2@4 a0@4 c1@4");
}

struct comes_while_resetting { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(comes_while_resetting)
{
    ASYNC_BEGIN(comes_while_resetting);
    assert_int_equal(async_barrier_init(&barrier, 2), 0);
    self->a = come("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    self->b = come("b");
    self->c = come("c");
    AWAIT(async_barrier_reset, &barrier); /* a has yet to leave */
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT_JOIN(self->c);
    ASYNC_END;
}

static void who_comes_while_it_is_reset_waits_for_the_next_round(void **s)
{
    (void)s;
    assert_int_equal(RUN(comes_while_resetting), 0);
    assert_said("a:ASYNC_EBROKENBARRIER c1@1 b0@1");
}

struct aborts { ASYNC_FRAME; async_task *a; };
static ASYNC(aborts)
{
    ASYNC_BEGIN(aborts);
    assert_int_equal(async_barrier_init(&barrier, 2), 0);
    self->a = come("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(async_barrier_abort, &barrier);
    assert_true(async_barrier_broken(&barrier));
    assert_int_equal(async_barrier_n_waiting(&barrier), 0);
    AWAIT_JOIN(self->a);
    AWAIT(party, "late");
    assert_true(async_barrier_broken(&barrier));
    AWAIT(async_barrier_reset, &barrier);
    assert_false(async_barrier_broken(&barrier));
    self->a = come("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(party, "b");
    AWAIT_JOIN(self->a);
    ASYNC_END;
}

static void abort_breaks_it_until_it_is_reset(void **s)
{
    (void)s;
    assert_int_equal(RUN(aborts), 0);
    assert_said("a:ASYNC_EBROKENBARRIER late:ASYNC_EBROKENBARRIER b1@2 a0@2");
    assert_string_equal(async_strerror(ASYNC_EBROKENBARRIER),
                        "Abort or reset of barrier");
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    assert_int_equal(async_barrier_init(&barrier, 2), 0);
    self->a = come("a");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_task_cancel(self->a);
    AWAIT_JOIN(self->a);
    assert_int_equal(async_barrier_n_waiting(&barrier), 0);
    assert_false(async_barrier_broken(&barrier));
    self->b = come("b");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("|"); /* one is not enough */
    AWAIT(party, "c");
    AWAIT_JOIN(self->b);
    ASYNC_END;
}

static void one_that_is_cancelled_is_counted_no_more(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("a:ASYNC_ECANCELED | c1@2 b0@2");
}

struct cancels_draining { ASYNC_FRAME; async_task *a, *b; };
static ASYNC(cancels_draining)
{
    ASYNC_BEGIN(cancels_draining);
    assert_int_equal(async_barrier_init(&barrier, 3), 0);
    self->a = come("a");
    self->b = come("b");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT(party, "c");
    async_task_cancel(self->a); /* it may go on, but has not */
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT(three, 1);
    ASYNC_END;
}

static void one_that_is_cancelled_when_all_are_there_keeps_nobody(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_draining), 0);
    assert_said("c2@1 a:ASYNC_ECANCELED b1@1 b2@4 a0@4 c1@4");
}

UNIT_MAIN(TEST(all_go_on_when_the_last_has_come_who_does_so_first),
          TEST(it_can_be_used_again_at_once),
          TEST(n_waiting_counts_those_who_wait_for_more_to_come),
          TEST(for_one_nobody_waits_not_even_driven_by_hand),
          TEST(it_takes_at_least_one), TEST(driven_by_hand_one_may_not_wait),
          TEST(reset_sends_away_those_who_wait),
          TEST(who_comes_while_it_is_reset_waits_for_the_next_round),
          TEST(abort_breaks_it_until_it_is_reset),
          TEST(one_that_is_cancelled_is_counted_no_more),
          TEST(one_that_is_cancelled_when_all_are_there_keeps_nobody))
