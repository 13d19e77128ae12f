/* echo_client - many clients at once; each sends messages and checks that the
 * same bytes come back.
 *
 * Usage: echo_client PORT [CLIENTS [MESSAGES [BYTES]]]
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"
#include "../async/uv/tcp.h"

#include <stdio.h>
#include <stdlib.h>

enum { LARGEST = 65536 };

static struct {
    struct sockaddr_storage server;
    int messages, bytes;
    long connected, most;
    long long checked;
} job;

/* The byte at `offset` of what client `id` sends in all. */
static unsigned char byte_of(int id, long long offset)
{
    return (unsigned char)((unsigned long long)offset * 2654435761u >> 13 ^
                           (unsigned)id * 97u);
}

struct client {
    ASYNC_FRAME;
    int id;
    async_stream server;
    int message;
    size_t n, at;
    long long sent, received;
    unsigned char *buffer;
};

/* Checks what has come; ASYNC_EINVAL when a byte is not what was sent. */
static int check(struct client *self)
{
    size_t i;
    for (i = 0; i < self->n; i++)
        if (self->buffer[i] != byte_of(self->id, self->received++))
            return ASYNC_EINVAL;
    job.checked += (long long)self->n;
    return 0;
}

static ASYNC(client)
{
    int i;
    ASYNC_BEGIN(client);
    self->buffer = malloc((size_t)job.bytes);
    if (self->buffer == NULL) ASYNC_RAISE(ASYNC_ENOMEM);
    ASYNC_TRY {
        AWAIT(async_tcp_connect, &self->server,
              (const struct sockaddr *)&job.server);
        if (++job.connected > job.most) job.most = job.connected;
        for (self->message = 0; self->message < job.messages;
             self->message++) {
            for (i = 0; i < job.bytes; i++)
                self->buffer[i] = byte_of(self->id, self->sent++);
            AWAIT(async_stream_write, &self->server, self->buffer,
                  (size_t)job.bytes);
            for (self->at = 0; self->at < (size_t)job.bytes;
                 self->at += self->n) {
                AWAIT_INTO(self->n, async_stream_read, &self->server,
                           self->buffer, (size_t)job.bytes - self->at);
                if (self->n == 0) ASYNC_RAISE(UV_ECONNRESET);
                if (check(self)) ASYNC_RAISE(ASYNC_EINVAL);
            }
        }
        job.connected--;
    } ASYNC_FINALLY {
        AWAIT(async_stream_close, &self->server);
        free(self->buffer);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int port, clients, i; async_gathering all; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_tcp_address(&job.server, "127.0.0.1", self->port);
    for (self->i = 0; self->i < self->clients; self->i++)
        async_gather_add(&self->all, CO(client, self->i));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    printf("%d clients, up to %ld at once, %lld bytes came back as sent\n",
           self->clients, job.most, job.checked);
    ASYNC_END;
}

static int argument(char **argv, int argc, int i, int otherwise)
{
    return argc > i ? atoi(argv[i]) : otherwise;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr,
                "usage: echo_client PORT [CLIENTS [MESSAGES [BYTES]]]\n");
        return 2;
    }
    job.messages = argument(argv, argc, 3, 10);
    job.bytes = argument(argv, argc, 4, 512);
    if (job.bytes < 1 || job.bytes > LARGEST) job.bytes = LARGEST;
    return async_run(CO(program, argument(argv, argc, 1, 0),
                        argument(argv, argc, 2, 1)))
               ? 1
               : 0;
}
