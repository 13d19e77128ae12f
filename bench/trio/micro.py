"""The workloads as coroutines of trio.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    micro.py WORKLOAD N

A task has no result in trio, and is waited for by its nursery.
"""

import os
import sys

import trio

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from workloads import (  # noqa: E402
    MANY, begin, finish, finish_sleep, missing, n, name, resident, seconds,
    sum_of, sum_to, value)

total = 0


async def looper(count):
    global total
    for _ in range(count):
        await trio.sleep(0)
    total += count


async def level(depth, count):
    if depth > 0:
        await level(depth - 1, count)
    else:
        await looper(count)


async def child(i):
    return value(i)


async def child_task(i):
    global total
    total += value(i)


async def nap(delay):
    global total
    await trio.sleep(delay)
    total += 1


async def run_switch(many):
    each = n // many
    begin()
    async with trio.open_nursery() as nursery:
        for _ in range(many):
            nursery.start_soon(looper, each)
    finish(each * many, total, each * many)


async def run_depth(depth):
    begin()
    await level(depth - 1, n)  # looper() is a level, too
    finish(n, total, n)


async def run_spawn():
    begin()
    for i in range(n):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(child_task, i)
    finish(n, total, sum_of(n))


async def run_call():
    got = 0
    begin()
    for i in range(n):
        got += await child(i)
    finish(n, got, sum_of(n))


async def run_sleep():
    await trio.sleep(0)
    before = resident()
    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(trio.sleep, 3600)
        await trio.sleep(0)
        await trio.sleep(0)
        finish_sleep(before)


async def run_timers():
    begin()
    async with trio.open_nursery() as nursery:
        for _ in range(n):
            nursery.start_soon(nap, seconds())
    finish(n, total, n)


async def run_queue(capacity):
    putting, getting = trio.open_memory_channel(capacity)

    async def produce():
        for i in range(n):
            await putting.send(i)

    got = 0
    begin()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        for _ in range(n):
            got += await getting.receive()
    finish(n, got, sum_to(n))


async def run_pingpong():
    put_there, get_there = trio.open_memory_channel(1)
    put_back, get_back = trio.open_memory_channel(1)
    half = n // 2

    async def pong():
        for _ in range(half):
            await put_back.send(await get_there.receive())

    got = 0
    begin()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pong)
        for i in range(half):
            await put_there.send(i)
            got += await get_back.receive()
    finish(2 * half, got, sum_to(half))


async def run_gather():
    rounds = n // MANY
    begin()
    for _ in range(rounds):
        async with trio.open_nursery() as nursery:
            for i in range(MANY):
                nursery.start_soon(child_task, i)
    finish(rounds * MANY, total, rounds * sum_of(MANY))


async def run_timeout():
    got = 0
    begin()
    for i in range(n):
        with trio.fail_after(10):
            got += await child(i)
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
trio.run(WORKLOADS[name])
