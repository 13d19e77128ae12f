#include "conformance.h"

#include "../../async/queue.h"

typedef ASYNC_HEAP_QUEUE(int) queue;

struct worker { ASYNC_FRAME; queue *q; char n; int x; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    for (;;) {
        AWAIT_QUEUE_GET_INTO(self->x, self->q);
        AWAIT(async_sleep, self->x * U);
        printf("worker %c did %d\n", self->n, self->x);
        async_queue_task_done(&self->q->queue);
    }
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    queue q;
    async_task *ts[2];
    async_gathering all;
    int i, error;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_HEAP_QUEUE_INIT(&self->q, async_loop_of(co), 0);
    AWAIT(async_queue_join, &self->q.queue);
    puts("join empty ok");
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 3);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 4);
    for (self->i = 0; self->i < 2; self->i++)
        self->ts[self->i] =
            async_create_task(CO(worker, &self->q, "AB"[self->i]));
    AWAIT(async_queue_join, &self->q.queue);
    printf("joined %zu\n", async_queue_qsize(&self->q.queue));
    async_gather_return_exceptions(&self->all);
    for (self->i = 0; self->i < 2; self->i++) {
        async_task_cancel(self->ts[self->i]);
        async_gather_add(&self->all, async_task_object(self->ts[self->i]));
        async_task_release(self->ts[self->i]);
    }
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    puts("workers gone");
    self->error = async_queue_task_done(&self->q.queue);
    if (self->error) printf("ValueError %s\n", async_strerror(self->error));
    async_queue_destroy(&self->q.queue);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
