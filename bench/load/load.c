/* load.c - clients of an echo server: each sends a line, waits for all of it
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     load PORT CONNECTIONS SIZE WARMUP_MS MEASURE_MS SERVER_PID
 *
 * A message is SIZE bytes, the last a '\n', so that servers may echo bytes or
 * lines.  It begins with the number of the request, and that is looked at in
 * what comes back; of each connection's first message every byte is.  Prints
 *
 *     requests= seconds= p50_us= p99_us= max_us= server_ns= client_ns=
 *
 * where server_ns is the CPU time of all the server's threads, and client_ns
 * that of this program: where it comes near the time that passed, the load and
 * not the server is the limit.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { NUMBER = 16, EVENTS = 512, STALLED_MS = 5000 };

struct connection {
    int fd, wants_out;
    size_t sent, got;
    uint64_t started;
    unsigned long long number;
};

static size_t size;
static char *message, *received;
static int epoll;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_of(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Of all threads of a process, finer than /proc/PID/stat. */
static uint64_t cpu_of(int pid)
{
    char path[300];
    uint64_t sum = 0;
    struct dirent *entry;
    DIR *tasks;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    if (tasks == NULL) fail(path);
    while ((entry = readdir(tasks)) != NULL) {
        unsigned long long spent;
        FILE *file;
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/schedstat", pid,
                 entry->d_name);
        file = fopen(path, "r");
        if (file == NULL) continue;
        if (fscanf(file, "%llu", &spent) == 1) sum += spent;
        fclose(file);
    }
    closedir(tasks);
    return sum;
}

/* --- how long it took ---------------------------------------------------- */

/* 64 boxes for each power of two, of nanoseconds. */
static unsigned long long boxes[64 * 64];

static unsigned box_of(uint64_t time)
{
    int power;
    if (time < 64) return (unsigned)time;
    power = 63 - __builtin_clzll(time);
    return (unsigned)(power - 5) * 64 + ((time >> (power - 6)) & 63);
}

static double middle_of(unsigned box)
{
    uint64_t base;
    if (box < 64) return box;
    base = (uint64_t)1 << (box / 64 + 5);
    return (double)base + (box % 64 + 0.5) * ((double)base / 64);
}

static double quantile(double part, unsigned long long requests)
{
    unsigned long long below = 0;
    unsigned box;
    for (box = 0; box < 64 * 64; box++) {
        below += boxes[box];
        if ((double)below >= part * (double)requests) return middle_of(box);
    }
    return 0;
}

/* --- connections --------------------------------------------------------- */

static void put_number(unsigned long long number)
{
    char text[NUMBER + 1];
    snprintf(text, sizeof text, "%016llx", number);
    memcpy(message, text, NUMBER);
}

static void send_some(struct connection *self)
{
    ssize_t n;
    int wants_out;
    if (self->sent == 0) {
        self->started = clock_of(CLOCK_MONOTONIC);
        self->number++;
    }
    put_number(self->number);
    n = send(self->fd, message + self->sent, size - self->sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN) fail("send");
    if (n > 0) self->sent += (size_t)n;
    wants_out = self->sent < size;
    if (wants_out != self->wants_out) {
        struct epoll_event event;
        self->wants_out = wants_out;
        event.events = EPOLLIN | (wants_out ? EPOLLOUT : 0);
        event.data.ptr = self;
        epoll_ctl(epoll, EPOLL_CTL_MOD, self->fd, &event);
    }
}

/* Returns whether all of it has come. */
static int receive_some(struct connection *self)
{
    char expected[NUMBER + 1];
    ssize_t n = recv(self->fd, received, size - self->got, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) {
        fprintf(stderr, "load: the server closed a connection\n");
        exit(1);
    }
    snprintf(expected, sizeof expected, "%016llx", self->number);
    if (self->got == 0 && n >= NUMBER &&
        memcmp(received, expected, NUMBER) != 0) {
        fprintf(stderr, "load: that is not what was sent\n");
        exit(1);
    }
    self->got += (size_t)n;
    return self->got == size;
}

/* The first message goes out and comes back before there is any measuring: so
 * the server has accepted, and echoes. */
static void open_connection(struct connection *self, int port)
{
    static const struct linger reset = { 1, 0 };
    struct sockaddr_in address = { .sin_family = AF_INET };
    struct epoll_event event = { .events = EPOLLIN };
    int on = 1;
    size_t at;
    ssize_t n;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    self->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(self->fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("connect");
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    put_number(0);
    for (at = 0; at < size; at += (size_t)n)
        if ((n = send(self->fd, message + at, size - at, MSG_NOSIGNAL)) <= 0)
            fail("send");
    for (at = 0; at < size; at += (size_t)n)
        if ((n = recv(self->fd, received + at, size - at, 0)) <= 0)
            fail("recv");
    if (memcmp(message, received, size) != 0) {
        fprintf(stderr, "load: that is not what was sent\n");
        exit(1);
    }
    /* No connections that linger after the end, and meet the next run. */
    setsockopt(self->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    fcntl(self->fd, F_SETFL, O_NONBLOCK);
    event.data.ptr = self;
    epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event);
}

/* --- the run ------------------------------------------------------------- */

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    struct connection *all;
    uint64_t now, begin, end = 0, server = 0, client = 0, longest = 0;
    unsigned long long requests = 0;
    long count, measured, i;
    int pid, measuring = 0;
    if (argc != 7) {
        fprintf(stderr, "usage: load PORT CONNECTIONS SIZE WARMUP_MS "
                        "MEASURE_MS SERVER_PID\n");
        return 2;
    }
    count = atol(argv[2]);
    size = (size_t)atol(argv[3]);
    measured = atol(argv[5]);
    pid = atoi(argv[6]);
    if (count < 1 || size <= NUMBER) return 2;
    all = calloc((size_t)count, sizeof *all);
    message = malloc(size);
    received = malloc(size);
    if (all == NULL || message == NULL || received == NULL) fail("malloc");
    for (i = 0; i < (long)size; i++) message[i] = (char)('a' + i % 26);
    message[size - 1] = '\n';
    epoll = epoll_create1(0);
    for (i = 0; i < count; i++) open_connection(&all[i], atoi(argv[1]));
    begin = clock_of(CLOCK_MONOTONIC) + (uint64_t)atol(argv[4]) * 1000000u;
    for (i = 0; i < count; i++) send_some(&all[i]);
    for (;;) {
        int n = epoll_wait(epoll, events, EVENTS, STALLED_MS);
        if (n < 0 && errno != EINTR) fail("epoll_wait");
        if (n == 0) {
            fprintf(stderr, "load: nothing has come for a while\n");
            return 1;
        }
        for (i = 0; i < n; i++) {
            struct connection *self = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) send_some(self);
            if (!(events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
                continue;
            if (!receive_some(self)) continue;
            if (measuring) {
                uint64_t took = clock_of(CLOCK_MONOTONIC) - self->started;
                boxes[box_of(took)]++;
                if (took > longest) longest = took;
                requests++;
            }
            self->sent = self->got = 0;
            send_some(self);
        }
        now = clock_of(CLOCK_MONOTONIC);
        if (!measuring && now >= begin) {
            measuring = 1;
            begin = now;
            end = begin + (uint64_t)measured * 1000000u;
            server = cpu_of(pid);
            client = clock_of(CLOCK_PROCESS_CPUTIME_ID);
        } else if (measuring && now >= end) {
            break;
        }
    }
    printf("requests=%llu seconds=%.6f p50_us=%.2f p99_us=%.2f max_us=%.2f "
           "server_ns=%llu client_ns=%llu\n",
           requests, (double)(now - begin) / 1e9,
           quantile(0.5, requests) / 1e3, quantile(0.99, requests) / 1e3,
           (double)longest / 1e3, (unsigned long long)(cpu_of(pid) - server),
           (unsigned long long)(clock_of(CLOCK_PROCESS_CPUTIME_ID) - client));
    return 0;
}
