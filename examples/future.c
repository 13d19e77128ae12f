/* future - a result that is not there yet: one task waits, a callback sets. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

typedef const char *text;
typedef ASYNC_FUTURE(text) text_future;

static int set(void *future)
{
    puts("setting the future");
    return ASYNC_SET_RESULT((text_future *)future, "the future is here");
}

struct program { ASYNC_FRAME; text_future future; async_handle timer; text result; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->future.future, async_loop_of(co));
    async_loop_call_later(async_loop_of(co), &self->timer, ASYNC_MS(100), set,
                          &self->future);
    puts("the future is not here yet");
    AWAIT_FUTURE_INTO(self->result, &self->future);
    puts(self->result);
    AWAIT_FUTURE_INTO(self->result, &self->future); /* done: at once */
    puts(self->result);
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
