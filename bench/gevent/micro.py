"""The workloads as greenlets of gevent: functions with stacks of their own.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    micro.py WORKLOAD N

An await is a function call, at any depth.
"""

import os
import sys

import gevent
import gevent.queue

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from workloads import (  # noqa: E402
    MANY, begin, finish, finish_sleep, missing, n, name, resident, seconds,
    sum_of, sum_to, value)


def looper(count):
    i = 0
    for i in range(1, count + 1):
        gevent.sleep(0)
    return i


def level(depth, count):
    if depth > 0:
        return level(depth - 1, count)
    return looper(count)


def child(i):
    return value(i)


def nap(delay):
    gevent.sleep(delay)
    return 1


def results(greenlets):
    gevent.joinall(greenlets)
    return sum(greenlet.value for greenlet in greenlets)


def run_switch(many):
    each = n // many
    begin()
    looped = results([gevent.spawn(looper, each) for _ in range(many)])
    finish(each * many, looped, each * many)


def run_depth(depth):
    begin()
    # looper() is a level, too
    finish(n, gevent.spawn(level, depth - 1, n).get(), n)


def run_spawn():
    got = 0
    begin()
    for i in range(n):
        got += gevent.spawn(child, i).get()
    finish(n, got, sum_of(n))


def run_call():
    got = 0
    begin()
    for i in range(n):
        got += child(i)
    finish(n, got, sum_of(n))


def run_sleep():
    gevent.sleep(0)
    before = resident()
    greenlets = [gevent.spawn(gevent.sleep, 3600) for _ in range(n)]
    gevent.sleep(0)
    gevent.sleep(0.001)
    finish_sleep(before)
    del greenlets


def run_timers():
    begin()
    finish(n, results([gevent.spawn(nap, seconds()) for _ in range(n)]), n)


def run_queue(capacity):
    queue = gevent.queue.Queue(capacity)

    def produce():
        for i in range(n):
            queue.put(i)

    got = 0
    begin()
    producer = gevent.spawn(produce)
    for _ in range(n):
        got += queue.get()
    producer.join()
    finish(n, got, sum_to(n))


def run_pingpong():
    there = gevent.queue.Queue(1)
    back = gevent.queue.Queue(1)
    half = n // 2

    def pong():
        for _ in range(half):
            back.put(there.get())

    got = 0
    begin()
    ponger = gevent.spawn(pong)
    for i in range(half):
        there.put(i)
        got += back.get()
    ponger.join()
    finish(2 * half, got, sum_to(half))


def run_gather():
    rounds = n // MANY
    got = 0
    begin()
    for _ in range(rounds):
        got += results([gevent.spawn(child, i) for i in range(MANY)])
    finish(rounds * MANY, got, rounds * sum_of(MANY))


def run_timeout():
    got = 0
    begin()
    for i in range(n):
        with gevent.Timeout(10):
            got += child(i)
    finish(n, got, sum_of(n))


WORKLOADS = {
    "switch1": lambda: run_switch(1),
    "switch10k": lambda: run_switch(MANY),
    "depth1": lambda: run_depth(1),
    "depth10": lambda: run_depth(10),
    "depth100": lambda: run_depth(100),
    "spawn": run_spawn,
    "call": run_call,
    "sleep": run_sleep,
    "timers": run_timers,
    "queue1": lambda: run_queue(1),
    "queue64": lambda: run_queue(64),
    "pingpong": run_pingpong,
    "gather": run_gather,
    "timeout": run_timeout,
}

if name not in WORKLOADS:
    missing()
WORKLOADS[name]()
