/* link: -luv */
/* Processes: starting, talking to and ending them; and what goes wrong. */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/process.h"

#include "uv.h"

#include <sys/stat.h>
#include <sys/wait.h>

/* --- helpers --------------------------------------------------------------- */

/* That nobody is left to be waited for. */
static void assert_no_children(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}
static void run_alone(async_object program)
{
    run(program);
    assert_no_children();
}

/* Arguments of a shell with a script. */
static const char *const *script(const char *text)
{
    static const char *arguments[4][4];
    static int next;
    const char **these = arguments[next++ % 4];
    these[0] = "sh";
    these[1] = "-c";
    these[2] = text;
    these[3] = NULL;
    return these;
}

#define PIPES                                                                 \
    {                                                                         \
        .input = ASYNC_PIPE, .output = ASYNC_PIPE, .errors = ASYNC_PIPE       \
    }
#define OUTPUT                                                                \
    {                                                                         \
        .output = ASYNC_PIPE                                                  \
    }

static void say_bytes(const async_buffer *bytes)
{
    char text[256], *end;
    snprintf(text, sizeof text, "%s",
             bytes->data != NULL ? bytes->data : "(nothing)");
    while ((end = strchr(text, '\n')) != NULL) *end = '/';
    say("%s", text);
}

/* Starts a script, gives it some input, says what came of it, closes it. */
struct say_script {
    ASYNC_FRAME;
    const char *text;
    async_process_options options;
    const char *input;
    async_process child;
    async_buffer output, errors;
    int code, error;
};
static ASYNC(say_script)
{
    ASYNC_BEGIN(say_script);
    ASYNC_TRY {
        AWAIT(async_create_subprocess_exec, &self->child, script(self->text),
              self->options);
        AWAIT_INTO(self->code, async_process_communicate, &self->child,
                   self->input, self->input != NULL ? strlen(self->input) : 0,
                   &self->output, &self->errors);
        assert_true(async_process_has_ended(&self->child));
        assert_int_equal(self->code, self->child.returncode);
        say("%d", self->code);
        if (self->options.output == ASYNC_PIPE) say_bytes(&self->output);
        if (self->options.errors == ASYNC_PIPE) say_bytes(&self->errors);
    } ASYNC_EXCEPT_ANY(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_FINALLY {
        async_buffer_free(&self->output);
        async_buffer_free(&self->errors);
        AWAIT(async_process_close, &self->child);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Waits, and says how it ended. */
struct say_wait { ASYNC_FRAME; async_process *process; int code, error; };
static ASYNC(say_wait)
{
    ASYNC_BEGIN(say_wait);
    ASYNC_TRY {
        AWAIT_INTO(self->code, async_process_wait, self->process);
        say("ended:%d", self->code);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("wait:%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct say_close { ASYNC_FRAME; async_process *process; int error; };
static ASYNC(say_close)
{
    ASYNC_BEGIN(say_close);
    ASYNC_TRY {
        AWAIT(async_process_close, self->process);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("close:%s", name_of(self->error));
    ASYNC_END;
}
struct say_start {
    ASYNC_FRAME;
    async_process *process;
    const char *const *arguments;
    async_process_options options;
    int error;
};
static ASYNC(say_start)
{
    ASYNC_BEGIN(say_start);
    ASYNC_TRY {
        AWAIT(async_create_subprocess_exec, self->process, self->arguments,
              self->options);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("start:%s", name_of(self->error));
    ASYNC_END;
}

/* --- starting -------------------------------------------------------------- */

static void what_a_process_reads_writes_and_ends_with_is_there(void **s)
{
    (void)s;
    run_alone(CO(say_script, "cat; echo oops >&2; exit 3", PIPES, "in\n"));
    run_alone(CO(say_script, "kill -9 $$", PIPES));
    run_alone(CO(say_script, "exit 255", OUTPUT));
    assert_said("3 in/ oops/ -9   255 ");
}

static const char *const environment[] = { "WORD=caesura",
                                           "PATH=/usr/bin:/bin", NULL };
static void
arguments_directory_and_environment_are_what_was_asked_for(void **s)
{
    async_process_options options;
    (void)s;
    memset(&options, 0, sizeof options);
    options.output = ASYNC_PIPE;
    options.cwd = "/";
    options.env = environment;
    run_alone(
        CO(say_script, "pwd; echo $WORD; env | grep -c ^HOME=", options));
    setenv("CAESURA_TEST", "inherited", 1);
    run_alone(CO(say_script, "echo $CAESURA_TEST", OUTPUT));
    assert_said("1 //caesura/0/ 0 inherited/");
}

struct shell {
    ASYNC_FRAME;
    async_process child;
    async_buffer output;
    int code;
};
static ASYNC(shell)
{
    ASYNC_BEGIN(shell);
    AWAIT(async_create_subprocess_shell, &self->child,
          "echo one; echo $((1+1))", { .output = ASYNC_PIPE });
    AWAIT_INTO(self->code, async_process_communicate, &self->child, NULL, 0,
               &self->output);
    say_bytes(&self->output);
    async_buffer_free(&self->output);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void a_shell_runs_a_command_line(void **s)
{
    (void)s;
    run_alone(CO(shell));
    assert_said("one/2/");
}

static void errors_can_go_where_the_output_goes(void **s)
{
    (void)s;
    run_alone(CO(say_script, "echo a; echo b >&2; echo c",
                 { .output = ASYNC_PIPE, .errors = ASYNC_STDOUT }));
    run_alone(CO(say_script, "echo a; echo b >&2; echo c",
                 { .output = ASYNC_DEVNULL, .errors = ASYNC_STDOUT }));
    assert_said("0 a/b/c/ 0");
}

static void a_child_can_open_its_output_by_name(void **s)
{
    (void)s;
    run_alone(
        CO(say_script, "echo x >/dev/stdout; echo y >/dev/stderr", PIPES));
    assert_said("0 x/ y/");
}

static void without_input_or_output_it_has_the_null_device(void **s)
{
    (void)s;
    run_alone(CO(
        say_script, "cat; echo nobody hears; echo this >&2",
        { ASYNC_DEVNULL, ASYNC_DEVNULL, ASYNC_DEVNULL, NULL, NULL, 0, 0, 0 }));
    assert_said("0");
}

static void input_and_output_can_be_descriptors_of_ones_own(void **s)
{
    char name[] = "/tmp/caesura-process-XXXXXX", text[32] = "";
    int fd = mkstemp(name);
    (void)s;
    unlink(name);
    assert_int_equal(write(fd, "hello\n", 6), 6);
    lseek(fd, 0, SEEK_SET);
    run_alone(CO(say_script, "cat", { .input = fd, .output = ASYNC_PIPE }));
    run_alone(CO(say_script, "echo out; echo err >&2",
                 { .output = fd, .errors = fd }));
    assert_int_equal(pread(fd, text, sizeof text - 1, 6), 8);
    assert_string_equal(text, "out\nerr\n");
    close(fd);
    assert_said("0 hello/ 0");
}

struct detached { ASYNC_FRAME; async_process child; };
static ASYNC(detached)
{
    ASYNC_BEGIN(detached);
    AWAIT(async_create_subprocess_exec, &self->child, script("exec sleep 100"),
          { .flags = UV_PROCESS_DETACHED });
    say("%d", getsid(self->child.pid) == self->child.pid);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void a_detached_child_has_a_session_of_its_own(void **s)
{
    (void)s;
    run_alone(CO(detached));
    assert_said("1");
}

static void a_child_can_be_another_users(void **s)
{
    async_process_options options;
    (void)s;
    memset(&options, 0, sizeof options);
    options.output = ASYNC_PIPE;
    options.flags = UV_PROCESS_SETUID | UV_PROCESS_SETGID;
    options.uid = options.gid = 65534;
    run_alone(CO(say_script, "id -u; id -g", options));
    if (geteuid() == 0)
        assert_said("0 65534/65534/");
    else
        assert_said("EPERM");
}

/* A second child must not have the first one's pipes. */
struct two_children { ASYNC_FRAME; async_process one, other; };
static ASYNC(two_children)
{
    ASYNC_BEGIN(two_children);
    AWAIT(async_create_subprocess_exec, &self->one, script("cat"), PIPES);
    AWAIT(async_create_subprocess_exec, &self->other, script("cat"), PIPES);
    AWAIT(async_stream_close, &self->one.input);
    AWAIT(say_wait, &self->one);
    AWAIT(async_process_close, &self->one);
    AWAIT(async_stream_close, &self->other.input);
    AWAIT(say_wait, &self->other);
    AWAIT(async_process_close, &self->other);
    ASYNC_END;
}

static void a_child_does_not_have_the_pipes_of_another(void **s)
{
    (void)s;
    run_alone(CO(two_children));
    assert_said("ended:0 ended:0");
}

/* --- what cannot be started ------------------------------------------------ */

static const char *const absent[] = { "/nonexistent/program", NULL };
static const char *const nowhere[] = { "caesura-no-such-program", NULL };
static const char *const no_program[] = { "/etc/passwd", NULL };
static const char *const nobody[] = { NULL };
struct start_wrong { ASYNC_FRAME; async_process child; };
static ASYNC(start_wrong)
{
    ASYNC_BEGIN(start_wrong);
    AWAIT(say_start, &self->child, absent, PIPES);
    AWAIT(say_wait, &self->child);
    AWAIT(say_start, &self->child, nowhere, PIPES);
    AWAIT(say_start, &self->child, no_program, PIPES);
    AWAIT(say_start, &self->child, script("true"), { .cwd = "/nonexistent" });
    assert_int_equal(async_process_kill(&self->child), -ESRCH);
    AWAIT(async_process_close, &self->child);
    AWAIT(say_start, &self->child, nobody);
    AWAIT(say_start, &self->child, NULL);
    AWAIT(say_start, &self->child, script("true"), { .input = ASYNC_STDOUT });
    AWAIT(say_start, &self->child, script("true"), { .output = ASYNC_STDOUT });
    AWAIT(say_start, &self->child, script("true"), { .errors = -4 });
    /* and it can still be used */
    AWAIT(say_start, &self->child, script("exit 4"), PIPES);
    AWAIT(say_start, &self->child, script("exit 5"), PIPES);
    AWAIT(say_wait, &self->child);
    AWAIT(say_start, &self->child, script("exit 5"), PIPES);
    AWAIT(async_process_close, &self->child);
    AWAIT(say_wait, &self->child);
    AWAIT(say_start, &self->child, script("exit 5"));
    AWAIT(say_wait, &self->child);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void what_cannot_be_started_is_an_error_and_leaves_nothing(void **s)
{
    (void)s;
    run_alone(CO(start_wrong));
    assert_said("start:ENOENT wait:ASYNC_ECLOSED start:ENOENT start:EACCES "
                "start:ENOENT start:ASYNC_EINVAL start:ASYNC_EINVAL "
                "start:ASYNC_EINVAL start:ASYNC_EINVAL start:ASYNC_EINVAL "
                "start:ok start:ASYNC_EBUSY ended:4 start:ASYNC_EBUSY ended:4 "
                "start:ok ended:5");
}

struct start_without_descriptors {
    ASYNC_FRAME;
    int more, error, *last;
    async_process child;
};
static ASYNC(start_without_descriptors)
{
    ASYNC_BEGIN(start_without_descriptors);
    limit_descriptors(self->more);
    ASYNC_TRY {
        AWAIT(async_create_subprocess_exec, &self->child, script("exit 0"),
              PIPES);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    unlimit_descriptors();
    *self->last = self->error;
    assert_true(self->error == 0 || self->error == -EMFILE);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void
without_descriptors_starting_is_an_error_and_leaves_nothing(void **s)
{
    int more, last = -EMFILE;
    (void)s;
    for (more = 0; last != 0; more++) {
        assert_true(more < 16);
        run_alone(CO(start_without_descriptors, more, 0, &last));
    }
    assert_true(more > 6); /* three pipes */
}

/* Each by hand, where there is no loop. */
struct by_hand { ASYNC_FRAME; async_process child, other; };
static ASYNC(by_hand)
{
    async one;
    int error, i;
    ASYNC_BEGIN(by_hand);
    AWAIT(async_create_subprocess_exec, &self->child, script("cat"), PIPES);
    for (i = 0; i < 3; i++) {
        async_new(&one, NULL,
                  i == 0   ? CO(async_create_subprocess_exec, &self->other,
                                script("true"))
                  : i == 1 ? CO(async_process_wait, &self->child)
                           : CO(async_process_close, &self->child));
        error = async_send(&one);
        say("%s", name_of(error));
        async_close(&one);
    }
    AWAIT(async_process_close, &self->child);
    AWAIT(say_wait, &self->child);
    ASYNC_END;
}

static async_process standing;
struct start_standing { ASYNC_FRAME; };
static ASYNC(start_standing)
{
    ASYNC_BEGIN(start_standing);
    AWAIT(async_create_subprocess_exec, &standing, script("exec sleep 100"),
          { .output = ASYNC_PIPE, .errors = ASYNC_DEVNULL });
    ASYNC_END;
}

static void processes_need_a_task_on_their_own_loop_of_libuv(void **s)
{
    async_uv_loop one, other;
    (void)s;
    run_alone(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ended:-9");
    async_uv_loop_init(&one, NULL, NULL);
    async_uv_loop_init(&other, NULL, NULL);
    async_loop_run_until_complete(&one.base, CO(start_standing));
    async_loop_run_until_complete(&other.base, CO(say_wait, &standing));
    async_loop_run_until_complete(&other.base, CO(say_close, &standing));
    assert_said("wait:ASYNC_EOTHERLOOP close:ASYNC_EOTHERLOOP");
    async_loop_run_until_complete(&one.base, CO(say_close, &standing));
    async_loop_close(&one.base);
    async_loop_close(&other.base);
    assert_said("close:ok");
    assert_no_children();
    assert_int_equal(async_virtual_run(CO(start_standing)), ASYNC_EINVAL);
}

/* --- talking --------------------------------------------------------------- */

static char large[1000001]; /* more than a pipe holds */
static void fill_large(void)
{
    memset(large, 'x', sizeof large - 1);
}

/* Communicates with a limit; says the end and the sizes. */
struct communicate {
    ASYNC_FRAME;
    async_process *child;
    size_t size, limit;
    async_buffer output, errors;
    int code, error;
};
static ASYNC(communicate)
{
    ASYNC_BEGIN(communicate);
    ASYNC_TRY {
        AWAIT_INTO(self->code, async_process_communicate, self->child, large,
                   self->size, &self->output, &self->errors, self->limit);
        say("%d: %d+%d", self->code, (int)self->output.size,
            (int)self->errors.size);
        if (self->output.size == self->size && self->size > 0)
            say("%d", memcmp(self->output.data, large, self->size));
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
        assert_null(self->output.data);
        assert_null(self->errors.data);
    } ASYNC_FINALLY {
        async_buffer_free(&self->output);
        async_buffer_free(&self->errors);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct communicate_with {
    ASYNC_FRAME;
    const char *text;
    size_t size, limit;
    async_process child;
};
static ASYNC(communicate_with)
{
    ASYNC_BEGIN(communicate_with);
    AWAIT(async_create_subprocess_exec, &self->child, script(self->text),
          PIPES);
    ASYNC_TRY {
        AWAIT(communicate, &self->child, self->size, self->limit);
    } ASYNC_FINALLY {
        AWAIT(async_process_close, &self->child);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void more_than_pipes_hold_goes_in_and_comes_out_at_once(void **s)
{
    (void)s;
    fill_large();
    run_alone(CO(communicate_with, "cat", 1000000));
    run_alone(CO(communicate_with, "tee /dev/stderr", 300000));
    run_alone(CO(communicate_with, "cat; cat /dev/zero | head -c 70000", 10));
    assert_said("0: 1000000+0 0 0: 300000+300000 0 0: 70010+0");
}

static void a_child_that_does_not_want_its_input_is_no_error(void **s)
{
    (void)s;
    run_alone(CO(communicate_with, "exit 7", 1000000));
    run_alone(
        CO(communicate_with, "exec 0<&-; echo done; sleep 0.05", 1000000));
    run_alone(CO(communicate_with, "head -c 10", 1000000));
    assert_said("7: 0+0 0: 5+0 0: 10+0");
}

static void more_than_the_limit_is_an_error_exactly_so_much_is_not(void **s)
{
    (void)s;
    run_alone(CO(communicate_with, "cat", 5000, 5000));
    run_alone(CO(communicate_with, "cat", 5001, 5000));
    run_alone(CO(communicate_with, "cat >&2", 1, 1));
    run_alone(CO(communicate_with, "cat >&2", 2, 1));
    run_alone(CO(communicate_with, "yes", 0, 100000));
    assert_said("0: 5000+0 0 ENOBUFS 0: 0+1 ENOBUFS ENOBUFS");
}

struct communicate_wrong {
    ASYNC_FRAME;
    async_process child;
    async_buffer output;
    int code, error;
};
static ASYNC(communicate_wrong)
{
    ASYNC_BEGIN(communicate_wrong);
    AWAIT_CATCH_INTO(self->error, self->code, async_process_communicate,
                     &self->child);
    say("%s", name_of(self->error));
    AWAIT(async_create_subprocess_exec, &self->child, script("echo x"),
          OUTPUT);
    AWAIT_CATCH_INTO(self->error, self->code, async_process_communicate,
                     &self->child, NULL, 0);
    say("%s", name_of(self->error));
    AWAIT_CATCH_INTO(self->error, self->code, async_process_communicate,
                     &self->child, "x", 1, &self->output);
    say("%s", name_of(self->error));
    AWAIT_INTO(self->code, async_process_communicate, &self->child, NULL, 0,
               &self->output);
    say_bytes(&self->output);
    /* and again, when all is at its end: it frees what there was */
    AWAIT_INTO(self->code, async_process_communicate, &self->child, NULL, 0,
               &self->output);
    say_bytes(&self->output);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void communicating_without_a_pipe_or_a_place_is_an_error(void **s)
{
    (void)s;
    run_alone(CO(communicate_wrong));
    assert_said("ASYNC_ECLOSED ASYNC_EINVAL ASYNC_EINVAL x/ (nothing)");
}

struct communicate_twice {
    ASYNC_FRAME;
    async_process child;
    async_task *reader;
    int error;
};
static ASYNC(communicate_twice)
{
    ASYNC_BEGIN(communicate_twice);
    AWAIT(async_create_subprocess_exec, &self->child, script("exec sleep 100"),
          PIPES);
    self->reader = async_create_task(
        CO(async_stream_read, &self->child.output, large, 10));
    AWAIT(until_waiting, self->reader);
    AWAIT(communicate, &self->child, 0);
    async_task_cancel(self->reader);
    AWAIT(say_end, self->reader);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void communicating_while_another_reads_is_an_error(void **s)
{
    (void)s;
    run_alone(CO(communicate_twice));
    assert_said("ASYNC_EBUSY ASYNC_ECANCELED");
}

/* Cancels it after so many rounds; then the child is closed. */
struct cancel_communicate {
    ASYNC_FRAME;
    const char *text;
    int rounds, *over;
    async_process child;
    async_task *task;
    int i;
};
static ASYNC(cancel_communicate)
{
    ASYNC_BEGIN(cancel_communicate);
    AWAIT(async_create_subprocess_exec, &self->child, script(self->text),
          PIPES);
    self->task = async_create_task(CO(communicate, &self->child, 200000));
    ASYNC_SUSPEND; /* it begins */
    for (self->i = 0; self->i < self->rounds; self->i++)
        AWAIT(async_sleep, ASYNC_US(200));
    *self->over = async_task_done(self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void communicating_can_be_cancelled_at_any_time(void **s)
{
    int rounds, over = 0;
    (void)s;
    fill_large();
    for (rounds = 0; rounds < 500 && !over;
         rounds += rounds < 8 ? 1 : rounds / 2) {
        run_alone(CO(cancel_communicate, "cat", rounds, &over));
        if (over)
            assert_said("0: 200000+0 0");
        else
            assert_said("ASYNC_ECANCELED");
    }
    run_alone(CO(cancel_communicate, "sleep 100", 20, &over));
    assert_said("ASYNC_ECANCELED");
}

static void
without_memory_communicating_is_an_error_and_leaves_nothing(void **s)
{
    long at, met = 0;
    int error = ASYNC_ENOMEM;
    (void)s;
    fill_large();
    for (at = 0; error != 0 || met == 0; at++) {
        assert_true(at < 100);
        unit_said[0] = '\0';
        unit_said_length = 0;
        error = run_refusing(CO(communicate_with, "cat", 100000), at, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        met += memory.refused;
        if (strstr(unit_said, "ASYNC_ENOMEM") == NULL && error == 0) {
            assert_non_null(strstr(unit_said, "0: 100000+0 0"));
            if (memory.refused == 0) break;
        }
        error = ASYNC_ENOMEM;
    }
    assert_true(met > 3);
    unit_said[0] = '\0';
    unit_said_length = 0;
    assert_no_children();
}

/* By hand, line by line. */
struct talk {
    ASYNC_FRAME;
    async_process child;
    size_t n;
    int error;
    char b[64];
};
static ASYNC(talk)
{
    ASYNC_BEGIN(talk);
    AWAIT(async_create_subprocess_exec, &self->child,
          script("while read -r x; do echo \"<$x>\"; done"), PIPES);
    AWAIT(async_stream_write, &self->child.input, "one\n", 4);
    AWAIT_INTO(self->n, async_stream_read, &self->child.output, self->b, 64);
    say("%.*s", (int)self->n - 1, self->b);
    AWAIT(async_stream_write, &self->child.input, "two\n", 4);
    AWAIT_INTO(self->n, async_stream_read, &self->child.output, self->b, 64);
    say("%.*s", (int)self->n - 1, self->b);
    AWAIT(async_stream_close, &self->child.input);
    AWAIT_INTO(self->n, async_stream_read, &self->child.output, self->b, 64);
    say("%d", (int)self->n);
    AWAIT(say_wait, &self->child);
    AWAIT(async_process_close, &self->child);
    /* one that closes its input */
    AWAIT(async_create_subprocess_exec, &self->child, script("exit 0"), PIPES);
    AWAIT(say_wait, &self->child);
    AWAIT_CATCH(self->error, async_stream_write, &self->child.input, "x", 1);
    say("%s", uv_err_name(self->error));
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void pipes_are_streams_as_any(void **s)
{
    (void)s;
    run_alone(CO(talk));
    assert_said("<one> <two> 0 ended:0 ended:0 EPIPE");
}

/* --- ending ---------------------------------------------------------------- */

struct signal_it { ASYNC_FRAME; async_process child; };
static ASYNC(signal_it)
{
    ASYNC_BEGIN(signal_it);
    AWAIT(async_create_subprocess_exec, &self->child,
          script("exec sleep 100"));
    assert_false(async_process_has_ended(&self->child));
    assert_int_equal(async_process_send_signal(&self->child, 1000), -EINVAL);
    assert_int_equal(async_process_send_signal(&self->child, SIGUSR1), 0);
    AWAIT(say_wait, &self->child);
    say("%d", self->child.returncode == -SIGUSR1);
    AWAIT(async_process_close, &self->child);
    AWAIT(async_create_subprocess_exec, &self->child,
          script("exec sleep 100"));
    assert_int_equal(async_process_terminate(&self->child), 0);
    AWAIT(say_wait, &self->child);
    say("%s", name_of(async_process_terminate(&self->child)));
    AWAIT(async_process_close, &self->child);
    AWAIT(async_create_subprocess_exec, &self->child,
          script("exec sleep 100"));
    assert_int_equal(async_process_kill(&self->child), 0);
    AWAIT(say_wait, &self->child);
    AWAIT(async_process_close, &self->child);
    say("%s", name_of(async_process_kill(&self->child)));
    ASYNC_END;
}

static void a_process_is_sent_signals_until_it_has_ended(void **s)
{
    (void)s;
    run_alone(CO(signal_it));
    assert_said("ended:-10 1 ended:-15 ESRCH ended:-9 ESRCH");
}

struct wait_together {
    ASYNC_FRAME;
    async_process child;
    async_task *tasks[3];
};
static ASYNC(wait_together)
{
    ASYNC_BEGIN(wait_together);
    AWAIT(async_create_subprocess_exec, &self->child, script("read x; exit 6"),
          PIPES);
    self->tasks[0] = async_create_task(CO(say_wait, &self->child));
    self->tasks[1] = async_create_task(CO(say_wait, &self->child));
    self->tasks[2] = async_create_task(CO(say_wait, &self->child));
    AWAIT(until_waiting, self->tasks[2]);
    async_task_cancel(self->tasks[1]);
    AWAIT_JOIN(self->tasks[1]);
    async__stream_begin_close(&self->child.input);
    /* one that is cancelled when it has ended already */
    AWAIT(until_woken, self->tasks[2]);
    async_task_cancel(self->tasks[2]);
    AWAIT_JOIN(self->tasks[0]);
    AWAIT_JOIN(self->tasks[2]);
    AWAIT(say_wait, &self->child);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void several_may_wait_and_each_be_cancelled(void **s)
{
    (void)s;
    run_alone(CO(wait_together));
    assert_said("wait:ASYNC_ECANCELED ended:6 wait:ASYNC_ECANCELED ended:6");
}

struct time_limit { ASYNC_FRAME; async_process child; int code; };
static ASYNC(time_limit)
{
    ASYNC_BEGIN(time_limit);
    AWAIT(async_create_subprocess_exec, &self->child,
          script("exec sleep 100"));
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_MS(20), async_process_wait, &self->child);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("too late");
        async_process_kill(&self->child);
    } ASYNC_END_TRY
    AWAIT(say_wait, &self->child);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void waiting_can_time_out(void **s)
{
    (void)s;
    run_alone(CO(time_limit));
    assert_said("too late ended:-9");
}

struct close_running {
    ASYNC_FRAME;
    async_process child;
    async_task *waiter, *reader, *closer, *other;
    char byte;
};
static ASYNC(close_running)
{
    ASYNC_BEGIN(close_running);
    AWAIT(async_create_subprocess_exec, &self->child,
          script("trap '' TERM; exec sleep 100"), PIPES);
    self->waiter = async_create_task(CO(say_wait, &self->child));
    self->reader = async_create_task(
        CO(async_stream_read, &self->child.output, &self->byte, 1));
    AWAIT(until_waiting, self->waiter);
    AWAIT(until_waiting, self->reader);
    self->closer = async_create_task(CO(say_close, &self->child));
    self->other = async_create_task(CO(say_close, &self->child));
    AWAIT(until_waiting, self->other);
    async_task_cancel(self->closer);
    AWAIT(say_end, self->reader);
    AWAIT_JOIN(self->waiter);
    AWAIT_JOIN(self->closer);
    AWAIT_JOIN(self->other);
    assert_int_equal(kill(self->child.pid, 0), -1);
    assert_false(async_stream_is_open(&self->child.input));
    AWAIT(say_wait, &self->child);
    AWAIT(async_process_close, &self->child);
    ASYNC_END;
}

static void closing_kills_and_waits_and_tells_who_waits_or_reads(void **s)
{
    (void)s;
    run_alone(CO(close_running));
    assert_said("ASYNC_ECLOSED ended:-9 close:ASYNC_ECANCELED close:ok "
                "ended:-9");
}

/* The first who closes frees it. */
struct close_and_free { ASYNC_FRAME; async_process *child; };
static ASYNC(close_and_free)
{
    ASYNC_BEGIN(close_and_free);
    AWAIT(async_process_close, self->child);
    free(self->child);
    ASYNC_END;
}
struct free_early {
    ASYNC_FRAME;
    async_process *child;
    async_task *first, *second, *waiter;
};
static ASYNC(free_early)
{
    ASYNC_BEGIN(free_early);
    self->child = calloc(1, sizeof *self->child);
    assert_non_null(self->child);
    AWAIT(async_create_subprocess_exec, self->child, script("sleep 100"),
          PIPES);
    self->waiter = async_create_task(CO(say_wait, self->child));
    AWAIT(until_waiting, self->waiter);
    self->first = async_create_task(CO(close_and_free, self->child));
    self->second = async_create_task(CO(say_close, self->child));
    AWAIT_JOIN(self->first);
    AWAIT_JOIN(self->second);
    AWAIT_JOIN(self->waiter);
    ASYNC_END;
}

static void several_may_close_it_and_the_first_may_free_it(void **s)
{
    (void)s;
    run(CO(free_early));
    assert_said("ended:-9 close:ok");
    while (waitpid(-1, NULL, WNOHANG) > 0) {} /* the shell's own sleep */
}

/* A loop that is closed with a child that runs: it goes on. */
static void close_with_a_child(uv_loop_t *host)
{
    async_uv_loop loop;
    int pid, open;
    async_uv_loop_init(&loop, host, NULL);
    async_loop_close(&loop.base); /* libuv has opened what it keeps */
    if (host != NULL) uv_run(host, UV_RUN_DEFAULT);
    open = descriptors() + (host != NULL); /* which keeps one for streams */
    async_uv_loop_init(&loop, host, NULL);
    async_loop_run_until_complete(&loop.base, CO(start_standing));
    pid = standing.pid;
    async_loop_close(&loop.base);
    memset(&loop, 0xa5, sizeof loop);
    if (host != NULL) assert_int_equal(uv_run(host, UV_RUN_DEFAULT), 0);
    assert_int_equal(descriptors(), open);
    assert_int_equal(async_process_kill(&standing), -ESRCH);
    assert_int_equal(kill(pid, 0), 0);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_loop_that_is_closed_lets_a_child_go_on(void **s)
{
    uv_loop_t host;
    (void)s;
    uv_loop_init(&host);
    close_with_a_child(&host);
    assert_int_equal(uv_loop_close(&host), 0);
    close_with_a_child(NULL);
    close_with_a_child(NULL);
}

struct owner { ASYNC_FRAME; int *pid; async_process child; };
static ASYNC(owner)
{
    ASYNC_BEGIN(owner);
    AWAIT(async_create_subprocess_exec, &self->child, script("exec sleep 100"),
          PIPES);
    *self->pid = self->child.pid;
    ASYNC_TRY {
        AWAIT(async_process_wait, &self->child);
    } ASYNC_FINALLY {
        AWAIT(async_process_close, &self->child);
        say("closed");
    } ASYNC_END_TRY
    ASYNC_END;
}
/* Will not end when it is cancelled. */
struct clinging { ASYNC_FRAME; int *pid; async_process child; };
static ASYNC(clinging)
{
    ASYNC_BEGIN(clinging);
    AWAIT(async_create_subprocess_exec, &self->child, script("exec sleep 100"),
          PIPES);
    *self->pid = self->child.pid;
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_FINALLY {
        AWAIT(say_wait, &self->child);
        AWAIT(async_process_close, &self->child);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct until_set { ASYNC_FRAME; int *a, *b; };
static ASYNC(until_set)
{
    ASYNC_BEGIN(until_set);
    while (!*self->a || !*self->b) AWAIT(async_sleep, ASYNC_US(100));
    ASYNC_END;
}

static void
a_task_that_goes_with_its_loop_ends_its_child_or_is_dropped(void **s)
{
    async_uv_loop loop;
    int pids[2] = { 0, 0 };
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    async_task_release(
        async_loop_create_task(&loop.base, CO(owner, &pids[0])));
    async_task_release(
        async_loop_create_task(&loop.base, CO(clinging, &pids[1])));
    async_loop_run_until_complete(&loop.base,
                                  CO(until_set, &pids[0], &pids[1]));
    async_loop_close(&loop.base);
    assert_int_equal(kill(pids[0], 0), -1);
    assert_int_equal(kill(pids[1], 0), 0);
    kill(pids[1], SIGKILL);
    assert_int_equal(waitpid(pids[1], NULL, 0), pids[1]);
    assert_said("[Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] closed");
    assert_no_children();
}

UNIT_MAIN(TEST(what_a_process_reads_writes_and_ends_with_is_there),
          TEST(arguments_directory_and_environment_are_what_was_asked_for),
          TEST(a_shell_runs_a_command_line),
          TEST(errors_can_go_where_the_output_goes),
          TEST(a_child_can_open_its_output_by_name),
          TEST(without_input_or_output_it_has_the_null_device),
          TEST(input_and_output_can_be_descriptors_of_ones_own),
          TEST(a_detached_child_has_a_session_of_its_own),
          TEST(a_child_can_be_another_users),
          TEST(a_child_does_not_have_the_pipes_of_another),
          TEST(what_cannot_be_started_is_an_error_and_leaves_nothing),
          TEST(without_descriptors_starting_is_an_error_and_leaves_nothing),
          TEST(processes_need_a_task_on_their_own_loop_of_libuv),
          TEST(more_than_pipes_hold_goes_in_and_comes_out_at_once),
          TEST(a_child_that_does_not_want_its_input_is_no_error),
          TEST(more_than_the_limit_is_an_error_exactly_so_much_is_not),
          TEST(communicating_without_a_pipe_or_a_place_is_an_error),
          TEST(communicating_while_another_reads_is_an_error),
          TEST(communicating_can_be_cancelled_at_any_time),
          TEST(without_memory_communicating_is_an_error_and_leaves_nothing),
          TEST(pipes_are_streams_as_any),
          TEST(a_process_is_sent_signals_until_it_has_ended),
          TEST(several_may_wait_and_each_be_cancelled),
          TEST(waiting_can_time_out),
          TEST(closing_kills_and_waits_and_tells_who_waits_or_reads),
          TEST(several_may_close_it_and_the_first_may_free_it),
          TEST(a_loop_that_is_closed_lets_a_child_go_on),
          TEST(a_task_that_goes_with_its_loop_ends_its_child_or_is_dropped))
