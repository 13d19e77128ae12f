#include "conformance.h"

struct program { ASYNC_FRAME; async_time now; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->now = async_loop_time(async_loop_of(co));
    async_loop_call_at(async_loop_of(co), NULL, self->now - ASYNC_SECONDS(1),
                       print_line, "past1");
    async_loop_call_at(async_loop_of(co), NULL, self->now - ASYNC_SECONDS(3),
                       print_line, "past3");
    async_loop_call_later(async_loop_of(co), NULL, -ASYNC_SECONDS(2),
                          print_line, "past2");
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "soon");
    AWAIT(async_sleep, -ASYNC_SECONDS(5));
    puts("slept neg");
    AWAIT(async_sleep, 0);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
