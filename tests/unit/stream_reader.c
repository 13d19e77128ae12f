/* StreamReader without I/O, on virtual time: what reads give, what they leave,
 * and what they cost. */
#define ASYNC_IMPLEMENTATION
#include "../../async/streams.h"
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>

/* An allocator that counts, and refuses large blocks when told to. */
static long in_use;
static size_t refuse_from;
static void *counted_allocate(void *context, size_t size)
{
    size_t *memory;
    (void)context;
    if (refuse_from > 0 && size >= refuse_from) return NULL;
    memory = (size_t *)malloc(size);
    if (memory != NULL) in_use += (long)size;
    return memory;
}
static void counted_release(void *context, void *memory, size_t size)
{
    (void)context;
    in_use -= (long)size;
    free(memory);
}
static const async_allocator counted = { counted_allocate, counted_release,
                                         NULL };

static const char *name_of(int error)
{
    return error ? async_error_name(error) : "ok";
}

/* Runs it on a loop, in which then nothing must be left. */
static void run(async_object program)
{
    async_virtual_loop loop;
    in_use = 0;
    refuse_from = 0;
    async_virtual_loop_init(&loop, &counted);
    assert_int_equal(async_loop_run_until_complete(&loop.base, program), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(in_use, 0);
}

static void feed(async_stream_reader *reader, const char *text)
{
    assert_int_equal(async_stream_reader_feed_data(reader, text, strlen(text)),
                     0);
}
static void say_feed(async_stream_reader *reader, const char *text)
{
    say("feed:%s",
        name_of(async_stream_reader_feed_data(reader, text, strlen(text))));
}

/* One read each, which says what came of it. */
enum { READ, EXACTLY, UNTIL, LINE };
struct say_read {
    ASYNC_FRAME;
    int kind;
    async_stream_reader *reader;
    size_t n;
    async_bytes separator;
    async_bytes bytes;
    int error;
};
static ASYNC(say_read)
{
    ASYNC_BEGIN(say_read);
    ASYNC_TRY {
        if (self->kind == READ) {
            AWAIT_INTO(self->bytes, async_stream_reader_read, self->reader,
                       self->n);
        } else if (self->kind == EXACTLY) {
            AWAIT_INTO(self->bytes, async_stream_reader_readexactly,
                       self->reader, self->n);
        } else if (self->kind == UNTIL) {
            AWAIT_INTO(self->bytes, async_stream_reader_readuntil,
                       self->reader, &self->separator, 1);
        } else {
            AWAIT_INTO(self->bytes, async_stream_reader_readline,
                       self->reader);
        }
        say("<%.*s>", (int)self->bytes.size, self->bytes.data);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}
#define SAY_READ(n) AWAIT(say_read, READ, &self->reader, n)
#define SAY_EXACTLY(n) AWAIT(say_read, EXACTLY, &self->reader, n)
#define SAY_LINE() AWAIT(say_read, LINE, &self->reader)
#define SAY_UNTIL(text, size)                                                 \
    AWAIT(say_read, UNTIL, &self->reader, 0, { text, size })

/* What each test's coroutine has. */
#define WITH_READER(name)                                                     \
    struct name {                                                             \
        ASYNC_FRAME;                                                          \
        async_stream_reader reader;                                           \
        async_task *task;                                                     \
        async_bytes bytes, next;                                              \
        int i;                                                                \
        char memory[8];                                                       \
    };                                                                        \
    static ASYNC(name)
#define BEGIN_READER(buffer, limit)                                           \
    async_stream_reader_init(&self->reader, async_loop_of(co), (buffer),      \
                             (limit))
#define END_READER() async_stream_reader_destroy(&self->reader)

/* --- what reads give ------------------------------------------------------- */

WITH_READER(lines)
{
    ASYNC_BEGIN(lines);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "one\ntwo\n\nlast");
    async_stream_reader_feed_eof(&self->reader);
    for (self->i = 0; self->i < 6; self->i++) SAY_LINE();
    END_READER();
    ASYNC_END;
}
static void lines_come_one_by_one_and_at_the_end_nothing(void **s)
{
    (void)s;
    run(CO(lines));
    assert_said("<one\n> <two\n> <\n> <last> <> <>");
}

WITH_READER(pieces)
{
    ASYNC_BEGIN(pieces);
    BEGIN_READER(NULL, 0);
    self->task = async_create_task(CO(say_read, LINE, &self->reader));
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT(async_sleep, 0);
        feed(&self->reader, "ab");
    }
    say("fed");
    feed(&self->reader, "c\nd");
    AWAIT_JOIN(self->task);
    SAY_READ(9);
    END_READER();
    ASYNC_END;
}
static void a_line_may_come_in_pieces(void **s)
{
    (void)s;
    run(CO(pieces));
    assert_said("fed <abababc\n> <d>");
}

WITH_READER(split_separator)
{
    ASYNC_BEGIN(split_separator);
    BEGIN_READER(NULL, 0);
    self->task =
        async_create_task(CO(say_read, UNTIL, &self->reader, 0, { "END", 3 }));
    AWAIT(async_sleep, 0);
    feed(&self->reader, "xxEN");
    AWAIT(async_sleep, 0);
    feed(&self->reader, "EEN");
    AWAIT(async_sleep, 0);
    feed(&self->reader, "Dy");
    AWAIT_JOIN(self->task);
    SAY_READ(9);
    END_READER();
    ASYNC_END;
}
static void a_separator_may_come_in_pieces(void **s)
{
    (void)s;
    run(CO(split_separator));
    assert_said("<xxENEEND> <y>");
}

WITH_READER(at_most)
{
    ASYNC_BEGIN(at_most);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "abcdef");
    SAY_READ(0);
    SAY_READ(4);
    SAY_READ(4);
    async_stream_reader_feed_eof(&self->reader);
    SAY_READ(4);
    END_READER();
    ASYNC_END;
}
static void a_read_gives_what_is_there_and_at_most_what_was_asked_for(void **s)
{
    (void)s;
    run(CO(at_most));
    assert_said("<> <abcd> <ef> <>");
}

WITH_READER(until_eof)
{
    ASYNC_BEGIN(until_eof);
    BEGIN_READER(NULL, 4);
    self->task =
        async_create_task(CO(say_read, READ, &self->reader, ASYNC_UNTIL_EOF));
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT(async_sleep, 0);
        feed(&self->reader, "0123456789");
    }
    async_stream_reader_feed_eof(&self->reader);
    AWAIT_JOIN(self->task);
    say("%d", async_stream_reader_at_eof(&self->reader));
    END_READER();
    ASYNC_END;
}
static void until_the_end_it_reads_all_whatever_the_limit(void **s)
{
    (void)s;
    run(CO(until_eof));
    assert_said("<012345678901234567890123456789> 1");
}

WITH_READER(incomplete)
{
    ASYNC_BEGIN(incomplete);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "abc");
    async_stream_reader_feed_eof(&self->reader);
    SAY_EXACTLY(5);
    self->bytes = async_stream_reader_partial(&self->reader);
    say("%.*s", (int)self->bytes.size, self->bytes.data);
    SAY_EXACTLY(0);
    SAY_EXACTLY(1);
    self->bytes = async_stream_reader_partial(&self->reader);
    say("%d", (int)self->bytes.size);
    END_READER();
    ASYNC_END;
}
static void too_early_an_end_is_an_error_that_has_the_rest(void **s)
{
    (void)s;
    run(CO(incomplete));
    assert_said("ASYNC_EINCOMPLETE abc <> ASYNC_EINCOMPLETE 0");
}

WITH_READER(too_long)
{
    ASYNC_BEGIN(too_long);
    BEGIN_READER(NULL, 4);
    feed(&self->reader, "abcd\nabcde\nfg\nhijklmnop");
    SAY_LINE();
    SAY_UNTIL("\n", 1);
    say("%d", (int)async_stream_reader_consumed(&self->reader));
    SAY_LINE();
    SAY_LINE();
    SAY_LINE();
    async_stream_reader_feed_eof(&self->reader);
    SAY_LINE();
    END_READER();
    ASYNC_END;
}
static void a_line_above_the_limit_is_dropped_and_the_next_is_read(void **s)
{
    (void)s;
    run(CO(too_long));
    assert_said("<abcd\n> ASYNC_ELIMIT 5 ASYNC_ELIMIT <fg\n> ASYNC_ELIMIT <>");
}

WITH_READER(empty_separator)
{
    ASYNC_BEGIN(empty_separator);
    BEGIN_READER(NULL, 0);
    SAY_UNTIL("", 0);
    END_READER();
    ASYNC_END;
}
static void an_empty_separator_is_refused(void **s)
{
    (void)s;
    run(CO(empty_separator));
    assert_said("ASYNC_EINVAL");
}

/* --- who waits ------------------------------------------------------------- */

WITH_READER(cancelled)
{
    ASYNC_BEGIN(cancelled);
    BEGIN_READER(NULL, 0);
    self->task = async_create_task(CO(say_read, LINE, &self->reader));
    AWAIT(async_sleep, 0);
    feed(&self->reader, "kept");
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    feed(&self->reader, "\n");
    SAY_LINE();
    END_READER();
    ASYNC_END;
}
static void a_read_that_is_cancelled_takes_nothing(void **s)
{
    (void)s;
    run(CO(cancelled));
    assert_said("ASYNC_ECANCELED <kept\n>");
}

WITH_READER(second)
{
    ASYNC_BEGIN(second);
    BEGIN_READER(NULL, 0);
    self->task = async_create_task(CO(say_read, LINE, &self->reader));
    AWAIT(async_sleep, 0);
    SAY_READ(1);
    feed(&self->reader, "line\n");
    SAY_READ(1);
    AWAIT_JOIN(self->task);
    END_READER();
    ASYNC_END;
}
static void a_second_reader_is_refused_until_the_first_has_run(void **s)
{
    (void)s;
    run(CO(second));
    assert_said("ASYNC_EBUSY ASYNC_EBUSY <line\n>");
}

WITH_READER(failing)
{
    ASYNC_BEGIN(failing);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "data");
    self->task = async_create_task(CO(say_read, LINE, &self->reader));
    AWAIT(async_sleep, 0);
    async_stream_reader_set_exception(&self->reader, ASYNC_ETIMEDOUT);
    AWAIT_JOIN(self->task);
    SAY_READ(1);
    async_stream_reader_set_exception(&self->reader, 0);
    SAY_READ(4);
    END_READER();
    ASYNC_END;
}
static void an_error_ends_each_read_until_it_is_taken_back(void **s)
{
    (void)s;
    run(CO(failing));
    assert_said("ASYNC_ETIMEDOUT ASYNC_ETIMEDOUT <data>");
}

WITH_READER(closed)
{
    ASYNC_BEGIN(closed);
    BEGIN_READER(NULL, 0);
    async_stream_reader_feed_eof(&self->reader);
    say_feed(&self->reader, "x");
    END_READER();
    ASYNC_END;
}
static void behind_the_end_nothing_can_be_fed(void **s)
{
    (void)s;
    run(CO(closed));
    assert_said("feed:ASYNC_ECLOSED");
}

/* --- memory ---------------------------------------------------------------- */

WITH_READER(views)
{
    ASYNC_BEGIN(views);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "first\nsecond\n");
    AWAIT_INTO(self->bytes, async_stream_reader_readline, &self->reader);
    /* More than there is room for, and again: the line stays. */
    for (self->i = 0; self->i < 3000; self->i++)
        feed(&self->reader, "0123456");
    say("<%.*s>", (int)self->bytes.size, self->bytes.data);
    SAY_LINE();
    AWAIT_INTO(self->next, async_stream_reader_readexactly, &self->reader,
               21000);
    say("%.7s", self->next.data + 20993);
    END_READER();
    ASYNC_END;
}
static void a_line_stays_until_the_next_read_whatever_comes_meanwhile(void **s)
{
    (void)s;
    run(CO(views));
    assert_said("<first\n> <second\n> 0123456");
}

WITH_READER(fixed)
{
    ASYNC_BEGIN(fixed);
    BEGIN_READER(self->memory, sizeof self->memory);
    feed(&self->reader, "abcd\nxy");
    say_feed(&self->reader, "12");
    SAY_LINE();
    SAY_READ(1);
    say_feed(&self->reader, "1234567"); /* what was given out is in the way */
    self->task = async_create_task(CO(say_read, EXACTLY, &self->reader, 8));
    AWAIT(async_sleep, 0);
    feed(&self->reader, "1234567");
    AWAIT_JOIN(self->task);
    SAY_EXACTLY(9);
    feed(&self->reader, "12345678");
    SAY_LINE();
    say(self->reader.buffer == self->memory ? "its own" : "another");
    END_READER();
    ASYNC_END;
}
static void a_buffer_of_the_callers_is_all_that_it_ever_has(void **s)
{
    (void)s;
    run(CO(fixed));
    assert_said("feed:ASYNC_ELIMIT <abcd\n> <x> feed:ASYNC_ELIMIT <y1234567> "
                "ASYNC_ELIMIT ASYNC_ELIMIT its own");
}

struct takes { ASYNC_FRAME; async_stream_reader *reader; size_t size; };
static ASYNC(takes)
{
    ASYNC_BEGIN(takes);
    AWAIT(async_stream_reader_readexactly, self->reader, self->size);
    ASYNC_END;
}
/* Somebody waits for that much, and gets it; so many times. */
struct wait_and_feed {
    ASYNC_FRAME;
    async_stream_reader *reader;
    size_t size;
    int times;
    async_task *task;
};
static ASYNC(wait_and_feed)
{
    static const char bytes[20000];
    ASYNC_BEGIN(wait_and_feed);
    for (; self->times > 0; self->times--) {
        self->task = async_create_task(CO(takes, self->reader, self->size));
        AWAIT(async_sleep, 0);
        assert_int_equal(
            async_stream_reader_feed_data(self->reader, bytes, self->size), 0);
        AWAIT_JOIN(self->task);
    }
    say("%d", (int)self->reader->capacity);
    ASYNC_END;
}
WITH_READER(adapts)
{
    ASYNC_BEGIN(adapts);
    BEGIN_READER(NULL, 65536);
    AWAIT(wait_and_feed, &self->reader, 60, 1);
    AWAIT(wait_and_feed, &self->reader, 60, 9);
    AWAIT(wait_and_feed, &self->reader, 20000, 1);
    AWAIT(wait_and_feed, &self->reader, 20000, 2);
    AWAIT(wait_and_feed, &self->reader, 60, 2);
    AWAIT(wait_and_feed, &self->reader, 20000, 1);
    AWAIT(wait_and_feed, &self->reader, 60, 5);
    END_READER();
    ASYNC_END;
}
static void its_buffer_is_as_large_as_what_comes_makes_it(void **s)
{
    (void)s;
    run(CO(adapts));
    assert_said("4096 512 32768 32768 32768 32768 4096");
}

WITH_READER(idle)
{
    ASYNC_BEGIN(idle);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "x");
    say(self->reader.buffer != NULL ? "held" : "none");
    SAY_READ(1);
    self->task = async_create_task(CO(say_read, READ, &self->reader, 1));
    AWAIT(async_sleep, 0);
    say(self->reader.buffer != NULL ? "held" : "none");
    feed(&self->reader, "y");
    AWAIT_JOIN(self->task);
    END_READER();
    ASYNC_END;
}
static void while_nothing_comes_it_holds_no_memory(void **s)
{
    (void)s;
    run(CO(idle));
    assert_said("held <x> none <y>");
}

WITH_READER(no_memory)
{
    ASYNC_BEGIN(no_memory);
    BEGIN_READER(NULL, 0);
    feed(&self->reader, "ab");
    refuse_from = 5000;
    say(async_stream_reader_feed_data(&self->reader, "x", 5000) == ASYNC_ENOMEM
            ? "none"
            : "some");
    SAY_EXACTLY(9000);
    refuse_from = 0;
    SAY_READ(9);
    END_READER();
    ASYNC_END;
}
static void without_memory_nothing_is_lost(void **s)
{
    (void)s;
    run(CO(no_memory));
    assert_said("none ASYNC_ENOMEM <ab>");
}

/* --- pausing who feeds ----------------------------------------------------- */

static void say_switch(async_transport *transport, int on)
{
    (void)transport;
    say(on ? "on" : "off");
}
static const async_transport_functions switch_only = { NULL, NULL, NULL,
                                                       say_switch, NULL };

struct flow {
    ASYNC_FRAME;
    async_stream_reader reader;
    async_transport transport;
};
static ASYNC(flow)
{
    ASYNC_BEGIN(flow);
    BEGIN_READER(NULL, 2);
    async_transport_init(&self->transport, &switch_only, async_loop_of(co),
                         NULL);
    async_stream_reader_set_transport(&self->reader, &self->transport);
    feed(&self->reader, "1234");
    say("4");
    feed(&self->reader, "5");
    say("5");
    SAY_READ(2);
    SAY_READ(1);
    SAY_READ(2);
    END_READER();
    ASYNC_END;
}
static void above_twice_the_limit_it_pauses_the_transport(void **s)
{
    (void)s;
    run(CO(flow));
    assert_said("4 off 5 <12> on <3> <45>");
}

UNIT_MAIN(TEST(lines_come_one_by_one_and_at_the_end_nothing),
          TEST(a_line_may_come_in_pieces),
          TEST(a_separator_may_come_in_pieces),
          TEST(a_read_gives_what_is_there_and_at_most_what_was_asked_for),
          TEST(until_the_end_it_reads_all_whatever_the_limit),
          TEST(too_early_an_end_is_an_error_that_has_the_rest),
          TEST(a_line_above_the_limit_is_dropped_and_the_next_is_read),
          TEST(an_empty_separator_is_refused),
          TEST(a_read_that_is_cancelled_takes_nothing),
          TEST(a_second_reader_is_refused_until_the_first_has_run),
          TEST(an_error_ends_each_read_until_it_is_taken_back),
          TEST(behind_the_end_nothing_can_be_fed),
          TEST(a_line_stays_until_the_next_read_whatever_comes_meanwhile),
          TEST(a_buffer_of_the_callers_is_all_that_it_ever_has),
          TEST(its_buffer_is_as_large_as_what_comes_makes_it),
          TEST(while_nothing_comes_it_holds_no_memory),
          TEST(without_memory_nothing_is_lost),
          TEST(above_twice_the_limit_it_pauses_the_transport))
