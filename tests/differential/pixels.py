"""Cases about how pixels are stored: syntaxes, bits, signs, colours, palettes."""

import itertools

import numpy as np

from cases import make, of, picture, span
from writer import BIG, EXPLICIT, IMPLICIT, NATIVE, RLE

# Allocated, stored, high bit.
BITS = [
    (8, 8, 7),
    (8, 7, 6),
    (8, 5, 4),
    (16, 16, 15),
    (16, 14, 13),
    (16, 12, 11),
    (16, 10, 9),
    (16, 9, 8),
    (16, 8, 7),
    (32, 32, 31),
    (32, 20, 19),
]


def some_window(seed, stored, signed):
    """None for every third, else one that shows a part of the range."""
    low, high = span(stored, signed)
    if seed % 3 == 0:
        return None
    width = max((high - low) // (2 + seed % 3), 2)
    return (low + high) // 2 + (seed * 37) % 11 - 5, width


def natives():
    for number, (bits, syntax) in enumerate(itertools.product(BITS, NATIVE)):
        allocated, stored, high = bits
        signed = (number // 4 + number) % 2 == 1
        photometric = "MONOCHROME1" if number % 4 == 3 else "MONOCHROME2"
        look = of(
            stored,
            allocated,
            signed,
            high,
            photometric=photometric,
            window=some_window(number, stored, signed),
        )
        values = picture(number, *span(stored, signed))
        rubbish = number if stored < allocated else None
        name = f"{syntax[18:] or '-'}_{allocated}_{stored}_{high}_{'s' if signed else 'u'}"
        yield make("native", name, values, look, syntax, rubbish=rubbish)


def high_bits():
    """High Bit above Bits Stored - 1, which PS3.5 no longer has: dcmtk takes the bits below it,
    pydicom and GDCM the lowest ones."""
    for number, (allocated, stored, high) in enumerate([(8, 5, 7), (16, 12, 15), (16, 10, 12)]):
        signed = number % 2 == 1
        look = of(stored, allocated, signed, high)
        yield make(
            "high_bit",
            f"{allocated}_{stored}_{high}",
            picture(number, *span(stored, signed)),
            look,
            rubbish=number,
        )


def colours():
    for syntax, planar, photometric in itertools.product(
        (IMPLICIT, EXPLICIT, BIG, RLE), (0, 1), ("RGB", "YBR_FULL")
    ):
        values = picture(7, 0, 255, samples=3)
        yield make(
            "colour",
            f"{photometric}_{planar}_{syntax[-2:]}",
            values,
            of(8, photometric=photometric),
            syntax,
            planar,
        )
    for planar in (0, 1):
        yield make(
            "colour",
            f"16_bits_{planar}",
            picture(8, 0, 65535, samples=3),
            of(16, photometric="RGB"),
            planar=planar,
        )
    # Of two pixels, two luminances and one pair of chroma (PS3.3 C.7.6.3.1.2).
    values = picture(9, 0, 255, samples=3, size=(20, 36))
    values[:, 1::2, 1:] = values[:, ::2, 1:]
    packed = np.dstack(
        [values[:, ::2, 0], values[:, 1::2, 0], values[:, ::2, 1], values[:, ::2, 2]]
    )
    case = make(
        "subsampled",
        "YBR_FULL_422",
        values,
        of(8, photometric="YBR_FULL_422"),
        pixels=lambda write, _: write.element(0x7FE00010, "OB", packed.astype("u1").tobytes()),
    )
    yield case


def palettes():
    steps = np.arange(256)
    for syntax, wide, allocated in itertools.product(
        (IMPLICIT, EXPLICIT, BIG, RLE), (8, 16), (8, 16)
    ):
        top = 65535 if wide == 16 else 255
        channels = [
            (steps * top // 255),
            top - steps * top // 255,
            (steps * 3 % 256) * (top // 255),
        ]
        palette = tuple((0, wide, channel) for channel in channels)
        look = of(8, allocated, photometric="PALETTE COLOR", palette=palette)
        yield make(
            "palette", f"{wide}_in_{allocated}_{syntax[-2:]}", picture(11, 0, 255), look, syntax
        )
    # Fewer entries than values, beginning above 0.
    palette = tuple(
        (20, 16, channel[:100] * 257) for channel in (steps, 255 - steps, steps[::-1] // 2)
    )
    look = of(8, photometric="PALETTE COLOR", palette=palette)
    yield make("palette", "first_20_of_100", picture(12, 0, 255), look)


def rles():
    for number, (allocated, stored, high, signed) in enumerate(
        [
            (8, 8, 7, False),
            (8, 8, 7, True),
            (16, 16, 15, False),
            (16, 16, 15, True),
            (16, 12, 11, False),
            (16, 12, 11, True),
            (16, 10, 9, False),
            (32, 32, 31, False),
        ]
    ):
        look = of(stored, allocated, signed, high, window=some_window(number + 1, stored, signed))
        rubbish = number if stored not in (8, 16, 32) else None
        yield make(
            "rle",
            f"{allocated}_{stored}_{high}_{'s' if signed else 'u'}",
            picture(number + 20, *span(stored, signed)),
            look,
            RLE,
            rubbish=rubbish,
        )


def every():
    for part in (natives, high_bits, colours, palettes, rles):
        yield from part()
