"""A forge in a bucket of an S3-compatible server: the commands of a folder, many processes at once, and what is in the bucket after.

  cargo build --release --features s3
  python tests/s3/forge_in_a_bucket.py target/release/packer

Run it in a virtual environment with moto's server (`pip install "moto[server,s3]"`), which this script starts on a free port of this
machine and stops. Exits with 1 when any check fails.
"""
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

CONFIG = {"model_type": "vit", "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
          "intermediate_size": 32, "image_size": 16, "patch_size": 4}
IMAGES = {"size": {"height": 16, "width": 16}, "resample": 3, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
TASKS = ["breast", "lung", "colon", "chest"]
FORGE = "s3://hospitals/forges/first"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# moto looks whether a key is there and then writes it, without a lock; real stores do both at once. One thread makes it so.
SERVER = """
import sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple
run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
"""


def start_server(port):
    command = [sys.executable, "-c", SERVER, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(1800):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/").close()
            return server
        except OSError:
            time.sleep(0.1)
    server.terminate()
    sys.exit("the server did not start")


def main():
    packer = str(pathlib.Path(sys.argv[1]).resolve())
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "AWS_ENDPOINT": endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "XDG_RUNTIME_DIR": tempfile.gettempdir(),
    }
    server = start_server(port)
    try:
        with tempfile.TemporaryDirectory() as place:
            check(packer, pathlib.Path(place), endpoint, environment)
    finally:
        server.terminate()
        server.wait()
    print("all good")


def check(packer, place, endpoint, environment):
    def start(arguments):
        return subprocess.Popen([packer, *arguments.split()], cwd=place, env=environment, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def end(process, code=0):
        out, err = process.communicate(timeout=900)
        assert process.returncode == code, f"{process.args}: {process.returncode}: {err}"
        return out if code == 0 else err

    def run(arguments, code=0):
        return end(start(arguments), code)

    s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    assert "forges/first" in run(f"forge log {FORGE}", 1), "a bucket that is not there"
    s3.create_bucket(Bucket="hospitals")
    assert "is no forge" in run(f"forge log {FORGE}", 1)

    (place / "shape").mkdir()
    (place / "shape/config.json").write_text(json.dumps(CONFIG))
    (place / "shape/preprocessor_config.json").write_text(json.dumps(IMAGES))
    run("phantom --out data --hospital a --images 120 --size 32")
    run("train --full --from-scratch --base shape --data data --task all --out base --epochs 1")
    for key in ["forge", "a"]:
        run(f"keygen --out {key}")
    (place / "contributors.toml").write_text('[[contributor]]\nname = "a"\nkey = "a.pub"\n')
    (place / "card.md").write_text("Phantoms.\n")
    for task in TASKS:
        run(f"train --base base --data data --task {task} --contributor a --epochs 1 --rank 2 --out m-{task}")
        run(f"condense --base base --data data --task {task} --per-class 2 --iterations 2 --views 2 --device cpu --out c-{task}")
        for counter in [1, 2]:
            run(f"contribute --base base --module m-{task} --condensed c-{task} --card card.md --key a.key"
                f" --counter {counter} --out {task}-{counter}")

    init = f"forge init {FORGE} --base base --trust contributors.toml --key forge.key"
    run(init)
    assert "is a forge already" in run(init, 1)

    # Pushes, merges and verifications at once.
    merge, verify = f"forge merge {FORGE} --key forge.key", f"forge verify {FORGE} --trust forge.pub"
    processes = [start(c) for task in TASKS for c in (f"forge push {FORGE} {task}-1", merge, verify)]
    for process in processes:
        end(process)
    run(merge)
    log = json.loads(run(f"forge log {FORGE} --json"))
    names = sorted(item["item"]["added"]["name"] for item in log["items"])
    assert names == sorted(f"a/{task}" for task in TASKS) and not log["waiting"], names

    assert "number 1 of a/lung" in run(f"forge push {FORGE} lung-1", 3)
    run(f"forge push {FORGE} lung-2")
    run(merge)
    # Who came first is chance; lung's first contribution is gone already.
    other = next(item["item"]["number"] for item in log["items"] if item["item"]["added"]["name"] != "a/lung")
    run(f"forge revert {FORGE} v{other} --key forge.key")
    said = run(f"{verify} --rebuild")
    assert "verified: 6 items, 5 contributions (0 not merged yet)" in said and "same bytes: 6" in said, said

    # What the bucket holds is what docs/format.md says.
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="hospitals")
    keys = [entry["Key"].removeprefix("forges/first/") for page in pages for entry in page["Contents"]]
    read = lambda key: s3.get_object(Bucket="hospitals", Key=f"forges/first/{key}")["Body"].read()
    for key in keys:
        if key.startswith("objects/"):
            assert key == f"objects/{hashlib.sha256(read(key)).hexdigest()}", key
    numbered = sorted(key for key in keys if not key.startswith("objects/"))
    expected = ["forge.zip"] + [f"items/{n:06}.zip" for n in range(1, 7)] + [f"pushes/{n:06}.zip" for n in range(1, 6)]
    assert numbered == expected, numbered

    victim = next(key for key in keys if key.startswith("objects/"))
    s3.put_object(Bucket="hospitals", Key=f"forges/first/{victim}", Body=b"nothing")
    assert victim.removeprefix("objects/") in run(verify, 3)


if __name__ == "__main__":
    main()
