"""Cases about what stored values mean: windows, tables, padding."""

import itertools

import numpy as np

from cases import lut, make, of, picture, span
from writer import BIG, EXPLICIT, IMPLICIT

CENTER, WIDTH, FUNCTION = 0x00281050, 0x00281051, 0x00281056
INTERCEPT, SLOPE = 0x00281052, 0x00281053


def ct(**more):
    """Hounsfield units above -1024."""
    return of(12, intercept=-1024, **more)


def windows():
    values = picture(200, 0, 4095)
    for photometric, function, (center, width) in itertools.product(
        ("MONOCHROME1", "MONOCHROME2"),
        (None, "LINEAR", "LINEAR_EXACT", "SIGMOID"),
        ((40, 400), (300.5, 1500)),
    ):
        look = ct(photometric=photometric, function=function, window=(center, width))
        yield make("window", f"{photometric[-1]}_{function}_{width}", values, look)
    for width, function in (
        (1, None),
        (1, "LINEAR_EXACT"),
        (0.5, "LINEAR_EXACT"),
        (0.25, "SIGMOID"),
        (2, None),
        (1.5, None),
    ):
        yield make(
            "window_narrow",
            f"{width}_{function}",
            values,
            ct(function=function, window=(40, width)),
        )
    for slope, intercept in ((-1, 0), (-1, 1024), (0.5, 0), (2.25, -100), (1e-3, 0), (-0.25, 4)):
        middle, whole = 2048 * slope + intercept, abs(4096 * slope)
        for window in (None, (middle, whole / 2 if whole > 8 else whole * 2)):
            function = "LINEAR_EXACT" if whole <= 8 else None
            look = of(
                12,
                slope=slope,
                intercept=intercept,
                window=window,
                function=function if window else None,
            )
            yield make(
                "slope", f"{slope}_{intercept}_{'window' if window else 'range'}", values, look
            )
    several = lambda write: {
        CENTER: write.element(CENTER, "DS", "40\\-600\\400"),
        WIDTH: write.element(WIDTH, "DS", "400\\1500\\2000"),
    }
    yield make("window", "several", values, ct(window=(40, 400)), replace=several)


def written():
    """Numbers as scanners write them: what cannot be read must not count as absent."""
    values = picture(201, 0, 4095)
    texts = {
        "plus": ("+40", "+4.0E2"),
        "exponent": ("4.0e1", "0.4E+3"),
        "spaces": (" 40 ", "400  "),
        "point": ("40.", "400.0"),
        "zeros": ("0040", "000400"),
        "nul": ("40\0", "400\0"),
    }
    for name, (center, width) in texts.items():
        yield make("number", name, values, ct(window=(40, 400)), replace=number(center, width))
    for name, (center, width) in {
        "comma": ("40,0", "400,0"),
        "comma_half": ("39,5", "399"),
    }.items():
        window = (39.5, 399) if "half" in name else (40, 400)
        yield make("decimal_comma", name, values, ct(window=window), replace=number(center, width))
    comma = lambda write: {
        SLOPE: write.element(SLOPE, "DS", "0,25"),
        INTERCEPT: write.element(INTERCEPT, "DS", "0"),
    }
    yield make(
        "decimal_comma", "slope", values, of(12, slope=0.25, window=(512, 1024)), replace=comma
    )
    for name, (center, width) in {
        "unit": ("40 HU", "400"),
        "letters": ("forty", "400"),
        "half": ("40", "4OO"),
        "nan": ("nan", "400"),
        "hex": ("0x28", "400"),
        "two_points": ("40.0.0", "400"),
        "underscore": ("4_0", "400"),
    }.items():
        yield make(
            "unreadable",
            name,
            values,
            ct(),
            replace=number(center, width),
            refuse="a number that is none",
        )
    bad = lambda write: {
        SLOPE: write.element(SLOPE, "DS", "1.0x"),
        INTERCEPT: write.element(INTERCEPT, "DS", "-1024"),
    }
    yield make("unreadable", "slope", values, of(12), replace=bad, refuse="a slope that is none")
    yield make(
        "unreadable",
        "slope_alone",
        values,
        ct(),
        refuse="no slope that can be read",
        replace=lambda write: {SLOPE: write.element(SLOPE, "DS", "one")},
    )
    for name, texts in {"zero": ("0", "0"), "empty": ("", "")}.items():
        yield make("window_none", name, values, ct(), replace=number(*texts))
    yield make(
        "window_none",
        "center_alone",
        values,
        ct(),
        replace=lambda write: {CENTER: write.element(CENTER, "DS", "40"), WIDTH: None},
    )


def number(center, width):
    return lambda write: {
        CENTER: write.element(CENTER, "DS", center),
        WIDTH: write.element(WIDTH, "DS", width),
    }


def curve(count, most, power):
    return np.rint(most * (np.arange(count) / (count - 1)) ** power).astype(np.int64)


def tables():
    for number, (stored, bits, signed, syntax) in enumerate(
        itertools.product((8, 12), (8, 12, 16), (False, True), (EXPLICIT, IMPLICIT))
    ):
        low, high = span(stored, signed)
        values = picture(210 + number, low, high)
        table = (low, bits, curve(1 << stored, (1 << bits) - 1, 0.6))
        name = f"{stored}_{bits}_{'s' if signed else 'u'}_{syntax[18:] or '-'}"
        if number % 2 == 0:
            yield make("voi_table", name, values, of(stored, 16, signed, voi_table=table), syntax)
        else:
            yield make(
                "modality_table", name, values, of(stored, 16, signed, modality_table=table), syntax
            )
    values = picture(240, 0, 4095)
    for first, count in ((-1024, 1000), (500, 2000), (0, 1)):
        table = (first, 12, curve(max(count, 2), 4095, 1.4)[:count] + (count == 1) * 2000)
        yield make("voi_table", f"first_{first}_{count}", values, ct(voi_table=table))
    both = (100, 10, curve(700, 1023, 1))
    yield make(
        "voi_table",
        "after_modality_table",
        values,
        of(12, modality_table=(0, 16, curve(4096, 900, 1)), voi_table=both),
    )
    yield make(
        "voi_table",
        "monochrome1",
        values,
        of(12, photometric="MONOCHROME1", voi_table=(0, 12, curve(4096, 4095, 0.7))),
    )
    for bits in (10, 12, 14):
        table = (0, bits, curve(1 << bits, (1 << bits) - 1, 0.7))
        described = ((1 << bits), 0, 16)
        stored = of(bits, voi_table=table)
        yield make(
            "voi_table_12_in_16",
            f"{bits}_in_16",
            picture(241, 0, (1 << bits) - 1),
            stored,
            replace=lambda write, table=table, described=described, stored=stored: {
                0x00283010: lut(write, stored, 0x00283010, table, described)
            },
        )
    large = (0, 16, curve(65536, 65535, 0.5))
    yield make("voi_table", "65536_entries", picture(242, 0, 65535), of(16, voi_table=large))
    yield make(
        "modality_table", "65536_entries", picture(243, 0, 65535), of(16, modality_table=large)
    )


def paddings():
    for number, (signed, photometric, window, limit) in enumerate(
        itertools.product(
            (False, True), ("MONOCHROME1", "MONOCHROME2"), (None, (40, 400)), (False, True)
        )
    ):
        low, high = (-1000, 1000) if signed else (0, 2000)
        values = picture(250 + number, low, high)
        value = -2000 if signed else 4095
        values[:6] = value
        look = of(16, signed=signed, photometric=photometric, window=window, padding=(value,))
        if limit:
            values[6:9] = value + 5 if signed else value - 5
            look.padding = (value, value + 5 if signed else value - 5)
        yield make(
            "padding",
            f"{'s' if signed else 'u'}_{photometric[-1]}_{window is not None}_{limit}",
            values,
            look,
            (IMPLICIT, EXPLICIT, BIG)[number % 3],
        )


def every():
    for part in (windows, written, tables, paddings):
        yield from part()
