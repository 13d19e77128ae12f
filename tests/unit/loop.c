/* The loop: callbacks, handles, running and stopping, where errors go,
 * closing, and the clock that jumps. */
#define _POSIX_C_SOURCE 200809L /* dup2, to read what goes to stderr */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>
#include <unistd.h>

/* --- helpers ------------------------------------------------------------- */

static async_virtual_loop loop;

static void open_loop(void)
{
    async_virtual_loop_init(&loop, NULL);
}

static void close_loop(void)
{
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* One iteration, in which time stands still. */
static void iterate(void)
{
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
}

/* Runs until nothing can happen any more. */
static void run_dry(void)
{
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
}

static int now_ms(void)
{
    return (int)(async_loop_time(&loop.base) / ASYNC_MS(1));
}

static int say_it(void *word)
{
    say("%s", (const char *)word);
    return 0;
}

static int say_when(void *word)
{
    say("%s@%d", (const char *)word, now_ms());
    return 0;
}

static int stop(void *word)
{
    if (word != NULL) say("%s", (const char *)word);
    async_loop_stop(&loop.base);
    return 0;
}

static int fails(void *word)
{
    say("%s", (const char *)word);
    return EKEY;
}

/* Schedules a word, with a handle of one's own. */
static int soon_by(async_handle *handle, const char *word)
{
    return async_loop_call_soon(&loop.base, handle, say_it,
                                (void *)(uintptr_t)word);
}

static void soon(const char *word)
{
    assert_int_equal(soon_by(NULL, word), 0);
}

static void later(async_duration delay, const char *word)
{
    assert_int_equal(async_loop_call_later(&loop.base, NULL, delay, say_when,
                                           (void *)(uintptr_t)word),
                     0);
}

static void cancel(async_handle *handle)
{
    async_handle_cancel(handle);
}

/* A callback that cancels a handle. */
static int cancel_it(void *handle)
{
    say("cancel");
    cancel(handle);
    return 0;
}

/* A handler that tells the error and the message. */
static int hear(async_loop *l, const async_exception_context *context,
                void *argument)
{
    (void)argument;
    assert_ptr_equal(l, &loop.base);
    if (context->error)
        say("[%s: %s]", context->message, async_error_name(context->error));
    else
        say("[%s]", context->message);
    return 0;
}

/* What is written to stderr goes to a file until written() reads it. */
static int real_stderr;
static FILE *capture;

static void capture_stderr(void)
{
    fflush(stderr);
    capture = tmpfile();
    assert_non_null(capture);
    real_stderr = dup(2);
    dup2(fileno(capture), 2);
}

static const char *written(void)
{
    static char text[4096];
    size_t length;
    fflush(stderr);
    dup2(real_stderr, 2);
    close(real_stderr);
    rewind(capture);
    length = fread(text, 1, sizeof text - 1, capture);
    text[length] = '\0';
    fclose(capture);
    return text;
}

/* Says a word, sleeps, says another, or why it does not. */
struct nap {
    ASYNC_RETURNS(int);
    async_duration delay;
    const char *name;
    int error;
};
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    ASYNC_TRY {
        say("%s", self->name);
        AWAIT(async_sleep, self->delay);
        say("%s-woke", self->name);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("%s-cancelled", self->name);
        ASYNC_RAISE(self->error ? self->error : (int)ASYNC_ECANCELED);
    } ASYNC_FINALLY {
        say("%s-finally", self->name);
    } ASYNC_END_TRY
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_RETURN(7);
    ASYNC_END;
}

/* Waits for what never comes. */
struct waits { ASYNC_FRAME; async_future *future; const char *name; };
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    AWAIT_FUTURE(self->future);
    say("%s", self->name);
    ASYNC_END;
}

/* --- call_soon ------------------------------------------------------------ */

static void callbacks_run_in_the_order_in_which_they_were_scheduled(void **s)
{
    (void)s;
    open_loop();
    soon("a");
    soon("b");
    soon("c");
    assert_said("");
    iterate();
    assert_said("a b c");
    close_loop();
}

static int schedule_two(void *word)
{
    say("%s", (const char *)word);
    soon("d");
    soon("e");
    return 0;
}

static void what_a_callback_makes_ready_runs_in_the_next_iteration(void **s)
{
    (void)s;
    open_loop();
    soon("a");
    async_loop_call_soon(&loop.base, NULL, schedule_two, "b");
    soon("c");
    iterate();
    assert_said("a b c");
    iterate();
    assert_said("d e");
    iterate();
    assert_said("");
    close_loop();
}

static async_handle handle_of_again;
static int times_again;
static int again(void *word)
{
    say("%s%d", (const char *)word, ++times_again);
    if (times_again < 3)
        assert_int_equal(
            async_loop_call_soon(&loop.base, &handle_of_again, again, word),
            0);
    return 0;
}

static void a_callback_may_schedule_its_own_handle_again(void **s)
{
    (void)s;
    open_loop();
    memset(&handle_of_again, 0, sizeof handle_of_again);
    times_again = 0;
    async_loop_call_soon(&loop.base, &handle_of_again, again, "a");
    iterate();
    assert_said("a1");
    iterate();
    assert_said("a2");
    iterate();
    iterate();
    assert_said("a3");
    close_loop();
}

static int free_it(void *handle)
{
    free(handle);
    say("freed");
    return 0;
}

static void a_callback_may_free_its_own_handle(void **s)
{
    async_handle *first = calloc(1, sizeof *first);
    async_handle *second = calloc(1, sizeof *second);
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, first, free_it, first);
    async_loop_call_later(&loop.base, second, 5, free_it, second);
    run_dry();
    assert_said("freed freed");
    close_loop();
}

static void a_handle_that_is_scheduled_is_busy_until_it_has_run(void **s)
{
    async_handle handle = { 0 };
    (void)s;
    open_loop();
    assert_int_equal(soon_by(&handle, "a"), 0);
    assert_int_equal(soon_by(&handle, "b"), ASYNC_EBUSY);
    assert_int_equal(async_loop_call_at(&loop.base, &handle, 1, say_it, "b"),
                     ASYNC_EBUSY);
    iterate();
    assert_int_equal(
        async_loop_call_later(&loop.base, &handle, 1, say_it, "c"), 0);
    assert_int_equal(
        async_loop_call_later(&loop.base, &handle, 2, say_it, "d"),
        ASYNC_EBUSY);
    assert_int_equal(soon_by(&handle, "d"), ASYNC_EBUSY);
    run_dry();
    assert_int_equal(
        async_loop_call_soon_threadsafe(&loop.base, &handle, say_it, "e"), 0);
    assert_int_equal(
        async_loop_call_soon_threadsafe(&loop.base, &handle, say_it, "f"),
        ASYNC_EBUSY);
    assert_int_equal(soon_by(&handle, "f"), ASYNC_EBUSY);
    iterate();
    assert_said("a c e");
    close_loop();
}

static void a_closed_loop_takes_no_callbacks(void **s)
{
    async_handle handle = { 0 };
    (void)s;
    open_loop();
    close_loop();
    assert_int_equal(soon_by(&handle, "a"), ASYNC_ELOOPCLOSED);
    assert_int_equal(soon_by(NULL, "a"), ASYNC_ELOOPCLOSED);
    assert_int_equal(
        async_loop_call_later(&loop.base, &handle, 1, say_it, "a"),
        ASYNC_ELOOPCLOSED);
    assert_int_equal(async_loop_call_at(&loop.base, NULL, 1, say_it, "a"),
                     ASYNC_ELOOPCLOSED);
    assert_int_equal(
        async_loop_call_soon_threadsafe(&loop.base, &handle, say_it, "a"),
        ASYNC_ELOOPCLOSED);
    assert_int_equal(
        async_loop_call_soon_threadsafe(&loop.base, NULL, say_it, "a"),
        ASYNC_ELOOPCLOSED);
}

/* Outside a run, the loop's own thread is a thread like any other. */
static void threadsafe_callbacks_run_in_the_order_of_the_calls(void **s)
{
    async_handle handle = { 0 };
    (void)s;
    open_loop();
    async_loop_call_soon_threadsafe(&loop.base, NULL, say_it, "a");
    async_loop_call_soon_threadsafe(&loop.base, &handle, say_it, "b");
    async_loop_call_soon_threadsafe(&loop.base, NULL, say_it, "c");
    iterate();
    assert_said("a b c");
    close_loop();
}

static int both_ways(void *word)
{
    soon_by(NULL, "soon");
    async_loop_call_soon_threadsafe(&loop.base, NULL, say_it, word);
    soon_by(NULL, "after");
    return 0;
}

static void threadsafe_in_the_running_loop_is_call_soon(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, NULL, both_ways, "threadsafe");
    iterate();
    iterate();
    assert_said("soon threadsafe after");
    close_loop();
}

static void a_threadsafe_callback_ends_what_would_be_a_deadlock(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon_threadsafe(&loop.base, NULL, say_it, "a");
    run_dry();
    assert_said("a");
    close_loop();
}

/* --- call_later and call_at ----------------------------------------------- */

static void timers_run_in_the_order_of_their_deadlines(void **s)
{
    (void)s;
    open_loop();
    later(ASYNC_MS(3), "three");
    later(ASYNC_MS(1), "one");
    later(ASYNC_MS(2), "two");
    run_dry();
    assert_said("one@1 two@2 three@3");
    close_loop();
}

static void equal_deadlines_run_in_the_order_of_scheduling(void **s)
{
    (void)s;
    open_loop();
    later(ASYNC_MS(2), "a");
    async_loop_call_at(&loop.base, NULL, ASYNC_MS(2), say_when, "b");
    async_virtual_loop_advance(&loop, ASYNC_MS(1));
    later(ASYNC_MS(1), "c");
    run_dry();
    assert_said("a@2 b@2 c@2");
    close_loop();
}

static void a_timer_that_is_due_runs_behind_all_that_was_ready(void **s)
{
    (void)s;
    open_loop();
    later(0, "later");
    async_loop_call_at(&loop.base, NULL, ASYNC_MS(-1), say_it, "past");
    soon("soon");
    later(ASYNC_MS(-2), "negative");
    iterate();
    assert_said("soon negative@0 past later@0");
    close_loop();
}

static int timer_of_now(void *word)
{
    say("%s", (const char *)word);
    later(0, "timer");
    async_loop_call_at(&loop.base, NULL, ASYNC_MS(-9), say_it, "past");
    soon("soon");
    return 0;
}

static void a_timer_that_is_due_at_once_waits_for_the_next_iteration(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, NULL, timer_of_now, "ready");
    iterate();
    assert_said("ready");
    iterate();
    assert_said("soon past timer@0");
    later(0, "due");
    async_loop_call_later(&loop.base, NULL, 0, timer_of_now, "due");
    later(0, "due");
    iterate();
    assert_said("due@0 due due@0");
    iterate();
    assert_said("soon past timer@0");
    close_loop();
}

static void what_is_ready_runs_before_time_moves(void **s)
{
    (void)s;
    open_loop();
    later(1, "timer");
    async_loop_call_soon(&loop.base, NULL, schedule_two, "a");
    run_dry();
    assert_said("a d e timer@0");
    assert_int_equal(async_loop_time(&loop.base), 1);
    close_loop();
}

static void when_is_the_deadline_of_a_timer(void **s)
{
    async_handle at = { 0 }, after = { 0 };
    (void)s;
    open_loop();
    async_virtual_loop_advance(&loop, ASYNC_SECONDS(5));
    async_loop_call_at(&loop.base, &at, 123456789, say_it, "at");
    async_loop_call_later(&loop.base, &after, ASYNC_SECONDS(0.5), say_it,
                          "after");
    assert_int_equal(async_handle_when(&at), 123456789);
    assert_int_equal(async_handle_when(&after), ASYNC_MS(5500));
    run_dry();
    assert_int_equal(async_handle_when(&after), ASYNC_MS(5500));
    close_loop();
}

/* --- handles -------------------------------------------------------------- */

static void a_cancelled_handle_does_not_run(void **s)
{
    async_handle ready = { 0 }, timer = { 0 };
    (void)s;
    open_loop();
    soon_by(&ready, "ready");
    async_loop_call_later(&loop.base, &timer, 1, say_it, "timer");
    assert_false(async_handle_cancelled(&ready));
    assert_false(async_handle_cancelled(&timer));
    cancel(&ready);
    cancel(&timer);
    assert_true(async_handle_cancelled(&ready));
    assert_true(async_handle_cancelled(&timer));
    run_dry();
    assert_said("");
    assert_int_equal(async_loop_time(&loop.base), 0); /* nothing to wait for */
    close_loop();
}

static void a_cancelled_handle_is_the_callers_again_at_once(void **s)
{
    async_handle handle = { 0 };
    (void)s;
    open_loop();
    soon_by(&handle, "never");
    cancel(&handle);
    assert_int_equal(
        async_loop_call_later(&loop.base, &handle, 1, say_it, "never"), 0);
    cancel(&handle);
    assert_int_equal(soon_by(&handle, "a"), 0);
    assert_false(async_handle_cancelled(&handle));
    run_dry();
    assert_said("a");
    close_loop();
}

static void cancelling_takes_out_any_place_of_the_queue(void **s)
{
    async_handle h[3];
    static const char *names[] = { "a", "b", "c" };
    static const char *left[] = { "x b c y", "x a c y", "x a b y" };
    int out, i;
    (void)s;
    for (out = 0; out < 3; out++) {
        open_loop();
        memset(h, 0, sizeof h);
        soon("x");
        for (i = 0; i < 3; i++) soon_by(&h[i], names[i]);
        cancel(&h[out]);
        soon("y");
        iterate();
        assert_said(left[out]);
        close_loop();
    }
    /* the first, the last, and then the only one */
    open_loop();
    memset(h, 0, sizeof h);
    for (i = 0; i < 3; i++) soon_by(&h[i], "never");
    cancel(&h[0]);
    cancel(&h[2]);
    cancel(&h[1]);
    soon("y");
    iterate();
    assert_said("y");
    close_loop();
}

static void an_earlier_callback_cancels_a_later_one_of_its_iteration(void **s)
{
    int out;
    (void)s;
    for (out = 0; out < 3; out++) {
        static const char *left[] = { "cancel b c", "cancel a c",
                                      "cancel a b" };
        async_handle h[3];
        memset(h, 0, sizeof h);
        open_loop();
        async_loop_call_soon(&loop.base, NULL, cancel_it, &h[out]);
        soon_by(&h[0], "a");
        soon_by(&h[1], "b");
        soon_by(&h[2], "c");
        iterate();
        assert_said(left[out]);
        soon("queue is whole");
        iterate();
        assert_said("queue is whole");
        close_loop();
    }
}

static async_handle two_to_cancel[2];
static int cancel_both_and_schedule(void *unused)
{
    (void)unused;
    cancel(&two_to_cancel[0]);
    cancel(&two_to_cancel[1]);
    soon_by(&two_to_cancel[1], "again");
    return 0;
}

static void what_is_cancelled_in_its_iteration_can_be_scheduled_anew(void **s)
{
    (void)s;
    memset(two_to_cancel, 0, sizeof two_to_cancel);
    open_loop();
    async_loop_call_soon(&loop.base, NULL, cancel_both_and_schedule, NULL);
    soon_by(&two_to_cancel[0], "never");
    soon_by(&two_to_cancel[1], "never");
    soon("rest");
    iterate();
    assert_said("rest");
    iterate();
    assert_said("again");
    close_loop();
}

/* Among tasks, whose places in the queue are of another kind. */
static void callbacks_are_cancelled_from_between_tasks(void **s)
{
    async_handle h[3];
    async_task *tasks[3];
    static const char *task_names[] = { "t0", "t1", "t2" };
    static const char *names[] = { "h0", "h1", "h2" };
    int i;
    (void)s;
    memset(h, 0, sizeof h);
    open_loop();
    async_loop_call_soon(&loop.base, NULL, cancel_it, &h[1]);
    for (i = 0; i < 3; i++) {
        tasks[i] =
            async_loop_create_task(&loop.base, CO(nap, 0, task_names[i]));
        soon_by(&h[i], names[i]);
    }
    cancel(&h[0]);
    iterate();
    assert_said("cancel t0 t1 t2 h2");
    run_dry();
    assert_said("t0-woke t0-finally t1-woke t1-finally t2-woke t2-finally");
    for (i = 0; i < 3; i++) async_task_release(tasks[i]);
    close_loop();
}

static void a_timer_cancels_another_of_the_same_instant(void **s)
{
    async_handle second = { 0 }, third = { 0 };
    (void)s;
    open_loop();
    async_loop_call_at(&loop.base, NULL, 5, cancel_it, &second);
    async_loop_call_at(&loop.base, &second, 5, say_it, "never");
    async_loop_call_at(&loop.base, &third, 5, say_it, "third");
    run_dry();
    assert_said("cancel third");
    assert_int_equal(soon_by(&second, "a"), 0);
    iterate();
    assert_said("a");
    close_loop();
}

static void a_ready_callback_cancels_a_timer_that_is_due(void **s)
{
    async_handle timer = { 0 };
    (void)s;
    open_loop();
    async_loop_call_at(&loop.base, &timer, 0, say_it, "never");
    async_loop_call_at(&loop.base, NULL, 0, say_it, "timer");
    async_loop_call_soon(&loop.base, NULL, cancel_it, &timer);
    iterate();
    assert_said("cancel timer");
    close_loop();
}

static void cancelling_what_has_run_or_was_never_scheduled_only_marks(void **s)
{
    async_handle never = { 0 }, ran = { 0 };
    (void)s;
    open_loop();
    cancel(&never);
    assert_true(async_handle_cancelled(&never));
    soon_by(&ran, "a");
    iterate();
    assert_false(async_handle_cancelled(&ran));
    cancel(&ran);
    assert_true(async_handle_cancelled(&ran));
    cancel(&ran);
    soon("b");
    iterate();
    assert_said("a b");
    close_loop();
}

static void a_callback_that_cancels_itself_is_only_marked(void **s)
{
    async_handle self = { 0 };
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, &self, cancel_it, &self);
    soon("next");
    iterate();
    assert_true(async_handle_cancelled(&self));
    assert_said("cancel next");
    close_loop();
}

static void a_cancelled_threadsafe_callback_does_not_run(void **s)
{
    async_handle handle = { 0 }, late = { 0 };
    (void)s;
    open_loop();
    async_loop_call_soon_threadsafe(&loop.base, &handle, say_it, "never");
    async_loop_call_soon_threadsafe(&loop.base, NULL, cancel_it, &late);
    async_loop_call_soon_threadsafe(&loop.base, &late, say_it, "never");
    cancel(&handle);
    iterate();
    assert_said("cancel");
    assert_int_equal(soon_by(&handle, "a"), 0);
    assert_int_equal(soon_by(&late, "b"), 0);
    iterate();
    assert_said("a b");
    close_loop();
}

/* --- stopping ------------------------------------------------------------- */

static void stop_lets_the_iteration_end_and_leaves_the_next_one(void **s)
{
    (void)s;
    open_loop();
    soon("a");
    async_loop_call_soon(&loop.base, NULL, stop, "stop");
    async_loop_call_soon(&loop.base, NULL, schedule_two, "b");
    later(0, "timer");
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    assert_said("a stop b timer@0");
    run_dry();
    assert_said("d e");
    close_loop();
}

static void a_timer_stops_the_loop_after_those_of_its_instant(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_at(&loop.base, NULL, ASYNC_MS(1), stop, "stop");
    later(ASYNC_MS(1), "same");
    later(ASYNC_MS(2), "next");
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    assert_said("stop same@1");
    run_dry();
    assert_said("next@2");
    close_loop();
}

static void stop_before_a_run_makes_it_one_iteration_without_waiting(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, NULL, schedule_two, "a");
    later(ASYNC_MS(1), "timer");
    async_loop_stop(&loop.base);
    async_loop_stop(&loop.base); /* twice is once */
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    assert_said("a");
    assert_int_equal(now_ms(), 0);
    run_dry();
    assert_said("d e timer@1");
    close_loop();
}

/* A backend like libuv's: it is polled seldom while there is work, and what it
 * finds in its poll it may act on at once. */
typedef struct seldom {
    async_loop base;
    int stop_in_poll, polls;
    async_time time;
    async_operation *finish_when_idle;
} seldom;
static async_time seldom_now(async_loop *l)
{
    return ((seldom *)(void *)l)->time;
}
static int seldom_poll(async_loop *l, async_time deadline)
{
    seldom *mine = (seldom *)(void *)l;
    mine->polls++;
    if (mine->stop_in_poll) async_loop_stop(l);
    if (deadline == ASYNC_FOREVER && mine->finish_when_idle != NULL) {
        say("finish");
        async_future_set_result(&mine->finish_when_idle->future);
        mine->finish_when_idle = NULL;
        return 0;
    }
    return deadline == ASYNC_FOREVER ? EVALUE : 0;
}
static void seldom_nothing(async_loop *l)
{
    (void)l;
}
static void seldom_init(seldom *l)
{
    static const async_backend backend = { seldom_now, seldom_poll,
                                           seldom_nothing, seldom_nothing,
                                           NULL };
    memset(l, 0, sizeof *l);
    async_loop_init(&l->base, &backend, NULL, 0);
}

static int five_times(void *l)
{
    static int times;
    say("%d", ++times % 5);
    if (times % 5 != 0) async_loop_call_soon(l, NULL, five_times, l);
    return 0;
}

static void a_loop_that_polls_seldom_stops_as_well(void **s)
{
    static seldom l;
    (void)s;
    seldom_init(&l);
    async_loop_call_soon(&l.base, NULL, five_times, &l.base);
    async_loop_stop(&l.base);
    assert_int_equal(async_loop_run_forever(&l.base), 0);
    assert_said("1");
    l.stop_in_poll = 1;
    assert_int_equal(async_loop_run_forever(&l.base), 0);
    assert_said("2");
    l.stop_in_poll = 0;
    assert_int_equal(async_loop_run_forever(&l.base), EVALUE);
    assert_said("3 4 0");
    assert_int_equal(async_loop_close(&l.base), 0);
}

static int stop_and_schedule(void *l)
{
    say("stop");
    async_loop_stop(l);
    return async_loop_call_soon(l, NULL, five_times, l);
}

static void a_callback_stops_a_loop_that_polls_seldom(void **s)
{
    static seldom l;
    (void)s;
    seldom_init(&l);
    async_loop_call_soon(&l.base, NULL, stop_and_schedule, &l.base);
    assert_int_equal(async_loop_run_forever(&l.base), 0);
    assert_said("stop");
    assert_int_equal(async_loop_run_forever(&l.base), EVALUE);
    assert_said("1 2 3 4 0");
    assert_int_equal(async_loop_close(&l.base), 0);
}

static int timer_among_others(void *l)
{
    async_loop_call_later(l, NULL, 0, say_it, "timer");
    return five_times(l);
}

static void a_loop_that_polls_seldom_sees_at_once_what_is_due(void **s)
{
    static seldom l;
    (void)s;
    seldom_init(&l);
    async_loop_call_soon(&l.base, NULL, timer_among_others, &l.base);
    assert_int_equal(async_loop_run_forever(&l.base), EVALUE);
    assert_said("1 2 timer 3 4 0");
    assert_int_equal(async_loop_close(&l.base), 0);
}

struct spin { ASYNC_FRAME; seldom *loop; int i; };
static ASYNC(spin)
{
    ASYNC_BEGIN(spin);
    async_loop_call_later(&self->loop->base, NULL, ASYNC_MS(1), say_it,
                          "timer");
    for (self->i = 1; self->i <= 40; self->i++) {
        if (self->i == 37) self->loop->time += ASYNC_MS(1);
        if (self->i > 35) say("%d", self->i);
        AWAIT(async_sleep, 0);
    }
    ASYNC_END;
}

static void
a_loop_that_polls_seldom_looks_at_the_clock_each_iteration(void **s)
{
    static seldom l;
    (void)s;
    seldom_init(&l);
    assert_int_equal(
        async_loop_run_until_complete(&l.base, CO(spin, .loop = &l)), 0);
    assert_said("36 37 38 timer 39 40");
    assert_in_range(l.polls, 1, 8);
    assert_int_equal(async_loop_close(&l.base), 0);
}

static void an_error_of_the_backend_ends_the_run(void **s)
{
    static seldom l;
    (void)s;
    seldom_init(&l);
    async_loop_call_soon(&l.base, NULL, say_it, "a");
    assert_int_equal(async_loop_run_forever(&l.base), EVALUE);
    assert_said("a");
    assert_false(async_loop_is_running(&l.base));
    async_loop_call_soon(&l.base, NULL, say_it, "b");
    assert_int_equal(async_loop_run_forever(&l.base), EVALUE);
    assert_said("b");
    assert_int_equal(l.polls, 4);
    assert_int_equal(async_loop_close(&l.base), 0);
}

/* --- running -------------------------------------------------------------- */

static int tell_running(void *unused)
{
    (void)unused;
    say("%d", async_get_running_loop() == &loop.base);
    say("%d", async_loop_is_running(&loop.base));
    return 0;
}

static void the_running_loop_is_known_while_it_runs(void **s)
{
    (void)s;
    open_loop();
    assert_null(async_get_running_loop());
    assert_false(async_loop_is_running(&loop.base));
    async_loop_call_soon(&loop.base, NULL, tell_running, NULL);
    iterate();
    assert_said("1 1");
    assert_null(async_get_running_loop());
    assert_false(async_loop_is_running(&loop.base));
    close_loop();
}

static int run_in_run(void *unused)
{
    static async_virtual_loop other;
    (void)unused;
    async_virtual_loop_init(&other, NULL);
    say("%s", async_error_name(async_loop_run_forever(&loop.base)));
    say("%s",
        async_error_name(async_loop_run_until_complete(&loop.base, CO(nap))));
    say("%s", async_error_name(async_loop_run_forever(&other.base)));
    say("%s",
        async_error_name(async_loop_run_until_complete(&other.base, CO(nap))));
    say("%s", async_error_name(async_run_on(&other.base, CO(nap))));
    say("%s", async_error_name(async_run_on(&loop.base, CO(nap))));
    say("%s", async_error_name(async_virtual_run(CO(nap))));
    say("%d", async_get_running_loop() == &loop.base);
    async_loop_close(&other.base);
    return 0;
}

static void no_loop_runs_inside_another_or_itself(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, NULL, run_in_run, NULL);
    soon("goes on");
    iterate();
    assert_said("ASYNC_ELOOPRUNNING ASYNC_ELOOPRUNNING ASYNC_EOTHERRUNNING "
                "ASYNC_EOTHERRUNNING ASYNC_ENESTEDRUN ASYNC_ENESTEDRUN "
                "ASYNC_ENESTEDRUN 1 goes on");
    close_loop();
}

static void a_closed_loop_does_not_run(void **s)
{
    (void)s;
    open_loop();
    close_loop();
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_ELOOPCLOSED);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(nap)),
                     ASYNC_ELOOPCLOSED);
}

static void run_until_complete_returns_how_it_ended(void **s)
{
    async_future done, failed;
    (void)s;
    open_loop();
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(nap, 5, "a")), 0);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(nap, 5, "b", EKEY)),
        EKEY);
    assert_int_equal(async_loop_run_until_complete(
                         &loop.base, CO(nap, 5, "c", ASYNC_ECANCELED)),
                     ASYNC_ECANCELED);
    async_future_init(&done, &loop.base);
    async_future_init(&failed, &loop.base);
    async_future_set_result(&done);
    async_future_set_exception(&failed, EKEY);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, async_future_object(&done)),
        0);
    assert_int_equal(async_loop_run_until_complete(
                         &loop.base, async_future_object(&failed)),
                     EKEY);
    async_future_destroy(&failed); /* its error counts as taken */
    assert_said("a a-woke a-finally b b-woke b-finally c c-woke c-finally");
    close_loop();
}

static void run_until_complete_into_gives_the_result_or_leaves_it(void **s)
{
    int n = 1;
    (void)s;
    open_loop();
    assert_int_equal(ASYNC_RUN_UNTIL_COMPLETE_INTO(n, &loop.base, nap, 1, "a",
                                                   .error = EKEY),
                     EKEY);
    assert_int_equal(n, 1);
    assert_int_equal(ASYNC_RUN_UNTIL_COMPLETE_INTO(n, &loop.base, nap, 1, "b"),
                     0);
    assert_int_equal(n, 7);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    close_loop();
}

static void run_until_complete_leaves_other_tasks_where_they_stand(void **s)
{
    async_task *other;
    (void)s;
    open_loop();
    other = async_loop_create_task(&loop.base, CO(nap, ASYNC_MS(2), "other"));
    assert_int_equal(async_loop_run_until_complete(
                         &loop.base, CO(nap, ASYNC_MS(1), "main")),
                     0);
    assert_said("other main main-woke main-finally");
    assert_false(async_task_done(other));
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, async_task_object(other)),
        0);
    assert_said("other-woke other-finally");
    assert_int_equal(now_ms(), 2);
    async_task_release(other);
    close_loop();
}

static void a_loop_stopped_before_completion_says_so_and_can_go_on(void **s)
{
    async_future never;
    (void)s;
    open_loop();
    async_loop_call_later(&loop.base, NULL, 1, stop, "stop");
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(nap, 5, "a")),
        ASYNC_ELOOPSTOPPED);
    assert_said("a stop");
    run_dry();
    assert_said("a-woke a-finally");
    async_future_init(&never, &loop.base);
    async_loop_call_soon(&loop.base, NULL, stop, "stop");
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, async_future_object(&never)),
        ASYNC_ELOOPSTOPPED);
    async_future_set_result(&never); /* and it stops nothing any more */
    soon("b");
    run_dry();
    assert_said("stop b");
    close_loop();
}

/* --- the exception handler ------------------------------------------------ */

static int fail_in_done_callback(async_future *future, void *word)
{
    (void)future;
    return fails(word);
}

static void an_error_of_a_callback_is_reported_and_stops_nothing(void **s)
{
    async_future future;
    async_done_callback node = { 0 };
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    async_loop_call_soon(&loop.base, NULL, fails, "a");
    soon("b");
    async_loop_call_at(&loop.base, NULL, 0, fails, "timer");
    later(0, "c");
    async_future_init(&future, &loop.base);
    async_future_add_done_callback(&future, &node, fail_in_done_callback,
                                   "done");
    async_future_set_result(&future);
    run_dry();
    assert_said("a [Exception in callback: EKEY] b done "
                "[Exception in callback: EKEY] timer "
                "[Exception in callback: EKEY] c@0");
    close_loop();
}

static int positive(void *unused)
{
    (void)unused;
    return 1;
}

static void a_positive_value_of_a_callback_is_no_error(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    async_loop_call_soon(&loop.base, NULL, positive, NULL);
    iterate();
    assert_said("");
    close_loop();
}

/* What a handler was told. */
static async_exception_context told;
static int times_told;
static int take_note(async_loop *l, const async_exception_context *context,
                     void *argument)
{
    assert_ptr_equal(l, &loop.base);
    assert_ptr_equal(argument, &told);
    told = *context;
    times_told++;
    return 0;
}

static void the_handler_gets_the_callbacks_handle(void **s)
{
    async_handle own = { 0 };
    (void)s;
    open_loop();
    times_told = 0;
    async_loop_set_exception_handler(&loop.base, take_note, &told);
    async_loop_call_soon(&loop.base, &own, fails, "a");
    iterate();
    assert_int_equal(times_told, 1);
    assert_string_equal(told.message, "Exception in callback");
    assert_int_equal(told.error, EKEY);
    assert_ptr_equal(told.handle, &own);
    assert_null(told.future);
    assert_null(told.name);
    async_loop_call_soon(&loop.base, NULL, fails, "b");
    iterate();
    assert_int_equal(times_told, 2);
    assert_null(told.handle); /* it is the loop's, and gone */
    close_loop();
}

static void the_handler_gets_the_future_whose_error_nobody_took(void **s)
{
    async_future future;
    (void)s;
    open_loop();
    times_told = 0;
    async_loop_set_exception_handler(&loop.base, take_note, &told);
    async_future_init(&future, &loop.base);
    async_future_set_exception(&future, EVALUE);
    async_future_destroy(&future);
    assert_int_equal(times_told, 1);
    assert_string_equal(told.message, "Future exception was never retrieved");
    assert_int_equal(told.error, EVALUE);
    assert_ptr_equal(told.future, &future);
    assert_null(told.handle);
    close_loop();
}

static int name_of_task(async_loop *l, const async_exception_context *context,
                        void *argument)
{
    (void)l, (void)argument;
    say("[%s: %s %s]", context->message, async_error_name(context->error),
        async_task_get_name((async_task *)(void *)context->future));
    return 0;
}

static void the_handler_gets_the_task_and_may_ask_for_its_name(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, name_of_task, NULL);
    task = async_loop_create_task(&loop.base, CO(nap, 0, "a", EKEY));
    async_task_set_name(task, "the nap");
    async_task_release(task);
    run_dry();
    assert_said("a a-woke a-finally "
                "[Task exception was never retrieved: EKEY the nap]");
    close_loop();
}

static void a_handler_can_be_asked_for_and_taken_back(void **s)
{
    (void)s;
    open_loop();
    assert_null(async_loop_get_exception_handler(&loop.base));
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    assert_ptr_equal(async_loop_get_exception_handler(&loop.base), hear);
    async_loop_set_exception_handler(&loop.base, NULL, NULL);
    assert_null(async_loop_get_exception_handler(&loop.base));
    async_loop_call_soon(&loop.base, NULL, fails, "a");
    capture_stderr();
    iterate();
    assert_string_equal(written(), "caesura: Exception in callback: EKEY "
                                   "(no such key)\n");
    close_loop();
}

static int handler_that_fails(async_loop *l,
                              const async_exception_context *context,
                              void *argument)
{
    hear(l, context, argument);
    return EVALUE;
}

static void a_handler_that_fails_is_reported_on_stderr(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, handler_that_fails, NULL);
    async_loop_call_soon(&loop.base, NULL, fails, "a");
    soon("b");
    capture_stderr();
    iterate();
    assert_string_equal(written(),
                        "caesura: Unhandled error in exception handler: "
                        "EVALUE (bad value)\n");
    assert_said("a [Exception in callback: EKEY] b");
    close_loop();
}

static void the_default_handler_writes_message_name_and_error(void **s)
{
    async_exception_context context;
    (void)s;
    open_loop();
    memset(&context, 0, sizeof context);
    context.message = "Something happened";
    capture_stderr();
    async_loop_call_exception_handler(&loop.base, &context);
    assert_string_equal(written(), "caesura: Something happened\n");
    context.name = "somebody";
    capture_stderr();
    async_loop_call_exception_handler(&loop.base, &context);
    assert_string_equal(written(), "caesura: Something happened: somebody\n");
    context.error = -9999;
    capture_stderr();
    async_loop_default_exception_handler(&loop.base, &context, NULL);
    assert_string_equal(written(), "caesura: Something happened: somebody: "
                                   "error -9999 (unknown error)\n");
    close_loop();
}

static int line_of_raise;
struct broken { ASYNC_FRAME; };
static ASYNC(broken)
{
    ASYNC_BEGIN(broken);
    AWAIT(async_sleep, 1);
    line_of_raise = __LINE__ + 1;
    ASYNC_RAISE(EKEY);
    ASYNC_END;
}

static void the_default_handler_adds_the_traceback_of_a_task(void **s)
{
    char expected[256];
    async_task *task;
    (void)s;
    open_loop();
    task = async_loop_create_task(&loop.base, CO(broken));
    async_task_set_name(task, "worker");
    async_task_release(task);
    capture_stderr();
    run_dry();
    snprintf(expected, sizeof expected,
             "caesura: Task exception was never retrieved: worker: EKEY "
             "(no such key)\n  %s:%d: in broken\n",
             __FILE__, line_of_raise);
    assert_string_equal(written(), expected);
    close_loop();
}

/* --- closing -------------------------------------------------------------- */

static int close_it(void *l)
{
    async_loop *runs = async_get_running_loop();
    int error = async_loop_close(l);
    say("%s", error ? async_error_name(error) : "closed");
    assert_ptr_equal(async_get_running_loop(), runs);
    return 0;
}

static void a_running_loop_cannot_be_closed(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, NULL, close_it, &loop.base);
    iterate();
    assert_said("ASYNC_ECLOSERUNNING");
    assert_false(async_loop_is_closed(&loop.base));
    soon("a");
    iterate();
    assert_said("a");
    close_loop();
}

static void closing_twice_does_nothing(void **s)
{
    (void)s;
    open_loop();
    assert_false(async_loop_is_closed(&loop.base));
    close_loop();
    assert_true(async_loop_is_closed(&loop.base));
    close_loop();
    assert_true(async_loop_is_closed(&loop.base));
}

static void a_pending_task_is_reported_and_cancelled_at_close(void **s)
{
    async_task *released;
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    released = async_loop_create_task(&loop.base, CO(nap, 9, "a"));
    async_task_release(released);
    iterate();
    assert_said("a");
    close_loop();
    assert_said("[Task was destroyed but it is pending!] a-cancelled "
                "a-finally");
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
}

static void a_task_that_has_not_started_never_runs_when_closed(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    async_task_release(async_loop_create_task(&loop.base, CO(nap, 9, "a")));
    close_loop();
    assert_said("[Task was destroyed but it is pending!]");
}

static void a_close_inside_another_run_keeps_that_loop_running(void **s)
{
    static async_virtual_loop other;
    (void)s;
    async_virtual_loop_init(&other, NULL);
    async_loop_set_exception_handler(&other.base, take_note, &told);
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    async_task_release(async_loop_create_task(&loop.base, CO(nap, 9, "a")));
    iterate();
    async_loop_call_soon(&other.base, NULL, close_it, &loop.base);
    async_loop_call_soon(&other.base, NULL, say_it, "goes on");
    async_loop_stop(&other.base);
    assert_int_equal(async_loop_run_forever(&other.base), 0);
    assert_said("a [Task was destroyed but it is pending!] a-cancelled "
                "a-finally closed goes on");
    assert_int_equal(async_loop_close(&other.base), 0);
}

/* Has a lot to do before it goes. */
struct stubborn { ASYNC_FRAME; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_FINALLY {
        say("finally");
        AWAIT(async_sleep, 0);
        say("waited for the loop");
        AWAIT(async_sleep, 1);
        say("waited for time");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_task_that_waits_for_time_at_close_is_dropped(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    async_task_release(async_loop_create_task(&loop.base, CO(stubborn)));
    iterate();
    close_loop();
    assert_said("[Task was destroyed but it is pending!] finally "
                "waited for the loop");
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
}

/* Will not end, in a way of its own. */
struct clings { ASYNC_FRAME; int how; async_task *other; };
static ASYNC(clings)
{
    ASYNC_BEGIN(clings);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_FINALLY {
        if (self->how == 0)
            AWAIT(async_sleep, ASYNC_SECONDS(5));
        else if (self->how == 1)
            AWAIT_WAIT_FOR(ASYNC_SECONDS(5), async_sleep, ASYNC_SECONDS(6));
        else if (self->how == 2)
            AWAIT(async_shield, async_task_object(self->other));
        else
            AWAIT_TASK(self->other);
        say("not reached");
    } ASYNC_END_TRY
    ASYNC_END;
}

/* What one of them waits in may be in a list with what another waits in: none
 * may go before all have been taken out. */
ASYNC_STATIC_TASK(last_of_them, ASYNC_FRAMES(clings, async_sleep));
static void tasks_that_wait_for_each_other_at_close_are_dropped(void **s)
{
    int how, round;
    (void)s;
    for (round = 0; round < 2; round++) {
        open_loop();
        async_loop_set_exception_handler(&loop.base, take_note, &told);
        for (how = 0; how < 8; how++)
            async_task_release(async_loop_create_task(
                &loop.base,
                CO(clings, (round ? 7 - how : how) % 4, &last_of_them.task)));
        async_task_start(&last_of_them, &loop.base, CO(clings, 0));
        iterate();
        close_loop();
        assert_true(async_task_cancelled(&last_of_them.task));
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    }
    assert_said("");
}

/* Closes something outside, which takes a while. */
struct departing { ASYNC_FRAME; seldom *l; async_operation closing; };
static int cannot_be_cancelled(async_operation *operation)
{
    (void)operation;
    return 0;
}
static ASYNC(departing)
{
    ASYNC_BEGIN(departing);
    ASYNC_TRY {
        ASYNC_SUSPEND;
    } ASYNC_FINALLY {
        say("closing");
        async_operation_init(&self->closing, async_loop_of(co),
                             cannot_be_cancelled);
        self->l->finish_when_idle = &self->closing;
        AWAIT_FUTURE(&self->closing.future);
        say("closed");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_task_that_waits_for_an_operation_at_close_ends(void **s)
{
    static seldom l;
    (void)s;
    seldom_init(&l);
    async_task_release(async_loop_create_task(&l.base, CO(departing, &l)));
    async_loop_stop(&l.base);
    assert_int_equal(async_loop_run_forever(&l.base), 0);
    capture_stderr();
    assert_int_equal(async_loop_close(&l.base), 0);
    assert_string_equal(written(),
                        "caesura: Task was destroyed but it is pending!: "
                        "Task-1\n");
    assert_said("closing finish closed");
}

static void what_has_not_run_at_close_never_does(void **s)
{
    static async_handle ready, timer, remote;
    async_future future;
    async_done_callback node = { 0 };
    (void)s;
    open_loop();
    memset(&ready, 0, sizeof ready);
    memset(&timer, 0, sizeof timer);
    memset(&remote, 0, sizeof remote);
    soon("never");
    soon_by(&ready, "never");
    soon("never");
    later(1, "never");
    async_loop_call_later(&loop.base, &timer, 1, say_it, "never");
    later(ASYNC_SECONDS(1), "never");
    async_loop_call_soon_threadsafe(&loop.base, NULL, say_it, "never");
    async_loop_call_soon_threadsafe(&loop.base, &remote, say_it, "never");
    async_future_init(&future, &loop.base);
    async_future_set_result(&future);
    async_future_add_done_callback(&future, &node, fail_in_done_callback,
                                   "never");
    close_loop();
    assert_said("");
    /* All are the caller's again, and another loop may have them. */
    open_loop();
    cancel(&ready);
    cancel(&timer);
    async_done_callback_cancel(&node);
    assert_int_equal(soon_by(&ready, "a"), 0);
    assert_int_equal(soon_by(&timer, "b"), 0);
    assert_int_equal(soon_by(&remote, "c"), 0);
    run_dry();
    assert_said("a b c");
    close_loop();
}

static void a_handle_held_at_close_is_reported(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    task = async_loop_create_task(&loop.base, CO(nap, 0, "a"));
    run_dry();
    assert_int_equal(async_loop_count_tasks(&loop.base), 1);
    close_loop();
    assert_said("a a-woke a-finally "
                "[the loop was closed before all task handles were released]");
#ifdef ASYNC_NO_POOL
    async_task_release(task); /* with the pool its memory has gone */
#endif
    (void)task;
}

/* --- async_run_on --------------------------------------------------------- */

/* Starts others, and ends before they do. */
struct leaves_others { ASYNC_RETURNS(int); int error; int error_of_child; };
static ASYNC(leaves_others)
{
    ASYNC_BEGIN(leaves_others);
    async_task_release(async_create_task(CO(nap, ASYNC_MS(1), "a")));
    async_task_release(
        async_create_task(CO(nap, ASYNC_MS(2), "b", self->error_of_child)));
    AWAIT(async_sleep, 0);
    say("main-ends");
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_RETURN(42);
    ASYNC_END;
}

static void run_on_cancels_what_is_left_and_waits_for_it(void **s)
{
    int n = 0;
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    assert_int_equal(ASYNC_RUN_ON_INTO(n, &loop.base, leaves_others), 0);
    assert_int_equal(n, 42);
    assert_said("a b main-ends a-cancelled a-finally b-cancelled b-finally");
    assert_int_equal(now_ms(), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    close_loop();
}

static void run_on_reports_what_fails_in_the_shutdown(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, hear, NULL);
    assert_int_equal(
        async_run_on(&loop.base, CO(leaves_others, .error_of_child = EKEY)),
        0);
    assert_said("a b main-ends a-cancelled a-finally b-cancelled b-finally "
                "[unhandled exception during asyncio.run() shutdown: EKEY]");
    close_loop();
}

struct leaves_stubborn { ASYNC_FRAME; };
static ASYNC(leaves_stubborn)
{
    ASYNC_BEGIN(leaves_stubborn);
    async_task_release(async_create_task(CO(stubborn)));
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void run_on_gives_them_the_time_that_they_need(void **s)
{
    (void)s;
    open_loop();
    assert_int_equal(async_run_on(&loop.base, CO(leaves_stubborn)), 0);
    assert_said("finally waited for the loop waited for time");
    assert_int_equal(async_loop_time(&loop.base), 1);
    close_loop();
}

static void run_on_prints_and_returns_an_error_of_main(void **s)
{
    char expected[256];
    (void)s;
    open_loop();
    capture_stderr();
    assert_int_equal(async_run_on(&loop.base, CO(broken)), EKEY);
    snprintf(expected, sizeof expected,
             "caesura: an error left the main coroutine: EKEY (no such key)\n"
             "  %s:%d: in broken\n",
             __FILE__, line_of_raise);
    assert_string_equal(written(), expected);
    close_loop();
}

static void run_on_leaves_the_loop_open(void **s)
{
    (void)s;
    open_loop();
    assert_int_equal(async_run_on(&loop.base, CO(nap, 1, "a")), 0);
    assert_false(async_loop_is_closed(&loop.base));
    assert_int_equal(async_run_on(&loop.base, CO(nap, 1, "b")), 0);
    assert_said("a a-woke a-finally b b-woke b-finally");
    assert_int_equal(async_loop_time(&loop.base), 2);
    close_loop();
}

/* A loop that was stopped is no longer waiting for them. */
struct stops { ASYNC_FRAME; };
static ASYNC(stops)
{
    ASYNC_BEGIN(stops);
    async_task_release(async_create_task(CO(nap, 9, "a")));
    async_loop_stop(async_loop_of(co));
    ASYNC_TRY {
        AWAIT(async_sleep, 5);
    } ASYNC_FINALLY {
        say("main-finally");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void run_on_of_a_stopped_loop_cancels_main_too(void **s)
{
    (void)s;
    open_loop();
    capture_stderr();
    assert_int_equal(async_run_on(&loop.base, CO(stops)), ASYNC_ELOOPSTOPPED);
    (void)written();
    run_dry();
    assert_said("main-finally");
    close_loop();
}

static void run_on_a_closed_loop_runs_nothing(void **s)
{
    (void)s;
    open_loop();
    close_loop();
    capture_stderr();
    assert_int_equal(async_run_on(&loop.base, CO(nap, 1, "a")),
                     ASYNC_ELOOPCLOSED);
    assert_non_null(strstr(written(), "Event loop is closed"));
    assert_said("");
}

static void virtual_run_makes_and_closes_a_loop(void **s)
{
    (void)s;
    assert_int_equal(async_virtual_run(CO(nap, ASYNC_SECONDS(3600), "a")), 0);
    assert_said("a a-woke a-finally");
    assert_null(async_get_running_loop());
}

/* --- virtual time --------------------------------------------------------- */

static void time_starts_at_zero_and_jumps_to_the_next_deadline(void **s)
{
    (void)s;
    open_loop();
    assert_int_equal(async_loop_time(&loop.base), 0);
    later(ASYNC_SECONDS(3600), "hour");
    later(ASYNC_MS(1), "soon");
    run_dry();
    assert_said("soon@1 hour@3600000");
    assert_int_equal(async_loop_time(&loop.base), ASYNC_SECONDS(3600));
    close_loop();
}

static int block_for_5_ms(void *word)
{
    say("%s", (const char *)word);
    async_virtual_loop_advance(&loop, ASYNC_MS(5));
    return 0;
}

static void advancing_makes_timers_late_as_a_blocking_call_does(void **s)
{
    (void)s;
    open_loop();
    later(ASYNC_MS(3), "three");
    later(ASYNC_MS(7), "seven");
    later(ASYNC_MS(2), "two");
    async_loop_call_soon(&loop.base, NULL, block_for_5_ms, "block");
    run_dry();
    assert_said("block two@5 three@5 seven@7");
    close_loop();
}

static void when_nothing_can_happen_the_run_ends_in_a_deadlock(void **s)
{
    async_future never;
    (void)s;
    open_loop();
    async_future_init(&never, &loop.base);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(waits, &never, "got")),
        ASYNC_EDEADLOCK);
    assert_false(async_loop_is_running(&loop.base));
    /* The task still waits, and goes on when it can. */
    async_future_set_result(&never);
    run_dry();
    assert_said("got");
    close_loop();
}

static void run_on_ends_a_deadlock_by_cancelling(void **s)
{
    async_future never;
    (void)s;
    open_loop();
    async_future_init(&never, &loop.base);
    capture_stderr();
    assert_int_equal(async_run_on(&loop.base, CO(waits, &never, "got")),
                     ASYNC_EDEADLOCK);
    assert_non_null(strstr(written(), "every task waits"));
    assert_true(async_future_cancelled(&never));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    close_loop();
}

/* Runs eight callbacks with a seed; the order goes to `order`. */
static int *order_to;
static int digit_runs(void *digit)
{
    *order_to++ = *(int *)digit;
    return 0;
}
static void run_shuffled(uint32_t seed, int *order, int n)
{
    static int digits[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    int i;
    open_loop();
    async_virtual_loop_shuffle(&loop, seed);
    order_to = order;
    for (i = 0; i < n; i++)
        async_loop_call_soon(&loop.base, NULL, digit_runs, &digits[i]);
    iterate();
    close_loop();
}

static void a_shuffled_iteration_runs_each_callback_once(void **s)
{
    uint32_t seed;
    (void)s;
    for (seed = 0; seed < 50; seed++) {
        int order[8], times[8] = { 0 }, i;
        run_shuffled(seed, order, 8);
        assert_true(order_to == order + 8);
        for (i = 0; i < 8; i++) times[order[i]]++;
        for (i = 0; i < 8; i++) assert_int_equal(times[i], 1);
    }
}

static void the_same_seed_gives_the_same_order(void **s)
{
    int first[8], second[8];
    (void)s;
    run_shuffled(2024, first, 8);
    run_shuffled(2024, second, 8);
    assert_memory_equal(first, second, sizeof first);
}

static void different_seeds_give_different_orders(void **s)
{
    uint32_t seed;
    int same = 0;
    (void)s;
    for (seed = 1; seed < 50; seed++) {
        int first[8], second[8];
        run_shuffled(seed, first, 8);
        run_shuffled(seed + 1, second, 8);
        same += memcmp(first, second, sizeof first) == 0;
    }
    assert_true(same <= 1);
}

static void seed_zero_is_the_order_of_scheduling(void **s)
{
    static const int as_scheduled[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };
    int order[8];
    (void)s;
    run_shuffled(0, order, 8);
    assert_memory_equal(order, as_scheduled, sizeof order);
}

static void all_orders_are_about_equally_likely(void **s)
{
    int times[27] = { 0 }, run, i, n = 0;
    static int digits[3] = { 0, 1, 2 };
    (void)s;
    open_loop();
    async_virtual_loop_shuffle(&loop, 1);
    for (run = 0; run < 6000; run++) {
        int order[3];
        order_to = order;
        for (i = 0; i < 3; i++)
            async_loop_call_soon(&loop.base, NULL, digit_runs, &digits[i]);
        iterate();
        times[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    for (i = 0; i < 27; i++)
        if (times[i] != 0) {
            n++;
            assert_in_range(times[i], 850, 1150);
        }
    assert_int_equal(n, 6);
    close_loop();
}

/* Whichever runs first cancels all the others. */
static async_handle rivals[6];
static int win(void *mine)
{
    int i;
    say("won");
    for (i = 0; i < 6; i++)
        if (&rivals[i] != mine) cancel(&rivals[i]);
    return 0;
}

static void a_shuffled_queue_can_be_cancelled_from(void **s)
{
    uint32_t seed;
    int i;
    (void)s;
    for (seed = 1; seed < 20; seed++) {
        open_loop();
        async_virtual_loop_shuffle(&loop, seed);
        memset(rivals, 0, sizeof rivals);
        for (i = 0; i < 6; i++) {
            async_task_release(
                async_loop_create_task(&loop.base, CO(nap, 0, "t")));
            async_loop_call_soon(&loop.base, &rivals[i], win, &rivals[i]);
        }
        cancel(&rivals[0]);
        async_loop_call_soon(&loop.base, &rivals[0], win, &rivals[0]);
        run_dry();
        assert_non_null(strstr(unit_said, "won"));
        assert_null(strstr(strstr(unit_said, "won") + 1, "won"));
        unit_begin(NULL);
        close_loop();
    }
}

static void a_shuffle_leaves_time_alone(void **s)
{
    uint32_t seed;
    (void)s;
    for (seed = 1; seed < 10; seed++) {
        open_loop();
        async_virtual_loop_shuffle(&loop, seed);
        later(ASYNC_MS(2), "b");
        later(ASYNC_MS(1), "a");
        later(ASYNC_MS(3), "c");
        run_dry();
        assert_said("a@1 b@2 c@3");
        close_loop();
    }
}

static void run_until_complete_refuses_a_future_of_another_loop(void **s)
{
    async_virtual_loop one, other;
    async_future future;
    (void)s;
    async_virtual_loop_init(&one, NULL);
    async_virtual_loop_init(&other, NULL);
    async_future_init(&future, &other.base);
    assert_int_equal(
        async_loop_run_until_complete(&one.base, async_future_object(&future)),
        ASYNC_EOTHERLOOP);
    async_loop_close(&one.base);
    async_loop_close(&other.base);
}

UNIT_MAIN(TEST(callbacks_run_in_the_order_in_which_they_were_scheduled),
          TEST(what_a_callback_makes_ready_runs_in_the_next_iteration),
          TEST(a_callback_may_schedule_its_own_handle_again),
          TEST(a_callback_may_free_its_own_handle),
          TEST(a_handle_that_is_scheduled_is_busy_until_it_has_run),
          TEST(a_closed_loop_takes_no_callbacks),
          TEST(threadsafe_callbacks_run_in_the_order_of_the_calls),
          TEST(threadsafe_in_the_running_loop_is_call_soon),
          TEST(a_threadsafe_callback_ends_what_would_be_a_deadlock),
          TEST(timers_run_in_the_order_of_their_deadlines),
          TEST(equal_deadlines_run_in_the_order_of_scheduling),
          TEST(a_timer_that_is_due_runs_behind_all_that_was_ready),
          TEST(a_timer_that_is_due_at_once_waits_for_the_next_iteration),
          TEST(what_is_ready_runs_before_time_moves),
          TEST(when_is_the_deadline_of_a_timer),
          TEST(a_cancelled_handle_does_not_run),
          TEST(a_cancelled_handle_is_the_callers_again_at_once),
          TEST(cancelling_takes_out_any_place_of_the_queue),
          TEST(an_earlier_callback_cancels_a_later_one_of_its_iteration),
          TEST(what_is_cancelled_in_its_iteration_can_be_scheduled_anew),
          TEST(callbacks_are_cancelled_from_between_tasks),
          TEST(a_timer_cancels_another_of_the_same_instant),
          TEST(a_ready_callback_cancels_a_timer_that_is_due),
          TEST(cancelling_what_has_run_or_was_never_scheduled_only_marks),
          TEST(a_callback_that_cancels_itself_is_only_marked),
          TEST(a_cancelled_threadsafe_callback_does_not_run),
          TEST(stop_lets_the_iteration_end_and_leaves_the_next_one),
          TEST(a_timer_stops_the_loop_after_those_of_its_instant),
          TEST(stop_before_a_run_makes_it_one_iteration_without_waiting),
          TEST(a_loop_that_polls_seldom_stops_as_well),
          TEST(a_callback_stops_a_loop_that_polls_seldom),
          TEST(a_loop_that_polls_seldom_sees_at_once_what_is_due),
          TEST(a_loop_that_polls_seldom_looks_at_the_clock_each_iteration),
          TEST(an_error_of_the_backend_ends_the_run),
          TEST(the_running_loop_is_known_while_it_runs),
          TEST(no_loop_runs_inside_another_or_itself),
          TEST(a_closed_loop_does_not_run),
          TEST(run_until_complete_returns_how_it_ended),
          TEST(run_until_complete_into_gives_the_result_or_leaves_it),
          TEST(run_until_complete_leaves_other_tasks_where_they_stand),
          TEST(a_loop_stopped_before_completion_says_so_and_can_go_on),
          TEST(an_error_of_a_callback_is_reported_and_stops_nothing),
          TEST(a_positive_value_of_a_callback_is_no_error),
          TEST(the_handler_gets_the_callbacks_handle),
          TEST(the_handler_gets_the_future_whose_error_nobody_took),
          TEST(the_handler_gets_the_task_and_may_ask_for_its_name),
          TEST(a_handler_can_be_asked_for_and_taken_back),
          TEST(a_handler_that_fails_is_reported_on_stderr),
          TEST(the_default_handler_writes_message_name_and_error),
          TEST(the_default_handler_adds_the_traceback_of_a_task),
          TEST(a_running_loop_cannot_be_closed),
          TEST(closing_twice_does_nothing),
          TEST(a_pending_task_is_reported_and_cancelled_at_close),
          TEST(a_task_that_has_not_started_never_runs_when_closed),
          TEST(a_close_inside_another_run_keeps_that_loop_running),
          TEST(a_task_that_waits_for_time_at_close_is_dropped),
          TEST(tasks_that_wait_for_each_other_at_close_are_dropped),
          TEST(a_task_that_waits_for_an_operation_at_close_ends),
          TEST(what_has_not_run_at_close_never_does),
          TEST(a_handle_held_at_close_is_reported),
          TEST(run_on_cancels_what_is_left_and_waits_for_it),
          TEST(run_on_reports_what_fails_in_the_shutdown),
          TEST(run_on_gives_them_the_time_that_they_need),
          TEST(run_on_prints_and_returns_an_error_of_main),
          TEST(run_on_leaves_the_loop_open),
          TEST(run_on_of_a_stopped_loop_cancels_main_too),
          TEST(run_on_a_closed_loop_runs_nothing),
          TEST(virtual_run_makes_and_closes_a_loop),
          TEST(time_starts_at_zero_and_jumps_to_the_next_deadline),
          TEST(advancing_makes_timers_late_as_a_blocking_call_does),
          TEST(when_nothing_can_happen_the_run_ends_in_a_deadlock),
          TEST(run_on_ends_a_deadlock_by_cancelling),
          TEST(a_shuffled_iteration_runs_each_callback_once),
          TEST(the_same_seed_gives_the_same_order),
          TEST(different_seeds_give_different_orders),
          TEST(seed_zero_is_the_order_of_scheduling),
          TEST(all_orders_are_about_equally_likely),
          TEST(a_shuffled_queue_can_be_cancelled_from),
          TEST(a_shuffle_leaves_time_alone),
          TEST(run_until_complete_refuses_a_future_of_another_loop))
