/* What an HTTP server says, as the fuzzer has it, to a session that asks for one
 * page after the other: redirects are followed, bodies read in pieces, connections
 * kept, HTTP/2 spoken.  The first byte of the input says how.  libcurl parses;
 * how its bytes become a head and a body, is ours. */
#define _GNU_SOURCE
#define ASYNC_IMPLEMENTATION
#include "../../async/net/http_client.h"

#include "socket_server.h"

static int by_socket(CURL *easy, void *path)
{
    (void)curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, (char *)path);
    return 0;
}

static volatile unsigned sink;
static void touch(const char *data, size_t size)
{
    while (size-- > 0) sink += (unsigned char)*data++;
}
static void look(const async_http_response *response)
{
    async_http_field field = { NULL, NULL };
    size_t fields = 0;
    CHECK(response->status >= 0 && response->status <= 999);
    while (async_http_next_header(response, &field)) {
        CHECK(strpbrk(field.name, "\r\n:") == NULL);
        CHECK(strpbrk(field.value, "\r\n") == NULL);
        CHECK(async_http_header(response, field.name) != NULL);
        fields++;
    }
    CHECK(fields <= 3000);
    CHECK(async_http_url(response) != NULL);
}
static void expect(const async_http_response *response, int error)
{
    CHECK(error == 0 || error == UV_ECONNRESET || error == ASYNC_EINCOMPLETE ||
          error == ASYNC_ETIMEDOUT || error == UV_EPROTO ||
          error == UV_ELOOP || error == UV_EMSGSIZE || error == UV_ESPIPE ||
          error == UV_ENOTSUP || error == UV_EPROTONOSUPPORT ||
          error == ASYNC_EINVAL || error == UV_EIO ||
          error == UV_ECONNREFUSED || error == UV_EPIPE ||
          error == ASYNC_ETLSVERIFY);
    CHECK(strlen(async_http_strerror(response)) < 1000);
}

struct client {
    ASYNC_FRAME;
    unsigned what;
    const char *path;
    unsigned i;
    async_http_session session;
    async_http_response response;
    async_http_options options;
    async_buffer text;
    async_bytes some;
    size_t total;
    int error;
};
static ASYNC(client)
{
    ASYNC_BEGIN(client);
    AWAIT(async_http_session_open, &self->session);
    ASYNC_TRY {
        for (self->i = 0; self->i < 3 && input_size > 0; self->i++) {
            memset(&self->options, 0, sizeof self->options);
            self->options.configure = by_socket;
            self->options.configure_argument = (void *)(uintptr_t)self->path;
            self->options.timeout = ASYNC_SECONDS(2);
            self->options.max_redirects = 3;
            self->options.max_headers = 6000;
            if (self->what & 1)
                self->options.http_version = ASYNC_HTTP_2_AT_ONCE;
            if (self->what & 2)
                AWAIT_CATCH(self->error, async_http_post, &self->session,
                            "http://a/x", &self->response, "body", 4,
                            self->options);
            else
                AWAIT_CATCH(self->error, async_http_get, &self->session,
                            "http://a/y", &self->response, self->options);
            expect(&self->response, self->error);
            if (self->error) continue;
            look(&self->response);
            if (self->what & 4) {
                AWAIT_CATCH(self->error, async_http_read_all, &self->response,
                            &self->text, 5000);
                CHECK(self->error || self->text.size <= 5000);
                touch(self->text.data, self->text.size);
                async_buffer_free(&self->text);
            } else {
                for (self->total = 0; !self->error;
                     self->total += self->some.size) {
                    AWAIT_CATCH_INTO(self->error, self->some, async_http_read,
                                     &self->response, 1 + self->total);
                    if (self->error || self->some.size == 0) break;
                    CHECK(self->some.size <= 1 + self->total);
                    touch(self->some.data, self->some.size);
                    if (self->what & 8) break;
                }
            }
            expect(&self->response, self->error);
            async_http_close(&self->response);
            self->what = self->what >> 4 | self->what << 4;
        }
    } ASYNC_FINALLY {
        async_buffer_free(&self->text);
        async_http_close(&self->response);
        async_http_session_close(&self->session);
    } ASYNC_END_TRY
    ASYNC_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int begun;
    const char *path = socket_path("http");
    if (!begun) CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == 0);
    begun = 1;
    if (size < 3) return 0;
    input = data;
    input_size = size;
    run_beside_server(path, CO(client, next_byte() | 0u, path));
    return 0;
}
