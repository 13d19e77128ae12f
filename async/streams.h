/* streams.h - reading and writing a connection: lines, blocks, and drain
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     for (;;) {
 *         AWAIT_INTO(self->line, async_stream_reader_readline, reader);
 *         if (self->line.size == 0) break;
 *         async_stream_writer_write(writer, self->line.data, self->line.size);
 *         AWAIT(async_stream_writer_drain, writer);
 *     }
 *
 *   THE READER     fed by a transport, or by hand
 *   READING        read, readexactly, readuntil, readline
 *   FEEDING        what comes, and its end
 *   THE WRITER     write, drain, close
 *   PRIVATE
 *
 * async/uv/streams.h opens connections and serves them.  A reader by itself
 * needs no I/O: whoever has bytes can feed it.
 *
 * What is read stays where it is: a read gives bytes in the reader's buffer,
 * which are there until the next read begins.
 *
 * All of it belongs to the loop's thread.
 */
#ifndef CAESURA_STREAMS_H
#define CAESURA_STREAMS_H

#include "sync.h"
#include "transport.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * THE READER
 * ------------------------------------------------------------------------ */
typedef struct async_stream_reader async_stream_reader;

/* How long a line may be, unless said otherwise; the transport is paused when
 * twice that waits to be read. */
#ifndef ASYNC_STREAM_LIMIT
#if SIZE_MAX > 65535
#define ASYNC_STREAM_LIMIT 65536
#else
#define ASYNC_STREAM_LIMIT 1024
#endif
#endif

/* Begins a reader.
 *
 * buffer  NULL: the reader takes memory from the loop's allocator as it comes
 *         to need it, until async_stream_reader_destroy().  Otherwise `limit`
 *         bytes of the caller's, and it never has more.
 * limit   the longest that readline() and readuntil() give, without the
 *         separator (with it, in a buffer of the caller's); 0:
 *         ASYNC_STREAM_LIMIT
 * Counterpart: asyncio.StreamReader(limit). */
void async_stream_reader_init(async_stream_reader *reader, async_loop *loop,
                              void *buffer, size_t limit);

/* Gives its memory back.  Nobody may wait for it. */
void async_stream_reader_destroy(async_stream_reader *reader);

/* ------------------------------------------------------------------------
 * READING
 *
 * Each of these waits for what it needs and takes it out.  Its bytes lie in
 * the reader, until the next of them begins.
 *
 * Errors   ASYNC_EBUSY when another task waits for this reader; what
 *          async_stream_reader_set_exception() was told, from then on;
 *          ASYNC_ENOTASK; ASYNC_EOTHERLOOP; ASYNC_ENOMEM, and then nothing has
 *          been taken out
 * Cancel   at once; nothing has been taken out
 * ------------------------------------------------------------------------ */

/* AWAIT_INTO(bytes, async_stream_reader_read, reader, n): at least one byte and
 * at most n, or none at the end of the stream; none, too, for n 0.  With
 * ASYNC_UNTIL_EOF all that comes until the end, however much that is.
 * Errors   ASYNC_ELIMIT with ASYNC_UNTIL_EOF, when the caller's buffer is full
 * Counterpart: StreamReader.read(). */
#define ASYNC_UNTIL_EOF ((size_t)-1)
struct async_stream_reader_read {
    ASYNC_RETURNS(async_bytes);
    async_stream_reader *reader;
    size_t n;
    async_operation arrival;
};
ASYNC(async_stream_reader_read);

/* AWAIT_INTO(bytes, async_stream_reader_readexactly, reader, n)
 * Errors   ASYNC_EINCOMPLETE when the stream ends before;
 *          async_stream_reader_partial() has what there was.  ASYNC_ELIMIT when
 *          n is more than the caller's buffer.
 * Counterpart: StreamReader.readexactly(). */
struct async_stream_reader_readexactly {
    ASYNC_RETURNS(async_bytes);
    async_stream_reader *reader;
    size_t n;
    async_operation arrival;
};
ASYNC(async_stream_reader_readexactly);

/* AWAIT_INTO(bytes, async_stream_reader_readuntil, reader, separators, count):
 * what comes up to the separator, and that.  Of several the one wins that ends
 * first.
 * separators  an array of `count`, none empty, in use until this ends
 * Errors   ASYNC_EINCOMPLETE when the stream ends before, as above;
 *          ASYNC_ELIMIT when it is longer than the limit: it can be read by
 *          other means, and async_stream_reader_consumed() is how much of it
 *          is no separator; ASYNC_EINVAL for an empty one
 * Counterpart: StreamReader.readuntil(). */
struct async_stream_reader_readuntil {
    ASYNC_RETURNS(async_bytes);
    async_stream_reader *reader;
    const async_bytes *separators;
    size_t count;
    size_t searched;
    async_operation arrival;
};
ASYNC(async_stream_reader_readuntil);

/* AWAIT_INTO(line, async_stream_reader_readline, reader): a line with its
 * '\n'; the last may have none; and at the end of the stream there is nothing.
 * Errors   ASYNC_ELIMIT when it is longer than the limit, and then it, or what
 *          there is of it, is dropped
 * Counterpart: StreamReader.readline(), async for line in reader. */
struct async_stream_reader_readline {
    ASYNC_RETURNS(async_bytes);
    async_stream_reader *reader;
    size_t searched;
    async_operation arrival;
};
ASYNC(async_stream_reader_readline);

/* Whether the stream has ended and all of it has been read.
 * Counterpart: StreamReader.at_eof(). */
static inline int async_stream_reader_at_eof(const async_stream_reader *reader);

/* What there was before ASYNC_EINCOMPLETE, until the next read; and how much
 * was looked through before ASYNC_ELIMIT.
 * Counterparts: IncompleteReadError.partial, LimitOverrunError.consumed. */
static inline async_bytes
async_stream_reader_partial(const async_stream_reader *reader);
static inline size_t
async_stream_reader_consumed(const async_stream_reader *reader);

/* ------------------------------------------------------------------------
 * FEEDING
 *
 * For who has no transport; one does this by itself.
 * ------------------------------------------------------------------------ */

/* Adds a copy of the data.
 * Returns  0; ASYNC_ENOMEM, or ASYNC_ELIMIT when the caller's buffer has no
 *          room for all of it beside what the last read has given out, and
 *          then none is added; ASYNC_ECLOSED behind
 *          the end
 * Counterpart: StreamReader.feed_data(). */
int async_stream_reader_feed_data(async_stream_reader *reader,
                                  const void *data, size_t size);

/* Nothing more will come.  Counterpart: StreamReader.feed_eof(). */
void async_stream_reader_feed_eof(async_stream_reader *reader);

/* Every read fails with this error from now on; 0: none does.
 * Counterparts: StreamReader.set_exception(), StreamReader.exception(). */
void async_stream_reader_set_exception(async_stream_reader *reader, int error);
static inline int
async_stream_reader_exception(const async_stream_reader *reader);

/* What is paused when nobody reads and much has come, and resumed.
 * Counterpart: StreamReader.set_transport(). */
static inline void
async_stream_reader_set_transport(async_stream_reader *reader,
                                  async_transport *transport);

/* ------------------------------------------------------------------------
 * THE WRITER
 *
 * A connection's other direction, and its end.
 * ------------------------------------------------------------------------ */
typedef struct async_stream_writer async_stream_writer;

/* Writes without waiting: see async_transport_write().  Who writes much drains
 * behind.  Counterparts: StreamWriter.write(), writelines(). */
static inline int async_stream_writer_write(async_stream_writer *writer,
                                            const void *data, size_t size);
static inline int async_stream_writer_writelines(async_stream_writer *writer,
                                                 const async_bytes *lines,
                                                 size_t count);

/* AWAIT(async_stream_writer_drain, writer): waits while more than the
 * high-water mark is not out yet, until it is down to the low-water mark.  Of a
 * connection that is closing it waits an iteration.
 * Errors   what the connection has died of; -ECONNRESET when it is gone
 *          (without errno: ASYNC_ECLOSED)
 * Cancel   at once
 * Counterpart: StreamWriter.drain(). */
struct async_stream_writer_drain {
    ASYNC_FRAME;
    async_stream_writer *writer;
};
ASYNC(async_stream_writer_drain);

/* See async_transport_write_eof(), _close(), _is_closing().
 * Counterparts: write_eof(), can_write_eof(), close(), is_closing(). */
static inline int async_stream_writer_write_eof(async_stream_writer *writer);
static inline int
async_stream_writer_can_write_eof(const async_stream_writer *writer);
static inline void async_stream_writer_close(async_stream_writer *writer);
static inline int
async_stream_writer_is_closing(const async_stream_writer *writer);

/* AWAIT(async_stream_writer_wait_closed, writer): waits until nothing is left
 * of the connection, so that its memory may go.
 * Errors   what it has died of, if it did not end by being closed
 * Cancel   at once, of one that nobody has closed.  Else it is aborted, and the
 *          cancellation is raised when nothing is left of it.
 * Counterpart: StreamWriter.wait_closed(). */
struct async_stream_writer_wait_closed {
    ASYNC_FRAME;
    async_stream_writer *writer;
    int error;
};
ASYNC(async_stream_writer_wait_closed);

/* ========================================================================
 * PRIVATE
 *
 * The buffer:  | free | given out | not read yet | free |
 *                     ^ kept      ^ begin        ^ end   capacity
 * What has been given out must not move; it is free when a read begins.
 * ======================================================================== */
struct async_stream_reader {
    async_loop *loop;
    async_transport *transport;
    async_operation *waiter;
    char *buffer;
    char *retired; /* an older buffer, in which lies what has been given out */
    size_t capacity, retired_capacity, kept, begin, end;
    size_t usual; /* how large the next buffer is to be */
    size_t limit, consumed, incomplete;
    int error;
    unsigned char eof, paused, fixed;
    unsigned char little; /* how often a smaller one would have done */
};

struct async_stream_writer {
    async_protocol protocol; /* must be first */
    async_transport *transport;
    async_stream_reader *reader;
    async_event resumed, gone;
    int error;
    unsigned char lost;
};

/* Joins a reader and a writer to a protocol, for a transport to start. */
void async__stream_protocol_init(async_stream_writer *writer,
                                 async_stream_reader *reader,
                                 async_transport *transport);

static inline int async_stream_reader_at_eof(const async_stream_reader *reader)
{
    return reader->eof && reader->begin == reader->end;
}
static inline async_bytes
async_stream_reader_partial(const async_stream_reader *reader)
{
    async_bytes bytes;
    bytes.data = reader->buffer != NULL ? reader->buffer + reader->kept : "";
    bytes.size = reader->incomplete;
    return bytes;
}
static inline size_t
async_stream_reader_consumed(const async_stream_reader *reader)
{
    return reader->consumed;
}
static inline int
async_stream_reader_exception(const async_stream_reader *reader)
{
    return reader->error;
}
static inline void
async_stream_reader_set_transport(async_stream_reader *reader,
                                  async_transport *transport)
{
    reader->transport = transport;
}

static inline int async_stream_writer_write(async_stream_writer *writer,
                                            const void *data, size_t size)
{
    return writer->lost ? (int)ASYNC_ECLOSED
                        : async_transport_write(writer->transport, data, size);
}
static inline int async_stream_writer_writelines(async_stream_writer *writer,
                                                 const async_bytes *lines,
                                                 size_t count)
{
    return writer->lost
               ? (int)ASYNC_ECLOSED
               : async_transport_writelines(writer->transport, lines, count);
}
static inline int async_stream_writer_write_eof(async_stream_writer *writer)
{
    return writer->lost ? (int)ASYNC_ECLOSED
                        : async_transport_write_eof(writer->transport);
}
static inline int
async_stream_writer_can_write_eof(const async_stream_writer *writer)
{
    return async_transport_can_write_eof(writer->transport);
}
static inline void async_stream_writer_close(async_stream_writer *writer)
{
    if (!writer->lost) async_transport_close(writer->transport);
}
static inline int
async_stream_writer_is_closing(const async_stream_writer *writer)
{
    return writer->lost || async_transport_is_closing(writer->transport);
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_STREAMS_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_STREAMS_IMPLEMENTED)
#define CAESURA_STREAMS_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- the buffer ---------------------------------------------------------- */

enum {
#if SIZE_MAX > 65535
    ASYNC__READER_FIRST = 4096, /* the first buffer that it allocates */
    ASYNC__READER_ROOM = 512,   /* less is not worth a call to the system */
#else
    ASYNC__READER_FIRST = 64,
    ASYNC__READER_ROOM = 16,
#endif
    ASYNC__READER_PATIENCE = 4
};

void async_stream_reader_init(async_stream_reader *reader, async_loop *loop,
                              void *buffer, size_t limit)
{
    memset(reader, 0, sizeof *reader);
    reader->loop = loop;
    reader->limit = limit > 0 ? limit : ASYNC_STREAM_LIMIT;
    reader->usual = ASYNC__READER_FIRST;
    if (buffer != NULL) {
        reader->buffer = (char *)buffer;
        reader->capacity = reader->limit;
        reader->fixed = 1;
    }
}

#ifdef ASYNC_STATIC_ONLY
#define ASYNC__READER_RELEASE(reader, memory, size) ((void)0)
#else
#define ASYNC__READER_RELEASE(reader, memory, size)                           \
    async__release((reader)->loop, (memory), (size))
#endif

static void async__reader_forget_retired(async_stream_reader *reader)
{
    if (reader->retired != NULL)
        ASYNC__READER_RELEASE(reader, reader->retired,
                              reader->retired_capacity);
    reader->retired = NULL;
}

void async_stream_reader_destroy(async_stream_reader *reader)
{
    async__reader_forget_retired(reader);
    if (reader->buffer != NULL && !reader->fixed)
        ASYNC__READER_RELEASE(reader, reader->buffer, reader->capacity);
    reader->buffer = NULL;
    reader->capacity = reader->kept = reader->begin = reader->end = 0;
}

#ifndef ASYNC_STATIC_ONLY
/* The next buffer is as large as this one has grown; or an eighth, where that
 * has been enough for some time: the buffers of thousands are to fit the
 * cache. */
static void async__reader_adapt(async_stream_reader *reader)
{
    size_t less = reader->capacity / 8;
    if (less < ASYNC__READER_ROOM) less = ASYNC__READER_ROOM;
    reader->usual = reader->capacity;
    if (reader->end > less) {
        reader->little = 0;
    } else if (reader->capacity > less &&
               ++reader->little == ASYNC__READER_PATIENCE) {
        reader->little = 0;
        reader->usual = less;
    }
}
#endif

/* What had been given out is free again. */
static void async__reader_settle(async_stream_reader *reader)
{
    async__reader_forget_retired(reader);
    reader->incomplete = 0;
    if (reader->begin == reader->end) {
#ifndef ASYNC_STATIC_ONLY
        if (reader->end > 0) async__reader_adapt(reader);
#endif
        reader->begin = reader->end = 0;
    }
    reader->kept = reader->begin;
}

#ifndef ASYNC_STATIC_ONLY
/* A buffer of `capacity` with what has not been read.  What has been given out
 * stays in the old one, unless it lies in one that is older still. */
static int async__reader_grow(async_stream_reader *reader, size_t capacity)
{
    size_t size = reader->end - reader->begin;
    char *larger = (char *)async__allocate(reader->loop, capacity);
    if (larger == NULL) return ASYNC_ENOMEM;
    if (size > 0) memcpy(larger, reader->buffer + reader->begin, size);
    if (reader->kept < reader->begin && reader->retired == NULL) {
        reader->retired = reader->buffer;
        reader->retired_capacity = reader->capacity;
    } else if (reader->buffer != NULL) {
        async__release(reader->loop, reader->buffer, reader->capacity);
    }
    reader->buffer = larger;
    reader->capacity = capacity;
    reader->kept = reader->begin = 0;
    reader->end = size;
    return 0;
}
#endif

#if ASYNC_HOSTED
#define async__move_down memmove
#else
static void async__move_down(char *to, const char *from, size_t size)
{
    while (size-- > 0) *to++ = *from++;
}
#endif

/* Makes room for `size` more bytes behind the end. */
static int async__reader_reserve(async_stream_reader *reader, size_t size)
{
    size_t held = reader->end - reader->begin, capacity = reader->capacity;
    if (capacity - reader->end >= size) return 0;
    if (capacity - held >= size && reader->kept == reader->begin) {
        async__move_down(reader->buffer, reader->buffer + reader->begin,
                         held);
        reader->kept = reader->begin = 0;
        reader->end = held;
        return 0;
    }
    if (reader->fixed) return ASYNC_ELIMIT;
#ifdef ASYNC_STATIC_ONLY
    return ASYNC_ENOMEM;
#else
    if (size > (size_t)-1 / 4 - held) return ASYNC_ENOMEM;
    if (capacity == 0) capacity = reader->usual;
    while (capacity < held + size) capacity *= 2;
    return async__reader_grow(reader, capacity);
#endif
}

/* --- flow ---------------------------------------------------------------- */

static void async__reader_wake(async_stream_reader *reader)
{
    async_operation *waiter = reader->waiter;
    if (waiter != NULL && !async_future_done(&waiter->future))
        async__finish(&waiter->future, ASYNC__FINISHED, 0);
}

static void async__reader_pause(async_stream_reader *reader)
{
    if (reader->transport == NULL || reader->paused) return;
    reader->paused = 1;
    async_transport_pause_reading(reader->transport);
}

static void async__reader_resume(async_stream_reader *reader)
{
    if (!reader->paused) return;
    reader->paused = 0;
    async_transport_resume_reading(reader->transport);
}

int async_stream_reader_feed_data(async_stream_reader *reader,
                                  const void *data, size_t size)
{
    int error;
    if (reader->eof) return ASYNC_ECLOSED;
    if (size == 0) return 0;
    error = async__reader_reserve(reader, size);
    if (error) return error;
    memcpy(reader->buffer + reader->end, data, size);
    reader->end += size;
    async__reader_wake(reader);
    if (reader->end - reader->begin > 2 * reader->limit)
        async__reader_pause(reader);
    return 0;
}

void async_stream_reader_feed_eof(async_stream_reader *reader)
{
    reader->eof = 1;
    async__reader_wake(reader);
}

void async_stream_reader_set_exception(async_stream_reader *reader, int error)
{
    reader->error = error;
    async__reader_wake(reader);
}

/* Where a transport may put what comes.  While nobody waits it fills what is
 * there, and then is paused.  When much has come for who waits, it is asked
 * again when that one has run: a buffer without room. */
static void *async__reader_get_buffer(async_stream_reader *reader,
                                      size_t *size)
{
    size_t room = reader->capacity - reader->end;
    size_t held = reader->end - reader->begin;
    int waits = reader->waiter != NULL &&
                !async_future_done(&reader->waiter->future);
    *size = 0;
    if (waits || reader->buffer == NULL ||
        (reader->waiter != NULL && held <= 2 * reader->limit)) {
        /* Twice as much is good for long lines, and for a fast peer. */
        if (room < ASYNC__READER_ROOM || room < held)
            (void)async__reader_reserve(
                reader, held < ASYNC__READER_ROOM ? (size_t)ASYNC__READER_ROOM
                        : held < reader->limit    ? held
                                                  : reader->limit);
        room = reader->capacity - reader->end;
    }
    if (room == 0 && reader->waiter != NULL && !waits && reader->buffer != NULL)
        return reader->buffer; /* it runs before the next poll */
    if (room == 0) {
        /* The transport pauses by itself. */
        reader->paused = reader->transport != NULL;
        if (waits) {
            reader->error = reader->fixed ? 0 : (int)ASYNC_ENOMEM;
            async__reader_wake(reader);
        }
        return NULL;
    }
    *size = room;
    return reader->buffer + reader->end;
}

static void async__reader_buffer_updated(async_stream_reader *reader,
                                         size_t size)
{
    reader->end += size;
    async__reader_wake(reader);
}

/* --- reading ------------------------------------------------------------- */

/* Begins a read; 0 or an error. */
static int async__reader_enter(async_stream_reader *reader, const async *co)
{
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co) != reader->loop) return ASYNC_EOTHERLOOP;
    if (reader->waiter != NULL) return ASYNC_EBUSY;
    async__reader_settle(reader);
    if (reader->error) return reader->error;
    return 0;
}

static void async__reader_wait(async_stream_reader *reader,
                               async_operation *arrival)
{
    async_operation_init(arrival, reader->loop, async_operation_cancelled);
    reader->waiter = arrival;
    /* A connection on which nothing comes needs no buffer. */
    if (reader->begin == reader->end && !reader->fixed &&
        reader->buffer != NULL) {
        ASYNC__READER_RELEASE(reader, reader->buffer, reader->capacity);
        reader->buffer = NULL;
        reader->capacity = reader->kept = reader->begin = reader->end = 0;
    }
    async__reader_resume(reader);
}

/* Takes `size` bytes out, and gives them. */
static async_bytes async__reader_take(async_stream_reader *reader, size_t size)
{
    async_bytes bytes;
    bytes.data = reader->buffer != NULL ? reader->buffer + reader->begin : "";
    bytes.size = size;
    reader->begin += size;
    if (reader->end - reader->begin <= reader->limit)
        async__reader_resume(reader);
    return bytes;
}

/* It has ended too early: partial() gives the rest. */
static int async__reader_cut_short(async_stream_reader *reader, size_t held)
{
    (void)async__reader_take(reader, held);
    reader->incomplete = held;
    return ASYNC_EINCOMPLETE;
}

/* Each of these looks whether a read has what it needs: then it is over, with
 * an error or with bytes. */
static int async__reader_over(async_stream_reader *reader, int *error)
{
    *error = reader->error;
    return *error != 0;
}

static int async__reader_has(async_stream_reader *reader, size_t n,
                             async_bytes *bytes, int *error)
{
    size_t held = reader->end - reader->begin;
    if (async__reader_over(reader, error)) return 1;
    if (n == ASYNC_UNTIL_EOF ? !reader->eof : held == 0 && !reader->eof) {
        if (n != ASYNC_UNTIL_EOF || !reader->fixed || held < reader->capacity)
            return 0;
        *error = ASYNC_ELIMIT;
        return 1;
    }
    *bytes = async__reader_take(reader, n < held ? n : held);
    return 1;
}

static int async__reader_has_all(async_stream_reader *reader, size_t n,
                                 async_bytes *bytes, int *error)
{
    size_t held = reader->end - reader->begin;
    if (async__reader_over(reader, error)) return 1;
    if (held >= n) {
        *bytes = async__reader_take(reader, n);
    } else if (reader->eof) {
        *error = async__reader_cut_short(reader, held);
    } else {
        /* Room for all of it at once: it will not be moved again. */
        *error = async__reader_reserve(reader, n - held);
        return *error != 0;
    }
    return 1;
}

#if ASYNC_HOSTED
#define async__find_byte memchr
#define async__same(a, b, size) (memcmp((a), (b), (size)) == 0)
#else
/* Of libc there are memcpy and memset alone. */
static const void *async__find_byte(const char *data, char byte, size_t size)
{
    for (; size > 0; size--, data++)
        if (*data == byte) return data;
    return NULL;
}
static int async__same(const char *a, const char *b, size_t size)
{
    for (; size > 0; size--)
        if (*a++ != *b++) return 0;
    return 1;
}
#endif

static const char *async__find(const char *data, size_t size,
                               const async_bytes *separator)
{
    const char *end = data + size;
    if (separator->size > size) return NULL;
    end -= separator->size - 1;
    while (data < end) {
        data = (const char *)async__find_byte(data, separator->data[0],
                                              (size_t)(end - data));
        if (data == NULL ||
            async__same(data, separator->data, separator->size))
            return data;
        data++;
    }
    return NULL;
}

/* The separator that ends first: how far it is to it and behind it. */
static int async__reader_find(async_stream_reader *reader,
                              const async_bytes *separators, size_t count,
                              size_t searched, size_t *start, size_t *end)
{
    const char *data; /* of one that has no buffer nothing is held */
    size_t held = reader->end - reader->begin, i;
    *end = 0;
    if (held == 0) return 0;
    data = reader->buffer + reader->begin;
    for (i = 0; i < count && searched < held; i++) {
        const char *found =
            async__find(data + searched, held - searched, &separators[i]);
        size_t behind = found == NULL
                            ? 0
                            : (size_t)(found - data) + separators[i].size;
        if (found != NULL && (*end == 0 || behind < *end)) {
            *start = (size_t)(found - data);
            *end = behind;
        }
    }
    return *end != 0;
}

static int async__reader_has_separator(async_stream_reader *reader,
                                       const async_bytes *separators,
                                       size_t count, size_t *searched,
                                       async_bytes *bytes, int *error)
{
    size_t held = reader->end - reader->begin, longest = 0, start, end, i;
    if (async__reader_over(reader, error)) return 1;
    if (async__reader_find(reader, separators, count, *searched, &start,
                           &end)) {
        if (start > reader->limit) {
            reader->consumed = start;
            *error = ASYNC_ELIMIT;
        } else {
            *bytes = async__reader_take(reader, end);
        }
        return 1;
    }
    for (i = 0; i < count; i++)
        if (separators[i].size > longest) longest = separators[i].size;
    /* The start of one may have come. */
    *searched = held >= longest ? held - longest + 1 : 0;
    if (*searched > reader->limit ||
        (reader->fixed && held == reader->capacity && !reader->eof)) {
        reader->consumed = *searched;
        *error = ASYNC_ELIMIT;
        return 1;
    }
    if (!reader->eof) return 0;
    *error = async__reader_cut_short(reader, held);
    return 1;
}

static int async__reader_has_line(async_stream_reader *reader,
                                  size_t *searched, async_bytes *bytes,
                                  int *error)
{
    static const async_bytes newline = { "\n", 1 };
    if (!async__reader_has_separator(reader, &newline, 1, searched, bytes,
                                     error))
        return 0;
    if (*error == ASYNC_EINCOMPLETE) {
        *error = 0;
        *bytes = async_stream_reader_partial(reader);
    } else if (*error == ASYNC_ELIMIT) {
        /* The line, or all that there is. */
        size_t held = reader->end - reader->begin;
        const char *at = reader->buffer + reader->begin + reader->consumed;
        (void)async__reader_take(reader,
                                 reader->consumed < held && *at == '\n'
                                     ? reader->consumed + 1
                                     : held);
    }
    return 1;
}

/* The body of a read: `has` looks whether it is over. */
#define ASYNC__READER_READ(has)                                               \
    error = async__reader_enter(self->reader, co);                            \
    if (error) ASYNC_RAISE(error);                                            \
    while (!(has)) {                                                          \
        async__reader_wait(self->reader, &self->arrival);                     \
        ASYNC__WAIT_FOR(&self->arrival.future);                               \
        self->reader->waiter = NULL;                                          \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        ASYNC__CHECK;                                                         \
    }                                                                         \
    if (error) ASYNC_RAISE(error);                                            \
    ASYNC_RETURN(bytes)

ASYNC(async_stream_reader_read)
{
    async_bytes bytes = { "", 0 };
    int error;
    ASYNC_BEGIN(async_stream_reader_read);
    if (self->n == 0) ASYNC_RETURN(bytes);
    ASYNC__READER_READ(
        async__reader_has(self->reader, self->n, &bytes, &error));
    ASYNC_END;
}

ASYNC(async_stream_reader_readexactly)
{
    async_bytes bytes = { "", 0 };
    int error;
    ASYNC_BEGIN(async_stream_reader_readexactly);
    if (self->n == 0) ASYNC_RETURN(bytes);
    ASYNC__READER_READ(
        async__reader_has_all(self->reader, self->n, &bytes, &error));
    ASYNC_END;
}

static int async__separators_are_valid(const async_bytes *separators,
                                       size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        if (separators[i].size == 0) return 0;
    return count > 0;
}

ASYNC(async_stream_reader_readuntil)
{
    async_bytes bytes = { "", 0 };
    int error;
    ASYNC_BEGIN(async_stream_reader_readuntil);
    if (!async__separators_are_valid(self->separators, self->count))
        ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC__READER_READ(async__reader_has_separator(
        self->reader, self->separators, self->count, &self->searched, &bytes,
        &error));
    ASYNC_END;
}

ASYNC(async_stream_reader_readline)
{
    async_bytes bytes = { "", 0 };
    int error;
    ASYNC_BEGIN(async_stream_reader_readline);
    ASYNC__READER_READ(async__reader_has_line(self->reader, &self->searched,
                                              &bytes, &error));
    ASYNC_END;
}

/* --- the protocol between a transport and the two ------------------------ */

static async_stream_writer *async__writer_of(async_protocol *protocol)
{
    return (async_stream_writer *)(void *)protocol;
}

static void *async__stream_get_buffer(async_protocol *protocol, size_t *size)
{
    return async__reader_get_buffer(async__writer_of(protocol)->reader, size);
}

static int async__stream_buffer_updated(async_protocol *protocol, size_t size)
{
    async__reader_buffer_updated(async__writer_of(protocol)->reader, size);
    return 0;
}

static int async__stream_eof_received(async_protocol *protocol)
{
    async_stream_reader_feed_eof(async__writer_of(protocol)->reader);
    return 1;
}

static void async__stream_pause_writing(async_protocol *protocol)
{
    async_event_clear(&async__writer_of(protocol)->resumed);
}

static void async__stream_resume_writing(async_protocol *protocol)
{
    async_event_set(&async__writer_of(protocol)->resumed);
}

static void async__stream_connection_lost(async_protocol *protocol, int error)
{
    async_stream_writer *writer = async__writer_of(protocol);
    writer->lost = 1;
    writer->error = error;
    if (error)
        async_stream_reader_set_exception(writer->reader, error);
    else
        async_stream_reader_feed_eof(writer->reader);
    writer->reader->transport = NULL;
    writer->reader->paused = 0;
    async_event_set(&writer->resumed);
    async_event_set(&writer->gone);
}

void async__stream_protocol_init(async_stream_writer *writer,
                                 async_stream_reader *reader,
                                 async_transport *transport)
{
    static const async_protocol_callbacks callbacks = {
        NULL, NULL, async__stream_eof_received, async__stream_connection_lost,
        async__stream_pause_writing, async__stream_resume_writing,
        async__stream_get_buffer, async__stream_buffer_updated
    };
    writer->protocol.callbacks = &callbacks;
    writer->protocol.at_once = 1;
    writer->transport = transport;
    writer->reader = reader;
    writer->error = 0;
    writer->lost = 0;
    async_event_init(&writer->resumed);
    async_event_init(&writer->gone);
    async_event_set(&writer->resumed);
    reader->transport = transport;
}

/* --- the writer ---------------------------------------------------------- */

#ifdef ECONNRESET
#define ASYNC__CONNECTION_LOST -ECONNRESET
#else
#define ASYNC__CONNECTION_LOST ASYNC_ECLOSED
#endif

ASYNC(async_stream_writer_drain)
{
    ASYNC_BEGIN(async_stream_writer_drain);
    if (self->writer->reader->error)
        ASYNC_RAISE(self->writer->reader->error);
    /* A connection that is lost in this moment gets to say so. */
    if (async_stream_writer_is_closing(self->writer))
        ASYNC_AWAIT(async_sleep, 0);
    /* Mostly it need not wait, and saves a frame. */
    if (!async_event_is_set(&self->writer->resumed))
        ASYNC_AWAIT(async_event_wait, &self->writer->resumed);
    if (self->writer->lost)
        ASYNC_RAISE(self->writer->error ? self->writer->error
                                        : (int)ASYNC__CONNECTION_LOST);
    ASYNC_END;
}

ASYNC(async_stream_writer_wait_closed)
{
    ASYNC_BEGIN(async_stream_writer_wait_closed);
    ASYNC_TRY {
        ASYNC_AWAIT(async_event_wait, &self->writer->gone);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        self->error = ASYNC_ECANCELED;
    } ASYNC_END_TRY
    if (self->error) {
        if (async_stream_writer_is_closing(self->writer)) {
            if (!self->writer->lost)
                async_transport_abort(self->writer->transport);
            while (!self->writer->lost) {
                ASYNC_TRY {
                    ASYNC_AWAIT(async_event_wait, &self->writer->gone);
                } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                    /* It does not take long. */
                } ASYNC_END_TRY
            }
        }
        ASYNC_RAISE(self->error);
    }
    if (self->writer->error) ASYNC_RAISE(self->writer->error);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
