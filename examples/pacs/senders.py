"""Images for the soak, and well-behaved senders that store them: each image is sent until it is answered with
success."""

import collections
import random
import subprocess
import threading
import time

from association import Association, Broken

# Where an image's identifiers, its series and its study are counted from; harness.py makes the file that they
# are put into.
IMAGE, STUDY, SERIES, HOSTILE = 10**30, 2 * 10**30, 3 * 10**30, 5 * 10**30


class Images:
    """As many images as are asked for, all of the same few bytes but for identifiers and pixels. Every tenth
    is in a study that the archive refuses."""

    def __init__(self, template):
        self.file = template.read_bytes()
        # The length of the meta information is the value of its first element (PS3.10, 7.1).
        self.meta = 144 + int.from_bytes(self.file[140:144], "little")
        self.numbers, self.lock = collections.Counter(), threading.Lock()

    def fresh(self, kind="image"):
        """Identifier and data set of an image that nobody has sent."""
        with self.lock:
            number = self.numbers[kind]
            self.numbers[kind] += 1
        uid = f"2.25.{(IMAGE if kind == 'image' else HOSTILE) + number}"
        return uid, self.data(uid)

    def whole(self, uid, pixels=None):
        """The image as a Part 10 file."""
        number = int(uid[5:]) % 10
        changes = [(IMAGE, int(uid[5:])), (STUDY, STUDY + number), (SERIES, SERIES + number)]
        file = self.file
        for old, new in changes:
            file = file.replace(f"2.25.{old}".encode(), f"2.25.{new}".encode())
        pixels = pixels or random.Random(uid).randbytes(64 * 64)
        return file[: -len(pixels)] + pixels

    def data(self, uid, pixels=None):
        return self.whole(uid, pixels)[self.meta :]


def refused(uid):
    """Whether the archive refuses the image's results (refuse.py)."""
    return uid.endswith("7")


class Senders:
    """Associations side by side that bring `rate` images a second, together; some of them are storescu's."""

    def __init__(self, port, images, folder, count, rate, storescu):
        self.port, self.images, self.folder, self.pause = port, images, folder, count / rate
        # When each image was first sent, and answered with success; and every other answer.
        self.begun, self.answered, self.other, self.lock = {}, {}, collections.Counter(), threading.Lock()
        self.stopped = threading.Event()
        work = [self.by_storescu] * storescu + [self.by_hand] * (count - storescu)
        self.threads = [
            threading.Thread(target=self.run, args=(what, random.Random(number)), daemon=True)
            for number, what in enumerate(work)
        ]
        folder.mkdir()

    def start(self):
        [thread.start() for thread in self.threads]

    def stop(self):
        """Ends when every image that was begun is answered with success."""
        self.stopped.set()
        end = time.monotonic() + 600
        [thread.join(max(0, end - time.monotonic())) for thread in self.threads]
        assert not any(thread.is_alive() for thread in self.threads), (
            f"images are still not taken ten minutes after the last event: {self.other}"
        )

    def known(self):
        with self.lock:
            return list(self.answered)

    def begin(self, uid):
        with self.lock:
            self.begun.setdefault(uid, time.time())

    def success(self, uid):
        with self.lock:
            self.answered.setdefault(uid, time.time())

    def count(self, what):
        with self.lock:
            self.other[what] += 1

    def run(self, what, rng):
        while not self.stopped.is_set():
            # A few images over one association, then another one.
            waiting = [self.images.fresh()[0] for _ in range(rng.randint(1, 6))]
            while waiting:
                try:
                    what(waiting, rng)
                except Broken:
                    self.count("broken off")
                    time.sleep(rng.uniform(0.5, 1))

    def by_hand(self, waiting, rng):
        with Association(self.port) as association:
            association.negotiate()
            while waiting:
                self.begin(waiting[0])
                status = association.store(waiting[0], self.images.data(waiting[0]))
                if status == 0:
                    self.success(waiting.pop(0))
                else:
                    self.count(f"{status:#06x}")
                self.stopped.wait(rng.uniform(0.5, 1.5) * (self.pause if status == 0 else 1))
            association.release()

    def by_storescu(self, waiting, rng):
        paths = []
        for uid in waiting:
            path = self.folder / f"{uid}.dcm"
            path.write_bytes(self.images.whole(uid))
            paths.append(path)
        [self.begin(uid) for uid in waiting]
        command = ["storescu", "-v", "-aec", "MEDFORGE", "127.0.0.1", str(self.port)]
        said = subprocess.run(command + paths, capture_output=True, text=True)
        # It ends at the first image that is not taken.
        took = (said.stdout + said.stderr).count("Received Store Response (Success)")
        for path in paths:
            path.unlink()
        for uid in waiting[:took]:
            self.success(uid)
        del waiting[:took]
        if waiting:
            self.count("storescu: not all taken")
            time.sleep(1)
        self.stopped.wait(rng.uniform(0.5, 1.5) * self.pause * max(took, 1))
