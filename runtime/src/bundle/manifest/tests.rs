//! An example of every field, attacks on the JSON, and a table of contradictions.

use super::super::measured::{Estimate, tests::example as measured};
use super::super::{list, sha256_hex};
use super::*;
use crate::preprocess::{CropOffset, Filter, Resize, Size};

/// A payload that is whole for the manifest (its parts are not what their names say; loading is
/// tested elsewhere).
pub(crate) fn payload() -> BTreeMap<String, Vec<u8>> {
    let module = b"module".to_vec();
    BTreeMap::from([
        ("base.onnx".into(), b"graph".to_vec()),
        ("base.safetensors".into(), vec![7; 65]),
        ("golden.safetensors".into(), b"g".to_vec()),
        ("heads/breast.safetensors".into(), b"head".to_vec()),
        ("model_card.md".into(), vec![]),
        ("sbom.json".into(), vec![]),
        (format!("modules/{}.safetensors", sha256_hex(&module)), module),
    ])
}

/// A manifest of [`payload`] with every optional field.
pub(crate) fn example() -> Manifest {
    let id = sha256_hex(b"module");
    Manifest {
        format: FORMAT.into(),
        version: VERSION,
        name: "breast é".into(),
        counter: 3,
        created: "2024-02-29T23:59:59Z".into(),
        predecessor: Some(sha256_hex(b"before")),
        entries: list(&payload()),
        base: Base {
            family: "dinov2".into(),
            digest: sha256_hex(b"base"),
            image_size: [112, 112],
            feature_size: 384,
            layers: 12,
            heads: Some(6),
            licence: Some("MIT".into()),
        },
        modules: vec![Module {
            id: id.clone(),
            contributor: "Hospital A".into(),
            task: "breast".into(),
            rank: 16,
            sites: vec!["blocks.0.attn.q".into(), "blocks.0.attn.v".into()],
            licence: "CC-BY-4.0".into(),
            base: sha256_hex(b"base"),
            entry: format!("modules/{id}.safetensors"),
        }],
        heads: vec![Head {
            task: "breast".into(),
            entry: "heads/breast.safetensors".into(),
            classes: vec!["benign".into(), "malignant".into()],
            zero_shot: vec![],
            codes: vec![],
            calibration: None,
        }],
        compositions: vec![Composition {
            task: "breast".into(),
            mode: Mode::Fusion,
            parts: vec![Part { module: id, weight: 0.1 }],
        }],
        routing: None,
        preprocessing: Preprocessing {
            resize: Resize::ShortestEdge(128),
            filter: Filter::Bicubic,
            crop: Some(Size { height: 112, width: 112 }),
            crop_offset: CropOffset::Floor,
            rescale: 1.0 / 255.0,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        },
        intended_use: "Research only.\nNot for diagnosis.".into(),
        metrics: BTreeMap::from([(
            "breast".into(),
            Metric { name: "balanced_accuracy".into(), value: 0.9, low: 0.8, high: 1.0, n: 252 },
        )]),
        measured: BTreeMap::new(),
        members: Vec::new(),
        int8: BTreeMap::new(),
        tool: Tool { name: "packer".into(), version: "0.1.0".into() },
    }
}

fn routing() -> Routing {
    Routing { entry: PROTOTYPES.into() }
}

/// Adds a module with an entry of its own and gives its id.
fn extra(manifest: &mut Manifest) -> String {
    let id = "f".repeat(64);
    let entry = format!("modules/{id}.safetensors");
    manifest.entries.insert(6, Entry { name: entry.clone(), length: 1, sha256: id.clone() });
    manifest.modules.push(Module { id: id.clone(), entry, ..manifest.modules[0].clone() });
    id
}

fn text() -> String {
    String::from_utf8(example().to_canonical().unwrap()).unwrap()
}

#[track_caller]
fn assert_refused(json: &str, words: &str) {
    let error = Manifest::from_canonical(json.as_bytes()).unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains(words), "{error}");
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(Manifest::from_canonical(text().as_bytes()).unwrap(), example());
    assert!(text().starts_with(r#"{"base":{"digest":""#), "keys are sorted: {}", text());
    assert!(
        text().contains(r#""rescale":0.00392156862745098,"#),
        "numbers as ECMAScript writes them: {}",
        text()
    );
    assert!(text().contains("breast é"), "text stands as itself: {}", text());
}

#[test]
fn absent_fields_are_left_out() {
    let mut manifest = example();
    manifest.predecessor = None;
    (manifest.base.heads, manifest.base.licence) = (None, None);
    let bytes = manifest.to_canonical().unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("null"));
    assert_eq!(Manifest::from_canonical(&bytes).unwrap(), manifest);
}

#[test]
fn attack_other_spellings_of_the_same() {
    for (from, to) in [
        ("{\"base\"", "{ \"base\""),
        ("\"counter\":3", "\"counter\":3 "),
        ("\"weight\":0.1", "\"weight\":0.10"),
        ("\"weight\":0.1", "\"weight\":1e-1"),
        ("\"high\":1,", "\"high\":1.0,"),
        ("\"name\":\"packer\"", "\"name\":\"pack\\u0065r\""),
        ("breast é", "breast \\u00e9"),
        ("Research only.\\n", "Research only.\\u000a"),
        ("\"format\":\"medforge-bundle\",", ""),
        (
            "\"tool\":{\"name\":\"packer\",\"version\":\"0.1.0\"}",
            "\"tool\":{\"version\":\"0.1.0\",\"name\":\"packer\"}",
        ),
        ("\"predecessor\":", "\"predecessor\":null,\"predecessor\":"),
    ] {
        assert!(text().contains(from), "{from}");
        let error = Manifest::from_canonical(text().replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.is_refusal(), "{to}: {error}");
    }
    assert_refused(&format!("{}\n", text()), "canonical");
    assert_refused(&text().replacen("\"counter\":3", "\"counter\":3 ", 1), "byte ");
}

#[test]
fn attack_unknown_and_duplicate_keys() {
    assert_refused(
        &text().replacen("\"counter\":3", "\"counter\":3,\"counter\":4", 1),
        "dup_json_key",
    );
    assert_refused(
        &text().replacen("\"counter\":3", "\"counter\":3,\"cpunter\":4", 1),
        "unknown field",
    );
    assert_refused(
        &text().replacen("\"layers\":12", "\"layer\":1,\"layers\":12", 1),
        "unknown field",
    );
    assert_refused(
        &text().replacen(
            "\"breast\":{\"high\"",
            "\"breast\":{\"high\":1,\"low\":0,\"n\":1,\"name\":\"x\",\"value\":1},\
             \"breast\":{\"high\"",
            1,
        ),
        "dup_json_key",
    );
    assert_refused(&text().replacen("\"fusion\"", "\"fission\"", 1), "unknown variant");
}

#[test]
fn attack_json_that_is_none() {
    for json in ["", "{", "[]", "null", "\u{feff}{}", "{\"format\":1}"] {
        assert_refused(json, "manifest.json");
    }
    assert_refused(&"[".repeat(1 << 20), "manifest.json");
    assert_refused(&text().replacen("\"counter\":3", "\"counter\":1e400", 1), "manifest.json");
    assert!(Manifest::from_canonical(b"\xff").unwrap_err().is_refusal());
}

#[test]
fn other_versions_are_named() {
    assert_refused(
        &text().replacen("\"version\":1}", "\"version\":2}", 1),
        "version 2, and this program reads",
    );
    assert_refused(&text().replacen("medforge-bundle", "medforge-bundlf", 1), "medforge-bundlf");
}

#[test]
fn contradictions_are_refused() {
    type Change = fn(&mut Manifest);
    let table: &[(&str, Change)] = &[
        ("version 2", |m| m.version = 2),
        ("name is empty", |m| m.name = " ".into()),
        ("control characters", |m| m.name = "\u{1b}[2J".into()),
        ("control characters (U+001B)", |m| m.intended_use = "\u{1b}[2J".into()),
        ("more than 256", |m| m.name = "x".repeat(257)),
        ("counter", |m| m.counter = 1 << 53),
        ("created", |m| m.created = "2023-02-29T00:00:00Z".into()),
        ("created", |m| m.created = "2024-02-29T24:00:00Z".into()),
        ("created", |m| m.created = "2024-02-29T00:00:00+00:00".into()),
        ("created", |m| m.created = "2024-13-01T00:00:00Z".into()),
        ("predecessor", |m| m.predecessor = Some("A".repeat(64))),
        ("predecessor", |m| m.predecessor = Some("a".repeat(63))),
        ("base.digest", |m| m.base.digest.clear()),
        ("module_wrong_base", |m| m.modules[0].base = "0".repeat(64)),
        ("above zero", |m| m.base.layers = 0),
        ("preprocessing makes 112 x 112", |m| m.base.image_size = [112, 224]),
        ("std must be", |m| m.preprocessing.std[1] = 0.0),
        ("out of order", |m| m.entries.swap(0, 1)),
        ("out of order", |m| m.entries.insert(0, m.entries[0].clone())),
        ("bad_name", |m| m.entries[0].name = "A".into()),
        ("dotdot", |m| m.entries[0].name = "../a".into()),
        ("SHA-256", |m| m.entries[0].sha256 = "0".into()),
        ("too long", |m| m.entries[0].length = u64::MAX),
        ("missing_entry): entry base.onnx", |m| drop(m.entries.remove(0))),
        ("belongs to no module", |m| {
            m.entries.push(Entry { name: "z".into(), ..m.entries[0].clone() })
        }),
        ("belongs to no module", |m| m.modules.clear()),
        ("is there twice", |m| m.modules.push(m.modules[0].clone())),
        ("must be in modules/", |m| m.modules[0].entry = "base.onnx".into()),
        ("another digest", |m| m.entries[5].sha256 = "0".repeat(64)),
        ("rank 0", |m| m.modules[0].rank = 0),
        ("needs sites", |m| m.modules[0].sites.clear()),
        ("needs sites", |m| m.modules[0].sites.swap(0, 1)),
        ("takes part in no composition", |m| m.compositions[0].parts[0].module = extra(m)),
        ("and there is no routing", |m| m.compositions[0].mode = Mode::Routed),
        ("missing_entry): entry prototypes.safetensors", |m| m.routing = Some(routing())),
        ("missing_entry): entry prototypes.safetensors", |m| {
            (m.compositions[0].mode, m.routing) = (Mode::Routed, Some(routing()));
        }),
        ("must be in prototypes.safetensors", |m| {
            m.compositions[0].mode = Mode::Routed;
            m.routing = Some(Routing { entry: "other".into() });
        }),
        ("a module for \"lung\", which has no head", |m| {
            (m.compositions[0].mode, m.routing) = (Mode::Routed, Some(routing()));
            m.entries.insert(6, Entry { name: PROTOTYPES.into(), ..m.entries[0].clone() });
            m.modules[0].task = "lung".into();
        }),
        ("slash", |m| m.modules[0].task = "a/b".into()),
        ("no head", |m| m.heads.clear()),
        ("two heads", |m| m.heads.push(m.heads[0].clone())),
        ("must be in heads/", |m| m.heads[0].entry = "base.onnx".into()),
        ("different names", |m| m.heads[0].classes = vec!["a".into(), "a".into()]),
        ("look alike", |m| m.heads[0].classes = vec!["in situ".into(), " in\u{a0} situ".into()]),
        ("look alike", |m| m.heads[0].classes = vec!["b\u{e9}nin".into(), "be\u{301}nin".into()]),
        ("look alike", |m| m.heads[0].classes = vec!["1".into(), "\u{ff11}".into()]),
        ("U+2800", |m| m.heads[0].classes = vec!["a".into(), "a\u{2800}".into()]),
        ("nobody sees (U+E0041)", |m| m.intended_use = "all\u{e0041}".into()),
        ("nobody sees (U+200B)", |m| m.intended_use = "a\u{200b}ll".into()),
        ("nobody sees (U+2060)", |m| m.intended_use = "a\u{2060}ll".into()),
        ("nobody sees (U+FEFF)", |m| m.intended_use = "all\u{feff}".into()),
        ("U+200B", |m| m.heads[0].classes = vec!["a".into(), "a\u{200b}".into()]),
        ("U+202E", |m| m.modules[0].contributor = "hospital\u{202e}latipsoh".into()),
        ("turn the text around (U+2066)", |m| m.intended_use = "all\n\u{2066}".into()),
        ("U+00AD", |m| m.tool.name = "pack\u{ad}er".into()),
        ("at most 4096", |m| m.heads[0].classes = (0..4097).map(|n| n.to_string()).collect()),
        ("two classes", |m| m.heads[0].classes.truncate(1)),
        ("2 classes and 1 codes", |m| m.heads[0].codes = vec![code("SCT", "30807003")]),
        ("backslash", |m| m.heads[0].codes = vec![code("SCT", "1"), code("99A\\B", "2")]),
        ("code.value", |m| {
            m.heads[0].codes = vec![code("SCT", "12345678901234567"), code("SCT", "2")]
        }),
        ("exactly one composition", |m| m.compositions.clear()),
        ("exactly one composition", |m| m.compositions.push(m.compositions[0].clone())),
        ("no parts", |m| m.compositions[0].parts.clear()),
        ("twice", |m| m.compositions[0].parts = vec![m.compositions[0].parts[0].clone(); 2]),
        ("no finite sum", |m| {
            m.compositions[0].parts[0].weight = 1e308;
            let module = extra(m);
            m.compositions[0].parts.push(Part { module, weight: -1e308 });
        }),
        ("257 parts", |m| {
            let part = m.compositions[0].parts[0].clone();
            m.compositions[0].parts = vec![part; 257];
        }),
        ("rescale must be", |m| m.preprocessing.rescale = 0.0),
        ("rescale must be", |m| m.preprocessing.rescale = -1.0),
        ("mean must be", |m| m.preprocessing.mean[2] = 1e4),
        ("std must be", |m| m.preprocessing.std[0] = 1e-4),
        ("std must be", |m| m.preprocessing.std[0] = 1e4),
        ("16 times longer", |m| m.preprocessing.resize = Resize::ShortestEdge(1793)),
        ("temperature of breast is 0.04", |m| m.heads[0].calibration = Some(calibration(0.04))),
        ("temperature of breast is 20.1", |m| m.heads[0].calibration = Some(calibration(20.1))),
        ("number out of range", |m| {
            m.heads[0].calibration = Some(Calibration { n: 0, ..calibration(1.0) })
        }),
        ("weight NaN", |m| m.compositions[0].parts[0].weight = f64::NAN),
        ("which is not there", |m| m.compositions[0].parts[0].module = "0".repeat(64)),
        ("int8 is not about every task", |m| m.int8 = BTreeMap::from([("lung".into(), cost())])),
        ("eight bits cost breast", |m| {
            m.int8 = BTreeMap::from([("breast".into(), Int8Cost { low: 1.0, ..cost() })])
        }),
        ("eight bits cost breast", |m| {
            m.int8 = BTreeMap::from([("breast".into(), Int8Cost { f32: f64::NAN, ..cost() })]);
        }),
        ("metrics name task", |m| {
            m.metrics = BTreeMap::from([("lung".into(), m.metrics["breast"].clone())])
        }),
        ("its interval is none", |m| m.metrics.get_mut("breast").unwrap().low = 2.0),
        ("its interval is none", |m| m.metrics.get_mut("breast").unwrap().value = f64::INFINITY),
        ("no share of one", |m| m.metrics.get_mut("breast").unwrap().high = 1.5),
        ("of no image", |m| m.metrics.get_mut("breast").unwrap().n = 0),
        ("measured names task", |m| m.measured = BTreeMap::from([("lung".into(), measured())])),
        ("of breast is not a number", |m| {
            let metrics = vec![Estimate { value: f64::NAN, ..measured().metrics[0].clone() }];
            m.measured = BTreeMap::from([("breast".into(), Measured { metrics, ..measured() })]);
        }),
        ("no head", |m| m.members = vec![Member { task: "lung".into(), ..member() }]),
        ("there twice", |m| m.members = vec![member(), member()]),
        ("contributor", |m| m.members = vec![Member { contributor: " ".into(), ..member() }]),
        ("licence", |m| m.members = vec![Member { licence: "x".repeat(257), ..member() }]),
        ("SHA-256", |m| m.members = vec![Member { contribution: Some("1".into()), ..member() }]),
        ("more groups", |m| {
            let measured = Some(Measured { groups: Some(1 << 40), ..measured() });
            m.members = vec![Member { measured, ..member() }];
        }),
        ("which is not there", |m| {
            m.members = vec![Member { card: Some("cards/x.md".into()), ..member() }]
        }),
        ("must be in cards/", |m| {
            let card = m.modules[0].entry.replace("modules/", "cards/");
            m.entries.insert(2, Entry { name: card.clone(), length: 1, sha256: "e".repeat(64) });
            m.members = vec![Member { card: Some(card), ..member() }];
        }),
        ("no member", |m| {
            m.entries
                .insert(2, Entry { name: "cards/x.md".into(), length: 1, sha256: "e".repeat(64) });
        }),
        ("tool.name", |m| m.tool.name.clear()),
    ];
    for (words, change) in table {
        let mut manifest = example();
        change(&mut manifest);
        let error = manifest.to_canonical().unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
    }
}

/// Persian needs joiners, Hebrew marks of a direction, and licences part their pages.
#[test]
fn prose_may_have_what_scripts_need() {
    let intended_use =
        "\u{feff}می\u{200c}خواهم\r\n\tעברית\u{200f}!\u{c}Mam\u{ad}mo \u{2764}\u{fe0f}".into();
    Manifest { intended_use, ..example() }.to_canonical().unwrap();
}

/// Classes of bundles in the field differ in case alone; older packers widened no interval; and a
/// difference may be one by sums in another order.
#[test]
fn what_earlier_packers_wrote_is_read() {
    let mut manifest = example();
    manifest.heads[0].classes = vec!["T".into(), "t".into()];
    manifest.metrics.get_mut("breast").unwrap().value = 0.7;
    let share = Int8Cost {
        name: "accuracy".into(),
        f32: 0.0,
        int8: 1.0,
        low: 1.0,
        high: 1.0 + 1e-12,
        ..cost()
    };
    manifest.int8 = BTreeMap::from([("breast".into(), share)]);
    assert_eq!(Manifest::from_canonical(&manifest.to_canonical().unwrap()).unwrap(), manifest);
}

fn member() -> Member {
    let (contributor, task, licence) = ("hospital".into(), "breast".into(), "MIT".into());
    Member {
        contributor,
        task,
        licence,
        contribution: Some("a".repeat(64)),
        card: None,
        measured: Some(measured()),
    }
}

/// Two members with one card, and all that an evaluation says.
#[test]
fn what_was_measured_and_who_took_part_is_read_as_written() {
    let mut manifest = example();
    manifest.measured = BTreeMap::from([("breast".into(), measured())]);
    let card = format!("cards/{}.md", "e".repeat(64));
    manifest.entries.insert(2, Entry { name: card.clone(), length: 1, sha256: "e".repeat(64) });
    let first = Member { card: Some(card), ..member() };
    manifest.members =
        vec![first.clone(), Member { contributor: "clinic".into(), measured: None, ..first }];
    let bytes = manifest.to_canonical().unwrap();
    assert_eq!(Manifest::from_canonical(&bytes).unwrap(), manifest);
    let text = String::from_utf8(bytes).unwrap();
    assert_refused(
        &text.replacen(r#""beaten":true"#, r#""beaten":true,"extra":1"#, 1),
        "unknown field",
    );
}

fn calibration(temperature: f64) -> Calibration {
    Calibration { temperature, error: 0.1, threshold: 2.0, least_probability: 0.0, n: 40 }
}

fn cost() -> Int8Cost {
    Int8Cost {
        name: "balanced_accuracy".into(),
        f32: 0.9,
        int8: 0.89,
        low: -0.02,
        high: 0.0,
        n: 40,
    }
}

fn code(scheme: &str, value: &str) -> Code {
    Code { scheme: scheme.into(), value: value.into(), meaning: "Benign neoplasm".into() }
}
