"""Markdown: long lines, placeholders, paths that lead nowhere, and code that no example holds."""

import re

LINE = 120
FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\w*)")
ITEM = re.compile(r"^\s*(?:[-*+]|\d+\.)\s")
CODE = re.compile(r"(`+).*?\1", re.S)
TARGET = re.compile(r"\]\([^)]*\)|<https?:[^>]*>")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
ROOTS = "runtime|packer|shaders|ffi|examples|benches|tests|docs|fuzz"
PATH = re.compile(rf"`((?:{ROOTS})/(?:[\w.-]+/)*(?:[\w-]+\.\w+)?)`")
CAPITALS = re.compile(r"(?<![\w+-])[A-Z][A-Z0-9_]{2,}(?![\w-]|\.\w)")


def prose(text):
    """(number, line) of every line that is neither in a code fence nor an indented block of code."""
    kept, fence, before, in_list, indented = [], None, "", False, False
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        indented = line.startswith("    ") and not in_list and (indented or not before.strip())
        if fence is None and mark:
            fence = mark.group(1)
        elif fence is not None:
            fence = None if line.strip() == fence else fence
        elif not indented:
            kept.append((number, line))
        if line.strip():
            in_list = bool(ITEM.match(line)) or (in_list and line.startswith("  "))
        before = line
    return kept


def long_lines(path, text):
    for number, line in prose(text):
        if len(line) > LINE and not line.lstrip().startswith("|"):
            yield f"{path}:{number}: {len(line)} characters, {LINE} are allowed"


def placeholders(path, text, known):
    """Words in capitals outside of code that the glossary does not know."""
    kept = prose(text)
    joined = CODE.sub(_blank, "\n".join(line for _, line in kept))
    joined = TARGET.sub(_blank, joined)
    for (number, _), line in zip(kept, joined.split("\n")):
        for word in CAPITALS.findall(line):
            if word not in known:
                yield (
                    f"{path}:{number}: {word} is neither in docs/glossary.md nor marked as code: "
                    "is something still to be put in its place?"
                )


def lost(path, text, exists):
    """Links, and paths in spans of code, that lead to no file or folder of the repository."""
    folder = path.rpartition("/")[0]
    for number, line in prose(text):
        for target in LINK.findall(line):
            if not exists(f"{folder}/{target}".lstrip("/")):
                yield f"{path}:{number}: {target} is linked and not there"
        for named in PATH.findall(line):
            if not exists(named):
                yield f"{path}:{number}: {named} is named and not there"


def _blank(found):
    return re.sub(r"[^\n]", " ", found.group())


def known(glossary):
    """The abbreviations of the glossary: first cells of the tables' rows."""
    rows = [line.split("|")[1] for line in glossary.splitlines() if line.startswith("|")]
    return set(CAPITALS.findall(" ".join(rows)))


def blocks(text, language):
    """(number of the first line, text) of every fence of one language."""
    inside, first, lines = None, 0, []
    for number, line in enumerate(text.splitlines(), 1):
        mark = FENCE.match(line)
        if inside is None and mark:
            inside, first, lines = mark.group(2), number + 1, []
        elif inside is not None and line.strip() == "```":
            if inside == language:
                yield first, "\n".join(lines)
            inside = None
        elif inside is not None:
            lines.append(line)


def strays(path, text, language, sources):
    """Blocks of `text` that stand in none of `sources`, line for line, however far indented."""
    held = [[line.strip() for line in source.splitlines()] for source in sources]
    for number, block in blocks(text, language):
        lines = [line.strip() for line in block.splitlines()]
        if not any(_holds(source, lines) for source in held):
            yield f"{path}:{number}: no compiled example holds this {language} code"


def _holds(source, lines):
    return any(source[at : at + len(lines)] == lines for at in range(len(source)))
