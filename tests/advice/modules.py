"""Advice about training and packing, on synthetic tissue and the bases that the tests carry."""

import pathlib
import shutil

TESTS = pathlib.Path(__file__).resolve().parents[1]
TRAIN = "packer train --device cpu --contributor a --licence CC0-1.0 --data data --epochs 1 --batch 8 --rank 2 --lr 0.01"


def once(shop):
    """Images, a base, two modules, keys: made by whatever needs them first."""
    if (shop.folder / "k.key").exists():
        return
    shutil.copytree(TESTS / "frozen/base", shop.folder / "base")
    shop.run("packer phantom --out data --hospital a --images 120 --size 32")
    for task in ("one", "two"):
        shop.run(f"{TRAIN} --base base --task {task} --out {task}")
    shop.run("packer keygen --out k")


def bundle(shop):
    once(shop)
    shop.run("packer bundle --base base --module one --key k.key --out one.medforge --force")
    shop.run("packer verify one.medforge --trust k.pub")


def repack(shop):
    bundle(shop)
    path = shop.folder / "one.medforge"
    path.write_bytes(path.read_bytes() + b"x")
    shop.run("packer verify one.medforge --trust k.pub", 3)
    bundle(shop)


def size(shop):
    once(shop)
    shop.run(f"{TRAIN} --base base --task odd --out odd --size 33", 1)
    shop.run(f"{TRAIN} --base base --task odd --out odd --size 16 --force")


def int8(shop):
    once(shop)
    shop.run(
        "packer bundle --base base --module one --key k.key --out int8.medforge --int8 one=data"
    )
    shop.run("packer verify int8.medforge --trust k.pub")


def class_text(shop):
    once(shop)
    (shop.folder / "clip").mkdir()
    for name in (
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
        "vocab.json",
        "merges.txt",
    ):
        shutil.copy(TESTS / "golden/clip" / name, shop.folder / "clip")
    texts = "--head text --class-text regular=benign --class-text atypical=odd --class-text invasive=cancer"
    shop.run(f"{TRAIN} --base clip --task tissue --out text {texts}")
    shop.run(
        "packer bundle --base clip --module text --key k.key --out text.medforge --class-text tissue:mucus=mucus"
    )
    if "without training" not in shop.run("packer inspect text.medforge"):
        raise RuntimeError("the class is not in the bundle")


def forge(shop):
    """An empty forge `NAME` for what contributors of two tasks made."""
    once(shop)
    if (shop.folder / "one.contribution").exists():
        return
    (shop.folder / "card.md").write_text("Synthetic tissue.\n")
    (shop.folder / "contributors.toml").write_text('[[contributor]]\nname = "a"\nkey = "k.pub"\n')
    shop.run("packer keygen --out forge")
    for task in ("one", "two"):
        shop.run(
            f"packer eval --device cpu --base base --module {task} --data data --resamples 100 --record"
        )
        shop.run(
            f"packer condense --device cpu --base base --data data --task {task} --out c-{task} --per-class 2 "
            "--iterations 2 --views 2"
        )
        shop.run(
            f"packer contribute --base base --module {task} --condensed c-{task} --card card.md --key k.key --grams data "
            f"--out {task}.contribution"
        )


def merged(shop, name, how):
    """A forge with both contributions, merged in this way."""
    forge(shop)
    shop.run(f"packer forge init {name} --base base --trust contributors.toml --key forge.key")
    for task in ("one", "two"):
        shop.run(f"packer forge push {name} {task}.contribution")
    shop.run(f"packer forge merge {name} --key forge.key {how}")
    shop.run(f"packer forge bundle {name} --key k.key --out {name}.medforge")


def audit(shop):
    once(shop)
    shop.run("packer audit-privacy --device cpu --base base --data data --module one --shadows 4")


def without_dora(shop):
    """A module trained with --dora is not fused; one trained without it is."""
    once(shop)
    shop.run(f"{TRAIN} --base base --task three --out three --dora")
    merge = "packer merge --base base --module one --method average --out merged"
    shop.run(f"{merge} --module three", 1)
    shop.run(f"{merge} --module two")


ADVICE = {
    "`--device cpu`": once,
    "`--size` a multiple of the patch": size,
    "a smaller `--size`": size,
    "pack it with `packer bundle`": repack,
    "pack the base with `packer bundle`": bundle,
    "calibrate the modules and pack them with `packer bundle`": bundle,
    "`packer bundle --class-text` of one module": class_text,
    "`packer bundle --int8 TASK=DIR`": int8,
    "`packer contribute --grams DATA`": lambda shop: merged(shop, "regmean", "--method regmean"),
    "`--refit-heads` with methods of one network": lambda shop: merged(
        shop, "refitted", "--method ties --refit-heads"
    ),
    "a mixture with `--routing`": lambda shop: merged(
        shop, "mixed", "--method mixture --shares --routing"
    ),
    "`audit-privacy --module` measures": audit,
    "training without `--dora`": without_dora,
}
