/* gcc: undefined type 'struct async_event_acquire' */
/* clang: incomplete definition of type 'struct async_event_acquire' */

/* A type that cannot be held: it has no coroutine type_acquire. */
#include <async/sync.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_event event; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_WITH(async_event, &self->event) {
        AWAIT(work, 1);
    } ASYNC_END_WITH
    ASYNC_END;
}
