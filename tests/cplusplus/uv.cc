// The loop on libuv, from C++.
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include <cstdio>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}

struct program { ASYNC_RETURNS(int); async_gathering all; int n, error; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT_GATHER(&self->all, CO(twice, 1), CO(twice, 2));
    self->n = GATHERED(&self->all, 0, twice) + GATHERED(&self->all, 1, twice);
    async_gather_clear(&self->all);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_sleep, ASYNC_SECONDS(60)), ASYNC_MS(1));
    std::puts(async_strerror(self->error));
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

int main()
{
    int n = 0;
    std::printf("end %d\n", ASYNC_RUN_INTO(n, program));
    std::printf("%d\n", n);
    return 0;
}
