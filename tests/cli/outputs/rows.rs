//! Every option that writes, with a command line for it.

/// An option that writes. `line` is a command with `@` for the path. What exists there is refused
/// before any work, so the inputs need not be good.
pub struct Row {
    pub name: &'static str,
    pub line: &'static str,
    /// The path that it writes, if not `@` itself.
    pub target: &'static str,
    pub goes: Goes,
    /// Whether the line succeeds in the workshop, so that `--force` can be tested.
    pub runs: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Goes {
    /// A file that `--force` replaces.
    File,
    /// A file that the command updates. It is refused unless it is such a file.
    Updated,
    /// A file that nothing replaces.
    Never,
    /// A folder that `--force` replaces if it holds this file.
    Folder(&'static str),
    /// A folder that is new or empty.
    EmptyFolder,
}

use Goes::*;

const fn row(name: &'static str, line: &'static str, goes: Goes) -> Row {
    Row { name, line, target: "@", goes, runs: false }
}

const fn runs(name: &'static str, line: &'static str, goes: Goes) -> Row {
    Row { name, line, target: "@", goes, runs: true }
}

const fn at(target: &'static str, row: Row) -> Row {
    Row { target, ..row }
}

const SMALL_TRAINING: &str =
    "train --base base --data data --task t --epochs 1 --batch 32 --rank 2 --device cpu --out @";

pub const ROWS: [Row; 28] = [
    at("@.key", row("keygen --out", "keygen --out @", Never)),
    at("@.pub", row("keygen --out", "keygen --out @", Never)),
    runs("train --out", SMALL_TRAINING, Folder("module.json")),
    at("@.checkpoint", row("train --out", SMALL_TRAINING, Updated)),
    row("train --report", "train --base base --data data --task t --out new --report @", File),
    runs("base convert --out", "base convert base --out @", Folder("config.json")),
    row(
        "import --out",
        "import --base base --adapter m --task t --class a --class b --out @",
        Folder("module.json"),
    ),
    row(
        "condense --out",
        "condense --base base --data data --task t --per-class 1 --out @",
        Folder("condensed.json"),
    ),
    at(
        "@.checkpoint",
        row(
            "condense --out",
            "condense --base base --data data --task t --per-class 1 --out @",
            Updated,
        ),
    ),
    row(
        "condense --report",
        "condense --base base --data data --task t --per-class 1 --out new --report @",
        File,
    ),
    row(
        "contribute --out",
        "contribute --base base --module m --condensed m --card data/splits.csv \
         --key k.key --out @",
        File,
    ),
    runs(
        "eval --predictions",
        "eval --base base --module m --data data --resamples 100 --device cpu --predictions @",
        File,
    ),
    runs(
        "eval --report",
        "eval --base base --module m --data data --resamples 100 --device cpu --report @",
        File,
    ),
    row("eval --explain", "eval --base base --module m --data data --explain @", EmptyFolder),
    runs(
        "merge --out",
        "merge --base base --module m --method average --out @",
        Folder("merge.json"),
    ),
    runs(
        "merge --report",
        "merge --base base --module m --method average --out new --report @",
        File,
    ),
    row(
        "export-oms --out",
        "export-oms b.medforge --trust k.pub --ec-key k.key --out @",
        Folder("model.sig"),
    ),
    runs("export-onnx --out", "export-onnx --base base --out @", File),
    runs("bundle --out", "bundle --base base --module m --key k.key --out @", File),
    runs("forge bundle --out", "forge bundle F --key k.key --out @", File),
    runs("forge compare --html", "forge compare F --methods average --html @", File),
    runs("sign --out", "sign b.medforge --key other.key --out @", File),
    at("@", row("sign --out", "sign trust.toml --key k.key --out @", Updated)),
    runs("sign --export-request", "sign b.medforge --export-request @", File),
    row("verify --state", "verify b.medforge --trust k.pub --state @", Updated),
    runs("inspect --pictures", "inspect a.contribution --pictures @", File),
    row("demo --out", "demo --out @", Folder("report.html")),
    runs("phantom --out", "phantom --images 12 --size 32 --out @", Folder("splits.csv")),
];

/// Options like `verify --state`, whose options all three share. Also those that need a picture's
/// name, or write a folder of many files.
pub const ALIKE: [&str; 3] = ["classify --state", "export-oms --state", "classify --explain"];
/// Whole folders of pages, which have a test of their own.
pub const APART: [&str; 1] = ["completions --man"];

/// The options and arguments that name inputs.
pub const READ: [&str; 21] = [
    "BASE",
    "--adapter",
    "--base",
    "--card",
    "--codes",
    "--condensed",
    "--config",
    "--data",
    "--ec-key",
    "--grams",
    "--import-signature",
    "--key",
    "--module",
    "--next",
    "--signatures",
    "--trust",
    "BUNDLE",
    "CONTRIBUTION",
    "DATA",
    "FILE",
    "IMAGE",
];
