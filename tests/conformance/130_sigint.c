/* needs: libuv */
/* Ctrl-C under async_run: the main task is cancelled, may clean up, then
 * async_run() gives ASYNC_EINTR; if main swallows the cancel its value is
 * returned. */
#define _POSIX_C_SOURCE 200809L
#include "conformance.h"

#include <signal.h>
#include <unistd.h>

static int interrupt(void *argument)
{
    (void)argument;
    return kill(getpid(), SIGINT);
}

struct program { ASYNC_RETURNS(const char *); int swallow; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_call_later(async_get_running_loop(), NULL, U, interrupt, NULL);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        puts("main cancelled");
        AWAIT(async_sleep, 0);
        if (self->swallow) ASYNC_RETURN("swallowed");
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_RETURN(NULL);
    ASYNC_END;
}

int main(void)
{
    const char *result = NULL;
    signal(SIGINT,
           SIG_DFL); /* what a shell starts in the background ignores it */
    if (async_run(CO(program, 0)) == ASYNC_EINTR) puts("KeyboardInterrupt");
    ASYNC_RUN_INTO(result, program, 1);
    puts(result);
    return 0;
}
