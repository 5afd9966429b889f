//! The whole path: contributions become items, and leave again.

use super::*;

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
