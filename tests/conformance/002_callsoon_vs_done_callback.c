#include "conformance.h"

typedef ASYNC_FUTURE(int) int_future;

static int done(async_future *future, void *label)
{
    printf("%s %d\n", (const char *)label, ((int_future *)future)->value);
    return 0;
}

struct program { ASYNC_FRAME; int_future f; async_done_callback done1, done2, late; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->f.future, async_loop_of(co));
    async_future_add_done_callback(&self->f.future, &self->done1, done, "done1");
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "soon1");
    async_future_add_done_callback(&self->f.future, &self->done2, done, "done2");
    puts("before set");
    ASYNC_SET_RESULT(&self->f, 7);
    printf("after set %s\n", boolean(async_future_done(&self->f.future)));
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "soon2");
    async_future_add_done_callback(&self->f.future, &self->late, done, "late");
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "soon3");
    AWAIT(async_sleep, 0);
    puts("main resumed");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
