/* Memory channels. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X) X(EKEY, -10001, "no such key")
#include "../../async/channel.h"
#include "../../async/scope.h"

#include "sync.h"

/* --- helpers ------------------------------------------------------------- */

typedef ASYNC_CHANNEL(int, 2) two_ints;
typedef ASYNC_CHANNEL(int, 0) no_ints;
typedef ASYNC_SENDER(int) int_sender;
typedef ASYNC_RECEIVER(int) int_receiver;

static two_ints channel;
static no_ints direct;
static int_sender in, in2;
static int_receiver out, out2;

static void open_channel(void)
{
    ASYNC_CHANNEL_OPEN(&channel, &in, &out);
}
static void open_direct(void)
{
    ASYNC_CHANNEL_OPEN(&direct, &in, &out);
}

struct sends { ASYNC_FRAME; int_sender *to; int from, to_n, error; };
static ASYNC(sends)
{
    ASYNC_BEGIN(sends);
    ASYNC_TRY {
        for (; self->from < self->to_n; self->from++) {
            AWAIT_CHANNEL_SEND(self->to, self->from);
            say("+%d", self->from);
        }
    } ASYNC_EXCEPT_ALL(self->error) {
        say("+%d:%s", self->from, async_error_name(self->error) + 6);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct receives { ASYNC_FRAME; int_receiver *from; int times, n, error; };
static ASYNC(receives)
{
    ASYNC_BEGIN(receives);
    ASYNC_TRY {
        while (self->times-- > 0) {
            AWAIT_CHANNEL_RECEIVE_INTO(self->n, self->from);
            say("-%d", self->n);
        }
    } ASYNC_EXCEPT_ALL(self->error) {
        say("-:%s", async_error_name(self->error) + 6);
    } ASYNC_END_TRY
    ASYNC_END;
}

static async_task *send_from(int_sender *to, int from, int to_n)
{
    return async_create_task(CO(sends, to, from, to_n));
}
static async_task *receive(int_receiver *from, int times)
{
    return async_create_task(CO(receives, from, times));
}

/* --- passing items ------------------------------------------------------- */

struct passes { ASYNC_FRAME; };
static ASYNC(passes)
{
    ASYNC_BEGIN(passes);
    open_channel();
    async_task_release(send_from(&in, 0, 5));
    ASYNC_SUSPEND;
    say("|");
    async_task_release(receive(&out, 5));
    AWAIT(async_sleep, 1);
    ASYNC_END;
}

static void items_come_in_order_and_a_full_one_holds_up_who_sends(void **s)
{
    (void)s;
    assert_int_equal(RUN(passes), 0);
    assert_said("+0 +1 | -0 -1 -2 +2 +3 +4 -3 -4");
}

struct meets { ASYNC_FRAME; };
static ASYNC(meets)
{
    ASYNC_BEGIN(meets);
    open_direct();
    async_task_release(send_from(&in, 0, 2));
    AWAIT(async_sleep, 1);
    say("|");
    async_task_release(receive(&out, 3));
    AWAIT(async_sleep, 1);
    say("|");
    assert_int_equal(ASYNC_CHANNEL_SEND_NOWAIT(&in, 7), 0); /* one waits */
    assert_int_equal(ASYNC_CHANNEL_SEND_NOWAIT(&in, 8), ASYNC_EWOULDBLOCK);
    AWAIT(async_sleep, 1);
    ASYNC_END;
}

static void without_room_who_sends_meets_who_receives(void **s)
{
    (void)s;
    assert_int_equal(RUN(meets), 0);
    assert_said("| -0 +0 +1 -1 | -7");
}

struct waits_in_order { ASYNC_FRAME; int n; };
static ASYNC(waits_in_order)
{
    ASYNC_BEGIN(waits_in_order);
    open_channel();
    async_task_release(receive(&out, 1));
    async_task_release(receive(&out, 1));
    ASYNC_SUSPEND;
    ASYNC_CHANNEL_SEND_NOWAIT(&in, 1);
    /* It belongs to who waits: nobody comes in between. */
    assert_int_equal(ASYNC_CHANNEL_RECEIVE_NOWAIT(&out, &self->n),
                     ASYNC_EWOULDBLOCK);
    ASYNC_CHANNEL_SEND_NOWAIT(&in, 2);
    ASYNC_CHANNEL_SEND_NOWAIT(&in, 3);
    assert_int_equal(ASYNC_CHANNEL_RECEIVE_NOWAIT(&out, &self->n), 0);
    say("%d", self->n);
    AWAIT(async_sleep, 1);
    ASYNC_END;
}

static void who_waits_is_served_in_the_order_of_arrival(void **s)
{
    (void)s;
    assert_int_equal(RUN(waits_in_order), 0);
    assert_said("3 -1 -2");
}

/* Items that are larger than a frame stack, and in a place that is none of the
 * frame's. */
typedef struct large {
    int n;
    char bytes[500];
} large;
static ASYNC_CHANNEL(large, 1) wide;
static ASYNC_SENDER(large) wide_in;
static ASYNC_RECEIVER(large) wide_out;
struct sends_large { ASYNC_FRAME; int i; };
static ASYNC(sends_large)
{
    large item;
    ASYNC_BEGIN(sends_large);
    for (self->i = 0; self->i < 20; self->i++) {
        memset(&item, self->i, sizeof item);
        item.n = self->i;
        AWAIT_CHANNEL_SEND(&wide_in, item);
    }
    async_sender_close(&wide_in.sender);
    ASYNC_END;
}
struct receives_large { ASYNC_FRAME; int i, sum; large last; };
static ASYNC(receives_large)
{
    ASYNC_BEGIN(receives_large);
    ASYNC_CHANNEL_OPEN(&wide, &wide_in, &wide_out);
    async_task_release(async_create_task(CO(sends_large)));
    ASYNC_TRY {
        for (;; self->i++) {
            AWAIT_CHANNEL_RECEIVE_INTO(self->last, &wide_out);
            assert_int_equal(self->last.n, self->i);
            assert_int_equal(self->last.bytes[499], self->i);
            if (self->i % 3 == 0) AWAIT(async_sleep, 1);
        }
    } ASYNC_EXCEPT(ASYNC_EENDOFCHANNEL) {
        say("%d", self->i);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void items_may_be_larger_than_the_stack(void **s)
{
    (void)s;
    assert_int_equal(RUN(receives_large), 0);
    assert_said("20");
}

struct as_coroutines { ASYNC_FRAME; int n, m; async_gathering all; };
static ASYNC(as_coroutines)
{
    ASYNC_BEGIN(as_coroutines);
    open_direct();
    self->m = 5;
    AWAIT_GATHER(&self->all, CO(ASYNC_CHANNEL_RECEIVE(&out, &self->n)),
                 CO(ASYNC_CHANNEL_SEND(&in, &self->m)));
    async_gather_clear(&self->all);
    say("%d", self->n);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(ASYNC_SECONDS(1),
                       ASYNC_CHANNEL_RECEIVE(&out, &self->n));
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        say("late@%d", seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}

static void sending_and_receiving_are_coroutines_too(void **s)
{
    (void)s;
    assert_int_equal(RUN(as_coroutines), 0);
    assert_said("5 late@1");
}

/* --- closing ------------------------------------------------------------- */

struct closes { ASYNC_FRAME; int n; };
static ASYNC(closes)
{
    ASYNC_BEGIN(closes);
    open_channel();
    assert_int_equal(ASYNC_SENDER_CLONE(&in2, &in), 0);
    async_task_release(receive(&out, 9));
    async_task_release(send_from(&in, 0, 3));
    AWAIT(async_sleep, 1);
    async_sender_close(&in.sender);
    async_sender_close(&in.sender); /* nothing */
    assert_int_equal(ASYNC_CHANNEL_SEND_NOWAIT(&in, 9), ASYNC_ECLOSED);
    assert_int_equal(ASYNC_SENDER_CLONE(&in, &in), ASYNC_ECLOSED);
    AWAIT(async_sleep, 1);
    say("|");
    async_task_release(send_from(&in2, 3, 4));
    AWAIT(async_sleep, 1);
    async_sender_close(&in2.sender);
    AWAIT(async_sleep, 1);
    assert_int_equal(ASYNC_CHANNEL_RECEIVE_NOWAIT(&out, &self->n),
                     ASYNC_EENDOFCHANNEL);
    AWAIT(receives, &out, 1);
    AWAIT(sends, &in2, 1, 2);
    ASYNC_END;
}

static void with_the_last_sender_gone_who_receives_is_told(void **s)
{
    (void)s;
    assert_int_equal(RUN(closes), 0);
    assert_said("+0 +1 +2 -0 -1 -2 | +3 -3 -:EENDOFCHANNEL -:EENDOFCHANNEL "
                "+1:ECLOSED");
}

struct drains { ASYNC_FRAME; };
static ASYNC(drains)
{
    ASYNC_BEGIN(drains);
    open_channel();
    ASYNC_CHANNEL_SEND_NOWAIT(&in, 1);
    ASYNC_CHANNEL_SEND_NOWAIT(&in, 2);
    async_sender_close(&in.sender);
    AWAIT(receives, &out, 3);
    ASYNC_END;
}

static void what_is_in_it_can_still_be_received(void **s)
{
    (void)s;
    assert_int_equal(RUN(drains), 0);
    assert_said("-1 -2 -:EENDOFCHANNEL");
}

struct breaks { ASYNC_FRAME; };
static ASYNC(breaks)
{
    ASYNC_BEGIN(breaks);
    open_channel();
    assert_int_equal(ASYNC_RECEIVER_CLONE(&out2, &out), 0);
    async_task_release(send_from(&in, 0, 4));
    AWAIT(async_sleep, 1);
    async_receiver_close(&out.receiver);
    AWAIT(async_sleep, 1);
    say("|");
    async_receiver_close(&out2.receiver);
    AWAIT(async_sleep, 1);
    assert_int_equal(ASYNC_CHANNEL_SEND_NOWAIT(&in, 9), ASYNC_EBROKENRESOURCE);
    assert_int_equal(
        async_channel_get_statistics(&channel.channel).current_buffer_used, 0);
    assert_int_equal(ASYNC_RECEIVER_CLONE(&out, &out2), ASYNC_ECLOSED);
    AWAIT(receives, &out, 1);
    ASYNC_END;
}

static void with_the_last_receiver_gone_who_sends_is_told(void **s)
{
    (void)s;
    assert_int_equal(RUN(breaks), 0);
    assert_said("+0 +1 | +2:EBROKENRESOURCE -:ECLOSED");
}

struct closes_own { ASYNC_FRAME; };
static ASYNC(closes_own)
{
    ASYNC_BEGIN(closes_own);
    open_direct();
    ASYNC_SENDER_CLONE(&in2, &in);
    ASYNC_RECEIVER_CLONE(&out2, &out);
    async_task_release(send_from(&in, 1, 2));
    async_task_release(send_from(&in2, 2, 3));
    AWAIT(async_sleep, 1);
    async_sender_close(&in.sender);
    AWAIT(async_sleep, 1);
    say("|");
    async_task_release(receive(&out, 2));
    async_task_release(receive(&out2, 1));
    AWAIT(async_sleep, 1);
    async_receiver_close(&out.receiver);
    AWAIT(async_sleep, 1);
    async_receiver_close(&out2.receiver);
    AWAIT(async_sleep, 1);
    ASYNC_END;
}

static void who_waits_by_an_end_that_is_closed_is_told_and_no_other(void **s)
{
    (void)s;
    assert_int_equal(RUN(closes_own), 0);
    assert_said("+1:ECLOSED | -2 +2 -:ECLOSED -:ECLOSED");
}

static void zeroed_ends_are_closed(void **s)
{
    static int_sender nobody;
    static int_receiver no_one;
    int n;
    (void)s;
    assert_int_equal(ASYNC_CHANNEL_SEND_NOWAIT(&nobody, 1), ASYNC_ECLOSED);
    assert_int_equal(ASYNC_CHANNEL_RECEIVE_NOWAIT(&no_one, &n), ASYNC_ECLOSED);
    async_sender_close(&nobody.sender);
    async_receiver_close(&no_one.receiver);
    assert_int_equal(RUN(sends, &nobody, 1, 2), 0);
    assert_int_equal(RUN(receives, &no_one, 1), 0);
    assert_said("+1:ECLOSED -:ECLOSED");
}

struct counts { ASYNC_FRAME; async_channel_statistics s; };
static ASYNC(counts)
{
    ASYNC_BEGIN(counts);
    open_channel();
    ASYNC_SENDER_CLONE(&in2, &in);
    async_task_release(send_from(&in, 0, 3));
    async_task_release(send_from(&in, 3, 4));
    AWAIT(async_sleep, 1);
    self->s = async_channel_get_statistics(&channel.channel);
    say("| %d of %d, %d %d, %d %d |", (int)self->s.current_buffer_used,
        (int)self->s.max_buffer_size, (int)self->s.open_senders,
        (int)self->s.open_receivers, (int)self->s.tasks_waiting_send,
        (int)self->s.tasks_waiting_receive);
    AWAIT(receives, &out, 4);
    async_task_release(receive(&out, 1));
    AWAIT(async_sleep, 1);
    self->s = async_channel_get_statistics(&channel.channel);
    say("| %d of %d, %d %d, %d %d |", (int)self->s.current_buffer_used,
        (int)self->s.max_buffer_size, (int)self->s.open_senders,
        (int)self->s.open_receivers, (int)self->s.tasks_waiting_send,
        (int)self->s.tasks_waiting_receive);
    async_sender_close(&in.sender);
    async_sender_close(&in2.sender);
    AWAIT(async_sleep, 1);
    ASYNC_END;
}

static void statistics_tell_how_full_it_is_and_who_waits(void **s)
{
    (void)s;
    assert_int_equal(RUN(counts), 0);
    assert_said("+0 +1 | 2 of 2, 2 1, 2 0 | -0 -1 -2 -3 +2 +3 "
                "| 0 of 2, 2 1, 0 1 | -:EENDOFCHANNEL");
}

/* --- cancellation -------------------------------------------------------- */

struct cancels { ASYNC_FRAME; async_task *task; int n; };
static ASYNC(cancels)
{
    ASYNC_BEGIN(cancels);
    open_direct();
    /* While they wait: nothing has happened. */
    self->task = receive(&out, 1);
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    assert_int_equal(ASYNC_CHANNEL_SEND_NOWAIT(&in, 1), ASYNC_EWOULDBLOCK);
    AWAIT(joined, self->task);
    self->task = send_from(&in, 2, 3);
    ASYNC_SUSPEND;
    async_task_cancel(self->task);
    assert_int_equal(ASYNC_CHANNEL_RECEIVE_NOWAIT(&out, &self->n),
                     ASYNC_EWOULDBLOCK);
    AWAIT(joined, self->task);
    ASYNC_END;
}

struct late { ASYNC_FRAME; int sending; async_task *task; int n; };
/* Has an item handed over, and then waits for something else. */
struct goes_on { ASYNC_FRAME; int sending, n; };
static ASYNC(goes_on)
{
    ASYNC_BEGIN(goes_on);
    if (self->sending) {
        AWAIT_CHANNEL_SEND(&in, 5);
        say("sent");
    } else {
        AWAIT_CHANNEL_RECEIVE_INTO(self->n, &out);
        say("got %d", self->n);
    }
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        say("cancelled@%d", seconds());
    } ASYNC_END_TRY
    ASYNC_END;
}
static ASYNC(late)
{
    ASYNC_BEGIN(late);
    open_direct();
    self->task = async_create_task(CO(goes_on, self->sending));
    ASYNC_SUSPEND;
    if (self->sending)
        ASYNC_CHANNEL_RECEIVE_NOWAIT(&out, &self->n);
    else
        ASYNC_CHANNEL_SEND_NOWAIT(&in, 5);
    async_task_cancel(self->task); /* in the same iteration, but too late */
    AWAIT(joined, self->task);
    ASYNC_END;
}

static void cancelled_while_it_waits_nothing_has_happened(void **s)
{
    (void)s;
    assert_int_equal(RUN(cancels), 0);
    assert_said("-:ECANCELED +2:ECANCELED");
}

static void a_cancellation_that_comes_too_late_is_raised_at_the_next(void **s)
{
    (void)s;
    assert_int_equal(RUN(late, 0), 0);
    assert_said("got 5 cancelled@0");
    assert_int_equal(RUN(late, 1), 0);
    assert_said("sent cancelled@0");
}

static int send_one(void *unused)
{
    (void)unused;
    return ASYNC_CHANNEL_SEND_NOWAIT(&in, 5);
}
struct at_the_limit { ASYNC_FRAME; int n; async_scope scope; async_handle h; };
static ASYNC(at_the_limit)
{
    ASYNC_BEGIN(at_the_limit);
    open_direct();
    async_loop_call_later(async_loop_of(co), &self->h, ASYNC_SECONDS(1),
                          send_one, NULL);
    AWAIT_WAIT_FOR(ASYNC_SECONDS(1), ASYNC_CHANNEL_RECEIVE(&out, &self->n));
    say("%d %d", self->n, async_task_cancelling(async_current_task()));
    async_loop_call_later(async_loop_of(co), &self->h, ASYNC_SECONDS(1),
                          send_one, NULL);
    ASYNC_MOVE_ON_AFTER(&self->scope, ASYNC_SECONDS(1)) {
        AWAIT_CHANNEL_RECEIVE_INTO(self->n, &out);
        say("%d", self->n);
    }
    ASYNC_END_SCOPE
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    say("@%d", seconds());
    ASYNC_END;
}

static void an_item_that_comes_at_the_limit_is_had(void **s)
{
    (void)s;
    assert_int_equal(RUN(at_the_limit), 0);
    assert_said("5 0 5 @3");
}

/* Producers and consumers that are cancelled at any time: what has been sent is
 * received, once, and nothing else. */
enum { PRODUCERS = 4, CONSUMERS = 4, ITEMS = 30 };
static ASYNC_CHANNEL(int, 1) narrow;
static int was_sent[PRODUCERS * ITEMS], was_received[PRODUCERS * ITEMS];
static int use_direct;
static int_sender ins[PRODUCERS];
static int_receiver outs[CONSUMERS];
static async_task *tasks[PRODUCERS + CONSUMERS];

struct produces { ASYNC_FRAME; int who, i, error; };
static ASYNC(produces)
{
    ASYNC_BEGIN(produces);
    ASYNC_TRY {
        for (; self->i < ITEMS; self->i++) {
            ASYNC_TRY {
                AWAIT_CHANNEL_SEND(&ins[self->who],
                                   self->who * ITEMS + self->i);
                was_sent[self->who * ITEMS + self->i]++;
                if (chance(3) == 0) AWAIT(async_sleep, chance(3));
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
            ASYNC_END_TRY
        }
    } ASYNC_EXCEPT(ASYNC_EBROKENRESOURCE, ASYNC_ECLOSED) {}
    ASYNC_END_TRY
    async_sender_close(&ins[self->who].sender);
    ASYNC_END;
}
struct consumes { ASYNC_FRAME; int who, n; };
static ASYNC(consumes)
{
    ASYNC_BEGIN(consumes);
    ASYNC_TRY {
        for (;;) {
            ASYNC_TRY {
                AWAIT_CHANNEL_RECEIVE_INTO(self->n, &outs[self->who]);
                was_received[self->n]++;
                if (chance(3) == 0) AWAIT(async_sleep, chance(3));
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
            ASYNC_END_TRY
        }
    } ASYNC_EXCEPT(ASYNC_EENDOFCHANNEL, ASYNC_ECLOSED) {}
    ASYNC_END_TRY
    async_receiver_close(&outs[self->who].receiver);
    ASYNC_END;
}
struct by_chance { ASYNC_FRAME; int i; };
static ASYNC(by_chance)
{
    int i;
    ASYNC_BEGIN(by_chance);
    memset(was_sent, 0, sizeof was_sent);
    memset(was_received, 0, sizeof was_received);
    memset(ins, 0, sizeof ins);
    memset(outs, 0, sizeof outs);
    if (use_direct)
        ASYNC_CHANNEL_OPEN(&direct, &ins[0], &outs[0]);
    else
        ASYNC_CHANNEL_OPEN(&narrow, &ins[0], &outs[0]);
    for (i = 1; i < PRODUCERS; i++) ASYNC_SENDER_CLONE(&ins[i], &ins[0]);
    for (i = 1; i < CONSUMERS; i++) ASYNC_RECEIVER_CLONE(&outs[i], &outs[0]);
    for (i = 0; i < PRODUCERS; i++)
        tasks[i] = async_create_task(CO(produces, i));
    for (i = 0; i < CONSUMERS; i++)
        tasks[PRODUCERS + i] = async_create_task(CO(consumes, i));
    AWAIT(async_sleep, 1); /* one that has not started never runs */
    for (self->i = 0; self->i < 60; self->i++) {
        async_task_cancel(tasks[chance(PRODUCERS + CONSUMERS)]);
        if (chance(2)) AWAIT(async_sleep, chance(2));
        if (self->i > 40 && chance(9) == 0)
            async_sender_close(&ins[chance(PRODUCERS)].sender);
        /* All but one: the last would drop what has been sent. */
        if (self->i > 40 && chance(9) == 0)
            async_receiver_close(&outs[1 + chance(CONSUMERS - 1)].receiver);
    }
    for (self->i = 0; self->i < PRODUCERS + CONSUMERS; self->i++)
        AWAIT(joined, tasks[self->i]);
    ASYNC_END;
}

static void by_chance_no_item_is_lost_or_made(void **s)
{
    uint32_t round;
    int i, passed = 0;
    (void)s;
    for (round = 1; round <= 400; round++) {
        seed = round * 2654435761u;
        use_direct = round % 4 < 2;
        run_by_chance(round, CO(by_chance));
        for (i = 0; i < PRODUCERS * ITEMS; i++) {
            assert_int_equal(was_sent[i], was_received[i]);
            assert_true(was_sent[i] <= 1);
            passed += was_sent[i];
        }
    }
    assert_true(passed > 10000);
}

/* --- what cannot be ------------------------------------------------------ */

struct by_hand { ASYNC_FRAME; int n; };
static ASYNC(by_hand)
{
    ASYNC_BEGIN(by_hand);
    open_channel();
    AWAIT_CHANNEL_SEND(&in, 1); /* need not wait */
    AWAIT_CHANNEL_RECEIVE_INTO(self->n, &out);
    say("%d", self->n);
    AWAIT_CHANNEL_RECEIVE_INTO(self->n, &out);
    ASYNC_END;
}

static void a_coroutine_driven_by_hand_cannot_wait(void **s)
{
    void *memory[64];
    async co;
    (void)s;
    async_init(&co, memory, sizeof memory, CO(by_hand));
    assert_int_equal(async_send(&co), ASYNC_ENOTASK);
    assert_int_equal(
        async_channel_get_statistics(&channel.channel).tasks_waiting_receive,
        0);
    async_close(&co);
    assert_said("1");
}

ASYNC_STATIC_TASK(small, ASYNC_FRAMES(receives) + 8);
static void without_memory_it_is_raised(void **s)
{
    (void)s;
    open_direct();
    async_virtual_loop_init(&loop, NULL);
    async_task_start(&small, &loop.base, CO(receives, &out, 1));
    async_loop_run_forever(&loop.base);
    async_loop_close(&loop.base);
    assert_said("-:ENOMEM");
    assert_int_equal(
        async_channel_get_statistics(&direct.channel).tasks_waiting_receive,
        0);
}

static async_virtual_loop other;
static void tasks_of_another_loop_cannot_wait_in_it(void **s)
{
    async_task *first;
    (void)s;
    open_direct();
    async_virtual_loop_init(&other, NULL);
    first = async_loop_create_task(&other.base, CO(receives, &out, 1));
    assert_int_equal(async_loop_run_forever(&other.base), ASYNC_EDEADLOCK);
    assert_int_equal(RUN(receives, &out, 1), 0);
    assert_said("-:EBOUND");
    async_receiver_close(&out.receiver);
    assert_int_equal(async_loop_run_forever(&other.base), ASYNC_EDEADLOCK);
    async_task_release(first);
    async_loop_close(&other.base);
    assert_said("-:ECLOSED");
}

UNIT_MAIN(TEST(items_come_in_order_and_a_full_one_holds_up_who_sends),
          TEST(without_room_who_sends_meets_who_receives),
          TEST(who_waits_is_served_in_the_order_of_arrival),
          TEST(items_may_be_larger_than_the_stack),
          TEST(sending_and_receiving_are_coroutines_too),
          TEST(with_the_last_sender_gone_who_receives_is_told),
          TEST(what_is_in_it_can_still_be_received),
          TEST(with_the_last_receiver_gone_who_sends_is_told),
          TEST(who_waits_by_an_end_that_is_closed_is_told_and_no_other),
          TEST(zeroed_ends_are_closed),
          TEST(statistics_tell_how_full_it_is_and_who_waits),
          TEST(cancelled_while_it_waits_nothing_has_happened),
          TEST(a_cancellation_that_comes_too_late_is_raised_at_the_next),
          TEST(an_item_that_comes_at_the_limit_is_had),
          TEST(by_chance_no_item_is_lost_or_made),
          TEST(a_coroutine_driven_by_hand_cannot_wait),
          TEST(without_memory_it_is_raised),
          TEST(tasks_of_another_loop_cannot_wait_in_it))
