/* chat - a chat room: what one writes, all others get.
 *
 * Usage: chat [PORT]     (0, the default, takes a free one)
 *
 * Try it, in two or three terminals: nc 127.0.0.1 PORT
 *
 * Nobody waits for anybody: a line goes to each of the others without waiting,
 * and who does not read gets further and further behind, until the room has no
 * more patience and puts him out.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/streams.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE = 256 * 1024 }; /* bytes that somebody has not read yet */

struct member {
    ASYNC_FRAME;
    async_connection *client;
    struct room *room;
    struct member *next;
    char name[32];
    async_bytes line;
};
struct room { struct member *first; };

/* To everybody but one. */
static void say_to_others(struct room *room, const struct member *one,
                          const char *before, async_bytes words)
{
    struct member *other;
    for (other = room->first; other != NULL; other = other->next) {
        async_stream_writer *writer = &other->client->writer;
        async_bytes pieces[3];
        if (other == one || async_stream_writer_is_closing(writer)) continue;
        pieces[0].data = one->name;
        pieces[1].data = before;
        pieces[0].size = strlen(one->name);
        pieces[1].size = strlen(before);
        pieces[2] = words;
        async_stream_writer_writelines(writer, pieces, 3);
        if (async_transport_get_write_buffer_size(
                &other->client->transport.base) > PATIENCE) {
            printf("%s does not listen\n", other->name);
            fflush(stdout);
            async_transport_abort(&other->client->transport.base);
        }
    }
}

static void leave(struct member *member)
{
    static const async_bytes nothing = { "", 0 };
    struct member **place = &member->room->first;
    while (*place != NULL && *place != member) place = &(*place)->next;
    if (*place == NULL) return; /* had not told a name */
    *place = member->next;
    say_to_others(member->room, member, " leaves\n", nothing);
}

/* The length without the end of the line. */
static size_t trimmed(async_bytes line)
{
    while (line.size > 0 && (line.data[line.size - 1] == '\n' ||
                             line.data[line.size - 1] == '\r'))
        line.size--;
    return line.size;
}

static ASYNC(member)
{
    static const async_bytes nothing = { "", 0 };
    size_t length;
    ASYNC_BEGIN(member);
    ASYNC_TRY {
        async_stream_writer_write(&self->client->writer, "name? ", 6);
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        length = trimmed(self->line);
        if (length == 0 || length >= sizeof self->name) ASYNC_RETURN();
        memcpy(self->name, self->line.data, length);
        self->next = self->room->first;
        self->room->first = self;
        say_to_others(self->room, self, " comes\n", nothing);
        for (;;) {
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client->reader);
            if (self->line.size == 0) break;
            say_to_others(self->room, self, ": ", self->line);
        }
    } ASYNC_EXCEPT(-ECONNRESET, -EPIPE, ASYNC_ELIMIT) {
        /* He has gone, or does not know where a line ends. */
    } ASYNC_FINALLY {
        leave(self);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    int port;
    async_server server;
    struct room room;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(async_start_server, &self->server,
          ASYNC_CLIENT_HANDLER(member, &self->room), "127.0.0.1", self->port);
    printf("listening on port %d\n", async_server_port(&self->server));
    fflush(stdout);
    ASYNC_TRY {
        AWAIT(async_server_wait_closed, &self->server); /* until Ctrl-C */
    } ASYNC_FINALLY {
        async_server_close(&self->server);
        async_server_abort_clients(&self->server);
        AWAIT(async_server_wait_closed, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int error = async_run(CO(program, argc > 1 ? atoi(argv[1]) : 0));
    return error == ASYNC_EINTR ? 0 : 1;
}
