"""Checks what this repository asks of itself: `python3 tests/house`, in .ci/run. Prints each fault.

Rust: no circles of imports, lines of at most 100 characters, short files and functions. Markdown:
lines of at most 120 characters, no placeholders, no paths that lead nowhere, and the README's code
stands in compiled examples. Python of examples and benchmarks: lines of at most 120 characters.
Files are those that git knows.
"""

import pathlib
import subprocess
import sys

import circles
import prose
import sizes

ROOT = pathlib.Path(__file__).resolve().parents[2]


def read(*patterns):
    """{path: text} of the files that git knows, or will know, by these patterns."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    paths = [path for path in listed.split("\0") if path and (ROOT / path).is_file()]
    return {path: (ROOT / path).read_text(encoding="utf-8") for path in paths}


def faults():
    rust, pages, scripts = read("*.rs"), read("*.md"), read("examples/*.py", "benches/*.py", "tests/house/*.py")
    yield from sizes.faults(rust)
    for manifest in read("*Cargo.toml"):
        source = manifest.removesuffix("Cargo.toml") + "src/"
        crate = {path.removeprefix(source): text for path, text in rust.items() if path.startswith(source)}
        for fault in circles.faults(crate):
            yield f"{source}: {fault}"
    abbreviations = prose.known(pages.get("docs/glossary.md", ""))
    for path, text in pages.items():
        yield from prose.long_lines(path, text)
        yield from prose.placeholders(path, text, abbreviations)
        yield from prose.lost(path, text, lambda named: (ROOT / named).exists())
    examples = read("*examples/*.rs", "*examples/*.c")
    for language, ending in (("rust", ".rs"), ("c", ".c")):
        sources = [text for path, text in examples.items() if path.endswith(ending)]
        yield from prose.strays("README.md", pages["README.md"], language, sources)
    for path, text in scripts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > prose.LINE:
                yield f"{path}:{number}: {len(line)} characters, {prose.LINE} are allowed"


def main():
    found = list(faults())
    print("\n".join(found) if found else "the house is in order")
    sys.exit(1 if found else 0)


main()
