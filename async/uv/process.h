/* process.h - other programs: starting, talking to, ending them
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     const char *sort[] = { "sort", "-n", NULL };
 *     async_process child;                         in the frame, zeroed
 *     async_buffer sorted;
 *     ...
 *     AWAIT(async_create_subprocess_exec, &self->child, sort,
 *           { .input = ASYNC_PIPE, .output = ASYNC_PIPE });
 *     ASYNC_TRY {
 *         AWAIT_INTO(self->code, async_process_communicate, &self->child,
 *                    numbers, strlen(numbers), &self->sorted);
 *     } ASYNC_FINALLY {
 *         AWAIT(async_process_close, &self->child);
 *     } ASYNC_END_TRY
 *
 * A process is a struct of the caller's, zeroed.  From its start on it must
 * neither move nor go until it has been closed: libuv has pointers to it.
 * Close it in a FINALLY, whether it has been waited for or not.
 *
 * From tasks on a loop of async/uv/loop.h, the one on which it was started.
 * Who ends is waited for by libuv: there are no zombies while the loop runs.
 * A loop that is closed closes the pipes and forgets the process, which goes
 * on; but a task that is then cancelled and closes it in its FINALLY ends it.
 *
 * Needs libuv 1.41.
 */
#ifndef CAESURA_UV_PROCESS_H
#define CAESURA_UV_PROCESS_H

#include "buffer.h"
#include "handle.h"
#include "stream.h"
#include "../group.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * STARTING
 * ------------------------------------------------------------------------ */

typedef struct async_process {
    int pid;
    int returncode; /* when it has ended: its exit status, or -N for signal N */
    async_stream input, output, errors; /* those asked for as ASYNC_PIPE */
    /* The rest is private. */
    async__resource resource;
    uv_process_t handle;
    async_link waiting; /* structs async_process_wait */
    unsigned char ended;
} async_process;

/* What a process has for standard input, output and errors: one of these, or a
 * descriptor above 0 of the caller's, who keeps it. */
enum {
    ASYNC_INHERIT = 0,  /* what this program has */
    ASYNC_PIPE = -1,    /* a stream of the process: child.input ... */
    ASYNC_STDOUT = -2,  /* for errors: the same as output */
    ASYNC_DEVNULL = -3
};

/* How it is started.  Zero: as this program was. */
typedef struct async_process_options {
    int input, output, errors; /* ASYNC_INHERIT .., or a descriptor */
    const char *cwd;           /* the directory in which it starts */
    const char *const *env;    /* "NAME=value" .., NULL; all that it gets */
    unsigned flags; /* libuv's: UV_PROCESS_DETACHED, UV_PROCESS_SETUID .. */
    uv_uid_t uid;   /* with UV_PROCESS_SETUID */
    uv_gid_t gid;   /* with UV_PROCESS_SETGID */
} async_process_options;

/* AWAIT(async_create_subprocess_exec, process, arguments, { options }): starts
 * a program.  Does not wait, but after an error.
 *
 * process    zeroed, or closed
 * arguments  the program, looked for in PATH (env's, if there is one) unless
 *            it has a slash, and what it gets; then NULL.  Used, as all in the
 *            options, only until this first suspends.
 * options    { .output = ASYNC_PIPE, ... }, or nothing
 * Errors     -ENOENT, -EACCES (also for cwd), -EMFILE, -EPERM ...; ASYNC_EBUSY
 *            when it runs or is not closed; ASYNC_EINVAL for arguments or
 *            options that make no sense, and on a loop that is not libuv's.
 *            After an error it is closed.
 * Descriptors of this program that are not close-on-exec are the child's too.
 * (All of Caesura's and libuv's are; Python closes all.)  Signals do in the
 * child what they do by default.
 * Counterparts: asyncio.create_subprocess_exec(), uv_spawn(). */
struct async_create_subprocess_exec {
    ASYNC_FRAME;
    async_process *process;
    const char *const *arguments;
    async_process_options options;
    int error;
    async__closer closer;
};
ASYNC(async_create_subprocess_exec);

/* AWAIT(async_create_subprocess_shell, process, command, { options }): the same
 * with a command line for the shell: /bin/sh -c, on Windows cmd.exe /d /c.  Let
 * nothing of a stranger's into it.
 * Counterpart: asyncio.create_subprocess_shell(). */
struct async_create_subprocess_shell {
    ASYNC_FRAME;
    async_process *process;
    const char *command;
    async_process_options options;
    int error;
    async__closer closer;
};
ASYNC(async_create_subprocess_shell);

/* ------------------------------------------------------------------------
 * ENDING
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(code, async_process_wait, process): waits until it has ended, on
 * its own or by a signal; at once when it has.  Any number of tasks may.  (One
 * that has much to say to a pipe which nobody reads does not end:
 * async_process_communicate reads.)
 * Result   process->returncode
 * Errors   ASYNC_ECLOSED when it was never started, or has been forgotten;
 *          ASYNC_EOTHERLOOP, ASYNC_ENOTASK
 * Cancel   at once; the process goes on
 * Counterpart: Process.wait(). */
struct async_process_wait {
    ASYNC_RETURNS(int);
    async_process *process;
    async_link link; /* among those that wait */
    async_operation arrival;
};
ASYNC(async_process_wait);

/* Whether it has ended, and returncode is there.
 * Counterpart: Process.returncode is not None. */
static inline int async_process_has_ended(const async_process *process);

/* Sends it a signal: any, SIGTERM, SIGKILL.
 * Returns  0; -ESRCH when it has ended, or is closed; -EPERM; -EINVAL
 * Counterparts: Process.send_signal(), terminate(), kill(). */
int async_process_send_signal(async_process *process, int number);
int async_process_terminate(async_process *process);
int async_process_kill(async_process *process);

/* AWAIT(async_process_close, process): kills it if it has not ended, closes its
 * pipes, and goes on when it has ended and libuv has let go of its memory.
 * Who reads or writes gets ASYNC_ECLOSED; who waits for its end gets that.
 * returncode stays.  One that cannot be killed (another user's) is forgotten
 * and goes on.  One that was never started, or is closed: nothing.
 * Cancel   raised when it is closed all the same
 * Counterpart: BaseSubprocessTransport.close(). */
struct async_process_close {
    ASYNC_FRAME;
    async_process *process;
    async__closer closer;
};
ASYNC(async_process_close);

/* ------------------------------------------------------------------------
 * TALKING
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(code, async_process_communicate, process, data, size, output,
 * errors, limit): writes the data to its input and closes that, reads its
 * output and errors to their ends, all at the same time, and waits until it
 * has ended.  A process that does not read all of its input is no error.
 *
 * data    NULL with size 0: only closes its input, if that is a pipe; used
 *         until the await ends
 * output  where its output and errors go, if they are pipes; else NULL.  The
 * errors  caller's, who frees them: async_buffer_free().  Empty after an error.
 * limit   how many bytes of each to take at most; 0: no limit but memory
 * Result  process->returncode
 * Errors  -ENOBUFS when there is more; ASYNC_ENOMEM; ASYNC_EBUSY when another
 *         task reads; ASYNC_EINVAL for a pipe without a place, and for data
 *         without a pipe; as of async_process_wait.  What was read is lost,
 *         the process goes on; its input may be closed.
 * Cancel  as after an error; raised when libuv has let go of the data
 * Memory  what is read, and a task for each pipe
 * Counterpart: Process.communicate(). */
struct async_process_communicate {
    ASYNC_RETURNS(int);
    async_process *process;
    const void *data;
    size_t size;
    async_buffer *output, *errors;
    size_t limit;
    int error;
    async_task_group group;
};
ASYNC(async_process_communicate);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
static inline int async_process_has_ended(const async_process *process)
{
    return process->ended;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_UV_PROCESS_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * The pipes are the system's, made with uv_pipe(); libuv's own for uv_spawn()
 * are sockets, which a child cannot open again as /dev/stdout.
 *
 * They are closed before the process is: when libuv has let go of that, it has
 * let go of them too, for it does so with all at once.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_UV_PROCESS_IMPLEMENTED)
#define CAESURA_UV_PROCESS_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#endif

static async_process *async__process_of(async__resource *resource)
{
    return (async_process *)(void *)((char *)resource -
                                     offsetof(async_process, resource));
}

/* --- its end ------------------------------------------------------------- */

/* Those who wait learn that it has ended, or an error. */
static void async__process_tell(async_process *process, int error)
{
    while (!async__list_empty(&process->waiting)) {
        struct async_process_wait *waiter =
            (struct async_process_wait *)(void *)((char *)
                process->waiting.next -
                offsetof(struct async_process_wait, link));
        async__unlink(&waiter->link);
        waiter->frame.result = process->returncode;
        if (!async_future_done(&waiter->arrival.future))
            async__finish(&waiter->arrival.future, ASYNC__FINISHED, error);
    }
}

static void async__process_on_exit(uv_process_t *handle, int64_t status,
                                   int number)
{
    async_process *process =
        async__process_of((async__resource *)handle->data);
    process->returncode = number != 0 ? -number : (int)status;
    process->ended = 1;
    async__process_tell(process, 0);
    if (process->resource.state == ASYNC__IS_ENDING)
        async__resource_close(&process->resource);
}

/* Lets it go on, and forgets it. */
static void async__process_forget(async_node *node)
{
    async_process *process =
        async__process_of((async__resource *)(void *)node);
    if (process->resource.state == ASYNC__IS_CLOSING) return;
    async__process_tell(process, ASYNC_ECLOSED);
    async__resource_close(&process->resource);
}

/* Kills it before it learns from its pipes that nobody is there. */
static void async__process_begin_close(async_process *process)
{
    int lives;
    if (process->resource.state != ASYNC__IS_OPEN) return;
    lives = !process->ended && process->pid != 0 &&
            uv_process_kill(&process->handle, SIGKILL) == 0;
    async__stream_begin_close(&process->input);
    async__stream_begin_close(&process->output);
    async__stream_begin_close(&process->errors);
    process->resource.state = ASYNC__IS_ENDING;
    if (!lives) async__process_forget(&process->resource.node);
}

ASYNC(async_process_wait)
{
    int error;
    ASYNC_BEGIN(async_process_wait);
    if (self->process->ended) ASYNC_RETURN(self->process->returncode);
    if (self->process->resource.state == ASYNC__IS_SHUT ||
        self->process->resource.state == ASYNC__IS_CLOSING)
        ASYNC_RAISE(ASYNC_ECLOSED);
    error = async__resource_check_task(&self->process->resource, co);
    if (error) ASYNC_RAISE(error);
    /* It can be given up at any time: libuv keeps nothing of it. */
    async_operation_init(&self->arrival, self->process->resource.loop,
                         async_operation_cancelled);
    async__list_append(&self->process->waiting, &self->link);
    ASYNC__WAIT_FOR(&self->arrival.future);
    if (self->link.prev != NULL) async__unlink(&self->link);
    (void)async__awaited(co);
    async__drop(co);
    ASYNC__CHECK;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

ASYNC(async_process_close)
{
    int error;
    ASYNC_BEGIN(async_process_close);
    if (self->process->resource.state == ASYNC__IS_SHUT) ASYNC_RETURN();
    error = async__resource_check_task(&self->process->resource, co);
    if (error) ASYNC_RAISE(error);
    async__process_begin_close(self->process);
    ASYNC__AWAIT_CLOSED(&self->process->resource, &self->closer);
    ASYNC_END;
}

int async_process_send_signal(async_process *process, int number)
{
    if (process->ended || process->resource.state == ASYNC__IS_SHUT ||
        process->resource.state == ASYNC__IS_CLOSING)
        return UV_ESRCH;
    return uv_process_kill(&process->handle, number);
}

int async_process_terminate(async_process *process)
{
    return async_process_send_signal(process, SIGTERM);
}

int async_process_kill(async_process *process)
{
    return async_process_send_signal(process, SIGKILL);
}

/* --- its start ----------------------------------------------------------- */

/* The descriptors of one that is being started: ours and its. */
typedef struct async__process_pipes {
    uv_file ours[3], its[3];
} async__process_pipes;

/* What number `i` is to be, 0 for the input, with a pipe if that is wanted. */
static int async__process_prepare(async__process_pipes *pipes, int i,
                                  int wanted, uv_stdio_container_t *container)
{
    uv_file ends[2];
    int error;
    container->flags = wanted == ASYNC_DEVNULL ? UV_IGNORE : UV_INHERIT_FD;
    container->data.fd = wanted > 0 ? wanted : i;
    if (wanted != ASYNC_PIPE) return 0;
    error = uv_pipe(ends, i == 0 ? 0 : UV_NONBLOCK_PIPE,
                    i == 0 ? UV_NONBLOCK_PIPE : 0);
    if (error) return error;
    pipes->its[i] = ends[i != 0];
    pipes->ours[i] = ends[i == 0];
    container->data.fd = pipes->its[i];
    return 0;
}

static int async__process_spawn(async_process *process, async_loop *loop,
                                const char *const *arguments,
                                const async_process_options *options,
                                async__process_pipes *pipes)
{
    uv_stdio_container_t containers[3];
    uv_process_options_t with;
    int error =
        async__process_prepare(pipes, 0, options->input, &containers[0]);
    if (!error)
        error = async__process_prepare(pipes, 1, options->output,
                                       &containers[1]);
    if (!error && options->errors == ASYNC_STDOUT)
        containers[2] = containers[1];
    else if (!error)
        error = async__process_prepare(pipes, 2, options->errors,
                                       &containers[2]);
    if (error) return error;
    memset(&with, 0, sizeof with);
    with.exit_cb = async__process_on_exit;
    with.file = arguments[0];
    with.args = (char **)(uintptr_t)arguments;
    with.env = (char **)(uintptr_t)options->env;
    with.cwd = options->cwd;
    with.flags = options->flags;
    with.uid = options->uid;
    with.gid = options->gid;
    with.stdio_count = 3;
    with.stdio = containers;
    error = uv_spawn(async_uv_loop_of(loop), &process->handle, &with);
    /* Whatever came of it, libuv now has the handle. */
    async__list_init(&process->waiting);
    async__resource_opened(&process->resource, loop,
                           (uv_handle_t *)&process->handle,
                           async__process_forget);
    if (!error) process->pid = uv_process_get_pid(&process->handle);
    return error;
}

/* Our end of a pipe becomes a stream. */
static int async__process_open(async_stream *stream, async_loop *loop,
                               uv_file *ours)
{
    int error;
    if (*ours < 0) return 0;
    error = uv_pipe_init(async_uv_loop_of(loop), &stream->handle.pipe, 0);
    if (error) return error;
    async__stream_opened(stream, loop);
    error = uv_pipe_open(&stream->handle.pipe, *ours);
    if (!error) *ours = -1;
    return error;
}

static int async__process_check(const async_process *process, const async *co,
                                const char *const *arguments,
                                const async_process_options *options)
{
    int error = async__uv_check(co);
    if (error) return error;
    if (process->resource.state != ASYNC__IS_SHUT) return ASYNC_EBUSY;
    if (arguments == NULL || arguments[0] == NULL ||
        options->input < ASYNC_DEVNULL || options->output < ASYNC_DEVNULL ||
        options->errors < ASYNC_DEVNULL || options->input == ASYNC_STDOUT ||
        options->output == ASYNC_STDOUT)
        return ASYNC_EINVAL;
    return 0;
}

/* Starts it.  After an error, closing what there is of it has begun. */
static int async__process_begin(async_process *process, async_loop *loop,
                                const char *const *arguments,
                                const async_process_options *options)
{
    async_stream *streams[3];
    async__process_pipes pipes;
    int i, error;
    streams[0] = &process->input;
    streams[1] = &process->output;
    streams[2] = &process->errors;
    process->pid = process->returncode = process->ended = 0;
    for (i = 0; i < 3; i++) pipes.ours[i] = pipes.its[i] = -1;
    error = async__process_spawn(process, loop, arguments, options, &pipes);
    for (i = 0; i < 3; i++) {
        if (!error)
            error = async__process_open(streams[i], loop, &pipes.ours[i]);
        if (pipes.its[i] >= 0) async__close_descriptor(pipes.its[i]);
        if (pipes.ours[i] >= 0) async__close_descriptor(pipes.ours[i]);
    }
    if (error) async__process_begin_close(process);
    return error;
}

#define ASYNC__PROCESS_CREATE(arguments_)                                     \
    do {                                                                      \
        self->error = async__process_check(self->process, co, (arguments_),   \
                                           &self->options);                   \
        if (self->error) ASYNC_RAISE(self->error);                            \
        self->error = async__process_begin(self->process, async_loop_of(co),  \
                                           (arguments_), &self->options);     \
        if (self->error) {                                                    \
            ASYNC__AWAIT_CLOSED(&self->process->resource, &self->closer);     \
            ASYNC_RAISE(self->error);                                         \
        }                                                                     \
    } while (0)

ASYNC(async_create_subprocess_exec)
{
    ASYNC_BEGIN(async_create_subprocess_exec);
    ASYNC__PROCESS_CREATE(self->arguments);
    ASYNC_END;
}

ASYNC(async_create_subprocess_shell)
{
    const char *arguments[5];
    ASYNC_BEGIN(async_create_subprocess_shell);
#ifdef _WIN32
    arguments[0] = "cmd.exe";
    arguments[1] = "/d";
    arguments[2] = "/c";
    arguments[3] = self->command;
    arguments[4] = NULL;
    self->options.flags |= UV_PROCESS_WINDOWS_VERBATIM_ARGUMENTS;
#else
    arguments[0] = "/bin/sh";
    arguments[1] = "-c";
    arguments[2] = self->command;
    arguments[3] = arguments[4] = NULL;
#endif
    ASYNC__PROCESS_CREATE(arguments);
    ASYNC_END;
}

/* --- talking ------------------------------------------------------------- */

/* Writes it all and closes the stream.  Who does not want it has ended, or has
 * closed its end. */
struct async__process_feed {
    ASYNC_FRAME;
    async_stream *stream;
    const void *data;
    size_t size;
};
static ASYNC(async__process_feed)
{
    ASYNC_BEGIN(async__process_feed);
    ASYNC_TRY {
        ASYNC_AWAIT(async_stream_write, self->stream, self->data, self->size);
    } ASYNC_EXCEPT(UV_EPIPE, UV_ECONNRESET) {}
    ASYNC_END_TRY
    ASYNC_AWAIT(async_stream_close, self->stream);
    ASYNC_END;
}

/* Reads it all and closes the stream. */
struct async__process_drain {
    ASYNC_FRAME;
    async_stream *stream;
    async_buffer *bytes;
    size_t limit;
    size_t n;
    int error;
    char over; /* the byte behind the limit */
};
static ASYNC(async__process_drain)
{
    ASYNC_BEGIN(async__process_drain);
    do {
        self->error = 0;
        if (self->bytes->size == self->bytes->room)
            self->error = async__buffer_grow(
                self->bytes, self->stream->resource.loop,
                self->bytes->room < 2048 ? 4096 : self->bytes->room * 2,
                self->limit);
        if (self->error == UV_ENOBUFS) {
            ASYNC_AWAIT_INTO(self->n, async_stream_read, self->stream,
                             &self->over, 1);
            if (self->n > 0) ASYNC_RAISE(UV_ENOBUFS);
        } else if (self->error) {
            ASYNC_RAISE(self->error);
        } else {
            ASYNC_AWAIT_INTO(self->n, async_stream_read, self->stream,
                             self->bytes->data + self->bytes->size,
                             self->bytes->room - self->bytes->size);
            async__buffer_got(self->bytes, self->n);
        }
    } while (self->n > 0);
    ASYNC_AWAIT(async_stream_close, self->stream);
    ASYNC_END;
}

static int
async__process_communicate_wrong(const struct async_process_communicate *self)
{
    return (async_stream_is_open(&self->process->output) &&
            self->output == NULL) ||
           (async_stream_is_open(&self->process->errors) &&
            self->errors == NULL) ||
           (!async_stream_is_open(&self->process->input) && self->size > 0);
}

/* Starts what is to be done at the same time: 0, or why it cannot be. */
static int
async__process_communicate_begin(struct async_process_communicate *self)
{
    async_process *process = self->process;
    async_task_group *group = &self->group;
    if ((async_stream_is_open(&process->input) &&
         async_group_spawn(group, ASYNC_CO(async__process_feed,
                                           &process->input, self->data,
                                           self->size)) == NULL) ||
        (async_stream_is_open(&process->output) &&
         async_group_spawn(group, ASYNC_CO(async__process_drain,
                                           &process->output, self->output,
                                           self->limit)) == NULL) ||
        (async_stream_is_open(&process->errors) &&
         async_group_spawn(group, ASYNC_CO(async__process_drain,
                                           &process->errors, self->errors,
                                           self->limit)) == NULL))
        return async_last_error();
    return 0;
}

ASYNC(async_process_communicate)
{
    ASYNC_BEGIN(async_process_communicate);
    if (self->output != NULL) async_buffer_free(self->output);
    if (self->errors != NULL) async_buffer_free(self->errors);
    if (async__process_communicate_wrong(self)) ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            self->error = async__process_communicate_begin(self);
            if (self->error) ASYNC_RAISE(self->error);
        } ASYNC_END_TASK_GROUP
        ASYNC_AWAIT_INTO(self->frame.result, async_process_wait,
                         self->process);
    } ASYNC_EXCEPT_ALL(self->error) {
        if (self->output != NULL) async_buffer_free(self->output);
        if (self->errors != NULL) async_buffer_free(self->errors);
        if (self->error == ASYNC_EGROUP)
            self->error = async_group_error(&self->group, 0);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
