"""Reads Rust well enough to count with: code without comments and texts, and the functions in it."""

import re

RAW_TEXT = re.compile(r'b?r(#*)"')
QUOTED = re.compile(r"b?'(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'])'")
FUNCTION = re.compile(r"\bfn\s+(\w+)")
SELF = re.compile(r"\s*(&\s*('\w+\s*)?)?(mut\s+)?self\b")


def blank(text):
    """`text` with a space for each character of a comment, a string or a character in quotes."""
    out, at = [], 0
    while at < len(text):
        end = _past(text, at)
        if end is None:
            out.append(text[at])
            at += 1
        else:
            out.append(re.sub(r"[^\n]", " ", text[at:end]))
            at = end
    return "".join(out)


def _past(text, at):
    """Where the comment or text that begins at `at` ends, or None if none begins there."""
    pair = text[at : at + 2]
    if pair == "//":
        end = text.find("\n", at)
        return len(text) if end < 0 else end
    if pair == "/*":
        return _comment(text, at)
    inside = at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")
    if raw := None if inside else RAW_TEXT.match(text, at):
        end = text.find('"' + raw.group(1), raw.end())
        return len(text) if end < 0 else end + 1 + len(raw.group(1))
    if text[at] == '"':
        end = at + 1
        while end < len(text) and text[end] != '"':
            end += 2 if text[end] == "\\" else 1
        return min(end + 1, len(text))
    if text[at] in "'b" and (quoted := None if inside else QUOTED.match(text, at)):
        return quoted.end()
    return None


def _comment(text, at):
    """The end of a block comment, in which others may be nested."""
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return len(text)


def closing(code, at):
    """The place of the bracket that closes the one at `at`; an arrow closes nothing."""
    pairs = {"(": ")", "[": "]", "{": "}", "<": ">"}
    opened, closed, depth = code[at], pairs[code[at]], 0
    for place in range(at, len(code)):
        if code[place] == opened:
            depth += 1
        elif code[place] == closed and code[place - 1 : place + 1] not in ("->", "=>"):
            depth -= 1
            if depth == 0:
                return place
    return len(code) - 1


def split(code):
    """The parts of a list between commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for place, char in enumerate(code):
        if char in "([{<":
            depth += 1
        elif char in ")]}" or (char == ">" and code[place - 1] not in "-="):
            depth -= 1
        elif char == "," and depth == 0:
            parts.append(code[start:place])
            start = place + 1
    return [part for part in [*parts, code[start:]] if part.strip()]


def functions(code):
    """Each function with a body: (name, first line, lines, parameters without self)."""
    for found in FUNCTION.finditer(code):
        at = found.end()
        if code[at : at + 1] == "<":
            at = closing(code, at) + 1
        if code[at : at + 1] != "(":
            continue
        end = closing(code, at)
        body = re.compile(r"[;{]").search(_flat(code, end + 1), 0)
        if body is None or body.group() == ";":
            continue
        first = code.count("\n", 0, found.start()) + 1
        last = code.count("\n", 0, closing(code, end + 1 + body.start())) + 1
        given = [part for part in split(code[at + 1 : end]) if not SELF.match(part)]
        yield found.group(1), first, last - first + 1, len(given)


def _flat(code, start):
    """The code from `start`, up to the body's brace, with array types such as [u8; 4] blanked."""
    rest = code[start : start + 2000]
    return re.sub(r"\[[^\[\]{}]*\]", lambda array: " " * len(array.group()), rest)
