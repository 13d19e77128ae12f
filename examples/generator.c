/* generator - yields 0 1 2 and returns 5: from plain code, without a loop;
 * then one that awaits between its values, from a coroutine. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

/* Yields int, is sent nothing that matters, returns int. */
struct gen_number { ASYNC_GENERATES(int, char, int); int i; };
static ASYNC(gen_number)
{
    ASYNC_BEGIN(gen_number);
    for (self->i = 0; self->i < 3; self->i++) ASYNC_YIELD(self->i);
    ASYNC_RETURN(5);
    ASYNC_END;
}

struct slow_number { ASYNC_YIELDS(int); int i; };
static ASYNC(slow_number)
{
    ASYNC_BEGIN(slow_number);
    ASYNC_TRY {
        for (self->i = 10;; self->i++) {
            AWAIT(async_sleep, ASYNC_MS(10));
            ASYNC_YIELD(self->i);
        }
    } ASYNC_FINALLY {
        puts("slow_number cleans up");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; struct slow_number numbers; int n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->numbers = ASYNC_GENERATOR(slow_number);
    ASYNC_FOR(self->n, &self->numbers) { /* awaits each value */
        printf("%d\n", self->n);
        if (self->n == 12) break; /* closes the generator */
    } ASYNC_END_FOR
    ASYNC_END;
}

int main(void)
{
    struct gen_number numbers = ASYNC_GENERATOR(gen_number);
    int n;
    ASYNC_FOR_EACH(n, &numbers) printf("%d\n", n);
    printf("returned %d\n", ASYNC_GENERATED(&numbers));
    return async_run(CO(program));
}
