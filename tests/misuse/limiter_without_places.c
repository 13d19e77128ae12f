/* gcc: incompatible pointer type */
/* clang: incompatible pointer types */

/* A limiter with its places where the limiter alone is meant. */
#include <async/limiter.h>

typedef ASYNC_LIMITER(4) four;

struct wrong { ASYNC_FRAME; four *tokens; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    ASYNC_WITH(async_limiter, self->tokens) {
    } ASYNC_END_WITH
    ASYNC_END;
}
