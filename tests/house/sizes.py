"""How long Rust files, lines and functions may be, and how many parameters a function may have."""

from rust import blank, functions

LINE = 100
FILE, MEDIAN, NINTH = 500, 130, 300
LONG, LONG_AT_MOST = 60, 5
MANY, MANY_AT_MOST = 6, 2
GENERATED = "@generated"


def faults(files, goals=True):
    """`files` is {path: text}. `goals` asks for median and ninth decile of the lengths too."""
    lengths, long, many = [], [], []
    for path, text in sorted(files.items()):
        lines = text.splitlines()
        if GENERATED in "\n".join(lines[:5]):
            continue
        lengths.append(len(lines))
        if len(lines) > FILE:
            yield f"{path}:1: {len(lines)} lines, {FILE} are allowed"
        for number, line in enumerate(lines, 1):
            if len(line) > LINE:
                yield f"{path}:{number}: {len(line)} characters, {LINE} are allowed"
        for name, line, size, parameters in functions(blank(text)):
            if size > LONG:
                long.append(f"{path}:{line}: {name} has {size} lines")
            if parameters > MANY:
                many.append(f"{path}:{line}: {name} has {parameters} parameters")
    yield from _too_many(long, LONG_AT_MOST, f"functions of over {LONG} lines")
    yield from _too_many(many, MANY_AT_MOST, f"functions of over {MANY} parameters")
    lengths.sort()
    for share, most, words in ((0.5, MEDIAN, "half"), (0.9, NINTH, "nine tenths")):
        reached = lengths[int(len(lengths) * share)] if lengths else 0
        if goals and reached > most:
            yield f"{words} of the Rust files have up to {reached} lines, {most} are allowed"


def _too_many(found, most, what):
    if len(found) > most:
        yield from found
        yield f"{len(found)} {what}, {most} are allowed"
