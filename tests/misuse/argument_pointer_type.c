/* gcc: initialization of 'const char *' from incompatible pointer type 'int *' */
/* clang: initializing 'const char *' with an expression of type 'int *' */

/* A pointer to something else than the coroutine takes. */
#include <async.h>

struct print { ASYNC_FRAME; const char *what; };
ASYNC(print);

struct wrong { ASYNC_FRAME; int n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(print, &self->n);
    ASYNC_END;
}
