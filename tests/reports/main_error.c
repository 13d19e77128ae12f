/* An error that leaves the main coroutine: its name and text, and each await
 * that it passed, innermost last. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

struct parse { ASYNC_RETURNS(int); const char *text; };
static ASYNC(parse)
{
    ASYNC_BEGIN(parse);
    AWAIT(async_sleep, ASYNC_MS(1));
    if (self->text[0] != '{') ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct load { ASYNC_FRAME; int n, finished; };
static ASYNC(load)
{
    ASYNC_BEGIN(load);
    ASYNC_TRY {
        AWAIT_INTO(self->n, parse, "{}");
        AWAIT_INTO(self->n, parse, "<html>");
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_MS(1));
        self->finished = 1;
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(load);
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(program));
}
