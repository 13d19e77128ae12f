/* tty.h - terminals
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_tty_open, &self->keys, 0);
 *     async_tty_set_mode(&self->keys, UV_TTY_MODE_RAW);
 *     AWAIT_INTO(self->n, async_stream_read, &self->keys, &self->key, 1);
 *
 * A terminal is an async_stream; see stream.h for what can be done with it.  As
 * it is opened, a read gives a line, which its user can edit until then, or
 * less when the buffer is shorter.  Reading and writing are on streams of their
 * own: 0 on one, 1 on the other.
 */
#ifndef CAESURA_UV_TTY_H
#define CAESURA_UV_TTY_H

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* AWAIT(async_tty_open, stream, fd): opens a zeroed stream on a terminal.
 * fd       the stream's from then on, which closes it (but 0, 1 and 2 stay
 *          open).  Other programs that have the terminal do not notice.
 * Errors   ASYNC_EINVAL when it is no terminal (a file, or a pipe, for which
 *          there is async_pipe_open(); uv_guess_handle() tells), or not open,
 *          or on a loop that is not libuv's; ASYNC_EBUSY when the stream is
 *          open.  After an error it is not, and the descriptor the caller's.
 * Counterpart: loop.connect_read_pipe(), uv_tty_init(). */
struct async_tty_open {
    ASYNC_FRAME;
    async_stream *stream;
    int fd;
    int error;
};
ASYNC(async_tty_open);

/* Sets what the terminal does with its keys:
 * UV_TTY_MODE_RAW     each is read at once, Ctrl-C too, and none is shown
 * UV_TTY_MODE_NORMAL  as it was when it was opened
 * Closing the stream, or its loop, puts it back, and so does exit() for the
 * first terminal that the program has set.  Where a signal ends the program
 * nothing does: call async_tty_reset() in its handler.
 * Returns  0; ASYNC_ECLOSED; ASYNC_EINVAL for what is no terminal; the
 *          system's error
 * Counterpart: tty.setraw(), uv_tty_set_mode(). */
int async_tty_set_mode(async_stream *stream, uv_tty_mode_t mode);

/* Puts the first terminal that was set back as it was.  From anywhere, signal
 * handlers too.
 * Returns  0; ASYNC_EBUSY in the middle of async_tty_set_mode(); the system's
 *          error
 * Counterpart: uv_tty_reset_mode(). */
int async_tty_reset(void);

/* Its size in characters.  (SIGWINCH tells when that has changed.)
 * Returns  0; ASYNC_ECLOSED; ASYNC_EINVAL for what is no terminal; the
 *          system's error
 * Counterpart: os.get_terminal_size(), uv_tty_get_winsize(). */
int async_tty_get_size(async_stream *stream, int *width, int *height);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_TTY_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_TTY_IMPLEMENTED)
#define CAESURA_UV_TTY_IMPLEMENTED

#include <stdlib.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* libuv opens the terminal anew where it can, and leaves the descriptor open
 * beside its own.  Both are the stream's. */
static void async__tty_own(async_stream *stream, int fd)
{
#ifndef _WIN32
    uv_os_fd_t used;
    if (fd > 2 && uv_fileno(&stream->handle.any, &used) == 0 && used != fd)
        close(fd);
#else
    (void)stream, (void)fd;
#endif
}

ASYNC(async_tty_open)
{
    ASYNC_BEGIN(async_tty_open);
    self->error = async__stream_check_unopened(self->stream, co);
    if (!self->error && uv_guess_handle(self->fd) != UV_TTY)
        self->error = ASYNC_EINVAL;
    if (!self->error)
        self->error = uv_tty_init(async_uv_loop_of(async_loop_of(co)),
                                  &self->stream->handle.tty, self->fd, 0);
    if (self->error) ASYNC_RAISE(self->error);
    async__stream_opened(self->stream, async_loop_of(co));
    async__tty_own(self->stream, self->fd);
    ASYNC_END;
}

static int async__tty_check(const async_stream *stream)
{
    if (!async_stream_is_open(stream)) return ASYNC_ECLOSED;
    return stream->handle.any.type == UV_TTY ? 0 : ASYNC_EINVAL;
}

static void async__tty_at_exit(void)
{
    (void)uv_tty_reset_mode();
}

static void async__tty_register(void)
{
    (void)atexit(async__tty_at_exit);
}

int async_tty_set_mode(async_stream *stream, uv_tty_mode_t mode)
{
    static uv_once_t once = UV_ONCE_INIT; /* loops may have threads each */
    int error = async__tty_check(stream);
    if (error) return error;
    uv_once(&once, async__tty_register);
    return uv_tty_set_mode(&stream->handle.tty, mode);
}

int async_tty_reset(void)
{
    return uv_tty_reset_mode();
}

int async_tty_get_size(async_stream *stream, int *width, int *height)
{
    int error = async__tty_check(stream);
    return error ? error
                 : uv_tty_get_winsize(&stream->handle.tty, width, height);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
