"""Cases of the codecs: lossless JPEG by our own writer, and what dcmtk, GDCM and Pillow encode."""

import io
import itertools
import pathlib
import subprocess
import tempfile

import numpy as np
import pydicom
from PIL import Image

import lossless
from cases import make, of, picture, span, words
from pixels import some_window
from writer import BASELINE, EXTENDED, LOSSLESS, LOSSLESS_SV1, RLE


def coded(precision, look, **how):
    def encode(values):
        planes = [values] if values.ndim == 2 else list(np.moveaxis(values, 2, 0))
        return lossless.encode([words(look, plane) for plane in planes], precision, **how)

    return encode


def losslesses():
    size = (19, 23)
    # Precision of the JPEG, allocated, stored.
    depths = [
        (8, 8, 8),
        (8, 16, 8),
        (12, 16, 12),
        (16, 16, 16),
        (10, 16, 10),
        (16, 16, 12),
        (2, 8, 2),
        (14, 16, 14),
    ]
    number = 0
    for predictor, (restart, point) in itertools.product(
        range(1, 8), ((0, 0), (1, 0), (3, 0), (0, 1), (0, 3), (2, 2))
    ):
        precision, allocated, stored = depths[number % len(depths)]
        point = min(point, precision - 1)
        signed = number % 5 == 4 and precision == stored
        look = of(stored, allocated, signed, window=some_window(number, stored, signed))
        values = picture(number + 40, *span(stored, signed), size=size)
        syntax = LOSSLESS_SV1 if predictor == 1 and number % 2 == 0 else LOSSLESS
        name = f"p{precision}_in_{allocated}_{stored}_{'s' if signed else 'u'}_predictor{predictor}_rst{restart}_pt{point}"
        encode = coded(precision, look, predictor=predictor, restart=restart, point=point)
        case = make("lossless", name, values, look, syntax, encode=encode)
        if point:
            # What is left of a value is its upper bits.
            case.frames = [(values_of(words(look, values) >> point << point, look), look)]
        yield case
        number += 1
    for predictor, photometric, split, restart in itertools.product(
        (1, 4, 7), ("RGB", "YBR_FULL"), (False, True), (0, 2)
    ):
        look = of(8, photometric=photometric)
        encode = coded(8, look, predictor=predictor, split=split, restart=restart)
        name = f"{photometric}_predictor{predictor}_{'split' if split else 'together'}_rst{restart}"
        yield make(
            "lossless_colour",
            name,
            picture(90, 0, 255, size, samples=3),
            look,
            LOSSLESS,
            encode=encode,
        )


def values_of(unsigned, look):
    negative = look.signed & (unsigned >> look.stored - 1 == 1)
    return np.where(negative, unsigned - (1 << look.stored), unsigned)


def by_tool(case, *command):
    """The file as a program of dcmtk or GDCM writes it."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "a.dcm", pathlib.Path(folder) / "b.dcm"
        source.write_bytes(case.file)
        subprocess.run([*command, source, target], check=True, capture_output=True)
        case.file = target.read_bytes()
    return case


def restated(case):
    """Meant as the file says it: dcmtk stretches values and windows before it loses any."""
    data = pydicom.dcmread(io.BytesIO(case.file))
    window = (float(data.WindowCenter), float(data.WindowWidth))
    bits = (data.BitsStored, data.BitsAllocated, bool(data.PixelRepresentation))
    case.frames = [(None, of(*bits, window=window))]
    return case


def tools():
    """Files of dcmtk's and GDCM's encoders."""
    for predictor, (allocated, stored, signed) in itertools.product(
        (1, 2, 4, 6), ((8, 8, False), (16, 12, False), (16, 16, True))
    ):
        look = of(stored, allocated, signed, window=some_window(predictor, stored, signed))
        values = picture(predictor + 100, *span(stored, signed))
        case = make("lossless", f"dcmcjpeg_{stored}_{predictor}_{signed}", values, look)
        choice = ["+e1"] if predictor == 1 else ["+el", "+sv", str(predictor)]
        yield by_tool(case, "dcmcjpeg", *choice)
    for photometric in ("RGB", "YBR_FULL"):
        case = make(
            "lossless_colour",
            f"dcmcjpeg_{photometric}",
            picture(110, 0, 255, samples=3),
            of(8, photometric=photometric),
        )
        yield by_tool(case, "dcmcjpeg", "+e1")
    case = make("lossless", "dcmcjpeg_point_2", picture(111, 0, 4095), of(12))
    case = by_tool(case, "dcmcjpeg", "+el", "+sv", "4", "+pt", "2", "+pl", "+bt")
    case.frames, case.lossy = [(None, case.frames[0][1])], False
    yield case
    for name, photometric in itertools.product(("--jpeg", "--rle"), ("MONOCHROME2", "RGB")):
        samples = 3 if photometric == "RGB" else 1
        kind = "rle" if name == "--rle" else "lossless" if samples == 1 else "lossless_colour"
        case = make(
            kind,
            f"gdcm{name}_{photometric}",
            picture(112, 0, 255, size=(30, 38), samples=samples),
            of(8, photometric=photometric),
        )
        yield by_tool(case, "gdcmconv", name)
    for command, stored in itertools.product(
        (("dcmcjpls",), ("gdcmconv", "--jpegls"), ("gdcmconv", "--j2k")), (8, 12)
    ):
        case = make(
            "other_codecs",
            f"{'_'.join(command)}_{stored}",
            picture(113, *span(stored, False), size=(30, 38)),
            of(stored),
        )
        yield by_tool(case, *command)
    yield by_tool(make("rle", "dcmcrle_12", picture(114, 0, 4095), of(12)), "dcmcrle")


def lossies():
    """JPEG by rounding a cosine transform: smooth pictures, so that the way in which chroma is
    brought to full size does not show."""
    for number, quality in enumerate((50, 75, 90, 95, 100)):
        values = picture(number + 120, 0, 255, grain=0.01)
        for photometric, window in (("MONOCHROME2", None), ("MONOCHROME1", (120, 256))):
            look = of(8, photometric=photometric, window=window)
            yield make(
                "baseline",
                f"gray_{quality}_{photometric}",
                values,
                look,
                BASELINE,
                encode=jpeg(quality=quality),
                lossy=True,
            )
    for number, (sampling, restart) in enumerate(itertools.product((0, 1, 2), (0, 3))):
        look = of(8, photometric="YBR_FULL_422" if sampling else "YBR_FULL")
        encode = jpeg(quality=92, subsampling=sampling, restart_marker_blocks=restart)
        values = picture(number + 130, 0, 255, samples=3, grain=0)
        yield make(
            "baseline_colour",
            f"{('444', '422', '420')[sampling]}_rst{restart}",
            values,
            look,
            BASELINE,
            encode=encode,
            lossy=True,
        )
    for name, choice in (("422", ["+s2"]), ("444", ["+s4"]), ("rgb", ["+cr"])):
        case = make(
            "baseline_colour",
            f"dcmcjpeg_{name}",
            picture(140, 0, 255, samples=3, grain=0),
            of(8, photometric="RGB"),
            lossy=True,
        )
        yield by_tool(case, "dcmcjpeg", "+eb", *choice)
    for stored, signed, quality in (
        (12, False, 90),
        (12, False, 100),
        (10, False, 90),
        (12, True, 95),
    ):
        look = of(stored, 16, signed, window=((1 << stored - 1) * (not signed), 1 << stored))
        case = make(
            "extended",
            f"{stored}_{'s' if signed else 'u'}_{quality}",
            picture(150 + quality, *span(stored, signed), grain=0.01),
            look,
            lossy=True,
        )
        yield restated(by_tool(case, "dcmcjpeg", "+ee", "+bt", "+q", str(quality)))
    look = of(8, window=(128, 256))
    yield make(
        "extended",
        "8_bits",
        picture(160, 0, 255, grain=0.01),
        look,
        EXTENDED,
        encode=jpeg(quality=90),
        lossy=True,
    )


def encapsulated():
    """Fragments and offsets in other ways than one a frame."""
    values = picture(300, 0, 4095)
    stated = lambda write, parts: write.element(0x7FE00010, "OB", write.fragments(parts))
    yield make(
        "stated_length",
        "lossless",
        values,
        of(12),
        LOSSLESS_SV1,
        encode=coded(12, of(12)),
        pixels=stated,
    )
    yield make("stated_length", "rle", values, of(12), RLE, pixels=stated)
    pieces = lambda write, parts: write.encapsulated(
        [parts[0][at : at + 200] for at in range(0, len(parts[0]), 200)]
    )
    yield make(
        "fragments",
        "one_frame_in_many",
        values,
        of(12),
        LOSSLESS_SV1,
        encode=coded(12, of(12)),
        pixels=pieces,
    )
    table = lambda write, parts: write.encapsulated(
        parts, bytes(4) + (len(parts[0]) + len(parts[0]) % 2 + 8).to_bytes(4, "little")
    )
    frames = [picture(304 + n, 0, 4095) for n in range(2)]
    yield make(
        "fragments",
        "offset_table",
        frames,
        of(12),
        LOSSLESS_SV1,
        encode=coded(12, of(12)),
        pixels=table,
    )
    yield make("fragments", "rle_frames", frames, of(12, window=(1000, 2000)), RLE)
    # Photometric Interpretation RGB over a JPEG that is YBR, as its JFIF head says.
    colour = picture(305, 0, 255, samples=3, grain=0)
    # JFIF says that they are YBR; Slicer, Weasis and QuPath go by that, dcmtk and GDCM by the header.
    for subsampling in (0, 2):
        encode = jpeg(quality=95, subsampling=subsampling)
        case = make(
            "rgb_over_ybr",
            f"{subsampling}",
            colour,
            of(8, photometric="RGB"),
            BASELINE,
            encode=encode,
            lossy=True,
        )
        case.right = np.asarray(Image.open(io.BytesIO(encode(colour))))
        yield case


def jpeg(**how):
    def encode(values):
        out = io.BytesIO()
        Image.fromarray(values.astype("u1")).save(out, "JPEG", **how)
        return out.getvalue()

    return encode


def every():
    for part in (losslesses, tools, lossies, encapsulated):
        yield from part()
