#include "conformance.h"

struct program {
    ASYNC_FRAME;
    async_time t0;
    async_handle h;
    async_future done;
    int n, fired;
};

static int fire(void *arg)
{
    struct program *self = arg;
    printf("fire %d %d\n", self->fired,
           units_since(async_get_running_loop(), self->t0));
    return async_future_set_result(&self->done);
}

static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    async_future_init(&self->done, async_loop_of(co));
    for (self->n = 0; self->n < 4; self->n++) {
        async_handle_cancel(&self->h);
        self->fired = self->n;
        async_loop_call_later(async_loop_of(co), &self->h, 2 * U, fire, self);
        AWAIT(async_sleep, U);
    }
    AWAIT_FUTURE(&self->done);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
