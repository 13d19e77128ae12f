/* nursery.h - nurseries: task groups whose tasks stand in a cancel scope
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct serve { ASYNC_FRAME; async_nursery nursery; int_starting start; };
 *     ...
 *     ASYNC_NURSERY(&self->nursery) {
 *         AWAIT_NURSERY_START(&self->nursery, &self->start, listen_on, "::",
 *                             &self->start);
 *         printf("listening on port %d\n", self->start.value);
 *         async_nursery_spawn(&self->nursery, CO(client, self->start.value));
 *     } ASYNC_END_NURSERY
 *
 *   THE BLOCK      ASYNC_NURSERY
 *   CHILDREN       spawn, cancel
 *   START          children that say when they are ready, and hand something
 *                  back
 *   PRIVATE
 *
 * What a task group is to asyncio, this is to trio: the block ends when all
 * children have.  The difference is in the cancellation, which is that of a
 * scope (async/scope.h): a child that is told to end cannot wait for anything
 * any more, unless it shields that; and each child stands in the nursery's
 * scopes, wherever it was spawned from.
 *
 * Threads: all of it belongs to the loop's thread.
 */
#ifndef CAESURA_NURSERY_H
#define CAESURA_NURSERY_H

#include "group.h"
#include "scope.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * THE BLOCK
 *
 * Syntax   ASYNC_NURSERY(nursery) { body } ASYNC_END_NURSERY
 *          No semicolon after it.  `nursery` is an async_nursery *, evaluated
 *          more than once; the struct is zeroed before, and must stay where it
 *          is: in the frame.
 * Resume   the body runs beside the children.  At its end it waits until all
 *          have ended, those too that were spawned meanwhile.
 * Leaving  by return, break or continue waits as well.  An error of the body,
 *          and the first one of a child, cancels nursery->scope, in which the
 *          body and all children stand; then the block waits for all.  A child
 *          that ends cancelled is no failure.
 * Errors   ASYNC_EGROUP when a child failed, or the body did: which, and how,
 *          tell async_group_error_count(&nursery->group) and so on, as for a
 *          task group; ASYNC_EINTR as it is.  Before the body: ASYNC_EGROUPTASK
 *          outside a task; ASYNC_EGROUPUSED when it has been entered before
 *          (async_nursery_clear() makes it new).
 * Cancel   by a scope around it reaches children and body alike, and is raised
 *          when all have ended.  By async_task_cancel() of the task: its scope
 *          is cancelled, and ASYNC_ECANCELED raised when all have ended.
 * Costs    some 250 bytes a child, in its task; nothing else is allocated.
 * Counterpart: trio.open_nursery(), anyio.create_task_group().
 * ------------------------------------------------------------------------ */
typedef struct async_nursery async_nursery;
#define ASYNC_NURSERY(nursery) ASYNC__NURSERY(nursery)
#define ASYNC_END_NURSERY ASYNC__END_BLOCK(NURSERY)

/* ------------------------------------------------------------------------
 * CHILDREN
 * ------------------------------------------------------------------------ */

/* Makes a task that is a child; from anywhere on the loop while the block is
 * open.  One that is spawned when the nursery has been cancelled still runs to
 * its first await that waits.
 *
 * object   CO(...); its arguments are copied
 * Returns  the task, which is the nursery's, and good until the caller's next
 *          await: async_task_retain() it to keep it.  NULL on error, with the
 *          coroutine reported as never awaited and async_last_error() one of:
 *          ASYNC_EGROUPNEW before the block; ASYNC_EGROUPOVER when all have
 *          ended; ASYNC_ENOMEM; ASYNC_EINVAL for a task or future.
 * Counterpart: Nursery.start_soon(). */
async_task *async_nursery_spawn(async_nursery *nursery, async_object object);

/* In a coroutine: ASYNC_NURSERY_SPAWN(handle, nursery, name, arguments...)
 * gives a typed handle, ASYNC_TASK_OF(name), a share of the caller's, as
 * ASYNC_GROUP_SPAWN does. */
#define ASYNC_NURSERY_SPAWN(handle, nursery, ...)                             \
    ASYNC__NURSERY_SPAWN(handle, nursery, __VA_ARGS__, )

/* Ends the block early: cancels children and body, and that is no error.  The
 * scope itself, to ask or to limit, is &nursery->scope.
 * Counterpart: Nursery.cancel_scope.cancel(). */
static inline void async_nursery_cancel(async_nursery *nursery);

/* Makes it new, to be entered again.  Returns 0, or ASYNC_EBUSY while its
 * block runs. */
int async_nursery_clear(async_nursery *nursery);

/* ------------------------------------------------------------------------
 * START
 *
 * A child that has something to set up first says when it has, and what came of
 * it.  Until then it belongs to who starts it; then it is a child as all
 * others.
 *
 *     typedef ASYNC_STARTING(int) int_starting;
 *
 *     struct listen_on { ASYNC_FRAME; const char *host; int_starting *start; };
 *     ...
 *         ASYNC_STARTED(self->start, port);     in the child, once
 * ------------------------------------------------------------------------ */

/* What the two have in common, in the frame of who starts; .value is there when
 * it has started.  The same one may be used for a further child then. */
#define ASYNC_STARTING(T)                                                     \
    struct {                                                                  \
        async_starting starting;                                              \
        T value;                                                              \
    }

/* AWAIT_NURSERY_START(nursery, start, name, arguments...): spawns a child and
 * waits until it has called ASYNC_STARTED.  The child must be given `start`, a
 * pointer to an ASYNC_STARTING(T), as one of its arguments.
 * Errors   that of a child that fails before, and then it is none of the
 *          nursery's; ASYNC_ENOTSTARTED when it ends before without one; what
 *          async_nursery_spawn() has as its reason; ASYNC_EBUSY while `start`
 *          is in use; ASYNC_ENOTASK
 * Cancel   cancels the child, if it has not started, and waits for its end.  A
 *          child that has started goes on in the nursery.
 * Counterpart: Nursery.start(). */
#define ASYNC_AWAIT_NURSERY_START(nursery, start, ...)                        \
    ASYNC__AWAIT_NURSERY_START(nursery, start, __VA_ARGS__)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_NURSERY_START(nursery, start, ...)                              \
    ASYNC__AWAIT_NURSERY_START(nursery, start, __VA_ARGS__)
#endif

/* ASYNC_STARTED(start, value): in the child, which goes on at once.  `start` is
 * its own pointer, an lvalue, which is NULL from then on: who starts may be
 * gone.  NULL, of a child that was spawned without anybody waiting for it, does
 * nothing.
 * Counterpart: task_status.started(value), trio.TASK_STATUS_IGNORED. */
#define ASYNC_STARTED(start, v) ASYNC__STARTED(start, v)

/* ========================================================================
 * PRIVATE
 *
 * A task group whose members' nodes have a scope each, and whose way to cancel
 * them is that of its own scope.
 * ======================================================================== */
struct async_nursery {
    async_task_group group; /* must be first */
    async_scope scope;
};

typedef struct async__nursery_child async__nursery_child;
typedef struct async_starting {
    async_operation operation; /* of who starts: until it has started */
    async__nursery_child *child;
} async_starting;

struct async__nursery_child {
    async__group_member member; /* must be first */
    async_scope scope;
    async_starting *starting; /* or NULL */
};

int async__nursery_enter(async_nursery *nursery, async *co);
int async__nursery_leave(async_nursery *nursery, async *co);
async_task *async__nursery_make(async_nursery *nursery, async_function *start,
                                size_t size, size_t alignment,
                                async_frame **first);
void async__nursery_made(async_nursery *nursery, async_task *task);
void async__nursery_started(async_starting *starting);

static inline void async_nursery_cancel(async_nursery *nursery)
{
    async_scope_cancel(&nursery->scope);
}

#define ASYNC__NURSERY_SPAWN(handle, nursery_, ...)                           \
    do {                                                                      \
        ASYNC__SPAWN_BY(async__nursery_make, (nursery_), handle,              \
                        __VA_ARGS__);                                         \
        async_task_retain((handle).task);                                     \
        async__nursery_made((nursery_), (handle).task);                       \
    } while (0)

struct async_nursery_start {
    ASYNC_FRAME;
    async_nursery *nursery;
    async_starting *starting;
    async_object object;
};
ASYNC(async_nursery_start);

#define ASYNC__AWAIT_NURSERY_START(nursery_, start, ...)                      \
    ASYNC__AWAIT(async_nursery_start, (nursery_), &(start)->starting,         \
                 ASYNC_CO(__VA_ARGS__), )
#define ASYNC__STARTED(start, v)                                              \
    do {                                                                      \
        if ((start) != NULL) {                                                \
            (start)->value = (v);                                             \
            async__nursery_started(&(start)->starting);                       \
            (start) = NULL;                                                   \
        }                                                                     \
    } while (0)

/* Label 1 is the way in and, with an error or a pseudo-error, the way out,
 * which waits at 0; 3 stands behind. */
#define ASYNC__NURSERY(nursery_)                                              \
    {                                                                         \
        ASYNC__BLOCK(NURSERY)                                                 \
        ASYNC__ONE_A_LINE                                                     \
        if (async__nursery_enter((nursery_), co)) ASYNC__FAIL;                \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            ASYNC__GROUP_EXIT(&(nursery_)->group)                             \
            if (async__nursery_leave((nursery_), co)) ASYNC__FAIL;            \
            ASYNC__BLOCK_BODY

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_NURSERY_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_NURSERY_IMPLEMENTED)
#define CAESURA_NURSERY_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- the block ----------------------------------------------------------- */

static void async__nursery_abort(async_task_group *group)
{
    async_scope_cancel(&((async_nursery *)(void *)group)->scope);
}

int async__nursery_enter(async_nursery *nursery, async *co)
{
    if (async__group_enter(&nursery->group, co)) return -1;
    nursery->group.abort = async__nursery_abort;
    return async__scope_enter(&nursery->scope, co, 0, ASYNC_FOREVER);
}

int async__nursery_leave(async_nursery *nursery, async *co)
{
    int raised = async__group_leave(&nursery->group, co);
    (void)async__scope_leave(&nursery->scope, co);
    return raised && co->error != ASYNC__LEAVING;
}

int async_nursery_clear(async_nursery *nursery)
{
    int error = async_group_clear(&nursery->group);
    if (!error) memset(&nursery->scope, 0, sizeof nursery->scope);
    return error;
}

/* --- children ------------------------------------------------------------ */

/* One that has not started tells who starts it, and not the group. */
static void async__nursery_child_done(async_node *node)
{
    async__nursery_child *child = (async__nursery_child *)(void *)node;
    async_starting *starting = child->starting;
    async_task_group *group = child->member.group;
    async_future *future = &child->member.task->future;
    async__scope_bury(&child->scope);
    if (starting == NULL) {
        async__group_member_done(node);
        return;
    }
    starting->child = NULL;
    starting->operation.from = child->member.task->co;
    future->kind |= ASYNC__RETRIEVED;
    async__finish(&starting->operation.future, future->state,
                  future->error ? future->error : (int)ASYNC_ENOTSTARTED);
    async__unlink(&child->member.sibling);
    if (group->waiting && async__list_empty(&group->members))
        async_future_set_result(&group->ended);
    async__unshare(future);
}

#if ASYNC_HOSTED
/* One that has not started tells who starts it. */
static const async_future *async__nursery_waiter(const async_node *node)
{
    const async__nursery_child *child =
        (const async__nursery_child *)(const void *)node;
    if (child->starting != NULL) return &child->starting->operation.future;
    return child->member.group->waiting ? &child->member.group->ended : NULL;
}
ASYNC__AWAITS(async__nursery_awaits, async__nursery_child_done,
              async__nursery_waiter)
#endif

static async_task *async__nursery_bear(async_nursery *nursery,
                                       async_function *start, size_t size,
                                       size_t alignment, async_frame **first,
                                       async_starting *starting,
                                       async_scope *scope)
{
    async_task_group *group = &nursery->group;
    size_t room = async__round(size, ASYNC__ALIGNMENT);
    async__nursery_child *child;
    async_task *task;
    if (async__group_refuses(group, start)) return NULL;
    task = async__task_make(group->parent->future.loop, start,
                            room + sizeof *child, alignment, first);
    if (task == NULL) return NULL;
    child = (async__nursery_child *)(void *)((char *)*first + room);
    memset(child, 0, sizeof *child);
    async__group_add(group, task, &child->member);
    child->member.done.run = async__nursery_child_done;
    child->starting = starting;
    if (starting != NULL) starting->child = child;
    async__scope_adopt(&child->scope, task, scope);
    return task;
}

async_task *async__nursery_make(async_nursery *nursery, async_function *start,
                                size_t size, size_t alignment,
                                async_frame **first)
{
    return async__nursery_bear(nursery, start, size, alignment, first, NULL,
                               &nursery->scope);
}

/* An eager one that is done leaves scope and group at once. */
void async__nursery_made(async_nursery *nursery, async_task *task)
{
    async_link *link = nursery->group.members.prev;
    if (!async_task_done(task)) return;
    while (async__group_member_of(link)->task != task) link = link->prev;
    async__scope_bury(
        &((async__nursery_child *)(void *)async__group_member_of(link))->scope);
    async__group_made(&nursery->group, task);
}

async_task *async_nursery_spawn(async_nursery *nursery, async_object object)
{
    async_frame *first;
    async_task *task;
    ASYNC__PLACE_NEXT(object.file, object.line);
    async__object_taken(&object);
    task = async__nursery_make(nursery, object.start, object.size,
                               object.alignment, &first);
    if (task == NULL) return NULL;
    async__copy_frame(first, &object);
    async__made(task);
    async__kick(task->future.loop);
    async__nursery_made(nursery, task);
    return task;
}

/* --- start --------------------------------------------------------------- */

/* Who starts is cancelled: so is the child, whose end tells what came of it. */
static int async__nursery_start_cancel(async_operation *operation)
{
    async_starting *starting = (async_starting *)(void *)operation;
    return async_task_cancel(starting->child->member.task);
}

void async__nursery_started(async_starting *starting)
{
    async__nursery_child *child = starting->child;
    async_nursery *nursery = (async_nursery *)(void *)child->member.group;
    starting->child = NULL;
    child->starting = NULL;
    async__scope_move(&child->scope, &nursery->scope);
    async_future_set_result(&starting->operation.future);
}

/* 0, or raised. */
static int async__nursery_start(async *co, async_nursery *nursery,
                                async_starting *starting,
                                const async_object *object)
{
    async_frame *first;
    async_task *task;
    ASYNC__PLACE_NEXT(object->file, object->line);
    async__object_taken(object);
    if (!(co->flags & ASYNC__IS_TASK) || starting->child != NULL) {
        async__raised(co, co->flags & ASYNC__IS_TASK ? ASYNC_EBUSY
                                                     : ASYNC_ENOTASK);
        return -1;
    }
    async_operation_init(&starting->operation, async_loop_of(co),
                         async__nursery_start_cancel);
    starting->operation.future.kind |= ASYNC__INSIDE;
    task = async__nursery_bear(
        nursery, object->start, object->size, object->alignment, &first,
        starting, async__scope_innermost(async__task_of(co)));
    if (task == NULL) {
        async__spawn_failed(co);
        return -1;
    }
    async__copy_frame(first, object);
    async__made(task);
    return 0;
}

ASYNC(async_nursery_start)
{
    ASYNC_BEGIN(async_nursery_start);
    if (async__nursery_start(co, self->nursery, self->starting, &self->object))
        ASYNC__FAIL;
    ASYNC_AWAIT_FUTURE(&self->starting->operation.future);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
