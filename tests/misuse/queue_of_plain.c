/* gcc: 'async_queue' has no member named 'queue' */
/* clang: no member named 'queue' in 'struct async_queue' */

/* The queue without its type, where that is needed. */
#include <async/queue.h>

struct wrong { ASYNC_FRAME; async_queue *q; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_QUEUE_PUT(self->q, 1);
    ASYNC_END;
}
