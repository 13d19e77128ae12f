/* Several runs on one loop. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EVALUE, -10001, "bad value")
#include "../../async/context.h"

#include "virtual.h"

static async_runner runner;

static void open_runner(void)
{
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    async_runner_init(&runner, &loop.base);
}

struct returns { ASYNC_RETURNS(int); int value; };
static ASYNC(returns)
{
    ASYNC_BEGIN(returns);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_RETURN(self->value);
    ASYNC_END;
}

static void each_run_has_its_result_and_time_goes_on(void **s)
{
    int value = 0;
    (void)s;
    open_runner();
    assert_int_equal(ASYNC_RUNNER_RUN_INTO(value, &runner, returns, 3), 0);
    assert_int_equal(value, 3);
    assert_int_equal(async_runner_run(&runner, CO(returns)), 0);
    assert_int_equal(seconds(), 2);
    assert_int_equal(async_runner_close(&runner), 0);
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_RAISE(EVALUE);
    ASYNC_END;
}

static void an_error_is_returned_and_the_next_run_goes_on(void **s)
{
    (void)s;
    open_runner();
    assert_int_equal(async_runner_run(&runner, CO(fails)), EVALUE);
    assert_int_equal(async_runner_run(&runner, CO(returns)), 0);
    assert_int_equal(async_runner_close(&runner), 0);
    assert_said("");
}

struct background { ASYNC_FRAME; };
static ASYNC(background)
{
    ASYNC_BEGIN(background);
    ASYNC_TRY {
        for (;;) {
            say("tick");
            AWAIT(async_sleep, ASYNC_SECONDS(0.75));
        }
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("clean");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct starts { ASYNC_FRAME; };
static ASYNC(starts)
{
    ASYNC_BEGIN(starts);
    async_task_release(async_create_task(CO(background)));
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void
what_is_left_stands_still_goes_on_and_is_cancelled_at_close(void **s)
{
    (void)s;
    open_runner();
    assert_int_equal(async_runner_run(&runner, CO(starts)), 0);
    say("between");
    assert_int_equal(async_runner_run(&runner, CO(returns)), 0);
    say("close");
    assert_int_equal(async_runner_close(&runner), 0);
    assert_true(async_loop_is_closed(&loop.base));
    assert_said("tick between tick close clean");
}

static ASYNC_CONTEXTVAR(int) v = ASYNC_CONTEXTVAR_INIT("v", 0);
struct sees_and_sets { ASYNC_FRAME; int value; };
static ASYNC(sees_and_sets)
{
    ASYNC_BEGIN(sees_and_sets);
    say("%d", ASYNC_CONTEXTVAR_GET(&v));
    ASYNC_CONTEXTVAR_SET(&v, self->value);
    ASYNC_END;
}

static void all_runs_are_in_one_context(void **s)
{
    (void)s;
    open_runner();
    async_runner_run(&runner, CO(sees_and_sets, 1));
    async_runner_run(&runner, CO(sees_and_sets, 2));
    async_runner_run(&runner, CO(sees_and_sets, 3));
    async_runner_close(&runner);
    say("%d", ASYNC_CONTEXTVAR_GET(&v));
    assert_said("0 1 2 0");
}

static void a_closed_runner_runs_nothing_and_may_be_closed_again(void **s)
{
    (void)s;
    open_runner();
    assert_ptr_equal(async_runner_get_loop(&runner), &loop.base);
    assert_int_equal(async_runner_close(&runner), 0);
    assert_null(async_runner_get_loop(&runner));
    assert_int_equal(async_runner_run(&runner, CO(returns)),
                     ASYNC_ERUNNERCLOSED);
    assert_int_equal(async_runner_close(&runner), 0);
}

struct nests { ASYNC_FRAME; };
static ASYNC(nests)
{
    ASYNC_BEGIN(nests);
    assert_int_equal(async_runner_run(&runner, CO(returns)), ASYNC_ENESTEDRUN);
    assert_int_equal(async_runner_close(&runner), ASYNC_ECLOSERUNNING);
    ASYNC_END;
}

static void a_runner_neither_runs_nor_closes_inside_a_run(void **s)
{
    (void)s;
    open_runner();
    assert_int_equal(async_runner_run(&runner, CO(nests)), 0);
    assert_int_equal(async_runner_close(&runner), 0);
}

static void only_a_coroutine_is_run(void **s)
{
    async_future future;
    (void)s;
    open_runner();
    async_future_init(&future, &loop.base);
    assert_int_equal(async_runner_run(&runner, async_future_object(&future)),
                     ASYNC_EINVAL);
    assert_int_equal(async_runner_close(&runner), 0);
}

static int interrupt(void *nothing)
{
    (void)nothing;
    async_loop_interrupt(&loop.base);
    return 0;
}
struct is_interrupted { ASYNC_FRAME; };
static ASYNC(is_interrupted)
{
    ASYNC_BEGIN(is_interrupted);
    async_loop_call_later(async_loop_of(co), NULL, ASYNC_SECONDS(1), interrupt,
                          NULL);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_FOREVER);
    } ASYNC_FINALLY {
        say("clean");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void an_interrupt_cancels_the_run_and_not_the_next(void **s)
{
    (void)s;
    open_runner();
    assert_int_equal(async_runner_run(&runner, CO(is_interrupted)),
                     ASYNC_EINTR);
    assert_int_equal(async_runner_run(&runner, CO(returns)), 0);
    assert_int_equal(async_runner_close(&runner), 0);
    assert_said("clean");
}

struct is_cancelled_too { ASYNC_FRAME; };
static ASYNC(is_cancelled_too)
{
    ASYNC_BEGIN(is_cancelled_too);
    interrupt(NULL);
    async_task_cancel(async_current_task());
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void cancelled_by_others_too_it_is_no_interrupt(void **s)
{
    (void)s;
    open_runner();
    assert_int_equal(async_runner_run(&runner, CO(is_cancelled_too)),
                     ASYNC_ECANCELED);
    assert_int_equal(async_runner_close(&runner), 0);
}

UNIT_MAIN(TEST(each_run_has_its_result_and_time_goes_on),
          TEST(an_error_is_returned_and_the_next_run_goes_on),
          TEST(what_is_left_stands_still_goes_on_and_is_cancelled_at_close),
          TEST(all_runs_are_in_one_context),
          TEST(a_closed_runner_runs_nothing_and_may_be_closed_again),
          TEST(a_runner_neither_runs_nor_closes_inside_a_run),
          TEST(only_a_coroutine_is_run),
          TEST(an_interrupt_cancels_the_run_and_not_the_next),
          TEST(cancelled_by_others_too_it_is_no_interrupt))
