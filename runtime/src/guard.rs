//! Panics inside of decoders: caught, and nothing of them on the standard error of the program that
//! this is a part of.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread;

thread_local! {
    /// Whether this thread is inside of a decoder.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A decoder stopped in a way that it must not: a fault of the decoder, brought out by the file.
pub(crate) struct Panicked;

/// What is said of the file then.
pub(crate) const FAILED: &str = "its decoder failed inside; leave the file away, and report it to MedForge";

/// What `decode` gives. The first call puts a panic hook before the program's own, which goes on to
/// hear of all panics but those inside of `decode`. Where a panic ends the program, its own hook
/// hears of that too.
pub(crate) fn decoding<T>(decode: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    // A thread that panics already may not change the hook.
    if !cfg!(panic = "abort") && !thread::panicking() {
        HOOK.call_once(|| {
            let theirs = take_hook();
            set_hook(Box::new(move |panic| {
                if !INSIDE.get() {
                    theirs(panic);
                }
            }));
        });
    }
    let outside = INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(decode)).map_err(|_| Panicked);
    INSIDE.set(outside);
    result
}

#[cfg(test)]
pub(crate) mod tests {
    use std::process::Command;

    use super::*;

    /// An image whose decoder panics, in tests alone.
    pub(crate) const PANICS: &[u8] = b"panic, decoder";
    const CHILD: &str = "MEDFORGE_TEST_PANICS";

    /// In a process of its own, whose standard error no other test writes to.
    #[test]
    fn a_decoder_that_panics_is_an_error_and_says_nothing_on_the_hosts_stderr() {
        if std::env::var_os(CHILD).is_some() {
            let error = crate::image::decode(PANICS, "x.png").unwrap_err().to_string();
            assert!(error.starts_with("x.png: its decoder failed inside"), "{error}");
            assert!(crate::image::size(PANICS, "x.png").is_err());
            assert!(decoding(|| 1).is_ok_and(|one| one == 1));
            eprintln!("between");
            // A panic of the program's own is heard of as before.
            assert!(thread::spawn(|| panic!("the host's own")).join().is_err());
            return;
        }
        let test = "guard::tests::a_decoder_that_panics_is_an_error_and_says_nothing_on_the_hosts_stderr";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args([test, "--exact", "--nocapture"]).env(CHILD, "1").env("RUST_BACKTRACE", "1");
        let output = child.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        let (inside, outside) = stderr.split_once("between").unwrap();
        assert!(!inside.contains("panicked") && !inside.contains("backtrace"), "{inside}");
        assert!(outside.contains("the host's own"), "{outside}");
    }

    /// Programs that are built to end at a panic say why they do.
    #[test]
    fn where_a_panic_ends_the_program_it_is_heard_of() {
        let place = tempfile::tempdir().unwrap();
        let (source, program) = (place.path().join("main.rs"), place.path().join("main"));
        let guard = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guard.rs");
        let main = "fn main() { let _ = guard::decoding(|| -> u8 { panic!(\"heard of\") }); }";
        std::fs::write(&source, format!("#[path = {guard:?}] mod guard; {main}")).unwrap();
        let mut rustc = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()));
        rustc.args(["--edition=2024", "-Cpanic=abort", "-Adead_code", "-o"]).arg(&program).arg(&source);
        assert!(rustc.status().unwrap().success());
        let output = Command::new(program).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains("heard of"), "{stderr}");
    }
}
