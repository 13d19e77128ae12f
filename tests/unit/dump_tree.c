/* Who awaits whom: async_dump_tree() of async/dump.h, on the heap. */
#define ASYNC_IMPLEMENTATION
#include "../../async/debug/watch.h"
#include "../../async/dump.h"
#include "../../async/nursery.h"
#include "../../async/select.h"

#include "virtual.h"

#include <stdlib.h>

static char dumped[200000];
static size_t length;
static void put(const char *text, void *argument)
{
    size_t n = strlen(text);
    (void)argument;
    assert_true(length + n < sizeof dumped);
    memcpy(dumped + length, text, n + 1);
    length += n;
}
static const char *tree(unsigned parts)
{
    length = 0;
    dumped[0] = '\0';
    assert_int_equal(async_dump_tree(&loop.base, parts, put, NULL), 0);
    return dumped;
}

/* Every test has a task that looks when all others wait. */
struct looks { ASYNC_FRAME; const char *expected; };
static ASYNC(looks)
{
    ASYNC_BEGIN(looks);
    AWAIT(async_sleep, ASYNC_MS(1));
    async_task_set_name(async_current_task(), "looks");
    assert_string_equal(tree(0), self->expected);
    ASYNC_END;
}
static void expect(const char *expected)
{
    async_task_release(async_create_task(CO(looks, expected)));
}

struct naps { ASYNC_FRAME; };
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}

/* --- each kind of wait -------------------------------------------------------- */

struct awaits_task { ASYNC_FRAME; async_task *task; };
static ASYNC(awaits_task)
{
    ASYNC_BEGIN(awaits_task);
    expect("Task-1 awaits_task: waiting for Task-3 naps\n"
           "  Task-3 naps: sleeping\n"
           "looks looks: running\n");
    self->task = async_create_task(CO(naps));
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void a_task(void **state)
{
    (void)state;
    RUN(awaits_task);
}

struct awaits_gather { ASYNC_FRAME; async_gathering all; };
static ASYNC(awaits_gather)
{
    ASYNC_BEGIN(awaits_gather);
    expect("Task-1 awaits_gather: waiting for async_gather\n"
           "  Task-3 naps: sleeping\n"
           "  Task-4 naps: sleeping\n"
           "looks looks: running\n");
    AWAIT_GATHER(&self->all, CO(naps), CO(naps));
    async_gather_clear(&self->all);
    ASYNC_END;
}
static void a_gather(void **state)
{
    (void)state;
    RUN(awaits_gather);
}

struct awaits_group { ASYNC_FRAME; async_task_group group; };
static ASYNC(awaits_group)
{
    ASYNC_BEGIN(awaits_group);
    expect("Task-1 awaits_group: waiting for a future\n"
           "  Task-3 naps: sleeping\n"
           "  Task-4 naps: sleeping\n"
           "looks looks: running\n");
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(naps));
        async_group_spawn(&self->group, CO(naps));
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}
static void a_task_group(void **state)
{
    (void)state;
    RUN(awaits_group);
}

struct works_in_group { ASYNC_FRAME; async_task_group group; };
static ASYNC(works_in_group)
{
    ASYNC_BEGIN(works_in_group);
    expect("Task-1 works_in_group: sleeping\n"
           "looks looks: running\n"
           "Task-3 naps: sleeping\n");
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(naps));
        AWAIT(async_sleep, ASYNC_MS(10));
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}
static void a_group_whose_body_goes_on_awaits_nobody(void **state)
{
    (void)state;
    RUN(works_in_group);
}

struct awaits_nursery { ASYNC_FRAME; async_nursery nursery; };
static ASYNC(awaits_nursery)
{
    ASYNC_BEGIN(awaits_nursery);
    expect("Task-1 awaits_nursery: waiting for a future\n"
           "  Task-3 naps: sleeping\n"
           "looks looks: running\n");
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(naps));
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}
static void a_nursery(void **state)
{
    (void)state;
    RUN(awaits_nursery);
}

struct awaits_select { ASYNC_FRAME; async_selection race; size_t who; };
static ASYNC(awaits_select)
{
    ASYNC_BEGIN(awaits_select);
    expect("Task-1 awaits_select: waiting for async_select\n"
           "  Task-3 naps: sleeping\n"
           "  Task-4 naps: sleeping\n"
           "looks looks: running\n");
    AWAIT_SELECT_INTO(self->who, &self->race, CO(naps), CO(naps));
    async_select_clear(&self->race);
    ASYNC_END;
}
static void a_selection(void **state)
{
    (void)state;
    RUN(awaits_select);
}

struct awaits_several {
    ASYNC_FRAME;
    async_task *a, *b;
    async_waited items[2];
    size_t n;
};
static ASYNC(awaits_several)
{
    ASYNC_BEGIN(awaits_several);
    expect("Task-1 awaits_several: waiting for async_wait\n"
           "  Task-3 naps: sleeping\n"
           "  Task-4 naps: sleeping\n"
           "looks looks: running\n");
    self->a = async_create_task(CO(naps));
    self->b = async_create_task(CO(naps));
    self->items[0].future = &self->a->future;
    self->items[1].future = &self->b->future;
    AWAIT_INTO(self->n, async_wait, self->items, 2, ASYNC_SECONDS(3),
               ASYNC_ALL_COMPLETED);
    async_task_release(self->a);
    async_task_release(self->b);
    ASYNC_END;
}
static void a_wait_for_several(void **state)
{
    (void)state;
    RUN(awaits_several);
}

struct shields { ASYNC_FRAME; };
static ASYNC(shields)
{
    ASYNC_BEGIN(shields);
    expect("Task-1 shields: waiting for async_shield\n"
           "  Task-3 naps: sleeping\n"
           "looks looks: running\n");
    AWAIT(async_shield, CO(naps));
    ASYNC_END;
}
static void a_shield(void **state)
{
    (void)state;
    RUN(shields);
}

/* --- shapes ------------------------------------------------------------------- */

struct branch { ASYNC_FRAME; int depth; async_gathering all; };
static ASYNC(branch)
{
    ASYNC_BEGIN(branch);
    if (self->depth == 0) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } else {
        AWAIT_GATHER(&self->all, CO(branch, self->depth - 1),
                     CO(branch, self->depth - 1));
        async_gather_clear(&self->all);
    }
    ASYNC_END;
}
struct plants { ASYNC_FRAME; async_task *task; };
static ASYNC(plants)
{
    ASYNC_BEGIN(plants);
    expect("Task-1 plants: waiting for Task-3 branch\n"
           "  Task-3 branch: waiting for async_gather\n"
           "    Task-4 branch: waiting for async_gather\n"
           "      Task-6 branch: sleeping\n"
           "      Task-7 branch: sleeping\n"
           "    Task-5 branch: waiting for async_gather\n"
           "      Task-8 branch: sleeping\n"
           "      Task-9 branch: sleeping\n"
           "looks looks: running\n");
    self->task = async_create_task(CO(branch, 2));
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void a_tree_of_tasks(void **state)
{
    (void)state;
    RUN(plants);
}

static async_task *circle[2];
struct round_about { ASYNC_FRAME; int which; };
static ASYNC(round_about)
{
    ASYNC_BEGIN(round_about);
    /* Behind a shield, so that they can be cancelled. */
    AWAIT(async_shield, async_task_object(circle[1 - self->which]));
    ASYNC_END;
}
struct makes_circle { ASYNC_FRAME; };
static ASYNC(makes_circle)
{
    ASYNC_BEGIN(makes_circle);
    expect("Task-1 makes_circle: sleeping\n"
           "looks looks: running\n"
           "in a circle:\n"
           "  Task-3 round_about: waiting for async_shield\n"
           "    Task-4 round_about: waiting for async_shield\n");
    circle[0] = async_create_task(CO(round_about, 0));
    circle[1] = async_create_task(CO(round_about, 1));
    AWAIT(async_sleep, ASYNC_MS(10));
    assert_ptr_equal(async_task_awaited_by(circle[0]), circle[1]);
    async_task_cancel(circle[0]);
    async_task_cancel(circle[1]);
    async_task_release(circle[0]);
    async_task_release(circle[1]);
    ASYNC_END;
}
static void tasks_that_wait_for_each_other(void **state)
{
    (void)state;
    RUN(makes_circle);
}

struct many { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    for (self->i = 0; self->i < 1000; self->i++)
        async_gather_add(&self->all, CO(naps));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}
struct counts_lines { ASYNC_FRAME; };
static ASYNC(counts_lines)
{
    const char *at;
    int lines = 0;
    ASYNC_BEGIN(counts_lines);
    AWAIT(async_sleep, ASYNC_MS(1));
    lines = 0;
    for (at = tree(0); (at = strstr(at, "\n  Task-")) != NULL; at++) lines++;
    assert_int_equal(lines, 1000);
    ASYNC_END;
}
struct both { ASYNC_FRAME; async_gathering all; };
static ASYNC(both)
{
    ASYNC_BEGIN(both);
    async_task_release(async_create_task(CO(many)));
    AWAIT(counts_lines);
    ASYNC_END;
}
static void a_thousand_tasks(void **state)
{
    (void)state;
    RUN(both);
}

/* --- what a watched loop adds ------------------------------------------------- */

struct sees_time { ASYNC_FRAME; async_task *task; };
static ASYNC(sees_time)
{
    ASYNC_BEGIN(sees_time);
    self->task = async_create_task(CO(naps));
    AWAIT(async_sleep, ASYNC_MS(750));
    assert_string_equal(tree(ASYNC_DUMP_SINCE),
                        "Task-1 sees_time: running, for 0.000 s\n"
                        "Task-2 naps: sleeping, for 0.750 s\n");
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
static void for_how_long_it_waits(void **state)
{
    (void)state;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(async_loop_watch(&loop.base), 0);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(sees_time)),
                     0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static long left;
static void *few(void *context, size_t size)
{
    (void)context;
    return left-- > 0 ? malloc(size) : NULL;
}
static void release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    free(memory);
}
struct has_no_memory { ASYNC_FRAME; };
static ASYNC(has_no_memory)
{
    ASYNC_BEGIN(has_no_memory);
    left = 0;
    length = 0;
    dumped[0] = '\0';
    assert_int_equal(async_dump_tree(&loop.base, 0, put, NULL), ASYNC_ENOMEM);
    assert_string_equal(dumped, "");
    ASYNC_END;
}
static void without_memory_there_is_no_tree(void **state)
{
    static const async_allocator allocator = { few, release, NULL };
    (void)state;
    left = 100;
    async_virtual_loop_init(&loop, &allocator);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(has_no_memory)), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
}

UNIT_MAIN(TEST(a_task), TEST(a_gather), TEST(a_task_group),
          TEST(a_group_whose_body_goes_on_awaits_nobody), TEST(a_nursery),
          TEST(a_selection), TEST(a_wait_for_several), TEST(a_shield),
          TEST(a_tree_of_tasks), TEST(tasks_that_wait_for_each_other),
          TEST(a_thousand_tasks), TEST(for_how_long_it_waits),
          TEST(without_memory_there_is_no_tree))
