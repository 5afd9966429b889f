"""Writes lossless JPEG (ITU-T T.81, annex H): any predictor, precision, point transform, restarts;
one to three components, interleaved or each in a scan of its own."""

import struct

# The Huffman table gives each of the 17 categories a code of five bits.
CATEGORIES = 17
CODE_BITS = 5


class Bits:
    """Entropy-coded bytes, 0xff followed by 0."""

    def __init__(self):
        self.out, self.value, self.count = bytearray(), 0, 0

    def put(self, value, count):
        self.value = self.value << count | value & (1 << count) - 1
        self.count += count
        while self.count >= 8:
            self.count -= 8
            byte = self.value >> self.count & 0xFF
            self.out += bytes([byte]) if byte != 0xFF else b"\xff\0"
        self.value &= (1 << self.count) - 1

    def end(self):
        if self.count:
            self.put(0xFF, 8 - self.count)


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def predict(x, y, a, row, above, fresh, start, predictor):
    """What annex H.1.2.1 expects of a sample; `fresh` is whether its row begins an interval."""
    if fresh:
        return start if x == 0 else a
    if x == 0:
        return above[0]
    b, c = above[x], above[x - 1]
    return (a, b, c, a + b - c, a + (b - c >> 1), b + (a - c >> 1), a + b >> 1)[predictor - 1]


def scan(planes, precision, predictor, restart, point):
    """The entropy-coded part of one scan. `restart` counts rows."""
    bits, number = Bits(), 0
    start = 1 << precision - point - 1
    height, width = planes[0].shape
    rows = [[[int(v) >> point for v in row] for row in plane] for plane in planes]
    for y in range(height):
        fresh = y == 0 or bool(restart) and y % restart == 0
        if y and fresh:
            bits.end()
            bits.out += bytes([0xFF, 0xD0 + number])
            number = (number + 1) % 8
        for x in range(width):
            for plane in rows:
                row, above = plane[y], plane[y - 1]
                left = row[x - 1] if x else 0
                expected = predict(x, y, left, row, above, fresh, start, predictor)
                put(bits, row[x] - expected & 0xFFFF)
    bits.end()
    return bytes(bits.out)


def put(bits, difference):
    if difference > 0x8000:
        difference -= 0x10000
    size = abs(difference).bit_length()
    bits.put(size, CODE_BITS)
    if 0 < size < 16:
        bits.put(difference if difference > 0 else difference + (1 << size) - 1, size)


def encode(planes, precision, predictor=1, restart=0, point=0, split=False, names=b"\1\2\3"):
    """A JPEG of arrays of unsigned values, one for each component; `split`: a scan for each."""
    height, width = planes[0].shape
    out = b"\xff\xd8"
    counts = [CATEGORIES if length == CODE_BITS else 0 for length in range(1, 17)]
    out += segment(0xC4, bytes([0, *counts, *range(CATEGORIES)]))
    parts = b"".join(bytes([name, 0x11, 0]) for name in names[: len(planes)])
    out += segment(0xC3, struct.pack(">BHHB", precision, height, width, len(planes)) + parts)
    if restart:
        out += segment(0xDD, struct.pack(">H", restart * width))
    groups = [[one] for one in range(len(planes))] if split else [list(range(len(planes)))]
    for group in groups:
        table = b"".join(bytes([names[one], 0]) for one in group)
        out += segment(0xDA, bytes([len(group)]) + table + bytes([predictor, 0, point]))
        out += scan([planes[one] for one in group], precision, predictor, restart, point)
    return out + b"\xff\xd9"
