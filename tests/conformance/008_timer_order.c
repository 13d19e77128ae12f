#include "conformance.h"

struct program { ASYNC_FRAME; async_time t0; async_future f; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    async_future_init(&self->f, async_loop_of(co));
    async_loop_call_later(async_loop_of(co), NULL, 3 * U, print_line, "3");
    async_loop_call_later(async_loop_of(co), NULL, 1 * U, print_line, "1");
    async_loop_call_at(async_loop_of(co), NULL, self->t0 + 2 * U, print_line, "2");
    async_loop_call_at(async_loop_of(co), NULL, self->t0 + 5 * U, set_result,
                       &self->f);
    async_loop_call_later(async_loop_of(co), NULL, 4 * U, print_line, "4");
    AWAIT_FUTURE(&self->f);
    puts("end");
    printf("units %d\n", units_since(async_loop_of(co), self->t0));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
