"""What a soak has shown: every image that was answered for, once; memory, delays, and how the hostile ones fared."""
import collections
import hashlib
import json
import statistics
import urllib.request

from senders import refused

# What the node's memory may grow by over the last half. The C library's arenas, one for each of some threads, fill up over minutes by some 2 MiB. A
# leak of one image's report, file or capture (6, 5 and 120 KB) would be over 6 MB in the last three minutes of six already, and one of 300 bytes
# an image shows in an hour.
GROWTH_KB = 4 << 10
DELAY = 5
# After an event, images that wait for it to be over are not looked at for delays.
SETTLED = 25


def stored(http):
    """The identifiers of all results in the archive, with how often each is there."""
    found, since = collections.Counter(), 0
    while True:
        page = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{http}/instances?expand&since={since}&limit=1000").read())
        found.update(one["MainDicomTags"]["SOPInstanceUID"] for one in page)
        since += len(page)
        if len(page) < 1000:
            return found


def result(image, device, kind):
    """The identifier of a result: it follows from image and device (node/src/code.rs)."""
    bits = int.from_bytes(hashlib.sha256(f"{image} {device} {kind}".encode()).digest()[:16], "big")
    return f"2.25.{bits & ~(0xf << 76) & ~(0x3 << 62) | 0x8 << 76 | 0x2 << 62}"


def judge(soak):
    """Everything that was measured; `faults` are sentences, of which there should be none. Prints a table."""
    queue, answered = soak.node.queue, dict(soak.senders.answered)
    lines = {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in (queue / "done").glob("*.json")}
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
    must(set(there) == expected, f"the archive lacks {len(expected - set(there))} results and has {len(set(there) - expected)} that belong to no image")
    twice = [uid for uid, count in there.items() if count > 1]
    must(not twice, f"{len(twice)} results are in the archive twice")
    bad = {uid for uid in answered if refused(uid) and answered[uid] > soak.began + soak.events[0][2]}
    early = {uid for uid in answered if refused(uid)} - bad
    must(bad <= soak.given_up <= bad | early, f"{len(soak.given_up - bad - early)} images were given up that the archive took, and {len(bad - soak.given_up)} were not that it refused")
    slipped = [uid for uid in bad & set(lines) if {result(uid, lines[uid]["device_uid"], kind) for kind in ("sr", "sc")} & set(soak.before_retry)]
    must(not slipped, f"{len(slipped)} refused results were in the archive before they were tried again")

    delays = delays_of(soak, lines, answered)
    must(delays["with"], "no image was sent in a quiet second")
    held_up = (max(delays["with"]) if delays["with"] else 0) - statistics.median(delays["without"] or [0])
    must(held_up <= DELAY, f"a healthy result was held up by {held_up:.1f} s beside refused ones: more than {DELAY} s")
    memory = memory_of(soak)
    must(memory["growth_kb"] <= GROWTH_KB, f"memory grew by {memory['growth_kb']:.0f} KB in the last half: more than {GROWTH_KB} KB")

    print(f"{len(answered)} images answered with success, {len(lines)} done, {len(there)} results in the archive, {len(soak.given_up)} given up and sent on request")
    most = max(row["associations"] for row in soak.rows)
    print(f"at most {most} associations side by side; other answers to healthy ones: {dict(soak.senders.other)}")
    for name, times in delays.items():
        if times:
            print(f"from answer to sent, {name} refused ones in line: median {statistics.median(times):.2f} s, 99 % under {quantile(times, 0.99):.2f} s, "
                  f"longest {max(times):.2f} s, of {len(times)}")
    print(f"memory, last half: {memory['mean_kb'] / 1024:.1f} MiB, least squares {memory['growth_kb']:+.0f} KB over {memory['seconds']:.0f} s and {memory['images']} images "
          f"(allowed: {GROWTH_KB} KB); highest of all {memory['highest_kb'] / 1024:.1f} MiB")
    kinds = collections.defaultdict(dict)
    for (kind, outcome), count in sorted(soak.hostile.counts.items()):
        kinds[kind][outcome] = count
    print("hostile associations: " + "; ".join(f"{kind} {', '.join(f'{count} {outcome}' for outcome, count in outcomes.items())}" for kind, outcomes in kinds.items()))
    return {"images": len(answered), "done": len(lines), "results": len(there), "given_up": len(soak.given_up), "events": soak.events, "memory": memory,
            "delays": {name: {"median": statistics.median(times), "longest": max(times), "images": len(times)} for name, times in delays.items() if times},
            "hostile": kinds, "other_answers": soak.senders.other, "most_associations": most, "faults": faults}


def delays_of(soak, lines, answered):
    """Seconds from the answer to the move into done/, of healthy images in quiet times, before and after the archive began to refuse."""
    delays = {"without": [], "with": []}
    loud = [(begin - 5, end + SETTLED) for name, begin, end in soak.events if name not in ("refusals", "end")]
    began = soak.events[0][2]
    for uid, then in answered.items():
        moment = then - soak.began
        if refused(uid) or uid not in lines or any(begin < moment < end for begin, end in loud):
            continue
        taken = (soak.node.queue / "done" / f"{uid}.json").stat().st_ctime - then
        delays["with" if moment > began else "without"].append(max(taken, 0))
    return delays


def memory_of(soak):
    """Least squares over the last half, all of which is one process's."""
    rows = [row for row in soak.rows if soak.length / 2 < row["time"] <= soak.length]
    assert len({row["pid"] for row in rows}) == 1, "the node was started again in the last half"
    times, sizes = [row["time"] for row in rows], [row["rss_kb"] for row in rows]
    slope = statistics.linear_regression(times, sizes).slope
    seconds, mean = times[-1] - times[0], statistics.fmean(sizes)
    images = rows[-1]["answered"] - rows[0]["answered"]
    return {"growth_kb": slope * seconds, "mean_kb": mean, "seconds": seconds, "images": images, "highest_kb": max(row["rss_kb"] for row in soak.rows)}


def quantile(values, part):
    return sorted(values)[min(int(len(values) * part), len(values) - 1)]
