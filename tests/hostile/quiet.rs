//! Verification is quiet: it opens its arguments and nothing else of the user's, and no socket; it
//! needs little memory beside the bundle.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::case::corpus;

/// What a program opens on Linux before its own `main` begins, or asks the system about itself:
/// none of it the user's.
const SYSTEM: [&str; 5] = ["/etc/ld.so", "/lib/", "/usr/lib/", "/proc/", "/sys/"];

/// Under strace, in a network namespace of its own where the system lets us make one.
#[test]
fn verification_opens_no_socket_and_no_file_but_its_arguments() {
    let strace = Command::new("strace").arg("-V").output();
    if !strace.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("MEDFORGE_REQUIRE_STRACE").is_none(), "strace is not here");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let log = scratch.path().join("log");
    let (bundle, trust) = (corpus().join("good.medforge"), corpus().join("trust.toml"));
    let traced = |program: &str, before: &[&str]| {
        let mut command = Command::new(program);
        command
            .args(before)
            .args(["-f", "-e", "trace=open,openat,openat2,creat,socket,connect", "-o"])
            .arg(&log);
        command
            .arg(env!("CARGO_BIN_EXE_packer"))
            .arg("verify")
            .arg(&bundle)
            .arg("--trust")
            .arg(&trust);
        command.args(["--now", "2026-06-01T00:00:00Z"]).output().unwrap()
    };
    let alone = traced("unshare", &["-rn", "strace"]);
    let output = if log.exists() { alone } else { traced("strace", &[]) };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(!log.contains("socket(") && !log.contains("connect("), "{log}");
    let opened: BTreeSet<PathBuf> = log
        .lines()
        .filter(|line| line.contains("open") && !line.contains("ENOENT"))
        .filter_map(|line| Some(PathBuf::from(line.split('"').nth(1)?)))
        .filter(|path| {
            !SYSTEM.iter().any(|prefix| {
                path.starts_with(prefix) || path.to_string_lossy().starts_with(prefix)
            })
        })
        .collect();
    assert_eq!(opened, BTreeSet::from([bundle, trust]));
}

/// Resident memory of `packer verify` on each case's bundle. It is under 64 MiB beyond the bundle's
/// size and what `packer verify` needs for an empty file.
#[test]
fn no_class_takes_more_than_64_mib_beyond_the_bundle() {
    if !Path::new("/usr/bin/time").exists() {
        assert!(std::env::var_os("MEDFORGE_REQUIRE_STRACE").is_none(), "/usr/bin/time is not here");
        return;
    }
    let peak = |bundle: &Path| {
        let output = Command::new("/usr/bin/time")
            .args(["-f", "%M", env!("CARGO_BIN_EXE_packer"), "verify"])
            .arg(bundle)
            .arg("--trust")
            .arg(corpus().join("trust.toml"))
            .args(["--now", "2026-06-01T00:00:00Z"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        said.lines()
            .rev()
            .find_map(|line| line.trim().parse::<u64>().ok())
            .unwrap_or_else(|| panic!("{said}"))
            << 10
    };
    let scratch = tempfile::tempdir().unwrap();
    let nothing = scratch.path().join("nothing");
    std::fs::write(&nothing, b"").unwrap();
    let least = peak(&nothing);
    for (name, folder) in crate::folders() {
        let bundle = folder.join("bundle.medforge");
        if let Ok(file) = std::fs::metadata(&bundle) {
            let more = peak(&bundle).saturating_sub(least);
            assert!(more < (64 << 20) + file.len(), "{name}: {more} bytes");
        }
    }
}
