#include "conformance.h"

typedef ASYNC_FUTURE(int) int_future;

struct program {
    ASYNC_FRAME;
    int_future fs[4];
    async_done_callback links[3];
    async_handle ticker;
    int i, n, result;
};

static int tick(void *arg)
{
    struct program *self = arg;
    self->n++;
    if (!async_future_done(&self->fs[3].future))
        async_loop_call_soon(async_get_running_loop(), &self->ticker, tick,
                             self);
    return 0;
}

static int link_done(async_future *f, void *arg)
{
    struct program *self = arg;
    int i = (int)((int_future *)f - self->fs);
    printf("link %d %d\n", i, self->n);
    return ASYNC_SET_RESULT(&self->fs[i + 1], i + 1);
}

static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 4; self->i++)
        async_future_init(&self->fs[self->i].future, async_loop_of(co));
    for (self->i = 0; self->i < 3; self->i++)
        async_future_add_done_callback(&self->fs[self->i].future,
                                       &self->links[self->i], link_done, self);
    async_loop_call_soon(async_loop_of(co), &self->ticker, tick, self);
    ASYNC_SET_RESULT(&self->fs[0], 0);
    AWAIT_FUTURE_INTO(self->result, &self->fs[3]);
    printf("%d %d\n", self->result, self->n);
    async_handle_cancel(&self->ticker);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
