/* channel.h - memory channels: queues with ends that can be closed and cloned
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     typedef ASYNC_CHANNEL(int, 16) int_channel;   at most 16 items, inside it
 *     typedef ASYNC_SENDER(int) int_sender;
 *     typedef ASYNC_RECEIVER(int) int_receiver;
 *     ...
 *     ASYNC_CHANNEL_OPEN(&self->numbers, &self->in, &self->out);
 *     AWAIT_CHANNEL_SEND(&self->in, 42);            in one task
 *     AWAIT_CHANNEL_RECEIVE_INTO(self->n, &self->out);   in another
 *     async_sender_close(&self->in.sender);         there is no more
 *
 *   CHANNELS           their types, and opening one
 *   ENDS               cloning and closing them
 *   SEND AND RECEIVE   from a coroutine, and without waiting from anywhere
 *   STATISTICS
 *   PRIVATE
 *
 * Where a queue (async/queue.h) is a place, a channel is a connection: who
 * receives learns that nobody will send any more, and who sends, that nobody
 * will receive.  Who waits is given an item, or has one taken, in the order of
 * arrival; nobody comes in between.
 *
 * A channel is for the tasks of one loop, not for several threads.  Nothing
 * here allocates: who waits does so in its own frame.  The channel and its ends
 * are the caller's; they must stay where they are while they are open.
 */
#ifndef CAESURA_CHANNEL_H
#define CAESURA_CHANNEL_H

#include "sync.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * CHANNELS
 *
 * ASYNC_CHANNEL(T, n)   the type of a channel in which at most n items of type
 *                       T wait, which are in it.  With n 0 who sends waits
 *                       until somebody receives.
 * ASYNC_SENDER(T)       the types of its two ends.  They are objects: pass
 * ASYNC_RECEIVER(T)     pointers to them; a copy is not a clone.
 *
 * T is a type name that can stand before an identifier; items are copied as
 * bytes, in and out.  A typedef lets functions pass such ends on.
 *
 * ASYNC_CHANNEL_OPEN(channel, sender, receiver)   pointers to one of each: an
 * empty channel with these two ends.  One that has been closed, at all its
 * ends, may be opened again.
 * Counterparts: trio.open_memory_channel(n),
 * anyio.create_memory_object_stream(n).
 * ------------------------------------------------------------------------ */
typedef struct async_channel async_channel;
typedef struct async_sender {
    async_channel *channel; /* NULL: closed */
} async_sender;
typedef struct async_receiver {
    async_channel *channel; /* NULL: closed */
} async_receiver;

#define ASYNC_CHANNEL(T, n)                                                   \
    struct {                                                                  \
        async_channel channel;                                                \
        char (*room)[(n) + 1]; /* for its type alone */                       \
        T items[(n) > 0 ? (n) : 1];                                           \
    }
#define ASYNC_SENDER(T)                                                       \
    struct {                                                                  \
        async_sender sender;                                                  \
        T *items; /* for its type alone */                                    \
    }
#define ASYNC_RECEIVER(T)                                                     \
    struct {                                                                  \
        async_receiver receiver;                                              \
        T *items; /* for its type alone */                                    \
    }
#define ASYNC_CHANNEL_OPEN(c, s, r)                                           \
    ((void)ASYNC__CHANNEL_POINTER(c, (s)->items),                             \
     (void)ASYNC__CHANNEL_POINTER(c, (r)->items),                             \
     async__channel_open(&(c)->channel, (c)->items, sizeof *(c)->items,       \
                         sizeof *(c)->room - 1, &(s)->sender,                 \
                         &(r)->receiver))

/* ------------------------------------------------------------------------
 * ENDS
 *
 * An end may be used by several tasks.  Clones are for those who close their
 * own: the other side hears of it when the last one has been closed.
 * ------------------------------------------------------------------------ */

/* ASYNC_SENDER_CLONE(copy, sender), ASYNC_RECEIVER_CLONE(copy, receiver): make
 * `copy`, a pointer to a closed end of the same type, a further one.
 * Returns  0; ASYNC_ECLOSED when the other one is closed.
 * Counterpart: SendChannel.clone(), ReceiveChannel.clone(). */
#define ASYNC_SENDER_CLONE(copy, s)                                           \
    ((void)ASYNC__CHANNEL_POINTER(s, (copy)->items),                          \
     async__sender_clone(&(copy)->sender, &(s)->sender))
#define ASYNC_RECEIVER_CLONE(copy, r)                                         \
    ((void)ASYNC__CHANNEL_POINTER(r, (copy)->items),                          \
     async__receiver_clone(&(copy)->receiver, &(r)->receiver))

/* Closes an end.  Who waits by this one goes on with ASYNC_ECLOSED.  With the
 * last sender gone, what is in the channel can be received, and then there is
 * ASYNC_EENDOFCHANNEL.  With the last receiver gone, what is in it is dropped,
 * and sending is ASYNC_EBROKENRESOURCE.  (If items own something, receive them
 * before.)  Closing it again does nothing; zeroed memory is a closed end.
 * Counterparts: SendChannel.close(), ReceiveChannel.close(). */
void async_sender_close(async_sender *sender);
void async_receiver_close(async_receiver *receiver);

/* ------------------------------------------------------------------------
 * SEND AND RECEIVE
 *
 * In a coroutine; each an await, with its rules, but none that needs not wait
 * suspends.
 *
 * AWAIT_CHANNEL_SEND(s, value)           sends `value`, which is evaluated
 *                                        first, once, and kept while this waits
 * AWAIT_CHANNEL_RECEIVE_INTO(place, r)   the next item into `place`, of the
 *                                        items' type, which is evaluated when
 *                                        there is one
 *
 * Errors   ASYNC_ECLOSED when this end is closed, before or meanwhile;
 *          ASYNC_EENDOFCHANNEL, ASYNC_EBROKENRESOURCE (above); ASYNC_ENOMEM
 *          when there is no memory to wait in; ASYNC_ENOTASK when a coroutine
 *          driven by hand would have to wait; ASYNC_EBOUND when tasks of
 *          another loop wait in the channel
 * Cancel   sends nothing and receives nothing.  When the item has changed hands
 *          by then, this returns as if it had not been cancelled, and the next
 *          await that waits raises: no item is lost, and none is sent twice.
 * Counterparts: SendChannel.send(), ReceiveChannel.receive(); for
 * `async for x in receiver`, a loop in a TRY with
 * ASYNC_EXCEPT(ASYNC_EENDOFCHANNEL) around it. */
#define ASYNC_AWAIT_CHANNEL_SEND(s, value) ASYNC__AWAIT_CHANNEL_SEND(s, value)
#define ASYNC_AWAIT_CHANNEL_RECEIVE_INTO(place, r)                            \
    ASYNC__AWAIT_CHANNEL_RECEIVE_INTO(place, r)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_CHANNEL_SEND(s, value) ASYNC__AWAIT_CHANNEL_SEND(s, value)
#define AWAIT_CHANNEL_RECEIVE_INTO(place, r)                                  \
    ASYNC__AWAIT_CHANNEL_RECEIVE_INTO(place, r)
#endif

/* The same from anywhere, callbacks too, without waiting.  They are
 * expressions.
 *
 * ASYNC_CHANNEL_SEND_NOWAIT(s, value)
 * ASYNC_CHANNEL_RECEIVE_NOWAIT(r, place)   a pointer to a place
 *
 * Returns  0; ASYNC_EWOULDBLOCK; ASYNC_ECLOSED; ASYNC_EBROKENRESOURCE or
 *          ASYNC_EENDOFCHANNEL.  After an error nothing has changed.
 * Counterparts: send_nowait(), receive_nowait(). */
#define ASYNC_CHANNEL_SEND_NOWAIT(s, value)                                   \
    ASYNC__CHANNEL_SEND_NOWAIT(s, value)
#define ASYNC_CHANNEL_RECEIVE_NOWAIT(r, place)                                \
    async_channel_receive_nowait(&(r)->receiver,                              \
                                 ASYNC__CHANNEL_POINTER(r, place))

/* The same as coroutines, to be made a task of, selected from, or limited in
 * time:
 *
 *     AWAIT_WAIT_FOR(ASYNC_MS(10), ASYNC_CHANNEL_RECEIVE(&self->r, &self->n));
 *
 * ASYNC_CHANNEL_SEND(s, item), ASYNC_CHANNEL_RECEIVE(r, place) are the name and
 * the arguments for AWAIT, CO and so on.  Both take pointers, which must stay
 * good until it has ended. */
#define ASYNC_CHANNEL_SEND(s, item)                                           \
    async_channel_send, &(s)->sender, ASYNC__CHANNEL_POINTER(s, item)
#define ASYNC_CHANNEL_RECEIVE(r, place)                                       \
    async_channel_receive, &(r)->receiver, ASYNC__CHANNEL_POINTER(r, place)

/* For an end whose item's type is not known here. */
int async_channel_send_nowait(async_sender *sender, const void *item);
int async_channel_receive_nowait(async_receiver *receiver, void *place);

/* ------------------------------------------------------------------------
 * STATISTICS
 * ------------------------------------------------------------------------ */

/* How full a channel is, how many ends are open, and how many tasks wait.
 * Counterpart: statistics(), of both ends. */
typedef struct async_channel_statistics {
    size_t current_buffer_used, max_buffer_size;
    size_t open_senders, open_receivers;
    size_t tasks_waiting_send, tasks_waiting_receive;
} async_channel_statistics;
async_channel_statistics async_channel_get_statistics(
    const async_channel *channel);

/* ========================================================================
 * PRIVATE
 *
 * Who waits stands in a line, with a place for an item: a sender's has it, a
 * receiver's gets it.  Who hands over takes the other out of its line.  Senders
 * wait only while the channel is full, receivers while it is empty.
 *
 * The item of who waits lies behind its frame, at the end of the stack, unless
 * it was given a pointer; so does what a receiver returns.
 * ======================================================================== */
struct async_channel {
    async_link sending, receiving; /* async__channel_waiter */
    char *items;
    size_t size, room, count, first;
    size_t senders, receivers; /* that are open */
};

typedef struct async__channel_waiter {
    async__waiter waiter; /* must be first */
    const void *end;      /* by which it waits */
    void *item;
    int error;            /* why it has been woken without handing over */
} async__channel_waiter;

/* kept   copy the item before waiting */
struct async_channel_send {
    ASYNC_FRAME;
    async_sender *sender;
    const void *item;
    int kept;
    async__channel_waiter waiter;
};
/* place  NULL: behind the frame */
struct async_channel_receive {
    ASYNC_RETURNS(void *); /* where the item is */
    async_receiver *receiver;
    void *place;
    async__channel_waiter waiter;
};
ASYNC(async_channel_send);
ASYNC(async_channel_receive);

void async__channel_open(async_channel *channel, void *items, size_t size,
                         size_t room, async_sender *sender,
                         async_receiver *receiver);
int async__sender_clone(async_sender *copy, const async_sender *sender);
int async__receiver_clone(async_receiver *copy,
                          const async_receiver *receiver);

#define ASYNC__CHANNEL_SEND_NOWAIT(s, value_)                                 \
    __extension__({                                                           \
        __typeof__(*(s)->items) async__sent = (value_);                       \
        async_channel_send_nowait(&(s)->sender, &async__sent);                \
    })

#ifdef __cplusplus
} /* extern "C" */
/* A temporary lives to the end of the full expression, in which the coroutine
 * is called. */
template <class Item> struct async__channel_item {
    Item item;
    explicit async__channel_item(Item value) : item(value) {}
    const void *address() const { return &item; }
};
extern "C" {
#define ASYNC__CHANNEL_ITEM(s, value)                                         \
    async__channel_item<__typeof__(*(s)->items)>(value).address()
#else
#define ASYNC__CHANNEL_ITEM(s, value) ((__typeof__(*(s)->items)[1]){ (value) })
#endif

#define ASYNC__AWAIT_CHANNEL_SEND(s, value)                                   \
    do {                                                                      \
        ASYNC__CALL_WITH_ROOM(ASYNC__CHANNEL_ROOM(s), async_channel_send,     \
                              &(s)->sender, ASYNC__CHANNEL_ITEM(s, value), 1) \
        ASYNC__CHECK;                                                         \
    } while (0)
#define ASYNC__AWAIT_CHANNEL_RECEIVE_INTO(place_, r)                          \
    do {                                                                      \
        ASYNC__CALL_WITH_ROOM(ASYNC__CHANNEL_ROOM(r), async_channel_receive,  \
                              &(r)->receiver, NULL)                           \
        ASYNC__CHECK;                                                         \
        {                                                                     \
            __typeof__(*(r)->items) async__item;                              \
            memcpy(&async__item,                                              \
                   ((struct async_channel_receive *)(void *)co->sp)           \
                       ->frame.result,                                        \
                   sizeof async__item);                                       \
            (place_) = async__item;                                           \
        }                                                                     \
    } while (0)
#define ASYNC__CHANNEL_ROOM(end)                                              \
    async__round_constant(sizeof *(end)->items, ASYNC__ALIGNMENT)

/* A pointer, if it points to what the other has. */
#ifdef __cplusplus
#define ASYNC__CHANNEL_POINTER(q, pointer)                                    \
    ((void)sizeof((pointer) == &*(q)->items), (pointer))
#else
#define ASYNC__CHANNEL_POINTER(q, pointer)                                    \
    ((void)sizeof(struct {                                                    \
         int the_items_of_this_channel_are_of_another_type                    \
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

#endif /* CAESURA_CHANNEL_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_CHANNEL_IMPLEMENTED)
#define CAESURA_CHANNEL_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- the lines ----------------------------------------------------------- */

static async__channel_waiter *async__channel_next(const async_link *line)
{
    return (async__channel_waiter *)(void *)async__next_waiting(line, NULL);
}

/* Takes it out of its line; it goes on in the next iteration. */
static void async__channel_wake(async__channel_waiter *waiter, int error)
{
    waiter->error = error;
    async__unlink(&waiter->waiter.link);
    async_future_set_result(&waiter->waiter.future);
}

/* Wakes those of a line who wait by an end, or all, with an error. */
static void async__channel_wake_all(async_link *line, const void *end,
                                    int error)
{
    async_link *link = line->next, *next;
    for (; link != line; link = next) {
        async__channel_waiter *waiter = (async__channel_waiter *)(void *)link;
        next = link->next;
        if ((end == NULL || waiter->end == end) &&
            !async_future_done(&waiter->waiter.future))
            async__channel_wake(waiter, error);
    }
}

/* Behind the wait: whether the item has changed hands; else co->error is set.
 * A cancellation that came too late for that is raised at the next await. */
static int async__channel_waited(async *co, async__channel_waiter *waiter)
{
    int stood = async__leave_queue(co, &waiter->waiter);
    if (stood) return 0; /* cancelled */
    if (waiter->error) {
        if (!co->error) async__raised(co, waiter->error);
        return 0;
    }
    if (co->error == ASYNC_ECANCELED) {
        co->error = 0;
        async__must_cancel(co);
    }
    return 1;
}

/* --- items --------------------------------------------------------------- */

static void async__channel_put(async_channel *channel, const void *item)
{
    size_t at = channel->first + channel->count++;
    if (at >= channel->room) at -= channel->room;
    memcpy(channel->items + at * channel->size, item, channel->size);
}

int async_channel_send_nowait(async_sender *sender, const void *item)
{
    async_channel *channel = sender->channel;
    async__channel_waiter *receiver;
    if (channel == NULL) return ASYNC_ECLOSED;
    if (channel->receivers == 0) return ASYNC_EBROKENRESOURCE;
    receiver = async__channel_next(&channel->receiving);
    if (receiver != NULL) {
        memcpy(receiver->item, item, channel->size);
        async__channel_wake(receiver, 0);
        return 0;
    }
    if (channel->count == channel->room) return ASYNC_EWOULDBLOCK;
    async__channel_put(channel, item);
    return 0;
}

int async_channel_receive_nowait(async_receiver *receiver, void *place)
{
    async_channel *channel = receiver->channel;
    async__channel_waiter *sender;
    if (channel == NULL) return ASYNC_ECLOSED;
    sender = async__channel_next(&channel->sending);
    if (channel->count > 0) {
        memcpy(place, channel->items + channel->first * channel->size,
               channel->size);
        if (++channel->first == channel->room) channel->first = 0;
        channel->count--;
        if (sender != NULL) async__channel_put(channel, sender->item);
    } else if (sender != NULL) {
        memcpy(place, sender->item, channel->size);
    } else {
        return channel->senders == 0 ? ASYNC_EENDOFCHANNEL : ASYNC_EWOULDBLOCK;
    }
    if (sender != NULL) async__channel_wake(sender, 0);
    return 0;
}

/* A place for an item behind the frame on top of the stack; or raised. */
static void *async__channel_place(async *co, size_t size)
{
    if ((size_t)(co->end - co->sp) >= size) return co->sp;
    async__raised(co, ASYNC_ENOMEM);
    return NULL;
}

ASYNC(async_channel_send)
{
    int error;
    ASYNC_BEGIN(async_channel_send);
    error = async_channel_send_nowait(self->sender, self->item);
    if (error == 0) ASYNC_RETURN();
    if (error != ASYNC_EWOULDBLOCK) ASYNC_RAISE(error);
    if (!async__may_queue_up(co, &self->sender->channel->sending)) ASYNC__FAIL;
    self->waiter.item = (void *)(uintptr_t)self->item;
    if (self->kept) {
        self->waiter.item =
            async__channel_place(co, self->sender->channel->size);
        if (self->waiter.item == NULL) ASYNC__FAIL;
        memcpy(self->waiter.item, self->item, self->sender->channel->size);
    }
    self->waiter.end = self->sender;
    async__queue_up(co, &self->sender->channel->sending, &self->waiter.waiter);
    ASYNC__WAIT_FOR(&self->waiter.waiter.future);
    if (!async__channel_waited(co, &self->waiter)) ASYNC__FAIL;
    ASYNC_END;
}

ASYNC(async_channel_receive)
{
    int error;
    ASYNC_BEGIN(async_channel_receive);
    if (self->place == NULL && self->receiver->channel != NULL) {
        self->place =
            async__channel_place(co, self->receiver->channel->size);
        if (self->place == NULL) ASYNC__FAIL;
    }
    error = async_channel_receive_nowait(self->receiver, self->place);
    if (error == 0) ASYNC_RETURN(self->place);
    if (error != ASYNC_EWOULDBLOCK) ASYNC_RAISE(error);
    if (!async__may_queue_up(co, &self->receiver->channel->receiving))
        ASYNC__FAIL;
    self->waiter.item = self->place;
    self->waiter.end = self->receiver;
    async__queue_up(co, &self->receiver->channel->receiving,
                    &self->waiter.waiter);
    ASYNC__WAIT_FOR(&self->waiter.waiter.future);
    if (!async__channel_waited(co, &self->waiter)) ASYNC__FAIL;
    ASYNC_RETURN(self->place);
    ASYNC_END;
}

/* --- ends ---------------------------------------------------------------- */

void async__channel_open(async_channel *channel, void *items, size_t size,
                         size_t room, async_sender *sender,
                         async_receiver *receiver)
{
    memset(channel, 0, sizeof *channel);
    async__list_init(&channel->sending);
    async__list_init(&channel->receiving);
    channel->items = (char *)items;
    channel->size = size;
    channel->room = room;
    channel->senders = channel->receivers = 1;
    sender->channel = receiver->channel = channel;
}

int async__sender_clone(async_sender *copy, const async_sender *sender)
{
    if (sender->channel == NULL) return ASYNC_ECLOSED;
    copy->channel = sender->channel;
    copy->channel->senders++;
    return 0;
}

int async__receiver_clone(async_receiver *copy, const async_receiver *receiver)
{
    if (receiver->channel == NULL) return ASYNC_ECLOSED;
    copy->channel = receiver->channel;
    copy->channel->receivers++;
    return 0;
}

void async_sender_close(async_sender *sender)
{
    async_channel *channel = sender->channel;
    if (channel == NULL) return;
    sender->channel = NULL;
    async__channel_wake_all(&channel->sending, sender, ASYNC_ECLOSED);
    if (--channel->senders == 0)
        async__channel_wake_all(&channel->receiving, NULL,
                                ASYNC_EENDOFCHANNEL);
}

void async_receiver_close(async_receiver *receiver)
{
    async_channel *channel = receiver->channel;
    if (channel == NULL) return;
    receiver->channel = NULL;
    async__channel_wake_all(&channel->receiving, receiver, ASYNC_ECLOSED);
    if (--channel->receivers > 0) return;
    channel->count = channel->first = 0;
    async__channel_wake_all(&channel->sending, NULL, ASYNC_EBROKENRESOURCE);
}

/* --- statistics ---------------------------------------------------------- */

static size_t async__channel_waiting(const async_link *line)
{
    const async__waiter *waiter = NULL;
    size_t n = 0;
    while ((waiter = async__next_waiting(line, waiter)) != NULL) n++;
    return n;
}

async_channel_statistics async_channel_get_statistics(
    const async_channel *channel)
{
    async_channel_statistics statistics;
    statistics.current_buffer_used = channel->count;
    statistics.max_buffer_size = channel->room;
    statistics.open_senders = channel->senders;
    statistics.open_receivers = channel->receivers;
    statistics.tasks_waiting_send = async__channel_waiting(&channel->sending);
    statistics.tasks_waiting_receive =
        async__channel_waiting(&channel->receiving);
    return statistics;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
