#include "conformance.h"

#include "../../async/streams.h"

#define E_RESET -10006

static void print(async_bytes bytes, const char *end)
{
    print_bytes(bytes.data, bytes.size, end);
}
static void feed(async_stream_reader *reader, const char *text)
{
    size_t size = 0;
    while (text[size] != '\0') size++;
    if (async_stream_reader_feed_data(reader, text, size) != 0)
        puts("feed_data");
}

struct program {
    ASYNC_FRAME;
    async_stream_reader r;
    async_bytes bytes;
    async_bytes separator;
    ASYNC_TASK_OF(async_stream_reader_read) reading;
    ASYNC_TASK_OF(async_stream_reader_readexactly) exactly;
    ASYNC_TASK_OF(async_stream_reader_readline) line;
    int i;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_stream_reader_init(&self->r, async_loop_of(co), NULL, 8);
    feed(&self->r, "ab\ncdef");
    AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->r);
    print(self->bytes, " ");
    AWAIT_INTO(self->bytes, async_stream_reader_read, &self->r, 2);
    print(self->bytes, " ");
    AWAIT_INTO(self->bytes, async_stream_reader_readexactly, &self->r, 2);
    print(self->bytes, "\n");
    ASYNC_SPAWN(self->reading, async_stream_reader_read, &self->r, 10);
    AWAIT(async_sleep, 0);
    ASYNC_TRY {
        AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->r);
    } ASYNC_EXCEPT(ASYNC_EBUSY) {
        puts("RuntimeError True");
    } ASYNC_END_TRY
    feed(&self->r, "xyz");
    AWAIT_JOIN_INTO(self->bytes, self->reading);
    print(self->bytes, "\n");
    feed(&self->r, "k=v;rest");
    self->separator.data = ";";
    self->separator.size = 1;
    AWAIT_INTO(self->bytes, async_stream_reader_readuntil, &self->r,
               &self->separator, 1);
    print(self->bytes, "\n");
    ASYNC_SPAWN(self->exactly, async_stream_reader_readexactly, &self->r, 6);
    AWAIT(async_sleep, 0);
    feed(&self->r, "1");
    async_stream_reader_feed_eof(&self->r);
    ASYNC_TRY {
        AWAIT_JOIN_INTO(self->bytes, self->exactly);
    } ASYNC_EXCEPT(ASYNC_EINCOMPLETE) {
        printf("IncompleteReadError ");
        print(async_stream_reader_partial(&self->r), " 6\n");
    } ASYNC_END_TRY
    printf("%s ", boolean(async_stream_reader_at_eof(&self->r)));
    AWAIT_INTO(self->bytes, async_stream_reader_read, &self->r,
               ASYNC_UNTIL_EOF);
    print(self->bytes, " ");
    AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->r);
    print(self->bytes, "\n");
    async_stream_reader_destroy(&self->r);

    async_stream_reader_init(&self->r, async_loop_of(co), NULL, 4);
    feed(&self->r, "0123456789");
    self->separator.data = "\n";
    ASYNC_TRY {
        AWAIT_INTO(self->bytes, async_stream_reader_readuntil, &self->r,
                   &self->separator, 1);
    } ASYNC_EXCEPT(ASYNC_ELIMIT) {
        printf("LimitOverrunError %d\n",
               (int)async_stream_reader_consumed(&self->r));
    } ASYNC_END_TRY
    AWAIT_INTO(self->bytes, async_stream_reader_read, &self->r, 5);
    print(self->bytes, "\n");
    feed(&self->r, "x\nnext\n");
    ASYNC_TRY {
        AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->r);
    } ASYNC_EXCEPT(ASYNC_ELIMIT) {
        puts("ValueError");
    } ASYNC_END_TRY
    AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->r);
    print(self->bytes, "\n");
    ASYNC_SPAWN(self->line, async_stream_reader_readline, &self->r);
    AWAIT(async_sleep, 0);
    async_stream_reader_set_exception(&self->r, E_RESET);
    ASYNC_TRY {
        AWAIT_JOIN_INTO(self->bytes, self->line);
    } ASYNC_EXCEPT(E_RESET) {
        puts("ConnectionResetError");
    } ASYNC_END_TRY
    ASYNC_TRY {
        AWAIT_INTO(self->bytes, async_stream_reader_read, &self->r, 1);
    } ASYNC_EXCEPT(E_RESET) {
        puts("ConnectionResetError");
    } ASYNC_END_TRY
    async_stream_reader_destroy(&self->r);

    async_stream_reader_init(&self->r, async_loop_of(co), NULL, 0);
    feed(&self->r, "a\nb\nc");
    async_stream_reader_feed_eof(&self->r);
    printf("[");
    for (;;) {
        AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->r);
        if (self->bytes.size == 0) break;
        if (self->i++ > 0) printf(", ");
        print(self->bytes, "");
    }
    puts("]");
    async_stream_reader_destroy(&self->r);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
