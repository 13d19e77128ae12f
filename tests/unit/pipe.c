/* link: -luv */
/* Unix sockets, pairs, pipes that were opened elsewhere; what goes wrong. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/pipe.h"
#include "../../async/uv/tcp.h"

#include "io.h"

/* --- helpers ------------------------------------------------------------- */

/* A folder of the test's own, and a path in it. */
static char folder[80], path[100];
static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/caesura.XXXXXX",
             parent != NULL && strlen(parent) < 50 ? parent : P_tmpdir);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
}
/* In which nothing must be left. */
static void remove_folder(void)
{
    assert_int_equal(rmdir(folder), 0);
}

static int is_there(const char *name)
{
    struct stat there;
    return stat(name, &there) == 0;
}

/* Runs it with such a folder. */
static void run_in_folder(async_object program)
{
    make_folder();
    run(program);
    remove_folder();
}

/* Plain sockets. */
static int raw_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    return fd;
}
static const struct sockaddr *at(struct sockaddr_un *address)
{
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    return (const struct sockaddr *)address;
}
static int raw_bind(void)
{
    struct sockaddr_un here;
    int fd = raw_socket();
    assert_int_equal(bind(fd, at(&here), sizeof here), 0);
    return fd;
}
static int raw_connect(void)
{
    struct sockaddr_un there;
    int fd = raw_socket();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (connect(fd, at(&there), sizeof there) == 0) return fd;
    close(fd);
    return -1;
}
static void raw_send(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

struct say_connect { ASYNC_FRAME; async_stream *stream; int error; };
static ASYNC(say_connect)
{
    ASYNC_BEGIN(say_connect);
    ASYNC_TRY {
        AWAIT(async_pipe_connect, self->stream, path);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("connect:%s", name_of(self->error));
    ASYNC_END;
}

/* --- Unix sockets -------------------------------------------------------- */

struct meet {
    ASYNC_FRAME;
    async_listener listener;
    async_stream one, other;
    char name[100];
};
static ASYNC(meet)
{
    ASYNC_BEGIN(meet);
    AWAIT(async_pipe_listen, &self->listener, path);
    say("%d", is_there(path));
    AWAIT(async_pipe_connect, &self->one, path);
    AWAIT(async_listener_accept, &self->listener, &self->other);
    AWAIT(say_write, &self->one, "hello");
    AWAIT(say_read, &self->other);
    AWAIT(say_write, &self->other, "world");
    AWAIT(say_read, &self->one);
    assert_int_equal(
        async_stream_peername(&self->one, self->name, sizeof self->name), 0);
    assert_string_equal(self->name, path);
    assert_int_equal(
        async_stream_sockname(&self->other, self->name, sizeof self->name), 0);
    assert_string_equal(self->name, path);
    assert_int_equal(
        async_stream_peername(&self->other, self->name, sizeof self->name), 0);
    assert_string_equal(self->name, "");
    assert_int_equal(
        async_stream_sockname(&self->other, self->name, strlen(path)),
        UV_ENOBUFS);
    assert_int_equal(async_stream_sockname(&self->other, self->name, 0),
                     UV_ENOBUFS);
    assert_int_equal(async_tcp_port(&self->listener), 0);
    assert_int_equal(async_tcp_nodelay(&self->one, 1), ASYNC_EINVAL);
    AWAIT(async_listener_close, &self->listener);
    say("%d", is_there(path));
    AWAIT(say_write, &self->one, "still");
    AWAIT(async_stream_close, &self->one);
    AWAIT(say_read, &self->other);
    AWAIT(say_read, &self->other);
    AWAIT(async_stream_close, &self->other);
    assert_int_equal(
        async_stream_peername(&self->one, self->name, sizeof self->name),
        ASYNC_ECLOSED);
    ASYNC_END;
}

static void a_unix_socket_is_there_until_its_listener_is_closed(void **s)
{
    (void)s;
    run_in_folder(CO(meet));
    assert_said("1 write:ok read:hello write:ok read:world 0 write:ok "
                "read:still read:");
}

struct listen_again { ASYNC_FRAME; async_listener listener; int error; };
static ASYNC(listen_again)
{
    ASYNC_BEGIN(listen_again);
    close(raw_bind()); /* left behind */
    say("%d", is_there(path));
    SAY_AWAIT("listen", async_pipe_listen, &self->listener, path);
    SAY_AWAIT("again", async_pipe_listen, &self->listener, path);
    close(raw_connect());
    AWAIT(async_listener_close, &self->listener);
    ASYNC_END;
}

static void a_socket_that_was_left_behind_is_no_obstacle(void **s)
{
    (void)s;
    run_in_folder(CO(listen_again));
    assert_said("1 listen:ok again:ASYNC_EBUSY");
}

struct listen_once {
    ASYNC_FRAME;
    const char *name;
    async_listener l;
    int error;
};
static ASYNC(listen_once)
{
    ASYNC_BEGIN(listen_once);
    SAY_AWAIT("listen", async_pipe_listen, &self->l, self->name);
    assert_int_equal(async_stream_is_open(&self->l.stream), !self->error);
    AWAIT(async_listener_close, &self->l);
    ASYNC_END;
}
struct connect_once {
    ASYNC_FRAME;
    const char *name;
    async_stream s;
    int error;
};
static ASYNC(connect_once)
{
    ASYNC_BEGIN(connect_once);
    SAY_AWAIT("connect", async_pipe_connect, &self->s, self->name);
    assert_int_equal(async_stream_is_open(&self->s), !self->error);
    AWAIT(async_stream_close, &self->s);
    ASYNC_END;
}

static void a_file_of_that_name_is_an_error(void **s)
{
    (void)s;
    make_folder();
    close(open(path, O_CREAT | O_WRONLY, 0600));
    run(CO(listen_once, path));
    run(CO(connect_once, path));
    assert_true(is_there(path)); /* nobody has removed it */
    assert_int_equal(unlink(path), 0);
    remove_folder();
    assert_said("listen:EADDRINUSE connect:ECONNREFUSED");
}

static void a_path_that_is_too_long_is_an_error_and_not_cut_off(void **s)
{
    char name[sizeof((struct sockaddr_un *)0)->sun_path + 1];
    size_t longest = sizeof name - 2, length;
    (void)s;
    make_folder();
    length = strlen(folder);
    memset(name, 'x', sizeof name);
    memcpy(name, folder, length);
    name[length] = '/';
    name[longest] = '\0';
    run(CO(listen_once, name));
    name[longest] = 'x';
    name[longest + 1] = '\0';
    run(CO(listen_once, name));
    run(CO(connect_once, name));
    run(CO(listen_once, ""));
    run(CO(connect_once, ""));
    remove_folder();
    assert_said("listen:ok listen:ENAMETOOLONG connect:ENAMETOOLONG "
                "listen:ASYNC_EINVAL connect:ASYNC_EINVAL");
}

static void where_nobody_listens_connecting_is_an_error(void **s)
{
    (void)s;
    make_folder();
    run(CO(connect_once, path));
    close(raw_bind());
    run(CO(connect_once, path));
    assert_int_equal(unlink(path), 0);
    remove_folder();
    assert_said("connect:ENOENT connect:ECONNREFUSED");
}

static void without_permission_nothing_is_opened(void **s)
{
    uid_t user = geteuid();
    char nowhere[120];
    (void)s;
    make_folder();
    snprintf(nowhere, sizeof nowhere, "%s/none/socket", folder);
    run(CO(listen_once, nowhere));
    assert_int_equal(chmod(folder, 0), 0);
    if (user == 0) assert_int_equal(seteuid(65534), 0);
    run(CO(listen_once, path));
    run(CO(connect_once, path));
    if (user == 0) assert_int_equal(seteuid(0), 0);
    chmod(folder, 0700);
    remove_folder();
    assert_said("listen:EACCES listen:EACCES connect:EACCES");
}

static void a_listener_whose_queue_is_full_refuses_for_now(void **s)
{
    int listener, waiting[16], n = 0;
    (void)s;
    make_folder();
    listener = raw_bind();
    assert_int_equal(listen(listener, 0), 0);
    while (n < 16 && (waiting[n] = raw_connect()) >= 0) n++;
    assert_true(n < 16);
    run(CO(connect_once, path));
    while (n > 0) close(waiting[--n]);
    close(listener);
    assert_int_equal(unlink(path), 0);
    remove_folder();
    assert_said("connect:EAGAIN");
}

struct no_descriptors { ASYNC_FRAME; };
static ASYNC(no_descriptors)
{
    ASYNC_BEGIN(no_descriptors);
    limit_descriptors(0);
    AWAIT(connect_once, path);
    AWAIT(listen_once, path);
    unlimit_descriptors();
    ASYNC_END;
}

static void without_descriptors_nothing_is_opened(void **s)
{
    (void)s;
    run_in_folder(CO(no_descriptors));
    assert_said("connect:EMFILE listen:EMFILE");
}

/* libuv's own memory, in which it keeps a path. */
static int refuse;
static void *uv_allocate(size_t size)
{
    return refuse ? NULL : malloc(size);
}
static void *uv_reallocate(void *old, size_t size)
{
    return refuse ? NULL : realloc(old, size);
}
static void *uv_allocate_zeroed(size_t n, size_t size)
{
    return refuse ? NULL : calloc(n, size);
}

struct no_memory { ASYNC_FRAME; };
static ASYNC(no_memory)
{
    ASYNC_BEGIN(no_memory);
    refuse = 1;
    AWAIT(listen_once, path);
    refuse = 0;
    AWAIT(listen_once, path);
    ASYNC_END;
}

static void without_memory_nothing_is_opened(void **s)
{
    (void)s;
    assert_int_equal(uv_replace_allocator(uv_allocate, uv_reallocate,
                                          uv_allocate_zeroed, free),
                     0);
    run_in_folder(CO(no_memory));
    assert_said("listen:ASYNC_ENOMEM listen:ok");
}

/* --- cancellation -------------------------------------------------------- */

struct cancel_connect {
    ASYNC_FRAME;
    int late;
    async_listener listener;
    async_stream stream;
    async_task *task;
};
static ASYNC(cancel_connect)
{
    ASYNC_BEGIN(cancel_connect);
    AWAIT(async_pipe_listen, &self->listener, path);
    self->task = async_create_task(CO(say_connect, &self->stream));
    AWAIT(until_waiting, self->task);
    if (self->late) AWAIT(until_woken, self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    assert_false(async_stream_is_open(&self->stream));
    AWAIT(say_connect, &self->stream); /* which can be opened again */
    AWAIT(async_stream_close, &self->stream);
    AWAIT(async_listener_close, &self->listener);
    ASYNC_END;
}

static void a_cancelled_connect_leaves_the_stream_closed(void **s)
{
    (void)s;
    run_in_folder(CO(cancel_connect));
    assert_said("connect:ASYNC_ECANCELED connect:ok");
}

static void a_connect_cancelled_when_it_is_through_is_closed_too(void **s)
{
    (void)s;
    run_in_folder(CO(cancel_connect, .late = 1));
    assert_said("connect:ASYNC_ECANCELED connect:ok");
}

struct cancel_accept {
    ASYNC_FRAME;
    async_listener listener;
    async_stream stream, other;
    async_task *acceptor;
    int fd;
};
static ASYNC(cancel_accept)
{
    ASYNC_BEGIN(cancel_accept);
    AWAIT(async_pipe_listen, &self->listener, path);
    self->acceptor =
        async_create_task(CO(say_accept, &self->listener, &self->stream));
    AWAIT(until_waiting, self->acceptor);
    async_task_cancel(self->acceptor);
    AWAIT_JOIN(self->acceptor);
    self->fd = raw_connect();
    raw_send(self->fd, "me");
    AWAIT(say_accept, &self->listener, &self->stream);
    AWAIT(say_read, &self->stream);
    self->acceptor =
        async_create_task(CO(say_accept, &self->listener, &self->other));
    AWAIT(until_waiting, self->acceptor);
    AWAIT(async_listener_close, &self->listener);
    AWAIT_JOIN(self->acceptor);
    close(self->fd);
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void an_accept_can_be_cancelled_and_closing_tells_it(void **s)
{
    (void)s;
    run_in_folder(CO(cancel_accept));
    assert_said("accept:ASYNC_ECANCELED accept:ok read:me "
                "accept:ASYNC_ECLOSED");
}

struct cancel_closing { ASYNC_FRAME; async_task *task; };
static ASYNC(cancel_closing)
{
    ASYNC_BEGIN(cancel_closing);
    /* it fails, and is cancelled while it closes */
    self->task = async_create_task(CO(listen_once, folder));
    while (async_uv_loop_count_handles(async_loop_of(co)) == 0 &&
           !async_task_done(self->task) && !waits(self->task))
        ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void a_listen_that_fails_can_be_cancelled_while_it_closes(void **s)
{
    async_uv_loop loop;
    (void)s;
    make_folder();
    async_uv_loop_init(&loop, NULL, NULL);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(cancel_closing)),
        ASYNC_ECANCELED);
    assert_int_equal(async_uv_loop_count_handles(&loop.base), 0);
    async_loop_close(&loop.base);
    remove_folder();
}

/* --- pairs --------------------------------------------------------------- */

struct pair { ASYNC_FRAME; async_stream one, other; int error; };
static ASYNC(pair)
{
    ASYNC_BEGIN(pair);
    AWAIT(async_pipe_pair, &self->one, &self->other);
    AWAIT(say_write, &self->one, "there");
    AWAIT(say_read, &self->other);
    AWAIT(say_write, &self->other, "back");
    AWAIT(say_shutdown, &self->other);
    AWAIT(say_read, &self->one);
    AWAIT(say_read, &self->one);
    AWAIT(async_stream_close, &self->one);
    SAY_AWAIT("pair", async_pipe_pair, &self->one, &self->other);
    assert_false(async_stream_is_open(&self->one));
    SAY_AWAIT("pair", async_pipe_pair, &self->other, &self->one);
    assert_false(async_stream_is_open(&self->one));
    assert_true(async_stream_is_open(&self->other));
    AWAIT(async_stream_close, &self->other);
    SAY_AWAIT("pair", async_pipe_pair, &self->one, &self->one);
    assert_false(async_stream_is_open(&self->one));
    ASYNC_END;
}

static void a_pair_is_two_ends_or_none(void **s)
{
    (void)s;
    run(CO(pair));
    assert_said("write:ok read:there write:ok shutdown:ok read:back read: "
                "pair:ASYNC_EBUSY pair:ASYNC_EBUSY pair:ASYNC_EBUSY");
}

struct no_pair { ASYNC_FRAME; async_stream one, other; int error; };
static ASYNC(no_pair)
{
    ASYNC_BEGIN(no_pair);
    limit_descriptors(1);
    AWAIT_CATCH(self->error, async_pipe_pair, &self->one, &self->other);
    unlimit_descriptors();
    assert_false(async_stream_is_open(&self->one));
    assert_false(async_stream_is_open(&self->other));
#ifndef UNIT_VALGRIND /* under which socketpair() gives two that are closed */
    assert_int_equal(self->error, UV_EMFILE);
#endif
    assert_int_not_equal(self->error, 0);
    AWAIT(async_pipe_pair, &self->one, &self->other);
    AWAIT(async_stream_close, &self->one);
    AWAIT(async_stream_close, &self->other);
    ASYNC_END;
}

static void without_descriptors_there_is_no_pair(void **s)
{
    (void)s;
    run(CO(no_pair));
}

/* --- adopting ------------------------------------------------------------ */

struct adopt { ASYNC_FRAME; async_stream in, out, more; int ends[2], error; };
static ASYNC(adopt)
{
    ASYNC_BEGIN(adopt);
    assert_int_equal(pipe(self->ends), 0);
    AWAIT(async_pipe_open, &self->in, self->ends[0]);
    AWAIT(async_pipe_open, &self->out, self->ends[1]);
    SAY_AWAIT("again", async_pipe_open, &self->in, self->ends[0]);
    AWAIT(say_write, &self->out, "through");
    AWAIT(say_read, &self->in);
    SAY_AWAIT("twice", async_pipe_open, &self->more, self->ends[0]);
    AWAIT(say_write, &self->in, "wrong");
    AWAIT(say_read, &self->out);
    AWAIT(async_stream_close, &self->out);
    AWAIT(say_read, &self->in);
    AWAIT(async_stream_close, &self->in);
    assert_int_equal(fcntl(self->ends[0], F_GETFD), -1);
    SAY_AWAIT("closed", async_pipe_open, &self->in, self->ends[0]);
    SAY_AWAIT("none", async_pipe_open, &self->in, -1);
    self->ends[0] = open("/dev/null", O_RDWR);
    SAY_AWAIT("null", async_pipe_open, &self->in, self->ends[0]);
    assert_int_equal(close(self->ends[0]), 0); /* still the caller's */
    ASYNC_END;
}

static void a_pipe_that_was_opened_elsewhere_can_be_adopted(void **s)
{
    (void)s;
    run(CO(adopt));
    assert_said("again:ASYNC_EBUSY write:ok read:through twice:EEXIST "
                "write:broken read:ENOTCONN read: closed:ASYNC_EINVAL "
                "none:ASYNC_EINVAL null:ASYNC_EINVAL");
}

struct adopt_file { ASYNC_FRAME; async_stream stream; int fd, error; };
static ASYNC(adopt_file)
{
    ASYNC_BEGIN(adopt_file);
    self->fd = open(path, O_CREAT | O_RDWR, 0600);
    SAY_AWAIT("file", async_pipe_open, &self->stream, self->fd);
    close(self->fd);
    self->fd = socket(AF_INET, SOCK_STREAM, 0);
    SAY_AWAIT("tcp", async_pipe_open, &self->stream, self->fd);
    close(self->fd);
    ASYNC_END;
}

static void a_file_cannot_be_adopted(void **s)
{
    (void)s;
    make_folder();
    run(CO(adopt_file));
    assert_int_equal(unlink(path), 0);
    remove_folder();
    assert_said("file:ASYNC_EINVAL tcp:ASYNC_EINVAL");
}

struct half_gone { ASYNC_FRAME; async_stream stream; int ends[2]; };
static ASYNC(half_gone)
{
    ASYNC_BEGIN(half_gone);
    assert_int_equal(pipe(self->ends), 0);
    AWAIT(async_pipe_open, &self->stream, self->ends[1]);
    close(self->ends[0]);
    AWAIT(say_write, &self->stream, "to nobody");
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}

static void writing_where_nobody_reads_is_an_error_and_no_signal(void **s)
{
    (void)s;
    run(CO(half_gone));
    assert_said("write:broken");
}

#ifdef __linux__
struct abstract { ASYNC_FRAME; async_stream stream; int fd; char name[20]; };
static ASYNC(abstract)
{
    struct sockaddr_un here;
    ASYNC_BEGIN(abstract);
    memset(&here, 0, sizeof here);
    here.sun_family = AF_UNIX;
    memcpy(here.sun_path + 1, "caesura", 7);
    self->fd = raw_socket();
    bind(self->fd, (struct sockaddr *)&here,
         (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 8));
    AWAIT(async_pipe_open, &self->stream, self->fd);
    assert_int_equal(
        async_stream_sockname(&self->stream, self->name, sizeof self->name),
        0);
    say("%s", self->name);
    say("%s", name_of(async_stream_peername(&self->stream, self->name,
                                            sizeof self->name)));
    AWAIT(async_stream_close, &self->stream);
    ASYNC_END;
}
#endif

static void an_abstract_name_is_told_with_an_at_sign(void **s)
{
    (void)s;
#ifdef __linux__
    run(CO(abstract));
    assert_said("@caesura ENOTCONN");
#else
    skip();
#endif
}

/* --- loops --------------------------------------------------------------- */

static async_stream standing[2];
static async_listener standing_listener;

struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    async one;
    int i;
    ASYNC_BEGIN(by_hand);
    for (i = 0; i < 4; i++) {
        async_new(&one, NULL,
                  i == 0   ? CO(async_pipe_connect, &standing[0], path)
                  : i == 1 ? CO(async_pipe_listen, &standing_listener, path)
                  : i == 2 ? CO(async_pipe_pair, &standing[0], &standing[1])
                           : CO(async_pipe_open, &standing[0], 0));
        say("%s", name_of(async_send(&one)));
        async_close(&one);
    }
    ASYNC_END;
}

static void without_a_task_nothing_can_be_opened(void **s)
{
    (void)s;
    run_in_folder(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK");
}

struct elsewhere { ASYNC_FRAME; int error; };
static ASYNC(elsewhere)
{
    ASYNC_BEGIN(elsewhere);
    SAY_AWAIT("connect", async_pipe_connect, &standing[0], path);
    SAY_AWAIT("listen", async_pipe_listen, &standing_listener, path);
    SAY_AWAIT("pair", async_pipe_pair, &standing[0], &standing[1]);
    SAY_AWAIT("open", async_pipe_open, &standing[0], 0);
    ASYNC_END;
}

static void on_a_loop_that_is_not_libuvs_nothing_can_be_opened(void **s)
{
    (void)s;
    make_folder();
    assert_int_equal(async_virtual_run(CO(elsewhere)), 0);
    remove_folder();
    assert_said("connect:ASYNC_EINVAL listen:ASYNC_EINVAL pair:ASYNC_EINVAL "
                "open:ASYNC_EINVAL");
}

struct leave_open { ASYNC_FRAME; };
static ASYNC(leave_open)
{
    ASYNC_BEGIN(leave_open);
    AWAIT(async_pipe_listen, &standing_listener, path);
    AWAIT(async_pipe_pair, &standing[0], &standing[1]);
    ASYNC_END;
}

static void what_is_left_open_is_closed_with_the_loop(void **s)
{
    async_uv_loop loop;
    (void)s;
    make_folder();
    async_uv_loop_init(&loop, NULL, NULL);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(leave_open)),
                     0);
    assert_int_equal(async_uv_loop_count_handles(&loop.base), 3);
    async_loop_close(&loop.base);
    assert_false(async_stream_is_open(&standing[0]));
    assert_false(async_stream_is_open(&standing_listener.stream));
    assert_false(is_there(path));
    remove_folder();
}

UNIT_MAIN(TEST(a_unix_socket_is_there_until_its_listener_is_closed),
          TEST(a_socket_that_was_left_behind_is_no_obstacle),
          TEST(a_file_of_that_name_is_an_error),
          TEST(a_path_that_is_too_long_is_an_error_and_not_cut_off),
          TEST(where_nobody_listens_connecting_is_an_error),
          TEST(without_permission_nothing_is_opened),
          TEST(a_listener_whose_queue_is_full_refuses_for_now),
          TEST(without_descriptors_nothing_is_opened),
          TEST(without_memory_nothing_is_opened),
          TEST(a_cancelled_connect_leaves_the_stream_closed),
          TEST(a_connect_cancelled_when_it_is_through_is_closed_too),
          TEST(an_accept_can_be_cancelled_and_closing_tells_it),
          TEST(a_listen_that_fails_can_be_cancelled_while_it_closes),
          TEST(a_pair_is_two_ends_or_none),
          TEST(without_descriptors_there_is_no_pair),
          TEST(a_pipe_that_was_opened_elsewhere_can_be_adopted),
          TEST(a_file_cannot_be_adopted),
          TEST(writing_where_nobody_reads_is_an_error_and_no_signal),
          TEST(an_abstract_name_is_told_with_an_at_sign),
          TEST(without_a_task_nothing_can_be_opened),
          TEST(on_a_loop_that_is_not_libuvs_nothing_can_be_opened),
          TEST(what_is_left_open_is_closed_with_the_loop))
