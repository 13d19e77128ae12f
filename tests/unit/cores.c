/* link: -luv -pthread */
/* A loop for each core: their ends, their errors, the port that they share. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EVALUE, -10001, "bad value")                                            \
    X(EOTHER, -10002, "another one")

#include "refusing.h"

#include <stdlib.h>

static int no_memory;
static inline void *test_malloc(size_t size)
{
    return no_memory ? NULL : malloc(size);
}
#define ASYNC_MALLOC(size) test_malloc(size)
#define ASYNC_FREE(memory) free(memory)
#include "../../async/uv/cores.h"
#include "../../async/uv/tcp.h"

#include "unit.h"

#include <signal.h>
#include <unistd.h>

/* --- helpers ------------------------------------------------------------- */

/* What each of them has done, by its index. */
enum { CORES = 4 };
static int begun[CORES], cleaned[CORES];
static int all_begun, all_cleaned;
static void forget(void)
{
    memset(begun, 0, sizeof begun);
    memset(cleaned, 0, sizeof cleaned);
    all_begun = all_cleaned = 0;
}
static void add(int *count)
{
    __atomic_add_fetch(count, 1, __ATOMIC_ACQ_REL);
}
static int value(int *count)
{
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

/* Sleeps until it is cancelled. */
struct sleep_on { ASYNC_FRAME; int catches; };
static ASYNC(sleep_on)
{
    ASYNC_BEGIN(sleep_on);
    begun[async_core_index()]++;
    add(&all_begun);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_MS(1));
        cleaned[async_core_index()]++;
        add(&all_cleaned);
        if (self->catches) ASYNC_RETURN();
    } ASYNC_END_TRY
    ASYNC_END;
}
/* Goes on when so many cores have begun. */
struct until_begun { ASYNC_FRAME; int how_many; };
static ASYNC(until_begun)
{
    ASYNC_BEGIN(until_begun);
    while (value(&all_begun) < self->how_many) AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}

/* --- tests --------------------------------------------------------------- */

struct note_index { ASYNC_FRAME; int *sum; };
static ASYNC(note_index)
{
    ASYNC_BEGIN(note_index);
    AWAIT(async_sleep, ASYNC_MS(1));
    assert_int_equal(async_core_count(), CORES);
    begun[async_core_index()]++;
    __atomic_add_fetch(self->sum, async_core_index(), __ATOMIC_RELAXED);
    ASYNC_END;
}
static void each_core_runs_the_coroutine_and_knows_its_index(void **s)
{
    int i, sum = 0;
    (void)s;
    forget();
    assert_int_equal(async_run_cores(CORES, CO(note_index, &sum)), 0);
    assert_int_equal(sum, 6);
    for (i = 0; i < CORES; i++) assert_int_equal(begun[i], 1);
    assert_int_equal(async_core_index(), -1);
    assert_int_equal(async_core_count(), 0);
    async_stop_cores(); /* does nothing */
}

struct count_them { ASYNC_FRAME; unsigned *count; };
static ASYNC(count_them)
{
    ASYNC_BEGIN(count_them);
    if (async_core_index() == 0) *self->count = async_core_count();
    ASYNC_END;
}
static void by_default_there_are_as_many_as_can_run(void **s)
{
    unsigned count = 0;
    (void)s;
    assert_int_equal(async_run_cores(0, CO(count_them, &count)), 0);
    assert_int_equal(count, async_available_cores());
    assert_int_equal(async_run_cores(1, CO(count_them, &count)), 0);
    assert_int_equal(count, 1);
}

struct fail_in { ASYNC_FRAME; int who, error, catches; };
static ASYNC(fail_in)
{
    ASYNC_BEGIN(fail_in);
    if (async_core_index() == self->who) {
        AWAIT(until_begun, CORES - 1);
        ASYNC_RAISE(self->error);
    }
    AWAIT(sleep_on, self->catches);
    ASYNC_END;
}
static void the_error_of_one_cancels_the_others_and_is_the_result(void **s)
{
    int who, i, catches;
    (void)s;
    for (catches = 0; catches < 2; catches++) {
        for (who = 0; who < CORES; who++) {
            forget();
            assert_int_equal(
                async_run_cores(CORES, CO(fail_in, who, EVALUE, catches)),
                EVALUE);
            for (i = 0; i < CORES; i++) assert_int_equal(cleaned[i], i != who);
        }
    }
}
static void a_cancellation_that_nobody_asked_for_is_an_error_too(void **s)
{
    (void)s;
    forget();
    assert_int_equal(async_run_cores(CORES, CO(fail_in, 2, ASYNC_ECANCELED)),
                     ASYNC_ECANCELED);
    assert_int_equal(all_cleaned, CORES - 1);
}

/* The others fail when they are cancelled, which is later. */
struct fail_after { ASYNC_FRAME; };
static ASYNC(fail_after)
{
    ASYNC_BEGIN(fail_after);
    if (async_core_index() == 1) {
        AWAIT(until_begun, CORES - 1);
        ASYNC_RAISE(EVALUE);
    }
    ASYNC_TRY {
        AWAIT(sleep_on);
    } ASYNC_FINALLY {
        ASYNC_RAISE(EOTHER);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void of_several_errors_the_first_is_the_result(void **s)
{
    (void)s;
    forget();
    assert_int_equal(async_run_cores(CORES, CO(fail_after)), EVALUE);
    assert_int_equal(all_cleaned, CORES - 1);
}

struct stop_from { ASYNC_FRAME; int who; };
static ASYNC(stop_from)
{
    ASYNC_BEGIN(stop_from);
    if (async_core_index() == self->who) {
        AWAIT(until_begun, CORES - 1);
        async_stop_cores();
        async_stop_cores(); /* once is enough */
    }
    AWAIT(sleep_on);
    ASYNC_END;
}
static void stopping_cancels_all_and_is_no_error(void **s)
{
    int who;
    (void)s;
    for (who = 0; who < CORES; who++) {
        forget();
        assert_int_equal(async_run_cores(CORES, CO(stop_from, who)), 0);
        assert_int_equal(all_cleaned, CORES);
    }
}
static void stopping_at_once_meets_cores_that_have_not_begun(void **s)
{
    int round;
    (void)s;
    for (round = 0; round < 50; round++) {
        forget();
        all_begun = CORES; /* nobody waits for the others */
        assert_int_equal(async_run_cores(CORES, CO(stop_from, 0)), 0);
        assert_int_equal(all_cleaned, all_begun - CORES);
    }
}

/* A core that ends is no reason for the others to end. */
struct end_early { ASYNC_FRAME; };
static ASYNC(end_early)
{
    ASYNC_BEGIN(end_early);
    add(&all_begun);
    if (async_core_index() % 2 == 0) ASYNC_RETURN();
    AWAIT(until_begun, CORES);
    AWAIT(async_sleep, ASYNC_MS(5));
    add(&all_cleaned);
    ASYNC_END;
}
static void a_core_that_ends_lets_the_others_go_on(void **s)
{
    (void)s;
    forget();
    assert_int_equal(async_run_cores(CORES, CO(end_early)), 0);
    assert_int_equal(all_cleaned, CORES / 2);
}

struct leave_a_task { ASYNC_FRAME; };
static ASYNC(leave_a_task)
{
    ASYNC_BEGIN(leave_a_task);
    async_task_release(async_create_task(CO(sleep_on)));
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void what_is_left_on_a_core_is_cancelled_and_waited_for(void **s)
{
    (void)s;
    forget();
    assert_int_equal(async_run_cores(CORES, CO(leave_a_task)), 0);
    assert_int_equal(all_cleaned, CORES);
}

struct interrupt { ASYNC_FRAME; };
static ASYNC(interrupt)
{
    ASYNC_BEGIN(interrupt);
    if (async_core_index() == 1) {
        AWAIT(until_begun, CORES - 1);
        kill(getpid(), SIGINT);
    }
    AWAIT(sleep_on);
    ASYNC_END;
}
static void ctrl_c_ends_all_of_them(void **s)
{
    (void)s;
    forget();
    signal(SIGINT, SIG_DFL);
    assert_int_equal(async_run_cores(CORES, CO(interrupt)), ASYNC_EINTR);
    assert_int_equal(all_cleaned, CORES);
}

/* --- what goes wrong ----------------------------------------------------- */

static void when_a_thread_cannot_be_made_none_goes_on(void **s)
{
    int i;
    (void)s;
    for (i = 1; i < CORES; i++) {
        forget();
        refuse_thread = i;
        assert_int_equal(async_run_cores(CORES, CO(sleep_on)), UV_EAGAIN);
        assert_int_equal(begun[0], 0);
        assert_int_equal(all_cleaned, all_begun);
    }
    refuse_thread = 0;
}
static void when_a_loop_cannot_be_made_none_goes_on(void **s)
{
    int i;
    (void)s;
    for (i = 1; i <= CORES; i++) {
        forget();
        refuse_loop = i;
        assert_int_equal(async_run_cores(CORES, CO(sleep_on)), UV_EMFILE);
        assert_int_equal(all_cleaned, all_begun);
    }
    refuse_loop = 0;
}
static void without_memory_nothing_begins(void **s)
{
    (void)s;
    forget();
    no_memory = 1;
    assert_int_equal(async_run_cores(CORES, CO(sleep_on)), ASYNC_ENOMEM);
    no_memory = 0;
    refuse_mutex = 1;
    assert_int_equal(async_run_cores(CORES, CO(sleep_on)), UV_ENOMEM);
    assert_int_equal(all_begun, 0);
}

struct nested { ASYNC_FRAME; };
static ASYNC(nested)
{
    ASYNC_BEGIN(nested);
    assert_int_equal(async_run_cores(1, CO(sleep_on)), ASYNC_ENESTEDRUN);
    ASYNC_END;
}
static void it_is_for_coroutines_and_outside_of_loops(void **s)
{
    async_future future;
    (void)s;
    async_future_init(&future, NULL);
    assert_int_equal(async_run_cores(1, async_future_object(&future)),
                     ASYNC_EINVAL);
    assert_int_equal(async_run(CO(nested)), 0);
}

/* --- one port for all of them -------------------------------------------- */

enum { CLIENTS = 100 };
static int port, served[CORES];

/* Accepts until it is stopped. */
struct serve { ASYNC_FRAME; async_listener server; async_stream peer; };
static ASYNC(serve)
{
    struct sockaddr_storage address;
    ASYNC_BEGIN(serve);
    while (async_core_index() != 0 && value(&port) == 0)
        AWAIT(async_sleep, ASYNC_MS(1));
    async_tcp_address(&address, "127.0.0.1", value(&port));
    AWAIT(async_tcp_listen, &self->server, (struct sockaddr *)&address, 0,
          ASYNC_TCP_REUSEPORT);
    __atomic_store_n(&port, async_tcp_port(&self->server), __ATOMIC_RELEASE);
    add(&all_begun);
    ASYNC_TRY {
        for (;;) {
            AWAIT(async_listener_accept, &self->server, &self->peer);
            served[async_core_index()]++;
            AWAIT(async_stream_write, &self->peer, "x", 1);
            AWAIT(async_stream_close, &self->peer);
        }
    } ASYNC_FINALLY {
        AWAIT(async_stream_close, &self->peer);
        AWAIT(async_listener_close, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct clients { ASYNC_FRAME; int i; async_stream peer; char byte; size_t n; };
static ASYNC(clients)
{
    struct sockaddr_storage address;
    ASYNC_BEGIN(clients);
    AWAIT(until_begun, CORES);
    for (self->i = 0; self->i < CLIENTS; self->i++) {
        async_tcp_address(&address, "127.0.0.1", value(&port));
        AWAIT(async_tcp_connect, &self->peer, (struct sockaddr *)&address);
        AWAIT_INTO(self->n, async_stream_read, &self->peer, &self->byte, 1);
        assert_int_equal(self->n, 1);
        AWAIT(async_stream_close, &self->peer);
    }
    async_stop_cores();
    ASYNC_END;
}
struct serve_and_ask { ASYNC_FRAME; async_task *clients; };
static ASYNC(serve_and_ask)
{
    ASYNC_BEGIN(serve_and_ask);
    if (async_core_index() == 2)
        self->clients = async_create_task(CO(clients));
    ASYNC_TRY {
        AWAIT(serve);
    } ASYNC_FINALLY {
        async_task_release(self->clients);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void the_cores_share_a_port(void **s)
{
    int i, sum = 0, idle = 0;
    (void)s;
    forget();
    port = 0;
    memset(served, 0, sizeof served);
    assert_int_equal(async_run_cores(CORES, CO(serve_and_ask)), 0);
    for (i = 0; i < CORES; i++) {
        sum += served[i];
        idle += served[i] == 0;
    }
    assert_int_equal(sum, CLIENTS);
    assert_int_equal(idle, 0); /* but once in 10^12 runs */
}

UNIT_MAIN(TEST(each_core_runs_the_coroutine_and_knows_its_index),
          TEST(by_default_there_are_as_many_as_can_run),
          TEST(the_error_of_one_cancels_the_others_and_is_the_result),
          TEST(a_cancellation_that_nobody_asked_for_is_an_error_too),
          TEST(of_several_errors_the_first_is_the_result),
          TEST(stopping_cancels_all_and_is_no_error),
          TEST(stopping_at_once_meets_cores_that_have_not_begun),
          TEST(a_core_that_ends_lets_the_others_go_on),
          TEST(what_is_left_on_a_core_is_cancelled_and_waited_for),
          TEST(ctrl_c_ends_all_of_them),
          TEST(when_a_thread_cannot_be_made_none_goes_on),
          TEST(when_a_loop_cannot_be_made_none_goes_on),
          TEST(without_memory_nothing_begins),
          TEST(it_is_for_coroutines_and_outside_of_loops),
          TEST(the_cores_share_a_port))
