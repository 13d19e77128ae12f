/* async.h - stackless coroutines: frames, AWAIT, try/except/finally, generators
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A coroutine is a struct (what survives an await) and a function of the same
 * name (what it does):
 *
 *     struct greet { ASYNC_FRAME; const char *whom; };
 *     static ASYNC(greet)
 *     {
 *         ASYNC_BEGIN(greet);
 *         AWAIT(async_sleep, ASYNC_SECONDS(1));
 *         printf("hello, %s\n", self->whom);
 *         ASYNC_END;
 *     }
 *
 * This header has no loop, no heap of its own and needs no libc but memcpy and
 * memset.  future.h adds futures and the loop, task.h adds tasks.
 *
 * One .c file of the program says `#define ASYNC_IMPLEMENTATION` before it
 * includes any header of Caesura; all others just include.
 *
 *   CONFIGURATION      what may be defined before the include
 *   ERRORS             the table of error codes
 *   COROUTINES         ASYNC_FRAME, ASYNC, ASYNC_BEGIN .. ASYNC_END
 *   AWAIT              AWAIT, AWAIT_INTO, AWAIT_CATCH
 *   TRY                ASYNC_TRY, EXCEPT, ELSE, FINALLY
 *   OBJECTS            CO(...), coroutines driven by hand
 *   GENERATORS         ASYNC_YIELD, ASYNC_FOR_EACH, ASYNC_FOR
 *   INTROSPECTION      the chain of awaits, tracebacks, high-water marks
 *   PROTOTHREADS       ASYNC_PT_*: two bytes, nothing else
 *   PRIVATE            what the macros expand to; names with two underscores
 *
 * docs/guide.md explains the model; each item below is its own contract.
 */
#ifndef CAESURA_ASYNC_H
#define CAESURA_ASYNC_H

#define CAESURA_VERSION_MAJOR 0
#define CAESURA_VERSION_MINOR 1
#define CAESURA_VERSION_PATCH 0
#define CAESURA_VERSION "0.1.0"

/* Coroutines need gcc or clang.  With any other C compiler (SDCC for 8051 and
 * STM8, tcc) this header has the PROTOTHREADS alone, which are plain C99, and
 * the other headers do not compile. */
#if defined(__GNUC__)
#define ASYNC_COROUTINES 1
#else
#define ASYNC_COROUTINES 0
#endif

/* Who reads the program's own code (tools/caesura-lint) need not read ours. */
#ifdef ASYNC_LINT
#undef ASYNC_IMPLEMENTATION
#endif

#include <stddef.h>
#include <stdint.h>

#if ASYNC_COROUTINES
#if !defined(__has_include) || defined(__cplusplus)
#include <string.h>
#elif __has_include(<string.h>)
#include <string.h>
#else /* a freestanding compiler, whose program has these two */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
#endif

/* ------------------------------------------------------------------------
 * CONFIGURATION
 *
 * Define these for the whole program (on the compiler's command line), or
 * not at all: all files that share coroutines must agree.
 *
 * ASYNC_IMPLEMENTATION     in exactly one file: compile the functions too
 * ASYNC_NO_SHORT_NAMES     no AWAIT*, CO; use ASYNC_AWAIT*, ASYNC_CO
 * ASYNC_FREESTANDING       as on a freestanding target: no libc but memcpy and
 *                          memset, no heap, no traceback, 32-bit time
 * ASYNC_NO_HEAP            no frame stack ever grows, no malloc is named;
 *                          the default on freestanding targets, but with
 *                          ASYNC_MALLOC
 * ASYNC_STATIC_ONLY        nothing is ever allocated, by nobody: tasks are
 *                          static (ASYNC_STATIC_TASK), and there are neither
 *                          context variables nor a task factory.  Timers are
 *                          a list in the order of their deadlines.  For
 *                          firmware; implies ASYNC_FREESTANDING
 * ASYNC_NO_CANCEL          with ASYNC_STATIC_ONLY: tasks cannot be cancelled.
 *                          There are no time limits then (ASYNC_TIMEOUT,
 *                          async_wait_for), nor async_settled, which has one
 * ASYNC_SMALL              small types: a source file of coroutines has at
 *                          most 16,000 lines, a FINALLY inside a FINALLY does
 *                          not compile, a task has at most 255 shares.  The
 *                          default where pointers have 16 bits
 * ASYNC_NO_TRACEBACK       errors leave no await traceback
 * ASYNC_NO_NAMES           coroutines, tasks and errors keep no names
 * ASYNC_TIME_BITS          64: nanoseconds in int64_t; 32: ticks that wrap, in
 *                          uint32_t, and spans in int32_t; 16, only with
 *                          ASYNC_STATIC_ONLY: in uint16_t and int16_t, for
 *                          small parts
 * ASYNC_TICKS_PER_SECOND   with 32 or 16 bits: of the clock that the loop is
 *                          given; 1000 by default
 * ASYNC_CRITICAL_ENTER     two macros, statements of one block: interrupts off,
 * ASYNC_CRITICAL_EXIT      and then again what they were, which may be off.
 *                          AVR, Cortex-M and RISC-V have them; any other part
 *                          needs them for a loop that sleeps, as whether to
 *                          sleep is decided between the two
 * ASYNC_DEBUG              every loop begins in debug mode, and reports tell
 *                          where a coroutine was made: async/debug/debug.h,
 *                          which then need not be included.  For hosts
 * ASYNC_NO_LOCAL_CHECK     a local lost across an await is no longer an error
 * ASYNC_NO_SWITCH_CHECK    an await inside a switch of yours is found when it
 *                          resumes, not by the compiler
 * ASYNC_MALLOC(size)       what the default allocator calls, instead of
 * ASYNC_FREE(memory)       malloc and free; on a freestanding target these
 *                          give it a heap: tasks and their stacks
 * ASYNC_TRAP(message)      what misuse ends in; by default it prints the
 *                          message and aborts (freestanding: traps)
 * ------------------------------------------------------------------------ */

#if defined(ASYNC_NO_CANCEL) && !defined(ASYNC_STATIC_ONLY)
#error "ASYNC_NO_CANCEL needs ASYNC_STATIC_ONLY"
#endif
/* avr-libc says that it is hosted, but lacks most errors and all of stdio. */
#if (defined(ASYNC_STATIC_ONLY) || defined(__AVR__)) &&                       \
    !defined(ASYNC_FREESTANDING)
#define ASYNC_FREESTANDING
#endif
#if defined(__STDC_HOSTED__) && __STDC_HOSTED__ && !defined(ASYNC_FREESTANDING)
#define ASYNC_HOSTED 1
#include <errno.h>
#else
#define ASYNC_HOSTED 0
#endif

#if !ASYNC_HOSTED && !defined(ASYNC_MALLOC) && !defined(ASYNC_NO_HEAP)
#define ASYNC_NO_HEAP
#endif
#if !ASYNC_HOSTED && defined(ASYNC_DEBUG)
#undef ASYNC_DEBUG
#endif
#if !ASYNC_HOSTED && !defined(ASYNC_NO_TRACEBACK)
#define ASYNC_NO_TRACEBACK
#endif
#if defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ == 2 &&                 \
    !defined(ASYNC_SMALL)
#define ASYNC_SMALL
#endif
#ifndef ASYNC_TIME_BITS
#if ASYNC_HOSTED
#define ASYNC_TIME_BITS 64
#else
#define ASYNC_TIME_BITS 32
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * ERRORS
 *
 * An error is a negative int, at least -32768.  Codes that have an errno are
 * libuv's (on POSIX -errno); asyncio's own stand below -5000.  A program adds
 * its own by defining ASYNC_USER_ERRORS(X) in the same form before the
 * include; keep those below -10000.
 *
 *     #define ASYNC_USER_ERRORS(X) X(MY_EPARSE, -10001, "bad syntax")
 *
 * The texts are asyncio's where asyncio has one.
 * ------------------------------------------------------------------------ */

/* libuv's own numbers, where a system has no errno for them */
#if ASYNC_HOSTED && !defined(_WIN32)
#define ASYNC__ERRNO(posix, uv) (-(posix))
#define ASYNC__ERRNO_ENOMEM ENOMEM
#define ASYNC__ERRNO_EINVAL EINVAL
#define ASYNC__ERRNO_ECANCELED ECANCELED
#define ASYNC__ERRNO_ETIMEDOUT ETIMEDOUT
#define ASYNC__ERRNO_EBUSY EBUSY
#define ASYNC__ERRNO_EINTR EINTR
#else
#define ASYNC__ERRNO(posix, uv) (uv)
#endif

#define ASYNC_ERRORS(X)                                                       \
    X(ASYNC_ENOMEM, ASYNC__ERRNO(ASYNC__ERRNO_ENOMEM, -4057),                 \
      "not enough memory")                                                    \
    X(ASYNC_EINVAL, ASYNC__ERRNO(ASYNC__ERRNO_EINVAL, -4071),                 \
      "invalid argument")                                                     \
    X(ASYNC_EBUSY, ASYNC__ERRNO(ASYNC__ERRNO_EBUSY, -4082),                   \
      "resource busy or locked")                                              \
    X(ASYNC_ETIMEDOUT, ASYNC__ERRNO(ASYNC__ERRNO_ETIMEDOUT, -4039),           \
      "timed out") /* TimeoutError */                                         \
    X(ASYNC_ECANCELED, ASYNC__ERRNO(ASYNC__ERRNO_ECANCELED, -4081),           \
      "cancelled") /* CancelledError */                                       \
    X(ASYNC_EINTR, ASYNC__ERRNO(ASYNC__ERRNO_EINTR, -4072),                   \
      "interrupted") /* KeyboardInterrupt */                                  \
    X(ASYNC_EGENERATOREXIT, -5001, "generator exit") /* GeneratorExit */      \
    X(ASYNC_ESTOPITERATION, -5002,                                            \
      "no more items") /* StopIteration, StopAsyncIteration */                \
    X(ASYNC_EINVALSTATE, -5003, "invalid state") /* InvalidStateError */      \
    X(ASYNC_ENOTREADY, -5004, "Result is not set.") /* InvalidStateError */   \
    X(ASYNC_EQUEUEEMPTY, -5035, "QueueEmpty")                                 \
    X(ASYNC_EQUEUEFULL, -5036, "QueueFull")                                   \
    X(ASYNC_EQUEUESHUTDOWN, -5037, "QueueShutDown")                           \
    /* ValueError and TypeError: an argument is wrong */                      \
    X(ASYNC_ETASKDONE, -5038, "task_done() called too many times")            \
    X(ASYNC_EOVERRELEASED, -5034,                                             \
      "BoundedSemaphore released too many times")                             \
    X(ASYNC_ESEMAPHOREVALUE, -5060,                                           \
      "Semaphore initial value must be >= 0")                                 \
    X(ASYNC_EPARTIES, -5061, "parties must be >= 1")                          \
    X(ASYNC_ENOFUTURES, -5062, "Set of Tasks/Futures is empty.")              \
    X(ASYNC_ERETURNWHEN, -5063, "Invalid return_when value")                  \
    X(ASYNC_ESTOPFUTURE, -5064,                                               \
      "StopIteration interacts badly with generators and cannot be raised "   \
      "into a Future")                                                        \
    /* RuntimeError from here on: the program is wrong */                     \
    X(ASYNC_EREUSED, -5005, "cannot reuse already awaited coroutine")         \
    X(ASYNC_EIGNOREDEXIT, -5006, "generator ignored GeneratorExit")           \
    X(ASYNC_EJUSTSTARTED, -5007,                                              \
      "can't send non-None value to a just-started generator")                \
    X(ASYNC_EHANDDRIVEN, -5008,                                               \
      "a generator driven by hand awaits; iterate it with ASYNC_FOR")         \
    X(ASYNC_ENOLOOP, -5009, "no running event loop")                          \
    X(ASYNC_ELOOPRUNNING, -5010, "This event loop is already running")        \
    X(ASYNC_EOTHERRUNNING, -5011,                                             \
      "Cannot run the event loop while another loop is running")              \
    X(ASYNC_ENESTEDRUN, -5012,                                                \
      "asyncio.run() cannot be called from a running event loop")             \
    X(ASYNC_ECLOSERUNNING, -5013, "Cannot close a running event loop")        \
    X(ASYNC_ELOOPCLOSED, -5014, "Event loop is closed")                       \
    X(ASYNC_ELOOPSTOPPED, -5015,                                              \
      "Event loop stopped before Future completed.")                          \
    X(ASYNC_EOTHERLOOP, -5016, "attached to a different loop")                \
    X(ASYNC_EBOUND, -5024, "is bound to a different event loop")              \
    X(ASYNC_ESELFAWAIT, -5017, "Task cannot await on itself")                 \
    X(ASYNC_ETASKRESULT, -5018,                                               \
      "Task does not support set_result operation")                           \
    X(ASYNC_ETASKEXCEPTION, -5023,                                            \
      "Task does not support set_exception operation")                        \
    X(ASYNC_ENOTASK, -5019, "no running task to wait in")                     \
    X(ASYNC_EDESTROYED, -5020, "what was awaited has been destroyed")         \
    X(ASYNC_EDEADLOCK, -5021, "every task waits, and nothing will wake them") \
    X(ASYNC_ECLOSED, -5022, "it is closed")                                   \
    X(ASYNC_ENOTACQUIRED, -5030, "Lock is not acquired.")                     \
    X(ASYNC_EWAITUNLOCKED, -5031, "cannot wait on un-acquired lock")          \
    X(ASYNC_ENOTIFYUNLOCKED, -5032, "cannot notify on un-acquired lock")      \
    X(ASYNC_EBROKENBARRIER, -5033, "Abort or reset of barrier")               \
    X(ASYNC_ETIMEOUTTASK, -5040, "Timeout should be used inside a task")      \
    X(ASYNC_ETIMEOUTNEW, -5041, "Timeout has not been entered")               \
    X(ASYNC_ETIMEOUTUSED, -5042, "Timeout has already been entered")          \
    X(ASYNC_ETIMEOUTEXPIRING, -5045,                                          \
      "Cannot change state of expiring Timeout")                              \
    X(ASYNC_ETIMEOUTEXPIRED, -5043, "Cannot change state of expired Timeout") \
    X(ASYNC_ETIMEOUTOVER, -5044, "Cannot change state of finished Timeout")   \
    X(ASYNC_EGROUP, -5050, "unhandled errors in a TaskGroup")                 \
    X(ASYNC_EGROUPTASK, -5051, "TaskGroup cannot determine the parent task")  \
    X(ASYNC_EGROUPNEW, -5052, "TaskGroup has not been entered")               \
    X(ASYNC_EGROUPUSED, -5053, "TaskGroup has already been entered")          \
    X(ASYNC_EGROUPOVER, -5054, "TaskGroup is finished")                       \
    X(ASYNC_EGROUPABORT, -5055, "TaskGroup is shutting down")                 \
    X(ASYNC_ETOKENUSED, -5070, "Token has already been used once")            \
    X(ASYNC_ETOKENVAR, -5071, /* ValueError */                                \
      "Token was created by a different ContextVar")                          \
    X(ASYNC_ETOKENCONTEXT, -5072, /* ValueError */                            \
      "Token was created in a different Context")                             \
    X(ASYNC_ERUNNERCLOSED, -5073, "Runner is closed")                         \
    X(ASYNC_EOVERRUN, -5080, "bytes were lost")                               \
    X(ASYNC_EINCOMPLETE, -5081, /* IncompleteReadError */                     \
      "the stream ended before all of it was there")                          \
    X(ASYNC_ELIMIT, -5082, /* LimitOverrunError; ValueError of readline() */  \
      "Separator is not found, and chunk exceed the limit")                   \
    X(ASYNC_ETLS, -5090, "TLS failed") /* SSLError */                         \
    X(ASYNC_ETLSHANDSHAKE, -5091, "TLS handshake failed") /* SSLError */      \
    X(ASYNC_ETLSVERIFY, -5092, /* SSLCertVerificationError */                 \
      "certificate verify failed")                                            \
    X(ASYNC_ETLSEOF, -5093, /* SSLEOFError */                                 \
      "EOF occurred in violation of protocol")                                \
    X(ASYNC_EHTTP, -5094, "it is no HTTP") /* BadHttpMessage */               \
    X(ASYNC_EPOSTGRES, -5095, /* DatabaseError */                             \
      "the PostgreSQL server reports an error")                               \
    X(ASYNC_EINTEGRITY, -5096, /* IntegrityError */                           \
      "a constraint of the database is violated")                             \
    X(ASYNC_ESERIALIZATION, -5097, /* SerializationError */                   \
      "the transaction is to be tried again")                                 \
    X(ASYNC_EREDIS, -5098, "the Redis server reports an error")               \
    X(ASYNC_ESCOPEUSED, -5100, "cancel scope has already been entered")       \
    X(ASYNC_ENOTSTARTED, -5101,                                               \
      "child exited without calling task_status.started()")                   \
    X(ASYNC_EWOULDBLOCK, -5102, "WouldBlock")                                 \
    X(ASYNC_EENDOFCHANNEL, -5103, "EndOfChannel")                             \
    X(ASYNC_EBROKENRESOURCE, -5104, "BrokenResourceError")                    \
    X(ASYNC_EBORROWED, -5105,                                                 \
      "this borrower is already holding one of this CapacityLimiter's "       \
      "tokens")                                                               \
    X(ASYNC_ENOTBORROWED, -5106,                                              \
      "this borrower isn't holding any of this CapacityLimiter's tokens")     \
    X(ASYNC_ETOTALTOKENS, -5107, /* ValueError */                             \
      "total_tokens must be >= 1, and at most what there is room for")

#ifndef ASYNC_USER_ERRORS
#define ASYNC_USER_ERRORS(X)
#endif

#define ASYNC__ERROR_ENUM(name, number, text) name = (number),
enum async_error {
    ASYNC_ERRORS(ASYNC__ERROR_ENUM) ASYNC_USER_ERRORS(ASYNC__ERROR_ENUM)
    ASYNC_OK = 0
};

/* The name of an error ("ASYNC_ETIMEDOUT"), or NULL when it is in no table.
 * Static storage.  Any thread.  (On AVR names and texts lie in flash: each of
 * these two functions has a buffer in RAM, valid until it is called again, and
 * neither is for interrupts.) */
const char *async_error_name(int error);

/* What an error says ("timed out"); for one in no table, the system's text or
 * "unknown error".  Static storage.  Any thread.  Counterpart: str(exc). */
const char *async_strerror(int error);

/* Whether `except Exception` would catch it: an error, but neither
 * cancellation nor generator exit nor interrupt.  Any thread, any ISR. */
static inline int async_error_is_exception(int error)
{
    return error < 0 && error != ASYNC_ECANCELED &&
           error != ASYNC_EGENERATOREXIT && error != ASYNC_EINTR;
}

/* ------------------------------------------------------------------------
 * COROUTINES
 * ------------------------------------------------------------------------ */

/* A coroutine: a stack of frames and what drives it.  Its members are
 * private; a coroutine's body has its own as `co`. */
typedef struct async async;

/* The head of every frame.  Private, but for async_frame_*() below. */
typedef struct async_frame async_frame;

/* What a coroutine's function returns.  A struct, so that a plain `return 0;`
 * in a body does not compile: leave with ASYNC_RETURN. */
typedef struct async_status {
#ifdef ASYNC_SMALL
    uint8_t code;
#else
    int code;
#endif
} async_status;

typedef async_status async_function(async *co, void *frame);

/* Points in time and spans of it; see future.h. */
#if ASYNC_TIME_BITS == 64
typedef int64_t async_time;
typedef int64_t async_duration;
#elif ASYNC_TIME_BITS == 32
typedef uint32_t async_time;
typedef int32_t async_duration;
#else
typedef uint16_t async_time;
typedef int16_t async_duration;
#endif

/* The first member of a coroutine's struct.  After it stand the arguments, in
 * the order in which AWAIT takes them, then the locals; what a call does not
 * name is zero.
 *
 *     struct fetch { ASYNC_RETURNS(int); const char *url;  int tries; };
 *
 * ASYNC_FRAME        the coroutine returns nothing
 * ASYNC_RETURNS(T)   it returns a T (a type name that can stand before an
 *                    identifier; typedef arrays and function pointers)
 * ASYNC_YIELDS, ASYNC_YIELDS_SENT, ASYNC_GENERATES: see GENERATORS */
#define ASYNC_FRAME ASYNC__FRAME_OF(1, ASYNC__NOTHING)
#define ASYNC_RETURNS(T) ASYNC__FRAME_OF(2, T result;)

/* Heads the function of the struct `name`; say `static` before it as for any
 * function.  With a semicolon it is a prototype for a header. */
#define ASYNC(name) ASYNC__FUNCTION(name)

/* Opens and closes a body.  Between them `self` is the struct's pointer and
 * `co` the coroutine.
 *
 * Syntax   ASYNC_BEGIN(name); statements ASYNC_END;
 * Resume   the body goes on behind the AWAIT at which it stopped.  What stands
 *          before ASYNC_BEGIN runs again at every resume: leave it empty.
 * Across an await only `self->` survives.  A local that is set before and read
 *          after one does not compile (gcc and clang warn of it, and the
 *          warnings are errors here).  What they cannot see: one that is
 *          initialised above ASYNC_BEGIN; with gcc -O0 one that is declared
 *          there; with clang an array, a struct, and a pointer to const that
 *          is passed straight to a function.
 * Misuse   an await in a switch of yours: "AWAIT_cannot_stand_in_a_switch", or
 *          "overflow in conversion" (gcc with -isystem).
 *          two awaits on one line: "duplicate label two_awaits_on_line_N"
 *          `return` in a body: "incompatible types", "return with no value"
 *          another name than ASYNC()'s: "async__frame_of_NAME undeclared" */
#define ASYNC_BEGIN(name) ASYNC__BEGIN(name)
#define ASYNC_END ASYNC__END

/* Leaves the coroutine, through every FINALLY on the way.
 *
 *     ASYNC_RETURN();        from one declared with ASYNC_FRAME
 *     ASYNC_RETURN(value);   from one declared with ASYNC_RETURNS(T)
 *
 * In a FINALLY it replaces the result and drops the error on its way. */
#define ASYNC_RETURN(...)                                                     \
    ASYNC__CAT(ASYNC__RETURN_, ASYNC__IS_EMPTY(__VA_ARGS__))(__VA_ARGS__)

/* Raises an error: a negative int (anything else traps).  It unwinds to the
 * innermost EXCEPT that takes it, running each FINALLY on the way, through
 * this coroutine and then through those that await it. */
#define ASYNC_RAISE(error) ASYNC__RAISE(error)

/* Gives up the processor once.  A task goes to the end of the ready queue,
 * just as with `AWAIT(async_sleep, 0)`, but without a frame; a coroutine
 * driven by hand returns from async_send().  Raises what is thrown in here:
 * cancellation, or async_throw().  Counterpart: a bare `yield`. */
#define ASYNC_SUSPEND ASYNC__SUSPEND(ASYNC__PAUSED)

/* ------------------------------------------------------------------------
 * AWAIT
 *
 * Calls another coroutine and goes on when it has ended.  It runs inside this
 * one, not beside it: no task is made, and if it never suspends, neither does
 * its caller.  Arguments are positional or designated:
 *
 *     AWAIT(say_after, ASYNC_SECONDS(1), "hello");
 *     AWAIT(say_after, .what = "hello", .delay = ASYNC_SECONDS(1));
 *
 * They are evaluated once, and may point at temporaries if the callee uses
 * them before it first suspends.
 *
 * Errors   what the callee raises, here; ASYNC_ENOMEM when the frame stack is
 *          full (static) or cannot grow (heap): then the callee never ran.
 * Cancel   is thrown in at the innermost await, and comes out here.
 * One await a line; never in a condition or an expression. */

/* AWAIT(name, arguments...): its result, if any, is dropped. */
/* AWAIT_INTO(place, name, arguments...): place = its result.  `place` is
 * evaluated after the await, and untouched when that raises. */
/* AWAIT_CATCH(error, name, arguments...): error = 0, or the error as a value
 * instead of unwinding.  What `except Exception` would not catch still
 * unwinds: cancellation must not be taken for a failure. */
/* AWAIT_CATCH_INTO(error, place, name, arguments...): both. */
/* AWAIT_CO(object): awaits a coroutine object that somebody else made with
 * CO(...); its arguments are copied.  AWAIT_CO_INTO(place, name, object) takes
 * its result, which must be that of `name`; an object of another coroutine
 * raises ASYNC_EINVAL. */
#define ASYNC_AWAIT(...) ASYNC__AWAIT_ALONE(__VA_ARGS__, )
#define ASYNC_AWAIT_INTO(place, ...) ASYNC__AWAIT_INTO(place, __VA_ARGS__, )
#define ASYNC_AWAIT_CATCH(error, ...) ASYNC__AWAIT_CATCH(error, __VA_ARGS__, )
#define ASYNC_AWAIT_CATCH_INTO(error, place, ...)                             \
    ASYNC__AWAIT_CATCH_INTO(error, place, __VA_ARGS__, )
#define ASYNC_AWAIT_CO(object) ASYNC__AWAIT_CO(object)
#define ASYNC_AWAIT_CO_INTO(place, name, object)                              \
    ASYNC__AWAIT_CO_INTO(place, name, object)

#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT(...) ASYNC__AWAIT_ALONE(__VA_ARGS__, )
#define AWAIT_INTO(place, ...) ASYNC__AWAIT_INTO(place, __VA_ARGS__, )
#define AWAIT_CATCH(error, ...) ASYNC__AWAIT_CATCH(error, __VA_ARGS__, )
#define AWAIT_CATCH_INTO(error, place, ...)                                   \
    ASYNC__AWAIT_CATCH_INTO(error, place, __VA_ARGS__, )
#define AWAIT_CO(object) ASYNC__AWAIT_CO(object)
#define AWAIT_CO_INTO(place, name, object)                                    \
    ASYNC__AWAIT_CO_INTO(place, name, object)
#endif

/* ------------------------------------------------------------------------
 * TRY
 *
 * Syntax   ASYNC_TRY { } EXCEPT { }... ELSE { } FINALLY { } ASYNC_END_TRY
 *          with the arms in this order, each but END_TRY optional; nesting
 *          and awaits anywhere.  No semicolon after ASYNC_END_TRY.
 *
 *          ASYNC_EXCEPT(code)         that error; up to four: (a, b, c)
 *          ASYNC_EXCEPT_ANY(place)    `except Exception`: place = the error.
 *                                     Not cancellation, nor generator exit.
 *          ASYNC_EXCEPT_ALL(place)    `except BaseException`
 *          ASYNC_ELSE                 when the body ended by itself
 *          ASYNC_FINALLY              always: success, error, return, break,
 *                                     continue, cancellation
 *
 * `break` and `continue` in any arm run FINALLY and then leave, or continue,
 * the loop around the TRY.  An error raised in an arm replaces the one that
 * was handled.  A FINALLY that ends by itself goes on with what it interrupted.
 *
 * Costs    no memory; the error on its way is kept in the frame while FINALLY
 *          awaits.  That place is there twice, so a FINALLY may stand inside
 *          the FINALLY of another TRY, but not a third inside both (a compile
 *          error; make it a coroutine of its own).
 * Misuse   `break` with no loop around traps: "break or continue outside a
 *          loop". */
#define ASYNC_TRY ASYNC__TRY
#define ASYNC_EXCEPT(...) ASYNC__EXCEPT(ASYNC__IS_ERROR(__VA_ARGS__))
#define ASYNC_EXCEPT_ANY(place)                                               \
    ASYNC__EXCEPT(async_error_is_exception(co->error) &&                      \
                  ((place) = co->error, 1))
#define ASYNC_EXCEPT_ALL(place)                                               \
    ASYNC__EXCEPT(co->error < 0 && ((place) = co->error, 1))
#define ASYNC_ELSE ASYNC__ELSE
#define ASYNC_FINALLY ASYNC__FINALLY
#define ASYNC_END_TRY ASYNC__END_TRY

/* ------------------------------------------------------------------------
 * OBJECTS
 * ------------------------------------------------------------------------ */

/* A coroutine with its arguments, not yet running: what calling an `async def`
 * gives in Python.  It is a value, made by CO() in the middle of an
 * expression, and points at arguments that live to the end of the enclosing
 * block: whoever takes one copies them at once. */
typedef struct async_object async_object;

/* CO(name, arguments...): a coroutine object.  Dropping it is a compile-time
 * warning ("ignoring return value"; not by gcc with -isystem): Python's "never
 * awaited".  It holds
 * for one level: an object among the arguments of another, as in
 * CO(f, CO(g)), is gone when f runs as a task later. */
#define ASYNC_CO(...) ASYNC__CO(__VA_ARGS__, )
#ifndef ASYNC_NO_SHORT_NAMES
#define CO(...) ASYNC__CO(__VA_ARGS__, )
#endif

/* Where memory comes from.  `allocate` returns memory aligned for any type, or
 * NULL; `release` gets the size that was asked for.  Both get `context`. */
typedef struct async_allocator {
    void *(*allocate)(void *context, size_t size);
    void (*release)(void *context, void *memory, size_t size);
    void *context;
} async_allocator;

#ifndef ASYNC_NO_HEAP
/* malloc and free, or ASYNC_MALLOC and ASYNC_FREE. */
extern const async_allocator async_default_allocator;
#endif

/* Makes a coroutine to be driven by hand, in the caller's storage.
 *
 * co       the caller's, uninitialised; must not move until it is closed
 * memory   for its frames, `size` bytes, the caller's until it is closed, and
 *          aligned like a pointer; the frame stack never grows
 * object   CO(...); its arguments are copied
 * Returns  0; ASYNC_ENOMEM when the first frame does not fit */
int async_init(async *co, void *memory, size_t size, async_object object);

#ifndef ASYNC_NO_HEAP
/* The same with a frame stack that starts small and grows by `allocator`
 * (NULL: the default one), which must outlive it.  async_close() gives the
 * memory back, whatever state the coroutine is in. */
int async_new(async *co, const async_allocator *allocator, async_object object);
#endif

/* Runs it to its next suspension, or to its end.  Not from another thread, not
 * from itself.  Counterpart: coroutine.send(None).
 * Returns  ASYNC_SUSPENDED (1); 0 when it has ended, and ASYNC_RESULT() is
 *          there; or the error that left it.
 *          ASYNC_EREUSED when it had ended before. */
int async_send(async *co);
#define ASYNC_SUSPENDED 1

/* The same, but raises `error` where it stands.  One that has not started
 * ends at once with that error: its body never runs.
 * Counterpart: coroutine.throw(). */
int async_throw(async *co, int error);

/* Ends it: raises ASYNC_EGENERATOREXIT where it stands, so that each FINALLY
 * runs, and gives heap memory back.  Ended or not started: only the latter.
 * Returns  0; ASYNC_EIGNOREDEXIT when it suspended instead of ending (its
 *          memory is gone all the same); another error that it raised.
 * Counterpart: coroutine.close(). */
int async_close(async *co);

/* The result of an ended coroutine, typed: ASYNC_RESULT(&co, name).  Valid
 * until async_close(). */
#define ASYNC_RESULT(co_, name) (((struct name *)(co_)->sp)->frame.result)

/* ------------------------------------------------------------------------
 * GENERATORS
 *
 * A generator is a coroutine that yields values.  Its struct is the whole
 * object: put it in a frame, on the stack or in static memory; it has no
 * other.  It must not move once it has started.
 *
 *     struct count { ASYNC_YIELDS(int);  int from, to; };
 *     static ASYNC(count)
 *     {
 *         ASYNC_BEGIN(count);
 *         for (; self->from < self->to; self->from++)
 *             ASYNC_YIELD(self->from);
 *         ASYNC_END;
 *     }
 *
 *     struct count numbers = ASYNC_GENERATOR(count, 0, 3);
 *     ASYNC_FOR_EACH(i, &numbers) printf("%d\n", i);
 *
 * Whether it is a generator or an asynchronous generator is decided by who
 * iterates it: ASYNC_FOR_EACH and ASYNC_NEXT run it from plain code, and then
 * it must not wait for anything; ASYNC_FOR and AWAIT_NEXT run it from a
 * coroutine, and then it may await what it likes.
 *
 * ASYNC_YIELDS(Y)            yields Y
 * ASYNC_YIELDS_SENT(Y, S)    yields Y, is sent S
 * ASYNC_GENERATES(Y, S, R)   yields Y, is sent S, returns R
 * ------------------------------------------------------------------------ */
#define ASYNC_YIELDS(Y) ASYNC__FRAME_OF(3, Y value;)
#define ASYNC_YIELDS_SENT(Y, S) ASYNC__FRAME_OF(4, Y value; S sent;)
#define ASYNC_GENERATES(Y, S, R) ASYNC__FRAME_OF(5, Y value; S sent; R result;)

/* The initial value of a generator's struct, as an expression. */
#define ASYNC_GENERATOR(...) ASYNC__GENERATOR(__VA_ARGS__, )

/* In a generator's body: gives a value to the consumer and stops until the
 * next one is asked for.  The second form takes what the consumer sent: zero
 * when it sent nothing.  Raises what the consumer throws. */
#define ASYNC_YIELD(v) ASYNC__YIELD(v)
#define ASYNC_YIELD_INTO(place, v) ASYNC__YIELD_INTO(place, v)

/* In a generator's body: yields all that the generator `*inner` yields, which
 * must yield (and be sent) the same types; passes on what is sent and thrown.
 * `inner` is a pointer, evaluated more than once.  When it has ended, its
 * result is ASYNC_GENERATED(inner).  Counterpart: yield from. */
#define ASYNC_YIELD_FROM(inner) ASYNC__YIELD_FROM(inner, 0)
#define ASYNC_YIELD_FROM_SENT(inner) ASYNC__YIELD_FROM(inner, 1)

/* From plain code.  Each takes a pointer to a generator's struct.
 *
 * Returns  ASYNC_YIELDED (1): there is a value, ASYNC_VALUE(generator);
 *          0: it has ended, ASYNC_GENERATED(generator) is what it returned;
 *          an error that it raised, and then it has ended.
 *
 * ASYNC_NEXT(generator)          runs it to its next value
 * ASYNC_SEND(generator, value)   gives its ASYNC_YIELD_INTO a value; on one
 *                                not started: ASYNC_EJUSTSTARTED
 * ASYNC_THROW(generator, error)  raises an error at its ASYNC_YIELD
 * ASYNC_CLOSE(generator)         ends it, running each FINALLY; 0, or
 *                                ASYNC_EIGNOREDEXIT when it yields instead
 *
 * A generator that waits while it is driven by hand is ended with
 * ASYNC_EHANDDRIVEN.  Counterparts: next(), send(), throw(), close(). */
#define ASYNC_YIELDED 1
#define ASYNC_NEXT(generator) async__drive(&(generator)->frame.is.head, 0)
#define ASYNC_SEND(generator, v)                                              \
    ((generator)->frame.is.head.state == 0                                    \
         ? (int)ASYNC_EJUSTSTARTED                                            \
         : ((generator)->frame.sent = (v), ASYNC_NEXT(generator)))
#define ASYNC_THROW(generator, error)                                         \
    async__drive(&(generator)->frame.is.head, (error))
#define ASYNC_CLOSE(generator)                                                \
    async__drive_close(&(generator)->frame.is.head)
#define ASYNC_VALUE(generator) ((generator)->frame.value)
#define ASYNC_GENERATED(generator) ((generator)->frame.result)

/* Whether it has ended.  True in the body of no loop below. */
#define ASYNC_ENDED(generator)                                                \
    ((generator)->frame.is.head.state == ASYNC__OVER)

/* for item in generator: from plain code.  `break` leaves the generator where
 * it stands: close it, or go on with it.  An error ends the loop like the end
 * does: ask ASYNC_NEXT yourself when the generator can fail. */
#define ASYNC_FOR_EACH(place, generator)                                      \
    while (ASYNC_NEXT(generator) > 0 &&                                       \
           ((place) = (generator)->frame.value, 1))

/* async for item in generator: from a coroutine.
 *
 * Syntax   ASYNC_FOR(place, generator) { body } ASYNC_END_FOR
 * Resume   each turn assigns the next value to `place` and runs the body.
 * Leaving  by break, return or error closes the generator first, awaiting its
 *          FINALLY arms: C has no garbage collector to do it later.  (Python
 *          does this with contextlib.aclosing.)  To stop in the middle and go
 *          on later, use AWAIT_NEXT.
 * `generator` is a pointer expression, evaluated more than once. */
#define ASYNC_FOR(place, generator) ASYNC__FOR(place, generator)
#define ASYNC_END_FOR ASYNC__END_FOR

/* From a coroutine, one step at a time; each an await, with its rules.
 *
 * AWAIT_NEXT(generator)          after it, ASYNC_ENDED() or ASYNC_VALUE()
 * AWAIT_NEXT_INTO(place, generator)   place = the value; at the end raises
 *                                     ASYNC_ESTOPITERATION
 * AWAIT_ASEND(generator, value)  the same as AWAIT_NEXT, sending a value
 * AWAIT_ATHROW(generator, error)
 * AWAIT_ACLOSE(generator)
 *
 * Counterparts: anext(), asend(), athrow(), aclose(). */
#define ASYNC_AWAIT_NEXT(generator) ASYNC__AWAIT_NEXT(generator, 0)
#define ASYNC_AWAIT_NEXT_INTO(place, generator)                               \
    ASYNC__AWAIT_NEXT_INTO(place, generator)
#define ASYNC_AWAIT_ASEND(generator, v) ASYNC__AWAIT_ASEND(generator, v)
#define ASYNC_AWAIT_ATHROW(generator, error)                                  \
    ASYNC__AWAIT_NEXT(generator, error)
#define ASYNC_AWAIT_ACLOSE(generator) ASYNC__AWAIT_ACLOSE(generator)
#ifndef ASYNC_NO_SHORT_NAMES
#define AWAIT_NEXT(generator) ASYNC__AWAIT_NEXT(generator, 0)
#define AWAIT_NEXT_INTO(place, generator)                                     \
    ASYNC__AWAIT_NEXT_INTO(place, generator)
#define AWAIT_ASEND(generator, v) ASYNC__AWAIT_ASEND(generator, v)
#define AWAIT_ATHROW(generator, error) ASYNC__AWAIT_NEXT(generator, error)
#define AWAIT_ACLOSE(generator) ASYNC__AWAIT_ACLOSE(generator)
#endif

/* ------------------------------------------------------------------------
 * INTROSPECTION
 *
 * From the thread that drives the coroutine, while it is suspended.
 * ------------------------------------------------------------------------ */

/* The innermost frame of a suspended coroutine, NULL when it has ended or not
 * started; then from each the one that awaits it, NULL after the first. */
const async_frame *async_frame_innermost(const async *co);
const async_frame *async_frame_caller(const async_frame *frame);

/* Where a frame is suspended.  Static storage; with ASYNC_NO_NAMES the name
 * and the file are "?". */
const char *async_frame_name(const async_frame *frame);
const char *async_frame_file(const async_frame *frame);
int async_frame_line(const async_frame *frame);

/* The name of the coroutine itself, also before it has started and when it has
 * ended.  Static storage.  Counterpart: coroutine.__name__. */
const char *async_coro_name(const async *co);

/* Bytes of frame stack: in use now, and at most since the start.  With a
 * static stack the second is what it needs, exact to a pointer's alignment:
 * measure, then size the memory by it. */
size_t async_stack_used(const async *co);
size_t async_stack_high_water(const async *co);

#ifndef ASYNC_NO_TRACEBACK
/* The way of an error: the frames that it passed, innermost first.  It is
 * kept in a ring of ASYNC_TRACEBACK_SIZE places a thread, so that it costs
 * nothing until an error is raised; an old one may have been overwritten. */
#define ASYNC_TRACEBACK_SIZE 64
typedef struct async_traceback_entry {
    const char *name, *file; /* the coroutine; static storage */
    int line;
} async_traceback_entry;
typedef struct async_traceback {
    int error;
    size_t count;
    async_traceback_entry entries[ASYNC_TRACEBACK_SIZE];
    const async *who; /* private: where the error before it is noted */
    unsigned at;
} async_traceback;

/* Fills in the way of the last error that left `co` (or was caught in it).
 * count is 0 when there was none. */
void async_traceback_of(const async *co, async_traceback *traceback);

/* Replaces it by the error that was being handled when this one was raised, in
 * an EXCEPT or FINALLY arm or in what that awaited.  Returns 0, and leaves it,
 * if there was none.
 * Counterpart: __context__. */
int async_traceback_context(async_traceback *traceback);

/* Writes it to stderr: the error's name and text, then a line a frame, as
 * `file:line: in name`, innermost last; before it the errors that were being
 * handled, if any. */
void async_traceback_print(const async_traceback *traceback,
                           const char *what_happened);
#endif

#endif /* ASYNC_COROUTINES */

/* ------------------------------------------------------------------------
 * PROTOTHREADS
 *
 * The smallest cousin: two bytes of state, no frames, no errors, no
 * scheduler; polled by a super-loop.  Locals do not survive a wait; use
 * static ones or a struct.  Not in the same function as ASYNC_BEGIN.
 *
 *     static async_pt blinker;
 *     static ASYNC_PT_THREAD(blink(async_pt *pt))
 *     {
 *         ASYNC_PT_BEGIN(pt);
 *         for (;;) {
 *             ASYNC_PT_WAIT_UNTIL(pt, timer_expired());
 *             toggle();
 *         }
 *         ASYNC_PT_END(pt);
 *     }
 *     for (;;) blink(&blinker);
 *
 * Each call runs to the next wait and returns ASYNC_PT_WAITING, _YIELDED,
 * _EXITED or _ENDED; after the last two the next call starts from the top.
 *
 * ASYNC_PT_INIT(pt)              starts from the top (zeroed memory does too)
 * ASYNC_PT_WAIT_UNTIL(pt, c)     returns until c; c is evaluated each call
 * ASYNC_PT_WAIT_WHILE(pt, c)
 * ASYNC_PT_YIELD(pt)             returns once
 * ASYNC_PT_YIELD_UNTIL(pt, c)    returns once, then until c
 * ASYNC_PT_RESTART(pt), ASYNC_PT_EXIT(pt)
 * ASYNC_PT_ALIVE(call)           whether a call has neither ended nor exited
 * ASYNC_PT_WAIT_THREAD(pt, call) runs another until it has ended
 * ASYNC_PT_SPAWN(pt, child, call)  the same, initialising it first
 *
 * The names follow Contiki's pt.h.  One wait a line.
 *
 * They are all that compilers other than gcc and clang get.  From here on SDCC
 * compiles without its global common subexpressions: those keep addresses in
 * registers across the label at which a protothread goes on, where registers
 * hold something else (SDCC 4.2). */
#ifdef __SDCC
#pragma nogcse
#endif
#if defined(__GNUC__) && defined(__has_attribute)
#define ASYNC__HAS_ATTRIBUTE(x) __has_attribute(x)
#else
#define ASYNC__HAS_ATTRIBUTE(x) 0
#endif
#if ASYNC__HAS_ATTRIBUTE(fallthrough)
#define ASYNC__FALLTHROUGH __attribute__((fallthrough))
#else
#define ASYNC__FALLTHROUGH ((void)0)
#endif

typedef struct async_pt {
    uint16_t line;
} async_pt;
enum { ASYNC_PT_WAITING, ASYNC_PT_YIELDED, ASYNC_PT_EXITED, ASYNC_PT_ENDED };
#define ASYNC_PT_THREAD(name_and_arguments) char name_and_arguments
#define ASYNC_PT_INIT(pt) ((void)((pt)->line = 0))
#define ASYNC_PT_BEGIN(pt)                                                    \
    switch ((pt)->line) {                                                     \
    case 0:
#define ASYNC_PT_END(pt)                                                      \
    }                                                                         \
    ASYNC_PT_INIT(pt);                                                        \
    return ASYNC_PT_ENDED
#define ASYNC_PT_WAIT_UNTIL(pt, condition)                                    \
    do {                                                                      \
        (pt)->line = __LINE__;                                                \
        ASYNC__FALLTHROUGH;                                                   \
    case __LINE__:                                                            \
        if (!(condition)) return ASYNC_PT_WAITING;                            \
    } while (0)
#define ASYNC_PT_WAIT_WHILE(pt, condition)                                    \
    ASYNC_PT_WAIT_UNTIL(pt, !(condition))
#define ASYNC_PT_YIELD(pt)                                                    \
    do {                                                                      \
        (pt)->line = __LINE__;                                                \
        return ASYNC_PT_YIELDED;                                              \
    case __LINE__:;                                                           \
    } while (0)
#define ASYNC_PT_YIELD_UNTIL(pt, condition)                                   \
    do {                                                                      \
        (pt)->line = __LINE__;                                                \
        return ASYNC_PT_YIELDED;                                              \
    case __LINE__:                                                            \
        if (!(condition)) return ASYNC_PT_YIELDED;                            \
    } while (0)
#define ASYNC_PT_RESTART(pt)                                                  \
    do {                                                                      \
        ASYNC_PT_INIT(pt);                                                    \
        return ASYNC_PT_WAITING;                                              \
    } while (0)
#define ASYNC_PT_EXIT(pt)                                                     \
    do {                                                                      \
        ASYNC_PT_INIT(pt);                                                    \
        return ASYNC_PT_EXITED;                                               \
    } while (0)
#define ASYNC_PT_ALIVE(call) ((call) < ASYNC_PT_EXITED)
#define ASYNC_PT_WAIT_THREAD(pt, call)                                        \
    ASYNC_PT_WAIT_WHILE(pt, ASYNC_PT_ALIVE(call))
#define ASYNC_PT_SPAWN(pt, child, call)                                       \
    do {                                                                      \
        ASYNC_PT_INIT(child);                                                 \
        ASYNC_PT_WAIT_THREAD(pt, call);                                       \
    } while (0)

/* ========================================================================
 * PRIVATE: from here on nothing is part of the interface.
 *
 * How a coroutine runs.  An AWAIT pushes the callee's struct on the frame
 * stack and calls its function directly.  If that ends at once, the frame is
 * popped and nothing else was written: no link, no state.  Only when the
 * callee suspends does each level, on the way back, note who waits for whom
 * (async__link) and where (state).  The innermost frame is remembered in
 * co->top, and resuming calls it, at whatever depth it lies; when it ends,
 * async__continue() resumes its caller, and so on: a trampoline.
 *
 * An error is co->error, checked behind each await.  Lexical scope knows the
 * handler: `async__handler` is an enumerator that each TRY redefines in its
 * inner scope, so `goto dispatch` with that state is all that raising does.
 * ======================================================================== */

#if ASYNC_COROUTINES

#define ASYNC__LIKELY(x) __builtin_expect(!!(x), 1)
#define ASYNC__UNLIKELY(x) __builtin_expect(!!(x), 0)
#if ASYNC_HOSTED
/* Memory that will be written to soon.  Any address will do. */
#define ASYNC__FETCH(address) __builtin_prefetch((address), 1)
#endif
#define ASYNC__UNUSED __attribute__((unused))
#define ASYNC__MUST_USE __attribute__((warn_unused_result))
#define ASYNC__NORETURN __attribute__((noreturn, cold))
#define ASYNC__COLD __attribute__((noinline, cold))
#define ASYNC__NOINLINE __attribute__((noinline))
/* For what is worth a place of its own in each caller, unless size counts. */
#ifdef __OPTIMIZE_SIZE__
#define ASYNC__INLINE inline
#else
#define ASYNC__INLINE inline __attribute__((always_inline))
#endif
/* The compiler forgets what it knows of a pointer.  What it knows of a static
 * object is its address, and to name that is dearer than to keep it. */
#define ASYNC__HIDE(pointer) __asm__("" : "+r"(pointer))

/* Whether a number can be an error. */
#if __INT_MAX__ > 32767
#define ASYNC__IS_CODE(error) ((error) < 0 && (error) >= -32768)
#else
#define ASYNC__IS_CODE(error) ((error) < 0)
#endif

#define ASYNC__CAT(a, b) ASYNC__CAT_(a, b)
#define ASYNC__CAT_(a, b) a##b
#define ASYNC__NOTHING

#ifdef __cplusplus
#define ASYNC__ASSERT(condition, text) static_assert(condition, text)
#else
/* glibc makes _Static_assert a macro in C99, which loses the text. */
#define ASYNC__ASSERT(condition, text)                                        \
    __extension__ _Static_assert ASYNC__NOTHING(condition, text)
#endif

/* 1 when a macro got no argument, else 0: ISO C99 has no __VA_OPT__.  After
 * Jens Gustedt's ISEMPTY: a comma appears in the last of four probes alone. */
#define ASYNC__ARG_16(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ...) p
#define ASYNC__HAS_COMMA(...)                                                 \
    ASYNC__ARG_16(__VA_ARGS__, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0)
#define ASYNC__COMMA(...) ,
#define ASYNC__IS_EMPTY(...)                                                  \
    ASYNC__IS_EMPTY_(ASYNC__HAS_COMMA(__VA_ARGS__),                           \
                     ASYNC__HAS_COMMA(ASYNC__COMMA __VA_ARGS__),              \
                     ASYNC__HAS_COMMA(__VA_ARGS__()),                         \
                     ASYNC__HAS_COMMA(ASYNC__COMMA __VA_ARGS__()))
#define ASYNC__IS_EMPTY_(a, b, c, d)                                          \
    ASYNC__HAS_COMMA(ASYNC__PASTE_5(ASYNC__EMPTY_CASE_, a, b, c, d))
#define ASYNC__PASTE_5(a, b, c, d, e) a##b##c##d##e
#define ASYNC__EMPTY_CASE_0001 ,

/* How many arguments, 1 to 16. */
#define ASYNC__COUNT(...)                                                     \
    ASYNC__ARG_17(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4,  \
                  3, 2, 1, 0)
#define ASYNC__ARG_17(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, ...) q

/* Whether co->error is one of up to four. */
#define ASYNC__IS_ERROR(...) ASYNC__IS_ERROR_(__VA_ARGS__, 0, 0, 0, 0)
#define ASYNC__IS_ERROR_(a, b, c, d, ...)                                     \
    (co->error == (a) || ((b) != 0 && co->error == (b)) ||                    \
     ((c) != 0 && co->error == (c)) || ((d) != 0 && co->error == (d)))

/* --- data ---------------------------------------------------------------- */

/* One static object a coroutine function, which gives it to who asks. */
typedef struct async_info {
#ifndef ASYNC_NO_NAMES
    const char *name, *file;
#else
    char nothing;
#endif
} async_info;

#ifdef ASYNC_SMALL
typedef uint16_t async__state;
typedef uint16_t async__size;
typedef uint8_t async__count;
#define ASYNC__FINALLY_DEPTH 1
#else
typedef uint32_t async__state;
typedef uint32_t async__size;
typedef uint32_t async__count;
#define ASYNC__FINALLY_DEPTH 2
#endif

struct async_frame {
    async_function *resume; /* set when it suspends, or by who starts it */
    async_frame *caller;    /* NULL until it has suspended */
    async__state state;     /* where: line * 4 + kind; 0 before the start */
    int16_t parked[ASYNC__FINALLY_DEPTH]; /* what a FINALLY goes on with, and
                                           * one inside it */
};

enum { ASYNC__ALIGNMENT = __alignof__(async_frame) };
#define ASYNC__OVER ((async__state)-1) /* a generator has ended */
#define ASYNC__WHO ((async__state)-2) /* tell who you are */
#define ASYNC__LINE_OF(state) ((int)((state) / 4))

/* What a function returns to its caller, and to async__continue(). */
enum {
    ASYNC__ENDED = 0, /* by itself or with co->error */
    ASYNC__PAUSED,    /* suspended, to be resumed as soon as may be */
    ASYNC__WAITING,   /* suspended, and somebody will wake it */
    ASYNC__GO_ON,     /* not suspended: unwound, to resume co->top */
    ASYNC__GAVE,      /* a generator has yielded */
    ASYNC__EXHAUSTED  /* a generator has ended */
};

/* Pseudo-errors, which only a FINALLY sees. */
enum {
    ASYNC__RETURNING = 1,
    ASYNC__BREAKING = 2,
    ASYNC__CONTINUING = 3,
    ASYNC__LEAVING = 4 /* a block by its end */
};

/* An entry of a list, and a thing that a loop can run. */
typedef struct async_link {
    struct async_link *next, *prev;
} async_link;
typedef struct async_node {
    async_link link;
    void (*run)(struct async_node *node);
} async_node;

struct async {
    async_node node; /* where its driver has queued it; hand-driven: link.next
                      * is the start of its frame stack */
    union {
        async_time deadline; /* while it sleeps */
        void *future;        /* while it waits for one */
        void *info;          /* the answer to ASYNC__WHO */
    } wait; /* must follow node: together they are a timer */
    async_frame *top;    /* the innermost suspended frame; ended: the first */
    char *sp, *end;      /* free memory of the current chunk */
#ifdef ASYNC_STATIC_ONLY
    int16_t error;
    uint8_t flags;
#else
    int error;           /* on its way up; 0 for none */
    uint32_t flags : 8;  /* ASYNC__IS_* */
    uint32_t peak : 24;  /* high-water mark up to a chunk that is gone, words */
#endif
};
enum {
    ASYNC__IS_TASK = 1,
    ASYNC__IS_HEAP = 2,     /* its memory is ours to free, and may grow */
    ASYNC__IS_STARTED = 4,  /* hand-driven: has been sent to */
    ASYNC__IS_OVER = 8,     /* hand-driven: has ended */
    ASYNC__IN_CHUNK = 16,   /* the stack has grown: `end` is an async__chunk */
    ASYNC__IS_SLEEPING = 32, /* its node is a timer */
    ASYNC__MUST_CANCEL = 64, /* to be cancelled when it runs next */
    ASYNC__IS_CANCELLING = 128 /* what it waits for is being cancelled */
};

#ifndef ASYNC_STATIC_ONLY
/* The task of a coroutine that has one, without a pointer to it in the part of
 * memory that a switch touches.  On the heap the frame stack is the end of the
 * task's own block; elsewhere the task's address stands behind the stack.  (In
 * static memory alone the coroutine is a part of its task: future.h.) */
enum { ASYNC__TASK_BLOCK = 136 }; /* a task and the start of its frame stack */
static inline void *async__owner(const async *co)
{
    if (ASYNC__LIKELY((co->flags & (ASYNC__IS_HEAP | ASYNC__IN_CHUNK)) ==
                      ASYNC__IS_HEAP))
        return co->end - ASYNC__TASK_BLOCK;
    return *(void **)(void *)co->end;
}
#endif

struct async_object {
    async_function *start;
    const void *frame;   /* the caller's, only until it is copied */
    void *future;        /* task.h: a future in the place of a coroutine */
    async__size size;    /* of the frame */
    uint16_t alignment;
    uint16_t has_result;
#ifdef ASYNC_DEBUG
    const char *file;    /* where it was made */
    int line;
    unsigned serial;     /* of the thread's objects */
#endif
};

/* A frame's kind is the size of an array that overlays its head, so that
 * macros can ask for it at compile time and it takes no memory.  1: nothing,
 * 2: a result; generators: 3, 4, 5. */
#define ASYNC__FRAME_OF(kind_, members)                                       \
    struct {                                                                  \
        union {                                                               \
            async_frame head;                                                 \
            char kind[kind_];                                                 \
        } is;                                                                 \
        members                                                               \
    } frame
#define ASYNC__KIND(name) sizeof(((struct name *)0)->frame.is.kind)

/* A place's address, if it has the type of the result of `name`. */
#ifdef __cplusplus
#define ASYNC__PLACE(place, name)                                             \
    ((void)sizeof(&(place) == &((struct name *)0)->frame.result),             \
     (void *)&(place))
#else
#define ASYNC__PLACE(place, name)                                             \
    ((void)sizeof(struct {                                                    \
         int the_result_is_of_another_type_than_this_place                    \
             : __builtin_types_compatible_p(                                  \
                   __typeof__(place),                                         \
                   __typeof__(((struct name *)0)->frame.result)) ? 1 : -1;    \
     }),                                                                      \
     (void *)&(place))
#endif

/* --- functions that macros call ------------------------------------------ */

#if ASYNC_HOSTED || defined(ASYNC_TRAP)
ASYNC__NORETURN void async__trap(const char *what, const char *name,
                                 const char *file, int line);
#else
/* Nobody would read the texts. */
#define async__trap(what, name, file, line) ((void)(what), __builtin_trap())
#endif
ASYNC__COLD async_status async__elsewhere(async *co, async_frame *frame,
                                          const async_info *info);
#if ASYNC_HOSTED
void async__print_error(const char *what_happened, int error);
#endif
ASYNC__NORETURN void async__no_generator(void);
const char *async__name_of(async_function *start);
ASYNC__NORETURN void async__stray_exit(const async_info *info,
                                       async_frame *frame);
ASYNC__COLD void async__raised(async *co, int error);
#ifndef ASYNC_NO_TRACEBACK
ASYNC__COLD void async__raised_while(async *co, int error, int handling);
#else
#define async__raised_while(co, error, handling) async__raised(co, error)
#endif
async_status async__call(async *co, async_frame *caller, async_object object);
int async__drive(async_frame *generator, int error);
int async__drive_close(async_frame *generator);
#ifndef ASYNC_NO_TRACEBACK
ASYNC__COLD void async__passed(async *co, const async_info *info, int line,
                               int arm);
#else
#define async__passed(co, info, line, arm) ((void)0)
#endif

/* When the stack is full: the memory of the child's frame in a new chunk, or
 * NULL with co->error set.  The chunk is closed by the trampoline when the
 * caller ends, so the caller must return to it (ASYNC__GO_ON) even when the
 * child ends at once. */
ASYNC__COLD void *async__grow(async *co, async_frame *caller, size_t size,
                              size_t alignment);
#ifndef ASYNC_NO_HEAP
ASYNC__COLD async_frame *async__shrink(async *co, async_frame *chunk);
async_status async__chunk_frame(async *co, void *frame);
#endif
/* What async.h must ask of a task, set by task.h: the allocator by which its
 * stack grows, or NULL; and where that stack starts. */
#ifdef ASYNC_STATIC_ONLY
const char *async__task_stack(const async *co);
#else
extern const async_allocator *(*async__task_allocator)(const async *co);
extern const char *(*async__task_stack)(const async *co);
#endif
#ifndef ASYNC_NO_TRACEBACK
/* The error of `from`, raised again in a coroutine that awaited it. */
ASYNC__COLD void async__raised_from(async *co, int error, const async *from);
/* Another error, because of the one that `from` ended with. */
ASYNC__COLD void async__raised_because(async *co, int error,
                                       const async *from);
#else
#define async__raised_because(co, error, from) async__raised(co, error)
#define async__raised_from(co, error, from) async__raised(co, error)
#endif

#ifdef ASYNC_SMALL
#define ASYNC__STATUS_CODE(code) (uint8_t)(code)
#else
#define ASYNC__STATUS_CODE(code) (code)
#endif
static inline async_status async__status(int code)
{
    async_status status;
    status.code = ASYNC__STATUS_CODE(code);
    return status;
}

#define async__round_constant(size, alignment)                                \
    (((size) + (alignment)-1) / (alignment) * (alignment))
static inline size_t async__round(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

/* Memory for a frame, or NULL. */
static inline void *async__push(async *co, size_t size, size_t alignment)
{
    char *frame = co->sp;
    size = async__round(size, ASYNC__ALIGNMENT);
    if (alignment > ASYNC__ALIGNMENT) {
        frame = (char *)async__round((uintptr_t)frame, alignment);
        if (ASYNC__UNLIKELY((size_t)(co->end - co->sp) <
                            (size_t)(frame - co->sp) + size))
            return NULL;
    } else if (ASYNC__UNLIKELY((size_t)(co->end - co->sp) < size)) {
        return NULL;
    }
    co->sp = frame + size;
    return frame;
}

/* Notes who waits for `child`, when it has suspended for the first time.  A
 * chunk that it opened stands between the two. */
static inline void async__link(async_frame *child, async_frame *caller)
{
#ifndef ASYNC_NO_HEAP
    if (ASYNC__UNLIKELY(child->caller != NULL)) {
        child->caller->caller = caller;
        return;
    }
#endif
    child->caller = caller;
}

#ifdef ASYNC_NO_HEAP
/* Memory for a frame; or NULL with ASYNC_ENOMEM raised.  A function, as is the
 * next one: where there is no heap, code is dearer than time. */
ASYNC__NOINLINE void *async__take(async *co, size_t size, size_t alignment);
ASYNC__NOINLINE async_status async__enter_frame(async *co, async_frame *caller,
                                                async_frame *child,
                                                async_function *function,
                                                async__state state);
#endif

/* Leaves a frame with an error, or after a FINALLY that saw a return. */
static inline async_status async__leave(async *co, async_frame *frame,
                                        int generator)
{
    if (co->error > 0) co->error = 0;
    if (generator) frame->state = ASYNC__OVER;
    return async__status(generator ? ASYNC__EXHAUSTED : ASYNC__ENDED);
}

static inline async_status async__next(async *co, async_frame *generator,
                                       int error)
{
    co->error = error;
    if (ASYNC__UNLIKELY(generator->state == ASYNC__OVER))
        return async__status(ASYNC__EXHAUSTED);
    generator->caller = NULL;
    if (generator->state == 0) {
        if (ASYNC__UNLIKELY(generator->resume == NULL)) async__no_generator();
        if (error) {
            generator->state = ASYNC__OVER;
            return async__status(ASYNC__EXHAUSTED);
        }
    }
    return generator->resume(co, generator);
}

/* Whether a status of async__next() means that the caller suspends too. */
static inline int async__unfinished(async_status status)
{
    return status.code < ASYNC__GAVE;
}

/* What closing a generator came to, when it has given back control. */
static inline void async__closed(async *co, const async_frame *generator)
{
    if (generator->state == ASYNC__OVER) {
        if (co->error == ASYNC_EGENERATOREXIT) co->error = 0;
    } else if (!co->error) {
        async__raised(co, ASYNC_EIGNOREDEXIT);
    }
}

/* The trampoline.  `status` is what a frame's function returned; co->top is
 * the frame that was entered.  Returns PAUSED, WAITING, ENDED (the whole
 * coroutine) or, for a generator driven by hand, GAVE or EXHAUSTED. */
#ifdef ASYNC_NO_HEAP
static inline int async__continue(async *co, async_status status)
{
    for (;;) {
        async_frame *frame;
        if (ASYNC__LIKELY(status.code == ASYNC__PAUSED ||
                          status.code == ASYNC__WAITING))
            return status.code;
        frame = co->top;
        if (ASYNC__LIKELY(status.code == ASYNC__ENDED)) {
            co->sp = (char *)frame;
            frame->state = 0;
        }
        /* The outermost frame stays, for its result. */
        if (frame->caller == NULL) return status.code;
        co->top = frame = frame->caller;
        status = frame->resume(co, frame);
    }
}
#else
static inline int async__continue(async *co, async_status status)
{
    for (;;) {
        async_frame *frame, *caller;
        if (ASYNC__LIKELY(status.code == ASYNC__PAUSED ||
                          status.code == ASYNC__WAITING))
            return status.code;
        frame = co->top;
        if (ASYNC__UNLIKELY(status.code == ASYNC__GO_ON)) {
            status = frame->resume(co, frame);
            continue;
        }
        caller = frame->caller;
        if (caller == NULL) break;
        if (ASYNC__LIKELY(status.code == ASYNC__ENDED)) co->sp = (char *)frame;
        if (ASYNC__UNLIKELY(caller->resume == async__chunk_frame)) {
            caller = async__shrink(co, caller);
            if (caller == NULL) {
                frame->caller = NULL; /* it was the chunk's, which is gone */
                break;
            }
        }
        co->top = caller;
        status = caller->resume(co, caller);
    }
    /* The outermost frame stays, for its result. */
    if (ASYNC__LIKELY(status.code == ASYNC__ENDED)) co->top->state = 0;
    return status.code;
}
#endif

static inline int async__resume(async *co)
{
    async_frame *frame = co->top;
    return async__continue(co, frame->resume(co, frame));
}

/* In debug mode an object tells where it was made, and who takes it says so. */
#ifdef ASYNC_DEBUG
typedef struct async__place {
    const char *file;
    int line;
} async__place;
extern __thread async__place async__made_at; /* what is made next */
void async__object_made(async_object *object, const char *file, int line);
void async__object_taken(const async_object *object);
#define ASYNC__PLACE_NEXT(file_, line_)                                       \
    (async__made_at.file = (file_), async__made_at.line = (line_))
#define ASYNC__OBJECT(...) async__object_at(__FILE__, __LINE__, __VA_ARGS__)
#else
#define async__object_taken(object) ((void)0)
#define ASYNC__PLACE_NEXT(file, line) ((void)0)
#define ASYNC__OBJECT(...) async__object(__VA_ARGS__)
#endif

static inline ASYNC__MUST_USE async_object
async__object(async_function *start, const void *frame, size_t size,
              size_t alignment, int has_result)
{
    async_object object;
    object.start = start;
    object.frame = frame;
    object.future = NULL;
    object.size = (async__size)size;
    object.alignment = (uint16_t)alignment;
    object.has_result = (uint16_t)has_result;
#ifdef ASYNC_DEBUG
    object.file = NULL;
    object.line = 0;
    object.serial = 0;
#endif
    return object;
}
#ifdef ASYNC_DEBUG
static inline ASYNC__MUST_USE async_object
async__object_at(const char *file, int line, async_function *start,
                 const void *frame, size_t size, size_t alignment,
                 int has_result)
{
    async_object object =
        async__object(start, frame, size, alignment, has_result);
    async__object_made(&object, file, line);
    return object;
}
#endif

/* --- what the compiler is told ------------------------------------------- */

/* In a body these warnings are errors.  The uninitialised ones are what a
 * local lost across an await looks like; the others are the mistakes that C
 * compilers of old let pass.  No #pragma system_header here, so that they
 * hold for users who include with -isystem. */
#if defined(ASYNC_NO_LOCAL_CHECK)
#define ASYNC__LOCAL_CHECK
#elif defined(__clang__)
/* clang runs the analysis only where the function begins under one of its
 * warnings. */
#pragma clang diagnostic warning "-Wsometimes-uninitialized"
#define ASYNC__LOCAL_CHECK                                                    \
    _Pragma("clang diagnostic error \"-Wconditional-uninitialized\"")         \
    _Pragma("clang diagnostic error \"-Wsometimes-uninitialized\"")           \
    _Pragma("clang diagnostic error \"-Wuninitialized\"")
#elif defined(__cplusplus)
#define ASYNC__LOCAL_CHECK                                                    \
    _Pragma("GCC diagnostic error \"-Wmaybe-uninitialized\"")                 \
    _Pragma("GCC diagnostic error \"-Wuninitialized\"")
#else
#define ASYNC__LOCAL_CHECK                                                    \
    _Pragma("GCC diagnostic error \"-Wjump-misses-init\"")                    \
    _Pragma("GCC diagnostic error \"-Wmaybe-uninitialized\"")                 \
    _Pragma("GCC diagnostic error \"-Wuninitialized\"")
#endif
#ifdef __clang__
#define ASYNC__EXCESS_CHECK                                                   \
    _Pragma("clang diagnostic error \"-Wexcess-initializers\"")
#else
#define ASYNC__EXCESS_CHECK /* gcc warns always, but has no name for it */
#endif
/* A call may name fewer arguments than the struct has members.  C takes that
 * in silence, because the first of them is designated; but avr-gcc 5 does not
 * when there is an object among them. */
#if defined(__cplusplus) || (defined(__AVR__) && __GNUC__ < 8)
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
#if defined(__cplusplus)
#define ASYNC__STRICT                                                         \
    ASYNC__PUSH_WARNINGS                                                      \
    ASYNC__LOCAL_CHECK
#else
#define ASYNC__STRICT                                                         \
    ASYNC__PUSH_WARNINGS                                                      \
    _Pragma("GCC diagnostic error \"-Wint-conversion\"")                      \
    _Pragma("GCC diagnostic error \"-Wincompatible-pointer-types\"")          \
    _Pragma("GCC diagnostic error \"-Wreturn-type\"")                         \
    ASYNC__EXCESS_CHECK                                                       \
    ASYNC__LOCAL_CHECK
#endif
#define ASYNC__PUSH_WARNINGS _Pragma("GCC diagnostic push")
#define ASYNC__POP_WARNINGS _Pragma("GCC diagnostic pop")

/* An inner TRY redefines names of the outer one: that is how it works. */
#define ASYNC__SCOPE(...)                                                     \
    _Pragma("GCC diagnostic push")                                            \
    _Pragma("GCC diagnostic ignored \"-Wshadow\"")                            \
    enum { __VA_ARGS__ };                                                     \
    _Pragma("GCC diagnostic pop")

/* Each label has a twin that is wider than int: in a switch of the user's that
 * does not fit, and the warning is an error.  In ASYNC_BEGIN's own the twin is
 * out of the state's range, so it costs nothing.  Where it cannot be had (on
 * small parts), and in a switch over 64 bits, the `default` of ASYNC_BEGIN
 * finds the mistake when it resumes. */
#if defined(ASYNC_NO_SWITCH_CHECK) ||                                         \
    (defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ < 8)
#define ASYNC__STATE(n) (n)
#define ASYNC__CASE(n) case (n):
#else
#define ASYNC__STATE(n) ((long long)(n))
#define ASYNC__an_AWAIT_cannot_stand_in_a_switch(n) (0x100000000LL + (n))
#if defined(__clang__)
#define ASYNC__CASE(n)                                                        \
    _Pragma("clang diagnostic push")                                          \
    _Pragma("clang diagnostic error \"-Wswitch\"")                            \
    case ASYNC__an_AWAIT_cannot_stand_in_a_switch(n):                         \
    case (n):                                                                 \
    _Pragma("clang diagnostic pop")
#else
#define ASYNC__CASE(n)                                                        \
    _Pragma("GCC diagnostic push")                                            \
    _Pragma("GCC diagnostic error \"-Woverflow\"")                            \
    case ASYNC__an_AWAIT_cannot_stand_in_a_switch(n):                         \
    case (n):                                                                 \
    _Pragma("GCC diagnostic pop")
#endif
#endif

#define ASYNC__AT(kind) (__LINE__ * 4 + (kind))
#define ASYNC__ONE_A_LINE                                                     \
    (void)AWAIT_needs_ASYNC_BEGIN_before_it;                                  \
    ASYNC__CAT(two_awaits_on_line_, __LINE__) : ASYNC__UNUSED;

#ifdef ASYNC_NO_NAMES
#define ASYNC__INFO(name) { 0 }
#else
#define ASYNC__INFO(name) { #name, __FILE__ }
#endif

/* A compound literal in place: no copy, however large the frame. */
#ifdef __cplusplus
#define ASYNC__BUILD(place, name, ...)                                        \
    (*(place) = async__held<struct name>{{{{{}}}, __VA_ARGS__}}.frame)
/* In one expression, so that the callee finds temporaries alive. */
#define ASYNC__BUILD_AND_CALL(place, name, ...)                               \
    async__code = (ASYNC__BUILD(place, name, __VA_ARGS__), name(co, (place)))
#define ASYNC__ARGUMENTS(name, ...)                                           \
    (async__held<struct name>{{{{{}}}, __VA_ARGS__}}.frame)
#define ASYNC__BUILD_AND_ENTER(place, name, ...)                              \
    async__code = (ASYNC__BUILD(place, name, __VA_ARGS__),                    \
                   async__enter_frame(co, async__self,                        \
                                      &(place)->frame.is.head, name,          \
                                      ASYNC__AT(0)))
#else
#define ASYNC__ARGUMENTS(name, ...)                                           \
    ((struct name){ .frame = { .is = { .head = { .state = 0 } } },            \
                    __VA_ARGS__ })
#define ASYNC__BUILD_AND_ENTER(place, name, ...)                              \
    ASYNC__BUILD(place, name, __VA_ARGS__);                                   \
    async__code = async__enter_frame(                                         \
        co, async__self, &(place)->frame.is.head, name, ASYNC__AT(0))
#define ASYNC__BUILD_AND_CALL(place, name, ...)                               \
    ASYNC__BUILD(place, name, __VA_ARGS__);                                   \
    async__code = name(co, (place))
#define ASYNC__BUILD(place, name, ...)                                        \
    (*(place) = (struct name){ .frame = { .is = { .head = { .state = 0 } } }, \
                               __VA_ARGS__ })
#endif

/* The same for a frame that somebody else will start. */
#define ASYNC__BUILD_STARTING(place, name, ...)                               \
    ASYNC__BUILD(place, name, __VA_ARGS__);                                   \
    (place)->frame.is.head.resume = name

/* --- bodies -------------------------------------------------------------- */

#ifdef __cplusplus
#define ASYNC__FRAME_CHECK(name)                                              \
    ASYNC__ASSERT(__is_trivially_copyable(struct name),                       \
                  "a frame is copied as bytes: have pointers to objects");
#else
#define ASYNC__FRAME_CHECK(name)                                              \
    ASYNC__ASSERT(offsetof(struct name, frame) == 0,                          \
                  "ASYNC_FRAME must be the first member of the struct");
#endif

#ifdef ASYNC_SMALL
#define ASYNC__LINE_CHECK                                                     \
    ASYNC__ASSERT(__LINE__ < 16000,                                           \
                  "with ASYNC_SMALL a file has at most 16,000 lines");
#else
#define ASYNC__LINE_CHECK
#endif

/* Who has no name is not asked for it: what remains is a trap. */
#if defined(ASYNC_NO_NAMES) && !ASYNC_HOSTED && !defined(ASYNC_TRAP)
#define ASYNC__ELSEWHERE (void)async__info, __builtin_trap();
#else
#define ASYNC__ELSEWHERE                                                      \
    return async__elsewhere(co, async__self, &async__info);
#endif

#define ASYNC__FUNCTION(name)                                                 \
    async_status name(async *co, void *async__frame_of_##name)
#define ASYNC__BEGIN(name)                                                    \
    ASYNC__STRICT                                                             \
    struct name *const self = (struct name *)async__frame_of_##name;          \
    async_frame *const async__self = &self->frame.is.head;                    \
    static const async_info async__info = ASYNC__INFO(name);                  \
    enum {                                                                    \
        AWAIT_needs_ASYNC_BEGIN_before_it = 0,                                \
        async__generator = sizeof(self->frame.is.kind) > 2,                   \
        async__handler = 0,                                                   \
        async__block = 0,                                                     \
        async__depth = 0,                                                     \
        async__in_arm = 0,                                                    \
        async__handling = 0                                                   \
    };                                                                        \
    ASYNC__FRAME_CHECK(name)                                                  \
    ASYNC__LINE_CHECK                                                         \
    int async__exit = 0, async__ran = 0, async__arm = 0;                      \
    async__state async__target = 0;                                           \
    (void)async__exit, (void)async__ran, (void)async__target, (void)self;     \
    (void)async__arm;                                                         \
    if (0) goto async__dispatch;                                              \
  async__dispatch:                                                            \
    do {                                                                      \
        switch (ASYNC__STATE(async__self->state)) {                           \
        default:                                                              \
            ASYNC__ELSEWHERE                                                  \
        ASYNC__CASE(0)                                                        \
            {

#define ASYNC__END                                                            \
                ASYNC__ASSERT((int)async__block == 0,                         \
                              "a block before ASYNC_END has no END of its "   \
                              "own: ASYNC_END_TRY, ASYNC_END_FOR, "           \
                              "ASYNC_END_WITH and so on");                    \
                ASYNC__FINISH;                                                \
            }                                                                 \
        }                                                                     \
    } while (0);                                                              \
    async__stray_exit(&async__info, async__self);                             \
    ASYNC__FINISH;                                                            \
  ASYNC_END_is_missing: ASYNC__UNUSED;                                        \
    async__passed(co, &async__info, ASYNC__LINE_OF(async__self->state),       \
                  async__arm);                                                \
    if (async__target) {                                                      \
        async__arm = 0;                                                       \
        async__self->state = async__target;                                   \
        goto async__dispatch;                                                 \
    }                                                                         \
    ASYNC__POP_WARNINGS                                                       \
    return async__leave(co, async__self, async__generator)

#define ASYNC__FINISH                                                         \
    do {                                                                      \
        if (async__generator) async__self->state = ASYNC__OVER;               \
        return async__status(async__generator ? ASYNC__EXHAUSTED              \
                                              : ASYNC__ENDED);                \
    } while (0)

/* To the innermost TRY of this function, else to the caller. */
#define ASYNC__UNWIND                                                         \
    do {                                                                      \
        if (async__handler != 0) {                                            \
            async__self->state = (async__state)async__handler;                \
            goto async__dispatch;                                             \
        }                                                                     \
        return async__leave(co, async__self, async__generator);               \
    } while (0)

/* The same for an error that appears here: noted for the traceback, with the
 * arm in which it does, for that was handling another. */
#ifdef ASYNC_NO_TRACEBACK
#define ASYNC__NOTE_LINE ((void)0)
#else
#define ASYNC__NOTE_LINE                                                      \
    async__self->state = ASYNC__AT(0);                                        \
    if ((int)async__handling > 0) async__arm = async__handling;               \
    if ((int)async__handling < 0 &&                                           \
        ASYNC__PARKED((int)async__depth - 1) < 0)                             \
        async__arm = -(int)async__handling
#endif
#define ASYNC__FAIL                                                           \
    do {                                                                      \
        ASYNC__NOTE_LINE;                                                     \
        async__target = (async__state)async__handler;                         \
        goto ASYNC_END_is_missing;                                            \
    } while (0)
#define ASYNC__CHECK                                                          \
    if (ASYNC__UNLIKELY(co->error)) ASYNC__FAIL

#define ASYNC__RAISE(error_)                                                  \
    do {                                                                      \
        (void)AWAIT_needs_ASYNC_BEGIN_before_it;                              \
        async__raised(co, (error_));                                          \
        ASYNC__FAIL;                                                          \
    } while (0)

#define ASYNC__RETURN_1(...)                                                  \
    do {                                                                      \
        (void)AWAIT_needs_ASYNC_BEGIN_before_it;                              \
        ASYNC__ASSERT(sizeof(self->frame.is.kind) != 2 &&                     \
                          sizeof(self->frame.is.kind) != 5,                   \
                      "this coroutine returns a value: ASYNC_RETURN(value)"); \
        ASYNC__RETURN;                                                        \
    } while (0)
#define ASYNC__RETURN_0(...)                                                  \
    do {                                                                      \
        (void)AWAIT_needs_ASYNC_BEGIN_before_it;                              \
        ASYNC__ASSERT(sizeof(self->frame.is.kind) == 2 ||                     \
                          sizeof(self->frame.is.kind) == 5,                   \
                      "this coroutine returns nothing: declare its frame "    \
                      "with ASYNC_RETURNS(type)");                            \
        self->frame.result = (__VA_ARGS__);                                   \
        ASYNC__RETURN;                                                        \
    } while (0)
#define ASYNC__RETURN                                                         \
    if (async__handler != 0) {                                                \
        co->error = ASYNC__RETURNING;                                         \
        async__self->state = (async__state)async__handler;                    \
        goto async__dispatch;                                                 \
    }                                                                         \
    ASYNC__FINISH

/* Suspends, with the code that tells the driver why. */
#define ASYNC__PARK(code_)                                                    \
    async__self->state = ASYNC__AT(0);                                        \
    co->top = async__self;                                                    \
    return async__status(code_);                                              \
    ASYNC__CASE(ASYNC__AT(0))
#define ASYNC__SUSPEND(code_)                                                 \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        ASYNC__PARK(code_)                                                    \
        ASYNC__CHECK;                                                         \
    } while (0)

/* --- awaits -------------------------------------------------------------- */

#define ASYNC__CALL(name, ...) ASYNC__CALL_WITH_ROOM(0, name, __VA_ARGS__)
#ifdef ASYNC_NO_HEAP
/* The stack does not grow: what does not fit is raised. */
#define ASYNC__CALL_WITH_ROOM(room, name, ...)                                \
    ASYNC__ASSERT(ASYNC__KIND(name) < 3,                                      \
                  "this is a generator: iterate it with ASYNC_FOR");          \
    ASYNC__ONE_A_LINE                                                         \
    {                                                                         \
        async_status async__code;                                             \
        struct name *async__child = (struct name *)async__take(               \
            co, sizeof(struct name), __alignof__(struct name));               \
        if (async__child == NULL) ASYNC__FAIL;                                \
        ASYNC__BUILD_AND_ENTER(async__child, name, __VA_ARGS__);              \
        if (async__code.code != ASYNC__ENDED) return async__code;             \
    }                                                                         \
    ASYNC__FALLTHROUGH;                                                       \
    ASYNC__CASE(ASYNC__AT(0))
#else
/* With `room` bytes free behind the callee's frame, so that the first frame
 * that it calls lies in the same piece of the stack. */
#define ASYNC__CALL_WITH_ROOM(room, name, ...)                                \
    ASYNC__ASSERT(ASYNC__KIND(name) < 3,                                      \
                  "this is a generator: iterate it with ASYNC_FOR");          \
    ASYNC__ONE_A_LINE                                                         \
    {                                                                         \
        async_status async__code;                                             \
        int async__grown = 0;                                                 \
        struct name *async__child = (struct name *)async__push(               \
            co, sizeof(struct name) + (room), __alignof__(struct name));      \
        if (ASYNC__UNLIKELY(async__child == NULL)) {                          \
            async__child = (struct name *)async__grow(                        \
                co, async__self, sizeof(struct name) + (room),                \
                __alignof__(struct name));                                    \
            if (async__child == NULL) ASYNC__FAIL;                            \
            async__grown = 1;                                                 \
        }                                                                     \
        co->sp -= (room);                                                     \
        ASYNC__BUILD_AND_CALL(async__child, name, __VA_ARGS__);               \
        if (async__code.code != ASYNC__ENDED) {                               \
            async__child->frame.is.head.resume = name;                        \
            async__link(&async__child->frame.is.head, async__self);           \
            async__self->state = ASYNC__AT(0);                                \
            return async__code;                                               \
        }                                                                     \
        co->sp = (char *)async__child;                                        \
        if (ASYNC__UNLIKELY(async__grown)) {                                  \
            async__self->state = ASYNC__AT(0);                                \
            co->top = async__self;                                            \
            return async__status(ASYNC__GO_ON);                               \
        }                                                                     \
    }                                                                         \
    ASYNC__FALLTHROUGH;                                                       \
    ASYNC__CASE(ASYNC__AT(0))
#endif

/* An ended callee lies at the top of the stack, popped but whole. */
#define ASYNC__TAKE(place, name)                                              \
    ASYNC__ASSERT(ASYNC__KIND(name) == 2,                                     \
                  "this coroutine returns nothing: declare its frame with "   \
                  "ASYNC_RETURNS(type)");                                     \
    (place) = ((struct name *)(void *)co->sp)->frame.result
/* An error that is caught as a value. */
#define ASYNC__CATCH(place)                                                   \
    if (ASYNC__UNLIKELY(co->error) && !async_error_is_exception(co->error))   \
        ASYNC__FAIL;                                                          \
    (place) = co->error;                                                      \
    co->error = 0

#ifdef ASYNC_STATIC_ONLY
/* What is awaited most needs no frame of its own: for a coroutine with a macro
 * ASYNC__IN_PLACE_name that is `~, IN_PLACE` there is name##__in_place. */
#define ASYNC__AWAIT(name, ...)                                               \
    ASYNC__CAT(ASYNC__AWAIT_,                                                 \
               ASYNC__SECOND(ASYNC__IN_PLACE_##name, CALLED, ))               \
    (name, __VA_ARGS__)
#define ASYNC__SECOND(...) ASYNC__SECOND_(__VA_ARGS__)
#define ASYNC__SECOND_(a, b, ...) b
#define ASYNC__AWAIT_IN_PLACE(name, ...)                                      \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        {                                                                     \
            async_status async__code = name##__in_place(                      \
                co, async__self, ASYNC__AT(0),                                \
                ASYNC__ARGUMENTS(name, __VA_ARGS__));                         \
            if (async__code.code != ASYNC__ENDED) return async__code;         \
        }                                                                     \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(0))                                             \
        ASYNC__CHECK;                                                         \
    } while (0)
#else
#define ASYNC__AWAIT(name, ...) ASYNC__AWAIT_CALLED(name, __VA_ARGS__)
#endif
/* For tools/caesura-lint, which asks for a warning of what is dropped. */
#if defined(ASYNC_LINT) && !defined(__cplusplus)
ASYNC__MUST_USE int async__result_of_this_await(void);
#define ASYNC__AWAIT_ALONE(name, ...)                                         \
    do {                                                                      \
        __builtin_choose_expr(ASYNC__KIND(name) == 2,                         \
                              async__result_of_this_await(), (void)0);        \
        ASYNC__AWAIT(name, __VA_ARGS__);                                      \
    } while (0)
#else
#define ASYNC__AWAIT_ALONE(name, ...) ASYNC__AWAIT(name, __VA_ARGS__)
#endif
#define ASYNC__AWAIT_CALLED(name, ...)                                        \
    do {                                                                      \
        ASYNC__CALL(name, __VA_ARGS__)                                        \
        ASYNC__CHECK;                                                         \
    } while (0)
#define ASYNC__AWAIT_INTO(place, name, ...)                                   \
    do {                                                                      \
        ASYNC__CALL(name, __VA_ARGS__)                                        \
        ASYNC__CHECK;                                                         \
        ASYNC__TAKE(place, name);                                             \
    } while (0)
#define ASYNC__AWAIT_CATCH(error_, name, ...)                                 \
    do {                                                                      \
        ASYNC__CALL(name, __VA_ARGS__)                                        \
        ASYNC__CATCH(error_);                                                 \
    } while (0)
#define ASYNC__AWAIT_CATCH_INTO(error_, place, name, ...)                     \
    do {                                                                      \
        ASYNC__CALL(name, __VA_ARGS__)                                        \
        ASYNC__CATCH(error_);                                                 \
        if (!(error_)) { ASYNC__TAKE(place, name); }                          \
    } while (0)

#define ASYNC__CALL_OBJECT(object)                                            \
    ASYNC__ONE_A_LINE                                                         \
    {                                                                         \
        async_status async__code = async__call(co, async__self, object);      \
        if (async__code.code != ASYNC__ENDED) {                               \
            async__self->state = ASYNC__AT(0);                                \
            return async__code;                                               \
        }                                                                     \
    }                                                                         \
    ASYNC__FALLTHROUGH;                                                       \
    ASYNC__CASE(ASYNC__AT(0))                                                 \
    ASYNC__CHECK
#define ASYNC__AWAIT_CO(object)                                               \
    do {                                                                      \
        ASYNC__CALL_OBJECT(object);                                           \
    } while (0)
#define ASYNC__AWAIT_CO_INTO(place, name, object)                             \
    do {                                                                      \
        ASYNC__CALL_OBJECT(async__object_of(object, name));                   \
        ASYNC__TAKE(place, name);                                             \
    } while (0)
/* The object, or one that raises ASYNC_EINVAL when it is of another. */
static inline async_object async__object_of(async_object object,
                                            async_function *name)
{
    if (object.start != name) object.start = NULL;
    return object;
}

#ifdef __cplusplus
} /* extern "C" */
/* A temporary lives to the end of the full expression, so its address may be
 * an argument of the function that takes the object. */
template <class Frame> struct async__held {
    Frame frame;
    const void *address() const
    {
        static_assert(sizeof(frame.frame.is.kind) < 3,
                      "this is a generator: iterate it with ASYNC_FOR");
        return &frame;
    }
    Frame generator(async_function *start)
    {
        frame.frame.is.head.resume = start;
        return frame;
    }
};
#define ASYNC__CO(name, ...)                                                  \
    ASYNC__OBJECT(name,                                                       \
                  (async__held<struct name>{{{{{}}}, __VA_ARGS__}}.address()), \
                  sizeof(struct name), __alignof__(struct name),              \
                  ASYNC__KIND(name) == 2)
#define ASYNC__GENERATOR(name, ...)                                           \
    (async__held<struct name>{{{{{}}}, __VA_ARGS__}}.generator(name))
extern "C" {
#else
#define ASYNC__CO(name, ...)                                                  \
    ASYNC__OBJECT(                                                            \
        name,                                                                 \
        &(struct name){ .frame = { .is = { .head = { .state = 0 } } },        \
                        __VA_ARGS__ },                                        \
        sizeof(struct name) + 0 * sizeof(struct {                             \
            int this_is_a_generator_iterate_it_with_ASYNC_FOR                 \
                : ASYNC__KIND(name) < 3 ? 1 : -1;                             \
        }),                                                                   \
        __alignof__(struct name), ASYNC__KIND(name) == 2)
#define ASYNC__GENERATOR(name, ...)                                           \
    ((struct name){                                                           \
        .frame = { .is = { .head = { .resume = name } } },         \
        __VA_ARGS__ })
#endif

/* --- try ----------------------------------------------------------------- */

#ifdef ASYNC_SMALL
#define ASYNC__PARKED(n) async__self->parked[0]
#define ASYNC__FINALLY_DEEPEST                                                \
    " a FINALLY (with ASYNC_SMALL): make the inner one a coroutine of its own"
#else
#define ASYNC__PARKED(n) async__self->parked[(n) & 1]
#define ASYNC__FINALLY_DEEPEST                                                \
    " a FINALLY inside a FINALLY: make the inner one a coroutine of its own"
#endif

/* Each arm's body is a loop of one turn, in which `break` and `continue` stop:
 * async__exit tells which it was (0: break, 1: neither, 2: continue). */
#define ASYNC__BODY do {
#define ASYNC__BODY_END                                                       \
            async__exit = 1;                                                  \
        } while (!async__exit && (async__exit = 2, 0));                       \
        async__ran = !async__in_arm && async__exit == 1;                      \
        if (ASYNC__UNLIKELY(async__exit != 1))                                \
            co->error = async__exit ? ASYNC__CONTINUING : ASYNC__BREAKING;    \
        async__exit = 0;

#define ASYNC__TRY                                                            \
    {                                                                         \
        ASYNC__SCOPE(async__try = ASYNC__AT(1),                               \
                     async__block = ASYNC__BLOCK_TRY,                         \
                     async__outer = async__handler,                           \
                     async__outer_depth = async__depth,                       \
                     async__has_finally = 0)                                  \
        (void)AWAIT_needs_ASYNC_BEGIN_before_it;                              \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        async__ran = 0;                                                       \
        if (!co->error) {                                                     \
            ASYNC__SCOPE(async__handler = async__try, async__in_arm = 0)      \
            ASYNC__BODY

#define ASYNC__EXCEPT(caught)                                                 \
            ASYNC__BODY_END                                                   \
        } else if ((caught) && ((co->error = 0), 1)) {                        \
            ASYNC__SCOPE(async__handler = (int)async__try + 1,                \
                         async__in_arm = 1, async__handling = __LINE__)       \
            ASYNC__BODY

#define ASYNC__ELSE                                                           \
            ASYNC__BODY_END                                                   \
        }                                                                     \
        if (async__ran) {                                                     \
            ASYNC__SCOPE(async__handler = (int)async__try + 1,                \
                         async__in_arm = 1)                                   \
            ASYNC__BODY

#define ASYNC__FINALLY                                                        \
            ASYNC__BODY_END                                                   \
        }                                                                     \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(async__try + 1)                                           \
        {                                                                     \
            ASYNC__SCOPE(async__handler = async__outer, async__in_arm = 1,    \
                         async__handling = -__LINE__,                         \
                         async__depth = (int)async__outer_depth + 1,          \
                         async__has_finally = 1)                              \
            ASYNC__ASSERT((int)async__depth <= ASYNC__FINALLY_DEPTH,          \
                          "a FINALLY inside" ASYNC__FINALLY_DEEPEST);         \
            ASYNC__PARKED((int)async__depth - 1) = (int16_t)co->error;        \
            co->error = 0;                                                    \
            ASYNC__BODY

#define ASYNC__END_TRY                                                        \
            ASYNC__ENDS(TRY);                                                 \
            ASYNC__BODY_END                                                   \
            if (async__has_finally && !co->error)                             \
                co->error = ASYNC__PARKED((int)async__depth - 1);             \
            ASYNC__FALLTHROUGH;                                               \
            ASYNC__CASE((int)async__try + 1 + (int)async__has_finally);       \
        }                                                                     \
        ASYNC__GO_ON_LEAVING                                                  \
    }

/* Each block says in its scope which one it is (async__block), so that an END
 * of another one, or none at all, is found where it stands. */
enum {
    ASYNC__BLOCK_TRY = 1,
    ASYNC__BLOCK_FOR,
    ASYNC__BLOCK_WITH,
    ASYNC__BLOCK_TIMEOUT,
    ASYNC__BLOCK_TASK_GROUP,
    ASYNC__BLOCK_SCOPE,
    ASYNC__BLOCK_NURSERY
};
#define ASYNC__ENDS(kind)                                                     \
    ASYNC__ASSERT((int)async__block == (int)ASYNC__BLOCK_##kind,              \
                  "ASYNC_END_" #kind " ends another block than ASYNC_" #kind)

/* Behind a block: what it was left with goes on. */
#define ASYNC__GO_ON_LEAVING                                                  \
    if (ASYNC__UNLIKELY(co->error)) {                                         \
        if (co->error == ASYNC__BREAKING) {                                   \
            co->error = 0;                                                    \
            break;                                                            \
        }                                                                     \
        if (co->error == ASYNC__CONTINUING) {                                 \
            co->error = 0;                                                    \
            continue;                                                         \
        }                                                                     \
        ASYNC__UNWIND;                                                        \
    }

/* A block that is neither a TRY nor a loop, as ASYNC_WITH: its head stands at
 * label 1, within `if (co->error) {`, and the body, when it has been left, goes
 * back there with what it was left with, which label 3, behind it, goes on
 * with. */
#define ASYNC__BLOCK(kind)                                                    \
    ASYNC__SCOPE(async__try = ASYNC__AT(1),                                   \
                 async__block = ASYNC__BLOCK_##kind)
#define ASYNC__BLOCK_BODY                                                     \
            async__self->state = ASYNC__AT(3);                                \
            goto async__dispatch;                                             \
        } else {                                                              \
            ASYNC__SCOPE(async__handler = async__try)                         \
            ASYNC__BODY
#define ASYNC__END_BLOCK(kind)                                                \
            ASYNC__ENDS(kind);                                                \
            ASYNC__BODY_END                                                   \
        }                                                                     \
        if (!co->error) co->error = ASYNC__LEAVING;                           \
        async__self->state = (async__state)async__try;                        \
        goto async__dispatch;                                                 \
        ASYNC__CASE((int)async__try + 2)                                      \
        if (co->error == ASYNC__LEAVING) co->error = 0;                       \
        ASYNC__GO_ON_LEAVING                                                  \
    }

/* --- generators ---------------------------------------------------------- */

#define ASYNC__GIVE(v)                                                        \
    ASYNC__ASSERT(async__generator, "only a generator can yield: declare "    \
                                    "its frame with ASYNC_YIELDS(type)");     \
    ASYNC__ONE_A_LINE                                                         \
    self->frame.value = (v);                                                  \
    async__self->state = ASYNC__AT(0);                                        \
    return async__status(ASYNC__GAVE);                                        \
    ASYNC__CASE(ASYNC__AT(0))
#define ASYNC__YIELD(v)                                                       \
    do {                                                                      \
        ASYNC__GIVE(v)                                                        \
        ASYNC__CHECK;                                                         \
    } while (0)
#define ASYNC__YIELD_INTO(place, v)                                           \
    do {                                                                      \
        memset(&self->frame.sent, 0, sizeof self->frame.sent);                \
        ASYNC__GIVE(v)                                                        \
        ASYNC__CHECK;                                                         \
        (place) = self->frame.sent;                                           \
    } while (0)

/* Runs `inner` on the consumer's coroutine until it has given a value or
 * ended; suspends as long as it does.  `label` is where that resumes. */
#define ASYNC__ADVANCE(inner, error_, kind)                                   \
    {                                                                         \
        async_frame *const async__inner = &(inner)->frame.is.head;            \
        async_status async__code = async__next(co, async__inner, (error_));   \
        if (async__unfinished(async__code)) {                                 \
            async__link(async__inner, async__self);                           \
            async__self->state = ASYNC__AT(kind);                             \
            return async__code;                                               \
        }                                                                     \
    }                                                                         \
    ASYNC__FALLTHROUGH;                                                       \
    ASYNC__CASE(ASYNC__AT(kind))

#define ASYNC__YIELD_FROM(inner, forward_sent)                                \
    do {                                                                      \
        ASYNC__ASSERT(async__generator, "only a generator can yield");        \
        ASYNC__ONE_A_LINE                                                     \
        for (;;) {                                                            \
            ASYNC__ADVANCE(inner, co->error, 0)                               \
            if (co->error || ASYNC_ENDED(inner)) break;                       \
            self->frame.value = (inner)->frame.value;                         \
            ASYNC__CLEAR_SENT_##forward_sent;                                 \
            async__self->state = ASYNC__AT(1);                                \
            return async__status(ASYNC__GAVE);                                \
            ASYNC__CASE(ASYNC__AT(1))                                         \
            if (co->error == ASYNC_EGENERATOREXIT) {                          \
                ASYNC__ADVANCE(inner, ASYNC_EGENERATOREXIT, 2)                \
                async__closed(co, &(inner)->frame.is.head);                   \
                if (!co->error) co->error = ASYNC_EGENERATOREXIT;             \
                break;                                                        \
            }                                                                 \
            ASYNC__FORWARD_SENT_##forward_sent(inner);                        \
        }                                                                     \
        ASYNC__CHECK;                                                         \
    } while (0)
#define ASYNC__CLEAR_SENT_0 ((void)0)
#define ASYNC__CLEAR_SENT_1                                                   \
    memset(&self->frame.sent, 0, sizeof self->frame.sent)
#define ASYNC__FORWARD_SENT_0(inner) ((void)0)
#define ASYNC__FORWARD_SENT_1(inner) ((inner)->frame.sent = self->frame.sent)

#define ASYNC__AWAIT_NEXT(generator, error_)                                  \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        ASYNC__ADVANCE(generator, error_, 0)                                  \
        ASYNC__CHECK;                                                         \
    } while (0)
#define ASYNC__AWAIT_NEXT_INTO(place, generator)                              \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        ASYNC__ADVANCE(generator, 0, 0)                                       \
        if (!co->error && ASYNC_ENDED(generator))                             \
            async__raised(co, ASYNC_ESTOPITERATION);                          \
        ASYNC__CHECK;                                                         \
        (place) = (generator)->frame.value;                                   \
    } while (0)
#define ASYNC__AWAIT_ASEND(generator, v)                                      \
    do {                                                                      \
        if ((generator)->frame.is.head.state == 0)                            \
            ASYNC__RAISE(ASYNC_EJUSTSTARTED);                                 \
        (generator)->frame.sent = (v);                                        \
        ASYNC__ONE_A_LINE                                                     \
        ASYNC__ADVANCE(generator, 0, 0)                                       \
        ASYNC__CHECK;                                                         \
    } while (0)
#define ASYNC__AWAIT_ACLOSE(generator)                                        \
    do {                                                                      \
        ASYNC__ONE_A_LINE                                                     \
        ASYNC__ADVANCE(generator, ASYNC_EGENERATOREXIT, 0)                    \
        async__closed(co, &(generator)->frame.is.head);                       \
        ASYNC__CHECK;                                                         \
    } while (0)

/* The line has four labels: 1 is the way in and, with an error, the way out;
 * 0 resumes the next value, 2 the closing, and 3 stands behind the loop. */
#define ASYNC__FOR(place, generator_)                                         \
    {                                                                         \
        ASYNC__SCOPE(async__try = ASYNC__AT(1),                               \
                     async__block = ASYNC__BLOCK_FOR,                         \
                     async__outer = async__handler)                           \
        ASYNC__ONE_A_LINE                                                     \
        ASYNC__FALLTHROUGH;                                                   \
        ASYNC__CASE(ASYNC__AT(1))                                             \
        if (co->error) {                                                      \
            ASYNC__ASSERT((int)async__depth < ASYNC__FINALLY_DEPTH,           \
                          "an ASYNC_FOR inside" ASYNC__FINALLY_DEEPEST);      \
            ASYNC__PARKED((int)async__depth) = (int16_t)co->error;            \
            ASYNC__ADVANCE(generator_, ASYNC_EGENERATOREXIT, 2)               \
            async__closed(co, &(generator_)->frame.is.head);                  \
            if (!co->error)                                                   \
                co->error = ASYNC__PARKED((int)async__depth);                 \
            async__self->state = ASYNC__AT(3);                                \
            goto async__dispatch;                                             \
        }                                                                     \
        for (;;) {                                                            \
            ASYNC__SCOPE(async__handler = async__try)                         \
            ASYNC__ADVANCE(generator_, 0, 0)                                  \
            ASYNC__CHECK;                                                     \
            if (ASYNC_ENDED(generator_)) break;                               \
            (place) = (generator_)->frame.value;

#define ASYNC__END_FOR                                                        \
            ASYNC__ENDS(FOR);                                                 \
        }                                                                     \
        co->error = ASYNC__BREAKING;                                          \
        async__self->state = (async__state)async__try;                        \
        goto async__dispatch;                                                 \
        ASYNC__CASE(async__try + 2)                                           \
        if (co->error == ASYNC__BREAKING) co->error = 0;                      \
        if (ASYNC__UNLIKELY(co->error)) ASYNC__UNWIND;                        \
    }

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_COROUTINES */

#endif /* CAESURA_ASYNC_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_ASYNC_IMPLEMENTED) &&   \
    ASYNC_COROUTINES
#define CAESURA_ASYNC_IMPLEMENTED

#if ASYNC_HOSTED
#include <stdio.h>
#include <stdlib.h>
#endif
#ifdef __AVR__
#include <avr/pgmspace.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors -------------------------------------------------------------- */

#if ASYNC_HOSTED && !defined(_WIN32)
/* The system's errors that programs meet most, for the sake of their names. */
#define ASYNC__SYSTEM_ERRORS(X)                                               \
    X(EACCES) X(EADDRINUSE) X(EADDRNOTAVAIL) X(EAGAIN) X(EALREADY) X(EBADF)   \
    X(ECONNABORTED) X(ECONNREFUSED) X(ECONNRESET) X(EDESTADDRREQ) X(EEXIST)   \
    X(EFAULT) X(EFBIG) X(EHOSTUNREACH) X(EIO) X(EISCONN) X(EISDIR) X(ELOOP)   \
    X(EMFILE) X(EMSGSIZE) X(ENAMETOOLONG) X(ENETDOWN) X(ENETUNREACH)          \
    X(ENFILE) X(ENOBUFS) X(ENODEV) X(ENOENT) X(ENOSPC) X(ENOSYS) X(ENOTCONN)  \
    X(ENOTDIR) X(ENOTEMPTY) X(ENOTSOCK) X(ENOTSUP) X(EPERM) X(EPIPE)          \
    X(EPROTO) X(ERANGE) X(EROFS) X(ESPIPE) X(ESRCH) X(EXDEV)
#define ASYNC__SYSTEM_CASE(name) case -name: return #name;
#elif ASYNC_HOSTED && defined(_WIN32)
/* There the numbers are libuv's, which strerror() does not know; these are
 * libuv's texts. */
#define ASYNC__SYSTEM_ERRORS(X)                                               \
    X(EACCES, -4092, "permission denied")                                     \
    X(EADDRINUSE, -4091, "address already in use")                            \
    X(EADDRNOTAVAIL, -4090, "address not available")                          \
    X(EAGAIN, -4088, "resource temporarily unavailable")                      \
    X(EALREADY, -4084, "connection already in progress")                      \
    X(EBADF, -4083, "bad file descriptor")                                    \
    X(ECONNABORTED, -4079, "software caused connection abort")                \
    X(ECONNREFUSED, -4078, "connection refused")                              \
    X(ECONNRESET, -4077, "connection reset by peer")                          \
    X(EDESTADDRREQ, -4076, "destination address required")                    \
    X(EEXIST, -4075, "file already exists")                                   \
    X(EFAULT, -4074, "bad address in system call argument")                   \
    X(EFBIG, -4036, "file too large")                                         \
    X(EHOSTUNREACH, -4073, "host is unreachable")                             \
    X(EIO, -4070, "i/o error")                                                \
    X(EISCONN, -4069, "socket is already connected")                          \
    X(EISDIR, -4068, "illegal operation on a directory")                      \
    X(ELOOP, -4067, "too many symbolic links encountered")                    \
    X(EMFILE, -4066, "too many open files")                                   \
    X(EMSGSIZE, -4065, "message too long")                                    \
    X(ENAMETOOLONG, -4064, "name too long")                                   \
    X(ENETDOWN, -4063, "network is down")                                     \
    X(ENETUNREACH, -4062, "network is unreachable")                           \
    X(ENFILE, -4061, "file table overflow")                                   \
    X(ENOBUFS, -4060, "no buffer space available")                            \
    X(ENODEV, -4059, "no such device")                                        \
    X(ENOENT, -4058, "no such file or directory")                             \
    X(ENOSPC, -4055, "no space left on device")                               \
    X(ENOSYS, -4054, "function not implemented")                              \
    X(ENOTCONN, -4053, "socket is not connected")                             \
    X(ENOTDIR, -4052, "not a directory")                                      \
    X(ENOTEMPTY, -4051, "directory not empty")                                \
    X(ENOTSOCK, -4050, "socket operation on non-socket")                      \
    X(ENOTSUP, -4049, "operation not supported on socket")                    \
    X(EPERM, -4048, "operation not permitted")                                \
    X(EPIPE, -4047, "broken pipe")                                            \
    X(EPROTO, -4046, "protocol error")                                        \
    X(ERANGE, -4034, "result too large")                                      \
    X(EROFS, -4043, "read-only file system")                                  \
    X(ESPIPE, -4041, "invalid seek")                                          \
    X(ESRCH, -4040, "no such process")                                        \
    X(EXDEV, -4037, "cross-device link not permitted")
#define ASYNC__SYSTEM_CASE(name, number, text) case number: return #name;
#define ASYNC__SYSTEM_TEXT(name, number, text) case number: return text;
#endif

#ifndef ASYNC_NO_NAMES
#ifdef __AVR__
/* All strings would be copied to RAM at the start. */
#define ASYNC__NAME_ROOM(name, number, text) char name##_[sizeof #name];
#define ASYNC__TEXT_ROOM(name, number, text) char name##_[sizeof text];
static union async__longest_name {
    ASYNC_ERRORS(ASYNC__NAME_ROOM) ASYNC_USER_ERRORS(ASYNC__NAME_ROOM)
    char bytes[1];
} async__name_in_ram;
static union async__longest_text {
    ASYNC_ERRORS(ASYNC__TEXT_ROOM) ASYNC_USER_ERRORS(ASYNC__TEXT_ROOM)
    char bytes[1];
} async__text_in_ram;
#undef ASYNC__NAME_ROOM
#undef ASYNC__TEXT_ROOM
#define ASYNC__NAME(name) strcpy_P(async__name_in_ram.bytes, PSTR(name))
#define ASYNC__TEXT(text) strcpy_P(async__text_in_ram.bytes, PSTR(text))
#else
#define ASYNC__NAME(name) name
#define ASYNC__TEXT(text) text
#endif

#if ASYNC_HOSTED
/* Of names that are looked up; numbers and texts are libuv's everywhere. */
#define ASYNC__NAME_LOOKUP_ERRORS(X)                                          \
    X("EAI_ADDRFAMILY", -3000, "address family not supported")                \
    X("EAI_AGAIN", -3001, "temporary failure")                                \
    X("EAI_BADFLAGS", -3002, "bad ai_flags value")                            \
    X("EAI_CANCELED", -3003, "request canceled")                              \
    X("EAI_FAIL", -3004, "permanent failure")                                 \
    X("EAI_FAMILY", -3005, "ai_family not supported")                         \
    X("EAI_MEMORY", -3006, "out of memory")                                   \
    X("EAI_NODATA", -3007, "no address")                                      \
    X("EAI_NONAME", -3008, "unknown node or service")                         \
    X("EAI_OVERFLOW", -3009, "argument buffer overflow")                      \
    X("EAI_SERVICE", -3010, "service not available for socket type")          \
    X("EAI_SOCKTYPE", -3011, "socket type not supported")                     \
    X("EAI_BADHINTS", -3013, "invalid value for hints")                       \
    X("EAI_PROTOCOL", -3014, "resolved protocol is unknown")
#else
#define ASYNC__NAME_LOOKUP_ERRORS(X)
#endif
#define ASYNC__LOOKUP_CASE(name, number, text) case number: return name;

const char *async_error_name(int error)
{
    switch (error) {
#define ASYNC__NAME_CASE(name, number, text)                                  \
    case number: return ASYNC__NAME(#name);
        ASYNC_ERRORS(ASYNC__NAME_CASE)
        ASYNC_USER_ERRORS(ASYNC__NAME_CASE)
#undef ASYNC__NAME_CASE
#ifdef ASYNC__SYSTEM_ERRORS
        ASYNC__SYSTEM_ERRORS(ASYNC__SYSTEM_CASE)
#endif
        ASYNC__NAME_LOOKUP_ERRORS(ASYNC__LOOKUP_CASE)
        case -4095: return ASYNC__NAME("EOF"); /* libuv's */
    }
    return NULL;
}

const char *async_strerror(int error)
{
    switch (error) {
        case 0: return ASYNC__TEXT("success");
#define ASYNC__TEXT_CASE(name, number, text)                                  \
    case number: return ASYNC__TEXT(text);
        ASYNC_ERRORS(ASYNC__TEXT_CASE)
        ASYNC_USER_ERRORS(ASYNC__TEXT_CASE)
        ASYNC__NAME_LOOKUP_ERRORS(ASYNC__TEXT_CASE)
#undef ASYNC__TEXT_CASE
        case -4095: return ASYNC__TEXT("end of file");
    }
#ifdef ASYNC__SYSTEM_TEXT
    switch (error) { ASYNC__SYSTEM_ERRORS(ASYNC__SYSTEM_TEXT) }
#elif defined(ASYNC__SYSTEM_ERRORS)
    if (error < 0 && error > -4000) return strerror(-error);
#endif
    return ASYNC__TEXT("unknown error");
}
#else
const char *async_error_name(int error)
{
    (void)error;
    return NULL;
}
const char *async_strerror(int error)
{
    (void)error;
    return "?";
}
#endif

#if ASYNC_HOSTED || defined(ASYNC_TRAP)
#ifndef ASYNC_TRAP
#define ASYNC_TRAP(message) (fprintf(stderr, "%s\n", message), abort())
#endif

ASYNC__NORETURN void async__trap(const char *what, const char *name,
                                 const char *file, int line)
{
#if ASYNC_HOSTED
    char message[512];
    snprintf(message, sizeof message, "caesura: %s:%d: in %s: %s", file, line,
             name, what);
    ASYNC_TRAP(message);
#else
    (void)name, (void)file, (void)line, (void)what;
    ASYNC_TRAP(what);
#endif
    for (;;) {} /* a trap does not return */
}
#endif

#ifndef ASYNC_NO_NAMES
#define ASYNC__INFO_NAME(info) ((info)->name)
#define ASYNC__INFO_FILE(info) ((info)->file)
#else
#define ASYNC__INFO_NAME(info) ((void)(info), "?")
#define ASYNC__INFO_FILE(info) ((void)(info), "?")
#endif

/* A state that is none of the function's awaits: a question, or a mistake. */
async_status async__elsewhere(async *co, async_frame *frame,
                              const async_info *info)
{
    (void)info;
    if (frame->state == ASYNC__WHO) {
        co->wait.info = (void *)(uintptr_t)info;
        return async__status(ASYNC__ENDED);
    }
    if (frame->state == ASYNC__OVER)
        async__trap("a generator was resumed after its end",
                    ASYNC__INFO_NAME(info), ASYNC__INFO_FILE(info), 0);
    async__trap("an AWAIT stands inside a switch, where it cannot be resumed; "
                "use if and else, or put it in a coroutine of its own",
                ASYNC__INFO_NAME(info), ASYNC__INFO_FILE(info),
                ASYNC__LINE_OF(frame->state));
}

void async__no_generator(void)
{
    async__trap("a generator must be initialised: "
                "= ASYNC_GENERATOR(name, arguments)",
                "ASYNC_FOR or ASYNC_NEXT", "async.h", __LINE__);
}

void async__stray_exit(const async_info *info, async_frame *frame)
{
    (void)info, (void)frame;
    async__trap("break or continue outside a loop", ASYNC__INFO_NAME(info),
                ASYNC__INFO_FILE(info), ASYNC__LINE_OF(frame->state));
}

#if ASYNC_HOSTED
void async__print_error(const char *what_happened, int error)
{
    const char *name = async_error_name(error);
    if (name != NULL)
        fprintf(stderr, "%s: %s (%s)\n", what_happened, name,
                async_strerror(error));
    else
        fprintf(stderr, "%s: error %d (%s)\n", what_happened, error,
                async_strerror(error));
}
#endif

/* --- tracebacks ---------------------------------------------------------- */

#ifndef ASYNC_NO_TRACEBACK
/* A ring of notes: an error was raised in a coroutine (info NULL), or passed
 * a frame of it.  Errors of several coroutines mix; `who` tells them apart. */
typedef struct async__note {
    const async *who;
    const async_info *info;
    const async *from; /* with info NULL: it was raised there first */
    int line, error;
    /* Raised while another was handled: with info NULL, the one before; else
     * the arm that did it, by its line. */
    int handling;
} async__note;
static __thread async__note async__notes[ASYNC_TRACEBACK_SIZE];
static __thread unsigned async__notes_made;

static async__note *async__new_note(const async *who, int error)
{
    async__note *note =
        &async__notes[async__notes_made++ % ASYNC_TRACEBACK_SIZE];
    memset(note, 0, sizeof *note);
    note->who = who;
    note->error = error;
    return note;
}

void async__passed(async *co, const async_info *info, int line, int arm)
{
    async__note *note = async__new_note(co, co->error);
    note->info = info;
    note->line = line;
    note->handling = arm;
}

static int async__noted(unsigned at)
{
    return at > 0 && async__notes_made - at < ASYNC_TRACEBACK_SIZE;
}

/* Behind the note of the error that an arm handled when another was raised,
 * with the note before `at`: the last that passed the frame above the arm.  0
 * when it has been overwritten. */
static unsigned async__handled(const async__note *arm, unsigned at)
{
    while (async__noted(at)) {
        const async__note *note = &async__notes[--at % ASYNC_TRACEBACK_SIZE];
        if (note->who == arm->who && note->info == arm->info &&
            note->line <= arm->handling)
            return at + 1;
    }
    return 0;
}

/* Walks the notes from `at` backwards: from each coroutine that the error
 * passed, its frames outermost first, then the one where it came from. */
static void async__trace(const async *co, unsigned at,
                         async_traceback *traceback)
{
    const async__note *arm = NULL; /* the innermost that was handling */
    size_t i, n = 0;
    traceback->error = 0;
    traceback->who = NULL;
    while (async__noted(at)) {
        const async__note *note = &async__notes[--at % ASYNC_TRACEBACK_SIZE];
        if (note->who != co) continue;
        if (traceback->error == 0) traceback->error = note->error;
        if (note->error != traceback->error) break;
        if (note->info != NULL) {
            traceback->entries[n].name = ASYNC__INFO_NAME(note->info);
            traceback->entries[n].file = ASYNC__INFO_FILE(note->info);
            traceback->entries[n].line = note->line;
            if (note->handling && traceback->who == NULL) arm = note;
            n++;
            continue;
        }
        if (traceback->who == NULL && note->handling) {
            traceback->who = note->from != NULL ? note->from : co;
            traceback->at = at;
        } else if (arm != NULL) {
            traceback->at = async__handled(arm, at);
            if (traceback->at > 0) traceback->who = arm->who;
            arm = NULL;
        }
        if (note->from == NULL || note->handling) break;
        co = note->from;
    }
    traceback->count = n;
    for (i = 0; i < n / 2; i++) {
        async_traceback_entry entry = traceback->entries[i];
        traceback->entries[i] = traceback->entries[n - 1 - i];
        traceback->entries[n - 1 - i] = entry;
    }
}

void async_traceback_of(const async *co, async_traceback *traceback)
{
    async__trace(co, async__notes_made, traceback);
}

int async_traceback_context(async_traceback *traceback)
{
    async_traceback context;
    if (traceback->who == NULL) return 0;
    async__trace(traceback->who, traceback->at, &context);
    if (context.count == 0) return 0;
    *traceback = context;
    return 1;
}

static void async__print_trace(const async_traceback *traceback,
                               const char *what_happened)
{
    size_t i = traceback->count;
    async__print_error(what_happened, traceback->error);
    while (i-- > 0)
        fprintf(stderr, "  %s:%d: in %s\n", traceback->entries[i].file,
                traceback->entries[i].line, traceback->entries[i].name);
}

void async_traceback_print(const async_traceback *traceback,
                           const char *what_happened)
{
    async_traceback context = *traceback;
    if (async_traceback_context(&context))
        async_traceback_print(&context, "while this was being handled");
    async__print_trace(traceback, what_happened);
}
#endif

void async__raised(async *co, int error)
{
    if (!ASYNC__IS_CODE(error))
        async__trap("an error code must be negative, and at least -32768",
                    "ASYNC_RAISE", "async.h", __LINE__);
    co->error = error;
#ifndef ASYNC_NO_TRACEBACK
    async__new_note(co, error);
#endif
}

#ifndef ASYNC_NO_TRACEBACK
void async__raised_while(async *co, int error, int handling)
{
    async__raised(co, error);
    async__notes[(async__notes_made - 1) % ASYNC_TRACEBACK_SIZE].handling =
        handling;
}

void async__raised_from(async *co, int error, const async *from)
{
    co->error = error;
    async__new_note(co, error)->from = from;
}

void async__raised_because(async *co, int error, const async *from)
{
    async__note *note = async__new_note(co, error);
    co->error = error;
    note->from = from;
    note->handling = from != NULL;
}
#endif

/* --- the frame stack ----------------------------------------------------- */

/* Free stack is painted when it is made; the deepest byte without paint is
 * the high-water mark, and the await itself pays nothing for it.  A frame is
 * written whole when it is pushed, so the mark is exact. */
#define ASYNC__PAINT 0xA5

#ifndef ASYNC_STATIC_ONLY
const async_allocator *(*async__task_allocator)(const async *co);
const char *(*async__task_stack)(const async *co);
#endif
#if ASYNC_HOSTED && !defined(ASYNC_STATIC_ONLY)
/* Threads that make loops store the same there. */
#define ASYNC__HOOK_OF_TASKS(hook) __atomic_load_n(&(hook), __ATOMIC_RELAXED)
#else
#define ASYNC__HOOK_OF_TASKS(hook) (hook)
#endif

static void async__paint(void *memory, size_t size)
{
    memset(memory, ASYNC__PAINT, size);
}

static size_t async__painted_from(const char *start, const char *end)
{
    while (end - start >= ASYNC__ALIGNMENT) {
        int i;
        /* From below: above may be what pads a frame, which nobody has set. */
        for (i = ASYNC__ALIGNMENT; i > 0; i--)
            if ((unsigned char)end[-i] != ASYNC__PAINT)
                return (size_t)(end - start);
        end -= ASYNC__ALIGNMENT;
    }
    return 0;
}

#ifndef ASYNC_NO_HEAP
static void *async__malloc(void *context, size_t size)
{
    (void)context;
#ifdef ASYNC_MALLOC
    return ASYNC_MALLOC(size);
#else
    return malloc(size);
#endif
}

static void async__mfree(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
#ifdef ASYNC_FREE
    ASYNC_FREE(memory);
#else
    free(memory);
#endif
}

const async_allocator async_default_allocator = { async__malloc, async__mfree,
                                                  NULL };

static const async_allocator *async__allocator_of(const async *co)
{
    if (co->flags & ASYNC__IS_TASK)
        return ASYNC__HOOK_OF_TASKS(async__task_allocator)(co);
    return (const async_allocator *)(const void *)co->node.link.prev;
}

/* A further piece of a frame stack: free memory, and at its end this.  The
 * head is a frame of its own, which stands between the frame whose await
 * opened the chunk and that one's caller: when the former ends, the
 * trampoline comes by and closes the chunk.  Until then all that it awaits
 * finds the chunk open. */
typedef struct async__chunk {
    void *task; /* must be first, see async__owner() */
    async_frame head;
    char *memory;   /* of all, this included */
    char *sp, *end; /* of the piece below */
    uint32_t flags; /* the coroutine's, before */
    uint32_t below; /* bytes of stack in use in the pieces below */
} async__chunk;

enum { ASYNC__FIRST_CHUNK = 256,
       ASYNC__LARGEST_CHUNK = sizeof(void *) == 2 ? 16384 : 65536 };

async_status async__chunk_frame(async *co, void *frame)
{
    (void)co, (void)frame; /* never resumed: async__shrink() takes it away */
    return async__status(ASYNC__ENDED);
}

static size_t async__chunk_size(const async__chunk *chunk)
{
    return (size_t)((const char *)(chunk + 1) - chunk->memory);
}

void *async__grow(async *co, async_frame *caller, size_t size,
                  size_t alignment)
{
    const async_allocator *allocator = async__allocator_of(co);
    async__chunk *chunk;
    char *memory = NULL;
    size_t bytes = ASYNC__FIRST_CHUNK;
    size_t need = sizeof *chunk + alignment + async__round(size, alignment);
    if (co->flags & ASYNC__IN_CHUNK)
        bytes = async__chunk_size((async__chunk *)(void *)co->end) * 2;
    if (bytes > ASYNC__LARGEST_CHUNK) bytes = ASYNC__LARGEST_CHUNK;
    while (bytes < need) bytes *= 2;
    if (allocator != NULL)
        memory = (char *)allocator->allocate(allocator->context, bytes);
    if (memory == NULL) {
        async__raised(co, ASYNC_ENOMEM);
        return NULL;
    }
    chunk = (async__chunk *)(void *)(memory + bytes) - 1;
    chunk->task = co->flags & ASYNC__IS_TASK ? async__owner(co) : NULL;
    chunk->head.resume = async__chunk_frame;
    chunk->head.caller = caller->caller;
    chunk->head.state = 1;
    chunk->memory = memory;
    chunk->sp = co->sp;
    chunk->end = co->end;
    chunk->flags = co->flags;
    chunk->below = (uint32_t)async_stack_used(co);
    caller->caller = &chunk->head;
    co->sp = memory;
    co->end = (char *)chunk;
    co->flags |= ASYNC__IN_CHUNK;
    async__paint(co->sp, (size_t)(co->end - co->sp));
    return async__push(co, size, alignment);
}

/* Closes the chunk that the stack ends in. */
static void async__close_chunk(async *co)
{
    const async_allocator *allocator = async__allocator_of(co);
    async__chunk *chunk = (async__chunk *)(void *)co->end;
    size_t peak = chunk->below + async__painted_from(chunk->memory, co->end);
    if (peak / sizeof(void *) > co->peak)
        co->peak = (uint32_t)(peak / sizeof(void *)) & 0xffffff;
    if (co->sp >= chunk->memory && co->sp <= co->end) co->sp = chunk->sp;
    co->end = chunk->end;
    /* Only this flag: others have changed since. */
    if (!(chunk->flags & ASYNC__IN_CHUNK)) co->flags &= ~ASYNC__IN_CHUNK;
    allocator->release(allocator->context, chunk->memory,
                       async__chunk_size(chunk));
}

async_frame *async__shrink(async *co, async_frame *frame)
{
    while (frame != NULL && frame->resume == async__chunk_frame) {
        frame = frame->caller;
        async__close_chunk(co);
    }
    return frame;
}
#else
void *async__take(async *co, size_t size, size_t alignment)
{
    void *frame = async__push(co, size, alignment);
    if (frame == NULL) async__raised(co, ASYNC_ENOMEM);
    return frame;
}

async_status async__enter_frame(async *co, async_frame *caller,
                                async_frame *child, async_function *function,
                                async__state state)
{
    async_status status = function(co, child);
    caller->state = state;
    if (status.code == ASYNC__ENDED) {
        co->sp = (char *)child;
    } else {
        child->resume = function;
        async__link(child, caller);
    }
    return status;
}

void *async__grow(async *co, async_frame *caller, size_t size,
                  size_t alignment)
{
    (void)caller, (void)size, (void)alignment;
    async__raised(co, ASYNC_ENOMEM);
    return NULL;
}
#endif

/* The start of the current piece, and what lies in the pieces below it. */
static const char *async__piece(const async *co, size_t *below)
{
    *below = 0;
#ifndef ASYNC_NO_HEAP
    if (co->flags & ASYNC__IN_CHUNK) {
        const async__chunk *chunk = (const async__chunk *)(const void *)co->end;
        *below = chunk->below;
        return chunk->memory;
    }
#endif
    if (co->flags & ASYNC__IS_TASK)
        return ASYNC__HOOK_OF_TASKS(async__task_stack)(co);
    return (const char *)co->node.link.next;
}

size_t async_stack_used(const async *co)
{
    size_t below;
    const char *start = async__piece(co, &below);
    if (co->sp >= start && co->sp <= co->end)
        return below + (size_t)(co->sp - start);
    return below; /* the chunk is open, but its last frame has gone */
}

size_t async_stack_high_water(const async *co)
{
    size_t below, now, peak = 0;
    const char *start = async__piece(co, &below);
#ifndef ASYNC_STATIC_ONLY
    peak = (size_t)co->peak * sizeof(void *);
#endif
    now = below + async__painted_from(start, co->end);
    return now > peak ? now : peak;
}

/* --- objects in debug mode ----------------------------------------------- */

#ifdef ASYNC_DEBUG
/* The last ones of the thread that nobody has taken: async/debug/debug.h tells
 * of them when the step is over in which they were made. */
enum { ASYNC__OBJECTS = 64 };
typedef struct async__object_note {
    async_function *start;
    async__place at;
    unsigned serial; /* 0: it was taken */
} async__object_note;
static __thread async__object_note async__objects[ASYNC__OBJECTS];
static __thread unsigned async__objects_made;
__thread async__place async__made_at;

void async__object_made(async_object *object, const char *file, int line)
{
    async__object_note *note;
    if (++async__objects_made == 0) async__objects_made++;
    note = &async__objects[async__objects_made % ASYNC__OBJECTS];
    note->start = object->start;
    note->at.file = object->file = file;
    note->at.line = object->line = line;
    note->serial = object->serial = async__objects_made;
}

void async__object_taken(const async_object *object)
{
    async__object_note *note = &async__objects[object->serial % ASYNC__OBJECTS];
    if (note->serial == object->serial) note->serial = 0;
}
#endif

/* --- awaiting an object -------------------------------------------------- */

async_status async__call(async *co, async_frame *caller, async_object object)
{
    async_frame *child;
    async_status status;
    int grown = 0;
    if (object.start == NULL) {
        async__raised(co, ASYNC_EINVAL);
        return async__status(ASYNC__ENDED);
    }
    child = (async_frame *)async__push(co, object.size, object.alignment);
    if (child == NULL) {
        child = (async_frame *)async__grow(co, caller, object.size,
                                           object.alignment);
        if (child == NULL) return async__status(ASYNC__ENDED);
        grown = 1;
    }
    memcpy(child, object.frame, object.size);
    async__object_taken(&object);
    status = object.start(co, child);
    if (status.code != ASYNC__ENDED) {
        child->resume = object.start;
        async__link(child, caller);
    } else {
        co->sp = (char *)child;
        if (grown) {
            co->top = caller;
            status.code = ASYNC__GO_ON;
        }
    }
    return status;
}

/* --- coroutines driven by hand ------------------------------------------- */

/* Lays the first frame at the start of a stack. */
static int async__lay(async *co, void *memory, size_t size,
                      async_object object)
{
    async_frame *first;
    memset(co, 0, sizeof *co);
    co->node.link.next = (async_link *)memory;
    co->sp = (char *)memory;
    co->end = co->sp + size / ASYNC__ALIGNMENT * ASYNC__ALIGNMENT;
    co->flags = ASYNC__IS_OVER;
    if (object.start == NULL) return ASYNC_EINVAL;
    async__paint(memory, (size_t)(co->end - co->sp));
    first = (async_frame *)async__push(co, object.size, object.alignment);
    if (first == NULL) return ASYNC_ENOMEM;
    co->flags = 0;
    memcpy(first, object.frame, object.size);
    async__object_taken(&object);
    first->resume = object.start;
    co->top = first;
    return 0;
}

int async_init(async *co, void *memory, size_t size, async_object object)
{
    return async__lay(co, memory, size, object);
}

#ifndef ASYNC_NO_HEAP
int async_new(async *co, const async_allocator *allocator, async_object object)
{
    size_t size = async__round(object.size, ASYNC__ALIGNMENT) +
                  object.alignment + ASYNC__FIRST_CHUNK;
    void *memory;
    int error;
    size = async__round(size, ASYNC__ALIGNMENT);
    if (allocator == NULL) allocator = &async_default_allocator;
    memory = allocator->allocate(allocator->context, size);
    if (memory == NULL) {
        memset(co, 0, sizeof *co);
        co->flags = ASYNC__IS_OVER;
        return ASYNC_ENOMEM;
    }
    error = async__lay(co, memory, size, object);
    if (error) {
        allocator->release(allocator->context, memory, size);
        return error;
    }
    co->flags = ASYNC__IS_HEAP;
    co->node.link.prev = (async_link *)(uintptr_t)allocator;
    return 0;
}
#endif

/* Runs it on, with co->error to be raised if it is set. */
static int async__run_on(async *co)
{
    int code;
    if (co->flags & ASYNC__IS_OVER) return ASYNC_EREUSED;
    if (co->flags & ASYNC__IS_STARTED) {
        code = async__resume(co);
    } else {
        co->flags |= ASYNC__IS_STARTED;
        code = ASYNC__ENDED;
        if (!co->error)
            code = async__continue(co, co->top->resume(co, co->top));
    }
    if (code != ASYNC__ENDED) return ASYNC_SUSPENDED;
    co->flags |= ASYNC__IS_OVER;
    co->sp = (char *)co->top;
    code = co->error;
    co->error = 0;
    return code;
}

int async_send(async *co)
{
    return async__run_on(co);
}

int async_throw(async *co, int error)
{
    if (co->flags & ASYNC__IS_OVER) return ASYNC_EREUSED;
    async__raised(co, error);
    return async__run_on(co);
}

int async_close(async *co)
{
    int error = 0;
    if (!(co->flags & ASYNC__IS_OVER)) {
        error = async_throw(co, ASYNC_EGENERATOREXIT);
        if (error == ASYNC_SUSPENDED) error = ASYNC_EIGNOREDEXIT;
        if (error == ASYNC_EGENERATOREXIT) error = 0;
        co->flags |= ASYNC__IS_OVER;
    }
#ifndef ASYNC_NO_HEAP
    if (co->flags & ASYNC__IS_HEAP) {
        const async_allocator *allocator = async__allocator_of(co);
        while (co->flags & ASYNC__IN_CHUNK) async__close_chunk(co);
        allocator->release(allocator->context, co->node.link.next,
                           (size_t)(co->end - (char *)co->node.link.next));
        co->flags = ASYNC__IS_OVER;
    }
#endif
    return error;
}

/* --- generators driven by hand ------------------------------------------- */

/* What a generator awaits lives on the native stack: it must have ended when
 * the generator gives back control. */
enum { ASYNC__HAND_STACK = 512, ASYNC__PATIENCE = 100 };

int async__drive(async_frame *generator, int error)
{
    async co;
    void *stack[ASYNC__HAND_STACK / sizeof(void *)];
    async_status status;
    int code, refusals = 0;
    if (generator->state == ASYNC__OVER) return error;
    memset(&co, 0, sizeof co);
    co.node.link.next = (async_link *)(void *)stack;
    co.sp = (char *)stack;
    co.end = co.sp + sizeof stack;
#ifndef ASYNC_NO_HEAP
    co.node.link.prev = (async_link *)(uintptr_t)&async_default_allocator;
#endif
    co.top = generator;
    if (error) async__raised(&co, error);
    status = async__next(&co, generator, error);
    code = status.code;
    if (async__unfinished(status)) code = async__continue(&co, status);
    while (code == ASYNC__PAUSED || code == ASYNC__WAITING) {
        if (refusals++ == ASYNC__PATIENCE)
            async__trap(async_strerror(ASYNC_EHANDDRIVEN),
                        async_frame_name(generator),
                        async_frame_file(generator),
                        async_frame_line(generator));
        async__raised(&co, ASYNC_EHANDDRIVEN);
        code = async__resume(&co);
    }
    return code == ASYNC__GAVE ? ASYNC_YIELDED : co.error;
}

int async__drive_close(async_frame *generator)
{
    int error;
    if (generator->state == ASYNC__OVER) return 0;
    error = async__drive(generator, ASYNC_EGENERATOREXIT);
    if (error == ASYNC_YIELDED) return ASYNC_EIGNOREDEXIT;
    return error == ASYNC_EGENERATOREXIT ? 0 : error;
}

/* --- introspection ------------------------------------------------------- */

/* A frame, or the next one outwards if it is a chunk's. */
static const async_frame *async__visible(const async_frame *frame)
{
#ifndef ASYNC_NO_HEAP
    while (frame != NULL && frame->state != 0 &&
           frame->resume == async__chunk_frame)
        frame = frame->caller;
#endif
    return frame;
}

const async_frame *async_frame_innermost(const async *co)
{
    const async_frame *frame = async__visible(co->top);
    return frame != NULL && frame->state != 0 ? frame : NULL;
}

const async_frame *async_frame_caller(const async_frame *frame)
{
    return async__visible(frame->caller);
}

#ifdef ASYNC_NO_NAMES
static const async_info *async__who(const async_frame *frame)
{
    (void)frame;
    return NULL;
}
#else
/* A frame does not know its name, but its function does. */
static const async_info *async__who(const async_frame *frame)
{
    async_frame *asked = (async_frame *)(uintptr_t)frame;
    async__state state = asked->state;
    async answer;
    /* It may ask whose loop this is before its ASYNC_BEGIN. */
    memset(&answer, 0, sizeof answer);
    asked->state = ASYNC__WHO;
    (void)asked->resume(&answer, asked);
    asked->state = state;
    return (const async_info *)answer.wait.info;
}
#endif

const char *async_coro_name(const async *co)
{
    const async_frame *frame = async__visible(co->top), *caller;
    if (frame == NULL) return "?"; /* it was abandoned */
    while ((caller = async_frame_caller(frame)) != NULL) frame = caller;
    return async_frame_name(frame);
}

const char *async_frame_name(const async_frame *frame)
{
    return ASYNC__INFO_NAME(async__who(frame));
}

/* The name of a coroutine that has no frame. */
const char *async__name_of(async_function *start)
{
#if __SIZEOF_POINTER__ > 2 /* as any frame may be */
    async_frame frame __attribute__((aligned(128)));
#else
    async_frame frame;
#endif
    memset(&frame, 0, sizeof frame);
    frame.resume = start;
    return async_frame_name(&frame);
}

const char *async_frame_file(const async_frame *frame)
{
    return ASYNC__INFO_FILE(async__who(frame));
}

int async_frame_line(const async_frame *frame)
{
    return ASYNC__LINE_OF(frame->state);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
