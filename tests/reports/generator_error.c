/* An error out of a generator, and one into it, by delegation. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct inner { ASYNC_YIELDS(int); };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_YIELD(1);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_END;
}

struct outer { ASYNC_YIELDS(int); struct inner inner; };
static ASYNC(outer)
{
    ASYNC_BEGIN(outer);
    self->inner = ASYNC_GENERATOR(inner);
    ASYNC_YIELD_FROM(&self->inner);
    ASYNC_END;
}

struct program { ASYNC_FRAME; struct outer numbers; int n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->numbers = ASYNC_GENERATOR(outer);
    ASYNC_FOR(self->n, &self->numbers) {
        AWAIT(async_sleep, ASYNC_MS(1));
    } ASYNC_END_FOR
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(program));
}
