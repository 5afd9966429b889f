"""What a soak has shown: every image that was answered for, once; memory, delays, and how the hostile ones fared."""

import collections
import hashlib
import json
import pathlib
import statistics
import urllib.request

from senders import refused

# What the node's memory may grow by over the last half. The C library's arenas, one for each of some threads,
# fill up over minutes by some 2 MiB. A leak of one image's report, file or capture (6, 5 and 120 KB) would be
# over 6 MB in the last three minutes of six already, and one of 300 bytes an image shows in an hour.
GROWTH_KB = 4 << 10
# The same for threads and open files that are of no association.
THREADS, FILES = 8, 12
LOG_BYTES = 1 << 20
# From results to their being sent, in seconds, for all but one in twenty; or so many times what it took before
# the archive refused any, where that is more. What comes before waits for a processor, and says more of the
# machine than of the node.
DELAY, TIMES, MOST = 5, 5, 0.95
# Results that may come a second time outside of kills and faults: a machine that starves lets the archive
# answer too late now and then.
AGAIN = 0.005
# After an event, images that wait for it to be over are not looked at for delays; nor after a second in which
# the machine starved.
SETTLED = 25


def stored(http):
    """The identifiers of all results in the archive, with how often each is there."""
    found, since = collections.Counter(), 0
    while True:
        page = json.loads(
            urllib.request.urlopen(f"http://127.0.0.1:{http}/instances?expand&since={since}&limit=1000").read()
        )
        found.update(one["MainDicomTags"]["SOPInstanceUID"] for one in page)
        since += len(page)
        if len(page) < 1000:
            return found


def result(image, device, kind):
    """The identifier of a result: it follows from image and device (node/src/code.rs)."""
    bits = int.from_bytes(hashlib.sha256(f"{image} {device} {kind}".encode()).digest()[:16], "big")
    return f"2.25.{bits & ~(0xF << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62}"


def judge(soak):
    """Everything that was measured; `faults` are sentences, of which there should be none. Prints a table."""
    queue, answered = soak.node.queue, dict(soak.senders.answered)
    lines = {
        path.name.removesuffix(".json"): json.loads(path.read_text()) for path in (queue / "done").glob("*.json")
    }
    faults = list(dict.fromkeys(soak.hostile.faults))

    def must(holds, what):
        if not holds:
            faults.append(what)

    lost, unasked = set(answered) - set(lines), set(lines) - set(answered)
    must(not lost, f"{len(lost)} images that were answered with success are not done: {sorted(lost)[:3]}")
    must(not unasked, f"{len(unasked)} images are done that nobody was told of: {sorted(unasked)[:3]}")
    left = [path.name for folder in ("accepted", "results", "failed") for path in (queue / folder).iterdir()]
    must(not left, f"{len(left)} files are left in the queue: {left[:3]}")
    never = soak.hostile.never & set(lines)
    must(not never, f"{len(never)} images that were never sent whole are done: {sorted(never)[:3]}")
    expected = {result(image, line["device_uid"], kind) for image, line in lines.items() for kind in ("sr", "sc")}
    there = stored(soak.ports[0])
    must(
        set(there) == expected,
        f"the archive lacks {len(expected - set(there))} results and has {len(set(there) - expected)} that "
        f"belong to no image",
    )
    again = came_again(soak)
    must(
        len(again) <= AGAIN * len(expected),
        f"{len(again)} results were sent twice with no kill or fault near: {sorted(again)[:3]}",
    )
    must(max(again.values(), default=0) < 2, "a result was sent three times with no kill or fault near")
    bad = {uid for uid in answered if refused(uid) and soak.senders.begun[uid] > soak.began + soak.events[0][2]}
    early = {uid for uid in answered if refused(uid)} - bad
    must(
        bad <= soak.given_up <= bad | early,
        f"{len(soak.given_up - bad - early)} images were given up that the archive took, and "
        f"{len(bad - soak.given_up)} were not that it refused",
    )
    slipped = [
        uid
        for uid in bad & set(lines)
        if {result(uid, lines[uid]["device_uid"], kind) for kind in ("sr", "sc")} & set(soak.before_retry)
    ]
    must(not slipped, f"{len(slipped)} refused results were in the archive before they were tried again")

    delays = delays_of(soak, lines, answered)
    must(delays["sent, with"] or soak.starved, "no image was sent in a quiet second")
    held_up, before = (quantile(delays[name] or [0], MOST) for name in ("sent, with", "sent, without"))
    most = max(DELAY, TIMES * before)
    must(
        held_up <= most,
        f"{1 - MOST:.0%} of healthy results were held up by {held_up:.1f} s beside refused ones, and {most:.1f} s "
        f"are allowed",
    )
    memory = memory_of(soak)
    must(
        memory["growth_kb"] <= GROWTH_KB,
        f"memory grew by {memory['growth_kb']:.0f} KB in the last half: more than {GROWTH_KB} KB",
    )
    must(memory["threads"] <= THREADS, f"{memory['threads']:.0f} threads more at the end of the last half")
    must(memory["files"] <= FILES, f"{memory['files']:.0f} open files more at the end of the last half")
    log = pathlib.Path(soak.node.log.name).stat().st_size
    must(log < LOG_BYTES, f"the log has {log} bytes: more than {LOG_BYTES}")
    missing = soak.hostile.missing()
    must(not missing, f"hostile associations that never ended as they should: {missing}")

    print(
        f"{len(answered)} images answered with success, {len(lines)} done, {len(there)} results in the "
        f"archive, {len(soak.given_up)} given up and sent on request"
    )
    open_at_once = max(row["associations"] for row in soak.rows)
    must(
        open_at_once >= soak.associations,
        f"at most {open_at_once} associations were open at once: fewer than {soak.associations}",
    )
    print(
        f"{len(again)} results sent again with no kill or fault near; the log has {log} bytes; threads "
        f"{memory['threads']:+.1f}, files {memory['files']:+.1f} in the last half; the machine starved "
        f"{len(soak.starved)} times"
    )
    other = dict(soak.senders.other)
    print(f"at most {open_at_once} associations side by side; other answers to healthy ones: {other}")
    for name, times in delays.items():
        if times:
            print(
                f"{name} refused ones in line: median {statistics.median(times):.2f} s, 99 % under "
                f"{quantile(times, 0.99):.2f} s, "
                f"longest {max(times):.2f} s, of {len(times)}"
            )
    print(
        f"memory, last half: {memory['mean_kb'] / 1024:.1f} MiB, least squares {memory['growth_kb']:+.0f} KB "
        f"over {memory['seconds']:.0f} s and {memory['images']} images "
        f"(allowed: {GROWTH_KB} KB); highest of all {memory['highest_kb'] / 1024:.1f} MiB"
    )
    kinds = collections.defaultdict(dict)
    for (kind, outcome), count in sorted(soak.hostile.counts.items()):
        kinds[kind][outcome] = count
    print(
        "hostile associations: "
        + "; ".join(
            f"{kind} {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}"
            for kind, outcomes in kinds.items()
        )
    )
    return {
        "images": len(answered),
        "done": len(lines),
        "results": len(there),
        "given_up": len(soak.given_up),
        "events": soak.events,
        "memory": memory,
        "delays": {
            name: {"median": statistics.median(times), "longest": max(times), "images": len(times)}
            for name, times in delays.items()
            if times
        },
        "hostile": kinds,
        "other_answers": soak.senders.other,
        "most_associations": open_at_once,
        "faults": faults,
    }


def delays_of(soak, lines, answered):
    """Seconds of healthy images in quiet times, before and after the archive began to refuse: from the answer
    to the results, which is the time that the audit line was written, and from there to the move into
    done/."""
    delays = {f"{what}, {how}": [] for what in ("made", "sent") for how in ("without", "with")}
    began = soak.events[0][2]
    for uid, then in answered.items():
        moment = then - soak.began
        if refused(uid) or uid not in lines or loud(soak, moment):
            continue
        line, how = (soak.node.queue / "done" / f"{uid}.json").stat(), "with" if moment > began else "without"
        delays[f"made, {how}"].append(max(line.st_mtime - then, 0))
        delays[f"sent, {how}"].append(max(line.st_ctime - line.st_mtime, 0))
    return delays


def loud(soak, moment):
    """Whether an event is near this moment, or a second in which the machine starved."""
    events = [(begin, end) for name, begin, end in soak.events if name not in ("refusals", "end")]
    return any(begin - 5 < moment < end + SETTLED for begin, end in events + soak.starved)


def came_again(soak):
    """Results that the archive took more than once, and how often again, far from everything that may bring
    that about: a node or an archive that is killed between an answer and its mark, a disk that does not take
    the mark."""
    taken, again = set(), collections.Counter()
    for line in pathlib.Path(f"{soak.refuse}.came").read_text().splitlines():
        moment, uid, status = line.split()
        if status != "0":
            continue
        if uid in taken and not loud(soak, float(moment) - soak.began):
            again[uid] += 1
        taken.add(uid)
    return again


def memory_of(soak):
    """Least squares over the last half, all of which is one process's, or most where its start took long."""
    pid = soak.node.process.pid
    rows = [row for row in soak.rows if soak.length / 2 < row["time"] <= soak.length and row["pid"] == pid]
    assert rows and rows[-1]["time"] - rows[0]["time"] > soak.length / 4, "the node was started again in the last half"
    times, sizes = [row["time"] for row in rows], [row["rss_kb"] for row in rows]
    seconds, mean = times[-1] - times[0], statistics.fmean(sizes)
    growth = lambda values: statistics.linear_regression(times, values).slope * seconds
    beside = {what: growth([row[what] - row["associations"] for row in rows]) for what in ("threads", "files")}
    images = rows[-1]["answered"] - rows[0]["answered"]
    return beside | {
        "growth_kb": growth(sizes),
        "mean_kb": mean,
        "seconds": seconds,
        "images": images,
        "highest_kb": max(row["rss_kb"] for row in soak.rows),
    }


def quantile(values, part):
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]
