"""The upper layer of DICOM (PS3.8) by hand: enough to store images as a sender should, and as none should
(hostile.py)."""

import socket
import struct

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXT = 1
# PDUs, and the flags of a PDV: whether it is of a command, and the last.
REQUEST, ACCEPTED, DATA, RELEASE, RELEASED, ABORT = 1, 2, 4, 5, 6, 7
COMMAND, LAST = 1, 2
C_STORE_RQ = 0x0001


def pdu(kind, payload):
    return struct.pack(">BxI", kind, len(payload)) + payload


def pdv(flags, data):
    return struct.pack(">IBB", len(data) + 2, CONTEXT, flags) + data


def item(kind, payload):
    return struct.pack(">BxH", kind, len(payload)) + payload


def request(called="MEDFORGE", calling="SOAK"):
    context = struct.pack("Bxxx", CONTEXT) + item(0x30, SECONDARY_CAPTURE.encode()) + item(0x40, EXPLICIT.encode())
    about = item(0x51, struct.pack(">I", 16384)) + item(0x52, b"2.25.1") + item(0x55, b"SOAK")
    names = called.encode().ljust(16) + calling.encode().ljust(16)
    return pdu(
        REQUEST,
        struct.pack(">Hxx", 1)
        + names
        + bytes(32)
        + item(0x10, b"1.2.840.10008.3.1.1.1")
        + item(0x20, context)
        + item(0x50, about),
    )


def element(number, value):
    """An element of a command: group 0, implicit VR, little-endian."""
    return struct.pack("<HHI", 0, number, len(value)) + value


def text(value):
    value = value.encode()
    return value + bytes(len(value) % 2)


def command(uid, message=1, kind=SECONDARY_CAPTURE):
    short = lambda value: struct.pack("<H", value)
    elements = b"".join(
        [
            element(0x0002, text(kind)),
            element(0x0100, short(C_STORE_RQ)),
            element(0x0110, short(message)),
            element(0x0700, short(0)),
            element(0x0800, short(0)),
            element(0x1000, text(uid)),
        ]
    )
    return element(0x0000, struct.pack("<I", len(elements))) + elements


class Broken(Exception):
    """The node ended the association, or took none."""


class Association:
    """A connection to the node; nothing is sent before it is asked for."""

    def __init__(self, port, timeout=60):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port), timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Broken(str(error)) from error
        self.messages = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Broken(str(error)) from error

    def exactly(self, count):
        data = bytearray()
        try:
            while len(data) < count:
                more = self.socket.recv(count - len(data))
                if not more:
                    raise Broken("closed")
                data += more
        except OSError as error:
            raise Broken(str(error)) from error
        return bytes(data)

    def receive(self):
        kind, length = struct.unpack(">BxI", self.exactly(6))
        return kind, self.exactly(length)

    def negotiate(self):
        self.send(request())
        kind, _ = self.receive()
        if kind != ACCEPTED:
            raise Broken(f"PDU {kind} in answer to a request")
        return self

    def status(self):
        """The status of the answer that comes next."""
        kind, payload = self.receive()
        if kind != DATA:
            raise Broken(f"PDU {kind} in place of an answer")
        answer = payload[6:]
        while answer:
            group, number, length = struct.unpack("<HHI", answer[:8])
            if (group, number) == (0, 0x0900):
                return struct.unpack("<H", answer[8:10])[0]
            answer = answer[8 + length :]
        raise Broken("an answer without a status")

    def store(self, uid, data):
        """Stores a data set; the status."""
        self.messages += 1
        pieces = [data[start : start + 16000] for start in range(0, len(data), 16000)]
        last = len(pieces) - 1
        sent = [pdu(DATA, pdv(LAST if place == last else 0, piece)) for place, piece in enumerate(pieces)]
        self.send(pdu(DATA, pdv(COMMAND | LAST, command(uid, self.messages))) + b"".join(sent))
        return self.status()

    def release(self):
        self.send(pdu(RELEASE, bytes(4)))
        self.receive()
