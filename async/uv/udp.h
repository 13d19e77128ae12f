/* udp.h - UDP: datagrams
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_udp_bind, &self->udp, address, 0);
 *     AWAIT_INTO(self->n, async_udp_receive, &self->udp, self->buf,
 *                sizeof self->buf, &self->sender);
 *     AWAIT(async_udp_send, &self->udp, self->buf, self->n,
 *           (const struct sockaddr *)&self->sender);
 *     AWAIT(async_udp_close, &self->udp);
 *
 *   OPENING      bind, connect, open; close
 *   DATAGRAMS    receive, send
 *   OPTIONS      broadcast, multicast, names
 *   PRIVATE
 *
 * A socket is a struct of the caller's, zeroed.  It must neither move nor go
 * until it has been closed: libuv has pointers to it, and async_udp_close() is
 * what waits until it has none.  Close it in a FINALLY.
 *
 * From tasks on a loop of async/uv/loop.h, the one on which it was opened
 * (ASYNC_EOTHERLOOP, ASYNC_ENOTASK).  One task may receive while others send.
 * Nothing here copies data: buffers are the caller's, and in use until the
 * await ends.  Datagrams that come while nobody receives stay with the system,
 * as far as its buffer reaches.  Closing the loop closes what is still open.
 *
 * datagram.h has the same with callbacks, as asyncio does it.
 */
#ifndef CAESURA_UV_UDP_H
#define CAESURA_UV_UDP_H

#include "handle.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

typedef struct async_udp {
    async__resource resource; /* private; must be first */
    union {
        uv_handle_t any;
        uv_udp_t udp;
    } handle; /* libuv's, for what it can set; leave its `data` alone */
    /* The rest is private. */
    async_operation *waiter; /* of the task that receives */
    char *kept; /* the datagram that a cancelled receive had taken in */
    size_t kept_size;
    struct sockaddr_storage sender; /* of the one that has come last */
    int error; /* what a cancelled receive had been told */
    unsigned char reading, starved, served;
    unsigned char has_kept, truncated; /* there is one kept; it was cut */
} async_udp;

/* ------------------------------------------------------------------------
 * OPENING
 * ------------------------------------------------------------------------ */

/* An address from numbers: "127.0.0.1" or "::1", and a port.
 * Returns  0, or -EINVAL when the text is neither.  For names: dns.h. */
int async_udp_address(struct sockaddr_storage *address, const char *ip,
                      int port);

/* AWAIT(async_udp_bind, udp, address, flags): opens a zeroed socket.
 * address  a const struct sockaddr *, whose port may be 0; NULL: the first
 *          send or connect gives it one
 * flags    of libuv's: UV_UDP_REUSEADDR, UV_UDP_IPV6ONLY
 * Errors   -EADDRINUSE, -EACCES, -EMFILE ...; ASYNC_EBUSY when it is open;
 *          ASYNC_EINVAL on a loop that is not libuv's.  After an error it is
 *          closed.
 * Counterpart: loop.create_datagram_endpoint(local_addr=), uv_udp_bind(). */
struct async_udp_bind {
    ASYNC_FRAME;
    async_udp *udp;
    const struct sockaddr *address;
    unsigned flags;
    int error;
};
ASYNC(async_udp_bind);

/* AWAIT(async_udp_connect, udp, address): from then on it sends to that
 * address, receives from it alone, and hears when nobody is there.  Opens the
 * socket if it is not open.  NULL undoes it.
 * Errors   -EISCONN when it is connected, -ENOTCONN for NULL when it is not,
 *          -ENETUNREACH, -EMFILE ...  After an error it is closed if this has
 *          opened it, and else as it was.
 * Counterpart: loop.create_datagram_endpoint(remote_addr=),
 *          uv_udp_connect(). */
struct async_udp_connect {
    ASYNC_FRAME;
    async_udp *udp;
    const struct sockaddr *address;
    int error, opened;
};
ASYNC(async_udp_connect);

/* AWAIT(async_udp_open, udp, socket): opens a zeroed one on a socket of the
 * system's, a datagram socket of any family (one that was inherited, say).
 * The socket is then its own; after an error it is still the caller's.
 * Counterpart: loop.create_datagram_endpoint(sock=), uv_udp_open(). */
struct async_udp_open {
    ASYNC_FRAME;
    async_udp *udp;
    uv_os_sock_t socket;
    int error;
};
ASYNC(async_udp_open);

/* AWAIT(async_udp_close, udp): closes it, and goes on when libuv has let go of
 * its memory.  Who receives or sends gets ASYNC_ECLOSED; what is not out yet
 * is lost.  One that was never opened, or is closed: nothing.
 * Cancel   raised when it is closed all the same
 * Counterpart: DatagramTransport.close(), uv_close(). */
struct async_udp_close {
    ASYNC_FRAME;
    async_udp *udp;
    async__closer closer;
};
ASYNC(async_udp_close);

/* Whether sending and receiving may work: it is open and not being closed. */
static inline int async_udp_is_open(const async_udp *udp);

/* ------------------------------------------------------------------------
 * DATAGRAMS
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(n, async_udp_receive, udp, buffer, size, sender): waits for a
 * datagram and puts it into the buffer.
 * size     65,535 has room for any; at least 1
 * sender   a struct sockaddr_storage *, which gets its address; may be left
 *          out
 * Result   the number of bytes, which may be 0
 * Errors   -EMSGSIZE for one that is larger than the buffer: that has its
 *          first `size` bytes, `sender` is set, and the rest is lost;
 *          on a connected socket -ECONNREFUSED (nobody is there),
 *          -EHOSTUNREACH ..., which an earlier datagram has met with, once
 *          each: go on receiving;
 *          ASYNC_EBUSY when another task receives (one that was cancelled does
 *          until it has run); ASYNC_ECLOSED; ASYNC_EINVAL for no size;
 *          ASYNC_ENOMEM, once, when there was no memory to keep what a
 *          cancelled one had got
 * Cancel   at once; a datagram or error that had come is kept for the next
 *          receive
 * Counterpart: loop.sock_recvfrom_into(), uv_udp_recv_start(). */
struct async_udp_receive {
    ASYNC_RETURNS(size_t);
    async_udp *udp;
    void *buffer;
    size_t size;
    struct sockaddr_storage *sender;
    size_t got;
    async_operation arrival;
};
ASYNC(async_udp_receive);

/* AWAIT(async_udp_send, udp, data, size, address): sends a datagram.  It goes
 * out at once if the system takes it, without suspending, and else in its
 * turn, behind those of other tasks.  That it is out does not mean that it
 * arrives.
 * address  a const struct sockaddr *, used only until this first suspends;
 *          NULL, or left out, on a connected socket
 * Errors   -EMSGSIZE when it is too large, -EDESTADDRREQ without an address,
 *          -EISCONN with one on a connected socket, -ENETUNREACH ...;
 *          -ECONNREFUSED of an earlier datagram, and then this one was not
 *          sent; ASYNC_ECLOSED
 * Cancel   if it has to wait, raised when it is out, or the socket closed:
 *          one cannot take it back
 * Counterpart: loop.sock_sendto(), uv_udp_try_send(), uv_udp_send(). */
struct async_udp_send {
    ASYNC_FRAME;
    async_udp *udp;
    const void *data;
    size_t size;
    const struct sockaddr *address;
    uv_udp_send_t request;
    async_operation sent;
};
ASYNC(async_udp_send);

/* ------------------------------------------------------------------------
 * OPTIONS
 *
 * From the loop's thread; none waits.
 * Returns  0, or libuv's error; ASYNC_ECLOSED when the socket is not open
 * Counterparts: those of libuv, whose names they have.
 * ------------------------------------------------------------------------ */

/* Its own address, and the one that it is connected to.  Of a socket that has
 * not been bound yet: -EBADF. */
int async_udp_getsockname(const async_udp *udp,
                          struct sockaddr_storage *address);
int async_udp_getpeername(const async_udp *udp,
                          struct sockaddr_storage *address);

/* The port it is bound to, 0 when it is not. */
int async_udp_port(const async_udp *udp);

/* Whether it may send to broadcast addresses. */
int async_udp_set_broadcast(async_udp *udp, int on);

/* How many hops its datagrams may take, 1 to 255. */
int async_udp_set_ttl(async_udp *udp, int ttl);

/* Joins a multicast group (UV_JOIN_GROUP) or leaves it (UV_LEAVE_GROUP); from
 * one source alone.  Addresses are numbers in text; `interface_` is an address
 * of this machine, or NULL for any. */
int async_udp_set_membership(async_udp *udp, const char *group,
                             const char *interface_, uv_membership membership);
int async_udp_set_source_membership(async_udp *udp, const char *group,
                                    const char *interface_, const char *source,
                                    uv_membership membership);

/* Of what it sends to groups: whether this machine hears it, the hops, and
 * where it goes out. */
int async_udp_set_multicast_loop(async_udp *udp, int on);
int async_udp_set_multicast_ttl(async_udp *udp, int ttl);
int async_udp_set_multicast_interface(async_udp *udp, const char *interface_);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
static inline int async_udp_is_open(const async_udp *udp)
{
    return udp->resource.state == ASYNC__IS_OPEN;
}

/* Begins to close, from anywhere. */
void async__udp_begin_close(async_udp *udp);

/* Sends if the system takes it at once: 0, UV_EAGAIN if not, or an error. */
int async__udp_try_send(async_udp *udp, const void *data, size_t size,
                        const struct sockaddr *address);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_UDP_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * As with streams, reading stays switched on from one receive to the next, and
 * libuv is given no buffer while nobody waits, so what comes is left with the
 * system.  libuv asks for a buffer again behind each datagram; that one does
 * not count, but the second poll on end that finds nobody switches it off.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_UDP_IMPLEMENTED)
#define CAESURA_UV_UDP_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

int async_udp_address(struct sockaddr_storage *address, const char *ip,
                      int port)
{
    return async__ip_address(address, ip, port);
}

/* --- opening and closing ------------------------------------------------- */

static void async__udp_forget_kept(async_udp *udp)
{
    if (udp->kept != NULL)
        async__release(udp->resource.loop, udp->kept, udp->kept_size);
    udp->kept = NULL;
    udp->has_kept = 0;
}

static void async__udp_stop_reading(async_udp *udp)
{
    if (udp->reading) uv_udp_recv_stop(&udp->handle.udp);
    udp->reading = 0;
}

void async__udp_begin_close(async_udp *udp)
{
    async_operation *waiter = udp->waiter;
    if (udp->resource.state != ASYNC__IS_OPEN) return;
    async__udp_stop_reading(udp);
    async__udp_forget_kept(udp);
    udp->waiter = NULL;
    async__arrived(waiter, ASYNC_ECLOSED);
    async__resource_close(&udp->resource);
}

static void async__udp_close_resource(async_node *node)
{
    async__udp_begin_close((async_udp *)(void *)node);
}

/* Makes the handle; the socket is open from then on, whatever comes of it. */
static int async__udp_init(async_udp *udp, async *co)
{
    int error = async__uv_check(co);
    if (error) return error;
    if (udp->resource.state != ASYNC__IS_SHUT) return ASYNC_EBUSY;
    error = uv_udp_init(async_uv_loop_of(async_loop_of(co)), &udp->handle.udp);
    if (error) return error;
    udp->waiter = NULL;
    udp->kept = NULL;
    udp->error = 0;
    udp->reading = udp->starved = udp->served = 0;
    udp->has_kept = udp->truncated = 0;
    async__resource_opened(&udp->resource, async_loop_of(co), &udp->handle.any,
                           async__udp_close_resource);
    return 0;
}

ASYNC(async_udp_bind)
{
    ASYNC_BEGIN(async_udp_bind);
    self->error = async__udp_init(self->udp, co);
    if (self->error) ASYNC_RAISE(self->error);
    if (self->address != NULL)
        self->error = uv_udp_bind(&self->udp->handle.udp, self->address,
                                  self->flags);
    if (self->error) {
        ASYNC_AWAIT(async_udp_close, self->udp);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

ASYNC(async_udp_connect)
{
    ASYNC_BEGIN(async_udp_connect);
    if (self->udp->resource.state == ASYNC__IS_SHUT && self->address != NULL) {
        self->error = async__udp_init(self->udp, co);
        self->opened = !self->error;
    } else {
        self->error = async__resource_check(&self->udp->resource, co);
    }
    if (!self->error)
        self->error = uv_udp_connect(&self->udp->handle.udp, self->address);
    if (self->error) {
        if (self->opened) ASYNC_AWAIT(async_udp_close, self->udp);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

ASYNC(async_udp_open)
{
    ASYNC_BEGIN(async_udp_open);
    self->error = async__udp_init(self->udp, co);
    if (self->error) ASYNC_RAISE(self->error);
    self->error = uv_udp_open(&self->udp->handle.udp, self->socket);
    if (self->error) {
        ASYNC_AWAIT(async_udp_close, self->udp);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

ASYNC(async_udp_close)
{
    int error;
    ASYNC_BEGIN(async_udp_close);
    if (self->udp->resource.state == ASYNC__IS_SHUT) ASYNC_RETURN();
    error = async__resource_check_task(&self->udp->resource, co);
    if (error) ASYNC_RAISE(error);
    async__udp_begin_close(self->udp);
    ASYNC__AWAIT_CLOSED(&self->udp->resource, &self->closer);
    ASYNC_END;
}

/* --- receiving ----------------------------------------------------------- */

static struct async_udp_receive *async__receive_of(async_operation *arrival)
{
    return (struct async_udp_receive *)(void *)((char *)arrival -
        offsetof(struct async_udp_receive, arrival));
}

static void async__udp_on_alloc(uv_handle_t *handle, size_t suggested,
                                uv_buf_t *buffer)
{
    async_udp *udp = (async_udp *)handle->data;
    async_operation *waiter = async__waiting(udp->waiter);
    (void)suggested;
    *buffer = uv_buf_init(NULL, 0);
    if (waiter != NULL)
        *buffer = uv_buf_init((char *)async__receive_of(waiter)->buffer,
                              (unsigned)async__receive_of(waiter)->size);
}

/* An address, of which libuv's memory may be no larger than its family has
 * it. */
static void async__udp_copy_address(struct sockaddr_storage *to,
                                    const struct sockaddr *from)
{
    size_t size = from->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
                  : from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                : sizeof(struct sockaddr);
    memset(to, 0, sizeof *to);
    memcpy(to, from, size);
}

static void async__udp_on_receive(uv_udp_t *handle, ssize_t got,
                                  const uv_buf_t *buffer,
                                  const struct sockaddr *sender,
                                  unsigned flags)
{
    async_udp *udp = (async_udp *)handle->data;
    async_operation *waiter = async__waiting(udp->waiter);
    if (got == UV_ENOBUFS && buffer->base == NULL) {
        if (udp->served) {
            udp->served = 0;
            return;
        }
        if (udp->starved) async__udp_stop_reading(udp);
        udp->starved = 1;
    } else if (got < 0) {
        if (waiter == NULL)
            udp->error = (int)got; /* which may come without a buffer */
        else
            async__finish(&waiter->future, ASYNC__FINISHED, (int)got);
    } else if (sender != NULL && waiter != NULL) {
        async__receive_of(waiter)->got = (size_t)got;
        async__udp_copy_address(&udp->sender, sender);
        udp->truncated = (flags & UV_UDP_PARTIAL) != 0;
        udp->served = 1;
        async__finish(&waiter->future, ASYNC__FINISHED,
                      udp->truncated ? (int)UV_EMSGSIZE : 0);
    }
}

/* Keeps a datagram whose receiver was cancelled when it had just come; if
 * there is no memory for it, the next one learns that. */
static void async__udp_keep(async_udp *udp, const void *data, size_t size)
{
    udp->kept = NULL;
    if (size > 0) {
        udp->kept = (char *)async__allocate(udp->resource.loop, size);
        if (udp->kept == NULL) {
            udp->error = ASYNC_ENOMEM;
            return;
        }
        memcpy(udp->kept, data, size);
    }
    udp->kept_size = size;
    udp->has_kept = 1;
}

/* What a cancelled receive has left. */
static int async__udp_take(async_udp *udp, struct async_udp_receive *self)
{
    int cut = udp->truncated || udp->kept_size > self->size;
    self->got = udp->kept_size < self->size ? udp->kept_size : self->size;
    if (self->got > 0) memcpy(self->buffer, udp->kept, self->got);
    if (self->sender != NULL) *self->sender = udp->sender;
    async__udp_forget_kept(udp);
    return cut ? UV_EMSGSIZE : 0;
}

/* Begins to receive.  Returns 1 when there is something to wait for, else the
 * result is in self->got, or an error in *error. */
static int async__receive_begin(struct async_udp_receive *self, async *co,
                                int *error)
{
    async_udp *udp = self->udp;
    *error = async__resource_check(&udp->resource, co);
    if (*error) return 0;
    if (udp->waiter != NULL) {
        *error = ASYNC_EBUSY;
    } else if (self->size == 0) {
        *error = ASYNC_EINVAL;
    } else if (udp->has_kept) {
        *error = async__udp_take(udp, self);
    } else if (udp->error) {
        *error = udp->error;
        udp->error = 0;
    } else {
        udp->starved = udp->served = 0;
        if (!udp->reading) {
            *error = uv_udp_recv_start(&udp->handle.udp, async__udp_on_alloc,
                                       async__udp_on_receive);
            if (*error) return 0;
            udp->reading = 1;
        }
        /* It can be given up at any time: libuv keeps nothing of it. */
        async_operation_init(&self->arrival, udp->resource.loop,
                             async_operation_cancelled);
        udp->waiter = &self->arrival;
        return 1;
    }
    return 0;
}

/* The task has resumed; `cancelled` is what it was told meanwhile.  Until now
 * it has counted as waiting: nobody may come between. */
static void async__receive_over(struct async_udp_receive *self, int cancelled)
{
    async_udp *udp = self->udp;
    const async_future *arrival = &self->arrival.future;
    int came = arrival->error == 0 || arrival->error == UV_EMSGSIZE;
    if (udp->waiter != &self->arrival) return;
    udp->waiter = NULL;
    if (arrival->state != ASYNC__FINISHED) return;
    if (!cancelled) {
        if (came && self->sender != NULL) *self->sender = udp->sender;
    } else if (came) {
        async__udp_keep(udp, self->buffer, self->got);
    } else {
        udp->error = arrival->error;
    }
}

ASYNC(async_udp_receive)
{
    int error;
    ASYNC_BEGIN(async_udp_receive);
    if (async__receive_begin(self, co, &error)) {
        ASYNC__WAIT_FOR(&self->arrival.future);
        async__receive_over(self, co->error);
        (void)async__awaited(co);
        async__drop(co);
        ASYNC__CHECK;
    } else if (error) {
        ASYNC_RAISE(error);
    }
    ASYNC_RETURN(self->got);
    ASYNC_END;
}

/* --- sending ------------------------------------------------------------- */

static void async__send_on_done(uv_udp_send_t *request, int status)
{
    async__request_done((async_operation *)request->data, status);
}

int async__udp_try_send(async_udp *udp, const void *data, size_t size,
                        const struct sockaddr *address)
{
    uv_buf_t buffer;
    uv_os_fd_t socket;
    int sent;
    if (size > 65535) return UV_EMSGSIZE;
    /* libuv would make a socket for it, and aborts over other families. */
    if (address != NULL && address->sa_family != AF_INET &&
        address->sa_family != AF_INET6 &&
        uv_fileno(&udp->handle.any, &socket) != 0)
        return UV_EINVAL;
    buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);
    sent = uv_udp_try_send(&udp->handle.udp, &buffer, 1, address);
    return sent < 0 ? sent : 0;
}

/* Returns 1 when it is queued, else it is out, or *error says why not. */
static int async__send_begin(struct async_udp_send *self, async *co,
                             int *error)
{
    uv_buf_t buffer;
    *error = async__resource_check(&self->udp->resource, co);
    if (*error) return 0;
    *error = async__udp_try_send(self->udp, self->data, self->size,
                                 self->address);
    if (*error != UV_EAGAIN) return 0;
    buffer = uv_buf_init((char *)(uintptr_t)self->data, (unsigned)self->size);
    async_operation_init(&self->sent, self->udp->resource.loop,
                         async__closer_goes_on);
    self->request.data = &self->sent;
    *error = uv_udp_send(&self->request, &self->udp->handle.udp, &buffer, 1,
                         self->address, async__send_on_done);
    return *error == 0;
}

ASYNC(async_udp_send)
{
    int error;
    ASYNC_BEGIN(async_udp_send);
    if (async__send_begin(self, co, &error))
        ASYNC__AWAIT_REQUEST(&self->sent);
    else if (error)
        ASYNC_RAISE(error);
    ASYNC_END;
}

/* --- options ------------------------------------------------------------- */

int async_udp_getsockname(const async_udp *udp,
                          struct sockaddr_storage *address)
{
    int size = sizeof *address;
    memset(address, 0, sizeof *address);
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_getsockname(&udp->handle.udp, (struct sockaddr *)address,
                              &size);
}

int async_udp_getpeername(const async_udp *udp,
                          struct sockaddr_storage *address)
{
    int size = sizeof *address;
    memset(address, 0, sizeof *address);
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_getpeername(&udp->handle.udp, (struct sockaddr *)address,
                              &size);
}

int async_udp_port(const async_udp *udp)
{
    struct sockaddr_storage address;
    if (async_udp_getsockname(udp, &address) != 0) return 0;
    if (address.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return 0;
}

int async_udp_set_broadcast(async_udp *udp, int on)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_broadcast(&udp->handle.udp, on);
}

int async_udp_set_ttl(async_udp *udp, int ttl)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_ttl(&udp->handle.udp, ttl);
}

int async_udp_set_membership(async_udp *udp, const char *group,
                             const char *interface_, uv_membership membership)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_membership(&udp->handle.udp, group, interface_,
                                 membership);
}

int async_udp_set_source_membership(async_udp *udp, const char *group,
                                    const char *interface_, const char *source,
                                    uv_membership membership)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_source_membership(&udp->handle.udp, group, interface_,
                                        source, membership);
}

int async_udp_set_multicast_loop(async_udp *udp, int on)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_multicast_loop(&udp->handle.udp, on);
}

int async_udp_set_multicast_ttl(async_udp *udp, int ttl)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_multicast_ttl(&udp->handle.udp, ttl);
}

int async_udp_set_multicast_interface(async_udp *udp, const char *interface_)
{
    if (!async_udp_is_open(udp)) return ASYNC_ECLOSED;
    return uv_udp_set_multicast_interface(&udp->handle.udp, interface_);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
