/* needs: libuv */
#include "conformance.h"
#include "../../async/uv/poll.h"

#include <unistd.h>

static any_loop loop;
static int ends[2];

static int on_read(void *argument)
{
    char buffer[10];
    (void)argument;
    if (read(ends[0], buffer, sizeof buffer) != 1) return E_OTHER;
    async_loop_remove_reader(&loop.base, ends[0]);
    puts("io");
    return async_loop_call_soon(&loop.base, NULL, print_line, "soon from io");
}

struct program { ASYNC_FRAME; async_future done; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    if (pipe(ends) != 0) ASYNC_RAISE(E_OTHER);
    async_future_init(&self->done, &loop.base);
    async_loop_add_reader(&loop.base, ends[0], on_read, NULL);
    async_loop_call_later(&loop.base, NULL, ASYNC_MS(20), print_line,
                          "timer2");
    async_loop_call_later(&loop.base, NULL, ASYNC_MS(10), print_line,
                          "timer1");
    async_loop_call_later(&loop.base, NULL, ASYNC_MS(30), set_result,
                          &self->done);
    async_loop_call_soon(&loop.base, NULL, print_line, "soon");
    if (write(ends[1], "x", 1) != 1) ASYNC_RAISE(E_OTHER);
    block(&loop, ASYNC_MS(50));
    AWAIT_FUTURE(&self->done);
    puts("end");
    close(ends[0]);
    close(ends[1]);
    ASYNC_END;
}

int main(void)
{
    int error;
    any_loop_init(&loop);
    error = async_run_on(&loop.base, CO(program));
    async_loop_close(&loop.base);
    return error;
}
