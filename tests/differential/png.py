"""Writes PNG files (ISO/IEC 15948): every colour type, depth, filter, interlaced or not, with the
chunks that are asked for."""

import itertools
import struct
import zlib

import numpy as np

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
# Adam7: first column and row, and the steps between them.
PASSES = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
]


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def encode(values, kind, depth, interlaced=False, filters=(0,), chunks=(), split=None):
    """`values`: height x width x samples. `filters` go round from row to row; `chunks` are pairs
    that stand before the pixels; `split`: bytes of an IDAT chunk."""
    height, width, _ = values.shape
    steps = PASSES if interlaced else [(0, 0, 1, 1)]
    body = b""
    for x, y, across, down in steps:
        part = values[y::down, x::across]
        if part.size:
            body += rows(part, kind, depth, filters)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    packed = zlib.compress(body)
    split = split or len(packed)
    data = b"".join(chunk(b"IDAT", packed[at : at + split]) for at in range(0, len(packed), split))
    before = b"".join(chunk(*one) for one in chunks)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + before + data + chunk(b"IEND", b"")


def rows(part, kind, depth, filters):
    """Filtered rows, each behind the number of its filter."""
    step = max(SAMPLES[kind] * depth // 8, 1)
    above, out = None, b""
    for number, row in enumerate(part):
        line = packed(row.reshape(-1), depth)
        above = np.zeros_like(line) if above is None else above
        chosen = filters[number % len(filters)]
        out += bytes([chosen]) + filtered(line, above, step, chosen)
        above = line
    return out


def packed(samples, depth):
    """A row in bytes, the first sample in the highest bits."""
    if depth == 16:
        return np.frombuffer(samples.astype(">u2").tobytes(), "u1").astype(int)
    if depth == 8:
        return samples.astype(int)
    bits = samples[:, None] >> np.arange(depth)[::-1] & 1
    return np.packbits(bits.reshape(-1).astype("u1")).astype(int)


def filtered(line, above, step, kind):
    left = np.concatenate([np.zeros(step, int), line[:-step]])[: len(line)]
    corner = np.concatenate([np.zeros(step, int), above[:-step]])[: len(line)]
    guess = left + above - corner
    near = [np.abs(guess - one) for one in (left, above, corner)]
    paeth = np.where(
        (near[0] <= near[1]) & (near[0] <= near[2]),
        left,
        np.where(near[1] <= near[2], above, corner),
    )
    expected = (0 * line, left, above, (left + above) // 2, paeth)[kind]
    return (line - expected & 0xFF).astype("u1").tobytes()


DEPTHS = [(GRAY, depth) for depth in (1, 2, 4, 8, 16)] + [
    (PALETTE, depth) for depth in (1, 2, 4, 8)
]
DEPTHS += [(kind, depth) for kind in (RGB, GRAY_ALPHA, RGBA) for depth in (8, 16)]


def every():
    """Kind, name, file and levels that it may differ by."""
    for number, ((kind, depth), interlaced, size) in enumerate(
        itertools.product(DEPTHS, (False, True), ((23, 31), (5, 3), (1, 1)))
    ):
        yield of_png(
            f"{kind}_{depth}_{'adam7' if interlaced else 'rows'}_{size[0]}_{size[1]}",
            number,
            kind,
            depth,
            size,
            interlaced,
        )
    for number, (kind, depth) in enumerate(DEPTHS):
        yield of_png(
            f"{kind}_{depth}_filters",
            number + 300,
            kind,
            depth,
            (24, 30),
            filters=(1, 2, 3, 4, 0),
            split=50,
        )
        yield of_png(
            f"{kind}_{depth}_gamma",
            number + 320,
            kind,
            depth,
            (12, 15),
            chunks=[(b"gAMA", struct.pack(">I", 45455))],
        )
        if kind in (GRAY, RGB, PALETTE):
            values = {
                GRAY: struct.pack(">H", 1),
                RGB: struct.pack(">HHH", 1, 2, 3),
                PALETTE: bytes([0, 128]),
            }
            yield of_png(
                f"{kind}_{depth}_trns",
                number + 340,
                kind,
                depth,
                (12, 15),
                after=[(b"tRNS", values[kind])],
            )
    for kind in (GRAY, RGB, RGBA):
        chunks = [
            (b"sRGB", b"\0"),
            (b"cHRM", struct.pack(">8I", *[31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000])),
            (b"pHYs", struct.pack(">IIB", 2835, 2835, 1)),
            (b"tEXt", b"Comment\0made"),
        ]
        yield of_png(f"{kind}_8_chunks", 400 + kind, kind, 8, (12, 15), chunks=chunks)
        yield of_png(
            f"{kind}_8_linear",
            410 + kind,
            kind,
            8,
            (12, 15),
            chunks=[(b"gAMA", struct.pack(">I", 100000))],
        )
    yield of_png("3_8_few_colours", 420, PALETTE, 8, (12, 15), colours=17)


def of_png(
    name,
    seed,
    kind,
    depth,
    size,
    interlaced=False,
    filters=(0,),
    chunks=(),
    after=(),
    split=None,
    colours=None,
):
    """A file of any values; `after` stands behind the palette."""
    random = np.random.default_rng(seed)
    most = colours or 1 << depth
    values = random.integers(0, most, (*size, SAMPLES[kind]))
    palette = (
        [(b"PLTE", random.integers(0, 256, most * 3).astype("u1").tobytes())]
        if kind == PALETTE
        else []
    )
    data = encode(values, kind, depth, interlaced, filters, [*chunks, *palette, *after], split)
    return "png_16" if depth == 16 else "png", f"{name}.png", data, 0
