/* trap: a cancel scope was left before one that was entered later */

/* A generator whose scope stands inside its consumer's, which is left first. */
#define ASYNC_IMPLEMENTATION
#include <async/scope.h>
#include <async/test/virtual.h>

struct numbers { ASYNC_YIELDS(int); async_scope scope; };
static ASYNC(numbers)
{
    ASYNC_BEGIN(numbers);
    ASYNC_SCOPE(&self->scope) {
        ASYNC_YIELD(1);
    } ASYNC_END_SCOPE
    ASYNC_END;
}

struct wrong { ASYNC_FRAME; async_scope scope; struct numbers g; int n; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    self->g = ASYNC_GENERATOR(numbers);
    ASYNC_SCOPE(&self->scope) {
        AWAIT_NEXT_INTO(self->n, &self->g);
    } ASYNC_END_SCOPE
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
