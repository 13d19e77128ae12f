/* needs: libuv */
#include "conformance.h"
#include "../../async/uv/poll.h"

#include <unistd.h>

static async_loop *loop;
static async_future done;
static int ends[2], read_in_all;

static int on_read(void *n)
{
    char byte = '?';
    if (read(ends[0], &byte, 1) != 1) return E_OTHER;
    printf("read %d b'%c'\n", *(const int *)n, byte);
    if (*(const int *)n == 2 && ++read_in_all == 2)
        return async_future_set_result(&done);
    return 0;
}

static int on_writable(void *fd)
{
    async_loop_remove_writer(loop, *(const int *)fd);
    puts("writable");
    return async_future_set_result(&done);
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    static int one = 1, two = 2;
    int first;
    ASYNC_BEGIN(program);
    loop = async_loop_of(co);
    if (pipe(ends) != 0) ASYNC_RAISE(E_OTHER);
    async_future_init(&done, loop);
    async_loop_add_reader(loop, ends[0], on_read, &one);
    async_loop_add_reader(loop, ends[0], on_read, &two); /* replaces */
    if (write(ends[1], "ab", 2) != 2) ASYNC_RAISE(E_OTHER);
    AWAIT_FUTURE(&done);
    first = async_loop_remove_reader(loop, ends[0]);
    printf("%s %s\n", boolean(first),
           boolean(async_loop_remove_reader(loop, ends[0])));
    async_future_init(&done, loop);
    async_loop_add_writer(loop, ends[1], on_writable, &ends[1]);
    AWAIT_FUTURE(&done);
    close(ends[0]);
    close(ends[1]);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
