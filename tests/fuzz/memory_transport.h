/* A transport in memory: what is given to it is all that comes, in pieces as
 * the test wants, and what is written is counted and dropped.  It does what
 * async/transport.h asks of one, and checks that the protocol does too. */
#ifndef FUZZ_MEMORY_TRANSPORT_H
#define FUZZ_MEMORY_TRANSPORT_H

#include "../../async/transport.h"

#include "target.h"

typedef struct memory_transport {
    async_transport base; /* must be first */
    async_handle event;   /* for connection_lost */
    char out[65536];      /* the first of what was written, unless there is */
    void (*sent)(const void *data, size_t size); /* who takes all of it */
    size_t written;
    int lost, scheduled, reading, stalled;
} memory_transport;

static int memory_lost(void *argument)
{
    memory_transport *m = (memory_transport *)argument;
    m->lost = 1;
    if (m->base.protocol->callbacks->connection_lost != NULL)
        m->base.protocol->callbacks->connection_lost(m->base.protocol, 0);
    return 0;
}
static int memory_write(async_transport *base, const async_bytes *lines,
                        size_t count)
{
    memory_transport *m = (memory_transport *)(void *)base;
    size_t i;
    CHECK(!m->lost);
    for (i = 0; i < count; i++) {
        size_t room =
            m->written < sizeof m->out ? sizeof m->out - m->written : 0;
        if (lines[i].size == 0) continue;
        if (room > lines[i].size) room = lines[i].size;
        if (m->sent != NULL)
            m->sent(lines[i].data, lines[i].size);
        else
            memcpy(m->out + m->written, lines[i].data, room);
        m->written += lines[i].size;
    }
    return 0;
}
static int memory_write_eof(async_transport *base)
{
    (void)base;
    return 0;
}
static void memory_close(async_transport *base, int now)
{
    memory_transport *m = (memory_transport *)(void *)base;
    (void)now;
    if (m->scheduled) return;
    m->scheduled = 1;
    async_loop_call_soon(base->loop, &m->event, memory_lost, m);
}
static void memory_read(async_transport *base, int on)
{
    ((memory_transport *)(void *)base)->reading = on;
}
static size_t memory_buffered(const async_transport *base)
{
    const memory_transport *m = (const memory_transport *)(const void *)base;
    return m->stalled ? 1000000 : 0;
}

static void memory_transport_init(memory_transport *m, async_loop *loop)
{
    static const async_transport_functions functions = {
        memory_write, memory_write_eof, memory_close, memory_read,
        memory_buffered
    };
    static const async_protocol_callbacks nothing;
    static async_protocol nobody = { &nothing, 0 };
    memset(m, 0, sizeof *m);
    m->reading = 1;
    async_transport_init(&m->base, &functions, loop, &nobody);
}

/* Gives it as much as it takes, and returns that. */
static size_t memory_feed(memory_transport *m, const void *data, size_t size)
{
    async_protocol *protocol = m->base.protocol;
    size_t room = 0;
    void *to;
    if (m->base.closing || m->base.reading_paused || size == 0) return 0;
    to = protocol->callbacks->get_buffer(protocol, &room);
    if (to == NULL) m->base.reading_paused = 1;
    if (to == NULL || room == 0) return 0;
    if (room > size) room = size;
    memcpy(to, data, room);
    CHECK(protocol->callbacks->buffer_updated(protocol, room) >= 0);
    return room;
}
static void memory_end(memory_transport *m)
{
    async_protocol *protocol = m->base.protocol;
    if (m->base.closing) return;
    if (protocol->callbacks->eof_received(protocol) == 0)
        async_transport_close(&m->base);
}

#endif
