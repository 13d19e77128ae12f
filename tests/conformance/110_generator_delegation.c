#include "conformance.h"

typedef const char *text;

/* Python's values have a type of their own; here what is yielded is text. */
struct inner { ASYNC_GENERATES(text, text, text); text a, b; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_TRY {
        ASYNC_YIELD_INTO(self->a, "1");
        printf(" inner a %s\n", self->a != NULL ? self->a : "None");
        ASYNC_YIELD_INTO(self->b, "2");
        printf(" inner b %s\n", self->b != NULL ? self->b : "None");
    } ASYNC_EXCEPT(E_VALUE) {
        puts(" inner ValueError");
        ASYNC_YIELD("v");
    } ASYNC_END_TRY
    ASYNC_RETURN("ret");
    ASYNC_END;
}

struct tuple { ASYNC_YIELDS_SENT(text, text); };
static ASYNC(tuple)
{
    ASYNC_BEGIN(tuple);
    ASYNC_YIELD("10");
    ASYNC_YIELD("11");
    ASYNC_END;
}

struct outer {
    ASYNC_GENERATES(text, text, text);
    struct inner inner;
    struct tuple tuple;
};
static ASYNC(outer)
{
    ASYNC_BEGIN(outer);
    self->inner = ASYNC_GENERATOR(inner);
    ASYNC_YIELD_FROM_SENT(&self->inner);
    printf(" outer r %s\n", ASYNC_GENERATED(&self->inner));
    self->tuple = ASYNC_GENERATOR(tuple);
    ASYNC_YIELD_FROM_SENT(&self->tuple);
    ASYNC_RETURN(ASYNC_GENERATED(&self->inner));
    ASYNC_END;
}

int main(void)
{
    struct outer o = ASYNC_GENERATOR(outer);
    text values[5];
    int n = 0;
    if (ASYNC_NEXT(&o) > 0) values[n++] = ASYNC_VALUE(&o);
    if (ASYNC_SEND(&o, "A") > 0) values[n++] = ASYNC_VALUE(&o);
    if (ASYNC_THROW(&o, E_VALUE) > 0) values[n++] = ASYNC_VALUE(&o);
    if (ASYNC_NEXT(&o) > 0) values[n++] = ASYNC_VALUE(&o);
    if (ASYNC_NEXT(&o) > 0) values[n++] = ASYNC_VALUE(&o);
    if (n == 5)
        printf("%s %s %s %s %s\n", values[0], values[1], values[2], values[3],
               values[4]);
    if (ASYNC_NEXT(&o) == 0) printf("('%s', None)\n", ASYNC_GENERATED(&o));
    return 0;
}
