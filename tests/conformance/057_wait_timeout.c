#include "conformance.h"

struct w { ASYNC_FRAME; int n, d; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, self->d * U);
    printf("done %d\n", self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_task *a, *b, *t;
    async_waited ts[2];
    size_t done;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->a = async_create_task(CO(w, 1, 1));
    self->b = async_create_task(CO(w, 3, 3));
    self->ts[0].future = &self->a->future;
    self->ts[1].future = &self->b->future;
    AWAIT_INTO(self->done, async_wait, self->ts, 2, 2 * U);
    printf("%d %d [%s, %s]\n", (int)self->done, 2 - (int)self->done,
           boolean(async_task_cancelled(self->a)),
           boolean(async_task_cancelled(self->b)));
    AWAIT_INTO(self->done, async_wait, self->ts, 2, ASYNC_SECONDS(100));
    printf("%d %d\n", (int)self->done, 2 - (int)self->done);
    AWAIT_INTO(self->done, async_wait, self->ts, 2, 0);
    printf("%d %d\n", (int)self->done, 2 - (int)self->done);
    self->t = async_create_task(CO(w, 4, 1));
    self->ts[0].future = &self->t->future;
    AWAIT_INTO(self->done, async_wait, self->ts, 1, 0);
    printf("%d %d\n", (int)self->done, 1 - (int)self->done);
    AWAIT_JOIN(self->t);
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
