/* Plain sockets on this machine: the other end in tests of TCP and UDP, which
 * can do what Caesura's do not: read nothing, reset, go away. */
#ifndef UNIT_SOCKETS_H
#define UNIT_SOCKETS_H

#include "uv.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* An address on this machine. */
typedef struct place {
    struct sockaddr_storage storage;
} place;
HELPER const struct sockaddr *at(place *address, int port)
{
    struct sockaddr_in *here = (struct sockaddr_in *)(void *)address;
    memset(address, 0, sizeof *address);
    here->sin_family = AF_INET;
    here->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here->sin_port = htons((uint16_t)port);
    return (const struct sockaddr *)&address->storage;
}
HELPER int port_of(const struct sockaddr_storage *address)
{
    /* of IPv6 too, whose port is at the same place */
    return ntohs(
        ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

HELPER int raw_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    return fd;
}

/* Gives a socket a port that is free. */
HELPER void raw_bind_any(int fd, int *port)
{
    place here;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    assert_int_equal(bind(fd, at(&here, 0), sizeof(struct sockaddr_in)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&bound, &size), 0);
    *port = port_of(&bound);
}
HELPER int raw_listen(int backlog, int *port)
{
    int fd = raw_socket();
    raw_bind_any(fd, port);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}
HELPER int raw_connect_by(int fd, int port)
{
    place there;
    assert_int_equal(connect(fd, at(&there, port), sizeof(struct sockaddr_in)),
                     0);
    return fd;
}
HELPER int raw_connect(int port)
{
    return raw_connect_by(raw_socket(), port);
}
HELPER void raw_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}
/* Closes it so that what is on its way is lost. */
HELPER void raw_reset(int fd)
{
    struct linger at_once = { 1, 0 };
    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
}

/* A port to which nobody can connect for a while: its queue is full. */
typedef struct deaf {
    int listener, port, full[4];
} deaf;
HELPER void deaf_open(deaf *d)
{
    place there;
    int i;
    d->listener = raw_listen(0, &d->port);
    for (i = 0; i < 4; i++) {
        d->full[i] = raw_socket();
        fcntl(d->full[i], F_SETFL, O_NONBLOCK);
        connect(d->full[i], at(&there, d->port), sizeof(struct sockaddr_in));
    }
}
HELPER void deaf_close(deaf *d)
{
    int i;
    for (i = 0; i < 4; i++) close(d->full[i]);
    close(d->listener);
}

#endif
