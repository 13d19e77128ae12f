/* A server on a Unix socket that says what the fuzzer has: whatever it is asked,
 * and by how many, the next piece of the input, and at its end it closes.  For
 * clients whose library wants a socket. */
#ifndef FUZZ_SOCKET_SERVER_H
#define FUZZ_SOCKET_SERVER_H

#include "../../async/uv/streams.h"

#include "target.h"

/* A byte before each piece says how long it is, and whether to wait: for the
 * next thing that is asked, but not for ever. */
struct answer {
    ASYNC_FRAME;
    async_connection *client;
    unsigned head, size, turns;
};
static inline int was_asked(async_stream_reader *reader)
{
    int something = reader->end > reader->begin;
    reader->begin = reader->end;
    return something;
}
static ASYNC(answer)
{
    ASYNC_BEGIN(answer);
    while (input_size > 0) {
        self->head = next_byte();
        for (self->turns = 0; self->turns < (self->head >> 7) * 20u &&
                              !was_asked(&self->client->reader);
             self->turns++)
            AWAIT(async_sleep, 0);
        self->size = self->head & 127;
        if (self->size == 127) self->size = 4000;
        if (self->size > input_size) self->size = (unsigned)input_size;
        if (async_stream_writer_write(&self->client->writer, input,
                                      self->size) != 0)
            break;
        input += self->size;
        input_size -= self->size;
    }
    ASYNC_END;
}

/* Where it listens: a directory of this process's own. */
static char socket_directory[] = "/tmp/caesura-fuzz-XXXXXX";
static inline void remove_socket(void)
{
    rmdir(socket_directory);
}
static inline const char *socket_path(const char *name)
{
    static char path[128];
    if (path[0] == '\0') {
        CHECK(mkdtemp(socket_directory) != NULL);
        atexit(remove_socket);
    }
    snprintf(path, sizeof path, "%s/%s", socket_directory, name);
    return path;
}

/* Runs `program` beside such a server; nothing may be left. */
struct beside {
    ASYNC_FRAME;
    const char *path;
    async_server *server;
    async_object program;
    async_task *task;
    int error;
};
static ASYNC(beside)
{
    ASYNC_BEGIN(beside);
    memset(self->server, 0, sizeof *self->server);
    AWAIT(async_start_unix_server, self->server, ASYNC_CLIENT_HANDLER(answer),
          self->path);
    self->task = async_create_task(self->program);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_FINALLY {
        async_server_close(self->server);
        async_server_abort_clients(self->server);
        AWAIT(async_server_wait_closed, self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

static inline void run_beside_server(const char *path, async_object program)
{
    async_server server;
    async_uv_loop loop;
    CHECK(async_uv_loop_init(&loop, NULL, &counted) == 0);
    async_loop_set_exception_handler(&loop.base, no_report, NULL);
    CHECK(async_loop_run_until_complete(
              &loop.base, CO(beside, path, &server, program)) == 0);
    CHECK(async_loop_close(&loop.base) == 0);
    CHECK(live == 0);
}

#endif
