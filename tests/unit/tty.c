/* link: -luv -lutil */
/* Terminals: lines, keys, modes, sizes.  The user is the other end of a
 * pseudo-terminal. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/tty.h"

#include "io.h"

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

/* A terminal, and another descriptor of it to look at its settings. */
typedef struct terminal {
    int user, program, look;
} terminal;
static void terminal_open(terminal *t)
{
    struct winsize size = { 24, 80, 0, 0 };
    struct termios now;
    assert_int_equal(openpty(&t->user, &t->program, NULL, NULL, &size), 0);
    tcgetattr(t->program, &now);
    now.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(t->program, TCSANOW, &now);
    t->look = dup(t->program);
}
static void terminal_close(terminal *t)
{
    close(t->user);
    close(t->look);
}
static void type(const terminal *t, const char *keys)
{
    assert_int_equal(write(t->user, keys, strlen(keys)), strlen(keys));
}
static int is_raw(int fd)
{
    struct termios now;
    assert_int_equal(tcgetattr(fd, &now), 0);
    return !(now.c_lflag & ICANON);
}

/* First of all, for libuv remembers the first terminal that is set. */
struct exit_raw { ASYNC_FRAME; int fd, look; async_stream tty; };
static ASYNC(exit_raw)
{
    ASYNC_BEGIN(exit_raw);
    AWAIT(async_tty_open, &self->tty, self->fd);
    if (async_tty_set_mode(&self->tty, UV_TTY_MODE_RAW) != 0 ||
        !is_raw(self->look))
        _exit(2);
    exit(0);
    ASYNC_END;
}

static void exit_puts_the_terminal_back(void **s)
{
    terminal t;
    pid_t child;
    int status;
    (void)s;
    terminal_open(&t);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        async_run(CO(exit_raw, t.program, t.look));
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 2 &&
                WEXITSTATUS(status) != 3);
    assert_false(is_raw(t.look));
    close(t.program);
    terminal_close(&t);
}

struct lines { ASYNC_FRAME; async_stream tty; terminal t; char sent[20]; };
static ASYNC(lines)
{
    ASYNC_BEGIN(lines);
    terminal_open(&self->t);
    AWAIT(async_tty_open, &self->tty, self->t.program);
    type(&self->t, "one\ntw");
    AWAIT(say_read, &self->tty);
    type(&self->t, "p\177o\nend\n\004");
    AWAIT(say_read, &self->tty);
    AWAIT(say_read, &self->tty, 2);
    AWAIT(say_read, &self->tty);
    AWAIT(say_read, &self->tty);
    AWAIT(say_write, &self->tty, "hello");
    assert_int_equal(read(self->t.user, self->sent, sizeof self->sent), 5);
    assert_memory_equal(self->sent, "hello", 5);
    AWAIT(async_stream_close, &self->tty);
    terminal_close(&self->t);
    ASYNC_END;
}

static void a_read_gives_a_line_as_it_was_edited(void **s)
{
    (void)s;
    run(CO(lines));
    assert_said("read:one\n read:two\n read:en read:d\n read: write:ok");
}

struct keys { ASYNC_FRAME; async_stream tty; terminal t; };
static ASYNC(keys)
{
    ASYNC_BEGIN(keys);
    terminal_open(&self->t);
    AWAIT(async_tty_open, &self->tty, self->t.program);
    assert_int_equal(async_tty_set_mode(&self->tty, UV_TTY_MODE_RAW), 0);
    say("%d", is_raw(self->t.look));
    type(&self->t, "k\003");
    AWAIT(say_read, &self->tty);
    assert_int_equal(async_tty_set_mode(&self->tty, UV_TTY_MODE_NORMAL), 0);
    say("%d", is_raw(self->t.look));
    type(&self->t, "line\n");
    AWAIT(say_read, &self->tty);
    assert_int_equal(async_tty_set_mode(&self->tty, UV_TTY_MODE_RAW), 0);
    AWAIT(async_stream_close, &self->tty);
    say("%d", is_raw(self->t.look));
    assert_int_equal(async_tty_set_mode(&self->tty, UV_TTY_MODE_RAW),
                     ASYNC_ECLOSED);
    terminal_close(&self->t);
    ASYNC_END;
}

static void raw_gives_each_key_until_the_stream_is_closed(void **s)
{
    (void)s;
    run(CO(keys));
    assert_said("1 read:k\003 0 read:line\n 0");
}

static async_stream left;
struct leave_raw { ASYNC_FRAME; terminal *t; };
static ASYNC(leave_raw)
{
    ASYNC_BEGIN(leave_raw);
    AWAIT(async_tty_open, &left, self->t->program);
    assert_int_equal(async_tty_set_mode(&left, UV_TTY_MODE_RAW), 0);
    ASYNC_END;
}

static void closing_the_loop_puts_the_terminal_back(void **s)
{
    async_uv_loop loop;
    terminal t;
    (void)s;
    terminal_open(&t);
    async_uv_loop_init(&loop, NULL, NULL);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(leave_raw, &t)), 0);
    assert_true(is_raw(t.look));
    async_loop_close(&loop.base);
    assert_false(async_stream_is_open(&left));
    assert_false(is_raw(t.look));
    terminal_close(&t);
}

struct sizes { ASYNC_FRAME; async_stream tty; terminal t; int width, height; };
static ASYNC(sizes)
{
    struct winsize size = { 50, 132, 0, 0 };
    ASYNC_BEGIN(sizes);
    terminal_open(&self->t);
    assert_int_equal(
        async_tty_get_size(&self->tty, &self->width, &self->height),
        ASYNC_ECLOSED);
    AWAIT(async_tty_open, &self->tty, self->t.program);
    async_tty_get_size(&self->tty, &self->width, &self->height);
    say("%dx%d", self->width, self->height);
    ioctl(self->t.user, TIOCSWINSZ, &size);
    async_tty_get_size(&self->tty, &self->width, &self->height);
    say("%dx%d", self->width, self->height);
    say("%s", name_of(async_stream_peername(&self->tty, NULL, 0)));
    AWAIT(async_stream_close, &self->tty);
    terminal_close(&self->t);
    ASYNC_END;
}

static void its_size_is_told(void **s)
{
    (void)s;
    run(CO(sizes));
    assert_said("80x24 132x50 ENOTSOCK");
}

struct wrong {
    ASYNC_FRAME;
    async_stream tty;
    terminal t;
    int ends[2], error;
};
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    assert_int_equal(pipe(self->ends), 0);
    SAY_AWAIT("pipe", async_tty_open, &self->tty, self->ends[0]);
    close(self->ends[0]);
    close(self->ends[1]);
    SAY_AWAIT("closed", async_tty_open, &self->tty, self->ends[0]);
    terminal_open(&self->t);
    AWAIT(async_tty_open, &self->tty, self->t.program);
    SAY_AWAIT("again", async_tty_open, &self->tty, self->t.look);
    AWAIT(async_stream_close, &self->tty);
    terminal_close(&self->t);
    ASYNC_END;
}

struct elsewhere { ASYNC_FRAME; async_stream tty; int error; };
static ASYNC(elsewhere)
{
    ASYNC_BEGIN(elsewhere);
    SAY_AWAIT("elsewhere", async_tty_open, &self->tty, 0);
    ASYNC_END;
}

static void what_is_no_terminal_cannot_be_opened_as_one(void **s)
{
    (void)s;
    run(CO(wrong));
    assert_said("pipe:ASYNC_EINVAL closed:ASYNC_EINVAL again:ASYNC_EBUSY");
    assert_int_equal(async_virtual_run(CO(elsewhere)), 0);
    assert_said("elsewhere:ASYNC_EINVAL");
}

/* It cannot be opened anew, and is used as it is. */
struct scarce { ASYNC_FRAME; async_stream tty; terminal t; int error; };
static ASYNC(scarce)
{
    ASYNC_BEGIN(scarce);
    terminal_open(&self->t);
    limit_descriptors(0);
    SAY_AWAIT("open", async_tty_open, &self->tty, self->t.program);
    unlimit_descriptors();
    type(&self->t, "line\n");
    AWAIT(say_read, &self->tty);
    AWAIT(async_stream_close, &self->tty);
    assert_int_equal(fcntl(self->t.program, F_GETFD), -1);
    terminal_close(&self->t);
    ASYNC_END;
}

static void without_descriptors_it_is_opened_all_the_same(void **s)
{
    (void)s;
    run(CO(scarce));
    assert_said("open:ok read:line\n");
}

struct hang_up {
    ASYNC_FRAME;
    async_stream tty;
    terminal t;
    async_task *reader;
};
static ASYNC(hang_up)
{
    ASYNC_BEGIN(hang_up);
    terminal_open(&self->t);
    AWAIT(async_tty_open, &self->tty, self->t.program);
    self->reader = async_create_task(CO(say_read, &self->tty));
    AWAIT(until_waiting, self->reader);
    async_task_cancel(self->reader);
    AWAIT_JOIN(self->reader);
    type(&self->t, "kept\n");
    AWAIT(say_read, &self->tty);
    self->reader = async_create_task(CO(say_read, &self->tty));
    AWAIT(until_waiting, self->reader);
    close(self->t.user);
    AWAIT_JOIN(self->reader);
    AWAIT(async_stream_close, &self->tty);
    close(self->t.look);
    ASYNC_END;
}

static void a_read_can_be_cancelled_and_a_hangup_ends_it(void **s)
{
    (void)s;
    run(CO(hang_up));
    assert_said("read:ASYNC_ECANCELED read:kept\n read:");
}

static void the_terminal_can_be_put_back_at_any_time(void **s)
{
    (void)s;
    /* the first that was set is closed by now, and nothing is done to it */
    assert_int_not_equal(async_tty_reset(), ASYNC_EBUSY);
}

UNIT_MAIN(TEST(exit_puts_the_terminal_back),
          TEST(a_read_gives_a_line_as_it_was_edited),
          TEST(raw_gives_each_key_until_the_stream_is_closed),
          TEST(closing_the_loop_puts_the_terminal_back),
          TEST(its_size_is_told),
          TEST(what_is_no_terminal_cannot_be_opened_as_one),
          TEST(without_descriptors_it_is_opened_all_the_same),
          TEST(a_read_can_be_cancelled_and_a_hangup_ends_it),
          TEST(the_terminal_can_be_put_back_at_any_time))
