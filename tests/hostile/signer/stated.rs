//! Values and names of the manifest that no honest bundle has.

use std::collections::BTreeMap;

use medforge_runtime::bundle::manifest::{Calibration, Code, Int8Cost, Manifest, Metric};
use medforge_runtime::bundle::measured::{Estimate, Floor, Measured};
use medforge_runtime::preprocess::{Resize, Size};

use super::payload::changed;
use crate::case::{Case, Good};

type Change = fn(&mut Manifest);

pub fn cases(good: &Good) -> Vec<Case> {
    let case = |&(name, change): &(&'static str, Change)| {
        Case::bundle("contradiction", changed(good, |_, manifest| change(manifest))).called(name)
    };
    let cases = [NUMBERS, RESULTS, TEXTS].into_iter().flatten().map(case);
    // A task's name is part of an entry's, so that its fault is one of names.
    let task = changed(good, |_, manifest| manifest.heads[0].task = "breast\u{200b}".into());
    cases.chain([Case::bundle("bad_name", task).called("task_zero_width")]).collect()
}

/// Of preprocessing, base and calibration.
const NUMBERS: &[(&str, Change)] = &[
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
];

/// Of what was measured.
const RESULTS: &[(&str, Change)] = &[
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
];

/// Names, and text for people.
const TEXTS: &[(&str, Change)] = &[
    ("class_composed", |m| m.heads[0].classes = vec!["b\u{e9}nin".into(), "be\u{301}nin".into()]),
    ("class_full_width", |m| m.heads[0].classes[1] = "\u{ff42}enign".into()),
    ("class_braille_blank", |m| m.heads[0].classes[1] = "benign\u{2800}".into()),
    ("class_space", |m| m.heads[0].classes[1] = "benign ".into()),
    ("class_spaces", |m| m.heads[0].classes = vec!["in situ".into(), "in  situ".into()]),
    ("class_hard_space", |m| m.heads[0].classes = vec!["in situ".into(), "in\u{a0}situ".into()]),
    ("class_zero_width", |m| m.heads[0].classes[1] = "benign\u{200b}".into()),
    ("class_turned", |m| m.heads[0].classes[1] = "\u{202e}tnangilam".into()),
    ("class_control", |m| m.heads[0].classes[1] = "benign\u{8}".into()),
    ("classes_without_end", |m| m.heads[0].classes = (0..4097).map(|n| n.to_string()).collect()),
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
