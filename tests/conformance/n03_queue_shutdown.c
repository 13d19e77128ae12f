#include "conformance.h"

#include "../../async/queue.h"

typedef ASYNC_QUEUE(const char *, 1) one_text;
typedef ASYNC_HEAP_QUEUE(int) numbers;

struct getter { ASYNC_FRAME; numbers *q; char n; int got; };
static ASYNC(getter)
{
    ASYNC_BEGIN(getter);
    ASYNC_TRY {
        AWAIT_QUEUE_GET_INTO(self->got, self->q);
        printf("%c got %d\n", self->n, self->got);
    } ASYNC_EXCEPT(ASYNC_EQUEUESHUTDOWN) {
        printf("%c %s\n", self->n, async_strerror(ASYNC_EQUEUESHUTDOWN));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct putter { ASYNC_FRAME; one_text *q; const char *x; };
static ASYNC(putter)
{
    ASYNC_BEGIN(putter);
    ASYNC_TRY {
        AWAIT_QUEUE_PUT(self->q, self->x);
        printf("put %s\n", self->x);
    } ASYNC_EXCEPT(ASYNC_EQUEUESHUTDOWN) {
        printf("put %s QueueShutDown\n", self->x);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    numbers q;
    one_text texts;
    async_task *a, *b, *t;
    const char *text;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_HEAP_QUEUE_INIT(&self->q, async_loop_of(co), 0);
    self->a = async_create_task(CO(getter, &self->q, 'A'));
    self->b = async_create_task(CO(getter, &self->q, 'B'));
    AWAIT(async_sleep, 0);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1);
    async_queue_shutdown(&self->q.queue, 0);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    async_queue_destroy(&self->q.queue);

    ASYNC_QUEUE_INIT(&self->texts);
    ASYNC_QUEUE_PUT_NOWAIT(&self->texts, "x");
    self->t = async_create_task(CO(putter, &self->texts, "y"));
    AWAIT(async_sleep, 0);
    async_queue_shutdown(&self->texts.queue, 0);
    AWAIT_JOIN(self->t);
    ASYNC_QUEUE_GET_NOWAIT(&self->texts, &self->text);
    printf("drain %s\n", self->text);
    if (ASYNC_QUEUE_GET_NOWAIT(&self->texts, &self->text) ==
        ASYNC_EQUEUESHUTDOWN)
        puts("get_nowait QueueShutDown");
    if (ASYNC_QUEUE_PUT_NOWAIT(&self->texts, "z") == ASYNC_EQUEUESHUTDOWN)
        puts("put_nowait QueueShutDown");
    async_queue_task_done(&self->texts.queue);
    AWAIT(async_queue_join, &self->texts.queue);

    ASYNC_HEAP_QUEUE_INIT(&self->q, async_loop_of(co), 0);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1);
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 2);
    self->t = async_create_task(CO(async_queue_join, &self->q.queue));
    AWAIT(async_sleep, 0);
    async_queue_shutdown(&self->q.queue, 1);
    AWAIT_JOIN(self->t);
    printf("joined %zu\n", async_queue_qsize(&self->q.queue));
    async_queue_shutdown(&self->q.queue, 0);
    puts("twice ok");
    async_queue_destroy(&self->q.queue);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
