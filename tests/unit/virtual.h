/* What most tests of tasks share: a loop on virtual time, whose report of errors
 * is part of the story.  Goes behind `#define ASYNC_IMPLEMENTATION`. */
#ifndef UNIT_VIRTUAL_H
#define UNIT_VIRTUAL_H

#include "../../async/test/virtual.h"

#include "unit.h"

static async_virtual_loop loop;

/* What goes to the exception handler is part of the story. */
static inline int
report(async_loop *of, const async_exception_context *context, void *argument)
{
    (void)of, (void)argument;
    say("[%s: %s]", context->message, async_error_name(context->error));
    return 0;
}

/* Runs a coroutine, and then what it left behind, until nothing can happen
 * any more: no task may remain. */
static inline int run(async_object main)
{
    int result;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    result = async_loop_run_until_complete(&loop.base, main);
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    assert_null(async_all_tasks(&loop.base, NULL));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    return result;
}
#define RUN(...) run(CO(__VA_ARGS__))

/* From here on each task starts where it is made. */
static inline void make_tasks_eager(async_loop *of)
{
    async_loop_set_task_factory(of, async_eager_task_factory, NULL);
}

/* The time in seconds. */
static inline int seconds(void)
{
    return (int)(async_loop_time(&loop.base) / ASYNC_SECONDS(1));
}

#endif
