/* connect.h - TCP connections by name, and to the first of several addresses
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_tcp_connect_host, &self->stream, "example.org", 80);
 *
 * What comes of it is an async_stream, see stream.h.  Host names have often
 * several addresses, some of which cannot be reached from here.  They are tried
 * as RFC 8305 ("happy eyeballs") says: when one has not answered in a quarter
 * of a second, the next one is tried beside it.
 */
#ifndef CAESURA_UV_CONNECT_H
#define CAESURA_UV_CONNECT_H

#include "dns.h"
#include "tcp.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* Private: the attempts of one coroutine. */
typedef struct async__race {
    async_loop *loop;
    async_operation change;   /* something has happened, or all is closed */
    async_handle timer;       /* when the next one is due */
    const struct addrinfo *turns[2]; /* the next ones of both families */
    int turn, due;
    int open;                 /* handles that are not closed yet */
    int running;              /* attempts that may still succeed */
    struct async__attempt *attempts, *latest, *winner;
    int begun;                /* how many have */
    int failure, failed;      /* what is raised if none succeeds; whose */
    int taken;                /* there is a socket */
    uv_os_sock_t socket;      /* the winner's, while the rest is closed */
} async__race;

/* AWAIT(async_tcp_connect_any, stream, addresses, delay): opens a zeroed stream
 * to that one of several addresses which answers first.
 *
 * addresses  a list of async_getaddrinfo()'s, or one that the program has
 *            linked by itself, of which ai_addr, ai_family and ai_next are
 *            used.  It must stay until this has ended.
 * delay      how long one is waited for before the next is tried beside it; 0,
 *            or left out: 250 ms.  Families take turns, beginning with that
 *            of the first address; when one fails, the next begins at once.
 *            ASYNC_FOREVER: one after the other, in the order of the list
 * Result     the stream is open, with TCP_NODELAY; async_stream's handle tells
 *            whereto (uv_tcp_getpeername).  All other attempts are closed.
 * Errors     when all have failed, the error of the first in the list's order
 *            of attempts, but for those that say that this machine has no such
 *            network (-ENETUNREACH, -EADDRNOTAVAIL, -EAFNOSUPPORT), which give
 *            way to any other; -EMFILE ..., ASYNC_ENOMEM;
 *            ASYNC_EBUSY when the stream is open; ASYNC_EINVAL for an empty
 *            list, or on a loop that is not libuv's.  The stream is then as it
 *            was: it is not open until this ends, so closing it meanwhile does
 *            nothing.
 * Cancel     raised when all attempts are closed
 * Memory     some 600 bytes for each attempt, as long as it lasts
 * Counterpart: loop.create_connection(happy_eyeballs_delay=). */
struct async_tcp_connect_any {
    ASYNC_FRAME;
    async_stream *stream;
    const struct addrinfo *addresses;
    async_duration delay;
    int error;
    async__race race; /* private, as `error` */
};
ASYNC(async_tcp_connect_any);

/* AWAIT(async_tcp_connect_host, stream, host, port, delay): looks a host's
 * addresses up and connects to one of them.  An address in numbers is not
 * looked up.
 * host     used only until this first suspends
 * delay    as above
 * Errors   those of async_getaddrinfo() (UV_EAI_NONAME ...) and of
 *          async_tcp_connect_any()
 * Cancel   at once while it looks up; then as above
 * Counterpart: asyncio.open_connection(host, port). */
struct async_tcp_connect_host {
    ASYNC_FRAME;
    async_stream *stream;
    const char *host;
    int port;
    async_duration delay;
    char service[12];
    struct addrinfo hints;
    struct sockaddr_storage address;
    struct addrinfo *found;
};
ASYNC(async_tcp_connect_host);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_CONNECT_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * An open stream cannot move, and it is not known before the end which attempt
 * wins.  So each has a handle of its own; the winner's socket is duplicated,
 * all handles are closed, and then the caller's stream is opened on it.
 *
 * An attempt is a block of memory that libuv's last callback frees.  It is
 * among what is closed with the loop, as a stream is.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_CONNECT_IMPLEMENTED)
#define CAESURA_UV_CONNECT_IMPLEMENTED

#ifndef _WIN32
#include <fcntl.h>
#include <unistd.h>
#endif
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async__attempt {
    uv_tcp_t handle;
    uv_connect_t request;
    async_node resource;
    async__race *race;
    struct async__attempt *next;
    const async_allocator *allocator;
    int index; /* which attempt it is, from 0 */
} async__attempt;

/* --- sockets of the system's --------------------------------------------- */

static int async__duplicate_socket(const uv_tcp_t *handle, uv_os_sock_t *copy)
{
    uv_os_fd_t socket;
    int error = uv_fileno((const uv_handle_t *)handle, &socket);
    if (error) return error;
#ifdef _WIN32
    {
        WSAPROTOCOL_INFOW information;
        if (WSADuplicateSocketW((SOCKET)socket, GetCurrentProcessId(),
                                &information) != 0)
            return uv_translate_sys_error(WSAGetLastError());
        *copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO,
                           FROM_PROTOCOL_INFO, &information, 0,
                           WSA_FLAG_OVERLAPPED);
        if (*copy == INVALID_SOCKET)
            return uv_translate_sys_error(WSAGetLastError());
    }
#else
    *copy = fcntl(socket, F_DUPFD_CLOEXEC, 0);
    if (*copy < 0) return uv_translate_sys_error(errno);
#endif
    return 0;
}

static void async__close_socket(uv_os_sock_t socket)
{
#ifdef _WIN32
    closesocket(socket);
#else
    close(socket);
#endif
}

/* --- the addresses, in turn ---------------------------------------------- */

/* The first address from here on that is, or is not, of a family. */
static const struct addrinfo *async__race_skip(const struct addrinfo *address,
                                               int family, int same)
{
    while (address != NULL && (address->ai_addr == NULL ||
                               (address->ai_family == family) != same))
        address = address->ai_next;
    return address;
}

/* turns[0] has the family of the first address, turns[1] all others; in the
 * order of the list, turns[0] has them all, and turns[1] none. */
static void async__race_begin_turns(struct async_tcp_connect_any *self)
{
    async__race *race = &self->race;
    const struct addrinfo *first = self->addresses;
    while (first != NULL && first->ai_addr == NULL) first = first->ai_next;
    race->turns[0] = first;
    race->turns[1] = NULL;
    if (first != NULL && self->delay != ASYNC_FOREVER)
        race->turns[1] = async__race_skip(first, first->ai_family, 0);
    race->turn = 0;
}

static const struct addrinfo *
async__race_take_turn(struct async_tcp_connect_any *self)
{
    async__race *race = &self->race;
    const struct addrinfo *address;
    int family;
    if (race->turns[race->turn] == NULL) race->turn = !race->turn;
    address = race->turns[race->turn];
    if (address == NULL) return NULL;
    if (self->delay == ASYNC_FOREVER) {
        do race->turns[0] = race->turns[0]->ai_next;
        while (race->turns[0] != NULL && race->turns[0]->ai_addr == NULL);
    } else {
        /* turns[1] may have several families, which are not turns[0]'s. */
        const struct addrinfo *first = self->addresses;
        while (first->ai_addr == NULL) first = first->ai_next;
        family = first->ai_family;
        race->turns[race->turn] =
            async__race_skip(address->ai_next, family, race->turn == 0);
        race->turn = !race->turn;
    }
    return address;
}

/* --- attempts ------------------------------------------------------------ */

static void async__race_wake(async__race *race)
{
    if (!async_future_done(&race->change.future))
        async__finish(&race->change.future, ASYNC__FINISHED, 0);
}

static int async__race_is_local(int error)
{
    return error == UV_ENETUNREACH || error == UV_EADDRNOTAVAIL ||
           error == UV_EAFNOSUPPORT;
}

/* The block goes, and with the last one who waits for that may. */
static void async__attempt_on_close(uv_handle_t *handle)
{
    async__attempt *attempt = (async__attempt *)handle->data;
    async__attempt **at = &attempt->race->attempts;
    while (*at != attempt) at = &(*at)->next;
    *at = attempt->next;
    async__unlink(&attempt->resource.link);
    if (--attempt->race->open == 0) async__race_wake(attempt->race);
    attempt->allocator->release(attempt->allocator->context, attempt,
                                sizeof *attempt);
}

static void async__attempt_close(async__attempt *attempt)
{
    if (!uv_is_closing((uv_handle_t *)&attempt->handle))
        uv_close((uv_handle_t *)&attempt->handle, async__attempt_on_close);
}

static void async__attempt_close_resource(async_node *node)
{
    async__attempt_close(
        (async__attempt *)(void *)((char *)node -
                                   offsetof(async__attempt, resource)));
}

/* Attempts begin in their order, but may fail in another. */
static void async__race_failed(async__race *race, int error, int index)
{
    int here = async__race_is_local(error);
    int worse = async__race_is_local(race->failure);
    if (race->failure == 0 ||
        (here == worse ? index < race->failed : worse)) {
        race->failure = error;
        race->failed = index;
    }
}

static void async__attempt_on_done(uv_connect_t *request, int status)
{
    async__attempt *attempt = (async__attempt *)request->data;
    async__race *race = attempt->race;
    /* What is being closed has no say any more. */
    if (uv_is_closing((uv_handle_t *)&attempt->handle)) return;
    race->running--;
    if (status == 0) {
        if (race->winner == NULL) race->winner = attempt;
    } else {
        async__race_failed(race, status, attempt->index);
        if (attempt == race->latest) race->due = 1;
        async__attempt_close(attempt);
    }
    async__race_wake(race);
}

/* Begins one.  Returns its error. */
static int async__attempt_begin(async__race *race,
                                const struct sockaddr *address)
{
    const async_allocator *allocator = race->loop->allocator;
    async__attempt *attempt = NULL;
    int error;
    if (allocator != NULL)
        attempt = (async__attempt *)allocator->allocate(allocator->context,
                                                        sizeof *attempt);
    if (attempt == NULL) return ASYNC_ENOMEM;
    error = uv_tcp_init(async_uv_loop_of(race->loop), &attempt->handle);
    if (error) {
        allocator->release(allocator->context, attempt, sizeof *attempt);
        return error;
    }
    attempt->allocator = allocator;
    attempt->race = race;
    attempt->handle.data = attempt->request.data = attempt;
    attempt->resource.run = async__attempt_close_resource;
    async__uv_opened(race->loop, &attempt->resource);
    attempt->next = race->attempts;
    race->attempts = attempt;
    race->open++;
    error = uv_tcp_connect(&attempt->request, &attempt->handle, address,
                           async__attempt_on_done);
    if (error) {
        async__attempt_close(attempt);
        return error;
    }
    attempt->index = race->begun++;
    race->latest = attempt;
    race->running++;
    return 0;
}

static int async__race_on_due(void *argument)
{
    async__race *race = (async__race *)argument;
    race->due = 1;
    async__race_wake(race);
    return 0;
}

/* Begins what is due: the next address, and when that fails at once, the one
 * behind it.  Returns 0 when there is something to wait for, or the error that
 * all of them have come to. */
static int async__race_go_on(struct async_tcp_connect_any *self)
{
    async__race *race = &self->race;
    const struct addrinfo *address;
    int error;
    while (race->due) {
        address = async__race_take_turn(self);
        if (address == NULL) break;
        error = async__attempt_begin(race, address->ai_addr);
        if (error == ASYNC_ENOMEM) return error;
        if (error) {
            async__race_failed(race, error, race->begun++);
            continue;
        }
        race->due = 0;
        async_handle_cancel(&race->timer);
        if (self->delay != ASYNC_FOREVER &&
            (race->turns[0] != NULL || race->turns[1] != NULL))
            (void)async_loop_call_later(
                race->loop, &race->timer,
                self->delay > 0 ? self->delay : ASYNC_MS(250),
                async__race_on_due, race);
    }
    if (race->running == 0)
        return race->failure ? race->failure : (int)ASYNC_EINVAL;
    return 0;
}

/* --- the race ------------------------------------------------------------ */

static int async__race_begin(struct async_tcp_connect_any *self, async *co)
{
    int error = async__uv_check(co);
    if (error) return error;
    if (self->stream->resource.state != ASYNC__IS_SHUT) return ASYNC_EBUSY;
    self->race.loop = async_loop_of(co);
    self->race.due = 1;
    async__race_begin_turns(self);
    return 0;
}

static int async__race_take(async__race *race)
{
    int error = async__duplicate_socket(&race->winner->handle, &race->socket);
    race->taken = !error;
    return error;
}

/* Closes all attempts.  Returns whether that has to be waited for. */
static int async__race_end(async__race *race)
{
    async__attempt *attempt;
    async_handle_cancel(&race->timer);
    async_operation_init(&race->change, race->loop, async__closer_goes_on);
    for (attempt = race->attempts; attempt != NULL; attempt = attempt->next)
        async__attempt_close(attempt);
    return race->open > 0;
}

/* Opens the caller's stream on the winner's socket. */
static int async__race_give(struct async_tcp_connect_any *self, async *co)
{
    uv_tcp_t *handle = &self->stream->handle.tcp;
    int error = async__stream_open(self->stream, co, UV_TCP);
    if (error) return error;
    error = uv_tcp_open(handle, self->race.socket);
    if (error) {
        async__stream_begin_close(self->stream);
        return error;
    }
    self->race.taken = 0;
    uv_tcp_nodelay(handle, 1);
    return 0;
}

ASYNC(async_tcp_connect_any)
{
    ASYNC_BEGIN(async_tcp_connect_any);
    self->error = async__race_begin(self, co);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        while (self->race.winner == NULL) {
            self->error = async__race_go_on(self);
            if (self->error) ASYNC_RAISE(self->error);
            async_operation_init(&self->race.change, self->race.loop,
                                 async_operation_cancelled);
            ASYNC__AWAIT_REQUEST(&self->race.change);
        }
        self->error = async__race_take(&self->race);
        if (self->error) ASYNC_RAISE(self->error);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (async__race_end(&self->race)) {
        ASYNC_TRY {
            ASYNC__AWAIT_REQUEST(&self->race.change);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
    }
    if (!self->error) self->error = async__race_give(self, co);
    if (self->error) {
        if (self->race.taken) {
            async__close_socket(self->race.socket);
            if (self->stream->resource.state == ASYNC__IS_CLOSING)
                ASYNC_AWAIT(async_stream_close, self->stream);
        }
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

/* --- by name ------------------------------------------------------------- */

static void async__connect_host_hints(struct async_tcp_connect_host *self)
{
    self->hints.ai_socktype = SOCK_STREAM;
    snprintf(self->service, sizeof self->service, "%d", self->port);
}

ASYNC(async_tcp_connect_host)
{
    ASYNC_BEGIN(async_tcp_connect_host);
    if (self->port < 0 || self->port > 65535) ASYNC_RAISE(ASYNC_EINVAL);
    if (self->stream->resource.state != ASYNC__IS_SHUT)
        ASYNC_RAISE(ASYNC_EBUSY);
    if (self->host != NULL &&
        async_tcp_address(&self->address, self->host, self->port) == 0) {
        ASYNC_AWAIT(async_tcp_connect, self->stream,
                    (const struct sockaddr *)&self->address);
        ASYNC_RETURN();
    }
    async__connect_host_hints(self);
    ASYNC_AWAIT_INTO(self->found, async_getaddrinfo, self->host, self->service,
                     &self->hints);
    ASYNC_TRY {
        ASYNC_AWAIT(async_tcp_connect_any, self->stream, self->found,
                    self->delay);
    } ASYNC_FINALLY {
        async_freeaddrinfo(self->found);
    } ASYNC_END_TRY
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
