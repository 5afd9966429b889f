"""What no sender should do to the node, each over a connection of its own; what came of it is counted, and
some outcomes are faults of the node."""

import collections
import itertools
import os
import random
import struct
import threading
import time

from association import ABORT, Association, Broken, COMMAND, DATA, LAST, command, pdu, pdv, request

# Seconds from a connection to its association, as the node has it, and what a busy machine may add.
NEGOTIATION, SLACK = 10, 60
# How each kind ends if the node does what it should; there are other ends while the node is killed or its disk is full.
CLOSED, MEANT = "closed", "as it meant"
ENDS = {
    "silent": CLOSED,
    "silent_after": CLOSED,
    "fragments": CLOSED,
    "long_pdu": CLOSED,
    "short_pdu": CLOSED,
    "garbage": CLOSED,
    "aborted": MEANT,
    "broken_off": MEANT,
    "wrong_uid": "0xc000",
    "other_picture": "0x0111",
}


class Hostile:
    """Threads that misbehave until they are stopped."""

    def __init__(self, port, images, answered, idle, count):
        self.port, self.images, self.answered, self.idle = port, images, answered, idle
        self.counts, self.faults, self.lock = collections.Counter(), [], threading.Lock()
        # Identifiers that were never sent whole, and so must be nowhere.
        self.never = set()
        self.stopped = threading.Event()
        kinds = [getattr(self, name) for name in ENDS]
        # Each thread does one thing after another, beginning where its neighbour does not.
        self.threads = [
            threading.Thread(target=self.run, args=(kinds, number), daemon=True) for number in range(count)
        ]

    def start(self):
        [thread.start() for thread in self.threads]

    def stop(self):
        self.stopped.set()
        [thread.join(3 * self.idle + 10) for thread in self.threads]

    def run(self, kinds, first):
        rng = random.Random(first)
        for what in itertools.islice(itertools.cycle(kinds), first, None):
            if self.stopped.is_set():
                return
            began = time.monotonic()
            most = (NEGOTIATION if what.__name__ == "silent" else max(NEGOTIATION, self.idle)) + SLACK
            try:
                association = Association(self.port, most)
            except Broken:
                self.stopped.wait(1)
                outcome = "no connection"
            else:
                try:
                    with association:
                        outcome = what(association, rng) or MEANT
                except Broken as error:
                    outcome = "timed out" if "timed out" in str(error) else CLOSED
                    took = time.monotonic() - began
                    if outcome == "timed out" or took > most:
                        self.fault(f"{what.__name__}: still open after {took:.0f} s")
            with self.lock:
                self.counts[what.__name__, outcome] += 1
            self.stopped.wait(rng.uniform(0.2, 1))

    def fault(self, what):
        with self.lock:
            self.faults.append(what)

    def silent(self, association, _):
        self.until_closed(association)

    def silent_after(self, association, _):
        self.until_closed(association.negotiate())

    def until_closed(self, association):
        """Whatever comes, it is no answer to anything."""
        while True:
            association.exactly(1)

    def fragments(self, association, _):
        """A command whose last fragment never comes: over the node's 16 KiB it is broken off. Others come all the
        time, so that the node has no cause to lose patience."""
        association.negotiate()
        end = time.monotonic() + self.idle + SLACK
        while time.monotonic() < end:
            association.send(pdu(DATA, pdv(COMMAND, bytes(16000))))
            time.sleep(0.2)
        raise Broken("timed out")

    def long_pdu(self, association, _):
        """A PDU that says it has nearly 4 GiB."""
        association.negotiate().send(struct.pack(">BxI", DATA, 0xFFFFFFF0) + bytes(100_000))
        self.until_closed(association)

    def short_pdu(self, association, rng):
        """PDUs and values whose lengths are not theirs."""
        whole = pdu(DATA, pdv(COMMAND | LAST, command("2.25.9")))
        place, length = rng.choice([2, 6]), rng.choice([0, 1, 2, 11, len(whole) + 1, 0x7FFFFFFF])
        association.negotiate().send(whole[:place] + struct.pack(">I", length) + whole[place + 4 :] + bytes(64))
        self.until_closed(association)

    def garbage(self, association, rng):
        association.send(
            rng.choice(
                [
                    b"GET / HTTP/1.1\r\n\r\n",
                    os.urandom(5000),
                    request()[:30] + os.urandom(400),
                    pdu(1, os.urandom(200)),
                ]
            )
        )
        self.until_closed(association)

    def aborted(self, association, rng):
        """A store that is broken off in the middle of its data, by A-ABORT."""
        self.half(association)
        association.send(pdu(ABORT, bytes(4)))

    def broken_off(self, association, rng):
        """The same by a closed connection."""
        self.half(association)

    def half(self, association):
        uid, data = self.images.fresh("hostile")
        with self.lock:
            self.never.add(uid)
        association.negotiate().send(pdu(DATA, pdv(COMMAND | LAST, command(uid))) + pdu(DATA, pdv(0, data[:3000])))

    def wrong_uid(self, association, rng):
        uid = rng.choice(["../../../tmp/x", "1..2", "1.2.", "", "1.02.3", "2.25." + "1" * 70, "1.2\n3", "a.b", "."])
        status = association.negotiate().store(uid, self.images.fresh("hostile")[1])
        if status == 0 or 0xB000 <= status <= 0xBFFF:
            self.fault(f"the identifier {uid!r} was answered {status:#06x}")
        return f"{status:#06x}"

    def other_picture(self, association, rng):
        """Another picture under an identifier that the node has: success would promise to keep it."""
        while not (known := self.answered()):
            if self.stopped.wait(0.2):
                return "nothing is known"
        uid = rng.choice(known)
        status = association.negotiate().store(uid, self.images.data(uid, pixels=rng.randbytes(64 * 64)))
        if status == 0:
            self.fault(f"another picture under {uid} was answered with success")
        return f"{status:#06x}"

    def missing(self):
        """The kinds that never ended as they should."""
        return [kind for kind, end in ENDS.items() if not self.counts[kind, end]]
