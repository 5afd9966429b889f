"""Runs what docs/unsupported.md says to do instead: each command of its last column, once, on made
files.

  v/bin/python tests/advice/run.py PACKER        # the environment of tests/differential/make.py

A command of the column that nothing here runs is a failure, and so is one here that the column no
longer names. What is converted must be classified as the picture that it was made of."""

import pathlib
import re
import subprocess
import sys
import tempfile

import dicom
import modules

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What .ci/run and the tests of the workspace run already: the text in the column, and where.
ELSEWHERE = {
    "`cargo install --path packer --features s3`": ".ci/run builds with that feature and runs a forge in a bucket",
    "`export-oms` signs a folder": ".ci/run has the folder verified by model_signing",
    "`medforge_image`": "tests/c_calls/images.rs",
    "`packer base convert --heads N`": "tests/cli/base.rs",
    "`packer base convert --dtype float16`": "tests/cli/base.rs",
    "`packer forge merge --method`": "tests/cli/forge.rs",
    "`packer forge compare`": "tests/cli/forge.rs",
    "`packer forge revert`": "tests/cli/forge/history.rs",
    "`packer merge`": "tests/cli/merge.rs",
    "`packer eval --task --record`": "tests/cli/merge.rs",
}
PROGRAMS = (
    "packer",
    "dcm",
    "gdcmconv",
    "export-oms",
    "audit-privacy",
    "cargo",
    "medforge_image",
    "decompress",
    "apply_color_lut",
    "--",
)


def main(packer):
    advice = dicom.ADVICE | modules.ADVICE
    cells = instead()
    for named in [*advice, *ELSEWHERE]:
        if not any(named in cell for cell in cells):
            sys.exit(f"docs/unsupported.md no longer advises {named}: change tests/advice")
    for cell in cells:
        for command in re.findall(r"`[^`]*`", cell):
            known = any(command in named and named in cell for named in [*advice, *ELSEWHERE])
            if command.strip("`").startswith(PROGRAMS) and not known:
                sys.exit(
                    f"docs/unsupported.md advises {command}, which tests/advice does not run: {cell}"
                )
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(pathlib.Path(packer).resolve(), pathlib.Path(folder))
        failures = []
        for named, runs in advice.items():
            try:
                runs(shop)
                print(f"works: {named}")
            except Exception as error:
                failures.append(f"{named}: {type(error).__name__}: {error}")
    if failures:
        sys.exit("\n".join(["advice that does not work:", *failures]))


def instead():
    """The last column."""
    rows = (ROOT / "docs/unsupported.md").read_text().splitlines()
    return [
        row.strip("| ").split(" | ")[-1]
        for row in rows
        if row.startswith("|") and row.count(" | ") >= 2
    ]


class Shop:
    """A folder to work in, and packer."""

    def __init__(self, program, folder):
        self.program, self.folder, self.classifier = program, folder, None

    def run(self, command, code=0):
        """The output of a command line, `packer` or another program, that ends with `code`."""
        words = command.split()
        if words[0] == "packer":
            words[0] = str(self.program)
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=900)
        if done.returncode != code:
            raise RuntimeError(
                f"{command} ends with {done.returncode}: {done.stderr.strip()[-300:]}"
            )
        return done.stdout + done.stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
