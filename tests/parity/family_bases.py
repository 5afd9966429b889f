"""The bases of families.py: random weights at the size of a ViT-S, written as their library writes them."""
import json

import open_clip
import timm
import torch
import transformers
from open_clip.push_to_hf_hub import save_for_hf
from timm.layers import SwiGLUPacked

import bases_hf
import bases_names

SMALL = dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=6)
HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
HF_SITES = r".*layers?\.\d+\..*(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2|gate_proj|up_proj|down_proj)"
TIMM_SITES = r"blocks\..*(qkv|attn\.proj|fc1|fc2|fc1_g|fc1_x)"


class Base:
    """A model, the place that packer reads, its feature, how PEFT adapts it (None: not at all), and what `packer base convert` is told, where it is needed."""

    def __init__(self, model, place, feature, side, smaller, sites, resized=lambda model, size: model):
        self.model, self.place, self.features, self.side, self.smaller, self.sites, self.resized = model, place, feature, side, smaller, sites, resized
        self.convert = None

    @torch.no_grad()
    def feature(self, pixels, model=None):
        return self.features(self.resized(model or self.model, pixels.shape[-1]).eval(), pixels)


def shaken(model):
    """A random network in which everything counts: biases, norms, layer scales, tokens and positions too."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim < 2 or any(part in name for part in ("token", "embed", "probe", "latent")) and "patch" not in name:
                scale = any(part in name for part in ("gamma", "lambda1", "layer_scale", "ls1", "ls2"))
                weight.copy_(torch.full_like(weight, 0.5) if scale else weight)
                weight.add_(0.1 * torch.randn_like(weight))
            elif weight.ndim == 2:
                weight.copy_(torch.randn_like(weight) / weight.shape[1] ** 0.5)
    return model.eval()


def of_transformers(model, folder, processor, feature, side, smaller):
    shaken(model).save_pretrained(folder)
    processor(size={"height": side, "width": side}, **HALF).save_pretrained(folder)
    return Base(model, folder, feature, side, smaller, HF_SITES)


def cropping(size, **settings):
    return transformers.BitImageProcessor(size={"shortest_edge": size["height"]}, crop_size=size, **settings)


def dinov2(folder, registers, gated):
    kind, config = (transformers.Dinov2WithRegistersModel, transformers.Dinov2WithRegistersConfig) if registers else (transformers.Dinov2Model, transformers.Dinov2Config)
    model = kind(config(**SMALL, image_size=112, patch_size=14, use_swiglu_ffn=gated))
    return of_transformers(model, folder, cropping, lambda model, pixels: model(pixel_values=pixels).last_hidden_state[:, 0], 112, 70)


def dinov3(folder, gated):
    config = transformers.DINOv3ViTConfig(**SMALL, num_register_tokens=4, use_gated_mlp=gated, hidden_act="silu" if gated else "gelu")
    feature = lambda model, pixels: model(pixel_values=pixels).last_hidden_state[:, 0]
    return of_transformers(transformers.DINOv3ViTModel(config), folder, transformers.DINOv3ViTImageProcessor, feature, 224, 96)


def siglip(folder, mean):
    """Whole models; SiglipForImageClassification takes the mean."""
    config = transformers.SiglipConfig(vision_config=dict(**SMALL, intermediate_size=1536, image_size=128, patch_size=16), text_config=bases_hf.TEXT)
    model = (transformers.SiglipForImageClassification if mean else transformers.SiglipModel)(config)
    call = lambda model, pixels: model.vision_model(pixel_values=pixels, interpolate_pos_encoding=True)
    feature = (lambda model, pixels: call(model, pixels).last_hidden_state.mean(1)) if mean else lambda model, pixels: call(model, pixels).pooler_output
    base = of_transformers(model, folder, transformers.SiglipImageProcessor, feature, 128, 80)
    base.sites = r"vision_model\.encoder\..*(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"
    return base


def mae(folder):
    model = transformers.ViTMAEForPreTraining(transformers.ViTMAEConfig(**SMALL, intermediate_size=1536, image_size=128, patch_size=16, decoder_hidden_size=64,
                                                                      decoder_num_hidden_layers=1, decoder_num_attention_heads=2, decoder_intermediate_size=64))
    feature = lambda model, pixels: model.vit(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0]
    base = of_transformers(model, folder, transformers.ViTImageProcessor, feature, 128, 80)
    model.config.mask_ratio, base.sites = 0.0, None
    return base


def of_timm(folder, name, feature, side, smaller, **arguments):
    model = shaken(timm.create_model(name, **dict(num_classes=0) | arguments))
    classes = {key: None for key, value in model._model_args.items() if callable(value)}
    settings = {"pretrained_cfg": {"crop_pct": 1.0, "interpolation": "bicubic", "mean": HALF["image_mean"], "std": HALF["image_std"]}}
    timm.models.save_for_hf(model, folder, safe_serialization=True, model_config=settings, model_args=classes)
    path = folder / "config.json"
    said = json.loads(path.read_text())
    said["model_args"] = {key: value for key, value in said["model_args"].items() if key not in classes}
    path.write_text(json.dumps(said))

    def resized(model, size):
        model.set_input_size(img_size=(size, size))
        return model

    # The table is interpolated anew from the base's own for every size.
    own = {"table": model.pos_embed.detach().clone()} if getattr(model, "pos_embed", None) is not None else {}

    def fresh(model, size):
        if own:
            resized(model, side)
            model.pos_embed = torch.nn.Parameter(own["table"].clone())
        return resized(model, size)

    return Base(model, folder, feature, side, smaller, TIMM_SITES, fresh)


PACKED = dict(mlp_layer=SwiGLUPacked, act_layer=torch.nn.SiLU, mlp_ratio=16 / 3, embed_dim=384, depth=12, num_heads=6)
token = lambda model, pixels: model.forward_features(pixels)[:, 0]
both = lambda model, pixels: torch.cat([token(model, pixels), model.forward_features(pixels)[:, 5:].mean(1)], 1)
pooled = lambda model, pixels: model.forward_head(model.forward_features(pixels), pre_logits=True)


def virchow2(folder, feature):
    return of_timm(folder, "vit_huge_patch14_224", feature, 112, 70, img_size=112, reg_tokens=4, init_values=1.0, global_pool="", **PACKED)


def open_tower(folder):
    """Heads are 64 wide where nothing is said."""
    vision = dict(image_size=112, layers=12, width=384, patch_size=14)
    said = dict(embed_dim=256, vision_cfg=vision, text_cfg=bases_names.TEXT)
    new = lambda size: open_clip.CLIP(embed_dim=256, vision_cfg=vision | {"image_size": size}, text_cfg=dict(bases_names.TEXT)).eval()
    model = shaken(new(112))
    model.visual.image_mean, model.visual.image_std = HALF["image_mean"], HALF["image_std"]
    save_for_hf(model, bases_names.NoTokenizer(), said, folder, safe_serialization=False)

    def resized(model, size):
        fresh, state = new(size), model.state_dict()
        open_clip.model.resize_pos_embed(state, fresh)
        fresh.load_state_dict(state)
        return fresh

    return Base(model, folder, lambda model, pixels: model.encode_image(pixels), 112, 70, None, resized)


def open_trunk(folder):
    """Like BiomedCLIP, of a trunk that timm knows by its name."""
    vision = dict(timm_model_name="vit_small_patch16_224", timm_model_pretrained=False, timm_pool="", timm_proj="linear", image_size=224)
    model = shaken(open_clip.CustomTextCLIP(embed_dim=256, vision_cfg=vision, text_cfg=dict(bases_names.TEXT)))
    model.visual.image_mean, model.visual.image_std = HALF["image_mean"], HALF["image_std"]
    save_for_hf(model, bases_names.NoTokenizer(), dict(embed_dim=256, vision_cfg=vision, text_cfg=bases_names.TEXT), folder, safe_serialization=True)
    return Base(model, folder, lambda model, pixels: model.encode_image(pixels), 224, None, None)


def converted(base, *arguments):
    base.convert = arguments
    return base


def elsewhere(base):
    """The same base, adapted at all layers but qkv."""
    base.sites = base.sites.replace("qkv|", "")
    return base


def of_facebook(folder, base, name, change=lambda state: state):
    """The same base as a .pth under the names of Facebook's release, which says little of the network."""
    for path in folder.iterdir():
        path.unlink()
    state = change(dict(bases_names.facebook(base.model.state_dict(), torch.Tensor.float)))
    base.place, base.sites = folder / name, None
    torch.save(state, base.place)
    return base


def storage(state):
    state["storage_tokens"] = state.pop("register_tokens")
    state["rope_embed.periods"] = (100 ** (torch.arange(16) / 16)).bfloat16()
    for number in range(SMALL["num_hidden_layers"]):
        state[f"blocks.{number}.attn.qkv.bias_mask"] = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(SMALL["hidden_size"])
    return bases_names.swiglu_names(state, "w1", "w2")


FAMILIES = {
    "dinov2 with registers": lambda folder: dinov2(folder, registers=True, gated=False),
    "dinov2 with registers, SwiGLU": lambda folder: dinov2(folder, registers=True, gated=True),
    "dinov2, SwiGLU": lambda folder: dinov2(folder, registers=False, gated=True),
    "dinov3": lambda folder: dinov3(folder, gated=False),
    "dinov3, gated": lambda folder: dinov3(folder, gated=True),
    "siglip": lambda folder: siglip(folder, mean=False),
    "siglip, classifier": lambda folder: siglip(folder, mean=True),
    "vit_mae": mae,
    "timm reg4 dinov2": lambda folder: of_timm(folder, "vit_small_patch14_reg4_dinov2", token, 112, 70, img_size=112),
    "timm like UNI2-h": lambda folder: of_timm(folder, "vit_giant_patch14_224", token, 112, 70, img_size=112, reg_tokens=8, no_embed_class=True, init_values=1.0, **PACKED),
    "timm like Virchow2": lambda folder: virchow2(folder, token),
    "timm like Virchow2, class-mean": lambda folder: converted(virchow2(folder, both), "--feature", "class-mean"),
    "timm mean": lambda folder: of_timm(folder, "vit_small_patch16_224", pooled, 128, 80, img_size=128, global_pool="avg"),
    # PEFT's adapter at qkv does nothing there: findings/peft-timm-separate-biases.sh.
    "timm dinov3": lambda folder: elsewhere(of_timm(folder, "vit_small_patch16_dinov3_qkvb", pooled, 128, 80, img_size=128)),
    "timm dinov3, gated": lambda folder: of_timm(folder, "vit_small_plus_patch16_dinov3", pooled, 128, 80, img_size=128),
    "timm siglip": lambda folder: of_timm(folder, "vit_base_patch16_siglip_224", pooled, 128, 80, img_size=128, embed_dim=384, num_heads=6),
    "timm clip": lambda folder: of_timm(folder, "vit_base_patch16_clip_quickgelu_224", pooled, 128, 80, img_size=128, embed_dim=384, num_heads=6),
    "open_clip": open_tower,
    "open_clip of timm's trunk": open_trunk,
    "Facebook dinov2 with registers": lambda folder: converted(of_facebook(folder, dinov2(folder, True, False), "dinov2_vits14_reg4_pretrain.pth"), "--heads", 6, "--size", 112),
    "Facebook dinov3": lambda folder: converted(of_facebook(folder, dinov3(folder, True), "dinov3_vits16plus_pretrain.pth", storage), "--size", 224),
}
