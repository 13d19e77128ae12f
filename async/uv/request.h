/* request.h - how coroutines wait for libuv
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * Private: what the headers of async/uv share.  A request and the operation
 * that it finishes are in the frame of the coroutine that waits, which stays
 * until libuv has called back.
 */
#ifndef CAESURA_UV_REQUEST_H
#define CAESURA_UV_REQUEST_H

#include "loop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a coroutine cannot use libuv, or 0.  Asked before anything in its frame
 * is known elsewhere, which an await that fails would leave so. */
int async__uv_check(const async *co);

/* Waits for a request of libuv's, whose callback finishes `operation` and so
 * must come before the frame goes; then raises what it came to. */
#define ASYNC__AWAIT_REQUEST(operation)                                       \
    do {                                                                      \
        ASYNC__WAIT_FOR(&(operation)->future);                                \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        ASYNC__CHECK;                                                         \
    } while (0)

/* Finishes an operation with a status of libuv's.  A request that the end of
 * its handle has cut off fails with ASYNC_ECLOSED. */
static inline void async__request_done(async_operation *operation, int status)
{
    if (status == UV_ECANCELED) status = ASYNC_ECLOSED;
    async__finish(&operation->future, ASYNC__FINISHED, status < 0 ? status : 0);
}

/* --- requests that libuv gives to its threads: files, names, work -----------
 *
 * One that has not begun can be taken back.  One that has begun goes on, and
 * so does the wait for it: the cancellation is raised behind it, and what the
 * request has brought (a descriptor, say) must be given back there. */
typedef struct async__work {
    async_operation operation;
    uv_req_t *request;
} async__work;

/* Before the request begins, whose `data` it sets. */
void async__work_begin(async__work *work, async_loop *loop, void *request);

/* From its callback: `status` is libuv's, UV_ECANCELED if it was taken back. */
static inline void async__work_done(async__work *work, int status)
{
    if (status == UV_ECANCELED)
        (void)async_operation_cancelled(&work->operation);
    else
        async__finish(&work->operation.future, ASYNC__FINISHED,
                      status < 0 ? status : 0);
}

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_UV_REQUEST_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_REQUEST_IMPLEMENTED)
#define CAESURA_UV_REQUEST_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

int async__uv_check(const async *co)
{
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co)->backend->poll != async__uv_poll)
        return ASYNC_EINVAL;
    return 0;
}

static int async__work_cancel(async_operation *operation)
{
    async__work *work = (async__work *)(void *)operation;
    return uv_cancel(work->request) == 0;
}

void async__work_begin(async__work *work, async_loop *loop, void *request)
{
    async_operation_init(&work->operation, loop, async__work_cancel);
    work->request = (uv_req_t *)request;
    work->request->data = work;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
