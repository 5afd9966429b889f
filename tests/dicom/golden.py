"""Makes golden.json: what pydicom and numpy show of pydicom's own test files.

  python3 -m venv v && v/bin/pip install pydicom==3.0.1 numpy pylibjpeg==2.0.1 pylibjpeg-libjpeg==2.3.0
  v/bin/python tests/dicom/golden.py > tests/dicom/golden.json

Of the first frame of each file a few pixels from its middle: the stored values as pydicom decodes them, what the file says of them, and what a viewer
shows (PS3.3 C.11.1 and C.11.2): modality and window by pydicom, the window's range brought to 0 to 255 by numpy.
Of a file that pydicom cannot show, the reason. tests/dicom.rs reads it; the files themselves are not kept.
"""
import json
import pathlib
import sys

import numpy
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

WIDTH, HEIGHT = 8, 4


def main():
    folder = pathlib.Path(pydicom.__file__).parent / "data" / "test_files"
    found = []
    for path in sorted(folder.glob("*.dcm")):
        entry = {"file": path.name}
        try:
            entry |= shown(path)
        except Exception as error:
            entry["error"] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        found.append(entry)
    lines = [json.dumps(entry) for entry in found]
    print("[\n" + ",\n".join(lines) + "\n]")


def shown(path):
    # Only whole DICOM files: what is read without its meta information is guessed.
    data = pydicom.dcmread(path)
    if "PixelData" not in data:
        raise ValueError("no pixels")
    syntax = str(data.file_meta.TransferSyntaxUID)
    entry = {"syntax": syntax, "photometric": data.PhotometricInterpretation, "bits": [data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation]}
    pixels = pixel_array(data, index=0)
    if pixels.ndim == 3 and pixels.shape[0] == 3 and pixels.shape[2] != 3:
        pixels = numpy.moveaxis(pixels, 0, 2)
    rows, columns = pixels.shape[:2]
    y, x = max(rows // 2 - HEIGHT // 2, 0), max(columns // 2 - WIDTH // 2, 0)
    part = pixels[y:y + HEIGHT, x:x + WIDTH]
    size = part.shape[1], part.shape[0]
    entry |= {"at": [x, y], "size": size, "stored": part.astype(part.dtype.newbyteorder("<")).tobytes().hex()}
    if data.PhotometricInterpretation.startswith("MONOCHROME"):
        entry |= {"modality": [float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))]}
        if "ModalityLUTSequence" in data or "VOILUTSequence" in data:
            entry["tables"] = True
        if "WindowCenter" in data:
            first = lambda value: float(value[0] if isinstance(value, pydicom.multival.MultiValue) else value)
            entry["window"] = [first(data.WindowCenter), first(data.WindowWidth), data.get("VOILUTFunction", "LINEAR")]
        if "PixelPaddingValue" in data:
            entry["padding"] = int(data.PixelPaddingValue)
        gray = grays(data, part)
        rgb = numpy.repeat(gray[..., None], 3, axis=2)
    elif data.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut
        colour = apply_color_lut(part, data)
        bits = data.RedPaletteColorLookupTableDescriptor[2]
        rgb = colour if bits == 8 and colour.max() < 256 else numpy.rint(colour / 65535 * 255)
        entry["tables"] = True
    else:
        most = 2 ** data.BitsStored - 1
        rgb = part if most == 255 else numpy.rint(part / most * 255)
    entry["rgb"] = rgb.astype("u1").tobytes().hex()
    return entry


def grays(data, stored):
    measured = apply_modality_lut(stored, data)
    low, high = (-2 ** (data.BitsStored - 1), 2 ** (data.BitsStored - 1) - 1) if data.PixelRepresentation else (0, 2 ** data.BitsStored - 1)
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    low, high = sorted((low * slope + intercept, high * slope + intercept))
    if "WindowCenter" in data:
        measured = apply_voi_lut(measured, data, index=0)
        # What pydicom brings a window to (pydicom.pixels.processing.apply_windowing).
        if not data.PixelRepresentation:
            low, high = 0 * slope + intercept, (2 ** data.BitsStored - 1) * slope + intercept
        else:
            low, high = -(2 ** (data.BitsStored - 1)) * slope + intercept, (2 ** (data.BitsStored - 1) - 1) * slope + intercept
    gray = numpy.rint(numpy.clip((measured - low) / (high - low), 0, 1) * 255)
    if data.PhotometricInterpretation == "MONOCHROME1":
        gray = 255 - gray
    if "PixelPaddingValue" in data:
        gray[stored == data.PixelPaddingValue] = 0
    return gray


main()
