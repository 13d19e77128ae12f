/* Pools of static tasks: async/bare/pool.h. */
#define ASYNC_STATIC_ONLY
#define ASYNC_IMPLEMENTATION
#include "../../async/bare/pool.h"

#include "unit.h"

static uint32_t now;
static async_bare_loop *looping;
static uint32_t ticks(void)
{
    return now;
}
/* When all wait for ever, it stops. */
static void sleep_until(uint32_t when)
{
    if (when == ASYNC_FOREVER)
        async_loop_stop(&looping->base);
    else
        now = when;
}
static void begin(async_bare_loop *loop)
{
    now = 0;
    looping = loop;
    async_bare_loop_init(loop, ticks, sleep_until);
}

struct naps { ASYNC_RETURNS(int); int number; int32_t period; };
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    AWAIT(async_sleep, self->period);
    say("%u:%d", (unsigned)now, self->number);
    ASYNC_RETURN(self->number);
    ASYNC_END;
}

typedef ASYNC_TASK_POOL_STORAGE(2, ASYNC_FRAMES(naps, async_sleep)) pool_of_2;

static void a_pool_starts_as_many_as_it_has_slots_and_then_is_busy(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    int evaluated = 0;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    assert_non_null(ASYNC_POOL_START(&pool, &loop.base, naps, 1, 10));
    assert_non_null(ASYNC_POOL_START(&pool, &loop.base, naps, 2, 20));
    assert_null(ASYNC_POOL_START(&pool, &loop.base, naps, ++evaluated, 30));
    assert_int_equal(evaluated, 0);
    async_bare_run(&loop);
    assert_said("10:1 20:2");
}

static void a_slot_is_free_when_its_task_has_ended(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    ASYNC_POOL_START(&pool, &loop.base, naps, 1, 10);
    ASYNC_POOL_START(&pool, &loop.base, naps, 2, 20);
    assert_int_equal(async_pool_count_free(&pool.pool), 0);
    async_bare_run(&loop);
    assert_int_equal(async_pool_count_free(&pool.pool), 2);
    assert_non_null(ASYNC_POOL_START(&pool, &loop.base, naps, 3, 5));
    assert_int_equal(async_pool_count_free(&pool.pool), 1);
    async_bare_run(&loop);
    assert_said("10:1 20:2 25:3");
}

static void a_task_that_is_held_keeps_its_slot_and_its_result(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    ASYNC_TASK_OF(naps) held;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    held.task = ASYNC_POOL_START(&pool, &loop.base, naps, 7, 10);
    async_task_retain(held.task);
    async_bare_run(&loop);
    assert_int_equal(async_pool_count_free(&pool.pool), 1);
    assert_int_equal(ASYNC_TASK_RESULT(held), 7);
    async_task_release(held.task);
    assert_int_equal(async_pool_count_free(&pool.pool), 2);
    assert_said("10:7");
}

struct accepts {
    ASYNC_FRAME;
    pool_of_2 *pool;
    async_bare_loop *loop;
    int count, i;
};
static ASYNC(accepts)
{
    ASYNC_BEGIN(accepts);
    for (self->i = 1; self->i <= self->count; self->i++) {
        AWAIT(async_pool_available, &self->pool->pool);
        if (ASYNC_POOL_START(self->pool, &self->loop->base, naps, self->i,
                             10 * self->i) == NULL)
            ASYNC_RAISE(ASYNC_EBUSY);
    }
    ASYNC_END;
}
static ASYNC_TASK_STORAGE(ASYNC_FRAMES(accepts, async_pool_available,
                                       async_wait_until)) acceptor;

static void an_acceptor_waits_for_a_free_slot_without_spinning(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    ASYNC_TASK_START(&acceptor, &loop.base, accepts, &pool, &loop, 4);
    async_bare_run(&loop);
    /* 3 starts when 1 ends, at 10, and 4 when 2 does, at 20. */
    assert_said("10:1 20:2 40:3 60:4");
    assert_int_equal(async_task_result(&acceptor.task), 0);
}

struct joins { ASYNC_FRAME; async_task *task; };
static ASYNC(joins)
{
    ASYNC_BEGIN(joins);
    AWAIT_TASK(self->task);
    say("%u:joined", (unsigned)now);
    ASYNC_END;
}
static ASYNC_TASK_STORAGE(ASYNC_FRAMES(joins)) joiner;

static void an_acceptor_also_learns_of_a_slot_whose_task_was_awaited(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    async_task *first;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    first = ASYNC_POOL_START(&pool, &loop.base, naps, 8, 10);
    ASYNC_POOL_START(&pool, &loop.base, naps, 9, 1000);
    ASYNC_TASK_START(&joiner, &loop.base, joins, first);
    ASYNC_TASK_START(&acceptor, &loop.base, accepts, &pool, &loop, 1);
    async_bare_run(&loop);
    assert_said("10:8 10:joined 20:1 1000:9");
}

static void an_acceptor_that_is_cancelled_takes_nothing(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    ASYNC_POOL_START(&pool, &loop.base, naps, 8, 10);
    ASYNC_POOL_START(&pool, &loop.base, naps, 9, 20);
    ASYNC_TASK_START(&acceptor, &loop.base, accepts, &pool, &loop, 1);
    async_bare_turn(&loop);
    async_bare_turn(&loop);
    async_task_cancel(&acceptor.task);
    async_bare_run(&loop);
    assert_said("10:8 20:9");
    assert_true(async_task_cancelled(&acceptor.task));
    assert_int_equal(async_pool_count_free(&pool.pool), 2);
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    AWAIT(async_sleep, 5);
    ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_END;
}
static int report(async_loop *loop, const async_exception_context *context,
                  void *argument)
{
    (void)loop, (void)argument;
    say("%s@%u", context->message, (unsigned)now);
    return 0;
}

static void an_error_in_a_slot_that_nobody_awaits_is_reported(void **s)
{
    async_bare_loop loop;
    pool_of_2 pool;
    (void)s;
    memset(&pool, 0, sizeof pool);
    begin(&loop);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    ASYNC_POOL_START(&pool, &loop.base, fails);
    async_bare_run(&loop);
    assert_said("Task exception was never retrieved@5");
    assert_int_equal(async_pool_count_free(&pool.pool), 2);
}

UNIT_MAIN(TEST(an_error_in_a_slot_that_nobody_awaits_is_reported),
          TEST(a_pool_starts_as_many_as_it_has_slots_and_then_is_busy),
          TEST(a_slot_is_free_when_its_task_has_ended),
          TEST(a_task_that_is_held_keeps_its_slot_and_its_result),
          TEST(an_acceptor_waits_for_a_free_slot_without_spinning),
          TEST(an_acceptor_also_learns_of_a_slot_whose_task_was_awaited),
          TEST(an_acceptor_that_is_cancelled_takes_nothing))
