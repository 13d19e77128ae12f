/* The second file of the program: it includes the headers, and leaves
 * ASYNC_IMPLEMENTATION to the first. */
#include "fetch.h"

ASYNC(fetch)
{
    ASYNC_BEGIN(fetch);
    AWAIT(async_sleep, ASYNC_MS(10));
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}

async_loop *fetch_sees_loop(void)
{
    return async_get_running_loop();
}
