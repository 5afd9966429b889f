"""Writes tests/golden/checkpoints: what torch.save makes of small state dicts, in both of its forms.

  python tests/parity/checkpoints.py [--out tests/golden/checkpoints]

Run it with torch 2.15.0, safetensors 0.8.0 and numpy 2.4.6 (the environment of golden.py). `layouts.safetensors` holds the
tensors that every file of the same name before its first point holds; `vit.*` hold those of tests/golden/vit.
 - layouts.pth, layouts.legacy.pth, layouts.protocol4.pth: types, shared storages, strides; the archive, the form of before 1.6, and
   pickle's protocol 4;
 - vit.training.pth: the weights under `model`, behind `module.`, beside an optimizer and what trainings keep;
 - vit.distilled.legacy.pth: the weights under `teacher`, behind `backbone.`, beside a head and a student;
 - vit.model.pth and vit.program.pt: a whole module, and a program (TorchScript), which are refused;
 - quantised.pth, sparse.pth: refused too.
"""
import argparse
import collections
import pathlib
import warnings

import numpy as np
import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/golden/checkpoints")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    tensors = layouts()
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, out / "layouts.safetensors")
    torch.save(tensors, out / "layouts.pth")
    torch.save(tensors, out / "layouts.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(tensors, out / "layouts.protocol4.pth", pickle_protocol=4)
    base = load_file(ROOT / "tests/golden/vit/model.safetensors")
    torch.save(training(base), out / "vit.training.pth")
    torch.save(distilled(base), out / "vit.distilled.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Linear(2, 2), out / "vit.model.pth")
    torch.jit.script(torch.nn.Linear(2, 2)).save(out / "vit.program.pt")
    torch.save({"w": torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8)}, out / "quantised.pth")
    torch.save({"w": torch.eye(3).to_sparse()}, out / "sparse.pth")


def layouts():
    """Tensors of every type that is read, and of every way to lie in a storage."""
    values = torch.arange(24.0) / 8 - 1
    shared = (torch.arange(12.0) - 3) / 4
    return collections.OrderedDict(
        f32=values.reshape(2, 3, 4).clone(),
        f16=values[:6].half(),
        bf16=values[:6].bfloat16(),
        scalar=torch.tensor(0.25),
        shared_start=shared[:6].reshape(2, 3),
        shared_end=shared[4:].reshape(2, 1, 4),
        transposed=values[:12].reshape(3, 4).t(),
        channels_last=values.reshape(1, 2, 3, 4).clone().to(memory_format=torch.channels_last),
        every_other=values[1::2],
        column=values.reshape(6, 4)[:, 2:3],
        parameter=torch.nn.Parameter(values[:4].clone()),
        count=torch.tensor(7),
        truths=torch.tensor([True, False]),
        f64=values[:2].double(),
    )


def training(base):
    """What a training that is to go on keeps."""
    parameters = [torch.nn.Parameter(tensor.clone()) for tensor in list(base.values())[:2]]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3)
    sum(parameter.sum() for parameter in parameters).backward()
    optimizer.step()
    kept = argparse.Namespace(lr=1e-3, data=pathlib.Path("data"), device=torch.device("cpu"), size=torch.Size([8, 8]))
    return {
        "model": collections.OrderedDict((f"module.{name}", tensor) for name, tensor in base.items()),
        "optimizer": optimizer.state_dict(),
        "scaler": {"scale": 65536.0, "dtype": torch.float16},
        "epoch": 3,
        "best": np.float64(0.5),
        "milestones": collections.Counter([30, 60]),
        "args": kept,
        "large": 2**40,
        "negative": -1,
    }


def distilled(base):
    """A student and its teacher, with a head each."""
    teacher = {f"backbone.{name}": tensor for name, tensor in base.items()}
    teacher["dino_head.mlp.0.weight"] = torch.ones(2, 2)
    student = {name: tensor + 1 for name, tensor in teacher.items()}
    return {"student": student, "teacher": teacher, "epoch": 1}


if __name__ == "__main__":
    main()
