//! Contributions and forges from the command line: the whole path, what is refused, many processes
//! at once, and kill -9 anywhere.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;

mod carried;
mod compare;
mod history;
mod routed;

/// A workshop with a module `m`, its condensed set `c`, keys `forge`, `a`, `b`, `x`, a list of the
/// contributors "hospital a" and "hospital b", and an empty forge `F`; made once and copied.
pub(super) fn forge() -> tempfile::TempDir {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = workshop();
        let at = dir.path();
        good(at, &format!("{TRAIN} --out m"));
        good(at, "eval --base base --module m --data data --record --resamples 100");
        good(
            at,
            "condense --base base --data data --task tissue --per-class 2 --iterations 2 \
                  --views 2 --device cpu --out c",
        );
        ["forge", "a", "b", "x"]
            .iter()
            .for_each(|key| drop(good(at, &format!("keygen --out {key}"))));
        std::fs::write(at.join("card.md"), "Phantoms of hospital a.\n").unwrap();
        let list = "[[contributor]]\nname = \"hospital a\"\nkey = \"a.pub\"\n[[contributor]]\nname \
                    = \"hospital b\"\nkey = \"b.pub\"\n";
        std::fs::write(at.join("contributors.toml"), list).unwrap();
        good(at, "forge init F --base base --trust contributors.toml --key forge.key");
        dir
    });
    let copy = tempfile::tempdir().unwrap();
    copy_folder(made.path(), copy.path());
    copy
}

/// A contribution for `task` by `hospital a` or `b`, number `counter`, signed with that hospital's
/// key; its file.
pub(super) fn contribution(at: &Path, hospital: &str, task: &str, counter: u64) -> String {
    let (module, set) = (format!("m-{hospital}-{task}"), format!("c-{hospital}-{task}"));
    for (from, to, card) in [("m", &module, "module.json"), ("c", &set, "condensed.json")] {
        if at.join(to).exists() {
            continue;
        }
        std::fs::create_dir(at.join(to)).unwrap();
        copy_folder(&at.join(from), &at.join(to));
        edit(&at.join(to).join(card), |json| {
            json["task"] = task.into();
            if card == "module.json" {
                json["contributor"] = format!("hospital {hospital}").into();
            }
        });
    }
    if hospital == "b" {
        // Nobody knows when these were made.
        let _ = std::fs::remove_file(at.join(&module).join("run.json"));
    }
    // Modules of different tasks differ, if only in the last digits of a number.
    let factors = at.join(&module).join("adapter_model.safetensors");
    let mut bytes = std::fs::read(&factors).unwrap();
    let place = bytes.len() - 4;
    bytes[place] = task.bytes().fold(0, |sum, b| sum ^ b.rotate_left(u32::from(sum)));
    std::fs::write(&factors, bytes).unwrap();
    let out = format!("{hospital}-{task}-{counter}.contribution");
    let said = good(
        at,
        &format!(
            "contribute --base base --module {module} --condensed {set} --card card.md --key \
             {hospital}.key --counter {counter} --out {out}"
        ),
    );
    assert!(said.contains("balanced_accuracy") && said.contains("no privacy budget"), "{said}");
    out
}

fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut json: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut json);
    std::fs::write(path, serde_json::to_vec(&json).unwrap()).unwrap();
}

fn log(at: &Path) -> Value {
    serde_json::from_str(&good(at, "forge log F --json")).unwrap()
}

const MERGE: &str = "forge merge F --key forge.key";
const VERIFY: &str = "forge verify F --trust forge.pub";

#[test]
fn contributions_become_forge_items_and_leave_again() {
    let dir = forge();
    let at = dir.path();
    assert!(good(at, MERGE).contains("nothing was pushed"));
    for (hospital, task) in [("a", "breast"), ("b", "lung"), ("a", "colon")] {
        let file = contribution(at, hospital, task, 1);
        assert!(good(at, &format!("forge push F {file}")).contains(task));
    }
    let waiting = good(at, "forge log F");
    assert_eq!(waiting.lines().filter(|line| line.starts_with("waits")).count(), 3, "{waiting}");
    let said = good(at, MERGE);
    assert_eq!(said.lines().count(), 3, "{said}");
    let table = good(at, "forge log F");
    for words in ["v1", "v2", "v3", "+ hospital b/lung", "average"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    let shown = good(at, "forge show F v2");
    for words in [
        "hospital a/breast, weight 0.5",
        "adapter_model.safetensors",
        "heads/lung.safetensors",
        "verified",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let id = log(at)["items"][1]["id"].as_str().unwrap().to_owned();
    assert!(shown.contains(&id));

    assert!(
        good(at, "forge revert F v2 --key forge.key").contains("hospital b/lung left, 2 members")
    );
    let shown: Value = serde_json::from_str(&good(at, "forge show F --json")).unwrap();
    assert_eq!(
        (shown["item"]["number"].as_u64(), shown["item"]["kind"].as_str()),
        (Some(4), Some("revert"))
    );
    assert_eq!(shown["content"]["members"].as_array().unwrap().len(), 2);
    assert!(shown["content"]["files"].get("heads/lung.safetensors").is_none());
    assert!(good(at, "forge show F v2").contains("hospital b/lung, weight"), "the history is kept");
    assert!(refused(at, 1, "forge revert F v2 --key forge.key").contains("no member of v4"));
    assert!(refused(at, 1, "forge revert F v9 --key forge.key").contains("newest item is v4"));

    let verdict = good(at, &format!("{VERIFY} --rebuild"));
    assert!(
        verdict.contains("verified: 4 items, 3 contributions") && verdict.contains("same bytes: 4"),
        "{verdict}"
    );
    assert!(refused(at, 3, "forge verify F --trust a.pub").contains("forge.zip"));
    let object = std::fs::read_dir(at.join("F/objects")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&object, b"nothing").unwrap();
    assert!(refused(at, 3, VERIFY).contains(object.file_name().unwrap().to_str().unwrap()));
}

#[test]
fn every_kind_of_merge_becomes_a_bundle_that_classifies() {
    let dir = forge();
    let at = dir.path();
    let picture = some_picture(at);
    for (task, options) in [
        ("one", "--method ties --density 0.5 --refit-heads"),
        ("two", "--method fusion --level site --search gradient --evaluations 3 --condensed all"),
        ("three", "--method fusion --evaluations 4"),
        ("four", "--method mixture --evaluations 9"),
        ("five", "--method mixture --joint --per-task --shares --routing"),
        ("six", "--method routed"),
    ] {
        let file = contribution(at, "a", task, 1);
        good(at, &format!("forge push F {file}"));
        assert!(good(at, &format!("{MERGE} {options}")).contains(task), "{options}");
        let bundle = format!("{task}.medforge");
        assert!(good(at, &format!("forge bundle F --key a.key --out {bundle}")).contains("bundle"));
        let classify = format!("classify {bundle} --trust a.pub {picture} --json");
        let given: Value =
            serde_json::from_str(&good(at, &format!("{classify} --task {task}"))).unwrap();
        assert!(given.to_string().contains(task), "{given}");
        if matches!(task, "five" | "six") {
            assert!(good(at, &classify).contains("probabilities"));
        }
    }
    let verdict = good(at, &format!("{VERIFY} --rebuild"));
    assert!(verdict.contains("same bytes: 6"), "{verdict}");
    let table = good(at, "forge log F");
    for words in ["ties", "fusion", "mixture", "routed"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    for (options, words) in [
        ("--method mixture --level site", "--level means nothing with --method mixture"),
        ("--method ties --joint", "--joint means nothing with --method ties"),
        ("--method fusion --density 0.5", "--density means nothing with --method fusion"),
        ("--method mixture --refit-heads", "--refit-heads means nothing"),
        ("--method average --condensed all", "--condensed means nothing"),
        ("--method best", "is none of average, task-arithmetic"),
        ("--method regmean", "hospital a/one gave no Gram matrices"),
    ] {
        contribution_waits(at);
        let said = refused(at, 1, &format!("{MERGE} {options}"));
        assert!(said.contains(words), "{options}: {said}");
    }
    let with = "contribute --base base --module m-a-one --condensed c-a-one --card card.md --key \
                a.key --counter 2 --grams data";
    assert!(
        good(at, &format!("{with} --out g.contribution"))
            .contains("second moments of patients' features")
    );
    good(at, "forge init G --base base --trust contributors.toml --key forge.key");
    good(at, "forge push G g.contribution");
    assert!(good(at, "forge merge G --key forge.key --method regmean").contains("one merged"));
    assert!(
        good(at, "forge bundle F v2 --key a.key --out second.medforge").contains("second.medforge")
    );
    assert!(
        refused(at, 1, "forge bundle F v9 --key a.key --out no.medforge")
            .contains("newest item is v6")
    );

    assert!(refused(at, 1, &format!("{MERGE} --method regmean")).contains("push 7 stays waiting"));
    assert!(refused(at, 1, "forge skip F 8 --key forge.key").contains("not the next"));
    assert!(
        good(at, "forge skip F 7 --key forge.key")
            .contains("v7: hospital b/seven passed over, 6 members")
    );
    assert!(good(at, MERGE).contains("nothing was pushed"));
    assert!(good(at, "forge log F").contains("passed over hospital b/seven"));
    assert!(
        good(at, "forge bundle F v7 --key a.key --out skipped.medforge")
            .contains("skipped.medforge")
    );
    assert!(good(at, &format!("{VERIFY} --rebuild")).contains("same bytes: 7"));
}

/// Sees to it that something was pushed and not merged.
fn contribution_waits(at: &Path) {
    if log(at)["waiting"].as_array().unwrap().is_empty() {
        good(at, &format!("forge push F {}", contribution(at, "b", "seven", 1)));
    }
}

#[test]
fn what_does_not_belong_is_refused_and_leaves_the_forge_as_it_was() {
    let dir = forge();
    let at = dir.path();
    let file = contribution(at, "a", "breast", 2);
    good(at, &format!("forge push F {file}"));
    let older = contribution(at, "a", "breast", 1);
    let taken = contribution(at, "b", "breast", 1);
    let other = contribution(at, "b", "lung", 1);
    let make = "contribute --base base --module m-b-lung --condensed c-b-lung --card card.md";
    good(at, &format!("{make} --key x.key --out stranger.contribution"));
    good(at, &format!("{make} --key a.key --out others.contribution"));
    let bytes = std::fs::read(at.join(&other)).unwrap();
    std::fs::write(at.join("cut.contribution"), &bytes[..bytes.len() - 1]).unwrap();
    good(
        at,
        "train --full --from-scratch --base shape --data data --task all --out base2 --epochs 1 \
         --seed 5",
    );
    good(at, "forge init F2 --base base2 --trust contributors.toml --key forge.key");

    let before = listing(&at.join("F"));
    for (file, words) in [
        (file.as_str(), "number 2 of hospital a/breast and number 2 was pushed"),
        (&older, "number 1 of hospital a/breast"),
        (&taken, "the task breast is \"hospital a\"'s"),
        ("stranger.contribution", "no contributor's key"),
        ("others.contribution", "not signed by that contributor's key"),
        ("cut.contribution", "truncated"),
        ("card.md", "not_an_archive"),
    ] {
        let sentence = refused(at, 3, &format!("forge push F {file}"));
        assert!(sentence.contains(words) && sentence.contains(file), "{file}: {sentence}");
        assert!(!sentence.contains("trust that"), "{file}: {sentence}");
    }
    assert!(refused(at, 3, &format!("forge push F2 {other}")).contains("this base is"));
    assert!(refused(at, 1, "forge merge F --key a.key").contains("--key is not this forge's key"));
    assert_eq!(listing(&at.join("F")), before);

    assert!(refused(at, 1, &format!("{make} --key b.key --out {other}")).contains("--force"));
    edit(&at.join("c-b-lung/condensed.json"), |json| json["start"] = "real".into());
    assert!(
        refused(at, 1, &format!("{make} --key b.key --out real.contribution"))
            .contains("--allow-real-start")
    );
    good(at, &format!("{make} --key b.key --out real.contribution --allow-real-start"));
    edit(&at.join("c-b-lung/condensed.json"), |json| json["task"] = "liver".into());
    let sentence =
        refused(at, 1, &format!("{make} --key b.key --allow-real-start --out none.contribution"));
    assert!(sentence.contains("differ in task: lung and liver"), "{sentence}");
    assert!(!at.join("none.contribution").exists());
    assert!(refused(at, 1, "forge log nowhere").contains("forge.zip"));
    assert!(
        refused(at, 1, "forge init F --base base --trust contributors.toml --key forge.key")
            .contains("already")
    );
    for address in ["s3://bucket/forge", "http://somewhere"] {
        let sentence = refused(at, 1, &format!("forge log {address}"));
        assert!(sentence.contains("s3://"), "{sentence}");
    }
}

#[test]
fn a_contribution_without_results_says_so() {
    let dir = forge();
    let at = dir.path();
    edit(&at.join("m/module.json"), |json| {
        ["metrics", "measured"]
            .iter()
            .for_each(|key| drop(json.as_object_mut().unwrap().remove(*key)));
    });
    let said = good(
        at,
        "contribute --base base --module m --condensed c --card card.md --key a.key --out \
         x.contribution",
    );
    assert!(said.contains("no results"), "{said}");
    assert!(good(at, "inspect x.contribution").contains("never evaluated"));
}

/// Pushes, merges and a reader at once: nothing is lost, nothing is there twice.
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

    // One contribution pushed by several at once is pushed once.
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

/// Fifty kills at moments drawn over the whole length of a push, a merge, a revert.
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
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    // How long each takes, as measured when it was let to end.
    let mut lengths: BTreeMap<&str, Duration> = BTreeMap::new();
    for round in 0.. {
        if killed >= 50 {
            break;
        }
        assert!(round < 400, "only {killed} of {round} processes were still there to be killed");
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
        match lengths.get(kind) {
            Some(length) => {
                std::thread::sleep(length.mul_f64(random() * 1.1));
                match child.try_wait().unwrap() {
                    Some(_) => done += 1,
                    None => {
                        child.kill().unwrap();
                        child.wait().unwrap();
                        killed += 1;
                    }
                }
                good(at, VERIFY);
                // What was stopped can be done again, unless it was done.
                let again = packer(at, &arguments).output().unwrap();
                let done = ["was pushed already", "no member of"]
                    .iter()
                    .any(|words| said(&again).contains(words));
                assert!(again.status.success() || done, "{arguments}: {}", said(&again));
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
