/* Capacity limiters. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/limiter.h"

#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

static ASYNC_LIMITER(3) tokens;
#define LIMITER (&tokens.limiter)

struct user { ASYNC_FRAME; const char *name; int seconds, error; };
static ASYNC(user)
{
    ASYNC_BEGIN(user);
    ASYNC_TRY {
        ASYNC_WITH(async_limiter, LIMITER) {
            say("%s@%d", self->name, seconds());
            AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
        } ASYNC_END_WITH
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, async_error_name(self->error) + 6);
    } ASYNC_END_TRY
    ASYNC_END;
}
static async_task *use(const char *name, int n)
{
    return async_create_task(CO(user, name, n));
}

/* --- borrowing ----------------------------------------------------------- */

struct users { ASYNC_FRAME; async_gathering all; };
static ASYNC(users)
{
    ASYNC_BEGIN(users);
    ASYNC_LIMITER_INIT(&tokens, 2);
    AWAIT_GATHER(&self->all, CO(user, "a", 1), CO(user, "b", 3),
                 CO(user, "c", 1), CO(user, "d", 2), CO(user, "e", 1));
    async_gather_clear(&self->all);
    say("%ld %ld %ld", async_limiter_total_tokens(LIMITER),
        async_limiter_borrowed_tokens(LIMITER),
        async_limiter_available_tokens(LIMITER));
    ASYNC_END;
}

static void as_many_as_there_are_tokens_have_one_in_order_of_arrival(void **s)
{
    (void)s;
    assert_int_equal(RUN(users), 0);
    assert_said("a@0 b@0 c@1 d@2 e@3 2 0 2");
}

struct twice { ASYNC_FRAME; int error; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    ASYNC_LIMITER_INIT(&tokens, 3);
    AWAIT(async_limiter_acquire, LIMITER);
    assert_true(async_limiter_is_borrower(LIMITER, async_current_task()));
    AWAIT_CATCH(self->error, async_limiter_acquire, LIMITER);
    say("%s", async_error_name(self->error));
    assert_int_equal(async_limiter_acquire_nowait(LIMITER), ASYNC_EBORROWED);
    assert_int_equal(async_limiter_release(LIMITER), 0);
    assert_int_equal(async_limiter_release(LIMITER), ASYNC_ENOTBORROWED);
    assert_int_equal(async_limiter_acquire_nowait(LIMITER), 0);
    assert_int_equal(async_limiter_borrowed_tokens(LIMITER), 1);
    assert_int_equal(async_limiter_release(LIMITER), 0);
    ASYNC_END;
}

static void a_borrower_has_one_token_and_gives_it_back_itself(void **s)
{
    (void)s;
    assert_int_equal(RUN(twice), 0);
    assert_said("ASYNC_EBORROWED");
}

struct on_behalf { ASYNC_FRAME; int borrowers[3], error; async_task *task; };
static ASYNC(on_behalf)
{
    ASYNC_BEGIN(on_behalf);
    ASYNC_LIMITER_INIT(&tokens, 1);
    AWAIT(async_limiter_acquire, LIMITER, &self->borrowers[0]);
    assert_int_equal(async_limiter_acquire_on_behalf_of_nowait(
                         LIMITER, &self->borrowers[1]),
                     ASYNC_EWOULDBLOCK);
    assert_int_equal(async_limiter_release(LIMITER), ASYNC_ENOTBORROWED);
    self->task = async_create_task(
        CO(async_limiter_acquire, LIMITER, &self->borrowers[1]));
    ASYNC_SUSPEND;
    /* One that waits for one already. */
    AWAIT_CATCH(self->error, async_limiter_acquire, LIMITER,
                &self->borrowers[1]);
    assert_int_equal(self->error, ASYNC_EBORROWED);
    assert_int_equal(async_limiter_tasks_waiting(LIMITER), 1);
    async_limiter_release_on_behalf_of(LIMITER, &self->borrowers[0]);
    assert_true(async_limiter_is_borrower(LIMITER, &self->borrowers[1]));
    AWAIT_JOIN(self->task);
    assert_int_equal(
        async_limiter_release_on_behalf_of(LIMITER, &self->borrowers[1]), 0);
    assert_int_equal(async_limiter_borrowed_tokens(LIMITER), 0);
    ASYNC_END;
}

static void anything_may_be_a_borrower(void **s)
{
    (void)s;
    assert_int_equal(RUN(on_behalf), 0);
}

struct barges { ASYNC_FRAME; async_task *task; };
static ASYNC(barges)
{
    ASYNC_BEGIN(barges);
    ASYNC_LIMITER_INIT(&tokens, 1);
    AWAIT(async_limiter_acquire, LIMITER);
    self->task = use("waiter", 1);
    ASYNC_SUSPEND;
    async_limiter_release(LIMITER);
    /* It belongs to who waits, even before that runs. */
    assert_int_equal(async_limiter_acquire_nowait(LIMITER), ASYNC_EWOULDBLOCK);
    AWAIT(async_limiter_acquire, LIMITER);
    say("main@%d", seconds());
    async_limiter_release(LIMITER);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void a_token_that_is_given_back_belongs_to_who_waits(void **s)
{
    (void)s;
    assert_int_equal(RUN(barges), 0);
    assert_said("waiter@0 main@1");
}

/* --- how many there are -------------------------------------------------- */

struct changes { ASYNC_FRAME; async_task *tasks[5]; int i; };
static ASYNC(changes)
{
    ASYNC_BEGIN(changes);
    ASYNC_LIMITER_INIT(&tokens, 1);
    self->tasks[0] = use("a", 4);
    self->tasks[1] = use("b", 4);
    self->tasks[2] = use("c", 4);
    self->tasks[3] = use("d", 4);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_limiter_set_total_tokens(LIMITER, 3), 0);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_limiter_set_total_tokens(LIMITER, 1), 0);
    say("%ld", async_limiter_available_tokens(LIMITER));
    for (; self->i < 4; self->i++) AWAIT_JOIN(self->tasks[self->i]);
    ASYNC_END;
}

static void their_number_may_be_changed_at_any_time(void **s)
{
    (void)s;
    assert_int_equal(RUN(changes), 0);
    assert_said("a@0 b@1 c@1 -2 d@5");
}

static void there_is_at_least_one_and_no_more_than_places(void **s)
{
    (void)s;
    assert_int_equal(ASYNC_LIMITER_INIT(&tokens, 3), 0);
    assert_int_equal(ASYNC_LIMITER_INIT(&tokens, 4), ASYNC_ETOTALTOKENS);
    assert_int_equal(async_limiter_total_tokens(LIMITER), 3);
    assert_int_equal(ASYNC_LIMITER_INIT(&tokens, 0), ASYNC_ETOTALTOKENS);
    assert_int_equal(async_limiter_set_total_tokens(LIMITER, 1), 0);
    assert_int_equal(async_limiter_set_total_tokens(LIMITER, 0),
                     ASYNC_ETOTALTOKENS);
    assert_int_equal(async_limiter_total_tokens(LIMITER), 1);
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; async_task *a, *b, *c; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    ASYNC_LIMITER_INIT(&tokens, 1);
    AWAIT(async_limiter_acquire, LIMITER);
    self->a = use("a", 1);
    self->b = use("b", 1);
    self->c = use("c", 1);
    ASYNC_SUSPEND;
    async_task_cancel(self->a); /* while it waits */
    async_limiter_release(LIMITER);
    async_task_cancel(self->b); /* when it has been given one */
    AWAIT(joined, self->a);
    AWAIT(joined, self->b);
    AWAIT(joined, self->c);
    say("%ld", async_limiter_borrowed_tokens(LIMITER));
    ASYNC_END;
}

static void cancelled_it_takes_nothing_and_the_next_one_gets_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("a:ECANCELED b:ECANCELED c@0 0");
}

static int inside;
struct by_chance_user { ASYNC_FRAME; int i; };
static ASYNC(by_chance_user)
{
    ASYNC_BEGIN(by_chance_user);
    for (; self->i < 5; self->i++) {
        ASYNC_TRY {
            ASYNC_WITH(async_limiter, LIMITER) {
                assert_true(++inside <= 3);
                ASYNC_TRY {
                    AWAIT(async_sleep, chance(3));
                } ASYNC_FINALLY {
                    inside--;
                } ASYNC_END_TRY
            } ASYNC_END_WITH
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
    }
    ASYNC_END;
}
struct by_chance { ASYNC_FRAME; async_task *tasks[6]; int i; };
static ASYNC(by_chance)
{
    ASYNC_BEGIN(by_chance);
    ASYNC_LIMITER_INIT(&tokens, 2);
    for (self->i = 0; self->i < 6; self->i++)
        self->tasks[self->i] = async_create_task(CO(by_chance_user));
    for (self->i = 0; self->i < 30; self->i++) {
        AWAIT(async_sleep, chance(2));
        async_task_cancel(self->tasks[chance(6)]);
        async_limiter_set_total_tokens(LIMITER, 1 + chance(3));
    }
    for (self->i = 0; self->i < 6; self->i++)
        AWAIT(joined, self->tasks[self->i]);
    assert_int_equal(async_limiter_borrowed_tokens(LIMITER), 0);
    assert_int_equal(async_limiter_tasks_waiting(LIMITER), 0);
    ASYNC_END;
}

static void by_chance_no_token_is_lost_or_made(void **s)
{
    uint32_t round;
    (void)s;
    for (round = 1; round <= 400; round++) {
        seed = round * 2654435761u;
        run_by_chance(round, CO(by_chance));
        assert_int_equal(inside, 0);
    }
}

/* --- what cannot be ------------------------------------------------------ */

struct alone { ASYNC_FRAME; const void *borrower; };
static ASYNC(alone)
{
    ASYNC_BEGIN(alone);
    AWAIT(async_limiter_acquire, LIMITER, self->borrower);
    say("has it");
    ASYNC_END;
}

static void outside_a_task_it_needs_a_borrower_and_cannot_wait(void **s)
{
    void *memory[64];
    async co;
    (void)s;
    ASYNC_LIMITER_INIT(&tokens, 1);
    assert_int_equal(async_limiter_acquire_nowait(LIMITER), ASYNC_ENOTASK);
    assert_int_equal(async_limiter_release(LIMITER), ASYNC_ENOTBORROWED);
    async_init(&co, memory, sizeof memory, CO(alone, NULL));
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    async_close(&co);
    async_init(&co, memory, sizeof memory, CO(alone, memory));
    assert_int_equal(async_send(&co), 0);
    async_close(&co);
    async_init(&co, memory, sizeof memory, CO(alone, &co));
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    async_close(&co);
    assert_int_equal(async_limiter_tasks_waiting(LIMITER), 0);
    assert_said("has it");
}

UNIT_MAIN(TEST(as_many_as_there_are_tokens_have_one_in_order_of_arrival),
          TEST(a_borrower_has_one_token_and_gives_it_back_itself),
          TEST(anything_may_be_a_borrower),
          TEST(a_token_that_is_given_back_belongs_to_who_waits),
          TEST(their_number_may_be_changed_at_any_time),
          TEST(there_is_at_least_one_and_no_more_than_places),
          TEST(cancelled_it_takes_nothing_and_the_next_one_gets_it),
          TEST(by_chance_no_token_is_lost_or_made),
          TEST(outside_a_task_it_needs_a_borrower_and_cannot_wait))
