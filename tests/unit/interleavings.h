/* All orders in which three tasks and their cancellation can run.
 *
 * A story is three tasks that want something of each other.  walk() tells it
 * again and again on virtual time, until it has gone every way that it can:
 *
 *   - what is ready in an iteration runs in any order;
 *   - one of the tasks, or two, or one twice, is cancelled in any iteration,
 *     before, between or behind what runs there (woken, not yet run), or when
 *     all wait, or not at all;
 *   - choose(n), wherever a story calls it, is each of 0 .. n-1 in turn.  So
 *     `if (choose(2)) ASYNC_SUSPEND;` is a step that may come later.
 *
 * The ways form a tree, each choice a fork; it is walked depth first, by
 * telling the story anew with the choices of the time before up to the last one
 * that can still be taken otherwise. */
#ifndef UNIT_INTERLEAVINGS_H
#define UNIT_INTERLEAVINGS_H

#include "virtual.h"

enum { ACTORS = 3, CHOICES = 128, READY = 16 };

/* The story's tasks; walk() releases them. */
static async_task *actors[ACTORS];
/* How often each of them has been cancelled. */
static int cancelled[ACTORS];

typedef struct story {
    void (*begin)(void); /* makes what they share, and the tasks */
    void (*still)(void); /* checks, when nothing can happen any more */
    void (*end)(void);   /* checks, when who still waited has been cancelled */
    int cancellations;   /* at most */
} story;

static struct {
    unsigned char of[CHOICES], taken[CHOICES];
    int depth, known;
    long told;
    uint32_t chance; /* not 0: no tree, but a sample of its ways */
    int left;        /* so many cancellations */
    int silent;      /* the story is over: nothing is left to choice */
    async_handle cancel;
    async_backend backend;
    const async_backend *virtual_backend;
} way;

static int choose(int n)
{
    if (n < 2 || way.silent) return 0;
    if (way.chance) {
        way.chance ^= way.chance << 13;
        way.chance ^= way.chance >> 17;
        way.chance ^= way.chance << 5;
        return (int)(way.chance % (uint32_t)n);
    }
    if (way.depth == way.known) {
        assert_true(way.known < CHOICES);
        way.of[way.known] = (unsigned char)n;
        way.taken[way.known++] = 0;
    }
    assert_int_equal(way.of[way.depth], n); /* else it is not the same story */
    return way.taken[way.depth++];
}

/* Whether there is a way that has not been gone. */
static int next_way(void)
{
    way.depth = 0;
    if (way.chance) return way.told < 200;
    while (way.known > 0 &&
           way.taken[way.known - 1] + 1 == way.of[way.known - 1])
        way.known--;
    if (way.known > 0) way.taken[way.known - 1]++;
    return way.known > 0;
}

/* Cancels one of those who have not ended. */
static int cancel_one(void *unused)
{
    int alive[ACTORS], n = 0, i;
    (void)unused;
    for (i = 0; i < ACTORS; i++)
        if (!async_task_done(actors[i])) alive[n++] = i;
    if (n > 0) {
        i = alive[choose(n)];
        cancelled[i]++;
        async_task_cancel(actors[i]);
    }
    return 0;
}

/* Puts what is ready in some order. */
static void order_ready(async_loop *l)
{
    async_link *ready[READY], *link, *last = &l->ready;
    int n = 0, i;
    if (l->tail == &l->ready) return;
    l->tail->next = NULL;
    for (link = l->ready.next; link != NULL; link = link->next) {
        assert_true(n < READY);
        ready[n++] = link;
    }
    for (; n > 0; n--) {
        i = choose(n);
        last->next = ready[i];
        ready[i]->prev = last;
        last = ready[i];
        for (; i < n - 1; i++) ready[i] = ready[i + 1];
    }
    l->tail = last;
}

static int walk_poll(async_loop *l, async_time deadline)
{
    int error;
    if (way.left > 0 && choose(2)) {
        way.left--;
        async_loop_call_soon(l, &way.cancel, cancel_one, NULL);
        deadline = ASYNC_NO_WAIT;
    }
    error = way.virtual_backend->poll(l, deadline);
    if (!error) order_ready(l);
    return error;
}

/* Goes one way from begin to end. */
static void tell(const story *of)
{
    int i;
    way.left = of->cancellations;
    way.silent = 0;
    memset(cancelled, 0, sizeof cancelled);
    async_virtual_loop_init(&loop, NULL);
    way.virtual_backend = loop.base.backend;
    way.backend = *loop.base.backend;
    way.backend.poll = walk_poll;
    loop.base.backend = &way.backend;
    of->begin();
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    of->still();
    way.left = 0;
    way.silent = 1;
    for (i = 0; i < ACTORS; i++) async_task_cancel(actors[i]);
    assert_int_equal(async_loop_run_forever(&loop.base), ASYNC_EDEADLOCK);
    for (i = 0; i < ACTORS; i++) assert_true(async_task_done(actors[i]));
    if (of->end) of->end();
    for (i = 0; i < ACTORS; i++) async_task_release(actors[i]);
    assert_null(async_all_tasks(&loop.base, NULL));
    assert_int_equal(async_loop_count_tasks(&loop.base), 0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    way.told++;
}

/* Goes all ways; under valgrind, which is slow, some. */
static inline void walk(story of)
{
    memset(&way, 0, sizeof way);
#ifdef UNIT_VALGRIND
    way.chance = 2463534242u;
#endif
    do tell(&of);
    while (next_way());
    assert_true(way.told >= 200);
}

/* Makes a task one of the actors. */
static inline void act(int i, async_object object)
{
    actors[i] = async_loop_create_task(&loop.base, object);
}

/* Whether it has ended; with nothing wrong, or cancelled where that was meant
 * for it. */
static inline int ended(int i)
{
    int error;
    if (!async_task_done(actors[i])) return 0;
    error = async_task_result(actors[i]);
    if (error != 0) {
        assert_true(cancelled[i]);
        assert_int_equal(error, ASYNC_ECANCELED);
    }
    return 1;
}

#endif
