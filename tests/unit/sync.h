/* What the tests of async/sync.h share beside virtual.h: chance, and waiting for
 * a task to end. */
#ifndef UNIT_SYNC_H
#define UNIT_SYNC_H

#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/sync.h"

#include "virtual.h"

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
