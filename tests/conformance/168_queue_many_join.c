#include "conformance.h"

#include "../../async/queue.h"

typedef ASYNC_HEAP_QUEUE(int) queue;

struct joiner { ASYNC_FRAME; queue *q; char n; };
static ASYNC(joiner)
{
    ASYNC_BEGIN(joiner);
    AWAIT(async_queue_join, &self->q->queue);
    printf("joined %c\n", self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    queue q;
    async_task *a, *b, *t;
    async_gathering both;
    int item;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_HEAP_QUEUE_INIT(&self->q, async_loop_of(co), 0);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1);
    self->a = async_create_task(CO(joiner, &self->q, 'A'));
    self->b = async_create_task(CO(joiner, &self->q, 'B'));
    AWAIT(async_sleep, 0);
    ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->item);
    puts("got, not done");
    AWAIT(async_sleep, 0);
    async_queue_task_done(&self->q.queue);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 2); /* before the joiners ran */
    AWAIT_GATHER(&self->both, async_task_object(self->a),
                 async_task_object(self->b));
    async_gather_clear(&self->both);
    self->t = async_create_task(CO(joiner, &self->q, 'C'));
    AWAIT(async_sleep, 0);
    printf("C done %s\n", boolean(async_task_done(self->t)));
    ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->item);
    async_queue_task_done(&self->q.queue);
    AWAIT_JOIN(self->t);
    async_task_release(self->a);
    async_task_release(self->b);
    async_queue_destroy(&self->q.queue);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
