//! Bad input: one sentence that names the fault, an exit code that is not zero, and no files left.

use super::*;

/// Runs a training that must be refused, and checks that it left no output and no temporary file.
/// Gives the sentence.
fn refused_training(dir: &Path, arguments: &str) -> String {
    let before = listing(dir);
    let sentence = refused(dir, 1, &format!("{arguments} --out m"));
    assert_eq!(listing(dir), before, "{sentence} left files behind");
    sentence
}

#[test]
fn a_broken_base_is_refused() {
    let dir = workshop();
    let at = dir.path();
    let weights = at.join("base/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused_training(at, TRAIN).contains("base/model.safetensors"));
    std::fs::remove_file(&weights).unwrap();
    let said = refused_training(at, TRAIN);
    assert!(said.contains("base: holds no weights"), "{said}");
    std::fs::write(&weights, &bytes).unwrap();
    let config = std::fs::read_to_string(at.join("base/config.json")).unwrap();
    std::fs::write(
        at.join("base/config.json"),
        config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
    )
    .unwrap();
    let sentence = refused_training(at, TRAIN);
    assert!(sentence.contains("layer.2") && sentence.contains("missing"), "{sentence}");
}

#[test]
fn broken_data_are_refused() {
    let dir = workshop();
    let at = dir.path();
    let table = at.join("data/splits.csv");
    let good_table = std::fs::read_to_string(&table).unwrap();
    let first = good_table.lines().find(|l| l.ends_with(",train")).unwrap().to_owned();
    let image = at.join("data").join(first.split(',').next().unwrap());
    let pixels = std::fs::read(&image).unwrap();
    std::fs::write(&image, &pixels[..pixels.len() / 2]).unwrap();
    let name = image.file_name().unwrap().to_str().unwrap();
    assert!(refused_training(at, TRAIN).contains(name), "the sentence does not name {name}");
    std::fs::remove_file(&image).unwrap();
    assert!(refused_training(at, TRAIN).contains(name));
    std::fs::write(&image, &pixels).unwrap();

    // One of several images of a training patient moved to the other split.
    let group_of = |row: &str| row.split(',').nth(2).map(str::to_owned);
    let several = |row: &&str| {
        good_table.lines().filter(|other| group_of(other) == group_of(row)).count() > 1
    };
    let train = good_table.lines().filter(several).find(|l| l.ends_with(",train")).unwrap();
    let moved = good_table.replacen(train, &train.replace(",train", ",test"), 1);
    std::fs::write(&table, moved).unwrap();
    let group = train.split(',').nth(2).unwrap();
    assert!(
        refused_training(at, TRAIN).contains(group),
        "the sentence does not name the group {group}"
    );

    // A class that only the test split has.
    let test = good_table.lines().find(|l| l.ends_with(",test")).unwrap();
    let label = test.split(',').nth(1).unwrap();
    let unseen =
        good_table.replacen(test, &test.replacen(&format!(",{label},"), ",unheard-of,", 1), 1);
    std::fs::write(&table, unseen).unwrap();
    assert!(refused_training(at, TRAIN).contains("unheard-of"));

    std::fs::write(&table, "path,label,group,split\n").unwrap();
    assert!(
        refused_training(at, TRAIN).contains("splits.csv")
            || refused_training(at, TRAIN).contains("data")
    );
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = workshop();
    let at = dir.path();
    for (option, word) in [
        ("--targets q,x", "targets"),
        ("--size 17", "patch"),
        ("--lr -1", "--lr"),
        ("--lr NaN", "--lr"),
        ("--validation 0.99", "--validation"),
    ] {
        let base =
            TRAIN.replace(" --lr 0.01", if option.starts_with("--lr") { "" } else { " --lr 0.01" });
        let option = option.replacen(' ', "=", 1);
        let sentence = refused_training(at, &format!("{base} {option}"));
        assert!(sentence.contains(word), "{option}: {sentence}");
    }
    assert!(refused_training(at, &TRAIN.replace("tissue", "../evil")).contains("--task"));
}

#[test]
fn an_output_that_exists_is_not_replaced_unasked() {
    let dir = with_bundle();
    let at = dir.path();
    let before = std::fs::read(at.join("m/module.json")).unwrap();
    assert!(refused(at, 1, &format!("{TRAIN} --out m")).contains("--force"));
    assert!(
        refused(at, 1, "bundle --base base --module m --key k.key --out b.medforge")
            .contains("exists")
    );
    assert!(refused(at, 1, "keygen --out k").contains("k.key"));
    assert_eq!(std::fs::read(at.join("m/module.json")).unwrap(), before);
    good(at, &format!("{TRAIN} --out m --force"));
}

#[test]
fn a_module_of_another_base_is_refused() {
    let dir = with_bundle();
    let at = dir.path();
    good(
        at,
        "train --full --from-scratch --base shape --data data --task all --out base2 --epochs 1 \
         --seed 5",
    );
    for command in ["eval --data data", "bundle --key k.key --out c.medforge"] {
        let sentence = refused(at, 1, &format!("{command} --base base2 --module m"));
        assert!(sentence.contains("base"), "{sentence}");
    }
    assert!(!at.join("c.medforge").exists());
}

#[test]
fn a_bundle_that_is_not_as_signed_is_refused_with_exit_code_3() {
    let dir = with_bundle();
    let at = dir.path();
    let image = test_images(at)[0].0.clone();
    let bytes = std::fs::read(at.join("b.medforge")).unwrap();
    good(at, "keygen --out other");
    for command in [
        "verify b.medforge --trust other.pub",
        &format!("classify b.medforge --trust other.pub {image}"),
    ] {
        assert!(refused(at, 3, command).contains("signed"));
    }
    // One byte in each of two hundred places, and a cut at each of twenty.
    for i in 0..200 {
        let place = i * (bytes.len() - 1) / 199;
        let mut changed = bytes.clone();
        changed[place] ^= 1 << (i % 8);
        std::fs::write(at.join("changed"), &changed).unwrap();
        refused(at, 3, "verify changed --trust k.pub");
    }
    for i in 0..20 {
        std::fs::write(at.join("changed"), &bytes[..i * bytes.len() / 20]).unwrap();
        refused(at, 3, "verify changed --trust k.pub");
    }
    refused(at, 3, &format!("classify changed --trust k.pub {image}"));
    refused(at, 1, "verify absent.medforge --trust k.pub");
    refused(at, 1, "verify b.medforge --trust k.key");
    refused(at, 1, "classify b.medforge --trust k.pub base/config.json");
}
