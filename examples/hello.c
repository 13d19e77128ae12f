/* hello - the smallest program: a coroutine that sleeps for a second.
 *
 * Build: cc hello.c -luv
 * Python: asyncio.run(main()) with print, asyncio.sleep(1), print
 */
#define ASYNC_IMPLEMENTATION /* in one file of the program */
#include "../async/uv/loop.h"

#include <stdio.h>

struct hello { ASYNC_FRAME; };  /* what survives an await: nothing here */
static ASYNC(hello)
{
    ASYNC_BEGIN(hello);
    puts("hello");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    puts("world");
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(hello));
}
