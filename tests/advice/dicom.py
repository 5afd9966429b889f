"""Advice for DICOM files that are not read."""

import pathlib
import sys

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/differential"), str(ROOT / "ffi/python")]
import medforge
from cases import make, of, picture
from pictures import cjpeg
from codings import coded
from shown import to_rgb
from writer import BASELINE, BIG, LOSSLESS_SV1

CORPUS = ROOT / "tests/corpus"
SIZE = (30, 38)
GRAY = picture(1, 0, 4095, size=SIZE)
COLOUR = picture(2, 0, 255, size=(32, 40), samples=3, grain=0)


def classified(shop, data, frame=0):
    """Probabilities that the corpus' bundle gives for a frame, by the C library, or none where it is refused."""
    if shop.classifier is None:
        medforge.load(shop.program.parent / "libmedforge.so")
        shop.classifier = medforge.Classifier(CORPUS / "good.medforge", CORPUS / "trust.toml")
    kind = 2 if data[128:132] == b"DICM" else 1
    try:
        [found] = shop.classifier.classify([medforge.Values(data, kind=kind, frame=frame)])
    except medforge.Error:
        return None
    return [entry["probability"] for entry in found["classes"]]


def converts(shop, source, right, commands, target="out.dcm", frame=0):
    """`source` is refused; after each of `commands` from a.dcm its frame is classified as the picture `right`."""
    (shop.folder / "a.dcm").write_bytes(source)
    if classified(shop, source, frame) is not None:
        raise RuntimeError("the file is read as it is, so nobody needs advice")
    Image.fromarray(right).convert("RGB").save(shop.folder / "right.png")
    wanted = classified(shop, (shop.folder / "right.png").read_bytes())
    if wanted is None:
        raise RuntimeError("not even the PNG is classified")
    for command in commands:
        (shop.folder / target).unlink(missing_ok=True)
        shop.run(command)
        found = classified(shop, (shop.folder / target).read_bytes(), frame)
        if found is None or max(abs(a - b) for a, b in zip(found, wanted)) > 2e-3:
            raise RuntimeError(f"after {command}: {found} in place of {wanted}")


def eight(values, most=4095):
    return np.floor(values / most * 255 + 0.5).astype("u1")


def encoded(shop, case, command):
    (shop.folder / "native.dcm").write_bytes(case.file)
    shop.run(f"{command} native.dcm coded.dcm")
    return (shop.folder / "coded.dcm").read_bytes()


def jpeg_ls(shop):
    source = encoded(shop, make("", "", GRAY, of(12)), "dcmcjpls")
    converts(shop, source, eight(GRAY), ["gdcmconv --raw a.dcm out.dcm", "dcmdjpls a.dcm out.dcm"])


def jpeg_2000(shop):
    """gdcmconv --raw may give another Bits Stored, which is another picture where the file has no window."""
    source = encoded(shop, make("", "", GRAY, of(12)), "gdcmconv --j2k")
    (shop.folder / "decompress.py").write_text(
        "import pydicom; d = pydicom.dcmread('a.dcm'); d.decompress(); d.save_as('out.dcm')"
    )
    converts(shop, source, eight(GRAY), [f"{sys.executable} decompress.py"])


def big_endian(shop):
    values = picture(3, 0, (1 << 32) - 1, size=SIZE)
    source = make("", "", values, of(32, 32), BIG).file
    converts(shop, source, eight(values, (1 << 32) - 1), ["dcmconv +te a.dcm out.dcm"])


def one_bit(shop):
    values = GRAY >> 11
    packed = np.packbits(values.astype("u1").reshape(-1), bitorder="little").tobytes()
    tags = {0x00280100: 1, 0x00280101: 1, 0x00280102: 0}
    source = make(
        "",
        "",
        values,
        of(1, 8),
        pixels=lambda write, _: write.element(0x7FE00010, "OB", packed),
        replace=lambda write: {tag: write.element(tag, "US", value) for tag, value in tags.items()},
    ).file
    converts(
        shop, source, (values * 255).astype("u1"), ["dcm2pnm +Wm +on a.dcm out.png"], "out.png"
    )


def halved_chroma(shop):
    values = COLOUR.copy()
    values[:, 1::2, 1:] = values[:, ::2, 1:]
    parts = [values[:, ::2, 0], values[:, 1::2, 0], values[:, ::2, 1], values[:, ::2, 2]]
    packed = np.dstack(parts).astype("u1").tobytes()
    source = make(
        "",
        "",
        values,
        of(8, photometric="YBR_FULL_422"),
        pixels=lambda write, _: write.element(0x7FE00010, "OB", packed),
    ).file
    converts(shop, source, to_rgb(values.astype(float)), ["dcm2pnm +on a.dcm out.png"], "out.png")


def colours_disagree(shop):
    data = cjpeg(COLOUR.astype("u1"), "-rgb", "-quality", 97)
    source = make(
        "", "", COLOUR, of(8, photometric="YBR_FULL_422"), BASELINE, encode=lambda _: data
    ).file
    converts(shop, source, COLOUR.astype("u1"), ["dcmdjpeg +cg a.dcm out.dcm"])


def fragments(shop):
    values = [GRAY, GRAY[::-1]]

    def pieces(write, parts):
        even = [part + b"\0" * (len(part) % 2) for part in parts]
        cut = [[one[at : at + 400] for at in range(0, len(one), 400)] for one in even]
        return write.encapsulated(cut[0] + cut[1], b"")

    source = make(
        "", "", values, of(12), LOSSLESS_SV1, encode=coded(12, of(12)), pixels=pieces
    ).file
    commands = ["gdcmconv --raw a.dcm out.dcm"]
    converts(shop, source, eight(GRAY[::-1]), commands, frame=1)


def unreadable(shop):
    slope = lambda write: {0x00281053: write.element(0x00281053, "DS", "1,024")}
    source = make("", "", GRAY, of(12), replace=slope).file
    right = eight(GRAY * 0.25, 4095 * 0.25)
    (shop.folder / "correct.py").write_text(
        "import shutil, subprocess; shutil.copy('a.dcm', 'out.dcm'); "
        "subprocess.run('dcmodify -nb -m 0028,1053=0.25 out.dcm'.split(), check=True)"
    )
    converts(shop, source, right, [f"{sys.executable} correct.py"])


def segmented(shop):
    ramp = np.arange(256)
    ends = [(0, 65535), (65535, 0), (0, 32767)]
    channels = [(0, 16, np.interp(ramp, (0, 255), end)) for end in ends]

    def palette(write):
        found = {}
        for number, (_, _, entries) in enumerate(channels):
            # One entry as it is, and 255 more in a straight line (PS3.3 C.7.9.2).
            data = np.array([0, 1, entries[0], 1, 255, entries[-1]]).astype("<u2").tobytes()
            found[0x00281101 + number] = write.element(0x00281101 + number, "US", (256, 0, 16))
            found[0x00281221 + number] = write.element(0x00281221 + number, "OW", data)
        return found

    values = GRAY >> 4
    source = make("", "", values, of(8, photometric="PALETTE COLOR"), replace=palette).file
    right = np.dstack([eight(entries[values], 65535) for _, _, entries in channels])
    script = (
        "import pydicom, pydicom.pixels, PIL.Image as i; d = pydicom.dcmread('a.dcm'); "
        "i.fromarray((pydicom.pixels.apply_color_lut(d.pixel_array, d) >> 8).astype('u1')).save('out.png')"
    )
    (shop.folder / "palette.py").write_text(script)
    converts(shop, source, right, [f"{sys.executable} palette.py"], "out.png")


ADVICE = {
    "`gdcmconv --raw` or `dcmdjpls`": jpeg_ls,
    "pydicom's `decompress`": jpeg_2000,
    "32 bits: `dcmconv +te`": big_endian,
    "one bit: a PNG by `dcm2pnm +Wm +on`": one_bit,
    "`dcmdjpeg +cg`, which goes by the JPEG": colours_disagree,
    "a PNG by `dcm2pnm +on`": halved_chroma,
    "a PNG by pydicom's `apply_color_lut`": segmented,
    "`dcmodify -nb -m 0028,1053=0.25`": unreadable,
    "`gdcmconv --raw`": fragments,
}
