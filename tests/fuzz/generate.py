"""Makes programs from seeds.

    python3 generate.py SEED [N]    writes N programs, of SEED, SEED + 1, ...

A program has a taste of its own: it uses few kinds of statements and few
objects, so that what it uses meets.
"""

import random
import sys

from program import Node

ERRORS = ["E1", "E2", "E3"]


class Chance:
    """Rests on random() alone, which gives the same in every version."""

    def __init__(self, seed):
        self.random = random.Random(seed).random

    def below(self, n):
        return int(self.random() * n)

    def of(self, choices):
        return choices[self.below(len(choices))]

    def one_in(self, n):
        return self.below(n) == 0

    def weighted(self, weights):
        """A key of a dict, as likely as its value says."""
        at = self.random() * sum(weights.values())
        for key, weight in weights.items():
            at -= weight
            if at < 0:
                break
        return key


# What a program may be about: statements, and how often they come.
THEMES = {
    "cancel": {"cancel": 6, "uncancel": 2, "cancelling": 2, "state": 1, "result": 1},
    "futures": {"set": 3, "fail": 2, "drop": 2, "await_fut": 5, "state": 1, "result": 1},
    "tasks": {"await_task": 4, "join": 2, "shield": 2, "tasks": 1, "result": 1},
    "gather": {"gather": 4, "gatherstart": 3, "await_gath": 3, "drop": 1, "result": 1},
    "wait": {"wait": 4, "completed": 3},
    "limit": {"limit": 5, "timeout": 3},
    "timeout": {"timeout": 6, "reschedule": 3, "expired": 1, "stall": 1},
    "shield": {"shield": 5, "limit": 1, "cancel": 2},
    "lock": {"with_lock": 5, "acquire": 2, "release": 3, "locked": 1},
    "event": {"evwait": 5, "evset": 4, "evclear": 2, "evisset": 1},
    "condition": {
        "with_cond": 10,
        "cwait": 1,
        "cwaitfor": 1,
        "notify": 1,
        "notifyall": 1,
        "add": 2,
        "cacquire": 1,
        "crelease": 1,
        "with_lock": 1,
    },
    "semaphore": {"with_sem": 5, "semacquire": 2, "semrelease": 3, "semlocked": 1},
    "barrier": {"barwait": 6, "barreset": 1, "barabort": 1, "barinfo": 1},
    "queue": {
        "put": 5,
        "get": 5,
        "putnow": 2,
        "getnow": 2,
        "taskdone": 2,
        "qjoin": 2,
        "shutdown": 1,
        "qsize": 1,
    },
    "group": {"group": 5, "member": 6},
    "callbacks": {"soon": 3, "later": 3, "unsoon": 2, "ondone": 4, "undone": 1},
    "generator": {"generate": 4},
    "blocking": {"stall": 3},
}
# How often: more where there is more to go wrong.
POPULAR = dict.fromkeys(THEMES, 2)
POPULAR.update({"queue": 6, "condition": 5, "semaphore": 3, "lock": 3, "cancel": 3})
POPULAR.update({"generator": 1, "blocking": 0.5})
# What every program has.
COMMON = {
    "spawn": 5,
    "sleep": 6,
    "pause": 1,
    "call": 2,
    "log": 1,
    "raise": 2,
    "return": 1,
    "try": 5,
    "loop": 1,
    "cancel": 1,
    "await_task": 1,
}
NARROW = {"spawn": 5, "sleep": 4, "pause": 1, "cancel": 2, "try": 2, "call": 1}
# How much more, or less, of a kind there is in one function than in others.
LIKES = [0.1, 0.5, 1, 1, 4]
# Those with statements inside, and those that need to be in a task.
NESTED = {"try", "loop", "timeout", "group", "generate", "completed", "attempt"}
NESTED |= {"with_lock", "with_cond", "with_sem"}
WAKING = {"set", "fail", "drop", "release", "evset", "notify", "notifyall"}
WAKING |= {"crelease", "semrelease", "putnow", "getnow", "taskdone", "shutdown"}
CALLING = {"spawn", "member", "call"}
SYNCHRONOUS = {"log", "cancel", "uncancel", "cancelling", "state", "result", "set"}
SYNCHRONOUS |= {"fail", "drop", "release", "locked", "evset", "evclear", "evisset"}
SYNCHRONOUS |= {"notify", "notifyall", "crelease", "semrelease", "semlocked"}
SYNCHRONOUS |= {"barinfo", "putnow", "getnow", "taskdone", "shutdown", "qsize"}
SYNCHRONOUS |= {"spawn", "member", "reschedule", "expired", "unsoon", "undone"}
SYNCHRONOUS |= {"stall", "add", "tasks", "raise", "soon", "later", "gatherstart"}


class Generator:
    def __init__(self, seed):
        self.seed = seed
        self.chance = chance = Chance(seed)
        # About one thing and little else, or about several.
        narrow = chance.one_in(2)
        self.weights = dict(NARROW if narrow else COMMON)
        for _ in range(1 if narrow else 1 + chance.below(4)):
            theme = THEMES[chance.weighted(POPULAR)]
            factor = 20 / sum(theme.values())
            for name, weight in theme.items():
                self.weights[name] = self.weights.get(name, 0) + factor * weight
        if chance.one_in(3):
            self.weights["attempt"] = 2
        # Of each kind of object one is used, or all.
        self.favourite = chance.below(12) if chance.one_in(2) else None
        self.functions = 2 + chance.below(5)
        self.handling = False
        # How tasks are made: some programs make some of them eagerly.
        self.ways = [0, 1, 2] if chance.one_in(4) else [0, 1]
        self.long = 2 + chance.below(6)

    def program(self):
        functions = []
        chance = self.chance
        for number in range(self.functions):
            self.number = number
            length = 2 + self.chance.below(self.long)
            # Each has a role of its own.
            self.likes = {name: chance.of(LIKES) for name in self.weights}
            body = self.statements(length, 0, False)
            if number == 0:
                body = self.main(body)
            functions.append(Node("fn", [number], body))
        # By asyncio.run(), which waits for all that is left; as_completed leaves
        # its timer, for which asyncio waits as well, when all else stands still.
        how = [self.seed]
        if "completed" not in self.weights and chance.one_in(4):
            how.append("run")
        if chance.one_in(6):
            how.append("eager")
        return Node("program", how, functions)

    def main(self, body):
        """The first function starts others before and between what it does,
        and does not end of the first error."""
        made = []
        for node in body:
            if not self.chance.one_in(3):
                made.append(self.make_spawn("spawn", 0, False))
            made.append(Node("attempt", [], [node]) if self.chance.one_in(2) else node)
        made.append(self.make_spawn("spawn", 0, False))
        while not self.chance.one_in(3):
            made.append(Node("sleep", [self.chance.below(5)]))
            made.append(self.make_cancel("cancel", 0, False))
        made.append(Node("sleep", [9]))
        return made

    def some(self, n):
        """A number of an object of which there are n."""
        if self.favourite is not None:
            return self.favourite % n
        return self.chance.below(n)

    def task(self):
        if self.chance.one_in(15):
            return -1
        return 0 if self.chance.one_in(12) else 1 + self.chance.below(6)

    def recent(self, n):
        """A number of what a program makes as it runs; -1: the last one."""
        return -1 if self.chance.one_in(2) else self.chance.below(n)

    def delay(self):
        return self.chance.of([-1, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 8])

    def deadline(self):
        return "never" if self.chance.one_in(8) else self.delay()

    def error(self):
        common = ["Cancelled", "Timeout"]
        return self.chance.of(common if self.chance.one_in(5) else ERRORS)

    def callee(self):
        """A function with a higher number: calls come to an end."""
        return self.number + 1 + self.chance.below(self.functions - self.number - 1)

    def statements(self, length, depth, in_loop, synchronous=False):
        made = []
        for _ in range(length):
            name = self.name(depth, in_loop, synchronous)
            make = getattr(self, "make_" + name, self.make_plain)
            # Several at once are in each other's way; and who is woken and then
            # cancelled, before it runs, must not keep what it was given.
            for _ in range(2 + self.chance.below(3) if self.chance.one_in(8) else 1):
                made.append(make(name, depth, in_loop))
            if name in WAKING and self.chance.one_in(4):
                made.append(self.make_cancel("cancel", depth, in_loop))
        return made

    def block(self, depth, in_loop, length=3):
        return self.statements(1 + self.chance.below(length), depth + 1, in_loop)

    def name(self, depth, in_loop, synchronous):
        """What comes next."""
        weights = {
            name: weight * self.likes[name]
            for name, weight in self.weights.items()
            if not (synchronous and name not in SYNCHRONOUS)
            and not (depth >= 3 and (name in NESTED or name in ("soon", "later")))
            and not (name in CALLING and self.number + 1 >= self.functions)
        }
        if in_loop and not synchronous:
            weights["break"] = weights["continue"] = 1
        if self.handling and not synchronous:
            weights["reraise"] = 2
        if depth == 0 and not self.chance.one_in(3):
            weights.pop("raise", None)
            weights.pop("return", None)
        return self.chance.weighted(weights)

    # --- statements, by name ------------------------------------------------

    def make_plain(self, name, depth, in_loop):
        return Node(name)

    def make_log(self, name, depth, in_loop):
        return Node(name, [self.chance.below(10)])

    def make_about_task(self, name, depth, in_loop):
        return Node(name, [self.task()])

    make_cancel = make_uncancel = make_cancelling = make_join = make_about_task

    def make_about_future(self, name, depth, in_loop):
        kind = self.chance.of(["task", "fut", "gath"])
        return Node(name, [kind, self.which(kind)])

    def which(self, kind):
        if kind == "gath":
            return self.recent(3)
        return self.task() if kind == "task" else self.chance.below(3)

    make_state = make_result = make_drop = make_about_future

    def make_await_task(self, name, depth, in_loop):
        return Node("await", ["task", self.task()])

    def make_await_fut(self, name, depth, in_loop):
        return Node("await", ["fut", self.chance.below(3)])

    def make_await_gath(self, name, depth, in_loop):
        return Node("await", ["gath", self.recent(3)])

    def make_set(self, name, depth, in_loop):
        return Node(name, [self.chance.below(3), self.chance.below(100)])

    def make_fail(self, name, depth, in_loop):
        return Node(name, [self.chance.below(3), self.error()])

    def make_one_of_two(self, name, depth, in_loop):
        return Node(name, [self.some(2)])

    make_acquire = make_release = make_locked = make_evwait = make_evset = make_evclear = make_evisset = make_one_of_two
    make_cacquire = make_crelease = make_notifyall = make_one_of_two
    make_barwait = make_barreset = make_barabort = make_barinfo = make_one_of_two

    def make_cwait(self, name, depth, in_loop):
        return Node(name, [self.some(2)])

    def make_notify(self, name, depth, in_loop):
        return Node(name, [self.some(2), self.chance.below(3)])

    def make_add(self, name, depth, in_loop):
        return Node(name, [self.some(2), self.chance.of([-1, 1, 1, 2])])

    def make_cwaitfor(self, name, depth, in_loop):
        return Node(name, [self.some(2), self.some(2), self.chance.below(3)])

    def make_one_of_three(self, name, depth, in_loop):
        return Node(name, [self.some(3)])

    make_semacquire = make_semrelease = make_semlocked = make_one_of_three

    def queue(self):
        return self.some(4)

    def make_about_queue(self, name, depth, in_loop):
        return Node(name, [self.queue()])

    make_getnow = make_taskdone = make_qsize = make_qjoin = make_about_queue

    def make_put(self, name, depth, in_loop):
        return Node(name, [self.queue(), self.chance.below(40), self.chance.below(2)])

    def make_putnow(self, name, depth, in_loop):
        return Node(name, [self.queue(), self.chance.below(40)])

    def make_get(self, name, depth, in_loop):
        return Node(name, [self.queue(), self.chance.below(2)])

    def make_shutdown(self, name, depth, in_loop):
        return Node(name, [self.queue(), self.chance.below(2)])

    def make_spawn(self, name, depth, in_loop):
        return Node(name, [self.callee(), self.chance.of(self.ways)])

    def make_member(self, name, depth, in_loop):
        return Node(name, [self.recent(3), self.callee(), self.chance.below(2)])

    def make_call(self, name, depth, in_loop):
        return Node(name, [self.callee()])

    def make_reschedule(self, name, depth, in_loop):
        return Node(name, [self.recent(3), self.deadline()])

    def make_one_of_some(self, name, depth, in_loop):
        return Node(name, [self.recent(4)])

    make_expired = make_unsoon = make_undone = make_one_of_some

    def callback(self, depth):
        return self.statements(1 + self.chance.below(2), depth + 1, False, True)

    def make_soon(self, name, depth, in_loop):
        return Node(name, [self.chance.below(2)], self.callback(depth))

    def make_later(self, name, depth, in_loop):
        return Node(name, [self.delay(), self.chance.below(2)], self.callback(depth))

    def make_ondone(self, name, depth, in_loop):
        about = self.make_about_future(name, depth, in_loop)
        return Node(name, about.args, self.callback(depth))

    def make_stall(self, name, depth, in_loop):
        return Node("stall", [1 + self.chance.below(3)])

    def make_sleep(self, name, depth, in_loop):
        return Node(name, [self.delay()])

    def make_raise(self, name, depth, in_loop):
        return Node(name, [self.error()])

    def make_return(self, name, depth, in_loop):
        return Node(name, [self.chance.below(11) - 1])

    def operand(self, coroutines):
        if coroutines and self.number + 1 < self.functions:
            if not self.chance.one_in(3):
                return Node("co", [self.callee()])
        kind = self.chance.of(["task", "task", "fut", "gath"])
        return Node(kind, [self.which(kind)])

    def operands(self, coroutines):
        count = 0 if self.chance.one_in(15) else 1 + self.chance.below(4)
        return [self.operand(coroutines) for _ in range(count)]

    def make_gather(self, name, depth, in_loop):
        args = [self.chance.below(2), self.chance.below(2)]
        return Node(name, args, self.operands(True))

    def make_gatherstart(self, name, depth, in_loop):
        return Node(name, [self.chance.below(2)], self.operands(True))

    def make_wait(self, name, depth, in_loop):
        mode = self.chance.of(["all", "first", "error"])
        return Node(name, [mode, self.deadline()], self.operands(False))

    def make_completed(self, name, depth, in_loop):
        body = Node("body", [], self.block(depth, True, 2))
        return Node(name, [self.deadline()], self.operands(False) + [body])

    def make_shield(self, name, depth, in_loop):
        return Node(name, [], [self.operand(True)])

    def make_limit(self, name, depth, in_loop):
        return Node(name, [self.deadline()], [self.operand(True)])

    def make_loop(self, name, depth, in_loop):
        return Node(name, [1 + self.chance.below(3)], self.block(depth, True))

    def make_attempt(self, name, depth, in_loop):
        return Node(name, [], self.block(depth, in_loop))

    def make_try(self, name, depth, in_loop):
        arms = [Node("body", [], self.block(depth, in_loop))]
        kind = self.chance.below(6)
        if kind in (0, 1):
            names = [self.handled() for _ in range(1 + self.chance.below(2))]
            arms.append(Node("except", names, self.handler(depth, in_loop)))
        if kind in (1, 2):
            arms.append(Node("except", ["any"], self.handler(depth, in_loop)))
        if kind in (3, 4):
            arms.append(Node("except", ["all"], self.handler(depth, in_loop)))
        if kind < 5 and self.chance.one_in(4):
            arms.append(Node("else", [], self.block(depth, in_loop, 1)))
        if kind == 5 or self.chance.one_in(3):
            arms.append(Node("finally", [], self.block(depth, in_loop, 2)))
        return Node("try", [], arms)

    def handler(self, depth, in_loop):
        outer, self.handling = self.handling, True
        body = self.block(depth, in_loop, 2)
        self.handling = outer
        return body

    def handled(self):
        more = ["Cancelled", "Timeout", "Group", "QueueShutDown", "BrokenBarrier"]
        return self.chance.of(ERRORS if self.chance.one_in(3) else more)

    def make_with_lock(self, name, depth, in_loop):
        return Node("with", ["lock", self.some(2)], self.block(depth, in_loop))

    def make_with_cond(self, name, depth, in_loop):
        which = self.some(2)
        kind = self.chance.of(["cwait", "cwait", "notify", "notifyall", "cwaitfor"])
        body = [getattr(self, "make_" + kind)(kind, depth, in_loop)]
        body[0].args[0] = which
        if self.chance.one_in(2):
            body += self.block(depth, in_loop, 1)
        if self.chance.one_in(2):
            body[:0] = self.block(depth, in_loop, 1)
        return Node("with", ["cond", which], body)

    def make_with_sem(self, name, depth, in_loop):
        return Node("with", ["sem", self.some(3)], self.block(depth, in_loop))

    def make_timeout(self, name, depth, in_loop):
        args = [self.deadline(), self.chance.below(2)]
        return Node(name, args, self.block(depth, in_loop))

    def make_group(self, name, depth, in_loop):
        return Node(name, [], self.block(depth, in_loop, 4))

    def make_generate(self, name, depth, in_loop):
        parts = [
            Node("before", [], self.block(depth, False, 1)),
            Node("body", [], self.block(depth, True, 2)),
        ]
        if not self.chance.one_in(3):
            parts.append(Node("finally", [], self.block(depth, False, 1)))
        return Node(name, [1 + self.chance.below(3)], parts)


def generate(seed):
    return Generator(seed).program()


if __name__ == "__main__":
    first = int(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for seed in range(first, first + count):
        sys.stdout.write(generate(seed).text())
