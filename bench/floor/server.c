/* server.c - the floor: an echo server on epoll alone
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     server echo|lines PORT
 *
 * A read and a write for each message, and one buffer for all.  Lines: what is
 * read is looked through for '\n', and whole lines go back; the rest is kept.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 65536, EVENTS = 1024 };

struct client {
    int fd;
    char *rest; /* what has not gone out, or is no line yet */
    size_t size, at;
    int writing;
};

static char buffer[2 * BUFFER];
static int epoll, lines;

static void watch(struct client *self, uint32_t events)
{
    struct epoll_event event;
    event.events = events;
    event.data.ptr = self;
    epoll_ctl(epoll, EPOLL_CTL_MOD, self->fd, &event);
}

static void keep(struct client *self, const char *data, size_t size)
{
    self->rest = malloc(size);
    if (self->rest == NULL) exit(1);
    memcpy(self->rest, data, size);
    self->size = size;
    self->at = 0;
}

/* Returns 0 when the connection is over. */
static int write_rest(struct client *self)
{
    ssize_t n = write(self->fd, self->rest + self->at, self->size - self->at);
    if (n < 0) return errno == EAGAIN;
    self->at += (size_t)n;
    if (self->at < self->size) return 1;
    free(self->rest);
    self->rest = NULL;
    self->writing = 0;
    watch(self, EPOLLIN);
    return 1;
}

static int echo(struct client *self)
{
    size_t size, whole;
    ssize_t n;
    size = self->rest != NULL ? self->size : 0;
    n = read(self->fd, buffer + size, BUFFER);
    if (n <= 0) return n < 0 && errno == EAGAIN;
    if (size > 0) {
        memcpy(buffer, self->rest, size);
        free(self->rest);
        self->rest = NULL;
    }
    size += (size_t)n;
    whole = size;
    if (lines) {
        const char *last = memrchr(buffer, '\n', size);
        whole = last != NULL ? (size_t)(last + 1 - buffer) : 0;
        if (size - whole > BUFFER) return 0;
    }
    n = 0;
    if (whole > 0) {
        n = write(self->fd, buffer, whole);
        if (n < 0 && errno != EAGAIN) return 0;
        if (n < 0) n = 0;
    }
    if ((size_t)n == size) return 1;
    keep(self, buffer + n, size - (size_t)n);
    if ((size_t)n < whole) {
        /* With what is no line yet: no client of ours sends that ahead. */
        self->writing = 1;
        watch(self, EPOLLOUT);
    }
    return 1;
}

static void accept_all(int listener)
{
    struct epoll_event event;
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct client *self = calloc(1, sizeof *self);
        if (self == NULL) exit(1);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        self->fd = fd;
        event.events = EPOLLIN;
        event.data.ptr = self;
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    struct epoll_event events[EVENTS], event = { .events = EPOLLIN };
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    if (argc != 3) return 2;
    lines = strcmp(argv[1], "lines") == 0;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    address.sin_port = htons((uint16_t)atoi(argv[2]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, 1024) != 0) {
        perror("listen");
        return 1;
    }
    epoll = epoll_create1(0);
    event.data.ptr = NULL;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int i, n = epoll_wait(epoll, events, EVENTS, -1);
        for (i = 0; i < n; i++) {
            struct client *self = events[i].data.ptr;
            if (self == NULL) {
                accept_all(listener);
            } else if (!(self->writing ? write_rest(self) : echo(self))) {
                close(self->fd);
                free(self->rest);
                free(self);
            }
        }
    }
}
