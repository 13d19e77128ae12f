/* error: ASYNC_JOB_needs_ASYNC_JOB_FRAME */

/* A job whose struct begins as a coroutine's. */
#define _POSIX_C_SOURCE 200809L
#include <async/uv/executor.h>

struct work { ASYNC_RETURNS(int); int n; };
static ASYNC_JOB(work)
{
    ASYNC_JOB_RETURN(self->n);
}

async_object make(void);
async_object make(void)
{
    return CO(work, 1);
}
