/* needs: libuv */
/* A function in a thread, while the loop goes on; its result and its error; the
 * context goes with to_thread, and not with run_in_executor. */
#include "conformance.h"

#include "../../async/uv/executor.h"

static ASYNC_CONTEXTVAR(const char *) v = ASYNC_CONTEXTVAR_INIT("v", "d");
static uv_thread_t main_thread;

/* The argument, and the tuple that comes back. */
struct blocking { int fails, x, is_main; const char *v; };
static int blocking(void *argument)
{
    struct blocking *self = argument;
    uv_thread_t here = uv_thread_self();
    block(NULL, 2 * U);
    if (self->fails) return E_VALUE;
    self->is_main = uv_thread_equal(&here, &main_thread);
    self->v = ASYNC_CONTEXTVAR_GET(&v);
    return 0;
}

struct ticker { ASYNC_FRAME; int i; };
static ASYNC(ticker)
{
    ASYNC_BEGIN(ticker);
    for (self->i = 0; self->i < 2; self->i++) {
        printf("tick %d\n", self->i);
        AWAIT(async_sleep, U);
    }
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_task *t;
    async_executor ex;
    struct blocking a, b;
    async_gathering both;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_CONTEXTVAR_SET(&v, "m");
    self->t = async_create_task(CO(ticker));
    self->a.x = 7;
    AWAIT(async_to_thread, blocking, &self->a);
    printf("(%d, %s, '%s')\n", self->a.x, boolean(self->a.is_main), self->a.v);
    AWAIT_JOIN(self->t);
    self->a.fails = 1;
    ASYNC_TRY {
        AWAIT(async_to_thread, blocking, &self->a);
    } ASYNC_EXCEPT(E_VALUE) {
        puts("ValueError thread");
    } ASYNC_END_TRY
    self->a.fails = 0;
    self->a.x = 1;
    self->b.x = 2;
    if (async_executor_init(&self->ex, 1, NULL)) ASYNC_RAISE(E_OTHER);
    AWAIT_GATHER(&self->both,
                 CO(async_run_in_executor, &self->ex, blocking, &self->a),
                 CO(async_run_in_executor, &self->ex, blocking, &self->b));
    async_gather_clear(&self->both);
    printf("(%d, %s, '%s') (%d, %s, '%s')\n", self->a.x,
           boolean(self->a.is_main), self->a.v, self->b.x,
           boolean(self->b.is_main), self->b.v);
    async_executor_destroy(&self->ex);
    ASYNC_END;
}

int main(void)
{
    main_thread = uv_thread_self();
    return run(CO(program));
}
