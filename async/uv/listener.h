/* listener.h - accepting connections, TCP's or those of Unix sockets
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_tcp_listen, &self->listener, address);
 *     AWAIT(async_listener_accept, &self->listener, &self->peer);
 *     AWAIT(async_listener_close, &self->listener);
 *
 * A listener is a struct of the caller's, zeroed, which tcp.h or pipe.h opens.
 * It must neither move nor go until it has been closed.
 */
#ifndef CAESURA_UV_LISTENER_H
#define CAESURA_UV_LISTENER_H

#include "stream.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

typedef struct async_listener {
    async_stream stream; /* for its handle; not to be read from */
    /* The rest is private. */
    int pending, error;
} async_listener;

/* AWAIT(async_listener_accept, listener, stream): waits for a connection and
 * opens the zeroed stream on it.
 * Errors   ASYNC_ECLOSED when the listener is closed; ASYNC_EBUSY when another
 *          task accepts, or the stream is open; -EMFILE ..., and then the
 *          listener goes on: try again later.  (Of libuv 1.44 one does not
 *          hear of a lack of descriptors: it drops the connection.)
 * Cancel   at once; a connection that had come is there for the next accept
 * Counterpart: the callback of asyncio.start_server(), uv_accept(). */
struct async_listener_accept {
    ASYNC_FRAME;
    async_listener *listener;
    async_stream *stream;
    int error;
    async_operation arrival;
};
ASYNC(async_listener_accept);

/* AWAIT(async_listener_close, listener): stops listening; who accepts gets
 * ASYNC_ECLOSED.  Connections that were accepted go on.
 * Cancel   raised when it is closed all the same
 * Counterpart: Server.close(). */
struct async_listener_close {
    ASYNC_FRAME;
    async_listener *listener;
};
ASYNC(async_listener_close);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */

/* Begins to listen with a stream that is bound.  Returns 0, or the error. */
int async__listener_start(async_listener *listener, int backlog);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_LISTENER_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_LISTENER_IMPLEMENTED)
#define CAESURA_UV_LISTENER_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

static void async__listener_on_connection(uv_stream_t *handle, int status)
{
    async_listener *listener = (async_listener *)handle->data;
    if (status < 0)
        listener->error = status;
    else
        listener->pending++; /* on Windows several come before an accept */
    async__arrived(listener->stream.waiter, 0);
}

int async__listener_start(async_listener *listener, int backlog)
{
    async_stream *stream = &listener->stream;
    int error = async__stream_join(stream);
    listener->pending = listener->error = 0;
    if (backlog <= 0) backlog = 128;
    if (error) return error;
    if (stream->socket == NULL)
        return uv_listen(&stream->handle.stream, backlog,
                         async__listener_on_connection);
    return async__stream_carrier(stream)->listen(
        stream->socket, backlog, async__listener_on_connection);
}

static void async__listener_wait(async_listener *listener,
                                 async_operation *arrival)
{
    async_stream *stream = &listener->stream;
    if (stream->socket != NULL)
        async__stream_carrier(stream)->accept_more(stream->socket);
    async__stream_wait(stream, arrival);
}

static int async__listener_take(async_listener *listener, async_stream *client)
{
    async_stream *stream = &listener->stream;
    listener->pending--;
    if (stream->socket == NULL)
        return uv_accept(&stream->handle.stream, &client->handle.stream);
    return async__stream_carrier(stream)->accept(stream->socket, client);
}

ASYNC(async_listener_accept)
{
    ASYNC_BEGIN(async_listener_accept);
    self->error = async__resource_check(&self->listener->stream.resource, co);
    if (self->error) ASYNC_RAISE(self->error);
    if (self->listener->stream.waiter != NULL ||
        self->stream->resource.state != ASYNC__IS_SHUT)
        ASYNC_RAISE(ASYNC_EBUSY);
    while (!self->listener->pending) {
        if (self->listener->error) {
            self->error = self->listener->error;
            self->listener->error = 0;
            ASYNC_RAISE(self->error);
        }
        async__listener_wait(self->listener, &self->arrival);
        ASYNC__WAIT_FOR(&self->arrival.future);
        if (self->listener->stream.waiter == &self->arrival)
            self->listener->stream.waiter = NULL;
        (void)async__awaited(co);
        async__drop(co);
        ASYNC__CHECK;
        if (!async_stream_is_open(&self->listener->stream))
            ASYNC_RAISE(ASYNC_ECLOSED);
    }
    self->error = async__stream_open(self->stream, co,
                                     self->listener->stream.handle.any.type);
    if (self->error) ASYNC_RAISE(self->error);
    self->error = async__listener_take(self->listener, self->stream);
    if (self->error) {
        ASYNC_AWAIT(async_stream_close, self->stream);
        ASYNC_RAISE(self->error);
    }
    if (self->stream->handle.any.type == UV_TCP)
        uv_tcp_nodelay(&self->stream->handle.tcp, 1);
    ASYNC_END;
}

ASYNC(async_listener_close)
{
    ASYNC_BEGIN(async_listener_close);
    ASYNC_AWAIT(async_stream_close, &self->listener->stream);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
