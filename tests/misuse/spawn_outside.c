/* error: AWAIT_needs_ASYNC_BEGIN_before_it */

/* ASYNC_SPAWN in a plain function: async_create_task() is for those. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

void plain(void);
void plain(void)
{
    ASYNC_TASK_OF(work) task;
    ASYNC_SPAWN(task, work, 1);
}
