/* Who awaits whom, in static memory: async_dump_tree() without any. */
#define ASYNC_STATIC_ONLY
#define ASYNC_IMPLEMENTATION
#include "../../async/bare/interrupt.h"
#include "../../async/dump.h"

#include "unit.h"

static uint32_t now;
static async_bare_loop loop;
static uint32_t ticks(void)
{
    return now;
}
static void sleep_until(uint32_t when)
{
    if (when == ASYNC_FOREVER)
        async_loop_stop(&loop.base);
    else if ((int32_t)(when - now) > 0)
        now = when;
    else
        now++;
}

static char dumped[2000];
static void put(const char *text, void *argument)
{
    (void)argument;
    assert_true(strlen(dumped) + strlen(text) < sizeof dumped);
    strcat(dumped, text);
}

static ASYNC_TASK_STORAGE(800) root, left, right, leaf, other, looker;

struct waits { ASYNC_FRAME; async_task *task; };
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    if (self->task != NULL)
        AWAIT_TASK(self->task);
    else
        AWAIT(async_sleep, 100);
    ASYNC_END;
}
struct waits_for_two { ASYNC_FRAME; async_waited items[2]; size_t n; };
static ASYNC(waits_for_two)
{
    ASYNC_BEGIN(waits_for_two);
    self->items[0].future = &left.task.future;
    self->items[1].future = &right.task.future;
    AWAIT_INTO(self->n, async_wait, self->items, 2, ASYNC_FOREVER,
               ASYNC_ALL_COMPLETED);
    ASYNC_END;
}
struct looks { ASYNC_FRAME; };
static ASYNC(looks)
{
    ASYNC_BEGIN(looks);
    AWAIT(async_sleep, 10);
    assert_int_equal(async_dump_tree(&loop.base, 0, put, NULL), 0);
    async_loop_stop(&loop.base);
    ASYNC_END;
}

static void the_tree(void **state)
{
    (void)state;
    dumped[0] = '\0';
    memset(&root, 0, sizeof root);
    async_bare_loop_init(&loop, ticks, sleep_until);
    async_task_start(&looker, &loop.base, CO(looks));
    async_task_start(&leaf, &loop.base, CO(waits, NULL));
    async_task_start(&other, &loop.base, CO(waits, &leaf.task));
    async_task_start(&left, &loop.base, CO(waits, NULL));
    async_task_start(&right, &loop.base, CO(waits, &other.task));
    async_task_start(&root, &loop.base, CO(waits_for_two));
    async_task_set_name(&root.task, "root");
    async_bare_run(&loop);
    assert_string_equal(dumped, "looks: running\n"
                                "root waits_for_two: waiting for async_wait\n"
                                "  waits: sleeping\n"
                                "  waits: waiting for task waits\n"
                                "    waits: waiting for task waits\n"
                                "      waits: sleeping\n");
}

static void tasks_that_wait_for_each_other(void **state)
{
    (void)state;
    dumped[0] = '\0';
    memset(&left, 0, sizeof left);
    memset(&right, 0, sizeof right);
    memset(&looker, 0, sizeof looker);
    async_bare_loop_init(&loop, ticks, sleep_until);
    async_task_start(&left, &loop.base, CO(waits, &right.task));
    async_task_start(&right, &loop.base, CO(waits, &left.task));
    async_task_start(&looker, &loop.base, CO(looks));
    async_bare_run(&loop);
    assert_string_equal(dumped, "looks: running\n"
                                "in a circle:\n"
                                "  waits: waiting for task waits\n"
                                "  waits: waiting for task waits\n");
}

UNIT_MAIN(TEST(the_tree), TEST(tasks_that_wait_for_each_other))
