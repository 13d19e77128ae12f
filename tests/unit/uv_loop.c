/* link: -luv */
/* The loop on libuv: its own, borrowed from the program, and signals. */
#define _POSIX_C_SOURCE 200809L
#include <uv.h>

/* Stands before each uv_run(), Caesura's too: counts them, and can take its
 * time, as a machine under load would between two looks at the clock. */
static struct {
    int runs, depth, deepest, pause; /* milliseconds */
} watched;
static int watched_uv_run(uv_loop_t *loop, uv_run_mode mode);
#define uv_run watched_uv_run

#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/loop.h"

#include "uv.h"

/* --- helpers ------------------------------------------------------------- */

static async_time now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * ASYNC_SECONDS(1) + time.tv_nsec;
}

#undef uv_run
static int watched_uv_run(uv_loop_t *loop, uv_run_mode mode)
{
    int alive;
    watched.runs++;
    if (++watched.depth > watched.deepest) watched.deepest = watched.depth;
    if (watched.pause) block(watched.pause);
    alive = uv_run(loop, mode);
    watched.depth--;
    return alive;
}
#define uv_run watched_uv_run

struct wait_for_future {
    ASYNC_FRAME;
    async_future *future;
    const char *text;
};
static ASYNC(wait_for_future)
{
    ASYNC_BEGIN(wait_for_future);
    AWAIT_FUTURE(self->future);
    say("%s", self->text);
    ASYNC_END;
}

/* Sleeps for ever, and says when it is cancelled. */
struct sleep_on { ASYNC_FRAME; const char *text; };
static ASYNC(sleep_on)
{
    ASYNC_BEGIN(sleep_on);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_FINALLY {
        say("%s", self->text);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct give { ASYNC_RETURNS(int); int value; };
static ASYNC(give)
{
    ASYNC_BEGIN(give);
    AWAIT(async_sleep, ASYNC_US(100));
    if (self->value < 0) ASYNC_RAISE(self->value);
    ASYNC_RETURN(self->value);
    ASYNC_END;
}

static void begin_task(async_loop *loop, async_object object)
{
    async_task_release(async_loop_create_task(loop, object));
}

/* --- a loop of its own --------------------------------------------------- */

static void async_run_returns_zero_when_the_main_coroutine_has_ended(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(say_after, ASYNC_US(1), "ran")), 0);
    assert_null(async_get_running_loop());
    assert_said("ran");
}

static void async_run_returns_the_error_of_the_main_coroutine(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(give, -EPROTO)), -EPROTO);
}

static void run_into_takes_the_result_and_leaves_it_after_an_error(void **s)
{
    int value = 0;
    (void)s;
    assert_int_equal(ASYNC_RUN_INTO(value, give, 7), 0);
    assert_int_equal(value, 7);
    assert_int_equal(ASYNC_RUN_INTO(value, give, .value = -EPROTO), -EPROTO);
    assert_int_equal(value, 7);
}

struct run_again { ASYNC_FRAME; };
static ASYNC(run_again)
{
    ASYNC_BEGIN(run_again);
    say("%s", async_error_name(async_run(CO(give, 1))));
    ASYNC_END;
}

static void async_run_inside_a_running_loop_is_an_error(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(run_again)), 0);
    assert_said("ASYNC_ENESTEDRUN");
}

struct leave_others { ASYNC_FRAME; };
static ASYNC(leave_others)
{
    ASYNC_BEGIN(leave_others);
    async_task_release(async_create_task(CO(sleep_on, "first")));
    async_task_release(async_create_task(CO(sleep_on, "second")));
    AWAIT(async_sleep, 0);
    say("main");
    ASYNC_END;
}

static void async_run_cancels_what_is_left_and_waits_for_it(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(leave_others)), 0);
    assert_said("main first second");
}

/* Sleeps for each of several spans; *least is what it was short of at most. */
struct sleeps {
    ASYNC_FRAME;
    async_duration shortest;
    int i, block;
    async_time start;
};
static ASYNC(sleeps)
{
    static const async_duration spans[] = { 1, ASYNC_US(1), ASYNC_US(999),
                                            ASYNC_MS(1), ASYNC_MS(2.5) };
    ASYNC_BEGIN(sleeps);
    for (self->i = 0; self->i < 5; self->i++) {
        if (self->block) block(self->block);
        self->start = now();
        AWAIT(async_sleep, spans[self->i]);
        if (now() - self->start < spans[self->i]) say("%d", self->i);
    }
    ASYNC_END;
}

static void a_sleep_lasts_at_least_as_long_as_was_asked(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(sleeps)), 0);
    assert_said("");
}

/* libuv's timers count from a time that it has cached. */
static void a_sleep_after_a_pause_that_blocks_does_not_end_early(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(sleeps, .block = 6)), 0);
    assert_said("");
}

/* libuv runs timers before it polls; it would wait without end after that. */
static void a_timer_due_by_the_time_libuv_runs_does_not_stop_the_loop(void **s)
{
    (void)s;
    watched.pause = 3;
    assert_int_equal(async_run(CO(say_after, ASYNC_MS(1), "woken")), 0);
    assert_said("woken");
}

/* What becomes ready in no time, and then by time: each part has one order,
 * whether or not several timers are found due at once. */
struct everything {
    ASYNC_FRAME;
    async_future future;
    async_handle h[6];
    async_gathering all;
    async_time start;
};
static ASYNC(everything)
{
    async_loop *loop;
    ASYNC_BEGIN(everything);
    loop = async_loop_of(co);
    async_future_init(&self->future, loop);
    async_gather_add(&self->all,
                     CO(wait_for_future, &self->future, "waiter1"));
    async_gather_add(&self->all, CO(say_after, 0, "zero"));
    async_gather_add(&self->all,
                     CO(wait_for_future, &self->future, "waiter2"));
    async_loop_call_soon(loop, &self->h[0], say_text, "soon1");
    async_loop_call_soon(loop, &self->h[1], set_future, &self->future);
    async_loop_call_soon(loop, &self->h[2], say_text, "soon2");
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    loop = async_loop_of(co);
    self->start = async_loop_time(loop) + ASYNC_MS(2);
    async_loop_call_at(loop, &self->h[0], self->start + 1, say_text, "t2");
    async_loop_call_at(loop, &self->h[1], self->start, say_text, "t1");
    async_loop_call_at(loop, &self->h[2], self->start + ASYNC_MS(1), say_text,
                       "t4");
    async_loop_call_at(loop, &self->h[3], self->start + 1, say_text, "t3");
    async_loop_call_at(loop, &self->h[4], self->start + ASYNC_MS(1), say_text,
                       "t5");
    async_loop_call_at(loop, &self->h[5], 0, say_text, "t0");
    AWAIT(async_sleep, ASYNC_MS(5));
    ASYNC_END;
}

static void the_order_is_that_of_the_virtual_loop(void **s)
{
    (void)s;
    assert_int_equal(async_virtual_run(CO(everything)), 0);
    assert_said("soon1 soon2 zero waiter1 waiter2 t0 t1 t2 t3 t4 t5");
    assert_int_equal(async_run(CO(everything)), 0);
    assert_said("soon1 soon2 zero waiter1 waiter2 t0 t1 t2 t3 t4 t5");
}

static void on_program_timer(uv_timer_t *timer)
{
    async_future_set_result(timer->data);
}

/* A timer of the program's that is due before libuv has waited. */
struct busy_then_wait { ASYNC_FRAME; uv_timer_t timer; async_future future; };
static ASYNC(busy_then_wait)
{
    ASYNC_BEGIN(busy_then_wait);
    async_future_init(&self->future, async_loop_of(co));
    uv_timer_init(async_uv_loop_of(async_loop_of(co)), &self->timer);
    self->timer.data = &self->future;
    uv_timer_start(&self->timer, on_program_timer, 1, 0);
    block(3);
    AWAIT_FUTURE(&self->future);
    say("set");
    uv_close((uv_handle_t *)&self->timer, NULL);
    AWAIT(async_sleep, ASYNC_MS(1)); /* libuv lets go of it */
    ASYNC_END;
}

static void what_libuv_makes_ready_before_it_waits_is_not_waited_over(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(busy_then_wait)), 0);
    assert_said("set");
}

struct spin_until_set { ASYNC_FRAME; uv_timer_t timer; async_future future; };
static ASYNC(spin_until_set)
{
    ASYNC_BEGIN(spin_until_set);
    async_future_init(&self->future, async_loop_of(co));
    uv_timer_init(async_uv_loop_of(async_loop_of(co)), &self->timer);
    self->timer.data = &self->future;
    uv_timer_start(&self->timer, on_program_timer, 1, 0);
    while (!async_future_done(&self->future)) ASYNC_SUSPEND;
    uv_close((uv_handle_t *)&self->timer, NULL);
    AWAIT(async_sleep, ASYNC_MS(1));
    say("seen");
    ASYNC_END;
}

static void a_loop_that_is_never_idle_looks_at_libuv_all_the_same(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(spin_until_set)), 0);
    assert_said("seen");
}

/* A loop that waits for time does so in libuv, not by turning. */
static void waiting_is_left_to_libuv(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(say_after, ASYNC_MS(30), "over")), 0);
    assert_true(watched.runs < 20);
    assert_said("over");
}

static void run_until_complete_leaves_others_for_the_next_run(void **s)
{
    async_uv_loop loop;
    async_future future;
    int value = 0;
    (void)s;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_future_init(&future, &loop.base);
    begin_task(&loop.base, CO(wait_for_future, &future, "other"));
    assert_int_equal(ASYNC_RUN_UNTIL_COMPLETE_INTO(value, &loop.base, give, 3),
                     0);
    say("%d", value);
    async_future_set_result(&future);
    async_loop_run_until_complete(&loop.base, CO(say_after, ASYNC_US(1), "b"));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("3 other b");
}

static void run_forever_ends_when_it_is_stopped_and_can_begin_again(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_call_later(&loop.base, NULL, ASYNC_MS(1), stop, &loop);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    say("stopped");
    async_loop_call_later(&loop.base, NULL, ASYNC_MS(1), say_text, "later");
    async_loop_call_later(&loop.base, NULL, ASYNC_MS(2), stop, &loop);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    async_loop_close(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_ELOOPCLOSED);
    assert_said("stopped later");
}

static void two_loops_in_a_thread_take_turns(void **s)
{
    async_uv_loop a, b;
    (void)s;
    async_uv_loop_init(&a, NULL, NULL);
    async_uv_loop_init(&b, NULL, NULL);
    begin_task(&a.base, CO(say_after, 0, "a"));
    begin_task(&b.base, CO(say_after, 0, "b"));
    async_loop_run_until_complete(&b.base, CO(say_after, ASYNC_US(10), "B"));
    async_loop_run_until_complete(&a.base, CO(say_after, ASYNC_US(10), "A"));
    async_loop_close(&a.base);
    async_loop_run_until_complete(&b.base, CO(say_after, ASYNC_US(10), "BB"));
    async_loop_close(&b.base);
    assert_said("b B a A BB");
}

static void a_loop_gives_all_its_memory_back(void **s)
{
    async_uv_loop loop;
    (void)s;
    memory_begin();
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    async_loop_run_until_complete(&loop.base, CO(say_after, ASYNC_US(1), "a"));
    async_loop_close(&loop.base);
    assert_int_equal(memory.live, 0);
    assert_said("a");
}

/* --- closing -------------------------------------------------------------- */

static void closing_cancels_what_is_pending_and_says_so(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    begin_task(&loop.base, CO(sleep_on, "cleaned"));
    async_loop_run_until_complete(&loop.base, CO(say_after, 0, "ran"));
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("ran [Task was destroyed but it is pending!] cleaned");
}

/* Would clean up for a long time, and is waited for by another. */
struct linger_on { ASYNC_FRAME; };
static ASYNC(linger_on)
{
    ASYNC_BEGIN(linger_on);
    ASYNC_TRY {
        AWAIT(sleep_on, "cancelled");
    } ASYNC_FINALLY {
        AWAIT(sleep_on, "again");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct gather_linger { ASYNC_FRAME; async_gathering all; };
static ASYNC(gather_linger)
{
    ASYNC_BEGIN(gather_linger);
    AWAIT_GATHER(&self->all, CO(linger_on));
    ASYNC_END;
}

static void closing_does_not_wait_for_time_nor_for_who_waits_for_it(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    begin_task(&loop.base, CO(gather_linger));
    async_loop_run_until_complete(&loop.base,
                                  CO(say_after, ASYNC_MS(1), "ran"));
    async_loop_close(&loop.base);
    assert_said("ran [Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] cancelled");
}

/* A request that only libuv can end: its memory is in the frame. */
struct request { ASYNC_FRAME; uv_timer_t timer; async_operation done; };
static void on_request_closed(uv_handle_t *handle)
{
    async_operation *done = handle->data;
    async_future_set_result(&done->future);
}
static void on_request_over(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, on_request_closed);
}
static int request_goes_on(async_operation *operation)
{
    (void)operation;
    return 0;
}
static ASYNC(request)
{
    ASYNC_BEGIN(request);
    async_operation_init(&self->done, async_loop_of(co), request_goes_on);
    uv_timer_init(async_uv_loop_of(async_loop_of(co)), &self->timer);
    self->timer.data = &self->done;
    uv_timer_start(&self->timer, on_request_over, 5, 0);
    ASYNC_TRY {
        AWAIT_FUTURE(&self->done.future);
    } ASYNC_FINALLY {
        say("done:%d", async_future_done(&self->done.future));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void closing_waits_for_the_requests_of_pending_tasks(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    begin_task(&loop.base, CO(request));
    async_loop_run_until_complete(&loop.base, CO(say_after, 0, "begun"));
    async_loop_close(&loop.base);
    assert_said("begun [Task was destroyed but it is pending!] done:1");
}

static void on_closed(uv_handle_t *handle)
{
    say("%s", (char *)handle->data);
}
static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void closing_closes_handles_that_the_program_has_left(void **s)
{
    async_uv_loop loop;
    uv_timer_t running, closing;
    uv_tcp_t idle;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    uv_timer_init(loop.uv, &running);
    uv_timer_start(&running, on_tick, 1000000, 0);
    uv_timer_init(loop.uv, &closing);
    closing.data = "closed";
    uv_close((uv_handle_t *)&closing, on_closed);
    uv_tcp_init(loop.uv, &idle);
    async_loop_close(&loop.base);
    assert_true(uv_is_closing((uv_handle_t *)&running));
    assert_true(uv_is_closing((uv_handle_t *)&idle));
    assert_said("closed");
}

struct count { ASYNC_FRAME; uv_timer_t timer; };
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    uv_timer_init(async_uv_loop_of(async_loop_of(co)), &self->timer);
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    uv_close((uv_handle_t *)&self->timer, NULL);
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    AWAIT(async_sleep, ASYNC_US(1));
    ASYNC_END;
}

static void only_the_programs_handles_are_counted(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL); /* so that async_run has a handle for it */
    assert_int_equal(async_run(CO(count)), 0);
    assert_said("0 1 0");
}

/* --- errors ---------------------------------------------------------------- */

/* A program's loop, borrowed. */
static uv_loop_t host;
static async_uv_loop borrowed;

/* Calls it while only so many more descriptors can be opened. */
static int with_descriptors(int more, int (*function)(void))
{
    struct rlimit before, less;
    int error, fd = dup(0); /* the lowest that is free */
    close(fd);
    getrlimit(RLIMIT_NOFILE, &before);
    less = before;
    less.rlim_cur = (rlim_t)(fd + more);
    setrlimit(RLIMIT_NOFILE, &less);
    error = function();
    setrlimit(RLIMIT_NOFILE, &before);
    return error;
}
static int init_and_close_bare(void)
{
    int error = uv_loop_init(&host);
    if (!error) uv_loop_close(&host);
    return error;
}
static int init_and_close(void)
{
    int error = async_uv_loop_init(&borrowed, NULL, NULL);
    assert_int_equal(async_loop_is_closed(&borrowed.base), error != 0);
    async_loop_close(&borrowed.base);
    return error;
}
static int run_something(void)
{
    return async_run(CO(say_after, 0, "ran"));
}

/* libuv 1.44.2 leaks one itself when it fails; nothing comes to that. */
static void without_descriptors_init_is_an_error_and_leaks_nothing(void **s)
{
    int more, open, leaked, error;
    (void)s;
    init_and_close(); /* libuv opens some of its own once, or aborts */
    for (more = 0, error = 1; error; more++) {
        open = descriptors();
        error = with_descriptors(more, init_and_close_bare);
        leaked = descriptors() - open;
        open = descriptors();
        assert_int_equal(with_descriptors(more, init_and_close), error);
        assert_int_equal(descriptors() - open, leaked);
        assert_true(error == 0 || error == UV_EMFILE);
    }
    assert_true(more > 1);
}

static void async_run_without_descriptors_returns_the_error(void **s)
{
    (void)s;
    assert_int_equal(run_something(), 0);
    assert_int_equal(with_descriptors(0, run_something), UV_EMFILE);
    assert_said("ran");
}

static void without_memory_a_loop_cannot_be_borrowed(void **s)
{
    async_uv_loop loop;
    uv_loop_t uv;
    (void)s;
    memory_begin();
    memory_refuse(LONG_MAX);
    uv_loop_init(&uv);
    assert_int_equal(async_uv_loop_init(&loop, &uv, &counting_allocator),
                     ASYNC_ENOMEM);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
}

/* --- a loop of the program's ------------------------------------------------ */

static void borrow(void)
{
    assert_int_equal(uv_loop_init(&host), 0);
    assert_int_equal(async_uv_loop_init(&borrowed, &host, NULL), 0);
    async_loop_set_exception_handler(&borrowed.base, say_report, NULL);
}

/* Everything that was borrowed is given back. */
static void give_back(void)
{
    assert_int_equal(async_loop_close(&borrowed.base), 0);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&host), 0);
}

/* How often libuv went around, without keeping it alive. */
static uv_prepare_t rounds_handle;
static int rounds;
static void on_round(uv_prepare_t *prepare)
{
    (void)prepare;
    rounds++;
}
static void count_rounds(void)
{
    rounds = 0;
    uv_prepare_init(&host, &rounds_handle);
    uv_prepare_start(&rounds_handle, on_round);
    uv_unref((uv_handle_t *)&rounds_handle);
}

static void uv_run_returns_when_the_tasks_are_over(void **s)
{
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(say_after, 0, "b"));
    begin_task(&borrowed.base, CO(say_after, ASYNC_MS(2), "c"));
    begin_task(&borrowed.base, CO(say_after, -1, "B"));
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_null(async_get_running_loop());
    assert_int_equal(async_loop_count_tasks(&borrowed.base), 0);
    give_back();
    assert_said("b B c");
}

static void a_loop_without_tasks_does_not_keep_uv_run(void **s)
{
    (void)s;
    borrow();
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_alive(&host), 0);
    give_back();
}

static uv_timer_t program_timer;
static uv_idle_t program_idle;
static int ticks;
static void on_repeat(uv_timer_t *timer)
{
    if (++ticks == 3) uv_close((uv_handle_t *)timer, NULL);
}
static void on_idle(uv_idle_t *idle)
{
    if (ticks == 3) uv_close((uv_handle_t *)idle, NULL);
}

struct until_ticks { ASYNC_FRAME; int seen; };
static ASYNC(until_ticks)
{
    ASYNC_BEGIN(until_ticks);
    while (ticks < 2) AWAIT(async_sleep, ASYNC_US(500));
    say("task");
    ASYNC_END;
}

static void tasks_run_among_the_programs_own_handles(void **s)
{
    (void)s;
    borrow();
    ticks = 0;
    uv_timer_init(&host, &program_timer);
    uv_timer_start(&program_timer, on_repeat, 2, 2);
    uv_idle_init(&host, &program_idle);
    uv_idle_start(&program_idle, on_idle);
    begin_task(&borrowed.base, CO(until_ticks));
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(ticks, 3);
    give_back();
    assert_said("task");
}

static void a_task_that_sleeps_keeps_uv_run_but_does_not_turn_it(void **s)
{
    async_time start;
    (void)s;
    borrow();
    count_rounds();
    begin_task(&borrowed.base, CO(say_after, ASYNC_MS(30), "woken"));
    start = now();
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_true(now() - start >= ASYNC_MS(30));
    assert_true(rounds < 20);
    uv_close((uv_handle_t *)&rounds_handle, NULL);
    give_back();
    assert_said("woken");
}

static void a_task_that_waits_for_a_future_does_not_keep_uv_run(void **s)
{
    async_future future;
    (void)s;
    borrow();
    async_future_init(&future, &borrowed.base);
    begin_task(&borrowed.base, CO(wait_for_future, &future, "set"));
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    say("returned");
    async_future_set_result(&future);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("returned set");
}

struct steps { ASYNC_FRAME; int i; };
static ASYNC(steps)
{
    ASYNC_BEGIN(steps);
    for (self->i = 0; self->i < 3; self->i++) {
        say("%d", self->i);
        AWAIT(async_sleep, ASYNC_MS(1));
    }
    ASYNC_END;
}

static void uv_run_nowait_goes_on_as_long_as_there_are_tasks(void **s)
{
    int turns = 0;
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(steps));
    while (uv_run(&host, UV_RUN_NOWAIT)) turns++;
    assert_true(turns >= 3);
    give_back();
    assert_said("0 1 2");
}

static void uv_run_once_goes_on_as_long_as_there_are_tasks(void **s)
{
    int turns = 0;
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(steps));
    while (uv_run(&host, UV_RUN_ONCE)) turns++;
    assert_true(turns >= 3 && turns < 20);
    give_back();
    assert_said("0 1 2");
}

struct say_now { ASYNC_FRAME; const char *text; };
static ASYNC(say_now)
{
    ASYNC_BEGIN(say_now);
    say("%s", self->text);
    ASYNC_END;
}
static void on_timer_call_soon(uv_timer_t *timer)
{
    say("timer");
    uv_close((uv_handle_t *)timer, NULL);
    async_loop_call_soon(&borrowed.base, NULL, say_text, "soon");
    async_loop_call_later(&borrowed.base, NULL, ASYNC_MS(1), say_text,
                          "later");
    begin_task(&borrowed.base, CO(say_now, "task"));
}

static void what_a_callback_of_libuv_schedules_keeps_uv_run(void **s)
{
    (void)s;
    borrow();
    uv_timer_init(&host, &program_timer);
    uv_timer_start(&program_timer, on_timer_call_soon, 1, 0);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("timer soon task later");
}

static void on_timer_set(uv_timer_t *timer)
{
    async_future_set_result(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}

static void a_future_set_by_a_callback_of_libuv_wakes_the_task(void **s)
{
    async_future future;
    (void)s;
    borrow();
    async_future_init(&future, &borrowed.base);
    begin_task(&borrowed.base, CO(wait_for_future, &future, "set"));
    uv_timer_init(&host, &program_timer);
    program_timer.data = &future;
    uv_timer_start(&program_timer, on_timer_set, 1, 0);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("set");
}

static void a_cancelled_timer_no_longer_keeps_uv_run(void **s)
{
    async_handle handle;
    (void)s;
    memset(&handle, 0, sizeof handle);
    borrow();
    async_loop_call_later(&borrowed.base, &handle, ASYNC_SECONDS(1000),
                          say_text, "never");
    assert_int_not_equal(uv_run(&host, UV_RUN_NOWAIT), 0);
    async_handle_cancel(&handle);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("");
}

struct stop_then_say { ASYNC_FRAME; };
static ASYNC(stop_then_say)
{
    ASYNC_BEGIN(stop_then_say);
    async_loop_stop(async_loop_of(co));
    AWAIT(async_sleep, 0);
    say("after");
    ASYNC_END;
}

static void stopping_the_loop_makes_uv_run_return(void **s)
{
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(stop_then_say));
    begin_task(&borrowed.base, CO(say_after, -1, "other"));
    assert_int_not_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    say("stopped");
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("stopped after other");
}

static void on_timer_stop(uv_timer_t *timer)
{
    async_loop_stop(&borrowed.base);
    uv_close((uv_handle_t *)timer, NULL);
}

static void a_callback_of_libuv_may_stop_it_too(void **s)
{
    async_handle handle;
    (void)s;
    memset(&handle, 0, sizeof handle);
    borrow();
    async_loop_call_later(&borrowed.base, &handle, ASYNC_SECONDS(1000),
                          say_text, "never");
    uv_timer_init(&host, &program_timer);
    uv_timer_start(&program_timer, on_timer_stop, 1, 0);
    assert_int_not_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    async_handle_cancel(&handle);
    give_back();
    assert_said("");
}

static void stopped_before_uv_run_it_runs_one_iteration(void **s)
{
    (void)s;
    borrow();
    async_loop_stop(&borrowed.base);
    uv_run(&host, UV_RUN_DEFAULT);
    say("first");
    begin_task(&borrowed.base, CO(say_after, 0, "ran"));
    uv_run(&host, UV_RUN_DEFAULT);
    say("second");
    give_back();
    assert_said("first ran second");
}

static void on_prepare_uv_stop(uv_prepare_t *prepare)
{
    uv_stop(prepare->loop);
    uv_close((uv_handle_t *)prepare, NULL);
}

static void tasks_go_on_when_the_program_has_stopped_uv_run(void **s)
{
    uv_prepare_t prepare;
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(say_after, ASYNC_US(1), "woken"));
    uv_prepare_init(&host, &prepare);
    uv_prepare_start(&prepare, on_prepare_uv_stop);
    assert_int_not_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    say("stopped");
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("stopped woken");
}

static void on_timer_say(uv_timer_t *timer)
{
    say("timer");
    uv_close((uv_handle_t *)timer, NULL);
}

static void run_until_complete_runs_a_borrowed_loop(void **s)
{
    async_future future;
    int value = 0;
    (void)s;
    borrow();
    async_future_init(&future, &borrowed.base);
    uv_timer_init(&host, &program_timer);
    program_timer.data = &future;
    uv_timer_start(&program_timer, on_timer_set, 1, 0);
    assert_int_equal(async_loop_run_until_complete(
                         &borrowed.base, CO(wait_for_future, &future, "set")),
                     0);
    assert_int_equal(
        ASYNC_RUN_UNTIL_COMPLETE_INTO(value, &borrowed.base, give, 4), 0);
    assert_int_equal(value, 4);
    give_back();
    assert_said("set");
}

static void a_borrowed_loop_that_caesura_runs_waits_in_libuv(void **s)
{
    (void)s;
    borrow();
    async_loop_run_until_complete(&borrowed.base,
                                  CO(say_after, ASYNC_MS(30), "task"));
    assert_true(watched.runs < 20);
    give_back();
    assert_said("task");
}

/* Nothing keeps libuv's loop alive here but Caesura, which waits for it. */
static void run_until_complete_waits_for_what_does_not_keep_libuv(void **s)
{
    async_future future;
    (void)s;
    borrow();
    async_future_init(&future, &borrowed.base);
    uv_timer_init(&host, &program_timer);
    program_timer.data = &future;
    uv_timer_start(&program_timer, on_timer_set, 20, 0);
    uv_unref((uv_handle_t *)&program_timer);
    async_loop_run_until_complete(&borrowed.base,
                                  CO(wait_for_future, &future, "set"));
    assert_true(watched.runs < 20);
    give_back();
    assert_said("set");
}

static void what_run_until_complete_leaves_goes_on_under_uv_run(void **s)
{
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(say_after, ASYNC_MS(5), "sleeper"));
    async_loop_run_until_complete(&borrowed.base,
                                  CO(say_after, ASYNC_US(1), "complete"));
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    give_back();
    assert_said("complete sleeper");
}

static void run_forever_on_a_borrowed_loop_ends_when_stopped(void **s)
{
    (void)s;
    borrow();
    async_loop_call_later(&borrowed.base, NULL, ASYNC_MS(1), stop, &borrowed);
    async_loop_call_soon(&borrowed.base, NULL, say_text, "soon");
    assert_int_equal(async_loop_run_forever(&borrowed.base), 0);
    give_back();
    assert_said("soon");
}

static void closing_leaves_the_programs_handles_alone(void **s)
{
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(say_after, 0, "task"));
    uv_run(&host, UV_RUN_DEFAULT);
    uv_timer_init(&host, &program_timer);
    uv_timer_start(&program_timer, on_timer_say, 1, 0);
    assert_int_equal(async_uv_loop_count_handles(&borrowed.base), 1);
    give_back();
    assert_said("task timer");
}

static void closing_a_borrowed_loop_cancels_its_tasks(void **s)
{
    (void)s;
    borrow();
    begin_task(&borrowed.base, CO(sleep_on, "cleaned"));
    uv_run(&host, UV_RUN_NOWAIT);
    give_back();
    assert_said("[Task was destroyed but it is pending!] cleaned");
}

/* Inside uv_run(), where it must not be run again; and the loop's memory goes
 * at once. */
static void close_from_callback(async_uv_loop **loop)
{
    say("close:%d", async_loop_close(&(*loop)->base));
    memset(*loop, 0xa5, sizeof **loop);
    free(*loop);
    *loop = NULL;
}
static void on_timer_close(uv_timer_t *timer)
{
    close_from_callback(timer->data);
    uv_close((uv_handle_t *)timer, NULL);
}
static void on_async_close(uv_async_t *wakeup)
{
    close_from_callback(wakeup->data);
    uv_close((uv_handle_t *)wakeup, NULL);
}
static void on_prepare_close(uv_prepare_t *prepare)
{
    close_from_callback(prepare->data);
    uv_close((uv_handle_t *)prepare, NULL);
}
static void on_handle_closed(uv_handle_t *handle)
{
    close_from_callback(handle->data);
}

static async_uv_loop *borrow_on_heap(uv_loop_t *uv)
{
    async_uv_loop *loop = malloc(sizeof *loop);
    assert_non_null(loop);
    assert_int_equal(async_uv_loop_init(loop, uv, NULL), 0);
    begin_task(&loop->base, CO(say_after, 0, "task"));
    return loop;
}

static void a_borrowed_loop_may_be_closed_from_a_callback_of_libuv(void **s)
{
    async_uv_loop *loop;
    uv_timer_t timer;
    uv_async_t wakeup;
    uv_prepare_t prepare;
    (void)s;
    uv_loop_init(&host);
    timer.data = wakeup.data = prepare.data = &loop;

    loop = borrow_on_heap(&host);
    uv_run(&host, UV_RUN_NOWAIT);
    uv_run(&host, UV_RUN_NOWAIT);
    uv_timer_init(&host, &timer);
    uv_timer_start(&timer, on_timer_close, 2, 0);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);

    loop = borrow_on_heap(&host);
    uv_async_init(&host, &wakeup, on_async_close);
    uv_run(&host, UV_RUN_NOWAIT);
    uv_run(&host, UV_RUN_NOWAIT);
    uv_async_send(&wakeup);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);

    loop = borrow_on_heap(&host);
    uv_run(&host, UV_RUN_NOWAIT);
    uv_run(&host, UV_RUN_NOWAIT);
    uv_prepare_init(&host, &prepare);
    uv_prepare_start(&prepare, on_prepare_close);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);

    loop = borrow_on_heap(&host);
    uv_run(&host, UV_RUN_DEFAULT);
    uv_timer_init(&host, &timer);
    uv_close((uv_handle_t *)&timer, on_handle_closed);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);

    assert_int_equal(uv_loop_close(&host), 0);
    assert_int_equal(watched.deepest, 1);
    assert_said("task close:0 task close:0 task close:0 task close:0");
}

static void a_uv_loop_may_be_borrowed_again(void **s)
{
    (void)s;
    uv_loop_init(&host);
    for (ticks = 0; ticks < 2; ticks++) {
        assert_int_equal(async_uv_loop_init(&borrowed, &host, NULL), 0);
        begin_task(&borrowed.base, CO(say_after, ASYNC_MS(1), "task"));
        assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
        assert_int_equal(async_loop_close(&borrowed.base), 0);
    }
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&host), 0);
    assert_said("task task");
}

struct pass_on { ASYNC_FRAME; async_future *from, *to; const char *text; };
static ASYNC(pass_on)
{
    ASYNC_BEGIN(pass_on);
    AWAIT_FUTURE(self->from);
    say("%s", self->text);
    if (self->to != NULL) async_future_set_result(self->to);
    ASYNC_END;
}

static void two_loops_share_one_uv_loop_and_wake_each_other(void **s)
{
    async_uv_loop second;
    async_future a, b, c;
    (void)s;
    borrow();
    assert_int_equal(async_uv_loop_init(&second, &host, NULL), 0);
    async_future_init(&a, &borrowed.base);
    async_future_init(&b, &second.base);
    async_future_init(&c, &borrowed.base);
    begin_task(&borrowed.base, CO(pass_on, &c, NULL, "c"));
    begin_task(&second.base, CO(pass_on, &b, &c, "b"));
    begin_task(&borrowed.base, CO(pass_on, &a, &b, "a"));
    async_loop_call_later(&second.base, NULL, ASYNC_MS(1), set_future, &a);
    assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    assert_int_equal(async_loop_count_tasks(&borrowed.base), 0);
    assert_int_equal(async_loop_count_tasks(&second.base), 0);
    async_loop_close(&second.base);
    give_back();
    assert_said("a b c");
}

struct stay_in_loop { ASYNC_FRAME; };
static ASYNC(stay_in_loop)
{
    ASYNC_BEGIN(stay_in_loop);
    AWAIT(async_sleep, ASYNC_MS(30));
    say("%s", async_get_running_loop() == async_loop_of(co) ? "own" : "lost");
    ASYNC_END;
}

/* One is run by Caesura, the other hangs on to the same libuv loop. */
static void a_loop_runs_on_while_another_on_the_same_uv_loop_is_run(void **s)
{
    async_uv_loop second;
    (void)s;
    borrow();
    count_rounds();
    assert_int_equal(async_uv_loop_init(&second, &host, NULL), 0);
    begin_task(&borrowed.base, CO(say_after, ASYNC_MS(1), "other"));
    async_loop_run_until_complete(&second.base, CO(stay_in_loop));
    assert_true(rounds < 30);
    assert_null(async_get_running_loop());
    async_loop_close(&second.base);
    uv_close((uv_handle_t *)&rounds_handle, NULL);
    give_back();
    assert_said("other own");
}

static void a_borrowed_loop_gives_its_memory_back_once_libuv_has_run(void **s)
{
    (void)s;
    memory_begin();
    uv_loop_init(&host);
    async_uv_loop_init(&borrowed, &host, &counting_allocator);
    begin_task(&borrowed.base, CO(say_after, 0, "task"));
    uv_run(&host, UV_RUN_DEFAULT);
    async_loop_close(&borrowed.base);
    uv_run(&host, UV_RUN_DEFAULT);
    assert_int_equal(memory.live, 0);
    assert_int_equal(uv_loop_close(&host), 0);
    assert_said("task");
}

/* --- signals ----------------------------------------------------------------- */

static int interrupt(void *argument)
{
    (void)argument;
    raise(SIGINT);
    return 0;
}

/* Is interrupted, and cleans up for a while. */
struct interrupted { ASYNC_FRAME; async_duration cleaning; int others; };
static ASYNC(interrupted)
{
    ASYNC_BEGIN(interrupted);
    if (self->others)
        async_task_release(async_create_task(CO(sleep_on, "other")));
    async_loop_call_later(async_loop_of(co), NULL, ASYNC_MS(1), interrupt,
                          NULL);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_FINALLY {
        say("cleaning");
        AWAIT(async_sleep, self->cleaning);
        say("clean");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void sigint_cancels_the_main_coroutine_which_cleans_up(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(interrupted, ASYNC_MS(1), 1)), ASYNC_EINTR);
    assert_said("cleaning clean other");
}

static void after_the_run_sigint_is_again_what_it_was(void **s)
{
    struct sigaction action;
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(interrupted)), ASYNC_EINTR);
    assert_int_equal(sigaction(SIGINT, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(async_run(CO(interrupted)), ASYNC_EINTR);
    assert_said("cleaning clean cleaning clean");
}

static void sigint_ends_a_run_of_a_runner_and_not_the_next(void **s)
{
    async_uv_loop loop;
    async_runner runner;
    struct sigaction action;
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_runner_init(&runner, &loop.base);
    assert_int_equal(async_runner_run(&runner, CO(interrupted)), ASYNC_EINTR);
    assert_int_equal(sigaction(SIGINT, NULL, &action), 0);
    assert_true(action.sa_handler == SIG_DFL);
    assert_int_equal(async_runner_run(&runner, CO(async_sleep)), 0);
    assert_int_equal(async_runner_run(&runner, CO(interrupted)), ASYNC_EINTR);
    assert_int_equal(async_runner_close(&runner), 0);
    assert_said("cleaning clean cleaning clean");
}

struct goes_on { ASYNC_RETURNS(int); };
static ASYNC(goes_on)
{
    ASYNC_BEGIN(goes_on);
    ASYNC_TRY {
        interrupt(NULL);
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("caught");
    } ASYNC_END_TRY
    ASYNC_RETURN(5);
    ASYNC_END;
}

static void
a_main_coroutine_that_ends_well_after_sigint_has_its_result(void **s)
{
    int value = 0;
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(ASYNC_RUN_INTO(value, goes_on), 0);
    assert_int_equal(value, 5);
    assert_said("caught");
}

struct spin_interrupted { ASYNC_FRAME; };
static ASYNC(spin_interrupted)
{
    ASYNC_BEGIN(spin_interrupted);
    interrupt(NULL);
    for (;;) ASYNC_SUSPEND;
    ASYNC_END;
}

static void sigint_reaches_a_coroutine_that_never_waits(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(spin_interrupted)), ASYNC_EINTR);
}

/* Will not end at the first request; in a second one it is told again. */
struct stubborn { ASYNC_FRAME; int tries; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    for (self->tries = 0; self->tries < 2; self->tries++) {
        ASYNC_TRY {
            async_loop_call_soon(async_loop_of(co), NULL, interrupt, NULL);
            AWAIT(async_sleep, ASYNC_SECONDS(1000));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            say("caught");
        } ASYNC_END_TRY
    }
    say("over");
    ASYNC_END;
}

static void a_second_sigint_stops_the_loop(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(stubborn)), ASYNC_EINTR);
    assert_said("caught caught over");
}

/* Will not end at all. */
struct immovable { ASYNC_FRAME; int tries; };
static ASYNC(immovable)
{
    ASYNC_BEGIN(immovable);
    for (;;) {
        ASYNC_TRY {
            if (self->tries++ < 3)
                async_loop_call_soon(async_loop_of(co), NULL, interrupt, NULL);
            AWAIT(async_sleep, ASYNC_SECONDS(1000));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            say("caught");
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

/* Once for the first, once after the second, and when the loop is closed. */
static void a_third_sigint_ends_the_waiting_for_what_will_not_end(void **s)
{
    (void)s;
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run(CO(immovable)), ASYNC_EINTR);
    assert_said("caught caught caught");
}

static volatile sig_atomic_t own_signals;
static void on_own_signal(int number)
{
    (void)number;
    own_signals++;
}

struct raise_and_go_on { ASYNC_FRAME; int number; };
static ASYNC(raise_and_go_on)
{
    ASYNC_BEGIN(raise_and_go_on);
    raise(self->number);
    AWAIT(async_sleep, ASYNC_MS(1));
    say("went on");
    ASYNC_END;
}

static void a_handler_of_the_programs_for_sigint_stays(void **s)
{
    (void)s;
    own_signals = 0;
    signal(SIGINT, on_own_signal);
    assert_int_equal(async_run(CO(raise_and_go_on, SIGINT)), 0);
    assert_int_equal(own_signals, 1);
    signal(SIGINT, SIG_DFL);
    assert_said("went on");
}

static void a_program_that_ignores_sigint_goes_on_to(void **s)
{
    (void)s;
    signal(SIGINT, SIG_IGN);
    assert_int_equal(async_run(CO(raise_and_go_on, SIGINT)), 0);
    signal(SIGINT, SIG_DFL);
    assert_said("went on");
}

static void sigpipe_is_ignored(void **s)
{
    (void)s;
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(async_run(CO(raise_and_go_on, SIGPIPE)), 0);
    assert_said("went on");
}

static void a_handler_of_the_programs_for_sigpipe_stays(void **s)
{
    (void)s;
    own_signals = 0;
    signal(SIGPIPE, on_own_signal);
    assert_int_equal(async_run(CO(raise_and_go_on, SIGPIPE)), 0);
    assert_int_equal(own_signals, 1);
    signal(SIGPIPE, SIG_IGN);
    assert_said("went on");
}

static int watch_nothing(void **state)
{
    memset(&watched, 0, sizeof watched);
    return unit_begin(state);
}
#undef TEST
#define TEST(name) cmocka_unit_test_setup(name, watch_nothing)

UNIT_MAIN(TEST(async_run_returns_zero_when_the_main_coroutine_has_ended),
          TEST(async_run_returns_the_error_of_the_main_coroutine),
          TEST(run_into_takes_the_result_and_leaves_it_after_an_error),
          TEST(async_run_inside_a_running_loop_is_an_error),
          TEST(async_run_cancels_what_is_left_and_waits_for_it),
          TEST(a_sleep_lasts_at_least_as_long_as_was_asked),
          TEST(a_sleep_after_a_pause_that_blocks_does_not_end_early),
          TEST(a_timer_due_by_the_time_libuv_runs_does_not_stop_the_loop),
          TEST(the_order_is_that_of_the_virtual_loop),
          TEST(what_libuv_makes_ready_before_it_waits_is_not_waited_over),
          TEST(a_loop_that_is_never_idle_looks_at_libuv_all_the_same),
          TEST(waiting_is_left_to_libuv),
          TEST(run_until_complete_leaves_others_for_the_next_run),
          TEST(run_forever_ends_when_it_is_stopped_and_can_begin_again),
          TEST(two_loops_in_a_thread_take_turns),
          TEST(a_loop_gives_all_its_memory_back),
          TEST(closing_cancels_what_is_pending_and_says_so),
          TEST(closing_does_not_wait_for_time_nor_for_who_waits_for_it),
          TEST(closing_waits_for_the_requests_of_pending_tasks),
          TEST(closing_closes_handles_that_the_program_has_left),
          TEST(only_the_programs_handles_are_counted),
          TEST(without_descriptors_init_is_an_error_and_leaks_nothing),
          TEST(async_run_without_descriptors_returns_the_error),
          TEST(without_memory_a_loop_cannot_be_borrowed),
          TEST(uv_run_returns_when_the_tasks_are_over),
          TEST(a_loop_without_tasks_does_not_keep_uv_run),
          TEST(tasks_run_among_the_programs_own_handles),
          TEST(a_task_that_sleeps_keeps_uv_run_but_does_not_turn_it),
          TEST(a_task_that_waits_for_a_future_does_not_keep_uv_run),
          TEST(uv_run_nowait_goes_on_as_long_as_there_are_tasks),
          TEST(uv_run_once_goes_on_as_long_as_there_are_tasks),
          TEST(what_a_callback_of_libuv_schedules_keeps_uv_run),
          TEST(a_future_set_by_a_callback_of_libuv_wakes_the_task),
          TEST(a_cancelled_timer_no_longer_keeps_uv_run),
          TEST(stopping_the_loop_makes_uv_run_return),
          TEST(a_callback_of_libuv_may_stop_it_too),
          TEST(stopped_before_uv_run_it_runs_one_iteration),
          TEST(tasks_go_on_when_the_program_has_stopped_uv_run),
          TEST(run_until_complete_runs_a_borrowed_loop),
          TEST(a_borrowed_loop_that_caesura_runs_waits_in_libuv),
          TEST(run_until_complete_waits_for_what_does_not_keep_libuv),
          TEST(what_run_until_complete_leaves_goes_on_under_uv_run),
          TEST(run_forever_on_a_borrowed_loop_ends_when_stopped),
          TEST(closing_leaves_the_programs_handles_alone),
          TEST(closing_a_borrowed_loop_cancels_its_tasks),
          TEST(a_borrowed_loop_may_be_closed_from_a_callback_of_libuv),
          TEST(a_uv_loop_may_be_borrowed_again),
          TEST(two_loops_share_one_uv_loop_and_wake_each_other),
          TEST(a_loop_runs_on_while_another_on_the_same_uv_loop_is_run),
          TEST(a_borrowed_loop_gives_its_memory_back_once_libuv_has_run),
          TEST(sigint_cancels_the_main_coroutine_which_cleans_up),
          TEST(after_the_run_sigint_is_again_what_it_was),
          TEST(sigint_ends_a_run_of_a_runner_and_not_the_next),
          TEST(a_main_coroutine_that_ends_well_after_sigint_has_its_result),
          TEST(sigint_reaches_a_coroutine_that_never_waits),
          TEST(a_second_sigint_stops_the_loop),
          TEST(a_third_sigint_ends_the_waiting_for_what_will_not_end),
          TEST(a_handler_of_the_programs_for_sigint_stays),
          TEST(a_program_that_ignores_sigint_goes_on_to),
          TEST(sigpipe_is_ignored),
          TEST(a_handler_of_the_programs_for_sigpipe_stays))
