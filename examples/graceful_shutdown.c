/* graceful_shutdown - a server that ends well: on SIGTERM, or Ctrl-C, it accepts
 * nobody any more, lets its clients finish, and after a grace period cancels
 * those that have not.
 *
 * Usage: graceful_shutdown [PORT] [GRACE]   (seconds; 2 is the default)
 *
 * Each line that it gets is a number of seconds; it works so long, and answers.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/signal.h"
#include "../async/uv/streams.h"

#include <stdio.h>
#include <stdlib.h>

/* What is done for a client must not be left half done: the FINALLY runs
 * whether the work ends by itself or is cancelled. */
struct work {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes line;
    int finished;
};
static ASYNC(work)
{
    char number[16] = "";
    ASYNC_BEGIN(work);
    for (;;) {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        if (self->line.size == 0 || self->line.size >= sizeof number)
            ASYNC_RETURN();
        memcpy(number, self->line.data, self->line.size);
        self->finished = 0;
        ASYNC_TRY {
            AWAIT(async_sleep, (async_duration)(atof(number) * 1e9));
            self->finished = 1;
        } ASYNC_FINALLY {
            async_stream_writer_write(&self->client->writer,
                                      self->finished ? "done\n" : "gave up\n",
                                      self->finished ? 5 : 8);
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

static int ask_to_stop(void *asked)
{
    async_event_set((async_event *)asked);
    return 0;
}

struct program {
    ASYNC_FRAME;
    int port;
    double grace;
    async_server server;
    async_event asked;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_event_init(&self->asked);
    async_loop_add_signal_handler(async_loop_of(co), SIGTERM, ask_to_stop,
                                  &self->asked);
    async_loop_add_signal_handler(async_loop_of(co), SIGINT, ask_to_stop,
                                  &self->asked);
    AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(work),
          "127.0.0.1", self->port);
    printf("listening on port %d\n", async_server_port(&self->server));
    fflush(stdout);
    AWAIT(async_event_wait, &self->asked);
    async_server_close(&self->server);
    printf("stopping, with %d clients\n",
           (int)async_server_count_clients(&self->server));
    fflush(stdout);
    ASYNC_TRY {
        AWAIT_WAIT_FOR((async_duration)(self->grace * 1e9),
                       async_server_wait_closed, &self->server);
        puts("all have finished");
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("%d had to be told\n",
               (int)async_server_count_clients(&self->server));
        async_server_cancel_clients(&self->server);
        AWAIT(async_server_wait_closed, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    return async_run(CO(program, argc > 1 ? atoi(argv[1]) : 0,
                        argc > 2 ? atof(argv[2]) : 2)) != 0;
}
