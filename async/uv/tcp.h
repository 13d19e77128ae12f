/* tcp.h - TCP: connecting, listening, options
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * Both ends are an async_stream; see stream.h for what can be done with it, and
 * listener.h for how connections are accepted.
 * Connections are opened with TCP_NODELAY, as asyncio does.
 */
#ifndef CAESURA_UV_TCP_H
#define CAESURA_UV_TCP_H

#include "listener.h"

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
    async__connecting connecting;
};
ASYNC(async_tcp_connect);

/* AWAIT(async_tcp_listen, listener, address, backlog, flags): opens a zeroed
 * listener; see listener.h for what can be done with it.
 * address  a const struct sockaddr *; its port may be 0, and the system then
 *          chooses one: async_tcp_port()
 * backlog  how many connections the system keeps until they are accepted;
 *          0: 128
 * flags    0, or ASYNC_TCP_REUSEPORT: several listeners of this user, each with
 *          this flag, may share an address, on several loops (cores.h) or in
 *          several processes, and the system divides the connections among
 *          them.  Those that one of them has not accepted end with it.
 * Errors   -EADDRINUSE, -EACCES ...; UV_ENOTSUP where the system does not so
 *          divide them; ASYNC_EBUSY when it is open.  After an error it is
 *          closed.
 * Counterpart: asyncio.start_server(), uv_listen(). */
struct async_tcp_listen {
    ASYNC_FRAME;
    async_listener *listener;
    const struct sockaddr *address;
    int backlog;
    unsigned flags;
    int error;
};
ASYNC(async_tcp_listen);
enum { ASYNC_TCP_REUSEPORT = 1 };

/* AWAIT(async_tcp_open, stream, socket): opens a zeroed stream on a connection
 * that was made elsewhere.
 * socket   the stream's from then on, which makes it nonblocking and closes it
 * Errors   ASYNC_EINVAL when it is not TCP's, or not open; -EEXIST when the
 *          loop waits for it already; ASYNC_EBUSY when the stream is open.
 *          After an error the stream is closed, and the socket the caller's.
 * Counterpart: loop.connect_accepted_socket(), uv_tcp_open(). */
struct async_tcp_open {
    ASYNC_FRAME;
    async_stream *stream;
    uv_os_sock_t socket;
    int error;
};
ASYNC(async_tcp_open);

/* Whether small writes go out at once; as opened they do.  These return 0,
 * ASYNC_ECLOSED, ASYNC_EINVAL for what is not TCP, or the system's error.
 * Counterpart: uv_tcp_nodelay(). */
int async_tcp_nodelay(async_stream *stream, int on);

/* Whether the system asks a silent peer if it is still there.
 * seconds  of silence before it does, at least 1
 * Counterpart: uv_tcp_keepalive(). */
int async_tcp_keepalive(async_stream *stream, int on, unsigned seconds);

/* On Windows, whether a listener has several accepts under way at a time;
 * elsewhere it changes nothing.
 * Counterpart: uv_tcp_simultaneous_accepts(). */
int async_tcp_simultaneous_accepts(async_listener *listener, int on);

/* The port that a listener listens on, 0 when it does not, or not by TCP. */
int async_tcp_port(const async_listener *listener);

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
    return async__ip_address(address, ip, port);
}

/* --- connect ------------------------------------------------------------- */

ASYNC(async_tcp_connect)
{
    ASYNC_BEGIN(async_tcp_connect);
    self->error = async__stream_open(self->stream, co, UV_TCP);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        async__connecting_begin(&self->connecting, self->stream);
        uv_tcp_nodelay(&self->stream->handle.tcp, 1);
        self->error = uv_tcp_connect(&self->connecting.request,
                                     &self->stream->handle.tcp, self->address,
                                     async__connecting_done);
        if (self->error) ASYNC_RAISE(self->error);
        ASYNC__AWAIT_REQUEST(&self->connecting.connected);
    } ASYNC_EXCEPT_ALL(self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- adopting ------------------------------------------------------------ */

static int async__tcp_adopt(struct async_tcp_open *self, const async *co)
{
    int error;
    (void)co;
#ifndef _WIN32 /* where that is asked of descriptors alone */
    if (uv_guess_handle(self->socket) != UV_TCP) return ASYNC_EINVAL;
    if (async__uv_carries(async_loop_of(co), self->socket)) return UV_EEXIST;
#endif
    error = uv_tcp_open(&self->stream->handle.tcp, self->socket);
    if (!error) uv_tcp_nodelay(&self->stream->handle.tcp, 1);
    return error;
}

ASYNC(async_tcp_open)
{
    ASYNC_BEGIN(async_tcp_open);
    self->error = async__stream_open(self->stream, co, UV_TCP);
    if (self->error) ASYNC_RAISE(self->error);
    self->error = async__tcp_adopt(self, co);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

/* --- listen -------------------------------------------------------------- */

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

/* Opens one with a socket from the beginning, which has options before it is
 * bound. */
static int async__tcp_open_shared(struct async_tcp_listen *self,
                                  const async *co)
{
    async_stream *stream = &self->listener->stream;
    int error = async__stream_check_unopened(stream, co);
    if (!error)
        error = uv_tcp_init_ex(async_uv_loop_of(async_loop_of(co)),
                               &stream->handle.tcp, self->address->sa_family);
    if (!error) async__stream_opened(stream, async_loop_of(co));
    return error;
}

ASYNC(async_tcp_listen)
{
    ASYNC_BEGIN(async_tcp_listen);
    self->error = self->flags & ASYNC_TCP_REUSEPORT
                      ? async__tcp_open_shared(self, co)
                      : async__stream_open(&self->listener->stream, co,
                                           UV_TCP);
    if (self->error) ASYNC_RAISE(self->error);
    if (self->flags & ASYNC_TCP_REUSEPORT)
        self->error = async__tcp_share_port(&self->listener->stream);
    if (!self->error)
        self->error = uv_tcp_bind(&self->listener->stream.handle.tcp,
                                  self->address, 0);
    if (!self->error)
        self->error = async__listener_start(self->listener, self->backlog);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, &self->listener->stream);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

/* --- options ------------------------------------------------------------- */

static int async__tcp_check(const async_stream *stream)
{
    if (!async_stream_is_open(stream)) return ASYNC_ECLOSED;
    return stream->handle.any.type == UV_TCP ? 0 : ASYNC_EINVAL;
}

int async_tcp_nodelay(async_stream *stream, int on)
{
    int error = async__tcp_check(stream);
    return error ? error : uv_tcp_nodelay(&stream->handle.tcp, on);
}

int async_tcp_keepalive(async_stream *stream, int on, unsigned seconds)
{
    int error = async__tcp_check(stream);
    if (!error && on && seconds == 0) error = ASYNC_EINVAL;
    return error ? error
                 : uv_tcp_keepalive(&stream->handle.tcp, on, seconds);
}

int async_tcp_simultaneous_accepts(async_listener *listener, int on)
{
    int error = async__tcp_check(&listener->stream);
    return error ? error
                 : uv_tcp_simultaneous_accepts(&listener->stream.handle.tcp,
                                               on);
}

int async_tcp_port(const async_listener *listener)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    if (async__tcp_check(&listener->stream) != 0 ||
        uv_tcp_getsockname(&listener->stream.handle.tcp,
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
