//! What killed runs left.

use std::path::PathBuf;

use tempfile::NamedTempFile;

use super::*;

/// The name that a killed run leaves of a file; its lock is gone. It is given back in words:
/// programs that other tests start have the file open until they begin.
fn killed(file: NamedTempFile) -> PathBuf {
    let (file, path) = file.keep().unwrap();
    file.unlock().unwrap();
    path
}

#[test]
fn what_killed_runs_left_goes_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let living = leftovers::file(&at("out"), 0o666).unwrap();
    let (going_on, _lock) = leftovers::folder(&at("out")).unwrap();
    let stays = [living.path(), going_on.path()]
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    // After a kill, the names stay and the locks do not.
    let file = killed(leftovers::file(&at("out"), 0o666).unwrap());
    let (folder, lock) = leftovers::folder(&at("out")).unwrap();
    fs::write(folder.path().join("x"), b"x").unwrap();
    let folder = folder.keep();
    lock.unwrap().unlock().unwrap();
    let elsewhere = killed(leftovers::file(&at("other"), 0o666).unwrap());
    let alike = format!("{}.txt", file.file_name().unwrap().to_str().unwrap());
    fs::write(at(&alike), b"mine").unwrap();
    Places::default().file("--out", &at("out"), false).unwrap();
    assert!(!file.exists() && !folder.exists() && elsewhere.exists() && at(&alike).exists());
    assert!(stays.iter().all(|name| at(name).exists()), "a run that goes on lost its file");
}

/// A run was killed between the two renames: the older folder has left its place, and the new one
/// is not there yet.
#[test]
fn an_older_folder_comes_back_after_a_kill() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("out");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("n"), b"old").unwrap();
    let (aside, lock) = leftovers::aside(&target).unwrap();
    fs::rename(&target, &aside).unwrap();
    leftovers::remove(&target);
    assert!(!target.exists(), "the run still goes on");
    lock.unwrap().unlock().unwrap();
    assert!(matches!(folder(&target, false, "n"), Err(Error::OutputExists { .. })));
    assert_eq!(fs::read(target.join("n")).unwrap(), b"old");
    // Killed after the second rename.
    let (aside, lock) = leftovers::aside(&target).unwrap();
    lock.unwrap().unlock().unwrap();
    fs::create_dir(&aside).unwrap();
    leftovers::remove(&target);
    assert_eq!(names(place.path()), ["out"]);
    // Killed while the older one was removed, and the new one moved away since.
    let (aside, lock) = leftovers::aside(&target).unwrap();
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("rest"), b"rest").unwrap();
    leftovers::doomed(&aside).unwrap();
    lock.unwrap().unlock().unwrap();
    fs::remove_dir_all(&target).unwrap();
    leftovers::remove(&target);
    assert_eq!(names(place.path()), [""; 0], "the rest of a folder came back");
}

#[cfg(unix)]
#[test]
fn both_keys_are_there_or_none() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let (public, secret) = (place.path().join("k.pub"), place.path().join("k.key"));
    let pair = || NewPair::new("--out", public.clone(), secret.clone());
    // A file is put at the second place while the pair is made.
    let new = pair().unwrap();
    fs::write(&secret, b"theirs").unwrap();
    assert!(new.write(b"p", b"s").is_err() && !public.exists());
    assert_eq!(fs::read(&secret).unwrap(), b"theirs");
    fs::remove_file(&secret).unwrap();
    // A run was killed with one key in its place and the other waiting.
    let kept = |path: &Path| killed(leftovers::file(path, 0o666).unwrap());
    let (left, waiting) = (kept(&public), kept(&secret));
    fs::hard_link(&left, &public).unwrap();
    pair().unwrap().write(b"p", b"s").unwrap();
    assert_eq!([fs::read(&public).unwrap(), fs::read(&secret).unwrap()], [b"p", b"s"]);
    assert!(!waiting.exists());
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    // A run was killed with both in their places: both stay.
    let left = place.path().join(left.file_name().unwrap());
    fs::hard_link(&public, &left).unwrap();
    assert!(pair().is_err() && public.exists() && secret.exists() && !left.exists());
    fs::remove_file(&secret).unwrap();
    assert!(pair().is_err() && public.exists(), "somebody's public key went");
    // The same, but the secret key was moved to another machine since.
    fs::hard_link(&public, &left).unwrap();
    assert!(pair().is_err() && public.exists() && !left.exists(), "a good public key went");
    assert_eq!(names(place.path()), ["k.pub"]);
}
