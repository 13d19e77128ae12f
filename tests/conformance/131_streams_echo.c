/* needs: libuv */
#include "conformance.h"

#include "../../async/uv/streams.h"

/* print(who, line) */
static void print_line_of(const char *who, async_bytes line)
{
    printf("%s ", who);
    print_bytes(line.data, line.size, "\n");
}

struct handle {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes line;
    char upper[100];
};
static ASYNC(handle)
{
    size_t i;
    ASYNC_BEGIN(handle);
    puts("server: connection");
    for (;;) {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        if (self->line.size == 0) break;
        print_line_of("server:", self->line);
        for (i = 0; i < self->line.size; i++)
            self->upper[i] =
                (char)(self->line.data[i] >= 'a' ? self->line.data[i] - 32
                                                 : self->line.data[i]);
        async_stream_writer_write(&self->client->writer, self->upper,
                                  self->line.size);
        AWAIT(async_stream_writer_drain, &self->client->writer);
    }
    printf("server: eof %s\n",
           boolean(async_stream_reader_at_eof(&self->client->reader)));
    async_stream_writer_close(&self->client->writer);
    AWAIT(async_stream_writer_wait_closed, &self->client->writer);
    puts("server: closed");
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_server server;
    async_connection c;
    async_bytes line;
    int port, i;
};
static ASYNC(program)
{
    static const char *const messages[] = { "hello\n", "world\n" };
    ASYNC_BEGIN(program);
    AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(handle),
          "127.0.0.1", 0);
    self->port = async_server_port(&self->server);
    printf("serving %s\n", boolean(async_server_is_serving(&self->server)));
    AWAIT(async_open_connection, &self->c, "127.0.0.1", self->port);
    for (self->i = 0; self->i < 2; self->i++) {
        async_stream_writer_write(&self->c.writer, messages[self->i], 6);
        AWAIT(async_stream_writer_drain, &self->c.writer);
        AWAIT_INTO(self->line, async_stream_reader_readline, &self->c.reader);
        print_line_of("client:", self->line);
    }
    puts(boolean(async_stream_writer_can_write_eof(&self->c.writer)));
    async_stream_writer_write_eof(&self->c.writer);
    AWAIT_INTO(self->line, async_stream_reader_read, &self->c.reader,
               ASYNC_UNTIL_EOF);
    print_line_of("client:", self->line);
    async_stream_writer_close(&self->c.writer);
    AWAIT(async_stream_writer_wait_closed, &self->c.writer);
    printf("closing %s\n",
           boolean(async_stream_writer_is_closing(&self->c.writer)));
    AWAIT(async_connection_close, &self->c);
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    printf("serving %s\n", boolean(async_server_is_serving(&self->server)));
    ASYNC_TRY {
        AWAIT(async_open_connection, &self->c, "127.0.0.1", self->port);
    } ASYNC_EXCEPT(-ECONNREFUSED) {
        puts("ConnectionRefusedError");
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
