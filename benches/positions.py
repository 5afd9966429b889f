"""How far apart features lie when a position table is interpolated as timm does it (bicubic with antialiasing) and as
transformers does it for most families (bicubic without).

  python benches/positions.py --base vits14      # a Hugging Face folder of family dinov2

Needs torch, transformers, scikit-learn (for its two photographs), numpy and pillow. Prints, for each size, the cosine
of the two features of the same crop, their relative distance, and how alike different crops are.
"""

import argparse
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.datasets import load_sample_images
from transformers import AutoModel


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 112, 56])
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = AutoModel.from_pretrained(options.base, dtype=torch.float32).eval()
    said = json.loads((options.base / "preprocessor_config.json").read_text())
    for size in options.sizes:
        pixels = crops(size, said["image_mean"], said["image_std"])
        plain, smooth = (tokens(model, pixels, antialias) for antialias in (False, True))
        features = {"class": lambda t: t[:, 0], "mean of the patches": lambda t: t[:, 1:].mean(1)}
        for name, of in features.items():
            a, b = of(plain), of(smooth)
            cosine, distance = F.cosine_similarity(a, b), (a - b).norm(dim=1) / a.norm(dim=1)
            unit = F.normalize(a, dim=1)
            others = (unit @ unit.T)[~torch.eye(len(a), dtype=bool)]
            print(
                f"{size} px, {name}, {len(a)} crops: cosine median {cosine.median():.4f} (least {cosine.min():.4f}); "
                f"relative distance median {distance.median():.3f} (most {distance.max():.3f}); "
                f"cosine of different crops, median {others.median():.3f}"
            )


def crops(size, mean, deviation):
    """Overlapping crops of 224 pixels of two photographs, resized: [N, 3, size, size]"""
    found = []
    for photograph in load_sample_images().images:
        for y in range(0, photograph.shape[0] - 223, 67):
            for x in range(0, photograph.shape[1] - 223, 83):
                crop = Image.fromarray(photograph[y : y + 224, x : x + 224])
                found.append(np.asarray(crop.resize((size, size), Image.BICUBIC), np.float32) / 255)
    values = (np.stack(found) - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return torch.from_numpy(values.transpose(0, 3, 1, 2).copy())


@torch.no_grad()
def tokens(model, pixels, antialias):
    """Of the model with its table interpolated one way or the other: [N, 1 + patches, D]"""
    table = model.embeddings.position_embeddings
    side, own = pixels.shape[-1] // model.config.patch_size, model.config.image_size // model.config.patch_size
    grid = table[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False, antialias=antialias)
    rows = torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)
    model.embeddings.interpolate_pos_encoding = lambda *_: rows
    return model(pixel_values=pixels).last_hidden_state


main()
