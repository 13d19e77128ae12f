/* link: -luv -lpq -pthread */
/* PostgreSQL, with somebody at the other end who is no such server, or a bad
 * one; a real one is in tests/servers/postgres.c. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#define ASYNC_POSTGRES_PATIENCE ASYNC_MS(300)
#include "../../async/net/postgres.h"
#include "../../async/uv/streams.h"

#include "uv.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>

static async_postgres db;
static async_server listening;
static const char *const *script; /* what it says to each piece that comes */
static const size_t *sizes;
static int stays; /* whether it keeps the connection open behind that */
static async_duration span;

struct serve { ASYNC_FRAME; async_connection *client; async_bytes some; };
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    for (;;) {
        AWAIT_INTO(self->some, async_stream_reader_read, &self->client->reader,
                   65536);
        if (self->some.size == 0) break;
        if (*script == NULL) {
            if (stays) continue;
            break;
        }
        async_stream_writer_write(&self->client->writer, *script, *sizes);
        script++;
        sizes++;
        if (*script == NULL && !stays) break;
    }
    ASYNC_END;
}

/* Runs `program` beside that server, and closes the connection. */
struct with_server { ASYNC_FRAME; async_object program; };
static ASYNC(with_server)
{
    ASYNC_BEGIN(with_server);
    memset(&db, 0, sizeof db);
    AWAIT(async_start_server, &listening, ASYNC_CLIENT_HANDLER(serve),
          "127.0.0.1", 0);
    ASYNC_TRY {
        AWAIT_CO(self->program);
    } ASYNC_FINALLY {
        async_postgres_close(&db);
        async_server_close(&listening);
        async_server_abort_clients(&listening);
        AWAIT(async_server_wait_closed, &listening);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define WITH_SERVER(...) CO(with_server, CO(__VA_ARGS__))

static void conninfo_of(char *text, size_t size)
{
    snprintf(text, size,
             "host=127.0.0.1 port=%d sslmode=disable gssencmode=disable "
             "user=x dbname=x",
             async_server_port(&listening));
}

struct program {
    ASYNC_FRAME;
    async_timeout limit;
    async_postgres_result result;
    int error;
    char conninfo[128];
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    conninfo_of(self->conninfo, sizeof self->conninfo);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, span) {
            SAY_AWAIT("connect", async_postgres_connect, &db, self->conninfo);
            if (!self->error)
                SAY_AWAIT("query", async_postgres_query, &db, &self->result,
                          "SELECT 1");
            assert_null(self->result.pg);
            SAY_AWAIT("then", async_postgres_query, &db, NULL, "SELECT 1");
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("timeout");
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Authentication is not asked for; a key to cancel with; ready. */
#define WELCOME                                                               \
    "R\0\0\0\x08\0\0\0\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I"
#define ANSWERS(...)                                                          \
    static const char *const answers[] = { __VA_ARGS__, NULL };               \
    script = answers
#define SIZES(...)                                                            \
    static const size_t answer_sizes[] = { __VA_ARGS__, 0 };                  \
    sizes = answer_sizes

static void who_closes_is_no_server(void **state)
{
    (void)state;
    ANSWERS(NULL);
    SIZES(0);
    stays = 0;
    span = ASYNC_SECONDS(30);
    run(WITH_SERVER(program));
    assert_said("connect:EPROTO then:ASYNC_ECLOSED");
}
static void who_says_something_else_is_no_server(void **state)
{
    (void)state;
    ANSWERS("HTTP/1.1 400 Bad Request\r\n\r\n");
    SIZES(28);
    stays = 0;
    span = ASYNC_SECONDS(30);
    run(WITH_SERVER(program));
    assert_said("connect:EPROTO then:ASYNC_ECLOSED");
}
static void who_says_nothing_takes_too_long(void **state)
{
    (void)state;
    ANSWERS(NULL);
    SIZES(0);
    stays = 1;
    span = ASYNC_MS(200);
    run(WITH_SERVER(program));
    assert_said("timeout");
}
static void a_server_that_dies_before_it_answers_is_an_error(void **state)
{
    (void)state;
    ANSWERS(WELCOME);
    SIZES(sizeof WELCOME - 1);
    stays = 0;
    span = ASYNC_SECONDS(30);
    run(WITH_SERVER(program));
    assert_said("connect:ok query:broken then:broken");
}
static void a_server_that_dies_in_mid_answer_is_an_error(void **state)
{
    (void)state;
    /* a description of a row, and half a row */
    ANSWERS(
        WELCOME,
        "1\0\0\0\x04"
        "2\0\0\0\x04"
        "T\0\0\0\x1a\0\x01x\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"
        "D\0\0\0\x20\0\x01");
    SIZES(sizeof WELCOME - 1, 44);
    stays = 0;
    span = ASYNC_SECONDS(30);
    run(WITH_SERVER(program));
    assert_said("connect:ok query:broken then:broken");
}
static void garbage_in_an_answer_is_an_error(void **state)
{
    (void)state;
    ANSWERS(WELCOME, "????????????????????????????????");
    SIZES(sizeof WELCOME - 1, 32);
    stays = 1;
    span = ASYNC_SECONDS(30);
    run(WITH_SERVER(program));
    assert_said("connect:ok query:broken then:broken");
}
struct two_steps {
    ASYNC_FRAME;
    async_postgres_step steps[2];
    int error;
    char conninfo[128];
};
static ASYNC(two_steps)
{
    ASYNC_BEGIN(two_steps);
    conninfo_of(self->conninfo, sizeof self->conninfo);
    self->steps[0].sql = self->steps[1].sql = "SELECT 1";
    SAY_AWAIT("connect", async_postgres_connect, &db, self->conninfo);
    SAY_AWAIT("pipeline", async_postgres_pipeline, &db, self->steps, 2);
    assert_null(self->steps[0].result.pg);
    assert_null(self->steps[1].result.pg);
    SAY_AWAIT("then", async_postgres_query, &db, NULL, "SELECT 1");
    ASYNC_END;
}
static void a_pipeline_that_is_not_answered_is_an_error(void **state)
{
    (void)state;
    ANSWERS(WELCOME, "Z\0\0\0\x05I");
    SIZES(sizeof WELCOME - 1, 6);
    stays = 1;
    run(WITH_SERVER(two_steps));
    assert_said("connect:ok pipeline:broken then:broken");
}
static void an_answer_that_never_ends_cannot_be_cancelled(void **state)
{
    async_time start;
    async_uv_loop loop;
    (void)state;
    ANSWERS(WELCOME);
    SIZES(sizeof WELCOME - 1);
    stays = 1;
    span = ASYNC_MS(200);
    async_uv_loop_init(&loop, NULL, NULL);
    start = async_loop_time(&loop.base);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, WITH_SERVER(program)), 0);
    /* the request to cancel is heard by nobody: patience ends, and it is
     * closed */
    assert_true(async_loop_time(&loop.base) - start > ASYNC_MS(400));
    assert_true(async_loop_time(&loop.base) - start < ASYNC_SECONDS(5));
    async_loop_close(&loop.base);
    assert_said("connect:ok timeout");
}

/* --- names, which are looked up here -------------------------------------- */

static pthread_t main_thread;
static int looked_up, on_the_loop;

/* Takes its time, as a name server that is far away, and finds this machine, or
 * nothing for *.none. */
int getaddrinfo(const char *name, const char *service,
                const struct addrinfo *hints, struct addrinfo **found)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in address;
    } * one;
    struct in_addr numbers;
    if (inet_pton(AF_INET, name, &numbers) != 1) {
        __atomic_add_fetch(&looked_up, 1, __ATOMIC_RELAXED);
        if (pthread_equal(pthread_self(), main_thread)) on_the_loop++;
        block(100);
        if (strstr(name, ".none") != NULL) return EAI_NONAME;
        inet_pton(AF_INET, "127.0.0.1", &numbers);
    }
    one = calloc(1, sizeof *one);
    if (one == NULL) return EAI_MEMORY;
    one->address.sin_family = AF_INET;
    one->address.sin_port = htons((uint16_t)atoi(service));
    one->address.sin_addr = numbers;
    one->info.ai_family = AF_INET;
    one->info.ai_socktype = hints->ai_socktype;
    one->info.ai_addrlen = sizeof one->address;
    one->info.ai_addr = (struct sockaddr *)&one->address;
    *found = &one->info;
    return 0;
}
void freeaddrinfo(struct addrinfo *found)
{
    free(found);
}

/* The last of several is who answers; nobody is at port 1. */
struct named {
    ASYNC_FRAME;
    const char *hosts;
    char conninfo[256];
    int error;
};
static ASYNC(named)
{
    ASYNC_BEGIN(named);
    main_thread = pthread_self();
    looked_up = on_the_loop = 0;
    snprintf(self->conninfo, sizeof self->conninfo,
             "sslmode=disable gssencmode=disable user=x dbname=x %s port=%s%d",
             self->hosts, strstr(self->hosts, ",") == NULL ? "" : "1,1,1,",
             strstr(self->hosts, "standby") == NULL
                 ? async_server_port(&listening)
                 : 1);
    SAY_AWAIT("connect", async_postgres_connect, &db, self->conninfo);
    say("%d", looked_up);
    assert_int_equal(on_the_loop, 0);
    ASYNC_END;
}
static void look_up(const char *hosts)
{
    ANSWERS(WELCOME);
    SIZES(sizeof WELCOME - 1);
    stays = 1;
    run(WITH_SERVER(named, hosts));
}
static void names_are_looked_up_while_the_loop_goes_on(void **state)
{
    (void)state;
    look_up("host=127.0.0.1");
    assert_said("connect:ok 0");
    look_up("host=one.example");
    if (strcmp(unit_said, "connect:ok 1") != 0) skip(); /* libpq asks others */
    unit_begin(NULL);
    look_up("host=127.0.0.1,one.example,two.none,three.example");
    assert_said("connect:ok 3");
    look_up("host=one.example,127.0.0.1,two.none,127.0.0.1");
    assert_said("connect:ok 2");
    /* what has an address already is not asked for */
    look_up("host=a.example,b.example,c.example,d.example "
            "hostaddr=127.0.0.1,127.0.0.1,,127.0.0.1");
    assert_said("connect:ok 1");
    /* none of these is there, and they are asked for once more */
    look_up("host=one.none target_session_attrs=prefer-standby");
    assert_said("connect:ECONNREFUSED 2");
}
struct gives_up { ASYNC_FRAME; int error; };
static ASYNC(gives_up)
{
    ASYNC_BEGIN(gives_up);
    memset(&db, 0, sizeof db);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_MS(150), async_postgres_connect, &db,
                       "host=127.0.0.1,a.example,b.example,c.example port=1 "
                       "user=x dbname=x");
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    assert_false(async_postgres_is_open(&db));
    ASYNC_END;
}
static void looking_up_can_be_given_up(void **state)
{
    (void)state;
    looked_up = 0;
    run(CO(gives_up));
    assert_said("ASYNC_ETIMEDOUT");
    assert_true(looked_up < 3); /* the second is waited for */
}

UNIT_MAIN(TEST(who_closes_is_no_server),
          TEST(who_says_something_else_is_no_server),
          TEST(who_says_nothing_takes_too_long),
          TEST(a_server_that_dies_before_it_answers_is_an_error),
          TEST(a_server_that_dies_in_mid_answer_is_an_error),
          TEST(garbage_in_an_answer_is_an_error),
          TEST(a_pipeline_that_is_not_answered_is_an_error),
          TEST(an_answer_that_never_ends_cannot_be_cancelled),
          TEST(names_are_looked_up_while_the_loop_goes_on),
          TEST(looking_up_can_be_given_up))
