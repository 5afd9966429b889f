"""The PACS node for an hour: examples/pacs/soak.py, with nothing left out.

  python3 benches/pacs_soak.py --json soak.json       # 50 associations, 8 images a second; any option of soak.py
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "examples" / "pacs"))
import soak  # noqa: E402

if __name__ == "__main__":
    sys.argv[1:1] = ["--minutes", "60", "--require-full-disk"]
    soak.main()
