/* error: this_is_a_generator_iterate_it_with_ASYNC_FOR */

/* CO() of a generator. */
#include <task.h>

struct count { ASYNC_YIELDS(int); int to; };
ASYNC(count);

void plain(void);
void plain(void)
{
    async_task_release(async_create_task(CO(count, 3)));
}
