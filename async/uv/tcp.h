/* tcp.h - TCP: connecting, listening, accepting
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * Both ends are an async_stream; see stream.h for what can be done with it.
 * Connections are opened with TCP_NODELAY, as asyncio does.
 */
#ifndef CAESURA_UV_TCP_H
#define CAESURA_UV_TCP_H

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* An address from numbers: "127.0.0.1" or "::1", and a port.
 * Returns  0, or -EINVAL when the text is neither. */
int async_tcp_address(struct sockaddr_storage *address, const char *ip,
                      int port);

/* AWAIT(async_tcp_connect, stream, address): opens a zeroed stream.
 * address  a const struct sockaddr *, used only until this first suspends
 * Errors   -ECONNREFUSED, -ETIMEDOUT (the system's), -EMFILE ...;
 *          ASYNC_EBUSY when the stream is open; ASYNC_EINVAL on a loop that is
 *          not libuv's.  After an error it is closed.
 * Cancel   closes it; raised when libuv has let go of it
 * Counterpart: asyncio.open_connection(), uv_tcp_connect(). */
struct async_tcp_connect {
    ASYNC_FRAME;
    async_stream *stream;
    const struct sockaddr *address;
    int error;
    uv_connect_t request;
    async_operation connected;
};
ASYNC(async_tcp_connect);

typedef struct async_tcp_server {
    async_stream listener;
    /* The rest is private. */
    int pending, error;
} async_tcp_server;

/* AWAIT(async_tcp_listen, server, address, backlog, flags): opens a zeroed
 * server.
 * backlog  how many connections the system keeps until they are accepted;
 *          0: 128
 * flags    0, or ASYNC_TCP_REUSEPORT: several servers of this user, each with
 *          this flag, may listen on one address, on several loops (cores.h) or
 *          in several processes, and the system divides the connections among
 *          them.  Those that one of them has not accepted end with it.
 * Errors   -EADDRINUSE, -EACCES ...; UV_ENOTSUP where the system does not so
 *          divide them; ASYNC_EBUSY when it is open.  After an error it is
 *          closed.
 * Counterpart: asyncio.start_server(), uv_listen(). */
struct async_tcp_listen {
    ASYNC_FRAME;
    async_tcp_server *server;
    const struct sockaddr *address;
    int backlog;
    unsigned flags;
    int error;
};
ASYNC(async_tcp_listen);
enum { ASYNC_TCP_REUSEPORT = 1 };

/* AWAIT(async_tcp_accept, server, stream): waits for a connection and opens
 * the zeroed stream on it.
 * Errors   ASYNC_ECLOSED when the server is closed; ASYNC_EBUSY when another
 *          task accepts, or the stream is open; -EMFILE ..., and then the
 *          server goes on: try again later.  (Of libuv 1.44 one does not hear
 *          of a lack of descriptors: it drops the connection.)
 * Cancel   at once; a connection that had come is there for the next accept
 * Counterpart: the callback of asyncio.start_server(), uv_accept(). */
struct async_tcp_accept {
    ASYNC_FRAME;
    async_tcp_server *server;
    async_stream *stream;
    int error;
    async_operation arrival;
};
ASYNC(async_tcp_accept);

/* AWAIT(async_tcp_server_close, server): stops listening; who accepts gets
 * ASYNC_ECLOSED.  Connections that were accepted go on.
 * Cancel   raised when it is closed all the same
 * Counterpart: Server.close(). */
struct async_tcp_server_close {
    ASYNC_FRAME;
    async_tcp_server *server;
};
ASYNC(async_tcp_server_close);

/* The port that a server listens on, 0 when it does not. */
int async_tcp_server_port(const async_tcp_server *server);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_TCP_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_TCP_IMPLEMENTED)
#define CAESURA_UV_TCP_IMPLEMENTED

#include <errno.h>
/* Where only POSIX is asked for, glibc does not name it. */
#if defined(__linux__) && !defined(SO_REUSEPORT)
#include <asm/socket.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

int async_tcp_address(struct sockaddr_storage *address, const char *ip,
                      int port)
{
    memset(address, 0, sizeof *address);
    if (uv_ip4_addr(ip, port, (struct sockaddr_in *)address) == 0) return 0;
    return uv_ip6_addr(ip, port, (struct sockaddr_in6 *)address);
}

/* Makes the handle, and with a family its socket; the stream is open from then
 * on, whatever comes of it. */
static int async__tcp_open_as(async_stream *stream, async *co, int family)
{
    int error = async__uv_check(co);
    if (error) return error;
    if (stream->state != ASYNC__UNOPENED) return ASYNC_EBUSY;
    error = uv_tcp_init_ex(async_uv_loop_of(async_loop_of(co)),
                           &stream->handle.tcp, (unsigned)family);
    if (!error) async__stream_opened(stream, async_loop_of(co));
    return error;
}
static int async__tcp_open(async_stream *stream, async *co)
{
    return async__tcp_open_as(stream, co, AF_UNSPEC);
}

/* --- connect ------------------------------------------------------------- */

static void async__connect_on_done(uv_connect_t *request, int status)
{
    async__request_done((async_operation *)request->data, status);
}

static int async__connect_cancel(async_operation *operation)
{
    struct async_tcp_connect *connect =
        (struct async_tcp_connect *)(void *)((char *)operation -
            offsetof(struct async_tcp_connect, connected));
    async__stream_begin_close(connect->stream);
    return 0;
}

ASYNC(async_tcp_connect)
{
    ASYNC_BEGIN(async_tcp_connect);
    self->error = async__tcp_open(self->stream, co);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        async_operation_init(&self->connected, self->stream->loop,
                             async__connect_cancel);
        self->request.data = &self->connected;
        uv_tcp_nodelay(&self->stream->handle.tcp, 1);
        self->error = uv_tcp_connect(&self->request, &self->stream->handle.tcp,
                                     self->address, async__connect_on_done);
        if (self->error) ASYNC_RAISE(self->error);
        ASYNC__AWAIT_REQUEST(&self->connected);
    } ASYNC_EXCEPT_ALL(self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- listen, accept ------------------------------------------------------ */

static void async__server_on_connection(uv_stream_t *handle, int status)
{
    async_tcp_server *server = (async_tcp_server *)handle->data;
    async_operation *waiter = async__stream_waiting(&server->listener);
    if (status < 0)
        server->error = status;
    else
        server->pending++; /* on Windows several come before an accept */
    if (waiter != NULL) async__finish(&waiter->future, ASYNC__FINISHED, 0);
}

/* Lets others listen where this one will.  (Before libuv 1.49, which has a
 * flag for it.)  Where SO_REUSEPORT exists but gives one of them all the
 * connections, it is of no use. */
static int async__tcp_share_port(async_stream *stream)
{
#if defined(SO_REUSEPORT_LB)
    const int option = SO_REUSEPORT_LB;
#elif defined(SO_REUSEPORT) &&                                                \
    (defined(__linux__) || defined(__DragonFly__) || defined(_AIX))
    const int option = SO_REUSEPORT;
#else
    (void)stream;
    return UV_ENOTSUP;
#define ASYNC__NO_PORT_TO_SHARE
#endif
#ifndef ASYNC__NO_PORT_TO_SHARE
    uv_os_fd_t socket;
    int on = 1, error = uv_fileno(&stream->handle.any, &socket);
    if (error) return error;
    return setsockopt(socket, SOL_SOCKET, option, &on, sizeof on) == 0
               ? 0
               : uv_translate_sys_error(errno);
#endif
}

ASYNC(async_tcp_listen)
{
    ASYNC_BEGIN(async_tcp_listen);
    self->error = async__tcp_open_as(
        &self->server->listener, co,
        self->flags & ASYNC_TCP_REUSEPORT ? self->address->sa_family
                                          : AF_UNSPEC);
    if (self->error) ASYNC_RAISE(self->error);
    self->server->pending = self->server->error = 0;
    if (self->flags & ASYNC_TCP_REUSEPORT)
        self->error = async__tcp_share_port(&self->server->listener);
    if (!self->error)
        self->error = uv_tcp_bind(&self->server->listener.handle.tcp,
                                  self->address, 0);
    if (!self->error)
        self->error = uv_listen(&self->server->listener.handle.stream,
                                self->backlog > 0 ? self->backlog : 128,
                                async__server_on_connection);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, &self->server->listener);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

ASYNC(async_tcp_accept)
{
    ASYNC_BEGIN(async_tcp_accept);
    self->error = async__stream_check(&self->server->listener, co);
    if (self->error) ASYNC_RAISE(self->error);
    if (self->server->listener.waiter != NULL ||
        self->stream->state != ASYNC__UNOPENED)
        ASYNC_RAISE(ASYNC_EBUSY);
    while (!self->server->pending) {
        if (self->server->error) {
            self->error = self->server->error;
            self->server->error = 0;
            ASYNC_RAISE(self->error);
        }
        async__stream_wait(&self->server->listener, &self->arrival);
        ASYNC__WAIT_FOR(&self->arrival.future);
        if (self->server->listener.waiter == &self->arrival)
            self->server->listener.waiter = NULL;
        (void)async__awaited(co);
        async__drop(co);
        ASYNC__CHECK;
        if (!async_stream_is_open(&self->server->listener))
            ASYNC_RAISE(ASYNC_ECLOSED);
    }
    self->error = async__tcp_open(self->stream, co);
    if (self->error) ASYNC_RAISE(self->error);
    self->server->pending--;
    self->error = uv_accept(&self->server->listener.handle.stream,
                            &self->stream->handle.stream);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    }
    uv_tcp_nodelay(&self->stream->handle.tcp, 1);
    ASYNC_END;
}

ASYNC(async_tcp_server_close)
{
    ASYNC_BEGIN(async_tcp_server_close);
    ASYNC_AWAIT(async_stream_close, &self->server->listener);
    ASYNC_END;
}

int async_tcp_server_port(const async_tcp_server *server)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    if (!async_stream_is_open(&server->listener) ||
        uv_tcp_getsockname(&server->listener.handle.tcp,
                           (struct sockaddr *)&address, &size) != 0)
        return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
