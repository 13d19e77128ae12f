/* Debug mode and what every task has done: async/debug/debug.h and watch.h. */
#define ASYNC_IMPLEMENTATION
#include "../../async/debug/debug.h"
#include "../../async/queue.h"

#include "virtual.h"

#include <stdlib.h>

/* --- helpers --------------------------------------------------------------- */

/* What is reported, with its text. */
static char told[2048];
static int tell(async_loop *of, const async_exception_context *context,
                void *argument)
{
    (void)of, (void)argument;
    if (strlen(told) + strlen(context->message) + 2 > sizeof told) return 0;
    strcat(told, context->message);
    strcat(told, "\n");
    return 0;
}

/* Runs it in debug mode, or not. */
static void run_debugging(async_object main, int on)
{
    async_virtual_loop_init(&loop, NULL);
    told[0] = '\0';
    async_loop_set_exception_handler(&loop.base, tell, NULL);
    assert_int_equal(async_loop_set_debug(&loop.base, on), 0);
    assert_int_equal(async_loop_get_debug(&loop.base), on);
    assert_int_equal(async_loop_run_until_complete(&loop.base, main), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* A step of so many milliseconds. */
static void take(int milliseconds)
{
    async_virtual_loop_advance(&loop, ASYNC_MS(milliseconds));
}

/* --- slow steps ------------------------------------------------------------- */

struct crunch { ASYNC_FRAME; int first, then; };
static int crunch_line;
static ASYNC(crunch)
{
    ASYNC_BEGIN(crunch);
    take(self->first);
    crunch_line = __LINE__ + 1;
    AWAIT(async_sleep, ASYNC_MS(1));
    take(self->then);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}

static void a_slow_step_is_reported_with_its_place(void **state)
{
    char expected[200];
    (void)state;
    run_debugging(CO(crunch, 200, 0), 1);
    snprintf(
        expected, sizeof expected,
        "Executing <Task-1 crunch, waits at debug.c:%d, in its first step> "
        "took 0.200 seconds\n",
        crunch_line);
    assert_string_equal(told, expected);
}

static void a_slow_step_tells_where_it_went_on(void **state)
{
    char expected[200];
    (void)state;
    run_debugging(CO(crunch, 0, 250), 1);
    snprintf(expected, sizeof expected,
             "Executing <Task-1 crunch, waits at debug.c:%d, went on at "
             "debug.c:%d> took 0.250 seconds\n",
             crunch_line + 2, crunch_line);
    assert_string_equal(told, expected);
}

static void nothing_is_reported_without_debug_mode(void **state)
{
    (void)state;
    run_debugging(CO(crunch, 200, 200), 0);
    assert_string_equal(told, "");
}

static void a_quick_step_is_not_reported(void **state)
{
    (void)state;
    run_debugging(CO(crunch, 99, 99), 1);
    assert_string_equal(told, "");
}

struct patient { ASYNC_FRAME; };
static ASYNC(patient)
{
    ASYNC_BEGIN(patient);
    assert_true(async_loop_get_slow_callback_duration(&loop.base) ==
                ASYNC_MS(100));
    async_loop_set_slow_callback_duration(&loop.base, ASYNC_SECONDS(1));
    assert_true(async_loop_get_slow_callback_duration(&loop.base) ==
                ASYNC_SECONDS(1));
    take(900);
    ASYNC_END;
}
static void what_is_slow_can_be_set(void **state)
{
    (void)state;
    run_debugging(CO(patient), 1);
    assert_string_equal(told, "");
}

struct ends_slowly { ASYNC_FRAME; };
static ASYNC(ends_slowly)
{
    ASYNC_BEGIN(ends_slowly);
    take(100);
    ASYNC_END;
}
static void a_slow_step_that_is_the_last(void **state)
{
    (void)state;
    run_debugging(CO(ends_slowly), 1);
    assert_string_equal(told,
                        "Executing <Task-1 ends_slowly, which has ended, "
                        "in its first step> took 0.100 seconds\n");
}

static int slow_callback(void *argument)
{
    (void)argument;
    take(300);
    return 0;
}
struct calls_back { ASYNC_FRAME; };
static ASYNC(calls_back)
{
    ASYNC_BEGIN(calls_back);
    async_loop_call_soon(&loop.base, NULL, slow_callback, NULL);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}
static void a_slow_callback(void **state)
{
    (void)state;
    run_debugging(CO(calls_back), 1);
    assert_string_equal(told, "Executing <a callback> took 0.300 seconds\n");
}

struct turns_it_off { ASYNC_FRAME; };
static int turns_line;
static ASYNC(turns_it_off)
{
    ASYNC_BEGIN(turns_it_off);
    assert_int_equal(async_loop_set_debug(&loop.base, 0), 0);
    assert_int_equal(async_loop_get_debug(&loop.base), 0);
    take(200);
    AWAIT(async_sleep, ASYNC_MS(1));
    take(200);
    AWAIT(async_sleep, ASYNC_MS(1));
    assert_null(loop.base.onlooker);
    assert_int_equal(async_loop_set_debug(&loop.base, 1), 0);
    turns_line = __LINE__ + 1;
    AWAIT(async_sleep, ASYNC_MS(1));
    take(150);
    ASYNC_END;
}
static void debug_mode_goes_and_comes_while_the_loop_runs(void **state)
{
    char expected[200];
    (void)state;
    run_debugging(CO(turns_it_off), 1);
    snprintf(expected, sizeof expected,
             "Executing <Task-1 turns_it_off, which has ended, went on at "
             "debug.c:%d> took 0.150 seconds\n",
             turns_line);
    assert_string_equal(told, expected);
}

/* --- dead stack ------------------------------------------------------------- */

/* Not seen through, as in a file of its own. */
__attribute__((noinline)) static void fill(char *text, size_t size)
{
    memset(text, 'x', size);
    __asm__ volatile("" ::"r"(text) : "memory");
}
__attribute__((noinline)) static int still(const char *text, size_t size)
{
    size_t i, same = 0;
    __asm__ volatile("" ::"r"(text) : "memory");
    for (i = 0; i < size; i++) same += text[i] == 'x';
    return same == size;
}
static int kept;
struct loses_array { ASYNC_FRAME; size_t scribble; };
static ASYNC(loses_array)
{
    char text[64];
    ASYNC_BEGIN(loses_array);
    async_loop_set_scribble(&loop.base, self->scribble);
    fill(text, sizeof text);
    AWAIT(async_sleep, 0);
    kept = still(text, sizeof text);
    ASYNC_END;
}
static void an_array_lost_across_an_await_shows_at_once(void **state)
{
    (void)state;
#ifdef UNIT_VALGRIND
    skip(); /* which sees it by itself */
#endif
    run_debugging(CO(loses_array, 8192), 1);
    assert_false(kept);
}

/* --- counters --------------------------------------------------------------- */

static async_task_counters counted;
struct is_counted { ASYNC_FRAME; };
static ASYNC(is_counted)
{
    ASYNC_BEGIN(is_counted);
    take(10);
    AWAIT(async_sleep, ASYNC_MS(1000));
    take(20);
    ASYNC_SUSPEND;
    take(5);
    ASYNC_END;
}
struct counts { ASYNC_FRAME; async_task *task; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    self->task = async_create_task(CO(is_counted));
    take(3);
    AWAIT_TASK(self->task);
    assert_int_equal(async_task_get_counters(self->task, &counted), 0);
    async_task_release(self->task);
    ASYNC_END;
}
static void a_task_is_counted(void **state)
{
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_loop_watch(&loop.base), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(counts)), 0);
    assert_int_equal(counted.steps, 3);
    assert_int_equal(counted.wakes, 3); /* made, woken by a timer, by itself */
    assert_int_equal(counted.self_wakes, 1);
    assert_int_equal(counted.running / ASYNC_MS(1), 35);
    assert_int_equal(counted.waiting / ASYNC_MS(1), 1000);
    assert_int_equal(counted.ready, 0);
    assert_int_equal(counted.longest / ASYNC_MS(1), 20);
    assert_int_equal(counted.made, ASYNC_MS(3));
    assert_int_equal(async_loop_close(&loop.base), 0);
}

struct waits_its_turn { ASYNC_FRAME; };
static ASYNC(waits_its_turn)
{
    ASYNC_BEGIN(waits_its_turn);
    ASYNC_END;
}
struct goes_first { ASYNC_FRAME; };
static ASYNC(goes_first)
{
    ASYNC_BEGIN(goes_first);
    take(70);
    ASYNC_END;
}
struct makes_two { ASYNC_FRAME; async_task *first, *second; };
static ASYNC(makes_two)
{
    ASYNC_BEGIN(makes_two);
    self->first = async_create_task(CO(goes_first));
    self->second = async_create_task(CO(waits_its_turn));
    AWAIT_JOIN(self->first);
    AWAIT_TASK(self->second);
    assert_int_equal(async_task_get_counters(self->second, &counted), 0);
    async_task_release(self->second);
    ASYNC_END;
}
static void ready_is_until_its_turn_comes(void **state)
{
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_loop_watch(&loop.base), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(makes_two)),
                     0);
    assert_int_equal(counted.ready / ASYNC_MS(1), 70);
    assert_int_equal(counted.waiting, 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static void a_loop_is_counted(void **state)
{
    async_loop_counters all;
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_loop_get_counters(&loop.base, &all), ASYNC_EINVAL);
    assert_int_equal(async_loop_watch(&loop.base), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(counts)), 0);
    assert_int_equal(async_loop_get_counters(&loop.base, &all), 0);
    assert_int_equal(all.tasks, 2);
    assert_int_equal(all.steps, 5);
    assert_int_equal(all.running / ASYNC_MS(1), 38);
    assert_int_equal(all.polling / ASYNC_MS(1), 1000);
    assert_int_equal(all.unwatched, 0);
    async_loop_unwatch(&loop.base);
    assert_int_equal(async_loop_get_counters(&loop.base, &all), ASYNC_EINVAL);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(async_loop_watch(&loop.base), ASYNC_ELOOPCLOSED);
}

/* --- warnings --------------------------------------------------------------- */

static void put(const char *text, void *argument)
{
    (void)argument;
    strncat(told, text, sizeof told - strlen(told) - 1);
}

struct spin { ASYNC_FRAME; int times; };
static ASYNC(spin)
{
    ASYNC_BEGIN(spin);
    for (self->times = 0; self->times < 100; self->times++) ASYNC_SUSPEND;
    AWAIT(async_sleep, ASYNC_SECONDS(100));
    ASYNC_END;
}

static ASYNC_QUEUE(int, 4) items;
static int takes_line;
struct takes { ASYNC_FRAME; int item; };
static ASYNC(takes)
{
    ASYNC_BEGIN(takes);
    for (;;) {
        takes_line = __LINE__ + 1;
        AWAIT(ASYNC_QUEUE_GET(&items, &self->item));
    }
    ASYNC_END;
}
struct gives { ASYNC_FRAME; int i; };
static ASYNC(gives)
{
    ASYNC_BEGIN(gives);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT(async_sleep, ASYNC_MS(10));
        (void)ASYNC_QUEUE_PUT_NOWAIT(&items, self->i);
    }
    ASYNC_END;
}
struct slow_once { ASYNC_FRAME; };
static int slow_line;
static ASYNC(slow_once)
{
    ASYNC_BEGIN(slow_once);
    take(400);
    slow_line = __LINE__ + 1;
    AWAIT(async_sleep, ASYNC_SECONDS(100));
    ASYNC_END;
}
struct warns { ASYNC_FRAME; async_task *all[4]; int i; };
static ASYNC(warns)
{
    ASYNC_BEGIN(warns);
    self->all[0] = async_create_task(CO(spin));
    self->all[1] = async_create_task(CO(takes));
    self->all[2] = async_create_task(CO(gives));
    self->all[3] = async_create_task(CO(slow_once));
    AWAIT(async_sleep, ASYNC_SECONDS(10));
    told[0] = '\0';
    assert_int_equal(
        async_watch_warnings(&loop.base, ASYNC_MS(100), put, NULL), 3);
    for (self->i = 0; self->i < 4; self->i++) {
        async_task_cancel(self->all[self->i]);
        async_task_release(self->all[self->i]);
    }
    ASYNC_END;
}
static void what_looks_wrong_is_said_in_words(void **state)
{
    char expected[600];
    (void)state;
    ASYNC_QUEUE_INIT(&items);
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_loop_watch(&loop.base), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(warns)), 0);
    snprintf(
        expected, sizeof expected,
        "Task-2 spin: has woken itself in 100 of 101 times\n"
        "Task-3 takes: waits since 9.580 s (debug.c:%d), and Task-4, which "
        "alone has ever woken it, has ended\n"
        "Task-5 slow_once: a step took 0.400 s, up to debug.c:%d\n",
        takes_line, slow_line);
    assert_string_equal(told, expected);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* --- memory ----------------------------------------------------------------- */

static long memory_left;
static void *limited_allocate(void *context, size_t size)
{
    (void)context;
    return memory_left-- > 0 ? malloc(size) : NULL;
}
static void limited_release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    free(memory);
}
static const async_allocator limited = { limited_allocate, limited_release,
                                         NULL };

struct gathers { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(gathers)
{
    ASYNC_BEGIN(gathers);
    for (self->i = 0; self->i < 100; self->i++)
        async_gather_add(&self->all, CO(waits_its_turn));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void without_memory_tasks_are_not_watched_but_run(void **state)
{
    long room;
    (void)state;
    for (room = 0; room < 400; room += 1 + room / 8) {
        int watched, result;
        async_virtual_loop_init(&loop, &limited);
        async_loop_set_exception_handler(&loop.base, tell, NULL);
        told[0] = '\0';
        memory_left = room;
        watched = async_loop_set_debug(&loop.base, 1);
        assert_int_equal(watched, room == 0 ? ASYNC_ENOMEM : 0);
        result = async_loop_run_until_complete(&loop.base, CO(gathers));
        assert_true(result == 0 || result == ASYNC_ENOMEM);
        memory_left = 1000;
        assert_int_equal(async_loop_close(&loop.base), 0);
    }
}

static void many_tasks_are_watched(void **state)
{
    async_loop_counters all;
    int i;
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_loop_watch(&loop.base), 0);
    for (i = 0; i < 50; i++)
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(gathers)), 0);
    assert_int_equal(async_loop_get_counters(&loop.base, &all), 0);
    assert_int_equal(all.tasks, 50 * 101);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

UNIT_MAIN(TEST(a_slow_step_is_reported_with_its_place),
          TEST(a_slow_step_tells_where_it_went_on),
          TEST(nothing_is_reported_without_debug_mode),
          TEST(a_quick_step_is_not_reported), TEST(what_is_slow_can_be_set),
          TEST(a_slow_step_that_is_the_last), TEST(a_slow_callback),
          TEST(debug_mode_goes_and_comes_while_the_loop_runs),
          TEST(an_array_lost_across_an_await_shows_at_once),
          TEST(a_task_is_counted), TEST(ready_is_until_its_turn_comes),
          TEST(a_loop_is_counted), TEST(what_looks_wrong_is_said_in_words),
          TEST(without_memory_tasks_are_not_watched_but_run),
          TEST(many_tasks_are_watched))
