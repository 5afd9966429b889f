//! Outputs are whole or absent, nothing is replaced unasked, and nothing of a killed run stays.

use std::path::Path;

use super::*;

fn folder(target: &Path, force: bool, marker: &'static str) -> Result<OutputDir, Error> {
    Places::default().folder("--out", target, force, marker)?.begin()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

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
    // What comes into it meanwhile stays.
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

/// What another argument names, in other spellings, through links, in a folder that one names, or
/// around it.
#[cfg(unix)]
#[test]
fn no_output_takes_the_place_of_another_argument() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("m/in")).unwrap();
    for file in ["f", "m/n", "m/in/n"] {
        fs::write(at(file), b"x").unwrap();
    }
    fs::hard_link(at("f"), at("hard")).unwrap();
    std::os::unix::fs::symlink(at("f"), at("soft")).unwrap();
    std::os::unix::fs::symlink(at("m"), at("link")).unwrap();
    let place = |path: &str, output| Place { name: "--other".into(), path: at(path), output };
    let file = |out: &str, other: &str, output| {
        Places(vec![place(other, output)]).file("--out", &at(out), true)
    };
    for (out, other) in [
        ("f", "f"),
        ("f", "m/../f"),
        ("f", "soft"),
        ("hard", "f"),
        ("m/n", "m"),
        ("m/in/n", "link"),
        ("link/n", "m"),
    ] {
        let said = file(out, other, false).unwrap_err().to_string();
        assert!(said.contains("what --other names"), "{out} {other}: {said}");
    }
    // Where nothing is replaced no other word; a result in a folder that is read is nobody's input.
    for name in ["page.html", "b.medforge", "p.csv", "labels.csv", "in/Splits.CSV"] {
        fs::write(at("m").join(name), b"x").unwrap();
    }
    let unforced = |out: &str| {
        Places(vec![place("m", false)]).file("--out", &at(out), false).unwrap_err().to_string()
    };
    for out in ["m/page.html", "m/b.medforge", "m/p.csv"] {
        assert!(file(out, "m", false).is_ok(), "{out}");
        assert!(unforced(out).contains("replace it"), "{out}");
    }
    for out in ["m/n", "m/labels.csv", "m/in/Splits.CSV"] {
        let said = [unforced(out), file(out, "m", false).unwrap_err().to_string()];
        assert!(
            said.iter().all(|said| said.contains("may belong to") && !said.contains("replace it")),
            "{said:?}"
        );
    }
    assert!(
        file("m/n", "m", true).is_ok(),
        "a page may go into the folder that the command writes"
    );
    assert!(file("none", "none", true).is_err() && file("none", "m/../none", true).is_err());
    let folder = |out: &str, other: &str| {
        Places(vec![place(other, false)]).folder("--out", &at(out), true, "n")
    };
    for (out, other) in
        [("m", "m"), ("m", "link"), ("m", "m/in"), ("m", "m/in/n"), ("m", "link/in")]
    {
        let said = folder(out, other).unwrap_err().to_string();
        assert!(said.contains("what --other names"), "{out} {other}: {said}");
    }
    assert!(folder("m/in", "m").is_ok());
}

#[test]
fn what_killed_runs_left_goes_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let living = leftovers::file(&at("out"), 0o666).unwrap();
    let (going_on, _lock) = leftovers::folder(&at("out")).unwrap();
    let stays = [living.path(), going_on.path()]
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    // Killed: the names stay, the locks do not.
    let (_, file) =
        leftovers::file(&at("out"), 0o666).unwrap().keep().map(|(a, b)| (drop(a), b)).unwrap();
    let (folder, lock) = leftovers::folder(&at("out")).unwrap();
    fs::write(folder.path().join("x"), b"x").unwrap();
    let folder = folder.keep();
    drop(lock);
    let elsewhere =
        leftovers::file(&at("other"), 0o666).unwrap().keep().map(|(a, b)| (drop(a), b)).unwrap().1;
    let alike = format!("{}.txt", file.file_name().unwrap().to_str().unwrap());
    fs::write(at(&alike), b"mine").unwrap();
    Places::default().file("--out", &at("out"), false).unwrap();
    assert!(!file.exists() && !folder.exists() && elsewhere.exists() && at(&alike).exists());
    assert!(stays.iter().all(|name| at(name).exists()), "a run that goes on lost its file");
}

/// Killed between the two renames: the older folder has left its place and the new one has not
/// come.
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
    drop(lock);
    assert!(matches!(folder(&target, false, "n"), Err(Error::OutputExists { .. })));
    assert_eq!(fs::read(target.join("n")).unwrap(), b"old");
    // Killed after the second rename.
    let (aside, _) = leftovers::aside(&target).unwrap();
    fs::create_dir(&aside).unwrap();
    leftovers::remove(&target);
    assert_eq!(names(place.path()), ["out"]);
    // Killed while the older one was removed, and the new one moved away since.
    let (aside, lock) = leftovers::aside(&target).unwrap();
    fs::create_dir(&aside).unwrap();
    fs::write(aside.join("rest"), b"rest").unwrap();
    leftovers::doomed(&aside).unwrap();
    drop(lock);
    fs::remove_dir_all(&target).unwrap();
    leftovers::remove(&target);
    assert_eq!(names(place.path()), [""; 0], "the rest of a folder came back");
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

/// Keys without the words that PEM has, in all forms; other things in DER are replaced.
#[test]
fn secret_keys_in_der_are_never_replaced() {
    use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};
    let key = crate::export::keys::generate().unwrap();
    let pkcs8 = key.to_pkcs8_der().unwrap();
    let pem = crate::export::keys::to_encrypted_pem(&key, "x").unwrap().secret;
    let encrypted = pkcs8::SecretDocument::from_pem(&pem).unwrap().1;
    let sec1 = p256::SecretKey::from_slice(&[7; 32]).unwrap().to_sec1_der().unwrap();
    let rsa = [0x30, 6, 2, 1, 0, 2, 1, 5];
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("f");
    let replaced = |bytes: &[u8]| {
        fs::write(&target, bytes).unwrap();
        Places::default().file("--out", &target, true)?.write(b"x")
    };
    for secret in [pkcs8.as_bytes(), encrypted.as_bytes(), &sec1[..], &rsa[..]] {
        assert!(
            replaced(secret).unwrap_err().to_string().contains("holds a secret key"),
            "{secret:?}"
        );
    }
    let public = key.verifying_key().to_public_key_der().unwrap();
    let signature = [0x30, 6, 2, 1, 5, 2, 1, 7];
    for other in [public.as_bytes(), &signature[..], &pkcs8.as_bytes()[..9], &b"0"[..], &[]] {
        replaced(other).unwrap();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn where_a_process_prints_is_no_place_for_a_file() {
    for path in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/2"] {
        let said = Places::default().file("--out", Path::new(path), true).unwrap_err().to_string();
        assert!(
            said.contains("where it prints; name a file for --out") && !said.contains("link"),
            "{path}: {said}"
        );
    }
}

#[cfg(unix)]
#[test]
fn both_keys_are_there_or_none() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    let (public, secret) = (place.path().join("k.pub"), place.path().join("k.key"));
    let pair = || NewPair::new("--out", public.clone(), secret.clone());
    // Something comes to the second place while the pair is made.
    let new = pair().unwrap();
    fs::write(&secret, b"theirs").unwrap();
    assert!(new.write(b"p", b"s").is_err() && !public.exists());
    assert_eq!(fs::read(&secret).unwrap(), b"theirs");
    fs::remove_file(&secret).unwrap();
    // Killed with one of both in its place, the other waiting.
    let kept = |path: &Path| leftovers::file(path, 0o666).unwrap().keep().unwrap().1;
    let (left, waiting) = (kept(&public), kept(&secret));
    fs::hard_link(&left, &public).unwrap();
    pair().unwrap().write(b"p", b"s").unwrap();
    assert_eq!([fs::read(&public).unwrap(), fs::read(&secret).unwrap()], [b"p", b"s"]);
    assert!(!waiting.exists());
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    // Killed with both in their places: nothing of them goes.
    let left = place.path().join(left.file_name().unwrap());
    fs::hard_link(&public, &left).unwrap();
    assert!(pair().is_err() && public.exists() && secret.exists() && !left.exists());
    fs::remove_file(&secret).unwrap();
    assert!(pair().is_err() && public.exists(), "somebody's public key went");
    // The same, and the secret key was taken to another machine since.
    fs::hard_link(&public, &left).unwrap();
    assert!(pair().is_err() && public.exists() && !left.exists(), "a good public key went");
    assert_eq!(names(place.path()), ["k.pub"]);
}
