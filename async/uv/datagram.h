/* datagram.h - UDP with callbacks: asyncio's datagram protocols
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     static void on_datagram(async_datagram_transport *transport,
 *                             const void *data, size_t size,
 *                             const struct sockaddr *sender)
 *     {
 *         async_datagram_sendto(transport, data, size, sender);
 *     }
 *     static const async_datagram_protocol echo = {
 *         .datagram_received = on_datagram
 *     };
 *     ...
 *     AWAIT(async_create_datagram_endpoint, &transport, &echo, NULL, local);
 *
 * A thin layer over udp.h, for what answers datagrams as they come; where a
 * coroutine waits for them, udp.h is simpler and copies nothing.  A task of
 * the loop's receives them and calls the callbacks, which must not block.
 */
#ifndef CAESURA_UV_DATAGRAM_H
#define CAESURA_UV_DATAGRAM_H

#include "udp.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

typedef struct async_datagram_transport async_datagram_transport;

/* What is called, from the loop; any may be NULL.
 *
 * connection_made    before async_create_datagram_endpoint() goes on
 * datagram_received  `data` and `sender` are good during the call
 * error_received     an error of an earlier datagram (-ECONNREFUSED ...), or
 *                    of one that was being sent: it goes on
 * connection_lost    the last: the socket is closed, and the transport is the
 *                    program's again.  `error` is 0 after a close or an abort,
 *                    ASYNC_ECANCELED when the loop's run has ended, else what
 *                    ended it (ASYNC_ENOMEM, say)
 * Counterpart: asyncio.DatagramProtocol. */
typedef struct async_datagram_protocol {
    void (*connection_made)(async_datagram_transport *transport);
    void (*datagram_received)(async_datagram_transport *transport,
                              const void *data, size_t size,
                              const struct sockaddr *sender);
    void (*error_received)(async_datagram_transport *transport, int error);
    void (*connection_lost)(async_datagram_transport *transport, int error);
} async_datagram_protocol;

/* A struct of the caller's, zeroed, which must neither move nor go until
 * connection_lost has been called. */
struct async_datagram_transport {
    async_udp udp;  /* for its name and options; the transport receives */
    void *argument; /* the program's */
    /* The rest is private. */
    const async_datagram_protocol *protocol;
    char *buffer;
    size_t queued; /* datagrams that are not out yet */
    unsigned char closing;
};

/* AWAIT(async_create_datagram_endpoint, transport, protocol, argument, local,
 * remote, flags): opens a zeroed transport.
 * argument  the program's, in transport->argument
 * local     a const struct sockaddr *, or NULL
 * remote    the only one to talk to, or NULL; one of the two must be given
 * flags     as for async_udp_bind()
 * Errors    those of async_udp_bind() and async_udp_connect(); ASYNC_ENOMEM;
 *           ASYNC_EINVAL without an address.  After an error it is closed, and
 *           nothing has been called.
 * Memory    64 KiB while it is open, and a task
 * Counterpart: loop.create_datagram_endpoint(). */
struct async_create_datagram_endpoint {
    ASYNC_FRAME;
    async_datagram_transport *transport;
    const async_datagram_protocol *protocol;
    void *argument;
    const struct sockaddr *local, *remote;
    unsigned flags;
    int error;
};
ASYNC(async_create_datagram_endpoint);

/* Sends a datagram, without waiting: what the system does not take at once is
 * copied, and goes out in its turn.
 * address   NULL on a transport with a remote address
 * Returns   0; ASYNC_ECLOSED when it is closed or closing; ASYNC_ENOMEM.
 *           The system's errors go to error_received, inside this call if they
 *           are known at once.
 * Counterpart: DatagramTransport.sendto(). */
int async_datagram_sendto(async_datagram_transport *transport,
                          const void *data, size_t size,
                          const struct sockaddr *address);

/* Closes it: nothing is received any more, what is queued goes out, and then
 * connection_lost is called, never inside this.  Abort does not wait for what
 * is queued.  For one that is closed: nothing.
 * Counterparts: DatagramTransport.close(), abort(), is_closing(). */
void async_datagram_close(async_datagram_transport *transport);
void async_datagram_abort(async_datagram_transport *transport);
static inline int
async_datagram_is_closing(const async_datagram_transport *transport)
{
    return transport->closing || !async_udp_is_open(&transport->udp);
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_DATAGRAM_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_DATAGRAM_IMPLEMENTED)
#define CAESURA_UV_DATAGRAM_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

enum { ASYNC__DATAGRAM_SIZE = 65536 };

/* --- sending ------------------------------------------------------------- */

/* One that waits to go out, with a copy of its bytes behind it. */
typedef struct async__datagram {
    uv_udp_send_t request;
    async_datagram_transport *transport;
    size_t size; /* of this block */
} async__datagram;

static void async__datagram_error(async_datagram_transport *transport,
                                  int error)
{
    if (transport->protocol->error_received != NULL)
        transport->protocol->error_received(transport, error);
}

/* libuv's callback, where no code of the user's may run. */
static void async__datagram_on_done(uv_udp_send_t *request, int status)
{
    async__datagram *datagram = (async__datagram *)request->data;
    async_datagram_transport *transport = datagram->transport;
    async_udp *udp = &transport->udp;
    async__release(udp->resource.loop, datagram, datagram->size);
    transport->queued--;
    if (status < 0 && status != UV_ECANCELED && async_udp_is_open(udp)) {
        async_operation *waiter = async__waiting(udp->waiter);
        if (waiter != NULL)
            async__finish(&waiter->future, ASYNC__FINISHED, status);
        else
            udp->error = status;
    }
    if (transport->closing && transport->queued == 0)
        async__udp_begin_close(udp);
}

static int async__datagram_queue(async_datagram_transport *transport,
                                 const void *data, size_t size,
                                 const struct sockaddr *address)
{
    async_loop *loop = transport->udp.resource.loop;
    async__datagram *datagram = (async__datagram *)async__allocate(
        loop, sizeof *datagram + size);
    uv_buf_t buffer;
    int error;
    if (datagram == NULL) return ASYNC_ENOMEM;
    datagram->request.data = datagram;
    datagram->transport = transport;
    datagram->size = sizeof *datagram + size;
    buffer = uv_buf_init((char *)(datagram + 1), (unsigned)size);
    if (size > 0) memcpy(buffer.base, data, size);
    error = uv_udp_send(&datagram->request, &transport->udp.handle.udp,
                        &buffer, 1, address, async__datagram_on_done);
    if (error)
        async__release(loop, datagram, datagram->size);
    else
        transport->queued++;
    return error;
}

int async_datagram_sendto(async_datagram_transport *transport,
                          const void *data, size_t size,
                          const struct sockaddr *address)
{
    int error;
    if (async_datagram_is_closing(transport)) return ASYNC_ECLOSED;
    error = async__udp_try_send(&transport->udp, data, size, address);
    if (error == UV_EAGAIN)
        error = async__datagram_queue(transport, data, size, address);
    if (error == ASYNC_ENOMEM) return error;
    if (error) async__datagram_error(transport, error);
    return 0;
}

void async_datagram_close(async_datagram_transport *transport)
{
    if (async_datagram_is_closing(transport)) return;
    transport->closing = 1;
    if (transport->queued == 0) async__udp_begin_close(&transport->udp);
}

void async_datagram_abort(async_datagram_transport *transport)
{
    if (!async_udp_is_open(&transport->udp)) return;
    transport->closing = 1;
    async__udp_begin_close(&transport->udp);
}

/* --- receiving ----------------------------------------------------------- */

/* What receives, and cleans up. */
struct async__datagram_run {
    ASYNC_FRAME;
    async_datagram_transport *transport;
    size_t size;
    int error;
    struct sockaddr_storage sender;
};

/* Whether it goes on after what a receive has come to. */
static int async__datagram_received(struct async__datagram_run *self)
{
    async_datagram_transport *transport = self->transport;
    /* What the system says of datagrams has numbers above these. */
    if (self->error == ASYNC_ENOMEM || self->error <= -5000) return 0;
    if (transport->closing) return 1;
    if (self->error)
        async__datagram_error(transport, self->error);
    else if (transport->protocol->datagram_received != NULL)
        transport->protocol->datagram_received(
            transport, transport->buffer, self->size,
            (const struct sockaddr *)&self->sender);
    return 1;
}

static void async__datagram_lost(async_datagram_transport *transport,
                                 int error)
{
    async__release(transport->udp.resource.loop, transport->buffer,
                   ASYNC__DATAGRAM_SIZE);
    transport->buffer = NULL;
    if (transport->protocol->connection_lost != NULL)
        transport->protocol->connection_lost(transport, error);
}

static ASYNC(async__datagram_run)
{
    ASYNC_BEGIN(async__datagram_run);
    ASYNC_TRY {
        do {
            /* An error that comes at once must not stop the others. */
            if (self->size == 0) ASYNC_SUSPEND;
            self->size = 0;
            ASYNC_AWAIT_CATCH_INTO(self->error, self->size, async_udp_receive,
                                   &self->transport->udp,
                                   self->transport->buffer,
                                   ASYNC__DATAGRAM_SIZE, &self->sender);
        } while (async__datagram_received(self));
        if (self->error == ASYNC_ECLOSED) self->error = 0;
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_TRY {
        ASYNC_AWAIT(async_udp_close, &self->transport->udp);
    } ASYNC_FINALLY {
        async__datagram_lost(self->transport, self->error);
    } ASYNC_END_TRY
    /* connection_lost has told any other */
    if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
    ASYNC_END;
}

/* The task takes its first step at once: one that was cancelled before it
 * would never clean up. */
static int async__datagram_start(async_datagram_transport *transport,
                                 async *co)
{
    async_loop *loop = async_loop_of(co);
    async_task *task;
    transport->buffer = (char *)async__allocate(loop, ASYNC__DATAGRAM_SIZE);
    if (transport->buffer == NULL) return ASYNC_ENOMEM;
    task = async_create_eager_task(ASYNC_CO(async__datagram_run, transport));
    if (task == NULL) {
        async__release(loop, transport->buffer, ASYNC__DATAGRAM_SIZE);
        transport->buffer = NULL;
        return async_last_error();
    }
    async_task_release(task);
    if (transport->protocol->connection_made != NULL)
        transport->protocol->connection_made(transport);
    return 0;
}

ASYNC(async_create_datagram_endpoint)
{
    ASYNC_BEGIN(async_create_datagram_endpoint);
    if (self->local == NULL && self->remote == NULL) ASYNC_RAISE(ASYNC_EINVAL);
    if (self->local != NULL) {
        ASYNC_AWAIT(async_udp_bind, &self->transport->udp, self->local,
                    self->flags);
    } else if (self->transport->udp.resource.state != ASYNC__IS_SHUT) {
        ASYNC_RAISE(ASYNC_EBUSY);
    }
    self->transport->protocol = self->protocol;
    self->transport->argument = self->argument;
    self->transport->queued = 0;
    self->transport->closing = 0;
    ASYNC_TRY {
        if (self->remote != NULL)
            ASYNC_AWAIT(async_udp_connect, &self->transport->udp,
                        self->remote);
        self->error = async__datagram_start(self->transport, co);
        if (self->error) ASYNC_RAISE(self->error);
    } ASYNC_EXCEPT_ALL(self->error) {
        ASYNC_AWAIT(async_udp_close, &self->transport->udp);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
