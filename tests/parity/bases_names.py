"""Cases of tests/golden/bases under the names of open_clip and of Facebook's releases.

open_clip computes its own. Facebook's files are made of models of transformers and timm, whose tensors are renamed, and computed by these.
"""
import argparse
import copy
import re
from collections import OrderedDict
from functools import partial
from unittest import mock

import open_clip
import timm
import torch
from open_clip.model import resize_pos_embed
from open_clip.push_to_hf_hub import save_for_hf
from open_clip.timm_model import TimmModel
from transformers import Dinov2Config, Dinov2Model

import bases_hf
import bases_timm
from bases import BLOCKS, MLP, PATCH, SIZE, WIDTH, Golden, case, plain_shape, shake

TEXT = dict(context_length=8, vocab_size=20, width=16, heads=2, layers=1)


class NoTokenizer:
    def save_pretrained(self, folder):
        pass


def open_clip_tower(folder, quick, safe):
    vision = dict(image_size=SIZE, layers=BLOCKS, width=WIDTH, head_width=8, patch_size=PATCH, mlp_ratio=MLP / WIDTH)
    said = dict(embed_dim=6, vision_cfg=vision, text_cfg=TEXT) | ({"quick_gelu": True} if quick else {})
    new = lambda size: open_clip.CLIP(**copy.deepcopy(said) | {"vision_cfg": vision | {"image_size": size}}).eval()

    def resized(model, size):
        """As open_clip loads a file for another size."""
        fresh, state = new(size), model.state_dict()
        resize_pos_embed(state, fresh)
        fresh.load_state_dict(state)
        return fresh

    model = shake(new(SIZE))
    model.visual.image_mean, model.visual.image_std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    save_for_hf(copy.deepcopy(model).half(), NoTokenizer(), said, folder, safe_serialization=safe)
    shape = plain_shape(eps=1e-5, pre_norm=True, projection=6, activation="quick_gelu" if quick else "gelu", interpolation="antialias")
    return Golden(model, {"class": lambda model, pixels: model.encode_image(pixels)}, "class", shape, resized=resized,
                  note="heads are width / head_width of vision_cfg; not scaled to length 1")


@case("open-clip", "open_clip")
def _(folder):
    return open_clip_tower(folder, quick=False, safe=True)


@case("open-clip-quickgelu-bin", "open_clip")
def _(folder):
    return open_clip_tower(folder, quick=True, safe=False)


@case("open-clip-timm", "open_clip", "timm")
def _(folder):
    """Like BiomedCLIP. open_clip has no way to say a tiny trunk, so that its heads are in case.json alone."""
    with mock.patch.object(open_clip.timm_model.timm, "create_model", partial(timm.create_model, **{k: v for k, v in bases_timm.COMMON.items() if k != "num_classes"})):
        tower = TimmModel("vit_base_patch16_224", embed_dim=6, image_size=SIZE, pool="", proj="linear")
    model = torch.nn.Module()
    model.visual, model.text, model.logit_scale = tower, torch.nn.Module(), torch.nn.Parameter(torch.ones(()))
    model.text.proj = torch.nn.Linear(8, 6, bias=False)
    shake(model)
    said = dict(embed_dim=6, vision_cfg=dict(timm_model_name="vit_base_patch16_224", timm_model_pretrained=False, timm_pool="", timm_proj="linear", image_size=SIZE),
                text_cfg=dict(hf_model_name="microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", hf_proj_type="mlp", hf_pooler_type="cls_last_hidden_state_pooler",
                              context_length=256))
    tower.image_mean, tower.image_std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    save_for_hf(copy.deepcopy(model).half(), NoTokenizer(), said, folder, safe_serialization=False)

    def resized(model, size):
        model = copy.deepcopy(model)
        if size != SIZE:
            model.visual.set_input_size((size, size))
        return model

    return Golden(model, {"class": lambda model, pixels: model.visual(pixels)}, "class", plain_shape(projection=6, interpolation="antialias"), resized=resized,
                  note="like BiomedCLIP: visual.trunk and visual.head.proj; heads (2) are in no file")


def facebook(state, stored=torch.Tensor.half):
    """The tensors of a model of transformers' dinov2 or dinov3 under Facebook's names, each as `stored`."""
    state, out = dict(state), OrderedDict()
    names = {"patch_embeddings.projection": "patch_embed.proj", "patch_embeddings": "patch_embed.proj", "position_embeddings": "pos_embed",
             "encoder.layer.": "blocks.", "model.layer.": "blocks.", "layer_scale1.lambda1": "ls1.gamma", "layer_scale2.lambda1": "ls2.gamma",
             "attention.o_proj": "attn.proj", "layernorm.": "norm.", "mlp.down_proj": "mlp.w3"}
    for name, value in state.items():
        if re.search(r"(k_proj|v_proj|up_proj)\.", name):
            continue
        if "q_proj" in name:
            k, v = (state.get(name.replace("q_proj", other)) for other in ("k_proj", "v_proj"))
            # Where k has no bias, the release has one that a mask of zeros takes away.
            value = torch.cat([value, torch.full_like(value, 0.25) if k is None else k, v])
            name = name.replace("attention.q_proj", "attn.qkv")
        elif "gate_proj" in name:
            value, name = torch.cat([value, state[name.replace("gate", "up")]]), name.replace("gate_proj", "w12")
        name = name.removeprefix("embeddings.")
        for old, new in names.items():
            name = name.replace(old, new)
        out[name] = stored(value)
    return out


def swiglu_names(state, gate, value):
    """w12 as two layers."""
    for name in [name for name in state if ".w12." in name]:
        first, second = state.pop(name).chunk(2)
        state[name.replace("w12", gate)], state[name.replace("w12", value)] = first.clone(), second.clone()
    return state


@case("facebook-dinov2-reg", "transformers")
def _(folder):
    """The hub's file of a DINOv2 with registers."""
    golden = bases_hf.registers(folder, gated=False)
    for path in folder.iterdir():
        path.unlink()
    state = facebook(golden.model.state_dict())
    state["mask_token"] = torch.zeros(1, WIDTH).half()
    torch.save(state, folder / "dinov2_vits14_reg4_pretrain.pth")
    golden.adapters, golden.trained, golden.file, golden.note = {}, {}, "dinov2_vits14_reg4_pretrain.pth", "heads (2) are in no file"
    return golden


@case("facebook-dinov2-teacher", "transformers")
def _(folder):
    """A checkpoint of a training: student and teacher, blocks in chunks of one, SwiGLU, and a head that is left out. Without registers Facebook resizes
    the table in another way, so only the own size counts."""
    model = shake(Dinov2Model(Dinov2Config(**bases_hf.COMMON, use_swiglu_ffn=True)))
    state = facebook(model.state_dict())
    state = OrderedDict((re.sub(r"^blocks\.(\d+)\.", r"backbone.blocks.\1.\1.", name) if name.startswith("blocks") else f"backbone.{name}", value) for name, value in state.items())
    state["dino_head.mlp.0.weight"] = torch.zeros(4, WIDTH).half()
    torch.save({"teacher": state}, folder / "teacher_checkpoint.pth")
    return Golden(model, bases_hf.tokens_of(1), "class", plain_shape(gated=True, mlp=48, activation="silu", layer_scale=True), sizes=(SIZE,),
                  file="teacher_checkpoint.pth", note="blocks.C.N: block_chunks; teacher, backbone.; heads (2) are in no file")


@case("facebook-dinov3", "transformers")
def _(folder):
    golden = bases_hf.dinov3(folder, gated=True)
    for path in folder.iterdir():
        path.unlink()
    state = swiglu_names(facebook(golden.model.state_dict()), "w1", "w2")
    state["storage_tokens"] = state.pop("register_tokens")
    state["rope_embed.periods"] = (100 ** (torch.arange(3) / 3)).bfloat16()
    for number in range(BLOCKS):
        state[f"blocks.{number}.attn.qkv.bias_mask"] = torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(24).half()
    torch.save(state, folder / "dinov3_vits16plus_pretrain_lvd1689m.pth")
    golden.file = "dinov3_vits16plus_pretrain_lvd1689m.pth"
    golden.note = "qkv.bias with a third for k that bias_mask takes away; w1 is the gate, w2 the value; rope_embed.periods in bf16; heads (2) are in no file"
    return golden


def mae(pooled):
    model = shake(bases_timm.new("vit_large_patch16_224", global_pool="avg" if pooled else "token"))
    state = OrderedDict((name, value.half()) for name, value in model.state_dict().items())
    return model, state


@case("facebook-mae", "timm")
def _(folder):
    """A checkpoint of a pretraining, with its decoder, optimiser and settings."""
    model, state = mae(pooled=False)
    state |= {"mask_token": torch.zeros(1, 1, 8).half(), "decoder_pos_embed": torch.zeros(1, 17, 8).half(), "decoder_embed.weight": torch.zeros(8, WIDTH).half(),
              "decoder_blocks.0.norm1.weight": torch.ones(8).half(), "decoder_norm.weight": torch.ones(8).half(), "decoder_pred.weight": torch.zeros(48, 8).half()}
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))])
    args = argparse.Namespace(batch_size=64, epochs=800, model="mae_vit_large_patch16", input_size=SIZE, lr=1e-3, norm_pix_loss=True, device="cuda", resume="")
    torch.save({"model": state, "optimizer": optimiser.state_dict(), "epoch": 799, "scaler": {"scale": 65536.0}, "args": args}, folder / "checkpoint-799.pth")
    feature = {name: value for name, value in bases_hf.tokens_of(1, lambda model, pixels: model.forward_features(pixels)).items()}
    return Golden(model, feature, "class", plain_shape(), sizes=(SIZE,), file="checkpoint-799.pth", note="{'model', 'optimizer', 'epoch', 'scaler', 'args': Namespace}; heads (2) are in no file")


@case("facebook-mae-tuned-legacy", "timm")
def _(folder):
    """RETFound, fine-tuned with global_pool: fc_norm and no norm, in the format of torch before 1.6."""
    model, state = mae(pooled=True)
    state |= {"head.weight": torch.zeros(3, WIDTH).half(), "head.bias": torch.zeros(3).half()}
    torch.save({"model": state, "epoch": 49, "args": argparse.Namespace(model="RETFound_mae", global_pool=True, nb_classes=3)}, folder / "checkpoint-best.pth",
               _use_new_zipfile_serialization=False)
    feature = {"norm_of_mean": lambda model, pixels: model.forward_head(model.forward_features(pixels), pre_logits=True)}
    return Golden(model, feature, "norm_of_mean", plain_shape(), sizes=(SIZE,), file="checkpoint-best.pth", note="fc_norm; the old form of torch.save; heads (2) are in no file")
