/* sync.h - what tasks of one loop use to wait for each other
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *   SEMAPHORE      at most n at once
 *   ASYNC_WITH     a block that holds one of them
 *
 * None of this is for several threads, as in asyncio.  Nothing here allocates:
 * who waits does so in its own frame.  Objects are the caller's; they must not
 * go while somebody waits.
 */
#ifndef CAESURA_SYNC_H
#define CAESURA_SYNC_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * SEMAPHORE
 *
 * Counts permits.  Who has to wait gets them in the order of arrival: a permit
 * that is released belongs to the first who waits, even before that runs.
 * Counterpart: asyncio.Semaphore.
 * ------------------------------------------------------------------------ */
typedef struct async_semaphore {
    async_link waiting; /* struct async_semaphore_acquire, by their link */
    long value;
    long woken; /* who has a permit but has not run yet */
} async_semaphore;

/* With `value` permits; less than 0 is ASYNC_EINVAL, and then it has none. */
int async_semaphore_init(async_semaphore *semaphore, long value);

/* AWAIT(async_semaphore_acquire, semaphore): takes a permit, at once if one is
 * free and nobody waits.
 * Errors   ASYNC_ENOTASK when a coroutine driven by hand would have to wait
 * Cancel   takes nothing; a permit that it had got by then goes to the next */
struct async_semaphore_acquire {
    ASYNC_FRAME;
    async_semaphore *semaphore;
    async_link link;
    async_future waiter;
};
ASYNC(async_semaphore_acquire);

/* Gives a permit back, or adds one. */
void async_semaphore_release(async_semaphore *semaphore);

/* Whether acquiring would have to wait. */
int async_semaphore_locked(const async_semaphore *semaphore);

/* ------------------------------------------------------------------------
 * ASYNC_WITH
 *
 * Syntax   ASYNC_WITH(async_semaphore, object) { body } ASYNC_END_WITH
 *          No semicolon after it.
 * Resume   awaits async_semaphore_acquire, runs the body, and calls
 *          async_semaphore_release however the body is left: its end, return,
 *          break, continue, error or cancellation.
 * `object` is a pointer expression, evaluated more than once.
 * Counterpart: async with semaphore.
 * ------------------------------------------------------------------------ */
#define ASYNC_WITH(type, object) ASYNC__WITH(type, object)
#define ASYNC_END_WITH ASYNC__END_WITH

/* ========================================================================
 * PRIVATE
 * ======================================================================== */

/* Label 0 acquires; 1 is the way in and, with an error or a pseudo-error, the
 * way out, where the object is still known; 3 stands behind. */
#define ASYNC__WITH(type, object)                                             \
    {                                                                         \
        ASYNC__SCOPE(async__try = ASYNC__AT(1))                               \
        ASYNC__AWAIT(ASYNC__CAT(type, _acquire), (object), );                 \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            ASYNC__CAT(type, _release)(object);                               \
            async__self->state = ASYNC__AT(3);                                \
            goto async__dispatch;                                             \
        } else {                                                              \
            ASYNC__SCOPE(async__handler = async__try)                         \
            ASYNC__BODY

#define ASYNC__END_WITH                                                       \
            ASYNC__BODY_END                                                   \
        }                                                                     \
        if (!co->error) co->error = ASYNC__LEAVING;                           \
        async__self->state = (async__state)async__try;                        \
        goto async__dispatch;                                                 \
        ASYNC__CASE((int)async__try + 2)                                      \
        if (co->error == ASYNC__LEAVING) co->error = 0;                       \
        ASYNC__GO_ON_LEAVING                                                  \
    }

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_SYNC_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_SYNC_IMPLEMENTED)
#define CAESURA_SYNC_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

int async_semaphore_init(async_semaphore *semaphore, long value)
{
    async__list_init(&semaphore->waiting);
    semaphore->value = value < 0 ? 0 : value;
    semaphore->woken = 0;
    return value < 0 ? (int)ASYNC_EINVAL : 0;
}

/* The first who waits and has not been cancelled: one that has been still
 * stands in the list until it runs. */
static struct async_semaphore_acquire *
async__semaphore_first(const async_semaphore *semaphore)
{
    async_link *link;
    for (link = semaphore->waiting.next; link != &semaphore->waiting;
         link = link->next) {
        struct async_semaphore_acquire *waiter =
            (struct async_semaphore_acquire *)(void *)((char *)link -
                offsetof(struct async_semaphore_acquire, link));
        if (!async_future_done(&waiter->waiter)) return waiter;
    }
    return NULL;
}

int async_semaphore_locked(const async_semaphore *semaphore)
{
    return semaphore->value == 0 || semaphore->woken > 0 ||
           async__semaphore_first(semaphore) != NULL;
}

/* Gives free permits to those who wait. */
static void async__semaphore_serve(async_semaphore *semaphore, long permits)
{
    while (permits-- > 0 && semaphore->value > 0) {
        struct async_semaphore_acquire *waiter =
            async__semaphore_first(semaphore);
        if (waiter == NULL) return;
        semaphore->value--;
        semaphore->woken++;
        async__unlink(&waiter->link);
        async_future_set_result(&waiter->waiter);
    }
}

void async_semaphore_release(async_semaphore *semaphore)
{
    semaphore->value++;
    async__semaphore_serve(semaphore, 1);
}

ASYNC(async_semaphore_acquire)
{
    ASYNC_BEGIN(async_semaphore_acquire);
    if (!async_semaphore_locked(self->semaphore)) {
        self->semaphore->value--;
        ASYNC_RETURN();
    }
    async_future_init(&self->waiter, async_loop_of(co));
    async__list_append(&self->semaphore->waiting, &self->link);
    ASYNC__WAIT_FOR(&self->waiter);
    (void)async__awaited(co);
    async__drop(co);
    if (self->link.prev != NULL) {
        async__unlink(&self->link);
    } else {
        self->semaphore->woken--;
        if (co->error) self->semaphore->value++; /* it got one, too late */
    }
    async__semaphore_serve(self->semaphore, self->semaphore->value);
    ASYNC__CHECK;
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
