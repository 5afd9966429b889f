#!/usr/bin/env bash
# timm 1.0.31 computes SigLIP with the exact GELU under some names and with its tanh form under others, though the same releases (webli, v2_webli) stand
# behind both. The original (big_vision, in JAX, whose gelu is the tanh form unless told otherwise) and transformers have the tanh form for all. So the
# same weights give other features in timm than in transformers, and which names do is only in timm's code: save_for_hf does not write it.
#
# Guessed: one family has one activation, and a converted checkpoint gives the features of transformers' SiglipVisionModel.
# Seen:
#   vit_base_patch16_siglip_224, vit_so400m_patch14_siglip_384: erf; vit_base_patch32_siglip_256, vit_so400m_patch16_siglip_384: tanh
#   four blocks of the same random weights: 2e-4 apart (relative) with erf, 2e-7 with act_layer="gelu_tanh"
#
# Needs python3 and the network (some GB of packages). Exits 1 if what is seen changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv v
v/bin/pip install -q torch==2.15.0 numpy==2.4.6 timm==1.0.31 transformers==5.24.0
export TRANSFORMERS_VERBOSITY=critical HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore

cat > compare.py <<'EOF'
import sys
import timm
import torch
from transformers import SiglipVisionConfig, SiglipVisionModel

for name in ("vit_base_patch16_siglip_224", "vit_so400m_patch14_siglip_384", "vit_base_patch32_siglip_256", "vit_so400m_patch16_siglip_384"):
    with torch.device("meta"):
        model = timm.create_model(name)
    print(name, "tanh" if type(model.blocks[0].mlp.act).__name__ == "GELUTanh" else "erf")

torch.manual_seed(0)
config = SiglipVisionConfig(hidden_size=64, intermediate_size=256, num_hidden_layers=4, num_attention_heads=4, image_size=32, patch_size=8)
theirs = SiglipVisionModel(config).eval()
with torch.no_grad():
    for name, weight in theirs.named_parameters():
        weight.copy_(torch.randn_like(weight) * (0.1 if weight.ndim == 1 else weight[0].numel() ** -0.5))
        if "norm" in name and name.endswith("weight"):
            weight.add_(1)
state = theirs.state_dict()

def of(name):
    """The tensors of timm by those of transformers."""
    name = name.replace("patch_embed.proj", "embeddings.patch_embedding").replace("blocks.", "encoder.layers.")
    name = name.replace("norm1", "layer_norm1").replace("norm2", "layer_norm2").replace("attn.proj", "self_attn.out_proj")
    if name == "pos_embed":
        return state["embeddings.position_embedding.weight"][None]
    if name == "attn_pool.latent":
        return state["head.probe"]
    kind = name.rsplit(".", 1)[1]
    if "attn.qkv" in name:
        return torch.cat([state[name.replace("attn.qkv", f"self_attn.{one}_proj")] for one in "qkv"])
    if name.startswith(("attn_pool.q.", "attn_pool.kv.")):
        q, k, v = state[f"head.attention.in_proj_{kind}"].chunk(3)
        return q if name.startswith("attn_pool.q.") else torch.cat([k, v])
    if name.startswith("norm."):
        return state[name.replace("norm", "post_layernorm")]
    return state[name.replace("attn_pool.proj", "head.attention.out_proj").replace("attn_pool.norm", "head.layernorm").replace("attn_pool", "head")]

pixels = torch.randn(4, 3, 32, 32)
with torch.no_grad():
    expected = theirs(pixels).pooler_output
    for more in ({}, {"act_layer": "gelu_tanh"}):
        model = timm.create_model("vit_base_patch16_siglip_224", img_size=32, patch_size=8, embed_dim=64, depth=4, num_heads=4, num_classes=0, **more).eval()
        model.load_state_dict({name: of(name) for name in model.state_dict()})
        distance = float((model(pixels) - expected).norm() / expected.norm())
        print(more or "as it is", "about the same" if distance < 1e-5 else "differs by more than 5e-5" if distance > 5e-5 else distance)
        print(f"{distance:.1e}", file=sys.stderr)
EOF
v/bin/python compare.py | tee seen
diff seen - <<'EOF'
vit_base_patch16_siglip_224 erf
vit_so400m_patch14_siglip_384 erf
vit_base_patch32_siglip_256 tanh
vit_so400m_patch16_siglip_384 tanh
as it is differs by more than 5e-5
{'act_layer': 'gelu_tanh'} about the same
EOF
