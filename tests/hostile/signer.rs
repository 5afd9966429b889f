//! What a trusted signer could ask for and must not get. Every digest and signature is in order. A
//! value, a name or a tensor is one that no honest bundle has.

use medforge_runtime::bundle::manifest::{Mode, WeightedModule};
use medforge_runtime::bundle::sha256_hex;
use medforge_runtime::tensors::{Dtype, Tensor};

use crate::case::{Case, Good};

mod graphs;
pub mod payload;
mod stated;

use payload::{another, changed, with};

pub fn cases(good: &Good) -> Vec<Case> {
    let all =
        [stated::cases(good), compositions(good), cards(good), golden(good), graphs::cases(good)]
            .concat();
    let kept = |case: Case| if OTHER_SIDES.contains(&case.name) { case.unkept() } else { case };
    all.into_iter().map(kept).collect()
}

/// Cases that differ little from one that is kept as files.
const OTHER_SIDES: [&str; 30] = [
    "calibrated_on_nothing",
    "calibration_error_above_one",
    "card_nul",
    "card_zero_width",
    "class_full_width",
    "class_space",
    "class_hard_space",
    "contributor_turned",
    "deviation_negative",
    "feature_widest",
    "golden_image_long",
    "golden_image_negative",
    "heads_most",
    "image_largest",
    "image_none",
    "int8_above_one",
    "int8_difference_above_one",
    "int8_of_no_image",
    "layers_most",
    "measured_on_nothing",
    "mean_low",
    "metric_below_zero",
    "metric_of_no_image",
    "norm_in_two_places",
    "rescale_negative",
    "rescale_small",
    "temperature_zero",
    "threshold_zero",
    "use_of_tags",
    "weights_endless_fused",
];

/// Weights whose sums are no numbers, and more parts or ranks than there may be.
fn compositions(good: &Good) -> Vec<Case> {
    let weighed = |name, mode, weights: [f64; 2]| {
        let bytes = changed(good, |payload, manifest| {
            let second =
                another(payload, manifest, |all| all.values_mut().for_each(|t| t.data.reverse()));
            let first = manifest.modules[0].id.clone();
            let parts = [first, second].into_iter().zip(weights);
            manifest.compositions[0].parts =
                parts.map(|(module, weight)| WeightedModule { module, weight }).collect();
            manifest.compositions[0].mode = mode;
        });
        Case::bundle("contradiction", bytes).called(name)
    };
    let parts = changed(good, |_, manifest| {
        let part = manifest.compositions[0].parts[0].clone();
        let other =
            |n: usize| WeightedModule { module: sha256_hex(&n.to_le_bytes()), ..part.clone() };
        manifest.compositions[0].parts = (0..257).map(other).collect();
    });
    let overflowing = |name, weight: f64, factor: f32| {
        let bytes = changed(good, |payload, manifest| {
            let large = another(payload, manifest, |all| {
                all.values_mut().for_each(|t| t.data.fill(factor))
            });
            manifest.compositions[0].parts = vec![WeightedModule { module: large, weight }];
            payload.remove(&manifest.modules.remove(0).entry);
        });
        Case::bundle("golden_mismatch", bytes).called(name)
    };
    vec![
        weighed("weights_endless", Mode::Mixture, [1e308, 1e308]),
        weighed("weights_endless_either_way", Mode::Mixture, [1e308, -1e308]),
        weighed("weights_endless_fused", Mode::Fusion, [1e308, 1e308]),
        Case::bundle("contradiction", parts).called("parts_without_end"),
        overflowing("fused_weight_beyond_f32", 1e300, 1.0),
        overflowing("factors_beyond_f32", 1.0, 3e38),
    ]
}

/// Cards that are not what people see of them.
fn cards(good: &Good) -> Vec<Case> {
    let card = |name, class, bytes: &[u8]| {
        let bundle = changed(good, |payload, _| {
            drop(payload.insert("model_card.md".into(), bytes.to_vec()))
        });
        Case::bundle(class, bundle).called(name)
    };
    vec![
        card("card_not_utf8", "not_utf8", b"# Breast\n\xff\n"),
        card("card_escape", "contradiction", b"# Breast\n\x1b[2J\n"),
        card("card_turned", "contradiction", "# Breast\n\u{202e}.sisongaid rof toN\n".as_bytes()),
        card("card_of_tags", "contradiction", "# Breast\n\u{e004f}\u{e004b}\n".as_bytes()),
        card(
            "card_zero_width",
            "contradiction",
            "# Breast\nNo\u{200b}t for diagnosis.\n".as_bytes(),
        ),
        card("card_nul", "contradiction", b"# Breast\0\n"),
    ]
}

/// Golden images that do not become the golden pixels, or are none.
fn golden(good: &Good) -> Vec<Case> {
    let image = |name, class, shape: [usize; 3], value: f32| {
        let bundle = changed(good, |payload, _| {
            let data = vec![value; shape.iter().product()];
            let image = Tensor { shape: shape.to_vec(), data, dtype: Dtype::F16 };
            let bytes =
                with(&payload["golden.safetensors"], |all| drop(all.insert("image".into(), image)));
            payload.insert("golden.safetensors".into(), bytes);
        });
        Case::bundle(class, bundle).called(name)
    };
    vec![
        image("golden_image_of_other_pixels", "golden_mismatch", [15, 25, 3], 7.0),
        image("golden_image_of_fractions", "tensors_misfit", [15, 25, 3], 7.5),
        image("golden_image_too_bright", "tensors_misfit", [15, 25, 3], 256.0),
        image("golden_image_negative", "tensors_misfit", [15, 25, 3], -1.0),
        image("golden_image_grey", "module_wrong_shape", [15, 25, 1], 7.0),
        image("golden_image_long", "module_wrong_shape", [65, 16, 3], 7.0),
        image("golden_image_thin", "module_wrong_shape", [16, 3, 3], 7.0),
    ]
}
