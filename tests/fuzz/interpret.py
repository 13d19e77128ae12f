"""Runs programs on CPython's asyncio, on virtual time, and prints what happens.

    python3 interpret.py <programs >traces

This is what interpret.c has to do as well, to the letter; README.md says what
the statements mean.
"""

import asyncio
import contextlib
import functools
import heapq
import itertools
import sys
import warnings

import newer
from program import Node, parse

# What both interpreters stop at, so that every program ends.
FUEL = 400
TASKS = 40
TABLE = 32

NEXT, BREAK, CONTINUE, RETURN = range(4)


class E1(Exception):
    pass


class E2(Exception):
    pass


class E3(Exception):
    pass


ERRORS = {
    "E1": E1,
    "E2": E2,
    "E3": E3,
    "Cancelled": asyncio.CancelledError,
    "Timeout": TimeoutError,
    "Group": BaseExceptionGroup,
    "InvalidState": asyncio.InvalidStateError,
    "QueueFull": asyncio.QueueFull,
    "QueueEmpty": asyncio.QueueEmpty,
    "QueueShutDown": newer.QueueShutDown,
    "BrokenBarrier": asyncio.BrokenBarrierError,
}
# What the others have in their text.
TEXTS = {
    "Result is not": "NotReady",
    "Exception is not set": "NotReady",
    "Lock is not acquired": "NotAcquired",
    "cannot wait on un-acquired": "WaitUnlocked",
    "cannot notify on un-acquired": "NotifyUnlocked",
    "released too many times": "OverReleased",
    "task_done() called too many": "TaskDone",
    "Task cannot await on itself": "SelfAwait",
    "Timeout has not been entered": "TimeoutNew",
    "state of expired Timeout": "TimeoutExpired",
    "state of expiring Timeout": "TimeoutExpiring",
    "state of finished Timeout": "TimeoutOver",
    "is finished": "GroupOver",
    "is shutting down": "GroupAbort",
    "Set of Tasks/Futures is empty": "NoFutures",
}


def name_of(error):
    text = str(error)
    for part, name in TEXTS.items():
        if part in text:
            return name
    for name, kind in ERRORS.items():
        if isinstance(error, kind):
            return name
    return repr(error)


class Deadlock(Exception):
    pass


class Timer(asyncio.TimerHandle):
    """Equal deadlines in the order of creation, which CPython leaves open."""

    __slots__ = ("turn",)

    def __lt__(self, other):
        return (self._when, self.turn) < (other._when, other.turn)


class Task(newer.Task):
    """A loop knows all its tasks, in the order of creation."""

    def __init__(self, coroutine, *, loop, **options):
        loop.made.append(self)
        super().__init__(coroutine, loop=loop, **options)


class VirtualLoop(asyncio.BaseEventLoop):
    """asyncio's own loop, whose clock jumps when nothing is ready."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.turns = itertools.count()
        self.made = []
        self.eager = False
        self._selector = self
        self.set_task_factory(self.make_task)

    def make_task(self, loop, coroutine, **options):
        return Task(coroutine, loop=loop, eager_start=self.eager, **options)

    def time(self):
        return self.now

    def select(self, timeout):
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self.now += timeout
        return []

    def call_at(self, when, callback, *arguments, context=None):
        timer = Timer(when, callback, arguments, self, context)
        timer.turn = next(self.turns)
        timer._scheduled = True
        heapq.heappush(self._scheduled, timer)
        return timer

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass

    def _asyncgen_finalizer_hook(self, generator):
        pass


@functools.total_ordering
class Item:
    """What is in a queue by priority: some are equal, but not the same."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return self.value // 10 < other.value // 10

    def __eq__(self, other):
        return self.value // 10 == other.value // 10


class Scope:
    """A call of a function: its task's number, and what it remembers."""

    def __init__(self, index):
        self.who = f"t{index}"
        self.index = index
        self.value = 0
        self.result = 0
        self.caught = None


class Outside(Scope):
    """Where callbacks run."""

    def __init__(self):
        super().__init__(-1)
        self.who = "cb"


class Program:
    def __init__(self, tree):
        self.functions = tree.children
        self.by_run = "run" in tree.args
        self.eager = "eager" in tree.args
        self.trace = []
        self.quiet = False
        self.fuel = FUEL
        self.making = 0
        self.tasks = []
        self.gathers = []
        self.groups = []
        self.timeouts = []
        self.handles = []
        self.callbacks = []
        self.variables = [0, 0]
        self.looked_at = set()
        self.hangs = False  # asyncio.run() would not have ended

    # --- the world ----------------------------------------------------------

    def run(self):
        self.loop = loop = VirtualLoop()
        loop.eager = self.eager
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self.report)
        self.futures = [loop.create_future() for _ in range(6)]
        self.locks = [asyncio.Lock(), asyncio.Lock()]
        self.conditions = [newer.Condition(), newer.Condition(self.locks[0])]
        self.events = [asyncio.Event(), asyncio.Event()]
        self.semaphores = [
            newer.Semaphore(1),
            newer.Semaphore(2),
            newer.BoundedSemaphore(1),
        ]
        self.barriers = [newer.Barrier(2), newer.Barrier(3)]
        self.queues = [
            newer.Queue(1),
            newer.Queue(0),
            newer.LifoQueue(2),
            newer.PriorityQueue(6),
        ]
        self.main(loop)
        for turn in range(1, 4):
            loop.now = turn * 10000
            for task in [task for task in loop.made if not task.done()]:
                task.cancel()
            loop.run_until_complete(asyncio.sleep(1000))
            self.note("main", "swept")
        self.finish()
        self.quiet = True
        for task in loop.made:
            task._log_destroy_pending = False
        loop._ready.clear()
        loop._scheduled.clear()
        asyncio.set_event_loop(None)
        loop.close()

    def main(self, loop):
        """Runs the first function, and then what it has left."""
        try:
            if self.by_run:
                ended = f"returned {self.asyncio_run(loop)}"
            else:
                ended = f"returned {loop.run_until_complete(self.task(0))}"
        except Deadlock:
            # Timers of what was left in the middle may still have been armed.
            loop.now = 5000
            ended = "deadlock"
        except BaseException as error:
            ended = f"failed {name_of(error)}"
        self.note("main", ended)
        self.hangs = self.by_run and any(not task.done() for task in loop.made)
        loop.run_until_complete(asyncio.sleep(1000))

    def asyncio_run(self, loop):
        """asyncio.run(), which cancels what is left; in the order of creation,
        where that has a set of tasks."""
        try:
            value = loop.run_until_complete(self.task(0))
        except BaseException:
            with contextlib.suppress(Deadlock):
                self.shut_down(loop)
            raise
        self.shut_down(loop)
        return value

    def shut_down(self, loop):
        left = [task for task in loop.made if not task.done()]
        for task in left:
            task.cancel()
        try:
            if left:
                loop.run_until_complete(newer.gather(*left, return_exceptions=True))
        finally:
            # CPython leaves open in what order.
            for number, task in enumerate(self.tasks):
                if task in left and task.done() and not task.cancelled():
                    if task.exception() is not None:
                        error = name_of(task.exception())
                        self.note("main", f"report t{number} {error}")

    def finish(self):
        """How all of it has ended, and, if it has, whose errors nobody has seen:
        what does not end may be about to see some."""
        kinds = (("t", self.tasks), ("f", self.futures), ("g", self.gathers))
        for letter, table in kinds:
            for number, future in enumerate(table):
                if letter != "f" or future.done():
                    self.note("main", f"{letter}{number} {self.state(future)}")
        if self.hangs or any(not task.done() for task in self.loop.made):
            return
        for letter, table in kinds:
            for number, future in enumerate(table):
                if future in self.looked_at:
                    continue
                if future.done() and future._log_traceback:
                    error = name_of(future.exception())
                    self.note("main", f"{letter}{number} unseen {error}")

    def note(self, who, text):
        if not self.quiet:
            self.trace.append(f"{self.loop.now} {who} {text}")

    def report(self, loop, context):
        # Reports of what was collected come when the collector does: finish().
        if "never retrieved" in context["message"]:
            return
        error = name_of(context.get("exception"))
        what = context["message"]
        self.note("cb", f"report {error if 'callback' in what else what}")

    @staticmethod
    def state(future):
        if not future.done():
            return "pending"
        return "cancelled" if future.cancelled() else "done"

    @staticmethod
    def outcome(future):
        """What a future came to; looking at it is seeing its error."""
        try:
            value = future.result()
        except BaseException as error:
            return name_of(error)
        return "list" if isinstance(value, list) else value

    # --- functions ----------------------------------------------------------

    async def task(self, function, index=None):
        """A task: one that nobody has given a number takes one when it starts."""
        if index is None:
            index = self.register(asyncio.current_task())
        self.note(f"t{index}", f"starts {function}")
        try:
            value = await self.call(index, function)
        except BaseException as error:
            self.note(f"t{index}", f"fails {name_of(error)}")
            raise
        self.note(f"t{index}", f"returns {value}")
        return value

    async def call(self, index, function):
        scope = Scope(index)
        flow = await self.block(scope, self.functions[function].children)
        return scope.result if flow == RETURN else 0

    def register(self, task):
        self.tasks.append(task)
        return len(self.tasks) - 1

    def may_make(self, n=1):
        """Whether there is room for n tasks more."""
        if self.making + n > TASKS:
            return False
        self.making += n
        return True

    async def block(self, scope, statements):
        for node in statements:
            if self.quiet or self.fuel <= 0:
                return NEXT
            self.fuel -= 1
            simple = getattr(self, "do_" + node.op, None)
            if simple is not None:
                self.say(scope, node, simple(scope, node))
            else:
                flow = await getattr(self, "run_" + node.op)(scope, node)
                if flow:
                    return flow
        return NEXT

    def callback(self, node, *_):
        """What a callback does: what needs no waiting."""
        scope = Outside()
        for child in node.children:
            if self.quiet or self.fuel <= 0:
                return
            self.fuel -= 1
            self.say(scope, child, getattr(self, "do_" + child.op)(scope, child))

    def say(self, scope, node, text):
        self.note(scope.who, f"{node.op} {text}")

    # --- what they name -----------------------------------------------------

    @staticmethod
    def which(table, k):
        """A number of what the program has made; -1 is the last."""
        return len(table) - 1 if k < 0 else k % len(table)

    def task_named(self, scope, k):
        """A task by its number; -1 is the one that runs."""
        n = max(scope.index, 0) if k < 0 else k % len(self.tasks)
        return f"t{n}", self.tasks[n]

    def find(self, scope, kind, k, later=False):
        """A future by its kind and number: its name, itself, and the least
        number of a task that awaiting it would cancel.  None if there is none.

        What is awaited comes later: it has higher numbers than who awaits, so
        that nothing can wait in a circle.  But a task can await itself."""
        if kind == "fut":
            n = k % len(self.futures)
            return f"f{n}", self.futures[n], TASKS
        if kind == "task":
            if not later or k < 0:
                name, task = self.task_named(scope, k)
                return name, task, self.tasks.index(task)
            choice = range(scope.index + 1, len(self.tasks))
            if not choice:
                return None
            n = choice[k % len(choice)]
            return f"t{n}", self.tasks[n], n
        choice = [
            n
            for n, outer in enumerate(self.gathers)
            if outer is not None and (not later or outer.least > scope.index)
        ]
        if not choice:
            return None
        n = choice[self.which(choice, k)]
        return f"g{n}", self.gathers[n], self.gathers[n].least

    def operands(self, scope, node, later, coroutines=True):
        """The futures that a statement names, those that are there.  Coroutines
        are numbers of functions."""
        found = []
        for child in node.children:
            if child.op == "co":
                if coroutines:
                    found.append((f"co{child.args[0]}", child.args[0], len(self.tasks)))
            elif child.op in ("task", "fut", "gath"):
                one = self.find(scope, child.op, child.args[0], later)
                if one is not None:
                    found.append(one)
        return found

    # --- statements without waiting -----------------------------------------

    def attempt(self, function, *arguments):
        """What it raises is its result."""
        try:
            function(*arguments)
        except Exception as error:
            return name_of(error)
        return "ok"

    def do_log(self, scope, node):
        return node.args[0]

    def do_stall(self, scope, node):
        self.loop.now += node.args[0]
        return node.args[0]

    def do_add(self, scope, node):
        self.variables[node.args[0]] += node.args[1]
        return self.variables[node.args[0]]

    def do_tasks(self, scope, node):
        return len(asyncio.all_tasks())

    def do_cancel(self, scope, node):
        name, task = self.task_named(scope, node.args[0])
        return f"{name} {int(task.cancel())}"

    def do_uncancel(self, scope, node):
        name, task = self.task_named(scope, node.args[0])
        return f"{name} {task.uncancel()}"

    def do_cancelling(self, scope, node):
        name, task = self.task_named(scope, node.args[0])
        return f"{name} {task.cancelling()}"

    def do_state(self, scope, node):
        found = self.find(scope, *node.args)
        if found is None:
            return "nothing"
        return f"{found[0]} {self.state(found[1])}"

    def do_result(self, scope, node):
        found = self.find(scope, *node.args)
        if found is None:
            return "nothing"
        return f"{found[0]} {self.outcome(found[1])}"

    def do_drop(self, scope, node):
        found = self.find(scope, *node.args)
        if found is None:
            return "nothing"
        return f"{found[0]} {int(found[1].cancel())}"

    def do_set(self, scope, node):
        name, future, _ = self.find(scope, "fut", node.args[0])
        return f"{name} {self.attempt(future.set_result, node.args[1])}"

    def do_fail(self, scope, node):
        name, future, _ = self.find(scope, "fut", node.args[0])
        error = ERRORS[node.args[1]]()
        return f"{name} {self.attempt(future.set_exception, error)}"

    def do_release(self, scope, node):
        return f"{node.args[0]} {self.attempt(self.locks[node.args[0]].release)}"

    def do_locked(self, scope, node):
        return f"{node.args[0]} {int(self.locks[node.args[0]].locked())}"

    def do_evset(self, scope, node):
        self.events[node.args[0]].set()
        return node.args[0]

    def do_evclear(self, scope, node):
        self.events[node.args[0]].clear()
        return node.args[0]

    def do_evisset(self, scope, node):
        return f"{node.args[0]} {int(self.events[node.args[0]].is_set())}"

    def do_crelease(self, scope, node):
        condition = self.conditions[node.args[0]]
        return f"{node.args[0]} {self.attempt(condition.release)}"

    def do_notify(self, scope, node):
        condition = self.conditions[node.args[0]]
        return f"{node.args[0]} {self.attempt(condition.notify, node.args[1])}"

    def do_notifyall(self, scope, node):
        condition = self.conditions[node.args[0]]
        return f"{node.args[0]} {self.attempt(condition.notify_all)}"

    def do_semrelease(self, scope, node):
        semaphore = self.semaphores[node.args[0]]
        return f"{node.args[0]} {self.attempt(semaphore.release)}"

    def do_semlocked(self, scope, node):
        return f"{node.args[0]} {int(self.semaphores[node.args[0]].locked())}"

    def do_barinfo(self, scope, node):
        barrier = self.barriers[node.args[0]]
        return f"{node.args[0]} {barrier.n_waiting} {int(barrier.broken)}"

    def item(self, q, value):
        return Item(value) if q == 3 else value

    def value(self, item):
        return item.value if isinstance(item, Item) else item

    def do_putnow(self, scope, node):
        q, value = node.args[0], node.args[1]
        return f"{q} {self.attempt(self.queues[q].put_nowait, self.item(q, value))}"

    def do_getnow(self, scope, node):
        q = node.args[0]
        try:
            scope.value = self.value(self.queues[q].get_nowait())
        except Exception as error:
            return f"{q} {name_of(error)}"
        return f"{q} {scope.value}"

    def do_taskdone(self, scope, node):
        q = node.args[0]
        return f"{q} {self.attempt(self.queues[q].task_done)}"

    def do_shutdown(self, scope, node):
        self.queues[node.args[0]].shutdown(bool(node.args[1]))
        return node.args[0]

    def do_qsize(self, scope, node):
        queue = self.queues[node.args[0]]
        return f"{node.args[0]} {queue.qsize()} {int(queue.full())}"

    def do_spawn(self, scope, node):
        if not self.may_make():
            return "full"
        if node.args[1] == 2 and not self.eager:
            task = Task(self.task(node.args[0]), loop=self.loop, eager_start=True)
            return f"t{self.tasks.index(task)}"
        return self.number(self.loop.create_task, node.args[0])

    def do_member(self, scope, node):
        if not self.groups or not self.may_make():
            return "nothing"
        g = self.which(self.groups, node.args[0])
        try:
            return f"{g} {self.number(self.groups[g].create_task, node.args[1])}"
        except RuntimeError as error:
            return f"{g} {name_of(error)}"

    def number(self, make, function):
        """Makes a task, which has a number at once; an eager one takes it."""
        if self.eager:
            task = make(self.task(function))
            return f"t{self.tasks.index(task)}"
        task = make(self.task(function, len(self.tasks)))
        return f"t{self.register(task)}"

    def do_reschedule(self, scope, node):
        if not self.timeouts:
            return "nothing"
        x = self.which(self.timeouts, node.args[0])
        when = None if node.args[1] == "never" else self.loop.time() + node.args[1]
        return f"{x} {self.attempt(self.timeouts[x].reschedule, when)}"

    def do_expired(self, scope, node):
        if not self.timeouts:
            return "nothing"
        x = self.which(self.timeouts, node.args[0])
        return f"{x} {int(self.timeouts[x].expired())}"

    def do_soon(self, scope, node):
        if len(self.handles) >= TABLE:
            return "full"
        handle = self.loop.call_soon(self.callback, node)
        self.handles.append((handle, node.args[0]))
        return f"h{len(self.handles) - 1}"

    def do_later(self, scope, node):
        if len(self.handles) >= TABLE:
            return "full"
        handle = self.loop.call_later(node.args[0], self.callback, node)
        self.handles.append((handle, node.args[1]))
        return f"h{len(self.handles) - 1}"

    def do_unsoon(self, scope, node):
        if not self.handles:
            return "nothing"
        h = self.which(self.handles, node.args[0])
        handle, anonymous = self.handles[h]
        if not anonymous:
            handle.cancel()
        return f"h{h}"

    def do_ondone(self, scope, node):
        found = self.find(scope, *node.args)
        if found is None:
            return "nothing"
        if len(self.callbacks) >= TABLE:
            return "full"
        callback = functools.partial(self.callback, node)
        self.callbacks.append((found[1], callback))
        found[1].add_done_callback(callback)
        return f"{found[0]} d{len(self.callbacks) - 1}"

    def do_undone(self, scope, node):
        if not self.callbacks:
            return "nothing"
        d = self.which(self.callbacks, node.args[0])
        future, callback = self.callbacks[d]
        return f"d{d} {future.remove_done_callback(callback)}"

    def do_gatherstart(self, scope, node):
        if len(self.gathers) >= TABLE:
            return "full"
        found = self.operands(scope, node, False)
        if not self.may_make(sum(isinstance(one, int) for _, one, _ in found)):
            return "full"
        # Its number comes before those of what eager operands make.
        g = len(self.gathers)
        self.gathers.append(None)
        self.gathers[g] = self.start(found, node.args[0])
        return f"g{g}"

    def start(self, found, return_exceptions):
        """A gather of operands."""
        outer = newer.gather(
            *(self.task(one) if isinstance(one, int) else one for _, one, _ in found),
            return_exceptions=bool(return_exceptions),
        )
        outer.least = min((least for _, _, least in found), default=TASKS)
        return outer

    def do_raise(self, scope, node):
        self.say(scope, node, node.args[0])
        raise ERRORS[node.args[0]]

    def do_reraise(self, scope, node):
        if scope.caught is None:
            return "nothing"
        self.say(scope, node, name_of(scope.caught))
        raise scope.caught

    # --- flow ---------------------------------------------------------------

    async def run_return(self, scope, node):
        scope.result = scope.value if node.args[0] < 0 else node.args[0]
        self.say(scope, node, scope.result)
        return RETURN

    async def run_break(self, scope, node):
        return BREAK

    async def run_continue(self, scope, node):
        return CONTINUE

    async def run_loop(self, scope, node):
        for turn in range(node.args[0]):
            self.say(scope, node, turn)
            flow = await self.block(scope, node.children)
            if flow == BREAK:
                break
            if flow == RETURN:
                return flow
        return NEXT

    async def run_attempt(self, scope, node):
        """except Exception, as AWAIT_CATCH has it."""
        try:
            return await self.block(scope, node.children)
        except Exception as error:
            self.say(scope, node, name_of(error))
            return NEXT

    async def run_try(self, scope, node):
        try:
            flow = await self.block(scope, node.child("body"))
            if flow:
                return flow
        except BaseException as error:
            if self.quiet:
                raise
            arm = self.arm(node, error)
            if arm is None:
                raise
            self.note(scope.who, f"caught {name_of(error)}")
            scope.caught = error
            flow = await self.block(scope, arm.children)
            if flow:
                return flow
        else:
            flow = await self.block(scope, node.child("else"))
            if flow:
                return flow
        finally:
            flow = await self.block(scope, node.child("finally"))
            if flow:
                return flow
        return NEXT

    @staticmethod
    def arm(node, error):
        for arm in node.children:
            if arm.op != "except":
                continue
            if arm.args[0] == "all":
                return arm
            if arm.args[0] == "any" and isinstance(error, Exception):
                return arm
            if name_of(error) in arm.args:
                return arm
        return None

    async def run_with(self, scope, node):
        kind, k = node.args
        table = {"lock": self.locks, "cond": self.conditions, "sem": self.semaphores}
        async with table[kind][k]:
            self.note(scope.who, f"in {kind} {k}")
            flow = await self.block(scope, node.children)
            if flow:
                return flow
        self.note(scope.who, f"out {kind} {k}")
        return NEXT

    async def run_timeout(self, scope, node):
        if len(self.timeouts) >= TABLE:
            self.say(scope, node, "full")
            return NEXT
        delay = node.args[0]
        when = None if delay == "never" else self.loop.time() + delay
        timeout = newer.Timeout(when)
        x = len(self.timeouts)
        self.timeouts.append(timeout)
        async with timeout:
            self.say(scope, node, f"x{x}")
            flow = await self.block(scope, node.children)
            if flow:
                return flow
        self.note(scope.who, f"over x{x} {int(timeout.expired())}")
        return NEXT

    async def run_group(self, scope, node):
        if len(self.groups) >= TABLE:
            self.say(scope, node, "full")
            return NEXT
        g = len(self.groups)
        group = newer.TaskGroup()
        self.groups.append(group)
        try:
            async with group:
                self.say(scope, node, g)
                flow = await self.block(scope, node.children)
                if flow:
                    return flow
        except BaseExceptionGroup as error:
            inside = " ".join(name_of(one) for one in error.exceptions)
            self.note(scope.who, f"group {g} failed {inside}")
            raise
        self.note(scope.who, f"group {g} over")
        return NEXT

    async def numbers(self, scope, node):
        try:
            for turn in range(node.args[0]):
                await self.block(scope, node.child("before"))
                yield turn
        finally:
            await self.block(scope, node.child("finally"))

    async def run_generate(self, scope, node):
        async with contextlib.aclosing(self.numbers(scope, node)) as numbers:
            async for turn in numbers:
                self.say(scope, node, turn)
                flow = await self.block(scope, node.child("body"))
                if flow == BREAK:
                    break
                if flow == RETURN:
                    return flow
        return NEXT

    # --- statements that wait -----------------------------------------------

    async def run_sleep(self, scope, node):
        await asyncio.sleep(node.args[0])
        self.say(scope, node, node.args[0])

    async def run_pause(self, scope, node):
        await asyncio.sleep(0)
        self.say(scope, node, "")

    async def run_await(self, scope, node):
        found = self.find(scope, *node.args, later=True)
        if found is None:
            self.say(scope, node, "nothing")
            return
        name, future, _ = found
        value = await future
        if not isinstance(value, list):
            scope.value = value
        self.say(scope, node, f"{name} {'list' if isinstance(value, list) else value}")

    async def run_join(self, scope, node):
        await self.run_await(scope, Node("join", ["task", node.args[0]]))

    async def run_call(self, scope, node):
        scope.value = await self.call(scope.index, node.args[0])
        self.say(scope, node, f"{node.args[0]} {scope.value}")

    async def run_acquire(self, scope, node):
        await self.locks[node.args[0]].acquire()
        self.say(scope, node, node.args[0])

    async def run_evwait(self, scope, node):
        await self.events[node.args[0]].wait()
        self.say(scope, node, node.args[0])

    async def run_cacquire(self, scope, node):
        await self.conditions[node.args[0]].acquire()
        self.say(scope, node, node.args[0])

    async def run_cwait(self, scope, node):
        await self.conditions[node.args[0]].wait()
        self.say(scope, node, node.args[0])

    async def run_cwaitfor(self, scope, node):
        c, v, n = node.args
        await self.conditions[c].wait_for(lambda: self.variables[v] >= n)
        self.say(scope, node, f"{c} {self.variables[v]}")

    async def run_semacquire(self, scope, node):
        await self.semaphores[node.args[0]].acquire()
        self.say(scope, node, node.args[0])

    async def run_barwait(self, scope, node):
        scope.value = await self.barriers[node.args[0]].wait()
        self.say(scope, node, f"{node.args[0]} {scope.value}")

    async def run_barreset(self, scope, node):
        await self.barriers[node.args[0]].reset()
        self.say(scope, node, node.args[0])

    async def run_barabort(self, scope, node):
        await self.barriers[node.args[0]].abort()
        self.say(scope, node, node.args[0])

    async def run_put(self, scope, node):
        q, value = node.args[0], node.args[1]
        await self.queues[q].put(self.item(q, value))
        self.say(scope, node, f"{q} {value}")

    async def run_get(self, scope, node):
        q = node.args[0]
        scope.value = self.value(await self.queues[q].get())
        self.say(scope, node, f"{q} {scope.value}")

    async def run_qjoin(self, scope, node):
        await self.queues[node.args[0]].join()
        self.say(scope, node, node.args[0])

    async def run_gather(self, scope, node):
        found = self.operands(scope, node, True)
        found = [one for one in found if one[2] != scope.index]  # not itself
        if not self.may_make(sum(isinstance(one, int) for _, one, _ in found)):
            self.say(scope, node, "full")
            return
        outer = self.start(found, node.args[0])
        values = [
            name_of(value)
            if isinstance(value, BaseException)
            else "list" if isinstance(value, list) else str(value)
            for value in await outer
        ]
        self.say(scope, node, " ".join(values))

    async def run_wait(self, scope, node):
        mode = {
            "all": asyncio.ALL_COMPLETED,
            "first": asyncio.FIRST_COMPLETED,
            "error": asyncio.FIRST_EXCEPTION,
        }[node.args[0]]
        timeout = None if node.args[1] == "never" else node.args[1]
        found = [one for _, one, _ in self.operands(scope, node, False, False)]
        if node.args[0] == "error":
            self.looked_at.update(found)
        done, _ = await asyncio.wait(found, timeout=timeout, return_when=mode)
        self.say(scope, node, " ".join(str(int(one in done)) for one in found))

    async def run_completed(self, scope, node):
        timeout = None if node.args[0] == "never" else node.args[0]
        found = self.operands(scope, node, False, False)
        names = {one: name for name, one, _ in reversed(found)}
        async for future in newer.AsCompleted([one for _, one, _ in found], timeout):
            self.say(scope, node, names[future])
            flow = await self.block(scope, node.child("body"))
            if flow == BREAK:
                break
            if flow == RETURN:
                return flow
        return NEXT

    async def run_shield(self, scope, node):
        for name, one, _ in self.operands(scope, node, False)[:1]:
            if isinstance(one, int):
                if not self.may_make():
                    break
                one = self.task(one)
                await asyncio.shield(one)
                self.say(scope, node, name)
                return
            value = await asyncio.shield(one)
            self.say(scope, node, f"{name} {'list' if isinstance(value, list) else value}")
            return
        self.say(scope, node, "nothing")

    async def run_limit(self, scope, node):
        timeout = None if node.args[0] == "never" else node.args[0]
        for name, one, _ in self.operands(scope, node, True)[:1]:
            if isinstance(one, int):
                if not self.may_make():
                    break
                one = self.call(scope.index, one)
            value = await newer.wait_for(one, timeout)
            if not isinstance(value, list):
                scope.value = value
            self.say(scope, node, f"{name} {'list' if isinstance(value, list) else value}")
            return
        self.say(scope, node, "nothing")


def traces(text):
    """The traces of the programs in a text, each with its first line."""
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None
    for tree in parse(text):
        program = Program(tree)
        program.run()
        yield "\n".join([f"program {tree.args[0]}"] + program.trace) + "\n"


if __name__ == "__main__":
    for trace in traces(sys.stdin.read()):
        sys.stdout.write(trace)
