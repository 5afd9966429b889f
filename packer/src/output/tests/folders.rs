//! Folders and files that appear at their place.

use std::io::{self, Write};

use tempfile::{NamedTempFile, PersistError};

use super::*;
use crate::output::stage::placed;

#[test]
fn a_dropped_folder_leaves_no_trace() {
    let place = tempfile::tempdir().unwrap();
    let dir = folder(&place.path().join("out"), false, "n").unwrap();
    dir.write("a/b.txt", b"x").unwrap();
    drop(dir);
    assert_eq!(names(place.path()), [""; 0]);
}

#[test]
fn an_existing_folder_is_replaced_only_by_force() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("out");
    for (round, force) in [(0, false), (1, true)] {
        let dir = folder(&target, force, "n").unwrap();
        dir.write("n", &[round]).unwrap();
        dir.commit().unwrap();
    }
    assert!(matches!(folder(&target, false, "n"), Err(Error::OutputExists { .. })));
    assert_eq!(fs::read(target.join("n")).unwrap(), [1]);
    assert!(matches!(folder(&target, true, "other"), Err(Error::NotReplaced { .. })));
    // A key that somebody put there would be lost.
    fs::create_dir(target.join("keys")).unwrap();
    let key = crate::export::keys::to_pem(&crate::export::keys::generate().unwrap()).secret;
    fs::write(target.join("keys/k.key"), &key).unwrap();
    let said = folder(&target, true, "n").err().unwrap().to_string();
    assert!(said.contains("keys/k.key holds a secret key"), "{said}");
    assert_eq!(names(place.path()), ["out"]);
}

#[test]
fn an_empty_folder_is_filled_and_a_full_one_refused() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("out");
    let empty = |target: &Path| Places::default().empty_folder("--out", target)?.begin();
    fs::create_dir(&target).unwrap();
    let dir = empty(&target).unwrap();
    dir.write("n", b"x").unwrap();
    dir.commit().unwrap();
    assert_eq!(fs::read(target.join("n")).unwrap(), b"x");
    assert!(matches!(empty(&target), Err(Error::NotEmpty { .. })));
    assert!(matches!(empty(&target.join("n")), Err(Error::Output { .. })));
    // A file that is put into it meanwhile stays.
    let late = place.path().join("late");
    let dir = empty(&late).unwrap();
    fs::create_dir(&late).unwrap();
    fs::write(late.join("theirs"), b"y").unwrap();
    assert!(dir.commit().is_err());
    assert_eq!((names(&late), names(place.path()).len()), (vec!["theirs".to_owned()], 2));
}

#[test]
fn what_comes_meanwhile_is_not_replaced() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("f");
    let places = Places::default();
    let (new, forced) = (
        places.file("--out", &target, false).unwrap(),
        places.file("--out", &target, true).unwrap(),
    );
    fs::write(&target, b"theirs").unwrap();
    assert!(matches!(new.write(b"x"), Err(Error::OutputExists { .. })));
    assert_eq!(fs::read(&target).unwrap(), b"theirs");
    forced.write(b"x").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"x");
    fs::remove_file(&target).unwrap();
    fs::create_dir(&target).unwrap();
    assert!(matches!(forced.write(b"x"), Err(Error::Output { .. })));
    assert_eq!(names(place.path()), ["f"]);
}

/// A file system that has neither hard links nor a move that replaces nothing.
#[test]
fn a_file_comes_to_its_place_without_hard_links() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("f");
    let moved = |kind: io::ErrorKind| {
        let mut file = NamedTempFile::new_in(place.path()).unwrap();
        file.write_all(b"x").unwrap();
        placed(Err(PersistError { error: kind.into(), file }), &path).map_err(|error| error.kind())
    };
    assert_eq!(moved(io::ErrorKind::StorageFull), Err(io::ErrorKind::StorageFull));
    assert_eq!(names(place.path()), [""; 0]);
    for kind in
        [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported, io::ErrorKind::InvalidInput]
    {
        moved(kind).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"x");
        fs::write(&path, b"theirs").unwrap();
        assert_eq!(moved(kind), Err(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        fs::remove_file(&path).unwrap();
    }
}
