/* server.c - echo servers as callbacks on libuv
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     server echo PORT     one buffer for all that is read, uv_try_write()
 *                          first, uv_write() for what is left
 *     server guide PORT    as libuv's guide has it: a buffer from malloc() for
 *                          each read, and uv_write() for each
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct written { uv_write_t request; uv_buf_t buffer; };

static char shared[65536];
static int guide;

static void closed(uv_handle_t *handle)
{
    free(handle);
}

static void allocate(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle;
    *buffer = guide ? uv_buf_init(malloc(size), (unsigned)size)
                    : uv_buf_init(shared, sizeof shared);
}

static void on_write(uv_write_t *request, int status)
{
    struct written *written = (struct written *)(void *)request;
    (void)status;
    free(written->buffer.base);
    free(written);
}

static void write_later(uv_stream_t *stream, char *data, size_t size)
{
    struct written *written = malloc(sizeof *written);
    if (written == NULL || data == NULL) exit(1);
    written->buffer = uv_buf_init(data, (unsigned)size);
    uv_write(&written->request, stream, &written->buffer, 1, on_write);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    uv_buf_t out;
    int wrote;
    if (n <= 0) {
        if (guide) free(buffer->base);
        if (n < 0 && !uv_is_closing((uv_handle_t *)stream))
            uv_close((uv_handle_t *)stream, closed);
        return;
    }
    if (guide) {
        write_later(stream, buffer->base, (size_t)n);
        return;
    }
    out = uv_buf_init(buffer->base, (unsigned)n);
    wrote = uv_try_write(stream, &out, 1);
    if (wrote < 0) wrote = 0;
    if (wrote < n) {
        char *rest = malloc((size_t)(n - wrote));
        if (rest != NULL)
            memcpy(rest, buffer->base + wrote, (size_t)(n - wrote));
        write_later(stream, rest, (size_t)(n - wrote));
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = malloc(sizeof *client);
    if (status < 0 || client == NULL) exit(1);
    uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client) == 0) {
        uv_tcp_nodelay(client, 1);
        uv_read_start((uv_stream_t *)client, allocate, on_read);
    } else {
        uv_close((uv_handle_t *)client, closed);
    }
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in address;
    uv_tcp_t listener;
    if (argc != 3) return 2;
    guide = strcmp(argv[1], "guide") == 0;
    uv_ip4_addr("127.0.0.1", atoi(argv[2]), &address);
    uv_tcp_init(loop, &listener);
    uv_tcp_bind(&listener, (struct sockaddr *)&address, 0);
    if (uv_listen((uv_stream_t *)&listener, 1024, on_connection) != 0)
        return 1;
    return uv_run(loop, UV_RUN_DEFAULT);
}
