//! Every method in a forge: items come out the same when made again, and hold the model that the
//! methods give outside of a forge.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::tests::{FORGE, forge, merge, recipes};
use super::*;
use crate::contribution::tests::{OPTIONS, base, key, parts};
use crate::contribution::{self, Parts};
use crate::lora::Factors;
use crate::lora::tests::dora;
use crate::merge::model::Composition;
use crate::merge::{self, Rank, Sites, compose};
use medforge_runtime::tensors::Tensor;

/// A hospital's parts, with two different images of each class.
pub fn own_parts(n: u8) -> Parts {
    let task = ["breast", "lung", "colon"][usize::from(n) - 1];
    let mut parts = parts(&base(), &format!("hospital {n}"), task, 3 * usize::from(n));
    let set = &mut parts.condensed;
    let side = set.record.image_size as usize;
    set.labels = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]].concat();
    let pixel = |i: usize| ((i * (37 + 2 * usize::from(n)) + i / 101) % 256) as f32 / 256.0;
    set.images = (0..4 * 3 * side * side).map(pixel).collect();
    set.record.per_class = 2;
    parts
}

pub fn push(forge: &Forge, n: u8) {
    push_parts(forge, n, &own_parts(n));
}

pub fn push_parts(forge: &Forge, n: u8, parts: &Parts) {
    let made = contribution::build(parts, OPTIONS, &base().identity(), &key(n)).unwrap();
    forge.push(Path::new("x"), made.bytes().to_vec()).unwrap();
}

fn settings(method: Method) -> Settings {
    Settings { method, condensed: Seen::SoFar, refit_heads: false, routing: false }
}

fn free(method: merge::Method) -> Method {
    Method::Free(Options::new(method))
}

fn fusion(level: fusion::Level, finder: fusion::Finder) -> Method {
    Method::Fusion(fusion::FusionSettings { level, finder, evaluations: 4, seed: 1 })
}

fn mixture(joint: bool, per_task: bool, shares: bool) -> Method {
    Method::Mixture(Mixture {
        joint,
        search: mixture::MixtureSettings { per_task, shares, evaluations: 12, seed: 1 },
    })
}

/// A forge with three contributions merged, and the model of its newest item.
fn merged(settings: &Settings) -> (tempfile::TempDir, Model, Value) {
    let (dir, forge) = forge();
    (1..=3).for_each(|n| push(&forge, n));
    let recipe = recipes(&forge).method(settings.clone()).unwrap();
    assert_eq!([1, 2, 3].map(|_| merge(&forge, &recipe)), [1, 2, 3]);
    let methods = recipes(&forge);
    assert_eq!(forge.verify(Some(&|settings| methods.recorded(settings))).unwrap().rebuilt, 3);
    let item = forge.head().unwrap().unwrap();
    let content = forge.content(item.manifest()).unwrap();
    let (model, modules) = recipes(&forge).model(&item.manifest().settings, &content).unwrap();
    assert_eq!(modules.len(), 3);
    assert_eq!(model.heads.keys().collect::<Vec<_>>(), ["breast", "colon", "lung"]);
    (dir, model, content.record)
}

fn change(sites: &Sites, site: &str) -> Vec<f64> {
    let Factors { a, b, .. } = &sites[site];
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    let at = |o: usize, i: usize| {
        (0..rank)
            .map(|r| f64::from(b.data[o * rank + r]) * f64::from(a.data[r * inputs + i]))
            .sum::<f64>()
    };
    (0..b.shape[0]).flat_map(|o| (0..inputs).map(move |i| (o, i))).map(|(o, i)| at(o, i)).collect()
}

fn same(found: &Sites, expected: &Sites) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for site in found.keys() {
        for (f, e) in change(found, site).iter().zip(change(expected, site)) {
            assert!((f - e).abs() < 1e-5, "{site}: {f} {e}");
        }
    }
}

/// By task a member's condensed set and head, for a judge.
fn known() -> Vec<Known> {
    let known = |n: u8| {
        let parts = own_parts(n);
        let (task, head) = (parts.module.card.task.clone(), parts.module.head.clone());
        Known { id: String::new(), task, head, set: parts.condensed.rounded() }
    };
    [1, 2, 3].map(known).into()
}

/// The first of two members is a DoRA module: it comes alone, mixes with the next, and keeps it out
/// of a fusion.
#[test]
fn dora_members_mix_and_do_not_fuse() {
    let parts = |n: u8| {
        let own = own_parts(n);
        let module = if n == 1 { dora(&base(), own.module) } else { own.module };
        Parts { module, ..own }
    };
    for method in
        [free(merge::Method::Average), fusion(fusion::Level::Whole, fusion::Finder::CmaEs)]
    {
        let (_dir, forge) = forge();
        [1, 2].iter().for_each(|n| push_parts(&forge, *n, &parts(*n)));
        let recipes = recipes(&forge);
        let recipe = recipes.method(settings(method)).unwrap();
        assert_eq!(merge(&forge, &recipe), 1);
        let said = forge.merge(&recipe, &key(FORGE)).unwrap_err().to_string();
        assert!(said.contains("DoRA modules mix but do not fuse"), "{said}");
        assert!(said.contains("hospital 1"), "{said}");
    }
    let (_dir, forge) = forge();
    [1, 2].iter().for_each(|n| push_parts(&forge, *n, &parts(*n)));
    let recipe = recipes(&forge).method(settings(mixture(false, false, true))).unwrap();
    assert_eq!([1, 2].map(|_| merge(&forge, &recipe)), [1, 2]);
    let head = forge.head().unwrap().unwrap();
    let content = forge.content(head.manifest()).unwrap();
    let (model, _) = recipes(&forge).model(&head.manifest().settings, &content).unwrap();
    let magnitudes: Vec<bool> =
        model.networks().iter().map(crate::lora::dora::has_magnitudes).collect();
    assert_eq!(magnitudes, [true, false]);
}

#[test]
fn methods_without_data_give_what_they_give_elsewhere() {
    let modules = [1, 2, 3].map(|n| own_parts(n).module);
    for method in merge::Method::ALL.into_iter().filter(|m| *m != merge::Method::RegMean) {
        let (_dir, model, record) = merged(&settings(free(method)));
        let Composition::Fusion(sites) = model.composition else { panic!("{method} is no fusion") };
        let expected = merge::merge(&modules.each_ref(), &Options::new(method), &[]).unwrap();
        same(&sites, &expected.sites);
        let weight = if method == merge::Method::Average { 1.0 / 3.0 } else { 1.0 };
        assert_eq!(record["weights"]["hospital 2/lung"], weight);
        assert_eq!(model.heads["lung"].weight, modules[1].head.weight);
    }
}

/// One number cannot say what a weight a site did.
#[test]
fn after_a_fusion_by_site_no_member_has_one_weight() {
    use fusion::{Finder, Level};
    let (_dir, forge) = forge();
    for (n, level) in [(1, Level::Whole), (2, Level::Site), (3, Level::Whole)] {
        push(&forge, n);
        merge(&forge, &recipes(&forge).method(settings(fusion(level, Finder::Gradient))).unwrap());
        let record = forge.content(forge.item(u64::from(n)).unwrap().manifest()).unwrap().record;
        assert_eq!(record.get("weights").is_some(), n == 1, "{record}");
    }
}

#[test]
fn heads_are_refitted_under_the_merged_network() {
    let refit = Settings { refit_heads: true, ..settings(free(merge::Method::Average)) };
    let (_dir, model, _) = merged(&refit);
    let (vit, device, known) = (base(), Cpu::<f32>::new(), known());
    let expected = Judge::new(&device, &vit).refit(&model, &judged(&known)).unwrap();
    assert_ne!(model.heads["colon"].weight, known[2].head.weight);
    for (task, head) in expected {
        assert!(
            head.weight
                .data
                .iter()
                .zip(&model.heads[&task].weight.data)
                .all(|(f, e)| (f - e).abs() < 1e-4)
        );
    }
}

#[test]
fn a_fusion_goes_on_from_the_item_before() {
    use fusion::{Finder, Level};
    let (vit, device, known) = (base(), Cpu::<f32>::new(), known());
    let (judge, tasks) = (Judge::new(&device, &vit), judged(&known));
    for (level, finder) in [
        (Level::Whole, Finder::CmaEs),
        (Level::Whole, Finder::Gradient),
        (Level::Site, Finder::Gradient),
    ] {
        let method = fusion(level, finder);
        let (_dir, model, record) = merged(&settings(method.clone()));
        let (Method::Fusion(search), Composition::Fusion(sites)) = (method, model.composition)
        else {
            panic!()
        };
        let [first, second, third] = [1, 2, 3].map(|n| compose::sites(&own_parts(n).module));
        let (sum, old) = judge.fuse(Some(&first), second, &tasks[..2], &search, |_| ()).unwrap();
        let (sum, new) = judge.fuse(Some(&sum), third, &tasks, &search, |_| ()).unwrap();
        same(&sites, &sum);
        assert!((record["search"]["loss"].as_f64().unwrap() - new.loss).abs() < 1e-5);
        match level {
            Level::Whole => {
                let weights = [
                    old.weights[0] * new.weights[0],
                    old.weights[1] * new.weights[0],
                    new.weights[1],
                ];
                for (name, weight) in
                    ["hospital 1/breast", "hospital 2/lung", "hospital 3/colon"].iter().zip(weights)
                {
                    assert!(
                        (record["weights"][name].as_f64().unwrap() - weight).abs() < 1e-4,
                        "{record}"
                    );
                }
            }
            Level::Site => assert!(record.get("weights").is_none()),
        }
    }
}

#[test]
fn a_mixture_finds_the_weights_that_all_probabilities_give() {
    let (vit, device, known) = (base(), Cpu::<f32>::new(), known());
    let (judge, tasks) = (Judge::new(&device, &vit), judged(&known));
    let modules = [1, 2, 3].map(|n| compose::sites(&own_parts(n).module));
    for (joint, per_task, shares) in
        [(false, false, false), (false, true, true), (true, false, true), (true, true, false)]
    {
        let method = mixture(joint, per_task, shares);
        let (_dir, model, _) = merged(&settings(method.clone()));
        let (Method::Mixture(how), Composition::Mixture { weights, .. }) =
            (method, model.composition)
        else {
            panic!()
        };
        let mut expected = BTreeMap::from([("breast".to_owned(), vec![1.0])]);
        for n in 2..=3 {
            expected =
                judge.mix(&expected, &modules[..n], &tasks[..n], &how.search, joint).unwrap().0;
        }
        for (task, found) in weights {
            let near = found.iter().zip(&expected[&task]).all(|(f, e)| (f - e).abs() < 1e-3);
            assert!(near, "{joint} {per_task} {shares} {task}: {found:?} {:?}", expected[&task]);
        }
    }
}

#[test]
fn a_routed_model_has_the_prototypes_of_the_condensed_sets() {
    let (_dir, model, _) = merged(&settings(Method::Routed));
    let Composition::Routed { modules } = &model.composition else { panic!() };
    let prototypes = model.routing.as_ref().unwrap();
    let (vit, device, known) = (base(), Cpu::<f32>::new(), known());
    let expected = Judge::new(&device, &vit).prototypes(&judged(&known)).unwrap();
    for (task, tensor) in &expected.tasks {
        assert!(
            tensor
                .data
                .iter()
                .zip(&prototypes.tasks[task].data)
                .all(|(e, f)| (e - f).abs() < 1e-3 * (1.0 + e.abs()))
        );
    }
    // In the order of the tasks' names: breast, colon, lung.
    same(&modules[1], &compose::sites(&own_parts(3).module));
}

#[test]
fn a_search_may_see_the_sets_that_are_still_to_come() {
    let (_dir, forge) = forge();
    (1..=3).for_each(|n| push(&forge, n));
    let all = Settings {
        condensed: Seen::All(3),
        ..settings(fusion(fusion::Level::Whole, fusion::Finder::CmaEs))
    };
    let recipe = recipes(&forge).method(all).unwrap();
    assert_eq!([merge(&forge, &recipe), merge(&forge, &recipe)], [1, 2]);
    let content = forge.content(forge.item(2).unwrap().manifest()).unwrap();
    let (vit, device, known) = (base(), Cpu::<f32>::new(), known());
    let [first, second] = [1, 2].map(|n| compose::sites(&own_parts(n).module));
    let Method::Fusion(search) = fusion(fusion::Level::Whole, fusion::Finder::CmaEs) else {
        panic!()
    };
    let (_, found) = Judge::new(&device, &vit)
        .fuse(Some(&first), second, &judged(&known), &search, |_| ())
        .unwrap();
    assert!((content.record["search"]["loss"].as_f64().unwrap() - found.loss).abs() < 1e-5);

    // A mixture's weights for a set that came later are found too, and once it has come it counts
    // as seen.
    let joint = Settings { condensed: Seen::All(3), ..settings(mixture(true, true, true)) };
    let recipe = recipes(&forge).method(joint).unwrap();
    assert_eq!(merge(&forge, &recipe), 3);
    let methods = recipes(&forge);
    let recorded: super::super::Methods = &|settings| methods.recorded(settings);
    assert_eq!(forge.verify(Some(recorded)).unwrap().rebuilt, 3);
    // Who leaves is seen no more, neither as a member nor as one to come.
    assert_eq!(forge.revert(2, recorded, &key(FORGE)).unwrap().manifest().members, 2);
    let content = forge.content(forge.item(4).unwrap().manifest()).unwrap();
    assert!(content.record["by_task"].get("lung").is_none(), "{}", content.record);
    assert_eq!(forge.verify(Some(recorded)).unwrap().rebuilt, 4);
}

#[test]
fn regmean_needs_the_matrices_of_every_member() {
    let d = base().config.hidden;
    let gram = |scale: f32| {
        Tensor::f32(
            vec![d, d],
            (0..d * d).map(|i| if i % (d + 1) == 0 { scale } else { 0.0 }).collect(),
        )
    };
    let with = |n: u8| {
        let mut parts = own_parts(n);
        parts.grams = Some(
            parts.module.sites.keys().map(|site| (site.clone(), gram(f32::from(n)))).collect(),
        );
        parts
    };
    let (_dir, forge) = forge();
    [1, 2].into_iter().for_each(|n| push_parts(&forge, n, &with(n)));
    let recipe = recipes(&forge).method(settings(free(merge::Method::RegMean))).unwrap();
    assert_eq!([merge(&forge, &recipe), merge(&forge, &recipe)], [1, 2]);
    let item = forge.head().unwrap().unwrap();
    let content = forge.content(item.manifest()).unwrap();
    let (model, modules) = recipes(&forge).model(&item.manifest().settings, &content).unwrap();
    let Composition::Fusion(sites) = &model.composition else { panic!() };
    // Multiples of the identity weigh the changes as 1 to 2.
    for site in sites.keys() {
        let [one, two] = [0, 1].map(|m| change(&compose::sites(&modules[m]), site));
        for (found, (one, two)) in change(sites, site).iter().zip(one.iter().zip(two)) {
            assert!((found - (one + 2.0 * two) / 3.0).abs() < 1e-4, "{site}");
        }
    }
    push(&forge, 3);
    let said = forge.merge(&recipe, &key(FORGE)).unwrap_err().to_string();
    assert!(said.contains("hospital 3/colon gave no Gram matrices"), "{said}");
    assert_eq!(forge.items().unwrap().len(), 2);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let (_dir, forge) = forge();
    let recipes = recipes(&forge);
    let refused = |settings: Settings| recipes.method(settings).err().unwrap().to_string();
    assert!(
        refused(Settings { refit_heads: true, ..settings(Method::Routed) })
            .contains("under one network")
    );
    let blind = Settings { condensed: Seen::All(1), ..settings(free(merge::Method::Ties)) };
    assert!(refused(blind).contains("only fusion and mixture"));
    let weighted = Options { weights: vec![1.0], ..Options::new(merge::Method::Ties) };
    assert!(refused(settings(Method::Free(weighted))).contains("come and go"));
    let flat = Options { rank: Rank::AtMost(0), ..Options::new(merge::Method::Ties) };
    assert!(refused(settings(Method::Free(flat))).contains("rank is 0"));
    let endless = fusion::FusionSettings {
        level: fusion::Level::Whole,
        finder: fusion::Finder::CmaEs,
        evaluations: 1 << 40,
        seed: 0,
    };
    assert!(refused(settings(Method::Fusion(endless))).contains("evaluations"));
    for unknown in [
        Value::Null,
        serde_json::json!({"method": "routed"}),
        serde_json::json!({"method": {"free": {}}}),
    ] {
        assert!(matches!(recipes.recorded(&unknown), Err(Error::UnknownMethod { .. })));
    }
}
