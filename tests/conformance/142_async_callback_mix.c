#include "conformance.h"

typedef const char *text;
typedef ASYNC_FUTURE(text) text_future;

struct child { ASYNC_RETURNS(text); text n; text_future *f; text r; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    printf("child %s start\n", self->n);
    AWAIT_FUTURE_INTO(self->r, self->f);
    printf("child %s got %s\n", self->n, self->r);
    AWAIT(async_sleep, 0);
    printf("child %s end\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

typedef ASYNC_TASK_OF(child) child_task;

static int a_done(async_future *t, void *task)
{
    (void)t;
    printf("a done cb %s\n", ASYNC_TASK_RESULT(*(child_task *)task));
    return 0;
}
static int f_done(async_future *f, void *arg)
{
    (void)f, (void)arg;
    puts("f done cb");
    return 0;
}
static int set_R(void *f)
{
    return ASYNC_SET_RESULT((text_future *)f, "R");
}

struct program {
    ASYNC_FRAME;
    text_future f;
    child_task a, b;
    async_done_callback on_a, on_f;
    text ra, rb;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->f.future, async_loop_of(co));
    ASYNC_SPAWN(self->a, child, "a", &self->f);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "s1");
    ASYNC_SPAWN(self->b, child, "b", &self->f);
    async_future_add_done_callback(&self->a.task->future, &self->on_a, a_done,
                                   &self->a);
    async_loop_call_later(async_loop_of(co), NULL, 0, print_line, "timer");
    async_future_add_done_callback(&self->f.future, &self->on_f, f_done, NULL);
    async_loop_call_soon(async_loop_of(co), NULL, set_R, &self->f);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "s2");
    puts("main waits");
    AWAIT_TASK_INTO(self->ra, self->a);
    AWAIT_TASK_INTO(self->rb, self->b);
    printf("%s %s\n", self->ra, self->rb);
    puts("main end");
    async_task_release(self->a.task);
    async_task_release(self->b.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
