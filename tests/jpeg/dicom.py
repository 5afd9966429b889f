"""Makes dicom.json: JPEGs that are in DICOM files alone, lossless ones and lossy ones of 12 bits, with the samples that dcmtk and GDCM decode of them.

  apt-get install dcmtk libgdcm-tools && pip install numpy pydicom==3.0.1
  python tests/jpeg/dicom.py tests/jpeg/dicom.json

Some files are by dcmcjpeg, the others by the encoder below (ITU-T T.81, annex H): restart markers, point transforms, colours together and apart, 2 to 16
bits, jumps modulo 2^16. Of each kind a grid is tried; a few of each are kept, and only what dcmdjpeg and gdcmconv --raw agree on; below
8 bits that is dcmdjpeg alone, as GDCM refuses them. Whatever else they do not agree on, or decode wrongly, is printed.
"""
import itertools
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEGExtended12Bit, JPEGLossless, SecondaryCaptureImageStorage, generate_uid

WORK = Path(tempfile.mkdtemp())


def main(target):
    random = numpy.random.default_rng(22)
    kept, differ, number = [], {}, 0
    for name, samples, jpeg in itertools.chain(lossy_by_dcmtk(random), by_dcmtk(random), by_definition(random)):
        number += 1
        shown = {peer: peer_shows(peer, samples, jpeg) for peer in ("dcmtk", "gdcm")}
        few = shown["gdcm"] is None and bits_of(jpeg) < 8
        alike = shown["dcmtk"] is not None and (few or numpy.array_equal(shown["dcmtk"], shown["gdcm"]))
        lossy = not is_lossless(jpeg)
        right = {peer: image is not None and (lossy or numpy.array_equal(image, samples)) for peer, image in shown.items()}
        if not alike or not right["dcmtk"]:
            differ[name] = {peer: "refuses" if image is None else "right" if right[peer] else "wrong" for peer, image in shown.items()}
        if alike:
            kept.append({"name": name, "jpeg": jpeg.hex(), "samples": shown["dcmtk"].astype("<u2").tobytes().hex()})
    for name, said in differ.items():
        print(name, said)
    # Evenly, so that each kind is there.
    lossy = [entry for entry in kept if not is_lossless(bytes.fromhex(entry["jpeg"]))]
    lossless = [entry for entry in kept if entry not in lossy]
    chosen = lossy[::3] + lossless[:: max(1, len(lossless) // 80)]
    Path(target).write_text("[\n" + ",\n".join(json.dumps(entry) for entry in chosen) + "\n]\n")
    print(f"{number} files, {len(kept)} alike, {len(chosen)} kept")


def by_dcmtk(random):
    for bits, predictor in itertools.product((8, 12, 16), range(1, 8)):
        samples = random.integers(0, 1 << bits, (6, 9, 1), dtype="u2")
        yield from compressed(f"dcmcjpeg +el +sv {predictor}, {bits} bits", samples, bits, ["+el", "+sv", str(predictor)])
    for point in (1, 3):
        samples = random.integers(0, 1 << 16, (6, 9, 1), dtype="u2") >> point << point
        yield from compressed(f"dcmcjpeg +el +sv 4 +pt {point}", samples, 16, ["+el", "+sv", "4", "+pt", str(point)])
    samples = random.integers(0, 1 << 8, (6, 9, 3), dtype="u2")
    yield from compressed("dcmcjpeg +e1, RGB", samples, 8, ["+e1"])


def lossy_by_dcmtk(random):
    for mode, quality, size in itertools.product((["+ee"], ["+ee", "-ho"], ["+es"], ["+ep"]), (1, 50, 90, 100), ((6, 9, 1), (17, 13, 1))):
        y, x = numpy.mgrid[: size[0], : size[1]]
        samples = 2048 + 1500 * numpy.sin(x / 5) * numpy.cos(y / 7) + random.normal(0, 100, size[:2])
        samples[size[0] // 2 :, : size[1] // 3] = 4095
        samples = numpy.clip(samples, 0, 4095).astype("u2")[..., None]
        yield from compressed(f"dcmcjpeg {' '.join(mode)} +q {quality}, 12 bits, {size[1]} x {size[0]}", samples, 12, [*mode, "+bt", "+q", str(quality)])


def compressed(name, samples, bits, options):
    plain, packed = WORK / "plain.dcm", WORK / "packed.dcm"
    data = file(samples, bits)
    data.PixelData = samples.astype("u1" if bits <= 8 else "<u2").tobytes()
    data.PixelData += b"\0" * (len(data.PixelData) % 2)
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.save_as(plain, enforce_file_format=True)
    subprocess.run(["dcmcjpeg", *options, plain, packed], check=True, capture_output=True)
    yield name, samples, next(generate_frames(pydicom.dcmread(packed).PixelData, number_of_frames=1))


def by_definition(random):
    for bits, predictor in itertools.product(range(2, 17), range(1, 8)):
        for restart, low, colours, apart in ((0, 0, 1, False), (2, 0, 1, False), (1, 1, 1, False), (0, 0, 3, False), (2, 0, 3, False), (0, 1, 3, True)):
            rows, columns = random.integers(3, 8, 2)
            samples = random.integers(0, 1 << bits, (rows, columns, colours), dtype="u2")
            samples[random.random(samples.shape) < 0.3] = 0
            samples[random.random(samples.shape) < 0.3] = (1 << bits) - 1
            samples = samples >> low << low
            name = f"{bits} bits, predictor {predictor}, restarts {restart}, point transform {low}, {colours} colours{' apart' * apart}"
            yield name, samples, encoded(samples, bits, predictor, restart, low, apart)


def encoded(samples, bits, predictor, restart, low, apart):
    rows, columns, colours = samples.shape
    segment = lambda marker, body: struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
    out = b"\xff\xd8" + segment(0xC4, bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17)))
    out += segment(0xC3, struct.pack(">BHHB", bits, rows, columns, colours) + b"".join(bytes([c + 1, 0x11, 0]) for c in range(colours)))
    if restart:
        out += segment(0xDD, struct.pack(">H", restart * columns))
    values = samples.astype(int) >> low
    for scan in [[c] for c in range(colours)] if apart else [list(range(colours))]:
        out += segment(0xDA, bytes([len(scan)]) + b"".join(bytes([c + 1, 0]) for c in scan) + bytes([predictor, 0, low]))
        for begin in range(0, rows, restart or rows):
            if begin:
                out += bytes([0xFF, 0xD0 + (begin // restart - 1) % 8])
            text = ""
            for y, x, c in itertools.product(range(begin, min(rows, begin + (restart or rows))), range(columns), scan):
                if y == begin:
                    predicted = values[y, x - 1, c] if x else 1 << bits - low - 1
                elif x == 0:
                    predicted = values[y - 1, x, c]
                else:
                    a, b, d = values[y, x - 1, c], values[y - 1, x, c], values[y - 1, x - 1, c]
                    predicted = [a, b, d, a + b - d, a + (b - d >> 1), b + (a - d >> 1), a + b >> 1][predictor - 1]
                difference = (int(values[y, x, c]) - int(predicted) + 32767) % 65536 - 32767
                size = abs(difference).bit_length()
                text += f"{size:05b}"
                if 0 < size < 16:
                    text += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
            text += "1" * (-len(text) % 8)
            out += bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)).replace(b"\xff", b"\xff\0")
    return out + b"\xff\xd9"


def file(samples, bits):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.Rows, data.Columns, data.SamplesPerPixel = samples.shape
    data.PhotometricInterpretation = "MONOCHROME2" if samples.shape[2] == 1 else "RGB"
    if samples.shape[2] > 1:
        data.PlanarConfiguration = 0
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8 if bits <= 8 else 16, bits, bits - 1, 0
    return data


def is_lossless(jpeg):
    return b"\xff\xc3" in jpeg


def bits_of(jpeg):
    return jpeg[next(jpeg.index(frame) for frame in (b"\xff\xc3\0", b"\xff\xc1\0", b"\xff\xc2\0") if frame in jpeg) + 4]


def peer_shows(peer, samples, jpeg):
    bits = bits_of(jpeg)
    packed, plain = WORK / "packed.dcm", WORK / "plain.dcm"
    plain.unlink(missing_ok=True)
    data = file(samples, bits)
    data.file_meta.TransferSyntaxUID = JPEGLossless if is_lossless(jpeg) else JPEGExtended12Bit
    data.PixelData = encapsulate([jpeg])
    data["PixelData"].VR = "OB"
    data.save_as(packed, enforce_file_format=True)
    command = ["dcmdjpeg", "+px", packed, plain] if peer == "dcmtk" else ["gdcmconv", "--raw", packed, plain]
    if subprocess.run(command, capture_output=True).returncode or not plain.exists():
        return None
    shown = pydicom.dcmread(plain)
    image = numpy.frombuffer(shown.PixelData, "u1" if shown.BitsAllocated == 8 else "<u2")[: samples.size]
    planar = samples.shape[2] > 1 and shown.PlanarConfiguration == 1
    rows, columns, colours = samples.shape
    return numpy.moveaxis(image.reshape(colours, rows, columns), 0, 2) if planar else image.reshape(samples.shape)


main(sys.argv[1])
