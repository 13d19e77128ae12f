/* trace.h - the timeline of a loop, for Perfetto and chrome://tracing
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     async_trace trace;
 *     async_trace_start(&trace, loop, 100000);      the last 100,000 steps
 *     ...
 *     async_trace_stop(&trace);
 *     async_trace_write_to(&trace, file);           JSON, for ui.perfetto.dev
 *     async_trace_free(&trace);
 *
 * One track a task, and one for the loop (polls, callbacks and timers).  On a
 * task's track its time lies without gaps: "run", what it awaits by file and
 * line ("main.c:41 async_sleep"), and "ready" until its turn comes.  An arrow
 * leads from the step that has woken a task to the step that it then ran.
 *
 * Steps are kept in a ring of fixed size: recording neither blocks nor grows.
 * When it is full, the oldest go, and are counted.
 *
 * Times, what belongs to a step, and what a program pays that does not trace
 * (nothing) are watch.h's.  The sums of a task's spans are its counters, if all
 * of its life was recorded and is still in the ring.
 *
 * Threads: all of it belongs to the loop's thread.  For hosts.
 */
#ifndef CAESURA_TRACE_H
#define CAESURA_TRACE_H

#include "watch.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's; it must stay, where it is, until async_trace_free(). */
typedef struct async_trace async_trace;

/* Begins to record the steps of a loop, and to watch it.
 *
 * trace  uninitialised, or one that was freed
 * steps  how many are kept, at least 1: 128 bytes each, from the loop's
 *        allocator
 * Returns  0; ASYNC_EINVAL for 0 steps; ASYNC_EBUSY when somebody else traces
 *          the loop; ASYNC_ENOMEM, ASYNC_ELOOPCLOSED.  After an error there is
 *          nothing to free. */
int async_trace_start(async_trace *trace, async_loop *loop, size_t steps);

/* Ends that; what has been recorded stays.  Closing the loop does so, too. */
void async_trace_stop(async_trace *trace);

/* Stops, and gives its memory back: to the loop's allocator, which must still
 * be there. */
void async_trace_free(async_trace *trace);

/* How many steps, callbacks and polls were recorded, and how many of them were
 * overwritten. */
static inline uint64_t async_trace_count(const async_trace *trace);
static inline uint64_t async_trace_lost(const async_trace *trace);

/* Writes what has been recorded, as an object of Chrome's trace format, an
 * event a line.  While it still records, what tasks wait for now is there as
 * well.
 *
 * put   takes a piece of the text
 * file  its errors are ferror()'s */
void async_trace_write(const async_trace *trace, async_watch_put *put,
                       void *argument);
void async_trace_write_to(const async_trace *trace, FILE *file);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
typedef struct async__trace_entry {
    async_time waited, ready; /* since when it waited, and was ready */
    async_time began, ended;
    const char *coroutine, *what, *file;
    int line;
    uint32_t number, waker;
    unsigned char kind, woken_by; /* ASYNC__BY_* */
    unsigned char first, last, named;
    char name[16];
} async__trace_entry;

struct async_trace {
    async__look *watch; /* NULL: it has stopped */
    const async_allocator *allocator;
    async__trace_entry *ring;
    size_t room;
    uint64_t count;
    async_time start;
};

static inline uint64_t async_trace_count(const async_trace *trace)
{
    return trace->count;
}
static inline uint64_t async_trace_lost(const async_trace *trace)
{
    return trace->count > trace->room ? trace->count - trace->room : 0;
}

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_TRACE_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_TRACE_IMPLEMENTED)
#define CAESURA_TRACE_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- recording ----------------------------------------------------------- */

static void async__trace_step(async__look *watch, const async__step_seen *step)
{
    async_trace *trace = watch->trace;
    async__trace_entry *entry = &trace->ring[trace->count++ % trace->room];
    const async__seen *who = step->who;
    entry->began = step->began;
    entry->ended = step->ended;
    entry->kind = (unsigned char)step->kind;
    if (who == NULL) {
        entry->number = 0;
        return;
    }
    entry->waited = who->waited;
    entry->ready = who->waker.at;
    entry->coroutine = who->coroutine;
    entry->what = who->at.what;
    entry->file = who->at.file;
    entry->line = who->at.line;
    entry->number = who->number;
    entry->waker = who->waker.number;
    entry->woken_by = who->waker.kind;
    entry->first = who->counters.steps == 1;
    entry->last = who->state == ASYNC__SEEN_DONE;
    entry->named = who->named;
    memcpy(entry->name, who->name, sizeof entry->name);
}

static void async__trace_over(async__look *watch)
{
    watch->trace->watch = NULL;
    watch->trace = NULL;
    watch->traced = NULL;
}

int async_trace_start(async_trace *trace, async_loop *loop, size_t steps)
{
    async__look *watch = async__look_of(loop);
    size_t size = steps * sizeof *trace->ring, i;
    if (steps == 0 || size / steps != sizeof *trace->ring) return ASYNC_EINVAL;
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    if (watch != NULL && watch->trace != NULL) return ASYNC_EBUSY;
    memset(trace, 0, sizeof *trace);
    watch = async__look_begin(loop);
    if (watch == NULL) return ASYNC_ENOMEM;
    trace->allocator = loop->allocator;
    trace->ring = (async__trace_entry *)trace->allocator->allocate(
        trace->allocator->context, size);
    if (trace->ring == NULL) {
        async_loop_unwatch(loop);
        return ASYNC_ENOMEM;
    }
    trace->watch = watch;
    trace->room = steps;
    trace->start = watch->clock = async__look_clock(watch);
    watch->trace = trace;
    watch->traced = async__trace_step;
    watch->trace_over = async__trace_over;
    for (i = 0; i < watch->room; i++) {
        async__seen *seen = watch->seen[i];
        if (seen != NULL && seen->state == ASYNC__SEEN_WAITING)
            async__look_where(seen->task->co, &seen->at);
    }
    return 0;
}

void async_trace_stop(async_trace *trace)
{
    async__look *watch = trace->watch;
    if (watch == NULL) return;
    async__trace_over(watch);
    async_loop_unwatch(watch->loop);
}

void async_trace_free(async_trace *trace)
{
    async_trace_stop(trace);
    if (trace->ring != NULL)
        trace->allocator->release(trace->allocator->context, trace->ring,
                                  trace->room * sizeof *trace->ring);
    trace->ring = NULL;
    trace->room = 0;
    trace->count = 0;
}

/* --- writing ------------------------------------------------------------- */

typedef struct async__trace_out {
    async_watch_put *put;
    void *argument;
    async_time start;
    int lines;
} async__trace_out;

/* What stands within JSON's quotes. */
static void async__trace_text(async_watch_put *put, void *argument,
                              const char *text)
{
    char piece[8];
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            snprintf(piece, sizeof piece, "\\%c", c);
        else if (c < 0x20 || c > 0x7e)
            snprintf(piece, sizeof piece, "\\u%04x", c);
        else
            snprintf(piece, sizeof piece, "%c", c);
        put(piece, argument);
    }
}

/* Microseconds, with all the nanoseconds. */
static void async__trace_time(char *text, size_t size, async_time time)
{
    int64_t part = time < 0 ? -(time % 1000) : time % 1000;
    snprintf(text, size, "%s%lld.%03d", time < 0 && time > -1000 ? "-" : "",
             (long long)(time / 1000), (int)part);
}

static void async__trace_begin(async__trace_out *out, const char *phase,
                               uint32_t number)
{
    char text[80];
    snprintf(text, sizeof text, "%s\n{\"ph\":\"%s\",\"pid\":1,\"tid\":%u",
             out->lines++ ? "," : "", phase, (unsigned)number);
    out->put(text, out->argument);
}

static void async__trace_at(const async__trace_out *out, const char *what,
                            async_time time)
{
    char text[64], number[40];
    async__trace_time(number, sizeof number, time);
    snprintf(text, sizeof text, ",\"%s\":%s", what, number);
    out->put(text, out->argument);
}

static void async__trace_name(const async__trace_out *out, const char *name)
{
    out->put(",\"name\":\"", out->argument);
    async__trace_text(out->put, out->argument, name);
    out->put("\"", out->argument);
}

/* Up to its arguments, which may follow. */
static void async__trace_span(async__trace_out *out, uint32_t number,
                              const char *kind, const char *name,
                              async_time from, async_time to)
{
    async__trace_begin(out, "X", number);
    out->put(",\"cat\":\"", out->argument);
    out->put(kind, out->argument);
    out->put("\"", out->argument);
    async__trace_name(out, name);
    if (from < out->start) from = out->start;
    if (to < from) to = from;
    async__trace_at(out, "ts", from - out->start);
    async__trace_at(out, "dur", to - from);
}

static void async__trace_end(const async__trace_out *out)
{
    out->put("}", out->argument);
}

static void async__trace_track(async__trace_out *out, uint32_t number,
                               const char *name)
{
    char text[32];
    async__trace_begin(out, "M", number);
    out->put(",\"name\":\"thread_name\",\"args\":{\"name\":\"", out->argument);
    async__trace_text(out->put, out->argument, name);
    out->put("\"}}", out->argument);
    async__trace_begin(out, "M", number);
    snprintf(text, sizeof text, "%u", (unsigned)number);
    out->put(",\"name\":\"thread_sort_index\",\"args\":{\"sort_index\":",
             out->argument);
    out->put(text, out->argument);
    out->put("}}", out->argument);
}

static void async__trace_title(const async__trace_entry *entry, char *text,
                               size_t size)
{
    const char *coroutine = entry->coroutine != NULL ? entry->coroutine : "?";
    if (entry->named)
        snprintf(text, size, "%s %s", entry->name, coroutine);
    else
        snprintf(text, size, "Task-%u %s", (unsigned)entry->number, coroutine);
}

static void async__trace_await(char *text, size_t size, const char *what,
                               const char *file, int line)
{
    snprintf(text, size, "%s:%d %s", async__look_base(file), line,
             what != NULL ? what : "?");
}

/* From who has woken it, just before that ended. */
static void async__trace_arrow(async__trace_out *out,
                               const async__trace_entry *entry, uint64_t id)
{
    char text[40];
    async_time at = entry->ready - out->start;
    if (at <= 0) return;
    snprintf(text, sizeof text, ",\"id\":%llu", (unsigned long long)id);
    async__trace_begin(out, "s",
                       entry->woken_by == ASYNC__BY_TASK ? entry->waker : 0);
    out->put(",\"cat\":\"wake\",\"name\":\"wake\"", out->argument);
    out->put(text, out->argument);
    async__trace_at(out, "ts", at - 1);
    async__trace_end(out);
    async__trace_begin(out, "f", entry->number);
    out->put(",\"cat\":\"wake\",\"name\":\"wake\",\"bp\":\"e\"",
             out->argument);
    out->put(text, out->argument);
    async__trace_at(out, "ts", entry->began - out->start);
    async__trace_end(out);
}

static void async__trace_entry_out(async__trace_out *out,
                                   const async__trace_entry *entry, uint64_t id)
{
    char text[200];
    if (entry->number == 0) {
        async__trace_span(out, 0, "loop",
                          entry->kind == ASYNC__BY_POLL    ? "poll"
                          : entry->kind == ASYNC__BY_TIMER ? "timer"
                                                           : "callback",
                          entry->began, entry->ended);
        async__trace_end(out);
        return;
    }
    if (entry->first || entry->last) {
        async__trace_title(entry, text, sizeof text);
        async__trace_track(out, entry->number, text);
    }
    if (entry->what != NULL) {
        async__trace_await(text, sizeof text, entry->what, entry->file,
                           entry->line);
        async__trace_span(out, entry->number, "await", text, entry->waited,
                          entry->ready);
        async__trace_end(out);
    }
    async__trace_span(out, entry->number, "ready", "ready", entry->ready,
                      entry->began);
    if (entry->woken_by == ASYNC__BY_TASK)
        snprintf(text, sizeof text, "Task-%u", (unsigned)entry->waker);
    else
        snprintf(text, sizeof text, "%s",
                 entry->woken_by == ASYNC__BY_TIMER      ? "a timer"
                 : entry->woken_by == ASYNC__BY_CALLBACK ? "a callback"
                                                         : "the poll");
    out->put(",\"args\":{\"woken by\":\"", out->argument);
    out->put(text, out->argument);
    out->put("\"}}", out->argument);
    async__trace_span(out, entry->number, "run",
                      entry->coroutine != NULL ? entry->coroutine : "?",
                      entry->began, entry->ended);
    async__trace_end(out);
    async__trace_arrow(out, entry, id);
}

void async_trace_write(const async_trace *trace, async_watch_put *put,
                       void *argument)
{
    async__trace_out out;
    uint64_t i = async_trace_lost(trace);
    char text[200];
    out.put = put;
    out.argument = argument;
    out.start = trace->start;
    out.lines = 0;
    snprintf(text, sizeof text,
             "{\"displayTimeUnit\":\"ns\",\"otherData\":{\"lost\":%llu},"
             "\"traceEvents\":[",
             (unsigned long long)i);
    put(text, argument);
    async__trace_begin(&out, "M", 0);
    put(",\"name\":\"process_name\",\"args\":{\"name\":\"caesura\"}}",
        argument);
    async__trace_track(&out, 0, "loop");
    for (; i < trace->count; i++)
        async__trace_entry_out(&out, &trace->ring[i % trace->room], i + 1);
    if (trace->watch != NULL) {
        const async__look *watch = trace->watch;
        async_task *task = NULL;
        while ((task = async_all_tasks(watch->loop, task)) != NULL) {
            const async__seen *seen = async__look_find(watch, task);
            async__waits_at at;
            if (seen == NULL) continue;
            async__look_title(seen, text, sizeof text);
            async__trace_track(&out, seen->number, text);
            if (seen->state != ASYNC__SEEN_WAITING) continue;
            async__look_where(task->co, &at);
            async__trace_await(text, sizeof text, at.what, at.file, at.line);
            async__trace_span(&out, seen->number, "await", text, seen->since,
                              async__look_clock(watch));
            put(",\"args\":{\"open\":1}}", argument);
        }
    }
    put("\n]}\n", argument);
}

static void async__trace_put_to(const char *text, void *file)
{
    fputs(text, (FILE *)file);
}

void async_trace_write_to(const async_trace *trace, FILE *file)
{
    async_trace_write(trace, async__trace_put_to, file);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
