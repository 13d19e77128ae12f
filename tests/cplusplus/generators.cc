// Generators from C++: by hand, from a coroutine, delegating, sent to.
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

#include <cstdio>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

struct count { ASYNC_YIELDS(int); int from, to; };
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    for (; self->from < self->to; self->from++) ASYNC_YIELD(self->from);
    ASYNC_END;
}

// Yields the running mean of what it is sent; returns how many that were.
struct mean { ASYNC_GENERATES(double, double, int); double sum, got; int n; };
static ASYNC(mean)
{
    ASYNC_BEGIN(mean);
    do {
        ASYNC_YIELD_INTO(self->got, self->n ? self->sum / self->n : 0);
        self->sum += self->got;
        self->n++;
    } while (self->got >= 0);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct slow { ASYNC_YIELDS(int); struct count inner; };
static ASYNC(slow)
{
    ASYNC_BEGIN(slow);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        self->inner = ASYNC_GENERATOR(count, 1, 4);
        ASYNC_YIELD_FROM(&self->inner);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        ASYNC_YIELD(10);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        std::puts("closed");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; struct slow numbers; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->numbers = ASYNC_GENERATOR(slow);
    ASYNC_FOR(self->i, &self->numbers) {
        std::printf(
            "%d at %d s\n", self->i,
            (int)(async_loop_time(async_loop_of(co)) / ASYNC_SECONDS(1)));
    } ASYNC_END_FOR

    self->numbers = ASYNC_GENERATOR(slow);
    ASYNC_FOR(self->i, &self->numbers) {
        if (self->i == 2) break;
    } ASYNC_END_FOR

    self->numbers = ASYNC_GENERATOR(slow);
    AWAIT_NEXT_INTO(self->i, &self->numbers);
    std::printf("first %d\n", self->i);
    AWAIT_ACLOSE(&self->numbers);
    std::printf("ended %d\n", ASYNC_ENDED(&self->numbers));
    ASYNC_END;
}

int main()
{
    struct count numbers = ASYNC_GENERATOR(count, 5, 8);
    struct mean m = ASYNC_GENERATOR(mean);
    int i;
    ASYNC_FOR_EACH(i, &numbers) std::printf("%d\n", i);

    std::printf("early %s\n", async_error_name(ASYNC_SEND(&m, 1.0)));
    ASYNC_NEXT(&m);
    ASYNC_SEND(&m, 1.0);
    std::printf("mean %g\n", ASYNC_VALUE(&m));
    ASYNC_SEND(&m, 2.0);
    std::printf("mean %g\n", ASYNC_VALUE(&m));
    std::printf("%d", ASYNC_SEND(&m, -1.0));
    std::printf(" returns %d\n", ASYNC_GENERATED(&m));

    m = ASYNC_GENERATOR(mean);
    ASYNC_NEXT(&m);
    std::printf("%s\n", async_error_name(ASYNC_THROW(&m, ASYNC_EINVAL)));
    m = ASYNC_GENERATOR(mean);
    ASYNC_NEXT(&m);
    std::printf("close %d\n", ASYNC_CLOSE(&m));

    std::printf("end %d\n", async_virtual_run(CO(program)));
    return 0;
}
