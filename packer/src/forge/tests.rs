//! Forges in a folder: the rules of pushing, histories of merges and reverts, and damage of every
//! kind.

use std::path::PathBuf;

use serde_json::json;

use super::recipe::{Method, Recipe, Recipes, Seen, Settings};
use super::*;
use crate::base::adapter_path;
use crate::contribution::tests::{OPTIONS, base, key, parts};
use crate::contribution::{self, Contribution, Options, Parts};
use crate::merge;

mod returning;

/// Forgets nothing: its file holds the previous file and the name of the new member. So the order
/// and every model in between count.
struct Chain(u64);

impl Merge for Chain {
    fn settings(&self) -> Value {
        json!({"method": "chain", "seed": self.0})
    }

    fn merge(&self, previous: Option<&Made>, members: &dyn Members) -> Result<Made, Error> {
        let mut file = previous.map(|made| made.files["chain"].clone()).unwrap_or_default();
        let newest = members.len() - 1;
        file.extend(
            format!("{}:{}:{}\n", self.0, members.name(newest), members.digest(newest))
                .into_bytes(),
        );
        Ok(Made {
            record: json!({"count": members.len()}),
            files: BTreeMap::from([("chain".into(), file)]),
        })
    }
}

/// Methods of a forge; they live as long as the test.
pub fn recipes(forge: &Forge) -> &Recipes<'_> {
    Box::leak(Box::new(Recipes::new(forge, &|_, _| ())))
}

fn average(forge: &Forge) -> Recipe<'_> {
    let method = Method::Free(merge::Options::new(merge::Method::Average));
    recipes(forge)
        .method(Settings { method, condensed: Seen::SoFar, refit_heads: false, routing: false })
        .unwrap()
}

fn methods(forge: &Forge) -> Methods<'_> {
    let recipes = recipes(forge);
    Box::leak(Box::new(move |settings: &Value| match settings["method"].as_str() {
        Some("chain") => Ok(Box::new(Chain(settings["seed"].as_u64().unwrap())) as Box<dyn Merge>),
        _ => recipes.recorded(settings),
    }))
}

pub const FORGE: u8 = 9;

/// A forge of hospitals 1, 2, 3, whose keys are those of these numbers.
pub fn forge() -> (tempfile::TempDir, Forge) {
    let dir = tempfile::tempdir().unwrap();
    let contributors = (1..=3).map(|n| (format!("hospital {n}"), key(n).verifying_key())).collect();
    let forge =
        Forge::init(dir.path().to_str().unwrap(), &base(), &contributors, &key(FORGE)).unwrap();
    (dir, forge)
}

fn signed(hospital: u8, task: &str, counter: u64, seed: usize, signer: u8) -> Vec<u8> {
    let parts = parts(&base(), &format!("hospital {hospital}"), task, seed);
    let options = Options { counter, ..OPTIONS };
    contribution::build(&parts, options, &base().identity(), &key(signer)).unwrap().bytes().to_vec()
}

fn push(forge: &Forge, hospital: u8, task: &str, counter: u64) -> Result<u64, Error> {
    let bytes = signed(hospital, task, counter, usize::from(hospital) + counter as usize, hospital);
    forge.push(Path::new("x.contribution"), bytes).map(|(number, _)| number)
}

pub fn merge(forge: &Forge, method: &dyn Merge) -> u64 {
    forge.merge(method, &key(FORGE)).unwrap().unwrap().manifest().number
}

fn members(forge: &Forge, number: u64) -> Vec<String> {
    let content = forge.content(forge.item(number).unwrap().manifest()).unwrap();
    content.members.into_iter().map(|member| member.name).collect()
}

/// Every file of the forge with its bytes.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path))
        } else {
            drop(found.insert(path.clone(), std::fs::read(path).unwrap()))
        }
    }
    found
}

#[test]
fn what_is_pushed_is_merged_in_order_and_verifies() {
    let (dir, forge) = forge();
    assert_eq!(forge.base().unwrap().digest(), base().digest());
    assert!(
        forge.merge(&average(&forge), &key(FORGE)).unwrap().is_none(),
        "nothing was pushed yet"
    );
    assert_eq!(
        (push(&forge, 1, "breast", 1).unwrap(), push(&forge, 2, "lung", 1).unwrap()),
        (1, 2)
    );
    assert_eq!((merge(&forge, &average(&forge)), merge(&forge, &average(&forge))), (1, 2));
    assert_eq!(push(&forge, 3, "colon", 7).unwrap(), 3);
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!(
        (report.items, report.contributions, report.waiting, report.rebuilt, report.unnamed),
        (2, 3, 1, 2, 0)
    );
    assert_eq!(merge(&forge, &average(&forge)), 3);
    assert!(forge.merge(&average(&forge), &key(FORGE)).unwrap().is_none());
    assert_eq!(members(&forge, 3), ["hospital 1/breast", "hospital 2/lung", "hospital 3/colon"]);
    let [second, third] = [2, 3].map(|number| forge.item(number).unwrap());
    assert_eq!(third.manifest().predecessor, second.id());
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!((report.items, report.waiting, report.rebuilt), (3, 0, 3));
    // Opened again, with the right key, the wrong key, and elsewhere.
    let place = dir.path().to_str().unwrap();
    assert_eq!(
        Forge::open(place, Some(&contribution::tests::trust(FORGE)))
            .unwrap()
            .items()
            .unwrap()
            .len(),
        3
    );
    assert!(matches!(
        Forge::open(place, Some(&contribution::tests::trust(1))),
        Err(Error::ForgeRecord { .. })
    ));
    assert!(matches!(Forge::open("/nowhere/at/all", None), Err(Error::NoForge { .. })));
}

/// The average's change of a site is the mean of the members' changes, computed here from the
/// modules themselves.
#[test]
fn the_average_is_the_mean_of_the_changes() {
    let (_dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    push(&forge, 2, "lung", 1).unwrap();
    merge(&forge, &average(&forge));
    merge(&forge, &average(&forge));
    let made = forge.made(&forge.content(forge.item(2).unwrap().manifest()).unwrap()).unwrap();
    let tensors =
        medforge_runtime::tensors::read(&made.files["adapter_model.safetensors"], "merged")
            .unwrap();
    let modules = [
        parts(&base(), "hospital 1", "breast", 2).module,
        parts(&base(), "hospital 2", "lung", 3).module,
    ];
    for site in modules[0].sites.keys() {
        let name =
            format!("base_model.model.{}", adapter_path(base().config.family, site).unwrap());
        let (a, b) = (
            &tensors[&format!("{name}.lora_A.weight")],
            &tensors[&format!("{name}.lora_B.weight")],
        );
        let entry = |a: &Tensor, b: &Tensor, o: usize, i: usize| -> f64 {
            let (rank, inputs) = (a.shape[0], a.shape[1]);
            (0..rank)
                .map(|r| f64::from(b.data[o * rank + r]) * f64::from(a.data[r * inputs + i]))
                .sum()
        };
        for (o, i) in (0..b.shape[0]).flat_map(|o| (0..a.shape[1]).map(move |i| (o, i))) {
            let mean = modules
                .iter()
                .map(|m| m.scale() * entry(&m.sites[site].a, &m.sites[site].b, o, i))
                .sum::<f64>()
                / 2.0;
            assert!((entry(a, b, o, i) - mean).abs() < 1e-6, "{site} {o} {i}");
        }
    }
    assert_eq!(made.record["weights"]["hospital 1/breast"], 0.5);
    let heads = ["heads/breast.safetensors", "heads/lung.safetensors"];
    assert!(heads.iter().all(|head| made.files.contains_key(*head)));
}

#[test]
fn what_may_not_be_pushed_is_refused_by_name_and_changes_nothing() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 5).unwrap();
    merge(&forge, &average(&forge));
    push(&forge, 2, "lung", 5).unwrap();
    let before = everything(dir.path());
    let path = Path::new("x.contribution");
    let refused = |bytes: Vec<u8>| {
        let error = forge.push(path, bytes).map(|(number, _)| number).unwrap_err();
        assert!(everything(dir.path()) == before, "{error} changed the forge");
        assert!(error.exit_code() == 3 && error.to_string().contains("x.contribution"), "{error}");
        match error {
            Error::Refused(error) => *error,
            error => error,
        }
    };
    let good = signed(3, "colon", 1, 1, 3);
    for at in [0, 40, good.len() / 2, good.len() - 1] {
        let mut corrupt = good.clone();
        corrupt[at] ^= 1;
        assert!(matches!(refused(corrupt), Error::Contribution { .. }), "byte {at}");
    }
    assert!(matches!(refused(b"nothing".to_vec()), Error::Contribution { .. }));
    assert!(matches!(refused(signed(3, "colon", 1, 1, 8)), Error::NotAContributor { .. }));
    assert!(matches!(refused(signed(3, "colon", 1, 1, 2)), Error::OthersKey { .. }));
    assert!(matches!(refused(signed(4, "colon", 1, 1, 3)), Error::UnknownContributor { .. }));
    // Merged and waiting ones alike.
    for hospital in [1, 2] {
        let task = ["breast", "lung"][usize::from(hospital) - 1];
        for counter in [1, 5] {
            let error = refused(signed(hospital, task, counter, 1, hospital));
            assert!(matches!(error, Error::Replayed { newest: 5, .. }), "{error}");
        }
        assert!(matches!(refused(signed(3, task, 9, 1, 3)), Error::TaskTaken { .. }));
    }
    let mut other = base();
    other.tensors.get_mut("norm.bias").unwrap().data[0] += 1.0;
    let build = |parts: &Parts, base: &Vit| {
        contribution::build(parts, OPTIONS, &base.identity(), &key(3)).unwrap().bytes().to_vec()
    };
    let elsewhere = build(&parts(&other, "hospital 3", "colon", 1), &other);
    assert!(matches!(refused(elsewhere), Error::OtherBase { .. }));
    let mut larger = parts(&base(), "hospital 3", "colon", 1);
    let size = larger.module.card.image_size * 2;
    let preprocessing = base().preprocessing_for(size).unwrap();
    (larger.module.card.image_size, larger.condensed.record.image_size) = (size, size);
    (larger.module.card.preprocessing, larger.condensed.record.preprocessing) =
        (preprocessing.clone(), preprocessing);
    larger.condensed.images = vec![0.5; 2 * 3 * (size as usize).pow(2)];
    assert!(matches!(refused(build(&larger, &base())), Error::OtherImageSize { .. }));

    assert_eq!(forge.push(path, good).unwrap().0, 3);
    assert_eq!(push(&forge, 1, "breast", 6).unwrap(), 4);
}

#[test]
fn a_newer_contribution_takes_the_place_of_the_older_one() {
    let (_dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    push(&forge, 2, "lung", 1).unwrap();
    push(&forge, 1, "breast", 2).unwrap();
    (1..=3).for_each(|number| assert_eq!(merge(&forge, &Chain(4)), number));
    assert_eq!(members(&forge, 3), ["hospital 2/lung", "hospital 1/breast"]);
    let item = forge.item(3).unwrap();
    assert_eq!(item.manifest().removed.as_ref().unwrap().push, 1);
    // Nothing of the older one is left in the model: it is the chain of the two alone.
    let made = forge.made(&forge.content(item.manifest()).unwrap()).unwrap();
    let lines = String::from_utf8(made.files["chain"].clone()).unwrap();
    let names: Vec<_> = lines.lines().map(|line| line.split(':').nth(1).unwrap()).collect();
    assert_eq!(names, ["hospital 2/lung", "hospital 1/breast"]);
    assert_eq!(forge.verify(Some(methods(&forge))).unwrap().rebuilt, 3);
}

#[test]
fn only_the_forges_key_makes_items() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    let before = everything(dir.path());
    assert!(matches!(forge.merge(&average(&forge), &key(1)), Err(Error::ForgeKey { .. })));
    assert!(matches!(forge.revert(1, methods(&forge), &key(1)), Err(Error::ForgeKey { .. })));
    assert!(everything(dir.path()) == before);
}

#[test]
fn a_forge_is_made_once_and_in_a_place_of_its_own() {
    let (dir, _forge) = forge();
    let contributors = BTreeMap::from([("a".to_owned(), key(1).verifying_key())]);
    let init = |place: &Path| {
        Forge::init(place.to_str().unwrap(), &base(), &contributors, &key(FORGE)).err()
    };
    assert!(matches!(init(dir.path()), Some(Error::ForgeExists { .. })));
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("thesis.txt"), "x").unwrap();
    assert!(
        matches!(init(other.path()), Some(Error::ForgeFolder { name, .. }) if name == "thesis.txt")
    );
    // What a process left that was stopped while it made the forge is no obstacle.
    std::fs::remove_file(other.path().join("thesis.txt")).unwrap();
    std::fs::create_dir(other.path().join("objects")).unwrap();
    assert!(init(other.path()).is_none());
    for address in ["http://x/y", "ftp://x", "memory:///"] {
        assert!(matches!(Forge::open(address, None), Err(Error::ForgeStore { .. })), "{address}");
    }
}

/// Whatever byte of a forge is changed, and whatever file is lost, verification says so.
#[test]
fn damage_anywhere_is_found() {
    let (dir, forge) = forge();
    for (hospital, task) in [(1, "breast"), (2, "lung")] {
        push(&forge, hospital, task, 1).unwrap();
        merge(&forge, &average(&forge));
    }
    forge.revert(1, methods(&forge), &key(FORGE)).unwrap();
    let place = dir.path().to_str().unwrap();
    let verify = || {
        Forge::open(place, Some(&contribution::tests::trust(FORGE)))
            .and_then(|forge| forge.verify(None))
    };
    assert_eq!(verify().unwrap().unnamed, 0);
    let files = everything(dir.path());
    assert!(files.len() > 20, "{}", files.len());
    let last = ["items/000003.zip", "pushes/000002.zip"].map(|name| dir.path().join(name));
    for (path, good) in &files {
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(path, bad).unwrap();
            assert!(verify().is_err(), "byte {at} of {} was changed", path.display());
        }
        std::fs::remove_file(path).unwrap();
        // The newest item alone can be lost unseen, as nothing comes after it.
        assert!(verify().is_err() || *path == last[0], "{} was lost", path.display());
        std::fs::write(path, good).unwrap();
    }
    let record = dir.path().join("items/000004.zip");
    std::fs::copy(&last[0], &record).unwrap();
    assert!(verify().is_err(), "an item twice");
    std::fs::rename(&record, dir.path().join("items/4.zip")).unwrap();
    assert!(verify().is_err(), "a name that the forge does not give");
    std::fs::remove_file(dir.path().join("items/4.zip")).unwrap();
    std::fs::copy(dir.path().join("pushes/000001.zip"), dir.path().join("pushes/000003.zip"))
        .unwrap();
    assert!(verify().unwrap_err().to_string().contains("after a newer one"));
    // Nor does it come back by being merged.
    let error = forge.merge(&average(&forge), &key(FORGE)).unwrap_err();
    assert!(
        matches!(&error, Error::NotMerged { push: 3, source } if matches!(**source,
            Error::Replayed { .. })),
        "{error}"
    );
}

/// A record under a number far ahead costs nothing and is found, before anything is read.
#[test]
fn numbers_have_no_gap() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    std::fs::write(dir.path().join("pushes/999999.zip"), b"").unwrap();
    let missing = |error: Error| {
        assert!(error.to_string().contains("pushes/000002.zip is missing"), "{error}")
    };
    missing(push(&forge, 2, "lung", 1).unwrap_err());
    missing(forge.merge(&average(&forge), &key(FORGE)).unwrap_err());
    missing(forge.verify(None).unwrap_err());
}

/// What lies under an object's name and is something else is not taken for it.
#[test]
fn an_object_that_was_changed_is_not_pushed_again() {
    let (dir, forge) = forge();
    let good = signed(1, "breast", 1, 1, 1);
    let contribution =
        Contribution::open(Path::new("x"), good.clone(), &forge.contributors, &forge.base).unwrap();
    let entry = &contribution.manifest().entries[0];
    std::fs::write(dir.path().join("objects").join(&entry.sha256), b"something else").unwrap();
    let error = forge.push(Path::new("x"), good).map(|(number, _)| number).unwrap_err();
    assert!(matches!(&error, Error::ForgeTooLong { .. } | Error::ForgeObject { .. }), "{error}");
    assert!(!dir.path().join("pushes").exists());
}

/// A merge checks a contribution's parts as a push did: somebody who writes to the store can sign
/// what no push would take.
#[test]
fn what_came_past_push_is_not_merged_and_can_be_passed_over() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &average(&forge));
    let good = contribution::build(
        &parts(&base(), "hospital 2", "lung", 1),
        OPTIONS,
        &base().identity(),
        &key(2),
    );
    let good = good.unwrap();
    let names = good.manifest().entries.iter().map(|entry| entry.name.clone());
    let mut payload: BTreeMap<_, _> =
        names.map(|n| (n.clone(), good.entry(&n).unwrap().to_vec())).collect();
    payload.insert("card.md".into(), b"\x1b[2J".to_vec());
    let manifest = Manifest { entries: bundle::list(&payload), ..good.manifest().clone() };
    let archive = bundle::assemble(&manifest, &payload, &[key(2)]).unwrap();
    payload.into_values().for_each(|bytes| drop(put(&forge.store, bytes).unwrap()));
    std::fs::write(dir.path().join("pushes/000002.zip"), bundle::envelope(&archive).unwrap())
        .unwrap();
    push(&forge, 3, "colon", 1).unwrap();

    let before = everything(dir.path());
    let error = forge.merge(&average(&forge), &key(FORGE)).unwrap_err();
    assert!(
        matches!(&error, Error::NotMerged { push: 2, .. }) && error.exit_code() == 3,
        "{error}"
    );
    assert!(
        error.to_string().contains("control characters")
            && error.to_string().contains("forge skip"),
        "{error}"
    );
    for number in [0, 1, 3, 4] {
        assert!(
            matches!(forge.skip(number, &key(FORGE)), Err(Error::NotNext { merged: 1, .. })),
            "{number}"
        );
    }
    assert!(matches!(forge.skip(2, &key(1)), Err(Error::ForgeKey { .. })));
    assert!(everything(dir.path()) == before);

    assert_eq!(forge.skip(2, &key(FORGE)).unwrap().manifest().number, 2);
    assert_eq!(members(&forge, 2), ["hospital 1/breast"]);
    let contents = [1, 2].map(|n| forge.content(forge.item(n).unwrap().manifest()).unwrap());
    assert!(contents[0] == contents[1], "the model stays as it was");
    assert_eq!(merge(&forge, &average(&forge)), 3);
    assert_eq!(members(&forge, 3), ["hospital 1/breast", "hospital 3/colon"]);
    assert!(matches!(forge.revert(2, methods(&forge), &key(FORGE)), Err(Error::NotAMember { .. })));
    // Its task is free again, and its contributor's counter is not.
    assert!(matches!(push(&forge, 2, "lung", 1), Err(Error::Replayed { .. })));
    push(&forge, 1, "lung", 1).unwrap();
}

#[test]
fn the_first_push_can_be_passed_over() {
    let (_dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    push(&forge, 2, "lung", 1).unwrap();
    let first = forge.skip(1, &key(FORGE)).unwrap();
    assert_eq!((first.manifest().members, &first.manifest().predecessor), (0, &forge.id));
    assert_eq!(merge(&forge, &Chain(1)), 2);
    assert_eq!(members(&forge, 2), ["hospital 2/lung"]);
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!((report.items, report.rebuilt, report.waiting), (2, 2, 0));
}

/// The keeper signs an item that no rule gives.
#[test]
fn items_that_the_rules_do_not_give_are_found() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &average(&forge));
    let record = dir.path().join("items/000001.zip");
    let good = std::fs::read(&record).unwrap();
    let item = forge.item(1).unwrap().manifest().clone();
    type Change = fn(&mut Item);
    let table: &[(&str, Change)] = &[
        ("does not name the item before", |item| item.predecessor = "0".repeat(64)),
        ("other members", |item| {
            (item.kind, item.removed, item.added) = (Kind::Skip, item.added.clone(), None)
        }),
        ("other members", |item| item.push = 2),
        ("is not there", |item| {
            (item.kind, item.removed, item.added) = (Kind::Revert, item.added.clone(), None)
        }),
        ("is not there", |item| item.kind = Kind::Restore),
        ("other members", |item| (item.kind, item.added) = (Kind::Again, None)),
    ];
    for (words, change) in table {
        let mut changed = item.clone();
        change(&mut changed);
        std::fs::write(
            &record,
            bundle::assemble(&changed, &BTreeMap::new(), &[key(FORGE)]).unwrap(),
        )
        .unwrap();
        let said = forge.verify(None).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
    std::fs::write(&record, good).unwrap();
    assert!(forge.verify(None).is_ok());
}

/// The number of a push that was merged is not given out again when its record is lost.
#[test]
fn a_lost_push_stops_pushes_and_merges() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &average(&forge));
    std::fs::remove_file(dir.path().join("pushes/000001.zip")).unwrap();
    assert!(matches!(push(&forge, 2, "lung", 1), Err(Error::ForgeHistory {
            what }) if what.contains("000001.zip is missing")));
    assert!(matches!(forge.merge(&average(&forge), &key(FORGE)), Err(Error::ForgeHistory { .. })));
}

/// The keeper of the forge's key signs a model that the members do not give.
#[test]
fn a_model_that_its_members_do_not_give_is_found_by_rebuilding() {
    struct Liar<'a>(Recipe<'a>);
    impl Merge for Liar<'_> {
        fn settings(&self) -> Value {
            self.0.settings()
        }
        fn sequential(&self) -> bool {
            false
        }
        fn merge(&self, _: Option<&Made>, members: &dyn Members) -> Result<Made, Error> {
            let mut made = self.0.merge(None, members)?;
            made.record = json!({"weights": {}});
            Ok(made)
        }
    }
    let (_dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &Liar(average(&forge)));
    assert!(forge.verify(None).is_ok());
    assert!(matches!(forge.verify(Some(methods(&forge))), Err(Error::NotRebuilt { number: 1 })));
}

#[test]
fn settings_that_not_every_reader_keeps_are_refused() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    assert!(
        forge.merge(&Chain(1 << 53), &key(FORGE)).unwrap_err().to_string().contains("settings")
    );
    assert!(!dir.path().join("items").exists());
}

#[test]
fn contributors_are_read_from_toml() {
    let dir = tempfile::tempdir().unwrap();
    let pem = crate::export::keys::to_pem(&key(1)).public;
    std::fs::write(dir.path().join("a.pub"), &pem).unwrap();
    let hex = hex::encode(key(2).verifying_key().as_bytes());
    let read = |text: &str| {
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        read_contributors(&path)
    };
    let inline = crate::export::keys::to_pem(&key(3)).public;
    let entry = |name: &str, key: &str| {
        format!("[[contributor]]\nname = \"{name}\"\nkey = \"\"\"{key}\"\"\"\n")
    };
    let all = read(&format!("{}{}{}", entry("A", "a.pub"), entry("B", &hex), entry("C", &inline)))
        .unwrap();
    let expected = [("A", 1), ("B", 2), ("C", 3)]
        .map(|(name, seed)| (name.to_owned(), key(seed).verifying_key()));
    assert_eq!(all, BTreeMap::from(expected));
    let weak = "01".to_owned() + &"00".repeat(31);
    for (text, words) in [
        (String::new(), "contributor"),
        ("contributor = []".into(), "names no contributor"),
        ("[[contributor]]\nname = 'A'".into(), "key"),
        (format!("{}\nemail = 'x'", entry("A", &hex)), "line 5"),
        (format!("{}{}", entry("A", &hex), entry("A", "a.pub")), "twice"),
        (format!("{}{}", entry("A", &hex), entry("B", &hex)), "key of another"),
        (entry("A", "nowhere.pub"), "nowhere.pub"),
        (entry("A", &weak), "no usable"),
        (entry("A", "-----BEGIN PUBLIC KEY-----"), "no usable"),
        (entry(" ", &hex), "name"),
    ] {
        let said = read(&text).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
}
