/* Cancelled at whatever point, who waits loses no permit, no item and no lock:
 * each primitive in all interleavings of three tasks. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/sync.h"

#include "interleavings.h"

/* --- helpers ------------------------------------------------------------- */

static void all_have_ended(void)
{
    int i;
    for (i = 0; i < ACTORS; i++) assert_true(ended(i));
}

/* A task has as many requests to be cancelled as were made from outside: what
 * a timeout or a group asked for it has taken back. */
static void assert_requests(int i)
{
    assert_int_equal(async_task_cancelling(actors[i]), cancelled[i]);
}

/* How many hold at present what there is to hold, and how many may. */
static int inside, permits;

/* Holds it for a step or two. */
struct holds { ASYNC_FRAME; };
static ASYNC(holds)
{
    ASYNC_BEGIN(holds);
    assert_in_range(++inside, 1, permits);
    ASYNC_TRY {
        if (choose(2)) ASYNC_SUSPEND;
    } ASYNC_FINALLY {
        inside--;
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_lock lock;
static void assert_lock_is_free(void)
{
    assert_false(async_lock_locked(&lock));
    assert_true(async__list_empty(&lock.waiting));
}

/* --- lock ---------------------------------------------------------------- */

struct locks { ASYNC_FRAME; };
static ASYNC(locks)
{
    ASYNC_BEGIN(locks);
    if (choose(2)) ASYNC_SUSPEND;
    ASYNC_WITH(async_lock, &lock) {
        AWAIT(holds);
    } ASYNC_END_WITH
    ASYNC_END;
}

static void begin_lock(void)
{
    int i;
    async_lock_init(&lock);
    permits = 1;
    for (i = 0; i < ACTORS; i++) act(i, CO(locks));
}
static void still_lock(void)
{
    all_have_ended();
    assert_lock_is_free();
}
static void a_lock_goes_to_one_after_the_other(void **s)
{
    story of = { begin_lock, still_lock, NULL, 2 };
    (void)s;
    walk(of);
}

/* --- event --------------------------------------------------------------- */

static async_event event;
static int waiting[ACTORS], owed[ACTORS];

struct waits_for_event { ASYNC_FRAME; int i; };
static ASYNC(waits_for_event)
{
    ASYNC_BEGIN(waits_for_event);
    if (choose(2)) ASYNC_SUSPEND;
    waiting[self->i] = 1;
    AWAIT(async_event_wait, &event);
    ASYNC_END;
}
struct sets_event { ASYNC_FRAME; };
static ASYNC(sets_event)
{
    ASYNC_BEGIN(sets_event);
    if (choose(2)) ASYNC_SUSPEND;
    async_event_set(&event);
    memcpy(owed, waiting, sizeof owed);
    if (choose(2)) ASYNC_SUSPEND;
    async_event_clear(&event);
    ASYNC_END;
}

static void begin_event(void)
{
    async_event_init(&event);
    memset(waiting, 0, sizeof waiting);
    memset(owed, 0, sizeof owed);
    act(0, CO(waits_for_event, 0));
    act(1, CO(waits_for_event, 1));
    act(2, CO(sets_event));
}
static void still_event(void)
{
    int i;
    for (i = 0; i < ACTORS; i++)
        if (!ended(i)) assert_false(owed[i]);
}
static void end_event(void)
{
    assert_true(async__list_empty(&event.waiting));
}
static void who_waited_when_an_event_was_set_goes_on(void **s)
{
    story of = { begin_event, still_event, end_event, 2 };
    (void)s;
    walk(of);
}

/* --- condition ----------------------------------------------------------- */

static async_condition condition;
static int items, made, taken;

static int has_items(void *unused)
{
    (void)unused;
    assert_true(async_condition_locked(&condition));
    return items;
}

struct takes_item { ASYNC_FRAME; int error; };
static ASYNC(takes_item)
{
    ASYNC_BEGIN(takes_item);
    if (choose(2)) ASYNC_SUSPEND;
    ASYNC_WITH(async_condition, &condition) {
        ASYNC_TRY {
            AWAIT(async_condition_wait_for, &condition, has_items);
            items--;
            taken++;
        } ASYNC_FINALLY {
            /* However the wait ended, it is this one that has the lock. */
            assert_int_equal(inside, 0);
            assert_true(async_condition_locked(&condition));
        } ASYNC_END_TRY
        AWAIT(holds);
    } ASYNC_END_WITH
    ASYNC_END;
}
struct makes_items { ASYNC_FRAME; int all; };
static ASYNC(makes_items)
{
    ASYNC_BEGIN(makes_items);
    if (choose(2)) ASYNC_SUSPEND;
    ASYNC_WITH(async_condition, &condition) {
        items += 2;
        made += 2;
        if (self->all) {
            async_condition_notify_all(&condition);
        } else {
            async_condition_notify(&condition, 1);
            async_condition_notify(&condition, 1);
        }
        AWAIT(holds);
    } ASYNC_END_WITH
    ASYNC_END;
}

static void begin_condition(void)
{
    async_condition_init(&condition, NULL);
    permits = 1;
    items = made = taken = 0;
    act(0, CO(takes_item));
    act(1, CO(takes_item));
    act(2, CO(makes_items, choose(2)));
}
static void still_condition(void)
{
    int i, waiters = 0;
    for (i = 0; i < ACTORS; i++) waiters += !ended(i);
    assert_int_equal(made, taken + items);
    if (items > 0) assert_int_equal(waiters, 0);
    assert_false(async_condition_locked(&condition));
}
static void end_condition(void)
{
    assert_false(async_condition_locked(&condition));
    assert_true(async__list_empty(&condition.waiting));
    assert_true(async__list_empty(&condition.own.waiting));
}
static void a_condition_passes_on_notification_and_lock(void **s)
{
    story of = { begin_condition, still_condition, end_condition, 1 };
    (void)s;
    walk(of);
}

/* One item, and one notification: to whom it is of no use passes it on. */
struct makes_item { ASYNC_FRAME; };
static ASYNC(makes_item)
{
    ASYNC_BEGIN(makes_item);
    if (choose(2)) ASYNC_SUSPEND;
    if (choose(2)) ASYNC_SUSPEND;
    ASYNC_WITH(async_condition, &condition) {
        items++;
        made++;
        async_condition_notify(&condition, 1);
        AWAIT(holds);
    } ASYNC_END_WITH
    ASYNC_END;
}
static void begin_one_item(void)
{
    async_condition_init(&condition, NULL);
    permits = 1;
    items = made = taken = 0;
    act(0, CO(takes_item));
    act(1, CO(takes_item));
    act(2, CO(makes_item));
}
static void a_notification_is_not_lost_with_who_got_it(void **s)
{
    story of = { begin_one_item, still_condition, end_condition, 1 };
    (void)s;
    walk(of);
}

/* --- semaphore ----------------------------------------------------------- */

static async_semaphore semaphore;

struct acquires { ASYNC_FRAME; };
static ASYNC(acquires)
{
    ASYNC_BEGIN(acquires);
    if (choose(2)) ASYNC_SUSPEND;
    ASYNC_WITH(async_semaphore, &semaphore) {
        AWAIT(holds);
    } ASYNC_END_WITH
    ASYNC_END;
}

static void begin_semaphore(void)
{
    int i;
    permits = 1 + choose(2);
    async_semaphore_init(&semaphore, permits);
    for (i = 0; i < ACTORS; i++) act(i, CO(acquires));
}
static void still_semaphore(void)
{
    all_have_ended();
    assert_int_equal(semaphore.value, permits);
    assert_false(async_semaphore_locked(&semaphore));
}
static void a_semaphore_has_all_its_permits_in_the_end(void **s)
{
    story of = { begin_semaphore, still_semaphore, NULL, 2 };
    (void)s;
    walk(of);
}

/* --- bounded semaphore --------------------------------------------------- */

static async_bounded_semaphore bounded;

struct acquires_bounded { ASYNC_FRAME; };
static ASYNC(acquires_bounded)
{
    ASYNC_BEGIN(acquires_bounded);
    ASYNC_WITH(async_bounded_semaphore, &bounded) {
        AWAIT(holds);
    } ASYNC_END_WITH
    ASYNC_END;
}

static void begin_bounded(void)
{
    int i;
    permits = 1 + choose(2);
    async_bounded_semaphore_init(&bounded, permits);
    for (i = 0; i < ACTORS; i++) act(i, CO(acquires_bounded));
}
static void still_bounded(void)
{
    all_have_ended();
    assert_int_equal(bounded.semaphore.value, permits);
    assert_int_equal(async_bounded_semaphore_release(&bounded),
                     ASYNC_EOVERRELEASED);
}
static void a_bounded_semaphore_has_all_its_permits_and_no_more(void **s)
{
    story of = { begin_bounded, still_bounded, NULL, 2 };
    (void)s;
    walk(of);
}

/* --- barrier ------------------------------------------------------------- */

static async_barrier barrier;

struct meets { ASYNC_FRAME; int n; };
static ASYNC(meets)
{
    ASYNC_BEGIN(meets);
    if (choose(2)) ASYNC_SUSPEND;
    AWAIT_INTO(self->n, async_barrier_wait, &barrier);
    assert_in_range(self->n, 0, async_barrier_parties(&barrier) - 1);
    ASYNC_END;
}

static void begin_barrier(void)
{
    int i;
    async_barrier_init(&barrier, 2 + choose(2));
    for (i = 0; i < ACTORS; i++) act(i, CO(meets));
}
/* Only as many are left as the barrier counts, and they are too few. */
static void still_barrier(void)
{
    int i, left = 0;
    for (i = 0; i < ACTORS; i++) left += !ended(i);
    assert_int_equal(async_barrier_n_waiting(&barrier), left);
    assert_in_range(left, 0, async_barrier_parties(&barrier) - 1);
    assert_int_equal(barrier.state, ASYNC__FILLING);
    assert_false(async_condition_locked(&barrier.changed));
}
static void end_barrier(void)
{
    assert_int_equal(barrier.count, 0);
    assert_int_equal(barrier.state, ASYNC__FILLING);
    assert_false(async_condition_locked(&barrier.changed));
}
static void a_barrier_counts_those_who_are_there(void **s)
{
    story of = { begin_barrier, still_barrier, end_barrier, 1 };
    (void)s;
    walk(of);
}

/* A third comes and sends the others away. */
struct resets { ASYNC_FRAME; int abort; };
static ASYNC(resets)
{
    ASYNC_BEGIN(resets);
    if (choose(2)) ASYNC_SUSPEND;
    if (self->abort) {
        AWAIT(async_barrier_abort, &barrier);
        if (choose(2)) ASYNC_SUSPEND;
    }
    AWAIT(async_barrier_reset, &barrier);
    ASYNC_END;
}
struct may_be_sent_away { ASYNC_FRAME; };
static ASYNC(may_be_sent_away)
{
    ASYNC_BEGIN(may_be_sent_away);
    ASYNC_TRY {
        AWAIT(meets);
    } ASYNC_EXCEPT(ASYNC_EBROKENBARRIER) {}
    ASYNC_END_TRY
    ASYNC_END;
}
static void begin_reset(void)
{
    async_barrier_init(&barrier, 2);
    act(0, CO(may_be_sent_away));
    act(1, CO(may_be_sent_away));
    act(2, CO(resets, choose(2)));
}
static void still_reset(void)
{
    int i, left = 0;
    for (i = 0; i < ACTORS; i++) left += !ended(i);
    assert_int_equal(barrier.count, left);
    assert_in_range(left, 0, 1);
    assert_false(async_condition_locked(&barrier.changed));
}
static void end_reset(void)
{
    assert_int_equal(barrier.count, 0);
    assert_false(async_condition_locked(&barrier.changed));
}
static void a_barrier_is_empty_when_it_has_been_reset(void **s)
{
    story of = { begin_reset, still_reset, end_reset, 1 };
    (void)s;
    walk(of);
}

/* --- queue --------------------------------------------------------------- */

typedef ASYNC_QUEUE(int, 1) int_queue;
static int_queue queue;
static int by_coroutine, put, got;

struct puts_items { ASYNC_FRAME; int times, n; };
static ASYNC(puts_items)
{
    ASYNC_BEGIN(puts_items);
    while (self->times-- > 0) {
        if (choose(2)) ASYNC_SUSPEND;
        if (by_coroutine)
            AWAIT(ASYNC_QUEUE_PUT(&queue, &self->n));
        else
            AWAIT_QUEUE_PUT(&queue, self->n);
        put++;
    }
    ASYNC_END;
}
struct gets_items { ASYNC_FRAME; int times, n; };
static ASYNC(gets_items)
{
    ASYNC_BEGIN(gets_items);
    while (self->times-- > 0) {
        if (choose(2)) ASYNC_SUSPEND;
        if (by_coroutine)
            AWAIT(ASYNC_QUEUE_GET(&queue, &self->n));
        else
            AWAIT_QUEUE_GET_INTO(self->n, &queue);
        got++;
    }
    ASYNC_END;
}

static void begin_queue(void)
{
    ASYNC_QUEUE_INIT(&queue);
    by_coroutine = choose(2);
    put = got = 0;
}
/* Nobody waits for what is there. */
static void still_queue(int getters)
{
    int i;
    assert_int_equal(put, got + (int)async_queue_qsize(&queue.queue));
    for (i = 0; i < ACTORS; i++)
        if (!ended(i))
            assert_true(i < getters ? async_queue_empty(&queue.queue)
                                    : async_queue_full(&queue.queue));
}
static void end_queue(void)
{
    assert_int_equal(put, got + (int)async_queue_qsize(&queue.queue));
    assert_true(async__list_empty(&queue.queue.getters));
    assert_true(async__list_empty(&queue.queue.putters));
    assert_true(async__list_empty(&queue.queue.joiners));
}

static void begin_getters(void)
{
    begin_queue();
    act(0, CO(gets_items, 1));
    act(1, CO(gets_items, 1));
    act(2, CO(puts_items, 2));
}
static void still_getters(void)
{
    still_queue(2);
}
static void a_queue_loses_no_item_to_a_getter(void **s)
{
    story of = { begin_getters, still_getters, end_queue, 2 };
    (void)s;
    walk(of);
}

static void begin_putters(void)
{
    begin_queue();
    if (choose(2)) put += ASYNC_QUEUE_PUT_NOWAIT(&queue, 1) == 0;
    act(0, CO(gets_items, 2));
    act(1, CO(puts_items, 1));
    act(2, CO(puts_items, 1));
}
static void still_putters(void)
{
    still_queue(1);
}
static void a_queue_loses_no_item_of_a_putter(void **s)
{
    story of = { begin_putters, still_putters, end_queue, 2 };
    (void)s;
    walk(of);
}

struct joins { ASYNC_FRAME; };
static ASYNC(joins)
{
    ASYNC_BEGIN(joins);
    if (choose(2)) ASYNC_SUSPEND;
    AWAIT(async_queue_join, &queue.queue);
    ASYNC_END;
}
struct works { ASYNC_FRAME; int n; };
static ASYNC(works)
{
    ASYNC_BEGIN(works);
    while (!async_queue_empty(&queue.queue)) {
        AWAIT_QUEUE_GET_INTO(self->n, &queue);
        ASYNC_TRY {
            if (choose(2)) ASYNC_SUSPEND;
            if (self->n < 2 && choose(2))
                ASYNC_QUEUE_PUT_NOWAIT(&queue, self->n + 1);
        } ASYNC_FINALLY {
            assert_int_equal(async_queue_task_done(&queue.queue), 0);
        } ASYNC_END_TRY
    }
    ASYNC_END;
}
static void begin_join(void)
{
    begin_queue();
    ASYNC_QUEUE_PUT_NOWAIT(&queue, 1);
    act(0, CO(joins));
    act(1, CO(joins));
    act(2, CO(works));
}
static void still_join(void)
{
    assert_true(ended(2));
    assert_int_equal(queue.queue.unfinished, async_queue_qsize(&queue.queue));
    if (queue.queue.unfinished == 0) all_have_ended();
}
static void end_join(void)
{
    assert_true(async__list_empty(&queue.queue.joiners));
}
static void who_joins_a_queue_waits_for_work_alone(void **s)
{
    story of = { begin_join, still_join, end_join, 2 };
    (void)s;
    walk(of);
}

struct shuts_down { ASYNC_FRAME; int immediate; };
static ASYNC(shuts_down)
{
    ASYNC_BEGIN(shuts_down);
    if (choose(2)) ASYNC_SUSPEND;
    async_queue_shutdown(&queue.queue, self->immediate);
    if (self->immediate) put = got;
    ASYNC_END;
}
struct until_shut_down { ASYNC_FRAME; int putting; };
static ASYNC(until_shut_down)
{
    ASYNC_BEGIN(until_shut_down);
    ASYNC_TRY {
        if (self->putting)
            AWAIT(puts_items, 3);
        else
            AWAIT(gets_items, 3);
    } ASYNC_EXCEPT(ASYNC_EQUEUESHUTDOWN) {}
    ASYNC_END_TRY
    ASYNC_END;
}
static void begin_shutdown(void)
{
    begin_queue();
    act(0, CO(until_shut_down, 0));
    act(1, CO(until_shut_down, 1));
    act(2, CO(shuts_down, choose(2)));
}
static void still_shutdown(void)
{
    if (queue.queue.shut_down) all_have_ended();
    assert_int_equal(put, got + (int)async_queue_qsize(&queue.queue));
}
static void a_queue_that_is_shut_down_keeps_nobody(void **s)
{
    story of = { begin_shutdown, still_shutdown, end_queue, 1 };
    (void)s;
    walk(of);
}

/* --- limits in time ------------------------------------------------------ */

/* Has the lock until 1 s, when some who wait for it have no more time. */
struct holds_a_second { ASYNC_FRAME; };
static ASYNC(holds_a_second)
{
    ASYNC_BEGIN(holds_a_second);
    ASYNC_WITH(async_lock, &lock) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_END_WITH
    ASYNC_END;
}
struct locks_in_time { ASYNC_FRAME; int i, seconds; async_timeout limit; };
static ASYNC(locks_in_time)
{
    ASYNC_BEGIN(locks_in_time);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(self->seconds)) {
            AWAIT(locks);
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {}
    ASYNC_FINALLY {
        assert_requests(self->i);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void begin_timeout(void)
{
    async_lock_init(&lock);
    permits = 1;
    act(0, CO(holds_a_second));
    act(1, CO(locks_in_time, 1, choose(3)));
    act(2, CO(locks_in_time, 2, choose(3)));
}
static void a_lock_is_not_lost_in_a_timeout_block(void **s)
{
    story of = { begin_timeout, still_lock, NULL, 1 };
    (void)s;
    walk(of);
}

struct locks_by_wait_for { ASYNC_FRAME; int i, seconds; };
static ASYNC(locks_by_wait_for)
{
    ASYNC_BEGIN(locks_by_wait_for);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(self->seconds), async_lock_acquire,
                       &lock);
        ASYNC_TRY {
            AWAIT(holds);
        } ASYNC_FINALLY {
            async_lock_release(&lock);
        } ASYNC_END_TRY
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {}
    ASYNC_FINALLY {
        assert_requests(self->i);
    } ASYNC_END_TRY
    ASYNC_END;
}
static void begin_wait_for(void)
{
    async_lock_init(&lock);
    permits = 1;
    act(0, CO(holds_a_second));
    act(1, CO(locks_by_wait_for, 1, choose(3)));
    act(2, CO(locks_by_wait_for, 2, choose(3)));
}
static void a_lock_is_not_lost_in_wait_for(void **s)
{
    story of = { begin_wait_for, still_lock, NULL, 1 };
    (void)s;
    walk(of);
}

struct gets_in_time { ASYNC_FRAME; int i, seconds, n; };
static ASYNC(gets_in_time)
{
    ASYNC_BEGIN(gets_in_time);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(self->seconds),
                       ASYNC_QUEUE_GET(&queue, &self->n));
        got++;
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {}
    ASYNC_FINALLY {
        assert_requests(self->i);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct puts_each_second { ASYNC_FRAME; int i; };
static ASYNC(puts_each_second)
{
    ASYNC_BEGIN(puts_each_second);
    for (self->i = 0; self->i < 2; self->i++) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        if (choose(2)) ASYNC_SUSPEND;
        if (ASYNC_QUEUE_PUT_NOWAIT(&queue, 1) == 0) put++;
    }
    ASYNC_END;
}
static void begin_items_in_time(void)
{
    begin_queue();
    act(0, CO(gets_in_time, 0, choose(3)));
    act(1, CO(gets_in_time, 1, choose(3)));
    act(2, CO(puts_each_second));
}
static void an_item_is_not_lost_in_wait_for(void **s)
{
    story of = { begin_items_in_time, still_getters, end_queue, 1 };
    (void)s;
    walk(of);
}

/* --- task group ---------------------------------------------------------- */

static int running, failing;

/* Ends in some steps, with an error if that is its part, and cleans up. */
struct member { ASYNC_FRAME; int fails; };
static ASYNC(member)
{
    ASYNC_BEGIN(member);
    running++;
    ASYNC_TRY {
        if (choose(2)) ASYNC_SUSPEND;
        if (self->fails) ASYNC_RAISE(EKEY);
    } ASYNC_FINALLY {
        ASYNC_TRY {
            if (choose(2)) ASYNC_SUSPEND; /* may be cancelled again */
        } ASYNC_FINALLY {
            running--;
        } ASYNC_END_TRY
    } ASYNC_END_TRY
    ASYNC_END;
}

struct has_group { ASYNC_FRAME; async_task_group group; };
static ASYNC(has_group)
{
    ASYNC_BEGIN(has_group);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            actors[1] = async_task_retain(
                async_group_spawn(&self->group, CO(member, failing == 1)));
            actors[2] = async_task_retain(
                async_group_spawn(&self->group, CO(member, 0)));
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        assert_int_equal(failing, 1);
        assert_int_equal(async_group_error_count(&self->group), 1);
        assert_int_equal(async_group_error(&self->group, 0), EKEY);
    } ASYNC_FINALLY {
        assert_int_equal(running, 0);
        assert_true(async_task_done(actors[1]));
        assert_true(async_task_done(actors[2]));
        assert_requests(0);
    } ASYNC_END_TRY
    /* A cancellation that met an error of the group's arrives here. */
    ASYNC_SUSPEND;
    assert_int_equal(cancelled[0], 0);
    ASYNC_END;
}

static void begin_group(void)
{
    running = 0;
    failing = choose(2);
    act(0, CO(has_group));
    actors[1] = actors[2] = actors[0];
    way.left = 0; /* until there are members to cancel, */
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
    way.left = 2; /* which have not yet begun */
}
static void still_group(void)
{
    assert_true(ended(0));
    assert_true(async_task_done(actors[1]));
    assert_true(async_task_done(actors[2]));
}
static void a_group_outlives_its_members_and_keeps_cancellations(void **s)
{
    story of = { begin_group, still_group, NULL, 2 };
    (void)s;
    walk(of);
}

/* --- gather -------------------------------------------------------------- */

struct gathers { ASYNC_FRAME; async_gathering all; int error, whole; };
static ASYNC(gathers)
{
    ASYNC_BEGIN(gathers);
    if (choose(2)) ASYNC_SUSPEND;
    if (self->whole) async_gather_return_exceptions(&self->all);
    async_gather_add(&self->all, async_task_object(actors[1]));
    async_gather_add(&self->all, async_task_object(actors[2]));
    ASYNC_TRY {
        AWAIT(async_gather, &self->all);
        /* Returning exceptions, each can be asked. */
        if (self->whole && failing && !cancelled[1])
            assert_int_equal(async_gather_error(&self->all, 0), EKEY);
        if (!self->whole) assert_int_equal(failing, 0);
    } ASYNC_EXCEPT(EKEY) {
        assert_true(failing && !self->whole);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        assert_true(cancelled[0] + cancelled[1] + cancelled[2] > 0);
        if (self->whole) assert_true(cancelled[0] > 0);
    } ASYNC_FINALLY {
        if (self->whole && !cancelled[0]) assert_int_equal(running, 0);
        async_gather_clear(&self->all);
        assert_requests(0);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void begin_gather(void)
{
    running = 0;
    failing = choose(2);
    act(0, CO(gathers, .whole = choose(2)));
    act(1, CO(member, failing));
    act(2, CO(member, 0));
}
static void still_gather(void)
{
    int i;
    for (i = 0; i < ACTORS; i++) assert_true(async_task_done(actors[i]));
    assert_int_equal(running, 0);
}
static void what_is_gathered_ends_and_is_let_go(void **s)
{
    story of = { begin_gather, still_gather, NULL, 1 };
    (void)s;
    walk(of);
}

/* --- shield -------------------------------------------------------------- */

struct shields { ASYNC_FRAME; int i; };
static ASYNC(shields)
{
    ASYNC_BEGIN(shields);
    if (choose(2)) ASYNC_SUSPEND;
    ASYNC_TRY {
        AWAIT(async_shield, async_task_object(actors[1]));
        assert_int_equal(async_task_result(actors[1]), 0);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        assert_true(cancelled[self->i] || cancelled[1]);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void begin_shield(void)
{
    running = 0;
    act(0, CO(shields, 0));
    act(1, CO(member, 0));
    act(2, CO(shields, 2));
}
static void still_shield(void)
{
    all_have_ended(); /* the one in the middle only cancelled itself */
    assert_int_equal(running, 0);
}
static void what_is_shielded_is_not_cancelled_by_others(void **s)
{
    story of = { begin_shield, still_shield, NULL, 1 };
    (void)s;
    walk(of);
}

/* --- wait ---------------------------------------------------------------- */

struct waits { ASYNC_FRAME; async_waited items[2]; int first; size_t n; };
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    if (choose(2)) ASYNC_SUSPEND;
    self->items[0].future = &actors[1]->future;
    self->items[1].future = &actors[2]->future;
    AWAIT_INTO(self->n, async_wait, self->items, 2, ASYNC_FOREVER,
               self->first ? ASYNC_FIRST_COMPLETED : ASYNC_ALL_COMPLETED);
    assert_in_range(self->n, self->first ? 1 : 2, 2);
    assert_int_equal(self->n, self->items[0].done + self->items[1].done);
    ASYNC_END;
}

static void begin_wait(void)
{
    running = 0;
    act(0, CO(waits, .first = choose(2)));
    act(1, CO(member, 0));
    act(2, CO(member, 0));
}
static void still_wait(void)
{
    all_have_ended();
    assert_int_equal(running, 0);
    assert_true(async__list_empty(&actors[1]->future.waiters) ||
                async_task_done(actors[1]));
}
static void who_waits_leaves_what_it_waits_for_alone(void **s)
{
    story of = { begin_wait, still_wait, NULL, 1 };
    (void)s;
    walk(of);
}

struct takes_as_completed {
    ASYNC_FRAME;
    async_waited items[2];
    struct async_as_completed ends;
    async_future *next;
    int n, enough;
};
static ASYNC(takes_as_completed)
{
    ASYNC_BEGIN(takes_as_completed);
    if (choose(2)) ASYNC_SUSPEND;
    self->items[0].future = &actors[1]->future;
    self->items[1].future = &actors[2]->future;
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 2, ASYNC_FOREVER);
    ASYNC_FOR(self->next, &self->ends) {
        assert_true(async_future_done(self->next));
        if (++self->n == self->enough) break;
        if (choose(2)) ASYNC_SUSPEND;
    } ASYNC_END_FOR
    assert_int_equal(self->n, self->enough);
    ASYNC_END;
}
static void begin_as_completed(void)
{
    running = 0;
    act(0, CO(takes_as_completed, .enough = 1 + choose(2)));
    act(1, CO(member, 0));
    act(2, CO(member, 0));
}
static void as_completed_leaves_what_it_waits_for_alone(void **s)
{
    story of = { begin_as_completed, still_wait, NULL, 1 };
    (void)s;
    walk(of);
}

UNIT_MAIN(TEST(a_lock_goes_to_one_after_the_other),
          TEST(who_waited_when_an_event_was_set_goes_on),
          TEST(a_condition_passes_on_notification_and_lock),
          TEST(a_notification_is_not_lost_with_who_got_it),
          TEST(a_semaphore_has_all_its_permits_in_the_end),
          TEST(a_bounded_semaphore_has_all_its_permits_and_no_more),
          TEST(a_barrier_counts_those_who_are_there),
          TEST(a_barrier_is_empty_when_it_has_been_reset),
          TEST(a_queue_loses_no_item_to_a_getter),
          TEST(a_queue_loses_no_item_of_a_putter),
          TEST(who_joins_a_queue_waits_for_work_alone),
          TEST(a_queue_that_is_shut_down_keeps_nobody),
          TEST(a_lock_is_not_lost_in_a_timeout_block),
          TEST(a_lock_is_not_lost_in_wait_for),
          TEST(an_item_is_not_lost_in_wait_for),
          TEST(a_group_outlives_its_members_and_keeps_cancellations),
          TEST(what_is_gathered_ends_and_is_let_go),
          TEST(what_is_shielded_is_not_cancelled_by_others),
          TEST(who_waits_leaves_what_it_waits_for_alone),
          TEST(as_completed_leaves_what_it_waits_for_alone))
