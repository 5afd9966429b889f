"""JPEG and PNG files, and what Pillow makes of them: `Image.open(file).convert("RGB")`."""

import io
import itertools
import pathlib
import struct
import subprocess
import tempfile

import numpy as np
from PIL import Image

import lossless
import png
from cases import make, of, picture
from codings import by_tool

# Pillow decodes with libjpeg-turbo. Two decoders round the cosine transform within one each (T.83),
# chroma counts up to 1.772 times, and means of chroma are rounded once more where it was sampled
# coarsely.
COLOUR, GRAY = 3, 1
COARSE = 4


def every(folder):
    entries = []
    for number, (kind, name, data, tolerance) in enumerate([*jpegs(), *png.every()]):
        file = f"{number:03}-{kind}-{name}"
        (folder / file).write_bytes(data)
        try:
            rgb = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except Exception as error:
            entries.append(
                {"file": file, "kind": kind, "refuse": f"Pillow says {type(error).__name__}"}
            )
            continue
        (folder / f"{file}.rgb").write_bytes(rgb.tobytes())
        height, width = rgb.shape[:2]
        found = {"width": width, "height": height, "rgb": f"{file}.rgb", "tolerance": tolerance}
        entries.append({"file": file, "kind": kind} | found)
    return entries


def colour(seed, size=(45, 61)):
    """Smooth, so that the way in which chroma is brought to full size does not show."""
    return picture(seed, 0, 255, size=size, grain=0, samples=3).astype("u1")


def cjpeg(values, *choice, scans=None):
    """libjpeg-turbo's encoder."""
    mode = "P6" if values.ndim == 3 else "P5"
    height, width = values.shape[:2]
    with tempfile.TemporaryDirectory() as folder:
        if scans:
            (pathlib.Path(folder) / "scans").write_text(scans)
            choice = [*choice, "-scans", f"{folder}/scans"]
        pixels = f"{mode} {width} {height} 255\n".encode() + values.tobytes()
        return subprocess.run(
            ["cjpeg", *map(str, choice)], input=pixels, check=True, capture_output=True
        ).stdout


# Of luma and both of chroma, columns x rows; all that libjpeg can bring to full size.
SAMPLINGS = [
    "1x1,1x1,1x1",
    "2x1,1x1,1x1",
    "1x2,1x1,1x1",
    "2x2,1x1,1x1",
    "2x2,2x1,2x1",
    "2x2,1x2,1x2",
    "4x1,1x1,1x1",
    "1x4,1x1,1x1",
    "4x2,1x1,1x1",
    "2x4,1x1,1x1",
    "4x1,2x1,2x1",
    "2x2,2x2,1x1",
    "2x2,2x1,1x2",
    "3x1,1x1,1x1",
    "1x3,1x1,1x1",
    "3x3,1x1,1x1",
    "2x1,2x1,1x1",
    "2x2,1x1,2x2",
    "2x2,2x2,2x2",
    "3x2,1x2,1x2",
    "4x4,4x1,1x4",
]
INVERTED = [
    "1x1,2x2,2x2",
    "1x1,2x1,2x1",
    "1x1,1x2,1x2",
    "1x2,2x2,2x1",
    "2x1,2x2,1x1",
    "1x1,2x2,1x1",
    "1x1,4x1,1x1",
]
SEPARATE = "0;\n1;\n2;\n"
PAIRS = "0;\n1 2;\n"
PROGRESSIVE = [
    "0 1 2: 0-0, 0, 0;\n0: 1-63, 0, 0;\n1: 1-63, 0, 0;\n2: 1-63, 0, 0;\n",
    "0: 0-0, 0, 1;\n1: 0-0, 0, 0;\n2: 0-0, 0, 0;\n0: 1-5, 0, 2;\n0: 6-63, 0, 2;\n0: 1-63, 2, 1;\n0: 0-0, 1, 0;\n0: 1-63, 1, 0;\n"
    "1: 1-63, 0, 0;\n2: 1-63, 0, 1;\n2: 1-63, 1, 0;\n",
    "0 1 2: 0-0, 0, 3;\n0 1 2: 0-0, 3, 2;\n0 1 2: 0-0, 2, 1;\n0 1 2: 0-0, 1, 0;\n2: 1-63, 0, 0;\n1: 1-63, 0, 0;\n0: 1-63, 0, 0;\n",
]


def jpegs():
    for number, (sampling, how) in enumerate(
        itertools.product(SAMPLINGS, ("", "-progressive", "-restart 2", SEPARATE))
    ):
        name = sampling.replace(",", "_") + {"": "", SEPARATE: "_scans"}.get(how, how.split(" ")[0])
        blocks = sum(int(a) * int(b) for a, b in (one.split("x") for one in sampling.split(",")))
        if blocks > 10 and how != SEPARATE:
            continue
        choice, scans = (how.split(), None) if how != SEPARATE else ([], SEPARATE)
        kind = (
            "jpeg_separate_scans"
            if scans
            else "jpeg_progressive" if how == "-progressive" else "jpeg"
        )
        tolerance = COLOUR if sampling == SAMPLINGS[0] else COARSE
        yield kind, f"{name}.jpg", cjpeg(
            colour(number), "-quality", 90, "-sample", sampling, *choice, scans=scans
        ), tolerance
    for number, (sampling, how) in enumerate(itertools.product(INVERTED, ("", "-progressive"))):
        data = cjpeg(colour(number + 100), "-quality", 90, "-sample", sampling, *how.split())
        yield "jpeg_coarse_luma", f"{sampling.replace(',', '_')}{how}.jpg", data, COARSE
    for number, (script, sampling) in enumerate(
        itertools.product([PAIRS, *PROGRESSIVE], ("1x1", "2x2", "2x1"))
    ):
        kind = "jpeg_separate_scans" if script == PAIRS else "jpeg_progressive"
        data = cjpeg(colour(number + 120), "-quality", 85, "-sample", sampling, scans=script)
        yield kind, f"script_{number}.jpg", data, COARSE
    for number, (sampling, restart, script) in enumerate(
        itertools.product(("1x1", "2x2"), ("1", "7B"), (SEPARATE, PROGRESSIVE[1]))
    ):
        kind = "jpeg_separate_scans" if script == SEPARATE else "jpeg_progressive"
        data = cjpeg(colour(number + 140), "-sample", sampling, "-restart", restart, scans=script)
        yield kind, f"restart_{number}.jpg", data, COARSE
    for sampling in ("1x1", "2x2", "2x1", "4x4"):
        for size in ((45, 61), (8, 8), (17, 16), (1, 1)):
            values = picture(150, 0, 255, size=size, grain=0.01).astype("u1")
            name = f"gray_{sampling}_{size[0]}_{size[1]}.jpg"
            yield "jpeg_gray", name, cjpeg(values, "-grayscale", "-sample", sampling), GRAY
    for number, size in enumerate(
        ((1, 1), (1, 40), (40, 1), (7, 9), (8, 8), (15, 33), (16, 16), (17, 17), (64, 5))
    ):
        for sampling in ("1x1", "2x2", "2x1"):
            data = cjpeg(colour(number + 160, size), "-quality", 95, "-sample", sampling)
            yield "jpeg", f"size_{size[0]}_{size[1]}_{sampling}.jpg", data, COARSE
    for quality in (10, 30, 50, 75, 100):
        yield "jpeg", f"quality_{quality}.jpg", cjpeg(
            colour(180), "-quality", quality, "-sample", "1x1"
        ), COLOUR
        yield "jpeg_rgb", f"quality_{quality}.jpg", cjpeg(
            colour(181), "-rgb", "-quality", quality
        ), COLOUR
    for sampling in ("1x1", "2x2"):
        yield "jpeg_arithmetic", f"{sampling}.jpg", cjpeg(
            colour(182), "-arithmetic", "-sample", sampling
        ), COARSE
        yield "jpeg_arithmetic", f"progressive_{sampling}.jpg", cjpeg(
            colour(183), "-arithmetic", "-progressive", "-sample", sampling
        ), COARSE
    yield from adobe()
    for name, values in (
        ("gray", picture(192, 0, 255)),
        ("colour", picture(193, 0, 255, samples=3)),
    ):
        planes = [values] if values.ndim == 2 else list(np.moveaxis(values, 2, 0))
        yield "jpeg_lossless", f"{name}.jpg", lossless.encode(planes, 8, 4), 0
    case = by_tool(make("", "", picture(194, 0, 4095), of(12)), "dcmcjpeg", "+ee", "+bt")
    yield "jpeg_12_bits", "gray.jpg", case.file[case.file.index(b"\xff\xd8") :], GRAY


def adobe():
    """Colours that Adobe's marker tells: transform 0 (RGB, CMYK), 1 (YBR), 2 (YCCK), also without a
    JFIF marker."""
    three = cjpeg(colour(190), "-quality", 92, "-sample", "1x1")
    without = three[:2] + three[20:]
    assert three[2:4] == b"\xff\xe0"
    for transform in (0, 1):
        yield "jpeg_adobe", f"three_{transform}_without_jfif.jpg", marked(
            without, transform
        ), COLOUR
        yield "jpeg_adobe", f"three_{transform}_with_jfif.jpg", three[:20] + marker(
            transform
        ) + three[20:], COLOUR
    yield "jpeg_adobe", "three_no_marker.jpg", without, COLOUR
    values = picture(191, 0, 255, size=(24, 31), grain=0, samples=3)
    ink = np.dstack([values, values[::-1, :, 0]]).astype("u1")
    out = io.BytesIO()
    Image.frombytes("CMYK", (31, 24), ink.tobytes()).save(out, "JPEG", quality=92)
    four = out.getvalue()
    at = four.index(b"Adobe")
    for transform in (0, 2):
        yield "jpeg_cmyk", f"four_{transform}.jpg", four[: at + 11] + bytes([transform]) + four[
            at + 12 :
        ], COLOUR


def marker(transform):
    body = b"Adobe\0\x64\0\0\0\0" + bytes([transform])
    return b"\xff\xee" + struct.pack(">H", len(body) + 2) + body


def marked(data, transform):
    return data[:2] + marker(transform) + data[2:]
