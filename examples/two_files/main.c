/* two_files - Caesura used from two translation units: one has the
 * implementation, both see one library. */
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include "fetch.h"

#include <stdio.h>

struct program { ASYNC_FRAME; ASYNC_TASK_OF(fetch) t; int a, b; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->t, fetch, 4);
    AWAIT_INTO(self->a, fetch, 3);
    AWAIT_JOIN_INTO(self->b, self->t);
    printf("%d %d\n", self->a, self->b);
    puts(fetch_sees_loop() == async_get_running_loop() ? "one loop"
                                                       : "two loops");
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
