//! A decoder that panics: an error to who called it, and no word on the program's standard error.

use std::process::Command;
use std::thread;

use super::*;

/// An image whose decoder panics, in tests alone.
pub(in crate::image) const PANICS: &[u8] = b"panic, decoder";
const CHILD: &str = "MEDFORGE_TEST_PANICS";

/// In a process of its own, whose standard error no other test writes to.
#[test]
fn a_decoder_that_panics_is_an_error_and_says_nothing_on_the_hosts_stderr() {
    if std::env::var_os(CHILD).is_some() {
        let error = decode(PANICS, "x.png").unwrap_err().to_string();
        assert!(error.starts_with("x.png: its decoder failed inside"), "{error}");
        assert!(size(PANICS, "x.png").is_err());
        assert!(guard::decoding(|| 1).is_ok_and(|one| one == 1));
        eprintln!("between");
        // A panic of the program's own is heard of as before.
        assert!(thread::spawn(|| panic!("the host's own")).join().is_err());
        return;
    }
    let test = "image::tests::panics::\
                a_decoder_that_panics_is_an_error_and_says_nothing_on_the_hosts_stderr";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let child =
        child.args([test, "--exact", "--nocapture"]).env(CHILD, "1").env("RUST_BACKTRACE", "1");
    let output = child.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let (inside, outside) = stderr.split_once("between").unwrap();
    assert!(!inside.contains("panicked") && !inside.contains("backtrace"), "{inside}");
    assert!(outside.contains("the host's own"), "{outside}");
}
