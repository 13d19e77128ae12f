/* echo_server - sends back what it gets, to any number of clients at once,
 * until Ctrl-C.
 *
 * Usage: echo_server [PORT]     (0, the default, takes a free one)
 *
 * Try it: nc 127.0.0.1 PORT, or the example echo_client.
 *
 * Compiled with -DWITH_URING, and linked with -luring, it has its sockets on
 * Linux's io_uring, if the kernel lets it.
 */
#define ASYNC_IMPLEMENTATION
#ifdef WITH_URING
#include "../async/uring/loop.h"
#endif
#include "../async/uv/loop.h"
#include "../async/uv/tcp.h"

#include <stdio.h>
#include <stdlib.h>

static struct {
    async_listener server;
    long clients, most, served;
    long long bytes;
} echo;

/* One client.  The connection lives in the coroutine's own frame, which stays
 * where it is until the coroutine has ended. */
struct serve {
    ASYNC_FRAME;
    async_stream peer;
    int error;
    size_t n;
    char buffer[4096];
};
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    for (;;) {
        AWAIT_CATCH(self->error, async_listener_accept, &echo.server,
                    &self->peer);
        if (!self->error) break;
        if (self->error == ASYNC_ECLOSED) ASYNC_RETURN();
        AWAIT(async_sleep, ASYNC_MS(100)); /* out of descriptors, perhaps */
    }
    /* The next connection has a task of its own, which waits from now on. */
    async_task_release(async_create_task(CO(serve)));
    if (++echo.clients > echo.most) echo.most = echo.clients;
    ASYNC_TRY {
        for (;;) {
            AWAIT_INTO(self->n, async_stream_read, &self->peer, self->buffer,
                       sizeof self->buffer);
            if (self->n == 0) break;
            AWAIT(async_stream_write, &self->peer, self->buffer, self->n);
            echo.bytes += (long long)self->n;
        }
    } ASYNC_EXCEPT(-ECONNRESET, -EPIPE) {
        /* A client that has gone is no reason to stop. */
    } ASYNC_FINALLY {
        AWAIT(async_stream_close, &self->peer);
        echo.clients--;
        echo.served++;
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int port; async_future never; };
static ASYNC(program)
{
    struct sockaddr_storage address;
    ASYNC_BEGIN(program);
    async_tcp_address(&address, "127.0.0.1", self->port);
    AWAIT(async_tcp_listen, &echo.server, (struct sockaddr *)&address, 1024);
    printf("listening on port %d\n", async_tcp_port(&echo.server));
    fflush(stdout);
    async_future_init(&self->never, async_loop_of(co));
    ASYNC_TRY {
        AWAIT(serve); /* the first client; the others are tasks */
        AWAIT_FUTURE(&self->never);
    } ASYNC_FINALLY {
        /* Ctrl-C cancels this coroutine.  What is left when it ends,
         * async_run() cancels too, and waits for it. */
        AWAIT(async_listener_close, &echo.server);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int error;
#ifdef WITH_URING
    if (async_uring_enable() != 0) printf("no io_uring here\n");
#endif
    error = async_run(CO(program, argc > 1 ? atoi(argv[1]) : 0));
    printf("served %ld clients, up to %ld at once, %lld bytes\n", echo.served,
           echo.most, echo.bytes);
    /* Ctrl-C is how it is meant to end. */
    return error == ASYNC_EINTR ? 0 : 1;
}
