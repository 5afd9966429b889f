#!/usr/bin/env python3
"""What a build from nothing costs: processor seconds by crate.

    python3 benches/building.py [--top N]      # cargo build --release in a new folder

Each call of rustc goes through this same file, which measures it. Nothing of an earlier build is
used; crates' sources are fetched before, so that the network is not measured.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile


def compile_and_log(command):
    """As RUSTC_WRAPPER: runs one rustc, and notes its crate and its processor seconds."""
    code = subprocess.run(command).returncode
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    name = command[command.index("--crate-name") + 1] if "--crate-name" in command else "rustc"
    with open(os.environ["MEDFORGE_BUILD_LOG"], "a") as log:
        log.write(json.dumps([name, used.ru_utime + used.ru_stime]) + "\n")
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--top", type=int, default=12, help="how many crates are listed")
    top = parser.parse_args().top
    subprocess.run(["cargo", "fetch", "--locked"], check=True)
    with tempfile.TemporaryDirectory() as target:
        log = os.path.join(target, "log")
        environment = dict(
            os.environ,
            CARGO_TARGET_DIR=target,
            RUSTC_WRAPPER=os.path.abspath(__file__),
            MEDFORGE_BUILD_LOG=log,
        )
        subprocess.run(["cargo", "build", "--release"], check=True, env=environment)
        seconds = {}
        for line in open(log):
            name, used = json.loads(line)
            seconds[name] = seconds.get(name, 0) + used
    print("| crate | CPU seconds |\n|---|---|")
    for name, used in sorted(seconds.items(), key=lambda item: -item[1])[:top]:
        print(f"| {name} | {used:.0f} |")
    print(f"| all {len(seconds)} crates | {sum(seconds.values()):.0f} |")


if __name__ == "__main__":
    if "MEDFORGE_BUILD_LOG" in os.environ:
        sys.exit(compile_and_log(sys.argv[1:]))
    main()
