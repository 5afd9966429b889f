"""Writes DICOM Part 10 files element by element (PS3.5, PS3.10), so that odd and broken ones can be
written too."""

import struct
import zlib

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"
BASELINE = "1.2.840.10008.1.2.4.50"
EXTENDED = "1.2.840.10008.1.2.4.51"
LOSSLESS = "1.2.840.10008.1.2.4.57"
LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
NATIVE = (IMPLICIT, EXPLICIT, DEFLATED, BIG)
UNDEFINED = 0xFFFFFFFF

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FD": "d", "FL": "f"}


class Writer:
    """Elements in one transfer syntax."""

    def __init__(self, syntax):
        self.explicit = syntax != IMPLICIT
        self.order = ">" if syntax == BIG else "<"

    def tag(self, tag):
        return struct.pack(self.order + "HH", tag >> 16, tag & 0xFFFF)

    def long(self, value):
        return struct.pack(self.order + "I", value)

    def value(self, vr, value):
        """Bytes of even length; those of OW are given as little-endian words."""
        if isinstance(value, bytes):
            if vr == "OW" and self.order == ">":
                value = b"".join(value[i : i + 2][::-1] for i in range(0, len(value), 2))
        elif vr in NUMBERS:
            values = value if isinstance(value, (list, tuple)) else [value]
            value = b"".join(struct.pack(self.order + NUMBERS[vr], one) for one in values)
        else:
            value = (value if isinstance(value, str) else "\\".join(map(str, value))).encode()
        fill = b"\0" if vr in ("UI", "OB", "UN") else b" "
        return value + fill * (len(value) % 2)

    def element(self, tag, vr, value, length=None):
        """One element; `length` in place of the true one."""
        value = self.value(vr, value)
        length = len(value) if length is None else length
        if not self.explicit:
            return self.tag(tag) + self.long(length) + value
        if vr in LONG:
            return self.tag(tag) + vr.encode() + b"\0\0" + self.long(length) + value
        return self.tag(tag) + vr.encode() + struct.pack(self.order + "H", length) + value

    def item(self, body, undefined=False):
        if undefined:
            return (
                self.tag(0xFFFEE000)
                + self.long(UNDEFINED)
                + body
                + self.tag(0xFFFEE00D)
                + self.long(0)
            )
        return self.tag(0xFFFEE000) + self.long(len(body)) + body

    def sequence(self, tag, items, undefined=False, undefined_items=False, vr="SQ"):
        body = b"".join(self.item(one, undefined_items) for one in items)
        if undefined:
            end = self.tag(0xFFFEE0DD) + self.long(0)
            return self.element(tag, vr, b"", UNDEFINED) + body + end
        return self.element(tag, vr, body)

    def fragments(self, parts, offsets=b""):
        """The value of encapsulated pixels (PS3.5, A.4), from the offset table to the delimiter."""
        whole = [part + b"\0" * (len(part) % 2) for part in parts]
        body = b"".join(self.item(part) for part in [offsets, *whole])
        return body + self.tag(0xFFFEE0DD) + self.long(0)

    def encapsulated(self, parts, offsets=b""):
        return self.element(0x7FE00010, "OB", b"", UNDEFINED) + self.fragments(parts, offsets)


def meta(syntax, version=b"\0\1", length=True, wrong=0):
    """Preamble and group 2; `wrong` is added to the group's length."""
    write = Writer(EXPLICIT)
    body = b"" if version is None else write.element(0x00020001, "OB", version)
    body += write.element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.7")
    body += write.element(0x00020003, "UI", "1.2.826.0.1.3680043.8.498.1")
    body += write.element(0x00020010, "UI", syntax)
    body += write.element(0x00020012, "UI", "1.2.826.0.1.3680043.8.498.2")
    first = write.element(0x00020000, "UL", len(body) + wrong) if length else b""
    return bytes(128) + b"DICM" + first + body


def part10(syntax, data, **how):
    """A file of the elements' bytes."""
    if syntax == DEFLATED:
        press = zlib.compressobj(9, zlib.DEFLATED, -15)
        data = press.compress(data) + press.flush()
        data += b"\0" * (len(data) % 2)
    return meta(syntax, **how) + data


def rle(planes):
    """One frame of RLE (PS3.5, annex G): `planes` are lists of rows, of bytes each."""
    segments = []
    for rows in planes:
        packed = b"".join(map(pack_bits, rows))
        segments.append(packed + b"\0" * (len(packed) % 2))
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    head = struct.pack("<16I", len(segments), *offsets, *[0] * (15 - len(segments)))
    return head + b"".join(segments)


def pack_bits(row):
    out, at = bytearray(), 0
    while at < len(row):
        end = at + 1
        while end < len(row) and end - at < 128 and row[end] == row[at]:
            end += 1
        if end - at > 1:
            out += bytes([257 - (end - at), row[at]])
        else:
            while (
                end < len(row)
                and end - at < 128
                and not row[end : end + 2] == row[end : end + 1] * 2
            ):
                end += 1
            out += bytes([end - at - 1]) + row[at:end]
        at = end
    return bytes(out)
