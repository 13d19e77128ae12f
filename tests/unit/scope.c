/* Cancel scopes. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/scope.h"
#include "../../async/sync.h"

#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

static async_scope *outside; /* what a test wants cancelled */

struct cancels { ASYNC_FRAME; int seconds; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
    async_scope_cancel(outside);
    ASYNC_END;
}

/* Cancels a scope when some seconds have passed. */
static void cancel_after(async_scope *scope, int n)
{
    outside = scope;
    async_task_release(async_create_task(CO(cancels, n)));
}

static const char *caught(const async_scope *scope)
{
    return async_scope_cancelled_caught(scope) ? "caught" : "not";
}

/* Sleeps, and when cancelled takes a while to end. */
struct lingers { ASYNC_FRAME; const char *name; int seconds; };
static ASYNC(lingers)
{
    ASYNC_BEGIN(lingers);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        say("%s:ends@%d", self->name, seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
        say("%s:ended@%d", self->name, seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- level --------------------------------------------------------------- */

struct stands { ASYNC_FRAME; async_scope scope; };
static ASYNC(stands)
{
    ASYNC_BEGIN(stands);
    cancel_after(&self->scope, 3);
    ASYNC_SCOPE(&self->scope) {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    AWAIT(async_sleep, ASYNC_SECONDS(1)); /* no more */
    say("%d", seconds());
    ASYNC_END;
}

static void an_await_that_stands_goes_on_when_the_scope_is_cancelled(void **s)
{
    (void)s;
    assert_int_equal(RUN(stands), 0);
    assert_said("caught@3 4");
}

/* One of each kind of await, and what it came to. */
static async_event event;
static async_lock lock;
static ASYNC_QUEUE(int, 1) full, empty;
static async_future future;
#define RAISES(...)                                                           \
    ASYNC_TRY {                                                               \
        __VA_ARGS__;                                                          \
        say("went on");                                                       \
    }                                                                         \
    ASYNC_EXCEPT_ALL(self->error) {                                           \
        say("%d", self->error == ASYNC_ECANCELED);                            \
    }                                                                         \
    ASYNC_END_TRY

struct everything {
    ASYNC_FRAME;
    async_scope scope;
    async_gathering all;
    async_waited item;
    async_task *task;
    int error, n;
};
static ASYNC(everything)
{
    ASYNC_BEGIN(everything);
    async_event_init(&event);
    async_lock_init(&lock);
    ASYNC_QUEUE_INIT(&full);
    ASYNC_QUEUE_INIT(&empty);
    ASYNC_QUEUE_PUT_NOWAIT(&full, 1);
    async_future_init(&future, async_loop_of(co));
    AWAIT(async_lock_acquire, &lock);
    ASYNC_SCOPE(&self->scope) {
        async_scope_cancel(&self->scope);
        RAISES(AWAIT(async_sleep, ASYNC_SECONDS(1)))
        RAISES(AWAIT(async_sleep, 0))
        RAISES(ASYNC_SUSPEND)
        RAISES(AWAIT(async_sleep, ASYNC_FOREVER))
        RAISES(AWAIT(async_event_wait, &event))
        RAISES(AWAIT(async_lock_acquire, &lock))
        RAISES(AWAIT_QUEUE_PUT(&full, 2))
        RAISES(AWAIT_QUEUE_GET_INTO(self->n, &empty))
        RAISES(AWAIT_GATHER(&self->all, CO(async_sleep, ASYNC_SECONDS(9))))
        self->task = async_create_task(CO(async_sleep, ASYNC_SECONDS(9)));
        RAISES(AWAIT_JOIN(self->task))
        RAISES(AWAIT_WAIT_FOR(ASYNC_SECONDS(1), async_event_wait, &event))
        RAISES(AWAIT(async_shield, CO(async_sleep, ASYNC_SECONDS(1))))
        self->item.future = &future;
        RAISES(AWAIT(async_wait, &self->item, 1, ASYNC_FOREVER))
        RAISES(AWAIT(async_checkpoint))
        RAISES(AWAIT_FUTURE(&future)) /* which that cancels */
    }
    ASYNC_END_SCOPE
    async_future_destroy(&future);
    say("%s@%d", caught(&self->scope), seconds());
    assert_int_equal(async_queue_qsize(&full.queue), 1);
    assert_int_equal(async_task_cancelling(async_current_task()), 0);
    async_lock_release(&lock);
    assert_false(async_lock_locked(&lock));
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void every_kind_of_await_in_it_raises(void **s)
{
    (void)s;
    assert_int_equal(RUN(everything), 0);
    assert_said("1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 not@0");
}

struct swallows { ASYNC_FRAME; async_scope scope; int i; };
static ASYNC(swallows)
{
    ASYNC_BEGIN(swallows);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(2)) {
        for (self->i = 0; self->i < 1000; self->i++) {
            ASYNC_TRY {
                AWAIT(async_sleep, ASYNC_SECONDS(1));
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                if (seconds() != 2) say("late");
            } ASYNC_END_TRY
        }
    }
    ASYNC_END_SCOPE
    say("%d %s@%d", self->i, caught(&self->scope), seconds());
    ASYNC_END;
}

static void who_swallows_it_is_told_again_at_each_await(void **s)
{
    (void)s;
    assert_int_equal(RUN(swallows), 0);
    assert_said("1000 not@2");
}

struct need_not_wait { ASYNC_FRAME; async_scope scope; int n; };
static ASYNC(need_not_wait)
{
    ASYNC_BEGIN(need_not_wait);
    ASYNC_QUEUE_INIT(&full);
    async_lock_init(&lock);
    ASYNC_QUEUE_PUT_NOWAIT(&full, 7);
    ASYNC_SCOPE(&self->scope) {
        async_scope_cancel(&self->scope);
        assert_true(async_scope_is_cancelled_here());
        AWAIT_QUEUE_GET_INTO(self->n, &full);
        AWAIT(async_lock_acquire, &lock);
        say("%d", self->n);
        AWAIT(async_checkpoint);
        say("never");
    }
    ASYNC_END_SCOPE
    assert_false(async_scope_is_cancelled_here());
    say("%s", caught(&self->scope));
    ASYNC_END;
}

static void an_await_that_need_not_wait_does_not_raise(void **s)
{
    (void)s;
    assert_int_equal(RUN(need_not_wait), 0);
    assert_said("7 caught");
}

struct came { ASYNC_FRAME; async_scope *scope; };
static ASYNC(came)
{
    ASYNC_BEGIN(came);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_QUEUE_PUT_NOWAIT(&empty, 5);
    async_event_set(&event);
    async_scope_cancel(self->scope); /* they have been woken by now */
    ASYNC_END;
}
struct has_come { ASYNC_FRAME; async_scope scope; int n; };
static ASYNC(has_come)
{
    ASYNC_BEGIN(has_come);
    async_event_init(&event);
    ASYNC_QUEUE_INIT(&empty);
    async_task_release(async_create_task(CO(came, &self->scope)));
    ASYNC_SCOPE(&self->scope) {
        AWAIT_QUEUE_GET_INTO(self->n, &empty);
        say("%d", self->n);
        AWAIT(async_event_wait, &event); /* it is set */
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    ASYNC_END;
}

static void what_had_come_by_then_is_had_and_the_next_await_raises(void **s)
{
    (void)s;
    assert_int_equal(RUN(has_come), 0);
    assert_said("5 caught@1");
}

struct awaits_a_task { ASYNC_FRAME; async_scope scope; async_task *task; };
static ASYNC(awaits_a_task)
{
    ASYNC_BEGIN(awaits_a_task);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        self->task = async_create_task(CO(lingers, "a", 5));
        AWAIT_JOIN(self->task);
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    ASYNC_END;
}

static void a_task_that_is_awaited_is_told_once_and_may_clean_up(void **s)
{
    (void)s;
    assert_int_equal(RUN(awaits_a_task), 0);
    assert_said("a:ends@1 a:ended@6 caught@6");
}

/* An operation that takes its time to end, and one that cannot be hurried. */
static int ask_for_the_end(async_operation *operation)
{
    (void)operation;
    say("asked");
    return 1;
}
static int cannot_be_hurried(async_operation *operation)
{
    (void)operation;
    say("asked");
    return 0;
}
static int finish(void *operation)
{
    return async_future_set_result(&((async_operation *)operation)->future);
}
struct operates {
    ASYNC_FRAME;
    async_operation_cancel *cancel;
    async_scope scope;
    async_operation operation;
    async_handle handle;
};
static ASYNC(operates)
{
    ASYNC_BEGIN(operates);
    async_operation_init(&self->operation, async_loop_of(co), self->cancel);
    async_loop_call_later(async_loop_of(co), &self->handle, ASYNC_SECONDS(5),
                          finish, &self->operation);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT_FUTURE(&self->operation.future);
        say("ended@%d", seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    ASYNC_END;
}

static void an_operation_is_asked_once_and_waited_for(void **s)
{
    (void)s;
    assert_int_equal(RUN(operates, ask_for_the_end), 0);
    assert_said("asked ended@5 caught@5");
    assert_int_equal(RUN(operates, cannot_be_hurried), 0);
    assert_said("asked caught@5");
}

/* --- which scope --------------------------------------------------------- */

struct nested { ASYNC_FRAME; int outer_s, inner_s; async_scope outer, inner; };
static ASYNC(nested)
{
    ASYNC_BEGIN(nested);
    ASYNC_MOVE_ON_AFTER(&self->outer, ASYNC_SECONDS(self->outer_s)) {
        ASYNC_MOVE_ON_AFTER(&self->inner, ASYNC_SECONDS(self->inner_s)) {
            AWAIT(async_sleep, ASYNC_SECONDS(100));
        }
        ASYNC_END_SCOPE
        say("inner@%d", seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(2));
        say("behind@%d", seconds());
    }
    ASYNC_END_SCOPE
    say("%s,%s@%d", caught(&self->outer), caught(&self->inner), seconds());
    ASYNC_END;
}

static void only_the_scope_that_is_cancelled_ends_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested, 9, 1), 0);
    assert_said("inner@1 behind@3 not,caught@3");
    assert_int_equal(RUN(nested, 1, 9), 0);
    assert_said("caught,not@1");
    assert_int_equal(RUN(nested, 2, 1), 0);
    assert_said("inner@1 caught,caught@2");
}

static void of_two_that_are_cancelled_the_outer_one_does(void **s)
{
    (void)s;
    assert_int_equal(RUN(nested, 1, 1), 0);
    assert_said("caught,not@1");
}

struct shields {
    ASYNC_FRAME;
    int own; /* its limit, in seconds */
    async_scope outer, inner;
};
static ASYNC(shields)
{
    ASYNC_BEGIN(shields);
    ASYNC_MOVE_ON_AFTER(&self->outer, ASYNC_SECONDS(1)) {
        ASYNC_MOVE_ON_AFTER(&self->inner, ASYNC_SECONDS(self->own)) {
            async_scope_set_shield(&self->inner, 1);
            AWAIT(async_sleep, ASYNC_SECONDS(3));
            say("slept@%d", seconds());
        }
        ASYNC_END_SCOPE
        say("left@%d", seconds());
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s,%s@%d", caught(&self->outer), caught(&self->inner), seconds());
    ASYNC_END;
}

static void a_shield_keeps_out_what_is_around_it_but_not_its_own(void **s)
{
    (void)s;
    assert_int_equal(RUN(shields, 100), 0);
    assert_said("slept@3 left@3 caught,not@3");
    assert_int_equal(RUN(shields, 2), 0);
    assert_said("left@2 caught,caught@2");
}

static int take_down(void *scope)
{
    async_scope_set_shield((async_scope *)scope, 0);
    return 0;
}
struct lowers { ASYNC_FRAME; async_scope outer, inner, in; async_handle h; };
static ASYNC(lowers)
{
    ASYNC_BEGIN(lowers);
    async_scope_set_shield(&self->inner, 1); /* before its block */
    async_loop_call_later(async_loop_of(co), &self->h, ASYNC_SECONDS(2),
                          take_down, &self->inner);
    ASYNC_MOVE_ON_AFTER(&self->outer, ASYNC_SECONDS(1)) {
        ASYNC_SCOPE(&self->inner) {
            assert_true(async_scope_shield(&self->inner));
            ASYNC_SCOPE(&self->in) {
                AWAIT(async_sleep, ASYNC_SECONDS(9));
            }
            ASYNC_END_SCOPE
        }
        ASYNC_END_SCOPE
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->outer), seconds());
    ASYNC_END;
}

static void a_shield_that_is_taken_down_lets_it_in(void **s)
{
    (void)s;
    assert_int_equal(RUN(lowers), 0);
    assert_said("caught@2");
}

struct cleans_up { ASYNC_FRAME; async_scope limit, cleanup; };
static ASYNC(cleans_up)
{
    ASYNC_BEGIN(cleans_up);
    ASYNC_MOVE_ON_AFTER(&self->limit, ASYNC_SECONDS(1)) {
        ASYNC_TRY {
            AWAIT(async_sleep, ASYNC_SECONDS(9));
        } ASYNC_FINALLY {
            ASYNC_SHIELD_SCOPE(&self->cleanup) {
                AWAIT(async_sleep, ASYNC_SECONDS(2));
                say("clean@%d", seconds());
            }
            ASYNC_END_SCOPE
            AWAIT(async_sleep, ASYNC_SECONDS(2));
            say("never");
        } ASYNC_END_TRY
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->limit), seconds());
    ASYNC_END;
}

static void a_finally_may_await_in_a_shield_and_nowhere_else(void **s)
{
    (void)s;
    assert_int_equal(RUN(cleans_up), 0);
    assert_said("clean@3 caught@3");
}

struct generates { ASYNC_YIELDS(int); async_scope scope; };
static ASYNC(generates)
{
    ASYNC_BEGIN(generates);
    ASYNC_SCOPE(&self->scope) {
        ASYNC_YIELD(1);
        ASYNC_YIELD(2);
    }
    ASYNC_END_SCOPE
    ASYNC_END;
}
struct iterates { ASYNC_FRAME; struct generates g; int i; async_scope limit; };
static ASYNC(iterates)
{
    ASYNC_BEGIN(iterates);
    ASYNC_MOVE_ON_AFTER(&self->limit, ASYNC_SECONDS(1)) {
        self->g = ASYNC_GENERATOR(generates);
        ASYNC_FOR(self->i, &self->g) {
            say("%d", self->i);
            AWAIT(async_sleep, ASYNC_SECONDS(2)); /* in its scope, too */
        } ASYNC_END_FOR
    }
    ASYNC_END_SCOPE
    say("%s", caught(&self->limit));
    ASYNC_END;
}

static void a_generator_that_is_closed_leaves_its_scope(void **s)
{
    (void)s;
    assert_int_equal(RUN(iterates), 0);
    assert_said("1 caught");
}

/* --- deadlines ----------------------------------------------------------- */

struct past { ASYNC_FRAME; async_scope scope; };
static ASYNC(past)
{
    ASYNC_BEGIN(past);
    ASYNC_MOVE_ON_AFTER(&self->scope, 0) {
        say("%d", async_scope_cancel_called(&self->scope));
        AWAIT(async_sleep, 0);
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s", caught(&self->scope));
    ASYNC_MOVE_ON_AT(&self->scope, 0) {
        AWAIT(async_sleep, 0);
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s", caught(&self->scope));
    ASYNC_END;
}

static void a_deadline_in_the_past_raises_at_the_first_await(void **s)
{
    (void)s;
    assert_int_equal(RUN(past), 0);
    assert_said("1 caught caught");
}

struct moves { ASYNC_FRAME; async_scope scope; };
static ASYNC(moves)
{
    ASYNC_BEGIN(moves);
    assert_int_equal(async_scope_set_deadline(&self->scope, 1),
                     ASYNC_EINVALSTATE);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        assert_int_equal(async_scope_deadline(&self->scope), ASYNC_SECONDS(1));
        async_scope_set_deadline(&self->scope, ASYNC_FOREVER);
        AWAIT(async_sleep, ASYNC_SECONDS(2));
        say("%d", seconds());
        async_scope_set_deadline(&self->scope, ASYNC_SECONDS(4));
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("%d", seconds());
        async_scope_set_deadline(&self->scope, ASYNC_SECONDS(1)); /* past */
        assert_true(async_scope_cancel_called(&self->scope));
        async_scope_set_deadline(&self->scope, ASYNC_FOREVER); /* too late */
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    assert_int_equal(async_scope_set_deadline(&self->scope, 1),
                     ASYNC_EINVALSTATE);
    ASYNC_END;
}

static void a_deadline_can_be_moved_while_the_block_runs(void **s)
{
    (void)s;
    assert_int_equal(RUN(moves), 0);
    assert_said("2 3 caught@3");
}

struct fails { ASYNC_FRAME; int explicitly; async_scope scope; int error; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_TRY {
        ASYNC_FAIL_AFTER(&self->scope, ASYNC_SECONDS(1)) {
            if (self->explicitly) async_scope_cancel(&self->scope);
            AWAIT(async_sleep, ASYNC_SECONDS(2));
        }
        ASYNC_END_SCOPE
        say("no error");
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", async_error_name(self->error));
    } ASYNC_END_TRY
    say("%s@%d", caught(&self->scope), seconds());
    ASYNC_TRY {
        ASYNC_FAIL_AT(&self->scope, ASYNC_SECONDS(9)) {
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            ASYNC_RAISE(EKEY);
        }
        ASYNC_END_SCOPE
    } ASYNC_EXCEPT(EKEY) {
        say("EKEY@%d", seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

static void fail_after_raises_etimedout_for_its_deadline_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(fails, 0), 0);
    assert_said("ASYNC_ETIMEDOUT caught@1 EKEY@2");
    assert_int_equal(RUN(fails, 1), 0);
    assert_said("no error caught@0 EKEY@1");
}

struct effective { ASYNC_FRAME; async_scope a, b, c; };
static int effective_seconds(void)
{
    async_time deadline = async_current_effective_deadline();
    return deadline == ASYNC_FOREVER ? -1 : (int)(deadline / ASYNC_SECONDS(1));
}
static ASYNC(effective)
{
    ASYNC_BEGIN(effective);
    say("%d", effective_seconds());
    ASYNC_MOVE_ON_AFTER(&self->a, ASYNC_SECONDS(5)) {
        ASYNC_SCOPE(&self->b) {
            say("%d", effective_seconds());
            ASYNC_MOVE_ON_AFTER(&self->c, ASYNC_SECONDS(7)) {
                say("%d", effective_seconds());
                async_scope_set_shield(&self->c, 1);
                say("%d", effective_seconds());
                async_scope_set_shield(&self->c, 0);
                AWAIT(async_sleep, ASYNC_SECONDS(1));
                async_scope_cancel(&self->b);
                say("%d", effective_seconds());
            }
            ASYNC_END_SCOPE
        }
        ASYNC_END_SCOPE
        say("%d", effective_seconds());
    }
    ASYNC_END_SCOPE
    ASYNC_END;
}

static void the_effective_deadline_is_the_nearest_one_that_counts(void **s)
{
    (void)s;
    assert_int_equal(async_current_effective_deadline(), ASYNC_FOREVER);
    assert_int_equal(RUN(effective), 0);
    assert_said("-1 5 5 7 1 5");
}

/* --- beside asyncio's cancellation --------------------------------------- */

struct victim { ASYNC_FRAME; async_scope scope; };
static ASYNC(victim)
{
    ASYNC_BEGIN(victim);
    outside = &self->scope;
    ASYNC_SCOPE(&self->scope) {
        AWAIT(async_sleep, ASYNC_SECONDS(9));
    }
    ASYNC_END_SCOPE
    say("%s", caught(&self->scope));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("on@%d", seconds());
    ASYNC_END;
}
struct both_cancel {
    ASYNC_FRAME;
    int scope, task;
    async_task *victim;
    int e;
};
static ASYNC(both_cancel)
{
    ASYNC_BEGIN(both_cancel);
    self->victim = async_create_task(CO(victim));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    if (self->scope) async_scope_cancel(outside);
    if (self->task) async_task_cancel(self->victim);
    ASYNC_TRY {
        AWAIT_JOIN(self->victim);
    } ASYNC_EXCEPT_ALL(self->e) {
        say("%s", async_error_name(self->e));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_request_to_cancel_the_task_is_not_the_scopes(void **s)
{
    (void)s;
    assert_int_equal(RUN(both_cancel, 1, 0), 0);
    assert_said("caught on@2");
    assert_int_equal(RUN(both_cancel, 0, 1), 0);
    assert_said("ASYNC_ECANCELED");
    assert_int_equal(RUN(both_cancel, 1, 1), 0);
    assert_said("ASYNC_ECANCELED");
}

struct counts { ASYNC_FRAME; async_scope scope; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    ASYNC_SCOPE(&self->scope) {
        async_scope_cancel(&self->scope);
        ASYNC_TRY {
            AWAIT(async_sleep, 0);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            say("%d", async_task_cancelling(async_current_task()));
        } ASYNC_END_TRY
        /* A request that is taken back takes nothing of the scope's away. */
        async_task_cancel(async_current_task());
        say("%d", async_task_uncancel(async_current_task()));
        AWAIT(async_sleep, 0);
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s", caught(&self->scope));
    ASYNC_END;
}

static void a_scope_is_no_request_and_none_takes_it_back(void **s)
{
    (void)s;
    assert_int_equal(RUN(counts), 0);
    assert_said("0 0 caught");
}

struct limits {
    ASYNC_FRAME;
    int outer, scope, inner; /* seconds */
    async_timeout before, behind;
    async_scope limit;
    int error;
};
static ASYNC(limits)
{
    ASYNC_BEGIN(limits);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->before, ASYNC_SECONDS(self->outer)) {
            ASYNC_MOVE_ON_AFTER(&self->limit, ASYNC_SECONDS(self->scope)) {
                ASYNC_TIMEOUT(&self->behind, ASYNC_SECONDS(self->inner)) {
                    AWAIT(async_sleep, ASYNC_SECONDS(100));
                } ASYNC_END_TIMEOUT
            }
            ASYNC_END_SCOPE
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", async_error_name(self->error));
    } ASYNC_END_TRY
    say("%d,%s,%d@%d", async_timeout_expired(&self->before),
        caught(&self->limit), async_timeout_expired(&self->behind), seconds());
    assert_int_equal(async_task_cancelling(async_current_task()), 0);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void timeouts_inside_and_around_it_know_their_own(void **s)
{
    (void)s;
    assert_int_equal(RUN(limits, 3, 2, 1), 0);
    assert_said("ASYNC_ETIMEDOUT 0,not,1@1");
    assert_int_equal(RUN(limits, 3, 1, 2), 0);
    assert_said("0,caught,0@1");
    assert_int_equal(RUN(limits, 1, 3, 2), 0);
    assert_said("ASYNC_ETIMEDOUT 1,not,0@1");
    /* All at once: the outermost limit wins. */
    assert_int_equal(RUN(limits, 1, 1, 9), 0);
    assert_said("ASYNC_ETIMEDOUT 1,not,0@1");
}

struct groups { ASYNC_FRAME; async_scope scope; async_task_group group; };
static ASYNC(groups)
{
    ASYNC_BEGIN(groups);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group, CO(lingers, "a", 3));
            async_group_spawn(&self->group, CO(lingers, "b", 5));
        } ASYNC_END_TASK_GROUP
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    ASYNC_END;
}

static void a_task_group_in_it_is_waited_for_without_turning_round(void **s)
{
    (void)s;
    assert_int_equal(RUN(groups), 0);
    assert_said("a:ends@1 b:ends@1 a:ended@4 b:ended@6 caught@6");
}

static async_condition changed;
struct keeps_the_lock { ASYNC_FRAME; };
static ASYNC(keeps_the_lock)
{
    ASYNC_BEGIN(keeps_the_lock);
    ASYNC_WITH(async_condition, &changed) {
        AWAIT(async_sleep, ASYNC_SECONDS(5));
    } ASYNC_END_WITH
    ASYNC_END;
}
struct conditions { ASYNC_FRAME; async_scope scope; };
static ASYNC(conditions)
{
    ASYNC_BEGIN(conditions);
    async_condition_init(&changed, NULL);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        ASYNC_WITH(async_condition, &changed) {
            async_task_release(async_create_task(CO(keeps_the_lock)));
            ASYNC_TRY {
                AWAIT(async_condition_wait, &changed);
            } ASYNC_FINALLY {
                say("locked:%d@%d", async_condition_locked(&changed),
                    seconds());
            } ASYNC_END_TRY
        } ASYNC_END_WITH
    }
    ASYNC_END_SCOPE
    say("%s@%d", caught(&self->scope), seconds());
    ASYNC_END;
}

static void a_condition_has_its_lock_again_behind_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(conditions), 0);
    assert_said("locked:1@5 caught@5");
}

/* --- leaving ------------------------------------------------------------- */

struct ways { ASYNC_RETURNS(int); int how; async_scope scope; int i; };
static ASYNC(ways)
{
    ASYNC_BEGIN(ways);
    for (self->i = 0; self->i < 2; self->i++) {
        ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
            AWAIT(async_sleep, 0);
            if (self->how == 1) break;
            if (self->how == 2) continue;
            if (self->how == 3) ASYNC_RETURN(3);
            if (self->how == 4) ASYNC_RAISE(EKEY);
        }
        ASYNC_END_SCOPE
        say("end");
    }
    AWAIT(async_sleep, ASYNC_SECONDS(3)); /* its timer has gone */
    ASYNC_RETURN(9);
    ASYNC_END;
}
struct all_ways { ASYNC_FRAME; int how, n, error; };
static ASYNC(all_ways)
{
    ASYNC_BEGIN(all_ways);
    for (; self->how < 5; self->how++) {
        ASYNC_TRY {
            AWAIT_INTO(self->n, ways, self->how);
            say("%d", self->n);
        } ASYNC_EXCEPT(EKEY) {
            say("EKEY");
        } ASYNC_END_TRY
        assert_ptr_equal(async__scope_innermost(async_current_task()), NULL);
    }
    ASYNC_END;
}

static void every_way_out_leaves_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(all_ways, 0), 0);
    assert_said("end end 9 9 9 3 EKEY");
}

struct early { ASYNC_FRAME; async_scope scope; };
static ASYNC(early)
{
    ASYNC_BEGIN(early);
    async_scope_cancel(&self->scope);
    ASYNC_SCOPE(&self->scope) {
        AWAIT(async_sleep, 0);
        say("never");
    }
    ASYNC_END_SCOPE
    say("%s", caught(&self->scope));
    async_scope_cancel(&self->scope); /* behind it: not for the next */
    ASYNC_SCOPE(&self->scope) {
        AWAIT(async_sleep, 0);
        say("on");
    }
    ASYNC_END_SCOPE
    say("%s,%d", caught(&self->scope),
        async_scope_cancel_called(&self->scope));
    ASYNC_END;
}

static void it_may_be_cancelled_before_its_block_but_not_behind(void **s)
{
    (void)s;
    assert_int_equal(RUN(early), 0);
    assert_said("caught on not,0");
}

struct leaves_asked { ASYNC_FRAME; async_scope scope; };
static ASYNC(leaves_asked)
{
    ASYNC_BEGIN(leaves_asked);
    ASYNC_SCOPE(&self->scope) {
        ASYNC_TRY {
            async_scope_cancel(&self->scope);
            AWAIT(async_sleep, 0);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
        ASYNC_END_TRY
    }
    ASYNC_END_SCOPE
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("on");
    ASYNC_END;
}

static void nothing_of_it_is_left_behind_the_block(void **s)
{
    (void)s;
    assert_int_equal(RUN(leaves_asked), 0);
    assert_said("on");
}

/* --- misuse -------------------------------------------------------------- */

struct twice { ASYNC_FRAME; async_scope scope; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    ASYNC_SCOPE(&self->scope) {
        ASYNC_SCOPE(&self->scope) {
            say("never");
        }
        ASYNC_END_SCOPE
    }
    ASYNC_END_SCOPE
    ASYNC_END;
}

static void a_struct_in_use_is_an_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(twice), ASYNC_ESCOPEUSED);
}

static void it_needs_a_task(void **s)
{
    void *memory[64];
    async by_hand;
    (void)s;
    async_init(&by_hand, memory, sizeof memory, CO(past));
    assert_int_equal(async_send(&by_hand), ASYNC_ENOTASK);
    async_close(&by_hand);
}

struct left_over { ASYNC_FRAME; async_scope outer, inner; };
static ASYNC(left_over)
{
    ASYNC_BEGIN(left_over);
    ASYNC_MOVE_ON_AFTER(&self->outer, ASYNC_SECONDS(9)) {
        ASYNC_SHIELD_SCOPE(&self->inner) {
            ASYNC_TRY {
                AWAIT(async_sleep, ASYNC_SECONDS(3));
            } ASYNC_FINALLY {
                AWAIT(async_sleep, ASYNC_SECONDS(3)); /* nobody waits */
            } ASYNC_END_TRY
        }
        ASYNC_END_SCOPE
    }
    ASYNC_END_SCOPE
    ASYNC_END;
}

struct stops { ASYNC_FRAME; int cancel; };
static ASYNC(stops)
{
    ASYNC_BEGIN(stops);
    async_task_release(async_create_task(CO(left_over)));
    async_task_release(async_create_task(CO(victim)));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    if (self->cancel) async_scope_cancel(outside);
    ASYNC_END;
}

static void a_loop_may_be_closed_while_tasks_stand_in_them(void **s)
{
    int cancel;
    (void)s;
    for (cancel = 0; cancel < 2; cancel++) {
        async_virtual_loop_init(&loop, NULL);
        async_loop_set_exception_handler(&loop.base, report, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(stops, cancel)), 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        unit_begin(NULL);
    }
}

/* --- by chance ----------------------------------------------------------- */

/* Many tasks in scopes of which some are cancelled, some shielded, some limited;
 * some tasks are cancelled as well.  Nobody is cancelled without a cause, nobody
 * goes on behind an await in a scope that was cancelled before it. */
static uint32_t seed;
static int chance(int below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (int)(seed % (uint32_t)below);
}

enum { TASKS = 8, DEPTH = 4 };
static async_scope *scopes[TASKS][DEPTH]; /* that run */
static async_task *tasks[TASKS];
static int asked[TASKS], meddled[TASKS]; /* with a shield, how often */
static long went_on, raised;

/* Whether the scopes of a task, down to `depth`, are cancelled. */
static int is_cancelled(int who, int depth)
{
    while (depth-- > 0) {
        if (scopes[who][depth]->cancelled) return 1;
        if (scopes[who][depth]->shielded) return 0;
    }
    return 0;
}

struct level {
    ASYNC_FRAME;
    int who, depth;
    async_scope scope;
    int i, before, shields;
};
static ASYNC(level)
{
    ASYNC_BEGIN(level);
    for (self->i = 0; self->i < 4; self->i++) {
        self->before = is_cancelled(self->who, self->depth);
        self->shields = meddled[self->who];
        ASYNC_TRY {
            if (self->depth < DEPTH && chance(2)) {
                ASYNC_MOVE_ON_AFTER(&self->scope,
                                    chance(4) ? ASYNC_FOREVER : chance(9)) {
                    scopes[self->who][self->depth] = &self->scope;
                    async_scope_set_shield(&self->scope, !chance(4));
                    AWAIT(level, self->who, self->depth + 1);
                }
                ASYNC_END_SCOPE
                scopes[self->who][self->depth] = NULL;
                self->before = 0; /* it may not have waited */
            } else if (chance(3)) {
                AWAIT(async_sleep, 1 + chance(4));
            } else {
                AWAIT(async_checkpoint);
            }
            if (self->before && meddled[self->who] == self->shields)
                say("went on");
            went_on++;
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            raised++;
            if (self->depth < DEPTH) scopes[self->who][self->depth] = NULL;
            if (meddled[self->who] == self->shields && !asked[self->who] &&
                !is_cancelled(self->who, self->depth))
                say("without a cause");
            if (chance(3)) ASYNC_RAISE(ASYNC_ECANCELED);
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

struct chaos { ASYNC_FRAME; int i, error; };
static ASYNC(chaos)
{
    int who, depth;
    ASYNC_BEGIN(chaos);
    for (self->i = 0; self->i < TASKS; self->i++) {
        asked[self->i] = meddled[self->i] = 0;
        tasks[self->i] = async_create_task(CO(level, self->i, 0));
    }
    for (self->i = 0; self->i < 30; self->i++) {
        AWAIT(async_sleep, chance(2));
        who = chance(TASKS);
        depth = chance(DEPTH);
        if (async_task_done(tasks[who])) continue;
        if (scopes[who][depth] != NULL && chance(4)) {
            async_scope_cancel(scopes[who][depth]);
        } else if (scopes[who][depth] != NULL) {
            async_scope_set_shield(scopes[who][depth], chance(2));
            meddled[who]++;
        }
        if (!chance(20)) {
            asked[who] = 1;
            async_task_cancel(tasks[who]);
        }
    }
    for (self->i = 0; self->i < TASKS; self->i++) {
        ASYNC_TRY {
            AWAIT_JOIN(tasks[self->i]);
        } ASYNC_EXCEPT_ALL(self->error) {
            if (!asked[self->i]) say("ended %d", self->error);
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

static void by_chance_nobody_goes_on_nor_is_cancelled_without_a_cause(void **s)
{
    uint32_t round;
    (void)s;
    went_on = raised = 0;
    for (round = 1; round <= 400; round++) {
        seed = round * 2654435761u;
        memset(scopes, 0, sizeof scopes);
        async_virtual_loop_init(&loop, NULL);
        async_virtual_loop_shuffle(&loop, round % 2 ? 0 : round);
        assert_int_equal(async_loop_run_until_complete(&loop.base, CO(chaos)),
                         0);
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
        assert_said("");
    }
    assert_true(went_on > 1000);
    assert_true(raised > 1000);
}

UNIT_MAIN(TEST(an_await_that_stands_goes_on_when_the_scope_is_cancelled),
          TEST(every_kind_of_await_in_it_raises),
          TEST(who_swallows_it_is_told_again_at_each_await),
          TEST(an_await_that_need_not_wait_does_not_raise),
          TEST(what_had_come_by_then_is_had_and_the_next_await_raises),
          TEST(a_task_that_is_awaited_is_told_once_and_may_clean_up),
          TEST(an_operation_is_asked_once_and_waited_for),
          TEST(only_the_scope_that_is_cancelled_ends_it),
          TEST(of_two_that_are_cancelled_the_outer_one_does),
          TEST(a_shield_keeps_out_what_is_around_it_but_not_its_own),
          TEST(a_shield_that_is_taken_down_lets_it_in),
          TEST(a_finally_may_await_in_a_shield_and_nowhere_else),
          TEST(a_generator_that_is_closed_leaves_its_scope),
          TEST(a_deadline_in_the_past_raises_at_the_first_await),
          TEST(a_deadline_can_be_moved_while_the_block_runs),
          TEST(fail_after_raises_etimedout_for_its_deadline_alone),
          TEST(the_effective_deadline_is_the_nearest_one_that_counts),
          TEST(a_request_to_cancel_the_task_is_not_the_scopes),
          TEST(a_scope_is_no_request_and_none_takes_it_back),
          TEST(timeouts_inside_and_around_it_know_their_own),
          TEST(a_task_group_in_it_is_waited_for_without_turning_round),
          TEST(a_condition_has_its_lock_again_behind_it),
          TEST(every_way_out_leaves_it),
          TEST(it_may_be_cancelled_before_its_block_but_not_behind),
          TEST(nothing_of_it_is_left_behind_the_block),
          TEST(a_struct_in_use_is_an_error), TEST(it_needs_a_task),
          TEST(a_loop_may_be_closed_while_tasks_stand_in_them),
          TEST(by_chance_nobody_goes_on_nor_is_cancelled_without_a_cause))
