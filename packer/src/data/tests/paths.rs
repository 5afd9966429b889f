//! Paths of a list that lead to no image of their own.

use std::fs;

use super::*;
use crate::Error;

#[test]
fn missing_files_and_folders_in_their_place_are_refused() {
    for path in ["a/3.png", "a", "a/1.png/x"] {
        let (error, text) = Place::new(&FOUR).listing(&format!("{path},a,p1,train\n")).refusal();
        assert!(
            matches!(error, Error::ImageMissing { .. })
                && text.contains("row 2")
                && text.contains(path),
            "{text}"
        );
    }
}

#[test]
fn paths_out_of_the_folder_are_refused() {
    for path in ["/etc/passwd", "../x.png", "a/../a/1.png"] {
        let (error, text) = Place::new(&FOUR).listing(&format!("{path},a,p1,train\n")).refusal();
        assert!(
            matches!(error, Error::PathLeavesFolder { .. }) && text.contains("row 2"),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let elsewhere = Place::new(&["secret.png"]);
    let place = Place::new(&FOUR).listing("a/link.png,a,p1,train\n");
    std::os::unix::fs::symlink(
        elsewhere.root().join("secret.png"),
        place.root().join("a/link.png"),
    )
    .unwrap();
    assert!(matches!(place.refusal().0, Error::PathLeavesFolder { .. }));
    fs::remove_file(place.root().join("splits.csv")).unwrap();
    assert!(matches!(place.refusal().0, Error::PathLeavesFolder { .. }));
}

#[test]
fn one_file_named_twice_is_refused() {
    let place = Place::new(&FOUR).listing(&format!("{GOOD}a/./1.png,a,p9,test\n"));
    let (error, text) = place.refusal();
    assert!(matches!(error, Error::DuplicatePath { .. }), "{text}");
    assert!(text.contains("row 2") && text.contains("row 6"), "{text}");
}

#[cfg(unix)]
#[test]
fn one_file_under_two_names_is_refused() {
    let place = Place::new(&FOUR).listing(&format!("{GOOD}a/other.png,a,p9,test\n"));
    std::os::unix::fs::symlink(place.root().join("a/1.png"), place.root().join("a/other.png"))
        .unwrap();
    assert!(matches!(place.refusal().0, Error::DuplicatePath { .. }));
}
