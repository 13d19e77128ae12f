#include "conformance.h"

#include "../../async/queue.h"

enum { NONE = -1 };
typedef ASYNC_QUEUE(int, 2) queue;

struct producer { ASYNC_FRAME; queue *q; int n, i; };
static ASYNC(producer)
{
    ASYNC_BEGIN(producer);
    for (; self->i < self->n; self->i++) {
        AWAIT_QUEUE_PUT(self->q, self->i);
        printf("P %d\n", self->i);
    }
    AWAIT_QUEUE_PUT(self->q, NONE);
    puts("P end");
    ASYNC_END;
}

struct consumer { ASYNC_RETURNS(int); queue *q; int total, x; };
static ASYNC(consumer)
{
    ASYNC_BEGIN(consumer);
    for (;;) {
        AWAIT_QUEUE_GET_INTO(self->x, self->q);
        if (self->x == NONE) break;
        printf("C %d\n", self->x);
        self->total += self->x;
    }
    ASYNC_RETURN(self->total);
    ASYNC_END;
}

struct program { ASYNC_FRAME; queue q; async_gathering both; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_QUEUE_INIT(&self->q);
    AWAIT_GATHER(&self->both, CO(producer, &self->q, 6),
                 CO(consumer, &self->q));
    printf("%d\n", GATHERED(&self->both, 1, consumer));
    async_gather_clear(&self->both);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
