//! Contributions and forges from the command line: what their tests share.

use serde_json::Value;

use super::*;

mod carried;
mod compare;
mod history;
mod methods;
mod path;
mod processes;
mod refusals;
mod routed;

/// A workshop with a module `m`, its condensed set `c`, keys `forge`, `a`, `b`, `x`, and an empty
/// forge `F`. The contributors are "hospital a" and "hospital b". It is made once and then copied.
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

/// Makes a contribution for `task` by `hospital a` or `b`, with the number `counter`, signed with
/// that hospital's key. Gives its file.
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
        // The time of these is unknown.
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
