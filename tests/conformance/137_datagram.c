/* needs: libuv */
/* Shows: a UDP endpoint: datagram_received with the sender's address; sendto;
 * close, and connection_lost. */
#include "conformance.h"

#include "../../async/queue.h"
#include "../../async/uv/datagram.h"

#include <ctype.h>

static void server_made(async_datagram_transport *transport)
{
    (void)transport;
    puts("server made");
}

static void server_received(async_datagram_transport *transport,
                            const void *data, size_t size,
                            const struct sockaddr *sender)
{
    char upper[16];
    size_t i;
    printf("server got b'%.*s'\n", (int)size, (const char *)data);
    for (i = 0; i < size && i < sizeof upper; i++)
        upper[i] = (char)toupper(((const unsigned char *)data)[i]);
    async_datagram_sendto(transport, upper, i, sender);
}

static const async_datagram_protocol server_protocol = { server_made,
                                                         server_received, NULL,
                                                         NULL };

typedef struct message {
    char text[16];
} message;
static struct {
    ASYNC_QUEUE(message, 4) received;
    async_future lost;
} client;

static void client_received(async_datagram_transport *transport,
                            const void *data, size_t size,
                            const struct sockaddr *sender)
{
    message got;
    (void)transport, (void)sender;
    snprintf(got.text, sizeof got.text, "%.*s", (int)size, (const char *)data);
    (void)ASYNC_QUEUE_PUT_NOWAIT(&client.received, got);
}

static void client_lost(async_datagram_transport *transport, int error)
{
    (void)transport;
    printf("client lost %s\n", error ? exception_name(error) : "None");
    async_future_set_result(&client.lost);
}

static const async_datagram_protocol client_protocol = { NULL, client_received,
                                                         NULL, client_lost };

/* Both are gone when the loop is. */
static async_datagram_transport server_transport, client_transport;

struct program {
    ASYNC_FRAME;
    struct sockaddr_storage address;
    message got;
    int i;
};
static ASYNC(program)
{
    static const char *const texts[] = { "one", "two" };
    ASYNC_BEGIN(program);
    ASYNC_QUEUE_INIT(&client.received);
    async_future_init(&client.lost, async_loop_of(co));
    async_udp_address(&self->address, "127.0.0.1", 0);
    AWAIT(async_create_datagram_endpoint, &server_transport, &server_protocol,
          NULL, .local = (const struct sockaddr *)&self->address);
    async_udp_getsockname(&server_transport.udp, &self->address);
    AWAIT(async_create_datagram_endpoint, &client_transport, &client_protocol,
          NULL, .remote = (const struct sockaddr *)&self->address);
    for (; self->i < 2; self->i++) {
        async_datagram_sendto(&client_transport, texts[self->i],
                              strlen(texts[self->i]), NULL);
        AWAIT_QUEUE_GET_INTO(self->got, &client.received);
        printf("client got b'%s'\n", self->got.text);
    }
    async_datagram_close(&client_transport);
    AWAIT_FUTURE(&client.lost);
    async_datagram_close(&server_transport);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program)) != 0;
}
