//! Bundles of merged models: fusions and mixtures.

use super::*;
use crate::lora::tests::dora;
use crate::merge::compose::sites;
use crate::merge::model::{Composition, Model};
use crate::predict::Predictor;

mod routed;

/// Three modules of three tasks, each with a head of its own.
fn three(vit: &Vit) -> [Module; 3] {
    let mut all =
        [module(vit, "q,v", None), module(vit, "k,fc2", None), module(vit, "v,o", Some(1))];
    for (i, (module, task)) in all.iter_mut().zip(["breast", "colon", "lung"]).enumerate() {
        module.card.task = task.into();
        module.head.bias.data[0] += 0.3 * i as f32;
    }
    all
}

/// What the runtime says about a picture, once it is found to agree with the model on packer's own
/// features. The task may be left out.
fn agrees(
    vit: &Vit,
    modules: &[Module],
    model: &Model,
    task: Option<&str>,
) -> medforge_runtime::classify::Classification {
    let classifier =
        load(build_merged_bundle(vit, packed(model, modules), &options(), &[key()]).unwrap())
            .unwrap();
    let (picture, size) = (picture(20, 23), modules[0].card.image_size as usize);
    let mut pixels = vec![0.0; 3 * size * size];
    vit.preprocessing_for(size as u32).unwrap().apply(&picture.view(), &mut pixels).unwrap();
    let device = Cpu::<f32>::new();
    let features: Vec<Vec<f32>> = model
        .networks()
        .iter()
        .map(|sites| Predictor::changed(&device, vit, sites, size).features(&pixels).unwrap())
        .collect();
    let views: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
    let ours = model.answer(&views, task);
    let theirs = classifier.classify(picture.view(), task).unwrap();
    assert_eq!(ours.task, theirs.task);
    for (ours, theirs) in ours.probabilities.iter().zip(&theirs.probabilities) {
        assert!((ours - f64::from(*theirs)).abs() < 1e-4, "{ours} {theirs}");
    }
    theirs
}

/// A merged model of which nothing else is known.
fn packed<'a>(model: &'a Model, modules: &'a [Module]) -> Packed<'a> {
    Packed { model, modules, measured: BTreeMap::new(), origins: &[] }
}

fn merged(modules: &[Module], composition: Composition) -> Model {
    let heads = modules.iter().map(|m| (m.card.task.clone(), m.head.clone())).collect();
    Model { heads, composition, routing: None }
}

#[test]
fn a_fusion_is_packed_as_one_module_of_all_contributors() {
    let vit = small(Family::Dinov2);
    let modules = three(&vit);
    let sum: Vec<_> = modules.iter().map(sites).collect();
    let mut fused = sum[0].clone();
    fused.extend(sum[1].clone());
    let model = merged(&modules, Composition::Fusion(fused));
    for task in ["breast", "colon", "lung"] {
        let said = agrees(&vit, &modules, &model, Some(task));
        assert_eq!((said.modules.len(), said.modules[0].weight), (1, 1.0));
    }
    let bundle = verified(
        build_merged_bundle(&vit, packed(&model, &modules), &options(), &[key()]).unwrap(),
    );
    assert_eq!(bundle.manifest().modules[0].contributor, "someone");
    assert!(bundle.manifest().metrics.is_empty());

    let mut many = modules.clone();
    for (i, module) in many.iter_mut().enumerate() {
        module.card.contributor = format!("hospital {i} {}", "x".repeat(100));
    }
    let bundle =
        verified(build_merged_bundle(&vit, packed(&model, &many), &options(), &[key()]).unwrap());
    assert_eq!(bundle.manifest().modules[0].contributor, "3 contributors, named in model_card.md");
    assert!(
        build_merged_bundle(&vit, packed(&model, &modules[..2]), &options(), &[key()]).is_err()
    );
}

#[test]
fn a_mixture_runs_every_module_that_has_a_weight() {
    let vit = small(Family::Dinov2);
    let modules = three(&vit);
    let weights =
        [("breast", [0.5, -0.2, 0.7]), ("colon", [0.0, 1.0, 0.0]), ("lung", [0.0, 0.4, 0.6])];
    let weights = weights.iter().map(|(t, w)| ((*t).to_owned(), w.to_vec())).collect();
    let model = merged(
        &modules,
        Composition::Mixture { modules: modules.iter().map(sites).collect(), weights },
    );
    let weights = |task: &str| -> Vec<f64> {
        agrees(&vit, &modules, &model, Some(task)).modules.iter().map(|m| m.weight).collect()
    };
    assert_eq!(weights("breast"), [0.5, -0.2, 0.7]);
    assert_eq!(weights("colon"), [1.0]);
    assert_eq!(weights("lung"), [0.4, 0.6]);
}

/// One DoRA module alone is exact, and several mix. A request to fuse them is refused.
#[test]
fn dora_modules_mix_and_do_not_fuse() {
    use medforge_runtime::bundle::manifest::{Mode, WeightedModule};
    use medforge_runtime::classify::{Cancel, Selection};
    let vit = small(Family::Dinov2);
    let mut modules = three(&vit);
    modules[0] = dora(&vit, modules[0].clone());
    modules[2] = dora(&vit, modules[2].clone());
    let weights =
        [("breast", [0.5, 0.2, 0.3]), ("colon", [0.0, 1.0, 0.0]), ("lung", [0.0, 0.4, 0.6])];
    let weights = weights.iter().map(|(t, w)| ((*t).to_owned(), w.to_vec())).collect();
    let model = merged(
        &modules,
        Composition::Mixture { modules: modules.iter().map(sites).collect(), weights },
    );
    for task in ["breast", "colon", "lung"] {
        agrees(&vit, &modules, &model, Some(task));
    }
    let alone = merged(&modules, Composition::Fusion(sites(&modules[0])));
    agrees(&vit, &modules, &alone, Some("breast"));

    let bundle = build_merged_bundle(&vit, packed(&model, &modules), &options(), &[key()]).unwrap();
    let ids: Vec<String> =
        verified(bundle.clone()).manifest().modules.iter().map(|m| m.id.clone()).collect();
    let classifier = load(bundle).unwrap();
    let ask = |parts: &[(usize, f64)]| {
        let part = |(m, weight): &(usize, f64)| WeightedModule {
            module: ids[*m].clone(),
            weight: *weight,
        };
        let selection = Selection::Composition(Mode::Fusion, parts.iter().map(part).collect());
        classifier.classify_with(
            picture(9, 9).view(),
            Some("breast"),
            &selection,
            &Cancel::default(),
        )
    };
    assert!(ask(&[(0, 1.0)]).is_ok());
    for parts in [&[(0, 0.5)][..], &[(0, 1.0), (1, 1.0)], &[(1, 1.0), (2, 1.0)]] {
        let said = ask(parts).unwrap_err().to_string();
        let named = parts.iter().any(|(m, _)| *m != 1 && said.contains(&ids[*m]));
        assert!(said.contains("DoRA modules mix but do not fuse") && named, "{said}");
    }
}
