/* server.c - echo servers on Caesura
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     server echo PORT     bytes, by async/uv/stream.h
 *     server lines PORT    lines, by async_stream_reader_readline
 *     server cores PORT    bytes, with a loop for each of two cores
 *
 * With -DBENCH_URING the sockets are on io_uring; where there is none, it exits
 * with 3.
 */
#define ASYNC_IMPLEMENTATION
#ifdef BENCH_URING
#include "../../async/uring/loop.h"
#endif
#include "../../async/uv/loop.h"

#include "../../async/uv/cores.h"
#include "../../async/uv/streams.h"
#include "../../async/uv/tcp.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUFFER = 65536 };

static int port;

/* --- bytes --------------------------------------------------------------- */

struct echo {
    ASYNC_FRAME;
    async_listener *listener;
    async_stream peer;
    size_t n;
    char buffer[BUFFER];
};
static ASYNC(echo)
{
    ASYNC_BEGIN(echo);
    AWAIT(async_listener_accept, self->listener, &self->peer);
    /* The next connection is for a task of its own. */
    async_task_release(async_create_task(CO(echo, self->listener)));
    ASYNC_TRY {
        for (;;) {
            AWAIT_INTO(self->n, async_stream_read, &self->peer, self->buffer,
                       sizeof self->buffer);
            if (self->n == 0) break;
            AWAIT(async_stream_write, &self->peer, self->buffer, self->n);
        }
    } ASYNC_EXCEPT(UV_ECONNRESET, UV_EPIPE) {}
    ASYNC_FINALLY {
        AWAIT(async_stream_close, &self->peer);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct echo_server {
    ASYNC_FRAME;
    unsigned flags;
    async_listener listener;
    async_future never;
};
static ASYNC(echo_server)
{
    struct sockaddr_storage address;
    ASYNC_BEGIN(echo_server);
    async_tcp_address(&address, "127.0.0.1", port);
    AWAIT(async_tcp_listen, &self->listener, (struct sockaddr *)&address, 1024,
          self->flags);
    async_task_release(async_create_task(CO(echo, &self->listener)));
    async_future_init(&self->never, async_loop_of(co));
    AWAIT_FUTURE(&self->never);
    ASYNC_END;
}

/* --- lines --------------------------------------------------------------- */

struct echo_lines { ASYNC_FRAME; async_connection *client; async_bytes line; };
static ASYNC(echo_lines)
{
    ASYNC_BEGIN(echo_lines);
    ASYNC_TRY {
        for (;;) {
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client->reader);
            if (self->line.size == 0) break;
            async_stream_writer_write(&self->client->writer, self->line.data,
                                      self->line.size);
            AWAIT(async_stream_writer_drain, &self->client->writer);
        }
    } ASYNC_EXCEPT(UV_ECONNRESET, UV_EPIPE) {}
    ASYNC_END_TRY
    ASYNC_END;
}

struct line_server { ASYNC_FRAME; async_server server; };
static ASYNC(line_server)
{
    async_server_options options = { .backlog = 1024 };
    ASYNC_BEGIN(line_server);
    AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(echo_lines),
          "127.0.0.1", port, &options);
    AWAIT(async_server_serve_forever, &self->server);
    ASYNC_END;
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    port = atoi(argv[2]);
#ifdef BENCH_URING
    if (async_uring_enable() != 0) return 3;
    if (strcmp(argv[1], "try") == 0) return 0;
#endif
    if (strcmp(argv[1], "lines") == 0) return async_run(CO(line_server)) != 0;
    if (strcmp(argv[1], "cores") == 0)
        return async_run_cores(2, CO(echo_server, ASYNC_TCP_REUSEPORT)) != 0;
    return async_run(CO(echo_server)) != 0;
}
