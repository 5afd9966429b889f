"""Writes tiff.zip: small TIFF files by Pillow (libtiff) and tifffile, and what Pillow reads in them as PNG files of the same name.
Files without a PNG beside them are refused. Needs: pip install pillow tifffile."""
import io
import sys
import zipfile

import numpy as np
import tifffile
from PIL import Image

rng = np.random.default_rng(7)
rows, columns = np.mgrid[0:19, 0:23]
rgb = np.stack([rows * 13, columns * 11, rows * columns], 2).astype("u1")
rgb[4:9, 3:15] = rng.integers(0, 256, (5, 12, 3))
rgba = np.dstack([rgb, (rows * 9).astype("u1")])
grey = rgb[..., 0] ^ rgb[..., 1]


def pillow(pixels, mode=None, **options):
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, "TIFF", **options)
    return file.getvalue()


def other(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **options)
    return file.getvalue()


HORIZONTAL = {317: 2}
read = {
    "plain": pillow(rgb),
    "lzw": pillow(rgb, compression="tiff_lzw"),
    "lzw_predictor": pillow(rgb, compression="tiff_lzw", tiffinfo=HORIZONTAL),
    "packbits": pillow(rgb, compression="packbits"),
    "deflate": pillow(rgb, compression="tiff_adobe_deflate", tiffinfo=HORIZONTAL),
    "one_row_strips": pillow(rgb, compression="tiff_lzw", strip_size=23 * 3),
    "rgba": pillow(rgba, compression="tiff_lzw", tiffinfo=HORIZONTAL),
    "grey": pillow(grey, compression="tiff_lzw"),
    "white_is_zero": other(grey, photometric="miniswhite"),
    "big_endian": other(rgb, photometric="rgb", byteorder=">"),
    "bigtiff": other(rgb, photometric="rgb", bigtiff=True, compression="zlib"),
    "tiles": other(rgb, photometric="rgb", tile=(16, 16), compression="zlib", predictor=True),
}
deep = grey.astype("u2") << 4
planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
refused = {
    "pages": pillow(rgb, save_all=True, append_images=[Image.fromarray(rgb)]),
    "palette": pillow(rgb, "P"),
    "cmyk": pillow(rgb, "CMYK"),
    "lab": pillow(rgb, "LAB"),
    "ycbcr": pillow(rgb, "YCbCr"),
    "16_bits": other(deep, photometric="minisblack"),
    "one_bit": pillow(grey, "1"),
    "float": other(grey.astype("f4") / 255, photometric="minisblack"),
    "signed": other(grey.astype("i1"), photometric="minisblack"),
    "jpeg": pillow(rgb, compression="jpeg"),
    "planes": other(planes, photometric="rgb", planarconfig="separate"),
    "premultiplied": other(rgba, photometric="rgb", extrasamples=["assocalpha"]),
    "turned": other(rgb, photometric="rgb", extratags=[(274, "H", 1, 6, True)]),
}
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as archive:
    for name, data in (read | refused).items():
        archive.writestr(zipfile.ZipInfo(f"{name}.tif"), data, zipfile.ZIP_DEFLATED)
    for name, data in read.items():
        file = io.BytesIO()
        Image.open(io.BytesIO(data)).convert("RGB").save(file, "PNG")
        archive.writestr(zipfile.ZipInfo(f"{name}.png"), file.getvalue(), zipfile.ZIP_DEFLATED)
