/* transport.h - transports on libuv's streams: sockets, pipes, terminals
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct client { async_protocol protocol; async_uv_transport transport; };
 *
 *     AWAIT(async_tcp_connect, &client->transport.stream, address);
 *     async_uv_transport_start(&client->transport, &client->protocol);
 *
 * What a transport and a protocol are, async/transport.h says; its functions
 * take the &transport.base of one of these.
 */
#ifndef CAESURA_UV_TRANSPORT_H
#define CAESURA_UV_TRANSPORT_H

#include "stream.h"

#include "../transport.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A struct of the caller's, zeroed, which must neither move nor go from the
 * opening of its stream until connection_lost. */
typedef struct async_uv_transport {
    async_transport base;
    async_stream stream;
    /* The rest is private. */
    async_node event; /* when the protocol is to be told of something */
    char *chunk;      /* what has come, and the protocol has not got yet */
    size_t chunk_size;
    void (*lost)(struct async_uv_transport *transport, int loop_is);
    int error;
    unsigned char events, queued, made, reading, shut, closed;
    uv_shutdown_t shutdown;
} async_uv_transport;

/* Gives an open stream to a protocol: from then on it is the transport's, and
 * nothing of stream.h may be used with it.  connection_made comes in the next
 * iteration, and then it reads.
 * Returns  0, or ASYNC_ECLOSED when the stream is not open
 * Counterparts: loop.create_connection(), loop.connect_accepted_socket(),
 *               loop.connect_read_pipe(), loop.connect_write_pipe(). */
int async_uv_transport_start(async_uv_transport *transport,
                             async_protocol *protocol);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */

/* Ends the connection with an error, from anywhere. */
void async__uv_transport_fail(async_uv_transport *transport, int error);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_UV_TRANSPORT_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * libuv's callbacks note what has happened, and the protocol is told from the
 * ready queue, by one node for all events of a transport; a protocol of
 * Caesura's own, which runs no code of the program's, is told at once.
 *
 * Data for a protocol without buffers of its own is read into one that the
 * loop has for all, and copied; no more is read until the protocol has got it.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_TRANSPORT_IMPLEMENTED)
#define CAESURA_UV_TRANSPORT_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ASYNC__EVENT_MADE = 1,
    ASYNC__EVENT_RESUME = 2,
    ASYNC__EVENT_DATA = 4,
    ASYNC__EVENT_EOF = 8,
    ASYNC__EVENT_LOST = 16
};
/* What of the stream is at its end: a uv_shutdown() is under way; the peer has
 * sent its last. */
enum { ASYNC__WRITE_ENDING = 1, ASYNC__READ_ENDED = 2 };

static async_uv_transport *async__uv_transport_of(async_transport *base)
{
    return (async_uv_transport *)(void *)base;
}
static async_uv_transport *async__uv_transport_of_stream(async_stream *stream)
{
    return (async_uv_transport *)(void *)((char *)stream -
                                          offsetof(async_uv_transport, stream));
}
static async_uv_transport *async__uv_transport_of_handle(void *handle)
{
    return async__uv_transport_of_stream(
        (async_stream *)((uv_handle_t *)handle)->data);
}

static void async__uv_transport_drop_chunk(async_uv_transport *transport)
{
    if (transport->chunk != NULL)
        async__release(transport->base.loop, transport->chunk,
                       transport->chunk_size);
    transport->chunk = NULL;
}

/* --- telling the protocol ------------------------------------------------ */

/* What a callback of the protocol's came to. */
static void async__uv_transport_called(async_uv_transport *transport,
                                       int error, const char *message)
{
    if (error >= 0) return;
    async__report(transport->base.loop, message, error, NULL, NULL);
    async__uv_transport_fail(transport, error);
}

static void async__uv_transport_read(async_transport *base, int on);

static void async__uv_transport_tell(async_uv_transport *transport,
                                     unsigned events)
{
    async_transport *base = &transport->base;
    async_protocol *protocol = base->protocol;
    const async_protocol_callbacks *callbacks = protocol->callbacks;
    if (events & ASYNC__EVENT_MADE) {
        transport->made = 1;
        if (callbacks->connection_made != NULL)
            async__uv_transport_called(
                transport, callbacks->connection_made(protocol, base),
                "Fatal error: protocol.connection_made() call failed.");
        if (!base->reading_paused) async__uv_transport_read(base, 1);
    }
    if (events & ASYNC__EVENT_RESUME) async_transport_buffered(base);
    if (events & ASYNC__EVENT_DATA && !base->closing) {
        int error = 0;
        protocol = base->protocol;
        callbacks = protocol->callbacks;
        if (callbacks->buffer_updated != NULL)
            error = callbacks->buffer_updated(protocol, transport->chunk_size);
        else if (callbacks->data_received != NULL)
            error = callbacks->data_received(protocol, transport->chunk,
                                             transport->chunk_size);
        async__uv_transport_called(
            transport, error,
            callbacks->buffer_updated != NULL
                ? "Fatal error: protocol.buffer_updated() call failed."
                : "Fatal error: protocol.data_received() call failed.");
    }
    if (events & ASYNC__EVENT_DATA) async__uv_transport_drop_chunk(transport);
    if (events & ASYNC__EVENT_EOF && !base->closing) {
        int keep = 0;
        protocol = base->protocol;
        if (protocol->callbacks->eof_received != NULL)
            keep = protocol->callbacks->eof_received(protocol);
        async__uv_transport_called(
            transport, keep,
            "Fatal error: protocol.eof_received() call failed.");
        if (keep == 0) async_transport_close(base);
    }
    if (events & ASYNC__EVENT_LOST) {
        if (transport->lost != NULL) {
            transport->lost(transport, ASYNC__LOOP_OPEN);
            return;
        }
        protocol = base->protocol;
        if (protocol->callbacks->connection_lost != NULL)
            protocol->callbacks->connection_lost(protocol, transport->error);
    }
}

static void async__uv_transport_queue_event(async_uv_transport *transport,
                                            unsigned event)
{
    transport->events |= (unsigned char)event;
    if (transport->queued) return;
    transport->queued = 1;
    async__ready_callback(transport->base.loop, &transport->event);
    async__kick(transport->base.loop);
}

/* The end is queued when closing begins, before the next poll, as in asyncio:
 * so it comes before what the other end finds then.  If libuv has not let go of
 * the stream in that poll, it is queued again when it does. */
static void async__uv_transport_run(async_node *node)
{
    async_uv_transport *transport =
        (async_uv_transport *)(void *)((char *)node -
                                       offsetof(async_uv_transport, event));
    unsigned events = transport->events;
    transport->events = 0;
    transport->queued = 0;
    if (!transport->closed) events &= ~(unsigned)ASYNC__EVENT_LOST;
    async__uv_transport_tell(transport, events);
}

static void async__uv_transport_happened(async_uv_transport *transport,
                                         unsigned event)
{
    /* The end comes an iteration later than data, as in asyncio, where programs
     * can see it: behind who has closed the other end here. */
    if (transport->base.protocol->at_once && !transport->queued &&
        event != ASYNC__EVENT_EOF) {
        async__uv_transport_tell(transport, event);
        return;
    }
    async__uv_transport_queue_event(transport, event);
}

static void async__uv_transport_begin_close(async_uv_transport *transport)
{
    async__stream_begin_close(&transport->stream);
    transport->base.loop->attend |= ASYNC__POLL; /* before the next iteration */
    async__uv_transport_queue_event(transport, ASYNC__EVENT_LOST);
}

/* --- reading ------------------------------------------------------------- */

static void async__uv_transport_on_alloc(uv_handle_t *handle, size_t suggested,
                                         uv_buf_t *buffer)
{
    async_uv_transport *transport = async__uv_transport_of_handle(handle);
    async_protocol *protocol = transport->base.protocol;
    (void)suggested;
    buffer->base = NULL;
    buffer->len = 0;
    if (transport->events & ASYNC__EVENT_DATA) return;
    if (protocol->callbacks->get_buffer != NULL) {
        size_t size = 0;
        buffer->base = (char *)protocol->callbacks->get_buffer(protocol, &size);
        buffer->len = buffer->base != NULL ? size : 0;
        /* A protocol of Caesura's own may say: not in this poll. */
        if (!protocol->at_once && buffer->len == 0) buffer->base = NULL;
        if (buffer->base == NULL) transport->base.reading_paused = 1;
    } else {
        buffer->base = async__uv_read_buffer(transport->base.loop);
        buffer->len = buffer->base != NULL ? ASYNC__UV_READ_BUFFER : 0;
    }
}

static void async__uv_transport_on_read(uv_stream_t *handle, ssize_t got,
                                        const uv_buf_t *buffer)
{
    async_uv_transport *transport = async__uv_transport_of_handle(handle);
    async_protocol *protocol = transport->base.protocol;
    async_loop *loop = transport->base.loop;
    if (got == 0) return;
    if (got == UV_ENOBUFS) {
        /* There is data, and nobody to take it: not now, or not until it is
         * resumed, or there is no memory. */
        if (transport->events & ASYNC__EVENT_DATA) return;
        if (buffer->base != NULL) return;
        if (transport->base.reading_paused)
            async__uv_transport_read(&transport->base, 0);
        else
            async__uv_transport_fail(transport, ASYNC_ENOMEM);
        return;
    }
    if (got == UV_EOF) {
        async__uv_transport_read(&transport->base, 0);
        transport->shut |= ASYNC__READ_ENDED;
        async__uv_transport_happened(transport, ASYNC__EVENT_EOF);
        return;
    }
    if (got < 0) {
        async__uv_transport_fail(transport, (int)got);
        return;
    }
    transport->chunk_size = (size_t)got;
    if (protocol->callbacks->get_buffer == NULL) {
        transport->chunk = (char *)async__allocate(loop, (size_t)got);
        if (transport->chunk == NULL) {
            async__uv_transport_fail(transport, ASYNC_ENOMEM);
            return;
        }
        memcpy(transport->chunk, buffer->base, (size_t)got);
    }
    async__uv_transport_happened(transport, ASYNC__EVENT_DATA);
    async__uv_arrived(loop);
}

/* It has been made, and not come to the end. */
static void async__uv_transport_read(async_transport *base, int on)
{
    async_uv_transport *transport = async__uv_transport_of(base);
    int error;
    if (on == transport->reading) return;
    if (!on) {
        transport->reading = 0;
        async__stream_read_stop(&transport->stream);
        return;
    }
    if (!transport->made || base->closing) return;
    if (transport->shut & ASYNC__READ_ENDED) return;
    error = async__stream_read_start(&transport->stream,
                                     async__uv_transport_on_alloc,
                                     async__uv_transport_on_read);
    if (error == 0)
        transport->reading = 1;
    else if (error != UV_ENOTCONN) /* a pipe for writing alone */
        async__uv_transport_fail(transport, error);
}

/* --- writing ------------------------------------------------------------- */

/* What the system did not take, in memory of its own: the loop's if it has been
 * let go of before that closes, as by a ring, else the allocator's. */
typedef struct async__uv_unwritten {
    uv_write_t request;
    size_t size;
} async__uv_unwritten;

enum { ASYNC__UNWRITTEN_BLOCK = 512 }; /* of a ring's, at least */

static async__uv_unwritten *
async__uv_unwritten_make(async_uv_transport *transport, size_t size)
{
    async_loop *loop = transport->base.loop;
    const async_allocator *allocator = loop->allocator;
    async__uv_unwritten *unwritten;
    if (transport->stream.socket != NULL) {
        if (size < ASYNC__UNWRITTEN_BLOCK - sizeof *unwritten)
            size = ASYNC__UNWRITTEN_BLOCK - sizeof *unwritten;
        unwritten = (async__uv_unwritten *)async__allocate(
            loop, sizeof *unwritten + size);
        allocator = NULL;
    } else {
        unwritten = (async__uv_unwritten *)allocator->allocate(
            allocator->context, sizeof *unwritten + size);
    }
    if (unwritten == NULL) return NULL;
    unwritten->size = size;
    unwritten->request.data = (void *)(uintptr_t)allocator;
    return unwritten;
}

static void async__uv_unwritten_release(async_loop *loop,
                                        async__uv_unwritten *unwritten)
{
    const async_allocator *allocator =
        (const async_allocator *)unwritten->request.data;
    size_t size = sizeof *unwritten + unwritten->size;
    if (allocator == NULL)
        async__release(loop, unwritten, size);
    else
        allocator->release(allocator->context, unwritten, size);
}

static size_t async__uv_transport_buffered(const async_transport *base)
{
    const async_uv_transport *transport =
        (const async_uv_transport *)(const void *)base;
    return async_stream_is_open(&transport->stream)
               ? uv_stream_get_write_queue_size(
                     &transport->stream.handle.stream)
               : 0;
}

/* Closing has waited for the last to be out. */
static void async__uv_transport_on_out(async_uv_transport *transport)
{
    if (!async_stream_is_open(&transport->stream)) return;
    if (transport->base.closing && !(transport->shut & ASYNC__WRITE_ENDING) &&
        async__uv_transport_buffered(&transport->base) == 0)
        async__uv_transport_begin_close(transport);
    else if (transport->base.writing_paused &&
             async__uv_transport_buffered(&transport->base) <=
                 transport->base.low)
        async__uv_transport_happened(transport, ASYNC__EVENT_RESUME);
}

static void async__uv_transport_on_written(uv_write_t *request, int status)
{
    async__uv_unwritten *unwritten = (async__uv_unwritten *)(void *)request;
    async_uv_transport *transport =
        async__uv_transport_of_handle(request->handle);
    async__uv_unwritten_release(transport->base.loop, unwritten);
    if (status < 0 && status != UV_ECANCELED)
        async__uv_transport_fail(transport, status);
    else
        async__uv_transport_on_out(transport);
}

/* What is behind the first `written` bytes. */
static void async__uv_copy_lines(char *to, const async_bytes *lines,
                                 size_t count, size_t written)
{
    size_t i;
    for (i = 0; i < count; i++) {
        size_t skip = written < lines[i].size ? written : lines[i].size;
        memcpy(to, lines[i].data + skip, lines[i].size - skip);
        to += lines[i].size - skip;
        written -= skip;
    }
}

/* Copies what is behind the first `written` bytes, and leaves it to libuv, or
 * to the ring, beside what that has not taken yet. */
static int async__uv_transport_queue(async_uv_transport *transport,
                                     const async_bytes *lines, size_t count,
                                     size_t written)
{
    async_stream *stream = &transport->stream;
    async__uv_unwritten *unwritten;
    uv_buf_t rest;
    size_t size = 0, i;
    int error;
    for (i = 0; i < count; i++) size += lines[i].size;
    size -= written;
    if (stream->socket != NULL) {
        char *more = async__stream_carrier(stream)->more_to_write(
            stream->socket, size, async__uv_transport_on_written);
        if (more != NULL) {
            async__uv_copy_lines(more, lines, count, written);
            return 0;
        }
    }
    unwritten = async__uv_unwritten_make(transport, size);
    if (unwritten == NULL) return ASYNC_ENOMEM;
    rest.base = (char *)(unwritten + 1);
    rest.len = size;
    async__uv_copy_lines(rest.base, lines, count, written);
    error = async__stream_queue_write(stream, &unwritten->request, rest,
                                      unwritten->size,
                                      async__uv_transport_on_written);
    if (error) async__uv_unwritten_release(transport->base.loop, unwritten);
    return error;
}

static int async__uv_transport_write(async_transport *base,
                                     const async_bytes *lines, size_t count)
{
    async_uv_transport *transport = async__uv_transport_of(base);
    uv_buf_t some[16];
    size_t wanted = 0, i;
    int written = 0, error;
    if (!async_stream_is_open(&transport->stream)) return ASYNC_ECLOSED;
    for (i = 0; i < count; i++) {
        if (i < sizeof some / sizeof *some) {
            some[i].base = (char *)(uintptr_t)lines[i].data;
            some[i].len = lines[i].size;
        }
        wanted += lines[i].size;
    }
    if (wanted == 0) return 0;
    if (async__uv_transport_buffered(base) == 0) {
        written = async__stream_try_write(
            &transport->stream, some,
            (unsigned)(count < sizeof some / sizeof *some
                           ? count
                           : sizeof some / sizeof *some));
        if (written == UV_EAGAIN) written = 0;
        if (written < 0) {
            async__uv_transport_fail(transport, written);
            return written;
        }
        if ((size_t)written == wanted) return 0;
    }
    error = async__uv_transport_queue(transport, lines, count,
                                      (size_t)written);
    if (error == ASYNC_ENOMEM && written == 0) return error;
    if (error) {
        async__uv_transport_fail(transport, error);
        return error;
    }
    async_transport_buffered(base);
    return 0;
}

static void async__uv_transport_on_shutdown(uv_shutdown_t *request, int status)
{
    async_uv_transport *transport =
        async__uv_transport_of_handle(request->handle);
    transport->shut &= ASYNC__READ_ENDED;
    if (status < 0 && status != UV_ECANCELED && status != UV_ENOTCONN)
        async__uv_transport_fail(transport, status);
    else
        async__uv_transport_on_out(transport);
}

static int async__uv_transport_write_eof(async_transport *base)
{
    async_uv_transport *transport = async__uv_transport_of(base);
    int error = async__stream_begin_shutdown(&transport->stream,
                                             &transport->shutdown,
                                             async__uv_transport_on_shutdown);
    if (!error) transport->shut |= ASYNC__WRITE_ENDING;
    return error == UV_ENOTCONN ? 0 : error; /* it will be lost anyway */
}

/* --- closing ------------------------------------------------------------- */

static void async__uv_transport_close(async_transport *base, int now)
{
    async_uv_transport *transport = async__uv_transport_of(base);
    if (!async_stream_is_open(&transport->stream)) return;
    async__uv_transport_read(base, 0);
    if (now || (!(transport->shut & ASYNC__WRITE_ENDING) &&
                async__uv_transport_buffered(base) == 0))
        async__uv_transport_begin_close(transport);
}

/* libuv has let go of the stream.  A loop that is gone, or about to, tells
 * nobody. */
static void async__uv_transport_closed(async__resource *resource, int loop_is)
{
    async_uv_transport *transport =
        async__uv_transport_of_stream((async_stream *)(void *)resource);
    transport->closed = 1;
    if (loop_is != ASYNC__LOOP_GONE) async__uv_transport_drop_chunk(transport);
    transport->chunk = NULL;
    if (loop_is == ASYNC__LOOP_OPEN) {
        async__uv_transport_queue_event(transport, ASYNC__EVENT_LOST);
        return;
    }
    if (loop_is == ASYNC__LOOP_CLOSING && transport->queued)
        async__unready(transport->base.loop, &transport->event);
    transport->queued = 0;
    if (transport->lost != NULL) transport->lost(transport, loop_is);
}

void async__uv_transport_fail(async_uv_transport *transport, int error)
{
    if (!async_stream_is_open(&transport->stream)) return;
    transport->error = error;
    async_transport_abort(&transport->base);
}

int async_uv_transport_start(async_uv_transport *transport,
                             async_protocol *protocol)
{
    static const async_transport_functions functions = {
        async__uv_transport_write, async__uv_transport_write_eof,
        async__uv_transport_close, async__uv_transport_read,
        async__uv_transport_buffered
    };
    if (!async_stream_is_open(&transport->stream)) return ASYNC_ECLOSED;
    async_transport_init(&transport->base, &functions,
                         transport->stream.resource.loop, protocol);
    transport->event.run = async__uv_transport_run;
    transport->chunk = NULL;
    transport->lost = NULL;
    transport->error = 0;
    transport->events = 0;
    transport->queued = 0;
    transport->made = 0;
    transport->reading = 0;
    transport->shut = 0;
    transport->closed = 0;
    transport->stream.resource.closed = async__uv_transport_closed;
    async__uv_transport_happened(transport, ASYNC__EVENT_MADE);
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
