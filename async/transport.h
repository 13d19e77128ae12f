/* transport.h - transports and protocols: byte streams by callbacks
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A transport carries bytes; a protocol, which is the program's, is told of
 * what comes and what becomes of the connection.  It is the layer below
 * async/streams.h, for who would rather have callbacks, and for who writes a
 * transport of his own: TLS, a serial line.  async/uv/transport.h has the ones
 * on libuv.
 *
 *     struct client { async_protocol protocol;  ... };
 *     static int got(async_protocol *protocol, const void *data, size_t size)
 *     {
 *         struct client *client = (struct client *)protocol;
 *         ...
 *     }
 *     static const async_protocol_callbacks echo = { .data_received = got };
 *
 *   PROTOCOLS      what the program is told
 *   TRANSPORTS     what it can do; of your own
 *   LAYERS         what stands between the two, as TLS does
 *   PRIVATE
 *
 * All of it belongs to the loop's thread.
 */
#ifndef CAESURA_TRANSPORT_H
#define CAESURA_TRANSPORT_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async_transport async_transport;

/* Bytes that lie somewhere else. */
typedef struct async_bytes {
    const char *data;
    size_t size;
} async_bytes;

/* ------------------------------------------------------------------------
 * PROTOCOLS
 *
 * The callbacks come from the loop, each in its own turn, never from within a
 * call to the transport but for pause_writing, which comes from a write.  Any
 * may be NULL.  They must not wait, and may do anything with the transport.
 *
 * Where an int is returned, less than 0 is an error: it goes to the exception
 * handler and ends the connection, whose connection_lost gets it.
 * ------------------------------------------------------------------------ */
typedef struct async_protocol async_protocol;
typedef struct async_protocol_callbacks {
    /* First, and once. */
    int (*connection_made)(async_protocol *protocol,
                           async_transport *transport);

    /* `data` is the transport's, and gone when this returns. */
    int (*data_received)(async_protocol *protocol, const void *data,
                         size_t size);

    /* The peer sends no more.  Returns 1 to keep the connection open, for what
     * there is still to write; 0 to close it (so does NULL). */
    int (*eof_received)(async_protocol *protocol);

    /* Last, and once, later than close() or abort(): nothing is left of the
     * connection then, and the memory of both may go.  `error` is 0 when it
     * was closed by either side, else what it died of. */
    void (*connection_lost)(async_protocol *protocol, int error);

    /* What is not out yet is more than the high-water mark; it is down to the
     * low-water mark again. */
    void (*pause_writing)(async_protocol *protocol);
    void (*resume_writing)(async_protocol *protocol);

    /* With these two in the place of data_received nothing is copied: the
     * first says where what comes next may be put, and how much, the second
     * that so much is there.  get_buffer is called while libuv reads: it must
     * do nothing else.  Without room (*size 0) nothing is read until
     * async_transport_resume_reading(). */
    void *(*get_buffer)(async_protocol *protocol, size_t *size);
    int (*buffer_updated)(async_protocol *protocol, size_t size);
} async_protocol_callbacks;

/* The head of the program's struct.
 * Counterparts: asyncio.Protocol, asyncio.BufferedProtocol. */
struct async_protocol {
    const async_protocol_callbacks *callbacks;
    /* Private: runs none of the program's code, and so can be called from
     * within libuv. */
    unsigned char at_once;
};

/* ------------------------------------------------------------------------
 * TRANSPORTS
 * ------------------------------------------------------------------------ */

/* Writes without waiting: what the system does not take at once is copied.
 * The protocol is told to pause when that becomes much; who goes on all the
 * same is not hindered.
 *
 * Returns  0; ASYNC_ECLOSED when it is closing, or after write_eof();
 *          ASYNC_ENOMEM, and a connection of which half a message is out is
 *          aborted then; what the system said (-EPIPE ...), and then
 *          connection_lost will come
 * Counterparts: WriteTransport.write(), writelines(). */
static inline int async_transport_write(async_transport *transport,
                                        const void *data, size_t size);
int async_transport_writelines(async_transport *transport,
                               const async_bytes *lines, size_t count);

/* Tells the peer that no more comes, when all is out.  Reading goes on.
 * Returns  0; ASYNC_ECLOSED; ASYNC_ENOMEM; ASYNC_EINVAL where the transport
 *          cannot
 * Counterparts: write_eof(), can_write_eof(). */
int async_transport_write_eof(async_transport *transport);
static inline int
async_transport_can_write_eof(const async_transport *transport);

/* Closes it when all is out; nothing is read any more.  abort() does not wait
 * for that.  connection_lost comes later.  Closing again does nothing.
 * Counterparts: close(), abort(), is_closing(). */
void async_transport_close(async_transport *transport);
void async_transport_abort(async_transport *transport);
static inline int async_transport_is_closing(const async_transport *transport);

/* The protocol gets nothing until it is resumed: what comes is left with the
 * system, and so the peer is held back.
 * Counterparts: pause_reading(), resume_reading(), is_reading(). */
void async_transport_pause_reading(async_transport *transport);
void async_transport_resume_reading(async_transport *transport);
int async_transport_is_reading(const async_transport *transport);

/* How much is not out yet, in bytes, and the marks: when it is more than
 * `high` the protocol pauses, until it is no more than `low`.  At first they
 * are 65536 and 16384 (1024 and 256 where pointers have 16 bits).
 * Returns  0; ASYNC_EINVAL when low > high
 * Counterparts: get_write_buffer_size(), set_write_buffer_limits(),
 *               get_write_buffer_limits(). */
static inline size_t
async_transport_get_write_buffer_size(const async_transport *transport);
int async_transport_set_write_buffer_limits(async_transport *transport,
                                            size_t high, size_t low);
void async_transport_get_write_buffer_limits(const async_transport *transport,
                                             size_t *high, size_t *low);

/* Who is told from now on.  Counterparts: set_protocol(), get_protocol(). */
static inline void async_transport_set_protocol(async_transport *transport,
                                                async_protocol *protocol);
static inline async_protocol *
async_transport_get_protocol(const async_transport *transport);

/* ------------------------------------------------------------------------
 * TRANSPORTS OF YOUR OWN
 *
 * A transport embeds an async_transport, and has these functions; `close` may
 * be called when it is closing already, to hurry it: `now` says that nothing
 * is to be waited for.  It calls the protocol as described above, and
 * async_transport_buffered() whenever what it has not written grows or
 * shrinks.
 * ------------------------------------------------------------------------ */
typedef struct async_transport_functions {
    int (*write)(async_transport *transport, const async_bytes *lines,
                 size_t count);
    int (*write_eof)(async_transport *transport); /* NULL: it cannot */
    void (*close)(async_transport *transport, int now);
    void (*read)(async_transport *transport, int on);
    size_t (*buffered)(const async_transport *transport);
} async_transport_functions;

struct async_transport {
    const async_transport_functions *functions;
    async_protocol *protocol;
    async_loop *loop;
    /* The rest is private. */
    size_t high, low;
    unsigned char closing, at_eof, reading_paused, writing_paused;
};

void async_transport_init(async_transport *transport,
                          const async_transport_functions *functions,
                          async_loop *loop, async_protocol *protocol);
static inline void async_transport_buffered(async_transport *transport);

/* ------------------------------------------------------------------------
 * LAYERS
 *
 * What puts a transport of its own between another one and its protocol, as TLS
 * does: the `layer` of a context of async/net/tls.h.  Who opens transports for
 * a program, as async/net/redis.h does, goes through a layer that it is given,
 * and need not know what that is.
 * ------------------------------------------------------------------------ */
typedef struct async_transport_layer async_transport_layer;
struct async_transport_layer {
    /* Of a transport of this kind, an async_transport at its head: memory of
     * who starts it, who keeps it until connection_lost, or forget. */
    size_t size;

    /* Begins one over a transport that has begun.  `protocol` is told as of any
     * transport: connection_made when it is ready, and if that fails only
     * connection_lost.  From then on the lower transport is not to be used.
     * name     who the other end must be; or NULL
     * Returns  0, or an error, and then the lower transport is as it was */
    int (*start)(async_transport_layer *layer, async_transport *upper,
                 async_transport *lower, async_protocol *protocol,
                 const char *name);

    /* The lower transport has gone with its loop, and so nobody was told: gives
     * back what is left.  loop_gone: the loop cannot be used any more. */
    void (*forget)(async_transport *upper, int loop_gone);

    /* Why it has failed, in its own words; "" when it has not, or has none.
     * As long as the memory is there. */
    void (*explain)(const async_transport *upper, char *text, size_t size);
};

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
void async__transport_flow(async_transport *transport, size_t buffered);

static inline void async_transport_buffered(async_transport *transport)
{
    size_t buffered = transport->functions->buffered(transport);
    if (transport->writing_paused ? buffered <= transport->low
                                  : buffered > transport->high)
        async__transport_flow(transport, buffered);
}

static inline int async__transport_write(async_transport *transport,
                                         const async_bytes *lines,
                                         size_t count)
{
    if (transport->closing || transport->at_eof) return ASYNC_ECLOSED;
    return transport->functions->write(transport, lines, count);
}
static inline int async_transport_write(async_transport *transport,
                                        const void *data, size_t size)
{
    async_bytes bytes;
    bytes.data = (const char *)data;
    bytes.size = size;
    return async__transport_write(transport, &bytes, 1);
}

static inline int
async_transport_can_write_eof(const async_transport *transport)
{
    return transport->functions->write_eof != NULL;
}
static inline int async_transport_is_closing(const async_transport *transport)
{
    return transport->closing;
}
static inline size_t
async_transport_get_write_buffer_size(const async_transport *transport)
{
    return transport->functions->buffered(transport);
}
static inline void async_transport_set_protocol(async_transport *transport,
                                                async_protocol *protocol)
{
    transport->protocol = protocol;
}
static inline async_protocol *
async_transport_get_protocol(const async_transport *transport)
{
    return transport->protocol;
}

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_TRANSPORT_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_TRANSPORT_IMPLEMENTED)
#define CAESURA_TRANSPORT_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

#if SIZE_MAX > 65535
#define ASYNC__HIGH_WATER 65536
#else
#define ASYNC__HIGH_WATER 1024
#endif

void async_transport_init(async_transport *transport,
                          const async_transport_functions *functions,
                          async_loop *loop, async_protocol *protocol)
{
    transport->functions = functions;
    transport->protocol = protocol;
    transport->loop = loop;
    transport->high = ASYNC__HIGH_WATER;
    transport->low = ASYNC__HIGH_WATER / 4;
    transport->closing = 0;
    transport->at_eof = 0;
    transport->reading_paused = 0;
    transport->writing_paused = 0;
}

void async__transport_flow(async_transport *transport, size_t buffered)
{
    async_protocol *protocol = transport->protocol;
    void (*tell)(async_protocol *) = protocol->callbacks->pause_writing;
    transport->writing_paused = buffered > transport->high;
    if (!transport->writing_paused) tell = protocol->callbacks->resume_writing;
    if (tell != NULL) tell(protocol);
}

int async_transport_writelines(async_transport *transport,
                               const async_bytes *lines, size_t count)
{
    return async__transport_write(transport, lines, count);
}

int async_transport_write_eof(async_transport *transport)
{
    int error;
    if (transport->functions->write_eof == NULL) return ASYNC_EINVAL;
    if (transport->closing) return ASYNC_ECLOSED;
    if (transport->at_eof) return 0;
    error = transport->functions->write_eof(transport);
    if (!error) transport->at_eof = 1;
    return error;
}

void async_transport_close(async_transport *transport)
{
    if (transport->closing) return;
    transport->closing = 1;
    transport->functions->close(transport, 0);
}

void async_transport_abort(async_transport *transport)
{
    transport->closing = 1;
    transport->functions->close(transport, 1);
}

void async_transport_pause_reading(async_transport *transport)
{
    if (transport->closing || transport->reading_paused) return;
    transport->reading_paused = 1;
    transport->functions->read(transport, 0);
}

void async_transport_resume_reading(async_transport *transport)
{
    if (transport->closing || !transport->reading_paused) return;
    transport->reading_paused = 0;
    transport->functions->read(transport, 1);
}

int async_transport_is_reading(const async_transport *transport)
{
    return !transport->closing && !transport->reading_paused;
}

int async_transport_set_write_buffer_limits(async_transport *transport,
                                            size_t high, size_t low)
{
    if (low > high) return ASYNC_EINVAL;
    transport->high = high;
    transport->low = low;
    async_transport_buffered(transport);
    return 0;
}

void async_transport_get_write_buffer_limits(const async_transport *transport,
                                             size_t *high, size_t *low)
{
    *high = transport->high;
    *low = transport->low;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
