"""The programs of the fuzzer as data: a tree of statements, and its text.

A line is a statement: as many spaces as it is deep, its name, its arguments.
What is deeper belongs to it:

    program 17
     fn 0
      spawn 1 0
      try
       body
        sleep 2
       finally
        log 1

README.md says what the statements mean.
"""


class Node:
    __slots__ = ("op", "args", "children")

    def __init__(self, op, args=(), children=()):
        self.op = op
        self.args = list(args)
        self.children = list(children)

    def copy(self):
        return Node(self.op, self.args, [child.copy() for child in self.children])

    def child(self, op):
        """The children of the child of that name; none if it has no such one."""
        for child in self.children:
            if child.op == op:
                return child.children
        return []

    def lines(self, depth):
        yield " " * depth + " ".join([self.op] + [str(a) for a in self.args])
        for child in self.children:
            yield from child.lines(depth + 1)

    def text(self):
        return "\n".join(self.lines(0)) + "\n"


def number(word):
    """An argument: a number where it is one."""
    digits = word[1:] if word.startswith("-") else word
    return int(word) if digits.isdigit() else word


def parse(text):
    """The programs in a text."""
    programs = []
    path = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        depth = len(line) - len(line.lstrip(" "))
        node = Node(words[0], [number(word) for word in words[1:]])
        del path[depth:]
        if depth == 0:
            programs.append(node)
        else:
            path[-1].children.append(node)
        path.append(node)
    return programs
