/* debug.h - debug mode: slow steps, wrong threads, what was never awaited
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * asyncio's debug mode, and what C needs beside.  It is off until
 *
 *   - the program calls async_loop_set_debug(loop, 1), or
 *   - it runs with ASYNC_DEBUG=1 in its environment, if this header is
 *     included where ASYNC_IMPLEMENTATION is defined, or
 *   - all of it was compiled with -DASYNC_DEBUG, and then this header is there
 *     by itself.  (ASYNC_DEBUG=0 in the environment is off again.)
 *
 * What it does:
 *
 *   slow steps      A step of a task, or a callback, that takes 100 ms or more
 *                   is reported to the exception handler: "Executing <Task-2
 *                   crunch, waits at crunch.c:41, went on at crunch.c:38> took
 *                   0.250 seconds"
 *   wrong threads   What makes something ready (call_soon, create_task,
 *                   set_result, cancel) from another thread than the one that
 *                   runs the loop is a trap: "a loop was used from another
 *                   thread than the one that runs it: use
 *                   async_loop_call_soon_threadsafe()".  On a loop that it
 *                   borrows from the program, only while its tasks run
 *   dead stack      async_loop_set_scribble(): what a body keeps on the native
 *                   stack across an await is overwritten, so it shows at once
 *   with -DASYNC_DEBUG alone:
 *   never awaited   A coroutine object that nobody has taken by the end of the
 *                   step in which it was made: "a coroutine was never awaited:
 *                   fetch (made at main.c:12)"
 *   place           Reports of tasks ("Task exception was never retrieved",
 *                   "Task was destroyed but it is pending!") tell where the
 *                   task was made.  An object takes 16 bytes more, a task none
 *
 * Counters and warnings (watch.h) are there, too.  The price is some 100 ns a
 * step.
 *
 *   SWITCHES
 *   SLOW STEPS
 *   DEAD STACK
 *   PRIVATE
 *
 * Threads: all of it belongs to the loop's thread.  For hosts.
 */
#ifndef CAESURA_DEBUG_H
#define CAESURA_DEBUG_H

#include "watch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * SWITCHES
 * ------------------------------------------------------------------------ */

/* Turns debug mode on or off; inside a task, from the next iteration that
 * follows a poll.
 * Returns  0; ASYNC_ENOMEM, ASYNC_ELOOPCLOSED
 * Counterparts: loop.set_debug(), loop.get_debug(); PYTHONASYNCIODEBUG is
 * ASYNC_DEBUG. */
int async_loop_set_debug(async_loop *loop, int on);
int async_loop_get_debug(const async_loop *loop);

/* ------------------------------------------------------------------------
 * SLOW STEPS
 * ------------------------------------------------------------------------ */

/* From how long on a step is reported; ASYNC_MS(100) by default.  Does nothing
 * when debug mode is off.
 * Counterpart: loop.slow_callback_duration. */
void async_loop_set_slow_callback_duration(async_loop *loop,
                                           async_duration duration);
async_duration async_loop_get_slow_callback_duration(const async_loop *loop);

/* ------------------------------------------------------------------------
 * DEAD STACK
 * ------------------------------------------------------------------------ */

/* Fills so many bytes of the native stack behind each step, 0xDB each; 0, the
 * default, leaves them.  A local array that was filled before an await and is
 * read behind it (the compiler does not see that) then holds rubbish at once,
 * and not only when something else has run in between.  4096 is enough for
 * most bodies.  (With AddressSanitizer's detect_stack_use_after_return=1
 * locals are not on the native stack; it finds the mistake itself.)
 * Does nothing when debug mode is off. */
void async_loop_set_scribble(async_loop *loop, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_DEBUG_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_DEBUG_IMPLEMENTED)
#define CAESURA_DEBUG_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- reports ------------------------------------------------------------- */

/* Volatile, so that nobody finds that it is for nothing. */
static ASYNC__NOINLINE void async__debug_scribble(size_t bytes)
{
    volatile char dead[1024];
    size_t i;
    for (i = 0; i < sizeof dead; i++) dead[i] = (char)0xdb;
    /* Not the last thing that it does, so that it is no loop. */
    if (bytes > sizeof dead) async__debug_scribble(bytes - sizeof dead);
    dead[0] = (char)0xdb;
}

static void async__debug_slow(async__look *watch,
                              const async__step_seen *step)
{
    char title[96], text[400], at[120] = "", from[120] = "";
    async_exception_context context;
    double took = (double)(step->ended - step->began) / 1e9;
    memset(&context, 0, sizeof context);
    if (step->who != NULL) {
        const async_task *task = step->who->task;
        async__waits_at where;
        async__look_title(step->who, title, sizeof title);
        if (step->who->state == ASYNC__SEEN_DONE) {
            snprintf(at, sizeof at, ", which has ended");
        } else {
            async__look_where(task->co, &where);
            snprintf(at, sizeof at, ", waits at %s:%d",
                     async__look_base(where.file), where.line);
        }
        if (step->line > 0)
            snprintf(from, sizeof from, ", went on at %s:%d",
                     async__look_base(step->file), step->line);
        else
            snprintf(from, sizeof from, ", in its first step");
    } else {
        snprintf(title, sizeof title, "%s",
                 step->kind == ASYNC__BY_TIMER ? "a timer" : "a callback");
    }
    snprintf(text, sizeof text, "Executing <%s%s%s> took %.3f seconds", title,
             at, from, took);
    context.message = text;
    async_loop_call_exception_handler(watch->loop, &context);
}

#ifdef ASYNC_DEBUG
static void async__debug_objects(async__look *watch)
{
    unsigned i;
    for (i = 0; i < ASYNC__OBJECTS; i++) {
        async__object_note *note = &async__objects[i];
        async_exception_context context;
        if (note->serial == 0) continue;
        if ((int)(note->serial - watch->objects) <= 0) continue;
        note->serial = 0;
        memset(&context, 0, sizeof context);
        context.message = "a coroutine was never awaited";
        if (note->start != NULL) context.name = async__name_of(note->start);
        context.file = note->at.file;
        context.line = note->at.line;
        async_loop_call_exception_handler(watch->loop, &context);
    }
}
#endif

static void async__debug_step_over(async__look *watch,
                                   const async__step_seen *step)
{
    if (watch->scribble > 0) async__debug_scribble(watch->scribble);
    if (step->ended - step->began >= watch->slow)
        async__debug_slow(watch, step);
#ifdef ASYNC_DEBUG
    if (async__objects_made != watch->objects) async__debug_objects(watch);
    watch->objects = async__objects_made;
#endif
}

/* --- switches ------------------------------------------------------------ */

int async_loop_get_debug(const async_loop *loop)
{
    const async__look *watch = async__look_of(loop);
    return watch != NULL && watch->debug;
}

int async_loop_set_debug(async_loop *loop, int on)
{
    async__look *watch = async__look_of(loop);
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    if (on && (watch == NULL || !watch->debug)) {
        watch = async__look_begin(loop);
        if (watch == NULL) return ASYNC_ENOMEM;
        watch->debug = watch->checks = 1;
        watch->slow = ASYNC_MS(100);
        watch->step_over = async__debug_step_over;
#ifdef ASYNC_DEBUG
        watch->objects = async__objects_made;
#endif
    } else if (!on && watch != NULL && watch->debug) {
        watch->debug = watch->checks = 0;
        watch->scribble = 0;
        watch->step_over = NULL;
        if (loop->kick == async__look_touched) loop->kick = NULL;
        async_loop_unwatch(loop);
    }
    return 0;
}

void async_loop_set_slow_callback_duration(async_loop *loop,
                                           async_duration duration)
{
    async__look *watch = async__look_of(loop);
    if (watch != NULL) watch->slow = duration;
}

async_duration async_loop_get_slow_callback_duration(const async_loop *loop)
{
    const async__look *watch = async__look_of(loop);
    return watch != NULL && watch->debug ? watch->slow : ASYNC_MS(100);
}

void async_loop_set_scribble(async_loop *loop, size_t bytes)
{
    async__look *watch = async__look_of(loop);
    if (watch != NULL && watch->debug) watch->scribble = bytes;
}

/* --- the environment ----------------------------------------------------- */

/* A loop that has just been made is not whole yet: debug mode begins with its
 * first turn, or its first task. */
static void async__debug_begin_turn(async_loop *loop, int waited);
static void async__debug_begin_made(async_loop *loop, async_task *task);
static void async__debug_untouched(async_loop *loop)
{
    (void)loop;
}
static const char *async__debug_no_place(const async_loop *loop,
                                         const async_future *future, int *line,
                                         async_time *since)
{
    (void)loop, (void)future, (void)line;
    if (since != NULL) *since = ASYNC_NO_WAIT;
    return NULL;
}
static const async__onlooker async__debug_later = {
    async__debug_begin_turn, async__debug_untouched, async__debug_begin_made,
    async__debug_no_place, async__debug_untouched
};

static void async__debug_begin(async_loop *loop)
{
    const char *bytes = getenv("ASYNC_DEBUG_SCRIBBLE");
    loop->onlooker = NULL;
    if (async_loop_set_debug(loop, 1) == 0 && bytes != NULL)
        async_loop_set_scribble(loop, (size_t)strtoul(bytes, NULL, 0));
}
static void async__debug_begin_turn(async_loop *loop, int waited)
{
    async__debug_begin(loop);
    if (loop->onlooker != NULL)
        loop->onlooker->turn(loop, waited);
    else
        loop->attend |= ASYNC__POLL; /* no memory: the next one is as always */
}
static void async__debug_begin_made(async_loop *loop, async_task *task)
{
    async__debug_begin(loop);
    if (loop->onlooker != NULL) loop->onlooker->made(loop, task);
}

static void async__debug_loop_made(async_loop *loop)
{
    loop->onlooker = &async__debug_later;
}

__attribute__((constructor)) static void async__debug_environment(void)
{
    const char *value = getenv("ASYNC_DEBUG");
#ifdef ASYNC_DEBUG
    int on = value == NULL || strcmp(value, "0") != 0;
#else
    int on = value != NULL && *value != '\0' && strcmp(value, "0") != 0;
#endif
    if (on) async__loop_made = async__debug_loop_made;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
