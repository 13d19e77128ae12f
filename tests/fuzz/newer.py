"""asyncio as of CPython 3.13, on any version from 3.11 on.

Where the running version follows the newer rules its own classes are used;
otherwise the rules stand here.  Two things stand here for every version,
because CPython keeps tasks in sets there and so leaves an order open, for which
Caesura takes that of creation: the members of a group that are cancelled, and
what had ended before as_completed.
"""

import asyncio
import collections
import itertools
import sys
from asyncio import CancelledError

NEW = sys.version_info >= (3, 13)


class OrderedSet(set):
    """Of tasks, which a TaskGroup keeps in a set: in the order of creation."""

    def __iter__(self):
        return iter(sorted(super().__iter__(), key=lambda task: task.turn))


class AsCompleted:
    """`async for` over as_completed(), in the order of the arguments."""

    def __init__(self, futures, timeout):
        self.ended = asyncio.Queue()
        self.left = dict.fromkeys(futures)
        self.owed = len(self.left)
        self.timer = None
        for future in self.left:
            future.add_done_callback(self.end)
        if self.left and timeout is not None:
            loop = asyncio.get_running_loop()
            self.timer = loop.call_later(timeout, self.expire)

    def end(self, future):
        if not self.left:
            return
        del self.left[future]
        self.ended.put_nowait(future)
        if not self.left and self.timer is not None:
            self.timer.cancel()

    def expire(self):
        for future in self.left:
            future.remove_done_callback(self.end)
            self.ended.put_nowait(None)
        self.left.clear()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.owed == 0:
            raise StopAsyncIteration
        self.owed -= 1
        future = await self.ended.get()
        if future is None:
            raise TimeoutError
        return future


class Task(asyncio.tasks._PyTask):
    """In Python: the one in C cannot be awaited after it has awaited itself."""

    turns = itertools.count()

    def __init__(self, coroutine, *, eager_start=False, **options):
        self.turn = next(self.turns)
        if sys.version_info >= (3, 12):
            options["eager_start"] = eager_start
        super().__init__(coroutine, **options)
        if eager_start and sys.version_info < (3, 12) and self._loop.is_running():
            self.start_at_once()

    def start_at_once(self):
        """The first step, inside that of the task that makes it."""
        self._loop._ready.pop()
        maker = asyncio.current_task()
        if maker is not None:
            asyncio.tasks._leave_task(self._loop, maker)
        self._context.run(self._Task__step)
        if maker is not None:
            asyncio.tasks._enter_task(self._loop, maker)

    def uncancel(self):
        """A request that was not delivered goes with the last one."""
        left = super().uncancel()
        if left == 0:
            self._must_cancel = False
        return left


class TaskGroup:
    """As of Python 3.13.0, which does not wait for an eager member that is done;
    but of an error it hears later, as 3.13.2 does."""

    def __init__(self):
        self.parent = None
        self.members = OrderedSet()
        self.errors = []
        self.exiting = self.aborting = self.cancels = False
        self.empty = None

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        self.parent = asyncio.current_task()
        return self

    def create_task(self, coroutine):
        reason = None
        if self.parent is None:
            reason = "has not been entered"
        elif self.exiting and not self.members:
            reason = "is finished"
        elif self.aborting:
            reason = "is shutting down"
        if reason is not None:
            coroutine.close()
            raise RuntimeError(f"TaskGroup {self!r} {reason}")
        task = self.loop.create_task(coroutine)
        if task.done() and not task.cancelled() and task.exception() is None:
            return task
        self.members.add(task)
        task.add_done_callback(self.member_done)
        return task

    def abort(self):
        self.aborting = True
        for member in list(self.members):
            if not member.done():
                member.cancel()

    def member_done(self, task):
        self.members.discard(task)
        if self.empty is not None and not self.members:
            if not self.empty.done():
                self.empty.set_result(None)
        if task.cancelled() or task.exception() is None:
            return
        self.errors.append(task.exception())
        if not self.aborting and not self.cancels:
            self.abort()
            self.cancels = True
            self.parent.cancel()

    async def __aexit__(self, kind, error, traceback):
        self.exiting = True
        cancelled = error if isinstance(error, CancelledError) else None
        if error is not None and not self.aborting:
            self.abort()
        while self.members:
            self.empty = self.loop.create_future()
            try:
                await self.empty
            except CancelledError as interruption:
                if not self.aborting:
                    cancelled = interruption
                    self.abort()
            self.empty = None
        if self.cancels and self.parent.uncancel() == 0:
            cancelled = None
        if cancelled is not None and not self.errors:
            raise cancelled
        if error is not None and not isinstance(error, CancelledError):
            self.errors.append(error)
        if self.errors:
            if self.parent.cancelling():
                self.parent.uncancel()
                self.parent.cancel()
            raise BaseExceptionGroup("unhandled errors in a TaskGroup", self.errors)


if NEW:
    Barrier = asyncio.Barrier
    BoundedSemaphore = asyncio.BoundedSemaphore
    Condition = asyncio.Condition
    LifoQueue = asyncio.LifoQueue
    PriorityQueue = asyncio.PriorityQueue
    Queue = asyncio.Queue
    QueueShutDown = asyncio.QueueShutDown
    Semaphore = asyncio.Semaphore
    Timeout = asyncio.Timeout
    gather = asyncio.gather
    wait_for = asyncio.wait_for

else:

    class QueueShutDown(Exception):
        pass

    class Gathering(asyncio.Future):
        """The future of a gather(): cancelling it cancels the children."""

        def __init__(self, children):
            super().__init__(loop=children[0].get_loop() if children else None)
            self.children = children
            self.asked = False

        def cancel(self, msg=None):
            if self.done():
                return False
            taken = [child.cancel(msg=msg) for child in self.children]
            if any(taken):
                self.asked = True
            return any(taken)

    def gather(*arguments, return_exceptions=False):
        """Children that are done already count at once, not by a callback."""
        made = {}
        for argument in arguments:
            if argument not in made:
                made[argument] = asyncio.ensure_future(argument)
        children = [made[argument] for argument in arguments]
        outer = Gathering(children)
        left = len(made)
        if not children:
            outer.set_result([])

        def child_done(child):
            nonlocal left
            left -= 1
            if outer.done():
                outcome(child)
            elif not return_exceptions and isinstance(outcome(child), BaseException):
                outer.set_exception(outcome(child))
            elif left == 0:
                results = [outcome(child) for child in children]
                if outer.asked:
                    outer.set_exception(CancelledError())
                else:
                    outer.set_result(results)

        def outcome(child):
            if child.cancelled():
                return CancelledError()
            return child.exception() or child.result()

        done = [child for child in made.values() if child.done()]
        for child in made.values():
            if not child.done():
                child.add_done_callback(child_done)
        for child in done:
            child_done(child)
        return outer

    class Timeout:
        """asyncio.Timeout.  Its states have the names of the errors' texts."""

        def __init__(self, when):
            self.deadline = when
            self.state = "created"
            self.handle = None

        def expired(self):
            return self.state in ("expiring", "expired")

        def reschedule(self, when):
            if self.state == "created":
                raise RuntimeError("Timeout has not been entered")
            if self.state != "active":
                raise RuntimeError(f"Cannot change state of {self.state} Timeout")
            self.deadline = when
            if self.handle is not None:
                self.handle.cancel()
            loop = asyncio.get_running_loop()
            if when is None:
                self.handle = None
            elif when <= loop.time():
                self.handle = loop.call_soon(self.expire)
            else:
                self.handle = loop.call_at(when, self.expire)

        def expire(self):
            self.state = "expiring"
            self.handle = None
            self.task.cancel()

        async def __aenter__(self):
            self.state = "active"
            self.task = asyncio.current_task()
            self.before = self.task.cancelling()
            self.reschedule(self.deadline)
            return self

        async def __aexit__(self, kind, error, traceback):
            if self.handle is not None:
                self.handle.cancel()
                self.handle = None
            if self.state == "expiring":
                self.state = "expired"
                left = self.task.uncancel()
                if left <= self.before and isinstance(error, CancelledError):
                    raise TimeoutError from error
            else:
                self.state = "finished"

    async def wait_for(awaitable, timeout):
        """Awaits in the caller's own task, but for a limit that is over."""
        if timeout is not None and timeout > 0:
            loop = asyncio.get_running_loop()
            async with Timeout(loop.time() + timeout):
                return await awaitable
        if timeout is None:
            return await awaitable
        future = asyncio.ensure_future(awaitable)
        if future.done():
            return future.result()
        ended = asyncio.get_running_loop().create_future()

        def end(_):
            if not ended.done():
                ended.set_result(None)

        future.add_done_callback(end)
        try:
            future.cancel()
            await ended
        finally:
            future.remove_done_callback(end)
        try:
            return future.result()
        except CancelledError as error:
            raise TimeoutError from error

    class Condition(asyncio.Condition):
        """Who was notified and then cancelled passes the notification on."""

        async def wait(self):
            if not self.locked():
                raise RuntimeError("cannot wait on un-acquired lock")
            notified = asyncio.get_running_loop().create_future()
            interruption = None
            self.release()
            self._waiters.append(notified)
            try:
                await notified
            except CancelledError as error:
                interruption = error
            self._waiters.remove(notified)
            while True:
                try:
                    await self.acquire()
                    break
                except CancelledError as error:
                    interruption = error
            if interruption is not None:
                self.wake(1)
                raise interruption
            return True

        def wake(self, n):
            waiting = [waiter for waiter in self._waiters if not waiter.done()]
            for waiter in waiting[:n]:
                waiter.set_result(False)

    class Barrier(asyncio.Barrier):
        def __init__(self, parties):
            super().__init__(parties)
            self._cond = Condition()

    class Semaphore:
        """Permits that are free again go to as many as there are, whoever ran."""

        def __init__(self, value):
            self.value = value
            self.line = collections.deque()

        def locked(self):
            return self.value == 0 or any(not w.cancelled() for w in self.line)

        async def acquire(self):
            if not self.locked():
                self.value -= 1
                return True
            turn = asyncio.get_running_loop().create_future()
            self.line.append(turn)
            try:
                await turn
            except CancelledError:
                if turn.done() and not turn.cancelled():
                    self.value += 1
                raise
            finally:
                self.line.remove(turn)
                while self.value > 0 and self.serve():
                    pass
            return True

        def serve(self):
            for turn in self.line:
                if not turn.done():
                    self.value -= 1
                    turn.set_result(None)
                    return True
            return False

        def release(self):
            self.value += 1
            self.serve()

        async def __aenter__(self):
            await self.acquire()

        async def __aexit__(self, kind, error, traceback):
            self.release()

    class BoundedSemaphore(Semaphore):
        def __init__(self, value):
            super().__init__(value)
            self.most = value

        def release(self):
            if self.value >= self.most:
                raise ValueError("BoundedSemaphore released too many times")
            super().release()

    class Queue(asyncio.Queue):
        """With shutdown()."""

        over = False

        async def put(self, item):
            while self.full() and not self.over:
                await self.stand(self._putters, self.full)
            self.put_nowait(item)

        async def get(self):
            while self.empty() and not self.over:
                await self.stand(self._getters, self.empty)
            return self.get_nowait()

        async def stand(self, line, in_vain):
            turn = asyncio.get_running_loop().create_future()
            line.append(turn)
            try:
                await turn
            except CancelledError:
                turn.cancel()
                if turn in line:
                    line.remove(turn)
                if not in_vain() and not turn.cancelled():
                    self._wakeup_next(line)
                raise

        def put_nowait(self, item):
            if self.over:
                raise QueueShutDown
            super().put_nowait(item)

        def get_nowait(self):
            if self.over and self.empty():
                raise QueueShutDown
            return super().get_nowait()

        def shutdown(self, immediate=False):
            self.over = True
            if immediate:
                while not self.empty():
                    self._get()
                    if self._unfinished_tasks > 0:
                        self._unfinished_tasks -= 1
                if self._unfinished_tasks == 0:
                    self._finished.set()
            for line in (self._getters, self._putters):
                while line:
                    self._wakeup_next(line)

    class LifoQueue(Queue, asyncio.LifoQueue):
        pass

    class PriorityQueue(Queue, asyncio.PriorityQueue):
        pass
