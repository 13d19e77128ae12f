/* link: -luv -lssl -lcrypto llhttp */
/* The HTTP server: what it answers, what it refuses, its times and its end. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/http_server.h"
#include "../../async/net/tls.h"
#include "../../async/test/virtual.h"

#include "../fuzz/memory_transport.h"
#include "io.h"

#include "certificates.h"

/* --- helpers --------------------------------------------------------------- */

/* A client in memory: strings that it sends, in pieces, and between them
 *   "@100"     so many milliseconds pass; "@0" an iteration
 *   "!eof"     it ends its direction
 *   "!gone"    the connection breaks
 *   "!stall"   it does not read, "!read" it does again
 *   "!cancel"  the server's task is cancelled
 * What it hears is said without the date, "\r\n" as '|'. */
static async_web_options options;
static async_web_server web;
static memory_transport client;
static char big[20000];

static int broken_connection(void *unused)
{
    (void)unused;
    client.base.closing = 1;
    memory_lost(&client);
    return 0;
}

static void say_answers(void)
{
    static char text[sizeof client.out];
    size_t i, n = 0;
    for (i = 0; i < client.written && i < sizeof client.out; i++) {
        if (client.out[i] == '\r') continue;
        if (client.written - i > 37 &&
            memcmp(client.out + i, "Date: ", 6) == 0) {
            assert_memory_equal(client.out + i + 31, " GMT\r\n", 6);
            i += 36;
            continue;
        }
        text[n++] = client.out[i] == '\n' ? '|' : client.out[i];
    }
    if (n > 3000) n = 3000;
    if (n > 0) say("%.*s", (int)n, text);
    client.written = 0;
}

/* The handler: what it does is in the path. */
struct app {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
    int shift;
    async_bytes bytes;
    size_t i;
    int error;
};
static ASYNC(app);

struct child { ASYNC_FRAME; async_web_request *request; async_bytes bytes; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    AWAIT_INTO(self->bytes, async_web_read, self->request);
    ASYNC_END;
}

static int is(const struct app *self, const char *path)
{
    return self->request->path.size == strlen(path) &&
           memcmp(self->request->path.data, path, strlen(path)) == 0;
}

static ASYNC(app)
{
    ASYNC_BEGIN(app);
    if (is(self, "/all")) {
        AWAIT_INTO(self->bytes, async_web_read_all, self->request,
                   self->request->query.size > 0 ? 10 : 0);
        async_web_respond(self->response, 200, NULL, self->bytes.data,
                          self->bytes.size);
    } else if (is(self, "/echo")) {
        for (;;) {
            AWAIT_INTO(self->bytes, async_web_read, self->request);
            if (self->bytes.size == 0) break;
            AWAIT(async_web_write, self->response, self->bytes.data,
                  self->bytes.size);
        }
        if (self->error) ASYNC_RAISE(self->error);
    } else if (is(self, "/count")) {
        for (;;) {
            AWAIT_INTO(self->bytes, async_web_read, self->request);
            if (self->bytes.size == 0) break;
            self->i += self->bytes.size;
        }
        say("%d bytes", (int)self->i);
        async_web_respond(self->response, 204, NULL, NULL, 0);
    } else if (is(self, "/describe")) {
        say("%s <%.*s> <%.*s> <%.*s> 1.%d %s %d", self->request->method,
            (int)self->request->target.size, self->request->target.data,
            (int)self->request->path.size, self->request->path.data,
            (int)self->request->query.size, self->request->query.data,
            self->request->version,
            self->request->keep_alive ? "stays" : "goes",
            (int)self->request->content_length);
        for (; self->i < self->request->header_count; self->i++)
            say("%.*s=<%.*s>", (int)self->request->headers[self->i].name.size,
                self->request->headers[self->i].name.data,
                (int)self->request->headers[self->i].value.size,
                self->request->headers[self->i].value.data);
        self->bytes = async_web_header_of(self->request, "HOST");
        say("host <%.*s>", (int)self->bytes.size, self->bytes.data);
        say("%d", async_web_header_of(self->request, "none").data == NULL);
        say("%d", async_web_is(self->request, "GET", "/describe"));
        async_web_respond(self->response, 204, NULL, NULL, 0);
    } else if (is(self, "/chunks")) {
        for (; self->i < 3; self->i++)
            AWAIT(async_web_write, self->response, "0123456789abcdef",
                  self->i == 1 ? 0 : 16 - self->i);
    } else if (is(self, "/slow_chunks")) {
        AWAIT(async_web_write, self->response, "one", 3);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("then");
        AWAIT(async_web_write, self->response, "two", 3);
    } else if (is(self, "/slow_answer")) {
        async_web_respond(self->response, 200, NULL, "at once", 7);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("later");
    } else if (is(self, "/sized")) {
        self->response->status = 201;
        self->response->content_length = 6;
        async_web_add_header(self->response, "Content-Type", "text/x");
        AWAIT(async_web_write, self->response, "abc", 3);
        AWAIT_CATCH(self->error, async_web_write, self->response, "defg", 4);
        say("%s", name_of(self->error));
        AWAIT(async_web_write, self->response, "def", 3);
    } else if (is(self, "/short")) {
        self->response->content_length = 6;
        AWAIT(async_web_write, self->response, "abc", 3);
    } else if (is(self, "/fail")) {
        ASYNC_RAISE(ASYNC_EINVAL);
    } else if (is(self, "/fail_late")) {
        AWAIT(async_web_write, self->response, "abc", 3);
        ASYNC_RAISE(ASYNC_EINVAL);
    } else if (is(self, "/nothing")) {
        /* It forgets to. */
    } else if (is(self, "/twice")) {
        async_web_respond(self->response, 200, NULL, "1", 1);
        say("%s",
            name_of(async_web_respond(self->response, 200, NULL, "", 0)));
        AWAIT_CATCH(self->error, async_web_write, self->response, "2", 1);
        say("%s", name_of(self->error));
        say("%s", name_of(async_web_add_header(self->response, "A", "b")));
    } else if (is(self, "/headers")) {
        say("%s", name_of(async_web_add_header(self->response, "A", "b")));
        say("%s", name_of(async_web_add_header(self->response, "A", "c\td")));
        say("%s",
            name_of(async_web_add_header(self->response, "A", "b\r\nC: d")));
        say("%s", name_of(async_web_add_header(self->response, "A", "b\n")));
        say("%s",
            name_of(async_web_add_header(self->response, "A: b\r\nC", "d")));
        say("%s", name_of(async_web_add_header(self->response, "", "d")));
        say("%s", name_of(async_web_add_header(self->response,
                                               "Content-LENGTH", "1")));
        say("%s", name_of(async_web_add_header(self->response,
                                               "transfer-encoding", "x")));
        say("%s", name_of(async_web_respond(self->response, 200, "a\r\nb: c",
                                            "", 0)));
        say("%s", name_of(async_web_respond(self->response, 99, NULL, "", 0)));
        say("%s",
            name_of(async_web_respond(self->response, 299, NULL, "", 0)));
    } else if (is(self, "/sleep")) {
        ASYNC_TRY {
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            async_web_respond(self->response, 200, NULL, "slept", 5);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            say("cancelled");
            ASYNC_RAISE(ASYNC_ECANCELED);
        } ASYNC_END_TRY
    } else if (is(self, "/stubborn")) {
        ASYNC_TRY {
            AWAIT(async_sleep, ASYNC_SECONDS(1));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            self->error = async_web_respond(self->response, 503, NULL, "", 0);
            say("stays:%s", name_of(self->error));
        } ASYNC_END_TRY
    } else if (is(self, "/big")) {
        async_web_respond(self->response, 200, NULL, big, sizeof big);
    } else if (is(self, "/flood")) {
        for (; self->i < 5; self->i++) {
            AWAIT_CATCH(self->error, async_web_write, self->response, big,
                        sizeof big);
            say("%s", name_of(self->error));
            if (self->error) ASYNC_RAISE(self->error);
        }
    } else if (is(self, "/two_readers")) {
        static struct {
            async_task *task;
        } of;
        of.task = async_create_task(CO(child, self->request));
        AWAIT(async_sleep, ASYNC_MS(1));
        AWAIT_CATCH_INTO(self->error, self->bytes, async_web_read,
                         self->request);
        say("%s", name_of(self->error));
        AWAIT_JOIN(of.task);
        async_web_respond(self->response, 200, NULL, "", 0);
    } else if (is(self, "/close")) {
        self->response->close = 1;
        async_web_respond(self->response, 200, NULL, "", 0);
    } else if (is(self, "/caught")) {
        AWAIT_CATCH_INTO(self->error, self->bytes, async_web_read_all,
                         self->request, 0);
        say("%s", name_of(self->error));
        async_web_respond(self->response, 418, NULL, "", 0);
    } else {
        async_web_respond(self->response, 200, NULL, "hello", 5);
    }
    ASYNC_END;
}

/* The task of the server's end; and when it is to be cancelled by itself: in
 * which iteration from the beginning on, or never. */
static async_task *serving;
static int cancel_at = -1, cancelled_it;
struct canceller { ASYNC_FRAME; int i; };
static ASYNC(canceller)
{
    ASYNC_BEGIN(canceller);
    for (; self->i < cancel_at; self->i++) ASYNC_SUSPEND;
    if (serving != NULL) cancelled_it = async_task_cancel(serving);
    ASYNC_END;
}

struct talk {
    ASYNC_FRAME;
    const char *const *words;
    async_task *task;
    const char *word;
    size_t size, took;
    int tries;
};
static ASYNC(talk)
{
    ASYNC_BEGIN(talk);
    memory_transport_init(&client, async_get_running_loop());
    memset(&web, 0, sizeof web);
    if (async_web_init(&web, ASYNC_WEB_HANDLER(app, 0), &options) != 0)
        ASYNC_RAISE(ASYNC_ENOMEM);
    self->task =
        async_create_task(CO(async_web_serve, NULL, &web, &client.base));
    serving = self->task;
    if (cancel_at >= 0) async_task_release(async_create_task(CO(canceller)));
    ASYNC_TRY {
        if (self->task == NULL) ASYNC_RAISE(ASYNC_ENOMEM);
        AWAIT(async_sleep, 0);
        for (; *self->words != NULL; self->words++) {
            self->word = *self->words;
            if (*self->word == '@') {
                AWAIT(async_sleep, ASYNC_MS(atoi(self->word + 1)));
            } else if (strcmp(self->word, "!eof") == 0) {
                memory_end(&client);
            } else if (strcmp(self->word, "!gone") == 0) {
                if (!client.base.closing) broken_connection(NULL);
            } else if (strcmp(self->word, "!stall") == 0) {
                client.stalled = 1;
            } else if (strcmp(self->word, "!read") == 0) {
                client.stalled = 0;
                async_transport_buffered(&client.base);
            } else if (strcmp(self->word, "!cancel") == 0) {
                async_task_cancel(self->task);
            } else {
                self->size = strlen(self->word);
                for (self->tries = 0; self->size > 0 && self->tries < 20;
                     self->tries++) {
                    self->took = memory_feed(&client, self->word, self->size);
                    self->word += self->took;
                    self->size -= self->took;
                    if (client.stalled) async_transport_buffered(&client.base);
                    if (self->size > 0) AWAIT(async_sleep, 0);
                }
                if (self->size > 0) say("(%d not taken)", (int)self->size);
                AWAIT(async_sleep, 0);
                AWAIT(async_sleep, 0);
            }
            if (client.stalled) async_transport_buffered(&client.base);
            say_answers();
        }
        if (client.lost || client.base.closing) say("closed");
    } ASYNC_FINALLY {
        __atomic_store_n(&memory.refuse, 0, __ATOMIC_RELAXED);
        serving = NULL;
        AWAIT(async_web_stop, &web, ASYNC_SECONDS(500));
        AWAIT(async_sleep, ASYNC_MS(1)); /* until the transport has told */
        async_task_release(self->task);
    } ASYNC_END_TRY
    assert_true(client.lost || memory.refused);
    ASYNC_END;
}
static int run_virtual(async_object program, long at, long refuse)
{
    async_virtual_loop loop;
    int error;
    memory_begin();
    memory_refuse_later(at, refuse);
    async_virtual_loop_init(&loop, &counting_allocator);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    error = async_loop_run_until_complete(&loop.base, program);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
    return error;
}
#define HEARS(...)                                                            \
    do {                                                                      \
        const char *const sent[] = { __VA_ARGS__, NULL };                     \
        assert_int_equal(run_virtual(CO(talk, sent), 0, 0), 0);               \
    } while (0)

/* Of a long story the first words are compared, or what is behind the x of a
 * long body. */
#define assert_begins(story)                                                  \
    do {                                                                      \
        unit_said[sizeof(story) - 1] = '\0';                                  \
        assert_said(story);                                                   \
    } while (0)
#define assert_ends(story)                                                    \
    do {                                                                      \
        const char *behind = strrchr(unit_said, 'x');                         \
        assert_non_null(behind);                                              \
        memmove(unit_said, behind, strlen(behind) + 1);                       \
        assert_said(story);                                                   \
    } while (0)

static int begin(void **state)
{
    memset(&options, 0, sizeof options);
    memset(big, 'x', sizeof big);
    return unit_begin(state);
}
#undef TEST
#define TEST(name) cmocka_unit_test_setup(name, begin)

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define POST(path, headers)                                                   \
    "POST " path " HTTP/1.1\r\nHost: a\r\n" headers "\r\n\r\n"
#define CHUNKED "Transfer-Encoding: chunked"
#define HELLO "HTTP/1.1 200 OK|Content-Length: 5||hello"
#define CLOSING(status, reason, size)                                         \
    "HTTP/1.1 " status " " reason "|Content-Type: text/plain|"                \
    "Content-Length: " size "|Connection: close||" reason "|"
#define BAD CLOSING("400", "Bad Request", "12")

/* --- requests -------------------------------------------------------------- */

static void a_request_is_answered(void **s)
{
    (void)s;
    HEARS(GET("/"));
    assert_said(HELLO);
}
static void the_handler_sees_what_was_asked(void **s)
{
    (void)s;
    HEARS("GET /describe?a=b?c HTTP/1.1\r\nHost: x:80\r\nA:  b c \t\r\n"
          "Empty:\r\n\r\n");
    assert_said("GET </describe?a=b?c> </describe> <a=b?c> 1.1 stays 0 "
                "Host=<x:80> A=<b c> Empty=<> host <x:80> 1 1 "
                "HTTP/1.1 204 No Content||");
}
static void bytes_may_come_one_by_one(void **s)
{
    (void)s;
    HEARS("G", "E", "T", " ", "/", " ", "H", "TTP/1.1\r", "\n", "Host", ":",
          " a\r", "\n\r", "\n");
    assert_said(HELLO);
}
static void a_connection_is_kept_and_answers_are_in_order(void **s)
{
    (void)s;
    HEARS(GET("/"), GET("/close"));
    assert_said(
        HELLO " HTTP/1.1 200 OK|Content-Length: 0|Connection: close|| closed");
}
static void pipelined_requests_are_answered_in_one_write(void **s)
{
    (void)s;
    HEARS(GET("/sleep") GET("/") GET("/describe"), "@2000");
    assert_said("GET </describe> </describe> <> 1.1 stays 0 Host=<a> host <a> "
                "1 1 HTTP/1.1 200 OK|Content-Length: 5||slept" HELLO
                "HTTP/1.1 204 No Content||");
}
static void many_pipelined_requests_do_not_fill_memory(void **s)
{
    char many[200 * sizeof GET("/") + 1];
    size_t i;
    (void)s;
    many[0] = '\0';
    for (i = 0; i < 200; i++) strcat(many, GET("/"));
    options.server.limit = 0;
    {
        const char *words[] = { many, "@0", "@0", NULL };
        assert_int_equal(run_virtual(CO(talk, words), 0, 0), 0);
    }
    assert_begins("HTTP/1.1 200");
}
static void an_empty_line_before_a_request_is_none_of_it(void **s)
{
    (void)s;
    HEARS("\r\n" GET("/"), "\r", "\n", GET("/"));
    assert_said(HELLO " " HELLO);
}
static void http_1_0_is_closed_unless_it_asks(void **s)
{
    (void)s;
    HEARS("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          "GET / HTTP/1.0\r\n\r\n");
    assert_said(
        "HTTP/1.1 200 OK|Content-Length: 5|Connection: keep-alive||hello "
        "HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello "
        "closed");
}
static void connection_close_is_heeded(void **s)
{
    (void)s;
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_said("HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello "
                "closed");
}
static void head_has_the_head_alone(void **s)
{
    (void)s;
    HEARS("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
          "HEAD /chunks HTTP/1.1\r\nHost: a\r\n\r\n", GET("/"));
    assert_said("HTTP/1.1 200 OK|Content-Length: 5|| "
                "HTTP/1.1 200 OK|Transfer-Encoding: chunked|| " HELLO);
}
static void an_upgrade_is_not_agreed_to(void **s)
{
    (void)s;
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
          "Upgrade: websocket\r\n\r\n",
          GET("/"));
    assert_said(HELLO " " HELLO);
}

/* --- bodies ---------------------------------------------------------------- */

static void a_body_with_a_length_is_read(void **s)
{
    (void)s;
    HEARS(POST("/all", "Content-Length: 5") "hel", "lo" GET("/"));
    assert_said("HTTP/1.1 200 OK|Content-Length: 5||hello" HELLO);
}
static void a_body_in_chunks_is_read(void **s)
{
    (void)s;
    HEARS(POST("/all", CHUNKED) "5\r\nhello\r\n", "6;a=b\r\n wor",
          "ld\r\n0\r\n", "Trailer: x\r\n\r\n" GET("/"));
    assert_said("HTTP/1.1 200 OK|Content-Length: 11||hello world" HELLO);
}
static void a_body_is_read_as_it_comes(void **s)
{
    (void)s;
    HEARS(POST("/echo", "Content-Length: 6") "abc", "def", GET("/"));
    assert_said("HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|abc| "
                "3|def|0|| " HELLO);
}
static void a_long_body_holds_the_client_back(void **s)
{
    char words[100001];
    (void)s;
    memset(words, 'b', 100000);
    words[100000] = '\0';
    HEARS(POST("/sleep", "Content-Length: 100000"), words);
    /* what lies in the buffer, and nothing more until somebody reads */
    assert_said("(95961 not taken)");
}
static void a_long_body_is_read_in_pieces(void **s)
{
    char words[100001];
    (void)s;
    memset(words, 'b', 100000);
    words[100000] = '\0';
    HEARS(POST("/count", "Content-Length: 100000"), words, GET("/"));
    assert_said("100000 bytes HTTP/1.1 204 No Content|| " HELLO);
}
static void what_comes_behind_a_long_body_is_the_next_request(void **s)
{
    char words[60200];
    (void)s;
    memset(words, 'b', 60000);
    strcpy(words + 60000, GET("/") GET("/"));
    HEARS(POST("/count", "Content-Length: 60000"), words);
    assert_said("60000 bytes HTTP/1.1 204 No Content||" HELLO HELLO);
}
static void who_expects_is_told_to_go_on(void **s)
{
    (void)s;
    HEARS(POST("/all", "Expect: 100-continue\r\nContent-Length: 2"), "ab");
    assert_said("HTTP/1.1 100 Continue|| "
                "HTTP/1.1 200 OK|Content-Length: 2||ab");
}
static void who_expects_and_is_not_asked_is_closed(void **s)
{
    (void)s;
    HEARS(POST("/", "Expect: 100-continue\r\nContent-Length: 2"), "@3000");
    assert_said("HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello "
                "closed");
}
static void other_expectations_are_refused(void **s)
{
    (void)s;
    HEARS(POST("/", "Expect: wonders\r\nContent-Length: 2"));
    assert_said(CLOSING("417", "Expectation Failed", "19"));
}
static void a_body_nobody_reads_is_dropped(void **s)
{
    (void)s;
    HEARS(POST("/", "Content-Length: 4") "ab", "cd" GET("/"),
          POST("/", CHUNKED) "3\r\nabc\r\n", "0\r\n\r\n" GET("/"));
    assert_said(HELLO " " HELLO " " HELLO " " HELLO);
}
static void a_long_body_nobody_reads_ends_the_connection(void **s)
{
    (void)s;
    HEARS(POST("/", "Content-Length: 100000"), "abc", "@3000");
    assert_said("HTTP/1.1 200 OK|Content-Length: 5|Connection: close||hello "
                "closed");
}
static void endless_chunks_nobody_reads_end_the_connection(void **s)
{
    char chunk[10010];
    (void)s;
    strcpy(chunk, "2710\r\n");
    memset(chunk + 6, 'c', 10000);
    strcpy(chunk + 10006, "\r\n");
    HEARS(POST("/", CHUNKED), chunk, chunk, chunk, chunk, chunk, chunk, chunk,
          "@3000");
    assert_said(HELLO " closed");
}
static void a_body_may_be_too_long(void **s)
{
    (void)s;
    options.max_body = 10;
    HEARS(POST("/all", "Content-Length: 11"), "@3000");
    HEARS(POST("/all", CHUNKED) "8\r\n12345678\r\n8\r\n12345678\r\n");
    options.max_body = 0;
    HEARS(POST("/all?limit", "Content-Length: 11"));
    HEARS(POST("/all?limit", CHUNKED) "8\r\n12345678\r\n8\r\n12345678\r\n");
    HEARS(POST("/all?limit", "Content-Length: 10") "1234567890");
    assert_said(CLOSING("413", "Content Too Large", "18") " closed " CLOSING(
        "413", "Content Too Large",
        "18") " " CLOSING("413", "Content Too Large",
                          "18") " " CLOSING("413", "Content Too Large",
                                            "18") " "
                                                  "HTTP/1.1 200 "
                                                  "OK|Content-Length: "
                                                  "10||1234567890");
}
static void a_body_that_is_none_is_refused(void **s)
{
    (void)s;
    HEARS(POST("/all", CHUNKED) "5\r\nhelloXX");
    HEARS(POST("/all", CHUNKED) "x\r\n");
    HEARS(POST("/all", CHUNKED) "5\n");
    HEARS(POST("/all", CHUNKED) "-5\r\n");
    HEARS(POST("/all", CHUNKED) "FFFFFFFFFFFFFFFFF\r\n");
    HEARS(POST("/caught", CHUNKED) "5 \r\n", "@3000");
    HEARS(POST("/echo", CHUNKED) "1\r\na\r\n", "x\r\n");
    assert_said(BAD " " BAD " " BAD " " BAD " " BAD
                    " ASYNC_EHTTP HTTP/1.1 418 I'm a teapot|Content-Length: 0|"
                    "Connection: close|| closed "
                    "HTTP/1.1 200 OK|Transfer-Encoding: chunked||1|a| closed");
}
static void endless_extensions_of_a_chunk_are_refused(void **s)
{
    char words[2001];
    (void)s;
    memset(words, 'e', 2000);
    words[2000] = '\0';
    options.max_head = 5000;
    HEARS(POST("/all", CHUNKED) "5;", words, words, words);
    assert_said(BAD);
}
static void a_body_that_breaks_off_is_an_error(void **s)
{
    (void)s;
    options.half_close = 1;
    HEARS(POST("/caught", "Content-Length: 11") "abc", "!eof", "@0", "@0");
    HEARS(POST("/caught", CHUNKED) "5\r\nabc", "!eof", "@0", "@0");
    assert_said(
        "ASYNC_EINCOMPLETE HTTP/1.1 418 I'm a teapot|Content-Length: 0|"
        "Connection: close|| closed ASYNC_EINCOMPLETE HTTP/1.1 418 I'm "
        "a teapot|Content-Length: 0|Connection: close|| closed");
}
static void two_tasks_cannot_read(void **s)
{
    (void)s;
    HEARS(POST("/two_readers", "Content-Length: 2"), "@5", "ab");
    assert_said("ASYNC_EBUSY HTTP/1.1 200 OK|Content-Length: 0||");
}

/* --- what is refused ------------------------------------------------------- */

static void smugglers_are_refused(void **s)
{
    (void)s;
    HEARS(POST("/",
               "Content-Length: 5\r\nTransfer-Encoding: chunked") "0\r\n\r\n");
    HEARS(POST("/",
               "Transfer-Encoding: chunked\r\nContent-Length: 5") "0\r\n\r\n");
    HEARS(POST("/", "Content-Length: 5\r\nContent-Length: 6"));
    HEARS(POST("/", "Content-Length: 5, 6"));
    HEARS(POST("/", "Content-Length: +5"));
    HEARS(POST("/", "Content-Length: -5"));
    HEARS(POST("/", "Content-Length: 0x5"));
    HEARS(POST("/", "Content-Length: 99999999999999999999999"));
    HEARS(POST("/", "Content-Length : 5"));
    HEARS(
        POST("/", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"));
    HEARS(POST("/", "A: b\r\n c"));
    HEARS(POST("/", "A: b\r\n\tc"));
    HEARS(POST("/", "A: b\rC: d"));
    HEARS(POST("/", "A: b\nC: d"));
    HEARS(POST("/", ": b"));
    HEARS(POST("/", "A"));
    HEARS("GET / HTTP/1.1\nHost: a\n\n");
    HEARS("GET / HTTP/1.1\r\n Host: a\r\n\r\n");
    HEARS("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_said(BAD " " BAD " " BAD " " BAD " " BAD " " BAD " " BAD " " BAD
                    " " BAD " " BAD " " BAD " " BAD " " BAD " " BAD " " BAD
                    " " BAD " " BAD " " BAD " " BAD);
}
static void other_codings_are_not_known(void **s)
{
    (void)s;
    HEARS(POST("/", "Transfer-Encoding: gzip, chunked"));
    HEARS(POST("/", "Transfer-Encoding: xchunked"));
    HEARS("BREW / HTTP/1.1\r\nHost: a\r\n\r\n");
    HEARS("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_said(CLOSING("501", "Not Implemented", "16") " " CLOSING(
        "501", "Not Implemented",
        "16") " " CLOSING("501", "Not Implemented",
                          "16") " " CLOSING("501", "Not Implemented", "16"));
}
static void a_request_line_is_as_it_should_be(void **s)
{
    (void)s;
    HEARS("GET  / HTTP/1.1\r\nHost: a\r\n\r\n");
    HEARS("GET / HTTP/1.1 \r\nHost: a\r\n\r\n");
    HEARS("GET /\r\nHost: a\r\n\r\n");
    HEARS("GET / HTTP/1.1\r\n\r\n"); /* no host */
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n");
    HEARS("\r\n\r\n");
    HEARS("\x16\x03\x01\r\n\r\n");
    assert_said(BAD " " BAD " " BAD " " BAD " " BAD " " BAD " " BAD);
}
static void other_versions_are_refused(void **s)
{
    (void)s;
    HEARS("GET / HTTP/2.0\r\nHost: a\r\n\r\n");
    HEARS("GET / HTTP/1.2\r\nHost: a\r\n\r\n");
    HEARS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_said(CLOSING("505", "HTTP Version Not Supported", "27") " " CLOSING(
        "505", "HTTP Version Not Supported",
        "27") " " CLOSING("505", "HTTP Version Not Supported", "27"));
}
static void heads_have_limits(void **s)
{
    char words[3001];
    (void)s;
    memset(words, 'w', 3000);
    words[3000] = '\0';
    options.max_line = 2000;
    options.max_head = 5000;
    options.max_headers = 3;
    HEARS("GET /", words);
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nA: ", words, words);
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\nA: b\r\n");
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nA: b\r\n\r\n");
    HEARS("GET / HTTP/1.1\r\nHost: a\r\nA: ", words, "\r\n\r\n");
    assert_said(CLOSING("414", "URI Too Long", "13") " " CLOSING(
        "431", "Request Header Fields Too Large",
        "32") " " CLOSING("431", "Request Header Fields Too Large",
                          "32") " " HELLO " " HELLO);
}

/* --- responses ------------------------------------------------------------- */

static void a_response_may_be_streamed(void **s)
{
    (void)s;
    HEARS(GET("/chunks"), GET("/sized"));
    assert_said("HTTP/1.1 200 OK|Transfer-Encoding: chunked||"
                "10|0123456789abcdef|e|0123456789abcd|0|| ASYNC_EINVAL "
                "HTTP/1.1 201 Created|Content-Type: text/x|Content-Length: 6||"
                "abcdef");
}
static void to_http_1_0_the_end_is_the_connections(void **s)
{
    (void)s;
    HEARS("GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_said("HTTP/1.1 200 OK|Connection: close||0123456789abcdef"
                "0123456789abcd closed");
}
static void what_is_written_goes_out_while_the_handler_sleeps(void **s)
{
    (void)s;
    HEARS(GET("/slow_chunks"), "@2000", GET("/slow_answer"), "@2000");
    assert_said("HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|one| then "
                "3|two|0|| HTTP/1.1 200 OK|Content-Length: 7||at once later");
}
static void headers_cannot_be_injected(void **s)
{
    (void)s;
    HEARS(GET("/headers"));
    assert_said("ok ok ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL "
                "ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL ok "
                "HTTP/1.1 299 |A: b|A: c\td|Content-Length: 0||");
}
static void it_responds_once(void **s)
{
    (void)s;
    HEARS(GET("/twice"));
    assert_said("ASYNC_EINVALSTATE ASYNC_EINVALSTATE ASYNC_EINVALSTATE "
                "HTTP/1.1 200 OK|Content-Length: 1||1");
}
#define FAILED                                                                \
    "HTTP/1.1 500 Internal Server Error|Content-Type: text/plain|"            \
    "Content-Length: 22||Internal Server Error|"
static void an_error_is_answered_with_500(void **s)
{
    (void)s;
    HEARS(GET("/fail") GET("/"));
    assert_said(
        "[Unhandled exception in web handler: ASYNC_EINVAL] " FAILED HELLO);
}
static void an_error_behind_the_head_aborts(void **s)
{
    (void)s;
    HEARS(GET("/fail_late") GET("/"));
    assert_said("[Unhandled exception in web handler: ASYNC_EINVAL] "
                "HTTP/1.1 200 OK|Transfer-Encoding: chunked||3|abc| closed");
}
static void who_forgets_to_respond_is_reported(void **s)
{
    (void)s;
    HEARS(GET("/nothing"));
    assert_said("[web handler has not responded: ASYNC_EINVALSTATE] " FAILED);
}
static void who_sends_less_than_he_said_is_aborted(void **s)
{
    (void)s;
    HEARS(GET("/short") GET("/"));
    assert_said("[web handler has sent less than it said: ASYNC_EINVALSTATE] "
                "HTTP/1.1 200 OK|Content-Length: 6||abc closed");
}
static void writing_waits_for_a_slow_client(void **s)
{
    (void)s;
    HEARS("!stall", GET("/flood"), "@1000", "!read", "@0", "@0");
    assert_begins("HTTP/1.1 200 OK|Transfer-Encoding: chunked||4e20|xxxxx");
}

/* --- times ----------------------------------------------------------------- */

static void a_head_may_not_take_long(void **s)
{
    (void)s;
    options.head_timeout = ASYNC_SECONDS(2);
    HEARS("GET", "@1000", " / HT", "@900", "TP/1.1\r\n", "@200", "@3000");
    assert_said(CLOSING("408", "Request Timeout", "16") " closed");
}
static void nor_the_next(void **s)
{
    (void)s;
    options.head_timeout = ASYNC_SECONDS(2);
    HEARS(GET("/"), "@10000", "GET", "@1900", " ", "@200", "@3000");
    assert_said(HELLO " " CLOSING("408", "Request Timeout", "16") " closed");
}
static void an_idle_connection_is_closed(void **s)
{
    (void)s;
    options.idle_timeout = ASYNC_SECONDS(5);
    HEARS(GET("/"), "@4900", GET("/"), "@4900", "@200");
    assert_said(HELLO " " HELLO " closed");
}
static void one_that_never_asks_is_closed(void **s)
{
    (void)s;
    HEARS("@31000");
    assert_said("closed");
}
static void a_body_may_not_stand_still(void **s)
{
    (void)s;
    options.body_timeout = ASYNC_SECONDS(5);
    HEARS(POST("/all", "Content-Length: 5") "a", "@4000", "b", "@4000", "c",
          "@6000", "@3000");
    HEARS(POST("/caught", "Content-Length: 5") "a", "@6000");
    assert_said(CLOSING(
        "408", "Request Timeout",
        "16") " closed "
              "ASYNC_ETIMEDOUT HTTP/1.1 418 I'm a teapot|Content-Length: 0|"
              "Connection: close||");
}
static void a_handler_may_take_as_long_as_it_wants(void **s)
{
    (void)s;
    options.head_timeout = options.idle_timeout = options.body_timeout =
        options.write_timeout = ASYNC_MS(10);
    HEARS(GET("/sleep"), "@2000");
    assert_said("HTTP/1.1 200 OK|Content-Length: 5||slept closed");
}
static void who_does_not_read_is_aborted(void **s)
{
    (void)s;
    options.write_timeout = ASYNC_SECONDS(3);
    HEARS("!stall", GET("/flood"), "@2900", "@200");
    assert_ends("x closed");
}

/* --- the client's end ------------------------------------------------------ */

static void when_the_client_goes_the_handler_is_cancelled(void **s)
{
    (void)s;
    HEARS(GET("/sleep"), "!gone", "@0", "@0");
    HEARS(GET("/sleep"), "!eof", "@0", "@0");
    HEARS(POST("/all", "Content-Length: 5") "a", "!gone", "@0");
    HEARS(GET("/stubborn"), "!gone", "@0", "@0");
    assert_said(
        "cancelled closed cancelled closed closed stays:broken closed");
}
static void the_end_of_a_half_may_be_allowed(void **s)
{
    (void)s;
    options.half_close = 1;
    HEARS(GET("/sleep") GET("/"), "!eof", "@2000");
    HEARS(GET("/"), "!eof", "@0", "@0");
    HEARS("GET / HT", "!eof", "@0", "@0");
    assert_said("HTTP/1.1 200 OK|Content-Length: 5||slept" HELLO
                " closed " HELLO " closed closed");
}
static void a_client_that_stalls_may_go(void **s)
{
    (void)s;
    HEARS("!stall", GET("/flood"), "!gone", "@0", "@0");
    assert_ends("x closed");
}
static void cancelling_the_server_task_aborts(void **s)
{
    (void)s;
    HEARS(GET("/sleep"), "!cancel", "@0", "@0");
    HEARS("!cancel", "@0", "@0");
    HEARS("GET", "!cancel", "@0", "@0");
    HEARS(POST("/all", "Content-Length: 5") "a", "!cancel", "@0", "@0");
    HEARS(POST("/", "Content-Length: 5") "a", "!cancel", "@0", "@0");
    HEARS("BAD\n", "!cancel", "@0", "@0");
    assert_said("cancelled closed closed closed closed " HELLO " closed " BAD
                " closed");
}
static void cancelling_a_write_leaves_nothing(void **s)
{
    (void)s;
    HEARS("!stall", GET("/flood"), "!cancel", "@0", "@0");
    assert_ends("x closed");
}

static void wherever_it_is_cancelled_nothing_is_left(void **s)
{
    /* No time passes, so that iterations are all there is. */
    static const char *const words[] = { GET("/"),
                                         POST("/all", CHUNKED) "5\r\nhel",
                                         "@0",
                                         "lo\r\n0\r\n\r\n",
                                         POST("/echo",
                                              "Content-Length: 6") "abc",
                                         "@0",
                                         "def",
                                         POST("/", "Content-Length: 9") "abc",
                                         "@0",
                                         "defghi",
                                         "!stall",
                                         GET("/flood"),
                                         "@0",
                                         "!read",
                                         "@0",
                                         "@0",
                                         GET("/sleep"),
                                         "@0",
                                         NULL };
    static const char *const refused[] = { "BAD\n", "@0", "@0", NULL };
    int runs = 0;
    (void)s;
    cancelled_it = 1;
    for (cancel_at = 0; cancelled_it && cancel_at < 500; cancel_at++) {
        cancelled_it = 0;
        assert_int_equal(run_virtual(CO(talk, refused), 0, 0), 0);
        cancelled_it = 0;
        assert_int_equal(run_virtual(CO(talk, words), 0, 0), 0);
        runs += cancelled_it;
        unit_said[0] = '\0';
        unit_said_length = 0;
    }
    cancel_at = -1;
    assert_true(runs > 20 && !cancelled_it);
}

/* --- memory ---------------------------------------------------------------- */

static void whatever_memory_is_missing_nothing_leaks(void **s)
{
    static const char *const words[] = { GET("/"),
                                         POST("/all", CHUNKED) "5\r\nhel",
                                         "lo\r\n0\r\n\r\n",
                                         POST("/echo",
                                              "Content-Length: 6") "abc",
                                         "def",
                                         GET("/headers"),
                                         GET("/big"),
                                         "BAD\r\n",
                                         "@5000",
                                         NULL };
    long at, answered = 0;
    (void)s;
    for (at = 0; at < 200; at++) {
        int error = run_virtual(CO(talk, words), at, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        answered += error == 0;
        unit_said[0] = '\0';
        unit_said_length = 0;
        if (!memory.refused) break;
    }
    assert_true(at > 5 && at < 200);
    for (at = 0; at < 200; at++) {
        int error = run_virtual(CO(talk, words), at, 1000000);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        unit_said[0] = '\0';
        unit_said_length = 0;
        if (!memory.refused) break;
    }
    assert_true(answered > 3);
}
static void a_request_allocates_nothing_after_the_first(void **s)
{
    static const char *const once[] = { GET("/"), GET("/"), GET("/"), NULL };
    static const char *const often[] = {
        GET("/"), GET("/"), GET("/"), GET("/"), GET("/"), GET("/"), GET("/"),
        GET("/"), GET("/"), GET("/"), GET("/"), GET("/"), GET("/"), NULL
    };
    long asked;
    (void)s;
#ifdef ASYNC_NO_POOL
    skip(); /* what the pool gives is asked for then */
#endif
    assert_int_equal(run_virtual(CO(talk, once), 0, 0), 0);
    asked = memory.asked;
    assert_int_equal(run_virtual(CO(talk, often), 0, 0), 0);
    assert_int_equal(memory.asked, asked);
    unit_said[0] = '\0';
    unit_said_length = 0;
}

/* --- over libuv ------------------------------------------------------------ */

/* What somebody answers who is asked this. */
struct ask {
    ASYNC_FRAME;
    async_connection *connection;
    const char *text;
    async_bytes line;
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    async_stream_writer_write(&self->connection->writer, self->text,
                              strlen(self->text));
    AWAIT_INTO(self->line, async_stream_reader_readline,
               &self->connection->reader);
    say("<%.*s>", (int)self->line.size > 2 ? (int)self->line.size - 2 : 0,
        self->line.data);
    ASYNC_END;
}

#define PROGRAM(name)                                                         \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        async_web_server web;                                                 \
        async_connection one, two;                                            \
        async_task *task, *stopping;                                          \
        int error;                                                            \
    };                                                                        \
    static ASYNC(name)

PROGRAM(tcp)
{
    ASYNC_BEGIN(tcp);
    AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(app, 0), "127.0.0.1",
          0, &options);
    SAY_AWAIT("again", async_web_start, &self->web, ASYNC_WEB_HANDLER(app, 0),
              "127.0.0.1", 0);
    AWAIT(async_open_connection, &self->one, "127.0.0.1",
          async_server_port(&self->web.server));
    AWAIT(ask, &self->one, GET("/"));
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(1));
    AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(1));
    SAY_AWAIT("forever", async_web_serve_forever, &self->web, 0);
    ASYNC_END;
}
static void it_is_served_by_tcp(void **s)
{
    (void)s;
    run(CO(tcp));
    assert_said("again:ASYNC_EBUSY <HTTP/1.1 200 OK> forever:ASYNC_ECLOSED");
}
PROGRAM(refused)
{
    ASYNC_BEGIN(refused);
    SAY_AWAIT("start", async_web_start, &self->web, ASYNC_WEB_HANDLER(app, 0),
              "not an address", 0);
    AWAIT(async_web_stop, &self->web, 0);
    ASYNC_END;
}
static void one_that_cannot_start_leaves_nothing(void **s)
{
    (void)s;
    run(CO(refused));
    assert_said("start:ASYNC_EINVAL");
}
PROGRAM(of_unix)
{
    ASYNC_BEGIN(of_unix);
    unlink("http_server.socket");
    assert_int_equal(
        async_web_init(&self->web, ASYNC_WEB_HANDLER(app, 0), NULL), 0);
    AWAIT(async_start_unix_server, &self->web.server,
          async_web_clients(&self->web), "http_server.socket");
    AWAIT(async_open_unix_connection, &self->one, "http_server.socket");
    AWAIT(ask, &self->one, GET("/"));
    AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(1));
    AWAIT(async_connection_close, &self->one);
    unlink("http_server.socket");
    ASYNC_END;
}
static void it_is_served_by_unix_sockets(void **s)
{
    (void)s;
    run(CO(of_unix));
    assert_said("<HTTP/1.1 200 OK>");
}

static async_tls_context of_client, of_server;
PROGRAM(secured)
{
    ASYNC_BEGIN(secured);
    assert_int_equal(
        async_web_init(&self->web, ASYNC_WEB_HANDLER(app, 0), NULL), 0);
    AWAIT(async_start_tls_server, &self->web.server,
          async_web_clients(&self->web), &of_server, "127.0.0.1", 0);
    AWAIT(async_open_tls_connection, &self->one, &of_client, "127.0.0.1",
          async_server_port(&self->web.server), 0, "localhost");
    AWAIT(ask, &self->one, GET("/") GET("/fail") POST("/", ""));
    AWAIT(async_open_tls_connection, &self->two, &of_client, "127.0.0.1",
          async_server_port(&self->web.server), 0, "localhost");
    AWAIT(ask, &self->two,
          POST("/all", "Content-Length: 1000000"
                       "\r\nExpect: 100-continue"));
    AWAIT(async_connection_close, &self->two);
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(1));
    ASYNC_END;
}
static void it_is_served_with_tls(void **s)
{
    (void)s;
    assert_int_equal(async_tls_server_init(&of_server,
                                           certificate_file("good", "pem"),
                                           certificate_file("good", "key")),
                     0);
    assert_int_equal(async_tls_client_init(&of_client), 0);
    assert_int_equal(
        async_tls_trust(&of_client, certificate_file("authority", "pem")), 0);
    run(CO(secured));
    async_tls_context_destroy(&of_client);
    async_tls_context_destroy(&of_server);
    assert_said("[Unhandled exception in web handler: ASYNC_EINVAL] "
                "<HTTP/1.1 200 OK> <HTTP/1.1 100 Continue>");
}

PROGRAM(stopped)
{
    ASYNC_BEGIN(stopped);
    AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(app, 0), "127.0.0.1",
          0);
    AWAIT(async_open_connection, &self->one, "127.0.0.1",
          async_server_port(&self->web.server));
    AWAIT(async_open_connection, &self->two, "127.0.0.1",
          async_server_port(&self->web.server));
    AWAIT(ask, &self->one, GET("/")); /* and idle then */
    self->task = async_create_task(CO(ask, &self->two, GET("/sleep")));
    AWAIT(async_sleep, ASYNC_MS(50));
    AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(10));
    say("stopped");
    AWAIT(say_end, self->task, "asked");
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->two);
    ASYNC_END;
}
static void stopping_waits_for_the_handlers(void **s)
{
    (void)s;
    run(CO(stopped));
    assert_said("<HTTP/1.1 200 OK> <HTTP/1.1 200 OK> stopped asked:ok");
}
PROGRAM(hurried)
{
    ASYNC_BEGIN(hurried);
    AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(app, 0), "127.0.0.1",
          0);
    AWAIT(async_open_connection, &self->one, "127.0.0.1",
          async_server_port(&self->web.server));
    async_stream_writer_write(&self->one.writer, GET("/sleep"),
                              sizeof GET("/sleep") - 1);
    AWAIT(async_sleep, ASYNC_MS(50));
    AWAIT(async_web_stop, &self->web, ASYNC_MS(20));
    say("stopped");
    AWAIT(async_connection_close, &self->one);
    ASYNC_END;
}
static void when_the_grace_is_over_they_are_cancelled(void **s)
{
    (void)s;
    run(CO(hurried));
    assert_said("cancelled stopped");
}
struct forever { ASYNC_FRAME; async_web_server *web; };
static ASYNC(forever)
{
    ASYNC_BEGIN(forever);
    AWAIT(async_web_serve_forever, self->web, ASYNC_SECONDS(10));
    ASYNC_END;
}
PROGRAM(cancelled_twice)
{
    ASYNC_BEGIN(cancelled_twice);
    AWAIT(async_web_start, &self->web, ASYNC_WEB_HANDLER(app, 0), "127.0.0.1",
          0);
    AWAIT(async_open_connection, &self->one, "127.0.0.1",
          async_server_port(&self->web.server));
    self->task = async_create_task(CO(forever, &self->web));
    async_stream_writer_write(&self->one.writer, GET("/sleep"),
                              sizeof GET("/sleep") - 1);
    AWAIT(async_sleep, ASYNC_MS(50));
    async_task_cancel(self->task);
    AWAIT(async_sleep, ASYNC_MS(50));
    say("waits:%d", !async_task_done(self->task));
    async_task_cancel(self->task);
    AWAIT(say_end, self->task, "served");
    AWAIT(async_connection_close, &self->one);
    ASYNC_END;
}
static void serving_is_cancelled_gently_and_then_not(void **s)
{
    (void)s;
    run(CO(cancelled_twice));
    assert_said("waits:1 cancelled served:ASYNC_ECANCELED");
}
static async_connection one;
struct abandoned { ASYNC_FRAME; };
static ASYNC(abandoned)
{
    ASYNC_BEGIN(abandoned);
    AWAIT(async_web_start, &web, ASYNC_WEB_HANDLER(app, 0), "127.0.0.1", 0);
    AWAIT(async_open_connection, &one, "127.0.0.1",
          async_server_port(&web.server));
    AWAIT(ask, &one, GET("/"));
    async_stream_writer_write(&one.writer, GET("/sleep"),
                              sizeof GET("/sleep") - 1);
    async_server_close(&web.server);
    AWAIT(async_sleep, ASYNC_MS(50));
    ASYNC_END;
}
static void a_loop_that_closes_takes_its_connections_with_it(void **s)
{
    async_uv_loop loop;
    (void)s;
    memory_begin();
    memset(&web, 0, sizeof web);
    assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(abandoned)),
                     0);
    async_stream_reader_destroy(&one.reader);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 1); /* the arguments of the handler */
    unit_said[0] = '\0';
    unit_said_length = 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_answered),
        TEST(the_handler_sees_what_was_asked),
        TEST(bytes_may_come_one_by_one),
        TEST(a_connection_is_kept_and_answers_are_in_order),
        TEST(pipelined_requests_are_answered_in_one_write),
        TEST(many_pipelined_requests_do_not_fill_memory),
        TEST(an_empty_line_before_a_request_is_none_of_it),
        TEST(http_1_0_is_closed_unless_it_asks),
        TEST(connection_close_is_heeded),
        TEST(head_has_the_head_alone),
        TEST(an_upgrade_is_not_agreed_to),
        TEST(a_body_with_a_length_is_read),
        TEST(a_body_in_chunks_is_read),
        TEST(a_body_is_read_as_it_comes),
        TEST(a_long_body_holds_the_client_back),
        TEST(a_long_body_is_read_in_pieces),
        TEST(what_comes_behind_a_long_body_is_the_next_request),
        TEST(who_expects_is_told_to_go_on),
        TEST(who_expects_and_is_not_asked_is_closed),
        TEST(other_expectations_are_refused),
        TEST(a_body_nobody_reads_is_dropped),
        TEST(a_long_body_nobody_reads_ends_the_connection),
        TEST(endless_chunks_nobody_reads_end_the_connection),
        TEST(a_body_may_be_too_long),
        TEST(a_body_that_is_none_is_refused),
        TEST(endless_extensions_of_a_chunk_are_refused),
        TEST(a_body_that_breaks_off_is_an_error),
        TEST(two_tasks_cannot_read),
        TEST(smugglers_are_refused),
        TEST(other_codings_are_not_known),
        TEST(a_request_line_is_as_it_should_be),
        TEST(other_versions_are_refused),
        TEST(heads_have_limits),
        TEST(a_response_may_be_streamed),
        TEST(to_http_1_0_the_end_is_the_connections),
        TEST(what_is_written_goes_out_while_the_handler_sleeps),
        TEST(headers_cannot_be_injected),
        TEST(it_responds_once),
        TEST(an_error_is_answered_with_500),
        TEST(an_error_behind_the_head_aborts),
        TEST(who_forgets_to_respond_is_reported),
        TEST(who_sends_less_than_he_said_is_aborted),
        TEST(writing_waits_for_a_slow_client),
        TEST(a_head_may_not_take_long),
        TEST(nor_the_next),
        TEST(an_idle_connection_is_closed),
        TEST(one_that_never_asks_is_closed),
        TEST(a_body_may_not_stand_still),
        TEST(a_handler_may_take_as_long_as_it_wants),
        TEST(who_does_not_read_is_aborted),
        TEST(when_the_client_goes_the_handler_is_cancelled),
        TEST(the_end_of_a_half_may_be_allowed),
        TEST(a_client_that_stalls_may_go),
        TEST(cancelling_the_server_task_aborts),
        TEST(cancelling_a_write_leaves_nothing),
        TEST(wherever_it_is_cancelled_nothing_is_left),
        TEST(whatever_memory_is_missing_nothing_leaks),
        TEST(a_request_allocates_nothing_after_the_first),
        TEST(it_is_served_by_tcp),
        TEST(one_that_cannot_start_leaves_nothing),
        TEST(it_is_served_by_unix_sockets),
        TEST(it_is_served_with_tls),
        TEST(stopping_waits_for_the_handlers),
        TEST(when_the_grace_is_over_they_are_cancelled),
        TEST(serving_is_cancelled_gently_and_then_not),
        TEST(a_loop_that_closes_takes_its_connections_with_it)
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin_certificates, end_certificates);
}
