/* flags: -DBOARD_UART_HOOK -DBOARD_SENSOR_HOOK */
/* What goes wrong on a board: a frame stack that is too small, a task that runs
 * already, a pool and a queue that are full, a UART that is faster than the
 * program, a sensor that does not answer.  Each is an error where it happens, and
 * behind each all goes on: the program, and a heart that beats beside it. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/pool.h"
#include "async/queue.h"

#include "examples/firmware/board.h"
#include "examples/firmware/text.h"

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

static void say(const char *text)
{
    board_print(text);
    board_print("\n");
}

static void check(int truth, const char *what)
{
    if (truth) return;
    board_print("FAILED: ");
    say(what);
    board_exit(1);
}

/* How long it is until then, in milliseconds since the start. */
#define UNTIL(when) ((async_duration)((when)-board_ticks()))

/* --- the heart ----------------------------------------------------------- */

static uint8_t beats;

struct heart { ASYNC_FRAME; async_ticker ticker; uint16_t missed; };
static ASYNC(heart)
{
    ASYNC_BEGIN(heart);
    async_ticker_start(&self->ticker, &loop.base, 20);
    for (;;) {
        AWAIT_INTO(self->missed, async_ticker_wait, &self->ticker);
        beats++;
        async_bare_wake(&loop);
    }
    ASYNC_END;
}
ASYNC_STATIC_TASK(heart_task, ASYNC_FRAMES(heart, async_ticker_wait));

static int has_beaten(void *nothing)
{
    (void)nothing;
    return beats >= 3;
}

/* Three beats, or it does not come back. */
struct all_goes_on { ASYNC_FRAME; async_timeout limit; };
static ASYNC(all_goes_on)
{
    ASYNC_BEGIN(all_goes_on);
    beats = 0;
    ASYNC_TIMEOUT(&self->limit, 200) {
        AWAIT(async_wait_until, has_beaten, NULL);
    } ASYNC_END_TIMEOUT
    say("  all goes on");
    ASYNC_END;
}

/* --- a stack that is too small, and a task that runs --------------------- */

struct deep { ASYNC_FRAME; int16_t depth; };
static ASYNC(deep)
{
    ASYNC_BEGIN(deep);
    AWAIT(async_sleep, 5);
    if (self->depth > 1) AWAIT(deep, self->depth - 1);
    ASYNC_END;
}

/* There is room for two. */
struct descends { ASYNC_FRAME; };
static ASYNC(descends)
{
    ASYNC_BEGIN(descends);
    AWAIT(deep, 2);
    say("two fit");
    ASYNC_TRY {
        AWAIT(deep, 3);
        say("FAILED: three fit");
    } ASYNC_EXCEPT(ASYNC_ENOMEM) {
        say("three are ASYNC_ENOMEM");
    } ASYNC_END_TRY
    AWAIT(deep, 2);
    say("two fit again");
    ASYNC_END;
}
ASYNC_STATIC_TASK(worker, ASYNC_FRAMES(descends, deep, deep));

/* --- a pool -------------------------------------------------------------- */

struct job { ASYNC_FRAME; int16_t takes; };
static ASYNC(job)
{
    ASYNC_BEGIN(job);
    AWAIT(async_sleep, self->takes);
    ASYNC_END;
}
ASYNC_TASK_POOL(jobs, 2, ASYNC_FRAMES(job));

/* --- a queue ------------------------------------------------------------- */

static ASYNC_QUEUE(uint8_t, 2) numbers;

struct takes_all { ASYNC_FRAME; uint8_t i, number; };
static ASYNC(takes_all)
{
    ASYNC_BEGIN(takes_all);
    AWAIT(async_sleep, 30);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT_QUEUE_GET_INTO(self->number, &numbers);
        print_number(self->number);
        board_print(" is taken\n");
    }
    ASYNC_END;
}

/* --- the UART ------------------------------------------------------------ */

static ASYNC_RING(8) received; /* has room for 7 */

void board_received(uint8_t byte)
{
    async_ring_put(&received.ring, byte, &loop);
}

/* Up to a full stop. */
struct reads { ASYNC_FRAME; char byte[2]; };
static ASYNC(reads)
{
    ASYNC_BEGIN(reads);
    do {
        ASYNC_TRY {
            AWAIT_INTO(*(uint8_t *)self->byte, async_ring_get, &received.ring);
            board_print(self->byte);
        } ASYNC_EXCEPT(ASYNC_EOVERRUN) {
            board_print("(ASYNC_EOVERRUN)");
        } ASYNC_END_TRY
    } while (self->byte[0] != '.');
    board_print("\n");
    ASYNC_END;
}

/* --- the sensor ---------------------------------------------------------- */

static volatile uint16_t measured; /* written before the flag goes up */
static async_flag answered;

void board_measured(uint16_t value)
{
    measured = value;
    async_flag_set(&answered, &loop);
}

struct measure { ASYNC_FRAME; async_timeout limit; uint32_t asked; };
static ASYNC(measure)
{
    ASYNC_BEGIN(measure);
    answered.up = 0;
    self->asked = board_ticks();
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, 50) {
            board_sensor_start();
            AWAIT(async_flag_wait, &answered);
        } ASYNC_END_TIMEOUT
        print_number(measured);
        say(" is measured");
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        self->asked = board_ticks() - self->asked;
        check(self->asked >= 50 && self->asked < 60, "the limit's length");
        say("the sensor: ASYNC_ETIMEDOUT");
    } ASYNC_FINALLY {
        board_sensor_stop();
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- one after the other ------------------------------------------------- */

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TASK_START(&worker, &loop.base, descends);
    check(ASYNC_TASK_START(&worker, &loop.base, job, 1) == ASYNC_EBUSY,
          "a task that runs is not started");
    say("a task that runs is ASYNC_EBUSY");
    AWAIT_TASK(&worker.task);
    AWAIT(all_goes_on);
    check(ASYNC_TASK_START(&worker, &loop.base, job, 1) == 0,
          "a task that has ended is started");
    AWAIT_TASK(&worker.task);
    say("one that has ended starts");

    check(ASYNC_POOL_START(&jobs, &loop.base, job, 30) != NULL &&
              ASYNC_POOL_START(&jobs, &loop.base, job, 60) != NULL,
          "two slots");
    check(ASYNC_POOL_START(&jobs, &loop.base, job, 1) == NULL, "no third one");
    say("a pool that is full gives NULL");
    AWAIT(async_pool_available, &jobs.pool);
    check(async_pool_count_free(&jobs.pool) == 1, "the first job's slot");
    check(ASYNC_POOL_START(&jobs, &loop.base, job, 5) != NULL, "it is free");
    say("a slot is waited for, and used");
    AWAIT(all_goes_on);

    check(ASYNC_QUEUE_PUT_NOWAIT(&numbers, 1) == 0 &&
              ASYNC_QUEUE_PUT_NOWAIT(&numbers, 2) == 0,
          "two places");
    check(ASYNC_QUEUE_PUT_NOWAIT(&numbers, 9) == ASYNC_EQUEUEFULL,
          "no third one");
    say("a full queue is ASYNC_EQUEUEFULL");
    ASYNC_TASK_START(&worker, &loop.base, takes_all);
    AWAIT_QUEUE_PUT(&numbers, 3);
    say("3 has waited for a place");
    AWAIT_TASK(&worker.task);
    AWAIT(all_goes_on);

    AWAIT(async_sleep, UNTIL(980)); /* until here all was in time */
    AWAIT(reads);
    AWAIT(async_sleep, UNTIL(1190));
    board_delay(60); /* ten bytes come meanwhile */
    AWAIT(reads);
    AWAIT(all_goes_on);
    AWAIT(reads);

    AWAIT(async_sleep, UNTIL(1800));
    AWAIT(measure);
    AWAIT(async_sleep, UNTIL(2000));
    AWAIT(measure);
    AWAIT(all_goes_on);
    AWAIT(async_sleep, UNTIL(2600));
    AWAIT(measure);
    check(async_task_result(&heart_task.task) == ASYNC_ENOTREADY,
          "the heart beats");
    say("end");
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program, measure, async_flag_wait,
                                          async_wait_until));

static int on_error(async_loop *of, const async_exception_context *context,
                    void *argument)
{
    (void)of, (void)context, (void)argument;
    check(0, "an error that nobody took");
    return 0;
}

int main(void)
{
    ASYNC_RING_INIT(&received);
    ASYNC_QUEUE_INIT(&numbers);
    board_init();
    async_loop_set_exception_handler(&loop.base, on_error, NULL);
    ASYNC_TASK_START(&heart_task, &loop.base, heart);
    ASYNC_TASK_START(&main_task, &loop.base, program);
    async_bare_run(&loop);
    return 0;
}
