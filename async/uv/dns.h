/* dns.h - names: of hosts to addresses, and back
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT_INTO(self->found, async_getaddrinfo, "example.org", "80", &hints);
 *     for (a = self->found; a != NULL; a = a->ai_next) use(a->ai_addr);
 *     async_freeaddrinfo(self->found);
 *
 * The system's own getaddrinfo() and getnameinfo(), which block, in one of
 * libuv's threads (it has four, of which two at most are for this).  connect.h
 * connects by name.
 *
 * Cancel   at once, for both.  One that has not begun is taken back; one that
 *          has cannot be stopped: it goes on in its thread, and its result is
 *          thrown away.  Closing a loop with a uv_loop_t of its own waits for
 *          such ones, as asyncio.run() does; on a borrowed one they hold up
 *          uv_run(), and the loop's allocator must stay until then.
 * Errors   libuv's: UV_EAI_NONAME (no such name), UV_EAI_AGAIN (no name server
 *          has answered), UV_EAI_SERVICE, UV_EAI_FAMILY, UV_EAI_BADFLAGS ...,
 *          of which async_error_name() has the names; for one name they may
 *          differ from system to system.  ASYNC_EINVAL for what cannot be a
 *          name; ASYNC_ENOMEM; ASYNC_ENOTASK; ASYNC_EINVAL on a loop that is
 *          not libuv's.
 */
#ifndef CAESURA_UV_DNS_H
#define CAESURA_UV_DNS_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* AWAIT_INTO(list, async_getaddrinfo, node, service, hints): the addresses of
 * a host, in the order in which they should be tried.
 *
 * node     a name, or an address in numbers; NULL: this machine
 * service  a port, "80", or its name, "http"; NULL: port 0.  One of the two
 *          must be given.
 * hints    which addresses: a const struct addrinfo * with ai_family,
 *          ai_socktype, ai_protocol and ai_flags; NULL, or left out: all, and
 *          then each address comes once for each type of socket
 *          All three are used only until this first suspends.
 * Result   a struct addrinfo *, a list that the caller frees:
 *          async_freeaddrinfo()
 * Counterpart: loop.getaddrinfo(), uv_getaddrinfo(). */
struct async_getaddrinfo {
    ASYNC_RETURNS(struct addrinfo *);
    const char *node, *service;
    const struct addrinfo *hints;
    struct addrinfo *found;
    async_operation looked_up;
    struct async__lookup *lookup;
};
ASYNC(async_getaddrinfo);

/* Frees the whole list; of NULL, nothing.  Any thread. */
static inline void async_freeaddrinfo(struct addrinfo *list)
{
    uv_freeaddrinfo(list);
}

/* AWAIT(async_getnameinfo, address, flags, names): the name of a host, and of
 * a service.
 *
 * address  a const struct sockaddr *, of IPv4 or IPv6, used only until this
 *          first suspends
 * flags    NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD ...; 0: names, and
 *          numbers where there is no name
 * names    the caller's, which gets both
 * Counterpart: loop.getnameinfo(), uv_getnameinfo(). */
typedef struct async_names {
    char host[NI_MAXHOST];
    char service[NI_MAXSERV];
} async_names;
struct async_getnameinfo {
    ASYNC_FRAME;
    const struct sockaddr *address;
    int flags;
    async_names *names;
    async_operation looked_up;
    struct async__lookup *lookup;
};
ASYNC(async_getnameinfo);

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_DNS_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * A lookup is a block of its own and not in the frame, so that who waits may
 * go when the thread cannot.  The block outlives even the loop, if that is
 * borrowed; so it comes from the allocator, not from the loop's pool.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_DNS_IMPLEMENTED)
#define CAESURA_UV_DNS_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async__lookup {
    union {
        uv_req_t any;
        uv_getaddrinfo_t addresses;
        uv_getnameinfo_t names;
    } request;
    async_node resource; /* as long as somebody waits */
    async_operation *waiter;
    const async_allocator *allocator;
} async__lookup;

/* Nobody waits any more. */
static void async__lookup_leave(async__lookup *lookup)
{
    if (lookup->waiter == NULL) return;
    lookup->waiter = NULL;
    async__unlink(&lookup->resource.link);
}

static void async__lookup_abandon(async__lookup *lookup)
{
    async__lookup_leave(lookup);
    (void)uv_cancel(&lookup->request.any);
}

/* The loop is being closed, and the frame of who waits may go with it. */
static void async__lookup_close_resource(async_node *node)
{
    async__lookup *lookup =
        (async__lookup *)(void *)((char *)node -
                                  offsetof(async__lookup, resource));
    async__finish(&lookup->waiter->future, ASYNC__FINISHED, ASYNC_ECLOSED);
    async__lookup_abandon(lookup);
}

static void async__lookup_free(async__lookup *lookup)
{
    lookup->allocator->release(lookup->allocator->context, lookup,
                               sizeof *lookup);
}

static async__lookup *async__lookup_make(async *co, int *error)
{
    async_loop *loop;
    async__lookup *lookup = NULL;
    *error = async__uv_check(co);
    if (*error) return NULL;
    loop = async_loop_of(co);
    if (loop->allocator != NULL)
        lookup = (async__lookup *)loop->allocator->allocate(
            loop->allocator->context, sizeof *lookup);
    if (lookup == NULL) {
        *error = ASYNC_ENOMEM;
        return NULL;
    }
    memset(lookup, 0, sizeof *lookup);
    lookup->allocator = loop->allocator;
    lookup->resource.run = async__lookup_close_resource;
    lookup->request.any.data = lookup;
    return lookup;
}

/* The request has begun, or `error` says why not. */
static int async__lookup_begun(async__lookup *lookup, async *co,
                               async_operation *waiter,
                               async_operation_cancel *cancel, int error)
{
    if (error) {
        async__lookup_free(lookup);
        return error;
    }
    async_operation_init(waiter, async_loop_of(co), cancel);
    lookup->waiter = waiter;
    async__uv_opened(async_loop_of(co), &lookup->resource);
    return 0;
}

/* The thread has done it.  The block goes. */
static void async__lookup_done(async__lookup *lookup, int status)
{
    async_operation *waiter = lookup->waiter;
    async__lookup_leave(lookup);
    async__lookup_free(lookup);
    if (status == UV_EAI_MEMORY) status = ASYNC_ENOMEM;
    if (waiter != NULL)
        async__finish(&waiter->future, ASYNC__FINISHED,
                      status < 0 ? status : 0);
}

/* --- addresses ----------------------------------------------------------- */

static struct async_getaddrinfo *async__getaddrinfo_of(async_operation *waiter)
{
    return (struct async_getaddrinfo *)(void *)((char *)waiter -
        offsetof(struct async_getaddrinfo, looked_up));
}

static void async__getaddrinfo_on_done(uv_getaddrinfo_t *request, int status,
                                       struct addrinfo *found)
{
    async__lookup *lookup = (async__lookup *)request->data;
    if (lookup->waiter != NULL)
        async__getaddrinfo_of(lookup->waiter)->found = found;
    else
        uv_freeaddrinfo(found);
    async__lookup_done(lookup, status);
}

static int async__getaddrinfo_cancel(async_operation *waiter)
{
    async__lookup_abandon(async__getaddrinfo_of(waiter)->lookup);
    return async_operation_cancelled(waiter);
}

static int async__getaddrinfo_begin(struct async_getaddrinfo *self, async *co)
{
    int error;
    self->lookup = async__lookup_make(co, &error);
    if (self->lookup == NULL) return error;
    error = uv_getaddrinfo(async_uv_loop_of(async_loop_of(co)),
                           &self->lookup->request.addresses,
                           async__getaddrinfo_on_done, self->node,
                           self->service, self->hints);
    return async__lookup_begun(self->lookup, co, &self->looked_up,
                               async__getaddrinfo_cancel, error);
}

ASYNC(async_getaddrinfo)
{
    int error;
    ASYNC_BEGIN(async_getaddrinfo);
    error = async__getaddrinfo_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC__WAIT_FOR(&self->looked_up.future);
    /* Cancelled when it had just been found: nobody gets it. */
    if (co->error) uv_freeaddrinfo(self->found);
    (void)async__awaited(co);
    async__drop(co);
    ASYNC__CHECK;
    ASYNC_RETURN(self->found);
    ASYNC_END;
}

/* --- names --------------------------------------------------------------- */

static struct async_getnameinfo *async__getnameinfo_of(async_operation *waiter)
{
    return (struct async_getnameinfo *)(void *)((char *)waiter -
        offsetof(struct async_getnameinfo, looked_up));
}

static void async__copy_text(char *to, size_t size, const char *from)
{
    size_t length = from != NULL ? strlen(from) : 0;
    if (length >= size) length = size - 1;
    if (length > 0) memcpy(to, from, length);
    to[length] = '\0';
}

static void async__getnameinfo_on_done(uv_getnameinfo_t *request, int status,
                                       const char *host, const char *service)
{
    async__lookup *lookup = (async__lookup *)request->data;
    if (lookup->waiter != NULL && status == 0) {
        async_names *names = async__getnameinfo_of(lookup->waiter)->names;
        async__copy_text(names->host, sizeof names->host, host);
        async__copy_text(names->service, sizeof names->service, service);
    }
    async__lookup_done(lookup, status);
}

static int async__getnameinfo_cancel(async_operation *waiter)
{
    async__lookup_abandon(async__getnameinfo_of(waiter)->lookup);
    return async_operation_cancelled(waiter);
}

static int async__getnameinfo_begin(struct async_getnameinfo *self, async *co)
{
    int error;
    self->lookup = async__lookup_make(co, &error);
    if (self->lookup == NULL) return error;
    error = uv_getnameinfo(async_uv_loop_of(async_loop_of(co)),
                           &self->lookup->request.names,
                           async__getnameinfo_on_done, self->address,
                           self->flags);
    return async__lookup_begun(self->lookup, co, &self->looked_up,
                               async__getnameinfo_cancel, error);
}

ASYNC(async_getnameinfo)
{
    int error;
    ASYNC_BEGIN(async_getnameinfo);
    error = async__getnameinfo_begin(self, co);
    if (error) ASYNC_RAISE(error);
    ASYNC__AWAIT_REQUEST(&self->looked_up);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
