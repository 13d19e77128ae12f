/* select.h - the first of several: the others are cancelled and waited for
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     struct fastest { ASYNC_FRAME; async_selection race; size_t who; };
 *     ...
 *     AWAIT_SELECT_INTO(self->who, &self->race, CO(ask, "a"), CO(ask, "b"));
 *     printf("%d\n", ASYNC_SELECTED(&self->race, self->who, ask));
 *     async_select_clear(&self->race);
 *
 *   SELECT         awaiting the first
 *   WHAT CAME OF IT
 *   PRIVATE
 *
 * asyncio has no such thing: async_wait with ASYNC_FIRST_COMPLETED leaves the
 * others to you.  Here nothing of them is left when it returns: each has ended,
 * and its cleanup with it.
 *
 * Threads: all of it belongs to the loop's thread.
 */
#ifndef CAESURA_SELECT_H
#define CAESURA_SELECT_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * SELECT
 * ------------------------------------------------------------------------ */
typedef struct async_selection async_selection;

/* Adds one who runs, as async_gather_add() does: a coroutine becomes a task; a
 * task or future is held until the clear, and cancelled as well when it loses:
 * shield what must not be.  To a selection that is over: begins anew.
 * Returns  0; ASYNC_ENOMEM, ASYNC_ENOLOOP, ASYNC_EOTHERLOOP, and then awaiting
 *          it cancels what there is and raises that; ASYNC_EBUSY while it is
 *          awaited. */
int async_select_add(async_selection *selection, async_object object);

/* AWAIT_INTO(who, async_select, selection): waits until the first of them has
 * ended, cancels all others, and waits until they have ended, too.  `who`, a
 * size_t, is the first's number, in the order in which they were added; of
 * several that were done before, the first one.  (The others take a step then.)
 * Errors   the winner's, when the others have ended; ASYNC_ENOFUTURES for none
 *          at all; ASYNC_ENOTASK; those of async_select_add()
 * Cancel   cancels all, and is raised when they have ended, whatever came of
 *          them
 * Memory   40 bytes for each from the loop's pool, and their tasks.  After an
 *          error all is released; after success, that is left to
 *          async_select_clear(). */
struct async_select { ASYNC_RETURNS(size_t); async_selection *selection; };
ASYNC(async_select);

/* AWAIT_SELECT_INTO(who, selection, objects...): adds up to 16 and awaits them.
 */
#define ASYNC_AWAIT_SELECT_INTO(who, selection, ...)                          \
    ASYNC__AWAIT_SELECT_INTO(who, selection, __VA_ARGS__)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_SELECT_INTO(who, selection, ...)                                \
    ASYNC__AWAIT_SELECT_INTO(who, selection, __VA_ARGS__)
#endif

/* ------------------------------------------------------------------------
 * WHAT CAME OF IT
 * ------------------------------------------------------------------------ */

/* ASYNC_SELECTED(selection, index, name): the result of number `index`, which
 * must be a coroutine (or task) of `name` that has one: anything else traps. */
#define ASYNC_SELECTED(selection, index, name)                                \
    ASYNC_GATHERED(&(selection)->all, index, name)

/* The number of the first that ended, also after its error; SIZE_MAX before
 * there was one. */
static inline size_t async_select_winner(const async_selection *selection);

/* How number `index` ended: 0, its error, ASYNC_ECANCELED.  A loser's is 0 when
 * it ended in the same iteration as the winner, or would not be cancelled: then
 * its result is there as well, and is not to be forgotten if it is an item out
 * of a queue. */
static inline int async_select_error(const async_selection *selection,
                                     size_t index);

/* Releases them.  An error of a loser, other than ASYNC_ECANCELED, is reported
 * then ("Task exception was never retrieved").  Traps while it is awaited. */
void async_select_clear(async_selection *selection);

/* ========================================================================
 * PRIVATE
 *
 * A gathering that is not started: its list of children is what is used of it.
 * ======================================================================== */
struct async_selection {
    async_gathering all; /* must be first, and what follows it next */
    async_future waiter; /* the first has ended; and then, all have */
    size_t left;         /* who have not ended */
    size_t first;        /* who has won, and one; 0 is nobody */
    int error;
    unsigned char awaited, over;
};

/* The loop's close finds the gathering by the future that is awaited. */
typedef char async__selection_layout
    [offsetof(async_selection, waiter) == sizeof(async_gathering) ? 1 : -1];

int async__select_each(async_selection *selection, int count, ...);

static inline size_t async_select_winner(const async_selection *selection)
{
    return selection->first - 1;
}
static inline int async_select_error(const async_selection *selection,
                                     size_t index)
{
    return async_gather_error(&selection->all, index);
}

#define ASYNC__AWAIT_SELECT_INTO(who, selection_, ...)                        \
    do {                                                                      \
        if (async__select_each((selection_), ASYNC__COUNT(__VA_ARGS__),       \
                               __VA_ARGS__) == ASYNC_EBUSY)                   \
            ASYNC__RAISE(ASYNC_EBUSY);                                        \
        ASYNC__AWAIT_INTO(who, async_select, (selection_), );                 \
    } while (0)

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_SELECT_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_SELECT_IMPLEMENTED)
#define CAESURA_SELECT_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

void async_select_clear(async_selection *selection)
{
    if (selection->awaited)
        async__trap("this selection is awaited: cancel who does",
                    "async_select_clear", "select.h", __LINE__);
    async_gather_clear(&selection->all);
    memset(selection, 0, sizeof *selection);
}

int async_select_add(async_selection *selection, async_object object)
{
    if (selection->awaited) return ASYNC_EBUSY;
    if (selection->over) async_select_clear(selection);
    return async_gather_add(&selection->all, object);
}

int async__select_each(async_selection *selection, int count, ...)
{
    va_list objects;
    int error = 0;
    va_start(objects, count);
    while (count-- > 0 && !error)
        error = async_select_add(selection, va_arg(objects, async_object));
    va_end(objects);
    return error;
}

static size_t async__select_number(const async_selection *selection,
                                   const async__member *child)
{
    size_t i = 0;
    while (async__child_of(&selection->all, i) != child) i++;
    return i;
}

/* One has ended: the first, or perhaps the last. */
static void async__select_done(async_node *node)
{
    async__member *child = (async__member *)(void *)node;
    async_selection *selection =
        (async_selection *)(void *)child->gathering; /* begins with it */
    node->link.prev = NULL;
    selection->left--;
    if (selection->first == 0)
        selection->first = async__select_number(selection, child) + 1;
    else if (selection->left > 0)
        return;
    async__wake_waiter(&selection->waiter);
}

#if ASYNC_HOSTED
static const async_future *async__select_waiter(const async_node *node)
{
    return &((const async_selection *)(const void *)((const async__member
                                                          *)(const void *)node)
                 ->gathering)
                ->waiter;
}
ASYNC__AWAITS(async__select_awaits, async__select_done, async__select_waiter)
#endif

static void async__select_cancel(async_selection *selection)
{
    uint32_t i;
    for (i = 0; i < selection->all.count; i++)
        (void)async_future_cancel(async__child_of(&selection->all, i)->future);
}

/* Begins, if it can: 0, or raised. */
static int async__select_begin(async *co, async_selection *selection)
{
    int error = selection->awaited                  ? (int)ASYNC_EBUSY
                : !(co->flags & ASYNC__IS_TASK)     ? (int)ASYNC_ENOTASK
                : selection->over                   ? (int)ASYNC_ENOFUTURES
                : selection->all.error              ? selection->all.error
                : selection->all.count == 0         ? (int)ASYNC_ENOFUTURES
                : selection->all.outer.future.loop != async_loop_of(co)
                    ? (int)ASYNC_EOTHERLOOP
                    : 0;
    uint32_t i;
    if (error) {
        /* What it has is of no use to anybody. */
        if (error == ASYNC_EOTHERLOOP || selection->all.error) {
            async__select_cancel(selection);
            async_select_clear(selection);
        }
        async__raised(co, error);
        return -1;
    }
    selection->awaited = 1;
    selection->left = selection->all.count;
    async_future_init(&selection->waiter, async_loop_of(co));
    selection->waiter.kind |= ASYNC__SELECTS;
    for (i = 0; i < selection->all.count; i++) {
        async__member *child = async__child_of(&selection->all, i);
        child->node.run = async__select_done;
        if (child->future->state == ASYNC__PENDING)
            async__list_append(&child->future->waiters, &child->node.link);
        else
            async__ready_callback(child->future->loop, &child->node);
    }
    return 0;
}

/* Behind a wait: keeps a cancellation for later; whether to wait on. */
static int async__select_waits(async *co, async_selection *selection)
{
    (void)async__awaited(co);
    async__drop(co);
    if (co->error) selection->error = co->error;
    co->error = 0;
    if (selection->left == 0) return 0;
    if (!selection->over) {
        selection->over = 1;
        async__select_cancel(selection);
    }
    if (selection->first == 0) selection->first = SIZE_MAX; /* nobody */
    async_future_init(&selection->waiter, async_loop_of(co));
    selection->waiter.kind |= ASYNC__SELECTS | ASYNC__UNHURRIED;
    return 1;
}

/* What leaves it: 0, or raised. */
static int async__select_end(async *co, async_selection *selection)
{
    async_future *winner;
    selection->awaited = 0;
    selection->over = 1;
    if (selection->first == SIZE_MAX) selection->first = 0;
    if (selection->error) {
        co->error = selection->error; /* on its way again, and noted already */
    } else {
        winner = async__child_of(&selection->all, selection->first - 1)->future;
        if (winner->error == 0) return 0;
        async__take_error(co, winner);
    }
    async__gather_let_go(&selection->all);
    return -1;
}

ASYNC(async_select)
{
    ASYNC_BEGIN(async_select);
    if (async__select_begin(co, self->selection)) ASYNC__FAIL;
    do {
        ASYNC__WAIT_FOR(&self->selection->waiter)
    } while (async__select_waits(co, self->selection));
    if (async__select_end(co, self->selection)) ASYNC__FAIL;
    ASYNC_RETURN(async_select_winner(self->selection));
    ASYNC_END;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
