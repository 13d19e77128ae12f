/* link: -luv -lhiredis, with REDIS_TLS also -lssl -lcrypto */
/* Redis, with a real server at the other end: tests/scripts/redis starts it, and
 * says in REDIS_SOCKET where it listens and in SERVER what starts, stops and
 * kills it.  What no server says is in tests/unit/redis.c.
 *
 * With REDIS_TLS the same by TLS, and who is refused.  The server is started
 * here then, when there are certificates: SERVER gets to know by REDIS_TLS_PORT,
 * REDIS_TLS_CERTIFICATE, REDIS_TLS_AUTHORITY and REDIS_TLS_CLIENTS. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/redis.h"
#ifdef REDIS_TLS
#include "../../async/net/tls.h"
#endif

#include "../unit/sockets.h"
#ifdef REDIS_TLS
#include "../unit/certificates.h"
#define WITHOUT_NOTICE "ASYNC_ETLSEOF"
#define NOBODY_THERE "ECONNREFUSED"
#else
#define WITHOUT_NOTICE "broken"
#define NOBODY_THERE "ENOENT"
#endif

static async_redis_options options;
static async_redis redis, other;

static void server(const char *what)
{
    char command[512];
    snprintf(command, sizeof command, "%s %s", getenv("SERVER"), what);
    if (system(command) != 0) fail_msg("%s", command);
}

/* The program of a test, with two connections to an empty database. */
struct with_redis { ASYNC_FRAME; async_object program; };
static ASYNC(with_redis)
{
    ASYNC_BEGIN(with_redis);
    memset(&redis, 0, sizeof redis);
    memset(&other, 0, sizeof other);
    ASYNC_TRY {
        AWAIT(async_redis_connect, &redis, options);
        AWAIT(async_redis_connect, &other, options);
        AWAIT(async_redis_command, &redis, NULL, ASYNC_REDIS("FLUSHALL"));
        AWAIT_CO(self->program);
    } ASYNC_FINALLY {
        async_redis_close(&redis);
        async_redis_close(&other);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define RUN(program) run(CO(with_redis, program))

static void say_reply(const async_redis_reply *reply)
{
    size_t i;
    if (reply->type == ASYNC_REDIS_NIL) say("nil");
    if (reply->type == ASYNC_REDIS_INTEGER) say("%lld", reply->integer);
    if (reply->type == ASYNC_REDIS_ERROR)
        say("%.19s", reply->text);
    else if (reply->size > 0)
        say("%.60s", reply->text);
    if (reply->type == ASYNC_REDIS_ARRAY) say("[");
    for (i = 0; i < reply->count; i++) say_reply(reply->elements[i]);
    if (reply->type == ASYNC_REDIS_ARRAY) say("]");
}

/* A command of up to four words, */
static async_redis_arguments words_of(const char *const *words)
{
    size_t n = 0;
    while (n < 4 && words[n] != NULL) n++;
    return async__redis_texts(words, n);
}
/* and what came of it. */
struct ask {
    ASYNC_FRAME;
    async_redis *on;
    const char *words[4];
    async_redis_reply reply;
    int error;
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    ASYNC_TRY {
        AWAIT(async_redis_command, self->on, &self->reply,
              words_of(self->words));
        say_reply(&self->reply);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
        if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
    } ASYNC_FINALLY {
        async_redis_free(&self->reply);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- commands ------------------------------------------------------------ */

struct commands {
    ASYNC_FRAME;
    async_redis_reply reply;
    async_bytes big;
    int i;
    async_redis_pipeline pipeline;
};
static ASYNC(commands)
{
    ASYNC_BEGIN(commands);
    AWAIT(ask, &redis, { "SET", "k", "v" });
    AWAIT(ask, &redis, { "GET", "k" });
    AWAIT(ask, &redis, { "GET", "none" });
    AWAIT(ask, &redis, { "INCR", "n" });
    AWAIT(ask, &redis, { "INCR", "k" });
    assert_string_equal(async_redis_error(&redis),
                        "ERR value is not an integer or out of range");
    AWAIT(ask, &redis, { "LPUSH", "k", "1" });
    assert_true(async_redis_error_is(&redis, "WRONGTYPE"));
    AWAIT(ask, &redis, { "EVAL", "return {1, {'a', {}}, false}", "0" });
    /* 10 MB of any bytes, there and back */
    self->big.size = 10 * 1024 * 1024;
    self->big.data = (const char *)malloc(self->big.size);
    for (self->i = 0; self->i < (int)self->big.size; self->i++)
        ((char *)(uintptr_t)self->big.data)[self->i] = (char)(self->i * 7);
    AWAIT(async_redis_command, &redis, NULL,
          ASYNC_REDIS_BYTES(async_redis_text("SET"), async_redis_text("big"),
                            self->big));
    AWAIT(async_redis_command, &redis, &self->reply,
          ASYNC_REDIS("GET", "big"));
    assert_int_equal(self->reply.size, self->big.size);
    assert_memory_equal(self->reply.text, self->big.data, self->big.size);
    free((void *)(uintptr_t)self->big.data);
    /* many in one round trip */
    for (self->i = 0; self->i < 10000; self->i++)
        assert_int_equal(async_redis_append(&self->pipeline, async_loop_of(co),
                                            ASYNC_REDIS("INCR", "many")),
                         0);
    AWAIT(async_redis_execute, &redis, &self->reply, &self->pipeline);
    assert_int_equal(self->reply.count, 10000);
    for (self->i = 0; self->i < 10000; self->i++)
        assert_int_equal(self->reply.elements[self->i]->integer, self->i + 1);
    async_redis_free(&self->reply);
    ASYNC_END;
}
static void commands_do_what_they_should(void **state)
{
    (void)state;
    RUN(CO(commands));
    assert_said("OK v nil 1 ASYNC_EREDIS ASYNC_EREDIS [ 1 [ a [ ] ] nil ]");
}

struct transactions {
    ASYNC_FRAME;
    async_redis_reply reply;
    async_redis_pipeline pipeline;
    int i, error;
};
static ASYNC(transactions)
{
    ASYNC_BEGIN(transactions);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT(ask, &redis, { "WATCH", "w" });
        if (self->i == 1) AWAIT(ask, &other, { "SET", "w", "x" });
        async_redis_append(&self->pipeline, async_loop_of(co),
                           ASYNC_REDIS("INCR", "t"));
        async_redis_append(&self->pipeline, async_loop_of(co),
                           self->i == 2 ? ASYNC_REDIS("NONSENSE")
                                        : ASYNC_REDIS("GET", "t"));
        AWAIT_CATCH(self->error, async_redis_transaction, &redis, &self->reply,
                    &self->pipeline);
        say("%s", name_of(self->error));
        say_reply(&self->reply);
        async_redis_free(&self->reply);
    }
    AWAIT(ask, &redis, { "GET", "t" });
    ASYNC_END;
}
static void transactions_are_all_or_nothing(void **state)
{
    (void)state;
    RUN(CO(transactions));
    assert_said("OK ok [ 1 1 ] OK OK ok nil OK ASYNC_EREDIS "
                "ERR unknown command 1");
}

/* --- messages ------------------------------------------------------------ */

struct hears {
    ASYNC_FRAME;
    int n;
    struct async_redis_messages all;
    async_redis_message one;
    int error;
};
static ASYNC(hears)
{
    ASYNC_BEGIN(hears);
    ASYNC_TRY {
        self->all = ASYNC_GENERATOR(async_redis_messages, &redis);
        ASYNC_FOR(self->one, &self->all) {
            say("%s%s%s", self->one.channel,
                self->one.pattern != NULL ? "~" : "=", self->one.text);
            if (--self->n == 0) break;
        } ASYNC_END_FOR
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct messages { ASYNC_FRAME; async_task *task; };
static ASYNC(messages)
{
    ASYNC_BEGIN(messages);
    AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("a", "b"));
    AWAIT(async_redis_psubscribe, &redis, ASYNC_REDIS("c*"));
    self->task = async_create_task(CO(hears, 3));
    AWAIT(ask, &other, { "PUBLISH", "a", "one" });
    AWAIT(ask, &other, { "PUBLISH", "nobody", "x" });
    AWAIT(ask, &other, { "PUBLISH", "c1", "two" });
    AWAIT(ask, &other, { "PUBLISH", "b", "three" });
    AWAIT_JOIN(self->task);
    AWAIT(async_redis_unsubscribe, &redis, ASYNC_REDIS("a", "b"));
    AWAIT(ask, &redis, { "GET", "x" });
    AWAIT(async_redis_punsubscribe, &redis, ASYNC_REDIS("c*"));
    AWAIT(ask, &redis, { "GET", "x" });
    AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("a"));
    self->task = async_create_task(CO(hears, 3));
    AWAIT(async_sleep, ASYNC_MS(5));
    AWAIT(ask, &other, { "CLIENT", "KILL", "TYPE", "pubsub" });
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void messages_are_heard(void **state)
{
    (void)state;
    RUN(CO(messages));
    /* who is told first is for the server to decide: compare the rest */
    assert_non_null(strstr(unit_said, "a=one"));
    assert_non_null(strstr(unit_said, "c1~two"));
    assert_non_null(strstr(unit_said, "b=three"));
    assert_true(strstr(unit_said, "ASYNC_EINVALSTATE nil 1 broken") != NULL ||
                strstr(unit_said, "ASYNC_EINVALSTATE nil broken 1") != NULL);
    unit_begin(NULL);
}

/* --- who may come in ----------------------------------------------------- */

struct enters {
    ASYNC_FRAME;
    const char *user, *password;
    int database;
    async_redis_options options;
    int error;
};
static ASYNC(enters)
{
    ASYNC_BEGIN(enters);
    async_redis_close(&other);
    self->options = options;
    self->options.user = self->user;
    self->options.password = self->password;
    self->options.database = self->database;
    AWAIT_CATCH(self->error, async_redis_connect, &other, self->options);
    say("%s", name_of(self->error));
    if (!self->error) AWAIT(ask, &other, { "GET", "who" });
    ASYNC_END;
}
struct guarded { ASYNC_FRAME; };
static ASYNC(guarded)
{
    ASYNC_BEGIN(guarded);
    AWAIT(ask, &redis, { "SET", "who", "zero" });
    AWAIT(enters, NULL, NULL, 3);
    AWAIT(ask, &other, { "SET", "who", "three" });
    AWAIT(enters, NULL, NULL, 3);
    AWAIT(enters, NULL, NULL, 99);
    AWAIT(ask, &redis, { "CONFIG", "SET", "requirepass", "secret" });
    ASYNC_TRY {
        AWAIT(enters, NULL, NULL, 0);
        AWAIT(enters, NULL, "wrong", 0);
        AWAIT(enters, NULL, "secret", 0);
        AWAIT(enters, "default", "secret", 3);
        AWAIT(enters, "nobody", "secret", 0);
    } ASYNC_FINALLY {
        AWAIT(ask, &redis, { "CONFIG", "SET", "requirepass", "" });
    } ASYNC_END_TRY
    ASYNC_END;
}
static void a_password_and_a_database_are_asked_for(void **state)
{
    (void)state;
    RUN(CO(guarded));
    assert_said("OK ok nil OK ok three ASYNC_EREDIS OK ok EACCES EACCES ok "
                "zero ok three EACCES OK");
}

/* --- cancelling ---------------------------------------------------------- */

struct cancels { ASYNC_FRAME; async_time start; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    self->start = async_loop_time(async_loop_of(co));
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_MS(20), ask, &redis, { "BLPOP", "list", "0" });
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("late");
    } ASYNC_END_TRY
    AWAIT(ask, &other, { "RPUSH", "list", "x", "y" });
    /* what it would have got is thrown away */
    AWAIT(ask, &redis, { "LPOP", "list" });
    assert_true(async_loop_time(async_loop_of(co)) - self->start <
                ASYNC_SECONDS(5));
    ASYNC_END;
}
static void what_blocks_can_be_given_up(void **state)
{
    (void)state;
    RUN(CO(cancels));
    assert_said("ASYNC_ECANCELED late 2 y");
}

/* Cancels at the nth turn, wherever that is: it can be used on, or is closed. */
struct whole {
    ASYNC_FRAME;
    async_redis_reply reply;
    async_redis_pipeline pipeline;
    struct async_redis_messages all;
    async_redis_message one;
};
static ASYNC(whole)
{
    int error;
    ASYNC_BEGIN(whole);
    ASYNC_TRY {
        AWAIT(async_redis_connect, &other, options);
        AWAIT(async_redis_command, &other, &self->reply,
              ASYNC_REDIS("EVAL", "return {1, {'a', {}}, 'xyz'}", "0"));
        error = async_redis_append(&self->pipeline, async_loop_of(co),
                                   ASYNC_REDIS("INCR", "a"));
        if (!error)
            error = async_redis_append(&self->pipeline, async_loop_of(co),
                                       ASYNC_REDIS("GET", "a"));
        if (error) ASYNC_RAISE(error);
        AWAIT(async_redis_transaction, &other, &self->reply, &self->pipeline);
        AWAIT(async_redis_subscribe, &other, ASYNC_REDIS("a", "b"));
        AWAIT(async_redis_unsubscribe, &other, ASYNC_REDIS("a", "b"));
        self->all = ASYNC_GENERATOR(async_redis_messages, &other);
        ASYNC_FOR(self->one, &self->all) {}
        ASYNC_END_FOR
    } ASYNC_FINALLY {
        async_redis_clear(&self->pipeline);
        async_redis_free(&self->reply);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct at_turn { ASYNC_FRAME; int turns; async_task *task; int error; };
static ASYNC(at_turn)
{
    ASYNC_BEGIN(at_turn);
    memset(&other, 0, sizeof other);
    self->task = async_create_task(CO(whole));
    for (; self->turns > 0; self->turns--) AWAIT(async_sleep, 0);
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (async_redis_is_open(&other)) {
        AWAIT(async_redis_unsubscribe, &other, ASYNC_REDIS("a", "b"));
        unit_begin(NULL);
        AWAIT(ask, &other, { "ECHO", "hello" });
        assert_said("hello");
    }
    async_redis_close(&other);
    ASYNC_END;
}
static void cancelling_at_every_step_leaves_nothing(void **state)
{
    int turns;
    (void)state;
    for (turns = 0; turns < 40; turns++) run(CO(at_turn, turns));
}

/* --- faults, and pools --------------------------------------------------- */

static async_redis_pool pool;

struct borrow {
    ASYNC_FRAME;
    const char *name;
    const char *words[4];
    async_redis *mine;
    async_redis_reply reply;
    int error;
};
static ASYNC(borrow)
{
    ASYNC_BEGIN(borrow);
    ASYNC_TRY {
        AWAIT_INTO(self->mine, async_redis_acquire, &pool);
        AWAIT(async_redis_command, self->mine, &self->reply,
              words_of(self->words));
        say("%s:%s", self->name, self->reply.text);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s:%s", self->name, name_of(self->error));
    } ASYNC_FINALLY {
        async_redis_free(&self->reply);
        async_redis_release(&pool, self->mine);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define BORROW(name, ...) CO(borrow, name, { __VA_ARGS__ })
struct pooled {
    ASYNC_FRAME;
    async_gathering all;
    async_task *task;
    async_net_pool_options limits;
};
static ASYNC(pooled)
{
    ASYNC_BEGIN(pooled);
    memset(&pool, 0, sizeof pool);
    self->limits.max_size = 2;
    assert_int_equal(async_redis_pool_open(&pool, async_loop_of(co), &options,
                                           &self->limits),
                     0);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, BORROW("a", "ECHO", "1"),
                     BORROW("b", "BLPOP", "none", "1"),
                     BORROW("c", "ECHO", "3"), BORROW("d", "ECHO", "4"));
        async_gather_clear(&self->all);
        say("idle:%d", (int)async_net_pool_idle(&pool.pool));
        AWAIT(borrow, "e", { "SELECT", "2" });
        AWAIT(borrow, "f", { "MULTI" });
        say("idle:%d", (int)async_net_pool_idle(&pool.pool));
        AWAIT(borrow, "g", { "ECHO", "7" });
        /* ended by the server while unused */
        AWAIT(ask, &redis, { "CLIENT", "KILL", "TYPE", "normal" });
        AWAIT(async_sleep, ASYNC_MS(5));
        AWAIT(borrow, "h", { "ECHO", "8" });
        self->task = async_create_task(BORROW("i", "BLPOP", "none", "0"));
        AWAIT(async_sleep, ASYNC_MS(100));
        server("stop");
        AWAIT_JOIN(self->task);
        AWAIT(borrow, "j", { "ECHO", "10" });
        server("start");
        AWAIT(borrow, "k", { "ECHO", "11" });
        self->task = async_create_task(BORROW("l", "BLPOP", "none", "0"));
        AWAIT(async_sleep, ASYNC_MS(100));
        server("crash");
        AWAIT_JOIN(self->task);
        server("start");
        AWAIT(borrow, "m", { "ECHO", "13" });
    } ASYNC_FINALLY {
        async_redis_pool_close(&pool);
    } ASYNC_END_TRY
    AWAIT(borrow, "n", { "ECHO", "14" });
    ASYNC_END;
}
static void a_pool_outlives_the_server(void **state)
{
    (void)state;
    RUN(CO(pooled));
    assert_said("a:1 c:3 d:4 b: idle:2 e:OK f:OK idle:0 g:7 2 h:8 "
                "i:" WITHOUT_NOTICE " j:" NOBODY_THERE " k:11 "
                "l:" WITHOUT_NOTICE " m:13 n:ASYNC_ECLOSED");
}

/* --- memory -------------------------------------------------------------- */

struct everything { ASYNC_FRAME; };
static ASYNC(everything)
{
    ASYNC_BEGIN(everything);
    ASYNC_TRY {
        AWAIT(whole);
    } ASYNC_FINALLY {
        async_redis_close(&other);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void no_memory_is_an_error(void **state)
{
    (void)state;
    RUN_REFUSING_EACH(memset(&other, 0, sizeof other), CO(everything), 0);
}

/* --- TLS ----------------------------------------------------------------- */

#ifdef REDIS_TLS
static async_tls_context trusting;

struct knocks { ASYNC_FRAME; async_redis_options as; int error; };
static ASYNC(knocks)
{
    ASYNC_BEGIN(knocks);
    memset(&other, 0, sizeof other);
    AWAIT_CATCH(self->error, async_redis_connect, &other, self->as);
    say("%s", name_of(self->error));
    if (self->error)
        say("(%s)", async_redis_error(&other));
    else
        AWAIT(ask, &other, { "ECHO", "in" });
    async_redis_close(&other);
    ASYNC_END;
}

static void restart(const char *certificate, const char *clients)
{
    setenv("REDIS_TLS_CERTIFICATE", certificate_file(certificate, ""), 1);
    setenv("REDIS_TLS_CLIENTS", clients, 1);
    server("stop");
    server("start");
}

static void who_is_not_whom_it_should_be_is_refused(void **state)
{
    async_redis_options as = options;
    async_tls_context of_nobody;
    (void)state;
    as.tls_name = "localhost";
    run(CO(knocks, as));
    assert_said("ok in");
    as.tls_name = "wrong.example";
    run(CO(knocks, as));
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY (certificate verify "
                                      "failed: "));
    assert_non_null(strstr(unit_said, "ostname mismatch)"));
    unit_begin(NULL);
    /* whom this one trusts, that one does not */
    assert_int_equal(async_tls_client_init(&of_nobody), 0);
    as = options;
    as.tls = &of_nobody.layer;
    run(CO(knocks, as));
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY (certificate verify "
                                      "failed: "));
    unit_begin(NULL);
    async_tls_context_destroy(&of_nobody);
    restart("alone", "no");
    run(CO(knocks, options));
    restart("good", "no");
    assert_non_null(strstr(unit_said, "ASYNC_ETLSVERIFY (certificate verify "
                                      "failed: self"));
    unit_begin(NULL);
}

static void a_client_may_have_to_show_a_certificate(void **state)
{
    async_redis_options as = options;
    async_tls_context known;
    (void)state;
    restart("good", "yes");
    /* In TLS 1.3 the client is through before the server has looked at it, and
     * learns why if it comes to read before the connection has broken. */
    run(CO(knocks, options));
    assert_true(strcmp(unit_said, "ok broken") == 0 ||
                strstr(unit_said, "ASYNC_ETLS") != NULL);
    unit_begin(NULL);
    assert_int_equal(async_tls_client_init(&known), 0);
    assert_int_equal(
        async_tls_trust(&known, certificate_file("authority", "pem")), 0);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(
                         known.ssl, certificate_file("good", "pem")),
                     1);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(known.ssl, certificate_file("good", "key"),
                                    SSL_FILETYPE_PEM),
        1);
    as.tls = &known.layer;
    run(CO(knocks, as));
    assert_said("ok in");
    async_tls_context_destroy(&known);
    restart("good", "no");
}

static int begin_tls(void **state)
{
    char port[16];
    int fd = raw_socket();
    (void)state;
    raw_bind_any(fd, &options.port);
    close(fd);
    options.path = NULL;
    make_certificates();
    snprintf(port, sizeof port, "%d", options.port);
    setenv("REDIS_TLS_PORT", port, 1);
    setenv("REDIS_TLS_CERTIFICATE", certificate_file("good", ""), 1);
    setenv("REDIS_TLS_AUTHORITY", certificate_file("authority", "pem"), 1);
    setenv("REDIS_TLS_CLIENTS", "no", 1);
    assert_int_equal(async_tls_client_init(&trusting), 0);
    assert_int_equal(
        async_tls_trust(&trusting, certificate_file("authority", "pem")), 0);
    options.tls = &trusting.layer;
    server("start");
    return 0;
}
static int end_tls(void **state)
{
    (void)state;
    server("stop");
    async_tls_context_destroy(&trusting);
    remove_certificates();
    return 0;
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(commands_do_what_they_should),
        TEST(transactions_are_all_or_nothing),
        TEST(messages_are_heard),
        TEST(a_password_and_a_database_are_asked_for),
        TEST(what_blocks_can_be_given_up),
        TEST(cancelling_at_every_step_leaves_nothing),
        TEST(a_pool_outlives_the_server),
#ifdef REDIS_TLS
        TEST(who_is_not_whom_it_should_be_is_refused),
        TEST(a_client_may_have_to_show_a_certificate),
#endif
        TEST(no_memory_is_an_error)
    };
    options.path = getenv("REDIS_SOCKET");
    if (options.path == NULL || getenv("SERVER") == NULL) {
        fprintf(stderr, "tests/scripts/redis runs this\n");
        return 2;
    }
    if (argc > 1) cmocka_set_test_filter(argv[1]);
#ifdef REDIS_TLS
    return cmocka_run_group_tests(tests, begin_tls, end_tls);
#else
    return cmocka_run_group_tests(tests, NULL, NULL);
#endif
}
