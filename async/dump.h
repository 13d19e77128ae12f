/* dump.h - what every task does now, as text: for a console or a UART
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     static void put(const char *text, void *argument)
 *     {
 *         (void)argument;
 *         uart_print(text);
 *     }
 *     ...
 *     async_dump_tasks(&loop.base, ASYNC_DUMP_ALL, put, NULL);
 *
 * prints a line a task:
 *
 *     shell: running; shell; stack 56 of 96, at most 96
 *     blink: sleeping until tick 1500; blink (blink.c:21); stack 16 of 16, ...
 *     count: waiting for async_lock_acquire, cancelling; count (c.c:40) > ...
 *
 * It needs no libc, no heap and no recursion; of native stack some 100 bytes on
 * AVR and 200 on Cortex-M, and what `put` takes.  Who does not include it pays
 * nothing.
 *
 *   DUMP               all tasks, one task, the tree of who awaits whom
 *   STATE              the same to ask for: state, what it waits for, stack
 *   PRIVATE
 *
 * From a task, a callback or a condition of the loop, or when it does not run;
 * not from interrupts.  The loop must stand still meanwhile: another thread's
 * is dumped by that thread (async_loop_call_soon_threadsafe), and one that runs
 * in an interrupt, with that interrupt off.
 */
#ifndef CAESURA_DUMP_H
#define CAESURA_DUMP_H

#include "../task.h"

#if ASYNC_HOSTED
#include <stdio.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * DUMP
 *
 * A line has these parts, of which the first two are always there:
 *
 * name     the task's name, if it has one ("Task-N" where there is a heap), and
 *          its coroutine's
 * state    ready; running; sleeping; waiting for what: a task, a queue, the
 *          innermost coroutine that it awaits, or, in its own, a future or an
 *          operation.  "cancelling", while async_task_cancelling() is not 0.
 *          Of a task that has ended: done, cancelled, failed and the error
 * frames   from its own coroutine inwards; of more than 16, the eight at
 *          either end.  Of a task that runs, those in which it has been
 *          suspended before: a frame that was entered since is not linked yet.
 *          (With ASYNC_STATIC_ONLY a sleep has no frame.)
 * stack    bytes of frame stack in use, of how many, and in use at most: with
 *          a static stack, what it needs.  On the heap it grows and shrinks,
 *          and may have been larger than it is.
 *
 * With ASYNC_NO_NAMES a coroutine is the address of its function, as nm and
 * addr2line have it.
 * ------------------------------------------------------------------------ */

/* Takes a piece of a line.  The end of a line is a piece of its own, "\n".  It
 * must neither await nor start, cancel or end tasks. */
typedef void async_dump_put(const char *text, void *argument);

enum {
    ASYNC_DUMP_TIMES = 1,  /* until when it sleeps: "until tick 500"; where
                            * time has 64 bits, "until 0.500 s" of the clock */
    ASYNC_DUMP_FRAMES = 2,
    ASYNC_DUMP_PLACES = 4, /* with the frames, where each is suspended:
                            * "(file.c:12)"; not while the task runs, nor
                            * before it has started.  With ASYNC_NO_NAMES the
                            * line alone */
    ASYNC_DUMP_STACK = 8,
    ASYNC_DUMP_SINCE = 16, /* for how long it has done what it does; of a loop
                            * that is watched, async/debug/watch.h */
    ASYNC_DUMP_MADE = 32,  /* where it was made, when compiled with
                            * -DASYNC_DEBUG */
    ASYNC_DUMP_ALL = 63
};

/* All tasks that have not ended, in the order of their creation; those in a
 * pool, too.
 * parts  of ASYNC_DUMP_*; 0: names and states
 * Counterpart: python -m asyncio ps. */
void async_dump_tasks(const async_loop *loop, unsigned parts,
                      async_dump_put *put, void *argument);

/* One task, which may have ended, or be storage that was never started
 * ("unused").  Counterpart: Task.print_stack(). */
void async_dump_task(const async_task *task, unsigned parts,
                     async_dump_put *put, void *argument);

/* The same as a tree: under a task stand those that it awaits, two columns
 * further in.
 *
 *     Task-1 main: waiting for async_gather
 *       Task-2 fetch: sleeping until 2.000 s
 *       Task-3 fetch: waiting for Task-4 connect
 *         Task-4 connect: waiting for async_tcp_connect
 *
 * Awaited are: a task; those of a gather, of async_wait(),
 * async_as_completed(), a selection, a shield; those of a task group or a
 * nursery whose block waits for its end.  A task that several await stands
 * under the first.  Tasks that wait for each other in a circle stand behind all
 * others, under the words
 * "in a circle:".
 * Returns  0; ASYNC_ENOMEM: then nothing was put.  On the heap it takes 32 to
 *          56 bytes a task from the loop's allocator, and gives them back; with
 *          ASYNC_STATIC_ONLY it takes none, and O(n * n) time.
 * Counterpart: python -m asyncio pstree. */
int async_dump_tree(const async_loop *loop, unsigned parts,
                    async_dump_put *put, void *argument);

#if ASYNC_HOSTED
/* To a file, stderr say, whose errors are ferror()'s. */
void async_dump_tasks_to(const async_loop *loop, unsigned parts, FILE *file);
int async_dump_tree_to(const async_loop *loop, unsigned parts, FILE *file);
#endif

/* ------------------------------------------------------------------------
 * STATE
 * ------------------------------------------------------------------------ */

/* What a task does now.  One that is starting another eagerly, and has not gone
 * on, counts as ready. */
enum {
    ASYNC_TASK_UNUSED,   /* storage that was never started */
    ASYNC_TASK_READY,    /* to run when its turn comes, or to start */
    ASYNC_TASK_RUNNING,
    ASYNC_TASK_SLEEPING,
    ASYNC_TASK_WAITING,
    ASYNC_TASK_DONE      /* by itself, cancelled or with an error */
};
int async_task_state(const async_task *task);

/* Until when it sleeps; ASYNC_FOREVER, too, when it does not. */
async_time async_task_sleeps_until(const async_task *task);

/* The future, task (&task->future) or operation that it waits for; NULL when it
 * waits for none, or in the line of a queue.  Counterpart: Task._fut_waiter. */
const async_future *async_task_waits_for(const async_task *task);

/* The task that awaits it, the first of several, as async_dump_tree() has it;
 * NULL for none. */
const async_task *async_task_awaited_by(const async_task *task);

/* Bytes of frame stack that it has now; beside async_task_stack_used() and
 * async_task_stack_high_water(). */
size_t async_task_stack_size(const async_task *task);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_DUMP_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_DUMP_IMPLEMENTED)
#define CAESURA_DUMP_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- state --------------------------------------------------------------- */

/* Of one that has ASYNC__IS_SLEEPING: whether it is a timer.  The line of a
 * queue has that flag, too, so that a cancellation takes it out in the same
 * way. */
static int async__is_timer(const async *co)
{
#ifdef ASYNC_STATIC_ONLY
    const async_loop *loop = async__loop_of_task(co);
    const async_link *link = co->node.link.next;
    /* A list by itself sleeps for ever. */
    if (link == &co->node.link) return 1;
    for (; link != &co->node.link; link = link->next)
        if (link == &loop->timers || link == &loop->ready) return 1;
    return 0;
#else
    return co->node.run == async__sleep_over;
#endif
}

int async_task_state(const async_task *task)
{
    const async *co = task->co;
    const async_future *future;
#ifdef ASYNC_STATIC_ONLY
    if (task->future.loop == NULL) return ASYNC_TASK_UNUSED;
#else
    if (co == NULL) return ASYNC_TASK_UNUSED;
#endif
    if (async_task_done(task)) return ASYNC_TASK_DONE;
    if (task->future.loop->current == co) return ASYNC_TASK_RUNNING;
    if (co->flags & ASYNC__IS_SLEEPING)
        return async__is_timer(co) ? ASYNC_TASK_SLEEPING : ASYNC_TASK_WAITING;
    future = (const async_future *)co->wait.future;
    return future != NULL && !async_future_done(future) ? ASYNC_TASK_WAITING
                                                        : ASYNC_TASK_READY;
}

async_time async_task_sleeps_until(const async_task *task)
{
    const async *co = task->co;
    if (async_task_state(task) != ASYNC_TASK_SLEEPING ||
        co->node.link.next == &co->node.link)
        return ASYNC_FOREVER;
    return co->wait.deadline;
}

const async_future *async_task_waits_for(const async_task *task)
{
    if (async_task_state(task) != ASYNC_TASK_WAITING ||
        task->co->flags & ASYNC__IS_SLEEPING)
        return NULL;
    return (const async_future *)task->co->wait.future;
}

size_t async_task_stack_size(const async_task *task)
{
    const async *co = task->co;
    size_t size;
    const char *end;
    if (async_task_state(task) == ASYNC_TASK_UNUSED) return 0;
    size = async__first_frame(task);
    end = co->end;
#ifndef ASYNC_NO_HEAP
    {
        uint32_t flags = co->flags;
        while (flags & ASYNC__IN_CHUNK) {
            const async__chunk *chunk = (const async__chunk *)(const void *)end;
            size += (size_t)(end - chunk->memory);
            end = chunk->end;
            flags = chunk->flags;
        }
    }
#endif
    return size + (size_t)(end - async__task_stack(co));
}

/* --- dump ---------------------------------------------------------------- */

typedef struct async__dump {
    async_dump_put *put;
    void *argument;
    unsigned parts;
} async__dump;

static void async__dump_text(const async__dump *to, const char *text)
{
    to->put(text, to->argument);
}

static ASYNC__NOINLINE void async__dump_number(const async__dump *to,
                                               uint32_t number)
{
    char digits[11], *first = digits + sizeof digits - 1;
    *first = '\0';
    do *--first = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    async__dump_text(to, first);
}

/* The frame that lies so far from the innermost one outwards; NULL when there
 * are not so many. */
static const async_frame *async__dump_frame_at(const async *co, size_t outwards)
{
    const async_frame *frame = async__visible(co->top);
    while (frame != NULL && outwards-- > 0) frame = async_frame_caller(frame);
    return frame;
}

static size_t async__dump_depth(const async *co)
{
    const async_frame *frame = async__visible(co->top);
    size_t depth = 0;
    for (; frame != NULL; frame = async_frame_caller(frame)) depth++;
    return depth;
}

static void async__dump_coroutine(const async__dump *to,
                                  const async_frame *frame)
{
#ifdef ASYNC_NO_NAMES
    char digits[2 + 2 * sizeof(uintptr_t) + 2];
    char *first = digits + sizeof digits - 1;
#ifdef __AVR__ /* which counts code in words, but in its tools */
    uint32_t address = (uint32_t)(uintptr_t)frame->resume * 2;
#elif defined(__thumb__) /* where bit 0 says so */
    uintptr_t address = (uintptr_t)frame->resume & ~(uintptr_t)1;
#else
    uintptr_t address = (uintptr_t)frame->resume;
#endif
    *first = '\0';
    do {
        char digit = (char)(address % 16);
        *--first = (char)(digit + (digit < 10 ? '0' : 'a' - 10));
    } while ((address /= 16) != 0);
    *--first = 'x';
    *--first = '0';
    async__dump_text(to, first);
#else
    async__dump_text(to, async_frame_name(frame));
#endif
}

/* Where it is suspended: the file without its folders. */
static void async__dump_place(const async__dump *to, const async_frame *frame)
{
#ifdef ASYNC_NO_NAMES
    async__dump_text(to, " (line ");
#else
    const char *file = async_frame_file(frame), *at;
    for (at = file; *at != '\0'; at++)
        if (*at == '/' || *at == '\\') file = at + 1;
    async__dump_text(to, " (");
    async__dump_text(to, file);
    async__dump_text(to, ":");
#endif
    async__dump_number(to, (uint32_t)async_frame_line(frame));
    async__dump_text(to, ")");
}

/* The task's name, if it has one, and its coroutine's; where there is no name,
 * `word` stands in its place. */
static void async__dump_name(const async__dump *to, const async_task *task,
                             const char *word)
{
    const async_frame *frame = NULL;
    const char *name = NULL;
    int used = async_task_state(task) != ASYNC_TASK_UNUSED;
    if (used) {
        size_t depth = async__dump_depth(task->co);
        if (depth > 0) frame = async__dump_frame_at(task->co, depth - 1);
    }
#ifndef ASYNC_STATIC_ONLY
    if (used && task->named) {
        name = (const char *)task->name;
    } else if (used) {
        async__dump_text(to, "Task-");
        async__dump_number(to, (uint32_t)task->name);
        name = "";
    }
#elif !defined(ASYNC_NO_NAMES)
    name = task->name;
#endif
    if (name != NULL) {
        async__dump_text(to, name);
        word = " ";
    }
    async__dump_text(to, word);
    if (frame != NULL)
        async__dump_coroutine(to, frame);
    else
        async__dump_text(to, "?"); /* unused, or lost when its loop closed */
}

static void async__dump_waiting(const async__dump *to, const async_task *task)
{
    const async_future *future = async_task_waits_for(task);
    int kind = ASYNC__PLAIN;
    if (future != NULL) kind = future->kind & ASYNC__KIND_MASK;
    async__dump_text(to, "waiting for ");
    if (future == NULL)
        async__dump_text(to, "a queue");
    else if (kind == ASYNC__TASK)
        async__dump_name(to, (const async_task *)(const void *)future, "task ");
    else if (async__dump_depth(task->co) > 1)
        async__dump_coroutine(to, async__dump_frame_at(task->co, 0));
    else
        async__dump_text(to, kind == ASYNC__OPERATION ? "an operation"
                                                      : "a future");
}

#if ASYNC_TIME_BITS == 64
static void async__dump_seconds(const async__dump *to, async_time time)
{
    uint32_t thousandths = (uint32_t)(time / 1000000 % 1000);
    async__dump_number(to, (uint32_t)(time / 1000000000));
    async__dump_text(to, thousandths < 10    ? ".00"
                         : thousandths < 100 ? ".0"
                                             : ".");
    async__dump_number(to, thousandths);
    async__dump_text(to, " s");
}
#endif

static void async__dump_time(const async__dump *to, async_time time)
{
    if (time == ASYNC_FOREVER) {
        async__dump_text(to, " for ever");
        return;
    }
#if ASYNC_TIME_BITS != 64
    async__dump_text(to, " until tick ");
    async__dump_number(to, time);
#else
    async__dump_text(to, " until ");
    async__dump_seconds(to, time);
#endif
}

static void async__dump_ended(const async__dump *to, const async_task *task)
{
    if (async_task_cancelled(task)) {
        async__dump_text(to, "cancelled");
    } else if (task->future.error == 0) {
        async__dump_text(to, "done");
    } else {
        const char *name = NULL;
        async__dump_text(to, "failed, ");
#if ASYNC_HOSTED /* elsewhere the names of all errors would come with it */
        name = async_error_name(task->future.error);
#endif
        if (name != NULL) {
            async__dump_text(to, name);
        } else {
            async__dump_text(to, "error -");
            async__dump_number(to, 0 - (uint32_t)task->future.error);
        }
    }
}

static void async__dump_state(const async__dump *to, const async_task *task,
                              int state)
{
    if (state == ASYNC_TASK_DONE) {
        async__dump_ended(to, task);
        return;
    }
    if (state == ASYNC_TASK_WAITING)
        async__dump_waiting(to, task);
    else
        async__dump_text(to, state == ASYNC_TASK_UNUSED    ? "unused"
                             : state == ASYNC_TASK_READY   ? "ready"
                             : state == ASYNC_TASK_RUNNING ? "running"
                                                           : "sleeping");
    if (state == ASYNC_TASK_SLEEPING && to->parts & ASYNC_DUMP_TIMES)
        async__dump_time(to, async_task_sleeps_until(task));
#ifndef ASYNC_NO_CANCEL
    if (async_task_cancelling(task)) async__dump_text(to, ", cancelling");
#endif
}

#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY) && ASYNC_TIME_BITS == 64
/* What is known of a loop that is watched. */
static void async__dump_since(const async__dump *to, const async_task *task)
{
    const async_loop *loop = task->future.loop;
    async_time since;
    if (loop->onlooker == NULL || async_task_done(task)) return;
    (void)loop->onlooker->place(loop, &task->future, NULL, &since);
    if (since == ASYNC_NO_WAIT) return;
    async__dump_text(to, ", for ");
    async__dump_seconds(to, loop->backend->now((async_loop *)(uintptr_t)loop) -
                                since);
}
static void async__dump_made(const async__dump *to, const async_task *task)
{
    const async_loop *loop = task->future.loop;
    const char *file, *at;
    int line = 0;
    if (loop->onlooker == NULL) return;
    file = loop->onlooker->place(loop, &task->future, &line, NULL);
    if (file == NULL) return;
    for (at = file; *at != '\0'; at++)
        if (*at == '/' || *at == '\\') file = at + 1;
    async__dump_text(to, "; made at ");
    async__dump_text(to, file);
    async__dump_text(to, ":");
    async__dump_number(to, (uint32_t)line);
}
#else
#define async__dump_since(to, task) ((void)0)
#define async__dump_made(to, task) ((void)0)
#endif

enum { ASYNC__DUMP_END = 8 }; /* frames at either end of a long chain */

/* A frame knows its caller alone, so each is looked for from the innermost. */
static void async__dump_frames(const async__dump *to, const async *co,
                               int places)
{
    size_t depth = async__dump_depth(co), left = depth;
    const char *before = "; ";
    while (left > 0) {
        const async_frame *frame;
        if (depth > 2 * ASYNC__DUMP_END && left == depth - ASYNC__DUMP_END) {
            async__dump_text(to, " > (");
            async__dump_number(to, (uint32_t)(left - ASYNC__DUMP_END));
            async__dump_text(to, " more)");
            left = ASYNC__DUMP_END;
        }
        frame = async__dump_frame_at(co, --left);
        async__dump_text(to, before);
        before = " > ";
        async__dump_coroutine(to, frame);
        if (places && frame->state != 0) async__dump_place(to, frame);
    }
}

void async_dump_task(const async_task *task, unsigned parts,
                     async_dump_put *put, void *argument)
{
    int state = async_task_state(task);
    async__dump dump;
    const async__dump *to = &dump;
    dump.put = put;
    dump.argument = argument;
    dump.parts = parts;
    async__dump_name(to, task, "");
    async__dump_text(to, ": ");
    async__dump_state(to, task, state);
    if (parts & ASYNC_DUMP_SINCE && state != ASYNC_TASK_UNUSED)
        async__dump_since(to, task);
    if (state != ASYNC_TASK_UNUSED) {
        if (parts & ASYNC_DUMP_FRAMES && state != ASYNC_TASK_DONE)
            async__dump_frames(to, task->co,
                               parts & ASYNC_DUMP_PLACES &&
                                   state != ASYNC_TASK_RUNNING);
        if (parts & ASYNC_DUMP_STACK) {
            async__dump_text(to, "; stack ");
            async__dump_number(to, (uint32_t)async_task_stack_used(task));
            async__dump_text(to, " of ");
            async__dump_number(to, (uint32_t)async_task_stack_size(task));
            async__dump_text(to, ", at most ");
            async__dump_number(to, (uint32_t)async_task_stack_high_water(task));
        }
        if (parts & ASYNC_DUMP_MADE) async__dump_made(to, task);
    }
    async__dump_text(to, "\n");
}

void async_dump_tasks(const async_loop *loop, unsigned parts,
                      async_dump_put *put, void *argument)
{
    const async_task *task = NULL;
    while ((task = async_all_tasks(loop, task)) != NULL)
        async_dump_task(task, parts, put, argument);
}

/* --- the tree ------------------------------------------------------------ */

/* The future that a node finishes, of those that wait for several at once.
 * Headers beyond task.h tell of theirs
 * (ASYNC__AWAITS). */
static const async_future *async__dump_waiter(const async_node *node)
{
#ifndef ASYNC_STATIC_ONLY
    if (node->run == async__child_done) {
        const async__member *child = (const async__member *)(const void *)node;
        return &child->gathering->outer.future;
    }
    if (node->run == async__until_done_wake)
        return &((const struct async__until_done
                      *)(const void *)((const char *)node -
                                       offsetof(struct async__until_done,
                                                done)))
                    ->waiter;
    if (node->run == async__shield_inner_done)
        return &((const struct async_shield
                      *)(const void *)((const char *)node -
                                       offsetof(struct async_shield,
                                                inner_done)))
                    ->outer;
#endif
    if (node->run == async__wait_done) {
        const async_waited *item =
            (const async_waited *)(const void *)((const char *)node -
                                                 offsetof(async_waited, node));
        return &((const struct async_wait *)item->owner)->waiter;
    }
    if (node->run == async__as_completed_done) {
        const async_waited *item =
            (const async_waited *)(const void *)((const char *)node -
                                                 offsetof(async_waited, node));
        return &((const struct async_as_completed *)item->owner)->waiter;
    }
#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY)
    {
        const async__awaits *known = async__all_awaits;
        for (; known != NULL; known = known->next)
            if (known->run == node->run) return known->waiter(node);
    }
#endif
    return NULL;
}

const async_task *async_task_awaited_by(const async_task *task)
{
    const async_future *future = &task->future;
    int depth = 100; /* of gathers inside gathers */
    while (future != NULL && future->state == ASYNC__PENDING && depth-- > 0) {
        const async_link *link = future->waiters.next;
        const async_future *further = NULL;
        if (link == NULL) return NULL;
        for (; link != &future->waiters && further == NULL; link = link->next) {
            const async_node *node = (const async_node *)(const void *)link;
            if (async__is_step(node))
                return (const async_task *)async__owner(
                    (const async *)(const void *)node);
            further = async__dump_waiter(node);
        }
        future = further;
    }
    return NULL;
}

static void async__dump_in(const async__dump *to, const async_task *task,
                           size_t depth)
{
    while (depth-- > 0) async__dump_text(to, "  ");
    async_dump_task(task, to->parts, to->put, to->argument);
}

#ifdef ASYNC_STATIC_ONLY
/* The next one behind `task` in the list of all that `parent` awaits. */
static const async_task *async__dump_next(const async_loop *loop,
                                          const async_task *task,
                                          const async_task *parent)
{
    while ((task = async_all_tasks(loop, task)) != NULL)
        if (async_task_awaited_by(task) == parent) return task;
    return NULL;
}

/* Whether it awaits itself, by others. */
static int async__dump_circles(const async_task *task)
{
    const async_task *slow = task, *fast = task;
    for (;;) {
        fast = async_task_awaited_by(fast);
        if (fast == NULL) return 0;
        fast = async_task_awaited_by(fast);
        if (fast == NULL) return 0;
        slow = async_task_awaited_by(slow);
        if (slow == fast) return 1;
    }
}

int async_dump_tree(const async_loop *loop, unsigned parts,
                    async_dump_put *put, void *argument)
{
    async__dump dump;
    const async_task *task = async__dump_next(loop, NULL, NULL), *next;
    const char *words = "in a circle:\n";
    size_t depth = 0;
    dump.put = put;
    dump.argument = argument;
    dump.parts = parts;
    while (task != NULL) {
        async__dump_in(&dump, task, depth);
        next = async__dump_next(loop, NULL, task);
        if (next != NULL) depth++;
        while (next == NULL) {
            const async_task *parent = async_task_awaited_by(task);
            next = async__dump_next(loop, task, parent);
            if (parent == NULL) break;
            if (next == NULL) {
                task = parent;
                depth--;
            }
        }
        task = next;
    }
    while ((task = async_all_tasks(loop, task)) != NULL)
        if (async__dump_circles(task)) {
            async__dump_text(&dump, words);
            words = "";
            async__dump_in(&dump, task, 1);
        }
    return 0;
}
#else
typedef struct async__tree {
    const async_task *task;
    uint32_t parent, child, last, next; /* by their places, from 1 */
    uint32_t shown;
} async__tree;

static uint32_t *async__tree_find(uint32_t *table, size_t room,
                                  const async__tree *tree,
                                  const async_task *task)
{
    size_t at = ((uintptr_t)task >> 3) * (size_t)2654435761u & (room - 1);
    while (table[at] != 0 && tree[table[at]].task != task)
        at = (at + 1) & (room - 1);
    return &table[at];
}

static void async__tree_show(const async__dump *to, async__tree *tree,
                             uint32_t at, size_t depth)
{
    uint32_t top = at;
    for (;;) {
        tree[at].shown = 1;
        async__dump_in(to, tree[at].task, depth);
        if (tree[at].child != 0 && !tree[tree[at].child].shown) {
            at = tree[at].child;
            depth++;
            continue;
        }
        while (at != top &&
               (tree[at].next == 0 || tree[tree[at].next].shown)) {
            at = tree[at].parent;
            depth--;
        }
        if (at == top) return;
        at = tree[at].next;
    }
}

int async_dump_tree(const async_loop *loop, unsigned parts,
                    async_dump_put *put, void *argument)
{
    const async_task *task = NULL;
    const async_allocator *allocator = loop->allocator;
    uint32_t count = 0, i;
    size_t room = 2, size;
    async__tree *tree;
    uint32_t *table;
    async__dump dump;
    const char *words = "in a circle:\n";
    dump.put = put;
    dump.argument = argument;
    dump.parts = parts;
    while ((task = async_all_tasks(loop, task)) != NULL) count++;
    if (count == 0) return 0;
    while (room < (size_t)count * 2) room *= 2;
    size = (size_t)(count + 1) * sizeof *tree + room * sizeof *table;
    if (allocator == NULL) return ASYNC_ENOMEM;
    tree = (async__tree *)allocator->allocate(allocator->context, size);
    if (tree == NULL) return ASYNC_ENOMEM;
    memset(tree, 0, size);
    table = (uint32_t *)(void *)(tree + count + 1);
    for (i = 1, task = NULL; i <= count; i++) {
        tree[i].task = task = async_all_tasks(loop, task);
        *async__tree_find(table, room, tree, task) = i;
    }
    for (i = 1; i <= count; i++) {
        const async_task *parent = async_task_awaited_by(tree[i].task);
        async__tree *above;
        if (parent == NULL) continue;
        tree[i].parent = *async__tree_find(table, room, tree, parent);
        above = &tree[tree[i].parent];
        if (above == tree) continue; /* not of this loop */
        if (above->last != 0)
            tree[above->last].next = i;
        else
            above->child = i;
        above->last = i;
    }
    for (i = 1; i <= count; i++)
        if (tree[i].parent == 0) async__tree_show(&dump, tree, i, 0);
    for (i = 1; i <= count; i++)
        if (!tree[i].shown) {
            async__dump_text(&dump, words);
            words = "";
            async__tree_show(&dump, tree, i, 1);
        }
    allocator->release(allocator->context, tree, size);
    return 0;
}
#endif

#if ASYNC_HOSTED
static void async__dump_put_to(const char *text, void *file)
{
    fputs(text, (FILE *)file);
}

void async_dump_tasks_to(const async_loop *loop, unsigned parts, FILE *file)
{
    async_dump_tasks(loop, parts, async__dump_put_to, file);
}

int async_dump_tree_to(const async_loop *loop, unsigned parts, FILE *file)
{
    return async_dump_tree(loop, parts, async__dump_put_to, file);
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
