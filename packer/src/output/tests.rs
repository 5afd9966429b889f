//! Outputs are whole or absent, nothing is replaced unasked, and nothing of a killed run stays.

use std::fs;
use std::path::Path;

use super::*;
use crate::Error;

mod folders;
mod killed;

fn folder(target: &Path, force: bool, marker: &'static str) -> Result<OutputDir, Error> {
    Places::default().folder("--out", target, force, marker)?.begin()
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Another argument may name the path in another spelling, through links, or by a folder above or
/// below it.
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
    // Without `--force` the words are the same. A result in a folder is nobody's input.
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

/// Keys of all forms in DER are found without the words of PEM. Other files in DER are replaced.
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
