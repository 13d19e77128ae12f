/* needs: libuv */
/* Another thread starts coroutines on the loop: a result, an error, a timeout
 * and then a cancellation; and it wakes the loop. */
#include "conformance.h"

#include "../../async/sync.h"
#include "../../async/uv/threads.h"

struct ok { ASYNC_RETURNS(const char *); };
static ASYNC(ok)
{
    ASYNC_BEGIN(ok);
    AWAIT(async_sleep, U);
    ASYNC_RETURN("ok");
    ASYNC_END;
}

struct bad { ASYNC_FRAME; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    ASYNC_RAISE(E_KEY);
    ASYNC_END;
}

struct never { ASYNC_FRAME; };
static ASYNC(never)
{
    ASYNC_BEGIN(never);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("never: cancelled");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_loop *loop;
static async_event ev;
static const char *out[4];

static int set_event(void *nothing)
{
    (void)nothing;
    async_event_set(&ev);
    return 0;
}

static void thread(void *nothing)
{
    ASYNC_CONCURRENT_FUTURE(const char *) text;
    async_concurrent_future f;
    (void)nothing;
    if (ASYNC_RUN_COROUTINE_THREADSAFE(&text, loop, ok)) return;
    if (!async_concurrent_future_result(&text.future, ASYNC_SECONDS(5)))
        out[0] = text.value;
    async_concurrent_future_destroy(&text.future);
    if (async_run_coroutine_threadsafe(loop, CO(bad), &f)) return;
    out[1] =
        exception_name(async_concurrent_future_result(&f, ASYNC_SECONDS(5)));
    async_concurrent_future_destroy(&f);
    if (async_run_coroutine_threadsafe(loop, CO(never), &f)) return;
    out[2] = exception_name(async_concurrent_future_result(&f, 2 * U));
    out[3] = boolean(async_concurrent_future_cancel(&f));
    async_concurrent_future_destroy(&f); /* waits for its end */
    async_loop_call_soon_threadsafe(loop, NULL, set_event, NULL);
}

struct program { ASYNC_FRAME; uv_thread_t th; async_time t0; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    loop = async_get_running_loop();
    async_event_init(&ev);
    uv_thread_create(&self->th, thread, NULL);
    self->t0 = async_loop_time(loop);
    AWAIT(async_event_wait, &ev);
    uv_thread_join(&self->th);
    AWAIT(async_sleep, 0);
    printf("['%s', '%s', '%s', %s] %s\n", out[0], out[1], out[2], out[3],
           boolean(async_loop_time(loop) - self->t0 < ASYNC_SECONDS(2)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
