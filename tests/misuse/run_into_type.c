/* error: the_result_is_of_another_type_than_this_place */

/* The result of a whole run does not fit the place. */
#include <task.h>

struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);

int plain(async_loop *loop);
int plain(async_loop *loop)
{
    long n;
    return ASYNC_RUN_UNTIL_COMPLETE_INTO(n, loop, answer, 1);
}
