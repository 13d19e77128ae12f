/* http_server.h - an HTTP/1.1 server on llhttp: a coroutine for each request
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct hello {
 *         ASYNC_FRAME;
 *         async_web_request *request;
 *         async_web_response *response;
 *     };
 *     static ASYNC(hello)
 *     {
 *         ASYNC_BEGIN(hello);
 *         async_web_respond(self->response, 200, "text/plain", "hello\n", 6);
 *         ASYNC_END;
 *     }
 *     ...
 *     AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(hello),
 *           "127.0.0.1", 8080);
 *     AWAIT(async_web_serve_forever, &self->web, ASYNC_SECONDS(10));
 *
 *   SERVERS        start, stop; limits and times
 *   REQUESTS       what was asked, and its body
 *   RESPONSES      whole, or as they come to be
 *   CONNECTIONS    HTTP over any transport
 *   PRIVATE
 *
 * llhttp is Node's parser.  With Debian 12's package node-llhttp, which has its
 * sources, a program is compiled with
 *     -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp /usr/share/llhttp/?*.c
 * and where it is a library, as in Debian 13, Fedora and Homebrew, with
 *     $(pkg-config --cflags --libs libllhttp)
 *
 * What comes is parsed where the transport has put it, and what a batch of
 * pipelined requests is answered goes out in one write.  An idle connection
 * holds no buffers; those of busy ones are the server's, and used again: a
 * request whose head and answer are less than 4 KiB allocates nothing.
 *
 * It is strict, for what two servers understand differently is how requests are
 * smuggled: a bare CR or LF, a folded header, a length said twice or beside a
 * transfer coding, a space before a colon, a missing Host: 400; a method or a
 * transfer coding that it does not know: 501; and the connection is closed.
 *
 * What it does not do: HTTP/2, WebSockets and other upgrades, which are not
 * agreed to; compression; trailers, which are read and dropped; files, ranges,
 * routes.
 *
 * All of it belongs to the loop's thread.  The model is aiohttp.web.
 */
#ifndef CAESURA_HTTP_SERVER_H
#define CAESURA_HTTP_SERVER_H

#ifdef __has_include
#if !__has_include(<llhttp.h>)
#error "needs llhttp: node-llhttp or libllhttp-dev; docs/net.md has the flags"
#endif
#endif
#include "../uv/streams.h" /* first: it asks for POSIX */

#include <llhttp.h>
#if LLHTTP_VERSION_MAJOR < 6
#error "async/net/http_server.h needs llhttp 6 or later"
#endif
#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error "async/net/http_server.h needs -DLLHTTP_STRICT_MODE=1, for all files"
#endif

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * SERVERS
 *
 * For each request the handler runs, a coroutine whose first two arguments are
 * the request and the response, which are there until it ends.  Those of a
 * connection come one after the other, in its task; so answers are in order.
 *
 * An error that it raises before its response has begun is answered with 500
 * and goes to the exception handler, as does one that has not responded; one
 * raised later aborts the connection.  An error of reading the body is answered
 * with its own status (below) when the handler lets it pass, and not reported.
 *
 * When the client goes, which is when it closes the connection or its sending
 * half, the handler is cancelled; so what it begins is to be cleaned up in a
 * FINALLY, and what must not be left half done is to be shielded.
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until
 * async_web_stop has ended. */
typedef struct async_web_server async_web_server;
typedef struct async_web_request async_web_request;
typedef struct async_web_response async_web_response;

/* ASYNC_WEB_HANDLER(name, arguments...): those behind `request` and `response`,
 * which are copied for each request. */
typedef struct async_web_handler {
    async_object object;
    size_t request, response; /* where those arguments are */
} async_web_handler;
#define ASYNC_WEB_HANDLER(...) ASYNC__WEB_HANDLER(__VA_ARGS__, )

/* What is 0 has its default; times may be ASYNC_FOREVER. */
typedef struct async_web_options {
    /* Connections: max_clients and so on; see async/uv/streams.h. */
    async_server_options server;
    size_t max_line;    /* the request's first line: 8192, else 414 */
    size_t max_head;    /* that and the headers, in bytes: 32768, else 431 */
    size_t max_headers; /* their number: 100, else 431 */
    uint64_t max_body;  /* a request's, in bytes: 1 MiB, else 413.
                         * ASYNC_WEB_UNLIMITED: none */
    /* How long it may take until a request's head is there, from its first
     * byte or from the beginning of the connection: 30 s, else 408. */
    async_duration head_timeout;
    /* Without a byte of the body, while the handler waits for it: 60 s, else
     * 408. */
    async_duration body_timeout;
    /* Between two requests: 75 s, and then it is closed. */
    async_duration idle_timeout;
    /* With more to write than the high-water mark, and before it is closed:
     * 60 s, and then it is aborted. */
    async_duration write_timeout;
    /* The client's end of sending is not the end: it is answered all the
     * same.  (But not with TLS, which has no such ends.) */
    unsigned char half_close;
} async_web_options;
#define ASYNC_WEB_UNLIMITED UINT64_MAX

/* AWAIT(async_web_start, web, handler, ip, port, options): listens, and serves.
 * options  NULL or left out: the defaults.  Used only until this suspends.
 * Errors   those of async_start_server.  After an error there is nothing to
 *          stop.
 * What listens is web->server: async_server_port(&web->server).
 * Counterpart: aiohttp.web.TCPSite. */
struct async_web_start {
    ASYNC_FRAME;
    async_web_server *web;
    async_web_handler handler;
    const char *ip;
    int port;
    const async_web_options *options;
    int error;
};
ASYNC(async_web_start);

/* The same in two steps, for other kinds of servers:
 *
 *     error = async_web_init(&self->web, ASYNC_WEB_HANDLER(hello), NULL);
 *     if (error) ASYNC_RAISE(error);
 *     AWAIT(async_start_tls_server, &self->web.server,
 *           async_web_clients(&self->web), &context, NULL, 443);
 *
 * or async_start_unix_server, or async_start_tls_unix_server.
 * Returns  0; ASYNC_ENOLOOP; ASYNC_ENOMEM; ASYNC_EBUSY when it has not been
 *          stopped.  When the second step fails async_web_stop gives its memory
 *          back. */
int async_web_init(async_web_server *web, async_web_handler handler,
                   const async_web_options *options);
async_client_handler async_web_clients(async_web_server *web);

/* AWAIT(async_web_stop, web, grace): accepts no more, closes the connections
 * that are idle, and waits for the handlers that run; each connection is closed
 * behind its answer.  What still runs when `grace` has passed (0: at once) is
 * cancelled, and waited for.  Of one that was never started it does nothing.
 * Without it the server's copy of the handler's arguments is not given back.
 * Errors   ASYNC_ENOMEM, and then it has not stopped: once more
 * Cancel   cancels what is left and waits for it; raised then
 * Counterpart: AppRunner.cleanup(). */
struct async_web_stop {
    ASYNC_FRAME;
    async_web_server *web;
    async_duration grace;
    async_timeout timeout;
    int error;
};
ASYNC(async_web_stop);

/* AWAIT(async_web_serve_forever, web, grace): waits until it is cancelled, as
 * by Ctrl-C, and stops then as above; a second time cancels what is left.
 * Counterpart: aiohttp.web.run_app(). */
struct async_web_serve_forever {
    ASYNC_FRAME;
    async_web_server *web;
    async_duration grace;
    int error;
};
ASYNC(async_web_serve_forever);

/* ------------------------------------------------------------------------
 * REQUESTS
 *
 * All strings are views into the connection's buffer, and end with no '\0'
 * but the method; they are there until the handler ends.
 * ------------------------------------------------------------------------ */
typedef struct async_web_header {
    async_bytes name, value; /* as they came; spaces around it are not its */
} async_web_header;

struct async_web_request {
    const char *method; /* "GET" */
    async_bytes target; /* "/search?q=a%20b", as it came */
    async_bytes path;   /* "/search" */
    async_bytes query;  /* "q=a%20b", or empty */
    const async_web_header *headers;
    size_t header_count;
    /* Of the body; -1 when it comes in chunks and nobody knows.  0: none. */
    int64_t content_length;
    unsigned char version;    /* 1 for HTTP/1.1, 0 for HTTP/1.0 */
    unsigned char keep_alive; /* whether the connection is to stay */
    /* The client's connection: who it is, what TLS says of it.  NULL over
     * another transport. */
    async_connection *client;
    async_web_server *server;
};

/* The first header of that name, in upper or lower case; without one `data` is
 * NULL, and `size` 0.  Counterpart: request.headers.get(). */
async_bytes async_web_header_of(const async_web_request *request,
                                const char *name);

/* Whether it is "GET" and so on; whether the path is that. */
int async_web_is(const async_web_request *request, const char *method,
                 const char *path);

/* AWAIT_INTO(bytes, async_web_read, request): the next piece of the body, as
 * large as what has come; empty at its end.  It is there until the next read.
 * A client that waits for it is told to go on (100-continue) by the first.
 * While nobody reads, little is taken from the network, and so the client is
 * held back.  What is not read when the handler ends is dropped, up to 64 KiB;
 * with more the connection is closed.
 * Errors   ASYNC_ELIMIT (413) when it is longer than max_body; ASYNC_EHTTP
 *          (400) when it is no body; ASYNC_ETIMEDOUT (408);
 *          ASYNC_EINCOMPLETE when the client ends before it does; ASYNC_EBUSY
 *          when another task reads; ASYNC_ENOMEM.  All but the last two stay.
 * Cancel   at once; nothing is lost
 * Counterpart: request.content.readany(). */
struct async_web_read {
    ASYNC_RETURNS(async_bytes);
    async_web_request *request;
    async_operation arrival;
    int error;
};
ASYNC(async_web_read);

/* AWAIT_INTO(bytes, async_web_read_all, request, limit): what is left of the
 * body; it is there until the handler ends, or reads it again.
 * limit    0 or left out: max_body alone
 * Errors   the above; ASYNC_ELIMIT (413) when it is longer than `limit`, of
 *          which nothing is read when its length was said
 * Counterpart: request.read(). */
struct async_web_read_all {
    ASYNC_RETURNS(async_bytes);
    async_web_request *request;
    size_t limit;
    async_bytes some;
};
ASYNC(async_web_read_all);

/* ------------------------------------------------------------------------
 * RESPONSES
 *
 * Date, Connection and what says how long the body is are the server's own;
 * others are added before the response begins.  To HEAD, and with 204 and 304,
 * what is given as a body is not sent.
 * ------------------------------------------------------------------------ */
struct async_web_response {
    int status; /* of a streamed one; at first 200 */
    /* Of one that is streamed, if it is known before: then it is not sent in
     * chunks.  At first -1. */
    int64_t content_length;
    unsigned char close; /* 1: the connection is closed behind it */
};

/* Adds a header.  Neither may have in it what would end the line.
 * Returns  0; ASYNC_EINVAL when it is none, or is one of the server's own
 *          (Content-Length, Transfer-Encoding, Connection, Date);
 *          ASYNC_EINVALSTATE when the response has begun; ASYNC_ENOMEM
 * Counterpart: response.headers.add(). */
int async_web_add_header(async_web_response *response, const char *name,
                         const char *value);
int async_web_add_header_bytes(async_web_response *response, async_bytes name,
                               async_bytes value);

/* The whole response, at once; it waits for nothing.  A handler does so once.
 * status  200 .. 599
 * type    Content-Type; NULL: none
 * data    copied, or written at once
 * Returns  0; ASYNC_EINVAL; ASYNC_EINVALSTATE when it has begun; ASYNC_ENOMEM,
 *          and then it has not; -ECONNRESET when the client has gone
 * Counterpart: web.Response(). */
int async_web_respond(async_web_response *response, int status,
                      const char *type, const void *data, size_t size);

/* AWAIT(async_web_write, response, data, size): a piece of the response; the
 * first, which may have no bytes, begins it with its status and headers.  Goes
 * on when what is not out is no more than the low-water mark again.  The
 * handler's end ends the response.
 * data     used only until this first suspends
 * Errors   ASYNC_EINVAL for a status that is none, or more than the
 *          content_length; ASYNC_EINVALSTATE behind async_web_respond();
 *          -ECONNRESET when the client has gone; ASYNC_EBUSY when another task
 *          waits here; ASYNC_ENOMEM
 * Cancel   at once; it has been written
 * Counterpart: StreamResponse.write(). */
struct async_web_write {
    ASYNC_FRAME;
    async_web_response *response;
    const void *data;
    size_t size;
    async_operation out;
    int error;
};
ASYNC(async_web_write);

/* "Not Found"; "" for a status that it does not know. */
const char *async_web_reason(int status);

/* ========================================================================
 * PRIVATE
 *
 * A connection's input:
 *    | head | body or pipelined requests | free |       in, capacity
 *    ^ start      ^ begin                ^ end
 * A long body goes on in a larger buffer, and the head stays in `kept`.
 * ======================================================================== */
enum {
    ASYNC__WEB_BLOCK = 4096,  /* of the buffers that are used again */
    ASYNC__WEB_SPARES = 64,   /* how many of them are kept */
    ASYNC__WEB_LARGE = 65536, /* for long bodies */
    ASYNC__WEB_DROPPED = 65536 /* of a body that nobody has read */
};

typedef struct async__web_text {
    char *data;
    size_t size, capacity;
} async__web_text;

typedef struct async__web {
    async_protocol protocol; /* must be first */
    async_link link;
    async_web_server *server;
    async_connection *client;
    async_transport *transport;
    async_protocol *forward; /* whose transport it was */
    async_task *task;
    async_operation *waiter, *drainer;
    async_node flusher;
    async_handle timer;
    async_time armed, read_deadline, write_deadline;
    char *in, *kept;
    size_t begin, end, capacity, kept_capacity;
    size_t line, scanned, lines_seen, head_end;
    async__web_text out, lines, collected;
    async_web_header *headers;
    llhttp_t parser;
    async_web_request request;
    async_web_response response;
    uint64_t left;     /* of a body whose length was said */
    uint64_t received; /* of one in chunks */
    uint64_t unsent;   /* of a response whose length was said */
    size_t framing;    /* bytes that were no body, since the last that were */
    size_t dropped;
    const char *behind; /* the end of the last header's value */
    async_bytes span;
    int failure; /* what reading the body has come to */
    int failure_status;
    unsigned char waiting, answer, body, expects, running, cancelled;
    unsigned char lost, gone, eof, paused, queued, timed_out, starved, linger;
    unsigned char blank; /* a line before the request was empty */
    int found; /* what the search for the head's end has come to */
} async__web;

/* AWAIT(async_web_serve, NULL, web, transport): serves HTTP over a transport
 * that has begun and is nobody's any more, until it is lost.  The server needs
 * to have been given to async_web_init().
 * Errors   ASYNC_ENOMEM, and then the transport is as it was
 * Cancel   aborts the transport */
struct async_web_serve {
    ASYNC_FRAME;
    async_connection *client;
    async_web_server *web;
    async_transport *transport;
    async__web connection;
    async_operation wait;
    int error, step;
};
ASYNC(async_web_serve);

struct async_web_server {
    async_server server;
    /* The rest is private. */
    async_loop *loop;
    async_web_handler handler; /* its frame is a copy */
    async_web_options options;
    async_link connections;
    size_t count;
    async_event empty;
    llhttp_settings_t head_settings, body_settings;
    void *spares;
    size_t spare_count;
    int64_t date_second;
    char prefix[64]; /* of most responses, with the date */
    struct async_web_serve client; /* what each begins with */
    unsigned char stopping;
};

static inline async_web_handler async__web_handler(async_object object,
                                                   size_t request,
                                                   size_t response)
{
    async_web_handler handler;
    handler.object = object;
    handler.request = request;
    handler.response = response;
    return handler;
}
/* The sums do not compile where they are of other types. */
#define ASYNC__WEB_HANDLER(name, ...)                                         \
    async__web_handler(                                                       \
        ASYNC__CO(name, NULL, NULL, __VA_ARGS__),                             \
        offsetof(struct name, request) +                                      \
            0 * sizeof(((struct name *)0)->request ==                         \
                       (async_web_request *)0),                               \
        offsetof(struct name, response) +                                     \
            0 * sizeof(((struct name *)0)->response ==                        \
                       (async_web_response *)0))

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_HTTP_SERVER_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * The connection is the protocol of its transport, and puts what comes into its
 * buffer.  Its task sleeps until a whole head is there, which is looked for
 * line by line, each byte once; only then llhttp reads it, in one go.  A body
 * of a known length is not parsed; one in chunks is, as it is read.
 *
 * Answers are gathered in `out`, which is written before the task sleeps.  For
 * a handler that sleeps itself a node in the ready queue does so.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_HTTP_SERVER_IMPLEMENTED)
#define CAESURA_HTTP_SERVER_IMPLEMENTED

#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the connection's own task waits for, or who reads. */
enum {
    ASYNC__WEB_NOTHING,
    ASYNC__WEB_HEAD,
    ASYNC__WEB_BODY,
    ASYNC__WEB_LINGER,
    ASYNC__WEB_LOST
};
/* How far the answer is. */
enum { ASYNC__WEB_UNBEGUN, ASYNC__WEB_CHUNKS, ASYNC__WEB_SIZED,
       ASYNC__WEB_UNSIZED, ASYNC__WEB_BODILESS, ASYNC__WEB_ANSWERED };
/* What a request's body is. */
enum { ASYNC__WEB_NO_BODY, ASYNC__WEB_LENGTH, ASYNC__WEB_CHUNKED };
/* What there is to do next. */
enum { ASYNC__WEB_WAIT, ASYNC__WEB_SERVE, ASYNC__WEB_END };

static async__web *async__web_of(async_protocol *protocol)
{
    return (async__web *)(void *)protocol;
}
static async__web *async__web_of_request(async_web_request *request)
{
    return (async__web *)(void *)((char *)request -
                                  offsetof(async__web, request));
}
static async__web *async__web_of_response(async_web_response *response)
{
    return (async__web *)(void *)((char *)response -
                                  offsetof(async__web, response));
}

/* --- memory -------------------------------------------------------------- */

static void *async__web_take(async_web_server *web, size_t size)
{
    if (size == ASYNC__WEB_BLOCK && web->spares != NULL) {
        void *block = web->spares;
        memcpy(&web->spares, block, sizeof web->spares);
        web->spare_count--;
        return block;
    }
    return async__allocate(web->loop, size);
}

static void async__web_give(async_web_server *web, void *memory, size_t size)
{
    if (memory == NULL) return;
    if (size == ASYNC__WEB_BLOCK && web->spare_count < ASYNC__WEB_SPARES) {
        memcpy(memory, &web->spares, sizeof web->spares);
        web->spares = memory;
        web->spare_count++;
        return;
    }
    async__release(web->loop, memory, size);
}

static void async__web_clear(async_web_server *web, async__web_text *text)
{
    async__web_give(web, text->data, text->capacity);
    text->data = NULL;
    text->size = text->capacity = 0;
}

static int async__web_reserve(async_web_server *web, async__web_text *text,
                              size_t size)
{
    size_t capacity = ASYNC__WEB_BLOCK;
    char *data;
    if (text->capacity - text->size >= size) return 0;
    if (size > (size_t)-1 / 4 - text->size) return ASYNC_ENOMEM;
    while (capacity < text->size + size) capacity *= 2;
    data = (char *)async__web_take(web, capacity);
    if (data == NULL) return ASYNC_ENOMEM;
    if (text->size > 0) memcpy(data, text->data, text->size);
    async__web_give(web, text->data, text->capacity);
    text->data = data;
    text->capacity = capacity;
    return 0;
}

/* Where there is room. */
static void async__web_put(async__web_text *text, const void *data, size_t size)
{
    if (size > 0) memcpy(text->data + text->size, data, size);
    text->size += size;
}
#define ASYNC__WEB_PUT(text, literal)                                         \
    async__web_put((text), (literal), sizeof(literal) - 1)

static void async__web_give_input(async__web *c)
{
    async__web_give(c->server, c->in, c->capacity);
    c->in = NULL;
    c->begin = c->end = c->capacity = 0;
}

/* Nothing is known of its buffers any more. */
static void async__web_release_all(async__web *c)
{
    async__web_give_input(c);
    async__web_give(c->server, c->kept, c->kept_capacity);
    c->kept = NULL;
    async__web_give(c->server, c->headers, ASYNC__WEB_BLOCK);
    c->headers = NULL;
    async__web_clear(c->server, &c->out);
    async__web_clear(c->server, &c->lines);
    async__web_clear(c->server, &c->collected);
}

static void async__web_give_spares(async_web_server *web)
{
    while (web->spares != NULL)
        async__release(web->loop, async__web_take(web, ASYNC__WEB_BLOCK),
                       ASYNC__WEB_BLOCK);
}

static void async__web_give_up(async_web_server *web)
{
    async__web_give_spares(web);
    if (web->handler.object.frame != NULL)
        async__release_large(web->loop,
                             (void *)(uintptr_t)web->handler.object.frame,
                             web->handler.object.size);
    web->handler.object.frame = NULL;
}

/* --- waiting ------------------------------------------------------------- */

static void async__web_wake(async_operation *operation)
{
    if (operation != NULL && !async_future_done(&operation->future))
        async__finish(&operation->future, ASYNC__FINISHED, 0);
}

static int async__web_on_time(void *argument);

/* The timer is set anew only when it would come too late; when it comes too
 * early it is set again. */
static void async__web_arm(async__web *c)
{
    async_time deadline = c->read_deadline < c->write_deadline
                              ? c->read_deadline
                              : c->write_deadline;
    if (deadline >= c->armed) return;
    if (c->armed != ASYNC_FOREVER) async_handle_cancel(&c->timer);
    c->armed = deadline;
    (void)async_loop_call_at(c->server->loop, &c->timer, deadline,
                             async__web_on_time, c);
}

static void async__web_limit(async__web *c, async_time *deadline,
                             async_duration limit)
{
    *deadline = limit == ASYNC_FOREVER
                    ? ASYNC_FOREVER
                    : async__after(c->server->loop, limit);
    async__web_arm(c);
}

static int async__web_on_time(void *argument)
{
    async__web *c = (async__web *)argument;
    async_time now = async__now(c->server->loop);
    c->armed = ASYNC_FOREVER;
    if (c->read_deadline <= now) {
        c->read_deadline = ASYNC_FOREVER;
        c->timed_out = 1;
        async__web_wake(c->waiter);
    }
    if (c->write_deadline <= now) {
        c->write_deadline = ASYNC_FOREVER;
        if (!c->lost) async_transport_abort(c->transport);
    }
    async__web_arm(c);
    return 0;
}

static void async__web_begin_wait(async__web *c, async_operation *operation,
                                  int waiting)
{
    async_operation_init(operation, c->server->loop,
                         async_operation_cancelled);
    c->waiter = operation;
    c->waiting = (unsigned char)waiting;
    c->timed_out = 0;
    if ((c->paused || c->starved) && !c->lost) {
        c->paused = c->starved = 0;
        async_transport_resume_reading(c->transport);
    }
}

/* Awaits it; nobody knows of it behind that. */
#define ASYNC__WEB_AWAIT(c, waiter_, deadline, operation)                     \
    do {                                                                      \
        ASYNC__WAIT_FOR(&(operation)->future);                                \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        if ((c)->waiter_ == (operation)) (c)->waiter_ = NULL;                 \
        (c)->deadline = ASYNC_FOREVER;                                        \
        ASYNC__CHECK;                                                         \
    } while (0)

/* --- writing ------------------------------------------------------------- */

static void async__web_flush(async__web *c)
{
    int error;
    if (c->queued) {
        async__unready(c->server->loop, &c->flusher);
        c->queued = 0;
    }
    if (c->out.size == 0) return;
    error = c->lost ? 0
                    : async_transport_write(c->transport, c->out.data,
                                            c->out.size);
    c->out.size = 0;
    if (c->out.capacity > ASYNC__WEB_BLOCK)
        async__web_clear(c->server, &c->out);
    if (error == ASYNC_ENOMEM) async_transport_abort(c->transport);
}

static void async__web_on_flush(async_node *node)
{
    async__web *c =
        (async__web *)(void *)((char *)node - offsetof(async__web, flusher));
    c->queued = 0;
    async__web_flush(c);
}

static void async__web_flush_soon(async__web *c)
{
    if (c->queued || c->out.size == 0) return;
    c->queued = 1;
    async__ready_callback(c->server->loop, &c->flusher);
    async__kick(c->server->loop);
}

static const char *async__web_digits(char *text, uint64_t number, unsigned base,
                                     size_t *size)
{
    char *end = text + 20, *at = end;
    do *--at = "0123456789abcdef"[number % base];
    while ((number /= base) > 0);
    *size = (size_t)(end - at);
    return at;
}

const char *async_web_reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 418: return "I'm a teapot";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 424: return "Failed Dependency";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 451: return "Unavailable For Legal Reasons";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 507: return "Insufficient Storage";
    case 511: return "Network Authentication Required";
    default: return "";
    }
}

/* "HTTP/1.1 200 OK\r\n" and "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".  The
 * calendar is Howard Hinnant's civil_from_days. */
enum { ASYNC__WEB_STATUS_LINE = 17, ASYNC__WEB_PREFIX = 17 + 37 };
static void async__web_date(async_web_server *web)
{
    static const char days[] = "ThuFriSatSunMonTueWed";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t now = (int64_t)time(NULL), day, era, year;
    unsigned second, of_era, year_of_era, of_year, m, d, month;
    char *at = web->prefix;
    if (now == web->date_second) return;
    web->date_second = now;
    day = now / 86400;
    second = (unsigned)(now % 86400);
    era = (day + 719468) / 146097;
    of_era = (unsigned)(day + 719468 - era * 146097);
    year_of_era =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era -
              (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    m = (5 * of_year + 2) / 153;
    d = of_year - (153 * m + 2) / 5 + 1;
    month = m < 10 ? m + 3 : m - 9;
    year = (int64_t)year_of_era + era * 400 + (month <= 2);
    memcpy(at, "HTTP/1.1 200 OK\r\nDate: Thu, 00 Jan 0000 00:00:00 GMT\r\n",
           ASYNC__WEB_PREFIX);
    at += ASYNC__WEB_STATUS_LINE;
    memcpy(at + 6, days + 3 * (day % 7), 3);
    at[11] = (char)('0' + d / 10);
    at[12] = (char)('0' + d % 10);
    memcpy(at + 14, months + 3 * (month - 1), 3);
    at[18] = (char)('0' + year / 1000 % 10);
    at[19] = (char)('0' + year / 100 % 10);
    at[20] = (char)('0' + year / 10 % 10);
    at[21] = (char)('0' + year % 10);
    at[23] = (char)('0' + second / 36000);
    at[24] = (char)('0' + second / 3600 % 10);
    at[26] = (char)('0' + second / 600 % 6);
    at[27] = (char)('0' + second / 60 % 10);
    at[29] = (char)('0' + second % 60 / 10);
    at[30] = (char)('0' + second % 10);
}

/* What may stand in a header's value. */
static int async__web_is_value(const char *data, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        if ((byte < ' ' && byte != '\t') || byte == 127) return 0;
    }
    return 1;
}
static int async__web_is_token(const char *data, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) {
        char byte = data[i];
        if (!((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
              (byte >= '0' && byte <= '9') ||
              (byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL)))
            return 0;
    }
    return size > 0;
}
/* `name` is in lower case. */
static int async__web_same(const char *data, const char *name, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) {
        char byte = data[i];
        if (byte >= 'A' && byte <= 'Z') byte = (char)(byte + ('a' - 'A'));
        if (byte != name[i]) return 0;
    }
    return 1;
}
#define ASYNC__WEB_SAME(bytes, literal)                                       \
    ((bytes).size == sizeof(literal) - 1 &&                                   \
     async__web_same((bytes).data, literal, sizeof(literal) - 1))

int async_web_add_header_bytes(async_web_response *response, async_bytes name,
                               async_bytes value)
{
    async__web *c = async__web_of_response(response);
    int error;
    if (c->answer != ASYNC__WEB_UNBEGUN) return ASYNC_EINVALSTATE;
    if (!async__web_is_token(name.data, name.size) ||
        !async__web_is_value(value.data, value.size) ||
        ASYNC__WEB_SAME(name, "content-length") ||
        ASYNC__WEB_SAME(name, "transfer-encoding") ||
        ASYNC__WEB_SAME(name, "connection") || ASYNC__WEB_SAME(name, "date"))
        return ASYNC_EINVAL;
    error = async__web_reserve(c->server, &c->lines,
                               name.size + value.size + 4);
    if (error) return error;
    async__web_put(&c->lines, name.data, name.size);
    ASYNC__WEB_PUT(&c->lines, ": ");
    async__web_put(&c->lines, value.data, value.size);
    ASYNC__WEB_PUT(&c->lines, "\r\n");
    return 0;
}

int async_web_add_header(async_web_response *response, const char *name,
                         const char *value)
{
    async_bytes names, values;
    names.data = name;
    names.size = strlen(name);
    values.data = value;
    values.size = strlen(value);
    return async_web_add_header_bytes(response, names, values);
}

/* The head, and room for `more` behind it.  `length` is -1 when nobody knows.
 * What is not there at the end is not sent either. */
static int async__web_begin_answer(async__web *c, int status, const char *type,
                                   int64_t length, size_t more)
{
    async_web_server *web = c->server;
    const char *reason = async_web_reason(status), *digits;
    size_t type_size = type != NULL ? strlen(type) : 0;
    size_t reason_size = strlen(reason), digits_size;
    char number[20];
    int bodiless = status == 204 || status == 304;
    int error;
    if (status < 200 || status > 599 || length < -1 ||
        !async__web_is_value(type, type_size))
        return ASYNC_EINVAL;
    if (c->lost || c->gone) return UV_ECONNRESET;
    error = async__web_reserve(web, &c->out,
                               ASYNC__WEB_PREFIX + reason_size + type_size +
                                   c->lines.size + more + 128);
    if (error) return error;
    async__web_date(web);
    if (c->response.close || web->stopping || c->expects ||
        (c->body == ASYNC__WEB_LENGTH && c->left > ASYNC__WEB_DROPPED))
        c->request.keep_alive = 0;
    if (length < 0 && c->request.version == 0 && !bodiless)
        c->request.keep_alive = 0;
    if (status == 200) {
        async__web_put(&c->out, web->prefix, ASYNC__WEB_PREFIX);
    } else {
        ASYNC__WEB_PUT(&c->out, "HTTP/1.1 ");
        async__web_put(&c->out,
                       async__web_digits(number, (uint64_t)status, 10,
                                         &digits_size), 3);
        ASYNC__WEB_PUT(&c->out, " ");
        async__web_put(&c->out, reason, reason_size);
        ASYNC__WEB_PUT(&c->out, "\r\n");
        async__web_put(&c->out, web->prefix + ASYNC__WEB_STATUS_LINE,
                       ASYNC__WEB_PREFIX - ASYNC__WEB_STATUS_LINE);
    }
    if (type != NULL) {
        ASYNC__WEB_PUT(&c->out, "Content-Type: ");
        async__web_put(&c->out, type, type_size);
        ASYNC__WEB_PUT(&c->out, "\r\n");
    }
    async__web_put(&c->out, c->lines.data, c->lines.size);
    c->lines.size = 0;
    if (bodiless) {
        /* They say nothing of a body. */
    } else if (length >= 0) {
        ASYNC__WEB_PUT(&c->out, "Content-Length: ");
        digits = async__web_digits(number, (uint64_t)length, 10, &digits_size);
        async__web_put(&c->out, digits, digits_size);
        ASYNC__WEB_PUT(&c->out, "\r\n");
    } else if (c->request.version > 0) {
        ASYNC__WEB_PUT(&c->out, "Transfer-Encoding: chunked\r\n");
    }
    if (!c->request.keep_alive)
        ASYNC__WEB_PUT(&c->out, "Connection: close\r\n");
    else if (c->request.version == 0)
        ASYNC__WEB_PUT(&c->out, "Connection: keep-alive\r\n");
    ASYNC__WEB_PUT(&c->out, "\r\n");
    if (bodiless || c->parser.method == HTTP_HEAD)
        c->answer = ASYNC__WEB_BODILESS;
    else if (length >= 0)
        c->answer = ASYNC__WEB_SIZED;
    else
        c->answer = c->request.version > 0 ? ASYNC__WEB_CHUNKS
                                           : ASYNC__WEB_UNSIZED;
    c->unsent = length >= 0 ? (uint64_t)length : 0;
    return 0;
}

/* What is not copied goes out at once, behind what was gathered. */
static int async__web_write_large(async__web *c, const void *data, size_t size,
                                  const char *behind)
{
    async_bytes lines[3];
    int error;
    lines[0].data = c->out.data;
    lines[0].size = c->out.size;
    lines[1].data = (const char *)data;
    lines[1].size = size;
    lines[2].data = behind;
    lines[2].size = strlen(behind);
    error = async_transport_writelines(c->transport, lines, 3);
    c->out.size = 0;
    async__web_flush(c); /* takes it from the ready queue */
    if (error == ASYNC_ENOMEM) async_transport_abort(c->transport);
    return error && error != ASYNC_ENOMEM ? (int)UV_ECONNRESET : error;
}

int async_web_respond(async_web_response *response, int status,
                      const char *type, const void *data, size_t size)
{
    async__web *c = async__web_of_response(response);
    int large = size > ASYNC__WEB_BLOCK, error;
    if (c->answer != ASYNC__WEB_UNBEGUN) return ASYNC_EINVALSTATE;
    error = async__web_begin_answer(c, status, type, (int64_t)size,
                                    large ? 0 : size);
    if (error) return error;
    if (c->answer != ASYNC__WEB_BODILESS) {
        if (large)
            (void)async__web_write_large(c, data, size, "");
        else
            async__web_put(&c->out, data, size);
    }
    c->answer = ASYNC__WEB_ANSWERED;
    async__web_flush_soon(c);
    return 0;
}

static int async__web_send(async__web *c, const void *data, size_t size)
{
    size_t room = size > ASYNC__WEB_BLOCK ? 0 : size, digits_size;
    const char *digits, *behind = "";
    char number[20];
    int error = 0;
    if (c->answer == ASYNC__WEB_ANSWERED) return ASYNC_EINVALSTATE;
    if (c->answer == ASYNC__WEB_UNBEGUN) {
        if (c->response.content_length >= 0 &&
            (uint64_t)c->response.content_length < size)
            return ASYNC_EINVAL;
        error = async__web_begin_answer(c, c->response.status, NULL,
                                        c->response.content_length, room + 32);
        if (error) return error;
        async__web_flush_soon(c);
    }
    if (c->lost || c->gone) return UV_ECONNRESET;
    if (size == 0 || c->answer == ASYNC__WEB_BODILESS) return 0;
    if (c->answer == ASYNC__WEB_SIZED && size > c->unsent) return ASYNC_EINVAL;
    error = async__web_reserve(c->server, &c->out, room + 32);
    if (error) return error;
    if (c->answer == ASYNC__WEB_SIZED) c->unsent -= size;
    if (c->answer == ASYNC__WEB_CHUNKS) {
        digits = async__web_digits(number, size, 16, &digits_size);
        async__web_put(&c->out, digits, digits_size);
        ASYNC__WEB_PUT(&c->out, "\r\n");
        behind = "\r\n";
    }
    if (room == 0) return async__web_write_large(c, data, size, behind);
    async__web_put(&c->out, data, size);
    async__web_put(&c->out, behind, strlen(behind));
    if (c->out.size > ASYNC__WEB_LARGE / 2)
        async__web_flush(c);
    else
        async__web_flush_soon(c);
    return 0;
}

static void async__web_begin_drain(async__web *c, async_operation *operation)
{
    async_operation_init(operation, c->server->loop,
                         async_operation_cancelled);
    c->drainer = operation;
    async__web_limit(c, &c->write_deadline, c->server->options.write_timeout);
}

ASYNC(async_web_write)
{
    ASYNC_BEGIN(async_web_write);
    self->error = async__web_send(async__web_of_response(self->response),
                                  self->data, self->size);
    if (self->error) ASYNC_RAISE(self->error);
    if (async__web_of_response(self->response)->transport->writing_paused) {
        if (async__web_of_response(self->response)->drainer != NULL)
            ASYNC_RAISE(ASYNC_EBUSY);
        async__web_begin_drain(async__web_of_response(self->response),
                               &self->out);
        ASYNC__WEB_AWAIT(async__web_of_response(self->response), drainer,
                         write_deadline, &self->out);
        if (async__web_of_response(self->response)->lost)
            ASYNC_RAISE(UV_ECONNRESET);
    }
    ASYNC_END;
}

/* --- the head ------------------------------------------------------------ */

/* The answer to what is no request, or none that is served: the last. */
static int async__web_refuse(async__web *c, int status)
{
    char text[64];
    const char *reason = async_web_reason(status);
    size_t size = strlen(reason);
    c->request.keep_alive = 0;
    c->request.version = 1;
    c->linger = 1;
    if (c->answer != ASYNC__WEB_UNBEGUN) return ASYNC__WEB_END;
    c->lines.size = 0;
    memcpy(text, reason, size);
    text[size] = '\n';
    if (async_web_respond(&c->response, status, "text/plain", text, size + 1) ==
            ASYNC_ENOMEM &&
        !c->lost)
        async_transport_abort(c->transport);
    return ASYNC__WEB_END;
}

/* Looks on for the end of the head, line by line.
 * Returns  0 when it is not there; 1 when it is; or the status of a refusal. */
static int async__web_scan(async__web *c)
{
    const async_web_options *options = &c->server->options;
    for (;;) {
        const char *line = c->in + c->line, *newline;
        size_t size;
        newline = c->end > c->scanned
                      ? (const char *)memchr(c->in + c->scanned, '\n',
                                             c->end - c->scanned)
                      : NULL;
        size = newline != NULL ? (size_t)(newline - line) : c->end - c->line;
        if (c->lines_seen == 0 && size > options->max_line) return 414;
        if (c->line + size - c->begin > options->max_head) return 431;
        if (newline == NULL) {
            c->scanned = c->end;
            return 0;
        }
        if (size == 0 || line[size - 1] != '\r') return 400;
        c->line = c->scanned = (size_t)(newline + 1 - c->in);
        size--;
        if (size == 0 && c->lines_seen > 0) {
            c->head_end = c->line;
            return 1;
        }
        if (size == 0) {
            /* A line may be empty before the request, and is not of it. */
            if (c->blank) return 400;
            c->blank = 1;
            c->begin = c->line;
            continue;
        }
        if (memchr(line, '\r', size) != NULL) return 400;
        if (c->lines_seen > 0 && (line[0] == ' ' || line[0] == '\t'))
            return 400;
        if (c->lines_seen++ > options->max_headers) return 431;
    }
}

static int async__web_on_url(llhttp_t *parser, const char *data, size_t size)
{
    async__web *c = (async__web *)parser->data;
    if (c->request.target.size == 0) c->request.target.data = data;
    c->request.target.size += size;
    return 0;
}
static int async__web_on_field(llhttp_t *parser, const char *data, size_t size)
{
    async__web *c = (async__web *)parser->data;
    async_web_header *header = c->headers + c->request.header_count;
    if (c->behind != NULL || c->request.header_count == 0) {
        /* There is room: the lines have been counted. */
        c->request.header_count++;
        header->name.data = data;
        header->name.size = 0;
        header->value.data = data;
        header->value.size = 0;
        c->behind = NULL;
    } else {
        header--;
    }
    header->name.size += size;
    return 0;
}
static int async__web_on_value(llhttp_t *parser, const char *data, size_t size)
{
    async__web *c = (async__web *)parser->data;
    async_web_header *header = c->headers + c->request.header_count - 1;
    if (c->request.header_count == 0) return HPE_USER;
    if (c->behind == NULL) header->value.data = data;
    c->behind = data + size;
    header->value.size = (size_t)(c->behind - header->value.data);
    return 0;
}
static int async__web_on_head(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}
static int async__web_on_body(llhttp_t *parser, const char *data, size_t size)
{
    async__web *c = (async__web *)parser->data;
    c->span.data = data;
    c->span.size = size;
    return HPE_PAUSED;
}
static int async__web_on_complete(llhttp_t *parser)
{
    async__web *c = (async__web *)parser->data;
    c->body = ASYNC__WEB_NO_BODY;
    return HPE_PAUSED;
}

/* Why llhttp does not take the head: the method, the version, or it is bad. */
static int async__web_refusal(const async__web *c, int error)
{
    const char *head = c->in + c->begin;
    const char *newline = (const char *)memchr(head, '\r',
                                               c->head_end - c->begin);
    const char *space = (const char *)memchr(head, ' ',
                                             (size_t)(newline - head));
    if (space == NULL || !async__web_is_token(head, (size_t)(space - head)))
        return 400;
    if (error == HPE_INVALID_METHOD || error == HPE_PAUSED_UPGRADE) return 501;
    if (newline - space > 10 && memcmp(newline - 9, " HTTP/", 6) == 0 &&
        newline[-3] >= '0' && newline[-3] <= '9' && newline[-2] == '.' &&
        newline[-1] >= '0' && newline[-1] <= '9' &&
        (newline[-3] != '1' || newline[-1] > '1'))
        return 505;
    return 400;
}

/* The headers that are the server's business.  Returns 0, or a status. */
static int async__web_check_headers(async__web *c)
{
    async_web_request *request = &c->request;
    size_t hosts = 0, codings = 0, lengths = 0, i;
    /* llhttp says nothing of a name that is empty. */
    if (request->header_count + 1 != c->lines_seen) return 400;
    for (i = 0; i < request->header_count; i++) {
        async_bytes *name = &c->headers[i].name, *value = &c->headers[i].value;
        if (name->size == 0 || name->data[name->size] != ':') return 400;
        while (value->size > 0 && (value->data[value->size - 1] == ' ' ||
                                   value->data[value->size - 1] == '\t'))
            value->size--;
        switch (name->size) {
        case 4:
            if (async__web_same(name->data, "host", 4)) hosts++;
            break;
        case 6:
            if (!async__web_same(name->data, "expect", 6)) break;
            if (!ASYNC__WEB_SAME(*value, "100-continue")) return 417;
            c->expects = request->version > 0;
            break;
        case 14:
            if (async__web_same(name->data, "content-length", 14)) lengths++;
            break;
        case 17:
            if (!async__web_same(name->data, "transfer-encoding", 17)) break;
            if (!ASYNC__WEB_SAME(*value, "chunked")) return 501;
            codings++;
            break;
        }
    }
    if (hosts > 1 || (hosts == 0 && request->version > 0)) return 400;
    if (codings + lengths > 1) return 400;
    if (codings > 0 && request->version == 0) return 400;
    c->body = ASYNC__WEB_NO_BODY;
    c->left = 0;
    request->content_length = 0;
    if (codings > 0) {
        c->body = ASYNC__WEB_CHUNKED;
        request->content_length = -1;
    } else if (c->parser.content_length > 0) {
        if (c->parser.content_length > INT64_MAX ||
            c->parser.content_length > c->server->options.max_body)
            return 413;
        c->body = ASYNC__WEB_LENGTH;
        c->left = c->parser.content_length;
        request->content_length = (int64_t)c->left;
    }
    if (c->body == ASYNC__WEB_NO_BODY) c->expects = 0;
    return 0;
}

/* The whole head is there: makes a request of it.  Returns 0, or a status. */
static int async__web_parse(async__web *c)
{
    async_web_request *request = &c->request;
    const char *head = c->in + c->begin, *mark;
    size_t size = c->head_end - c->begin, i;
    int error;
    if (c->headers == NULL) {
        c->headers = (async_web_header *)async__web_take(c->server,
                                                         ASYNC__WEB_BLOCK);
        if (c->headers == NULL) return 503;
    }
    llhttp_init(&c->parser, HTTP_REQUEST, &c->server->head_settings);
    c->parser.data = c;
    c->behind = NULL;
    c->expects = 0;
    request->target.size = 0;
    request->header_count = 0;
    request->version = 1;
    error = (int)llhttp_execute(&c->parser, head, size);
    if (error != HPE_PAUSED) return async__web_refusal(c, error);
    request->method =
        llhttp_method_name((llhttp_method_t)c->parser.method);
    if (c->parser.http_major != 1 || c->parser.http_minor > 1)
        return async__web_refusal(c, HPE_INVALID_VERSION);
    /* One space each, and nothing behind the version. */
    i = strlen(request->method) + 1;
    if (request->target.size == 0 || request->target.data != head + i ||
        head[i + request->target.size + 9] != '\r')
        return 400;
    if (c->parser.method == HTTP_CONNECT) return 501;
    request->version = c->parser.http_minor;
    request->keep_alive =
        (unsigned char)(llhttp_should_keep_alive(&c->parser) != 0);
    request->headers = c->headers;
    mark = (const char *)memchr(request->target.data, '?',
                                request->target.size);
    request->path = request->target;
    request->query.data = "";
    request->query.size = 0;
    if (mark != NULL) {
        request->path.size = (size_t)(mark - request->target.data);
        request->query.data = mark + 1;
        request->query.size = request->target.size - request->path.size - 1;
    }
    return async__web_check_headers(c);
}

/* The next request, if all of its head is there. */
static int async__web_next(async__web *c)
{
    int status = 0;
    if (c->lost || c->gone) return ASYNC__WEB_END;
    status = c->found;
    if (status == 0 && c->end > c->begin) status = async__web_scan(c);
    c->found = 0;
    if (status != 1) c->parser.method = HTTP_GET;
    if (status == 1) {
        status = async__web_parse(c);
        if (status == 0) {
            c->begin = c->head_end;
            if (c->body == ASYNC__WEB_CHUNKED) {
                llhttp_resume(&c->parser);
                c->parser.settings = &c->server->body_settings;
            }
            return ASYNC__WEB_SERVE;
        }
    }
    if (status > 1) return async__web_refuse(c, status);
    if (c->eof || c->server->stopping) return ASYNC__WEB_END;
    if (c->timed_out) {
        /* Nobody waits for the answer to what he has not begun to ask. */
        if (c->end == c->begin) return ASYNC__WEB_END;
        return async__web_refuse(c, 408);
    }
    if (c->failure) {
        if (!c->lost) async_transport_abort(c->transport);
        return ASYNC__WEB_END;
    }
    return ASYNC__WEB_WAIT;
}

/* --- input --------------------------------------------------------------- */

/* Twice as much room for a head; nobody has seen it. */
static int async__web_grow_input(async__web *c)
{
    char *in = (char *)async__web_take(c->server, 2 * c->capacity);
    if (in == NULL) return ASYNC_ENOMEM;
    memcpy(in, c->in, c->end);
    async__web_give(c->server, c->in, c->capacity);
    c->in = in;
    c->capacity *= 2;
    return 0;
}

/* What has come of the next request moves to the front. */
static void async__web_move_input(async__web *c)
{
    size_t held = c->end - c->begin;
    if (c->begin == 0) return;
    memmove(c->in, c->in + c->begin, held);
    c->line -= c->begin;
    c->scanned -= c->begin;
    c->begin = 0;
    c->end = held;
}

static void *async__web_get_buffer(async_protocol *protocol, size_t *size)
{
    async__web *c = async__web_of(protocol);
    int error = 0;
    *size = 0;
    if (c->in == NULL) {
        c->in = (char *)async__web_take(c->server, ASYNC__WEB_BLOCK);
        c->capacity = c->in != NULL ? (size_t)ASYNC__WEB_BLOCK : 0;
        if (c->in == NULL) error = ASYNC_ENOMEM;
    }
    if (!error && c->end == c->capacity) {
        if (c->waiting == ASYNC__WEB_LINGER) {
            c->begin = c->end = 0;
        } else if (c->waiting == ASYNC__WEB_HEAD && c->found) {
            return c->in; /* the task runs before the next poll */
        } else if (c->waiting == ASYNC__WEB_HEAD) {
            async__web_move_input(c);
            if (c->end == c->capacity) error = async__web_grow_input(c);
        }
    }
    if (error) {
        c->starved = 1;
        if (c->waiting != ASYNC__WEB_NOTHING) {
            c->failure = error;
            async__web_wake(c->waiter);
        }
        return NULL;
    }
    *size = c->capacity - c->end;
    if (*size == 0) {
        c->paused = 1;
        return NULL;
    }
    return c->in + c->end;
}

static int async__web_buffer_updated(async_protocol *protocol, size_t size)
{
    async__web *c = async__web_of(protocol);
    size_t held = c->end - c->begin;
    c->end += size;
    switch (c->waiting) {
    case ASYNC__WEB_HEAD:
        if (c->found) break;
        c->found = async__web_scan(c);
        if (c->found != 0) {
            async__web_wake(c->waiter);
        } else if (held == 0 && c->end > c->begin) {
            async__web_limit(c, &c->read_deadline,
                             c->server->options.head_timeout);
        }
        break;
    case ASYNC__WEB_BODY:
        async__web_wake(c->waiter);
        break;
    case ASYNC__WEB_LINGER:
        c->begin = c->end = 0;
        break;
    }
    return 0;
}

/* --- what becomes of the connection -------------------------------------- */

static void async__web_client_gone(async__web *c)
{
    if (!c->gone && c->running) {
        c->cancelled = 1;
        async_task_cancel(c->task);
    }
    c->gone = 1;
    async__web_wake(c->waiter);
    async__web_wake(c->drainer);
}

static int async__web_eof_received(async_protocol *protocol)
{
    async__web *c = async__web_of(protocol);
    c->eof = 1;
    if (c->server->options.half_close || c->waiting == ASYNC__WEB_LINGER) {
        async__web_wake(c->waiter);
        return 1;
    }
    async__web_client_gone(c);
    return 0;
}

static void async__web_resume_writing(async_protocol *protocol)
{
    async__web_wake(async__web_of(protocol)->drainer);
}

/* It belongs to nobody any more, and is about to be forgotten, or dropped by a
 * loop that closes. */
static void async__web_leave(async__web *c)
{
    async_web_server *web = c->server;
    if (c->link.prev == NULL) return;
    if (c->queued) async__unready(web->loop, &c->flusher);
    c->queued = 0;
    if (c->armed != ASYNC_FOREVER) async_handle_cancel(&c->timer);
    c->armed = ASYNC_FOREVER;
    async__web_release_all(c);
    async__unlink(&c->link);
    c->link.prev = NULL;
    web->count--;
    if (web->count == 0 && !async_server_is_serving(&web->server))
        async__web_give_spares(web);
    async_event_set(&web->empty);
}

static void async__web_connection_lost(async_protocol *protocol, int error)
{
    async__web *c = async__web_of(protocol);
    async_protocol *forward = c->forward;
    c->lost = 1;
    if (c->client != NULL && async__uv(c->server->loop)->closing) {
        async__web_leave(c); /* its task never runs again */
    } else {
        async__web_client_gone(c);
    }
    if (forward != NULL) forward->callbacks->connection_lost(forward, error);
}

/* Takes over a transport.  Nothing is left to be undone after an error. */
static int async__web_open(async__web *c, async_web_server *web,
                           async_connection *client, async_transport *transport)
{
    static const async_protocol_callbacks callbacks = {
        NULL, NULL, async__web_eof_received, async__web_connection_lost,
        NULL, async__web_resume_writing,
        async__web_get_buffer, async__web_buffer_updated
    };
    memset(c, 0, sizeof *c);
    c->protocol.callbacks = &callbacks;
    c->protocol.at_once = 1;
    c->flusher.run = async__web_on_flush;
    c->server = web;
    c->client = client;
    c->task = async_current_task();
    c->armed = c->read_deadline = c->write_deadline = ASYNC_FOREVER;
    c->request.client = client;
    c->request.server = web;
    c->response.status = 200;
    c->response.content_length = -1;
    if (client != NULL) {
        async_stream_reader *reader = &client->reader;
        size_t held = reader->end - reader->begin;
        if (client->writer.lost) return UV_ECONNRESET;
        if (held > 0) {
            size_t capacity = ASYNC__WEB_BLOCK;
            while (capacity < held) capacity *= 2;
            c->in = (char *)async__web_take(web, capacity);
            if (c->in == NULL) return ASYNC_ENOMEM;
            c->capacity = capacity;
            c->end = held;
            memcpy(c->in, reader->buffer + reader->begin, held);
            reader->begin = reader->end;
        }
        c->eof = reader->eof;
        reader->paused = 0;
        transport = client->writer.transport;
        c->forward = &client->writer.protocol;
    }
    c->transport = transport;
    async__list_append(&web->connections, &c->link);
    web->count++;
    async_transport_set_protocol(transport, &c->protocol);
    async_transport_resume_reading(transport);
    async__web_limit(c, &c->read_deadline, web->options.head_timeout);
    return 0;
}

/* Whoever holds the transport is told from now on. */
static void async__web_close(async__web *c)
{
    static const async_protocol_callbacks nothing = {
        NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    };
    static async_protocol nobody = { &nothing, 0 };
    if (!c->lost) {
        async_transport_set_protocol(
            c->transport, c->forward != NULL ? c->forward : &nobody);
        async_transport_abort(c->transport);
    }
    async__web_leave(c);
}

/* --- bodies -------------------------------------------------------------- */

static int async__web_fail(async__web *c, int error, int status)
{
    c->failure = error;
    c->failure_status = status;
    c->request.keep_alive = 0;
    c->linger = 1;
    return 1;
}

/* Parses on, up to the next piece or the end.  Returns whether it came to one
 * of them, or to an error. */
static int async__web_parse_chunks(async__web *c, async_bytes *bytes)
{
    const async_web_options *options = &c->server->options;
    const char *from = c->in + c->begin, *to;
    int error;
    c->span.data = "";
    c->span.size = 0;
    error = (int)llhttp_execute(&c->parser, from, c->end - c->begin);
    to = error == HPE_OK ? c->in + c->end : llhttp_get_error_pos(&c->parser);
    if (error != HPE_OK && error != HPE_PAUSED)
        return async__web_fail(c, ASYNC_EHTTP, 400);
    c->begin = (size_t)(to - c->in);
    c->framing += (size_t)(to - from) - c->span.size;
    if (c->framing > options->max_head)
        return async__web_fail(c, ASYNC_EHTTP, 400);
    c->received += c->span.size;
    if (c->received > options->max_body)
        return async__web_fail(c, ASYNC_ELIMIT, 413);
    if (error == HPE_PAUSED) llhttp_resume(&c->parser);
    if (c->span.size > 0) c->framing = 0;
    *bytes = c->span;
    return c->span.size > 0 || c->body == ASYNC__WEB_NO_BODY;
}

/* The next piece of the body, or its end, or its failure.  Returns 0 when
 * there is nothing yet. */
static int async__web_take_body(async__web *c, async_bytes *bytes, int *error)
{
    size_t held = c->end - c->begin;
    bytes->data = "";
    bytes->size = 0;
    *error = 0;
    if (!c->failure && c->body == ASYNC__WEB_NO_BODY) return 1;
    if (!c->failure && held > 0) {
        c->expects = 0;
        if (c->body == ASYNC__WEB_LENGTH) {
            if (held > c->left) held = (size_t)c->left;
            bytes->data = c->in + c->begin;
            bytes->size = held;
            c->begin += held;
            c->left -= held;
            if (c->left == 0) c->body = ASYNC__WEB_NO_BODY;
            return 1;
        }
        if (async__web_parse_chunks(c, bytes) && !c->failure) return 1;
    }
    if (!c->failure) {
        if (c->eof || c->gone)
            (void)async__web_fail(c, ASYNC_EINCOMPLETE, 400);
        else if (c->timed_out)
            (void)async__web_fail(c, ASYNC_ETIMEDOUT, 408);
        else
            return 0;
    }
    *error = c->failure;
    if (c->failure == ASYNC_ENOMEM) c->failure = 0; /* it may be better */
    return 1;
}

/* Waits for more of the body; all that has come is used. */
static int async__web_wait_body(async__web *c, async_operation *operation)
{
    size_t room = c->kept == NULL ? c->capacity - c->head_end : c->capacity;
    if (c->kept == NULL &&
        (c->body == ASYNC__WEB_CHUNKED || c->left > room)) {
        char *in = (char *)async__web_take(c->server, ASYNC__WEB_LARGE);
        if (in == NULL) return ASYNC_ENOMEM;
        c->kept = c->in;
        c->kept_capacity = c->capacity;
        c->in = in;
        c->capacity = ASYNC__WEB_LARGE;
        c->begin = c->end = 0;
    } else {
        c->begin = c->end = c->kept == NULL ? c->head_end : 0;
    }
    if (c->expects && c->answer == ASYNC__WEB_UNBEGUN) {
        int error = async__web_reserve(c->server, &c->out, 64);
        if (error) return error;
        ASYNC__WEB_PUT(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
    }
    c->expects = 0;
    async__web_flush(c);
    async__web_begin_wait(c, operation, ASYNC__WEB_BODY);
    async__web_limit(c, &c->read_deadline, c->server->options.body_timeout);
    return 0;
}

ASYNC(async_web_read)
{
    ASYNC_BEGIN(async_web_read);
    if (async__web_of_request(self->request)->waiter != NULL)
        ASYNC_RAISE(ASYNC_EBUSY);
    while (!async__web_take_body(async__web_of_request(self->request),
                                 &self->frame.result, &self->error)) {
        self->error = async__web_wait_body(
            async__web_of_request(self->request), &self->arrival);
        if (self->error) ASYNC_RAISE(self->error);
        ASYNC__WEB_AWAIT(async__web_of_request(self->request), waiter,
                         read_deadline, &self->arrival);
        async__web_of_request(self->request)->waiting = ASYNC__WEB_NOTHING;
    }
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

/* Whether all of it lies in the buffer already, or more than is wanted is to
 * come. */
static int async__web_has_all(async__web *c, size_t limit, async_bytes *bytes,
                              int *error)
{
    async__web_clear(c->server, &c->collected);
    *error = 0;
    if (c->body == ASYNC__WEB_LENGTH && !c->failure && limit > 0 &&
        c->left > limit) {
        (void)async__web_fail(c, ASYNC_ELIMIT, 413);
        *error = ASYNC_ELIMIT;
        return 1;
    }
    return (c->body == ASYNC__WEB_NO_BODY || c->body == ASYNC__WEB_LENGTH) &&
           c->left <= c->end - c->begin && !c->failure &&
           async__web_take_body(c, bytes, error);
}

static int async__web_collect(async__web *c, async_bytes some, size_t limit)
{
    size_t more = some.size;
    int error;
    if (limit > 0 && some.size > limit - c->collected.size) {
        (void)async__web_fail(c, ASYNC_ELIMIT, 413);
        return ASYNC_ELIMIT;
    }
    if (c->body == ASYNC__WEB_LENGTH && c->collected.size == 0 &&
        c->left <= 1024 * 1024)
        more += (size_t)c->left;
    error = async__web_reserve(c->server, &c->collected, more);
    if (!error) async__web_put(&c->collected, some.data, some.size);
    return error;
}

ASYNC(async_web_read_all)
{
    int error;
    ASYNC_BEGIN(async_web_read_all);
    if (async__web_has_all(async__web_of_request(self->request), self->limit,
                           &self->frame.result, &error)) {
        if (error) ASYNC_RAISE(error);
        ASYNC_RETURN(self->frame.result);
    }
    for (;;) {
        ASYNC_AWAIT_INTO(self->some, async_web_read, self->request);
        if (self->some.size == 0) break;
        error = async__web_collect(async__web_of_request(self->request),
                                   self->some, self->limit);
        if (error) ASYNC_RAISE(error);
    }
    self->frame.result.data =
        async__web_of_request(self->request)->collected.data;
    self->frame.result.size =
        async__web_of_request(self->request)->collected.size;
    if (self->frame.result.data == NULL) self->frame.result.data = "";
    ASYNC_END;
}

/* --- requests ------------------------------------------------------------ */

async_bytes async_web_header_of(const async_web_request *request,
                                const char *name)
{
    async_bytes none;
    size_t size = strlen(name), i, j;
    none.data = NULL;
    none.size = 0;
    for (i = 0; i < request->header_count; i++) {
        const async_bytes *own = &request->headers[i].name;
        if (own->size != size) continue;
        for (j = 0; j < size; j++) {
            char a = own->data[j], b = name[j];
            if (a >= 'A' && a <= 'Z') a = (char)(a + ('a' - 'A'));
            if (b >= 'A' && b <= 'Z') b = (char)(b + ('a' - 'A'));
            if (a != b) break;
        }
        if (j == size) return request->headers[i].value;
    }
    return none;
}

int async_web_is(const async_web_request *request, const char *method,
                 const char *path)
{
    size_t size = strlen(path);
    return strcmp(request->method, method) == 0 &&
           request->path.size == size &&
           memcmp(request->path.data, path, size) == 0;
}

/* --- one after the other ------------------------------------------------- */

/* The handler's coroutine, with its arguments.  It is copied before anybody
 * else can ask. */
static async_object async__web_object(async__web *c)
{
    async_web_request *request = &c->request;
    async_web_response *response = &c->response;
    const async_web_handler *handler = &c->server->handler;
    char *frame = (char *)(uintptr_t)handler->object.frame;
    memcpy(frame + handler->request, &request, sizeof request);
    memcpy(frame + handler->response, &response, sizeof response);
    c->running = 1;
    c->waiting = ASYNC__WEB_NOTHING;
    c->read_deadline = ASYNC_FOREVER;
    return handler->object;
}

static void async__web_report(async__web *c, const char *message, int error)
{
    async_exception_context context;
    memset(&context, 0, sizeof context);
    context.message = message;
    context.error = error;
    context.future = &c->task->future;
    async_loop_call_exception_handler(c->server->loop, &context);
}

/* What has been written goes out as far as it can. */
static void async__web_abort(async__web *c)
{
    c->request.keep_alive = 0;
    c->linger = 0;
    async__web_flush(c);
    if (!c->lost) async_transport_abort(c->transport);
}

/* The handler has ended: what is still to be said.  Returns whether it was
 * cancelled by somebody else than the client. */
static int async__web_answered(async__web *c, int error)
{
    c->running = 0;
    if (c->cancelled) {
        c->cancelled = 0;
        (void)async_task_uncancel(c->task);
        c->request.keep_alive = 0;
        if (error && error != ASYNC_ECANCELED && error != UV_ECONNRESET)
            async__web_report(c, "Unhandled exception in web handler", error);
        return 0;
    }
    /* Somebody else cancels, or the loop closes. */
    if (error && !async_error_is_exception(error)) return 1;
    if (error && c->answer == ASYNC__WEB_UNBEGUN) {
        if (error == c->failure && c->failure_status != 0) {
            (void)async__web_refuse(c, c->failure_status);
            return 0;
        }
        async__web_report(c, "Unhandled exception in web handler", error);
        c->lines.size = 0;
        if (async_web_respond(&c->response, 500, "text/plain",
                              "Internal Server Error\n", 22) != 0)
            async__web_abort(c);
        return 0;
    }
    if (error) {
        if (error != c->failure)
            async__web_report(c, "Unhandled exception in web handler", error);
        if (c->answer != ASYNC__WEB_ANSWERED) async__web_abort(c);
        return 0;
    }
    switch (c->answer) {
    case ASYNC__WEB_UNBEGUN:
        async__web_report(c, "web handler has not responded",
                          ASYNC_EINVALSTATE);
        c->lines.size = 0;
        if (async_web_respond(&c->response, 500, "text/plain",
                              "Internal Server Error\n", 22) != 0)
            async__web_abort(c);
        break;
    case ASYNC__WEB_CHUNKS:
        if (async__web_reserve(c->server, &c->out, 8) != 0)
            async__web_abort(c);
        else
            ASYNC__WEB_PUT(&c->out, "0\r\n\r\n");
        break;
    case ASYNC__WEB_SIZED:
        if (c->unsent == 0) break;
        async__web_report(c, "web handler has sent less than it said",
                          ASYNC_EINVALSTATE);
        async__web_abort(c);
        break;
    }
    return 0;
}

/* Drops what the handler has not read.  Returns 0 when more is to come that
 * is worth waiting for. */
static int async__web_drop_body(async__web *c)
{
    async_bytes bytes;
    int error;
    if (c->body == ASYNC__WEB_NO_BODY) return 1;
    if (c->lost || c->gone || !c->request.keep_alive || c->expects ||
        c->server->stopping) {
        c->linger = 1;
        c->request.keep_alive = 0;
        return 1;
    }
    while (c->dropped <= ASYNC__WEB_DROPPED &&
           (c->body != ASYNC__WEB_LENGTH || c->left <= ASYNC__WEB_DROPPED)) {
        if (!async__web_take_body(c, &bytes, &error)) return 0;
        c->dropped += bytes.size;
        if (error) break;
        if (c->body == ASYNC__WEB_NO_BODY) return 1;
    }
    c->linger = 1;
    c->request.keep_alive = 0;
    return 1;
}

/* Whether another may come, and all is ready for it. */
static int async__web_renew(async__web *c)
{
    size_t held = c->end - c->begin;
    if (c->collected.data != NULL) async__web_clear(c->server, &c->collected);
    if (c->lines.data != NULL) async__web_clear(c->server, &c->lines);
    if (c->kept != NULL) {
        /* What comes next came behind the body. */
        if (held <= c->kept_capacity) {
            memcpy(c->kept, c->in + c->begin, held);
            async__web_give(c->server, c->in, c->capacity);
            c->in = c->kept;
            c->capacity = c->kept_capacity;
            c->begin = 0;
            c->end = held;
        } else {
            async__web_give(c->server, c->kept, c->kept_capacity);
        }
        c->kept = NULL;
    }
    c->line = c->scanned = c->begin;
    c->lines_seen = 0;
    c->expects = c->blank = 0;
    c->found = 0;
    c->timed_out = 0;
    c->received = 0;
    c->framing = c->dropped = 0;
    c->answer = ASYNC__WEB_UNBEGUN;
    c->response.status = 200;
    c->response.content_length = -1;
    c->response.close = 0;
    if (!c->request.keep_alive || c->lost || c->gone) return 0;
    if (c->server->stopping) return 0;
    if (c->out.size > ASYNC__WEB_LARGE / 2) async__web_flush(c);
    return 1;
}

static void async__web_wait_head(async__web *c, async_operation *operation)
{
    const async_web_options *options = &c->server->options;
    int first = c->read_deadline != ASYNC_FOREVER; /* since it began */
    async__web_flush(c);
    if (c->begin == c->end) {
        async__web_give_input(c);
        c->line = c->scanned = 0;
        async__web_give(c->server, c->headers, ASYNC__WEB_BLOCK);
        c->headers = NULL;
        async__web_clear(c->server, &c->out);
    }
    async__web_begin_wait(c, operation, ASYNC__WEB_HEAD);
    if (!first)
        async__web_limit(c, &c->read_deadline,
                         c->begin == c->end ? options->idle_timeout
                                            : options->head_timeout);
}

/* What is told before the end of the connection would be lost with it, if the
 * client still sends: its system answers that with a reset.  So it is told that
 * no more comes, and what it says is dropped for a while. */
static int async__web_lingers(async__web *c)
{
    async__web_flush(c);
    if (c->lost || c->gone || c->eof ||
        async_transport_is_closing(c->transport))
        return 0;
    if (!c->linger && c->begin == c->end) return 0;
    if (async_transport_write_eof(c->transport) != 0) return 0;
    c->begin = c->end = 0;
    if (c->in != NULL && c->kept != NULL) async__web_give_input(c);
    return 1;
}

static void async__web_begin_linger(async__web *c, async_operation *operation)
{
    async_duration limit = ASYNC_SECONDS(2);
    if (c->server->options.write_timeout < limit)
        limit = c->server->options.write_timeout;
    async__web_begin_wait(c, operation, ASYNC__WEB_LINGER);
    async__web_limit(c, &c->read_deadline, limit);
}

static void async__web_begin_close(async__web *c, async_operation *operation)
{
    async__web_begin_wait(c, operation, ASYNC__WEB_LOST);
    async_transport_close(c->transport);
    async__web_limit(c, &c->write_deadline, c->server->options.write_timeout);
}

ASYNC(async_web_serve)
{
    ASYNC_BEGIN(async_web_serve);
    self->error = async__web_open(&self->connection, self->web, self->client,
                                  self->transport);
    if (self->error == UV_ECONNRESET) ASYNC_RETURN();
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        for (;;) {
            self->step = async__web_next(&self->connection);
            if (self->step == ASYNC__WEB_END) break;
            if (self->step == ASYNC__WEB_WAIT) {
                async__web_wait_head(&self->connection, &self->wait);
                ASYNC__WAIT_FOR(&self->wait.future);
                (void)async__awaited(co);
                async__drop(co);
                self->connection.waiter = NULL;
                ASYNC__CHECK;
                continue;
            }
            self->error = 0;
            ASYNC_TRY {
                ASYNC_AWAIT_CO(async__web_object(&self->connection));
            } ASYNC_EXCEPT_ALL(self->error) {}
            ASYNC_END_TRY
            if (async__web_answered(&self->connection, self->error))
                ASYNC_RAISE(self->error);
            while (!async__web_drop_body(&self->connection)) {
                self->error = async__web_wait_body(&self->connection,
                                                   &self->wait);
                if (self->error) ASYNC_RAISE(self->error);
                ASYNC__WEB_AWAIT(&self->connection, waiter, read_deadline,
                                 &self->wait);
            }
            if (self->connection.transport->writing_paused &&
                !self->connection.lost) {
                async__web_begin_drain(&self->connection, &self->wait);
                ASYNC__WEB_AWAIT(&self->connection, drainer, write_deadline,
                                 &self->wait);
            }
            if (!async__web_renew(&self->connection)) break;
        }
        if (async__web_lingers(&self->connection)) {
            async__web_begin_linger(&self->connection, &self->wait);
            ASYNC__WEB_AWAIT(&self->connection, waiter, read_deadline,
                             &self->wait);
        }
        while (!self->connection.lost) {
            async__web_begin_close(&self->connection, &self->wait);
            ASYNC__WEB_AWAIT(&self->connection, waiter, write_deadline,
                             &self->wait);
        }
    } ASYNC_FINALLY {
        async__web_close(&self->connection);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- servers ------------------------------------------------------------- */

static void async__web_default(size_t *value, size_t usual)
{
    if (*value == 0) *value = usual;
}
static void async__web_default_time(async_duration *value, int seconds)
{
    if (*value == 0) *value = ASYNC_SECONDS(seconds);
}

int async_web_init(async_web_server *web, async_web_handler handler,
                   const async_web_options *options)
{
    async_loop *loop = async_get_running_loop();
    void *frame;
    if (loop == NULL) return ASYNC_ENOLOOP;
    if (web->handler.object.frame != NULL) return ASYNC_EBUSY;
    frame = async__allocate_large(loop, handler.object.size);
    if (frame == NULL) return ASYNC_ENOMEM;
    memset(web, 0, sizeof *web);
    if (options != NULL) web->options = *options;
    async__web_default(&web->options.max_line, 8192);
    async__web_default(&web->options.max_head, 32768);
    async__web_default(&web->options.max_headers, 100);
    if (web->options.max_headers >
        ASYNC__WEB_BLOCK / sizeof(async_web_header) - 1)
        web->options.max_headers =
            ASYNC__WEB_BLOCK / sizeof(async_web_header) - 1;
    if (web->options.max_body == 0) web->options.max_body = 1024 * 1024;
    async__web_default_time(&web->options.head_timeout, 30);
    async__web_default_time(&web->options.body_timeout, 60);
    async__web_default_time(&web->options.idle_timeout, 75);
    async__web_default_time(&web->options.write_timeout, 60);
    memcpy(frame, handler.object.frame, handler.object.size);
    web->loop = loop;
    web->handler = handler;
    web->handler.object.frame = frame;
    web->date_second = -1;
    async__list_init(&web->connections);
    async_event_init(&web->empty);
    llhttp_settings_init(&web->head_settings);
    web->head_settings.on_url = async__web_on_url;
    web->head_settings.on_header_field = async__web_on_field;
    web->head_settings.on_header_value = async__web_on_value;
    web->head_settings.on_headers_complete = async__web_on_head;
    llhttp_settings_init(&web->body_settings);
    web->body_settings.on_body = async__web_on_body;
    web->body_settings.on_message_complete = async__web_on_complete;
    return 0;
}

async_client_handler async_web_clients(async_web_server *web)
{
    async_client_handler handler =
        ASYNC_CLIENT_HANDLER(async_web_serve, web, NULL);
    /* That lies on this function's stack. */
    memcpy(&web->client, handler.object.frame, sizeof web->client);
    handler.object.frame = &web->client;
    return handler;
}

ASYNC(async_web_start)
{
    ASYNC_BEGIN(async_web_start);
    self->error = async_web_init(self->web, self->handler, self->options);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        ASYNC_AWAIT(async_start_server, &self->web->server,
                    async_web_clients(self->web), self->ip, self->port,
                    &self->web->options.server);
    } ASYNC_EXCEPT_ALL(self->error) {
        async__web_give_up(self->web);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void async__web_begin_stop(async_web_server *web)
{
    async_link *link;
    web->stopping = 1;
    async_server_close(&web->server);
    for (link = web->connections.next; link != &web->connections;
         link = link->next) {
        async__web *c =
            (async__web *)(void *)((char *)link - offsetof(async__web, link));
        if (c->waiting == ASYNC__WEB_HEAD) async__web_wake(c->waiter);
    }
}

static void async__web_cancel_all(async_web_server *web)
{
    async_link *link;
    for (link = web->connections.next; link != &web->connections;
         link = link->next) {
        async__web *c =
            (async__web *)(void *)((char *)link - offsetof(async__web, link));
        if (c->client == NULL) async_task_cancel(c->task);
    }
    async_server_cancel_clients(&web->server);
    /* Those with whom TLS is not agreed have no task. */
    link = web->server.clients.next;
    for (; link != NULL && link != &web->server.clients; link = link->next) {
        async__client *client = (async__client *)(void *)link;
        if (client->task == NULL && !client->connection.writer.lost)
            async_transport_abort(&client->connection.transport.base);
    }
}

/* Waits until the last connection has gone, and its client. */
#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif
struct async__web_gone { ASYNC_FRAME; async_web_server *web; };
static ASYNC(async__web_gone);
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif
static ASYNC(async__web_gone)
{
    ASYNC_BEGIN(async__web_gone);
    while (self->web->count > 0) {
        async_event_clear(&self->web->empty);
        ASYNC_AWAIT(async_event_wait, &self->web->empty);
    }
    ASYNC_AWAIT(async_server_wait_closed, &self->web->server);
    ASYNC_END;
}

ASYNC(async_web_stop)
{
    ASYNC_BEGIN(async_web_stop);
    if (self->web->handler.object.frame == NULL) ASYNC_RETURN();
    async__web_begin_stop(self->web);
    ASYNC_TRY {
        if (self->grace > 0) {
            ASYNC_TIMEOUT(&self->timeout, self->grace) {
                ASYNC_AWAIT(async__web_gone, self->web);
            } ASYNC_END_TIMEOUT
        }
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    /* Whoever is asked to hurry waits all the same: they use its memory. */
    while (self->web->count > 0 ||
           async_server_count_clients(&self->web->server) > 0 ||
           self->web->server.accepting) {
        async__web_cancel_all(self->web);
        ASYNC_TRY {
            ASYNC_AWAIT(async__web_gone, self->web);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            self->error = ASYNC_ECANCELED;
        } ASYNC_END_TRY
    }
    async__web_give_up(self->web);
    if (self->error && self->error != ASYNC_ETIMEDOUT)
        ASYNC_RAISE(self->error);
    ASYNC_END;
}

ASYNC(async_web_serve_forever)
{
    ASYNC_BEGIN(async_web_serve_forever);
    if (!async_server_is_serving(&self->web->server))
        ASYNC_RAISE(ASYNC_ECLOSED);
    ASYNC_TRY {
        ASYNC_AWAIT(async_server_wait_closed, &self->web->server);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_AWAIT(async_web_stop, self->web, self->grace);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
