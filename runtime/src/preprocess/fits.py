#!/usr/bin/env python3
"""Makes fits.safetensors beside this file: images that are not square, and how Pillow makes them so in each way that packer knows.

    pip install 'pillow<13' numpy safetensors && python3 fits.py
"""

from pathlib import Path

import numpy
from PIL import Image, ImageOps
from safetensors.numpy import save_file

random = numpy.random.default_rng(1)
tensors = {}


def keep(name, image):
    tensors[name] = numpy.asarray(image).astype(numpy.float16)


def crop(image, side):
    """The shorter side becomes `side`, the other its floor; then the centre."""
    short = min(image.size)
    width, height = (side * length // short for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))


for width, height in [(40, 30), (30, 40), (37, 11), (9, 50), (21, 21), (101, 5)]:
    source = f"{height}x{width}"
    image = Image.fromarray(random.integers(0, 256, (height, width, 3)).astype(numpy.uint8))
    keep(f"source.{source}", image)
    for side in [16, 21]:
        keep(f"crop.{source}.{side}", crop(image, side))
        keep(f"squash.{source}.{side}", image.resize((side, side), Image.Resampling.BICUBIC))
        keep(f"pad.{source}.{side}", ImageOps.pad(image, (side, side), Image.Resampling.BICUBIC))
save_file(tensors, Path(__file__).parent / "fits.safetensors")
