"""caesura-gdb.py - tasks and their awaits, in gdb: of a process and of its core

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    (gdb) source async/debug/caesura-gdb.py
    (gdb) async ps                 a line a task
    (gdb) async tree               who awaits whom
    (gdb) async bt 3               the chain of awaits of Task-3, or of a task by
    (gdb) async bt forever         its name, or by an expression that is an
    (gdb) async bt &blinker.task   async_task *
    (gdb) async loops              the loops that it finds

With several loops all of them; `async loop EXPRESSION` says which (an async_loop *,
or a struct that begins with one), `async loop` alone all again.  Loops are found as
the one that runs in each thread, else as a variable of a frame of that thread.

The program needs debugging information (-g), optimised or not.  Nothing is called
in it, so it works on a core, too: a frame knows its function, whose name and file
gdb knows, and its line.
"""

import gdb

SLEEPING = 32
TASK = 1
KIND_MASK = 3
GENERATOR_OVER = 0xFFFFFFFF


def kind(name):
    return gdb.lookup_type(name)


def field_offset(struct, name):
    for field in struct.fields():
        if field.name == name:
            return field.bitpos // 8
    raise gdb.GdbError("%s has no member %s" % (struct, name))


def address(value):
    return int(value.cast(kind("unsigned long")))


def function_of(pointer):
    """The function that a pointer leads to: its name, and its file."""
    at = address(pointer)
    block = gdb.block_for_pc(at)
    while block is not None and block.function is None:
        block = block.superblock
    if block is None:
        return "0x%x" % at, "?"
    symbol = block.function
    return symbol.name, symbol.symtab.filename if symbol.symtab else "?"


def base_name(path):
    return path.replace("\\", "/").rsplit("/", 1)[-1]


class Frame:
    """A frame of a coroutine, where it is suspended."""

    def __init__(self, value):
        self.name, self.file = function_of(value["resume"])
        self.line = int(value["state"]) // 4
        self.started = int(value["state"]) != 0

    def place(self):
        if not self.started:
            return "not started"
        return "%s:%d" % (base_name(self.file), self.line)

    def __str__(self):
        return "%s (%s)" % (self.name, self.place())


class Task:
    def __init__(self, value, loop):
        self.value = value  # struct async_task
        self.loop = loop
        self.address = int(value.address)
        co = value["co"]
        self.co = co[0] if co.type.code == gdb.TYPE_CODE_ARRAY else co.dereference()

    def name(self):
        fields = [f.name for f in self.value.type.fields()]
        if "named" in fields:
            if int(self.value["named"]):
                return self.value["name"].cast(kind("char").pointer()).string()
            return "Task-%d" % int(self.value["name"])
        if "name" in fields and int(self.value["name"]):
            return self.value["name"].string()
        return "0x%x" % self.address

    def frames(self):
        """Innermost first."""
        found = []
        frame = self.co["top"]
        while int(frame) != 0 and len(found) < 10000:
            function = function_of(frame["resume"])[0]
            if function != "async__chunk_frame":
                found.append(Frame(frame))
            frame = frame["caller"]
        return found

    def title(self):
        frames = self.frames()
        return "%s %s" % (self.name(), frames[-1].name if frames else "?")

    def done(self):
        return int(self.value["future"]["state"]) != 0

    def sleeps(self):
        return int(self.co["flags"]) & SLEEPING != 0

    def running(self):
        current = self.loop.value["current"]
        return int(current) != 0 and int(current) == int(self.co.address)

    def future(self):
        if self.sleeps() or self.running():
            return None
        future = self.co["wait"]["future"]
        if int(future) == 0:
            return None
        return future.cast(kind("async_future").pointer())

    def awaits(self):
        """The task that it awaits itself, or None."""
        future = self.future()
        if future is None or int(future["state"]) != 0:
            return None
        if int(future["kind"]) & KIND_MASK != TASK:
            return None
        return self.loop.task_at(int(future))

    def state(self):
        if self.running():
            return "running"
        if self.sleeps():
            run = function_of(self.co["node"]["run"])[0]
            return "sleeping" if run == "async__sleep_over" else "waiting for a queue"
        future = self.future()
        if future is None or int(future["state"]) != 0:
            return "ready"
        task = self.awaits()
        if task is not None:
            return "waiting for " + task.title()
        frames = self.frames()
        return "waiting for " + (frames[0].name if len(frames) > 1 else "a future")

    def awaited_by(self):
        """The task that awaits it, also by a gather, a group or a wait."""
        future = self.value["future"]
        for _ in range(100):
            if int(future["state"]) != 0:
                return None
            further = None
            for node in links(future["waiters"]):
                node = node.cast(kind("async_node").pointer())
                run = function_of(node["run"])[0]
                if run in ("async__step", "async__step_cancelled"):
                    return self.loop.task_of(int(node))
                further = waiter(run, node)
                if further is not None:
                    break
            if further is None:
                return None
            future = further
        return None


def links(head):
    """The addresses of a list's links, without its head."""
    end = int(head.address)
    link = head["next"]
    for _ in range(10000000):
        if int(link) in (0, end):
            return
        yield link
        link = link["next"]


def within(node, struct, member):
    """The struct of which a node is a member."""
    struct = kind(struct)
    at = int(node) - field_offset(struct, member)
    return gdb.Value(at).cast(struct.pointer()).dereference()


def waiter(run, node):
    """The future that finishes when this node is told, or None."""
    if run == "async__child_done":
        return within(node, "async__member", "node")["gathering"]["outer"]["future"]
    if run == "async__group_member_done":
        group = within(node, "async__group_member", "done")["group"]
        return group["ended"] if int(group["waiting"]) else None
    if run == "async__nursery_child_done":
        child = node.cast(kind("async__nursery_child").pointer())
        if int(child["starting"]) != 0:
            return child["starting"]["operation"]["future"]
        group = child["member"]["group"]
        return group["ended"] if int(group["waiting"]) else None
    if run == "async__select_done":
        selection = within(node, "async__member", "node")["gathering"]
        return selection.cast(kind("async_selection").pointer())["waiter"]
    if run == "async__wait_done":
        owner = within(node, "async_waited", "node")["owner"]
        return owner.cast(kind("struct async_wait").pointer())["waiter"]
    if run == "async__as_completed_done":
        owner = within(node, "async_waited", "node")["owner"]
        return owner.cast(kind("struct async_as_completed").pointer())["waiter"]
    if run == "async__shield_inner_done":
        return within(node, "struct async_shield", "inner_done")["outer"]
    if run == "async__until_done_wake":
        return within(node, "struct async__until_done", "done")["waiter"]
    return None


class Loop:
    def __init__(self, pointer):
        self.value = pointer.cast(kind("async_loop").pointer()).dereference()
        self.address = int(pointer)
        self.all = None

    def tasks(self):
        if self.all is None:
            task = kind("async_task")
            offset = field_offset(task, "all")
            self.all = []
            for link in links(self.value["tasks"]):
                at = gdb.Value(int(link) - offset).cast(task.pointer())
                self.all.append(Task(at.dereference(), self))
            self.at = {t.address: t for t in self.all}
            self.by_co = {int(t.co.address): t for t in self.all}
        return self.all

    def task_at(self, where):
        self.tasks()
        return self.at.get(where)

    def task_of(self, co):
        self.tasks()
        return self.by_co.get(co)


class Loops:
    """Which loops the commands are about."""

    chosen = None

    @classmethod
    def find(cls):
        if cls.chosen is not None:
            return [Loop(gdb.parse_and_eval(cls.chosen))]
        found = {}
        thread = gdb.selected_thread()
        if thread is None:
            raise gdb.GdbError("there is no process")
        frame = gdb.selected_frame()
        for each in gdb.selected_inferior().threads():
            each.switch()
            pointer = cls.running() or cls.in_frames()
            if pointer is not None:
                found.setdefault(int(pointer), Loop(pointer))
        thread.switch()
        frame.select()
        if not found:
            raise gdb.GdbError("no thread runs a loop: async loop EXPRESSION says where it is")
        return list(found.values())

    @staticmethod
    def running():
        try:
            pointer = gdb.parse_and_eval("async__running")
            return pointer if int(pointer) != 0 else None
        except gdb.error:  # thread-local storage of a core cannot always be had
            return None

    @staticmethod
    def in_frames():
        frame = gdb.newest_frame()
        while frame is not None:
            try:
                block = frame.block()
            except RuntimeError:
                block = None
            while block is not None and not block.is_global:
                for symbol in block:
                    if not (symbol.is_variable or symbol.is_argument):
                        continue
                    if str(symbol.type) not in ("async_loop *", "struct async_loop *"):
                        continue
                    try:
                        value = symbol.value(frame)
                        if not value.is_optimized_out and int(value) != 0:
                            return value
                    except gdb.error:
                        pass
                if block.function is not None:
                    break
                block = block.superblock
            frame = frame.older()
        return None


def with_loops():
    loops = Loops.find()
    for loop in loops:
        if len(loops) > 1:
            print("loop 0x%x" % loop.address)
        yield loop


def line(task):
    chain = " > ".join(str(f) for f in reversed(task.frames()))
    return "%s: %s; %s" % (task.title(), task.state(), chain)


class Async(gdb.Command):
    """Tasks and their awaits: async ps, async tree, async bt TASK, async loops."""

    def __init__(self):
        super().__init__("async", gdb.COMMAND_STATUS, gdb.COMPLETE_NONE, True)


class AsyncLoops(gdb.Command):
    """The loops that run, and how many tasks each has."""

    def __init__(self):
        super().__init__("async loops", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for loop in Loops.find():
            print("loop 0x%x: %d tasks" % (loop.address, len(loop.tasks())))


class AsyncLoop(gdb.Command):
    """async loop EXPRESSION: the loop that the commands are about; without, all."""

    def __init__(self):
        super().__init__("async loop", gdb.COMMAND_STATUS, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        Loops.chosen = "(async_loop *)(%s)" % argument if argument else None


class AsyncPs(gdb.Command):
    """A line for each task: its name, its state, its chain of awaits."""

    def __init__(self):
        super().__init__("async ps", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for loop in with_loops():
            for task in loop.tasks():
                print(line(task))


class AsyncTree(gdb.Command):
    """Who awaits whom: under a task stand those that it awaits."""

    def __init__(self):
        super().__init__("async tree", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        for loop in with_loops():
            children, shown = {}, set()
            for task in loop.tasks():
                parent = task.awaited_by()
                children.setdefault(parent.address if parent else 0, []).append(task)

            def show(top, depth):
                todo = [(task, depth) for task in reversed(top)]
                while todo:
                    task, deep = todo.pop()
                    if task.address in shown:
                        continue
                    shown.add(task.address)
                    print("  " * deep + line(task))
                    below = children.get(task.address, [])
                    todo += [(child, deep + 1) for child in reversed(below)]

            show(children.get(0, []), 0)
            circles = [t for t in loop.tasks() if t.address not in shown]
            if circles:
                print("in a circle:")
                show(circles, 1)


class AsyncBt(gdb.Command):
    """async bt TASK: where it is suspended, innermost first, and what it awaits.

    TASK is its number, its name, or an expression that is an async_task *."""

    def __init__(self):
        super().__init__("async bt", gdb.COMMAND_STATUS, gdb.COMPLETE_EXPRESSION)

    def invoke(self, argument, from_tty):
        if not argument:
            raise gdb.GdbError("async bt TASK: its number, name or address")
        task = self.find(argument)
        seen = set()
        while task is not None and task.address not in seen:
            seen.add(task.address)
            print("%s: %s" % (task.title(), task.state()))
            for i, frame in enumerate(task.frames()):
                print("  #%-2d %s" % (i, frame))
            task = task.awaits()
            if task is not None:
                print("awaits")

    @staticmethod
    def find(argument):
        loops = Loops.find()
        for loop in loops:
            for task in loop.tasks():
                if task.name() in (argument, "Task-" + argument):
                    return task
        try:
            pointer = gdb.parse_and_eval(argument)
            task = pointer.cast(kind("async_task").pointer())
        except gdb.error:
            raise gdb.GdbError("no task is called " + argument)
        for loop in loops:
            if loop.task_at(int(task)) is not None:
                return loop.task_at(int(task))
        loop = Loop(task["future"]["loop"])
        return Task(task.dereference(), loop)


Async()
AsyncLoops()
AsyncLoop()
AsyncPs()
AsyncTree()
AsyncBt()
