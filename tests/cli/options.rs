//! Options from packer.toml, bounds on memory, and dry runs of trainings.

use serde_json::Value;

use super::*;

fn write(dir: &Path, text: &str) {
    std::fs::write(dir.join("packer.toml"), text).unwrap();
}

#[test]
fn options_come_from_the_file_where_the_command_line_leaves_them_out() {
    let dir = workshop();
    let at = dir.path();
    write(
        at,
        "[train]\nbase = \"base\"\ndata = \"data\"\ntask = \"tissue\"\nepochs = 2\nbatch = 8\nrank \
         = 2\nalpha = 4\nlr = 0.01\n\n\
         [bundle]\nmodule = [\"m\"]\n\n[eval]\njson = true\n[forge.merge]\nmethod = \"ties\"\n",
    );
    let output = packer(at, "train --out m").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("from packer.toml: "), "{}", said(&output));
    assert!(said(&output).contains("--base=base"), "{}", said(&output));
    good(at, &format!("{TRAIN} --out n --config {}", empty(at)));
    let module = |name: &str| -> Value {
        serde_json::from_slice(&std::fs::read(at.join(name).join("module.json")).unwrap()).unwrap()
    };
    assert_eq!(module("m")["training"]["settings"], module("n")["training"]["settings"]);
    let weights =
        |name: &str| std::fs::read(at.join(name).join("adapter_model.safetensors")).unwrap();
    assert_eq!(weights("m"), weights("n"));

    // The command line wins, also over an option in the file that excludes one of its own.
    good(at, "train --out o --rank 1 --epochs 1");
    assert_eq!(module("o")["training"]["settings"]["method"]["lora"]["rank"], 1);
    assert_eq!(module("o")["training"]["settings"]["epochs"], 1);
    let output = packer(at, "train --full --out full --epochs=1").output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("--rank"), "{}", said(&output));

    // A flag and a repeated option; a subcommand's subcommand.
    let results = good(at, "eval --base base --module m --data data");
    assert!(serde_json::from_str::<Value>(&results).is_ok(), "{results}");
    good(at, "bundle --base base --key k.key --out b.medforge");
    let refusal =
        said(&packer(at, "forge merge nowhere --key k.key --config packer.toml").output().unwrap());
    assert!(
        refusal.contains("from packer.toml: --method=ties") && refusal.contains("no forge"),
        "{refusal}"
    );
}

fn empty(dir: &Path) -> &'static str {
    std::fs::write(dir.join("empty.toml"), "").unwrap();
    "empty.toml"
}

#[test]
fn a_file_with_a_fault_is_refused_in_one_sentence() {
    let dir = workshop();
    for (text, words) in [
        ("[trian]\nlr = 1.0", "there is no table [trian]; the nearest is [train]"),
        ("[forge.merg]\n", "there is no table [forge.merg]; the nearest is [forge.merge]"),
        ("[train]\nepoch = 3", "[train] epoch is no option; the nearest is epochs"),
        ("[train]\nepochs = \"3\"", "[train] epochs must be a whole number, and is a text"),
        ("[train]\nepochs = 3.5", "[train] epochs must be a whole number, and is a number"),
        ("[train]\nlr = true", "[train] lr must be a number, and is true or false"),
        ("[train]\ntargets = [\"q\"]", "[train] targets must be a text, and is an array"),
        ("[train]\nfull = 1", "[train] full must be true or false, and is a whole number"),
        ("[bundle]\nmodule = \"m\"", "[bundle] module must be an array, and is a text"),
        ("[bundle]\nmodule = [[\"m\"]]", "[bundle] module must be a text, and is an array"),
        ("[train]\nseed = -1", "[train] seed: invalid value '-1'"),
        ("[train]\nflips = \"up\"", "[train] flips: invalid value 'up'"),
        ("train = 3", "train, above all tables, is no option"),
        ("[train]\nconfig = \"other.toml\"", "[train] config is no option"),
        ("[train]\nlr = \n", "row 2: "),
        (
            "[verify]\ntrust = \"k.pub\"",
            "[verify] trust may stand only in a file that --config names",
        ),
        (
            "[contribute]\nallow-real-start = true",
            "[contribute] allow-real-start may stand only in a file that --config",
        ),
    ] {
        write(dir.path(), text);
        let sentence = refused(dir.path(), 1, &format!("{TRAIN} --out m"));
        let sentence = sentence
            .strip_prefix("packer: packer.toml: ")
            .unwrap_or_else(|| panic!("{text}: {sentence}"));
        assert!(sentence.contains(words), "{text}: {sentence}");
    }
    std::fs::write(dir.path().join("named.toml"), "[verify]\ntrust = \"k.pub\"").unwrap();
    std::fs::remove_file(dir.path().join("packer.toml")).unwrap();
    let taken =
        said(&packer(dir.path(), "verify none.medforge --config named.toml").output().unwrap());
    assert!(taken.contains("from named.toml: --trust=k.pub"), "{taken}");
    write(dir.path(), "[verify]\ntrust = \"k.pub\"");
    // Help is given with any file, but a file that is named must exist.
    good(dir.path(), "train --help");
    assert!(refused(dir.path(), 1, "devices --config none.toml").contains("none.toml"));
}

#[test]
fn a_bound_on_memory_is_met_or_refused() {
    let dir = workshop();
    let at = dir.path();
    for size in ["none", "0", "6 gigabytes", "1e30", "GiB"] {
        let mut command = packer(at, &format!("{TRAIN} --out m --memory"));
        let sentence = said(&command.arg(size).output().unwrap());
        assert!(
            sentence.starts_with("packer: --memory ") && sentence.contains("is no size"),
            "{size}: {sentence}"
        );
    }
    let refusal = refused(at, 1, &format!("{TRAIN} --out m --memory 1MiB"));
    let least = refusal.split("the least that would do is ").nth(1).unwrap().trim();
    let output = packer(at, &format!("{TRAIN} --out m --memory {least}")).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("memory: about "), "{}", said(&output));
    // With enough memory nothing is cut, and the bytes are those without a bound.
    good(at, &format!("{TRAIN} --out n --memory 6GiB"));
    good(at, &format!("{TRAIN} --out o"));
    let weights =
        |name: &str| std::fs::read(at.join(name).join("adapter_model.safetensors")).unwrap();
    assert_eq!(weights("n"), weights("o"));
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let dir = workshop();
    let at = dir.path();
    write(at, "[train]\nmemory = \"1GiB\"\n");
    let before = listing(at);
    let words = good(at, &format!("{TRAIN} --out m --validation 0.2 --dry-run"));
    for part in [
        "training ",
        "validation ",
        "test ",
        "trained ",
        "steps ",
        "memory ",
        "time ",
        "--memory 1GiB (packer.toml)",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let json: Value = serde_json::from_str(&good(
        at,
        &format!("{TRAIN} --out m --targets q,fc2 --dry-run --json"),
    ))
    .unwrap();
    assert_eq!(listing(at), before);
    // Rank 2 on q (16 to 16) and fc2 (32 to 16) of two blocks; a head of 16 features.
    let classes = json["images"][0]["classes"].as_object().unwrap().len();
    assert_eq!(json["trained"]["sites"]["blocks.1.attn.q"], 2 * (16 + 16));
    assert_eq!(json["trained"]["sites"]["blocks.0.mlp.fc2"], 2 * (32 + 16));
    assert_eq!(json["trained"]["head"], 17 * classes);
    assert_eq!(json["trained"]["total"], 2 * (64 + 96) + 17 * classes);
    let dora: Value =
        serde_json::from_str(&good(at, &format!("{TRAIN} --out m --dora --dry-run --json")))
            .unwrap();
    // Two sites in each of two blocks, each with a length for each row.
    assert_eq!(dora["trained"]["sites"].as_object().unwrap().len(), 4);
    assert_eq!(dora["trained"]["sites"]["blocks.1.attn.v"], 2 * (16 + 16) + 16);
    let images = json["images"][0]["images"].as_u64().unwrap();
    assert_eq!(json["steps"], 2 * images.div_ceil(8));
    assert_eq!(json["cut"]["per_pass"], 8);
    let memory: u64 =
        json["memory"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(json["memory_total"], memory);
    let [low, high] = [0, 1].map(|i| json["training_seconds"][i].as_f64().unwrap());
    assert!(0.0 < low && low <= high);
    let epochs =
        json["options"].as_array().unwrap().iter().find(|o| o["name"] == "epochs").unwrap();
    assert_eq!((&epochs["values"][0], &epochs["from"]), (&"2".into(), &"command line".into()));
}
