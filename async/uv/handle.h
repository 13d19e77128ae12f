/* handle.h - how coroutines close what libuv has of theirs
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * Private: what the headers of async/uv share.  A struct of the caller's has a
 * handle of libuv's in it, and must stay until libuv has let go of that; who
 * closes it waits for just this, and closing the loop closes what is left.
 */
#ifndef CAESURA_UV_HANDLE_H
#define CAESURA_UV_HANDLE_H

#include "request.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Somebody who waits until it is closed; in the frame. */
typedef struct async__closer {
    async_operation closed;
    struct async__closer *next;
} async__closer;

/* The first member of such a struct. */
typedef struct async__resource {
    async_node node; /* among those that are closed with the loop */
    async_loop *loop;
    uv_handle_t *handle;
    async__closer *closers;
    /* NULL, or what else there is to do when libuv has let go. */
    void (*closed)(struct async__resource *resource, int loop_is);
    unsigned char state; /* ASYNC__IS_SHUT .. */
} async__resource;
enum {
    ASYNC__IS_SHUT,   /* never opened, or closed: libuv has nothing of it */
    ASYNC__IS_OPEN,
    ASYNC__IS_ENDING, /* to be closed when something else has come */
    ASYNC__IS_CLOSING
};
enum { ASYNC__LOOP_GONE, ASYNC__LOOP_CLOSING, ASYNC__LOOP_OPEN };

/* Marks it as open.  `handle` has been initialised; its `data` is the resource
 * from now on.  `close` closes it when the loop is closed, whatever its state:
 * it begins to, and must neither wait nor take it out of the list. */
void async__resource_opened(async__resource *resource, async_loop *loop,
                            uv_handle_t *handle,
                            void (*close)(async_node *node));

/* Has libuv close the handle, once. */
void async__resource_close(async__resource *resource);

/* Why a coroutine cannot wait for it, or 0.  Asked before anything in its
 * frame is known elsewhere, which an await that fails would leave so. */
static inline int async__resource_check_task(const async__resource *resource,
                                             const async *co)
{
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co) != resource->loop) return ASYNC_EOTHERLOOP;
    return 0;
}
static inline int async__resource_check(const async__resource *resource,
                                        const async *co)
{
    if (resource->state != ASYNC__IS_OPEN) return ASYNC_ECLOSED;
    return async__resource_check_task(resource, co);
}

/* Behind the beginning of its end: waits until libuv has let go.  A
 * cancellation is raised then. */
#define ASYNC__AWAIT_CLOSED(resource, closer)                                 \
    do {                                                                      \
        if ((resource)->state != ASYNC__IS_SHUT) {                            \
            async__closer_begin((closer), (resource));                        \
            ASYNC__AWAIT_REQUEST(&(closer)->closed);                          \
        }                                                                     \
    } while (0)
void async__closer_begin(async__closer *closer, async__resource *resource);

/* The one task that may wait for something to come, over and over.  It counts
 * as waiting (`*waiter`) until it has resumed: nobody may come between it and
 * what it was woken for.  It can be given up at any time: libuv keeps nothing
 * of it. */
#define ASYNC__AWAIT_ARRIVAL(waiter, operation, loop)                         \
    do {                                                                      \
        async_operation_init((operation), (loop), async_operation_cancelled); \
        *(waiter) = (operation);                                              \
        ASYNC__WAIT_FOR(&(operation)->future);                                \
        if (*(waiter) == (operation)) *(waiter) = NULL;                       \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        ASYNC__CHECK;                                                         \
    } while (0)
/* Who waits, if nothing has woken it yet. */
static inline async_operation *async__waiting(async_operation *waiter)
{
    return waiter != NULL && !async_future_done(&waiter->future) ? waiter
                                                                 : NULL;
}
static inline void async__arrived(async_operation *waiter, int error)
{
    if (async__waiting(waiter) != NULL)
        async__finish(&waiter->future, ASYNC__FINISHED, error);
}

/* Gives back a descriptor that nothing has been written to. */
void async__close_descriptor(uv_file file);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_UV_HANDLE_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_HANDLE_IMPLEMENTED)
#define CAESURA_UV_HANDLE_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* The loop may be gone by now, and so may be those who close when the first
 * of them runs: nothing but what is here is looked at. */
static void async__resource_on_close(uv_handle_t *handle)
{
    async__resource *resource = (async__resource *)handle->data;
    async__closer *closer = resource->closers, *next;
    int loop_is = ASYNC__LOOP_GONE;
    if (resource->node.link.prev != NULL) {
        async__unlink(&resource->node.link);
        loop_is = async__uv(resource->loop)->closing ? ASYNC__LOOP_CLOSING
                                                     : ASYNC__LOOP_OPEN;
    }
    resource->state = ASYNC__IS_SHUT;
    for (; closer != NULL; closer = next) {
        next = closer->next;
        async__finish(&closer->closed.future, ASYNC__FINISHED, 0);
    }
    if (resource->closed != NULL) resource->closed(resource, loop_is);
}

void async__resource_opened(async__resource *resource, async_loop *loop,
                            uv_handle_t *handle,
                            void (*close)(async_node *node))
{
    resource->loop = loop;
    resource->handle = handle;
    resource->handle->data = resource;
    resource->closers = NULL;
    resource->closed = NULL;
    resource->state = ASYNC__IS_OPEN;
    resource->node.run = close;
    async__uv_opened(loop, &resource->node);
}

void async__resource_close(async__resource *resource)
{
    if (resource->state == ASYNC__IS_CLOSING) return;
    resource->state = ASYNC__IS_CLOSING;
    uv_close(resource->handle, async__resource_on_close);
}

/* Nothing can hurry or stop this; who is cancelled learns it afterwards. */
static int async__closer_goes_on(async_operation *operation)
{
    (void)operation;
    return 0;
}

void async__closer_begin(async__closer *closer, async__resource *resource)
{
    async__closer **last = &resource->closers;
    async_operation_init(&closer->closed, resource->loop,
                         async__closer_goes_on);
    closer->next = NULL;
    while (*last != NULL) last = &(*last)->next;
    *last = closer;
}

void async__close_descriptor(uv_file file)
{
    uv_fs_t request;
    uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
