/* signal.h - what every task does, when a signal asks for it
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     async_loop_dump_on_signal(loop, SIGUSR1);
 *
 * and then, from a shell, `kill -USR1 PID`: the tree of tasks is written to
 * stderr (async_dump_tree() of async/dump.h), and warnings, if the loop is
 * watched (async/debug/watch.h).  The loop does it, between two tasks: one that
 * hangs in a step of a task does not; async/debug/caesura-gdb.py looks into it.
 */
#ifndef CAESURA_DEBUG_SIGNAL_H
#define CAESURA_DEBUG_SIGNAL_H

#include "../dump.h"
#include "../uv/signal.h"
#include "watch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Has each signal `number` write the tree, in place of what it did; until
 * async_loop_remove_signal_handler().
 * Returns  as async_loop_add_signal_handler() */
int async_loop_dump_on_signal(async_loop *loop, int number);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_DEBUG_SIGNAL_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) &&                                          \
    !defined(CAESURA_DEBUG_SIGNAL_IMPLEMENTED)
#define CAESURA_DEBUG_SIGNAL_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

static void async__debug_put(const char *text, void *file)
{
    fputs(text, (FILE *)file);
}

static int async__debug_dump(void *argument)
{
    async_loop *loop = (async_loop *)argument;
    if (async_dump_tree_to(loop, ASYNC_DUMP_ALL, stderr) != 0)
        async_dump_tasks_to(loop, ASYNC_DUMP_ALL, stderr);
    (void)async_watch_warnings(loop, ASYNC_MS(100), async__debug_put, stderr);
    fflush(stderr);
    return 0;
}

int async_loop_dump_on_signal(async_loop *loop, int number)
{
    return async_loop_add_signal_handler(loop, number, async__debug_dump, loop);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
