//! Many processes at once, and kill -9 anywhere.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::*;

/// Pushes, merges and readers run at once. Nothing is lost, and nothing is there twice.
#[test]
fn many_processes_at_once_are_safe() {
    let dir = forge();
    let at = dir.path();
    let files: Vec<_> =
        (0..8).map(|i| contribution(at, ["a", "b"][i % 2], &format!("task{i}"), 1)).collect();
    let started: Vec<Child> = files
        .iter()
        .flat_map(|file| [format!("forge push F {file}"), MERGE.to_owned(), VERIFY.to_owned()])
        .map(|arguments| {
            packer(at, &arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in started {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    good(at, MERGE);
    let log = log(at);
    let items = log["items"].as_array().unwrap();
    let mut names: Vec<_> =
        items.iter().map(|item| item["item"]["added"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((items.len(), names.len(), log["waiting"].as_array().unwrap().len()), (8, 8, 0));
    let verdict = good(at, &format!("{VERIFY} --rebuild"));
    assert!(verdict.contains("verified: 8 items, 8 contributions (0 not merged"), "{verdict}");

    // A contribution that several push at once is pushed once.
    let file = contribution(at, "a", "task0", 2);
    let push = || {
        packer(at, &format!("forge push F {file}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let started: Vec<Child> = (0..6).map(|_| push()).collect();
    started.into_iter().for_each(|mut child| assert!(child.wait().is_ok()));
    let said = good(at, MERGE);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        good(at, &format!("{VERIFY} --rebuild")).contains("verified: 9 items, 9 contributions")
    );
}

/// The item that added the last member of the newest item.
fn newest_member(at: &Path) -> Option<u64> {
    let shown: Value = serde_json::from_str(&good(at, "forge show F --json")).unwrap();
    let push = shown["content"]["members"].as_array().unwrap().last()?["push"].clone();
    let log = log(at);
    let item =
        log["items"].as_array().unwrap().iter().find(|item| item["item"]["added"]["push"] == push);
    item.unwrap()["item"]["number"].as_u64()
}

/// Fifty kills at random moments of a push, a merge and a revert.
#[test]
fn kill_at_any_point_leaves_a_forge_that_verifies() {
    let dir = forge();
    let at = dir.path();
    let tasks = ["breast", "lung", "colon"];
    for task in tasks {
        good(at, &format!("forge push F {}", contribution(at, "a", task, 1)));
    }
    good(at, MERGE);
    let mut counters: BTreeMap<&str, u64> = tasks.iter().map(|task| (*task, 1)).collect();
    let (mut killed, mut done) = (0, 0);
    let mut state = 7u64;
    let mut random = || next_random(&mut state);
    // The time of each, measured when it was not killed, and less where one had ended before.
    let mut lengths: BTreeMap<&str, Duration> = BTreeMap::new();
    for round in 0.. {
        if killed >= 50 {
            break;
        }
        assert!(round < 1000, "only {killed} of {round} processes were still there to be killed");
        let task = tasks[round / 3 % 3];
        let (kind, arguments) = match round % 3 {
            0 => {
                let counter = counters.get_mut(task).unwrap();
                *counter += 1;
                ("push", format!("forge push F {}", contribution(at, "a", task, *counter)))
            }
            1 => ("merge", MERGE.to_owned()),
            _ => match newest_member(at) {
                Some(number) => ("revert", format!("forge revert F v{number} --key forge.key")),
                None => continue,
            },
        };
        let begun = Instant::now();
        let mut child =
            packer(at, &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        match lengths.get_mut(kind) {
            Some(length) => {
                std::thread::sleep(length.mul_f64(random() * 1.1));
                if stop(&mut child) {
                    (killed, *length) = (killed + 1, length.mul_f64(1.03));
                } else {
                    (done, *length) = (done + 1, length.mul_f64(0.8));
                }
                good(at, VERIFY);
                can_be_done_again(at, &arguments);
            }
            None => {
                child.wait().unwrap();
                lengths.insert(kind, begun.elapsed());
            }
        }
    }
    println!("{killed} processes killed, {done} had ended before");
    good(at, MERGE);
    let verdict = good(at, &format!("{VERIFY} --rebuild"));
    assert!(verdict.contains("(0 not merged yet)"), "{verdict}");
    let items = log(at)["items"].as_array().unwrap().len();
    assert!(items > 30, "{items} items are hardly any");
}

/// Kills a process. False if it had ended before.
fn stop(child: &mut Child) -> bool {
    if child.try_wait().unwrap().is_some() {
        return false;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    true
}

/// A command that was stopped can be repeated, unless it had done its work.
fn can_be_done_again(at: &Path, arguments: &str) {
    let again = packer(at, arguments).output().unwrap();
    let done =
        ["was pushed already", "no member of"].iter().any(|words| said(&again).contains(words));
    assert!(again.status.success() || done, "{arguments}: {}", said(&again));
}

/// A number from 0 to 1, from a linear congruential generator.
fn next_random(state: &mut u64) -> f64 {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as f64 / (1u64 << 31) as f64
}
