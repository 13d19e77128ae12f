/* error: ASYNC_END_SCOPE ends another block than ASYNC_SCOPE */

/* A timeout with a scope's END. */
#include <async/scope.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_timeout limit; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT(work, 1);
    } ASYNC_END_SCOPE
    ASYNC_END;
}
