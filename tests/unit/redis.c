/* link: -luv -lhiredis */
/* Redis: what is sent, what is made of what comes, and what is left when it
 * fails, is cancelled or closed.
 *
 * The server is in the same loop and says what it was told to, among that much
 * that no server says; the real one is in tests/servers/redis.c. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/redis.h"
#include "../../async/uv/streams.h"

#include "uv.h"

/* --- the server ---------------------------------------------------------- */

/* What it answers to each piece that comes; NULL: it closes. */
static const char *const *script;
static int each_command;    /* whether rather one answer to each command */
static size_t script_sizes; /* of the first answer, when it is binary */
static struct world {
    async_server server;
    char heard[513];
    size_t heard_size;
    int connections;
    async_connection *client;
} world;

static int commands_heard(void)
{
    int n = 0;
    size_t i;
    for (i = 0; i < world.heard_size; i++) n += world.heard[i] == '*';
    return n;
}

struct serve {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes some;
    int n;
};
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    world.connections++;
    world.client = self->client;
    for (;;) {
        AWAIT_INTO(self->some, async_stream_reader_read, &self->client->reader,
                   65536);
        if (self->some.size == 0) break;
        world.heard_size = self->some.size < sizeof world.heard - 1
                               ? self->some.size
                               : sizeof world.heard - 1;
        memcpy(world.heard, self->some.data, world.heard_size);
        if (*script == NULL) break;
        for (self->n = each_command ? commands_heard() : 1; self->n > 0;
             self->n--) {
            async_stream_writer_write(&self->client->writer, *script,
                                      script_sizes ? script_sizes
                                                   : strlen(*script));
            script_sizes = 0;
            script++;
        }
    }
    ASYNC_END;
}

static async_redis redis;
static async_redis_options options;

/* The program of a test, connected to the server, or only beside it. */
struct with_server { ASYNC_FRAME; async_object program; int alone, error; };
static ASYNC(with_server)
{
    ASYNC_BEGIN(with_server);
    memset(&world, 0, sizeof world);
    memset(&redis, 0, sizeof redis);
    AWAIT(async_start_server, &world.server, ASYNC_CLIENT_HANDLER(serve),
          "127.0.0.1", 0);
    ASYNC_TRY {
        options.port = async_server_port(&world.server);
        if (!self->alone) AWAIT(async_redis_connect, &redis, options);
        AWAIT_CO(self->program);
    } ASYNC_FINALLY {
        async_redis_close(&redis);
        async_server_close(&world.server);
        async_server_abort_clients(&world.server);
        AWAIT(async_server_wait_closed, &world.server);
    } ASYNC_END_TRY
    ASYNC_END;
}

#define ANSWERS(...)                                                          \
    static const char *const answers[] = { __VA_ARGS__, NULL };               \
    script = answers
#define RUN(program) run(CO(with_server, program))
#define RUN_ALONE(program) run(CO(with_server, program, 1))

/* What a reply is, in a word or a few. */
static void say_reply(const async_redis_reply *reply)
{
    size_t i;
    switch (reply->type) {
    case ASYNC_REDIS_NIL: say("nil"); break;
    case ASYNC_REDIS_INTEGER: say("%lld", reply->integer); break;
    case ASYNC_REDIS_ARRAY:
        say("[");
        for (i = 0; i < reply->count; i++) say_reply(reply->elements[i]);
        say("]");
        break;
    default:
        say("%s%d:%s",
            reply->type == ASYNC_REDIS_STATUS  ? "+"
            : reply->type == ASYNC_REDIS_ERROR ? "-"
                                               : "$",
            (int)reply->size, reply->text);
        break;
    }
}

/* One command, and what came of it. */
struct ask {
    ASYNC_FRAME;
    const char *const *words;
    size_t count;
    async_redis_reply reply;
    int error;
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    ASYNC_TRY {
        AWAIT(async_redis_command, &redis, &self->reply,
              async__redis_texts(self->words, self->count));
        say_reply(&self->reply);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
        if (self->reply.type) say_reply(&self->reply);
    } ASYNC_FINALLY {
        async_redis_free(&self->reply);
    } ASYNC_END_TRY
    ASYNC_END;
}
static const char *const get[] = { "GET", "key" };
#define GET CO(ask, get, 2)

struct ask_times { ASYNC_FRAME; int times; };
static ASYNC(ask_times)
{
    ASYNC_BEGIN(ask_times);
    for (; self->times > 0; self->times--) AWAIT(ask, get, 2);
    ASYNC_END;
}

/* --- replies ------------------------------------------------------------- */

static void replies_have_types(void **state)
{
    (void)state;
    ANSWERS("+OK\r\n", ":-42\r\n", "$5\r\nhello\r\n", "$0\r\n\r\n", "$-1\r\n",
            "*-1\r\n", "*0\r\n", "*3\r\n:1\r\n$1\r\na\r\n*2\r\n+x\r\n$-1\r\n",
            "*2\r\n-ERR no\r\n:2\r\n",
            "*6\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n");
    RUN(CO(ask_times, 10));
    assert_said("+2:OK -42 $5:hello $0: nil nil [ ] [ 1 $1:a [ +1:x nil ] ] "
                "[ -6:ERR no 2 ] [ 1 2 3 4 5 6 ]");
}

struct binary { ASYNC_FRAME; async_redis_reply reply; async_bytes value; };
static ASYNC(binary)
{
    ASYNC_BEGIN(binary);
    self->value.data = "a\0b\r\n";
    self->value.size = 5;
    AWAIT(async_redis_command, &redis, &self->reply,
          ASYNC_REDIS_BYTES(async_redis_text("SET"), async_redis_text("k"),
                            self->value));
    assert_int_equal(world.heard_size, 31);
    assert_memory_equal(
        world.heard, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\0b\r\n\r\n", 31);
    assert_int_equal(self->reply.size, 4);
    assert_memory_equal(self->reply.text, "\r\n\0x", 5);
    async_redis_free(&self->reply);
    AWAIT(async_redis_command, &redis, NULL, ASYNC_REDIS("SET", "", "v"));
    assert_int_equal(world.heard_size, 26);
    assert_memory_equal(world.heard,
                        "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$1\r\nv\r\n", 26);
    ASYNC_END;
}
static void any_bytes_go_out_and_come_in(void **state)
{
    (void)state;
    ANSWERS("$4\r\n\r\n\0x\r\n", "+OK\r\n");
    script_sizes = 10;
    RUN(CO(binary));
}

static void errors_are_typed_and_say_what_the_server_says(void **state)
{
    (void)state;
    ANSWERS("-WRONGTYPE Operation against a key\r\n",
            "-NOAUTH Authentication required.\r\n", "-NOPERM no\r\n",
            "-ERR invalid password\r\n", "-ERR what\r\n", "+OK\r\n");
    RUN(CO(ask_times, 6));
    assert_string_equal(redis.text, "ERR what");
    assert_true(async_redis_error_is(&redis, "ERR"));
    assert_false(async_redis_error_is(&redis, "ER"));
    assert_false(async_redis_error_is(&redis, "WRONGTYPE"));
    assert_said("ASYNC_EREDIS -33:WRONGTYPE Operation against a key "
                "EACCES -31:NOAUTH Authentication required. "
                "EACCES -9:NOPERM no EACCES -20:ERR invalid password "
                "ASYNC_EREDIS -8:ERR what +2:OK");
}

/* --- what no server should say ------------------------------------------- */

static void what_is_no_reply_breaks_the_connection(void **state)
{
    static const char *const garbage[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "hello\r\n",
        "*x\r\n",
        "$y\r\n",
        "$-5\r\nabc\r\n",
        "*1\r\n?\r\n",
        "\r\n",
        ":12a\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"
    };
    size_t i;
    (void)state;
    for (i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        const char *const answers[] = { garbage[i], "+OK\r\n", NULL };
        script = answers;
        RUN(CO(ask_times, 2));
        assert_said("EPROTO EPROTO");
        assert_true(redis.text[0] != '\0');
    }
}

static void a_reply_that_nobody_has_asked_for_breaks_it(void **state)
{
    (void)state;
    ANSWERS("+OK\r\n+OK\r\n", "+OK\r\n");
    RUN(CO(ask_times, 2));
    assert_said("+2:OK EPROTO");
}

static void a_server_that_closes_is_an_error(void **state)
{
    static const char *const answers[] = { NULL };
    (void)state;
    script = answers;
    RUN(CO(ask_times, 2));
    assert_said("broken broken");
}

/* Half an answer, and then the end. */
struct half { ASYNC_FRAME; async_task *task; };
static ASYNC(half)
{
    ASYNC_BEGIN(half);
    self->task = async_create_task(CO(ask_times, 2));
    while (world.heard_size == 0) AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(async_sleep, ASYNC_MS(5));
    async_stream_writer_close(&world.client->writer);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void a_server_that_dies_in_mid_answer_is_an_error(void **state)
{
    (void)state;
    ANSWERS("*3\r\n$3\r\nabc\r\n$5\r\nhe");
    RUN(CO(half));
    assert_said("broken broken");
}

static void a_reply_has_a_limit(void **state)
{
    static const char *const large[] = {
        "*100\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
        "$900\r\n"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
    };
    size_t i;
    (void)state;
    options.limit = 512;
    for (i = 0; i < sizeof large / sizeof *large; i++) {
        const char *const answers[] = { large[i], NULL };
        script = answers;
        RUN(CO(ask_times, 2));
        assert_said("EMSGSIZE EMSGSIZE");
    }
    {
        ANSWERS("$3\r\nabc\r\n");
        RUN(CO(ask_times, 1));
        assert_said("$3:abc");
    }
    options.limit = 0;
}

/* --- commands ------------------------------------------------------------ */

struct refused { ASYNC_FRAME; int error; };
static ASYNC(refused)
{
    ASYNC_BEGIN(refused);
    SAY_AWAIT("none", async_redis_command, &redis, NULL,
              async_redis_list(NULL, 0));
    SAY_AWAIT("subscribe", async_redis_command, &redis, NULL,
              ASYNC_REDIS("subscribe", "x"));
    SAY_AWAIT("monitor", async_redis_command, &redis, NULL,
              ASYNC_REDIS("MONITOR"));
    SAY_AWAIT("client", async_redis_command, &redis, NULL,
              ASYNC_REDIS("CLIENT", "Reply", "OFF"));
    SAY_AWAIT("null", async_redis_command, &redis, NULL,
              ASYNC_REDIS("GET", NULL));
    SAY_AWAIT("channels", async_redis_subscribe, &redis,
              async_redis_list(NULL, 0));
    assert_int_equal(world.heard_size, 0);
    async_redis_close(&redis);
    async_redis_close(&redis);
    SAY_AWAIT("closed", async_redis_command, &redis, NULL,
              ASYNC_REDIS("PING"));
    ASYNC_END;
}
static void what_would_change_the_protocol_is_not_sent(void **state)
{
    (void)state;
    ANSWERS("+OK\r\n");
    RUN(CO(refused));
    assert_said(
        "none:ASYNC_EINVAL subscribe:ASYNC_EINVAL monitor:ASYNC_EINVAL "
        "client:ASYNC_EINVAL "
        "null:ASYNC_EINVAL channels:ASYNC_EINVAL closed:ASYNC_ECLOSED");
}

struct three { ASYNC_FRAME; async_gathering all; };
static ASYNC(three)
{
    ASYNC_BEGIN(three);
    AWAIT_GATHER(&self->all, GET, GET, GET);
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void tasks_share_a_connection(void **state)
{
    (void)state;
    /* however many pieces the three come in, there are three replies */
    ANSWERS(":1\r\n:2\r\n:3\r\n", "", "", "");
    RUN(CO(three));
    assert_said("1 2 3");
}

struct piped {
    ASYNC_FRAME;
    async_redis_pipeline pipeline;
    async_redis_reply reply;
    int error;
};
static ASYNC(piped)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(piped);
    AWAIT(async_redis_execute, &redis, &self->reply, &self->pipeline);
    say_reply(&self->reply);
    assert_int_equal(
        async_redis_append(&self->pipeline, loop, ASYNC_REDIS("INCR", "a")),
        0);
    assert_int_equal(
        async_redis_append(&self->pipeline, loop, ASYNC_REDIS("MONITOR")),
        ASYNC_EINVAL);
    assert_int_equal(
        async_redis_append(&self->pipeline, loop, ASYNC_REDIS("GET", "b")), 0);
    AWAIT(async_redis_execute, &redis, &self->reply, &self->pipeline);
    say_reply(&self->reply);
    assert_memory_equal(world.heard,
                        "*2\r\n$4\r\nINCR\r\n$1\r\na\r\n"
                        "*2\r\n$3\r\nGET\r\n$1\r\nb\r\n",
                        40);
    /* and nobody wants to know */
    async_redis_append(&self->pipeline, loop, ASYNC_REDIS("INCR", "a"));
    AWAIT(async_redis_execute, &redis, NULL, &self->pipeline);
    async_redis_append(&self->pipeline, loop, ASYNC_REDIS("INCR", "a"));
    async_redis_clear(&self->pipeline);
    assert_int_equal(self->pipeline.count, 0);
    async_redis_free(&self->reply);
    ASYNC_END;
}
static void a_pipeline_gets_an_array(void **state)
{
    (void)state;
    ANSWERS(":1\r\n-ERR no\r\n", ":2\r\n");
    RUN(CO(piped));
    assert_said("[ ] [ 1 -6:ERR no ]");
}

struct transacted {
    ASYNC_FRAME;
    int times;
    async_redis_pipeline pipeline;
    async_redis_reply reply;
    int error;
};
static ASYNC(transacted)
{
    ASYNC_BEGIN(transacted);
    for (; self->times > 0; self->times--) {
        async_redis_append(&self->pipeline, async_loop_of(co),
                           ASYNC_REDIS("INCR", "a"));
        async_redis_append(&self->pipeline, async_loop_of(co),
                           ASYNC_REDIS("GET", "b"));
        AWAIT_CATCH(self->error, async_redis_transaction, &redis, &self->reply,
                    &self->pipeline);
        say("%s", name_of(self->error));
        say_reply(&self->reply);
        async_redis_free(&self->reply);
    }
    SAY_AWAIT("empty", async_redis_transaction, &redis, &self->reply,
              &self->pipeline);
    async_redis_append(&self->pipeline, async_loop_of(co),
                       ASYNC_REDIS("exec"));
    SAY_AWAIT("nested", async_redis_transaction, &redis, &self->reply,
              &self->pipeline);
    ASYNC_END;
}
static void a_transaction_is_all_or_nothing(void **state)
{
    (void)state;
    ANSWERS("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$1\r\nx\r\n",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*-1\r\n",
            "+OK\r\n-ERR unknown\r\n+QUEUED\r\n-EXECABORT discarded\r\n",
            "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n-ERR later\r\n");
    RUN(CO(transacted, 4));
    assert_said(
        "ok [ 1 $1:x ] ok nil ASYNC_EREDIS -11:ERR unknown "
        "ok [ 1 -9:ERR later ] empty:ASYNC_EINVAL nested:ASYNC_EINVAL");
}

/* --- messages ------------------------------------------------------------ */

struct listening {
    ASYNC_FRAME;
    struct async_redis_messages messages;
    async_redis_message message;
    int n, error;
};
static ASYNC(listening)
{
    ASYNC_BEGIN(listening);
    AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("a", "b"));
    SAY_AWAIT("get", async_redis_command, &redis, NULL,
              ASYNC_REDIS("GET", "a"));
    self->messages = ASYNC_GENERATOR(async_redis_messages, &redis);
    ASYNC_FOR(self->message, &self->messages) {
        say("%s:%s", self->message.channel, self->message.text);
        if (++self->n == 2) break;
    } ASYNC_END_FOR
    AWAIT(async_redis_psubscribe, &redis, ASYNC_REDIS("n*"));
    self->messages = ASYNC_GENERATOR(async_redis_messages, &redis);
    ASYNC_FOR(self->message, &self->messages) {
        say("%s%s%s:%s", self->message.pattern ? self->message.pattern : "",
            self->message.pattern ? "/" : "", self->message.channel,
            self->message.text);
        if (++self->n == 4)
            AWAIT(async_redis_unsubscribe, &redis, ASYNC_REDIS("a", "b"));
        if (self->n == 4)
            AWAIT(async_redis_punsubscribe, &redis, ASYNC_REDIS("n*"));
    } ASYNC_END_FOR
    AWAIT(ask, get, 2);
    ASYNC_END;
}
static void messages_come_as_a_generator(void **state)
{
    (void)state;
    ANSWERS("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\none\r\n"
            "*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n"
            "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$3\r\ntwo\r\n"
            "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$5\r\nthree\r\n",
            "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:3\r\n"
            "*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$2\r\nn1\r\n$4\r\nfour\r\n",
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:2\r\n"
            "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$4\r\nfive\r\n"
            "*3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:1\r\n",
            "*3\r\n$12\r\npunsubscribe\r\n$2\r\nn*\r\n:0\r\n",
            "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$1\r\nx\r\n");
    RUN(CO(listening));
    assert_said("get:ASYNC_EINVALSTATE a:one b:two b:three n*/n1:four b:five "
                "[ $7:message $1:b $1:x ]");
}

struct flooded {
    ASYNC_FRAME;
    struct async_redis_messages messages;
    async_redis_message message;
    int i;
};
static ASYNC(flooded)
{
    /* 50 messages of 400 KB: more than sockets hold */
    static char text[400000];
    static const char head[] = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$400000\r\n";
    ASYNC_BEGIN(flooded);
    AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("a"));
    for (; self->i < 50; self->i++) {
        async_stream_writer_write(&world.client->writer, head,
                                  sizeof head - 1);
        async_stream_writer_write(&world.client->writer, text, sizeof text);
        async_stream_writer_write(&world.client->writer, "\r\n", 2);
        AWAIT(async_sleep, 0);
    }
    AWAIT(async_sleep, ASYNC_MS(50));
    assert_true(async_transport_get_write_buffer_size(
                    &world.client->transport.base) > 1000000);
    assert_true(redis.waiting < ASYNC_REDIS_WINDOW + 500000);
    self->i = 0;
    self->messages = ASYNC_GENERATOR(async_redis_messages, &redis);
    ASYNC_FOR(self->message, &self->messages) {
        assert_int_equal(self->message.size, 400000);
        if (++self->i == 50) break;
    } ASYNC_END_FOR
    say("%d", self->i);
    ASYNC_END;
}
static void messages_that_nobody_reads_hold_the_server_back(void **state)
{
    (void)state;
    ANSWERS("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    RUN(CO(flooded));
    assert_said("50");
}

struct lost {
    ASYNC_FRAME;
    struct async_redis_messages messages;
    async_redis_message message;
    int error;
};
static ASYNC(lost)
{
    ASYNC_BEGIN(lost);
    SAY_AWAIT("sub", async_redis_subscribe, &redis, ASYNC_REDIS("a", "b"));
    async_stream_writer_close(&world.client->writer);
    self->messages = ASYNC_GENERATOR(async_redis_messages, &redis);
    ASYNC_TRY {
        ASYNC_FOR(self->message, &self->messages) {
            say("%s", self->message.text);
        } ASYNC_END_FOR
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
static void messages_end_with_what_breaks_the_connection(void **state)
{
    (void)state;
    ANSWERS("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n-NOPERM b\r\n"
            "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\none\r\n");
    RUN(CO(lost));
    assert_said("sub:EACCES one broken");
}

/* --- connecting ---------------------------------------------------------- */

static async_duration span = ASYNC_SECONDS(30);

struct connects { ASYNC_FRAME; int error; async_timeout limit; };
static ASYNC(connects)
{
    ASYNC_BEGIN(connects);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, span) {
            AWAIT(async_redis_connect, &redis, options);
        } ASYNC_END_TIMEOUT
        say("open %s", name_of(async_redis_is_open(&redis) ? 0 : -1));
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s (%s)", name_of(self->error), async_redis_error(&redis));
    } ASYNC_END_TRY
    async_redis_close(&redis);
    ASYNC_END;
}

static void a_connection_says_who_it_is(void **state)
{
    (void)state;
    options.user = "me";
    options.password = "secret";
    options.name = "test";
    options.database = 3;
    {
        ANSWERS("+OK\r\n+OK\r\n+OK\r\n");
        RUN_ALONE(CO(connects));
    }
    assert_said("open ok");
    world.heard[world.heard_size] = '\0';
    assert_string_equal(world.heard,
                        "*3\r\n$4\r\nAUTH\r\n$2\r\nme\r\n$6\r\nsecret\r\n"
                        "*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$4\r\ntest\r\n"
                        "*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n");
    {
        ANSWERS("-WRONGPASS invalid\r\n-NOAUTH\r\n-NOAUTH\r\n");
        RUN_ALONE(CO(connects));
    }
    assert_said("EACCES (WRONGPASS invalid)");
    {
        ANSWERS("+OK\r\n+OK\r\n-ERR DB index is out of range\r\n");
        RUN_ALONE(CO(connects));
    }
    assert_said("ASYNC_EREDIS (ERR DB index is out of range)");
    {
        ANSWERS("SSH-2.0-OpenSSH\r\n");
        RUN_ALONE(CO(connects));
        unit_begin(NULL);
    }
    {
        ANSWERS("+OK\r\n"); /* and then nothing more */
        span = ASYNC_MS(200);
        RUN_ALONE(CO(connects));
        span = ASYNC_SECONDS(30);
    }
    assert_said("ASYNC_ETIMEDOUT ()");
    memset(&options, 0, sizeof options);
}

struct nobody { ASYNC_FRAME; int error; };
static ASYNC(nobody)
{
    ASYNC_BEGIN(nobody);
    memset(&redis, 0, sizeof redis);
    SAY_AWAIT("path", async_redis_connect, &redis,
              { .path = "/nonexistent/redis.sock" });
    SAY_AWAIT("port", async_redis_connect, &redis, { .port = 1 });
    SAY_AWAIT("closed", async_redis_command, &redis, NULL,
              ASYNC_REDIS("PING"));
    ASYNC_END;
}
static void nobody_there_is_an_error(void **state)
{
    (void)state;
    run(CO(nobody));
    assert_said("path:ENOENT port:ECONNREFUSED closed:ASYNC_ECLOSED");
}

/* --- cancelling ---------------------------------------------------------- */

/* Cancels a task when it has waited through so many turns of the loop. */
struct cancelling {
    ASYNC_FRAME;
    async_object object;
    int turns;
    async_task *task;
    int error;
};
static ASYNC(cancelling)
{
    ASYNC_BEGIN(cancelling);
    self->task = async_create_task(self->object);
    for (; self->turns > 0; self->turns--) AWAIT(async_sleep, 0);
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_END;
}

struct cancelled_then { ASYNC_FRAME; int turns; };
static ASYNC(cancelled_then)
{
    ASYNC_BEGIN(cancelled_then);
    AWAIT(cancelling, GET, self->turns);
    unit_begin(NULL);
    AWAIT(ask, get, 2);
    AWAIT(ask, get, 2);
    ASYNC_END;
}
static void a_reply_that_nobody_wants_any_more_is_thrown_away(void **state)
{
    int turns;
    (void)state;
    each_command = 1;
    for (turns = 1; turns < 8; turns++) {
        ANSWERS(":1\r\n", ":2\r\n", ":3\r\n");
        RUN(CO(cancelled_then, turns));
        /* each of them is sent; the replies of the others arrive in turn */
        assert_said("2 3");
    }
    each_command = 0;
}

struct middle { ASYNC_FRAME; async_task *first, *second, *third; int error; };
static ASYNC(middle)
{
    ASYNC_BEGIN(middle);
    self->first = async_create_task(GET);
    self->second = async_create_task(GET);
    self->third = async_create_task(GET);
    AWAIT(async_sleep, 0);
    async_task_cancel(self->second);
    AWAIT(say_end, self->second, "second");
    async_stream_writer_write(&world.client->writer, ":1\r\n:2\r\n:3\r\n", 12);
    AWAIT_JOIN(self->first);
    AWAIT_JOIN(self->third);
    ASYNC_END;
}
static void cancelling_one_of_several_leaves_the_others_theirs(void **state)
{
    (void)state;
    ANSWERS("", "", "");
    RUN(CO(middle));
    assert_said("ASYNC_ECANCELED second:ok 1 3");
}

static void connecting_can_be_cancelled_at_every_step(void **state)
{
    int turns;
    (void)state;
    options.password = "x";
    for (turns = 0; turns < 12; turns++) {
        ANSWERS("+OK\r\n", "+OK\r\n");
        RUN_ALONE(CO(cancelling, CO(connects), turns));
        async_redis_close(&redis);
    }
    options.password = NULL;
    unit_begin(NULL);
}

struct closes { ASYNC_FRAME; async_task *task; };
static ASYNC(closes)
{
    ASYNC_BEGIN(closes);
    self->task = async_create_task(GET);
    AWAIT(async_sleep, ASYNC_MS(2));
    async_redis_close(&redis);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void closing_ends_who_waits(void **state)
{
    (void)state;
    ANSWERS("", "");
    RUN(CO(closes));
    assert_said("ASYNC_ECLOSED");
}

/* --- pools --------------------------------------------------------------- */

static async_redis_pool pool;
static async_net_pool_options limits;

struct borrow {
    ASYNC_FRAME;
    const char *name;
    async_redis *redis;
    async_redis_reply reply;
    int error;
};
static ASYNC(borrow)
{
    ASYNC_BEGIN(borrow);
    ASYNC_TRY {
        AWAIT_INTO(self->redis, async_redis_acquire, &pool);
        AWAIT(async_redis_command, self->redis, &self->reply,
              ASYNC_REDIS("GET", "a"));
        say("%s:%lld", self->name, self->reply.integer);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s:%s", self->name, name_of(self->error));
    } ASYNC_FINALLY {
        async_redis_free(&self->reply);
        async_redis_release(&pool, self->redis);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct pooled {
    ASYNC_FRAME;
    async_gathering all;
    async_task *task;
    int error;
};
static ASYNC(pooled)
{
    ASYNC_BEGIN(pooled);
    memset(&pool, 0, sizeof pool);
    limits.max_size = 1;
    assert_int_equal(
        async_redis_pool_open(&pool, async_loop_of(co), &options, &limits), 0);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(borrow, "a"), CO(borrow, "b"),
                     CO(borrow, "c"));
        async_gather_clear(&self->all);
        say("connections:%d", world.connections);
        AWAIT(borrow, "d"); /* the server closes */
        AWAIT(borrow, "e"); /* another connection */
        say("connections:%d", world.connections);
        /* the server closes while nobody uses it */
        async_stream_writer_close(&world.client->writer);
        AWAIT(async_sleep, ASYNC_MS(5));
        AWAIT(borrow, "f");
        say("connections:%d idle:%d", world.connections,
            (int)async_net_pool_idle(&pool.pool));
        /* one that is given up with a reply outstanding is not lent again */
        self->task = async_create_task(CO(borrow, "g"));
        AWAIT(async_sleep, ASYNC_MS(5));
        async_task_cancel(self->task);
        AWAIT(say_end, self->task, "g");
        say("idle:%d", (int)async_net_pool_idle(&pool.pool));
    } ASYNC_FINALLY {
        async_redis_pool_close(&pool);
    } ASYNC_END_TRY
    AWAIT(borrow, "h");
    ASYNC_END;
}
static void a_pool_lends_and_replaces_connections(void **state)
{
    (void)state;
    /* the fourth is no reply: the connection breaks */
    ANSWERS(":1\r\n", ":2\r\n", ":3\r\n", "oops\r\n", ":5\r\n", ":6\r\n", "");
    RUN_ALONE(CO(pooled));
    assert_said("a:1 b:2 c:3 connections:1 d:EPROTO e:5 connections:2 f:6 "
                "connections:3 idle:1 g:ASYNC_ECANCELED idle:0 "
                "h:ASYNC_ECLOSED");
}

/* --- memory, and the end of the loop ------------------------------------- */

struct everything {
    ASYNC_FRAME;
    async_redis_pipeline pipeline;
    async_redis_reply reply;
    struct async_redis_messages messages;
    async_redis_message message;
};
static ASYNC(everything)
{
    int error;
    ASYNC_BEGIN(everything);
    ASYNC_TRY {
        AWAIT(async_redis_connect, &redis, options);
        AWAIT(async_redis_command, &redis, &self->reply,
              ASYNC_REDIS("GET", "a"));
        error = async_redis_append(&self->pipeline, async_loop_of(co),
                                   ASYNC_REDIS("GET", "a"));
        if (error) ASYNC_RAISE(error);
        AWAIT(async_redis_execute, &redis, &self->reply, &self->pipeline);
        AWAIT(async_redis_subscribe, &redis, ASYNC_REDIS("a"));
        self->messages = ASYNC_GENERATOR(async_redis_messages, &redis);
        ASYNC_FOR(self->message, &self->messages) {
            break;
        } ASYNC_END_FOR
    } ASYNC_FINALLY {
        async_redis_clear(&self->pipeline);
        async_redis_free(&self->reply);
        async_redis_close(&redis);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void no_memory_is_an_error(void **state)
{
    (void)state;
    RUN_REFUSING_EACH(
        ANSWERS("*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n$3\r\nabc\r\n", ":1\r\n",
                "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n"
                "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$3\r\none\r\n"),
        CO(with_server, CO(everything), 1), UV_ECONNRESET);
}

static void a_loop_may_be_closed_with_all_of_it_open(void **state)
{
    async_uv_loop loop;
    async_handle stopper;
    int i;
    (void)state;
    for (i = 0; i < 2; i++) {
        ANSWERS("", "", "");
        memory_begin();
        async_uv_loop_init(&loop, NULL, &counting_allocator);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        async_task_release(async_loop_create_task(
            &loop.base,
            i ? CO(with_server, CO(pooled), 1) : CO(with_server, GET)));
        memset(&stopper, 0, sizeof stopper);
        async_loop_call_later(&loop.base, &stopper, ASYNC_MS(30), stop,
                              &loop.base);
        async_loop_run_forever(&loop.base);
        async_loop_close(&loop.base);
        assert_int_equal(memory.live, 0);
    }
    unit_begin(NULL);
}

UNIT_MAIN(TEST(replies_have_types), TEST(any_bytes_go_out_and_come_in),
          TEST(errors_are_typed_and_say_what_the_server_says),
          TEST(what_is_no_reply_breaks_the_connection),
          TEST(a_reply_that_nobody_has_asked_for_breaks_it),
          TEST(a_server_that_closes_is_an_error),
          TEST(a_server_that_dies_in_mid_answer_is_an_error),
          TEST(a_reply_has_a_limit),
          TEST(what_would_change_the_protocol_is_not_sent),
          TEST(tasks_share_a_connection), TEST(a_pipeline_gets_an_array),
          TEST(a_transaction_is_all_or_nothing),
          TEST(messages_come_as_a_generator),
          TEST(messages_that_nobody_reads_hold_the_server_back),
          TEST(messages_end_with_what_breaks_the_connection),
          TEST(a_connection_says_who_it_is), TEST(nobody_there_is_an_error),
          TEST(a_reply_that_nobody_wants_any_more_is_thrown_away),
          TEST(cancelling_one_of_several_leaves_the_others_theirs),
          TEST(connecting_can_be_cancelled_at_every_step),
          TEST(closing_ends_who_waits),
          TEST(a_pool_lends_and_replaces_connections),
          TEST(no_memory_is_an_error),
          TEST(a_loop_may_be_closed_with_all_of_it_open))
