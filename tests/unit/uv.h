/* What the unit tests of what libuv does share: a loop after which nothing is
 * left, descriptors that are counted and refused, memory that is.  Goes behind
 * the headers that are tested.
 *
 * io.h has what streams need besides, sockets.h the plain sockets at the other
 * end, refusing.h a libuv that has no threads left to give. */
#ifndef UNIT_UV_H
#define UNIT_UV_H

#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifndef _WIN32
#include <sys/resource.h>
#endif

/* Not all of them are used in all files. */
#define HELPER __attribute__((unused)) static

HELPER const char *name_of(int error)
{
    const char *name = async_error_name(error);
    if (error == 0) return "ok";
    /* which of the two comes depends on who notices first */
    if (error == -ECONNRESET || error == -EPIPE) return "broken";
    return name != NULL ? name : uv_err_name(error);
}

#ifndef _WIN32
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
    int fd = dup(0), n; /* the lowest that is free; others may lie between */
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
#else
/* On Windows there is nothing like them to count. */
HELPER int descriptors(void)
{
    return 0;
}
#endif

/* An allocator that counts, and can refuse: so many, from one on.  Any thread
 * may call it, as is asked of a loop's. */
HELPER struct counting {
    long asked, live, refuse_at, refuse, refused;
} memory;
HELPER void *counting_allocate(void *context, size_t size)
{
    long index = __atomic_fetch_add(&memory.asked, 1, __ATOMIC_RELAXED) -
                 __atomic_load_n(&memory.refuse_at, __ATOMIC_RELAXED);
    (void)context;
    if (index >= 0 &&
        index < __atomic_load_n(&memory.refuse, __ATOMIC_RELAXED)) {
        __atomic_add_fetch(&memory.refused, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    __atomic_add_fetch(&memory.live, 1, __ATOMIC_RELAXED);
#ifdef UNIT_VALGRIND
    /* It does not see what the kernel writes into the buffers of a ring. */
    if (size > 65536) return calloc(1, size);
#endif
    return malloc(size);
}
HELPER void counting_release(void *context, void *released, size_t size)
{
    (void)context;
    memset(released, 0xdd, size); /* so that who still reads it is seen */
    __atomic_sub_fetch(&memory.live, 1, __ATOMIC_RELAXED);
    free(released);
}
HELPER const async_allocator counting_allocator = { counting_allocate,
                                                    counting_release, NULL };

/* Counts anew. */
HELPER void memory_begin(void)
{
    memset(&memory, 0, sizeof memory);
}
/* Refuses so many, from the next or from a later one on.  0: none any more. */
HELPER void memory_refuse_later(long skip, long how_many)
{
    __atomic_store_n(&memory.refuse_at,
                     __atomic_load_n(&memory.asked, __ATOMIC_RELAXED) + skip,
                     __ATOMIC_RELAXED);
    __atomic_store_n(&memory.refuse, how_many, __ATOMIC_RELAXED);
}
HELPER void memory_refuse(long how_many)
{
    memory_refuse_later(0, how_many);
}

/* Reports are part of the story. */
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

/* Runs it on a loop, in which then nothing must be left.  Returns its error.
 * An allocator of the test's own calls the one that counts. */
HELPER int run_with(const async_allocator *allocator, async_object program,
                    long at, long refuse)
{
    async_uv_loop loop;
    int open, error;
#ifdef SIGPIPE
    signal(SIGPIPE, SIG_DFL); /* which would end this */
#endif
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_loop_close(&loop.base); /* libuv has opened what it keeps */
    open = descriptors();
    memory_begin();
    memory_refuse_later(at, refuse);
    assert_int_equal(async_uv_loop_init(&loop, NULL, allocator), 0);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    error = async_loop_run_until_complete(&loop.base, program);
    assert_int_equal(async_uv_loop_count_handles(&loop.base), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(descriptors(), open);
    assert_int_equal(memory.live, 0);
    return error;
}
/* The same; refuses so many allocations, from a certain one on. */
HELPER int run_refusing(async_object program, long at, long refuse)
{
    return run_with(&counting_allocator, program, at, refuse);
}
HELPER void run(async_object program)
{
    assert_int_equal(run_refusing(program, 0, 0), 0);
}

/* Runs it over and over, behind the statement `begin`: each of its allocations is
 * refused once, and at last none.  Each time it is well, or has failed of that,
 * or of what that has led to. */
#define RUN_REFUSING_EACH(begin, program, led_to)                             \
    do {                                                                      \
        int uv_at, uv_error = 0;                                              \
        for (uv_at = 0; uv_at < 300; uv_at++) {                               \
            begin;                                                            \
            uv_error = run_refusing(program, uv_at, 1);                       \
            if (memory.refused == 0) break;                                   \
            if (uv_error != 0 && uv_error != ASYNC_ENOMEM &&                  \
                uv_error != (led_to))                                         \
                fail_msg("%d: %s", uv_at, name_of(uv_error));                 \
        }                                                                     \
        assert_int_equal(uv_error, 0);                                        \
        assert_true(uv_at > 5 && uv_at < 300);                                \
        unit_begin(NULL);                                                     \
    } while (0)

/* Blocks the thread, and so a loop in it. */
HELPER void block(int milliseconds)
{
    struct timespec span = { 0, milliseconds * 1000000L };
    nanosleep(&span, NULL);
}

/* What a callback may do. */
HELPER int say_text(void *text)
{
    say("%s", (const char *)text);
    return 0;
}
HELPER int stop(void *loop)
{
    async_loop_stop((async_loop *)loop);
    return 0;
}
HELPER int set_future(void *future)
{
    return async_future_set_result((async_future *)future);
}

struct say_after { ASYNC_FRAME; async_duration delay; const char *text; };
HELPER ASYNC(say_after)
{
    ASYNC_BEGIN(say_after);
    AWAIT(async_sleep, self->delay);
    say("%s", self->text);
    ASYNC_END;
}

/* Whether a task waits for an operation; and whether that is over, but the
 * task has not run since. */
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

/* Lets others run until the task has begun to wait, or until it would run next
 * in this very iteration, woken by the poll before it. */
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

/* Awaits a task, and says how it ended, behind a word of its own or none. */
struct say_end { ASYNC_FRAME; async_task *task; const char *word; int error; };
HELPER ASYNC(say_end)
{
    ASYNC_BEGIN(say_end);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (self->word != NULL)
        say("%s:%s", self->word, name_of(self->error));
    else
        say("%s", name_of(self->error));
    ASYNC_END;
}

/* Awaits something else, and says what came of it. */
#define SAY_AWAIT(word, ...)                                                  \
    do {                                                                      \
        AWAIT_CATCH(self->error, __VA_ARGS__);                                \
        say("%s:%s", word, name_of(self->error));                             \
    } while (0)

#endif
