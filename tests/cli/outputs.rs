//! What stands where a command writes: every option that writes against a device, a FIFO, a socket,
//! links, folders, files, inputs of the same command and secret keys. And what killed runs leave,
//! and the same bytes from the same seed.
#![cfg(unix)]

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::*;

/// An option that writes. `line` is a command with `@` for the path; what stands in its way is
/// refused before any work, so that the inputs need not be good.
struct Row {
    name: &'static str,
    line: &'static str,
    /// Where it writes, if not to `@` itself.
    target: &'static str,
    goes: Goes,
    /// Whether the line ends well in the workshop, so that `--force` can be seen to replace.
    runs: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Goes {
    /// A file that `--force` replaces.
    File,
    /// A file that the command keeps up to date: refused unless it is such a file.
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

const ROWS: [Row; 27] = [
    at("@.key", row("keygen --out", "keygen --out @", Never)),
    at("@.pub", row("keygen --out", "keygen --out @", Never)),
    runs("train --out", SMALL_TRAINING, Folder("module.json")),
    at("@.checkpoint", row("train --out", SMALL_TRAINING, Updated)),
    row("train --report", "train --base base --data data --task t --out new --report @", File),
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

/// As `verify --state`: one struct holds the options of all three. And what needs a picture's name,
/// or is a folder of many files.
const ALIKE: [&str; 3] = ["classify --state", "export-oms --state", "classify --explain"];
/// Whole folders of pages, which a test of its own looks at.
const APART: [&str; 1] = ["completions --man"];

/// The options and arguments that name what is read.
const READ: [&str; 20] = [
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

#[test]
fn every_option_that_names_a_path_is_known_as_read_or_written() {
    fn walk(command: &clap::Command, above: &str, found: &mut BTreeSet<String>) {
        let name = if above.is_empty() { String::new() } else { format!("{above} ") };
        for arg in command.get_arguments() {
            if arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() {
                let value = arg
                    .get_value_names()
                    .and_then(|names| names.first())
                    .map_or("", |name| name.as_str());
                let own =
                    arg.get_long().map_or_else(|| value.to_owned(), |long| format!("--{long}"));
                if !READ.contains(&own.as_str()) {
                    found.insert(format!("{name}{own}"));
                }
            }
        }
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            walk(below, &format!("{name}{}", below.get_name()), found);
        }
    }
    let (mut found, mut command) = (BTreeSet::new(), medforge_packer::cli::command());
    command.build();
    walk(&command, "", &mut found);
    let rows = ROWS.iter().map(|row| row.name).chain(ALIKE).chain(APART).map(str::to_owned);
    assert_eq!(
        found,
        rows.collect(),
        "add a new option that writes to ROWS, and one that reads to READ"
    );
}

/// A workshop with a module, a bundle, a contribution, a forge with one item, a trust file and a
/// second key.
fn shop() -> tempfile::TempDir {
    let dir = super::forge::forge();
    let at = dir.path();
    good(at, "keygen --out other");
    good(at, "bundle --base base --module m --key k.key --out b.medforge");
    let made = super::forge::contribution(at, "a", "tissue", 1);
    fs::rename(at.join(made), at.join("a.contribution")).unwrap();
    good(at, "forge push F a.contribution");
    good(at, "forge merge F --key forge.key");
    fs::copy(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/trust.toml"),
        at.join("trust.toml"),
    )
    .unwrap();
    dir
}

/// Everything below `at`: names, kinds, inodes, and what is in files.
fn state(at: &Path) -> Vec<(PathBuf, u32, u64, Vec<u8>)> {
    let one = |path: PathBuf| {
        let found = fs::symlink_metadata(&path).unwrap();
        let bytes = if found.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        (path, found.mode(), found.ino(), bytes)
    };
    listing(at).into_iter().map(one).collect()
}

/// Demands that `line` is refused in one sentence that names `path` and has one of `words`, and
/// that nothing changes.
fn stays(dir: &Path, line: &str, path: &str, words: &[&str]) {
    let before = state(dir);
    let output = packer(dir, line).output().unwrap();
    let sentence = said(&output);
    assert!(matches!(output.status.code(), Some(1 | 3)), "{line}: {:?} {sentence}", output.status);
    assert!(
        sentence.starts_with("packer: ") && sentence.lines().count() == 1,
        "{line}: {sentence}"
    );
    let named = sentence.contains(path) && words.iter().any(|word| sentence.contains(word));
    assert!(named, "{line}: {sentence} is about neither {path} nor {words:?}");
    assert!(state(dir) == before, "{line}: something changed");
}

#[test]
fn nothing_takes_the_place_of_what_is_no_regular_file_an_input_or_a_key() {
    let dir = shop();
    let at = dir.path();
    let key = fs::read(at.join("other.key")).unwrap();
    fs::create_dir(at.join("elsewhere")).unwrap();
    fs::write(at.join("elsewhere/file"), b"theirs").unwrap();
    for row in &ROWS {
        let target = row.target.replace('@', "t");
        let path = at.join(&target);
        let line = row.line.replace('@', "t");
        let is_folder = matches!(row.goes, Folder(_) | EmptyFolder);
        let forced = format!("{line} --force");
        // Where there is no such option, the line as it is.
        let forced = if matches!(row.goes, File | Folder(_)) { &forced } else { &line };
        let gone = || fs::remove_file(&path).unwrap();

        let made = Command::new("mknod").arg(&path).args(["c", "1", "3"]).output().unwrap();
        if made.status.success() {
            stays(at, forced, &target, &["is a device"]);
            gone();
        }
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        stays(at, forced, &target, &["is a FIFO"]);
        gone();
        let socket = UnixListener::bind(&path).unwrap();
        stays(at, forced, &target, &["is a socket"]);
        drop(socket);
        gone();
        for to in ["elsewhere/file", "elsewhere", "nowhere"] {
            symlink(to, &path).unwrap();
            stays(at, forced, &target, &[&format!("is a link to {to}")]);
            gone();
        }

        if is_folder {
            fs::write(&path, b"theirs").unwrap();
            stays(at, forced, &target, &["is a file; name a folder"]);
            gone();
            fs::create_dir(&path).unwrap();
            fs::write(path.join("theirs"), b"theirs").unwrap();
            stays(
                at,
                &line,
                &target,
                &["exists already; choose another --out, or pass --force", "is not empty"],
            );
            stays(
                at,
                forced,
                &target,
                &["so it is not something that --force replaces", "is not empty"],
            );
            if let Folder(marker) = row.goes {
                fs::write(path.join(marker), b"{}").unwrap();
                fs::write(path.join("theirs"), &key).unwrap();
                stays(at, forced, &target, &["holds a secret key"]);
            }
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::create_dir(&path).unwrap();
            stays(
                at,
                forced,
                &target,
                &["is a folder; name a file", "exists already and a key is never replaced"],
            );
            fs::remove_dir(&path).unwrap();
            fs::write(&path, b"theirs").unwrap();
            let option = row.name.split(' ').next_back().unwrap();
            let exists = format!("exists already; choose another {option}, or pass --force");
            let words = match row.goes {
                File => vec![exists.as_str()],
                _ => vec![
                    "never replaced",
                    "--resume",
                    "rejected_state_cached",
                    "bad_json",
                    "signatures",
                ],
            };
            stays(at, &line, &target, &words);
            fs::write(&path, &key).unwrap();
            stays(at, forced, &target, &["holds a secret key", "never replaced"]);
            gone();
        }

        // What another argument of the same line names, in another spelling.
        for word in row.line.split(' ').filter(|word| row.target == "@" && at.join(word).exists()) {
            let line = row.line.replace('@', &format!("elsewhere/../{word}"));
            let force = if matches!(row.goes, File | Folder(_)) { " --force" } else { "" };
            stays(at, &format!("{line}{force}"), word, &["is what "]);
        }
    }
}

#[test]
fn what_stands_is_replaced_with_force_alone() {
    let dir = shop();
    let at = dir.path();
    for row in ROWS.iter().filter(|row| row.runs) {
        let line = row.line.replace('@', "t");
        good(at, &line);
        let _ = fs::remove_dir_all(at.join("new"));
        stays(at, &line, "t", &["--force"]);
        let inode = fs::metadata(at.join("t")).unwrap().ino();
        good(at, &format!("{line} --force"));
        assert_ne!(
            fs::metadata(at.join("t")).unwrap().ino(),
            inode,
            "{line} --force replaced nothing"
        );
        let _ = fs::remove_dir_all(at.join("new"));
        let _ = fs::remove_file(at.join("t")).or_else(|_| fs::remove_dir_all(at.join("t")));
    }
    // In a folder that the command reads, what it does not read there.
    for (line, target) in [
        (
            "eval --base base --module m --data data --resamples 100 --device cpu \
             --report m/r.html",
            "m/r.html",
        ),
        (
            "eval --base base --module m --data data --resamples 100 --device cpu --predictions \
             data/p.csv",
            "data/p.csv",
        ),
        ("bundle --base base --module m --key k.key --out m/b.medforge", "m/b.medforge"),
    ] {
        good(at, line);
        stays(at, line, target, &["or pass --force"]);
        good(at, &format!("{line} --force"));
    }
    for force in ["", " --force"] {
        let line =
            format!("eval --base base --module m --data data --predictions data/splits.csv{force}");
        stays(
            at,
            &line,
            "data/splits.csv",
            &["may belong to, what --data names (data); choose another --predictions"],
        );
    }
    let picture = some_picture(at);
    let explain = format!("classify b.medforge --trust k.pub --task tissue {picture} --explain");
    good(at, &format!("{explain} t.png"));
    stays(at, &format!("{explain} t.png"), "t.png", &["--force"]);
    good(at, &format!("{explain} t.png --force"));
    stays(at, &format!("{explain} {picture} --force"), &picture, &["what IMAGE names"]);
}

#[test]
fn a_folder_is_not_replaced_while_it_holds_the_options_of_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    for (command, marker) in [("phantom", "splits.csv"), ("demo", "report.html")] {
        fs::create_dir(at.join(command)).unwrap();
        fs::write(at.join(command).join(marker), b"older").unwrap();
        fs::write(at.join(command).join("o.toml"), "[train]\nseed = 1\n").unwrap();
        let line = format!("{command} --out {command} --force --config {command}/o.toml");
        stays(at, &line, command, &["holds what --config names"]);
    }
}

#[test]
fn pages_of_the_manual_replace_others_with_force_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    good(at, "completions --man man");
    let pages = listing(at).len();
    let man = "completions --man man";
    stays(at, man, "man/packer.1", &["--force"]);
    good(at, &format!("{man} --force"));
    assert_eq!(listing(at).len(), pages);
    let page = at.join("man/packer-train.1");
    fs::remove_file(&page).unwrap();
    symlink("packer.1", &page).unwrap();
    stays(at, &format!("{man} --force"), "packer-train.1", &["is a link to man/packer.1"]);
    fs::write(at.join("file"), b"theirs").unwrap();
    stays(at, "completions --man file", "file", &["is no folder"]);
}

/// What a command is there to bring up to date stays a link to elsewhere too.
#[test]
fn links_are_not_followed_by_what_is_kept_up_to_date() {
    let dir = shop();
    let at = dir.path();
    fs::rename(at.join("m/module.json"), at.join("card.json")).unwrap();
    symlink("../card.json", at.join("m/module.json")).unwrap();
    let record = "eval --base base --module m --data data --resamples 100 --device cpu --record";
    stays(at, record, "m/module.json", &["is a link to m/../card.json"]);
    fs::rename(at.join("trust.toml"), at.join("mine.toml")).unwrap();
    symlink("mine.toml", at.join("trust.toml")).unwrap();
    let next = "trust trust.toml --next mine.toml --signatures mine.toml";
    stays(at, next, "trust.toml", &["is a link to mine.toml"]);
}

fn left(at: &Path) -> BTreeSet<String> {
    let names =
        fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".packer-")).collect()
}

#[test]
fn what_a_killed_run_left_goes_with_the_next_and_a_run_that_goes_on_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let begin = || {
        let before = left(at);
        let child = packer(at, "phantom --out p --images 3000 --size 256")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while left(at).is_subset(&before) {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing was begun in a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
        std::thread::sleep(Duration::from_millis(50));
        child
    };
    for _ in 0..2 {
        let mut killed = begin();
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    assert_eq!(left(at).len(), 1, "the second run removed what the first had left");
    let mut alive = begin();
    assert_eq!(left(at).len(), 1);
    good(at, "phantom --out p --images 12 --size 32");
    assert!(alive.try_wait().unwrap().is_none(), "the long run ended before it could be disturbed");
    assert_eq!(left(at).len(), 1, "a run that goes on lost its folder");
    alive.kill().unwrap();
    alive.wait().unwrap();
    good(at, "phantom --out p --images 12 --size 32 --force");
    assert!(left(at).is_empty());
}

#[test]
fn a_forced_run_that_was_stopped_can_go_on() {
    let dir = workshop();
    let at = dir.path();
    good(at, &format!("{TRAIN} --out m/"));
    assert!(!at.join("m/.checkpoint").exists());
    fs::write(at.join("m.checkpoint"), b"x").unwrap();
    assert!(refused(at, 1, &format!("{TRAIN} --out m --resume")).contains("--force"));
    let both = refused(at, 1, &format!("{TRAIN} --out m --resume --force"));
    assert!(both.contains("m.checkpoint"), "the checkpoint is read, not forgotten: {both}");
}
