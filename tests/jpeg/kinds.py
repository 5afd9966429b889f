"""JPEGs of every kind that cjpeg of libjpeg-turbo writes, and some that need a byte changed: sampling factors, scans, restarts, progressive, arithmetic,
colour transforms, names of components, odd sizes, qualities. kinds(folder, cjpeg) yields a name, the kind, and the file's bytes; seeds are fixed.

  apt-get install libjpeg-turbo-progs && pip install numpy pillow
"""
import io
import itertools
import subprocess
from pathlib import Path

import numpy
from PIL import Image

SCRIPTS = {
    "interleaved": "0 1 2;",
    "apart": "0;\n1;\n2;",
    "luma, then chroma": "0;\n1 2;",
    "two, then one": "0 1;\n2;",
    "chroma first": "1;\n2;\n0;",
}
PROGRESSIVE = {
    "spectral alone": "0,1,2: 0-0, 0, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;",
    "dc apart": "0: 0-0, 0, 1;\n1: 0-0, 0, 0;\n2: 0-0, 0, 2;\n0: 0-0, 1, 0;\n2: 0-0, 2, 1;\n2: 0-0, 1, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;",
    "many bits": "0 1 2: 0-0, 0, 3;\n0 1 2: 0-0, 3, 2;\n0 1 2: 0-0, 2, 1;\n0 1 2: 0-0, 1, 0;\n"
    + "".join(f"{c}: {a}-{b}, 0, 2;\n{c}: {a}-{b}, 2, 1;\n{c}: {a}-{b}, 1, 0;\n" for c in range(3) for a, b in ((1, 2), (3, 20), (21, 63))),
}
LUMA = [f"{h}x{v}" for h in range(1, 5) for v in range(1, 5)]
CHROMA_FINER = ["1x1,2x2,2x2", "1x1,2x1,2x1", "1x1,1x2,1x2", "2x1,1x2,1x1", "2x2,2x1,1x2", "2x2,1x1,2x2", "1x2,2x1,1x1", "2x1,2x2,1x1", "1x1,1x1,2x2", "1x1,4x1,2x1"]
COMMON = ["1x1", "2x1", "1x2", "2x2", "4x1", "4x2"]


def picture(width, height, seed):
    """Slopes, an edge and noise, so that no pixel is what its neighbours are."""
    random = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[:height, :width]
    waves = [127 + 100 * numpy.sin(x / (3 + c) + c) * numpy.cos(y / (4 - c) + seed) for c in range(3)]
    image = numpy.dstack(waves) + random.normal(0, 12, (height, width, 3))
    image[height // 2 :, width // 3 : width // 2] = [250, 10, 60]
    return numpy.clip(image, 0, 255).astype("u1")


def kinds(folder, cjpeg="cjpeg"):
    folder, number = Path(folder), itertools.count()

    def made(kind, name, size, options, script=None):
        seed = next(number)
        Image.fromarray(picture(*size, seed)).save(folder / "kind.ppm")
        if script:
            (folder / "kind.txt").write_text(script)
            options = [*options, "-scans", folder / "kind.txt"]
        done = subprocess.run([cjpeg, *map(str, options), "-outfile", folder / "kind.jpg", folder / "kind.ppm"], capture_output=True)
        if done.returncode == 0:
            return kind, f"{name}, {size[0]} x {size[1]}", (folder / "kind.jpg").read_bytes()
        return kind, name, None

    yield from (made_one for made_one in all_kinds(made) if made_one[2])


def all_kinds(made):
    for luma, size in itertools.product(LUMA, ((33, 17), (70, 51))):
        h, v = map(int, luma.split("x"))
        script = SCRIPTS["apart"] if h * v > 8 else None
        yield made("sampling", f"luma {luma}", size, ["-quality", 85, "-sample", f"{luma},1x1,1x1"], script)
    for factors, size in itertools.product(CHROMA_FINER, ((33, 17), (46, 39))):
        yield made("chroma finer than luma", factors, size, ["-quality", 85, "-sample", factors])
    for (name, script), factors in itertools.product(SCRIPTS.items(), COMMON):
        yield made("scans", f"{name}, luma {factors}", (37, 21), ["-optimize", "-quality", 80, "-sample", f"{factors},1x1,1x1"], script)
    for (name, script), factors in itertools.product(PROGRESSIVE.items(), COMMON):
        yield made("progressive", f"{name}, luma {factors}", (37, 21), ["-optimize", "-quality", 80, "-sample", f"{factors},1x1,1x1"], script)
    for factors, restart in itertools.product(COMMON, ("1", "2", "3B", "1B")):
        yield made("restarts", f"{restart}, luma {factors}", (37, 21), ["-optimize", "-sample", f"{factors},1x1,1x1", "-restart", restart])
        yield made("restarts", f"{restart}, luma {factors}, progressive", (37, 21), ["-progressive", "-sample", f"{factors},1x1,1x1", "-restart", restart])
        if restart == "2":
            yield made("restarts", f"{restart}, luma {factors}, apart", (37, 21), ["-optimize", "-sample", f"{factors},1x1,1x1", "-restart", restart], SCRIPTS["apart"])
    for factors, mode in itertools.product(("1x1", "2x2"), ([], ["-progressive"], ["-restart", "1"])):
        yield made("arithmetic", f"luma {factors} {mode}", (33, 17), ["-arithmetic", *mode, "-sample", f"{factors},1x1,1x1"])
    for factors, mode in itertools.product(("1x1", "2x1", "2x2"), ([], ["-progressive"])):
        yield made("RGB", f"{factors} {mode}", (33, 17), ["-rgb", *mode, "-sample", f"{factors},1x1,1x1"])
    for width, height in itertools.product((1, 2, 3, 7, 8, 9, 16, 17, 33), (1, 2, 3, 8, 15, 17)):
        factors = COMMON[(width + height) % len(COMMON)]
        yield made("sizes", f"luma {factors}", (width, height), ["-quality", 90, "-sample", f"{factors},1x1,1x1"])
    for factors, size in itertools.product(COMMON[:4], ((1, 1), (2, 2), (3, 5), (5, 3), (17, 2), (2, 17), (257, 3))):
        yield made("sizes", f"luma {factors}, progressive", size, ["-quality", 90, "-progressive", "-sample", f"{factors},1x1,1x1"])
    for quality in (1, 3, 5, 10, 25, 50, 60, 75, 92, 97, 99, 100):
        for mode in ([], ["-optimize"], ["-progressive"]):
            yield made("qualities", f"{quality} {mode}", (40, 33), ["-quality", quality, *mode])
    for factors in ("1x1", "2x2", "3x1", "4x4", "1x2", "2x1"):
        yield made("gray", factors, (33, 17), ["-grayscale", "-sample", factors])
        yield made("gray", f"{factors} progressive", (33, 17), ["-grayscale", "-progressive", "-restart", "1", "-sample", factors])
    yield from changed(made)


def changed(made):
    _, name, plain = made("", "", (17, 11), ["-optimize", "-quality", 80])
    adobe = lambda transform: b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    jfif = plain[2:20]
    for ids in ((1, 2, 3), (0, 1, 2), (82, 71, 66), (7, 8, 9), (114, 103, 98), (1, 34, 35), (5, 5, 5)):
        for marker in (jfif, b"", adobe(0), adobe(1), jfif + adobe(0), jfif + adobe(1)):
            jpeg = bytearray(plain[:2] + marker + plain[20:])
            frame, scan = jpeg.index(b"\xff\xc0"), jpeg.index(b"\xff\xda")
            for at, name in enumerate(ids):
                jpeg[frame + 10 + 3 * at] = jpeg[scan + 5 + 2 * at] = name
            said = " ".join(word for word in ("JFIF" * (jfif in marker), f"Adobe {marker[-1:].hex()}" * (b"Adobe" in marker)) if word)
            yield "names and transforms", f"{ids} {said}", bytes(jpeg)
    for mode in ({}, {"progressive": True}):
        file = io.BytesIO()
        Image.fromarray(picture(17, 11, 5)).convert("CMYK").save(file, "JPEG", optimize=True, **mode)
        yield "CMYK", f"{mode}", file.getvalue()
    for length, name in ((16, "JFIF of 16 bytes"),):
        yield "fill bytes", name, plain[:2] + b"\xff\xff" + plain[2:20] + b"\xff\xff\xff" + plain[20:]
    gray = made("", "", (33, 17), ["-grayscale"])[2]
    at = gray.index(b"\xff\xc0")
    for factors in (0x22, 0x31, 0x44):
        yield "gray", f"factors {factors:x} written over", gray[: at + 11] + bytes([factors]) + gray[at + 12 :]
