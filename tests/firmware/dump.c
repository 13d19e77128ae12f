/* What tasks in static memory do, as async/dump.h tells it: the same on every
 * machine.  The clock is the test's own; how many bytes of stack a line tells
 * is compared here, and `right` is printed. */
#define ASYNC_IMPLEMENTATION
#include "async/dump.h"
#include "async/bare/pool.h"
#include "async/queue.h"
#include "async/sync.h"

#include "examples/firmware/board.h"

static uint32_t now;
static uint32_t ticks(void)
{
    return now;
}
static void sleep_until(uint32_t when)
{
    if (when == ASYNC_FOREVER) {
        board_print("FAILED: nobody wakes the test\n");
        board_exit(1);
    }
    now = when;
}
static async_bare_loop loop = ASYNC_BARE_LOOP(loop, ticks, sleep_until);

/* --- printing ------------------------------------------------------------- */

static uint32_t number_in(const char *text)
{
    uint32_t n = 0;
    while (*text >= '0' && *text <= '9')
        n = n * 10 + (uint32_t)(*text++ - '0');
    return n;
}

/* The three numbers of a stack: in use, of how many, at most. */
static size_t expected[3];
static uint8_t to_compare;

static int same(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) a++, b++;
    return *a == *b;
}
static void put(const char *text, void *argument)
{
    (void)argument;
    if (to_compare > 0 && *text >= '0' && *text <= '9') {
        size_t is = (size_t)number_in(text);
        text = is == expected[3 - to_compare--] ? "right" : text;
    } else if (same(text, "; stack ")) {
        to_compare = 3;
    }
    board_print(text);
}

static void all(unsigned parts)
{
    async_dump_tasks(&loop.base, parts, put, NULL);
}
static void one(const async_task *task, unsigned parts)
{
    async_dump_task(task, parts, put, NULL);
}
static void one_with_stack(const async_task *task, size_t used, size_t size,
                           size_t most)
{
    expected[0] = used;
    expected[1] = size;
    expected[2] = most;
    one(task, ASYNC_DUMP_STACK);
}

/* --- what the tasks do ---------------------------------------------------- */

struct naps { ASYNC_FRAME; int32_t delay; };
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    AWAIT(async_sleep, self->delay);
    ASYNC_END;
}

struct descends { ASYNC_FRAME; int16_t depth; };
static ASYNC(descends)
{
    ASYNC_BEGIN(descends);
    if (self->depth > 0)
        AWAIT(descends, self->depth - 1);
    else
        AWAIT(naps, 10);
    ASYNC_END;
}

static async_lock lock;
struct locks { ASYNC_FRAME; };
static ASYNC(locks)
{
    ASYNC_BEGIN(locks);
    ASYNC_WITH(async_lock, &lock) {
        AWAIT(async_sleep, 20);
    } ASYNC_END_WITH
    ASYNC_END;
}

static ASYNC_QUEUE(int16_t, 1) queue;
struct gets { ASYNC_FRAME; int16_t n; };
static ASYNC(gets)
{
    ASYNC_BEGIN(gets);
    AWAIT_QUEUE_GET_INTO(self->n, &queue);
    ASYNC_END;
}

struct joins { ASYNC_FRAME; async_task *task; };
static ASYNC(joins)
{
    ASYNC_BEGIN(joins);
    AWAIT_TASK(self->task);
    ASYNC_END;
}

static uint8_t condition;
static int is_met(void *nothing)
{
    (void)nothing;
    return condition;
}
struct watches { ASYNC_FRAME; };
static ASYNC(watches)
{
    ASYNC_BEGIN(watches);
    AWAIT(async_wait_until, is_met, NULL);
    ASYNC_END;
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_RAISE(ASYNC_EQUEUEEMPTY);
    ASYNC_END;
}

struct tidies { ASYNC_FRAME; };
static ASYNC(tidies)
{
    ASYNC_BEGIN(tidies);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_FOREVER);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, 5);
    } ASYNC_END_TRY
    ASYNC_END;
}

#define ROOM ASYNC_FRAMES(descends, descends, naps)
static ASYNC_TASK_STORAGE(ROOM) first, second;
static ASYNC_TASK_STORAGE(ASYNC_FRAMES(locks, async_lock_acquire)) holder,
    locker;
ASYNC_STATIC_TASK(watcher, ASYNC_FRAMES(watches, async_wait_until));
ASYNC_TASK_POOL(pool, 2, ASYNC_FRAMES(naps));

/* --- the test ------------------------------------------------------------- */

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    one(&first.task, ASYNC_DUMP_ALL);

    /* Ready and running; sleeping, in all orders of deadlines. */
    ASYNC_TASK_START(&first, &loop.base, naps, 30);
    ASYNC_TASK_START(&second, &loop.base, naps, ASYNC_FOREVER);
    all(ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES);
    ASYNC_POOL_START(&pool, &loop.base, naps, 10);
    ASYNC_POOL_START(&pool, &loop.base, naps, 20);
    AWAIT(async_sleep, 0);
    all(ASYNC_DUMP_TIMES | ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES);

    /* Cancelled; done, in time. */
    async_task_cancel(&second.task);
    one(&second.task, 0);
    AWAIT_TASK(&first.task);
    one(&second.task, 0);
    one(&first.task, ASYNC_DUMP_FRAMES);

    /* In the line of a queue: with others, and beside sleepers. */
    ASYNC_QUEUE_INIT(&queue);
    ASYNC_TASK_START(&first, &loop.base, gets);
    ASYNC_TASK_START(&second, &loop.base, gets);
    ASYNC_POOL_START(&pool, &loop.base, naps, 10);
    AWAIT(async_sleep, 0);
    all(ASYNC_DUMP_FRAMES);
    AWAIT_QUEUE_PUT(&queue, 1);
    all(0);
    AWAIT_QUEUE_PUT(&queue, 2);
    AWAIT_TASK(&second.task);
    AWAIT(async_sleep, 20);

    /* For a lock, a condition, a task. */
    ASYNC_TASK_START(&holder, &loop.base, locks);
    ASYNC_TASK_START(&locker, &loop.base, locks);
    ASYNC_TASK_START(&watcher, &loop.base, watches);
    ASYNC_TASK_START(&second, &loop.base, joins, &watcher.task);
    AWAIT(async_sleep, 1);
    all(ASYNC_DUMP_FRAMES);
    condition = 1;
    async_bare_wake(&loop);
    AWAIT_TASK(&second.task);
    AWAIT_TASK(&locker.task);

    /* Cancelling: it cleans up. */
    ASYNC_TASK_START(&first, &loop.base, tidies);
    AWAIT(async_sleep, 0);
    async_task_cancel(&first.task);
    AWAIT(async_sleep, 1);
    one(&first.task, ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES);
    AWAIT(async_sleep, 10);

    /* An error. */
    ASYNC_TASK_START(&first, &loop.base, fails);
    AWAIT(async_sleep, 0);
    one(&first.task, ASYNC_DUMP_FRAMES);
    (void)async_task_result(&first.task);

    /* The stack: part of it, all of it, and more than there is, which is told
     * by its high-water mark when all is over: that is what fitted. */
    ASYNC_TASK_START(&first, &loop.base, descends, 0);
    AWAIT(async_sleep, 0);
    one(&first.task, ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES);
    one_with_stack(&first.task, ASYNC_FRAMES(descends, naps), ROOM,
                   ASYNC_FRAMES(descends, naps));
    AWAIT_TASK(&first.task);
    ASYNC_TASK_START(&first, &loop.base, descends, 1);
    AWAIT(async_sleep, 0);
    one(&first.task, ASYNC_DUMP_FRAMES);
    one_with_stack(&first.task, ROOM, ROOM, ROOM);
    AWAIT_TASK(&first.task);
    ASYNC_TASK_START(&first, &loop.base, descends, 9);
    AWAIT(async_sleep, 0);
    one_with_stack(&first.task, 0, ROOM,
                   ASYNC_FRAMES(descends, descends, descends));
    (void)async_task_result(&first.task);

    async_loop_stop(&loop.base);
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program) + 16); /* an item kept */

int main(void)
{
    board_init();
    ASYNC_TASK_START(&main_task, &loop.base, program);
    board_print("before\n");
    all(ASYNC_DUMP_FRAMES);
    async_bare_run(&loop);
    board_print("behind\n");
    all(0);
    one(&main_task.task, 0);
    board_exit(async_task_result(&main_task.task) != 0);
    return 0;
}
