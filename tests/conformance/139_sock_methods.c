/* needs: libuv */
#include "conformance.h"
#include "../../async/uv/tcp.h"

/* What the program's sockets are here: streams. */
struct receive {
    ASYNC_FRAME;
    async_stream *stream;
    size_t n;
    char buffer[100];
};
static ASYNC(receive)
{
    ASYNC_BEGIN(receive);
    AWAIT_INTO(self->n, async_stream_read, self->stream, self->buffer,
               sizeof self->buffer);
    printf("b'%.*s'\n", (int)self->n, self->buffer);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    struct sockaddr_storage address;
    async_listener listener;
    async_stream server, client;
    async_gathering both;
    async_task *task;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_tcp_address(&self->address, "127.0.0.1", 0);
    AWAIT(async_tcp_listen, &self->listener,
          (struct sockaddr *)&self->address);
    async_tcp_address(&self->address, "127.0.0.1",
                      async_tcp_port(&self->listener));
    AWAIT_GATHER(&self->both,
                 CO(async_listener_accept, &self->listener, &self->server),
                 CO(async_tcp_connect, &self->client,
                    (struct sockaddr *)&self->address));
    async_gather_clear(&self->both);
    self->task = async_create_task(CO(receive, &self->client));
    AWAIT(async_sleep, U);
    async_task_cancel(self->task);
    AWAIT(until_ended, self->task);
    printf("cancelled %s\n", boolean(async_task_cancelled(self->task)));
    async_task_release(self->task);
    AWAIT(async_stream_write, &self->server, "hello", 5);
    AWAIT(receive, &self->client);
    AWAIT(async_stream_close, &self->server);
    AWAIT(receive, &self->client);
    AWAIT(async_stream_close, &self->client);
    AWAIT(async_listener_close, &self->listener);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
