/* trap: that child is another coroutine */

/* The result of a child is asked for as that of another coroutine. */
#define ASYNC_IMPLEMENTATION
#include <async/test/virtual.h>

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    if (self->n < 0) ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}

struct other { ASYNC_RETURNS(int); };
static ASYNC(other)
{
    ASYNC_BEGIN(other);
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct wrong { ASYNC_FRAME; async_gathering all; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_GATHER(&self->all, CO(twice, 1), CO(other));
    printf("%d\n", GATHERED(&self->all, 1, twice));
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
