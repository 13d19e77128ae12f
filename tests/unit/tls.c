/* link: -luv -lssl -lcrypto */
/* TLS: what is agreed and refused, its ends, and what goes wrong. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/tls.h"
#include "../../async/test/virtual.h"
#include "../../async/uv/pipe.h"

#include "io.h"

#include "certificates.h"

/* --- helpers --------------------------------------------------------------- */

static async_tls_context of_client, of_server;

static void begin_server(const char *name)
{
    assert_int_equal(async_tls_server_init(&of_server,
                                           certificate_file(name, "pem"),
                                           certificate_file(name, "key")),
                     0);
}
static void begin_client(void)
{
    assert_int_equal(async_tls_client_init(&of_client), 0);
    assert_int_equal(
        async_tls_trust(&of_client, certificate_file("authority", "pem")), 0);
}
/* Runs it with a server of that certificate and a client that trusts the
 * authority; `set` may change them. */
static void run_tls(const char *name, void (*set)(void), async_object program)
{
    begin_server(name);
    begin_client();
    if (set != NULL) set();
    run(program);
    async_tls_context_destroy(&of_client);
    async_tls_context_destroy(&of_server);
}

static const char *result_name(int error)
{
    if (error == UV_ECONNABORTED) return "ECONNABORTED";
    if (error == UV_ECONNRESET) return "ECONNRESET";
    return name_of(error);
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
    AWAIT_CATCH_INTO(self->error, self->line, async_stream_reader_readline,
                     &self->connection->reader);
    if (self->error)
        say("%s", result_name(self->error));
    else
        say("<%.*s>",
            (int)self->line.size -
                (self->line.size > 0 &&
                 self->line.data[self->line.size - 1] == '\n'),
            self->line.data);
    ASYNC_END;
}

/* Reads until the end, whatever that is. */
struct receive_all {
    ASYNC_RETURNS(int);
    async_connection *connection;
    async_bytes bytes;
    int error;
};
static ASYNC(receive_all)
{
    ASYNC_BEGIN(receive_all);
    AWAIT_CATCH_INTO(self->error, self->bytes, async_stream_reader_read,
                     &self->connection->reader, ASYNC_UNTIL_EOF);
    say("ended");
    ASYNC_RETURN(self->error);
    ASYNC_END;
}
struct joined { ASYNC_FRAME; async_task *task; int error; };
static ASYNC(joined)
{
    ASYNC_BEGIN(joined);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_END;
}

struct say_closed { ASYNC_FRAME; async_connection *connection; int error; };
static ASYNC(say_closed)
{
    ASYNC_BEGIN(say_closed);
    async_stream_writer_close(&self->connection->writer);
    AWAIT_CATCH(self->error, async_stream_writer_wait_closed,
                &self->connection->writer);
    say("%s", result_name(self->error));
    ASYNC_END;
}

static int write_text(async_connection *connection, const char *text)
{
    return async_stream_writer_write(&connection->writer, text, strlen(text));
}

static void say_tls_error(const async_connection *connection)
{
    char text[256];
    async_tls_error(connection, text, sizeof text);
    say("(%s)", text);
}

struct secure {
    ASYNC_FRAME;
    async_connection *connection;
    async_tls_context *context;
    const char *name;
    int *error;
};
static ASYNC(secure)
{
    ASYNC_BEGIN(secure);
    AWAIT_CATCH(*self->error, async_connection_start_tls, self->connection,
                self->context, self->name);
    /* Who waits at the other end learns of it. */
    if (*self->error && !self->connection->writer.lost)
        async_transport_abort(self->connection->writer.transport);
    ASYNC_END;
}

/* A pair of connections, without TLS and with. */
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
struct tls_pair {
    ASYNC_FRAME;
    async_connection *client, *server;
    async_task *task;
    int error, server_error;
};
static ASYNC(tls_pair)
{
    ASYNC_BEGIN(tls_pair);
    AWAIT(pair, self->client, self->server);
    self->task = async_create_task(
        CO(secure, self->server, &of_server, NULL, &self->server_error));
    AWAIT(secure, self->client, &of_client, "localhost", &self->error);
    AWAIT_JOIN(self->task);
    if (self->error || self->server_error)
        say("client:%s server:%s", result_name(self->error),
            result_name(self->server_error));
    ASYNC_END;
}
struct close_pair {
    ASYNC_FRAME;
    async_connection *client, *server;
    async_task *task;
};
static ASYNC(close_pair)
{
    ASYNC_BEGIN(close_pair);
    self->task = async_create_task(CO(async_connection_close, self->server));
    AWAIT(async_connection_close, self->client);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static char much[4000000];
static void fill_much(void)
{
    size_t i;
    for (i = 0; i < sizeof much; i++) much[i] = (char)(i * 7 + i / 251);
}

#define PAIR(name)                                                            \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        async_connection client, server;                                      \
        async_task *task, *second;                                            \
        async_bytes bytes;                                                    \
        size_t got, right;                                                    \
        int error;                                                            \
    };                                                                        \
    static ASYNC(name)

/* --- connections ----------------------------------------------------------- */

PAIR(lines)
{
    ASYNC_BEGIN(lines);
    AWAIT(tls_pair, &self->client, &self->server);
    write_text(&self->client, "first\nsec");
    AWAIT(say_line, &self->server);
    write_text(&self->client, "ond\n");
    AWAIT(say_line, &self->server);
    write_text(&self->server, "answer\n");
    AWAIT(say_line, &self->client);
    say("%s %s", async_tls_version(&self->client),
        async_tls_version(&self->server));
    say("%d", strcmp(async_tls_cipher(&self->client),
                     async_tls_cipher(&self->server)) == 0 &&
                  strlen(async_tls_cipher(&self->client)) > 5);
    say("%d", async_stream_writer_can_write_eof(&self->client.writer));
    say("%d",
        async_stream_writer_write_eof(&self->client.writer) == ASYNC_EINVAL);
    AWAIT(close_pair, &self->client, &self->server);
    say("[%s]", async_tls_version(&self->client));
    ASYNC_END;
}
static void lines_go_both_ways(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(lines));
    assert_said("<first> <second> <answer> TLSv1.3 TLSv1.3 1 0 1 []");
}
static void only_1_2(void)
{
    SSL_CTX_set_max_proto_version(of_server.ssl, TLS1_2_VERSION);
}
static void what_openssl_can_is_set_on_its_own_context(void **s)
{
    (void)s;
    run_tls("good", only_1_2, CO(lines));
    assert_said("<first> <second> <answer> TLSv1.2 TLSv1.2 1 0 1 []");
}
static void only_1_1(void)
{
    SSL_CTX_set_security_level(of_server.ssl, 0);
    SSL_CTX_set_min_proto_version(of_server.ssl, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(of_server.ssl, TLS1_1_VERSION);
}
PAIR(old)
{
    ASYNC_BEGIN(old);
    AWAIT(tls_pair, &self->client, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void older_versions_than_1_2_are_refused(void **s)
{
    (void)s;
    run_tls("good", only_1_1, CO(old));
    assert_said("client:ASYNC_ETLSHANDSHAKE server:ASYNC_ETLSHANDSHAKE");
}

/* What goes below is not what was written. */
static int sees(async_connection *connection, const char *text)
{
    const async_stream_reader *reader = &connection->reader;
    size_t i, size = strlen(text);
    for (i = reader->begin; i + size <= reader->end; i++)
        if (memcmp(reader->buffer + i, text, size) == 0) return 1;
    return 0;
}
PAIR(secret)
{
    ASYNC_BEGIN(secret);
    AWAIT(pair, &self->client, &self->server);
    write_text(&self->client, "an open word");
    AWAIT(async_sleep, ASYNC_MS(5));
    say("%d", sees(&self->server, "open word"));
    self->task = async_create_task(
        CO(secure, &self->client, &of_client, "localhost", &self->error));
    AWAIT(async_sleep, ASYNC_MS(5));
    say("%d", sees(&self->server, "localhost")); /* as names are, in a hello */
    AWAIT(async_connection_close, &self->server);
    AWAIT_JOIN(self->task);
    say("%s", result_name(self->error));
    AWAIT(async_connection_close, &self->client);
    ASYNC_END;
}
static void a_peer_that_goes_in_the_handshake_is_an_error(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(secret));
    assert_said("1 1 ECONNRESET");
}

struct say_drain { ASYNC_FRAME; async_connection *connection; int error; };
static ASYNC(say_drain)
{
    ASYNC_BEGIN(say_drain);
    AWAIT_CATCH(self->error, async_stream_writer_drain,
                &self->connection->writer);
    say("drain:%s", result_name(self->error));
    ASYNC_END;
}
struct receive {
    ASYNC_FRAME;
    async_connection *connection;
    int slow;
    async_bytes bytes;
    size_t got, right;
};
static ASYNC(receive)
{
    ASYNC_BEGIN(receive);
    while (self->got < sizeof much) {
        AWAIT_INTO(self->bytes, async_stream_reader_read,
                   &self->connection->reader, 100000);
        if (self->bytes.size == 0) break;
        if (memcmp(self->bytes.data, much + self->got, self->bytes.size) == 0)
            self->right += self->bytes.size;
        self->got += self->bytes.size;
        if (self->slow && self->got < 1000000) AWAIT(async_sleep, ASYNC_MS(1));
    }
    say(self->right == sizeof much ? "right" : "wrong");
    ASYNC_END;
}
PAIR(flood)
{
    ASYNC_BEGIN(flood);
    fill_much();
    AWAIT(tls_pair, &self->client, &self->server);
    AWAIT(say_drain, &self->client);
    say("%d",
        async_stream_writer_write(&self->client.writer, much, sizeof much));
    say("%d", async_transport_get_write_buffer_size(
                  self->client.writer.transport) > 1000000);
    self->task = async_create_task(CO(say_drain, &self->client));
    AWAIT(async_sleep, ASYNC_MS(20));
    say(async_task_done(self->task) ? "gone" : "waits");
    say("%d", self->server.reader.end < 1000000 &&
                  !async_transport_is_reading(self->server.writer.transport));
    AWAIT(receive, &self->server, 1);
    AWAIT_JOIN(self->task);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void drain_waits_for_a_slow_reader_and_all_of_it_arrives(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(flood));
    assert_said("drain:ok 0 1 waits 1 drain:ok right");
}

PAIR(duplex)
{
    ASYNC_BEGIN(duplex);
    fill_much();
    AWAIT(tls_pair, &self->client, &self->server);
    async_stream_writer_write(&self->client.writer, much, sizeof much);
    async_stream_writer_write(&self->server.writer, much, sizeof much);
    self->task = async_create_task(CO(receive, &self->client, 0));
    self->second = async_create_task(CO(receive, &self->server, 1));
    AWAIT_JOIN(self->task);
    AWAIT_JOIN(self->second);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void much_goes_both_ways_at_once(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(duplex));
    assert_said("right right");
    run_tls("good", only_1_2, CO(duplex));
    assert_said("right right");
}

PAIR(marks)
{
    ASYNC_BEGIN(marks);
    AWAIT(tls_pair, &self->client, &self->server);
    async_stream_writer_write(&self->client.writer, much, sizeof much);
    /* The lower transport has more than that; and is told of the marks. */
    async_transport_set_write_buffer_limits(self->client.writer.transport,
                                            3000000, 2500000);
    say("%d", async_event_is_set(&self->client.writer.resumed));
    self->task = async_create_task(CO(receive, &self->server, 0));
    AWAIT(say_drain, &self->client);
    say("%d", async_transport_get_write_buffer_size(
                  self->client.writer.transport) <= 2500000);
    say("%d", async_transport_get_write_buffer_size(
                  self->client.writer.transport) > 1000000);
    AWAIT_JOIN(self->task);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void the_marks_hold_for_what_is_enciphered(void **s)
{
    (void)s;
    fill_much();
    run_tls("good", NULL, CO(marks));
    assert_said("0 drain:ok 1 1 right");
}

PAIR(pieces)
{
    static const async_bytes words[] = { { "a ", 2 },
                                         { "", 0 },
                                         { "b\n", 2 } };
    ASYNC_BEGIN(pieces);
    AWAIT(tls_pair, &self->client, &self->server);
    self->got =
        async_transport_get_write_buffer_size(&self->client.transport.base);
    async_stream_writer_writelines(&self->client.writer, words, 3);
    say("%d", async_stream_writer_write(&self->client.writer, "", 0));
    AWAIT(say_line, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void several_pieces_go_out_as_one(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(pieces));
    assert_said("0 <a b>");
}

/* --- ends ------------------------------------------------------------------ */

PAIR(orderly)
{
    ASYNC_BEGIN(orderly);
    AWAIT(tls_pair, &self->client, &self->server);
    write_text(&self->client, "last\n");
    self->task = async_create_task(CO(say_closed, &self->client));
    AWAIT(say_line, &self->server);
    AWAIT(say_line, &self->server);
    say("%d", async_stream_writer_is_closing(&self->server.writer));
    say("%d", write_text(&self->server, "x") == ASYNC_ECLOSED);
    AWAIT_JOIN(self->task);
    AWAIT(say_closed, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void an_end_that_is_announced_ends_both_ways(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(orderly));
    assert_said("<last> <> 1 1 ok ok");
    run_tls("good", only_1_2, CO(orderly));
    assert_said("<last> <> 1 1 ok ok");
}

PAIR(last_words)
{
    ASYNC_BEGIN(last_words);
    fill_much();
    AWAIT(tls_pair, &self->client, &self->server);
    async_stream_writer_write(&self->client.writer, much, sizeof much);
    self->task = async_create_task(CO(say_closed, &self->client));
    AWAIT(receive, &self->server, 1);
    AWAIT(say_line, &self->server);
    AWAIT_JOIN(self->task);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void what_was_written_before_a_close_still_goes_out(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(last_words));
    assert_said("right <> ok");
}

PAIR(truncated)
{
    ASYNC_BEGIN(truncated);
    AWAIT(tls_pair, &self->client, &self->server);
    write_text(&self->client, "half\n");
    AWAIT(say_line, &self->server);
    async_transport_abort(&self->client.transport.base); /* without a word */
    AWAIT(say_line, &self->server);
    AWAIT(say_closed, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void an_end_that_is_not_announced_is_an_error(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(truncated));
    assert_said("<half> ASYNC_ETLSEOF ASYNC_ETLSEOF");
}
static void allow_truncation(void)
{
    of_server.allow_truncation = 1;
}
static void unless_the_context_allows_it(void **s)
{
    (void)s;
    run_tls("good", allow_truncation, CO(truncated));
    assert_said("<half> <> ok");
}

PAIR(paused_end)
{
    ASYNC_BEGIN(paused_end);
    fill_much();
    AWAIT(tls_pair, &self->client, &self->server);
    /* More than the reader takes in, and then the end. */
    async_stream_writer_write(&self->client.writer, much, 300000);
    async_stream_writer_close(&self->client.writer);
    AWAIT(async_sleep, ASYNC_MS(20));
    say("%d", async_transport_is_reading(self->server.writer.transport));
    AWAIT_INTO(self->bytes, async_stream_reader_read, &self->server.reader,
               ASYNC_UNTIL_EOF);
    say("%d", self->bytes.size == 300000 &&
                  memcmp(self->bytes.data, much, 300000) == 0);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void the_end_waits_for_what_came_before_it(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(paused_end));
    assert_said("0 1");
}

static void hurry(void)
{
    of_client.shutdown_timeout = of_server.shutdown_timeout = ASYNC_MS(30);
    of_client.handshake_timeout = ASYNC_MS(60);
}
/* It must be enough for a handshake under valgrind. */
static void hurry_server(void)
{
    of_server.handshake_timeout = ASYNC_SECONDS(2);
}
PAIR(deaf)
{
    ASYNC_BEGIN(deaf);
    AWAIT(tls_pair, &self->client, &self->server);
    async_transport_pause_reading(self->server.writer.transport);
    AWAIT(say_closed, &self->client);
    say("[%d]", self->client.writer.lost);
    async_transport_resume_reading(self->server.writer.transport);
    AWAIT(say_line, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void a_peer_that_does_not_end_it_is_not_waited_for_for_ever(void **s)
{
    (void)s;
    run_tls("good", hurry, CO(deaf));
    assert_said("ASYNC_ETIMEDOUT [1] <>");
}

PAIR(aborted)
{
    ASYNC_BEGIN(aborted);
    AWAIT(tls_pair, &self->client, &self->server);
    write_text(&self->server, "bye\n");
    AWAIT(say_line, &self->client);
    async_transport_abort(self->client.writer.transport);
    AWAIT(say_closed, &self->client);
    AWAIT(say_line, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void an_abort_waits_for_nobody(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(aborted));
    assert_said("<bye> ok ASYNC_ETLSEOF");
}

/* A record that has been changed on the way. */
PAIR(bad_record)
{
    ASYNC_BEGIN(bad_record);
    AWAIT(tls_pair, &self->client, &self->server);
    async_transport_write(&self->client.transport.base,
                          "\x17\x03\x03\x00\x20"
                          "01234567890123456789012345678901",
                          37);
    AWAIT(say_line, &self->server);
    say_tls_error(&self->server);
    AWAIT(say_line, &self->client);
    say_tls_error(&self->client);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void a_record_that_is_wrong_ends_it_and_the_peer_is_told(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(bad_record));
    assert_said("ASYNC_ETLS (decryption failed or bad record mac) "
                "ASYNC_ETLS (sslv3 alert bad record mac)");
}

/* --- start_tls ------------------------------------------------------------- */

struct serve_start {
    ASYNC_FRAME;
    async_connection *connection;
    async_bytes line;
    int error;
};
static ASYNC(serve_start)
{
    ASYNC_BEGIN(serve_start);
    AWAIT(say_line, self->connection);
    AWAIT(async_sleep, ASYNC_MS(5)); /* what is too early has come by now */
    write_text(self->connection, "go ahead\n");
    AWAIT_CATCH(self->error, async_connection_start_tls, self->connection,
                &of_server);
    if (self->error) {
        say("server:%s", result_name(self->error));
        ASYNC_RETURN();
    }
    AWAIT(say_line, self->connection);
    write_text(self->connection, "secret answer\n");
    ASYNC_END;
}
PAIR(upgrade)
{
    ASYNC_BEGIN(upgrade);
    AWAIT(pair, &self->client, &self->server);
    self->task = async_create_task(CO(serve_start, &self->server));
    write_text(&self->client, "start\n");
    AWAIT(say_line, &self->client);
    AWAIT(async_connection_start_tls, &self->client, &of_client, "localhost");
    AWAIT_CATCH(self->error, async_connection_start_tls, &self->client,
                &of_client, "localhost");
    say("%s", result_name(self->error));
    write_text(&self->client, "secret\n");
    AWAIT(say_line, &self->client);
    AWAIT_JOIN(self->task);
    AWAIT(close_pair, &self->client, &self->server);
    AWAIT_CATCH(self->error, async_connection_start_tls, &self->client,
                &of_client, "localhost");
    say("%s", result_name(self->error));
    ASYNC_END;
}
static void a_connection_goes_on_with_tls(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(upgrade));
    assert_said("<start> <go ahead> ASYNC_EBUSY <secret> "
                "<secret answer> ASYNC_ECLOSED");
}

/* A client that does not wait for the answer: its hello is there already. */
PAIR(eager)
{
    ASYNC_BEGIN(eager);
    AWAIT(pair, &self->client, &self->server);
    self->task = async_create_task(CO(serve_start, &self->server));
    write_text(&self->server, "");
    write_text(&self->client, "start\n");
    self->second = async_create_task(
        CO(secure, &self->client, &of_client, "localhost", &self->error));
    AWAIT_JOIN(self->second);
    /* "go ahead" is no TLS. */
    say("client:%s", result_name(self->error));
    AWAIT_JOIN(self->task);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void an_answer_without_tls_is_no_handshake(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(eager));
    assert_said("<start> client:ASYNC_ETLSHANDSHAKE server:ECONNRESET");
}

PAIR(slipped_in)
{
    ASYNC_BEGIN(slipped_in);
    AWAIT(pair, &self->client, &self->server);
    self->task = async_create_task(CO(serve_start, &self->server));
    write_text(&self->client, "start\nDELETE everything\n");
    AWAIT_JOIN(self->task);
    say_tls_error(&self->server);
    AWAIT(say_line, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void what_is_slipped_in_before_tls_is_not_read_as_secret(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(slipped_in));
    assert_said("<start> server:ASYNC_ETLSHANDSHAKE (wrong version number) "
                "ASYNC_ETLSHANDSHAKE");
}

PAIR(early_hello)
{
    ASYNC_BEGIN(early_hello);
    AWAIT(pair, &self->client, &self->server);
    self->task = async_create_task(
        CO(secure, &self->client, &of_client, "localhost", &self->error));
    AWAIT(async_sleep, ASYNC_MS(5));
    say("%d", self->server.reader.end > 100);
    AWAIT(async_connection_start_tls, &self->server, &of_server);
    AWAIT_JOIN(self->task);
    say("%s", result_name(self->error));
    write_text(&self->client, "hello\n");
    AWAIT(say_line, &self->server);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void what_the_reader_has_not_given_out_is_the_beginning(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(early_hello));
    assert_said("1 ok <hello>");
}

PAIR(wrong_start)
{
    ASYNC_BEGIN(wrong_start);
    AWAIT(pair, &self->client, &self->server);
    AWAIT_CATCH(self->error, async_connection_start_tls, &self->client,
                &of_client);
    say("%s", result_name(self->error));
    self->task = async_create_task(CO(say_line, &self->client));
    AWAIT(async_sleep, 0);
    AWAIT_CATCH(self->error, async_connection_start_tls, &self->client,
                &of_client, "localhost");
    say("%s", result_name(self->error));
    write_text(&self->server, "as before\n");
    AWAIT_JOIN(self->task);
    AWAIT(close_pair, &self->client, &self->server);
    ASYNC_END;
}
static void a_start_that_is_refused_leaves_the_connection_as_it_was(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(wrong_start));
    assert_said("ASYNC_EINVAL ASYNC_EBUSY <as before>");
}

/* --- servers, and who they are --------------------------------------------- */

struct app { int served; char name[64], alpn[64]; int resumed, certified; };
struct echo {
    ASYNC_FRAME;
    async_connection *client;
    struct app *app;
    async_bytes line;
};
static ASYNC(echo)
{
    async_bytes alpn;
    X509 *certificate;
    ASYNC_BEGIN(echo);
    self->app->served++;
    alpn = async_tls_alpn(self->client);
    sprintf(self->app->alpn, "%.*s", (int)alpn.size, alpn.data);
    sprintf(self->app->name, "%.60s", async_tls_name(self->client));
    self->app->resumed = async_tls_is_resumed(self->client);
    certificate = async_tls_certificate(self->client);
    self->app->certified = certificate != NULL;
    X509_free(certificate);
    for (;;) {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        if (self->line.size == 0) break;
        async_stream_writer_write(&self->client->writer, self->line.data,
                                  self->line.size);
        AWAIT(async_stream_writer_drain, &self->client->writer);
    }
    ASYNC_END;
}

/* A client that says a line, and hears it. */
struct visit {
    ASYNC_FRAME;
    int port;
    const char *host, *name;
    SSL_SESSION **session; /* to resume; what it is given takes its place */
    async_connection connection;
    int error;
};
static ASYNC(visit)
{
    ASYNC_BEGIN(visit);
    AWAIT_CATCH(self->error, async_open_tls_connection, &self->connection,
                &of_client, self->host, self->port, 0, self->name,
                self->session != NULL ? *self->session : NULL);
    if (self->error) {
        say("%s", result_name(self->error));
        say_tls_error(&self->connection);
        ASYNC_RETURN();
    }
    write_text(&self->connection, "hello\n");
    AWAIT(say_line, &self->connection);
    if (self->session != NULL) {
        SSL_SESSION_free(*self->session);
        *self->session = async_tls_session(&self->connection);
        say(async_tls_is_resumed(&self->connection) ? "resumed" : "new");
    }
    AWAIT(async_connection_close, &self->connection);
    ASYNC_END;
}

#define SERVER(name)                                                          \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        const char *host, *wanted;                                            \
        async_server server;                                                  \
        struct app app;                                                       \
        async_connection one, other;                                          \
        async_task *task;                                                     \
        SSL_SESSION *session;                                                 \
        int i, error;                                                         \
    };                                                                        \
    static ASYNC(name)
#define START()                                                               \
    AWAIT(async_start_tls_server, &self->server,                              \
          ASYNC_CLIENT_HANDLER(echo, &self->app), &of_server, "127.0.0.1", 0)
#define PORT() async_server_port(&self->server)
struct stop_server { ASYNC_FRAME; async_server *server; };
static ASYNC(stop_server)
{
    ASYNC_BEGIN(stop_server);
    async_server_close(self->server);
    AWAIT(async_server_wait_closed, self->server);
    ASYNC_END;
}

SERVER(visited)
{
    ASYNC_BEGIN(visited);
    START();
    AWAIT(visit, PORT(), self->host, self->wanted);
    /* One that asks for nothing is served whatever came before. */
    SSL_CTX_set_verify(of_client.ssl, SSL_VERIFY_NONE, NULL);
    AWAIT(visit, PORT(), "127.0.0.1");
    AWAIT(stop_server, &self->server);
    say("%d", self->app.served);
    ASYNC_END;
}
static void a_server_is_who_its_certificate_says(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(visited, "127.0.0.1"));
    assert_said("<hello> <hello> 2");
    run_tls("good", NULL, CO(visited, "127.0.0.1", "localhost"));
    assert_said("<hello> <hello> 2");
    run_tls("other", NULL, CO(visited, "127.0.0.1", "other.example"));
    assert_said("<hello> <hello> 2");
    run_tls("other", NULL, CO(visited, "127.0.0.1", ""));
    assert_said("<hello> <hello> 2");
}
static void another_name_is_refused(void **s)
{
    (void)s;
    run_tls("other", NULL, CO(visited, "127.0.0.1", "localhost"));
    assert_said("ASYNC_ETLSVERIFY "
                "(certificate verify failed: hostname mismatch) <hello> 1");
    run_tls("other", NULL, CO(visited, "127.0.0.1"));
    assert_said("ASYNC_ETLSVERIFY "
                "(certificate verify failed: IP address mismatch) <hello> 1");
}
static void an_expired_certificate_is_refused(void **s)
{
    (void)s;
    run_tls("expired", NULL, CO(visited, "127.0.0.1"));
    assert_said("ASYNC_ETLSVERIFY (certificate verify failed: certificate has "
                "expired) <hello> 1");
}
static void a_certificate_of_nobodys_is_refused(void **s)
{
    (void)s;
    run_tls("alone", NULL, CO(visited, "127.0.0.1"));
    assert_said("ASYNC_ETLSVERIFY (certificate verify failed: self-signed "
                "certificate) <hello> 1");
}
static void trust_the_system_alone(void)
{
    async_tls_context_destroy(&of_client);
    assert_int_equal(async_tls_client_init(&of_client), 0);
}
static void an_authority_that_is_not_trusted_is_refused(void **s)
{
    (void)s;
    run_tls("good", trust_the_system_alone, CO(visited, "127.0.0.1"));
    assert_said("ASYNC_ETLSVERIFY (certificate verify failed: unable to get "
                "local issuer certificate) <hello> 1");
}

static void an_authority_of_the_system_s_is_trusted(void **s)
{
    (void)s;
    setenv("SSL_CERT_FILE", certificate_file("authority", "pem"), 1);
    run_tls("good", trust_the_system_alone, CO(visited, "127.0.0.1"));
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    assert_said("<hello> <hello> 2");
}

SERVER(named)
{
    ASYNC_BEGIN(named);
    START();
    AWAIT(visit, PORT(), "127.0.0.1", "localhost");
    say("name:%s", self->app.name);
    AWAIT(visit, PORT(), "127.0.0.1");
    say("name:%s", self->app.name);
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void the_server_knows_which_name_was_asked_for(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(named));
    assert_said("<hello> name:localhost <hello> name:");
}
/* Two certificates behind one address, by OpenSSL's own callback. */
static async_tls_context of_other;
static int choose_certificate(SSL *ssl, int *alert, void *argument)
{
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    (void)alert, (void)argument;
    if (name != NULL && strcmp(name, "other.example") == 0)
        SSL_set_SSL_CTX(ssl, of_other.ssl);
    return SSL_TLSEXT_ERR_OK;
}
static void two_certificates(void)
{
    assert_int_equal(async_tls_server_init(&of_other,
                                           certificate_file("other", "pem"),
                                           certificate_file("other", "key")),
                     0);
    SSL_CTX_set_tlsext_servername_callback(of_server.ssl, choose_certificate);
}
SERVER(two_names)
{
    ASYNC_BEGIN(two_names);
    START();
    AWAIT(visit, PORT(), "127.0.0.1", "localhost");
    AWAIT(visit, PORT(), "127.0.0.1", "other.example");
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void a_server_may_have_a_certificate_for_each_name(void **s)
{
    (void)s;
    run_tls("good", two_certificates, CO(two_names));
    async_tls_context_destroy(&of_other);
    assert_said("<hello> <hello>");
}

SERVER(agreed)
{
    ASYNC_BEGIN(agreed);
    START();
    AWAIT(async_open_tls_connection, &self->one, &of_client, "127.0.0.1",
          PORT());
    say("client:%.*s", (int)async_tls_alpn(&self->one).size,
        async_tls_alpn(&self->one).data);
    write_text(&self->one, "hello\n");
    AWAIT(say_line, &self->one);
    say("server:%s", self->app.alpn);
    AWAIT(async_connection_close, &self->one);
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void both_speak_alpn(void)
{
    assert_int_equal(async_tls_set_alpn(&of_server, "h2,http/1.1"), 0);
    assert_int_equal(async_tls_set_alpn(&of_client, "spdy,http/1.1,h2"), 0);
}
static void nothing_in_common(void)
{
    assert_int_equal(async_tls_set_alpn(&of_server, "h2"), 0);
    assert_int_equal(async_tls_set_alpn(&of_client, "smtp"), 0);
}
static void a_protocol_is_agreed_by_the_server_s_order(void **s)
{
    (void)s;
    run_tls("good", both_speak_alpn, CO(agreed));
    assert_said("client:h2 <hello> server:h2");
    run_tls("good", nothing_in_common, CO(agreed));
    assert_said("client: <hello> server:");
}
static void protocols_that_do_not_fit_are_refused(void **s)
{
    char text[300];
    (void)s;
    begin_client();
    memset(text, 'x', sizeof text);
    text[256] = '\0';
    assert_int_equal(async_tls_set_alpn(&of_client, text), ASYNC_EINVAL);
    text[254] = '\0';
    assert_int_equal(async_tls_set_alpn(&of_client, text), 0);
    assert_int_equal(async_tls_set_alpn(&of_client, ""), ASYNC_EINVAL);
    assert_int_equal(async_tls_set_alpn(&of_client, "h2,"), ASYNC_EINVAL);
    async_tls_context_destroy(&of_client);
}

/* --- by Unix sockets ------------------------------------------------------- */

static const char *socket_path(void)
{
    return certificate_file("unix", "sock");
}
struct visit_unix {
    ASYNC_FRAME;
    const char *name;
    async_connection connection;
    int error;
};
static ASYNC(visit_unix)
{
    ASYNC_BEGIN(visit_unix);
    AWAIT_CATCH(self->error, async_open_tls_unix_connection, &self->connection,
                &of_client, socket_path(), self->name);
    if (self->error) {
        say("%s", result_name(self->error));
        say_tls_error(&self->connection);
        ASYNC_RETURN(); /* there is nothing to close */
    }
    write_text(&self->connection, "hello\n");
    AWAIT(say_line, &self->connection);
    AWAIT(async_connection_close, &self->connection);
    ASYNC_END;
}
struct by_unix {
    ASYNC_FRAME;
    async_server server;
    struct app app;
    int error;
};
static ASYNC(by_unix)
{
    ASYNC_BEGIN(by_unix);
    AWAIT(visit_unix, "localhost"); /* nobody is there */
    AWAIT(async_start_tls_unix_server, &self->server,
          ASYNC_CLIENT_HANDLER(echo, &self->app), &of_server, socket_path());
    AWAIT(visit_unix, "localhost");
    say("name:%s", self->app.name);
    AWAIT(visit_unix, "other.example");
    AWAIT(visit_unix, NULL);
    AWAIT(visit_unix, ""); /* whoever is trusted */
    SSL_CTX_set_verify(of_client.ssl, SSL_VERIFY_NONE, NULL);
    AWAIT(visit_unix, NULL);
    AWAIT(stop_server, &self->server);
    say("%d", self->app.served);
    AWAIT_CATCH(self->error, async_start_tls_unix_server, &self->server,
                ASYNC_CLIENT_HANDLER(echo, &self->app), &of_client,
                socket_path());
    say("%s", name_of(self->error));
    ASYNC_END;
}
static void tls_goes_by_unix_sockets_too(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(by_unix));
    assert_non_null(strstr(unit_said, "ostname mismatch"));
    strstr(unit_said, "ostname mismatch")[-1] = 'h'; /* a capital in 1.1.1 */
    assert_said("ENOENT () <hello> name:localhost ASYNC_ETLSVERIFY "
                "(certificate verify failed: hostname mismatch) ASYNC_EINVAL "
                "() <hello> <hello> 3 ASYNC_EINVAL");
}

/* The client's way in, as often as it is left before its end. */
struct enter_unix { ASYNC_FRAME; async_connection connection; int error; };
static ASYNC(enter_unix)
{
    ASYNC_BEGIN(enter_unix);
    AWAIT(async_open_tls_unix_connection, &self->connection, &of_client,
          socket_path(), "localhost");
    AWAIT(async_connection_close, &self->connection);
    ASYNC_END;
}
struct leave_unix {
    ASYNC_FRAME;
    async_server server;
    struct app app;
    async_task *task;
    int turns, i, over, error;
};
static ASYNC(leave_unix)
{
    ASYNC_BEGIN(leave_unix);
    AWAIT(async_start_tls_unix_server, &self->server,
          ASYNC_CLIENT_HANDLER(echo, &self->app), &of_server, socket_path());
    for (; !self->over; self->turns++) {
        self->error = 0;
        self->task = async_create_task(CO(enter_unix));
        for (self->i = 0; self->i < self->turns; self->i++)
            AWAIT(async_sleep, 0);
        self->over = async_task_done(self->task);
        async_task_cancel(self->task);
        ASYNC_TRY {
            AWAIT_JOIN(self->task);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
        assert_int_equal(self->error, self->over ? 0 : ASYNC_ECANCELED);
    }
    assert_true(self->turns > 3 && self->app.served > 0);
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void by_unix_sockets_it_can_be_given_up_wherever_it_is(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(leave_unix));
    unit_begin(NULL); /* clients that went may be told of */
}

SERVER(resumed)
{
    ASYNC_BEGIN(resumed);
    START();
    AWAIT(visit, PORT(), "127.0.0.1", NULL, &self->session);
    say("%d", self->session != NULL);
    AWAIT(visit, PORT(), "127.0.0.1", NULL, &self->session);
    say("server:%d", self->app.resumed);
    AWAIT(visit, PORT(), "127.0.0.1", NULL, &self->session);
    SSL_SESSION_free(self->session);
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void a_session_is_resumed(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(resumed));
    assert_said("<hello> new 1 <hello> resumed server:1 <hello> resumed");
    run_tls("good", only_1_2, CO(resumed));
    assert_said("<hello> new 1 <hello> resumed server:1 <hello> resumed");
}

static void both_certified(void)
{
    SSL_CTX_set_verify(of_server.ssl,
                       SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       NULL);
    assert_int_equal(
        async_tls_trust(&of_server, certificate_file("authority", "pem")), 0);
    SSL_CTX_use_certificate_chain_file(of_client.ssl,
                                       certificate_file("other", "pem"));
    SSL_CTX_use_PrivateKey_file(
        of_client.ssl, certificate_file("other", "key"), SSL_FILETYPE_PEM);
}
SERVER(certified)
{
    ASYNC_BEGIN(certified);
    START();
    AWAIT(visit, PORT(), "127.0.0.1");
    say("%d", self->app.certified);
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void clients_may_have_to_show_certificates(void **s)
{
    (void)s;
    run_tls("good", both_certified, CO(certified));
    assert_said("<hello> 1");
}

static int prepared;
static int refuse(SSL *ssl, void *argument)
{
    prepared++;
    return SSL_is_server(ssl) ? *(int *)argument : 0;
}
static int refusal;
static void prepare_all(void)
{
    prepared = 0;
    of_client.prepare = of_server.prepare = refuse;
    of_client.prepare_argument = of_server.prepare_argument = &refusal;
}
SERVER(prepared_by_hand)
{
    ASYNC_BEGIN(prepared_by_hand);
    START();
    AWAIT(visit, PORT(), "127.0.0.1");
    say("prepared:%d", prepared);
    refusal = -EPERM;
    AWAIT(visit, PORT(), "127.0.0.1");
    refusal = 0;
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void each_connection_can_be_set_further_and_refused(void **s)
{
    (void)s;
    run_tls("good", prepare_all, CO(prepared_by_hand));
    assert_said(
        "<hello> prepared:2 [TLS cannot be started for a client: EPERM] "
        "ECONNRESET ()");
}

/* --- what goes wrong with a server's clients -------------------------------- */

SERVER(noise)
{
    ASYNC_BEGIN(noise);
    START();
    AWAIT(async_open_connection, &self->one, "127.0.0.1", PORT());
    write_text(&self->one, "GET / HTTP/1.0\r\n\r\n");
    AWAIT_INTO(self->i, receive_all, &self->one);
    AWAIT(visit, PORT(), "127.0.0.1");
    AWAIT(async_connection_close, &self->one);
    AWAIT(stop_server, &self->server);
    say("served:%d", self->app.served);
    ASYNC_END;
}
static void noise_is_let_go_of_and_the_others_are_served_on(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(noise));
    assert_said("ended <hello> served:1");
}

SERVER(stalled)
{
    ASYNC_BEGIN(stalled);
    START();
    AWAIT(async_open_connection, &self->one, "127.0.0.1", PORT());
    write_text(&self->one, "\x16\x03\x01\x02"); /* the start of a hello */
    AWAIT(async_open_connection, &self->other, "127.0.0.1", PORT());
    AWAIT(visit, PORT(), "127.0.0.1");
    say("%d", (int)async_server_count_clients(&self->server));
    AWAIT_INTO(self->i, receive_all, &self->one);
    AWAIT_INTO(self->i, receive_all, &self->other);
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    AWAIT(stop_server, &self->server);
    say("served:%d", self->app.served);
    ASYNC_END;
}
static void who_stalls_holds_up_nobody_and_is_let_go_of(void **s)
{
    (void)s;
    run_tls("good", hurry_server, CO(stalled));
    assert_said("<hello> 2 ended ended served:1");
}

struct mute { ASYNC_FRAME; async_connection *client; const char *words; };
static ASYNC(mute)
{
    ASYNC_BEGIN(mute);
    if (self->words[0]) write_text(self->client, self->words);
    AWAIT(async_sleep, ASYNC_MS(200));
    ASYNC_END;
}
struct no_tls { ASYNC_FRAME; const char *words; async_server server; };
static ASYNC(no_tls)
{
    ASYNC_BEGIN(no_tls);
    AWAIT(async_start_server, &self->server,
          ASYNC_CLIENT_HANDLER(mute, self->words), "127.0.0.1", 0);
    AWAIT(visit, PORT(), "127.0.0.1");
    async_server_cancel_clients(&self->server);
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void a_server_that_says_nothing_is_not_waited_for_for_ever(void **s)
{
    (void)s;
    run_tls("good", hurry, CO(no_tls, ""));
    assert_said("ECONNABORTED ()");
}
static void a_server_that_speaks_no_tls_is_an_error(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(no_tls, "220 welcome\r\n"));
    assert_said("ASYNC_ETLSHANDSHAKE (wrong version number)");
}

SERVER(closing)
{
    ASYNC_BEGIN(closing);
    START();
    AWAIT_CATCH(self->error, async_start_tls_server, &self->server,
                ASYNC_CLIENT_HANDLER(echo, &self->app), &of_server,
                "127.0.0.1", 0);
    say("%s", result_name(self->error));
    AWAIT_CATCH(self->error, async_start_tls_server, &self->server,
                ASYNC_CLIENT_HANDLER(echo, &self->app), &of_client,
                "127.0.0.1", 0);
    say("%s", result_name(self->error));
    /* It has been accepted, and is in the middle of its handshake. */
    AWAIT(async_open_connection, &self->one, "127.0.0.1", PORT());
    while (async_server_count_clients(&self->server) == 0)
        AWAIT(async_sleep, ASYNC_MS(1));
    async_server_close(&self->server);
    AWAIT(async_sleep, ASYNC_MS(5));
    AWAIT(async_connection_start_tls, &self->one, &of_client, "localhost");
    write_text(&self->one, "hello\n");
    AWAIT(say_line, &self->one);
    AWAIT(async_connection_close, &self->one);
    AWAIT(stop_server, &self->server);
    say("served:%d", self->app.served);
    ASYNC_END;
}
static void a_handshake_goes_on_when_the_server_listens_no_more(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(closing));
    assert_said("ASYNC_EBUSY ASYNC_EINVAL <hello> served:1");
}

SERVER(shown_out)
{
    ASYNC_BEGIN(shown_out);
    START();
    for (self->i = 0; self->i < 3; self->i++) {
        memset(&self->one, 0, sizeof self->one);
        memset(&self->other, 0, sizeof self->other);
        AWAIT(async_open_tls_connection, &self->one, &of_client, "127.0.0.1",
              PORT());
        AWAIT(async_open_connection, &self->other, "127.0.0.1", PORT());
        while (async_server_count_clients(&self->server) < 2 ||
               self->app.served <= self->i)
            AWAIT(async_sleep, ASYNC_MS(1));
        if (self->i == 0) async_server_close_clients(&self->server);
        if (self->i == 1) async_server_abort_clients(&self->server);
        if (self->i == 2) async_server_cancel_clients(&self->server);
        AWAIT(say_line, &self->one);
        if (self->i < 2) AWAIT_INTO(self->error, receive_all, &self->other);
        AWAIT(async_connection_close, &self->one);
        AWAIT(async_connection_close, &self->other);
    }
    AWAIT(stop_server, &self->server);
    ASYNC_END;
}
static void clients_are_shown_out_in_and_after_the_handshake(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(shown_out));
    assert_said("<> ended ASYNC_ETLSEOF ended <>");
}

struct many {
    ASYNC_FRAME;
    async_server server;
    struct app app;
    async_task *clients[20];
    int i;
};
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    START();
    for (self->i = 0; self->i < 20; self->i++)
        self->clients[self->i] =
            async_create_task(CO(visit, PORT(), "127.0.0.1"));
    for (self->i = 0; self->i < 20; self->i++)
        AWAIT_JOIN(self->clients[self->i]);
    AWAIT(stop_server, &self->server);
    say("served:%d", self->app.served);
    ASYNC_END;
}
static void many_are_served_at_a_time(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(many));
    assert_said("<hello> <hello> <hello> <hello> <hello> <hello> <hello> "
                "<hello> <hello> <hello> <hello> <hello> <hello> <hello> "
                "<hello> <hello> <hello> <hello> <hello> <hello> served:20");
}

/* --- callbacks ------------------------------------------------------------- */

/* A protocol of the program's, on one end. */
struct listener {
    async_protocol protocol;
    async_uv_transport transport;
    async_tls tls;
    async_future lost;
    int error, fail, pauses, resumes;
    size_t got;
};
static int made(async_protocol *protocol, async_transport *transport)
{
    struct listener *listener = (struct listener *)(void *)protocol;
    say("made:%d", transport == &listener->tls.base);
    return 0;
}
static int got_data(async_protocol *protocol, const void *data, size_t size)
{
    struct listener *listener = (struct listener *)(void *)protocol;
    if (listener->fail) return listener->fail;
    if (listener->got == 0) say("got:%.5s", (const char *)data);
    listener->got += size;
    return 0;
}
static int ended(async_protocol *protocol)
{
    (void)protocol;
    say("eof");
    return 1; /* to no avail, as in asyncio */
}
static void lost(async_protocol *protocol, int error)
{
    struct listener *listener = (struct listener *)(void *)protocol;
    say("lost:%s", result_name(error));
    async_future_set_result(&listener->lost);
}
static void paused(async_protocol *protocol)
{
    ((struct listener *)(void *)protocol)->pauses++;
}
static void resumed_writing(async_protocol *protocol)
{
    ((struct listener *)(void *)protocol)->resumes++;
}
static const async_protocol_callbacks telling = {
    made, got_data, ended, lost, paused, resumed_writing, NULL, NULL
};
struct listen_to {
    ASYNC_FRAME;
    struct listener *listener;
    async_connection *other;
};
static ASYNC(listen_to)
{
    ASYNC_BEGIN(listen_to);
    AWAIT(async_pipe_pair, &self->listener->transport.stream,
          &self->other->transport.stream);
    async_connection_start(self->other, 0);
    async_future_init(&self->listener->lost, async_loop_of(co));
    self->listener->protocol.callbacks = &telling;
    async_uv_transport_start(&self->listener->transport,
                             &self->listener->protocol);
    ASYNC_END;
}

struct by_callbacks {
    ASYNC_FRAME;
    int fail;
    struct listener listener;
    async_connection other;
    int error;
};
static ASYNC(by_callbacks)
{
    ASYNC_BEGIN(by_callbacks);
    fill_much();
    self->listener.fail = self->fail;
    AWAIT(listen_to, &self->listener, &self->other);
    AWAIT(async_sleep, 0); /* its connection_made without TLS */
    say("%d",
        async_tls_start(&self->listener.tls, &self->listener.transport.base,
                        &self->listener.protocol, &of_server, NULL, NULL));
    /* Before the handshake: it is kept. */
    say("%d", async_transport_write(&self->listener.tls.base, "early\n", 6));
    say("%d",
        (int)async_transport_get_write_buffer_size(&self->listener.tls.base));
    AWAIT(async_connection_start_tls, &self->other, &of_client, "localhost");
    AWAIT(say_line, &self->other);
    async_transport_write(&self->listener.tls.base, much, sizeof much);
    say("pauses:%d", self->listener.pauses);
    AWAIT(receive, &self->other, 0);
    AWAIT(async_sleep, ASYNC_MS(5));
    say("resumes:%d", self->listener.resumes);
    write_text(&self->other, "hello");
    AWAIT(async_sleep, ASYNC_MS(5));
    async_transport_pause_reading(&self->listener.tls.base);
    write_text(&self->other, "more");
    AWAIT(async_sleep, ASYNC_MS(5));
    say("%d", (int)self->listener.got);
    async_transport_resume_reading(&self->listener.tls.base);
    AWAIT(async_sleep, ASYNC_MS(5));
    say("%d", (int)self->listener.got);
    AWAIT(async_connection_close, &self->other);
    AWAIT_FUTURE(&self->listener.lost);
    ASYNC_END;
}
static void a_protocol_of_the_program_s_is_told_as_of_any_transport(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(by_callbacks, 0));
    assert_said("made:0 0 0 6 made:1 <early> pauses:1 right resumes:1 "
                "got:hello 5 9 eof lost:ok");
}
static void an_error_of_the_protocol_s_ends_the_connection(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(by_callbacks, -EPERM));
    assert_said("made:0 0 0 6 made:1 <early> pauses:1 right resumes:1 "
                "[Fatal error: protocol.data_received() call failed.: EPERM] "
                "lost:EPERM 0 0");
}

struct failed_handshake {
    ASYNC_FRAME;
    struct listener listener;
    async_connection other;
};
static ASYNC(failed_handshake)
{
    ASYNC_BEGIN(failed_handshake);
    AWAIT(listen_to, &self->listener, &self->other);
    async_tls_start(&self->listener.tls, &self->listener.transport.base,
                    &self->listener.protocol, &of_server, NULL, NULL);
    write_text(&self->other, "no hello at all");
    AWAIT_FUTURE(&self->listener.lost);
    say("%d", async_transport_write(&self->listener.tls.base, "x", 1) ==
                  ASYNC_ECLOSED);
    say("%d",
        async_tls_start(&self->listener.tls, &self->listener.transport.base,
                        &self->listener.protocol, &of_server, NULL,
                        NULL) == ASYNC_ECLOSED);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void a_handshake_that_fails_is_only_told_as_the_end(void **s)
{
    (void)s;
    run_tls("good", NULL, CO(failed_handshake));
    assert_said("lost:ASYNC_ETLSHANDSHAKE 1 1");
}

/* --- contexts -------------------------------------------------------------- */

static void say_context(int error, const async_tls_context *context)
{
    char text[256];
    async_tls_context_error(context, text, sizeof text);
    say("%s (%s)", name_of(error), text);
}
static void contexts_say_what_is_wrong_with_files(void **s)
{
    async_tls_context context;
    int error;
    (void)s;
    error = async_tls_server_init(&context, "/no/such/file", NULL);
    say_context(error, &context);
    error = async_tls_server_init(&context, certificate_file("good", "pem"),
                                  certificate_file("other", "key"));
    say_context(error, &context);
    error =
        async_tls_server_init(&context, certificate_file("good", "key"), NULL);
    say_context(error, &context);
    /* Nobody is asked for a passphrase. */
    error = async_tls_server_init(&context, certificate_file("locked", "pem"),
                                  certificate_file("locked", "key"));
    say("%s", name_of(error));
    assert_int_equal(async_tls_client_init(&context), 0);
    error = async_tls_trust(&context, "/no/such/file");
    say_context(error, &context);
    async_tls_context_destroy(&context);
    assert_said("ENOENT (No such file or directory) "
                "ASYNC_ETLS (key values mismatch) "
                "ASYNC_ETLS (no start line) ASYNC_ETLS "
                "ENOENT (No such file or directory)");
}

/* --- the loop's end -------------------------------------------------------- */

static async_server left;
static struct app left_app;
static async_connection left_client, left_pair[2];
struct leave { ASYNC_FRAME; int unused; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    AWAIT(async_start_tls_server, &left, ASYNC_CLIENT_HANDLER(echo, &left_app),
          &of_server, "127.0.0.1", 0);
    AWAIT(async_open_tls_connection, &left_client, &of_client, "127.0.0.1",
          async_server_port(&left));
    AWAIT(async_open_connection, &left_pair[0], "127.0.0.1",
          async_server_port(&left));
    write_text(&left_client, "hello\n");
    AWAIT(say_line, &left_client);
    ASYNC_END;
}

static long allocations, in_use, refuse_at;
static void *refusing_allocate(void *context, size_t size)
{
    (void)context;
    if (++allocations == refuse_at) return NULL;
    in_use++;
    return malloc(size);
}
static void refusing_release(void *context, void *released, size_t size)
{
    (void)context;
    memset(released, 0xdd, size);
    in_use--;
    free(released);
}
static const async_allocator refusing = { refusing_allocate, refusing_release,
                                          NULL };

static void a_loop_may_close_with_tls_connections(void **s)
{
    int borrowed;
    (void)s;
    begin_server("good");
    begin_client();
    for (borrowed = 0; borrowed < 2; borrowed++) {
        uv_loop_t host;
        async_uv_loop loop;
        uv_loop_init(&host);
        memset(&left, 0, sizeof left);
        memset(&left_client, 0, sizeof left_client);
        memset(left_pair, 0, sizeof left_pair);
        async_uv_loop_init(&loop, borrowed ? &host : NULL, NULL);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(leave, 0)), 0);
        async_loop_close(&loop.base);
        uv_run(&host, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&host), 0);
        assert_null(left_client.layer);
        async_stream_reader_destroy(&left_client.reader);
        async_stream_reader_destroy(&left_pair[0].reader);
    }
    async_tls_context_destroy(&of_client);
    async_tls_context_destroy(&of_server);
    assert_said("<hello> [Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] "
                "<hello> [Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!]");
}

/* --- without memory, and given up ------------------------------------------ */

/* An await that has no memory to begin, or is cancelled, is begun again. */
#define SURELY(...)                                                           \
    do {                                                                      \
        self->error = 0;                                                      \
        ASYNC_TRY {                                                           \
            AWAIT(__VA_ARGS__);                                               \
        }                                                                     \
        ASYNC_EXCEPT_ALL(self->error) {}                                      \
        ASYNC_END_TRY                                                         \
    } while (self->error)

/* A server, a client, much that is written, the same by a Unix socket,
 * start_tls, and their ends. */
struct story {
    ASYNC_FRAME;
    async_server server, local;
    struct app app;
    async_connection client, by_unix, one, other;
    async_bytes line;
    async_task *task;
    int error;
};
static ASYNC(story)
{
    ASYNC_BEGIN(story);
    ASYNC_TRY {
        AWAIT(async_start_tls_server, &self->server,
              ASYNC_CLIENT_HANDLER(echo, &self->app), &of_server, "127.0.0.1",
              0);
        AWAIT(async_open_tls_connection, &self->client, &of_client,
              "127.0.0.1", PORT());
        async_stream_writer_write(&self->client.writer, "hello\n", 6);
        async_stream_writer_write(&self->client.writer, much, 200000);
        AWAIT(async_stream_writer_drain, &self->client.writer);
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client.reader);
        AWAIT(async_start_tls_unix_server, &self->local,
              ASYNC_CLIENT_HANDLER(echo, &self->app), &of_server,
              socket_path());
        AWAIT(async_open_tls_unix_connection, &self->by_unix, &of_client,
              socket_path(), "localhost");
        AWAIT(pair, &self->one, &self->other);
        write_text(&self->one, "x");
        self->task = async_create_task(
            CO(secure, &self->one, &of_client, "localhost", &self->error));
        if (self->task == NULL) ASYNC_RAISE(ASYNC_ENOMEM);
        AWAIT_INTO(self->line, async_stream_reader_readexactly,
                   &self->other.reader, 1);
        AWAIT(async_connection_start_tls, &self->other, &of_server);
    } ASYNC_FINALLY {
        if (self->task != NULL) {
            async_task_cancel(self->task);
            SURELY(joined, self->task);
        }
        SURELY(async_connection_close, &self->one);
        SURELY(async_connection_close, &self->other);
        SURELY(async_connection_close, &self->client);
        SURELY(async_connection_close, &self->by_unix);
        async_server_close(&self->local);
        async_server_abort_clients(&self->local);
        SURELY(async_server_wait_closed, &self->local);
        async_server_close(&self->server);
        async_server_abort_clients(&self->server);
        SURELY(async_server_wait_closed, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int quiet(async_loop *loop, const async_exception_context *context,
                 void *argument)
{
    (void)loop, (void)context, (void)argument;
    return 0;
}

/* Runs it until it ends, or cancels it after so many iterations.  Returns how
 * many there were. */
static int tell_story(int cancel_after)
{
    async_uv_loop loop;
    async_task *task;
    int open, iterations = 0;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_close(&loop.base);
    open = descriptors();
    async_uv_loop_init(&loop, NULL, &refusing);
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
    assert_int_equal(in_use, 0);
    return iterations;
}

static void whichever_allocation_fails_nothing_is_left(void **s)
{
    long last = 1000, at;
    (void)s;
    begin_server("good");
    begin_client();
    /* where a peer had no memory to begin */
    of_server.handshake_timeout = ASYNC_SECONDS(1);
    memset(much, 'x', sizeof much);
    for (at = 1; at <= last; at++) {
        allocations = 0;
        refuse_at = at;
        tell_story(-1);
        if (allocations < at) last = at; /* it had no need of so many */
    }
    assert_true(last > 20 && last < 1000);
    refuse_at = 0;
    async_tls_context_destroy(&of_client);
    async_tls_context_destroy(&of_server);
}

static void wherever_it_is_cancelled_nothing_is_left(void **s)
{
    int last = 1000000, after;
    (void)s;
    refuse_at = 0;
    begin_server("good");
    begin_client();
    for (after = 0; after < last; after += after < 80 ? 1 : 1 + after / 8)
        if (tell_story(after) < after) last = 0;
    assert_int_equal(last, 0);
    async_tls_context_destroy(&of_client);
    async_tls_context_destroy(&of_server);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_go_both_ways),
        TEST(what_openssl_can_is_set_on_its_own_context),
        TEST(older_versions_than_1_2_are_refused),
        TEST(a_peer_that_goes_in_the_handshake_is_an_error),
        TEST(drain_waits_for_a_slow_reader_and_all_of_it_arrives),
        TEST(much_goes_both_ways_at_once),
        TEST(the_marks_hold_for_what_is_enciphered),
        TEST(several_pieces_go_out_as_one),
        TEST(an_end_that_is_announced_ends_both_ways),
        TEST(what_was_written_before_a_close_still_goes_out),
        TEST(an_end_that_is_not_announced_is_an_error),
        TEST(unless_the_context_allows_it),
        TEST(the_end_waits_for_what_came_before_it),
        TEST(a_peer_that_does_not_end_it_is_not_waited_for_for_ever),
        TEST(an_abort_waits_for_nobody),
        TEST(a_record_that_is_wrong_ends_it_and_the_peer_is_told),
        TEST(a_connection_goes_on_with_tls),
        TEST(an_answer_without_tls_is_no_handshake),
        TEST(what_is_slipped_in_before_tls_is_not_read_as_secret),
        TEST(what_the_reader_has_not_given_out_is_the_beginning),
        TEST(a_start_that_is_refused_leaves_the_connection_as_it_was),
        TEST(a_server_is_who_its_certificate_says),
        TEST(another_name_is_refused),
        TEST(an_expired_certificate_is_refused),
        TEST(a_certificate_of_nobodys_is_refused),
        TEST(an_authority_that_is_not_trusted_is_refused),
        TEST(an_authority_of_the_system_s_is_trusted),
        TEST(the_server_knows_which_name_was_asked_for),
        TEST(a_server_may_have_a_certificate_for_each_name),
        TEST(a_protocol_is_agreed_by_the_server_s_order),
        TEST(protocols_that_do_not_fit_are_refused),
        TEST(tls_goes_by_unix_sockets_too),
        TEST(by_unix_sockets_it_can_be_given_up_wherever_it_is),
        TEST(a_session_is_resumed),
        TEST(clients_may_have_to_show_certificates),
        TEST(each_connection_can_be_set_further_and_refused),
        TEST(noise_is_let_go_of_and_the_others_are_served_on),
        TEST(who_stalls_holds_up_nobody_and_is_let_go_of),
        TEST(a_server_that_says_nothing_is_not_waited_for_for_ever),
        TEST(a_server_that_speaks_no_tls_is_an_error),
        TEST(a_handshake_goes_on_when_the_server_listens_no_more),
        TEST(clients_are_shown_out_in_and_after_the_handshake),
        TEST(many_are_served_at_a_time),
        TEST(a_protocol_of_the_program_s_is_told_as_of_any_transport),
        TEST(an_error_of_the_protocol_s_ends_the_connection),
        TEST(a_handshake_that_fails_is_only_told_as_the_end),
        TEST(contexts_say_what_is_wrong_with_files),
        TEST(a_loop_may_close_with_tls_connections),
        TEST(whichever_allocation_fails_nothing_is_left),
        TEST(wherever_it_is_cancelled_nothing_is_left)
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin_certificates, end_certificates);
}
