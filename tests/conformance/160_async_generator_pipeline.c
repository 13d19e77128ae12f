#include "conformance.h"

struct src { ASYNC_YIELDS(int); int n, i; };
static ASYNC(src)
{
    ASYNC_BEGIN(src);
    for (self->i = 0; self->i < self->n; self->i++) {
        printf("src %d\n", self->i);
        ASYNC_YIELD(self->i);
        AWAIT(async_sleep, 0);
    }
    ASYNC_END;
}

struct twice { ASYNC_YIELDS(int); struct src it; int x; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    ASYNC_FOR(self->x, &self->it) {
        printf(" dbl %d\n", self->x);
        ASYNC_YIELD(2 * self->x);
    } ASYNC_END_FOR
    ASYNC_END;
}

typedef struct pair {
    int last, x;
} pair;
struct pairs { ASYNC_YIELDS(pair); struct twice it; int has_last, x; pair p; };
static ASYNC(pairs)
{
    ASYNC_BEGIN(pairs);
    ASYNC_FOR(self->x, &self->it) {
        self->p.last = self->p.x;
        self->p.x = self->x;
        if (self->has_last) ASYNC_YIELD(self->p);
        self->has_last = 1;
    } ASYNC_END_FOR
    ASYNC_END;
}

struct program { ASYNC_FRAME; struct pairs it; pair p; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->it = ASYNC_GENERATOR(pairs);
    self->it.it = ASYNC_GENERATOR(twice);
    self->it.it.it = ASYNC_GENERATOR(src, 4);
    ASYNC_FOR(self->p, &self->it) {
        printf("  pair (%d, %d)\n", self->p.last, self->p.x);
    } ASYNC_END_FOR
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
