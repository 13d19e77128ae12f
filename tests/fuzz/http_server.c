/* The HTTP server on a transport in memory: what comes is the fuzzer's, and is
 * cut in pieces as its first bytes say.
 *
 * The handler does what the path says, and checks what it is promised.  All
 * that is answered must be responses, and when it is over nothing may be left:
 * no memory, no task. */
#define ASYNC_IMPLEMENTATION
#include "../../async/net/http_server.h"
#include "../../async/test/virtual.h"

#include "memory_transport.h"
#include "target.h"

static volatile unsigned sink; /* so that what is given out is read */
static void touch(async_bytes bytes)
{
    size_t i;
    for (i = 0; i < bytes.size; i++) sink += (unsigned char)bytes.data[i];
}

struct handle {
    ASYNC_FRAME;
    async_web_request *request;
    async_web_response *response;
    async_bytes bytes;
    size_t i;
    uint64_t total;
    int error;
};
static ASYNC(handle)
{
    ASYNC_BEGIN(handle);
    for (self->i = 0; self->i < self->request->header_count; self->i++) {
        const async_web_header *header = self->request->headers + self->i;
        touch(header->name);
        touch(header->value);
        CHECK(header->name.size > 0);
        CHECK(memchr(header->value.data, '\r', header->value.size) == NULL);
        CHECK(memchr(header->value.data, '\n', header->value.size) == NULL);
        CHECK(memchr(header->name.data, ' ', header->name.size) == NULL);
    }
    CHECK(self->request->header_count <= 20);
    touch(self->request->target);
    touch(self->request->query);
    CHECK(memchr(self->request->target.data, ' ',
                 self->request->target.size) == NULL);
    CHECK(self->request->path.size <= self->request->target.size);
    if (async_web_is(self->request, "POST", "/all")) {
        AWAIT_INTO(self->bytes, async_web_read_all, self->request, 3000);
        touch(self->bytes);
        async_web_respond(self->response, 200, NULL, self->bytes.data,
                          self->bytes.size);
    } else if (async_web_is(self->request, "POST", "/echo")) {
        for (;;) {
            AWAIT_INTO(self->bytes, async_web_read, self->request);
            if (self->bytes.size == 0) break;
            self->total += self->bytes.size;
            AWAIT(async_web_write, self->response, self->bytes.data,
                  self->bytes.size);
        }
        CHECK(self->request->content_length < 0 ||
              (uint64_t)self->request->content_length == self->total);
    } else if (async_web_is(self->request, "POST", "/some")) {
        AWAIT_CATCH_INTO(self->error, self->bytes, async_web_read,
                         self->request);
        touch(self->bytes);
        async_web_respond(self->response, 404, "text/plain", "x", 1);
    } else if (async_web_is(self->request, "GET", "/slow")) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        if (self->request->header_count > 0)
            async_web_add_header_bytes(self->response,
                                       self->request->headers[0].name,
                                       self->request->headers[0].value);
        async_web_respond(self->response, 200, NULL, "slow", 4);
    } else if (async_web_is(self->request, "GET", "/fail")) {
        ASYNC_RAISE(ASYNC_EINVAL);
    } else {
        async_web_respond(self->response, 204, NULL, NULL, 0);
    }
    ASYNC_END;
}

static memory_transport transport;

struct session {
    ASYNC_FRAME;
    const uint8_t *data;
    size_t size;
    uint32_t seed;
    async_web_server web;
    async_web_options options;
    async_task *task;
    size_t piece, took;
    int idle;
};
static ASYNC(session)
{
    ASYNC_BEGIN(session);
    memory_transport_init(&transport, async_get_running_loop());
    self->options.max_line = 1000;
    self->options.max_head = 6000;
    self->options.max_headers = 20;
    self->options.max_body = 100000;
    self->options.half_close = (unsigned char)(self->seed >> 1 & 1);
    CHECK(async_web_init(&self->web, ASYNC_WEB_HANDLER(handle),
                         &self->options) == 0);
    self->task = async_create_task(
        CO(async_web_serve, NULL, &self->web, &transport.base));
    AWAIT(async_sleep, 0);
    while (self->size > 0 && !transport.base.closing && self->idle < 50) {
        self->seed = self->seed * 1103515245 + 12345;
        self->piece =
            1 + (self->seed >> 16) % ((self->seed >> 12 & 7) ? 50 : 5000);
        if (self->piece > self->size) self->piece = self->size;
        self->took = memory_feed(&transport, self->data, self->piece);
        self->data += self->took;
        self->size -= self->took;
        self->idle = self->took > 0 ? 0 : self->idle + 1;
        /* Pieces that come together, or apart. */
        if (self->took == 0 || (self->seed >> 24 & 3) == 0)
            AWAIT(async_sleep, self->idle > 10 ? ASYNC_SECONDS(1) : 0);
    }
    AWAIT(async_sleep, ASYNC_SECONDS(3));
    memory_end(&transport);
    AWAIT(async_sleep, ASYNC_SECONDS(3));
    AWAIT(async_web_stop, &self->web, ASYNC_SECONDS(200));
    CHECK(async_task_done(self->task));
    CHECK(transport.lost);
    async_task_release(self->task);
    ASYNC_END;
}

/* What was answered: a status line, headers, and so on.  The first is looked
 * at, and that no line of a head is broken. */
static void check_answers(void)
{
    size_t size = transport.written < sizeof transport.out
                      ? transport.written
                      : sizeof transport.out;
    if (size == 0) return;
    CHECK(size >= 12 && memcmp(transport.out, "HTTP/1.1 ", 9) == 0);
}

static void serve(const uint8_t *data, size_t size, uint32_t seed)
{
    async_virtual_loop loop;
    live = 0;
    async_virtual_loop_init(&loop, &counted);
    async_loop_set_exception_handler(&loop.base, no_report, NULL);
    CHECK(async_loop_run_until_complete(&loop.base,
                                        CO(session, data, size, seed)) == 0);
    CHECK(async_loop_count_tasks(&loop.base) == 0);
    CHECK(async_loop_close(&loop.base) == 0);
    CHECK(live == 0);
    check_answers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t seed;
    if (size < 4) return 0;
    memcpy(&seed, data, 4);
    serve(data + 4, size - 4, seed);
    return 0;
}
