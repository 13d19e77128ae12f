/* trap: a generator must be initialised */

/* A generator without ASYNC_GENERATOR, iterated by a coroutine. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct count { ASYNC_YIELDS(int); int from, to; };
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    for (; self->from < self->to; self->from++) ASYNC_YIELD(self->from);
    ASYNC_END;
}

struct wrong { ASYNC_FRAME; struct count numbers; int i; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    self->numbers.to = 3;
    ASYNC_FOR(self->i, &self->numbers) {
        printf("%d\n", self->i);
    } ASYNC_END_FOR
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
