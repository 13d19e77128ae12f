/* error: AWAIT_needs_ASYNC_BEGIN_before_it */

/* A job runs in a thread, where nothing can be awaited. */
#define _POSIX_C_SOURCE 200809L
#include <async/uv/executor.h>

struct other { ASYNC_FRAME; };
ASYNC(other);
struct work { ASYNC_JOB_FRAME; int n; };
ASYNC_JOB(work)
{
    AWAIT(other);
    return 0;
}
