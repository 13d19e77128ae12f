/* trap: a generator must be initialised */

/* A generator without ASYNC_GENERATOR, iterated by plain code. */
#define ASYNC_IMPLEMENTATION
#include <async.h>

struct count { ASYNC_YIELDS(int); int from, to; };
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    for (; self->from < self->to; self->from++) ASYNC_YIELD(self->from);
    ASYNC_END;
}

int main(void)
{
    struct count numbers = { .to = 3 };
    int i;
    ASYNC_FOR_EACH(i, &numbers) printf("%d\n", i);
    return 0;
}
