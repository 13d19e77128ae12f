/* gcc: has no member named 'sent' */
/* clang: no member named 'sent' */

/* A generator that is sent nothing takes what it was sent: ASYNC_YIELDS_SENT. */
#include <async.h>

struct wrong { ASYNC_YIELDS(int); int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_YIELD_INTO(self->n, 1);
    ASYNC_END;
}
