/* redis.h - commands to a Redis server, by hiredis on the loop
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_redis_connect, &self->redis, { .host = "127.0.0.1" });
 *     ASYNC_TRY {
 *         AWAIT(async_redis_command, &self->redis, &self->reply,
 *               ASYNC_REDIS("INCR", "visits"));
 *         printf("visit %lld\n", self->reply.integer);
 *     } ASYNC_FINALLY {
 *         async_redis_free(&self->reply);
 *         async_redis_close(&self->redis);
 *     } ASYNC_END_TRY
 *
 *   CONNECTIONS    connect, close
 *   REPLIES        what a server answers
 *   COMMANDS       one; many at once; a transaction
 *   MESSAGES       subscribe, and a generator of what is published
 *   POOLS          connections that are lent
 *   ERRORS
 *   PRIVATE
 *
 * Of hiredis this takes the parser of replies.  Its own asynchronous interface
 * looks names up with the loop standing still, writes into a buffer without an
 * end, and calls back for what nobody waits for any more; here connecting,
 * writing and closing are those of the loop's streams, and can be cancelled.
 *
 * Several tasks may use one connection at a time: what they send goes out at
 * once, and the replies come in the same order.  What blocks in the server
 * (BLPOP), a transaction by hand (WATCH, MULTI) and messages want a connection
 * of their own.
 *
 * It speaks RESP2, to Redis 2.8 or later and what is like it, with TLS or
 * without.  No cluster.
 *
 * Needs hiredis 0.14 or later, linked by the program (pkg-config hiredis).
 *
 * Threads: belongs to the loop's thread, on a loop of async/uv/loop.h.
 */
#ifndef CAESURA_NET_REDIS_H
#define CAESURA_NET_REDIS_H

#include "../uv/connect.h" /* first: uv.h needs POSIX */
#include "../uv/pipe.h"
#include "../uv/transport.h"

#include "pool.h"

#if defined(__has_include)
#if !__has_include(<hiredis/hiredis.h>)
#error "async/net/redis.h needs hiredis: install libhiredis-dev (Debian), \
hiredis (brew, pacman) or hiredis-devel (dnf)"
#endif
#endif
#include <hiredis/hiredis.h>
#ifdef __cplusplus
#include <initializer_list>
#endif

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * CONNECTIONS
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until it is
 * closed: in the frame, and async_redis_close() in a FINALLY. */
typedef struct async_redis async_redis;

/* What is 0 has its default.  Texts are in use until it is connected.
 *
 * With TLS ("rediss://"), by a context of async/net/tls.h, which is only needed
 * by who uses it, and which stays until the last of its connections has gone:
 *
 *     AWAIT(async_redis_connect, &self->redis,
 *           { .host = "cache.example.org", .tls = &context.layer });
 */
typedef struct async_redis_options {
    const char *host;     /* a name or an address: "127.0.0.1" */
    int port;             /* 6379 */
    const char *path;     /* of a Unix socket, instead of those */
    const char *user;     /* with the password; Redis 6 and later: "default" */
    const char *password; /* none is sent */
    const char *name;     /* of this client, for CLIENT LIST: none */
    int database;         /* 0 */
    size_t limit;         /* of a reply, in bytes of memory: no limit */
    async_transport_layer *tls; /* none */
    const char *tls_name; /* who the server must be: the host; "": anybody whom
                           * the context trusts */
} async_redis_options;

/* AWAIT(async_redis_connect, redis, { options }): waits until it is connected
 * and the server has taken the password and what else there is.  It has no time
 * limit of its own: put it into an ASYNC_TIMEOUT.
 *
 * Errors   those of async_tcp_connect_host() or async_pipe_connect(), -EACCES
 *          when the server wants another password, and those below; with TLS
 *          those of a handshake: ASYNC_ETLSVERIFY, ASYNC_ETLSHANDSHAKE,
 *          -ECONNABORTED; ASYNC_EBUSY when it is open; ASYNC_EINVAL on a loop
 *          that is not libuv's, and for TLS on a Unix socket without a
 *          tls_name; ASYNC_ENOTASK.  After an error it is closed, but
 *          async_redis_error() still has the server's words, or TLS's.
 * Cancel   raised when libuv has let go of the socket, or, once that is
 *          connected, at once; it is closed then */
struct async_redis_connect;
ASYNC(async_redis_connect);

/* Closes it, at once.  Who waits for something gets ASYNC_ECLOSED.  One that
 * was never opened, or is closed, or is about to be opened: nothing.  Closing
 * the loop closes it. */
void async_redis_close(async_redis *redis);

/* Whether commands may work: it is open, and not broken. */
static inline int async_redis_is_open(const async_redis *redis);

/* ------------------------------------------------------------------------
 * REPLIES
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed.  Who fills it first frees what it had; an
 * await that is cancelled or fails without an answer leaves it empty; what it
 * has otherwise is the caller's, who frees it before the loop is closed. */
typedef struct async_redis_reply async_redis_reply;
struct async_redis_reply {
    int type;          /* ASYNC_REDIS_NIL ... */
    long long integer; /* of an integer */
    const char *text;  /* of a string, a status, an error: binary, and behind
                        * it stands a '\0'; "" of all others */
    size_t size;
    async_redis_reply **elements; /* of an array */
    size_t count;
    /* The rest is private. */
    async_loop *loop;
    async_redis_reply *root; /* of what the caller has: where it lies */
    size_t room;
};
enum {
    ASYNC_REDIS_NIL, /* there is none; also of a zeroed one */
    ASYNC_REDIS_STRING,
    ASYNC_REDIS_STATUS, /* "OK" */
    ASYNC_REDIS_INTEGER,
    ASYNC_REDIS_ARRAY,
    ASYNC_REDIS_ERROR /* "WRONGTYPE Operation against ..." */
};

/* Gives its memory back, and makes it empty. */
void async_redis_free(async_redis_reply *reply);

/* ------------------------------------------------------------------------
 * COMMANDS
 * ------------------------------------------------------------------------ */

/* A command and its arguments:
 *
 *     ASYNC_REDIS("SET", key, "42")             texts
 *     ASYNC_REDIS_BYTES(async_redis_text("SET"), async_redis_text(key), value)
 *                                               async_bytes, of any bytes
 *     async_redis_list(array, count)            the same from an array
 *
 * They are in use until the await first suspends; so a task (ASYNC_SPAWN, CO())
 * needs arrays that stay. */
typedef struct async_redis_arguments {
    const char *const *texts;
    const async_bytes *bytes; /* instead of texts, if not NULL */
    size_t count;
} async_redis_arguments;
#define ASYNC_REDIS(...) ASYNC__REDIS_TEXTS(__VA_ARGS__)
#define ASYNC_REDIS_BYTES(...) ASYNC__REDIS_BYTES(__VA_ARGS__)
static inline async_redis_arguments
async_redis_list(const async_bytes *bytes, size_t count);
static inline async_bytes async_redis_text(const char *text);

/* AWAIT(async_redis_command, redis, reply, ASYNC_REDIS("GET", key)): sends it,
 * and waits for the reply.
 *
 * reply    NULL: that it was no error is all there is to know
 * Errors   ASYNC_EREDIS, and the others below: the reply then has the server's
 *          words, and so has async_redis_error(); ASYNC_EINVAL without a
 *          command, or for one that changes what replies mean: SUBSCRIBE and
 *          the like (see MESSAGES), MONITOR, HELLO, CLIENT REPLY;
 *          ASYNC_EINVALSTATE while it is subscribed; ASYNC_ENOTASK;
 *          ASYNC_EOTHERLOOP
 * Cancel   at once.  The server does the command all the same; its reply is
 *          read and thrown away, and the connection can be used on.  (A pool,
 *          which cannot know how long that takes, closes it.) */
struct async_redis_command;
ASYNC(async_redis_command);

/* Commands that go out together: as many as one likes take one round trip.
 *
 *     async_redis_pipeline pipeline;                 in the frame, zeroed
 *     async_redis_append(&self->pipeline, loop, ASYNC_REDIS("INCR", "a"));
 *     async_redis_append(&self->pipeline, loop, ASYNC_REDIS("GET", "b"));
 *     AWAIT(async_redis_execute, &self->redis, &self->reply, &self->pipeline);
 *
 * async_redis_append() returns 0, ASYNC_EINVAL as above, or ASYNC_ENOMEM, and
 * then the pipeline is as it was.  To execute it empties it, whatever comes of
 * that; async_redis_clear() does so instead. */
typedef struct async_redis_pipeline async_redis_pipeline;
int async_redis_append(async_redis_pipeline *pipeline, async_loop *loop,
                       async_redis_arguments command);
void async_redis_clear(async_redis_pipeline *pipeline);

/* AWAIT(async_redis_execute, redis, reply, pipeline): sends all of it, and
 * waits for the replies, which are the elements of an array.  An error of the
 * server's is such an element, and is not raised.  Without commands it is an
 * empty array.
 * Errors   those of a connection; ASYNC_ENOMEM; ASYNC_EINVALSTATE, as above
 * Cancel   as above */
struct async_redis_execute;
ASYNC(async_redis_execute);

/* AWAIT(async_redis_transaction, redis, reply, pipeline): the same within MULTI
 * and EXEC: all of them, and nobody else's in between, or none.  When a key
 * that was watched has changed, nothing is done and the reply is nil.
 * Errors   also ASYNC_EREDIS: the server has refused a command (the reply says
 *          which), and done nothing; ASYNC_EINVAL without commands */
struct async_redis_transaction;
ASYNC(async_redis_transaction);

/* ------------------------------------------------------------------------
 * MESSAGES
 *
 *     AWAIT(async_redis_subscribe, &self->redis, ASYNC_REDIS("news", "chat"));
 *     self->messages = ASYNC_GENERATOR(async_redis_messages, &self->redis);
 *     ASYNC_FOR(self->message, &self->messages) {
 *         printf("%s: %s\n", self->message.channel, self->message.text);
 *     } ASYNC_END_FOR
 *
 * A connection that is subscribed can do nothing else.
 * ------------------------------------------------------------------------ */

/* AWAIT(async_redis_subscribe, redis, channels): waits until the server has
 * confirmed each.  async_redis_psubscribe: to all channels that match such a
 * pattern ("news.*").  async_redis_unsubscribe, async_redis_punsubscribe: from
 * those that are named.
 * Errors   as for a command; ASYNC_EINVAL without a channel
 * Cancel   at once; it is done all the same */
struct async_redis_subscribe;
ASYNC(async_redis_subscribe);
struct async_redis_psubscribe;
ASYNC(async_redis_psubscribe);
struct async_redis_unsubscribe;
ASYNC(async_redis_unsubscribe);
struct async_redis_punsubscribe;
ASYNC(async_redis_punsubscribe);

/* Its texts are binary, with a '\0' behind, and there until the next step. */
typedef struct async_redis_message {
    const char *channel, *text, *pattern; /* pattern NULL: none */
    size_t channel_size, size, pattern_size;
} async_redis_message;

/* ASYNC_GENERATOR(async_redis_messages, redis): what is published, in order,
 * from the subscription on; it ends when nothing is subscribed to any more.
 * Leaving the loop loses nothing that has come, for the next generator.  When
 * ASYNC_REDIS_WINDOW bytes wait, no more is read: the server then keeps them up
 * to its client-output-buffer-limit, and closes the connection behind that.
 * Errors   those of a connection, behind what had come; ASYNC_EBUSY when
 *          another task waits for messages; ASYNC_ECLOSED
 * Cancel   at once; nothing is lost */
#ifndef ASYNC_REDIS_WINDOW
#define ASYNC_REDIS_WINDOW 65536
#endif
struct async_redis_messages;
ASYNC(async_redis_messages);

/* ------------------------------------------------------------------------
 * POOLS
 *
 *     async_redis_pool_open(&pool, loop, &options, NULL);
 *     ...
 *     ASYNC_TRY {
 *         AWAIT_INTO(self->redis, async_redis_acquire, &pool);
 *         AWAIT(async_redis_command, self->redis, ...);
 *     } ASYNC_FINALLY {
 *         async_redis_release(&pool, self->redis);
 *     } ASYNC_END_TRY
 *
 * pool.h says all else.  What comes back broken, subscribed, within WATCH or
 * MULTI, in another database (SELECT), or with replies outstanding, is closed,
 * and so is what the server has closed meanwhile: behind a restart of the
 * server the next one is connected anew.
 * ------------------------------------------------------------------------ */
typedef struct async_redis_pool {
    async_net_pool pool; /* for its statistics */
    async_redis_options options; /* private */
} async_redis_pool;

/* The texts of the options must stay until the pool is closed.  Returns what
 * async_net_pool_open() does. */
int async_redis_pool_open(async_redis_pool *pool, async_loop *loop,
                          const async_redis_options *options,
                          const async_net_pool_options *limits);
static inline void async_redis_pool_close(async_redis_pool *pool);

/* AWAIT_INTO(redis, async_redis_acquire, pool).  Errors and Cancel: those of
 * async_net_pool_acquire and of async_redis_connect. */
struct async_redis_acquire;
ASYNC(async_redis_acquire);
static inline void async_redis_release(async_redis_pool *pool,
                                       async_redis *redis);

/* ------------------------------------------------------------------------
 * ERRORS
 *
 *   ASYNC_EREDIS      the server says no: async_redis_error() has its words
 *   -EACCES           the same, for want of a password, a right, or another
 *                     user (NOAUTH, WRONGPASS, NOPERM)
 *   -ECONNRESET ...   the connection broke, or the server closed it: whether a
 *                     command was done nobody knows.  From then on every use
 *                     fails so, until it is closed.
 *   UV_EPROTO         what came is no answer of a Redis server's; it is broken
 *   UV_EMSGSIZE       a reply was larger than the limit; it is broken
 *   ASYNC_ETLS, ASYNC_ETLSEOF
 *                     the same of TLS: what came was none; the connection ended
 *                     without notice, as when the server is killed
 *   ASYNC_ENOMEM      no memory for a command, and nothing was sent; or for a
 *                     reply, and then it is broken
 *   ASYNC_ECLOSED     it is not open
 * ------------------------------------------------------------------------ */

/* The last error of the server's, or what has broken the connection: "WRONGTYPE
 * Operation against a key ...".  "" at first.  Valid until the next one. */
static inline const char *async_redis_error(const async_redis *redis);

/* Whether that begins with this word: "WRONGTYPE", "BUSY", "NOSCRIPT" ... */
int async_redis_error_is(const async_redis *redis, const char *word);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_redis {
    async_node resource; /* among those that are closed with the loop */
    async_loop *loop;
    struct async__redis_link *link; /* what libuv has; NULL: closed or broken */
    redisReader *reader;
    async_link requests; /* async__redis_request, in the frames that wait */
    size_t skip;         /* replies that nobody wants, behind all requests */
    async_operation *listener;
    async_redis_reply *first, *last; /* messages, linked by `root` */
    async_redis_reply *given; /* the one that a generator has yielded */
    size_t sent, came; /* replies that were asked for, and have come */
    size_t confirming; /* subscriptions that the server has still to confirm */
    size_t confirm_from; /* which reply will be the first of these */
    size_t waiting;   /* bytes of messages */
    size_t building;  /* bytes of the reply that is being read */
    size_t limit;
    long long channels;
    int error;        /* of what it is broken */
    unsigned char state; /* ASYNC__REDIS_SHUT .. */
    unsigned char watching, chosen; /* a transaction; a database */
    unsigned char too_large;
    char text[256];
};
enum { ASYNC__REDIS_SHUT, ASYNC__REDIS_OPENING, ASYNC__REDIS_OPEN,
       ASYNC__REDIS_BROKEN };

/* Somebody who waits for replies. */
typedef struct async__redis_request {
    async_link link; /* must be first */
    async_operation done;
    async_redis_reply *reply;
    size_t skip; /* replies before it that nobody wants */
    size_t wanted;
    int failed;         /* what is raised when all have come */
    unsigned char kind; /* ASYNC__REDIS_ONE .. */
} async__redis_request;
enum { ASYNC__REDIS_ONE, ASYNC__REDIS_MANY, ASYNC__REDIS_LAST,
       ASYNC__REDIS_NONE };

struct async_redis_pipeline {
    async_loop *loop;
    char *data;
    size_t size, room, count;
    unsigned char watches, chooses; /* what it does to the connection */
    unsigned char greets;
};

struct async_redis_connect {
    ASYNC_FRAME;
    async_redis *redis;
    async_redis_options options;
    async_redis_pipeline greeting;
    async_redis_reply reply;
    async_operation secured;
    int error;
};

struct async_redis_command {
    ASYNC_FRAME;
    async_redis *redis;
    async_redis_reply *reply;
    async_redis_arguments arguments;
    async__redis_request request;
};

struct async_redis_execute {
    ASYNC_FRAME;
    async_redis *redis;
    async_redis_reply *reply;
    async_redis_pipeline *pipeline;
    async__redis_request request;
};

struct async_redis_transaction {
    ASYNC_FRAME;
    async_redis *redis;
    async_redis_reply *reply;
    async_redis_pipeline *pipeline;
    async__redis_request request;
};

#define ASYNC__REDIS_SUBSCRIBER(name)                                         \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        async_redis *redis;                                                   \
        async_redis_arguments channels;                                       \
        async__redis_request request;                                         \
    }
ASYNC__REDIS_SUBSCRIBER(async_redis_subscribe);
ASYNC__REDIS_SUBSCRIBER(async_redis_psubscribe);
ASYNC__REDIS_SUBSCRIBER(async_redis_unsubscribe);
ASYNC__REDIS_SUBSCRIBER(async_redis_punsubscribe);

struct async_redis_messages {
    ASYNC_YIELDS(async_redis_message);
    async_redis *redis;
    async_operation arrival;
};

struct async_redis_acquire {
    ASYNC_RETURNS(async_redis *);
    async_redis_pool *pool;
    void *connection;
};

static inline async_redis_arguments
async_redis_list(const async_bytes *bytes, size_t count)
{
    async_redis_arguments arguments;
    arguments.texts = NULL;
    arguments.bytes = bytes;
    arguments.count = count;
    return arguments;
}
static inline async_redis_arguments
async__redis_texts(const char *const *texts, size_t count)
{
    async_redis_arguments arguments;
    arguments.texts = texts;
    arguments.bytes = NULL;
    arguments.count = count;
    return arguments;
}
static inline async_bytes async_redis_text(const char *text)
{
    async_bytes bytes;
    bytes.data = text;
    bytes.size = strlen(text);
    return bytes;
}
/* Arrays that live as long as what is made of them is in use: in C to the end
 * of the block, in C++ to that of the expression. */
#ifdef __cplusplus
static inline async_redis_arguments
async__redis_texts_of(std::initializer_list<const char *> list)
{
    return async__redis_texts(list.begin(), list.size());
}
static inline async_redis_arguments
async__redis_bytes_of(std::initializer_list<async_bytes> list)
{
    return async_redis_list(list.begin(), list.size());
}
#define ASYNC__REDIS_TEXTS(...) async__redis_texts_of({ __VA_ARGS__ })
#define ASYNC__REDIS_BYTES(...) async__redis_bytes_of({ __VA_ARGS__ })
#else
#define ASYNC__REDIS_TEXTS(...)                                               \
    async__redis_texts((const char *const[]){ __VA_ARGS__ },                  \
                       sizeof((const char *const[]){ __VA_ARGS__ }) /         \
                           sizeof(const char *))
#define ASYNC__REDIS_BYTES(...)                                               \
    async_redis_list((const async_bytes[]){ __VA_ARGS__ },                    \
                     sizeof((const async_bytes[]){ __VA_ARGS__ }) /           \
                         sizeof(async_bytes))
#endif

static inline int async_redis_is_open(const async_redis *redis)
{
    return redis->state == ASYNC__REDIS_OPEN;
}
static inline const char *async_redis_error(const async_redis *redis)
{
    return redis->text;
}
static inline void async_redis_pool_close(async_redis_pool *pool)
{
    async_net_pool_close(&pool->pool);
}
static inline void async_redis_release(async_redis_pool *pool,
                                       async_redis *redis)
{
    async_net_pool_release(&pool->pool, redis);
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_NET_REDIS_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * What libuv has of a connection, the socket, is a block of its own, which goes
 * when libuv has let go of it; so the caller's struct can be closed at once.
 * Behind it, in the same block, lies the transport of TLS, if there is one.
 *
 * The transport hands over what comes as it comes.  hiredis makes replies of
 * it, in memory of the loop's, and each goes to the first of those who wait:
 * they stand in line in the order in which they have sent.  One that gives up
 * leaves behind how many replies it would have got, for those to be thrown
 * away when they come.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_NET_REDIS_IMPLEMENTED)
#define CAESURA_NET_REDIS_IMPLEMENTED

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async__redis_link {
    async_protocol protocol; /* must be first */
    async_uv_transport transport;
    async_transport *top;         /* to read and write by: TLS's, or that one */
    async_transport_layer *layer; /* TLS that has been started, or NULL */
    async_redis *redis; /* NULL: nobody is interested any more */
    const async_allocator *allocator;
    size_t size; /* with what is behind it */
    unsigned char started;
} async__redis_link;

static size_t async__redis_link_size(void)
{
    return async__round(sizeof(async__redis_link), ASYNC__ALIGNMENT);
}

/* --- replies ------------------------------------------------------------- */

/* A reply and all in it.  hiredis nests them a few levels deep at most. */
static void async__redis_drop(async_redis_reply *node)
{
    async_loop *loop;
    size_t i;
    if (node == NULL) return;
    loop = node->loop;
    for (i = 0; i < node->count; i++) async__redis_drop(node->elements[i]);
    if (node->elements != NULL)
        async__release(loop, node->elements,
                       node->room * sizeof *node->elements);
    async__release(loop, node, sizeof *node + node->size + 1);
}

void async_redis_free(async_redis_reply *reply)
{
    async_redis_reply *root = reply->root;
    if (root != NULL) {
        root->elements = reply->elements;
        root->count = reply->count;
        root->root = NULL;
        async__redis_drop(root);
    }
    memset(reply, 0, sizeof *reply);
}

/* Makes it the caller's, who need not want it. */
static void async__redis_give(async_redis_reply *reply, async_redis_reply *node)
{
    if (reply == NULL) {
        async__redis_drop(node);
        return;
    }
    *reply = *node;
    reply->root = node;
}

static async_redis_reply *async__redis_make(async_loop *loop, int type,
                                            const char *text, size_t size)
{
    async_redis_reply *node;
    char *copy;
    if (size > (size_t)-1 / 2) return NULL;
    node = (async_redis_reply *)async__allocate(loop,
                                                sizeof *node + size + 1);
    if (node == NULL) return NULL;
    memset(node, 0, sizeof *node);
    copy = (char *)(node + 1);
    if (size > 0) memcpy(copy, text, size);
    copy[size] = '\0';
    node->type = type;
    node->loop = loop;
    node->text = copy;
    node->size = size;
    return node;
}

/* Room for so many elements. */
static int async__redis_reserve(async_redis_reply *node, size_t room)
{
    async_redis_reply **elements = (async_redis_reply **)async__allocate(
        node->loop, room * sizeof *elements);
    if (elements == NULL) return ASYNC_ENOMEM;
    if (node->count > 0)
        memcpy(elements, node->elements, node->count * sizeof *elements);
    if (node->elements != NULL)
        async__release(node->loop, node->elements,
                       node->room * sizeof *elements);
    node->elements = elements;
    node->room = room;
    return 0;
}

/* --- replies as hiredis makes them ---------------------------------------
 *
 * An array is not as long as the server says before its elements have come. */

static void *async__redis_create(const redisReadTask *task, int type,
                                 const char *text, size_t size)
{
    async_redis *redis = (async_redis *)task->privdata;
    async_redis_reply *parent, *node;
    size_t needs = sizeof *node + size + 1;
    if (redis->limit > 0 && needs > redis->limit - redis->building) {
        redis->too_large = 1;
        return NULL;
    }
    node = async__redis_make(redis->loop, type, text, size);
    if (node == NULL) return NULL;
    redis->building += needs;
    if (task->parent == NULL) return node;
    parent = (async_redis_reply *)task->parent->obj;
    if (parent->count == parent->room &&
        async__redis_reserve(parent, parent->room ? parent->room * 2 : 4)) {
        async__redis_drop(node);
        return NULL;
    }
    parent->elements[parent->count++] = node;
    return node;
}

static void *async__redis_create_string(const redisReadTask *task, char *text,
                                        size_t size)
{
    int type = ASYNC_REDIS_STRING;
    if (task->type == REDIS_REPLY_STATUS) type = ASYNC_REDIS_STATUS;
    if (task->type == REDIS_REPLY_ERROR) type = ASYNC_REDIS_ERROR;
    return async__redis_create(task, type, text, size);
}
#if HIREDIS_MAJOR >= 1
static void *async__redis_create_array(const redisReadTask *task, size_t count)
#else
static void *async__redis_create_array(const redisReadTask *task, int count)
#endif
{
    (void)count;
    return async__redis_create(task, ASYNC_REDIS_ARRAY, NULL, 0);
}
static void *async__redis_create_integer(const redisReadTask *task,
                                         long long integer)
{
    async_redis_reply *node = (async_redis_reply *)async__redis_create(
        task, ASYNC_REDIS_INTEGER, NULL, 0);
    if (node != NULL) node->integer = integer;
    return node;
}
static void *async__redis_create_nil(const redisReadTask *task)
{
    return async__redis_create(task, ASYNC_REDIS_NIL, NULL, 0);
}
#if HIREDIS_MAJOR >= 1 /* of RESP3, which nobody has asked for */
static void *async__redis_create_double(const redisReadTask *task,
                                        double number, char *text, size_t size)
{
    (void)number;
    return async__redis_create(task, ASYNC_REDIS_STRING, text, size);
}
static void *async__redis_create_bool(const redisReadTask *task, int truth)
{
    return async__redis_create_integer(task, truth);
}
#endif
static void async__redis_drop_object(void *object)
{
    async__redis_drop((async_redis_reply *)object);
}

static redisReader *async__redis_reader(async_redis *redis)
{
    static redisReplyObjectFunctions functions = {
        async__redis_create_string, async__redis_create_array,
        async__redis_create_integer,
#if HIREDIS_MAJOR >= 1
        async__redis_create_double,
#endif
        async__redis_create_nil,
#if HIREDIS_MAJOR >= 1
        async__redis_create_bool,
#endif
        async__redis_drop_object
    };
    redisReader *reader = redisReaderCreateWithFunctions(&functions);
    if (reader != NULL) reader->privdata = redis;
    return reader;
}

/* --- the end of a connection --------------------------------------------- */

static void async__redis_say(async_redis *redis, const char *text, size_t size)
{
    if (size >= sizeof redis->text) size = sizeof redis->text - 1;
    memcpy(redis->text, text, size);
    redis->text[size] = '\0';
}

static void async__redis_finish(async__redis_request *request, int error)
{
    async__unlink(&request->link);
    async__arrived(&request->done, error);
}

/* Nothing more can come.  The memory of what has come stays. */
static void async__redis_break(async_redis *redis, int error)
{
    async__redis_link *link = redis->link;
    if (link == NULL) return;
    redis->link = NULL;
    redis->error = error;
    if (redis->state == ASYNC__REDIS_OPEN) redis->state = ASYNC__REDIS_BROKEN;
    link->redis = NULL;
    if (link->started)
        async_transport_abort(link->top);
    else
        link->allocator->release(link->allocator->context, link, link->size);
    redis->skip = 0;
    while (!async__list_empty(&redis->requests))
        async__redis_finish(
            (async__redis_request *)(void *)redis->requests.next, error);
    async__arrived(redis->listener, 0);
}

static void async__redis_end(async_redis *redis)
{
    async__redis_break(redis, ASYNC_ECLOSED);
    redis->state = ASYNC__REDIS_SHUT;
    if (redis->resource.link.prev != NULL)
        async__unlink(&redis->resource.link);
    while (redis->first != NULL) {
        async_redis_reply *message = redis->first;
        redis->first = message->root;
        async__redis_drop(message);
    }
    async__redis_drop(redis->given);
    redis->given = NULL;
    if (redis->reader != NULL) redisReaderFree(redis->reader);
    redis->reader = NULL;
}

void async_redis_close(async_redis *redis)
{
    if (redis->state >= ASYNC__REDIS_OPEN) async__redis_end(redis);
}

static void async__redis_close_resource(async_node *node)
{
    async_redis_close((async_redis *)(void *)((char *)node -
                                              offsetof(async_redis, resource)));
}

/* --- what comes ---------------------------------------------------------- */

static int async__redis_error_starts(const char *text, const char *word)
{
    size_t size = strlen(word);
    return strncmp(text, word, size) == 0 &&
           (text[size] == ' ' || text[size] == '\0');
}

int async_redis_error_is(const async_redis *redis, const char *word)
{
    return async__redis_error_starts(redis->text, word);
}

/* What a reply is as an error, or 0. */
static int async__redis_failure(async_redis *redis,
                                const async_redis_reply *reply)
{
    if (reply->type != ASYNC_REDIS_ERROR) return 0;
    async__redis_say(redis, reply->text, reply->size);
    if (async__redis_error_starts(reply->text, "NOAUTH") ||
        async__redis_error_starts(reply->text, "WRONGPASS") ||
        async__redis_error_starts(reply->text, "NOPERM") ||
        strcmp(reply->text, "ERR invalid password") == 0)
        return UV_EACCES;
    return ASYNC_EREDIS;
}

/* While much waits that nobody reads, and nobody waits for a reply, nothing
 * more is read. */
static void async__redis_flow(async_redis *redis)
{
    async_transport *transport;
    if (redis->link == NULL || !redis->link->started) return;
    transport = redis->link->top;
    if (redis->waiting >= ASYNC_REDIS_WINDOW && redis->skip == 0 &&
        async__list_empty(&redis->requests))
        async_transport_pause_reading(transport);
    else
        async_transport_resume_reading(transport);
}

static int async__redis_is_text(const async_redis_reply *reply,
                                const char *text)
{
    return reply->type == ASYNC_REDIS_STRING && strcmp(reply->text, text) == 0;
}

/* Whether it is a message, which nobody has asked for in particular. */
static int async__redis_is_message(const async_redis *redis,
                                   const async_redis_reply *reply)
{
    size_t i;
    if (redis->channels <= 0 || reply->type != ASYNC_REDIS_ARRAY) return 0;
    if (reply->count < 3 || reply->count > 4) return 0;
    for (i = 0; i < reply->count; i++)
        if (reply->elements[i]->type != ASYNC_REDIS_STRING) return 0;
    return async__redis_is_text(reply->elements[0],
                                reply->count == 3 ? "message" : "pmessage");
}

/* Behind a subscription come confirmations and nothing else that was asked
 * for; each tells how many channels there are now. */
static void async__redis_note_reply(async_redis *redis,
                                    const async_redis_reply *reply)
{
    size_t index = redis->came++;
    if (redis->confirming == 0 || index < redis->confirm_from) return;
    redis->confirming--;
    if (reply->type == ASYNC_REDIS_ARRAY && reply->count == 3 &&
        reply->elements[2]->type == ASYNC_REDIS_INTEGER)
        redis->channels = reply->elements[2]->integer;
    if (redis->channels <= 0) async__arrived(redis->listener, 0);
}

static void async__redis_keep_message(async_redis *redis,
                                      async_redis_reply *message)
{
    message->root = NULL;
    message->integer = (long long)redis->building;
    redis->waiting += redis->building;
    if (redis->first == NULL) redis->first = message;
    else redis->last->root = message;
    redis->last = message;
    async__arrived(redis->listener, 0);
}

/* For the first of those who wait. */
static void async__redis_answer(async__redis_request *request,
                                async_redis *redis, async_redis_reply *node)
{
    int failure = 0;
    request->wanted--;
    if (request->kind == ASYNC__REDIS_MANY) {
        async_redis_reply *reply = request->reply;
        if (reply != NULL) reply->elements[reply->count++] = node;
        else async__redis_drop(node);
    } else {
        failure = async__redis_failure(redis, node);
        if (failure && !request->failed) {
            request->failed = failure;
            async__redis_give(request->reply, node);
        } else if (request->wanted > 0 || request->failed ||
                   request->kind == ASYNC__REDIS_NONE) {
            async__redis_drop(node);
        } else {
            async__redis_give(request->reply, node);
        }
    }
    if (request->wanted == 0) async__redis_finish(request, request->failed);
}

static void async__redis_take(async_redis *redis, async_redis_reply *node)
{
    async__redis_request *request = NULL;
    if (async__redis_is_message(redis, node)) {
        async__redis_keep_message(redis, node);
        return;
    }
    async__redis_note_reply(redis, node);
    if (!async__list_empty(&redis->requests))
        request = (async__redis_request *)(void *)redis->requests.next;
    if (request != NULL && request->skip == 0) {
        async__redis_answer(request, redis, node);
        return;
    }
    if (request != NULL) {
        request->skip--;
    } else if (redis->skip > 0) {
        redis->skip--;
    } else {
        if (async__redis_failure(redis, node) == 0)
            strcpy(redis->text, "a reply that nobody has asked for");
        async__redis_drop(node);
        async__redis_break(redis, UV_EPROTO);
        return;
    }
    async__redis_drop(node);
}

static void async__redis_parse_failed(async_redis *redis)
{
    int error = UV_EPROTO;
    if (redis->reader->err == REDIS_ERR_OOM) error = ASYNC_ENOMEM;
    if (redis->too_large) {
        error = UV_EMSGSIZE;
        strcpy(redis->text, "a reply is larger than the limit");
    } else {
        async__redis_say(redis, redis->reader->errstr,
                         strlen(redis->reader->errstr));
    }
    async__redis_break(redis, error);
}

static int async__redis_received(async_protocol *protocol, const void *data,
                                 size_t size)
{
    async_redis *redis = ((async__redis_link *)(void *)protocol)->redis;
    redisReader *reader;
    if (redis == NULL) return 0;
    reader = redis->reader;
    if (redisReaderFeed(reader, (const char *)data, size) != REDIS_OK) {
        if (reader->err == 0) reader->err = REDIS_ERR_OOM;
        async__redis_parse_failed(redis);
        return 0;
    }
    while (redis->link != NULL) {
        void *node = NULL;
        if (redisReaderGetReply(reader, &node) != REDIS_OK) {
            async__redis_parse_failed(redis);
            return 0;
        }
        if (node == NULL) break;
        async__redis_take(redis, (async_redis_reply *)node);
        redis->building = 0;
    }
    /* A string that has not come to its end lies in the reader. */
    if (redis->limit > 0 && redis->link != NULL &&
        reader->len - reader->pos > redis->limit) {
        redis->too_large = 1;
        async__redis_parse_failed(redis);
    }
    async__redis_flow(redis);
    return 0;
}

static int async__redis_eof(async_protocol *protocol)
{
    async_redis *redis = ((async__redis_link *)(void *)protocol)->redis;
    if (redis == NULL) return 0;
    strcpy(redis->text, "the server has closed the connection");
    async__redis_break(redis, UV_ECONNRESET);
    return 0;
}

/* What it has died of, or what TLS has; nothing is left of it. */
static void async__redis_connection_lost(async_protocol *protocol, int error)
{
    async__redis_link *link = (async__redis_link *)(void *)protocol;
    async_redis *redis = link->redis;
    if (redis == NULL) return;
    if (!error) error = UV_ECONNRESET;
    redis->text[0] = '\0';
    if (link->layer != NULL)
        link->layer->explain(link->top, redis->text, sizeof redis->text);
    if (redis->text[0] == '\0') {
        const char *text = async_strerror(error);
        async__redis_say(redis, text, strlen(text));
    }
    async__redis_break(redis, error);
}

/* TLS is there. */
static int async__redis_secured(async_protocol *protocol,
                                async_transport *transport)
{
    async_redis *redis = ((async__redis_link *)(void *)protocol)->redis;
    (void)transport;
    if (redis != NULL) async__arrived(redis->listener, 0);
    return 0;
}

/* Libuv has let go of it. */
static void async__redis_lost(async_uv_transport *transport, int loop_is)
{
    async__redis_link *link =
        (async__redis_link *)(void *)((char *)transport -
                                      offsetof(async__redis_link, transport));
    if (loop_is == ASYNC__LOOP_OPEN) {
        async_protocol *protocol = transport->base.protocol; /* or TLS's */
        protocol->callbacks->connection_lost(protocol, transport->error);
    } else {
        if (link->layer != NULL)
            link->layer->forget(link->top, loop_is == ASYNC__LOOP_GONE);
        if (loop_is != ASYNC__LOOP_GONE)
            async__redis_connection_lost(&link->protocol, transport->error);
    }
    link->allocator->release(link->allocator->context, link, link->size);
}

/* --- what goes out ------------------------------------------------------- */

static async_bytes async__redis_argument(const async_redis_arguments *arguments,
                                         size_t i)
{
    return arguments->bytes != NULL ? arguments->bytes[i]
                                    : async_redis_text(arguments->texts[i]);
}

/* In RESP.  Returns how many bytes it is; `to` NULL: nothing else. */
static size_t async__redis_format(char *to,
                                  const async_redis_arguments *arguments)
{
    char head[32];
    size_t size, i;
    size = (size_t)sprintf(head, "*%lu\r\n", (unsigned long)arguments->count);
    if (to != NULL) memcpy(to, head, size);
    for (i = 0; i < arguments->count; i++) {
        async_bytes bytes = async__redis_argument(arguments, i);
        size_t n = (size_t)sprintf(head, "$%lu\r\n",
                                   (unsigned long)bytes.size);
        if (to != NULL) {
            memcpy(to + size, head, n);
            if (bytes.size > 0) memcpy(to + size + n, bytes.data, bytes.size);
            memcpy(to + size + n + bytes.size, "\r\n", 2);
        }
        size += n + bytes.size + 2;
    }
    return size;
}

/* Whether the argument is that word, in capitals or not. */
static int async__redis_says(const async_redis_arguments *arguments, size_t i,
                             const char *word)
{
    async_bytes bytes;
    size_t at;
    if (i >= arguments->count) return 0;
    bytes = async__redis_argument(arguments, i);
    if (bytes.size != strlen(word)) return 0;
    for (at = 0; at < bytes.size; at++) {
        char c = bytes.data[at];
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        if (c != word[at]) return 0;
    }
    return 1;
}

static int async__redis_says_any(const async_redis_arguments *arguments,
                                 const char *const *words)
{
    for (; *words != NULL; words++)
        if (async__redis_says(arguments, 0, *words)) return 1;
    return 0;
}

/* What would change the meaning of what comes is not sent. */
static int async__redis_check_command(const async_redis_arguments *arguments)
{
    static const char *const no[] = {
        "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
        "SUNSUBSCRIBE", "MONITOR", "HELLO", "SYNC", "PSYNC", NULL
    };
    size_t i;
    if (arguments->count == 0) return ASYNC_EINVAL;
    for (i = 0; i < arguments->count; i++)
        if (arguments->bytes == NULL ? arguments->texts[i] == NULL
                                     : arguments->bytes[i].data == NULL &&
                                           arguments->bytes[i].size > 0)
            return ASYNC_EINVAL;
    if (async__redis_says_any(arguments, no)) return ASYNC_EINVAL;
    if (async__redis_says(arguments, 0, "CLIENT") &&
        async__redis_says(arguments, 1, "REPLY"))
        return ASYNC_EINVAL;
    return 0;
}

/* What it leaves behind, for who has the connection next: 1 or, over, 2. */
static void async__redis_note_command(const async_redis_arguments *arguments,
                                      unsigned char *watches,
                                      unsigned char *chooses)
{
    static const char *const begins[] = { "WATCH", "MULTI", NULL };
    static const char *const ends[] = { "UNWATCH", "EXEC", "DISCARD", "RESET",
                                        NULL };
    static const char *const others[] = { "SELECT", "AUTH", "RESET", NULL };
    if (async__redis_says_any(arguments, begins)) *watches = 1;
    if (async__redis_says_any(arguments, ends)) *watches = 2;
    if (async__redis_says_any(arguments, others)) *chooses = 1;
}
static void async__redis_noted(async_redis *redis, unsigned char watches,
                               unsigned char chooses)
{
    if (watches) redis->watching = watches == 1;
    if (chooses) redis->chosen = 1;
}

int async_redis_append(async_redis_pipeline *pipeline, async_loop *loop,
                       async_redis_arguments command)
{
    int error = async__redis_check_command(&command);
    size_t size, room = pipeline->room > 0 ? pipeline->room : 256;
    char *data;
    if (error) return error;
    size = async__redis_format(NULL, &command);
    while (room - pipeline->size < size) room *= 2;
    if (room > pipeline->room) {
        data = (char *)async__allocate(loop, room);
        if (data == NULL) return ASYNC_ENOMEM;
        if (pipeline->size > 0) memcpy(data, pipeline->data, pipeline->size);
        if (pipeline->data != NULL)
            async__release(pipeline->loop, pipeline->data, pipeline->room);
        pipeline->data = data;
        pipeline->room = room;
        pipeline->loop = loop;
    }
    (void)async__redis_format(pipeline->data + pipeline->size, &command);
    pipeline->size += size;
    pipeline->count++;
    async__redis_note_command(&command, &pipeline->watches,
                              &pipeline->chooses);
    return 0;
}

void async_redis_clear(async_redis_pipeline *pipeline)
{
    if (pipeline->data != NULL)
        async__release(pipeline->loop, pipeline->data, pipeline->room);
    memset(pipeline, 0, sizeof *pipeline);
}

static int async__redis_write(async_redis *redis, const async_bytes *lines,
                              size_t count)
{
    async_transport *transport = redis->link->top;
    int error = async_transport_writelines(transport, lines, count);
    if (error && async_transport_is_closing(transport)) {
        const char *text = async_strerror(error);
        async__redis_say(redis, text, strlen(text));
        async__redis_break(redis, error);
    }
    return error;
}

/* Stands in line for the replies to what has just been sent. */
static void async__redis_stand(async_redis *redis,
                               async__redis_request *request,
                               async_redis_reply *reply, int kind,
                               size_t wanted)
{
    async_operation_init(&request->done, redis->loop,
                         async_operation_cancelled);
    request->reply = reply;
    request->skip = redis->skip;
    redis->skip = 0;
    request->wanted = wanted;
    redis->sent += wanted;
    request->failed = 0;
    request->kind = (unsigned char)kind;
    async__list_append(&redis->requests, &request->link);
    async__redis_flow(redis);
}

/* Behind the wait: one that has been given up still stands there. */
static void async__redis_waited(async_redis *redis,
                                async__redis_request *request)
{
    async_link *next = request->link.next;
    size_t skip = request->skip + request->wanted;
    if (request->link.prev == NULL) return;
    if (next != &redis->requests)
        ((async__redis_request *)(void *)next)->skip += skip;
    else
        redis->skip += skip;
    async__unlink(&request->link);
}

/* The server's words stay, for who is told of them. */
static void async__redis_tidy(async_redis_reply *reply, int error)
{
    if (reply != NULL && error && error != ASYNC_EREDIS && error != UV_EACCES)
        async_redis_free(reply);
}

#define ASYNC__REDIS_AWAIT(reply_)                                            \
    do {                                                                      \
        ASYNC__WAIT_FOR(&self->request.done.future);                          \
        async__redis_waited(self->redis, &self->request);                     \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        async__redis_tidy((reply_), co->error);                               \
        ASYNC__CHECK;                                                         \
    } while (0)

/* --- commands ------------------------------------------------------------ */

/* Why a coroutine cannot use it, or 0. */
static int async__redis_check(const async_redis *redis, const async *co)
{
    if (redis->state == ASYNC__REDIS_BROKEN) return redis->error;
    if (redis->state != ASYNC__REDIS_OPEN) return ASYNC_ECLOSED;
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co) != redis->loop) return ASYNC_EOTHERLOOP;
    return 0;
}
static int async__redis_check_unsubscribed(const async_redis *redis,
                                           const async *co)
{
    int error = async__redis_check(redis, co);
    if (error) return error;
    return redis->channels > 0 || redis->confirming > 0
               ? (int)ASYNC_EINVALSTATE
               : 0;
}

static int async__redis_command_begin(struct async_redis_command *self,
                                      const async *co)
{
    async_redis *redis = self->redis;
    unsigned char watches = 0, chooses = 0;
    async_bytes bytes;
    char *data;
    int error;
    if (self->reply != NULL) async_redis_free(self->reply);
    error = async__redis_check_unsubscribed(redis, co);
    if (!error) error = async__redis_check_command(&self->arguments);
    if (error) return error;
    bytes.size = async__redis_format(NULL, &self->arguments);
    data = (char *)async__allocate(redis->loop, bytes.size);
    if (data == NULL) return ASYNC_ENOMEM;
    (void)async__redis_format(data, &self->arguments);
    bytes.data = data;
    error = async__redis_write(redis, &bytes, 1);
    async__release(redis->loop, data, bytes.size);
    if (error) return error;
    async__redis_note_command(&self->arguments, &watches, &chooses);
    async__redis_noted(redis, watches, chooses);
    async__redis_stand(redis, &self->request, self->reply, ASYNC__REDIS_ONE,
                       1);
    return 0;
}

ASYNC(async_redis_command)
{
    int error;
    ASYNC_BEGIN(async_redis_command);
    error = async__redis_command_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC__REDIS_AWAIT(self->reply);
    ASYNC_END;
}

/* An array with room for the replies to come. */
static int async__redis_prepare_many(async_redis *redis,
                                     async_redis_reply *reply, size_t count)
{
    async_redis_reply *node;
    if (reply == NULL) return 0;
    node = async__redis_make(redis->loop, ASYNC_REDIS_ARRAY, NULL, 0);
    if (node == NULL) return ASYNC_ENOMEM;
    if (count > 0 && async__redis_reserve(node, count)) {
        async__redis_drop(node);
        return ASYNC_ENOMEM;
    }
    async__redis_give(reply, node);
    return 0;
}

static int async__redis_execute_begin(struct async_redis_execute *self,
                                      const async *co)
{
    async_redis *redis = self->redis;
    async_redis_pipeline *pipeline = self->pipeline;
    async_bytes bytes;
    int error = 0;
    if (self->reply != NULL) async_redis_free(self->reply);
    if (!pipeline->greets) error = async__redis_check_unsubscribed(redis, co);
    if (!error)
        error = async__redis_prepare_many(redis, self->reply, pipeline->count);
    if (error) return error;
    if (pipeline->count == 0) return 0;
    bytes.data = pipeline->data;
    bytes.size = pipeline->size;
    error = async__redis_write(redis, &bytes, 1);
    if (error) {
        if (self->reply != NULL) async_redis_free(self->reply);
        return error;
    }
    async__redis_noted(redis, pipeline->watches, pipeline->chooses);
    async__redis_stand(redis, &self->request, self->reply, ASYNC__REDIS_MANY,
                       pipeline->count);
    return 0;
}

ASYNC(async_redis_execute)
{
    int error;
    ASYNC_BEGIN(async_redis_execute);
    error = async__redis_execute_begin(self, co);
    async_redis_clear(self->pipeline);
    if (error) ASYNC_RAISE(error);
    if (self->request.link.prev == NULL) ASYNC_RETURN(); /* of nothing */
    ASYNC__REDIS_AWAIT(self->reply);
    ASYNC_END;
}

static int async__redis_transaction_begin(struct async_redis_transaction *self,
                                          const async *co)
{
    static const char begin[] = "*1\r\n$5\r\nMULTI\r\n";
    static const char end[] = "*1\r\n$4\r\nEXEC\r\n";
    async_redis *redis = self->redis;
    async_redis_pipeline *pipeline = self->pipeline;
    async_bytes lines[3];
    int error;
    if (self->reply != NULL) async_redis_free(self->reply);
    error = async__redis_check_unsubscribed(redis, co);
    if (!error && (pipeline->count == 0 || pipeline->watches))
        error = ASYNC_EINVAL;
    if (error) return error;
    lines[0].data = begin;
    lines[0].size = sizeof begin - 1;
    lines[1].data = pipeline->data;
    lines[1].size = pipeline->size;
    lines[2].data = end;
    lines[2].size = sizeof end - 1;
    error = async__redis_write(redis, lines, 3);
    if (error) return error;
    async__redis_noted(redis, 2, pipeline->chooses);
    async__redis_stand(redis, &self->request, self->reply, ASYNC__REDIS_LAST,
                       pipeline->count + 2);
    return 0;
}

ASYNC(async_redis_transaction)
{
    int error;
    ASYNC_BEGIN(async_redis_transaction);
    error = async__redis_transaction_begin(self, co);
    async_redis_clear(self->pipeline);
    if (error) ASYNC_RAISE(error);
    ASYNC__REDIS_AWAIT(self->reply);
    ASYNC_END;
}

/* --- messages ------------------------------------------------------------ */

/* A command for each channel, so that each gets one reply whatever that is. */
static int async__redis_subscription_begin(async_redis *redis, const async *co,
                                           const char *word,
                                           async_redis_arguments channels,
                                           async__redis_request *request)
{
    async_bytes command[2], bytes;
    async_redis_arguments arguments;
    int error = async__redis_check(redis, co);
    size_t size = 0, i;
    char *data;
    if (!error && channels.count == 0) error = ASYNC_EINVAL;
    if (error) return error;
    command[0] = command[1] = async_redis_text(word);
    arguments = async_redis_list(command, 2);
    for (i = 0; i < channels.count; i++) {
        command[1] = async__redis_argument(&channels, i);
        size += async__redis_format(NULL, &arguments);
    }
    data = (char *)async__allocate(redis->loop, size);
    if (data == NULL) return ASYNC_ENOMEM;
    bytes.data = data;
    bytes.size = size;
    for (i = 0, size = 0; i < channels.count; i++) {
        command[1] = async__redis_argument(&channels, i);
        size += async__redis_format(data + size, &arguments);
    }
    error = async__redis_write(redis, &bytes, 1);
    async__release(redis->loop, data, bytes.size);
    if (error) return error;
    if (redis->confirming == 0) redis->confirm_from = redis->sent;
    redis->confirming += channels.count;
    async__redis_stand(redis, request, NULL, ASYNC__REDIS_NONE,
                       channels.count);
    return 0;
}

#define ASYNC__REDIS_SUBSCRIPTION(name, word)                                 \
    ASYNC(name)                                                               \
    {                                                                         \
        int error;                                                            \
        ASYNC_BEGIN(name);                                                    \
        error = async__redis_subscription_begin(self->redis, co, word,        \
                                                self->channels,               \
                                                &self->request);              \
        if (error) ASYNC_RAISE(error);                                        \
        ASYNC__REDIS_AWAIT((async_redis_reply *)NULL);                        \
        ASYNC_END;                                                            \
    }
ASYNC__REDIS_SUBSCRIPTION(async_redis_subscribe, "SUBSCRIBE")
ASYNC__REDIS_SUBSCRIPTION(async_redis_psubscribe, "PSUBSCRIBE")
ASYNC__REDIS_SUBSCRIPTION(async_redis_unsubscribe, "UNSUBSCRIBE")
ASYNC__REDIS_SUBSCRIPTION(async_redis_punsubscribe, "PUNSUBSCRIBE")
#undef ASYNC__REDIS_SUBSCRIPTION

enum { ASYNC__REDIS_WAIT = 1, ASYNC__REDIS_OVER };

/* The next message: 0; or what else there is to do, or an error. */
static int async__redis_step(struct async_redis_messages *self,
                             const async *co)
{
    async_redis *redis = self->redis;
    async_redis_reply *message = redis->first, **part;
    async_redis_message *value = &self->frame.value;
    async__redis_drop(redis->given);
    redis->given = NULL;
    if (redis->state != ASYNC__REDIS_OPEN &&
        redis->state != ASYNC__REDIS_BROKEN)
        return ASYNC_ECLOSED;
    if (redis->listener != NULL) return ASYNC_EBUSY;
    if (message == NULL) {
        int error = async__redis_check(redis, co);
        if (error) return error;
        return redis->channels > 0 || redis->confirming > 0
                   ? ASYNC__REDIS_WAIT
                   : ASYNC__REDIS_OVER;
    }
    redis->given = message;
    redis->first = message->root;
    redis->waiting -= (size_t)message->integer;
    async__redis_flow(redis);
    part = message->elements + 1;
    memset(value, 0, sizeof *value);
    if (message->count == 4) {
        value->pattern = (*part)->text;
        value->pattern_size = (*part)->size;
        part++;
    }
    value->channel = part[0]->text;
    value->channel_size = part[0]->size;
    value->text = part[1]->text;
    value->size = part[1]->size;
    return 0;
}

ASYNC(async_redis_messages)
{
    int step;
    ASYNC_BEGIN(async_redis_messages);
    for (;;) {
        step = async__redis_step(self, co);
        if (step < 0) ASYNC_RAISE(step);
        if (step == ASYNC__REDIS_OVER) break;
        if (step == ASYNC__REDIS_WAIT)
            ASYNC__AWAIT_ARRIVAL(&self->redis->listener, &self->arrival,
                                 self->redis->loop);
        else
            ASYNC_YIELD(self->frame.value);
    }
    ASYNC_END;
}

/* --- connecting ---------------------------------------------------------- */

static int async__redis_connect_begin(struct async_redis_connect *self,
                                      const async *co)
{
    async_redis *redis = self->redis;
    async_loop *loop = async_loop_of(co);
    size_t size = sizeof *redis->link;
    int error = async__uv_check(co);
    if (error) return error;
    if (redis->state != ASYNC__REDIS_SHUT) return ASYNC_EBUSY;
    if (self->options.tls != NULL)
        size = async__redis_link_size() + self->options.tls->size;
    memset(redis, 0, sizeof *redis);
    redis->loop = loop;
    redis->limit = self->options.limit;
    async__list_init(&redis->requests);
    redis->link = (async__redis_link *)async__allocate_large(loop, size);
    if (redis->link == NULL) return ASYNC_ENOMEM;
    memset(redis->link, 0, size);
    redis->link->size = size;
    redis->link->redis = redis;
    redis->link->allocator = loop->allocator;
    redis->state = ASYNC__REDIS_OPENING;
    redis->reader = async__redis_reader(redis);
    if (redis->reader == NULL) {
        async__redis_end(redis);
        return ASYNC_ENOMEM;
    }
    return 0;
}

static const char *async__redis_host(const async_redis_options *options)
{
    return options->host != NULL ? options->host : "127.0.0.1";
}

/* The socket is connected. */
static int async__redis_start(const async_redis_options *options,
                              async__redis_link *link)
{
    static const async_protocol_callbacks callbacks = {
        async__redis_secured, async__redis_received, async__redis_eof,
        async__redis_connection_lost, NULL, NULL, NULL, NULL
    };
    async_transport_layer *layer = options->tls;
    async_transport *upper;
    const char *name = options->tls_name;
    int error;
    link->protocol.callbacks = &callbacks;
    link->protocol.at_once = 1;
    (void)async_uv_transport_start(&link->transport, &link->protocol);
    link->transport.lost = async__redis_lost;
    link->top = &link->transport.base;
    link->started = 1;
    if (layer == NULL) return 0;
    if (name == NULL && options->path == NULL)
        name = async__redis_host(options);
    upper = (async_transport *)(void *)((char *)link +
                                        async__redis_link_size());
    error = layer->start(layer, upper, link->top, &link->protocol, name);
    if (error) return error;
    link->layer = layer;
    link->top = upper;
    return 0;
}

/* What is to be said first. */
static int async__redis_greet(struct async_redis_connect *self)
{
    const async_redis_options *options = &self->options;
    async_redis_pipeline *greeting = &self->greeting;
    async_loop *loop = self->redis->loop;
    const char *words[3];
    char number[16];
    int error = 0;
    greeting->greets = 1;
    if (options->password != NULL) {
        size_t n = 0;
        words[n++] = "AUTH";
        if (options->user != NULL) words[n++] = options->user;
        words[n++] = options->password;
        error = async_redis_append(greeting, loop,
                                   async__redis_texts(words, n));
    }
    if (!error && options->name != NULL) {
        words[0] = "CLIENT";
        words[1] = "SETNAME";
        words[2] = options->name;
        error = async_redis_append(greeting, loop,
                                   async__redis_texts(words, 3));
    }
    if (!error && options->database != 0) {
        sprintf(number, "%d", options->database);
        words[0] = "SELECT";
        words[1] = number;
        error = async_redis_append(greeting, loop,
                                   async__redis_texts(words, 2));
    }
    return error;
}

/* What came of that; then it is open. */
static int async__redis_welcome(struct async_redis_connect *self)
{
    async_redis *redis = self->redis;
    size_t i;
    if (redis->link == NULL) return redis->error;
    for (i = 0; i < self->reply.count; i++) {
        int error = async__redis_failure(redis, self->reply.elements[i]);
        if (error) return error;
    }
    redis->chosen = 0;
    redis->state = ASYNC__REDIS_OPEN;
    redis->resource.run = async__redis_close_resource;
    async__uv_opened(redis->loop, &redis->resource);
    return 0;
}

ASYNC(async_redis_connect)
{
    int error;
    ASYNC_BEGIN(async_redis_connect);
    error = async__redis_connect_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC_TRY {
        if (self->options.path != NULL)
            ASYNC_AWAIT(async_pipe_connect,
                        &self->redis->link->transport.stream,
                        self->options.path);
        else
            ASYNC_AWAIT(async_tcp_connect_host,
                        &self->redis->link->transport.stream,
                        async__redis_host(&self->options),
                        self->options.port != 0 ? self->options.port : 6379);
        self->error = async__redis_start(&self->options, self->redis->link);
        if (self->error) ASYNC_RAISE(self->error);
        if (self->options.tls != NULL) {
            ASYNC__AWAIT_ARRIVAL(&self->redis->listener, &self->secured,
                                 self->redis->loop);
            if (self->redis->link == NULL) ASYNC_RAISE(self->redis->error);
        }
        self->error = async__redis_greet(self);
        if (self->error) ASYNC_RAISE(self->error);
        if (self->greeting.count > 0)
            ASYNC_AWAIT(async_redis_execute, self->redis, &self->reply,
                        &self->greeting);
        self->error = async__redis_welcome(self);
        if (self->error) ASYNC_RAISE(self->error);
        async_redis_free(&self->reply);
    } ASYNC_EXCEPT_ALL(self->error) {
        async_redis_clear(&self->greeting);
        async_redis_free(&self->reply);
        async__redis_end(self->redis);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- pools --------------------------------------------------------------- */

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif
struct async__redis_join {
    ASYNC_FRAME;
    async_redis *connection;
    const async_redis_options *options;
};
static ASYNC(async__redis_join);
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

static ASYNC(async__redis_join)
{
    ASYNC_BEGIN(async__redis_join);
    ASYNC_AWAIT(async_redis_connect, self->connection, *self->options);
    ASYNC_END;
}

static void async__redis_pool_close_one(void *connection)
{
    async_redis_close((async_redis *)connection);
}

static int async__redis_pool_is_usable(void *connection)
{
    const async_redis *redis = (const async_redis *)connection;
    uv_os_fd_t fd;
    if (!async_redis_is_open(redis) || redis->watching || redis->chosen ||
        redis->skip > 0 || redis->channels > 0 || redis->confirming > 0 ||
        !async__list_empty(&redis->requests))
        return 0;
    if (uv_fileno(&redis->link->transport.stream.handle.any, &fd)) return 0;
    return async__socket_is_quiet((uv_os_sock_t)fd);
}

int async_redis_pool_open(async_redis_pool *pool, async_loop *loop,
                          const async_redis_options *options,
                          const async_net_pool_options *limits)
{
    static const async_net_pool_kind kind = {
        sizeof(async_redis), async__redis_pool_close_one,
        async__redis_pool_is_usable
    };
    if (pool->pool.open) return ASYNC_EBUSY;
    pool->options = *options;
    return async_net_pool_open(
        &pool->pool, loop, &kind,
        ASYNC_NET_POOL_CONNECT(async__redis_join, &pool->options), limits);
}

ASYNC(async_redis_acquire)
{
    ASYNC_BEGIN(async_redis_acquire);
    ASYNC_AWAIT_INTO(self->connection, async_net_pool_acquire,
                     &self->pool->pool);
    ASYNC_RETURN((async_redis *)self->connection);
    ASYNC_END;
}

#undef ASYNC__REDIS_AWAIT

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
