/* Where memory comes from, how much of it, and when there is none. */
#define ASYNC_IMPLEMENTATION
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/streams.h"
#include "../../async/sync.h"
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

/* An allocator that counts, and can refuse.  Each block knows its size. */
typedef struct counting {
    async_allocator allocator;
    long made, live;
    size_t bytes, most; /* in use now, and at most */
    long refuse_at;     /* the index of the first that is refused, */
    long refuse;        /* and how many are, from there on */
    long refused, wrong_size;
} counting;

typedef union header {
    size_t size;
    long double align;
} header;

static void *counting_allocate(void *context, size_t size)
{
    counting *c = context;
    header *block;
    long index = c->made + c->refused;
    if (index >= c->refuse_at && index - c->refuse_at < c->refuse) {
        c->refused++;
        return NULL;
    }
    block = malloc(sizeof *block + size);
    assert_non_null(block);
    block->size = size;
    c->made++;
    c->live++;
    c->bytes += size;
    if (c->bytes > c->most) c->most = c->bytes;
    return block + 1;
}

static void counting_release(void *context, void *released, size_t size)
{
    counting *c = context;
    header *block = (header *)released - 1;
    if (block->size != size) c->wrong_size++;
    c->live--;
    c->bytes -= block->size;
    free(block);
}

static counting memory;
static async_virtual_loop loop;

/* Refusing `refuse` allocations from the one with the index `at`. */
static void open_refusing(long at, long refuse)
{
    memset(&memory, 0, sizeof memory);
    memory.allocator.allocate = counting_allocate;
    memory.allocator.release = counting_release;
    memory.allocator.context = &memory;
    memory.refuse_at = at;
    memory.refuse = refuse;
    async_virtual_loop_init(&loop, &memory.allocator);
}

static void open_loop(void)
{
    open_refusing(0, 0);
}

static void close_loop(void)
{
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.bytes, 0);
    assert_int_equal(memory.wrong_size, 0);
}

/* Runs until nothing can happen any more. */
static void run_dry(void)
{
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
}

/* Counts the rounds of a coroutine, and notes how many blocks had been
 * allocated, and were in use, when all was warm and when it was over. */
static counting warm, over;
static int rounds(int i)
{
    if (i == 3) warm = memory;
    if (i == 50) over = memory;
    return i < 50;
}

/* What holds without a pool too, under the sanitizers. */
#define assert_allocated_nothing() assert_int_equal(over.made, warm.made)

/* What the pool does: nothing is allocated.  Without it, all is given back. */
#ifdef ASYNC_NO_POOL
#define assert_reused() assert_true(over.live <= warm.live)
#else
#define assert_reused() assert_allocated_nothing()
#endif

#define RUN(...)                                                              \
    assert_int_equal(                                                         \
        async_loop_run_until_complete(&loop.base, CO(__VA_ARGS__)), 0)

/* How often a program has met ENOMEM, and other errors. */
static int met_enomem, met_others;
static void meet(int error)
{
    met_enomem += error == ASYNC_ENOMEM;
    met_others += error != 0 && error != ASYNC_ENOMEM;
}

static int meet_reported(async_loop *l, const async_exception_context *context,
                         void *argument)
{
    (void)l, (void)argument;
    meet(context->error);
    return 0;
}

/* --- coroutines ----------------------------------------------------------- */

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    ASYNC_RETURN(2 * self->n);
    ASYNC_END;
}

struct twice_later { ASYNC_RETURNS(int); int n; };
static ASYNC(twice_later)
{
    ASYNC_BEGIN(twice_later);
    AWAIT(async_sleep, 1);
    ASYNC_RETURN(2 * self->n);
    ASYNC_END;
}

/* So deep that the frame stack must grow. */
struct deep { ASYNC_RETURNS(int); int depth, n; };
static ASYNC(deep)
{
    ASYNC_BEGIN(deep);
    if (self->depth == 0) {
        AWAIT(async_sleep, 1);
        ASYNC_RETURN(0);
    }
    AWAIT_INTO(self->n, deep, self->depth - 1);
    ASYNC_RETURN(self->n + 1);
    ASYNC_END;
}

struct wide { ASYNC_FRAME; char bytes[3000]; };
static ASYNC(wide)
{
    ASYNC_BEGIN(wide);
    self->bytes[2999] = 1;
    AWAIT(async_sleep, 1);
    assert_int_equal(self->bytes[2999], 1);
    ASYNC_END;
}

struct aligned { ASYNC_FRAME; __attribute__((aligned(64))) char line[64]; };
static ASYNC(aligned)
{
    ASYNC_BEGIN(aligned);
    assert_int_equal((uintptr_t)self->line % 64, 0);
    AWAIT(async_sleep, 1);
    assert_int_equal((uintptr_t)self->line % 64, 0);
    ASYNC_END;
}

/* --- what costs nothing --------------------------------------------------- */

struct awaits { ASYNC_FRAME; int i, n; };
static ASYNC(awaits)
{
    ASYNC_BEGIN(awaits);
    for (self->i = 0; rounds(self->i); self->i++) {
        AWAIT_INTO(self->n, twice, self->i);
        ASYNC_SUSPEND;
        AWAIT(async_sleep, 0);
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    }
    ASYNC_END;
}

static void awaiting_and_sleeping_allocate_nothing(void **s)
{
    (void)s;
    open_loop();
    RUN(awaits);
    assert_allocated_nothing();
    close_loop();
}

static int set_seven(void *future)
{
    ASYNC_FUTURE(int) *f = future;
    return ASYNC_SET_RESULT(f, 7);
}

static int count_done(async_future *future, void *count)
{
    (void)future;
    ++*(int *)count;
    return 0;
}

struct completes {
    ASYNC_FRAME;
    ASYNC_FUTURE(int) f;
    async_handle handle;
    async_done_callback node;
    int i, n, times_done;
};
static ASYNC(completes)
{
    ASYNC_BEGIN(completes);
    for (self->i = 0; rounds(self->i); self->i++) {
        async_future_init(&self->f.future, async_loop_of(co));
        async_future_add_done_callback(&self->f.future, &self->node,
                                       count_done, &self->times_done);
        if (self->i % 2)
            async_loop_call_soon(async_loop_of(co), &self->handle, set_seven,
                                 &self->f);
        else
            async_loop_call_later(async_loop_of(co), &self->handle,
                                  ASYNC_MS(1), set_seven, &self->f);
        AWAIT_FUTURE_INTO(self->n, &self->f);
        assert_int_equal(self->n, 7);
    }
    assert_int_equal(self->times_done, self->i);
    ASYNC_END;
}

static void futures_callbacks_and_handles_allocate_nothing(void **s)
{
    (void)s;
    open_loop();
    RUN(completes);
    assert_allocated_nothing();
    close_loop();
}

/* Two of them take turns. */
static async_semaphore one_permit;
struct takes_turns { ASYNC_FRAME; int i; };
static ASYNC(takes_turns)
{
    ASYNC_BEGIN(takes_turns);
    for (self->i = 0; rounds(self->i); self->i++) {
        ASYNC_WITH(async_semaphore, &one_permit) {
            AWAIT(async_sleep, 1);
        } ASYNC_END_WITH
    }
    ASYNC_END;
}

static void semaphores_allocate_nothing(void **s)
{
    async_task *other;
    (void)s;
    open_loop();
    async_semaphore_init(&one_permit, 1);
    other = async_loop_create_task(&loop.base, CO(takes_turns));
    RUN(takes_turns);
    run_dry();
    assert_true(async_task_done(other));
    async_task_release(other);
    assert_reused();
    close_loop();
}

struct descends { ASYNC_FRAME; int i, n; };
static ASYNC(descends)
{
    ASYNC_BEGIN(descends);
    for (self->i = 0; rounds(self->i); self->i++) {
        AWAIT_INTO(self->n, deep, 8);
        assert_int_equal(self->n, 8);
    }
    ASYNC_END;
}

static void a_stack_that_has_grown_before_grows_from_the_pool(void **s)
{
    (void)s;
    open_loop();
    RUN(descends);
    assert_reused();
    close_loop();
}

struct spawns { ASYNC_FRAME; ASYNC_TASK_OF(twice_later) t; int i, n; };
static ASYNC(spawns)
{
    ASYNC_BEGIN(spawns);
    for (self->i = 0; rounds(self->i); self->i++) {
        ASYNC_SPAWN(self->t, twice_later, self->i);
        AWAIT_JOIN_INTO(self->n, self->t);
        assert_int_equal(self->n, 2 * self->i);
        self->t.task = async_create_task(CO(twice_later, self->i));
        AWAIT_JOIN(self->t.task);
    }
    ASYNC_END;
}

static void a_task_reuses_the_memory_of_one_of_its_size(void **s)
{
    (void)s;
    open_loop();
    RUN(spawns);
    assert_reused();
    close_loop();
}

struct gathers { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(gathers)
{
    ASYNC_BEGIN(gathers);
    for (self->i = 0; rounds(self->i); self->i++) {
        AWAIT_GATHER(&self->all, CO(twice_later, 1), CO(twice_later, 2));
        assert_int_equal(GATHERED(&self->all, 1, twice_later), 4);
        async_gather_clear(&self->all);
    }
    ASYNC_END;
}

static void a_gathering_reuses_memory(void **s)
{
    (void)s;
    open_loop();
    RUN(gathers);
    assert_reused();
    close_loop();
}

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

struct schedules { ASYNC_FRAME; int i; };
static ASYNC(schedules)
{
    ASYNC_BEGIN(schedules);
    for (self->i = 0; rounds(self->i); self->i++) {
        async_loop_call_soon(async_loop_of(co), NULL, nothing, NULL);
        async_loop_call_later(async_loop_of(co), NULL, 1, nothing, NULL);
        AWAIT(async_sleep, 2);
        AWAIT(async_sleep, 0);
    }
    ASYNC_END;
}

static void a_handle_of_the_loops_own_is_reused(void **s)
{
    (void)s;
    open_loop();
    RUN(schedules);
    assert_reused();
    close_loop();
}

/* --- static tasks --------------------------------------------------------- */

ASYNC_STATIC_TASK(first_static, ASYNC_FRAMES(completes, async_sleep));
ASYNC_STATIC_TASK(second_static,
                  ASYNC_FRAMES(takes_turns, async_semaphore_acquire));
ASYNC_STATIC_TASK(third_static,
                  ASYNC_FRAMES(takes_turns, async_semaphore_acquire));
ASYNC_STATIC_TASK(fourth_static, ASYNC_FRAMES(deep, deep, deep, async_sleep));

/* What a connection reads into is let go while nothing comes, and taken again
 * when something does. */
static int feed(void *reader)
{
    return async_stream_reader_feed_data(reader, "x", 1);
}
struct reads {
    ASYNC_FRAME;
    async_stream_reader reader;
    async_handle handle;
    async_bytes bytes;
    int i;
};
static ASYNC(reads)
{
    ASYNC_BEGIN(reads);
    async_stream_reader_init(&self->reader, async_loop_of(co), NULL, 0);
    /* It takes some rounds until it is as small as what comes. */
    for (self->i = -10; rounds(self->i); self->i++) {
        async_loop_call_soon(async_loop_of(co), &self->handle, feed,
                             &self->reader);
        AWAIT_INTO(self->bytes, async_stream_reader_read, &self->reader, 10);
        assert_int_equal(self->bytes.size, 1);
    }
    async_stream_reader_destroy(&self->reader);
    ASYNC_END;
}

static void a_readers_buffer_is_reused(void **s)
{
    (void)s;
    open_loop();
    RUN(reads);
    assert_reused();
    close_loop();
}

static void static_tasks_need_no_memory_at_all(void **s)
{
    (void)s;
    open_refusing(0, 1000);
    async_semaphore_init(&one_permit, 1);
    async_task_start(&first_static, &loop.base, CO(completes));
    async_task_start(&second_static, &loop.base, CO(takes_turns));
    async_task_start(&third_static, &loop.base, CO(takes_turns));
    async_task_start(&fourth_static, &loop.base, CO(deep, 2));
    run_dry();
    assert_int_equal(async_task_result(&first_static.task), 0);
    assert_int_equal(async_task_result(&second_static.task), 0);
    assert_int_equal(async_task_result(&third_static.task), 0);
    assert_int_equal(async_task_result(&fourth_static.task), 0);
    assert_int_equal(memory.refused, 0);
    close_loop();
}

static void a_static_stack_that_is_full_raises_enomem(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, meet_reported, NULL);
    async_task_start(&fourth_static, &loop.base, CO(deep, 3));
    met_enomem = 0;
    run_dry();
    assert_int_equal(async_task_result(&fourth_static.task), ASYNC_ENOMEM);
    assert_int_equal(met_enomem, 0); /* it was asked for, and so taken */
    assert_int_equal(memory.made, 0);
    close_loop();
}

/* --- how much ------------------------------------------------------------- */

struct sleeper { ASYNC_FRAME; int socket, round; };
static ASYNC(sleeper)
{
    ASYNC_BEGIN(sleeper);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}

static void a_sleeping_task_costs_at_most_288_bytes(void **s)
{
    enum { TASKS = 10000 };
    int i;
    (void)s;
    open_loop();
    for (i = 0; i < TASKS; i++)
        async_task_release(async_loop_create_task(&loop.base, CO(sleeper)));
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    assert_int_equal(async_loop_count_tasks(&loop.base), TASKS);
    assert_in_range(memory.most / TASKS, 150, 288);
    run_dry();
    close_loop();
}

static void a_thousand_tasks_one_by_one_take_the_memory_of_a_few(void **s)
{
    int i;
    (void)s;
    open_loop();
    for (i = 0; i < 1000; i++) {
        async_task_release(async_loop_create_task(&loop.base, CO(sleeper)));
        async_task_release(async_loop_create_task(&loop.base, CO(deep, 3)));
        run_dry();
    }
    assert_true(memory.most < 8192);
    close_loop();
}

/* --- giving back ---------------------------------------------------------- */

static void all_is_given_back_with_its_size(void **s)
{
    (void)s;
    open_loop();
    RUN(wide);
    RUN(aligned);
    RUN(deep, 200);
    RUN(gathers);
    RUN(schedules);
    assert_true(memory.made > 5);
    close_loop();
}

static void what_is_too_large_for_the_pool_is_given_back_at_once(void **s)
{
    long live;
    (void)s;
    open_loop();
    RUN(wide);
    live = memory.live;
    RUN(wide);
    RUN(wide);
    assert_int_equal(memory.live, live);
    assert_true(memory.bytes < 3000);
    close_loop();
}

static void what_has_not_run_is_given_back_at_close(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon(&loop.base, NULL, nothing, NULL);
    async_loop_call_later(&loop.base, NULL, 0, nothing, NULL);
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1e6), nothing, NULL);
    async_loop_call_at(&loop.base, NULL, ASYNC_FOREVER, nothing, NULL);
    async_loop_call_soon_threadsafe(&loop.base, NULL, nothing, NULL);
    assert_true(memory.live > 0);
    close_loop();
}

static void the_stack_of_a_task_dropped_at_close_is_given_back(void **s)
{
    (void)s;
    open_loop();
    async_loop_set_exception_handler(&loop.base, meet_reported, NULL);
    async_task_release(async_loop_create_task(&loop.base, CO(deep, 100)));
    async_task_release(async_loop_create_task(&loop.base, CO(wide)));
    async_task_release(async_loop_create_task(&loop.base, CO(aligned)));
    async_loop_stop(&loop.base);
    async_loop_run_forever(&loop.base);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_size, 0);
}

static void a_threadsafe_callback_of_the_loops_own_is_given_back(void **s)
{
    (void)s;
    open_loop();
    async_loop_call_soon_threadsafe(&loop.base, NULL, nothing, NULL);
    assert_int_equal(memory.live, 1);
    run_dry();
    assert_int_equal(memory.live, 0);
    close_loop();
}

/* --- when there is none --------------------------------------------------- */

struct uses_spawn {
    ASYNC_FRAME;
    ASYNC_TASK_OF(twice_later) a;
    ASYNC_TASK_OF(deep) b;
    int n;
};
static ASYNC(uses_spawn)
{
    ASYNC_BEGIN(uses_spawn);
    ASYNC_TRY {
        ASYNC_SPAWN(self->a, twice_later, 3);
        ASYNC_SPAWN(self->b, deep, 20);
        AWAIT_TASK_INTO(self->n, self->a);
        assert_int_equal(self->n, 6);
        AWAIT_TASK_INTO(self->n, self->b);
        assert_int_equal(self->n, 20);
    } ASYNC_FINALLY {
        async_task_release(self->a.task);
        async_task_release(self->b.task);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct uses_create { ASYNC_FRAME; async_task *t; };
static ASYNC(uses_create)
{
    ASYNC_BEGIN(uses_create);
    self->t = async_create_task(CO(wide));
    if (self->t == NULL) ASYNC_RAISE(async_last_error());
    AWAIT_JOIN(self->t);
    self->t = async_create_task(CO(aligned));
    if (self->t == NULL) ASYNC_RAISE(async_last_error());
    AWAIT_JOIN(self->t);
    ASYNC_END;
}

struct uses_gather { ASYNC_FRAME; async_gathering all; };
static ASYNC(uses_gather)
{
    ASYNC_BEGIN(uses_gather);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(twice_later, 1), CO(twice, 2),
                     CO(deep, 9));
        assert_int_equal(GATHERED(&self->all, 0, twice_later), 2);
        assert_int_equal(GATHERED(&self->all, 2, deep), 9);
    } ASYNC_FINALLY {
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct uses_gather_add { ASYNC_FRAME; async_gathering all; int i; };
static ASYNC(uses_gather_add)
{
    ASYNC_BEGIN(uses_gather_add);
    ASYNC_TRY {
        /* An error of these is raised by the await. */
        for (self->i = 0; self->i < 20; self->i++)
            async_gather_add(&self->all, CO(twice_later, self->i));
        AWAIT(async_gather, &self->all);
        for (self->i = 0; self->i < 20; self->i++)
            assert_int_equal(
                GATHERED(&self->all, (size_t)self->i, twice_later),
                2 * self->i);
    } ASYNC_FINALLY {
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct uses_callbacks { ASYNC_FRAME; ASYNC_FUTURE(int) f; int error; };
static ASYNC(uses_callbacks)
{
    ASYNC_BEGIN(uses_callbacks);
    async_future_init(&self->f.future, async_loop_of(co));
    self->error =
        async_loop_call_soon(async_loop_of(co), NULL, set_seven, &self->f);
    if (self->error) ASYNC_RAISE(self->error);
    AWAIT_FUTURE(&self->f.future);
    async_future_init(&self->f.future, async_loop_of(co));
    self->error =
        async_loop_call_later(async_loop_of(co), NULL, 1, set_seven, &self->f);
    if (self->error) ASYNC_RAISE(self->error);
    AWAIT_FUTURE(&self->f.future);
    ASYNC_END;
}

struct uses_wait_for { ASYNC_FRAME; int n, error; };
static ASYNC(uses_wait_for)
{
    ASYNC_BEGIN(uses_wait_for);
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(1), deep, 12);
    assert_int_equal(self->n, 12);
    AWAIT_CATCH(self->error, async_wait_for, CO(sleeper), ASYNC_MS(1));
    if (self->error != ASYNC_ETIMEDOUT) ASYNC_RAISE(self->error);
    AWAIT_CATCH(self->error, async_wait_for, CO(sleeper), 0);
    if (self->error != ASYNC_ETIMEDOUT) ASYNC_RAISE(self->error);
    ASYNC_END;
}

/* What ends when its awaiter has been cancelled is heard of by nobody else. */
struct tells { ASYNC_FRAME; int error; };
static ASYNC(tells)
{
    ASYNC_BEGIN(tells);
    AWAIT_CATCH(self->error, deep, 15);
    meet(self->error);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct uses_shield { ASYNC_FRAME; };
static ASYNC(uses_shield)
{
    ASYNC_BEGIN(uses_shield);
    AWAIT(async_shield, CO(tells));
    AWAIT(async_shield, CO(twice, 1));
    ASYNC_END;
}

/* Cancelled in a shield, which leaves what it protects. */
struct cancels_shield {
    ASYNC_FRAME;
    ASYNC_TASK_OF(uses_shield) t;
    int error;
};
static ASYNC(cancels_shield)
{
    ASYNC_BEGIN(cancels_shield);
    ASYNC_SPAWN(self->t, uses_shield);
    ASYNC_TRY {
        AWAIT(async_sleep, 0);
        async_task_cancel(self->t.task);
        AWAIT_TASK(self->t.task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
    ASYNC_FINALLY {
        async_task_release(self->t.task);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct uses_permit { ASYNC_FRAME; async_semaphore *semaphore; };
static ASYNC(uses_permit)
{
    ASYNC_BEGIN(uses_permit);
    ASYNC_WITH(async_semaphore, self->semaphore) {
        AWAIT(deep, 5);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct uses_semaphore { ASYNC_FRAME; async_gathering all; };
static async_semaphore two_permits;
static ASYNC(uses_semaphore)
{
    ASYNC_BEGIN(uses_semaphore);
    ASYNC_TRY {
        AWAIT_GATHER(&self->all, CO(uses_permit, &two_permits),
                     CO(uses_permit, &two_permits),
                     CO(uses_permit, &two_permits),
                     CO(uses_permit, &two_permits));
    } ASYNC_FINALLY {
        async_gather_clear(&self->all);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Raises ENOMEM when the group has failed with that and with nothing else. */
struct in_group { ASYNC_FRAME; async_object a, b; async_task_group group; };
static ASYNC(in_group)
{
    size_t i;
    ASYNC_BEGIN(in_group);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            if (!async_group_spawn(&self->group, self->a))
                ASYNC_RAISE(async_last_error());
            if (!async_group_spawn(&self->group, self->b))
                ASYNC_RAISE(async_last_error());
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        for (i = 0; i < async_group_error_count(&self->group); i++)
            assert_int_equal(async_group_error(&self->group, i), ASYNC_ENOMEM);
        ASYNC_RAISE(ASYNC_ENOMEM);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct uses_group {
    ASYNC_FRAME;
    async_task_group group;
    ASYNC_TASK_OF(deep) typed;
};
static ASYNC(uses_group)
{
    ASYNC_BEGIN(uses_group);
    AWAIT(in_group, CO(deep, 20), CO(wide));
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            ASYNC_GROUP_SPAWN(self->typed, &self->group, deep, 12);
        } ASYNC_END_TASK_GROUP
        assert_int_equal(ASYNC_TASK_RESULT(self->typed), 12);
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        assert_int_equal(async_group_error_count(&self->group), 1);
        ASYNC_RAISE(async_group_error(&self->group, 0));
    } ASYNC_FINALLY {
        async_task_release(self->typed.task);
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_lock lock;
struct uses_lock_deep { ASYNC_FRAME; };
static ASYNC(uses_lock_deep)
{
    ASYNC_BEGIN(uses_lock_deep);
    ASYNC_WITH(async_lock, &lock) {
        AWAIT(deep, 9);
    } ASYNC_END_WITH
    ASYNC_END;
}
struct uses_lock { ASYNC_FRAME; };
static ASYNC(uses_lock)
{
    ASYNC_BEGIN(uses_lock);
    AWAIT(in_group, CO(uses_lock_deep), CO(uses_lock_deep));
    assert_false(async_lock_locked(&lock));
    ASYNC_END;
}

static async_event event;
struct waits_for_event { ASYNC_FRAME; };
static ASYNC(waits_for_event)
{
    ASYNC_BEGIN(waits_for_event);
    AWAIT(async_event_wait, &event);
    ASYNC_END;
}
struct sets_event { ASYNC_FRAME; };
static ASYNC(sets_event)
{
    ASYNC_BEGIN(sets_event);
    AWAIT(deep, 7);
    async_event_set(&event);
    ASYNC_END;
}
struct uses_event { ASYNC_FRAME; };
static ASYNC(uses_event)
{
    ASYNC_BEGIN(uses_event);
    async_event_clear(&event);
    AWAIT(in_group, CO(waits_for_event), CO(sets_event));
    ASYNC_END;
}

static async_condition condition;
static int stock;
static int in_stock(void *unused)
{
    (void)unused;
    assert_true(async_condition_locked(&condition));
    return stock;
}
struct takes { ASYNC_FRAME; };
static ASYNC(takes)
{
    ASYNC_BEGIN(takes);
    ASYNC_WITH(async_condition, &condition) {
        ASYNC_TRY {
            AWAIT(async_condition_wait_for, &condition, in_stock);
            stock--;
        } ASYNC_FINALLY {
            assert_true(async_condition_locked(&condition));
        } ASYNC_END_TRY
    } ASYNC_END_WITH
    ASYNC_END;
}
struct brings { ASYNC_FRAME; };
static ASYNC(brings)
{
    ASYNC_BEGIN(brings);
    AWAIT(async_sleep, 1);
    ASYNC_WITH(async_condition, &condition) {
        AWAIT(deep, 6);
        stock++;
        async_condition_notify(&condition, 1);
    } ASYNC_END_WITH
    ASYNC_END;
}
struct uses_condition { ASYNC_FRAME; };
static ASYNC(uses_condition)
{
    ASYNC_BEGIN(uses_condition);
    stock = 0;
    ASYNC_TRY {
        AWAIT(in_group, CO(takes), CO(brings));
    } ASYNC_FINALLY {
        assert_false(async_condition_locked(&condition));
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_bounded_semaphore bounded;
struct uses_bounded_permit { ASYNC_FRAME; };
static ASYNC(uses_bounded_permit)
{
    ASYNC_BEGIN(uses_bounded_permit);
    ASYNC_WITH(async_bounded_semaphore, &bounded) {
        AWAIT(deep, 4);
    } ASYNC_END_WITH
    ASYNC_END;
}
struct uses_bounded { ASYNC_FRAME; };
static ASYNC(uses_bounded)
{
    ASYNC_BEGIN(uses_bounded);
    ASYNC_TRY {
        AWAIT(in_group, CO(uses_bounded_permit), CO(uses_bounded_permit));
    } ASYNC_FINALLY {
        assert_int_equal(async_bounded_semaphore_release(&bounded),
                         ASYNC_EOVERRELEASED);
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_barrier barrier;
struct meets { ASYNC_FRAME; int pause; };
static ASYNC(meets)
{
    ASYNC_BEGIN(meets);
    AWAIT(async_sleep, self->pause);
    AWAIT(async_barrier_wait, &barrier);
    ASYNC_END;
}
struct uses_barrier { ASYNC_FRAME; };
static ASYNC(uses_barrier)
{
    ASYNC_BEGIN(uses_barrier);
    ASYNC_TRY {
        AWAIT(in_group, CO(meets, 1), CO(meets, 2));
    } ASYNC_FINALLY {
        assert_int_equal(async_barrier_n_waiting(&barrier), 0);
        assert_false(async_condition_locked(&barrier.changed));
    } ASYNC_END_TRY
    ASYNC_END;
}

/* A put that waits keeps its item on the stack, which may have to grow. */
typedef struct large {
    int n;
    char bytes[200];
} large;
static ASYNC_QUEUE(large, 1) queue;
struct puts_three { ASYNC_FRAME; large item; int i; };
static ASYNC(puts_three)
{
    ASYNC_BEGIN(puts_three);
    for (self->i = 0; self->i < 3; self->i++) {
        self->item.n = self->i;
        AWAIT_QUEUE_PUT(&queue, self->item);
    }
    AWAIT(async_queue_join, &queue.queue);
    ASYNC_END;
}
struct gets_three { ASYNC_FRAME; large item; int i; };
static ASYNC(gets_three)
{
    ASYNC_BEGIN(gets_three);
    for (self->i = 0; self->i < 3; self->i++) {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(1), ASYNC_QUEUE_GET(&queue, &self->item));
        assert_int_equal(self->item.n, self->i);
        async_queue_task_done(&queue.queue);
        AWAIT(deep, 3);
    }
    ASYNC_END;
}
struct uses_queue { ASYNC_FRAME; };
static ASYNC(uses_queue)
{
    ASYNC_BEGIN(uses_queue);
    ASYNC_QUEUE_INIT(&queue);
    AWAIT(in_group, CO(puts_three), CO(gets_three));
    assert_true(async_queue_empty(&queue.queue));
    ASYNC_END;
}

static int greater(const void *a, const void *b)
{
    return *(const int *)b - *(const int *)a;
}

/* What has been put in before it could not grow is still there. */
struct uses_growing_queue {
    ASYNC_FRAME;
    ASYNC_HEAP_QUEUE(int) queue;
    int priority, i, n, error;
};
static ASYNC(uses_growing_queue)
{
    ASYNC_BEGIN(uses_growing_queue);
    if (self->priority)
        ASYNC_HEAP_PRIORITY_QUEUE_INIT(&self->queue, async_loop_of(co), 0,
                                       greater);
    else
        ASYNC_HEAP_QUEUE_INIT(&self->queue, async_loop_of(co), 0);
    ASYNC_TRY {
        ASYNC_TRY {
            for (; self->i < 40; self->i++)
                AWAIT_QUEUE_PUT(&self->queue, self->i);
        } ASYNC_FINALLY {
            assert_int_equal(async_queue_qsize(&self->queue.queue), self->i);
            while (self->n < self->i) {
                int item = -1;
                assert_int_equal(ASYNC_QUEUE_GET_NOWAIT(&self->queue, &item),
                                 0);
                self->n++;
                assert_int_equal(item, self->priority ? self->i - self->n
                                                      : self->n - 1);
            }
        } ASYNC_END_TRY
    } ASYNC_FINALLY {
        async_queue_destroy(&self->queue.queue);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct uses_timeout { ASYNC_FRAME; async_timeout limit; int n; };
static ASYNC(uses_timeout)
{
    ASYNC_BEGIN(uses_timeout);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
        AWAIT_INTO(self->n, deep, 13);
        assert_int_equal(self->n, 13);
    } ASYNC_END_TIMEOUT
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, ASYNC_MS(1)) {
            ASYNC_TRY {
                AWAIT(sleeper);
            } ASYNC_FINALLY {
                AWAIT(deep, 5);
            } ASYNC_END_TRY
        } ASYNC_END_TIMEOUT
        assert_true(0);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {}
    ASYNC_END_TRY
    ASYNC_END;
}

struct uses_wait {
    ASYNC_FRAME;
    async_task *tasks[2];
    async_waited items[2];
    struct async_as_completed ends;
    async_future *next;
    int i, n;
};
static ASYNC(uses_wait)
{
    ASYNC_BEGIN(uses_wait);
    ASYNC_TRY {
        for (self->i = 0; self->i < 2; self->i++) {
            self->tasks[self->i] = async_create_task(CO(deep, 5 + self->i));
            if (!self->tasks[self->i]) ASYNC_RAISE(async_last_error());
            self->items[self->i].future = &self->tasks[self->i]->future;
        }
        AWAIT(async_wait, self->items, 2, ASYNC_FOREVER,
              ASYNC_FIRST_COMPLETED);
        self->ends = ASYNC_GENERATOR(async_as_completed, self->items, 2,
                                     ASYNC_SECONDS(1));
        ASYNC_FOR(self->next, &self->ends) {
            AWAIT_FUTURE(self->next);
            AWAIT(deep, 4);
            self->n++;
        } ASYNC_END_FOR
        assert_int_equal(self->n, 2);
    } ASYNC_FINALLY {
        async_task_release(self->tasks[0]);
        async_task_release(self->tasks[1]);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Generators that await, one inside the other, and clean up. */
static int open_generators;
struct counts { ASYNC_YIELDS(int); int to, i; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    open_generators++;
    ASYNC_TRY {
        for (; self->i < self->to; self->i++) {
            AWAIT(deep, self->i);
            ASYNC_YIELD(self->i);
        }
    } ASYNC_FINALLY {
        open_generators--;
        AWAIT(deep, 3);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct counts_twice { ASYNC_YIELDS(int); struct counts once; };
static ASYNC(counts_twice)
{
    ASYNC_BEGIN(counts_twice);
    self->once = ASYNC_GENERATOR(counts, 3);
    ASYNC_YIELD_FROM(&self->once);
    self->once = ASYNC_GENERATOR(counts, 5);
    ASYNC_YIELD_FROM(&self->once);
    ASYNC_END;
}
struct uses_generator { ASYNC_FRAME; struct counts_twice all; int n, sum; };
static ASYNC(uses_generator)
{
    ASYNC_BEGIN(uses_generator);
    self->all = ASYNC_GENERATOR(counts_twice);
    ASYNC_TRY {
        ASYNC_FOR(self->n, &self->all) {
            AWAIT(deep, 2);
            self->sum += self->n;
            if (self->sum == 9) break; /* before its end */
        } ASYNC_END_FOR
        assert_int_equal(self->sum, 9);
    } ASYNC_FINALLY {
        assert_int_equal(open_generators, 0);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* All of them, one after the other, whatever has become of the one before. */
struct everything { ASYNC_RETURNS(int); int error; };
static ASYNC(everything)
{
    ASYNC_BEGIN(everything);
    AWAIT_CATCH(self->error, uses_spawn);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_create);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_gather);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_gather_add);
    meet(self->error);
    AWAIT_CATCH(self->error, deep, 60);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_callbacks);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_wait_for);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_shield);
    meet(self->error);
    AWAIT_CATCH(self->error, cancels_shield);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_semaphore);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_group);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_lock);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_event);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_condition);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_bounded);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_barrier);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_queue);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_growing_queue);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_growing_queue, .priority = 1);
    meet(self->error);
    AWAIT_CATCH(self->error, uses_wait);
    meet(self->error);
    /* With stacks of their own, which have not grown yet. */
    AWAIT_CATCH(self->error, in_group, CO(uses_timeout), CO(uses_generator));
    meet(self->error);
    AWAIT_CATCH(self->error, in_group, CO(uses_wait_for), CO(uses_shield));
    meet(self->error);
    ASYNC_RETURN(42);
    ASYNC_END;
}

/* Returns how many allocations were refused. */
static long run_refusing(long at, long refuse)
{
    long refused;
    int n = 0;
    met_enomem = met_others = 0;
    open_refusing(at, refuse);
    async_loop_set_exception_handler(&loop.base, meet_reported, NULL);
    async_semaphore_init(&two_permits, 2);
    async_bounded_semaphore_init(&bounded, 1);
    async_barrier_init(&barrier, 2);
    meet(ASYNC_RUN_UNTIL_COMPLETE_INTO(n, &loop.base, everything));
    run_dry(); /* what was left behind ends by itself */
    refused = memory.refused;
    assert_int_equal(met_others, 0);
    assert_int_equal(met_enomem > 0, refused > 0);
    assert_false(async_semaphore_locked(&two_permits));
    assert_false(async_lock_locked(&lock));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    /* As good as new. */
    memory.refuse = 0;
    met_enomem = 0;
    n = 0;
    assert_int_equal(ASYNC_RUN_UNTIL_COMPLETE_INTO(n, &loop.base, everything),
                     0);
    assert_int_equal(n, 42);
    assert_int_equal(met_enomem, 0);
    run_dry();
    close_loop();
    return refused;
}

static void each_allocation_that_fails_is_enomem_and_leaks_nothing(void **s)
{
    long at = 0;
    (void)s;
    while (run_refusing(at, 1) > 0) at++;
    assert_true(at > 10);
}

static void no_memory_from_some_point_on_is_enomem_and_leaks_nothing(void **s)
{
    long at = 0;
    (void)s;
    while (run_refusing(at, 1000000) > 0) at++;
    assert_true(at > 10);
}

static void without_memory_for_the_main_task_run_returns_enomem(void **s)
{
    (void)s;
    open_refusing(0, 1000000);
    async_loop_set_exception_handler(&loop.base, meet_reported, NULL);
    met_enomem = 0;
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(twice)),
                     ASYNC_ENOMEM);
    assert_int_equal(met_enomem, 1); /* "a coroutine was never awaited" */
    assert_null(async_loop_create_task(&loop.base, CO(twice)));
    assert_int_equal(async_last_error(), ASYNC_ENOMEM);
    assert_int_equal(async_loop_call_soon(&loop.base, NULL, nothing, NULL),
                     ASYNC_ENOMEM);
    assert_int_equal(async_loop_call_later(&loop.base, NULL, 1, nothing, NULL),
                     ASYNC_ENOMEM);
    assert_int_equal(
        async_loop_call_soon_threadsafe(&loop.base, NULL, nothing, NULL),
        ASYNC_ENOMEM);
    close_loop();
}

UNIT_MAIN(TEST(awaiting_and_sleeping_allocate_nothing),
          TEST(futures_callbacks_and_handles_allocate_nothing),
          TEST(semaphores_allocate_nothing),
          TEST(a_stack_that_has_grown_before_grows_from_the_pool),
          TEST(a_task_reuses_the_memory_of_one_of_its_size),
          TEST(a_gathering_reuses_memory),
          TEST(a_handle_of_the_loops_own_is_reused),
          TEST(a_readers_buffer_is_reused),
          TEST(static_tasks_need_no_memory_at_all),
          TEST(a_static_stack_that_is_full_raises_enomem),
          TEST(a_sleeping_task_costs_at_most_288_bytes),
          TEST(a_thousand_tasks_one_by_one_take_the_memory_of_a_few),
          TEST(all_is_given_back_with_its_size),
          TEST(what_is_too_large_for_the_pool_is_given_back_at_once),
          TEST(what_has_not_run_is_given_back_at_close),
          TEST(the_stack_of_a_task_dropped_at_close_is_given_back),
          TEST(a_threadsafe_callback_of_the_loops_own_is_given_back),
          TEST(each_allocation_that_fails_is_enomem_and_leaks_nothing),
          TEST(no_memory_from_some_point_on_is_enomem_and_leaks_nothing),
          TEST(without_memory_for_the_main_task_run_returns_enomem))
