//! Members merged again, contributions that come back, and damage of every kind.

use super::*;

/// One item's members are merged by other methods, and a contribution that left comes back as it
/// was signed.
#[test]
fn members_are_merged_again_and_come_back() {
    let dir = forge();
    let at = dir.path();
    assert!(refused(at, 1, &format!("{MERGE} --again")).contains("no item has members"));
    for (hospital, task) in [("a", "breast"), ("b", "lung")] {
        good(at, &format!("forge push F {}", contribution(at, hospital, task, 1)));
    }
    good(at, MERGE);
    good(at, &format!("forge push F {}", contribution(at, "a", "colon", 1)));
    for (number, options) in
        [(3, "ties --density 0.5"), (4, "fusion --evaluations 3"), (5, "mixture --evaluations 4")]
    {
        let said = good(at, &format!("{MERGE} --again --method {options}"));
        assert!(said.contains(&format!("v{number}: the same 2 members merged again")), "{said}");
    }
    assert_eq!(log(at)["waiting"].as_array().unwrap().len(), 1, "what waits goes on waiting");
    let table = good(at, "forge log F");
    for words in ["ties", "fusion", "mixture", "the same members again"] {
        assert!(table.contains(words), "{words}: {table}");
    }
    as_without_history(at);
    good(at, &format!("{MERGE} --again"));
    assert!(
        good(at, "forge revert F v2 --key forge.key").contains("hospital b/lung left, 1 members")
    );
    let file = "b-lung-1.contribution";
    assert!(refused(at, 3, &format!("forge push F {file}")).contains("packer forge restore"));
    assert!(
        good(at, "forge restore F v2 --key forge.key")
            .contains("v8: hospital b/lung is back, 2 members")
    );
    assert_eq!(files(at, "F", "v8"), files(at, "F", "v6"), "the same members by the same method");
    assert!(refused(at, 1, "forge restore F v2 --key forge.key").contains("revert that one first"));
    assert!(refused(at, 1, "forge restore F v3 --key forge.key").contains("names no contribution"));
    assert!(
        refused(at, 1, "forge restore F v2 --key a.key").contains("--key is not this forge's key")
    );
    // A contribution that was passed over comes back too.
    good(at, "forge skip F 3 --key forge.key");
    assert!(
        good(at, "forge restore F v9 --key forge.key")
            .contains("v10: hospital a/colon is back, 3 members")
    );
    assert!(good(at, "forge log F").contains("+ hospital a/colon again"));
    let verdict = good(at, &format!("{VERIFY} --rebuild"));
    assert!(
        verdict.contains("verified: 10 items") && verdict.contains("same bytes: 10"),
        "{verdict}"
    );
}

/// Members merged again are the same as in a forge without the history before.
fn as_without_history(at: &Path) {
    good(at, "forge init G --base base --trust contributors.toml --key forge.key");
    for file in ["a-breast-1.contribution", "b-lung-1.contribution"] {
        good(at, &format!("forge push G {file}"));
    }
    good(at, "forge merge G --key forge.key --method ties --density 0.5");
    assert_eq!(files(at, "F", "v3"), files(at, "G", "v2"));
}

/// The files of an item's model.
fn files(at: &Path, forge: &str, item: &str) -> Value {
    let shown: Value =
        serde_json::from_str(&good(at, &format!("forge show {forge} {item} --json"))).unwrap();
    shown["content"]["files"].clone()
}

/// A file may be longer, shorter, changed, missing or a folder: the forge is refused each time.
#[test]
fn every_damage_ends_with_exit_code_3() {
    let dir = forge();
    let at = dir.path();
    good(at, &format!("forge push F {}", contribution(at, "a", "breast", 1)));
    good(at, MERGE);
    for file in listing(&at.join("F")).into_iter().filter(|path| path.is_file()) {
        let good_bytes = std::fs::read(&file).unwrap();
        let mut flipped = good_bytes.clone();
        flipped[good_bytes.len() / 2] ^= 1;
        let long = [&good_bytes[..], b"x"].concat();
        let half = good_bytes[..good_bytes.len() / 2].to_vec();
        for bytes in [long, half, flipped, vec![]] {
            std::fs::write(&file, bytes).unwrap();
            refused(at, 3, VERIFY);
        }
        std::fs::remove_file(&file).unwrap();
        // The newest item alone can be lost unseen.
        if !file.ends_with("items/000001.zip") {
            refused(at, 3, VERIFY);
        }
        std::fs::create_dir(&file).unwrap();
        if !file.ends_with("items/000001.zip") {
            refused(at, 3, VERIFY);
        }
        std::fs::remove_dir(&file).unwrap();
        std::fs::write(&file, good_bytes).unwrap();
    }
    let huge = std::fs::File::create(at.join("F/items/000002.zip")).unwrap();
    huge.set_len(1 << 25).unwrap();
    refused(at, 3, VERIFY);
    std::fs::remove_file(at.join("F/items/000002.zip")).unwrap();
    good(at, VERIFY);
}
