/* trap: that child has no result */

/* The result of a child that failed. */
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

struct wrong { ASYNC_FRAME; async_gathering all; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    async_gather_return_exceptions(&self->all);
    AWAIT_GATHER(&self->all, CO(twice, -1));
    printf("%d\n", GATHERED(&self->all, 0, twice));
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
