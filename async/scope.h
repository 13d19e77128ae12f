/* scope.h - cancel scopes: blocks that are cancelled until they have been left
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct fetch { ASYNC_FRAME; async_scope limit; };
 *     ...
 *     ASYNC_MOVE_ON_AFTER(&self->limit, ASYNC_SECONDS(5)) {
 *         AWAIT(connect, self->peer);
 *         AWAIT(download, self->peer);
 *     } ASYNC_END_SCOPE
 *     if (async_scope_cancelled_caught(&self->limit)) ...   it took too long
 *
 *   THE BLOCKS     ASYNC_SCOPE, ASYNC_MOVE_ON_AFTER, ASYNC_FAIL_AFTER
 *   A SCOPE        cancel, deadline, shield, what came of it
 *   CHECKPOINTS    for what computes; the deadline that counts
 *   PRIVATE
 *
 * asyncio cancels a task once, and who catches that has swallowed it.  A scope
 * is a state: once it is cancelled, every await in it that suspends raises
 * ASYNC_ECANCELED, also in FINALLY and behind an EXCEPT, until the block has
 * been left.  So nothing in it can go on by mistake; what must, to clean up,
 * says so by a scope that is shielded, best with a limit of its own.
 *
 * Scopes stand inside each other, and of those that are cancelled the
 * outermost one ends the cancellation.  The tasks of a nursery
 * (async/nursery.h) belong to its scopes; other tasks belong to no scope but
 * their own, and hear of one only as those that are awaited, gathered or
 * grouped by who does: once, as in asyncio.
 *
 * Threads: all of it belongs to the loop's thread.
 */
#ifndef CAESURA_SCOPE_H
#define CAESURA_SCOPE_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * THE BLOCKS
 *
 * Syntax   ASYNC_SCOPE(scope) { body } ASYNC_END_SCOPE
 *          ASYNC_SHIELD_SCOPE(scope) { body } ASYNC_END_SCOPE
 *          ASYNC_MOVE_ON_AFTER(scope, delay) { body } ASYNC_END_SCOPE
 *          ASYNC_MOVE_ON_AT(scope, when) { body } ASYNC_END_SCOPE
 *          ASYNC_FAIL_AFTER(scope, delay) { body } ASYNC_END_SCOPE
 *          ASYNC_FAIL_AT(scope, when) { body } ASYNC_END_SCOPE
 *          No semicolon after it.  `scope` is an async_scope *, evaluated more
 *          than once; the struct is zeroed before, and must stay where it is:
 *          in the frame.  `delay` is a duration, `when` a point in time; in
 *          the past, the first await raises; ASYNC_FOREVER sets no limit.
 * Resume   the body runs.  From the moment when the scope is cancelled, by
 *          async_scope_cancel() or at its deadline, an await that stands, and
 *          each that suspends later, raises ASYNC_ECANCELED.  An await that
 *          need not wait does not; nor does one that has got what it waited
 *          for: then the next one raises.
 * Leaving  by its end, return, break, continue or error.  ASYNC_ECANCELED goes
 *          no further when the scope has been cancelled, none around it has
 *          (that this one is not shielded from), and nobody has asked the task
 *          to cancel since, as async_task_cancel() does: that request is not
 *          the scope's, and goes on.  Behind the block no more is raised.  The
 *          struct may then be used for another one.
 * Errors   ASYNC_FAIL_*: ASYNC_ETIMEDOUT in the place of a cancellation that
 *          ends here and is that of the deadline.  Before the body:
 *          ASYNC_ENOTASK in a coroutine driven by hand; ASYNC_ESCOPEUSED
 *          inside a block that uses the same struct.
 * Misuse   a struct that is not zeroed may look as if it were in use.  Blocks
 *          of one task that are not left in the reverse order, as those of a
 *          generator may be, stop the program.
 * Costs    no memory but the struct; what a block does takes time in
 *          proportion to the scopes inside and around it.
 * Counterparts: trio.CancelScope, move_on_after, move_on_at, fail_after,
 * fail_at; anyio's as well.
 * ------------------------------------------------------------------------ */
typedef struct async_scope async_scope;
#define ASYNC_SCOPE(scope)                                                    \
    ASYNC__CANCEL_SCOPE(scope, async__scope_enter, 0, ASYNC_FOREVER)
#define ASYNC_SHIELD_SCOPE(scope)                                             \
    ASYNC__CANCEL_SCOPE(scope, async__scope_enter, ASYNC__SHIELDS,            \
                        ASYNC_FOREVER)
#define ASYNC_MOVE_ON_AFTER(scope, delay)                                     \
    ASYNC__CANCEL_SCOPE(scope, async__scope_enter_after, 0, delay)
#define ASYNC_MOVE_ON_AT(scope, when)                                         \
    ASYNC__CANCEL_SCOPE(scope, async__scope_enter, 0, when)
#define ASYNC_FAIL_AFTER(scope, delay)                                        \
    ASYNC__CANCEL_SCOPE(scope, async__scope_enter_after, ASYNC__FAILS, delay)
#define ASYNC_FAIL_AT(scope, when)                                            \
    ASYNC__CANCEL_SCOPE(scope, async__scope_enter, ASYNC__FAILS, when)
#define ASYNC_END_SCOPE ASYNC__END_BLOCK(SCOPE)

/* ------------------------------------------------------------------------
 * A SCOPE
 * ------------------------------------------------------------------------ */

/* Cancels it, from anywhere on its loop: what is suspended in it, in all its
 * tasks, goes on with ASYNC_ECANCELED.  Before the block: its first await
 * raises.  Behind it, or again, nothing happens.
 * Counterpart: CancelScope.cancel(). */
void async_scope_cancel(async_scope *scope);

/* Moves the deadline of a block that runs; ASYNC_FOREVER takes it away, and the
 * past cancels it.  One that is cancelled stays so.
 * Returns  0; ASYNC_EINVALSTATE when its block does not run.
 * Counterpart: CancelScope.deadline. */
int async_scope_set_deadline(async_scope *scope, async_time when);
static inline async_time async_scope_deadline(const async_scope *scope);

/* Whether cancellation of the scopes around it is kept out: from now on, and
 * before the block for its time.  What is taken down lets in what stands
 * outside.  Its own deadline and async_scope_cancel() are not kept out, nor is
 * async_task_cancel().
 * Counterpart: CancelScope.shield. */
void async_scope_set_shield(async_scope *scope, int shielded);
static inline int async_scope_shield(const async_scope *scope);

/* Whether it has been cancelled, by its deadline too; and whether it has ended
 * a cancellation: false as well when its body ended without one.
 * Counterparts: CancelScope.cancel_called, CancelScope.cancelled_caught. */
static inline int async_scope_cancel_called(const async_scope *scope);
static inline int async_scope_cancelled_caught(const async_scope *scope);

/* ------------------------------------------------------------------------
 * CHECKPOINTS
 * ------------------------------------------------------------------------ */

/* AWAIT(async_checkpoint): lets others run, for one iteration, and raises if a
 * scope that this stands in is cancelled.  For what computes for long, and
 * behind awaits that need not wait: in trio each of them is one of these.
 * Errors   ASYNC_ECANCELED
 * Counterpart: trio.lowlevel.checkpoint(). */
struct async_checkpoint { ASYNC_FRAME; };
ASYNC(async_checkpoint);

/* Whether the next await of the task that runs would raise, if it waits. */
int async_scope_is_cancelled_here(void);

/* The nearest deadline of the scopes that the task that runs stands in, up to
 * the first one that is shielded: ASYNC_FOREVER when there is none; now, when
 * one of them is cancelled.
 * Counterpart: trio.current_effective_deadline(). */
async_time async_current_effective_deadline(void);

/* ========================================================================
 * PRIVATE
 *
 * A task does not know of its scopes: what does not use them pays nothing.  Its
 * innermost one is found by a node, the marker, that stands first among those
 * who wait for the task's end; all others are appended there.
 *
 * Level by waiting, not by polling: when a task has been told, the node `again`
 * of its outermost scope stands behind the task's, in the ready queue or among
 * the waiters of the same future (one that takes its time to end).  So it runs
 * right after the task did, and finds it suspended again, or gone.  As long as
 * a task stands in a scope that is cancelled, that node is somewhere.
 * ======================================================================== */
struct async_scope {
    async__timer timer;   /* must be first; its deadline holds, armed or not */
    async_node marker, again;
    async_scope *parent;  /* around it, perhaps in another task; or NULL */
    async_scope *base;    /* the outermost of its task */
    async_link children, sibling;
    async_task *task;
    uint16_t requests;    /* the task's, on entry */
    unsigned char state;  /* ASYNC__CREATED, ASYNC__ENTERED, ASYNC__EXITED */
    unsigned char place;  /* of the timer: NOWHERE, IN_TIMERS */
    unsigned char kind;   /* ASYNC__FAILS */
    unsigned char armed;  /* `again` stands in a queue */
    unsigned char shielded, cancelled, caught, expired;
};
enum { ASYNC__FAILS = 1, ASYNC__SHIELDS = 2 };

int async__scope_enter(async_scope *scope, async *co, int kind,
                       async_time when);
int async__scope_enter_after(async_scope *scope, async *co, int kind,
                             async_duration delay);
int async__scope_leave(async_scope *scope, async *co);

/* Of a task that does not enter it by itself, but is born in it. */
async_scope *async__scope_innermost(const async_task *task);
void async__scope_adopt(async_scope *scope, async_task *task,
                        async_scope *parent);
void async__scope_move(async_scope *scope, async_scope *parent);
void async__scope_bury(async_scope *scope);

static inline async_time async_scope_deadline(const async_scope *scope)
{
    return scope->timer.deadline;
}
static inline int async_scope_shield(const async_scope *scope)
{
    return scope->shielded;
}
static inline int async_scope_cancel_called(const async_scope *scope)
{
    return scope->cancelled;
}
static inline int async_scope_cancelled_caught(const async_scope *scope)
{
    return scope->caught;
}

/* Label 1 is the way in and, with an error or a pseudo-error, the way out; 3
 * stands behind. */
#define ASYNC__CANCEL_SCOPE(scope_, enter, kind, until)                       \
    {                                                                         \
        ASYNC__BLOCK(SCOPE)                                                   \
        ASYNC__ONE_A_LINE                                                     \
        if (enter((scope_), co, (kind), (until))) ASYNC__FAIL;                \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            if (async__scope_leave((scope_), co)) ASYNC__FAIL;                \
            ASYNC__BLOCK_BODY

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_SCOPE_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_SCOPE_IMPLEMENTED)
#define CAESURA_SCOPE_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

/* --- where a task stands ------------------------------------------------- */

static void async__scope_outlived(async_node *marker);

static async_scope *async__scope_of(async_link *sibling)
{
    return (async_scope *)(void *)((char *)sibling -
                                   offsetof(async_scope, sibling));
}

async_scope *async__scope_innermost(const async_task *task)
{
    async_link *first = task->future.waiters.next;
    if (first == NULL || first == &task->future.waiters ||
        ((async_node *)(void *)first)->run != async__scope_outlived)
        return NULL;
    return (async_scope *)(void *)((char *)first -
                                   offsetof(async_scope, marker));
}

/* Puts its marker before all who wait for the task. */
static void async__scope_mark(async_scope *scope)
{
    async_link *waiters = &scope->task->future.waiters;
    if (waiters->next == NULL) async__list_init(waiters);
    scope->marker.run = async__scope_outlived;
    async__list_append(waiters->next, &scope->marker.link);
}

/* Whether what stands in it is cancelled. */
static int async__scope_is_cancelled(const async_scope *scope)
{
    for (; scope != NULL; scope = scope->parent) {
        if (scope->cancelled) return 1;
        if (scope->shielded) return 0;
    }
    return 0;
}

/* --- telling a task ------------------------------------------------------ */

/* Raised when the task, which is not running, runs next. */
static void async__scope_raise_later(async *co)
{
    async__must_cancel(co);
#ifdef ASYNC_STATIC_ONLY
    ASYNC__SET_HOOK(async__deliver_cancel, async__cancel_suspended);
#endif
}

static void async__scope_arm_soon(async_scope *base)
{
    async_loop *loop = base->task->future.loop;
    base->armed = 1;
    async__ready_callback(loop, &base->again);
    async__kick(loop);
}

/* Cancels what the task waits for, unless that has come by now, and comes back
 * when the task has run.
 * stands  not 0: the task is known not to be the one that runs */
static void async__scope_tell(async_scope *base, int stands)
{
    async *co = base->task->co;
    async_future *future = (async_future *)co->wait.future;
    if (base->armed || async_task_done(base->task) ||
        !async__scope_is_cancelled(async__scope_innermost(base->task)))
        return;
    if (co->flags & ASYNC__IS_SLEEPING) {
        (void)async__cancel_wait(co);
    } else if (future != NULL && future->state == ASYNC__PENDING) {
        if (!(future->kind & (ASYNC__UNHURRIED | ASYNC__INSIDE)) &&
            !async_future_cancel(future) && future->state == ASYNC__PENDING)
            async__scope_raise_later(co);
        if (future->state == ASYNC__PENDING) {
            base->armed = 1;
            async__list_append(&future->waiters, &base->again.link);
            return;
        }
    } else if (future == NULL && stands && !co->error &&
               !(co->flags & ASYNC__MUST_CANCEL) && co->top->state != 0) {
        async__scope_raise_later(co); /* it only let others run */
    }
    async__scope_arm_soon(base);
}

static void async__scope_again(async_node *node)
{
    async_scope *base =
        (async_scope *)(void *)((char *)node - offsetof(async_scope, again));
    node->link.prev = NULL;
    base->armed = 0;
    async__scope_tell(base, 1);
}

/* Tells all tasks in it: a walk over the scopes inside, without recursion. */
static void async__scope_spread(async_scope *top)
{
    async_scope *scope = top;
    async_link *link = top->children.next;
    async__scope_tell(top->base, 0);
    for (;;) {
        while (link != &scope->children && async__scope_of(link)->shielded)
            link = link->next;
        if (link != &scope->children) {
            scope = async__scope_of(link);
            async__scope_tell(scope->base, 0);
            link = scope->children.next;
        } else if (scope != top) {
            link = scope->sibling.next;
            scope = scope->parent;
        } else {
            return;
        }
    }
}

/* --- the deadline -------------------------------------------------------- */

static void async__scope_expired(async_node *node)
{
    async_scope *scope = (async_scope *)(void *)node;
    scope->place = ASYNC__NOWHERE;
    scope->expired = 1;
    async_scope_cancel(scope);
}

static void async__scope_disarm(async_scope *scope)
{
    if (scope->place == ASYNC__IN_TIMERS)
        async__unlink(&scope->timer.node.link);
    scope->place = ASYNC__NOWHERE;
}

static void async__scope_arm(async_scope *scope, async_time when)
{
    async_loop *loop = scope->task->future.loop;
    scope->timer.deadline = when;
    if (when == ASYNC_FOREVER || scope->cancelled) return;
    scope->timer.node.run = async__scope_expired;
    if (!async_time_before(async__now(loop), when)) {
        async__scope_expired(&scope->timer.node);
    } else {
        scope->place = ASYNC__IN_TIMERS;
        async__arm(loop, &scope->timer, when);
    }
}

/* --- entering and leaving ------------------------------------------------ */

void async__scope_adopt(async_scope *scope, async_task *task,
                        async_scope *parent)
{
    async_scope *outer = async__scope_innermost(task);
    if (outer != NULL) async__unlink(&outer->marker.link);
    scope->task = task;
    scope->parent = parent;
    scope->base = outer != NULL ? outer->base : scope;
    scope->again.run = async__scope_again;
    scope->requests = (uint16_t)async_task_cancelling(task);
    scope->state = ASYNC__ENTERED;
    scope->armed = 0;
    scope->place = ASYNC__NOWHERE;
    scope->timer.deadline = ASYNC_FOREVER;
    async__list_init(&scope->children);
    scope->sibling.prev = NULL;
    if (parent != NULL)
        async__list_append(&parent->children, &scope->sibling);
    async__scope_mark(scope);
    async__scope_tell(scope->base, 0);
}

/* Takes it out of its tree.  What was in it has ended. */
static void async__scope_uproot(async_scope *scope)
{
    while (!async__list_empty(&scope->children)) {
        async_scope *child = async__scope_of(scope->children.next);
        async__unlink(&child->sibling);
        child->parent = NULL;
    }
    if (scope->sibling.prev != NULL) async__unlink(&scope->sibling);
    scope->state = ASYNC__EXITED;
    if (scope->base == scope && scope->armed) {
        scope->armed = 0;
        async__unready(scope->task->future.loop, &scope->again);
    }
}

/* The task has ended in it: one that was born in it. */
static void async__scope_outlived(async_node *marker)
{
    async__scope_uproot((async_scope *)(void *)((char *)marker -
                                                offsetof(async_scope,
                                                         marker)));
}

/* Its task has ended, and its memory goes, perhaps before its marker has run:
 * there are loops that run what is ready in another order. */
void async__scope_bury(async_scope *scope)
{
    if (scope->state != ASYNC__ENTERED) return;
    async__unready(scope->task->future.loop, &scope->marker);
    async__scope_uproot(scope);
}

void async__scope_move(async_scope *scope, async_scope *parent)
{
    if (scope->sibling.prev != NULL) async__unlink(&scope->sibling);
    scope->parent = parent;
    async__list_append(&parent->children, &scope->sibling);
    async__scope_spread(scope);
}

static int async__scope_begin(async_scope *scope, async *co, int kind)
{
    if (scope->state == ASYNC__ENTERED) {
        async__raised(co, ASYNC_ESCOPEUSED);
        return -1;
    }
    if (!(co->flags & ASYNC__IS_TASK)) {
        async__raised(co, ASYNC_ENOTASK);
        return -1;
    }
    if (scope->state != ASYNC__CREATED) memset(scope, 0, sizeof *scope);
    scope->kind = (unsigned char)kind;
    if (kind & ASYNC__SHIELDS) scope->shielded = 1;
    async__scope_adopt(scope, async__task_of(co),
                       async__scope_innermost(async__task_of(co)));
    return 0;
}

int async__scope_enter(async_scope *scope, async *co, int kind,
                       async_time when)
{
    if (async__scope_begin(scope, co, kind)) return -1;
    async__scope_arm(scope, when);
    return 0;
}

int async__scope_enter_after(async_scope *scope, async *co, int kind,
                             async_duration delay)
{
    if (async__scope_begin(scope, co, kind)) return -1;
    async__scope_arm(scope, async__after(async_loop_of(co), delay));
    return 0;
}

/* Sees to what becomes of co->error; whether it appears here. */
int async__scope_leave(async_scope *scope, async *co)
{
    async_scope *parent = scope->parent;
    async_task *task = scope->task;
    int outside = parent != NULL && async__scope_is_cancelled(parent);
    if (task != async__task_of(co) || async__scope_innermost(task) != scope)
        async__trap("a cancel scope was left before one that was entered "
                    "later", "ASYNC_END_SCOPE", "scope.h", __LINE__);
    async__scope_disarm(scope);
    async__unlink(&scope->marker.link);
    async__scope_uproot(scope);
    if (scope->base != scope) {
        async__scope_mark(parent);
        async__scope_tell(parent->base, 0);
    }
    if (co->error != ASYNC_ECANCELED || !scope->cancelled ||
        (outside && !scope->shielded) ||
        (unsigned)async_task_cancelling(task) > scope->requests)
        return 0;
    scope->caught = 1;
    if (scope->kind & ASYNC__FAILS && scope->expired) {
        async__raised_while(co, ASYNC_ETIMEDOUT, 1);
        return 1;
    }
    co->error = ASYNC__LEAVING;
    return 0;
}

/* --- a scope ------------------------------------------------------------- */

void async_scope_cancel(async_scope *scope)
{
    if (scope->state == ASYNC__EXITED || scope->cancelled) return;
    scope->cancelled = 1;
    if (scope->state != ASYNC__ENTERED) return;
    async__scope_disarm(scope);
    async__scope_spread(scope);
}

int async_scope_set_deadline(async_scope *scope, async_time when)
{
    if (scope->state != ASYNC__ENTERED) return ASYNC_EINVALSTATE;
    async__scope_disarm(scope);
    async__scope_arm(scope, when);
    return 0;
}

void async_scope_set_shield(async_scope *scope, int shielded)
{
    if (scope->state == ASYNC__EXITED) return;
    scope->shielded = shielded != 0;
    if (scope->state == ASYNC__ENTERED && !shielded)
        async__scope_spread(scope);
}

/* --- checkpoints --------------------------------------------------------- */

static async_scope *async__scope_here(void)
{
    const async_task *task = async_current_task();
    return task != NULL ? async__scope_innermost(task) : NULL;
}

int async_scope_is_cancelled_here(void)
{
    return async__scope_is_cancelled(async__scope_here());
}

async_time async_current_effective_deadline(void)
{
    const async_scope *scope = async__scope_here();
    async_time nearest = ASYNC_FOREVER;
    if (async__scope_is_cancelled(scope))
        return async__now(scope->task->future.loop);
    for (; scope != NULL; scope = scope->parent) {
        async_time deadline = scope->timer.deadline;
        if (deadline != ASYNC_FOREVER &&
            (nearest == ASYNC_FOREVER || async_time_before(deadline, nearest)))
            nearest = deadline;
        if (scope->shielded) break;
    }
    return nearest;
}

ASYNC(async_checkpoint)
{
    ASYNC_BEGIN(async_checkpoint);
    ASYNC_SUSPEND;
    if (async_scope_is_cancelled_here()) ASYNC_RAISE(ASYNC_ECANCELED);
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
