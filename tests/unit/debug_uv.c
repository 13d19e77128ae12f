/* link: -luv -pthread */
/* Debug mode on libuv: a loop that sleeps and is woken by the wrong thread. */
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include "../../async/debug/debug.h"
#include "../../async/debug/signal.h"
#include "../../async/uv/poll.h"

#include "uv.h"

#include <pthread.h>
#include <sys/wait.h>

static async_uv_loop loop;
static async_future answer;

static void *sets_it(void *argument)
{
    (void)argument;
    block(50); /* by then the loop sleeps */
    async_future_set_result(&answer);
    return NULL;
}
static int set_it(void *argument)
{
    (void)argument;
    return async_future_set_result(&answer);
}
static void *asks_for_it(void *argument)
{
    (void)argument;
    block(50);
    async_loop_call_soon_threadsafe(&loop.base, NULL, set_it, NULL);
    return NULL;
}

struct waits_for_thread {
    ASYNC_FRAME;
    void *(*body)(void *);
    pthread_t thread;
};
static ASYNC(waits_for_thread)
{
    ASYNC_BEGIN(waits_for_thread);
    async_future_init(&answer, &loop.base);
    pthread_create(&self->thread, NULL, self->body, NULL);
    AWAIT_FUTURE(&answer);
    pthread_join(self->thread, NULL);
    ASYNC_END;
}

static int ends(void *(*body)(void *))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = { 0, 0 };
        setrlimit(RLIMIT_CORE, &none);
        alarm(20);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(1);
        async_uv_loop_init(&loop, NULL, NULL);
        async_loop_set_debug(&loop.base, 1);
        _exit(async_loop_run_until_complete(&loop.base,
                                            CO(waits_for_thread, body)));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
a_sleeping_loop_traps_who_wakes_it_from_another_thread(void **state)
{
    int status = ends(sets_it);
    (void)state;
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void call_soon_threadsafe_is_no_mistake(void **state)
{
    (void)state;
    assert_int_equal(ends(asks_for_it), 0);
}

/* What libuv calls is called in the loop's thread. */
static int ends_of_pipe[2];
static int write_to_pipe(void *argument)
{
    (void)argument;
    return write(ends_of_pipe[1], "x", 1) == 1 ? 0 : ASYNC_EINVAL;
}
struct turns_it_on { ASYNC_FRAME; };
static ASYNC(turns_it_on)
{
    ASYNC_BEGIN(turns_it_on);
    assert_int_equal(async_loop_set_debug(async_loop_of(co), 1), 0);
    async_loop_call_later(async_loop_of(co), NULL, ASYNC_MS(10), write_to_pipe,
                          NULL);
    AWAIT(async_poll_readable, ends_of_pipe[0]);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void *runs_it(void *object)
{
    (void)object;
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(turns_it_on)), 0);
    return NULL;
}
static void io_and_a_run_in_another_thread_are_no_mistake(void **state)
{
    pthread_t thread;
    (void)state;
    assert_int_equal(pipe(ends_of_pipe), 0);
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    runs_it(NULL);
    assert_int_equal(pthread_create(&thread, NULL, runs_it, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    close(ends_of_pipe[0]);
    close(ends_of_pipe[1]);
}

/* The environment's ASYNC_DEBUG=1 is there before main(). */
static int told_of_slow;
static int hears(async_loop *of, const async_exception_context *context,
                 void *argument)
{
    (void)of, (void)argument;
    if (strncmp(context->message, "Executing <Task-1 blocks", 24) == 0)
        told_of_slow = 1;
    return 0;
}
struct blocks { ASYNC_FRAME; };
static ASYNC(blocks)
{
    ASYNC_BEGIN(blocks);
    block(200);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}
static void a_step_of_200_ms_by_the_clock(void **state)
{
    (void)state;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_loop_set_exception_handler(&loop.base, hears, NULL);
    assert_int_equal(async_loop_set_debug(&loop.base, 1), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(blocks)), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(told_of_slow, 1);
}

static void the_environment_turns_it_on(void **state)
{
    int status;
    pid_t child = fork();
    (void)state;
    if (child == 0) {
        setenv("ASYNC_DEBUG", "1", 1);
        async__debug_environment();
        told_of_slow = 0;
        async_uv_loop_init(&loop, NULL, NULL);
        async_loop_set_exception_handler(&loop.base, hears, NULL);
        async_loop_run_until_complete(&loop.base, CO(blocks));
        async_loop_close(&loop.base);
        _exit(told_of_slow);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

/* --- SIGUSR1 ------------------------------------------------------------------ */

struct is_signalled { ASYNC_FRAME; };
static int signalled_line;
static ASYNC(is_signalled)
{
    ASYNC_BEGIN(is_signalled);
    kill(getpid(), SIGUSR1);
    signalled_line = __LINE__ + 1;
    AWAIT(async_sleep, ASYNC_MS(50));
    ASYNC_END;
}
static void a_signal_writes_the_tree(void **state)
{
    char text[500] = "", expected[100];
    FILE *file = tmpfile();
    int before = dup(2);
    (void)state;
    assert_non_null(file);
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    assert_int_equal(async_loop_dump_on_signal(&loop.base, SIGUSR1), 0);
    fflush(stderr);
    dup2(fileno(file), 2);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(is_signalled)), 0);
    dup2(before, 2);
    close(before);
    assert_int_equal(async_loop_close(&loop.base), 0);
    rewind(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    snprintf(expected, sizeof expected, "is_signalled (debug_uv.c:%d)",
             signalled_line);
    assert_non_null(strstr(text, "Task-1 is_signalled: sleeping until "));
    assert_non_null(strstr(text, expected));
}

UNIT_MAIN(TEST(a_sleeping_loop_traps_who_wakes_it_from_another_thread),
          TEST(call_soon_threadsafe_is_no_mistake),
          TEST(io_and_a_run_in_another_thread_are_no_mistake),
          TEST(a_step_of_200_ms_by_the_clock),
          TEST(the_environment_turns_it_on), TEST(a_signal_writes_the_tree))
