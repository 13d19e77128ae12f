/* gcc: initialization of 'int' from 'char *' makes integer from pointer */
/* clang: incompatible pointer to integer conversion initializing */

/* An item of another type than the queue's, without waiting. */
#include <async/queue.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; ASYNC_QUEUE(int, 4) queue; char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_QUEUE_PUT_NOWAIT(&self->queue, self->text);
    ASYNC_END;
}
