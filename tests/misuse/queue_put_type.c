/* gcc: initialization of 'int' from 'char *' makes integer from pointer */
/* clang: incompatible pointer to integer conversion initializing */

/* An item of another type than the queue's. */
#include <async/queue.h>

typedef ASYNC_QUEUE(int, 4) int_queue;

struct wrong { ASYNC_FRAME; int_queue *q; char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_QUEUE_PUT(self->q, self->text);
    ASYNC_END;
}
