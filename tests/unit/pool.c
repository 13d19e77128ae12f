/* link: -luv */
/* Pools of connections: who gets one and when, what is kept, and what becomes of
 * it.  The connections are none, and the clock jumps. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/pool.h"
#include "../../async/test/virtual.h"

#include "uv.h"

/* What there is to connect to. */
static struct world {
    int made, open;
    int refuse;          /* so many more times */
    async_duration slow; /* how long it takes */
} world;

typedef struct line {
    int number;
    int broken;
} line;

struct join { ASYNC_FRAME; line *connection; int first; };
static ASYNC(join)
{
    ASYNC_BEGIN(join);
    if (world.slow) AWAIT(async_sleep, world.slow);
    if (world.refuse > 0) {
        world.refuse--;
        ASYNC_RAISE(UV_ECONNREFUSED);
    }
    self->connection->number = self->first + world.made++;
    world.open++;
    ASYNC_END;
}
static void line_close(void *connection)
{
    if (((line *)connection)->number) world.open--;
}
static int line_is_usable(void *connection)
{
    return !((line *)connection)->broken;
}
static const async_net_pool_kind kind = { sizeof(line), line_close,
                                          line_is_usable };

static async_net_pool pool;

/* Has one for a while. */
struct use {
    ASYNC_FRAME;
    const char *name;
    async_duration span;
    int broken;
    line *mine;
    void *got;
    int error;
};
static ASYNC(use)
{
    ASYNC_BEGIN(use);
    ASYNC_TRY {
        AWAIT_INTO(self->got, async_net_pool_acquire, &pool);
        self->mine = (line *)self->got;
        say("%s:%d", self->name, self->mine->number);
        AWAIT(async_sleep, self->span);
        self->mine->broken = self->broken;
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, name_of(self->error));
        if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
    } ASYNC_FINALLY {
        async_net_pool_release(&pool, self->mine);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define USE(...) CO(use, __VA_ARGS__)

/* The program of a test, with a pool. */
struct with_pool {
    ASYNC_FRAME;
    async_object program;
    async_net_pool_options options;
};
static ASYNC(with_pool)
{
    int error;
    ASYNC_BEGIN(with_pool);
    memset(&world, 0, sizeof world);
    memset(&pool, 0, sizeof pool);
    error =
        async_net_pool_open(&pool, async_loop_of(co), &kind,
                            ASYNC_NET_POOL_CONNECT(join, 1), &self->options);
    if (error) ASYNC_RAISE(error);
    ASYNC_TRY {
        AWAIT_CO(self->program);
    } ASYNC_FINALLY {
        async_net_pool_close(&pool);
    } ASYNC_END_TRY
    assert_int_equal(async_net_pool_size(&pool), 0);
    assert_int_equal(world.open, 0);
    ASYNC_END;
}

static int run_virtual(async_object program)
{
    async_virtual_loop loop;
    int error;
    memory_begin();
    async_virtual_loop_init(&loop, &counting_allocator);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    error = async_loop_run_until_complete(&loop.base, program);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
    return error;
}
#define RUN(program, ...)                                                     \
    assert_int_equal(run_virtual(CO(with_pool, program, { __VA_ARGS__ })), 0)

/* --- who gets one -------------------------------------------------------- */

struct four { ASYNC_FRAME; async_gathering all; };
static ASYNC(four)
{
    ASYNC_BEGIN(four);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, USE("a", ASYNC_MS(30)),
                     USE("b", ASYNC_MS(10)), USE("c", ASYNC_MS(10)),
                     USE("d", ASYNC_MS(10)));
    } ASYNC_FINALLY {
        /* Who finds no memory for the await itself has the children still. */
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    say("size:%d idle:%d", (int)async_net_pool_size(&pool),
        (int)async_net_pool_idle(&pool));
    /* the one that was used last */
    AWAIT(use, "e", 0);
    ASYNC_END;
}
static void who_waits_gets_one_in_the_order_of_arrival(void **state)
{
    (void)state;
    RUN(CO(four), .max_size = 2);
    /* b's goes to c and then to d, and both come back at 30 ms */
    assert_said("a:1 b:2 c:2 d:2 size:2 idle:2 e:2");
}

static void all_may_be_open_at_once_and_few_be_kept(void **state)
{
    (void)state;
    RUN(CO(four), .max_size = 4, .max_idle = 1);
    assert_said("a:1 b:2 c:3 d:4 size:1 idle:1 e:2");
    RUN(CO(four), .max_size = 4, .keep_none = 1);
    assert_said("a:1 b:2 c:3 d:4 size:0 idle:0 e:5");
}

/* A newcomer does not come between a release and who has waited for it. */
struct newcomer { ASYNC_FRAME; void *mine; async_task *waits; };
static ASYNC(newcomer)
{
    ASYNC_BEGIN(newcomer);
    AWAIT_INTO(self->mine, async_net_pool_acquire, &pool);
    self->waits = async_create_task(USE("waits", 0));
    AWAIT(async_sleep, 0);
    assert_int_equal(async_net_pool_waiting(&pool), 1);
    async_net_pool_release(&pool, self->mine);
    AWAIT(use, "new", 0);
    AWAIT_JOIN(self->waits);
    ASYNC_END;
}
static void nobody_comes_between(void **state)
{
    (void)state;
    RUN(CO(newcomer), .max_size = 1);
    assert_said("waits:1 new:1");
}

/* --- what is kept -------------------------------------------------------- */

struct breaks { ASYNC_FRAME; async_gathering all; };
static ASYNC(breaks)
{
    ASYNC_BEGIN(breaks);
    AWAIT_GATHER(&self->all, USE("a", ASYNC_MS(10), 1), USE("b", 0),
                 USE("c", 0));
    async_gather_clear(&self->all);
    say("size:%d", (int)async_net_pool_size(&pool));
    ASYNC_END;
}
static void one_that_is_broken_is_replaced(void **state)
{
    (void)state;
    RUN(CO(breaks), .max_size = 1);
    assert_said("a:1 b:2 c:2 size:1");
}

struct breaks_idle { ASYNC_FRAME; void *mine; };
static ASYNC(breaks_idle)
{
    ASYNC_BEGIN(breaks_idle);
    AWAIT_INTO(self->mine, async_net_pool_acquire, &pool);
    async_net_pool_release(&pool, self->mine);
    ((line *)self->mine)->broken = 1; /* the server closes it, unseen */
    AWAIT(use, "next", 0);
    ASYNC_END;
}
static void one_that_breaks_unused_is_not_lent(void **state)
{
    (void)state;
    RUN(CO(breaks_idle), .max_size = 2);
    assert_said("next:2");
}

struct idles { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(idles)
{
    ASYNC_BEGIN(idles);
    AWAIT_GATHER(&self->all, USE("a", 0), USE("b", ASYNC_MS(500)));
    async_gather_clear(&self->all);
    for (; self->i < 4; self->i++) {
        say("idle:%d", (int)async_net_pool_idle(&pool));
        AWAIT(async_sleep, ASYNC_MS(300));
    }
    ASYNC_END;
}
static void what_is_idle_for_long_is_closed(void **state)
{
    (void)state;
    RUN(CO(idles), .idle_time = ASYNC_SECONDS(1));
    /* at 0.5 s, 0.8, 1.1, 1.4 */
    assert_said("a:1 b:2 idle:2 idle:2 idle:1 idle:1");
    assert_int_equal(world.open, 0);
}

/* --- errors, cancelling, closing ----------------------------------------- */

struct refused { ASYNC_FRAME; async_gathering all; };
static ASYNC(refused)
{
    ASYNC_BEGIN(refused);
    world.refuse = 2;
    world.slow = ASYNC_MS(5);
    AWAIT_GATHER(&self->all, USE("a", 0), USE("b", 0), USE("c", 0));
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void who_cannot_connect_lets_the_next_one_try(void **state)
{
    (void)state;
    RUN(CO(refused), .max_size = 1);
    assert_said("a:ECONNREFUSED b:ECONNREFUSED c:1");
}

struct cancelled { ASYNC_FRAME; async_duration after; async_task *a, *b, *c; };
static ASYNC(cancelled)
{
    ASYNC_BEGIN(cancelled);
    world.slow = ASYNC_MS(10);
    self->a = async_create_task(USE("a", ASYNC_MS(10)));
    self->b = async_create_task(USE("b", ASYNC_MS(10)));
    self->c = async_create_task(USE("c", 0));
    AWAIT(async_sleep, self->after);
    async_task_cancel(self->after < ASYNC_MS(15) ? self->a : self->b);
    AWAIT(say_end, self->a, "a");
    AWAIT(say_end, self->b, "b");
    AWAIT(say_end, self->c, "c");
    ASYNC_END;
}
static void a_place_that_is_given_up_goes_to_the_next(void **state)
{
    (void)state;
    /* while it connects; while it waits; in the moment in which it gets it */
    RUN(CO(cancelled, ASYNC_MS(5)), .max_size = 1);
    assert_said("a:ASYNC_ECANCELED a:ASYNC_ECANCELED b:1 c:1 b:ok c:ok");
    RUN(CO(cancelled, ASYNC_MS(15)), .max_size = 1);
    assert_said("a:1 b:ASYNC_ECANCELED c:1 a:ok b:ASYNC_ECANCELED c:ok");
    RUN(CO(cancelled, ASYNC_MS(20)), .max_size = 1);
    assert_said("a:1 b:ASYNC_ECANCELED c:1 a:ok b:ASYNC_ECANCELED c:ok");
}

struct closes { ASYNC_FRAME; async_duration after; async_task *a, *b; };
static ASYNC(closes)
{
    ASYNC_BEGIN(closes);
    world.slow = ASYNC_MS(10);
    self->a = async_create_task(USE("a", ASYNC_MS(10)));
    self->b = async_create_task(USE("b", 0));
    AWAIT(async_sleep, self->after);
    async_net_pool_close(&pool);
    async_net_pool_close(&pool);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT(use, "c", 0);
    ASYNC_END;
}
static void closing_ends_who_waits_and_takes_back_what_is_lent(void **state)
{
    (void)state;
    RUN(CO(closes, ASYNC_MS(5)), .max_size = 1);
    assert_said("b:ASYNC_ECLOSED a:ASYNC_ECLOSED c:ASYNC_ECLOSED");
    RUN(CO(closes, ASYNC_MS(15)), .max_size = 1);
    assert_said("a:1 b:ASYNC_ECLOSED c:ASYNC_ECLOSED");
}

struct nothing { ASYNC_FRAME; };
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
    assert_int_equal(async_net_pool_open(&pool, async_loop_of(co), &kind,
                                         ASYNC_NET_POOL_CONNECT(join, 1),
                                         NULL),
                     ASYNC_EBUSY);
    async_net_pool_release(&pool, NULL);
    ASYNC_END;
}
static void wrong_use_is_an_error(void **state)
{
    async_net_pool_options more_idle = { 1, 2, 0, 0 };
    (void)state;
    RUN(CO(nothing), .max_size = 2);
    assert_int_equal(run_virtual(CO(with_pool, CO(nothing), more_idle)),
                     ASYNC_EINVAL);
    memset(&pool, 0, sizeof pool);
    async_net_pool_close(&pool);
    assert_int_equal(async_net_pool_waiting(&pool), 0);
}

static void no_memory_is_an_error(void **state)
{
    int at, error = 0;
    (void)state;
    for (at = 0; at < 50; at++) {
        async_virtual_loop loop;
        memory_begin();
        memory_refuse_later(at, 1);
        async_virtual_loop_init(&loop, &counting_allocator);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        error = async_loop_run_until_complete(&loop.base,
                                              CO(with_pool, CO(nothing)));
        if (!error)
            error = async_loop_run_until_complete(
                &loop.base, CO(with_pool, CO(four), { .max_size = 2 }));
        async_loop_close(&loop.base);
        assert_int_equal(memory.live, 0);
        if (memory.refused == 0) break;
        assert_true(error == 0 || error == ASYNC_ENOMEM);
    }
    assert_int_equal(error, 0);
    assert_true(at > 3);
    unit_begin(NULL);
}

struct forgets { ASYNC_FRAME; void *mine; async_event never; };
static ASYNC(forgets)
{
    ASYNC_BEGIN(forgets);
    memset(&world, 0, sizeof world);
    memset(&pool, 0, sizeof pool);
    if (async_net_pool_open(&pool, async_loop_of(co), &kind,
                            ASYNC_NET_POOL_CONNECT(join, 1), NULL))
        ASYNC_RAISE(ASYNC_ENOMEM);
    AWAIT_INTO(self->mine, async_net_pool_acquire, &pool);
    AWAIT_INTO(self->mine, async_net_pool_acquire, &pool);
    async_net_pool_release(&pool, self->mine);
    ASYNC_END;
}
static void a_loop_that_is_closed_closes_it(void **state)
{
    (void)state;
    run(CO(forgets));
    assert_int_equal(world.made, 2);
    assert_int_equal(world.open, 0);
}

UNIT_MAIN(TEST(who_waits_gets_one_in_the_order_of_arrival),
          TEST(all_may_be_open_at_once_and_few_be_kept),
          TEST(nobody_comes_between), TEST(one_that_is_broken_is_replaced),
          TEST(one_that_breaks_unused_is_not_lent),
          TEST(what_is_idle_for_long_is_closed),
          TEST(who_cannot_connect_lets_the_next_one_try),
          TEST(a_place_that_is_given_up_goes_to_the_next),
          TEST(closing_ends_who_waits_and_takes_back_what_is_lent),
          TEST(wrong_use_is_an_error), TEST(no_memory_is_an_error),
          TEST(a_loop_that_is_closed_closes_it))
