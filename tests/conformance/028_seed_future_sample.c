#include "conformance.h"

typedef const char *text;

struct program { ASYNC_FRAME; ASYNC_FUTURE(text) future; text result; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->future.future, async_loop_of(co));
    ASYNC_SET_RESULT(&self->future, "未來");

    puts("未來還沒來");
    AWAIT_FUTURE_INTO(self->result, &self->future);
    puts(self->result);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
