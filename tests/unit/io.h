/* What the unit tests of streams share: operations that say what came of them. */
#ifndef UNIT_IO_H
#define UNIT_IO_H

#include "../../async/uv/listener.h"

#include "uv.h"

/* One operation each, which says what came of it, cancellation too. */
struct say_read {
    ASYNC_FRAME;
    async_stream *stream;
    size_t size;
    size_t n;
    int error;
    char buffer[64];
};
HELPER ASYNC(say_read)
{
    ASYNC_BEGIN(say_read);
    ASYNC_TRY {
        AWAIT_INTO(self->n, async_stream_read, self->stream, self->buffer,
                   self->size ? self->size : sizeof self->buffer);
        say("read:%.*s", (int)self->n, self->buffer);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("read:%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct say_write {
    ASYNC_FRAME;
    async_stream *stream;
    const char *data;
    size_t size;
    int error;
};
HELPER ASYNC(say_write)
{
    ASYNC_BEGIN(say_write);
    ASYNC_TRY {
        AWAIT(async_stream_write, self->stream, self->data,
              self->size ? self->size : strlen(self->data));
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("write:%s", name_of(self->error));
    ASYNC_END;
}

struct say_shutdown { ASYNC_FRAME; async_stream *stream; int error; };
HELPER ASYNC(say_shutdown)
{
    ASYNC_BEGIN(say_shutdown);
    ASYNC_TRY {
        AWAIT(async_stream_shutdown, self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("shutdown:%s", name_of(self->error));
    ASYNC_END;
}

struct say_close { ASYNC_FRAME; async_stream *stream; int error; };
HELPER ASYNC(say_close)
{
    ASYNC_BEGIN(say_close);
    ASYNC_TRY {
        AWAIT(async_stream_close, self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("close:%s", name_of(self->error));
    ASYNC_END;
}

struct say_accept {
    ASYNC_FRAME;
    async_listener *server;
    async_stream *stream;
    int error;
};
HELPER ASYNC(say_accept)
{
    ASYNC_BEGIN(say_accept);
    ASYNC_TRY {
        AWAIT(async_listener_accept, self->server, self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("accept:%s", name_of(self->error));
    ASYNC_END;
}

#endif
