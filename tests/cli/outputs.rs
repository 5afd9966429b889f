//! What exists at the place that a command writes to. Every option that writes is tried against a
//! device, a FIFO, a socket, links, folders, files, inputs of the same command and secret keys.
#![cfg(unix)]

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;

mod forced;
mod killed;
mod refused;
mod rows;
use rows::{ALIKE, APART, READ, ROWS};

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
    let file = super::forge::contribution(at, "a", "tissue", 1);
    fs::rename(at.join(file), at.join("a.contribution")).unwrap();
    good(at, "forge push F a.contribution");
    good(at, "forge merge F --key forge.key");
    fs::copy(
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/trust.toml"),
        at.join("trust.toml"),
    )
    .unwrap();
    dir
}

/// Everything below `at`: names, kinds, inodes, and the bytes of files.
fn state(at: &Path) -> Vec<(PathBuf, u32, u64, Vec<u8>)> {
    let one = |path: PathBuf| {
        let found = fs::symlink_metadata(&path).unwrap();
        let bytes = if found.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        (path, found.mode(), found.ino(), bytes)
    };
    listing(at).into_iter().map(one).collect()
}

/// Asserts that `line` is refused and changes nothing. The sentence must name `path` and have one
/// of `words`.
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
