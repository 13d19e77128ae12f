/* What the unit tests of what libuv does share: a loop after which nothing is
 * left, descriptors that are counted and refused, memory that is. */
#ifndef UNIT_UV_H
#define UNIT_UV_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* Not all of them are used in all files. */
#define HELPER __attribute__((unused)) static

HELPER const char *name_of(int error)
{
    const char *name = async_error_name(error);
    if (error == 0) return "ok";
    return name != NULL ? name : uv_err_name(error);
}

/* Descriptors that are open. */
HELPER int descriptors(void)
{
    int fd, open = 0;
    for (fd = 0; fd < 256; fd++) open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

/* Lets the program open only so many more descriptors, or again as it was. */
HELPER struct rlimit unlimited;
HELPER void limit_descriptors(int more)
{
    struct rlimit limited;
    int fd = dup(0), n; /* the lowest that is free */
    close(fd);
    for (n = 0; n < more; fd++) n += fcntl(fd, F_GETFD) < 0;
    getrlimit(RLIMIT_NOFILE, &unlimited);
    limited = unlimited;
    limited.rlim_cur = (rlim_t)fd;
    setrlimit(RLIMIT_NOFILE, &limited);
}
HELPER void unlimit_descriptors(void)
{
    setrlimit(RLIMIT_NOFILE, &unlimited);
}

/* An allocator that counts, and can refuse: so many, from one on. */
HELPER struct counting {
    long made, live, refuse_at, refuse, refused;
} memory;
HELPER void *counting_allocate(void *context, size_t size)
{
    long index = memory.made + memory.refused;
    (void)context;
    if (index >= memory.refuse_at &&
        index - memory.refuse_at < memory.refuse) {
        memory.refused++;
        return NULL;
    }
    memory.made++;
    memory.live++;
    return malloc(size);
}
HELPER void counting_release(void *context, void *released, size_t size)
{
    (void)context;
    (void)size;
    memory.live--;
    free(released);
}
HELPER const async_allocator counting_allocator = { counting_allocate,
                                                    counting_release, NULL };

HELPER int say_report(async_loop *loop, const async_exception_context *context,
                      void *argument)
{
    (void)loop;
    (void)argument;
    if (context->error)
        say("[%s: %s]", context->message, name_of(context->error));
    else
        say("[%s]", context->message);
    return 0;
}

/* Runs it on a loop, in which then nothing must be left. */
HELPER int run_refusing(async_object program, long at, long refuse)
{
    async_uv_loop loop;
    int open, error;
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_loop_close(&loop.base); /* libuv has opened what it keeps */
    open = descriptors();
    memset(&memory, 0, sizeof memory);
    memory.refuse_at = at;
    memory.refuse = refuse;
    assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator), 0);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    error = async_loop_run_until_complete(&loop.base, program);
    assert_int_equal(async_uv_loop_count_handles(&loop.base), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(descriptors(), open);
    assert_int_equal(memory.live, 0);
    return error;
}
HELPER void run(async_object program)
{
    assert_int_equal(run_refusing(program, 0, 0), 0);
}

/* Lets others run until the task has begun to wait for an operation, or until
 * that is over but the task has not run since. */
HELPER int waits(const async_task *task)
{
    const async *co = async_task_get_coro(task);
    return !async_task_done(task) && !(co->flags & ASYNC__IS_SLEEPING) &&
           co->wait.future != NULL;
}
HELPER int woken(const async_task *task)
{
    return waits(task) &&
           async_future_done(async_task_get_coro(task)->wait.future);
}
struct until_waiting { ASYNC_FRAME; async_task *task; };
HELPER ASYNC(until_waiting)
{
    ASYNC_BEGIN(until_waiting);
    while (!waits(self->task)) ASYNC_SUSPEND;
    ASYNC_END;
}
struct until_woken { ASYNC_FRAME; async_task *task; };
HELPER ASYNC(until_woken)
{
    ASYNC_BEGIN(until_woken);
    while (!woken(self->task)) ASYNC_SUSPEND;
    ASYNC_END;
}

/* Awaits a task, and says how it ended. */
struct say_end { ASYNC_FRAME; async_task *task; int error; };
HELPER ASYNC(say_end)
{
    ASYNC_BEGIN(say_end);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("%s", name_of(self->error));
    ASYNC_END;
}

#endif
