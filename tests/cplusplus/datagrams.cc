// Datagrams, names and connecting by name, from C++.
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/connect.h"
#include "../../async/uv/datagram.h"

#include <cstdio>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

static void on_datagram(async_datagram_transport *transport, const void *data,
                        size_t size, const struct sockaddr *sender)
{
    async_datagram_sendto(transport, data, size, sender);
}
static void on_lost(async_datagram_transport *, int error)
{
    std::printf("lost %d\n", error);
}
static const async_datagram_protocol echo = { NULL, on_datagram, NULL,
                                              on_lost };

struct program {
    ASYNC_FRAME;
    async_datagram_transport server;
    async_udp client;
    async_listener listener;
    async_stream inner, outer;
    struct sockaddr_storage address;
    struct addrinfo hints, *found;
    async_names names;
    size_t n;
    int error;
    char buffer[16];
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_udp_address(&self->address, "127.0.0.1", 0);
    AWAIT(async_create_datagram_endpoint, &self->server, &echo, NULL,
          (const struct sockaddr *)&self->address);
    async_udp_getsockname(&self->server.udp, &self->address);
    AWAIT(async_udp_connect, &self->client,
          (const struct sockaddr *)&self->address);
    AWAIT(async_udp_send, &self->client, "hello", 5);
    AWAIT_INTO(self->n, async_udp_receive, &self->client, self->buffer,
               sizeof self->buffer);
    std::printf("%.*s\n", (int)self->n, self->buffer);
    AWAIT(async_udp_close, &self->client);
    async_datagram_close(&self->server);

    self->hints.ai_family = AF_INET;
    self->hints.ai_socktype = SOCK_STREAM;
    AWAIT_INTO(self->found, async_getaddrinfo, "localhost", "0", &self->hints);
    AWAIT(async_getnameinfo, self->found->ai_addr,
          NI_NUMERICHOST | NI_NUMERICSERV, &self->names);
    std::puts(self->names.host);
    async_freeaddrinfo(self->found);

    async_tcp_address(&self->address, "127.0.0.1", 0);
    AWAIT(async_tcp_listen, &self->listener,
          (const struct sockaddr *)&self->address, 0);
    AWAIT(async_tcp_connect_host, &self->inner, "localhost",
          async_tcp_port(&self->listener));
    AWAIT(async_listener_accept, &self->listener, &self->outer);
    AWAIT(async_stream_write, &self->inner, "world", 5);
    AWAIT_INTO(self->n, async_stream_read, &self->outer, self->buffer,
               sizeof self->buffer);
    std::printf("%.*s\n", (int)self->n, self->buffer);
    AWAIT(async_stream_close, &self->inner);
    AWAIT(async_stream_close, &self->outer);
    AWAIT(async_listener_close, &self->listener);
    AWAIT_CATCH(self->error, async_getaddrinfo, NULL, NULL);
    std::puts(async_strerror(self->error));
    ASYNC_END;
}

int main()
{
    return async_run(CO(program)) != 0;
}
