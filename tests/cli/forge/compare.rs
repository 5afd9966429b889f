//! Comparing methods from the command line: the numbers beside those of `packer eval`, what is
//! refused, and a forge left as it was.

use super::*;

#[test]
fn methods_are_compared_on_condensed_sets_and_real_images() {
    let dir = forge();
    let at = dir.path();
    assert!(refused(at, 1, "forge compare F").contains("no v1"));
    for (hospital, task) in [("a", "breast"), ("b", "lung")] {
        good(at, &format!("forge push F {}", contribution(at, hospital, task, 1)));
    }
    good(at, &format!("{MERGE} --method ties"));
    let before = listing(&at.join("F"));
    let compare =
        "forge compare F --methods average,ties,mixture --resamples 100 --trust forge.pub";
    let json =
        good(at, &format!("{compare} --data lung=data --refit --json --html page/compare.html"));
    let json: Value = serde_json::from_str(&json).unwrap();
    let rows = json["rows"].as_array().unwrap();
    let row = |name: &str| {
        rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {json}"))
    };
    assert_eq!(
        (json["item"].as_u64(), json["made_by"].as_str(), rows.len()),
        (Some(2), Some("ties"), 9)
    );
    assert_eq!(row("this item")["figures"], row("ties")["figures"]);
    assert_eq!(row("mixture --joint")["figures"]["networks"], 2);

    as_eval_measures(at, &json, &row("each its own module")["figures"]["real"]["lung"]);

    let page = std::fs::read_to_string(at.join("page/compare.html")).unwrap();
    for words in
        ["average --refit-heads", "hospital b/lung", "<svg class=\"bar\"", "spends the test split"]
    {
        assert!(page.contains(words), "{words}");
    }
    let table = good(at, &format!("{compare} v1"));
    for words in
        ["v1, made by ties, of hospital a/breast", "mixture --per-task --shares", "--data TASK=DIR"]
    {
        assert!(table.contains(words), "{words}: {table}");
    }
    assert_eq!(listing(&at.join("F")), before);
    for (options, words) in [
        ("--data liver=data", "no task \"liver\"; it has breast, lung"),
        ("--data data", "not like TASK=DIR"),
        ("--data lung=data --data lung=data", "names the task lung twice"),
        ("--data lung=nowhere", "nowhere"),
        ("--methods best", "\"best\" is none of average"),
        ("v9", "newest item is v2"),
    ] {
        let said = refused(at, 1, &format!("forge compare F {options} --html none.html"));
        assert!(said.contains(words) && !at.join("none.html").exists(), "{options}: {said}");
    }
}

/// The row of the module alone has the figures of `packer eval` on the same images, resample for
/// resample.
fn as_eval_measures(at: &Path, json: &Value, own: &Value) {
    let eval = "eval --base base --module m-b-lung --data data --resamples 100 --device cpu --json";
    let eval: Value = serde_json::from_str(&good(at, eval)).unwrap();
    for (name, metric) in [("balanced_accuracy", 1), ("auc", 2)] {
        for key in ["value", "low", "high"] {
            let (found, expected) =
                (own[name][key].as_f64().unwrap(), eval["metrics"][metric][key].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-6, "{name} {key}: {found} {expected}");
        }
    }
    assert_eq!(json["tests"][0]["images"], eval["n"]);
}
