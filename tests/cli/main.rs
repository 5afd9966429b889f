//! The command line as users run it. Every test runs the `packer` program in a folder of its own.

mod base;
mod condense;
mod consoles;
mod data;
mod demo;
mod devices;
mod dicom;
mod flow;
mod forge;
mod import;
#[cfg(unix)]
mod inputs;
mod merge;
mod options;
mod outputs;
mod pages;
mod real_data;
mod refusals;
mod stops;
mod texts;
mod trust;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The `packer` program, to be run in `dir`.
fn packer(dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_packer"));
    command
        .current_dir(dir)
        .args(arguments.split_whitespace())
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE");
    // Without this, Mesa's Vulkan layer writes to standard error.
    command.env("XDG_RUNTIME_DIR", dir);
    command
}

/// Runs packer, which must succeed, and gives its standard output.
fn good(dir: &Path, arguments: &str) -> String {
    let output = packer(dir, arguments).output().unwrap();
    assert!(output.status.success(), "packer {arguments}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs packer, which must end with `code` and one sentence on standard error. Gives the sentence.
fn refused(dir: &Path, code: i32, arguments: &str) -> String {
    let output = packer(dir, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "packer {arguments}: {}", said(&output));
    let sentence = said(&output);
    assert!(
        sentence.starts_with("packer: ") && sentence.trim_end().lines().count() == 1,
        "packer {arguments}: {sentence}"
    );
    sentence
}

/// Starts packer, which writes the folder `out`, and stops it once its checkpoint is there. On a
/// busy machine it may be over before that: then what it wrote goes, and it starts again.
fn stopped(dir: &Path, arguments: &str, out: &str, stop: impl Fn(&mut Child)) -> Output {
    let (made, checkpoint) = (dir.join(out), dir.join(format!("{out}.checkpoint")));
    for _ in 0..5 {
        let mut command = packer(dir, arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if checkpoint.exists() {
                stop(&mut child);
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(600), "no checkpoint in ten minutes");
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        if !made.exists() {
            assert!(checkpoint.exists(), "it ended without a checkpoint: {}", said(&output));
            return output;
        }
        std::fs::remove_dir_all(&made).unwrap();
        let _ = std::fs::remove_file(&checkpoint);
    }
    panic!("packer {arguments}: it was over each time before it could be stopped");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a small base `base` (2 blocks, 16 wide, 16 pixels), images `data` of one hospital
/// and a key pair `k`. It is made once and copied for each test.
fn workshop() -> tempfile::TempDir {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("shape")).unwrap();
        let config = r#"{"model_type":"vit","hidden_size":16,"num_hidden_layers":2,
        "num_attention_heads":2,
            "intermediate_size":32,"image_size":16,"patch_size":4}"#;
        std::fs::write(at("shape/config.json"), config).unwrap();
        let processor = r#"{"size":{"height":16,"width":16},"resample":3,"image_mean":[0.5,0.5,0.5],
            "image_std":[0.5,0.5,0.5]}"#;
        std::fs::write(at("shape/preprocessor_config.json"), processor).unwrap();
        good(dir.path(), "phantom --out data --hospital a --images 120 --size 32");
        good(
            dir.path(),
            "train --full --from-scratch --base shape --data data --task all --out \
                          base --epochs 1",
        );
        good(dir.path(), "keygen --out k");
        dir
    });
    let copy = tempfile::tempdir().unwrap();
    copy_folder(made.path(), copy.path());
    copy
}

/// A workshop in which the module `m` was trained and packed as `b.medforge`.
fn with_bundle() -> tempfile::TempDir {
    let dir = workshop();
    good(dir.path(), &format!("{TRAIN} --out m"));
    good(dir.path(), "bundle --base base --module m --key k.key --out b.medforge");
    dir
}

/// A training of the small module, without --out.
const TRAIN: &str =
    "train --base base --data data --task tissue --epochs 2 --batch 8 --rank 2 --alpha 4 --lr 0.01";

fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file and folder below `dir`, hidden ones too.
fn listing(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(listing(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// The images of the test split, relative to the workshop, with their labels.
fn test_images(dir: &Path) -> Vec<(String, String)> {
    let table = std::fs::read_to_string(dir.join("data/splits.csv")).unwrap();
    let rows = table.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[3] == "test")
        .map(|row| (format!("data/{}", row[0]), row[1].to_owned()))
        .collect()
}

/// A text of an archive.
fn entry(archive: &Path, name: &str) -> String {
    let bytes = std::fs::read(archive).unwrap();
    let parts = medforge_runtime::bundle::frame::parse(&bytes).unwrap();
    let (_, range) = parts
        .into_iter()
        .find(|(part, _)| part == name)
        .unwrap_or_else(|| panic!("there is no {name}"));
    String::from_utf8(bytes[range].to_vec()).unwrap()
}

/// Some image of the workshop.
fn some_picture(at: &Path) -> String {
    let list = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    format!("data/{}", list.lines().nth(1).unwrap().split(',').next().unwrap())
}
