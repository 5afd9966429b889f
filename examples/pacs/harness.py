"""What the tests of the node share: bundles, DICOM files, Orthanc and the node on loopback, storescu, and a
report read back."""

import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def built():
    subprocess.run(["cargo", "build", "--release", "--workspace"], cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release"


def bundles_of(programs, place, base):
    """A key and two bundles of one base, with other modules."""
    packer = [programs / "packer"]
    run = lambda *arguments: subprocess.run(
        packer + [str(a) for a in arguments],
        cwd=place,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    run("keygen", "--out", "k")
    run("phantom", "--out", "data", "--images", 60)
    base = pathlib.Path(base).resolve() if base else ROOT / "examples" / "base"
    made = []
    for seed in (0, 1):
        run(
            "train",
            "--base",
            base,
            "--data",
            "data",
            "--task",
            "tissue",
            "--out",
            f"m{seed}",
            "--epochs",
            1,
            "--seed",
            seed,
            "--device",
            "cpu",
        )
        run(
            "bundle",
            "--base",
            base,
            "--module",
            f"m{seed}",
            "--key",
            "k.key",
            "--out",
            f"b{seed}.medforge",
            "--name",
            "tissue",
        )
        made.append(place / f"b{seed}.medforge")
    return place / "k.pub", made


def dicom_files(folder, count):
    """Secondary captures of noise, made by dcmtk's dump2dcm: by image, its path and identifiers."""
    folder.mkdir()
    rng = random.Random(1)
    images = {}
    for number in range(count):
        uid = f"2.25.{10**30 + number}"
        raw = folder / f"{number}.raw"
        raw.write_bytes(bytes(rng.randrange(256) for _ in range(64 * 64)))
        dump = folder / f"{number}.dump"
        dump.write_text(f"""(0008,0016) UI 1.2.840.10008.5.1.4.1.1.7
(0008,0018) UI {uid}
(0008,0020) DA 20260102
(0008,0030) TM 101112
(0008,0050) SH A{number % 7}
(0008,0060) CS OT
(0008,0064) CS WSD
(0008,0090) PN Doctor^Ada
(0010,0010) PN Phantom^{number % 7}
(0010,0020) LO P{number % 7}
(0010,0030) DA 19700101
(0010,0040) CS O
(0020,000d) UI 2.25.{2 * 10**30 + number % 7}
(0020,000e) UI 2.25.{3 * 10**30 + number % 7}
(0020,0010) SH S{number % 7}
(0020,0011) IS 1
(0020,0013) IS {number + 1}
(0028,0002) US 1
(0028,0004) CS MONOCHROME2
(0028,0010) US 64
(0028,0011) US 64
(0028,0100) US 8
(0028,0101) US 8
(0028,0102) US 7
(0028,0103) US 0
(7fe0,0010) OB ={raw}
""")
        path = folder / f"{number}.dcm"
        subprocess.run(["dump2dcm", "+te", dump, path], check=True, capture_output=True)
        images[uid] = path
    return images


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    [one.close() for one in sockets]
    return ports


def start_orthanc(place, http, dicom, more={}):
    config = {
        "Name": "test",
        "StorageDirectory": str(place / "orthanc"),
        "IndexDirectory": str(place / "orthanc"),
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "DicomServerEnabled": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "OverwriteInstances": False,
        "Plugins": [],
        "ConcurrentJobs": 1,
    } | more
    (place / "orthanc.json").write_text(json.dumps(config))
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    process = subprocess.Popen(
        [program, place / "orthanc.json"], stdout=open(place / "orthanc.log", "wb"), stderr=subprocess.STDOUT
    )
    wait(lambda: reachable(http) and reachable(dicom), 300, "Orthanc")
    return process


def reachable(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def wait(ready, seconds, what):
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise SystemExit(f"{what} was not ready after {seconds} s")
        time.sleep(0.1)


class Node:
    def __init__(self, programs, place, key, bundle, port, orthanc, queue=None, more=()):
        self.queue, self.port = queue or place / "queue", port
        self.bundle = place / "active.medforge"
        shutil.copyfile(bundle, self.bundle)
        self.command = [
            programs / "medforge-pacs-node",
            "--listen",
            f"127.0.0.1:{port}",
            "--bundle",
            self.bundle,
            "--trust",
            key,
            "--queue",
            self.queue,
            "--to",
            f"127.0.0.1:{orthanc}",
            "--to-title",
            "ORTHANC",
            *more,
        ]
        self.log = open(place / "node.log", "ab")
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        wait(lambda: reachable(self.port), 300, "the node")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def swap(self, bundle):
        beside = self.bundle.with_suffix(".part")
        shutil.copyfile(bundle, beside)
        os.replace(beside, self.bundle)

    def done(self):
        return {path.name.removesuffix(".json") for path in (self.queue / "done").glob("*.json")}

    def waiting(self):
        """Whether anything is in line, or not cleaned up: files go a moment after the mark in done/ or failed/."""
        return any(any((self.queue / folder).iterdir()) for folder in ("accepted", "results"))


def store(node, paths):
    """Those of the images that were answered for."""
    command = ["storescu", "-v", "-aec", "MEDFORGE", "127.0.0.1", str(node.port)] + [str(path) for path in paths]
    said = subprocess.run(command, capture_output=True, text=True)
    answers = (said.stdout + said.stderr).count("Received Store Response (Success)")
    return paths[:answers]


def cpu(pid):
    """Seconds of processor time of a process (proc(5), stat)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_back(path, line):
    said = subprocess.run(["dsrdump", "+Pl", path], capture_output=True, text=True)
    assert said.returncode == 0 and "E: " not in said.stderr, said.stderr
    assert line["device_uid"] in said.stdout and line["bundle"] in said.stdout, said.stdout
    valid(path)
    try:
        import pydicom
        import highdicom
    except ImportError:
        return
    report = highdicom.sr.srread(path)
    (group,) = report.content.get_image_measurement_groups()
    values = {one.name.meaning: float(one.value) for one in group.get_measurements()}
    for one in line["classes"]:
        name = f"Probability of {one.get('code', {}).get('meaning', one['name'])}"[:64]
        assert abs(values[name] - one["probability"]) < 1e-5, values
    top = max(line["classes"], key=lambda one: one["probability"])
    assert group.finding_type.meaning == top.get("code", {}).get("meaning", top["name"]), group.finding_type


def valid(path):
    """dciodvfy's errors, of which there must be none."""
    if not shutil.which("dciodvfy"):
        return
    said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True)
    errors = [line for line in (said.stdout + said.stderr).splitlines() if line.startswith("Error")]
    assert not errors, f"{path}: {errors}"
