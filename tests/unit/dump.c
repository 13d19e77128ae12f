/* What every task does now, as text: async/dump.h, on the heap. */
#define ASYNC_IMPLEMENTATION
#include "../../async/dump.h"
#include "../../async/bare/interrupt.h"
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/sync.h"

#include "virtual.h"

#include <stdlib.h>

/* --- what is dumped ------------------------------------------------------- */

static char dumped[4096];

static void put(const char *text, void *argument)
{
    (void)argument;
    strncat(dumped, text, sizeof dumped - strlen(dumped) - 1);
}
static const char *dump(unsigned parts)
{
    dumped[0] = '\0';
    async_dump_tasks(&loop.base, parts, put, NULL);
    return dumped;
}
static const char *dump_task(const async_task *task, unsigned parts)
{
    dumped[0] = '\0';
    async_dump_task(task, parts, put, NULL);
    return dumped;
}

/* Whether the last frame of the dump is suspended at that line of this file. */
static void assert_suspended_at(int line)
{
    char place[40];
    snprintf(place, sizeof place, "(dump.c:%d)\n", line);
    assert_non_null(strstr(dumped, place));
}

struct naps { ASYNC_FRAME; async_duration delay; };
static int naps_line;
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    naps_line = __LINE__ + 1;
    AWAIT(async_sleep, self->delay);
    ASYNC_END;
}

/* --- states --------------------------------------------------------------- */

struct sees_itself { ASYNC_FRAME; };
static ASYNC(sees_itself)
{
    ASYNC_BEGIN(sees_itself);
    assert_string_equal(dump(ASYNC_DUMP_FRAMES),
                        "Task-1 sees_itself: running; sees_itself\n");
    assert_int_equal(async_task_state(async_current_task()),
                     ASYNC_TASK_RUNNING);
    AWAIT(async_sleep, 0);
    /* A frame in which it was suspended before has a line, but not now. */
    assert_string_equal(dump(ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES),
                        "Task-1 sees_itself: running; sees_itself\n");
    ASYNC_END;
}

static void a_task_that_runs(void **state)
{
    (void)state;
    assert_int_equal(RUN(sees_itself), 0);
}

struct makes { ASYNC_FRAME; ASYNC_TASK_OF(naps) made; };
static ASYNC(makes)
{
    ASYNC_BEGIN(makes);
    ASYNC_SPAWN(self->made, naps, ASYNC_MS(1500));
    assert_int_equal(async_task_state(self->made.task), ASYNC_TASK_READY);
    assert_string_equal(
        dump_task(self->made.task, ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES),
        "Task-2 naps: ready; naps\n");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_int_equal(async_task_state(self->made.task), ASYNC_TASK_SLEEPING);
    assert_true(async_task_sleeps_until(self->made.task) == ASYNC_MS(1500));
    assert_null(async_task_waits_for(self->made.task));
    assert_string_equal(
        dump_task(self->made.task, ASYNC_DUMP_TIMES | ASYNC_DUMP_FRAMES),
        "Task-2 naps: sleeping until 1.500 s; "
        "naps > async_sleep\n");
    assert_string_equal(dump_task(self->made.task, 0),
                        "Task-2 naps: sleeping\n");
    AWAIT_TASK(self->made.task);
    assert_int_equal(async_task_state(self->made.task), ASYNC_TASK_DONE);
    assert_string_equal(dump_task(self->made.task, ASYNC_DUMP_FRAMES),
                        "Task-2 naps: done\n");
    async_task_release(self->made.task);
    ASYNC_END;
}

static void ready_then_sleeping_then_done(void **state)
{
    (void)state;
    assert_int_equal(RUN(makes), 0);
}

struct sleeps_long { ASYNC_FRAME; ASYNC_TASK_OF(naps) made; };
static ASYNC(sleeps_long)
{
    ASYNC_BEGIN(sleeps_long);
    ASYNC_SPAWN(self->made, naps, ASYNC_FOREVER);
    AWAIT(async_sleep, 0);
    assert_true(async_task_sleeps_until(self->made.task) == ASYNC_FOREVER);
    assert_string_equal(dump_task(self->made.task, ASYNC_DUMP_TIMES),
                        "Task-2 naps: sleeping for ever\n");
    async_task_cancel(self->made.task);
    assert_string_equal(dump_task(self->made.task, 0),
                        "Task-2 naps: ready, cancelling\n");
    AWAIT(async_sleep, 0);
    assert_string_equal(dump_task(self->made.task, 0),
                        "Task-2 naps: cancelled\n");
    async_task_release(self->made.task);
    ASYNC_END;
}

static void sleeping_for_ever_and_cancelled(void **state)
{
    (void)state;
    assert_int_equal(RUN(sleeps_long), 0);
}

struct cleans_up { ASYNC_FRAME; };
static ASYNC(cleans_up)
{
    ASYNC_BEGIN(cleans_up);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_FOREVER);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct cancels { ASYNC_FRAME; ASYNC_TASK_OF(cleans_up) made; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    ASYNC_SPAWN(self->made, cleans_up);
    AWAIT(async_sleep, 0);
    async_task_cancel(self->made.task);
    AWAIT(async_sleep, 0);
    assert_string_equal(dump_task(self->made.task, ASYNC_DUMP_TIMES),
                        "Task-2 cleans_up: sleeping until 1.000 s, "
                        "cancelling\n");
    async_task_release(self->made.task);
    ASYNC_END;
}

static void one_that_is_cancelled_and_cleans_up_is_cancelling(void **state)
{
    (void)state;
    assert_int_equal(RUN(cancels), 0);
}

struct fails { ASYNC_FRAME; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_RAISE(ASYNC_ETIMEDOUT);
    ASYNC_END;
}
struct lets_fail { ASYNC_FRAME; ASYNC_TASK_OF(fails) made; };
static ASYNC(lets_fail)
{
    ASYNC_BEGIN(lets_fail);
    ASYNC_SPAWN(self->made, fails);
    async_task_set_name(self->made.task, "clumsy");
    AWAIT(async_sleep, 0);
    assert_string_equal(dump_task(self->made.task, 0),
                        "clumsy fails: failed, ASYNC_ETIMEDOUT\n");
    assert_int_equal(async_task_result(self->made.task), ASYNC_ETIMEDOUT);
    async_task_release(self->made.task);
    ASYNC_END;
}

static void one_that_failed_tells_its_error_and_the_name_it_was_given(void **s)
{
    (void)s;
    assert_int_equal(RUN(lets_fail), 0);
}

static void storage_that_was_never_started_is_unused(void **state)
{
    static ASYNC_TASK_STORAGE(64) storage;
    (void)state;
    assert_int_equal(async_task_state(&storage.task), ASYNC_TASK_UNUSED);
    assert_int_equal(async_task_stack_size(&storage.task), 0);
    assert_string_equal(dump_task(&storage.task, ASYNC_DUMP_ALL),
                        "?: unused\n");
}

/* --- what they wait for --------------------------------------------------- */

static async_future future;
static async_lock lock;
static ASYNC_QUEUE(int, 1) queue;

struct of_future { ASYNC_FRAME; };
static ASYNC(of_future)
{
    ASYNC_BEGIN(of_future);
    AWAIT_FUTURE(&future);
    ASYNC_END;
}
struct through { ASYNC_FRAME; };
static ASYNC(through)
{
    ASYNC_BEGIN(through);
    AWAIT(of_future);
    ASYNC_END;
}
struct of_task { ASYNC_FRAME; async_task *task; };
static ASYNC(of_task)
{
    ASYNC_BEGIN(of_task);
    AWAIT_TASK(self->task);
    ASYNC_END;
}
struct of_lock { ASYNC_FRAME; };
static ASYNC(of_lock)
{
    ASYNC_BEGIN(of_lock);
    ASYNC_WITH(async_lock, &lock) {
        AWAIT_FUTURE(&future);
    } ASYNC_END_WITH
    ASYNC_END;
}
struct of_queue { ASYNC_FRAME; int n; };
static ASYNC(of_queue)
{
    ASYNC_BEGIN(of_queue);
    AWAIT_QUEUE_GET_INTO(self->n, &queue);
    ASYNC_END;
}
struct of_put { ASYNC_FRAME; };
static ASYNC(of_put)
{
    ASYNC_BEGIN(of_put);
    AWAIT_QUEUE_PUT(&queue, 1);
    AWAIT_QUEUE_PUT(&queue, 2);
    AWAIT_QUEUE_PUT(&queue, 3);
    ASYNC_END;
}
struct of_group { ASYNC_FRAME; async_task_group group; };
static ASYNC(of_group)
{
    ASYNC_BEGIN(of_group);
    ASYNC_TASK_GROUP(&self->group) {
        ASYNC_TASK_OF(of_future) child;
        ASYNC_GROUP_SPAWN(child, &self->group, of_future);
        async_task_release(child.task);
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}

/* What a task of that coroutine waits for, an iteration after its start. */
struct looks { ASYNC_FRAME; async_object who; const char *tells; };
static async_task *started;
static ASYNC(looks)
{
    ASYNC_BEGIN(looks);
    async_future_init(&future, &loop.base);
    started = async_create_task(self->who);
    AWAIT(async_sleep, 0);
    assert_int_equal(async_task_state(started), ASYNC_TASK_WAITING);
    assert_true(async_task_sleeps_until(started) == ASYNC_FOREVER);
    assert_string_equal(dump_task(started, ASYNC_DUMP_FRAMES), self->tells);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    async_future_set_result(&future);
    assert_int_equal(async_task_state(started), ASYNC_TASK_READY);
    async_task_release(started);
    ASYNC_END;
}

static void waiting_for_a_future(void **state)
{
    (void)state;
    assert_int_equal(RUN(looks, CO(of_future),
                         "Task-2 of_future: waiting for a future; "
                         "of_future\n"),
                     0);
    assert_int_equal(RUN(looks, CO(through),
                         "Task-2 through: waiting for of_future; "
                         "through > of_future\n"),
                     0);
}

struct two_locked { ASYNC_FRAME; ASYNC_TASK_OF(of_lock) holds, waits; };
static ASYNC(two_locked)
{
    ASYNC_BEGIN(two_locked);
    async_future_init(&future, &loop.base);
    ASYNC_SPAWN(self->holds, of_lock);
    ASYNC_SPAWN(self->waits, of_lock);
    AWAIT(async_sleep, 0);
    assert_string_equal(dump(ASYNC_DUMP_FRAMES),
                        "Task-1 two_locked: running; two_locked\n"
                        "Task-2 of_lock: waiting for a future; of_lock\n"
                        "Task-3 of_lock: waiting for async_lock_acquire; "
                        "of_lock > async_lock_acquire\n");
    async_future_set_result(&future);
    AWAIT_JOIN(self->holds.task);
    AWAIT_JOIN(self->waits.task);
    ASYNC_END;
}

static void waiting_for_what_is_awaited_innermost(void **state)
{
    (void)state;
    assert_int_equal(RUN(two_locked), 0);
}

struct chain_of_tasks {
    ASYNC_FRAME;
    ASYNC_TASK_OF(naps) first;
    ASYNC_TASK_OF(of_task) second;
};
static ASYNC(chain_of_tasks)
{
    ASYNC_BEGIN(chain_of_tasks);
    ASYNC_SPAWN(self->first, naps, ASYNC_SECONDS(1));
    ASYNC_SPAWN(self->second, of_task, self->first.task);
    AWAIT(async_sleep, 0);
    assert_ptr_equal(async_task_waits_for(self->second.task),
                     &self->first.task->future);
    assert_string_equal(dump_task(self->second.task, 0),
                        "Task-3 of_task: waiting for Task-2 naps\n");
    AWAIT_JOIN(self->second.task);
    AWAIT_JOIN(self->first.task);
    ASYNC_END;
}

static void waiting_for_a_task_tells_which(void **state)
{
    (void)state;
    assert_int_equal(RUN(chain_of_tasks), 0);
}

struct in_line {
    ASYNC_FRAME;
    ASYNC_TASK_OF(of_queue) gets;
    ASYNC_TASK_OF(of_put) puts;
};
static ASYNC(in_line)
{
    ASYNC_BEGIN(in_line);
    ASYNC_QUEUE_INIT(&queue);
    ASYNC_SPAWN(self->gets, of_queue);
    AWAIT(async_sleep, 0);
    assert_int_equal(async_task_state(self->gets.task), ASYNC_TASK_WAITING);
    assert_null(async_task_waits_for(self->gets.task));
    assert_string_equal(dump_task(self->gets.task, 0),
                        "Task-2 of_queue: waiting for a queue\n");
    ASYNC_SPAWN(self->puts, of_put);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    assert_string_equal(dump_task(self->puts.task, 0),
                        "Task-3 of_put: waiting for a queue\n");
    AWAIT_JOIN(self->gets.task);
    async_task_cancel(self->puts.task);
    async_task_release(self->puts.task);
    ASYNC_END;
}

static void waiting_for_a_queue_is_not_sleeping(void **state)
{
    (void)state;
    assert_int_equal(RUN(in_line), 0);
}

static int cancel_gracefully(async_operation *operation)
{
    return async_operation_cancelled(operation);
}
static async_operation operation;
struct of_operation { ASYNC_FRAME; };
static ASYNC(of_operation)
{
    ASYNC_BEGIN(of_operation);
    async_operation_init(&operation, async_loop_of(co), cancel_gracefully);
    AWAIT_FUTURE(&operation.future);
    ASYNC_END;
}
struct has_group {
    ASYNC_FRAME;
    ASYNC_TASK_OF(of_group) group;
    ASYNC_TASK_OF(of_operation) operates;
};
static ASYNC(has_group)
{
    ASYNC_BEGIN(has_group);
    async_future_init(&future, &loop.base);
    ASYNC_SPAWN(self->group, of_group);
    ASYNC_SPAWN(self->operates, of_operation);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    assert_string_equal(dump(0), "Task-1 has_group: running\n"
                                 "Task-2 of_group: waiting for a future\n"
                                 "Task-3 of_operation: waiting for an "
                                 "operation\n"
                                 "Task-4 of_future: waiting for a future\n");
    async_future_set_result(&future);
    async_task_cancel(self->operates.task);
    AWAIT_JOIN(self->group.task);
    async_task_release(self->operates.task);
    ASYNC_END;
}

static void waiting_for_the_end_of_a_group_and_for_an_operation(void **state)
{
    (void)state;
    assert_int_equal(RUN(has_group), 0);
}

/* --- frames --------------------------------------------------------------- */

struct descends { ASYNC_FRAME; int depth; char padding[60]; };
static ASYNC(descends)
{
    ASYNC_BEGIN(descends);
    if (self->depth > 0)
        AWAIT(descends, self->depth - 1);
    else
        AWAIT(naps, ASYNC_SECONDS(1));
    ASYNC_END;
}
/* As text, what async_task_stack_used() and so on give as numbers. */
static void assert_stack_told(const async_task *task)
{
    char told[80];
    snprintf(told, sizeof told, "; stack %u of %u, at most %u\n",
             (unsigned)async_task_stack_used(task),
             (unsigned)async_task_stack_size(task),
             (unsigned)async_task_stack_high_water(task));
    assert_non_null(strstr(dump_task(task, ASYNC_DUMP_STACK), told));
}

struct looks_down { ASYNC_FRAME; ASYNC_TASK_OF(descends) deep; size_t used; };
static ASYNC(looks_down)
{
    ASYNC_BEGIN(looks_down);
    ASYNC_SPAWN(self->deep, descends, 13);
    AWAIT(async_sleep, 0);
    /* Sixteen in all, in several chunks: all of them. */
    assert_string_equal(
        dump_task(self->deep.task, ASYNC_DUMP_FRAMES),
        "Task-2 descends: sleeping; descends > descends > descends > "
        "descends > descends > descends > descends > descends > descends > "
        "descends > descends > descends > descends > descends > naps > "
        "async_sleep\n");
    AWAIT_JOIN(self->deep.task);

    ASYNC_SPAWN(self->deep, descends, 5000);
    AWAIT(async_sleep, 0);
    assert_string_equal(
        dump_task(self->deep.task, ASYNC_DUMP_FRAMES),
        "Task-3 descends: sleeping; descends > descends > descends > "
        "descends > descends > descends > descends > descends > (4987 more) "
        "> descends > descends > descends > descends > descends > descends > "
        "naps > async_sleep\n");
    /* What is used, is at most what there is, in all chunks. */
    self->used = async_task_stack_used(self->deep.task);
    assert_true(self->used >= 5001 * sizeof(struct descends));
    assert_true(async_task_stack_size(self->deep.task) >= self->used);
    assert_true(async_task_stack_size(self->deep.task) < 3 * self->used);
    assert_stack_told(self->deep.task);
    AWAIT_TASK(self->deep.task);
    /* The chunks are gone, the mark stays. */
    assert_true(async_task_stack_size(self->deep.task) < 500);
    assert_true(async_task_stack_high_water(self->deep.task) >= self->used);
    assert_stack_told(self->deep.task);
    async_task_release(self->deep.task);
    ASYNC_END;
}

static void a_chain_is_told_whole_and_a_long_one_by_its_ends(void **state)
{
    (void)state;
    assert_int_equal(RUN(looks_down), 0);
}

/* A static stack that was too small: in use at most was all of it. */
struct overflows { ASYNC_FRAME; };
static ASYNC(overflows)
{
    enum { ROOM = ASYNC_FRAMES(descends, descends) };
    static ASYNC_TASK_STORAGE(ROOM) small;
    ASYNC_BEGIN(overflows);
    ASYNC_TASK_START(&small, &loop.base, descends, 5);
    assert_int_equal(async_task_stack_size(&small.task), ROOM);
    AWAIT(async_sleep, 0);
    assert_int_equal(async_task_stack_size(&small.task), ROOM);
    assert_int_equal(async_task_stack_high_water(&small.task), ROOM);
    assert_stack_told(&small.task);
    assert_string_equal(dump_task(&small.task, 0),
                        "Task-2 descends: failed, ASYNC_ENOMEM\n");
    assert_int_equal(async_task_result(&small.task), ASYNC_ENOMEM);
    ASYNC_END;
}

static void a_stack_that_was_too_small_was_full(void **state)
{
    (void)state;
    assert_int_equal(RUN(overflows), 0);
}

struct gives { ASYNC_YIELDS(int); };
static ASYNC(gives)
{
    ASYNC_BEGIN(gives);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_YIELD(1);
    ASYNC_END;
}
struct takes { ASYNC_FRAME; int n; struct gives gives; };
static ASYNC(takes)
{
    ASYNC_BEGIN(takes);
    self->gives = ASYNC_GENERATOR(gives);
    ASYNC_FOR(self->n, &self->gives) {
        say("%d", self->n);
    } ASYNC_END_FOR
    ASYNC_END;
}
struct looks_inside { ASYNC_FRAME; ASYNC_TASK_OF(takes) made; };
static ASYNC(looks_inside)
{
    ASYNC_BEGIN(looks_inside);
    ASYNC_SPAWN(self->made, takes);
    AWAIT(async_sleep, 0);
    assert_string_equal(dump_task(self->made.task, ASYNC_DUMP_FRAMES),
                        "Task-2 takes: sleeping; "
                        "takes > gives > async_sleep\n");
    AWAIT_JOIN(self->made.task);
    ASYNC_END;
}

static void a_generator_that_awaits_is_a_frame(void **state)
{
    (void)state;
    assert_int_equal(RUN(looks_inside), 0);
    assert_said("1");
}

static int of_future_line(void)
{
    const async_frame *frame =
        async_frame_innermost(async_task_get_coro(started));
    return async_frame_line(frame);
}
struct looks_at_place { ASYNC_FRAME; };
static ASYNC(looks_at_place)
{
    ASYNC_BEGIN(looks_at_place);
    async_future_init(&future, &loop.base);
    started = async_create_task(CO(of_future));
    AWAIT(async_sleep, 0);
    dump_task(started, ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES);
    assert_suspended_at(of_future_line());
    async_task_cancel(started);
    async_task_release(started);
    started = async_create_task(CO(naps, ASYNC_SECONDS(1)));
    AWAIT(async_sleep, 0);
    dump_task(started, ASYNC_DUMP_FRAMES | ASYNC_DUMP_PLACES);
    {
        char place[60];
        snprintf(place, sizeof place,
                 "naps (dump.c:%d) > async_sleep (task.h:", naps_line);
        assert_non_null(strstr(dumped, place));
    }
    AWAIT_JOIN(started);
    ASYNC_END;
}

static void each_frame_tells_where_it_is_suspended(void **state)
{
    (void)state;
    assert_int_equal(RUN(looks_at_place), 0);
}

/* --- where from ----------------------------------------------------------- */

static int in_a_callback(void *argument)
{
    (void)argument;
    assert_string_equal(dump(0), "Task-1 naps: sleeping\n");
    say("called");
    return 0;
}
static void from_a_callback_and_outside_the_loop(void **state)
{
    async_handle handle;
    async_task *task;
    (void)state;
    memset(&handle, 0, sizeof handle);
    async_virtual_loop_init(&loop, NULL);
    task = async_loop_create_task(&loop.base, CO(naps, ASYNC_SECONDS(2)));
    assert_string_equal(dump(0), "Task-1 naps: ready\n");
    async_loop_call_later(&loop.base, &handle, ASYNC_SECONDS(1), in_a_callback,
                          NULL);
    async_loop_run_forever(&loop.base);
    assert_string_equal(dump(0), "");
    assert_string_equal(dump_task(task, 0), "Task-1 naps: done\n");
    async_task_release(task);
    async_loop_close(&loop.base);
    assert_said("called");
}

/* What nobody wakes while the loop closes. */
static void a_task_that_its_loop_dropped_has_lost_its_frames(void **state)
{
    static ASYNC_TASK_STORAGE(ASYNC_FRAMES(cleans_up, async_sleep)) storage;
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    ASYNC_TASK_START(&storage, &loop.base, cleans_up);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(naps, 0)),
                     0);
    assert_string_equal(dump(0), "Task-1 cleans_up: sleeping\n");
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_string_equal(dump_task(&storage.task, ASYNC_DUMP_FRAMES),
                        "Task-1 ?: cancelled\n");
}

static void to_a_file(void **state)
{
    async_task *task;
    char line[100];
    FILE *file = tmpfile();
    (void)state;
    assert_non_null(file);
    async_virtual_loop_init(&loop, NULL);
    task = async_loop_create_task(&loop.base, CO(naps, 0));
    async_dump_tasks_to(&loop.base, ASYNC_DUMP_FRAMES, file);
    rewind(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "Task-1 naps: ready; naps\n");
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
    async_task_release(task);
    async_loop_run_forever(&loop.base);
    async_loop_close(&loop.base);
}

/* --- the bare loop with a heap -------------------------------------------- */

static uint32_t bare_now;
static async_time bare_ticks(void)
{
    return bare_now;
}
static void bare_sleep(async_time when)
{
    bare_now = (uint32_t)when;
}
static int never(void *argument)
{
    (void)argument;
    return 0;
}

/* async_wait_until() asks for its loop before its ASYNC_BEGIN, also when it is
 * asked for its name alone. */
static void a_wait_for_a_condition_has_a_name(void **state)
{
    static async_bare_loop bare;
    async_task *task;
    (void)state;
    async_bare_loop_init(&bare, bare_ticks, bare_sleep);
    task =
        async_loop_create_task(&bare.base, CO(async_wait_until, never, NULL));
    async_bare_turn(&bare);
    assert_string_equal(dump_task(task, 0),
                        "Task-1 async_wait_until: waiting for a future\n");
    async_task_cancel(task);
    async_task_release(task);
    async_bare_turn(&bare);
    async_bare_turn(&bare);
    assert_int_equal(async_loop_close(&bare.base), 0);
}

UNIT_MAIN(TEST(a_task_that_runs), TEST(ready_then_sleeping_then_done),
          TEST(sleeping_for_ever_and_cancelled),
          TEST(one_that_is_cancelled_and_cleans_up_is_cancelling),
          TEST(one_that_failed_tells_its_error_and_the_name_it_was_given),
          TEST(storage_that_was_never_started_is_unused),
          TEST(waiting_for_a_future),
          TEST(waiting_for_what_is_awaited_innermost),
          TEST(waiting_for_a_task_tells_which),
          TEST(waiting_for_a_queue_is_not_sleeping),
          TEST(waiting_for_the_end_of_a_group_and_for_an_operation),
          TEST(a_chain_is_told_whole_and_a_long_one_by_its_ends),
          TEST(a_stack_that_was_too_small_was_full),
          TEST(a_generator_that_awaits_is_a_frame),
          TEST(each_frame_tells_where_it_is_suspended),
          TEST(from_a_callback_and_outside_the_loop),
          TEST(a_task_that_its_loop_dropped_has_lost_its_frames),
          TEST(to_a_file), TEST(a_wait_for_a_condition_has_a_name))
