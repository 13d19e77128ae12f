/* link: -luv */
/* Signals: handlers, waiting, and whose SIGINT is. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/context.h"
#include "../../async/test/virtual.h"
#include "../../async/uv/signal.h"

#include "uv.h"

/* --- handlers -------------------------------------------------------------- */

static int say_and_fail(void *text)
{
    say("%s", (const char *)text);
    return ASYNC_EINVAL;
}

/* Lets what has come be seen, and what that makes ready run. */
struct settle { ASYNC_FRAME; };
static ASYNC(settle)
{
    ASYNC_BEGIN(settle);
    AWAIT(async_sleep, ASYNC_MS(2));
    ASYNC_END;
}

static int add(async *co, int number, async_callback *callback, const char *t)
{
    return async_loop_add_signal_handler(async_loop_of(co), number, callback,
                                         (void *)(uintptr_t)t);
}
static int drop(async *co, int number)
{
    return async_loop_remove_signal_handler(async_loop_of(co), number);
}
static int is_default(int number)
{
    struct sigaction now;
    sigaction(number, NULL, &now);
    return now.sa_handler == SIG_DFL;
}

struct handle_each { ASYNC_FRAME; };
static ASYNC(handle_each)
{
    ASYNC_BEGIN(handle_each);
    assert_int_equal(add(co, SIGUSR1, say_text, "one"), 0);
    assert_int_equal(add(co, SIGUSR2, say_text, "two"), 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGUSR1);
    say("raised");
    AWAIT(settle);
    say("%d%d", drop(co, SIGUSR1), drop(co, SIGUSR2));
    say("%d%d", drop(co, SIGUSR1), drop(co, SIGTERM));
    say("%d%d", is_default(SIGUSR1), is_default(SIGUSR2));
    AWAIT(settle);
    ASYNC_END;
}

static void a_handler_is_called_by_the_loop_for_each_signal(void **s)
{
    (void)s;
    run(CO(handle_each));
    assert_said("raised one two one 11 00 11");
}

/* What a callback of the loop may do. */
struct short_task { ASYNC_FRAME; };
static ASYNC(short_task)
{
    ASYNC_BEGIN(short_task);
    ASYNC_SUSPEND;
    say("task");
    ASYNC_END;
}
static int start_task(void *loop)
{
    assert_ptr_equal(async_get_running_loop(), loop);
    async_task_release(async_create_task(CO(short_task)));
    say("callback");
    return 0;
}
struct handle_by_task { ASYNC_FRAME; };
static ASYNC(handle_by_task)
{
    ASYNC_BEGIN(handle_by_task);
    async_loop_add_signal_handler(async_loop_of(co), SIGUSR1, start_task,
                                  async_loop_of(co));
    raise(SIGUSR1);
    AWAIT(settle);
    drop(co, SIGUSR1);
    AWAIT(settle);
    ASYNC_END;
}

static void a_handler_may_do_what_any_callback_may(void **s)
{
    (void)s;
    run(CO(handle_by_task));
    assert_said("callback task");
}

struct replace { ASYNC_FRAME; };
static ASYNC(replace)
{
    ASYNC_BEGIN(replace);
    add(co, SIGUSR1, say_text, "old");
    raise(SIGUSR1);
    AWAIT(settle);
    raise(SIGUSR1);
    assert_int_equal(add(co, SIGUSR1, say_text, "new"), 0);
    raise(SIGUSR1);
    AWAIT(settle);
    assert_int_equal(async_uv_loop_count_handles(async_loop_of(co)), 1);
    say("%d", drop(co, SIGUSR1));
    say("%d", drop(co, SIGUSR1));
    AWAIT(settle);
    ASYNC_END;
}

static void a_second_handler_replaces_the_first(void **s)
{
    (void)s;
    run(CO(replace));
    assert_said("old new new 1 0");
}

static int remove_second(void *loop)
{
    say("removed:%d", async_loop_remove_signal_handler(loop, SIGUSR2));
    return 0;
}
static int remove_itself(void *loop)
{
    say("itself:%d", async_loop_remove_signal_handler(loop, SIGUSR1));
    return 0;
}
struct remove_pending { ASYNC_FRAME; };
static ASYNC(remove_pending)
{
    ASYNC_BEGIN(remove_pending);
    async_loop_add_signal_handler(async_loop_of(co), SIGUSR1, remove_second,
                                  async_loop_of(co));
    add(co, SIGUSR2, say_text, "never");
    raise(SIGUSR1);
    raise(SIGUSR2);
    AWAIT(settle);
    async_loop_add_signal_handler(async_loop_of(co), SIGUSR1, remove_itself,
                                  async_loop_of(co));
    raise(SIGUSR1);
    raise(SIGUSR1);
    AWAIT(settle);
    say("%d", drop(co, SIGUSR1));
    ASYNC_END;
}

static void
a_removed_handler_is_not_called_even_if_its_signal_has_come(void **s)
{
    (void)s;
    run(CO(remove_pending));
    assert_said("removed:1 itself:1 0");
}

struct add_wrong { ASYNC_FRAME; };
static ASYNC(add_wrong)
{
    ASYNC_BEGIN(add_wrong);
    say("%s", name_of(add(co, 0, say_text, "")));
    say("%s", name_of(add(co, -1, say_text, "")));
    say("%s", name_of(add(co, 1000, say_text, "")));
    say("%s", name_of(add(co, SIGKILL, say_text, "")));
    say("%s", name_of(add(co, SIGSTOP, say_text, "")));
    AWAIT(settle);
    ASYNC_END;
}

static void what_is_no_signal_or_cannot_be_caught_is_an_error(void **s)
{
    async_virtual_loop virtual_loop;
    async_uv_loop closed;
    (void)s;
    run(CO(add_wrong));
    assert_said("ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL "
                "ASYNC_EINVAL");
    async_virtual_loop_init(&virtual_loop, NULL);
    assert_int_equal(async_loop_add_signal_handler(&virtual_loop.base, SIGUSR1,
                                                   say_text, NULL),
                     ASYNC_EINVAL);
    assert_int_equal(
        async_loop_remove_signal_handler(&virtual_loop.base, SIGUSR1), 0);
    async_loop_close(&virtual_loop.base);
    async_uv_loop_init(&closed, NULL, NULL);
    async_loop_close(&closed.base);
    assert_int_equal(
        async_loop_add_signal_handler(&closed.base, SIGUSR1, say_text, NULL),
        ASYNC_ELOOPCLOSED);
    assert_int_equal(async_loop_remove_signal_handler(&closed.base, SIGUSR1),
                     0);
}

struct handle_badly { ASYNC_FRAME; };
static ASYNC(handle_badly)
{
    ASYNC_BEGIN(handle_badly);
    add(co, SIGUSR1, say_and_fail, "called");
    raise(SIGUSR1);
    raise(SIGUSR1);
    AWAIT(settle);
    drop(co, SIGUSR1);
    AWAIT(settle);
    ASYNC_END;
}

static void an_error_of_a_handler_is_reported_each_time(void **s)
{
    (void)s;
    run(CO(handle_badly));
    assert_said("called [Exception in callback: ASYNC_EINVAL] "
                "called [Exception in callback: ASYNC_EINVAL]");
}

static ASYNC_CONTEXTVAR(int) level = ASYNC_CONTEXTVAR_INIT("level", 0);
static int say_level(void *argument)
{
    (void)argument;
    say("%d", ASYNC_CONTEXTVAR_GET(&level));
    return 0;
}
struct handle_in_context { ASYNC_FRAME; };
static ASYNC(handle_in_context)
{
    ASYNC_BEGIN(handle_in_context);
    (void)ASYNC_CONTEXTVAR_SET(&level, 3);
    async_loop_add_signal_handler(async_loop_of(co), SIGUSR1, say_level, NULL);
    (void)ASYNC_CONTEXTVAR_SET(&level, 4);
    raise(SIGUSR1);
    raise(SIGUSR1);
    AWAIT(settle);
    drop(co, SIGUSR1);
    AWAIT(settle);
    ASYNC_END;
}

static void a_handler_runs_in_the_context_in_which_it_was_added(void **s)
{
    (void)s;
    run(CO(handle_in_context));
    assert_said("3 3");
}

static void a_handler_for_which_there_is_no_memory_is_an_error(void **s)
{
    async_uv_loop loop;
    (void)s;
    memory_begin();
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    memory_refuse(1);
    assert_int_equal(
        async_loop_add_signal_handler(&loop.base, SIGUSR1, say_text, NULL),
        ASYNC_ENOMEM);
    assert_true(is_default(SIGUSR1));
    assert_int_equal(
        async_loop_add_signal_handler(&loop.base, SIGUSR1, say_text, NULL), 0);
    async_loop_close(&loop.base);
    assert_int_equal(memory.live, 0);
}

struct handle_and_leave { ASYNC_FRAME; int raised; };
static ASYNC(handle_and_leave)
{
    ASYNC_BEGIN(handle_and_leave);
    add(co, SIGUSR1, say_text, "late");
    add(co, SIGUSR2, say_text, "later");
    if (self->raised) raise(SIGUSR1);
    ASYNC_END;
}

static void a_handler_is_removed_when_its_loop_is_closed(void **s)
{
    async_uv_loop loop;
    uv_loop_t host;
    int borrowed;
    (void)s;
    for (borrowed = 0; borrowed < 2; borrowed++) {
        memory_begin();
        uv_loop_init(&host);
        async_uv_loop_init(&loop, borrowed ? &host : NULL,
                           &counting_allocator);
        async_loop_run_until_complete(&loop.base, CO(handle_and_leave, 1));
        async_loop_run_until_complete(&loop.base, CO(settle));
        async_loop_run_until_complete(&loop.base, CO(handle_and_leave, 1));
        async_loop_close(&loop.base);
        memset(&loop, 0xa5, sizeof loop);
        assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
        assert_int_equal(uv_loop_close(&host), 0);
        assert_int_equal(memory.live, 0);
        assert_true(is_default(SIGUSR1));
        assert_said("late");
    }
}

static void on_a_borrowed_loop_a_handler_lets_uv_run_return(void **s)
{
    async_uv_loop loop;
    uv_loop_t host;
    (void)s;
    uv_loop_init(&host);
    async_uv_loop_init(&loop, &host, NULL);
    async_loop_add_signal_handler(&loop.base, SIGUSR1, say_text,
                                  (void *)(uintptr_t) "called");
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    raise(SIGUSR1);
    async_loop_run_until_complete(&loop.base, CO(settle));
    async_loop_close(&loop.base);
    uv_run(&host, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&host), 0);
    assert_said("called");
}

static void each_of_two_loops_is_told(void **s)
{
    async_uv_loop one, two;
    (void)s;
    async_uv_loop_init(&one, NULL, NULL);
    async_uv_loop_init(&two, NULL, NULL);
    async_loop_add_signal_handler(&one.base, SIGUSR1, say_text,
                                  (void *)(uintptr_t) "one");
    async_loop_add_signal_handler(&two.base, SIGUSR1, say_text,
                                  (void *)(uintptr_t) "two");
    raise(SIGUSR1);
    async_loop_run_until_complete(&two.base, CO(settle));
    async_loop_run_until_complete(&one.base, CO(settle));
    async_loop_close(&one.base);
    assert_false(is_default(SIGUSR1));
    async_loop_close(&two.base);
    assert_true(is_default(SIGUSR1));
    assert_said("two one");
}

/* --- waiting --------------------------------------------------------------- */

struct say_wait { ASYNC_FRAME; async_signal *signal; unsigned n; int error; };
static ASYNC(say_wait)
{
    ASYNC_BEGIN(say_wait);
    ASYNC_TRY {
        AWAIT_INTO(self->n, async_signal_wait, self->signal);
        say("came:%u", self->n);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("wait:%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct wait_for_it { ASYNC_FRAME; async_signal signal; async_task *task; };
static ASYNC(wait_for_it)
{
    ASYNC_BEGIN(wait_for_it);
    AWAIT(async_signal_open, &self->signal, SIGUSR1);
    self->task = async_create_task(CO(say_wait, &self->signal));
    AWAIT(until_waiting, self->task);
    say("raise");
    raise(SIGUSR1);
    AWAIT_JOIN(self->task);
    raise(SIGUSR1);
    raise(SIGUSR1);
    AWAIT(settle);
    say("settled");
    AWAIT(say_wait, &self->signal);
    raise(SIGUSR1);
    AWAIT(say_wait, &self->signal);
    AWAIT(async_signal_close, &self->signal);
    AWAIT(async_signal_close, &self->signal);
    assert_true(is_default(SIGUSR1));
    AWAIT(say_wait, &self->signal);
    AWAIT(async_signal_open, &self->signal, SIGUSR2); /* and again */
    raise(SIGUSR2);
    AWAIT(say_wait, &self->signal);
    AWAIT(async_signal_close, &self->signal);
    ASYNC_END;
}

static void signals_are_waited_for_and_counted_while_nobody_does(void **s)
{
    (void)s;
    run(CO(wait_for_it));
    assert_said(
        "raise came:1 settled came:2 came:1 wait:ASYNC_ECLOSED came:1");
}

struct cancel_wait { ASYNC_FRAME; async_signal signal; async_task *task; };
static ASYNC(cancel_wait)
{
    ASYNC_BEGIN(cancel_wait);
    AWAIT(async_signal_open, &self->signal, SIGUSR1);
    self->task = async_create_task(CO(say_wait, &self->signal));
    AWAIT(until_waiting, self->task);
    async_task_cancel(self->task);
    AWAIT(say_wait, &self->signal); /* the other has not run yet */
    AWAIT_JOIN(self->task);
    raise(SIGUSR1);
    AWAIT(say_wait, &self->signal);
    /* cancelled when it has come, but before the task has run */
    self->task = async_create_task(CO(say_wait, &self->signal));
    AWAIT(until_waiting, self->task);
    raise(SIGUSR1);
    AWAIT(until_woken, self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    AWAIT(say_wait, &self->signal);
    AWAIT(async_signal_close, &self->signal);
    ASYNC_END;
}

static void a_cancelled_wait_loses_no_signal(void **s)
{
    (void)s;
    run(CO(cancel_wait));
    assert_said("wait:ASYNC_EBUSY wait:ASYNC_ECANCELED came:1 "
                "wait:ASYNC_ECANCELED came:1");
}

struct say_close { ASYNC_FRAME; async_signal *signal; int error; };
static ASYNC(say_close)
{
    ASYNC_BEGIN(say_close);
    ASYNC_TRY {
        AWAIT(async_signal_close, self->signal);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("close:%s", name_of(self->error));
    ASYNC_END;
}

struct close_waited {
    ASYNC_FRAME;
    async_signal signal;
    async_task *task, *other;
    int error;
};
static ASYNC(close_waited)
{
    ASYNC_BEGIN(close_waited);
    AWAIT(async_signal_open, &self->signal, SIGUSR1);
    AWAIT_CATCH(self->error, async_signal_open, &self->signal, SIGUSR1);
    say("%s", name_of(self->error));
    self->task = async_create_task(CO(say_wait, &self->signal));
    AWAIT(until_waiting, self->task);
    self->other = async_create_task(CO(say_close, &self->signal));
    AWAIT(until_waiting, self->other);
    async_task_cancel(self->other);
    AWAIT(say_close, &self->signal);
    AWAIT_JOIN(self->task);
    AWAIT_JOIN(self->other);
    AWAIT_CATCH(self->error, async_signal_open, &self->signal, SIGKILL);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_signal_open, &self->signal, 0);
    say("%s", name_of(self->error));
    assert_int_equal(async_uv_loop_count_handles(async_loop_of(co)), 0);
    ASYNC_END;
}

static void closing_tells_who_waits_and_can_be_waited_for_by_several(void **s)
{
    (void)s;
    run(CO(close_waited));
    assert_said(
        "ASYNC_EBUSY wait:ASYNC_ECLOSED close:ASYNC_ECANCELED close:ok "
        "ASYNC_EINVAL ASYNC_EINVAL");
}

static async_signal standing;
struct open_standing { ASYNC_FRAME; };
static ASYNC(open_standing)
{
    ASYNC_BEGIN(open_standing);
    AWAIT(async_signal_open, &standing, SIGUSR1);
    ASYNC_END;
}
struct by_hand { ASYNC_FRAME; };
static ASYNC(by_hand)
{
    async one;
    int error, i;
    ASYNC_BEGIN(by_hand);
    AWAIT(open_standing);
    for (i = 0; i < 3; i++) {
        async_new(&one, NULL,
                  i == 0   ? CO(async_signal_open, &standing, SIGUSR1)
                  : i == 1 ? CO(async_signal_wait, &standing)
                           : CO(async_signal_close, &standing));
        error = async_send(&one);
        say("%s", name_of(error));
        async_close(&one);
    }
    AWAIT(async_signal_close, &standing);
    ASYNC_END;
}

static void signals_need_a_task_on_their_own_loop_of_libuv(void **s)
{
    async_uv_loop one, other;
    (void)s;
    run(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK");
    async_uv_loop_init(&one, NULL, NULL);
    async_uv_loop_init(&other, NULL, NULL);
    async_loop_run_until_complete(&one.base, CO(open_standing));
    async_loop_run_until_complete(&other.base, CO(say_wait, &standing));
    async_loop_run_until_complete(&other.base, CO(say_close, &standing));
    assert_said("wait:ASYNC_EOTHERLOOP close:ASYNC_EOTHERLOOP");
    async_loop_close(&one.base); /* closes it */
    async_loop_close(&other.base);
    assert_true(is_default(SIGUSR1));
    assert_int_equal(async_virtual_run(CO(open_standing)), ASYNC_EINVAL);
}

static void on_a_borrowed_loop_it_is_closed_when_that_has_run(void **s)
{
    async_uv_loop loop;
    uv_loop_t host;
    (void)s;
    uv_loop_init(&host);
    async_uv_loop_init(&loop, &host, NULL);
    async_loop_run_until_complete(&loop.base, CO(open_standing));
    async_loop_close(&loop.base);
    memset(&loop, 0xa5, sizeof loop);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&host), 0);
    run(CO(by_hand)); /* it can be opened again */
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK");
}

/* --- SIGINT ---------------------------------------------------------------- */

struct interrupted { ASYNC_FRAME; int remove; };
static ASYNC(interrupted)
{
    ASYNC_BEGIN(interrupted);
    assert_int_equal(add(co, SIGINT, say_text, "handler"), 0);
    raise(SIGINT);
    AWAIT(settle);
    raise(SIGINT);
    AWAIT(settle);
    say("still here");
    if (self->remove) {
        drop(co, SIGINT);
        raise(SIGINT);
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    }
    ASYNC_END;
}

static void a_handler_for_sigint_takes_it_until_it_is_removed(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(interrupted, 0)), 0);
    assert_said("handler handler still here");
    assert_int_equal(async_run(CO(interrupted, 1)), ASYNC_EINTR);
    assert_said("handler handler still here");
    assert_true(is_default(SIGINT));
}

struct wait_for_interrupt { ASYNC_FRAME; async_signal signal; };
static ASYNC(wait_for_interrupt)
{
    ASYNC_BEGIN(wait_for_interrupt);
    AWAIT(async_signal_open, &self->signal, SIGINT);
    raise(SIGINT);
    AWAIT(say_wait, &self->signal);
    AWAIT(async_signal_close, &self->signal);
    raise(SIGINT);
    AWAIT(async_sleep, ASYNC_SECONDS(1000));
    ASYNC_END;
}

static void so_does_who_waits_for_it(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(wait_for_interrupt)), ASYNC_EINTR);
    assert_said("came:1");
}

struct remove_and_raise { ASYNC_FRAME; };
static ASYNC(remove_and_raise)
{
    ASYNC_BEGIN(remove_and_raise);
    raise(SIGINT);
    AWAIT(settle);
    drop(co, SIGINT);
    raise(SIGINT);
    AWAIT(async_sleep, ASYNC_SECONDS(1000));
    ASYNC_END;
}

static void a_handler_that_is_there_before_a_run_does_too(void **s)
{
    async_uv_loop loop;
    async_runner runner;
    (void)s;
    signal(SIGINT, SIG_DFL);
    async_uv_loop_init(&loop, NULL, NULL);
    async_runner_init(&runner, &loop.base);
    async_loop_add_signal_handler(&loop.base, SIGINT, say_text,
                                  (void *)(uintptr_t) "handler");
    assert_int_equal(async_runner_run(&runner, CO(remove_and_raise)),
                     ASYNC_EINTR);
    async_runner_close(&runner);
    assert_true(is_default(SIGINT));
    assert_said("handler");
}

UNIT_MAIN(TEST(a_handler_is_called_by_the_loop_for_each_signal),
          TEST(a_handler_may_do_what_any_callback_may),
          TEST(a_second_handler_replaces_the_first),
          TEST(a_removed_handler_is_not_called_even_if_its_signal_has_come),
          TEST(what_is_no_signal_or_cannot_be_caught_is_an_error),
          TEST(an_error_of_a_handler_is_reported_each_time),
          TEST(a_handler_runs_in_the_context_in_which_it_was_added),
          TEST(a_handler_for_which_there_is_no_memory_is_an_error),
          TEST(a_handler_is_removed_when_its_loop_is_closed),
          TEST(on_a_borrowed_loop_a_handler_lets_uv_run_return),
          TEST(each_of_two_loops_is_told),
          TEST(signals_are_waited_for_and_counted_while_nobody_does),
          TEST(a_cancelled_wait_loses_no_signal),
          TEST(closing_tells_who_waits_and_can_be_waited_for_by_several),
          TEST(signals_need_a_task_on_their_own_loop_of_libuv),
          TEST(on_a_borrowed_loop_it_is_closed_when_that_has_run),
          TEST(a_handler_for_sigint_takes_it_until_it_is_removed),
          TEST(so_does_who_waits_for_it),
          TEST(a_handler_that_is_there_before_a_run_does_too))
