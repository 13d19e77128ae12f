/* watch.h - what each task has done: counters, and warnings in words
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     async_loop_watch(loop);
 *     ...
 *     async_task_get_counters(task, &counters);
 *     printf("%u steps\n", (unsigned)counters.steps);
 *     async_watch_warnings(loop, ASYNC_MS(100), put, NULL);
 *
 * Nothing of this is compiled into what runs tasks: who watches a loop runs its
 * turns in the loop's place, and looks at the ready queue behind each step.
 * What a program pays for a loop that is not watched is one comparison an
 * iteration.
 *
 *   WATCHING           on and off
 *   COUNTERS           of a task, of the loop
 *   WARNINGS           what looks wrong, as text
 *   PRIVATE
 *
 * debug.h (debug mode) and trace.h (the timeline) stand on this, and watch the
 * loop by themselves.
 *
 * How exact it is.  The clock is read once a step, behind it; so a step begins
 * when the one before has ended, and what the loop does between the two belongs
 * to it.  A task counts as ready from the end of the step that has woken it:
 * before, it could not have run.  The first step of an eager task belongs to
 * the step in which it was made.
 *
 * Threads: all of it belongs to the loop's thread.  For hosts; not with
 * ASYNC_STATIC_ONLY.
 */
#ifndef CAESURA_WATCH_H
#define CAESURA_WATCH_H

#include "../../task.h"

#if !ASYNC_HOSTED || defined(ASYNC_STATIC_ONLY)
#error "async/debug is for hosts"
#endif
#if ASYNC_TIME_BITS != 64
#error "async/debug needs a clock of 64 bits"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * WATCHING
 * ------------------------------------------------------------------------ */

/* Begins to watch; those tasks, too, that there are.  From anywhere in the
 * loop's thread; inside a task, from the next iteration that follows a poll.
 * Watching is counted: each call wants an unwatch.  Closing the loop ends it.
 * Returns  0; ASYNC_ENOMEM, ASYNC_ELOOPCLOSED
 * Memory   some 400 bytes, and 250 a task, from the loop's allocator; what does
 *          not get any is not counted (async_loop_counters.unwatched) */
int async_loop_watch(async_loop *loop);
void async_loop_unwatch(async_loop *loop);

/* ------------------------------------------------------------------------
 * COUNTERS
 *
 * Times are in nanoseconds (async_duration), up to the end of the last step
 * that has been run.
 * ------------------------------------------------------------------------ */
typedef struct async_task_counters {
    uint64_t steps;         /* how often it ran */
    uint64_t wakes;         /* how often something made it ready */
    uint64_t self_wakes;    /* of these, it did so itself: ASYNC_SUSPEND */
    async_duration running; /* in its steps */
    async_duration ready;   /* until its turn came */
    async_duration waiting; /* for what it awaited */
    async_duration longest; /* of its steps */
    async_time made;        /* when it was, or when watching began */
} async_task_counters;

/* Returns  0; ASYNC_EINVAL when nobody watches, or the task is not known.  One
 *          that has ended is known until other tasks need its place. */
int async_task_get_counters(const async_task *task,
                            async_task_counters *counters);

typedef struct async_loop_counters {
    uint64_t turns;           /* iterations that began with a poll */
    uint64_t steps;           /* of all tasks */
    uint64_t callbacks;       /* and timers */
    async_duration polling;   /* waiting for the system, and asking it */
    async_duration running;   /* the tasks' steps */
    async_duration calling;   /* callbacks and timers */
    uint64_t tasks;           /* that were seen */
    uint64_t unwatched;       /* for want of memory */
} async_loop_counters;

/* Returns  0; ASYNC_EINVAL when nobody watches */
int async_loop_get_counters(const async_loop *loop,
                            async_loop_counters *counters);

/* ------------------------------------------------------------------------
 * WARNINGS
 *
 * A line for each task that has not ended and looks wrong:
 *
 *     Task-3 crunch: a step took 0.250 s, up to crunch.c:41
 *     Task-4 spin: has woken itself in 998 of 1000 times
 *     Task-5 take: waits since 12.000 s (take.c:12), and Task-2, which alone
 *         has ever woken it, has ended
 *
 * The third is a guess: others may know of what it waits for.
 * ------------------------------------------------------------------------ */

/* Takes a piece of a line; the end of a line is a piece of its own, "\n". */
typedef void async_watch_put(const char *text, void *argument);

/* slow  a step at least as long is worth a warning
 * Returns  how many there were */
size_t async_watch_warnings(const async_loop *loop, async_duration slow,
                            async_watch_put *put, void *argument);

/* ========================================================================
 * PRIVATE
 *
 * In the ready queue a marker of ours stands while a step runs: what it finds
 * behind itself when that is over has been made ready by it.  So wakers are
 * known without a word of who wakes.
 * ======================================================================== */

/* Who does something now. */
enum { ASYNC__BY_NOBODY, ASYNC__BY_TASK, ASYNC__BY_CALLBACK, ASYNC__BY_TIMER,
       ASYNC__BY_POLL };
typedef struct async__subject {
    unsigned char kind;
    uint32_t number;
    async_time at; /* when it had ended */
} async__subject;

/* Where a task waits: the coroutine that does, and of the program's own the
 * innermost one's place. */
typedef struct async__waits_at {
    const char *what, *file;
    int line;
} async__waits_at;

enum { ASYNC__SEEN_WAITING, ASYNC__SEEN_READY, ASYNC__SEEN_RUNNING,
       ASYNC__SEEN_DONE };

/* A task that is known. */
typedef struct async__seen {
    const async_task *task;
    uint32_t number;
    unsigned char state, only, named;
    async_time since;      /* it has been in that state */
    async_time waited;     /* since when it waited before it became ready */
    async__subject waker;  /* of the last time */
    async_task_counters counters;
    const char *coroutine;
    const char *made_file; /* in debug mode */
    int made_line;
    int slow_line;         /* where the longest step ended */
    const char *slow_file;
    async__waits_at at;    /* kept while somebody traces */
    char name[16];
} async__seen;

/* A step, when it is over. */
typedef struct async__step_seen {
    const async__seen *who; /* NULL: a callback or the poll */
    async_time began, ended;
    int kind;
    int line; /* of the frame that began it; 0: its first step */
    const char *file;
} async__step_seen;

typedef struct async__look {
    async__onlooker calls; /* must be first */
    async_loop *loop;
    unsigned users;
    async__seen **seen;    /* a hash table */
    size_t room, known, gone;
    async_node marker;
    async_link *last;      /* of the ready queue, when the last turn ended */
    uint32_t made;         /* of the loop's tasks, when last looked at */
    async__subject now;
    async_time clock;      /* when the last step was over */
    async_loop_counters counters;
    unsigned char knows;   /* the names of the tasks that were there before */
    unsigned char checks;  /* the thread */
    /* Called behind each step, if not NULL. */
    void (*step_over)(struct async__look *watch, const async__step_seen *step);
    void (*traced)(struct async__look *watch, const async__step_seen *step);
    void (*trace_over)(struct async__look *watch);
    struct async_trace *trace;
    /* debug.h */
    async_duration slow;
    size_t scribble;
    unsigned char debug;
    unsigned objects; /* the thread's, when the step began */
} async__look;

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_WATCH_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_WATCH_IMPLEMENTED)
#define CAESURA_WATCH_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- the table of tasks -------------------------------------------------- */

static void async__look_turn(async_loop *loop, int waited);

static async__look *async__look_of(const async_loop *loop)
{
    const async__onlooker *onlooker = loop->onlooker;
    if (onlooker == NULL || onlooker->turn != async__look_turn) return NULL;
    return (async__look *)(uintptr_t)onlooker;
}

static size_t async__look_hash(const async_task *task, size_t room)
{
    uint64_t bits = (uint64_t)(uintptr_t)task >> 3;
    return (size_t)(bits * 0x9e3779b97f4a7c15u >> 32) & (room - 1);
}

/* The place of a task, or the empty one where it belongs. */
static async__seen **async__look_place(async__seen **seen, size_t room,
                                        const async_task *task)
{
    size_t at = async__look_hash(task, room);
    while (seen[at] != NULL && seen[at]->task != task)
        at = (at + 1) & (room - 1);
    return &seen[at];
}

static async__seen *async__look_find(const async__look *watch,
                                      const async_task *task)
{
    if (watch->room == 0) return NULL;
    return *async__look_place(watch->seen, watch->room, task);
}

/* A larger table, or the same without tasks that have ended: 0, or no memory. */
static int async__look_grow(async__look *watch)
{
    const async_allocator *allocator = watch->loop->allocator;
    size_t room = watch->room ? watch->room : 64, i, old = watch->room;
    async__seen **seen;
    while ((watch->known - watch->gone + 1) * 2 > room) room *= 2;
    seen = (async__seen **)allocator->allocate(allocator->context,
                                               room * sizeof *seen);
    if (seen == NULL) return ASYNC_ENOMEM;
    memset(seen, 0, room * sizeof *seen);
    watch->known = 0;
    for (i = 0; i < old; i++) {
        async__seen *one = watch->seen[i];
        if (one == NULL) continue;
        if (one->state == ASYNC__SEEN_DONE) {
            async__release(watch->loop, one, sizeof *one);
            continue;
        }
        *async__look_place(seen, room, one->task) = one;
        watch->known++;
    }
    watch->gone = 0;
    if (watch->seen != NULL)
        allocator->release(allocator->context, watch->seen,
                           old * sizeof *seen);
    watch->seen = seen;
    watch->room = room;
    return 0;
}

static void async__look_name(async__seen *seen)
{
    seen->coroutine = async_coro_name(seen->task->co);
    seen->named = seen->task->named;
    seen->name[0] = '\0';
    if (seen->named && seen->task->name != 0) {
        size_t length = strlen((const char *)seen->task->name);
        if (length >= sizeof seen->name) length = sizeof seen->name - 1;
        memcpy(seen->name, (const char *)seen->task->name, length);
        seen->name[length] = '\0';
    }
}

/* A task that was not known, or one in the memory of one that has gone. */
static async__seen *async__look_add(async__look *watch,
                                     const async_task *task)
{
    async__seen **place, *seen;
    if ((watch->known + 1) * 4 > watch->room * 3 &&
        async__look_grow(watch) != 0) {
        watch->counters.unwatched++;
        return NULL;
    }
    place = async__look_place(watch->seen, watch->room, task);
    seen = *place;
    if (seen == NULL) {
        seen = (async__seen *)async__allocate(watch->loop, sizeof *seen);
        if (seen == NULL) {
            watch->counters.unwatched++;
            return NULL;
        }
        *place = seen;
        watch->known++;
    } else {
        watch->gone--;
    }
    memset(seen, 0, sizeof *seen);
    seen->task = task;
    /* One that has a name has no number to be asked for. */
    seen->number = task->named
                       ? 0x80000000u + (uint32_t)watch->counters.tasks
                       : (uint32_t)task->name;
    seen->since = seen->waited = seen->counters.made = watch->clock;
    seen->state = ASYNC__SEEN_WAITING;
    watch->counters.tasks++;
    return seen;
}

static async__seen *async__look_know(async__look *watch,
                                      const async_task *task)
{
    async__seen *seen = async__look_find(watch, task);
    if (seen != NULL && seen->state != ASYNC__SEEN_DONE) return seen;
    return async__look_add(watch, task);
}

/* Those that were there when watching began: one of them may just be made, and
 * had no frame yet to be asked. */
static void async__look_first_names(async__look *watch)
{
    async_task *task = NULL;
    if (watch->knows) return;
    watch->knows = 1;
    while ((task = async_all_tasks(watch->loop, task)) != NULL) {
        async__seen *seen = async__look_find(watch, task);
        if (seen != NULL && seen->coroutine == NULL) async__look_name(seen);
    }
}

/* Tasks that have been made since: the last ones in the list of all. */
static void async__look_new(async__look *watch)
{
    async_loop *loop = watch->loop;
    async_link *link = loop->tasks.prev;
    uint32_t number = loop->tasks_made;
    if (watch->made == number) return;
    for (; link != &loop->tasks && number != watch->made; link = link->prev) {
        async_task *task = async__task_of_link(link);
        async__seen *seen = async__look_find(watch, task);
        if (seen == NULL || seen->state == ASYNC__SEEN_DONE)
            seen = async__look_add(watch, task);
        else if (seen->coroutine != NULL)
            break;
        if (seen != NULL) {
            async__look_name(seen);
            /* Some of them may have ended: then this is a guess. */
            if (task->named) seen->number = number;
        }
        number--;
    }
    watch->made = loop->tasks_made;
}

/* --- who is ready -------------------------------------------------------- */

static void async__look_woken(async__look *watch, async__seen *seen)
{
    if (seen->state != ASYNC__SEEN_WAITING) return;
    seen->counters.wakes++;
    seen->counters.waiting += watch->clock - seen->since;
    if (watch->now.kind == ASYNC__BY_TASK && watch->now.number == seen->number)
        seen->counters.self_wakes++;
    if (seen->counters.steps == 0)
        seen->only = 2; /* being made is no wake of this kind */
    else if (watch->now.kind != ASYNC__BY_TASK ||
             (seen->only == 1 && seen->waker.number != watch->now.number))
        seen->only = 0;
    else if (seen->only == 2)
        seen->only = 1;
    seen->waker = watch->now;
    seen->waker.at = watch->clock;
    seen->waited = seen->since;
    seen->since = watch->clock;
    seen->state = ASYNC__SEEN_READY;
}

/* Looks at what stands in the ready queue behind `link`. */
static void async__look_walk(async__look *watch, async_link *link)
{
    async_loop *loop = watch->loop;
    while (link != loop->tail) {
        async_node *node;
        link = link->next;
        node = (async_node *)(void *)link;
        if (async__is_step(node)) {
            async__seen *seen = async__look_know(
                watch, async__task_of((async *)(void *)node));
            if (seen != NULL) async__look_woken(watch, seen);
        }
    }
}

static const char *async__look_base(const char *file)
{
    const char *at;
    if (file == NULL) return "?";
    for (at = file; *at != '\0'; at++)
        if (*at == '/' || *at == '\\') file = at + 1;
    return file;
}

/* Whether a file looks like one of Caesura's headers. */
static int async__look_ours(const char *file)
{
    const char *base = async__look_base(file);
    size_t length = strlen(base);
    if (length < 2 || strcmp(base + length - 2, ".h") != 0) return 0;
    return strcmp(base, "task.h") == 0 || strncmp(file, "async/", 6) == 0 ||
           strstr(file, "/async/") != NULL;
}

/* Where a suspended coroutine stands. */
static void async__look_where(const async *co, async__waits_at *at)
{
    const async_frame *frame = async_frame_innermost(co);
    memset(at, 0, sizeof *at);
    if (frame == NULL) return;
    at->what = async_frame_name(frame);
    for (; frame != NULL; frame = async_frame_caller(frame)) {
        const char *file = async_frame_file(frame);
        if (at->file != NULL && async__look_ours(file)) continue;
        at->file = file;
        at->line = async_frame_line(frame);
        if (!async__look_ours(file)) return;
    }
}

/* --- running ------------------------------------------------------------- */

static async_time async__look_clock(async__look *watch)
{
    return watch->loop->backend->now(watch->loop);
}

/* The step of a task. */
static void async__look_task(async__look *watch, async_node *node)
{
    async *co = (async *)(void *)node;
    async_task *task = async__task_of(co);
    async__seen *seen = async__look_know(watch, task);
    async__step_seen step;
    async__waits_at at;
    memset(&at, 0, sizeof at);
    step.began = watch->clock;
    if (seen != NULL) {
        if (seen->coroutine == NULL) async__look_name(seen);
        /* One whose waker has not been seen. */
        watch->now.kind = ASYNC__BY_POLL;
        async__look_woken(watch, seen);
        seen->counters.ready += step.began - seen->since;
        seen->state = ASYNC__SEEN_RUNNING;
        if (watch->debug) async__look_where(co, &at);
    }
    step.who = seen;
    step.kind = ASYNC__BY_TASK;
    step.file = at.file;
    step.line = at.line;
    watch->now.kind = ASYNC__BY_TASK;
    watch->now.number = seen != NULL ? seen->number : 0;
    async_task_retain(task); /* so that it is there when the step is over */
    node->run(node);
    step.ended = watch->clock = async__look_clock(watch);
    watch->counters.steps++;
    watch->counters.running += step.ended - step.began;
    if (seen != NULL) {
        async_duration took = step.ended - step.began;
        seen->counters.steps++;
        seen->counters.running += took;
        seen->since = watch->clock;
        seen->state = ASYNC__SEEN_WAITING;
        if (took > seen->counters.longest) {
            seen->counters.longest = took;
            if (took >= ASYNC_MS(1) && !async_task_done(task)) {
                async__look_where(co, &at);
                seen->slow_file = at.file;
                seen->slow_line = at.line;
            }
        }
        if (async_task_done(task)) {
            seen->state = ASYNC__SEEN_DONE;
            watch->gone++;
        }
        if (task->named && !seen->named) async__look_name(seen);
        if (watch->step_over != NULL) watch->step_over(watch, &step);
        if (watch->traced != NULL) {
            watch->traced(watch, &step);
            if (!async_task_done(task)) async__look_where(co, &seen->at);
        }
    }
}

static void async__look_callback(async__look *watch, async_node *node,
                                  int kind)
{
    async__step_seen step;
    step.began = watch->clock;
    step.kind = kind;
    step.who = NULL;
    step.file = NULL;
    step.line = 0;
    watch->now.kind = (unsigned char)kind;
    watch->now.number = 0;
    node->run(node);
    step.ended = watch->clock = async__look_clock(watch);
    watch->counters.callbacks++;
    watch->counters.calling += step.ended - step.began;
    if (watch->step_over != NULL) watch->step_over(watch, &step);
    if (watch->traced != NULL) watch->traced(watch, &step);
}

/* One node, and what it has made ready. */
static void async__look_run(async__look *watch, async_node *node, int kind)
{
    async_loop *loop = watch->loop;
    async_task *task = NULL;
    async__ready_callback(loop, &watch->marker);
    if (async__is_step(node)) {
        task = async__task_of((async *)(void *)node);
        async__look_task(watch, node);
    } else {
        async__look_callback(watch, node, kind);
    }
    async__look_new(watch);
    async__look_walk(watch, &watch->marker.link);
    async__unready(loop, &watch->marker);
    async_task_release(task);
}

static void async__look_touched(async_loop *loop)
{
    const async__look *watch = async__look_of(loop);
    if (watch->checks && loop->running && async__running != loop)
        async__trap("a loop was used from another thread than the one that "
                    "runs it: use async_loop_call_soon_threadsafe()",
                    "async_loop_set_debug", "watch.h", __LINE__);
}

/* What async__turn() does behind the poll. */
static void async__look_turn(async_loop *loop, int waited)
{
    async__look *watch = async__look_of(loop);
    long budget = loop->interval;
    async__step_seen step;
    (void)waited;
    if (watch->checks) loop->kick = async__look_touched;
    step.began = watch->clock;
    step.ended = watch->clock = async__look_clock(watch);
    step.who = NULL;
    step.kind = ASYNC__BY_POLL;
    step.file = NULL;
    step.line = 0;
    watch->counters.turns++;
    watch->counters.polling += step.ended - step.began;
    if (watch->traced != NULL) watch->traced(watch, &step);
    watch->now.kind = ASYNC__BY_POLL;
    watch->now.number = 0;
    async__look_first_names(watch);
    async__look_new(watch);
    async__look_walk(watch, watch->last != NULL ? watch->last : &loop->ready);
    if (!async__list_empty(&loop->due)) {
        loop->attend = ASYNC__POLL;
        budget = 0;
    }
    while (loop->tail != &loop->ready) {
        async_link *link = async__take_ready(loop), *next;
        for (; link != NULL; link = next) {
            loop->batch = next = link->next;
            budget--;
            async__look_run(watch, (async_node *)(void *)link,
                             ASYNC__BY_CALLBACK);
            if (loop->reload) {
                loop->reload = 0;
                next = loop->batch;
            }
        }
        if ((budget <= 0 || loop->attend) && async__must_poll(loop, budget))
            break;
    }
    while (loop->due.next != &loop->due) {
        async_node *node = (async_node *)(void *)loop->due.next;
        async__unlink(&node->link);
        async__look_run(watch, node,
                         node->run == async__run_handle ? ASYNC__BY_CALLBACK
                                                        : ASYNC__BY_TIMER);
    }
    loop->current = NULL;
    /* What is behind that when the next turn begins is new; a callback may be
     * taken out, and then all of it may be. */
    watch->last = loop->tail != &loop->ready &&
                          async__is_step((async_node *)(void *)loop->tail)
                      ? loop->tail
                      : NULL;
    if (watch->checks) loop->kick = NULL;
    if (watch->users == 0) watch->calls.close(loop);
}

/* --- on and off ---------------------------------------------------------- */

static void async__look_made(async_loop *loop, async_task *task)
{
#ifdef ASYNC_DEBUG
    async__look *watch = async__look_of(loop);
    async__seen *seen = async__look_know(watch, task);
    if (seen == NULL) return;
    seen->made_file = async__made_at.file;
    seen->made_line = async__made_at.line;
#else
    (void)loop, (void)task;
#endif
}

static const char *async__look_known_place(const async_loop *loop,
                                            const async_future *future,
                                            int *line, async_time *since)
{
    const async__seen *seen = NULL;
    if ((future->kind & ASYNC__KIND_MASK) == ASYNC__TASK)
        seen = async__look_find(async__look_of(loop),
                                 (const async_task *)(const void *)future);
    if (since != NULL)
        *since = seen != NULL && seen->state != ASYNC__SEEN_DONE
                     ? seen->since
                     : ASYNC_NO_WAIT;
    if (seen == NULL) return NULL;
    if (line != NULL) *line = seen->made_line;
    return seen->made_file;
}

static void async__look_end(async_loop *loop)
{
    async__look *watch = async__look_of(loop);
    const async_allocator *allocator = loop->allocator;
    size_t i;
    if (watch->trace != NULL) watch->trace_over(watch);
    loop->onlooker = NULL;
    for (i = 0; i < watch->room; i++)
        if (watch->seen[i] != NULL)
            async__release(loop, watch->seen[i], sizeof *watch->seen[i]);
    if (watch->seen != NULL)
        allocator->release(allocator->context, watch->seen,
                           watch->room * sizeof *watch->seen);
    allocator->release(allocator->context, watch, sizeof *watch);
}

/* The watch of a loop, with one more that needs it; or NULL. */
static async__look *async__look_begin(async_loop *loop)
{
    async__look *watch = async__look_of(loop);
    async_link *link;
    uint32_t number = 0;
    if (watch == NULL) {
        if (loop->allocator == NULL) return NULL;
        watch = (async__look *)loop->allocator->allocate(
            loop->allocator->context, sizeof *watch);
        if (watch == NULL) return NULL;
        memset(watch, 0, sizeof *watch);
        watch->calls.turn = async__look_turn;
        watch->calls.touched = async__look_touched;
        watch->calls.made = async__look_made;
        watch->calls.place = async__look_known_place;
        watch->calls.close = async__look_end;
        watch->loop = loop;
        watch->clock = async__look_clock(watch);
        watch->made = loop->tasks_made;
        loop->onlooker = &watch->calls;
        for (link = loop->tasks.next; link != &loop->tasks; link = link->next) {
            const async_task *task = async__task_of_link(link);
            async__seen *seen = async__look_know(watch, task);
            number++;
            if (seen != NULL && task->named) seen->number = number;
        }
    }
    watch->users++;
    return watch;
}

int async_loop_watch(async_loop *loop)
{
    if (loop->closed) return ASYNC_ELOOPCLOSED;
    return async__look_begin(loop) != NULL ? 0 : ASYNC_ENOMEM;
}

void async_loop_unwatch(async_loop *loop)
{
    async__look *watch = async__look_of(loop);
    if (watch == NULL || watch->users == 0) return;
    /* In a turn, that looks whether anybody is left when it ends. */
    if (--watch->users == 0 && !loop->running) async__look_end(loop);
}

/* --- counters ------------------------------------------------------------ */

int async_task_get_counters(const async_task *task,
                            async_task_counters *counters)
{
    const async__look *watch = async__look_of(task->future.loop);
    const async__seen *seen;
    if (watch == NULL) return ASYNC_EINVAL;
    seen = async__look_find(watch, task);
    if (seen == NULL) return ASYNC_EINVAL;
    *counters = seen->counters;
    return 0;
}

int async_loop_get_counters(const async_loop *loop,
                            async_loop_counters *counters)
{
    const async__look *watch = async__look_of(loop);
    if (watch == NULL) return ASYNC_EINVAL;
    *counters = watch->counters;
    return 0;
}

/* --- warnings ------------------------------------------------------------ */

static void async__look_title(const async__seen *seen, char *text,
                               size_t size)
{
    const char *coroutine = seen->coroutine != NULL ? seen->coroutine : "?";
    if (seen->named)
        snprintf(text, size, "%s %s", seen->name, coroutine);
    else
        snprintf(text, size, "Task-%u %s", (unsigned)seen->number, coroutine);
}

/* Of the last waker, if it alone has ever woken it: whether it has ended. */
static int async__look_forsaken(const async__look *watch,
                                 const async__seen *seen)
{
    async_task *task = NULL;
    if (seen->state != ASYNC__SEEN_WAITING || seen->only != 1) return 0;
    if (seen->waker.number == seen->number) return 0;
    if (seen->task->co->flags & ASYNC__IS_SLEEPING &&
        seen->task->co->node.run == async__sleep_over)
        return 0;
    while ((task = async_all_tasks(watch->loop, task)) != NULL) {
        const async__seen *other = async__look_find(watch, task);
        if (other != NULL && other->number == seen->waker.number) return 0;
    }
    return 1;
}

size_t async_watch_warnings(const async_loop *loop, async_duration slow,
                            async_watch_put *put, void *argument)
{
    const async__look *watch = async__look_of(loop);
    const async_task *task = NULL;
    size_t count = 0;
    if (watch == NULL) return 0;
    while ((task = async_all_tasks(loop, task)) != NULL) {
        const async__seen *seen = async__look_find(watch, task);
        char title[96], text[320];
        async__waits_at at;
        if (seen == NULL) continue;
        async__look_title(seen, title, sizeof title);
        if (slow > 0 && seen->counters.longest >= slow) {
            snprintf(text, sizeof text, "%s: a step took %.3f s, up to %s:%d",
                     title, (double)seen->counters.longest / 1e9,
                     async__look_base(seen->slow_file), seen->slow_line);
            put(text, argument);
            put("\n", argument);
            count++;
        }
        if (seen->counters.wakes >= 50 &&
            seen->counters.self_wakes * 2 > seen->counters.wakes) {
            snprintf(text, sizeof text,
                     "%s: has woken itself in %lu of %lu times", title,
                     (unsigned long)seen->counters.self_wakes,
                     (unsigned long)seen->counters.wakes);
            put(text, argument);
            put("\n", argument);
            count++;
        }
        if (async__look_forsaken(watch, seen)) {
            async__look_where(task->co, &at);
            snprintf(text, sizeof text,
                     "%s: waits since %.3f s (%s:%d), and Task-%u, which "
                     "alone has ever woken it, has ended",
                     title, (double)(watch->clock - seen->since) / 1e9,
                     async__look_base(at.file), at.line,
                     (unsigned)seen->waker.number);
            put(text, argument);
            put("\n", argument);
            count++;
        }
    }
    return count;
}

#ifdef __cplusplus
}
#endif

#if defined(ASYNC_DEBUG) && !defined(CAESURA_DEBUG_H)
#include "debug.h"
#endif

#endif /* ASYNC_IMPLEMENTATION */
