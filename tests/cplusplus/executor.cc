// Work in threads, and a loop for each core, from C++.
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/cores.h"
#include "../../async/uv/executor.h"
#include "../../async/uv/threads.h"

#include <cstdio>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

static async_executor pool;

struct twice { ASYNC_JOB_RETURNS(int); int n; };
static ASYNC_JOB(twice)
{
    if (self->n < 0) return ASYNC_EINVAL;
    ASYNC_JOB_RETURN(2 * self->n);
}

static int plus_one(void *argument)
{
    return *static_cast<int *>(argument) + 1;
}

struct program { ASYNC_FRAME; async_gathering all; int n, error; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT_INTO(self->n, twice, NULL, 4);
    std::printf("%d\n", self->n);
    AWAIT_GATHER(&self->all, CO(twice, &pool, 1), CO(twice, &pool, 2));
    std::printf("%d %d\n", GATHERED(&self->all, 0, twice),
                GATHERED(&self->all, 1, twice));
    async_gather_clear(&self->all);
    AWAIT_CATCH(self->error, twice, &pool, -1);
    std::puts(async_strerror(self->error));
    AWAIT_INTO(self->n, async_to_thread, plus_one, &self->n);
    std::printf("%d\n", self->n);
    ASYNC_END;
}

static int sum;
struct add_index { ASYNC_FRAME; };
static ASYNC(add_index)
{
    ASYNC_BEGIN(add_index);
    __atomic_add_fetch(&sum, async_core_index(), __ATOMIC_RELAXED);
    ASYNC_END;
}

int main()
{
    int error = async_executor_init(&pool, 2, NULL);
    if (error) return 1;
    std::printf("end %d\n", async_run(CO(program)));
    async_executor_destroy(&pool);
    std::printf("end %d\n", async_run_cores(3, CO(add_index)));
    std::printf("%d\n", sum);
    return 0;
}
