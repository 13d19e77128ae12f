/* Context variables: what a task inherits, and what others do not see. */
#define ASYNC_IMPLEMENTATION
#include "../../async/context.h"

#include "virtual.h"

#include <stdlib.h>

static ASYNC_CONTEXTVAR(int) a = ASYNC_CONTEXTVAR_INIT("a", 1);
static ASYNC_CONTEXTVAR(const char *) b = ASYNC_CONTEXTVAR_INIT("b", "none");
static ASYNC_CONTEXTVAR(double) c = ASYNC_CONTEXTVAR_INIT("c", 0.5);

static int see(void *name)
{
    say("%s:%d,%s,%.1f", (const char *)name, ASYNC_CONTEXTVAR_GET(&a),
        ASYNC_CONTEXTVAR_GET(&b), ASYNC_CONTEXTVAR_GET(&c));
    return 0;
}

struct child { ASYNC_FRAME; int n; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    see("child");
    assert_int_equal(ASYNC_CONTEXTVAR_SET(&a, self->n), 0);
    AWAIT(async_sleep, 0);
    see("child");
    ASYNC_END;
}

static void outside_a_loop_a_variable_has_its_initial_value(void **s)
{
    (void)s;
    see("outside");
    assert_int_equal(ASYNC_CONTEXTVAR_SET(&a, 2), ASYNC_ENOLOOP);
    see("outside");
    assert_said("outside:1,none,0.5 outside:1,none,0.5");
}

struct sets { ASYNC_FRAME; };
static ASYNC(sets)
{
    ASYNC_BEGIN(sets);
    ASYNC_CONTEXTVAR_SET(&a, 2);
    ASYNC_CONTEXTVAR_SET(&b, "two");
    ASYNC_CONTEXTVAR_SET(&c, 2.5);
    see("set");
    ASYNC_CONTEXTVAR_SET(&a, ASYNC_CONTEXTVAR_GET(&a) + 1);
    see("set");
    ASYNC_END;
}

static void a_value_that_is_set_is_there_in_its_type(void **s)
{
    (void)s;
    assert_int_equal(RUN(sets), 0);
    assert_said("set:2,two,2.5 set:3,two,2.5");
}

struct awaits { ASYNC_FRAME; };
static ASYNC(awaits)
{
    ASYNC_BEGIN(awaits);
    AWAIT(child, 7);
    see("awaiter");
    ASYNC_END;
}

static void what_is_awaited_shares_the_tasks_context(void **s)
{
    (void)s;
    assert_int_equal(RUN(awaits), 0);
    assert_said("child:1,none,0.5 child:7,none,0.5 awaiter:7,none,0.5");
}

struct parent { ASYNC_FRAME; async_task *first, *second; };
static ASYNC(parent)
{
    ASYNC_BEGIN(parent);
    ASYNC_CONTEXTVAR_SET(&b, "p");
    ASYNC_CONTEXTVAR_SET(&a, 10);
    self->first = async_create_task(CO(child, 11));
    ASYNC_CONTEXTVAR_SET(&a, 20);
    self->second = async_create_task(CO(child, 21));
    AWAIT_JOIN(self->first);
    AWAIT_JOIN(self->second);
    see("parent");
    ASYNC_END;
}

static void a_task_begins_with_the_values_of_where_it_was_made(void **s)
{
    (void)s;
    assert_int_equal(RUN(parent), 0);
    assert_said("child:10,p,0.5 child:20,p,0.5 child:11,p,0.5 child:21,p,0.5 "
                "parent:20,p,0.5");
}

static int sets_in_callback(void *loop_)
{
    see("callback");
    ASYNC_CONTEXTVAR_SET(&a, 100);
    see("callback");
    return async_loop_call_soon((async_loop *)loop_, NULL, see, "later");
}

struct schedules { ASYNC_FRAME; async_handle handle; };
static ASYNC(schedules)
{
    ASYNC_BEGIN(schedules);
    ASYNC_CONTEXTVAR_SET(&a, 3);
    async_loop_call_later(async_loop_of(co), NULL, ASYNC_SECONDS(1), see,
                          "timer");
    async_loop_call_soon(async_loop_of(co), &self->handle, sets_in_callback,
                         async_loop_of(co));
    ASYNC_CONTEXTVAR_SET(&a, 4);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    see("task");
    ASYNC_END;
}

static void a_callback_has_the_values_of_where_it_was_scheduled(void **s)
{
    (void)s;
    assert_int_equal(RUN(schedules), 0);
    assert_said("callback:3,none,0.5 callback:100,none,0.5 "
                "later:100,none,0.5 timer:3,none,0.5 task:4,none,0.5");
}

static int see_done(async_future *future, void *name)
{
    (void)future;
    return see(name);
}

struct adds_callbacks {
    ASYNC_FRAME;
    async_future future;
    async_done_callback kept, removed, cancelled;
};
static ASYNC(adds_callbacks)
{
    ASYNC_BEGIN(adds_callbacks);
    async_future_init(&self->future, async_loop_of(co));
    ASYNC_CONTEXTVAR_SET(&a, 5);
    async_future_add_done_callback(&self->future, &self->kept, see_done,
                                   "kept");
    async_future_add_done_callback(&self->future, &self->removed, see_done,
                                   "removed");
    async_future_add_done_callback(&self->future, &self->cancelled, see_done,
                                   "cancelled");
    ASYNC_CONTEXTVAR_SET(&a, 6);
    async_future_remove_done_callback(&self->future, &self->removed);
    async_future_set_result(&self->future);
    async_done_callback_cancel(&self->cancelled);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

/* (The sanitizer sees what the removed ones would have kept.) */
static void a_done_callback_has_the_values_of_where_it_was_added(void **s)
{
    (void)s;
    assert_int_equal(RUN(adds_callbacks), 0);
    assert_said("kept:5,none,0.5");
}

struct cancels_handles { ASYNC_FRAME; async_handle handle; };
static ASYNC(cancels_handles)
{
    ASYNC_BEGIN(cancels_handles);
    ASYNC_CONTEXTVAR_SET(&a, 5);
    async_loop_call_soon(async_loop_of(co), &self->handle, see, "no");
    async_handle_cancel(&self->handle);
    async_loop_call_later(async_loop_of(co), NULL, ASYNC_SECONDS(9), see,
                          "no");
    async_loop_call_soon(async_loop_of(co), NULL, see, "no");
    ASYNC_END;
}

static void callbacks_that_never_run_give_their_values_back(void **s)
{
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(cancels_handles)), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_said("no:5,none,0.5");
}

struct resets {
    ASYNC_FRAME;
    ASYNC_CONTEXTVAR_TOKEN(int) first, second;
    ASYNC_CONTEXTVAR_TOKEN(const char *) other;
};
static ASYNC(resets)
{
    ASYNC_BEGIN(resets);
    ASYNC_CONTEXTVAR_SET(&b, "b");
    assert_int_equal(ASYNC_CONTEXTVAR_REPLACE(&a, 2, &self->first), 0);
    assert_int_equal(ASYNC_CONTEXTVAR_REPLACE(&a, 3, &self->second), 0);
    see("set");
    assert_int_equal(ASYNC_CONTEXTVAR_RESET(&a, &self->second), 0);
    see("reset");
    assert_int_equal(ASYNC_CONTEXTVAR_RESET(&a, &self->first), 0);
    see("unset");
    assert_int_equal(ASYNC_CONTEXTVAR_RESET(&a, &self->first),
                     ASYNC_ETOKENUSED);
    AWAIT(async_sleep, 0);
    see("unset");
    ASYNC_END;
}

static void a_reset_makes_it_what_it_was_before(void **s)
{
    (void)s;
    assert_int_equal(RUN(resets), 0);
    assert_said("set:3,b,0.5 reset:2,b,0.5 unset:1,b,0.5 unset:1,b,0.5");
}

static ASYNC_CONTEXTVAR(int) twin = ASYNC_CONTEXTVAR_INIT("twin", 0);

static ASYNC_CONTEXTVAR_TOKEN(int) token;
struct resets_anothers { ASYNC_FRAME; };
static ASYNC(resets_anothers)
{
    ASYNC_BEGIN(resets_anothers);
    assert_int_equal(ASYNC_CONTEXTVAR_RESET(&a, &token), ASYNC_ETOKENCONTEXT);
    ASYNC_END;
}
struct misuses_a_token { ASYNC_FRAME; async_task *task; };
static ASYNC(misuses_a_token)
{
    ASYNC_BEGIN(misuses_a_token);
    ASYNC_CONTEXTVAR_REPLACE(&a, 2, &token);
    assert_int_equal(ASYNC_CONTEXTVAR_RESET(&twin, &token), ASYNC_ETOKENVAR);
    self->task = async_create_task(CO(resets_anothers));
    AWAIT_JOIN(self->task);
    see("still");
    ASYNC_END;
}

static void a_token_is_for_its_variable_and_its_context(void **s)
{
    (void)s;
    assert_int_equal(RUN(misuses_a_token), 0);
    assert_said("still:2,none,0.5");
}

static int changes(void *value)
{
    return ASYNC_CONTEXTVAR_SET(&a, *(int *)value);
}

struct copies { ASYNC_FRAME; async_context context; int value; };
static ASYNC(copies)
{
    ASYNC_BEGIN(copies);
    ASYNC_CONTEXTVAR_SET(&a, 2);
    async_context_copy(&self->context);
    ASYNC_CONTEXTVAR_SET(&a, 3);
    say("%d", ASYNC_CONTEXT_GET(&self->context, &a));
    self->value = 9;
    assert_int_equal(async_context_run(&self->context, changes, &self->value),
                     0);
    say("%d %d", ASYNC_CONTEXT_GET(&self->context, &a),
        ASYNC_CONTEXTVAR_GET(&a));
    async_context_clear(&self->context);
    say("%d", ASYNC_CONTEXT_GET(&self->context, &a));
    ASYNC_END;
}

static void a_copy_is_a_context_of_its_own(void **s)
{
    (void)s;
    assert_int_equal(RUN(copies), 0);
    assert_said("2 9 3 1");
}

struct runs_in { ASYNC_FRAME; async_context context; async_task *task; };
static ASYNC(runs_in)
{
    ASYNC_BEGIN(runs_in);
    ASYNC_CONTEXTVAR_SET(&b, "not seen");
    self->task = async_create_task_in(CO(child, 5), &self->context);
    AWAIT_JOIN(self->task);
    say("%d", ASYNC_CONTEXT_GET(&self->context, &a));
    self->task = async_create_task_in(CO(child, 6), &self->context);
    AWAIT_JOIN(self->task);
    see("maker");
    async_context_clear(&self->context);
    ASYNC_END;
}

static void a_task_in_a_given_context_leaves_its_values_there(void **s)
{
    (void)s;
    assert_int_equal(RUN(runs_in), 0);
    assert_said("child:1,none,0.5 child:5,none,0.5 5 child:5,none,0.5 "
                "child:6,none,0.5 maker:1,not seen,0.5");
}

struct eager_parent { ASYNC_FRAME; async_task *task; };
static ASYNC(eager_parent)
{
    ASYNC_BEGIN(eager_parent);
    ASYNC_CONTEXTVAR_SET(&a, 3);
    self->task = async_create_eager_task(CO(child, 4));
    see("parent");
    AWAIT_JOIN(self->task);
    see("parent");
    ASYNC_END;
}

static void an_eager_task_has_a_context_of_its_own_from_the_start(void **s)
{
    (void)s;
    assert_int_equal(RUN(eager_parent), 0);
    assert_said("child:3,none,0.5 parent:3,none,0.5 child:4,none,0.5 "
                "parent:3,none,0.5");
}

/* --- memory -------------------------------------------------------------- */

static int left; /* how many more allocations there are */
static int made;
static void *count_and_allocate(void *context, size_t size)
{
    (void)context;
    if (left-- <= 0) return NULL;
    made++;
    return malloc(size);
}
static void release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    made--;
    free(memory);
}

struct changes_many { ASYNC_FRAME; async_task *task; int error; };
static ASYNC(changes_many)
{
    int error;
    ASYNC_BEGIN(changes_many);
    error = ASYNC_CONTEXTVAR_SET(&a, 1);
    if (error) ASYNC_RAISE(error);
    error = ASYNC_CONTEXTVAR_SET(&b, "b");
    if (error) ASYNC_RAISE(error);
    self->task = async_create_task(CO(child, 3));
    if (self->task == NULL) ASYNC_RAISE(async_last_error());
    error = ASYNC_CONTEXTVAR_SET(&a, 2); /* what is shared is copied */
    if (error) {
        assert_int_equal(ASYNC_CONTEXTVAR_GET(&a), 1);
        assert_string_equal(ASYNC_CONTEXTVAR_GET(&b), "b");
    }
    async_task_cancel(self->task);
    async_task_release(self->task);
    self->error = error;
    AWAIT(async_sleep, 0);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

static void without_memory_setting_fails_and_changes_nothing(void **s)
{
    async_allocator allocator;
    int result = ASYNC_ENOMEM, k;
    (void)s;
    memset(&allocator, 0, sizeof allocator);
    allocator.allocate = count_and_allocate;
    allocator.release = release;
    for (k = 0; result == ASYNC_ENOMEM; k++) {
        left = k;
        async_virtual_loop_init(&loop, &allocator);
        async_loop_set_exception_handler(&loop.base, report, NULL);
        result = async_loop_run_until_complete(&loop.base, CO(changes_many));
        async_loop_close(&loop.base);
        assert_int_equal(made, 0);
    }
    assert_int_equal(result, 0);
    assert_in_range(k, 4, 40);
}

struct counts { ASYNC_FRAME; int i, before; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    ASYNC_CONTEXTVAR_SET(&a, 0);
    self->before = made;
    for (self->i = 0; self->i < 1000; self->i++)
        ASYNC_CONTEXTVAR_SET(&a, self->i);
    assert_int_equal(made, self->before);
    ASYNC_END;
}

static void setting_what_nobody_shares_takes_no_memory(void **s)
{
    async_allocator allocator;
    (void)s;
    memset(&allocator, 0, sizeof allocator);
    allocator.allocate = count_and_allocate;
    allocator.release = release;
    left = 1000;
    async_virtual_loop_init(&loop, &allocator);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(counts)), 0);
    async_loop_close(&loop.base);
    assert_int_equal(made, 0);
}

UNIT_MAIN(TEST(outside_a_loop_a_variable_has_its_initial_value),
          TEST(a_value_that_is_set_is_there_in_its_type),
          TEST(what_is_awaited_shares_the_tasks_context),
          TEST(a_task_begins_with_the_values_of_where_it_was_made),
          TEST(a_callback_has_the_values_of_where_it_was_scheduled),
          TEST(a_done_callback_has_the_values_of_where_it_was_added),
          TEST(callbacks_that_never_run_give_their_values_back),
          TEST(a_reset_makes_it_what_it_was_before),
          TEST(a_token_is_for_its_variable_and_its_context),
          TEST(a_copy_is_a_context_of_its_own),
          TEST(a_task_in_a_given_context_leaves_its_values_there),
          TEST(an_eager_task_has_a_context_of_its_own_from_the_start),
          TEST(without_memory_setting_fails_and_changes_nothing),
          TEST(setting_what_nobody_shares_takes_no_memory))
