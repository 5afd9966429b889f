//! The same path on a real base and real images, if the machine has them (`MEDFORGE_SHARED`,
//! default `../shared`).

use super::*;

#[test]
fn the_runtime_agrees_with_evaluation_on_real_images() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = root.join(std::env::var("MEDFORGE_SHARED").unwrap_or_else(|_| "../shared".into()));
    let (base, all) = (shared.join("models/vits14"), shared.join("data/breast"));
    if !base.exists() || !all.exists() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    // Every tenth image of each class and split.
    let table = std::fs::read_to_string(all.join("splits.csv")).unwrap();
    let mut subset = String::from("path,label,group,split\n");
    let mut seen = std::collections::HashMap::new();
    for row in table.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let count = seen.entry((cells[1], cells[3])).or_insert(0);
        if *count % 10 == 0 {
            let target = at.join("data").join(cells[0]);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(all.join(cells[0]), target).unwrap();
            subset += &format!("{row}\n");
        }
        *count += 1;
    }
    std::fs::write(at.join("data/splits.csv"), subset).unwrap();
    let base = base.display();
    good(at, "keygen --out k");
    good(
        at,
        &format!("train --base {base} --data data --task breast --out m --size 112 --epochs 1"),
    );
    good(at, &format!("bundle --base {base} --module m --key k.key --out b.medforge"));
    good(
        at,
        &format!("eval --base {base} --module m --data data --predictions p.csv --resamples 100"),
    );
    let table = std::fs::read_to_string(at.join("p.csv")).unwrap();
    let images = test_images(at);
    let names: Vec<&str> = images.iter().map(|(path, _)| path.as_str()).collect();
    let results =
        good(at, &format!("classify b.medforge --trust k.pub --json {}", names.join(" ")));
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    assert_eq!(table.lines().count(), images.len() + 1);
    for (row, result) in table.lines().skip(1).zip(results.as_array().unwrap()) {
        for (i, cell) in row.split(',').skip(4).enumerate() {
            let expected: f64 = cell.parse().unwrap();
            let found = result["probabilities"][i]["probability"].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-4, "{row}: {found} against {expected}");
        }
    }
}
