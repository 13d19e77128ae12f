/* Wrong use gives the error that asyncio's counterpart gives, in its words, and
 * loses nothing: what was used wrongly works on. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/sync.h"

#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

/* The code, and what str() of Python's exception says (but for the parts that
 * name the object). */
#define assert_refused(result, code, text)                                    \
    do {                                                                      \
        int refused_as = (result);                                            \
        assert_string_equal(async_error_name(refused_as), #code);             \
        assert_string_equal(async_strerror(refused_as), text);                \
    } while (0)

/* A test is a coroutine, run to its end on a loop that must then be empty. */
#define TEST_IN_TASK(name)                                                    \
    static void name(void **s)                                                \
    {                                                                         \
        (void)s;                                                              \
        assert_int_equal(RUN(in_##name), 0);                                  \
    }

struct sleeps { ASYNC_FRAME; int seconds; };
static ASYNC(sleeps)
{
    ASYNC_BEGIN(sleeps);
    AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    ASYNC_END;
}

struct one { ASYNC_RETURNS(int); };
static ASYNC(one)
{
    ASYNC_BEGIN(one);
    ASYNC_RETURN(1);
    ASYNC_END;
}

/* Another loop than the one of the test. */
static async_virtual_loop other;

/* --- locks --------------------------------------------------------------- */

struct takes_lock { ASYNC_FRAME; async_lock *lock; };
static ASYNC(takes_lock)
{
    ASYNC_BEGIN(takes_lock);
    ASYNC_WITH(async_lock, self->lock) {
        say("taken@%d", seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_END_WITH
    ASYNC_END;
}

struct in_releasing_a_lock_that_nobody_holds { ASYNC_FRAME; async_lock lock; };
static ASYNC(in_releasing_a_lock_that_nobody_holds)
{
    ASYNC_BEGIN(in_releasing_a_lock_that_nobody_holds);
    assert_refused(async_lock_release(&self->lock), ASYNC_ENOTACQUIRED,
                   "Lock is not acquired.");
    AWAIT(async_lock_acquire, &self->lock);
    assert_int_equal(async_lock_release(&self->lock), 0);
    assert_refused(async_lock_release(&self->lock), ASYNC_ENOTACQUIRED,
                   "Lock is not acquired.");
    assert_false(async_lock_locked(&self->lock));
    ASYNC_END;
}
TEST_IN_TASK(releasing_a_lock_that_nobody_holds)

struct in_releasing_twice_while_the_next_has_not_yet_run {
    ASYNC_FRAME;
    async_lock lock;
    async_task *next;
};
static ASYNC(in_releasing_twice_while_the_next_has_not_yet_run)
{
    ASYNC_BEGIN(in_releasing_twice_while_the_next_has_not_yet_run);
    AWAIT(async_lock_acquire, &self->lock);
    self->next = async_create_task(CO(takes_lock, &self->lock));
    ASYNC_SUSPEND;
    assert_int_equal(async_lock_release(&self->lock), 0);
    assert_refused(async_lock_release(&self->lock), ASYNC_ENOTACQUIRED,
                   "Lock is not acquired.");
    AWAIT_JOIN(self->next);
    assert_said("taken@0");
    assert_false(async_lock_locked(&self->lock));
    ASYNC_END;
}
TEST_IN_TASK(releasing_twice_while_the_next_has_not_yet_run)

struct releases_inside { ASYNC_FRAME; async_lock *lock; };
static ASYNC(releases_inside)
{
    ASYNC_BEGIN(releases_inside);
    ASYNC_WITH(async_lock, self->lock) {
        async_lock_release(self->lock);
    } ASYNC_END_WITH
    ASYNC_END;
}
struct in_releasing_inside_a_with_what_it_releases {
    ASYNC_FRAME;
    async_lock lock;
    int error;
};
static ASYNC(in_releasing_inside_a_with_what_it_releases)
{
    ASYNC_BEGIN(in_releasing_inside_a_with_what_it_releases);
    AWAIT_CATCH(self->error, releases_inside, &self->lock);
    assert_refused(self->error, ASYNC_ENOTACQUIRED, "Lock is not acquired.");
    AWAIT(takes_lock, &self->lock);
    assert_said("taken@0");
    ASYNC_END;
}
TEST_IN_TASK(releasing_inside_a_with_what_it_releases)

/* --- conditions ---------------------------------------------------------- */

struct waits_for_change { ASYNC_FRAME; async_condition *changed; };
static ASYNC(waits_for_change)
{
    ASYNC_BEGIN(waits_for_change);
    ASYNC_WITH(async_condition, self->changed) {
        AWAIT(async_condition_wait, self->changed);
        say("changed@%d", seconds());
    } ASYNC_END_WITH
    ASYNC_END;
}

struct in_waiting_notifying_and_releasing_without_the_lock {
    ASYNC_FRAME;
    async_condition changed;
    async_task *waiter;
    int error;
};
static ASYNC(in_waiting_notifying_and_releasing_without_the_lock)
{
    ASYNC_BEGIN(in_waiting_notifying_and_releasing_without_the_lock);
    self->waiter = async_create_task(CO(waits_for_change, &self->changed));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    AWAIT_CATCH(self->error, async_condition_wait, &self->changed);
    assert_refused(self->error, ASYNC_EWAITUNLOCKED,
                   "cannot wait on un-acquired lock");
    assert_refused(async_condition_notify(&self->changed, 1),
                   ASYNC_ENOTIFYUNLOCKED, "cannot notify on un-acquired lock");
    assert_refused(async_condition_notify_all(&self->changed),
                   ASYNC_ENOTIFYUNLOCKED, "cannot notify on un-acquired lock");
    assert_refused(async_condition_release(&self->changed), ASYNC_ENOTACQUIRED,
                   "Lock is not acquired.");
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    assert_said(""); /* it was not woken by that, but is by this */
    ASYNC_WITH(async_condition, &self->changed) {
        async_condition_notify(&self->changed, 1);
    } ASYNC_END_WITH
    AWAIT_JOIN(self->waiter);
    assert_said("changed@2");
    ASYNC_END;
}
TEST_IN_TASK(waiting_notifying_and_releasing_without_the_lock)

/* --- semaphores ---------------------------------------------------------- */

static void a_semaphore_with_less_than_no_permit(void **s)
{
    async_semaphore semaphore;
    async_bounded_semaphore bounded;
    (void)s;
    assert_refused(async_semaphore_init(&semaphore, -1), ASYNC_ESEMAPHOREVALUE,
                   "Semaphore initial value must be >= 0");
    assert_true(async_semaphore_locked(&semaphore));
    assert_int_equal(async_semaphore_release(&semaphore), 0);
    assert_false(async_semaphore_locked(&semaphore));
    assert_refused(async_bounded_semaphore_init(&bounded, -1),
                   ASYNC_ESEMAPHOREVALUE,
                   "Semaphore initial value must be >= 0");
    assert_true(async_bounded_semaphore_locked(&bounded));
}

struct in_releasing_a_bounded_semaphore_too_often {
    ASYNC_FRAME;
    async_bounded_semaphore two;
};
static ASYNC(in_releasing_a_bounded_semaphore_too_often)
{
    ASYNC_BEGIN(in_releasing_a_bounded_semaphore_too_often);
    assert_int_equal(async_bounded_semaphore_init(&self->two, 2), 0);
    assert_refused(async_bounded_semaphore_release(&self->two),
                   ASYNC_EOVERRELEASED,
                   "BoundedSemaphore released too many times");
    AWAIT(async_bounded_semaphore_acquire, &self->two);
    assert_int_equal(async_bounded_semaphore_release(&self->two), 0);
    assert_refused(async_bounded_semaphore_release(&self->two),
                   ASYNC_EOVERRELEASED,
                   "BoundedSemaphore released too many times");
    /* There are two permits still, and not one more. */
    AWAIT(async_bounded_semaphore_acquire, &self->two);
    assert_false(async_bounded_semaphore_locked(&self->two));
    AWAIT(async_bounded_semaphore_acquire, &self->two);
    assert_true(async_bounded_semaphore_locked(&self->two));
    ASYNC_END;
}
TEST_IN_TASK(releasing_a_bounded_semaphore_too_often)

/* --- barriers ------------------------------------------------------------ */

struct in_a_barrier_for_nobody { ASYNC_FRAME; async_barrier barrier; int i; };
static ASYNC(in_a_barrier_for_nobody)
{
    ASYNC_BEGIN(in_a_barrier_for_nobody);
    assert_refused(async_barrier_init(&self->barrier, 0), ASYNC_EPARTIES,
                   "parties must be >= 1");
    assert_refused(async_barrier_init(&self->barrier, -1), ASYNC_EPARTIES,
                   "parties must be >= 1");
    AWAIT_INTO(self->i, async_barrier_wait, &self->barrier); /* for one */
    assert_int_equal(self->i, 0);
    ASYNC_END;
}
TEST_IN_TASK(a_barrier_for_nobody)

struct in_waiting_at_a_broken_barrier {
    ASYNC_FRAME;
    async_barrier barrier;
    int error;
};
static ASYNC(in_waiting_at_a_broken_barrier)
{
    ASYNC_BEGIN(in_waiting_at_a_broken_barrier);
    async_barrier_init(&self->barrier, 1);
    AWAIT(async_barrier_abort, &self->barrier);
    AWAIT_CATCH(self->error, async_barrier_wait, &self->barrier);
    assert_refused(self->error, ASYNC_EBROKENBARRIER,
                   "Abort or reset of barrier");
    AWAIT(async_barrier_reset, &self->barrier);
    AWAIT(async_barrier_wait, &self->barrier);
    ASYNC_END;
}
TEST_IN_TASK(waiting_at_a_broken_barrier)

/* --- queues -------------------------------------------------------------- */

struct in_saying_too_often_that_work_is_done {
    ASYNC_FRAME;
    ASYNC_QUEUE(int, 2) queue;
    int n;
};
static ASYNC(in_saying_too_often_that_work_is_done)
{
    ASYNC_BEGIN(in_saying_too_often_that_work_is_done);
    ASYNC_QUEUE_INIT(&self->queue);
    assert_refused(async_queue_task_done(&self->queue.queue), ASYNC_ETASKDONE,
                   "task_done() called too many times");
    AWAIT_QUEUE_PUT(&self->queue, 7);
    AWAIT_QUEUE_GET_INTO(self->n, &self->queue);
    assert_int_equal(async_queue_task_done(&self->queue.queue), 0);
    assert_refused(async_queue_task_done(&self->queue.queue), ASYNC_ETASKDONE,
                   "task_done() called too many times");
    AWAIT(async_queue_join, &self->queue.queue);
    /* What comes now is work again. */
    AWAIT_QUEUE_PUT(&self->queue, 8);
    assert_int_equal(async_queue_task_done(&self->queue.queue), 0);
    AWAIT(async_queue_join, &self->queue.queue);
    ASYNC_END;
}
TEST_IN_TASK(saying_too_often_that_work_is_done)

/* These exceptions of asyncio's say nothing, and have their name. */
struct in_not_waiting_for_a_full_or_an_empty_queue {
    ASYNC_FRAME;
    ASYNC_QUEUE(int, 1) queue;
    int n;
};
static ASYNC(in_not_waiting_for_a_full_or_an_empty_queue)
{
    ASYNC_BEGIN(in_not_waiting_for_a_full_or_an_empty_queue);
    ASYNC_QUEUE_INIT(&self->queue);
    self->n = 5;
    assert_refused(ASYNC_QUEUE_GET_NOWAIT(&self->queue, &self->n),
                   ASYNC_EQUEUEEMPTY, "QueueEmpty");
    assert_int_equal(self->n, 5);
    assert_int_equal(ASYNC_QUEUE_PUT_NOWAIT(&self->queue, 6), 0);
    assert_refused(ASYNC_QUEUE_PUT_NOWAIT(&self->queue, 7), ASYNC_EQUEUEFULL,
                   "QueueFull");
    assert_int_equal(async_queue_qsize(&self->queue.queue), 1);
    AWAIT_QUEUE_GET_INTO(self->n, &self->queue);
    assert_int_equal(self->n, 6);
    ASYNC_END;
}
TEST_IN_TASK(not_waiting_for_a_full_or_an_empty_queue)

struct puts_one { ASYNC_FRAME; async_queue *queue; int n; };
static ASYNC(puts_one)
{
    ASYNC_BEGIN(puts_one);
    AWAIT(async_queue_put, self->queue, &self->n);
    ASYNC_END;
}
struct in_putting_into_a_queue_that_is_shut_down {
    ASYNC_FRAME;
    ASYNC_QUEUE(int, 2) queue;
    int n, error;
};
static ASYNC(in_putting_into_a_queue_that_is_shut_down)
{
    ASYNC_BEGIN(in_putting_into_a_queue_that_is_shut_down);
    ASYNC_QUEUE_INIT(&self->queue);
    AWAIT_QUEUE_PUT(&self->queue, 7);
    async_queue_shutdown(&self->queue.queue, 0);
    assert_refused(ASYNC_QUEUE_PUT_NOWAIT(&self->queue, 8),
                   ASYNC_EQUEUESHUTDOWN, "QueueShutDown");
    AWAIT_CATCH(self->error, puts_one, &self->queue.queue, 8);
    assert_refused(self->error, ASYNC_EQUEUESHUTDOWN, "QueueShutDown");
    /* What was in it is there. */
    AWAIT_QUEUE_GET_INTO(self->n, &self->queue);
    assert_int_equal(self->n, 7);
    assert_refused(ASYNC_QUEUE_GET_NOWAIT(&self->queue, &self->n),
                   ASYNC_EQUEUESHUTDOWN, "QueueShutDown");
    ASYNC_END;
}
TEST_IN_TASK(putting_into_a_queue_that_is_shut_down)

/* --- two loops ----------------------------------------------------------- */

/* Each kind of wait for something that both loops know. */
enum kind {
    LOCK,
    EVENT,
    CONDITION,
    SEMAPHORE,
    BOUNDED,
    BARRIER,
    GET,
    PUT,
    JOIN
};
static async_lock shared_lock;
static async_event shared_event;
static async_condition shared_condition;
static async_semaphore shared_semaphore;
static async_bounded_semaphore shared_bounded;
static async_barrier shared_barrier;
static ASYNC_QUEUE(int, 1) shared_queue;

/* Makes whoever wants it wait. */
static void make_unavailable(enum kind kind)
{
    async_lock_init(&shared_lock);
    shared_lock.held = kind == LOCK;
    async_event_init(&shared_event);
    async_condition_init(&shared_condition, NULL);
    async_semaphore_init(&shared_semaphore, 0);
    async_bounded_semaphore_init(&shared_bounded, 1);
    shared_bounded.semaphore.value = 0;
    async_barrier_init(&shared_barrier, 3);
    ASYNC_QUEUE_INIT(&shared_queue);
    if (kind == PUT || kind == JOIN) ASYNC_QUEUE_PUT_NOWAIT(&shared_queue, 1);
}

struct waits_for { ASYNC_FRAME; enum kind kind; const char *name; int n; };
static ASYNC(waits_for)
{
    ASYNC_BEGIN(waits_for);
    if (self->kind == LOCK) {
        AWAIT(async_lock_acquire, &shared_lock);
        async_lock_release(&shared_lock);
    } else if (self->kind == EVENT) {
        AWAIT(async_event_wait, &shared_event);
    } else if (self->kind == CONDITION) {
        ASYNC_WITH(async_condition, &shared_condition) {
            AWAIT(async_condition_wait, &shared_condition);
        } ASYNC_END_WITH
    } else if (self->kind == SEMAPHORE) {
        AWAIT(async_semaphore_acquire, &shared_semaphore);
        async_semaphore_release(&shared_semaphore);
    } else if (self->kind == BOUNDED) {
        AWAIT(async_bounded_semaphore_acquire, &shared_bounded);
        async_bounded_semaphore_release(&shared_bounded);
    } else if (self->kind == BARRIER) {
        AWAIT(async_barrier_wait, &shared_barrier);
    } else if (self->kind == GET) {
        AWAIT_QUEUE_GET_INTO(self->n, &shared_queue);
    } else if (self->kind == PUT) {
        AWAIT_QUEUE_PUT(&shared_queue, 2);
    } else {
        AWAIT(async_queue_join, &shared_queue.queue);
    }
    say("%s", self->name);
    ASYNC_END;
}

/* Lets one go on who waits. */
struct lets_go { ASYNC_FRAME; enum kind kind; async_task *third; int n; };
static ASYNC(lets_go)
{
    ASYNC_BEGIN(lets_go);
    if (self->kind == CONDITION) {
        ASYNC_WITH(async_condition, &shared_condition) {
            async_condition_notify(&shared_condition, 1);
        } ASYNC_END_WITH
    } else if (self->kind == BARRIER) {
        self->third =
            async_create_task(CO(async_barrier_wait, &shared_barrier));
        AWAIT(async_barrier_wait, &shared_barrier);
        AWAIT_JOIN(self->third);
    }
    if (self->kind == LOCK) async_lock_release(&shared_lock);
    if (self->kind == EVENT) async_event_set(&shared_event);
    if (self->kind == SEMAPHORE) async_semaphore_release(&shared_semaphore);
    if (self->kind == BOUNDED)
        async_bounded_semaphore_release(&shared_bounded);
    if (self->kind == GET) ASYNC_QUEUE_PUT_NOWAIT(&shared_queue, 2);
    if (self->kind == PUT) ASYNC_QUEUE_GET_NOWAIT(&shared_queue, &self->n);
    if (self->kind == JOIN) async_queue_task_done(&shared_queue.queue);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}

struct refused_elsewhere { ASYNC_FRAME; enum kind kind; int error; };
static ASYNC(refused_elsewhere)
{
    ASYNC_BEGIN(refused_elsewhere);
    AWAIT_CATCH(self->error, waits_for, self->kind, "never");
    assert_refused(self->error, ASYNC_EBOUND,
                   "is bound to a different event loop");
    ASYNC_END;
}

static void waiting_for(enum kind kind)
{
    async_task *first;
    make_unavailable(kind);
    async_virtual_loop_init(&other, NULL);
    first = async_loop_create_task(&other.base, CO(waits_for, kind, "first"));
    assert_int_equal(async_loop_run_forever(&other.base), ASYNC_EDEADLOCK);
    assert_int_equal(RUN(refused_elsewhere, kind), 0);
    assert_said(""); /* the one who waits does so still, and gets it: */
    assert_int_equal(
        async_loop_run_until_complete(&other.base, CO(lets_go, kind)), 0);
    assert_said("first");
    async_task_release(first);
    assert_int_equal(async_loop_count_tasks(&other.base), 0);
    async_loop_close(&other.base);
}

static void waiting_for_a_lock_that_another_loop_waits_for(void **s)
{
    (void)s;
    waiting_for(LOCK);
}
static void waiting_for_an_event_that_another_loop_waits_for(void **s)
{
    (void)s;
    waiting_for(EVENT);
}
static void waiting_for_a_condition_that_another_loop_waits_for(void **s)
{
    (void)s;
    waiting_for(CONDITION);
    assert_false(async_condition_locked(&shared_condition));
}
static void waiting_for_a_permit_that_another_loop_waits_for(void **s)
{
    (void)s;
    waiting_for(SEMAPHORE);
    waiting_for(BOUNDED);
}
static void waiting_at_a_barrier_where_another_loop_waits(void **s)
{
    (void)s;
    waiting_for(BARRIER);
}
static void waiting_in_a_queue_where_another_loop_waits(void **s)
{
    (void)s;
    waiting_for(GET);
    waiting_for(PUT);
    waiting_for(JOIN);
}

struct two_take_it { ASYNC_FRAME; async_gathering both; };
static ASYNC(two_take_it)
{
    ASYNC_BEGIN(two_take_it);
    AWAIT_GATHER(&self->both, CO(takes_lock, &shared_lock),
                 CO(takes_lock, &shared_lock));
    async_gather_clear(&self->both);
    ASYNC_END;
}

static void a_lock_may_be_used_by_one_loop_after_another(void **s)
{
    (void)s;
    async_lock_init(&shared_lock);
    assert_int_equal(RUN(two_take_it), 0);
    assert_int_equal(RUN(two_take_it), 0);
    assert_said("taken@0 taken@1 taken@0 taken@1");
}

/* --- futures and tasks --------------------------------------------------- */

typedef ASYNC_FUTURE(int) int_future;

struct in_asking_a_pending_future_for_its_result {
    ASYNC_FRAME;
    int_future f;
};
static ASYNC(in_asking_a_pending_future_for_its_result)
{
    ASYNC_BEGIN(in_asking_a_pending_future_for_its_result);
    async_future_init(&self->f.future, async_loop_of(co));
    assert_refused(async_future_result(&self->f.future), ASYNC_ENOTREADY,
                   "Result is not set.");
    ASYNC_SET_RESULT(&self->f, 42);
    assert_int_equal(async_future_result(&self->f.future), 0);
    assert_int_equal(ASYNC_FUTURE_VALUE(&self->f), 42);
    ASYNC_END;
}
TEST_IN_TASK(asking_a_pending_future_for_its_result)

struct in_finishing_a_future_twice { ASYNC_FRAME; int_future f; int n; };
static ASYNC(in_finishing_a_future_twice)
{
    ASYNC_BEGIN(in_finishing_a_future_twice);
    async_future_init(&self->f.future, async_loop_of(co));
    ASYNC_SET_RESULT(&self->f, 1);
    assert_refused(ASYNC_SET_RESULT(&self->f, 2), ASYNC_EINVALSTATE,
                   "invalid state");
    assert_refused(async_future_set_exception(&self->f.future, EKEY),
                   ASYNC_EINVALSTATE, "invalid state");
    assert_int_equal(async_future_cancel(&self->f.future), 0);
    AWAIT_FUTURE_INTO(self->n, &self->f);
    assert_int_equal(self->n, 1);
    async_future_init(&self->f.future, async_loop_of(co));
    async_future_cancel(&self->f.future);
    assert_refused(ASYNC_SET_RESULT(&self->f, 2), ASYNC_EINVALSTATE,
                   "invalid state");
    assert_true(async_future_cancelled(&self->f.future));
    ASYNC_END;
}
TEST_IN_TASK(finishing_a_future_twice)

struct in_a_future_that_is_to_raise_what_ends_an_iteration {
    ASYNC_FRAME;
    int_future f;
};
static ASYNC(in_a_future_that_is_to_raise_what_ends_an_iteration)
{
    ASYNC_BEGIN(in_a_future_that_is_to_raise_what_ends_an_iteration);
    async_future_init(&self->f.future, async_loop_of(co));
    assert_refused(
        async_future_set_exception(&self->f.future, ASYNC_ESTOPITERATION),
        ASYNC_ESTOPFUTURE,
        "StopIteration interacts badly with generators and cannot be raised "
        "into a Future");
    assert_int_equal(ASYNC_SET_RESULT(&self->f, 42), 0);
    ASYNC_END;
}
TEST_IN_TASK(a_future_that_is_to_raise_what_ends_an_iteration)

struct in_finishing_a_task_from_outside {
    ASYNC_FRAME;
    ASYNC_TASK_OF(one) task;
    int n;
};
static ASYNC(in_finishing_a_task_from_outside)
{
    ASYNC_BEGIN(in_finishing_a_task_from_outside);
    ASYNC_SPAWN(self->task, one);
    assert_refused(async_future_set_result(&self->task.task->future),
                   ASYNC_ETASKRESULT,
                   "Task does not support set_result operation");
    assert_refused(async_future_set_exception(&self->task.task->future, EKEY),
                   ASYNC_ETASKEXCEPTION,
                   "Task does not support set_exception operation");
    AWAIT_JOIN_INTO(self->n, self->task);
    assert_int_equal(self->n, 1);
    ASYNC_END;
}
TEST_IN_TASK(finishing_a_task_from_outside)

struct awaits_itself { ASYNC_FRAME; };
static ASYNC(awaits_itself)
{
    ASYNC_BEGIN(awaits_itself);
    AWAIT_TASK(async_current_task());
    ASYNC_END;
}
struct in_a_task_that_awaits_itself { ASYNC_FRAME; int error; };
static ASYNC(in_a_task_that_awaits_itself)
{
    ASYNC_BEGIN(in_a_task_that_awaits_itself);
    AWAIT_CATCH(self->error, awaits_itself);
    assert_refused(self->error, ASYNC_ESELFAWAIT,
                   "Task cannot await on itself");
    AWAIT(sleeps, 1);
    assert_int_equal(seconds(), 1);
    ASYNC_END;
}
TEST_IN_TASK(a_task_that_awaits_itself)

struct awaits { ASYNC_FRAME; async_future *future; };
static ASYNC(awaits)
{
    ASYNC_BEGIN(awaits);
    AWAIT_FUTURE(self->future);
    ASYNC_END;
}
struct in_awaiting_a_future_of_another_loop {
    ASYNC_FRAME;
    int_future f;
    int error;
};
static ASYNC(in_awaiting_a_future_of_another_loop)
{
    ASYNC_BEGIN(in_awaiting_a_future_of_another_loop);
    async_virtual_loop_init(&other, NULL);
    async_future_init(&self->f.future, &other.base);
    AWAIT_CATCH(self->error, awaits, &self->f.future);
    assert_refused(self->error, ASYNC_EOTHERLOOP,
                   "attached to a different loop");
    /* Its own loop may still finish it, and then anybody may take it. */
    ASYNC_SET_RESULT(&self->f, 1);
    AWAIT_CATCH(self->error, awaits, &self->f.future);
    assert_int_equal(self->error, 0);
    async_loop_close(&other.base);
    ASYNC_END;
}
TEST_IN_TASK(awaiting_a_future_of_another_loop)

/* --- loops --------------------------------------------------------------- */

struct in_running_a_loop_inside_a_loop { ASYNC_FRAME; async_task *task; };
static ASYNC(in_running_a_loop_inside_a_loop)
{
    ASYNC_BEGIN(in_running_a_loop_inside_a_loop);
    async_virtual_loop_init(&other, NULL);
    self->task = async_create_task(CO(sleeps, 1));
    assert_refused(async_loop_run_forever(&loop.base), ASYNC_ELOOPRUNNING,
                   "This event loop is already running");
    assert_refused(async_loop_run_forever(&other.base), ASYNC_EOTHERRUNNING,
                   "Cannot run the event loop while another loop is running");
    assert_refused(async_loop_run_until_complete(
                       &loop.base, async_task_object(self->task)),
                   ASYNC_ELOOPRUNNING, "This event loop is already running");
    assert_refused(async_run_on(&other.base, CO(one)), ASYNC_ENESTEDRUN,
                   "asyncio.run() cannot be called from a running event loop");
    assert_refused(async_loop_close(&loop.base), ASYNC_ECLOSERUNNING,
                   "Cannot close a running event loop");
    AWAIT_JOIN(self->task);
    assert_int_equal(seconds(), 1);
    async_loop_close(&other.base);
    ASYNC_END;
}
TEST_IN_TASK(running_a_loop_inside_a_loop)

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

static void using_a_loop_that_is_closed(void **s)
{
    async_handle handle;
    (void)s;
    memset(&handle, 0, sizeof handle);
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    async_loop_close(&loop.base);
    assert_refused(async_loop_run_forever(&loop.base), ASYNC_ELOOPCLOSED,
                   "Event loop is closed");
    assert_refused(async_loop_call_soon(&loop.base, &handle, nothing, NULL),
                   ASYNC_ELOOPCLOSED, "Event loop is closed");
    assert_null(async_loop_create_task(&loop.base, CO(one)));
    assert_refused(async_last_error(), ASYNC_ELOOPCLOSED,
                   "Event loop is closed");
    assert_said("[a coroutine was never awaited: ASYNC_ELOOPCLOSED]");
    assert_int_equal(async_loop_close(&loop.base), 0);
}

static int stop(void *unused)
{
    (void)unused;
    async_loop_stop(&loop.base);
    return 0;
}

static void stopping_a_loop_that_runs_until_something_is_complete(void **s)
{
    async_handle handle;
    async_task *task;
    (void)s;
    memset(&handle, 0, sizeof handle);
    async_virtual_loop_init(&loop, NULL);
    task = async_loop_create_task(&loop.base, CO(sleeps, 1));
    async_loop_call_soon(&loop.base, &handle, stop, NULL);
    assert_refused(
        async_loop_run_until_complete(&loop.base, async_task_object(task)),
        ASYNC_ELOOPSTOPPED, "Event loop stopped before Future completed.");
    /* It goes on where it stood. */
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, async_task_object(task)), 0);
    async_task_release(task);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    async_loop_close(&loop.base);
}

/* --- timeouts ------------------------------------------------------------ */

struct expires { ASYNC_FRAME; async_timeout *limit; };
static ASYNC(expires)
{
    ASYNC_BEGIN(expires);
    ASYNC_TIMEOUT(self->limit, ASYNC_SECONDS(1)) {
        ASYNC_TRY {
            AWAIT(async_sleep, ASYNC_SECONDS(5));
        } ASYNC_FINALLY {
            assert_refused(
                async_timeout_reschedule(self->limit, ASYNC_SECONDS(9)),
                ASYNC_ETIMEOUTEXPIRING,
                "Cannot change state of expiring Timeout");
        } ASYNC_END_TRY
    } ASYNC_END_TIMEOUT
    ASYNC_END;
}
struct in_moving_a_deadline_outside_its_block {
    ASYNC_FRAME;
    async_timeout limit;
    int error;
};
static ASYNC(in_moving_a_deadline_outside_its_block)
{
    ASYNC_BEGIN(in_moving_a_deadline_outside_its_block);
    assert_refused(async_timeout_reschedule(&self->limit, ASYNC_SECONDS(9)),
                   ASYNC_ETIMEOUTNEW, "Timeout has not been entered");
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {}
    ASYNC_END_TIMEOUT
    assert_refused(async_timeout_reschedule(&self->limit, ASYNC_SECONDS(9)),
                   ASYNC_ETIMEOUTOVER,
                   "Cannot change state of finished Timeout");
    AWAIT_CATCH(self->error, expires, &self->limit);
    assert_int_equal(self->error, ASYNC_ETIMEDOUT);
    assert_refused(async_timeout_reschedule(&self->limit, ASYNC_SECONDS(9)),
                   ASYNC_ETIMEOUTEXPIRED,
                   "Cannot change state of expired Timeout");
    /* The struct is good for another block. */
    AWAIT_CATCH(self->error, expires, &self->limit);
    assert_int_equal(self->error, ASYNC_ETIMEDOUT);
    assert_int_equal(seconds(), 2);
    ASYNC_END;
}
TEST_IN_TASK(moving_a_deadline_outside_its_block)

struct in_entering_a_timeout_that_is_in_use {
    ASYNC_FRAME;
    async_timeout limit;
    int error;
};
static ASYNC(in_entering_a_timeout_that_is_in_use)
{
    ASYNC_BEGIN(in_entering_a_timeout_that_is_in_use);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(3)) {
            AWAIT_CATCH(self->error, expires, &self->limit);
            assert_refused(self->error, ASYNC_ETIMEOUTUSED,
                           "Timeout has already been entered");
            AWAIT(async_sleep, ASYNC_SECONDS(9));
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        assert_int_equal(seconds(), 3); /* the deadline held */
    } ASYNC_END_TRY
    ASYNC_END;
}
TEST_IN_TASK(entering_a_timeout_that_is_in_use)

struct in_a_timeout_in_no_task { ASYNC_FRAME; async_timeout limit; };
static ASYNC(in_a_timeout_in_no_task)
{
    async driven;
    ASYNC_BEGIN(in_a_timeout_in_no_task);
    assert_int_equal(async_new(&driven, NULL, CO(expires, &self->limit)), 0);
    assert_refused(async_send(&driven), ASYNC_ETIMEOUTTASK,
                   "Timeout should be used inside a task");
    async_close(&driven);
    ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {}
    ASYNC_END_TIMEOUT
    ASYNC_END;
}
TEST_IN_TASK(a_timeout_in_no_task)

/* --- task groups --------------------------------------------------------- */

/* What spawning into it is refused with; or 0. */
static int spawn_into(async_task_group *group)
{
    return async_group_spawn(group, CO(one)) ? 0 : async_last_error();
}

struct spawns_late { ASYNC_FRAME; async_task_group *group; };
static ASYNC(spawns_late)
{
    ASYNC_BEGIN(spawns_late);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(9));
    } ASYNC_FINALLY {
        assert_refused(spawn_into(self->group), ASYNC_EGROUPABORT,
                       "TaskGroup is shutting down");
    } ASYNC_END_TRY
    ASYNC_END;
}
struct group_of_one { ASYNC_FRAME; async_task_group *group; };
static ASYNC(group_of_one)
{
    ASYNC_BEGIN(group_of_one);
    ASYNC_TASK_GROUP(self->group) {
        assert_int_equal(spawn_into(self->group), 0);
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}

struct in_spawning_into_a_group_outside_its_block {
    ASYNC_FRAME;
    async_task_group group;
};
static ASYNC(in_spawning_into_a_group_outside_its_block)
{
    ASYNC_BEGIN(in_spawning_into_a_group_outside_its_block);
    assert_refused(spawn_into(&self->group), ASYNC_EGROUPNEW,
                   "TaskGroup has not been entered");
    AWAIT(group_of_one, &self->group);
    assert_refused(spawn_into(&self->group), ASYNC_EGROUPOVER,
                   "TaskGroup is finished");
    assert_said("[a coroutine was never awaited: ASYNC_EGROUPNEW] "
                "[a coroutine was never awaited: ASYNC_EGROUPOVER]");
    ASYNC_END;
}
TEST_IN_TASK(spawning_into_a_group_outside_its_block)

struct in_spawning_into_a_group_that_is_shutting_down {
    ASYNC_FRAME;
    async_task_group group;
};
static ASYNC(in_spawning_into_a_group_that_is_shutting_down)
{
    ASYNC_BEGIN(in_spawning_into_a_group_that_is_shutting_down);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(spawns_late, &self->group));
        ASYNC_SUSPEND;
        async_group_cancel(&self->group);
        AWAIT(async_sleep, ASYNC_SECONDS(9));
    } ASYNC_END_TASK_GROUP
    assert_int_equal(seconds(), 0);
    assert_said("[a coroutine was never awaited: ASYNC_EGROUPABORT]");
    ASYNC_END;
}
TEST_IN_TASK(spawning_into_a_group_that_is_shutting_down)

struct in_entering_a_group_twice {
    ASYNC_FRAME;
    async_task_group group;
    int error;
};
static ASYNC(in_entering_a_group_twice)
{
    ASYNC_BEGIN(in_entering_a_group_twice);
    ASYNC_TASK_GROUP(&self->group) {
        AWAIT_CATCH(self->error, group_of_one, &self->group);
        assert_refused(self->error, ASYNC_EGROUPUSED,
                       "TaskGroup has already been entered");
        assert_int_equal(spawn_into(&self->group), 0); /* it goes on */
    } ASYNC_END_TASK_GROUP
    AWAIT_CATCH(self->error, group_of_one, &self->group);
    assert_refused(self->error, ASYNC_EGROUPUSED,
                   "TaskGroup has already been entered");
    assert_int_equal(async_group_clear(&self->group), 0);
    AWAIT(group_of_one, &self->group);
    ASYNC_END;
}
TEST_IN_TASK(entering_a_group_twice)

struct in_a_group_in_no_task { ASYNC_FRAME; async_task_group group; };
static ASYNC(in_a_group_in_no_task)
{
    async driven;
    ASYNC_BEGIN(in_a_group_in_no_task);
    assert_int_equal(async_new(&driven, NULL, CO(group_of_one, &self->group)),
                     0);
    assert_refused(async_send(&driven), ASYNC_EGROUPTASK,
                   "TaskGroup cannot determine the parent task");
    async_close(&driven);
    AWAIT(group_of_one, &self->group);
    ASYNC_END;
}
TEST_IN_TASK(a_group_in_no_task)

/* --- wait ---------------------------------------------------------------- */

struct in_waiting_for_nothing_or_for_what_is_not {
    ASYNC_FRAME;
    async_waited item;
    async_task *task;
    int error;
};
static ASYNC(in_waiting_for_nothing_or_for_what_is_not)
{
    ASYNC_BEGIN(in_waiting_for_nothing_or_for_what_is_not);
    self->task = async_create_task(CO(sleeps, 1));
    self->item.future = &self->task->future;
    AWAIT_CATCH(self->error, async_wait, &self->item, 0, ASYNC_FOREVER);
    assert_refused(self->error, ASYNC_ENOFUTURES,
                   "Set of Tasks/Futures is empty.");
    AWAIT_CATCH(self->error, async_wait, &self->item, 1, ASYNC_FOREVER, 7);
    assert_refused(self->error, ASYNC_ERETURNWHEN,
                   "Invalid return_when value");
    AWAIT(async_wait, &self->item, 1, ASYNC_FOREVER);
    assert_true(self->item.done);
    AWAIT_JOIN(self->task);
    ASYNC_END;
}
TEST_IN_TASK(waiting_for_nothing_or_for_what_is_not)

/* --- coroutines and generators ------------------------------------------- */

static void making_a_task_where_no_loop_runs(void **s)
{
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    assert_null(async_get_running_loop());
    assert_null(async_create_task(CO(one)));
    assert_refused(async_last_error(), ASYNC_ENOLOOP, "no running event loop");
    async_loop_close(&loop.base);
}

static void running_a_coroutine_that_has_ended(void **s)
{
    async co;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(one)), 0);
    assert_int_equal(async_send(&co), 0);
    assert_refused(async_send(&co), ASYNC_EREUSED,
                   "cannot reuse already awaited coroutine");
    assert_refused(async_throw(&co, EKEY), ASYNC_EREUSED,
                   "cannot reuse already awaited coroutine");
    assert_int_equal(ASYNC_RESULT(&co, one), 1);
    async_close(&co);
}

struct echoes { ASYNC_YIELDS_SENT(int, int); int last; };
static ASYNC(echoes)
{
    ASYNC_BEGIN(echoes);
    for (;;) ASYNC_YIELD_INTO(self->last, self->last);
    ASYNC_END;
}

static void sending_to_a_generator_that_has_not_started(void **s)
{
    struct echoes echo = ASYNC_GENERATOR(echoes, 3);
    (void)s;
    assert_refused(ASYNC_SEND(&echo, 4), ASYNC_EJUSTSTARTED,
                   "can't send non-None value to a just-started generator");
    assert_int_equal(ASYNC_NEXT(&echo), ASYNC_YIELDED);
    assert_int_equal(ASYNC_VALUE(&echo), 3);
    assert_int_equal(ASYNC_SEND(&echo, 4), ASYNC_YIELDED);
    assert_int_equal(ASYNC_VALUE(&echo), 4);
    assert_int_equal(ASYNC_CLOSE(&echo), 0);
}

struct clings { ASYNC_YIELDS(int); };
static ASYNC(clings)
{
    ASYNC_BEGIN(clings);
    ASYNC_TRY {
        ASYNC_YIELD(1);
    } ASYNC_EXCEPT(ASYNC_EGENERATOREXIT) {
        ASYNC_YIELD(2);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void yielding_when_it_is_closed(void **s)
{
    struct clings generator = ASYNC_GENERATOR(clings);
    (void)s;
    assert_int_equal(ASYNC_NEXT(&generator), ASYNC_YIELDED);
    assert_refused(ASYNC_CLOSE(&generator), ASYNC_EIGNOREDEXIT,
                   "generator ignored GeneratorExit");
    assert_int_equal(ASYNC_NEXT(&generator), 0); /* it goes on to its end */
}

UNIT_MAIN(TEST(releasing_a_lock_that_nobody_holds),
          TEST(releasing_twice_while_the_next_has_not_yet_run),
          TEST(releasing_inside_a_with_what_it_releases),
          TEST(waiting_notifying_and_releasing_without_the_lock),
          TEST(a_semaphore_with_less_than_no_permit),
          TEST(releasing_a_bounded_semaphore_too_often),
          TEST(a_barrier_for_nobody), TEST(waiting_at_a_broken_barrier),
          TEST(saying_too_often_that_work_is_done),
          TEST(not_waiting_for_a_full_or_an_empty_queue),
          TEST(putting_into_a_queue_that_is_shut_down),
          TEST(waiting_for_a_lock_that_another_loop_waits_for),
          TEST(waiting_for_an_event_that_another_loop_waits_for),
          TEST(waiting_for_a_condition_that_another_loop_waits_for),
          TEST(waiting_for_a_permit_that_another_loop_waits_for),
          TEST(waiting_at_a_barrier_where_another_loop_waits),
          TEST(waiting_in_a_queue_where_another_loop_waits),
          TEST(a_lock_may_be_used_by_one_loop_after_another),
          TEST(asking_a_pending_future_for_its_result),
          TEST(finishing_a_future_twice),
          TEST(a_future_that_is_to_raise_what_ends_an_iteration),
          TEST(finishing_a_task_from_outside), TEST(a_task_that_awaits_itself),
          TEST(awaiting_a_future_of_another_loop),
          TEST(running_a_loop_inside_a_loop),
          TEST(using_a_loop_that_is_closed),
          TEST(stopping_a_loop_that_runs_until_something_is_complete),
          TEST(moving_a_deadline_outside_its_block),
          TEST(entering_a_timeout_that_is_in_use), TEST(a_timeout_in_no_task),
          TEST(spawning_into_a_group_outside_its_block),
          TEST(spawning_into_a_group_that_is_shutting_down),
          TEST(entering_a_group_twice), TEST(a_group_in_no_task),
          TEST(waiting_for_nothing_or_for_what_is_not),
          TEST(making_a_task_where_no_loop_runs),
          TEST(running_a_coroutine_that_has_ended),
          TEST(sending_to_a_generator_that_has_not_started),
          TEST(yielding_when_it_is_closed))
