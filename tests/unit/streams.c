/* link: -luv */
/* Connections and servers: what asyncio's streams do on libuv, and what goes
 * wrong. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/pipe.h"
#include "../../async/uv/streams.h"

#include "io.h"

#include <sys/socket.h>

/* --- helpers --------------------------------------------------------------- */

/* A pair of connections. */
struct pair { ASYNC_FRAME; async_connection *one, *other; };
static ASYNC(pair)
{
    ASYNC_BEGIN(pair);
    AWAIT(async_pipe_pair, &self->one->transport.stream,
          &self->other->transport.stream);
    assert_int_equal(async_connection_start(self->one, 0), 0);
    assert_int_equal(async_connection_start(self->other, 0), 0);
    ASYNC_END;
}

struct say_line {
    ASYNC_FRAME;
    async_connection *connection;
    async_bytes line;
    int error;
};
static ASYNC(say_line)
{
    ASYNC_BEGIN(say_line);
    ASYNC_TRY {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->connection->reader);
        say("<%.*s>",
            (int)self->line.size -
                (self->line.size > 0 &&
                 self->line.data[self->line.size - 1] == '\n'),
            self->line.data);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct say_drain { ASYNC_FRAME; async_connection *connection; int error; };
static ASYNC(say_drain)
{
    ASYNC_BEGIN(say_drain);
    ASYNC_TRY {
        AWAIT(async_stream_writer_drain, &self->connection->writer);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("drain:%s", name_of(self->error));
    ASYNC_END;
}

static int write_text(async_connection *connection, const char *text)
{
    return async_stream_writer_write(&connection->writer, text, strlen(text));
}

/* More than the system takes. */
static char much[4000000];

/* --- connections ----------------------------------------------------------- */

struct lines { ASYNC_FRAME; async_connection one, other; };
static ASYNC(lines)
{
    ASYNC_BEGIN(lines);
    AWAIT(pair, &self->one, &self->other);
    write_text(&self->one, "first\nsec");
    AWAIT(say_line, &self->other);
    write_text(&self->one, "ond\nlast");
    async_stream_writer_write_eof(&self->one.writer);
    AWAIT(say_line, &self->other);
    AWAIT(say_line, &self->other);
    AWAIT(say_line, &self->other);
    write_text(&self->other, "answer\n");
    AWAIT(say_line, &self->one);
    say("%d", write_text(&self->one, "x") == ASYNC_ECLOSED);
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void lines_go_both_ways_and_one_way_may_end(void **s)
{
    (void)s;
    run(CO(lines));
    assert_said("<first> <second> <last> <> <answer> 1");
}

struct vector { ASYNC_FRAME; async_connection one, other; };
static ASYNC(vector)
{
    static const async_bytes words[] = { { "a ", 2 },
                                         { "", 0 },
                                         { "b\n", 2 } };
    ASYNC_BEGIN(vector);
    AWAIT(pair, &self->one, &self->other);
    async_stream_writer_writelines(&self->one.writer, words, 3);
    AWAIT(say_line, &self->other);
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void several_pieces_go_out_as_one(void **s)
{
    (void)s;
    run(CO(vector));
    assert_said("<a b>");
}

struct flood {
    ASYNC_FRAME;
    async_connection one, other;
    async_task *task;
    async_bytes bytes;
    size_t got, right;
};
static ASYNC(flood)
{
    size_t i;
    ASYNC_BEGIN(flood);
    AWAIT(pair, &self->one, &self->other);
    AWAIT(say_drain, &self->one);
    for (i = 0; i < sizeof much; i++) much[i] = (char)(i * 7 + i / 251);
    say("%d", async_stream_writer_write(&self->one.writer, much, sizeof much));
    self->task = async_create_task(CO(say_drain, &self->one));
    AWAIT(async_sleep, ASYNC_MS(5));
    say(async_task_done(self->task) ? "gone" : "waits");
    while (self->got < sizeof much) {
        AWAIT_INTO(self->bytes, async_stream_reader_read, &self->other.reader,
                   100000);
        if (memcmp(self->bytes.data, much + self->got, self->bytes.size) == 0)
            self->right += self->bytes.size;
        self->got += self->bytes.size;
    }
    AWAIT_JOIN(self->task);
    say(self->right == sizeof much ? "right" : "wrong");
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void drain_waits_for_a_slow_reader_and_all_of_it_arrives(void **s)
{
    (void)s;
    run(CO(flood));
    assert_said("drain:ok 0 waits drain:ok right");
}

struct last_words {
    ASYNC_FRAME;
    async_connection one, other;
    async_task *task;
    async_bytes all;
};
static ASYNC(last_words)
{
    ASYNC_BEGIN(last_words);
    AWAIT(pair, &self->one, &self->other);
    async_stream_writer_write(&self->one.writer, much, sizeof much);
    self->task = async_create_task(CO(async_connection_close, &self->one));
    AWAIT_INTO(self->all, async_stream_reader_read, &self->other.reader,
               ASYNC_UNTIL_EOF);
    say("%d", self->all.size == sizeof much);
    AWAIT_JOIN(self->task);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void what_was_written_before_a_close_still_goes_out(void **s)
{
    (void)s;
    run(CO(last_words));
    assert_said("1");
}

struct say_closed { ASYNC_FRAME; async_connection *connection; int error; };
static ASYNC(say_closed)
{
    ASYNC_BEGIN(say_closed);
    ASYNC_TRY {
        AWAIT(async_connection_close, self->connection);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("close:%s", name_of(self->error));
    ASYNC_END;
}

struct impatient {
    ASYNC_FRAME;
    async_connection one, other;
    async_task *task;
};
static ASYNC(impatient)
{
    ASYNC_BEGIN(impatient);
    AWAIT(pair, &self->one, &self->other);
    async_stream_writer_write(&self->one.writer, much, sizeof much);
    self->task = async_create_task(CO(say_closed, &self->one));
    AWAIT(async_sleep, ASYNC_MS(1));
    say(async_task_done(self->task) ? "gone" : "waits");
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    AWAIT(say_closed, &self->other);
    ASYNC_END;
}
static void
a_close_that_is_cancelled_does_not_wait_for_what_is_written(void **s)
{
    (void)s;
    run(CO(impatient));
    assert_said("waits close:ASYNC_ECANCELED close:ok");
}

struct lost {
    ASYNC_FRAME;
    async_connection one;
    async_stream other;
    async_task *task;
};
static ASYNC(lost)
{
    ASYNC_BEGIN(lost);
    AWAIT(async_pipe_pair, &self->one.transport.stream, &self->other);
    async_connection_start(&self->one, 0);
    async_stream_writer_write(&self->one.writer, much, sizeof much);
    self->task = async_create_task(CO(say_drain, &self->one));
    AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(async_stream_close, &self->other);
    AWAIT_JOIN(self->task);
    say("%d", async_stream_writer_is_closing(&self->one.writer));
    say("%d", write_text(&self->one, "x") == ASYNC_ECLOSED);
    AWAIT(say_drain, &self->one);
    AWAIT(say_line, &self->one);
    AWAIT(async_connection_close, &self->one);
    ASYNC_END;
}
static void a_peer_that_goes_ends_the_wait_with_an_error(void **s)
{
    (void)s;
    run(CO(lost));
    assert_said("drain:broken 1 1 drain:broken broken");
}

struct never_closed {
    ASYNC_FRAME;
    async_connection one, other;
    async_task *task;
};
static ASYNC(never_closed)
{
    ASYNC_BEGIN(never_closed);
    AWAIT(pair, &self->one, &self->other);
    self->task = async_create_task(
        CO(async_stream_writer_wait_closed, &self->one.writer));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->task);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    say("%d", async_task_cancelled(self->task));
    async_task_release(self->task);
    write_text(&self->one, "open\n");
    AWAIT(say_line, &self->other);
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void waiting_for_the_end_of_what_is_open_can_be_given_up(void **s)
{
    (void)s;
    run(CO(never_closed));
    assert_said("1 <open>");
}

struct refused { ASYNC_FRAME; async_connection one; int error; };
static ASYNC(refused)
{
    ASYNC_BEGIN(refused);
    AWAIT_CATCH(self->error, async_open_connection, &self->one, "no such name",
                1);
    say("%s", self->error == UV_EAI_NONAME || self->error == UV_EAI_AGAIN
                  ? "no such name"
                  : name_of(self->error));
    AWAIT_CATCH(self->error, async_open_connection, &self->one, "127.0.0.1",
                1);
    say("%s", name_of(self->error));
    AWAIT(async_connection_close, &self->one);
    ASYNC_END;
}
static void where_nobody_listens_nothing_is_left_open(void **s)
{
    (void)s;
    run(CO(refused));
    assert_said("no such name ECONNREFUSED");
}

/* --- servers --------------------------------------------------------------- */

struct app { int served, now, most; };
struct echo {
    ASYNC_FRAME;
    async_connection *client;
    struct app *app;
    async_bytes line;
};
static ASYNC(echo)
{
    ASYNC_BEGIN(echo);
    if (++self->app->now > self->app->most) self->app->most = self->app->now;
    ASYNC_TRY {
        for (;;) {
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client->reader);
            if (self->line.size == 0) break;
            if (memcmp(self->line.data, "fail", 4) == 0) ASYNC_RAISE(-EPROTO);
            if (memcmp(self->line.data, "bye", 3) == 0) ASYNC_RETURN();
            async_stream_writer_write(&self->client->writer, self->line.data,
                                      self->line.size);
            AWAIT(async_stream_writer_drain, &self->client->writer);
        }
    } ASYNC_FINALLY {
        self->app->now--;
        self->app->served++;
    } ASYNC_END_TRY
    ASYNC_END;
}

/* A client that sends a line some times, and checks what comes. */
struct talk {
    ASYNC_FRAME;
    int port, times, number;
    async_connection connection;
    async_bytes line;
    char text[32];
    int wrong;
};
static int talked, mixed_up;
static ASYNC(talk)
{
    ASYNC_BEGIN(talk);
    AWAIT(async_open_connection, &self->connection, "127.0.0.1", self->port);
    ASYNC_TRY {
        while (self->times-- > 0) {
            sprintf(self->text, "%d %d\n", self->number, self->times);
            write_text(&self->connection, self->text);
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->connection.reader);
            if (self->line.size != strlen(self->text) ||
                memcmp(self->line.data, self->text, self->line.size) != 0)
                mixed_up++;
        }
        talked++;
    } ASYNC_FINALLY {
        AWAIT(async_connection_close, &self->connection);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct many {
    ASYNC_FRAME;
    size_t max_clients;
    async_server server;
    struct app app;
    async_server_options options;
    async_task *clients[20];
    int i;
};
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    self->options.max_clients = self->max_clients;
    talked = mixed_up = 0;
    AWAIT(async_start_server, &self->server,
          ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1", 0,
          &self->options);
    for (self->i = 0; self->i < 20; self->i++)
        self->clients[self->i] = async_create_task(
            CO(talk, async_server_port(&self->server), 10, self->i));
    for (self->i = 0; self->i < 20; self->i++)
        AWAIT_JOIN(self->clients[self->i]);
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    say("talked:%d mixed:%d served:%d", talked, mixed_up, self->app.served);
    if (self->max_clients > 0) say("most:%d", self->app.most);
    ASYNC_END;
}
static void each_client_has_a_coroutine_of_its_own(void **s)
{
    (void)s;
    run(CO(many, 0));
    assert_said("talked:20 mixed:0 served:20");
}
static void no_more_are_served_at_a_time_than_the_limit(void **s)
{
    (void)s;
    run(CO(many, 3));
    assert_said("talked:20 mixed:0 served:20 most:3");
}

/* A server, and two clients that have been heard. */
#define WITH_SERVER(name)                                                     \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        async_server server;                                                  \
        struct app app;                                                       \
        async_connection one, other;                                          \
        async_task *task;                                                     \
        int error;                                                            \
    };                                                                        \
    static ASYNC(name)
struct serve_two {
    ASYNC_FRAME;
    async_server *server;
    struct app *app;
    async_connection *one, *other;
};
static ASYNC(serve_two)
{
    ASYNC_BEGIN(serve_two);
    AWAIT(async_start_server, self->server,
          ASYNC_CLIENT_HANDLER(echo, self->app), NULL, 0);
    AWAIT(async_open_connection, self->one, "127.0.0.1",
          async_server_port(self->server));
    AWAIT(async_open_connection, self->other, "127.0.0.1",
          async_server_port(self->server));
    write_text(self->one, "one\n");
    AWAIT(say_line, self->one);
    write_text(self->other, "other\n");
    AWAIT(say_line, self->other);
    say("%d", (int)async_server_count_clients(self->server));
    ASYNC_END;
}
struct end_two {
    ASYNC_FRAME;
    async_server *server;
    async_connection *one, *other;
};
static ASYNC(end_two)
{
    ASYNC_BEGIN(end_two);
    AWAIT(async_connection_close, self->one);
    AWAIT(async_connection_close, self->other);
    async_server_close(self->server);
    AWAIT(async_server_wait_closed, self->server);
    ASYNC_END;
}
#define SERVE_TWO()                                                           \
    AWAIT(serve_two, &self->server, &self->app, &self->one, &self->other)
#define END_TWO() AWAIT(end_two, &self->server, &self->one, &self->other)

WITH_SERVER(failing)
{
    ASYNC_BEGIN(failing);
    SERVE_TWO();
    write_text(&self->one, "fail\n");
    AWAIT(say_line, &self->one);
    write_text(&self->other, "still here\n");
    AWAIT(say_line, &self->other);
    say("%d", (int)async_server_count_clients(&self->server));
    END_TWO();
    ASYNC_END;
}
static void an_error_of_one_is_reported_and_the_others_are_served_on(void **s)
{
    (void)s;
    run(CO(failing));
    assert_said(
        "<one> <other> 2 [Unhandled exception in client_connected_cb: EPROTO] "
        "<> <still here> 1");
}

WITH_SERVER(returning)
{
    ASYNC_BEGIN(returning);
    SERVE_TWO();
    write_text(&self->one, "bye\n");
    AWAIT(say_line, &self->one);
    END_TWO();
    ASYNC_END;
}
static void when_the_coroutine_has_ended_its_connection_is_closed(void **s)
{
    (void)s;
    run(CO(returning));
    assert_said("<one> <other> 2 <>");
}

WITH_SERVER(closing)
{
    ASYNC_BEGIN(closing);
    SERVE_TWO();
    async_server_close(&self->server);
    say("serving:%d", async_server_is_serving(&self->server));
    write_text(&self->one, "on\n");
    AWAIT(say_line, &self->one);
    async_server_close_clients(&self->server);
    AWAIT(say_line, &self->one);
    AWAIT(say_line, &self->other);
    AWAIT(async_server_wait_closed, &self->server);
    say("%d %d", (int)async_server_count_clients(&self->server),
        self->app.served);
    END_TWO();
    ASYNC_END;
}
static void
closing_the_server_leaves_its_clients_until_they_are_closed(void **s)
{
    (void)s;
    run(CO(closing));
    assert_said("<one> <other> 2 serving:0 <on> <> <> 0 2");
}

WITH_SERVER(cancelling)
{
    ASYNC_BEGIN(cancelling);
    SERVE_TWO();
    async_server_cancel_clients(&self->server);
    AWAIT(say_line, &self->one);
    AWAIT(say_line, &self->other);
    say("%d", self->app.served);
    END_TWO();
    ASYNC_END;
}
static void cancelled_clients_clean_up_and_are_closed(void **s)
{
    (void)s;
    run(CO(cancelling));
    assert_said("<one> <other> 2 <> <> 2");
}

WITH_SERVER(aborting)
{
    ASYNC_BEGIN(aborting);
    SERVE_TWO();
    async_server_abort_clients(&self->server);
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    say("%d", self->app.served);
    END_TWO();
    ASYNC_END;
}
static void aborted_clients_end_by_themselves(void **s)
{
    (void)s;
    run(CO(aborting));
    assert_said("<one> <other> 2 2");
}

WITH_SERVER(forever)
{
    ASYNC_BEGIN(forever);
    SERVE_TWO();
    self->task =
        async_create_task(CO(async_server_serve_forever, &self->server));
    AWAIT(async_sleep, 0);
    AWAIT_CATCH(self->error, async_server_serve_forever, &self->server);
    say("%s", name_of(self->error));
    async_task_cancel(self->task);
    while (async_server_is_serving(&self->server)) AWAIT(async_sleep, 0);
    say("serving:%d done:%d", async_server_is_serving(&self->server),
        async_task_done(self->task));
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    while (!async_task_done(self->task)) AWAIT(async_sleep, ASYNC_MS(1));
    say("cancelled:%d", async_task_cancelled(self->task));
    async_task_release(self->task);
    AWAIT_CATCH(self->error, async_server_serve_forever, &self->server);
    say("%s", name_of(self->error));
    ASYNC_END;
}
static void
serving_for_ever_ends_by_cancellation_when_the_clients_have_gone(void **s)
{
    (void)s;
    run(CO(forever));
    assert_said("<one> <other> 2 ASYNC_EBUSY serving:0 done:0 cancelled:1 "
                "ASYNC_ECLOSED");
}

WITH_SERVER(port_in_use)
{
    ASYNC_BEGIN(port_in_use);
    AWAIT(async_start_server, &self->server,
          ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1", 0);
    {
        static async_server second;
        memset(&second, 0, sizeof second);
        AWAIT_CATCH(self->error, async_start_server, &second,
                    ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1",
                    async_server_port(&self->server));
        say("%s", name_of(self->error));
        AWAIT(async_server_wait_closed, &second);
    }
    AWAIT_CATCH(self->error, async_start_server, &self->server,
                ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1", 0);
    say("%s", name_of(self->error));
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    AWAIT_CATCH(self->error, async_start_server, &self->server,
                ASYNC_CLIENT_HANDLER(echo, &self->app), "1.2.3", 0);
    say("%s", name_of(self->error));
    ASYNC_END;
}
static void a_server_that_cannot_start_leaves_nothing_open(void **s)
{
    (void)s;
    run(CO(port_in_use));
    assert_said("EADDRINUSE ASYNC_EBUSY ASYNC_EINVAL");
}

WITH_SERVER(by_path)
{
    ASYNC_BEGIN(by_path);
    remove("streams.sock");
    AWAIT(async_start_unix_server, &self->server,
          ASYNC_CLIENT_HANDLER(echo, &self->app), "streams.sock");
    say("%d", async_server_port(&self->server));
    AWAIT(async_open_unix_connection, &self->one, "streams.sock");
    write_text(&self->one, "by path\n");
    AWAIT(say_line, &self->one);
    END_TWO();
    AWAIT_CATCH(self->error, async_open_unix_connection, &self->one,
                "streams.sock");
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_start_unix_server, &self->server,
                ASYNC_CLIENT_HANDLER(echo, &self->app), "no/such/place");
    say("%s", name_of(self->error));
    ASYNC_END;
}
static void a_server_may_listen_on_a_unix_socket(void **s)
{
    (void)s;
    run(CO(by_path));
    assert_said("0 <by path> ENOENT EACCES");
}

WITH_SERVER(shared_port)
{
    static async_server second;
    static const async_server_options shared = { 0, 0, 0,
                                                 ASYNC_TCP_REUSEPORT };
    ASYNC_BEGIN(shared_port);
    memset(&second, 0, sizeof second);
    AWAIT(async_start_server, &self->server,
          ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1", 0, &shared);
    AWAIT_CATCH(self->error, async_start_server, &second,
                ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1",
                async_server_port(&self->server), &shared);
    say("%s", name_of(self->error));
    async_server_close(&second);
    AWAIT(async_server_wait_closed, &second);
    async_server_close(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    ASYNC_END;
}
static void two_servers_may_share_a_port_if_both_want_to(void **s)
{
    (void)s;
    run(CO(shared_port));
    assert_said("ok");
}

/* --- the loop's end -------------------------------------------------------- */

/* The server outlives the coroutine that started it. */
static async_server left;
static struct app left_app;
struct start_left { ASYNC_FRAME; int *port; };
static ASYNC(start_left)
{
    ASYNC_BEGIN(start_left);
    AWAIT(async_start_server, &left, ASYNC_CLIENT_HANDLER(echo, &left_app),
          "127.0.0.1", 0);
    *self->port = async_server_port(&left);
    ASYNC_END;
}

static int plain_connect(int port)
{
    struct sockaddr_storage there;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(async_tcp_address(&there, "127.0.0.1", port), 0);
    assert_int_equal(
        connect(fd, (struct sockaddr *)&there, sizeof(struct sockaddr_in)), 0);
    return fd;
}
struct nap { ASYNC_FRAME; int unused; };
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    AWAIT(async_sleep, ASYNC_MS(10));
    ASYNC_END;
}

static void a_loop_may_close_with_clients_and_nothing_is_lost(void **s)
{
    int borrowed, open = 0, fd, port = 0;
    (void)s;
    for (borrowed = 0; borrowed < 2; borrowed++) {
        uv_loop_t host;
        async_uv_loop loop;
        uv_loop_init(&host);
        memset(&left, 0, sizeof left);
        memset(&left_app, 0, sizeof left_app);
        async_uv_loop_init(&loop, borrowed ? &host : NULL, NULL);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        async_loop_run_until_complete(&loop.base, CO(start_left, &port));
        fd = plain_connect(port);
        async_loop_run_until_complete(&loop.base, CO(nap, 0));
        say("%d", left_app.now);
        async_loop_close(&loop.base);
        close(fd);
        uv_run(&host, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&host), 0);
        if (borrowed) assert_int_equal(descriptors(), open);
        open = descriptors();
        say("%d %d", left_app.now, left_app.served);
    }
    assert_said("1 [Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] 0 1 "
                "1 [Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] 0 1");
}

/* --- without memory, and given up ------------------------------------------ */

/* A whole story: a server, a client, lines, and their ends. */
struct story {
    ASYNC_FRAME;
    async_server server;
    struct app app;
    async_connection client;
    async_bytes line;
    int error;
};
static ASYNC(story)
{
    ASYNC_BEGIN(story);
    ASYNC_TRY {
        AWAIT(async_start_server, &self->server,
              ASYNC_CLIENT_HANDLER(echo, &self->app), "127.0.0.1", 0);
        AWAIT(async_open_connection, &self->client, "127.0.0.1",
              async_server_port(&self->server));
        async_stream_writer_write(&self->client.writer, "hello\n", 6);
        async_stream_writer_write(&self->client.writer, much, sizeof much);
        AWAIT(async_stream_writer_drain, &self->client.writer);
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client.reader);
        async_stream_writer_write_eof(&self->client.writer);
        AWAIT_INTO(self->line, async_stream_reader_read, &self->client.reader,
                   1000);
    } ASYNC_FINALLY {
        AWAIT(async_connection_close, &self->client);
        async_server_close(&self->server);
        async_server_abort_clients(&self->server);
        AWAIT(async_server_wait_closed, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int quiet(async_loop *loop, const async_exception_context *context,
                 void *argument)
{
    (void)loop, (void)context, (void)argument;
    return 0;
}

/* Runs it until it ends, or cancels it after so many iterations; refuses an
 * allocation.  -1: does not.  Returns how many iterations there were. */
static int tell_story(int cancel_after, long refuse_at)
{
    async_uv_loop loop;
    async_task *task;
    int open, iterations = 0;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_close(&loop.base);
    open = descriptors();
    memory_begin();
    memory_refuse_later(refuse_at, refuse_at >= 0);
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    async_loop_set_exception_handler(&loop.base, quiet, NULL);
    task = async_loop_create_task(&loop.base, CO(story));
    while (task != NULL && !async_task_done(task)) {
        if (iterations++ == cancel_after) async_task_cancel(task);
        async_loop_stop(&loop.base);
        async_loop_run_forever(&loop.base);
    }
    if (task != NULL) {
        (void)async_task_result(task);
        async_task_release(task);
    }
    async_loop_close(&loop.base);
    assert_int_equal(descriptors(), open);
    assert_int_equal(memory.live, 0);
    return iterations;
}

static void whichever_allocation_fails_nothing_is_left(void **s)
{
    long last = 1000, at;
    (void)s;
    memset(much, 'x', sizeof much);
    for (at = 0; at <= last; at++) {
        tell_story(-1, at);
        if (memory.refused == 0) last = at; /* it had no need of so many */
    }
    assert_true(last > 5 && last < 1000);
}

static void wherever_it_is_cancelled_nothing_is_left(void **s)
{
    int last = 1000000, after;
    (void)s;
    for (after = 0; after < last; after += after < 40 ? 1 : 1 + after / 8)
        if (tell_story(after, -1) < after) last = 0;
    assert_int_equal(last, 0);
}

UNIT_MAIN(
    TEST(lines_go_both_ways_and_one_way_may_end),
    TEST(several_pieces_go_out_as_one),
    TEST(drain_waits_for_a_slow_reader_and_all_of_it_arrives),
    TEST(what_was_written_before_a_close_still_goes_out),
    TEST(a_close_that_is_cancelled_does_not_wait_for_what_is_written),
    TEST(a_peer_that_goes_ends_the_wait_with_an_error),
    TEST(waiting_for_the_end_of_what_is_open_can_be_given_up),
    TEST(where_nobody_listens_nothing_is_left_open),
    TEST(each_client_has_a_coroutine_of_its_own),
    TEST(no_more_are_served_at_a_time_than_the_limit),
    TEST(an_error_of_one_is_reported_and_the_others_are_served_on),
    TEST(when_the_coroutine_has_ended_its_connection_is_closed),
    TEST(closing_the_server_leaves_its_clients_until_they_are_closed),
    TEST(cancelled_clients_clean_up_and_are_closed),
    TEST(aborted_clients_end_by_themselves),
    TEST(serving_for_ever_ends_by_cancellation_when_the_clients_have_gone),
    TEST(a_server_that_cannot_start_leaves_nothing_open),
    TEST(a_server_may_listen_on_a_unix_socket),
    TEST(two_servers_may_share_a_port_if_both_want_to),
    TEST(a_loop_may_close_with_clients_and_nothing_is_lost),
    TEST(whichever_allocation_fails_nothing_is_left),
    TEST(wherever_it_is_cancelled_nothing_is_left))
