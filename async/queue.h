/* queue.h - queues: items that pass from task to task
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     typedef ASYNC_QUEUE(int, 16) int_queue;     at most 16 items, inside it
 *     static int_queue numbers;
 *     ASYNC_QUEUE_INIT(&numbers);
 *     AWAIT_QUEUE_PUT(&numbers, 42);              in one coroutine
 *     AWAIT_QUEUE_GET_INTO(self->n, &numbers);    in another
 *
 *   QUEUES         their types; first in, first out; last in; by priority
 *   PUT AND GET    from a coroutine, and without waiting from anywhere
 *   STATE          qsize, empty, full, maxsize
 *   WORK           task_done, join
 *   SHUTDOWN       the end of a queue
 *   PRIVATE
 *
 * A queue is for the tasks of one loop, not for several threads, as in
 * asyncio.  Who waits does so in its own node: an operation allocates nothing,
 * but for a queue on the heap that grows.  A queue is the caller's; it must
 * stay where it is, and not go while somebody waits.
 */
#ifndef CAESURA_QUEUE_H
#define CAESURA_QUEUE_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * QUEUES
 *
 * ASYNC_QUEUE(T, n)    the type of a queue of at most n (1 or more) items of
 *                      type T, which are in it.  It never allocates.
 * ASYNC_HEAP_QUEUE(T)  the type of one whose items lie on the heap.
 *
 * T is a type name that can stand before an identifier; items are copied as
 * bytes, in and out.  A typedef lets functions pass such queues on; those that
 * take a queue of any type take the `async_queue` in it, &q.queue.
 *
 * Any of them can be begun in one of three orders, before its first use:
 *
 * ASYNC_QUEUE_INIT(q)                    first in, first out
 * ASYNC_LIFO_QUEUE_INIT(q)               last in, first out
 * ASYNC_PRIORITY_QUEUE_INIT(q, compare)  the least first
 *
 * ASYNC_HEAP_QUEUE_INIT(q, loop, maxsize)
 * ASYNC_HEAP_LIFO_QUEUE_INIT(q, loop, maxsize)
 * ASYNC_HEAP_PRIORITY_QUEUE_INIT(q, loop, maxsize, compare)
 *
 * q        a pointer, evaluated more than once
 * compare  int compare(const void *a, const void *b), as for qsort(): less
 *          than 0 when *a goes before *b.  Among equals it is as in Python's
 *          heapq, in no order that means anything: compare a number too where
 *          it must.
 * loop     whose allocator gives the memory: twice as much whenever it is
 *          full, none before the first item.  The allocator must stay until
 *          async_queue_destroy().
 * maxsize  the most items; 0 or less: no limit
 *
 * A queue that nobody waits in can be begun again, if it is not on the heap.
 * Counterparts: asyncio.Queue, LifoQueue, PriorityQueue.
 * ------------------------------------------------------------------------ */
typedef struct async_queue async_queue;
typedef int async_queue_compare(const void *a, const void *b);

#define ASYNC_QUEUE(T, n)                                                     \
    struct {                                                                  \
        async_queue queue;                                                    \
        T items[n];                                                           \
    }
#define ASYNC_HEAP_QUEUE(T)                                                   \
    struct {                                                                  \
        async_queue queue;                                                    \
        T *items; /* for its type alone */                                    \
    }

#define ASYNC_QUEUE_INIT(q) ASYNC__QUEUE_INIT(q, ASYNC__FIFO, NULL)
#define ASYNC_LIFO_QUEUE_INIT(q) ASYNC__QUEUE_INIT(q, ASYNC__LIFO, NULL)
#define ASYNC_PRIORITY_QUEUE_INIT(q, compare)                                 \
    ASYNC__QUEUE_INIT(q, ASYNC__BY_PRIORITY, compare)
#define ASYNC_HEAP_QUEUE_INIT(q, loop, maxsize)                               \
    ASYNC__HEAP_QUEUE_INIT(q, loop, maxsize, ASYNC__FIFO, NULL)
#define ASYNC_HEAP_LIFO_QUEUE_INIT(q, loop, maxsize)                          \
    ASYNC__HEAP_QUEUE_INIT(q, loop, maxsize, ASYNC__LIFO, NULL)
#define ASYNC_HEAP_PRIORITY_QUEUE_INIT(q, loop, maxsize, compare)             \
    ASYNC__HEAP_QUEUE_INIT(q, loop, maxsize, ASYNC__BY_PRIORITY, compare)

/* Gives the memory of a queue on the heap back, with what is in it; others
 * have none.  Nobody may wait in it.  It must be begun again before it is
 * used. */
void async_queue_destroy(async_queue *queue);

/* ------------------------------------------------------------------------
 * PUT AND GET
 *
 * In a coroutine; each an await, with its rules, but none that needs not wait
 * suspends.
 *
 * AWAIT_QUEUE_PUT(q, value)       puts `value` in, when there is a place.  The
 *                                 value is evaluated first, once, and kept
 *                                 while this waits.
 * AWAIT_QUEUE_GET_INTO(place, q)  takes the next item into `place`, of the
 *                                 items' type, which is evaluated when there
 *                                 is one, and untouched after an error
 *
 * Who waits is woken in the order of arrival, one for each item or place.
 * Being woken is a hint, as in asyncio: when somebody else was quicker, it
 * waits again, behind the others; and by priority the item is chosen when the
 * getter runs.
 * Errors   ASYNC_EQUEUESHUTDOWN; ASYNC_ENOMEM when a queue on the heap cannot
 *          grow, and then the item is not in it, or, of a put, when there is
 *          no memory to wait in; ASYNC_ENOTASK when a coroutine driven by hand
 *          would have to wait; ASYNC_EBOUND when tasks of another loop wait
 *          in the queue
 * Cancel   puts nothing in and takes nothing out.  One that had been woken by
 *          then wakes the next.
 * Counterparts: Queue.put(), Queue.get(). */
#define ASYNC_AWAIT_QUEUE_PUT(q, value) ASYNC__AWAIT_QUEUE_PUT(q, value)
#define ASYNC_AWAIT_QUEUE_GET_INTO(place, q)                                  \
    ASYNC__AWAIT_QUEUE_GET_INTO(place, q)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_QUEUE_PUT(q, value) ASYNC__AWAIT_QUEUE_PUT(q, value)
#define AWAIT_QUEUE_GET_INTO(place, q) ASYNC__AWAIT_QUEUE_GET_INTO(place, q)
#endif

/* The same from anywhere, callbacks too, without waiting.  They are
 * expressions.
 *
 * ASYNC_QUEUE_PUT_NOWAIT(q, value)
 * ASYNC_QUEUE_GET_NOWAIT(q, place)   a pointer to a place
 *
 * Returns  0; ASYNC_EQUEUEFULL or ASYNC_EQUEUEEMPTY; ASYNC_EQUEUESHUTDOWN;
 *          ASYNC_ENOMEM when a queue on the heap cannot grow.  After an error
 *          nothing has changed.
 * Counterparts: Queue.put_nowait(), Queue.get_nowait(). */
#define ASYNC_QUEUE_PUT_NOWAIT(q, value) ASYNC__QUEUE_PUT_NOWAIT(q, value)
#define ASYNC_QUEUE_GET_NOWAIT(q, place) ASYNC__QUEUE_GET_NOWAIT(q, place)

/* The same as coroutines, to be made a task of, gathered, or limited in time:
 *
 *     AWAIT_WAIT_FOR(ASYNC_MS(10), ASYNC_QUEUE_GET(&q, &self->n));
 *
 * ASYNC_QUEUE_PUT(q, item), ASYNC_QUEUE_GET(q, place) are the name and the
 * arguments for AWAIT, CO and so on.  Both take pointers, which must stay good
 * until it has ended. */
#define ASYNC_QUEUE_PUT(q, item)                                              \
    async_queue_put, &(q)->queue, ASYNC__QUEUE_POINTER(q, item)
#define ASYNC_QUEUE_GET(q, place)                                             \
    async_queue_get, &(q)->queue, ASYNC__QUEUE_POINTER(q, place)

/* For a queue whose item's type is not known here. */
struct async_queue_put { ASYNC_FRAME; async_queue *queue; const void *item; };
struct async_queue_get { ASYNC_FRAME; async_queue *queue; void *place; };
ASYNC(async_queue_put);
ASYNC(async_queue_get);
int async_queue_put_nowait(async_queue *queue, const void *item);
int async_queue_get_nowait(async_queue *queue, void *place);

/* ------------------------------------------------------------------------
 * STATE
 *
 * How many items are in it; whether there are none, or as many as may be;
 * the most that may be, 0 when there is no limit.
 * Counterparts: Queue.qsize(), empty(), full(), maxsize.
 * ------------------------------------------------------------------------ */
static inline size_t async_queue_qsize(const async_queue *queue);
static inline int async_queue_empty(const async_queue *queue);
static inline int async_queue_full(const async_queue *queue);
static inline size_t async_queue_maxsize(const async_queue *queue);

/* ------------------------------------------------------------------------
 * WORK
 *
 * An item that was put in is work to be done, also when it has been taken out,
 * until its consumer says that it is done.
 * ------------------------------------------------------------------------ */

/* Says that the work on one item is done.
 * Returns  0; ASYNC_ETASKDONE when there was none.
 * Counterpart: Queue.task_done(). */
int async_queue_task_done(async_queue *queue);

/* AWAIT(async_queue_join, queue): waits until all work is done, at once when
 * there is none.  What is put in between that and the moment when this goes on
 * does not hold it up.
 * Errors   ASYNC_ENOTASK, ASYNC_EBOUND, as above
 * Cancel   changes nothing
 * Counterpart: Queue.join(). */
struct async_queue_join { ASYNC_FRAME; async_queue *queue; };
ASYNC(async_queue_join);

/* ------------------------------------------------------------------------
 * SHUTDOWN
 * ------------------------------------------------------------------------ */

/* From now on nothing can be put in; what is in it can be taken out, and then
 * getting fails too.  All that wait to put or get are woken, and go on with
 * ASYNC_EQUEUESHUTDOWN.
 *
 * immediate  not 0: what is in it is dropped as well, as work that is done.
 *            (If items own something, take them out yourself before.)
 * Counterpart: Queue.shutdown(), of Python 3.13. */
void async_queue_shutdown(async_queue *queue, int immediate);

/* ========================================================================
 * PRIVATE
 *
 * Who waits does so like a sleeper: its node stands in one of the queue's
 * three lines, from which cancellation takes it.  Who is woken leaves the line
 * and waits for `woken`, a future that is done: so a cancellation comes when
 * it runs next, and finds the queue by it, to wake another.
 *
 * A putter that waits has its item where its next frame would be.
 *
 * What is inline is what happens mostly: first in, first out, and a place or an
 * item there, or the wait for one.  For all else there is one call, after which
 * nothing is needed but the coroutine and its frame.
 * ======================================================================== */
struct async_queue {
    async_future woken; /* must be first */
    char *items, *end;  /* the memory */
    char *in, *out; /* first in, first out: where the next one goes, and comes
                     * from; in another order `out` is NULL */
    size_t count;
    size_t direct; /* with fewer items than that, `in` is free to be used */
    size_t unfinished;
    async_loop *open; /* whose tasks may wait to put or get; NULL until one
                       * does, and when it is shut down */
    async_link getters, putters, joiners;
    size_t size;    /* of an item */
    size_t maxsize; /* or SIZE_MAX */
    async_queue_compare *compare;
    const async_allocator *allocator;
    unsigned char order; /* ASYNC__FIFO .. */
    unsigned char shut_down, on_heap;
};
enum { ASYNC__FIFO, ASYNC__LIFO, ASYNC__BY_PRIORITY };

void async__queue_init(async_queue *queue, void *items, size_t size,
                       size_t maxsize, int order, async_queue_compare *compare);
void async__queue_init_heap(async_queue *queue, async_loop *loop, size_t size,
                            long maxsize, int order,
                            async_queue_compare *compare);
int async__queue_add(async_queue *queue, const void *item, size_t size);
int async__queue_take(async_queue *queue, void *place, size_t size);
/* The rest of the functions below, with what they return. */
ASYNC__NOINLINE int async__queue_put_slow(async *co, async_frame *frame,
                                          async_queue *queue,
                                          const void *item, size_t size);
ASYNC__NOINLINE int async__queue_get_slow(async *co, async_queue *queue,
                                          void *place, size_t size);
ASYNC__NOINLINE int async__queue_have_put_slow(async *co, size_t size);
ASYNC__NOINLINE int async__queue_got_slow(async *co, void *place, size_t size);
ASYNC__COLD int async__queue_wait_slow(async *co, async_queue *queue,
                                       async_link *line);

#define ASYNC__QUEUE_INIT(q, order, compare)                                  \
    async__queue_init(&(q)->queue, (q)->items, sizeof *(q)->items,            \
                      sizeof (q)->items / sizeof *(q)->items, (order),        \
                      (compare))
#define ASYNC__HEAP_QUEUE_INIT(q, loop, maxsize, order, compare)              \
    async__queue_init_heap(&(q)->queue, (loop), sizeof *(q)->items,           \
                           (maxsize), (order), (compare))

static inline size_t async_queue_qsize(const async_queue *queue)
{
    return queue->count;
}
static inline int async_queue_empty(const async_queue *queue)
{
    return queue->count == 0;
}
static inline int async_queue_full(const async_queue *queue)
{
    return queue->count >= queue->maxsize;
}
static inline size_t async_queue_maxsize(const async_queue *queue)
{
    return queue->maxsize == SIZE_MAX ? 0 : queue->maxsize;
}

/* The first of a line leaves it.  Who is alone in a line is a case of its own,
 * here and in async__queue_wait(): what is written then is known before the
 * neighbours have been looked at. */
static inline void async__queue_leave(async_link *line, async_link *first)
{
#ifdef ASYNC_STATIC_ONLY
    (void)line;
    async__unlink(first);
#else
    async_link *next = first->next;
    line->next = next;
    if (ASYNC__LIKELY(next == line))
        line->prev = line;
    else
        next->prev = line;
#endif
}

/* The first of a line runs in the next iteration, if there is one. */
static inline int async__queue_wake_here(async_queue *queue, async_link *line)
{
    async_link *first = line->next;
    async *co = (async *)(void *)first;
    if (first == line) return 0;
    async__queue_leave(line, first);
    co->flags &= ~ASYNC__IS_SLEEPING;
    async__ready(queue->woken.loop, &co->node);
    return 1;
}
static inline void async__queue_wake(async_queue *queue, async_link *line)
{
    if (async__queue_wake_here(queue, line)) async__kick(queue->woken.loop);
}

/* Puts an item in, or takes one out, if that is a matter of bytes, and wakes
 * nobody yet; else returns 0.
 *
 * only  where its only place is in a queue that has one, behind the queue's
 *       address: `in` and `out` stay where they are.  0 in others. */
static inline int async__queue_put_here(async_queue *queue, const void *item,
                                        size_t size, size_t only)
{
    size_t count = queue->count;
    if (ASYNC__UNLIKELY(count >= queue->direct)) return 0;
    if (only) {
        memcpy((char *)queue + only, item, size);
    } else {
        char *in = queue->in;
        queue->in = in + size == queue->end ? queue->items : in + size;
        memcpy(in, item, size);
    }
    queue->count = count + 1;
    queue->unfinished++;
    return 1;
}
static inline int async__queue_take_here(async_queue *queue, void *place,
                                         size_t size, size_t only)
{
    size_t count = queue->count;
    if (ASYNC__UNLIKELY(count == 0)) return 0;
    if (only) {
        memcpy(place, (char *)queue + only, size);
    } else {
        char *out = queue->out;
        if (ASYNC__UNLIKELY(out == NULL)) return 0;
        queue->out = out + size == queue->end ? queue->items : out + size;
        memcpy(place, out, size);
    }
    queue->count = count - 1;
    return 1;
}

/* Joins a line.  Returns 1; or -1 with the error raised, when that cannot
 * be. */
#ifdef ASYNC_STATIC_ONLY
#define async__queue_wait async__queue_wait_slow
#else
static inline int async__queue_wait(async *co, async_queue *queue,
                                    async_link *line)
{
    const async_loop *open = queue->open;
    if (ASYNC__UNLIKELY(open == NULL || open->current != co))
        return async__queue_wait_slow(co, queue, line);
    co->flags |= ASYNC__IS_SLEEPING;
    co->wait.future = &queue->woken;
    co->node.link.next = line;
    if (ASYNC__LIKELY(line->next == line)) {
        co->node.link.prev = line;
        line->next = &co->node.link;
    } else {
        co->node.link.prev = line->prev;
        line->prev->next = &co->node.link;
    }
    line->prev = &co->node.link;
    return 1;
}
#endif

/* An await, and, behind its wait, the look at what there is: 0 when it is done,
 * 1 when it waits (again), -1 when an error is raised.
 * async__queue_put() returns 2: async__queue_put_slow() is to do it.  Behind a
 * wait the loop runs, and need not be told that it has something to do. */
#ifdef ASYNC_STATIC_ONLY
/* Code is dearer than time. */
#define async__queue_put(co, queue, item, size, only) 2
#define async__queue_have_put(co, queue, size, only)                          \
    async__queue_have_put_slow((co), (size))
#define async__queue_get(co, queue, place, size, only)                        \
    async__queue_get_slow((co), (queue), (place), (size))
#define async__queue_got(co, queue, place, size, only)                        \
    async__queue_got_slow((co), (place), (size))
#else
static inline int async__queue_put(async *co, async_queue *queue,
                                   const void *item, size_t size, size_t only)
{
    if (ASYNC__LIKELY(async__queue_put_here(queue, item, size, only))) {
        async__queue_wake(queue, &queue->getters);
        return 0;
    }
    if (ASYNC__UNLIKELY(queue->direct != (only ? 1 : queue->maxsize) ||
                        (size_t)(co->end - co->sp) <
                            async__round(size, ASYNC__ALIGNMENT)))
        return 2;
    memcpy(co->sp, item, size);
    return async__queue_wait(co, queue, &queue->putters);
}
static inline int async__queue_have_put(async *co, async_queue *queue,
                                        size_t size, size_t only)
{
    if (ASYNC__LIKELY(!co->error && co->wait.future == &queue->woken &&
                      async__queue_put_here(queue, co->sp, size, only))) {
        co->wait.future = NULL;
        async__queue_wake_here(queue, &queue->getters);
        return 0;
    }
    return async__queue_have_put_slow(co, size);
}
static inline int async__queue_get(async *co, async_queue *queue, void *place,
                                   size_t size, size_t only)
{
    if (ASYNC__LIKELY(async__queue_take_here(queue, place, size, only))) {
        async__queue_wake(queue, &queue->putters);
        return 0;
    }
    if (!only && queue->count > 0)
        return async__queue_get_slow(co, queue, place, size);
    return async__queue_wait(co, queue, &queue->getters);
}
static inline int async__queue_got(async *co, async_queue *queue, void *place,
                                   size_t size, size_t only)
{
    if (ASYNC__LIKELY(!co->error && co->wait.future == &queue->woken &&
                      async__queue_take_here(queue, place, size, only))) {
        co->wait.future = NULL;
        async__queue_wake_here(queue, &queue->putters);
        return 0;
    }
    return async__queue_got_slow(co, place, size);
}
#endif

/* What get_nowait fails with. */
static inline int async__queue_nothing(const async_queue *queue)
{
    return queue->shut_down ? ASYNC_EQUEUESHUTDOWN : ASYNC_EQUEUEEMPTY;
}

/* What put_nowait and get_nowait do. */
static inline int async__queue_put_now(async_queue *queue, const void *item,
                                       size_t size, size_t only)
{
    if (ASYNC__LIKELY(async__queue_put_here(queue, item, size, only))) {
        async__queue_wake(queue, &queue->getters);
        return 0;
    }
    return async__queue_add(queue, item, size);
}
static inline int async__queue_get_now(async_queue *queue, void *place,
                                       size_t size, size_t only)
{
    if (ASYNC__LIKELY(async__queue_take_here(queue, place, size, only))) {
        async__queue_wake(queue, &queue->putters);
        return 0;
    }
    return async__queue_take(queue, place, size);
}

/* Where the only place is in a queue that has one; 0 in others, and where the
 * compiler cannot tell an array from a pointer. */
#ifdef __cplusplus
#define ASYNC__QUEUE_ONLY(q) 0
#else
#define ASYNC__QUEUE_ONLY(q)                                                  \
    (sizeof (q)->items == sizeof *(q)->items &&                               \
             !__builtin_types_compatible_p(__typeof__((q)->items),            \
                                           __typeof__(&*(q)->items))          \
         ? offsetof(__typeof__(*(q)), items)                                  \
         : 0)
#endif

/* The queue again, behind a wait.  It is what the coroutine waits for; but who
 * calls it by its name (&name) knows its address without a look at that, and
 * can begin before the coroutine itself has come from memory.  (What it is then
 * compared with only tells that this was right.) */
#if defined(ASYNC_STATIC_ONLY) || !defined(__OPTIMIZE__)
#define ASYNC__QUEUE_AGAIN(q) ((async_queue *)co->wait.future)
#else
#define ASYNC__QUEUE_AGAIN(q)                                                 \
    (ASYNC__IS_ADDRESS(#q) ? &(q)->queue : (async_queue *)co->wait.future)
#define ASYNC__IS_ADDRESS(text)                                               \
    ((text)[0] == '&' && __builtin_strncmp((text), "&self", 5) != 0 &&        \
     __builtin_strpbrk((text) + 1, "-+*&[](){}?:,") == NULL)
#endif

/* Suspends, and goes on with `resumed` as long as that waits again. */
#define ASYNC__QUEUE_PARK(resumed)                                            \
    ASYNC__PARK(ASYNC__WAITING)                                               \
    {                                                                         \
        int async__outcome = (resumed);                                       \
        if (ASYNC__UNLIKELY(async__outcome > 0))                              \
            return async__status(ASYNC__WAITING);                             \
        if (ASYNC__UNLIKELY(async__outcome < 0)) ASYNC__FAIL;                 \
    }

#define ASYNC__AWAIT_QUEUE_PUT(q, value_)                                     \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        {                                                                     \
            __typeof__(*(q)->items) async__item = (value_);                   \
            int async__put =                                                  \
                async__queue_put(co, &(q)->queue, &async__item,               \
                                 sizeof async__item, ASYNC__QUEUE_ONLY(q));   \
            if (ASYNC__UNLIKELY(async__put > 1)) {                            \
                /* So that nobody is told where that one is. */               \
                __typeof__(*(q)->items) async__copy = async__item;            \
                async__put = async__queue_put_slow(co, async__self,           \
                                                   &(q)->queue, &async__copy, \
                                                   sizeof async__copy);       \
            }                                                                 \
            if (ASYNC__LIKELY(async__put == 0)) break;                        \
            if (ASYNC__UNLIKELY(async__put < 0)) ASYNC__FAIL;                 \
        }                                                                     \
        ASYNC__QUEUE_PARK(async__queue_have_put(                              \
            co, ASYNC__QUEUE_AGAIN(q), sizeof *(q)->items,                    \
            ASYNC__QUEUE_ONLY(q)))                                            \
    } while (0)

#define ASYNC__AWAIT_QUEUE_GET_INTO(place, q)                                 \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        {                                                                     \
            int async__got = async__queue_get(                                \
                co, &(q)->queue, ASYNC__QUEUE_POINTER(q, &(place)),           \
                sizeof *(q)->items, ASYNC__QUEUE_ONLY(q));                    \
            if (ASYNC__LIKELY(async__got == 0)) break;                        \
            if (ASYNC__UNLIKELY(async__got < 0)) ASYNC__FAIL;                 \
        }                                                                     \
        ASYNC__QUEUE_PARK(async__queue_got(                                   \
            co, ASYNC__QUEUE_AGAIN(q), &(place), sizeof *(q)->items,          \
            ASYNC__QUEUE_ONLY(q)))                                            \
    } while (0)

#define ASYNC__QUEUE_PUT_NOWAIT(q, value_)                                    \
    __extension__({                                                           \
        __typeof__(*(q)->items) async__put = (value_);                        \
        async__queue_put_now(&(q)->queue, &async__put, sizeof async__put,     \
                             ASYNC__QUEUE_ONLY(q));                           \
    })
#define ASYNC__QUEUE_GET_NOWAIT(q, place)                                     \
    async__queue_get_now(&(q)->queue, ASYNC__QUEUE_POINTER(q, place),         \
                         sizeof *(q)->items, ASYNC__QUEUE_ONLY(q))

/* A pointer, if it points to what the queue has. */
#ifdef __cplusplus
#define ASYNC__QUEUE_POINTER(q, pointer)                                      \
    ((void)sizeof((pointer) == &*(q)->items), (pointer))
#else
#define ASYNC__QUEUE_POINTER(q, pointer)                                      \
    ((void)sizeof(struct {                                                    \
         int the_items_of_this_queue_are_of_another_type                      \
             : __builtin_types_compatible_p(__typeof__(*(pointer)),           \
                                            __typeof__(*(q)->items)) ? 1      \
                                                                     : -1;    \
     }),                                                                      \
     (pointer))
#endif

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_QUEUE_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_QUEUE_IMPLEMENTED)
#define CAESURA_QUEUE_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- life ---------------------------------------------------------------- */

void async__queue_init(async_queue *queue, void *items, size_t size,
                       size_t maxsize, int order, async_queue_compare *compare)
{
    memset(queue, 0, sizeof *queue);
    if (maxsize == 1) order = ASYNC__FIFO; /* one item has no order */
    queue->woken.state = ASYNC__FINISHED;
    queue->items = queue->in = (char *)items;
    queue->out = order == ASYNC__FIFO ? queue->items : NULL;
    queue->end = (char *)items + maxsize * size;
    queue->direct = order == ASYNC__FIFO ? maxsize : 0;
    async__list_init(&queue->getters);
    async__list_init(&queue->putters);
    async__list_init(&queue->joiners);
    queue->size = size;
    queue->maxsize = maxsize;
    queue->compare = compare;
    queue->order = (unsigned char)order;
}

void async__queue_init_heap(async_queue *queue, async_loop *loop, size_t size,
                            long maxsize, int order,
                            async_queue_compare *compare)
{
    async__queue_init(queue, NULL, size, 0, order, compare);
    queue->woken.loop = loop;
    queue->maxsize = maxsize <= 0 ? SIZE_MAX : (size_t)maxsize;
#ifndef ASYNC_STATIC_ONLY
    queue->allocator = loop->allocator; /* else it never gets a place */
#endif
    queue->on_heap = 1;
}

void async_queue_destroy(async_queue *queue)
{
    if (queue->on_heap && queue->items != NULL)
        queue->allocator->release(queue->allocator->context, queue->items,
                                  (size_t)(queue->end - queue->items));
    if (queue->on_heap)
        queue->items = queue->end = queue->in = queue->out = NULL;
    queue->count = queue->direct = 0;
}

/* More memory for a queue on the heap that has used what it had; its items
 * move to the start. */
static ASYNC__COLD int async__queue_grow(async_queue *queue)
{
    size_t room = queue->count > 0 ? queue->count * 2 : 8;
    char *items = NULL;
    if (room > queue->maxsize) room = queue->maxsize;
    if (room > SIZE_MAX / 2 / queue->size) return ASYNC_ENOMEM;
    if (queue->allocator != NULL)
        items = (char *)queue->allocator->allocate(queue->allocator->context,
                                                   room * queue->size);
    if (items == NULL) return ASYNC_ENOMEM;
    if (queue->items != NULL) {
        const char *out = queue->out != NULL ? queue->out : queue->items;
        size_t behind = (size_t)(queue->end - out);
        memcpy(items, out, behind);
        memcpy(items + behind, queue->items, (size_t)(out - queue->items));
        queue->allocator->release(queue->allocator->context, queue->items,
                                  (size_t)(queue->end - queue->items));
    }
    queue->items = items;
    queue->in = items + queue->count * queue->size;
    queue->end = items + room * queue->size;
    if (queue->order == ASYNC__FIFO) {
        queue->out = items;
        queue->direct = room;
    }
    return 0;
}

/* --- order --------------------------------------------------------------- */

/* The heap is that of Python's heapq, step by step, so that equals come in the
 * same order. */

/* heapq._siftdown: moves the parents of a free place down, as long as the item
 * goes before them, and puts it in. */
static void async__queue_sift_down(async_queue *queue, size_t place,
                                   const void *item)
{
    size_t size = queue->size;
    while (place > 0) {
        size_t parent = (place - 1) / 2;
        char *above = queue->items + parent * size;
        if (queue->compare(item, above) >= 0) break;
        memcpy(queue->items + place * size, above, size);
        place = parent;
    }
    memcpy(queue->items + place * size, item, size);
}

/* heapq._siftup: the lesser child moves up all the way, and then the item,
 * which comes from behind the heap, goes up from below. */
static void async__queue_sift_up(async_queue *queue, const void *item)
{
    size_t size = queue->size, place = 0, child;
    while ((child = 2 * place + 1) < queue->count) {
        char *left = queue->items + child * size;
        if (child + 1 < queue->count &&
            queue->compare(left, left + size) >= 0) {
            child++;
            left += size;
        }
        memcpy(queue->items + place * size, left, size);
        place = child;
    }
    async__queue_sift_down(queue, place, item);
}

static void async__queue_take_ordered(async_queue *queue, void *place)
{
    const char *last = queue->items + --queue->count * queue->size;
    if (queue->order == ASYNC__LIFO || queue->count == 0) {
        memcpy(place, last, queue->size);
        return;
    }
    memcpy(place, queue->items, queue->size);
    async__queue_sift_up(queue, last);
}

/* --- put and get --------------------------------------------------------- */

/* Puts an item in, or returns why not. */
int async__queue_add(async_queue *queue, const void *item, size_t size)
{
    size_t at;
    if (queue->shut_down) return ASYNC_EQUEUESHUTDOWN;
    if (async_queue_full(queue)) return ASYNC_EQUEUEFULL;
    at = queue->count * size;
    if (at == (size_t)(queue->end - queue->items)) {
        int error = async__queue_grow(queue);
        if (error) return error;
    }
    if (!async__queue_put_here(queue, item, size, 0)) {
        queue->count++;
        queue->unfinished++;
        if (queue->order == ASYNC__LIFO)
            memcpy(queue->items + at, item, size);
        else
            async__queue_sift_down(queue, queue->count - 1, item);
    }
    async__queue_wake(queue, &queue->getters);
    return 0;
}

/* Takes an item out, or returns why not. */
int async__queue_take(async_queue *queue, void *place, size_t size)
{
    if (queue->count == 0) return async__queue_nothing(queue);
    if (!async__queue_take_here(queue, place, size, 0))
        async__queue_take_ordered(queue, place);
    async__queue_wake(queue, &queue->putters);
    return 0;
}

int async_queue_put_nowait(async_queue *queue, const void *item)
{
    return async__queue_add(queue, item, queue->size);
}

int async_queue_get_nowait(async_queue *queue, void *place)
{
    return async__queue_take(queue, place, queue->size);
}

static int async__queue_refused(async *co, int error)
{
    async__raised(co, error);
    return -1;
}

/* The queue is of the loop of those who wait in it. */
int async__queue_wait_slow(async *co, async_queue *queue, async_link *line)
{
    async_loop *loop = async_loop_of(co);
    if (queue->shut_down && line != &queue->joiners)
        return async__queue_refused(co, ASYNC_EQUEUESHUTDOWN);
    if (loop == NULL) return async__queue_refused(co, ASYNC_ENOTASK);
    if (queue->woken.loop != loop &&
        (!async__list_empty(&queue->getters) ||
         !async__list_empty(&queue->putters) ||
         !async__list_empty(&queue->joiners)))
        return async__queue_refused(co, ASYNC_EBOUND);
    queue->woken.loop = loop;
    if (!queue->shut_down) queue->open = loop;
    co->flags |= ASYNC__IS_SLEEPING;
    co->wait.future = &queue->woken;
    async__list_append(line, &co->node.link);
    return 1;
}

int async__queue_put_slow(async *co, async_frame *frame, async_queue *queue,
                          const void *item, size_t size)
{
    int error = async__queue_add(queue, item, size);
    if (error == 0) return 0;
    if (error != ASYNC_EQUEUEFULL) return async__queue_refused(co, error);
    if ((size_t)(co->end - co->sp) < async__round(size, ASYNC__ALIGNMENT)) {
        void *kept = async__grow(co, frame, size, 1);
        if (kept == NULL) return -1;
        co->sp = (char *)kept;
    }
    memcpy(co->sp, item, size);
    return async__queue_wait(co, queue, &queue->putters);
}

int async__queue_get_slow(async *co, async_queue *queue, void *place,
                          size_t size)
{
    if (async__queue_take(queue, place, size) == 0) return 0;
    return async__queue_wait(co, queue, &queue->getters);
}

/* Behind a wait: the queue, or NULL when that was ended by an error, such as a
 * cancellation.  One that had been woken by then wakes the next. */
static async_queue *async__queue_of(async *co, int getting)
{
    async_queue *queue = (async_queue *)co->wait.future;
    co->wait.future = NULL;
    if (ASYNC__LIKELY(!co->error)) return queue;
    if (queue != NULL) {
        if (getting && !async_queue_empty(queue))
            async__queue_wake(queue, &queue->getters);
        if (!getting && !async_queue_full(queue))
            async__queue_wake(queue, &queue->putters);
    }
    return NULL;
}

int async__queue_have_put_slow(async *co, size_t size)
{
    async_queue *queue = async__queue_of(co, 0);
    int error;
    if (queue == NULL) return -1;
    error = async__queue_add(queue, co->sp, size);
    if (error == 0) return 0;
    if (error != ASYNC_EQUEUEFULL) return async__queue_refused(co, error);
    return async__queue_wait(co, queue, &queue->putters);
}

int async__queue_got_slow(async *co, void *place, size_t size)
{
    async_queue *queue = async__queue_of(co, 1);
    if (queue == NULL) return -1;
    return async__queue_get_slow(co, queue, place, size);
}

ASYNC(async_queue_put)
{
    int error;
    ASYNC_BEGIN(async_queue_put);
    for (;;) {
        error = async_queue_put_nowait(self->queue, self->item);
        if (error == 0) ASYNC_RETURN();
        if (error != ASYNC_EQUEUEFULL) ASYNC_RAISE(error);
        if (async__queue_wait(co, self->queue, &self->queue->putters) < 0)
            ASYNC__FAIL;
        ASYNC__PARK(ASYNC__WAITING)
        if (async__queue_of(co, 0) == NULL) ASYNC__FAIL;
    }
    ASYNC_END;
}

ASYNC(async_queue_get)
{
    ASYNC_BEGIN(async_queue_get);
    while (async_queue_get_nowait(self->queue, self->place) != 0) {
        if (async__queue_wait(co, self->queue, &self->queue->getters) < 0)
            ASYNC__FAIL;
        ASYNC__PARK(ASYNC__WAITING)
        if (async__queue_of(co, 1) == NULL) ASYNC__FAIL;
    }
    ASYNC_END;
}

/* --- work ---------------------------------------------------------------- */

static void async__queue_wake_all(async_queue *queue, async_link *line)
{
    while (!async__list_empty(line)) async__queue_wake(queue, line);
}

int async_queue_task_done(async_queue *queue)
{
    if (queue->unfinished == 0) return ASYNC_ETASKDONE;
    if (--queue->unfinished == 0)
        async__queue_wake_all(queue, &queue->joiners);
    return 0;
}

ASYNC(async_queue_join)
{
    ASYNC_BEGIN(async_queue_join);
    if (self->queue->unfinished == 0) ASYNC_RETURN();
    if (async__queue_wait(co, self->queue, &self->queue->joiners) < 0)
        ASYNC__FAIL;
    ASYNC__PARK(ASYNC__WAITING)
    co->wait.future = NULL;
    ASYNC__CHECK;
    ASYNC_END;
}

void async_queue_shutdown(async_queue *queue, int immediate)
{
    queue->shut_down = 1;
    queue->open = NULL;
    queue->direct = 0;
    if (immediate) {
        queue->unfinished -= queue->count < queue->unfinished
                                 ? queue->count
                                 : queue->unfinished;
        queue->count = 0;
        if (queue->unfinished == 0)
            async__queue_wake_all(queue, &queue->joiners);
    }
    async__queue_wake_all(queue, &queue->getters);
    async__queue_wake_all(queue, &queue->putters);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
