#include "conformance.h"

enum { N = 10000 };
static int64_t h; /* long has 32 bits on some */

struct w { ASYNC_RETURNS(int); int i, k; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    for (self->k = 0; self->k < 3; self->k++) {
        AWAIT(async_sleep, 0);
        h = (h * 31 + self->i * 3 + self->k) % 1000000007;
    }
    ASYNC_RETURN(self->i);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_gathering r; int i; int64_t sum; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < N; self->i++)
        async_gather_add(&self->r, CO(w, self->i));
    AWAIT(async_gather, &self->r);
    for (self->i = 0; self->i < N; self->i++)
        self->sum += GATHERED(&self->r, self->i, w);
    async_gather_clear(&self->r);
    printf("%ld %ld\n", (long)self->sum, (long)h);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
