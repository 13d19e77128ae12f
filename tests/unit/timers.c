/* The timer wheel, against a plain sorted list. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

#include "unit.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

static async_virtual_loop loop;

static void open_loop(void)
{
    async_virtual_loop_init(&loop, NULL);
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

/* Runs until nothing can happen any more. */
static void run_dry(void)
{
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
}

static async_time now(void)
{
    return async_loop_time(&loop.base);
}

static int say_it(void *word)
{
    say("%s", (const char *)word);
    return 0;
}

/* xorshift, Marsaglia 2003: the same numbers on every machine. */
static uint64_t random_state;
static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}
static unsigned random_below(unsigned n)
{
    return (unsigned)((random_bits() >> 20) % n);
}
/* Any magnitude below 2 to the power of `bits` is equally likely. */
static async_duration random_span(unsigned bits)
{
    uint64_t limit = (uint64_t)1 << random_below(bits);
    return (async_duration)(random_bits() & (limit - 1));
}

/* --- against a model ------------------------------------------------------ */

/* Timers that are armed stand in `order`, sorted by deadline, and among equal
 * ones as they were armed: that is the order in which they must run.  The
 * first `due` of them are those of the present iteration; what is armed in it
 * stays behind them. */
enum { MOST = 400 };
typedef struct tick {
    async_handle handle;
    async_time armed_at;
    int armed;
} tick;
static tick ticks[MOST];
static tick *order[MOST];
static int armed, due;
static long runs, inexact, out_of_order;
static async_time before; /* the clock when the run began */

static int tick_runs(void *mine);

static void arm(tick *t, async_time when)
{
    int i = armed;
    while (i > due && async_handle_when(&order[i - 1]->handle) > when) {
        order[i] = order[i - 1];
        i--;
    }
    order[i] = t;
    armed++;
    t->armed = 1;
    t->armed_at = now();
    assert_int_equal(
        async_loop_call_at(&loop.base, &t->handle, when, tick_runs, t), 0);
}

static void take_out(tick *t)
{
    int i = 0;
    while (order[i] != t) i++;
    if (i < due) due--;
    memmove(&order[i], &order[i + 1],
            (size_t)(armed - i - 1) * sizeof order[0]);
    armed--;
    t->armed = 0;
}

/* The spans of a program: how far ahead its deadlines lie. */
typedef enum span_kind { ANY, EQUAL, EDGES, SHORT } span_kind;
static span_kind spans;
static async_time any_deadline(void)
{
    switch (spans) {
    case EQUAL: /* many to an instant, near and far */
        return now() - now() % 1000 + 1000 * (async_time)random_below(5) +
               (random_below(4) ? 0 : 1000000);
    case EDGES: { /* around the multiples of a power of two */
        async_time unit = (async_time)1 << random_below(58);
        return now() / unit * unit + unit * (async_time)random_below(3) - 1 +
               (async_time)random_below(3);
    }
    case SHORT: /* within a slot or two, and past */
        return now() + (async_time)random_below(1 << 19) - 1000;
    default: return now() + random_span(58); /* up to nine years */
    }
}

static void one_operation(void)
{
    tick *t = &ticks[random_below(MOST)];
    if (!t->armed) {
        arm(t, any_deadline());
    } else if (random_below(3) == 0) {
        take_out(t);
        async_handle_cancel(&t->handle);
    }
}

static int tick_runs(void *mine)
{
    tick *t = mine;
    async_time exact = async_handle_when(&t->handle);
    int n;
    /* The clock jumps to the deadline, unless that was past before. */
    if (exact < t->armed_at) exact = t->armed_at;
    if (exact < before) exact = before;
    inexact += now() != exact;
    if (due == 0)
        while (due < armed && async_handle_when(&order[due]->handle) <= now())
            due++;
    runs++;
    out_of_order += order[0] != t || due == 0;
    take_out(t);
    /* Now and then it arms itself and others, and cancels some. */
    if (random_below(2)) arm(t, any_deadline());
    for (n = (int)random_below(3); n > 0; n--) one_operation();
    if (random_below(50) == 0) async_loop_stop(&loop.base);
    return 0;
}

static void run_program(span_kind kind, uint64_t seed, int steps)
{
    int step, n;
    spans = kind;
    random_state = seed;
    armed = due = 0;
    runs = inexact = out_of_order = 0;
    memset(ticks, 0, sizeof ticks);
    open_loop();
    for (step = 0; step < steps; step++) {
        for (n = (int)random_below(40); n > 0; n--) one_operation();
        if (random_below(4) == 0) {
            /* The clock passes some deadlines while nobody looks. */
            int near = kind == SHORT || kind == EQUAL;
            async_virtual_loop_advance(&loop, random_span(near ? 20 : 56));
        }
        before = now();
        due = 0;
        if (random_below(4) == 0)
            iterate();
        else if (async_loop_run_forever(&loop.base) != 0)
            assert_int_equal(armed, 0);
        due = 0;
        assert_int_equal(inexact, 0);
        assert_int_equal(out_of_order, 0);
    }
    while (armed > 0) {
        tick *t = order[armed - 1];
        take_out(t);
        async_handle_cancel(&t->handle);
    }
    run_dry();
    close_loop();
}

static void they_run_as_a_sorted_list_would_have_it_for_any_span(void **s)
{
    uint64_t seed;
    (void)s;
    for (seed = 1; seed <= 4; seed++) {
        run_program(ANY, seed, 500);
        assert_true(runs > 20000);
    }
}

static void they_run_as_a_sorted_list_would_have_it_if_many_are_equal(void **s)
{
    (void)s;
    run_program(EQUAL, 5, 300);
    assert_true(runs > 5000);
}

static void they_run_as_a_sorted_list_would_have_it_at_edges_of_slots(void **s)
{
    uint64_t seed;
    (void)s;
    for (seed = 6; seed <= 8; seed++) {
        run_program(EDGES, seed, 500);
        assert_true(runs > 20000);
    }
}

static void they_run_as_a_sorted_list_would_have_it_if_all_are_near(void **s)
{
    (void)s;
    run_program(SHORT, 9, 300);
    assert_true(runs > 5000);
}

/* --- deadlines ------------------------------------------------------------ */

/* Notes when it ran. */
static async_time ran_at[512];
static int ran;
static int note_time(void *unused)
{
    (void)unused;
    ran_at[ran++] = now();
    return 0;
}

static void every_power_of_two_is_met_to_the_nanosecond(void **s)
{
    static async_handle handles[63 * 3];
    int bit, i = 0;
    (void)s;
    open_loop();
    ran = 0;
    memset(handles, 0, sizeof handles);
    for (bit = 62; bit >= 2; bit--) { /* the farthest first */
        async_time power = (async_time)1 << bit;
        async_loop_call_at(&loop.base, &handles[i++], power + 1, note_time, 0);
        async_loop_call_at(&loop.base, &handles[i++], power, note_time, 0);
        async_loop_call_at(&loop.base, &handles[i++], power - 1, note_time, 0);
    }
    run_dry();
    assert_int_equal(ran, i);
    for (bit = 2, i = 0; bit <= 62; bit++) {
        async_time power = (async_time)1 << bit;
        assert_int_equal(ran_at[i++], power - 1);
        assert_int_equal(ran_at[i++], power);
        assert_int_equal(ran_at[i++], power + 1);
    }
    close_loop();
}

static void a_timer_is_not_early_by_a_nanosecond(void **s)
{
    int bit;
    (void)s;
    for (bit = 1; bit < 62; bit++) {
        async_time span = ((async_time)1 << bit) + 1;
        open_loop();
        async_virtual_loop_advance(&loop, 12345);
        async_loop_call_later(&loop.base, NULL, span, say_it, "due");
        async_virtual_loop_advance(&loop, span - 1);
        iterate();
        iterate();
        assert_said("");
        async_virtual_loop_advance(&loop, 1);
        iterate();
        assert_said("due");
        close_loop();
    }
}

/* One is armed when its deadline is far, the next when it is nearer, and so
 * on: they have stood at different levels of the wheel. */
static void equal_deadlines_run_as_armed_from_whatever_distance(void **s)
{
    const async_time deadline = ASYNC_SECONDS(1e6) + 7;
    (void)s;
    open_loop();
    async_loop_call_at(&loop.base, NULL, deadline, say_it, "far");
    while (now() < deadline) {
        async_duration half = (deadline - now() + 1) / 2;
        async_virtual_loop_advance(&loop, half);
        if (half % 3 == 0) iterate(); /* the wheel may turn, or not */
        async_loop_call_at(&loop.base, NULL, deadline, note_time, NULL);
        if (half == ASYNC_MS(1) / 4)
            async_loop_call_at(&loop.base, NULL, deadline, say_it, "middle");
    }
    async_loop_call_at(&loop.base, NULL, deadline, say_it, "near");
    ran = 0;
    run_dry();
    assert_int_equal(now(), deadline);
    assert_true(ran > 40);
    assert_said("far near");
    close_loop();
}

static int note_index(void *slot)
{
    *(int *)slot = ran++;
    return 0;
}

/* Neighbouring slots are fetched together, long and short and empty ones: some
 * of whose timers are cancelled, before or while the others run. */
enum { DENSE = 3000, DENSE_SLOT = 1 << 18 };
static async_handle dense[DENSE];
static async_time dense_last;
static int dense_ran;

static int dense_due(void *argument)
{
    async_handle *handle = (async_handle *)argument;
    unsigned i = (unsigned)(handle - dense);
    assert_true(async_handle_when(handle) >= dense_last);
    assert_true(async_handle_when(handle) <= now());
    dense_last = async_handle_when(handle);
    dense_ran++;
    /* One that is to come, perhaps in what has been fetched. */
    if (i % 3 == 0 && !async_handle_cancelled(&dense[i + 1]) &&
        async_handle_when(&dense[i + 1]) > dense_last) {
        async_handle_cancel(&dense[i + 1]);
        dense_ran++;
    }
    return 0;
}

static void
timers_of_dense_slots_run_in_order_though_some_are_cancelled(void **s)
{
    unsigned i;
    (void)s;
    memset(dense, 0, sizeof dense);
    dense_last = 0;
    dense_ran = 0;
    random_state = 20;
    open_loop();
    for (i = 0; i < DENSE; i++) {
        /* Every fourth slot is empty, and every fifth has few. */
        unsigned slot = random_below(50);
        if (slot % 4 == 0) slot++;
        if (slot % 5 == 0 && random_below(20)) slot += 3;
        async_loop_call_at(&loop.base, &dense[i],
                           (async_time)(slot + 1) * DENSE_SLOT +
                               (async_time)random_below(DENSE_SLOT),
                           dense_due, &dense[i]);
    }
    for (i = 2; i < DENSE; i += 3)
        if (i % 2) {
            async_handle_cancel(&dense[i]);
            dense_ran++;
        }
    run_dry();
    assert_int_equal(dense_ran, DENSE);
    close_loop();
}

static void a_thousand_in_reverse_within_a_slot_are_sorted(void **s)
{
    static async_handle handles[1000];
    static int place[1000];
    int i, round;
    (void)s;
    for (round = 0; round < 2; round++) {
        /* in the slot that is present, and in one that is not yet */
        async_time start = round ? ASYNC_SECONDS(100) : 0;
        open_loop();
        memset(handles, 0, sizeof handles);
        ran = 0;
        for (i = 999; i >= 0; i--)
            async_loop_call_at(&loop.base, &handles[i], start + i / 2,
                               note_index, &place[i]);
        run_dry();
        assert_int_equal(ran, 1000);
        /* Of the two of an instant, the odd one was armed first. */
        for (i = 0; i < 1000; i++) assert_int_equal(place[i], i ^ 1);
        close_loop();
    }
}

static void past_deadlines_run_at_once_in_order(void **s)
{
    (void)s;
    open_loop();
    async_virtual_loop_advance(&loop, ASYNC_SECONDS(10));
    async_loop_call_at(&loop.base, NULL, ASYNC_SECONDS(9), say_it, "nine");
    async_loop_call_later(&loop.base, NULL, 0, say_it, "now");
    async_loop_call_at(&loop.base, NULL, 0, say_it, "zero");
    async_loop_call_at(&loop.base, NULL, -1, say_it, "negative");
    async_loop_call_at(&loop.base, NULL, INT64_MIN, say_it, "first");
    async_loop_call_later(&loop.base, NULL, INT64_MIN, say_it, "overdue");
    async_loop_call_at(&loop.base, NULL, ASYNC_SECONDS(9), say_it, "ninth");
    iterate();
    assert_said("first overdue negative zero nine ninth now");
    assert_int_equal(now(), ASYNC_SECONDS(10));
    close_loop();
}

/* --- the end of time ------------------------------------------------------ */

static void a_timer_at_forever_never_runs(void **s)
{
    async_handle at = { 0 }, after = { 0 };
    (void)s;
    open_loop();
    async_loop_call_at(&loop.base, &at, ASYNC_FOREVER, say_it, "never");
    async_loop_call_later(&loop.base, &after, ASYNC_FOREVER, say_it, "never");
    async_loop_call_later(&loop.base, NULL, ASYNC_SECONDS(1), say_it, "one");
    assert_int_equal(async_handle_when(&at), ASYNC_FOREVER);
    assert_int_equal(async_handle_when(&after), ASYNC_FOREVER);
    run_dry();
    run_dry();
    assert_said("one");
    assert_int_equal(now(), ASYNC_SECONDS(1)); /* time does not jump there */
    async_handle_cancel(&at);
    async_handle_cancel(&after);
    close_loop();
}

static void a_delay_that_would_overflow_is_forever(void **s)
{
    async_handle most = { 0 }, more = { 0 }, less = { 0 };
    (void)s;
    open_loop();
    async_virtual_loop_advance(&loop, 100);
    async_loop_call_later(&loop.base, &less, INT64_MAX - 101, say_it, "last");
    async_loop_call_later(&loop.base, &most, INT64_MAX - 100, say_it, "never");
    async_loop_call_later(&loop.base, &more, INT64_MAX - 99, say_it, "never");
    assert_int_equal(async_handle_when(&less), INT64_MAX - 1);
    assert_int_equal(async_handle_when(&most), ASYNC_FOREVER);
    assert_int_equal(async_handle_when(&more), ASYNC_FOREVER);
    run_dry();
    assert_int_equal(now(), INT64_MAX - 1);
    assert_said("last");
    close_loop();
}

struct sleeps { ASYNC_FRAME; async_duration delay; const char *name; };
static ASYNC(sleeps)
{
    ASYNC_BEGIN(sleeps);
    AWAIT(async_sleep, self->delay);
    say("%s", self->name);
    ASYNC_END;
}

static async_task *spawn(async_duration delay, const char *name)
{
    return async_loop_create_task(&loop.base, CO(sleeps, delay, name));
}

static void who_sleeps_forever_can_be_cancelled(void **s)
{
    async_task *task;
    (void)s;
    open_loop();
    task = spawn(ASYNC_FOREVER, "never");
    run_dry();
    assert_false(async_task_done(task));
    async_task_cancel(task);
    run_dry();
    assert_int_equal(async_task_result(task), ASYNC_ECANCELED);
    async_task_release(task);
    close_loop();
}

/* --- cancelling and arming again ------------------------------------------ */

static async_handle some[10];

static int cancel_all_others(void *mine)
{
    int i;
    say("%d", (int)((async_handle *)mine - some));
    for (i = 0; i < 10; i++) async_handle_cancel(&some[i]);
    return 0;
}

static void the_first_of_an_instant_cancels_all_the_others(void **s)
{
    int i, first;
    (void)s;
    for (first = 0; first < 10; first++) {
        open_loop();
        memset(some, 0, sizeof some);
        for (i = first; i < first + 10; i++)
            async_loop_call_at(&loop.base, &some[i % 10], 1000,
                               cancel_all_others, &some[i % 10]);
        run_dry();
        assert_int_equal(unit_said_length, 1);
        assert_int_equal(unit_said[0], '0' + first);
        unit_begin(NULL);
        close_loop();
    }
}

static void cancelled_timers_move_the_clock_nowhere(void **s)
{
    static async_handle handles[57];
    int bit;
    (void)s;
    open_loop();
    memset(handles, 0, sizeof handles);
    for (bit = 0; bit < 57; bit++)
        async_loop_call_at(&loop.base, &handles[bit], (async_time)1 << bit,
                           say_it, "never");
    for (bit = 0; bit < 57; bit++)
        if (bit != 40) async_handle_cancel(&handles[bit]);
    run_dry();
    assert_said("never");
    assert_int_equal(now(), (async_time)1 << 40);
    close_loop();
}

/* Where the last one went is remembered, but the place may have been given up
 * meanwhile. */
static void a_deadline_that_was_cancelled_can_be_set_anew(void **s)
{
    static const async_duration delays[] = { ASYNC_US(300), ASYNC_MS(40),
                                             ASYNC_SECONDS(10),
                                             ASYNC_SECONDS(100000) };
    async_handle first, second;
    size_t i, turns;
    (void)s;
    for (i = 0; i < sizeof delays / sizeof delays[0]; i++)
        for (turns = 0; turns < 3; turns++) {
            async_time when;
            size_t turn;
            open_loop();
            memset(&first, 0, sizeof first);
            memset(&second, 0, sizeof second);
            when = now() + delays[i];
            async_loop_call_at(&loop.base, &first, when, say_it,
                               (void *)"first");
            async_handle_cancel(&first);
            for (turn = 0; turn < turns; turn++) iterate();
            async_loop_call_at(&loop.base, &first, when, say_it,
                               (void *)"first");
            async_loop_call_at(&loop.base, &second, when, say_it,
                               (void *)"second");
            run_dry();
            assert_true(now() == when);
            assert_said("first second");
            close_loop();
        }
}

/* Moves its deadline away each time that something happens. */
static void a_timer_that_is_moved_runs_at_its_last_deadline(void **s)
{
    async_handle handle = { 0 };
    async_duration span = 1;
    (void)s;
    open_loop();
    ran = 0;
    while (span < ASYNC_SECONDS(1e6)) {
        async_handle_cancel(&handle);
        async_loop_call_later(&loop.base, &handle, span, note_time, NULL);
        async_virtual_loop_advance(&loop, span - 1);
        iterate();
        span *= 3;
    }
    assert_int_equal(ran, 0);
    run_dry();
    assert_int_equal(ran, 1);
    assert_int_equal(ran_at[0], async_handle_when(&handle));
    close_loop();
}

typedef struct metronome {
    async_handle handle;
    async_duration period;
    int left;
} metronome;
static int beat(void *argument)
{
    metronome *m = argument;
    assert_int_equal(now(), async_handle_when(&m->handle));
    if (--m->left > 0)
        async_loop_call_later(&loop.base, &m->handle, m->period, beat, m);
    return 0;
}

static void metronomes_beat_without_drift(void **s)
{
    static metronome m[5];
    static const async_duration periods[] = { 1, 999, ASYNC_US(70),
                                              ASYNC_MS(10), ASYNC_SECONDS(3) };
    int i;
    (void)s;
    open_loop();
    memset(m, 0, sizeof m);
    for (i = 0; i < 5; i++) {
        m[i].period = periods[i];
        m[i].left = 1000;
        async_loop_call_later(&loop.base, &m[i].handle, periods[i], beat,
                              &m[i]);
    }
    run_dry();
    for (i = 0; i < 5; i++) {
        assert_int_equal(m[i].left, 0);
        assert_int_equal(async_handle_when(&m[i].handle), 1000 * periods[i]);
    }
    close_loop();
}

/* --- sleeping tasks ------------------------------------------------------- */

static void sleepers_wake_in_the_order_of_deadlines_and_of_sleeping(void **s)
{
    async_task *tasks[6];
    int i;
    (void)s;
    open_loop();
    tasks[0] = spawn(ASYNC_SECONDS(2), "two");
    tasks[1] = spawn(ASYNC_SECONDS(1), "one");
    tasks[2] = spawn(ASYNC_SECONDS(3), "three");
    tasks[3] = spawn(ASYNC_SECONDS(2), "second");
    tasks[4] = spawn(ASYNC_SECONDS(1), "first");
    tasks[5] = spawn(0, "zero");
    run_dry();
    assert_said("zero one first two second three");
    assert_int_equal(now(), ASYNC_SECONDS(3));
    for (i = 0; i < 6; i++) async_task_release(tasks[i]);
    close_loop();
}

static int wake_up(void *task)
{
    say("cancel");
    async_task_cancel(task);
    return 0;
}

static void a_sleeper_is_cancelled_by_a_timer_of_its_own_instant(void **s)
{
    async_task *first, *second;
    (void)s;
    open_loop();
    first = spawn(5, "first");
    iterate();
    async_loop_call_at(&loop.base, NULL, 5, wake_up, first);
    second = spawn(5, "second");
    async_loop_call_soon(&loop.base, NULL, say_it, "ready");
    iterate();
    run_dry();
    /* The first was awake already, but had not run; the second sleeps on. */
    assert_said("ready cancel second");
    assert_int_equal(async_task_result(first), ASYNC_ECANCELED);
    assert_int_equal(async_task_result(second), 0);
    async_task_release(first);
    async_task_release(second);
    close_loop();
}

UNIT_MAIN(TEST(they_run_as_a_sorted_list_would_have_it_for_any_span),
          TEST(they_run_as_a_sorted_list_would_have_it_if_many_are_equal),
          TEST(they_run_as_a_sorted_list_would_have_it_at_edges_of_slots),
          TEST(they_run_as_a_sorted_list_would_have_it_if_all_are_near),
          TEST(every_power_of_two_is_met_to_the_nanosecond),
          TEST(a_timer_is_not_early_by_a_nanosecond),
          TEST(equal_deadlines_run_as_armed_from_whatever_distance),
          TEST(a_thousand_in_reverse_within_a_slot_are_sorted),
          TEST(timers_of_dense_slots_run_in_order_though_some_are_cancelled),
          TEST(past_deadlines_run_at_once_in_order),
          TEST(a_timer_at_forever_never_runs),
          TEST(a_delay_that_would_overflow_is_forever),
          TEST(who_sleeps_forever_can_be_cancelled),
          TEST(the_first_of_an_instant_cancels_all_the_others),
          TEST(cancelled_timers_move_the_clock_nowhere),
          TEST(a_deadline_that_was_cancelled_can_be_set_anew),
          TEST(a_timer_that_is_moved_runs_at_its_last_deadline),
          TEST(metronomes_beat_without_drift),
          TEST(sleepers_wake_in_the_order_of_deadlines_and_of_sleeping),
          TEST(a_sleeper_is_cancelled_by_a_timer_of_its_own_instant))
