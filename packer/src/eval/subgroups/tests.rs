//! Figures by value against those of the whole and of its images, gaps against what chance makes,
//! and the columns that are refused.

use std::sync::Arc;

use super::words::NO_GAP;
use super::*;
use crate::data::{Attribute, Dataset, Item, Split};
use crate::eval::bench::Results;
use crate::eval::metrics::Predictions;
use crate::eval::{Evaluation, Subject};
use crate::report::{Block, Interval};

/// `count` test images in groups of two, their classes in turn. `score` gives the probability of
/// the second class for each image, and `site` its site.
fn results(
    count: usize,
    score: impl Fn(usize) -> f32,
    site: impl Fn(usize) -> String,
) -> (Dataset, Results) {
    let classes = ["benign", "malignant"].map(String::from).to_vec();
    let item = |i: usize| Item {
        path: format!("{i}.png").into(),
        label: i / 2 % 2,
        group: format!("g{}", i / 2),
        split: Split::Test,
        validation: false,
    };
    let items: Vec<Item> = (0..count).map(item).collect();
    let values = (0..count).map(|i| Arc::from(site(i))).collect();
    let attributes = vec![Attribute { name: "site".into(), values, fault: None }];
    let labels: Vec<usize> = items.iter().map(|item| item.label).collect();
    let groups: Vec<usize> = (0..count).map(|i| i / 2).collect();
    let data = Dataset { root: "x".into(), classes: classes.clone(), items, attributes };
    let probabilities: Vec<f32> = (0..count).flat_map(|i| [1.0 - score(i), score(i)]).collect();
    let (module, classes, linear_probe, colour) =
        (&probabilities[..], &classes[..], &probabilities[..], &probabilities[..]);
    let subject =
        Subject { classes, labels: &labels, groups: &groups, module, linear_probe, colour };
    let evaluation = Evaluation::new(&subject, 400, 5).unwrap();
    (data, Results { evaluation, indices: (0..count).collect(), probabilities })
}

/// Mostly right, and less often where `bad` says so.
fn scores(bad: impl Fn(usize) -> bool) -> impl Fn(usize) -> f32 {
    move |i| {
        let noise = (i * 7919 % 101) as f32 / 101.0;
        let right = if bad(i) { 0.5 } else { 0.75 };
        0.3 * noise
            + if (i / 2 % 2 == 1) == (i * 104_729 % 997 < (right * 997.0) as usize) {
                0.6
            } else {
                0.1
            }
    }
}

fn told_apart(data: &Dataset, results: &mut Results) -> Subgroups {
    let division = Division::new(data, &results.indices, "site").unwrap();
    results.tell_apart(data, &division).unwrap();
    results.evaluation.subgroups.last().unwrap().clone()
}

/// One value of all images is the whole: the same figures and the same intervals, to the last bit.
#[test]
fn one_value_has_the_figures_of_the_whole() {
    let (data, mut results) = results(200, scores(|_| false), |_| "north".into());
    let found = told_apart(&data, &mut results);
    let [value] = &found.values[..] else { panic!("{found:?}") };
    for (metric, estimate) in METRICS.iter().zip(&value.metrics) {
        assert_eq!(Some(estimate), results.evaluation.metric(*metric));
    }
    assert_eq!((value.n, value.groups, value.classes, found.gaps.len()), (200, 100, 2, 0));
    assert!(results.evaluation.table().contains("There is no gap to report"));
}

#[test]
fn each_value_has_the_figures_of_its_images() {
    let bad = |i: usize| i / 4 % 2 == 1;
    let (data, mut results) =
        results(400, scores(bad), |i| if bad(i) { "south" } else { "north" }.into());
    let found = told_apart(&data, &mut results);
    assert_eq!(
        found.values.iter().map(|v| v.value.as_str()).collect::<Vec<_>>(),
        ["north", "south"]
    );
    for value in &found.values {
        let own: Vec<usize> = (0..400).filter(|&i| bad(i) == (value.value == "south")).collect();
        let labels: Vec<usize> = own.iter().map(|&i| data.items[i].label).collect();
        let rows: Vec<f32> =
            own.iter().flat_map(|&i| results.probabilities[2 * i..][..2].to_vec()).collect();
        let expected = Predictions::new(&rows, &labels, 2).unwrap().metrics(&vec![1; own.len()]);
        assert_eq!((value.n, value.groups), (200, 100));
        for (metric, estimate) in METRICS.iter().zip(&value.metrics) {
            assert_eq!(Some(estimate.value), expected[*metric as usize]);
            assert!(
                estimate.low.unwrap() < estimate.value && estimate.value < estimate.high.unwrap(),
                "{estimate:?}"
            );
        }
    }
    for (gap, m) in found.gaps.iter().zip(0..) {
        assert_eq!((gap.best.as_str(), gap.worst.as_str()), ("north", "south"));
        let [north, south] = [0, 1].map(|v: usize| &found.values[v].metrics[m]);
        assert!((gap.difference.value - (north.value - south.value)).abs() < 1e-12);
        // Apart by three standard errors or more: the interval says so, and is as wide as two
        // independent parts make it.
        assert!(gap.difference.low.unwrap() > 0.0, "{gap:?}");
        let width = |e: &Estimate| e.high.unwrap() - e.low.unwrap();
        let expected = width(north).hypot(width(south));
        assert!(
            (width(&gap.difference) / expected - 1.0).abs() < 0.2,
            "{} {expected}",
            width(&gap.difference)
        );
        // Of two values: 1.96 standard errors of the difference, half the interval.
        assert!((gap.chance.unwrap() / (expected / 2.0) - 1.0).abs() < 0.2, "{gap:?} {expected}");
        assert!(gap.difference.value > gap.chance.unwrap());
    }
    let table = results.evaluation.table();
    assert!(
        table.contains("by site")
            && table.contains("The gap in balanced accuracy, north over south: +0."),
        "{table}"
    );
}

/// Values that share their groups move together: the gap of two equal halves of each group has no
/// width.
#[test]
fn the_gap_is_paired_over_groups() {
    let (data, mut results) = results(
        200,
        |i| scores(|_| false)(i / 2 * 2),
        |i| if i % 2 == 0 { "left" } else { "right" }.into(),
    );
    for gap in told_apart(&data, &mut results).gaps {
        let Estimate { value, low, high, .. } = gap.difference;
        assert_eq!((value, low, high, gap.chance), (0.0, Some(0.0), Some(0.0), Some(0.0)));
    }
}

/// Twelve values that mean nothing: the best and the worst are far apart, as far as chance makes
/// them.
#[test]
fn values_that_mean_nothing_are_apart_by_chance_alone() {
    let mut above = 0;
    for shift in 0..20 {
        let site = |i: usize| {
            format!("{:02}", (i / 2 * 7919 + i / 2 * (i / 2) * (2 * shift + 1) * 31) % 1009 % 12)
        };
        let (data, mut results) = results(960, scores(|_| false), site);
        let found = told_apart(&data, &mut results);
        let gap = &found.gaps[0];
        assert_eq!((found.values.len(), gap.difference.name), (12, Metric::BalancedAccuracy));
        assert!(gap.difference.value > 0.05, "{gap:?}");
        above += usize::from(gap.difference.value > gap.chance.unwrap());
    }
    // One in twenty is expected; six or more come once in three thousand times.
    assert!(above < 6, "{above} of 20");
}

#[test]
fn values_with_too_little_say_so_and_have_no_number() {
    let site = |i: usize| match i / 2 {
        0 => "one group",
        1 | 3 | 5 => "one class",
        7 | 8 | 10 => "lone class",
        9 => "",
        _ => "rest",
    };
    let (data, mut results) = results(100, scores(|_| false), |i| site(i).into());
    let found = told_apart(&data, &mut results);
    let why = |value: &str| {
        found.values.iter().find(|v| v.value == value).unwrap().too_few.clone().unwrap_or_default()
    };
    assert_eq!(why("one group"), "images of one group only");
    assert_eq!(why("one class"), "images of class malignant only");
    assert_eq!(why("lone class"), "class malignant has images of one group only");
    assert_eq!(why(""), "images of one group only");
    assert_eq!(why("rest"), "");
    assert!(
        found.values.iter().all(|v| v.metrics.is_empty() == v.too_few.is_some())
            && found.gaps.is_empty()
    );
    let table = results.evaluation.table();
    assert!(
        table.contains("(not stated)") && table.contains("too few: images of class malignant only"),
        "{table}"
    );
    let [Block::Metrics(shown), Block::Text(said)] = &found.blocks(2)[..] else {
        panic!("a table and a text")
    };
    assert_eq!(
        (shown.rows.len(), shown.rows.iter().filter(|(_, cells)| cells[0].is_some()).count()),
        (5, 1)
    );
    assert!(
        said.contains("one class has no figures: images of class malignant only.")
            && said.ends_with(NO_GAP),
        "{said}"
    );
}

#[test]
fn the_page_has_a_bar_for_each_value_and_the_gaps() {
    let (data, mut results) =
        results(200, scores(|_| false), |i| ["north", "south"][i / 4 % 2].into());
    let found = told_apart(&data, &mut results);
    let [Block::Metrics(shown), Block::Text(said)] = &found.blocks(3)[..] else {
        panic!("a table and a text")
    };
    assert_eq!(shown.rows[0].0, "north (100 images of 50 patients, 2 of 3 classes)");
    for (value, (_, cells)) in found.values.iter().zip(&shown.rows) {
        assert_eq!(cells[0].unwrap(), Interval::from(&value.metrics[0]));
    }
    assert!(shown.bars.is_some() && said.contains("The gap in balanced accuracy, "), "{said}");
}

#[test]
fn columns_that_are_not_there_or_are_free_text_are_refused() {
    let (data, results) = results(204, scores(|_| false), |i| (i / 4).to_string());
    let text = |by| Division::new(&data, &results.indices, by).err().unwrap().to_string();
    assert!(
        text("site").contains("51 values") && text("site").contains("at most 50"),
        "{}",
        text("site")
    );
    assert!(text("scanner").contains("no such column; there are site"), "{}", text("scanner"));
    assert!(Division::new(&data, &results.indices[..200], "site").is_ok());
    let none = Dataset { attributes: vec![], ..data.clone() };
    let text = Division::new(&none, &results.indices, "site").err().unwrap().to_string();
    assert!(text.contains("nothing is known"), "{text}");
}

#[test]
fn the_report_reads_back_from_json() {
    let (data, mut results) =
        results(120, scores(|_| false), |i| if i < 4 { "a" } else { ["b", "c"][i / 4 % 2] }.into());
    told_apart(&data, &mut results);
    let text = serde_json::to_string(&results.evaluation).unwrap();
    assert!(
        text.contains(r#""subgroups":[{"by":"site","values":[{"value":"a""#)
            && text.contains("too_few"),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Evaluation>(&text).unwrap(), results.evaluation);
}
