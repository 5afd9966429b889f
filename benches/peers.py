"""What benchmarks beside other libraries have in common: processes that take turns, and the virtual environment."""

import json
import pathlib
import subprocess
import sys


class Side:
    """A process that answers a line with a line of JSON; its first line tells how it was loaded."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.first = self.answer()

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args[:3]} ended early")
        return json.loads(line)

    def memory(self):
        """In MB."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}

    def __del__(self):
        if hasattr(self, "process"):
            self.process.kill()
            self.process.wait()


def environment(folder, packages, modules):
    """The virtual environment's interpreter; made if it is not there, and filled if `modules` are not."""
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if subprocess.run([python, "-c", f"import {modules}"], stderr=subprocess.DEVNULL).returncode:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, stdout=sys.stderr)
    return python
