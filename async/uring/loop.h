/* loop.h - sockets on Linux's io_uring, beside libuv
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     #define ASYNC_IMPLEMENTATION
 *     #include "async/uring/loop.h"
 *     #include "async/uv/streams.h"
 *     ...
 *     int main(void)
 *     {
 *         async_uring_enable();
 *         return async_run(CO(program));
 *     }
 *
 * Loops that are made from then on have their sockets carried by a ring: what
 * streams, connections, servers and transports read, write and accept, by TCP
 * and by Unix sockets.  Nothing else changes: what async/uv/ can do, it does,
 * and libuv still has names, files, signals, processes, datagrams and other
 * threads.  Where the kernel gives no ring, all of it is libuv's as before.
 *
 * What is faster: the system says what has come, not that something has, and
 * what is written in an iteration goes to it in one call.  What is different:
 * a write suspends until the system has taken it, at the end of the iteration;
 * and a transport's, in which many small ones become one, tells of a peer that
 * has gone by connection_lost alone.
 *
 * Needs liburing 2.3, linked by the program (pkg-config liburing), and Linux
 * 6.1 when it runs.
 */
#ifndef CAESURA_URING_LOOP_H
#define CAESURA_URING_LOOP_H

#ifdef __has_include
#if !__has_include(<liburing.h>)
#error "async/uring/loop.h needs liburing: liburing-dev, liburing-devel"
#endif
#endif
#include "../uv/stream.h" /* first: it asks for POSIX */

#ifdef __cplusplus
extern "C" {
#endif

/* Gives a ring to loops that async_uv_loop_init(), async_run() and so on make
 * from now on, in any thread, with a uv_loop_t of their own.  Each takes it
 * when its first socket is used, and needs half a megabyte of its allocator's
 * then; more when much comes at once, up to 16.
 * Returns  0, or why it does nothing: -ENOSYS, -EPERM, -EINVAL when the kernel
 *          has not what this needs, or does not let this program; -ENOTSUP
 *          when the environment says CAESURA_URING=0; -EMFILE, -ENOMEM ... */
int async_uring_enable(void);

/* Loops that are made from now on have none. */
void async_uring_disable(void);

/* Whether sockets of this loop are carried by a ring: one that has been refused
 * it, for want of descriptors say, has gone back to libuv. */
static inline int async_uring_is_on(async_loop *loop);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
static inline int async_uring_is_on(async_loop *loop)
{
    return ((async_uv_loop *)(void *)loop)->carrier != NULL;
}

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_URING_LOOP_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * A stream keeps its uv_tcp_t or uv_pipe_t, which opens, names and closes the
 * descriptor; libuv is never asked to read, write or accept by it.  That is
 * what a `socket` does, a block that stays until the kernel has nothing of it.
 *
 * Who wants something of the kernel is put on the ring's list of attention;
 * the poll makes entries of that and submits them with the call that waits.
 * Completions call back as libuv would.
 *
 * libuv's own descriptors are one to the ring: it polls uv_backend_fd(), and
 * uv_run() is called when that is ready or a timer of libuv's is due.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_URING_LOOP_IMPLEMENTED)
#define CAESURA_URING_LOOP_IMPLEMENTED

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A test of what happens at their ends has smaller ones; powers of two. */
#ifndef ASYNC__RING_ENTRIES
#define ASYNC__RING_ENTRIES 256      /* to submit at a time */
#define ASYNC__RING_COMPLETIONS 4096 /* the kernel keeps more, at a price */
#define ASYNC__RING_BUFFERS 32       /* at first */
#define ASYNC__RING_MOST_BUFFERS 1024
#endif
enum {
    ASYNC__RING_BUFFER = 16384,
    ASYNC__RING_BATCH = 32, /* completions looked at together */
    /* More than that is not worth copying, nor waiting with. */
    ASYNC__RING_SMALL_WRITE = 4096,
    /* Who sends so much at a time is read without a copy, until so many
     * messages have been small ones. */
    ASYNC__RING_LARGE = ASYNC__RING_BUFFER / 2,
    ASYNC__RING_FEW = 16
};

/* What a completion is of, in the lowest bits of its user_data. */
enum {
    ASYNC__RING_RECEIVED, /* or accepted */
    ASYNC__RING_SENT,
    ASYNC__RING_ATTENTION, /* of libuv's descriptors */
    ASYNC__RING_NOTHING,
    ASYNC__RING_KIND = 3
};

/* What was not taken when it came: in the buffer in which that was, as long as
 * the kernel has enough of them, or in a copy behind this. */
typedef struct async__kept {
    struct async__kept *next;
    size_t size, at;
    int buffer; /* -1: a copy */
} async__kept;

typedef struct async__socket {
    async_link link; /* among all, or among those that end; must be first */
    struct async__ring *ring;
    async_stream *stream;
    struct async__socket *next; /* who needs attention */
    int fd, failure;            /* what reading has come to */
    int operations;             /* that the kernel has */
    uv_alloc_cb allocate;
    uv_read_cb read;
    uv_connection_cb connected;
    uv_close_cb closed;
    async__kept *kept, **last_kept;
    async__kept one; /* of a buffer that is kept alone */
    uv_write_t *writes, *last_write;
    uv_shutdown_t *shutting;
    int *accepted; /* descriptors that nobody has taken yet */
    int accepted_at, accepted_count, accepted_room;
    unsigned char attention, inlet; /* that; it is what reads, or accepts */
    unsigned char wanted;     /* reading, or accepting, is switched on */
    unsigned char receiving, stopping; /* the kernel does; has been told not */
    unsigned char sending, send_stopping, send_waits;
    unsigned char ended, shut, ending;
    unsigned char large, small_ones; /* what comes */
    unsigned char polling; /* `receiving` is only being told */
} async__socket;
enum { ASYNC__INLET_READS = 1, ASYNC__INLET_ACCEPTS };

typedef struct async__ring {
    struct io_uring ring;
    async_uv_loop *loop;
    uv_thread_t owner; /* the kernel serves one thread alone */
    async_link sockets, ending;
    async__socket *attention, **last_attention;
    struct io_uring_buf_ring *table;
    void *table_memory;
    size_t table_size;
    int buffers;                 /* how many there are */
    int returned;                /* that the kernel has not been told of */
    int lent;                    /* that hold what nobody has taken yet */
    unsigned char watching;      /* libuv's descriptors */
    unsigned char uv_is_ready, starved;
    unsigned char *carried; /* a bit for each descriptor */
    size_t carried_size;
    char *buffer[ASYNC__RING_MOST_BUFFERS];
    unsigned char is_lent[ASYNC__RING_MOST_BUFFERS];
} async__ring;

/* --- lists --------------------------------------------------------------- */

static void async__socket_attend_to(async__socket *socket)
{
    async__ring *ring = socket->ring;
    if (socket->attention) return;
    socket->attention = 1;
    socket->next = NULL;
    *ring->last_attention = socket;
    ring->last_attention = &socket->next;
    ring->loop->base.attend |= ASYNC__POLL; /* before the next iteration */
}

/* Where libuv keeps what it needs of a write, this keeps its own. */
static uv_buf_t *async__write_rest(uv_write_t *write)
{
    return &write->bufsml[0];
}
static uv_write_t *async__write_next(uv_write_t *write)
{
    return (uv_write_t *)(void *)write->bufsml[1].base;
}

/* --- descriptors --------------------------------------------------------- */

static int async__ring_carries(const async_uv_loop *loop, int fd)
{
    const async__ring *ring = loop->ring;
    size_t at = (size_t)fd / 8;
    return ring != NULL && at < ring->carried_size &&
           ring->carried[at] >> fd % 8 & 1;
}

/* Makes room for one. */
static int async__ring_reserve(async__ring *ring, int fd)
{
    async_loop *loop = &ring->loop->base;
    size_t size = ring->carried_size > 0 ? ring->carried_size : 64;
    unsigned char *larger;
    if ((size_t)fd / 8 < ring->carried_size) return 0;
    while ((size_t)fd / 8 >= size) size *= 2;
    larger = (unsigned char *)async__allocate(loop, size);
    if (larger == NULL) return ASYNC_ENOMEM;
    memset(larger, 0, size);
    if (ring->carried != NULL) {
        memcpy(larger, ring->carried, ring->carried_size);
        async__release(loop, ring->carried, ring->carried_size);
    }
    ring->carried = larger;
    ring->carried_size = size;
    return 0;
}

/* --- buffers ------------------------------------------------------------- */

static void async__ring_give_buffer(async__ring *ring, int index)
{
    io_uring_buf_ring_add(ring->table, ring->buffer[index],
                          ASYNC__RING_BUFFER, (unsigned short)index,
                          io_uring_buf_ring_mask(ASYNC__RING_MOST_BUFFERS),
                          ring->returned++);
}
static void async__ring_give_buffers(async__ring *ring)
{
    if (ring->returned == 0) return;
    io_uring_buf_ring_advance(ring->table, ring->returned);
    ring->returned = 0;
}

/* As many again, in one block, whose address is that of the first.  They lie a
 * little further apart than they are large: else their first bytes, which are
 * all that short messages use, would share few places in the cache. */
enum { ASYNC__RING_STRIDE = ASYNC__RING_BUFFER + 192 };
static int async__ring_more_buffers(async__ring *ring)
{
    int count = ring->buffers > 0 ? ring->buffers : ASYNC__RING_BUFFERS, i;
    char *memory;
    if (ring->buffers + count > ASYNC__RING_MOST_BUFFERS) return 0;
    memory = (char *)async__allocate_large(
        &ring->loop->base, (size_t)count * ASYNC__RING_STRIDE);
    if (memory == NULL) return ASYNC_ENOMEM;
    for (i = 0; i < count; i++) {
        int index = ring->buffers++;
        ring->buffer[index] = memory + (size_t)i * ASYNC__RING_STRIDE;
        async__ring_give_buffer(ring, index);
    }
    return 0;
}

static void async__ring_release_buffers(async__ring *ring)
{
    int first = 0, count = ASYNC__RING_BUFFERS;
    for (; first < ring->buffers; first += count) {
        if (first > 0) count = first;
        async__release_large(&ring->loop->base, ring->buffer[first],
                             (size_t)count * ASYNC__RING_STRIDE);
    }
}

/* --- the ring ------------------------------------------------------------ */

static int async__ring_open(struct io_uring *ring)
{
    struct io_uring_params parameters;
    memset(&parameters, 0, sizeof parameters);
    /* Kernels that know these, of 6.1, have all the rest. */
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                       IORING_SETUP_CQSIZE;
    parameters.cq_entries = ASYNC__RING_COMPLETIONS;
    return io_uring_queue_init_params(ASYNC__RING_ENTRIES, ring, &parameters);
}

/* Gives a new ring its buffers: none are in use. */
static int async__ring_register(async__ring *ring)
{
    struct io_uring_buf_reg registration;
    int i, error;
    memset(&registration, 0, sizeof registration);
    registration.ring_addr = (uintptr_t)ring->table;
    registration.ring_entries = ASYNC__RING_MOST_BUFFERS;
    io_uring_buf_ring_init(ring->table);
    error = io_uring_register_buf_ring(&ring->ring, &registration, 0);
    if (error) return error;
    ring->returned = 0;
    for (i = 0; i < ring->buffers; i++)
        if (!ring->is_lent[i]) async__ring_give_buffer(ring, i);
    return 0;
}

static void async__ring_free(async__ring *ring)
{
    async_loop *loop = &ring->loop->base;
    async__ring_release_buffers(ring);
    if (ring->carried != NULL)
        async__release(loop, ring->carried, ring->carried_size);
    if (ring->table_memory != NULL)
        async__release_large(loop, ring->table_memory, ring->table_size);
    async__release_large(loop, ring, sizeof *ring);
}

/* Returns 0 or ASYNC_ENOMEM; without loop->ring, and from then on a carrier,
 * when the kernel gives none. */
static int async__ring_make(async_uv_loop *loop)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    async__ring *ring =
        (async__ring *)async__allocate_large(&loop->base, sizeof *ring);
    int error;
    if (ring == NULL) return ASYNC_ENOMEM;
    memset(ring, 0, sizeof *ring);
    ring->loop = loop;
    ring->owner = uv_thread_self();
    ring->last_attention = &ring->attention;
    async__list_init(&ring->sockets);
    async__list_init(&ring->ending);
    ring->table_size =
        ASYNC__RING_MOST_BUFFERS * sizeof(struct io_uring_buf) + page;
    ring->table_memory = async__allocate_large(&loop->base, ring->table_size);
    error = ASYNC_ENOMEM;
    if (ring->table_memory != NULL) {
        ring->table = (struct io_uring_buf_ring *)(
            ((uintptr_t)ring->table_memory + page - 1) / page * page);
        memset(ring->table_memory, 0, ring->table_size);
        error = async__ring_more_buffers(ring);
    }
    if (!error) {
        error = async__ring_open(&ring->ring);
        if (!error) {
            error = async__ring_register(ring);
            if (error) io_uring_queue_exit(&ring->ring);
        }
        if (error) loop->carrier = NULL;
    }
    if (error) {
        async__ring_free(ring);
        return loop->carrier == NULL ? 0 : error;
    }
    loop->ring = ring;
    return 0;
}

/* An entry to be submitted; NULL when there is none before the next call. */
static struct io_uring_sqe *async__ring_entry(async__ring *ring, void *of,
                                              unsigned kind)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (entry == NULL) {
        async__ring_give_buffers(ring);
        io_uring_submit(&ring->ring);
        entry = io_uring_get_sqe(&ring->ring);
        if (entry == NULL) return NULL;
    }
    /* prep functions leave it alone */
    entry->user_data = (uintptr_t)of | kind;
    return entry;
}

/* The same for an operation of a socket's. */
static struct io_uring_sqe *async__socket_entry(async__socket *socket,
                                                unsigned kind)
{
    return async__ring_entry(socket->ring, socket, kind);
}

/* --- what comes ---------------------------------------------------------- */

/* Keeps what is in a buffer of the ring's, which comes back. */
static int async__socket_keep(async__socket *socket, const char *data,
                              size_t size)
{
    async__kept *kept = (async__kept *)async__allocate(
        &socket->ring->loop->base, sizeof *kept + size);
    if (kept == NULL) return ASYNC_ENOMEM;
    memcpy(kept + 1, data, size);
    kept->at = 0;
    kept->size = size;
    kept->buffer = -1;
    kept->next = NULL;
    *socket->last_kept = kept;
    socket->last_kept = &kept->next;
    return 0;
}

/* Keeps the buffer itself, from `at` on. */
static int async__socket_borrow(async__socket *socket, int index, size_t at,
                                size_t size)
{
    async__ring *ring = socket->ring;
    async__kept *kept = &socket->one;
    if (socket->kept != NULL)
        kept = (async__kept *)async__allocate(&ring->loop->base,
                                              sizeof *kept);
    if (kept == NULL) return ASYNC_ENOMEM;
    kept->at = at;
    kept->size = size;
    kept->buffer = index;
    kept->next = NULL;
    *socket->last_kept = kept;
    socket->last_kept = &kept->next;
    ring->is_lent[index] = 1;
    ring->lent++;
    return 0;
}

static const char *async__socket_kept(const async__socket *socket)
{
    const async__kept *kept = socket->kept;
    return kept->buffer < 0 ? (const char *)(kept + 1)
                            : socket->ring->buffer[kept->buffer];
}

static void async__socket_drop_kept(async__socket *socket)
{
    async__ring *ring = socket->ring;
    async__kept *kept = socket->kept;
    size_t size = sizeof *kept;
    socket->kept = kept->next;
    if (socket->kept == NULL) socket->last_kept = &socket->kept;
    if (kept->buffer < 0) {
        size += kept->size;
    } else {
        ring->is_lent[kept->buffer] = 0;
        ring->lent--;
        async__ring_give_buffer(ring, kept->buffer);
    }
    if (kept != &socket->one) async__release(&ring->loop->base, kept, size);
}

static int async__socket_listens_to(const async__socket *socket)
{
    return socket->wanted && !socket->ending;
}

/* Gives data to who reads, as far as that takes it; how much it has been. */
static size_t async__socket_offer(async__socket *socket, const char *data,
                                  size_t size)
{
    uv_stream_t *handle = &socket->stream->handle.stream;
    size_t taken = 0;
    while (taken < size && async__socket_listens_to(socket)) {
        uv_buf_t buffer = uv_buf_init(NULL, 0);
        size_t part = size - taken;
        socket->allocate((uv_handle_t *)handle, ASYNC__UV_READ_BUFFER,
                         &buffer);
        if (buffer.base == NULL || buffer.len == 0) {
            socket->read(handle, UV_ENOBUFS, &buffer);
            break;
        }
        if (part > buffer.len) part = buffer.len;
        memcpy(buffer.base, data + taken, part);
        taken += part;
        socket->read(handle, (ssize_t)part, &buffer);
    }
    return taken;
}

/* What has been kept, and how it ended, to who reads again. */
static void async__socket_deliver(async__socket *socket)
{
    uv_stream_t *handle = &socket->stream->handle.stream;
    while (socket->kept != NULL && async__socket_listens_to(socket)) {
        async__kept *kept = socket->kept;
        kept->at += async__socket_offer(
            socket, async__socket_kept(socket) + kept->at,
            kept->size - kept->at);
        if (kept->at < kept->size) return;
        async__socket_drop_kept(socket);
    }
    if (socket->kept == NULL && socket->ended &&
        async__socket_listens_to(socket)) {
        uv_buf_t none = uv_buf_init(NULL, 0);
        socket->wanted = 0;
        socket->read(handle, socket->failure ? socket->failure : (int)UV_EOF,
                     &none);
    }
}

/* What has come into a buffer, which then is the kernel's again, unless it is
 * kept. */
static void async__socket_got_data(async__socket *socket, int index,
                                   size_t size)
{
    async__ring *ring = socket->ring;
    const char *data = ring->buffer[index];
    size_t taken = 0;
    int error = 0;
    if (!socket->ending && !socket->ended) {
        if (size >= ASYNC__RING_LARGE) socket->large = 1;
        if (socket->kept == NULL)
            taken = async__socket_offer(socket, data, size);
        if (taken < size && !socket->ending) {
            async__socket_attend_to(socket);
            if (2 * ring->lent < ring->buffers &&
                async__socket_borrow(socket, index, taken, size) == 0)
                return;
            error = async__socket_keep(socket, data + taken, size - taken);
        }
    }
    if (error) {
        socket->failure = error;
        socket->ended = 1;
    }
    async__ring_give_buffer(ring, index);
}

static void async__socket_received(async__socket *socket, int result)
{
    if (socket->ending) return;
    if (result == -ENOBUFS) {
        socket->ring->starved = 1;
    } else if (result == 0 || (result != -ECANCELED && result != -EINTR &&
                               result != -EAGAIN)) {
        socket->ended = 1;
        socket->failure = result;
        if (socket->kept == NULL) async__socket_deliver(socket);
    }
}

/* There is something to read for who may get much: a buffer of the reader's
 * own, and a call for each, as libuv does it. */
static void async__socket_read_now(async__socket *socket)
{
    uv_stream_t *handle = &socket->stream->handle.stream;
    ssize_t got;
    int turns = 8;
    uv_buf_t buffer;
    do {
        buffer = uv_buf_init(NULL, 0);
        if (!async__socket_listens_to(socket)) return;
        socket->allocate((uv_handle_t *)handle, ASYNC__UV_READ_BUFFER,
                         &buffer);
        if (buffer.base == NULL || buffer.len == 0) {
            socket->read(handle, UV_ENOBUFS, &buffer);
            return;
        }
        do got = recv(socket->fd, buffer.base, buffer.len, MSG_DONTWAIT);
        while (got < 0 && errno == EINTR);
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            socket->read(handle, 0, &buffer);
            return;
        }
        if (got <= 0) {
            socket->ended = 1;
            socket->failure = got < 0 ? -errno : 0;
            socket->wanted = 0;
            socket->read(handle, got < 0 ? socket->failure : (int)UV_EOF,
                         &buffer);
            return;
        }
        if (got >= ASYNC__RING_SMALL_WRITE)
            socket->small_ones = 0;
        else if (++socket->small_ones == ASYNC__RING_FEW)
            socket->large = socket->small_ones = 0;
        socket->read(handle, got, &buffer);
    } while ((size_t)got == buffer.len && --turns > 0);
}

/* --- connections that come ----------------------------------------------- */

/* As those are ended that nobody has accepted. */
static void async__socket_refuse(async__socket *listener, int fd)
{
    struct linger at_once = { 1, 0 };
    if (listener->stream->handle.any.type == UV_TCP)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static int async__socket_keep_accepted(async__socket *socket, int fd)
{
    async_loop *loop = &socket->ring->loop->base;
    if (socket->accepted_at > 0 &&
        socket->accepted_at == socket->accepted_count)
        socket->accepted_at = socket->accepted_count = 0;
    if (socket->accepted_count == socket->accepted_room) {
        int room = socket->accepted_room > 0 ? 2 * socket->accepted_room : 16;
        int *larger =
            (int *)async__allocate(loop, (size_t)room * sizeof *larger);
        if (larger == NULL) return ASYNC_ENOMEM;
        if (socket->accepted != NULL) {
            memcpy(larger, socket->accepted,
                   (size_t)socket->accepted_count * sizeof *larger);
            async__release(loop, socket->accepted,
                           (size_t)socket->accepted_room * sizeof *larger);
        }
        socket->accepted = larger;
        socket->accepted_room = room;
    }
    socket->accepted[socket->accepted_count++] = fd;
    return 0;
}

static void async__socket_accepted(async__socket *socket, int result)
{
    uv_stream_t *handle = &socket->stream->handle.stream;
    if (result >= 0 && socket->ending) {
        async__socket_refuse(socket, result);
    } else if (result >= 0) {
        int error = async__socket_keep_accepted(socket, result);
        if (error) async__socket_refuse(socket, result);
        socket->connected(handle, error);
        async__socket_attend_to(socket); /* if nobody takes it */
    } else if (!socket->ending && result != -ECANCELED && result != -EINTR &&
               result != -EAGAIN && result != -ECONNABORTED) {
        socket->wanted = 0; /* until somebody asks again */
        socket->connected(handle, result);
    }
}

/* --- what goes ----------------------------------------------------------- */

/* What libuv tells of the handle. */
static size_t *async__socket_unwritten(async__socket *socket)
{
    return &socket->stream->handle.stream.write_queue_size;
}

/* So much more is out. */
static void async__socket_sent_bytes(async__socket *socket, size_t size)
{
    uv_write_t *write = socket->writes;
    *async__socket_unwritten(socket) -= size;
    for (; size > 0; write = async__write_next(write)) {
        uv_buf_t *rest = async__write_rest(write);
        size_t part = size < rest->len ? size : rest->len;
        rest->base += part;
        rest->len -= part;
        size -= part;
    }
}

/* Calls back for the first write, which is over. */
static void async__socket_pop_write(async__socket *socket, int status)
{
    uv_write_t *write = socket->writes;
    *async__socket_unwritten(socket) -= async__write_rest(write)->len;
    socket->writes = async__write_next(write);
    write->cb(write, status);
}

static void async__socket_sent(async__socket *socket, int result)
{
    socket->sending = socket->send_stopping = 0;
    socket->send_waits = result == -EAGAIN;
    if (result > 0) {
        async__socket_sent_bytes(socket, (size_t)result);
        if (async__write_rest(socket->writes)->len == 0 && !socket->ending)
            async__socket_pop_write(socket, 0);
    } else if (result != -EAGAIN && result != -EINTR && !socket->ending) {
        async__socket_pop_write(socket, result);
    }
    if ((socket->writes != NULL || socket->shutting != NULL) &&
        !socket->ending)
        async__socket_attend_to(socket);
}

/* --- attention ----------------------------------------------------------- */

static int async__socket_begin_receiving(async__socket *socket)
{
    struct io_uring_sqe *entry =
        async__socket_entry(socket, ASYNC__RING_RECEIVED);
    uint64_t data;
    if (entry == NULL) return 0;
    data = entry->user_data;
    if (socket->inlet == ASYNC__INLET_ACCEPTS) {
        io_uring_prep_multishot_accept(entry, socket->fd, NULL, NULL,
                                       SOCK_CLOEXEC);
    } else {
        if (socket->large) {
            io_uring_prep_poll_add(entry, socket->fd, POLLIN);
            socket->polling = 1;
        } else {
            io_uring_prep_recv(entry, socket->fd, NULL, 0, 0);
            entry->ioprio |= IORING_RECV_MULTISHOT;
            entry->flags |= IOSQE_BUFFER_SELECT;
        }
    }
    entry->user_data = data;
    socket->receiving = 1;
    socket->operations++;
    return 1;
}

static int async__socket_begin_sending(async__socket *socket)
{
    struct io_uring_sqe *entry = async__socket_entry(socket, ASYNC__RING_SENT);
    uint64_t data;
    uv_buf_t *rest;
    if (entry == NULL) return 0;
    data = entry->user_data;
    rest = async__write_rest(socket->writes);
    io_uring_prep_send(entry, socket->fd, rest->base, rest->len,
                       MSG_NOSIGNAL);
    if (socket->send_waits) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    entry->user_data = data;
    socket->sending = 1;
    socket->operations++;
    return 1;
}

/* Asks for the end of an operation, whose completion then comes. */
static int async__socket_stop(async__socket *socket, unsigned kind)
{
    struct io_uring_sqe *entry =
        async__ring_entry(socket->ring, NULL, ASYNC__RING_NOTHING);
    if (entry == NULL) return 0;
    io_uring_prep_cancel64(entry, (uintptr_t)socket | kind, 0);
    entry->user_data = ASYNC__RING_NOTHING;
    return 1;
}

static void async__socket_shut_down(async__socket *socket)
{
    uv_shutdown_t *request = socket->shutting;
    int error = shutdown(socket->fd, SHUT_WR) == 0 ? 0 : -errno;
    socket->shutting = NULL;
    request->cb(request, error);
}

/* Whether what has come waits for somebody. */
static int async__socket_is_full(const async__socket *socket)
{
    return socket->kept != NULL ||
           socket->accepted_at < socket->accepted_count;
}

/* Does what there is to do for a socket, before the kernel is called.  Returns
 * 0 when there is no room for that. */
static int async__socket_attend(async__socket *socket)
{
    if (!socket->ending) {
        if (socket->kept != NULL || socket->ended)
            async__socket_deliver(socket);
        if (socket->shutting != NULL && socket->writes == NULL)
            async__socket_shut_down(socket);
    }
    if (socket->receiving && !socket->stopping &&
        (socket->ending || async__socket_is_full(socket) ||
         (socket->large && !socket->polling))) {
        if (!async__socket_stop(socket, ASYNC__RING_RECEIVED)) return 0;
        socket->stopping = 1;
    }
    if (socket->ending) {
        if (socket->sending && !socket->send_stopping) {
            if (!async__socket_stop(socket, ASYNC__RING_SENT)) return 0;
            socket->send_stopping = 1;
        }
        return 1;
    }
    if (socket->wanted && !socket->receiving && !socket->ended &&
        !async__socket_is_full(socket) &&
        !async__socket_begin_receiving(socket))
        return 0;
    if (socket->writes != NULL && !socket->sending &&
        !async__socket_begin_sending(socket))
        return 0;
    /* Who reads, and has not taken it, is asked again in each poll. */
    return socket->kept == NULL || !socket->wanted;
}

static void async__ring_attend(async__ring *ring)
{
    async__socket *socket = ring->attention, *next;
    ring->attention = NULL;
    ring->last_attention = &ring->attention;
    for (; socket != NULL; socket = next) {
        next = socket->next;
        socket->attention = 0;
        if (!async__socket_attend(socket)) async__socket_attend_to(socket);
    }
    if (!ring->watching) {
        struct io_uring_sqe *entry =
            async__ring_entry(ring, NULL, ASYNC__RING_ATTENTION);
        if (entry == NULL) return;
        io_uring_prep_poll_add(entry, uv_backend_fd(ring->loop->uv), POLLIN);
        entry->user_data = ASYNC__RING_ATTENTION;
        ring->watching = 1;
    }
}

/* --- the end of a socket ------------------------------------------------- */

/* The kernel has nothing of it any more. */
static void async__socket_free(async__socket *socket)
{
    async_loop *loop = &socket->ring->loop->base;
    async_stream *stream = socket->stream;
    async__unlink(&socket->link);
    while (socket->kept != NULL) async__socket_drop_kept(socket);
    while (socket->accepted_at < socket->accepted_count)
        async__socket_refuse(socket, socket->accepted[socket->accepted_at++]);
    if (socket->accepted != NULL)
        async__release(loop, socket->accepted,
                       (size_t)socket->accepted_room * sizeof(int));
    while (socket->writes != NULL)
        async__socket_pop_write(socket,
                                async__write_rest(socket->writes)->len == 0
                                    ? 0
                                    : (int)UV_ECANCELED);
    if (socket->shutting != NULL)
        socket->shutting->cb(socket->shutting, UV_ECANCELED);
    socket->ring->carried[socket->fd / 8] &=
        (unsigned char)~(1 << socket->fd % 8);
    stream->socket = NULL;
    uv_close(&stream->handle.any, socket->closed);
    async__release(loop, socket, sizeof *socket);
}

static void async__ring_free_ended(async__ring *ring)
{
    async_link *link = ring->ending.next, *next;
    for (; link != &ring->ending; link = next) {
        async__socket *socket = (async__socket *)(void *)link;
        next = link->next;
        if (socket->operations == 0 && !socket->attention)
            async__socket_free(socket);
    }
}

/* --- completions --------------------------------------------------------- */

static void async__socket_completed(async__socket *socket, unsigned kind,
                                    int result, unsigned flags)
{
    async__ring *ring = socket->ring;
    if (!(flags & IORING_CQE_F_MORE)) socket->operations--;
    if (kind == ASYNC__RING_SENT) {
        async__socket_sent(socket, result);
        return;
    }
    if (!(flags & IORING_CQE_F_MORE)) socket->receiving = socket->stopping = 0;
    if (socket->inlet == ASYNC__INLET_ACCEPTS) {
        async__socket_accepted(socket, result);
    } else if (socket->polling) {
        socket->polling = 0;
        if (result != -ECANCELED) async__socket_read_now(socket);
    } else {
        if (flags & IORING_CQE_F_BUFFER) {
            int index = (int)(flags >> IORING_CQE_BUFFER_SHIFT);
            if (result > 0)
                async__socket_got_data(socket, index, (size_t)result);
            else
                async__ring_give_buffer(ring, index);
            if (socket->large) async__socket_attend_to(socket);
        }
        if (result <= 0) async__socket_received(socket, result);
    }
    if (!socket->receiving && socket->wanted && !socket->ending)
        async__socket_attend_to(socket); /* it begins again */
}

static async__socket *async__completion_socket(const struct io_uring_cqe *of)
{
    uint64_t data = of->user_data;
    return (data & ASYNC__RING_KIND) <= ASYNC__RING_SENT
               ? (async__socket *)(uintptr_t)(data & ~(uint64_t)
                                                  ASYNC__RING_KIND)
               : NULL;
}

/* Of many connections none is in the cache: while one is looked at, the next
 * come.
 *
 * runs  whether what many reads have woken may run before the rest is looked
 *       at; not where the ring is about to go */
static void async__ring_reap(async__ring *ring, int runs)
{
    struct io_uring_cqe *completions[ASYNC__RING_BATCH];
    async__socket *next;
    unsigned count, i;
    do {
        count = io_uring_peek_batch_cqe(&ring->ring, completions,
                                        ASYNC__RING_BATCH);
        for (i = 0; i < count; i++)
            __builtin_prefetch(async__completion_socket(completions[i]));
        for (i = 0; i < count; i++) {
            uint64_t data = completions[i]->user_data;
            unsigned kind = (unsigned)(data & ASYNC__RING_KIND);
            next = i + 1 < count ? async__completion_socket(completions[i + 1])
                                 : NULL;
            if (next != NULL) __builtin_prefetch(&next->stream->waiter);
            if (kind <= ASYNC__RING_SENT) {
                async__socket_completed(
                    async__completion_socket(completions[i]), kind,
                    completions[i]->res, completions[i]->flags);
            } else if (kind == ASYNC__RING_ATTENTION) {
                ring->watching = 0;
                ring->uv_is_ready = 1;
            }
        }
        io_uring_cq_advance(&ring->ring, count);
        if (runs && ring->loop->arrivals >= ASYNC__UV_ARRIVALS)
            async__uv_run_woken(&ring->loop->base);
    } while (count == ASYNC__RING_BATCH);
    if (ring->starved) (void)async__ring_more_buffers(ring);
    ring->starved = 0;
    async__ring_give_buffers(ring);
}

/* --- the poll ------------------------------------------------------------ */

/* The loop runs in another thread than before, which a ring does not allow: a
 * new one goes on.  What the old one had received is here; what else it had is
 * given up, and had done nothing yet. */
static int async__ring_move(async__ring *ring)
{
    async_link *lists[2], *link;
    int i, error;
    lists[0] = &ring->sockets;
    lists[1] = &ring->ending;
    async__ring_reap(ring, 0);
    io_uring_queue_exit(&ring->ring);
    error = async__ring_open(&ring->ring);
    if (!error) error = async__ring_register(ring);
    ring->owner = uv_thread_self();
    ring->watching = 0;
    for (i = 0; i < 2; i++)
        for (link = lists[i]->next; link != lists[i]; link = link->next) {
            async__socket *socket = (async__socket *)(void *)link;
            socket->operations = 0;
            socket->receiving = socket->stopping = socket->polling = 0;
            socket->sending = socket->send_stopping = 0;
            async__socket_attend_to(socket);
        }
    return error;
}

/* Whether libuv has something to do now; else how long it has not, as far as
 * that is sooner than *deadline. */
static int async__ring_uv_is_due(async_uv_loop *loop, async_time *deadline)
{
    int timeout = uv_backend_timeout(loop->uv);
    if (timeout > 0) {
        /* from libuv's idea of the present, in milliseconds */
        async_time due =
            (async_time)(uv_now(loop->uv) + (uint64_t)timeout) * 1000000;
        if (due <= (async_time)uv_hrtime()) return 1;
        if (due < *deadline) *deadline = due;
    }
    return timeout == 0;
}

/* Submits, and waits until the deadline for something to come. */
static int async__ring_enter(async__ring *ring, int waits, async_time deadline)
{
    struct __kernel_timespec span, *limit = NULL;
    struct io_uring_cqe *first;
    int error = 0;
    async__ring_give_buffers(ring);
    if (waits) {
        if (deadline != ASYNC_FOREVER) {
            async_duration left = deadline - (async_time)uv_hrtime();
            if (left < 0) left = 0;
            span.tv_sec = left / 1000000000;
            span.tv_nsec = left % 1000000000;
            limit = &span;
        }
        error = io_uring_submit_and_wait_timeout(&ring->ring, &first, 1, limit,
                                                 NULL);
    } else if (io_uring_sq_ready(&ring->ring) > 0) {
        error = io_uring_submit_and_get_events(&ring->ring);
    }
    /* These mean: not now.  What was not submitted is the next time. */
    if (error == -ETIME || error == -EINTR || error == -EBUSY ||
        error == -EAGAIN || error == -ENOMEM)
        error = 0;
    return error < 0 ? error : 0;
}

static int async__ring_poll(async_uv_loop *loop, async_time deadline)
{
    async__ring *ring = loop->ring;
    async_loop *base = &loop->base;
    uv_thread_t self = uv_thread_self();
    async_time until = deadline;
    int uv_is_due, waits, error = 0;
    if (!uv_thread_equal(&self, &ring->owner)) {
        error = async__ring_move(ring);
        if (error) return error;
    }
    async__ring_attend(ring);
    async__ring_free_ended(ring);
    uv_is_due = async__ring_uv_is_due(loop, &until);
    waits = deadline != ASYNC_NO_WAIT && !uv_is_due &&
            ring->attention == NULL && base->tail == &base->ready;
    error = async__ring_enter(ring, waits, until);
    if (error) return error;
    async__ring_reap(ring, 1);
    async__ring_free_ended(ring);
    if (ring->uv_is_ready || uv_is_due ||
        async__ring_uv_is_due(loop, &until)) {
        ring->uv_is_ready = 0;
        uv_run(loop->uv, UV_RUN_NOWAIT);
    }
    return 0;
}

/* All sockets are ending: waits until the kernel has let go of them. */
static void async__ring_close(async_uv_loop *loop)
{
    async__ring *ring = loop->ring;
    uv_thread_t self = uv_thread_self();
    int mine = uv_thread_equal(&self, &ring->owner);
    while (!async__list_empty(&ring->ending)) {
        async_time soon = (async_time)uv_hrtime() + ASYNC_SECONDS(1);
        /* Of another thread's ring nothing more comes: it is given up. */
        if (!mine) break;
        async__ring_attend(ring);
        async__ring_free_ended(ring);
        if (async__list_empty(&ring->ending)) break;
        if (async__ring_enter(ring, 1, soon) != 0) break;
        async__ring_reap(ring, 0);
        async__ring_free_ended(ring);
    }
    io_uring_queue_exit(&ring->ring);
    while (!async__list_empty(&ring->ending))
        async__socket_free((async__socket *)(void *)ring->ending.next);
    loop->ring = NULL;
    loop->carrier = NULL;
    async__ring_free(ring);
}

/* --- what streams call --------------------------------------------------- */

static int async__socket_join(async_stream *stream)
{
    async_uv_loop *loop = async__uv(stream->resource.loop);
    async__socket *socket;
    uv_os_fd_t fd;
    int error, kind = 0;
    socklen_t size = sizeof kind;
    if (stream->handle.any.type != UV_TCP &&
        stream->handle.any.type != UV_NAMED_PIPE)
        return 0;
    error = uv_fileno(&stream->handle.any, &fd);
    if (error) return 0; /* libuv says why */
    if (stream->handle.any.type == UV_NAMED_PIPE &&
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) != 0)
        return 0; /* a pipe that is no socket */
    if (loop->ring == NULL) {
        error = async__ring_make(loop);
        if (error || loop->ring == NULL) return error;
    }
    error = async__ring_reserve(loop->ring, fd);
    if (error) return error;
    socket = (async__socket *)async__allocate(&loop->base, sizeof *socket);
    if (socket == NULL) return ASYNC_ENOMEM;
    memset(socket, 0, sizeof *socket);
    socket->ring = loop->ring;
    socket->stream = stream;
    socket->fd = fd;
    socket->last_kept = &socket->kept;
    loop->ring->carried[fd / 8] |= (unsigned char)(1 << fd % 8);
    async__list_append(&loop->ring->sockets, &socket->link);
    stream->socket = socket;
    return 0;
}

static int async__socket_read_start(async__socket *socket,
                                    uv_alloc_cb allocate, uv_read_cb read)
{
    if (!uv_is_readable(&socket->stream->handle.stream)) return UV_ENOTCONN;
    socket->inlet = ASYNC__INLET_READS;
    socket->allocate = allocate;
    socket->read = read;
    socket->wanted = 1;
    if (!socket->receiving || socket->stopping || socket->ended ||
        socket->kept != NULL)
        async__socket_attend_to(socket);
    return 0;
}

/* The kernel goes on until something comes that nobody takes. */
static void async__socket_read_stop(async__socket *socket)
{
    socket->wanted = 0;
}

static int async__socket_check_write(const async__socket *socket)
{
    return socket->shut ||
                   !uv_is_writable(&socket->stream->handle.stream)
               ? (int)UV_EPIPE
               : 0;
}

/* Without waiting.  Returns how much is out, or the error. */
static ssize_t async__socket_send_now(async__socket *socket,
                                      const uv_buf_t *buffers, unsigned count)
{
    struct msghdr message;
    ssize_t sent;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)(void *)(uintptr_t)buffers;
    message.msg_iovlen = count;
    do sent = sendmsg(socket->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

/* What is small goes out with the rest of the iteration. */
static int async__socket_try_write(async__socket *socket,
                                   const uv_buf_t *buffers, unsigned count)
{
    int error = async__socket_check_write(socket);
    size_t size = 0;
    unsigned i;
    if (error) return error;
    if (socket->writes != NULL) return UV_EAGAIN;
    for (i = 0; i < count; i++) size += buffers[i].len;
    if (size <= ASYNC__RING_SMALL_WRITE) return UV_EAGAIN;
    return (int)async__socket_send_now(socket, buffers, count);
}

static int async__socket_write(async__socket *socket, uv_write_t *request,
                               uv_buf_t buffer, size_t room,
                               uv_write_cb written)
{
    int error = async__socket_check_write(socket);
    if (error) return error;
    request->handle = &socket->stream->handle.stream;
    request->cb = written;
    request->bufsml[0] = buffer;
    request->bufsml[1].base = NULL;
    request->bufsml[2].len = room - buffer.len;
    if (socket->writes == NULL)
        socket->writes = request;
    else
        socket->last_write->bufsml[1].base = (char *)request;
    socket->last_write = request;
    *async__socket_unwritten(socket) += buffer.len;
    if (!socket->sending) async__socket_attend_to(socket);
    return 0;
}

/* (Behind what the kernel is just sending, too: of that it has the size.) */
static char *async__socket_more_to_write(async__socket *socket, size_t size,
                                         uv_write_cb written)
{
    uv_write_t *last = socket->last_write;
    uv_buf_t *rest;
    char *more;
    if (socket->writes == NULL || last->cb != written) return NULL;
    if (socket->shut || size > last->bufsml[2].len) return NULL;
    rest = async__write_rest(last);
    more = rest->base + rest->len;
    rest->len += size;
    last->bufsml[2].len -= size;
    *async__socket_unwritten(socket) += size;
    return more;
}

/* Sends without the ring what that has not been given yet. */
static void async__socket_send_rest(async__socket *socket)
{
    uv_write_t *write = socket->writes;
    if (socket->sending) return;
    for (; write != NULL; write = async__write_next(write)) {
        uv_buf_t *rest = async__write_rest(write);
        ssize_t sent = async__socket_send_now(socket, rest, 1);
        if (sent < 0) return; /* the ring will be told the same */
        *async__socket_unwritten(socket) -= (size_t)sent;
        rest->base += sent;
        rest->len -= (size_t)sent;
        if (rest->len > 0) return;
    }
}

static void async__socket_settle(async__socket *socket)
{
    async__socket_send_rest(socket);
    while (socket->writes != NULL &&
           async__write_rest(socket->writes)->len == 0)
        async__socket_pop_write(socket, 0);
}

static int async__socket_shutdown(async__socket *socket,
                                  uv_shutdown_t *request, uv_shutdown_cb done)
{
    if (async__socket_check_write(socket) != 0 || socket->shutting != NULL)
        return UV_ENOTCONN;
    request->handle = &socket->stream->handle.stream;
    request->cb = done;
    socket->shutting = request;
    socket->shut = 1;
    async__socket_attend_to(socket);
    return 0;
}

static int async__socket_listen(async__socket *socket, int backlog,
                                uv_connection_cb connected)
{
    const async_stream *stream = socket->stream;
    if (stream->handle.any.type == UV_TCP &&
        stream->handle.tcp.delayed_error)
        return stream->handle.tcp.delayed_error; /* of uv_tcp_bind() */
    if (listen(socket->fd, backlog) != 0) return -errno;
    socket->inlet = ASYNC__INLET_ACCEPTS;
    socket->connected = connected;
    return 0;
}

static void async__socket_accept_more(async__socket *socket)
{
    socket->wanted = 1;
    if (!socket->receiving) async__socket_attend_to(socket);
}

static int async__socket_accept(async__socket *socket, async_stream *client)
{
    int fd = socket->accepted[socket->accepted_at++], error;
    error = client->handle.any.type == UV_TCP
                ? uv_tcp_open(&client->handle.tcp, fd)
                : uv_pipe_open(&client->handle.pipe, fd);
    if (error) async__socket_refuse(socket, fd);
    return error;
}

static void async__socket_end(async__socket *socket, uv_close_cb closed)
{
    async__ring *ring = socket->ring;
    async__socket_send_rest(socket);
    socket->ending = 1;
    socket->closed = closed;
    async__unlink(&socket->link);
    async__list_append(&ring->ending, &socket->link);
    async__socket_attend_to(socket);
}

/* --- on and off ---------------------------------------------------------- */

int async_uring_enable(void)
{
    static const async__carrier carrier = {
        async__ring_poll, async__ring_close, async__ring_carries,
        async__socket_join,
        async__socket_read_start, async__socket_read_stop,
        async__socket_try_write, async__socket_write,
        async__socket_more_to_write, async__socket_settle,
        async__socket_shutdown, async__socket_listen,
        async__socket_accept_more, async__socket_accept, async__socket_end
    };
    const char *choice = getenv("CAESURA_URING");
    struct io_uring ring;
    int error;
    if (choice != NULL && strcmp(choice, "0") == 0) return UV_ENOTSUP;
    error = async__ring_open(&ring);
    if (error) return error;
    io_uring_queue_exit(&ring);
    async__uv_set_carrier(&carrier);
    return 0;
}

void async_uring_disable(void)
{
    async__uv_set_carrier(NULL);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
