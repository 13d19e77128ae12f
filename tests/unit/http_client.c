/* link: -luv -lcurl -pthread */
/* The HTTP client: what it sends, what it makes of what comes, and what is
 * left when it fails, is cancelled or closed.
 *
 * The server is in the same loop and writes its answers by hand, among them
 * many that no server should give.  Where the loop is not to be trusted (it has
 * no memory, or is closed) it is a thread with plain sockets. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/http_client.h"
#include "../../async/uv/streams.h"

#include "uv.h"

#include <pthread.h>
#include <sys/socket.h>

/* --- the server ---------------------------------------------------------- */

enum { BIG = 10 * 1024 * 1024 };

static struct world {
    async_server server;
    async_http_session session;
    async_http_session_options options;
    int connections, requests, gone; /* of the server */
    int slow, most_slow;             /* answers at a time */
    size_t sent;                     /* of a large body */
    char uploaded[256];
} world;

static const char *url_of(const char *path)
{
    static char urls[8][128];
    static int next;
    char *url = urls[next++ % 8];
    snprintf(url, 128, "http://127.0.0.1:%d%s",
             async_server_port(&world.server), path);
    return url;
}

static char big_at(size_t i)
{
    return (char)('a' + i / 7 % 26);
}

/* The value of a header in a request, to its end; NULL: none. */
static char *header_of(char *head, const char *name)
{
    char *line = strstr(head, name);
    return line != NULL ? line + strlen(name) : NULL;
}

/* Answers that are always the same. */
static const struct answer {
    const char *path, *text;
    int closes;
} answers[] = {
    { "/hello", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 0 },
    { "/chunked",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nTrailer: t\r\n\r\n",
      0 },
    { "/headers",
      "HTTP/1.1 404 Not here\r\nX-One: 1\r\nx-two:\t2  \r\nX-One: again\r\n"
      "Folded: a\r\n  b\r\nEmpty:\r\nContent-Length: 0\r\n\r\n",
      0 },
    { "/none", "HTTP/1.1 204 No Content\r\n\r\n", 0 },
    { "/until-closed", "HTTP/1.0 200 OK\r\n\r\nall of it", 1 },
    { "/truncated", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", 1 },
    { "/truncated-chunk",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello", 1 },
    { "/truncated-head", "HTTP/1.1 200 OK\r\nContent-Le", 1 },
    { "/bad-chunk",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", 1 },
    { "/bad-gzip",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n"
      "hello",
      0 },
    { "/empty", "", 1 },
    { "/garbage", "this is not HTTP\r\n\r\n", 1 },
    { "/bad-length", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello", 1 },
    { "/carriage-return",
      "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
      1 },
    { "/loop",
      "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n",
      0 },
    { "/redirect",
      "HTTP/1.1 302 Found\r\nLocation: /hello\r\nX-Old: 1\r\n"
      "Content-Length: 7\r\n\r\nignored",
      0 },
    { "/to-file",
      "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n"
      "Content-Length: 0\r\n\r\n",
      0 },
    { "/not-modified", "HTTP/1.1 304 Not Modified\r\n\r\n", 0 },
    { "/again",
      "HTTP/1.1 307 Again\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n",
      0 },
    { "/info",
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
      0 },
    { "/unauthorized", "HTTP/1.1 401 Who\r\nContent-Length: 4\r\n\r\nwho?",
      0 },
    { "/set-cookie",
      "HTTP/1.1 200 OK\r\nSet-Cookie: n=42\r\nContent-Length: 0\r\n\r\n", 0 },
    { "/413", "HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n", 1 },
    { "/417", "HTTP/1.1 417 No\r\nContent-Length: 4\r\n\r\nnope", 1 },
};

struct answer_text {
    ASYNC_FRAME;
    async_connection *client;
    const char *text;
};
static ASYNC(answer_text)
{
    ASYNC_BEGIN(answer_text);
    async_stream_writer_write(&self->client->writer, self->text,
                              strlen(self->text));
    AWAIT(async_stream_writer_drain, &self->client->writer);
    ASYNC_END;
}

/* A body whose every byte is known, of that length or without end. */
struct answer_big {
    ASYNC_FRAME;
    async_connection *client;
    size_t length;
    size_t i;
    char head[128], block[16384];
};
static ASYNC(answer_big)
{
    ASYNC_BEGIN(answer_big);
    world.sent = 0;
    if (self->length > 0)
        snprintf(self->head, sizeof self->head,
                 "HTTP/1.1 200 OK\r\nContent-Length: %lu\r\n\r\n",
                 (unsigned long)self->length);
    else
        snprintf(self->head, sizeof self->head, "HTTP/1.0 200 OK\r\n\r\n");
    AWAIT(answer_text, self->client, self->head);
    while (self->length == 0 || world.sent < self->length) {
        for (self->i = 0; self->i < sizeof self->block; self->i++)
            self->block[self->i] = big_at(world.sent + self->i);
        async_stream_writer_write(&self->client->writer, self->block,
                                  sizeof self->block);
        AWAIT(async_stream_writer_drain, &self->client->writer);
        world.sent += sizeof self->block;
    }
    ASYNC_END;
}

/* Headers without end. */
struct answer_headers {
    ASYNC_FRAME;
    async_connection *client;
    int i;
    char line[64];
};
static ASYNC(answer_headers)
{
    ASYNC_BEGIN(answer_headers);
    AWAIT(answer_text, self->client, "HTTP/1.1 200 OK\r\n");
    for (;; self->i++) {
        snprintf(self->line, sizeof self->line, "X-%d: %030d\r\n", self->i, 0);
        AWAIT(answer_text, self->client, self->line);
    }
    ASYNC_END;
}

/* Reads a request's body, chunked or not, and answers with it. */
struct answer_echo {
    ASYNC_FRAME;
    async_connection *client;
    char *head;
    async_bytes some;
    size_t left, size;
    int chunked;
    char *method;
    char text[512];
};
static ASYNC(answer_echo)
{
    char *value;
    ASYNC_BEGIN(answer_echo);
    world.uploaded[0] = '\0';
    if (strstr(self->head, "Expect: 100-continue") != NULL)
        AWAIT(answer_text, self->client, "HTTP/1.1 100 Continue\r\n\r\n");
    self->chunked = strstr(self->head, "Transfer-Encoding: chunked") != NULL;
    value = header_of(self->head, "Content-Length: ");
    if (value != NULL) self->left = (size_t)atol(value);
    do {
        if (self->chunked) {
            AWAIT_INTO(self->some, async_stream_reader_readline,
                       &self->client->reader);
            if (self->some.size == 0) ASYNC_RAISE(ASYNC_EINCOMPLETE);
            snprintf(self->text, sizeof self->text, "%.*s",
                     (int)self->some.size, self->some.data);
            self->left = (size_t)strtol(self->text, NULL, 16);
        }
        self->size += self->left;
        if (self->left > 0) {
            AWAIT_INTO(self->some, async_stream_reader_readexactly,
                       &self->client->reader, self->left);
            if (strlen(world.uploaded) + self->left < sizeof world.uploaded)
                strncat(world.uploaded, self->some.data, self->left);
        }
        if (self->chunked)
            AWAIT_INTO(self->some, async_stream_reader_readline,
                       &self->client->reader);
    } while (self->chunked && self->left > 0);
    *strchr(self->head, ' ') = '\0';
    snprintf(self->text, sizeof self->text,
             "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s %s %s",
             (int)(strlen(self->head) + 2 + strlen(world.uploaded) +
                   (self->chunked ? 7 : 5)),
             self->head, self->chunked ? "chunked" : "whole", world.uploaded);
    AWAIT(answer_text, self->client, self->text);
    ASYNC_END;
}

struct serve {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes separator, bytes;
    size_t i;
    int error, known, closes;
    char head[2048], path[64], text[256];
};
static ASYNC(serve)
{
    const char *value;
    ASYNC_BEGIN(serve);
    world.connections++;
    self->separator.data = "\r\n\r\n";
    self->separator.size = 4;
    while (!self->closes) {
        AWAIT_CATCH_INTO(self->error, self->bytes,
                         async_stream_reader_readuntil, &self->client->reader,
                         &self->separator, 1);
        if (self->error) break;
        world.requests++;
        snprintf(self->head, sizeof self->head, "%.*s", (int)self->bytes.size,
                 self->bytes.data);
        self->path[0] = '\0';
        sscanf(self->head, "%*s %63s", self->path);
        self->known = 0;
        for (self->i = 0; self->i < sizeof answers / sizeof *answers;
             self->i++)
            if (strcmp(self->path, answers[self->i].path) == 0) {
                self->known = 1;
                self->closes = answers[self->i].closes;
                value = header_of(self->head, "Content-Length: ");
                if (value != NULL && !self->closes)
                    AWAIT_INTO(self->bytes, async_stream_reader_readexactly,
                               &self->client->reader, (size_t)atol(value));
                AWAIT_CATCH(self->error, answer_text, self->client,
                            answers[self->i].text);
            }
        if (self->known) {
        } else if (strncmp(self->path, "/slow", 5) == 0) {
            if (++world.slow > world.most_slow) world.most_slow = world.slow;
            AWAIT(async_sleep, ASYNC_MS(100));
            world.slow--;
            AWAIT(answer_text, self->client,
                  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
        } else if (strcmp(self->path, "/drip") == 0) {
            AWAIT(answer_text, self->client,
                  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
            for (self->i = 0; self->i < 4; self->i++) {
                AWAIT(async_sleep, ASYNC_MS(3));
                AWAIT(answer_text, self->client, "d");
            }
        } else if (strcmp(self->path, "/begun") == 0) {
            AWAIT(answer_text, self->client,
                  "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
            AWAIT_CATCH_INTO(self->error, self->bytes,
                             async_stream_reader_read, &self->client->reader,
                             1);
            world.gone++;
        } else if (strcmp(self->path, "/hang") == 0) {
            AWAIT_CATCH_INTO(self->error, self->bytes,
                             async_stream_reader_read, &self->client->reader,
                             1);
            world.gone++;
        } else if (strcmp(self->path, "/deaf") == 0) {
            AWAIT(async_sleep, ASYNC_SECONDS(60));
        } else if (strcmp(self->path, "/reset") == 0) {
            async_transport_abort(&self->client->transport.base);
        } else if (strcmp(self->path, "/big") == 0) {
            AWAIT_CATCH(self->error, answer_big, self->client, BIG);
        } else if (strcmp(self->path, "/endless") == 0) {
            AWAIT_CATCH(self->error, answer_big, self->client, 0);
            world.gone++;
        } else if (strcmp(self->path, "/endless-headers") == 0) {
            AWAIT_CATCH(self->error, answer_headers, self->client);
        } else if (strcmp(self->path, "/echo") == 0) {
            AWAIT_CATCH(self->error, answer_echo, self->client, self->head);
        } else if (strcmp(self->path, "/head") == 0) {
            /* what was asked for, as the body */
            snprintf(self->text, sizeof self->text,
                     "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%.200s",
                     (int)strlen(strchr(self->head, '\n') + 1) > 200
                         ? 200
                         : (int)strlen(strchr(self->head, '\n') + 1),
                     strchr(self->head, '\n') + 1);
            AWAIT(answer_text, self->client, self->text);
        } else if (strncmp(self->head, "HEAD", 4) == 0) {
            AWAIT(answer_text, self->client,
                  "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        } else {
            AWAIT(answer_text, self->client,
                  "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n");
        }
    }
    ASYNC_END;
}

/* Runs a test with a server and a session, both of which must come to an end
 * with nothing left. */
struct in_world { ASYNC_FRAME; async_object test; };
static ASYNC(in_world)
{
    ASYNC_BEGIN(in_world);
    AWAIT(async_start_server, &world.server, ASYNC_CLIENT_HANDLER(serve),
          "127.0.0.1", 0);
    ASYNC_TRY {
        AWAIT(async_http_session_open, &world.session, world.options);
        AWAIT_CO(self->test);
    } ASYNC_FINALLY {
        async_http_session_close(&world.session);
        async_server_close(&world.server);
        async_server_abort_clients(&world.server);
        async_server_cancel_clients(&world.server);
        AWAIT(async_server_wait_closed, &world.server);
    } ASYNC_END_TRY
    ASYNC_END;
}
#define RUN(...)                                                              \
    do {                                                                      \
        memset(&world, 0, sizeof world);                                      \
        run(CO(in_world, CO(__VA_ARGS__)));                                   \
    } while (0)

/* --- helpers ------------------------------------------------------------- */

/* A request, and "status:body", or what was wrong. */
struct fetch {
    ASYNC_FRAME;
    const char *path;
    async_http_options options;
    async_http_response response;
    async_buffer body;
    int error;
};
static ASYNC(fetch)
{
    ASYNC_BEGIN(fetch);
    ASYNC_TRY {
        AWAIT(async_http_get, &world.session,
              self->path[0] == '/' ? url_of(self->path) : self->path,
              &self->response, self->options);
        AWAIT(async_http_read_all, &self->response, &self->body);
        say("%d:%.*s", self->response.status, (int)self->body.size,
            self->body.data != NULL ? self->body.data : "");
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%d:%s", self->response.status, name_of(self->error));
        if (self->error == ASYNC_ECANCELED) ASYNC_RAISE(self->error);
    } ASYNC_FINALLY {
        async_buffer_free(&self->body);
        async_http_close(&self->response);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* One test, of one path. */
static void fetched(const char *path, const char *story)
{
    RUN(fetch, path);
    assert_said(story);
}

/* --- what comes ---------------------------------------------------------- */

static void get_gives_status_and_body(void **state)
{
    (void)state;
    fetched("/hello", "200:hello");
    fetched("/none", "204:");
    fetched("/until-closed", "200:all of it");
    fetched("/not-modified", "304:");
    fetched("/unauthorized", "401:who?");
    fetched("/417", "417:nope");
}

static void chunks_are_joined_and_trailers_left_out(void **state)
{
    (void)state;
    fetched("/chunked", "200:hello, world");
}

static void a_head_of_information_is_not_the_response(void **state)
{
    (void)state;
    fetched("/info", "200:ok");
}

struct headers { ASYNC_FRAME; async_http_response response; };
static ASYNC(headers)
{
    async_http_field field = { NULL, NULL };
    ASYNC_BEGIN(headers);
    AWAIT(async_http_get, &world.session, url_of("/headers"), &self->response);
    say("%d %d", self->response.status, self->response.version);
    say("%s", async_http_header(&self->response, "x-ONE"));
    say("%s", async_http_header(&self->response, "X-Two"));
    say("[%s]", async_http_header(&self->response, "empty"));
    assert_null(async_http_header(&self->response, "X-Three"));
    assert_string_equal(async_http_url(&self->response), url_of("/headers"));
    memset(&field, 0, sizeof field);
    while (async_http_next_header(&self->response, &field))
        say("%s=%s", field.name, field.value);
    async_http_close(&self->response);
    assert_null(async_http_header(&self->response, "x-one"));
    assert_null(async_http_url(&self->response));
    assert_int_equal(self->response.status, 404);
    ASYNC_END;
}
static void headers_are_found_and_listed(void **state)
{
    (void)state;
    RUN(headers);
    assert_said("404 11 1 2 [] X-One=1 x-two=2 X-One=again Folded=a b Empty= "
                "Content-Length=0");
}

/* The head is there before the body. */
struct pieces { ASYNC_FRAME; async_http_response response; async_bytes some; };
static ASYNC(pieces)
{
    ASYNC_BEGIN(pieces);
    AWAIT(async_http_get, &world.session, url_of("/begun"), &self->response);
    say("%d", self->response.status);
    AWAIT_INTO(self->some, async_http_read, &self->response, 1);
    say("%.*s", (int)self->some.size, self->some.data);
    AWAIT_INTO(self->some, async_http_read, &self->response);
    say("%.*s", (int)self->some.size, self->some.data);
    async_http_close(&self->response);
    while (world.gone == 0) AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void a_body_is_read_as_it_comes(void **state)
{
    (void)state;
    RUN(pieces);
    assert_said("200 a b");
}

struct end_again {
    ASYNC_FRAME;
    async_http_response response;
    async_bytes some;
    int i;
};
static ASYNC(end_again)
{
    ASYNC_BEGIN(end_again);
    AWAIT(async_http_get, &world.session, url_of("/hello"), &self->response);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT_INTO(self->some, async_http_read, &self->response);
        say("%d", (int)self->some.size);
    }
    async_http_close(&self->response);
    ASYNC_END;
}
static void the_end_comes_again_and_again(void **state)
{
    (void)state;
    RUN(end_again);
    assert_said("5 0 0");
}

/* Nothing is read for a while: the server cannot go on. */
struct slow_reader {
    ASYNC_FRAME;
    async_http_response response;
    async_bytes some;
    size_t got, i;
    int waits;
};
static ASYNC(slow_reader)
{
    ASYNC_BEGIN(slow_reader);
    AWAIT(async_http_get, &world.session, url_of("/big"), &self->response);
    while (!self->response.holds_back) AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(async_sleep, ASYNC_MS(100));
    assert_true(world.sent < BIG);
    assert_true(self->response.coming.size <
                ASYNC_HTTP_WINDOW + CURL_MAX_WRITE_SIZE);
    assert_true(self->response.holds_back);
    self->i = world.sent;
    AWAIT(async_sleep, ASYNC_MS(100));
    assert_int_equal(world.sent, self->i);
    for (;;) {
        AWAIT_INTO(self->some, async_http_read, &self->response);
        if (self->some.size == 0) break;
        if (self->waits++ % 50 == 0) AWAIT(async_sleep, ASYNC_MS(2));
        for (self->i = 0; self->i < self->some.size; self->i++)
            if (self->some.data[self->i] != big_at(self->got + self->i))
                fail_msg("wrong at %lu", (unsigned long)(self->got + self->i));
        self->got += self->some.size;
        assert_true(self->response.coming.size <
                    ASYNC_HTTP_WINDOW + CURL_MAX_WRITE_SIZE);
    }
    assert_int_equal(self->got, BIG);
    async_http_close(&self->response);
    ASYNC_END;
}
static void a_slow_reader_holds_the_server_back(void **state)
{
    (void)state;
    RUN(slow_reader);
}

struct limited {
    ASYNC_FRAME;
    async_http_response response;
    async_buffer body;
};
static ASYNC(limited)
{
    int error;
    ASYNC_BEGIN(limited);
    AWAIT(async_http_get, &world.session, url_of("/endless"), &self->response);
    AWAIT_CATCH(error, async_http_read_all, &self->response, &self->body,
                100000);
    say("%s %d", name_of(error), (int)self->body.size);
    async_http_close(&self->response);
    while (world.gone == 0) AWAIT(async_sleep, ASYNC_MS(1));
    /* exactly as long as the limit is not too long */
    AWAIT(async_http_get, &world.session, url_of("/hello"), &self->response);
    AWAIT(async_http_read_all, &self->response, &self->body, 5);
    say("%s", self->body.data);
    async_http_close(&self->response);
    AWAIT(async_http_get, &world.session, url_of("/hello"), &self->response);
    AWAIT_CATCH(error, async_http_read_all, &self->response, &self->body, 4);
    say("%s", name_of(error));
    async_http_close(&self->response);
    ASYNC_END;
}
static void a_body_beyond_the_limit_is_an_error(void **state)
{
    (void)state;
    RUN(limited);
    assert_said("EMSGSIZE 0 hello EMSGSIZE");
}

/* --- what is wrong with it ----------------------------------------------- */

static void an_answer_that_breaks_off_is_incomplete(void **state)
{
    (void)state;
    fetched("/truncated", "200:ASYNC_EINCOMPLETE");
    fetched("/truncated-chunk", "200:ASYNC_EINCOMPLETE");
    fetched("/reset", "0:broken");
    fetched("/empty", "0:broken");
}

static void what_is_not_http_is_a_protocol_error(void **state)
{
    (void)state;
    fetched("/garbage", "0:EPROTO");
    fetched("/bad-length", "0:EPROTO");
    fetched("/carriage-return", "0:EPROTO");
    fetched("/bad-gzip", "200:EPROTO");
}

static void headers_without_end_are_refused(void **state)
{
    (void)state;
    fetched("/endless-headers", "0:EMSGSIZE");
}

struct partly {
    ASYNC_FRAME;
    async_http_response response;
    async_bytes some;
    int i;
};
static ASYNC(partly)
{
    int error;
    ASYNC_BEGIN(partly);
    AWAIT(async_http_get, &world.session, url_of("/truncated"),
          &self->response);
    AWAIT_INTO(self->some, async_http_read, &self->response);
    say("%.*s", (int)self->some.size, self->some.data);
    for (self->i = 0; self->i < 2; self->i++) {
        AWAIT_CATCH_INTO(error, self->some, async_http_read, &self->response);
        say("%s", name_of(error));
    }
    async_http_close(&self->response);
    say("%d", async_http_code(&self->response) == CURLE_PARTIAL_FILE);
    assert_true(strlen(async_http_strerror(&self->response)) > 10);
    ASYNC_END;
}
static void what_had_come_is_read_before_the_error(void **state)
{
    (void)state;
    RUN(partly);
    assert_said("hello ASYNC_EINCOMPLETE ASYNC_EINCOMPLETE 1");
}

static void addresses_that_lead_nowhere_have_their_errors(void **state)
{
    char url[64];
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    (void)state;
    memset(&here, 0, sizeof here);
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&here, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", ntohs(here.sin_port));
    fetched(url, "0:ECONNREFUSED"); /* bound, and does not listen */
    close(fd);
    fetched("http://name.invalid/", "0:EAI_NONAME");
    fetched("ftp://127.0.0.1/", "0:EPROTONOSUPPORT");
    fetched("file:///etc/passwd", "0:EPROTONOSUPPORT");
    fetched("http://", "0:ASYNC_EINVAL");
    fetched("http://a b/", "0:ASYNC_EINVAL");
    fetched("http://127.0.0.1/\r\nX: y", "0:ASYNC_EINVAL");
}

/* --- redirects ----------------------------------------------------------- */

static void redirects_are_followed_up_to_a_limit(void **state)
{
    (void)state;
    fetched("/redirect", "200:hello");
    fetched("/loop", "0:ELOOP");
    assert_int_equal(world.requests, 11);
    fetched("/to-file", "0:EPROTONOSUPPORT");
}

struct redirected { ASYNC_FRAME; async_http_response response; };
static ASYNC(redirected)
{
    int error;
    ASYNC_BEGIN(redirected);
    AWAIT(async_http_get, &world.session, url_of("/redirect"),
          &self->response);
    assert_string_equal(async_http_url(&self->response), url_of("/hello"));
    assert_null(async_http_header(&self->response, "X-Old"));
    async_http_close(&self->response);
    AWAIT(async_http_get, &world.session, url_of("/redirect"), &self->response,
          { .max_redirects = -1 });
    say("%d %s", self->response.status,
        async_http_header(&self->response, "Location"));
    async_http_close(&self->response);
    AWAIT_CATCH(error, async_http_get, &world.session, url_of("/loop"),
                &self->response, { .max_redirects = 2 });
    say("%s %d", name_of(error),
        async_http_code(&self->response) == CURLE_TOO_MANY_REDIRECTS);
    ASYNC_END;
}
static void a_redirect_can_be_the_response(void **state)
{
    (void)state;
    RUN(redirected);
    assert_said("302 /hello ELOOP 1");
    assert_int_equal(world.requests, 2 + 1 + 3);
}

/* --- what is sent -------------------------------------------------------- */

static const char *const my_headers[] = { "X-Mine: 1", "User-Agent: me",
                                          NULL };
static const char *const injection[] = { "X-Mine: 1\r\nX-Other: 2", NULL };

/* A request with a method and a body, and the body of its answer. */
struct ask {
    ASYNC_FRAME;
    const char *method, *path, *body;
    async_http_options options;
    async_http_response response;
    async_buffer text;
    int error;
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    self->options.body = self->body;
    self->options.body_size = strlen(self->body);
    AWAIT_CATCH(self->error, async_http_request, &world.session, self->method,
                url_of(self->path), &self->response, self->options);
    if (!self->error)
        AWAIT_CATCH(self->error, async_http_read_all, &self->response,
                    &self->text);
    if (self->error)
        say("%s", name_of(self->error));
    else
        say("%d(%.*s)", self->response.status, (int)self->text.size,
            self->text.data != NULL ? self->text.data : "");
    async_buffer_free(&self->text);
    async_http_close(&self->response);
    ASYNC_END;
}

struct methods {
    ASYNC_FRAME;
    async_http_response response;
    async_buffer text;
};
static ASYNC(methods)
{
    ASYNC_BEGIN(methods);
    AWAIT(ask, "POST", "/echo", "body");
    AWAIT(ask, "PUT", "/echo", "body");
    AWAIT(ask, "PATCH", "/echo", "body");
    AWAIT(ask, "DELETE", "/echo", "");
    AWAIT(ask, "PUT", "/echo", "");
    AWAIT(ask, "POST", "/echo", "");
    AWAIT(ask, "HEAD", "/any", "");
    AWAIT(ask, "POST", "/again", "twice"); /* 307 sends it again */
    AWAIT(ask, "PUT", "/again", "twice");
    AWAIT(ask, "POST", "/redirect", "gone"); /* 302 becomes a GET */
    AWAIT(ask, "GET IT", "/echo", "");
    AWAIT(ask, "GET", "/echo", "", { .headers = injection });
    AWAIT(async_http_post, &world.session, url_of("/echo"), &self->response,
          "posted", 6);
    AWAIT(async_http_read_all, &self->response, &self->text);
    say("%s", self->text.data);
    async_http_close(&self->response);
    async_buffer_free(&self->text);
    ASYNC_END;
}
static void methods_send_their_bodies(void **state)
{
    (void)state;
    RUN(methods);
    assert_said("200(POST whole body) 200(PUT whole body) "
                "200(PATCH whole body) 200(DELETE whole ) 200(PUT whole ) "
                "200(POST whole ) 200() 200(POST whole twice) "
                "200(PUT whole twice) 200(hello) ASYNC_EINVAL ASYNC_EINVAL "
                "POST whole posted");
    assert_int_equal(world.connections, 1);
}

static void headers_of_the_request_are_sent(void **state)
{
    (void)state;
    RUN(fetch, "/head", { .headers = my_headers, .raw = 1 });
    assert_non_null(strstr(unit_said, "X-Mine: 1\r\n"));
    assert_non_null(strstr(unit_said, "User-Agent: me\r\n"));
    assert_null(strstr(unit_said, "Accept-Encoding"));
    unit_begin(NULL);
    RUN(fetch, "/head");
    assert_non_null(strstr(unit_said, "User-Agent: caesura/"));
    assert_non_null(strstr(unit_said, "Accept-Encoding"));
    unit_begin(NULL);
}

struct hundred { ASYNC_FRAME; };
static ASYNC(hundred)
{
    ASYNC_BEGIN(hundred);
    AWAIT(ask, "POST", "/echo", "asked", { .expect_continue = 1 });
    AWAIT(ask, "PUT", "/echo", "asked", { .expect_continue = 1 });
    ASYNC_END;
}
static void a_body_can_wait_until_the_server_wants_it(void **state)
{
    (void)state;
    RUN(hundred);
    assert_said("200(POST whole asked) 200(PUT whole asked)");
}

struct written {
    ASYNC_FRAME;
    async_http_response response;
    async_buffer text;
};
static ASYNC(written)
{
    int error;
    ASYNC_BEGIN(written);
    AWAIT(async_http_begin, &world.session, "POST", url_of("/echo"),
          &self->response);
    AWAIT(async_http_write, &self->response, "one ", 4);
    AWAIT(async_sleep, ASYNC_MS(5));
    AWAIT(async_http_write, &self->response, "", 0);
    AWAIT(async_http_write, &self->response, "two", 3);
    AWAIT(async_http_end, &self->response);
    AWAIT(async_http_read_all, &self->response, &self->text);
    say("%s", self->text.data);
    AWAIT_CATCH(error, async_http_write, &self->response, "x", 1);
    say("%s", name_of(error));
    async_http_close(&self->response);
    AWAIT_CATCH(error, async_http_write, &self->response, "x", 1);
    say("%s", name_of(error));
    /* of a length that is known, and by another method */
    AWAIT(async_http_begin, &world.session, "PUT", url_of("/echo"),
          &self->response, { .length = 7 });
    AWAIT(async_http_write, &self->response, "one ", 4);
    AWAIT(async_http_write, &self->response, "two", 3);
    AWAIT(async_http_end, &self->response);
    AWAIT(async_http_read_all, &self->response, &self->text);
    say("%s", self->text.data);
    async_http_close(&self->response);
    /* nothing at all */
    AWAIT(async_http_begin, &world.session, "PATCH", url_of("/echo"),
          &self->response);
    AWAIT(async_http_end, &self->response);
    AWAIT(async_http_read_all, &self->response, &self->text);
    say("%s", self->text.data);
    async_http_close(&self->response);
    async_buffer_free(&self->text);
    ASYNC_END;
}
static void a_body_can_be_written_in_pieces(void **state)
{
    (void)state;
    RUN(written);
    assert_said("POST chunked one two ASYNC_EINVALSTATE ASYNC_ECLOSED "
                "PUT whole one two PATCH chunked ");
}

/* A server that answers early has no use for the rest. */
struct early { ASYNC_FRAME; async_http_response response; int error, i; };
static ASYNC(early)
{
    static const char block[65536];
    ASYNC_BEGIN(early);
    AWAIT(async_http_begin, &world.session, "PUT", url_of("/413"),
          &self->response);
    for (self->i = 0; self->i < 1000 && !self->error; self->i++)
        AWAIT_CATCH(self->error, async_http_write, &self->response, block,
                    sizeof block);
    assert_true(self->i < 1000);
    if (self->error == UV_EPIPE) {
        AWAIT(async_http_end, &self->response);
        assert_int_equal(self->response.status, 413);
    } else { /* the reset was faster */
        assert_true(self->error == UV_ECONNRESET);
    }
    async_http_close(&self->response);
    ASYNC_END;
}
static void writing_ends_when_the_server_has_answered(void **state)
{
    (void)state;
    RUN(early);
}

static int source_calls;
static int three(void *argument, async_bytes *chunk)
{
    static const char *const texts[] = { "a", "bc", "d" };
    if (source_calls == 3) return argument != NULL ? -EIO : 0;
    chunk->data = texts[source_calls++];
    chunk->size = strlen(chunk->data);
    return 0;
}
static void a_body_can_come_from_a_callback(void **state)
{
    (void)state;
    source_calls = 0;
    RUN(ask, "POST", "/echo", "", { .source = three });
    source_calls = 0;
    RUN(ask, "PUT", "/echo", "", { .source = three, .length = 4 });
    source_calls = 0;
    RUN(ask, "PUT", "/echo", "",
        { .source = three, .source_argument = &world });
    assert_said("200(POST chunked abcd) 200(PUT whole abcd) EIO");
}

static int set_referer(CURL *easy, void *argument)
{
    if (argument == NULL) return -EPERM;
    curl_easy_setopt(easy, CURLOPT_REFERER, (char *)argument);
    return 0;
}
static char referer[] = "there";
static void other_options_of_libcurl_can_be_set(void **state)
{
    (void)state;
    RUN(fetch, "/head",
        { .configure = set_referer, .configure_argument = referer });
    assert_non_null(strstr(unit_said, "Referer: there"));
    unit_begin(NULL);
    RUN(fetch, "/head", { .configure = set_referer });
    assert_said("0:EPERM");
}

/* --- the session --------------------------------------------------------- */

struct several { ASYNC_FRAME; int n; const char *path; int i; };
static ASYNC(several)
{
    ASYNC_BEGIN(several);
    for (; self->i < self->n; self->i++) AWAIT(fetch, self->path);
    ASYNC_END;
}
static void a_connection_is_used_again(void **state)
{
    (void)state;
    RUN(several, 5, "/hello");
    assert_said("200:hello 200:hello 200:hello 200:hello 200:hello");
    assert_int_equal(world.connections, 1);
    RUN(several, 3, "/until-closed");
    assert_int_equal(world.connections, 3);
    unit_begin(NULL);
}

struct at_once { ASYNC_FRAME; int n; async_gathering all; int i; };
static ASYNC(at_once)
{
    ASYNC_BEGIN(at_once);
    for (; self->i < self->n; self->i++)
        async_gather_add(&self->all, CO(fetch, "/slow"));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    say("%d", world.most_slow);
    ASYNC_END;
}
static void requests_run_side_by_side(void **state)
{
    (void)state;
    RUN(at_once, 3);
    assert_said("200:slow 200:slow 200:slow 3");
    assert_int_equal(world.connections, 3);
}

struct with_limit { ASYNC_FRAME; async_http_session_options options; };
static ASYNC(with_limit)
{
    ASYNC_BEGIN(with_limit);
    async_http_session_close(&world.session);
    AWAIT(async_http_session_open, &world.session, self->options);
    AWAIT(at_once, 3);
    ASYNC_END;
}
static void connections_have_limits(void **state)
{
    (void)state;
    RUN(with_limit, { .max_connections = 1 });
    assert_said("200:slow 200:slow 200:slow 1");
    assert_int_equal(world.connections, 1);
    RUN(with_limit, { .max_per_host = 1 });
    assert_said("200:slow 200:slow 200:slow 1");
    assert_int_equal(world.connections, 1);
}

struct cookies { ASYNC_FRAME; async_http_session_options options; };
static ASYNC(cookies)
{
    ASYNC_BEGIN(cookies);
    async_http_session_close(&world.session);
    AWAIT(async_http_session_open, &world.session, self->options);
    AWAIT(fetch, "/set-cookie");
    AWAIT(fetch, "/head", { .raw = 1 });
    ASYNC_END;
}
static void cookies_are_kept_in_the_session(void **state)
{
    (void)state;
    RUN(cookies);
    assert_non_null(strstr(unit_said, "Cookie: n=42"));
    unit_begin(NULL);
    RUN(cookies, { .no_cookies = 1 });
    assert_null(strstr(unit_said, "Cookie: n=42"));
    unit_begin(NULL);
}

struct wrong_use {
    ASYNC_FRAME;
    async_http_session other;
    async_http_response response;
    async_bytes some;
};
static ASYNC(wrong_use)
{
    int error;
    ASYNC_BEGIN(wrong_use);
    AWAIT_CATCH(error, async_http_session_open, &world.session);
    say("%s", name_of(error));
    AWAIT_CATCH(error, async_http_get, &self->other, url_of("/hello"),
                &self->response);
    say("%s", name_of(error));
    async_http_session_close(&self->other);
    AWAIT_CATCH_INTO(error, self->some, async_http_read, &self->response);
    say("%s", name_of(error));
    AWAIT_CATCH(error, async_http_end, &self->response);
    say("%s", name_of(error));
    async_http_close(&self->response);
    AWAIT_CATCH(error, async_http_get, &world.session, NULL, &self->response);
    say("%s", name_of(error));
    AWAIT(async_http_get, &world.session, url_of("/hello"), &self->response);
    AWAIT_CATCH(error, async_http_get, &world.session, url_of("/hello"),
                &self->response);
    say("%s", name_of(error));
    AWAIT_CATCH(error, async_http_end, &self->response);
    say("%s", name_of(error));
    async_http_close(&self->response);
    AWAIT(async_http_begin, &world.session, "PUT", url_of("/echo"),
          &self->response);
    AWAIT_CATCH_INTO(error, self->some, async_http_read, &self->response);
    say("%s", name_of(error));
    async_http_close(&self->response);
    async_http_close(&self->response);
    ASYNC_END;
}
static void wrong_use_has_its_errors(void **state)
{
    (void)state;
    RUN(wrong_use);
    assert_said(
        "ASYNC_EBUSY ASYNC_ECLOSED ASYNC_ECLOSED ASYNC_ECLOSED "
        "ASYNC_EINVAL ASYNC_EBUSY ASYNC_EINVALSTATE ASYNC_EINVALSTATE");
}

struct closing { ASYNC_FRAME; async_task *task, *other; };
static ASYNC(closing)
{
    ASYNC_BEGIN(closing);
    self->task = async_create_task(CO(fetch, "/hang"));
    self->other = async_create_task(CO(fetch, "/hang"));
    while (world.requests < 2) AWAIT(async_sleep, ASYNC_MS(1));
    async_http_session_close(&world.session);
    AWAIT_JOIN(self->task);
    AWAIT_JOIN(self->other);
    while (world.gone < 2) AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void closing_the_session_ends_its_requests(void **state)
{
    (void)state;
    RUN(closing);
    assert_said("0:ASYNC_ECLOSED 0:ASYNC_ECLOSED");
}

/* --- time, and cancelling ------------------------------------------------ */

struct timed { ASYNC_FRAME; async_http_response response; async_bytes some; };
static ASYNC(timed)
{
    int error;
    ASYNC_BEGIN(timed);
    AWAIT_CATCH(error, async_http_get, &world.session, url_of("/hang"),
                &self->response, { .timeout = ASYNC_MS(20) });
    say("%s %d", name_of(error),
        async_http_code(&self->response) == CURLE_OPERATION_TIMEDOUT);
    while (world.gone < 1) AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(async_http_get, &world.session, url_of("/begun"), &self->response,
          { .timeout = ASYNC_MS(500) });
    AWAIT_INTO(self->some, async_http_read, &self->response);
    AWAIT_CATCH_INTO(error, self->some, async_http_read, &self->response);
    say("%s", name_of(error));
    async_http_close(&self->response);
    while (world.gone < 2) AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT_CATCH(
        error, async_wait_for,
        CO(async_http_get, &world.session, url_of("/hang"), &self->response),
        ASYNC_MS(20));
    say("%s", name_of(error));
    while (world.gone < 3) AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void a_request_has_a_timeout(void **state)
{
    (void)state;
    RUN(timed);
    assert_said("ASYNC_ETIMEDOUT 1 ASYNC_ETIMEDOUT ASYNC_ETIMEDOUT");
}

/* Also while it waits for a connection. */
struct timed_in_line { ASYNC_FRAME; async_task *task; async_http_response r; };
static ASYNC(timed_in_line)
{
    int error;
    ASYNC_BEGIN(timed_in_line);
    async_http_session_close(&world.session);
    AWAIT(async_http_session_open, &world.session, { .max_connections = 1 });
    self->task = async_create_task(CO(fetch, "/slow"));
    AWAIT(async_sleep, ASYNC_MS(10));
    AWAIT_CATCH(error, async_http_get, &world.session, url_of("/hello"),
                &self->r, { .timeout = ASYNC_MS(20) });
    say("%s", name_of(error));
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void the_wait_for_a_connection_counts(void **state)
{
    (void)state;
    RUN(timed_in_line);
    assert_said("ASYNC_ETIMEDOUT 200:slow");
}

static int cancelled_in_time;

/* Cancels one request after so many iterations, with another beside it. */
struct cancelling {
    ASYNC_FRAME;
    async_object request;
    int after;
    int i, error;
    async_task *task, *other;
};
static ASYNC(cancelling)
{
    ASYNC_BEGIN(cancelling);
    self->other = async_create_task(CO(fetch, "/drip"));
    self->task = async_create_task(self->request);
    for (self->i = 0; self->i < self->after; self->i++) {
        /* in the poll, every third time, for the other end has to run too */
        if (self->i % 3 == 2) AWAIT(async_sleep, ASYNC_US(300));
        AWAIT(async_sleep, 0);
    }
    cancelled_in_time = async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
    ASYNC_END_TRY
    AWAIT_JOIN(self->other);
    AWAIT(fetch, "/hello");
    assert_non_null(strstr(unit_said, "200:dddd"));
    assert_non_null(strstr(unit_said, "200:hello"));
    ASYNC_END;
}
static void cancelled_everywhere(async_object request)
{
    int after, in_time = 0, ended = 0;
    for (after = 0; after < 60; after++) {
        source_calls = 0;
        memset(&world, 0, sizeof world);
        unit_begin(NULL);
        run(CO(in_world, CO(cancelling, request, after)));
        if (cancelled_in_time)
            in_time++;
        else
            ended++;
    }
    /* from before it has begun to after its end, or the test would say nothing
     * of what lies between */
    assert_true(in_time >= 3 && ended > 0);
    unit_begin(NULL);
}

struct upload {
    ASYNC_FRAME;
    async_http_response response;
    async_buffer text;
};
static ASYNC(upload)
{
    ASYNC_BEGIN(upload);
    AWAIT(async_http_begin, &world.session, "POST", url_of("/echo"),
          &self->response);
    ASYNC_TRY {
        AWAIT(async_http_write, &self->response, "one", 3);
        AWAIT(async_http_write, &self->response, "two", 3);
        AWAIT(async_http_end, &self->response);
        AWAIT(async_http_read_all, &self->response, &self->text);
    } ASYNC_FINALLY {
        async_buffer_free(&self->text);
        async_http_close(&self->response);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_request_can_be_cancelled_at_any_time(void **state)
{
    (void)state;
    cancelled_everywhere(CO(fetch, "/drip"));
}
static void sending_can_be_cancelled_at_any_time(void **state)
{
    (void)state;
    cancelled_everywhere(CO(upload));
    cancelled_everywhere(CO(ask, "POST", "/echo", "", { .source = three }));
}
/* Nobody reads the body that another write would need: a part of it is out. */
struct half_written {
    ASYNC_FRAME;
    async_http_response response;
    async_task *t;
};
static ASYNC(half_written)
{
    static char block[8 * 1024 * 1024];
    int error;
    ASYNC_BEGIN(half_written);
    AWAIT(async_http_begin, &world.session, "PUT", url_of("/deaf"),
          &self->response);
    self->t = async_create_task(
        CO(async_http_write, &self->response, block, sizeof block));
    while (self->response.body_at == 0) AWAIT(async_sleep, ASYNC_MS(1));
    async_task_cancel(self->t);
    ASYNC_TRY {
        AWAIT_JOIN(self->t);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled");
    } ASYNC_END_TRY
    AWAIT_CATCH(error, async_http_end, &self->response);
    say("%s", name_of(error));
    ASYNC_END;
}
static void half_a_write_fails_the_request(void **state)
{
    (void)state;
    RUN(half_written);
    assert_said("cancelled ASYNC_ECLOSED");
}

/* --- a server beside the loop -------------------------------------------- */

/* Answers what comes with "hello"; with `hangs`, not at all. */
typedef struct plain_server {
    int listener, port, hangs;
    pthread_t thread;
} plain_server;
static void *plain_serve(void *argument)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        "hello";
    plain_server *server = (plain_server *)argument;
    char buffer[1024];
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n > 0 && !server->hangs) send(fd, text, sizeof text - 1, 0);
        if (server->hangs)
            while (recv(fd, buffer, sizeof buffer, 0) > 0) continue;
        close(fd);
    }
    return NULL;
}
static void plain_open(plain_server *server, int hangs)
{
    struct sockaddr_in here;
    socklen_t size = sizeof here;
    memset(&here, 0, sizeof here);
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->hangs = hangs;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&here, size),
                     0);
    assert_int_equal(listen(server->listener, 16), 0);
    getsockname(server->listener, (struct sockaddr *)&here, &size);
    server->port = ntohs(here.sin_port);
    pthread_create(&server->thread, NULL, plain_serve, server);
}
static void plain_close(plain_server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

struct alone {
    ASYNC_FRAME;
    int port;
    async_http_session session;
    async_http_response response;
    async_buffer body;
    char url[64];
};
static ASYNC(alone)
{
    ASYNC_BEGIN(alone);
    snprintf(self->url, sizeof self->url, "http://127.0.0.1:%d/", self->port);
    ASYNC_TRY {
        AWAIT(async_http_session_open, &self->session);
        AWAIT(async_http_get, &self->session, self->url, &self->response);
        AWAIT(async_http_read_all, &self->response, &self->body);
        say("%.*s", (int)self->body.size, self->body.data);
    } ASYNC_FINALLY {
        async_buffer_free(&self->body);
        async_http_close(&self->response);
        async_http_session_close(&self->session);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* When those of other threads are closed, too. */
static int count_descriptors_settled(int open)
{
    int i;
    for (i = 0; i < 10000 && descriptors() > open; i++) uv_sleep(1);
    return descriptors();
}

/* The thread that looks it up goes on, and has descriptors until its end; but
 * nobody waits for it. */
static void looking_up_a_name_can_be_cancelled(void **state)
{
    async_uv_loop loop;
    int after, open = 0;
    (void)state;
    for (after = 0; after < 12; after++) {
        async_time start;
        memset(&world, 0, sizeof world);
        memset(&memory, 0, sizeof memory);
        async_uv_loop_init(&loop, NULL, &counting_allocator);
        start = async_loop_time(&loop.base);
        assert_int_equal(
            async_loop_run_until_complete(
                &loop.base,
                CO(in_world,
                   CO(cancelling, CO(fetch, "http://name.invalid/"), after))),
            0);
        assert_true(async_loop_time(&loop.base) - start < ASYNC_SECONDS(5));
        assert_int_equal(async_uv_loop_count_handles(&loop.base), 0);
        async_loop_close(&loop.base);
        assert_int_equal(memory.live, 0);
        unit_begin(NULL);
        if (after == 0) open = descriptors();
    }
    assert_int_equal(count_descriptors_settled(open), open);
}

static void no_memory_is_an_error(void **state)
{
    plain_server server;
    int at, error, refused = 0;
    (void)state;
    plain_open(&server, 0);
    for (at = 0; at < 200; at++) {
        async_uv_loop loop;
        memset(&memory, 0, sizeof memory);
        memory.refuse_at = at;
        memory.refuse = 1;
        assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator),
                         0);
        async_loop_set_exception_handler(&loop.base, say_report, NULL);
        error =
            async_loop_run_until_complete(&loop.base, CO(alone, server.port));
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        if (memory.refused) refused++;
        if (error) assert_true(memory.refused);
        assert_int_equal(async_uv_loop_count_handles(&loop.base), 0);
        async_loop_close(&loop.base);
        assert_int_equal(memory.live, 0);
        if (!memory.refused) break;
    }
    assert_true(refused > 2 && at < 200);
    plain_close(&server);
    unit_begin(NULL);
}

static int stop_it(void *argument)
{
    async_loop_stop((async_loop *)argument);
    return 0;
}

static void a_loop_can_be_closed_while_requests_run(void **state)
{
    plain_server server;
    async_uv_loop loop;
    async_handle stopper;
    int open;
    (void)state;
    plain_open(&server, 1);
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_loop_close(&loop.base);
    open = descriptors();
    memset(&memory, 0, sizeof memory);
    memset(&stopper, 0, sizeof stopper);
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    async_task_release(
        async_loop_create_task(&loop.base, CO(alone, server.port)));
    async_loop_call_later(&loop.base, &stopper, ASYNC_MS(50), stop_it,
                          &loop.base);
    async_loop_run_forever(&loop.base);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
    assert_int_equal(count_descriptors_settled(open), open);
    plain_close(&server);
    assert_said("[Task was destroyed but it is pending!]");
}

/* The session is nobody's any more: it goes with the loop. */
static async_http_session left_open;
static async_http_response left_response;
struct leave { ASYNC_FRAME; int port; char url[64]; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    snprintf(self->url, sizeof self->url, "http://127.0.0.1:%d/", self->port);
    AWAIT(async_http_session_open, &left_open);
    AWAIT(async_http_get, &left_open, self->url, &left_response);
    ASYNC_END;
}
static void closing_the_loop_closes_a_session(void **state)
{
    plain_server server;
    async_uv_loop loop;
    (void)state;
    plain_open(&server, 0);
    memset(&memory, 0, sizeof memory);
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(leave, server.port)), 0);
    assert_int_equal(left_response.status, 200);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
    assert_null(async_http_easy(&left_response));
    async_http_close(&left_response);
    async_http_session_close(&left_open);
    plain_close(&server);
}

static void a_borrowed_loop_runs_requests(void **state)
{
    plain_server server;
    async_uv_loop loop;
    uv_loop_t uv;
    (void)state;
    plain_open(&server, 0);
    uv_loop_init(&uv);
    memset(&memory, 0, sizeof memory);
    assert_int_equal(async_uv_loop_init(&loop, &uv, &counting_allocator), 0);
    async_task_release(
        async_loop_create_task(&loop.base, CO(alone, server.port)));
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_said("hello");
    async_loop_close(&loop.base);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_int_equal(memory.live, 0);
    /* and closed in the midst of one */
    uv_loop_init(&uv);
    async_uv_loop_init(&loop, &uv, &counting_allocator);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    async_task_release(
        async_loop_create_task(&loop.base, CO(alone, server.port)));
    uv_run(&uv, UV_RUN_NOWAIT);
    uv_run(&uv, UV_RUN_NOWAIT);
    async_loop_close(&loop.base);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_int_equal(memory.live, 0);
    plain_close(&server);
    assert_said("[Task was destroyed but it is pending!]");
}

UNIT_MAIN(TEST(get_gives_status_and_body),
          TEST(chunks_are_joined_and_trailers_left_out),
          TEST(a_head_of_information_is_not_the_response),
          TEST(headers_are_found_and_listed), TEST(a_body_is_read_as_it_comes),
          TEST(the_end_comes_again_and_again),
          TEST(a_slow_reader_holds_the_server_back),
          TEST(a_body_beyond_the_limit_is_an_error),
          TEST(an_answer_that_breaks_off_is_incomplete),
          TEST(what_is_not_http_is_a_protocol_error),
          TEST(headers_without_end_are_refused),
          TEST(what_had_come_is_read_before_the_error),
          TEST(addresses_that_lead_nowhere_have_their_errors),
          TEST(redirects_are_followed_up_to_a_limit),
          TEST(a_redirect_can_be_the_response),
          TEST(methods_send_their_bodies),
          TEST(headers_of_the_request_are_sent),
          TEST(a_body_can_wait_until_the_server_wants_it),
          TEST(a_body_can_be_written_in_pieces),
          TEST(writing_ends_when_the_server_has_answered),
          TEST(a_body_can_come_from_a_callback),
          TEST(other_options_of_libcurl_can_be_set),
          TEST(a_connection_is_used_again), TEST(requests_run_side_by_side),
          TEST(connections_have_limits), TEST(cookies_are_kept_in_the_session),
          TEST(wrong_use_has_its_errors),
          TEST(closing_the_session_ends_its_requests),
          TEST(a_request_has_a_timeout),
          TEST(the_wait_for_a_connection_counts),
          TEST(a_request_can_be_cancelled_at_any_time),
          TEST(sending_can_be_cancelled_at_any_time),
          TEST(looking_up_a_name_can_be_cancelled),
          TEST(half_a_write_fails_the_request), TEST(no_memory_is_an_error),
          TEST(a_loop_can_be_closed_while_requests_run),
          TEST(closing_the_loop_closes_a_session),
          TEST(a_borrowed_loop_runs_requests))
