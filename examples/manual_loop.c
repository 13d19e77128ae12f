/* manual_loop - what async_run() is made of: a loop, a task, run until
 * complete, close. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

struct work { ASYNC_RETURNS(int); const char *name; int units; };
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    printf("%s begins\n", self->name);
    AWAIT(async_sleep, self->units * ASYNC_MS(50));
    printf("%s ends\n", self->name);
    ASYNC_RETURN(self->units);
    ASYNC_END;
}

int main(void)
{
    static async_uv_loop loop;
    async_task *background;
    int units;
    if (async_uv_loop_init(&loop, NULL, NULL) != 0) return 1;
    background = async_loop_create_task(&loop.base, CO(work, "background", 3));

    /* Runs the loop until this one is complete; the other is left where it
     * stands, and goes on in the next run. */
    ASYNC_RUN_UNTIL_COMPLETE_INTO(units, &loop.base, work, "first", 1);
    printf("first took %d, background is %s\n", units,
           async_task_done(background) ? "done" : "not done");
    async_loop_run_until_complete(&loop.base, async_task_object(background));
    printf("background is %s\n",
           async_task_done(background) ? "done" : "not done");
    async_task_release(background);
    return async_loop_close(&loop.base);
}
