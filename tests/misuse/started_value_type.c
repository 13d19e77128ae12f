/* gcc: from 'char *' makes integer from pointer */
/* clang: from 'char[3]' */

/* A value of another type handed back by a nursery's child. */
#include <async/nursery.h>

typedef ASYNC_STARTING(int) int_starting;

struct wrong { ASYNC_FRAME; int_starting *start; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_STARTED(self->start, "80");
    ASYNC_END;
}
