/* Select. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async/queue.h"
#include "../../async/scope.h"
#include "../../async/select.h"

#include <stdlib.h>

#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

/* Takes some seconds, and returns them or raises; cancelled, it takes
 * `cleanup` seconds, and may then return all the same. */
struct work {
    ASYNC_RETURNS(int);
    const char *name;
    int seconds, error, cleanup, stubborn;
};
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
        if (self->error) ASYNC_RAISE(self->error);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        AWAIT(async_sleep, ASYNC_SECONDS(self->cleanup));
        say("%s:cleaned@%d", self->name, seconds());
        if (!self->stubborn) ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_RETURN(self->seconds);
    ASYNC_END;
}

/* --- the first ----------------------------------------------------------- */

struct races { ASYNC_FRAME; async_selection race; size_t who; };
static ASYNC(races)
{
    ASYNC_BEGIN(races);
    AWAIT_SELECT_INTO(self->who, &self->race, CO(work, "a", 3),
                      CO(work, "b", 1), CO(work, "c", 2, 0, 4));
    say("%d:%d@%d", (int)self->who,
        ASYNC_SELECTED(&self->race, self->who, work), seconds());
    assert_int_equal(async_select_winner(&self->race), self->who);
    assert_int_equal(async_select_error(&self->race, 0), ASYNC_ECANCELED);
    assert_int_equal(async_select_error(&self->race, 1), 0);
    /* Adding to one that is over begins anew. */
    AWAIT_SELECT_INTO(self->who, &self->race, CO(work, "d", 1));
    say("%d@%d", (int)self->who, seconds());
    async_select_clear(&self->race);
    ASYNC_END;
}

static void the_first_wins_and_the_others_have_ended_when_it_returns(void **s)
{
    (void)s;
    assert_int_equal(RUN(races), 0);
    assert_said("a:cleaned@1 c:cleaned@5 1:1@5 0@6");
}

struct done_before {
    ASYNC_FRAME;
    async_selection race;
    async_task *task;
    async_future future;
    size_t who;
};
static ASYNC(done_before)
{
    ASYNC_BEGIN(done_before);
    async_future_init(&self->future, async_loop_of(co));
    async_future_set_result(&self->future);
    self->task = async_create_task(CO(work, "task", 5));
    AWAIT_SELECT_INTO(self->who, &self->race, async_task_object(self->task),
                      async_future_object(&self->future), CO(work, "co", 5));
    /* They take their first step before it is heard of. */
    say("%d@%d %d", (int)self->who, seconds(),
        async_task_cancelled(self->task));
    async_select_clear(&self->race);
    async_task_release(self->task);
    async_future_destroy(&self->future);
    ASYNC_END;
}

static void tasks_and_futures_take_part_and_one_may_be_done_before(void **s)
{
    (void)s;
    assert_int_equal(RUN(done_before), 0);
    assert_said("task:cleaned@0 co:cleaned@0 1@0 1");
}

struct ties { ASYNC_FRAME; async_selection race; size_t who; int n[2]; };
static ASYNC_QUEUE(int, 2) queue;
static int put_two(void *unused)
{
    (void)unused;
    ASYNC_QUEUE_PUT_NOWAIT(&queue, 1);
    return ASYNC_QUEUE_PUT_NOWAIT(&queue, 2);
}
static ASYNC(ties)
{
    ASYNC_BEGIN(ties);
    ASYNC_QUEUE_INIT(&queue);
    async_loop_call_later(async_loop_of(co), NULL, ASYNC_SECONDS(1), put_two,
                          NULL);
    AWAIT_SELECT_INTO(self->who, &self->race,
                      CO(ASYNC_QUEUE_GET(&queue, &self->n[0])),
                      CO(ASYNC_QUEUE_GET(&queue, &self->n[1])));
    say("%d %d,%d %d,%d", (int)self->who, self->n[0], self->n[1],
        async_select_error(&self->race, 0),
        async_select_error(&self->race, 1));
    async_select_clear(&self->race);
    ASYNC_END;
}

static void of_a_tie_the_loser_has_its_result_too(void **s)
{
    (void)s;
    assert_int_equal(RUN(ties), 0);
    assert_said("0 1,2 0,0");
}

struct many { ASYNC_FRAME; async_selection race; int i; size_t who; };
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    for (self->i = 0; self->i < 1000; self->i++)
        async_select_add(
            &self->race,
            CO(async_sleep, ASYNC_SECONDS(1 + abs(self->i - 700))));
    AWAIT_INTO(self->who, async_select, &self->race);
    say("%d@%d", (int)self->who, seconds());
    async_select_clear(&self->race);
    ASYNC_END;
}

static void any_number_may_take_part(void **s)
{
    (void)s;
    assert_int_equal(RUN(many), 0);
    assert_said("700@1");
}

/* --- errors -------------------------------------------------------------- */

struct fails { ASYNC_FRAME; int loser; async_selection race; size_t who; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_TRY {
        AWAIT_SELECT_INTO(self->who, &self->race,
                          CO(work, "a", 1, self->loser ? 0 : EKEY),
                          CO(work, "b", self->loser ? 1 : 9, EVALUE, 3));
        say("%d@%d", (int)self->who, seconds());
        async_select_clear(&self->race);
    } ASYNC_EXCEPT(EKEY) {
        say("EKEY@%d %d", seconds(), (int)async_select_winner(&self->race));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void
an_error_of_the_winner_is_raised_when_the_others_have_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(fails, 0), 0);
    assert_said("b:cleaned@4 EKEY@4 0");
}

static void an_error_of_a_loser_is_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(fails, 1), 0);
    assert_said("0@1 [Task exception was never retrieved: EVALUE]");
}

struct nobody { ASYNC_FRAME; async_selection race; size_t who; };
static ASYNC(nobody)
{
    ASYNC_BEGIN(nobody);
    assert_true(async_select_winner(&self->race) == SIZE_MAX);
    AWAIT_INTO(self->who, async_select, &self->race);
    ASYNC_END;
}

static void nobody_at_all_is_an_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(nobody), ASYNC_ENOFUTURES);
}

static async_selection shared;
struct second { ASYNC_FRAME; size_t who; };
static ASYNC(second)
{
    ASYNC_BEGIN(second);
    assert_int_equal(async_select_add(&shared, CO(work, "x", 1)), ASYNC_EBUSY);
    AWAIT_INTO(self->who, async_select, &shared);
    ASYNC_END;
}
struct busy { ASYNC_FRAME; async_task *task; size_t who; int error; };
static ASYNC(busy)
{
    ASYNC_BEGIN(busy);
    self->task = async_create_task(CO(second));
    AWAIT_SELECT_INTO(self->who, &shared, CO(work, "a", 1), CO(work, "b", 2));
    async_select_clear(&shared);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(ASYNC_EBUSY) {
        say("busy");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void it_is_awaited_once_at_a_time(void **s)
{
    (void)s;
    assert_int_equal(RUN(busy), 0);
    assert_said("b:cleaned@1 busy");
}

static void it_needs_a_task(void **s)
{
    void *memory[64];
    async by_hand;
    (void)s;
    async_init(&by_hand, memory, sizeof memory, CO(nobody));
    assert_int_equal(async_send(&by_hand), ASYNC_ENOTASK);
    async_close(&by_hand);
}

/* --- cancellation -------------------------------------------------------- */

struct holds { ASYNC_FRAME; async_selection race; size_t who; };
static ASYNC(holds)
{
    ASYNC_BEGIN(holds);
    AWAIT_SELECT_INTO(self->who, &self->race, CO(work, "a", 9, 0, 2),
                      CO(work, "b", 5, 0, 3, 1));
    say("never");
    ASYNC_END;
}
struct cancels { ASYNC_FRAME; int after, again; async_task *task; int error; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->task = async_create_task(CO(holds));
    AWAIT(async_sleep, ASYNC_SECONDS(self->after));
    async_task_cancel(self->task);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    if (self->again) async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s@%d", async_error_name(self->error), seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

static void cancelled_it_cancels_all_and_waits_for_them(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels, 1, 0), 0);
    assert_said("a:cleaned@3 b:cleaned@4 ASYNC_ECANCELED@4");
    assert_int_equal(RUN(cancels, 1, 1), 0);
    assert_said("a:cleaned@3 b:cleaned@4 ASYNC_ECANCELED@4");
    /* When there is a winner, but a loser cleans up. */
    assert_int_equal(RUN(cancels, 6, 0), 0);
    assert_said("a:cleaned@7 ASYNC_ECANCELED@7");
}

struct limited { ASYNC_FRAME; async_scope scope; };
static ASYNC(limited)
{
    ASYNC_BEGIN(limited);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT(holds);
    }
    ASYNC_END_SCOPE
    say("%d@%d", async_scope_cancelled_caught(&self->scope), seconds());
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(1), holds);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("@%d", seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

static void scopes_and_limits_in_time_wait_for_them_too(void **s)
{
    (void)s;
    assert_int_equal(RUN(limited), 0);
    assert_said("a:cleaned@3 b:cleaned@4 1@4 a:cleaned@7 b:cleaned@8 @8");
}

/* --- memory -------------------------------------------------------------- */

static long blocks;
static void *limited_allocate(void *context, size_t size)
{
    (void)context;
    return blocks-- > 0 ? malloc(size) : NULL;
}
static void limited_release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    free(memory);
}

struct ten { ASYNC_FRAME; async_selection race; int i; size_t who; };
static ASYNC(ten)
{
    ASYNC_BEGIN(ten);
    for (; self->i < 10; self->i++)
        async_select_add(&self->race, CO(work, "a", 1 + self->i));
    AWAIT_INTO(self->who, async_select, &self->race);
    async_select_clear(&self->race);
    ASYNC_END;
}

static void without_memory_nothing_is_left_behind(void **s)
{
    const async_allocator allocator = { limited_allocate, limited_release,
                                        NULL };
    long n;
    int error = -1, failed = 0;
    (void)s;
    for (n = 0; error != 0 && n < 200; n++) {
        blocks = n;
        async_virtual_loop_init(&loop, &allocator);
        async_loop_set_exception_handler(&loop.base, report, NULL);
        error = async_loop_run_until_complete(&loop.base, CO(ten));
        if (error != 0) {
            assert_int_equal(error, ASYNC_ENOMEM);
            failed++;
        }
        async_loop_run_forever(&loop.base);
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
        unit_begin(NULL);
    }
    assert_int_equal(error, 0);
    assert_true(failed > 2);
}

static void a_loop_may_be_closed_while_it_is_awaited(void **s)
{
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    async_task_release(async_loop_create_task(&loop.base, CO(holds)));
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    unit_begin(NULL);
}

UNIT_MAIN(TEST(the_first_wins_and_the_others_have_ended_when_it_returns),
          TEST(tasks_and_futures_take_part_and_one_may_be_done_before),
          TEST(of_a_tie_the_loser_has_its_result_too),
          TEST(any_number_may_take_part),
          TEST(an_error_of_the_winner_is_raised_when_the_others_have_ended),
          TEST(an_error_of_a_loser_is_reported),
          TEST(nobody_at_all_is_an_error), TEST(it_is_awaited_once_at_a_time),
          TEST(it_needs_a_task),
          TEST(cancelled_it_cancels_all_and_waits_for_them),
          TEST(scopes_and_limits_in_time_wait_for_them_too),
          TEST(without_memory_nothing_is_left_behind),
          TEST(a_loop_may_be_closed_while_it_is_awaited))
