//! What killed runs leave.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::*;

fn left(at: &Path) -> BTreeSet<String> {
    let names =
        fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".packer-")).collect()
}

/// Whether a run has begun to write its own folder, which it has locked by then.
fn is_written(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

#[test]
fn what_a_killed_run_left_goes_with_the_next_and_a_run_that_goes_on_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // More images than are drawn in the time of this test.
    let begin = || {
        let before = left(at);
        let child = packer(at, "phantom --out p --images 300000 --size 256")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let start = Instant::now();
        while !left(at).difference(&before).any(|name| is_written(&at.join(name))) {
            assert!(start.elapsed() < Duration::from_secs(120), "nothing was begun in two minutes");
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    };
    for _ in 0..2 {
        let mut killed = begin();
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    assert_eq!(left(at).len(), 1, "the second run removed what the first had left");
    let mut alive = begin();
    assert_eq!(left(at).len(), 1);
    good(at, "phantom --out p --images 12 --size 32");
    assert!(alive.try_wait().unwrap().is_none(), "the long run ended before it could be disturbed");
    assert_eq!(left(at).len(), 1, "a run that goes on lost its folder");
    alive.kill().unwrap();
    alive.wait().unwrap();
    good(at, "phantom --out p --images 12 --size 32 --force");
    assert!(left(at).is_empty());
}
