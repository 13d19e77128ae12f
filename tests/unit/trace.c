/* The timeline: async/debug/trace.h. */
#define ASYNC_IMPLEMENTATION
#include "../../async/debug/trace.h"
#include "../../async/queue.h"

#include "virtual.h"

#include <stdlib.h>

/* --- what is written --------------------------------------------------------- */

static char written[400000];
static size_t length;
static void put(const char *text, void *argument)
{
    size_t n = strlen(text);
    (void)argument;
    assert_true(length + n < sizeof written);
    memcpy(written + length, text, n + 1);
    length += n;
}
static void write_out(const async_trace *trace)
{
    length = 0;
    written[0] = '\0';
    async_trace_write(trace, put, NULL);
}

/* The sum in ns of the spans of a kind on a track; an event is a line. */
static long long sum_of(unsigned number, const char *kind)
{
    char head[64], category[32];
    const char *at = written;
    long long sum = 0;
    snprintf(head, sizeof head, "{\"ph\":\"X\",\"pid\":1,\"tid\":%u,", number);
    snprintf(category, sizeof category, "\"cat\":\"%s\"", kind);
    while ((at = strstr(at, head)) != NULL) {
        const char *end = strchr(at, '\n'), *found = strstr(at, category);
        const char *span = strstr(at, "\"dur\":");
        long long whole;
        int part;
        at = end;
        if (found == NULL || found > end) continue;
        assert_non_null(span);
        assert_int_equal(sscanf(span, "\"dur\":%lld.%3d", &whole, &part), 2);
        sum += whole * 1000 + part;
    }
    return sum;
}
static int has(const char *text)
{
    return strstr(written, text) != NULL;
}

static void take(int milliseconds)
{
    async_virtual_loop_advance(&loop, ASYNC_MS(milliseconds));
}

/* --- a program ---------------------------------------------------------------- */

static ASYNC_QUEUE(int, 2) items;
struct maker { ASYNC_FRAME; int n, i; };
static ASYNC(maker)
{
    ASYNC_BEGIN(maker);
    for (self->i = 0; self->i < self->n; self->i++) {
        take(1 + self->i % 3);
        AWAIT(ASYNC_QUEUE_PUT(&items, &self->i));
        if (self->i % 4 == 0) AWAIT(async_sleep, ASYNC_MS(7));
    }
    ASYNC_END;
}
struct taker { ASYNC_FRAME; int n, i, item; };
static int get_line;
static ASYNC(taker)
{
    ASYNC_BEGIN(taker);
    for (self->i = 0; self->i < self->n; self->i++) {
        get_line = __LINE__ + 1;
        AWAIT(ASYNC_QUEUE_GET(&items, &self->item));
        take(2);
        ASYNC_SUSPEND;
    }
    ASYNC_END;
}
static async_trace trace;
static async_task *both[2];
static async_task_counters counted[2];
struct works { ASYNC_FRAME; int n; };
static ASYNC(works)
{
    ASYNC_BEGIN(works);
    ASYNC_QUEUE_INIT(&items);
    both[0] = async_create_task(CO(maker, self->n));
    both[1] = async_create_task(CO(taker, self->n));
    async_task_set_name(both[1], "\"quoted\\\"");
    AWAIT_TASK(both[0]);
    AWAIT_TASK(both[1]);
    async_task_get_counters(both[0], &counted[0]);
    async_task_get_counters(both[1], &counted[1]);
    async_task_release(both[0]);
    async_task_release(both[1]);
    ASYNC_END;
}
static void run_traced(size_t steps, int n)
{
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_trace_start(&trace, &loop.base, steps), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(works, n)),
                     0);
    write_out(&trace);
    async_trace_free(&trace);
    assert_null(loop.base.onlooker);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static void sums_of_the_spans_are_the_counters(void **state)
{
    int i;
    (void)state;
    run_traced(1000, 50);
    assert_true(has("\"lost\":0}"));
    for (i = 0; i < 2; i++) {
        assert_true(counted[i].running > ASYNC_MS(90));
        assert_int_equal(sum_of(2 + i, "run"), counted[i].running);
        assert_int_equal(sum_of(2 + i, "ready"), counted[i].ready);
        assert_int_equal(sum_of(2 + i, "await"), counted[i].waiting);
    }
    /* and on one thread all of it is the time that has passed */
    assert_int_equal(sum_of(0, "loop") + sum_of(1, "run") + sum_of(2, "run") +
                         sum_of(3, "run"),
                     loop.time);
}

static void an_await_has_its_line_and_a_track_its_name(void **state)
{
    char text[100];
    (void)state;
    run_traced(1000, 5);
    snprintf(text, sizeof text, "\"name\":\"trace.c:%d async_queue_get\"",
             get_line);
    assert_true(has(text));
    assert_true(has("{\"name\":\"Task-2 maker\"}"));
    assert_true(has("{\"name\":\"\\\"quoted\\\\\\\" taker\"}"));
}

static void an_arrow_leads_from_waker_to_woken(void **state)
{
    const char *arrow;
    char text[60];
    unsigned id;
    (void)state;
    run_traced(1000, 5);
    /* the maker has woken the taker */
    arrow = strstr(written, "{\"ph\":\"s\",\"pid\":1,\"tid\":2,");
    assert_non_null(arrow);
    assert_int_equal(sscanf(strstr(arrow, "\"id\":"), "\"id\":%u", &id), 1);
    snprintf(text, sizeof text, "\"bp\":\"e\",\"id\":%u,", id);
    arrow = strstr(written, text);
    assert_non_null(arrow);
    assert_true(has("\"woken by\":\"Task-2\""));
    assert_true(has("\"woken by\":\"a timer\""));
}

static void a_full_ring_loses_the_oldest(void **state)
{
    (void)state;
    run_traced(20, 50);
    assert_false(has("\"lost\":0}"));
    assert_true(has("\"lost\":"));
    /* who ends last is there, with the name */
    assert_true(has("\"Task-1 works\""));
    assert_true(sum_of(3, "run") < counted[1].running);
}

struct hangs { ASYNC_FRAME; async_task *other; };
static int hangs_line;
static ASYNC(hangs)
{
    ASYNC_BEGIN(hangs);
    hangs_line = __LINE__ + 1;
    AWAIT(async_sleep, ASYNC_SECONDS(1000));
    ASYNC_END;
}
struct looks { ASYNC_FRAME; async_task *other; };
static ASYNC(looks)
{
    ASYNC_BEGIN(looks);
    self->other = async_create_task(CO(hangs));
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    write_out(&trace);
    async_task_cancel(self->other);
    async_task_release(self->other);
    ASYNC_END;
}
static void what_is_awaited_now_is_there_too(void **state)
{
    char text[100];
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_trace_start(&trace, &loop.base, 100), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(looks)), 0);
    snprintf(text, sizeof text,
             "\"name\":\"trace.c:%d async_sleep\",\"ts\":0.000,"
             "\"dur\":2000000.000,\"args\":{\"open\":1}}",
             hangs_line);
    assert_true(has(text));
    async_trace_free(&trace);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static void a_trace_may_outlive_its_loop(void **state)
{
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_trace_start(&trace, &loop.base, 100), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(works, 3)),
                     0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    write_out(&trace);
    assert_true(has("Task-2 maker"));
    assert_true(async_trace_count(&trace) > 10);
    assert_int_equal(async_trace_lost(&trace), 0);
    async_trace_free(&trace);
}

static void one_trace_a_loop(void **state)
{
    async_trace other;
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_trace_start(&trace, &loop.base, 0), ASYNC_EINVAL);
    assert_int_equal(async_trace_start(&trace, &loop.base, 10), 0);
    assert_int_equal(async_trace_start(&other, &loop.base, 10), ASYNC_EBUSY);
    async_trace_free(&trace);
    assert_int_equal(async_trace_start(&other, &loop.base, 10), 0);
    async_trace_free(&other);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(async_trace_start(&trace, &loop.base, 1),
                     ASYNC_ELOOPCLOSED);
}

static void *refuse(void *context, size_t size)
{
    long *left = (long *)context;
    return (*left)-- > 0 ? malloc(size) : NULL;
}
static void release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    free(memory);
}
static void without_memory_nothing_is_traced(void **state)
{
    long left;
    async_allocator allocator;
    (void)state;
    allocator.allocate = refuse;
    allocator.release = release;
    allocator.context = &left;
    async_virtual_loop_init(&loop, &allocator);
    left = 0;
    assert_int_equal(async_trace_start(&trace, &loop.base, 5), ASYNC_ENOMEM);
    left = 1;
    assert_int_equal(async_trace_start(&trace, &loop.base, 5), ASYNC_ENOMEM);
    assert_null(loop.base.onlooker);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

UNIT_MAIN(TEST(sums_of_the_spans_are_the_counters),
          TEST(an_await_has_its_line_and_a_track_its_name),
          TEST(an_arrow_leads_from_waker_to_woken),
          TEST(a_full_ring_loses_the_oldest),
          TEST(what_is_awaited_now_is_there_too),
          TEST(a_trace_may_outlive_its_loop), TEST(one_trace_a_loop),
          TEST(without_memory_nothing_is_traced))
