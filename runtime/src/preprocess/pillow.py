#!/usr/bin/env python3
"""Makes pillow.safetensors beside this file: two images and what Pillow resizes them to.

    pip install 'pillow<13' numpy safetensors && python3 pillow.py

Up to version 12 Pillow resizes rows first, always; 13 begins with whichever direction is cheaper.
`noise` is random; `edges` is black and white blocks, where an overshoot that is clipped in the wrong order shows.
"""

from pathlib import Path

import numpy
from PIL import Image
from safetensors.numpy import save_file

random = numpy.random.default_rng(0)
blocks = random.integers(0, 2, (7, 6, 3)) * 255
sources = {
    "noise": random.integers(0, 256, (23, 31, 3)),
    "edges": blocks.repeat(3, axis=0).repeat(3, axis=1),
}
tensors = {}
for source, levels in sources.items():
    image = Image.fromarray(levels.astype(numpy.uint8))
    tensors[f"source.{source}"] = numpy.asarray(image).astype(numpy.float16)
    for kernel in ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]:
        # down, up, down and up, one direction only, nearly nothing left
        for height, width in [(11, 16), (30, 37), (9, 40), (image.height, 12), (2, 1)]:
            resized = image.resize((width, height), Image.Resampling[kernel.upper()])
            tensors[f"{kernel}.{source}.{height}x{width}"] = numpy.asarray(resized).astype(numpy.float16)
save_file(tensors, Path(__file__).parent / "pillow.safetensors")
