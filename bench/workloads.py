"""What the programs in Python have in common.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

The clock, what a program is asked (WORKLOAD N), and the line that it prints:
`WORKLOAD nanoseconds N`, or bytes.
"""

import gc
import os
import sys
import time

MANY = 10000  # the tasks of switch10k, the children of a gather
BATCH = 1000  # what another thread starts before it waits

name = sys.argv[-2] if len(sys.argv) > 2 else ""
n = int(sys.argv[-1]) if len(sys.argv) > 2 else 0

_started = 0
_state = 12345


def begin():
    global _started
    _started = time.process_time_ns()


def finish(operations, total, expected):
    passed = time.process_time_ns() - _started
    if total != expected:
        sys.exit(f"{name}: the sum is {total}, and should be {expected}")
    print(f"{name} {passed / operations:.4f} {operations}", flush=True)


def resident():
    gc.collect()
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def finish_sleep(before):
    """Ends the program: nobody wants to wait for what sleeps."""
    with open("/proc/self/statm") as statm:
        now = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    print(f"{name} {(now - before) / n:.1f} {n}", flush=True)
    os._exit(0)


def missing():
    print(f"{name} is not something that is done here", file=sys.stderr)
    sys.exit(3)


def value(i):
    return i & 1023


def sum_of(count):
    return sum(range(count % 1024)) + count // 1024 * (1023 * 1024 // 2)


def sum_to(count):
    return count * (count - 1) // 2


def seconds():
    """0 to 1, in the same order in every program."""
    global _state
    _state = (_state * 1664525 + 1013904223) & 0xFFFFFFFF
    return (_state >> 8) % 1001 / 1000
