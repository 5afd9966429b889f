#!/usr/bin/env bash
# transformers 5.24.0 saves the decoder of ViTMAEForPreTraining under names that no file on the hub and no other version has. On saving, its table of
# renamed weights (conversion_mapping.py) is applied backwards: `layers.` becomes `encoder.layer.`, without regard to what stands before it, and so
# `decoder.decoder_layers.0` becomes `decoder.decoder_encoder.layer.0`. It reads that back itself; transformers 4 takes the decoder for missing, makes
# it of random numbers, and only warns.
#
# Guessed: a saved model has the names that facebook/vit-mae-base has, `decoder.decoder_layers.N`, as every other model is saved under its old names.
# Seen:
#   5.24.0 writes decoder.decoder_encoder.layer.0, and computes the same from its file
#   4.57.6 misses 16 tensors of the decoder in it, and computes something else
#   5.24.0 computes the same from a file of 4.57.6
#
# Needs python3 and the network (some GB of packages). Exits 1 if what is seen changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for version in 5.24.0 4.57.6; do
    python3 -m venv "v$version"
    "v$version/bin/pip" install -q torch==2.15.0 numpy==2.4.6 "transformers==$version"
done
export TRANSFORMERS_VERBOSITY=critical HF_HUB_OFFLINE=1 PYTHONWARNINGS=ignore

cat > write.py <<'EOF'
"""A ViT-MAE with one block each way; what it computes of one image with a fixed mask."""
import re
import sys
import torch
from safetensors import safe_open
from transformers import ViTMAEConfig, ViTMAEForPreTraining

torch.manual_seed(0)
config = ViTMAEConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24, image_size=16, patch_size=4, decoder_hidden_size=16,
                      decoder_num_hidden_layers=1, decoder_num_attention_heads=2, decoder_intermediate_size=16, mask_ratio=0.5)
model = ViTMAEForPreTraining(config).eval()
folder = sys.argv[1]
model.save_pretrained(folder)
pixels, noise = torch.randn(1, 3, 16, 16), torch.rand(1, 16)
with torch.no_grad():
    torch.save((pixels, noise, model(pixels, noise=noise).logits), f"{folder}.pt")
with safe_open(f"{folder}/model.safetensors", "pt") as file:
    print("writes", *sorted({re.match(r"decoder\.decoder_.*\.0", name)[0] for name in file.keys() if re.match(r"decoder\.decoder_.*\.0", name)}))
EOF
cat > read.py <<'EOF'
import sys
import torch
from transformers import ViTMAEForPreTraining

folder = sys.argv[1]
pixels, noise, expected = torch.load(f"{folder}.pt")
model, said = ViTMAEForPreTraining.from_pretrained(folder, output_loading_info=True)
with torch.no_grad():
    found = model.eval()(pixels, noise=noise).logits
print("misses", len(said["missing_keys"]), "tensors, computes the same:", torch.allclose(found, expected, atol=1e-6))
EOF
{
    for writer in 5.24.0 4.57.6; do
        echo "$writer $("v$writer/bin/python" write.py "by-$writer" 2>/dev/null)"
        for reader in 5.24.0 4.57.6; do
            echo "  $reader $("v$reader/bin/python" read.py "by-$writer" 2>/dev/null)"
        done
    done
} | tee seen
diff seen - <<'EOF'
5.24.0 writes decoder.decoder_encoder.layer.0
  5.24.0 misses 0 tensors, computes the same: True
  4.57.6 misses 16 tensors, computes the same: False
4.57.6 writes decoder.decoder_layers.0
  5.24.0 misses 0 tensors, computes the same: True
  4.57.6 misses 0 tensors, computes the same: True
EOF
