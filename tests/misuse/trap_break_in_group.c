/* trap: break or continue outside a loop */

/* A break in a task group leaves the loop around that; here is none. */
#define ASYNC_IMPLEMENTATION
#include <async/group.h>
#include <async/test/virtual.h>

struct wrong { ASYNC_FRAME; async_task_group group; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TASK_GROUP(&self->group) {
        AWAIT(async_sleep, 0);
        break;
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(wrong)) != 0;
}
