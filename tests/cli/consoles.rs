//! Standard output and standard error that are full or closed. Exit codes and outputs stay the
//! same.
#![cfg(target_os = "linux")]

use super::*;

/// Runs `arguments` with the shell's redirections, and gives the exit code.
fn code(dir: &Path, arguments: &str, redirected: &str) -> Option<i32> {
    let script = format!("exec {} {arguments} {redirected}", env!("CARGO_BIN_EXE_packer"));
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .current_dir(dir)
        .env("RUST_LOG", "trace")
        .env("XDG_RUNTIME_DIR", dir);
    command.output().unwrap().status.code()
}

const LOST: [&str; 6] =
    ["2>/dev/full", "2>&-", ">/dev/full", ">&-", ">/dev/full 2>/dev/full", ">&- 2>&-"];

#[test]
fn a_refusal_ends_with_3_whoever_hears_it() {
    let dir = with_bundle();
    let at = dir.path();
    good(at, "keygen --out other");
    for lost in LOST {
        for more in ["", "--json", "--explain"] {
            let verify = format!("verify b.medforge --trust other.pub {more}");
            assert_eq!(code(at, &verify, lost), Some(3), "{verify} {lost}");
        }
        assert_eq!(code(at, "verify none --trust k.pub", lost), Some(1), "{lost}");
        assert_eq!(code(at, "verify --no-such-option", lost), Some(2), "{lost}");
    }
}

#[test]
fn a_result_that_does_not_arrive_is_no_success() {
    let dir = with_bundle();
    let at = dir.path();
    for command in [
        "verify b.medforge --trust k.pub",
        "inspect b.medforge",
        "devices",
        "train --help",
        "--version",
    ] {
        assert_eq!(code(at, command, ">/dev/full"), Some(1), "{command}");
        assert_eq!(code(at, command, "2>/dev/full"), Some(0), "{command}");
        assert_eq!(code(at, command, "2>&-"), Some(0), "{command}");
    }
}

#[test]
fn no_log_ends_a_training_and_a_lost_summary_leaves_all_that_was_made() {
    let dir = workshop();
    let at = dir.path();
    let train = |out: &str| {
        format!("{TRAIN} --validation 0.3 --memory 6GiB --report {out}.html --out {out}")
    };
    for (out, lost, ends) in [("a", "2>/dev/full", 0), ("b", "2>&-", 0), ("c", ">/dev/full", 1)] {
        assert_eq!(code(at, &train(out), lost), Some(ends), "{lost}");
        assert!(
            at.join(out).join("module.json").exists() && at.join(format!("{out}.html")).exists(),
            "{lost}"
        );
        assert!(!at.join(format!("{out}.checkpoint")).exists(), "{lost}");
    }
    let [a, c] = ["a", "c"]
        .map(|out| std::fs::read(at.join(out).join("adapter_model.safetensors")).unwrap());
    assert!(a == c);
}
