/* Short programs of all kinds of I/O, run again and again while one call to
 * libuv after the other fails (faults.h).  After each, whatever failed:
 *
 * - what the program was told is the error that was injected, or one that a
 *   connection has at whose other end that happened; and it was told, unless
 *   nobody has to know;
 * - every byte that came was right;
 * - no task, no handle, no descriptor, no memory is left, and the loop closes.
 *
 * Usage: stories [-v] FUNCTION...    each must have failed in some story
 *        stories [-v] -s STORY      that one alone
 *
 * A story that waits for ever is ended by a signal.  To add one: a coroutine
 * with the name of the story, which notes the errors it gets, and a line in
 * the table at the end.
 */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/sync.h"
#include "../../async/uv/connect.h"
#include "../../async/uv/cores.h"
#include "../../async/uv/datagram.h"
#include "../../async/uv/executor.h"
#include "../../async/uv/fs.h"
#include "../../async/uv/pipe.h"
#include "../../async/uv/poll.h"
#include "../../async/uv/process.h"
#include "../../async/uv/signal.h"
#include "../../async/uv/streams.h"
#include "../../async/uv/threads.h"
#include "../../async/uv/tty.h"
#include "../../async/uv/udp.h"

#include "counting.h"
#include "faults.h"

#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* --- what came of it ------------------------------------------------------ */

static const char *now_telling = "";
static int borrowing, wrong_things, verbose;
static int noted[16], notes;

static const char *name_of(int error)
{
    const char *name = async_error_name(error);
    return error == 0 ? "ok" : name != NULL ? name : uv_err_name(error);
}

static void wrong(const char *what, long n)
{
    fprintf(stderr, "%s%s, call %ld (%s, %s): %s %ld\n", now_telling,
            borrowing ? " on a borrowed loop" : "", faults.at,
            faults.failed != NULL ? faults.failed : "nothing failed",
            name_of(faults.error), what, n);
    wrong_things++;
}

#define REQUIRE(condition)                                                    \
    do {                                                                      \
        if (!(condition)) wrong("in line", __LINE__);                         \
    } while (0)

/* What a story was told. */
static void note(int error)
{
    if (error && notes < (int)(sizeof noted / sizeof *noted))
        noted[notes++] = error;
}

static int report(async_loop *loop, const async_exception_context *context,
                  void *argument)
{
    (void)loop, (void)argument;
    note(context->error);
    return 0;
}

static int was_noted(int error)
{
    int i;
    for (i = 0; i < notes; i++)
        if (noted[i] == error) return 1;
    return 0;
}

/* What can come of a connection whose other end has failed. */
static int is_of_the_peer(int error)
{
    return error == UV_ECONNRESET || error == UV_EPIPE ||
           error == UV_ENOTCONN || error == UV_ECONNREFUSED ||
           error == UV_ENOENT || error == ASYNC_ECLOSED ||
           error == ASYNC_EINCOMPLETE;
}

static void judge_notes(void)
{
    int i;
    for (i = 0; i < notes; i++) {
        if (faults.failed == NULL || faults.harmless)
            wrong(name_of(noted[i]), noted[i]);
        else if (noted[i] != faults.error && !is_of_the_peer(noted[i]))
            wrong(name_of(noted[i]), noted[i]);
    }
    if (faults.told && !was_noted(faults.error)) wrong("nobody was told", 0);
}

/* --- a stream that is written to, and one that reads ---------------------- */

enum { MUCH = 700001 };
static unsigned char much[MUCH];

/* Reads to the end, and says how much that was. */
struct read_all {
    ASYNC_RETURNS(long);
    async_stream *stream;
    size_t n;
    long got;
    unsigned char buffer[65536];
};
static ASYNC(read_all)
{
    ASYNC_BEGIN(read_all);
    for (;;) {
        AWAIT_INTO(self->n, async_stream_read, self->stream, self->buffer,
                   sizeof self->buffer);
        if (self->n == 0) break;
        REQUIRE(self->got + (long)self->n <= MUCH);
        REQUIRE(memcmp(self->buffer, much + self->got, self->n) == 0);
        self->got += (long)self->n;
    }
    ASYNC_RETURN(self->got);
    ASYNC_END;
}

/* Reads to the end, and answers.  Whatever happens, nobody waits for it. */
struct serve_one {
    ASYNC_FRAME;
    async_listener *listener;
    async_stream peer;
    long got;
    int error;
    char answer[32];
};
static ASYNC(serve_one)
{
    ASYNC_BEGIN(serve_one);
    ASYNC_TRY {
        AWAIT(async_listener_accept, self->listener, &self->peer);
        AWAIT_INTO(self->got, read_all, &self->peer);
        sprintf(self->answer, "%ld", self->got);
        AWAIT(async_stream_write, &self->peer, self->answer,
              strlen(self->answer));
        AWAIT(async_stream_shutdown, &self->peer);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_stream_close, &self->peer);
    AWAIT(async_listener_close, self->listener);
    ASYNC_END;
}

struct say_much {
    ASYNC_FRAME;
    async_stream *stream;
    size_t n;
    int error;
    char answer[32], wanted[32];
};
static ASYNC(say_much)
{
    char name[128];
    ASYNC_BEGIN(say_much);
    note(async_stream_sockname(self->stream, name, sizeof name));
    note(async_stream_peername(self->stream, name, sizeof name));
    AWAIT(async_stream_write, self->stream, much, 10);
    AWAIT(async_stream_write, self->stream, much + 10, MUCH - 10);
    AWAIT(async_stream_shutdown, self->stream);
    AWAIT_INTO(self->n, async_stream_read, self->stream, self->answer,
               sizeof self->answer - 1);
    if (self->n == 0) ASYNC_RAISE(UV_ECONNRESET);
    sprintf(self->wanted, "%d", MUCH);
    REQUIRE(strncmp(self->answer, self->wanted, self->n) == 0);
    ASYNC_END;
}

struct tcp {
    ASYNC_FRAME;
    async_listener listener;
    async_stream stream;
    async_task *server;
    int error, buffer;
    struct sockaddr_storage address;
};
static ASYNC(tcp)
{
    int port;
    ASYNC_BEGIN(tcp);
    if (async_tcp_address(&self->address, "127.0.0.1", 0) != 0 ||
        async_tcp_address(&self->address, "::1", 0) != 0) {
        note(UV_EINVAL);
        ASYNC_RETURN();
    }
    (void)async_tcp_address(&self->address, "127.0.0.1", 0);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->listener,
                (struct sockaddr *)&self->address);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    note(async_tcp_simultaneous_accepts(&self->listener, 1));
    port = async_tcp_port(&self->listener);
    if (port == 0) note(UV_ENOBUFS); /* it cannot say why */
    (void)async_tcp_address(&self->address, "127.0.0.1", port);
    self->server = async_create_task(CO(serve_one, &self->listener));
    ASYNC_TRY {
        AWAIT(async_tcp_connect, &self->stream,
              (struct sockaddr *)&self->address);
        self->buffer = 4096;
        uv_send_buffer_size(&self->stream.handle.any, &self->buffer);
        note(async_tcp_nodelay(&self->stream, 0));
        note(async_tcp_keepalive(&self->stream, 1, 60));
        AWAIT(say_much, &self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_stream_close, &self->stream);
    if (self->error) AWAIT(async_listener_close, &self->listener);
    AWAIT_JOIN(self->server);
    ASYNC_END;
}

static char socket_path[128];
struct unix_socket {
    ASYNC_FRAME;
    async_listener listener;
    async_stream stream;
    async_task *server;
    int error;
};
static ASYNC(unix_socket)
{
    ASYNC_BEGIN(unix_socket);
    AWAIT_CATCH(self->error, async_pipe_listen, &self->listener, socket_path);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    self->server = async_create_task(CO(serve_one, &self->listener));
    ASYNC_TRY {
        AWAIT(async_pipe_connect, &self->stream, socket_path);
        AWAIT(say_much, &self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_stream_close, &self->stream);
    if (self->error) AWAIT(async_listener_close, &self->listener);
    AWAIT_JOIN(self->server);
    ASYNC_END;
}

/* Connections that were made elsewhere: after an error they are still ours. */
struct adopted { ASYNC_FRAME; async_stream one, two; int ends[2]; int error; };
static int plain_listener(int *port)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    *port = ntohs(address.sin_port);
    return listener;
}
static void tcp_pair(int ends[2])
{
    struct sockaddr_in address;
    int port, listener = plain_listener(&port);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    ends[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(ends[0], (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
}
static ASYNC(adopted)
{
    ASYNC_BEGIN(adopted);
    tcp_pair(self->ends);
    AWAIT_CATCH(self->error, async_tcp_open, &self->one, self->ends[0]);
    note(self->error);
    if (self->error) close(self->ends[0]);
    AWAIT_CATCH(self->error, async_tcp_open, &self->two, self->ends[1]);
    note(self->error);
    if (self->error) close(self->ends[1]);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->two);
    if (pipe(self->ends) != 0) abort();
    AWAIT_CATCH(self->error, async_pipe_open, &self->one, self->ends[0]);
    note(self->error);
    if (self->error) close(self->ends[0]);
    AWAIT_CATCH(self->error, async_pipe_open, &self->two, self->ends[1]);
    note(self->error);
    if (self->error) close(self->ends[1]);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->two);
    ASYNC_END;
}

/* --- a terminal ------------------------------------------------------------ */

struct terminal {
    ASYNC_FRAME;
    int user, program, error;
    async_stream tty;
    size_t n;
    char keys[8];
};
static ASYNC(terminal)
{
    int width, height;
    ASYNC_BEGIN(terminal);
    if (openpty(&self->user, &self->program, NULL, NULL, NULL) != 0) abort();
    AWAIT_CATCH(self->error, async_tty_open, &self->tty, self->program);
    note(self->error);
    if (self->error) {
        close(self->user);
        close(self->program);
        ASYNC_RETURN();
    }
    ASYNC_TRY {
        note(async_tty_set_mode(&self->tty, UV_TTY_MODE_RAW));
        note(async_tty_get_size(&self->tty, &width, &height));
        AWAIT(async_stream_write, &self->tty, "?", 1);
        REQUIRE(write(self->user, "yes\n", 4) == 4);
        AWAIT_INTO(self->n, async_stream_read, &self->tty, self->keys, 1);
        REQUIRE(self->n == 1);
        note(async_tty_reset());
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_stream_close, &self->tty);
    close(self->user);
    ASYNC_END;
}

/* --- descriptors that are watched ----------------------------------------- */

static int calls;
static int called(void *argument)
{
    calls++;
    return *(int *)argument;
}

struct watched { ASYNC_FRAME; int ends[2]; int error, zero; char byte; };
static ASYNC(watched)
{
    ASYNC_BEGIN(watched);
    calls = 0;
    if (pipe(self->ends) != 0) abort();
    fcntl(self->ends[0], F_SETFL, O_NONBLOCK);
    ASYNC_TRY {
        AWAIT(async_poll_writable, self->ends[1]);
        self->error = async_loop_add_reader(async_loop_of(co), self->ends[0],
                                            called, &self->zero);
        note(self->error);
        REQUIRE(write(self->ends[1], "a", 1) == 1);
        while (!self->error && calls < 2) AWAIT(async_sleep, ASYNC_MS(1));
        REQUIRE(async_loop_remove_reader(async_loop_of(co), self->ends[0]) ==
                !self->error);
        self->error = async_loop_add_writer(async_loop_of(co), self->ends[1],
                                            called, &self->zero);
        note(self->error);
        while (!self->error && calls < 4) AWAIT(async_sleep, ASYNC_MS(1));
        REQUIRE(async_loop_remove_writer(async_loop_of(co), self->ends[1]) ==
                !self->error);
        self->error = 0;
        /* It may be told of too early, as by poll(). */
        REQUIRE(read(self->ends[0], &self->byte, 1) == 1);
        REQUIRE(write(self->ends[1], "b", 1) == 1);
        while (read(self->ends[0], &self->byte, 1) != 1)
            AWAIT(async_poll_readable, self->ends[0]);
        AWAIT(async_poll_writable, self->ends[1]);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    close(self->ends[0]);
    close(self->ends[1]);
    ASYNC_END;
}

/* --- transports ------------------------------------------------------------ */

/* Counts what comes; the one that is asked answers behind the end. */
struct side {
    async_protocol protocol;
    async_uv_transport transport;
    long got;
    int answers, at_end, lost, pauses;
    async_event *change;
    unsigned char buffer[4096];
};
static int side_received(async_protocol *protocol, const void *data,
                         size_t size)
{
    struct side *side = (struct side *)(void *)protocol;
    REQUIRE(side->got + (long)size <= MUCH);
    REQUIRE(memcmp(data, much + side->got, size) == 0);
    side->got += (long)size;
    return 0;
}
static void *side_buffer(async_protocol *protocol, size_t *size)
{
    struct side *side = (struct side *)(void *)protocol;
    *size = sizeof side->buffer;
    return side->buffer;
}
static int side_updated(async_protocol *protocol, size_t size)
{
    struct side *side = (struct side *)(void *)protocol;
    return side_received(protocol, side->buffer, size);
}
static int side_eof(async_protocol *protocol)
{
    struct side *side = (struct side *)(void *)protocol;
    side->at_end = 1;
    if (side->answers)
        note(async_transport_write(&side->transport.base, much, 100));
    return 0;
}
static void side_lost(async_protocol *protocol, int error)
{
    struct side *side = (struct side *)(void *)protocol;
    note(error);
    side->lost = 1;
    async_event_set(side->change);
}
static void side_pause(async_protocol *protocol)
{
    ((struct side *)(void *)protocol)->pauses++;
}
static void side_resume(async_protocol *protocol)
{
    struct side *side = (struct side *)(void *)protocol;
    REQUIRE(side->pauses == 1);
    side->pauses = 0;
}
static const async_protocol_callbacks copying = { NULL,       side_received,
                                                  side_eof,   side_lost,
                                                  side_pause, side_resume,
                                                  NULL,       NULL };
static const async_protocol_callbacks filling = { NULL,        NULL,
                                                  side_eof,    side_lost,
                                                  side_pause,  side_resume,
                                                  side_buffer, side_updated };

struct transports {
    ASYNC_FRAME;
    struct side one, other;
    async_event change;
    int error;
};
static ASYNC(transports)
{
    static const async_bytes lines[3] = { { (char *)much + 20, 5 },
                                          { (char *)much + 25, 0 },
                                          { (char *)much + 25, 75 } };
    ASYNC_BEGIN(transports);
    AWAIT_CATCH(self->error, async_pipe_pair, &self->one.transport.stream,
                &self->other.transport.stream);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    async_event_init(&self->change);
    self->one.change = self->other.change = &self->change;
    self->one.protocol.callbacks = &copying;
    self->other.protocol.callbacks = &filling;
    self->other.answers = 1;
    async_uv_transport_start(&self->one.transport, &self->one.protocol);
    async_uv_transport_start(&self->other.transport, &self->other.protocol);
    note(async_transport_write(&self->one.transport.base, much, 20));
    note(async_transport_writelines(&self->one.transport.base, lines, 3));
    note(async_transport_write(&self->one.transport.base, much + 100,
                               MUCH - 100));
    AWAIT(async_sleep, 0);
    async_transport_pause_reading(&self->other.transport.base);
    AWAIT(async_sleep, ASYNC_MS(1));
    async_transport_resume_reading(&self->other.transport.base);
    self->error = async_transport_write_eof(&self->one.transport.base);
    note(self->error);
    if (self->error) async_transport_close(&self->one.transport.base);
    while (!self->one.lost || !self->other.lost) {
        async_event_clear(&self->change);
        AWAIT(async_event_wait, &self->change);
    }
    if (faults.failed == NULL)
        REQUIRE(self->other.got == MUCH && self->one.got == 100);
    ASYNC_END;
}

/* --- streams ---------------------------------------------------------------- */

/* Answers each line with it, and the end with how much there was. */
struct answer {
    ASYNC_FRAME;
    async_connection *client;
    long got;
    async_bytes line;
    char text[32];
    int error;
};
static ASYNC(answer)
{
    ASYNC_BEGIN(answer);
    ASYNC_TRY {
        for (;;) {
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client->reader);
            if (self->line.size == 0) break;
            self->got += (long)self->line.size;
            note(async_stream_writer_write(&self->client->writer,
                                           self->line.data, self->line.size));
            AWAIT(async_stream_writer_drain, &self->client->writer);
        }
        sprintf(self->text, "%ld\n", self->got);
        note(async_stream_writer_write(&self->client->writer, self->text,
                                       strlen(self->text)));
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct ask {
    ASYNC_FRAME;
    int port; /* 0: by the Unix socket */
    async_connection connection;
    int i, error;
    async_bytes line;
    char text[64];
};
static char long_line[60000];
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    ASYNC_TRY {
        if (self->port)
            AWAIT(async_open_connection, &self->connection, "127.0.0.1",
                  self->port);
        else
            AWAIT(async_open_unix_connection, &self->connection, socket_path);
        note(
            async_stream_writer_write(&self->connection.writer, "hello\n", 6));
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->connection.reader);
        if (self->line.size == 0) ASYNC_RAISE(UV_ECONNRESET);
        REQUIRE(strncmp(self->line.data, "hello\n", self->line.size) == 0);
        for (self->i = 0; self->i < 4; self->i++)
            note(async_stream_writer_write(&self->connection.writer, long_line,
                                           sizeof long_line));
        AWAIT(async_stream_writer_drain, &self->connection.writer);
        for (self->i = 0; self->i < 4; self->i++) {
            AWAIT_INTO(self->line, async_stream_reader_readexactly,
                       &self->connection.reader, sizeof long_line);
            REQUIRE(memcmp(self->line.data, long_line, sizeof long_line) == 0);
        }
        note(async_stream_writer_write_eof(&self->connection.writer));
        AWAIT_INTO(self->line, async_stream_reader_read,
                   &self->connection.reader, ASYNC_UNTIL_EOF);
        if (faults.failed == NULL)
            REQUIRE(self->line.size == 7 &&
                    memcmp(self->line.data, "240006\n", 7) == 0);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_connection_close, &self->connection);
    ASYNC_END;
}

struct streams { ASYNC_FRAME; async_server server; int error, port; };
static ASYNC(streams)
{
    ASYNC_BEGIN(streams);
    memset(long_line, 'x', sizeof long_line);
    long_line[sizeof long_line - 1] = '\n';
    AWAIT_CATCH(self->error, async_start_server, &self->server,
                ASYNC_CLIENT_HANDLER(answer), "127.0.0.1", 0);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    self->port = async_server_port(&self->server);
    if (self->port == 0) {
        note(UV_ENOBUFS);
    } else {
        AWAIT(ask, self->port);
        AWAIT(ask, self->port);
    }
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    ASYNC_END;
}

struct unix_streams { ASYNC_FRAME; async_server server; int error; };
static ASYNC(unix_streams)
{
    ASYNC_BEGIN(unix_streams);
    memset(long_line, 'x', sizeof long_line);
    long_line[sizeof long_line - 1] = '\n';
    AWAIT_CATCH(self->error, async_start_unix_server, &self->server,
                ASYNC_CLIENT_HANDLER(answer), socket_path);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    AWAIT(ask, 0);
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    ASYNC_END;
}

/* --- threads ---------------------------------------------------------------- */

struct double_it { ASYNC_RETURNS(int); int n; };
static ASYNC(double_it)
{
    ASYNC_BEGIN(double_it);
    AWAIT(async_sleep, ASYNC_MS(self->n));
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}
static void *run_loop(void *argument)
{
    REQUIRE(async_loop_run_forever((async_loop *)argument) == 0);
    return NULL;
}
static int stop_loop(void *argument)
{
    async_loop_stop((async_loop *)argument);
    return 0;
}
static void threads(void)
{
    async_uv_loop loop;
    async_handle stop;
    pthread_t thread;
    ASYNC_CONCURRENT_FUTURE(int) answer;
    int n, error = async_uv_loop_init(&loop, NULL, &counting);
    note(error);
    if (error) return;
    memset(&stop, 0, sizeof stop);
    if (pthread_create(&thread, NULL, run_loop, &loop) != 0) abort();
    for (n = 2; n < 4; n++) {
        error =
            ASYNC_RUN_COROUTINE_THREADSAFE(&answer, &loop.base, double_it, n);
        note(error);
        if (error) continue;
        error = async_concurrent_future_result(&answer.future, 1000);
        if (error != ASYNC_ETIMEDOUT) note(error);
        error =
            async_concurrent_future_result(&answer.future, ASYNC_SECONDS(100));
        note(error);
        REQUIRE(error || answer.value == n * 2);
        async_concurrent_future_destroy(&answer.future);
    }
    REQUIRE(async_loop_call_soon_threadsafe(&loop.base, &stop, stop_loop,
                                            &loop.base) == 0);
    pthread_join(thread, NULL);
    REQUIRE(async_loop_close(&loop.base) == 0);
}

/* --- datagrams --------------------------------------------------------------- */

/* What depends on the machine is only noted when it was made to fail. */
static void note_failed(int error)
{
    if (error && error == faults.error) note(error);
}

struct datagrams {
    ASYNC_FRAME;
    async_udp one, other, third;
    int error, socket;
    struct sockaddr_storage address, sender;
    size_t n;
    char buffer[100];
};
static ASYNC(datagrams)
{
    ASYNC_BEGIN(datagrams);
    if (async_udp_address(&self->address, "127.0.0.1", 0) != 0) {
        note(UV_EINVAL);
        ASYNC_RETURN();
    }
    ASYNC_TRY {
        AWAIT(async_udp_bind, &self->one,
              (const struct sockaddr *)&self->address);
        self->error = async_udp_getsockname(&self->one, &self->address);
        if (self->error) ASYNC_RAISE(self->error);
        AWAIT(async_udp_connect, &self->other,
              (const struct sockaddr *)&self->address);
        note(async_udp_getpeername(&self->other, &self->sender));
        note(async_udp_set_broadcast(&self->other, 1));
        note(async_udp_set_ttl(&self->other, 64));
        note(async_udp_set_multicast_ttl(&self->other, 1));
        note(async_udp_set_multicast_loop(&self->other, 1));
        note_failed(
            async_udp_set_multicast_interface(&self->other, "127.0.0.1"));
        note_failed(async_udp_set_membership(&self->one, "239.1.2.3",
                                             "127.0.0.1", UV_JOIN_GROUP));
        note_failed(async_udp_set_source_membership(
            &self->one, "232.1.2.3", "127.0.0.1", "127.0.0.1", UV_JOIN_GROUP));
        AWAIT(async_udp_send, &self->other, "hello", 5);
        AWAIT_INTO(self->n, async_udp_receive, &self->one, self->buffer,
                   sizeof self->buffer, &self->sender);
        REQUIRE(self->n == 5 && memcmp(self->buffer, "hello", 5) == 0);
        AWAIT(async_udp_send, &self->one, self->buffer, self->n,
              (const struct sockaddr *)&self->sender);
        AWAIT_INTO(self->n, async_udp_receive, &self->other, self->buffer,
                   sizeof self->buffer);
        REQUIRE(self->n == 5);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_udp_close, &self->one);
    AWAIT(async_udp_close, &self->other);
    self->socket = socket(AF_INET, SOCK_DGRAM, 0);
    AWAIT_CATCH(self->error, async_udp_open, &self->third, self->socket);
    note(self->error);
    if (self->error) close(self->socket);
    AWAIT(async_udp_close, &self->third);
    ASYNC_END;
}

/* With callbacks: it sends to itself. */
struct endpoint {
    ASYNC_FRAME;
    async_datagram_transport transport;
    struct sockaddr_storage address;
    int error;
};
static int endpoint_got, endpoint_lost;
static void on_datagram(async_datagram_transport *transport, const void *data,
                        size_t size, const struct sockaddr *sender)
{
    (void)transport, (void)sender;
    REQUIRE(size == 5 && memcmp(data, "hello", 5) == 0);
    endpoint_got = 1;
}
static void on_datagram_error(async_datagram_transport *transport, int error)
{
    (void)transport;
    note(error);
    endpoint_got = 1;
}
static void on_datagram_lost(async_datagram_transport *transport, int error)
{
    (void)transport;
    note(error);
    endpoint_got = endpoint_lost = 1;
}
static ASYNC(endpoint)
{
    static const async_datagram_protocol protocol = { NULL, on_datagram,
                                                      on_datagram_error,
                                                      on_datagram_lost };
    ASYNC_BEGIN(endpoint);
    endpoint_got = endpoint_lost = 0;
    if (async_udp_address(&self->address, "127.0.0.1", 0) != 0) {
        note(UV_EINVAL);
        ASYNC_RETURN();
    }
    AWAIT_CATCH(self->error, async_create_datagram_endpoint, &self->transport,
                &protocol, NULL, (const struct sockaddr *)&self->address);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    self->error = async_udp_getsockname(&self->transport.udp, &self->address);
    note(self->error);
    if (!self->error)
        note(async_datagram_sendto(&self->transport, "hello", 5,
                                   (const struct sockaddr *)&self->address));
    while (!self->error && !endpoint_got) AWAIT(async_sleep, ASYNC_MS(1));
    async_datagram_close(&self->transport);
    while (!endpoint_lost) AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}

/* The same when the system takes nothing at once: what is queued fails too. */
struct queued {
    ASYNC_FRAME;
    async_udp one;
    int error;
    struct sockaddr_storage address;
};
static ASYNC(queued)
{
    ASYNC_BEGIN(queued);
    if (async_udp_address(&self->address, "127.0.0.1", 0) != 0) {
        note(UV_EINVAL);
        ASYNC_RETURN();
    }
    ASYNC_TRY {
        AWAIT(async_udp_bind, &self->one,
              (const struct sockaddr *)&self->address);
        self->error = async_udp_getsockname(&self->one, &self->address);
        if (self->error) ASYNC_RAISE(self->error);
        faults.full = 1;
        AWAIT(async_udp_send, &self->one, "hello", 5,
              (const struct sockaddr *)&self->address);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    faults.full = 0;
    AWAIT(async_udp_close, &self->one);
    ASYNC_END;
}

/* --- names -------------------------------------------------------------------- */

struct lookups {
    ASYNC_FRAME;
    struct addrinfo *found;
    struct addrinfo hints;
    int error;
    async_names names;
    int listener, port;
    async_stream stream;
};
static ASYNC(lookups)
{
    ASYNC_BEGIN(lookups);
    ASYNC_TRY {
        self->hints.ai_socktype = SOCK_STREAM;
        self->hints.ai_flags = AI_NUMERICHOST;
        AWAIT_INTO(self->found, async_getaddrinfo, "127.0.0.1", "80",
                   &self->hints);
        AWAIT(async_getnameinfo, self->found->ai_addr,
              NI_NUMERICHOST | NI_NUMERICSERV, &self->names);
        REQUIRE(strcmp(self->names.host, "127.0.0.1") == 0);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    async_freeaddrinfo(self->found);
    self->listener = plain_listener(&self->port);
    AWAIT_CATCH(self->error, async_tcp_connect_host, &self->stream,
                "localhost", self->port);
    note(self->error);
    AWAIT(async_stream_close, &self->stream);
    close(self->listener);
    ASYNC_END;
}

/* Several loops share a port. */
struct shared_port {
    ASYNC_FRAME;
    async_listener listener;
    int error;
    struct sockaddr_storage address;
};
static ASYNC(shared_port)
{
    ASYNC_BEGIN(shared_port);
    memset(&self->address, 0, sizeof self->address);
    self->address.ss_family = AF_INET;
    AWAIT_CATCH(self->error, async_tcp_listen, &self->listener,
                (struct sockaddr *)&self->address, 0, ASYNC_TCP_REUSEPORT);
    note(self->error);
    AWAIT(async_listener_close, &self->listener);
    ASYNC_END;
}

/* --- files --------------------------------------------------------------------- */

/* Each by itself: one that fails does not keep the next from being tried. */
#define TRY(...)                                                              \
    do {                                                                      \
        AWAIT_CATCH(self->error, __VA_ARGS__);                                \
        if (self->error == faults.error || faults.failed == NULL)             \
            note(self->error);                                                \
    } while (0)

static char folder[64];
static const char *in_folder(const char *name)
{
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];
    sprintf(path, "%s/%s", folder, name);
    return path;
}

#define TRY_INTO(place, ...)                                                  \
    do {                                                                      \
        ASYNC_TRY {                                                           \
            AWAIT_INTO(place, __VA_ARGS__);                                   \
        }                                                                     \
        ASYNC_EXCEPT_ALL(self->error) {                                       \
            if (self->error == faults.error || faults.failed == NULL)         \
                note(self->error);                                            \
        }                                                                     \
        ASYNC_END_TRY                                                         \
    } while (0)

struct files {
    ASYNC_FRAME;
    int file, error;
    size_t n;
    char buffer[100];
    uv_stat_t status;
};
static ASYNC(files)
{
    ASYNC_BEGIN(files);
    ASYNC_TRY {
        AWAIT_INTO(self->file, async_fs_open, in_folder("a"),
                   O_RDWR | O_CREAT | O_TRUNC, 0600);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
        ASYNC_RETURN();
    } ASYNC_END_TRY
    TRY(async_fs_write, self->file, "abcdefgh", 8);
    TRY(async_fs_write_at, self->file, "ijkl", 4, 8);
    TRY_INTO(self->n, async_fs_read_at, self->file, self->buffer, 4, 0);
    REQUIRE(faults.failed != NULL || memcmp(self->buffer, "abcd", 4) == 0);
    TRY_INTO(self->n, async_fs_read, self->file, self->buffer, 4);
    TRY(async_fs_fsync, self->file);
    TRY(async_fs_fdatasync, self->file);
    TRY(async_fs_ftruncate, self->file, 6);
    TRY(async_fs_fchmod, self->file, 0600);
    TRY(async_fs_futime, self->file, 1e9, 1e9);
    TRY_INTO(self->status, async_fs_fstat, self->file);
    REQUIRE(faults.failed != NULL || self->status.st_size == 6);
    TRY(async_fs_close, self->file);
    ASYNC_END;
}

struct names {
    ASYNC_FRAME;
    int error;
    size_t n;
    char place[200], made[160];
    uv_stat_t status;
    async_buffer bytes;
    struct async_fs_scandir entries;
    uv_dirent_t entry;
};
static ASYNC(names)
{
    FILE *file;
    ASYNC_BEGIN(names);
    file = fopen(in_folder("a"), "w");
    if (file == NULL || fputs("content", file) < 0 || fclose(file) != 0)
        abort();
    TRY(async_fs_read_file, in_folder("a"), &self->bytes);
    REQUIRE(self->error || strcmp(self->bytes.data, "content") == 0);
    REQUIRE(!self->error || self->bytes.data == NULL);
    async_buffer_free(&self->bytes);
    TRY_INTO(self->status, async_fs_stat, in_folder("a"));
    TRY_INTO(self->status, async_fs_lstat, in_folder("a"));
    TRY(async_fs_access, in_folder("a"), R_OK);
    TRY(async_fs_copyfile, in_folder("a"), in_folder("b"), 0);
    TRY(async_fs_link, in_folder("a"), in_folder("c"));
    TRY(async_fs_symlink, in_folder("a"), in_folder("d"), 0);
    TRY_INTO(self->n, async_fs_readlink, in_folder("d"), self->place,
             sizeof self->place);
    TRY_INTO(self->n, async_fs_realpath, in_folder("a"), self->place,
             sizeof self->place);
    TRY(async_fs_chmod, in_folder("a"), 0600);
    TRY(async_fs_utime, in_folder("a"), 1e9, 1e9);
    TRY(async_fs_rename, in_folder("b"), in_folder("e"));
    TRY(async_fs_mkdir, in_folder("f"), 0700);
    ASYNC_TRY {
        self->entries = ASYNC_GENERATOR(async_fs_scandir, folder);
        ASYNC_FOR(self->entry, &self->entries) {
            REQUIRE(strlen(self->entry.name) == 1);
        } ASYNC_END_FOR
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    sprintf(self->made, "%s", in_folder("XXXXXX"));
    TRY(async_fs_mkdtemp, self->made);
    if (!self->error) TRY(async_fs_rmdir, self->made);
    rmdir(self->made);
    TRY(async_fs_unlink, in_folder("e"));
    for (self->n = 0; self->n < 5; self->n++) {
        static const char *const left[] = { "a", "b", "c", "d", "e" };
        unlink(in_folder(left[self->n]));
    }
    rmdir(in_folder("f"));
    ASYNC_END;
}

struct changes { ASYNC_FRAME; int error; async_fs_watch watch; };
static ASYNC(changes)
{
    ASYNC_BEGIN(changes);
    AWAIT_CATCH(self->error, async_fs_watch_open, &self->watch, folder);
    note(self->error);
    AWAIT(async_fs_watch_close, &self->watch);
    AWAIT_CATCH(self->error, async_fs_watch_poll, &self->watch, folder,
                ASYNC_SECONDS(1));
    note(self->error);
    AWAIT(async_fs_watch_close, &self->watch);
    ASYNC_END;
}

/* --- processes and signals -------------------------------------------------------- */

struct processes {
    ASYNC_FRAME;
    async_process child;
    async_buffer output;
    int error, code;
};
static ASYNC(processes)
{
    static const char *const cat[] = { "cat", NULL };
    ASYNC_BEGIN(processes);
    ASYNC_TRY {
        AWAIT(async_create_subprocess_exec, &self->child, cat,
              { .input = ASYNC_PIPE, .output = ASYNC_PIPE });
        AWAIT_INTO(self->code, async_process_communicate, &self->child, much,
                   100000, &self->output);
        REQUIRE(self->code == 0);
        REQUIRE(faults.failed != NULL || self->output.size == 100000);
        REQUIRE(memcmp(self->output.data, much, self->output.size) == 0);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    /* That a process does not read all of its input is no error. */
    if (faults.error == UV_EPIPE || faults.error == UV_ECONNRESET)
        note(faults.error);
    async_buffer_free(&self->output);
    AWAIT(async_process_close, &self->child);
    self->error = 0;
    ASYNC_TRY {
        AWAIT(async_create_subprocess_exec, &self->child, cat,
              { .input = ASYNC_PIPE, .output = ASYNC_DEVNULL });
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_process_close, &self->child); /* which kills it */
    ASYNC_END;
}

struct signals {
    ASYNC_FRAME;
    async_signal signal;
    int error, zero;
    unsigned times;
};
static ASYNC(signals)
{
    ASYNC_BEGIN(signals);
    AWAIT_CATCH(self->error, async_signal_open, &self->signal, SIGUSR1);
    note(self->error);
    if (!self->error) {
        raise(SIGUSR1);
        AWAIT_INTO(self->times, async_signal_wait, &self->signal);
    }
    AWAIT(async_signal_close, &self->signal);
    calls = 0;
    self->error = async_loop_add_signal_handler(async_loop_of(co), SIGUSR2,
                                                called, &self->zero);
    note(self->error);
    if (!self->error) {
        raise(SIGUSR2);
        while (calls == 0) AWAIT(async_sleep, ASYNC_MS(1));
    }
    REQUIRE(async_loop_remove_signal_handler(async_loop_of(co), SIGUSR2) ==
            !self->error);
    ASYNC_END;
}

/* --- whole programs --------------------------------------------------------- */

struct nap { ASYNC_FRAME; };
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void program(void)
{
    note(async_run(CO(nap)));
}

/* --- work in threads ---------------------------------------------------------------- */

static int work_a_little(void *argument)
{
    struct timespec moment = { 0, 2000000 };
    nanosleep(&moment, NULL);
    return *(int *)argument;
}
struct work {
    ASYNC_FRAME;
    async_executor pool;
    async_task *task;
    int error, n, seven;
};
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    self->seven = 7;
    AWAIT_INTO(self->n, async_to_thread, work_a_little, &self->seven);
    REQUIRE(self->n == 7);
    self->task =
        async_create_task(CO(async_to_thread, work_a_little, &self->seven));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->task);
    AWAIT_CATCH(self->error, async_sleep, ASYNC_MS(4));
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
    ASYNC_END_TRY
    self->error = async_executor_init(&self->pool, 2, &counting);
    note(self->error);
    if (self->error) ASYNC_RETURN();
    ASYNC_TRY {
        AWAIT_INTO(self->n, async_run_in_executor, &self->pool, work_a_little,
                   &self->seven);
        REQUIRE(self->n == 7);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->error);
    } ASYNC_END_TRY
    AWAIT(async_executor_close, &self->pool, 0);
    ASYNC_END;
}

static void cores(void)
{
    note(async_run_cores(2, CO(nap)));
}

/* --- telling ---------------------------------------------------------------- */

#define TELL(name)                                                            \
    static int tell_##name(async_loop *loop)                                  \
    {                                                                         \
        return async_loop_run_until_complete(loop, CO(name));                 \
    }
TELL(tcp)
TELL(unix_socket)
TELL(adopted)
TELL(terminal)
TELL(watched)
TELL(transports)
TELL(streams)
TELL(nap)
TELL(datagrams)
TELL(queued)
TELL(endpoint)
TELL(unix_streams)
TELL(lookups)
TELL(shared_port)
TELL(files)
TELL(names)
TELL(changes)
TELL(processes)
TELL(signals)
TELL(work)

static const struct story {
    const char *name;
    int (*tell)(async_loop *loop); /* on a loop of each kind, or ... */
    void (*alone)(void);           /* it makes its own */
} stories[] = {
    { "nap", tell_nap, NULL },
    { "program", NULL, program },
    { "threads", NULL, threads },
    { "tcp", tell_tcp, NULL },
    { "unix_socket", tell_unix_socket, NULL },
    { "adopted", tell_adopted, NULL },
    { "terminal", tell_terminal, NULL },
    { "watched", tell_watched, NULL },
    { "transports", tell_transports, NULL },
    { "streams", tell_streams, NULL },
    { "unix_streams", tell_unix_streams, NULL },
    { "datagrams", tell_datagrams, NULL },
    { "endpoint", tell_endpoint, NULL },
    { "queued", tell_queued, NULL },
    { "lookups", tell_lookups, NULL },
    { "shared_port", tell_shared_port, NULL },
    { "files", tell_files, NULL },
    { "names", tell_names, NULL },
    { "changes", tell_changes, NULL },
    { "processes", tell_processes, NULL },
    { "signals", tell_signals, NULL },
    { "work", tell_work, NULL },
    { "cores", NULL, cores },
};

static void on_a_loop(const struct story *story)
{
    uv_loop_t host;
    async_uv_loop loop;
    int error;
    faults.paused = 1;
    if (borrowing && uv_loop_init(&host) != 0) abort();
    faults.paused = 0;
    error = async_uv_loop_init(&loop, borrowing ? &host : NULL, &counting);
    note(error);
    if (!error) {
        async_loop_set_exception_handler(&loop.base, report, NULL);
        note(story->tell(&loop.base));
        if (async_uv_loop_count_handles(&loop.base) != 0)
            wrong("handles:", (long)async_uv_loop_count_handles(&loop.base));
        if (async_loop_count_tasks(&loop.base) != 0)
            wrong("tasks:", (long)async_loop_count_tasks(&loop.base));
        error = async_loop_close(&loop.base);
        if (error) wrong("the loop does not close:", error);
    }
    faults.paused = 1;
    if (borrowing) {
        uv_run(&host, UV_RUN_DEFAULT);
        error = uv_loop_close(&host);
        if (error) wrong("the borrowed loop does not close:", error);
    }
}

/* Returns how many ways the call has to fail; 0 when there is none. */
static int tell(const struct story *story, long at, int choice)
{
    int open = descriptors();
    notes = 0;
    faults_begin(at, choice);
    alarm(60);
    if (story->alone != NULL)
        story->alone();
    else
        on_a_loop(story);
    faults.paused = 1;
    alarm(0);
    judge_notes();
    if (in_use != 0) wrong("blocks of memory left:", in_use);
    in_use = 0;
    if (descriptors() != open)
        wrong("descriptors left:", descriptors() - open);
    if (verbose && faults.failed != NULL) {
        int i;
        printf("  %ld: %s: %s ->", at, faults.failed,
               faults.error > 0 ? "less" : name_of(faults.error));
        for (i = 0; i < notes; i++) printf(" %s", name_of(noted[i]));
        printf("\n");
    }
    return faults.failed != NULL ? faults.choices : 0;
}

static void stuck(int number)
{
    (void)number;
    wrong("it waits for ever", 0);
    _exit(3);
}

int main(int argc, char **argv)
{
    async_uv_loop loop;
    size_t i, times = 0;
    const char *only = NULL;
    int first = 1, n;
    if (argc > first && strcmp(argv[first], "-v") == 0) {
        verbose = 1;
        first++;
    }
    if (argc > first + 1 && strcmp(argv[first], "-s") == 0) {
        only = argv[first + 1];
        first += 2;
    }
    for (i = 0; i < MUCH; i++) much[i] = (unsigned char)(i * 7 + i / 251);
    strcpy(folder, "/tmp/caesura.XXXXXX");
    if (mkdtemp(folder) == NULL) return 2;
    sprintf(socket_path, "%s/sock", folder);
    signal(SIGALRM, stuck);
    faults_begin(0, 0);
    /* libuv opens what it keeps. */
    if (async_uv_loop_init(&loop, NULL, NULL) != 0) return 2;
    async_loop_close(&loop.base);
    for (i = 0; i < sizeof stories / sizeof *stories; i++) {
        now_telling = stories[i].name;
        if (only != NULL && strcmp(only, now_telling) != 0) continue;
        for (borrowing = 0; borrowing < (stories[i].tell ? 2 : 1);
             borrowing++) {
            long at = 1;
            int choices;
            n = wrong_things;
            tell(&stories[i], 0, 0);
            if (wrong_things > n) return 1;
            while ((choices = tell(&stories[i], at, 0)) > 0) {
                for (n = 1; n < choices; n++) tell(&stories[i], at, n);
                times += (size_t)choices;
                at++;
            }
            printf("%s%s: %ld calls\n", stories[i].name,
                   borrowing ? " (borrowed)" : "", at - 1);
            fflush(stdout);
        }
    }
    for (n = first; n < argc; n++)
        if (faults_of(argv[n]) == 0) {
            fprintf(stderr, "no story has a %s that fails\n", argv[n]);
            wrong_things++;
        }
    unlink(socket_path);
    rmdir(folder);
    printf("%lu failures, %d things wrong\n", (unsigned long)times,
           wrong_things);
    return wrong_things > 0;
}
