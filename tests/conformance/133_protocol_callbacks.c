/* needs: libuv */
#include "conformance.h"

#include "../../async/uv/pipe.h"
#include "../../async/uv/transport.h"

struct p {
    async_protocol protocol;
    async_uv_transport transport;
    const char *n;
    int keep;
    async_future lost;
};
static struct p *p_of(async_protocol *protocol)
{
    return (struct p *)(void *)protocol;
}
static int connection_made(async_protocol *protocol, async_transport *tr)
{
    (void)tr;
    printf("%s made\n", p_of(protocol)->n);
    return 0;
}
static int data_received(async_protocol *protocol, const void *d, size_t size)
{
    printf("%s data b'%.*s'\n", p_of(protocol)->n, (int)size, (const char *)d);
    return 0;
}
static int eof_received(async_protocol *protocol)
{
    printf("%s eof\n", p_of(protocol)->n);
    return p_of(protocol)->keep;
}
static void connection_lost(async_protocol *protocol, int error)
{
    printf("%s lost %s\n", p_of(protocol)->n,
           error ? async_strerror(error) : "None");
    async_future_set_result(&p_of(protocol)->lost);
}
static const async_protocol_callbacks callbacks = {
    .connection_made = connection_made,
    .data_received = data_received,
    .eof_received = eof_received,
    .connection_lost = connection_lost
};

struct program { ASYNC_FRAME; struct p a, b; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->a.protocol.callbacks = self->b.protocol.callbacks = &callbacks;
    self->a.n = "A";
    self->b.n = "B";
    self->b.keep = 1;
    async_future_init(&self->a.lost, async_loop_of(co));
    async_future_init(&self->b.lost, async_loop_of(co));
    AWAIT(async_pipe_pair, &self->a.transport.stream,
          &self->b.transport.stream);
    async_uv_transport_start(&self->a.transport, &self->a.protocol);
    async_uv_transport_start(&self->b.transport, &self->b.protocol);
    async_transport_write(&self->a.transport.base, "one", 3);
    AWAIT(async_sleep, ASYNC_MS(30));
    async_transport_write_eof(&self->a.transport.base);
    AWAIT(async_sleep, ASYNC_MS(30));
    async_transport_write(&self->b.transport.base, "reply", 5);
    AWAIT(async_sleep, ASYNC_MS(30));
    async_transport_close(&self->b.transport.base);
    printf("closing %s\n",
           boolean(async_transport_is_closing(&self->b.transport.base)));
    AWAIT_FUTURE(&self->b.lost);
    AWAIT_FUTURE(&self->a.lost);
    async_transport_close(&self->a.transport.base);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
