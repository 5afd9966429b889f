//! Pushes that are merged in order, and what a merge makes of them.

use medforge_runtime::tensors::Tensor;

use super::*;
use crate::base::adapter_path;

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
    // It is opened again with the right key, with a wrong key, and at another place.
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
    let model =
        forge.stored_model(&forge.content(forge.item(2).unwrap().manifest()).unwrap()).unwrap();
    let tensors =
        medforge_runtime::tensors::read(&model.files["adapter_model.safetensors"], "merged")
            .unwrap();
    let modules = [
        parts(&base(), "hospital 1", "breast", 2).module,
        parts(&base(), "hospital 2", "lung", 3).module,
    ];
    for site in modules[0].sites.keys() {
        let name = format!(
            "base_model.model.{}",
            adapter_path(base().config.family, false, site).unwrap()
        );
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
    assert_eq!(model.record["weights"]["hospital 1/breast"], 0.5);
    let heads = ["heads/breast.safetensors", "heads/lung.safetensors"];
    assert!(heads.iter().all(|head| model.files.contains_key(*head)));
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
    // The model has nothing of the older one: it is the chain of the other two.
    let model = forge.stored_model(&forge.content(item.manifest()).unwrap()).unwrap();
    let lines = String::from_utf8(model.files["chain"].clone()).unwrap();
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
    // Files of a process that was stopped while it made the forge are no obstacle.
    std::fs::remove_file(other.path().join("thesis.txt")).unwrap();
    std::fs::create_dir(other.path().join("objects")).unwrap();
    assert!(init(other.path()).is_none());
    for address in ["http://x/y", "ftp://x", "memory:///"] {
        assert!(matches!(Forge::open(address, None), Err(Error::ForgeStore { .. })), "{address}");
    }
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
