/* pool.h - connections that are kept, and lent to who needs one
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * What the pools of redis.h and postgres.h are made of, and of use for any
 * other protocol in which a connection serves one task at a time.
 *
 *     struct join {
 *         ASYNC_FRAME;
 *         my_connection *connection;
 *         const char *host;
 *     };
 *     static ASYNC(join) { ... opens it ... }
 *
 *     static const async_net_pool_kind kind = {
 *         sizeof(my_connection), my_close, my_is_usable
 *     };
 *     ...
 *     async_net_pool_open(&pool, loop, &kind,
 *                         ASYNC_NET_POOL_CONNECT(join, "db.example"), NULL);
 *     AWAIT_INTO(self->connection, async_net_pool_acquire, &pool);
 *     ASYNC_TRY {
 *         AWAIT(talk, (my_connection *)self->connection);
 *     } ASYNC_FINALLY {
 *         async_net_pool_release(&pool, self->connection);
 *     } ASYNC_END_TRY
 *
 *   POOLS          open, close
 *   LENDING        acquire, release
 *   STATISTICS
 *   PRIVATE
 *
 * There are never more connections than max_size.  Who has to wait gets one in
 * the order of arrival.  One that comes back is kept for the next, the one that
 * was used last first; one that is broken, or is no use to anybody else, is
 * closed, and in its place a new one is made for who asks next.  Nothing is
 * opened ahead of need, and an error of connecting goes to who asked: whether
 * to try again it decides.
 *
 * Threads: belongs to the loop's thread.
 */
#ifndef CAESURA_NET_POOL_H
#define CAESURA_NET_POOL_H

#include "../uv/loop.h" /* first: uv.h needs POSIX */

#include "../sync.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * POOLS
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until it is
 * closed and all that it has lent is back. */
typedef struct async_net_pool async_net_pool;

/* What the pool has to know of its connections. */
typedef struct async_net_pool_kind {
    size_t size; /* of a connection's struct, which is zeroed at first */
    /* Closes one, at once: its memory goes when this returns. */
    void (*close)(void *connection);
    /* Whether it is open, and as it was when it was new.  Asked when it comes
     * back, and again before it is lent; must not wait.  NULL: always. */
    int (*usable)(void *connection);
} async_net_pool_kind;

/* What is 0 has its default. */
typedef struct async_net_pool_options {
    size_t max_size; /* connections at a time: 10 */
    size_t max_idle; /* of these, kept while nobody uses them: all */
    async_duration idle_time; /* how long one is kept unused: no limit */
    unsigned char keep_none;  /* 1: none is kept */
} async_net_pool_options;

/* ASYNC_NET_POOL_CONNECT(name, arguments...): the coroutine that opens a
 * connection.  Its first argument, `connection`, is a pointer to that, zeroed;
 * those behind are copied, and what they point to is in use until the pool is
 * closed.  After an error of its the connection is closed as well. */
typedef struct async_net_pool_connect {
    async_object object;
    size_t connection; /* where that argument is */
} async_net_pool_connect;
#define ASYNC_NET_POOL_CONNECT(...) ASYNC__NET_POOL_CONNECT(__VA_ARGS__, )

/* Opens a pool, which opens nothing before somebody needs it.
 * kind     must stay
 * options  NULL: the defaults; copied
 * Returns  0; ASYNC_EBUSY when it is open; ASYNC_EINVAL when more are to be
 *          kept than there may be; ASYNC_ENOMEM; ASYNC_ELOOPCLOSED */
int async_net_pool_open(async_net_pool *pool, async_loop *loop,
                        const async_net_pool_kind *kind,
                        async_net_pool_connect connect,
                        const async_net_pool_options *options);

/* Closes what nobody uses, and the rest when it comes back.  Who waits gets
 * ASYNC_ECLOSED.  One that was never opened, or is closed: nothing.  Closing
 * the loop closes it. */
void async_net_pool_close(async_net_pool *pool);

/* ------------------------------------------------------------------------
 * LENDING
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(connection, async_net_pool_acquire, pool): one that is open and
 * that nobody else has; waits for it, if there are as many as there may be.
 * Limit that wait as any: ASYNC_TIMEOUT, AWAIT_WAIT_FOR.
 * Errors   those of connecting; ASYNC_ECLOSED; ASYNC_ENOMEM; ASYNC_ENOTASK;
 *          ASYNC_EOTHERLOOP
 * Cancel   at once, or as soon as connecting has been given up; the place goes
 *          to the next who waits */
struct async_net_pool_acquire;
ASYNC(async_net_pool_acquire);

/* Gives one back, once.  NULL: nothing, so that a FINALLY need not ask. */
void async_net_pool_release(async_net_pool *pool, void *connection);

/* ------------------------------------------------------------------------
 * STATISTICS
 *
 * How many connections are open, or about to be; of these, unused; and how
 * many tasks wait for one.
 * ------------------------------------------------------------------------ */
static inline size_t async_net_pool_size(const async_net_pool *pool);
static inline size_t async_net_pool_idle(const async_net_pool *pool);
size_t async_net_pool_waiting(const async_net_pool *pool);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_net_pool {
    async_node resource; /* among those that are closed with the loop */
    async_loop *loop;
    const async_net_pool_kind *kind;
    async_net_pool_connect connect; /* its frame is a copy */
    async_net_pool_options options;
    async_link idle;    /* async__pooled, the last used first */
    async_link lent;
    async_link waiting; /* async__net_pool_waiter */
    size_t taken;       /* places: lent, or about to be */
    size_t kept;        /* in `idle` */
    size_t count;       /* connections that there are */
    async_handle timer; /* when the one that is idle for longest goes */
    unsigned char open;
};

/* Who waits for a place; in the frame. */
typedef struct async__net_pool_waiter {
    async__waiter waiter; /* must be first */
    unsigned char granted;
} async__net_pool_waiter;

struct async_net_pool_acquire {
    ASYNC_RETURNS(void *);
    async_net_pool *pool;
    async__net_pool_waiter place;
    struct async__pooled *made;
    int error;
};

static inline async_net_pool_connect
async__net_pool_connect(async_object object, size_t connection)
{
    async_net_pool_connect connect;
    connect.object = object;
    connect.connection = connection;
    return connect;
}
#define ASYNC__NET_POOL_CONNECT(name, ...)                                    \
    async__net_pool_connect(ASYNC__CO(name, NULL, __VA_ARGS__),               \
                            offsetof(struct name, connection))

static inline size_t async_net_pool_size(const async_net_pool *pool)
{
    return pool->count;
}
static inline size_t async_net_pool_idle(const async_net_pool *pool)
{
    return pool->kept;
}

/* Whether nothing has come on a socket that should be silent: neither data nor
 * the end, which its connection would otherwise learn too late. */
int async__socket_is_quiet(uv_os_sock_t socket);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_NET_POOL_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * Whoever has a connection, or is about to, has a place: there are max_size of
 * them, and nobody waits while one is free.  A place that becomes free is given
 * to the first who waits, before that runs, so that nobody comes between.  What
 * lies idle has no place; but whoever has got one takes from there first, so
 * there are never more connections than places.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_NET_POOL_IMPLEMENTED)
#define CAESURA_NET_POOL_IMPLEMENTED

#ifndef _WIN32
#include <sys/socket.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Behind it lies the connection. */
typedef struct async__pooled {
    async_link link; /* in `idle` or `lent` */
    async_time since;
} async__pooled;
enum { ASYNC__POOLED_HEAD = (sizeof(async__pooled) + 15) / 16 * 16 };

static void *async__pooled_connection(async__pooled *pooled)
{
    return (char *)pooled + ASYNC__POOLED_HEAD;
}

int async__socket_is_quiet(uv_os_sock_t socket)
{
#ifdef _WIN32
    u_long ready = 0;
    return ioctlsocket(socket, FIONREAD, &ready) == 0 && ready == 0;
#else
    char byte;
    return recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
#endif
}

/* --- connections --------------------------------------------------------- */

static async__pooled *async__net_pool_make(async_net_pool *pool)
{
    size_t size = ASYNC__POOLED_HEAD + pool->kind->size;
    async__pooled *made =
        (async__pooled *)async__allocate_large(pool->loop, size);
    if (made == NULL) return NULL;
    memset(made, 0, size);
    pool->count++;
    return made;
}

static void async__net_pool_drop(async_net_pool *pool, async__pooled *pooled)
{
    pool->kind->close(async__pooled_connection(pooled));
    async__release_large(pool->loop, pooled,
                         ASYNC__POOLED_HEAD + pool->kind->size);
    pool->count--;
}

static int async__net_pool_is_usable(async_net_pool *pool,
                                     async__pooled *pooled)
{
    return pool->kind->usable == NULL ||
           pool->kind->usable(async__pooled_connection(pooled));
}

/* --- what lies idle ------------------------------------------------------ */

static async__pooled *async__net_pool_take_idle(async_net_pool *pool)
{
    async__pooled *pooled;
    if (pool->kept == 0) return NULL;
    pooled = (async__pooled *)(void *)pool->idle.next;
    async__unlink(&pooled->link);
    if (--pool->kept == 0) async_handle_cancel(&pool->timer);
    return pooled;
}

/* The one that was used last, of those that can be. */
static async__pooled *async__net_pool_reuse(async_net_pool *pool)
{
    async__pooled *pooled;
    while ((pooled = async__net_pool_take_idle(pool)) != NULL) {
        if (async__net_pool_is_usable(pool, pooled)) break;
        async__net_pool_drop(pool, pooled);
    }
    return pooled;
}

static async_time async__net_pool_ends(const async_net_pool *pool,
                                       const async_link *link)
{
    return async__later(
        ((const async__pooled *)(const void *)link)->since,
        pool->options.idle_time);
}

static int async__net_pool_on_timer(void *argument)
{
    async_net_pool *pool = (async_net_pool *)argument;
    async_time now = async_loop_time(pool->loop);
    while (pool->kept > 0 &&
           !async_time_before(now,
                              async__net_pool_ends(pool, pool->idle.prev))) {
        async__pooled *oldest = (async__pooled *)(void *)pool->idle.prev;
        async__unlink(&oldest->link);
        pool->kept--;
        async__net_pool_drop(pool, oldest);
    }
    if (pool->kept > 0)
        (void)async_loop_call_at(pool->loop, &pool->timer,
                                 async__net_pool_ends(pool, pool->idle.prev),
                                 async__net_pool_on_timer, pool);
    return 0;
}

static void async__net_pool_keep(async_net_pool *pool, async__pooled *pooled)
{
    pooled->since = async_loop_time(pool->loop);
    pooled->link.next = pool->idle.next;
    pooled->link.prev = &pool->idle;
    pool->idle.next->prev = &pooled->link;
    pool->idle.next = &pooled->link;
    if (pool->kept++ == 0 && pool->options.idle_time > 0)
        (void)async_loop_call_later(pool->loop, &pool->timer,
                                    pool->options.idle_time,
                                    async__net_pool_on_timer, pool);
}

/* When it is closed, and has lent nothing, the loop need not know of it.  (Not
 * before what it has closed has left the loop's list, in which the loop may
 * stand just here.) */
static void async__net_pool_forget(async_net_pool *pool)
{
    if (!pool->open && async__list_empty(&pool->lent) &&
        pool->resource.link.prev != NULL)
        async__unlink(&pool->resource.link);
}

/* --- places -------------------------------------------------------------- */

static void async__net_pool_give_up_place(async_net_pool *pool)
{
    async__net_pool_waiter *next = (async__net_pool_waiter *)(void *)
        async__next_waiting(&pool->waiting, NULL);
    if (next == NULL) {
        pool->taken--;
        return;
    }
    async__unlink(&next->waiter.link);
    next->granted = 1;
    async_future_set_result(&next->waiter.future);
}

size_t async_net_pool_waiting(const async_net_pool *pool)
{
    const async__waiter *waiter = NULL;
    size_t n = 0;
    while ((waiter = async__next_waiting(&pool->waiting, waiter)) != NULL) n++;
    return n;
}

/* --- opening and closing ------------------------------------------------- */

/* The loop is being closed: tasks that have not given back what they have will
 * not do so any more. */
static void async__net_pool_close_resource(async_node *node)
{
    async_net_pool *pool =
        (async_net_pool *)(void *)((char *)node -
                                   offsetof(async_net_pool, resource));
    while (!async__list_empty(&pool->lent)) {
        async__pooled *pooled = (async__pooled *)(void *)pool->lent.next;
        async__unlink(&pooled->link);
        async__net_pool_drop(pool, pooled);
    }
    async_net_pool_close(pool);
}

int async_net_pool_open(async_net_pool *pool, async_loop *loop,
                        const async_net_pool_kind *kind,
                        async_net_pool_connect connect,
                        const async_net_pool_options *options)
{
    async_net_pool_options defaults;
    void *frame;
    memset(&defaults, 0, sizeof defaults);
    if (options == NULL) options = &defaults;
    if (pool->open) return ASYNC_EBUSY;
    if (async_loop_is_closed(loop)) return ASYNC_ELOOPCLOSED;
    frame = async__allocate_large(loop, connect.object.size);
    if (frame == NULL) return ASYNC_ENOMEM;
    memcpy(frame, connect.object.frame, connect.object.size);
    memset(pool, 0, sizeof *pool);
    pool->loop = loop;
    pool->kind = kind;
    pool->connect = connect;
    pool->connect.object.frame = frame;
    pool->options = *options;
    if (pool->options.max_size == 0) pool->options.max_size = 10;
    if (pool->options.max_idle == 0)
        pool->options.max_idle = pool->options.max_size;
    if (pool->options.keep_none) pool->options.max_idle = 0;
    if (pool->options.max_idle > pool->options.max_size) {
        async__release_large(loop, frame, connect.object.size);
        return ASYNC_EINVAL;
    }
    async__list_init(&pool->idle);
    async__list_init(&pool->lent);
    async__list_init(&pool->waiting);
    pool->open = 1;
    pool->resource.run = async__net_pool_close_resource;
    if (loop->backend->poll == async__uv_poll)
        async__uv_opened(loop, &pool->resource);
    return 0;
}

void async_net_pool_close(async_net_pool *pool)
{
    async__pooled *pooled;
    async__waiter *waiter;
    if (!pool->open) return;
    pool->open = 0;
    while ((waiter = async__next_waiting(&pool->waiting, NULL)) != NULL) {
        async__unlink(&waiter->link);
        async__finish(&waiter->future, ASYNC__FINISHED, ASYNC_ECLOSED);
    }
    while ((pooled = async__net_pool_take_idle(pool)) != NULL)
        async__net_pool_drop(pool, pooled);
    async__net_pool_forget(pool);
    async_handle_cancel(&pool->timer);
    async__release_large(pool->loop,
                         (void *)(uintptr_t)pool->connect.object.frame,
                         pool->connect.object.size);
}

/* --- lending ------------------------------------------------------------- */

static int async__net_pool_check(const async_net_pool *pool, const async *co)
{
    if (!pool->open) return ASYNC_ECLOSED;
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co) != pool->loop) return ASYNC_EOTHERLOOP;
    return 0;
}

/* Behind the wait for a place. */
static int async__net_pool_waited(struct async_net_pool_acquire *self,
                                  async *co)
{
    (void)async__leave_queue(co, &self->place.waiter);
    if (!self->place.granted) return 0;
    if (!co->error && self->pool->open) return 0;
    async__net_pool_give_up_place(self->pool); /* it got one, too late */
    return co->error ? 0 : ASYNC_ECLOSED;
}

/* With a place: one that was idle, or the memory of a new one. */
static int async__net_pool_begin(struct async_net_pool_acquire *self)
{
    async_net_pool *pool = self->pool;
    void *connection;
    self->frame.result = NULL;
    self->made = async__net_pool_reuse(pool);
    if (self->made != NULL) {
        async__list_append(&pool->lent, &self->made->link);
        self->frame.result = async__pooled_connection(self->made);
        return 0;
    }
    self->made = async__net_pool_make(pool);
    if (self->made == NULL) {
        async__net_pool_give_up_place(pool);
        return ASYNC_ENOMEM;
    }
    connection = async__pooled_connection(self->made);
    memcpy((char *)(uintptr_t)pool->connect.object.frame +
               pool->connect.connection,
           &connection, sizeof connection);
    return 0;
}

ASYNC(async_net_pool_acquire)
{
    int error;
    ASYNC_BEGIN(async_net_pool_acquire);
    error = async__net_pool_check(self->pool, co);
    if (error) ASYNC_RAISE(error);
    if (self->pool->taken < self->pool->options.max_size) {
        self->pool->taken++;
    } else {
        if (!async__may_queue_up(co, &self->pool->waiting)) ASYNC__FAIL;
        async__queue_up(co, &self->pool->waiting, &self->place.waiter);
        ASYNC__WAIT_FOR(&self->place.waiter.future);
        error = async__net_pool_waited(self, co);
        ASYNC__CHECK;
        if (error) ASYNC_RAISE(error);
    }
    error = async__net_pool_begin(self);
    if (error) ASYNC_RAISE(error);
    if (self->frame.result != NULL) ASYNC_RETURN(self->frame.result);
    ASYNC_TRY {
        ASYNC_AWAIT_CO(self->pool->connect.object);
        if (!self->pool->open) ASYNC_RAISE(ASYNC_ECLOSED);
    } ASYNC_EXCEPT_ALL(self->error) {
        async__net_pool_drop(self->pool, self->made);
        async__net_pool_give_up_place(self->pool);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    async__list_append(&self->pool->lent, &self->made->link);
    ASYNC_RETURN(async__pooled_connection(self->made));
    ASYNC_END;
}

void async_net_pool_release(async_net_pool *pool, void *connection)
{
    async__pooled *pooled;
    if (connection == NULL) return;
    pooled = (async__pooled *)(void *)((char *)connection -
                                       ASYNC__POOLED_HEAD);
    async__unlink(&pooled->link);
    if (pool->open && pool->kept < pool->options.max_idle &&
        async__net_pool_is_usable(pool, pooled))
        async__net_pool_keep(pool, pooled);
    else
        async__net_pool_drop(pool, pooled);
    async__net_pool_forget(pool);
    async__net_pool_give_up_place(pool);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
