#include "conformance.h"

struct program { ASYNC_FRAME; async_future done; };

static int soon3(void *done)
{
    puts("soon3");
    return async_future_set_result(done);
}
static int soon2(void *done)
{
    puts("soon2");
    return async_loop_call_soon(async_get_running_loop(), NULL, soon3, done);
}

static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->done, async_loop_of(co));
    async_loop_call_later(async_loop_of(co), NULL, 0, print_line, "timer0");
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "soon1");
    async_loop_call_soon(async_loop_of(co), NULL, soon2, &self->done);
    AWAIT_FUTURE(&self->done);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
