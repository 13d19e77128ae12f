/* link: -luv -pthread */
/* Work in threads: libuv's, and an executor's own.
 *
 * No test measures time.  A job that must last waits to be let go; where two
 * things must go on at once, each waits for the other. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EVALUE, -10001, "bad value")

#include "refusing.h"

static void trapped(const char *message);
#define ASYNC_TRAP(message) trapped(message)
#include "../../async/test/virtual.h"
#include "../../async/uv/executor.h"
#include "../../async/uv/threads.h"
#undef uv_thread_create
#undef uv_loop_init

#include "uv.h"

/* --- helpers ------------------------------------------------------------- */

static async_executor pool;
static async_uv_loop loop;

/* Runs it on a new loop, with an executor of so many threads beside it, and
 * looks that nothing is left. */
static void run_in_threads(unsigned threads, async_object program)
{
    assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator), 0);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    if (threads > 0)
        assert_int_equal(
            async_executor_init(&pool, threads, &counting_allocator), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, program), 0);
    assert_int_equal(loop.held, 0);
    if (threads > 0) async_executor_destroy(&pool);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
}

/* A job that says that it has begun, and then waits to be let go. */
typedef struct gate {
    uv_sem_t begun, go;
    int ended;
} gate;
static gate gates[4];
static void open_gates(void)
{
    int i;
    for (i = 0; i < 4; i++) {
        uv_sem_init(&gates[i].begun, 0);
        uv_sem_init(&gates[i].go, 0);
        gates[i].ended = 0;
    }
}
static void close_gates(void)
{
    int i;
    for (i = 0; i < 4; i++) {
        uv_sem_destroy(&gates[i].begun);
        uv_sem_destroy(&gates[i].go);
    }
}
static int pass(void *argument)
{
    gate *the = argument;
    uv_sem_post(&the->begun);
    uv_sem_wait(&the->go);
    the->ended = 1;
    return 7;
}

/* The same as a coroutine. */
struct passes { ASYNC_JOB_RETURNS(int); gate *the; };
static ASYNC_JOB(passes)
{
    ASYNC_JOB_RETURN(pass(self->the));
}

/* One that only notes that it has run. */
struct notes { ASYNC_JOB_FRAME; int *runs; };
static ASYNC_JOB(notes)
{
    __atomic_add_fetch(self->runs, 1, __ATOMIC_RELAXED);
    return 0;
}

/* --- functions ----------------------------------------------------------- */

static uv_thread_t main_thread;
static int where(void *argument)
{
    uv_thread_t here = uv_thread_self();
    *(int *)argument = uv_thread_equal(&here, &main_thread);
    return 7;
}

struct call_function { ASYNC_FRAME; int n, here; };
static ASYNC(call_function)
{
    ASYNC_BEGIN(call_function);
    self->here = 1;
    AWAIT_INTO(self->n, async_to_thread, where, &self->here);
    say("%d %d", self->n, self->here);
    self->here = 1;
    AWAIT_INTO(self->n, async_run_in_executor, &pool, where, &self->here);
    say("%d %d", self->n, self->here);
    self->here = 1;
    AWAIT(async_run_in_executor, NULL, where, &self->here);
    say("%d", self->here);
    ASYNC_END;
}
static void a_function_runs_in_a_thread_and_its_result_is_the_awaits(void **s)
{
    (void)s;
    main_thread = uv_thread_self();
    run_in_threads(1, CO(call_function));
    assert_said("7 0 7 0 0");
}

static int returns(void *argument)
{
    return *(int *)argument;
}
struct call_failing { ASYNC_FRAME; int n, i, error; };
static ASYNC(call_failing)
{
    static const int codes[] = { EVALUE, -1000000, ASYNC_ESTOPITERATION,
                                 ASYNC_ECANCELED };
    ASYNC_BEGIN(call_failing);
    for (self->i = 0; self->i < 4; self->i++) {
        self->n = codes[self->i];
        ASYNC_TRY {
            AWAIT(async_to_thread, returns, &self->n);
        } ASYNC_EXCEPT_ALL(self->error) {
            say("%s", name_of(self->error));
        } ASYNC_END_TRY
        ASYNC_TRY {
            AWAIT(async_run_in_executor, &pool, returns, &self->n);
        } ASYNC_EXCEPT_ALL(self->error) {
            say("%s", name_of(self->error));
        } ASYNC_END_TRY
    }
    ASYNC_END;
}
static void a_negative_result_is_raised(void **s)
{
    (void)s;
    run_in_threads(1, CO(call_failing));
    assert_said("EVALUE EVALUE ASYNC_EINVAL ASYNC_EINVAL ASYNC_ESTOPFUTURE "
                "ASYNC_ESTOPFUTURE ASYNC_ECANCELED ASYNC_ECANCELED");
}

/* --- jobs ---------------------------------------------------------------- */

typedef struct pair {
    long sum;
    double quotient;
} pair;
struct divide { ASYNC_JOB_RETURNS(pair); long a, b; };
static ASYNC_JOB(divide)
{
    pair result;
    if (self->b == 0) return EVALUE;
    result.sum = self->a + self->b;
    result.quotient = (double)self->a / (double)self->b;
    ASYNC_JOB_RETURN(result);
}

struct use_jobs { ASYNC_FRAME; pair result; int error, runs; };
static ASYNC(use_jobs)
{
    ASYNC_BEGIN(use_jobs);
    AWAIT_INTO(self->result, divide, NULL, 3, 4);
    say("%ld %.2f", self->result.sum, self->result.quotient);
    AWAIT_INTO(self->result, divide, &pool, .b = 2, .a = 7);
    say("%ld %.2f", self->result.sum, self->result.quotient);
    AWAIT_CATCH_INTO(self->error, self->result, divide, &pool, 1, 0);
    say("%s %ld", name_of(self->error), self->result.sum);
    AWAIT(notes, NULL, &self->runs);
    AWAIT(notes, &pool, &self->runs);
    say("%d", self->runs);
    ASYNC_END;
}
static void a_job_has_typed_arguments_and_a_typed_result(void **s)
{
    (void)s;
    run_in_threads(1, CO(use_jobs));
    assert_said("7 0.75 9 3.50 EVALUE 9 2");
}

struct gather_jobs { ASYNC_FRAME; async_gathering all; };
static ASYNC(gather_jobs)
{
    ASYNC_BEGIN(gather_jobs);
    AWAIT_GATHER(&self->all, CO(divide, &pool, 1, 1), CO(divide, NULL, 2, 1),
                 CO(divide, &pool, 3, 1));
    say("%ld %ld %ld", GATHERED(&self->all, 0, divide).sum,
        GATHERED(&self->all, 1, divide).sum,
        GATHERED(&self->all, 2, divide).sum);
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void jobs_are_gathered_as_coroutines_are(void **s)
{
    (void)s;
    run_in_threads(2, CO(gather_jobs));
    assert_said("2 3 4");
}

/* The first four meet, which takes four threads. */
enum { MANY = 1000 };
static uv_barrier_t four;
static int at_work, most_at_work, taken;
struct square { ASYNC_JOB_RETURNS(long); int n; };
static ASYNC_JOB(square)
{
    int now = __atomic_add_fetch(&at_work, 1, __ATOMIC_RELAXED);
    int most = __atomic_load_n(&most_at_work, __ATOMIC_RELAXED);
    while (now > most &&
           !__atomic_compare_exchange_n(&most_at_work, &most, now, 0,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    if (__atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED) < 4)
        uv_barrier_wait(&four);
    __atomic_sub_fetch(&at_work, 1, __ATOMIC_RELAXED);
    ASYNC_JOB_RETURN((long)self->n * self->n);
}
static long squares[MANY];
struct square_one { ASYNC_FRAME; int n; };
static ASYNC(square_one)
{
    ASYNC_BEGIN(square_one);
    AWAIT_INTO(squares[self->n], square, &pool, self->n);
    ASYNC_END;
}
static async_task *many[MANY];
static async_waited waited[MANY];
struct thousand {
    ASYNC_FRAME;
    struct async_as_completed ends;
    async_future *future;
    int i, yielded, wrong;
};
static ASYNC(thousand)
{
    ASYNC_BEGIN(thousand);
    for (self->i = 0; self->i < MANY; self->i++) {
        many[self->i] = async_create_task(CO(square_one, self->i));
        memset(&waited[self->i], 0, sizeof waited[0]);
        waited[self->i].future = &many[self->i]->future;
    }
    self->ends =
        ASYNC_GENERATOR(async_as_completed, waited, MANY, ASYNC_FOREVER);
    ASYNC_FOR(self->future, &self->ends) {
        AWAIT_FUTURE(self->future);
        self->yielded++;
    } ASYNC_END_FOR
    for (self->i = 0; self->i < MANY; self->i++) {
        self->wrong += squares[self->i] != (long)self->i * self->i;
        async_task_release(many[self->i]);
    }
    say("%d ended, %d wrong", self->yielded, self->wrong);
    ASYNC_END;
}
static void a_thousand_jobs_through_four_threads(void **s)
{
    (void)s;
    memset(squares, -1, sizeof squares);
    at_work = most_at_work = taken = 0;
    assert_int_equal(uv_barrier_init(&four, 4), 0);
    run_in_threads(4, CO(thousand));
    uv_barrier_destroy(&four);
    assert_int_equal(most_at_work, 4);
    assert_said("1000 ended, 0 wrong");
}

/* Each ends before the next may. */
struct complete {
    ASYNC_FRAME;
    struct async_as_completed ends;
    async_future *future;
    async_waited items[3];
    async_task *tasks[3];
    int i;
};
static ASYNC(complete)
{
    static const int order[] = { 2, 0, 1 };
    ASYNC_BEGIN(complete);
    for (self->i = 0; self->i < 3; self->i++) {
        self->tasks[self->i] =
            async_create_task(CO(passes, &pool, &gates[self->i]));
        self->items[self->i].future = &self->tasks[self->i]->future;
    }
    self->i = 0;
    uv_sem_post(&gates[order[0]].go);
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 3, ASYNC_FOREVER);
    ASYNC_FOR(self->future, &self->ends) {
        say("%d", self->future == &self->tasks[order[self->i]]->future
                      ? order[self->i]
                      : -1);
        if (++self->i < 3) uv_sem_post(&gates[order[self->i]].go);
    } ASYNC_END_FOR
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->tasks[self->i]);
    ASYNC_END;
}
static void results_come_in_the_order_of_completion(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(3, CO(complete));
    close_gates();
    assert_said("2 0 1");
}

static int order_of_jobs[100], jobs_begun;
struct takes_turn { ASYNC_JOB_FRAME; int n; };
static ASYNC_JOB(takes_turn)
{
    order_of_jobs[jobs_begun++] = self->n; /* there is one thread */
    return 0;
}
struct in_turn { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(in_turn)
{
    ASYNC_BEGIN(in_turn);
    for (self->i = 0; self->i < 100; self->i++)
        async_gather_add(&self->all, CO(takes_turn, &pool, self->i));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void jobs_begin_in_the_order_in_which_they_were_handed_over(void **s)
{
    int i;
    (void)s;
    jobs_begun = 0;
    run_in_threads(1, CO(in_turn));
    for (i = 0; i < 100; i++) assert_int_equal(order_of_jobs[i], i);
}

/* The job ends when the ticker has ticked: were the loop blocked, never. */
struct tick { ASYNC_FRAME; int n; };
static ASYNC(tick)
{
    ASYNC_BEGIN(tick);
    uv_sem_wait(&gates[0].begun);
    for (self->n = 0; self->n < 20; self->n++) AWAIT(async_sleep, ASYNC_MS(1));
    uv_sem_post(&gates[0].go);
    ASYNC_END;
}
struct tick_beside {
    ASYNC_FRAME;
    async_executor *executor;
    async_gathering all;
};
static ASYNC(tick_beside)
{
    ASYNC_BEGIN(tick_beside);
    AWAIT_GATHER(&self->all, CO(passes, self->executor, &gates[0]), CO(tick));
    say("%d", GATHERED(&self->all, 0, passes));
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void a_job_that_blocks_does_not_hold_the_loop_up(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(1, CO(tick_beside, &pool));
    run_in_threads(0, CO(tick_beside, NULL));
    close_gates();
    assert_said("7 7");
}

/* --- cancellation -------------------------------------------------------- */

/* Cancels one job that runs, and one that waits for its turn. */
struct cancel_both {
    ASYNC_FRAME;
    async_executor *executor;
    int threads;
    async_task *running[4], *queued;
    int i, runs, error;
};
static ASYNC(cancel_both)
{
    ASYNC_BEGIN(cancel_both);
    for (self->i = 0; self->i < self->threads; self->i++)
        self->running[self->i] =
            async_create_task(CO(passes, self->executor, &gates[self->i]));
    self->queued = async_create_task(CO(notes, self->executor, &self->runs));
    AWAIT(async_sleep, 0);
    for (self->i = 0; self->i < self->threads; self->i++)
        uv_sem_wait(&gates[self->i].begun);
    async_task_cancel(self->queued);
    async_task_cancel(self->running[0]);
    AWAIT(say_end, self->queued, "queued");
    AWAIT(async_sleep, ASYNC_MS(5));
    say("running:%d", !async_task_done(self->running[0]));
    for (self->i = 0; self->i < self->threads; self->i++)
        uv_sem_post(&gates[self->i].go);
    AWAIT(say_end, self->running[0], "cancelled");
    say("%d", gates[0].ended);
    for (self->i = 1; self->i < self->threads; self->i++)
        AWAIT(say_end, self->running[self->i], "other");
    say("runs:%d", self->runs);
    ASYNC_END;
}
static void a_queued_job_is_taken_back_and_a_running_one_waited_for(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(1, CO(cancel_both, &pool, 1));
    close_gates();
    assert_said("queued:ASYNC_ECANCELED running:1 cancelled:ASYNC_ECANCELED 1 "
                "runs:0");
}
static void so_it_is_in_libuvs_threads(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(0, CO(cancel_both, NULL, 4));
    close_gates();
    assert_said("queued:ASYNC_ECANCELED running:1 cancelled:ASYNC_ECANCELED 1 "
                "other:ok other:ok other:ok runs:0");
}

struct lets_go_late { ASYNC_FRAME; };
static ASYNC(lets_go_late)
{
    ASYNC_BEGIN(lets_go_late);
    AWAIT(async_sleep, ASYNC_MS(20));
    say("now");
    uv_sem_post(&gates[0].go);
    ASYNC_END;
}
struct times_out { ASYNC_FRAME; async_task *job, *later; int error; };
static ASYNC(times_out)
{
    ASYNC_BEGIN(times_out);
    self->job = async_create_task(CO(passes, &pool, &gates[0]));
    AWAIT(async_sleep, 0);
    uv_sem_wait(&gates[0].begun);
    self->later = async_create_task(CO(lets_go_late));
    AWAIT_CATCH(self->error, async_wait_for, async_task_object(self->job),
                ASYNC_MS(1));
    say("%s %d", name_of(self->error), gates[0].ended);
    async_task_release(self->job);
    AWAIT_JOIN(self->later);
    ASYNC_END;
}
static void a_timeout_is_raised_when_the_job_has_ended(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(1, CO(times_out));
    close_gates();
    assert_said("now ASYNC_ETIMEDOUT 1");
}

/* Wherever each of them stands. */
struct cancel_many { ASYNC_FRAME; int i, round, ended, cancelled; };
static ASYNC(cancel_many)
{
    int error;
    ASYNC_BEGIN(cancel_many);
    for (self->round = 0; self->round < 5; self->round++) {
        for (self->i = 0; self->i < MANY; self->i++)
            many[self->i] = async_create_task(CO(square_one, self->i));
        AWAIT(async_sleep, 0);
        for (self->i = 0; self->i < MANY; self->i += 3) {
            async_task_cancel(many[self->i]);
            if (self->i % 60 == 0) AWAIT(async_sleep, 0);
        }
        for (self->i = 0; self->i < MANY; self->i++) {
            AWAIT(async__until_done, &many[self->i]->future);
            error = async_future_result(&many[self->i]->future);
            assert_true(error == 0 || error == ASYNC_ECANCELED);
            if (error == 0)
                self->ended++;
            else
                self->cancelled++;
            async_task_release(many[self->i]);
        }
    }
    say("%d", self->ended + self->cancelled);
    assert_true(self->ended >= 5 * (MANY - MANY / 3 - 1));
    ASYNC_END;
}
static void cancelled_wherever_it_stands_a_job_ends(void **s)
{
    (void)s;
    taken = 4; /* nobody meets */
    run_in_threads(4, CO(cancel_many));
    assert_said("5000");
}

/* --- shutting down ------------------------------------------------------- */

/* With one job that runs and two that wait. */
struct shut_down {
    ASYNC_FRAME;
    int cancel;
    async_task *running, *queued, *second;
    int runs, error;
};
static ASYNC(shut_down)
{
    ASYNC_BEGIN(shut_down);
    self->running = async_create_task(CO(passes, &pool, &gates[0]));
    self->queued = async_create_task(CO(notes, &pool, &self->runs));
    self->second = async_create_task(CO(notes, &pool, &self->runs));
    AWAIT(async_sleep, 0);
    uv_sem_wait(&gates[0].begun);
    say("%d", async_executor_shutdown(&pool, 0, self->cancel));
    AWAIT_CATCH(self->error, notes, &pool, &self->runs);
    say("%s", name_of(self->error));
    if (self->cancel) AWAIT(say_end, self->queued, "queued");
    uv_sem_post(&gates[0].go);
    AWAIT(say_end, self->running, "running");
    if (!self->cancel) AWAIT(say_end, self->queued, "queued");
    AWAIT(say_end, self->second, "second");
    say("runs:%d", self->runs);
    ASYNC_END;
}
static void what_an_executor_has_taken_it_does_before_it_ends(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(1, CO(shut_down, .cancel = 0));
    close_gates();
    assert_said("0 ASYNC_ECLOSED running:ok queued:ok second:ok runs:2");
}
static void shut_down_with_cancel_it_does_not_begin_what_waits(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(1, CO(shut_down, .cancel = 1));
    close_gates();
    assert_said("0 ASYNC_ECLOSED queued:ASYNC_ECANCELED running:ok "
                "second:ASYNC_ECANCELED runs:0");
}

/* The loop gets their ends when the executor has gone. */
struct destroy_early { ASYNC_FRAME; async_task *tasks[3]; int runs, i; };
static ASYNC(destroy_early)
{
    ASYNC_BEGIN(destroy_early);
    assert_int_equal(async_executor_init(&pool, 2, &counting_allocator), 0);
    for (self->i = 0; self->i < 3; self->i++)
        self->tasks[self->i] =
            async_create_task(CO(notes, &pool, &self->runs));
    AWAIT(async_sleep, 0);
    async_executor_destroy(&pool);
    memset(&pool, 0xff, sizeof pool);
    say("%d", self->runs);
    async_task_cancel(self->tasks[2]); /* too late to be taken back */
    for (self->i = 0; self->i < 3; self->i++)
        AWAIT(say_end, self->tasks[self->i], "task");
    ASYNC_END;
}
static void an_executor_may_go_before_its_results_are_seen(void **s)
{
    (void)s;
    run_in_threads(0, CO(destroy_early));
    assert_said("3 task:ok task:ok task:ASYNC_ECANCELED");
}

struct close_it { ASYNC_FRAME; async_executor *executor; int cancel; };
static ASYNC(close_it)
{
    ASYNC_BEGIN(close_it);
    ASYNC_TRY {
        AWAIT(async_executor_close, self->executor, self->cancel);
    } ASYNC_FINALLY {
        say("closed");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct close_beside {
    ASYNC_FRAME;
    int cancel;
    async_task *running, *queued, *closing;
    int i, runs, error;
};
static ASYNC(close_beside)
{
    ASYNC_BEGIN(close_beside);
    assert_int_equal(async_executor_init(&pool, 1, &counting_allocator), 0);
    assert_int_equal(async_loop_set_default_executor(async_loop_of(co), &pool),
                     0);
    self->running = async_create_task(CO(passes, NULL, &gates[0]));
    self->queued = async_create_task(CO(notes, NULL, &self->runs));
    AWAIT(async_sleep, 0);
    uv_sem_wait(&gates[0].begun);
    self->closing = async_create_task(CO(close_it, &pool));
    for (self->i = 0; self->i < 3; self->i++) AWAIT(async_sleep, ASYNC_MS(1));
    if (self->cancel) async_task_cancel(self->closing);
    AWAIT(async_sleep, ASYNC_MS(1));
    say("%d", async_task_done(self->closing));
    uv_sem_post(&gates[0].go);
    AWAIT(say_end, self->closing, "closing");
    AWAIT(say_end, self->running, "running");
    AWAIT(say_end, self->queued, "queued");
    say("%d", self->runs);
    /* It is the default one no more. */
    AWAIT(notes, NULL, &self->runs);
    ASYNC_END;
}
static void closing_waits_for_the_jobs_and_not_with_the_loop(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(0, CO(close_beside));
    close_gates();
    assert_said("0 closed closing:ok running:ok queued:ok 1");
}
static void closing_goes_on_when_it_is_cancelled(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(0, CO(close_beside, .cancel = 1));
    close_gates();
    assert_said("0 closed closing:ASYNC_ECANCELED running:ok queued:ok 1");
}

static jmp_buf trap;
static char trap_words[600];
static void trapped(const char *message)
{
    snprintf(trap_words, sizeof trap_words, "%s", message);
    longjmp(trap, 1);
}
static int waits_for_itself(void *argument)
{
    (void)argument;
    return async_executor_shutdown(&pool, 1, 0);
}
static int destroys_itself(void *argument)
{
    (void)argument;
    if (setjmp(trap) == 0) async_executor_destroy(&pool);
    return 0;
}
struct shut_down_inside { ASYNC_FRAME; async_job *job; int error; };
static ASYNC(shut_down_inside)
{
    ASYNC_BEGIN(shut_down_inside);
    AWAIT_CATCH(self->error, async_run_in_executor, &pool, self->job, NULL);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_run_in_executor, &pool, self->job, NULL);
    say("%s", name_of(self->error));
    ASYNC_END;
}
static void a_job_cannot_wait_for_the_end_of_its_own_executor(void **s)
{
    (void)s;
    run_in_threads(2, CO(shut_down_inside, waits_for_itself));
    assert_said("ASYNC_EDEADLOCK ASYNC_ECLOSED");
}
static void nor_destroy_it(void **s)
{
    (void)s;
    trap_words[0] = '\0';
    run_in_threads(2, CO(shut_down_inside, destroys_itself));
    assert_said("ok ASYNC_ECLOSED");
    assert_non_null(strstr(trap_words, "destroyed by one of its own jobs"));
}

static void shutdown_can_be_said_again_and_by_several_threads(void **s)
{
    (void)s;
    assert_int_equal(async_executor_init(&pool, 0, NULL), 0);
    assert_true(pool.count >= 5 && pool.count <= 32);
    assert_int_equal(async_executor_shutdown(&pool, 1, 0), 0);
    assert_int_equal(async_executor_shutdown(&pool, 1, 1), 0);
    async_executor_destroy(&pool);
}

/* --- the end of the loop ------------------------------------------------- */

/* Lets the job go from a further thread, when the loop is being closed. */
static void let_go_later(void *argument)
{
    (void)argument;
    uv_sem_wait(&gates[1].begun);
    uv_sleep(20);
    uv_sem_post(&gates[0].go);
}
struct left_waiting { ASYNC_FRAME; async_executor *executor; int error; };
static ASYNC(left_waiting)
{
    ASYNC_BEGIN(left_waiting);
    ASYNC_TRY {
        AWAIT(passes, self->executor, &gates[0]);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s %d", name_of(self->error), gates[0].ended);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct leave { ASYNC_FRAME; async_executor *executor; int *runs; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    async_task_release(async_create_task(CO(left_waiting, self->executor)));
    if (self->runs != NULL)
        async_task_release(
            async_create_task(CO(notes, self->executor, self->runs)));
    AWAIT(async_sleep, 0);
    uv_sem_wait(&gates[0].begun);
    uv_sem_post(&gates[1].begun); /* to let_go_later */
    ASYNC_END;
}
static void close_while_it_runs(async_executor *executor, int *runs)
{
    uv_thread_t later;
    open_gates();
    assert_int_equal(uv_thread_create(&later, let_go_later, NULL), 0);
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    if (executor != NULL)
        assert_int_equal(async_executor_init(executor, 1, NULL), 0);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(leave, executor, runs)),
        0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    memset(&loop, 0xff, sizeof loop);
    assert_int_equal(gates[0].ended, 1);
    uv_thread_join(&later);
    if (executor != NULL) async_executor_destroy(executor);
    close_gates();
}
static void closing_the_loop_waits_for_the_job_that_runs(void **s)
{
    int runs = 0;
    (void)s;
    close_while_it_runs(&pool, &runs);
    assert_int_equal(runs, 0);
    assert_said("[Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] ASYNC_ECANCELED 1");
}
static void so_it_does_for_libuvs_threads(void **s)
{
    (void)s;
    close_while_it_runs(NULL, NULL);
    assert_said("[Task was destroyed but it is pending!] ASYNC_ECANCELED 1");
}

/* Loops that end as soon as their last job does. */
struct one_job { ASYNC_FRAME; int runs; };
static ASYNC(one_job)
{
    ASYNC_BEGIN(one_job);
    AWAIT(notes, &pool, &self->runs);
    ASYNC_END;
}
static void a_loop_may_go_as_soon_as_its_job_has_ended(void **s)
{
    int i;
    (void)s;
    assert_int_equal(async_executor_init(&pool, 2, NULL), 0);
    for (i = 0; i < 300; i++) {
        async_uv_loop *one = malloc(sizeof *one);
        assert_int_equal(async_uv_loop_init(one, NULL, NULL), 0);
        assert_int_equal(
            async_loop_run_until_complete(&one->base, CO(one_job)), 0);
        assert_int_equal(async_loop_close(&one->base), 0);
        free(one);
    }
    async_executor_destroy(&pool);
}

static void a_job_keeps_the_uv_run_of_a_borrowed_loop_from_returning(void **s)
{
    uv_loop_t uv;
    async_task *task;
    int runs = 0;
    (void)s;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(async_uv_loop_init(&loop, &uv, NULL), 0);
    assert_int_equal(async_executor_init(&pool, 1, NULL), 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0); /* nothing to wait for */
    task = async_loop_create_task(&loop.base, CO(notes, &pool, &runs));
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_true(async_task_done(task));
    assert_int_equal(runs, 1);
    async_task_release(task);
    assert_int_equal(async_loop_close(&loop.base), 0);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
    async_executor_destroy(&pool);
}

/* --- several threads ----------------------------------------------------- */

struct sum_squares {
    ASYNC_RETURNS(long);
    async_gathering all;
    int i;
    long sum;
};
static ASYNC(sum_squares)
{
    ASYNC_BEGIN(sum_squares);
    for (self->i = 0; self->i < 100; self->i++)
        async_gather_add(&self->all, CO(square, &pool, self->i));
    AWAIT(async_gather, &self->all);
    for (self->i = 0; self->i < 100; self->i++)
        self->sum += GATHERED(&self->all, self->i, square);
    async_gather_clear(&self->all);
    ASYNC_RETURN(self->sum);
    ASYNC_END;
}
static void sum_in_a_loop(void *sum)
{
    (void)ASYNC_RUN_INTO(*(long *)sum, sum_squares);
}
static void the_loops_of_several_threads_share_an_executor(void **s)
{
    uv_thread_t threads[3];
    long sums[3] = { 0, 0, 0 };
    int i;
    (void)s;
    taken = 4;
    assert_int_equal(async_executor_init(&pool, 2, NULL), 0);
    for (i = 0; i < 3; i++)
        assert_int_equal(
            uv_thread_create(&threads[i], sum_in_a_loop, &sums[i]), 0);
    for (i = 0; i < 3; i++) {
        uv_thread_join(&threads[i]);
        assert_int_equal(sums[i], 328350);
    }
    async_executor_destroy(&pool);
}

struct thrice { ASYNC_RETURNS(int); int n; };
static ASYNC(thrice)
{
    ASYNC_BEGIN(thrice);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_RETURN(3 * self->n);
    ASYNC_END;
}
/* Back into the loop, and into a loop of its own. */
struct asks_back { ASYNC_JOB_RETURNS(int); async_loop *origin; int n; };
static ASYNC_JOB(asks_back)
{
    ASYNC_CONCURRENT_FUTURE(int) answer;
    int own = 0, error;
    error =
        ASYNC_RUN_COROUTINE_THREADSAFE(&answer, self->origin, thrice, self->n);
    if (error) return error;
    error = async_concurrent_future_result(&answer.future, ASYNC_FOREVER);
    async_concurrent_future_destroy(&answer.future);
    if (error) return error;
    error = ASYNC_RUN_INTO(own, thrice, 100);
    if (error) return error;
    ASYNC_JOB_RETURN(answer.value + own);
}
struct ask { ASYNC_FRAME; int n; };
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    AWAIT_INTO(self->n, asks_back, &pool, async_loop_of(co), 5);
    say("%d", self->n);
    AWAIT_INTO(self->n, asks_back, NULL, async_loop_of(co), 6);
    say("%d", self->n);
    ASYNC_END;
}
static void a_job_can_run_coroutines_on_the_loop_and_on_its_own(void **s)
{
    (void)s;
    run_in_threads(1, CO(ask));
    assert_said("315 318");
}

/* --- context variables --------------------------------------------------- */

static ASYNC_CONTEXTVAR(int) variable = ASYNC_CONTEXTVAR_INIT("variable", -1);
static int reads_variable(void *gate_or_null)
{
    if (gate_or_null != NULL) (void)pass(gate_or_null);
    if (ASYNC_CONTEXTVAR_SET(&variable, 5) != ASYNC_ENOLOOP) return 1000;
    return ASYNC_CONTEXTVAR_GET(&variable) + 10;
}
struct reads { ASYNC_JOB_RETURNS(int); int unused; };
static ASYNC_JOB(reads)
{
    ASYNC_JOB_RETURN(reads_variable(NULL));
}
struct reads_gated { ASYNC_RETURNS(int); int n; };
static ASYNC(reads_gated)
{
    ASYNC_BEGIN(reads_gated);
    AWAIT_INTO(self->n, async_to_thread, reads_variable, &gates[0]);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}
struct with_context {
    ASYNC_FRAME;
    ASYNC_TASK_OF(reads_gated) beside;
    async_context own;
    int n;
};
static ASYNC(with_context)
{
    ASYNC_BEGIN(with_context);
    AWAIT_INTO(self->n, reads, &pool, 0);
    say("%d", self->n); /* nobody has set it */
    ASYNC_CONTEXTVAR_SET(&variable, 1);
    AWAIT_INTO(self->n, async_to_thread, reads_variable, NULL);
    say("%d", self->n);
    AWAIT_INTO(self->n, reads, &pool, 0);
    say("%d", self->n);
    AWAIT_INTO(self->n, async_run_in_executor, &pool, reads_variable, NULL);
    say("%d", self->n);
    /* Set while the job runs: in the same context, which is not its own. */
    async_context_copy(&self->own);
    self->beside.task = async_create_task_in(CO(reads_gated), &self->own);
    AWAIT(async_sleep, 0);
    uv_sem_wait(&gates[0].begun);
    ASYNC_CONTEXTVAR_SET(&variable, 2);
    uv_sem_post(&gates[0].go);
    AWAIT_TASK(self->beside.task);
    say("%d", ASYNC_TASK_RESULT(self->beside));
    async_task_release(self->beside.task);
    async_context_clear(&self->own);
    say("%d", ASYNC_CONTEXTVAR_GET(&variable));
    ASYNC_END;
}
static void a_job_sees_the_tasks_context_variables_of_its_begin(void **s)
{
    (void)s;
    open_gates();
    run_in_threads(1, CO(with_context));
    close_gates();
    assert_said("9 11 11 9 11 2");
    assert_int_equal(ASYNC_CONTEXTVAR_GET(&variable), -1);
}

/* --- what goes wrong ----------------------------------------------------- */

static void without_a_thread_there_is_no_executor(void **s)
{
    int i;
    (void)s;
    for (i = 1; i <= 4; i++) {
        refuse_thread = i;
        assert_int_equal(async_executor_init(&pool, 4, &counting_allocator),
                         UV_EAGAIN);
        assert_int_equal(refuse_thread, 0);
        assert_int_equal(memory.live, 0);
    }
    refuse_thread = 5;
    assert_int_equal(async_executor_init(&pool, 4, &counting_allocator), 0);
    refuse_thread = 0;
    async_executor_destroy(&pool);
    refuse_mutex = 1;
    assert_int_equal(async_executor_init(&pool, 4, &counting_allocator),
                     UV_ENOMEM);
    for (i = 1; i <= 2; i++) {
        refuse_condition = i;
        assert_int_equal(async_executor_init(&pool, 4, &counting_allocator),
                         UV_ENOMEM);
    }
    memory_refuse(LONG_MAX);
    assert_int_equal(async_executor_init(&pool, 4, &counting_allocator),
                     ASYNC_ENOMEM);
    memory_refuse(0);
    assert_int_equal(memory.live, 0);
}

struct without_memory {
    ASYNC_FRAME;
    async_gathering all;
    pair result;
    int n;
};
static ASYNC(without_memory)
{
    ASYNC_BEGIN(without_memory);
    ASYNC_TRY {
        ASYNC_CONTEXTVAR_SET(&variable, 3); /* or not */
        AWAIT_INTO(self->result, divide, &pool, 3, 4);
        AWAIT_INTO(self->n, async_to_thread, reads_variable, NULL);
        AWAIT_GATHER(&self->all, CO(divide, &pool, 1, 1),
                     CO(divide, NULL, 2, 1));
        self->n += (int)GATHERED(&self->all, 1, divide).sum;
    } ASYNC_FINALLY {
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    ASYNC_END;
}
/* Of coroutines that were made and could not be gathered. */
static int keep_quiet(async_loop *base, const async_exception_context *context,
                      void *argument)
{
    (void)base, (void)context, (void)argument;
    return 0;
}
static void whatever_memory_is_missing_a_job_ends_with_an_error(void **s)
{
    int n, error = ASYNC_ENOMEM, failures = 0;
    (void)s;
    assert_int_equal(async_executor_init(&pool, 2, NULL), 0);
    for (n = 0; error == ASYNC_ENOMEM && n < 1000; n++) {
        assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator),
                         0);
        async_loop_set_exception_handler(&loop.base, keep_quiet, NULL);
        memory_refuse_later(n, LONG_MAX);
        error = async_loop_run_until_complete(&loop.base, CO(without_memory));
        memory_refuse(0);
        failures += error == ASYNC_ENOMEM;
        assert_int_equal(loop.held, 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
        assert_int_equal(memory.live, 0);
    }
    assert_int_equal(error, 0);
    assert_true(failures > 0);
    async_executor_destroy(&pool);
}

struct catch_all { ASYNC_FRAME; int error, runs; };
static ASYNC(catch_all)
{
    ASYNC_BEGIN(catch_all);
    AWAIT_CATCH(self->error, notes, &pool, &self->runs);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, notes, NULL, &self->runs);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_to_thread, returns, &self->runs);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_executor_close, &pool, 0);
    say("%s %d", name_of(self->error), self->runs);
    ASYNC_END;
}
static void a_coroutine_without_a_task_cannot_wait_for_a_thread(void **s)
{
    static char place[8192];
    async co;
    (void)s;
    assert_int_equal(async_executor_init(&pool, 1, NULL), 0);
    assert_int_equal(async_init(&co, place, sizeof place, CO(catch_all)), 0);
    assert_int_equal(async_send(&co), 0);
    async_close(&co);
    async_executor_destroy(&pool);
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK 0");
}
static void a_loop_that_is_not_libuvs_has_no_threads(void **s)
{
    async_virtual_loop other;
    (void)s;
    assert_int_equal(async_executor_init(&pool, 1, NULL), 0);
    async_virtual_loop_init(&other, NULL);
    assert_int_equal(async_loop_run_until_complete(&other.base, CO(catch_all)),
                     0);
    assert_int_equal(async_loop_set_default_executor(&other.base, &pool),
                     ASYNC_EINVAL);
    async_loop_close(&other.base);
    async_executor_destroy(&pool);
    assert_said("ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL 0");
}

UNIT_MAIN(TEST(a_function_runs_in_a_thread_and_its_result_is_the_awaits),
          TEST(a_negative_result_is_raised),
          TEST(a_job_has_typed_arguments_and_a_typed_result),
          TEST(jobs_are_gathered_as_coroutines_are),
          TEST(a_thousand_jobs_through_four_threads),
          TEST(results_come_in_the_order_of_completion),
          TEST(jobs_begin_in_the_order_in_which_they_were_handed_over),
          TEST(a_job_that_blocks_does_not_hold_the_loop_up),
          TEST(a_queued_job_is_taken_back_and_a_running_one_waited_for),
          TEST(so_it_is_in_libuvs_threads),
          TEST(a_timeout_is_raised_when_the_job_has_ended),
          TEST(cancelled_wherever_it_stands_a_job_ends),
          TEST(what_an_executor_has_taken_it_does_before_it_ends),
          TEST(shut_down_with_cancel_it_does_not_begin_what_waits),
          TEST(an_executor_may_go_before_its_results_are_seen),
          TEST(closing_waits_for_the_jobs_and_not_with_the_loop),
          TEST(closing_goes_on_when_it_is_cancelled),
          TEST(a_job_cannot_wait_for_the_end_of_its_own_executor),
          TEST(nor_destroy_it),
          TEST(shutdown_can_be_said_again_and_by_several_threads),
          TEST(closing_the_loop_waits_for_the_job_that_runs),
          TEST(so_it_does_for_libuvs_threads),
          TEST(a_loop_may_go_as_soon_as_its_job_has_ended),
          TEST(a_job_keeps_the_uv_run_of_a_borrowed_loop_from_returning),
          TEST(the_loops_of_several_threads_share_an_executor),
          TEST(a_job_can_run_coroutines_on_the_loop_and_on_its_own),
          TEST(a_job_sees_the_tasks_context_variables_of_its_begin),
          TEST(without_a_thread_there_is_no_executor),
          TEST(whatever_memory_is_missing_a_job_ends_with_an_error),
          TEST(a_coroutine_without_a_task_cannot_wait_for_a_thread),
          TEST(a_loop_that_is_not_libuvs_has_no_threads))
