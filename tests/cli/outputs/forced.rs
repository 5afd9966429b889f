//! What `--force` replaces.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::rows::ROWS;
use super::*;

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
    // A file in a folder that the command reads, but that it does not read itself.
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
