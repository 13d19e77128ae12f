/* group.h - task groups: tasks that end before their block does
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct crawl { ASYNC_FRAME; async_task_group group; int i; };
 *     ...
 *     ASYNC_TASK_GROUP(&self->group) {
 *         for (self->i = 0; self->i < 3; self->i++)
 *             async_group_spawn(&self->group, CO(worker, self->i));
 *     } ASYNC_END_TASK_GROUP
 *
 *   THE BLOCK      ASYNC_TASK_GROUP
 *   MEMBERS        spawn, cancel
 *   ERRORS         which of them failed, and how
 *
 * Threads: all of it belongs to the loop's thread.
 */
#ifndef CAESURA_GROUP_H
#define CAESURA_GROUP_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * THE BLOCK
 *
 * Syntax   ASYNC_TASK_GROUP(group) { body } ASYNC_END_TASK_GROUP
 *          No semicolon after it.  `group` is an async_task_group *, evaluated
 *          more than once; the struct is zeroed before, and must stay where it
 *          is: in the frame.
 * Resume   the body runs beside the tasks that it spawns.  At its end it waits
 *          until all have ended, those too that were spawned meanwhile.
 * Leaving  by return, break or continue waits as well.  An error of the body
 *          first cancels all members.  The first error of a member cancels the
 *          others and the body, at its await; then the block waits for all,
 *          and raises ASYNC_EGROUP.  A member that is cancelled by itself is no
 *          failure.
 * Errors   ASYNC_EGROUP when a member failed, or the body did: which, and how,
 *          is in the group (below).  ASYNC_EINTR of a member or the body is
 *          raised as it is.  Before the body: ASYNC_EGROUPTASK outside a task;
 *          ASYNC_EGROUPUSED when the group has been entered before
 *          (async_group_clear() makes it new).
 * Cancel   cancels all members, and is raised when they have ended.  If one of
 *          them then fails, ASYNC_EGROUP is raised, and the cancellation at the
 *          next await.
 * Costs    56 bytes a member, in its task; nothing else is allocated.
 * Counterpart: asyncio.TaskGroup, as of Python 3.13.
 * ------------------------------------------------------------------------ */
typedef struct async_task_group async_task_group;
#define ASYNC_TASK_GROUP(group) ASYNC__TASK_GROUP(group)
#define ASYNC_END_TASK_GROUP ASYNC__END_BLOCK(TASK_GROUP)

/* ------------------------------------------------------------------------
 * MEMBERS
 * ------------------------------------------------------------------------ */

/* Makes a task that is a member; from the body or another member.
 *
 * object   CO(...); its arguments are copied
 * Returns  the task, which is the group's, and good until the caller's next
 *          await: async_task_retain() it to keep it.  NULL on error, with the
 *          coroutine reported as never awaited and async_last_error() one of:
 *          ASYNC_EGROUPNEW before the block; ASYNC_EGROUPABORT when members
 *          are being cancelled; ASYNC_EGROUPOVER when all have ended;
 *          ASYNC_ENOMEM; ASYNC_EINVAL for a task or future.
 * Counterpart: TaskGroup.create_task(). */
static inline async_task *async_group_spawn(async_task_group *group,
                                            async_object object);

/* In a coroutine: ASYNC_GROUP_SPAWN(handle, group, name, arguments...) gives a
 * typed handle, ASYNC_TASK_OF(name), a share of the caller's: behind the block
 * ASYNC_TASK_RESULT(handle) is there, and async_task_release(handle.task) due.
 * Raises what async_group_spawn() has as its reason. */
#define ASYNC_GROUP_SPAWN(handle, group, ...)                                 \
    ASYNC__GROUP_SPAWN(handle, group, __VA_ARGS__, )

/* Ends the block early: cancels members and body, and that is no error: it
 * goes on behind the block when all have ended.  Before the block, the body is
 * cancelled at its first await; behind it nothing happens.
 * Counterpart: TaskGroup.cancel(), of Python 3.15. */
void async_group_cancel(async_task_group *group);

/* ------------------------------------------------------------------------
 * ERRORS
 *
 * The group is the list: who catches ASYNC_EGROUP reads it there.  It has no
 * memory of its own, and stays until async_group_clear() or the end of the
 * frame.  Of more than ASYNC_GROUP_ERRORS the others are reported, each as a
 * "Task exception was never retrieved", and counted.  The await traceback of
 * ASYNC_EGROUP has that of the first one as its context.
 *
 *     } ASYNC_EXCEPT(ASYNC_EGROUP) {
 *         for (i = 0; i < async_group_error_count(&self->group); i++)
 *             printf("%s: %s\n", async_group_error_name(&self->group, i),
 *                    async_strerror(async_group_error(&self->group, i)));
 * ------------------------------------------------------------------------ */
#ifndef ASYNC_GROUP_ERRORS
#define ASYNC_GROUP_ERRORS 8
#endif

/* How many failed, in the order in which they did; an error of the body is the
 * last. */
static inline size_t async_group_error_count(const async_task_group *group);

/* The error of number `index`; 0 for one that is not in the list.  A group
 * inside the body that fails is one ASYNC_EGROUP. */
int async_group_error(const async_task_group *group, size_t index);

/* The name of the task; NULL for the body, and for one not in the list.  Valid
 * as that of async_task_get_name(). */
const char *async_group_error_name(const async_task_group *group,
                                   size_t index);

/* Makes it new, to be entered again.  Returns 0, or ASYNC_EBUSY while its
 * block runs. */
int async_group_clear(async_task_group *group);

/* ========================================================================
 * PRIVATE
 *
 * A member's node lies in its task's block, behind the first frame, so that
 * making a member is one allocation; the group's share keeps it until the
 * group has heard of its end.
 * ======================================================================== */

typedef struct async__group_member {
    async_node done; /* among the waiters of its task; must be first */
    async_link sibling;
    async_task_group *group;
    async_task *task;
} async__group_member;

struct async_task_group {
    async_link members;  /* that have not ended, in the order of creation */
    async_task *parent;
    void (*abort)(async_task_group *group); /* a nursery's way; or NULL */
    async_future ended;  /* while the block's end waits: all members have */
    const async *first;  /* the coroutine of the first that failed */
    int16_t body, base;  /* the body's end; an error that is no Exception */
    int16_t cancelled;   /* what is to be raised if none failed, or 0 */
    unsigned char entered, exiting, left, aborting, waiting;
    unsigned char cancels_parent; /* has asked for that itself */
    uint32_t failed;
    struct {
        uintptr_t name; /* as a task's; 0: the body */
        int16_t error;
        unsigned char named;
    } errors[ASYNC_GROUP_ERRORS];
};

int async__group_enter(async_task_group *group, async *co);
void async__group_exit(async_task_group *group, async *co);
int async__group_waits(async_task_group *group, async *co);
void async__group_woken(async_task_group *group, async *co);
int async__group_leave(async_task_group *group, async *co);
int async__group_refuses(async_task_group *group, async_function *start);
void async__group_add(async_task_group *group, async_task *task,
                      async__group_member *member);
void async__group_ended(async_task_group *group, const async_task *task);
void async__group_member_done(async_node *node);

static inline async_task *async__group_make(async_task_group *group,
                                            async_function *start, size_t size,
                                            size_t alignment,
                                            async_frame **first)
{
    async_task *task;
    size_t room = async__round(size, ASYNC__ALIGNMENT);
    if (async__group_refuses(group, start)) return NULL;
    task = async__task_make(group->parent->future.loop, start,
                            room + sizeof(async__group_member), alignment,
                            first);
    if (task == NULL) return NULL;
    async__group_add(group, task,
                     (async__group_member *)(void *)((char *)*first + room));
    return task;
}

/* Hears at once of an eager task that is done; of an error as always, later:
 * the group would cancel a body that has not even its handle. */
static inline void async__group_made(async_task_group *group, async_task *task)
{
    if (ASYNC__UNLIKELY(async_task_done(task)) && task->future.error == 0)
        async__group_ended(group, task);
}

static inline async_task *async_group_spawn(async_task_group *group,
                                            async_object object)
{
    async_frame *first;
    async_task *task;
    ASYNC__PLACE_NEXT(object.file, object.line);
    async__object_taken(&object);
    task = async__group_make(group, object.start, object.size,
                             object.alignment, &first);
    if (task == NULL) return NULL;
    async__copy_frame(first, &object);
    async__made(task);
    async__kick(task->future.loop);
    async__group_made(group, task);
    return task;
}

static inline size_t async_group_error_count(const async_task_group *group)
{
    return group->failed;
}

#define ASYNC__GROUP_SPAWN(handle, group_, ...)                               \
    do {                                                                      \
        ASYNC__SPAWN_BY(async__group_make, (group_), handle, __VA_ARGS__);    \
        async_task_retain((handle).task);                                     \
        async__group_made((group_), (handle).task);                           \
    } while (0)

/* Behind the body: waits for the children. */
#define ASYNC__GROUP_EXIT(group_)                                             \
    async__group_exit((group_), co);                                          \
    while (async__group_waits((group_), co)) {                                \
        ASYNC__PARK(ASYNC__WAITING)                                           \
        async__group_woken((group_), co);                                     \
    }

/* Label 1 is the way in and, with an error or a pseudo-error, the way out,
 * which waits at 0; 3 stands behind. */
#define ASYNC__TASK_GROUP(group_)                                             \
    {                                                                         \
        ASYNC__BLOCK(TASK_GROUP)                                              \
        ASYNC__ONE_A_LINE                                                     \
        if (async__group_enter((group_), co)) ASYNC__FAIL;                    \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            ASYNC__GROUP_EXIT(group_)                                         \
            if (async__group_leave((group_), co)) ASYNC__FAIL;                \
            ASYNC__BLOCK_BODY

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_GROUP_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_GROUP_IMPLEMENTED)
#define CAESURA_GROUP_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

static async__group_member *async__group_member_of(async_link *sibling)
{
    return (async__group_member *)(void *)((char *)sibling -
                                           offsetof(async__group_member,
                                                    sibling));
}

static void async__group_abort(async_task_group *group)
{
    async_link *link = group->members.next;
    if (group->abort != NULL) {
        group->abort(group);
        return;
    }
    group->aborting = 1;
    if (link == NULL) return; /* it never had any */
    for (; link != &group->members; link = link->next) {
        async_task *task = async__group_member_of(link)->task;
        if (!async_task_done(task)) async_task_cancel(task);
    }
}

/* Cancels members and body.  The body's is taken back at the end. */
static void async__group_stop(async_task_group *group)
{
    async__group_abort(group);
    if (group->abort != NULL) return;
    group->cancels_parent = 1;
    async_task_cancel(group->parent);
}

/* Puts an error in the list; whether there was room. */
static int async__group_failed(async_task_group *group, int error,
                               const async_task *task)
{
    uint32_t i = group->failed++;
    if (error == ASYNC_EINTR && group->base == 0) group->base = (int16_t)error;
    if (i >= ASYNC_GROUP_ERRORS) return 0;
    group->errors[i].error = (int16_t)error;
    group->errors[i].name = task != NULL ? task->name : 0;
    group->errors[i].named = task != NULL && task->named;
    if (i == 0 && task != NULL) group->first = task->co;
    return 1;
}

void async__group_member_done(async_node *node)
{
    async__group_member *member = (async__group_member *)(void *)node;
    async_task_group *group = member->group;
    async_task *task = member->task;
    int error = task->future.error;
    async__unlink(&member->sibling);
    if (group->waiting && async__list_empty(&group->members))
        async_future_set_result(&group->ended);
    if (error != 0 && task->future.state == ASYNC__FINISHED) {
        if (async__group_failed(group, error, task))
            task->future.kind |= ASYNC__RETRIEVED;
        if (!group->aborting && !group->cancels_parent)
            async__group_stop(group);
    }
    async__unshare(&task->future); /* and with it the member */
}

#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY)
static const async_future *async__group_waiter(const async_node *node)
{
    const async_task_group *group =
        ((const async__group_member *)(const void *)node)->group;
    return group->waiting ? &group->ended : NULL;
}
ASYNC__AWAITS(async__group_awaits, async__group_member_done,
              async__group_waiter)
#endif

int async__group_refuses(async_task_group *group, async_function *start)
{
    int why = start == NULL         ? (int)ASYNC_EINVAL
              : !group->parent      ? (int)ASYNC_EGROUPNEW
              : group->exiting && async__list_empty(&group->members)
                  ? (int)ASYNC_EGROUPOVER
              : group->aborting     ? (int)ASYNC_EGROUPABORT
                                    : 0;
    if (why)
        async__never_awaited(group->parent ? group->parent->future.loop
                                           : async__running,
                             start, why);
    return why;
}

void async__group_add(async_task_group *group, async_task *task,
                      async__group_member *member)
{
    member->done.run = async__group_member_done;
    member->group = group;
    member->task = task;
    async__list_append(&task->future.waiters, &member->done.link);
    async__list_append(&group->members, &member->sibling);
}

static void async__group_member_release(async_node *node)
{
    async__unshare(&((async__group_member *)(void *)node)->task->future);
}

/* The handle that the caller gets is good until its next await: the share goes
 * in the next iteration. */
void async__group_ended(async_task_group *group, const async_task *task)
{
    async_link *link = group->members.prev;
    while (async__group_member_of(link)->task != task) link = link->prev;
    async__unlink(link);
    async__group_member_of(link)->done.run = async__group_member_release;
}

int async__group_enter(async_task_group *group, async *co)
{
    int cancelled = group->cancels_parent;
    if (group->entered) {
        async__raised(co, ASYNC_EGROUPUSED);
        return -1;
    }
    if (!(co->flags & ASYNC__IS_TASK)) {
        async__raised(co, ASYNC_EGROUPTASK);
        return -1;
    }
    memset(group, 0, sizeof *group);
    group->entered = 1;
    group->parent = async__task_of(co);
    if (cancelled) async__group_stop(group);
    return 0;
}

void async__group_exit(async_task_group *group, async *co)
{
    int error = co->error;
    co->error = 0;
    group->exiting = 1;
    group->body = (int16_t)error;
    if (error > 0) return; /* it was left without one */
    if (error == ASYNC_EINTR && group->base == 0) group->base = (int16_t)error;
    if (error == ASYNC_ECANCELED || error == ASYNC_EGENERATOREXIT)
        group->cancelled = (int16_t)error;
    if (!group->aborting) async__group_abort(group);
}

/* Begins to wait, if there is anybody to wait for. */
int async__group_waits(async_task_group *group, async *co)
{
    if (async__list_empty(&group->members)) return 0;
    async_future_init(&group->ended, group->parent->future.loop);
    if (group->aborting || group->cancelled)
        group->ended.kind |= ASYNC__UNHURRIED;
    group->waiting = 1;
    return async__await(co, &group->ended, 1);
}

void async__group_woken(async_task_group *group, async *co)
{
    if (co->error == 0) co->error = group->ended.error;
    async__drop(co);
    group->waiting = 0;
    if (co->error != 0 && !group->aborting) {
        group->cancelled = ASYNC_ECANCELED;
        async__group_abort(group);
    }
    co->error = 0;
}

/* What leaves the block: co->error; whether it appears here. */
int async__group_leave(async_task_group *group, async *co)
{
    int error, body = group->body;
    group->left = 1;
    if (group->base == 0) {
        if (group->cancels_parent &&
            async_task_uncancel(group->parent) == 0 &&
            group->cancelled == ASYNC_ECANCELED)
            group->cancelled = 0;
        if (body < 0 && body != ASYNC_ECANCELED &&
            body != ASYNC_EGENERATOREXIT)
            async__group_failed(group, body, NULL);
        if (group->failed > 0) {
            /* A cancellation from outside is not lost. */
            if (async_task_cancelling(group->parent) > 0) {
                async_task_uncancel(group->parent);
                async_task_cancel(group->parent);
            }
            async__raised_because(co, ASYNC_EGROUP,
                                  group->first != NULL ? group->first : co);
            return 1;
        }
    }
    error = group->base ? group->base : group->cancelled;
    if (error == 0) {
        co->error = body > 0 ? body : (int)ASYNC__LEAVING;
        return 0;
    }
    if (error == body) {
        co->error = body; /* on its way again, and noted already */
        return 0;
    }
    async__raised_because(co, error, group->base ? group->first : NULL);
    return 1;
}

void async_group_cancel(async_task_group *group)
{
    if (!group->entered) {
        group->cancels_parent = 1;
        return;
    }
    if (group->exiting && async__list_empty(&group->members)) return;
    if (group->aborting) return;
    if (group->cancels_parent)
        async__group_abort(group);
    else
        async__group_stop(group);
}

int async_group_error(const async_task_group *group, size_t index)
{
    if (index >= group->failed || index >= ASYNC_GROUP_ERRORS) return 0;
    return group->errors[index].error;
}

const char *async_group_error_name(const async_task_group *group,
                                   size_t index)
{
    async_task task;
    if (async_group_error(group, index) == 0) return NULL;
    if (group->errors[index].name == 0) return NULL;
    memset(&task, 0, sizeof task);
    task.name = group->errors[index].name;
    task.named = group->errors[index].named;
    return async_task_get_name(&task);
}

int async_group_clear(async_task_group *group)
{
    if (group->entered && !group->left) return ASYNC_EBUSY;
    memset(group, 0, sizeof *group);
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
