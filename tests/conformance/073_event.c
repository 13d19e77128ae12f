#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_event *ev; char n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    printf("%c wait\n", self->n);
    AWAIT(async_event_wait, self->ev); /* returns nothing: it would be True */
    printf("%c woke True %s\n", self->n,
           boolean(async_event_is_set(self->ev)));
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_event ev; async_task *ts[3]; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_event_init(&self->ev);
    for (self->i = 0; self->i < 3; self->i++)
        self->ts[self->i] =
            async_create_task(CO(w, &self->ev, (char)('A' + self->i)));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->ts[1]);
    async_event_set(&self->ev);
    async_event_clear(&self->ev);
    printf("set+clear %s\n", boolean(async_event_is_set(&self->ev)));
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    printf("[%s, %s, %s] %s\n", boolean(async_task_done(self->ts[0])),
           boolean(async_task_done(self->ts[1])),
           boolean(async_task_done(self->ts[2])),
           boolean(async_task_cancelled(self->ts[1])));
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->ts[self->i]);
    async_event_set(&self->ev);
    async_event_set(&self->ev);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "cb");
    AWAIT(async_event_wait, &self->ev);
    puts("True");
    puts("before cb");
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
