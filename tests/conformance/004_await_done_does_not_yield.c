#include "conformance.h"

typedef const char *text;

struct nosusp { ASYNC_RETURNS(text); };
static ASYNC(nosusp)
{
    ASYNC_BEGIN(nosusp);
    ASYNC_RETURN("n");
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    ASYNC_FUTURE(text) f;
    text result;
    ASYNC_TASK_OF(nosusp) t;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "cb");
    async_future_init(&self->f.future, async_loop_of(co));
    ASYNC_SET_RESULT(&self->f, "f");
    AWAIT_FUTURE_INTO(self->result, &self->f);
    puts(self->result);
    AWAIT_INTO(self->result, nosusp);
    puts(self->result);
    puts("still before cb");
    AWAIT(async_sleep, 0);
    puts("after sleep0");
    ASYNC_SPAWN(self->t, nosusp);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "cb2");
    AWAIT_TASK_INTO(self->result, self->t); /* suspends: not started yet */
    puts(self->result);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "cb3");
    AWAIT_JOIN_INTO(self->result, self->t); /* done now: does not suspend */
    puts(self->result);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
