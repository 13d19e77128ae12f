/* link: -luv */
/* TCP: connecting, accepting, reading, writing, closing; and what goes wrong.
 *
 * The other end is mostly a plain socket, which can do what Caesura's do not:
 * read nothing, reset, go away. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/tcp.h"

#include "io.h"
#include "sockets.h"

#include <netinet/tcp.h>

/* --- helpers ------------------------------------------------------------- */

/* Small buffers, so that a writer is soon held up; but larger than a segment
 * on loopback, or TCP would wait for room between any two. */
static void make_narrow(async_stream *stream, int fd)
{
    int size = 131072;
    assert_int_equal(uv_send_buffer_size(&stream->handle.any, &size), 0);
    size = 131072;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size),
                     0);
}

/* Connects a stream to a plain socket. */
struct meet {
    ASYNC_FRAME;
    async_stream *stream;
    int *fd;
    int listener, port;
    place there;
};
static ASYNC(meet)
{
    ASYNC_BEGIN(meet);
    self->listener = raw_listen(8, &self->port);
    AWAIT(async_tcp_connect, self->stream, at(&self->there, self->port));
    *self->fd = accept(self->listener, NULL, NULL);
    assert_true(*self->fd >= 0);
    close(self->listener);
    ASYNC_END;
}

/* Connects two streams. */
struct meet_both {
    ASYNC_FRAME;
    async_stream *one, *other;
    async_listener server;
    place there;
};
static ASYNC(meet_both)
{
    ASYNC_BEGIN(meet_both);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0), 0);
    AWAIT(async_tcp_connect, self->one,
          at(&self->there, async_tcp_port(&self->server)));
    AWAIT(async_listener_accept, &self->server, self->other);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

/* Says what came of it. */
struct say_connect {
    ASYNC_FRAME;
    async_stream *stream;
    int port;
    int error;
    place there;
};
static ASYNC(say_connect)
{
    ASYNC_BEGIN(say_connect);
    ASYNC_TRY {
        AWAIT(async_tcp_connect, self->stream, at(&self->there, self->port));
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("connect:%s", name_of(self->error));
    ASYNC_END;
}

/* Reads from a plain socket until there is so much, or the end. */
struct raw_receive {
    ASYNC_RETURNS(size_t);
    int fd;
    char *buffer;
    size_t size;
    size_t got;
};
static ASYNC(raw_receive)
{
    ssize_t n;
    ASYNC_BEGIN(raw_receive);
    while (self->got < self->size) {
        n = recv(self->fd, self->buffer + self->got, self->size - self->got,
                 MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) break;
        if (n > 0)
            self->got += (size_t)n;
        else
            AWAIT(async_sleep, ASYNC_US(100));
    }
    ASYNC_RETURN(self->got);
    ASYNC_END;
}

/* --- reading and writing --------------------------------------------------- */

struct round_trip { ASYNC_FRAME; async_stream one, other; };
static ASYNC(round_trip)
{
    ASYNC_BEGIN(round_trip);
    AWAIT(meet_both, &self->one, &self->other);
    say("%d%d", async_stream_is_open(&self->one),
        async_stream_is_open(&self->other));
    AWAIT(say_write, &self->one, "hello");
    AWAIT(say_read, &self->other);
    AWAIT(say_write, &self->other, "world");
    AWAIT(say_read, &self->one);
    AWAIT(async_stream_close, &self->one);
    AWAIT(say_read, &self->other);
    AWAIT(async_stream_close, &self->other);
    say("%d%d", async_stream_is_open(&self->one),
        async_stream_is_open(&self->other));
    ASYNC_END;
}

static void what_is_written_at_one_end_is_read_at_the_other(void **s)
{
    (void)s;
    run(CO(round_trip));
    assert_said("11 write:ok read:hello write:ok read:world read: 00");
}

struct read_pieces { ASYNC_FRAME; async_stream stream; int fd; };
static ASYNC(read_pieces)
{
    ASYNC_BEGIN(read_pieces);
    AWAIT(meet, &self->stream, &self->fd);
    raw_send(self->fd, "abcdefgh");
    AWAIT(say_read, &self->stream, 3);
    AWAIT(say_read, &self->stream, 3);
    AWAIT(say_read, &self->stream, 3);
    raw_send(self->fd, "ijk");
    AWAIT(say_read, &self->stream, 3);
    close(self->fd);
    AWAIT(say_read, &self->stream, 3);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_read_takes_no_more_than_was_asked_for(void **s)
{
    (void)s;
    run(CO(read_pieces));
    assert_said("read:abc read:def read:gh read:ijk read:");
}

struct read_end { ASYNC_FRAME; async_stream stream; int fd; };
static ASYNC(read_end)
{
    ASYNC_BEGIN(read_end);
    AWAIT(meet, &self->stream, &self->fd);
    raw_send(self->fd, "last");
    close(self->fd);
    AWAIT(say_read, &self->stream);
    AWAIT(say_read, &self->stream);
    AWAIT(say_read, &self->stream);
    AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(say_read, &self->stream);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void at_the_end_a_read_gives_nothing_again_and_again(void **s)
{
    (void)s;
    run(CO(read_end));
    assert_said("read:last read: read: read:");
}

/* What comes while nobody reads waits in the system, and libuv with it. */
static int rounds;
static void on_round(uv_prepare_t *prepare)
{
    (void)prepare;
    rounds++;
}
struct read_late {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    size_t n;
    uv_prepare_t prepare;
    char byte;
};
static ASYNC(read_late)
{
    ASYNC_BEGIN(read_late);
    AWAIT(meet, &self->stream, &self->fd);
    raw_send(self->fd, "a");
    AWAIT_INTO(self->n, async_stream_read, &self->stream, &self->byte, 1);
    raw_send(self->fd, "bc");
    uv_prepare_init(async_uv_loop_of(async_loop_of(co)), &self->prepare);
    uv_prepare_start(&self->prepare, on_round);
    rounds = 0;
    AWAIT(async_sleep, ASYNC_MS(20));
    uv_close((uv_handle_t *)&self->prepare, NULL);
    say("%s", rounds < 20 ? "calm" : "busy");
    raw_send(self->fd, "d");
    AWAIT(say_read, &self->stream);
    close(self->fd);
    AWAIT(async_sleep, ASYNC_MS(1));
    AWAIT(say_read, &self->stream);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void what_comes_while_nobody_reads_does_not_turn_the_loop(void **s)
{
    (void)s;
    run(CO(read_late));
    /* a ring had taken the first of them out already */
    assert_said(ON_RING ? "calm read:bc read:d" : "calm read:bcd read:");
}

struct half_close { ASYNC_FRAME; async_stream one, other; };
static ASYNC(half_close)
{
    ASYNC_BEGIN(half_close);
    AWAIT(meet_both, &self->one, &self->other);
    AWAIT(say_write, &self->one, "question");
    AWAIT(say_shutdown, &self->one);
    AWAIT(say_read, &self->other);
    AWAIT(say_read, &self->other);
    AWAIT(say_write, &self->other, "answer");
    AWAIT(say_read, &self->one);
    AWAIT(say_shutdown, &self->other);
    AWAIT(say_read, &self->one);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    ASYNC_END;
}

static void after_a_shutdown_the_other_direction_goes_on(void **s)
{
    (void)s;
    run(CO(half_close));
    assert_said(
        "write:ok shutdown:ok read:question read: write:ok read:answer "
        "shutdown:ok read:");
}

struct shutdown_twice { ASYNC_FRAME; async_stream stream; int fd; int error; };
static ASYNC(shutdown_twice)
{
    ASYNC_BEGIN(shutdown_twice);
    AWAIT(meet, &self->stream, &self->fd);
    AWAIT(say_shutdown, &self->stream);
    AWAIT(say_shutdown, &self->stream);
    AWAIT_CATCH(self->error, async_stream_write, &self->stream, "x", 1);
    assert_int_equal(self->error, -EPIPE);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void after_a_shutdown_nothing_can_be_written(void **s)
{
    (void)s;
    run(CO(shutdown_twice));
    assert_said("shutdown:ok shutdown:ENOTCONN");
}

struct say_soon { ASYNC_FRAME; const char *text; };
static ASYNC(say_soon)
{
    ASYNC_BEGIN(say_soon);
    say("%s", self->text);
    ASYNC_END;
}

struct write_small { ASYNC_FRAME; async_stream stream; int fd; };
static ASYNC(write_small)
{
    ASYNC_BEGIN(write_small);
    AWAIT(meet, &self->stream, &self->fd);
    async_task_release(async_create_task(CO(say_soon, "other")));
    AWAIT(say_write, &self->stream, "small");
    AWAIT(say_write, &self->stream, "small");
    AWAIT(async_sleep, 0);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_small_write_does_not_suspend_but_on_a_ring(void **s)
{
    (void)s;
    run(CO(write_small));
    assert_said(ON_RING ? "other write:ok write:ok"
                        : "write:ok write:ok other");
}

struct write_nothing { ASYNC_FRAME; async_stream stream; int fd; int error; };
static ASYNC(write_nothing)
{
    ASYNC_BEGIN(write_nothing);
    AWAIT(meet, &self->stream, &self->fd);
    AWAIT_CATCH(self->error, async_stream_write, &self->stream, NULL, 0);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_stream_read, &self->stream, NULL, 0);
    say("%s", name_of(self->error));
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void to_write_nothing_is_well_to_read_nothing_is_an_error(void **s)
{
    (void)s;
    run(CO(write_nothing));
    assert_said("ok ASYNC_EINVAL");
}

/* --- backpressure ------------------------------------------------------------- */

enum { PIECE = 16384, PIECES = 100 };
static char byte_at(size_t position)
{
    return (char)(position * 31 % 251);
}

/* Writes many pieces, one after the other. */
struct pour {
    ASYNC_FRAME;
    async_stream *stream;
    int piece, i;
    char buffer[PIECE];
};
static ASYNC(pour)
{
    ASYNC_BEGIN(pour);
    for (; self->piece < PIECES; self->piece++) {
        for (self->i = 0; self->i < PIECE; self->i++)
            self->buffer[self->i] =
                byte_at((size_t)self->piece * PIECE + (size_t)self->i);
        AWAIT(async_stream_write, self->stream, self->buffer, PIECE);
    }
    ASYNC_END;
}

/* Reads from the socket and counts what is not as it should be. */
struct check_raw {
    ASYNC_RETURNS(int);
    int fd;
    size_t total;
    size_t position, n, i;
    int wrong;
    char buffer[8192];
};
static ASYNC(check_raw)
{
    ASYNC_BEGIN(check_raw);
    while (self->position < self->total) {
        AWAIT_INTO(self->n, raw_receive, self->fd, self->buffer,
                   sizeof self->buffer);
        if (self->n == 0) break;
        for (self->i = 0; self->i < self->n; self->i++)
            self->wrong += self->buffer[self->i] != byte_at(self->position++);
    }
    ASYNC_RETURN(self->position == self->total ? self->wrong : -1);
    ASYNC_END;
}

/* Lets the writers of a stream go on until the system takes no more. */
struct until_stuck { ASYNC_FRAME; async_stream *stream; size_t before; };
static ASYNC(until_stuck)
{
    ASYNC_BEGIN(until_stuck);
    do {
        self->before =
            uv_stream_get_write_queue_size(&self->stream->handle.stream);
        AWAIT(async_sleep, ASYNC_MS(5));
    } while (self->before == 0 ||
             self->before !=
                 uv_stream_get_write_queue_size(&self->stream->handle.stream));
    ASYNC_END;
}

struct hold_back {
    ASYNC_FRAME;
    async_stream stream;
    int fd, wrong;
    ASYNC_TASK_OF(pour) writer;
};
static ASYNC(hold_back)
{
    ASYNC_BEGIN(hold_back);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    ASYNC_SPAWN(self->writer, pour, &self->stream);
    AWAIT(until_stuck, &self->stream);
    say("%s", async_task_done(self->writer.task) ? "done" : "held");
    /* what waits in memory is the writer's own piece, and no more */
    assert_true(uv_stream_get_write_queue_size(&self->stream.handle.stream) <=
                PIECE);
    AWAIT_INTO(self->wrong, check_raw, self->fd, (size_t)PIECE * PIECES);
    AWAIT_JOIN(self->writer.task);
    say("wrong:%d", self->wrong);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_peer_that_does_not_read_holds_the_writer_back(void **s)
{
    (void)s;
    run(CO(hold_back));
    assert_said("held wrong:0");
}

struct write_large {
    ASYNC_FRAME;
    async_stream stream;
    int fd, wrong;
    async_task *writer;
    char *data;
    size_t i;
};
static ASYNC(write_large)
{
    ASYNC_BEGIN(write_large);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->data = malloc((size_t)PIECE * PIECES);
    assert_non_null(self->data);
    for (self->i = 0; self->i < (size_t)PIECE * PIECES; self->i++)
        self->data[self->i] = byte_at(self->i);
    self->writer = async_create_task(
        CO(say_write, &self->stream, self->data, (size_t)PIECE * PIECES));
    AWAIT_INTO(self->wrong, check_raw, self->fd, (size_t)PIECE * PIECES);
    AWAIT_JOIN(self->writer);
    say("wrong:%d", self->wrong);
    free(self->data);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_large_write_is_written_whole(void **s)
{
    (void)s;
    run(CO(write_large));
    assert_said("write:ok wrong:0");
}

/* Several write at once, more than the system takes. */
enum { WRITERS = 5, WHOLE = 300000 };
struct write_in_turn {
    ASYNC_FRAME;
    async_stream stream;
    int fd, i;
    async_task *writers[WRITERS];
    size_t n;
    char *data, *got;
};
static ASYNC(write_in_turn)
{
    ASYNC_BEGIN(write_in_turn);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->data = malloc(2 * (size_t)WRITERS * WHOLE);
    assert_non_null(self->data);
    self->got = self->data + (size_t)WRITERS * WHOLE;
    for (self->i = 0; self->i < WRITERS; self->i++) {
        memset(self->data + self->i * WHOLE, 'a' + self->i, WHOLE);
        self->writers[self->i] = async_create_task(
            CO(say_write, &self->stream, self->data + self->i * WHOLE, WHOLE));
    }
    AWAIT_INTO(self->n, raw_receive, self->fd, self->got,
               (size_t)WRITERS * WHOLE);
    for (self->i = 0; self->i < WRITERS; self->i++)
        AWAIT_JOIN(self->writers[self->i]);
    say("%s", self->n == (size_t)WRITERS * WHOLE &&
                      memcmp(self->data, self->got, self->n) == 0
                  ? "in order"
                  : "mixed");
    free(self->data);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void writes_of_several_tasks_go_out_in_order_each_whole(void **s)
{
    (void)s;
    run(CO(write_in_turn));
    assert_said("write:ok write:ok write:ok write:ok write:ok in order");
}

static char large[4 << 20]; /* more than narrow buffers take */

struct shutdown_behind {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *writer, *ender;
    size_t n;
    char byte;
};
static ASYNC(shutdown_behind)
{
    ASYNC_BEGIN(shutdown_behind);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->writer =
        async_create_task(CO(say_write, &self->stream, large, sizeof large));
    self->ender = async_create_task(CO(say_shutdown, &self->stream));
    AWAIT(async_sleep, ASYNC_MS(5));
    say("waits");
    AWAIT_INTO(self->n, raw_receive, self->fd, large, sizeof large);
    AWAIT_JOIN(self->writer);
    AWAIT_JOIN(self->ender);
    say("%s", self->n == sizeof large ? "all" : "part");
    AWAIT_INTO(self->n, raw_receive, self->fd, &self->byte, 1);
    say("%s", self->n ? "more" : "end");
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_shutdown_waits_for_the_writes_before_it(void **s)
{
    (void)s;
    run(CO(shutdown_behind));
    assert_said("waits write:ok shutdown:ok all end");
}

struct drain {
    ASYNC_FRAME;
    async_stream *stream;
    size_t position, n, i;
    int wrong;
    char buffer[5000];
};
static ASYNC(drain)
{
    ASYNC_BEGIN(drain);
    while (self->position < (size_t)PIECE * PIECES) {
        AWAIT_INTO(self->n, async_stream_read, self->stream, self->buffer,
                   sizeof self->buffer);
        if (self->n == 0) break;
        for (self->i = 0; self->i < self->n; self->i++)
            self->wrong += self->buffer[self->i] != byte_at(self->position++);
    }
    say("%d:%d", self->position == (size_t)PIECE * PIECES, self->wrong);
    ASYNC_END;
}
struct both_ways {
    ASYNC_FRAME;
    async_stream one, other;
    async_gathering all;
};
static ASYNC(both_ways)
{
    ASYNC_BEGIN(both_ways);
    AWAIT(meet_both, &self->one, &self->other);
    AWAIT_GATHER(&self->all, CO(pour, &self->one), CO(pour, &self->other),
                 CO(drain, &self->one), CO(drain, &self->other));
    async_gather_clear(&self->all);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    ASYNC_END;
}

static void one_task_reads_while_another_writes(void **s)
{
    (void)s;
    run(CO(both_ways));
    assert_said("1:0 1:0");
}

/* --- connecting and listening -------------------------------------------------- */

struct refused { ASYNC_FRAME; async_stream stream; int fd, port; };
static ASYNC(refused)
{
    ASYNC_BEGIN(refused);
    close(raw_listen(1, &self->port));
    AWAIT(say_connect, &self->stream, self->port);
    say("%d", async_stream_is_open(&self->stream));
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    AWAIT(meet, &self->stream, &self->fd); /* it can be used again */
    AWAIT(say_write, &self->stream, "again");
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void connecting_where_nobody_listens_is_refused(void **s)
{
    (void)s;
    run(CO(refused));
    assert_said("connect:ECONNREFUSED 0 0 write:ok");
}

struct in_use {
    ASYNC_FRAME;
    async_listener one, other;
    int error, port;
    place there;
};
static ASYNC(in_use)
{
    ASYNC_BEGIN(in_use);
    AWAIT(async_tcp_listen, &self->one, at(&self->there, 0));
    self->port = async_tcp_port(&self->one);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->other,
                at(&self->there, self->port));
    say("%s", name_of(self->error));
    say("%d", async_tcp_port(&self->other));
    AWAIT(async_listener_close, &self->one);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->other,
                at(&self->there, self->port));
    say("%s", name_of(self->error));
    assert_int_equal(async_tcp_port(&self->other), self->port);
    AWAIT(async_listener_close, &self->other);
    say("%d", async_tcp_port(&self->other));
    ASYNC_END;
}

static void a_port_that_is_in_use_is_an_error_until_it_is_free(void **s)
{
    (void)s;
    run(CO(in_use));
    assert_said("EADDRINUSE 0 ok 0");
}

struct use_ipv6 {
    ASYNC_FRAME;
    async_listener server;
    async_stream one, other;
    struct sockaddr_storage there;
};
static ASYNC(use_ipv6)
{
    ASYNC_BEGIN(use_ipv6);
    async_tcp_address(&self->there, "::1", 0);
    AWAIT(async_tcp_listen, &self->server, (struct sockaddr *)&self->there);
    assert_true(async_tcp_port(&self->server) > 0);
    async_tcp_address(&self->there, "::1", async_tcp_port(&self->server));
    AWAIT(async_tcp_connect, &self->one, (struct sockaddr *)&self->there);
    AWAIT(async_listener_accept, &self->server, &self->other);
    AWAIT(say_write, &self->one, "six");
    AWAIT(say_read, &self->other);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

static void ipv6_works_like_ipv4(void **s)
{
    struct sockaddr_storage here;
    int fd = socket(AF_INET6, SOCK_STREAM, 0), there_is;
    (void)s;
    async_tcp_address(&here, "::1", 0);
    there_is = fd >= 0 && bind(fd, (struct sockaddr *)&here,
                               sizeof(struct sockaddr_in6)) == 0;
    if (fd >= 0) close(fd);
    if (!there_is) skip();
    run(CO(use_ipv6));
    assert_said("write:ok read:six");
}

static void an_address_is_made_of_numbers(void **s)
{
    struct sockaddr_storage address;
    (void)s;
    assert_int_equal(async_tcp_address(&address, "127.0.0.1", 80), 0);
    assert_int_equal(address.ss_family, AF_INET);
    assert_int_equal(ntohs(((struct sockaddr_in *)&address)->sin_port), 80);
    assert_int_equal(async_tcp_address(&address, "::1", 81), 0);
    assert_int_equal(address.ss_family, AF_INET6);
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&address)->sin6_port), 81);
    assert_int_equal(async_tcp_address(&address, "localhost", 80), -EINVAL);
    assert_int_equal(async_tcp_address(&address, "", 80), -EINVAL);
}

static int has_nodelay(async_stream *stream)
{
    uv_os_fd_t fd;
    int on = 0;
    socklen_t size = sizeof on;
    uv_fileno(&stream->handle.any, &fd);
    getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &size);
    return on != 0;
}

struct look_at_nodelay { ASYNC_FRAME; async_stream one, other; };
static ASYNC(look_at_nodelay)
{
    ASYNC_BEGIN(look_at_nodelay);
    AWAIT(meet_both, &self->one, &self->other);
    say("%d%d", has_nodelay(&self->one), has_nodelay(&self->other));
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    ASYNC_END;
}

static void both_ends_send_without_delay(void **s)
{
    (void)s;
    run(CO(look_at_nodelay));
    assert_said("11");
}

struct look_at_names {
    ASYNC_FRAME;
    async_listener server;
    async_stream one, other;
    int port;
    char name[64], expected[64];
    place there;
};
static ASYNC(look_at_names)
{
    ASYNC_BEGIN(look_at_names);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->port = async_tcp_port(&self->server);
    AWAIT(async_tcp_connect, &self->one, at(&self->there, self->port));
    AWAIT(async_listener_accept, &self->server, &self->other);
    snprintf(self->expected, sizeof self->expected, "127.0.0.1:%d",
             self->port);
    async_stream_peername(&self->one, self->name, sizeof self->name);
    assert_string_equal(self->name, self->expected);
    async_stream_sockname(&self->other, self->name, sizeof self->name);
    assert_string_equal(self->name, self->expected);
    async_stream_sockname(&self->server.stream, self->name, sizeof self->name);
    assert_string_equal(self->name, self->expected);
    async_stream_sockname(&self->one, self->expected, sizeof self->expected);
    async_stream_peername(&self->other, self->name, sizeof self->name);
    assert_string_equal(self->name, self->expected);
    say("%s", name_of(async_stream_peername(&self->one, self->name, 10)));
    say("%s", name_of(async_stream_peername(&self->server.stream, self->name,
                                            sizeof self->name)));
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    AWAIT(async_listener_close, &self->server);
    say("%s", name_of(async_stream_sockname(&self->one, self->name,
                                            sizeof self->name)));
    ASYNC_END;
}

static void both_ends_have_names(void **s)
{
    struct sockaddr_storage address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address;
    char name[64];
    (void)s;
    run(CO(look_at_names));
    assert_said("ENOBUFS ENOTCONN ASYNC_ECLOSED");
    async_tcp_address(&address, "2001:db8::1", 80);
    assert_int_equal(async__name_of_address(&address, name, sizeof name), 0);
    assert_string_equal(name, "[2001:db8::1]:80");
    async_tcp_address(&address, "fe80::1", 65535);
    six->sin6_scope_id = 2;
    assert_int_equal(async__name_of_address(&address, name, sizeof name), 0);
    assert_string_equal(name, "[fe80::1%2]:65535");
    assert_int_equal(async__name_of_address(&address, name, 17), UV_ENOBUFS);
    assert_int_equal(async__name_of_address(&address, name, 18), 0);
}

static int option_of(async_stream *stream, int level, int option)
{
    uv_os_fd_t fd;
    int value = -1;
    socklen_t size = sizeof value;
    uv_fileno(&stream->handle.any, &fd);
    getsockopt(fd, level, option, &value, &size);
    return value;
}

struct set_options {
    ASYNC_FRAME;
    async_stream stream;
    async_listener l;
    int fd;
    place there;
};
static ASYNC(set_options)
{
    async_stream *stream;
    ASYNC_BEGIN(set_options);
    assert_int_equal(async_tcp_nodelay(&self->stream, 1), ASYNC_ECLOSED);
    assert_int_equal(async_tcp_keepalive(&self->stream, 1, 1), ASYNC_ECLOSED);
    AWAIT(meet, &self->stream, &self->fd);
    stream = &self->stream;
    assert_int_equal(async_tcp_nodelay(stream, 0), 0);
    say("%d", has_nodelay(stream));
    assert_int_equal(async_tcp_nodelay(stream, 1), 0);
    say("%d", has_nodelay(stream));
    say("%d", option_of(stream, SOL_SOCKET, SO_KEEPALIVE));
    assert_int_equal(async_tcp_keepalive(stream, 1, 7), 0);
    say("%d %d", option_of(stream, SOL_SOCKET, SO_KEEPALIVE),
        option_of(stream, IPPROTO_TCP, TCP_KEEPIDLE));
    assert_int_equal(async_tcp_keepalive(stream, 1, 0), ASYNC_EINVAL);
    assert_int_equal(async_tcp_keepalive(stream, 0, 0), 0);
    say("%d", option_of(stream, SOL_SOCKET, SO_KEEPALIVE));
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    assert_int_equal(async_tcp_simultaneous_accepts(&self->l, 1),
                     ASYNC_ECLOSED);
    AWAIT(async_tcp_listen, &self->l, at(&self->there, 0));
    assert_int_equal(async_tcp_simultaneous_accepts(&self->l, 1), 0);
    AWAIT(async_listener_close, &self->l);
    ASYNC_END;
}

static void options_can_be_set_while_it_is_open(void **s)
{
    (void)s;
    run(CO(set_options));
    assert_said("0 1 0 1 7 0");
}

struct adopt {
    ASYNC_FRAME;
    async_stream one, other, more;
    int fds[2], listener, port, error;
};
static ASYNC(adopt)
{
    ASYNC_BEGIN(adopt);
    self->listener = raw_listen(8, &self->port);
    self->fds[0] = raw_connect(self->port);
    self->fds[1] = accept(self->listener, NULL, NULL);
    close(self->listener);
    AWAIT(async_tcp_open, &self->one, self->fds[0]);
    AWAIT(async_tcp_open, &self->other, self->fds[1]);
    say("%d%d", has_nodelay(&self->one), has_nodelay(&self->other));
    AWAIT(say_write, &self->one, "hello");
    AWAIT(say_read, &self->other);
    SAY_AWAIT("twice", async_tcp_open, &self->more, self->fds[1]);
    SAY_AWAIT("again", async_tcp_open, &self->one, self->fds[1]);
    AWAIT(async_stream_close, &self->one);
    AWAIT(say_read, &self->other);
    AWAIT(async_stream_close, &self->other);
    SAY_AWAIT("closed", async_tcp_open, &self->one, self->fds[0]);
    assert_int_equal(pipe(self->fds), 0);
    SAY_AWAIT("pipe", async_tcp_open, &self->one, self->fds[0]);
    close(self->fds[0]); /* still the caller's */
    close(self->fds[1]);
    ASYNC_END;
}

static void a_connection_that_was_made_elsewhere_can_be_adopted(void **s)
{
    (void)s;
    run(CO(adopt));
    assert_said("11 write:ok read:hello twice:EEXIST again:ASYNC_EBUSY read: "
                "closed:ASYNC_EINVAL pipe:ASYNC_EINVAL");
}

struct odd_address {
    ASYNC_FRAME;
    async_stream stream;
    async_listener server;
    struct sockaddr address;
    int error;
};
static ASYNC(odd_address)
{
    ASYNC_BEGIN(odd_address);
    self->address.sa_family = AF_UNIX;
    AWAIT_CATCH(self->error, async_tcp_connect, &self->stream, &self->address);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_tcp_listen, &self->server, &self->address);
    say("%s", name_of(self->error));
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    ASYNC_END;
}

static void an_address_of_another_family_is_an_error(void **s)
{
    (void)s;
    run(CO(odd_address));
    assert_said("ASYNC_EINVAL ASYNC_EINVAL 0");
}

struct open_twice {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    int fd, port, error;
    place there;
};
static ASYNC(open_twice)
{
    ASYNC_BEGIN(open_twice);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->port = async_tcp_port(&self->server);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->server,
                at(&self->there, 0));
    say("listen:%s", name_of(self->error));
    AWAIT(say_connect, &self->stream, self->port);
    AWAIT(say_connect, &self->stream, self->port);
    AWAIT(say_accept, &self->server, &self->stream);
    /* nothing has come of it */
    assert_int_equal(async_tcp_port(&self->server), self->port);
    AWAIT(say_write, &self->stream, "open");
    AWAIT(async_stream_close, &self->stream);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

static void what_is_open_cannot_be_opened(void **s)
{
    (void)s;
    run(CO(open_twice));
    assert_said("listen:ASYNC_EBUSY connect:ok connect:ASYNC_EBUSY "
                "accept:ASYNC_EBUSY write:ok");
}

struct use_closed {
    ASYNC_FRAME;
    async_stream stream;
    async_listener server;
    int fd, times;
};
static ASYNC(use_closed)
{
    ASYNC_BEGIN(use_closed);
    for (; self->times < 2; self->times++) {
        AWAIT(say_read, &self->stream);
        AWAIT(say_write, &self->stream, "x");
        AWAIT(say_shutdown, &self->stream);
        AWAIT(say_close, &self->stream);
        AWAIT(say_accept, &self->server, &self->stream);
        AWAIT(async_listener_close, &self->server);
        if (self->times == 0) {
            AWAIT(meet, &self->stream, &self->fd);
            close(self->fd);
            AWAIT(async_stream_close, &self->stream);
            say("|");
        }
    }
    ASYNC_END;
}

static void what_is_not_open_can_only_be_closed(void **s)
{
    (void)s;
    run(CO(use_closed));
    assert_said(
        "read:ASYNC_ECLOSED write:ASYNC_ECLOSED shutdown:ASYNC_ECLOSED "
        "close:ok accept:ASYNC_ECLOSED | "
        "read:ASYNC_ECLOSED write:ASYNC_ECLOSED shutdown:ASYNC_ECLOSED "
        "close:ok accept:ASYNC_ECLOSED");
}

struct use_again { ASYNC_FRAME; async_stream stream; int fd, times; };
static ASYNC(use_again)
{
    ASYNC_BEGIN(use_again);
    for (; self->times < 3; self->times++) {
        AWAIT(meet, &self->stream, &self->fd);
        raw_send(self->fd, "ab");
        AWAIT(say_read, &self->stream, 1);
        close(self->fd);
        AWAIT(say_read, &self->stream, self->times == 0 ? 8 : 1);
        if (self->times == 0) AWAIT(say_read, &self->stream);
        AWAIT(async_stream_close, &self->stream);
    }
    ASYNC_END;
}

static void a_stream_can_be_opened_again_and_has_nothing_of_before(void **s)
{
    (void)s;
    run(CO(use_again));
    assert_said("read:a read:b read: read:a read:b read:a read:b");
}

struct go_on {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    int fd;
    place there;
};
static ASYNC(go_on)
{
    ASYNC_BEGIN(go_on);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->fd = raw_connect(async_tcp_port(&self->server));
    AWAIT(say_accept, &self->server, &self->stream);
    AWAIT(async_listener_close, &self->server);
    raw_send(self->fd, "still here");
    AWAIT(say_read, &self->stream);
    AWAIT(say_write, &self->stream, "so am I");
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void connections_go_on_when_their_server_is_closed(void **s)
{
    (void)s;
    run(CO(go_on));
    assert_said("accept:ok read:still here write:ok");
}

struct accept_many {
    ASYNC_FRAME;
    async_listener server;
    async_stream streams[5], last;
    int fds[5], i, error;
    place there;
};
static ASYNC(accept_many)
{
    ASYNC_BEGIN(accept_many);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0), 16);
    for (self->i = 0; self->i < 5; self->i++) {
        char text[] = { (char)('0' + self->i), '\0' };
        self->fds[self->i] = raw_connect(async_tcp_port(&self->server));
        raw_send(self->fds[self->i], text);
    }
    AWAIT(async_sleep, ASYNC_MS(1));
    for (self->i = 0; self->i < 5; self->i++) {
        AWAIT(say_accept, &self->server, &self->streams[self->i]);
        AWAIT(say_read, &self->streams[self->i]);
    }
    /* the next one waits again */
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_listener_accept, &self->server, &self->last),
                ASYNC_MS(1));
    say("%s", name_of(self->error));
    AWAIT(async_listener_close, &self->server);
    for (self->i = 0; self->i < 5; self->i++) {
        close(self->fds[self->i]);
        AWAIT(async_stream_close, &self->streams[self->i]);
    }
    ASYNC_END;
}

static void connections_that_came_before_are_accepted_in_their_order(void **s)
{
    (void)s;
    run(CO(accept_many));
    assert_said("accept:ok read:0 accept:ok read:1 accept:ok read:2 "
                "accept:ok read:3 accept:ok read:4 ASYNC_ETIMEDOUT");
}

/* --- who else waits ------------------------------------------------------------ */

struct read_twice {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(read_twice)
{
    ASYNC_BEGIN(read_twice);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    AWAIT(say_read, &self->stream);
    raw_send(self->fd, "first");
    AWAIT(until_woken, self->reader);
    AWAIT(say_read, &self->stream); /* the other has not got it yet */
    AWAIT_JOIN(self->reader);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void reading_while_another_reads_is_an_error(void **s)
{
    (void)s;
    run(CO(read_twice));
    assert_said("read:ASYNC_EBUSY read:ASYNC_EBUSY read:first");
}

struct accept_twice {
    ASYNC_FRAME;
    async_listener server;
    async_stream one, other;
    int fd;
    async_task *acceptor;
    place there;
};
static ASYNC(accept_twice)
{
    ASYNC_BEGIN(accept_twice);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->acceptor =
        async_create_task(CO(say_accept, &self->server, &self->one));
    AWAIT(until_waiting, self->acceptor);
    AWAIT(say_accept, &self->server, &self->other);
    self->fd = raw_connect(async_tcp_port(&self->server));
    AWAIT(until_woken, self->acceptor);
    AWAIT(say_accept, &self->server, &self->other);
    AWAIT_JOIN(self->acceptor);
    close(self->fd);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

static void accepting_while_another_accepts_is_an_error(void **s)
{
    (void)s;
    run(CO(accept_twice));
    assert_said("accept:ASYNC_EBUSY accept:ASYNC_EBUSY accept:ok");
}

struct close_under {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader, *writer, *next, *ender;
};
static ASYNC(close_under)
{
    ASYNC_BEGIN(close_under);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    self->writer =
        async_create_task(CO(say_write, &self->stream, large, sizeof large));
    self->next = async_create_task(CO(say_write, &self->stream, "small"));
    self->ender = async_create_task(CO(say_shutdown, &self->stream));
    AWAIT(until_waiting, self->ender);
    AWAIT(say_close, &self->stream);
    AWAIT_JOIN(self->reader);
    AWAIT_JOIN(self->writer);
    AWAIT_JOIN(self->next);
    AWAIT_JOIN(self->ender);
    close(self->fd);
    ASYNC_END;
}

static void closing_tells_all_who_read_write_or_shut_down(void **s)
{
    (void)s;
    run(CO(close_under));
    assert_said("read:ASYNC_ECLOSED write:ASYNC_ECLOSED write:ASYNC_ECLOSED "
                "shutdown:ASYNC_ECLOSED close:ok");
}

struct close_connecting {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    async_task *connector;
};
static ASYNC(close_connecting)
{
    ASYNC_BEGIN(close_connecting);
    deaf_open(&self->deaf);
    self->connector =
        async_create_task(CO(say_connect, &self->stream, self->deaf.port));
    AWAIT(until_waiting, self->connector);
    AWAIT(say_close, &self->stream);
    AWAIT_JOIN(self->connector);
    deaf_close(&self->deaf);
    ASYNC_END;
}

static void closing_tells_who_connects(void **s)
{
    (void)s;
    run(CO(close_connecting));
    assert_said("connect:ASYNC_ECLOSED close:ok");
}

struct close_listening {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    async_task *acceptor;
    place there;
    int times;
};
static ASYNC(close_listening)
{
    ASYNC_BEGIN(close_listening);
    for (; self->times < 2; self->times++) {
        AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
        self->acceptor =
            async_create_task(CO(say_accept, &self->server, &self->stream));
        AWAIT(until_waiting, self->acceptor);
        if (self->times == 0)
            AWAIT(async_listener_close, &self->server);
        else
            AWAIT(async_stream_close, &self->server.stream);
        AWAIT_JOIN(self->acceptor);
        assert_false(async_stream_is_open(&self->stream));
    }
    ASYNC_END;
}

static void closing_tells_who_accepts(void **s)
{
    (void)s;
    run(CO(close_listening));
    assert_said("accept:ASYNC_ECLOSED accept:ASYNC_ECLOSED");
}

struct close_arrived {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    async_task *acceptor;
    place there;
    int fd;
    char byte;
    size_t n;
};
static ASYNC(close_arrived)
{
    ASYNC_BEGIN(close_arrived);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->acceptor =
        async_create_task(CO(say_accept, &self->server, &self->stream));
    AWAIT(until_waiting, self->acceptor);
    self->fd = raw_connect(async_tcp_port(&self->server));
    AWAIT(until_woken, self->acceptor);
    AWAIT(async_listener_close, &self->server);
    AWAIT_JOIN(self->acceptor);
    AWAIT_INTO(self->n, raw_receive, self->fd, &self->byte, 1);
    say("%u", (unsigned)self->n); /* nobody has it */
    close(self->fd);
    ASYNC_END;
}

static void a_connection_nobody_has_accepted_goes_with_its_server(void **s)
{
    (void)s;
    run(CO(close_arrived));
    assert_said("accept:ASYNC_ECLOSED 0");
}

/* Closes a stream, and its memory goes when the first has learned it. */
struct close_and_free { ASYNC_FRAME; async_stream *stream; };
static ASYNC(close_and_free)
{
    ASYNC_BEGIN(close_and_free);
    AWAIT(async_stream_close, self->stream);
    memset(self->stream, 0xa5, sizeof *self->stream);
    free(self->stream);
    say("freed");
    ASYNC_END;
}

struct close_together {
    ASYNC_FRAME;
    async_stream *stream;
    int fd;
    async_gathering all;
};
static ASYNC(close_together)
{
    ASYNC_BEGIN(close_together);
    self->stream = calloc(1, sizeof *self->stream);
    assert_non_null(self->stream);
    AWAIT(meet, self->stream, &self->fd);
    AWAIT_GATHER(&self->all, CO(close_and_free, self->stream),
                 CO(say_close, self->stream), CO(say_close, self->stream));
    async_gather_clear(&self->all);
    close(self->fd);
    ASYNC_END;
}

static void several_may_close_it_and_the_first_may_free_it(void **s)
{
    (void)s;
    run(CO(close_together));
    assert_said("freed close:ok close:ok");
}

/* --- cancellation --------------------------------------------------------------- */

struct cancel_read {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(cancel_read)
{
    ASYNC_BEGIN(cancel_read);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    async_task_cancel(self->reader);
    AWAIT_JOIN(self->reader);
    raw_send(self->fd, "kept");
    AWAIT(say_read, &self->stream);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_read_can_be_cancelled_and_the_next_one_goes_on(void **s)
{
    (void)s;
    run(CO(cancel_read));
    assert_said("read:ASYNC_ECANCELED read:kept");
}

struct cancel_data {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(cancel_data)
{
    ASYNC_BEGIN(cancel_data);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    raw_send(self->fd, "abcdef");
    AWAIT(until_woken, self->reader);
    async_task_cancel(self->reader);
    /* what it got is not there before it has given it back */
    AWAIT(say_read, &self->stream);
    AWAIT_JOIN(self->reader);
    AWAIT(say_read, &self->stream, 4);
    raw_send(self->fd, "gh");
    AWAIT(say_read, &self->stream, 4);
    AWAIT(say_read, &self->stream, 4);
    close(self->fd);
    AWAIT(say_read, &self->stream);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_read_cancelled_after_its_data_came_leaves_it(void **s)
{
    (void)s;
    run(CO(cancel_data));
    assert_said("read:ASYNC_EBUSY read:ASYNC_ECANCELED read:abcd read:ef "
                "read:gh read:");
}

struct cancel_end {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(cancel_end)
{
    ASYNC_BEGIN(cancel_end);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    close(self->fd);
    AWAIT(until_woken, self->reader);
    async_task_cancel(self->reader);
    AWAIT_JOIN(self->reader);
    AWAIT(say_read, &self->stream);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_read_cancelled_after_the_end_came_leaves_it(void **s)
{
    (void)s;
    run(CO(cancel_end));
    assert_said("read:ASYNC_ECANCELED read:");
}

struct cancel_and_close {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(cancel_and_close)
{
    ASYNC_BEGIN(cancel_and_close);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    raw_send(self->fd, "lost");
    AWAIT(until_woken, self->reader);
    async_task_cancel(self->reader);
    AWAIT(async_stream_close, &self->stream);
    AWAIT_JOIN(self->reader);
    close(self->fd);
    ASYNC_END;
}

/* The sanitizers would find what it kept for nobody. */
static void
a_cancelled_read_keeps_nothing_for_a_stream_that_is_closed(void **s)
{
    (void)s;
    run(CO(cancel_and_close));
    assert_said("read:ASYNC_ECANCELED");
}

struct keep_and_close {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(keep_and_close)
{
    ASYNC_BEGIN(keep_and_close);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    raw_send(self->fd, "kept");
    AWAIT(until_woken, self->reader);
    async_task_cancel(self->reader);
    AWAIT_JOIN(self->reader);
    AWAIT(say_read, &self->stream, 1);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void what_a_cancelled_read_has_kept_goes_with_the_stream(void **s)
{
    (void)s;
    run(CO(keep_and_close));
    assert_said("read:ASYNC_ECANCELED read:k");
}

struct cancel_without_memory {
    ASYNC_FRAME;
    async_stream stream;
    int fd, error;
    async_task *reader;
    char buffer[2000];
};
struct read_into {
    ASYNC_FRAME;
    async_stream *stream;
    char *buffer;
    size_t size, n;
};
static ASYNC(read_into)
{
    ASYNC_BEGIN(read_into);
    AWAIT_INTO(self->n, async_stream_read, self->stream, self->buffer,
               self->size);
    ASYNC_END;
}
static ASYNC(cancel_without_memory)
{
    ASYNC_BEGIN(cancel_without_memory);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(
        CO(read_into, &self->stream, self->buffer, sizeof self->buffer));
    AWAIT(until_waiting, self->reader);
    assert_int_equal(send(self->fd, large, sizeof self->buffer, 0),
                     sizeof self->buffer);
    AWAIT(until_woken, self->reader);
    async_task_cancel(self->reader);
    memory_refuse(LONG_MAX);
    ASYNC_SUSPEND;
    memory_refuse(0);
    AWAIT(say_read, &self->stream);
    AWAIT(say_read, &self->stream);
    async_task_release(self->reader);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_read_that_cannot_keep_its_data_fails_the_next(void **s)
{
    (void)s;
    run(CO(cancel_without_memory));
    assert_said("read:ASYNC_ENOMEM read:ASYNC_ENOMEM");
}

struct cancel_write {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *writer;
    size_t n;
};
static ASYNC(cancel_write)
{
    ASYNC_BEGIN(cancel_write);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->writer =
        async_create_task(CO(say_write, &self->stream, large, sizeof large));
    AWAIT(until_waiting, self->writer);
    async_task_cancel(self->writer);
    say("%d", async_stream_is_open(&self->stream));
    AWAIT(say_write, &self->stream, "x");
    AWAIT_JOIN(self->writer);
    AWAIT_INTO(self->n, raw_receive, self->fd, large, sizeof large);
    say("%s", self->n < sizeof large ? "part" : "all");
    AWAIT(say_close, &self->stream);
    close(self->fd);
    ASYNC_END;
}

static void cancelling_a_write_that_waits_closes_the_stream(void **s)
{
    (void)s;
    run(CO(cancel_write));
    assert_said("0 write:ASYNC_ECLOSED write:ASYNC_ECANCELED part close:ok");
}

struct cancel_written {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *writer;
    char *sink;
    int over;
};
static ASYNC(cancel_written)
{
    ASYNC_BEGIN(cancel_written);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->writer =
        async_create_task(CO(say_write, &self->stream, large, sizeof large));
    AWAIT(until_waiting, self->writer);
    while (!woken(self->writer)) {
        recv(self->fd, large, sizeof large, MSG_DONTWAIT);
        ASYNC_SUSPEND;
    }
    async_task_cancel(self->writer);
    AWAIT_JOIN(self->writer);
    say("%d", async_stream_is_open(&self->stream));
    AWAIT(say_write, &self->stream, "more");
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void cancelling_a_write_that_is_out_leaves_the_stream_open(void **s)
{
    (void)s;
    run(CO(cancel_written));
    assert_said("write:ASYNC_ECANCELED 1 write:ok");
}

struct cancel_shutdown {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *writer, *ender;
};
static ASYNC(cancel_shutdown)
{
    ASYNC_BEGIN(cancel_shutdown);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->writer =
        async_create_task(CO(say_write, &self->stream, large, sizeof large));
    self->ender = async_create_task(CO(say_shutdown, &self->stream));
    AWAIT(until_waiting, self->ender);
    async_task_cancel(self->ender);
    say("%d", async_stream_is_open(&self->stream));
    AWAIT_JOIN(self->writer);
    AWAIT_JOIN(self->ender);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void cancelling_a_shutdown_closes_the_stream(void **s)
{
    (void)s;
    run(CO(cancel_shutdown));
    assert_said("0 write:ASYNC_ECLOSED shutdown:ASYNC_ECANCELED");
}

struct cancel_close {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *closer;
};
static ASYNC(cancel_close)
{
    ASYNC_BEGIN(cancel_close);
    AWAIT(meet, &self->stream, &self->fd);
    self->closer = async_create_task(CO(say_close, &self->stream));
    AWAIT(until_waiting, self->closer);
    async_task_cancel(self->closer);
    AWAIT_JOIN(self->closer);
    /* libuv has let go of it by now */
    assert_int_equal(self->stream.resource.state, ASYNC__IS_SHUT);
    memset(&self->stream, 0, sizeof self->stream);
    close(self->fd);
    ASYNC_END;
}

static void a_cancelled_close_closes_and_then_raises(void **s)
{
    (void)s;
    run(CO(cancel_close));
    assert_said("close:ASYNC_ECANCELED");
}

struct cancel_connect {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    async_task *connector;
};
static ASYNC(cancel_connect)
{
    ASYNC_BEGIN(cancel_connect);
    deaf_open(&self->deaf);
    self->connector =
        async_create_task(CO(say_connect, &self->stream, self->deaf.port));
    AWAIT(until_waiting, self->connector);
    async_task_cancel(self->connector);
    AWAIT_JOIN(self->connector);
    assert_int_equal(self->stream.resource.state, ASYNC__IS_SHUT);
    deaf_close(&self->deaf);
    ASYNC_END;
}

static void a_cancelled_connect_leaves_the_stream_closed(void **s)
{
    (void)s;
    run(CO(cancel_connect));
    assert_said("connect:ASYNC_ECANCELED");
}

struct cancel_connected {
    ASYNC_FRAME;
    async_stream stream;
    int listener, port;
    async_task *connector;
};
static ASYNC(cancel_connected)
{
    ASYNC_BEGIN(cancel_connected);
    self->listener = raw_listen(8, &self->port);
    self->connector =
        async_create_task(CO(say_connect, &self->stream, self->port));
    AWAIT(until_woken, self->connector);
    async_task_cancel(self->connector);
    AWAIT_JOIN(self->connector);
    assert_int_equal(self->stream.resource.state, ASYNC__IS_SHUT);
    close(self->listener);
    ASYNC_END;
}

static void a_connect_cancelled_when_it_is_through_is_closed_too(void **s)
{
    (void)s;
    run(CO(cancel_connected));
    assert_said("connect:ASYNC_ECANCELED");
}

/* A second request comes while the first one's close is on its way. */
struct cancel_connect_twice {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    async_task *connector;
};
static ASYNC(cancel_connect_twice)
{
    ASYNC_BEGIN(cancel_connect_twice);
    deaf_open(&self->deaf);
    self->connector =
        async_create_task(CO(say_connect, &self->stream, self->deaf.port));
    AWAIT(until_waiting, self->connector);
    async_task_cancel(self->connector);
    async_task_cancel(self->connector);
    AWAIT_JOIN(self->connector);
    assert_int_equal(self->stream.resource.state, ASYNC__IS_SHUT);
    deaf_close(&self->deaf);
    ASYNC_END;
}

static void a_connect_cancelled_twice_is_closed_before_it_raises(void **s)
{
    (void)s;
    run(CO(cancel_connect_twice));
    assert_said("connect:ASYNC_ECANCELED");
}

struct cancel_accept {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    int fd, came;
    async_task *acceptor;
    place there;
};
static ASYNC(cancel_accept)
{
    ASYNC_BEGIN(cancel_accept);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->acceptor =
        async_create_task(CO(say_accept, &self->server, &self->stream));
    AWAIT(until_waiting, self->acceptor);
    if (self->came) {
        self->fd = raw_connect(async_tcp_port(&self->server));
        raw_send(self->fd, "me");
        AWAIT(until_woken, self->acceptor);
    }
    async_task_cancel(self->acceptor);
    AWAIT_JOIN(self->acceptor);
    assert_false(async_stream_is_open(&self->stream));
    if (!self->came) {
        self->fd = raw_connect(async_tcp_port(&self->server));
        raw_send(self->fd, "me");
    }
    AWAIT(say_accept, &self->server, &self->stream);
    AWAIT(say_read, &self->stream);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

static void a_cancelled_accept_leaves_the_server_as_it_was(void **s)
{
    (void)s;
    run(CO(cancel_accept));
    assert_said("accept:ASYNC_ECANCELED accept:ok read:me");
}

static void an_accept_cancelled_after_a_connection_came_leaves_it(void **s)
{
    (void)s;
    run(CO(cancel_accept, .came = 1));
    assert_said("accept:ASYNC_ECANCELED accept:ok read:me");
}

struct read_in_time {
    ASYNC_FRAME;
    async_stream stream;
    int fd, error;
    size_t n;
    char buffer[16];
};
static ASYNC(read_in_time)
{
    ASYNC_BEGIN(read_in_time);
    AWAIT(meet, &self->stream, &self->fd);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_stream_read, &self->stream, self->buffer,
                   sizeof self->buffer),
                ASYNC_MS(2));
    say("%s", name_of(self->error));
    raw_send(self->fd, "late");
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(1000), async_stream_read,
                        &self->stream, self->buffer, sizeof self->buffer);
    say("%.*s", (int)self->n, self->buffer);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_read_that_never_comes_times_out_and_nothing_is_lost(void **s)
{
    (void)s;
    run(CO(read_in_time));
    assert_said("ASYNC_ETIMEDOUT late");
}

struct in_time {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    int fd, error;
    async_listener server;
    place there;
};
static ASYNC(in_time)
{
    ASYNC_BEGIN(in_time);
    deaf_open(&self->deaf);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_tcp_connect, &self->stream,
                   at(&self->there, self->deaf.port)),
                ASYNC_MS(2));
    say("connect:%s", name_of(self->error));
    deaf_close(&self->deaf);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_listener_accept, &self->server, &self->stream),
                ASYNC_MS(2));
    say("accept:%s", name_of(self->error));
    AWAIT(async_listener_close, &self->server);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_stream_write, &self->stream, large, sizeof large),
                ASYNC_MS(2));
    say("write:%s", name_of(self->error));
    AWAIT(say_read, &self->stream);
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    ASYNC_END;
}

static void connecting_accepting_and_writing_can_time_out(void **s)
{
    (void)s;
    run(CO(in_time));
    assert_said("connect:ASYNC_ETIMEDOUT accept:ASYNC_ETIMEDOUT "
                "write:ASYNC_ETIMEDOUT read:ASYNC_ECLOSED");
}

/* --- memory -------------------------------------------------------------- */

struct round_trips {
    ASYNC_FRAME;
    async_stream one, other;
    size_t n;
    int i;
    char buffer[512];
};
static ASYNC(round_trips)
{
    ASYNC_BEGIN(round_trips);
    AWAIT(meet_both, &self->one, &self->other);
    for (; self->i < 100; self->i++) {
        AWAIT(async_stream_write, &self->one, self->buffer,
              sizeof self->buffer);
        AWAIT_INTO(self->n, async_stream_read, &self->other, self->buffer,
                   sizeof self->buffer);
        if (self->i == 0) memory.asked = 0;
    }
    say("%ld", memory.asked);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    ASYNC_END;
}

static void reading_and_writing_allocate_nothing(void **s)
{
    (void)s;
    run(CO(round_trips));
    assert_said("0");
}

/* --- faults ------------------------------------------------------------------------ */

struct reset_reader {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader;
};
static ASYNC(reset_reader)
{
    ASYNC_BEGIN(reset_reader);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    AWAIT(until_waiting, self->reader);
    raw_reset(self->fd);
    AWAIT_JOIN(self->reader);
    AWAIT(say_read, &self->stream);
    AWAIT(say_write, &self->stream, "x");
    AWAIT(say_shutdown, &self->stream);
    say("%d", async_stream_is_open(&self->stream));
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_reset_is_an_error_of_every_read_and_write_from_then_on(void **s)
{
    (void)s;
    run(CO(reset_reader));
    assert_said("read:broken read:broken write:broken shutdown:ENOTCONN 1");
}

struct reset_writers {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *one, *two, *three;
};
static ASYNC(reset_writers)
{
    ASYNC_BEGIN(reset_writers);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    self->one =
        async_create_task(CO(say_write, &self->stream, large, sizeof large));
    self->two = async_create_task(CO(say_write, &self->stream, "second"));
    self->three = async_create_task(CO(say_write, &self->stream, "third"));
    AWAIT(until_waiting, self->three);
    raw_reset(self->fd);
    AWAIT_JOIN(self->one);
    AWAIT_JOIN(self->two);
    AWAIT_JOIN(self->three);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void a_reset_fails_all_writes_that_wait(void **s)
{
    (void)s;
    run(CO(reset_writers));
    assert_said("write:broken write:broken write:broken");
}

struct write_to_nobody { ASYNC_FRAME; async_stream stream; int fd, error; };
static ASYNC(write_to_nobody)
{
    ASYNC_BEGIN(write_to_nobody);
    AWAIT(meet, &self->stream, &self->fd);
    close(self->fd);
    /* The first may go out; its answer is a reset. */
    while (!self->error) {
        AWAIT_CATCH(self->error, async_stream_write, &self->stream, "x", 1);
        AWAIT(async_sleep, ASYNC_US(100));
    }
    say("%s", name_of(self->error));
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void writing_to_a_peer_that_has_gone_is_an_error_and_no_signal(void **s)
{
    (void)s;
    run(CO(write_to_nobody));
    assert_said("broken");
}

struct reset_unaccepted {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    place there;
    int fd, error;
};
static ASYNC(reset_unaccepted)
{
    ASYNC_BEGIN(reset_unaccepted);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    raw_reset(raw_connect(async_tcp_port(&self->server)));
    self->fd = raw_connect(async_tcp_port(&self->server));
    raw_send(self->fd, "next");
    /* It may be accepted, and then it is broken; or never have been. */
    for (;;) {
        AWAIT(async_listener_accept, &self->server, &self->stream);
        AWAIT_CATCH(self->error, async_stream_read, &self->stream,
                    &self->there, sizeof self->there);
        if (!self->error) break;
        assert_int_equal(self->error, -ECONNRESET);
        AWAIT(async_stream_close, &self->stream);
    }
    say("%.4s", (const char *)&self->there);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

static void a_connection_reset_before_it_is_accepted_does_no_harm(void **s)
{
    (void)s;
    run(CO(reset_unaccepted));
    assert_said("next");
}

struct no_descriptors {
    ASYNC_FRAME;
    async_stream stream;
    async_listener server;
    int listener, port, error;
    place there;
};
static ASYNC(no_descriptors)
{
    ASYNC_BEGIN(no_descriptors);
    self->listener = raw_listen(8, &self->port);
    limit_descriptors(0);
    AWAIT(say_connect, &self->stream, self->port);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->server,
                at(&self->there, 0));
    say("listen:%s", name_of(self->error));
    unlimit_descriptors();
    AWAIT(say_connect, &self->stream, self->port);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    AWAIT(async_listener_close, &self->server);
    AWAIT(async_stream_close, &self->stream);
    close(self->listener);
    ASYNC_END;
}

static void without_descriptors_connecting_and_listening_are_errors(void **s)
{
    (void)s;
    run(CO(no_descriptors));
    assert_said("connect:EMFILE listen:EMFILE connect:ok");
}

/* libuv drops connections that it has no descriptor for, or says so; either
 * way the server goes on. */
struct accept_patiently {
    ASYNC_FRAME;
    async_listener *server;
    async_stream *stream;
    int error;
};
static ASYNC(accept_patiently)
{
    ASYNC_BEGIN(accept_patiently);
    do {
        AWAIT_CATCH(self->error, async_listener_accept, self->server,
                    self->stream);
        if (self->error) AWAIT(async_sleep, ASYNC_MS(1));
    } while (self->error == -EMFILE);
    say("accept:%s", name_of(self->error));
    ASYNC_END;
}
struct no_descriptor_to_accept {
    ASYNC_FRAME;
    async_listener server;
    async_stream stream;
    int fds[2], i;
    async_task *acceptor;
    place there;
    char byte;
    size_t n;
};
static ASYNC(no_descriptor_to_accept)
{
    ASYNC_BEGIN(no_descriptor_to_accept);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    self->acceptor =
        async_create_task(CO(accept_patiently, &self->server, &self->stream));
    AWAIT(until_waiting, self->acceptor);
    for (self->i = 0; self->i < 2; self->i++)
        self->fds[self->i] = raw_socket();
    at(&self->there, async_tcp_port(&self->server));
    limit_descriptors(0);
    connect(self->fds[0], (struct sockaddr *)&self->there,
            sizeof(struct sockaddr_in));
    AWAIT(async_sleep, ASYNC_MS(5));
    unlimit_descriptors();
    connect(self->fds[1], (struct sockaddr *)&self->there,
            sizeof(struct sockaddr_in));
    AWAIT_JOIN(self->acceptor);
    /* whichever of them it is */
    for (self->i = 0; self->i < 2; self->i++)
        send(self->fds[self->i], "served", 6, MSG_NOSIGNAL);
    AWAIT(say_read, &self->stream);
    for (self->i = 0; self->i < 2; self->i++) close(self->fds[self->i]);
    AWAIT(async_stream_close, &self->stream);
    AWAIT(async_listener_close, &self->server);
    ASYNC_END;
}

static void a_server_that_had_no_descriptors_for_a_while_goes_on(void **s)
{
    (void)s;
    run(CO(no_descriptor_to_accept));
    assert_said("accept:ok read:served");
}

/* --- loops --------------------------------------------------------------------------- */

static async_listener standing_server;
static async_stream standing_stream;

struct open_standing { ASYNC_FRAME; place there; };
static ASYNC(open_standing)
{
    ASYNC_BEGIN(open_standing);
    AWAIT(async_tcp_listen, &standing_server, at(&self->there, 0));
    AWAIT(async_tcp_connect, &standing_stream,
          at(&self->there, async_tcp_port(&standing_server)));
    ASYNC_END;
}
struct close_standing { ASYNC_FRAME; };
static ASYNC(close_standing)
{
    ASYNC_BEGIN(close_standing);
    AWAIT(async_stream_close, &standing_stream);
    AWAIT(async_listener_close, &standing_server);
    ASYNC_END;
}
struct use_standing { ASYNC_FRAME; async_stream stream; int error; };
static ASYNC(use_standing)
{
    ASYNC_BEGIN(use_standing);
    AWAIT(say_read, &standing_stream);
    AWAIT(say_write, &standing_stream, large, sizeof large);
    AWAIT(say_shutdown, &standing_stream);
    AWAIT(say_accept, &standing_server, &self->stream);
    AWAIT(say_close, &standing_stream);
    ASYNC_END;
}

static void a_stream_belongs_to_the_loop_on_which_it_was_opened(void **s)
{
    async_uv_loop one, other;
    (void)s;
    async_uv_loop_init(&one, NULL, NULL);
    async_uv_loop_init(&other, NULL, NULL);
    async_loop_run_until_complete(&one.base, CO(open_standing));
    async_loop_run_until_complete(&other.base, CO(use_standing));
    assert_true(async_stream_is_open(&standing_stream));
    async__stream_begin_close(&standing_stream);
    async_loop_run_until_complete(&other.base,
                                  CO(say_close, &standing_stream));
    async_loop_run_until_complete(&one.base, CO(close_standing));
    assert_int_equal(async_uv_loop_count_handles(&one.base), 0);
    async_loop_close(&one.base);
    async_loop_close(&other.base);
    assert_said("read:ASYNC_EOTHERLOOP write:ASYNC_EOTHERLOOP "
                "shutdown:ASYNC_EOTHERLOOP accept:ASYNC_EOTHERLOOP "
                "close:ASYNC_EOTHERLOOP close:ASYNC_EOTHERLOOP");
}

/* Drives each by hand, where there is no loop that could wake it. */
struct by_hand { ASYNC_FRAME; async_stream other; int fd; place there; };
static ASYNC(by_hand)
{
    async one;
    int error, i;
    ASYNC_BEGIN(by_hand);
    AWAIT(open_standing);
    for (i = 0; i < 6; i++) {
        async_new(
            &one, NULL,
            i == 0 ? CO(async_stream_read, &standing_stream, &self->there, 1)
            : i == 1
                ? CO(async_stream_write, &standing_stream, large, sizeof large)
            : i == 2 ? CO(async_stream_shutdown, &standing_stream)
            : i == 3 ? CO(async_tcp_connect, &self->other, at(&self->there, 1))
            : i == 4
                ? CO(async_listener_accept, &standing_server, &self->other)
                : CO(async_stream_close, &standing_stream));
        error = async_send(&one);
        say("%s", name_of(error));
        async_close(&one);
    }
    /* none has left a trace */
    AWAIT(say_accept, &standing_server, &self->other);
    AWAIT(say_write, &self->other, "still open");
    AWAIT(say_read, &standing_stream);
    AWAIT(async_stream_close, &self->other);
    AWAIT(close_standing);
    ASYNC_END;
}

static void without_a_task_nothing_can_be_awaited(void **s)
{
    (void)s;
    run(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK "
                "ASYNC_ENOTASK ASYNC_ENOTASK "
                "accept:ok write:ok read:still open");
}

static void on_a_loop_that_is_not_libuvs_nothing_can_be_opened(void **s)
{
    (void)s;
    assert_int_equal(async_virtual_run(CO(open_standing)), ASYNC_EINVAL);
}

static void a_stream_left_open_is_closed_with_its_loop(void **s)
{
    async_uv_loop loop;
    int times;
    (void)s;
    for (times = 0; times < 2; times++) {
        async_uv_loop_init(&loop, NULL, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(open_standing)), 0);
        async_loop_close(&loop.base);
        assert_false(async_stream_is_open(&standing_stream));
        assert_int_equal(async_tcp_port(&standing_server), 0);
    }
}

static void on_a_borrowed_loop_it_is_closed_when_that_has_run(void **s)
{
    async_uv_loop *loop;
    uv_loop_t host;
    int times;
    (void)s;
    uv_loop_init(&host);
    for (times = 0; times < 2; times++) {
        loop = malloc(sizeof *loop);
        assert_non_null(loop);
        async_uv_loop_init(loop, &host, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop->base, CO(open_standing)), 0);
        async_loop_close(&loop->base);
        free(loop);
        assert_false(async_stream_is_open(&standing_stream));
        assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    }
    assert_int_equal(uv_loop_close(&host), 0);
}

/* Will not end when it is cancelled, with connections in its frame: one that
 * it reads from, writes to, connects, listens with. */
struct hang_on {
    ASYNC_FRAME;
    async_stream stream;
    async_listener server;
    int fd, *ready;
    place there;
};
static ASYNC(hang_on)
{
    ASYNC_BEGIN(hang_on);
    AWAIT(meet, &self->stream, &self->fd);
    make_narrow(&self->stream, self->fd);
    AWAIT(async_tcp_listen, &self->server, at(&self->there, 0));
    *self->ready = self->fd;
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
        AWAIT(async_stream_close, &self->stream);
        AWAIT(async_listener_close, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}
/* Reads, writes, accepts in the frame of another, and will not end either. */
struct hang_on_too {
    ASYNC_FRAME;
    async_stream stream;
    int *ready, fd;
    async_future never;
};
static ASYNC(hang_on_too)
{
    ASYNC_BEGIN(hang_on_too);
    AWAIT(meet, &self->stream, &self->fd);
    async_future_init(&self->never, async_loop_of(co));
    *self->ready = self->fd;
    ASYNC_TRY {
        AWAIT_FUTURE(&self->never);
    } ASYNC_FINALLY {
        AWAIT(say_read, &self->stream); /* which will never come */
    } ASYNC_END_TRY
    ASYNC_END;
}
struct until_ready { ASYNC_FRAME; int *a, *b; };
static ASYNC(until_ready)
{
    ASYNC_BEGIN(until_ready);
    while (!*self->a || !*self->b) AWAIT(async_sleep, ASYNC_US(100));
    ASYNC_END;
}

/* Closes a loop with tasks that have to be dropped, and looks at whether their
 * connections have ended. */
static void drop_tasks_with_streams(uv_loop_t *host)
{
    static async_uv_loop loop;
    int fds[2] = { 0, 0 }, i;
    char byte;
    async_uv_loop_init(&loop, host, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    async_task_release(
        async_loop_create_task(&loop.base, CO(hang_on, .ready = &fds[0])));
    async_task_release(
        async_loop_create_task(&loop.base, CO(hang_on_too, .ready = &fds[1])));
    async_loop_run_until_complete(&loop.base,
                                  CO(until_ready, &fds[0], &fds[1]));
    async_loop_close(&loop.base);
    memset(&loop, 0xa5, sizeof loop);
    for (i = 0; i < 2; i++) {
        say("%d", (int)recv(fds[i], &byte, 1, 0));
        close(fds[i]);
    }
    assert_said("[Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] 0 0");
}

static void a_task_that_is_dropped_has_its_streams_closed_first(void **s)
{
    (void)s;
    drop_tasks_with_streams(NULL);
}

static void so_it_is_on_a_borrowed_loop(void **s)
{
    uv_loop_t host;
    (void)s;
    uv_loop_init(&host);
    drop_tasks_with_streams(&host);
    uv_run(&host, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&host), 0);
}

/* Servers that share a port: each is asked until all clients are accepted. */
struct share_port {
    ASYNC_FRAME;
    unsigned flags, second;
    async_listener servers[2];
    async_stream peer;
    int clients[64];
    int i, which, error, served[2];
    place here;
};
static ASYNC(share_port)
{
    ASYNC_BEGIN(share_port);
    AWAIT(async_tcp_listen, &self->servers[0], at(&self->here, 0), 0,
          self->flags);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->servers[1],
                at(&self->here, async_tcp_port(&self->servers[0])), 0,
                self->second);
    say("%s", name_of(self->error));
    if (!self->error) {
        for (self->i = 0; self->i < 64; self->i++)
            self->clients[self->i] =
                raw_connect(async_tcp_port(&self->servers[0]));
        for (self->i = self->which = 0; self->i < 64;
             self->which = !self->which) {
            AWAIT_CATCH(self->error, async_wait_for,
                        CO(async_listener_accept, &self->servers[self->which],
                           &self->peer),
                        ASYNC_MS(20));
            if (self->error) continue;
            self->served[self->which]++;
            self->i++;
            AWAIT(async_stream_close, &self->peer);
        }
        for (self->i = 0; self->i < 64; self->i++)
            close(self->clients[self->i]);
        /* One of them alone: with a chance of two to the 63. */
        say("%d", self->served[0] > 0 && self->served[1] > 0);
        AWAIT(async_listener_close, &self->servers[1]);
    }
    AWAIT(async_listener_close, &self->servers[0]);
    ASYNC_END;
}
static void servers_that_say_so_share_a_port(void **s)
{
    (void)s;
    run(CO(share_port, ASYNC_TCP_REUSEPORT, ASYNC_TCP_REUSEPORT));
    assert_said("ok 1");
}
static void one_that_does_not_say_so_is_alone(void **s)
{
    (void)s;
    run(CO(share_port, ASYNC_TCP_REUSEPORT, 0));
    run(CO(share_port, 0, ASYNC_TCP_REUSEPORT));
    assert_said("EADDRINUSE EADDRINUSE");
}

struct share_nowhere {
    ASYNC_FRAME;
    async_listener server;
    int error;
    place here;
};
static ASYNC(share_nowhere)
{
    ASYNC_BEGIN(share_nowhere);
    at(&self->here, 0);
    self->here.storage.ss_family = AF_UNIX;
    AWAIT_CATCH(self->error, async_tcp_listen, &self->server,
                (struct sockaddr *)&self->here, 0, ASYNC_TCP_REUSEPORT);
    say("%d %d", self->error < 0, async_stream_is_open(&self->server.stream));
    limit_descriptors(0);
    AWAIT_CATCH(self->error, async_tcp_listen, &self->server,
                at(&self->here, 0), 0, ASYNC_TCP_REUSEPORT);
    unlimit_descriptors();
    say("%s %d", name_of(self->error),
        async_stream_is_open(&self->server.stream));
    ASYNC_END;
}
static void without_a_socket_no_port_is_shared(void **s)
{
    (void)s;
    run(CO(share_nowhere));
    assert_said("1 0 EMFILE 0");
}

UNIT_MAIN(TEST(what_is_written_at_one_end_is_read_at_the_other),
          TEST(a_read_takes_no_more_than_was_asked_for),
          TEST(at_the_end_a_read_gives_nothing_again_and_again),
          TEST(what_comes_while_nobody_reads_does_not_turn_the_loop),
          TEST(after_a_shutdown_the_other_direction_goes_on),
          TEST(after_a_shutdown_nothing_can_be_written),
          TEST(a_small_write_does_not_suspend_but_on_a_ring),
          TEST(to_write_nothing_is_well_to_read_nothing_is_an_error),
          TEST(a_peer_that_does_not_read_holds_the_writer_back),
          TEST(a_large_write_is_written_whole),
          TEST(writes_of_several_tasks_go_out_in_order_each_whole),
          TEST(a_shutdown_waits_for_the_writes_before_it),
          TEST(one_task_reads_while_another_writes),
          TEST(connecting_where_nobody_listens_is_refused),
          TEST(a_port_that_is_in_use_is_an_error_until_it_is_free),
          TEST(ipv6_works_like_ipv4), TEST(an_address_is_made_of_numbers),
          TEST(both_ends_send_without_delay), TEST(both_ends_have_names),
          TEST(options_can_be_set_while_it_is_open),
          TEST(a_connection_that_was_made_elsewhere_can_be_adopted),
          TEST(an_address_of_another_family_is_an_error),
          TEST(what_is_open_cannot_be_opened),
          TEST(what_is_not_open_can_only_be_closed),
          TEST(a_stream_can_be_opened_again_and_has_nothing_of_before),
          TEST(connections_go_on_when_their_server_is_closed),
          TEST(connections_that_came_before_are_accepted_in_their_order),
          TEST(reading_while_another_reads_is_an_error),
          TEST(accepting_while_another_accepts_is_an_error),
          TEST(closing_tells_all_who_read_write_or_shut_down),
          TEST(closing_tells_who_connects), TEST(closing_tells_who_accepts),
          TEST(a_connection_nobody_has_accepted_goes_with_its_server),
          TEST(several_may_close_it_and_the_first_may_free_it),
          TEST(a_read_can_be_cancelled_and_the_next_one_goes_on),
          TEST(a_read_cancelled_after_its_data_came_leaves_it),
          TEST(a_read_cancelled_after_the_end_came_leaves_it),
          TEST(a_cancelled_read_keeps_nothing_for_a_stream_that_is_closed),
          TEST(what_a_cancelled_read_has_kept_goes_with_the_stream),
          TEST(a_read_that_cannot_keep_its_data_fails_the_next),
          TEST(cancelling_a_write_that_waits_closes_the_stream),
          TEST(cancelling_a_write_that_is_out_leaves_the_stream_open),
          TEST(cancelling_a_shutdown_closes_the_stream),
          TEST(a_cancelled_close_closes_and_then_raises),
          TEST(a_cancelled_connect_leaves_the_stream_closed),
          TEST(a_connect_cancelled_when_it_is_through_is_closed_too),
          TEST(a_connect_cancelled_twice_is_closed_before_it_raises),
          TEST(a_cancelled_accept_leaves_the_server_as_it_was),
          TEST(an_accept_cancelled_after_a_connection_came_leaves_it),
          TEST(a_read_that_never_comes_times_out_and_nothing_is_lost),
          TEST(connecting_accepting_and_writing_can_time_out),
          TEST(reading_and_writing_allocate_nothing),
          TEST(a_reset_is_an_error_of_every_read_and_write_from_then_on),
          TEST(a_reset_fails_all_writes_that_wait),
          TEST(writing_to_a_peer_that_has_gone_is_an_error_and_no_signal),
          TEST(a_connection_reset_before_it_is_accepted_does_no_harm),
          TEST(without_descriptors_connecting_and_listening_are_errors),
          TEST(a_server_that_had_no_descriptors_for_a_while_goes_on),
          TEST(a_stream_belongs_to_the_loop_on_which_it_was_opened),
          TEST(without_a_task_nothing_can_be_awaited),
          TEST(on_a_loop_that_is_not_libuvs_nothing_can_be_opened),
          TEST(a_stream_left_open_is_closed_with_its_loop),
          TEST(on_a_borrowed_loop_it_is_closed_when_that_has_run),
          TEST(a_task_that_is_dropped_has_its_streams_closed_first),
          TEST(so_it_is_on_a_borrowed_loop),
          TEST(servers_that_say_so_share_a_port),
          TEST(one_that_does_not_say_so_is_alone),
          TEST(without_a_socket_no_port_is_shared))
