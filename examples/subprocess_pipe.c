/* subprocess_pipe - other programs as coroutines: lines go through sort and come
 * back; a child that takes too long is killed. */
#define ASYNC_IMPLEMENTATION
#include "../async/uv/loop.h"
#include "../async/uv/process.h"

#include <stdio.h>
#include <string.h>

/* Writes the lines to the input of a process, and closes that: sort begins
 * when it has seen the last of them. */
struct feed { ASYNC_FRAME; async_process *child; const char *const *line; };
static ASYNC(feed)
{
    ASYNC_BEGIN(feed);
    for (; *self->line != NULL; self->line++) {
        AWAIT(async_stream_write, &self->child->input, *self->line,
              strlen(*self->line));
        AWAIT(async_stream_write, &self->child->input, "\n", 1);
    }
    AWAIT(async_stream_close, &self->child->input);
    ASYNC_END;
}

/* Prints what it says, as it comes. */
struct print { ASYNC_FRAME; async_process *child; size_t n; char text[512]; };
static ASYNC(print)
{
    ASYNC_BEGIN(print);
    do {
        AWAIT_INTO(self->n, async_stream_read, &self->child->output,
                   self->text, sizeof self->text);
        printf("%.*s", (int)self->n, self->text);
    } while (self->n > 0);
    ASYNC_END;
}

/* Both at once: who writes all and then reads all waits for ever as soon as
 * the text is longer than the pipes. */
struct sorted {
    ASYNC_FRAME;
    const char *const *lines;
    async_process child;
    async_gathering both;
    int code;
};
static ASYNC(sorted)
{
    static const char *const program[] = { "sort", "-n", NULL };
    ASYNC_BEGIN(sorted);
    AWAIT(async_create_subprocess_exec, &self->child, program,
          { .input = ASYNC_PIPE, .output = ASYNC_PIPE });
    ASYNC_TRY {
        AWAIT_GATHER(&self->both, CO(feed, &self->child, self->lines),
                     CO(print, &self->child));
        async_gather_clear(&self->both);
        AWAIT_INTO(self->code, async_process_wait, &self->child);
        printf("sort ended with %d\n", self->code);
    } ASYNC_FINALLY {
        AWAIT(async_process_close, &self->child); /* ended or not */
    } ASYNC_END_TRY
    ASYNC_END;
}

/* The short way, if it fits into memory: all in, all out. */
struct counted {
    ASYNC_FRAME;
    async_process child;
    async_buffer said;
    int code;
};
static ASYNC(counted)
{
    ASYNC_BEGIN(counted);
    AWAIT(async_create_subprocess_shell, &self->child, "tr a-z A-Z; exit 3",
          { .input = ASYNC_PIPE, .output = ASYNC_PIPE });
    ASYNC_TRY {
        AWAIT_INTO(self->code, async_process_communicate, &self->child,
                   "hello, child", 12, &self->said);
        printf("%s (%d)\n", self->said.data, self->code);
    } ASYNC_FINALLY {
        async_buffer_free(&self->said);
        AWAIT(async_process_close, &self->child);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct limited { ASYNC_FRAME; async_process child; int code; };
static ASYNC(limited)
{
    static const char *const program[] = { "sleep", "1000", NULL };
    ASYNC_BEGIN(limited);
    AWAIT(async_create_subprocess_exec, &self->child, program);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_MS(50), async_process_wait, &self->child);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("this takes too long\n");
        async_process_kill(&self->child);
        AWAIT_INTO(self->code, async_process_wait, &self->child);
        printf("sleep was ended by signal %d\n", -self->code);
    } ASYNC_FINALLY {
        AWAIT(async_process_close, &self->child);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    static const char *const lines[] = { "23 twenty-three", "5 five",
                                         "101 a hundred and one", "8 eight",
                                         NULL };
    ASYNC_BEGIN(program);
    AWAIT(sorted, lines);
    AWAIT(counted);
    AWAIT(limited);
    ASYNC_END;
}

int main(void)
{
    return async_run(CO(program)) != 0;
}
