//! Pages and overlays of `--report` and `--explain`. Pages need no network.

use serde_json::Value;

use super::*;

/// A page that loads nothing and has all of `words`.
fn page(path: &Path, words: &[&str]) -> String {
    let page = std::fs::read_to_string(path).unwrap();
    for outside in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "{} holds {outside}", path.display());
    }
    let pictures = page.matches(" src=\"").count();
    assert_eq!(pictures, page.matches(" src=\"data:image/png;base64,").count());
    for word in words {
        assert!(page.contains(word), "{} has no {word}", path.display());
    }
    page
}

#[test]
fn an_evaluation_shows_where_its_predictions_come_from() {
    let dir = with_bundle();
    let at = dir.path();
    let eval = "eval --base base --module m --data data --device cpu --resamples 100";
    let plain = good(at, &format!("{eval} --json"));
    std::fs::create_dir(at.join("seen")).unwrap();
    let said = good(
        at,
        &format!("{eval} --json --explain seen --explain-count 5 --report e.html --with-images"),
    );
    let mut said: Value = serde_json::from_str(&said).unwrap();
    let listed = said.as_object_mut().unwrap().remove("explained").unwrap();
    assert_eq!(said, serde_json::from_str::<Value>(&plain).unwrap());
    let listed = listed.as_array().unwrap();
    assert_eq!((listed.len(), listing(&at.join("seen")).len()), (5, 5));
    let wrong = |one: &Value| one["truth"] != one["predicted"];
    let first_right = listed.iter().position(|one| !wrong(one)).unwrap_or(5);
    assert!(
        listed[first_right..].iter().all(|one| !wrong(one)),
        "wrong answers come first: {listed:?}"
    );
    for one in listed {
        let file = one["file"].as_str().unwrap();
        let words = [&one["truth"], &one["predicted"]].map(|class| class.as_str().unwrap());
        assert!(file.contains(&format!("true-{}_predicted-{}_", words[0], words[1])), "{file}");
        overlay_of(at, file, one["image"].as_str().unwrap());
    }
    let words = [
        "linear probe",
        "sensitivity",
        "ROC curves",
        "Reliability",
        "Where predictions come from",
        "95 %",
    ];
    let html = page(&at.join("e.html"), &words);
    assert_eq!(html.matches("data:image/png").count(), 5);

    let before = listing(at);
    assert!(refused(at, 1, &format!("{eval} --explain seen")).contains("seen is not empty"));
    assert!(refused(at, 1, &format!("{eval} --explain m/module.json")).contains("module.json"));
    assert_eq!(listing(at), before);
    // A second run gives the same bytes.
    good(at, &format!("{eval} --explain again --explain-count 5 --report f.html --with-images"));
    for one in listed {
        let file = one["file"].as_str().unwrap();
        assert!(
            std::fs::read(at.join("seen").join(file)).unwrap()
                == std::fs::read(at.join("again").join(file)).unwrap()
        );
    }
    assert!(std::fs::read(at.join("e.html")).unwrap() == std::fs::read(at.join("f.html")).unwrap());
    assert!(refused(at, 1, &format!("{eval} --with-images")).contains("--explain and --report"));
}

/// Asserts that `file` is an overlay of the image `digits` that changes a part of its pixels.
fn overlay_of(at: &Path, file: &str, digits: &str) {
    let overlay = image::open(at.join("seen").join(file)).unwrap().to_rgb8();
    let image = image::open(named(at, digits)).unwrap();
    let plain = image.resize_exact(16, 16, image::imageops::FilterType::CatmullRom).to_rgb8();
    let apart =
        |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| (0..3).any(|c| a.0[c].abs_diff(b.0[c]) > 40);
    let changed = overlay.pixels().zip(plain.pixels()).filter(|pair| apart(*pair)).count();
    assert!(overlay.dimensions() == (16, 16) && changed < 256, "{file}: {changed} pixels changed");
}

/// The test image whose file's SHA-256 begins with these digits.
fn named(at: &Path, digits: &str) -> PathBuf {
    use sha2::{Digest, Sha256};
    let all = test_images(at).into_iter().map(|(path, _)| at.join(path));
    let mut found = all.filter(|path| {
        hex::encode(Sha256::digest(std::fs::read(path).unwrap())).starts_with(digits)
    });
    assert_eq!(digits.len(), 16);
    found.next().unwrap()
}

/// Asserts that each pixel of the overlay at `path` is viridis over even grey, with more colour
/// where the map is hotter. So it shows a map and no image.
fn alone(path: &Path) {
    const VIRIDIS: [[f64; 3]; 9] = [
        [68.0, 1.0, 84.0],
        [71.0, 44.0, 122.0],
        [59.0, 81.0, 139.0],
        [44.0, 113.0, 142.0],
        [33.0, 144.0, 141.0],
        [39.0, 173.0, 129.0],
        [92.0, 200.0, 99.0],
        [170.0, 220.0, 50.0],
        [253.0, 231.0, 37.0],
    ];
    let at = |heat: f64, c: usize| {
        let (low, part) =
            ((heat * 8.0).floor().min(7.0), heat * 8.0 - (heat * 8.0).floor().min(7.0));
        let colour = VIRIDIS[low as usize][c] * (1.0 - part) + VIRIDIS[low as usize + 1][c] * part;
        128.0 * (1.0 - 0.7 * heat) + colour * 0.7 * heat
    };
    let near = |pixel: &image::Rgb<u8>| {
        let fits = |heat: u32| {
            (0..3).all(|c| (at(f64::from(heat) / 2000.0, c) - f64::from(pixel.0[c])).abs() < 1.0)
        };
        (0..=2000).any(fits)
    };
    let overlay = image::open(path).unwrap().to_rgb8();
    let odd = overlay.pixels().find(|pixel| !near(pixel));
    assert_eq!(odd, None, "{} shows more than a map", path.display());
}

/// File names often hold patient ids. Without an option that asks for images, nothing written has a
/// pixel of one, or a file name.
#[test]
fn nothing_of_a_patient_is_written_unasked() {
    let dir = with_bundle();
    let at = dir.path();
    let eval = "eval --base base --module m --data data --device cpu --resamples 100 --by site \
                --record --json";
    let list = at.join("data/splits.csv");
    let table = std::fs::read_to_string(&list).unwrap();
    let mut named = String::from("path,label,group,split,site\n");
    for (i, row) in table.lines().skip(1).enumerate() {
        let (path, rest) = row.split_once(',').unwrap();
        let (folder, file) = path.rsplit_once('/').unwrap();
        let patient = format!("{folder}/JANSEN-4711-{i}-{file}");
        std::fs::rename(at.join("data").join(path), at.join("data").join(&patient)).unwrap();
        let (label, rest) = rest.split_once(',').unwrap();
        named += &format!("{patient},{label},JANSEN-4711-{rest},{}\n", i % 2);
    }
    std::fs::write(&list, named).unwrap();
    let said = good(at, &format!("{eval} --explain seen --report e.html"));
    good(at, &format!("{TRAIN} --out again --validation 0.3 --report t.html"));
    let mut written = vec![said.into_bytes()];
    for place in ["seen", "again", "m"] {
        let files = listing(&at.join(place));
        written.extend(files.iter().map(|file| file.to_string_lossy().into_owned().into_bytes()));
        written.extend(
            files.iter().filter(|file| file.is_file()).map(|file| std::fs::read(file).unwrap()),
        );
    }
    written.extend(["e.html", "t.html"].map(|page| std::fs::read(at.join(page)).unwrap()));
    assert!(
        written.iter().all(|bytes| !bytes.windows(6).any(|part| part == b"JANSEN")),
        "a name was written"
    );
    let html = page(&at.join("e.html"), &["No image is on this page", "SHA-256 of its file"]);
    assert_eq!(html.matches("data:image/png").count(), 8);
    let maps = listing(&at.join("seen"));
    assert_eq!(maps.len(), 8);
    maps.iter().for_each(|map| alone(map));
}

#[test]
fn a_classification_shows_where_it_comes_from() {
    let dir = with_bundle();
    let at = dir.path();
    let images = test_images(at);
    let classify = format!("classify b.medforge --trust k.pub {}", images[0].0);
    let plain = good(at, &classify);
    assert_eq!(good(at, &format!("{classify} --explain seen.png --with-images")), plain);
    assert_eq!(good(at, &format!("{classify} --explain map.png")), plain);
    let [seen, map] =
        ["seen.png", "map.png"].map(|file| image::open(at.join(file)).unwrap().to_rgb8());
    assert_eq!((seen.dimensions(), map.dimensions()), ((16, 16), (16, 16)));
    alone(&at.join("map.png"));
    assert!(
        seen != map
            && !packer(at, &format!("{classify} --with-images")).output().unwrap().status.success()
    );
    let sentence = refused(at, 1, &format!("{classify} {} --explain two.png", images[1].0));
    assert!(
        sentence.contains("--explain is of one image") && !at.join("two.png").exists(),
        "{sentence}"
    );
}

#[test]
fn training_condensing_and_merging_leave_pages_too() {
    let dir = workshop();
    let at = dir.path();
    good(at, &format!("{TRAIN} --out m/one --validation 0.3 --report one.html"));
    good(at, &format!("{TRAIN} --out m/plain --validation 0.3"));
    let weights = |m: &str| std::fs::read(at.join(m).join("adapter_model.safetensors")).unwrap();
    assert!(weights("m/one") == weights("m/plain"), "the page changed the training");
    let words =
        ["Kept epoch", "Balanced accuracy", "held out", "truth \\ predicted", "learning rate"];
    page(&at.join("one.html"), &words);
    good(
        at,
        &format!("{TRAIN} --out m/two --task other --seed 3 --report two.html")
            .replace("--task tissue ", ""),
    );
    page(&at.join("two.html"), &["No validation part"]);
    let full = "train --full --base base --data data --task full --out full --epochs 1 \
                --validation 0.3 --report full.html";
    good(at, full);
    page(&at.join("full.html"), &["truth \\ predicted"]);

    let condense = "condense --base base --data data --task tissue --per-class 2 --iterations 6 \
                    --views 3 --blocks 2 --device cpu";
    good(at, &format!("{condense} --out c/open --report open.html"));
    let html = page(
        &at.join("open.html"),
        &["Nothing is promised about privacy", "Loss of late", "regular: 2 images"],
    );
    assert_eq!(html.matches("data:image/png").count(), 6);
    good(
        at,
        &format!("{condense} --out c/private --epsilon 8 --min-groups 2 --report private.html"),
    );
    page(&at.join("private.html"), &["-differentially private", "sigma", "not told"]);

    let merge = "merge --base base --module m/one --module m/two --method ties --out merged \
                 --report merged.html";
    good(at, merge);
    page(
        &at.join("merged.html"),
        &["tissue, cosine", "other, norm", "blocks.1.attn.v", "squared norm", "density"],
    );
}
