/* needs: libuv */
#include "conformance.h"
#include "../../async/uv/poll.h"

#include <unistd.h>

static async_loop *loop;
static int ends[2], seen_io, seen_timer;

static int on_read(void *argument)
{
    char buffer[10];
    (void)argument;
    if (read(ends[0], buffer, sizeof buffer) != 1) return E_OTHER;
    seen_io = 1;
    async_loop_remove_reader(loop, ends[0]);
    return 0;
}

static int on_timer(void *argument)
{
    (void)argument;
    seen_timer = 1;
    return 0;
}

struct program { ASYNC_FRAME; long n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    loop = async_loop_of(co);
    if (pipe(ends) != 0) ASYNC_RAISE(E_OTHER);
    async_loop_add_reader(loop, ends[0], on_read, NULL);
    async_loop_call_later(loop, NULL, U, on_timer, NULL);
    if (write(ends[1], "x", 1) != 1) ASYNC_RAISE(E_OTHER);
    while (!seen_io || !seen_timer) {
        AWAIT(async_sleep, 0);
        self->n++;
    }
    printf("['io', 'timer'] %s\n", boolean(self->n > 2));
    close(ends[0]);
    close(ends[1]);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
