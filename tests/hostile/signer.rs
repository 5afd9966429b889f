//! What a trusted signer could ask for and must not get: every digest and signature is in order,
//! and a value, a name or a tensor is one that no honest bundle has.

use std::collections::BTreeMap;

use medforge_runtime::bundle::manifest::{
    Calibration, Code, Int8Cost, Manifest, Metric, Mode, WeightedModule,
};
use medforge_runtime::bundle::measured::{Estimate, Floor, Measured};
use medforge_runtime::bundle::{Description, frame, list, sha256_hex, signature};
use medforge_runtime::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use medforge_runtime::preprocess::{Resize, Size};
use medforge_runtime::tensors::{self, Dtype, Tensor};
use prost::Message;

use crate::{Case, Good};

/// The payload, by name.
pub type Payload = BTreeMap<String, Vec<u8>>;
type Change = fn(&mut Manifest);

pub fn cases(good: &Good) -> Vec<Case> {
    let all = [stated(good), compositions(good), cards(good), golden(good), graphs(good)].concat();
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

/// A bundle of this payload and manifest, signed by the good one's key: neither is looked at.
pub fn made(good: &Good, payload: &Payload, mut manifest: Manifest) -> Vec<u8> {
    manifest.entries = list(payload);
    let manifest = serde_json_canonicalizer::to_vec(&manifest).unwrap();
    let signatures =
        signature::sign(std::slice::from_ref(&good.key), Manifest::PAYLOAD_TYPE, &manifest)
            .unwrap();
    let mut entries: Vec<(&str, &[u8])> =
        vec![("manifest.json", &manifest), ("signatures.json", &signatures)];
    entries.extend(payload.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    frame::write(&entries).unwrap()
}

/// The good bundle with a change to both.
fn changed(good: &Good, change: impl FnOnce(&mut Payload, &mut Manifest)) -> Vec<u8> {
    let (mut payload, mut manifest) =
        (good.entries[2..].iter().cloned().collect(), good.manifest());
    change(&mut payload, &mut manifest);
    made(good, &payload, manifest)
}

/// Values and names of the manifest.
fn stated(good: &Good) -> Vec<Case> {
    let table: [(&str, Change); 57] = [
        ("rescale_zero", |m| m.preprocessing.rescale = 0.0),
        ("rescale_negative", |m| m.preprocessing.rescale = -1.0 / 255.0),
        ("rescale_small", |m| m.preprocessing.rescale = 1e-6),
        ("rescale_large", |m| m.preprocessing.rescale = 11.0),
        ("mean_low", |m| m.preprocessing.mean[0] = -1001.0),
        ("mean_high", |m| m.preprocessing.mean[2] = 1001.0),
        ("deviation_small", |m| m.preprocessing.std[1] = 0.9e-3),
        ("deviation_large", |m| m.preprocessing.std[1] = 1001.0),
        ("deviation_negative", |m| m.preprocessing.std[1] = -0.5),
        ("crop_of_little", |m| {
            m.preprocessing.resize = Resize::Exact(Size { height: 4096, width: 4096 });
        }),
        ("layers_more", |m| m.base.layers = 2),
        ("layers_most", |m| m.base.layers = u32::MAX),
        ("heads_fewer", |m| m.base.heads = Some(1)),
        ("heads_most", |m| m.base.heads = Some(u32::MAX)),
        ("feature_wider", |m| m.base.feature_size = 32),
        ("feature_widest", |m| m.base.feature_size = u32::MAX),
        ("image_larger", |m| resized(m, 32)),
        ("image_largest", |m| resized(m, 4096)),
        ("image_none", |m| resized(m, 0)),
        ("temperature_zero", |m| calibrated(m, |c| c.temperature = 0.0)),
        ("temperature_low", |m| calibrated(m, |c| c.temperature = 0.049)),
        ("temperature_high", |m| calibrated(m, |c| c.temperature = 20.1)),
        ("threshold_zero", |m| calibrated(m, |c| c.threshold = 0.0)),
        ("calibration_error_above_one", |m| calibrated(m, |c| c.error = 1.5)),
        ("calibrated_on_nothing", |m| calibrated(m, |c| c.n = 0)),
        ("least_probability_above_one", |m| calibrated(m, |c| c.least_probability = 1.5)),
        ("metric_above_one", |m| metric(m, |metric| (metric.value, metric.high) = (1.2, 1.3))),
        ("metric_below_zero", |m| metric(m, |metric| (metric.value, metric.low) = (-0.2, -0.3))),
        ("metric_interval_turned", |m| metric(m, |metric| (metric.low, metric.high) = (0.95, 0.8))),
        ("metric_of_no_image", |m| metric(m, |metric| metric.n = 0)),
        ("measured_interval_turned", |m| {
            measured(m, |measured| {
                (measured.metrics[0].low, measured.metrics[0].high) = (Some(0.95), Some(0.8))
            });
        }),
        ("measured_of_one_end", |m| measured(m, |measured| measured.metrics[0].high = None)),
        ("measured_above_one", |m| measured(m, |measured| measured.metrics[0].high = Some(7.0))),
        ("measured_on_nothing", |m| {
            measured(m, |measured| (measured.images, measured.groups) = (0, None))
        }),
        ("difference_above_one", |m| {
            measured(m, |measured| measured.floors[0].difference.high = Some(3.0))
        }),
        ("floor_beaten_by_nothing", |m| {
            measured(m, |measured| {
                measured.floors[0].beaten = true;
                measured.floors[0].difference.low = Some(-0.5);
            });
        }),
        ("int8_interval_turned", |m| int8(m, |cost| (cost.low, cost.high) = (0.1, -0.1))),
        ("int8_difference_above_one", |m| int8(m, |cost| cost.high = 1.5)),
        ("int8_above_one", |m| int8(m, |cost| (cost.f32, cost.int8) = (2.0, 2.0))),
        ("int8_of_no_image", |m| int8(m, |cost| cost.n = 0)),
        ("class_composed", |m| {
            m.heads[0].classes = vec!["b\u{e9}nin".into(), "be\u{301}nin".into()]
        }),
        ("class_full_width", |m| m.heads[0].classes[1] = "\u{ff42}enign".into()),
        ("class_braille_blank", |m| m.heads[0].classes[1] = "benign\u{2800}".into()),
        ("class_space", |m| m.heads[0].classes[1] = "benign ".into()),
        ("class_spaces", |m| m.heads[0].classes = vec!["in situ".into(), "in  situ".into()]),
        ("class_hard_space", |m| {
            m.heads[0].classes = vec!["in situ".into(), "in\u{a0}situ".into()]
        }),
        ("class_zero_width", |m| m.heads[0].classes[1] = "benign\u{200b}".into()),
        ("class_turned", |m| m.heads[0].classes[1] = "\u{202e}tnangilam".into()),
        ("class_control", |m| m.heads[0].classes[1] = "benign\u{8}".into()),
        ("classes_without_end", |m| {
            m.heads[0].classes = (0..4097).map(|n| n.to_string()).collect()
        }),
        ("contributor_turned", |m| m.modules[0].contributor = "\u{2067}tests".into()),
        ("licence_of_tags", |m| m.modules[0].licence.push('\u{e0041}')),
        ("tool_zero_width", |m| m.tool.name = "pack\u{2060}er".into()),
        ("name_soft_hyphen", |m| m.name = "cor\u{ad}pus".into()),
        ("use_of_tags", |m| m.intended_use.push_str("\u{e0044}\u{e0049}\u{e0041}")),
        ("use_turned", |m| m.intended_use = "Research.\n\u{202d}Diagnosis.".into()),
        ("code_turned", |m| {
            let code = |value: &str, meaning: &str| {
                let [scheme, value, meaning] = ["99T", value, meaning].map(str::to_owned);
                Code { scheme, value, meaning }
            };
            m.heads[0].codes = vec![code("1", "Benign"), code("2", "\u{2066}Malignant")];
        }),
    ];
    let case = |(name, change): (&'static str, Change)| {
        Case::bundle("contradiction", changed(good, |_, manifest| change(manifest))).called(name)
    };
    let cases = table.into_iter().map(case);
    // A task's name is part of an entry's, so that its fault is one of names.
    let task = changed(good, |_, manifest| manifest.heads[0].task = "breast\u{200b}".into());
    cases.chain([Case::bundle("bad_name", task).called("task_zero_width")]).collect()
}

fn resized(manifest: &mut Manifest, side: u32) {
    let size = Size { height: side, width: side };
    manifest.base.image_size = [side; 2];
    (manifest.preprocessing.resize, manifest.preprocessing.crop) =
        (Resize::Exact(size), Some(size));
}

fn calibrated(manifest: &mut Manifest, change: impl FnOnce(&mut Calibration)) {
    let mut calibration =
        Calibration { temperature: 1.0, error: 0.1, threshold: 2.0, least_probability: 0.0, n: 40 };
    change(&mut calibration);
    manifest.heads[0].calibration = Some(calibration);
}

fn metric(manifest: &mut Manifest, change: impl FnOnce(&mut Metric)) {
    let mut metric =
        Metric { name: "balanced_accuracy".into(), value: 0.9, low: 0.8, high: 0.95, n: 40 };
    change(&mut metric);
    manifest.metrics = BTreeMap::from([("breast".into(), metric)]);
}

fn measured(manifest: &mut Manifest, change: impl FnOnce(&mut Measured)) {
    let estimate = |value, low, high| Estimate {
        name: "balanced_accuracy".into(),
        value,
        low: Some(low),
        high: Some(high),
    };
    let floor = Floor {
        name: "colour".into(),
        metrics: vec![estimate(0.7, 0.6, 0.8)],
        difference: estimate(0.2, 0.1, 0.3),
        beaten: true,
    };
    let mut measured = Measured {
        images: 40,
        groups: Some(20),
        metrics: vec![estimate(0.9, 0.8, 0.95)],
        floors: vec![floor],
        subgroups: vec![],
        no_intervals: None,
    };
    change(&mut measured);
    manifest.measured = BTreeMap::from([("breast".into(), measured)]);
}

fn int8(manifest: &mut Manifest, change: impl FnOnce(&mut Int8Cost)) {
    let name = "balanced_accuracy".into();
    let mut cost = Int8Cost { name, f32: 0.9, int8: 0.89, low: -0.02, high: 0.01, n: 40 };
    change(&mut cost);
    manifest.int8 = BTreeMap::from([("breast".into(), cost)]);
}

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

/// Adds a module that differs from the first by `change`, and gives its id.
pub fn another(
    payload: &mut Payload,
    manifest: &mut Manifest,
    change: impl FnOnce(&mut BTreeMap<String, Tensor>),
) -> String {
    let first = manifest.modules[0].clone();
    let bytes = with(&payload[&first.entry], change);
    let id = sha256_hex(&bytes);
    let entry = format!("modules/{id}.safetensors");
    payload.insert(entry.clone(), bytes);
    manifest.modules.push(medforge_runtime::bundle::manifest::Module {
        id: id.clone(),
        entry,
        ..first
    });
    id
}

/// A tensor file with a change.
pub fn with(bytes: &[u8], change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> Vec<u8> {
    let mut all = tensors::read(bytes, "made").unwrap();
    change(&mut all);
    tensors::write(all.iter().map(|(name, tensor)| (name.as_str(), tensor)), &BTreeMap::new())
        .unwrap()
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

/// Graphs that would be packed more than once, and sites that nothing computes.
fn graphs(good: &Good) -> Vec<Case> {
    let graph = |name, change: &dyn Fn(&mut GraphProto, &mut Payload)| {
        let bundle = changed(good, |payload, _| {
            let mut model = ModelProto::decode(good.entry("base.onnx")).unwrap();
            change(model.graph.as_mut().unwrap(), payload);
            payload.insert("base.onnx".into(), model.encode_to_vec());
        });
        Case::bundle("onnx_refused", bundle).called(name)
    };
    vec![
        graph("weight_in_two_places", &|graph, payload| {
            let weight = |site: &str| format!("blocks.0.attn.{site}.weight");
            for node in &mut graph.node {
                node.input
                    .iter_mut()
                    .filter(|input| **input == weight("k"))
                    .for_each(|input| *input = weight("q"));
            }
            graph.initializer.retain(|tensor| tensor.name != weight("k"));
            let bytes = with(&payload["base.safetensors"], |all| drop(all.remove(&weight("k"))));
            payload.insert("base.safetensors".into(), bytes);
        }),
        graph("norm_in_two_places", &|graph, payload| {
            for node in graph.node.iter_mut().filter(|node| node.op_type == "LayerNormalization") {
                let NodeProto { input, .. } = node;
                (input[1], input[2]) = ("norm.weight".into(), "norm.bias".into());
            }
            let norm = |name: &String| name.starts_with("blocks.") && name.contains("norm");
            graph.initializer.retain(|tensor| !norm(&tensor.name));
            let bytes = with(&payload["base.safetensors"], |all| all.retain(|name, _| !norm(name)));
            payload.insert("base.safetensors".into(), bytes);
        }),
        graph("site_in_two_places", &|graph, _| {
            let site = |half: &str, of: &str| format!("blocks.0.attn.{of}.lora_{half}");
            for half in ["a", "b", "scale"] {
                graph.input.retain(|input| input.name != site(half, "k"));
                let inputs = graph.node.iter_mut().flat_map(|node| &mut node.input);
                inputs
                    .filter(|input| **input == site(half, "k"))
                    .for_each(|input| *input = site(half, "q"));
            }
        }),
        graph("site_in_no_place", &|graph, _| {
            let own: Vec<ValueInfoProto> = graph
                .input
                .iter()
                .filter(|input| input.name.starts_with("blocks.0.attn.q."))
                .cloned()
                .collect();
            graph.input.extend(own.into_iter().map(|input| {
                let name = input.name.replace("attn.q", "attn.p");
                ValueInfoProto { name, ..input }
            }));
        }),
    ]
}
