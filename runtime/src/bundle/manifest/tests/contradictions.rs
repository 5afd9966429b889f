//! Tables of contradictions, each a change of the example.

use super::*;

type Change = fn(&mut Manifest);

#[test]
fn contradictions_are_refused() {
    let tables = [
        OF_THE_WHOLE,
        OF_TEXTS,
        OF_ENTRIES_AND_MODULES,
        OF_HEADS,
        OF_COMPOSITIONS,
        OF_RESULTS,
        OF_MEMBERS,
    ];
    for (words, change) in tables.into_iter().flatten() {
        let mut manifest = example();
        change(&mut manifest);
        let error = manifest.to_canonical().unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
    }
}

const OF_THE_WHOLE: &[(&str, Change)] = &[
    ("version 2", |m| m.version = 2),
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
    ("rescale must be", |m| m.preprocessing.rescale = 0.0),
    ("rescale must be", |m| m.preprocessing.rescale = -1.0),
    ("mean must be", |m| m.preprocessing.mean[2] = 1e4),
    ("std must be", |m| m.preprocessing.std[0] = 1e-4),
    ("std must be", |m| m.preprocessing.std[0] = 1e4),
    ("16 times longer", |m| m.preprocessing.resize = Resize::ShortestEdge(1793)),
];

const OF_TEXTS: &[(&str, Change)] = &[
    ("name is empty", |m| m.name = " ".into()),
    ("control characters", |m| m.name = "\u{1b}[2J".into()),
    ("control characters (U+001B)", |m| m.intended_use = "\u{1b}[2J".into()),
    ("more than 256", |m| m.name = "x".repeat(257)),
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
    ("tool.name", |m| m.tool.name.clear()),
];

const OF_ENTRIES_AND_MODULES: &[(&str, Change)] = &[
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
    ("slash", |m| m.modules[0].task = "a/b".into()),
];

const OF_HEADS: &[(&str, Change)] = &[
    ("no head", |m| m.heads.clear()),
    ("two heads", |m| m.heads.push(m.heads[0].clone())),
    ("must be in heads/", |m| m.heads[0].entry = "base.onnx".into()),
    ("different names", |m| m.heads[0].classes = vec!["a".into(), "a".into()]),
    ("at most 4096", |m| m.heads[0].classes = (0..4097).map(|n| n.to_string()).collect()),
    ("two classes", |m| m.heads[0].classes.truncate(1)),
    ("2 classes and 1 codes", |m| m.heads[0].codes = vec![code("SCT", "30807003")]),
    ("backslash", |m| m.heads[0].codes = vec![code("SCT", "1"), code("99A\\B", "2")]),
    ("code.value", |m| m.heads[0].codes = vec![code("SCT", "12345678901234567"), code("SCT", "2")]),
    ("temperature of breast is 0.04", |m| m.heads[0].calibration = Some(calibration(0.04))),
    ("temperature of breast is 20.1", |m| m.heads[0].calibration = Some(calibration(20.1))),
    ("number out of range", |m| {
        m.heads[0].calibration = Some(Calibration { n: 0, ..calibration(1.0) })
    }),
];

const OF_COMPOSITIONS: &[(&str, Change)] = &[
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
    ("exactly one composition", |m| m.compositions.clear()),
    ("exactly one composition", |m| m.compositions.push(m.compositions[0].clone())),
    ("no parts", |m| m.compositions[0].parts.clear()),
    ("twice", |m| m.compositions[0].parts = vec![m.compositions[0].parts[0].clone(); 2]),
    ("no finite sum", |m| {
        m.compositions[0].parts[0].weight = 1e308;
        let module = extra(m);
        m.compositions[0].parts.push(WeightedModule { module, weight: -1e308 });
    }),
    ("257 parts", |m| {
        let part = m.compositions[0].parts[0].clone();
        m.compositions[0].parts = vec![part; 257];
    }),
    ("weight NaN", |m| m.compositions[0].parts[0].weight = f64::NAN),
    ("which is not there", |m| m.compositions[0].parts[0].module = "0".repeat(64)),
];

const OF_RESULTS: &[(&str, Change)] = &[
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
];

const OF_MEMBERS: &[(&str, Change)] = &[
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
        m.entries.insert(2, Entry { name: "cards/x.md".into(), length: 1, sha256: "e".repeat(64) });
    }),
];
