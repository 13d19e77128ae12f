/* Generators, from plain code and from coroutines. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EVALUE, -10001, "bad value")
#include "../../async.h"

#include "unit.h"

static int finish(async *co)
{
    int result;
    do result = async_send(co);
    while (result == ASYNC_SUSPENDED);
    return result;
}

#define HARNESS                                                               \
    async co;                                                                 \
    void *memory[256];                                                        \
    (void)s

struct count { ASYNC_YIELDS(int); int from, to; };
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    ASYNC_TRY {
        for (; self->from < self->to; self->from++) ASYNC_YIELD(self->from);
    } ASYNC_FINALLY {
        say("closed");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void for_each_runs_a_generator_to_its_end(void **s)
{
    struct count numbers = ASYNC_GENERATOR(count, 3, .to = 6);
    int i;
    (void)s;
    ASYNC_FOR_EACH(i, &numbers) say("%d", i);
    assert_said("3 4 5 closed");
    assert_true(ASYNC_ENDED(&numbers));
    assert_int_equal(ASYNC_NEXT(&numbers), 0);
    assert_int_equal(ASYNC_THROW(&numbers, EVALUE), EVALUE);
    assert_int_equal(ASYNC_CLOSE(&numbers), 0);
}

static void a_loop_left_by_break_can_be_taken_up_again(void **s)
{
    struct count numbers = ASYNC_GENERATOR(count, 0, 5);
    int i;
    (void)s;
    ASYNC_FOR_EACH(i, &numbers)
        if (i == 1) break;
    ASYNC_FOR_EACH(i, &numbers)
        if (i == 3) break;
    assert_said("");
    assert_int_equal(ASYNC_CLOSE(&numbers), 0);
    assert_said("closed");
}

/* --- send, throw, close ---------------------------------------------------- */

typedef const char *text;
struct running_total { ASYNC_GENERATES(long, int, text); int n; long sum; };
static ASYNC(running_total)
{
    ASYNC_BEGIN(running_total);
    do {
        ASYNC_TRY {
            ASYNC_YIELD_INTO(self->n, self->sum);
            self->sum += self->n;
        } ASYNC_EXCEPT(EVALUE) {
            self->sum = -1;
        } ASYNC_END_TRY
    } while (self->sum < 100);
    ASYNC_RETURN("enough");
    ASYNC_END;
}

static void send_gives_a_value_to_the_yield_and_next_gives_zero(void **s)
{
    struct running_total total = ASYNC_GENERATOR(running_total);
    (void)s;
    assert_int_equal(ASYNC_SEND(&total, 5), ASYNC_EJUSTSTARTED);
    assert_int_equal(ASYNC_NEXT(&total), ASYNC_YIELDED);
    assert_int_equal(ASYNC_VALUE(&total), 0);
    assert_int_equal(ASYNC_SEND(&total, 5), ASYNC_YIELDED);
    assert_int_equal(ASYNC_VALUE(&total), 5);
    assert_int_equal(ASYNC_NEXT(&total), ASYNC_YIELDED);
    assert_int_equal(ASYNC_VALUE(&total), 5);
    assert_int_equal(ASYNC_THROW(&total, EVALUE), ASYNC_YIELDED);
    assert_int_equal(ASYNC_VALUE(&total), -1);
    assert_int_equal(ASYNC_SEND(&total, 200), 0);
    assert_string_equal(ASYNC_GENERATED(&total), "enough");
}

static void an_error_that_leaves_a_generator_ends_it(void **s)
{
    struct running_total total = ASYNC_GENERATOR(running_total);
    struct count fresh = ASYNC_GENERATOR(count, 0, 3);
    (void)s;
    ASYNC_NEXT(&total);
    assert_int_equal(ASYNC_THROW(&total, ASYNC_EBUSY), ASYNC_EBUSY);
    assert_int_equal(ASYNC_NEXT(&total), 0);
    assert_int_equal(ASYNC_THROW(&fresh, EVALUE), EVALUE);
    assert_int_equal(ASYNC_NEXT(&fresh), 0);
    assert_said(""); /* its body never ran, not even the finally */
}

struct stubborn { ASYNC_YIELDS(int); int caught; };
static ASYNC(stubborn)
{
    ASYNC_BEGIN(stubborn);
    ASYNC_TRY {
        ASYNC_YIELD(1);
    } ASYNC_EXCEPT_ALL(self->caught) {
        ASYNC_YIELD(2);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void yielding_while_being_closed_is_an_error(void **s)
{
    struct stubborn one = ASYNC_GENERATOR(stubborn);
    (void)s;
    ASYNC_NEXT(&one);
    assert_int_equal(ASYNC_CLOSE(&one), ASYNC_EIGNOREDEXIT);
    assert_int_equal(ASYNC_CLOSE(&one), 0);
}

/* --- delegation ------------------------------------------------------------- */

struct inner { ASYNC_GENERATES(int, int, int); int got; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    ASYNC_TRY {
        ASYNC_YIELD_INTO(self->got, 1);
        say("inner-got%d", self->got);
        ASYNC_YIELD_INTO(self->got, 2);
        say("inner-got%d", self->got);
    } ASYNC_EXCEPT(EVALUE) {
        say("inner-value");
        ASYNC_YIELD(3);
    } ASYNC_FINALLY {
        say("inner-closed");
    } ASYNC_END_TRY
    ASYNC_RETURN(77);
    ASYNC_END;
}

struct outer { ASYNC_YIELDS_SENT(int, int); struct inner inner; };
static ASYNC(outer)
{
    ASYNC_BEGIN(outer);
    self->inner = ASYNC_GENERATOR(inner);
    ASYNC_TRY {
        ASYNC_YIELD_FROM_SENT(&self->inner);
        say("returned%d", ASYNC_GENERATED(&self->inner));
        ASYNC_YIELD(9);
    } ASYNC_FINALLY {
        say("outer-closed");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void yield_from_forwards_values_sends_throws_and_close(void **s)
{
    struct outer o = ASYNC_GENERATOR(outer);
    (void)s;
    assert_int_equal(ASYNC_NEXT(&o), 1);
    assert_int_equal(ASYNC_VALUE(&o), 1);
    assert_int_equal(ASYNC_SEND(&o, 42), 1);
    assert_int_equal(ASYNC_VALUE(&o), 2);
    assert_int_equal(ASYNC_THROW(&o, EVALUE), 1);
    assert_int_equal(ASYNC_VALUE(&o), 3);
    assert_int_equal(ASYNC_NEXT(&o), 1);
    assert_int_equal(ASYNC_VALUE(&o), 9);
    assert_int_equal(ASYNC_NEXT(&o), 0);
    assert_said(
        "inner-got42 inner-value inner-closed returned77 outer-closed");
    o = ASYNC_GENERATOR(outer);
    ASYNC_NEXT(&o);
    assert_int_equal(ASYNC_CLOSE(&o), 0);
    assert_said("inner-closed outer-closed");
    o = ASYNC_GENERATOR(outer);
    ASYNC_NEXT(&o);
    assert_int_equal(ASYNC_THROW(&o, ASYNC_EBUSY), ASYNC_EBUSY);
    assert_said("inner-closed outer-closed");
}

/* --- what a generator awaits ------------------------------------------------- */

struct square { ASYNC_RETURNS(int); int n; int pauses; };
static ASYNC(square)
{
    ASYNC_BEGIN(square);
    while (self->pauses-- > 0) ASYNC_SUSPEND;
    if (self->n < 0) ASYNC_RAISE(EVALUE);
    ASYNC_RETURN(self->n * self->n);
    ASYNC_END;
}

struct squares { ASYNC_YIELDS(int); int from, to, pauses, n; };
static ASYNC(squares)
{
    ASYNC_BEGIN(squares);
    ASYNC_TRY {
        for (; self->from < self->to; self->from++) {
            AWAIT_INTO(self->n, square, self->from, self->pauses);
            ASYNC_YIELD(self->n);
        }
    } ASYNC_FINALLY {
        AWAIT(square, 0, self->pauses);
        say("squares-closed");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void by_hand_a_generator_may_call_but_not_wait(void **s)
{
    struct squares calls = ASYNC_GENERATOR(squares, 0, 3);
    struct squares waits = ASYNC_GENERATOR(squares, 0, 3, 1);
    int i;
    (void)s;
    ASYNC_FOR_EACH(i, &calls) say("%d", i);
    assert_said("0 1 4 squares-closed");
    assert_int_equal(ASYNC_NEXT(&waits), ASYNC_EHANDDRIVEN);
    assert_true(ASYNC_ENDED(&waits));
}

struct consume {
    ASYNC_RETURNS(int);
    int how, pauses, i;
    struct squares from;
};
static ASYNC(consume)
{
    ASYNC_BEGIN(consume);
    self->from = ASYNC_GENERATOR(squares, 0, 4, self->pauses);
    ASYNC_FOR(self->i, &self->from) {
        if (self->i == 1 && self->how == 'c') continue;
        if (self->i == 4 && self->how == 'b') break;
        if (self->i == 4 && self->how == 'r') ASYNC_RETURN(self->i);
        if (self->i == 4 && self->how == 'e') ASYNC_RAISE(EVALUE);
        say("%d", self->i);
    } ASYNC_END_FOR
    say("after");
    ASYNC_RETURN(-1);
    ASYNC_END;
}

static void async_for_awaits_each_value_and_closes_when_left(void **s)
{
    int pauses;
    HARNESS;
    for (pauses = 0; pauses < 3; pauses++) {
        async_init(&co, memory, sizeof memory, CO(consume, 'c', pauses));
        assert_int_equal(finish(&co), 0);
        assert_said("0 4 9 squares-closed after");
        async_init(&co, memory, sizeof memory, CO(consume, 'b', pauses));
        assert_int_equal(finish(&co), 0);
        assert_said("0 1 squares-closed after");
        async_init(&co, memory, sizeof memory, CO(consume, 'r', pauses));
        assert_int_equal(finish(&co), 0);
        assert_int_equal(ASYNC_RESULT(&co, consume), 4);
        assert_said("0 1 squares-closed");
        async_init(&co, memory, sizeof memory, CO(consume, 'e', pauses));
        assert_int_equal(finish(&co), EVALUE);
        assert_said("0 1 squares-closed");
    }
}

static void a_throw_while_the_generator_waits_unwinds_it_first(void **s)
{
    HARNESS;
    async_init(&co, memory, sizeof memory, CO(consume, 0, 2));
    async_send(&co);
    async_send(&co);
    async_send(&co);
    assert_said("0");
    assert_int_equal(async_throw(&co, ASYNC_ECANCELED), ASYNC_SUSPENDED);
    assert_int_equal(finish(&co), ASYNC_ECANCELED);
    assert_said("squares-closed");
}

struct stages { ASYNC_YIELDS(int); int pauses, x; struct squares from; };
static ASYNC(stages)
{
    ASYNC_BEGIN(stages);
    self->from = ASYNC_GENERATOR(squares, 0, 100, self->pauses);
    ASYNC_FOR(self->x, &self->from) {
        ASYNC_YIELD(self->x + 1000);
    } ASYNC_END_FOR
    ASYNC_END;
}
struct pipeline { ASYNC_FRAME; int pauses, x; struct stages from; };
static ASYNC(pipeline)
{
    ASYNC_BEGIN(pipeline);
    self->from = ASYNC_GENERATOR(stages, self->pauses);
    ASYNC_FOR(self->x, &self->from) {
        say("%d", self->x);
        if (self->x == 1009) break;
    } ASYNC_END_FOR
    say("done");
    ASYNC_END;
}

static void stages_pass_items_on_and_close_each_other(void **s)
{
    int pauses;
    HARNESS;
    for (pauses = 0; pauses < 3; pauses++) {
        async_init(&co, memory, sizeof memory, CO(pipeline, pauses));
        assert_int_equal(finish(&co), 0);
        assert_said("1000 1001 1004 1009 squares-closed done");
    }
}

struct step_by_step { ASYNC_FRAME; int i; struct squares g; struct outer o; };
static ASYNC(step_by_step)
{
    ASYNC_BEGIN(step_by_step);
    self->g = ASYNC_GENERATOR(squares, 2, 4, 1);
    AWAIT_NEXT(&self->g);
    say("%d", ASYNC_VALUE(&self->g));
    AWAIT_NEXT_INTO(self->i, &self->g);
    say("%d", self->i);
    ASYNC_TRY {
        AWAIT_NEXT_INTO(self->i, &self->g);
    } ASYNC_EXCEPT(ASYNC_ESTOPITERATION) {
        say("stop");
    } ASYNC_END_TRY
    AWAIT_NEXT(&self->g);
    say("ended%d", ASYNC_ENDED(&self->g));

    self->o = ASYNC_GENERATOR(outer);
    ASYNC_TRY {
        AWAIT_ASEND(&self->o, 1);
    } ASYNC_EXCEPT(ASYNC_EJUSTSTARTED) {
        say("just-started");
    } ASYNC_END_TRY
    AWAIT_NEXT(&self->o);
    AWAIT_ASEND(&self->o, 6);
    AWAIT_ATHROW(&self->o, EVALUE);
    say("%d", ASYNC_VALUE(&self->o));
    AWAIT_ACLOSE(&self->o);

    self->g = ASYNC_GENERATOR(squares, -1, 4, 1);
    ASYNC_TRY {
        AWAIT_NEXT(&self->g);
    } ASYNC_EXCEPT(EVALUE) {
        say("raised%d", ASYNC_ENDED(&self->g));
    } ASYNC_END_TRY
    AWAIT_ACLOSE(&self->g);
    ASYNC_END;
}

static void next_send_throw_and_close_can_be_awaited(void **s)
{
    HARNESS;
    async_init(&co, memory, sizeof memory, CO(step_by_step));
    assert_int_equal(finish(&co), 0);
    assert_said("4 9 squares-closed stop ended1 "
                "just-started inner-got6 inner-value 3 inner-closed "
                "outer-closed squares-closed raised1");
}

/* A generator whose await grows the consumer's stack. */
struct deep { ASYNC_RETURNS(int); int depth, n; };
static ASYNC(deep)
{
    ASYNC_BEGIN(deep);
    if (self->depth == 0) {
        ASYNC_SUSPEND;
        ASYNC_RETURN(0);
    }
    AWAIT_INTO(self->n, deep, self->depth - 1);
    ASYNC_RETURN(self->n + 1);
    ASYNC_END;
}
struct depths { ASYNC_YIELDS(int); int i, n; };
static ASYNC(depths)
{
    ASYNC_BEGIN(depths);
    for (self->i = 0; self->i <= 300; self->i += 100) {
        AWAIT_INTO(self->n, deep, self->i);
        ASYNC_YIELD(self->n);
    }
    ASYNC_END;
}
struct measure { ASYNC_FRAME; struct depths depths; int n; };
static ASYNC(measure)
{
    ASYNC_BEGIN(measure);
    self->depths = ASYNC_GENERATOR(depths);
    ASYNC_FOR(self->n, &self->depths) {
        say("%d", self->n);
    } ASYNC_END_FOR
    ASYNC_END;
}

static void a_generator_may_grow_its_consumers_stack(void **s)
{
    async co;
    size_t used;
    (void)s;
    assert_int_equal(async_new(&co, NULL, CO(measure)), 0);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    used = async_stack_used(&co);
    assert_int_equal(finish(&co), 0);
    assert_true(async_stack_high_water(&co) > 300 * sizeof(struct deep));
    assert_true(used < 4 * sizeof(struct measure));
    assert_int_equal(async_close(&co), 0);
    assert_said("0 100 200 300");
}

UNIT_MAIN(TEST(for_each_runs_a_generator_to_its_end),
          TEST(a_loop_left_by_break_can_be_taken_up_again),
          TEST(send_gives_a_value_to_the_yield_and_next_gives_zero),
          TEST(an_error_that_leaves_a_generator_ends_it),
          TEST(yielding_while_being_closed_is_an_error),
          TEST(yield_from_forwards_values_sends_throws_and_close),
          TEST(by_hand_a_generator_may_call_but_not_wait),
          TEST(async_for_awaits_each_value_and_closes_when_left),
          TEST(a_throw_while_the_generator_waits_unwinds_it_first),
          TEST(stages_pass_items_on_and_close_each_other),
          TEST(next_send_throw_and_close_can_be_awaited),
          TEST(a_generator_may_grow_its_consumers_stack))
