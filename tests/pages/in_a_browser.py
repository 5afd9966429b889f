"""Every page that packer writes, in headless Chromium, light, dark and printed: in_a_browser.py PACKER [FOLDER]

Makes small runs on synthetic tissue in FOLDER (a temporary one otherwise), and fails where a page says something on the console, asks for anything
outside, lacks one of its headings, is wider than the window, or is drawn empty. Pictures of the pages stay in FOLDER.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

WIDTH, HEIGHT = 1200, 2400
packer = pathlib.Path(sys.argv[1]).resolve()
scratch = tempfile.TemporaryDirectory()
place = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else scratch.name).resolve()
place.mkdir(parents=True, exist_ok=True)
chromium = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None) or sys.exit("there is no Chromium")


def run(arguments):
    done = subprocess.run([packer, *arguments.split()], cwd=place, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"packer {arguments}: {done.stderr}")


def made():
    """The pages, each with words that it must show."""
    train = "train --base out/base --data data --epochs 3 --batch 16 --rank 4 --alpha 4 --size 64 --contributor hospital-a"
    condense = "condense --base out/base --data data --task tissue --per-class 3 --iterations 30 --views 4 --blocks 2 --size 64"
    if not (place / "out").exists():
        run("demo --images 48 --epochs 2 --out out")
        run("phantom --out data --hospital all --images 120 --size 64")
        run(f"{train} --task tissue --out m/tissue --validation 0.25 --report train.html")
        run(f"{train} --task other --out m/other --targets q,v,fc1 --seed 1 --report train-alone.html")
        name_hospitals(place / "data/splits.csv")
        run("eval --base out/base --module m/tissue --data data --resamples 400 --by hospital --explain seen --report eval.html")
        run(f"{condense} --out c/open --report condense.html")
        run(f"{condense} --out c/private --epsilon 8 --min-groups 2 --report condense-private.html")
        run(f"{condense.replace('tissue', 'other')} --out c/other --seed 1")
        run("merge --base out/base --module m/tissue --module m/other --method ties --rank 6 --out merged --report merge.html")
        run("keygen --out k")
        run("keygen --out a")
        (place / "contributors.toml").write_text('[[contributor]]\nname = "hospital-a"\nkey = "a.pub"\n')
        (place / "card.md").write_text("Synthetic tissue.\n")
        run("forge init F --base out/base --trust contributors.toml --key k.key")
        for task, condensed in [("tissue", "open"), ("other", "other")]:
            parts = f"--base out/base --module m/{task} --condensed c/{condensed}"
            run(f"contribute {parts} --key a.key --card card.md --out {task}.contribution")
            run(f"forge push F {task}.contribution")
        run("forge merge F --key k.key --method ties")
        run("forge compare F --methods average,ties --data tissue=data --resamples 100 --trust k.pub --html compare.html")
    return {
        "out/report.html": ["Training loss", "The bundle"],
        "train.html": ["Course", "Validation part", "Settings"],
        "train-alone.html": ["No validation part was held out"],
        "eval.html": ["The module and its floors", "ROC curves", "By hospital", "The gap in", "Reliability", "Where predictions come from"],
        "condense.html": ["Privacy", "Course of the objective", "Condensed images"],
        "condense-private.html": ["differentially private"],
        "merge.html": ["Members", "Site by site"],
        "compare.html": ["Real images", "each its own module"],
    }


def name_hospitals(splits):
    """Adds a column: the first folder of each path."""
    head, *rows = splits.read_text().splitlines()
    lines = [f"{head},hospital", *(f"{row},{row.split('/')[0]}" for row in rows)]
    splits.write_text("\n".join(lines) + "\n")


def browser(page, *flags):
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--hide-scrollbars",
               "--enable-logging=stderr", f"--user-data-dir={place}/.chromium", f"--window-size={WIDTH},{HEIGHT}", *flags, (place / page).as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    spoken = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    if done.returncode != 0 or spoken:
        sys.exit(f"{page}: Chromium ended with {done.returncode} and said {spoken or done.stderr[-500:]}")
    return done.stdout


def rows(png):
    """How many different rows of pixels a PNG has: few in a page that is drawn empty."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        length, kind = int.from_bytes(data[at:at + 4], "big"), data[at + 4:at + 8]
        packed += data[at + 8:at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    raw = zlib.decompress(packed)
    stride = len(raw) // HEIGHT
    return len({raw[row * stride:(row + 1) * stride] for row in range(HEIGHT)})


for page, words in made().items():
    name = page.replace("/", "-").removesuffix(".html")
    shown = browser(page, "--dump-dom")
    for word in words:
        if word not in shown:
            sys.exit(f"{page} does not show {word!r}")
    outside = re.findall(r"""(?:src|href)=["'](?!data:)[^"']*""", shown)
    if outside or "<script" in shown:
        sys.exit(f"{page} reaches outside: {outside}")
    for look, flags in {"light": [], "dark": ["--blink-settings=preferredColorScheme=0"]}.items():
        picture = place / f"{name}-{look}.png"
        browser(page, f"--screenshot={picture}", *flags)
        if rows(picture) < 100:
            sys.exit(f"{page} is drawn empty ({look})")
    light, dark = ((place / f"{name}-{look}.png").read_bytes() for look in ("light", "dark"))
    if light == dark:
        sys.exit(f"{page} looks the same in the dark")
    printed = place / f"{name}.pdf"
    browser(page, f"--print-to-pdf={printed}", "--no-pdf-header-footer")
    if printed.stat().st_size < 10_000:
        sys.exit(f"{page} prints empty")
    print(f"{page}: shown, in the dark, printed")
print("all good")
