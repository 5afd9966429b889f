#!/usr/bin/env bash
# PEFT 0.21.2's LoRA on timm 1.0.31's layer `attn.qkv` does nothing where the block keeps biases of q and v as parameters of their own
# (`vit_*_dinov3_qkvb`, EVA, BEiT). Such a block takes the layer's weight and multiplies by itself, past the adapter. Nothing says so: the
# adapter is counted as trainable, gets no gradient and changes no feature, until it is merged into the weight, which does change them.
#
# Guessed: an adapter whose factors are not zero changes the features, as it does in the same network without these biases.
# Seen: with them the features stay bit for bit; merged, they change.
#
# Needs python3. Exits 1 if what is seen changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv v
v/bin/pip install -q torch==2.15.0 timm==1.0.31 peft==0.21.2

cat > see.py <<'EOM'
import copy

import timm
import torch
from peft import LoraConfig, get_peft_model

torch.manual_seed(0)
image = torch.randn(1, 3, 32, 32)
seen = {}
for name in ["vit_small_patch16_dinov3", "vit_small_patch16_dinov3_qkvb"]:
    model = timm.create_model(name, pretrained=False, num_classes=0, img_size=32, depth=2, init_values=1.0).eval()
    settings = LoraConfig(r=2, target_modules=["qkv"], init_lora_weights=False)
    adapted = get_peft_model(copy.deepcopy(model), settings).eval()
    with torch.no_grad():
        base, changed = model(image), adapted(image)
        merged = copy.deepcopy(adapted).merge_and_unload()(image)
    seen[name] = [bool((other != base).any()) for other in (changed, merged)]
    print(f"{name}: the adapter changes features: {seen[name][0]}; merged: {seen[name][1]}")
expected = {"vit_small_patch16_dinov3": [True, True], "vit_small_patch16_dinov3_qkvb": [False, True]}
raise SystemExit(0 if seen == expected else 1)
EOM
v/bin/python see.py
