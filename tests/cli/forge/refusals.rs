//! What a forge refuses, unchanged.

use super::*;

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
