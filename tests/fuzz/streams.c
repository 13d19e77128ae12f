/* The reader of a stream on a transport in memory: what comes is the fuzzer's,
 * in pieces, and is read in every way, as its first bytes say.  What is read
 * must be what came, in order. */
#define ASYNC_IMPLEMENTATION
#include "../../async/streams.h"
#include "../../async/test/virtual.h"

#include "memory_transport.h"
#include "target.h"

static memory_transport transport;
static async_stream_reader reader;
static async_stream_writer writer;

static size_t seen; /* of the input */

static uint32_t state;
static uint32_t chance(uint32_t below)
{
    state = state * 1103515245 + 12345;
    return (state >> 16) % below;
}

static void check(async_bytes bytes)
{
    CHECK(bytes.size <= input_size - seen);
    CHECK(memcmp(bytes.data, input + seen, bytes.size) == 0);
    seen += bytes.size;
}

struct consume {
    ASYNC_FRAME;
    async_bytes bytes, separators[3];
    size_t n;
    int error;
    async_timeout timeout;
};
static ASYNC(consume)
{
    ASYNC_BEGIN(consume);
    self->separators[0].data = "\r\n";
    self->separators[0].size = 2;
    self->separators[1].data = "\n\n\n";
    self->separators[1].size = 3;
    self->separators[2].data = "aab";
    self->separators[2].size = 3;
    while (!async_stream_reader_at_eof(&reader)) {
        self->error = 0;
        self->n = chance(300);
        ASYNC_TRY {
            /* A cancelled read has taken nothing. */
            ASYNC_TIMEOUT(&self->timeout, ASYNC_MS(chance(5))) {
                switch (chance(4)) {
                case 0: self->error = 1; break;
                case 1: self->error = 2; break;
                case 2: self->error = 3; break;
                }
                if (self->error == 1) {
                    AWAIT_INTO(self->bytes, async_stream_reader_read, &reader,
                               self->n);
                } else if (self->error == 2) {
                    AWAIT_INTO(self->bytes, async_stream_reader_readexactly,
                               &reader, self->n);
                    CHECK(self->bytes.size == self->n);
                } else if (self->error == 3) {
                    AWAIT_INTO(self->bytes, async_stream_reader_readuntil,
                               &reader, self->separators, 3);
                    CHECK(self->bytes.size >= 2);
                } else {
                    AWAIT_INTO(self->bytes, async_stream_reader_read, &reader,
                               1 + self->n);
                }
            } ASYNC_END_TIMEOUT
            self->error = 0;
            check(self->bytes);
        } ASYNC_EXCEPT_ALL(self->error) {
            CHECK(self->error == ASYNC_ETIMEDOUT ||
                  self->error == ASYNC_EINCOMPLETE ||
                  self->error == ASYNC_ELIMIT);
        } ASYNC_END_TRY
        if (self->error == ASYNC_EINCOMPLETE)
            check(async_stream_reader_partial(&reader));
        if (self->error == ASYNC_ELIMIT)
            CHECK(async_stream_reader_consumed(&reader) <= input_size - seen);
    }
    ASYNC_END;
}

struct session {
    ASYNC_FRAME;
    const uint8_t *data;
    size_t size, piece, took;
    async_task *task;
};
static ASYNC(session)
{
    ASYNC_BEGIN(session);
    memory_transport_init(&transport, async_get_running_loop());
    async_stream_reader_init(&reader, async_get_running_loop(), NULL,
                             1 + chance(500));
    async__stream_protocol_init(&writer, &reader, &transport.base);
    async_transport_set_protocol(&transport.base, &writer.protocol);
    self->task = async_create_task(CO(consume));
    while (self->size > 0) {
        self->piece = 1 + chance(chance(8) ? 50 : 5000);
        if (self->piece > self->size) self->piece = self->size;
        self->took = memory_feed(&transport, self->data, self->piece);
        self->data += self->took;
        self->size -= self->took;
        if (self->took == 0 || chance(4) == 0)
            AWAIT(async_sleep, ASYNC_MS(chance(4)));
    }
    memory_end(&transport);
    AWAIT_JOIN(self->task);
    async_transport_close(&transport.base);
    AWAIT(async_stream_writer_wait_closed, &writer);
    async_stream_reader_destroy(&reader);
    ASYNC_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    async_virtual_loop loop;
    if (size < 4) return 0;
    memcpy(&state, data, 4);
    input = data + 4;
    input_size = size - 4;
    seen = 0;
    async_virtual_loop_init(&loop, NULL);
    CHECK(async_loop_run_until_complete(&loop.base,
                                        CO(session, input, input_size)) == 0);
    CHECK(async_loop_close(&loop.base) == 0);
    CHECK(seen == input_size);
    return 0;
}
