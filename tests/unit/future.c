/* Futures: how they end, who is told and when, awaiting them, and operations
 * of one's own. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

static async_virtual_loop loop;

/* A handler that tells the error and the message. */
static int tell(async_loop *l, const async_exception_context *context,
                void *argument)
{
    (void)l, (void)argument;
    say("[%s: %s]", context->message, async_error_name(context->error));
    return 0;
}

static void open_loop(void)
{
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_exception_handler(&loop.base, tell, NULL);
}

static void close_loop(void)
{
    assert_int_equal(async_loop_close(&loop.base), 0);
}

/* One iteration, in which time stands still. */
static void iterate(void)
{
    async_loop_stop(&loop.base);
    assert_int_equal(async_loop_run_forever(&loop.base), 0);
}

static int say_it(void *word)
{
    say("%s", (const char *)word);
    return 0;
}

static void soon(const char *word)
{
    assert_int_equal(async_loop_call_soon(&loop.base, NULL, say_it,
                                          (void *)(uintptr_t)word),
                     0);
}

static const char *name_of(int error)
{
    return error ? async_error_name(error) : "ok";
}

/* A done callback that says its word and how the future ended. */
static int done(async_future *future, void *word)
{
    say("%s:%s", (const char *)word, name_of(async_future_result(future)));
    return 0;
}

static void when_done(async_future *future, async_done_callback *node,
                      const char *word)
{
    assert_int_equal(async_future_add_done_callback(future, node, done,
                                                    (void *)(uintptr_t)word),
                     0);
}

typedef ASYNC_FUTURE(int) int_future;

/* Awaits one, and says how that ended. */
struct waits { ASYNC_FRAME; int_future *f; const char *name; int n, error; };
static ASYNC(waits)
{
    ASYNC_BEGIN(waits);
    ASYNC_TRY {
        AWAIT_FUTURE_INTO(self->n, self->f);
        say("%s=%d", self->name, self->n);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s!%s", self->name, name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_task *waiter(int_future *f, const char *name)
{
    return async_loop_create_task(&loop.base, CO(waits, f, name));
}

/* --- how a future ends ---------------------------------------------------- */

static void a_future_is_pending_until_it_gets_a_result(void **s)
{
    async_future f;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    assert_false(async_future_done(&f));
    assert_false(async_future_cancelled(&f));
    assert_ptr_equal(async_future_get_loop(&f), &loop.base);
    assert_int_equal(async_future_set_result(&f), 0);
    assert_true(async_future_done(&f));
    assert_false(async_future_cancelled(&f));
    assert_int_equal(async_future_result(&f), 0);
    close_loop();
}

static void a_future_may_end_with_an_error(void **s)
{
    async_future f;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    assert_int_equal(async_future_set_exception(&f, EKEY), 0);
    assert_true(async_future_done(&f));
    assert_false(async_future_cancelled(&f));
    assert_int_equal(async_future_result(&f), EKEY);
    assert_int_equal(async_future_result(&f), EKEY); /* as often as you like */
    close_loop();
}

static void a_future_may_be_cancelled(void **s)
{
    async_future f;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    assert_int_equal(async_future_cancel(&f), 1);
    assert_true(async_future_done(&f));
    assert_true(async_future_cancelled(&f));
    assert_int_equal(async_future_result(&f), ASYNC_ECANCELED);
    close_loop();
}

static void zeroed_memory_with_a_loop_is_a_pending_future(void **s)
{
    int_future f;
    async_task *task;
    (void)s;
    open_loop();
    memset(&f, 0, sizeof f);
    f.future.loop = &loop.base;
    task = waiter(&f, "w");
    iterate();
    assert_false(async_future_done(&f.future));
    assert_int_equal(ASYNC_SET_RESULT(&f, 5), 0);
    iterate();
    assert_said("w=5");
    async_task_release(task);
    close_loop();
}

static void a_future_ends_once(void **s)
{
    int how;
    (void)s;
    open_loop();
    for (how = 0; how < 3; how++) {
        static const int results[] = { 0, EKEY, ASYNC_ECANCELED };
        async_future f;
        async_future_init(&f, &loop.base);
        if (how == 0) async_future_set_result(&f);
        if (how == 1) async_future_set_exception(&f, EKEY);
        if (how == 2) async_future_cancel(&f);
        assert_int_equal(async_future_set_result(&f), ASYNC_EINVALSTATE);
        assert_int_equal(async_future_set_exception(&f, EVALUE),
                         ASYNC_EINVALSTATE);
        assert_int_equal(async_future_cancel(&f), 0);
        assert_int_equal(async_future_result(&f), results[how]);
        assert_int_equal(async_future_cancelled(&f), how == 2);
    }
    close_loop();
}

static void a_result_is_not_ready_while_the_future_is_pending(void **s)
{
    async_future f;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    assert_int_equal(async_future_result(&f), ASYNC_ENOTREADY);
    assert_false(async_future_done(&f));
    close_loop();
}

static void a_typed_future_has_its_value_beside_it(void **s)
{
    ASYNC_FUTURE(double) f;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    assert_int_equal(ASYNC_SET_RESULT(&f, 0.5), 0);
    assert_int_equal(async_future_result(&f.future), 0);
    assert_true(ASYNC_FUTURE_VALUE(&f) == 0.5);
    close_loop();
}

static void a_value_that_comes_too_late_changes_nothing(void **s)
{
    int_future first, failed;
    (void)s;
    open_loop();
    async_future_init(&first.future, &loop.base);
    ASYNC_SET_RESULT(&first, 1);
    assert_int_equal(ASYNC_SET_RESULT(&first, 2), ASYNC_EINVALSTATE);
    assert_int_equal(ASYNC_FUTURE_VALUE(&first), 1);
    async_future_init(&failed.future, &loop.base);
    failed.value = 3;
    async_future_cancel(&failed.future);
    assert_int_equal(ASYNC_SET_RESULT(&failed, 4), ASYNC_EINVALSTATE);
    assert_int_equal(ASYNC_FUTURE_VALUE(&failed), 3);
    close_loop();
}

static void only_an_error_can_be_set_as_one(void **s)
{
    async_future f;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    assert_int_equal(async_future_set_exception(&f, 0), ASYNC_EINVAL);
    assert_int_equal(async_future_set_exception(&f, 1), ASYNC_EINVAL);
    assert_int_equal(async_future_set_exception(&f, -32769), ASYNC_EINVAL);
    assert_int_equal(async_future_set_exception(&f, ASYNC_ESTOPITERATION),
                     ASYNC_ESTOPFUTURE);
    assert_false(async_future_done(&f));
    assert_int_equal(async_future_set_exception(&f, -32768), 0);
    assert_int_equal(async_future_result(&f), -32768);
    close_loop();
}

static void a_task_takes_no_result_from_outside(void **s)
{
    int_future f;
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    task = waiter(&f, "w");
    assert_int_equal(async_future_set_result(&task->future),
                     ASYNC_ETASKRESULT);
    assert_int_equal(async_future_set_exception(&task->future, EKEY),
                     ASYNC_ETASKEXCEPTION);
    ASYNC_SET_RESULT(&f, 1);
    iterate();
    assert_int_equal(async_future_set_result(&task->future),
                     ASYNC_ETASKRESULT); /* nor when it is done */
    assert_said("w=1");
    async_task_release(task);
    close_loop();
}

/* --- done callbacks ------------------------------------------------------- */

static void done_callbacks_run_in_order_in_the_next_iteration(void **s)
{
    async_future f;
    async_done_callback a = { 0 }, b = { 0 }, c = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    when_done(&f, &a, "a");
    when_done(&f, &b, "b");
    when_done(&f, &c, "c");
    iterate();
    assert_said("");
    soon("before");
    async_future_set_exception(&f, EKEY);
    soon("after");
    assert_said(""); /* never inside the call */
    iterate();
    assert_said("before a:EKEY b:EKEY c:EKEY after");
    close_loop();
}

static void done_callbacks_are_called_for_cancellation_too(void **s)
{
    async_future f;
    async_done_callback a = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    when_done(&f, &a, "a");
    async_future_cancel(&f);
    iterate();
    assert_said("a:ASYNC_ECANCELED");
    close_loop();
}

static void
callbacks_and_tasks_are_told_in_the_order_in_which_they_came(void **s)
{
    int_future f;
    async_done_callback a = { 0 }, b = { 0 }, c = { 0 };
    async_task *x, *y;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    when_done(&f.future, &a, "a");
    x = waiter(&f, "x");
    iterate();
    when_done(&f.future, &b, "b");
    y = waiter(&f, "y");
    iterate();
    when_done(&f.future, &c, "c");
    ASYNC_SET_RESULT(&f, 1);
    iterate();
    assert_said("a:ok x=1 b:ok y=1 c:ok");
    async_task_release(x);
    async_task_release(y);
    close_loop();
}

static void
a_callback_added_to_a_done_future_runs_in_the_next_iteration(void **s)
{
    async_future f;
    async_done_callback a = { 0 }, b = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    when_done(&f, &a, "a");
    async_future_set_result(&f);
    soon("ready");
    when_done(&f, &b, "b");
    assert_said("");
    iterate();
    assert_said("a:ok ready b:ok");
    close_loop();
}

static void a_callback_is_removed_while_the_future_is_pending(void **s)
{
    async_future f, other;
    async_done_callback a = { 0 }, b = { 0 }, c = { 0 }, never = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    async_future_init(&other, &loop.base);
    when_done(&f, &a, "a");
    when_done(&f, &b, "b");
    when_done(&f, &c, "c");
    assert_int_equal(async_future_remove_done_callback(&other, &b), 0);
    assert_int_equal(async_future_remove_done_callback(&f, &never), 0);
    assert_int_equal(async_future_remove_done_callback(&f, &b), 1);
    assert_int_equal(async_future_remove_done_callback(&f, &b), 0);
    async_future_set_result(&f);
    iterate();
    assert_said("a:ok c:ok");
    when_done(&other, &b, "again"); /* the node is the caller's */
    async_future_set_result(&other);
    iterate();
    assert_said("again:ok");
    close_loop();
}

static void removing_is_too_late_once_the_future_is_done(void **s)
{
    async_future f;
    async_done_callback before = { 0 }, after = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    when_done(&f, &before, "before");
    async_future_set_result(&f);
    when_done(&f, &after, "after");
    assert_int_equal(async_future_remove_done_callback(&f, &before), 0);
    assert_int_equal(async_future_remove_done_callback(&f, &after), 0);
    iterate();
    assert_said("before:ok after:ok");
    assert_int_equal(async_future_remove_done_callback(&f, &before), 0);
    close_loop();
}

static void a_node_is_withdrawn_in_any_case(void **s)
{
    async_future f;
    async_done_callback pending = { 0 }, woken = { 0 }, late = { 0 };
    async_done_callback runs = { 0 }, never = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    when_done(&f, &pending, "pending");
    when_done(&f, &woken, "woken");
    when_done(&f, &runs, "runs");
    async_done_callback_cancel(&pending);
    async_future_set_result(&f);
    when_done(&f, &late, "late");
    async_done_callback_cancel(&woken);
    async_done_callback_cancel(&late);
    async_done_callback_cancel(&never);
    iterate();
    assert_said("runs:ok");
    async_done_callback_cancel(&runs); /* it has run: nothing to do */
    when_done(&f, &woken, "again");
    when_done(&f, &runs, "too");
    iterate();
    assert_said("again:ok too:ok");
    close_loop();
}

static int withdraw(async_future *future, void *node)
{
    say("withdraw,%d", async_future_remove_done_callback(future, node));
    async_done_callback_cancel(node);
    return 0;
}

static void a_callback_withdraws_another_of_the_same_future(void **s)
{
    async_future f;
    async_done_callback a = { 0 }, b = { 0 }, c = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    async_future_add_done_callback(&f, &a, withdraw, &b);
    when_done(&f, &b, "b");
    when_done(&f, &c, "c");
    async_future_set_result(&f);
    iterate();
    assert_said("withdraw,0 c:ok");
    close_loop();
}

static void a_node_in_use_is_busy(void **s)
{
    async_future f, other;
    async_done_callback node = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    async_future_init(&other, &loop.base);
    when_done(&f, &node, "a");
    assert_int_equal(async_future_add_done_callback(&f, &node, done, "b"),
                     ASYNC_EBUSY);
    assert_int_equal(async_future_add_done_callback(&other, &node, done, "c"),
                     ASYNC_EBUSY);
    async_future_set_result(&f);
    assert_int_equal(async_future_add_done_callback(&f, &node, done, "d"),
                     ASYNC_EBUSY);
    iterate();
    assert_said("a:ok");
    when_done(&f, &node, "e");
    assert_int_equal(async_future_add_done_callback(&f, &node, done, "f"),
                     ASYNC_EBUSY);
    iterate();
    assert_said("e:ok");
    close_loop();
}

static async_done_callback node_of_again;
static int again(async_future *future, void *left)
{
    say("%d", *(int *)left);
    if (--*(int *)left > 0)
        return async_future_add_done_callback(future, &node_of_again, again,
                                              left);
    return 0;
}

static void a_callback_may_add_its_own_node_again(void **s)
{
    async_future f;
    int left = 3;
    (void)s;
    open_loop();
    memset(&node_of_again, 0, sizeof node_of_again);
    async_future_init(&f, &loop.base);
    async_future_add_done_callback(&f, &node_of_again, again, &left);
    async_future_set_result(&f);
    iterate();
    assert_said("3");
    iterate();
    iterate();
    iterate();
    assert_said("2 1");
    close_loop();
}

static int finish(async_future *future, void *other)
{
    say("finish");
    (void)future;
    return async_future_set_result(other);
}

static void
a_callback_that_finishes_another_runs_that_an_iteration_later(void **s)
{
    async_future f, g;
    async_done_callback a = { 0 }, b = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    async_future_init(&g, &loop.base);
    async_future_add_done_callback(&f, &a, finish, &g);
    when_done(&g, &b, "g");
    async_future_set_result(&f);
    iterate();
    assert_said("finish");
    iterate();
    assert_said("g:ok");
    close_loop();
}

static int says_task(async_future *future, void *unused)
{
    (void)future, (void)unused;
    say("%s", async_current_task() == NULL ? "no task" : "in a task");
    return 0;
}

static void a_done_callback_runs_in_no_task(void **s)
{
    int_future f;
    async_done_callback node = { 0 };
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    task = waiter(&f, "w");
    iterate();
    async_future_add_done_callback(&f.future, &node, says_task, NULL);
    ASYNC_SET_RESULT(&f, 1);
    iterate();
    assert_said("w=1 no task");
    async_task_release(task);
    close_loop();
}

/* --- the end of its life -------------------------------------------------- */

static void destroying_a_pending_future_calls_its_callbacks_at_once(void **s)
{
    async_future f;
    async_done_callback a = { 0 }, b = { 0 };
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    when_done(&f, &a, "a");
    when_done(&f, &b, "b");
    async_future_destroy(&f);
    assert_said("a:ASYNC_EDESTROYED b:ASYNC_EDESTROYED");
    iterate();
    assert_said("");
    assert_int_equal(async_future_result(&f), ASYNC_EDESTROYED);
    assert_int_equal(async_future_set_result(&f), ASYNC_EINVALSTATE);
    async_future_init(&f, &loop.base); /* the nodes are the caller's again */
    when_done(&f, &a, "again");
    async_future_destroy(&f);
    assert_said("again:ASYNC_EDESTROYED");
    close_loop();
}

static void who_waits_for_a_destroyed_future_fails_an_iteration_later(void **s)
{
    int_future *f = malloc(sizeof *f);
    async_task *x, *y;
    (void)s;
    open_loop();
    async_future_init(&f->future, &loop.base);
    x = waiter(f, "x");
    y = waiter(f, "y");
    iterate();
    async_future_destroy(&f->future);
    free(f); /* nobody looks at it any more */
    assert_said("");
    iterate();
    assert_said("x!ASYNC_EDESTROYED y!ASYNC_EDESTROYED");
    async_task_release(x);
    async_task_release(y);
    close_loop();
}

static void who_waits_for_a_destroyed_future_can_still_be_cancelled(void **s)
{
    int_future *f = malloc(sizeof *f);
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f->future, &loop.base);
    task = waiter(f, "w");
    iterate();
    async_future_destroy(&f->future);
    free(f);
    async_task_cancel(task);
    iterate();
    assert_said("w!ASYNC_ECANCELED");
    async_task_release(task);
    close_loop();
}

struct destroys { ASYNC_FRAME; async_future *future; };
static ASYNC(destroys)
{
    ASYNC_BEGIN(destroys);
    async_future_destroy(self->future);
    say("%s", async_task_get_name(async_current_task()));
    ASYNC_END;
}

static void destroying_from_a_task_leaves_that_the_current_one(void **s)
{
    async_future f;
    async_done_callback node = { 0 };
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    async_future_add_done_callback(&f, &node, says_task, NULL);
    task = async_loop_create_task(&loop.base, CO(destroys, &f));
    async_task_set_name(task, "destroyer");
    iterate();
    assert_said("no task destroyer");
    async_task_release(task);
    close_loop();
}

static void an_error_that_nobody_took_is_reported_at_the_end(void **s)
{
    async_future f;
    (void)s;
    open_loop();
    async_future_init(&f, &loop.base);
    async_future_set_exception(&f, EKEY);
    async_future_destroy(&f);
    assert_said("[Future exception was never retrieved: EKEY]");
    async_future_destroy(&f); /* once */
    assert_said("");
    close_loop();
}

static void an_error_that_was_taken_is_not_reported(void **s)
{
    int_future awaited;
    async_future asked, cancelled, result, pending;
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&asked, &loop.base);
    async_future_set_exception(&asked, EKEY);
    (void)async_future_result(&asked);
    async_future_destroy(&asked);
    async_future_init(&awaited.future, &loop.base);
    task = waiter(&awaited, "w");
    iterate();
    async_future_set_exception(&awaited.future, EKEY);
    iterate();
    async_future_destroy(&awaited.future);
    assert_said("w!EKEY");
    async_task_release(task);
    async_future_init(&cancelled, &loop.base);
    async_future_cancel(&cancelled);
    async_future_destroy(&cancelled);
    async_future_init(&result, &loop.base);
    async_future_set_result(&result);
    async_future_destroy(&result);
    async_future_init(&pending, &loop.base);
    async_future_destroy(&pending);
    assert_said("");
    close_loop();
}

/* --- awaiting ------------------------------------------------------------- */

static void all_who_wait_get_the_value_in_the_order_of_waiting(void **s)
{
    int_future f;
    async_task *tasks[3];
    int i;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    tasks[0] = waiter(&f, "x");
    tasks[1] = waiter(&f, "y");
    tasks[2] = waiter(&f, "z");
    iterate();
    ASYNC_SET_RESULT(&f, 6);
    assert_said(""); /* never inside the call */
    iterate();
    assert_said("x=6 y=6 z=6");
    for (i = 0; i < 3; i++) async_task_release(tasks[i]);
    close_loop();
}

static void an_error_is_raised_in_all_who_wait(void **s)
{
    int_future f;
    async_task *x, *y;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    x = waiter(&f, "x");
    y = waiter(&f, "y");
    iterate();
    async_future_set_exception(&f.future, EVALUE);
    iterate();
    assert_said("x!EVALUE y!EVALUE");
    async_task_release(x);
    async_task_release(y);
    close_loop();
}

static void a_cancelled_future_raises_cancellation(void **s)
{
    int_future f;
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    task = waiter(&f, "w");
    iterate();
    async_future_cancel(&f.future);
    iterate();
    assert_said("w!ASYNC_ECANCELED");
    assert_int_equal(async_task_cancelling(task), 0); /* nobody asked for it */
    async_task_release(task);
    close_loop();
}

struct awaits_done {
    ASYNC_FRAME;
    int_future *f;
    async_future *failed;
    int n;
};
static ASYNC(awaits_done)
{
    ASYNC_BEGIN(awaits_done);
    async_loop_call_soon(async_loop_of(co), NULL, say_it, "next iteration");
    AWAIT_FUTURE(&self->f->future);
    AWAIT_FUTURE_INTO(self->n, self->f);
    say("%d", self->n);
    ASYNC_TRY {
        AWAIT_FUTURE(self->failed);
    } ASYNC_EXCEPT(EKEY) {
        say("EKEY");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void awaiting_what_is_done_does_not_suspend(void **s)
{
    int_future f;
    async_future failed;
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    async_future_init(&failed, &loop.base);
    ASYNC_SET_RESULT(&f, 3);
    async_future_set_exception(&failed, EKEY);
    task = async_loop_create_task(&loop.base, CO(awaits_done, &f, &failed));
    iterate();
    assert_said("3 EKEY");
    assert_true(async_task_done(task));
    iterate();
    assert_said("next iteration");
    async_task_release(task);
    close_loop();
}

struct counts { ASYNC_FRAME; int_future *f; int evaluated, n; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    AWAIT_FUTURE((self->evaluated++, &self->f->future));
    AWAIT_FUTURE_INTO(self->n, (self->evaluated++, self->f));
    say("%d times, %d", self->evaluated, self->n);
    ASYNC_END;
}

static void the_future_is_evaluated_once(void **s)
{
    int_future f;
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    task = async_loop_create_task(&loop.base, CO(counts, &f));
    iterate();
    ASYNC_SET_RESULT(&f, 4);
    iterate();
    assert_said("2 times, 4");
    async_task_release(task);
    close_loop();
}

struct keeps { ASYNC_FRAME; int_future *f; int n; };
static ASYNC(keeps)
{
    ASYNC_BEGIN(keeps);
    ASYNC_TRY {
        AWAIT_FUTURE_INTO(self->n, self->f);
    } ASYNC_EXCEPT(EKEY) {
        say("%d", self->n);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void the_place_is_untouched_after_an_error(void **s)
{
    int_future f;
    async_task *task;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    f.value = 8;
    task = async_loop_create_task(&loop.base, CO(keeps, &f, 77));
    iterate();
    async_future_set_exception(&f.future, EKEY);
    iterate();
    assert_said("77");
    async_task_release(task);
    close_loop();
}

static void
cancelling_one_who_waits_cancels_the_future_and_so_the_others(void **s)
{
    int_future f;
    async_task *x, *y;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    x = waiter(&f, "x");
    y = waiter(&f, "y");
    iterate();
    async_task_cancel(x);
    assert_true(async_future_cancelled(&f.future));
    iterate();
    assert_said("x!ASYNC_ECANCELED y!ASYNC_ECANCELED");
    assert_int_equal(async_task_cancelling(x), 1);
    assert_int_equal(async_task_cancelling(y), 0);
    async_task_release(x);
    async_task_release(y);
    close_loop();
}

static void one_that_is_woken_can_be_cancelled_until_it_runs(void **s)
{
    int_future f;
    async_task *x, *y;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    x = waiter(&f, "x");
    y = waiter(&f, "y");
    iterate();
    ASYNC_SET_RESULT(&f, 1);
    async_task_cancel(x);
    iterate();
    assert_said("x!ASYNC_ECANCELED y=1");
    assert_int_equal(async_future_result(&f.future), 0);
    async_task_release(x);
    async_task_release(y);
    close_loop();
}

static void a_coroutine_driven_by_hand_takes_only_what_is_done(void **s)
{
    int_future ready, pending;
    void *memory[128];
    async co;
    (void)s;
    open_loop();
    async_future_init(&ready.future, &loop.base);
    async_future_init(&pending.future, &loop.base);
    ASYNC_SET_RESULT(&ready, 2);
    async_init(&co, memory, sizeof memory, CO(waits, &ready, "ready"));
    assert_int_equal(async_send(&co), 0);
    async_init(&co, memory, sizeof memory, CO(waits, &pending, "pending"));
    assert_int_equal(async_send(&co), 0);
    assert_said("ready=2 pending!ASYNC_ENOTASK");
    assert_false(async_future_done(&pending.future));
    ASYNC_SET_RESULT(&pending, 3);
    async_future_destroy(&pending.future); /* and nobody holds it */
    close_loop();
}

static void a_future_of_another_loop_cannot_be_waited_for(void **s)
{
    static async_virtual_loop other;
    int_future ready, pending;
    async_task *x, *y;
    (void)s;
    async_virtual_loop_init(&other, NULL);
    open_loop();
    async_future_init(&ready.future, &other.base);
    async_future_init(&pending.future, &other.base);
    ASYNC_SET_RESULT(&ready, 2);
    x = waiter(&ready, "ready");
    y = waiter(&pending, "pending");
    iterate();
    iterate(); /* asyncio raises what is misused in the next step */
    assert_said("ready=2 pending!ASYNC_EOTHERLOOP");
    ASYNC_SET_RESULT(&pending, 3);
    async_future_destroy(&pending.future); /* nobody holds it */
    async_task_release(x);
    async_task_release(y);
    close_loop();
    assert_int_equal(async_loop_close(&other.base), 0);
}

struct awaits_itself { ASYNC_FRAME; };
static ASYNC(awaits_itself)
{
    ASYNC_BEGIN(awaits_itself);
    ASYNC_TRY {
        AWAIT_FUTURE(&async_current_task()->future);
    } ASYNC_EXCEPT(ASYNC_ESELFAWAIT) {
        say("itself");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_task_cannot_await_itself(void **s)
{
    (void)s;
    open_loop();
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(awaits_itself)), 0);
    assert_said("itself");
    close_loop();
}

static int set_later(void *f)
{
    return ASYNC_SET_RESULT((int_future *)f, 9);
}

/* Futures in the place of coroutines. */
struct stands_in { ASYNC_FRAME; int_future *f; int error; };
static ASYNC(stands_in)
{
    ASYNC_BEGIN(stands_in);
    AWAIT(async_wait_for, async_future_object(&self->f->future),
          ASYNC_SECONDS(2));
    say("%d", ASYNC_FUTURE_VALUE(self->f));
    async_future_init(&self->f->future, async_loop_of(co));
    AWAIT_CATCH(self->error, async_wait_for,
                async_future_object(&self->f->future), ASYNC_SECONDS(2));
    say("%s", name_of(self->error));
    say("%d", async_future_cancelled(&self->f->future));
    ASYNC_END;
}

static void a_future_can_stand_in_the_place_of_a_coroutine(void **s)
{
    int_future f;
    (void)s;
    open_loop();
    async_future_init(&f.future, &loop.base);
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), set_later, &f);
    assert_int_equal(async_loop_run_until_complete(
                         &loop.base, async_future_object(&f.future)),
                     0);
    async_future_init(&f.future, &loop.base);
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), set_later, &f);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(stands_in, &f)), 0);
    assert_said("9 ASYNC_ETIMEDOUT 1");
    assert_int_equal(async_loop_time(&loop.base), ASYNC_SECONDS(4));
    close_loop();
}

/* --- operations ----------------------------------------------------------- */

/* What goes on outside: one operation, and what it does when it is asked to
 * end. */
static struct outside {
    async_operation *operation;
    async_operation_cancel *cancel;
} outside;

static int ends_at_once(async_operation *operation)
{
    say("ends");
    return async_operation_cancelled(operation);
}
static int ends_with_a_result(async_operation *operation)
{
    say("too late");
    async_future_set_result(&operation->future);
    return 1;
}
static int ends_with_an_error(async_operation *operation)
{
    say("fails");
    async_future_set_exception(&operation->future, EKEY);
    return 1;
}
static int will_end(async_operation *operation)
{
    (void)operation;
    say("asked");
    return 1;
}
static int refuses(async_operation *operation)
{
    (void)operation;
    say("refuses");
    return 0;
}

/* The awaitable; the operation lies in its frame. */
struct works { ASYNC_FRAME; async_operation operation; int error; };
static ASYNC(works)
{
    ASYNC_BEGIN(works);
    async_operation_init(&self->operation, async_loop_of(co), outside.cancel);
    outside.operation = &self->operation;
    ASYNC_TRY {
        AWAIT_FUTURE(&self->operation.future);
        say("done");
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_FINALLY {
        outside.operation = NULL;
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Awaits it one level deeper, then lets it run once. */
struct user { ASYNC_FRAME; };
static ASYNC(user)
{
    ASYNC_BEGIN(user);
    AWAIT(works);
    say("after");
    ASYNC_END;
}
static async_task *begin(async_operation_cancel *cancel)
{
    async_task *task;
    outside.cancel = cancel;
    task = async_loop_create_task(&loop.base, CO(user));
    iterate();
    assert_non_null(outside.operation);
    return task;
}
static void end(async_task *task)
{
    assert_true(async_task_done(task));
    assert_null(outside.operation);
    async_task_release(task);
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    close_loop();
}

static void an_operation_is_finished_from_outside(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(refuses);
    assert_false(async_task_done(task));
    assert_int_equal(async_future_set_result(&outside.operation->future), 0);
    assert_said("");
    iterate();
    assert_said("done after");
    end(task);
}

static void an_operation_that_ends_at_once_cancels_its_task_at_once(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(ends_at_once);
    assert_int_equal(async_task_cancel(task), 1);
    assert_said("ends");
    assert_true(async_future_cancelled(&outside.operation->future));
    iterate();
    assert_said("ASYNC_ECANCELED after");
    end(task);
}

static void
an_operation_that_ends_by_itself_overrules_the_cancellation(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(ends_with_a_result);
    assert_int_equal(async_task_cancel(task), 1);
    iterate();
    assert_said("too late done after");
    end(task);
    open_loop();
    task = begin(ends_with_an_error);
    async_task_cancel(task);
    iterate();
    assert_said("fails EKEY after");
    end(task);
}

static void an_operation_that_will_end_keeps_its_task_suspended(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(will_end);
    assert_int_equal(async_task_cancel(task), 1);
    assert_said("asked");
    iterate();
    iterate();
    assert_said(""); /* the frame is there for what goes on outside */
    async_operation_cancelled(outside.operation);
    iterate();
    assert_said("ASYNC_ECANCELED after");
    end(task);
    /* It may end otherwise, in spite of having been asked. */
    open_loop();
    task = begin(will_end);
    async_task_cancel(task);
    async_future_set_result(&outside.operation->future);
    iterate();
    assert_said("asked done after");
    end(task);
}

static void
an_operation_that_refuses_delays_the_cancellation_to_its_end(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(refuses);
    assert_int_equal(async_task_cancel(task), 1);
    assert_said("refuses");
    iterate();
    iterate();
    assert_said("");
    async_future_set_result(&outside.operation->future);
    iterate();
    assert_said("ASYNC_ECANCELED after");
    end(task);
}

static void a_delayed_cancellation_comes_before_the_operations_error(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(refuses);
    async_task_cancel(task);
    async_future_set_exception(&outside.operation->future, EKEY);
    iterate();
    assert_said("refuses ASYNC_ECANCELED after");
    end(task);
}

static void a_delayed_cancellation_can_be_taken_back(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(refuses);
    async_task_cancel(task);
    assert_int_equal(async_task_uncancel(task), 0);
    async_future_set_result(&outside.operation->future);
    iterate();
    assert_said("refuses done after");
    end(task);
}

static void cancelling_the_operation_itself_asks_it(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = begin(refuses);
    assert_int_equal(async_future_cancel(&outside.operation->future), 0);
    assert_said("refuses");
    async_future_set_result(&outside.operation->future);
    assert_int_equal(async_future_cancel(&outside.operation->future), 0);
    assert_said(""); /* it is over: not asked any more */
    iterate();
    assert_said("done after");
    end(task);
    open_loop();
    task = begin(ends_at_once);
    assert_int_equal(async_future_cancel(&outside.operation->future), 1);
    iterate();
    assert_said("ends ASYNC_ECANCELED after");
    end(task);
}

/* Cancelled in the step in which it begins to wait, by itself. */
struct cancels_itself { ASYNC_FRAME; };
static ASYNC(cancels_itself)
{
    ASYNC_BEGIN(cancels_itself);
    async_task_cancel(async_current_task());
    say("still runs");
    AWAIT(works);
    say("after");
    ASYNC_END;
}

static void a_task_that_cancels_itself_asks_what_it_then_waits_for(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    outside.cancel = ends_at_once;
    task = async_loop_create_task(&loop.base, CO(cancels_itself));
    iterate();
    assert_said("still runs ends");
    iterate();
    assert_said("ASYNC_ECANCELED after");
    end(task);
}

UNIT_MAIN(TEST(a_future_is_pending_until_it_gets_a_result),
          TEST(a_future_may_end_with_an_error),
          TEST(a_future_may_be_cancelled),
          TEST(zeroed_memory_with_a_loop_is_a_pending_future),
          TEST(a_future_ends_once),
          TEST(a_result_is_not_ready_while_the_future_is_pending),
          TEST(a_typed_future_has_its_value_beside_it),
          TEST(a_value_that_comes_too_late_changes_nothing),
          TEST(only_an_error_can_be_set_as_one),
          TEST(a_task_takes_no_result_from_outside),
          TEST(done_callbacks_run_in_order_in_the_next_iteration),
          TEST(done_callbacks_are_called_for_cancellation_too),
          TEST(callbacks_and_tasks_are_told_in_the_order_in_which_they_came),
          TEST(a_callback_added_to_a_done_future_runs_in_the_next_iteration),
          TEST(a_callback_is_removed_while_the_future_is_pending),
          TEST(removing_is_too_late_once_the_future_is_done),
          TEST(a_node_is_withdrawn_in_any_case),
          TEST(a_callback_withdraws_another_of_the_same_future),
          TEST(a_node_in_use_is_busy),
          TEST(a_callback_may_add_its_own_node_again),
          TEST(a_callback_that_finishes_another_runs_that_an_iteration_later),
          TEST(a_done_callback_runs_in_no_task),
          TEST(destroying_a_pending_future_calls_its_callbacks_at_once),
          TEST(who_waits_for_a_destroyed_future_fails_an_iteration_later),
          TEST(who_waits_for_a_destroyed_future_can_still_be_cancelled),
          TEST(destroying_from_a_task_leaves_that_the_current_one),
          TEST(an_error_that_nobody_took_is_reported_at_the_end),
          TEST(an_error_that_was_taken_is_not_reported),
          TEST(all_who_wait_get_the_value_in_the_order_of_waiting),
          TEST(an_error_is_raised_in_all_who_wait),
          TEST(a_cancelled_future_raises_cancellation),
          TEST(awaiting_what_is_done_does_not_suspend),
          TEST(the_future_is_evaluated_once),
          TEST(the_place_is_untouched_after_an_error),
          TEST(cancelling_one_who_waits_cancels_the_future_and_so_the_others),
          TEST(one_that_is_woken_can_be_cancelled_until_it_runs),
          TEST(a_coroutine_driven_by_hand_takes_only_what_is_done),
          TEST(a_future_of_another_loop_cannot_be_waited_for),
          TEST(a_task_cannot_await_itself),
          TEST(a_future_can_stand_in_the_place_of_a_coroutine),
          TEST(an_operation_is_finished_from_outside),
          TEST(an_operation_that_ends_at_once_cancels_its_task_at_once),
          TEST(an_operation_that_ends_by_itself_overrules_the_cancellation),
          TEST(an_operation_that_will_end_keeps_its_task_suspended),
          TEST(an_operation_that_refuses_delays_the_cancellation_to_its_end),
          TEST(a_delayed_cancellation_comes_before_the_operations_error),
          TEST(a_delayed_cancellation_can_be_taken_back),
          TEST(cancelling_the_operation_itself_asks_it),
          TEST(a_task_that_cancels_itself_asks_what_it_then_waits_for))
