//! Evaluations and contributors' cards, from their own folders to the bundle that a forge packs,
//! and what `packer inspect` shows of them.

use super::*;

/// The forge's bundle holds the floors, verdict, subgroups and patients of `eval --record`, and
/// each contributor's card.
#[test]
fn what_was_measured_goes_through_a_forge_into_its_bundle() {
    let dir = forge();
    let at = dir.path();
    with_sites(at);
    let eval = "eval --base base --module m --data data --record --resamples 100 --by site \
                --device cpu --json";
    let eval: Value = serde_json::from_str(&good(at, eval)).unwrap();
    let file = contribution(at, "a", "breast", 1);
    let shown = good(at, &format!("inspect {file}"));
    for words in [
        "NOT VERIFIED",
        "Phantoms of hospital a.",
        "verdict",
        "colour alone",
        "site north",
        "groups (patients)",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    contribution_of_b(at);
    for file in [&file[..], "b.contribution"] {
        good(at, &format!("forge push F {file}"));
    }
    for (method, merged) in
        [("average", MERGE.to_owned()), ("routed", format!("{MERGE} --again --method routed"))]
    {
        good(at, &merged);
        good(at, "forge bundle F --key a.key --out all.medforge --force");
        good(at, "verify all.medforge --trust a.pub");
        measured_in_bundle(at, method, &eval);
    }
    assert!(good(at, "inspect b.contribution --pictures sheet.png").contains("never evaluated"));
    let sheet = std::fs::read(at.join("sheet.png")).unwrap();
    assert_eq!(sheet, std::fs::read(at.join("c/contact-sheet.png")).unwrap());
    assert!(
        refused(at, 1, "inspect all.medforge --pictures no.png")
            .contains("--pictures is for contributions")
    );
    ids_and_secrets(at);
}

/// Adds the column `site` to the list of images.
fn with_sites(at: &Path) {
    let list = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    let site = |(i, row): (usize, &str)| {
        format!("{row},{}\n", if i == 0 { "site" } else { ["north", "south"][i % 2] })
    };
    std::fs::write(
        at.join("data/splits.csv"),
        list.lines().enumerate().map(site).collect::<String>(),
    )
    .unwrap();
}

/// A contribution by hospital b that was never evaluated, with a card of its own.
fn contribution_of_b(at: &Path) {
    std::fs::write(at.join("card.md"), "Phantoms of hospital b.\n").unwrap();
    edit(&at.join("m/module.json"), |json| {
        ["metrics", "measured"]
            .iter()
            .for_each(|key| drop(json.as_object_mut().unwrap().remove(*key)));
    });
    for part in ["m", "c"] {
        let to = at.join(format!("{part}-b-lung"));
        std::fs::create_dir(&to).unwrap();
        copy_folder(&at.join(part), &to);
        let card = if part == "m" { "module.json" } else { "condensed.json" };
        edit(&to.join(card), |json| {
            json["task"] = "lung".into();
            if part == "m" {
                json["contributor"] = "hospital b".into();
            }
        });
    }
    let other = "contribute --base base --module m-b-lung --condensed c-b-lung --card card.md \
                 --key b.key --out b.contribution";
    good(at, other);
}

/// The bundle shows the evaluation of a's module, that b's was never evaluated, and both cards.
fn measured_in_bundle(at: &Path, method: &str, eval: &Value) {
    let manifest: Value = serde_json::from_str(&good(at, "inspect all.medforge --json")).unwrap();
    let manifest = &manifest["manifest"];
    assert!(
        manifest.get("measured").is_none(),
        "what modules reach alone does not hold of the merged model"
    );
    let [a, b] = &manifest["members"].as_array().unwrap()[..] else { panic!("{manifest}") };
    for key in ["metrics", "floors", "subgroups", "groups"] {
        assert_eq!(a["measured"][key], eval[key], "{method} {key}");
    }
    assert!(eval["subgroups"][0]["values"][1]["metrics"][0].get("low").is_some(), "{eval}");
    assert_eq!((a["contributor"].as_str(), b.get("measured")), (Some("hospital a"), None));
    for (member, hospital) in [(a, "a"), (b, "b")] {
        let card = entry(&at.join("all.medforge"), member["card"].as_str().unwrap());
        assert_eq!(card, format!("Phantoms of hospital {hospital}.\n"));
    }
    let card = entry(&at.join("all.medforge"), "model_card.md");
    let said = good(at, "inspect all.medforge");
    for words in ["colour alone", "south", "never evaluated", "hospital b"] {
        assert!(card.contains(words) && said.contains(words), "{words}: {card} {said}");
    }
}

/// The id of a key in `inspect` is the one that a trust file needs. A secret key is not shown.
fn ids_and_secrets(at: &Path) {
    let key: Value = serde_json::from_str(&good(at, "inspect a.pub --json")).unwrap();
    let hex = key["keys"][0]["public_key"].as_str().unwrap();
    let bundle: Value = serde_json::from_str(&good(at, "inspect all.medforge --json")).unwrap();
    assert_eq!(bundle["signers"][0], hex);
    let id = key["keys"][0]["id"].as_str().unwrap();
    let trust = |id: &str| {
        format!(
            "format = \"medforge-trust-1\"\nversion = 1\n[threshold]\nrelease = 1\n[[keys]]\nname \
             = \"a\"\npublic_key = \"{hex}\"\n\
             id = \"{id}\"\nroles = [\"release\"]\n"
        )
    };
    std::fs::write(at.join("trust.toml"), trust(id)).unwrap();
    assert!(good(at, "verify all.medforge --trust trust.toml").contains("signed by  a"));
    std::fs::write(at.join("trust.toml"), trust(&id.replace(&id[..1], "z"))).unwrap();
    refused(at, 3, "verify all.medforge --trust trust.toml");
    assert!(refused(at, 1, "inspect a.key").contains("is a secret key"));
}
