/* link: -luv -pthread */
/* What other threads may do to a loop: schedule callbacks, and wake it. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include "uv.h"

#include <pthread.h>

/* --- helpers ------------------------------------------------------------- */

/* Runs it in a thread of its own, to its end. */
static void *in_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, function, argument), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    return result;
}

/* --- order, number, memory ------------------------------------------------ */

/* What one thread schedules: with handles of its own, or with the loop's. */
enum { EACH = 5000, THREADS = 4 };
typedef struct producer {
    async_loop *loop;
    async_future *all_done;
    struct item {
        async_handle handle;
        struct producer *producer;
        int number;
    } items[EACH];
    int own, seen, wrong, failed;
} producer;

static int consumed; /* by the loop's thread, of all */

static int consume(void *argument)
{
    struct item *item = argument;
    producer *p = item->producer;
    if (item->number != p->seen++) p->wrong++;
    if (++consumed == THREADS * EACH) async_future_set_result(p->all_done);
    return 0;
}

static void *produce(void *argument)
{
    producer *p = argument;
    int i;
    for (i = 0; i < EACH; i++)
        if (async_loop_call_soon_threadsafe(
                p->loop, p->own ? &p->items[i].handle : NULL, consume,
                &p->items[i]))
            p->failed++;
    return NULL;
}

struct consume_all {
    ASYNC_FRAME;
    producer *producers;
    int i, own;
    pthread_t threads[THREADS];
    async_future all_done;
};
static ASYNC(consume_all)
{
    ASYNC_BEGIN(consume_all);
    async_future_init(&self->all_done, async_loop_of(co));
    consumed = 0;
    for (self->i = 0; self->i < THREADS; self->i++) {
        producer *p = &self->producers[self->i];
        int i;
        p->loop = async_loop_of(co);
        p->all_done = &self->all_done;
        p->own = self->own;
        for (i = 0; i < EACH; i++) {
            p->items[i].producer = p;
            p->items[i].number = i;
        }
        assert_int_equal(
            pthread_create(&self->threads[self->i], NULL, produce, p), 0);
    }
    AWAIT_FUTURE(&self->all_done);
    for (self->i = 0; self->i < THREADS; self->i++)
        pthread_join(self->threads[self->i], NULL);
    AWAIT(async_sleep, ASYNC_MS(1)); /* would there be one too many? */
    ASYNC_END;
}

static void consume_from_threads(int own)
{
    producer *producers = calloc(THREADS, sizeof *producers);
    int i;
    assert_non_null(producers);
    assert_int_equal(async_run(CO(consume_all, producers, .own = own)), 0);
    assert_int_equal(consumed, THREADS * EACH);
    for (i = 0; i < THREADS; i++) {
        assert_int_equal(producers[i].failed, 0);
        assert_int_equal(producers[i].seen, EACH);
        assert_int_equal(producers[i].wrong, 0);
    }
    free(producers);
}

static void each_of_thousands_runs_once_and_in_its_threads_order(void **s)
{
    (void)s;
    consume_from_threads(1);
}

static void the_same_with_handles_that_the_loop_makes(void **s)
{
    (void)s;
    consume_from_threads(0);
}

/* --- waking ------------------------------------------------------------------ */

typedef struct rouse {
    async_loop *loop;
    async_future *future;
    async_handle handle;
    int error;
} rouse;

static void *set_after_a_while(void *argument)
{
    rouse *r = argument;
    block(3);
    r->error = async_loop_call_soon_threadsafe(r->loop, &r->handle, set_future,
                                               r->future);
    return NULL;
}

struct wait_for_thread {
    ASYNC_FRAME;
    async_future future;
    pthread_t thread;
    rouse rouse;
    int times;
};
static ASYNC(wait_for_thread)
{
    ASYNC_BEGIN(wait_for_thread);
    for (self->times = 0; self->times < 3; self->times++) {
        async_future_init(&self->future, async_loop_of(co));
        self->rouse.loop = async_loop_of(co);
        self->rouse.future = &self->future;
        pthread_create(&self->thread, NULL, set_after_a_while, &self->rouse);
        AWAIT_FUTURE(&self->future);
        pthread_join(self->thread, NULL);
        say("%d", self->rouse.error);
    }
    ASYNC_END;
}

static void a_loop_that_waits_in_poll_is_woken(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(wait_for_thread)), 0);
    assert_said("0 0 0");
}

struct sleep_beside_thread {
    ASYNC_FRAME;
    async_future future;
    pthread_t thread;
    rouse rouse;
};
static ASYNC(sleep_beside_thread)
{
    ASYNC_BEGIN(sleep_beside_thread);
    async_future_init(&self->future, async_loop_of(co));
    self->rouse.loop = async_loop_of(co);
    self->rouse.future = &self->future;
    pthread_create(&self->thread, NULL, set_after_a_while, &self->rouse);
    /* a timer in the far future must not be in the way */
    AWAIT(async_wait_for, async_future_object(&self->future),
          ASYNC_SECONDS(1000));
    pthread_join(self->thread, NULL);
    say("set");
    ASYNC_END;
}

static void a_loop_that_waits_for_a_timer_is_woken(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(sleep_beside_thread)), 0);
    assert_said("set");
}

/* Sets one future after the other as fast as the loop asks for it, to meet it
 * at any point between two polls. */
struct back_and_forth {
    ASYNC_FRAME;
    async_future future;
    async_handle handle;
    pthread_t thread;
    int i;
};
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct back_and_forth *asked;
    int over;
} rally = { .lock = PTHREAD_MUTEX_INITIALIZER,
            .changed = PTHREAD_COND_INITIALIZER };
static void *answer(void *loop)
{
    struct back_and_forth *asked;
    pthread_mutex_lock(&rally.lock);
    while (!rally.over) {
        if (rally.asked == NULL) {
            pthread_cond_wait(&rally.changed, &rally.lock);
            continue;
        }
        asked = rally.asked;
        rally.asked = NULL;
        pthread_mutex_unlock(&rally.lock);
        async_loop_call_soon_threadsafe(loop, &asked->handle, set_future,
                                        &asked->future);
        pthread_mutex_lock(&rally.lock);
    }
    pthread_mutex_unlock(&rally.lock);
    return NULL;
}
static void ask(struct back_and_forth *asked, int over)
{
    pthread_mutex_lock(&rally.lock);
    rally.asked = asked;
    rally.over = over;
    pthread_cond_signal(&rally.changed);
    pthread_mutex_unlock(&rally.lock);
}
static ASYNC(back_and_forth)
{
    ASYNC_BEGIN(back_and_forth);
    ask(NULL, 0);
    pthread_create(&self->thread, NULL, answer, async_loop_of(co));
    for (self->i = 0; self->i < 2000; self->i++) {
        async_future_init(&self->future, async_loop_of(co));
        ask(self, 0);
        AWAIT_FUTURE(&self->future);
    }
    ask(NULL, 1);
    pthread_join(self->thread, NULL);
    ASYNC_END;
}

static void no_wakeup_is_lost(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(back_and_forth)), 0);
}

static void *say_soon(void *loop)
{
    async_loop_call_soon_threadsafe(loop, NULL, say_text, "thread");
    return NULL;
}

struct busy { ASYNC_FRAME; pthread_t thread; int i; };
static ASYNC(busy)
{
    ASYNC_BEGIN(busy);
    pthread_create(&self->thread, NULL, say_soon, async_loop_of(co));
    while (unit_said_length == 0) ASYNC_SUSPEND;
    pthread_join(self->thread, NULL);
    ASYNC_END;
}

static void a_loop_that_is_never_idle_runs_them_too(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(busy)), 0);
    assert_said("thread");
}

static void what_was_scheduled_before_the_run_runs_in_it(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    in_thread(say_soon, &loop.base);
    async_loop_call_soon(&loop.base, NULL, say_text, "own");
    async_loop_run_until_complete(&loop.base,
                                  CO(say_after, ASYNC_US(1), "main"));
    async_loop_close(&loop.base);
    assert_said("own thread main");
}

/* --- a borrowed loop ---------------------------------------------------------- */

static void *stop_after_a_while(void *loop)
{
    block(3);
    async_loop_call_soon_threadsafe(loop, NULL, say_text, "thread");
    async_loop_call_soon_threadsafe(loop, NULL, stop, loop);
    return NULL;
}
static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void a_borrowed_loop_is_woken_in_uv_run(void **s)
{
    async_uv_loop loop;
    uv_loop_t uv;
    uv_timer_t timer;
    pthread_t thread;
    (void)s;
    uv_loop_init(&uv);
    uv_timer_init(&uv, &timer);
    uv_timer_start(&timer, on_tick, 1000000, 0);
    async_uv_loop_init(&loop, &uv, NULL);
    pthread_create(&thread, NULL, stop_after_a_while, &loop.base);
    assert_int_not_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    pthread_join(thread, NULL);
    async_loop_close(&loop.base);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_said("thread");
}

static void a_borrowed_loop_that_caesura_runs_is_woken(void **s)
{
    async_uv_loop loop;
    uv_loop_t uv;
    pthread_t thread;
    (void)s;
    uv_loop_init(&uv);
    async_uv_loop_init(&loop, &uv, NULL);
    pthread_create(&thread, NULL, stop_after_a_while, &loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    pthread_join(thread, NULL);
    async_loop_close(&loop.base);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_said("thread");
}

/* --- handles ------------------------------------------------------------------- */

/* A loop that does not run, and a handle of the caller's. */
typedef struct scheduling {
    async_uv_loop loop;
    async_handle handle;
} scheduling;
static void *schedule(void *argument)
{
    scheduling *at = argument;
    return (void *)(intptr_t)async_loop_call_soon_threadsafe(
        &at->loop.base, &at->handle, say_text, "ran");
}
static int schedule_in_thread(scheduling *at)
{
    return (int)(intptr_t)in_thread(schedule, at);
}
static void run_for_a_while(async_loop *loop)
{
    async_loop_run_until_complete(loop, CO(say_after, ASYNC_US(1), "over"));
}

static void a_handle_that_is_scheduled_already_is_busy(void **s)
{
    scheduling at;
    (void)s;
    memset(&at, 0, sizeof at);
    async_uv_loop_init(&at.loop, NULL, NULL);
    assert_int_equal(schedule_in_thread(&at), 0);
    assert_int_equal(schedule_in_thread(&at), ASYNC_EBUSY);
    assert_int_equal(
        async_loop_call_soon(&at.loop.base, &at.handle, say_text, "again"),
        ASYNC_EBUSY);
    run_for_a_while(&at.loop.base);
    assert_int_equal(schedule_in_thread(&at), 0);
    run_for_a_while(&at.loop.base);
    async_loop_close(&at.loop.base);
    assert_said("ran over ran over");
}

static void one_that_is_cancelled_does_not_run_and_can_be_used_again(void **s)
{
    scheduling at;
    (void)s;
    memset(&at, 0, sizeof at);
    async_uv_loop_init(&at.loop, NULL, NULL);
    schedule_in_thread(&at);
    async_handle_cancel(&at.handle);
    assert_true(async_handle_cancelled(&at.handle));
    /* the loop still has it */
    assert_int_equal(schedule_in_thread(&at), ASYNC_EBUSY);
    run_for_a_while(&at.loop.base);
    assert_int_equal(schedule_in_thread(&at), 0);
    run_for_a_while(&at.loop.base);
    async_loop_close(&at.loop.base);
    assert_said("over ran over");
}

static int schedule_from_callback(void *argument)
{
    scheduling *at = argument;
    assert_int_equal(async_loop_call_soon_threadsafe(
                         &at->loop.base, &at->handle, say_text, "threadsafe"),
                     0);
    async_loop_call_soon(&at->loop.base, NULL, say_text, "soon");
    return 0;
}

static void from_the_loops_own_thread_it_is_call_soon(void **s)
{
    scheduling at;
    (void)s;
    memset(&at, 0, sizeof at);
    async_uv_loop_init(&at.loop, NULL, NULL);
    async_loop_call_soon(&at.loop.base, NULL, schedule_from_callback, &at);
    run_for_a_while(&at.loop.base);
    async_loop_close(&at.loop.base);
    assert_said("threadsafe soon over");
}

static int say_error(async_loop *loop, const async_exception_context *context,
                     void *argument)
{
    (void)loop;
    (void)argument;
    say("[%s: %s]", context->message, async_error_name(context->error));
    return 0;
}
static int go_wrong(void *argument)
{
    (void)argument;
    return ASYNC_EINVAL;
}
static void *fail_soon(void *loop)
{
    async_loop_call_soon_threadsafe(loop, NULL, go_wrong, NULL);
    return NULL;
}

static void an_error_of_such_a_callback_is_reported_by_the_loop(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_set_exception_handler(&loop.base, say_error, NULL);
    in_thread(fail_soon, &loop.base);
    run_for_a_while(&loop.base);
    async_loop_close(&loop.base);
    assert_said("[Exception in callback: ASYNC_EINVAL] over");
}

static void *schedule_anything(void *loop)
{
    return (void *)(intptr_t)async_loop_call_soon_threadsafe(
        loop, NULL, say_text, "never");
}

static void on_a_closed_loop_it_is_an_error(void **s)
{
    async_uv_loop loop;
    (void)s;
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_close(&loop.base);
    assert_int_equal((int)(intptr_t)in_thread(schedule_anything, &loop.base),
                     ASYNC_ELOOPCLOSED);
}

static void without_memory_for_a_handle_it_is_enomem(void **s)
{
    async_uv_loop loop;
    (void)s;
    memory_begin();
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    memory_refuse(LONG_MAX);
    assert_int_equal((int)(intptr_t)in_thread(schedule_anything, &loop.base),
                     ASYNC_ENOMEM);
    memory_refuse(0);
    async_loop_close(&loop.base);
    assert_int_equal(memory.live, 0);
}

static void what_has_not_run_is_given_back_when_the_loop_is_closed(void **s)
{
    async_uv_loop loop;
    (void)s;
    memory_begin();
    async_uv_loop_init(&loop, NULL, &counting_allocator);
    in_thread(schedule_anything, &loop.base);
    in_thread(schedule_anything, &loop.base);
    assert_true(memory.live >= 2);
    async_loop_close(&loop.base);
    assert_int_equal(memory.live, 0);
    assert_said("");
}

/* --- loops in several threads --------------------------------------------------- */

struct sum { ASYNC_RETURNS(long); int n, i; long total; async_loop *loop; };
static ASYNC(sum)
{
    ASYNC_BEGIN(sum);
    self->loop = async_get_running_loop();
    for (self->i = 1; self->i <= self->n; self->i++) {
        self->total += self->i;
        if (self->i % 100 == 0)
            AWAIT(async_sleep, ASYNC_US(100));
        else
            AWAIT(async_sleep, 0);
        if (async_get_running_loop() != self->loop) ASYNC_RETURN(-1);
    }
    ASYNC_RETURN(self->total);
    ASYNC_END;
}

struct sums { ASYNC_RETURNS(long); async_gathering all; };
static ASYNC(sums)
{
    ASYNC_BEGIN(sums);
    AWAIT_GATHER(&self->all, CO(sum, 1000), CO(sum, 500));
    self->frame.result =
        GATHERED(&self->all, 0, sum) + GATHERED(&self->all, 1, sum);
    async_gather_clear(&self->all);
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

enum { SUM = 1000 * 1001 / 2 + 500 * 501 / 2 };

typedef struct summing {
    async_uv_loop loop;
    long result;
} summing;
static void *run_sums(void *argument)
{
    summing *at = argument;
    return (void *)(intptr_t)ASYNC_RUN_UNTIL_COMPLETE_INTO(
        at->result, &at->loop.base, sums);
}

static void each_thread_runs_a_loop_of_its_own(void **s)
{
    static summing loops[THREADS];
    pthread_t threads[THREADS];
    void *error;
    int i;
    (void)s;
    for (i = 0; i < THREADS; i++)
        async_uv_loop_init(&loops[i].loop, NULL, NULL);
    for (i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, run_sums, &loops[i]);
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &error);
        assert_null(error);
        assert_int_equal(loops[i].result, SUM);
    }
    for (i = 0; i < THREADS; i++) async_loop_close(&loops[i].loop.base);
}

static void *async_run_sums(void *result)
{
    return (void *)(intptr_t)ASYNC_RUN_INTO(*(long *)result, sums);
}

/* ThreadSanitizer does not see libuv close a descriptor, and so takes it for a
 * race when another thread is given the same number. */
static void several_threads_may_call_async_run_at_once(void **s)
{
#ifdef __SANITIZE_THREAD__
    (void)s;
    (void)async_run_sums;
    skip();
#else
    pthread_t threads[THREADS];
    long results[THREADS] = { 0 };
    void *error;
    int i;
    (void)s;
    for (i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, async_run_sums, &results[i]);
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &error);
        assert_null(error);
        assert_int_equal(results[i], SUM);
    }
#endif
}

/* Two loops that hand a ball to each other. */
typedef struct player {
    async_uv_loop loop;
    async_handle handle;
    struct player *other;
    int hits, serves;
} player;
enum { HITS = 1000 };
static int hit(void *argument)
{
    player *p = argument;
    int last = ++p->hits == HITS;
    if (!last || p->serves)
        async_loop_call_soon_threadsafe(&p->other->loop.base,
                                        &p->other->handle, hit, p->other);
    if (last) async_loop_stop(&p->loop.base);
    return 0;
}
static void *play(void *argument)
{
    player *p = argument;
    async_loop_run_forever(&p->loop.base);
    return NULL;
}

static void loops_in_two_threads_call_each_other(void **s)
{
    static player a, b;
    pthread_t one, two;
    (void)s;
    a.other = &b;
    b.other = &a;
    a.serves = 1;
    async_uv_loop_init(&a.loop, NULL, NULL);
    async_uv_loop_init(&b.loop, NULL, NULL);
    async_loop_call_soon(&a.loop.base, &a.handle, hit, &a);
    pthread_create(&one, NULL, play, &a);
    pthread_create(&two, NULL, play, &b);
    pthread_join(one, NULL);
    pthread_join(two, NULL);
    async_loop_close(&a.loop.base);
    async_loop_close(&b.loop.base);
    assert_int_equal(a.hits, HITS);
    assert_int_equal(b.hits, HITS);
}

static void *fail_to_create(void *ignored)
{
    (void)ignored;
    assert_null(async_get_running_loop());
    assert_null(async_create_task(CO(say_after, 0, "never")));
    return (void *)(intptr_t)async_last_error();
}

struct look_from_outside { ASYNC_FRAME; pthread_t thread; void *error; };
static ASYNC(look_from_outside)
{
    ASYNC_BEGIN(look_from_outside);
    pthread_create(&self->thread, NULL, fail_to_create, NULL);
    pthread_join(self->thread, &self->error);
    say("%s", async_error_name((int)(intptr_t)self->error));
    ASYNC_END;
}

static void a_running_loop_is_seen_by_its_own_thread_alone(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(look_from_outside)), 0);
    assert_said("ASYNC_ENOLOOP");
}

UNIT_MAIN(TEST(each_of_thousands_runs_once_and_in_its_threads_order),
          TEST(the_same_with_handles_that_the_loop_makes),
          TEST(a_loop_that_waits_in_poll_is_woken),
          TEST(a_loop_that_waits_for_a_timer_is_woken),
          TEST(no_wakeup_is_lost),
          TEST(a_loop_that_is_never_idle_runs_them_too),
          TEST(what_was_scheduled_before_the_run_runs_in_it),
          TEST(a_borrowed_loop_is_woken_in_uv_run),
          TEST(a_borrowed_loop_that_caesura_runs_is_woken),
          TEST(a_handle_that_is_scheduled_already_is_busy),
          TEST(one_that_is_cancelled_does_not_run_and_can_be_used_again),
          TEST(from_the_loops_own_thread_it_is_call_soon),
          TEST(an_error_of_such_a_callback_is_reported_by_the_loop),
          TEST(on_a_closed_loop_it_is_an_error),
          TEST(without_memory_for_a_handle_it_is_enomem),
          TEST(what_has_not_run_is_given_back_when_the_loop_is_closed),
          TEST(each_thread_runs_a_loop_of_its_own),
          TEST(several_threads_may_call_async_run_at_once),
          TEST(loops_in_two_threads_call_each_other),
          TEST(a_running_loop_is_seen_by_its_own_thread_alone))
