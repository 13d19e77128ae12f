#include "conformance.h"

#include "../../async/queue.h"

typedef ASYNC_QUEUE(int, 1) queue;

struct putter { ASYNC_FRAME; queue *q; int x; };
static ASYNC(putter)
{
    ASYNC_BEGIN(putter);
    AWAIT_QUEUE_PUT(self->q, self->x);
    printf("put %d\n", self->x);
    ASYNC_END;
}

struct program { ASYNC_FRAME; queue q; async_task *ts[3]; int i, x; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_QUEUE_INIT(&self->q);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 0);
    for (self->i = 0; self->i < 3; self->i++)
        self->ts[self->i] =
            async_create_task(CO(putter, &self->q, self->i + 1));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->ts[0]);
    AWAIT(async_sleep, 0);
    ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->x); /* wakes putter 2 */
    printf("get %d\n", self->x);
    async_task_cancel(self->ts[1]); /* ... which is cancelled at once */
    for (self->i = 0; self->i < 3; self->i++) AWAIT(async_sleep, 0);
    ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->x);
    printf("get %d [%s, %s, %s]\n", self->x,
           boolean(async_task_cancelled(self->ts[0])),
           boolean(async_task_cancelled(self->ts[1])),
           boolean(async_task_cancelled(self->ts[2])));
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->ts[self->i]);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
