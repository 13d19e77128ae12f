#include "conformance.h"

#include "../../async/queue.h"

typedef ASYNC_QUEUE(int, 2) two_places;
typedef ASYNC_HEAP_QUEUE(int) unbounded;

struct program { ASYNC_FRAME; two_places q; unbounded u; int a, b, i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_QUEUE_INIT(&self->q);
    printf("%zu %s %s %zu\n", async_queue_qsize(&self->q.queue),
           boolean(async_queue_empty(&self->q.queue)),
           boolean(async_queue_full(&self->q.queue)),
           async_queue_maxsize(&self->q.queue));
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1);
    AWAIT_QUEUE_PUT(&self->q, 2);
    printf("%zu %s %s\n", async_queue_qsize(&self->q.queue),
           boolean(async_queue_empty(&self->q.queue)),
           boolean(async_queue_full(&self->q.queue)));
    if (ASYNC_QUEUE_PUT_NOWAIT(&self->q, 3) == ASYNC_EQUEUEFULL)
        puts("QueueFull");
    ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->a);
    AWAIT_QUEUE_GET_INTO(self->b, &self->q);
    printf("%d %d\n", self->a, self->b);
    if (ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->a) == ASYNC_EQUEUEEMPTY)
        puts("QueueEmpty");
    ASYNC_HEAP_QUEUE_INIT(&self->u, async_loop_of(co), 0);
    for (self->i = 0; self->i < 1000; self->i++)
        ASYNC_QUEUE_PUT_NOWAIT(&self->u, self->i);
    printf("%s %zu\n", boolean(async_queue_full(&self->u.queue)),
           async_queue_qsize(&self->u.queue));
    async_queue_destroy(&self->u.queue);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
