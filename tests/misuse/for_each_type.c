/* gcc: assignment to 'const char *' from 'int' */
/* clang: assigning to 'const char *' from 'int' */
/* flags: -Werror */

/* The same as for_type.c from plain code: a warning, by default. */
#include <async.h>

struct count { ASYNC_YIELDS(int); int to; };
ASYNC(count);

int plain(struct count *numbers);
int plain(struct count *numbers)
{
    const char *text;
    ASYNC_FOR_EACH(text, numbers) return 1;
    return 0;
}
