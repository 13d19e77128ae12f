/* error: the_items_of_this_queue_are_of_another_type */

/* An item taken into a place of another type. */
#include <async/queue.h>

typedef ASYNC_QUEUE(int, 4) int_queue;

struct wrong { ASYNC_FRAME; int_queue *q; long n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_QUEUE_GET_INTO(self->n, self->q);
    ASYNC_END;
}
