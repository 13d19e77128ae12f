/* What tasks do on a bare loop, in static memory alone, across the wrap of the
 * clock: sleep, limits in time, cancellation with clean-up, futures, locks, a
 * queue, stacks that are too small.  It prints the same on every machine. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/loop.h"
#include "async/queue.h"
#include "async/sync.h"

#include "examples/firmware/board.h"

/* What prints takes a moment on some machines: a unit is long beside it.  The
 * clock wraps while this runs. */
#define U 50
#define BEFORE_WRAP (25u * U)
static async_time ticks(void)
{
    return (async_time)(board_ticks() - BEFORE_WRAP);
}

static async_bare_loop loop = ASYNC_BARE_LOOP(loop, ticks, board_sleep_until);

static void print_number(long n)
{
    char digits[12], *p = digits + sizeof digits - 1;
    unsigned long rest = n < 0 ? 0ul - (unsigned long)n : (unsigned long)n;
    *p = '\0';
    do *--p = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (n < 0) *--p = '-';
    board_print(p);
}

/* "12 word", with the units since the start */
static void say(const char *word)
{
    print_number((long)((async_time)(ticks() + BEFORE_WRAP) / U));
    board_print(" ");
    board_print(word);
    board_print("\n");
}

static void check(int truth, const char *what)
{
    if (truth) return;
    board_print("FAILED: ");
    board_print(what);
    board_print("\n");
    board_exit(1);
}

/* --- what the tasks do ---------------------------------------------------- */

struct ticker {
    ASYNC_FRAME;
    const char *name;
    int16_t period, count;
    int16_t i;
};
static ASYNC(ticker)
{
    ASYNC_BEGIN(ticker);
    for (self->i = 0; self->i < self->count; self->i++) {
        AWAIT(async_sleep, self->period);
        say(self->name);
    }
    ASYNC_END;
}

struct sleeper { ASYNC_FRAME; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_FOREVER);
    } ASYNC_FINALLY {
        say("sleeper cleans up");
        AWAIT(async_sleep, 3 * U);
        say("sleeper is clean");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct deep { ASYNC_FRAME; int16_t depth; };
static ASYNC(deep)
{
    ASYNC_BEGIN(deep);
    if (self->depth > 0) AWAIT(deep, self->depth - 1);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static async_lock lock;
struct locker { ASYNC_FRAME; const char *name; };
static ASYNC(locker)
{
    ASYNC_BEGIN(locker);
    ASYNC_WITH(async_lock, &lock) {
        AWAIT(async_sleep, 2 * U);
        say(self->name);
    } ASYNC_END_WITH
    ASYNC_END;
}

typedef ASYNC_QUEUE(int16_t, 2) numbers;
static numbers queue;
struct producer { ASYNC_FRAME; int16_t i; };
static ASYNC(producer)
{
    ASYNC_BEGIN(producer);
    for (self->i = 1; self->i <= 5; self->i++)
        AWAIT_QUEUE_PUT(&queue, self->i);
    ASYNC_END;
}

static ASYNC_FUTURE(int16_t) answer;
struct answers { ASYNC_FRAME; };
static ASYNC(answers)
{
    ASYNC_BEGIN(answers);
    AWAIT(async_sleep, 2 * U);
    ASYNC_SET_RESULT(&answer, 42);
    ASYNC_END;
}

ASYNC_STATIC_TASK(first, ASYNC_FRAMES(ticker, async_sleep));
ASYNC_STATIC_TASK(second, ASYNC_FRAMES(ticker, async_sleep));
ASYNC_STATIC_TASK(third, ASYNC_FRAMES(sleeper, async_sleep));
ASYNC_STATIC_TASK(narrow, ASYNC_FRAMES(deep, deep, async_sleep));
ASYNC_STATIC_TASK(lockers[2], ASYNC_FRAMES(locker, async_lock_acquire));

struct program {
    ASYNC_FRAME;
    async_timeout limit;
    int16_t number, sum;
    int error;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    say("start");

    /* Two tasks, across the wrap. */
    ASYNC_TASK_START(&first, &loop.base, ticker, "a", 10 * U, 4);
    ASYNC_TASK_START(&second, &loop.base, ticker, "b", 15 * U, 2);
    check(ASYNC_TASK_START(&first, &loop.base, ticker, "x", 1, 1) ==
              ASYNC_EBUSY,
          "a task that runs is busy");
    AWAIT_TASK(&first.task);
    AWAIT_TASK(&second.task);

    /* A limit in time. */
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, 5 * U) {
            AWAIT(async_sleep, 100 * U);
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("timed out");
    } ASYNC_END_TRY

    /* Cancellation, and a clean-up that waits. */
    ASYNC_TASK_START(&third, &loop.base, sleeper);
    AWAIT(async_sleep, 0);
    async_task_cancel(&third.task);
    ASYNC_TRY {
        AWAIT_TASK(&third.task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled");
    } ASYNC_END_TRY

    /* A future. */
    async_future_init(&answer.future, &loop.base);
    ASYNC_TASK_START(&second, &loop.base, answers);
    AWAIT_FUTURE_INTO(self->number, &answer);
    check(self->number == 42, "the future's value");
    say("answered");

    /* A lock, in turn. */
    ASYNC_TASK_START(&lockers[0], &loop.base, locker, "locked");
    ASYNC_TASK_START(&lockers[1], &loop.base, locker, "locked again");
    AWAIT_TASK(&lockers[0].task);
    AWAIT_TASK(&lockers[1].task);

    /* A queue with room for two. */
    ASYNC_QUEUE_INIT(&queue);
    ASYNC_TASK_START(&first, &loop.base, producer);
    for (self->sum = 0; self->sum < 15;) {
        AWAIT_QUEUE_GET_INTO(self->number, &queue);
        self->sum = (int16_t)(self->sum + self->number);
    }
    say("all came through");

    /* Three frames fit, four do not: an error, and then all is as before. */
    ASYNC_TASK_START(&narrow, &loop.base, deep, 1);
    AWAIT_TASK(&narrow.task);
    ASYNC_TASK_START(&narrow, &loop.base, deep, 5);
    ASYNC_TRY {
        AWAIT_TASK(&narrow.task);
    } ASYNC_EXCEPT(ASYNC_ENOMEM) {
        say("no room");
    } ASYNC_END_TRY
    check(async_task_stack_high_water(&narrow.task) == 3 * sizeof(struct deep),
          "the high-water mark is what fitted");
    ASYNC_TASK_START(&narrow, &loop.base, deep, 1);
    AWAIT_TASK(&narrow.task);

    say("end");
    async_loop_stop(&loop.base);
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program, async_sleep) + 32);

/* An error that nobody takes ends the test. */
static int on_error(async_loop *of, const async_exception_context *context,
                    void *argument)
{
    (void)of, (void)argument;
    print_number(context->error);
    check(0, "an error that nobody took");
    return 0;
}

int main(void)
{
    board_init();
    async_loop_set_exception_handler(&loop.base, on_error, NULL);
    ASYNC_TASK_START(&main_task, &loop.base, program);
    async_bare_run(&loop);
    check(async_task_result(&main_task.task) == 0, "no error is left");
    board_exit(0);
    return 0;
}
