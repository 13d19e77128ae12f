/* needs: libuv */
#include "conformance.h"

#include "../../async/uv/pipe.h"
#include "../../async/uv/transport.h"

struct b {
    async_protocol protocol;
    async_uv_transport transport;
    char buf[4];
    async_future lost;
};
static struct b *b_of(async_protocol *protocol)
{
    return (struct b *)(void *)protocol;
}
static int connection_made(async_protocol *protocol, async_transport *tr)
{
    (void)protocol, (void)tr;
    puts("made");
    return 0;
}
static void *get_buffer(async_protocol *protocol, size_t *size)
{
    *size = sizeof b_of(protocol)->buf;
    return b_of(protocol)->buf;
}
static int buffer_updated(async_protocol *protocol, size_t n)
{
    printf("updated %d b'%.*s'\n", (int)n, (int)n, b_of(protocol)->buf);
    return 0;
}
static int eof_received(async_protocol *protocol)
{
    (void)protocol;
    puts("eof");
    return 0;
}
static void connection_lost(async_protocol *protocol, int error)
{
    printf("lost %s\n", error ? async_strerror(error) : "None");
    async_future_set_result(&b_of(protocol)->lost);
}
static const async_protocol_callbacks callbacks = {
    .connection_made = connection_made,
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
    .eof_received = eof_received,
    .connection_lost = connection_lost
};

struct program { ASYNC_FRAME; struct b p; async_stream b; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->p.protocol.callbacks = &callbacks;
    async_future_init(&self->p.lost, async_loop_of(co));
    AWAIT(async_pipe_pair, &self->p.transport.stream, &self->b);
    async_uv_transport_start(&self->p.transport, &self->p.protocol);
    AWAIT(async_stream_write, &self->b, "0123456789", 10);
    AWAIT(async_stream_close, &self->b);
    AWAIT_FUTURE(&self->p.lost);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
