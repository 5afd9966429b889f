"""Writes tests/golden: small models of every family with random weights, and what transformers, timm and PEFT compute with them.

  python tests/parity/golden.py [--out tests/golden] [--only timm]

Run it in a virtual environment with torch, transformers, peft, safetensors and numpy (benches/training.py makes one), and with
timm==1.0.31, torchvision==0.29.2, open_clip_torch==3.3.0 and pillow==12.3.0 (Pillow 13 resizes columns first where that is cheaper). The files are kept in the
repository, so that the project's tests need no Python; run this again only to follow a new version of transformers or PEFT. Each family's folder is
a Hugging Face folder with, beside the model,
 - golden.safetensors: `pixels` [2, 3, 8, 8], the base's `feature` [2, D], ten LoRA training steps (`train.*`: start, batches, end), and for each
   adapter its name's `NAME.feature`; for CLIP `text.feature` of the texts in texts.json, and tokens.safetensors, the tokens of 1,000 random texts;
 - adapters written by PEFT: lora, rslora, patterns, dora.
Beside them timm/vit and timm/dinov2, folders as timm writes them, with golden.safetensors (`pixels`, `feature`, `NAME.feature`) and
adapters by PEFT on timm's model; preprocessing.json, sampled pixels of resized and cropped images; medmnist.npz, a file as MedMNIST's
are, written by numpy; and bases/, tiny models of every family and file layout (bases.py).
"""
import argparse
import json
import os
import pathlib
import shutil

os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}

import numpy as np
import timm
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import (CLIPConfig, CLIPModel, CLIPTokenizer, Dinov2Config, Dinov2Model, ViTConfig, ViTModel)

import bases
from preprocessing import preprocessing

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIZE, WIDTH, CLASSES, BATCH, STEPS, RATE, DECAY = 8, 8, 3, 2, 10, 1e-2, 0.01
Q = {"clip": r"vision_model\..*q_proj", "dinov2": r".*q_proj", "vit": r".*q_proj"}
LINEARS = {"clip": r"vision_model\..*(q_proj|k_proj|v_proj|out_proj|fc1|fc2)|visual_projection",
           "dinov2": r".*(q_proj|k_proj|v_proj|o_proj|fc1|fc2)", "vit": r".*(q_proj|k_proj|v_proj|o_proj|fc1|fc2)"}
# The sites that the ten steps train: packer's `q,v,projection` and `q,v`.
TRAINED = {"clip": r"vision_model\..*(q_proj|v_proj)|visual_projection", "dinov2": r".*(q_proj|v_proj)", "vit": r".*(q_proj|v_proj)"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/golden")
    parser.add_argument("--only", help="write one part: medmnist, preprocessing, clip, dinov2, vit, timm, bases")
    options = parser.parse_args()
    wanted = lambda part: options.only in (None, part)
    if wanted("medmnist"):
        medmnist(options.out / "medmnist.npz")
    if wanted("preprocessing"):
        preprocessing(options.out / "preprocessing.json")
    if wanted("bases"):
        bases.write(options.out / "bases")
    for name, make_golden in [*((f, lambda folder, f=f: make(f, folder)) for f in ("clip", "dinov2", "vit")), ("timm/vit", make_timm), ("timm/dinov2", make_timm)]:
        if not wanted(name.split("/")[0]):
            continue
        folder = options.out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        torch.manual_seed(7)
        golden = make_golden(folder)
        save_file({name: value.contiguous() for name, value in golden.items()}, folder / "golden.safetensors")
        for path in folder.rglob("README.md"):
            path.unlink()
        print(name, sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()), "bytes")


def medmnist(path):
    """Eleven gray images of 5 x 4 pixels that count on from one to the next."""
    images = np.arange(11 * 20, dtype=np.uint8).reshape(11, 5, 4)
    labels = np.array([0, 1, 10, 0, 1, 10, 0, 1, 0, 1, 10], np.uint8).reshape(11, 1)
    parts = {"train": slice(0, 6), "val": slice(6, 8), "test": slice(8, 11)}
    np.savez_compressed(path, **{f"{part}_{kind}": values[rows] for part, rows in parts.items()
                                 for kind, values in (("images", images), ("labels", labels))})


def make_timm(folder):
    """A folder as timm writes it; dinov2 has layer scale, and takes images of other sizes."""
    scaled = folder.name == "dinov2"
    arguments = dict(img_size=SIZE, patch_size=4, embed_dim=WIDTH, depth=2, num_heads=2, mlp_ratio=2, num_classes=0 if scaled else 3)
    new = lambda: timm.create_model("vit_tiny_patch16_224", **arguments, **(dict(init_values=1.0, dynamic_img_size=True) if scaled else {})).eval()
    model = new()
    shake(model)
    config = {"input_size": (3, SIZE, SIZE), "crop_pct": 0.9, "interpolation": "bicubic", "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}
    timm.models.save_for_hf(model, folder, safe_serialization=True, model_config={"pretrained_cfg": config})
    pixels = torch.randn(2, 3, SIZE, SIZE)
    golden = {"pixels": pixels, "feature": timm_feature(model, pixels)}
    sites = r"blocks\..*(qkv|attn\.proj|fc1|fc2)"
    for name, lora in {"lora": LoraConfig(r=2, lora_alpha=3, target_modules=sites),
                       "rslora": LoraConfig(r=4, lora_alpha=3, target_modules=["qkv"], use_rslora=True),
                       "patterns": LoraConfig(r=2, lora_alpha=3, target_modules=sites, rank_pattern={"qkv": 3, "blocks.1.attn.proj": 1}, alpha_pattern={"fc1": 5, "blocks.1.attn.qkv": 2}),
                       "dora": LoraConfig(r=2, lora_alpha=3, target_modules=sites, use_dora=True)}.items():
        base = new()
        base.load_state_dict(model.state_dict())
        adapted = get_peft_model(base, lora)
        shake(adapted, "lora_")
        golden[f"{name}.feature"] = timm_feature(adapted.base_model.model.eval(), pixels)
        adapted.save_pretrained(folder / name)
        clean_settings(folder / name)
    return golden


@torch.no_grad()
def timm_feature(model, pixels):
    return model.forward_features(pixels)[:, 0]


def make(family, folder):
    model = new_model(family, folder)
    shake(model)
    model.save_pretrained(folder)
    pixels = torch.randn(2, 3, SIZE, SIZE)
    golden = {"pixels": pixels, "feature": feature(family, model, pixels)}
    for name, config in adapters(family).items():
        adapted = get_peft_model(new_model(family, folder, folder), config)
        shake(adapted, "lora_")
        adapted.eval()
        golden[f"{name}.feature"] = feature(family, adapted.base_model.model, pixels)
        adapted.save_pretrained(folder / name)
        clean_settings(folder / name)
    golden |= trained(family, folder)
    if family == "clip":
        golden |= texts(model, folder)
    return golden


def clean_settings(folder):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}, indent=1) + "\n")


def new_model(family, folder, weights=None):
    common = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE, patch_size=4)
    if weights:
        kind = {"clip": CLIPModel, "dinov2": Dinov2Model, "vit": ViTModel}[family]
        return kind.from_pretrained(weights, **({"add_pooling_layer": False} if family == "vit" else {})).eval()
    processor = {"do_resize": True, "size": {"shortest_edge": SIZE}, "crop_size": SIZE, "do_center_crop": True, "resample": 3,
                 "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    if family == "clip":
        tokenizer = new_tokenizer(folder)
        text = dict(hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=len(tokenizer),
                    max_position_embeddings=16, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
        config = CLIPConfig(vision_config=common | {"intermediate_size": 16}, text_config=text, projection_dim=6)
        model, processor["image_processor_type"] = CLIPModel(config), "CLIPImageProcessor"
    elif family == "dinov2":
        model, processor["image_processor_type"] = Dinov2Model(Dinov2Config(**common, mlp_ratio=2)), "BitImageProcessor"
    else:
        model = ViTModel(ViTConfig(**common, intermediate_size=16), add_pooling_layer=False)
        processor |= {"image_processor_type": "ViTImageProcessor", "size": {"height": SIZE, "width": SIZE}, "do_center_crop": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=1))
    return model.eval()


def shake(model, only=""):
    """Weights large enough that every part shows in the result, rounded to f16 so that files stay small and exact."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if only not in name:
                continue
            if "norm" in name and name.endswith("weight") or "magnitude" in name or "layer_scale" in name or "gamma" in name:
                weight.mul_(1 + 0.2 * torch.randn_like(weight))
            elif name != "logit_scale":
                weight.copy_(0.3 * torch.randn_like(weight))
            weight.copy_(weight.half().float())


def adapters(family):
    sites, q = LINEARS[family], Q[family]
    pattern = {"clip": r"vision_model.encoder.layers.1.self_attn.v_proj", "dinov2": r"layer.1.attention.v_proj", "vit": "layers.1.attention.v_proj"}[family]
    return {
        "lora": LoraConfig(r=2, lora_alpha=3, target_modules=sites),
        "rslora": LoraConfig(r=4, lora_alpha=3, target_modules=q, use_rslora=True),
        "patterns": LoraConfig(r=2, lora_alpha=3, target_modules=sites, rank_pattern={"q_proj": 3, pattern: 1}, alpha_pattern={"fc1": 5, pattern: 2}),
        "dora": LoraConfig(r=2, lora_alpha=3, target_modules=sites, use_dora=True),
    }


@torch.no_grad()
def feature(family, model, pixels):
    return forward(family, model, pixels)


def forward(family, model, pixels):
    if family == "clip":
        return model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
    return model(pixel_values=pixels).last_hidden_state[:, 0]


def trained(family, folder):
    """Ten steps of AdamW on LoRA factors and a linear head that starts at zero, plain and with DoRA."""
    golden = {"train.pixels": torch.randn(STEPS, BATCH, 3, SIZE, SIZE), "train.labels": torch.randint(0, CLASSES, (STEPS, BATCH)).float()}
    for kind, dora in (("lora", False), ("dora", True)):
        torch.manual_seed(11)
        model = get_peft_model(new_model(family, folder, folder), LoraConfig(r=2, lora_alpha=3, target_modules=TRAINED[family], use_dora=dora))
        head = torch.nn.Linear(6 if family == "clip" else WIDTH, CLASSES)
        torch.nn.init.zeros_(head.weight), torch.nn.init.zeros_(head.bias)
        weights = {n: p for n, p in model.named_parameters() if p.requires_grad}
        golden |= {f"train.{kind}.start.{short(n)}": p.detach().clone() for n, p in weights.items()}
        optimiser = torch.optim.AdamW([*weights.values(), *head.parameters()], lr=RATE, weight_decay=DECAY)
        for pixels, labels in zip(golden["train.pixels"], golden["train.labels"]):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(head(forward(family, model.base_model.model, pixels)), labels.long())
            loss.backward()
            optimiser.step()
        golden |= {f"train.{kind}.end.{short(n)}": p.detach().clone() for n, p in weights.items()}
        golden |= {f"train.{kind}.end.head.weight": head.weight.detach(), f"train.{kind}.end.head.bias": head.bias.detach()}
        golden[f"train.{kind}.loss"] = loss.detach().reshape(1)
    return golden


def short(name):
    return name.removeprefix("base_model.model.").replace(".default", "")


def new_tokenizer(folder):
    """A byte-level BPE of CLIP's kind with a few merges."""
    table = byte_table()
    merges = ["t h", "i n", "a n", "th e</w>", "e r", "s t", "i s", "t i", "o l", "c ol", "in g</w>", "ti s", "tis s", "u e</w>", "tiss ue</w>"]
    symbols = [*table.values(), *(c + "</w>" for c in table.values()), *("".join(m.split()) for m in merges), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({s: i for i, s in enumerate(symbols)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def byte_table():
    """The bytes as visible characters, as GPT-2 numbers them."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, free = {}, 256
    for byte in range(256):
        if byte in plain:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(free)
            free += 1
    return table


@torch.no_grad()
def texts(model, folder):
    lines = ["a histology image of benign breast tissue", "A chest X-ray,  with pneumonia!", "the colon", "naïve 42", "a much longer text than this model's sixteen positions can ever hold, which is cut"]
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    rows = []
    for line in lines:
        encoded = tokenizer(line, truncation=True, max_length=16, return_tensors="pt")
        rows.append(model.text_projection(model.text_model(**encoded).pooler_output)[0])
    (folder / "texts.json").write_text(json.dumps(lines, ensure_ascii=False, indent=1))
    random_texts(tokenizer, folder)
    return {"text.feature": torch.stack(rows)}


PIECES = ["a", "tissue", "the", "colon", "X-ray", "HISTOLOGY", " ", "  ", "\t", "\n", "\u00a0", "\u3000", "\u2003", "'s", "don't", "we'll",
          "I'M", "42", "3.5", "%", "!?", "...", "é", "e\u0301", "É", "ß", "ẞ", "İ", "ΑΣ", "ﬁ", "Å", "中文", "한", "か\u3099", "🙂",
          "👩\u200d⚕", "\u200b", "\u00ad", "½", "Ⅳ", "٣", "_", "-", "<|endoftext|>", "<|startoftext|>", "</w>", "µm", "\ufeff"]


def random_texts(tokenizer, folder):
    """The tokens of texts that a linear congruential generator (Knuth's MMIX) makes of PIECES; f16 holds every number up to 2,048."""
    state = 1

    def draw(below):
        nonlocal state
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (state >> 33) % below

    rows = []
    for _ in range(1000):
        text = "".join(PIECES[draw(len(PIECES))] for _ in range(1 + draw(6)))
        rows.append(tokenizer(text, truncation=True, max_length=16)["input_ids"])
    numbers = {"lengths": [len(row) for row in rows], "ids": [i for row in rows for i in row]}
    save_file({name: torch.tensor(values).half() for name, values in numbers.items()}, folder / "tokens.safetensors")


if __name__ == "__main__":
    main()
