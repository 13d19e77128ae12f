/* Load on one loop, with every byte checked at both ends.
 *
 *   stress connections N    N connections at a time: all connect, all send
 *                           lines and get them back, all keep still, all close.
 *                           The server and its clients are two processes, with
 *                           one loop each.
 *   stress churn SEED SECONDS [CLIENTS]    clients that connect, talk, are
 *                           cancelled, reset, half-close and stall at random;
 *                           both ends on one loop
 *
 * What a connection carries is known from its number: the first line says it,
 * and byte n behind is byte_of(number, n), with a newline after each few.  The
 * server compares, and sends back what it gets, so the client compares too.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/streams.h"

#include "counting.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct {
    /* of clients */
    long connections, ended, cancelled, reset, half_closed, stalled, refused;
    long broken; /* that the other end has broken off */
    long long sent, back;
    /* of the server */
    long served, server_broke;
    long long received;
    long wrong; /* bytes, or ends, that are not what they should be */
    long lost;  /* connections that ended in order, and not with all bytes */
} count;

/* The first loop of all opens what libuv keeps. */
static int open_after_a_loop(void)
{
    async_uv_loop loop;
    if (async_uv_loop_init(&loop, NULL, NULL) != 0) abort();
    async_loop_close(&loop.base);
    return descriptors();
}

/* In bytes; 0 where it cannot be told. */
static long resident(void)
{
    long total, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL) return 0;
    if (fscanf(file, "%ld %ld", &total, &pages) != 2) pages = 0;
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static double seconds(void)
{
    return (double)uv_hrtime() / 1e9;
}

/* --- what a connection carries --------------------------------------------- */

static uint32_t scramble(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* Lines of 1 to 128 bytes. */
static unsigned char byte_of(uint32_t number, long long at)
{
    uint32_t x = scramble(number * 2654435761u + (uint32_t)at);
    return x % 64 == 0 ? '\n' : (unsigned char)(x >> 8 | 128);
}
static void fill(char *data, size_t size, uint32_t number, long long at)
{
    size_t i;
    for (i = 0; i < size; i++)
        data[i] = (char)byte_of(number, at + (long long)i);
}
static void compare(const char *data, size_t size, uint32_t number,
                    long long at)
{
    size_t i;
    for (i = 0; i < size; i++)
        if ((unsigned char)data[i] != byte_of(number, at + (long long)i)) {
            if (count.wrong++ == 0)
                fprintf(stderr, "connection %lu: byte %lld is wrong\n",
                        (unsigned long)number, at + (long long)i);
            return;
        }
}

/* What a connection may die of when its peer has left it. */
static int is_broken(int error)
{
    return error == -ECONNRESET || error == -EPIPE || error == ASYNC_ECLOSED ||
           error == -ECONNABORTED || error == -ENOTCONN;
}

static uint32_t seed;
static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state += 0x9e3779b9u;
    return scramble(*state) % below;
}

/* --- the server -------------------------------------------------------------- */

/* The first line: the number, and how many bytes the server sends back before it
 * leaves (0: it stays to the end), and how: 'c'loses, 'a'borts. */
struct serve {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes line;
    unsigned long number, leaves;
    char how;
    long long got;
    int error, drains;
};
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    ASYNC_TRY {
        char text[64];
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        if (self->line.size == 0) ASYNC_RETURN();
        if (self->line.size >= sizeof text ||
            self->line.data[self->line.size - 1] != '\n')
            ASYNC_RAISE(ASYNC_EINCOMPLETE);
        memcpy(text, self->line.data, self->line.size);
        text[self->line.size] = '\0';
        if (sscanf(text, "%lu %lu %c", &self->number, &self->leaves,
                   &self->how) != 3) {
            count.wrong++;
            ASYNC_RAISE(ASYNC_EINVAL);
        }
        for (;;) {
            /* By lines and by blocks in turn. */
            if (self->number % 2)
                AWAIT_INTO(self->line, async_stream_reader_readline,
                           &self->client->reader);
            else
                AWAIT_INTO(self->line, async_stream_reader_read,
                           &self->client->reader, 5000);
            if (self->line.size == 0) break;
            compare(self->line.data, self->line.size, (uint32_t)self->number,
                    self->got);
            self->got += (long long)self->line.size;
            count.received += (long long)self->line.size;
            self->error = async_stream_writer_write(
                &self->client->writer, self->line.data, self->line.size);
            if (self->error) ASYNC_RAISE(self->error);
            if (self->leaves > 0 && self->got >= (long long)self->leaves) {
                if (self->how == 'a')
                    async_transport_abort(&self->client->transport.base);
                ASYNC_RETURN();
            }
            AWAIT(async_stream_writer_drain, &self->client->writer);
        }
    } ASYNC_EXCEPT_ALL(self->error) {
        count.server_broke++;
        if (!is_broken(self->error) && self->error != ASYNC_EINCOMPLETE &&
            self->error != ASYNC_ECANCELED) {
            fprintf(stderr, "the server: %s\n", async_strerror(self->error));
            count.wrong++;
        }
        if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_FINALLY {
        count.served++;
    } ASYNC_END_TRY
    ASYNC_END;
}

static int report(async_loop *loop, const async_exception_context *context,
                  void *argument)
{
    (void)loop, (void)argument;
    fprintf(stderr, "%s: %s\n", context->message,
            async_strerror(context->error));
    count.wrong++;
    return 0;
}

/* --- many connections ---------------------------------------------------------- */

enum { LINES = 3, ADDRESSES = 16 };

/* Sends lines and gets them back, one after the other. */
struct client {
    ASYNC_FRAME;
    int number, port, i;
    async_connection server;
    async_bytes line;
    char ip[16], text[64];
    int error;
};
static struct {
    int wanted, connected, talked, may_talk, may_close, port;
    async_event change;
} crowd;

static ASYNC(client)
{
    ASYNC_BEGIN(client);
    sprintf(self->ip, "127.0.0.%d", 1 + self->number % ADDRESSES);
    ASYNC_TRY {
        AWAIT(async_open_connection, &self->server, self->ip, crowd.port);
        sprintf(self->text, "%d 0 c\n", self->number);
        async_stream_writer_write(&self->server.writer, self->text,
                                  strlen(self->text));
        crowd.connected++;
        async_event_set(&crowd.change);
        while (!crowd.may_talk) AWAIT(async_sleep, ASYNC_MS(50));
        for (self->i = 0; self->i < LINES; self->i++) {
            char block[100];
            fill(block, sizeof block, (uint32_t)self->number,
                 self->i * (long long)sizeof block);
            async_stream_writer_write(&self->server.writer, block,
                                      sizeof block);
            AWAIT(async_stream_writer_drain, &self->server.writer);
            AWAIT(async_sleep, ASYNC_MS(self->number % 10));
        }
        async_stream_writer_write_eof(&self->server.writer);
        AWAIT_INTO(self->line, async_stream_reader_readexactly,
                   &self->server.reader, 100 * LINES);
        compare(self->line.data, self->line.size, (uint32_t)self->number, 0);
        count.back += (long long)self->line.size;
        AWAIT_INTO(self->line, async_stream_reader_read, &self->server.reader,
                   1);
        if (self->line.size != 0) count.wrong++;
        crowd.talked++;
        async_event_set(&crowd.change);
        count.ended++;
    } ASYNC_EXCEPT_ALL(self->error) {
        if (count.lost++ == 0)
            fprintf(stderr, "client %d: %s\n", self->number,
                    async_strerror(self->error));
    } ASYNC_END_TRY
    AWAIT(async_connection_close, &self->server);
    ASYNC_END;
}

/* The clients wait for a byte from the other process between the acts, so that
 * it can look at itself. */
static int to_clients[2], to_server[2];
static void tell(int fd)
{
    if (write(fd, "x", 1) != 1) abort();
}
static void hear(int fd)
{
    char byte;
    if (read(fd, &byte, 1) != 1) _exit(1);
}

struct clients { ASYNC_FRAME; int i, batch; async_gathering all; };
static ASYNC(clients)
{
    ASYNC_BEGIN(clients);
    async_event_init(&crowd.change);
    for (self->i = 0; self->i < crowd.wanted; self->i++) {
        async_gather_add(&self->all, CO(client, self->i));
        /* No more at a time than the server's backlog has places for. */
        while (self->i - crowd.connected - (int)count.lost >= 100) {
            async_event_clear(&crowd.change);
            AWAIT(async_event_wait, &crowd.change);
        }
    }
    while (crowd.connected + (int)count.lost < crowd.wanted) {
        async_event_clear(&crowd.change);
        AWAIT(async_event_wait, &crowd.change);
    }
    tell(to_server[1]); /* all are there, and idle */
    hear(to_clients[0]);
    crowd.may_talk = 1;
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static int run_clients(void)
{
    async_uv_loop loop;
    long before = resident();
    int error;
    hear(to_clients[0]);
    if (read(to_clients[0], &crowd.port, sizeof crowd.port) !=
        sizeof crowd.port)
        return 1;
    if (async_uv_loop_init(&loop, NULL, &counting) != 0) return 1;
    error = async_loop_run_until_complete(&loop.base, CO(clients));
    async_loop_close(&loop.base);
    printf("clients: %ld of %d got all their lines, %ld did not, %ld wrong; "
           "%ld blocks left\n",
           count.ended, crowd.wanted, count.lost, count.wrong, in_use);
    fflush(stdout);
    (void)before;
    return error || count.lost || count.wrong || in_use ||
           count.ended != crowd.wanted;
}

struct crowd_server {
    ASYNC_FRAME;
    async_server server;
    int listening;
    async_server_options options;
};
static ASYNC(crowd_server)
{
    long before, memory;
    double began;
    ASYNC_BEGIN(crowd_server);
    self->options.backlog = 1024;
    AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(serve),
          "0.0.0.0", 0, &self->options);
    crowd.port = async_server_port(&self->server);
    before = resident();
    memory = bytes_in_use;
    began = seconds();
    tell(to_clients[1]);
    if (write(to_clients[1], &crowd.port, sizeof crowd.port) !=
        sizeof crowd.port)
        abort();
    /* Nothing awaits in this function while it has locals to keep. */
    count.sent = (long long)(began * 1e3);
    count.back = before;
    self->listening = (int)memory;
    while ((int)async_server_count_clients(&self->server) < crowd.wanted)
        AWAIT(async_sleep, ASYNC_MS(20));
    hear(to_server[0]);
    AWAIT(async_sleep, ASYNC_MS(200));
    printf("server: %d connections in %.2f s; idle, each has %.0f bytes "
           "resident, %.0f of them from the loop's allocator\n",
           (int)async_server_count_clients(&self->server),
           seconds() - (double)count.sent / 1e3,
           (double)(resident() - (long)count.back) / crowd.wanted,
           (double)(bytes_in_use - self->listening) / crowd.wanted);
    printf("server: sizeof async_connection is %lu, of libuv's part %lu\n",
           (unsigned long)sizeof(async_connection),
           (unsigned long)sizeof(uv_tcp_t));
    fflush(stdout);
    count.sent = (long long)(seconds() * 1e3);
    tell(to_clients[1]);
    while (async_server_count_clients(&self->server) > 0)
        AWAIT(async_sleep, ASYNC_MS(5));
    printf("server: all have talked and gone in %.2f s; %ld served, %lld "
           "bytes, %ld wrong\n",
           seconds() - (double)count.sent / 1e3, count.served, count.received,
           count.wrong);
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    ASYNC_END;
}

/* As many descriptors as there may be. */
static long raise_limit(long wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    if (limit.rlim_cur >= (rlim_t)wanted) return wanted;
    if (limit.rlim_max < (rlim_t)wanted) {
        struct rlimit more = limit;
        more.rlim_cur = more.rlim_max = (rlim_t)wanted;
        if (setrlimit(RLIMIT_NOFILE, &more) == 0) return wanted;
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        return (long)limit.rlim_max;
    }
    limit.rlim_cur = (rlim_t)wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? wanted : 0;
}

static int connections(int wanted)
{
    async_uv_loop loop;
    pid_t child;
    int error, status = 1, open;
    long allowed = raise_limit((long)wanted + 50);
    if (allowed < (long)wanted + 50) {
        printf("skip - %d connections: no more than %ld descriptors are "
               "allowed here; so %ld\n",
               wanted, allowed, allowed - 50);
        wanted = (int)allowed - 50;
        if (wanted < 1) return 1;
    }
    crowd.wanted = wanted;
    if (pipe(to_clients) != 0 || pipe(to_server) != 0) return 1;
    fflush(stdout);
    child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        close(to_clients[1]);
        close(to_server[0]);
        _exit(run_clients());
    }
    close(to_clients[0]);
    close(to_server[1]);
    open = open_after_a_loop();
    if (async_uv_loop_init(&loop, NULL, &counting) != 0) return 1;
    async_loop_set_exception_handler(&loop.base, report, NULL);
    error = async_loop_run_until_complete(&loop.base, CO(crowd_server));
    if (async_uv_loop_count_handles(&loop.base) != 0) count.wrong++;
    async_loop_close(&loop.base);
    if (descriptors() != open) count.wrong++;
    waitpid(child, &status, 0);
    if (count.served != wanted ||
        count.received != (long long)wanted * 100 * LINES)
        count.lost++;
    printf("%s\n", error || count.wrong || count.lost || in_use || status
                       ? "FAILED"
                       : "nothing lost, nothing mixed, nothing left");
    return error || count.wrong || count.lost || in_use || status != 0;
}

/* --- churn ----------------------------------------------------------------------- */

enum { TALK, CANCEL, RESET, HALF_CLOSE, STALL, LEFT_ALONE, ABORTED, KINDS };
static struct {
    async_server server;
    double end;
    uint32_t next;
} churn;

/* Sends `size` bytes behind what it has sent, in pieces. */
struct send_some {
    ASYNC_FRAME;
    async_connection *connection;
    uint32_t number;
    long long *sent;
    long size;
    uint32_t random;
    long n;
    int error;
};
static ASYNC(send_some)
{
    char block[4000];
    ASYNC_BEGIN(send_some);
    while (self->size > 0) {
        self->n = 1 + (long)draw(&self->random, sizeof block);
        if (self->n > self->size) self->n = self->size;
        fill(block, (size_t)self->n, self->number, *self->sent);
        self->error = async_stream_writer_write(&self->connection->writer,
                                                block, (size_t)self->n);
        if (self->error) ASYNC_RAISE(self->error);
        *self->sent += self->n;
        self->size -= self->n;
        count.sent += self->n;
        AWAIT(async_stream_writer_drain, &self->connection->writer);
    }
    ASYNC_END;
}

/* Reads what has come back, to the end. */
struct read_back {
    ASYNC_FRAME;
    async_connection *connection;
    uint32_t number;
    long long *back;
    long stall_at;
    async_bytes bytes;
};
static ASYNC(read_back)
{
    ASYNC_BEGIN(read_back);
    for (;;) {
        AWAIT_INTO(self->bytes, async_stream_reader_read,
                   &self->connection->reader, 10000);
        if (self->bytes.size == 0) break;
        compare(self->bytes.data, self->bytes.size, self->number, *self->back);
        *self->back += (long long)self->bytes.size;
        count.back += (long long)self->bytes.size;
        if (self->stall_at >= 0 && *self->back > self->stall_at) {
            self->stall_at = -1;
            count.stalled++;
            AWAIT(async_sleep, ASYNC_MS(30));
        }
    }
    ASYNC_END;
}

struct one {
    ASYNC_FRAME;
    uint32_t number, random;
    int kind, error;
    long size;
    long long sent, back;
    async_connection c;
    async_task *reader;
    char text[64];
};
static ASYNC(one)
{
    struct linger at_once = { 1, 0 };
    uv_os_fd_t fd;
    ASYNC_BEGIN(one);
    self->random = seed ^ scramble(self->number);
    self->kind = (int)draw(&self->random, KINDS);
    self->size = (long)draw(&self->random,
                            draw(&self->random, 8) == 0 ? 2000000 : 20000);
    count.connections++;
    ASYNC_TRY {
        AWAIT(async_open_connection, &self->c, "127.0.0.1",
              async_server_port(&churn.server));
        sprintf(self->text, "%lu %ld %c\n", (unsigned long)self->number,
                self->kind == LEFT_ALONE || self->kind == ABORTED
                    ? 1 + self->size / 2
                    : 0,
                self->kind == ABORTED ? 'a' : 'c');
        async_stream_writer_write(&self->c.writer, self->text,
                                  strlen(self->text));
        self->reader = async_create_task(
            CO(read_back, &self->c, self->number, &self->back,
               self->kind == STALL ? self->size / 3 : -1));
        if (self->kind == RESET) self->size /= 2;
        AWAIT(send_some, &self->c, self->number, &self->sent, self->size,
              self->random);
        if (self->kind == RESET) {
            if (!async_stream_writer_is_closing(&self->c.writer) &&
                uv_fileno(&self->c.transport.stream.handle.any, &fd) == 0)
                setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once,
                           sizeof at_once);
            if (!self->c.writer.lost)
                async_transport_abort(&self->c.transport.base);
            count.reset++;
        } else {
            if (self->kind == HALF_CLOSE) {
                AWAIT(async_sleep, ASYNC_MS(draw(&self->random, 10)));
                count.half_closed++;
            }
            (void)async_stream_writer_write_eof(&self->c.writer);
        }
        AWAIT_TASK(self->reader);
        if (self->kind == RESET || self->kind == LEFT_ALONE ||
            self->kind == ABORTED) {
            if (self->back > self->sent) count.wrong++;
        } else if (self->back != self->sent) {
            fprintf(stderr, "connection %lu: %lld sent, %lld came back\n",
                    (unsigned long)self->number, self->sent, self->back);
            count.lost++;
        } else {
            count.ended++;
        }
    } ASYNC_EXCEPT_ALL(self->error) {
        if (self->error == ASYNC_ECANCELED) {
            count.cancelled++;
        } else if (is_broken(self->error)) {
            /* which only those may find whose server leaves */
            count.broken++;
            if (self->kind != RESET && self->kind != LEFT_ALONE &&
                self->kind != ABORTED)
                count.lost++;
        } else {
            fprintf(stderr, "connection %lu: %s\n",
                    (unsigned long)self->number, async_strerror(self->error));
            count.wrong++;
        }
    } ASYNC_END_TRY
    if (self->reader != NULL) {
        async_task_cancel(self->reader);
        ASYNC_TRY {
            AWAIT_JOIN(self->reader);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
    }
    AWAIT(async_connection_close, &self->c);
    ASYNC_END;
}

/* Lives of clients, one after the other; some are cancelled in the middle. */
struct lives {
    ASYNC_FRAME;
    uint32_t number, random;
    async_timeout limit;
    int error;
};
static ASYNC(lives)
{
    ASYNC_BEGIN(lives);
    while (seconds() < churn.end) {
        self->number = churn.next++;
        self->random = seed + self->number;
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit,
                          draw(&self->random, 5) == 0
                              ? ASYNC_US(draw(&self->random, 20000))
                              : ASYNC_SECONDS(60)) {
                AWAIT(one, self->number);
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            /* as it was meant */
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

struct churning { ASYNC_FRAME; int clients, i; async_gathering all; };
static ASYNC(churning)
{
    ASYNC_BEGIN(churning);
    AWAIT(async_start_server, &churn.server, ASYNC_CLIENT_HANDLER(serve),
          "127.0.0.1", 0);
    for (self->i = 0; self->i < self->clients; self->i++)
        async_gather_add(&self->all, CO(lives, 0));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    async_server_close(&churn.server);
    AWAIT(async_server_wait_closed, &churn.server);
    ASYNC_END;
}

static int run_churn(double duration, int clients)
{
    async_uv_loop loop;
    long early;
    int error, open;
    raise_limit(clients * 4 + 50);
    churn.end = seconds() + duration;
    open = open_after_a_loop();
    early = resident();
    if (async_uv_loop_init(&loop, NULL, &counting) != 0) return 1;
    async_loop_set_exception_handler(&loop.base, report, NULL);
    error = async_loop_run_until_complete(&loop.base, CO(churning, clients));
    if (error) fprintf(stderr, "%s\n", async_strerror(error));
    if (async_uv_loop_count_handles(&loop.base) != 0 ||
        async_loop_count_tasks(&loop.base) != 0) {
        fprintf(stderr, "handles or tasks left\n");
        count.wrong++;
    }
    async_loop_close(&loop.base);
    if (descriptors() != open) {
        fprintf(stderr, "%d descriptors left\n", descriptors() - open);
        count.wrong++;
    }
    printf("seed %lu: %ld connections: %ld to the end, %ld cancelled, %ld "
           "reset, %ld stalls, %ld half-closed; the other end broke %ld\n",
           (unsigned long)seed, count.connections, count.ended,
           count.cancelled, count.reset, count.stalled, count.half_closed,
           count.broken);
    printf("%.1f MB sent, %.1f MB received, %.1f MB back; %ld served\n",
           (double)count.sent / 1e6, (double)count.received / 1e6,
           (double)count.back / 1e6, count.served);
    printf(
        "%ld wrong, %ld lost; %ld blocks of memory left; %.1f MB resident\n",
        count.wrong, count.lost, in_use, (double)(resident() - early) / 1e6);
    return error || count.wrong || count.lost || in_use || count.ended == 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "connections") == 0)
        return connections(atoi(argv[2]));
    if (argc >= 4 && strcmp(argv[1], "churn") == 0) {
        seed = (uint32_t)strtoul(argv[2], NULL, 10);
        return run_churn(atof(argv[3]), argc > 4 ? atoi(argv[4]) : 50);
    }
    fprintf(stderr, "usage: stress connections N\n"
                    "       stress churn SEED SECONDS [CLIENTS]\n");
    return 2;
}
