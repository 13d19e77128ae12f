/* stream.h - reading and writing on libuv's streams
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT_INTO(self->n, async_stream_read, &self->peer, self->buf,
 *                sizeof self->buf);
 *     AWAIT(async_stream_write, &self->peer, self->buf, self->n);
 *     AWAIT(async_stream_close, &self->peer);
 *
 * A stream is a struct of the caller's, zeroed, which tcp.h, pipe.h or tty.h
 * opens; a process has up to three (process.h).  It must neither move nor go
 * until it has been closed: libuv has pointers to it, and async_stream_close()
 * is what waits until it has none.  Close it in a FINALLY.
 *
 * From tasks on a loop of async/uv/loop.h, the one on which it was opened
 * (ASYNC_EOTHERLOOP, ASYNC_ENOTASK).  One task may read while others write.
 * Nothing here copies data: buffers are the caller's, and in use until the
 * await ends.  Closing the loop closes what is still open.
 */
#ifndef CAESURA_UV_STREAM_H
#define CAESURA_UV_STREAM_H

#include "handle.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

typedef struct async_stream {
    async__resource resource; /* private; must be first */
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
        uv_tty_t tty;
    } handle; /* libuv's, for what it can set; leave its `data` alone */
    /* The rest is private. */
    struct async__socket *socket; /* NULL: libuv carries its bytes */
    async_operation *waiter; /* of the task that reads, or accepts */
    char *unread; /* what a cancelled read had taken in */
    size_t unread_size, unread_at;
    int error;
    unsigned char reading, starved, eof, joined;
} async_stream;

/* Private: a connection being made, for who waits for it. */
typedef struct async__connecting {
    async_operation connected; /* must be first */
    async_stream *stream;
    uv_connect_t request;
} async__connecting;

/* AWAIT_INTO(n, async_stream_read, stream, buffer, size): waits for data and
 * puts up to `size` bytes (at least 1 must be asked for) into the buffer.
 * Result   the number of bytes; 0 at the end of the stream, again and again
 * Errors   what the peer or the system did (-ECONNRESET ...), again and again;
 *          ASYNC_EBUSY when another task reads (one that was cancelled does
 *          until it has run); ASYNC_ECLOSED; ASYNC_EINVAL for no size
 * Cancel   at once; no data is lost: the next read gets it
 * Counterpart: StreamReader.read(n), uv_read_start(). */
struct async_stream_read {
    ASYNC_RETURNS(size_t);
    async_stream *stream;
    void *buffer;
    size_t size;
    size_t got;
    async_operation arrival;
};
ASYNC(async_stream_read);

/* AWAIT(async_stream_write, stream, data, size): writes all of it.  It goes
 * out at once as far as the system takes it, without suspending; the rest is
 * waited for, so a slow reader holds the writer back.  Writes of several tasks
 * go out in the order in which they began, each whole.
 * Errors   -EPIPE, -ECONNRESET ...; ASYNC_ECLOSED
 * Cancel   if it has to wait, the stream is closed, for the peer would see
 *          half a message; raised when libuv has let go of the data.  One that
 *          is out when the cancellation comes leaves the stream open.
 * Counterpart: StreamWriter.write() and drain(), uv_try_write(), uv_write(). */
struct async_stream_write {
    ASYNC_FRAME;
    async_stream *stream;
    const void *data;
    size_t size;
    uv_write_t request;
    async_operation written;
};
ASYNC(async_stream_write);

/* AWAIT(async_stream_shutdown, stream): tells the peer that no more comes,
 * when all writes are out; reading goes on.
 * Errors   -ENOTCONN ...; ASYNC_ECLOSED
 * Cancel   closes the stream, as for a write
 * Counterpart: StreamWriter.write_eof(), uv_shutdown(). */
struct async_stream_shutdown {
    ASYNC_FRAME;
    async_stream *stream;
    uv_shutdown_t request;
    async_operation done;
};
ASYNC(async_stream_shutdown);

/* AWAIT(async_stream_close, stream): closes it, and goes on when libuv has let
 * go of its memory.  Who reads or writes gets ASYNC_ECLOSED; writes that are
 * not out yet are lost.  One that was never opened, or is closed: nothing.
 * Cancel   raised when it is closed all the same
 * Counterpart: StreamWriter.close() and wait_closed(), uv_close(). */
struct async_stream_close {
    ASYNC_FRAME;
    async_stream *stream;
    async__closer closer;
};
ASYNC(async_stream_close);

/* Whether reading and writing may work: it is open and not being closed. */
static inline int async_stream_is_open(const async_stream *stream);

/* The address of this end, or of the other one, as text: "127.0.0.1:8080",
 * "[::1]:8080", "[fe80::1%2]:8080", the path of a Unix socket, "" for one that
 * has none, and with an @ in front one of Linux's abstract names.
 * size     of the text, its 0 included; 64 are enough for an internet address
 * Returns  0, or ASYNC_ECLOSED, -ENOBUFS when it does not fit, -ENOTCONN, and
 *          -ENOTSOCK for a terminal or a pipe that is no socket
 * Counterpart: transport.get_extra_info("sockname"), ("peername"). */
int async_stream_sockname(const async_stream *stream, char *text, size_t size);
int async_stream_peername(const async_stream *stream, char *text, size_t size);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
static inline int async_stream_is_open(const async_stream *stream)
{
    return stream->resource.state == ASYNC__IS_OPEN;
}

static inline const async__carrier *
async__stream_carrier(const async_stream *stream)
{
    return ((async_uv_loop *)(void *)stream->resource.loop)->carrier;
}

/* Why a coroutine cannot open the stream, or 0. */
int async__stream_check_unopened(const async_stream *stream, const async *co);

/* Opens it with a new handle: UV_TCP, UV_NAMED_PIPE.  From then on it must be
 * closed, whatever comes of it.  Returns 0, or why that failed. */
int async__stream_open(async_stream *stream, const async *co,
                       uv_handle_type kind);

/* Marks a stream as open, whose handle has been initialised. */
void async__stream_opened(async_stream *stream, async_loop *loop);

/* Begins to close, from anywhere. */
void async__stream_begin_close(async_stream *stream);

/* Before libuv is asked to connect an open stream, with `request` and
 * async__connecting_done; then `connected` is awaited.  To cancel that closes
 * the stream. */
void async__connecting_begin(async__connecting *connecting,
                             async_stream *stream);
void async__connecting_done(uv_connect_t *request, int status);

/* What libuv's functions of these names do, by whatever carries this stream's
 * bytes. */
int async__stream_read_start(async_stream *stream, uv_alloc_cb allocate,
                             uv_read_cb read);
void async__stream_read_stop(async_stream *stream);
int async__stream_try_write(async_stream *stream, const uv_buf_t *buffers,
                            unsigned count);
int async__stream_queue_write(async_stream *stream, uv_write_t *request,
                              uv_buf_t buffer, size_t room,
                              uv_write_cb written);
int async__stream_begin_shutdown(async_stream *stream, uv_shutdown_t *request,
                                 uv_shutdown_cb done);

/* The one task that may wait for what comes in.  It counts as waiting until it
 * has resumed: nobody may come between it and what it was woken for. */
static inline void async__stream_wait(async_stream *stream,
                                      async_operation *operation)
{
    /* It can be given up at any time: libuv keeps nothing of it. */
    async_operation_init(operation, stream->resource.loop,
                         async_operation_cancelled);
    stream->waiter = operation;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_STREAM_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * Reading stays switched on from one read to the next, for switching costs a
 * system call each way.  Data that comes while nobody reads is left with the
 * system (libuv is given no buffer); when that happens in a second poll on
 * end, reading is switched off until somebody reads again.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_STREAM_IMPLEMENTED)
#define CAESURA_UV_STREAM_IMPLEMENTED

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- who carries its bytes ----------------------------------------------- */

/* Only what is open is used. */
static int async__stream_join(async_stream *stream)
{
    const async__carrier *carrier = async__stream_carrier(stream);
    int error;
    if (stream->joined || carrier == NULL) return 0;
    error = carrier->join(stream);
    stream->joined = !error;
    return error;
}

int async__stream_read_start(async_stream *stream, uv_alloc_cb allocate,
                             uv_read_cb read)
{
    int error = async__stream_join(stream);
    if (error) return error;
    if (stream->socket == NULL)
        return uv_read_start(&stream->handle.stream, allocate, read);
    return async__stream_carrier(stream)->read_start(stream->socket, allocate,
                                                     read);
}

void async__stream_read_stop(async_stream *stream)
{
    if (stream->socket == NULL)
        uv_read_stop(&stream->handle.stream);
    else
        async__stream_carrier(stream)->read_stop(stream->socket);
}

int async__stream_try_write(async_stream *stream, const uv_buf_t *buffers,
                            unsigned count)
{
    int error = async__stream_join(stream);
    if (error) return error;
    if (stream->socket == NULL)
        return uv_try_write(&stream->handle.stream, buffers, count);
    return async__stream_carrier(stream)->try_write(stream->socket, buffers,
                                                    count);
}

int async__stream_queue_write(async_stream *stream, uv_write_t *request,
                              uv_buf_t buffer, size_t room,
                              uv_write_cb written)
{
    if (stream->socket == NULL)
        return uv_write(request, &stream->handle.stream, &buffer, 1, written);
    return async__stream_carrier(stream)->write(stream->socket, request,
                                                buffer, room, written);
}

int async__stream_begin_shutdown(async_stream *stream, uv_shutdown_t *request,
                                 uv_shutdown_cb done)
{
    int error = async__stream_join(stream);
    if (error) return error;
    if (stream->socket == NULL)
        return uv_shutdown(request, &stream->handle.stream, done);
    return async__stream_carrier(stream)->shutdown(stream->socket, request,
                                                   done);
}

/* --- opening and closing ------------------------------------------------- */

static void async__stream_forget_unread(async_stream *stream)
{
    if (stream->unread != NULL)
        async__release(stream->resource.loop, stream->unread,
                       stream->unread_size);
    stream->unread = NULL;
}

static void async__stream_stop_reading(async_stream *stream)
{
    if (stream->reading) async__stream_read_stop(stream);
    stream->reading = 0;
}

void async__stream_begin_close(async_stream *stream)
{
    async_operation *waiter = stream->waiter;
    if (stream->resource.state != ASYNC__IS_OPEN) return;
    async__stream_stop_reading(stream);
    async__stream_forget_unread(stream);
    stream->waiter = NULL;
    async__arrived(waiter, ASYNC_ECLOSED);
    /* A terminal is others' too: it gets back the mode that it had. */
    if (stream->handle.any.type == UV_TTY)
        uv_tty_set_mode(&stream->handle.tty, UV_TTY_MODE_NORMAL);
    if (stream->socket != NULL) {
        stream->resource.state = ASYNC__IS_CLOSING;
        async__stream_carrier(stream)->end(stream->socket,
                                           async__resource_on_close);
        return;
    }
    async__resource_close(&stream->resource);
}

static void async__stream_close_resource(async_node *node)
{
    async__stream_begin_close((async_stream *)(void *)node);
}

void async__stream_opened(async_stream *stream, async_loop *loop)
{
    stream->socket = NULL;
    stream->joined = 0;
    stream->waiter = NULL;
    stream->unread = NULL;
    stream->error = 0;
    stream->reading = 0;
    stream->starved = 0;
    stream->eof = 0;
    async__resource_opened(&stream->resource, loop, &stream->handle.any,
                           async__stream_close_resource);
}

int async__stream_check_unopened(const async_stream *stream, const async *co)
{
    int error = async__uv_check(co);
    if (!error && stream->resource.state != ASYNC__IS_SHUT) error = ASYNC_EBUSY;
    return error;
}

int async__stream_open(async_stream *stream, const async *co,
                       uv_handle_type kind)
{
    int error = async__stream_check_unopened(stream, co);
    uv_loop_t *uv;
    if (error) return error;
    uv = async_uv_loop_of(async_loop_of(co));
    error = kind == UV_NAMED_PIPE ? uv_pipe_init(uv, &stream->handle.pipe, 0)
                                  : uv_tcp_init(uv, &stream->handle.tcp);
    if (!error) async__stream_opened(stream, async_loop_of(co));
    return error;
}

static int async__connecting_cancel(async_operation *operation)
{
    async__stream_begin_close(
        ((async__connecting *)(void *)operation)->stream);
    return 0;
}

void async__connecting_begin(async__connecting *connecting,
                             async_stream *stream)
{
    async_operation_init(&connecting->connected, stream->resource.loop,
                         async__connecting_cancel);
    connecting->stream = stream;
    connecting->request.data = connecting;
}

void async__connecting_done(uv_connect_t *request, int status)
{
    async__request_done(
        &((async__connecting *)request->data)->connected, status);
}

ASYNC(async_stream_close)
{
    int error;
    ASYNC_BEGIN(async_stream_close);
    if (self->stream->resource.state == ASYNC__IS_SHUT) ASYNC_RETURN();
    error = async__resource_check_task(&self->stream->resource, co);
    if (error) ASYNC_RAISE(error);
    async__stream_begin_close(self->stream);
    ASYNC__AWAIT_CLOSED(&self->stream->resource, &self->closer);
    ASYNC_END;
}

/* --- reading ------------------------------------------------------------- */

static struct async_stream_read *async__read_of(async_operation *arrival)
{
    return (struct async_stream_read *)(void *)((char *)arrival -
        offsetof(struct async_stream_read, arrival));
}

static void async__read_done(async_stream *stream, size_t got, int error)
{
    async_operation *waiter = async__waiting(stream->waiter);
    if (waiter == NULL) return;
    async__read_of(waiter)->got = got;
    async__finish(&waiter->future, ASYNC__FINISHED, error);
}

static void async__stream_on_alloc(uv_handle_t *handle, size_t suggested,
                                   uv_buf_t *buffer)
{
    async_stream *stream = (async_stream *)handle->data;
    async_operation *waiter = async__waiting(stream->waiter);
    (void)suggested;
    if (waiter != NULL) {
        buffer->base = (char *)async__read_of(waiter)->buffer;
        buffer->len = async__read_of(waiter)->size;
    } else {
        buffer->base = NULL;
        buffer->len = 0;
    }
}

static void async__stream_on_read(uv_stream_t *handle, ssize_t got,
                                  const uv_buf_t *buffer)
{
    async_stream *stream = (async_stream *)handle->data;
    if (got > 0) {
        async__read_done(stream, (size_t)got, 0);
        async__uv_arrived(stream->resource.loop);
    } else if (got == UV_ENOBUFS && buffer->base == NULL) {
        if (stream->starved) async__stream_stop_reading(stream);
        stream->starved = 1;
    } else if (got < 0) {
        async__stream_stop_reading(stream);
        if (got == UV_EOF)
            stream->eof = 1;
        else
            stream->error = (int)got;
        async__read_done(stream, 0, stream->error);
    }
}

/* A read that was cancelled when its data had just come: the next one gets
 * it, and if it cannot be kept, the stream has an error. */
static void async__stream_keep(async_stream *stream, const void *data,
                               size_t size)
{
    char *kept = (char *)async__allocate(stream->resource.loop, size);
    if (kept == NULL) {
        stream->error = ASYNC_ENOMEM;
        return;
    }
    memcpy(kept, data, size);
    stream->unread = kept;
    stream->unread_size = size;
    stream->unread_at = 0;
}

/* What a cancelled read has left. */
static size_t async__stream_take(async_stream *stream, void *buffer,
                                 size_t size)
{
    size_t left = stream->unread_size - stream->unread_at;
    if (size > left) size = left;
    memcpy(buffer, stream->unread + stream->unread_at, size);
    stream->unread_at += size;
    if (size == left) async__stream_forget_unread(stream);
    return size;
}

/* Begins to read.  Returns 1 when there is something to wait for, else the
 * result is in self->got, or an error in *error. */
static int async__read_begin(struct async_stream_read *self, async *co,
                             int *error)
{
    async_stream *stream = self->stream;
    *error = async__resource_check(&stream->resource, co);
    if (*error) return 0;
    if (stream->waiter != NULL) *error = ASYNC_EBUSY;
    else if (self->size == 0) *error = ASYNC_EINVAL;
    else if (stream->unread != NULL)
        self->got = async__stream_take(stream, self->buffer, self->size);
    else if (stream->error) *error = stream->error;
    else if (!stream->eof) {
        stream->starved = 0;
        if (!stream->reading) {
            *error = async__stream_read_start(stream, async__stream_on_alloc,
                                              async__stream_on_read);
            if (*error) return 0;
            stream->reading = 1;
        }
        async__stream_wait(stream, &self->arrival);
        return 1;
    }
    return 0;
}

/* The task has resumed; `cancelled` is what it was told meanwhile. */
static void async__read_over(struct async_stream_read *self, int cancelled)
{
    async_stream *stream = self->stream;
    if (stream->waiter != &self->arrival) return;
    stream->waiter = NULL;
    if (cancelled && self->got > 0)
        async__stream_keep(stream, self->buffer, self->got);
}

ASYNC(async_stream_read)
{
    int error;
    ASYNC_BEGIN(async_stream_read);
    if (async__read_begin(self, co, &error)) {
        ASYNC__WAIT_FOR(&self->arrival.future);
        async__read_over(self, co->error);
        (void)async__awaited(co);
        async__drop(co);
        ASYNC__CHECK;
    } else if (error) {
        ASYNC_RAISE(error);
    }
    ASYNC_RETURN(self->got);
    ASYNC_END;
}

/* --- writing ------------------------------------------------------------- */

static void async__write_on_done(uv_write_t *request, int status)
{
    async__request_done((async_operation *)request->data, status);
}

/* Half a message is out: nothing but the end can follow.  The callback comes
 * with it, and until then the frame is in use.  (Where writes go out together,
 * at the end of an iteration, this one may not have been tried yet.) */
static int async__write_cancel(async_operation *operation)
{
    struct async_stream_write *write =
        (struct async_stream_write *)(void *)((char *)operation -
            offsetof(struct async_stream_write, written));
    struct async__socket *socket = write->stream->socket;
    if (socket != NULL) {
        async__stream_carrier(write->stream)->settle(socket);
        if (async_future_done(&operation->future)) return 0;
    }
    async__stream_begin_close(write->stream);
    return 0;
}

/* Writes what goes out at once.  Returns 1 when the rest is queued. */
static int async__write_begin(struct async_stream_write *self, async *co,
                              int *error)
{
    async_stream *stream = self->stream;
    uv_buf_t buffer;
    int written;
    *error = async__resource_check(&stream->resource, co);
    if (*error || self->size == 0) return 0;
    buffer.base = (char *)(uintptr_t)self->data;
    buffer.len = self->size;
    written = async__stream_try_write(stream, &buffer, 1);
    if (written < 0 && written != UV_EAGAIN) {
        *error = written;
        return 0;
    }
    if (written > 0) {
        if ((size_t)written == self->size) return 0;
        buffer.base += written;
        buffer.len -= (size_t)written;
    }
    async_operation_init(&self->written, stream->resource.loop,
                         async__write_cancel);
    self->request.data = &self->written;
    *error = async__stream_queue_write(stream, &self->request, buffer,
                                       buffer.len, async__write_on_done);
    return *error == 0;
}

ASYNC(async_stream_write)
{
    int error;
    ASYNC_BEGIN(async_stream_write);
    if (async__write_begin(self, co, &error))
        ASYNC__AWAIT_REQUEST(&self->written);
    else if (error)
        ASYNC_RAISE(error);
    ASYNC_END;
}

/* --- shutdown ------------------------------------------------------------ */

static void async__shutdown_on_done(uv_shutdown_t *request, int status)
{
    async__request_done((async_operation *)request->data, status);
}

static int async__shutdown_cancel(async_operation *operation)
{
    struct async_stream_shutdown *shutdown =
        (struct async_stream_shutdown *)(void *)((char *)operation -
            offsetof(struct async_stream_shutdown, done));
    async__stream_begin_close(shutdown->stream);
    return 0;
}

ASYNC(async_stream_shutdown)
{
    int error;
    ASYNC_BEGIN(async_stream_shutdown);
    error = async__resource_check(&self->stream->resource, co);
    if (error) ASYNC_RAISE(error);
    async_operation_init(&self->done, self->stream->resource.loop,
                         async__shutdown_cancel);
    self->request.data = &self->done;
    error = async__stream_begin_shutdown(self->stream, &self->request,
                                         async__shutdown_on_done);
    if (error) ASYNC_RAISE(error);
    ASYNC__AWAIT_REQUEST(&self->done);
    ASYNC_END;
}

/* --- names --------------------------------------------------------------- */

static int async__name_of_address(const struct sockaddr_storage *address,
                                  char *text, size_t size)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)address;
    char numbers[INET6_ADDRSTRLEN] = "";
    int length;
    if (address->ss_family == AF_INET) {
        uv_ip4_name(four, numbers, sizeof numbers);
        length = snprintf(text, size, "%s:%d", numbers, ntohs(four->sin_port));
    } else {
        uv_ip6_name(six, numbers, sizeof numbers);
        length = six->sin6_scope_id != 0
                     ? snprintf(text, size, "[%s%%%lu]:%d", numbers,
                                (unsigned long)six->sin6_scope_id,
                                ntohs(six->sin6_port))
                     : snprintf(text, size, "[%s]:%d", numbers,
                                ntohs(six->sin6_port));
    }
    return length >= 0 && (size_t)length < size ? 0 : (int)UV_ENOBUFS;
}

/* libuv gives paths by their length, and abstract names begin with a 0. */
static int async__name_of_pipe(const uv_pipe_t *pipe, int peer, char *text,
                               size_t size)
{
    int error;
    if (size == 0) return UV_ENOBUFS;
    text[0] = '\0';
    error = peer ? uv_pipe_getpeername(pipe, text, &size)
                 : uv_pipe_getsockname(pipe, text, &size);
    if (error) return error;
    if (size > 0 && text[0] == '\0') text[0] = '@';
    text[size] = '\0';
    return 0;
}

static int async__stream_name(const async_stream *stream, int peer, char *text,
                              size_t size)
{
    struct sockaddr_storage address;
    int error, length = sizeof address;
    if (stream->resource.state != ASYNC__IS_OPEN) return ASYNC_ECLOSED;
    if (stream->handle.any.type == UV_NAMED_PIPE)
        return async__name_of_pipe(&stream->handle.pipe, peer, text, size);
    if (stream->handle.any.type != UV_TCP) return UV_ENOTSOCK;
    error = peer ? uv_tcp_getpeername(&stream->handle.tcp,
                                      (struct sockaddr *)&address, &length)
                 : uv_tcp_getsockname(&stream->handle.tcp,
                                      (struct sockaddr *)&address, &length);
    return error ? error : async__name_of_address(&address, text, size);
}

int async_stream_sockname(const async_stream *stream, char *text, size_t size)
{
    return async__stream_name(stream, 0, text, size);
}

int async_stream_peername(const async_stream *stream, char *text, size_t size)
{
    return async__stream_name(stream, 1, text, size);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
