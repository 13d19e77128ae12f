/* What the tests of async/sync.h share: a loop on virtual time, whose report of
 * errors is part of the story, and chance. */
#ifndef UNIT_SYNC_H
#define UNIT_SYNC_H

#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/sync.h"
#include "../../async/test/virtual.h"

#include "unit.h"

static async_virtual_loop loop;

/* What goes to the exception handler is part of the story. */
static inline int
report(async_loop *of, const async_exception_context *context, void *argument)
{
    (void)of, (void)argument;
    say("[%s: %s]", context->message, async_error_name(context->error));
    return 0;
}

/* Runs a coroutine, and then what it left behind, until nothing can happen
 * any more: no task may remain. */
static inline int run(async_object main)
{
    int result;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    result = async_loop_run_until_complete(&loop.base, main);
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    assert_null(async_all_tasks(&loop.base, NULL));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    return result;
}
#define RUN(...) run(CO(__VA_ARGS__))

/* Runs a coroutine that cancels at random, in the order of the queue or in a
 * random one. */
static uint32_t seed;
static inline int chance(int below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (int)(seed % (uint32_t)below);
}
static inline void run_by_chance(uint32_t round, async_object main)
{
    async_virtual_loop_init(&loop, NULL);
    async_virtual_loop_shuffle(&loop, round % 2 ? 0 : round);
    assert_int_equal(async_loop_run_until_complete(&loop.base, main), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* The time in seconds. */
static inline int seconds(void)
{
    return (int)(async_loop_time(&loop.base) / ASYNC_SECONDS(1));
}

/* AWAIT(joined, task): until it has ended, however that was; releases it. */
struct joined { ASYNC_FRAME; async_task *task; int error; };
static inline ASYNC(joined)
{
    ASYNC_BEGIN(joined);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_END;
}

#endif
