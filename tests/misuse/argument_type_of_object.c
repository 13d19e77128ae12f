/* gcc: initialization of 'int' from 'char *' */
/* clang: initializing 'int' with an expression of type 'char[4]' */
/* flags: -Werror */

/* A wrong argument in CO() outside of a coroutine: what the compiler thinks of
 * it by default, which is a warning. */
#include <task.h>

struct work { ASYNC_FRAME; int n; };
ASYNC(work);

void plain(void);
void plain(void)
{
    async_task_release(async_create_task(CO(work, "one")));
}
