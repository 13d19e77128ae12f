#include "conformance.h"

#include "../../async/streams.h"

static void print(async_bytes bytes)
{
    print_bytes(bytes.data, bytes.size, "\n");
}

struct program {
    ASYNC_FRAME;
    async_stream_reader r;
    async_bytes bytes;
    int i;
};
static ASYNC(program)
{
    static const async_bytes separators[] = { { "\r\n", 2 },
                                              { "\n", 1 },
                                              { ";", 1 } };
    ASYNC_BEGIN(program);
    async_stream_reader_init(&self->r, async_loop_of(co), NULL, 0);
    async_stream_reader_feed_data(&self->r, "a\r\nb\nc;d", 8);
    async_stream_reader_feed_eof(&self->r);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT_INTO(self->bytes, async_stream_reader_readuntil, &self->r,
                   separators, 3);
        print(self->bytes);
    }
    ASYNC_TRY {
        AWAIT_INTO(self->bytes, async_stream_reader_readuntil, &self->r,
                   separators, 3);
    } ASYNC_EXCEPT(ASYNC_EINCOMPLETE) {
        printf("IncompleteReadError ");
        print(async_stream_reader_partial(&self->r));
    } ASYNC_END_TRY
    async_stream_reader_destroy(&self->r);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
