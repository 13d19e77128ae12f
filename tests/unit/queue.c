/* Queues. */
#define ASYNC_IMPLEMENTATION
#include "../../async/queue.h"
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

static async_virtual_loop loop;

/* An allocator that counts, and refuses from one allocation on. */
static long allocations, alive, refuse_from = -1;
static void *counting_allocate(void *context, size_t size)
{
    (void)context;
    if (refuse_from >= 0 && allocations >= refuse_from) return NULL;
    allocations++;
    alive++;
    return malloc(size);
}
static void counting_release(void *context, void *memory, size_t size)
{
    (void)context;
    memset(memory, 0xdd, size);
    alive--;
    free(memory);
}
static const async_allocator counting = { counting_allocate, counting_release,
                                          NULL };

/* What goes to the exception handler is part of the story. */
static int report(async_loop *of, const async_exception_context *context,
                  void *argument)
{
    (void)of, (void)argument;
    say("[%s]", context->message);
    return 0;
}

static void open_loop(void)
{
    allocations = 0;
    refuse_from = -1;
    async_virtual_loop_init(&loop, &counting);
    async_loop_set_exception_handler(&loop.base, report, NULL);
}

/* Runs a coroutine, and then what it left behind, until nothing can happen
 * any more: no task may remain. */
static int finish(async_object main)
{
    int result = async_loop_run_until_complete(&loop.base, main);
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    assert_null(async_all_tasks(&loop.base, NULL));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(alive, 0);
    return result;
}
static int run(async_object main)
{
    open_loop();
    return finish(main);
}
#define RUN(...) run(CO(__VA_ARGS__))

typedef ASYNC_QUEUE(int, 1) one_place;
typedef ASYNC_QUEUE(int, 4) four_places;
typedef ASYNC_HEAP_QUEUE(int) heap_queue;
static one_place one;
static four_places four;
static heap_queue heap;

static const char *name_of(int error)
{
    return error ? async_error_name(error) + strlen("ASYNC_E") : "ok";
}

static int less(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Puts a number, or gets one, and tells what came of it. */
struct putter { ASYNC_FRAME; int item; int error; };
static ASYNC(putter)
{
    ASYNC_BEGIN(putter);
    ASYNC_TRY {
        AWAIT_QUEUE_PUT(&one, self->item);
        say("+%d", self->item);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("+%d:%s", self->item, name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
struct getter { ASYNC_FRAME; const char *name; int item, error; };
static ASYNC(getter)
{
    ASYNC_BEGIN(getter);
    ASYNC_TRY {
        AWAIT_QUEUE_GET_INTO(self->item, &four);
        say("%s%d", self->name, self->item);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
static async_task *put(int item)
{
    return async_create_task(CO(putter, item));
}
static async_task *get(const char *name)
{
    return async_create_task(CO(getter, name));
}

/* --- without waiting ----------------------------------------------------- */

static void items_come_out_in_the_order_in_which_they_went_in(void **s)
{
    int i, n, in = 0, out = 0;
    (void)s;
    ASYNC_QUEUE_INIT(&four);
    for (i = 0; i < 30; i++) { /* round and round */
        while (in < i + 1 + i % 3)
            assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&four, in++), 0);
        while (out < i + 1) {
            assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&four, &n), 0);
            assert_int_equal(n, out++);
        }
    }
    assert_int_equal(async_queue_qsize(&four.queue), in - out);
}

static void a_queue_of_one_place_is_the_same_in_any_order(void **s)
{
    int round, n;
    (void)s;
    for (round = 0; round < 6; round++) {
        if (round % 3 == 0) ASYNC_QUEUE_INIT(&one);
        if (round % 3 == 1) ASYNC_LIFO_QUEUE_INIT(&one);
        if (round % 3 == 2) ASYNC_PRIORITY_QUEUE_INIT(&one, less);
        assert_int_equal(async_queue_maxsize(&one.queue), 1);
        /* Of those that know its type, and those that do not. */
        n = 7 + round;
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&one, n), 0);
        assert_int_equal(async_queue_put_nowait(&one.queue, &n),
                         ASYNC_EQUEUEFULL);
        n = 0;
        assert_int_equal(async_queue_get_nowait(&one.queue, &n), 0);
        assert_int_equal(n, 7 + round);
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&one, &n), ASYNC_EQUEUEEMPTY);
        assert_int_equal(async_queue_put_nowait(&one.queue, &n), 0);
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&one, n), ASYNC_EQUEUEFULL);
        n = 0;
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&one, &n), 0);
        assert_int_equal(n, 7 + round);
        async_queue_shutdown(&one.queue, 0);
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&one, n),
                         ASYNC_EQUEUESHUTDOWN);
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&one, &n),
                         ASYNC_EQUEUESHUTDOWN);
    }
}

static void a_full_queue_and_an_empty_one_say_so(void **s)
{
    int n = 77, i;
    (void)s;
    ASYNC_QUEUE_INIT(&four);
    assert_true(async_queue_empty(&four.queue));
    assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&four, &n), ASYNC_EQUEUEEMPTY);
    assert_int_equal(n, 77);
    for (i = 0; i < 4; i++) {
        assert_false(async_queue_full(&four.queue));
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&four, i), 0);
        assert_false(async_queue_empty(&four.queue));
    }
    assert_true(async_queue_full(&four.queue));
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&four, 4), ASYNC_EQUEUEFULL);
    assert_int_equal(async_queue_qsize(&four.queue), 4);
    assert_int_equal(async_queue_maxsize(&four.queue), 4);
    assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&four, &n), 0);
    assert_int_equal(n, 0);
}

static void a_lifo_queue_gives_the_last_item_first(void **s)
{
    int n, i;
    (void)s;
    ASYNC_LIFO_QUEUE_INIT(&four);
    for (i = 0; i < 4; i++)
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&four, i), 0);
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&four, i), ASYNC_EQUEUEFULL);
    ASYNC_QUEUE_GET_NOWAIT(&four, &n);
    say("%d", n);
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&four, 9), 0);
    while (ASYNC_QUEUE_GET_NOWAIT(&four, &n) == 0) say("%d", n);
    assert_said("3 9 2 1 0");
}

static void a_priority_queue_gives_the_least_item_first(void **s)
{
    static ASYNC_QUEUE(int, 200) many;
    int n, i, last = -1, round;
    uint32_t random = 1;
    (void)s;
    ASYNC_PRIORITY_QUEUE_INIT(&many, less);
    for (round = 0; round < 50; round++) {
        for (i = 0; i < 200; i++) {
            random = random * 1664525u + 1013904223u;
            assert_int_equal(
                ASYNC_QUEUE_PUT_NOWAIT(&many, (int)(random >> 20) % 500), 0);
        }
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&many, 1), ASYNC_EQUEUEFULL);
        for (i = 0, last = -1; i < 200; i++) {
            assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&many, &n), 0);
            assert_true(n >= last);
            last = n;
        }
    }
}

/* What `python3 -c` prints for the same pushes and pops of heapq, with a class
 * that compares the first member alone. */
typedef struct ranked {
    int rank;
    char name;
} ranked;
static int by_rank(const void *a, const void *b)
{
    return ((const ranked *)a)->rank - ((const ranked *)b)->rank;
}
static void equals_come_in_the_order_of_heapq(void **s)
{
    static ASYNC_QUEUE(ranked, 16) ranks;
    static const int rank[] = { 2, 1, 1, 2, 1, 2, 1, 1, 2, 2, 1, 1 };
    char order[16] = "";
    ranked r;
    int i;
    (void)s;
    ASYNC_PRIORITY_QUEUE_INIT(&ranks, by_rank);
    for (i = 0; i < 12; i++) {
        r.rank = rank[i];
        r.name = (char)('a' + i);
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&ranks, r), 0);
    }
    for (i = 0; i < 12; i++) {
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&ranks, &r), 0);
        order[i] = r.name;
    }
    assert_string_equal(order, "bcglekhfajid");
}

typedef struct wide {
    char text[300];
    double number;
} wide;
struct wide_putter { ASYNC_FRAME; async_queue *queue; int i; };
static ASYNC_QUEUE(wide, 2) wides;
static ASYNC(wide_putter)
{
    wide w;
    ASYNC_BEGIN(wide_putter);
    for (self->i = 0; self->i < 5; self->i++) {
        memset(&w, 'a' + self->i, sizeof w);
        w.text[299] = '\0';
        w.number = self->i;
        AWAIT_QUEUE_PUT(&wides, w); /* it may wait: the item is kept */
    }
    ASYNC_END;
}
struct wide_getter { ASYNC_FRAME; async_task *putter; wide w; int i; };
static ASYNC(wide_getter)
{
    ASYNC_BEGIN(wide_getter);
    ASYNC_QUEUE_INIT(&wides);
    self->putter = async_create_task(CO(wide_putter));
    for (self->i = 0; self->i < 5; self->i++) {
        AWAIT(async_sleep, ASYNC_MS(1));
        AWAIT_QUEUE_GET_INTO(self->w, &wides);
        assert_int_equal(strlen(self->w.text), 299);
        assert_int_equal(self->w.text[298], 'a' + self->i);
        assert_true(self->w.number > self->i - 0.5);
        assert_true(self->w.number < self->i + 0.5);
    }
    AWAIT_JOIN(self->putter);
    ASYNC_END;
}

static void items_may_be_wide(void **s)
{
    (void)s;
    assert_int_equal(RUN(wide_getter), 0);
}

/* --- waiting ------------------------------------------------------------- */

struct free_ones { ASYNC_FRAME; int n; async_task *other; };
static ASYNC(free_ones)
{
    ASYNC_BEGIN(free_ones);
    ASYNC_QUEUE_INIT(&four);
    self->other = get("other");
    async_task_cancel(self->other);
    async_task_release(self->other);
    AWAIT_QUEUE_PUT(&four, 1);
    AWAIT_QUEUE_PUT(&four, 2);
    AWAIT_QUEUE_GET_INTO(self->n, &four);
    say("%d", self->n);
    AWAIT(async_queue_get, &four.queue, &self->n);
    say("%d", self->n);
    AWAIT(async_queue_put, &four.queue, &self->n);
    assert_int_equal(async_queue_qsize(&four.queue), 1);
    ASYNC_END;
}

static void what_need_not_wait_does_not_suspend(void **s)
{
    async co;
    (void)s;
    assert_int_equal(RUN(free_ones), 0);
    assert_said("1 2");
    /* and so it does without a loop */
    ASYNC_QUEUE_INIT(&one);
    assert_int_equal(async_new(&co, NULL, CO(putter, 5)), 0);
    assert_int_equal(async_send(&co), 0);
    assert_int_equal(async_close(&co), 0);
    assert_said("+5");
    /* but it cannot wait */
    assert_int_equal(async_new(&co, NULL, CO(putter, 6)), 0);
    assert_int_equal(async_send(&co), 0);
    assert_int_equal(async_close(&co), 0);
    assert_said("+6:NOTASK");
    assert_int_equal(async_queue_qsize(&one.queue), 1);
    ASYNC_QUEUE_INIT(&four);
    assert_int_equal(async_new(&co, NULL, CO(getter, "g")), 0);
    assert_int_equal(async_send(&co), 0);
    assert_int_equal(async_close(&co), 0);
    assert_said("g:NOTASK");
}

struct getters_in_order { ASYNC_FRAME; };
static ASYNC(getters_in_order)
{
    ASYNC_BEGIN(getters_in_order);
    ASYNC_QUEUE_INIT(&four);
    async_task_release(get("a"));
    async_task_release(get("b"));
    async_task_release(get("c"));
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 2);
    say("put"); /* nobody runs inside the call */
    ASYNC_SUSPEND;
    say("next");
    ASYNC_QUEUE_PUT_NOWAIT(&four, 3);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void getters_are_served_in_the_order_in_which_they_came(void **s)
{
    (void)s;
    assert_int_equal(RUN(getters_in_order), 0);
    assert_said("put a1 b2 next c3");
}

struct putters_in_order { ASYNC_FRAME; int n; };
static ASYNC(putters_in_order)
{
    ASYNC_BEGIN(putters_in_order);
    ASYNC_QUEUE_INIT(&one);
    async_task_release(put(1));
    async_task_release(put(2));
    async_task_release(put(3));
    ASYNC_SUSPEND;
    say("|");
    while (ASYNC_QUEUE_GET_NOWAIT(&one, &self->n) == 0) {
        say("-%d", self->n);
        ASYNC_SUSPEND;
    }
    ASYNC_END;
}

static void putters_are_served_in_the_order_in_which_they_came(void **s)
{
    (void)s;
    assert_int_equal(RUN(putters_in_order), 0);
    assert_said("+1 | -1 +2 -2 +3 -3");
}

struct stolen { ASYNC_FRAME; int n; };
static ASYNC(stolen)
{
    ASYNC_BEGIN(stolen);
    ASYNC_QUEUE_INIT(&four);
    async_task_release(get("a"));
    async_task_release(get("b"));
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);        /* wakes a, */
    ASYNC_QUEUE_GET_NOWAIT(&four, &self->n); /* which finds nothing */
    ASYNC_SUSPEND;
    say("|");
    ASYNC_QUEUE_PUT_NOWAIT(&four, 2); /* b's: a is behind it now */
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 3);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void a_getter_that_finds_nothing_stands_at_the_end_of_the_line(void **s)
{
    (void)s;
    assert_int_equal(RUN(stolen), 0);
    assert_said("| b2 a3");
}

struct place_taken { ASYNC_FRAME; int n; };
static ASYNC(place_taken)
{
    ASYNC_BEGIN(place_taken);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_QUEUE_PUT_NOWAIT(&one, 0);
    async_task_release(put(1));
    async_task_release(put(2));
    ASYNC_SUSPEND;
    ASYNC_QUEUE_GET_NOWAIT(&one, &self->n); /* wakes 1, */
    ASYNC_QUEUE_PUT_NOWAIT(&one, 9);        /* which finds no place */
    ASYNC_SUSPEND;
    while (ASYNC_QUEUE_GET_NOWAIT(&one, &self->n) == 0) {
        say("-%d", self->n);
        ASYNC_SUSPEND;
    }
    ASYNC_END;
}

static void
a_putter_that_finds_no_place_stands_at_the_end_of_the_line(void **s)
{
    (void)s;
    assert_int_equal(RUN(place_taken), 0);
    assert_said("-9 +2 -2 +1 -1");
}

struct priority_later { ASYNC_FRAME; };
static ASYNC(priority_later)
{
    ASYNC_BEGIN(priority_later);
    ASYNC_PRIORITY_QUEUE_INIT(&four, less);
    async_task_release(get("a"));
    async_task_release(get("b"));
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 5);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 3);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void by_priority_the_item_is_chosen_when_the_getter_runs(void **s)
{
    (void)s;
    assert_int_equal(RUN(priority_later), 0);
    assert_said("a1 b3");
}

struct pointers { ASYNC_FRAME; int n, m; async_gathering both; };
static ASYNC(pointers)
{
    ASYNC_BEGIN(pointers);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(1), ASYNC_QUEUE_GET(&one, &self->n));
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("timed out");
    } ASYNC_END_TRY
    self->m = 7;
    ASYNC_QUEUE_PUT_NOWAIT(&one, 6);
    AWAIT_GATHER(&self->both, CO(ASYNC_QUEUE_PUT(&one, &self->m)),
                 CO(ASYNC_QUEUE_GET(&one, &self->n)));
    async_gather_clear(&self->both);
    say("%d", self->n);
    AWAIT(async_queue_get, &one.queue, &self->n);
    say("%d", self->n);
    ASYNC_END;
}

static void putting_and_getting_can_be_tasks_and_limited_in_time(void **s)
{
    (void)s;
    assert_int_equal(RUN(pointers), 0);
    assert_said("timed out 6 7");
}

/* A put keeps its item on the stack, which may have to grow for it. */
struct deep { ASYNC_FRAME; int depth; char room[200]; };
static ASYNC(deep)
{
    ASYNC_BEGIN(deep);
    if (self->depth > 0)
        AWAIT(deep, self->depth - 1);
    else
        AWAIT_QUEUE_PUT(&one, 8);
    ASYNC_END;
}
struct at_the_edge { ASYNC_FRAME; async_task *task; int depth, n; };
static ASYNC(at_the_edge)
{
    ASYNC_BEGIN(at_the_edge);
    for (self->depth = 0; self->depth < 12; self->depth++) {
        ASYNC_QUEUE_INIT(&one);
        ASYNC_QUEUE_PUT_NOWAIT(&one, 7);
        self->task = async_create_task(CO(deep, self->depth));
        ASYNC_SUSPEND;
        AWAIT_QUEUE_GET_INTO(self->n, &one);
        assert_int_equal(self->n, 7);
        AWAIT_QUEUE_GET_INTO(self->n, &one);
        assert_int_equal(self->n, 8);
        AWAIT_JOIN(self->task);
    }
    ASYNC_END;
}

static void a_put_that_waits_may_let_the_stack_grow(void **s)
{
    (void)s;
    assert_int_equal(RUN(at_the_edge), 0);
}

struct wide_put { ASYNC_FRAME; int error; };
static ASYNC(wide_put)
{
    static wide w;
    ASYNC_BEGIN(wide_put);
    ASYNC_TRY {
        AWAIT_QUEUE_PUT(&wides, w);
    } ASYNC_EXCEPT(ASYNC_ENOMEM) {
        say("no memory");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct on_static { ASYNC_FRAME; };
ASYNC_STATIC_TASK(small_task, ASYNC_FRAMES(wide_put));
static ASYNC(on_static)
{
    static wide w;
    ASYNC_BEGIN(on_static);
    ASYNC_QUEUE_INIT(&wides);
    ASYNC_QUEUE_PUT_NOWAIT(&wides, w);
    ASYNC_QUEUE_PUT_NOWAIT(&wides, w);
    async_task_start(&small_task, async_loop_of(co), CO(wide_put));
    ASYNC_SUSPEND;
    assert_true(async_queue_full(&wides.queue));
    ASYNC_END;
}

static void a_put_with_no_memory_to_wait_in_is_an_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(on_static), 0);
    assert_said("no memory");
}

/* --- cancellation -------------------------------------------------------- */

struct cancels_getters { ASYNC_FRAME; async_task *a, *b, *c; int n; };
static ASYNC(cancels_getters)
{
    ASYNC_BEGIN(cancels_getters);
    ASYNC_QUEUE_INIT(&four);
    self->a = get("a");
    self->b = get("b");
    self->c = get("c");
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1); /* not a's, which has yet to run */
    async_task_cancel(self->b);       /* but b had been woken */
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT_JOIN(self->c);
    assert_true(async_queue_empty(&four.queue));
    ASYNC_END;
}

static void a_getter_that_is_cancelled_when_woken_wakes_the_next(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_getters), 0);
    assert_said("a:CANCELED b:CANCELED c1");
}

struct cancels_alone { ASYNC_FRAME; async_task *a; int n; };
static ASYNC(cancels_alone)
{
    ASYNC_BEGIN(cancels_alone);
    ASYNC_QUEUE_INIT(&four);
    self->a = get("a");
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    async_task_cancel(self->a);
    AWAIT_JOIN(self->a);
    AWAIT_QUEUE_GET_INTO(self->n, &four);
    say("%d", self->n);
    ASYNC_END;
}

static void a_cancelled_getter_loses_no_item(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_alone), 0);
    assert_said("a:CANCELED 1");
}

struct cancels_waiting { ASYNC_FRAME; async_task *b; };
static ASYNC(cancels_waiting)
{
    ASYNC_BEGIN(cancels_waiting);
    ASYNC_QUEUE_INIT(&four);
    async_task_release(get("a"));
    self->b = get("b");
    async_task_release(get("c"));
    async_task_release(get("d"));
    ASYNC_SUSPEND;
    async_task_cancel(self->b);
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 2);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 3);
    AWAIT_JOIN(self->b);
    ASYNC_END;
}

static void a_getter_that_is_cancelled_waiting_disturbs_no_other(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_waiting), 0);
    assert_said("b:CANCELED a1 c2 d3");
}

struct cancels_putters { ASYNC_FRAME; async_task *a, *b, *c; int n; };
static ASYNC(cancels_putters)
{
    ASYNC_BEGIN(cancels_putters);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_QUEUE_PUT_NOWAIT(&one, 0);
    self->a = put(1);
    self->b = put(2);
    self->c = put(3);
    ASYNC_SUSPEND;
    async_task_cancel(self->a);
    ASYNC_QUEUE_GET_NOWAIT(&one, &self->n);
    async_task_cancel(self->b);
    AWAIT_JOIN(self->a);
    AWAIT_JOIN(self->b);
    AWAIT_JOIN(self->c);
    AWAIT_QUEUE_GET_INTO(self->n, &one);
    say("-%d", self->n);
    assert_true(async_queue_empty(&one.queue));
    ASYNC_END;
}

static void a_cancelled_putter_puts_nothing_in_and_wakes_the_next(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_putters), 0);
    assert_said("+1:CANCELED +2:CANCELED +3 -3");
}

/* Puts again and again, whatever becomes of it. */
struct stubborn { ASYNC_FRAME; int i, error; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    for (self->i = 0; self->i < 100; self->i++) {
        ASYNC_TRY {
            AWAIT_QUEUE_PUT(&one, 2);
        } ASYNC_EXCEPT_ALL(self->error) {}
        ASYNC_END_TRY
    }
    ASYNC_END;
}
struct cancels_stubborn { ASYNC_FRAME; async_task *task; size_t most; };
static ASYNC(cancels_stubborn)
{
    ASYNC_BEGIN(cancels_stubborn);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_QUEUE_PUT_NOWAIT(&one, 1);
    self->task = async_create_task(CO(stubborn));
    ASYNC_SUSPEND;
    self->most = async_task_stack_used(self->task);
    while (!async_task_done(self->task)) {
        assert_int_equal(async_task_stack_used(self->task), self->most);
        async_task_cancel(self->task);
        ASYNC_SUSPEND;
    }
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

static void a_put_that_fails_leaves_nothing_on_the_stack(void **s)
{
    async co;
    size_t most;
    (void)s;
    assert_int_equal(RUN(cancels_stubborn), 0);
    /* nor one that may not wait */
    assert_int_equal(async_new(&co, NULL, CO(stubborn)), 0);
    assert_int_equal(async_send(&co), 0);
    most = async_stack_high_water(&co);
    assert_in_range(most, sizeof(struct stubborn),
                    sizeof(struct stubborn) + 8);
    assert_int_equal(async_close(&co), 0);
}

struct untyped_race { ASYNC_FRAME; async_task *a, *b; int put, n, m; };
static ASYNC(untyped_race)
{
    ASYNC_BEGIN(untyped_race);
    ASYNC_QUEUE_INIT(&one);
    self->n = 5;
    self->m = 6;
    if (self->put) {
        ASYNC_QUEUE_PUT_NOWAIT(&one, 4);
        self->a = async_create_task(CO(ASYNC_QUEUE_PUT(&one, &self->n)));
        self->b = async_create_task(CO(ASYNC_QUEUE_PUT(&one, &self->m)));
    } else {
        self->a = async_create_task(CO(ASYNC_QUEUE_GET(&one, &self->n)));
        self->b = async_create_task(CO(ASYNC_QUEUE_GET(&one, &self->m)));
    }
    ASYNC_SUSPEND;
    if (self->put)
        ASYNC_QUEUE_GET_NOWAIT(&one, &self->put);
    else
        ASYNC_QUEUE_PUT_NOWAIT(&one, 8);
    async_task_cancel(self->a);
    AWAIT_TASK(self->b);
    assert_true(async_task_cancelled(self->a));
    if (self->put) ASYNC_QUEUE_GET_NOWAIT(&one, &self->put);
    say("%d %d %d", self->n, self->m, self->put);
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}

static void the_coroutines_pass_the_wake_on_too(void **s)
{
    (void)s;
    assert_int_equal(RUN(untyped_race, .put = 0), 0);
    assert_said("5 8 0");
    assert_int_equal(RUN(untyped_race, .put = 1), 0);
    assert_said("5 6 6");
}

struct timeout_race { ASYNC_FRAME; int n, error; async_task *other; };
/* Those who wait know the queue; what it was called by may be another's by
 * then. */
static one_place another, *called;
struct by_a_pointer { ASYNC_FRAME; int item; };
static ASYNC(by_a_pointer)
{
    ASYNC_BEGIN(by_a_pointer);
    AWAIT_QUEUE_GET_INTO(self->item, called);
    say("got:%d", self->item);
    called = &one;
    AWAIT_QUEUE_PUT(called, 1);
    AWAIT_QUEUE_PUT(called, 2);
    say("put");
    ASYNC_END;
}
struct changes_the_pointer { ASYNC_FRAME; async_task *task; int n; };
static ASYNC(changes_the_pointer)
{
    ASYNC_BEGIN(changes_the_pointer);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_QUEUE_INIT(&another);
    called = &one;
    self->task = async_create_task(CO(by_a_pointer));
    ASYNC_SUSPEND;
    called = &another;
    (void)ASYNC_QUEUE_PUT_NOWAIT(&another, 20);
    ASYNC_SUSPEND;
    (void)ASYNC_QUEUE_PUT_NOWAIT(&one, 10);
    ASYNC_SUSPEND;
    ASYNC_SUSPEND;
    called = &another; /* which is full */
    AWAIT_QUEUE_GET_INTO(self->n, &one);
    say("%d", self->n);
    AWAIT_QUEUE_GET_INTO(self->n, &one);
    say("%d", self->n);
    AWAIT_JOIN(self->task);
    say("%d", (int)async_queue_qsize(&another.queue));
    ASYNC_END;
}
static void who_waits_stays_with_the_queue_that_it_was_called_with(void **s)
{
    (void)s;
    assert_int_equal(RUN(changes_the_pointer), 0);
    assert_said("got:10 1 put 2 1");
}

/* Its own cancellation, asked for while it runs, comes when it waits. */
struct cancels_itself { ASYNC_FRAME; int n, error; };
static ASYNC(cancels_itself)
{
    ASYNC_BEGIN(cancels_itself);
    ASYNC_QUEUE_INIT(&one);
    async_task_cancel(async_current_task());
    AWAIT_QUEUE_PUT(&one, 1);
    say("put");
    ASYNC_TRY {
        AWAIT_QUEUE_PUT(&one, 2);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    AWAIT_QUEUE_GET_INTO(self->n, &one);
    say("%d", self->n);
    async_task_cancel(async_current_task());
    ASYNC_TRY {
        AWAIT_QUEUE_GET_INTO(self->n, &one);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
static void who_cancels_itself_is_cancelled_when_it_waits(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels_itself), 0);
    assert_said("put CANCELED 1 CANCELED");
}

struct late_put { ASYNC_FRAME; };
static ASYNC(late_put)
{
    ASYNC_BEGIN(late_put);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_QUEUE_PUT_NOWAIT(&four, 3);
    ASYNC_END;
}
static ASYNC(timeout_race)
{
    ASYNC_BEGIN(timeout_race);
    ASYNC_QUEUE_INIT(&four);
    self->other = async_create_task(CO(late_put));
    AWAIT_CATCH(self->error, async_wait_for,
                CO(ASYNC_QUEUE_GET(&four, &self->n)), ASYNC_SECONDS(1));
    AWAIT_JOIN(self->other);
    say("%s %d", name_of(self->error), (int)async_queue_qsize(&four.queue));
    ASYNC_END;
}

static void a_limit_in_time_loses_no_item(void **s)
{
    (void)s;
    assert_int_equal(RUN(timeout_race), 0);
    assert_said("TIMEDOUT 1");
}

struct closed_while_waiting { ASYNC_FRAME; };
static ASYNC(closed_while_waiting)
{
    ASYNC_BEGIN(closed_while_waiting);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_QUEUE_INIT(&four);
    ASYNC_QUEUE_PUT_NOWAIT(&one, 1);
    async_task_release(put(2));
    async_task_release(get("a"));
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void closing_the_loop_takes_those_who_wait_out_of_the_line(void **s)
{
    (void)s;
    open_loop();
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(closed_while_waiting)),
        0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("[Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] "
                "+2:CANCELED a:CANCELED");
    assert_int_equal(RUN(getters_in_order), 0); /* another loop takes it */
    assert_said("put a1 b2 next c3");
}

/* --- work ---------------------------------------------------------------- */

struct joiner { ASYNC_FRAME; const char *name; int error; };
static ASYNC(joiner)
{
    ASYNC_BEGIN(joiner);
    ASYNC_TRY {
        AWAIT(async_queue_join, &four.queue);
        say("%s", self->name);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s:%s", self->name, name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct joins { ASYNC_FRAME; int n; async_task *b; };
static ASYNC(joins)
{
    ASYNC_BEGIN(joins);
    ASYNC_QUEUE_INIT(&four);
    AWAIT(joiner, "empty");
    assert_int_equal(async_queue_task_done(&four.queue), ASYNC_ETASKDONE);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 2);
    async_task_release(async_create_task(CO(joiner, "a")));
    self->b = async_create_task(CO(joiner, "b"));
    async_task_release(async_create_task(CO(joiner, "c")));
    ASYNC_SUSPEND;
    async_task_cancel(self->b);
    async_task_release(self->b);
    ASYNC_QUEUE_GET_NOWAIT(&four, &self->n);
    ASYNC_QUEUE_GET_NOWAIT(&four, &self->n);
    assert_int_equal(async_queue_task_done(&four.queue), 0);
    ASYNC_SUSPEND;
    say("|");
    assert_int_equal(async_queue_task_done(&four.queue), 0);
    assert_int_equal(async_queue_task_done(&four.queue), ASYNC_ETASKDONE);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 3); /* too late to hold them up */
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void joiners_wait_until_all_work_is_done(void **s)
{
    (void)s;
    assert_int_equal(RUN(joins), 0);
    assert_said("empty b:CANCELED | a c");
    assert_string_equal(async_strerror(ASYNC_ETASKDONE),
                        "task_done() called too many times");
}

/* --- shutdown ------------------------------------------------------------ */

struct shuts { ASYNC_FRAME; int immediate, n; };
static ASYNC(shuts)
{
    ASYNC_BEGIN(shuts);
    ASYNC_QUEUE_INIT(&four);
    ASYNC_QUEUE_INIT(&one);
    ASYNC_QUEUE_PUT_NOWAIT(&one, 0);
    async_task_release(get("a"));
    async_task_release(get("b"));
    async_task_release(put(1));
    async_task_release(put(2));
    ASYNC_SUSPEND;
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    async_queue_shutdown(&four.queue, self->immediate);
    async_queue_shutdown(&one.queue, self->immediate);
    ASYNC_SUSPEND;
    say("| %s", name_of(ASYNC_QUEUE_PUT_NOWAIT(&one, 5)));
    say("%s", name_of(ASYNC_QUEUE_GET_NOWAIT(&one, &self->n)));
    say("%s", name_of(ASYNC_QUEUE_GET_NOWAIT(&one, &self->n)));
    AWAIT(getter, "c");
    AWAIT(putter, 3);
    async_queue_shutdown(&one.queue, self->immediate); /* again */
    ASYNC_END;
}

static void after_a_shutdown_what_is_in_can_be_taken_out(void **s)
{
    (void)s;
    assert_int_equal(RUN(shuts, 0), 0);
    assert_said("a1 b:QUEUESHUTDOWN +1:QUEUESHUTDOWN +2:QUEUESHUTDOWN "
                "| QUEUESHUTDOWN ok QUEUESHUTDOWN "
                "c:QUEUESHUTDOWN +3:QUEUESHUTDOWN");
}

static void after_an_immediate_shutdown_nothing_can(void **s)
{
    (void)s;
    assert_int_equal(RUN(shuts, 1), 0);
    assert_said("a:QUEUESHUTDOWN b:QUEUESHUTDOWN "
                "+1:QUEUESHUTDOWN +2:QUEUESHUTDOWN "
                "| QUEUESHUTDOWN QUEUESHUTDOWN QUEUESHUTDOWN "
                "c:QUEUESHUTDOWN +3:QUEUESHUTDOWN");
}

struct shuts_joined { ASYNC_FRAME; int n; };
static ASYNC(shuts_joined)
{
    ASYNC_BEGIN(shuts_joined);
    ASYNC_QUEUE_INIT(&four);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 2);
    ASYNC_QUEUE_GET_NOWAIT(&four, &self->n);
    async_task_release(async_create_task(CO(joiner, "joined")));
    ASYNC_SUSPEND;
    async_queue_shutdown(&four.queue, 1);
    ASYNC_SUSPEND;
    say("|"); /* the item that was taken out is still work */
    async_queue_task_done(&four.queue);
    ASYNC_SUSPEND;
    say("|");
    ASYNC_QUEUE_INIT(&four);
    ASYNC_QUEUE_PUT_NOWAIT(&four, 1);
    async_task_release(async_create_task(CO(joiner, "joined")));
    ASYNC_SUSPEND;
    async_queue_shutdown(&four.queue, 1);
    ASYNC_SUSPEND;
    ASYNC_END;
}

static void what_an_immediate_shutdown_drops_is_done(void **s)
{
    (void)s;
    assert_int_equal(RUN(shuts_joined), 0);
    assert_said("| joined | joined");
}

/* --- memory -------------------------------------------------------------- */

static void a_queue_on_the_heap_grows_as_far_as_it_may(void **s)
{
    int i, n;
    (void)s;
    open_loop();
    ASYNC_HEAP_QUEUE_INIT(&heap, &loop.base, 0);
    assert_int_equal(alive, 0);
    assert_int_equal(async_queue_maxsize(&heap.queue), 0);
    for (i = 0; i < 3; i++) ASYNC_QUEUE_PUT_NOWAIT(&heap, -i);
    for (i = 0; i < 3; i++) ASYNC_QUEUE_GET_NOWAIT(&heap, &n);
    for (i = 0; i < 1000; i++)
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, i), 0);
    assert_false(async_queue_full(&heap.queue));
    assert_in_range(allocations, 5, 12);
    for (i = 0; i < 1000; i++) {
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&heap, &n), 0);
        assert_int_equal(n, i);
    }
    async_queue_destroy(&heap.queue);
    assert_int_equal(alive, 0);

    ASYNC_HEAP_QUEUE_INIT(&heap, &loop.base, 11);
    for (i = 0; i < 11; i++)
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, i), 0);
    assert_true(async_queue_full(&heap.queue));
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, i), ASYNC_EQUEUEFULL);
    async_queue_destroy(&heap.queue);

    ASYNC_HEAP_PRIORITY_QUEUE_INIT(&heap, &loop.base, -1, less);
    for (i = 0; i < 100; i++)
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, i * 37 % 100), 0);
    for (i = 0; i < 100; i++) {
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&heap, &n), 0);
        assert_int_equal(n, i);
    }
    async_queue_destroy(&heap.queue);

    ASYNC_HEAP_LIFO_QUEUE_INIT(&heap, &loop.base, 0);
    for (i = 0; i < 100; i++)
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, i), 0);
    for (i = 99; i >= 0; i--) {
        assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&heap, &n), 0);
        assert_int_equal(n, i);
    }
    assert_int_equal(async_loop_close(&loop.base), 0);
    async_queue_destroy(&heap.queue); /* its memory is not the loop's */
    assert_int_equal(alive, 0);
}

struct grows { ASYNC_FRAME; int error; };
static ASYNC(grows)
{
    ASYNC_BEGIN(grows);
    ASYNC_TRY {
        AWAIT_QUEUE_PUT(&heap, 8);
    } ASYNC_EXCEPT(ASYNC_ENOMEM) {
        say("no memory");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void when_it_cannot_grow_nothing_has_changed(void **s)
{
    int i, n;
    (void)s;
    open_loop();
    ASYNC_HEAP_QUEUE_INIT(&heap, &loop.base, 0);
    refuse_from = 0;
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, 1), ASYNC_ENOMEM);
    assert_true(async_queue_empty(&heap.queue));
    refuse_from = -1;
    for (i = 0; i < 8; i++)
        assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, i), 0);
    refuse_from = allocations;
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&heap, 8), ASYNC_ENOMEM);
    assert_int_equal(async_queue_qsize(&heap.queue), 8);
    refuse_from = -1;
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(grows)), 0);
    ASYNC_QUEUE_GET_NOWAIT(&heap, &n);
    assert_int_equal(n, 0);
    async_queue_destroy(&heap.queue);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(alive, 0);
    assert_said("");
}

struct raises_nomem { ASYNC_FRAME; int i; };
static ASYNC(raises_nomem)
{
    ASYNC_BEGIN(raises_nomem);
    ASYNC_HEAP_QUEUE_INIT(&heap, async_loop_of(co), 0);
    for (self->i = 0; self->i < 8; self->i++) AWAIT_QUEUE_PUT(&heap, 1);
    refuse_from = allocations;
    AWAIT(grows);
    refuse_from = -1;
    assert_int_equal(async_queue_qsize(&heap.queue), 8);
    AWAIT(grows);
    assert_int_equal(async_queue_qsize(&heap.queue), 9);
    async_queue_destroy(&heap.queue);
    ASYNC_END;
}

static void a_put_that_finds_no_memory_raises_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(raises_nomem), 0);
    assert_said("no memory");
}

struct ping { ASYNC_FRAME; int i; };
static ASYNC(ping)
{
    ASYNC_BEGIN(ping);
    for (self->i = 0; self->i < 100; self->i++) AWAIT_QUEUE_PUT(&one, self->i);
    ASYNC_END;
}
struct no_allocation { ASYNC_FRAME; async_task *ping; int i, n; long before; };
static ASYNC(no_allocation)
{
    ASYNC_BEGIN(no_allocation);
    ASYNC_QUEUE_INIT(&one);
    self->ping = async_create_task(CO(ping));
    self->before = allocations;
    for (self->i = 0; self->i < 100; self->i++) {
        AWAIT_QUEUE_GET_INTO(self->n, &one);
        assert_int_equal(self->n, self->i);
    }
    assert_int_equal(allocations, self->before);
    AWAIT_JOIN(self->ping);
    ASYNC_END;
}

static void with_places_of_its_own_nothing_is_allocated(void **s)
{
    (void)s;
    assert_int_equal(RUN(no_allocation), 0);
}

/* --- stress -------------------------------------------------------------- */

static uint32_t seed;
static int chance(int below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (int)(seed % (uint32_t)below);
}

enum { PRODUCERS = 8, CONSUMERS = 8, TURNS = 20 };
static ASYNC_QUEUE(int, 3) few;
static long put_in, taken_out;

struct producer { ASYNC_FRAME; int i, item; };
static ASYNC(producer)
{
    ASYNC_BEGIN(producer);
    for (self->i = 0; self->i < TURNS; self->i++) {
        ASYNC_TRY {
            self->item = 1 + chance(1000);
            AWAIT_QUEUE_PUT(&few, self->item);
            put_in += self->item;
            AWAIT(async_sleep, chance(3));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
    }
    ASYNC_END;
}
struct consumer { ASYNC_FRAME; int item; };
static ASYNC(consumer)
{
    ASYNC_BEGIN(consumer);
    for (;;) {
        ASYNC_TRY {
            AWAIT_QUEUE_GET_INTO(self->item, &few);
            taken_out += self->item;
            async_queue_task_done(&few.queue);
            AWAIT(async_sleep, chance(3));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_EXCEPT(ASYNC_EQUEUESHUTDOWN) {
            ASYNC_RETURN();
        } ASYNC_END_TRY
    }
    ASYNC_END;
}
struct chaos {
    ASYNC_FRAME;
    async_task *t[PRODUCERS + CONSUMERS];
    int i, left;
};
static ASYNC(chaos)
{
    ASYNC_BEGIN(chaos);
    for (self->i = 0; self->i < PRODUCERS; self->i++)
        self->t[self->i] = async_create_task(CO(producer));
    for (; self->i < PRODUCERS + CONSUMERS; self->i++)
        self->t[self->i] = async_create_task(CO(consumer));
    AWAIT(async_sleep, 1); /* one that has not started would never run */
    do {
        AWAIT(async_sleep, chance(2));
        self->left = 0;
        for (self->i = 0; self->i < PRODUCERS + CONSUMERS; self->i++) {
            if (self->i < PRODUCERS && !async_task_done(self->t[self->i]))
                self->left++;
            if (chance(8) == 0) async_task_cancel(self->t[self->i]);
        }
    } while (self->left > 0);
    AWAIT(async_queue_join, &few.queue);
    async_queue_shutdown(&few.queue, 0);
    for (self->i = 0; self->i < PRODUCERS + CONSUMERS; self->i++)
        AWAIT_JOIN(self->t[self->i]);
    ASYNC_END;
}

static void no_item_is_lost_or_made_by_random_cancellations(void **s)
{
    uint32_t round;
    (void)s;
    for (round = 1; round <= 60; round++) {
        seed = round * 2654435761u;
        put_in = taken_out = 0;
        ASYNC_QUEUE_INIT(&few);
        open_loop();
        /* Every other round in a random order, too. */
        async_virtual_loop_shuffle(&loop, round % 2 ? 0 : round);
        assert_int_equal(finish(CO(chaos)), 0);
        assert_int_equal(put_in, taken_out);
        assert_true(put_in > 0);
    }
}

UNIT_MAIN(TEST(items_come_out_in_the_order_in_which_they_went_in),
          TEST(a_queue_of_one_place_is_the_same_in_any_order),
          TEST(a_full_queue_and_an_empty_one_say_so),
          TEST(a_lifo_queue_gives_the_last_item_first),
          TEST(a_priority_queue_gives_the_least_item_first),
          TEST(equals_come_in_the_order_of_heapq), TEST(items_may_be_wide),
          TEST(what_need_not_wait_does_not_suspend),
          TEST(getters_are_served_in_the_order_in_which_they_came),
          TEST(putters_are_served_in_the_order_in_which_they_came),
          TEST(a_getter_that_finds_nothing_stands_at_the_end_of_the_line),
          TEST(a_putter_that_finds_no_place_stands_at_the_end_of_the_line),
          TEST(by_priority_the_item_is_chosen_when_the_getter_runs),
          TEST(putting_and_getting_can_be_tasks_and_limited_in_time),
          TEST(a_put_that_waits_may_let_the_stack_grow),
          TEST(a_put_with_no_memory_to_wait_in_is_an_error),
          TEST(a_getter_that_is_cancelled_when_woken_wakes_the_next),
          TEST(a_cancelled_getter_loses_no_item),
          TEST(a_getter_that_is_cancelled_waiting_disturbs_no_other),
          TEST(a_cancelled_putter_puts_nothing_in_and_wakes_the_next),
          TEST(a_put_that_fails_leaves_nothing_on_the_stack),
          TEST(the_coroutines_pass_the_wake_on_too),
          TEST(who_waits_stays_with_the_queue_that_it_was_called_with),
          TEST(who_cancels_itself_is_cancelled_when_it_waits),
          TEST(a_limit_in_time_loses_no_item),
          TEST(closing_the_loop_takes_those_who_wait_out_of_the_line),
          TEST(joiners_wait_until_all_work_is_done),
          TEST(after_a_shutdown_what_is_in_can_be_taken_out),
          TEST(after_an_immediate_shutdown_nothing_can),
          TEST(what_an_immediate_shutdown_drops_is_done),
          TEST(a_queue_on_the_heap_grows_as_far_as_it_may),
          TEST(when_it_cannot_grow_nothing_has_changed),
          TEST(a_put_that_finds_no_memory_raises_it),
          TEST(with_places_of_its_own_nothing_is_allocated),
          TEST(no_item_is_lost_or_made_by_random_cancellations))
