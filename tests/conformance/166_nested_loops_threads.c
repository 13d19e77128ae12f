/* needs: libuv */
/* A loop in a second thread: coroutines run there, and a task here waits for
 * them. */
#include "conformance.h"

#include "../../async/uv/threads.h"

static uv_thread_t loop2;

typedef struct tuple {
    int x;
    const char *thread;
} tuple;
struct remote { ASYNC_RETURNS(tuple); int x; };
static ASYNC(remote)
{
    tuple result;
    uv_thread_t here;
    ASYNC_BEGIN(remote);
    AWAIT(async_sleep, U);
    here = uv_thread_self();
    result.x = self->x;
    result.thread = uv_thread_equal(&here, &loop2) ? "loop2" : "MainThread";
    ASYNC_RETURN(result);
    ASYNC_END;
}

static void run_forever(void *loop)
{
    async_loop_run_forever(loop);
}

typedef ASYNC_CONCURRENT_FUTURE(tuple) concurrent_tuple;
struct program {
    ASYNC_FRAME;
    async_uv_loop other;
    concurrent_tuple cf, rs[2];
    async_gathering both;
    int i;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    if (async_uv_loop_init(&self->other, NULL, NULL)) ASYNC_RAISE(E_OTHER);
    uv_thread_create(&loop2, run_forever, &self->other.base);
    if (ASYNC_RUN_COROUTINE_THREADSAFE(&self->cf, &self->other.base, remote,
                                       1))
        ASYNC_RAISE(E_OTHER);
    AWAIT(async_wrap_future, &self->cf.future);
    printf("(%d, '%s')\n", self->cf.value.x, self->cf.value.thread);
    async_concurrent_future_destroy(&self->cf.future);
    for (self->i = 0; self->i < 2; self->i++)
        if (ASYNC_RUN_COROUTINE_THREADSAFE(
                &self->rs[self->i], &self->other.base, remote, self->i + 2))
            ASYNC_RAISE(E_OTHER);
    AWAIT_GATHER(&self->both, CO(async_wrap_future, &self->rs[0].future),
                 CO(async_wrap_future, &self->rs[1].future));
    async_gather_clear(&self->both);
    printf("[(%d, '%s'), (%d, '%s')]\n", self->rs[0].value.x,
           self->rs[0].value.thread, self->rs[1].value.x,
           self->rs[1].value.thread);
    async_concurrent_future_destroy(&self->rs[0].future);
    async_concurrent_future_destroy(&self->rs[1].future);
    async_loop_call_soon_threadsafe(&self->other.base, NULL, stop_loop,
                                    &self->other.base);
    uv_thread_join(&loop2);
    async_loop_close(&self->other.base);
    printf("closed %s\n", boolean(async_loop_is_closed(&self->other.base)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
