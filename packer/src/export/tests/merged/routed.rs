//! Bundles that tell the task of an image themselves.

use super::*;
use crate::merge::routed::{Prototypes, TaskFeatures};

#[test]
fn a_routed_bundle_tells_the_task_and_weighs_modules_by_the_image() {
    let vit = small(Family::Vit);
    let modules = three(&vit);
    let hidden = vit.config.hidden;
    let features: Vec<Vec<f32>> = (0..3)
        .map(|t| (0..4 * hidden).map(|i| ((i * 31 + t * 57) % 17) as f32 / 17.0 - 0.5).collect())
        .collect();
    let seen: Vec<TaskFeatures> = modules
        .iter()
        .zip(&features)
        .map(|(m, features)| TaskFeatures {
            task: &m.card.task,
            classes: 2,
            features,
            labels: &[0, 0, 1, 1],
        })
        .collect();
    let mut prototypes = Prototypes::new(&seen).unwrap();
    // So wide that no module gets all of the weight.
    for tensor in prototypes.tasks.values_mut() {
        tensor.data.iter_mut().for_each(|v| *v *= 1e-3);
    }
    let modules_of = modules.iter().map(sites).collect();
    let mut model = merged(&modules, Composition::Routed { modules: modules_of });
    model.routing = Some(prototypes);
    let told = agrees(&vit, &modules, &model, Some("lung"));
    assert!(told.modules.iter().all(|m| m.weight > 0.01), "{:?}", told.modules);
    assert!((told.modules.iter().map(|m| m.weight).sum::<f64>() - 1.0).abs() < 1e-6);
    let untold = agrees(&vit, &modules, &model, None);
    let largest = untold.modules.iter().map(|m| m.weight).fold(0.0, f64::max);
    let names = ["breast", "colon", "lung"];
    let place = names.iter().position(|n| *n == untold.task).unwrap();
    assert_eq!(untold.modules[place].weight, largest);

    // The same routing tells the task of a mixture, whose weights are its own.
    let weights = names.map(|t| (t.to_owned(), vec![0.25, 0.25, 0.5])).into();
    let mixed = Composition::Mixture { modules: modules.iter().map(sites).collect(), weights };
    let mixed = Model { composition: mixed, ..model.clone() };
    let told = agrees(&vit, &modules, &mixed, None);
    assert_eq!(told.task, untold.task);
    assert_eq!(told.modules.iter().map(|m| m.weight).collect::<Vec<_>>(), [0.25, 0.25, 0.5]);

    let mut damaged = prototypes_changed(&vit, &model, &modules, |all| drop(all.remove("lung")));
    assert!(damaged.contains("lung is missing"), "{damaged}");
    damaged = prototypes_changed(&vit, &model, &modules, |all| {
        all.get_mut("lung").unwrap().shape = vec![hidden + 1, 2]
    });
    assert!(damaged.contains("lung has shape"), "{damaged}");
}

/// Why a bundle with other prototypes is refused.
fn prototypes_changed(
    vit: &Vit,
    model: &Model,
    modules: &[Module],
    change: impl FnOnce(&mut BTreeMap<String, Tensor>),
) -> String {
    let bundle =
        verified(build_merged_bundle(vit, packed(model, modules), &options(), &[key()]).unwrap());
    let mut manifest = bundle.manifest().clone();
    let mut payload = payload(&bundle);
    change_tensors(payload.get_mut("prototypes.safetensors").unwrap(), change);
    manifest.entries = list(&payload);
    load(assemble(&manifest, &payload, &[key()]).unwrap()).err().unwrap().to_string()
}
