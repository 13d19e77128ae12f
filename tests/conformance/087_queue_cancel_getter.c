#include "conformance.h"

#include "../../async/queue.h"

typedef ASYNC_HEAP_QUEUE(const char *) queue;

struct getter { ASYNC_FRAME; queue *q; char n; const char *got; };
static ASYNC(getter)
{
    ASYNC_BEGIN(getter);
    ASYNC_TRY {
        AWAIT_QUEUE_GET_INTO(self->got, self->q);
        printf("%c got %s\n", self->n, self->got);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("%c cancelled\n", self->n);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    queue q;
    async_task *a, *b, *c, *d;
    async_gathering both;
    const char *last;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_HEAP_QUEUE_INIT(&self->q, async_loop_of(co), 0);
    self->a = async_create_task(CO(getter, &self->q, 'A'));
    self->b = async_create_task(CO(getter, &self->q, 'B'));
    self->c = async_create_task(CO(getter, &self->q, 'C'));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->a);
    AWAIT(async_sleep, 0);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, "x"); /* wakes B */
    async_task_cancel(self->b);            /* B already woken */
    async_gather_return_exceptions(&self->both);
    AWAIT_GATHER(&self->both, async_task_object(self->b),
                 async_task_object(self->c));
    async_gather_clear(&self->both);
    printf("%zu\n", async_queue_qsize(&self->q.queue));
    self->d = async_create_task(CO(getter, &self->q, 'D'));
    AWAIT(async_sleep, 0);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, "y");
    async_task_cancel(self->d);
    ASYNC_TRY {
        AWAIT_TASK(self->d);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
    ASYNC_END_TRY
    printf("%zu ", async_queue_qsize(&self->q.queue));
    ASYNC_QUEUE_GET_NOWAIT(&self->q, &self->last);
    puts(self->last);
    async_task_release(self->a);
    async_task_release(self->b);
    async_task_release(self->c);
    async_task_release(self->d);
    async_queue_destroy(&self->q.queue);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
