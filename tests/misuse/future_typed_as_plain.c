/* gcc: from incompatible pointer type */
/* clang: incompatible pointer types passing */

/* AWAIT_FUTURE takes an async_future *: &typed->future. */
#include <future.h>

typedef ASYNC_FUTURE(int) number;

struct wrong { ASYNC_FRAME; number *future; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_FUTURE(self->future);
    ASYNC_END;
}
