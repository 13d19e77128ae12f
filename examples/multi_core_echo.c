/* multi_core_echo - an echo server with a loop for each core.
 *
 * Usage: multi_core_echo [PORT [CORES]]     0: any free one; as many as there
 *                                           are.  Ctrl-C ends it.
 *
 * Each core listens on the same port; the system divides the clients among
 * them, and a client stays where it is.  The cores have nothing in common but
 * the port's number.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/cores.h"
#include "../async/uv/tcp.h"

#include "../async/group.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_CORES = 64 };

static int port; /* atomic; 0 until core 0 listens, if the system chooses */
static unsigned cores;

/* What each core has done; nobody else looks until all have ended. */
static struct {
    long clients;
    long long bytes;
} served[MOST_CORES];

struct serve {
    ASYNC_FRAME;
    async_listener *server;
    async_task_group *group;
    async_stream peer;
    size_t n;
    char buffer[4096];
};
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    AWAIT(async_listener_accept, self->server, &self->peer);
    ASYNC_TRY {
        /* The next client is for a task of its own. */
        if (async_group_spawn(self->group,
                              CO(serve, self->server, self->group)) == NULL)
            ASYNC_RAISE(async_last_error());
        served[async_core_index()].clients++;
        for (;;) {
            AWAIT_INTO(self->n, async_stream_read, &self->peer, self->buffer,
                       sizeof self->buffer);
            if (self->n == 0) break;
            AWAIT(async_stream_write, &self->peer, self->buffer, self->n);
            served[async_core_index()].bytes += (long long)self->n;
        }
    } ASYNC_EXCEPT(UV_ECONNRESET, UV_EPIPE) {
        /* A client that has gone is no reason to stop. */
    } ASYNC_FINALLY {
        AWAIT(async_stream_close, &self->peer);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* The main coroutine of each core. */
struct core { ASYNC_FRAME; async_listener server; async_task_group group; };
static ASYNC(core)
{
    struct sockaddr_storage address;
    ASYNC_BEGIN(core);
    while (async_core_index() > 0 &&
           __atomic_load_n(&port, __ATOMIC_ACQUIRE) == 0)
        AWAIT(async_sleep, ASYNC_MS(1));
    async_tcp_address(&address, "127.0.0.1",
                      __atomic_load_n(&port, __ATOMIC_ACQUIRE));
    AWAIT(async_tcp_listen, &self->server, (struct sockaddr *)&address, 1024,
          ASYNC_TCP_REUSEPORT);
    if (async_core_index() == 0) {
        printf("listening on port %d, on %u cores\n",
               async_tcp_port(&self->server), async_core_count());
        fflush(stdout);
        __atomic_store_n(&port, async_tcp_port(&self->server),
                         __ATOMIC_RELEASE);
    }
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group,
                              CO(serve, &self->server, &self->group));
        } ASYNC_END_TASK_GROUP
    } ASYNC_FINALLY {
        AWAIT(async_listener_close, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    unsigned i;
    int error;
    port = argc > 1 ? atoi(argv[1]) : 0;
    cores = argc > 2 ? (unsigned)atoi(argv[2]) : async_available_cores();
    if (cores < 1 || cores > MOST_CORES) cores = MOST_CORES;
    error = async_run_cores(cores, CO(core));
    for (i = 0; i < cores; i++)
        printf("core %u served %ld clients, %lld bytes\n", i,
               served[i].clients, served[i].bytes);
    /* Ctrl-C is how it is meant to end. */
    return error == ASYNC_EINTR ? 0 : 1;
}
