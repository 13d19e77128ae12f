/* needs: libuv */
#include "conformance.h"

#include "../../async/uv/pipe.h"
#include "../../async/uv/transport.h"

struct p {
    async_protocol protocol;
    async_uv_transport transport;
    const char *n;
    long got;
    int lost;
};
static struct p *p_of(async_protocol *protocol)
{
    return (struct p *)(void *)protocol;
}
static int data_received(async_protocol *protocol, const void *d, size_t size)
{
    (void)d;
    p_of(protocol)->got += (long)size;
    return 0;
}
static void pause_writing(async_protocol *protocol)
{
    printf("%s pause_writing\n", p_of(protocol)->n);
}
static void resume_writing(async_protocol *protocol)
{
    printf("%s resume_writing %s\n", p_of(protocol)->n,
           boolean(async_transport_get_write_buffer_size(
                       &p_of(protocol)->transport.base) <= 1000));
}
static void connection_lost(async_protocol *protocol, int error)
{
    (void)error;
    p_of(protocol)->lost = 1;
}
static const async_protocol_callbacks callbacks = {
    .data_received = data_received,
    .connection_lost = connection_lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing
};

struct program { ASYNC_FRAME; struct p a, b; int i; };
static ASYNC(program)
{
    static char x[500000];
    size_t high, low;
    ASYNC_BEGIN(program);
    self->a.protocol.callbacks = self->b.protocol.callbacks = &callbacks;
    self->a.n = "A";
    self->b.n = "B";
    AWAIT(async_pipe_pair, &self->a.transport.stream,
          &self->b.transport.stream);
    async_uv_transport_start(&self->a.transport, &self->a.protocol);
    async_uv_transport_start(&self->b.transport, &self->b.protocol);
    async_transport_set_write_buffer_limits(&self->a.transport.base, 4000,
                                            1000);
    async_transport_get_write_buffer_limits(&self->a.transport.base, &high,
                                            &low);
    printf("(%d, %d)\n", (int)low, (int)high);
    async_transport_pause_reading(&self->b.transport.base);
    puts(boolean(async_transport_is_reading(&self->b.transport.base)));
    for (self->i = 0; self->i < 8; self->i++)
        async_transport_write(&self->a.transport.base, x, sizeof x);
    printf("buffered %s\n", boolean(async_transport_get_write_buffer_size(
                                        &self->a.transport.base) > 4000));
    AWAIT(async_sleep, ASYNC_MS(30));
    printf("got %ld\n", self->b.got);
    async_transport_resume_reading(&self->b.transport.base);
    while (self->b.got < 4000000) AWAIT(async_sleep, ASYNC_MS(10));
    printf(
        "got %ld %d\n", self->b.got,
        (int)async_transport_get_write_buffer_size(&self->a.transport.base));
    async_transport_abort(&self->a.transport.base);
    async_transport_abort(&self->b.transport.base);
    /* What is in a frame must stay until nothing is left of it. */
    while (!self->a.lost || !self->b.lost) AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
