#include "conformance.h"

struct g { ASYNC_YIELDS_SENT(int, int); int x, total; };
static ASYNC(g)
{
    ASYNC_BEGIN(g);
    for (;;) {
        ASYNC_TRY {
            ASYNC_YIELD_INTO(self->x, self->total);
            printf(" got %d\n", self->x);
            self->total += self->x;
        } ASYNC_EXCEPT(E_VALUE) {
            puts(" caught v");
            self->total = -1;
        } ASYNC_EXCEPT(ASYNC_EGENERATOREXIT) {
            puts(" exit");
            ASYNC_RAISE(ASYNC_EGENERATOREXIT);
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

struct stubborn { ASYNC_YIELDS(int); };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    ASYNC_TRY {
        ASYNC_YIELD(1);
    } ASYNC_EXCEPT(ASYNC_EGENERATOREXIT) {
        ASYNC_YIELD(2);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct fresh { ASYNC_YIELDS(int); };
static ASYNC(fresh)
{
    ASYNC_BEGIN(fresh);
    puts("never");
    ASYNC_YIELD(1);
    ASYNC_END;
}

int main(void)
{
    struct g i = ASYNC_GENERATOR(g);
    struct stubborn s = ASYNC_GENERATOR(stubborn);
    struct fresh f = ASYNC_GENERATOR(fresh);
    if (ASYNC_SEND(&i, 5) == ASYNC_EJUSTSTARTED) puts("TypeError first send");
    if (ASYNC_NEXT(&i) > 0) printf("%d\n", ASYNC_VALUE(&i));
    if (ASYNC_SEND(&i, 5) > 0) printf("%d\n", ASYNC_VALUE(&i));
    if (ASYNC_SEND(&i, 6) > 0) printf("%d\n", ASYNC_VALUE(&i));
    if (ASYNC_THROW(&i, E_VALUE) > 0) printf("%d\n", ASYNC_VALUE(&i));
    if (ASYNC_SEND(&i, 3) > 0) printf("%d\n", ASYNC_VALUE(&i));
    ASYNC_CLOSE(&i);
    ASYNC_CLOSE(&i);
    if (ASYNC_SEND(&i, 1) == 0) puts("StopIteration None");

    ASYNC_NEXT(&s);
    puts(async_strerror(ASYNC_CLOSE(&s)));

    if (ASYNC_THROW(&f, E_KEY) == E_KEY) puts("KeyError, body never ran");
    if (ASYNC_NEXT(&f) == 0) puts("finished");
    return 0;
}
