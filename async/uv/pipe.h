/* pipe.h - Unix sockets, named pipes, pipes
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_pipe_listen, &self->listener, "/run/it.sock");
 *     AWAIT(async_pipe_connect, &self->stream, "/run/it.sock");
 *
 * Both ends are an async_stream; see stream.h for what can be done with it, and
 * listener.h for how connections are accepted.  A path names a Unix socket; on
 * Windows, a pipe: "\\\\.\\pipe\\name".  (Linux's abstract names, which begin
 * with a 0, libuv can use from 1.46 on alone, so they are not here; a socket
 * that the program has bound or connected to one can be adopted.)
 *
 * Needs libuv 1.41.
 */
#ifndef CAESURA_UV_PIPE_H
#define CAESURA_UV_PIPE_H

#include "listener.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* AWAIT(async_pipe_connect, stream, path): opens a zeroed stream.
 * path     used only until this first suspends
 * Errors   -ENOENT, -ECONNREFUSED when nobody listens any more, -EACCES,
 *          -EAGAIN when the listener's queue is full, -EMFILE ...;
 *          -ENAMETOOLONG; ASYNC_EINVAL for an empty path, or on a loop that is
 *          not libuv's; ASYNC_EBUSY when the stream is open.  After an error
 *          it is closed.
 * Cancel   closes it; raised when libuv has let go of it
 * Counterpart: asyncio.open_unix_connection(), uv_pipe_connect(). */
struct async_pipe_connect {
    ASYNC_FRAME;
    async_stream *stream;
    const char *path;
    int error;
    async__connecting connecting;
};
ASYNC(async_pipe_connect);

/* AWAIT(async_pipe_listen, listener, path, backlog): opens a zeroed listener.
 * A socket that is in the way is removed first, whoever has left it, and
 * closing the listener removes this one.  For who may connect, see
 * uv_pipe_chmod(&listener->stream.handle.pipe, ...).
 * backlog  how many connections the system keeps until they are accepted;
 *          0: 128
 * Errors   -EADDRINUSE when there is something else of that name; -EACCES, of a
 *          folder that is not there too; -ENAMETOOLONG, ASYNC_EINVAL,
 *          ASYNC_EBUSY as above.  After an error it is closed.
 * Counterpart: asyncio.start_unix_server(), uv_pipe_bind(), uv_listen(). */
struct async_pipe_listen {
    ASYNC_FRAME;
    async_listener *listener;
    const char *path;
    int backlog;
    int error;
};
ASYNC(async_pipe_listen);

/* AWAIT(async_pipe_pair, one, other): opens two zeroed streams that are each
 * other's end.  (For ends on two loops, uv_socketpair(), and async_pipe_open()
 * on each; on Windows, async_tcp_open().)
 * Errors   -EMFILE ...; ASYNC_EBUSY when one is open, or both are the same.
 *          After an error none is.
 * Counterpart: socket.socketpair(), uv_socketpair(). */
struct async_pipe_pair {
    ASYNC_FRAME;
    async_stream *one, *other;
    int error;
};
ASYNC(async_pipe_pair);

/* AWAIT(async_pipe_open, stream, fd): opens a zeroed stream on a pipe, one end
 * of it or both, or on a Unix socket that is connected.
 * fd       the stream's from then on, which makes it nonblocking and closes it
 *          (but 0, 1 and 2 stay open)
 * Errors   ASYNC_EINVAL when it is neither, or not open; -EEXIST when the loop
 *          waits for it already; ASYNC_EBUSY when the stream is open.  After
 *          an error the stream is closed, and the descriptor the caller's.
 *          From an end that only writes, reading is -ENOTCONN; the other way
 *          round, writing is -EPIPE.
 * Counterpart: loop.connect_read_pipe(), connect_write_pipe(),
 *          uv_pipe_open(). */
struct async_pipe_open {
    ASYNC_FRAME;
    async_stream *stream;
    int fd;
    int error;
};
ASYNC(async_pipe_open);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_PIPE_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_PIPE_IMPLEMENTED)
#define CAESURA_UV_PIPE_IMPLEMENTED

#ifndef _WIN32
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* libuv 1.44 cuts a path off that is too long. */
static int async__pipe_check_path(const char *path)
{
    if (path[0] == '\0') return ASYNC_EINVAL;
#ifndef _WIN32
    if (strlen(path) >= sizeof ((struct sockaddr_un *)0)->sun_path)
        return UV_ENAMETOOLONG;
#endif
    return 0;
}

/* --- connect ------------------------------------------------------------- */

ASYNC(async_pipe_connect)
{
    ASYNC_BEGIN(async_pipe_connect);
    self->error = async__pipe_check_path(self->path);
    if (!self->error)
        self->error = async__stream_open(self->stream, co, UV_NAMED_PIPE);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        async__connecting_begin(&self->connecting, self->stream);
        uv_pipe_connect(&self->connecting.request, &self->stream->handle.pipe,
                        self->path, async__connecting_done);
        ASYNC__AWAIT_REQUEST(&self->connecting.connected);
    } ASYNC_EXCEPT_ALL(self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- listen -------------------------------------------------------------- */

/* What a server that was killed has left behind. */
static void async__pipe_remove_stale(const char *path)
{
#ifndef _WIN32
    struct stat there;
    if (stat(path, &there) == 0 && S_ISSOCK(there.st_mode)) unlink(path);
#else
    (void)path;
#endif
}

ASYNC(async_pipe_listen)
{
    ASYNC_BEGIN(async_pipe_listen);
    self->error = async__pipe_check_path(self->path);
    if (!self->error)
        self->error = async__stream_open(&self->listener->stream, co,
                                         UV_NAMED_PIPE);
    if (self->error) ASYNC_RAISE(self->error);
    async__pipe_remove_stale(self->path);
    self->error = uv_pipe_bind(&self->listener->stream.handle.pipe,
                               self->path);
    if (!self->error)
        self->error = async__listener_start(self->listener, self->backlog);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, &self->listener->stream);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

/* --- adopting ------------------------------------------------------------ */

ASYNC(async_pipe_open)
{
    ASYNC_BEGIN(async_pipe_open);
    self->error = async__stream_open(self->stream, co, UV_NAMED_PIPE);
    if (self->error) ASYNC_RAISE(self->error);
    /* libuv would take a file too, and abort when it is read from. */
    if (uv_guess_handle(self->fd) != UV_NAMED_PIPE)
        self->error = ASYNC_EINVAL;
    else if (async__uv_carries(async_loop_of(co), self->fd))
        self->error = UV_EEXIST;
    else
        self->error = uv_pipe_open(&self->stream->handle.pipe, self->fd);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

#ifdef _WIN32 /* where such a pair is TCP's */
enum { ASYNC__PAIR = UV_TCP };
static int async__pair_open(async_stream *stream, uv_os_sock_t end)
{
    int error = uv_tcp_open(&stream->handle.tcp, end);
    if (error) closesocket(end);
    return error;
}
#else
enum { ASYNC__PAIR = UV_NAMED_PIPE };
static int async__pair_open(async_stream *stream, uv_os_sock_t end)
{
    int error = uv_pipe_open(&stream->handle.pipe, end);
    if (error) close(end);
    return error;
}
#endif

/* Opens both, whatever comes of it, or none with a result of 0 in *opened. */
static int async__pipe_pair(struct async_pipe_pair *self, const async *co,
                            int *opened)
{
    uv_os_sock_t ends[2];
    int first, second, error;
    *opened = 0;
    error = async__stream_check_unopened(self->other, co);
    if (error) return error;
    if (self->one == self->other) return ASYNC_EBUSY;
    error = async__stream_open(self->one, co, (uv_handle_type)ASYNC__PAIR);
    if (error) return error;
    *opened = 1;
    error = async__stream_open(self->other, co, (uv_handle_type)ASYNC__PAIR);
    if (!error)
        error = uv_socketpair(SOCK_STREAM, 0, ends, UV_NONBLOCK_PIPE,
                              UV_NONBLOCK_PIPE);
    if (error) return error;
    first = async__pair_open(self->one, ends[0]);
    second = async__pair_open(self->other, ends[1]);
    return first ? first : second;
}

ASYNC(async_pipe_pair)
{
    int opened;
    ASYNC_BEGIN(async_pipe_pair);
    self->error = async__pipe_pair(self, co, &opened);
    if (self->error && !opened) ASYNC_RAISE(self->error);
    if (self->error) {
        ASYNC_TRY {
            ASYNC_AWAIT(async_stream_close, self->one);
        } ASYNC_FINALLY {
            ASYNC_AWAIT(async_stream_close, self->other);
        } ASYNC_END_TRY
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
