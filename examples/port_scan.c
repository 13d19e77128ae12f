/* port_scan - which ports of this machine are open, without asking them all at
 * once.
 *
 * The program opens three ports itself, and scans those and their neighbours:
 * a task for each, of which ten may be connecting at a time, and each has a
 * second.  A port at which nobody is says so at once; one behind a firewall says
 * nothing, and that is what the time limit is for.
 *
 *     port_scan [HOST FROM TO]     scans those of another machine
 */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/streams.h" /* first: uv.h needs POSIX */

#include "../async/limiter.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_A_TIME = 10, OWN = 3, AROUND = 20, MOST = 65536 };

static ASYNC_LIMITER(AT_A_TIME) connecting;
static unsigned char is_open[MOST];
static int most_at_once; /* to see that the limiter does what it should */

struct try_port {
    ASYNC_FRAME;
    const char *host;
    int port;
    int error;
    async_connection connection;
};
static ASYNC(try_port)
{
    ASYNC_BEGIN(try_port);
    ASYNC_WITH(async_limiter, &connecting.limiter) {
        if (async_limiter_borrowed_tokens(&connecting.limiter) > most_at_once)
            most_at_once =
                (int)async_limiter_borrowed_tokens(&connecting.limiter);
        ASYNC_TRY {
            AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_open_connection,
                           &self->connection, self->host, self->port);
            is_open[self->port] = 1;
        } ASYNC_EXCEPT_ANY(self->error) {
            /* nobody there, or nobody answers */
        } ASYNC_FINALLY {
            AWAIT(async_connection_close, &self->connection);
        } ASYNC_END_TRY
    } ASYNC_END_WITH
    ASYNC_END;
}

struct scan {
    ASYNC_FRAME;
    const char *host;
    int from, to;
    int port;
    async_gathering all;
};
static ASYNC(scan)
{
    ASYNC_BEGIN(scan);
    ASYNC_LIMITER_INIT(&connecting, AT_A_TIME);
    for (self->port = self->from; self->port <= self->to; self->port++)
        async_gather_add(&self->all, CO(try_port, self->host, self->port));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

/* --- without arguments: three ports of its own --------------------------- */

struct hang_up { ASYNC_FRAME; async_connection *client; };
static ASYNC(hang_up)
{
    ASYNC_BEGIN(hang_up);
    ASYNC_END;
}

struct demonstrate {
    ASYNC_FRAME;
    async_server own[OWN];
    int ports[OWN];
    int i;
};
static ASYNC(demonstrate)
{
    int found, port, from, to;
    ASYNC_BEGIN(demonstrate);
    ASYNC_TRY {
        for (self->i = 0; self->i < OWN; self->i++) {
            AWAIT(async_start_server, &self->own[self->i],
                  ASYNC_CLIENT_HANDLER(hang_up), "127.0.0.1", 0);
            self->ports[self->i] = async_server_port(&self->own[self->i]);
        }
        /* each with its neighbours, whoever those are */
        for (self->i = 0; self->i < OWN; self->i++) {
            from = self->ports[self->i] - AROUND;
            to = self->ports[self->i] + AROUND;
            AWAIT(scan, "127.0.0.1", from, to < MOST ? to : MOST - 1);
        }
        for (self->i = found = 0; self->i < OWN; self->i++)
            found += is_open[self->ports[self->i]];
        printf("%d of the %d ports that were opened are open\n", found, OWN);
        async_server_close(&self->own[0]);
        port = self->ports[0];
        is_open[port] = 0;
        AWAIT(scan, "127.0.0.1", port, port);
        printf("the one that was closed is %s\n",
               is_open[self->ports[0]] ? "open" : "closed");
        printf("at most %d were tried at a time\n", most_at_once);
    } ASYNC_FINALLY {
        for (self->i = 0; self->i < OWN; self->i++) {
            async_server_close(&self->own[self->i]);
            AWAIT(async_server_wait_closed, &self->own[self->i]);
        }
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int from, to;
    if (argc == 1) return async_run(CO(demonstrate)) != 0;
    from = argc == 4 ? atoi(argv[2]) : 0;
    to = argc == 4 ? atoi(argv[3]) : 0;
    if (from < 1 || to < from || to >= MOST) {
        fprintf(stderr, "usage: port_scan [HOST FROM TO]\n");
        return 2;
    }
    if (async_run(CO(scan, argv[1], from, to)) != 0) return 1;
    for (; from <= to; from++)
        if (is_open[from]) printf("%d\n", from);
    return 0;
}
