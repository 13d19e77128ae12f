#include "conformance.h"

#include "../../async/queue.h"

static int compare(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}
typedef ASYNC_HEAP_QUEUE(int) queue;

struct getter { ASYNC_FRAME; queue *q; char n; int item; };
static ASYNC(getter)
{
    ASYNC_BEGIN(getter);
    AWAIT_QUEUE_GET_INTO(self->item, self->q);
    printf("%c got %d\n", self->n, self->item);
    ASYNC_END;
}

struct program { ASYNC_FRAME; queue q; async_task *a, *b; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_HEAP_PRIORITY_QUEUE_INIT(&self->q, async_loop_of(co), 0, compare);
    self->a = async_create_task(CO(getter, &self->q, 'A'));
    self->b = async_create_task(CO(getter, &self->q, 'B'));
    AWAIT(async_sleep, 0);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 5); /* wakes A */
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1); /* wakes B */
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 3);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    printf("%zu\n", async_queue_qsize(&self->q.queue));
    async_queue_destroy(&self->q.queue);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
