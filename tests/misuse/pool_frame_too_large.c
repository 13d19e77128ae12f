/* error: the storage has no room */
/* flags: -DASYNC_STATIC_ONLY */

/* The slots of a pool are smaller than the coroutine's frame. */
#include <async/bare/pool.h>

struct work { ASYNC_FRAME; char buffer[100]; };
ASYNC(work);

ASYNC_TASK_POOL(pool, 2, 50);

void wrong(async_loop *loop);
void wrong(async_loop *loop)
{
    ASYNC_POOL_START(&pool, loop, work);
}
