//! Panics inside decoders: they are caught, and the program that uses this library shows nothing of
//! them on its standard error.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;
use std::thread;

thread_local! {
    /// Whether this thread is inside of a decoder.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The decoder panicked: a fault of its own, which the file brought out.
pub(crate) struct Panicked;

/// What is said of the file then.
pub(crate) const FAILED: &str =
    "its decoder failed inside; leave the file out, and report it to MedForge";

/// What `decode` gives. The first call puts a panic hook before the program's own. The program's
/// own hook still hears of every panic outside of `decode`. Where a panic ends the program, it
/// hears of those inside too.
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
mod tests {
    use std::process::Command;

    /// Programs that are built to end at a panic say why they do.
    #[test]
    fn where_a_panic_ends_the_program_it_is_heard_of() {
        let place = tempfile::tempdir().unwrap();
        let (source, program) = (place.path().join("main.rs"), place.path().join("main"));
        let guard = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guard.rs");
        let main = "fn main() { let _ = guard::decoding(|| -> u8 { panic!(\"heard of\") }); }";
        std::fs::write(&source, format!("#[path = {guard:?}] mod guard; {main}")).unwrap();
        let mut rustc = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into()));
        rustc
            .args(["--edition=2024", "-Cpanic=abort", "-Adead_code", "-o"])
            .arg(&program)
            .arg(&source);
        assert!(rustc.status().unwrap().success());
        let output = Command::new(program).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains("heard of"), "{stderr}");
    }
}
