/* producer_consumer - a bounded buffer between two tasks.  Two semaphores
 * count the free and the filled places; a full buffer holds the producer back,
 * an empty one the consumer. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"
#include "../async/sync.h"

#include <stdio.h>

enum { PLACES = 2, ITEMS = 6, END = -1 };

typedef struct buffer {
    async_semaphore free_places, filled_places;
    int items[PLACES];
    unsigned in, out;
} buffer;

struct put { ASYNC_FRAME; buffer *to; int item; };
static ASYNC(put)
{
    ASYNC_BEGIN(put);
    AWAIT(async_semaphore_acquire, &self->to->free_places);
    self->to->items[self->to->in++ % PLACES] = self->item;
    async_semaphore_release(&self->to->filled_places);
    ASYNC_END;
}

struct get { ASYNC_RETURNS(int); buffer *from; };
static ASYNC(get)
{
    ASYNC_BEGIN(get);
    AWAIT(async_semaphore_acquire, &self->from->filled_places);
    self->frame.result = self->from->items[self->from->out++ % PLACES];
    async_semaphore_release(&self->from->free_places);
    ASYNC_END;
}

struct producer { ASYNC_FRAME; buffer *to; int i; };
static ASYNC(producer)
{
    ASYNC_BEGIN(producer);
    for (self->i = 1; self->i <= ITEMS; self->i++) {
        AWAIT(put, self->to, self->i);
        printf("produced %d\n", self->i);
    }
    AWAIT(put, self->to, END);
    ASYNC_END;
}

struct consumer { ASYNC_FRAME; buffer *from; int item; };
static ASYNC(consumer)
{
    ASYNC_BEGIN(consumer);
    for (;;) {
        AWAIT_INTO(self->item, get, self->from);
        if (self->item == END) break;
        printf("           consumed %d\n", self->item);
        AWAIT(async_sleep, ASYNC_MS(20)); /* slower than the producer */
    }
    puts("           no more");
    ASYNC_END;
}

struct program { ASYNC_FRAME; buffer between; async_gathering both; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_semaphore_init(&self->between.free_places, PLACES);
    async_semaphore_init(&self->between.filled_places, 0);
    AWAIT_GATHER(&self->both, CO(producer, &self->between),
                 CO(consumer, &self->between));
    async_gather_clear(&self->both);
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
