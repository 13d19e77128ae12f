/* What the conformance cases share: a loop (on virtual time, on libuv, or on a
 * board), the unit of time, Python's exceptions, and callbacks that print.
 *
 * Each case is a C program that does what the Python program of the same name
 * does, with the same calls, and prints what CPython printed, byte for byte.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

/* Python's exceptions that have no counterpart in C. */
#define ASYNC_USER_ERRORS(X)                                                  \
    X(E_VALUE, -10001, "ValueError")                                          \
    X(E_KEY, -10002, "KeyError")                                              \
    X(E_INDEX, -10003, "IndexError")                                          \
    X(E_ZERO_DIVISION, -10004, "ZeroDivisionError")                           \
    X(E_OTHER, -10005, "Exception")
#ifndef CONFORMANCE_BOARD /* there it is compiled once, for all cases */
#define ASYNC_IMPLEMENTATION
#endif

#ifdef CONFORMANCE_UV
#include "../../async/uv/loop.h"
typedef async_uv_loop any_loop;
#define any_loop_init(loop) async_uv_loop_init((loop), NULL, NULL)
static inline int run(async_object main)
{
    return async_run(main);
}
/* A unit that real clocks can tell apart. */
#define U ASYNC_MS(50)
#include <time.h>
/* A call that blocks. */
static inline void block(any_loop *loop, async_duration duration)
{
    struct timespec span;
    (void)loop;
    span.tv_sec = (time_t)(duration / 1000000000);
    span.tv_nsec = (long)(duration % 1000000000);
    nanosleep(&span, NULL);
}
#elif defined(CONFORMANCE_BOARD)
#include "../firmware/conformance/board_loop.h"
#else
#include "../../async/test/virtual.h"
typedef async_virtual_loop any_loop;
#define any_loop_init(loop) async_virtual_loop_init((loop), NULL)
static inline int run(async_object main)
{
    return async_virtual_run(main);
}
#define U ASYNC_MS(50)
static inline void block(any_loop *loop, async_duration duration)
{
    async_virtual_loop_advance(loop, duration);
}
#endif

#include <stdio.h>
#include <stdlib.h>

/* loop.call_soon(print, text) */
static inline int print_line(void *text)
{
    puts((const char *)text);
    return 0;
}

/* loop.call_soon(loop.stop) */
static inline int stop_loop(void *loop)
{
    async_loop_stop((async_loop *)loop);
    return 0;
}

/* loop.call_soon(future.set_result, None) */
static inline int set_result(void *future)
{
    return async_future_set_result((async_future *)future);
}

/* The name of a Python exception. */
static inline const char *exception_name(int error)
{
    switch (error) {
    case ASYNC_ECANCELED: return "CancelledError";
    case ASYNC_ETIMEDOUT: return "TimeoutError";
    case ASYNC_EINVALSTATE: return "InvalidStateError";
    case ASYNC_ENOTACQUIRED: return "RuntimeError";
    case ASYNC_EOVERRELEASED: return "ValueError";
    case ASYNC_EGROUP: return "ExceptionGroup";
    }
    return async_strerror(error);
}

/* asyncio.wait([task]): goes on when it has ended, however that was. */
struct until_ended { ASYNC_FRAME; async_task *task; int error; };
static inline ASYNC(until_ended)
{
    ASYNC_BEGIN(until_ended);
    ASYNC_TRY {
        AWAIT_TASK(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_END;
}

/* Whole units since `start`, as the programs print them. */
static inline int units_since(async_loop *loop, async_time start)
{
    return (int)((async_loop_time(loop) - start + U / 10) / U);
}

static inline const char *boolean(int truth)
{
    return truth ? "True" : "False";
}

/* print(bytes, end=end) */
static inline void print_bytes(const char *data, size_t size, const char *end)
{
    size_t i;
    printf("b'");
    for (i = 0; i < size; i++) {
        if (data[i] == '\n')
            printf("\\n");
        else if (data[i] == '\r')
            printf("\\r");
        else
            putchar(data[i]);
    }
    printf("'%s", end);
}

#endif
