/* What tests/conformance/conformance.h includes on a board: the bare loop, and
 * the clock and the heap of support.c.  Caesura itself is in library.c; both are
 * compiled once for all cases. */
#ifndef CONFORMANCE_BOARD_LOOP_H
#define CONFORMANCE_BOARD_LOOP_H

#include <stddef.h>

void *arena_allocate(size_t size);
void arena_release(void *memory);
void trap(const char *message) __attribute__((noreturn));
#define ASYNC_MALLOC(size) arena_allocate(size)
#define ASYNC_FREE(memory) arena_release(memory)
#define ASYNC_TRAP(message) trap(message)

#include "../../../async/bare/loop.h"
/* All of them, before there is a macro U: avr-libc's SIZE_MAX has a U in it. */
#include "../../../async/channel.h"
#include "../../../async/context.h"
#include "../../../async/dump.h"
#include "../../../async/group.h"
#include "../../../async/limiter.h"
#include "../../../async/nursery.h"
#include "../../../async/queue.h"
#include "../../../async/scope.h"
#include "../../../async/select.h"
#include "../../../async/streams.h"
#include "../../../async/sync.h"
#include "../../../examples/firmware/board.h"

/* The board's clock, but it stands still while the program runs, so that the
 * order of events is always the same. */
async_time clock_ticks(void);
void clock_sleep_until(async_time when);
void clock_advance(async_duration duration);

typedef async_bare_loop any_loop;
#define any_loop_init(loop)                                                   \
    async_bare_loop_init((loop), clock_ticks, clock_sleep_until)

static inline int run(async_object program)
{
    any_loop loop;
    int error;
    any_loop_init(&loop);
    error = async_run_on(&loop.base, program);
    async_loop_close(&loop.base);
    return error;
}

#define U ASYNC_MS(50)

/* A call that blocks. */
static inline void block(any_loop *loop, async_duration duration)
{
    (void)loop;
    clock_advance(duration);
}

#endif
