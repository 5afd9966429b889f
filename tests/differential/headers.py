"""Cases about heads that are odd but legal, or that many writers get wrong and all readers take."""

import itertools

import numpy as np

from cases import make, of, picture
from meaning import CENTER, INTERCEPT, SLOPE, WIDTH
from writer import BIG, DEFLATED, EXPLICIT, IMPLICIT, UNDEFINED, Writer

VALUES = picture(300, 0, 4095)
EIGHT = picture(301, 0, 255)
LOOK = of(12, intercept=-1024, window=(40, 400))


def unknown():
    """VR UN for what the dictionary knows (PS3.5, 6.2.2, note 3)."""
    as_un = lambda tags: lambda write: {
        tag: write.element(tag, "UN", text) for tag, text in tags.items()
    }
    texts = {CENTER: b"40", WIDTH: b"400 ", INTERCEPT: b"-1024 ", SLOPE: b"1 "}
    slope = of(12, slope=0.5, intercept=-1024, window=(40, 400))
    yield make("vr_un", "window", VALUES, LOOK, replace=as_un({CENTER: b"40", WIDTH: b"400 "}))
    yield make(
        "vr_un", "rescale", VALUES, LOOK, replace=as_un({INTERCEPT: b"-1024 ", SLOPE: b"1 "})
    )
    yield make("vr_un", "slope", VALUES, slope, replace=as_un({SLOPE: b".5"}))
    yield make("vr_un", "all", VALUES, LOOK, replace=as_un(texts))
    yield make(
        "vr_un",
        "photometric",
        VALUES,
        of(12, photometric="MONOCHROME1"),
        replace=as_un({0x00280004: b"MONOCHROME1 "}),
    )
    frames = [picture(302 + n, 0, 4095) for n in range(2)]
    yield make("vr_un", "frames", frames, LOOK, replace=as_un({0x00280008: b"2 "}))
    yield make(
        "vr_un",
        "function",
        VALUES,
        of(12, window=(2000, 900), function="SIGMOID"),
        replace=as_un({0x00281056: b"SIGMOID "}),
    )
    signed = np.where(EIGHT < 40, -2000, EIGHT * 8 - 1000)
    padding = of(16, signed=True, window=(0, 1000), padding=(-2000,))
    yield make(
        "vr_un",
        "padding",
        signed,
        padding,
        replace=as_un({0x00280120: (-2000).to_bytes(2, "little", signed=True)}),
    )
    bits = {0x00280101: b"\x0c\0", 0x00280102: b"\x0b\0", 0x00280103: b"\1\0"}
    yield make("vr_un", "bits", VALUES - 2048, of(12, signed=True), replace=as_un(bits))
    yield make(
        "vr_un",
        "rows",
        VALUES,
        LOOK,
        replace=as_un(
            {0x00280010: (29).to_bytes(2, "little"), 0x00280011: (37).to_bytes(2, "little")}
        ),
    )
    yield make("vr_un", "big_endian", VALUES, LOOK, BIG, replace=as_un(texts))


def sequences():
    """Items and sequences of stated and undefined length, also within VR UN (in implicit VR: PS3.5,
    6.2.2, note 2)."""
    for syntax, whole, items in itertools.product(
        (IMPLICIT, EXPLICIT, BIG, DEFLATED), (False, True), (False, True)
    ):

        def nested(write, whole=whole, items=items):
            inner = write.sequence(
                0x00081140, [write.element(0x00081150, "UI", "1.2.3")], whole, items
            )
            return {0x00081115: write.sequence(0x00081115, [inner, b""], whole, items)}

        yield make(
            "sequence",
            f"{syntax[18:] or '-'}_{whole}_{items}",
            VALUES,
            LOOK,
            syntax,
            replace=nested,
        )
    for name, private, items in (
        ("private", True, True),
        ("private_stated_items", True, False),
        ("known", False, True),
    ):
        yield make(
            "un_undefined",
            name,
            EIGHT,
            of(8),
            replace=lambda write, private=private, items=items: hidden(write, private, items),
        )
    empty = lambda write: {0x00081115: write.sequence(0x00081115, [])}
    yield make("sequence", "empty", VALUES, LOOK, replace=empty)
    yield make(
        "sequence",
        "empty_undefined",
        VALUES,
        LOOK,
        replace=lambda write: {0x00081115: write.sequence(0x00081115, [], True)},
    )


def hidden(write, private, items):
    inner = Writer(IMPLICIT)
    body = inner.element(0x00081150, "UI", "1.2.3") + inner.element(0x00200013, "IS", "7")
    body += inner.sequence(0x00081140, [inner.element(0x00081155, "UI", "1.2.4")])
    value = inner.item(body, items) + inner.tag(0xFFFEE0DD) + inner.long(0)
    tag = 0x00111002 if private else 0x00081115
    found = {tag: write.element(tag, "UN", b"", UNDEFINED) + value}
    return found | ({0x00110010: write.element(0x00110010, "LO", "MADE")} if private else {})


def meta():
    """Group 2 as NewTom, Elekta and others write it."""
    yield make("meta", "empty_version", EIGHT, of(8), version=b"")
    yield make("meta", "no_version", EIGHT, of(8), version=None)
    yield make("meta", "no_length", EIGHT, of(8), length=False)
    yield make("meta", "no_length_implicit", EIGHT, of(8), IMPLICIT, length=False)
    yield make("meta", "neither", EIGHT, of(8), length=False, version=None)
    yield make("meta", "length_too_small", EIGHT, of(8), wrong=-14)
    yield make("meta", "length_far_too_small", EIGHT, of(8), wrong=-100)


def counts():
    for name, text in (("zero", "0"), ("empty", ""), ("one", "1"), ("zeros", "00001")):
        kind = "frames_zero" if name in ("zero", "empty") else "header"
        yield make(kind, f"frames_{name}", EIGHT, of(8), frames=text)
    yield make("header", "plus_one", EIGHT, of(8), frames="+1")
    for text in ("one", "1.5", "-1"):
        refuse = "a number of frames that is none"
        yield make("unreadable", f"frames_{text}", EIGHT, of(8), frames=text, refuse=refuse)


def ends():
    for length in (1, 2, 3, 8, 64, 130, 512):
        yield make("zeros_after", f"{length}", EIGHT, of(8), tail=bytes(length))
    padding = Writer(EXPLICIT).element(0xFFFCFFFC, "OB", bytes(64))
    yield make("header", "trailing_padding", VALUES, LOOK, tail=padding)
    yield make(
        "header",
        "longer_pixels",
        EIGHT,
        of(8),
        pixels=lambda write, data: write.element(0x7FE00010, "OB", data + bytes(100)),
    )
    yield make(
        "header",
        "group_lengths",
        EIGHT,
        of(8),
        replace=lambda write: {
            0x00080000: write.element(0x00080000, "UL", 1000),
            0x00280000: write.element(0x00280000, "UL", 9),
        },
    )


def empties():
    texts = (
        (0x00281052, "DS"),
        (0x00281053, "DS"),
        (0x00281056, "CS"),
        (0x00280120, "US"),
        (0x00280034, "IS"),
    )
    for tag, vr in texts:
        yield make(
            "empty",
            f"{tag:08x}",
            VALUES,
            of(12),
            replace=lambda write, tag=tag, vr=vr: {tag: write.element(tag, vr, b"")},
        )
    for tag in (0x00283000, 0x00283010):
        yield make(
            "empty",
            f"{tag:08x}",
            VALUES,
            of(12),
            replace=lambda write, tag=tag: {tag: write.sequence(tag, [])},
        )


def spelled():
    yield make(
        "header",
        "photometric_nul",
        EIGHT,
        of(8),
        replace=lambda write: {0x00280004: write.element(0x00280004, "CS", b"MONOCHROME2\0")},
    )
    yield make(
        "header",
        "photometric_space_before",
        EIGHT,
        of(8),
        replace=lambda write: {0x00280004: write.element(0x00280004, "CS", b" MONOCHROME2")},
    )
    mixed = b"\x11\0\1\x10" + (2).to_bytes(4, "little") + b"12"
    creator = lambda write: {0x00110010: write.element(0x00110010, "LO", "MADE"), 0x00111001: mixed}
    yield make("implicit_in_explicit", "private", EIGHT, of(8), replace=creator)
    yield make(
        "header",
        "ob_for_words",
        VALUES,
        LOOK,
        pixels=lambda write, data: write.element(0x7FE00010, "OB", data),
    )
    yield make(
        "header",
        "bytes_in_words",
        EIGHT,
        of(8),
        pixels=lambda write, data: write.element(0x7FE00010, "OW", data),
    )
    yield make(
        "header",
        "bytes_in_words_big",
        picture(303, 0, 255, size=(20, 30)),
        of(8),
        BIG,
        pixels=lambda write, data: write.element(0x7FE00010, "OW", data),
    )
    yield make(
        "header",
        "smallest_and_largest",
        VALUES,
        LOOK,
        replace=lambda write: {
            0x00280106: write.element(0x00280106, "US", 3000),
            0x00280107: write.element(0x00280107, "US", 10),
        },
    )


def every():
    for part in (unknown, sequences, meta, counts, ends, empties, spelled):
        yield from part()
