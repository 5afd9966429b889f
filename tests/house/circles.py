"""Circles of imports among the files of one crate, its tests left out.

A file imports another if one of its paths leads to an item there. A path is read as the compiler
reads it: from the crate, from a parent, from the file itself, or from a module that a `use` named.
What a file only hands on (`pub use`) is followed to the file that it comes from. A parent may
declare its children and call them by their names: that alone is no import.
"""

import re

from rust import blank, closing, split

MODULE = re.compile(r"^[ \t]*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", re.M)
TEST = re.compile(r"#\[cfg\((?:test|all\(test\b[^\]]*)\)?\]\s*")
USE = re.compile(r"^[ \t]*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.M)
PATH = re.compile(r"(?<![\w:.])[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+")
ROOTS = ("lib", "main", "mod")


def modules(sources):
    """`sources` is {path below src: text}; gives {module as a tuple of names: code}, no tests."""
    found, tests = {}, set()
    for path, text in sources.items():
        parts = path[: -len(".rs")].split("/")
        alone = parts == ["main"] and "lib.rs" in sources
        here = tuple(parts[:-1] if parts[-1] in ROOTS and not alone else parts)
        found[here], only_tests = _without_tests(blank(text))
        tests.update(here + (name,) for name in only_tests)
    return {
        here: code
        for here, code in found.items()
        if not any(here[:size] in tests for size in range(1, len(here) + 1))
    }


def _without_tests(code):
    """The code without what is compiled for tests alone, and the files that such code declares."""
    names = []
    while mark := TEST.search(code):
        end = re.compile(r"[;{]").search(code, mark.end())
        stop = len(code) if end is None else end.start()
        if end is not None and end.group() == "{":
            stop = closing(code, stop)
        item = code[mark.end() : stop + 1]
        names += MODULE.findall(item)
        code = code[: mark.start()] + re.sub(r"[^\n]", " ", code[mark.start() : stop + 1]) + code[stop + 1 :]
    return code, names


def leaves(tree, before=()):
    """Every path of a `use` tree as (names, name that it has here)."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        path, _, other = tree.partition(" as ")
        names = tuple(part.strip() for part in path.split("::") if part.strip())
        names = before + names
        if len(names) > 1 and names[-1] == "self":
            names = names[:-1]
        yield names, other.strip() or names[-1]
        return
    head = tuple(part.strip() for part in tree[:brace].split("::") if part.strip())
    for part in split(tree[brace + 1 : closing(tree, brace)]):
        yield from leaves(part, before + head)


class Crate:
    def __init__(self, sources):
        self.code = modules(sources)
        self.uses = {
            here: [(bool(mark), names, name) for mark, tree in USE.findall(code) for names, name in leaves(tree)]
            for here, code in self.code.items()
        }

    def place(self, here, names, depth=0):
        """The (file, item) that `names`, written in file `here`, stand for; None if not ours."""
        first = names[0]
        if first in ("crate", "self", "super"):
            at, rest = ((), names[1:]) if first == "crate" else (here, names)
            while rest and rest[0] in ("self", "super"):
                at, rest = at if rest[0] == "self" else at[:-1], rest[1:]
        elif here + (first,) in self.code:
            at, rest = here, names
        else:
            path = self._written_out(here, names)
            return self.place(here, path, depth + 1) if path != names and depth < 8 else None
        while rest and at + (rest[0],) in self.code:
            at, rest = at + (rest[0],), rest[1:]
        if rest and at in self.code and depth < 8:
            return self._handed_on(at, rest, depth) or (at, rest[0])
        return (at, rest[0] if rest else "*") if at in self.code else None

    def _written_out(self, here, names):
        """A path that begins with a name which a `use` of the file made, as the `use` gives it."""
        for _, path, name in self.uses.get(here, ()):
            if name == names[0] and path != names[:1]:
                return path + names[1:]
        return names

    def _handed_on(self, at, rest, depth):
        """Where an item comes from that file `at` hands on with `pub use`."""
        for public, path, name in self.uses[at]:
            if public and name == rest[0]:
                return self.place(at, path + rest[1:], depth + 1)
            if public and path[-1] == "*":
                found = self.place(at, path[:-1] + rest, depth + 1)
                if found and re.search(
                    rf"\b(?:fn|struct|enum|trait|type|const|static|macro_rules!)"
                    rf"\s+{rest[0]}\b",
                    self.code[found[0]],
                ):
                    return found
        return None

    def imports(self):
        """{file: {file: names of items}}"""
        graph = {}
        for here, code in self.code.items():
            paths = [names for public, names, _ in self.uses[here] if not public]
            body = USE.sub("", code)
            paths += [tuple(path.split("::")) for path in PATH.findall(body)]
            for path in paths:
                found = self.place(here, path)
                below = here + self._written_out(here, path)[:1] in self.code
                if found and found[0] != here and not below:
                    graph.setdefault(here, {}).setdefault(found[0], set()).add(found[1])
        return graph


def circles(graph):
    """Sets of files that can all reach each other (Tarjan's strongly connected components)."""
    number, lowest, stack, found = {}, {}, [], []

    def visit(node):
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in number:
                visit(other)
            if other in stack:
                lowest[node] = min(lowest[node], lowest[other])
        if lowest[node] == number[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


def named(module):
    return "::".join(module) or "the crate's root"


def faults(sources):
    """A sentence for each circle of the crate: who imports what from whom."""
    graph = Crate(sources).imports()
    for part in circles(graph):
        ties = [
            f"{named(a)} takes {', '.join(sorted(graph[a][b])[:4])} from {named(b)}"
            for a in part
            for b in sorted(graph[a])
            if b in part
        ]
        yield f"a circle of {len(part)} files: {'; '.join(ties)}"
