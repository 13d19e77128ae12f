/* trap: that child is another coroutine */

/* The result of another coroutine than the one that won. */
#define ASYNC_IMPLEMENTATION
#include <async/select.h>
#include <async/test/virtual.h>

struct one { ASYNC_RETURNS(int); };
static ASYNC(one)
{
    ASYNC_BEGIN(one);
    ASYNC_RETURN(1);
    ASYNC_END;
}
struct other { ASYNC_RETURNS(int); };
static ASYNC(other)
{
    ASYNC_BEGIN(other);
    AWAIT(async_sleep, 1);
    ASYNC_RETURN(2);
    ASYNC_END;
}

struct wrong { ASYNC_RETURNS(int); async_selection race; size_t who; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_SELECT_INTO(self->who, &self->race, CO(one), CO(other));
    ASYNC_RETURN(ASYNC_SELECTED(&self->race, self->who, other));
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
