/* gcc: has no member named 'value' */
/* clang: no member named 'value' */

/* A loop over what is no generator. */
#include <async.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; struct work work; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_FOR(self->n, &self->work) {
    } ASYNC_END_FOR
    ASYNC_END;
}
