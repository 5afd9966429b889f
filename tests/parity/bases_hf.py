"""Cases of tests/golden/bases that transformers computes: folders as `save_pretrained` writes them."""
import copy
import json

from transformers import (BitImageProcessor, CLIPImageProcessor, CLIPProcessor, CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config,
                          Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel, DINOv3ViTConfig, DINOv3ViTImageProcessor, DINOv3ViTModel,
                          SiglipConfig, SiglipForImageClassification, SiglipImageProcessor, SiglipModel, SiglipVisionConfig, SiglipVisionModel, ViTConfig,
                          ViTImageProcessor, ViTMAEConfig, ViTMAEForPreTraining, ViTModel)

from bases import BLOCKS, HEADS, MLP, PATCH, SIZE, WIDTH, Golden, case, peft, plain_shape, shake

import torch

COMMON = dict(hidden_size=WIDTH, num_hidden_layers=BLOCKS, num_attention_heads=HEADS, image_size=SIZE, patch_size=PATCH)
LINEARS = r".*layers?\.\d.*(q_proj|k_proj|v_proj|o_proj|out_proj|fc1|fc2|gate_proj|up_proj|down_proj)"
SQUASHED = {"size": {"height": SIZE, "width": SIZE}}
CROPPED = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}}


def save(model, folder, processor, **how):
    """In f16, which holds the weights as they are."""
    copy.deepcopy(model).half().save_pretrained(folder, **how)
    processor.save_pretrained(folder)


def tokens_of(patches, call=lambda model, pixels: model(pixel_values=pixels).last_hidden_state):
    """The poolings of a model with a class token, whose patches begin at token `patches`."""
    mean = lambda model, pixels: call(model, pixels)[:, patches:].mean(1)
    return {"class": lambda model, pixels: call(model, pixels)[:, 0], "mean": mean,
            "class_mean": lambda model, pixels: torch.cat([call(model, pixels)[:, 0], mean(model, pixels)], 1)}


def registers(folder, gated):
    """mlp_ratio 4 of width 16: 64 values, in a gated layer (int(64 * 2 / 3) + 7) // 8 * 8 = 48."""
    model = shake(Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**COMMON, num_register_tokens=4, use_swiglu_ffn=gated)))
    save(model, folder, BitImageProcessor(**CROPPED))
    shape = plain_shape(registers=4, gated=gated, mlp=48 if gated else 64, activation="silu" if gated else "gelu", layer_scale=True, interpolation="antialias")
    golden = Golden(model, tokens_of(5), "class", shape)
    return peft(golden, lambda: Dinov2WithRegistersModel.from_pretrained(folder, dtype=torch.float32).eval(), ["lora", "dora"] if gated else [], LINEARS,
                ["lora", "dora"] if gated else [], r".*(q_proj|v_proj|gate_proj|up_proj|down_proj)")


@case("registers", "transformers")
def _(folder):
    return registers(folder, gated=False)


@case("registers-swiglu", "transformers", "peft")
def _(folder):
    return registers(folder, gated=True)


@case("dinov2-swiglu", "transformers")
def _(folder):
    return dinov2(folder, "the old names, as transformers 5 writes them unasked: mlp.weights_in, weights_out")


@case("dinov2-swiglu-modules", "transformers")
def _(folder):
    return dinov2(folder, "the names of transformers 5's modules (save_original_format=False): mlp.gate_proj, up_proj, down_proj", save_original_format=False)


def dinov2(folder, note, **how):
    model = shake(Dinov2Model(Dinov2Config(**COMMON, use_swiglu_ffn=True)))
    save(model, folder, BitImageProcessor(**CROPPED), **how)
    return Golden(model, tokens_of(1), "class", plain_shape(gated=True, mlp=48, activation="silu", layer_scale=True), note=note)


def dinov3(folder, gated, **how):
    config = DINOv3ViTConfig(**COMMON | {"hidden_size": 24}, intermediate_size=32, num_register_tokens=4, use_gated_mlp=gated, hidden_act="silu" if gated else "gelu")
    model = shake(DINOv3ViTModel(config))
    save(model, folder, DINOv3ViTImageProcessor(**SQUASHED), **how)
    shape = plain_shape(hidden=24, mlp=32, registers=4, eps=1e-5, layer_scale=True, positions="rotary", theta=100.0, key_bias=False, gated=gated,
                        activation="silu" if gated else "gelu")
    return Golden(model, tokens_of(5), "class", shape)


@case("dinov3", "transformers", "peft")
def _(folder):
    return peft(dinov3(folder, gated=False), lambda: DINOv3ViTModel.from_pretrained(folder, dtype=torch.float32).eval(), ["lora", "dora"], LINEARS,
                ["lora"], r".*(q_proj|v_proj)")


@case("dinov3-gated", "transformers", "peft")
def _(folder):
    return peft(dinov3(folder, gated=True), lambda: DINOv3ViTModel.from_pretrained(folder, dtype=torch.float32).eval(), ["lora"], LINEARS)


@case("dinov3-modules", "transformers")
def _(folder):
    golden = dinov3(folder, gated=True, save_original_format=False)
    golden.note = "the names of transformers 5's modules: model.layer.N"
    return golden


# Of the vision tower (`SiglipVisionModel`, `.vision_model` of the others).
def siglip_feature(tower, attention=True):
    call = lambda model, pixels: tower(model)(pixel_values=pixels, interpolate_pos_encoding=True)
    mean = {"mean": lambda model, pixels: call(model, pixels).last_hidden_state.mean(1)}
    return ({"attention": lambda model, pixels: call(model, pixels).pooler_output} if attention else {}) | mean


SIGLIP = plain_shape(class_token=False, activation="gelu_tanh")
VISION = COMMON | {"intermediate_size": MLP}
TEXT = dict(hidden_size=WIDTH, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=20, max_position_embeddings=8, bos_token_id=0,
            eos_token_id=1, pad_token_id=2)


@case("siglip-vision", "transformers", "peft")
def _(folder):
    model = shake(SiglipVisionModel(SiglipVisionConfig(**VISION)))
    save(model, folder, SiglipImageProcessor(**SQUASHED))
    golden = Golden(model, siglip_feature(lambda model: model), "attention", SIGLIP, note="the names of transformers 5: no vision_model. in front")
    return peft(golden, lambda: SiglipVisionModel.from_pretrained(folder, dtype=torch.float32).eval(), ["lora", "dora"], LINEARS, ["lora"],
                r"encoder\..*(q_proj|v_proj|fc1)")


@case("siglip", "transformers")
def _(folder):
    model = shake(SiglipModel(SiglipConfig(vision_config=VISION, text_config=TEXT)))
    save(model, folder, SiglipImageProcessor(**SQUASHED))
    return Golden(model, siglip_feature(lambda model: model.vision_model), "attention", SIGLIP, note="the whole model: text tower, logit_scale and logit_bias are left out")


@case("siglip-classifier", "transformers")
def _(folder):
    model = shake(SiglipForImageClassification(SiglipConfig(vision_config=VISION, text_config=TEXT, num_labels=3)))
    save(model, folder, SiglipImageProcessor(**SQUASHED))
    golden = Golden(model, siglip_feature(lambda model: model.vision_model), "mean", SIGLIP,
                    note="the classifier (left out) of SiglipForImageClassification takes the mean; the unused head is in the file all the same")
    pixels = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.allclose(model(pixels).logits, model.classifier(golden.features["mean"](model, pixels)), atol=1e-6)
    return golden


@case("siglip-no-head", "transformers")
def _(folder):
    model = shake(SiglipVisionModel(SiglipVisionConfig(**VISION, vision_use_head=False)))
    save(model, folder, SiglipImageProcessor(**SQUASHED))
    return Golden(model, siglip_feature(lambda model: model, attention=False), "mean", SIGLIP, note="vision_use_head false: no head in the file, so only the mean is possible")


@case("vit-mae", "transformers")
def _(folder):
    """With mask_ratio 0 the patches are only put in another order; positions are added before."""
    decoder = dict(decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2, decoder_intermediate_size=16)
    model = shake(ViTMAEForPreTraining(ViTMAEConfig(**VISION, **decoder)))
    save(model, folder, ViTImageProcessor(**SQUASHED))
    model.config.mask_ratio = 0.0
    call = lambda model, pixels: model.vit(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state
    return Golden(model, tokens_of(1, call), "class", plain_shape(eps=1e-12),
                  note="ViTMAEForPreTraining, vit. in front; the decoder is left out; features at mask_ratio 0")


@case("vit-modules", "transformers")
def _(folder):
    model = shake(ViTModel(ViTConfig(**VISION), add_pooling_layer=False))
    save(model, folder, ViTImageProcessor(**SQUASHED), save_original_format=False)
    call = lambda model, pixels: model(pixel_values=pixels, interpolate_pos_encoding=True).last_hidden_state
    return Golden(model, tokens_of(1, call), "class", plain_shape(eps=1e-12))


@case("clip-processor", "transformers")
def _(folder):
    """A processor that transformers 5 wrote: image_processor in processor_config.json, and no preprocessor_config.json."""
    model = shake(CLIPVisionModelWithProjection(CLIPVisionConfig(**VISION, projection_dim=6)))
    copy.deepcopy(model).half().save_pretrained(folder)
    for name, text in (("vocab.json", json.dumps({"a": 0, "a</w>": 1, "<|startoftext|>": 2, "<|endoftext|>": 3})), ("merges.txt", "#version: 0.2\n")):
        (folder / name).write_text(text)
    CLIPProcessor(CLIPImageProcessor(**CROPPED), CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))).save_pretrained(folder)
    for path in folder.iterdir():
        if "token" in path.name or path.name in ("vocab.json", "merges.txt"):
            path.unlink()
    assert (folder / "processor_config.json").exists() and not (folder / "preprocessor_config.json").exists()
    feature = {"class": lambda model, pixels: model(pixel_values=pixels, interpolate_pos_encoding=True).image_embeds}
    return Golden(model, feature, "class", plain_shape(eps=1e-5, activation="quick_gelu", pre_norm=True, projection=6))
