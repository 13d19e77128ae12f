/* link: -luv */
/* Connections and servers whose peers misbehave: they go at any moment, send
 * noise or too much, do not read, keep still.  The peers are plain sockets. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/streams.h"

#include "io.h"
#include "sockets.h"

/* --- plain sockets ---------------------------------------------------------- */

/* As much as goes out at once. */
static ssize_t raw_send_some(int fd, const void *data, size_t size)
{
    return send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}
static ssize_t raw_receive_some(int fd, void *data, size_t size)
{
    return recv(fd, data, size, MSG_DONTWAIT);
}
/* Sends all, or receives so much, or to the end: while others run. */
struct raw_send_all { ASYNC_FRAME; int fd; const char *data; size_t size; };
static ASYNC(raw_send_all)
{
    ssize_t n;
    ASYNC_BEGIN(raw_send_all);
    while (self->size > 0) {
        n = raw_send_some(self->fd, self->data, self->size);
        if (n > 0) {
            self->data += n;
            self->size -= (size_t)n;
        } else if (errno != EAGAIN) {
            ASYNC_RAISE(-errno);
        }
        AWAIT(async_sleep, 0);
    }
    ASYNC_END;
}
struct raw_receive_all {
    ASYNC_RETURNS(size_t);
    int fd;
    char *data;
    size_t size, got;
};
static ASYNC(raw_receive_all)
{
    ssize_t n;
    ASYNC_BEGIN(raw_receive_all);
    while (self->got < self->size) {
        n = raw_receive_some(self->fd, self->data + self->got,
                             self->size - self->got);
        if (n == 0) break;
        if (n < 0 && errno != EAGAIN) ASYNC_RAISE(-errno);
        if (n > 0) self->got += (size_t)n;
        AWAIT(async_sleep, 0);
    }
    ASYNC_RETURN(self->got);
    ASYNC_END;
}

/* A line from a peer, as a word of the story. */
struct say_from { ASYNC_FRAME; int fd; char text[64]; size_t n; };
static ASYNC(say_from)
{
    ASYNC_BEGIN(say_from);
    AWAIT_INTO(self->n, raw_receive_all, self->fd, self->text, 5);
    say("%.*s", (int)self->n - (self->n == 5), self->text);
    ASYNC_END;
}

/* --- a server that sends lines back ---------------------------------------- */

struct seen {
    int lines, too_long, ended, broken;
    size_t most_held, most_buffered;
    char last[16];
};
struct echo {
    ASYNC_FRAME;
    async_connection *client;
    struct seen *seen;
    async_bytes line;
    int error;
};
static ASYNC(echo)
{
    ASYNC_BEGIN(echo);
    for (;;) {
        ASYNC_TRY {
            self->error = 0;
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client->reader);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
        if (self->client->reader.capacity > self->seen->most_held)
            self->seen->most_held = self->client->reader.capacity;
        if (self->error == ASYNC_ELIMIT) {
            self->seen->too_long++;
            continue;
        }
        if (self->error || self->line.size == 0) break;
        self->seen->lines++;
        sprintf(self->seen->last, "%.*s",
                (int)(self->line.size < 10 ? self->line.size : 10),
                self->line.data);
        async_stream_writer_write(&self->client->writer, self->line.data,
                                  self->line.size);
        if (async_transport_get_write_buffer_size(
                &self->client->transport.base) > self->seen->most_buffered)
            self->seen->most_buffered = async_transport_get_write_buffer_size(
                &self->client->transport.base);
        AWAIT_CATCH(self->error, async_stream_writer_drain,
                    &self->client->writer);
        if (self->error) break;
    }
    if (self->error)
        self->seen->broken++;
    else
        self->seen->ended++;
    if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(ASYNC_ECANCELED);
    ASYNC_END;
}

#define WITH_SERVER(name)                                                     \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        async_server server;                                                  \
        struct seen seen;                                                     \
        async_task *task;                                                     \
        int error, fd, other, i, j;                                           \
        size_t n;                                                             \
        char text[64];                                                        \
    };                                                                        \
    static ASYNC(name)
#define SERVE()                                                               \
    AWAIT(async_start_server, &self->server,                                  \
          ASYNC_CLIENT_HANDLER(echo, &self->seen), "127.0.0.1", 0)
#define PORT() async_server_port(&self->server)
struct end_server { ASYNC_FRAME; async_server *server; };
static ASYNC(end_server)
{
    ASYNC_BEGIN(end_server);
    async_server_close(self->server);
    AWAIT(async_server_wait_closed, self->server);
    ASYNC_END;
}

static char much[1 << 20];

/* --- noise ------------------------------------------------------------------ */

enum { TEN_MEGABYTES = 10 << 20 };
WITH_SERVER(long_line)
{
    char *data;
    ASYNC_BEGIN(long_line);
    SERVE();
    self->fd = raw_connect(PORT());
    memset(much, '\0', sizeof much);
    for (self->i = 0; self->i < TEN_MEGABYTES; self->i += (int)sizeof much)
        AWAIT(raw_send_all, self->fd, much, sizeof much);
    raw_send(self->fd, "\nnext\n");
    shutdown(self->fd, SHUT_WR);
    data = much;
    AWAIT_INTO(self->n, raw_receive_all, self->fd, data, sizeof much);
    say("%d", self->seen.too_long > 0);
    say("%.4s", self->seen.last);
    /* twice the limit, and what came in one read */
    say("%d", self->seen.most_held <= 4 * ASYNC_STREAM_LIMIT);
    close(self->fd);
    AWAIT(end_server, &self->server);
    ASYNC_END;
}
static void a_line_of_ten_megabytes_is_dropped_and_the_next_one_read(void **s)
{
    (void)s;
    run(CO(long_line));
    assert_said("1 next 1");
}

WITH_SERVER(noise)
{
    static char back[300001];
    uint32_t random = 12345;
    size_t i;
    ASYNC_BEGIN(noise);
    SERVE();
    self->fd = raw_connect(PORT());
    for (i = 0; i < sizeof back; i++) {
        random = random * 1664525 + 1013904223;
        much[i] = (char)(random >> 24);
    }
    self->task =
        async_create_task(CO(raw_send_all, self->fd, much, sizeof back - 1));
    AWAIT_INTO(self->n, raw_receive_all, self->fd, back, 200000);
    AWAIT_JOIN(self->task);
    shutdown(self->fd, SHUT_WR);
    AWAIT_INTO(self->n, raw_receive_all, self->fd, back + 200000,
               sizeof back - 200000);
    say("%d %d", (int)self->n, memcmp(back, much, sizeof back - 1) == 0);
    say("%d", self->seen.lines > 500);
    close(self->fd);
    AWAIT(end_server, &self->server);
    say("%d", self->seen.ended);
    ASYNC_END;
}
static void any_bytes_come_back_as_they_were(void **s)
{
    (void)s;
    run(CO(noise));
    assert_said("100000 1 1 1");
}

/* --- half of a connection, half of a line ----------------------------------- */

WITH_SERVER(half_closed)
{
    ASYNC_BEGIN(half_closed);
    SERVE();
    self->fd = raw_connect(PORT());
    raw_send(self->fd, "one\ntwo\nend");
    shutdown(self->fd, SHUT_WR);
    AWAIT_INTO(self->n, raw_receive_all, self->fd, self->text,
               sizeof self->text);
    say("<%.*s>", (int)self->n, self->text);
    say("lines:%d ended:%d", self->seen.lines, self->seen.ended);
    close(self->fd);
    AWAIT(end_server, &self->server);
    ASYNC_END;
}
static void who_sends_no_more_still_gets_the_answers_and_the_end(void **s)
{
    (void)s;
    run(CO(half_closed));
    assert_said("<one\ntwo\nend> lines:3 ended:1");
}

struct cut_short {
    ASYNC_FRAME;
    int listener, fd, port, error;
    async_connection c;
    async_bytes line;
};
static ASYNC(cut_short)
{
    ASYNC_BEGIN(cut_short);
    self->listener = raw_listen(8, &self->port);
    AWAIT(async_open_connection, &self->c, "127.0.0.1", self->port);
    self->fd = accept(self->listener, NULL, NULL);
    raw_send(self->fd, "content-length: 10\n12345");
    close(self->fd);
    AWAIT_INTO(self->line, async_stream_reader_readline, &self->c.reader);
    say("%d", (int)self->line.size);
    AWAIT_CATCH(self->error, async_stream_reader_readexactly, &self->c.reader,
                10);
    say("%s", name_of(self->error));
    self->line = async_stream_reader_partial(&self->c.reader);
    say("%.*s", (int)self->line.size, self->line.data);
    AWAIT_INTO(self->line, async_stream_reader_readline, &self->c.reader);
    say("%d", (int)self->line.size);
    AWAIT(async_connection_close, &self->c);
    close(self->listener);
    ASYNC_END;
}
static void of_a_message_that_is_cut_short_the_rest_is_told(void **s)
{
    (void)s;
    run(CO(cut_short));
    assert_said("19 ASYNC_EINCOMPLETE 12345 0");
}

/* --- peers that keep still, and that do not read ----------------------------- */

WITH_SERVER(stalling)
{
    ASYNC_BEGIN(stalling);
    SERVE();
    self->fd = raw_connect(PORT());
    raw_send(self->fd, "sl");
    for (self->i = 0; self->i < 3; self->i++) {
        self->other = raw_connect(PORT());
        raw_send(self->other, "fast\n");
        AWAIT(say_from, self->other);
        close(self->other);
    }
    raw_send(self->fd, "ow\n");
    AWAIT(say_from, self->fd);
    close(self->fd);
    AWAIT(end_server, &self->server);
    ASYNC_END;
}
static void who_stalls_in_the_middle_of_a_line_keeps_nobody_waiting(void **s)
{
    (void)s;
    run(CO(stalling));
    assert_said("fast fast fast slow");
}

struct patient {
    ASYNC_FRAME;
    int listener, fd, port, error;
    async_connection c;
    async_bytes line;
    async_timeout deadline;
};
static ASYNC(patient)
{
    ASYNC_BEGIN(patient);
    self->listener = raw_listen(8, &self->port);
    AWAIT(async_open_connection, &self->c, "127.0.0.1", self->port);
    self->fd = accept(self->listener, NULL, NULL);
    raw_send(self->fd, "half a ");
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->deadline, ASYNC_MS(5)) {
            AWAIT(async_stream_reader_readline, &self->c.reader);
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    raw_send(self->fd, "line\n");
    AWAIT_INTO(self->line, async_stream_reader_readline, &self->c.reader);
    say("<%.*s>", (int)self->line.size - 1, self->line.data);
    AWAIT(async_connection_close, &self->c);
    close(self->fd);
    close(self->listener);
    ASYNC_END;
}
static void a_read_that_times_out_in_a_stall_loses_nothing(void **s)
{
    (void)s;
    run(CO(patient));
    assert_said("ASYNC_ETIMEDOUT <half a line>");
}

/* Sends lines as long as any go out, until the server takes no more: 100
 * iterations with nothing. */
WITH_SERVER(never_reading)
{
    ssize_t n;
    ASYNC_BEGIN(never_reading);
    SERVE();
    memset(much, 'x', sizeof much);
    for (self->i = 0; self->i < (int)sizeof much; self->i += 1000)
        much[self->i] = '\n';
    self->fd = raw_connect(PORT());
    for (self->i = 0; self->i < 100; self->i++) {
        do {
            n = raw_send_some(self->fd, much, sizeof much);
            if (n > 0) self->i = 0;
        } while (n > 0);
        AWAIT(async_sleep, self->i < 90 ? 0 : ASYNC_MS(1));
    }
    /* The high-water mark, and a line beyond it. */
    say("%d", self->seen.most_buffered <= 65536 + 1000);
    say("%d", self->seen.most_held <= 4 * ASYNC_STREAM_LIMIT);
    self->other = raw_connect(PORT());
    raw_send(self->other, "fair\n");
    AWAIT(say_from, self->other);
    close(self->other);
    say("%d", (int)async_server_count_clients(&self->server) >= 1);
    raw_reset(self->fd);
    AWAIT(end_server, &self->server);
    say("broken:%d ended:%d", self->seen.broken, self->seen.ended);
    ASYNC_END;
}
static void who_never_reads_holds_nothing_but_his_own_connection(void **s)
{
    (void)s;
    run(CO(never_reading));
    assert_said("1 1 fair 1 broken:1 ended:1");
}

/* --- resets at any moment ----------------------------------------------------- */

WITH_SERVER(resetting)
{
    ASYNC_BEGIN(resetting);
    SERVE();
    for (self->i = 0; self->i < 6; self->i++)
        for (self->j = 0; self->j < 6; self->j++) {
            self->fd = raw_connect(PORT());
            if (self->i > 0) raw_send(self->fd, "half ");
            if (self->i > 1) raw_send(self->fd, "a line\n");
            if (self->i > 2)
                AWAIT_INTO(self->n, raw_receive_all, self->fd, self->text, 5);
            if (self->i > 3) (void)raw_send_some(self->fd, much, sizeof much);
            if (self->i > 4) shutdown(self->fd, SHUT_WR);
            self->other = self->j;
            while (self->other-- > 0) AWAIT(async_sleep, 0);
            raw_reset(self->fd);
        }
    self->fd = raw_connect(PORT());
    raw_send(self->fd, "good\n");
    AWAIT(say_from, self->fd);
    close(self->fd);
    AWAIT(end_server, &self->server);
    say("%d", (int)async_server_count_clients(&self->server));
    ASYNC_END;
}
static void whenever_a_client_is_reset_the_next_is_served(void **s)
{
    (void)s;
    memset(much, '\n', sizeof much);
    run(CO(resetting));
    assert_said("good 0");
}

/* A client that does all there is; a result that it must not have is said. */
struct do_all {
    ASYNC_FRAME;
    int port;
    async_connection c;
    async_bytes line;
    int error;
};
static ASYNC(do_all)
{
    ASYNC_BEGIN(do_all);
    ASYNC_TRY {
        AWAIT(async_open_connection, &self->c, "127.0.0.1", self->port);
        async_stream_writer_write(&self->c.writer, "hello\n", 6);
        AWAIT_INTO(self->line, async_stream_reader_readline, &self->c.reader);
        async_stream_writer_write(&self->c.writer, much, sizeof much);
        AWAIT(async_stream_writer_drain, &self->c.writer);
        AWAIT_INTO(self->line, async_stream_reader_readexactly,
                   &self->c.reader, 8);
        async_stream_writer_write_eof(&self->c.writer);
        AWAIT_INTO(self->line, async_stream_reader_read, &self->c.reader,
                   ASYNC_UNTIL_EOF);
    } ASYNC_EXCEPT(-ECONNRESET, -EPIPE, ASYNC_EINCOMPLETE) {
        /* as it should be */
    } ASYNC_END_TRY
    AWAIT(async_connection_close, &self->c);
    ASYNC_END;
}
struct reset_clients {
    ASYNC_FRAME;
    int listener, port, fd, i, j, k;
    async_task *client;
    char text[64];
};
static ASYNC(reset_clients)
{
    ASYNC_BEGIN(reset_clients);
    self->listener = raw_listen(8, &self->port);
    for (self->i = 0; self->i < 7; self->i++)
        for (self->j = 0; self->j < 12; self->j++) {
            self->client = async_create_task(CO(do_all, self->port));
            AWAIT(async_sleep, 0);
            self->fd = accept(self->listener, NULL, NULL);
            if (self->i > 0) raw_send(self->fd, "half ");
            if (self->i > 1) raw_send(self->fd, "a line\n1234");
            if (self->i > 2) shutdown(self->fd, SHUT_WR);
            for (self->k = 0; self->k < self->j; self->k++) {
                if (self->i > 3)
                    (void)raw_receive_some(self->fd, self->text,
                                           sizeof self->text);
                AWAIT(async_sleep, 0);
            }
            if (self->j % 2)
                raw_reset(self->fd);
            else
                close(self->fd);
            AWAIT_JOIN(self->client);
        }
    close(self->listener);
    ASYNC_END;
}
static void
whenever_a_server_goes_its_client_gets_an_error_and_closes(void **s)
{
    (void)s;
    run(CO(reset_clients));
    assert_said("");
}

/* --- out of resources ---------------------------------------------------------- */

static int quiet(async_loop *loop, const async_exception_context *context,
                 void *argument)
{
    (void)loop, (void)context, (void)argument;
    return 0;
}

WITH_SERVER(no_descriptors)
{
    ASYNC_BEGIN(no_descriptors);
    /* Whether it is told that there are none depends on libuv. */
    async_loop_set_exception_handler(async_loop_of(co), quiet, NULL);
    SERVE();
    self->fd = raw_connect(PORT());
    raw_send(self->fd, "frst\n");
    AWAIT(say_from, self->fd);
    self->other = raw_socket();
    limit_descriptors(0);
    raw_connect_by(self->other, PORT());
    for (self->i = 0; self->i < 5; self->i++) {
        raw_send(self->fd, "goon\n");
        AWAIT(say_from, self->fd);
    }
    unlimit_descriptors();
    close(self->other);
    self->other = raw_connect(PORT());
    raw_send(self->other, "more\n");
    AWAIT(say_from, self->other);
    close(self->other);
    close(self->fd);
    AWAIT(end_server, &self->server);
    ASYNC_END;
}
static void
without_descriptors_clients_are_served_on_and_later_new_ones(void **s)
{
    (void)s;
    run(CO(no_descriptors));
    assert_said("frst goon goon goon goon goon more");
}

/* Memory, but not for a client. */
static int stingy;
static void *stingy_allocate(void *context, size_t size)
{
    if (stingy && size == sizeof(async__client)) return NULL;
    return counting_allocate(context, size);
}
static const async_allocator stingy_allocator = { stingy_allocate,
                                                  counting_release, NULL };
static int count_report(async_loop *loop,
                        const async_exception_context *context, void *argument)
{
    (void)loop, (void)context;
    ++*(int *)argument;
    return 0;
}

WITH_SERVER(pausing)
{
    ASYNC_BEGIN(pausing);
    async_loop_set_exception_handler(async_loop_of(co), count_report,
                                     &self->j);
    SERVE();
    self->fd = raw_connect(PORT());
    raw_send(self->fd, "frst\n");
    AWAIT(say_from, self->fd);
    stingy = 1; /* the server has memory for one more */
    self->other = raw_connect(PORT());
    raw_send(self->other, "more\n");
    AWAIT(say_from, self->other);
    while (self->j == 0) AWAIT(async_sleep, 0);
    stingy = 0;
    async_server_abort_clients(&self->server);
    close(self->fd);
    close(self->other);
    self->other = (int)(async_loop_time(async_loop_of(co)) / 1000000);
    AWAIT(end_server, &self->server);
    self->other =
        (int)(async_loop_time(async_loop_of(co)) / 1000000) - self->other;
    say("%s", self->other < 900 ? "at once" : "late");
    ASYNC_END;
}
static void a_server_that_tries_again_later_closes_at_once(void **s)
{
    (void)s;
    assert_int_equal(run_with(&stingy_allocator, CO(pausing), 0, 0), 0);
    assert_said("frst more at once");
}

WITH_SERVER(making_room)
{
    ASYNC_BEGIN(making_room);
    async_loop_set_exception_handler(async_loop_of(co), count_report,
                                     &self->j);
    SERVE();
    self->fd = raw_connect(PORT());
    raw_send(self->fd, "frst\n");
    AWAIT(say_from, self->fd);
    stingy = 1;
    self->other = raw_connect(PORT());
    raw_send(self->other, "more\n");
    AWAIT(say_from, self->other);
    while (self->j == 0) AWAIT(async_sleep, 0);
    close(self->other);
    self->other = raw_connect(PORT());
    raw_send(self->other, "last\n");
    self->i = (int)(async_loop_time(async_loop_of(co)) / 1000000);
    stingy = 0;
    AWAIT(say_from, self->other);
    self->i = (int)(async_loop_time(async_loop_of(co)) / 1000000) - self->i;
    say("%s", self->i < 900 ? "at once" : "late");
    close(self->other);
    close(self->fd);
    AWAIT(end_server, &self->server);
    ASYNC_END;
}
static void it_tries_again_when_a_client_has_gone(void **s)
{
    (void)s;
    assert_int_equal(run_with(&stingy_allocator, CO(making_room), 0, 0), 0);
    assert_said("frst more last at once");
}

UNIT_MAIN(TEST(a_line_of_ten_megabytes_is_dropped_and_the_next_one_read),
          TEST(any_bytes_come_back_as_they_were),
          TEST(who_sends_no_more_still_gets_the_answers_and_the_end),
          TEST(of_a_message_that_is_cut_short_the_rest_is_told),
          TEST(who_stalls_in_the_middle_of_a_line_keeps_nobody_waiting),
          TEST(a_read_that_times_out_in_a_stall_loses_nothing),
          TEST(who_never_reads_holds_nothing_but_his_own_connection),
          TEST(whenever_a_client_is_reset_the_next_is_served),
          TEST(whenever_a_server_goes_its_client_gets_an_error_and_closes),
          TEST(without_descriptors_clients_are_served_on_and_later_new_ones),
          TEST(a_server_that_tries_again_later_closes_at_once),
          TEST(it_tries_again_when_a_client_has_gone))
