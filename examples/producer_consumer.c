/* producer_consumer - a queue between two tasks: full, it holds the producer
 * back, empty the consumer. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"
#include "../async/queue.h"

#include <stdio.h>

enum { PLACES = 2, ITEMS = 6 };

typedef ASYNC_QUEUE(int, PLACES) buffer;

struct producer { ASYNC_FRAME; buffer *to; int i; };
static ASYNC(producer)
{
    ASYNC_BEGIN(producer);
    for (self->i = 1; self->i <= ITEMS; self->i++) {
        AWAIT_QUEUE_PUT(self->to, self->i);
        printf("produced %d\n", self->i);
    }
    async_queue_shutdown(&self->to->queue, 0); /* what is in it stays */
    ASYNC_END;
}

struct consumer { ASYNC_FRAME; buffer *from; int item; };
static ASYNC(consumer)
{
    ASYNC_BEGIN(consumer);
    ASYNC_TRY {
        for (;;) {
            AWAIT_QUEUE_GET_INTO(self->item, self->from);
            printf("           consumed %d\n", self->item);
            AWAIT(async_sleep, ASYNC_MS(20)); /* slower than the producer */
        }
    } ASYNC_EXCEPT(ASYNC_EQUEUESHUTDOWN) {
        puts("           no more");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; buffer between; async_gathering both; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_QUEUE_INIT(&self->between);
    AWAIT_GATHER(&self->both, CO(producer, &self->between),
                 CO(consumer, &self->between));
    async_gather_clear(&self->both);
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
