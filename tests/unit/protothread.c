/* ASYNC_PT_*: two bytes of state. */
#define ASYNC_IMPLEMENTATION
#include "../../async.h"

#include "unit.h"

static int ready, turns;

static ASYNC_PT_THREAD(child(async_pt *pt))
{
    ASYNC_PT_BEGIN(pt);
    say("child");
    ASYNC_PT_YIELD(pt);
    ASYNC_PT_WAIT_UNTIL(pt, ready);
    say("child-end");
    ASYNC_PT_END(pt);
}

static async_pt child_state;

static ASYNC_PT_THREAD(parent(async_pt *pt))
{
    ASYNC_PT_BEGIN(pt);
    say("parent");
    ASYNC_PT_SPAWN(pt, &child_state, child(&child_state));
    for (turns = 0; turns < 2; turns++) {
        ASYNC_PT_YIELD(pt);
        say("turn%d", turns);
    }
    ASYNC_PT_WAIT_WHILE(pt, ready);
    ASYNC_PT_EXIT(pt);
    say("not reached");
    ASYNC_PT_END(pt);
}

static void a_protothread_waits_spawns_and_starts_again_after_its_end(void **s)
{
    async_pt pt = { 0 };
    (void)s;
    assert_int_equal(sizeof(async_pt), 2);
    ready = 0;
    assert_int_equal(parent(&pt), ASYNC_PT_WAITING);
    assert_int_equal(parent(&pt), ASYNC_PT_WAITING);
    assert_said("parent child");
    ready = 1;
    assert_int_equal(parent(&pt), ASYNC_PT_YIELDED);
    assert_int_equal(parent(&pt), ASYNC_PT_YIELDED);
    assert_int_equal(parent(&pt), ASYNC_PT_WAITING);
    assert_said("child-end turn0 turn1");
    ready = 0;
    assert_false(ASYNC_PT_ALIVE(parent(&pt)));
    assert_true(ASYNC_PT_ALIVE(parent(&pt)));
    assert_said("parent child");
}

static ASYNC_PT_THREAD(counter(async_pt *pt, int *n))
{
    ASYNC_PT_BEGIN(pt);
    ++*n;
    ASYNC_PT_YIELD_UNTIL(pt, ready);
    if (*n < 3) ASYNC_PT_RESTART(pt);
    ASYNC_PT_END(pt);
}

static void restart_goes_back_to_the_top(void **s)
{
    async_pt pt = { 0 };
    int n = 0, calls = 0;
    (void)s;
    ready = 1;
    while (ASYNC_PT_ALIVE(counter(&pt, &n))) calls++;
    assert_int_equal(n, 3);
    assert_int_equal(calls, 5);
}

UNIT_MAIN(TEST(a_protothread_waits_spawns_and_starts_again_after_its_end),
          TEST(restart_goes_back_to_the_top))
