/* streams.h - connections to read and write by lines, and servers of them
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct ask {
 *         ASYNC_FRAME;
 *         async_connection connection;
 *         async_bytes line;
 *     };
 *     ...
 *     AWAIT(async_open_connection, &self->connection, "127.0.0.1", 8080);
 *     ASYNC_TRY {
 *         async_stream_writer_write(&self->connection.writer, "hello\n", 6);
 *         AWAIT_INTO(self->line, async_stream_reader_readline,
 *                    &self->connection.reader);
 *     } ASYNC_FINALLY {
 *         AWAIT(async_connection_close, &self->connection);
 *     } ASYNC_END_TRY
 *
 * What a reader and a writer can do, async/streams.h says.
 *
 *   CONNECTIONS    open, close
 *   SERVERS        a coroutine for each client
 *   PRIVATE
 */
#ifndef CAESURA_UV_STREAMS_H
#define CAESURA_UV_STREAMS_H

#include "connect.h"
#include "pipe.h"
#include "transport.h"

#include "../streams.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * CONNECTIONS
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until it has
 * been closed: in the frame, and async_connection_close in a FINALLY.
 * Counterpart: the pair of a StreamReader and a StreamWriter. */
typedef struct async_connection {
    async_stream_reader reader;
    async_stream_writer writer;
    async_uv_transport transport; /* its .stream: for options, and who it is */
    /* Private: what lies between those and this, as TLS does, and what it has
     * failed of. */
    struct async__layer *layer;
    unsigned long failure;
    long verified;
} async_connection;

/* AWAIT(async_open_connection, connection, host, port, limit)
 * host    a name, of whose addresses the first that answers is taken, as
 *         connect.h says; or an address from numbers.  Used only until this
 *         first suspends
 * limit   of the reader; 0 or left out: ASYNC_STREAM_LIMIT
 * Errors  those of async_tcp_connect_host.  After an error there is nothing to
 *         close.
 * Cancel  closes it; raised when libuv has let go of it
 * Counterpart: asyncio.open_connection(). */
struct async_open_connection {
    ASYNC_FRAME;
    async_connection *connection;
    const char *host;
    int port;
    size_t limit;
};
ASYNC(async_open_connection);

/* AWAIT(async_open_unix_connection, connection, path, limit): the same by a
 * Unix socket, or a named pipe of Windows.
 * path    used only until this first suspends
 * Errors  those of async_pipe_connect
 * Counterpart: asyncio.open_unix_connection(). */
struct async_open_unix_connection {
    ASYNC_FRAME;
    async_connection *connection;
    const char *path;
    size_t limit;
};
ASYNC(async_open_unix_connection);

/* For a connection whose transport.stream has been opened otherwise.
 * Returns  0, or ASYNC_ECLOSED when it is not open */
int async_connection_start(async_connection *connection, size_t limit);

/* AWAIT(async_connection_close, connection): closes it when all is out, waits
 * until nothing is left of it, and gives the reader's memory back.  One that
 * was never opened, or is closed: nothing.  What the connection died of is no
 * error any more.
 * Cancel  aborts it; raised when nothing is left of it
 * Counterpart: StreamWriter.close() and wait_closed(). */
struct async_connection_close {
    ASYNC_FRAME;
    async_connection *connection;
    int error;
};
ASYNC(async_connection_close);

/* ------------------------------------------------------------------------
 * SERVERS
 *
 * For each client the server runs a coroutine as a task, whose first argument,
 * `client`, is the connection:
 *
 *     struct serve { ASYNC_FRAME;  async_connection *client;  app *app; };
 *
 *     AWAIT(async_start_server, &self->server,
 *           ASYNC_CLIENT_HANDLER(serve, app), "127.0.0.1", 8080);
 *
 * The connection is the server's: when the coroutine has ended, it is closed,
 * when all is out, and its memory goes.  An error of the coroutine goes to the
 * exception handler; the others are served on.
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until
 * async_server_wait_closed. */
typedef struct async_server async_server;

/* ASYNC_CLIENT_HANDLER(name, arguments...): those behind `client`, which are
 * copied for each client. */
typedef struct async_client_handler {
    async_object object;
    size_t client; /* where that argument is */
} async_client_handler;
#define ASYNC_CLIENT_HANDLER(...) ASYNC__CLIENT_HANDLER(__VA_ARGS__, )

/* What is 0 has its default. */
typedef struct async_server_options {
    size_t limit;       /* of the readers: ASYNC_STREAM_LIMIT */
    int backlog;        /* connections that the system keeps meanwhile: 128 */
    size_t max_clients; /* at a time; others wait in the backlog: no limit */
    unsigned flags;     /* ASYNC_TCP_REUSEPORT; see async_tcp_listen */
} async_server_options;

/* AWAIT(async_start_server, server, handler, ip, port, options)
 * ip       an address from numbers; NULL: all of this machine
 * port     0: a free one, which async_server_port() tells
 * options  NULL or left out: the defaults.  Used only until this suspends.
 * Errors   those of async_tcp_listen; ASYNC_EINVAL when it is no address;
 *          ASYNC_ENOMEM.  After an error there is nothing to close.
 * When there is no memory for a client, or no descriptor, the exception handler
 * gets to know, and the server tries again a second later, or when a client has
 * gone.
 * Counterpart: asyncio.start_server(). */
struct async_start_server {
    ASYNC_FRAME;
    async_server *server;
    async_client_handler handler;
    const char *ip;
    int port;
    const async_server_options *options;
    /* Private: puts a layer between a client and its connection, and calls
     * async__server_serve() when that is ready. */
    void (*prepare)(async_connection *client, void *argument);
    void *prepare_argument;
    int backlog, error;
    unsigned flags;
    struct sockaddr_storage address;
};
ASYNC(async_start_server);

/* AWAIT(async_start_unix_server, server, handler, path, options): the same on a
 * Unix socket, or a named pipe of Windows.
 * path    used only until this first suspends
 * Errors  those of async_pipe_listen; ASYNC_ENOMEM
 * Counterpart: asyncio.start_unix_server(). */
struct async_start_unix_server {
    ASYNC_FRAME;
    async_server *server;
    async_client_handler handler;
    const char *path;
    const async_server_options *options;
    /* Private, as above. */
    void (*prepare)(async_connection *client, void *argument);
    void *prepare_argument;
    int error;
};
ASYNC(async_start_unix_server);

/* Stops listening.  Clients are served on. */
void async_server_close(async_server *server);

/* All clients: their connections are closed when all is out, or at once; or
 * their coroutines are cancelled, and may clean up.
 * Counterparts: Server.close_clients(), Server.abort_clients(). */
void async_server_close_clients(async_server *server);
void async_server_abort_clients(async_server *server);
void async_server_cancel_clients(async_server *server);

/* AWAIT(async_server_wait_closed, server): waits until it is closed and the
 * last client has gone; then its memory may go.  Of one that was never started
 * it does nothing.
 * Cancel  at once
 * Counterpart: Server.wait_closed(), as of Python 3.12.1. */
struct async_server_wait_closed {
    ASYNC_FRAME;
    async_server *server;
};
ASYNC(async_server_wait_closed);

/* AWAIT(async_server_serve_forever, server): waits until it is closed, as
 * async_server_wait_closed does.
 * Errors  ASYNC_ECLOSED when it is not open; ASYNC_EBUSY when another task is
 *         here
 * Cancel  closes it, waits for the clients, and is raised then; a second one at
 *         once
 * Counterpart: Server.serve_forever(). */
struct async_server_serve_forever {
    ASYNC_FRAME;
    async_server *server;
};
ASYNC(async_server_serve_forever);

/* Whether it listens; its port, or 0; how many clients it has.
 * Counterparts: Server.is_serving(), Server.sockets. */
static inline int async_server_is_serving(const async_server *server);
static inline int async_server_port(const async_server *server);
static inline size_t async_server_count_clients(const async_server *server);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async__layer {
    void (*drop)(async_connection *connection); /* nothing is left below */
};
static inline void async__connection_drop_layer(async_connection *connection)
{
    if (connection->layer != NULL) connection->layer->drop(connection);
}

/* Starts the coroutine of a client that has been prepared. */
void async__server_serve(async_connection *connection);

struct async_server {
    async_listener listener;
    async_loop *loop;
    async_link clients;
    size_t count, max_clients, limit;
    async_client_handler handler; /* its frame is a copy */
    async_event room, gone;
    void (*prepare)(async_connection *client, void *argument);
    void *prepare_argument;
    unsigned char accepting, attended;
};

static inline async_client_handler async__client_handler(async_object object,
                                                         size_t client)
{
    async_client_handler handler;
    handler.object = object;
    handler.client = client;
    return handler;
}
/* The sum does not compile where `client` is no async_connection *. */
#define ASYNC__CLIENT_HANDLER(name, ...)                                      \
    async__client_handler(ASYNC__CO(name, NULL, __VA_ARGS__),                 \
                          offsetof(struct name, client) +                     \
                              0 * sizeof(((struct name *)0)->client ==        \
                                         (async_connection *)0))

static inline int async_server_is_serving(const async_server *server)
{
    return async_stream_is_open(&server->listener.stream);
}
static inline int async_server_port(const async_server *server)
{
    return async_tcp_port(&server->listener);
}
static inline size_t async_server_count_clients(const async_server *server)
{
    return server->count;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_STREAMS_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_STREAMS_IMPLEMENTED)
#define CAESURA_UV_STREAMS_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- connections --------------------------------------------------------- */

int async_connection_start(async_connection *connection, size_t limit)
{
    if (!async_stream_is_open(&connection->transport.stream))
        return ASYNC_ECLOSED;
    async_stream_reader_init(&connection->reader,
                             connection->transport.stream.resource.loop, NULL,
                             limit);
    async__stream_protocol_init(&connection->writer, &connection->reader,
                                &connection->transport.base);
    return async_uv_transport_start(&connection->transport,
                                    &connection->writer.protocol);
}

ASYNC(async_open_connection)
{
    ASYNC_BEGIN(async_open_connection);
    ASYNC_AWAIT(async_tcp_connect_host, &self->connection->transport.stream,
                self->host, self->port);
    (void)async_connection_start(self->connection, self->limit);
    ASYNC_END;
}

ASYNC(async_open_unix_connection)
{
    ASYNC_BEGIN(async_open_unix_connection);
    ASYNC_AWAIT(async_pipe_connect, &self->connection->transport.stream,
                self->path);
    (void)async_connection_start(self->connection, self->limit);
    ASYNC_END;
}

ASYNC(async_connection_close)
{
    ASYNC_BEGIN(async_connection_close);
    if (self->connection->writer.transport == NULL) {
        /* Not started: only the stream may be open. */
        ASYNC_AWAIT(async_stream_close, &self->connection->transport.stream);
        ASYNC_RETURN();
    }
    async_stream_writer_close(&self->connection->writer);
    ASYNC_TRY {
        ASYNC_AWAIT(async_stream_writer_wait_closed,
                    &self->connection->writer);
    } ASYNC_EXCEPT_ALL(self->error) {
        /* Only a cancellation is news. */
    } ASYNC_END_TRY
    if (self->connection->writer.lost) {
        async__connection_drop_layer(self->connection);
        async_stream_reader_destroy(&self->connection->reader);
        self->connection->writer.transport = NULL;
    }
    if (self->error == ASYNC_ECANCELED || !self->connection->writer.lost)
        ASYNC_RAISE(self->error);
    ASYNC_END;
}

/* --- the clients of a server --------------------------------------------- */

typedef struct async__client {
    async_link link; /* must be first */
    async_server *server;
    async_task *task; /* until it has ended */
    async_done_callback ended;
    async_connection connection;
} async__client;

static void async__server_give_up(async_server *server)
{
    async__release_large(server->loop,
                         (void *)(uintptr_t)server->handler.object.frame,
                         server->handler.object.size);
}

/* Until then the coroutine of a client that is being prepared may begin. */
static void async__server_check_gone(async_server *server)
{
    if (server->accepting || server->count > 0) return;
    async__server_give_up(server);
    async_event_set(&server->gone);
}

/* It was only waited for, or nothing is left of it. */
static void async__client_release(async__client *client)
{
    async_server *server = client->server;
    async_loop *loop = server->loop;
    async__connection_drop_layer(&client->connection);
    async_stream_reader_destroy(&client->connection.reader);
    if (client->link.prev != NULL) {
        async__unlink(&client->link);
        async__uv(loop)->clients--;
        server->count--;
        async_event_set(&server->room);
        async__server_check_gone(server);
    }
    async__release_large(loop, client, sizeof *client);
}

static void async__client_lost(async_uv_transport *transport, int loop_is)
{
    async__client *client =
        (async__client *)(void *)((char *)transport -
                                  offsetof(async__client, connection) -
                                  offsetof(async_connection, transport));
    async_protocol *protocol = transport->base.protocol; /* or a layer's */
    protocol->callbacks->connection_lost(protocol, transport->error);
    if (loop_is != ASYNC__LOOP_OPEN && client->task != NULL) {
        /* Its task will be dropped. */
        async_done_callback_cancel(&client->ended);
        async_task_release(client->task);
        client->task = NULL;
    }
    if (client->task == NULL) async__client_release(client);
}

static int async__client_ended(async_future *future, void *argument)
{
    async__client *client = (async__client *)argument;
    async_task *task = client->task;
    int error = async_future_result(future);
    if (error && error != ASYNC_ECANCELED)
        async__report(client->server->loop,
                      "Unhandled exception in client_connected_cb", error,
                      future, NULL);
    client->task = NULL;
    async_task_release(task);
    if (client->connection.writer.lost)
        async__client_release(client);
    else
        async_stream_writer_close(&client->connection.writer);
    return 0;
}

/* Takes in a client whose stream is open. */
static void async__client_start(async__client *client)
{
    async_server *server = client->server;
    async_connection *connection = &client->connection;
    async__list_append(&server->clients, &client->link);
    server->count++;
    async__uv(server->loop)->clients++;
    (void)async_connection_start(connection, server->limit);
    connection->transport.lost = async__client_lost;
    if (server->prepare != NULL)
        server->prepare(connection, server->prepare_argument);
    else
        async__server_serve(connection);
}

void async__server_serve(async_connection *connection)
{
    async__client *client =
        (async__client *)(void *)((char *)connection -
                                  offsetof(async__client, connection));
    async_server *server = client->server;
    memcpy((char *)(uintptr_t)server->handler.object.frame +
               server->handler.client,
           &connection, sizeof connection);
    client->task =
        async_loop_create_task(server->loop, server->handler.object);
    if (client->task == NULL) {
        async__report(server->loop, "no memory to serve a client",
                      ASYNC_ENOMEM, NULL, NULL);
        async_transport_abort(&connection->transport.base);
        return;
    }
    async_future_add_done_callback(&client->task->future, &client->ended,
                                   async__client_ended, client);
}

/* --- accepting ----------------------------------------------------------- */

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif
struct async__server_accept {
    ASYNC_FRAME;
    async_server *server;
    async__client *client; /* the next */
    int error;
    async_timeout pause;
};

static int async__server_is_full(const async_server *server)
{
    return server->max_clients > 0 && server->count >= server->max_clients;
}

static async__client *async__client_make(async_server *server)
{
    async__client *client = (async__client *)async__allocate_large(
        server->loop, sizeof *client);
    if (client == NULL) return NULL;
    memset(client, 0, sizeof *client);
    client->server = server;
    return client;
}

static ASYNC(async__server_accept);
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

static ASYNC(async__server_accept)
{
    ASYNC_BEGIN(async__server_accept);
    ASYNC_TRY {
        while (async_server_is_serving(self->server)) {
            while (async__server_is_full(self->server)) {
                async_event_clear(&self->server->room);
                ASYNC_AWAIT(async_event_wait, &self->server->room);
            }
            self->error = ASYNC_ENOMEM;
            if (self->client == NULL)
                self->client = async__client_make(self->server);
            if (self->client != NULL)
                ASYNC_AWAIT_CATCH(
                    self->error, async_listener_accept,
                    &self->server->listener,
                    &self->client->connection.transport.stream);
            if (!self->error) {
                async__client_start(self->client);
                self->client = NULL;
            } else if (self->error == ASYNC_ECANCELED) {
                ASYNC_RAISE(ASYNC_ECANCELED);
            } else if (self->error != ASYNC_ECLOSED) {
                async_event_clear(&self->server->room);
                async__report(self->server->loop,
                              "socket.accept() out of system resource",
                              self->error, NULL, NULL);
                ASYNC_TRY {
                    ASYNC_TIMEOUT(&self->pause, ASYNC_SECONDS(1)) {
                        ASYNC_AWAIT(async_event_wait, &self->server->room);
                    } ASYNC_END_TIMEOUT
                } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
                    /* It may be better now. */
                } ASYNC_END_TRY
            }
        }
    } ASYNC_FINALLY {
        if (self->client != NULL)
            async__release_large(self->server->loop, self->client,
                                 sizeof *self->client);
        self->client = NULL;
        ASYNC_TRY {
            ASYNC_AWAIT(async_listener_close, &self->server->listener);
        } ASYNC_FINALLY {
            self->server->accepting = 0;
            async__server_check_gone(self->server);
        } ASYNC_END_TRY
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- servers ------------------------------------------------------------- */

/* Before it listens: all that can fail but that. */
static int async__server_prepare(async_server *server, async *co,
                                 const async_client_handler *handler,
                                 const async_server_options *options)
{
    void *frame;
    int error = async__uv_check(co);
    async__object_taken(&handler->object);
    if (error) return error;
    if (server->accepting || server->count > 0 ||
        async_server_is_serving(server))
        return ASYNC_EBUSY;
    server->loop = async_loop_of(co);
    frame = async__allocate_large(server->loop, handler->object.size);
    if (frame == NULL) return ASYNC_ENOMEM;
    memcpy(frame, handler->object.frame, handler->object.size);
    server->handler = *handler;
    server->handler.object.frame = frame;
    server->limit = options != NULL ? options->limit : 0;
    server->max_clients = options != NULL ? options->max_clients : 0;
    server->prepare = NULL;
    async__list_init(&server->clients);
    async_event_init(&server->room);
    async_event_init(&server->gone);
    server->attended = 0;
    return 0;
}

/* When it listens, or has failed to: what there is to do in either case.
 * Returns 0 or the error; with one the listener, if it is open, is closed by
 * who called. */
static int async__server_listens(async_server *server, int error)
{
    async_task *task = NULL;
    if (!error) {
        task = async_loop_create_task(server->loop,
                                      ASYNC_CO(async__server_accept, server));
        if (task == NULL) error = async_last_error();
    }
    if (error) {
        async__server_give_up(server);
        return error;
    }
    async_task_release(task);
    server->accepting = 1;
    return 0;
}

/* Which of the families there are is the machine's business. */
static int async__server_address(struct async_start_server *self)
{
    const char *ip = self->ip;
    if (ip == NULL) ip = self->error == -EAFNOSUPPORT ? "0.0.0.0" : "::";
    return async_tcp_address(&self->address, ip, self->port);
}

ASYNC(async_start_server)
{
    ASYNC_BEGIN(async_start_server);
    if (self->options != NULL) self->backlog = self->options->backlog;
    if (self->options != NULL) self->flags = self->options->flags;
    if (async__server_address(self) != 0) ASYNC_RAISE(ASYNC_EINVAL);
    self->error = async__server_prepare(self->server, co, &self->handler,
                                        self->options);
    if (self->error) ASYNC_RAISE(self->error);
    self->server->prepare = self->prepare;
    self->server->prepare_argument = self->prepare_argument;
    ASYNC_TRY {
        ASYNC_AWAIT(async_tcp_listen, &self->server->listener,
                    (const struct sockaddr *)&self->address, self->backlog,
                    self->flags);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (self->error == -EAFNOSUPPORT && self->ip == NULL) {
        (void)async__server_address(self);
        self->error = 0;
        ASYNC_TRY {
            ASYNC_AWAIT(async_tcp_listen, &self->server->listener,
                        (const struct sockaddr *)&self->address,
                        self->backlog, self->flags);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
    }
    self->error = async__server_listens(self->server, self->error);
    if (self->error) {
        ASYNC_AWAIT(async_listener_close, &self->server->listener);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

ASYNC(async_start_unix_server)
{
    ASYNC_BEGIN(async_start_unix_server);
    self->error = async__server_prepare(self->server, co, &self->handler,
                                        self->options);
    if (self->error) ASYNC_RAISE(self->error);
    self->server->prepare = self->prepare;
    self->server->prepare_argument = self->prepare_argument;
    ASYNC_TRY {
        ASYNC_AWAIT(async_pipe_listen, &self->server->listener, self->path,
                    self->options != NULL ? self->options->backlog : 0);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    self->error = async__server_listens(self->server, self->error);
    if (self->error) {
        ASYNC_AWAIT(async_listener_close, &self->server->listener);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

void async_server_close(async_server *server)
{
    if (!async_server_is_serving(server)) return;
    async__stream_begin_close(&server->listener.stream);
    async_event_set(&server->room); /* who waits for a client to go */
}

void async_server_close_clients(async_server *server)
{
    async_link *link = server->clients.next;
    if (link == NULL) return;
    for (; link != &server->clients; link = link->next)
        async_stream_writer_close(
            &((async__client *)(void *)link)->connection.writer);
}

void async_server_abort_clients(async_server *server)
{
    async_link *link = server->clients.next;
    if (link == NULL) return;
    for (; link != &server->clients; link = link->next) {
        async_connection *connection =
            &((async__client *)(void *)link)->connection;
        if (!connection->writer.lost)
            async_transport_abort(&connection->transport.base);
    }
}

void async_server_cancel_clients(async_server *server)
{
    async_link *link = server->clients.next;
    if (link == NULL) return;
    for (; link != &server->clients; link = link->next) {
        async__client *client = (async__client *)(void *)link;
        if (client->task != NULL) async_task_cancel(client->task);
    }
}

ASYNC(async_server_wait_closed)
{
    ASYNC_BEGIN(async_server_wait_closed);
    if (self->server->accepting || self->server->count > 0)
        ASYNC_AWAIT(async_event_wait, &self->server->gone);
    ASYNC_END;
}

ASYNC(async_server_serve_forever)
{
    ASYNC_BEGIN(async_server_serve_forever);
    if (!async_server_is_serving(self->server)) ASYNC_RAISE(ASYNC_ECLOSED);
    if (self->server->attended) ASYNC_RAISE(ASYNC_EBUSY);
    self->server->attended = 1;
    ASYNC_TRY {
        ASYNC_AWAIT(async_server_wait_closed, self->server);
    } ASYNC_FINALLY {
        self->server->attended = 0;
        async_server_close(self->server);
        ASYNC_AWAIT(async_server_wait_closed, self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
