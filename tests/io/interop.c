/* One end of a connection, whose other end is a program of another kind.
 *
 *   interop serve lines|blocks tcp|PATH       sends back what it gets, by lines
 *                                             or blocks, until SIGINT; says its
 *                                             port
 *   interop talk PORT|PATH                    asks a server that does the same:
 *                                             single lines, then 8 MB in both
 *                                             directions at once, then the end
 */
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/streams.h"

#include <stdio.h>
#include <stdlib.h>

/* --- serving ----------------------------------------------------------------- */

struct serve {
    ASYNC_FRAME;
    async_connection *client;
    int by_lines;
    async_bytes bytes;
};
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    for (;;) {
        if (self->by_lines)
            AWAIT_INTO(self->bytes, async_stream_reader_readline,
                       &self->client->reader);
        else
            AWAIT_INTO(self->bytes, async_stream_reader_read,
                       &self->client->reader, 100000);
        if (self->bytes.size == 0) break;
        async_stream_writer_write(&self->client->writer, self->bytes.data,
                                  self->bytes.size);
        AWAIT(async_stream_writer_drain, &self->client->writer);
    }
    ASYNC_END;
}

struct serve_path {
    ASYNC_FRAME;
    const char *path;
    int by_lines;
    async_server server;
};
static ASYNC(serve_path)
{
    ASYNC_BEGIN(serve_path);
    AWAIT(async_start_unix_server, &self->server,
          ASYNC_CLIENT_HANDLER(serve, self->by_lines), self->path);
    printf("%s\n", self->path);
    fflush(stdout);
    AWAIT(async_server_serve_forever, &self->server);
    ASYNC_END;
}

struct serve_tcp { ASYNC_FRAME; int by_lines; async_server server; };
static ASYNC(serve_tcp)
{
    ASYNC_BEGIN(serve_tcp);
    AWAIT(async_start_server, &self->server,
          ASYNC_CLIENT_HANDLER(serve, self->by_lines), "127.0.0.1", 0);
    printf("%d\n", async_server_port(&self->server));
    fflush(stdout);
    AWAIT(async_server_serve_forever, &self->server);
    ASYNC_END;
}

/* --- asking ------------------------------------------------------------------ */

enum { MUCH = 8000000, AT_A_TIME = 50000 };
static char much[MUCH];

struct send_much {
    ASYNC_FRAME;
    async_connection *connection;
    size_t sent, n;
};
static ASYNC(send_much)
{
    ASYNC_BEGIN(send_much);
    while (self->sent < MUCH) {
        self->n = MUCH - self->sent < AT_A_TIME ? MUCH - self->sent
                                                : (size_t)AT_A_TIME;
        async_stream_writer_write(&self->connection->writer, much + self->sent,
                                  self->n);
        self->sent += self->n;
        AWAIT(async_stream_writer_drain, &self->connection->writer);
    }
    async_stream_writer_write_eof(&self->connection->writer);
    ASYNC_END;
}

struct talk {
    ASYNC_FRAME;
    const char *where;
    async_connection c;
    int i;
    char text[64];
    async_bytes bytes;
    async_task *sender;
    size_t got;
};
static ASYNC(talk)
{
    ASYNC_BEGIN(talk);
    if (atoi(self->where) > 0) {
        AWAIT(async_open_connection, &self->c, "127.0.0.1", atoi(self->where));
    } else {
        AWAIT(async_open_unix_connection, &self->c, self->where);
    }
    ASYNC_TRY {
        for (self->i = 0; self->i < 100; self->i++) {
            sprintf(self->text, "this is line %d\n", self->i);
            async_stream_writer_write(&self->c.writer, self->text,
                                      strlen(self->text));
            AWAIT_INTO(self->bytes, async_stream_reader_readline,
                       &self->c.reader);
            if (self->bytes.size != strlen(self->text) ||
                memcmp(self->bytes.data, self->text, self->bytes.size) != 0)
                ASYNC_RAISE(-EPROTO);
        }
        self->sender = async_create_task(CO(send_much, &self->c));
        for (;;) {
            AWAIT_INTO(self->bytes, async_stream_reader_read, &self->c.reader,
                       100000);
            if (self->bytes.size == 0) break;
            if (self->got + self->bytes.size > MUCH ||
                memcmp(self->bytes.data, much + self->got, self->bytes.size) !=
                    0)
                ASYNC_RAISE(-EPROTO);
            self->got += self->bytes.size;
        }
        AWAIT_JOIN(self->sender);
        printf("100 lines and %lu of %d bytes came back\n",
               (unsigned long)self->got, MUCH);
        if (self->got != MUCH) ASYNC_RAISE(-EPROTO);
    } ASYNC_FINALLY {
        AWAIT(async_connection_close, &self->c);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    size_t i;
    int error, by_lines;
    /* Lines of 1 to 1000 bytes of all kinds; the last has no end. */
    for (i = 0; i < MUCH; i++)
        much[i] = (char)(i % 1000 == 0 || i % 37 == 36 ? '\n' : i * 31 >> 3);
    much[MUCH - 1] = 'x';
    if (argc == 3 && strcmp(argv[1], "talk") == 0)
        return async_run(CO(talk, argv[2])) != 0;
    if (argc != 4 || strcmp(argv[1], "serve") != 0) return 2;
    by_lines = strcmp(argv[2], "lines") == 0;
    if (strcmp(argv[3], "tcp") == 0)
        error = async_run(CO(serve_tcp, by_lines));
    else
        error = async_run(CO(serve_path, argv[3], by_lines));
    return error == ASYNC_EINTR ? 0 : 1;
}
