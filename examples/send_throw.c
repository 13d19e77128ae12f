/* send_throw - a coroutine driven by hand, without a loop: what async_run and
 * tasks do for you. */
#define ASYNC_IMPLEMENTATION
#include "../task.h"

#include <stdio.h>

struct worker { ASYNC_RETURNS(int); int rounds; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    ASYNC_TRY {
        for (;;) {
            printf("round %d\n", ++self->rounds);
            AWAIT(async_sleep, 0);
        }
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("cancelled, and caught");
    } ASYNC_FINALLY {
        puts("cleaned up");
    } ASYNC_END_TRY
    ASYNC_RETURN(self->rounds);
    ASYNC_END;
}

int main(void)
{
    async coroutine;
    if (async_new(&coroutine, NULL, CO(worker)) != 0) return 1;
    while (async_send(&coroutine) == ASYNC_SUSPENDED) {
        puts("suspended");
        /* where it is suspended, for a debugger or a log */
        if (async_frame_innermost(&coroutine) != NULL)
            printf("in %s\n",
                   async_frame_name(async_frame_innermost(&coroutine)));
        if (async_throw(&coroutine, ASYNC_ECANCELED) == 0) break;
    }
    printf("returned %d\n", ASYNC_RESULT(&coroutine, worker));
    printf("again: %s\n", async_strerror(async_send(&coroutine)));
    return async_close(&coroutine);
}
