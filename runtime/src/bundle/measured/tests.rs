//! An evaluation with everything in it, and what no evaluation gives.

use super::*;

fn estimate(value: f64, range: Option<[f64; 2]>) -> Estimate {
    let [low, high] = [0, 1].map(|end| range.map(|range| range[end]));
    Estimate { name: "balanced_accuracy".into(), value, low, high }
}

/// A module that beats the linear probe and not colour alone.
pub fn example() -> Measured {
    let floor = |name: &str, difference: Estimate, beaten| Floor {
        name: name.into(),
        metrics: vec![estimate(0.7, Some([0.6, 0.8]))],
        difference,
        beaten,
    };
    let whole = estimate(0.9, Some([0.8, 1.0]));
    let value = |value: &str| Subgroup {
        value: value.into(),
        n: 126,
        groups: 20,
        classes: 2,
        metrics: vec![whole.clone()],
        too_few: None,
    };
    let difference = estimate(0.0, Some([0.0, 0.1]));
    let gap = Gap { best: "a".into(), worst: String::new(), difference, chance: Some(0.1) };
    Measured {
        images: 252,
        groups: Some(40),
        metrics: vec![whole.clone()],
        floors: vec![
            floor("linear_probe", estimate(0.2, Some([0.1, 0.3])), true),
            floor("colour", estimate(0.0, Some([-0.1, 0.1])), false),
        ],
        subgroups: vec![Subgroups {
            by: "site".into(),
            values: vec![value(""), value("a")],
            gaps: vec![gap],
        }],
        no_intervals: None,
    }
}

/// Sums in another order.
#[test]
fn what_an_evaluation_may_give_beyond_its_bounds_is_taken() {
    let mut rounded = example();
    rounded.metrics[0] = estimate(0.9, Some([0.9 + 1e-12, 1.0 + 1e-12]));
    rounded.metrics.push(Estimate { name: "log_loss".into(), ..estimate(2.5, Some([2.0, 3.0])) });
    rounded.floors[0].difference = estimate(1.0 + 1e-12, Some([0.9, 1.0 + 1e-12]));
    rounded.check("breast").unwrap();
    rounded.check_intervals("breast").unwrap();
}

/// Those of the first packers do, and are read.
#[test]
fn an_estimate_beside_its_interval_is_refused_when_packing_alone() {
    type Change = fn(&mut Measured);
    let table: [Change; 6] = [
        |m| m.metrics[0].value = 0.7,
        |m| {
            m.metrics.push(Estimate {
                name: "calibration_error".into(),
                ..estimate(0.02, Some([0.03, 0.1]))
            })
        },
        |m| m.floors[0].metrics[0].value = 0.9,
        |m| m.floors[0].difference.value = -0.5,
        |m| m.subgroups[0].values[1].metrics[0].value = 0.7,
        |m| m.subgroups[0].gaps[0].difference.value = 0.5,
    ];
    example().check_intervals("breast").unwrap();
    for change in table {
        let mut changed = example();
        change(&mut changed);
        changed.check("breast").unwrap();
        let text = changed.check_intervals("breast").unwrap_err().to_string();
        assert!(text.contains("beside its interval"), "{text}");
    }
}

#[test]
fn what_no_evaluation_gives_is_refused() {
    assert!(example().check("breast").is_ok());
    type Change = fn(&mut Measured);
    let table: &[(&str, Change)] = &[
        ("images", |m| m.images = 1 << 53),
        ("more groups than images", |m| m.groups = Some(253)),
        ("no metric", |m| m.metrics.clear()),
        ("not a number", |m| m.metrics[0].value = f64::NAN),
        ("not a number", |m| m.metrics[0].high = Some(f64::INFINITY)),
        ("one end", |m| m.metrics[0].low = None),
        ("on no image", |m| (m.images, m.groups) = (0, None)),
        ("no share of one", |m| (m.metrics[0].value, m.metrics[0].high) = (1.1, Some(1.2))),
        ("no share of one", |m| m.subgroups[0].values[0].metrics[0].low = Some(-0.1)),
        ("no difference of two shares", |m| m.floors[0].difference.high = Some(1.5)),
        ("no difference of two shares", |m| m.subgroups[0].gaps[0].difference.high = Some(2.0)),
        ("interval", |m| m.floors[0].metrics[0].low = Some(0.9)),
        ("linear_probe is beaten", |m| m.floors[0].beaten = false),
        ("colour is beaten", |m| m.floors[1].beaten = true),
        ("interval", |m| m.floors[1].difference.low = Some(f64::NEG_INFINITY)),
        ("floor", |m| m.floors[0].name = "\u{1b}[2J".into()),
        ("65 entries", |m| m.metrics = vec![m.metrics[0].clone(); 65]),
        ("65 entries", |m| m.floors = vec![m.floors[0].clone(); 65]),
        ("65 entries", |m| m.subgroups = vec![m.subgroups[0].clone(); 65]),
        ("65 entries", |m| m.subgroups[0].values = vec![m.subgroups[0].values[0].clone(); 65]),
        ("65 entries", |m| m.subgroups[0].gaps = vec![m.subgroups[0].gaps[0].clone(); 65]),
        ("attribute", |m| m.subgroups[0].by.clear()),
        ("more than 64", |m| m.subgroups[0].values[0].value = "x".repeat(65)),
        ("a gap", |m| m.subgroups[0].gaps[0].chance = Some(f64::NAN)),
        ("control characters", |m| m.subgroups[0].values[0].too_few = Some("\n".repeat(3) + "x")),
        ("more than 512", |m| m.no_intervals = Some("x".repeat(513))),
    ];
    for (words, change) in table {
        let mut changed = example();
        change(&mut changed);
        let error = changed.check("breast").unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
    }
}
