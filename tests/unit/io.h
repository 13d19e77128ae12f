/* What the tests of I/O share: errors by name, descriptors that are counted and
 * can run out, operations on streams that say what came of them. */
#ifndef IO_H
#define IO_H

#include "../../async/uv/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static inline const char *name_of(int error)
{
    const char *name = async_error_name(error);
    if (error == 0) return "ok";
    /* which of the two comes depends on who notices first */
    if (error == -ECONNRESET || error == -EPIPE) return "broken";
    return name != NULL ? name : uv_err_name(error);
}

/* Descriptors that are open. */
static inline int descriptors(void)
{
    int fd, open = 0;
    for (fd = 0; fd < 256; fd++) open += fcntl(fd, F_GETFD) >= 0;
    return open;
}

/* Lets the program open only so many more descriptors, or again as it was. */
static struct rlimit unlimited;
static inline void limit_descriptors(int more)
{
    struct rlimit limited;
    int fd = dup(0); /* the lowest that is free */
    close(fd);
    getrlimit(RLIMIT_NOFILE, &unlimited);
    limited = unlimited;
    limited.rlim_cur = (rlim_t)(fd + more);
    setrlimit(RLIMIT_NOFILE, &limited);
}
static inline void unlimit_descriptors(void)
{
    setrlimit(RLIMIT_NOFILE, &unlimited);
}

static inline int say_report(async_loop *loop,
                             const async_exception_context *context,
                             void *argument)
{
    (void)loop;
    (void)argument;
    say("[%s]", context->message);
    return 0;
}

/* Runs it on a loop, in which then nothing must be left. */
static inline void run(async_object program)
{
    async_uv_loop loop;
    int open;
    signal(SIGPIPE, SIG_DFL); /* which would end this */
    assert_int_equal(async_uv_loop_init(&loop, NULL, NULL), 0);
    async_loop_close(&loop.base); /* libuv has opened what it keeps */
    open = descriptors();
    async_uv_loop_init(&loop, NULL, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    assert_int_equal(async_loop_run_until_complete(&loop.base, program), 0);
    assert_int_equal(async_uv_loop_count_handles(&loop.base), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(descriptors(), open);
}

/* One operation each, which says what came of it, cancellation too. */
struct say_read {
    ASYNC_FRAME;
    async_stream *stream;
    size_t size;
    size_t n;
    int error;
    char buffer[64];
};
static inline ASYNC(say_read)
{
    ASYNC_BEGIN(say_read);
    ASYNC_TRY {
        AWAIT_INTO(self->n, async_stream_read, self->stream, self->buffer,
                   self->size ? self->size : sizeof self->buffer);
        say("read:%.*s", (int)self->n, self->buffer);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("read:%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct say_write {
    ASYNC_FRAME;
    async_stream *stream;
    const char *data;
    size_t size;
    int error;
};
static inline ASYNC(say_write)
{
    ASYNC_BEGIN(say_write);
    ASYNC_TRY {
        AWAIT(async_stream_write, self->stream, self->data,
              self->size ? self->size : strlen(self->data));
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("write:%s", name_of(self->error));
    ASYNC_END;
}

struct say_shutdown { ASYNC_FRAME; async_stream *stream; int error; };
static inline ASYNC(say_shutdown)
{
    ASYNC_BEGIN(say_shutdown);
    ASYNC_TRY {
        AWAIT(async_stream_shutdown, self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("shutdown:%s", name_of(self->error));
    ASYNC_END;
}

struct say_close { ASYNC_FRAME; async_stream *stream; int error; };
static inline ASYNC(say_close)
{
    ASYNC_BEGIN(say_close);
    ASYNC_TRY {
        AWAIT(async_stream_close, self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("close:%s", name_of(self->error));
    ASYNC_END;
}

struct say_accept {
    ASYNC_FRAME;
    async_listener *server;
    async_stream *stream;
    int error;
};
static inline ASYNC(say_accept)
{
    ASYNC_BEGIN(say_accept);
    ASYNC_TRY {
        AWAIT(async_listener_accept, self->server, self->stream);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("accept:%s", name_of(self->error));
    ASYNC_END;
}

/* Whether a task waits for an operation; and whether that is over, but the
 * task has not run since. */
static inline int waits(const async_task *task)
{
    const async *co = async_task_get_coro(task);
    return !async_task_done(task) && !(co->flags & ASYNC__IS_SLEEPING) &&
           co->wait.future != NULL;
}
static inline int woken(const async_task *task)
{
    return waits(task) &&
           async_future_done(async_task_get_coro(task)->wait.future);
}

/* Lets others run until the task has begun to wait, or until it would run next
 * in this very iteration, woken by the poll before it. */
struct until_waiting { ASYNC_FRAME; async_task *task; };
static inline ASYNC(until_waiting)
{
    ASYNC_BEGIN(until_waiting);
    while (!waits(self->task)) ASYNC_SUSPEND;
    ASYNC_END;
}
struct until_woken { ASYNC_FRAME; async_task *task; };
static inline ASYNC(until_woken)
{
    ASYNC_BEGIN(until_woken);
    while (!woken(self->task)) ASYNC_SUSPEND;
    ASYNC_END;
}

/* Waits for something else; says what came of it. */
#define SAY_AWAIT(word, ...)                                                  \
    do {                                                                      \
        AWAIT_CATCH(self->error, __VA_ARGS__);                                \
        say("%s:%s", word, name_of(self->error));                             \
    } while (0)

#endif
