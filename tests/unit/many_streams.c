/* link: -luv */
/* Many connections that have data at the same time: who was woken first runs
 * before all has been read. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/group.h"
#include "../../async/uv/streams.h"

#include "io.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

enum { MANY = 48 };

/* How many bytes wait in a socket. */
static int unread(int fd)
{
    int bytes = 0;
    assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
    return bytes;
}

/* --- helpers ------------------------------------------------------------- */

/* The connections, and who reads from each of them one byte.  When all wait,
 * all have something. */
struct many {
    ASYNC_FRAME;
    int by_reader;
    /* What each does when it has its byte. */
    void (*then)(struct many *self, int number);
    int fds[MANY][2], i, done;
    async_connection connections[MANY];
    async_task *tasks[MANY];
    async_task_group group;
    async_stream *closing; /* which the first closes then, if any */
};

struct reads_one {
    ASYNC_FRAME;
    struct many *of;
    int number;
    async_connection *from;
    char byte;
    async_bytes bytes;
    size_t n;
    int error;
};
static ASYNC(reads_one)
{
    ASYNC_BEGIN(reads_one);
    self->from = &self->of->connections[self->number];
    ASYNC_TRY {
        if (self->of->by_reader) {
            AWAIT_INTO(self->bytes, async_stream_reader_read,
                       &self->from->reader, 1);
            if (self->bytes.size == 1)
                self->byte = self->bytes.data[0];
            else
                self->error = ASYNC_ECLOSED;
        } else {
            AWAIT_INTO(self->n, async_stream_read,
                       &self->from->transport.stream, &self->byte, 1);
            assert_int_equal(self->n, 1);
        }
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (self->error) {
        say("%d:%s", self->number, name_of(self->error));
    } else {
        assert_int_equal(self->byte, 'a' + self->number % 26);
        self->of->then(self->of, self->number);
        self->of->done++;
        if (self->of->closing != NULL && self->number == 0)
            AWAIT(async_stream_close, self->of->closing);
    }
    ASYNC_END;
}

static void send_to_all(struct many *self)
{
    char byte;
    int i;
    for (i = 0; i < MANY; i++) {
        byte = (char)('a' + i % 26);
        assert_int_equal(write(self->fds[i][1], &byte, 1), 1);
    }
}

static ASYNC(many)
{
    ASYNC_BEGIN(many);
    for (self->i = 0; self->i < MANY; self->i++) {
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_STREAM, 0, self->fds[self->i]), 0);
        AWAIT(async_pipe_open, &self->connections[self->i].transport.stream,
              self->fds[self->i][0]);
        if (self->by_reader)
            assert_int_equal(
                async_connection_start(&self->connections[self->i], 0), 0);
    }
    ASYNC_TASK_GROUP(&self->group) {
        for (self->i = 0; self->i < MANY; self->i++)
            self->tasks[self->i] =
                async_group_spawn(&self->group, CO(reads_one, self, self->i));
        AWAIT(async_sleep, 1);
        send_to_all(self);
    } ASYNC_END_TASK_GROUP
    for (self->i = 0; self->i < MANY; self->i++) {
        if (self->by_reader)
            AWAIT(async_connection_close, &self->connections[self->i]);
        else
            AWAIT(async_stream_close,
                  &self->connections[self->i].transport.stream);
        close(self->fds[self->i][1]);
    }
    ASYNC_END;
}

/* --- tests --------------------------------------------------------------- */

/* Runs it with both kinds of reading.  What a ring has at a time is the kernel's
 * to say: there a story only has to come to its end. */
static void run_both(void (*then)(struct many *self, int number),
                     const char *story)
{
    int by_reader;
    for (by_reader = 0; by_reader < 2; by_reader++) {
        run(CO(many, by_reader, then));
        if (ON_RING)
            unit_begin(NULL);
        else
            assert_said(story);
    }
}

static void the_first_looks_at_the_last(struct many *self, int number)
{
    if (number == 0) say("%d", unread(self->fds[MANY - 1][0]));
}
static void the_first_run_before_all_has_been_read(void **s)
{
    (void)s;
    run_both(the_first_looks_at_the_last, "1");
}

static void comes_in_its_turn(struct many *self, int number)
{
    assert_int_equal(number, self->done);
}
static void all_run_in_the_order_in_which_data_came(void **s)
{
    (void)s;
    run_both(comes_in_its_turn, "");
}

/* It is due when the data comes. */
static async_handle timer;
static int timer_runs(void *context)
{
    say("timer behind %d", ((struct many *)context)->done);
    return 0;
}
static void a_timer_is_armed(struct many *self, int number)
{
    if (number > 0) return;
    async_loop_call_later(async_get_running_loop(), &timer, 0, timer_runs,
                          self);
}
static void timers_run_behind_all_data(void **s)
{
    (void)s;
    run_both(a_timer_is_armed, "timer behind 48");
}

/* The first ends two whose data has not been read, and one whose data has. */
static void the_first_ends_others(struct many *self, int number)
{
    if (number > 0) return;
    async_task_cancel(self->tasks[5]);
    async_task_cancel(self->tasks[MANY - 2]);
    if (self->by_reader)
        async_transport_abort(&self->connections[MANY - 1].transport.base);
    else
        self->closing = &self->connections[MANY - 1].transport.stream;
}
static void one_may_cancel_others_and_close_what_they_read(void **s)
{
    (void)s;
    run_both(the_first_ends_others,
             "5:ASYNC_ECANCELED 46:ASYNC_ECANCELED 47:ASYNC_ECLOSED");
}

/* The loop stops behind all that came in the iteration, as in asyncio. */
static void the_first_stops_the_loop(struct many *self, int number)
{
    (void)self;
    if (number == 0) async_loop_stop(async_get_running_loop());
}
static void who_stops_the_loop_stops_it_behind_all_data(void **s)
{
    async_uv_loop loop;
    async_task *task;
    int by_reader;
    (void)s;
    for (by_reader = 0; by_reader < 2; by_reader++) {
        async_uv_loop_init(&loop, NULL, NULL);
        task = async_loop_create_task(
            &loop.base, CO(many, by_reader, the_first_stops_the_loop));
        assert_int_equal(async_loop_run_forever(&loop.base), 0);
        assert_false(async_task_done(task));
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, async_task_object(task)),
            0);
        async_task_release(task);
        assert_int_equal(async_loop_close(&loop.base), 0);
    }
}

/* The program's own callbacks of libuv are between the reads, so tasks are
 * not. */
static void on_a_loop_that_the_program_runs_all_is_read_first(void **s)
{
    async_uv_loop loop;
    async_task *task;
    uv_loop_t host;
    int by_reader;
    (void)s;
    uv_loop_init(&host);
    for (by_reader = 0; by_reader < 2; by_reader++) {
        async_uv_loop_init(&loop, &host, NULL);
        task = async_loop_create_task(
            &loop.base, CO(many, by_reader, the_first_looks_at_the_last));
        uv_run(&host, UV_RUN_DEFAULT);
        assert_true(async_task_done(task));
        async_task_release(task);
        assert_int_equal(async_loop_close(&loop.base), 0);
        uv_run(&host, UV_RUN_DEFAULT);
        assert_said("0");
    }
    assert_int_equal(uv_loop_close(&host), 0);
}

UNIT_MAIN(TEST(the_first_run_before_all_has_been_read),
          TEST(all_run_in_the_order_in_which_data_came),
          TEST(timers_run_behind_all_data),
          TEST(one_may_cancel_others_and_close_what_they_read),
          TEST(who_stops_the_loop_stops_it_behind_all_data),
          TEST(on_a_loop_that_the_program_runs_all_is_read_first))
