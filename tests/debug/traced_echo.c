/* An echo server under load, traced: writes the trace to the file that its
 * first argument names, and each task's counters to the one of the second. */
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include "../../async/debug/trace.h"
#include "../../async/uv/tcp.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 20, ROUNDS = 200, SIZE = 512 };

static async_listener listener;
static struct sockaddr_storage address;
static async_loop *loop;
static FILE *counters;
static long echoed;
static async_task *all[2 * CLIENTS];

/* What a task that has ended has done. */
static void count(async_task *task)
{
    async_task_counters counted;
    if (async_task_get_counters(task, &counted) != 0) abort();
    fprintf(counters, "%u %llu %lld %lld %lld\n", (unsigned)task->name,
            (unsigned long long)counted.steps, (long long)counted.running,
            (long long)counted.ready, (long long)counted.waiting);
}

struct echo {
    ASYNC_FRAME;
    int which;
    async_stream peer;
    size_t n;
    char buffer[SIZE];
};
static ASYNC(echo)
{
    ASYNC_BEGIN(echo);
    AWAIT(async_listener_accept, &listener, &self->peer);
    /* One at a time: the next connection is for the next task. */
    if (self->which + 1 < CLIENTS)
        all[self->which + 1] = async_create_task(CO(echo, self->which + 1));
    for (;;) {
        AWAIT_INTO(self->n, async_stream_read, &self->peer, self->buffer,
                   sizeof self->buffer);
        if (self->n == 0) break;
        AWAIT(async_stream_write, &self->peer, self->buffer, self->n);
    }
    AWAIT(async_stream_close, &self->peer);
    ASYNC_END;
}

struct client {
    ASYNC_FRAME;
    async_stream server;
    int i;
    size_t n, got;
    char buffer[SIZE];
};
static ASYNC(client)
{
    ASYNC_BEGIN(client);
    AWAIT(async_tcp_connect, &self->server, (struct sockaddr *)&address);
    for (self->i = 0; self->i < ROUNDS; self->i++) {
        AWAIT(async_stream_write, &self->server, self->buffer, SIZE);
        for (self->got = 0; self->got < SIZE; self->got += self->n)
            AWAIT_INTO(self->n, async_stream_read, &self->server,
                       self->buffer + self->got, SIZE - self->got);
        echoed++;
    }
    AWAIT(async_stream_close, &self->server);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int i; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    loop = async_loop_of(co);
    async_tcp_address(&address, "127.0.0.1", 0);
    AWAIT(async_tcp_listen, &listener, (struct sockaddr *)&address, 128, 0);
    async_tcp_address(&address, "127.0.0.1", async_tcp_port(&listener));
    all[0] = async_create_task(CO(echo, 0));
    for (self->i = 0; self->i < CLIENTS; self->i++)
        all[CLIENTS + self->i] = async_create_task(CO(client));
    for (self->i = 2 * CLIENTS - 1; self->i >= 0; self->i--)
        AWAIT_TASK(all[self->i]);
    for (self->i = 0; self->i < 2 * CLIENTS; self->i++) {
        count(all[self->i]);
        async_task_release(all[self->i]);
    }
    AWAIT(async_listener_close, &listener);
    ASYNC_END;
}

int main(int argc, char **argv)
{
    async_uv_loop uv;
    async_trace trace;
    FILE *file;
    if (argc != 3) return 2;
    if ((file = fopen(argv[1], "w")) == NULL) return 2;
    if ((counters = fopen(argv[2], "w")) == NULL) return 2;
    if (async_uv_loop_init(&uv, NULL, NULL) != 0) return 2;
    if (async_trace_start(&trace, &uv.base, 100000) != 0) return 2;
    if (async_run_on(&uv.base, CO(program)) != 0) return 1;
    async_trace_stop(&trace);
    async_trace_write_to(&trace, file);
    if (async_trace_lost(&trace) > 0 || echoed != CLIENTS * ROUNDS) return 1;
    async_trace_free(&trace);
    async_loop_close(&uv.base);
    return fclose(file) != 0 || fclose(counters) != 0;
}
