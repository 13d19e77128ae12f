/* virtual.h - a loop for tests, on which time jumps
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * When nothing is ready the clock jumps to the next deadline, so a program
 * that sleeps for an hour takes no time, and always runs in the same order.
 * The clock starts at zero and moves only by jumps and by
 * async_virtual_loop_advance().
 *
 * When nothing is ready and no timer is armed, nothing can ever happen again:
 * the run ends with ASYNC_EDEADLOCK.  (So it is not for programs that are
 * woken by other threads.)
 */
#ifndef CAESURA_VIRTUAL_H
#define CAESURA_VIRTUAL_H

#include "../../task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct async_virtual_loop {
    async_loop base;
    async_time time;
    uint32_t seed;
} async_virtual_loop;

/* Makes a loop in the caller's storage; async_loop_close(&loop->base) ends it.
 * allocator  NULL: the default one */
void async_virtual_loop_init(async_virtual_loop *loop,
                             const async_allocator *allocator);

/* Moves the clock, as a call that blocks for `duration` would. */
void async_virtual_loop_advance(async_virtual_loop *loop,
                                async_duration duration);

/* Runs what is ready in each iteration in a random order, the same for the
 * same seed, to find what rests on an order that nobody promised.  0, the
 * default: in asyncio's order. */
void async_virtual_loop_shuffle(async_virtual_loop *loop, uint32_t seed);

/* asyncio.run() on a loop of this kind: makes it, runs `main`, closes it.
 * Returns  what async_run_on() returns */
int async_virtual_run(async_object main);

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_VIRTUAL_H */

/* ========================================================================
 * IMPLEMENTATION
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_VIRTUAL_IMPLEMENTED)
#define CAESURA_VIRTUAL_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

static async_time async__virtual_now(async_loop *loop)
{
    return ((async_virtual_loop *)(void *)loop)->time;
}

/* xorshift, Marsaglia 2003 */
static uint32_t async__virtual_random(async_virtual_loop *loop, uint32_t below)
{
    loop->seed ^= loop->seed << 13;
    loop->seed ^= loop->seed >> 17;
    loop->seed ^= loop->seed << 5;
    return loop->seed % below;
}

/* A merge sort whose comparison is chance: each half is as likely to give the
 * next entry as it has entries left, so all orders are equally likely. */
static async_link *async__virtual_mix(async_virtual_loop *loop,
                                      async_link *list, uint32_t length)
{
    async_link head, *tail = &head, *half = list, *a, *b;
    uint32_t na = length / 2, nb = length - na, i;
    if (length < 2) return list;
    for (i = 1; i < na; i++) half = half->next;
    b = half->next;
    half->next = NULL;
    a = async__virtual_mix(loop, list, na);
    b = async__virtual_mix(loop, b, nb);
    while (na + nb > 0)
        if (async__virtual_random(loop, na + nb) < na) {
            tail = tail->next = a;
            a = a->next;
            na--;
        } else {
            tail = tail->next = b;
            b = b->next;
            nb--;
        }
    tail->next = NULL;
    return head.next;
}

static void async__virtual_shuffle(async_virtual_loop *loop)
{
    async_link *link;
    uint32_t length = 0;
    if (loop->base.tail == &loop->base.ready) return;
    loop->base.tail->next = NULL;
    for (link = loop->base.ready.next; link != NULL; link = link->next)
        length++;
    if (length < 2) return;
    loop->base.ready.next =
        async__virtual_mix(loop, loop->base.ready.next, length);
    for (link = &loop->base.ready; link->next != NULL; link = link->next)
        link->next->prev = link;
    loop->base.tail = link;
}

static int async__virtual_poll(async_loop *base, async_time deadline)
{
    async_virtual_loop *loop = (async_virtual_loop *)(void *)base;
    if (deadline == ASYNC_FOREVER &&
        __atomic_load_n(&base->remote, __ATOMIC_RELAXED) == NULL)
        return ASYNC_EDEADLOCK;
    if (deadline != ASYNC_FOREVER && deadline != ASYNC_NO_WAIT &&
        async_time_before(loop->time, deadline))
        loop->time = deadline;
    if (loop->seed) async__virtual_shuffle(loop);
    return 0;
}

static void async__virtual_nothing(async_loop *loop)
{
    (void)loop;
}

void async_virtual_loop_init(async_virtual_loop *loop,
                             const async_allocator *allocator)
{
    static const async_backend backend = {
        async__virtual_now, async__virtual_poll, async__virtual_nothing,
        async__virtual_nothing, NULL
    };
    async_loop_init(&loop->base, &backend, allocator, ASYNC_POLL_ALWAYS);
    loop->time = 0;
    loop->seed = 0;
}

void async_virtual_loop_advance(async_virtual_loop *loop,
                                async_duration duration)
{
    loop->time += (async_time)duration;
}

void async_virtual_loop_shuffle(async_virtual_loop *loop, uint32_t seed)
{
    loop->seed = seed;
}

int async_virtual_run(async_object main)
{
    async_virtual_loop loop;
    int error;
    async_virtual_loop_init(&loop, NULL);
    error = async_run_on(&loop.base, main);
    async_loop_close(&loop.base);
    return error;
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
