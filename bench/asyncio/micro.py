"""The workloads as coroutines of asyncio, on its own loop or on uvloop's.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    micro.py [--uvloop] WORKLOAD N
"""

import asyncio
import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from workloads import (  # noqa: E402
    BATCH, MANY, begin, finish, finish_sleep, missing, n, name, resident,
    seconds, sum_of, sum_to, value)


async def looper(count):
    i = 0
    for i in range(1, count + 1):
        await asyncio.sleep(0)
    return i


async def level(depth, count):
    if depth > 0:
        return await level(depth - 1, count)
    return await looper(count)


async def child(i):
    return value(i)


async def run_switch(many):
    each = n // many
    begin()
    looped = await asyncio.gather(*[looper(each) for _ in range(many)])
    finish(each * many, sum(looped), each * many)


async def run_depth(depth):
    begin()
    finish(n, await level(depth - 1, n), n)  # looper() is a level, too


async def run_spawn():
    total = 0
    begin()
    for i in range(n):
        total += await asyncio.create_task(child(i))
    finish(n, total, sum_of(n))


async def run_call():
    total = 0
    begin()
    for i in range(n):
        total += await child(i)
    finish(n, total, sum_of(n))


async def run_sleep():
    await asyncio.sleep(0)
    before = resident()
    tasks = [asyncio.create_task(asyncio.sleep(3600)) for _ in range(n)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    finish_sleep(before)
    del tasks


async def run_timers():
    begin()
    ended = await asyncio.gather(
        *[asyncio.sleep(seconds(), 1) for _ in range(n)])
    finish(n, sum(ended), n)


async def run_queue(capacity):
    queue = asyncio.Queue(capacity)

    async def produce():
        for i in range(n):
            await queue.put(i)

    total = 0
    begin()
    producer = asyncio.create_task(produce())
    for _ in range(n):
        total += await queue.get()
    await producer
    finish(n, total, sum_to(n))


async def run_pingpong():
    there = asyncio.Queue(1)
    back = asyncio.Queue(1)
    half = n // 2

    async def pong():
        for _ in range(half):
            await back.put(await there.get())

    total = 0
    begin()
    ponger = asyncio.create_task(pong())
    for i in range(half):
        await there.put(i)
        total += await back.get()
    await ponger
    finish(2 * half, total, sum_to(half))


async def run_gather():
    rounds = n // MANY
    total = 0
    begin()
    for _ in range(rounds):
        total += sum(await asyncio.gather(*[child(i) for i in range(MANY)]))
    finish(rounds * MANY, total, rounds * sum_of(MANY))


async def run_timeout():
    total = 0
    begin()
    if hasattr(asyncio, "timeout"):
        for i in range(n):
            async with asyncio.timeout(10):
                total += await child(i)
    else:  # before Python 3.11
        for i in range(n):
            total += await asyncio.wait_for(child(i), 10)
    finish(n, total, sum_of(n))


async def run_bulk():
    loop = asyncio.get_running_loop()
    late = []
    begin()
    handles = [loop.call_later(10 + seconds(), late.append, None)
               for _ in range(n)]
    for handle in handles:
        handle.cancel()
    finish(n, len(late), 0)
    os._exit(0)


async def run_threads():
    count = n - n % BATCH
    total = []
    loop = asyncio.get_running_loop()
    ended = loop.create_future()

    def post():
        got = 0
        for i in range(0, count, BATCH):
            batch = [asyncio.run_coroutine_threadsafe(child(i + j), loop)
                     for j in range(BATCH)]
            got += sum(future.result() for future in batch)
        total.append(got)
        loop.call_soon_threadsafe(ended.set_result, None)

    begin()
    thread = threading.Thread(target=post)
    thread.start()
    await ended
    thread.join()
    finish(count, total[0], sum_of(count))


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
    "bulk": run_bulk,
    "threads": run_threads,
}

if "--uvloop" in sys.argv:
    import uvloop
    uvloop.install()
if name not in WORKLOADS:
    missing()
asyncio.run(WORKLOADS[name]())
