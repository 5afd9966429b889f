//! What a bundle says of images, as JSON and as a table.

use std::path::{Path, PathBuf};

use medforge_runtime::classify::{Abstain, Classification};
use serde_json::{Value, json};

/// What was found in an image, and what was odd about its file.
pub type Answer = (Classification, Vec<String>);

/// An image's answer as JSON.
pub fn json(path: &Path, (result, notes): &Answer) -> Value {
    let classes = result.classes.iter().zip(&result.probabilities);
    let ood = result.assessment.map(|a| json!({ "score": a.score, "threshold": a.threshold }));
    json!({
        "image": path.to_string_lossy(),
        "task": result.task,
        "class": result.top().1,
        "ood": ood,
        "abstain": result.abstains().map(Abstain::name),
        "notes": notes,
        "probabilities": classes.map(|(class, probability)| json!({ "class": class,
            "probability": probability })).collect::<Value>(),
        "bundle": &*result.bundle,
        "composition": &*result.composition,
        "milliseconds": {
            "preprocessing": result.times.preprocessing.as_secs_f64() * 1e3,
            "base": result.times.base.as_secs_f64() * 1e3,
        },
        "modules": result.modules.iter().map(|m| json!({ "id": m.id,
            "weight": m.weight })).collect::<Value>(),
    })
}

/// One row an image: its class, then the probability of every class. With `routed`, where each
/// image may be of another task, the task too, and each image's own classes by name.
pub fn table(images: &[PathBuf], results: &[&Classification], routed: bool) -> String {
    let Some(first) = results.first() else { return String::new() };
    let calibrated = results.iter().any(|result| result.assessment.is_some());
    let mut head = vec!["image", "class"];
    if routed {
        head.push("task")
    } else {
        head.extend(first.classes.iter().map(String::as_str))
    }
    head.extend(calibrated.then_some("ood score"));
    head.extend(routed.then_some("probabilities"));
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (path, result) in images.iter().zip(results) {
        let answer = result
            .abstains()
            .map_or(result.top().1.to_owned(), |why| format!("abstains: {}", why.name()));
        let mut row = vec![path.display().to_string(), answer];
        let own = result.classes.iter().zip(&result.probabilities);
        if routed {
            row.push(result.task.clone())
        } else {
            row.extend(own.clone().map(|(_, probability)| format!("{probability:.3}")))
        }
        row.extend(
            calibrated
                .then(|| result.assessment.map_or("-".to_owned(), |a| format!("{:.2}", a.score))),
        );
        let named = || {
            own.map(|(class, probability)| format!("{class} {probability:.3}")).collect::<Vec<_>>()
        };
        row.extend(routed.then(|| named().join(", ")));
        rows.push(row);
    }
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(i, (cell, &w)): (usize, (&String, &usize))| {
            if i < 2 || routed { format!("{cell:<w$}") } else { format!("{cell:>w$}") }
        };
        let cells: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(task: &str, classes: &[&str], probabilities: &[f32]) -> Classification {
        Classification {
            task: task.into(),
            classes: classes.iter().map(|&class| class.into()).collect(),
            codes: [].into(),
            probabilities: probabilities.to_vec(),
            assessment: None,
            bundle: "b".into(),
            signers: [].into(),
            composition: "c".into(),
            modules: [].into(),
            times: Default::default(),
        }
    }

    #[test]
    fn each_image_of_a_routed_bundle_has_the_classes_of_its_own_task_in_any_order() {
        let breast = ("1.png", found("breast", &["benign", "malignant"], &[0.25, 0.75]));
        let lung = ("2.png", found("lung", &["benign", "aca", "scc"], &[0.5, 0.125, 0.375]));
        let colon =
            ("3.png", found("colon", &["aca", "none", "polyp", "ulcer"], &[0.0, 1.0, 0.0, 0.0]));
        let rows = [
            "1.png  malignant  breast  benign 0.250, malignant 0.750",
            "2.png  benign     lung    benign 0.500, aca 0.125, scc 0.375",
            "3.png  none       colon   aca 0.000, none 1.000, polyp 0.000, ulcer 0.000",
        ];
        let all = [breast, lung, colon];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let paths: Vec<PathBuf> = order.iter().map(|&i| all[i].0.into()).collect();
            let results: Vec<&Classification> = order.iter().map(|&i| &all[i].1).collect();
            let lines: Vec<String> =
                table(&paths, &results, true).lines().map(str::to_owned).collect();
            assert_eq!(lines[0], "image  class      task    probabilities");
            assert_eq!(lines[1..], order.map(|i| rows[i].to_owned()), "{order:?}");
        }
        let one = table(&["1.png".into()], &[&all[0].1], false);
        assert_eq!(
            one,
            "image  class      benign  malignant\n1.png  malignant   0.250      0.750\n"
        );
    }
}
