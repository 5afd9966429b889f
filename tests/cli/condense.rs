//! Condensed sets and their audit: made, refused, stopped and resumed.

use serde_json::Value;

use super::*;

/// A condensation of about a second, without --out.
const CONDENSE: &str = "condense --base base --data data --task tissue --per-class 2 --iterations \
                        6 --views 3 --blocks 2 --device cpu";

fn record(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("condensed.json")).unwrap()).unwrap()
}

#[test]
fn images_become_a_set_and_the_same_seed_the_same_bytes() {
    let dir = workshop();
    let at = dir.path();
    let said = good(at, &format!("{CONDENSE} --out c/one"));
    assert!(said.contains("2 a class") && said.contains("audit-privacy"), "{said}");
    good(at, &format!("{CONDENSE} --out c/two"));
    good(at, &format!("{CONDENSE} --out c/three --seed 1"));
    let read = |set: &str, file: &str| std::fs::read(at.join("c").join(set).join(file)).unwrap();
    for file in ["condensed.safetensors", "condensed.json", "contact-sheet.png"] {
        assert!(read("one", file) == read("two", file), "{file} differs");
        assert!(read("one", file) != read("three", file), "{file} is the same under another seed");
    }
    let sheet = image::load_from_memory(&read("one", "contact-sheet.png")).unwrap();
    assert!(sheet.width() >= 32 && sheet.height() >= 32);
    let record = record(&at.join("c/one"));
    assert_eq!((&record["start"], &record["privacy"]), (&Value::from("noise"), &Value::Null));
    assert_eq!(record["settings"]["iterations"], 6);
}

#[test]
fn a_set_may_use_the_module_soft_labels_and_real_images_and_says_so() {
    let dir = with_bundle();
    let at = dir.path();
    good(at, &format!("{CONDENSE} --out soft --module m --labels soft --perturbation 0.2"));
    assert!(record(&at.join("soft"))["module"].is_string());
    assert_eq!(record(&at.join("soft"))["labels"], "soft");
    let said = good(at, &format!("{CONDENSE} --out real --init real"));
    assert!(said.contains("do not give it away"), "{said}");
    assert_eq!(record(&at.join("real"))["start"], "real");
}

#[test]
fn a_set_with_a_budget_says_what_it_covers() {
    let dir = workshop();
    let at = dir.path();
    let said = good(at, &format!("{CONDENSE} --out c --epsilon 8 --delta 1e-5 --min-groups 2"));
    assert!(
        said.contains("(8, 0.00001)-differentially private") && said.contains("not a module"),
        "{said}"
    );
    let privacy = &record(&at.join("c"))["privacy"];
    for key in ["epsilon", "delta", "sigma", "clip", "sensitivity", "groups_per_class", "statement"]
    {
        assert!(!privacy[key].is_null(), "{key} is missing");
    }
    good(
        at,
        &format!("{CONDENSE} --out d --epsilon 8 --min-groups 2 --counts noised --match moments"),
    );
    assert_eq!(record(&at.join("d"))["privacy"]["counts"], "noised");
    // Two releases of the same seed differ, since their noise does not come from the seed.
    good(at, &format!("{CONDENSE} --out e --epsilon 8 --delta 1e-5 --min-groups 2"));
    let read = |set: &str| std::fs::read(at.join(set).join("condensed.safetensors")).unwrap();
    assert!(read("c") != read("e"));
}

#[test]
fn what_cannot_be_condensed_is_refused_and_leaves_nothing() {
    let dir = with_bundle();
    let at = dir.path();
    good(
        at,
        "train --full --from-scratch --base shape --data data --task all --out base2 --epochs 1 \
         --seed 5",
    );
    poor_data(at);
    let before = listing(at);
    let few = CONDENSE.replace("--per-class 2", "--per-class 0");
    let cases = [
        (CONDENSE.replace("data data", "data one"), "has 1 image"),
        (CONDENSE.replace("data data", "data flat"), "of one colour"),
        (format!("{CONDENSE} --size 18"), "patch"),
        (few, "--per-class"),
        (CONDENSE.replace("base base", "base base2") + " --module m", "base"),
        (format!("{CONDENSE} --epsilon 0"), "--epsilon"),
        (format!("{CONDENSE} --epsilon=-1"), "--epsilon"),
        (format!("{CONDENSE} --epsilon NaN"), "--epsilon"),
        (format!("{CONDENSE} --epsilon 1 --delta 1"), "--delta"),
        (format!("{CONDENSE} --epsilon 1 --min-groups 500"), "fewer than 500"),
        (format!("{CONDENSE} --epsilon 1 --min-groups 2 --module m"), "no accounting of its own"),
        (format!("{CONDENSE} --epsilon 1 --min-groups 2 --init real"), "--init"),
        (format!("{CONDENSE} --labels soft"), "--module"),
    ];
    for (arguments, word) in cases {
        let sentence = refused(at, 1, &format!("{arguments} --out c"));
        assert!(sentence.contains(word), "{arguments}: {sentence}");
        assert_eq!(listing(at), before, "{arguments} left files behind");
    }
    good(at, &format!("{CONDENSE} --out c"));
    assert!(refused(at, 1, &format!("{CONDENSE} --out c")).contains("--force"));
}

/// The data `one`, with a class of one image, and `flat`, with images of one colour. Both keep the
/// test images of the good data.
fn poor_data(at: &Path) {
    let table = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    let label = |row: &str| row.split(',').nth(1).unwrap().to_owned();
    let rows: Vec<&str> = table.lines().skip(1).collect();
    let first = label(rows[0]);
    let mut kept = 0;
    let one: Vec<&str> = rows
        .iter()
        .filter(|r| {
            let counted = r.ends_with(",train") && label(r) == first;
            kept += usize::from(counted);
            !counted || kept == 1
        })
        .copied()
        .collect();
    for copy in ["one", "flat"] {
        std::fs::create_dir(at.join(copy)).unwrap();
        copy_folder(&at.join("data"), &at.join(copy));
    }
    std::fs::write(
        at.join("one/splits.csv"),
        format!("path,label,group,split\n{}\n", one.join("\n")),
    )
    .unwrap();
    for row in rows.iter().filter(|r| r.ends_with(",train") && label(r) == first) {
        image::RgbImage::from_pixel(32, 32, image::Rgb([9, 8, 7]))
            .save(at.join("flat").join(row.split(',').next().unwrap()))
            .unwrap();
    }
}

#[test]
fn a_killed_condensation_goes_on_with_the_same_bytes_and_the_same_release() {
    let long = CONDENSE.replace("--iterations 6", "--iterations 1500");
    for private in ["", " --epsilon 8 --min-groups 2"] {
        let dir = workshop();
        let at = dir.path();
        let command = format!("{long}{private}");
        stopped(at, &format!("{command} --out c"), "c", |child| child.kill().unwrap());
        assert!(refused(at, 1, &format!("{command} --out c")).contains("--resume"));
        std::fs::copy(at.join("c.checkpoint"), at.join("d.checkpoint")).unwrap();
        good(at, &format!("{command} --out c --resume"));
        good(at, &format!("{command} --out d --resume"));
        let read = |set: &str| std::fs::read(at.join(set).join("condensed.safetensors")).unwrap();
        assert!(read("c") == read("d"), "two runs from one checkpoint differ");
        if private.is_empty() {
            good(at, &format!("{command} --out e"));
            assert!(
                read("c") == read("e"),
                "a run that was killed ends otherwise than one that was not"
            );
        }
        assert!(!at.join("c.checkpoint").exists());
    }
}

#[test]
fn an_audit_prints_figures_and_no_verdict() {
    let dir = with_bundle();
    let at = dir.path();
    good(at, &format!("{CONDENSE} --out c"));
    good(at, &format!("{CONDENSE} --out p --epsilon 8 --min-groups 2"));
    let text = good(
        at,
        "audit-privacy --base base --data data --condensed p --module m --shadows 4 --device cpu",
    );
    for word in
        ["in pixels", "in features", "shadow sets", "shadow modules", "epsilon 8", "lower bounds"]
    {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.to_lowercase().contains("private"), "{text}");
    let json = good(
        at,
        "audit-privacy --base base --data data --condensed c --shadows 4 --json --device cpu",
    );
    let report: Value = serde_json::from_str(&json).unwrap();
    let rate = &report["set"]["tpr_at_1_percent"];
    assert!(
        rate["low"].as_f64() <= rate["value"].as_f64()
            && rate["value"].as_f64() <= rate["high"].as_f64()
    );
    assert!(report["module"].is_null() && report["promise"].is_null());
    assert_eq!(report["distances"][0]["space"], "pixels");
    assert_eq!(
        json,
        good(
            at,
            "audit-privacy --base base --data data --condensed c --shadows 4 --json --device cpu"
        )
    );

    assert!(
        refused(at, 1, "audit-privacy --base base --data data --condensed c --shadows 3")
            .contains("--shadows")
    );
    good(at, &format!("{CONDENSE} --out with --module m"));
    assert!(
        refused(at, 1, "audit-privacy --base base --data data --condensed with")
            .contains("--module")
    );
    std::fs::write(at.join("c/condensed.safetensors"), b"nothing").unwrap();
    assert!(
        refused(at, 1, "audit-privacy --base base --data data --condensed c")
            .contains("condensed.safetensors")
    );
}
