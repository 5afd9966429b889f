"""Cases of tests/golden/bases that timm computes: folders as `timm.models.save_for_hf` writes them."""
import copy
import json

import timm
import torch
from timm.layers import SwiGLUPacked

from bases import BLOCKS, HEADS, MLP, PATCH, SIZE, WIDTH, Golden, case, peft, plain_shape, shake

COMMON = dict(img_size=SIZE, patch_size=PATCH, embed_dim=WIDTH, depth=BLOCKS, num_heads=HEADS, mlp_ratio=MLP / WIDTH, num_classes=0)
# Classes cannot be written as JSON, so that users pass these two in code (UNI2-h, Virchow): fc1 holds gate and value, in this order.
PACKED = dict(mlp_ratio=2 * MLP / WIDTH, mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU)
SWIGLU = dict(gated=True, activation="silu")
SETTINGS = {"input_size": (3, SIZE, SIZE), "crop_pct": 1.0, "interpolation": "bicubic", "mean": (0.5, 0.4, 0.3), "std": (0.2, 0.3, 0.4)}


def new(name, **arguments):
    return timm.create_model(name, **COMMON | arguments).eval()


def save(model, folder, safe=True):
    """In f16, which holds the weights as they are; without the arguments that JSON cannot hold."""
    classes = {key: None for key, value in model._model_args.items() if callable(value)}
    timm.models.save_for_hf(copy.deepcopy(model).half(), folder, safe_serialization=safe, model_config={"pretrained_cfg": SETTINGS}, model_args=classes)
    path = folder / "config.json"
    said = json.loads(path.read_text())
    for key in classes:
        del said["model_args"][key]
    path.write_text(json.dumps(said, indent=1) + "\n")


def resized(model, size):
    """As a model of this size is loaded: the table is interpolated with antialiasing."""
    model = copy.deepcopy(model)
    if size != SIZE:
        model.set_input_size((size, size))
    return model


def golden(model, folder, poolings, default, note=None, file=None, **shape):
    """`poolings` in packer's words; the default one is what the whole model takes, where it pools."""
    first = model.num_prefix_tokens
    tokens = lambda model, pixels: model.forward_features(pixels)
    feature = {"class": lambda model, pixels: tokens(model, pixels)[:, 0],
               "mean": lambda model, pixels: tokens(model, pixels)[:, first:].mean(1),
               "class_mean": lambda model, pixels: torch.cat([tokens(model, pixels)[:, 0], tokens(model, pixels)[:, first:].mean(1)], 1),
               "norm_of_mean": lambda model, pixels: model.fc_norm(tokens(model, pixels)[:, first:].mean(1)),
               "attention": lambda model, pixels: model.attn_pool(tokens(model, pixels))}
    if model.global_pool:
        pixels = torch.randn(2, 3, SIZE, SIZE)
        with torch.no_grad():
            assert torch.allclose(feature[default](model, pixels), model.forward_head(tokens(model, pixels), pre_logits=True), atol=1e-6)
    return Golden(model, {name: feature[name] for name in poolings}, default, plain_shape(interpolation="antialias", **shape), note=note, file=file, resized=resized)


SITES = r"blocks\..*(qkv|attn\.proj|fc1|fc2|fc1_g|fc1_x)"
CLASS = ["class", "mean", "class_mean"]


@case("timm-reg4", "timm")
def _(folder):
    model = shake(new("vit_small_patch14_reg4_dinov2", init_values=1.0))
    save(model, folder)
    return golden(model, folder, CLASS, "class", registers=4, layer_scale=True, note="DINOv2 with registers: a table for the patches alone (no_embed_class)")


def uni2():
    return new("vit_giant_patch14_224", init_values=1.0, reg_tokens=8, no_embed_class=True, dynamic_img_size=True, **PACKED)


def again(make, model):
    """The same model anew."""
    def made():
        fresh = make()
        fresh.load_state_dict(model.state_dict())
        return fresh
    return made


@case("timm-uni2", "timm", "peft")
def _(folder):
    model = shake(uni2())
    save(model, folder)
    case = golden(model, folder, CLASS, "class", registers=8, layer_scale=True, **SWIGLU, note="like UNI2-h: config.json says neither SwiGLU nor SiLU; mlp.fc1 is packed")
    return peft(case, again(uni2, model), ["lora", "dora"], SITES)


@case("timm-uni2-bin", "timm")
def _(folder):
    model = shake(uni2())
    save(model, folder, safe=False)
    return golden(model, folder, CLASS, "class", registers=8, layer_scale=True, **SWIGLU, note="pytorch_model.bin")


@case("timm-virchow2", "timm")
def _(folder):
    model = shake(new("vit_huge_patch14_224", init_values=1.0, reg_tokens=4, global_pool="", **PACKED | {"act_layer": "silu"}))
    save(model, folder)
    return golden(model, folder, CLASS, "class", registers=4, layer_scale=True, **SWIGLU,
                  note="like Virchow2: the table has rows for class token and registers; users take class_mean. config.json has act_layer silu and no mlp_layer")


@case("timm-virchow", "timm")
def _(folder):
    model = shake(new("vit_huge_patch14_224", init_values=1.0, global_pool="", **PACKED))
    save(model, folder)
    return golden(model, folder, CLASS, "class", layer_scale=True, **SWIGLU, note="like Virchow: no registers; users take class_mean")


@case("timm-avg", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_224", global_pool="avg"))
    save(model, folder)
    return golden(model, folder, ["norm_of_mean"], "norm_of_mean", note="fc_norm in place of norm, as timm and MAE's fine-tuning have it")


@case("timm-avg-reg", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_224", global_pool="avg", class_token=False, reg_tokens=2, no_embed_class=True, fc_norm=False))
    save(model, folder)
    return golden(model, folder, ["mean"], "mean", class_token=False, registers=2, note="registers and no class token; the last norm is before the mean")


@case("timm-qk-norm", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_224", qk_norm=True))
    save(model, folder)
    return golden(model, folder, CLASS, "class", qk_norm=True)


@case("timm-no-bias", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_224", qkv_bias=False))
    save(model, folder)
    return golden(model, folder, CLASS, "class", qkv_bias=False, key_bias=False)


def dinov3(folder, name, poolings, default, note=None, sites=None, **arguments):
    arguments |= dict(embed_dim=24, mlp_ratio=4 / 3, init_values=1.0)
    gated = "plus" in name or "huge" in name
    model = shake(new(name, **arguments))
    save(model, folder)
    biased = name.endswith("qkvb")
    case = golden(model, folder, poolings, default, note=note, hidden=24, mlp=32, registers=4, eps=1e-5, layer_scale=True, positions="rotary", theta=100.0,
                  qkv_bias=biased, key_bias=False, **SWIGLU if gated else {})
    return peft(case, again(lambda: new(name, **arguments), model), ["lora"], sites) if sites else case


@case("timm-dinov3", "timm", "peft")
def _(folder):
    return dinov3(folder, "vit_small_patch16_dinov3", CLASS, "mean", sites=SITES, note="no bias of q, k and v; timm's default is the mean of norm(x)")


@case("timm-dinov3-token", "timm")
def _(folder):
    return dinov3(folder, "vit_small_patch16_dinov3", CLASS, "class", global_pool="token")


@case("timm-dinov3-qkvb", "timm")
def _(folder):
    return dinov3(folder, "vit_base_patch16_dinov3_qkvb", CLASS, "mean", note="q_bias and v_bias")


@case("timm-dinov3-gated", "timm", "peft")
def _(folder):
    # Where q and v have biases of their own, timm reads the weight of qkv past PEFT's layer: an adapter there does nothing.
    sites = SITES.replace("qkv|", "")
    return dinov3(folder, "vit_small_plus_patch16_dinov3_qkvb", CLASS, "mean", sites=sites, note="swiglu_mlp")


@case("timm-siglip", "timm", "peft")
def _(folder):
    make = lambda: new("vit_base_patch16_siglip_224")
    model = shake(make())
    save(model, folder)
    case = golden(model, folder, ["attention", "mean"], "attention", class_token=False, note="erf GELU, which timm has for this name and transformers has not")
    return peft(case, again(make, model), ["lora"], SITES)


@case("timm-siglip-tanh", "timm")
def _(folder):
    model = shake(new("vit_so400m_patch16_siglip_256"))
    save(model, folder)
    return golden(model, folder, ["attention", "mean"], "attention", class_token=False, activation="gelu_tanh",
                  note="the architecture has gelu_tanh in timm's code; config.json does not say so")


@case("timm-siglip-gap", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_siglip_gap_224"))
    save(model, folder)
    return golden(model, folder, ["mean"], "mean", class_token=False)


@case("timm-clip", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_clip_224", num_classes=6))
    save(model, folder)
    return golden(model, folder, CLASS, "class", pre_norm=True, eps=1e-5, note="num_classes 6: timm's head is CLIP's projection, with a bias; the feature is what goes into it")


@case("timm-clip-quickgelu", "timm")
def _(folder):
    model = shake(new("vit_base_patch16_clip_quickgelu_224"))
    save(model, folder)
    return golden(model, folder, CLASS, "class", pre_norm=True, eps=1e-5, activation="quick_gelu", note="the architecture has quick_gelu in timm's code; config.json does not say so")
