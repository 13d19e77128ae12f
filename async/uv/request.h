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

/* An address from text, of IPv4 or IPv6.  Returns 0, or -EINVAL. */
int async__ip_address(struct sockaddr_storage *address, const char *ip,
                      int port);

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

/* --- what another thread ends ------------------------------------------------
 *
 * A task that waits for one: uv_run() of a borrowed loop does not return
 * before.  Each hold is let go of once, in the loop's thread. */
void async__uv_hold(async_loop *loop);
void async__uv_let_go(async_loop *loop);

/* From that thread: calls back on the loop, which may be closed as soon as
 * that has run.  `handle` is in the frame that waits. */
void async__uv_post(async_loop *loop, async_handle *handle,
                    async_callback *callback, void *argument);

/* How many threads can run at once. */
unsigned async__uv_parallelism(void);

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

int async__ip_address(struct sockaddr_storage *address, const char *ip,
                      int port)
{
    memset(address, 0, sizeof *address);
    if (uv_ip4_addr(ip, port, (struct sockaddr_in *)address) == 0) return 0;
    return uv_ip6_addr(ip, port, (struct sockaddr_in6 *)address);
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

void async__uv_hold(async_loop *base)
{
    async_uv_loop *loop = async__uv(base);
    if (loop->held++ == 0 && !loop->owns)
        uv_ref((uv_handle_t *)&loop->handles->wakeup);
}

/* (A poll of our own has a reference of its own, and unreferences itself.) */
void async__uv_let_go(async_loop *base)
{
    async_uv_loop *loop = async__uv(base);
    if (--loop->held == 0 && !loop->owns)
        uv_unref((uv_handle_t *)&loop->handles->wakeup);
}

/* Closing the loop waits for those that post. */
void async__uv_post(async_loop *loop, async_handle *handle,
                    async_callback *callback, void *argument)
{
    int *posting = &async__uv(loop)->posting;
    __atomic_add_fetch(posting, 1, __ATOMIC_RELAXED);
    (void)async_loop_call_soon_threadsafe(loop, handle, callback, argument);
    __atomic_sub_fetch(posting, 1, __ATOMIC_RELEASE);
}

unsigned async__uv_parallelism(void)
{
#if UV_VERSION_HEX >= 0x012c00
    return uv_available_parallelism();
#else
    uv_cpu_info_t *processors;
    int count;
    if (uv_cpu_info(&processors, &count) != 0) return 1;
    uv_free_cpu_info(processors, count);
    return count > 0 ? (unsigned)count : 1;
#endif
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
