/* error: the_items_of_this_queue_are_of_another_type */

/* The address of an item of another type than the queue's. */
#include <async/queue.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; ASYNC_QUEUE(int, 4) queue; long item; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(ASYNC_QUEUE_PUT(&self->queue, &self->item));
    ASYNC_END;
}
