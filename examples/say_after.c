/* say_after - one after the other, then as tasks, then gathered.
 *
 * Awaiting a coroutine runs it here and now, so two of them take the sum of
 * their times.  A task runs by itself: two of them take the longer time.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"

#include <stdio.h>

#define UNIT ASYNC_MS(100)

struct say_after { ASYNC_FRAME; int units; const char *what; };
static ASYNC(say_after)
{
    ASYNC_BEGIN(say_after);
    AWAIT(async_sleep, self->units * UNIT);
    puts(self->what);
    ASYNC_END;
}

static int units_since(async *co, async_time start)
{
    return (int)((async_loop_time(async_loop_of(co)) - start) / UNIT);
}

struct program {
    ASYNC_FRAME;
    async_time start;
    ASYNC_TASK_OF(say_after) hello, world;
    async_gathering both;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);

    self->start = async_loop_time(async_loop_of(co));
    puts("started, one after the other");
    AWAIT(say_after, 1, "hello");
    AWAIT(say_after, 2, "world");
    printf("finished after %d\n", units_since(co, self->start));

    self->start = async_loop_time(async_loop_of(co));
    puts("started, as tasks");
    ASYNC_SPAWN(self->hello, say_after, 1, "hello");
    ASYNC_SPAWN(self->world, say_after, 2, "world");
    AWAIT_JOIN(self->hello.task); /* awaits, and gives our share back */
    AWAIT_JOIN(self->world.task);
    printf("finished after %d\n", units_since(co, self->start));

    self->start = async_loop_time(async_loop_of(co));
    puts("started, gathered");
    AWAIT_GATHER(&self->both, CO(say_after, 1, "hello"),
                 CO(say_after, .what = "world", .units = 2));
    async_gather_clear(&self->both);
    printf("finished after %d\n", units_since(co, self->start));
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program));
}
