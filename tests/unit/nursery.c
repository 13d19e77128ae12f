/* Nurseries. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async/nursery.h"

#include <stdlib.h>

#include "virtual.h"

/* --- helpers ------------------------------------------------------------- */

/* Sleeps, and says so; then returns, or raises. */
struct work { ASYNC_RETURNS(int); const char *name; int seconds, error; };
static ASYNC(work)
{
    ASYNC_BEGIN(work);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
        if (self->error) ASYNC_RAISE(self->error);
        say("%s@%d", self->name, seconds());
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("%s:cancelled@%d", self->name, seconds());
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_RETURN(self->seconds);
    ASYNC_END;
}

/* Swallows every cancellation. */
struct stubborn { ASYNC_FRAME; const char *name; int i; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    for (; self->i < 3; self->i++) {
        ASYNC_TRY {
            AWAIT(async_sleep, ASYNC_SECONDS(10));
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            say("%s:told@%d", self->name, seconds());
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

/* Takes a while to clean up, in a shield. */
struct tidy { ASYNC_FRAME; const char *name; int seconds; async_scope scope; };
static ASYNC(tidy)
{
    ASYNC_BEGIN(tidy);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        ASYNC_SHIELD_SCOPE(&self->scope) {
            AWAIT(async_sleep, ASYNC_SECONDS(self->seconds));
        }
        ASYNC_END_SCOPE
        say("%s:tidy@%d", self->name, seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

static void say_errors(const async_nursery *nursery)
{
    size_t i;
    for (i = 0; i < async_group_error_count(&nursery->group); i++) {
        const char *name = async_group_error_name(&nursery->group, i);
        say("%s=%s", name != NULL ? name : "body",
            async_error_name(async_group_error(&nursery->group, i)));
    }
}

/* --- the block ----------------------------------------------------------- */

struct waits { ASYNC_FRAME; async_nursery nursery; ASYNC_TASK_OF(work) one; };
struct spawns { ASYNC_FRAME; async_nursery *into; };
static ASYNC(spawns)
{
    ASYNC_BEGIN(spawns);
    AWAIT(async_sleep, ASYNC_SECONDS(2));
    async_nursery_spawn(self->into, CO(work, "late", 3));
    ASYNC_END;
}
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(work, "a", 2));
        ASYNC_NURSERY_SPAWN(self->one, &self->nursery, work, "b", 1);
        async_nursery_spawn(&self->nursery, CO(spawns, &self->nursery));
        say("body");
    }
    ASYNC_END_NURSERY
    say("end@%d %d", seconds(), ASYNC_TASK_RESULT(self->one));
    async_task_release(self->one.task);
    ASYNC_NURSERY(&self->nursery) {
        say("never");
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

static void
it_is_left_when_all_children_have_ended_and_not_used_twice(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits), ASYNC_EGROUPUSED);
    assert_said("body b@1 a@2 late@5 end@5 1");
}

struct empty { ASYNC_FRAME; async_nursery nursery; int i; };
static ASYNC(empty)
{
    ASYNC_BEGIN(empty);
    for (; self->i < 3; self->i++) {
        ASYNC_NURSERY(&self->nursery) {
            if (self->i == 1) continue; /* and so it is not cleared */
        }
        ASYNC_END_NURSERY
        assert_int_equal(async_nursery_clear(&self->nursery), 0);
        say("%d", self->i);
    }
    ASYNC_END;
}

static void cleared_it_may_be_entered_again(void **s)
{
    (void)s;
    assert_int_equal(RUN(empty), ASYNC_EGROUPUSED);
    assert_said("0");
}

struct fails { ASYNC_FRAME; int body; async_nursery nursery; };
static ASYNC(fails)
{
    ASYNC_BEGIN(fails);
    ASYNC_TRY {
        ASYNC_NURSERY(&self->nursery) {
            async_nursery_spawn(&self->nursery, CO(work, "a", 1, EKEY));
            async_nursery_spawn(&self->nursery, CO(work, "b", 5));
            async_nursery_spawn(&self->nursery, CO(stubborn, "c"));
            async_nursery_spawn(&self->nursery, CO(tidy, "d", 2));
            if (self->body) ASYNC_RAISE(EVALUE);
            ASYNC_TRY {
                AWAIT(async_sleep, ASYNC_SECONDS(9));
            } ASYNC_FINALLY {
                say("body@%d", seconds());
            } ASYNC_END_TRY
        }
        ASYNC_END_NURSERY
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        say("group@%d", seconds());
        say_errors(&self->nursery);
    } ASYNC_END_TRY
    assert_int_equal(async_task_cancelling(async_current_task()), 0);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void a_failure_cancels_children_and_body_until_they_have_ended(void **s)
{
    (void)s;
    assert_int_equal(RUN(fails, 0), 0);
    assert_said("body@1 b:cancelled@1 c:told@1 c:told@1 c:told@1 d:tidy@3 "
                "group@3 Task-2=EKEY");
}

static void so_does_an_error_of_the_body(void **s)
{
    (void)s;
    assert_int_equal(RUN(fails, 1), 0);
    /* They run to their first await. */
    assert_said("a:cancelled@0 b:cancelled@0 c:told@0 c:told@0 c:told@0 "
                "d:tidy@2 group@2 "
                "body=EVALUE");
}

struct ends_early { ASYNC_FRAME; int how; async_nursery nursery; };
static ASYNC(ends_early)
{
    ASYNC_BEGIN(ends_early);
    if (self->how == 0) async_nursery_cancel(&self->nursery);
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(work, "a", 5));
        if (self->how == 1) async_nursery_cancel(&self->nursery);
        if (self->how == 3) {
            AWAIT(async_sleep, ASYNC_SECONDS(1));
            async_group_cancel(&self->nursery.group); /* the same */
        }
        if (self->how == 2) {
            async_scope_set_deadline(&self->nursery.scope, ASYNC_SECONDS(1));
            AWAIT(async_sleep, ASYNC_SECONDS(2));
        }
        async_nursery_spawn(&self->nursery, CO(work, "late", 5));
    }
    ASYNC_END_NURSERY
    say("%d@%d", async_scope_cancelled_caught(&self->nursery.scope),
        seconds());
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void it_may_be_ended_early_and_that_is_no_error(void **s)
{
    (void)s;
    assert_int_equal(RUN(ends_early, 0), 0);
    assert_said("a:cancelled@0 late:cancelled@0 1@0");
    assert_int_equal(RUN(ends_early, 1), 0);
    assert_said("a:cancelled@0 late:cancelled@0 1@0");
    assert_int_equal(RUN(ends_early, 2), 0);
    assert_said("a:cancelled@1 1@1");
    assert_int_equal(RUN(ends_early, 3), 0);
    assert_said("a:cancelled@1 late:cancelled@1 1@1");
}

/* --- cancellation -------------------------------------------------------- */

struct around { ASYNC_FRAME; async_scope scope; async_nursery nursery; };
static ASYNC(around)
{
    ASYNC_BEGIN(around);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        ASYNC_NURSERY(&self->nursery) {
            async_nursery_spawn(&self->nursery, CO(work, "a", 5));
            async_nursery_spawn(&self->nursery, CO(tidy, "b", 3));
            async_nursery_spawn(&self->nursery, CO(stubborn, "c"));
        }
        ASYNC_END_NURSERY
        say("never");
    }
    ASYNC_END_SCOPE
    say("%d,%d@%d", async_scope_cancelled_caught(&self->scope),
        async_scope_cancelled_caught(&self->nursery.scope), seconds());
    ASYNC_END;
}

static void a_scope_around_it_cancels_all_and_is_told_of_it(void **s)
{
    (void)s;
    assert_int_equal(RUN(around), 0);
    assert_said("a:cancelled@1 c:told@1 c:told@1 c:told@1 b:tidy@4 1,0@4");
}

struct is_cancelled { ASYNC_FRAME; async_task *task; int after, error; };
struct holds { ASYNC_FRAME; async_nursery nursery; };
static ASYNC(holds)
{
    ASYNC_BEGIN(holds);
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(work, "a", 5));
        async_nursery_spawn(&self->nursery, CO(tidy, "b", 2));
        AWAIT(async_sleep, ASYNC_SECONDS(2));
    }
    ASYNC_END_NURSERY
    say("never");
    ASYNC_END;
}
static ASYNC(is_cancelled)
{
    ASYNC_BEGIN(is_cancelled);
    self->task = async_create_task(CO(holds));
    AWAIT(async_sleep, ASYNC_SECONDS(self->after));
    async_task_cancel(self->task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s@%d", async_error_name(self->error), seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_request_to_the_task_cancels_it_and_goes_on(void **s)
{
    (void)s;
    assert_int_equal(RUN(is_cancelled, NULL, 1), 0); /* in the body */
    assert_said("a:cancelled@1 b:tidy@3 ASYNC_ECANCELED@3");
    assert_int_equal(RUN(is_cancelled, NULL, 3), 0); /* at its end */
    assert_said("a:cancelled@3 b:tidy@5 ASYNC_ECANCELED@5");
}

/* A child stands in the nursery's scopes, not in those of who spawned it. */
struct elsewhere { ASYNC_FRAME; async_nursery *into; async_scope scope; };
static ASYNC(elsewhere)
{
    ASYNC_BEGIN(elsewhere);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        async_nursery_spawn(self->into, CO(work, "child", 3));
        AWAIT(async_sleep, ASYNC_SECONDS(9));
    }
    ASYNC_END_SCOPE
    say("left@%d", seconds());
    ASYNC_END;
}
struct inherits { ASYNC_FRAME; async_nursery nursery; };
static ASYNC(inherits)
{
    ASYNC_BEGIN(inherits);
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(elsewhere, &self->nursery));
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

static void
a_child_stands_in_the_nurserys_scopes_wherever_it_is_spawned(void **s)
{
    (void)s;
    assert_int_equal(RUN(inherits), 0);
    assert_said("left@1 child@3");
}

struct inner { ASYNC_FRAME; int depth; async_nursery nursery; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_NURSERY(&self->nursery) {
        if (self->depth > 0)
            async_nursery_spawn(&self->nursery, CO(inner, self->depth - 1));
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}
struct deep { ASYNC_FRAME; async_scope scope; };
static ASYNC(deep)
{
    ASYNC_BEGIN(deep);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT(inner, 3000);
    }
    ASYNC_END_SCOPE
    say("%d@%d", async_scope_cancelled_caught(&self->scope), seconds());
    ASYNC_END;
}

static void thousands_inside_each_other_are_cancelled_at_once(void **s)
{
    (void)s;
    assert_int_equal(RUN(deep), 0);
    assert_said("1@1");
}

struct many { ASYNC_FRAME; async_nursery nursery; int i; };
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    ASYNC_NURSERY(&self->nursery) {
        for (self->i = 0; self->i < 10000; self->i++)
            async_nursery_spawn(&self->nursery,
                                CO(async_sleep, ASYNC_SECONDS(self->i)));
        AWAIT(async_sleep, ASYNC_SECONDS(5000));
        async_nursery_cancel(&self->nursery);
    }
    ASYNC_END_NURSERY
    say("%d", seconds());
    ASYNC_END;
}

static void ten_thousand_children_leave_nothing_behind(void **s)
{
    (void)s;
    assert_int_equal(RUN(many), 0);
    assert_said("5000");
}

/* --- start --------------------------------------------------------------- */

typedef ASYNC_STARTING(int) int_starting;

struct service {
    ASYNC_FRAME;
    int_starting *start;
    int before, behind; /* seconds, and raising when less than 0 */
};
static ASYNC(service)
{
    ASYNC_BEGIN(service);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(abs(self->before)));
        if (self->before < 0) ASYNC_RAISE(EKEY);
        ASYNC_STARTED(self->start, 80);
        ASYNC_STARTED(self->start, 81); /* it is NULL by now */
        AWAIT(async_sleep, ASYNC_SECONDS(abs(self->behind)));
        if (self->behind < 0) ASYNC_RAISE(EVALUE);
        say("served@%d", seconds());
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled@%d", seconds());
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct quits { ASYNC_FRAME; int_starting *start; };
static ASYNC(quits)
{
    ASYNC_BEGIN(quits);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}

struct starts {
    ASYNC_FRAME;
    int before, behind;
    async_nursery nursery;
    int_starting start;
    int error;
};
static ASYNC(starts)
{
    ASYNC_BEGIN(starts);
    ASYNC_TRY {
        ASYNC_NURSERY(&self->nursery) {
            ASYNC_TRY {
                AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                                    &self->start, self->before, self->behind);
                say("%d@%d", self->start.value, seconds());
            } ASYNC_EXCEPT_ANY(self->error) {
                say("%s@%d", async_error_name(self->error), seconds());
            } ASYNC_END_TRY
            async_nursery_spawn(&self->nursery, CO(work, "other", 1));
        }
        ASYNC_END_NURSERY
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        say_errors(&self->nursery);
    } ASYNC_END_TRY
    say("end@%d", seconds());
    ASYNC_END;
}

static void start_waits_until_the_child_has_started_and_has_its_value(void **s)
{
    (void)s;
    assert_int_equal(RUN(starts, 2, 3), 0);
    assert_said("80@2 other@3 served@5 end@5");
    assert_int_equal(RUN(starts, 0, 0), 0);
    assert_said("80@0 served@0 other@1 end@1");
}

static void an_error_before_is_its_starters_and_behind_the_nurserys(void **s)
{
    (void)s;
    assert_int_equal(RUN(starts, -2, 3), 0);
    assert_said("EKEY@2 other@3 end@3");
    assert_int_equal(RUN(starts, 1, -1), 0);
    assert_said("80@1 other@2 Task-2=EVALUE end@2");
}

struct start_quits { ASYNC_FRAME; async_nursery nursery; int_starting start; };
static ASYNC(start_quits)
{
    ASYNC_BEGIN(start_quits);
    ASYNC_NURSERY(&self->nursery) {
        ASYNC_TRY {
            AWAIT_NURSERY_START(&self->nursery, &self->start, quits,
                                &self->start);
        } ASYNC_EXCEPT(ASYNC_ENOTSTARTED) {
            say("not started@%d", seconds());
        } ASYNC_END_TRY
        /* Nobody waits for it: that is ignored. */
        async_nursery_spawn(&self->nursery, CO(service, NULL, 1, 1));
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

static void a_child_that_ends_without_is_an_error_and_null_is_ignored(void **s)
{
    (void)s;
    assert_int_equal(RUN(start_quits), 0);
    assert_said("not started@1 served@3");
}

/* Limited from around the start, and from around all. */
struct start_limited {
    ASYNC_FRAME;
    int before, limit;
    async_nursery nursery;
    async_scope scope;
    int_starting start;
};
static ASYNC(start_limited)
{
    ASYNC_BEGIN(start_limited);
    ASYNC_NURSERY(&self->nursery) {
        ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(self->limit)) {
            AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                                &self->start, self->before, 5);
            say("%d@%d", self->start.value, seconds());
            AWAIT(async_sleep, ASYNC_SECONDS(100));
        }
        ASYNC_END_SCOPE
        say("%d@%d", async_scope_cancelled_caught(&self->scope), seconds());
    }
    ASYNC_END_NURSERY
    say("end@%d", seconds());
    ASYNC_END;
}

static void until_it_has_started_it_stands_in_its_starters_scopes(void **s)
{
    (void)s;
    assert_int_equal(RUN(start_limited, 3, 1), 0);
    assert_said("cancelled@1 1@1 end@1");
    assert_int_equal(RUN(start_limited, 1, 3), 0);
    assert_said("80@1 1@3 served@6 end@6");
}

/* Limited while the child, which has not started, cleans up in a shield. */
struct slow_quits { ASYNC_FRAME; int_starting *start; async_scope shield; };
static ASYNC(slow_quits)
{
    ASYNC_BEGIN(slow_quits);
    ASYNC_SHIELD_SCOPE(&self->shield) {
        AWAIT(async_sleep, ASYNC_SECONDS(3));
        say("slow@%d", seconds());
    }
    ASYNC_END_SCOPE
    AWAIT(async_sleep, ASYNC_SECONDS(3));
    say("never");
    ASYNC_END;
}
struct start_slow {
    ASYNC_FRAME;
    async_nursery nursery;
    async_scope scope;
    int_starting start;
};
static ASYNC(start_slow)
{
    ASYNC_BEGIN(start_slow);
    ASYNC_NURSERY(&self->nursery) {
        ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
            AWAIT_NURSERY_START(&self->nursery, &self->start, slow_quits,
                                &self->start);
        }
        ASYNC_END_SCOPE
        say("%d@%d", async_scope_cancelled_caught(&self->scope), seconds());
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

static void a_scope_around_the_start_leaves_the_childs_shields_alone(void **s)
{
    (void)s;
    assert_int_equal(RUN(start_slow), 0);
    assert_said("slow@3 1@3");
}

struct start_timeout {
    ASYNC_FRAME;
    async_nursery nursery;
    int_starting start;
    async_timeout limit;
};
static ASYNC(start_timeout)
{
    ASYNC_BEGIN(start_timeout);
    ASYNC_NURSERY(&self->nursery) {
        ASYNC_TRY {
            ASYNC_TIMEOUT(&self->limit, ASYNC_SECONDS(1)) {
                AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                                    &self->start, 3, 3);
            } ASYNC_END_TIMEOUT
        } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
            say("too late@%d", seconds());
        } ASYNC_END_TRY
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

static void who_is_cancelled_while_starting_cancels_the_child(void **s)
{
    (void)s;
    assert_int_equal(RUN(start_timeout), 0);
    assert_said("cancelled@1 too late@1");
}

struct start_cancelled {
    ASYNC_FRAME;
    async_nursery nursery;
    async_scope shield;
    int_starting start;
};
static int cancel_nursery(void *nursery)
{
    async_nursery_cancel((async_nursery *)nursery);
    return 0;
}
static ASYNC(start_cancelled)
{
    ASYNC_BEGIN(start_cancelled);
    ASYNC_NURSERY(&self->nursery) {
        async_loop_call_later(async_loop_of(co), NULL, ASYNC_SECONDS(1),
                              cancel_nursery, &self->nursery);
        ASYNC_SHIELD_SCOPE(&self->shield) {
            AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                                &self->start, 2, 3);
            say("%d@%d", self->start.value, seconds());
        }
        ASYNC_END_SCOPE
    }
    ASYNC_END_NURSERY
    say("end@%d", seconds());
    ASYNC_END;
}

static void
one_that_starts_into_a_cancelled_nursery_is_cancelled_then(void **s)
{
    (void)s;
    assert_int_equal(RUN(start_cancelled), 0);
    assert_said("80@2 cancelled@2 end@2");
}

/* From outside of the nursery's body: that must stay open meanwhile. */
struct from_outside { ASYNC_FRAME; async_nursery *into; int_starting start; };
static ASYNC(from_outside)
{
    ASYNC_BEGIN(from_outside);
    AWAIT_NURSERY_START(self->into, &self->start, service, &self->start, 2, 3);
    say("%d@%d", self->start.value, seconds());
    ASYNC_END;
}
struct stays_open { ASYNC_FRAME; async_nursery nursery; async_task *task; };
static ASYNC(stays_open)
{
    ASYNC_BEGIN(stays_open);
    self->task = async_create_task(CO(from_outside, &self->nursery));
    ASYNC_NURSERY(&self->nursery) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    }
    ASYNC_END_NURSERY
    say("end@%d", seconds());
    AWAIT_JOIN(self->task);
    AWAIT(from_outside, &self->nursery); /* now it is over */
    ASYNC_END;
}

static void one_that_is_being_started_keeps_it_open(void **s)
{
    (void)s;
    assert_int_equal(RUN(stays_open), ASYNC_EGROUPOVER);
    assert_said("80@2 served@5 end@5 "
                "[a coroutine was never awaited: ASYNC_EGROUPOVER]");
}

/* --- by chance ----------------------------------------------------------- */

/* A tree of nurseries whose tasks spawn, start, fail, shield themselves, cancel
 * nurseries and tasks, in any order.  All of it ends, and behind a nursery none
 * of its children is left. */
static uint32_t seed;
static int chance(int below)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return (int)(seed % (uint32_t)below);
}
enum { OPEN = 64 };
static async_nursery *open_ones[OPEN];
static int alive[OPEN], numbers_used, made, ended;

struct node {
    ASYNC_FRAME;
    int depth, parent;
    int_starting *start;
    int number, i, error;
    async_nursery nursery;
    async_scope scope;
    int_starting own;
};
static void end_of(const struct node *self)
{
    ended++;
    if (self->parent >= 0) alive[self->parent]--;
}
static ASYNC(node)
{
    ASYNC_BEGIN(node);
    made++;
    if (self->parent >= 0) alive[self->parent]++;
    ASYNC_TRY {
        if (chance(4)) AWAIT(async_sleep, chance(5));
        if (chance(5)) ASYNC_STARTED(self->start, self->depth);
        if (self->depth < 4 && numbers_used < OPEN) {
            self->number = numbers_used++;
            ASYNC_NURSERY(&self->nursery) {
                open_ones[self->number] = &self->nursery;
                for (; self->i < 3; self->i++) {
                    if (chance(2)) {
                        async_nursery_spawn(
                            &self->nursery,
                            CO(node, self->depth + 1, self->number));
                    } else if (chance(2)) {
                        AWAIT_NURSERY_START(&self->nursery, &self->own, node,
                                            self->depth + 1, self->number,
                                            &self->own);
                    } else {
                        ASYNC_MOVE_ON_AFTER(&self->scope, chance(5)) {
                            async_scope_set_shield(&self->scope, chance(2));
                            AWAIT(async_sleep, chance(9));
                        }
                        ASYNC_END_SCOPE
                    }
                    if (!chance(8)) ASYNC_RAISE(EKEY);
                }
            }
            ASYNC_END_NURSERY
        }
        if (!chance(12)) ASYNC_RAISE(EVALUE);
    } ASYNC_EXCEPT_ALL(self->error) {
        if (self->number == 0 && self->i == 0) self->number = -1;
    } ASYNC_END_TRY
    if (self->number >= 0 && open_ones[self->number] == &self->nursery) {
        if (alive[self->number] != 0) say("%d left", alive[self->number]);
        open_ones[self->number] = NULL;
    }
    end_of(self);
    if (self->error && chance(2)) ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct disturbs { ASYNC_FRAME; async_task *root; int i, error; };
static ASYNC(disturbs)
{
    async_task *task;
    int n;
    ASYNC_BEGIN(disturbs);
    self->root = async_create_task(CO(node, 0, -1));
    for (; self->i < 12; self->i++) {
        AWAIT(async_sleep, chance(2));
        n = chance(OPEN);
        if (!chance(3) && open_ones[n] != NULL)
            async_nursery_cancel(open_ones[n]);
        task = NULL;
        n = chance(20);
        while (n-- >= 0) {
            task = async_all_tasks(&loop.base, task);
            if (task == NULL) break;
        }
        if (task != NULL && task != async_current_task() && !chance(2) &&
            task->co->top->state != 0)
            async_task_cancel(task);
    }
    ASYNC_TRY {
        AWAIT_JOIN(self->root);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    ASYNC_END;
}

static int silent(async_loop *of, const async_exception_context *context,
                  void *argument)
{
    (void)of, (void)context, (void)argument;
    return 0;
}

static void by_chance_all_of_it_ends_and_nothing_is_left_behind(void **s)
{
    uint32_t round;
    (void)s;
    made = 0;
    for (round = 1; round <= 1500; round++) {
        seed = round * 2654435761u;
        memset(open_ones, 0, sizeof open_ones);
        memset(alive, 0, sizeof alive);
        numbers_used = ended = 0;
        async_virtual_loop_init(&loop, NULL);
        async_virtual_loop_shuffle(&loop, round % 2 ? 0 : round);
        async_loop_set_exception_handler(&loop.base, silent, NULL);
        if (round % 3 == 0) make_tasks_eager(&loop.base);
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(disturbs)), 0);
        assert_said("");
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
    }
    assert_true(made > 5000);
}

/* --- other things -------------------------------------------------------- */

struct eager { ASYNC_FRAME; async_nursery nursery; int_starting start; };
static ASYNC(eager)
{
    ASYNC_BEGIN(eager);
    make_tasks_eager(async_loop_of(co));
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(async_checkpoint));
        async_nursery_spawn(&self->nursery, CO(work, "a", 0));
        async_nursery_spawn(&self->nursery, CO(work, "b", 1));
        AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                            &self->start, 0, 0);
        say("%d", self->start.value);
        async_nursery_cancel(&self->nursery);
    }
    ASYNC_END_NURSERY
    say("end@%d", seconds());
    ASYNC_END;
}

struct nothing { ASYNC_FRAME; int_starting *start; };
static ASYNC(nothing)
{
    ASYNC_BEGIN(nothing);
    ASYNC_STARTED(self->start, 7);
    ASYNC_END;
}
struct eager_nothing {
    ASYNC_FRAME;
    async_nursery nursery;
    int_starting start;
};
static ASYNC(eager_nothing)
{
    ASYNC_BEGIN(eager_nothing);
    make_tasks_eager(async_loop_of(co));
    ASYNC_NURSERY(&self->nursery) {
        async_nursery_spawn(&self->nursery, CO(nothing));
        AWAIT_NURSERY_START(&self->nursery, &self->start, nothing,
                            &self->start);
        say("%d", self->start.value);
        async_nursery_spawn(&self->nursery, CO(nothing));
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

static void children_may_be_eager(void **s)
{
    (void)s;
    assert_int_equal(RUN(eager), 0);
    assert_said("a@0 80 served@0 b:cancelled@0 end@0");
    assert_int_equal(RUN(eager_nothing), 0);
    assert_said("7");
}

static async_nursery fresh;
struct wrong { ASYNC_FRAME; async_nursery nursery; int_starting start; };
static ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    assert_null(async_nursery_spawn(&fresh, CO(quits)));
    assert_int_equal(async_last_error(), ASYNC_EGROUPNEW);
    ASYNC_NURSERY(&self->nursery) {
        assert_int_equal(async_nursery_clear(&self->nursery), ASYNC_EBUSY);
        assert_null(async_nursery_spawn(
            &self->nursery, async_task_object(async_current_task())));
        assert_int_equal(async_last_error(), ASYNC_EINVAL);
    }
    ASYNC_END_NURSERY
    assert_null(async_nursery_spawn(&self->nursery, CO(quits)));
    assert_int_equal(async_last_error(), ASYNC_EGROUPOVER);
    ASYNC_END;
}

static void what_cannot_be_is_an_error_and_reported(void **s)
{
    (void)s;
    assert_int_equal(RUN(wrong), 0);
    assert_said("[a coroutine was never awaited: ASYNC_EGROUPNEW] "
                "[a coroutine was never awaited: ASYNC_EINVAL] "
                "[a coroutine was never awaited: ASYNC_EGROUPOVER]");
}

static void it_needs_a_task(void **s)
{
    void *memory[128];
    async by_hand;
    (void)s;
    async_init(&by_hand, memory, sizeof memory, CO(empty));
    assert_int_equal(async_send(&by_hand), ASYNC_EGROUPTASK);
    async_close(&by_hand);
}

/* Memory that gives out after some blocks. */
static long blocks;
static void *limited(void *context, size_t size)
{
    (void)context;
    return blocks-- > 0 ? malloc(size) : NULL;
}
static void limited_release(void *context, void *memory, size_t size)
{
    (void)context, (void)size;
    free(memory);
}

static void without_memory_nothing_is_left_behind(void **s)
{
    const async_allocator allocator = { limited, limited_release, NULL };
    long n;
    int error = -1, failed = 0;
    (void)s;
    for (n = 0; error != 0 && n < 100; n++) {
        blocks = n;
        async_virtual_loop_init(&loop, &allocator);
        async_loop_set_exception_handler(&loop.base, report, NULL);
        error = async_loop_run_until_complete(&loop.base, CO(starts, 1, 1));
        failed +=
            error == ASYNC_ENOMEM || strstr(unit_said, "ASYNC_ENOMEM") != NULL;
        if (strstr(unit_said, "ASYNC_ENOMEM") != NULL) error = -1;
        assert_int_equal(async_loop_count_tasks(&loop.base), 0);
        assert_int_equal(async_loop_close(&loop.base), 0);
        unit_begin(NULL);
    }
    assert_int_equal(error, 0);
    assert_true(failed > 2);
}

struct stops { ASYNC_FRAME; };
static ASYNC(stops)
{
    ASYNC_BEGIN(stops);
    async_task_release(async_create_task(CO(holds)));
    async_task_release(async_create_task(CO(starts, 5, 5)));
    async_task_release(async_create_task(CO(start_cancelled)));
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_END;
}

static void a_loop_may_be_closed_while_one_is_open(void **s)
{
    (void)s;
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, report, NULL);
    assert_int_equal(async_loop_run_until_complete(&loop.base, CO(stops)), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    unit_begin(NULL);
}

UNIT_MAIN(TEST(it_is_left_when_all_children_have_ended_and_not_used_twice),
          TEST(cleared_it_may_be_entered_again),
          TEST(a_failure_cancels_children_and_body_until_they_have_ended),
          TEST(so_does_an_error_of_the_body),
          TEST(it_may_be_ended_early_and_that_is_no_error),
          TEST(a_scope_around_it_cancels_all_and_is_told_of_it),
          TEST(a_request_to_the_task_cancels_it_and_goes_on),
          TEST(a_child_stands_in_the_nurserys_scopes_wherever_it_is_spawned),
          TEST(thousands_inside_each_other_are_cancelled_at_once),
          TEST(ten_thousand_children_leave_nothing_behind),
          TEST(start_waits_until_the_child_has_started_and_has_its_value),
          TEST(an_error_before_is_its_starters_and_behind_the_nurserys),
          TEST(a_child_that_ends_without_is_an_error_and_null_is_ignored),
          TEST(until_it_has_started_it_stands_in_its_starters_scopes),
          TEST(a_scope_around_the_start_leaves_the_childs_shields_alone),
          TEST(who_is_cancelled_while_starting_cancels_the_child),
          TEST(one_that_starts_into_a_cancelled_nursery_is_cancelled_then),
          TEST(one_that_is_being_started_keeps_it_open),
          TEST(by_chance_all_of_it_ends_and_nothing_is_left_behind),
          TEST(children_may_be_eager),
          TEST(what_cannot_be_is_an_error_and_reported), TEST(it_needs_a_task),
          TEST(without_memory_nothing_is_left_behind),
          TEST(a_loop_may_be_closed_while_one_is_open))
