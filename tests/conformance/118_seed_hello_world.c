#include "conformance.h"

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    puts("hello");
    AWAIT(async_sleep, 1 * U);
    puts("world");
    ASYNC_END;
}

struct f { ASYNC_RETURNS(int); };
static ASYNC(f)
{
    ASYNC_BEGIN(f);
    ASYNC_RETURN(1);
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    int result;
    run(CO(program));
    any_loop_init(&loop);
    ASYNC_RUN_UNTIL_COMPLETE_INTO(result, &loop.base, f);
    printf("%d\n", result);
    return async_loop_close(&loop.base);
}
