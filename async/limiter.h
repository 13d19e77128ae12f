/* limiter.h - capacity limiters: semaphores that know who has their tokens
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     static ASYNC_LIMITER(10) connections;       at most 10 at once
 *     ASYNC_LIMITER_INIT(&connections, 4);        for now, 4
 *     ...
 *     ASYNC_WITH(async_limiter, &connections.limiter) {
 *         AWAIT(talk_to, self->peer);
 *     } ASYNC_END_WITH
 *
 *   LIMITERS       their type; how many tokens there are
 *   BORROWING      acquire, release; for a task, or on behalf of something else
 *   STATISTICS
 *   PRIVATE
 *
 * Each token has a borrower, a task unless something else is said, that may
 * have one and no more, and must give it back itself.  One of a single token
 * is a lock that knows its owner.  Who has to wait gets a token in the order of
 * arrival, even before it runs.
 *
 * Not for several threads.  Nothing here allocates: who waits does so in its
 * own frame, and a limiter has places for its borrowers.  It must stay where it
 * is, and not go while somebody waits.
 */
#ifndef CAESURA_LIMITER_H
#define CAESURA_LIMITER_H

#include "sync.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * LIMITERS
 *
 * ASYNC_LIMITER(n)               the type of one for at most n borrowers, n 1
 *                                or more; all but the places is the
 *                                async_limiter in it, &l.limiter
 * ASYNC_LIMITER_INIT(l, total)   with so many tokens, all free.
 *                                Returns 0; ASYNC_ETOTALTOKENS when that is
 *                                less than 1 or more than n, and then it has n
 * Counterpart: trio.CapacityLimiter, anyio.CapacityLimiter.
 * ------------------------------------------------------------------------ */
typedef struct async_limiter async_limiter;
#define ASYNC_LIMITER(n)                                                      \
    struct {                                                                  \
        async_limiter limiter;                                                \
        const void *borrowers[n];                                             \
    }
#define ASYNC_LIMITER_INIT(l, total)                                          \
    async__limiter_init(&(l)->limiter, (l)->borrowers,                        \
                        sizeof (l)->borrowers / sizeof *(l)->borrowers,       \
                        (total))

/* Changes how many tokens there are, of those that are borrowed too: with more
 * of them, who waits goes on; with fewer, nobody gets one until enough have
 * been given back.
 * Returns  0; ASYNC_ETOTALTOKENS, as above, and then nothing has changed.
 * Counterpart: CapacityLimiter.total_tokens. */
int async_limiter_set_total_tokens(async_limiter *limiter, long total);

/* ------------------------------------------------------------------------
 * BORROWING
 * ------------------------------------------------------------------------ */

/* AWAIT(async_limiter_acquire, limiter): borrows a token for this task, at once
 * if one is free and nobody waits.
 * AWAIT(async_limiter_acquire, limiter, borrower): on behalf of whatever has
 * that address; NULL is this task.
 * Errors   ASYNC_EBORROWED when the borrower has one already, or waits for
 *          one; ASYNC_ENOTASK, without a borrower in a coroutine driven by
 *          hand, or when it would have to wait there; ASYNC_EBOUND
 * Cancel   takes nothing; a token that it had got by then goes to the next
 * Counterparts: acquire(), acquire_on_behalf_of(). */
struct async_limiter_acquire {
    ASYNC_FRAME;
    async_limiter *limiter;
    const void *borrower;
    async__waiter waiter;
};
ASYNC(async_limiter_acquire);

/* Borrows one for the task that runs, or on behalf of something else, if it
 * need not wait.
 * Returns  0; ASYNC_EWOULDBLOCK; ASYNC_EBORROWED; ASYNC_ENOTASK when no task
 *          runs
 * Counterparts: acquire_nowait(), acquire_on_behalf_of_nowait(). */
int async_limiter_acquire_nowait(async_limiter *limiter);
int async_limiter_acquire_on_behalf_of_nowait(async_limiter *limiter,
                                              const void *borrower);

/* Gives back the token of the task that runs, or that of something else.
 * Returns  0; ASYNC_ENOTBORROWED when it has none.
 * Counterparts: release(), release_on_behalf_of(). */
int async_limiter_release(async_limiter *limiter);
int async_limiter_release_on_behalf_of(async_limiter *limiter,
                                       const void *borrower);

/* ------------------------------------------------------------------------
 * STATISTICS
 *
 * How many tokens there are, are borrowed, and are free: less than none, when
 * their number was lowered; how many tasks wait; whether somebody has one.
 * Counterparts: total_tokens, borrowed_tokens, available_tokens,
 * statistics().tasks_waiting, statistics().borrowers.
 * ------------------------------------------------------------------------ */
static inline long async_limiter_total_tokens(const async_limiter *limiter);
static inline long async_limiter_borrowed_tokens(const async_limiter *limiter);
static inline long async_limiter_available_tokens(
    const async_limiter *limiter);
long async_limiter_tasks_waiting(const async_limiter *limiter);
int async_limiter_is_borrower(const async_limiter *limiter,
                              const void *borrower);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_limiter {
    async_link waiting; /* async__waiter, in a struct async_limiter_acquire */
    const void **borrowers;
    long places, total, borrowed;
};

int async__limiter_init(async_limiter *limiter, const void **borrowers,
                        size_t places, long total);

static inline long async_limiter_total_tokens(const async_limiter *limiter)
{
    return limiter->total;
}
static inline long async_limiter_borrowed_tokens(const async_limiter *limiter)
{
    return limiter->borrowed;
}
static inline long async_limiter_available_tokens(const async_limiter *limiter)
{
    return limiter->total - limiter->borrowed;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_LIMITER_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_LIMITER_IMPLEMENTED)
#define CAESURA_LIMITER_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

int async__limiter_init(async_limiter *limiter, const void **borrowers,
                        size_t places, long total)
{
    async__list_init(&limiter->waiting);
    limiter->borrowers = borrowers;
    limiter->places = (long)places;
    limiter->total = limiter->places;
    limiter->borrowed = 0;
    return async_limiter_set_total_tokens(limiter, total);
}

static const void **async__limiter_find(const async_limiter *limiter,
                                        const void *borrower)
{
    long i;
    for (i = 0; i < limiter->borrowed; i++)
        if (limiter->borrowers[i] == borrower) return &limiter->borrowers[i];
    return NULL;
}

int async_limiter_is_borrower(const async_limiter *limiter,
                              const void *borrower)
{
    return async__limiter_find(limiter, borrower) != NULL;
}

static const void *async__limiter_borrower(const async__waiter *waiter)
{
    return ((const struct async_limiter_acquire *)(const void *)
                ((const char *)waiter -
                 offsetof(struct async_limiter_acquire, waiter)))->borrower;
}

/* Gives free tokens to those who wait. */
static void async__limiter_serve(async_limiter *limiter)
{
    while (limiter->borrowed < limiter->total) {
        async__waiter *waiter = async__next_waiting(&limiter->waiting, NULL);
        if (waiter == NULL) return;
        limiter->borrowers[limiter->borrowed++] =
            async__limiter_borrower(waiter);
        async__unlink(&waiter->link);
        async_future_set_result(&waiter->future);
    }
}

int async_limiter_set_total_tokens(async_limiter *limiter, long total)
{
    if (total < 1 || total > limiter->places) return ASYNC_ETOTALTOKENS;
    limiter->total = total;
    async__limiter_serve(limiter);
    return 0;
}

int async_limiter_acquire_on_behalf_of_nowait(async_limiter *limiter,
                                              const void *borrower)
{
    const async__waiter *waiter = NULL;
    if (async__limiter_find(limiter, borrower) != NULL) return ASYNC_EBORROWED;
    while ((waiter = async__next_waiting(&limiter->waiting, waiter)) != NULL)
        if (async__limiter_borrower(waiter) == borrower)
            return ASYNC_EBORROWED;
    /* Nobody waits while a token is free. */
    if (limiter->borrowed >= limiter->total) return ASYNC_EWOULDBLOCK;
    limiter->borrowers[limiter->borrowed++] = borrower;
    return 0;
}

int async_limiter_acquire_nowait(async_limiter *limiter)
{
    const async_task *task = async_current_task();
    if (task == NULL) return ASYNC_ENOTASK;
    return async_limiter_acquire_on_behalf_of_nowait(limiter, task);
}

int async_limiter_release_on_behalf_of(async_limiter *limiter,
                                       const void *borrower)
{
    const void **place = async__limiter_find(limiter, borrower);
    if (place == NULL) return ASYNC_ENOTBORROWED;
    *place = limiter->borrowers[--limiter->borrowed];
    async__limiter_serve(limiter);
    return 0;
}

int async_limiter_release(async_limiter *limiter)
{
    return async_limiter_release_on_behalf_of(limiter, async_current_task());
}

long async_limiter_tasks_waiting(const async_limiter *limiter)
{
    const async__waiter *waiter = NULL;
    long n = 0;
    while ((waiter = async__next_waiting(&limiter->waiting, waiter)) != NULL)
        n++;
    return n;
}

ASYNC(async_limiter_acquire)
{
    int error;
    ASYNC_BEGIN(async_limiter_acquire);
    if (self->borrower == NULL) {
        if (!(co->flags & ASYNC__IS_TASK)) ASYNC_RAISE(ASYNC_ENOTASK);
        self->borrower = async__owner(co);
    }
    error = async_limiter_acquire_on_behalf_of_nowait(self->limiter,
                                                      self->borrower);
    if (error == 0) ASYNC_RETURN();
    if (error != ASYNC_EWOULDBLOCK) ASYNC_RAISE(error);
    if (!async__may_queue_up(co, &self->limiter->waiting)) ASYNC__FAIL;
    async__queue_up(co, &self->limiter->waiting, &self->waiter);
    ASYNC__WAIT_FOR(&self->waiter.future);
    if (!async__leave_queue(co, &self->waiter) && co->error)
        /* It got one, too late. */
        (void)async_limiter_release_on_behalf_of(self->limiter,
                                                 self->borrower);
    ASYNC__CHECK;
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
