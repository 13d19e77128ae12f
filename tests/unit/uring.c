/* link: -luv -luring -pthread */
/* What is io_uring's own: when there is a ring, its limits, its end, and what
 * it must not do to libuv.  What streams do at all, the tests of libuv's say,
 * which are compiled for a ring once more. */
#define _POSIX_C_SOURCE 200809L

#include <liburing.h>
#include <uv.h>

/* --- between the header and what it calls ---------------------------------- */

static int refuse_ring; /* the error; 0: none */
static int test_init(unsigned entries, struct io_uring *ring,
                     struct io_uring_params *parameters)
{
    if (refuse_ring) return refuse_ring;
    return io_uring_queue_init_params(entries, ring, parameters);
}
static int sends, uv_turns, calls;
static void test_send(struct io_uring_sqe *entry, int fd, const void *data,
                      size_t size, int flags)
{
    sends++;
    io_uring_prep_send(entry, fd, data, size, flags);
}
static int test_run(uv_loop_t *loop, uv_run_mode mode)
{
    uv_turns++;
    return uv_run(loop, mode);
}
static int test_wait(struct io_uring *ring, struct io_uring_cqe **first,
                     unsigned count, struct __kernel_timespec *limit,
                     sigset_t *mask)
{
    calls++;
    return io_uring_submit_and_wait_timeout(ring, first, count, limit, mask);
}
#define io_uring_queue_init_params test_init
#define io_uring_prep_send test_send
#define io_uring_submit_and_wait_timeout test_wait
#define uv_run test_run

/* So small that everything is exhausted soon. */
#define ASYNC__RING_ENTRIES 8
#define ASYNC__RING_COMPLETIONS 16
#define ASYNC__RING_BUFFERS 4
#define ASYNC__RING_MOST_BUFFERS 16

#define ASYNC_IMPLEMENTATION
#include "../../async/uring/loop.h"
#include "../../async/uv/pipe.h"
#include "../../async/uv/streams.h"

#include "io.h"
#include "sockets.h"

#include <pthread.h>

/* --- helpers --------------------------------------------------------------- */

/* Both ends here. */
struct pair { ASYNC_FRAME; async_connection *one, *other; };
static ASYNC(pair)
{
    ASYNC_BEGIN(pair);
    AWAIT(async_pipe_pair, &self->one->transport.stream,
          &self->other->transport.stream);
    assert_int_equal(async_connection_start(self->one, 0), 0);
    assert_int_equal(async_connection_start(self->other, 0), 0);
    ASYNC_END;
}

static void on(void)
{
    assert_int_equal(async_uring_enable(), 0);
}

/* A stream and the plain socket at its other end. */
struct meet { ASYNC_FRAME; async_stream *stream; int *fd; int ends[2]; };
static ASYNC(meet)
{
    ASYNC_BEGIN(meet);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, self->ends), 0);
    *self->fd = self->ends[1];
    AWAIT(async_pipe_open, self->stream, self->ends[0]);
    ASYNC_END;
}

static char piece[300000], copy[sizeof piece];
static char byte_at(size_t i)
{
    return (char)(i * 7 + i / 251);
}
static void fill_piece(void)
{
    size_t i;
    for (i = 0; i < sizeof piece; i++) piece[i] = byte_at(i);
}

/* --- when there is one ----------------------------------------------------- */

struct is_on { ASYNC_FRAME; async_connection one, other; };
static ASYNC(is_on)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(is_on);
    AWAIT(pair, &self->one, &self->other);
    async_stream_writer_write(&self->one.writer, "hello", 5);
    AWAIT(async_stream_reader_read, &self->other.reader, 5);
    loop = async_loop_of(co);
    say(async_uring_is_on(loop) ? "ring" : "libuv");
    say(self->one.transport.stream.socket != NULL ? "carried" : "not carried");
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void a_loop_has_a_ring_if_that_was_on_when_it_was_made(void **s)
{
    (void)s;
    run(CO(is_on));
    on();
    run(CO(is_on));
    async_uring_disable();
    run(CO(is_on));
    assert_said("libuv not carried ring carried libuv not carried");
}

static void the_environment_may_say_no(void **s)
{
    (void)s;
    setenv("CAESURA_URING", "0", 1);
    say("%d", async_uring_enable() == UV_ENOTSUP);
    run(CO(is_on));
    setenv("CAESURA_URING", "1", 1);
    say("%d", async_uring_enable() == 0);
    unsetenv("CAESURA_URING");
    run(CO(is_on));
    async_uring_disable();
    assert_said("1 libuv not carried 1 ring carried");
}

static void a_kernel_that_gives_none_leaves_all_to_libuv(void **s)
{
    (void)s;
    refuse_ring = -ENOSYS;
    say("%s", name_of(async_uring_enable()));
    run(CO(is_on));
    refuse_ring = 0;
    on();
    refuse_ring = -EPERM; /* from the first stream on */
    run(CO(is_on));
    refuse_ring = 0;
    run(CO(is_on));
    async_uring_disable();
    assert_said("ENOSYS libuv not carried libuv not carried ring carried");
}

/* --- its limits ------------------------------------------------------------ */

enum { MANY = 60 };
struct crowd {
    ASYNC_FRAME;
    async_stream streams[MANY];
    int fds[MANY], i, wrong;
    async_task *tasks[MANY];
    size_t n;
    char byte;
    char bytes[2];
};
struct write_one { ASYNC_FRAME; async_stream *stream; char byte; };
static ASYNC(write_one)
{
    ASYNC_BEGIN(write_one);
    AWAIT(async_stream_write, self->stream, &self->byte, 1);
    ASYNC_END;
}
struct read_one { ASYNC_FRAME; async_stream *stream; char byte, got; };
static ASYNC(read_one)
{
    size_t n;
    ASYNC_BEGIN(read_one);
    AWAIT_INTO(n, async_stream_read, self->stream, &self->got, 1);
    assert_int_equal(n, 1);
    assert_int_equal(self->got, self->byte);
    ASYNC_END;
}
static ASYNC(crowd)
{
    ASYNC_BEGIN(crowd);
    for (self->i = 0; self->i < MANY; self->i++)
        AWAIT(meet, &self->streams[self->i], &self->fds[self->i]);
    /* All at once, to write and to read: more than there are entries,
     * completions and buffers. */
    for (self->i = 0; self->i < MANY; self->i++)
        self->tasks[self->i] = async_create_task(
            CO(write_one, &self->streams[self->i], (char)self->i));
    for (self->i = 0; self->i < MANY; self->i++)
        AWAIT_JOIN(self->tasks[self->i]);
    for (self->i = 0; self->i < MANY; self->i++) {
        assert_int_equal(read(self->fds[self->i], &self->byte, 1), 1);
        self->wrong += self->byte != (char)self->i;
        self->tasks[self->i] = async_create_task(
            CO(read_one, &self->streams[self->i], (char)(self->i + 1)));
    }
    AWAIT(async_sleep, ASYNC_MS(2)); /* all wait */
    for (self->i = 0; self->i < MANY; self->i++) {
        self->byte = (char)(self->i + 1);
        assert_int_equal(write(self->fds[self->i], &self->byte, 1), 1);
    }
    for (self->i = 0; self->i < MANY; self->i++)
        AWAIT_JOIN(self->tasks[self->i]);
    say("wrong:%d", self->wrong);
    for (self->i = 0; self->i < MANY; self->i++) {
        AWAIT(async_stream_close, &self->streams[self->i]);
        close(self->fds[self->i]);
    }
    ASYNC_END;
}
static void
more_at_once_than_there_are_entries_completions_or_buffers(void **s)
{
    (void)s;
    on();
    run(CO(crowd));
    async_uring_disable();
    assert_said("wrong:0");
}

/* Connections that hold what has come, because nobody reads, do not keep
 * others from reading. */
struct hoard {
    ASYNC_FRAME;
    async_stream streams[MANY];
    int fds[MANY], i;
    size_t n;
    char text[8];
};
static ASYNC(hoard)
{
    ASYNC_BEGIN(hoard);
    for (self->i = 0; self->i < MANY; self->i++) {
        AWAIT(meet, &self->streams[self->i], &self->fds[self->i]);
        raw_send(self->fds[self->i], "a");
        /* reading is switched on by this, and stays so */
        AWAIT_INTO(self->n, async_stream_read, &self->streams[self->i],
                   self->text, 8);
        raw_send(self->fds[self->i], "bcd");
    }
    AWAIT(async_sleep, ASYNC_MS(2));
    for (self->i = 0; self->i < MANY; self->i++) {
        AWAIT_INTO(self->n, async_stream_read, &self->streams[self->i],
                   self->text, 2);
        if (self->n != 2 || memcmp(self->text, "bc", 2) != 0) say("wrong");
        AWAIT_INTO(self->n, async_stream_read, &self->streams[self->i],
                   self->text, 2);
        if (self->n != 1 || memcmp(self->text, "d", 1) != 0) say("wrong");
        AWAIT(async_stream_close, &self->streams[self->i]);
        close(self->fds[self->i]);
    }
    say("all");
    ASYNC_END;
}
static void what_nobody_reads_keeps_no_buffer_from_others(void **s)
{
    (void)s;
    on();
    run(CO(hoard));
    async_uring_disable();
    assert_said("all");
}

/* --- flow ------------------------------------------------------------------ */

struct keeper { async_protocol protocol; size_t got; };
static int keep(async_protocol *protocol, const void *data, size_t size)
{
    (void)data;
    ((struct keeper *)(void *)protocol)->got += size;
    return 0;
}
static int gone;
static void lost(async_protocol *protocol, int error)
{
    (void)protocol;
    gone = 1;
    say("lost:%s", name_of(error));
}
static const async_protocol_callbacks keeping = { NULL, keep, NULL, lost,
                                                  NULL, NULL, NULL, NULL };
struct paused {
    ASYNC_FRAME;
    struct keeper keeper;
    async_uv_transport transport;
    int fd, i;
    size_t sent, before;
    long held;
};
static size_t send_all_it_takes(int fd)
{
    size_t sent = 0;
    ssize_t n;
    while ((n = send(fd, piece, 1000, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        sent += (size_t)n;
    return sent;
}
static ASYNC(paused)
{
    ASYNC_BEGIN(paused);
    gone = 0;
    AWAIT(meet, &self->transport.stream, &self->fd);
    self->keeper.protocol.callbacks = &keeping;
    async_uv_transport_start(&self->transport, &self->keeper.protocol);
    raw_send(self->fd, "begin");
    AWAIT(async_sleep, ASYNC_MS(2));
    async_transport_pause_reading(&self->transport.base);
    self->before = self->keeper.got;
    /* What is received all the same ends soon, and then the peer is stuck. */
    for (self->i = 0; self->i < 20; self->i++) {
        self->sent += send_all_it_takes(self->fd);
        AWAIT(async_sleep, ASYNC_MS(1));
    }
    say("%d", send_all_it_takes(self->fd) == 0);
    say("%d", self->keeper.got == self->before);
    async_transport_resume_reading(&self->transport.base);
    while (self->keeper.got < self->sent + 5) AWAIT(async_sleep, ASYNC_MS(1));
    say("%d", self->keeper.got == self->sent + 5);
    async_transport_close(&self->transport.base);
    while (!gone) AWAIT(async_sleep, 0);
    close(self->fd);
    ASYNC_END;
}
static void who_pauses_holds_the_peer_back_and_loses_nothing(void **s)
{
    (void)s;
    on();
    run(CO(paused));
    async_uring_disable();
    assert_said("1 1 1 lost:ok");
}

/* From small to large and back, in both directions. */
struct echo_back { ASYNC_FRAME; async_stream *stream; size_t n; };
static ASYNC(echo_back)
{
    ASYNC_BEGIN(echo_back);
    for (;;) {
        AWAIT_INTO(self->n, async_stream_read, self->stream, copy,
                   sizeof copy);
        if (self->n == 0) break;
        AWAIT(async_stream_write, self->stream, copy, self->n);
    }
    AWAIT(async_stream_close, self->stream);
    ASYNC_END;
}
struct sizes {
    ASYNC_FRAME;
    async_stream one, other;
    async_task *task;
    size_t n, got, size;
    int i, wrong;
    char *back;
};
static ASYNC(sizes)
{
    static const size_t of[] = { 1, 64, 5000, 16384, 60000, 3, 50000 };
    static char back[sizeof piece];
    ASYNC_BEGIN(sizes);
    fill_piece();
    AWAIT(async_pipe_pair, &self->one, &self->other);
    self->task = async_create_task(CO(echo_back, &self->other));
    for (self->i = 0; self->i < 7 * 30; self->i++) {
        /* runs of each, so that it gets used to them */
        self->size = of[self->i / 30];
        AWAIT(async_stream_write, &self->one, piece, self->size);
        for (self->got = 0; self->got < self->size; self->got += self->n)
            AWAIT_INTO(self->n, async_stream_read, &self->one,
                       back + self->got, self->size - self->got);
        self->wrong += memcmp(back, piece, self->size) != 0;
    }
    say("wrong:%d", self->wrong);
    AWAIT(async_stream_close, &self->one);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void messages_of_all_sizes_come_whole(void **s)
{
    (void)s;
    on();
    run(CO(sizes));
    async_uring_disable();
    assert_said("wrong:0");
}

/* --- few calls ------------------------------------------------------------- */

struct together { ASYNC_FRAME; async_connection one, other; async_bytes all; };
static ASYNC(together)
{
    ASYNC_BEGIN(together);
    AWAIT(pair, &self->one, &self->other);
    AWAIT(async_sleep, ASYNC_MS(1));
    sends = 0;
    async_stream_writer_write(&self->one.writer, "a", 1);
    async_stream_writer_write(&self->one.writer, "b", 1);
    async_stream_writer_write(&self->one.writer, "c", 1);
    AWAIT_INTO(self->all, async_stream_reader_readexactly, &self->other.reader,
               3);
    say("%.3s %d", self->all.data, sends);
    AWAIT(async_connection_close, &self->one);
    AWAIT(async_connection_close, &self->other);
    ASYNC_END;
}
static void what_is_written_in_an_iteration_goes_out_as_one(void **s)
{
    (void)s;
    on();
    run(CO(together));
    async_uring_disable();
    assert_said("abc 1");
}

struct sockets_alone {
    ASYNC_FRAME;
    async_stream one, other;
    async_task *task;
    size_t n;
    int i;
    char byte;
};
static ASYNC(sockets_alone)
{
    ASYNC_BEGIN(sockets_alone);
    AWAIT(async_pipe_pair, &self->one, &self->other);
    self->task = async_create_task(CO(echo_back, &self->other));
    for (self->i = 0; self->i < 110; self->i++) {
        if (self->i == 10) uv_turns = calls = 0;
        AWAIT(async_stream_write, &self->one, "x", 1);
        AWAIT_INTO(self->n, async_stream_read, &self->one, &self->byte, 1);
    }
    say("libuv:%d", uv_turns);
    say("%s", calls <= 400 ? "few calls" : "many calls");
    AWAIT(async_stream_close, &self->one);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void sockets_alone_do_not_turn_libuvs_loop(void **s)
{
    (void)s;
    on();
    run(CO(sockets_alone));
    async_uring_disable();
    assert_said("libuv:0 few calls");
}

/* --- libuv below ----------------------------------------------------------- */

static void on_uv_timer(uv_timer_t *timer)
{
    say("timer");
    uv_close((uv_handle_t *)timer, NULL);
}
struct below {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    uv_timer_t timer;
    async_time began;
};
static ASYNC(below)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(below);
    AWAIT(meet, &self->stream, &self->fd);
    raw_send(self->fd, "x");
    AWAIT(say_read, &self->stream); /* there is a ring now */
    loop = async_loop_of(co);
    uv_timer_init(async_uv_loop_of(loop), &self->timer);
    uv_update_time(async_uv_loop_of(loop));
    uv_timer_start(&self->timer, on_uv_timer, 3, 0);
    AWAIT(async_sleep, ASYNC_MS(20));
    say("awake");
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    ASYNC_END;
}
static void timers_of_libuvs_go_on_while_the_ring_waits(void **s)
{
    (void)s;
    on();
    run(CO(below));
    async_uring_disable();
    assert_said("read:x timer awake");
}

/* --- its end --------------------------------------------------------------- */

struct in_flight {
    ASYNC_FRAME;
    async_stream stream;
    int fd;
    async_task *reader, *writer;
};
static ASYNC(in_flight)
{
    ASYNC_BEGIN(in_flight);
    AWAIT(meet, &self->stream, &self->fd);
    self->reader = async_create_task(CO(say_read, &self->stream));
    self->writer =
        async_create_task(CO(say_write, &self->stream, piece, sizeof piece));
    AWAIT(async_sleep, ASYNC_MS(2));
    say(async_task_done(self->writer) ? "out" : "stuck");
    AWAIT(async_stream_close, &self->stream);
    AWAIT_JOIN(self->reader);
    AWAIT_JOIN(self->writer);
    close(self->fd);
    ASYNC_END;
}
static void closing_waits_until_the_kernel_has_let_go(void **s)
{
    (void)s;
    on();
    run(CO(in_flight));
    async_uring_disable();
    assert_said("stuck read:ASYNC_ECLOSED write:ASYNC_ECLOSED");
}

/* Whoever is still at it when the loop is closed. */
static async_stream left_stream;
static int left_fd;
struct leave { ASYNC_FRAME; int unused; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    memset(&left_stream, 0, sizeof left_stream);
    AWAIT(meet, &left_stream, &left_fd);
    async_task_release(async_create_task(CO(say_read, &left_stream)));
    async_task_release(
        async_create_task(CO(say_write, &left_stream, piece, sizeof piece)));
    AWAIT(async_sleep, ASYNC_MS(2));
    ASYNC_END;
}
static void closing_the_loop_leaves_nothing_of_what_is_in_flight(void **s)
{
    async_uv_loop loop;
    int open = descriptors();
    (void)s;
    on();
    memory_begin();
    assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator), 0);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(leave)), 0);
    async_loop_close(&loop.base);
    async_uring_disable();
    close(left_fd);
    assert_int_equal(memory.live, 0);
    assert_int_equal(descriptors(), open);
    unit_begin(s); /* who was told what is the business of other tests */
}

/* --- threads --------------------------------------------------------------- */

/* A ring serves one thread: a loop that goes on in another one has another. */
static async_stream moved_stream;
static int moved_fd;
static async_uv_loop moved_loop;
struct before_the_move { ASYNC_FRAME; async_task *writer; };
static async_task *moved_writer;
static ASYNC(before_the_move)
{
    ASYNC_BEGIN(before_the_move);
    AWAIT(meet, &moved_stream, &moved_fd);
    raw_send(moved_fd, "here");
    AWAIT(say_read, &moved_stream); /* reading stays on */
    moved_writer =
        async_create_task(CO(say_write, &moved_stream, piece, sizeof piece));
    AWAIT(async_sleep, ASYNC_MS(2));
    ASYNC_END;
}
struct behind_the_move { ASYNC_FRAME; size_t got; ssize_t n; int wrong; };
static ASYNC(behind_the_move)
{
    ASYNC_BEGIN(behind_the_move);
    raw_send(moved_fd, "there");
    AWAIT(say_read, &moved_stream);
    while (self->got < sizeof piece) {
        self->n = recv(moved_fd, copy + self->got, sizeof copy - self->got,
                       MSG_DONTWAIT);
        if (self->n > 0) self->got += (size_t)self->n;
        AWAIT(async_sleep, 0);
    }
    AWAIT_JOIN(moved_writer);
    say("%d", memcmp(copy, piece, sizeof piece) == 0);
    AWAIT(async_stream_close, &moved_stream);
    ASYNC_END;
}
static void *other_thread(void *unused)
{
    (void)unused;
    assert_int_equal(
        async_loop_run_until_complete(&moved_loop.base, CO(behind_the_move)),
        0);
    return NULL;
}
static void a_loop_may_go_on_in_another_thread(void **s)
{
    pthread_t thread;
    int open = descriptors();
    (void)s;
    on();
    fill_piece();
    memset(&moved_stream, 0, sizeof moved_stream);
    memory_begin();
    assert_int_equal(
        async_uv_loop_init(&moved_loop, NULL, &counting_allocator), 0);
    assert_int_equal(
        async_loop_run_until_complete(&moved_loop.base, CO(before_the_move)),
        0);
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, NULL);
    async_loop_close(&moved_loop.base);
    async_uring_disable();
    close(moved_fd);
    assert_int_equal(memory.live, 0);
    assert_int_equal(descriptors(), open);
    assert_said("read:here read:there write:ok 1");
}

/* And it may be closed there, with all that is open. */
static void *close_elsewhere(void *loop)
{
    async_loop_close((async_loop *)loop);
    return NULL;
}
static void a_loop_may_be_closed_in_another_thread(void **s)
{
    pthread_t thread;
    (void)s;
    on();
    memset(&moved_stream, 0, sizeof moved_stream);
    memory_begin();
    assert_int_equal(
        async_uv_loop_init(&moved_loop, NULL, &counting_allocator), 0);
    assert_int_equal(
        async_loop_run_until_complete(&moved_loop.base, CO(before_the_move)),
        0);
    async_task_release(moved_writer);
    assert_int_equal(
        pthread_create(&thread, NULL, close_elsewhere, &moved_loop), 0);
    pthread_join(thread, NULL);
    async_uring_disable();
    close(moved_fd);
    assert_int_equal(memory.live, 0);
    unit_begin(s);
}

/* --- memory ---------------------------------------------------------------- */

/* Whatever cannot be had, an error says so, and nothing is left. */
struct short_of_memory {
    ASYNC_FRAME;
    async_server server;
    async_connection client;
    async_bytes line;
    int error;
    async_timeout limit;
};
struct answer { ASYNC_FRAME; async_connection *client; async_bytes line; };
static ASYNC(answer)
{
    ASYNC_BEGIN(answer);
    AWAIT_INTO(self->line, async_stream_reader_readline,
               &self->client->reader);
    async_stream_writer_write(&self->client->writer, self->line.data,
                              self->line.size);
    ASYNC_END;
}
static ASYNC(short_of_memory)
{
    ASYNC_BEGIN(short_of_memory);
    ASYNC_TRY {
        AWAIT(async_start_server, &self->server, ASYNC_CLIENT_HANDLER(answer),
              "127.0.0.1", 0);
        AWAIT(async_open_connection, &self->client, "127.0.0.1",
              async_server_port(&self->server));
        self->error =
            async_stream_writer_write(&self->client.writer, "line\n", 5);
        if (self->error) ASYNC_RAISE(self->error);
        ASYNC_TIMEOUT(&self->limit, ASYNC_MS(50)) {
            AWAIT_INTO(self->line, async_stream_reader_readline,
                       &self->client.reader);
        } ASYNC_END_TIMEOUT
    } ASYNC_FINALLY {
        async_server_abort_clients(&self->server);
        AWAIT(async_connection_close, &self->client);
        async_server_close(&self->server);
        AWAIT(async_server_wait_closed, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void without_memory_nothing_is_left(void **s)
{
    long at;
    int failed = 0;
    (void)s;
    on();
    for (at = 0; at < 100; at++) {
        (void)run_refusing(CO(short_of_memory), at, 1);
        if (memory.refused == 0) break;
        failed++;
        unit_begin(s);
    }
    async_uring_disable();
    unit_begin(s);
    assert_true(failed > 5 && at < 100);
}

static int is_there(void)
{
    return async_uring_enable() == 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_loop_has_a_ring_if_that_was_on_when_it_was_made),
        TEST(the_environment_may_say_no),
        TEST(a_kernel_that_gives_none_leaves_all_to_libuv),
        TEST(more_at_once_than_there_are_entries_completions_or_buffers),
        TEST(what_nobody_reads_keeps_no_buffer_from_others),
        TEST(who_pauses_holds_the_peer_back_and_loses_nothing),
        TEST(messages_of_all_sizes_come_whole),
        TEST(what_is_written_in_an_iteration_goes_out_as_one),
        TEST(sockets_alone_do_not_turn_libuvs_loop),
        TEST(timers_of_libuvs_go_on_while_the_ring_waits),
        TEST(closing_waits_until_the_kernel_has_let_go),
        TEST(closing_the_loop_leaves_nothing_of_what_is_in_flight),
        TEST(a_loop_may_go_on_in_another_thread),
        TEST(a_loop_may_be_closed_in_another_thread),
        TEST(without_memory_nothing_is_left)
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    if (!is_there()) {
        printf("skip: the kernel gives no ring\n");
        return 0;
    }
    async_uring_disable();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
