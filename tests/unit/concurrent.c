/* link: -luv -pthread */
/* Coroutines that other threads start and wait for. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EVALUE, -10001, "bad value")
#include "../../async/uv/threads.h"

#include "unit.h"

#include <pthread.h>
#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

static async_uv_loop loop;

/* The main coroutine waits until the other thread has finished. */
struct until_finished { ASYNC_FRAME; async_future over; };
static struct until_finished *waiting;
static ASYNC(until_finished)
{
    ASYNC_BEGIN(until_finished);
    async_future_init(&self->over, async_loop_of(co));
    waiting = self;
    AWAIT_FUTURE(&self->over);
    ASYNC_END;
}
static int finish(void *nothing)
{
    (void)nothing;
    return async_future_set_result(&waiting->over);
}

typedef struct other {
    void (*body)(void);
} other;
static void *other_thread(void *argument)
{
    ((other *)argument)->body();
    async_loop_call_soon_threadsafe(&loop.base, NULL, finish, NULL);
    return NULL;
}

/* Runs the loop in this thread and `body` in another, until both are over. */
static void run_beside(void (*body)(void))
{
    pthread_t thread;
    other beside;
    beside.body = body;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    /* So that the main coroutine is there before the other thread. */
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &beside), 0);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(until_finished)), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    AWAIT(async_sleep, ASYNC_MS(2));
    ASYNC_RETURN(2 * self->n);
    ASYNC_END;
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    AWAIT(async_sleep, 0);
    ASYNC_RAISE(EVALUE);
    ASYNC_END;
}

static int sleeping, cleaned;
struct sleeps { ASYNC_RETURNS(int); int catches; };
static ASYNC(sleeps)
{
    ASYNC_BEGIN(sleeps);
    __atomic_store_n(&sleeping, 1, __ATOMIC_RELEASE);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        AWAIT(async_sleep, ASYNC_MS(2));
        cleaned++;
        if (!self->catches) ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_RETURN(7);
    ASYNC_END;
}

/* Waits for a while that is too short, until the coroutine sleeps. */
static void wait_until_it_sleeps(async_concurrent_future *future)
{
    do
        assert_int_equal(async_concurrent_future_result(future, ASYNC_MS(2)),
                         ASYNC_ETIMEDOUT);
    while (!__atomic_load_n(&sleeping, __ATOMIC_ACQUIRE));
}

/* --- tests --------------------------------------------------------------- */

static void starts_and_waits(void)
{
    ASYNC_CONCURRENT_FUTURE(int) answer;
    assert_int_equal(
        ASYNC_RUN_COROUTINE_THREADSAFE(&answer, &loop.base, twice, .n = 21),
        0);
    assert_int_equal(
        async_concurrent_future_result(&answer.future, ASYNC_FOREVER), 0);
    assert_true(async_concurrent_future_done(&answer.future));
    assert_int_equal(answer.value, 42);
    assert_int_equal(async_concurrent_future_result(&answer.future, 0), 0);
    async_concurrent_future_destroy(&answer.future);
}
static void another_thread_starts_a_coroutine_and_has_its_result(void **s)
{
    (void)s;
    run_beside(starts_and_waits);
}

static void waits_for_error(void)
{
    async_concurrent_future future;
    assert_int_equal(
        async_run_coroutine_threadsafe(&loop.base, CO(fails), &future), 0);
    assert_int_equal(async_concurrent_future_result(&future, ASYNC_FOREVER),
                     EVALUE);
    async_concurrent_future_destroy(&future);
}
static void its_error_is_the_other_threads(void **s)
{
    (void)s;
    run_beside(waits_for_error);
}

static void waits_a_while(void)
{
    async_concurrent_future future;
    assert_int_equal(
        async_run_coroutine_threadsafe(&loop.base, CO(sleeps), &future), 0);
    assert_int_equal(async_concurrent_future_result(&future, 0),
                     ASYNC_ETIMEDOUT);
    wait_until_it_sleeps(&future);
    assert_false(async_concurrent_future_done(&future));
    assert_int_equal(async_concurrent_future_cancel(&future), 1);
    (void)async_concurrent_future_cancel(&future); /* the same request */
    assert_int_equal(async_concurrent_future_result(&future, ASYNC_FOREVER),
                     ASYNC_ECANCELED);
    assert_int_equal(async_concurrent_future_cancel(&future), 0);
    assert_int_equal(cleaned, 1);
    async_concurrent_future_destroy(&future);
}
static void the_time_may_be_over_before_and_then_it_is_cancelled(void **s)
{
    (void)s;
    sleeping = cleaned = 0;
    run_beside(waits_a_while);
}

static void cancels_one_that_catches(void)
{
    ASYNC_CONCURRENT_FUTURE(int) answer;
    assert_int_equal(ASYNC_RUN_COROUTINE_THREADSAFE(&answer, &loop.base,
                                                    sleeps, .catches = 1),
                     0);
    wait_until_it_sleeps(&answer.future);
    assert_int_equal(async_concurrent_future_cancel(&answer.future), 1);
    assert_int_equal(
        async_concurrent_future_result(&answer.future, ASYNC_FOREVER), 0);
    assert_int_equal(answer.value, 7);
    async_concurrent_future_destroy(&answer.future);
}
static void one_that_catches_the_cancellation_has_its_result(void **s)
{
    (void)s;
    sleeping = cleaned = 0;
    run_beside(cancels_one_that_catches);
}

static void cancels_at_once(void)
{
    async_concurrent_future future;
    int i;
    for (i = 0; i < 200; i++) {
        assert_int_equal(
            async_run_coroutine_threadsafe(&loop.base, CO(sleeps), &future),
            0);
        assert_int_equal(async_concurrent_future_cancel(&future), 1);
        async_concurrent_future_destroy(&future);
    }
}
static void cancelled_wherever_it_stands_it_ends(void **s)
{
    (void)s;
    run_beside(cancels_at_once);
}

static void many_race(void)
{
    ASYNC_CONCURRENT_FUTURE(int) answers[50];
    int i, round, result;
    for (round = 0; round < 5; round++) {
        for (i = 0; i < 50; i++)
            assert_int_equal(ASYNC_RUN_COROUTINE_THREADSAFE(
                                 &answers[i], &loop.base, twice, i),
                             0);
        for (i = 0; i < 50; i += 3)
            async_concurrent_future_cancel(&answers[i].future);
        for (i = 0; i < 50; i++) {
            result = async_concurrent_future_result(&answers[i].future,
                                                    ASYNC_FOREVER);
            if (result == 0) assert_int_equal(answers[i].value, 2 * i);
            async_concurrent_future_destroy(&answers[i].future);
        }
    }
}
static void many_can_run_at_once(void **s)
{
    (void)s;
    run_beside(many_race);
}

struct blocks_itself { ASYNC_FRAME; ASYNC_CONCURRENT_FUTURE(int) answer; };
static ASYNC(blocks_itself)
{
    ASYNC_BEGIN(blocks_itself);
    assert_int_equal(
        ASYNC_RUN_COROUTINE_THREADSAFE(&self->answer, &loop.base, twice, 4),
        0);
    assert_int_equal(
        async_concurrent_future_result(&self->answer.future, ASYNC_FOREVER),
        ASYNC_EDEADLOCK);
    while (!async_concurrent_future_done(&self->answer.future))
        AWAIT(async_sleep, ASYNC_MS(1));
    assert_int_equal(self->answer.value, 8);
    async_concurrent_future_destroy(&self->answer.future);
    ASYNC_END;
}
static void in_the_loops_own_thread_waiting_is_refused(void **s)
{
    (void)s;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(blocks_itself)), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static void a_closed_loop_starts_nothing(void **s)
{
    async_concurrent_future future;
    (void)s;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(
        async_run_coroutine_threadsafe(&loop.base, CO(fails), &future),
        ASYNC_ELOOPCLOSED);
}

static int refuse_all;
static void *refusing_allocate(void *context, size_t size)
{
    (void)context;
    return refuse_all ? NULL : malloc(size);
}
static void refusing_release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    free(memory);
}
static void without_memory_nothing_is_started(void **s)
{
    async_allocator allocator;
    async_concurrent_future future;
    (void)s;
    memset(&allocator, 0, sizeof allocator);
    allocator.allocate = refusing_allocate;
    allocator.release = refusing_release;
    refuse_all = 0;
    assert_int_equal(async_uv_loop_init(&loop, NULL, &allocator), 0);
    refuse_all = 1;
    assert_int_equal(
        async_run_coroutine_threadsafe(&loop.base, CO(fails), &future),
        ASYNC_ENOMEM);
    refuse_all = 0;
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* --- waiting in a task of another loop -------------------------------------- */

static const char *name_of(int error)
{
    const char *name = async_error_name(error);
    return error == 0 ? "ok" : name != NULL ? name : "?";
}

static void *run_other_loop(void *there)
{
    assert_int_equal(async_loop_run_forever(there), 0);
    return NULL;
}
static int stop_loop(void *there)
{
    async_loop_stop(there);
    return 0;
}

/* Runs `program` on the loop, while another thread runs `remote`. */
static async_uv_loop remote;
static void run_with_remote(async_object program)
{
    pthread_t thread;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    assert_int_equal(async_uv_loop_init(&remote, NULL, NULL), 0);
    assert_int_equal(
        pthread_create(&thread, NULL, run_other_loop, &remote.base), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, program), 0);
    assert_int_equal(loop.held, 0);
    async_loop_call_soon_threadsafe(&remote.base, NULL, stop_loop,
                                    &remote.base);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(async_loop_count_tasks(&remote.base), 0);
    assert_int_equal(async_loop_close(&remote.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

struct waits_there {
    ASYNC_FRAME;
    ASYNC_CONCURRENT_FUTURE(int) answer;
    int error;
};
static ASYNC(waits_there)
{
    ASYNC_BEGIN(waits_there);
    assert_int_equal(
        ASYNC_RUN_COROUTINE_THREADSAFE(&self->answer, &remote.base, twice, 8),
        0);
    AWAIT(async_wrap_future, &self->answer.future);
    say("%d", self->answer.value);
    AWAIT(async_wrap_future, &self->answer.future); /* it is done */
    say("%d", self->answer.value);
    async_concurrent_future_destroy(&self->answer.future);
    assert_int_equal(async_run_coroutine_threadsafe(&remote.base, CO(fails),
                                                    &self->answer.future),
                     0);
    AWAIT_CATCH(self->error, async_wrap_future, &self->answer.future);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_wrap_future, &self->answer.future);
    say("%s", name_of(self->error));
    async_concurrent_future_destroy(&self->answer.future);
    ASYNC_END;
}
static void a_task_waits_for_a_coroutine_on_another_loop(void **s)
{
    (void)s;
    run_with_remote(CO(waits_there));
    assert_said("16 16 EVALUE EVALUE");
}

struct waiter { ASYNC_FRAME; async_concurrent_future *future; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    AWAIT(async_wrap_future, self->future);
    ASYNC_END;
}
struct cancels_there {
    ASYNC_FRAME;
    int catches;
    ASYNC_CONCURRENT_FUTURE(int) answer;
    async_task *task;
    int error;
};
static ASYNC(cancels_there)
{
    ASYNC_BEGIN(cancels_there);
    assert_int_equal(ASYNC_RUN_COROUTINE_THREADSAFE(&self->answer,
                                                    &remote.base, sleeps,
                                                    .catches = self->catches),
                     0);
    while (!__atomic_load_n(&sleeping, __ATOMIC_ACQUIRE))
        AWAIT(async_sleep, ASYNC_MS(1));
    self->task = async_create_task(CO(waiter, &self->answer.future));
    AWAIT(async_sleep, 0);
    AWAIT_CATCH(self->error, async_wrap_future, &self->answer.future);
    say("second:%s", name_of(self->error));
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
        say("%d", self->answer.value);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    say("%d", async_concurrent_future_done(&self->answer.future));
    async_concurrent_future_destroy(&self->answer.future);
    ASYNC_END;
}
static void cancelled_it_cancels_the_coroutine_and_has_its_end(void **s)
{
    (void)s;
    sleeping = cleaned = 0;
    run_with_remote(CO(cancels_there));
    assert_int_equal(cleaned, 1);
    assert_said("second:ASYNC_EBUSY ASYNC_ECANCELED 1");
}
static void one_that_catches_it_has_its_result_there_too(void **s)
{
    (void)s;
    sleeping = cleaned = 0;
    run_with_remote(CO(cancels_there, .catches = 1));
    assert_said("second:ASYNC_EBUSY 7 1");
}

struct many_there {
    ASYNC_FRAME;
    ASYNC_CONCURRENT_FUTURE(int) answers[100];
    async_task *tasks[100];
    int i, error, round;
};
static ASYNC(many_there)
{
    ASYNC_BEGIN(many_there);
    for (self->round = 0; self->round < 5; self->round++) {
        for (self->i = 0; self->i < 100; self->i++) {
            assert_int_equal(
                ASYNC_RUN_COROUTINE_THREADSAFE(&self->answers[self->i],
                                               &remote.base, twice, self->i),
                0);
            self->tasks[self->i] =
                async_create_task(CO(waiter, &self->answers[self->i].future));
        }
        AWAIT(async_sleep, 0);
        for (self->i = 0; self->i < 100; self->i += 3)
            async_task_cancel(self->tasks[self->i]);
        for (self->i = 0; self->i < 100; self->i++) {
            ASYNC_TRY {
                AWAIT_JOIN(self->tasks[self->i]);
                assert_int_equal(self->answers[self->i].value, 2 * self->i);
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                assert_int_equal(self->i % 3, 0);
            } ASYNC_END_TRY
            async_concurrent_future_destroy(&self->answers[self->i].future);
        }
    }
    ASYNC_END;
}
static void many_wait_and_some_are_cancelled(void **s)
{
    (void)s;
    run_with_remote(CO(many_there));
}

struct waits_here { ASYNC_FRAME; async_concurrent_future future; int error; };
static ASYNC(waits_here)
{
    ASYNC_BEGIN(waits_here);
    assert_int_equal(
        async_run_coroutine_threadsafe(&loop.base, CO(fails), &self->future),
        0);
    AWAIT_CATCH(self->error, async_wrap_future, &self->future);
    say("%s", name_of(self->error));
    while (!async_concurrent_future_done(&self->future))
        AWAIT(async_sleep, ASYNC_MS(1));
    async_concurrent_future_destroy(&self->future);
    ASYNC_END;
}
static void a_future_of_the_same_loop_is_not_wrapped(void **s)
{
    (void)s;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(waits_here)),
                     0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("ASYNC_EDEADLOCK");
}

UNIT_MAIN(TEST(another_thread_starts_a_coroutine_and_has_its_result),
          TEST(its_error_is_the_other_threads),
          TEST(the_time_may_be_over_before_and_then_it_is_cancelled),
          TEST(one_that_catches_the_cancellation_has_its_result),
          TEST(cancelled_wherever_it_stands_it_ends),
          TEST(many_can_run_at_once),
          TEST(in_the_loops_own_thread_waiting_is_refused),
          TEST(a_closed_loop_starts_nothing),
          TEST(without_memory_nothing_is_started),
          TEST(a_task_waits_for_a_coroutine_on_another_loop),
          TEST(cancelled_it_cancels_the_coroutine_and_has_its_end),
          TEST(one_that_catches_it_has_its_result_there_too),
          TEST(many_wait_and_some_are_cancelled),
          TEST(a_future_of_the_same_loop_is_not_wrapped))
