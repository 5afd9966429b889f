"""Stored values of a frame as each of three peers decodes them: pydicom with pylibjpeg, dcmtk,
GDCM.

dcmtk and GDCM write a native file in explicit VR, whose pixels are then cut out here.
"""

import io
import logging
import pathlib
import subprocess
import warnings

import numpy as np
import pydicom
from pydicom.pixels import pixel_array

from shown import cut, to_rgb

warnings.simplefilter("ignore")
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
logging.getLogger("pylibjpeg").setLevel(logging.CRITICAL)
RLE = "1.2.840.10008.1.2.5"


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=600)
    return done.returncode == 0


def every(path, scratch, look, frames, lossy):
    """By peer, an array for each frame, or why there is none. Colours that were lossy are RGB."""
    found = {}
    for name, peer in (("pydicom", by_pydicom), ("dcmtk", by_dcmtk), ("gdcm", by_gdcm)):
        try:
            found[name] = peer(path, scratch / f"{name}.dcm", look, frames, lossy)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}".splitlines()[0][:160]
    return found


def by_pydicom(path, _, look, frames, lossy):
    data = pydicom.dcmread(path)
    colour = look.photometric in ("RGB", "YBR_FULL", "YBR_FULL_422")
    how = {"raw": not (colour and lossy)}
    syntax = data.file_meta.TransferSyntaxUID
    if syntax.is_compressed and syntax.is_encapsulated:
        how["decoding_plugin"] = "pydicom" if syntax == RLE else "pylibjpeg"
    return [sample(pixel_array(data, index=index, **how), look, lossy) for index in range(frames)]


def sample(pixels, look, lossy):
    if pixels.ndim == 3 and lossy:
        return pixels.astype(np.int64)
    kind = pixels.dtype.itemsize
    values = pixels.astype(pixels.dtype.newbyteorder("<")).view(f"<u{kind}")
    return cut(values, look.stored, look.high, look.signed)


def by_dcmtk(path, out, look, frames, lossy):
    syntax = str(
        pydicom.dcmread(path, stop_before_pixels=True, defer_size=64).file_meta.TransferSyntaxUID
    )
    if syntax == RLE:
        done = run("dcmdrle", "+te", path, out)
    elif syntax.startswith("1.2.840.10008.1.2.4.8"):
        done = run("dcmdjpls", "+te", path, out)
    elif syntax.startswith("1.2.840.10008.1.2.4."):
        done = run("dcmdjpeg", "+te", "+cp" if lossy else "+cn", path, out)
    else:
        done = run("dcmconv", "+te", path, out)
    return cut_out(out, look, frames, lossy) if done else refused()


def by_gdcm(path, out, look, frames, lossy):
    return cut_out(out, look, frames, lossy) if run("gdcmconv", "--raw", path, out) else refused()


def refused():
    raise ValueError("does not convert it")


def cut_out(path, look, frames, lossy):
    """The frames of a native file in explicit or implicit VR, little-endian."""
    data = pydicom.dcmread(path)
    syntax = data.file_meta.TransferSyntaxUID
    if not (syntax.is_little_endian and not syntax.is_compressed):
        raise ValueError(f"wrote {syntax}")
    samples, kind = data.SamplesPerPixel, data.BitsAllocated // 8
    shape = (data.Rows, data.Columns)
    count = shape[0] * shape[1] * samples
    raw = np.frombuffer(data.PixelData, f"<u{kind}")
    if data.PhotometricInterpretation == "YBR_FULL_422":
        count = count * 2 // 3
    if len(raw) < count * frames:
        raise ValueError(f"wrote {len(raw)} samples of {count * frames}")
    out = []
    for index in range(frames):
        frame = raw[index * count :][:count]
        if data.PhotometricInterpretation == "YBR_FULL_422":
            frame = whole_chroma(frame, shape)
        elif samples == 3:
            planar = data.PlanarConfiguration == 1
            frame = (
                np.moveaxis(frame.reshape(3, *shape), 0, 2) if planar else frame.reshape(*shape, 3)
            )
            if lossy and data.PhotometricInterpretation.startswith("YBR"):
                frame = to_rgb(frame.astype(float))
        else:
            frame = frame.reshape(shape)
        if lossy and samples == 3:
            out.append(frame.astype(np.int64))
        else:
            # A peer may have moved the bits that count, and says so.
            out.append(cut(frame, data.BitsStored, data.HighBit, look.signed))
    return out


def whole_chroma(frame, shape):
    """Two luminances and a pair of chroma for two pixels (PS3.3 C.7.6.3.1.2)."""
    pairs = frame.reshape(shape[0], shape[1] // 2, 4)
    first, second = pairs[..., [0, 2, 3]], pairs[..., [1, 2, 3]]
    return np.stack([first, second], axis=2).reshape(*shape, 3)


def dcm2pnm(path, scratch, choice):
    """Grey levels by dcmtk, or none."""
    out = scratch / "seen.pgm"
    if not run("dcm2pnm", *choice, "+op", path, out):
        return None
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(pathlib.Path(out).read_bytes())).convert("L"))


def difference(one, other):
    """The largest, or none where the shapes differ."""
    if one.shape != other.shape:
        return None
    return int(np.abs(one - other).max())
