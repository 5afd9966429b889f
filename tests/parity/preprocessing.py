"""tests/golden/preprocessing.json: pixels of resized and cropped images, as transformers' image processors and timm's transforms make them (golden.py)."""
import json
import random

import numpy as np
import PIL
from PIL import Image
from timm.data import create_transform
from transformers import DINOv3ViTImageProcessor
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil


def preprocessing(path, count=44, most=40):
    """Images of random sizes, by a formula, through the image processors of transformers (by Pillow) and timm's transforms: some pixels of each."""
    assert int(PIL.__version__.split(".")[0]) < 13, "Pillow 13 resizes in another order"
    chance, cases = random.Random(105), []  # a seed that gives both roundings of an odd margin several cases
    kinds = {"BitImageProcessor": BitImageProcessorPil, "CLIPImageProcessor": CLIPImageProcessorPil, "ViTImageProcessor": ViTImageProcessorPil, "timm": None}
    for number in range(count):
        kind = list(kinds)[number % 4]
        width, height = (chance.randint(9, 90) for _ in range(2)) if number % 7 else (chance.randint(200, 700) for _ in range(2))
        image = Image.fromarray(pattern(width, height))
        if kind == "timm":
            side = chance.choice([8, 14, 16, 28, 32])
            config = {"input_size": [3, side, side], "crop_pct": chance.choice([1.0, 0.95, 0.9, 0.875, 0.5]), "crop_mode": chance.choice(["center", "center", "squash"]),
                      "interpolation": chance.choice(["bicubic", "bilinear"])}
            pixels = create_transform(**config, normalize=False)(image).numpy()
        else:
            edge = chance.randint(8, 60)
            side = chance.randint(4, edge)
            size = {"shortest_edge": edge} if kind != "ViTImageProcessor" else {"height": chance.randint(4, 60), "width": chance.randint(4, 60)}
            config = {"image_processor_type": kind, "size": size, "resample": chance.choice([2, 3]), "do_center_crop": kind != "ViTImageProcessor", "crop_size": {"height": side, "width": side}}
            settings = {key: value for key, value in config.items() if key != "image_processor_type"}
            pixels = kinds[kind](**settings, do_rescale=False, do_normalize=False)(image, return_tensors="np")["pixel_values"][0]
        assert pixels.dtype == np.uint8
        cases.append(sampled([width, height], config, pixels, most))
    cases += [squashed(kind, chance, most) for kind in ("SiglipImageProcessor", "DINOv3ViTImageProcessor") for _ in range(8)]
    path.write_text("[\n" + ",\n".join(map(json.dumps, cases)) + "\n]\n")
    print("preprocessing", path.stat().st_size, "bytes")


def sampled(sides, config, pixels, most):
    """A case with every so many-th pixel."""
    flat = pixels.transpose(1, 2, 0).reshape(-1, 3)
    rows = flat[[i * (len(flat) - 1) // (most - 1) for i in range(most)]]
    return {"image": sides, "config": config, "output": [pixels.shape[2], pixels.shape[1]], "pixels": rows.tobytes().hex()}


def squashed(kind, chance, most):
    """Processors that bring every image to one size. DINOv3's resizes floats between 0 and 1, which are rounded here."""
    sides = [chance.randint(9, 300) for _ in range(2)]
    size = {"height": chance.randint(8, 60), "width": chance.randint(8, 60)}
    image = Image.fromarray(pattern(*sides))
    if kind == "SiglipImageProcessor":
        config = {"image_processor_type": kind, "size": size, "resample": chance.choice([2, 3])}
        pixels = SiglipImageProcessorPil(size=size, resample=config["resample"], do_rescale=False, do_normalize=False)(image, return_tensors="np")["pixel_values"][0]
    else:
        config = {"image_processor_type": kind, "size": size, "resample": 2}
        pixels = DINOv3ViTImageProcessor(size=size, do_normalize=False)(image, return_tensors="np")["pixel_values"][0]
        pixels = np.rint(255 * pixels).astype(np.uint8)
    assert pixels.dtype == np.uint8
    return sampled(sides, config, pixels, most)


def pattern(width, height):
    """Ramps of different steepness that jump from white to black, with a fine grain."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((x * (13 + 7 * c) * 40 // width + y * (29 - 5 * c) * 40 // height + x * y % 7 * 3) % 256).astype(np.uint8)
