/* proxy - an HTTP reverse proxy, with backpressure.
 *
 *     proxy                              a server behind it, and asks both
 *     proxy 8080 http://127.0.0.1:9000   serves until Ctrl-C
 *
 * What comes is passed on as it comes, in both directions: whoever reads
 * slowly holds back who writes, through the proxy, which keeps a few buffers
 * for each request however long it is.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/http_client.h"
#include "../async/net/http_server.h"

#include <stdio.h>
#include <stdlib.h>

/* --- the proxy ----------------------------------------------------------- */

struct proxy_to { async_http_session session; const char *url; };

enum { URL = 8192 + 100, HEADERS = 64, TEXT = 16384 };

static int same_name(const char *a, const char *b, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++)
        if ((a[i] | 0x20) != (b[i] | 0x20)) return 0;
    return 1;
}

/* What is said from one neighbour to the next, and not passed on: some, and
 * those that `connection` has, which is that header.  The length is said
 * anew. */
static int is_hop_by_hop(const char *name, size_t size, const char *connection,
                         size_t left)
{
    static const char *const names[] = { "connection",
                                         "keep-alive",
                                         "proxy-authenticate",
                                         "proxy-connection",
                                         "proxy-authorization",
                                         "te",
                                         "trailer",
                                         "transfer-encoding",
                                         "upgrade",
                                         "content-length",
                                         "expect",
                                         "date" };
    size_t i, n;
    for (i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && same_name(name, names[i], size))
            return 1;
    for (; left > 0; connection += n, left -= n) {
        for (n = 0; n < left && strchr(", \t", connection[n]) == NULL; n++) {}
        if (n == size && same_name(name, connection, size)) return 1;
        if (n == 0) n = 1;
    }
    return 0;
}

struct proxy {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
    struct proxy_to *to;
    async_http_response answer;
    async_bytes some;
    async_http_options options;
    const char *headers[HEADERS + 2];
    char url[URL], text[TEXT];
    int error;
};
static ASYNC(proxy);

/* Returns 0, or the status of a refusal. */
static int make_request(struct proxy *self)
{
    const async_web_request *request = self->request;
    async_bytes connection = async_web_header_of(request, "connection");
    size_t i, n = 0, used = 0;
    int size = snprintf(self->url, sizeof self->url, "%s%.*s", self->to->url,
                        (int)request->target.size, request->target.data);
    if (size < 0 || (size_t)size >= sizeof self->url) return 414;
    if (request->target.data[0] != '/') return 400;
    for (i = 0; i < request->header_count; i++) {
        const async_web_header *header = request->headers + i;
        if (is_hop_by_hop(header->name.data, header->name.size,
                          connection.data, connection.size))
            continue;
        size = snprintf(self->text + used, sizeof self->text - used,
                        header->value.size > 0 ? "%.*s: %.*s" : "%.*s;",
                        (int)header->name.size, header->name.data,
                        (int)header->value.size, header->value.data);
        if (size < 0 || (size_t)size >= sizeof self->text - used ||
            n == HEADERS)
            return 431;
        self->headers[n++] = self->text + used;
        used += (size_t)size + 1;
    }
    /* libcurl adds nothing of its own. */
    self->headers[n++] = "Expect:";
    self->options.headers = self->headers;
    self->options.length =
        request->content_length > 0 ? request->content_length : 0;
    self->options.max_redirects = -1;
    self->options.raw = 1;
    return 0;
}

static int begin_response(struct proxy *self)
{
    async_http_field field = { NULL, NULL };
    const char *length = async_http_header(&self->answer, "content-length");
    const char *connection = async_http_header(&self->answer, "connection");
    int error = 0;
    self->response->status = self->answer.status;
    if (length != NULL)
        self->response->content_length = strtoll(length, NULL, 10);
    while (!error && async_http_next_header(&self->answer, &field))
        if (!is_hop_by_hop(field.name, strlen(field.name), connection,
                           connection != NULL ? strlen(connection) : 0))
            error =
                async_web_add_header(self->response, field.name, field.value);
    return error;
}

/* Sends the request on, with its body, until the answer begins. */
struct send_on { ASYNC_FRAME; struct proxy *proxy; int error; };
static ASYNC(send_on)
{
    ASYNC_BEGIN(send_on);
    if (self->proxy->request->content_length == 0) {
        AWAIT(async_http_request, &self->proxy->to->session,
              self->proxy->request->method, self->proxy->url,
              &self->proxy->answer, self->proxy->options);
        ASYNC_RETURN();
    }
    AWAIT(async_http_begin, &self->proxy->to->session,
          self->proxy->request->method, self->proxy->url, &self->proxy->answer,
          self->proxy->options);
    for (;;) {
        AWAIT_INTO(self->proxy->some, async_web_read, self->proxy->request);
        if (self->proxy->some.size == 0) break;
        AWAIT_CATCH(self->error, async_http_write, &self->proxy->answer,
                    self->proxy->some.data, self->proxy->some.size);
        if (self->error == UV_EPIPE) break; /* it has answered already */
        if (self->error) ASYNC_RAISE(self->error);
    }
    AWAIT(async_http_end, &self->proxy->answer);
    ASYNC_END;
}

static ASYNC(proxy)
{
    ASYNC_BEGIN(proxy);
    self->error = make_request(self);
    if (self->error) {
        async_web_respond(self->response, self->error, NULL, NULL, 0);
        ASYNC_RETURN();
    }
    ASYNC_TRY {
        AWAIT_CATCH(self->error, send_on, self);
        if (self->error == ASYNC_ECANCELED || self->error == ASYNC_EHTTP ||
            self->error == ASYNC_ELIMIT || self->error == ASYNC_ENOMEM)
            ASYNC_RAISE(self->error); /* that was no fault of the server's */
        if (!self->error) self->error = begin_response(self);
        if (self->error) {
            async_web_respond(self->response,
                              self->error == ASYNC_ETIMEDOUT ? 504 : 502, NULL,
                              NULL, 0);
        } else {
            for (;;) {
                /* The first, without bytes, is the head. */
                AWAIT(async_web_write, self->response, self->some.data,
                      self->some.size);
                AWAIT_INTO(self->some, async_http_read, &self->answer);
                if (self->some.size == 0) break;
            }
        }
    } ASYNC_FINALLY {
        async_http_close(&self->answer);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- a server to stand before -------------------------------------------- */

static size_t flooded; /* bytes that it could write */

struct upstream {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
    async_bytes some;
};
static ASYNC(upstream)
{
    static const char block[65536];
    ASYNC_BEGIN(upstream);
    if (async_web_is(self->request, "GET", "/hello")) {
        async_web_add_header(self->response, "X-Served-By", "upstream");
        async_web_respond(self->response, 200, "text/plain", "hello", 5);
    } else if (async_web_is(self->request, "POST", "/echo")) {
        for (;;) {
            AWAIT_INTO(self->some, async_web_read, self->request);
            if (self->some.size == 0) break;
            AWAIT(async_web_write, self->response, self->some.data,
                  self->some.size);
        }
    } else if (async_web_is(self->request, "GET", "/flood")) {
        while (flooded < 64 * 1024 * 1024) {
            AWAIT(async_web_write, self->response, block, sizeof block);
            flooded += sizeof block;
        }
    } else {
        async_web_respond(self->response, 404, NULL, NULL, 0);
    }
    ASYNC_END;
}

/* --- asking through the proxy -------------------------------------------- */

struct ask {
    ASYNC_FRAME;
    async_http_session *session;
    const char *method, *base, *path;
    size_t size; /* of the body */
    char url[128];
    char *body;
    async_http_response response;
    async_bytes some;
    async_http_options options;
    size_t got, same;
    const char *by;
};
static ASYNC(ask)
{
    size_t i;
    ASYNC_BEGIN(ask);
    snprintf(self->url, sizeof self->url, "%s%s", self->base, self->path);
    self->body = (char *)malloc(self->size + 1);
    if (self->body == NULL) ASYNC_RAISE(ASYNC_ENOMEM);
    for (i = 0; i < self->size; i++) self->body[i] = (char)(i % 251);
    self->options.body = self->body;
    self->options.body_size = self->size;
    ASYNC_TRY {
        AWAIT(async_http_request, self->session, self->method, self->url,
              &self->response, self->options);
        for (;;) {
            AWAIT_INTO(self->some, async_http_read, &self->response);
            if (self->some.size == 0) break;
            if (self->got + self->some.size <= self->size &&
                memcmp(self->body + self->got, self->some.data,
                       self->some.size) == 0)
                self->same += self->some.size;
            self->got += self->some.size;
        }
        self->by = async_http_header(&self->response, "x-served-by");
        printf("%s %s -> %d, %zu bytes%s%s%s\n", self->method, self->path,
               self->response.status, self->got,
               self->size > 0 && self->same == self->size ? ", the same" : "",
               self->by != NULL ? ", by " : "",
               self->by != NULL ? self->by : "");
    } ASYNC_FINALLY {
        async_http_close(&self->response);
        free(self->body);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Asks for much, and reads nothing of it. */
struct stall {
    ASYNC_FRAME;
    async_http_session *session;
    const char *base;
    char url[128];
    async_http_response response;
    size_t before;
};
static ASYNC(stall)
{
    ASYNC_BEGIN(stall);
    snprintf(self->url, sizeof self->url, "%s/flood", self->base);
    AWAIT(async_http_get, self->session, self->url, &self->response);
    do { /* until nothing moves any more */
        self->before = flooded;
        AWAIT(async_sleep, ASYNC_MS(300));
    } while (flooded > self->before);
    printf("GET /flood, and not read -> the server behind %s\n",
           flooded < 64 * 1024 * 1024 ? "is held back" : "has written it all");
    async_http_close(&self->response);
    AWAIT(async_sleep, ASYNC_MS(50));
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    int port;
    const char *url;
    async_web_options options;
    async_web_server behind, front;
    struct proxy_to to;
    async_http_session session;
    char behind_url[64], front_url[64];
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->options.max_body = ASYNC_WEB_UNLIMITED;
    self->to.url = self->url;
    ASYNC_TRY {
        AWAIT(async_http_session_open, &self->to.session,
              { .no_cookies = 1, .timeout = ASYNC_FOREVER });
        if (self->url == NULL) {
            AWAIT(async_web_start, &self->behind, ASYNC_WEB_HANDLER(upstream),
                  "127.0.0.1", 0, &self->options);
            snprintf(self->behind_url, sizeof self->behind_url,
                     "http://127.0.0.1:%d",
                     async_server_port(&self->behind.server));
            self->to.url = self->behind_url;
        }
        AWAIT(async_web_start, &self->front,
              ASYNC_WEB_HANDLER(proxy, &self->to), "127.0.0.1", self->port,
              &self->options);
        if (self->url != NULL) {
            AWAIT(async_web_serve_forever, &self->front, ASYNC_SECONDS(10));
        } else {
            snprintf(self->front_url, sizeof self->front_url,
                     "http://127.0.0.1:%d",
                     async_server_port(&self->front.server));
            AWAIT(async_http_session_open, &self->session);
            AWAIT(ask, &self->session, "GET", self->front_url, "/hello");
            AWAIT(ask, &self->session, "GET", self->front_url, "/nothing");
            AWAIT(ask, &self->session, "POST", self->front_url, "/echo",
                  3000000);
            AWAIT(stall, &self->session, self->front_url);
            AWAIT(async_web_stop, &self->behind, ASYNC_MS(100));
            AWAIT(ask, &self->session, "GET", self->front_url, "/hello");
        }
    } ASYNC_FINALLY {
        async_http_session_close(&self->session);
        AWAIT(async_web_stop, &self->front, ASYNC_SECONDS(1));
        AWAIT(async_web_stop, &self->behind, ASYNC_SECONDS(1));
        async_http_session_close(&self->to.session);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int error = async_run(
        CO(program, argc > 2 ? atoi(argv[1]) : 0, argc > 2 ? argv[2] : NULL));
    return error != 0 && error != ASYNC_EINTR;
}
