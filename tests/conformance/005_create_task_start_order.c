#include "conformance.h"

struct leaf { ASYNC_FRAME; int n; };
static ASYNC(leaf)
{
    ASYNC_BEGIN(leaf);
    printf("start %d\n", self->n);
    ASYNC_END;
}

typedef struct list {
    async_task *tasks[4];
    int length;
} list;

struct spawner { ASYNC_FRAME; int n; list *out; };
static ASYNC(spawner)
{
    ASYNC_BEGIN(spawner);
    printf("start %d\n", self->n);
    self->out->tasks[self->out->length++] =
        async_create_task(CO(leaf, self->n * 10));
    printf("spawned %d\n", self->n * 10);
    ASYNC_END;
}

struct program { ASYNC_FRAME; list out; async_task *ts[3]; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->ts[0] = async_create_task(CO(spawner, 1, &self->out));
    self->ts[1] = async_create_task(CO(leaf, 2));
    self->ts[2] = async_create_task(CO(spawner, 3, &self->out));
    puts("created");
    for (self->i = 0; self->i < 3; self->i++) AWAIT_JOIN(self->ts[self->i]);
    printf("awaited %d\n", self->out.length);
    for (self->i = 0; self->i < self->out.length; self->i++)
        AWAIT_JOIN(self->out.tasks[self->i]);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
