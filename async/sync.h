/* sync.h - what tasks of one loop use to wait for each other
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *   LOCK               one at a time
 *   EVENT              a flag to wait for
 *   CONDITION          a lock, and waiting for what it guards to change
 *   SEMAPHORE          at most n at once
 *   BOUNDED SEMAPHORE  one that notices a release too many
 *   BARRIER            all go on when all are there
 *   ASYNC_WITH         a block that holds one of the first five but the event
 *
 * None of this is for several threads, as in asyncio.  Nothing here allocates:
 * who waits does so in its own frame.  Objects are the caller's; they must not
 * move, nor go while somebody waits.  All but semaphores and barriers are
 * ready when their memory is zero.
 *
 * Whoever waits must be a task, ASYNC_ENOTASK, of the same loop as those who
 * wait already, ASYNC_EBOUND.  (asyncio binds an object for ever, to the loop
 * in which first somebody had to wait; this only while somebody waits.)
 *
 * What an await did is undone when it raises, and who is cancelled has neither
 * taken what it waited for nor kept it from others, even if it had been its
 * turn.
 */
#ifndef CAESURA_SYNC_H
#define CAESURA_SYNC_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Private: a place in a queue of those who wait, in the frame of who does. */
typedef struct async__waiter {
    async_link link; /* must be first */
    async_future future;
} async__waiter;

/* ------------------------------------------------------------------------
 * LOCK
 *
 * Is held by one at a time; who has to wait gets it in the order of arrival.
 * Whoever releases it wakes the first who waits, and if it wants it again,
 * stands behind all others.  It has no owner: any task may release it, and a
 * task that holds it and acquires it again waits for itself.
 * Counterpart: asyncio.Lock.
 * ------------------------------------------------------------------------ */
typedef struct async_lock {
    async_link waiting; /* async__waiter */
    int held;
} async_lock;

/* Makes it free.  Zeroed memory is the same. */
void async_lock_init(async_lock *lock);

/* AWAIT(async_lock_acquire, lock): takes it, at once if it is free and nobody
 * waits.
 * Errors   ASYNC_ENOTASK, ASYNC_EBOUND, when it would have to wait
 * Cancel   takes nothing; if it was its turn, it is the next one's
 * Counterpart: Lock.acquire(). */
struct async_lock_acquire {
    ASYNC_FRAME;
    async_lock *lock;
    async__waiter waiter;
};
ASYNC(async_lock_acquire);

/* Frees it.  The first who waits is woken and takes it when it runs, in the
 * next iteration; until then it is not locked, but nobody else gets it.
 * Returns  0; ASYNC_ENOTACQUIRED when nobody held it.
 * Counterpart: Lock.release(). */
int async_lock_release(async_lock *lock);

/* Whether it is held.  Counterpart: Lock.locked(). */
static inline int async_lock_locked(const async_lock *lock);

/* ------------------------------------------------------------------------
 * EVENT
 *
 * A flag: while it is set nobody waits.  Counterpart: asyncio.Event.
 * ------------------------------------------------------------------------ */
typedef struct async_event {
    async_link waiting; /* async__waiter */
    int value;
} async_event;

/* Makes it unset.  Zeroed memory is the same. */
void async_event_init(async_event *event);

/* Sets it, and wakes all who wait, in the order in which they came: they go
 * on in the next iteration, even if it has been cleared by then.
 * Counterpart: Event.set(). */
void async_event_set(async_event *event);

/* From now on who waits has to.  Counterpart: Event.clear(). */
void async_event_clear(async_event *event);

/* Counterpart: Event.is_set(). */
static inline int async_event_is_set(const async_event *event);

/* AWAIT(async_event_wait, event): goes on when it is set, at once if it is.
 * Errors   ASYNC_ENOTASK, ASYNC_EBOUND, when it would have to wait
 * Cancel   ends the wait; nobody else is touched
 * Counterpart: Event.wait(). */
struct async_event_wait {
    ASYNC_FRAME;
    async_event *event;
    async__waiter waiter;
};
ASYNC(async_event_wait);

/* ------------------------------------------------------------------------
 * CONDITION
 *
 * Guards something with a lock, and lets those who hold the lock wait until
 * somebody else has changed it and says so:
 *
 *     ASYNC_WITH(async_condition, &changed) {
 *         while (count == 0)
 *             AWAIT(async_condition_wait, &changed);
 *         count--;
 *     } ASYNC_END_WITH
 *
 *     ASYNC_WITH(async_condition, &changed) {
 *         count++;
 *         async_condition_notify(&changed, 1);
 *     } ASYNC_END_WITH
 *
 * Ask for what you wait for in a loop, or with async_condition_wait_for: it
 * may have changed again before you run, and a wait can end without a cause.
 * Counterpart: asyncio.Condition.
 * ------------------------------------------------------------------------ */
typedef struct async_condition {
    async_lock *shared; /* NULL: its own */
    async_lock own;
    async_link waiting; /* async__waiter */
} async_condition;

/* lock   guards it; NULL: a lock of its own.  Several conditions may share
 *        one, which must outlive them.
 * Zeroed memory is a condition with a lock of its own. */
void async_condition_init(async_condition *condition, async_lock *lock);

/* Its lock, as async_lock_acquire, async_lock_release(), async_lock_locked()
 * have it: AWAIT(async_condition_acquire, condition) and so on. */
struct async_condition_acquire {
    ASYNC_FRAME;
    async_condition *condition;
};
ASYNC(async_condition_acquire);
int async_condition_release(async_condition *condition);
int async_condition_locked(const async_condition *condition);

/* AWAIT(async_condition_wait, condition): releases the lock, waits until it is
 * notified, and takes the lock again.
 * Errors   ASYNC_EWAITUNLOCKED when nobody holds the lock; ASYNC_ENOTASK,
 *          ASYNC_EBOUND
 * Cancel   is raised when it has the lock again: that is so after every wait,
 *          whatever it raises, but for the errors above and ASYNC_ENOMEM
 *          of the await itself, which have left the lock as it was.  If it
 *          had been notified, another one is instead.
 * Counterpart: Condition.wait(). */
struct async_condition_wait {
    ASYNC_FRAME;
    async_condition *condition;
    async__waiter waiter;
    int error;
};
ASYNC(async_condition_wait);

/* AWAIT_INTO(place, async_condition_wait_for, condition, predicate, argument):
 * waits until predicate(argument), which is called with the lock held, at
 * first and after each notification, is not 0; that is the result.
 * Errors   as async_condition_wait, if it has to wait
 * Cancel   as async_condition_wait
 * Counterpart: Condition.wait_for(). */
typedef int async_predicate(void *argument);
struct async_condition_wait_for {
    ASYNC_RETURNS(int);
    async_condition *condition;
    async_predicate *predicate;
    void *argument;
    int value;
};
ASYNC(async_condition_wait_for);

/* Wakes the first `n` who wait, or all.  They go on when they get the lock, so
 * not before the caller has released it.  With nobody waiting it does nothing,
 * and nothing is remembered.
 * Returns  0; ASYNC_ENOTIFYUNLOCKED when nobody holds the lock.
 * Counterparts: Condition.notify(), Condition.notify_all(). */
int async_condition_notify(async_condition *condition, size_t n);
int async_condition_notify_all(async_condition *condition);

/* ------------------------------------------------------------------------
 * SEMAPHORE
 *
 * Counts permits.  Who has to wait gets them in the order of arrival: a permit
 * that is released belongs to the first who waits, even before that runs.
 * Counterpart: asyncio.Semaphore.
 * ------------------------------------------------------------------------ */
typedef struct async_semaphore {
    async_link waiting; /* async__waiter */
    long value;
    long woken; /* who has a permit but has not run yet */
} async_semaphore;

/* With `value` permits.
 * Returns  0; ASYNC_ESEMAPHOREVALUE for less than 0, and then it has none. */
int async_semaphore_init(async_semaphore *semaphore, long value);

/* AWAIT(async_semaphore_acquire, semaphore): takes a permit, at once if one is
 * free and nobody waits.
 * Errors   ASYNC_ENOTASK, ASYNC_EBOUND, when it would have to wait
 * Cancel   takes nothing; a permit that it had got by then goes to the next
 * Counterpart: Semaphore.acquire(). */
struct async_semaphore_acquire {
    ASYNC_FRAME;
    async_semaphore *semaphore;
    async__waiter waiter;
};
ASYNC(async_semaphore_acquire);

/* Gives a permit back, or adds one.  Returns 0.
 * Counterpart: Semaphore.release(). */
int async_semaphore_release(async_semaphore *semaphore);

/* Whether acquiring would have to wait.  Counterpart: Semaphore.locked(). */
int async_semaphore_locked(const async_semaphore *semaphore);

/* ------------------------------------------------------------------------
 * BOUNDED SEMAPHORE
 *
 * A semaphore that never has more permits than in the beginning.
 * Counterpart: asyncio.BoundedSemaphore.
 * ------------------------------------------------------------------------ */
typedef struct async_bounded_semaphore {
    async_semaphore semaphore;
    long bound;
} async_bounded_semaphore;

/* All of it as for a semaphore, but for
 * async_bounded_semaphore_release()
 * Returns  0; ASYNC_EOVERRELEASED when there are as many permits as in the
 *          beginning: then there is not one more. */
int async_bounded_semaphore_init(async_bounded_semaphore *semaphore,
                                 long value);
struct async_bounded_semaphore_acquire {
    ASYNC_FRAME;
    async_bounded_semaphore *semaphore;
};
ASYNC(async_bounded_semaphore_acquire);
int async_bounded_semaphore_release(async_bounded_semaphore *semaphore);
int async_bounded_semaphore_locked(const async_bounded_semaphore *semaphore);

/* ------------------------------------------------------------------------
 * BARRIER
 *
 * A number of tasks wait for each other, and then all go on; again and again.
 * Who comes back before all have left waits until they have.
 * Counterpart: asyncio.Barrier.
 * ------------------------------------------------------------------------ */
typedef struct async_barrier {
    async_condition changed;
    int parties, count; /* how many it takes; are in it */
    int state;          /* ASYNC__FILLING .. */
} async_barrier;

/* For `parties` tasks.
 * Returns  0; ASYNC_EPARTIES for less than 1, and then it is for 1. */
int async_barrier_init(async_barrier *barrier, int parties);

/* AWAIT_INTO(index, async_barrier_wait, barrier): goes on when all are there;
 * the last to come does so at once.  The result is 0 for the first to come,
 * 1 for the second, ..
 * Errors   ASYNC_EBROKENBARRIER when the barrier is broken, or is reset or
 *          aborted meanwhile; ASYNC_ENOTASK, ASYNC_EBOUND, when it would
 *          have to wait
 * Cancel   leaves it: then one more is needed again.  If all were there, the
 *          others go on.
 * Counterpart: Barrier.wait(). */
struct async_barrier_wait {
    ASYNC_RETURNS(int);
    async_barrier *barrier;
    int index;
};
ASYNC(async_barrier_wait);

/* AWAIT(async_barrier_reset, barrier): empties it, and mends it if it was
 * broken; those who wait get ASYNC_EBROKENBARRIER.
 * AWAIT(async_barrier_abort, barrier): breaks it: those who wait, and who wants
 * to wait later, get ASYNC_EBROKENBARRIER, until it is reset.
 * Both suspend only while one who was woken has yet to go on.
 * Errors   ASYNC_ENOTASK, ASYNC_EBOUND, when it would have to wait
 * Cancel   nothing happens to the barrier
 * Counterparts: Barrier.reset(), Barrier.abort(). */
struct async_barrier_reset { ASYNC_FRAME; async_barrier *barrier; };
ASYNC(async_barrier_reset);
struct async_barrier_abort { ASYNC_FRAME; async_barrier *barrier; };
ASYNC(async_barrier_abort);

/* How many it takes; how many of them wait; whether it is broken.
 * Counterparts: Barrier.parties, Barrier.n_waiting, Barrier.broken. */
static inline int async_barrier_parties(const async_barrier *barrier);
static inline int async_barrier_n_waiting(const async_barrier *barrier);
static inline int async_barrier_broken(const async_barrier *barrier);

/* ------------------------------------------------------------------------
 * ASYNC_WITH
 *
 * Syntax   ASYNC_WITH(type, object) { body } ASYNC_END_WITH
 *          where `type` is async_lock, async_condition, async_semaphore,
 *          async_bounded_semaphore, or one of yours that has a coroutine
 *          type_acquire and an int type_release(object): 0, or an error.
 *          No semicolon after it.
 * Resume   awaits type_acquire, runs the body, and calls type_release however
 *          the body is left: its end, return, break, continue, error or
 *          cancellation.
 * Errors   those of type_acquire, and then the body is not run; those of
 *          type_release, which replace the one that was on its way
 * `object` is a pointer expression, evaluated more than once.
 * Counterpart: async with lock.
 * ------------------------------------------------------------------------ */
#define ASYNC_WITH(type, object) ASYNC__WITH(type, object)
#define ASYNC_END_WITH ASYNC__END_BLOCK(WITH)

/* ========================================================================
 * PRIVATE
 * ======================================================================== */

static inline int async_lock_locked(const async_lock *lock)
{
    return lock->held;
}
static inline int async_event_is_set(const async_event *event)
{
    return event->value;
}

/* Filling; when all are there, draining until the last has left. */
enum { ASYNC__FILLING, ASYNC__DRAINING, ASYNC__RESETTING, ASYNC__BROKEN };
static inline int async_barrier_parties(const async_barrier *barrier)
{
    return barrier->parties;
}
static inline int async_barrier_n_waiting(const async_barrier *barrier)
{
    return barrier->state == ASYNC__FILLING ? barrier->count : 0;
}
static inline int async_barrier_broken(const async_barrier *barrier)
{
    return barrier->state == ASYNC__BROKEN;
}

/* Label 0 acquires; 1 is the way in and, with an error or a pseudo-error, the
 * way out, where the object is still known; 3 stands behind. */
#define ASYNC__WITH(type, object)                                             \
    {                                                                         \
        ASYNC__BLOCK(WITH)                                                    \
        ASYNC__AWAIT(ASYNC__CAT(type, _acquire), (object), );                 \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            int async__error = ASYNC__CAT(type, _release)(object);            \
            if (ASYNC__UNLIKELY(async__error)) {                              \
                async__raised_while(co, async__error, co->error < 0);         \
                ASYNC__FAIL;                                                  \
            }                                                                 \
            ASYNC__BLOCK_BODY

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

/* --- queues of those who wait --------------------------------------------
 *
 * One that has been woken or cancelled stays in its queue until it runs,
 * except where it is taken out to say that it has been given something. */

/* The one behind `after` that is neither woken nor cancelled, or NULL; from
 * the start of the queue if that is NULL. */
static async__waiter *async__next_waiting(const async_link *queue,
                                          const async__waiter *after)
{
    const async_link *link = after != NULL ? &after->link : queue;
    if (queue->next == NULL) return NULL; /* never used */
    while ((link = link->next) != queue) {
        async__waiter *waiter = (async__waiter *)(uintptr_t)link;
        if (!async_future_done(&waiter->future)) return waiter;
    }
    return NULL;
}

/* Whether nobody of another loop stands there; else raised.  (A coroutine that
 * is driven by hand fails when it begins to wait.) */
static int async__may_queue_up(async *co, const async_link *queue)
{
    const async_loop *loop = async_loop_of(co);
    if (loop == NULL || async__list_empty(queue) ||
        ((const async__waiter *)(const void *)queue->next)->future.loop == loop)
        return 1;
    async__raised(co, ASYNC_EBOUND);
    return 0;
}

/* Stands in line, to wait for the future. */
static void async__queue_up(async *co, async_link *queue,
                            async__waiter *waiter)
{
    async_future_init(&waiter->future, async_loop_of(co));
    async__list_append(queue, &waiter->link);
}

/* Behind the wait.  Returns 0 when it had been taken out of the queue. */
static int async__leave_queue(async *co, async__waiter *waiter)
{
    (void)async__awaited(co);
    async__drop(co);
    if (waiter->link.prev == NULL) return 0;
    async__unlink(&waiter->link);
    return 1;
}

/* --- lock ---------------------------------------------------------------- */

void async_lock_init(async_lock *lock)
{
    async__list_init(&lock->waiting);
    lock->held = 0;
}

/* Takes the lock, if nobody stands before. */
static int async__lock_take(async_lock *lock)
{
    const async_link *link;
    if (lock->held) return 0;
    if (!async__list_empty(&lock->waiting))
        for (link = lock->waiting.next; link != &lock->waiting;
             link = link->next)
            if (!async_future_cancelled(
                    &((const async__waiter *)(const void *)link)->future))
                return 0;
    return lock->held = 1;
}

/* Sees to it that the first in the queue will run.  If that has been
 * cancelled, it does the same. */
static void async__lock_wake(async_lock *lock)
{
    async__waiter *first;
    if (async__list_empty(&lock->waiting)) return;
    first = (async__waiter *)(void *)lock->waiting.next;
    if (!async_future_done(&first->future))
        async_future_set_result(&first->future);
}

/* Behind the wait for it: takes the lock, unless there is an error. */
static void async__lock_waited(async *co, async_lock *lock,
                               async__waiter *waiter)
{
    (void)async__leave_queue(co, waiter);
    if (!co->error)
        lock->held = 1;
    else if (!lock->held)
        async__lock_wake(lock);
}

int async_lock_release(async_lock *lock)
{
    if (!lock->held) return ASYNC_ENOTACQUIRED;
    lock->held = 0;
    async__lock_wake(lock);
    return 0;
}

ASYNC(async_lock_acquire)
{
    ASYNC_BEGIN(async_lock_acquire);
    if (async__lock_take(self->lock)) ASYNC_RETURN();
    if (!async__may_queue_up(co, &self->lock->waiting)) ASYNC__FAIL;
    async__queue_up(co, &self->lock->waiting, &self->waiter);
    ASYNC__WAIT_FOR(&self->waiter.future);
    async__lock_waited(co, self->lock, &self->waiter);
    ASYNC__CHECK;
    ASYNC_END;
}

/* --- event --------------------------------------------------------------- */

void async_event_init(async_event *event)
{
    async__list_init(&event->waiting);
    event->value = 0;
}

void async_event_set(async_event *event)
{
    async__waiter *waiter = NULL;
    if (event->value) return;
    event->value = 1;
    while ((waiter = async__next_waiting(&event->waiting, waiter)) != NULL)
        async_future_set_result(&waiter->future);
}

void async_event_clear(async_event *event)
{
    event->value = 0;
}

ASYNC(async_event_wait)
{
    ASYNC_BEGIN(async_event_wait);
    if (self->event->value) ASYNC_RETURN();
    if (!async__may_queue_up(co, &self->event->waiting)) ASYNC__FAIL;
    async__queue_up(co, &self->event->waiting, &self->waiter);
    ASYNC__WAIT_FOR(&self->waiter.future);
    (void)async__leave_queue(co, &self->waiter);
    ASYNC__CHECK;
    ASYNC_END;
}

/* --- condition ----------------------------------------------------------- */

void async_condition_init(async_condition *condition, async_lock *lock)
{
    condition->shared = lock;
    async_lock_init(&condition->own);
    async__list_init(&condition->waiting);
}

static async_lock *async__lock_of(async_condition *condition)
{
    return condition->shared != NULL ? condition->shared : &condition->own;
}

ASYNC(async_condition_acquire)
{
    ASYNC_BEGIN(async_condition_acquire);
    ASYNC_AWAIT(async_lock_acquire, async__lock_of(self->condition));
    ASYNC_END;
}

int async_condition_release(async_condition *condition)
{
    return async_lock_release(async__lock_of(condition));
}

int async_condition_locked(const async_condition *condition)
{
    return condition->shared != NULL ? condition->shared->held
                                     : condition->own.held;
}

/* Wakes up to n. */
static void async__condition_wake(async_condition *condition, size_t n)
{
    async__waiter *waiter = NULL;
    for (; n > 0; n--) {
        waiter = async__next_waiting(&condition->waiting, waiter);
        if (waiter == NULL) return;
        async_future_set_result(&waiter->future);
    }
}

int async_condition_notify(async_condition *condition, size_t n)
{
    if (!async_condition_locked(condition)) return ASYNC_ENOTIFYUNLOCKED;
    async__condition_wake(condition, n);
    return 0;
}

int async_condition_notify_all(async_condition *condition)
{
    return async_condition_notify(condition, SIZE_MAX);
}

/* It waits for the lock in its own frame, not in async_lock_acquire's: that
 * could find no memory, and then it would have to raise without the lock. */
ASYNC(async_condition_wait)
{
    ASYNC_BEGIN(async_condition_wait);
    if (!async_condition_locked(self->condition))
        ASYNC_RAISE(ASYNC_EWAITUNLOCKED);
    if (async_loop_of(co) == NULL) ASYNC_RAISE(ASYNC_ENOTASK);
    if (!async__may_queue_up(co, &self->condition->waiting)) ASYNC__FAIL;
    (void)async_condition_release(self->condition);
    async__queue_up(co, &self->condition->waiting, &self->waiter);
    ASYNC__WAIT_FOR(&self->waiter.future);
    (void)async__leave_queue(co, &self->waiter);
    self->error = co->error;
    co->error = 0;
    while (!async__lock_take(async__lock_of(self->condition))) {
        async__queue_up(co, &async__lock_of(self->condition)->waiting,
                        &self->waiter);
        if (self->error) self->waiter.future.kind |= ASYNC__UNHURRIED;
        ASYNC__WAIT_FOR(&self->waiter.future);
        async__lock_waited(co, async__lock_of(self->condition), &self->waiter);
        if (!co->error) break;
        self->error = co->error;
        co->error = 0;
    }
    if (self->error) {
        async__condition_wake(self->condition, 1);
        co->error = self->error;
        ASYNC__FAIL;
    }
    ASYNC_END;
}

ASYNC(async_condition_wait_for)
{
    ASYNC_BEGIN(async_condition_wait_for);
    while (!(self->value = self->predicate(self->argument)))
        ASYNC_AWAIT(async_condition_wait, self->condition);
    ASYNC_RETURN(self->value);
    ASYNC_END;
}

/* --- semaphore ----------------------------------------------------------- */

int async_semaphore_init(async_semaphore *semaphore, long value)
{
    async__list_init(&semaphore->waiting);
    semaphore->value = value < 0 ? 0 : value;
    semaphore->woken = 0;
    return value < 0 ? (int)ASYNC_ESEMAPHOREVALUE : 0;
}

int async_semaphore_locked(const async_semaphore *semaphore)
{
    return semaphore->value == 0 || semaphore->woken > 0 ||
           async__next_waiting(&semaphore->waiting, NULL) != NULL;
}

/* Gives free permits to those who wait. */
static void async__semaphore_serve(async_semaphore *semaphore, long permits)
{
    while (permits-- > 0 && semaphore->value > 0) {
        async__waiter *waiter = async__next_waiting(&semaphore->waiting, NULL);
        if (waiter == NULL) return;
        semaphore->value--;
        semaphore->woken++;
        async__unlink(&waiter->link);
        async_future_set_result(&waiter->future);
    }
}

int async_semaphore_release(async_semaphore *semaphore)
{
    semaphore->value++;
    async__semaphore_serve(semaphore, 1);
    return 0;
}

ASYNC(async_semaphore_acquire)
{
    ASYNC_BEGIN(async_semaphore_acquire);
    if (!async_semaphore_locked(self->semaphore)) {
        self->semaphore->value--;
        ASYNC_RETURN();
    }
    if (!async__may_queue_up(co, &self->semaphore->waiting)) ASYNC__FAIL;
    async__queue_up(co, &self->semaphore->waiting, &self->waiter);
    ASYNC__WAIT_FOR(&self->waiter.future);
    if (!async__leave_queue(co, &self->waiter)) {
        self->semaphore->woken--;
        if (co->error) self->semaphore->value++; /* it got one, too late */
    }
    async__semaphore_serve(self->semaphore, self->semaphore->value);
    ASYNC__CHECK;
    ASYNC_END;
}

/* --- bounded semaphore --------------------------------------------------- */

int async_bounded_semaphore_init(async_bounded_semaphore *semaphore,
                                 long value)
{
    int error = async_semaphore_init(&semaphore->semaphore, value);
    semaphore->bound = semaphore->semaphore.value;
    return error;
}

ASYNC(async_bounded_semaphore_acquire)
{
    ASYNC_BEGIN(async_bounded_semaphore_acquire);
    ASYNC_AWAIT(async_semaphore_acquire, &self->semaphore->semaphore);
    ASYNC_END;
}

int async_bounded_semaphore_release(async_bounded_semaphore *semaphore)
{
    if (semaphore->semaphore.value >= semaphore->bound)
        return ASYNC_EOVERRELEASED;
    return async_semaphore_release(&semaphore->semaphore);
}

int async_bounded_semaphore_locked(const async_bounded_semaphore *semaphore)
{
    return async_semaphore_locked(&semaphore->semaphore);
}

/* --- barrier ------------------------------------------------------------- */

int async_barrier_init(async_barrier *barrier, int parties)
{
    async_condition_init(&barrier->changed, NULL);
    barrier->parties = parties < 1 ? 1 : parties;
    barrier->count = 0;
    barrier->state = ASYNC__FILLING;
    return parties < 1 ? (int)ASYNC_EPARTIES : 0;
}

static int async__barrier_lets_in(void *argument)
{
    const async_barrier *barrier = (const async_barrier *)argument;
    return barrier->state == ASYNC__FILLING || barrier->state == ASYNC__BROKEN;
}

static int async__barrier_lets_go(void *argument)
{
    return ((const async_barrier *)argument)->state != ASYNC__FILLING;
}

/* One who was in it leaves; the last opens it for those who wait to get in. */
static void async__barrier_left(async_barrier *barrier)
{
    if (--barrier->count > 0) return;
    if (barrier->state != ASYNC__BROKEN) barrier->state = ASYNC__FILLING;
    (void)async_condition_notify_all(&barrier->changed);
}

ASYNC(async_barrier_wait)
{
    ASYNC_BEGIN(async_barrier_wait);
    ASYNC_WITH(async_condition, &self->barrier->changed) {
        ASYNC_AWAIT(async_condition_wait_for, &self->barrier->changed,
                    async__barrier_lets_in, self->barrier);
        if (async_barrier_broken(self->barrier))
            ASYNC_RAISE(ASYNC_EBROKENBARRIER);
        self->index = self->barrier->count++;
        ASYNC_TRY {
            if (self->barrier->count == self->barrier->parties) {
                self->barrier->state = ASYNC__DRAINING;
                (void)async_condition_notify_all(&self->barrier->changed);
            } else {
                ASYNC_AWAIT(async_condition_wait_for, &self->barrier->changed,
                            async__barrier_lets_go, self->barrier);
                if (self->barrier->state != ASYNC__DRAINING)
                    ASYNC_RAISE(ASYNC_EBROKENBARRIER);
            }
        } ASYNC_FINALLY {
            async__barrier_left(self->barrier);
        } ASYNC_END_TRY
    } ASYNC_END_WITH
    ASYNC_RETURN(self->index);
    ASYNC_END;
}

ASYNC(async_barrier_reset)
{
    ASYNC_BEGIN(async_barrier_reset);
    ASYNC_WITH(async_condition, &self->barrier->changed) {
        self->barrier->state =
            self->barrier->count > 0 ? ASYNC__RESETTING : ASYNC__FILLING;
        (void)async_condition_notify_all(&self->barrier->changed);
    } ASYNC_END_WITH
    ASYNC_END;
}

ASYNC(async_barrier_abort)
{
    ASYNC_BEGIN(async_barrier_abort);
    ASYNC_WITH(async_condition, &self->barrier->changed) {
        self->barrier->state = ASYNC__BROKEN;
        (void)async_condition_notify_all(&self->barrier->changed);
    } ASYNC_END_WITH
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
