#include "conformance.h"

struct genNumber {
    ASYNC_GENERATES(int, char, int);
    int i, x;
};
static ASYNC(genNumber)
{
    ASYNC_BEGIN(genNumber);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_YIELD(self->x);
        self->x = self->x + 1;
    }
    ASYNC_RETURN(5);
    ASYNC_END;
}

int main(void)
{
    struct genNumber numbers = ASYNC_GENERATOR(genNumber);
    struct genNumber z = ASYNC_GENERATOR(genNumber);
    int n;
    ASYNC_FOR_EACH(n, &numbers) printf("%d\n", n);
    puts("generator");
    ASYNC_NEXT(&z);
    printf("%d\n", ASYNC_VALUE(&z));
    ASYNC_NEXT(&z);
    printf("%d\n", ASYNC_VALUE(&z));
    ASYNC_NEXT(&z);
    printf("%d\n", ASYNC_VALUE(&z));
    if (ASYNC_NEXT(&z) == 0) printf("%d\n", ASYNC_GENERATED(&z));
    if (ASYNC_NEXT(&z) == 0) puts("again None");
    return 0;
}
