/* link: -luv */
/* Descriptors that are not streams: callbacks, and waiting. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/context.h"
#include "../../async/test/virtual.h"
#include "../../async/uv/pipe.h"
#include "../../async/uv/poll.h"

#include "io.h"

#include <sys/socket.h>

/* --- helpers ------------------------------------------------------------- */

/* Two ends of which each can be read from and written to. */
static void join(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}
static void part(const int ends[2])
{
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}
static void put(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}
static void fill(int fd)
{
    static const char much[65536];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, much, sizeof much) > 0) {}
}
static void drain(int fd)
{
    static char much[65536];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (read(fd, much, sizeof much) > 0) {}
}

/* A callback that reads a byte, or what its fields say. */
typedef struct watch {
    async_loop *loop;
    int fd;
    const char *name;
    int calls, removes, fails, idle;
    struct watch *other; /* whose callback it removes */
} watch;
static int on_readable(void *argument)
{
    watch *w = (watch *)argument;
    char byte = '-';
    ssize_t n = w->idle ? 0 : read(w->fd, &byte, 1);
    w->calls++;
    say("%s:%s%c", w->name,
        n < 0    ? "error"
        : n == 0 ? "end"
                 : "",
        n > 0 ? byte : '.');
    if (w->removes) say("%d", async_loop_remove_reader(w->loop, w->fd));
    if (w->other != NULL)
        say("%d", async_loop_remove_reader(w->loop, w->other->fd));
    return w->fails ? ASYNC_EINVAL : 0;
}
static int on_writable(void *argument)
{
    watch *w = (watch *)argument;
    w->calls++;
    say("%s:writable", w->name);
    if (w->removes) say("%d", async_loop_remove_writer(w->loop, w->fd));
    return 0;
}

/* Lets the loop turn so often, with a poll each. */
struct turn { ASYNC_FRAME; int times; };
static ASYNC(turn)
{
    ASYNC_BEGIN(turn);
    for (; self->times > 0; self->times--) AWAIT(async_sleep, ASYNC_US(200));
    ASYNC_END;
}

struct say_readable { ASYNC_FRAME; int fd; const char *word; int error; };
static ASYNC(say_readable)
{
    ASYNC_BEGIN(say_readable);
    ASYNC_TRY {
        AWAIT(async_poll_readable, self->fd);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("%s:%s", self->word != NULL ? self->word : "readable",
        name_of(self->error));
    ASYNC_END;
}
struct say_writable { ASYNC_FRAME; int fd; int error; };
static ASYNC(say_writable)
{
    ASYNC_BEGIN(say_writable);
    ASYNC_TRY {
        AWAIT(async_poll_writable, self->fd);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("writable:%s", name_of(self->error));
    ASYNC_END;
}

#define HANDLES (int)async_uv_loop_count_handles(async_loop_of(co))

/* --- callbacks ----------------------------------------------------------- */

struct level { ASYNC_FRAME; int ends[2]; watch w; };
static ASYNC(level)
{
    ASYNC_BEGIN(level);
    join(self->ends);
    self->w.loop = async_loop_of(co);
    self->w.fd = self->ends[0];
    self->w.name = "w";
    assert_int_equal(
        async_loop_add_reader(self->w.loop, self->w.fd, on_readable, &self->w),
        0);
    AWAIT(turn, 3);
    say("none");
    put(self->ends[1], "abc");
    AWAIT(turn, 6);
    close(self->ends[1]);
    self->w.removes = 1;
    AWAIT(turn, 3);
    say("%d", async_loop_remove_reader(self->w.loop, self->w.fd));
    close(self->ends[0]);
    ASYNC_END;
}

static void a_reader_is_called_as_long_as_there_is_something(void **s)
{
    (void)s;
    run(CO(level));
    assert_said("none w:a w:b w:c w:end. 1 0");
}

struct starve { ASYNC_FRAME; int ends[2], timers; watch w; };
static int on_tick(void *argument)
{
    ++*(int *)argument;
    return 0;
}
static ASYNC(starve)
{
    ASYNC_BEGIN(starve);
    join(self->ends);
    self->w.loop = async_loop_of(co);
    self->w.fd = self->ends[0];
    self->w.name = "w";
    self->w.idle = 1;
    put(self->ends[1], "x");
    async_loop_call_later(self->w.loop, NULL, ASYNC_MS(1), on_tick,
                          &self->timers);
    async_loop_add_reader(self->w.loop, self->w.fd, on_readable, &self->w);
    while (self->timers == 0 || self->w.calls < 3) AWAIT(async_sleep, 0);
    async_loop_remove_reader(self->w.loop, self->w.fd);
    part(self->ends);
    ASYNC_END;
}

static void one_that_does_not_read_keeps_nobody_from_running(void **s)
{
    (void)s;
    run(CO(starve));
    unit_begin(s);
}

struct replace { ASYNC_FRAME; int ends[2]; watch one, two; };
static ASYNC(replace)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(replace);
    join(self->ends);
    self->one.loop = self->two.loop = loop;
    self->one.fd = self->two.fd = self->ends[0];
    self->one.name = "one";
    self->two.name = "two";
    async_loop_add_reader(loop, self->ends[0], on_readable, &self->one);
    async_loop_add_reader(loop, self->ends[0], on_readable, &self->two);
    say("%d", HANDLES);
    put(self->ends[1], "x");
    AWAIT(turn, 2);
    say("%d", async_loop_remove_reader(async_loop_of(co), self->ends[0]));
    say("%d", async_loop_remove_reader(async_loop_of(co), self->ends[0]));
    say("%d", async_loop_remove_writer(async_loop_of(co), self->ends[0]));
    say("%d", HANDLES);
    part(self->ends);
    ASYNC_END;
}

static void adding_again_replaces_and_removing_tells(void **s)
{
    (void)s;
    run(CO(replace));
    assert_said("1 two:x 1 0 0 0");
}

struct drop_queued { ASYNC_FRAME; int a[2], b[2]; watch one, two; };
static ASYNC(drop_queued)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(drop_queued);
    join(self->a);
    join(self->b);
    self->one.loop = self->two.loop = loop;
    self->one.fd = self->a[0];
    self->two.fd = self->b[0];
    self->one.name = self->two.name = "one of them";
    self->one.other = &self->two;
    self->two.other = &self->one;
    async_loop_add_reader(loop, self->a[0], on_readable, &self->one);
    async_loop_add_reader(loop, self->b[0], on_readable, &self->two);
    put(self->a[1], "x");
    put(self->b[1], "x"); /* both are ready in one poll */
    AWAIT(turn, 4);
    say("%d", self->one.calls + self->two.calls);
    async_loop_remove_reader(async_loop_of(co), self->a[0]);
    async_loop_remove_reader(async_loop_of(co), self->b[0]);
    part(self->a);
    part(self->b);
    ASYNC_END;
}

static void removing_drops_a_call_that_is_queued(void **s)
{
    (void)s;
    run(CO(drop_queued));
    assert_said("one of them:x 1 1");
}

struct share { ASYNC_FRAME; int ends[2]; watch in, out; };
static ASYNC(share)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(share);
    join(self->ends);
    self->in.loop = self->out.loop = loop;
    self->in.fd = self->out.fd = self->ends[0];
    self->in.name = "in";
    self->out.name = "out";
    self->out.removes = 1;
    async_loop_add_reader(loop, self->ends[0], on_readable, &self->in);
    async_loop_add_writer(loop, self->ends[0], on_writable, &self->out);
    say("%d", HANDLES);
    AWAIT(turn, 3);
    put(self->ends[1], "x");
    AWAIT(turn, 3);
    async_loop_add_writer(async_loop_of(co), self->ends[0], on_writable,
                          &self->out);
    say("%d", async_loop_remove_reader(async_loop_of(co), self->ends[0]));
    AWAIT(turn, 3);
    say("%d", HANDLES);
    part(self->ends);
    ASYNC_END;
}

static void both_directions_share_a_handle(void **s)
{
    (void)s;
    run(CO(share));
    assert_said("1 out:writable 1 in:x 1 out:writable 1 0");
}

/* Closes the descriptor, whose number another one then has. */
struct reuse { ASYNC_FRAME; int ends[2], again[2]; watch w; };
static ASYNC(reuse)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(reuse);
    join(self->ends);
    self->w.loop = loop;
    self->w.fd = self->ends[0];
    self->w.name = "w";
    put(self->ends[1], "old");
    async_loop_add_reader(loop, self->w.fd, on_readable, &self->w);
    async_loop_remove_reader(loop, self->w.fd);
    part(self->ends);
    join(self->again);
    assert_int_equal(self->again[0], self->ends[0]);
    put(self->again[1], "n");
    async_loop_add_reader(loop, self->w.fd, on_readable, &self->w);
    say("%d", HANDLES);
    AWAIT(turn, 3);
    async_loop_remove_reader(async_loop_of(co), self->w.fd);
    part(self->again);
    ASYNC_END;
}

static void a_descriptor_can_be_closed_at_once_and_its_number_used(void **s)
{
    (void)s;
    run(CO(reuse));
    assert_said("1 w:n");
}

struct report { ASYNC_FRAME; int ends[2]; watch w; };
static ASYNC(report)
{
    ASYNC_BEGIN(report);
    join(self->ends);
    self->w.loop = async_loop_of(co);
    self->w.fd = self->ends[0];
    self->w.name = "w";
    self->w.fails = 1;
    put(self->ends[1], "xy");
    async_loop_add_reader(self->w.loop, self->w.fd, on_readable, &self->w);
    AWAIT(turn, 4);
    async_loop_remove_reader(async_loop_of(co), self->w.fd);
    part(self->ends);
    ASYNC_END;
}

static void an_error_of_a_callback_is_reported_and_it_stays(void **s)
{
    (void)s;
    run(CO(report));
    assert_said("w:x [Exception in callback: ASYNC_EINVAL] "
                "w:y [Exception in callback: ASYNC_EINVAL]");
}

static ASYNC_CONTEXTVAR(int) number = ASYNC_CONTEXTVAR_INIT("number", 0);
static int on_readable_count(void *argument)
{
    char byte;
    int n = ASYNC_CONTEXTVAR_GET(&number);
    assert_int_equal(read(*(int *)argument, &byte, 1), 1);
    say("%d", n);
    return ASYNC_CONTEXTVAR_SET(&number, n + 1);
}
static int on_readable_replace(void *argument)
{
    ASYNC_CONTEXTVAR_SET(&number, ASYNC_CONTEXTVAR_GET(&number) * 10);
    return async_loop_add_reader(async_get_running_loop(), *(int *)argument,
                                 on_readable_count, argument);
}
struct context { ASYNC_FRAME; int ends[2]; };
static ASYNC(context)
{
    ASYNC_BEGIN(context);
    join(self->ends);
    ASYNC_CONTEXTVAR_SET(&number, 7);
    async_loop_add_reader(async_loop_of(co), self->ends[0], on_readable_count,
                          &self->ends[0]);
    ASYNC_CONTEXTVAR_SET(&number, 100);
    put(self->ends[1], "xy");
    AWAIT(turn, 4);
    say("%d", ASYNC_CONTEXTVAR_GET(&number));
    async_loop_add_reader(async_loop_of(co), self->ends[0],
                          on_readable_replace, &self->ends[0]);
    put(self->ends[1], "z");
    AWAIT(turn, 4);
    async_loop_remove_reader(async_loop_of(co), self->ends[0]);
    part(self->ends);
    ASYNC_END;
}

static void a_callback_has_the_context_of_where_it_was_added(void **s)
{
    (void)s;
    run(CO(context));
    assert_said("7 8 100 1000");
}

struct broken { ASYNC_FRAME; int ends[2]; watch w; };
static ASYNC(broken)
{
    ASYNC_BEGIN(broken);
    assert_int_equal(pipe(self->ends), 0);
    close(self->ends[0]); /* an error on the other end */
    self->w.loop = async_loop_of(co);
    self->w.fd = self->ends[1];
    self->w.name = "w";
    async_loop_add_writer(self->w.loop, self->w.fd, on_writable, &self->w);
    AWAIT(turn, 4);
    assert_true(self->w.calls > 1); /* again and again */
    async_loop_remove_writer(async_loop_of(co), self->w.fd);
    AWAIT(say_writable, self->ends[1]);
    AWAIT(say_readable, self->ends[1]);
    close(self->ends[1]);
    ASYNC_END;
}

static void after_an_error_it_is_ready(void **s)
{
    char *story;
    (void)s;
    run(CO(broken));
    story = strstr(unit_said, " writable:");
    assert_non_null(story);
    assert_string_equal(story, " writable:ok readable:ok");
    unit_begin(s);
}

struct wrong { ASYNC_FRAME; int ends[2], fd, error; watch w; async_stream s; };
static ASYNC(wrong)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(wrong);
    join(self->ends);
    self->fd = open(__FILE__, O_RDONLY);
    assert_true(self->fd >= 0);
    say("%s",
        name_of(async_loop_add_reader(loop, self->fd, on_readable, &self->w)));
    SAY_AWAIT("file", async_poll_readable, self->fd);
    close(self->fd);
    loop = async_loop_of(co);
    say("%s",
        name_of(async_loop_add_writer(loop, self->fd, on_readable, &self->w)));
    SAY_AWAIT("closed", async_poll_writable, self->fd);
    loop = async_loop_of(co);
    say("%s", name_of(async_loop_add_reader(loop, self->ends[0], NULL, NULL)));
    /* a stream waits for it */
    AWAIT(async_pipe_open, &self->s, self->ends[0]);
    put(self->ends[1], "x");
    AWAIT(say_read, &self->s);
    loop = async_loop_of(co);
    say("%s", name_of(async_loop_add_reader(loop, self->ends[0], on_readable,
                                            &self->w)));
    SAY_AWAIT("stream", async_poll_writable, self->ends[0]);
    AWAIT(async_stream_close, &self->s);
    say("%d", HANDLES);
    close(self->ends[1]);
    ASYNC_END;
}

static void what_cannot_be_watched_is_an_error(void **s)
{
    (void)s;
    run(CO(wrong));
    assert_said("EPERM file:EPERM EBADF closed:EBADF ASYNC_EINVAL read:x "
                "EEXIST stream:EEXIST 0");
}

/* --- waiting ------------------------------------------------------------- */

struct wait_by_turns { ASYNC_FRAME; int ends[2]; async_task *task; };
static ASYNC(wait_by_turns)
{
    ASYNC_BEGIN(wait_by_turns);
    join(self->ends);
    self->task = async_create_task(CO(say_readable, self->ends[0]));
    AWAIT(turn, 3);
    say("waits");
    put(self->ends[1], "x");
    AWAIT_JOIN(self->task);
    say("%d", HANDLES);
    AWAIT(say_readable, self->ends[0]); /* it still is */
    AWAIT(say_writable, self->ends[0]);
    fill(self->ends[0]);
    self->task = async_create_task(CO(say_writable, self->ends[0]));
    AWAIT(turn, 3);
    say("waits");
    drain(self->ends[1]);
    AWAIT_JOIN(self->task);
    say("%d", HANDLES);
    drain(self->ends[0]);
    self->task = async_create_task(CO(say_readable, self->ends[0]));
    AWAIT(turn, 3);
    close(self->ends[1]); /* the end */
    AWAIT_JOIN(self->task);
    close(self->ends[0]);
    ASYNC_END;
}

static void a_task_waits_until_it_can_read_or_write(void **s)
{
    (void)s;
    run(CO(wait_by_turns));
    assert_said("waits readable:ok 0 readable:ok writable:ok waits "
                "writable:ok 0 readable:ok");
}

struct two_ways {
    ASYNC_FRAME;
    int ends[2], error;
    async_task *in, *out;
    watch w;
};
static ASYNC(two_ways)
{
    ASYNC_BEGIN(two_ways);
    join(self->ends);
    fill(self->ends[0]);
    self->in = async_create_task(CO(say_readable, self->ends[0]));
    self->out = async_create_task(CO(say_writable, self->ends[0]));
    AWAIT(turn, 2);
    say("%d", HANDLES);
    AWAIT(say_readable, self->ends[0], "second");
    AWAIT(say_writable, self->ends[0]);
    self->w.loop = async_loop_of(co);
    self->w.fd = self->ends[0];
    self->w.name = "w";
    say("%s", name_of(async_loop_add_reader(self->w.loop, self->w.fd,
                                            on_readable, &self->w)));
    say("%d", async_loop_remove_reader(self->w.loop, self->w.fd));
    put(self->ends[1], "x");
    AWAIT_JOIN(self->in);
    say("%d", HANDLES);
    async_loop_add_reader(async_loop_of(co), self->w.fd, on_readable,
                          &self->w);
    AWAIT(say_readable, self->ends[0], "beside a callback");
    drain(self->ends[1]);
    AWAIT_JOIN(self->out);
    say("%d", async_loop_remove_reader(async_loop_of(co), self->w.fd));
    part(self->ends);
    ASYNC_END;
}

static void one_task_waits_for_each_direction(void **s)
{
    (void)s;
    run(CO(two_ways));
    assert_said("1 second:ASYNC_EBUSY writable:ASYNC_EBUSY ASYNC_EBUSY 0 "
                "readable:ok 1 beside a callback:ASYNC_EBUSY w:x writable:ok "
                "1");
}

struct cancel { ASYNC_FRAME; int late, ends[2], error; async_task *in, *out; };
static ASYNC(cancel)
{
    ASYNC_BEGIN(cancel);
    join(self->ends);
    fill(self->ends[0]);
    self->in = async_create_task(CO(say_readable, self->ends[0]));
    self->out = async_create_task(CO(say_writable, self->ends[0]));
    AWAIT(until_waiting, self->out);
    if (self->late) {
        put(self->ends[1], "x");
        AWAIT(until_woken, self->in);
    }
    async_task_cancel(self->in);
    AWAIT_JOIN(self->in);
    say("%d", HANDLES); /* the other one's */
    async_task_cancel(self->out);
    AWAIT_JOIN(self->out);
    say("%d", HANDLES);
    if (!self->late) put(self->ends[1], "x");
    AWAIT(say_readable, self->ends[0]);
    part(self->ends);
    ASYNC_END;
}

static void a_cancelled_wait_leaves_nothing_behind(void **s)
{
    (void)s;
    run(CO(cancel));
    assert_said("readable:ASYNC_ECANCELED 1 writable:ASYNC_ECANCELED 0 "
                "readable:ok");
}

static void one_cancelled_when_it_is_ready_raises_and_nothing_is_lost(void **s)
{
    (void)s;
    run(CO(cancel, .late = 1));
    assert_said("readable:ASYNC_ECANCELED 1 writable:ASYNC_ECANCELED 0 "
                "readable:ok");
}

struct in_time { ASYNC_FRAME; int ends[2], error; };
static ASYNC(in_time)
{
    ASYNC_BEGIN(in_time);
    join(self->ends);
    SAY_AWAIT("wait", async_wait_for, CO(async_poll_readable, self->ends[0]),
              ASYNC_MS(1));
    say("%d", HANDLES);
    put(self->ends[1], "x");
    SAY_AWAIT("wait", async_wait_for, CO(async_poll_readable, self->ends[0]),
              ASYNC_SECONDS(1000));
    part(self->ends);
    ASYNC_END;
}

static void a_wait_can_time_out(void **s)
{
    (void)s;
    run(CO(in_time));
    assert_said("wait:ASYNC_ETIMEDOUT 0 wait:ok");
}

/* --- memory -------------------------------------------------------------- */

/* An allocator that can refuse what poll.h asks for. */
static enum { NOTHING, BLOCKS, TABLES } refuse;
static void *allocate(void *context, size_t size)
{
    if (refuse == (size == sizeof(async__poll) ? BLOCKS : TABLES)) return NULL;
    return counting_allocate(context, size);
}
static const async_allocator own_allocator = { allocate, counting_release,
                                               NULL };

static void run_with_own_allocator(async_object program)
{
    assert_int_equal(run_with(&own_allocator, program, 0, 0), 0);
}

struct no_memory { ASYNC_FRAME; int ends[2], error; watch w; };
static ASYNC(no_memory)
{
    ASYNC_BEGIN(no_memory);
    join(self->ends);
    self->w.loop = async_loop_of(co);
    self->w.fd = self->ends[0];
    refuse = BLOCKS;
    say("%s", name_of(async_loop_add_reader(self->w.loop, self->w.fd,
                                            on_readable, &self->w)));
    say("%d", async_loop_remove_reader(self->w.loop, self->w.fd));
    SAY_AWAIT("wait", async_poll_writable, self->ends[0]);
    refuse = NOTHING;
    SAY_AWAIT("wait", async_poll_writable, self->ends[0]);
    part(self->ends);
    ASYNC_END;
}

static void without_memory_nothing_is_watched(void **s)
{
    (void)s;
    run_with_own_allocator(CO(no_memory));
    assert_said("ASYNC_ENOMEM 0 wait:ASYNC_ENOMEM wait:ok");
}

/* So many that they do not fit the first table, nor, if there is memory, the
 * second. */
enum { MANY = 60 };
static int many[MANY][2], many_called[MANY];
static int on_one_of_many(void *called)
{
    char byte;
    int i = (int)((int *)called - many_called);
    many_called[i]++;
    return read(many[i][0], &byte, 1) == 1 ? 0 : ASYNC_EINVAL;
}
struct watch_many { ASYNC_FRAME; int refuse; };
static ASYNC(watch_many)
{
    async_loop *loop = async_loop_of(co);
    int i;
    ASYNC_BEGIN(watch_many);
    for (i = 0; i < MANY; i++) {
        join(many[i]);
        many_called[i] = 0;
        if (self->refuse) refuse = TABLES;
        assert_int_equal(async_loop_add_reader(loop, many[i][0],
                                               on_one_of_many,
                                               &many_called[i]),
                         0);
        refuse = NOTHING;
        put(many[i][1], "x");
    }
    assert_int_equal(async_uv_loop_count_handles(loop), MANY);
    AWAIT(turn, 3);
    for (i = 0; i < MANY; i++) {
        assert_int_equal(many_called[i], 1);
        assert_int_equal(
            async_loop_remove_reader(async_loop_of(co), many[i][0]), 1);
        assert_int_equal(
            async_loop_remove_reader(async_loop_of(co), many[i][0]), 0);
        part(many[i]);
    }
    ASYNC_END;
}

static void many_can_be_watched(void **s)
{
    (void)s;
    run_with_own_allocator(CO(watch_many));
    run_with_own_allocator(CO(watch_many, .refuse = 1));
}

/* --- loops --------------------------------------------------------------- */

static int standing[2];
struct leave { ASYNC_FRAME; watch *w; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    async_loop_add_reader(async_loop_of(co), standing[0], on_readable,
                          self->w);
    async_loop_add_writer(async_loop_of(co), standing[1], on_writable,
                          self->w);
    ASYNC_END;
}
/* Cannot be cancelled, so it is dropped. */
struct hang_on { ASYNC_FRAME; };
static ASYNC(hang_on)
{
    ASYNC_BEGIN(hang_on);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_FINALLY {
        AWAIT(async_poll_writable, standing[0]);
        AWAIT(async_poll_readable, standing[0]); /* which never comes */
    } ASYNC_END_TRY
    ASYNC_END;
}

static void close_with_a_loop(uv_loop_t *host)
{
    async_uv_loop *loop = malloc(sizeof *loop);
    watch w = { 0 };
    assert_non_null(loop);
    join(standing);
    async_uv_loop_init(loop, host, &own_allocator);
    async_loop_set_exception_handler(&loop->base, say_report, NULL);
    w.name = "w";
    w.removes = 1;
    w.loop = &loop->base;
    w.fd = standing[1];
    async_loop_run_until_complete(&loop->base, CO(leave, &w));
    assert_int_equal(async_uv_loop_count_handles(&loop->base), 2);
    assert_int_equal(async_loop_close(&loop->base), 0);
    assert_int_equal(
        async_loop_add_reader(&loop->base, standing[0], on_readable, &w),
        ASYNC_ELOOPCLOSED);
    assert_int_equal(async_loop_remove_reader(&loop->base, standing[0]), 0);
    free(loop);
    part(standing);
    unit_begin(NULL);
}

static void what_is_left_is_removed_with_the_loop(void **s)
{
    uv_loop_t host;
    (void)s;
    close_with_a_loop(NULL);
    assert_int_equal(memory.live, 0);
    uv_loop_init(&host);
    close_with_a_loop(&host);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&host), 0);
    assert_int_equal(memory.live, 0);
}

static void drop_one_that_waits(uv_loop_t *host)
{
    async_uv_loop loop;
    async_task *task;
    join(standing);
    async_uv_loop_init(&loop, host, &own_allocator);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    task = async_loop_create_task(&loop.base, CO(hang_on));
    async_task_release(task);
    async_loop_run_until_complete(&loop.base, CO(turn, 1));
    async_loop_close(&loop.base);
    part(standing);
    assert_said("[Task was destroyed but it is pending!]");
}

static void a_task_that_waits_for_ever_is_dropped_with_its_loop(void **s)
{
    uv_loop_t host;
    (void)s;
    drop_one_that_waits(NULL);
    uv_loop_init(&host);
    drop_one_that_waits(&host);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&host), 0);
    assert_int_equal(memory.live, 0);
}

static void on_a_borrowed_loop_a_callback_keeps_it_running(void **s)
{
    async_uv_loop loop;
    uv_loop_t host;
    watch w = { 0 };
    (void)s;
    join(standing);
    uv_loop_init(&host);
    async_uv_loop_init(&loop, &host, NULL);
    w.loop = &loop.base;
    w.fd = standing[0];
    w.name = "w";
    assert_int_equal(
        async_loop_add_reader(&loop.base, standing[0], on_readable, &w), 0);
    assert_int_not_equal(uv_run(&host, UV_RUN_NOWAIT), 0);
    put(standing[1], "ab");
    uv_run(&host, UV_RUN_ONCE);
    w.removes = 1;
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    async_loop_close(&loop.base);
    uv_run(&host, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&host), 0);
    part(standing);
    assert_said("w:a w:b 1");
}

struct elsewhere { ASYNC_FRAME; int error; };
static ASYNC(elsewhere)
{
    async_loop *loop = async_loop_of(co);
    ASYNC_BEGIN(elsewhere);
    say("%s", name_of(async_loop_add_reader(loop, 0, on_readable, NULL)));
    say("%d", async_loop_remove_reader(loop, 0));
    SAY_AWAIT("wait", async_poll_readable, 0);
    ASYNC_END;
}

static void on_a_loop_that_is_not_libuvs_nothing_can_be_watched(void **s)
{
    (void)s;
    assert_int_equal(async_virtual_run(CO(elsewhere)), 0);
    assert_said("ASYNC_EINVAL 0 wait:ASYNC_EINVAL");
}

struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    async one;
    int i;
    ASYNC_BEGIN(by_hand);
    for (i = 0; i < 2; i++) {
        async_new(&one, NULL,
                  i == 0 ? CO(async_poll_readable, 0)
                         : CO(async_poll_writable, 0));
        say("%s", name_of(async_send(&one)));
        async_close(&one);
    }
    ASYNC_END;
}

static void without_a_task_nothing_can_be_awaited(void **s)
{
    (void)s;
    run(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK");
}

UNIT_MAIN(TEST(a_reader_is_called_as_long_as_there_is_something),
          TEST(one_that_does_not_read_keeps_nobody_from_running),
          TEST(adding_again_replaces_and_removing_tells),
          TEST(removing_drops_a_call_that_is_queued),
          TEST(both_directions_share_a_handle),
          TEST(a_descriptor_can_be_closed_at_once_and_its_number_used),
          TEST(an_error_of_a_callback_is_reported_and_it_stays),
          TEST(a_callback_has_the_context_of_where_it_was_added),
          TEST(after_an_error_it_is_ready),
          TEST(what_cannot_be_watched_is_an_error),
          TEST(a_task_waits_until_it_can_read_or_write),
          TEST(one_task_waits_for_each_direction),
          TEST(a_cancelled_wait_leaves_nothing_behind),
          TEST(one_cancelled_when_it_is_ready_raises_and_nothing_is_lost),
          TEST(a_wait_can_time_out), TEST(without_memory_nothing_is_watched),
          TEST(many_can_be_watched),
          TEST(what_is_left_is_removed_with_the_loop),
          TEST(a_task_that_waits_for_ever_is_dropped_with_its_loop),
          TEST(on_a_borrowed_loop_a_callback_keeps_it_running),
          TEST(on_a_loop_that_is_not_libuvs_nothing_can_be_watched),
          TEST(without_a_task_nothing_can_be_awaited))
