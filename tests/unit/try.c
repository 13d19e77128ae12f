/* ASYNC_TRY and its arms, with awaits in every one of them. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EKEY, -10001, "no such key")                                            \
    X(EVALUE, -10002, "bad value")
#include "../../async.h"

#include "unit.h"

/* Suspends once, then returns n, or raises it when it is negative. */
struct nap { ASYNC_RETURNS(int); int n; };
static ASYNC(nap)
{
    ASYNC_BEGIN(nap);
    ASYNC_SUSPEND;
    if (self->n < 0) ASYNC_RAISE(self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

/* Drives to the end, and returns how it ended. */
static int finish(async *co)
{
    int result;
    do result = async_send(co);
    while (result == ASYNC_SUSPENDED);
    return result;
}

#define RUN(...)                                                              \
    (assert_int_equal(                                                        \
         async_init(&co, memory, sizeof memory, CO(__VA_ARGS__)), 0),         \
     finish(&co))

#define HARNESS                                                               \
    async co;                                                                 \
    void *memory[256];                                                        \
    (void)s

/* --- except, else, finally ------------------------------------------------ */

struct arms { ASYNC_FRAME; int error, caught; };
static ASYNC(arms)
{
    ASYNC_BEGIN(arms);
    ASYNC_TRY {
        say("body");
        AWAIT(nap, self->error);
        say("end");
    } ASYNC_EXCEPT(EKEY, ASYNC_EBUSY) {
        AWAIT(nap);
        say("key-or-busy");
    } ASYNC_EXCEPT(EVALUE) {
        AWAIT(nap);
        say("value");
    } ASYNC_EXCEPT_ANY(self->caught) {
        AWAIT(nap);
        say("any%d", self->caught);
    } ASYNC_ELSE {
        AWAIT(nap);
        say("else");
    } ASYNC_FINALLY {
        AWAIT(nap);
        say("finally");
    } ASYNC_END_TRY
    say("after");
    ASYNC_END;
}

static void each_error_runs_the_first_arm_that_takes_it(void **s)
{
    HARNESS;
    assert_int_equal(RUN(arms, 0), 0);
    assert_said("body end else finally after");
    assert_int_equal(RUN(arms, EKEY), 0);
    assert_said("body key-or-busy finally after");
    assert_int_equal(RUN(arms, ASYNC_EBUSY), 0);
    assert_said("body key-or-busy finally after");
    assert_int_equal(RUN(arms, EVALUE), 0);
    assert_said("body value finally after");
    assert_int_equal(RUN(arms, -77), 0);
    assert_said("body any-77 finally after");
}

static void except_any_does_not_take_cancellation(void **s)
{
    HARNESS;
    assert_int_equal(RUN(arms, ASYNC_ECANCELED), ASYNC_ECANCELED);
    assert_said("body finally");
    assert_int_equal(RUN(arms, ASYNC_EGENERATOREXIT), ASYNC_EGENERATOREXIT);
    assert_said("body finally");
    assert_int_equal(RUN(arms, ASYNC_EINTR), ASYNC_EINTR);
    assert_said("body finally");
}

struct all { ASYNC_FRAME; int caught; };
static ASYNC(all)
{
    ASYNC_BEGIN(all);
    ASYNC_TRY {
        AWAIT(nap, ASYNC_ECANCELED);
    } ASYNC_EXCEPT_ALL(self->caught) {
        say("all %s", async_error_name(self->caught));
    } ASYNC_END_TRY
    ASYNC_END;
}

static void except_all_takes_cancellation(void **s)
{
    HARNESS;
    assert_int_equal(RUN(all), 0);
    assert_said("all ASYNC_ECANCELED");
}

struct nested { ASYNC_FRAME; int inner, outer; };
static ASYNC(nested)
{
    ASYNC_BEGIN(nested);
    ASYNC_TRY {
        ASYNC_TRY {
            AWAIT(nap, self->inner);
            say("body");
        } ASYNC_EXCEPT(EKEY) {
            AWAIT(nap, self->outer);
            say("key");
        } ASYNC_FINALLY {
            AWAIT(nap);
            say("finally1");
        } ASYNC_END_TRY
        say("between");
    } ASYNC_EXCEPT(EVALUE) {
        say("value");
    } ASYNC_FINALLY {
        say("finally2");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void an_error_in_an_arm_goes_to_the_outer_try_through_finally(void **s)
{
    HARNESS;
    assert_int_equal(RUN(nested, EKEY, EVALUE), 0);
    assert_said("finally1 value finally2");
    assert_int_equal(RUN(nested, EKEY, EKEY), EKEY);
    assert_said("finally1 finally2");
    assert_int_equal(RUN(nested, EVALUE), 0);
    assert_said("finally1 value finally2");
    assert_int_equal(RUN(nested, EKEY, 0), 0);
    assert_said("key finally1 between finally2");
}

struct two { ASYNC_FRAME; };
static ASYNC(two)
{
    ASYNC_BEGIN(two);
    ASYNC_TRY {
        AWAIT(nap, EKEY);
    } ASYNC_EXCEPT(EKEY) {
        say("key");
    } ASYNC_END_TRY
    /* The first ended by itself; an ELSE must not see what an earlier TRY
     * did. */
    ASYNC_TRY {
        ASYNC_TRY {
            say("inner");
        } ASYNC_END_TRY
        ASYNC_RAISE(EVALUE);
    } ASYNC_EXCEPT(EVALUE) {
        say("value");
    } ASYNC_ELSE {
        say("else?");
    } ASYNC_END_TRY
    ASYNC_TRY {
        say("only else");
    } ASYNC_ELSE {
        say("else");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void else_runs_only_when_its_own_body_ended_by_itself(void **s)
{
    HARNESS;
    assert_int_equal(RUN(two), 0);
    assert_said("key inner value only else else");
}

/* --- leaving through finally ---------------------------------------------- */

struct leave { ASYNC_RETURNS(int); int how, i; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    for (self->i = 0; self->i < 4; self->i++) {
        ASYNC_TRY {
            ASYNC_TRY {
                if (self->i == 1 && self->how == 'c') continue;
                if (self->i == 2 && self->how == 'b') break;
                if (self->i == 2 && self->how == 'r') ASYNC_RETURN(7);
                AWAIT(nap);
                say("body%d", self->i);
            } ASYNC_FINALLY {
                AWAIT(nap);
                say("inner%d", self->i);
            } ASYNC_END_TRY
        } ASYNC_FINALLY {
            AWAIT(nap);
            say("outer%d", self->i);
        } ASYNC_END_TRY
    }
    say("left");
    ASYNC_RETURN(self->i);
    ASYNC_END;
}

static void break_continue_and_return_run_each_finally_on_the_way(void **s)
{
    HARNESS;
    assert_int_equal(RUN(leave, 'c'), 0);
    assert_said("body0 inner0 outer0 inner1 outer1 body2 inner2 outer2 "
                "body3 inner3 outer3 left");
    assert_int_equal(ASYNC_RESULT(&co, leave), 4);
    assert_int_equal(RUN(leave, 'b'), 0);
    assert_said("body0 inner0 outer0 body1 inner1 outer1 inner2 outer2 left");
    assert_int_equal(ASYNC_RESULT(&co, leave), 2);
    assert_int_equal(RUN(leave, 'r'), 0);
    assert_said("body0 inner0 outer0 body1 inner1 outer1 inner2 outer2");
    assert_int_equal(ASYNC_RESULT(&co, leave), 7);
}

struct arms_leave { ASYNC_FRAME; int i; };
static ASYNC(arms_leave)
{
    ASYNC_BEGIN(arms_leave);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_TRY {
            if (self->i < 2) ASYNC_RAISE(EKEY);
        } ASYNC_EXCEPT(EKEY) {
            AWAIT(nap);
            say("key%d", self->i);
            if (self->i == 0) continue;
        } ASYNC_ELSE {
            say("else%d", self->i);
            break;
        } ASYNC_END_TRY
        say("end%d", self->i);
    }
    ASYNC_END;
}

static void break_and_continue_work_in_every_arm(void **s)
{
    HARNESS;
    assert_int_equal(RUN(arms_leave), 0);
    assert_said("key0 key1 end1 else2");
}

struct overrule { ASYNC_RETURNS(int); int how, i; };
static ASYNC(overrule)
{
    ASYNC_BEGIN(overrule);
    for (self->i = 0; self->i < 2; self->i++) {
        ASYNC_TRY {
            if (self->how == 'v') ASYNC_RETURN(1);
            AWAIT(nap, ASYNC_ECANCELED);
        } ASYNC_FINALLY {
            AWAIT(nap);
            if (self->how == 'b') break;
            if (self->how == 'r') ASYNC_RAISE(EVALUE);
            ASYNC_RETURN(2);
        } ASYNC_END_TRY
    }
    ASYNC_RETURN(3);
    ASYNC_END;
}

static void what_finally_does_itself_replaces_what_it_interrupted(void **s)
{
    HARNESS;
    assert_int_equal(RUN(overrule, 'v'), 0); /* return after return */
    assert_int_equal(ASYNC_RESULT(&co, overrule), 2);
    assert_int_equal(RUN(overrule, 'c'), 0); /* return eats cancellation */
    assert_int_equal(ASYNC_RESULT(&co, overrule), 2);
    assert_int_equal(RUN(overrule, 'b'), 0); /* so does break */
    assert_int_equal(ASYNC_RESULT(&co, overrule), 3);
    assert_int_equal(RUN(overrule, 'r'), EVALUE);
}

struct finally_in_finally { ASYNC_FRAME; int error; };
static ASYNC(finally_in_finally)
{
    ASYNC_BEGIN(finally_in_finally);
    ASYNC_TRY {
        AWAIT(nap, EKEY);
    } ASYNC_FINALLY {
        ASYNC_TRY {
            ASYNC_TRY {
                AWAIT(nap, self->error);
                say("body");
            } ASYNC_FINALLY {
                AWAIT(nap);
                say("inner");
            } ASYNC_END_TRY
        } ASYNC_EXCEPT(EVALUE) {
            say("value");
        } ASYNC_FINALLY {
            AWAIT(nap);
            say("middle");
        } ASYNC_END_TRY
        say("outer");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void a_finally_inside_a_finally_keeps_both_errors(void **s)
{
    HARNESS;
    assert_int_equal(RUN(finally_in_finally, 0), EKEY);
    assert_said("body inner middle outer");
    assert_int_equal(RUN(finally_in_finally, EVALUE), EKEY);
    assert_said("inner value middle outer");
    assert_int_equal(RUN(finally_in_finally, ASYNC_EBUSY), ASYNC_EBUSY);
    assert_said("inner middle");
}

/* --- errors as values ----------------------------------------------------- */

struct values { ASYNC_FRAME; int error, n; };
static ASYNC(values)
{
    ASYNC_BEGIN(values);
    AWAIT_CATCH(self->error, nap, EKEY);
    say("%d", self->error);
    AWAIT_CATCH(self->error, nap, 1);
    say("%d", self->error);
    self->n = 5;
    AWAIT_CATCH_INTO(self->error, self->n, nap, EVALUE);
    say("%d,%d", self->error, self->n);
    AWAIT_CATCH_INTO(self->error, self->n, nap, 6);
    say("%d,%d", self->error, self->n);
    AWAIT_CATCH(self->error, nap, ASYNC_ECANCELED);
    say("not reached");
    ASYNC_END;
}

static void an_error_can_be_taken_as_a_value_but_cancellation_unwinds(void **s)
{
    HARNESS;
    assert_int_equal(RUN(values), ASYNC_ECANCELED);
    assert_said("-10001 0 -10002,5 0,6");
}

/* --- names and tracebacks -------------------------------------------------- */

static void errors_have_names_and_texts(void **s)
{
    (void)s;
    assert_string_equal(async_error_name(ASYNC_EINVALSTATE),
                        "ASYNC_EINVALSTATE");
    assert_string_equal(async_strerror(ASYNC_EINVALSTATE), "invalid state");
    assert_string_equal(async_error_name(EKEY), "EKEY");
    assert_string_equal(async_strerror(EKEY), "no such key");
#ifdef _WIN32 /* libuv's numbers and texts */
    assert_string_equal(async_error_name(-4078), "ECONNREFUSED");
    assert_string_equal(async_strerror(-4078), "connection refused");
    assert_int_equal(ASYNC_ETIMEDOUT, -4039);
#else
    assert_string_equal(async_error_name(-ECONNREFUSED), "ECONNREFUSED");
    assert_string_equal(async_strerror(-ECONNREFUSED), "Connection refused");
    assert_int_equal(ASYNC_ETIMEDOUT, -ETIMEDOUT); /* libuv's numbers */
#endif
    assert_null(async_error_name(-9999));
    assert_string_equal(async_strerror(-9999), "unknown error");
}

struct middle { ASYNC_FRAME; int error; };
static int line_in_middle;
static ASYNC(middle)
{
    ASYNC_BEGIN(middle);
    ASYNC_TRY {
        line_in_middle = __LINE__ + 1;
        AWAIT(nap, self->error);
    } ASYNC_FINALLY {
        AWAIT(nap);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct outermost { ASYNC_FRAME; };
static int line_in_outermost;
static ASYNC(outermost)
{
    ASYNC_BEGIN(outermost);
    ASYNC_TRY {
        AWAIT(middle, EVALUE);
    } ASYNC_EXCEPT(EVALUE) {}
    ASYNC_END_TRY
    line_in_outermost = __LINE__ + 1;
    AWAIT(middle, EKEY);
    ASYNC_END;
}

static void
a_traceback_names_the_line_where_the_error_passed_each_frame(void **s)
{
    async_traceback traceback;
    HARNESS;
    assert_int_equal(RUN(outermost), EKEY);
    async_traceback_of(&co, &traceback);
    assert_int_equal(traceback.error, EKEY);
    assert_int_equal(traceback.count, 3);
    assert_string_equal(traceback.entries[0].name, "nap");
    assert_string_equal(traceback.entries[1].name, "middle");
    assert_int_equal(traceback.entries[1].line, line_in_middle);
    assert_string_equal(traceback.entries[2].name, "outermost");
    assert_int_equal(traceback.entries[2].line, line_in_outermost);
    assert_non_null(strstr(traceback.entries[2].file, "try.c"));
}

UNIT_MAIN(TEST(each_error_runs_the_first_arm_that_takes_it),
          TEST(except_any_does_not_take_cancellation),
          TEST(except_all_takes_cancellation),
          TEST(an_error_in_an_arm_goes_to_the_outer_try_through_finally),
          TEST(else_runs_only_when_its_own_body_ended_by_itself),
          TEST(break_continue_and_return_run_each_finally_on_the_way),
          TEST(break_and_continue_work_in_every_arm),
          TEST(what_finally_does_itself_replaces_what_it_interrupted),
          TEST(a_finally_inside_a_finally_keeps_both_errors),
          TEST(an_error_can_be_taken_as_a_value_but_cancellation_unwinds),
          TEST(errors_have_names_and_texts),
          TEST(a_traceback_names_the_line_where_the_error_passed_each_frame))
