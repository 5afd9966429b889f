//! A routed bundle whose tasks have different classes, on images of both without a task.

use super::*;

/// Plain pictures of three colours, each a little different, without tissue.
fn tiles(at: &Path) {
    for (label, colour) in
        [("blue", [20, 40, 220]), ("green", [20, 210, 60]), ("grey", [120, 120, 120])]
    {
        std::fs::create_dir_all(at.join("tiles").join(label)).unwrap();
        for n in 0..8u8 {
            let pixel =
                |x: u32, y: u32| image::Rgb(colour.map(|c: u8| c + 3 * n + (x + y) as u8 % 5));
            let picture = image::RgbImage::from_fn(16, 16, pixel);
            picture.save(at.join(format!("tiles/{label}/{n}.png"))).unwrap();
        }
    }
}

#[test]
fn images_of_several_tasks_are_told_with_their_own_classes_in_any_order() {
    let dir = forge();
    let at = dir.path();
    tiles(at);
    let file = contribution(at, "a", "tissue", 1);
    good(at, &format!("forge push F {file}"));
    let train = TRAIN.replace("--data data --task tissue", "--data tiles --task tiles");
    good(at, &format!("{train} --contributor hospital-b --out m-tiles"));
    edit(&at.join("m-tiles/module.json"), |json| json["contributor"] = "hospital b".into());
    good(
        at,
        "condense --base base --data tiles --task tiles --per-class 2 --iterations 2 --views 2 \
         --device cpu --out c-tiles",
    );
    good(
        at,
        "contribute --base base --module m-tiles --condensed c-tiles --card card.md --key b.key \
         --out tiles.contribution",
    );
    good(at, "forge push F tiles.contribution");
    good(at, &format!("{MERGE} --method routed"));
    good(at, "forge bundle F --key a.key --out both.medforge");

    let pictures = [some_picture(at), "tiles/blue/1.png".into(), "tiles/grey/2.png".into()];
    let ask = |order: &[usize]| {
        let images: Vec<&str> = order.iter().map(|&i| pictures[i].as_str()).collect();
        format!("classify both.medforge --trust a.pub {}", images.join(" "))
    };
    let told: Value =
        serde_json::from_str(&good(at, &format!("{} --json", ask(&[0, 1, 2])))).unwrap();
    let tasks: Vec<&str> =
        told.as_array().unwrap().iter().map(|one| one["task"].as_str().unwrap()).collect();
    assert!(tasks.contains(&"tissue") && tasks.contains(&"tiles"), "{told}");
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
        let table = good(at, &ask(&order));
        for (line, &i) in table.lines().skip(1).zip(&order) {
            let one = &told[i];
            let pairs = one["probabilities"].as_array().unwrap().iter();
            let pairs: Vec<String> = pairs
                .map(|p| {
                    format!(
                        "{} {:.3}",
                        p["class"].as_str().unwrap(),
                        p["probability"].as_f64().unwrap()
                    )
                })
                .collect();
            assert!(
                line.starts_with(&pictures[i]) && line.ends_with(&pairs.join(", ")),
                "{line}\n{one}"
            );
            assert!(line.contains(one["task"].as_str().unwrap()), "{line}\n{one}");
        }
        assert_eq!(table.lines().count(), 4);
    }
    let named = good(at, &format!("{} --task tissue", ask(&[0, 1])));
    assert!(!named.contains("probabilities") && named.lines().count() == 3, "{named}");
}
