/* An error of a gathered child, and one under a limit in time. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct fetch { ASYNC_FRAME; int error; };
static ASYNC(fetch)
{
    ASYNC_BEGIN(fetch);
    AWAIT(async_sleep, ASYNC_MS(1));
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct gathers { ASYNC_FRAME; async_gathering all; };
static ASYNC(gathers)
{
    ASYNC_BEGIN(gathers);
    AWAIT_GATHER(&self->all, CO(fetch, 0), CO(fetch, ASYNC_EBUSY));
    ASYNC_END;
}

struct limited { ASYNC_FRAME; int error; };
static ASYNC(limited)
{
    ASYNC_BEGIN(limited);
    AWAIT_WAIT_FOR(ASYNC_SECONDS(1), fetch, self->error);
    ASYNC_END;
}

struct late { ASYNC_FRAME; };
static ASYNC(late)
{
    ASYNC_BEGIN(late);
    AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_sleep, ASYNC_SECONDS(2));
    ASYNC_END;
}

int main(void)
{
    int gathered = async_virtual_run(CO(gathers));
    int failed = async_virtual_run(CO(limited, ASYNC_EBUSY));
    int timed_out = async_virtual_run(CO(late));
    return gathered != ASYNC_EBUSY || failed != ASYNC_EBUSY ||
           timed_out != ASYNC_ETIMEDOUT;
}
