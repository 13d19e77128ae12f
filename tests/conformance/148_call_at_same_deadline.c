#include "conformance.h"

struct program { ASYNC_FRAME; async_future f; async_time w; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->f, async_loop_of(co));
    self->w = async_loop_time(async_loop_of(co)) + ASYNC_MS(30);
    async_loop_call_at(async_loop_of(co), NULL, self->w, print_line, "first");
    async_loop_call_at(async_loop_of(co), NULL, self->w, print_line, "second");
    async_loop_call_at(async_loop_of(co), NULL, self->w + ASYNC_MS(30),
                       set_result, &self->f);
    AWAIT_FUTURE(&self->f);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
