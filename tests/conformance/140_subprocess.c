/* needs: libuv */
/* exec/shell, communicate, stdin, exit codes, signals as negative return code,
 * wait_for + kill. */
#define _POSIX_C_SOURCE 200809L
#include "conformance.h"

#include "../../async/uv/process.h"

#define PIPE ASYNC_PIPE

/* [line async for line in stream], with both brackets */
struct print_lines {
    ASYNC_FRAME;
    async_stream *stream;
    size_t n, length, lines;
    char line[64];
};
static ASYNC(print_lines)
{
    ASYNC_BEGIN(print_lines);
    printf("[");
    for (;;) {
        AWAIT_INTO(self->n, async_stream_read, self->stream,
                   self->line + self->length, 1);
        self->length += self->n;
        if (self->length > 0 &&
            (self->n == 0 || self->line[self->length - 1] == '\n')) {
            printf(self->lines++ ? ", " : "");
            print_bytes(self->line, self->length, "");
            self->length = 0;
        }
        if (self->n == 0) break;
    }
    printf("]");
    ASYNC_END;
}

/* await create_subprocess_exec("sh", "-c", text, stdout=PIPE) */
struct start { ASYNC_FRAME; async_process *process; const char *text; };
static ASYNC(start)
{
    const char *arguments[4];
    ASYNC_BEGIN(start);
    arguments[0] = "sh";
    arguments[1] = "-c";
    arguments[2] = self->text;
    arguments[3] = NULL;
    AWAIT(async_create_subprocess_exec, self->process, arguments,
          { .output = PIPE });
    ASYNC_END;
}

/* await stream.read() */
struct read_all {
    ASYNC_RETURNS(size_t);
    async_stream *stream;
    char *place;
    size_t n;
};
static ASYNC(read_all)
{
    ASYNC_BEGIN(read_all);
    do {
        AWAIT_INTO(self->n, async_stream_read, self->stream,
                   self->place + self->frame.result, 16);
        self->frame.result += self->n;
    } while (self->n > 0);
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

static const char *const shell[] = { "sh", "-c", "cat; echo err >&2; exit 3",
                                     NULL };
static const char *const sleep_100[] = { "sleep", "100", NULL };
static const char *const no_effort[] = { "true", NULL };
static const char *const nonexistent[] = { "/nonexistent/program", NULL };

struct program {
    ASYNC_FRAME;
    async_process p, a, b;
    async_buffer out, err;
    async_gathering both;
    int code;
    char a_text[64], b_text[64];
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(async_create_subprocess_exec, &self->p, shell,
          { .input = PIPE, .output = PIPE, .errors = PIPE });
    AWAIT_INTO(self->code, async_process_communicate, &self->p, "input\n", 6,
               &self->out, &self->err);
    printf("(");
    print_bytes(self->out.data, self->out.size, ", ");
    print_bytes(self->err.data, self->err.size, ")");
    printf(" %d\n", self->p.returncode);
    async_buffer_free(&self->out);
    async_buffer_free(&self->err);
    AWAIT(async_process_close, &self->p);

    AWAIT(async_create_subprocess_shell, &self->p, "echo one; echo two",
          { .output = PIPE });
    AWAIT(print_lines, &self->p.output);
    AWAIT_INTO(self->code, async_process_wait, &self->p);
    printf(" %d\n", self->code);
    AWAIT(async_process_close, &self->p);

    AWAIT(async_create_subprocess_exec, &self->p, sleep_100);
    if (!async_process_has_ended(&self->p)) puts("None");
    ASYNC_TRY {
        AWAIT_WAIT_FOR(U, async_process_wait, &self->p);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        async_process_kill(&self->p);
    } ASYNC_END_TRY
    AWAIT_INTO(self->code, async_process_wait, &self->p);
    printf("%d\n", self->code);
    AWAIT(async_process_close, &self->p);

    AWAIT(async_create_subprocess_exec, &self->p, sleep_100);
    async_process_terminate(&self->p);
    AWAIT_INTO(self->code, async_process_wait, &self->p);
    printf("%d\n", self->code);
    AWAIT(async_process_close, &self->p);

    AWAIT(async_create_subprocess_exec, &self->p, no_effort);
    AWAIT(async_process_wait, &self->p);
    puts(async_process_send_signal(&self->p, 15) == -ESRCH
             ? "ProcessLookupError"
             : "no error");
    AWAIT(async_process_close, &self->p);

    AWAIT_CATCH(self->code, async_create_subprocess_exec, &self->p,
                nonexistent);
    if (self->code == -ENOENT) puts("FileNotFoundError");

    AWAIT_GATHER(&self->both, CO(start, &self->a, "sleep 0.09; echo 9"),
                 CO(start, &self->b, "sleep 0.01; echo 1"));
    async_gather_clear(&self->both);
    AWAIT_GATHER(&self->both, CO(read_all, &self->a.output, self->a_text),
                 CO(read_all, &self->b.output, self->b_text));
    printf("[");
    print_bytes(self->a_text, GATHERED(&self->both, 0, read_all), ", ");
    print_bytes(self->b_text, GATHERED(&self->both, 1, read_all), "]\n");
    async_gather_clear(&self->both);
    AWAIT_GATHER(&self->both, CO(async_process_wait, &self->a),
                 CO(async_process_wait, &self->b));
    async_gather_clear(&self->both);
    AWAIT(async_process_close, &self->a);
    AWAIT(async_process_close, &self->b);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
