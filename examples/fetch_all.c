/* fetch_all - fetches ten slow pages: one after the other, as a program with
 * blocking calls does, and then all at once.
 *
 * The server, which needs 0.3 s for a page, is in this program; the blocking
 * calls are in a thread, so that it can answer them.  What is printed does not
 * depend on how fast the machine is; the times to the millisecond go to stderr.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/http_client.h"
#include "../async/uv/executor.h"
#include "../async/uv/streams.h"

#include <stdio.h>

enum { PAGES = 10 };
static const double slow = 0.3;

static char urls[PAGES][64];
static size_t sizes[PAGES];

/* --- at once ------------------------------------------------------------- */

struct fetch {
    ASYNC_FRAME;
    async_http_session *session;
    int page;
    async_http_response response;
    async_buffer text;
};
static ASYNC(fetch)
{
    ASYNC_BEGIN(fetch);
    ASYNC_TRY {
        AWAIT(async_http_get, self->session, urls[self->page],
              &self->response);
        AWAIT(async_http_read_all, &self->response, &self->text);
        if (self->response.status == 200) sizes[self->page] = self->text.size;
    } ASYNC_FINALLY {
        async_buffer_free(&self->text);
        async_http_close(&self->response);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct fetch_all {
    ASYNC_FRAME;
    async_http_session session;
    async_gathering all;
    int i;
};
static ASYNC(fetch_all)
{
    ASYNC_BEGIN(fetch_all);
    AWAIT(async_http_session_open, &self->session);
    ASYNC_TRY {
        for (self->i = 0; self->i < PAGES; self->i++)
            async_gather_add(&self->all, CO(fetch, &self->session, self->i));
        AWAIT(async_gather, &self->all);
        async_gather_clear(&self->all);
    } ASYNC_FINALLY {
        async_http_session_close(&self->session);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- one after the other ------------------------------------------------- */

static size_t count_bytes(char *data, size_t one, size_t count, void *size)
{
    (void)data;
    *(size_t *)size += one * count;
    return one * count;
}

/* Libcurl as it is used in most programs; it even keeps its connection. */
static int fetch_in_turn(void *argument)
{
    CURL *easy = curl_easy_init();
    CURLcode code = CURLE_OK;
    int i;
    (void)argument;
    if (easy == NULL) return ASYNC_ENOMEM;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, count_bytes);
    for (i = 0; i < PAGES && code == CURLE_OK; i++) {
        curl_easy_setopt(easy, CURLOPT_URL, urls[i]);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &sizes[i]);
        code = curl_easy_perform(easy);
    }
    curl_easy_cleanup(easy);
    return code == CURLE_OK ? 0 : -EIO;
}

/* --- the server ---------------------------------------------------------- */

struct serve {
    ASYNC_FRAME;
    async_connection *client;
    async_bytes line;
    int lines;
};
static ASYNC(serve)
{
    static const char page[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\na slow page\n";
    ASYNC_BEGIN(serve);
    for (;;) {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        if (self->line.size == 0) break;
        if (self->line.size > 2) continue; /* not yet the end of a request */
        AWAIT(async_sleep, ASYNC_SECONDS(slow));
        async_stream_writer_write(&self->client->writer, page,
                                  sizeof page - 1);
        AWAIT(async_stream_writer_drain, &self->client->writer);
    }
    ASYNC_END;
}

/* --- both ---------------------------------------------------------------- */

/* How long it took, in seconds, and whether all has come; begins anew. */
static double finished(async_loop *loop, const char *how, async_time *start)
{
    async_time now = async_loop_time(loop);
    double seconds = (double)(now - *start) / 1e9;
    int i, came = 0;
    for (i = 0; i < PAGES; i++) {
        came += sizes[i] == 12;
        sizes[i] = 0;
    }
    fprintf(stderr, "%s: %d pages in %.3f s\n", how, came, seconds);
    *start = now;
    return came == PAGES ? seconds : 1e9;
}

struct program {
    ASYNC_FRAME;
    async_server server;
    async_time start;
    double seconds;
    int i;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(serve),
          "127.0.0.1", 0);
    ASYNC_TRY {
        for (self->i = 0; self->i < PAGES; self->i++)
            snprintf(urls[self->i], sizeof urls[self->i],
                     "http://127.0.0.1:%d/%d",
                     async_server_port(&self->server), self->i);
        printf("%d pages, %.1f s each\n", PAGES, slow);
        self->start = async_loop_time(async_loop_of(co));
        AWAIT(async_to_thread, fetch_in_turn, NULL);
        self->seconds =
            finished(async_loop_of(co), "one after the other", &self->start);
        printf("one after the other: %.0f s\n", self->seconds);
        AWAIT(fetch_all);
        self->seconds = finished(async_loop_of(co), "at once", &self->start);
        if (self->seconds < 0.45)
            printf("at once: less than 0.45 s\n");
        else
            printf("at once: %.2f s\n", self->seconds);
    } ASYNC_FINALLY {
        async_server_close(&self->server);
        async_server_close_clients(&self->server);
        AWAIT(async_server_wait_closed, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT); /* before there are threads */
    return async_run(CO(program)) != 0;
}
