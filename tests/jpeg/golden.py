"""Makes golden.json: JPEGs of every kind of kinds.py that are small, with the CRC-32 of the RGB pixels that Pillow shows, or of how many colours they are
where Pillow does not show RGB or gray.

  apt-get install libjpeg-turbo-progs && pip install numpy pillow==13.0.0
  python tests/jpeg/golden.py > tests/jpeg/golden.json
"""
import collections
import io
import json
import tempfile
import zlib

from PIL import Image

import kinds

MOST_BYTES, MOST_OF_A_KIND = 1000, 4


def main():
    by_kind = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for kind, name, jpeg in kinds.kinds(folder):
            if len(jpeg) <= MOST_BYTES:
                by_kind[kind].append((name, jpeg))
    lines = []
    for kind, all_of_it in by_kind.items():
        for at in range(min(MOST_OF_A_KIND, len(all_of_it))):
            name, jpeg = all_of_it[at * len(all_of_it) // min(MOST_OF_A_KIND, len(all_of_it))]
            image = Image.open(io.BytesIO(jpeg))
            lines.append(json.dumps({"kind": kind, "name": name, "mode": image.mode, "crc": zlib.crc32(image.convert("RGB").tobytes()), "jpeg": jpeg.hex()}))
    print("[\n" + ",\n".join(lines) + "\n]")


main()
