"""Writes tests/golden/timm/architectures.txt: what timm's code makes of the name of each plain vision transformer.

A row is name, width, blocks, heads, epsilon, activation, pooling, theta of DINOv3's positions, whether the table is of
patches alone, and what packer does not read in it ("ok" where it reads all).
Run it with timm 1.0.31: python3 tests/parity/architectures.py
"""

import functools
from pathlib import Path

import timm
from timm.models import deit, eva, vision_transformer

# Arguments of other networks than packer reads.
OTHER = {
    "attn_layer", "block_fn", "distilled", "embed_norm_layer", "final_norm", "num_kv_heads", "pool_include_prefix",
    "scale_attn_norm", "scale_mlp_norm", "use_post_transformer_norm",
}
ACTIVATIONS = {None: "-", "gelu_tanh": "gelu_tanh", "quick_gelu": "quick_gelu", "silu": "silu"}


def collected():
    """The arguments that each registered name gives its network."""
    found = {}
    makers = {
        vision_transformer: "_create_vision_transformer",
        eva: "_create_eva",
        deit: "_create_deit",
    }
    for module, maker in makers.items():
        def keep(variant, pretrained=False, is_eva=module is eva, **arguments):
            found[variant] = (is_eva, arguments)

        setattr(module, maker, keep)
        for name, make in list(vars(module).items()):
            if callable(make) and timm.is_model(name) and make.__module__ == module.__name__:
                make()
    return found


def row(name, is_eva, arguments):
    """One architecture as a row."""
    norm = arguments.get("norm_layer")
    words = norm.func.__name__ if isinstance(norm, functools.partial) else str(norm)
    eps = norm.keywords["eps"] if isinstance(norm, functools.partial) else 1e-6
    rotary = arguments.get("rope_type") == "dinov3"
    other = sorted(OTHER & arguments.keys())
    other += ["eva"] if is_eva and not rotary else []
    other += ["rms"] if "rms" in words.lower() else []
    other += ["test"] if name.startswith("test_") else []
    act = arguments.get("act_layer")
    return [
        name,
        arguments["embed_dim"],
        arguments["depth"],
        arguments["num_heads"],
        eps,
        # That of a gate is said by the tensors.
        ACTIVATIONS[act] if act is None or isinstance(act, str) else "-",
        arguments.get("global_pool", "avg" if is_eva else "token"),
        arguments["rope_temperature"] if rotary else "-",
        int(bool(arguments.get("no_embed_class"))),
        ",".join(other) or "ok",
    ]


def main():
    rows = [row(name, *made) for name, made in sorted(collected().items())]
    text = "".join(" ".join(str(cell) for cell in row) + "\n" for row in rows)
    (Path(__file__).parents[1] / "golden/timm/architectures.txt").write_text(text)


if __name__ == "__main__":
    main()
