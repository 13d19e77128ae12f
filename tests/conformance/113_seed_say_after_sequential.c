#include "conformance.h"

struct say_after { ASYNC_FRAME; int delay; const char *what; };
static ASYNC(say_after)
{
    ASYNC_BEGIN(say_after);
    AWAIT(async_sleep, self->delay * U);
    puts(self->what);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_time t0; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    puts("started at 0");
    AWAIT(say_after, 1, "hello");
    AWAIT(say_after, 2, "world");
    printf("finished at %d\n", units_since(async_loop_of(co), self->t0));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
