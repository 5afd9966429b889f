"""The node for minutes or hours under what happens to nodes: well-behaved and hostile associations, an
archive that refuses one image in ten and is down for a while, a disk that is full twice, four kills. Nothing
may be lost, nothing twice, memory flat, and healthy results not held up by refused ones.

  python3 examples/pacs/soak.py --minutes 6 --json soak.json
  python3 examples/pacs/soak.py --minutes 60

It builds the node, and needs Debian's orthanc, orthanc-python and dcmtk.

Events are at fixed parts of the time, and the last half, over which memory is looked at, is one process's
that has run for a while. The queue lies on a small tmpfs, which is mounted in a namespace of mounts of this
program's own (unshare -rm, no root needed); where that is not allowed the disk is not filled, and
--require-full-disk makes that an error.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import verdict
from harness import Node, built, bundles_of, dicom_files, free_ports, start_orthanc, wait
from hostile import Hostile
from senders import Images, Senders

HERE = pathlib.Path(__file__).resolve().parent
INSIDE = "MEDFORGE_SOAK_OWN_MOUNTS"
# Seconds after which the node ends an association that says nothing.
IDLE = 15
# What the status may fail with while the node is down, or too busy for it.
UNANSWERED = (OSError, ValueError, http.client.HTTPException)
# A machine starves while half a second and a question that costs the archive nothing take so many seconds.
STARVED = 1.5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--rate", type=float, default=8, help="images a second")
    parser.add_argument("--associations", type=int, default=50, help="side by side; one in five is hostile")
    parser.add_argument("--json", metavar="FILE", help="also write what was measured, with a row a second")
    parser.add_argument("--require-full-disk", action="store_true")
    parser.add_argument(
        "--programs", default=None, help="where packer and medforge-pacs-node are, in place of building them"
    )
    options = parser.parse_args()
    mounts = own_mounts()
    if not mounts and options.require_full_disk:
        raise SystemExit("unshare -rm is not allowed here, so that no small disk can be mounted and filled")
    programs = pathlib.Path(options.programs).resolve() if options.programs else built()
    with tempfile.TemporaryDirectory() as place:
        soak = Soak(options, programs, pathlib.Path(place), mounts)
        try:
            soak.run()
            measured = verdict.judge(soak)
        finally:
            soak.end()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(measured | {"seconds": soak.rows}, indent=1))
    if measured["faults"]:
        raise SystemExit("\n".join(["the soak FAILED:", *measured["faults"]]))


def own_mounts():
    """Goes on in a namespace of mounts of our own; whether this is one."""
    if os.environ.get(INSIDE):
        return True
    # As a user with a namespace of users too; as root also where those are turned off.
    for how in ("-rm", "-m"):
        if subprocess.run(["unshare", how, "true"], capture_output=True).returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp("unshare", ["unshare", how, sys.executable, *sys.argv])
    return False


class Disk:
    """A small file system for the queue, which can be filled to the last page."""

    def __init__(self, folder, megabytes):
        self.filler = folder / "filler"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", folder], check=True)

    def fill(self):
        with open(self.filler, "ab", buffering=0) as file:
            for size in (1 << 20, 1 << 16, 1 << 12):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    pass

    def free(self):
        self.filler.unlink()


class Soak:
    def __init__(self, options, programs, place, mounts):
        self.place, self.length = place, options.minutes * 60
        hostile = options.associations // 5
        key, bundles = bundles_of(programs, place, None)
        [template] = dicom_files(place / "template", 1).values()
        self.images, self.refuse = Images(template), place / "refuse"
        self.ports = free_ports(4)
        # What is done stays on the disk, a page an image; half of the rest is for what waits.
        self.disk = Disk(place / "disk", 128 + int(self.length * options.rate / 200)) if mounts else None
        (place / "disk").mkdir(exist_ok=True)
        self.archive = self.start_archive()
        # Some are between two associations at any time: a few senders more, so that as many as asked for are
        # open at once.
        spare = options.associations // 5
        self.associations = options.associations
        more = [
            "--status",
            f"127.0.0.1:{self.ports[3]}",
            "--associations",
            str(options.associations + spare + 14),
            "--idle",
            str(IDLE),
        ]
        self.node = Node(
            programs, place, key, bundles[0], self.ports[2], self.ports[1], place / "disk" / "queue", more
        )
        self.node.start()
        self.senders = Senders(
            self.ports[2], self.images, place / "sent", options.associations - hostile + spare, options.rate, 4
        )
        self.hostile = Hostile(self.ports[2], self.images, self.senders.known, IDLE, hostile)
        self.rows, self.events, self.starved, self.ended = [], [], [], threading.Event()
        self.watchers = [threading.Thread(target=what, daemon=True) for what in (self.watch, self.watch_machine)]

    def start_archive(self):
        return start_orthanc(
            self.place,
            *self.ports[:2],
            {
                "Plugins": ["/usr/share/orthanc/plugins/libOrthancPython.so"],
                "PythonScript": str(HERE / "refuse.py"),
                "Refuse": str(self.refuse),
                "PythonVerbose": False,
            },
        )

    def run(self):
        self.began = time.time()
        [watcher.start() for watcher in self.watchers]
        self.senders.start()
        self.hostile.start()
        # Long enough to be felt, and a minute at most.
        long = min(60, self.length / 15)
        self.at(0.08, "refusals", lambda: self.refuse.touch())
        self.at(0.12, "kill", self.kill)
        self.at(0.16, "archive down", self.archive_down, long)
        self.at(0.26, "disk full", self.disk_full, long)
        self.at(0.36, "kill", self.kill)
        self.at(0.62, "disk full", self.disk_full, long, False)
        self.at(1.00, "end", lambda: None)
        self.senders.stop()
        self.hostile.stop()
        self.drain()

    def at(self, part, name, what, *arguments):
        """Does something when this part of the time is over."""
        time.sleep(max(0, self.began + part * self.length - time.time()))
        before = time.time() - self.began
        what(*arguments)
        self.events.append((name, before, time.time() - self.began))
        print(
            f"{before:6.0f} s  {name}: {len(self.senders.answered)} images taken, {len(self.node.done())} done",
            flush=True,
        )

    def kill(self):
        self.node.kill()
        self.node.start()

    def archive_down(self, seconds):
        """With a kill in the middle: what was answered before is taken up while nothing can be sent."""
        self.archive.terminate()
        self.archive.wait()
        time.sleep(seconds / 2)
        self.kill()
        time.sleep(seconds / 2)
        self.archive = self.start_archive()

    def disk_full(self, seconds, kill=True):
        """With a kill in the middle, if asked for: the node starts on a full disk, too."""
        if not self.disk:
            return self.kill() if kill else print("        no mounts are allowed here: the disk is NOT filled")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.disk.fill()
            if kill and end - time.monotonic() < seconds / 2:
                self.kill()
                kill = False
            time.sleep(0.2)
        self.disk.free()

    def status(self, path="/", method="GET"):
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[3]}{path}", method=method)
        return json.loads(urllib.request.urlopen(request, timeout=60).read())

    def watch(self):
        """A row a second: the node's memory, and what it says of itself."""
        while not self.ended.wait(1):
            pid = self.node.process.pid
            try:
                fields = dict(
                    line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                )
                row = {
                    "time": time.time() - self.began,
                    "pid": pid,
                    "rss_kb": int(fields["VmRSS"].split()[0]),
                    "threads": int(fields["Threads"]),
                    "files": len(os.listdir(f"/proc/{pid}/fd")),
                    "answered": len(self.senders.answered),
                }
                said = self.status()
                row |= {
                    key: said[key]
                    for key in ("to_classify", "to_send", "set_aside", "failed", "oldest_s", "associations")
                }
            except (*UNANSWERED, KeyError):
                # Killed, or not yet up: the next second has a row again.
                continue
            self.rows.append(row)

    def watch_machine(self):
        """Notes the seconds in which the machine starves, whatever the node does."""
        while not self.ended.is_set():
            before = time.time()
            self.ended.wait(0.5)
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.ports[0]}/system", timeout=60).read()
            except UNANSWERED:
                pass
            if time.time() - before > STARVED:
                self.starved.append((before - self.began, time.time() - self.began))

    def idle(self):
        try:
            said = self.status()
        except UNANSWERED:
            return False
        return not (any(said[key] for key in ("to_classify", "to_send", "set_aside")) or self.node.waiting())

    def retry(self):
        """What failed goes into line again. A node that is too busy to hear of it is asked once more."""
        said = []

        def asked():
            try:
                said.append(self.status("/retry", "POST"))
            except UNANSWERED:
                return False
            return True

        wait(asked, 600, "an answer to POST /retry")
        return said[0]

    def drain(self):
        """Everything is sent or given up; then, with no refusals, what was given up is sent on request."""
        wait(self.idle, 900, "the end of the queue")
        self.given_up = {path.name.removesuffix(".json") for path in (self.node.queue / "failed").glob("*.json")}
        self.before_retry = verdict.stored(self.ports[0])
        self.refuse.unlink()
        print(f"{len(self.given_up)} images were given up; tried again: {self.retry()}")
        wait(
            lambda: self.idle() and not list((self.node.queue / "failed").glob("*.json")),
            900,
            "the end of what was tried again",
        )

    def end(self):
        self.ended.set()
        self.node.stop()
        self.archive.terminate()
        self.archive.wait()
        if self.disk:
            subprocess.run(["umount", "-l", self.place / "disk"])


if __name__ == "__main__":
    main()
