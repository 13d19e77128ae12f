/* flags: -DASYNC_DEBUG */
/* Compiled with -DASYNC_DEBUG, reports tell where what they are about was
 * made: objects that nobody took, tasks whose error nobody did, one that never
 * ended. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct fetch { ASYNC_FRAME; int error; };
static ASYNC(fetch)
{
    ASYNC_BEGIN(fetch);
    ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct forever { ASYNC_FRAME; };
static ASYNC(forever)
{
    ASYNC_BEGIN(forever);
    AWAIT(async_sleep, ASYNC_SECONDS(1000));
    ASYNC_END;
}

struct program { ASYNC_FRAME; ASYNC_TASK_OF(fetch) spawned; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    {
        async_object dropped = CO(fetch, 1);
        (void)dropped;
    }
    AWAIT(async_sleep, 0);
    async_task_release(async_create_task(CO(fetch, ASYNC_EINVAL)));
    ASYNC_SPAWN(self->spawned, fetch, ASYNC_ENOMEM);
    async_task_release(self->spawned.task);
    AWAIT_CO(CO(async_sleep, 0)); /* taken: no report */
    AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_sleep, 0);
    async_task_release(async_create_task(CO(forever)));
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    async_virtual_loop loop;
    int error;
    async_virtual_loop_init(&loop, NULL);
    error = async_loop_run_until_complete(&loop.base, CO(program));
    async_loop_close(&loop.base);
    return error;
}
