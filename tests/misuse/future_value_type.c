/* gcc: assignment to 'int' from 'char *' */
/* clang: assigning to 'int' from 'char[4]' */
/* flags: -Werror */

/* A typed future is given a value of another type; by default a warning. */
#include <future.h>

typedef ASYNC_FUTURE(int) number;

void plain(number *future);
void plain(number *future)
{
    ASYNC_SET_RESULT(future, "one");
}
