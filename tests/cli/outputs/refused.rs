//! What is never replaced: devices, FIFOs, sockets, links, folders, inputs and secret keys.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::rows::Goes::*;
use super::rows::{ROWS, Row};
use super::*;

#[test]
fn nothing_takes_the_place_of_what_is_no_regular_file_an_input_or_a_key() {
    let dir = shop();
    let at = dir.path();
    let key = fs::read(at.join("other.key")).unwrap();
    fs::create_dir(at.join("elsewhere")).unwrap();
    fs::write(at.join("elsewhere/file"), b"theirs").unwrap();
    for row in &ROWS {
        let place = Place::new(at, row);
        special_files(&place);
        if matches!(row.goes, Folder(_) | EmptyFolder) {
            file_and_full_folder(&place, &key);
        } else {
            folder_and_file(&place, &key);
        }
        inputs_of_the_line(at, row);
    }
}

/// A row's command with a path of its own.
struct Place<'a> {
    dir: &'a Path,
    row: &'a Row,
    target: String,
    path: PathBuf,
    line: String,
    /// The line with `--force`, if it has that option.
    forced: String,
}

impl<'a> Place<'a> {
    fn new(dir: &'a Path, row: &'a Row) -> Self {
        let target = row.target.replace('@', "t");
        let line = row.line.replace('@', "t");
        let force = if matches!(row.goes, File | Folder(_)) { " --force" } else { "" };
        Place { dir, row, path: dir.join(&target), target, forced: format!("{line}{force}"), line }
    }

    fn stays(&self, line: &str, words: &[&str]) {
        stays(self.dir, line, &self.target, words);
    }

    fn gone(&self) {
        fs::remove_file(&self.path).unwrap();
    }
}

/// Devices, FIFOs, sockets and links.
fn special_files(place: &Place) {
    let made = Command::new("mknod").arg(&place.path).args(["c", "1", "3"]).output().unwrap();
    if made.status.success() {
        place.stays(&place.forced, &["is a device"]);
        place.gone();
    }
    assert!(Command::new("mkfifo").arg(&place.path).status().unwrap().success());
    place.stays(&place.forced, &["is a FIFO"]);
    place.gone();
    let socket = UnixListener::bind(&place.path).unwrap();
    place.stays(&place.forced, &["is a socket"]);
    drop(socket);
    place.gone();
    for to in ["elsewhere/file", "elsewhere", "nowhere"] {
        symlink(to, &place.path).unwrap();
        place.stays(&place.forced, &[&format!("is a link to {to}")]);
        place.gone();
    }
}

/// A file and a full folder in the place of a folder.
fn file_and_full_folder(place: &Place, key: &[u8]) {
    fs::write(&place.path, b"theirs").unwrap();
    place.stays(&place.forced, &["is a file; name a folder"]);
    place.gone();
    fs::create_dir(&place.path).unwrap();
    fs::write(place.path.join("theirs"), b"theirs").unwrap();
    place.stays(
        &place.line,
        &["exists already; choose another --out, or pass --force", "is not empty"],
    );
    place.stays(&place.forced, &["so it is not something that --force replaces", "is not empty"]);
    if let Folder(marker) = place.row.goes {
        fs::write(place.path.join(marker), b"{}").unwrap();
        fs::write(place.path.join("theirs"), key).unwrap();
        place.stays(&place.forced, &["holds a secret key"]);
    }
    fs::remove_dir_all(&place.path).unwrap();
}

/// A folder, a file and a secret key in the place of a file.
fn folder_and_file(place: &Place, key: &[u8]) {
    fs::create_dir(&place.path).unwrap();
    place.stays(
        &place.forced,
        &["is a folder; name a file", "exists already and a key is never replaced"],
    );
    fs::remove_dir(&place.path).unwrap();
    fs::write(&place.path, b"theirs").unwrap();
    let option = place.row.name.split(' ').next_back().unwrap();
    let exists = format!("exists already; choose another {option}, or pass --force");
    let words = match place.row.goes {
        File => vec![exists.as_str()],
        _ => {
            vec!["never replaced", "--resume", "rejected_state_cached", "bad_json", "signatures"]
        }
    };
    place.stays(&place.line, &words);
    fs::write(&place.path, key).unwrap();
    place.stays(&place.forced, &["holds a secret key", "never replaced"]);
    place.gone();
}

/// The paths that other arguments of the same line name, in another spelling.
fn inputs_of_the_line(at: &Path, row: &Row) {
    for word in row.line.split(' ').filter(|word| row.target == "@" && at.join(word).exists()) {
        let line = row.line.replace('@', &format!("elsewhere/../{word}"));
        let force = if matches!(row.goes, File | Folder(_)) { " --force" } else { "" };
        stays(at, &format!("{line}{force}"), word, &["is what "]);
    }
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

/// A file that a command updates may not be a link either.
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
