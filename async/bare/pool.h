/* pool.h - several static tasks of one size, to start whichever is free
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     ASYNC_TASK_POOL(sessions, 4, ASYNC_FRAMES(serve, async_ring_get,
 *                                               async_wait_until));
 *     ...
 *     AWAIT(async_pool_available, &sessions.pool);
 *     ASYNC_POOL_START(&sessions, &loop.base, serve, .channel = 3);
 *
 * A slot is taken when a task is started in it.  It is free again, by itself,
 * when that has ended, each task that awaited it has gone on, and each share of
 * async_task_retain() is released.
 *
 *   POOLS              make, start, wait for a free slot
 *   PRIVATE
 *
 * For tasks and callbacks of one bare loop; not from interrupts.
 */
#ifndef CAESURA_BARE_POOL_H
#define CAESURA_BARE_POOL_H

#include "interrupt.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * POOLS
 * ------------------------------------------------------------------------ */
typedef struct async_pool async_pool;

/* A pool in static memory, zeroed.
 *
 * count   of slots, 1 to 255
 * bytes   of frame stack, for each: ASYNC_FRAMES(...) of the longest chain */
#define ASYNC_TASK_POOL(name, count, bytes)                                   \
    static ASYNC_TASK_POOL_STORAGE(count, bytes) name

/* Its type. */
#define ASYNC_TASK_POOL_STORAGE(count, bytes)                                 \
    ASYNC__TASK_POOL_STORAGE(count, bytes)

/* ASYNC_POOL_START(pool, loop, name, arguments...): starts a coroutine in a
 * free slot.  Does not compile when a slot has no room for its first frame; a
 * later await that does not fit raises ASYNC_ENOMEM in the task.
 *
 * Returns  the task, with no share for the caller, so that it is fire and
 *          forget; retain it, before anything is awaited, to await it later.
 *          NULL: ASYNC_EBUSY, the only reason there is.  Nothing has been
 *          built then, the arguments have not been evaluated, and it may be
 *          tried again:
 *
 *              if (ASYNC_POOL_START(...) == NULL) ASYNC_RAISE(ASYNC_EBUSY);
 *
 * An error that nobody has taken is reported when its slot is used again. */
#define ASYNC_POOL_START(pool, loop, ...)                                     \
    ASYNC__POOL_START(pool, loop, __VA_ARGS__, )

/* AWAIT(async_pool_available, &sessions.pool): goes on when a slot is free, at
 * once if one is.  It takes none: of several who wait, all go on, in the order
 * in which they came, and who starts too late gets NULL.
 *
 * A task's end wakes the loop.  Who releases a share of one that has ended
 * calls async_bare_wake() behind, as for every condition.
 *
 * Errors   ASYNC_ENOTASK
 * Cancel   ends the wait at once
 * Counterpart: Semaphore.acquire(), without taking it. */
struct async_pool_available { ASYNC_FRAME; async_pool *pool; };
ASYNC(async_pool_available);

/* How many slots are free now; before the first start, 255. */
uint8_t async_pool_count_free(const async_pool *pool);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */

/* What a slot begins with.  The node waits for the task, so that the loop does
 * not sleep when it has ended and nobody else is there. */
typedef struct async__slot {
    async_node ended;
    async_task *task; /* NULL: never used */
} async__slot;

struct async_pool {
    async__slot *slots; /* NULL before the first start */
    uint16_t size;      /* of a slot */
    uint8_t count;
};

#define ASYNC__TASK_POOL_STORAGE(count, bytes)                                \
    struct {                                                                  \
        async_pool pool;                                                      \
        struct {                                                              \
            async__slot slot;                                                 \
            ASYNC_TASK_STORAGE(bytes) storage;                                \
        } slots[count];                                                       \
    }

#define ASYNC__POOL_START(pool_, loop, name, ...)                             \
    __extension__({                                                           \
        __typeof__(&(pool_)->slots[0]) async__at =                            \
            (__typeof__(&(pool_)->slots[0]))(void *)async__pool_find(         \
                &(pool_)->pool, &(pool_)->slots[0].slot,                      \
                sizeof (pool_)->slots[0],                                     \
                sizeof (pool_)->slots / sizeof (pool_)->slots[0]);            \
        async_task *async__started = NULL;                                    \
        ASYNC__ASSERT(sizeof (pool_)->slots / sizeof (pool_)->slots[0] < 256, \
                      "a pool has at most 255 slots");                        \
        if (async__at != NULL &&                                              \
            ASYNC__TASK_START(&async__at->storage, (loop), name,              \
                              __VA_ARGS__) == 0) {                            \
            async__started = &async__at->storage.task;                        \
            async__pool_started(&async__at->slot, async__started);            \
        }                                                                     \
        async__started;                                                       \
    })
async__slot *async__pool_find(async_pool *pool, async__slot *slots,
                              size_t size, size_t count);
void async__pool_started(async__slot *slot, async_task *task);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_BARE_POOL_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_BARE_POOL_IMPLEMENTED)
#define CAESURA_BARE_POOL_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Its own share is the storage's, which stays. */
static int async__slot_is_free(const async__slot *slot)
{
    return slot->task == NULL || (async_task_done(slot->task) &&
                                  slot->task->future.shares <= 1 &&
                                  slot->ended.link.prev == NULL);
}

static async__slot *async__slot_at(const async_pool *pool, uint8_t i)
{
    return (async__slot *)(void *)((char *)pool->slots +
                                   (size_t)i * pool->size);
}

async__slot *async__pool_find(async_pool *pool, async__slot *slots,
                              size_t size, size_t count)
{
    uint8_t i;
    pool->slots = slots;
    pool->size = (uint16_t)size;
    pool->count = (uint8_t)count;
    for (i = 0; i < pool->count; i++)
        if (async__slot_is_free(async__slot_at(pool, i)))
            return async__slot_at(pool, i);
    return NULL;
}

/* In the iteration behind the task's end.  Who awaited it goes on in this one,
 * too: the loop looks once more. */
static void async__slot_ended(async_node *node)
{
    async__slot *slot = (async__slot *)(void *)node;
    node->link.prev = NULL;
    slot->task->future.loop->current = NULL;
#ifdef ASYNC_STATIC_ONLY
    if (slot->task->future.shares == 1)
        ASYNC__CALL_HOOK(async__report_task, &slot->task->future);
#endif
    async_bare_wake((async_bare_loop *)(void *)slot->task->future.loop);
}

void async__pool_started(async__slot *slot, async_task *task)
{
    slot->task = task;
    slot->ended.run = async__slot_ended;
    async__list_append(&task->future.waiters, &slot->ended.link);
}

uint8_t async_pool_count_free(const async_pool *pool)
{
    uint8_t i, n = 0;
    if (pool->slots == NULL) return 255;
    for (i = 0; i < pool->count; i++)
        n = (uint8_t)(n + async__slot_is_free(async__slot_at(pool, i)));
    return n;
}

static int async__pool_has_one(void *pool)
{
    return async_pool_count_free((const async_pool *)pool) > 0;
}

ASYNC(async_pool_available)
{
    ASYNC_BEGIN(async_pool_available);
    ASYNC_AWAIT(async_wait_until, async__pool_has_one, self->pool);
    ASYNC_END;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
