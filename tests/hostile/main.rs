//! Every class of hostile input, each built from one good bundle by a small change. The files are
//! kept under `tests/corpus/NAME/` for other readers of the format. The library and the command
//! line refuse them under their class's name (the C API: `tests/c_api/corpus.rs`).
//!
//! Each class has a folder of its own name. What a trusted signer may not ask for has names of its
//! own.
//!
//! A folder holds what differs from the good bundle and its trust file beside it, and `case.json`.
//! That names the files, the time of checking and what is expected. With MEDFORGE_WRITE_CORPUS set
//! the folders are written anew, and the good bundle where it was deleted.

mod archive;
#[path = "../../fuzz/bodies.rs"]
mod bodies;
mod case;
mod contents;
mod costly;
mod framing;
mod frozen;
mod good;
mod quiet;
mod signer;
#[path = "../small.rs"]
mod small;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use cpu_time::ThreadTime;
use medforge_runtime::bundle::{Moment, State, Trust, VerifiedBundle, verify, verify_newer};
use medforge_runtime::classify::Classifier;
use medforge_runtime::{Class, Error};

use case::{Case, Description, Good, class, corpus};

fn cases(good: &Good) -> Vec<Case> {
    [
        framing::cases(good),
        contents::cases(good),
        trust::cases(good),
        signer::cases(good),
        costly::cases(good),
    ]
    .concat()
}

fn described(folder: &Path) -> Description {
    serde_json::from_slice(&fs::read(folder.join("case.json")).unwrap()).unwrap()
}

/// The library's verdict on a folder, as a device comes to it.
fn judge(folder: &Path) -> Result<(), Error> {
    let case = described(folder);
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    let now = Moment::try_from(case.now).unwrap();
    let trust = Trust::read(&read(&case.trust))?.at(now.clone())?;
    if let (Some(next), Some(signatures)) = (&case.next, &case.signatures) {
        return trust.successor(&read(next), &read(signatures), Some(now)).map(drop);
    }
    let bundle: VerifiedBundle = match &case.state {
        Some(state) => {
            verify_newer(read(&case.bundle), &trust, &State::from_bytes(&read(state))?)?.0
        }
        None => verify(read(&case.bundle), &trust)?,
    };
    Classifier::load(bundle).map(drop)
}

/// Every name and its folder; those that are not kept are made for the occasion.
fn folders() -> Vec<(String, PathBuf)> {
    static UNKEPT: OnceLock<tempfile::TempDir> = OnceLock::new();
    let unkept = UNKEPT.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        for case in cases(&Good::open()).iter().filter(|case| !case.kept) {
            case.write(&place.path().join(case.name));
        }
        for name in ["good.medforge", "trust.toml"] {
            fs::copy(corpus().join(name), place.path().join(name)).unwrap();
        }
        place
    });
    [corpus(), unkept.path().to_owned()].iter().flat_map(|place| below(place)).collect()
}

fn below(place: &Path) -> Vec<(String, PathBuf)> {
    let all = fs::read_dir(place)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    let mut all: Vec<_> =
        all.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect();
    all.sort();
    all
}

#[test]
fn the_folders_are_what_the_cases_make_of_the_good_bundle() {
    if std::env::var_os("MEDFORGE_WRITE_CORPUS").is_some() {
        if !corpus().join("good.medforge").exists() {
            good::write(&corpus());
        }
        for case in cases(&Good::open()).iter().filter(|case| case.kept) {
            case.write(&corpus().join(case.name));
        }
    }
    let good = Good::open();
    let trust_file = fs::read_to_string(corpus().join("trust.toml")).unwrap();
    assert_eq!(trust_file, trust::file(&good, 1, 1, ""));
    let cases = cases(&good);
    let names: BTreeSet<&str> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name is there twice");
    for case in cases.iter().filter(|case| case.kept) {
        for (name, bytes) in case.all_files() {
            let found = fs::read(corpus().join(case.name).join(name));
            assert!(found.is_ok_and(|found| found == bytes), "{}/{name} differs", case.name);
        }
    }
    let there: BTreeSet<String> = below(&corpus()).into_iter().map(|(name, _)| name).collect();
    assert!(there.iter().all(|name| names.contains(name.as_str())), "{there:?}");
    let classes: BTreeSet<&str> = cases.iter().map(|case| case.class).collect();
    let without: Vec<&str> = Class::ALL
        .iter()
        .map(|(_, name, _)| *name)
        .filter(|name| !classes.contains(name))
        .collect();
    assert_eq!(without, ["too_large"], "classes that nothing here shows (a file over 4 GiB)");
}

/// A folder as those of the corpus, with the bundle that all of them were changed from.
fn good() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let case = Case::good("wrong_key").description();
    fs::write(folder.path().join("case.json"), String::from_utf8(case).unwrap().replace("../", ""))
        .unwrap();
    for name in ["good.medforge", "trust.toml"] {
        fs::copy(corpus().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[test]
fn the_good_bundle_is_taken() {
    judge(good().path()).unwrap();
}

#[test]
fn the_library_refuses_every_class_by_name_and_soon() {
    let taken = good();
    let times = (0..5).map(|_| {
        let begun = ThreadTime::now();
        judge(taken.path()).unwrap();
        begun.elapsed()
    });
    // An emulated processor takes many times as long for everything.
    let soon = Duration::from_secs(1).max(500 * times.min().unwrap());
    for (name, folder) in folders() {
        let (mut error, mut took) = refused(&name, &folder);
        // A busy machine makes a try slow, hardly one after the other.
        for _ in 0..4 {
            if took < soon {
                break;
            }
            (error, took) = refused(&name, &folder);
        }
        assert_eq!(error.class(), Some(class(&described(&folder).refused_as)), "{name}: {error}");
        assert!(error.is_refusal() && !error.to_string().contains('\n'), "{name}: {error}");
        assert!(took < soon, "{name} took {took:?} of {soon:?}");
    }
}

/// The refusal of a folder, and how long this thread worked on it, alone. Times in which a busy
/// machine let it wait do not count.
fn refused(name: &str, folder: &Path) -> (Error, Duration) {
    let begun = ThreadTime::now();
    let error = judge(folder).expect_err(name);
    (error, begun.elapsed())
}

/// What the fuzz targets do, over every file here and over each with a byte changed: never a panic.
#[test]
fn the_fuzz_targets_take_every_file() {
    let mut files: Vec<Vec<u8>> = contents(&corpus()).into_values().collect();
    files.extend(folders().iter().flat_map(|(_, folder)| contents(folder).into_values()));
    files.extend(contents(&corpus().join("../golden/checkpoints")).into_values());
    for bytes in files.iter().filter(|bytes| bytes.len() < 1 << 20) {
        let mut changed = bytes.clone();
        if let Some(byte) = changed.get_mut(bytes.len() / 3) {
            *byte ^= 0x55;
        }
        for target in bodies::ALL {
            target(bytes);
            target(&changed);
        }
    }
}

#[test]
fn the_command_line_refuses_every_class_by_name() {
    for (name, folder) in folders() {
        let case = described(&folder);
        let scratch = tempfile::tempdir().unwrap();
        let copied = |file: &str| {
            let to = scratch.path().join(Path::new(file).file_name().unwrap());
            fs::copy(folder.join(file), &to).unwrap();
            to
        };
        let mut packer = Command::new(env!("CARGO_BIN_EXE_packer"));
        let trust = copied(&case.trust);
        match (&case.next, &case.signatures) {
            (Some(next), Some(signatures)) => {
                packer.arg("trust").arg(&trust).arg("--next").arg(copied(next));
                packer.arg("--signatures").arg(copied(signatures)).args(["--now", &case.now]);
            }
            _ => {
                packer
                    .arg("verify")
                    .arg(copied(&case.bundle))
                    .arg("--trust")
                    .arg(&trust)
                    .args(["--now", &case.now]);
                if let Some(state) = &case.state {
                    packer.arg("--state").arg(copied(state));
                }
            }
        }
        let before: BTreeMap<PathBuf, Vec<u8>> = contents(scratch.path());
        let output = packer.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        // What is no trust file at all is a mistake of the one who checks.
        let code = if case.refused_as == "bad_trust_file" { 1 } else { 3 };
        assert_eq!(output.status.code(), Some(code), "{name}: {said}");
        assert!(
            said.starts_with("packer: ") && said.trim_end().lines().count() == 1,
            "{name}: {said}"
        );
        let named = match case.refused_as.as_str() {
            "golden_mismatch" => "golden vectors".to_owned(),
            class => format!("refused ({class}): "),
        };
        assert!(said.contains(&named), "{name}: {said}");
        assert_eq!(contents(scratch.path()), before, "{name} changed a file");
    }
}

fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}
