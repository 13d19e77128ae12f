/* link: -luv -lhiredis -lssl -lcrypto */
/* Redis by TLS: who is let in and who is not, what it dies of, and what is left
 * when it fails, is cancelled or closed.
 *
 * The server is in the same loop; the real one is in tests/servers/redis.c,
 * where all that Redis can is done by TLS, too. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/redis.h"
#include "../../async/net/tls.h"

#include "io.h"

#include <sys/wait.h>

#include "certificates.h"

/* --- the server ---------------------------------------------------------- */

static async_tls_context of_client, of_server;
static async_redis redis;
static async_redis_options options;
/* How many messages who subscribes gets. */
static size_t published;

static struct world {
    async_server server;
    int connections;
    char name[64]; /* who the last client has asked for */
    async_connection *client;
} world;

/* Answers each command that comes: PING, SUBSCRIBE, others. */
struct serve {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes line;
    long words;
    size_t i;
    char command[16], answer[600];
    int error;
};
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    world.connections++;
    world.client = self->client;
    snprintf(world.name, sizeof world.name, "%s",
             async_tls_name(self->client));
    for (;;) {
        AWAIT_CATCH_INTO(self->error, self->line, async_stream_reader_readline,
                         &self->client->reader);
        if (self->error || self->line.size < 2) break;
        self->words = atol(self->line.data + 1);
        for (self->i = 0; (long)self->i < self->words; self->i++) {
            AWAIT(async_stream_reader_readline, &self->client->reader);
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client->reader);
            if (self->i == 0)
                snprintf(self->command, sizeof self->command, "%.*s",
                         (int)self->line.size - 2, self->line.data);
        }
        if (strcmp(self->command, "BYE") == 0) break;
        if (strcmp(self->command, "DIE") == 0) {
            async_transport_abort(&self->client->transport.base);
            break;
        }
        if (strcmp(self->command, "NOISE") == 0) {
            async_transport_write(&self->client->transport.base, "no TLS", 6);
            continue;
        }
        if (strcmp(self->command, "BLOCK") == 0) continue;
        if (strcmp(self->command, "SUBSCRIBE") != 0) {
            async_stream_writer_write(&self->client->writer, "+OK\r\n", 5);
            continue;
        }
        snprintf(self->answer, sizeof self->answer,
                 "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        async_stream_writer_write(&self->client->writer, self->answer,
                                  strlen(self->answer));
        for (self->i = 0; self->i < published; self->i++) {
            snprintf(self->answer, sizeof self->answer,
                     "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$500\r\n%0500lu\r\n",
                     (unsigned long)self->i);
            async_stream_writer_write(&self->client->writer, self->answer,
                                      strlen(self->answer));
            AWAIT_CATCH(self->error, async_stream_writer_drain,
                        &self->client->writer);
        }
    }
    ASYNC_END;
}

/* One that has no TLS. */
struct refuses { ASYNC_FRAME; async_connection *client; };
static ASYNC(refuses)
{
    ASYNC_BEGIN(refuses);
    async_stream_writer_write(&self->client->writer, "-ERR no\r\n", 9);
    ASYNC_END;
}

/* The program of a test, with the server beside it. */
struct with_server { ASYNC_FRAME; async_object program; int plain, error; };
static ASYNC(with_server)
{
    ASYNC_BEGIN(with_server);
    memset(&world, 0, sizeof world);
    memset(&redis, 0, sizeof redis);
    if (self->plain)
        AWAIT(async_start_server, &world.server, ASYNC_CLIENT_HANDLER(refuses),
              "127.0.0.1", 0);
    else
        AWAIT(async_start_tls_server, &world.server,
              ASYNC_CLIENT_HANDLER(serve), &of_server, "127.0.0.1", 0);
    ASYNC_TRY {
        options.port = async_server_port(&world.server);
        AWAIT_CO(self->program);
    } ASYNC_FINALLY {
        async_redis_close(&redis);
        async_server_close(&world.server);
        async_server_abort_clients(&world.server);
        AWAIT(async_server_wait_closed, &world.server);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void begin(const char *name)
{
    memset(&options, 0, sizeof options);
    published = 0;
    assert_int_equal(async_tls_server_init(&of_server,
                                           certificate_file(name, "pem"),
                                           certificate_file(name, "key")),
                     0);
    assert_int_equal(async_tls_client_init(&of_client), 0);
    assert_int_equal(
        async_tls_trust(&of_client, certificate_file("authority", "pem")), 0);
    options.tls = &of_client.layer;
}
static void end(void)
{
    async_tls_context_destroy(&of_client);
    async_tls_context_destroy(&of_server);
}
#define RUN(program) run(CO(with_server, program))

static const char *result_name(int error)
{
    if (error == UV_ECONNABORTED) return "ECONNABORTED";
    return name_of(error);
}

struct ask {
    ASYNC_FRAME;
    const char *word;
    async_redis_reply reply;
    int error;
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    ASYNC_TRY {
        AWAIT(async_redis_command, &redis, &self->reply,
              ASYNC_REDIS(self->word));
        say("%s", self->reply.text);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", result_name(self->error));
    } ASYNC_FINALLY {
        async_redis_free(&self->reply);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Connects, and says what came of it. */
struct connects { ASYNC_FRAME; int error; };
static ASYNC(connects)
{
    ASYNC_BEGIN(connects);
    AWAIT_CATCH(self->error, async_redis_connect, &redis, options);
    say("%s", result_name(self->error));
    assert_int_equal(async_redis_is_open(&redis), !self->error);
    if (self->error)
        say("(%s)", async_redis_error(&redis));
    else
        AWAIT(ask, "PING");
    async_redis_close(&redis);
    ASYNC_END;
}

/* --- who is let in ------------------------------------------------------- */

static void commands_go_by_tls(void **s)
{
    (void)s;
    begin("good");
    options.password = "secret";
    options.database = 3;
    RUN(CO(connects));
    assert_said("ok OK");
    assert_int_equal(world.connections, 1);
    assert_string_equal(world.name, ""); /* an address is not told */
    end();
}
static void the_host_is_who_it_must_be(void **s)
{
    (void)s;
    begin("good");
    options.host = "localhost";
    RUN(CO(connects));
    assert_said("ok OK");
    assert_string_equal(world.name, "localhost");
    end();
}
static void another_name_is_refused(void **s)
{
    (void)s;
    begin("other");
    RUN(CO(connects));
    assert_said("ASYNC_ETLSVERIFY (certificate verify failed: IP address "
                "mismatch)");
    options.host = "localhost";
    RUN(CO(connects));
    assert_non_null(strstr(unit_said, "ostname mismatch)"));
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY ("));
    unit_begin(NULL);
    assert_int_equal(world.connections, 0);
    end();
}
static void another_name_may_be_asked_for(void **s)
{
    (void)s;
    begin("other");
    options.tls_name = "other.example";
    RUN(CO(connects));
    assert_said("ok OK");
    assert_string_equal(world.name, "other.example");
    options.tls_name = ""; /* anybody who is trusted */
    RUN(CO(connects));
    assert_said("ok OK");
    end();
}
struct by_unix { ASYNC_FRAME; };
static ASYNC(by_unix)
{
    ASYNC_BEGIN(by_unix);
    memset(&world, 0, sizeof world);
    AWAIT(async_start_tls_unix_server, &world.server,
          ASYNC_CLIENT_HANDLER(serve), &of_server, options.path);
    AWAIT(connects);
    options.tls_name = "localhost";
    AWAIT(connects);
    async_server_close(&world.server);
    AWAIT(async_server_wait_closed, &world.server);
    ASYNC_END;
}
static void on_a_unix_socket_a_name_must_be_said(void **s)
{
    (void)s;
    begin("good");
    options.path = certificate_file("unix", "sock");
    run(CO(by_unix));
    assert_said("ASYNC_EINVAL () ok OK");
    assert_string_equal(world.name, "localhost");
    end();
}
static void a_certificate_of_nobodys_is_refused(void **s)
{
    (void)s;
    begin("alone");
    RUN(CO(connects));
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY (certificate verify "
                                      "failed: self")); /* self signed */
    unit_begin(NULL);
    options.tls_name = "";
    RUN(CO(connects));
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY"));
    unit_begin(NULL);
    SSL_CTX_set_verify(of_client.ssl, SSL_VERIFY_NONE, NULL);
    RUN(CO(connects));
    assert_said("ok OK");
    end();
}
static void a_server_without_tls_is_an_error(void **s)
{
    (void)s;
    begin("good");
    run(CO(with_server, CO(connects), 1));
    assert_said("ASYNC_ETLSHANDSHAKE (wrong version number)");
    end();
}

/* --- what it dies of ----------------------------------------------------- */

struct dies { ASYNC_FRAME; };
static ASYNC(dies)
{
    ASYNC_BEGIN(dies);
    AWAIT(async_redis_connect, &redis, options);
    AWAIT(ask, "BYE"); /* announced */
    AWAIT(ask, "PING");
    async_redis_close(&redis);
    AWAIT(async_redis_connect, &redis, options);
    AWAIT(ask, "DIE");
    AWAIT(ask, "PING");
    async_redis_close(&redis);
    AWAIT(async_redis_connect, &redis, options);
    AWAIT(ask, "NOISE");
    say("(%s)", async_redis_error(&redis));
    async_redis_close(&redis);
    AWAIT(ask, "PING");
    ASYNC_END;
}
static void an_end_without_notice_is_an_error_of_its_own(void **s)
{
    (void)s;
    begin("good");
    RUN(CO(dies));
    assert_said("broken broken ASYNC_ETLSEOF ASYNC_ETLSEOF ASYNC_ETLS "
                "(wrong version number) ASYNC_ECLOSED");
    end();
}

/* --- messages ------------------------------------------------------------ */

struct hears {
    ASYNC_FRAME;
    struct async_redis_messages all;
    async_redis_message one;
    unsigned long n;
};
static ASYNC(hears)
{
    ASYNC_BEGIN(hears);
    AWAIT(async_redis_connect, &redis, options);
    AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("c"));
    AWAIT(async_sleep, ASYNC_MS(30));
    /* Nobody has read: so no more comes than fits. */
    assert_true(redis.waiting >= ASYNC_REDIS_WINDOW &&
                redis.waiting < ASYNC_REDIS_WINDOW + 100000);
    self->all = ASYNC_GENERATOR(async_redis_messages, &redis);
    ASYNC_FOR(self->one, &self->all) {
        assert_int_equal(self->one.size, 500);
        assert_int_equal(strtoul(self->one.text, NULL, 10), self->n);
        if (++self->n == published) break;
    } ASYNC_END_FOR
    ASYNC_END;
}
static void messages_come_and_hold_the_server_back(void **s)
{
    (void)s;
    begin("good");
    published = 10000;
    RUN(CO(hears));
    end();
}

/* --- pools --------------------------------------------------------------- */

static async_redis_pool pool;

struct borrow { ASYNC_FRAME; const char *word; async_redis *mine; int error; };
static ASYNC(borrow)
{
    ASYNC_BEGIN(borrow);
    ASYNC_TRY {
        AWAIT_INTO(self->mine, async_redis_acquire, &pool);
        AWAIT(async_redis_command, self->mine, NULL, ASYNC_REDIS(self->word));
        AWAIT(async_sleep, ASYNC_MS(5));
        say("ok");
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s", result_name(self->error));
    } ASYNC_FINALLY {
        async_redis_release(&pool, self->mine);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct pooled { ASYNC_FRAME; async_net_pool_options limits; int i; };
static ASYNC(pooled)
{
    ASYNC_BEGIN(pooled);
    memset(&pool, 0, sizeof pool);
    self->limits.max_size = 1;
    assert_int_equal(async_redis_pool_open(&pool, async_loop_of(co), &options,
                                           &self->limits),
                     0);
    ASYNC_TRY {
        for (; self->i < 5; self->i++) AWAIT(borrow, "PING");
        say("%d", world.connections);
        AWAIT(borrow, "DIE");
        AWAIT(borrow, "PING");
        /* ended by the server while unused */
        if (world.client == NULL) ASYNC_RETURN();
        async_transport_abort(&world.client->transport.base);
        AWAIT(async_sleep, ASYNC_MS(5));
        AWAIT(borrow, "PING");
        say("%d", world.connections);
    } ASYNC_FINALLY {
        async_redis_pool_close(&pool);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void a_pool_lends_connections_with_tls(void **s)
{
    (void)s;
    begin("good");
    RUN(CO(pooled));
    assert_said("ok ok ok ok ok 1 ASYNC_ETLSEOF ok ok 3");
    options.tls_name = "wrong.example";
    RUN(CO(pooled));
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY 0 ASYNC_ETLSVERIFY"));
    unit_begin(NULL);
    end();
}

/* --- without memory, and given up ---------------------------------------- */

struct story { ASYNC_FRAME; async_redis_reply reply; };
static ASYNC(story)
{
    ASYNC_BEGIN(story);
    ASYNC_TRY {
        AWAIT(async_redis_connect, &redis, options);
        AWAIT(async_redis_command, &redis, &self->reply, ASYNC_REDIS("PING"));
        AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("c"));
    } ASYNC_FINALLY {
        async_redis_free(&self->reply);
        async_redis_close(&redis);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Cancelled at the nth turn, wherever that is. */
struct at_turn { ASYNC_FRAME; int turns; async_task *task; int error; };
static ASYNC(at_turn)
{
    ASYNC_BEGIN(at_turn);
    self->task = async_create_task(CO(story));
    for (; self->turns > 0 && !async_task_done(self->task); self->turns--)
        AWAIT(async_sleep, 0);
    say("%s", async_task_done(self->task) ? "over" : "");
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    assert_true(self->error == 0 || self->error == ASYNC_ECANCELED);
    assert_false(async_redis_is_open(&redis));
    ASYNC_END;
}
static void wherever_it_is_cancelled_nothing_is_left(void **s)
{
    int turns, over = 0;
    (void)s;
    begin("good");
    published = 3;
    for (turns = 0; turns < 300 && !over; turns++) {
        RUN(CO(at_turn, turns));
        over = strstr(unit_said, "over") != NULL;
        unit_begin(NULL);
    }
    assert_true(over && turns > 5);
    end();
}

/* In the handshake, wherever that is. */
struct stalls { ASYNC_FRAME; async_connection *client; };
static ASYNC(stalls)
{
    ASYNC_BEGIN(stalls);
    AWAIT(async_sleep, ASYNC_SECONDS(100));
    ASYNC_END;
}
struct in_the_handshake { ASYNC_FRAME; async_server server; int error; };
static ASYNC(in_the_handshake)
{
    ASYNC_BEGIN(in_the_handshake);
    memset(&redis, 0, sizeof redis);
    AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(stalls),
          "127.0.0.1", 0);
    options.port = async_server_port(&self->server);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_MS(30), async_redis_connect, &redis, options);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", result_name(self->error));
    } ASYNC_END_TRY
    AWAIT_CATCH(self->error, async_redis_connect, &redis, options);
    say("%s", result_name(self->error));
    async_server_close(&self->server);
    async_server_cancel_clients(&self->server);
    AWAIT(async_server_wait_closed, &self->server);
    ASYNC_END;
}
static void a_server_that_says_nothing_is_not_waited_for_for_ever(void **s)
{
    (void)s;
    begin("good");
    of_client.handshake_timeout = ASYNC_MS(60);
    run(CO(in_the_handshake));
    assert_said("ASYNC_ETIMEDOUT ECONNABORTED");
    end();
}

/* The client alone is refused memory: the server is another process. */
static int serve_elsewhere(pid_t *child)
{
    int both[2], port = 0;
    assert_int_equal(pipe(both), 0);
    *child = fork();
    if (*child == 0) {
        async_uv_loop loop;
        static async_server server;
        close(both[0]);
        async_uv_loop_init(&loop, NULL, NULL);
        async_task_release(async_loop_create_task(
            &loop.base,
            CO(async_start_tls_server, &server, ASYNC_CLIENT_HANDLER(serve),
               &of_server, "127.0.0.1", 0)));
        while (!async_server_is_serving(&server)) {
            async_loop_stop(&loop.base);
            async_loop_run_forever(&loop.base);
        }
        port = async_server_port(&server);
        if (write(both[1], &port, sizeof port) == sizeof port)
            async_loop_run_forever(&loop.base);
        _exit(1);
    }
    close(both[1]);
    assert_int_equal(read(both[0], &port, sizeof port), sizeof port);
    close(both[0]);
    return port;
}
static void whichever_allocation_fails_it_is_an_error(void **s)
{
    int status;
    pid_t child;
    (void)s;
    begin("good");
    options.port = serve_elsewhere(&child);
    RUN_REFUSING_EACH(memset(&redis, 0, sizeof redis), CO(story), 0);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    end();
}

struct leave { ASYNC_FRAME; int handshake_only; };
static async_server left;
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    AWAIT(async_start_tls_server, &left, ASYNC_CLIENT_HANDLER(serve),
          &of_server, "127.0.0.1", 0);
    options.port = async_server_port(&left);
    if (self->handshake_only) {
        async_task_release(
            async_create_task(CO(async_redis_connect, &redis, options)));
        while (redis.link == NULL || redis.link->layer == NULL)
            AWAIT(async_sleep, 0);
    } else {
        AWAIT(async_redis_connect, &redis, options);
        AWAIT(ask, "PING");
    }
    ASYNC_END;
}
static void a_loop_may_close_with_it_open(void **s)
{
    int which;
    (void)s;
    begin("good");
    for (which = 0; which < 4; which++) {
        uv_loop_t host;
        async_uv_loop loop;
        uv_loop_init(&host);
        memset(&left, 0, sizeof left);
        memset(&redis, 0, sizeof redis);
        async_uv_loop_init(&loop, which & 1 ? &host : NULL, NULL);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(leave, which / 2)),
            0);
        async_loop_close(&loop.base);
        uv_run(&host, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&host), 0);
        assert_false(async_redis_is_open(&redis));
    }
    assert_non_null(strstr(unit_said, "OK"));
    unit_begin(NULL);
    end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_go_by_tls),
        TEST(the_host_is_who_it_must_be),
        TEST(another_name_is_refused),
        TEST(another_name_may_be_asked_for),
        TEST(on_a_unix_socket_a_name_must_be_said),
        TEST(a_certificate_of_nobodys_is_refused),
        TEST(a_server_without_tls_is_an_error),
        TEST(a_server_that_says_nothing_is_not_waited_for_for_ever),
        TEST(an_end_without_notice_is_an_error_of_its_own),
        TEST(messages_come_and_hold_the_server_back),
        TEST(a_pool_lends_connections_with_tls),
        TEST(wherever_it_is_cancelled_nothing_is_left),
        TEST(whichever_allocation_fails_it_is_an_error),
        TEST(a_loop_may_close_with_it_open)
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin_certificates, end_certificates);
}
