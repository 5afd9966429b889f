"""A made DICOM file, and what is meant by it."""

import dataclasses

import numpy as np

from writer import BASELINE, EXPLICIT, EXTENDED, NATIVE, Writer, part10, rle

Table = tuple  # (first value, bits of an entry, entries)


@dataclasses.dataclass
class Display:
    """How stored values are meant."""

    allocated: int = 16
    stored: int = 16
    high: int = 15
    signed: bool = False
    photometric: str = "MONOCHROME2"
    slope: float = 1
    intercept: float = 0
    modality_table: Table = None
    window: tuple = None
    function: str = None
    voi_table: Table = None
    padding: tuple = None
    palette: tuple = None


@dataclasses.dataclass
class Case:
    """`frames` are pairs of stored values, if they are known beforehand, and a Display."""

    kind: str
    detail: str
    file: bytes
    frames: list
    lossy: bool = False
    refuse: str = None
    """Why nobody may show this file, where that is so."""
    right: np.ndarray = None
    """What is shown, where the header is wrong and the pixels say so themselves."""


def picture(seed, low, high, size=(29, 37), grain=0.03, samples=1):
    """Smooth, with some grain, from `low` to `high`, both of which it reaches."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    planes = []
    for _ in range(samples):
        a, b, c = random.uniform(6, 15, 3)
        plane = (
            np.sin(x / a)
            + np.cos(y / b)
            + np.sin((x + y) / c)
            + random.normal(0, 3 * grain, x.shape)
        )
        plane = (plane - plane.min()) / max(plane.max() - plane.min(), 1e-9)
        planes.append(np.rint(plane * (high - low)).astype(np.int64) + low)
    return planes[0] if samples == 1 else np.dstack(planes)


def span(stored, signed):
    return (-(1 << stored - 1), (1 << stored - 1) - 1) if signed else (0, (1 << stored) - 1)


def words(look, values, rubbish=None):
    """Unsigned words; with the seed `rubbish` also the bits that do not count are set."""
    all_bits = (values & (1 << look.stored) - 1) << look.high + 1 - look.stored
    if rubbish is not None:
        noise = np.random.default_rng(rubbish).integers(0, 1 << look.allocated, values.shape)
        counted = (1 << look.stored) - 1 << look.high + 1 - look.stored
        all_bits |= noise & ~counted & (1 << look.allocated) - 1
    return all_bits


def native(look, values, planar, rubbish):
    if values.ndim == 3 and planar:
        values = np.moveaxis(values, 2, 0)
    return words(look, values, rubbish).astype(f"<u{look.allocated // 8}").tobytes()


def rle_frame(look, values, rubbish=None):
    samples = [values] if values.ndim == 2 else list(np.moveaxis(values, 2, 0))
    planes = []
    for sample in samples:
        data = words(look, sample, rubbish)
        for byte in reversed(range(look.allocated // 8)):
            planes.append([bytes((row >> 8 * byte & 0xFF).astype("u1")) for row in data])
    return rle(planes)


def lut(write, look, tag, table, descriptor=None, eight=False):
    """An element of one item with a table. `descriptor` in place of the true one; `eight`: entries
    of a byte."""
    first, bits, entries = table
    vr = "SS" if first < 0 or look.signed else "US"
    described = descriptor or (len(entries) & 0xFFFF, first, bits)
    described = [value - 0x10000 if vr == "SS" and value > 0x7FFF else value for value in described]
    data = np.asarray(entries).astype("u1" if eight else "<u2").tobytes()
    item = write.element(0x00283002, vr, described) + write.element(0x00283003, "LO", "made")
    if tag == 0x00283000:
        item += write.element(0x00283004, "LO", "US")
    return write.sequence(tag, [item + write.element(0x00283006, "OW", data)])


def decimal(value):
    return f"{value:g}" if not isinstance(value, str) else value


def said(write, look, shape, planar=None, frames=None):
    """The elements that say what a Display says, by tag."""
    samples = shape[2] if len(shape) == 3 else 1
    e = {
        0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.7"),
        0x00080018: ("UI", "1.2.826.0.1.3680043.8.498.1"),
        0x00080060: ("CS", "OT"),
        0x00100010: ("PN", "Made^File"),
        0x00100020: ("LO", "P1"),
        0x0020000D: ("UI", "1.2.826.0.1.3680043.8.498.3"),
        0x0020000E: ("UI", "1.2.826.0.1.3680043.8.498.4"),
        0x00280002: ("US", samples),
        0x00280004: ("CS", look.photometric),
        0x00280010: ("US", shape[0]),
        0x00280011: ("US", shape[1]),
        0x00280100: ("US", look.allocated),
        0x00280101: ("US", look.stored),
        0x00280102: ("US", look.high),
        0x00280103: ("US", int(look.signed)),
    }
    if samples > 1:
        e[0x00280006] = ("US", planar or 0)
    if frames is not None:
        e[0x00280008] = ("IS", str(frames))
    if look.padding is not None:
        for tag, value in zip((0x00280120, 0x00280121), look.padding):
            e[tag] = ("SS" if look.signed else "US", value)
    if (look.slope, look.intercept) != (1, 0):
        e[0x00281052], e[0x00281053] = ("DS", decimal(look.intercept)), ("DS", decimal(look.slope))
    if look.window is not None:
        e[0x00281050] = ("DS", decimal(look.window[0]))
        e[0x00281051] = ("DS", decimal(look.window[1]))
    if look.function is not None:
        e[0x00281056] = ("CS", look.function)
    found = {tag: write.element(tag, *what) for tag, what in e.items()}
    for tag, table in ((0x00283000, look.modality_table), (0x00283010, look.voi_table)):
        if table is not None:
            found[tag] = lut(write, look, tag, table)
    if look.palette is not None:
        for tag, (first, bits, entries) in zip((0x1101, 0x1102, 0x1103), look.palette):
            found[0x00280000 + tag] = write.element(
                0x00280000 + tag, "US", (len(entries) & 0xFFFF, first, bits)
            )
            data = np.asarray(entries).astype("u1" if bits == 8 else "<u2").tobytes()
            found[0x00280100 + tag] = write.element(0x00280100 + tag, "OW", data)
    return found


def make(
    kind,
    detail,
    values,
    look,
    syntax=EXPLICIT,
    planar=None,
    rubbish=None,
    encode=None,
    replace=None,
    frames=None,
    tail=b"",
    lossy=False,
    refuse=None,
    pixels=None,
    **how,
):
    """A file of one or more frames that are meant alike.

    `values`: an array, or a list of one for each frame. `encode`: from an array to a fragment.
    `replace`: elements by tag, in place of or besides those of the Display, none to leave one away.
    `pixels`: from (write, fragments or bytes) to the element of the pixels. Other arguments are of
    writer.part10."""
    write = Writer(syntax)
    every = values if isinstance(values, list) else [values]
    frames = len(every) if len(every) > 1 and frames is None else frames
    elements = said(write, look, every[0].shape, planar, frames)
    if syntax in NATIVE:
        data = b"".join(native(look, one, planar, rubbish) for one in every)
        vr = "OB" if look.allocated == 8 else "OW"
        made = pixels(write, data) if pixels else write.element(0x7FE00010, vr, data)
    else:
        encode = encode or (lambda one: rle_frame(look, one, rubbish))
        parts = [encode(one) for one in every]
        made = pixels(write, parts) if pixels else write.encapsulated(parts)
    elements[0x7FE00010] = made
    for tag, element in (replace(write) if callable(replace) else replace or {}).items():
        elements.pop(tag, None)
        if element is not None:
            elements[tag] = element
    data = b"".join(elements[tag] for tag in sorted(elements)) + tail
    known = [(None if lossy else one, look) for one in every]
    lossy = lossy or syntax in (BASELINE, EXTENDED)
    return Case(kind, detail, part10(syntax, data, **how), known, lossy, refuse)


def of(stored, allocated=None, signed=False, high=None, **more):
    """A Display of so many bits."""
    allocated = allocated or (8 if stored <= 8 else 16)
    return Display(allocated, stored, stored - 1 if high is None else high, signed, **more)
