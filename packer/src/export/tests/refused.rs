//! Modules that cannot be together, and bundles whose parts do not fit.

use super::*;
use crate::Error;

#[test]
fn modules_that_cannot_be_together_are_refused() {
    let vit = small(Family::Dinov2);
    let module = module(&vit, "q", None);
    let build = |modules: &[Module]| {
        build_bundle(&vit, modules, &options(), &[key()]).unwrap_err().to_string()
    };
    assert!(build(&[]).contains("a bundle needs a module"));
    assert!(
        build(&[module.clone(), module.clone()]).contains("two modules are for the task breast")
    );
    let mut other = module.clone();
    (other.card.task, other.card.image_size) = ("lung".into(), 12);
    assert!(build(&[module.clone(), other]).contains("was trained at 12 pixels"));
    let mut other = module.clone();
    other.card.base_digest = "0".repeat(64);
    assert!(build(&[other]).contains("trained on another base"));
    let mut other = module.clone();
    other.card.image_size = 9;
    assert!(matches!(
        build_bundle(&vit, &[other], &options(), &[key()]),
        Err(Error::ImageSize { .. })
    ));
    let mut other = module;
    other.sites.clear();
    assert!(build(&[other]).contains("adapts no site"));
}

#[test]
fn a_device_that_disagrees_with_the_golden_vectors_is_refused() {
    for name in ["feature.breast", "probabilities.breast"] {
        let error = forged(|payload, _| {
            change_tensors(payload.get_mut("golden.safetensors").unwrap(), |all| {
                all.get_mut(name).unwrap().data[1] += 0.02;
            });
        });
        assert!(matches!(error, RuntimeError::GoldenMismatch { .. }), "{name}: {error}");
        assert_eq!(error.class(), Some(Class::GoldenMismatch));
    }
}

#[test]
fn tensors_that_do_not_fit_are_refused_by_name() {
    let misshapen = |all: &mut BTreeMap<String, Tensor>, name: &str| {
        let tensor = all.get_mut(name).unwrap();
        tensor.shape = vec![tensor.data.len()];
    };
    for (entry, name) in [
        ("base.safetensors", "blocks.1.mlp.fc2.weight"),
        ("modules/", "blocks.0.attn.q.lora_b"),
        ("modules/", "blocks.1.mlp.fc1.lora_a"),
        ("heads/breast.safetensors", "weight"),
        ("golden.safetensors", "feature.breast"),
        ("golden.safetensors", "pixels"),
    ] {
        for kind in 0..3 {
            let error = forged(|payload, _| {
                let bytes = payload.iter_mut().find(|(n, _)| n.starts_with(entry)).unwrap().1;
                change_tensors(bytes, |all| match kind {
                    0 => drop(all.remove(name)),
                    1 => misshapen(all, name),
                    _ => drop(all.insert("stranger".into(), Tensor::f32(vec![1], vec![0.0]))),
                });
            });
            let culprit = if kind == 2 { "stranger" } else { name };
            let expected = if kind == 1 { Class::ModuleWrongShape } else { Class::TensorsMisfit };
            let expected = if entry.starts_with("base") { Class::TensorsMisfit } else { expected };
            assert_eq!(error.class(), Some(expected), "{entry} {name} {kind}: {error}");
            assert!(error.to_string().contains(culprit), "{error} does not name {culprit}");
        }
    }
    let rank = forged(|_, manifest| manifest.modules[0].rank = 3);
    assert!(rank.to_string().contains("the largest rank is 2 and the manifest says 3"), "{rank}");
    let site = forged(|_, manifest| manifest.modules[0].sites[0] = "blocks.0.attn.nothing".into());
    assert!(site.to_string().contains("site blocks.0.attn.nothing is not in the base"), "{site}");
    let size = forged(|_, manifest| manifest.base.feature_size = 9);
    assert_eq!(size.class(), Some(Class::Contradiction), "{size}");
    let depth = forged(|_, manifest| manifest.base.layers += 1);
    assert!(depth.to_string().contains("blocks, and base says"), "{depth}");
    let heads = forged(|_, manifest| manifest.base.heads = Some(7));
    assert!(heads.to_string().contains("heads, and base says 7"), "{heads}");
}

#[test]
fn features_that_are_not_finite_are_an_error() {
    let error = forged(|payload, _| {
        change_tensors(payload.get_mut("base.safetensors").unwrap(), |all| {
            // Among values whose mean is zero, one is above zero.
            for name in ["norm.weight", "norm.bias"] {
                let tensor = all.get_mut(name).unwrap();
                tensor.dtype = tensors::Dtype::F32;
                tensor.data.fill(f32::MAX);
            }
        });
    });
    assert!(error.to_string().contains("a feature that is not finite"), "{error}");
    assert_eq!(error.class(), Some(Class::GoldenMismatch));
}
