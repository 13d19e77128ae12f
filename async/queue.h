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
 * A putter that waits has its item behind its frame, at the end of the stack.
 * ======================================================================== */
struct async_queue {
    async_future woken; /* must be first */
    char *items, *end;  /* the memory */
    char *in, *out;     /* first in, first out: where the next one goes */
    size_t count;
    size_t direct; /* with fewer items than that, `in` is free to be used */
    size_t unfinished;
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
int async__queue_add_slow(async_queue *queue, const void *item);
void async__queue_take_ordered(async_queue *queue, void *place);
ASYNC__COLD int async__queue_bind(async *co, async_queue *queue);
ASYNC__COLD void async__queue_interrupted(async *co, int getting);
ASYNC__COLD int async__queue_refused(async *co, int error);

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

/* The first of a line leaves it, and runs in the next iteration. */
static inline void async__queue_wake(async_queue *queue, async_link *line)
{
    async_link *link = line->next;
    if (link != line) {
        async *co = (async *)(void *)link;
        line->next = link->next;
        link->next->prev = line;
        co->flags &= ~ASYNC__IS_SLEEPING;
        async__ready(queue->woken.loop, &co->node);
        async__kick(queue->woken.loop);
    }
}

/* Puts an item in, or returns why not. */
static inline int async__queue_add(async_queue *queue, const void *item,
                                   size_t size)
{
    char *in = queue->in;
    size_t count = queue->count;
    if (ASYNC__UNLIKELY(count >= queue->direct))
        return queue->direct == queue->maxsize
                   ? (int)ASYNC_EQUEUEFULL
                   : async__queue_add_slow(queue, item);
    queue->in = in + size == queue->end ? queue->items : in + size;
    queue->count = count + 1;
    memcpy(in, item, size);
    queue->unfinished++;
    async__queue_wake(queue, &queue->getters);
    return 0;
}

/* Takes an item out, or returns 0. */
static inline int async__queue_take(async_queue *queue, void *place,
                                    size_t size)
{
    if (ASYNC__UNLIKELY(queue->count == 0)) return 0;
    if (ASYNC__LIKELY(queue->order == ASYNC__FIFO)) {
        const char *out = queue->out;
        queue->count--;
        queue->out += size;
        if (queue->out == queue->end) queue->out = queue->items;
        memcpy(place, out, size);
    } else {
        async__queue_take_ordered(queue, place);
    }
    async__queue_wake(queue, &queue->putters);
    return 1;
}

/* What get_nowait fails with. */
static inline int async__queue_nothing(const async_queue *queue)
{
    return queue->shut_down ? ASYNC_EQUEUESHUTDOWN : ASYNC_EQUEUEEMPTY;
}

/* Joins a line.  Returns 0, with the error raised, when that cannot be. */
static inline int async__queue_wait(async *co, async_queue *queue,
                                    async_link *line)
{
    async_link *last = line->prev;
    if (ASYNC__UNLIKELY(queue->woken.loop == NULL ||
                        queue->woken.loop->current != co) &&
        !async__queue_bind(co, queue))
        return 0;
    co->flags |= ASYNC__IS_SLEEPING;
    co->wait.future = &queue->woken;
    co->node.link.next = line;
    co->node.link.prev = last;
    last->next = line->prev = &co->node.link;
    return 1;
}

static inline int async__queue_wait_to_get(async *co, async_queue *queue)
{
    if (ASYNC__UNLIKELY(queue->shut_down))
        return async__queue_refused(co, ASYNC_EQUEUESHUTDOWN);
    return async__queue_wait(co, queue, &queue->getters);
}

/* Behind the wait: 0 when it has an item, 1 when it waits again, -1 when an
 * error is raised. */
static inline int async__queue_got(async *co, void *place, size_t size)
{
    async_queue *queue = (async_queue *)co->wait.future;
    if (ASYNC__UNLIKELY(co->error)) {
        async__queue_interrupted(co, 1);
        return -1;
    }
    co->wait.future = NULL;
    if (ASYNC__LIKELY(async__queue_take(queue, place, size))) return 0;
    return async__queue_wait_to_get(co, queue) ? 1 : -1;
}

/* The same for a put that has failed with `error`: keeps the item, and waits
 * if it is that the queue is full. */
static inline int async__queue_wait_to_put(async *co, async_frame *frame,
                                           async_queue *queue,
                                           const void *item, size_t size,
                                           int error)
{
    void *kept;
    if (ASYNC__UNLIKELY(error != ASYNC_EQUEUEFULL))
        return async__queue_refused(co, error);
    kept = async__push(co, size, 1);
    if (ASYNC__UNLIKELY(kept == NULL)) {
        kept = async__grow(co, frame, size, 1);
        if (kept == NULL) return 0;
    }
    memcpy(kept, item, size);
    if (ASYNC__LIKELY(async__queue_wait(co, queue, &queue->putters))) return 1;
    co->sp = (char *)kept;
    return 0;
}
static inline int async__queue_have_put(async *co, size_t size)
{
    async_queue *queue = (async_queue *)co->wait.future;
    char *kept = co->sp - async__round(size, ASYNC__ALIGNMENT);
    int error;
    if (ASYNC__UNLIKELY(co->error)) {
        co->sp = kept;
        async__queue_interrupted(co, 0);
        return -1;
    }
    co->wait.future = NULL;
    error = async__queue_add(queue, kept, size);
    if (ASYNC__UNLIKELY(error == ASYNC_EQUEUEFULL) &&
        async__queue_wait(co, queue, &queue->putters))
        return 1;
    co->sp = kept;
    if (ASYNC__LIKELY(error == 0)) return 0;
    if (error != ASYNC_EQUEUEFULL) async__queue_refused(co, error);
    return -1;
}

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
            int async__full = async__queue_add(&(q)->queue, &async__item,     \
                                               sizeof async__item);           \
            if (ASYNC__LIKELY(async__full == 0)) break;                       \
            if (!async__queue_wait_to_put(co, async__self, &(q)->queue,       \
                                          &async__item, sizeof async__item,   \
                                          async__full))                       \
                ASYNC__FAIL;                                                  \
        }                                                                     \
        ASYNC__QUEUE_PARK(async__queue_have_put(co, sizeof *(q)->items))      \
    } while (0)

#define ASYNC__AWAIT_QUEUE_GET_INTO(place, q)                                 \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        if (async__queue_take(&(q)->queue,                                    \
                              ASYNC__QUEUE_POINTER(q, &(place)),              \
                              sizeof *(q)->items))                            \
            break;                                                            \
        if (!async__queue_wait_to_get(co, &(q)->queue)) ASYNC__FAIL;          \
        ASYNC__QUEUE_PARK(                                                    \
            async__queue_got(co, &(place), sizeof *(q)->items))               \
    } while (0)

#define ASYNC__QUEUE_PUT_NOWAIT(q, value_)                                    \
    __extension__({                                                           \
        __typeof__(*(q)->items) async__put = (value_);                        \
        async__queue_add(&(q)->queue, &async__put, sizeof async__put);        \
    })
#define ASYNC__QUEUE_GET_NOWAIT(q, place)                                     \
    (async__queue_take(&(q)->queue, ASYNC__QUEUE_POINTER(q, place),           \
                       sizeof *(q)->items)                                    \
         ? 0                                                                  \
         : async__queue_nothing(&(q)->queue))

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
    queue->woken.state = ASYNC__FINISHED;
    queue->items = queue->in = queue->out = (char *)items;
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
    size_t behind = (size_t)(queue->end - queue->out);
    char *items = NULL;
    if (room > queue->maxsize) room = queue->maxsize;
    if (room > SIZE_MAX / 2 / queue->size) return ASYNC_ENOMEM;
    if (queue->allocator != NULL)
        items = (char *)queue->allocator->allocate(queue->allocator->context,
                                                   room * queue->size);
    if (items == NULL) return ASYNC_ENOMEM;
    if (queue->items != NULL) {
        memcpy(items, queue->out, behind);
        memcpy(items + behind, queue->items,
               (size_t)(queue->out - queue->items));
        queue->allocator->release(queue->allocator->context, queue->items,
                                  (size_t)(queue->end - queue->items));
    }
    queue->items = queue->out = items;
    queue->in = items + queue->count * queue->size;
    queue->end = items + room * queue->size;
    if (queue->order == ASYNC__FIFO) queue->direct = room;
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

void async__queue_take_ordered(async_queue *queue, void *place)
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

int async__queue_add_slow(async_queue *queue, const void *item)
{
    size_t at = queue->count * queue->size;
    if (queue->shut_down) return ASYNC_EQUEUESHUTDOWN;
    if (async_queue_full(queue)) return ASYNC_EQUEUEFULL;
    if (at == (size_t)(queue->end - queue->items)) {
        int error = async__queue_grow(queue);
        if (error) return error;
    }
    if (queue->order == ASYNC__FIFO)
        return async__queue_add(queue, item, queue->size);
    queue->count++;
    queue->unfinished++;
    if (queue->order == ASYNC__LIFO)
        memcpy(queue->items + at, item, queue->size);
    else
        async__queue_sift_down(queue, queue->count - 1, item);
    async__queue_wake(queue, &queue->getters);
    return 0;
}

int async_queue_put_nowait(async_queue *queue, const void *item)
{
    return async__queue_add(queue, item, queue->size);
}

int async_queue_get_nowait(async_queue *queue, void *place)
{
    if (async__queue_take(queue, place, queue->size)) return 0;
    return async__queue_nothing(queue);
}

int async__queue_refused(async *co, int error)
{
    async__raised(co, error);
    return 0;
}

/* The queue is of the loop of those who wait in it. */
int async__queue_bind(async *co, async_queue *queue)
{
    if (!(co->flags & ASYNC__IS_TASK))
        return async__queue_refused(co, ASYNC_ENOTASK);
    if (queue->woken.loop == async_loop_of(co)) return 1;
    if (!async__list_empty(&queue->getters) ||
        !async__list_empty(&queue->putters) ||
        !async__list_empty(&queue->joiners))
        return async__queue_refused(co, ASYNC_EBOUND);
    queue->woken.loop = async_loop_of(co);
    return 1;
}

/* Cancelled, while it waited, or when it had been woken. */
void async__queue_interrupted(async *co, int getting)
{
    async_queue *queue = (async_queue *)co->wait.future;
    co->wait.future = NULL;
    if (queue == NULL) return;
    if (getting && !async_queue_empty(queue))
        async__queue_wake(queue, &queue->getters);
    if (!getting && !async_queue_full(queue))
        async__queue_wake(queue, &queue->putters);
}

ASYNC(async_queue_put)
{
    int error;
    ASYNC_BEGIN(async_queue_put);
    for (;;) {
        error = async_queue_put_nowait(self->queue, self->item);
        if (error == 0) ASYNC_RETURN();
        if (error != ASYNC_EQUEUEFULL) ASYNC_RAISE(error);
        if (!async__queue_wait(co, self->queue, &self->queue->putters))
            ASYNC__FAIL;
        ASYNC__PARK(ASYNC__WAITING)
        if (co->error) {
            async__queue_interrupted(co, 0);
            ASYNC__FAIL;
        }
        co->wait.future = NULL;
    }
    ASYNC_END;
}

ASYNC(async_queue_get)
{
    ASYNC_BEGIN(async_queue_get);
    while (!async__queue_take(self->queue, self->place, self->queue->size)) {
        if (!async__queue_wait_to_get(co, self->queue)) ASYNC__FAIL;
        ASYNC__PARK(ASYNC__WAITING)
        if (co->error) {
            async__queue_interrupted(co, 1);
            ASYNC__FAIL;
        }
        co->wait.future = NULL;
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
    if (!async__queue_wait(co, self->queue, &self->queue->joiners))
        ASYNC__FAIL;
    ASYNC__PARK(ASYNC__WAITING)
    co->wait.future = NULL;
    ASYNC__CHECK;
    ASYNC_END;
}

void async_queue_shutdown(async_queue *queue, int immediate)
{
    queue->shut_down = 1;
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
