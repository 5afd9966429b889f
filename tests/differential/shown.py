"""What a viewer shows of stored values, by PS3.3 C.7.6.3, C.11.1, C.11.2 and T.871, in numpy.
tests/differential.rs compares the runtime with it.

In this order: bits cut out and sign-extended; modality; value of interest; MONOCHROME1 turned over.
Padding is black. Without a window the whole range that the stored bits can have is shown."""

import numpy as np


def cut(words, stored, high, signed):
    """Stored values of unsigned words."""
    value = (words.astype(np.int64) >> high + 1 - stored) & (1 << stored) - 1
    return np.where(value >> stored - 1 == 1, value - (1 << stored), value) if signed else value


def rgb(look, values):
    """Height x width x 3 levels; `values` is height x width (x 3)."""
    if look.photometric == "PALETTE COLOR":
        return np.dstack([eight(entry(table, values), table[1]) for table in look.palette])
    if not look.photometric.startswith("MONOCHROME"):
        colour = eight(values, look.stored).astype(float)
        return to_rgb(colour) if look.photometric.startswith("YBR") else colour.astype("u1")
    return np.repeat(gray(look, values)[..., None], 3, axis=2)


def gray(look, values):
    measured = measure(look, values)
    share = of_interest(look, measured)
    levels = round_half_up(np.clip(share, 0, 1) * 255)
    if look.photometric == "MONOCHROME1":
        levels = 255 - levels
    if look.padding is not None:
        low, high = min(look.padding), max(look.padding)
        levels = np.where((values >= low) & (values <= high), 0, levels)
    return levels.astype("u1")


def measure(look, values):
    if look.modality_table is not None:
        return entry(look.modality_table, values).astype(float)
    return values * look.slope + look.intercept


def of_interest(look, x):
    """From 0 (black) to 1 (white), not yet cut."""
    if look.voi_table is not None:
        return entry(look.voi_table, np.floor(x + 0.5).astype(np.int64)) / most(look.voi_table[1])
    if look.window is not None:
        center, width = look.window
        if look.function == "SIGMOID":
            return 1 / (1 + np.exp(-4 * (x - center) / width))
        if look.function == "LINEAR_EXACT":
            return (x - center) / width + 0.5
        if width <= 1:
            return (x > center - 0.5).astype(float)
        return (x - (center - 0.5)) / (width - 1) + 0.5
    if look.modality_table is not None:
        return x / most(look.modality_table[1])
    low, high = (
        (-(1 << look.stored - 1), (1 << look.stored - 1) - 1)
        if look.signed
        else (0, most(look.stored))
    )
    low, high = sorted((low * look.slope + look.intercept, high * look.slope + look.intercept))
    return (x - low) / (high - low)


def entry(table, values):
    """Tables are (first value, bits of an entry, entries): below the first value stands the first
    entry, above the last the last."""
    first, _, entries = table
    return np.asarray(entries)[np.clip(values - first, 0, len(entries) - 1)]


def most(bits):
    return (1 << bits) - 1


def eight(values, bits):
    return round_half_up(values / most(bits) * 255).astype("u1")


def to_rgb(ybr):
    y, cb, cr = ybr[..., 0], ybr[..., 1] - 128, ybr[..., 2] - 128
    colours = np.dstack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])
    return np.clip(round_half_up(colours), 0, 255).astype("u1")


def round_half_up(values):
    return np.floor(values + 0.5)
