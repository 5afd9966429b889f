//! The page: nothing loaded from elsewhere, every text escaped, every chart with its words.

use super::*;
use crate::output::Places;

const HOSTILE: &str = "<script>alert('x')</script> & \"quoted\" \u{202e}drow";

/// A page with every kind of block, filled with `name`.
fn page(name: &str) -> Report {
    let name = name.to_owned();
    let line = |name: &str, scale: f64| Line {
        name: name.to_owned(),
        points: (1..=8).map(|e| (f64::from(e), scale / f64::from(e))).collect(),
    };
    let chart = |title: &str, range, lines| Chart {
        title: title.to_owned(),
        x_label: "epoch".into(),
        y_label: name.clone(),
        range,
        lines,
    };
    let estimate = |value, interval| Some(Interval { value, interval });
    let picture = |truth: Option<&str>, class: &str| Picture {
        png: crate::data::phantom::png(
            &medforge_runtime::image::RgbImage8::new(vec![90; 12], 2, 2).unwrap(),
        )
        .unwrap(),
        truth: truth.map(str::to_owned),
        prediction: Some(Prediction { class: class.to_owned(), probability: 0.914 }),
        source: name.clone(),
    };
    Report {
        title: name.clone(),
        summary: name.clone(),
        blocks: vec![
            Block::Facts(vec![(name.clone(), name.clone())]),
            Block::Heading(name.clone()),
            Block::Charts(vec![
                chart(&name, None, vec![line(&name, 1.1), line("b", 0.9)]),
                chart("two", Some((0.0, 1.0)), vec![line("only", 0.8)]),
            ]),
            Block::Metrics(Metrics {
                caption: name.clone(),
                columns: vec![name.clone(), "F1".into()],
                rows: vec![(name.clone(), vec![estimate(0.9, Some((0.85, 0.95))), None])],
                bars: Some((0.0, 1.0)),
            }),
            Block::Heading("two".into()),
            Block::Confusions(vec![Confusion {
                caption: name.clone(),
                classes: vec![name.clone(), "b".into()],
                counts: vec![vec![8, 2], vec![0, 0]],
            }]),
            Block::Gallery(Gallery {
                caption: name.clone(),
                pictures: vec![
                    picture(Some("a"), "a"),
                    picture(Some("a"), "b"),
                    picture(None, &name),
                ],
            }),
            Block::Text(name.clone()),
            Block::Note(name),
        ],
    }
}

/// Reads HTML as far as to check that tags are closed in order. Returns the texts between them.
fn texts(html: &str) -> Vec<String> {
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    while let Some(at) = rest.find('<') {
        texts.push(rest[..at].trim().to_owned());
        let end = at + rest[at..].find('>').unwrap();
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        let name: String =
            tag.trim_start_matches('/').chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if name == "style" {
            rest = &rest[rest.find("</style>").unwrap() + 8..];
        } else if !tag.ends_with('/') && !["meta", "img", "br"].contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    texts.retain(|t| !t.is_empty());
    texts
}

#[test]
fn hostile_names_stay_names() {
    let html = page(HOSTILE).html();
    texts(&html);
    assert!(!html.contains("<script") && !html.contains("\u{202e}") && !html.contains("'x'"));
    assert!(html.matches("&lt;script&gt;").count() >= 14);
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let html = page("name").html();
    assert!(html.contains("default-src 'none'"));
    for word in ["http://", "https://", "url(", "@import", "<script", "<link", "<iframe", "//"] {
        let found = html.replace("data:image/png;base64,", "");
        let found: String = found
            .split("src=\"")
            .map(|part| part.split_once('"').map_or(part, |(_, rest)| rest))
            .collect();
        assert!(!found.contains(word), "{word}");
    }
}

#[test]
fn numbers_and_verdicts_are_written_out() {
    let html = page("name").html();
    let texts = texts(&html);
    for text in ["0.900", "0.850 to 0.950", "\u{2013}", "80&nbsp;%", "Numbers", "0.2750"] {
        assert!(texts.iter().any(|t| t == text), "{text} in {texts:?}");
    }
    assert_eq!(html.matches("\u{2713} predicted").count(), 1);
    assert_eq!(html.matches("\u{2717} predicted").count(), 1);
    assert_eq!(html.matches("class=\"wrong\"").count(), 1);
    assert!(html.contains("goes from 1.100 to 0.1375"));
    let (images, alts) =
        (html.matches("<img ").count(), html.matches("<img alt=\"Image name\"").count());
    assert_eq!((images, alts), (3, 3));
}

#[test]
fn a_bar_ends_at_its_value_and_has_whiskers_where_there_is_an_interval() {
    let rows = |interval| vec![("m".to_owned(), vec![Some(Interval { value: 0.75, interval })])];
    let table = |rows, bars| {
        let metrics = Metrics { caption: "c".into(), columns: vec!["a".into()], rows, bars };
        let html = Report { blocks: vec![Block::Metrics(metrics)], ..Report::default() }.html();
        texts(&html);
        html
    };
    let whole = table(rows(Some((0.5, 1.0))), Some((0.5, 1.5)));
    assert!(
        whole.contains("<rect width=\"25.0\"") && whole.contains("M0.0 5H50.0M0.0 2V8M50.0 2V8"),
        "{whole}"
    );
    let bare = table(rows(None), Some((0.0, 1.0)));
    assert!(bare.contains("<rect width=\"75.0\"") && !bare.contains("<path"));
    assert!(!table(rows(None), None).contains("<svg"));
}

#[test]
fn values_that_are_not_finite_are_left_out_of_charts() {
    let points = vec![(1.0, f64::NAN), (2.0, 0.5), (3.0, f64::INFINITY), (f64::NAN, 1.0)];
    let line = Line { name: "l".into(), points };
    let empty = Line { name: "e".into(), points: vec![] };
    let mut chart = Chart {
        title: "t".into(),
        x_label: "x".into(),
        y_label: "y".into(),
        range: None,
        lines: vec![line, empty],
    };
    let html =
        Report { blocks: vec![Block::Charts(vec![chart.clone()])], ..Report::default() }.html();
    texts(&html);
    assert!(!html.contains("NaN") && !html.contains("inf"));
    chart.lines.remove(0);
    let html = Report { blocks: vec![Block::Charts(vec![chart])], ..Report::default() }.html();
    assert!(html.contains("nothing to draw"));
}

#[test]
fn a_page_is_written_whole() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("deep/report.html");
    page("name").write(&Places::default().file("--report", &path, false).unwrap()).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), page("name").html());
}

#[test]
fn settings_become_facts_in_words() {
    let value = serde_json::json!({ "learning_rate": 0.001, "method": { "lora": { "rank": 8,
        "last_layers": null } }, "weights": [1, 0.5], "none": [] });
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut found = facts_of(&value);
    found.sort();
    let expected = [
        fact("learning rate", "0.001"),
        fact("method: lora: last layers", "none"),
        fact("method: lora: rank", "8"),
        fact("none", "none"),
        fact("weights", "1, 0.5"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn an_axis_of_shares_has_ticks_between() {
    let chart = |points: Vec<(f64, f64)>| Chart {
        title: "t".into(),
        x_label: "x".into(),
        y_label: "y".into(),
        range: Some((0.0, 1.0)),
        lines: vec![Line { name: "l".into(), points }],
    };
    let middle =
        |points| chart::figure(&chart(points)).matches("text-anchor=\"middle\">0.4<").count();
    assert_eq!(middle(vec![(0.0, 0.0), (0.3, 0.6), (1.0, 1.0)]), 1);
    assert_eq!(middle(vec![(0.0, 0.0), (1.0, 1.0)]), 0);
}
