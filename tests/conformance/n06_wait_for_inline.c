#include "conformance.h"

typedef const char *text;

static int v; /* in the place of a context variable */

struct c { ASYNC_RETURNS(text); };
static ASYNC(c)
{
    ASYNC_BEGIN(c);
    v++;
    ASYNC_RETURN(async_task_get_name(async_current_task()));
    ASYNC_END;
}

struct program { ASYNC_FRAME; text name; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "cb");
    async_task_set_name(async_current_task(), "M");
    AWAIT_WAIT_FOR_INTO(self->name, ASYNC_SECONDS(5), c);
    printf("%s %d\n", self->name, v);
    puts("before cb");
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
